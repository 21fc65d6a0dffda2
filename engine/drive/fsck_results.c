/* See fsck.h. Results and what failed tasks left: can all that they name be had? */
#include "engine/drive/fsck_priv.h"
#include "engine/store/hosts.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdio.h>

struct of_record {
  struct dk_fsck *fsck;
  const struct dk_saved *cleaned; /* a result of which outputs were removed from a host; NULL */
  bool is_cleaned;                /* some of them are indeed nowhere */
  char wrong[300];                /* first thing that is wrong */
};

/* People removed it, and knew that it was the only one. What is here, and is another than it should be, is damage. */
static bool was_cleaned(const struct of_record *of, const struct dk_digest *digest) {
  for (uint32_t i = 0; of->cleaned && i < of->cleaned->result.n_outputs; i++) {
    const struct dk_kept *output = &of->cleaned->result.outputs[i];
    if (dk_digest_equal(&output->digest, digest))
      return !dk_uses_find(&of->fsck->bad, digest) &&
             dk_objects_has_content(&of->fsck->folder.objects, digest, output->is_dir, NULL) == 0;
  }
  return false;
}

/* Called for contents that no host has that is named now. 1: this one has it, and was named once; or -ENOMEM. */
static int take_away(void *ctx, const struct dk_copy *copy) {
  struct dk_fsck *fsck = ctx;
  struct dk_host_record host;
  uint32_t i = 0;
  if (dk_store_get_host(fsck->folder.store, copy->host, &host, NULL) < 0) return 0;
  dk_host_record_finish(&host);
  while (i < fsck->n_away && fsck->away[i].host != copy->host) i++;
  if (i == fsck->n_away) {
    if (!dk_grow(fsck->away, fsck->n_away, fsck->cap_away)) return -ENOMEM;
    fsck->away[fsck->n_away++] = (struct dk_fsck_away){.host = copy->host};
  }
  fsck->away[i].is_named = true;
  return 1;
}

static void count_away(struct dk_fsck *fsck, bool is_whole) {
  for (uint32_t i = 0; i < fsck->n_away; i++) {
    fsck->away[i].n += is_whole && fsck->away[i].is_named;
    fsck->away[i].is_named = false;
  }
}

/* Is it there, or somewhere? 1: no; or -ENOMEM. */
static int check_object(void *ctx, const struct dk_digest *digest, bool is_dir, uint64_t size) {
  struct of_record *of = ctx;
  char hex[DK_DIGEST_HEX + 1];
  const char *why = dk_fsck_object(of->fsck, digest, is_dir, size);
  struct dk_copy copy;
  if (!why || dk_store_find_copy(of->fsck->folder.store, digest, NULL, NULL, &copy, NULL) == 0) return 0;
  int r = dk_store_each_copy(of->fsck->folder.store, digest, take_away, of->fsck, NULL);
  if (r == 1 || r == -ENOMEM) return r == 1 ? 0 : r;
  if (was_cleaned(of, digest)) {
    of->is_cleaned = true;
    return 0;
  }
  dk_digest_hex(digest, hex);
  snprintf(of->wrong, sizeof of->wrong, "object %.2s/%.10s... %s", hex, hex + 2, why);
  return 1;
}

int dk_fsck_result(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct of_record of = {.fsck = ctx};
  struct dk_saved saved;
  const char *input = NULL;
  of.fsck->sum->results++;
  int err = klen == DK_DIGEST_SIZE ? dk_saved_decode(value, vlen, &saved) : -EBADMSG;
  if (err == -ENOMEM) return dk_fsck_no_memory(of.fsck);
  if (err) {
    dk_fsck_found(of.fsck, true, DK_FSCK_RUNS_AGAIN, "a result cannot be understood");
    return dk_fsck_drop(of.fsck, DK_TABLE_RESULTS, key, klen);
  }
  if (saved.cleaned && *saved.cleaned) of.cleaned = &saved;
  int wrong = dk_result_each_object(&saved.result, check_object, &of);
  if (wrong < 0) {
    err = dk_fsck_no_memory(of.fsck);
  } else if (wrong) {
    dk_fsck_found(of.fsck, true, DK_FSCK_RUNS_AGAIN, "the result of %s (run %u) is not whole: %s",
                  saved.label && *saved.label ? saved.label : "a task", saved.run, of.wrong);
    err = dk_fsck_drop(of.fsck, DK_TABLE_RESULTS, key, klen);
  } else if ((input = dk_fsck_bad_input(of.fsck, &saved))) {
    dk_fsck_found(of.fsck, true, DK_FSCK_RUNS_AGAIN,
                  "the result of %s (run %u) is in doubt: its %s is altered, and nothing tells since when",
                  saved.label && *saved.label ? saved.label : "a task", saved.run, input);
    err = dk_fsck_drop(of.fsck, DK_TABLE_RESULTS, key, klen);
  } else {
    of.fsck->n_cleaned += of.is_cleaned;
  }
  count_away(of.fsck, err == 0 && !wrong && !input);
  dk_saved_finish(&saved);
  return err;
}

int dk_fsck_failure(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct of_record of = {.fsck = ctx};
  struct dk_result result;
  int err = klen == 16 ? dk_result_decode(value, vlen, &result, NULL) : -EBADMSG;
  if (err == -ENOMEM) return dk_fsck_no_memory(of.fsck);
  if (err == 0) {
    err = dk_result_each_object(&result, check_object, &of);
    dk_result_finish(&result);
    count_away(of.fsck, err == 0);
    if (err < 0) return dk_fsck_no_memory(of.fsck);
  }
  if (err == 0) return 0;
  dk_fsck_found(of.fsck, true, "what is told of it is deleted", "what a failed task left cannot be read%s%s",
                of.wrong[0] ? ": " : "", of.wrong);
  return dk_fsck_drop(of.fsck, DK_TABLE_FAILURES, key, klen);
}

/* See copies.h. */
#include "engine/drive/copies.h"

#include "engine/drive/lookup.h"
#include "engine/store/record.h"

#include <errno.h>
#include <string.h>

struct search {
  struct dk_folder *folder;
  dk_store_may_host_fn *is_meant;
  void *ctx;
  struct dk_copies_sum *sum;
  struct dk_batch *batch;
  struct dk_error *error;
};

static bool is_another(void *ctx, uint32_t host) {
  const struct search *search = ctx;
  return !search->is_meant(search->ctx, host);
}

static int is_at_one(void *ctx, const struct dk_copy *copy) {
  const struct search *search = ctx;
  return search->is_meant(search->ctx, copy->host);
}

/* 1: it is kept at one of them, and could not be had without them. */
static int is_only_there(struct search *search, const struct dk_kept *output) {
  const struct dk_lookup_options with = {.store = search->folder->store,
                                         .objects = &search->folder->objects,
                                         .may_host = is_another,
                                         .may_host_ctx = search};

  if (output->bytes || dk_digest_is_zero(&output->digest)) return 0;
  int r = dk_store_each_copy(search->folder->store, &output->digest, is_at_one, search, search->error);
  if (r <= 0) return r;
  r = dk_lookup_output_state(&with, output, search->error);
  return r < 0 ? r : r != DK_OUTPUT_THERE && r != DK_OUTPUT_ELSEWHERE;
}

static int judge_result(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct search *search = ctx;
  struct dk_saved saved;
  bool is_lost = false;

  (void)key, (void)klen;
  int r = dk_saved_decode(value, vlen, &saved);
  if (r < 0) return dk_error_set(search->error, r, "a result in the store cannot be understood\nhelp: dkrun fsck");
  for (uint32_t i = 0; r >= 0 && i < saved.result.n_outputs; i++) {
    r = is_only_there(search, &saved.result.outputs[i]);
    if (r <= 0) continue;
    is_lost = true;
    search->sum->bytes += saved.result.outputs[i].size;
  }
  dk_saved_finish(&saved);
  search->sum->n_results += is_lost;
  return r < 0 ? r : 0;
}

static int has_some(void *ctx, const struct dk_copy *copy) {
  return is_at_one(ctx, copy);
}

int dk_copies_only_at(struct dk_folder *folder, dk_store_may_host_fn *is_meant, void *ctx, struct dk_copies_sum *ret,
                      struct dk_error *error) {
  struct search search = {.folder = folder, .is_meant = is_meant, .ctx = ctx, .sum = ret, .error = error};

  *ret = (struct dk_copies_sum){0};
  int r = dk_store_each_copy(folder->store, NULL, has_some, &search, error);
  if (r <= 0) return r; /* they keep nothing */
  r = dk_store_each(folder->store, DK_TABLE_RESULTS, "", 0, judge_result, &search, error);
  if (r < 0 && !error->code) dk_error_system(error, r, "looking for what is kept at other hosts only");
  return r;
}

static int forget(void *ctx, const struct dk_copy *copy) {
  struct search *search = ctx;

  return search->is_meant(search->ctx, copy->host) ? dk_batch_del_copy(search->batch, &copy->content, copy->host) : 0;
}

int dk_copies_forget(struct dk_folder *folder, dk_store_may_host_fn *is_meant, void *ctx, struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;
  struct search search = {.is_meant = is_meant, .ctx = ctx, .batch = &batch};
  int r = dk_store_each_copy(folder->store, NULL, forget, &search, error);

  batch.forgets = true; /* "nothing to do" may have stood on one */
  if (r == 0 && batch.n > 0) r = dk_store_commit(folder->store, &batch, error);
  if (r < 0 && !error->code) dk_error_system(error, r, "recording what the hosts do not keep any more");
  dk_batch_finish(&batch);
  return r;
}

/* See copies.h. */
#include "engine/drive/copies.h"

#include "engine/drive/lookup.h"
#include "engine/store/record.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define BATCH_BYTES (8u << 20)

struct search {
  struct dk_folder *folder;
  dk_store_may_host_fn *is_meant;
  void *ctx;
  struct dk_copies_sum *sum;
  struct dk_batch *batch; /* to forget; NULL: only looks */
  uint32_t host;          /* that was found to keep it */
  struct dk_error *error;
};

/* Could it be had there without those that are meant? */
static bool is_another(void *ctx, uint32_t number) {
  const struct search *search = ctx;
  struct dk_host_record host;

  if (search->is_meant(search->ctx, number)) return false;
  if (dk_store_get_host(search->folder->store, number, &host, NULL) < 0) return false;
  bool is_there = host.state != DK_HOST_REMOVED;
  dk_host_record_finish(&host);
  return is_there;
}

static int is_at_one(void *ctx, const struct dk_copy *copy) {
  struct search *search = ctx;

  search->host = copy->host;
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

/* The result says itself that they are gone: fsck, `get` and `why` can tell that from damage, and the next result under
 * its key knows nothing of it. In steps of a size that fits into memory: one that was killed is begun again. */
static int mark_cleaned(struct search *search, const void *key, size_t klen, struct dk_saved *saved, uint32_t at) {
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_host_record host;
  int r = dk_store_get_host(search->folder->store, at, &host, search->error);

  if (r < 0) return r;
  dk_free(saved->cleaned);
  saved->cleaned = host.name;
  host.name = NULL;
  dk_host_record_finish(&host);
  r = dk_saved_encode(saved, &bytes);
  if (r < 0) return r;
  dk_batch_put(search->batch, DK_TABLE_RESULTS, key, klen, bytes.data, bytes.len);
  if (search->batch->bytes.len < BATCH_BYTES) return dk_buf_ok(&search->batch->bytes) ? 0 : -ENOMEM;
  r = dk_store_commit(search->folder->store, search->batch, search->error);
  dk_batch_clear(search->batch);
  return r;
}

static int judge_result(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct search *search = ctx;
  struct dk_saved saved;
  uint32_t host = 0;
  bool is_lost = false;

  int r = dk_saved_decode(value, vlen, &saved);
  if (r < 0) return dk_error_set(search->error, r, "a result in the store cannot be understood\nhelp: dkrun fsck");
  for (uint32_t i = 0; r >= 0 && i < saved.result.n_outputs; i++) {
    r = is_only_there(search, &saved.result.outputs[i]);
    if (r <= 0) continue;
    is_lost = true;
    host = search->host;
    search->sum->bytes += saved.result.outputs[i].size;
  }
  search->sum->n_results += is_lost;
  if (r >= 0 && is_lost && search->batch) r = mark_cleaned(search, key, klen, &saved, host);
  dk_saved_finish(&saved);
  return r < 0 ? r : 0;
}

static int has_some(void *ctx, const struct dk_copy *copy) {
  return is_at_one(ctx, copy);
}

static int judge_all(struct search *search) {
  int r = dk_store_each_copy(search->folder->store, NULL, has_some, search, search->error);

  if (r <= 0) return r; /* they keep nothing */
  r = dk_store_each(search->folder->store, DK_TABLE_RESULTS, "", 0, judge_result, search, search->error);
  if (r < 0 && !search->error->code) dk_error_system(search->error, r, "looking for what is kept at other hosts only");
  return r;
}

int dk_copies_only_at(struct dk_folder *folder, dk_store_may_host_fn *is_meant, void *ctx, struct dk_copies_sum *ret,
                      struct dk_error *error) {
  struct search search = {.folder = folder, .is_meant = is_meant, .ctx = ctx, .sum = ret, .error = error};

  *ret = (struct dk_copies_sum){0};
  return judge_all(&search);
}

static int forget(void *ctx, const struct dk_copy *copy) {
  struct search *search = ctx;

  return search->is_meant(search->ctx, copy->host) ? dk_batch_del_copy(search->batch, &copy->content, copy->host) : 0;
}

int dk_copies_forget(struct dk_folder *folder, dk_store_may_host_fn *is_meant, void *ctx, struct dk_error *error) {
  struct dk_copies_sum sum = {0};
  struct dk_batch batch = DK_BATCH_INIT;
  struct search search = {
      .folder = folder, .is_meant = is_meant, .ctx = ctx, .sum = &sum, .batch = &batch, .error = error};
  int r = judge_all(&search);

  if (r == 0) r = dk_store_each_copy(folder->store, NULL, forget, &search, error);
  batch.forgets = true; /* "nothing to do" may have stood on one */
  if (r == 0 && batch.n > 0) r = dk_store_commit(folder->store, &batch, error);
  if (r < 0 && !error->code) dk_error_system(error, r, "recording what the hosts do not keep any more");
  dk_batch_finish(&batch);
  return r;
}

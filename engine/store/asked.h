/* What people asked of runs that have not ended, so that the next engine goes on with them: how each was started, what
 * was asked of it since, which contents its input files had. Deleted in the commit of the run's end. And how long a
 * template's tasks take, for good. */
#ifndef DK_STORE_ASKED_H
#define DK_STORE_ASKED_H

#include "engine/store/record.h"

/* Beside its dk_run record: the rest of what it was started with. */
struct dk_asked_run {
  struct dk_pair *params; /* owned: -p NAME=VALUE as given */
  uint32_t n_params;
  uint32_t jobs; /* 0: no limit */
  int32_t priority;
  bool is_paused;
  bool is_foreground; /* it belongs to the process that runs its engine, and ends with it */
};

/* Something that was asked of a run: a DK_EV_CANCEL, PAUSE, RESUME or PRIORITY. */
struct dk_ask {
  enum dk_event_kind kind;
  bool is_hard;
  int32_t priority;
  uint32_t *ranges; /* owned: n_ranges pairs (first task, one behind the last), rising; none: the whole run */
  uint32_t n_ranges;
};

int dk_batch_put_asked_run(struct dk_batch *batch, uint32_t run, const struct dk_asked_run *asked);
int dk_store_get_asked_run(struct dk_store *store, uint32_t run, struct dk_asked_run *ret, struct dk_error *error);
void dk_asked_run_finish(struct dk_asked_run *asked);

/* `n` counts what was asked of this run, from 1. */
int dk_batch_put_ask(struct dk_batch *batch, uint32_t run, uint32_t n, const struct dk_ask *asked);
typedef int dk_store_ask_fn(void *ctx, uint32_t n, const struct dk_ask *asked);
int dk_store_each_ask(struct dk_store *store, uint32_t run, dk_store_ask_fn *fn, void *ctx, struct dk_error *error);
int dk_ask_encode(const struct dk_ask *asked, struct dk_buf *out);
int dk_ask_decode(const void *data, size_t len, struct dk_ask *ret); /* -EBADMSG: no bytes of ours */
void dk_ask_finish(struct dk_ask *asked);

/* The content that an input file or directory had for this run. */
int dk_batch_put_run_file(struct dk_batch *batch, uint32_t run, const char *path, const struct dk_digest *digest,
                          bool is_dir);
typedef int dk_store_run_file_fn(void *ctx, const char *path, const struct dk_digest *digest, bool is_dir);
int dk_store_each_run_file(struct dk_store *store, uint32_t run, dk_store_run_file_fn *fn, void *ctx,
                           struct dk_error *error);

/* All of the above of a run that has ended. */
int dk_batch_del_asked(struct dk_batch *batch, struct dk_store *store, uint32_t run, struct dk_error *error);

/* How long tasks of a template ran that gave a result: count and mean. -ENOENT: none yet. */
struct dk_duration {
  uint64_t n, mean_ns;
};
void dk_duration_add(struct dk_duration *duration, uint64_t wall_ns);
int dk_batch_put_duration(struct dk_batch *batch, const char *experiment, const char *tmpl,
                          const struct dk_duration *duration);
int dk_store_get_duration(struct dk_store *store, const char *experiment, const char *tmpl, struct dk_duration *ret,
                          struct dk_error *error);

#endif

/* The store's values as structs, and their bytes (codec.c). Encodings are versioned by a first byte; integers in keys
 * are big-endian so that key order is number order. Decoded structs own their memory; finish frees it. */
#ifndef DK_STORE_RECORD_H
#define DK_STORE_RECORD_H

#include "engine/core/event.h"
#include "engine/rent/money.h"
#include "engine/store/store.h"
#include "engine/wire/message.h"

/* May machines that cost something be made for a run? On disk: only add. */
enum dk_pay {
  DK_PAY_UNSAID = 0, /* nobody has said so */
  DK_PAY_NOTHING = 1,
  DK_PAY_UP_TO = 2,
  DK_PAY_ANY = 3, /* a person has answered that */
};
struct dk_consent {
  enum dk_pay pay;
  struct dk_money limit; /* UP_TO */
};

struct dk_run {
  uint32_t number;         /* 1, 2, 3 ... in this store */
  enum dk_run_state state; /* RUNNING with no engine alive means interrupted (the lock tells) */
  char *name;              /* experiment */
  char *file;              /* relative to the repository */
  char *commit;            /* hex of HEAD's commit */
  char *snapshot;          /* hex of the pinned commit in dkrun's repository; equal to commit when clean */
  uint32_t n_changed;      /* files that differ from commit */
  char *params;            /* "folds=10 x=1", as given */
  struct dk_digest plan;   /* object with the pin (dk_plan_encode) */
  uint64_t started_unix_ns, ended_unix_ns;
  uint32_t n_tasks, n_done, n_cached, n_failed, n_not_run;
  uint32_t engine_pid;
  struct dk_consent consent;
  struct dk_purse before; /* what the store's machines had cost when it started */
  struct dk_purse cost;   /* and what more until it ended, also by what else went on then */
};

struct dk_task_record {
  enum dk_task_state state;
  enum dk_cause cause;
  int32_t code;
  uint8_t attempts;
  struct dk_tries tries;
  uint32_t slot;        /* RUNNING: where its log is being written */
  uint32_t host;        /* that `attempt` was handed out to (hosts.h) */
  struct dk_id attempt; /* last one; FAILURES has its result when it failed */
  struct dk_digest key; /* RESULTS has its result when it is done or cached */
};

/* One component of a key ("program", "code", "input train", "env X", "environment"), so that `why` can name what
 * changed. */
struct dk_key_part_record {
  char *name;
  struct dk_digest digest;
};

/* A result under its key. */
struct dk_saved {
  struct dk_id attempt;
  uint32_t run; /* that made it */
  char *label;  /* "train lr=0.1", as it was called then */
  char *host;
  char *
      cleaned; /* a host whose copies people removed (`dkrun hosts clean`), outputs that were only there with them: that
                    they cannot be had is no damage. "" or NULL: none */
  struct dk_key_part_record *parts;
  uint32_t n_parts;
  struct dk_result result;
};

enum dk_metric_state { DK_METRIC_MISSING = 0, DK_METRIC_NUMBER = 1, DK_METRIC_TEXT = 2 };
struct dk_metric_value {
  enum dk_metric_state state;
  double number;
  char *text; /* of a TEXT; of a NUMBER as it was written ("96.15") */
};
struct dk_metric_values {
  struct dk_metric_value *items; /* in the order of template.metrics */
  uint32_t n;
};

struct dk_choice {
  uint32_t row; /* of the pick's `from` */
  double score;
  uint32_t n_candidates;
};

/* Inside another value, or a message. What a reader refuses fails it. */
struct dk_reader;
void dk_consent_write(struct dk_buf *out, const struct dk_consent *consent);
void dk_consent_read(struct dk_reader *reader, struct dk_consent *ret);
int dk_run_encode(const struct dk_run *run, struct dk_buf *out);
int dk_run_decode(const void *data, size_t len, struct dk_run *ret); /* -EBADMSG, -ENOMEM */
void dk_run_finish(struct dk_run *run);
int dk_task_record_encode(const struct dk_task_record *task, struct dk_buf *out);    /* -ENOMEM, nothing appended */
int dk_task_record_decode(const void *data, size_t len, struct dk_task_record *ret); /* -EBADMSG */
int dk_attempt_record_decode(const void *data, size_t len,
                             struct dk_record *ret); /* all but its id, which is the key; -EBADMSG */
int dk_saved_encode(const struct dk_saved *saved, struct dk_buf *out);
int dk_saved_decode(const void *data, size_t len, struct dk_saved *ret);
void dk_saved_finish(struct dk_saved *saved);
int dk_metric_values_encode(const struct dk_metric_values *values, struct dk_buf *out);
int dk_metric_values_decode(const void *data, size_t len, struct dk_metric_values *ret);
void dk_metric_values_finish(struct dk_metric_values *values);

/* The core's records as writes: ATTEMPT, TASK, RESULT, FAILURE, INCARNATION. RUN is the drive's (dk_store_put_run). */
int dk_batch_add_record(struct dk_batch *batch, const struct dk_record *record, const struct dk_buf *bytes);
/* What dk_core_load wants: attempts and the incarnation counter. *ret is dk_freed by the caller. */
int dk_store_load_core(struct dk_store *store, struct dk_record **ret, uint32_t *ret_n, struct dk_error *error);

int dk_batch_put_run(struct dk_batch *batch, const struct dk_run *run);
int dk_batch_put_choice(struct dk_batch *batch, uint32_t run, uint32_t task, const struct dk_choice *choice);
/* `attempt`: of the result that they were read from. A task that is made again under its key has others. */
int dk_batch_put_metrics(struct dk_batch *batch, const struct dk_digest *key, const struct dk_digest *extractors,
                         struct dk_id attempt, const struct dk_metric_values *values);

/* The last key that a task of this name had (DK_TABLE_NAMES): experiment's name, NUL, task's name -> key. */
int dk_batch_put_name(struct dk_batch *batch, const char *experiment, const char *label, const struct dk_digest *key);
int dk_store_get_name(struct dk_store *store, const char *experiment, const char *label, struct dk_digest *ret,
                      struct dk_error *error);

/* What an environment id stands for, in words, for `why`. */
int dk_batch_put_environment(struct dk_batch *batch, const struct dk_digest *id, const char *text);
int dk_store_get_environment(struct dk_store *store, const struct dk_digest *id, struct dk_buf *ret);

/* What a run that is all done stood on, by the digest of what was asked (engine/drive/unchanged.h): bytes of the
 * drive's. */
int dk_batch_put_unchanged(struct dk_batch *batch, const struct dk_digest *asked, const void *data, size_t len);
int dk_store_get_unchanged(struct dk_store *store, const struct dk_digest *asked, struct dk_buf *ret);

/* What machines cost while the run went on: until this time, or until its end. */
int dk_store_run_cost(struct dk_store *store, const struct dk_run *run, uint64_t unix_ns, struct dk_purse *ret,
                      struct dk_error *error);

/* Reading. -ENOENT when there is none. */
int dk_store_get_run(struct dk_store *store, uint32_t run, struct dk_run *ret, struct dk_error *error);
/* The run that a key of the table `runs` names. 0, -EBADMSG. */
int dk_store_run_number(const void *key, size_t klen, uint32_t *ret); /* run 0: the last one */
int dk_store_get_task(struct dk_store *store, uint32_t run, uint32_t task, struct dk_task_record *ret,
                      struct dk_error *error);
int dk_store_get_saved(struct dk_store *store, const struct dk_digest *key, struct dk_saved *ret,
                       struct dk_error *error);
int dk_store_get_failure(struct dk_store *store, struct dk_id attempt, struct dk_result *ret, struct dk_error *error);
int dk_store_get_choice(struct dk_store *store, uint32_t run, uint32_t task, struct dk_choice *ret,
                        struct dk_error *error);
/* Of the result of this attempt, -ENOENT when they are of another; NULL: of whichever was read last. */
int dk_store_get_metrics(struct dk_store *store, const struct dk_digest *key, const struct dk_digest *extractors,
                         const struct dk_id *attempt, struct dk_metric_values *ret, struct dk_error *error);
/* A value of the table. Earlier ones do not say of which attempt: {0, 0}. 0, -EBADMSG, -ENOMEM. */
int dk_metrics_decode(const void *data, size_t len, struct dk_id *ret_attempt, struct dk_metric_values *ret);
/* Task records of a run in task order; fn as in dk_store_each. */
typedef int dk_store_task_fn(void *ctx, uint32_t task, const struct dk_task_record *record);
int dk_store_each_task(struct dk_store *store, uint32_t run, dk_store_task_fn *fn, void *ctx, struct dk_error *error);

/* The stat shortcut: content digest of a file that has not changed since it was hashed. -ENOENT when unknown or not to
 * be trusted (mtime or ctime less than 2 s older than the hash). */
struct dk_stat_key {
  uint64_t dev, ino, size;
  int64_t mtime_ns, ctime_ns;
};
int dk_store_get_stat(struct dk_store *store, const char *path, const struct dk_stat_key *key, struct dk_digest *ret);
int dk_batch_put_stat(struct dk_batch *batch, const char *path, const struct dk_stat_key *key,
                      const struct dk_digest *digest, uint64_t now_unix_ns);
/* The contents that files had when they were hashed last. */
typedef int dk_store_content_fn(void *ctx, const struct dk_digest *digest);
int dk_store_each_content(struct dk_store *store, dk_store_content_fn *fn, void *ctx, struct dk_error *error);

#endif

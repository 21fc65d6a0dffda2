/* What is known of each task of a plan in this process, and how more gets known: a task's key is computed from the
 * plan, the pinned code, and the contents of its inputs; the store says whether there is a result under it; picks are
 * decided from metrics.
 *
 * `dkrun run` and `dkrun plan` share it: in a dry one nothing is written (files are hashed, not kept). */
#ifndef DK_DRIVE_LOOKUP_H
#define DK_DRIVE_LOOKUP_H

#include "engine/core/event.h"
#include "engine/drive/metric.h"
#include "engine/objects/object.h"
#include "engine/source/code.h"
#include "engine/store/hosts.h"
#include "engine/store/record.h"
#include "lang/plan/plan.h"

/* A task that has a result, or a pick that is decided. */
struct dk_fact {
  struct dk_digest key;
  struct dk_kept *outputs; /* template.n_outputs of them; without inline bytes */
  bool is_lost;            /* they cannot be had any more, and are to be made again: it is known what they were */
  bool is_given_up;        /* lost, and what makes them ended without that */
  struct dk_metric_values metrics;
  uint64_t wall_ns;        /* of the attempt that made it */
  uint32_t run;            /* that made it */
  struct dk_choice choice; /* picks */
};

struct dk_lookup_template {
  struct dk_extractor *extractor; /* NULL without metrics */
  struct dk_digest metrics;       /* extractors' digest */
  struct dk_digest code;          /* zero: none */
  struct dk_digest code_manifest; /* the same as an object, for other machines; zero: not made yet */
  uint32_t n_code_files;
  bool has_tree; /* the code's tree was looked at, and is whole */
};

struct dk_lookup_options {
  const struct dk_plan *plan;
  struct dk_store *store;     /* NULL: there is none yet (dry) */
  struct dk_objects *objects; /* NULL as well */
  struct dk_code_repo *code;
  const char *root;       /* of the repository's work tree */
  char *const *variables; /* environment of who asked for the run, ended by NULL; not used when dry */
  uint32_t run;           /* that the files' contents are recorded for; 0: none */
  bool dry;
  bool has_hosts; /* tasks may run on other machines too: a mount need not be on this one */
  /* Is a copy at this host to be counted on? NULL: at each that is not taken out, as the store knows. */
  dk_store_may_host_fn *may_host;
  void *may_host_ctx;
};

struct dk_lookup_state {
  struct dk_lookup_options with;
  struct dk_fact **facts; /* by task; NULL: not known */
  struct dk_lookup_template *templates;
  struct dk_digest environment; /* environment id of this machine */
  struct dk_batch extra;        /* writes that go with the next commit: stat cache, metrics that were read anew */
  struct dk_map files;          /* content digests of the repository's files, by path */
  struct dk_file_fact *file_items;
  uint32_t n_files, cap_files;
  struct dk_buf seen;     /* all files and directories that were looked at (seen.h), unless dry */
  const char *last_place; /* of a mount that was added to them */
  struct dk_late late;
};

/* Compiles the metrics and digests the code of each template. `options` is copied; what it names must outlive the
 * state. 0, or -errno and nothing to finish; errors name the file's line where there is one. */
int dk_lookup_init(struct dk_lookup_state *state, const struct dk_lookup_options *options, struct dk_error *error);
void dk_lookup_finish(struct dk_lookup_state *state);

/* One task, handed out as far as it can be before it runs. */
struct dk_prepared {
  struct dk_order order;
  struct dk_digest *inputs; /* content digests, by order.inputs */
  bool *is_dir;             /* by order.inputs */
  struct dk_digest key;
};
/* 0; -EAGAIN: a late value or a producer is not known; others with a message (the task cannot be handed out).
 * Everything that it needs must be a fact. */
int dk_lookup_prepare(struct dk_lookup_state *state, uint32_t task, struct dk_prepared *ret, struct dk_error *error);
void dk_prepared_finish(struct dk_prepared *prepared);
/* The components of its key; *ret is one heap block (dk_free). */
int dk_lookup_parts(struct dk_lookup_state *state, uint32_t task, const struct dk_prepared *prepared,
                    struct dk_key_part **ret, uint32_t *ret_n, struct dk_error *error);

/* Can an output be had, whole? What nobody wrote to since it was sealed is believed without being read, and so is a
 * copy at another host. Negative: it cannot be told now. */
enum dk_output_state { DK_OUTPUT_THERE, DK_OUTPUT_ELSEWHERE, DK_OUTPUT_GONE, DK_OUTPUT_ALTERED };
int dk_lookup_output_state(const struct dk_lookup_options *with, const struct dk_kept *output, struct dk_error *error);

/* The answer for DK_ACT_LOOKUP. HIT makes it a fact. `why` says what is wrong when it is BAD. */
int dk_lookup_task(struct dk_lookup_state *state, uint32_t task, enum dk_lookup *ret, struct dk_digest *ret_key,
                   struct dk_error *why);

/* Makes a result a fact; reads its metrics: from the store, else anew from what was kept. */
int dk_lookup_learn(struct dk_lookup_state *state, uint32_t task, const struct dk_digest *key,
                    const struct dk_saved *saved, struct dk_error *error);

/* The task was cancelled after it was looked up: nothing is known of it, for those that can do without. */
void dk_lookup_forget(struct dk_lookup_state *state, uint32_t task);

/* Its outputs cannot be had any more, and are to be made again: orders that need them wait. Who is looked up meanwhile
 * is keyed by what they were; what was measured stays. Until it is learned anew. */
void dk_lookup_lose_outputs(struct dk_lookup_state *state, uint32_t task);

/* Decides a pick row from the facts of its candidates. 0 and a fact; -ENOENT: no candidate has the metric (with the
 * words for it). */
int dk_lookup_decide(struct dk_lookup_state *state, uint32_t pick_task, struct dk_error *error);

#endif

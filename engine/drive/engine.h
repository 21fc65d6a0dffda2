/* A run, for real: the core and the turn over the store, the agent and the clock.
 *
 * Single-threaded. The engine may be killed at any instruction: tasks go on under their keepers, and the next engine adopts them by their
 * keys. */
#ifndef DK_DRIVE_ENGINE_H
#define DK_DRIVE_ENGINE_H

#include "engine/drive/folder.h"
#include "engine/drive/lookup.h"
#include "engine/drive/provider.h"
#include "engine/sys/loop.h"

/* What the watcher is told. Strings and values are borrowed for the call. */
struct dk_engine_note {
  uint32_t task;
  enum dk_task_state state;
  bool started; /* RUNNING: its process runs */
  enum dk_cause cause;
  int32_t code;
  uint8_t attempts;
  uint64_t wall_ns;
  const char *text;                       /* FAILED: words */
  const struct dk_metric_values *metrics; /* DONE, CACHED */
  const struct dk_choice *choice;         /* a pick that is DONE */
};

struct dk_engine_observer {
  void *ctx;
  void (*note)(void *ctx, uint64_t now_ns, const struct dk_engine_note *note);
  void (*say)(void *ctx, const char *text); /* "the agent has gone; trying again", warnings */
  void (*where)(void *ctx, uint32_t slots); /* the agent is there */
  uint64_t (*tick)(void *ctx,
                   uint64_t now_ns); /* after each turn; returns when it wants the next one (dk_now_ns scale) */
};

struct dk_engine_options {
  const struct dk_plan *plan;
  struct dk_folder *folder;
  const struct dk_snapshot *snapshot;
  const char *root;             /* repository */
  const char *file;             /* relative to it */
  const char *params;           /* as given, for the record */
  const struct dk_buf *sources; /* of dk_unchanged_sources, to find "nothing to do" by; NULL: nothing is kept for it */
  const struct dk_provider *provider;
  const char *agent_program;
  uint32_t slots;
  struct dk_loop *loop; /* the caller may watch descriptors of its own in it */
  struct dk_engine_observer observer;
};

struct dk_engine;

/* Prepares everything, records the run (number, pin), connects to the agent. */
int dk_engine_create(const struct dk_engine_options *options, struct dk_engine **ret, struct dk_error *error);
void dk_engine_destroy(struct dk_engine *engine);
uint32_t dk_engine_run_number(const struct dk_engine *engine);
/* Runs until every task has ended or was cancelled. 0, or a negative errno with words: nothing is lost, the next run goes on. */
int dk_engine_run(struct dk_engine *engine, struct dk_error *error);
/* From a callback of the loop: soft the first time, hard after it. */
void dk_engine_cancel(struct dk_engine *engine, bool hard);

#endif

/* The engine: the core and the turn over the store, the agent and the clock, for any number of runs.
 *
 * Single-threaded; there is one per state folder (the folder's lock). It may be killed at any instruction: tasks go on
 * under their keepers, and the next engine goes on with the runs that have not ended (those that belong to a process,
 * as with --foreground, end as interrupted) and adopts living attempts by their keys. */
#ifndef DK_DRIVE_ENGINE_H
#define DK_DRIVE_ENGINE_H

#include "engine/drive/folder.h"
#include "engine/drive/hosts.h"
#include "engine/drive/lookup.h"
#include "engine/store/asked.h"
#include "engine/sys/loop.h"
#include "lang/lang.h"

/* What watchers are told of a task. Strings and values are borrowed for the call. */
struct dk_engine_note {
  uint32_t task;
  enum dk_task_state state;
  bool started; /* RUNNING: its process runs */
  enum dk_cause cause;
  int32_t code;
  uint8_t attempts;
  uint64_t memory; /* BACKOFF: the next one's limit, where it was raised; 0: it was not */
  uint64_t wall_ns;
  const char *text;                       /* FAILED: words */
  const struct dk_metric_values *metrics; /* DONE, CACHED */
  const struct dk_choice *choice;         /* a pick that is DONE */
};

struct dk_engine_observer {
  void *ctx;
  void (*note)(void *ctx, uint32_t run, const struct dk_engine_note *note); /* what it tells is durable */
  void (*ended)(void *ctx, uint32_t run, enum dk_run_state state);
  void (*say)(void *ctx, const char *text); /* to all: "the agent has gone; connecting again", warnings */
  /* A host came or went: slots of all that are up, and dk_fleet_where. */
  void (*where)(void *ctx, uint32_t slots, const char *text);
  uint64_t (*tick)(void *ctx,
                   uint64_t now_ns); /* after each turn; returns when it wants the next one (dk_now_ns scale) */
};

struct dk_engine_options {
  struct dk_folder *folder;
  const char *root;             /* repository */
  const struct dk_hosts *hosts; /* where tasks run; borrowed */
  const char *agent_program;
  uint32_t slots;       /* of this machine's agent, when it has to be started; 0: its processors */
  struct dk_loop *loop; /* the caller may watch descriptors of its own in it */
  /* A provider that makes machines: one of it is made, as for a task that may be paid for, and none of others; see
   * dk_engine_probed. NULL: machines are made for what waits. */
  const char *probe;
  struct dk_engine_observer observer;
};

struct dk_engine;

/* Loads what earlier engines left, goes on with their runs, connects to the agent. */
int dk_engine_create(const struct dk_engine_options *options, struct dk_engine **ret, struct dk_error *error);
void dk_engine_destroy(struct dk_engine *engine);

/* What a run is asked with. Everything is borrowed for the call. */
struct dk_submission {
  const char *file; /* relative to the repository's root */
  const struct dk_check_given *given;
  uint32_t n_given;
  const char *params;     /* the same for people: "folds=10 x=1" */
  char *const *variables; /* environment of who asks, ended by NULL: kept in memory only */
  uint32_t jobs;          /* tasks at a time; 0: the machine's processors. Never more than the agent has slots */
  int32_t priority;
  bool paused, foreground;
  bool refuse_dirty;         /* --clean */
  struct dk_consent consent; /* UNSAID, of a run that is under way: what was said before holds */
  bool prune;                /* ends what other runs of the file still do and this one does not ask for */
};
struct dk_submitted {
  uint32_t run;
  bool is_under_way;   /* it is a run that went on already: same plan, same source */
  struct dk_buf notes; /* lines for who asked: left out of the snapshot, points that are no longer asked */
};
/* Loads the file, pins it, records the run, and starts it. -EINVAL: the file has errors (error has them, rendered). */
int dk_engine_submit(struct dk_engine *engine, const struct dk_submission *submission, struct dk_submitted *ret,
                     struct dk_error *error);
/* Records and does what is asked of a run. -ENOENT: it does not go on here. */
int dk_engine_ask(struct dk_engine *engine, uint32_t run, const struct dk_ask *asked, struct dk_error *error);

bool dk_engine_has_run(const struct dk_engine *engine, uint32_t run);
uint32_t dk_engine_n_runs(const struct dk_engine *engine); /* that go on */
/* What keeps hosts from work now, a text for each ("h3: ..."), as observers were told of it when it began: for who
 * comes later. The texts are borrowed for the call. */
void dk_engine_each_trouble(const struct dk_engine *engine, void (*say)(void *ctx, const char *text), void *ctx);

/* Rented machines that there are, or may be. */
uint32_t dk_engine_n_rented(const struct dk_engine *engine);
/* Has every one of them been asked to go, and the cloud answered? */
bool dk_engine_has_released(const struct dk_engine *engine);
/* Gives back the machine of this name, those of a provider, NULL: all; when what runs there has ended and is saved, or
 * at once (is_hard). -ENOENT: there is none. -EHOSTUNREACH: some are where nobody can be asked as the
 * files of providers are now; the others go. */
int dk_engine_release(struct dk_engine *engine, const char *name, bool is_hard, struct dk_error *error);

enum dk_probe {
  DK_PROBE_GOES_ON,
  DK_PROBE_UP,     /* its agent answers: `ret` has words about it */
  DK_PROBE_FAILED, /* why, the observer was told */
};
enum dk_probe dk_engine_probed(const struct dk_engine *engine, struct dk_buf *ret);

/* One turn: waits for something to happen and does it. 0, or a negative errno with words: the engine must be destroyed;
 * nothing is lost, the next one goes on. */
int dk_engine_turn(struct dk_engine *engine, struct dk_error *error);
/* Makes the turn that waits end soon: from a callback of the loop whose caller wants to look at something. */
void dk_engine_wake(struct dk_engine *engine);

#endif

/* The core: a pure state machine. state + event -> state' + records + actions.
 *
 * No system call, clock, thread, global or rand() here; iteration by index only, so that a seed replays exactly. The
 * caller commits the records of a turn in one transaction and only then does the gated actions (drive/turn.h). After a
 * crash, loading the committed records gives the state that the live core had at that commit (dk_core_digest).
 *
 * Any number of runs, each with its own graph, share one core: the tasks of all of them that have the same key share
 * one attempt, and what is handed out next is chosen over all runs, by priority. A task is named by (run number, task
 * number).
 *
 * Any number of hosts, each with an agent: of those that a task may run on it goes to the one where it can start
 * soonest (place). When a host was silent for lost_after, what it had is started elsewhere. It may come back with that:
 * of several attempts of one key the first good end is the task's result, the others are ended, and nothing of them is
 * recorded.
 *
 * What lasts: attempts that are not known to have ended (id, key, task), the incarnation counter, the retries that
 * tasks have used, results by key (the store's; the core asks with LOOKUP). Tasks of a run are found again by their
 * keys: a run that is added, new or not finished by an earlier engine, looks every task up; one that has a result is
 * cached (done, when this very run made it), one whose key has a living attempt adopts it, anything else runs. An
 * attempt that failed while no engine listened is a failure of the run that made it, of no other. */
#ifndef DK_CORE_CORE_H
#define DK_CORE_CORE_H

#include "engine/core/event.h"
#include "lang/base/error.h"
#include "lang/plan/graph.h"

struct dk_core;

#define DK_PLACE_NEVER UINT64_MAX
#define DK_PLACE_NOT_NOW (UINT64_MAX - 1)

struct dk_core_policy {
  uint64_t lost_after_ns; /* a host silent for so long: its attempts count as lost (default 60 s here) */
  uint64_t backoff_ns;    /* before the first retry; doubles, with jitter from the seed (default 1 s) */
  uint64_t backoff_max_ns;
  uint32_t queue_per_slot; /* orders kept at an agent per slot, running one included (default 2) */
  uint64_t recall_ns;      /* an order that waits so long at one host while another has room comes back (default 1 s) */
  uint32_t max_out;        /* records + actions a step (default 1024) */
  /* Where a task may run, NULL: on every host, each as near as any other. Fills ret_ns[host] for every host number
   * below n_hosts: the nanoseconds that it takes to bring there what the task needs, or DK_PLACE_NEVER: it may not run
   * there (it is too small, its mount is not there), or DK_PLACE_NOT_NOW: as little, but later it may (it is closed).
   * Asked while a step runs, about a task of a run that is there, each time that it is to be handed out; must not call
   * the core. Answers may differ from step to step. One that forbids, or makes dearer, is heeded at once; of what has
   * become possible the core hears by the next TICK that is not idle (or when a host comes or goes). */
  void (*place)(void *ctx, uint32_t run, uint32_t task, uint32_t n_hosts, uint64_t *ret_ns);
  void *place_ctx;
};
void dk_core_policy_default(struct dk_core_policy *ret);

int dk_core_create(struct dk_core **ret, const struct dk_core_policy *policy, uint64_t incarnation,
                   uint64_t jitter_seed);
void dk_core_destroy(struct dk_core *core);
/* Records of earlier engines, in any order, before anything else: ATTEMPT and INCARNATION matter, others are
 * ignored. */
int dk_core_load(struct dk_core *core, const struct dk_record *records, uint32_t n);

/* A task that ended in an earlier life of its run: FAILED or CANCELLED for good. Of any other end it is only known that
 * there was one: it is looked up again, and what is asked of the run changes nothing for it (all that was asked is
 * asked again of a run that goes on). */
struct dk_core_ended {
  uint32_t task;
  uint8_t state, cause, attempts;
  int32_t code;
  struct dk_id attempt; /* last one, or none */
};

/* A task that has not ended, as its last record has it: it goes on with what is left of its retries. */
struct dk_core_tried {
  uint32_t task;
  struct dk_digest key;
  struct dk_id attempt; /* last one, or none */
  uint32_t host;        /* its */
  uint8_t attempts, cause;
  int32_t code;
  struct dk_tries tries;
};

struct dk_core_run_options {
  uint32_t run;                 /* its number: not in use in this core */
  const struct dk_graph *graph; /* borrowed until dk_core_remove_run */
  /* A bit per task, NULL for all; others are not looked at (dkrun run with a selection; what the wanted ones need is
   * wanted too: the caller has closed the set). */
  const uint8_t *wanted;
  const uint32_t *order; /* nodes in the order of handing out (n_nodes, each once), NULL: as numbered; copied */
  int32_t priority;      /* higher first; among equals the lower run number */
  uint32_t jobs;         /* slots that its tasks may book at a time, over all hosts; 0: as many as there are */
  bool paused;
  const struct dk_core_ended *ended; /* of an earlier life, all of them; copied */
  uint32_t n_ended;
  const struct dk_core_tried *tried; /* of an earlier life; copied */
  uint32_t n_tried;
};
/* Adds a run; nothing of it happens before its START. May be called between any two steps. -ENOMEM breaks the core. */
int dk_core_add_run(struct dk_core *core, const struct dk_core_run_options *options);
/* Forgets a run whose FINISHED was given out (or that never had a START). */
void dk_core_remove_run(struct dk_core *core, uint32_t run);
bool dk_core_has_run(const struct dk_core *core, uint32_t run);

/* 0; -ENOMEM: the core is broken and must be thrown away (load a new one from the store: nothing is lost). `seq` is the
 * sequence number that this step's records will be committed under. `now_ns` never decreases; only differences are
 * used. */
int dk_core_step(struct dk_core *core, uint64_t now_ns, uint64_t seq, const struct dk_event *event, struct dk_out *out);
uint64_t dk_core_deadline(const struct dk_core *core); /* when the next TICK is wanted; UINT64_MAX: none */

/* For progress and summaries. `run` must be there. */
struct dk_core_counts {
  uint32_t by_state[DK_N_STATES];
  uint32_t queued_at_agent, started;
};
void dk_core_counts(const struct dk_core *core, uint32_t run, uint32_t node,
                    struct dk_core_counts *ret); /* node UINT32_MAX: all */
enum dk_task_state dk_core_task_state(const struct dk_core *core, uint32_t run, uint32_t task);
struct dk_id dk_core_task_attempt(const struct dk_core *core, uint32_t run, uint32_t task); /* current or last one */
const struct dk_digest *dk_core_attempt_key(const struct dk_core *core, struct dk_id id);   /* NULL: unknown attempt */
/* Where a living attempt is; DK_HOSTS_MAX: unknown attempt. */
uint32_t dk_core_attempt_host(const struct dk_core *core, struct dk_id id);
/* The task that has claimed an attempt (others may share it); false: none. */
bool dk_core_attempt_task(const struct dk_core *core, struct dk_id id, uint32_t *ret_run, uint32_t *ret_task);
/* Living attempts at a host, those that no task asks for too. */
uint32_t dk_core_living(const struct dk_core *core, uint32_t host);
/* Slots that a run may book beside those that it has; UINT32_MAX: as many as there are. */
uint32_t dk_core_spare_jobs(const struct dk_core *core, uint32_t run);
/* The first READY task of a run, from `from` on, that nothing but room keeps back; UINT32_MAX: there is none (or the
 * run has all the slots that it may book). */
uint32_t dk_core_next_ready(const struct dk_core *core, uint32_t run, uint32_t from);
/* Living attempts at a host that no task asks for, and that are not to be ended (tests look). */
uint32_t dk_core_unclaimed(const struct dk_core *core, uint32_t host);
/* The open session with a host's agent, as the core knows it; 0: none. */
uint64_t dk_core_session(const struct dk_core *core, uint32_t host);
/* A host has just fallen silent: time is measured until it counts as lost. */
bool dk_core_is_timing(const struct dk_core *core);

int dk_core_check(const struct dk_core *core,
                  struct dk_error *error); /* invariants; -EINVAL with the first that is broken */
/* Of what lasts: attempts and the incarnation. */
void dk_core_digest(const struct dk_core *core, struct dk_digest *ret);
/* Of the retries that a run's tasks have used, which a core has again when the run is added with what its records say
 * (`tried`). */
void dk_core_tries_digest(const struct dk_core *core, uint32_t run, struct dk_digest *ret);

void dk_out_clear(struct dk_out *out);
void dk_out_finish(struct dk_out *out);

#endif

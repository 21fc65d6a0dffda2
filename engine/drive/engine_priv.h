/* What the files of the engine share; nobody else includes it. */
#ifndef DK_DRIVE_ENGINE_PRIV_H
#define DK_DRIVE_ENGINE_PRIV_H

#include "engine/drive/engine.h"
#include "engine/drive/fleet.h"
#include "engine/drive/fleet_place.h"
#include "engine/drive/reach_priv.h"
#include "engine/drive/rentals.h"
#include "engine/drive/turn.h"
#include "engine/source/snapshot.h"
#include "engine/sys/machine.h"

/* An event that waits for its turn, with the bytes it points to. */
struct waiting {
  struct dk_event event;
  char *bytes;
};

/* A host that has refused tasks of a node for good. */
struct dk_engine_bar {
  uint32_t node, host;
};

/* A run that goes on. */
struct dk_engine_run {
  struct dk_engine *engine;
  struct dk_run record;
  struct dk_load *load;
  const struct dk_plan *plan; /* of load */
  struct dk_repo *repo;
  struct dk_snapshot snapshot;
  struct dk_lookup_state lookup;
  char **variables;
  struct dk_buf sources;         /* dk_unchanged_sources */
  char **bad;                    /* by task: why it could not be handed out; NULL table until one could not */
  uint8_t *was_done;             /* a bit per task that an earlier engine recorded as done in this run; NULL: none */
  struct dk_duration *durations; /* by template */
  struct dk_needs needs;
  uint8_t *n_lost; /* by task: how often its outputs were lost in this life of the run; NULL: none were */
  struct dk_engine_bar *bars;
  uint32_t n_bars, cap_bars;
  uint32_t n_asked;
  bool is_cancelled; /* as a whole */
  bool is_spent;     /* its limit has been reached, and was told */
  bool is_over;      /* FINISHED was done: to be taken off */
};

struct dk_engine {
  struct dk_engine_options with;
  struct dk_core *core;
  struct dk_turn turn;
  struct dk_world world;
  struct dk_engine_host **hosts; /* by number; NULL: none of that number */
  uint32_t n_hosts, cap_hosts;
  struct dk_hosts **loaded; /* dk_fleet_reload */
  uint32_t n_loaded, cap_loaded;
  struct dk_digest files; /* the files of providers, as they were applied */
  uint64_t files_at;      /* when they are looked at next */
  uint8_t store_id[16];
  uint64_t incarnation;
  struct dk_pulls *pulls;
  struct dk_rentals *rentals;
  struct dk_reaches reaches;
  uint64_t lost_after_ns;
  uint64_t save_at;          /* when what changed of hosts is committed by itself; 0: nothing has */
  uint64_t hours_at;         /* when hosts' hours are looked at next */
  struct dk_machine machine; /* this one */
  struct dk_engine_run **runs;
  uint32_t n_runs, cap_runs, last_number;
  struct dk_batch batch; /* of the commit that is being made */
  struct dk_batch extra; /* writes that go with the next one */
  struct waiting *queue; /* ring */
  uint32_t head, n_queue, cap_queue;
  char *given_bytes; /* of the event that was handed out last */
  uint64_t observer_at;
  uint32_t n_unheard;
  uint32_t slots;     /* of all hosts that are there */
  bool has_left_here; /* earlier engines handed tasks to this machine, and nobody has heard of their ends */
  bool is_woken;
  bool has_unsynced; /* a result that came in names objects, and they were not synced since */
  char host[256];    /* this machine's name */
  int failed;        /* negative errno of what act() met; ends the engine */
  struct dk_error *error;
};

/* queue.c: events that wait for their turn. Push takes `bytes` (heap, may be NULL), also when it fails. */
void dk_engine_push(struct dk_engine *engine, const struct dk_event *event, char *bytes);
bool dk_engine_pop(struct dk_engine *engine, struct dk_event *ret);

/* What act() or a message cannot do ends the engine: the core is thrown away, nothing is lost. */
void dk_engine_fail(struct dk_engine *engine, int r, const struct dk_error *error);
void dk_engine_say(struct dk_engine *engine, const char *text);

/* runs.c */
struct dk_engine_run *dk_engine_find_run(const struct dk_engine *engine, uint32_t number); /* NULL: it has ended */
int dk_engine_resume(struct dk_engine *engine, struct dk_error *error); /* the runs that earlier engines left */
void dk_engine_finish_run(struct dk_engine *engine, uint32_t number);   /* FINISHED: records its end and tells it */
void dk_engine_reap(struct dk_engine *engine);                          /* takes finished runs off */
void dk_engine_destroy_runs(struct dk_engine *engine);
/* Why a task failed, in words, until its record is shown and kept. */
void dk_engine_remember_bad(struct dk_engine_run *run, uint32_t task, const char *text);
/* The same of an attempt that was refused: when the task fails by it, its words are found as if it had ended so. */
void dk_engine_remember_refused(struct dk_engine_run *run, uint32_t task, const struct dk_event *refused,
                                const char *text);

/* supersede.c: what other runs of the file still do and this new one does not ask for: told in *out, and ended with
 * `prune`. */
int dk_engine_supersede(struct dk_engine *engine, const struct dk_engine_run *by, bool prune, struct dk_buf *out,
                        struct dk_error *error);

/* order.c: nodes in the order of handing out, longest way to the end first; NULL: no memory. *ret_durations is by
 * template. */
uint32_t *dk_engine_order(struct dk_store *store, const struct dk_plan *plan, struct dk_duration **ret_durations);

/* act.c */
/* Are outputs that the order needs as inputs lost? LATER: they are being made again; NEVER: one of them is not. */
enum dk_made { DK_MADE, DK_MADE_LATER, DK_MADE_NEVER };
enum dk_made dk_engine_inputs_made(const struct dk_engine_run *run, const struct dk_order *order);
void dk_engine_act(void *ctx, const struct dk_action *action);
int dk_engine_lose_inputs(struct dk_engine_run *run, uint32_t task, struct dk_engine_host *host, uint32_t *ret_n,
                          struct dk_error *error);
/* receive.c: what comes from a host's agent. */
void dk_engine_message(struct dk_engine_host *host, uint64_t session, struct dk_message *message);
void dk_engine_down(struct dk_engine_host *host, uint64_t session, const char *why);
/* A RESULT, when everything that it needs is here. */
void dk_engine_take_result(struct dk_engine_host *host, uint64_t session, struct dk_message *message);

#endif

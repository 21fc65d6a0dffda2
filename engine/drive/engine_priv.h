/* What the files of the engine share; nobody else includes it. */
#ifndef DK_DRIVE_ENGINE_PRIV_H
#define DK_DRIVE_ENGINE_PRIV_H

#include "engine/drive/engine.h"
#include "engine/drive/link.h"
#include "engine/drive/turn.h"

/* An event that waits for its turn, with the bytes it points to. */
struct waiting {
  struct dk_event event;
  char *bytes;
};

struct dk_engine {
  struct dk_engine_options with;
  struct dk_core *core;
  struct dk_turn turn;
  struct dk_world world;
  struct dk_lookup_state lookup;
  struct dk_link *link;
  struct dk_run run;
  struct dk_batch batch; /* of the commit that is being made */
  struct waiting *queue; /* ring */
  uint32_t head, n_queue, cap_queue;
  char *given_bytes; /* of the event that was handed out last */
  char **bad;        /* by task: why it could not be handed out; NULL table until one could not */
  uint64_t observer_at;
  uint32_t n_cancels, n_unheard;
  bool is_recorded; /* the run is in the store */
  int failed;       /* negative errno of what act() met; ends the run */
  struct dk_error *error;
};

/* queue.c: events that wait for their turn. Push takes `bytes` (heap, may be NULL), also when it fails. */
void dk_engine_push(struct dk_engine *engine, const struct dk_event *event, char *bytes);
bool dk_engine_pop(struct dk_engine *engine, struct dk_event *ret);

/* What act() or a message cannot do ends the run: the core is thrown away, nothing is lost. */
void dk_engine_fail(struct dk_engine *engine, int r, const struct dk_error *error);
/* Why a task failed, in words, until its record is shown and kept. */
void dk_engine_remember_bad(struct dk_engine *engine, uint32_t task, const char *text);
void dk_engine_say(struct dk_engine *engine, const char *text);

/* act.c */
void dk_engine_act(void *ctx, const struct dk_action *action);
/* receive.c: callbacks of the link. */
void dk_engine_message(void *ctx, uint64_t session, struct dk_message *message);
void dk_engine_down(void *ctx, uint64_t session, const char *why);

#endif

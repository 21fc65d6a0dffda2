/* Events that wait for their turn: a ring that grows. */
#include "engine/drive/engine_priv.h"
#include "lang/base/alloc.h"

#include <errno.h>

void dk_engine_push(struct dk_engine *engine, const struct dk_event *event, char *bytes) {
  if (engine->n_queue == engine->cap_queue) {
    uint32_t cap = engine->cap_queue ? engine->cap_queue * 2 : 64;
    struct waiting *grown = dk_calloc(cap, sizeof *grown);
    if (!grown) {
      dk_free(bytes);
      dk_engine_fail(engine, -ENOMEM, NULL);
      return;
    }
    for (uint32_t i = 0; i < engine->n_queue; i++) grown[i] = engine->queue[(engine->head + i) % engine->cap_queue];
    dk_free(engine->queue);
    engine->queue = grown;
    engine->head = 0;
    engine->cap_queue = cap;
  }
  engine->queue[(engine->head + engine->n_queue++) % engine->cap_queue] = (struct waiting){*event, bytes};
}

bool dk_engine_pop(struct dk_engine *engine, struct dk_event *ret) {
  if (engine->n_queue == 0) return false;
  dk_free(engine->given_bytes);
  *ret = engine->queue[engine->head].event;
  engine->given_bytes = engine->queue[engine->head].bytes;
  engine->head = (engine->head + 1) % engine->cap_queue;
  engine->n_queue--;
  return true;
}

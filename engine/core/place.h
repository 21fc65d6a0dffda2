/* Where tasks go: which host a READY one is handed out to (place.c), and which orders are asked back (recall.c). Of the
 * core alone, like internal.h. */
#ifndef DK_CORE_PLACE_H
#define DK_CORE_PLACE_H

#include "engine/core/internal.h"

struct dk_places {
  uint32_t n_open; /* hosts that orders can go to now */
  uint64_t open;   /* their bits */
  uint64_t slots;  /* of all hosts that are there */
};
/* A host in a set of 64: those that are the same modulo 64 share a bit, so a set may have a host too many, and none too
 * few. */
static inline uint64_t dk_place_bit(uint32_t host) {
  return UINT64_C(1) << host % 64;
}
struct dk_places dk_place_open(struct dk_core *core);
enum dk_placed { DK_PLACED, DK_PLACED_NO_ROOM, DK_PLACED_NOWHERE };
/* The host that a READY task is to go to, and the slots that it books there. NO_ROOM: hosts that suit are there, and
 * from now on closed to others. NOWHERE: none that is there suits. */
enum dk_placed dk_place_choose(struct dk_core *core, struct dk_places *places, struct dk_core_run *run, uint32_t task,
                               uint32_t *ret_host, uint32_t *ret_cost);
/* The answer to that is known to be the same as last time, without asking: not DK_PLACED. */
bool dk_place_is_known(const struct dk_core *core, const struct dk_places *places, const struct dk_claim *claim,
                       enum dk_placed *ret);
/* A host with as many spare slots as it books, where it would start earlier than where its order waits. DK_NONE. */
uint32_t dk_place_better(struct dk_core *core, const struct dk_attempt *attempt);
/* The task may not run on the host, but on another one that is known. */
bool dk_place_is_elsewhere(struct dk_core *core, struct dk_core_run *run, uint32_t task, uint32_t host);
void dk_place_note(struct dk_core *core, const struct dk_event *event); /* before it is heeded: is it news? */
void dk_place_recheck(struct dk_core *core); /* those aside, some a step: does any host suit by now? */
bool dk_place_is_checking(const struct dk_core *core);

/* --- recall.c --- */

void dk_recall(struct dk_core *core); /* orders that wait while another host has room come back */

#endif

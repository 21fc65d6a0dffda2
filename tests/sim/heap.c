/* What is to happen, by time; ties in the order they were asked for. */
#include "lang/base/alloc.h"
#include "tests/sim/sim.h"

#include <string.h>

static bool is_before(const struct sim_event *a, const struct sim_event *b) {
  return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

struct sim_event *sim_at(struct sim *s, uint64_t at, enum sim_event_kind kind) {
  if (!dk_grow(s->heap, s->n_heap, s->cap_heap)) sim_need(NULL);
  struct sim_event event;
  memset(&event, 0, sizeof event);
  event.at = at > s->now ? at : s->now;
  event.serial = ++s->serial;
  event.kind = kind;
  uint32_t i = s->n_heap++;
  for (; i > 0 && is_before(&event, &s->heap[(i - 1) / 2]); i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
  s->heap[i] = event;
  return &s->heap[i];
}

struct sim_event *sim_at_host(struct sim *s, const struct sim_host *host, uint64_t at, enum sim_event_kind kind) {
  struct sim_event *event = sim_at(s, at, kind);
  event->host = host->number;
  return event;
}

uint64_t sim_next_at(const struct sim *s) {
  return s->n_heap ? s->heap[0].at : UINT64_MAX;
}

bool sim_pop(struct sim *s, uint64_t until, struct sim_event *ret) {
  if (s->n_heap == 0 || s->heap[0].at > until) return false;
  *ret = s->heap[0];
  struct sim_event last = s->heap[--s->n_heap];
  uint32_t i = 0;
  for (;;) {
    uint32_t child = 2 * i + 1;
    if (child >= s->n_heap) break;
    if (child + 1 < s->n_heap && is_before(&s->heap[child + 1], &s->heap[child])) child++;
    if (!is_before(&s->heap[child], &last)) break;
    s->heap[i] = s->heap[child];
    i = child;
  }
  if (s->n_heap) s->heap[i] = last;
  return true;
}

void sim_happen(struct sim *s, struct sim_event *event) {
  switch (event->kind) {
  case EV_TO_AGENT:
  case EV_TO_ENGINE:
  case EV_AGENT_HEARS_CLOSE:
  case EV_ENGINE_HEARS_CLOSE:
  case EV_CONNECT: sim_net_event(s, event); break;
  case EV_AGENT_START:
  case EV_TASK_END:
  case EV_TASK_TERM:
  case EV_KEEPER_SAYS:
  case EV_KEEPER_BUSY:
  case EV_KEEPER_FOUND:
  case EV_DATA_CAME: sim_host_event(s, event); break;
  case EV_ANSWER: sim_engine_event(s, event); break;
  case EV_ASK: sim_people_event(s, event); break;
  case EV_PLACES:
  case EV_HOST_ADDED: sim_place_event(s, event); break;
  }
  dk_buf_finish(&event->bytes);
}

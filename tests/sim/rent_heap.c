/* What is to happen, by time; ties in the order they were asked for. */
#include "lang/base/alloc.h"
#include "tests/sim/rent.h"

#include <assert.h>

static bool is_before(const struct rs_event *a, const struct rs_event *b) {
  return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

struct rs_event *rs_at(struct rs *s, uint64_t at, enum rs_event_kind kind) {
  bool has_room = dk_grow(s->heap, s->n_heap, s->cap_heap);
  assert(has_room); /* the simulator is a test: no memory, no test */
  struct rs_event event = {.at = at > s->now ? at : s->now, .serial = ++s->serial, .kind = kind, .epoch = s->epoch};
  uint32_t i = s->n_heap++;
  for (; i > 0 && is_before(&event, &s->heap[(i - 1) / 2]); i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
  s->heap[i] = event;
  return &s->heap[i];
}

bool rs_pop(struct rs *s, uint64_t until, struct rs_event *ret) {
  if (s->n_heap == 0 || s->heap[0].at > until) return false;
  *ret = s->heap[0];
  struct rs_event last = s->heap[--s->n_heap];
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

void rs_happen(struct rs *s, const struct rs_event *event) {
  switch (event->kind) {
  case RS_ANSWER:
    if (s->rent && event->epoch == s->epoch) rs_push(s, &event->answer);
    break;
  case RS_CONNECT:
  case RS_CUT:
  case RS_WORK:
  case RS_ARRIVE:
  case RS_LOST: rs_work_event(s, event); break;
  case RS_CONFIGURE:
  case RS_SAVE_US: rs_people_event(s, event); break;
  case RS_IMAGE:
  case RS_BUILT: rs_image_event(s, event); break;
  }
}

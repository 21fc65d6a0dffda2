/* Images: what the engine of now knows of each pool's, and what comes of the builders. What is made is in the cloud,
 * and the next engine finds it there; who was at work on a builder dies with its engine. */
#include "tests/sim/rent.h"

#include <string.h>

static void tell(struct rs *s, struct rs_pool *pool, enum dk_rent_image image) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_IMAGE, .pool = pool->config.number};
  pool->config.image = image;
  event.u.image = image;
  if (pool->is_known) rs_push(s, &event);
}

void rs_image_begin(struct rs *s) {
  for (uint32_t i = 0; i < s->n_pools; i++) {
    if (!s->pools[i].has_image) continue;
    s->pools[i].config.image = DK_RENT_IMAGE_SOUGHT;
    rs_at(s, s->now + sim_below(&s->luck, 20) * RS_SECOND, RS_IMAGE)->pool = i;
  }
}

void rs_image_build(struct rs *s, uint32_t machine) {
  rs_at(s, s->now + (1 + sim_below(&s->luck, 20)) * RS_MINUTE, RS_BUILT)->machine = machine;
}

/* Its setup has ended, or it broke. */
static void built(struct rs *s, const struct rs_machine *machine) {
  const struct dk_rented *record = rs_record_at(s, machine);
  struct rs_pool *pool = &s->pools[machine->pool];
  struct dk_rent_event event = {.kind = DK_RENT_EV_RELEASE, .pool = UINT32_MAX};
  if (!record || record->state != DK_RENT_UP) return;
  if (rs_is_calm(s) || sim_chance(&s->luck, 700)) {
    pool->is_made = true;
    tell(s, pool, DK_RENT_IMAGE_THERE);
  }
  event.number = record->number;
  event.u.release.is_hard = true;
  rs_push(s, &event);
}

void rs_image_event(struct rs *s, const struct rs_event *event) {
  if (!s->rent || event->epoch != s->epoch) return;
  struct rs_pool *pool = &s->pools[event->pool];
  if (event->kind == RS_BUILT)
    built(s, &s->machines[event->machine]);
  else
    tell(s, pool, pool->is_made ? DK_RENT_IMAGE_THERE : DK_RENT_IMAGE_MISSING);
}

/* A builder is made when there is no image, and none is at work on one; all others when there is. */
void rs_image_check(struct rs *s, const struct dk_rented *rented) {
  const struct rs_pool *pool = NULL;
  for (uint32_t i = 0; i < s->n_pools; i++)
    if (strcmp(s->pools[i].config.name, rented->pool) == 0) pool = &s->pools[i];
  enum dk_rent_image wanted = rented->is_builder ? DK_RENT_IMAGE_MISSING : DK_RENT_IMAGE_THERE;
  if (pool && pool->told_image != wanted)
    rs_fail(s, "instance %u is made when the image of %s is %d", rented->number, rented->pool, (int)pool->told_image);
  for (uint32_t i = 0; rented->is_builder && i < dk_rent_count(s->rent, UINT32_MAX); i++) {
    const struct dk_rented *other = dk_rent_at(s->rent, i);
    if (other->is_builder && other->number != rented->number && other->state != DK_RENT_ENDING &&
        strcmp(other->pool, rented->pool) == 0)
      rs_fail(s, "a second builder in %s", rented->pool);
  }
}

/* A dk_rent with a clock that the test moves, and the records that it has given. */
#ifndef DK_TEST_RENT_BED_H
#define DK_TEST_RENT_BED_H

#include "engine/rent/rent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define GIB (UINT64_C(1) << 30)

#define BED_UNIX (UINT64_C(1700000000) * SECOND) /* the wall clock when `now` is 0 */

struct bed {
  struct dk_rent *rent;
  struct dk_rent_policy policy;
  struct dk_rent_out out; /* of the last event */
  uint64_t now, seq;
  struct dk_rented kept[64]; /* records */
  uint32_t n_kept, taken;
  struct dk_purse spent;                                                       /* records */
  uint32_t n_told[DK_RENT_TELL_BLIND + 1], count_told[DK_RENT_TELL_BLIND + 1]; /* how often; the last count */
  uint32_t listing[4]; /* by pool: serial of the list that is asked for; 0: none */
};

void bed_open(struct bed *bed);
void bed_close(struct bed *bed);
void bed_restart(struct bed *bed);                          /* another engine, with what was kept */
void bed_give(struct bed *bed, struct dk_rent_event event); /* and again while there is more */
void bed_wait(struct bed *bed, uint64_t ns);                /* with a TICK at each deadline on the way */
const struct dk_rent_action *bed_find(const struct bed *bed, enum dk_rent_action_kind kind); /* NULL: not in `out` */
const struct dk_rent_action *bed_told(const struct bed *bed, enum dk_rent_tell tell);
uint32_t bed_count(const struct bed *bed, enum dk_rent_action_kind kind); /* in `out` */
const struct dk_rented *bed_kept(const struct bed *bed, uint32_t number); /* NULL: no record */

/* Events. */
struct dk_rent_pool bed_pool(uint32_t number, const struct dk_rent_shape *shapes, uint32_t n_shapes);
void bed_configure(struct bed *bed, const struct dk_rent_pool *pool);
void bed_demand(struct bed *bed, uint32_t cpus, uint32_t n); /* of one need */
void bed_created(struct bed *bed, uint32_t number);          /* with the id "i-NUMBER" */
void bed_failed(struct bed *bed, uint32_t number, enum dk_rent_refusal reason);
void bed_doubt(struct bed *bed, uint32_t number);
void bed_up(struct bed *bed, uint32_t number);
void bed_load(struct bed *bed, uint32_t number, uint32_t tasks, uint32_t unsaved);
void bed_release(struct bed *bed, uint32_t number, bool is_hard);
struct bed_row {
  const char *id, *name;
  enum dk_rent_seen seen;
  uint64_t age_ns;
  bool is_ours;
};
/* Waits until the pool is asked for its list, unless it is. Its serial. */
uint32_t bed_asked(struct bed *bed, uint32_t pool);
void bed_answer(struct bed *bed, uint32_t pool, uint32_t serial, bool is_complete, const struct bed_row *rows,
                uint32_t n);                                                           /* a list */
void bed_list(struct bed *bed, uint32_t pool, const struct bed_row *rows, uint32_t n); /* both; complete */

#endif

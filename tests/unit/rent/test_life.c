/* The life of an instance, and what a pool's cloud can answer. What lists prove is in test_proof.c; whole lives with
 * faults are tests/sim's. */
#include "lang/base/alloc.h"
#include "tests/unit/rent/bed.h"

#include <errno.h>

static const struct dk_rent_shape shapes[] = {
    {.name = "two", .cpus = 2, .memory = 8 * GIB, .price = 30000},
    {.name = "eight", .cpus = 8, .memory = 32 * GIB, .price = 200000},
};

static struct dk_rent_pool open_pool(struct bed *bed, uint32_t n_shapes) {
  struct dk_rent_pool pool = bed_pool(1, shapes, n_shapes);
  bed_open(bed);
  bed_configure(bed, &pool);
  return pool;
}

static void up(struct bed *bed, uint32_t number) {
  bed_created(bed, number);
  bed_up(bed, number);
}

/* Nothing is asked for within `ns`, but lists. */
static void check_quiet(struct bed *bed, uint64_t ns) {
  uint64_t until = bed->now + ns;
  while (bed->now < until) {
    bed_wait(bed, until - bed->now);
    assert_null(bed_find(bed, DK_RENT_CREATE));
    assert_null(bed_find(bed, DK_RENT_DELETE));
  }
}

static void from_intent_to_gone(void **state) {
  (void)state;
  struct bed bed;
  const struct dk_rent_pool pool = open_pool(&bed, 1);
  bed_demand(&bed, 1, 2);
  const struct dk_rent_action *action = bed_find(&bed, DK_RENT_CREATE);
  assert_non_null(action);
  assert_true(action->number == 1 && action->pool == 1 && action->gate == bed.seq);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_ASKED);
  assert_int_equal(bed.taken, 1);
  bed_created(&bed, 1);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_MADE);
  assert_string_equal(bed_kept(&bed, 1)->id, "i-1");
  const struct bed_row boots = {.id = "i-1", .seen = DK_RENT_BOOTING}, runs = {.id = "i-1", .seen = DK_RENT_RUNNING};
  bed_list(&bed, 1, &boots, 1);
  assert_null(bed_find(&bed, DK_RENT_DIAL));
  uint32_t serial = bed_asked(&bed, 1);
  struct dk_rent_event row = {.kind = DK_RENT_EV_LISTED, .pool = 1};
  row.u.listed.serial = serial;
  row.u.listed.id = row.u.listed.name = runs.id;
  row.u.listed.seen = DK_RENT_RUNNING;
  bed_give(&bed, row);
  assert_non_null(bed_find(&bed, DK_RENT_DIAL));
  bed_give(&bed, (struct dk_rent_event){.kind = DK_RENT_EV_HOST, .number = 1, .u.host = {12}});
  assert_int_equal(bed_kept(&bed, 1)->host, 12);
  bed_up(&bed, 1);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_UP);
  bed_load(&bed, 1, 2, 0);
  bed_demand(&bed, 1, 0);
  bed_answer(&bed, 1, serial, true, NULL, 0);
  check_quiet(&bed, 10 * pool.idle_ns);
  bed_load(&bed, 1, 0, 0);
  check_quiet(&bed, pool.idle_ns - SECOND);
  bed_wait(&bed, SECOND);
  assert_non_null(bed_find(&bed, DK_RENT_DELETE));
  assert_non_null(bed_find(&bed, DK_RENT_FORGET));
  assert_int_equal(bed_find(&bed, DK_RENT_DELETE)->gate, bed.seq);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_ENDING);
  bed_give(&bed, (struct dk_rent_event){.kind = DK_RENT_EV_DELETE_ANSWERED, .number = 1});
  while (bed_kept(&bed, 1)) bed_list(&bed, 1, NULL, 0);
  assert_int_equal(dk_rent_count(bed.rent, UINT32_MAX), 0);
  bed_close(&bed);
}

static void numbers_are_not_used_again(void **state) {
  (void)state;
  struct bed bed;
  const struct dk_rent_pool pool = open_pool(&bed, 1);
  bed_demand(&bed, 1, 1);
  bed_failed(&bed, 1, DK_RENT_CAPACITY);
  assert_null(bed_kept(&bed, 1));
  bed_restart(&bed);
  bed_configure(&bed, &pool);
  bed_demand(&bed, 1, 1);
  assert_int_equal(bed_find(&bed, DK_RENT_CREATE)->number, 2);
  char name[DK_RENT_NAME], other[DK_RENT_NAME];
  const uint8_t store[16] = {0xab, 1}, another[16] = {0xac, 1};
  dk_rent_name(store, 8, 2, name);
  assert_string_equal(name, "dk-ab01000000000000-0000000000000008-2");
  dk_rent_name(another, 8, 2, other);
  assert_string_not_equal(name, other);
  bed_close(&bed);
}

static void what_is_unsaved_is_kept(void **state) {
  (void)state;
  struct bed bed;
  const struct dk_rent_pool pool = open_pool(&bed, 1);
  bed_demand(&bed, 1, 1);
  up(&bed, 1);
  bed_load(&bed, 1, 0, 3);
  bed_demand(&bed, 1, 0);
  check_quiet(&bed, 20 * pool.idle_ns);
  /* When done: not yet. */
  bed_release(&bed, 1, false);
  assert_true(bed_kept(&bed, 1)->is_leaving);
  assert_null(bed_find(&bed, DK_RENT_DELETE));
  /* A new engine does not know what is on it. */
  bed_restart(&bed);
  bed_configure(&bed, &pool);
  check_quiet(&bed, 10 * MINUTE);
  bed_load(&bed, 1, 0, 0);
  assert_non_null(bed_find(&bed, DK_RENT_DELETE));
  bed_close(&bed);
}

static void people_say_hard(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed, 1);
  bed_demand(&bed, 1, 4);
  up(&bed, 1);
  bed_load(&bed, 1, 2, 3);
  bed_release(&bed, DK_RENT_ALL, true);
  assert_int_equal(bed_find(&bed, DK_RENT_DELETE)->number, 1);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_ENDING);
  assert_int_equal(bed_kept(&bed, 2)->state, DK_RENT_ENDING); /* its call is under way */
  bed_created(&bed, 2);
  assert_int_equal(bed_find(&bed, DK_RENT_DELETE)->number, 2);
  /* All were released: nothing new is made for the same demand. */
  bed_demand(&bed, 1, 4);
  check_quiet(&bed, SECOND / 2);
  const struct dk_rent_pool pool = bed_pool(1, shapes, 1);
  bed_configure(&bed, &pool);
  assert_non_null(bed_find(&bed, DK_RENT_CREATE));
  bed_close(&bed);
}

static void a_gap_is_no_idleness(void **state) {
  (void)state;
  struct bed bed;
  const struct dk_rent_pool pool = open_pool(&bed, 1);
  bed_demand(&bed, 1, 1);
  up(&bed, 1);
  bed_load(&bed, 1, 0, 0);
  bed_demand(&bed, 1, 0);
  bed.now += 100 * pool.idle_ns;
  bed_give(&bed, (struct dk_rent_event){.kind = DK_RENT_EV_GAP});
  check_quiet(&bed, pool.idle_ns - SECOND);
  bed_wait(&bed, SECOND);
  assert_non_null(bed_find(&bed, DK_RENT_DELETE));
  bed_close(&bed);
}

/* "Never" is no time that could overflow. */
static void never(void **state) {
  (void)state;
  struct bed bed;
  struct dk_rent_pool pool = open_pool(&bed, 1);
  pool.idle_ns = pool.boot_ns = UINT64_MAX;
  bed_configure(&bed, &pool);
  bed_demand(&bed, 1, 1);
  bed_created(&bed, 1);
  check_quiet(&bed, 100000 * MINUTE);
  bed_up(&bed, 1);
  bed_load(&bed, 1, 0, 0);
  bed_demand(&bed, 1, 0);
  check_quiet(&bed, 100000 * MINUTE);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_UP);
  bed_close(&bed);
}

static void refusals(void **state) {
  (void)state;
  struct bed bed;
  struct dk_rent_pool pool = open_pool(&bed, 2), next = bed_pool(2, shapes, 1);
  pool.max_instances = 1;
  next.order = 1;
  bed_configure(&bed, &pool);
  bed_configure(&bed, &next);
  /* Capacity: the next shape, then the next pool. */
  bed_demand(&bed, 1, 1);
  assert_string_equal(bed_kept(&bed, 1)->shape.name, "two");
  bed_failed(&bed, 1, DK_RENT_CAPACITY);
  assert_non_null(bed_told(&bed, DK_RENT_TELL_CAPACITY));
  assert_string_equal(bed_kept(&bed, 2)->shape.name, "eight");
  bed_failed(&bed, 2, DK_RENT_CAPACITY);
  assert_null(bed_told(&bed, DK_RENT_TELL_CAPACITY)); /* said already */
  assert_string_equal(bed_kept(&bed, 3)->pool, "two");
  /* Throttled: it is waited for, as long as the cloud asks. */
  struct dk_rent_event throttled = {.kind = DK_RENT_EV_CREATE_FAILED, .number = 3};
  throttled.u.failed.reason = DK_RENT_THROTTLED;
  throttled.u.failed.retry_after_ns = 100 * SECOND;
  bed_give(&bed, throttled);
  check_quiet(&bed, 100 * SECOND);
  while (!bed_find(&bed, DK_RENT_CREATE)) bed_wait(&bed, MINUTE);
  /* Quota: it is told how many there are. */
  bed_failed(&bed, 4, DK_RENT_QUOTA);
  assert_int_equal(bed_told(&bed, DK_RENT_TELL_QUOTA)->count, 0);
  bed_close(&bed);
}

static void denied(void **state) {
  (void)state;
  struct bed bed;
  const struct dk_rent_pool pool = open_pool(&bed, 1);
  bed_demand(&bed, 1, 4);
  assert_int_equal(bed_count(&bed, DK_RENT_CREATE), 2);
  bed_failed(&bed, 1, DK_RENT_DENIED);
  assert_non_null(bed_told(&bed, DK_RENT_TELL_DENIED));
  bed_failed(&bed, 2, DK_RENT_BAD);
  assert_null(bed_find(&bed, DK_RENT_TELL));
  check_quiet(&bed, 3000 * MINUTE);
  bed_configure(&bed, &pool);
  assert_int_equal(bed_count(&bed, DK_RENT_CREATE), 2);
  bed_close(&bed);
}

/* Three that do not come up, then a pause, then one at a time, then a longer pause. */
static void failures_in_a_row(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed, 1);
  bed_demand(&bed, 1, 6);
  for (uint32_t number = 1; number <= 3; number++) bed_created(&bed, number);
  while (!bed_find(&bed, DK_RENT_TELL)) bed_wait(&bed, MINUTE);
  const struct dk_rent_action *told = bed_told(&bed, DK_RENT_TELL_FAILING);
  assert_non_null(told);
  assert_int_equal(told->count, 3);
  uint64_t wait = told->wait_ns;
  assert_true(wait >= bed.policy.pause_ns);
  for (uint32_t number = 1; number <= 3; number++) assert_int_equal(bed_kept(&bed, number)->state, DK_RENT_ENDING);
  for (uint64_t until = bed.now + wait - 1; bed.now < until;) {
    bed_wait(&bed, until - bed.now);
    assert_null(bed_find(&bed, DK_RENT_CREATE));
  }
  while (!bed_find(&bed, DK_RENT_CREATE)) bed_wait(&bed, MINUTE);
  assert_int_equal(bed_count(&bed, DK_RENT_CREATE), 1);
  bed_created(&bed, 4);
  while (!bed_told(&bed, DK_RENT_TELL_FAILING)) bed_wait(&bed, MINUTE);
  assert_true(bed_told(&bed, DK_RENT_TELL_FAILING)->wait_ns >= 2 * bed.policy.pause_ns);
  bed_close(&bed);
}

static void canary(void **state) {
  (void)state;
  struct bed bed;
  struct dk_rent_pool pool = open_pool(&bed, 1);
  pool.is_paid = true;
  bed_configure(&bed, &pool);
  bed_demand(&bed, 1, 8);
  assert_int_equal(bed_count(&bed, DK_RENT_CREATE), 1);
  up(&bed, 1);
  bed_load(&bed, 1, 2, 0);
  bed_demand(&bed, 1, 6);
  assert_null(bed_find(&bed, DK_RENT_CREATE));
  struct dk_rent_event proof = {.kind = DK_RENT_EV_LOAD, .number = 1};
  proof.u.load.tasks = 2;
  proof.u.load.is_proof = true;
  bed_give(&bed, proof);
  assert_int_equal(bed_count(&bed, DK_RENT_CREATE), 3);
  assert_true(bed_kept(&bed, 1)->is_proven);
  bed_close(&bed);
}

/* An agent that is down takes what waits for a while; then another one does. */
static void down_for_a_while(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed, 1);
  bed_demand(&bed, 1, 1);
  up(&bed, 1);
  bed_load(&bed, 1, 0, 0);
  bed_give(&bed, (struct dk_rent_event){.kind = DK_RENT_EV_AGENT_DOWN, .number = 1});
  bed_demand(&bed, 1, 1);
  check_quiet(&bed, bed.policy.down_ns - SECOND);
  bed_wait(&bed, SECOND);
  assert_non_null(bed_find(&bed, DK_RENT_CREATE));
  bed_close(&bed);
}

static void unused(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed, 1);
  bed_demand(&bed, 1, 1);
  up(&bed, 1);
  bed_load(&bed, 1, 0, 0);
  bed_demand(&bed, 1, 1);
  check_quiet(&bed, bed.policy.unused_ns - SECOND);
  bed_wait(&bed, SECOND);
  assert_int_equal(bed_find(&bed, DK_RENT_DELETE)->number, 1);
  bed_close(&bed);
}

static void taken_out_of_the_configuration(void **state) {
  (void)state;
  struct bed bed;
  const struct dk_rent_pool pool = open_pool(&bed, 1);
  bed_demand(&bed, 1, 2);
  up(&bed, 1);
  bed_load(&bed, 1, 1, 0);
  bed_give(&bed, (struct dk_rent_event){.kind = DK_RENT_EV_POOL_REMOVED, .pool = 1});
  assert_true(bed_kept(&bed, 1)->is_leaving);
  bed_demand(&bed, 1, 9);
  assert_null(bed_find(&bed, DK_RENT_CREATE));
  /* The next engine does not know the pool: it does nothing for it. */
  bed_restart(&bed);
  bed_load(&bed, 1, 0, 0);
  check_quiet(&bed, 100 * MINUTE);
  bed_configure(&bed, &pool);
  assert_non_null(bed_find(&bed, DK_RENT_DELETE));
  bed_close(&bed);
}

/* Cut at the cap, it goes on where it was. */
static void more(void **state) {
  (void)state;
  struct bed bed;
  struct dk_rent_pool pool = open_pool(&bed, 1);
  dk_rent_destroy(bed.rent);
  bed.policy.max_out = 1;
  const uint8_t store[16] = {1};
  assert_int_equal(dk_rent_create(&bed.rent, &bed.policy, store, 7, 1), 0);
  pool.max_instances = 20;
  bed_configure(&bed, &pool);
  bed_demand(&bed, 1, 40);
  assert_int_equal(bed_count(&bed, DK_RENT_CREATE), bed.policy.calls_max);
  for (uint32_t number = 1; number <= 5; number++) up(&bed, number);
  bed_release(&bed, DK_RENT_ALL, true);
  assert_int_equal(bed_count(&bed, DK_RENT_DELETE), 5);
  bed_close(&bed);
}

/* Whatever allocation fails: it says so, and the next engine goes on from what was kept. */
static void out_of_memory(void **state) {
  (void)state;
  bool is_clean = false;
  for (uint64_t n = 1; !is_clean; n++) {
    struct dk_rent *rent = NULL;
    struct dk_rent_out out = {.more = false};
    struct dk_rent_policy policy;
    const uint8_t store[16] = {1};
    const struct dk_rent_pool pool = bed_pool(1, shapes, 2);
    const struct dk_rent_need need = {.cpus = 1, .n = 9};
    struct dk_rent_record record = {
        .rented = {
            .number = 3, .incarnation = 1, .state = DK_RENT_UP, .pool = "one", .id = "i-3", .host = DK_RENT_NO_HOST}};
    struct dk_rent_event demand = {.kind = DK_RENT_EV_DEMAND}, row = {.kind = DK_RENT_EV_LISTED, .pool = 1};
    demand.u.demand.needs = &need;
    demand.u.demand.n = 1;
    row.u.listed.serial = 1;
    row.u.listed.id = row.u.listed.name = "stranger";
    row.u.listed.is_ours = true;
    dk_rent_policy_default(&policy);
    dk_alloc_fail_at(n);
    int r = dk_rent_create(&rent, &policy, store, 1, 1);
    if (r == 0) r = dk_rent_load(rent, &record, 1);
    const struct dk_rent_event events[] = {{.kind = DK_RENT_EV_POOL, .u.configured = &pool}, demand, row};
    for (size_t i = 0; i < sizeof events / sizeof *events && r == 0; i++)
      r = dk_rent_step(rent, SECOND, 1, &events[i], &out);
    is_clean = dk_alloc_count() < n;
    dk_alloc_fail_at(0);
    assert_int_equal(r, is_clean ? 0 : -ENOMEM);
    if (r < 0 && rent && out.n_records)
      assert_int_equal(dk_rent_step(rent, SECOND, 2, &events[0], &out), -ENOMEM); /* it stays broken */
    dk_rent_destroy(rent);
    dk_rent_out_finish(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(from_intent_to_gone),
      cmocka_unit_test(numbers_are_not_used_again),
      cmocka_unit_test(what_is_unsaved_is_kept),
      cmocka_unit_test(people_say_hard),
      cmocka_unit_test(a_gap_is_no_idleness),
      cmocka_unit_test(never),
      cmocka_unit_test(refusals),
      cmocka_unit_test(denied),
      cmocka_unit_test(failures_in_a_row),
      cmocka_unit_test(canary),
      cmocka_unit_test(down_for_a_while),
      cmocka_unit_test(unused),
      cmocka_unit_test(taken_out_of_the_configuration),
      cmocka_unit_test(more),
      cmocka_unit_test(out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What lists, gets and deletes prove, and what they do not. */
#include "tests/unit/rent/bed.h"

static const struct dk_rent_shape shape = {.name = "two", .cpus = 2, .memory = 8 * GIB, .price = 30000};

static struct dk_rent_pool open_pool(struct bed *bed) {
  struct dk_rent_pool pool = bed_pool(1, &shape, 1);
  bed_open(bed);
  pool.max_instances = 1;
  bed_configure(bed, &pool);
  return pool;
}

/* Lists until `ns` have passed since now. */
static void list_for(struct bed *bed, uint64_t ns, const struct bed_row *rows, uint32_t n) {
  uint64_t until = bed->now + ns;
  while (bed->now < until) bed_list(bed, 1, rows, n);
}

static void doubt_is_given_up_late(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed);
  bed_demand(&bed, 1, 1);
  bed_doubt(&bed, 1);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_DOUBT);
  assert_null(bed_find(&bed, DK_RENT_CREATE)); /* not replaced */
  uint64_t from = bed.now;
  while (bed_kept(&bed, 1)) {
    uint32_t serial = bed_asked(&bed, 1);
    assert_null(bed_find(&bed, DK_RENT_CREATE));
    bed_answer(&bed, 1, serial, true, NULL, 0);
  }
  assert_true(bed.now - from >= bed.policy.doubt_ns && bed.now - from < bed.policy.doubt_ns + 2 * MINUTE);
  assert_int_equal(bed_told(&bed, DK_RENT_TELL_GIVEN_UP)->number, 1);
  assert_int_equal(bed_find(&bed, DK_RENT_CREATE)->number, 2);
  bed_close(&bed);
}

static void doubt_is_found(void **state) {
  (void)state;
  struct bed bed;
  const struct dk_rent_pool pool = open_pool(&bed);
  bed_demand(&bed, 1, 1);
  bed_restart(&bed); /* the call may have been made */
  bed_configure(&bed, &pool);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_DOUBT);
  list_for(&bed, 10 * MINUTE, NULL, 0);
  char name[DK_RENT_NAME];
  const uint8_t store[16] = {0xab, 1, 2, 3, 4, 5, 6, 7, 8};
  dk_rent_name(store, 7, 1, name);
  const struct bed_row rows[] = {{.id = "a", .name = "dk-something-else", .seen = DK_RENT_RUNNING},
                                 {.id = "b", .name = name, .seen = DK_RENT_BOOTING, .is_ours = true}};
  bed_list(&bed, 1, rows, 2);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_MADE);
  assert_string_equal(bed_kept(&bed, 1)->id, "b");
  bed_close(&bed);
}

/* A list that was asked for while the call was under way, and incomplete ones. */
static void lists_that_prove_nothing(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed);
  bed_demand(&bed, 1, 1);
  uint32_t early = bed_asked(&bed, 1);
  bed.now += SECOND;
  bed_doubt(&bed, 1);
  bed_answer(&bed, 1, early, true, NULL, 0);
  uint64_t settled = bed.now;
  for (bool is_later = false; !is_later;) {
    uint32_t serial = bed_asked(&bed, 1);
    bed_answer(&bed, 1, serial, false, NULL, 0);
    is_later = bed.now > settled + 3 * bed.policy.doubt_ns;
  }
  uint64_t first = 0;
  for (bool is_there = true; is_there;) {
    uint32_t serial = bed_asked(&bed, 1);
    if (!first) first = bed.now;
    bed_answer(&bed, 1, serial + 1, true, NULL, 0); /* of no list that was asked for */
    bed_answer(&bed, 1, serial, true, NULL, 0);
    is_there = bed_kept(&bed, 1) != NULL;
  }
  assert_true(bed.now - first >= bed.policy.doubt_ns);
  bed_close(&bed);
}

static void what_is_made_is_not_gone_at_once(void **state) {
  (void)state;
  struct bed bed;
  const struct dk_rent_pool pool = open_pool(&bed);
  bed_demand(&bed, 1, 1);
  bed_created(&bed, 1);
  uint64_t from = bed.now;
  list_for(&bed, pool.lag_ns, NULL, 0);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_MADE);
  while (bed_kept(&bed, 1)) bed_list(&bed, 1, NULL, 0);
  assert_true(bed.now - from >= pool.lag_ns + bed.policy.again_ns);
  assert_true(bed.now - from < pool.lag_ns + bed.policy.again_ns + MINUTE);
  bed_close(&bed);
}

static void one_that_answers_is_not_gone(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed);
  bed_demand(&bed, 1, 1);
  bed_created(&bed, 1);
  bed_up(&bed, 1);
  bed_load(&bed, 1, 1, 0);
  bed_demand(&bed, 1, 0);
  list_for(&bed, 60 * MINUTE, NULL, 0);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_UP);
  bed_give(&bed, (struct dk_rent_event){.kind = DK_RENT_EV_HOST, .number = 1, .u.host = {3}});
  bed_give(&bed, (struct dk_rent_event){.kind = DK_RENT_EV_AGENT_DOWN, .number = 1});
  uint64_t from = bed.now;
  bool is_forgotten = false;
  bed_load(&bed, 1, 1, 2);
  while (bed_kept(&bed, 1)) {
    bed_list(&bed, 1, NULL, 0);
    is_forgotten = bed_find(&bed, DK_RENT_FORGET) != NULL;
  }
  assert_true(is_forgotten && bed.now - from >= bed.policy.again_ns);
  assert_null(bed_find(&bed, DK_RENT_DELETE)); /* there is nothing to delete */
  assert_int_equal(bed_told(&bed, DK_RENT_TELL_LOST)->count, 2);
  bed_close(&bed);
}

static void stopped_with_results(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed);
  bed_demand(&bed, 1, 1);
  bed_created(&bed, 1);
  bed_up(&bed, 1);
  bed_load(&bed, 1, 0, 2);
  bed_demand(&bed, 1, 0);
  bed_give(&bed, (struct dk_rent_event){.kind = DK_RENT_EV_AGENT_DOWN, .number = 1});
  const struct bed_row row = {.id = "i-1", .seen = DK_RENT_STOPPED};
  for (uint32_t i = 0; i < 100; i++) bed_list(&bed, 1, &row, 1);
  assert_int_equal(bed.count_told[DK_RENT_TELL_UNSAVED], 2);
  assert_int_equal(bed.n_told[DK_RENT_TELL_UNSAVED], 1);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_UP);
  bed_release(&bed, 1, true);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_ENDING);
  bed_close(&bed);
}

static void strangers(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed);
  struct bed_row rows[] = {
      {.id = "other", .name = "web", .seen = DK_RENT_RUNNING, .age_ns = 100 * MINUTE},
      {.id = "young", .name = "dk-1", .seen = DK_RENT_RUNNING, .age_ns = MINUTE, .is_ours = true},
      {.id = "ours", .name = "dk-2", .seen = DK_RENT_STOPPED, .age_ns = 100 * MINUTE, .is_ours = true},
      {.id = "undated", .name = "dk-3", .age_ns = UINT64_MAX, .is_ours = true}};
  bed_list(&bed, 1, rows, 4);
  assert_int_equal(bed.n_kept, 0); /* seen once */
  bed_list(&bed, 1, rows, 2);
  bed_list(&bed, 1, rows, 4);
  assert_int_equal(bed.n_kept, 0); /* one list lacked it: from the beginning */
  while (bed.n_kept == 0) bed_list(&bed, 1, rows, 4);
  assert_int_equal(bed.n_kept, 1);
  assert_string_equal(bed.kept[0].id, "ours");
  assert_true(bed.kept[0].is_stranger && bed.kept[0].state == DK_RENT_ENDING);
  assert_int_equal(bed_find(&bed, DK_RENT_DELETE)->number, bed.kept[0].number);
  /* Nobody else's, nor what is too young, however often it is seen. */
  for (uint32_t i = 0; i < 50; i++) bed_list(&bed, 1, rows, 4);
  assert_int_equal(bed.n_kept, 1);
  /* It counts. */
  bed_demand(&bed, 1, 1);
  assert_null(bed_find(&bed, DK_RENT_CREATE));
  bed_close(&bed);
}

/* A call that its cloud did twice: the second machine has the name of the first, and is a stranger. */
static void doubled(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed);
  bed_demand(&bed, 1, 1);
  bed_created(&bed, 1);
  char name[DK_RENT_NAME];
  const uint8_t store[16] = {0xab, 1, 2, 3, 4, 5, 6, 7, 8};
  dk_rent_name(store, 7, 1, name);
  const struct bed_row rows[] = {
      {.id = "i-1", .name = name, .seen = DK_RENT_BOOTING, .age_ns = 20 * MINUTE, .is_ours = true},
      {.id = "i-1b", .name = name, .seen = DK_RENT_RUNNING, .age_ns = 20 * MINUTE, .is_ours = true}};
  bed_list(&bed, 1, rows, 2);
  bed_up(&bed, 1);
  while (bed.n_kept == 1) bed_list(&bed, 1, rows, 2);
  assert_string_equal(bed_kept(&bed, 1)->id, "i-1");
  assert_string_equal(bed_kept(&bed, 2)->id, "i-1b");
  assert_true(bed_kept(&bed, 2)->is_stranger);
  bed_close(&bed);
}

/* Two pools of one account: each list shows what is the other's. */
static void shared_account(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed);
  struct dk_rent_pool other = bed_pool(2, &shape, 1);
  other.order = -1;
  other.max_instances = 1;
  bed_configure(&bed, &other);
  bed_demand(&bed, 1, 2);
  bed_created(&bed, 1);
  assert_string_equal(bed_kept(&bed, 1)->pool, "two");
  bed_up(&bed, 1);
  bed_load(&bed, 1, 2, 0);
  bed_demand(&bed, 1, 0);
  const struct bed_row row = {
      .id = "i-1", .name = "?", .seen = DK_RENT_RUNNING, .age_ns = 60 * MINUTE, .is_ours = true};
  for (uint32_t i = 0; i < 50; i++) bed_list(&bed, 1, &row, 1);
  assert_int_equal(bed.n_kept, 1);
  bed_close(&bed);
}

/* A provider that was moved is another pool: no list of the new place says anything of what it has at the old one. */
static void moved(void **state) {
  (void)state;
  struct bed bed;
  struct dk_rent_pool pool = open_pool(&bed);
  bed_demand(&bed, 1, 1);
  bed_created(&bed, 1);
  bed_up(&bed, 1);
  assert_string_equal(bed_kept(&bed, 1)->where, "there");
  bed_restart(&bed);
  pool.where = "elsewhere";
  bed_configure(&bed, &pool);
  list_for(&bed, 60 * MINUTE, NULL, 0);
  bed_release(&bed, 1, true);
  assert_int_equal(bed_kept(&bed, 1)->state, DK_RENT_UP);
  assert_string_equal(bed_kept(&bed, 1)->where, "there");
  assert_int_equal(dk_rent_count(bed.rent, 1), 0);
  pool.where = "there"; /* it is put back */
  pool.number = 2;
  bed_configure(&bed, &pool);
  assert_int_equal(dk_rent_count(bed.rent, 2), 1);
  for (uint32_t i = 0; i < 10 && bed.n_kept; i++) bed_list(&bed, 2, NULL, 0);
  assert_int_equal(bed.n_kept, 0);
  bed_close(&bed);
}

/* A record of a dkrun that wrote no places is of the first one that is configured, and says so from then on. */
static void unplaced(void **state) {
  (void)state;
  struct bed bed;
  struct dk_rent_pool pool = bed_pool(1, &shape, 1);
  bed_open(&bed);
  pool.where = "";
  bed_configure(&bed, &pool);
  bed_demand(&bed, 1, 1);
  bed_created(&bed, 1);
  assert_string_equal(bed_kept(&bed, 1)->where, "");
  bed_restart(&bed);
  pool.where = "there";
  bed_configure(&bed, &pool);
  assert_string_equal(bed_kept(&bed, 1)->where, "there");
  assert_int_equal(dk_rent_count(bed.rent, 1), 1);
  bed_restart(&bed);
  pool.where = "elsewhere";
  bed_configure(&bed, &pool);
  assert_string_equal(bed_kept(&bed, 1)->where, "there");
  bed_close(&bed);
}

/* What is to be deleted is on its way when the cloud has agreed, and not before. */
static void refused_delete(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed);
  bed_demand(&bed, 1, 1);
  bed_created(&bed, 1);
  bed_release(&bed, 1, true);
  assert_non_null(bed_find(&bed, DK_RENT_DELETE));
  assert_false(dk_rent_is_going(bed.rent, 1));
  struct dk_rent_event answer = {.kind = DK_RENT_EV_DELETE_ANSWERED, .number = 1};
  answer.u.deleted.answer = DK_RENT_DELETE_FAILED;
  bed_give(&bed, answer);
  assert_false(dk_rent_is_going(bed.rent, 1));
  while (!bed_find(&bed, DK_RENT_DELETE)) bed_wait(&bed, MINUTE);
  answer.u.deleted.answer = DK_RENT_ACCEPTED;
  bed_give(&bed, answer);
  assert_true(dk_rent_is_going(bed.rent, 1));
  bed_close(&bed);
}

static void nobody_answers(void **state) {
  (void)state;
  struct bed bed;
  open_pool(&bed);
  bool is_told = false;
  for (uint32_t i = 0; i < 5; i++) {
    assert_false(is_told);
    uint32_t serial = bed_asked(&bed, 1);
    bed_answer(&bed, 1, serial, false, NULL, 0);
    is_told = bed_told(&bed, DK_RENT_TELL_BLIND) != NULL;
  }
  assert_true(is_told);
  bed_close(&bed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(doubt_is_given_up_late),
      cmocka_unit_test(doubt_is_found),
      cmocka_unit_test(lists_that_prove_nothing),
      cmocka_unit_test(what_is_made_is_not_gone_at_once),
      cmocka_unit_test(one_that_answers_is_not_gone),
      cmocka_unit_test(stopped_with_results),
      cmocka_unit_test(strangers),
      cmocka_unit_test(doubled),
      cmocka_unit_test(shared_account),
      cmocka_unit_test(moved),
      cmocka_unit_test(unplaced),
      cmocka_unit_test(refused_delete),
      cmocka_unit_test(nobody_answers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

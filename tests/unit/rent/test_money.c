/* What machines cost, worked out by hand: while they are there, when they are gone, and over the life of engines. */
#include "tests/unit/rent/bed.h"

#define HOUR (60 * MINUTE)

static const struct dk_rent_shape shapes[] = {
    {.name = "dear", .cpus = 8, .price = 6000000, .currency = "USD"}, /* 6 an hour: 0.1 a minute */
};
static const struct dk_rent_shape others[] = {{.name = "other", .cpus = 8, .price = 1, .currency = "EUR"}};
static const struct dk_rent_shape unknown[] = {{.name = "unknown", .cpus = 8, .price = DK_RENT_NO_PRICE}};

static void for_a_time(void **state) {
  (void)state;
  assert_int_equal(dk_money_for(6000000, MINUTE), 100000);
  assert_int_equal(dk_money_for(6000000, 0), 0);
  assert_int_equal(dk_money_for(1, 1), 1); /* rounded up */
  assert_int_equal(dk_money_for(3600, SECOND), 1);
  assert_int_equal(dk_money_for(3600, SECOND + 1), 2);
  assert_true(dk_money_for(UINT64_MAX, 2 * HOUR) == UINT64_MAX);
  assert_true(dk_money_for(UINT64_MAX, HOUR) == UINT64_MAX);
}

static void purses(void **state) {
  (void)state;
  struct dk_purse purse = {.n = 0}, before;
  dk_purse_add(&purse, "USD", 5);
  dk_purse_add(&purse, "EUR", 7);
  dk_purse_add(&purse, "", 9);
  dk_purse_add(&purse, "GBP", 0);
  assert_int_equal(purse.n, 2);
  before = purse;
  dk_purse_add(&purse, "USD", 3);
  assert_int_equal(dk_purse_of(&purse, "USD"), 8);
  assert_int_equal(dk_purse_of(&purse, "GBP"), 0);
  const struct dk_purse more = dk_purse_since(&purse, &before), less = dk_purse_since(&before, &purse);
  assert_int_equal(more.n, 1);
  assert_int_equal(dk_purse_of(&more, "USD"), 3);
  assert_int_equal(less.n, 0);
  dk_purse_add(&purse, "USD", UINT64_MAX);
  assert_true(dk_purse_of(&purse, "USD") == UINT64_MAX);
  for (char c = 'A'; c <= 'Z'; c++) dk_purse_add(&purse, (char[]){c, c, c, 0}, 1);
  assert_int_equal(purse.n, DK_PURSE_MOST);
  assert_int_equal(dk_purse_of(&purse, "EUR"), 7);
}

static uint64_t spent(const struct bed *bed, const char *currency) {
  const struct dk_purse purse = dk_rent_spent(bed->rent, BED_UNIX + bed->now);
  return dk_purse_of(&purse, currency);
}

static void make(struct bed *bed, const struct dk_rent_shape *of, uint32_t n) {
  bed_open(bed);
  struct dk_rent_pool pool = bed_pool(1, of, 1);
  pool.idle_ns = pool.boot_ns = 10 * HOUR;
  bed_configure(bed, &pool);
  bed_demand(bed, 8, n);
  assert_int_equal(bed_count(bed, DK_RENT_CREATE), n);
}

/* Lists that lack it, until two of them prove that it is gone. */
static void vanish(struct bed *bed) {
  bed_demand(bed, 8, 0);
  for (int i = 0; i < 10 && bed->n_kept; i++) {
    bed_wait(bed, 2 * MINUTE);
    bed_list(bed, 1, NULL, 0);
  }
  assert_int_equal(bed->n_kept, 0);
}

static void while_they_are_there(void **state) {
  (void)state;
  struct bed bed;
  make(&bed, shapes, 2);
  assert_int_equal(spent(&bed, "USD"), 0);
  bed.now += MINUTE;
  assert_int_equal(spent(&bed, "USD"), 200000); /* also before the answer: they may be there */
  bed_created(&bed, 1);
  bed_failed(&bed, 2, DK_RENT_CAPACITY); /* that one never was */
  assert_int_equal(spent(&bed, "USD"), 100000);
  bed_restart(&bed);
  bed.now += MINUTE;
  assert_int_equal(spent(&bed, "USD"), 200000); /* by whichever engine */
  bed_close(&bed);
}

static void when_they_are_gone(void **state) {
  (void)state;
  struct bed bed;
  make(&bed, shapes, 1);
  bed_created(&bed, 1);
  uint64_t from = bed.now;
  vanish(&bed);
  uint64_t cost = dk_money_for(6000000, bed.now - from);
  assert_true(cost >= 400000);
  assert_int_equal(spent(&bed, "USD"), cost);
  assert_int_equal(dk_purse_of(&bed.spent, "USD"), cost); /* it is kept */
  bed.now += HOUR;
  assert_int_equal(spent(&bed, "USD"), cost);
  bed_restart(&bed);
  assert_int_equal(spent(&bed, "USD"), cost);
  /* Another one, with another engine: they are added. */
  struct dk_rent_pool pool = bed_pool(1, shapes, 1);
  bed_configure(&bed, &pool);
  bed_demand(&bed, 8, 1);
  assert_int_equal(bed_count(&bed, DK_RENT_CREATE), 1);
  bed.now += MINUTE;
  assert_int_equal(spent(&bed, "USD"), cost + 100000);
  bed_close(&bed);
}

static void what_is_not_known(void **state) {
  (void)state;
  struct bed bed;
  make(&bed, unknown, 1);
  bed_created(&bed, 1);
  vanish(&bed);
  const struct dk_purse purse = dk_rent_spent(bed.rent, BED_UNIX + bed.now);
  assert_int_equal(purse.n, 0);
  assert_int_equal(bed.spent.n, 0);
  bed_close(&bed);
  make(&bed, others, 1);
  bed.now += HOUR;
  assert_int_equal(spent(&bed, "EUR"), 1);
  assert_int_equal(spent(&bed, "USD"), 0);
  const struct dk_rented *rented = dk_rent_at(bed.rent, 0);
  assert_int_equal(dk_rented_cost(rented, rented->asked_unix_ns - 1), 0); /* the clock was set back */
  bed_close(&bed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(for_a_time),           cmocka_unit_test(purses),
      cmocka_unit_test(while_they_are_there), cmocka_unit_test(when_they_are_gone),
      cmocka_unit_test(what_is_not_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

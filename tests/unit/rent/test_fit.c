/* What is made for which demand, worked out by hand; and what of what is idle is kept. */
#include "tests/unit/rent/bed.h"

static const struct dk_rent_shape plain[] = {
    {.name = "two", .cpus = 2, .memory = 8 * GIB, .price = DK_RENT_NO_PRICE},
    {.name = "eight", .cpus = 8, .memory = 32 * GIB, .price = DK_RENT_NO_PRICE},
};
static const struct dk_rent_shape priced[] = {
    {.name = "two", .cpus = 2, .memory = 8 * GIB, .price = 30000, .currency = "USD"},
    {.name = "eight", .cpus = 8, .memory = 32 * GIB, .price = 100000, .currency = "USD"},
};

/* "two two eight": the shapes of what is asked for, in the order of their numbers. */
static void check_made(const struct bed *bed, const char *want) {
  char made[200] = "";
  for (uint32_t i = 0; i < dk_rent_count(bed->rent, UINT32_MAX); i++) {
    const struct dk_rented *rented = dk_rent_at(bed->rent, i);
    snprintf(made + strlen(made), sizeof made - strlen(made), "%s%s", *made ? " " : "", rented->shape.name);
  }
  assert_string_equal(made, want);
}

static void check_one(const struct dk_rent_shape *shapes, uint32_t n_shapes, const struct dk_rent_need *needs,
                      uint32_t n_needs, const char *want) {
  struct bed bed;
  bed_open(&bed);
  const struct dk_rent_pool pool = bed_pool(1, shapes, n_shapes);
  bed_configure(&bed, &pool);
  struct dk_rent_event event = {.kind = DK_RENT_EV_DEMAND};
  event.u.demand.needs = needs;
  event.u.demand.n = n_needs;
  bed_give(&bed, event);
  check_made(&bed, want);
  assert_int_equal(bed_count(&bed, DK_RENT_CREATE), dk_rent_count(bed.rent, 1));
  /* The same again is nothing new. */
  bed_give(&bed, event);
  check_made(&bed, want);
  bed_close(&bed);
}

static void by_size(void **state) {
  (void)state;
  /* (2 + 2) / 2 against (8 + 8) / 8: as much for each task; the large one takes more. Four is the maximum. */
  const struct dk_rent_need many = {.cpus = 1, .n = 100};
  check_one(plain, 2, &many, 1, "eight eight eight eight");
  /* 4 / 2 against 16 / 3, then 4 / 1 against 16 / 1. */
  const struct dk_rent_need few = {.cpus = 1, .n = 3};
  check_one(plain, 2, &few, 1, "two two");
  const struct dk_rent_need wide = {.cpus = 3, .n = 1};
  check_one(plain, 2, &wide, 1, "eight");
  const struct dk_rent_need too_wide = {.cpus = 9, .n = 1};
  check_one(plain, 2, &too_wide, 1, "");
  /* By memory four fit into the large one, and one into the small one: 4 / 1 against 16 / 4, and against 16 / 3. */
  const struct dk_rent_need four = {.cpus = 1, .memory = 8 * GIB, .n = 4},
                            three = {.cpus = 1, .memory = 8 * GIB, .n = 3};
  check_one(plain, 2, &four, 1, "eight");
  check_one(plain, 2, &three, 1, "two two two");
}

static void by_price(void **state) {
  (void)state;
  /* 30000 / 2 against 100000 / 8. */
  const struct dk_rent_need eight = {.cpus = 1, .n = 8, .may_pay = true};
  check_one(priced, 2, &eight, 1, "eight");
  /* 30000 / 2 against 100000 / 5; then one is left: 30000 against 100000. */
  const struct dk_rent_need five = {.cpus = 1, .n = 5, .may_pay = true};
  check_one(priced, 2, &five, 1, "two two two");
  /* What has no price comes after what has one. */
  const struct dk_rent_shape mixed[] = {plain[0], priced[1]};
  const struct dk_rent_need one = {.cpus = 1, .n = 1, .may_pay = true};
  check_one(mixed, 2, &one, 1, "eight");
}

/* Who does not pay gets what is free; who pays in one currency nothing of another. */
static void by_consent(void **state) {
  (void)state;
  struct dk_rent_need need = {.cpus = 1, .n = 1};
  check_one(priced, 2, &need, 1, "");
  const struct dk_rent_shape free_too[] = {priced[0], plain[1]}, at_nothing[] = {{.name = "nought", .cpus = 2}};
  check_one(free_too, 2, &need, 1, "eight");
  check_one(at_nothing, 1, &need, 1, "nought");
  need.may_pay = true;
  check_one(free_too, 2, &need, 1, "two");
  strcpy(need.currency, "EUR");
  check_one(free_too, 2, &need, 1, "eight");
  strcpy(need.currency, "USD");
  check_one(free_too, 2, &need, 1, "two");
}

static void with_gpus(void **state) {
  (void)state;
  const struct dk_rent_shape shapes[] = {
      plain[1], {.name = "gpu", .cpus = 8, .gpus = 2, .memory = 32 * GIB, .price = DK_RENT_NO_PRICE}};
  const struct dk_rent_need needs[] = {{.cpus = 2, .gpus = 1, .n = 3}, {.cpus = 2, .n = 2}};
  /* Two and one of the first need; the second one fits beside them. */
  check_one(shapes, 2, needs, 2, "gpu gpu");
  check_one(shapes, 2, needs + 1, 1, "eight");
}

static void packed_together(void **state) {
  (void)state;
  const struct dk_rent_need needs[] = {{.cpus = 3, .n = 1}, {.cpus = 1, .n = 5}};
  check_one(plain + 1, 1, needs, 2, "eight");
  const struct dk_rent_need more[] = {{.cpus = 3, .n = 1}, {.cpus = 1, .n = 6}};
  check_one(plain, 2, more, 2, "eight two");
}

static void next_pool(void **state) {
  (void)state;
  struct bed bed;
  bed_open(&bed);
  struct dk_rent_pool first = bed_pool(2, plain, 1), second = bed_pool(1, plain + 1, 1);
  first.max_instances = 2;
  first.order = -1;
  bed_configure(&bed, &second);
  bed_configure(&bed, &first);
  bed_demand(&bed, 1, 12);
  check_made(&bed, "two two eight");
  assert_string_equal(dk_rent_at(bed.rent, 0)->pool, "two");
  assert_string_equal(dk_rent_at(bed.rent, 2)->pool, "one");
  const struct dk_rent_need fits = {.cpus = 8, .n = 1}, does_not = {.cpus = 8, .gpus = 1, .n = 1};
  assert_true(dk_rent_can(bed.rent, &fits));
  assert_false(dk_rent_can(bed.rent, &does_not));
  bed_close(&bed);
}

static void up(struct bed *bed, uint32_t number) {
  bed_created(bed, number);
  bed_up(bed, number);
  bed_load(bed, number, 0, 0);
}

/* One task would do with either: the cheaper one is kept. */
static void cheapest_is_kept(void **state) {
  (void)state;
  struct bed bed;
  bed_open(&bed);
  const struct dk_rent_pool one = bed_pool(1, priced, 2);
  bed_configure(&bed, &one);
  bed_demand(&bed, 8, 1);
  bed_demand(&bed, 1, 9);
  check_made(&bed, "eight two");
  up(&bed, 1);
  up(&bed, 2);
  bed_demand(&bed, 1, 1);
  bed_wait(&bed, one.idle_ns);
  const struct dk_rent_action *action = bed_find(&bed, DK_RENT_DELETE);
  assert_non_null(action);
  assert_int_equal(action->number, 1);
  assert_int_equal(bed_kept(&bed, 2)->state, DK_RENT_UP);
  bed_close(&bed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(by_size),          cmocka_unit_test(by_price),        cmocka_unit_test(by_consent),
      cmocka_unit_test(with_gpus),        cmocka_unit_test(packed_together), cmocka_unit_test(next_pool),
      cmocka_unit_test(cheapest_is_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

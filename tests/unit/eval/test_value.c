/* The table of values: one id for equal values, identity, order, text, canonical bytes. */
#include "tests/unit/check/table.h"

#include "lang/eval/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
  struct dk_arena arena;
  jmp_buf oom;
  struct dk_strs strs;
  struct dk_values values;
};

static int setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f); /* the test's own memory, not the program's */
  assert_non_null(f);
  dk_arena_init(&f->arena, &f->oom);
  if (setjmp(f->oom)) abort();
  dk_strs_init(&f->strs, &f->arena);
  dk_values_init(&f->values, &f->strs, &f->arena);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  dk_arena_finish(&f->arena);
  free(f);
  return 0;
}

static dk_value_id text(struct fixture *f, const char *s) {
  return dk_value_text(&f->values, s, strlen(s));
}

static dk_value_id record(struct fixture *f, const char *a, dk_value_id x, const char *b, dk_value_id y) {
  const struct dk_str *names[] = {dk_intern_text(&f->strs, a), dk_intern_text(&f->strs, b)};
  dk_value_id items[] = {x, y};
  return dk_value_record(&f->values, names, items, 2);
}

static void test_consing(void **state) {
  struct fixture *f = *state;
  struct dk_values *v = &f->values;
  assert_int_equal(DK_NULL, 0);
  assert_int_equal(dk_value_get(v, DK_NULL)->type, DK_TYPE_NULL);
  assert_int_equal(dk_value_int(v, 5), dk_value_int(v, 5));
  assert_int_not_equal(dk_value_int(v, 5), dk_value_float(v, 5));
  assert_int_not_equal(dk_value_int(v, 0), dk_value_bool(v, false));
  assert_int_equal(dk_value_float(v, 0.0), dk_value_float(v, -0.0));
  assert_int_equal(text(f, "a"), text(f, "a"));
  assert_int_not_equal(text(f, ""), DK_NULL);
  assert_int_not_equal(dk_value_quantity(v, DK_TYPE_SIZE, 0, 7), dk_value_quantity(v, DK_TYPE_DURATION, 0, 7));
  dk_value_id items[] = {dk_value_int(v, 1), text(f, "x")};
  dk_value_id list = dk_value_list(v, items, 2);
  assert_int_equal(list, dk_value_list(v, items, 2));
  assert_int_not_equal(list, dk_value_list(v, items, 1));
  assert_int_not_equal(dk_value_list(v, NULL, 0), dk_value_record(v, NULL, NULL, 0));
  assert_int_not_equal(dk_value_call(v, DK_INERT_FILE, items, 2), dk_value_call(v, DK_INERT_MOUNT, items, 2));
  assert_int_equal(dk_value_item(v, list, 1), text(f, "x"));
  /* Fields have no order. */
  assert_int_equal(record(f, "a", items[0], "b", items[1]), record(f, "b", items[1], "a", items[0]));
}

static void test_many(void **state) {
  struct fixture *f = *state;
  dk_value_id *ids = calloc(100000, sizeof *ids);
  assert_non_null(ids);
  for (int i = 0; i < 100000; i++) ids[i] = dk_value_int(&f->values, i * 7919);
  for (int i = 0; i < 100000; i++) {
    assert_int_equal(dk_value_int(&f->values, i * 7919), ids[i]);
    assert_int_equal(dk_value_get(&f->values, ids[i])->u.i, i * 7919);
  }
  free(ids);
}

static void test_fields(void **state) {
  struct fixture *f = *state;
  dk_value_id one = dk_value_int(&f->values, 1), two = dk_value_int(&f->values, 2), found;
  dk_value_id r = record(f, "zeta", one, "alpha", two);
  assert_string_equal(dk_value_name(&f->values, r, 0)->text, "alpha");
  assert_int_equal(dk_value_item(&f->values, r, 0), two);
  assert_true(dk_value_field(&f->values, r, dk_intern_text(&f->strs, "zeta"), &found));
  assert_int_equal(found, one);
  assert_false(dk_value_field(&f->values, r, dk_intern_text(&f->strs, "beta"), &found));
  assert_false(dk_value_field(&f->values, one, dk_intern_text(&f->strs, "beta"), &found));
  const struct dk_str *names[300];
  dk_value_id items[300];
  for (int i = 0; i < 300; i++) { /* many, in an order that is not theirs */
    char name[16];
    snprintf(name, sizeof name, "f%03d", (i * 7) % 300);
    names[i] = dk_intern_text(&f->strs, name);
    items[i] = dk_value_int(&f->values, (i * 7) % 300);
  }
  r = dk_value_record(&f->values, names, items, 300);
  for (int i = 0; i < 300; i++) {
    assert_true(dk_value_field(&f->values, r, names[i], &found));
    assert_int_equal(found, items[i]);
    assert_int_equal(dk_value_get(&f->values, dk_value_item(&f->values, r, (uint32_t)i))->u.i, i);
  }
}

/* same(a, b) exactly when identity(a) == identity(b) exactly when canonical bytes are equal. */
static void test_identity(void **state) {
  struct fixture *f = *state;
  struct dk_values *v = &f->values;
  dk_value_id one = dk_value_int(v, 1), one_f = dk_value_float(v, 1), big = dk_value_int(v, 9007199254740993),
              big_f = dk_value_float(v, 9007199254740992.0), max = dk_value_int(v, INT64_MAX),
              max_f = dk_value_float(v, 0x1p63);
  dk_value_id ids[] = {DK_NULL,
                       dk_value_bool(v, true),
                       dk_value_bool(v, false),
                       one,
                       one_f,
                       dk_value_int(v, 0),
                       dk_value_float(v, 0.1),
                       big,
                       big_f,
                       max,
                       max_f,
                       text(f, "1"),
                       text(f, ""),
                       text(f, "n"),
                       dk_value_quantity(v, DK_TYPE_SIZE, 0, 1),
                       dk_value_quantity(v, DK_TYPE_DURATION, 0, 1),
                       dk_value_quantity(v, DK_TYPE_MONEY, 1, 1),
                       dk_value_quantity(v, DK_TYPE_MONEY, 2, 1),
                       dk_value_quantity(v, DK_TYPE_RATE, 1, 1),
                       dk_value_list(v, NULL, 0),
                       dk_value_list(v, &one, 1),
                       dk_value_list(v, &one_f, 1),
                       dk_value_record(v, NULL, NULL, 0),
                       record(f, "a", one, "b", one),
                       record(f, "a", one_f, "b", one),
                       record(f, "a", one, "c", one),
                       dk_value_call(v, DK_INERT_FILE, &one, 1),
                       dk_value_call(v, DK_INERT_FILE, &one_f, 1),
                       dk_value_call(v, DK_INERT_GLOB, &one, 1)};
  size_t n = sizeof ids / sizeof *ids;
  for (size_t i = 0; i < n; i++) {
    for (size_t j = 0; j < n; j++) {
      struct dk_buf a = DK_BUF_INIT, b = DK_BUF_INIT;
      bool same = dk_value_same(v, ids[i], ids[j]);
      dk_value_canonical(v, ids[i], &a);
      dk_value_canonical(v, ids[j], &b);
      assert_int_equal(same, dk_value_identity(v, ids[i]) == dk_value_identity(v, ids[j]));
      assert_int_equal(same, a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
      if (i == j) assert_true(same);
      dk_buf_finish(&a);
      dk_buf_finish(&b);
    }
  }
  assert_true(dk_value_same(v, one, one_f));
  assert_false(dk_value_same(v, big, big_f));
  assert_false(dk_value_same(v, max, max_f));
}

/* Fixed for ever: keys of results depend on these bytes. */
static void test_canonical(void **state) {
  struct fixture *f = *state;
  struct dk_values *v = &f->values;
  dk_value_id items[] = {dk_value_int(v, 2), dk_value_float(v, 0.1), text(f, "a:b"), DK_NULL, dk_value_bool(v, true)};
  dk_value_id list = dk_value_list(v, items, 5);
  static const struct {
    const char *want;
  } rows[] = {
      {"l5:d2;d0.1;s3:a:bnt"}, {"o2:1:xl5:d2;d0.1;s3:a:bnt3:yyyz1048576;"},
      {"u1500000000;"},        {"mUSD1500000;"},
      {"rUSD1500000;"},        {"i9007199254740993;"},
      {"cfile1:s3:a:b"},
  };
  dk_value_id ids[] = {list,
                       record(f, "yyy", dk_value_quantity(v, DK_TYPE_SIZE, 0, 1048576), "x", list),
                       dk_value_quantity(v, DK_TYPE_DURATION, 0, 1500000000),
                       dk_value_quantity(v, DK_TYPE_MONEY, 20 << 10 | 18 << 5 | 3, 1500000),
                       dk_value_quantity(v, DK_TYPE_RATE, 20 << 10 | 18 << 5 | 3, 1500000),
                       dk_value_int(v, 9007199254740993),
                       dk_value_call(v, DK_INERT_FILE, &items[2], 1)};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct dk_buf out = DK_BUF_INIT;
    dk_value_canonical(v, ids[i], &out);
    assert_string_equal(dk_buf_text(&out), rows[i].want);
    dk_buf_finish(&out);
  }
}

static void test_order(void **state) {
  struct fixture *f = *state;
  struct dk_values *v = &f->values;
  int order;
  assert_true(dk_value_compare(v, dk_value_int(v, 1), dk_value_float(v, 1.5), &order));
  assert_int_equal(order, -1);
  assert_true(dk_value_compare(v, dk_value_float(v, -1.5), dk_value_int(v, -1), &order));
  assert_int_equal(order, -1);
  assert_true(dk_value_compare(v, dk_value_int(v, -2), dk_value_float(v, -1.5), &order));
  assert_int_equal(order, -1);
  assert_true(dk_value_compare(v, dk_value_int(v, INT64_MIN), dk_value_float(v, -0x1p63), &order));
  assert_int_equal(order, 0);
  assert_true(dk_value_compare(v, text(f, "a"), text(f, "ab"), &order));
  assert_int_equal(order, -1);
  assert_true(dk_value_compare(v, text(f, "\xc3\xa9"), text(f, "z"), &order));
  assert_int_equal(order, 1);
  assert_false(dk_value_compare(v, text(f, "1"), dk_value_int(v, 1), &order));
  assert_false(dk_value_compare(v, DK_NULL, DK_NULL, &order));
  assert_false(dk_value_compare(v, dk_value_quantity(v, DK_TYPE_MONEY, 1, 1), dk_value_quantity(v, DK_TYPE_MONEY, 2, 1),
                                &order));
}

static void test_texts(void **state) {
  struct fixture *f = *state;
  struct dk_values *v = &f->values;
  const struct {
    dk_value_id id;
    const char *hole, *source;
  } rows[] = {
      {DK_NULL, NULL, "null"},
      {dk_value_bool(v, true), "true", "true"},
      {dk_value_float(v, 0.1), "0.1", "0.1"},
      {dk_value_float(v, 1), "1", "1"},
      {dk_value_int(v, -7), "-7", "-7"},
      {text(f, "a b"), "a b", "\"a b\""},
      {text(f, "q\"\\\n\t{{x}} \x01\xff"), "q\"\\\n\t{{x}} \x01\xff", "\"q\\\"\\\\\\n\\t{{\"{{\"}}x}} \\x01\\xff\""},
      {text(f, "\xc3\xa9"), "\xc3\xa9", "\"\xc3\xa9\""},
      {dk_value_quantity(v, DK_TYPE_SIZE, 0, 1536), "1536", "1536B"},
      {dk_value_quantity(v, DK_TYPE_DURATION, 0, 1500000000), "1.5", "1s500ms"},
      {dk_value_quantity(v, DK_TYPE_DURATION, 0, -90000000000), "-90", "-1m30s"},
      {dk_value_quantity(v, DK_TYPE_MONEY, 20 << 10 | 18 << 5 | 3, 1500000), "1.5", "1.5USD"},
      {dk_value_list(v, NULL, 0), NULL, "[]"},
      {record(f, "a b", DK_NULL, "if", DK_NULL), NULL, "{ \"a b\" = null \"if\" = null }"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct dk_buf out = DK_BUF_INIT;
    assert_int_equal(dk_value_hole_text(v, rows[i].id, &out), rows[i].hole != NULL);
    if (rows[i].hole) assert_string_equal(dk_buf_text(&out), rows[i].hole);
    dk_buf_clear(&out);
    dk_value_source_text(v, rows[i].id, &out);
    assert_string_equal(dk_buf_text(&out), rows[i].source);
    dk_buf_finish(&out);
  }
}

static void test_weight(void **state) {
  struct fixture *f = *state;
  struct dk_values *v = &f->values;
  dk_value_id id = dk_value_int(v, 1);
  assert_int_equal(dk_value_weight(v, id), 1);
  uint64_t exact = 1;
  for (int depth = 1; depth <= 60; depth++) {
    dk_value_id pair[] = {id, id};
    id = dk_value_list(v, pair, 2);
    assert_int_equal(dk_value_get(v, id)->flags, depth);
    if (depth <= 30) {
      exact = 2 * exact + 1;
      assert_true(dk_value_weight(v, id) >= exact);
      assert_true(dk_value_weight(v, id) <= exact + exact / 16);
    }
  }
  assert_true(dk_value_weight(v, id) > DK_VALUE_MAX_WEIGHT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_consing, setup, teardown),
      cmocka_unit_test_setup_teardown(test_many, setup, teardown),
      cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
      cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
      cmocka_unit_test_setup_teardown(test_canonical, setup, teardown),
      cmocka_unit_test_setup_teardown(test_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_texts, setup, teardown),
      cmocka_unit_test_setup_teardown(test_weight, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

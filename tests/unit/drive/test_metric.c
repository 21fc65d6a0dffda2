/* Metrics out of logs and files, as programs really write them. */
#include "engine/drive/metric.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct dk_kept text(const char *bytes) {
  return (struct dk_kept){.bytes = (char *)bytes, .size = strlen(bytes), .total = strlen(bytes)};
}

/* The one metric of a template, read from stdout or from the kept file "m". */
static struct dk_metric_values read_one(enum dk_metric_kind kind, const char *pattern, const char *content) {
  struct dk_metric metric = {.name = "x", .kind = kind, .path = "m", .pattern = pattern};
  struct dk_template tmpl = {.name = "t", .path = "f.dk", .metrics = &metric, .n_metrics = 1};
  struct dk_kept file = text(content);
  struct dk_result result = {.out = text(content), .keep_files = &file, .n_keep_files = 1};
  const char *keep[] = {"m"};
  struct dk_extractor *extractor;
  struct dk_metric_values values;
  struct dk_error error = {0};

  assert_int_equal(dk_extractor_create(&tmpl, &extractor, &error), 0);
  assert_int_equal(dk_extract(extractor, NULL, &result, keep, 1, &values, &error), 0);
  dk_extractor_destroy(extractor);
  return values;
}

static void expect(enum dk_metric_kind kind, const char *pattern, const char *content, enum dk_metric_state state,
                   const char *want) {
  struct dk_metric_values values = read_one(kind, pattern, content);

  assert_int_equal(values.n, 1);
  assert_int_equal(values.items[0].state, state);
  if (want) assert_string_equal(values.items[0].text, want);
  dk_metric_values_finish(&values);
}

static void test_match(void **state) {
  (void)state;
  enum dk_metric_kind out = DK_METRIC_MATCH_STDOUT;
  expect(out, "Accuracy = ([0-9.]+)%", "Accuracy = 66.925% (2677/4000) (classification)\n", DK_METRIC_NUMBER, "66.925");
  /* The last match is the value. */
  expect(out, "loss=([0-9.e-]+)", "loss=3\nloss=2.50\nloss=1e-3\n", DK_METRIC_NUMBER, "1e-3");
  expect(out, "^done (\\w+)$", "x\ndone ok\ny\n", DK_METRIC_TEXT, "ok");
  expect(out, "[0-9]+ files", "17 files", DK_METRIC_TEXT, "17 files");
  expect(out, "a(b)?", "a", DK_METRIC_TEXT, "a");
  expect(out, "loss=([0-9.]+)", "nothing", DK_METRIC_MISSING, NULL);
  expect(out, "loss=([0-9.]+)", "", DK_METRIC_MISSING, NULL);
  expect(out, "x=(\\S+)", "x=nan", DK_METRIC_TEXT, "nan");
  expect(out, "x=(\\S+)", "x=NaN", DK_METRIC_NUMBER, "NaN");
  /* Bytes that are no UTF-8 are just bytes. */
  expect(out, "v=([0-9]+)", "\xff\xfe v=7 \x80", DK_METRIC_NUMBER, "7");
  /* A pattern that matches nothing wide ends. */
  expect(out, "x*", "aaa", DK_METRIC_TEXT, "");
}

static void test_match_is_bounded(void **state) {
  char subject[64];

  (void)state;
  memset(subject, 'a', sizeof subject - 1);
  subject[sizeof subject - 1] = 0;
  expect(DK_METRIC_MATCH_STDOUT, "(a+)+b", subject, DK_METRIC_MISSING, NULL);
}

static void test_json(void **state) {
  (void)state;
  expect(DK_METRIC_JSON, "a.b", "{\"a\": {\"b\": 0.25}}", DK_METRIC_NUMBER, "0.25");
  expect(DK_METRIC_JSON, "n", "{\"n\": 12}", DK_METRIC_NUMBER, "12");
  expect(DK_METRIC_JSON, "l.-1", "{\"l\": [1, 2, 3]}", DK_METRIC_NUMBER, "3");
  expect(DK_METRIC_JSON, "s", "{\"s\": \"ok\"}", DK_METRIC_TEXT, "ok");
  expect(DK_METRIC_JSON, "b", "{\"b\": true}", DK_METRIC_TEXT, "true");
  expect(DK_METRIC_JSON, "z", "{\"a\": 1}", DK_METRIC_MISSING, NULL);
  expect(DK_METRIC_JSON, "a", "{\"a\": ", DK_METRIC_MISSING, NULL);
  expect(DK_METRIC_JSON, "a.b.c", "[]", DK_METRIC_MISSING, NULL);
}

static void test_csv(void **state) {
  (void)state;
  expect(DK_METRIC_CSV, "loss", "epoch,loss\n1,0.5\n2,0.25\n", DK_METRIC_NUMBER, "0.25");
  expect(DK_METRIC_CSV, "loss", "epoch,loss\r\n1,0.5\r\n2,0.125", DK_METRIC_NUMBER, "0.125");
  expect(DK_METRIC_CSV, "a,b", "\"a,b\",c\n\"say \"\"hi\"\"\",2\n", DK_METRIC_TEXT, "say \"hi\"");
  expect(DK_METRIC_CSV, "x", "epoch,loss\n1,0.5\n", DK_METRIC_MISSING, NULL);
  expect(DK_METRIC_CSV, "x", "", DK_METRIC_MISSING, NULL);
  /* Blank lines are no records, wherever they stand. */
  expect(DK_METRIC_CSV, "loss", "loss,epoch\n0.5,1\n0.25,2\n\n", DK_METRIC_NUMBER, "0.25");
  expect(DK_METRIC_CSV, "loss", "loss,epoch\r\n0.5,1\r\n\r\n  \r\n", DK_METRIC_NUMBER, "0.5");
  expect(DK_METRIC_CSV, "loss", "\n\nloss\n\n0.5\n\n", DK_METRIC_NUMBER, "0.5");
  expect(DK_METRIC_CSV, "loss", "loss\n\n\n", DK_METRIC_MISSING, NULL);
  expect(DK_METRIC_CSV, "note", "note,n\n\"a\n\nb\",1\n", DK_METRIC_TEXT, "a\n\nb");
  /* The last row has it or not; an earlier one does not stand in. */
  expect(DK_METRIC_CSV, "loss", "epoch,loss\n1,0.5\n2\n", DK_METRIC_MISSING, NULL);
  expect(DK_METRIC_CSV, "loss", "epoch,loss\n1,0.5\n2", DK_METRIC_MISSING, NULL);
  expect(DK_METRIC_CSV, "loss", "epoch,loss\n1,0.5\n2,", DK_METRIC_TEXT, "");
  expect(DK_METRIC_CSV, "loss", "epoch,loss\n1,0.5\n2,\n", DK_METRIC_TEXT, "");
  expect(DK_METRIC_CSV, "loss", "epoch,loss\n1\n2,0.25,more\n", DK_METRIC_NUMBER, "0.25");
}

static void test_bad_pattern(void **state) {
  struct dk_error error = {0};
  size_t offset = 0;

  (void)state;
  assert_int_equal(dk_metric_check_pattern("a(b", &offset, &error), -EINVAL);
  assert_int_equal(offset, 3);
  assert_non_null(strstr(error.text, "'a(b' is no regular expression"));
  assert_int_equal(dk_metric_check_pattern("a(b)", &offset, &error), 0);
}

/* What could not be read can be finished like any other. */
static void test_no_memory(void **state) {
  struct dk_metric metrics[] = {{.name = "x", .kind = DK_METRIC_MATCH_STDOUT, .pattern = "v=([0-9]+)"},
                                {.name = "y", .kind = DK_METRIC_JSON, .path = "m", .pattern = "a"}};
  struct dk_template tmpl = {.name = "t", .path = "f.dk", .metrics = metrics, .n_metrics = 2};
  struct dk_kept file = text("{\"a\": 1}");
  struct dk_result result = {.out = text("v=7"), .keep_files = &file, .n_keep_files = 1};
  const char *keep[] = {"m"};
  struct dk_extractor *extractor;
  struct dk_error error = {0};
  bool is_clean = false;

  (void)state;
  assert_int_equal(dk_extractor_create(&tmpl, &extractor, &error), 0);
  for (uint64_t n = 1; !is_clean; n++) {
    struct dk_metric_values values;
    memset(&values, 0xa5, sizeof values);
    dk_alloc_fail_at(n);
    int r = dk_extract(extractor, NULL, &result, keep, 1, &values, &error);
    is_clean = dk_alloc_count() < n;
    dk_alloc_fail_at(0);
    assert_int_equal(r, is_clean ? 0 : -ENOMEM);
    dk_metric_values_finish(&values);
  }
  dk_extractor_destroy(extractor);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_match), cmocka_unit_test(test_match_is_bounded), cmocka_unit_test(test_json),
      cmocka_unit_test(test_csv),   cmocka_unit_test(test_bad_pattern),      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

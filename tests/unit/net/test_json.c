/* Documents that are none, within their bounds, and getters that say where something is wrong. */
#include "engine/net/json.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dk_error error;

static void expect_bad(const char *text, const char *words) {
  struct dk_json document;
  memset(&error, 0, sizeof error);
  assert_int_equal(dk_json_parse(text, strlen(text), "lab: list", &document, &error), -EBADMSG);
  assert_null(document.value);
  assert_int_equal(strncmp(error.text, "lab: list: the answer ", 22), 0);
  if (!strstr(error.text, words)) fail_msg("\"%s\" has no \"%s\"", error.text, words);
}

static void no_json(void **state) {
  (void)state;
  expect_bad("", "is empty");
  expect_bad(" \r\n", "is empty");
  expect_bad("  <!DOCTYPE html>\r\n<html>", "a page or XML, not JSON: <!DOCTYPE html> <html>");
  expect_bad("{\"a\": [1, 2", "ends too early");
  expect_bad("{\"a\": 1}\n}", "wrong in line 2");
  expect_bad("Service\x1b[31m Unavailable", "Service.[31m Unavailable");
  expect_bad("{\"a\": \"\xff\"}", "wrong in line 1");
  /* 60 characters of it, and no more. */
  expect_bad("012345678901234567890123456789012345678901234567890123456789abc",
             ": 012345678901234567890123456789012345678901234567890123456789...");
  assert_null(strstr(error.text, "abc"));
}

static void add_many(struct dk_buf *text, const char *part, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) dk_buf_add_text(text, part);
}

static void bounds(void **state) {
  (void)state;
  struct dk_json document;
  dk_autobuf text = DK_BUF_INIT;
  add_many(&text, "[", DK_JSON_DEPTH_MOST);
  dk_buf_add_text(&text, "\"[[[[\\\"[[[[{{{{\"");
  add_many(&text, "]", DK_JSON_DEPTH_MOST);
  assert_int_equal(dk_json_parse(text.data, text.len, "lab", &document, NULL), 0);
  dk_json_finish(&document);
  dk_buf_clear(&text);
  add_many(&text, "[", 100000);
  expect_bad(text.data, "nested too deep");
  dk_buf_clear(&text);
  dk_buf_add_text(&text, "[0");
  add_many(&text, ",0", DK_JSON_VALUES_MOST - 2);
  dk_buf_add_text(&text, "]");
  assert_int_equal(dk_json_parse(text.data, text.len, "lab", &document, NULL), 0);
  dk_json_finish(&document);
  dk_buf_clear(&text);
  dk_buf_add_text(&text, "[0");
  add_many(&text, ",0", DK_JSON_VALUES_MOST);
  dk_buf_add_text(&text, "]");
  expect_bad(text.data, "more than a million");
  dk_buf_clear(&text);
  dk_buf_add_char(&text, '"');
  dk_buf_add_repeat(&text, 'a', DK_JSON_MOST);
  assert_int_equal(dk_json_parse(text.data, text.len, "lab", &document, &error), -EMSGSIZE);
}

#define DOCUMENT                                                                                                       \
  "{\"servers\": [{\"id\": \"a\", \"cpus\": 4, \"price\": 0.25, \"on\": true, \"none\": null, \"memory\": \"8192\","   \
  " \"created\": \"2026-11-29T23:06:05Z\", \"flavor\": {\"name\": 7}}, 3]}"

static void expect_refused(int r, const char *words) {
  assert_int_equal(r, -EBADMSG);
  assert_string_equal(error.text, words);
}

static void getters(void **state) {
  (void)state;
  struct dk_json document, servers, server, flavor, other;
  uint32_t n = 0;
  const char *text = NULL;
  int64_t whole = 0;
  double number = 0;
  bool on = false;
  assert_int_equal(dk_json_parse(DOCUMENT, strlen(DOCUMENT), "lab: list", &document, &error), 0);
  assert_int_equal(dk_json_list(&document, "servers", &servers, &n, &error), 0);
  assert_int_equal(n, 2);
  dk_json_item(&servers, 0, &server);
  assert_int_equal(dk_json_text(&server, "id", &text, &error), 0);
  assert_string_equal(text, "a");
  assert_int_equal(dk_json_int(&server, "cpus", &whole, &error), 0);
  assert_int_equal(whole, 4);
  assert_int_equal(dk_json_int(&server, "memory", &whole, &error), 0);
  assert_int_equal(whole, 8192);
  assert_int_equal(dk_json_number(&server, "price", &number, &error), 0);
  assert_true(number == 0.25);
  assert_int_equal(dk_json_bool(&server, "on", &on, &error), 0);
  assert_true(on);
  assert_int_equal(dk_json_time(&server, "created", &whole, &error), 0);
  assert_int_equal(whole, 1795993565);
  assert_string_equal(dk_json_text_or(&server, "id", "x"), "a");
  assert_string_equal(dk_json_text_or(&server, "cpus", "x"), "x");
  assert_false(dk_json_find(&server, "none", &other));
  assert_false(dk_json_find(&server, "nothing", &other));
  assert_true(dk_json_find(&server, "flavor", &flavor));
  expect_refused(dk_json_text(&flavor, "name", &text, &error),
                 "lab: list: the answer's servers[0].flavor.name is no text");
  expect_refused(dk_json_get(&server, "none", &other, &error), "lab: list: the answer's servers[0].none is not there");
  expect_refused(dk_json_int(&server, "id", &whole, &error), "lab: list: the answer's servers[0].id is no integer");
  expect_refused(dk_json_int(&server, "price", &whole, &error),
                 "lab: list: the answer's servers[0].price is no integer");
  expect_refused(dk_json_time(&server, "id", &whole, &error), "lab: list: the answer's servers[0].id is no time");
  expect_refused(dk_json_bool(&server, "id", &on, &error),
                 "lab: list: the answer's servers[0].id is neither true nor false");
  expect_refused(dk_json_list(&server, "id", &other, &n, &error), "lab: list: the answer's servers[0].id is no list");
  dk_json_item(&servers, 1, &server);
  expect_refused(dk_json_text(&server, "id", &text, &error), "lab: list: the answer's servers[1] is no object");
  dk_json_finish(&document);
  assert_int_equal(dk_json_parse("[]", 2, "lab: list", &document, &error), 0);
  expect_refused(dk_json_text(&document, "id", &text, &error), "lab: list: the answer is no object");
  dk_json_finish(&document);
}

static void members(void **state) {
  (void)state;
  static const char text[] = "{\"b\": 1, \"a\": null, \"c\": {\"d\": \"x\"}, \"l\": [1]}";
  struct dk_json document, at = {0}, inner = {0}, list;
  dk_autobuf names = DK_BUF_INIT;
  assert_int_equal(dk_json_parse(text, strlen(text), "lab", &document, &error), 0);
  while (dk_json_next(&document, &at)) dk_buf_printf(&names, "%s%s ", at.name, dk_json_is_object(&at) ? "{}" : "");
  assert_string_equal(dk_buf_text(&names), "b a c{} l ");
  assert_true(dk_json_find(&document, "c", &at) && dk_json_next(&at, &inner));
  assert_string_equal(dk_json_text_of(&inner), "x");
  assert_int_equal(dk_json_refuse(&inner, NULL, "is odd", &error), -EBADMSG);
  assert_string_equal(error.text, "lab: the answer's c.d is odd");
  assert_false(dk_json_next(&at, &inner));
  assert_true(dk_json_find(&document, "l", &list));
  inner = (struct dk_json){0};
  assert_false(dk_json_next(&list, &inner));
  dk_json_finish(&document);
}

static void times(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t unix_s;
  } good[] = {{"1970-01-01T00:00:00Z", 0},
              {"2000-02-29T12:00:00Z", 951825600},
              {"2026-11-29T23:06:05", 1795993565},
              {"2026-11-29 23:06:05.123456789z", 1795993565},
              {"2026-11-30T00:06:05+01:00", 1795993565},
              {"2026-11-29T18:36:05-0430", 1795993565},
              {"1969-12-31T23:59:59Z", -1},
              {"2016-12-31T23:59:60Z", 1483228800},
              {"9999-12-31T23:59:59Z", INT64_C(253402300799)}};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    int64_t unix_s = 1;
    assert_true(dk_json_read_time(good[i].text, &unix_s));
    assert_int_equal(unix_s, good[i].unix_s);
  }
  static const char *const bad[] = {"",
                                    "2026",
                                    "2026-13-01T00:00:00Z",
                                    "2026-00-01T00:00:00Z",
                                    "2026-04-31T00:00:00Z",
                                    "2026-01-01T24:00:00Z",
                                    "2026-01-01T00:60:00Z",
                                    "2026-01-01T00:00:00.Z",
                                    "2026-01-01T00:00:00Zz",
                                    "2026-01-01T00:00:00+1",
                                    "2026-01-01T00:00:00+01:0",
                                    "2026-01-01T00:00:00+01:00:00",
                                    "2026/01/01T00:00:00Z",
                                    "+026-01-01T00:00:00Z"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int64_t unix_s;
    if (dk_json_read_time(bad[i], &unix_s)) fail_msg("%s was taken for a time", bad[i]);
  }
}

static void without_memory(void **state) {
  (void)state;
  uint64_t n = 0, asked;
  do {
    struct dk_json document;
    dk_alloc_fail_once(++n);
    int r = dk_json_parse(DOCUMENT, strlen(DOCUMENT), "lab", &document, &error);
    asked = dk_alloc_count();
    dk_alloc_fail_at(0);
    assert_int_equal(r, n > asked ? 0 : -ENOMEM);
    dk_json_finish(&document);
  } while (n <= asked);
  assert_true(n > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(no_json), cmocka_unit_test(bounds),
                                     cmocka_unit_test(getters), cmocka_unit_test(members),
                                     cmocka_unit_test(times),   cmocka_unit_test(without_memory)};
  return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

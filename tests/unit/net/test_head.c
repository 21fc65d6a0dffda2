/* Headers, the times in them, and pins of certificates. */
#include "engine/net/head.h"
#include "engine/net/pin.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS UINT64_C(1000000000)

static struct dk_head head;

static void add(const char *line) {
  assert_int_equal(dk_head_add(&head, line, strlen(line)), 0);
}

static void lookup(void **state) {
  (void)state;
  dk_head_init(&head, 1000);
  assert_null(dk_head_get(&head, "A"));
  add("HTTP/1.1 100 Continue\r\n");
  add("A: of the interim\r\n");
  add("HTTP/1.1 200 OK\r\n");
  assert_null(dk_head_get(&head, "A"));
  add("First:  one two \t\r\n");
  add("Empty:\r\n");
  add("first: second\n");
  add(" folded: line\r\n");
  add("no colon\r\n");
  add(": no name\r\n");
  add("\r\n");
  assert_string_equal(dk_head_get(&head, "fIRST"), "one two");
  assert_string_equal(dk_head_get(&head, "empty"), "");
  assert_null(dk_head_get(&head, "firs"));
  assert_null(dk_head_get(&head, "one two"));
  assert_null(dk_head_get(&head, " folded"));
  assert_null(dk_head_get(&head, ""));
  assert_int_equal(dk_head_add(&head, "a:\0b: c", 7), 0);
  assert_null(dk_head_get(&head, "a"));
  dk_head_finish(&head);
}

/* Interim answers count, so that they come to an end. */
static void bounded(void **state) {
  (void)state;
  int n = 0;
  dk_head_init(&head, 100);
  while (dk_head_add(&head, "HTTP/1.1 100 Go\r\n", 17) == 0) n++;
  assert_int_equal(n, 5);
  assert_int_equal(dk_head_add(&head, "a: 123456789012", 15), 0);
  assert_int_equal(dk_head_add(&head, "b", 1), -EMSGSIZE);
  assert_string_equal(dk_head_get(&head, "A"), "123456789012");
  dk_head_finish(&head);
}

static uint64_t retry_after(const char *date, const char *value, int64_t now) {
  char line[128];
  dk_head_init(&head, 1000);
  strcat(strcpy(line, "Retry-After: "), value);
  add(line);
  strcat(strcpy(line, "Date: "), date);
  add(line);
  uint64_t ns = dk_head_retry_after_ns(&head, now);
  dk_head_finish(&head);
  return ns;
}

static void times(void **state) {
  (void)state;
  static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT", later[] = "Sun, 06 Nov 1994 08:50:07 GMT";
  assert_int_equal(retry_after(date, "120", 0), 120 * SECOND_NS);
  assert_int_equal(retry_after(date, "0", 0), 0);
  assert_int_equal(retry_after(date, "", 0), 0);
  assert_int_equal(retry_after(date, "-5", 0), 0);
  assert_int_equal(retry_after(date, "soon", 0), 0);
  assert_int_equal(retry_after(date, "99999999999999999999999999", 0), UINT64_C(366) * 86400 * SECOND_NS);
  assert_int_equal(retry_after(date, later, 0), 30 * SECOND_NS);
  assert_int_equal(retry_after(later, date, 0), 0);
  assert_int_equal(retry_after("yesterday?", later, 784111777), 30 * SECOND_NS);
  dk_head_init(&head, 1000);
  add("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  assert_int_equal(dk_head_when(&head), 784111777);
  assert_int_equal(dk_head_retry_after_ns(&head, 5), 0);
  dk_head_finish(&head);
  /* RFC 9110 has two older forms; what is none of the three is no time. */
  assert_int_equal(retry_after(date, "Sunday, 06-Nov-94 08:50:07 GMT", 0), 30 * SECOND_NS);
  assert_int_equal(retry_after(date, "Sun Nov  6 08:50:07 1994", 0), 30 * SECOND_NS);
  assert_int_equal(retry_after(date, "Sun, 06 Nov 1994 08:50:07 +0100", 0), 0);
  assert_int_equal(retry_after(date, "Sun, 06 Nov 1994 08:50:07 GMT+1", 0), 0);
  assert_int_equal(retry_after(date, "Sun, 66 Nov 1994 08:50:07 GMT", 0), 0);
}

/* From `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64`. */
#include "pin_vector.h"

static void pins(void **state) {
  (void)state;
  char pin[DK_PIN_TEXT], *copy = strdup(certificate);
  size_t len = strlen(certificate);
  assert_int_equal(dk_pin_of(certificate, len, pin), 0);
  assert_string_equal(pin, certificate_pin);
  /* Cut anywhere it is none. The last characters of the text are no part of it. */
  for (size_t n = 0; n + 2 < len; n++) assert_int_equal(dk_pin_of(certificate, n, pin), -EINVAL);
  /* A length that is altered leads nowhere. */
  size_t begin = (size_t)(strchr(certificate, '\n') + 1 - certificate);
  for (size_t i = begin; i < begin + 40; i++) {
    copy[i] = copy[i] == '/' ? 'A' : '/';
    (void)dk_pin_of(copy, len, pin);
    copy[i] = certificate[i];
  }
  copy[begin + 2] = '!';
  assert_int_equal(dk_pin_of(copy, len, pin), -EINVAL);
  free(copy);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(lookup), cmocka_unit_test(bounded), cmocka_unit_test(times),
                                     cmocka_unit_test(pins)};
  return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}

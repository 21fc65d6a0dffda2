/* What a cloud answers: the input as the lines of a head, as a document, as a certificate and as a time. Whatever it
 * is, what is read of it stays within its bounds, and words about it are printable. */
#include "engine/net/head.h"
#include "engine/net/json.h"
#include "engine/net/pin.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MOST 1000u
#define YEAR_NS (UINT64_C(366) * 86400 * 1000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so) {
  if (!is_so) abort();
}

static void check_words(const struct dk_error *error) {
  check(error->code < 0 && strncmp(error->text, "lab: ", 5) == 0);
  for (const char *c = error->text; *c; c++) check((unsigned char)*c >= ' ' || *c == '\n');
}

static void check_head(const char *text, size_t size) {
  static const char *const names[] = {"Retry-After", "Date", "Location", "x-request-id", ""};
  struct dk_head head;

  dk_head_init(&head, HEAD_MOST);
  for (size_t at = 0; at < size;) {
    const char *end = memchr(text + at, '\n', size - at);
    size_t len = end ? (size_t)(end + 1 - (text + at)) : size - at, before = head.seen;
    int r = dk_head_add(&head, text + at, len);
    check(r == 0 ? head.seen == before + len : before + len > HEAD_MOST && head.seen == before);
    at += len;
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *value = dk_head_get(&head, names[i]);
    check(!value || strlen(value) < HEAD_MOST);
    check(!value || !strpbrk(value, "\n"));
  }
  check(dk_head_when(&head) >= 0);
  check(dk_head_retry_after_ns(&head, 1) <= YEAR_NS);
  dk_head_finish(&head);
}

/* Asks every place for a member of each type. */
static void look(const struct dk_json *at, uint32_t depth) {
  static const char *const names[] = {"servers", "id", "created"};
  struct dk_error error = {0};
  struct dk_json inner;
  const char *text;
  int64_t whole;
  double number;
  uint32_t n;

  check(depth <= DK_JSON_DEPTH_MOST);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (dk_json_text(at, names[i], &text, &error) < 0) check_words(&error);
    if (dk_json_int(at, names[i], &whole, &error) < 0) check_words(&error);
    if (dk_json_number(at, names[i], &number, &error) < 0) check_words(&error);
    if (dk_json_time(at, names[i], &whole, &error) < 0) check_words(&error);
    if (dk_json_list(at, names[i], &inner, &n, &error) < 0) {
      check_words(&error);
      if (dk_json_find(at, names[i], &inner)) look(&inner, depth + 1);
      continue;
    }
    for (uint32_t j = 0; j < n && j < 3; j++) {
      struct dk_json item;
      dk_json_item(&inner, j, &item);
      look(&item, depth + 2);
    }
  }
}

static void check_json(const char *text, size_t size) {
  struct dk_json document;
  struct dk_error error = {0};

  if (dk_json_parse(text, size, "lab", &document, &error) < 0) {
    check(document.value == NULL);
    check_words(&error);
    return;
  }
  look(&document, 0);
  dk_json_finish(&document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *copy = malloc(size + 1); /* of just that size: a read past its end is seen */
  char pin[DK_PIN_TEXT];
  int64_t when;

  if (!copy) exit(2);
  memcpy(copy, data, size);
  copy[size] = '\0';
  check_json(copy, size);
  check_head(copy, size);
  if (dk_pin_of(copy, size, pin) == 0) check(strlen(pin) == DK_PIN_TEXT - 1);
  (void)dk_json_read_time(copy, &when);
  free(copy);
  return 0;
}

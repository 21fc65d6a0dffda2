/* Headers as pairs of texts in one buffer: see head.h. There are a few dozen, so they are searched from the front. */
#include "engine/net/head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)
#define RETRY_MOST_S (INT64_C(366) * 86400)

void dk_head_init(struct dk_head *head, size_t most) {
  *head = (struct dk_head){.most = most};
}

void dk_head_finish(struct dk_head *head) {
  dk_buf_finish(&head->text);
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int dk_head_add(struct dk_head *head, const char *line, size_t len) {
  if (len > head->most - head->seen) return -EMSGSIZE;
  head->seen += len;
  if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
    dk_buf_clear(&head->text);
    return 0;
  }
  const char *colon = memchr(line, ':', len);
  if (!colon || colon == line || is_blank(line[0]) || memchr(line, '\0', len)) return 0;
  const char *value = colon + 1, *end = line + len;
  while (value < end && is_blank(*value)) value++;
  while (end > value && is_blank(end[-1])) end--;
  dk_buf_add(&head->text, line, (size_t)(colon - line));
  dk_buf_add_char(&head->text, '\0');
  dk_buf_add(&head->text, value, (size_t)(end - value));
  dk_buf_add_char(&head->text, '\0');
  return dk_buf_ok(&head->text) ? 0 : -ENOMEM;
}

const char *dk_head_get(const struct dk_head *head, const char *name) {
  if (!dk_buf_ok(&head->text)) return NULL;
  for (size_t at = 0; at < head->text.len;) {
    const char *key = head->text.data + at, *value = key + strlen(key) + 1;
    if (strcasecmp(key, name) == 0) return value;
    at = (size_t)(value + strlen(value) + 1 - head->text.data);
  }
  return NULL;
}

/* The three forms of RFC 9110, 5.6.7. */
static int64_t read_date(const char *text) {
  static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%a, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"};

  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    struct tm tm = {0};
    const char *end = strptime(text, forms[i], &tm);
    if (end && !*end) return (int64_t)timegm(&tm);
  }
  return 0;
}

int64_t dk_head_when(const struct dk_head *head) {
  const char *date = dk_head_get(head, "Date");
  int64_t when = date ? read_date(date) : 0;
  return when > 0 ? when : 0;
}

uint64_t dk_head_retry_after_ns(const struct dk_head *head, int64_t unix_s) {
  const char *text = dk_head_get(head, "Retry-After");
  int64_t wait = 0;

  if (!text || !*text) return 0;
  size_t digits = strspn(text, "0123456789");
  if (!text[digits]) {
    for (const char *c = text; *c && wait < RETRY_MOST_S; c++) wait = wait * 10 + (*c - '0');
  } else {
    int64_t now = dk_head_when(head), then = read_date(text);
    wait = then > 0 ? then - (now ? now : unix_s) : 0;
  }
  if (wait > RETRY_MOST_S) wait = RETRY_MOST_S;
  return wait > 0 ? (uint64_t)wait * SECOND_NS : 0;
}

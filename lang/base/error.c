/* Error texts, without the heap (lack of memory must be reportable): see error.h. What does not fit is cut at a
 * character, with "..." at its end. */
#include "lang/base/error.h"
#include "lang/base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HELP "\nhelp: "

struct line {
  char text[sizeof((struct dk_error *)0)->text];
  size_t len;
  bool full;
};

static void add_step(struct line *line, const char *step) {
  size_t n = strlen(step);
  if (line->full || line->len + n + sizeof "..." > sizeof line->text) {
    if (!line->full) memcpy(line->text + line->len, "...", sizeof "...");
    line->full = true;
    return;
  }
  memcpy(line->text + line->len, step, n + 1);
  line->len += n;
}

static void add_escaped(struct line *line, const char *text, size_t len) {
  char step[DK_ESCAPED_MAX];
  while (len > 0) {
    size_t used = 1;
    if (len >= strlen(HELP) && memcmp(text, HELP, strlen(HELP)) == 0) {
      strcpy(step, "\n");
    } else {
      used = dk_escape_step(text, len, step);
    }
    add_step(line, step);
    text += used;
    len -= used;
  }
}

/* words: NULL, or what goes in front of the help lines; behind: NULL, or what goes to the very end. */
__attribute__((format(printf, 2, 0))) static void put(struct dk_error *error, const char *format, va_list ap,
                                                      const char *words, const char *behind) {
  char raw[sizeof error->text];
  struct line line = {.text = ""};
  int n = vsnprintf(raw, sizeof raw, format, ap);
  if (n < 0) strcpy(raw, "(unprintable message)");
  const char *help = strstr(raw, HELP);
  size_t head = help ? (size_t)(help - raw) : strlen(raw);
  add_escaped(&line, raw, head);
  if (words) {
    add_escaped(&line, ": ", 2);
    add_escaped(&line, words, strlen(words));
  }
  add_escaped(&line, raw + head, strlen(raw) - head);
  if (n >= (int)sizeof raw) add_escaped(&line, "...", 3);
  if (behind) add_escaped(&line, behind, strlen(behind));
  memcpy(error->text, line.text, sizeof error->text);
}

int(dk_error_set)(struct dk_error *error, int code, const char *format, ...) {
  assert(code < 0);
  if (error) {
    va_list ap;
    va_start(ap, format);
    put(error, format, ap, NULL, NULL);
    va_end(ap);
    error->code = code;
  }
  return code;
}

int(dk_error_system)(struct dk_error *error, int code, const char *format, ...) {
  assert(code < 0);
  if (error) {
    const char *words = strerrordesc_np(-code); /* not strerror: thread-safe, and not translated */
    char unknown[32];
    snprintf(unknown, sizeof unknown, "error %d", -code);
    va_list ap;
    va_start(ap, format);
    put(error, format, ap, words ? words : unknown, NULL);
    va_end(ap);
    error->code = code;
  }
  return code;
}

int dk_error_prefix(struct dk_error *error, const char *format, ...) {
  if (!error) return -EIO;
  char behind[sizeof error->text + 2];
  snprintf(behind, sizeof behind, ": %s", error->text);
  va_list ap;
  va_start(ap, format);
  put(error, format, ap, NULL, behind);
  va_end(ap);
  return error->code;
}

bool dk_error_is_full(int code) {
  return code == -ENOSPC || code == -EDQUOT;
}

bool dk_error_is_disk(int code) {
  return dk_error_is_full(code) || code == -EIO || code == -EROFS;
}

bool dk_error_is_limit(int code) {
  return code == -EMFILE || code == -ENFILE;
}

bool dk_error_is_machine(int code) {
  return dk_error_is_disk(code) || dk_error_is_limit(code) || code == -ENOMEM;
}

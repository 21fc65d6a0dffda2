/* A growable byte buffer on the heap, with a sticky failure: appends return nothing; after one has failed for lack of
 * memory all later ones do nothing and dk_buf_ok() is false. `data` is always NUL-terminated (one byte past len) once
 * anything was appended; dk_buf_text() never returns NULL. What is appended must not lie in the buffer itself. */
#ifndef DK_BASE_BUF_H
#define DK_BASE_BUF_H

#include "lang/base/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dk_buf {
  char *data; /* owned; freed by dk_buf_finish */
  size_t len, cap;
  bool failed;
};

#define DK_BUF_INIT                                                                                                    \
  { NULL, 0, 0, false }
#define dk_autobuf __attribute__((cleanup(dk_buf_finish))) struct dk_buf

void dk_buf_finish(struct dk_buf *buf);
void dk_buf_clear(struct dk_buf *buf); /* length 0, failure forgotten, memory kept */
void dk_buf_add(struct dk_buf *buf, const void *data, size_t len);
void dk_buf_add_text(struct dk_buf *buf, const char *text);
void dk_buf_add_char(struct dk_buf *buf, char c);
void dk_buf_add_repeat(struct dk_buf *buf, char c, size_t n);
void dk_buf_add_int(struct dk_buf *buf, int64_t value); /* in decimal */
void dk_buf_printf(struct dk_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void dk_buf_vprintf(struct dk_buf *buf, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));
/* Room for len more bytes at data + buf->len, or NULL (failed). dk_buf_commit() then counts those that were written. */
void *dk_buf_reserve(struct dk_buf *buf, size_t len);
void dk_buf_commit(struct dk_buf *buf, size_t len);
void dk_buf_truncate(struct dk_buf *buf, size_t len);
/* What is put into `buf` was made from `from`: if that failed, so has `buf`. */
void dk_buf_inherit(struct dk_buf *buf, const struct dk_buf *from);

static inline bool dk_buf_ok(const struct dk_buf *buf) {
  return !buf->failed;
}
static inline const char *dk_buf_text(const struct dk_buf *buf) {
  return buf->data ? buf->data : "";
}
char *dk_buf_steal(struct dk_buf *buf); /* caller dk_frees; NULL if failed, "" if empty; buf is empty after */

#endif

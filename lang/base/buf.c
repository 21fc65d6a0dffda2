/* The growable byte buffer: see buf.h. Its room at least doubles, so appending is linear in all. */
#include "lang/base/buf.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void dk_buf_finish(struct dk_buf *buf) {
  dk_free(buf->data);
  *buf = (struct dk_buf)DK_BUF_INIT;
}

void dk_buf_clear(struct dk_buf *buf) {
  buf->len = 0;
  buf->failed = false;
  if (buf->data) buf->data[0] = '\0';
}

/* Room for len more bytes and a NUL. */
static bool make_room(struct dk_buf *buf, size_t len) {
  if (buf->failed) return false;
  if (len >= PTRDIFF_MAX - buf->len) {
    buf->failed = true;
    return false;
  }
  size_t needed = buf->len + len + 1;
  if (needed <= buf->cap) return true;
  size_t cap = buf->cap < 32 ? 64 : buf->cap * 2;
  if (cap < needed) cap = needed;
  char *data = dk_realloc_array(buf->data, cap, 1);
  if (!data) {
    buf->failed = true;
    return false;
  }
  buf->data = data;
  buf->cap = cap;
  return true;
}

void dk_buf_add(struct dk_buf *buf, const void *data, size_t len) {
  if (len == 0 || !make_room(buf, len)) return;
  memcpy(buf->data + buf->len, data, len);
  dk_buf_commit(buf, len);
}

void dk_buf_add_text(struct dk_buf *buf, const char *text) {
  dk_buf_add(buf, text, strlen(text));
}

void dk_buf_add_char(struct dk_buf *buf, char c) {
  dk_buf_add(buf, &c, 1);
}

void dk_buf_add_repeat(struct dk_buf *buf, char c, size_t n) {
  if (n == 0 || !make_room(buf, n)) return;
  memset(buf->data + buf->len, c, n);
  dk_buf_commit(buf, n);
}

void dk_buf_add_int(struct dk_buf *buf, int64_t value) {
  char text[DK_NUMBER_TEXT];
  dk_buf_add(buf, text, dk_number_int_text(value, text));
}

void dk_buf_printf(struct dk_buf *buf, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  dk_buf_vprintf(buf, format, ap);
  va_end(ap);
}

void dk_buf_vprintf(struct dk_buf *buf, const char *format, va_list ap) {
  if (!make_room(buf, 0)) return;
  va_list again;
  va_copy(again, ap);
  size_t room = buf->cap - buf->len;
  int len = vsnprintf(buf->data + buf->len, room, format, ap);
  if (len < 0) {
    buf->failed = true;
    buf->data[buf->len] = '\0';
  } else if ((size_t)len < room) {
    buf->len += (size_t)len;
  } else {
    buf->data[buf->len] = '\0'; /* no half of it stays when there is no room for the whole */
    if (make_room(buf, (size_t)len)) {
      vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
      buf->len += (size_t)len;
    }
  }
  va_end(again);
}

void *dk_buf_reserve(struct dk_buf *buf, size_t len) {
  if (!make_room(buf, len)) return NULL;
  buf->data[buf->len] = '\0';
  return buf->data + buf->len;
}

void dk_buf_commit(struct dk_buf *buf, size_t len) {
  if (buf->failed) return;
  assert(len < buf->cap - buf->len);
  buf->len += len;
  buf->data[buf->len] = '\0';
}

void dk_buf_truncate(struct dk_buf *buf, size_t len) {
  if (len >= buf->len) return;
  buf->len = len;
  buf->data[len] = '\0';
}

void dk_buf_inherit(struct dk_buf *buf, const struct dk_buf *from) {
  if (from->failed) buf->failed = true;
}

char *dk_buf_steal(struct dk_buf *buf) {
  make_room(buf, 0);
  char *data = NULL;
  if (!buf->failed) {
    data = buf->data;
    data[buf->len] = '\0';
    buf->data = NULL;
  }
  dk_buf_finish(buf);
  return data;
}

/* The headers of an HTTP answer: bounded, found by name in any case, and the times in them. */
#ifndef DK_NET_HEAD_H
#define DK_NET_HEAD_H

#include "lang/base/buf.h"

struct dk_head {
  struct dk_buf text; /* name NUL value NUL ... of the last answer's */
  size_t seen, most;  /* bytes of all lines, those of interim answers too; the most there may be */
};

void dk_head_init(struct dk_head *head, size_t most);
void dk_head_finish(struct dk_head *head);
/* A line as it came, with or without its end. A status line ("HTTP/...") begins anew; what is no header is left out.
 * 0, -EMSGSIZE, -ENOMEM. */
int dk_head_add(struct dk_head *head, const char *line, size_t len);
/* The first one's value without spaces around it; NULL: none. */
const char *dk_head_get(const struct dk_head *head, const char *name);

/* The server's clock (Date) in Unix seconds; 0: none that can be read. */
int64_t dk_head_when(const struct dk_head *head);
/* Retry-After in nanoseconds, as seconds or as a date; the date is taken from the server's own clock, else from
 * `unix_s`. 0: none, or one that has passed. At most a year. */
uint64_t dk_head_retry_after_ns(const struct dk_head *head, int64_t unix_s);

#endif

/* Logs of tasks for reading: kept ones (inline in the result, or an object) and those being written in a slot. */
#ifndef DK_REPORT_LOG_H
#define DK_REPORT_LOG_H

#include "engine/objects/object.h"
#include "engine/wire/message.h"

/* Where the bytes of a log come from that is neither in this process nor a file of this machine. */
struct dk_log_source {
  void *ctx;
  /* Up to `max` bytes at `at` or, when those were punched out, behind the hole: returns how many (0: none are there
   * yet, or max is 0), *ret_at where they begin, *ret_end how many bytes were written so far. Negative errno with
   * words. */
  long (*read)(void *ctx, uint64_t at, char *to, size_t max, uint64_t *ret_at, uint64_t *ret_end,
               struct dk_error *error);
};

struct dk_log {
  int fd;                      /* file, or -1 */
  char *bytes;                 /* inline copy, or NULL */
  struct dk_log_source source; /* or its function is NULL */
  uint64_t size, at;           /* of bytes */
  bool from_start;             /* nothing was skipped yet */
};

int dk_log_open_kept(struct dk_log *log, const struct dk_kept *kept, const struct dk_objects *objects,
                     struct dk_error *error);
/* A file that may still grow. */
int dk_log_open_file(struct dk_log *log, const char *path, struct dk_error *error);
/* Borrows what the source needs. Nothing is read yet. */
void dk_log_open_source(struct dk_log *log, const struct dk_log_source *source);
void dk_log_finish(struct dk_log *log); /* zeroed or opened */

/* Goes to where the last `lines` lines start (a last line without an end counts). */
int dk_log_tail(struct dk_log *log, uint64_t lines, struct dk_error *error);
/* Appends up to `max` bytes from where it stands; returns how many, 0 at the end (a growing file may give more later;
 * holes in a capped file are stepped over and said as "[N bytes left out]"). Negative errno on failure; -ESTALE: the
 * file got shorter (another task has it). */
long dk_log_read(struct dk_log *log, struct dk_buf *out, size_t max, struct dk_error *error);
/* The last lines, each after `prefix`, escaped, cut to `width` columns. */
int dk_log_tail_lines(struct dk_log *log, uint32_t lines, const char *prefix, uint32_t width, struct dk_buf *out,
                      struct dk_error *error);

#endif

/* Logs for reading; see log.h. */
#include "engine/report/log.h"
#include "engine/report/cell.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536u
#define SHOWN_MAX 4096u /* bytes of a line */

static int open_fd(struct dk_log *log, const char *path, struct dk_error *error) {
  memset(log, 0, sizeof *log);
  log->from_start = true;
  log->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (log->fd < 0) {
    return dk_error_system(error, -errno, "opening the log %s", path);
  }
  return 0;
}

int dk_log_open_kept(struct dk_log *log, const struct dk_kept *kept, const struct dk_objects *objects,
                     struct dk_error *error) {
  if (kept->bytes || !kept->size) {
    memset(log, 0, sizeof *log);
    log->fd = -1;
    log->from_start = true;
    log->size = kept->bytes ? kept->size : 0;
    log->bytes = log->size ? dk_memdup(kept->bytes, log->size) : NULL;
    return log->size && !log->bytes ? dk_error_system(error, -ENOMEM, "reading the log") : 0;
  }
  dk_autobuf path = DK_BUF_INIT;
  dk_objects_path(objects, &kept->digest, &path);
  if (!dk_buf_ok(&path)) {
    memset(log, 0, sizeof *log);
    log->fd = -1;
    return dk_error_system(error, -ENOMEM, "reading the log");
  }
  return open_fd(log, dk_buf_text(&path), error);
}

int dk_log_open_file(struct dk_log *log, const char *path, struct dk_error *error) {
  return open_fd(log, path, error);
}

void dk_log_open_source(struct dk_log *log, const struct dk_log_source *source) {
  *log = (struct dk_log){.fd = -1, .source = *source, .from_start = true};
}

void dk_log_finish(struct dk_log *log) {
  if (log->fd > 0) {
    close(log->fd);
  }
  dk_free(log->bytes);
  memset(log, 0, sizeof *log);
  log->fd = -1;
}

/* Where the next bytes are in a capped file, whose middle was punched out, and how many lie together. */
static int next_bytes(int fd, uint64_t at, uint64_t end, size_t *max, uint64_t *ret_at) {
  off_t data = lseek(fd, (off_t)at, SEEK_DATA);
  *ret_at = data > (off_t)at ? (uint64_t)data : at;
  if (data < 0 && errno == ENXIO) {
    *ret_at = end; /* only a hole is left */
    *max = 0;
    return 0;
  }
  if (data < 0 && errno != EINVAL) {
    return -errno;
  }
  off_t hole = lseek(fd, (off_t)*ret_at, SEEK_HOLE);
  if (hole > (off_t)*ret_at && (uint64_t)hole - *ret_at < *max) {
    *max = (size_t)((uint64_t)hole - *ret_at);
  }
  return 0;
}

static long read_file(int fd, uint64_t at, char *to, size_t max, uint64_t *ret_at, uint64_t *ret_end) {
  struct stat st;
  if (fstat(fd, &st) < 0) {
    return -errno;
  }
  *ret_at = at;
  *ret_end = (uint64_t)st.st_size;
  if (at >= *ret_end || max == 0) {
    return 0;
  }
  int r = next_bytes(fd, at, *ret_end, &max, ret_at);
  while (r == 0 && max > 0) {
    ssize_t n = pread(fd, to, max, (off_t)*ret_at);
    if (n >= 0 || errno != EINTR) {
      return n >= 0 ? (long)n : -errno;
    }
  }
  return r;
}

/* As dk_log_source reads, from whatever the log is. */
static long read_at(const struct dk_log *log, uint64_t at, char *to, size_t max, uint64_t *ret_at, uint64_t *ret_end,
                    struct dk_error *error) {
  if (log->source.read) {
    return log->source.read(log->source.ctx, at, to, max, ret_at, ret_end, error);
  }
  if (log->fd >= 0) {
    long n = read_file(log->fd, at, to, max, ret_at, ret_end);
    return n < 0 ? dk_error_system(error, (int)n, "reading the log") : n;
  }
  size_t n = at < log->size ? (size_t)(log->size - at) : 0;
  n = n < max ? n : max;
  memcpy(to, log->bytes ? log->bytes + at : "", n);
  *ret_at = at;
  *ret_end = log->size;
  return (long)n;
}

/* `want` bytes from `at` on, all of them written already; what was punched out is zeros. */
static int read_back(const struct dk_log *log, uint64_t at, char *to, size_t want, struct dk_error *error) {
  uint64_t from, end;
  memset(to, 0, want);
  for (size_t done = 0; done < want;) {
    long n = read_at(log, at + done, to + done, want - done, &from, &end, error);
    if (n < 0) {
      return (int)n;
    }
    if (end < at + want || (n == 0 && from <= at + done)) {
      return dk_error_set(error, -ESTALE, "the log became shorter while it was read");
    }
    size_t skipped = (size_t)(from - at - done);
    if (skipped >= want - done) {
      memset(to + done, 0, want - done);
      return 0;
    }
    if (skipped > 0) {
      size_t kept = (size_t)n < want - done - skipped ? (size_t)n : want - done - skipped;
      memmove(to + done + skipped, to + done, kept);
      memset(to + done, 0, skipped);
      n = (long)kept;
    }
    done += skipped + (size_t)n;
  }
  return 0;
}

int dk_log_tail(struct dk_log *log, uint64_t lines, struct dk_error *error) {
  uint64_t end, at;
  dk_autofree char *chunk = dk_alloc(CHUNK);
  if (!chunk) {
    return dk_error_system(error, -ENOMEM, "reading the log");
  }
  long r = read_at(log, 0, chunk, 0, &at, &end, error);
  if (r < 0) {
    return (int)r;
  }
  uint64_t found = 0;
  for (at = end; at > 0 && lines;) {
    size_t want = at < CHUNK ? (size_t)at : CHUNK;
    r = read_back(log, at - want, chunk, want, error);
    if (r < 0) {
      return (int)r;
    }
    for (size_t i = want; i-- > 0;) {
      /* The end of the last line is no start of one. */
      if (chunk[i] == '\n' && at - want + i + 1 < end && ++found == lines) {
        log->at = at - want + i + 1;
        log->from_start = log->at == 0;
        return 0;
      }
    }
    at -= want;
  }
  log->at = lines ? 0 : end;
  log->from_start = log->at == 0;
  return 0;
}

long dk_log_read(struct dk_log *log, struct dk_buf *out, size_t max, struct dk_error *error) {
  uint64_t from, end;
  size_t before = out->len;
  dk_autofree char *room = dk_alloc(max);
  if (!room) {
    return dk_error_system(error, -ENOMEM, "reading the log");
  }
  long n = read_at(log, log->at, room, max, &from, &end, error);
  if (n < 0) {
    return n;
  }
  if (end < log->at) {
    return dk_error_set(error, -ESTALE, "the log became shorter");
  }
  if (from > log->at) {
    dk_buf_printf(out, "[%llu bytes left out]\n", (unsigned long long)(from - log->at));
    log->from_start = false;
  }
  dk_buf_add(out, room, (size_t)n);
  if (!dk_buf_ok(out)) {
    return dk_error_system(error, -ENOMEM, "reading the log");
  }
  log->at = from + (uint64_t)n;
  return (long)(out->len - before);
}

/* The start of the line at which it stands, as much as is ever shown; then it stands at the next one. 1, 0: there is
 * none. Kept logs have no holes: bytes that were read are bytes of it. */
static int next_line(struct dk_log *log, struct dk_buf *ret, struct dk_error *error) {
  dk_buf_clear(ret);
  size_t want = SHOWN_MAX + 1;
  bool is_first = true;
  for (;;) {
    dk_autobuf more = DK_BUF_INIT;
    long n = dk_log_read(log, is_first ? ret : &more, want, error);
    if (n <= 0) {
      return n < 0 ? (int)n : !is_first;
    }
    const char *text = dk_buf_text(is_first ? ret : &more);
    const char *eol = memchr(text, '\n', (size_t)n);
    if (eol) {
      log->at -= (uint64_t)(text + n - eol - 1);
    }
    if (eol && is_first) {
      dk_buf_truncate(ret, (size_t)(eol - text));
    }
    if (eol) {
      return 1;
    }
    is_first = false;
    want = CHUNK;
  }
}

int dk_log_tail_lines(struct dk_log *log, uint32_t lines, const char *prefix, uint32_t width, struct dk_buf *out,
                      struct dk_error *error) {
  dk_autobuf text = DK_BUF_INIT;
  int r = dk_log_tail(log, lines, error);
  while (r == 0 && (r = next_line(log, &text, error)) > 0) {
    dk_autobuf line = DK_BUF_INIT;
    size_t shown = text.len > 0 && text.data[text.len - 1] == '\r' ? text.len - 1 : text.len;
    dk_buf_add_escaped(&line, dk_buf_text(&text), shown < SHOWN_MAX ? shown : SHOWN_MAX);
    dk_buf_inherit(out, &line);
    dk_buf_add_text(out, prefix);
    dk_cell_cut(out, dk_buf_text(&line), line.len, width);
    dk_buf_add_char(out, '\n');
    r = 0;
  }
  if (r < 0) {
    return r;
  }
  return dk_buf_ok(out) ? 0 : dk_error_system(error, -ENOMEM, "reading the log");
}

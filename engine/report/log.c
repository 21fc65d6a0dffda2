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

void dk_log_finish(struct dk_log *log) {
  if (log->fd > 0) {
    close(log->fd);
  }
  dk_free(log->bytes);
  memset(log, 0, sizeof *log);
  log->fd = -1;
}

/* Bytes at a position of a file or of the inline copy: at least one, 0 at the end, or -errno. */
static long read_at(const struct dk_log *log, uint64_t at, char *to, size_t max) {
  if (log->fd < 0) {
    size_t n = at < log->size ? (size_t)(log->size - at) : 0;
    n = n < max ? n : max;
    memcpy(to, log->bytes ? log->bytes + at : "", n);
    return (long)n;
  }
  for (;;) {
    ssize_t n = pread(log->fd, to, max, (off_t)at);
    if (n >= 0 || errno != EINTR) {
      return n >= 0 ? (long)n : -errno;
    }
  }
}

static int current_size(const struct dk_log *log, uint64_t *ret, struct dk_error *error) {
  struct stat st;
  if (log->fd < 0) {
    *ret = log->size;
    return 0;
  }
  if (fstat(log->fd, &st) < 0) {
    return dk_error_system(error, -errno, "reading the log");
  }
  *ret = (uint64_t)st.st_size;
  return 0;
}

int dk_log_tail(struct dk_log *log, uint64_t lines, struct dk_error *error) {
  uint64_t end, at;
  int r = current_size(log, &end, error);
  if (r < 0) {
    return r;
  }
  dk_autofree char *chunk = dk_alloc(CHUNK);
  if (!chunk) {
    return dk_error_system(error, -ENOMEM, "reading the log");
  }
  uint64_t found = 0;
  for (at = end; at > 0 && lines;) {
    size_t want = at < CHUNK ? (size_t)at : CHUNK;
    long n = read_at(log, at - want, chunk, want);
    if (n < 0) {
      return dk_error_system(error, (int)n, "reading the log");
    }
    if ((size_t)n < want) {
      return dk_error_set(error, -ESTALE, "the log became shorter while it was read");
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

/* A capped log has a hole where its middle was; reading it would give NULs. Steps over it. */
static int skip_hole(struct dk_log *log, uint64_t end, struct dk_buf *out, struct dk_error *error) {
  if (log->fd < 0) {
    return 0;
  }
  off_t data = lseek(log->fd, (off_t)log->at, SEEK_DATA);
  uint64_t next = data >= 0 ? (uint64_t)data : log->at;
  if (data < 0 && errno == ENXIO) {
    next = end; /* only a hole is left */
  } else if (data < 0 && errno != EINVAL) {
    return dk_error_system(error, -errno, "reading the log");
  }
  if (next > log->at) {
    dk_buf_printf(out, "[%llu bytes left out]\n", (unsigned long long)(next - log->at));
    log->at = next;
    log->from_start = false;
  }
  return 0;
}

/* At most `max` bytes without running into a hole. */
static size_t until_hole(const struct dk_log *log, size_t max) {
  off_t hole = log->fd < 0 ? -1 : lseek(log->fd, (off_t)log->at, SEEK_HOLE);
  return hole > (off_t)log->at && (uint64_t)hole - log->at < max ? (size_t)((uint64_t)hole - log->at) : max;
}

long dk_log_read(struct dk_log *log, struct dk_buf *out, size_t max, struct dk_error *error) {
  uint64_t end;
  size_t before = out->len;
  int r = current_size(log, &end, error);
  if (r < 0) {
    return r;
  }
  if (end < log->at) {
    return dk_error_set(error, -ESTALE, "the log became shorter");
  }
  if (end == log->at) {
    return 0;
  }
  r = skip_hole(log, end, out, error);
  if (r < 0) {
    return r;
  }
  max = until_hole(log, max);
  char *room = dk_buf_reserve(out, max);
  if (!room) {
    return dk_error_system(error, -ENOMEM, "reading the log");
  }
  long n = read_at(log, log->at, room, max);
  if (n < 0) {
    return dk_error_system(error, (int)n, "reading the log");
  }
  dk_buf_commit(out, (size_t)n);
  log->at += (uint64_t)n;
  return (long)(out->len - before);
}

int dk_log_tail_lines(struct dk_log *log, uint32_t lines, const char *prefix, uint32_t width, struct dk_buf *out,
                      struct dk_error *error) {
  dk_autobuf text = DK_BUF_INIT;
  int r = dk_log_tail(log, lines, error);
  if (r < 0) {
    return r;
  }
  /* Lines may be of any length: what is shown of each is at most `width`, so a chunk a line is more than enough. */
  long n = dk_log_read(log, &text, (size_t)lines * 4096, error);
  if (n < 0) {
    return (int)n;
  }
  const char *at = dk_buf_text(&text), *end = at + text.len;
  while (at < end) {
    const char *eol = memchr(at, '\n', (size_t)(end - at));
    size_t len = (size_t)((eol ? eol : end) - at);
    dk_autobuf line = DK_BUF_INIT;
    size_t shown = len > 0 && at[len - 1] == '\r' ? len - 1 : len;
    dk_buf_add_escaped(&line, at, shown < 4096 ? shown : 4096);
    dk_buf_inherit(out, &line);
    dk_buf_add_text(out, prefix);
    dk_cell_cut(out, dk_buf_text(&line), line.len, width);
    dk_buf_add_char(out, '\n');
    at += len + 1;
  }
  return dk_buf_ok(out) ? 0 : dk_error_system(error, -ENOMEM, "reading the log");
}

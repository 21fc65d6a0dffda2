/* See log.h. */
#include "engine/agent/log.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int dk_log_open(struct dk_log *log, int slot_dir, const char *name, uint64_t cap, struct dk_error *error) {
  if (cap < 65536) cap = cap == 0 ? 64u << 20 : 65536;
  uint64_t part = cap / 4 < DK_LOG_HEAD ? cap / 4 : DK_LOG_HEAD;
  *log = (struct dk_log){slot_dir, name, -1, cap, part, part, 0, false};
  /* The file is used again from task to task: making and removing one costs more than a task should. */
  log->fd = openat(slot_dir, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat st;
  if (log->fd < 0 || fstat(log->fd, &st) < 0) return dk_error_system(error, -errno, "cannot open the log of a slot");
  if (st.st_size > 0 && ftruncate(log->fd, 0) < 0)
    return dk_error_system(error, -errno, "cannot empty the log of a slot");
  return 0;
}

uint64_t dk_log_trim(struct dk_log *log) {
  struct stat st;
  if (log->fd < 0 || fstat(log->fd, &st) < 0) return 0;
  uint64_t size = (uint64_t)st.st_size;
  if (size < log->punched) log->punched = 0; /* the task cut it, and wrote on */
  uint64_t from = log->punched ? log->punched : log->head;
  if (log->is_stuck || size <= from + log->cap - log->head) return size;
  uint64_t to = (size - log->tail) & ~(uint64_t)4095;
  if (fallocate(log->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) < 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) log->is_stuck = true;
    return size;
  }
  log->punched = to;
  return size;
}

static int keep_inline(const struct dk_log *log, uint64_t size, struct dk_kept *ret) {
  ret->bytes = dk_alloc(size + 1);
  if (!ret->bytes) return -ENOMEM;
  int r = dk_fs_pread_all(log->fd, ret->bytes, size, 0);
  ret->bytes[r == 0 ? size : 0] = '\0';
  ret->size = r == 0 ? size : 0;
  return r;
}

struct writer {
  int from, to;
  struct dk_content_hasher hasher;
  uint64_t written;
  char buffer[65536];
};

static int write_bytes(struct writer *writer, const void *data, size_t len) {
  dk_content_add(&writer->hasher, data, len);
  writer->written += len;
  return dk_fs_write_all(writer->to, data, len);
}

static int write_range(struct writer *writer, uint64_t at, uint64_t end) {
  int r = 0;
  while (r == 0 && at < end) {
    size_t len = end - at < sizeof writer->buffer ? (size_t)(end - at) : sizeof writer->buffer;
    r = dk_fs_pread_all(writer->from, writer->buffer, len, at);
    if (r == 0) r = write_bytes(writer, writer->buffer, len);
    at += len;
  }
  return r;
}

/* Head, what was left out, tail. */
static int write_capped(const struct dk_log *log, struct writer *writer, uint64_t size) {
  uint64_t tail = size > log->tail ? size - log->tail : 0;
  if (tail < log->head) tail = log->head;
  if (tail < log->punched) tail = log->punched;
  char note[80];
  int len = snprintf(note, sizeof note, "\n[%llu bytes left out]\n", (unsigned long long)(tail - log->head));
  int r = write_range(writer, 0, log->head);
  if (r == 0) r = write_bytes(writer, note, (size_t)len);
  if (r == 0) r = write_range(writer, tail, size);
  return r;
}

static int keep_capped(struct dk_log *log, struct dk_blobs *blobs, uint64_t size, struct dk_kept *ret,
                       struct dk_error *error) {
  char name[DK_OBJECTS_TMP];
  dk_autofree struct writer *writer = dk_alloc(sizeof *writer);
  if (!writer) return dk_error_set(error, -ENOMEM, "no memory to keep a log");
  writer->from = log->fd;
  writer->written = 0;
  int r = dk_objects_tmp(&blobs->objects, name, &writer->to, error);
  if (r < 0) return r;
  dk_content_init(&writer->hasher);
  r = write_capped(log, writer, size);
  if (r < 0)
    dk_content_finish(&writer->hasher);
  else
    r = dk_content_get(&writer->hasher, &ret->digest);
  ret->size = writer->written;
  if (r == 0) return dk_objects_place(&blobs->objects, name, writer->to, &ret->digest, error);
  dk_objects_drop(&blobs->objects, name, writer->to);
  return dk_error_system(error, r, "cannot keep a log");
}

int dk_log_keep(struct dk_log *log, struct dk_blobs *blobs, struct dk_kept *ret, struct dk_error *error) {
  struct stat st;
  if (log->fd < 0) return 0;
  if (fstat(log->fd, &st) < 0) return dk_error_system(error, -errno, "cannot look at the log of a slot");
  uint64_t size = (uint64_t)st.st_size;
  if (size < log->punched) log->punched = 0;
  ret->total = size;
  if (size == 0) return 0;
  if (size <= DK_LOG_INLINE) {
    int r = keep_inline(log, size, ret);
    return r < 0 ? dk_error_system(error, r, "cannot read the log of a slot") : 0;
  }
  if (blobs->objects.fd < 0) return dk_error_set(error, -EBADF, "no object directory to keep a log in");
  if (size > log->cap || log->punched) return keep_capped(log, blobs, size, ret, error);
  ret->size = size;
  int r = dk_blobs_keep(blobs, log->slot_dir, log->name, log->fd, &st, &ret->digest, error);
  /* It may be the object itself now: the next task gets another file. */
  unlinkat(log->slot_dir, log->name, 0);
  return r;
}

void dk_log_close(struct dk_log *log) {
  if (log->fd >= 0) close(log->fd);
  log->fd = -1;
}

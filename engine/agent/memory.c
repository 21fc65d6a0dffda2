/* See memory.h. */
#include "engine/agent/memory.h"
#include "engine/sys/fs.h"
#include "lang/base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PLACE 8192u /* head and 256 marks of 16 bytes fit */
#define MAGIC "DKSTATE1"

static bool load_place(struct dk_memory *memory, unsigned place) {
  char data[PLACE];
  if (dk_fs_pread_all(memory->fd, data, sizeof data, (uint64_t)place * PLACE) < 0) return false;
  struct dk_reader reader;
  dk_reader_init(&reader, data, sizeof data);
  const void *magic = dk_read_fixed(&reader, 8);
  uint32_t len = dk_read_u32(&reader), crc = dk_read_u32(&reader);
  if (!magic || memcmp(magic, MAGIC, 8) != 0 || len > sizeof data - 16 || dk_crc32c(data + 16, len, 0) != crc)
    return false;
  uint64_t generation = dk_read_u64(&reader), next_seq = dk_read_u64(&reader);
  uint32_t n = dk_read_u32(&reader);
  if (generation <= memory->generation || n > DK_AGENT_MARKS_MAX || len != 20 + n * 16) return false;
  memory->generation = generation;
  memory->next_seq = next_seq;
  memory->n = n;
  for (uint32_t i = 0; i < n; i++) {
    memory->marks[i].inc = dk_read_u64(&reader);
    memory->marks[i].n = dk_read_u64(&reader);
  }
  return true;
}

int dk_memory_open(struct dk_memory *memory, const char *path, struct dk_error *error) {
  memset(memory, 0, sizeof *memory);
  memory->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (memory->fd < 0) return dk_error_system(error, -errno, "cannot open %s", path);
  /* Room for both places now: forgetting must work on a full disk. Refused: then a write will say so. */
  (void)fallocate(memory->fd, 0, 0, 2 * PLACE);
  load_place(memory, 0);
  load_place(memory, 1);
  return 0;
}

void dk_memory_close(struct dk_memory *memory) {
  if (memory->fd >= 0) close(memory->fd);
  memory->fd = -1;
}

int dk_memory_write(struct dk_memory *memory, const struct dk_agent_mark *marks, size_t n, uint64_t next_seq) {
  dk_autobuf body = DK_BUF_INIT, place = DK_BUF_INIT;
  dk_write_u64(&body, memory->generation + 1);
  dk_write_u64(&body, next_seq);
  dk_write_u32(&body, (uint32_t)n);
  for (size_t i = 0; i < n; i++) {
    dk_write_u64(&body, marks[i].inc);
    dk_write_u64(&body, marks[i].n);
  }
  if (!dk_buf_ok(&body)) return -ENOMEM;
  dk_buf_add(&place, MAGIC, 8);
  dk_write_u32(&place, (uint32_t)body.len);
  dk_write_u32(&place, dk_crc32c(body.data, body.len, 0));
  dk_buf_add(&place, body.data, body.len);
  dk_buf_add_repeat(&place, '\0', PLACE - place.len);
  if (!dk_buf_ok(&place)) return -ENOMEM;
  off_t at = (off_t)((memory->generation + 1) % 2) * (off_t)PLACE;
  ssize_t written = pwrite(memory->fd, place.data, place.len, at);
  if (written < 0) return -errno;
  if ((size_t)written < place.len) return -ENOSPC;
  memory->generation++;
  return 0;
}

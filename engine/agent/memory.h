/* What the daemon must know after a restart and no journal tells: the highest forgotten attempt of each incarnation,
 * and the next result's number. DIR/state: two places written in turn, each with generation and CRC, so that a cut-off
 * write leaves the one before. write(2) only: a power cut may lose the last ones, and no engine repeats orders of
 * before it. */
#ifndef DK_AGENT_MEMORY_H
#define DK_AGENT_MEMORY_H

#include "engine/agent/state.h"

struct dk_memory {
  int fd;
  uint64_t generation;
  uint64_t next_seq;
  struct dk_agent_mark marks[DK_AGENT_MARKS_MAX];
  size_t n;
};

int dk_memory_open(struct dk_memory *memory, const char *path,
                   struct dk_error *error); /* a damaged file counts as empty */
void dk_memory_close(struct dk_memory *memory);
int dk_memory_write(struct dk_memory *memory, const struct dk_agent_mark *marks, size_t n, uint64_t next_seq);

#endif

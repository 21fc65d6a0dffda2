/* A stream of a task (slots/N/out, err): an O_APPEND file that never holds more than its cap on disk, because its
 * middle is punched out while the task runs. */
#ifndef DK_AGENT_LOG_H
#define DK_AGENT_LOG_H

#include "engine/agent/blob.h"
#include "engine/wire/message.h"

#define DK_LOG_HEAD (1u << 20) /* of a capped log, kept at each end */

struct dk_log {
  int slot_dir;
  const char *name; /* "out", "err" */
  int fd;           /* the task's too, and appending; -1: none is open */
  uint64_t cap, head, tail;
  uint64_t punched; /* end of the hole; 0: none */
  bool is_stuck;    /* the file system cannot punch holes */
};

/* An empty file for the next task. */
int dk_log_open(struct dk_log *log, int slot_dir, const char *name, uint64_t cap, struct dk_error *error);
/* To be called now and then while the task writes. Returns the bytes written so far. */
uint64_t dk_log_trim(struct dk_log *log);
/* When the task is over: up to DK_LOG_INLINE bytes inline, more as an object; what was left out is said in its middle.
 * The file is given up when it became an object. */
int dk_log_keep(struct dk_log *log, struct dk_blobs *blobs, struct dk_kept *ret, struct dk_error *error);
void dk_log_close(struct dk_log *log);

#endif

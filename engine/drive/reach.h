/* What is at hosts, for who asks the engine for it: contents come here, and what a running task writes is read there.
 *
 * Nothing is waited for that cannot come: a content that no host has is refused at once, one of a host that cannot be
 * reached when that counts as lost and its lost_after is over since it was asked for. A part of a log that is not
 * answered for DK_PULL_SILENT_NS ends the session. */
#ifndef DK_DRIVE_REACH_H
#define DK_DRIVE_REACH_H

#include "engine/drive/engine.h"

struct dk_wanted {
  struct dk_digest content;
  bool is_dir;
};

struct dk_reach_observer {
  void *ctx;
  /* A few times a second at most, while some are on their way: bytes that have come, and in all as far as is known.
   * `waits`: what is waited for, in words for people; "". */
  void (*progress)(void *ctx, uint64_t here, uint64_t total, const char *waits);
  /* 0: all of them are here, and durable. Negative: one does not come, the `which`-th, and `words` say why. The last
   * that is called. */
  void (*done)(void *ctx, int r, uint32_t which, const char *words);
};

/* Brings contents here; `wanted` is copied. Nobody is called from within. 0, -ENOMEM. */
int dk_engine_reach(struct dk_engine *engine, const struct dk_wanted *wanted, uint32_t n,
                    const struct dk_reach_observer *observer);

/* A part of what a task has written so far. */
struct dk_reading {
  struct dk_id attempt;
  uint32_t host;
  uint8_t stream; /* 1 stdout, 2 stderr */
  uint64_t offset;
  uint32_t len; /* at most DK_PART_MAX */
};
/* r 0: the answer, as DK_MSG_LOG has it, lent for the call. Negative: `words` say why. */
typedef void dk_reading_fn(void *ctx, int r, const struct dk_message *log, const char *words);
/* 0: fn is called later; negative with words: it is not. */
int dk_engine_read(struct dk_engine *engine, const struct dk_reading *reading, dk_reading_fn *fn, void *ctx,
                   struct dk_error *error);

/* Whoever asked with this ctx is called no more, and what only it wanted does not come. */
void dk_engine_leave(struct dk_engine *engine, const void *ctx);

#endif

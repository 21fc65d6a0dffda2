/* What is asked for of hosts and not answered yet: of the engine (engine_priv.h). */
#ifndef DK_DRIVE_REACH_PRIV_H
#define DK_DRIVE_REACH_PRIV_H

#include "engine/drive/reach.h"
#include "engine/wire/message.h"

struct dk_engine_host;

struct dk_reaches {
  struct dk_reach *reaches; /* list */
  struct dk_read *reads;    /* list, first asked first */
  uint64_t tick_at;         /* dk_now_ns scale; UINT64_MAX: nobody asks for anything */
};

void dk_reaches_init(struct dk_reaches *reaches);
void dk_reaches_finish(struct dk_engine *engine); /* nobody is called; before its pulls go */
void dk_reaches_tick(struct dk_engine *engine, uint64_t now_ns);
/* reach_log.c */
void dk_reads_answer(struct dk_engine_host *host, const struct dk_message *log);
void dk_reads_down(struct dk_engine_host *host, const char *why); /* none of what was asked there is answered */
/* When its agent counts as one that does not answer, though it may say other things: for DK_PULL_SILENT_NS neither the
 * first of what was asked there came nor a part of a content, which may be before it. UINT64_MAX: nothing was asked. */
uint64_t dk_reads_silent_at(const struct dk_engine_host *host);
void dk_reads_leave(struct dk_engine *engine, const void *ctx); /* NULL: everybody */

#endif

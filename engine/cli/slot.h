/* What a slot of the agent on this machine says of an attempt: is what stands in its log files that attempt's own? For
 * those who look while no engine is there to ask. Reads the slot's journal; talks to nobody, changes nothing. */
#ifndef DK_CLI_SLOT_H
#define DK_CLI_SLOT_H

#include "engine/cli/cli.h"
#include "engine/wire/id.h"

enum dk_slot_says {
  DK_SLOT_RUNS, /* it runs; the log files are its own */
  /* it ended, and nothing was started in the slot since: the log files, where they are still there, are its own */
  DK_SLOT_ENDED,
  DK_SLOT_LOST,  /* the same, but its keeper is gone and wrote no end */
  DK_SLOT_MOVED, /* another one was started there, or the slot is gone: the log files tell nothing of it */
};

/* A slot notes a start before it empties its log files. So what was read from them before this is asked is the
 * attempt's own, unless the answer is MOVED. */
enum dk_slot_says dk_slot_ask(const struct dk_cli *cli, uint32_t slot, struct dk_id attempt);
/* What runs now, with the process of its keeper, as far as journals tell. */
void dk_slots_each_running(const struct dk_cli *cli, void (*fn)(void *ctx, struct dk_id attempt, long keeper),
                           void *ctx);
/* "STATE/agent/slots/3/out" */
void dk_slot_path(const struct dk_cli *cli, uint32_t slot, const char *name, struct dk_buf *out);

#endif

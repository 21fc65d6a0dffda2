/* How a run stands now. The record alone does not tell: a run whose engine was killed says RUNNING for ever. */
#ifndef DK_REPORT_PHASE_H
#define DK_REPORT_PHASE_H

#include "engine/store/record.h"

enum dk_run_phase {
  DK_PHASE_ENDED, /* the record's state says how */
  DK_PHASE_RUNNING,
  DK_PHASE_PAUSED,      /* all of it, by `dkrun pause`; tasks that ran then may go on */
  DK_PHASE_STOPPED,     /* its engine has gone; the next one takes it up (dkrun attach, or a run) */
  DK_PHASE_INTERRUPTED, /* its engine has gone, and it with it */
};

/* `engine`: process that has the state folder's lock; 0: none. What cannot be read counts as not asked. */
enum dk_run_phase dk_run_phase(struct dk_store *store, const struct dk_run *run, bool is_alive, uint32_t engine);
/* "done", "failed", "running", "paused", "stopped" ... */
const char *dk_run_phase_word(const struct dk_run *run, enum dk_run_phase phase);
static inline bool dk_run_phase_is_alive(enum dk_run_phase phase) {
  return phase == DK_PHASE_RUNNING || phase == DK_PHASE_PAUSED;
}

/* What was paused of a run that goes on, and not resumed since. What cannot be read counts as not asked. */
enum dk_run_pause { DK_PAUSE_NONE, DK_PAUSE_SOME, DK_PAUSE_ALL };
enum dk_run_pause dk_run_pause(struct dk_store *store, uint32_t run);

#endif

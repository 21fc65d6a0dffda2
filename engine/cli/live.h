/* Shows a run that is going on: on a terminal a frame drawn in place, at most ten times a second, with failures left
 * standing above it; on a pipe plain lines. Restores the terminal at the end, on fatal signals and around ^Z.
 *
 * Typical use (cli/run.c):
 *   dk_progress_create(&progress, plan, wanted, &head, dk_now_ns(), &error);
 *   dk_live_create(&live, progress, DK_LIVE_AUTO, color, &error);
 *   watch dk_live_input_fd(live) in the loop (when >= 0) and call dk_live_key on POLLIN; wake at
 *   dk_live_deadline(live);
 *   each turn:  dk_progress_note(...) for what happened;  dk_live_tick(live, dk_now_ns());
 *   at the end: dk_live_finish(live, dk_now_ns());  dk_live_destroy(live);  dk_progress_destroy(progress);  summary
 *   (report/summary.h) */
#ifndef DK_CLI_LIVE_H
#define DK_CLI_LIVE_H

#include "engine/report/progress.h"

enum dk_live_mode {
  DK_LIVE_AUTO,  /* a frame if stdout is a terminal that can do it, else plain lines */
  DK_LIVE_PLAIN, /* plain lines */
  DK_LIVE_QUIET, /* failures and messages only */
};

struct dk_live;

/* `progress` is borrowed. 0 or -ENOMEM. */
int dk_live_create(struct dk_live **ret, struct dk_progress *progress, enum dk_live_mode mode, bool color,
                   struct dk_error *error);
void dk_live_destroy(struct dk_live *live); /* finishes first if that was not done; NULL is fine */

/* Draws or prints what is due. Cheap when nothing is. */
void dk_live_tick(struct dk_live *live, uint64_t now_ns);
/* When the next dk_live_tick has something to do even if nothing happens; UINT64_MAX: never. */
uint64_t dk_live_deadline(const struct dk_live *live, uint64_t now_ns);

/* Terminal whose keys are read (no echo, no line mode; ^C stays a signal), or -1. */
int dk_live_input_fd(const struct dk_live *live);
enum dk_live_key {
  DK_LIVE_KEY_NONE,
  DK_LIVE_KEY_QUIT /* q: to be treated as ^C */,
  DK_LIVE_KEY_DETACH /* d */,
  DK_LIVE_KEY_OTHER,
  DK_LIVE_KEY_CLOSED /* stop watching the fd */
};
enum dk_live_key dk_live_key(struct dk_live *live);

/* Takes the frame away, prints what was held back, restores the terminal. */
void dk_live_finish(struct dk_live *live, uint64_t now_ns);

#endif

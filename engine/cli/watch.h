/* A run that is watched, by the command that runs it or by one that looks on: its progress on a terminal or as lines,
 * what the person wants of it (^C, keys), and its end, printed from the store. */
#ifndef DK_CLI_WATCH_H
#define DK_CLI_WATCH_H

#include "engine/cli/cli.h"
#include "engine/cli/live.h"
#include "engine/drive/engine.h"

enum dk_wish { DK_WISH_CANCEL, DK_WISH_CANCEL_HARD, DK_WISH_DETACH };

struct dk_watch_options {
  struct dk_cli *cli;
  struct dk_loop *loop;   /* keys and signals are watched in it */
  struct dk_store *store; /* the run's record and pin, and what its tasks came to so far when `catches_up` */
  const struct dk_objects *objects;
  uint32_t run;
  uint32_t jobs; /* tasks at a time that were asked for; 0: nothing was said */
  enum dk_live_mode mode;
  bool catches_up;
  bool asks; /* the run goes on without us: the first ^C asks, `d` and a closed terminal leave it alone */
  void (*wish)(void *ctx, enum dk_wish wish);
  void *ctx;
};

struct dk_watch;

/* Everything is borrowed and must outlive it. 0 or a negative errno with words. */
int dk_watch_create(const struct dk_watch_options *options, struct dk_watch **ret, struct dk_error *error);
void dk_watch_destroy(struct dk_watch *watch);

void dk_watch_note(struct dk_watch *watch, const struct dk_engine_note *note);
void dk_watch_say(struct dk_watch *watch, const char *text);
/* text: dk_fleet_where */
void dk_watch_where(struct dk_watch *watch, uint32_t slots, const char *text);
/* What is to be said when this machine's agent has fewer slots than was asked for: a line, or nothing. */
void dk_watch_jobs_text(uint32_t jobs, uint32_t slots, const char *where, struct dk_buf *out);
/* Draws what is due; returns when it wants to be called again (dk_now_ns scale). */
uint64_t dk_watch_tick(struct dk_watch *watch, uint64_t now_ns);

/* Takes the view away. Then: tables and summary of the run that has ended, from the store; an exit code, or a negative
 * errno. */
void dk_watch_leave(struct dk_watch *watch);
int dk_watch_print_end(struct dk_watch *watch, struct dk_error *error);

#endif

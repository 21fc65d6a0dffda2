/* A dial on its way: shared by dial.c, which has the steps, and way.c, which has the ssh below them. */
#ifndef DK_PROVIDERS_SSH_PRIVATE_H
#define DK_PROVIDERS_SSH_PRIVATE_H

#include "engine/drive/provider.h"
#include "engine/sys/outbox.h"
#include "providers/ssh/argv.h"
#include "providers/ssh/child.h"
#include "providers/ssh/program.h"
#include "providers/ssh/talk.h"
#include "providers/ssh/trouble.h"

enum dk_ssh_step {
  DK_STEP_FACTS,  /* the script is sent, its facts come */
  DK_STEP_ORDER,  /* told which program: is it there? */
  DK_STEP_PUSH,   /* it was not */
  DK_STEP_LOGIN,  /* the login shell becomes the agent's bridge */
  DK_STEP_UP,     /* the stream is given away */
  DK_STEP_ENDING, /* the stream has ended, ssh is about to */
  DK_STEP_OVER,   /* `done` was told of a failure, or that there is no stream */
};

struct dk_dial {
  struct dk_dial_options with;
  enum dk_ssh_step step;
  enum dk_ssh_way way;
  struct dk_ssh_child child;
  struct dk_ssh_talk talk;
  struct dk_ssh_trouble trouble;
  struct dk_ssh_program program; /* fd -1: not asked for yet */
  uint64_t pushed;               /* bytes of it that are in `out` or sent */
  struct dk_outbox out;
  int timer;
  unsigned looks;         /* at an ssh that ends */
  struct dk_error denied; /* why the first way failed, while another is tried */
  struct dk_error why;
};

/* Way: an ssh that is started in one way after the other */

/* Starts the first; the dial is at DK_STEP_FACTS then. */
int dk_ssh_start(struct dk_dial *dial, struct dk_error *error);
/* Its stream has ended: waits in the loop for the end of ssh. */
void dk_ssh_end_soon(struct dk_dial *dial);
/* Looks whether it has ended; then another way is tried, or the dial is over. At DK_STEP_ENDING, by the timer. */
void dk_ssh_look(struct dk_dial *dial);
/* Reads what ssh has said by now. */
void dk_ssh_read_words(struct dk_dial *dial);
/* The dial has failed: `done` is called. The callee may hang up: nothing of it is touched after this. */
void dk_ssh_over(struct dk_dial *dial, const struct dk_error *error);
/* Watches the stream for what is awaited of it now. Fails only for lack of memory, and only the first time. */
int dk_ssh_watch_stream(struct dk_dial *dial);
void dk_ssh_set_timer(struct dk_dial *dial, unsigned ms);
/* Milliseconds without anything coming of it, at the step that it is at. */
unsigned dk_ssh_patience(const struct dk_dial *dial);
/* All that the loop knows of, but for the stream that was given away. */
void dk_ssh_close(struct dk_dial *dial);

/* Dial: what the loop calls, `ctx` is the dial */

void dk_ssh_on_stream(void *ctx, int fd, short revents);
void dk_ssh_on_timer(void *ctx, int fd, short revents);

#endif

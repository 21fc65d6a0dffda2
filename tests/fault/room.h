/* A room for faults: a repository with a small experiment, copies of the programs, and the shim's plan that all of them
 * look at. Functions end the program with a message when the room itself cannot be made. */
#ifndef DK_TEST_FAULT_ROOM_H
#define DK_TEST_FAULT_ROOM_H

#include "lang/base/buf.h"
#include "tests/support/shim/shim.h"

#include <sys/types.h>

struct room {
  char dir[200];
  struct dk_shim_plan *plan; /* shared with every process that is started here */
};

struct outcome {
  int status; /* of waitpid */
  bool is_hung;
  struct dk_buf out, err;
};

_Noreturn void room_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

void room_make(struct room *room);
void room_remove(struct room *room);
/* Runs `dkrun WORDS...` (NULL-terminated) to its end, but for two minutes at most. */
void room_run(struct room *room, const char *const *words, struct outcome *ret);
void room_outcome_finish(struct outcome *outcome);
/* Starts it; its output is in DIR/out. `gate`: the task that it names (in $GATE) alone goes on, the others wait for
 * ever. */
pid_t room_start(struct room *room, const char *const *words, const char *gate);
/* Ends every process of the room: agent, keepers, tasks. */
void room_stop(struct room *room);
void room_sh(struct room *room, const char *command);                    /* in the repository */
void room_read(struct room *room, const char *name, struct dk_buf *ret); /* a file of DIR; empty when it is not there */

#endif

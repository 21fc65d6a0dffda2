/* What a failed task's last words say of a file of the repository that it did not declare: a program only sees that it
 * may not read it, or that it is not there, and says so in its own way. */
#ifndef DK_AGENT_UNDECLARED_H
#define DK_AGENT_UNDECLARED_H

#include "engine/agent/sandbox.h"

struct dk_undeclared {
  const struct dk_sandbox *sandbox;
  const struct dk_sandbox_rules *rules; /* repository: canonical */
  const char *folder; /* of the task's file, below the repository, absolute: paths in it start there */
  const char *work;   /* the task's directory, absolute */
};

/* Appends to `ret` one line that says what is wrong and one, behind "\nhelp: ", that says what to write; nothing when
 * these words (`len` bytes, the end of a log) name no such file. */
void dk_undeclared_find(const struct dk_undeclared *where, const char *words, size_t len, struct dk_buf *ret);

#endif

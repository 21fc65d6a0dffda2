/* What `run` and `plan` share: the experiment file's repository, its pinned source, and the paths that follow from
 * them. */
#ifndef DK_CLI_SESSION_H
#define DK_CLI_SESSION_H

#include "engine/cli/cli.h"
#include "engine/source/snapshot.h"

struct dk_session {
  struct dk_load *load;
  const struct dk_plan *plan; /* of load */
  struct dk_repo *repo;
  struct dk_snapshot snapshot;
  char *file;   /* relative to the repository's root */
  char *params; /* "folds=10 x=1" */
};

/* Loads `file` (NULL: the only one here) and finds its repository; cli->root and cli->state are its. Says what is
 * wrong; an exit code. */
int dk_session_open(struct dk_cli *cli, const char *file, const struct dk_cli_params *params, struct dk_session *ret);
/* The same names without loading anything or asking git: the nearest folder above the file that holds `.git`, the
 * file's path from there, the parameters as they are recorded. The caller dk_frees them. 0 or -errno, and nothing is
 * said. */
int dk_session_asked(const char *file, const struct dk_cli_params *params, char **ret_root, char **ret_file,
                     char **ret_params);
/* The source as a run would pin it; nothing is written. Says what would be left out of it. */
int dk_session_pin(struct dk_cli *cli, struct dk_session *session, struct dk_error *error);
void dk_session_close(struct dk_session *session);

/* Absolute path of dkagent: beside this program, where it is installed, or in the build tree. NULL with a message. */
char *dk_session_agent_program(struct dk_error *error);

#endif

/* What the commands that look at runs share: a run opened for reading, and its number as people type it. */
#ifndef DK_CLI_LOOK_H
#define DK_CLI_LOOK_H

#include "engine/cli/cli.h"
#include "engine/report/row.h"
#include "lang/where.h"

struct dk_look {
  struct dk_store *store;
  struct dk_objects objects;
  struct dk_row_source rows;
};

/* Opens store, objects and a run (0: the last one). 0 or a negative errno. */
int dk_look_open(struct dk_cli *cli, uint32_t run, struct dk_look *ret, struct dk_error *error);
void dk_look_close(struct dk_look *look);
/* dk_where_select; what is wrong with an expression is said on stderr. Returns an exit code, DK_EXIT_OK with *ret
 * (dk_freed by the caller) set. */
int dk_look_select(const struct dk_look *look, const struct dk_selection *selection, uint32_t **ret, uint32_t *ret_n);

/* "3", "run3", "#3"; 0 is none. false when it is no number of a run. */
bool dk_look_run_number(const char *text, uint32_t *ret);
/* The one optional argument RUN at argv[optind]; *ret is 0 when it is left out. An exit code (usage said). */
int dk_look_run_argument(const char *command, int argc, char **argv, uint32_t *ret);

#endif

/* What the commands of dkrun share: exit codes, the command table's row, output, the repository and its state folder.
 *
 * A command is `int dk_cmd_NAME(struct dk_cli *cli, int argc, char **argv)` in its own file: argv[0] is the command's
 * name, argv is its own getopt_long to run (dk_cli_options_reset first), its return value the exit code. Only commands
 * print. */
#ifndef DK_CLI_CLI_H
#define DK_CLI_CLI_H

#include "engine/objects/object.h"
#include "engine/store/store.h"
#include "lang/lang.h"

#include <getopt.h>

/* Exit codes; docs/cli.md has the same list. */
enum dk_exit {
  DK_EXIT_OK = 0,            /* everything asked for is done */
  DK_EXIT_FAILED = 1,        /* a task failed or was not run */
  DK_EXIT_USAGE = 2,         /* the command line is wrong */
  DK_EXIT_FILE = 3,          /* the experiment file has errors */
  DK_EXIT_ENGINE = 4,        /* dkrun itself could not: disk, store, repository, output */
  DK_EXIT_TAKEN = 75,        /* `dkrun engine`: another one has the folder (sysexits.h, EX_TEMPFAIL) */
  DK_EXIT_INTERRUPTED = 130, /* ^C or a signal */
};

enum dk_color { DK_COLOR_AUTO, DK_COLOR_ALWAYS, DK_COLOR_NEVER };

struct dk_cli {
  enum dk_color color; /* --color; AUTO respects NO_COLOR, TERM=dumb and pipes */
  char *root;          /* repository's work tree, absolute; NULL before dk_cli_find_root */
  char *state;         /* root/.dkrun */
  bool as_restored;    /* take.h; also for an engine that is started */
  uint32_t slots;      /* of an agent that an engine of this command has to start; 0: the machine's processors */
  bool out_broken;     /* the reader of stdout is gone (EPIPE): output is dropped, nothing is said */
  int out_error;       /* negative errno of the first other failure of stdout, 0: none */
};

struct dk_command {
  const char *name, *group; /* group: a line of `dkrun help`; NULL: not listed */
  const char *usage;        /* behind "dkrun ": "check [FILE] [-p NAME=VALUE]... [--format text|json]" */
  const char *line;         /* what it does, in under 50 columns */
  const char *help;         /* what `dkrun help COMMAND` says below the usage; lines of at most 80 columns */
  int (*fn)(struct dk_cli *cli, int argc, char **argv);
};
const struct dk_command *dk_cli_commands(size_t *ret_n);
const struct dk_command *dk_cli_command(const char *name); /* NULL: there is none */

int dk_cmd_check(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_explain(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_plan(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_run(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_attach(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_cancel(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_pause(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_resume(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_prio(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_engine(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_show(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_status(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_why(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_logs(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_results(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_get(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_hosts(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_providers(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_instances(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_down(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_reap(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_images(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_trust(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_doctor(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_fsck(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_gc(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_du(struct dk_cli *cli, int argc, char **argv);
int dk_cmd_help(struct dk_cli *cli, int argc, char **argv);

/* Options. Every command takes these beside its own; put DK_CLI_OPTIONS at the end of its option table, before the
 * zeros, and give every value of getopt_long that the command does not know to dk_cli_option: it returns -1 to go on,
 * else the exit code to return (--help: printed, 0; unknown or incomplete option: said so, with a suggestion from
 * `options`, 2). */
#define DK_CLI_OPT_COLOR 1001
#define DK_CLI_OPT_HELP 1002
#define DK_CLI_OPTIONS                                                                                                 \
  {"color", required_argument, NULL, DK_CLI_OPT_COLOR}, {                                                              \
    "help", no_argument, NULL, DK_CLI_OPT_HELP                                                                         \
  }
void dk_cli_options_reset(void);
int dk_cli_option(struct dk_cli *cli, int opt, int argc, char **argv, const struct option *options);

/* "30d", "12h", "90m", "0s", "2w" in nanoseconds. */
bool dk_cli_age(const char *text, uint64_t *ret_ns);

/* Parameters: -p NAME=VALUE. */
struct dk_cli_params {
  struct dk_check_given *items;
  uint32_t n;
};
int dk_cli_params_add(struct dk_cli_params *params, const char *text); /* 0, -EINVAL (said on stderr), -ENOMEM (said) */
void dk_cli_params_finish(struct dk_cli_params *params);

/* Output. Everything for stdout goes through these, so that a full disk is an error and a closed pipe is none. */
void dk_cli_write(struct dk_cli *cli, const void *data, size_t len);
void dk_cli_print(struct dk_cli *cli, const struct dk_buf *buf); /* a failed buffer is -ENOMEM in out_error */
/* The text, for what is printed with it; one that failed for lack of memory is remembered as an error of the output. */
const char *dk_cli_text(struct dk_cli *cli, const struct dk_buf *buf);
void dk_cli_printf(struct dk_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline const char *dk_cli_s(uint64_t n) { /* of a plural: "%u task%s" */
  return n == 1 ? "" : "s";
}
bool dk_cli_color(const struct dk_cli *cli, int fd); /* may colours be used on this descriptor? */
/* "dkrun: TEXT" on stderr, help lines below; returns `code`, so that `return dk_cli_fail(DK_EXIT_ENGINE, &error)` reads
 * well. */
int dk_cli_fail(enum dk_exit code, const struct dk_error *error);
int dk_cli_failf(enum dk_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Asks on the terminal: did the answer begin with y? */
bool dk_cli_is_agreed(struct dk_cli *cli, const char *question);
/* Lines that are good to know, on stderr: "dkrun: note: ..." each. */
void dk_cli_note(const char *lines);
/* Wrong usage: the text, then "usage: dkrun ..." and where to read more; returns DK_EXIT_USAGE. */
int dk_cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* -1 when the words after the options are one file or none (then *ret is NULL), else the exit code. */
int dk_cli_one_file(const char *command, int argc, char **argv, const char **ret);

/* Sets cli->root and cli->state: the nearest directory from here upwards that holds `.git` (found without libgit2,
 * which costs start-up time). -ENOENT with help when there is none. Called twice it does nothing. */
int dk_cli_find_root(struct dk_cli *cli, struct dk_error *error);
/* The nearest directory above the absolute `path` that holds `.git`; NULL: there is none, or no memory. */
char *dk_cli_root_above(const char *path);
/* Opens store and objects for reading. -ENOENT: nothing was run here yet. `objects` may be NULL. */
int dk_cli_open_store(struct dk_cli *cli, struct dk_store **ret, struct dk_objects *objects, struct dk_error *error);
/* Is an engine alive in this state folder? *ret_pid is its process, 0 if unknown. */
bool dk_cli_engine_alive(const struct dk_cli *cli, uint32_t *ret_pid);
/* The same for any lock file (engine/sys/lock.h). */
bool dk_cli_is_locked(const char *path, uint32_t *ret_pid);

/* The file that a command means when none is named: the only *.dk here that has a task. *ret is dk_freed by the caller.
 * Says what is wrong on stderr; an exit code. */
int dk_cli_default_file(struct dk_cli *cli, char **ret);
/* The same when there is but one *.dk here, without reading it and without a word. -ENOENT: there is none, or there are
 * several. */
int dk_cli_only_file(char **ret);
/* Diagnostics on stderr, as text; nothing when there are none. */
void dk_cli_diagnostics(struct dk_cli *cli, const struct dk_diags *diags);
/* Loads a file (NULL: the default one) and prints its diagnostics on stderr. *ret has a plan if and only if it returns
 * 0. */
int dk_cli_load(struct dk_cli *cli, const char *file, const struct dk_cli_params *params, struct dk_load **ret);
/* The same without printing diagnostics and without asking for a plan: 0 with *ret also when the file has errors. */
int dk_cli_load_quiet(struct dk_cli *cli, const char *file, const struct dk_cli_params *params, struct dk_load **ret);

#endif

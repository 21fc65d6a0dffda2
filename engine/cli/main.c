/* dkrun: the program. Where what is:
 *
 *   lang/           a file becomes a plan: base, diag, syntax, check, eval, plan; lang.h is the door. Knows nothing of
 *   running.
 *   engine/core     the pure state machine: what runs when, what a failure means. No I/O.
 *   engine/drive    the loop around it: commits records, then acts; keys, inputs, metrics, picks.
 *   engine/agent    dkagent, the other program: starts tasks, keeps their logs and outputs, outlives this one.
 *   engine/wire     what the two say to each other;  engine/sys  processes, files, locks, the poll loop.
 *   engine/store    LMDB: runs, tasks, results;  engine/objects  contents by digest;  engine/source  git.
 *   engine/report   runs read back: tables, summaries, progress, why, logs.
 *   engine/cli      this room: a file a command (check.c explain.c plan.c run.c show.c status.c logs.c results.c get.c
 *   why.c doctor.c providers.c trust.c
 *                   du.c gc.c fsck.c help.c),
 *                   engine.c (the daemon), client.c and remote.c (its other end), watch.c (a run on the screen),
 *                   cli.c (repository, store, loading), output.c (stdout, messages, options), term.c and live.c (the
 *                   terminal).
 *   docs/cli.md     commands, exit codes, files;  docs/architecture.md  why it is so.
 *
 * Here: the command table and the way in and out. */
#include "engine/cli/cli.h"
#include "engine/store/store.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct dk_command commands[] = {
    {"check", "write", "check [FILE] [-p NAME=VALUE]... [--format text|json]",
     "find all errors in a file; dkrun explain",
     "Reads FILE, checks it and makes its plan, without running or writing anything.\n"
     "Errors and warnings go to stderr, a line with counts to stdout; with\n"
     "--format json they go to stdout as one JSON object.\n"
     "\n"
     "  FILE                      default: the only *.dk file with tasks here\n"
     "  -p, --param NAME=VALUE    set a parameter of the file\n"
     "  --format text|json        how to say it\n",
     dk_cmd_check},
    {"explain", NULL, "explain [CODE]", "what an error code means",
     "Prints the explanation of an error code such as E0203; without CODE, all codes.\n", dk_cmd_explain},
    {"plan", "write", "plan [FILE] [-p NAME=VALUE]... [--edges]", "what a run would do, and why",
     "Says for each task how many points are cached, will run, or wait for others,\n"
     "and why. Writes nothing and starts nothing.\n"
     "\n"
     "  FILE                      default: the only *.dk file with tasks here\n"
     "  -p, --param NAME=VALUE    set a parameter of the file\n"
     "  --edges                   which points of a task use which points of another\n",
     dk_cmd_plan},
    {"show", "write", "show [FILE] [TASK] [-p NAME=VALUE]...", "a task's script, inputs, environment",
     "Prints everything that a task of FILE would be started with. TASK is a short id\n"
     "(t17), or a name and values of axes (train lr=0.1 seed=2); several tasks that\n"
     "match are listed. Without TASK: all templates. Values that are only known while\n"
     "running (of picks) are taken from the last run.\n"
     "\n"
     "  FILE                      default: the only *.dk file with tasks here\n"
     "  -p, --param NAME=VALUE    set a parameter of the file\n",
     dk_cmd_show},
    {"run", "run", "run [FILE] [-p NAME=VALUE]... [-j N] [-d] [OPTION]...", "run what has no result yet",
     "Runs the tasks of FILE on this machine, or on the hosts of `dkrun providers`.\n"
     "What already has a result is not run again. On a terminal the run goes on\n"
     "without it: `d` leaves it running, ^C asks, a second ^C stops it. In a script or\n"
     "in CI it is this process: ^C and SIGTERM ask running tasks to end, a second one\n"
     "kills them. An engine that works here already is handed the run. The next\n"
     "`dkrun run` goes on where this one stopped.\n"
     "\n"
     "  FILE                      default: the only *.dk file with tasks here\n"
     "  -p, --param NAME=VALUE    set a parameter of the file\n"
     "  -j, --jobs N              tasks at a time (default: the number of processors)\n"
     "  -d, --detach              hand the run over and return\n"
     "  --foreground              in this process, also on a terminal\n"
     "  --clean                   refuse when files differ from the last commit\n"
     "  --max-cost AMOUNT         end before machines cost more: 5USD; 0: none\n"
     "  --as-restored             end what a restored store does not know of\n"
     "  --prune                   end what only earlier runs of FILE ask for\n"
     "  -q, --quiet               only failures and the summary\n"
     "  --plain                   lines instead of a live view, also on a terminal\n",
     dk_cmd_run},
    {"attach", "run", "attach [RUN] [-q] [--plain]", "watch a run that goes on",
     "Shows a run (default: the last one) as `dkrun run` does, until it has ended or\n"
     "`d` is pressed. A run whose engine was killed is taken up again. The exit code\n"
     "is the run's, also of one that has ended already.\n",
     dk_cmd_attach},
    {"cancel", "run", "cancel [--run N] [--now] [TASK] [--where EXPR]", "end a run, or some of its tasks",
     "Running tasks get SIGTERM and 5 seconds, with --now SIGKILL; what waits for them\n"
     "is not run. TASK is a short id (t17), or a name and values of axes (t lr=0.1).\n"
     "What another run wants too goes on for it.\n"
     "\n"
     "  --run N                   default: the only run that goes on\n"
     "  --where EXPR              tasks at whose points EXPR holds, an expression\n"
     "                            of the language: 'lr > 0.1 and n in [1, 2]'\n",
     dk_cmd_cancel},
    {"pause", "run", "pause [--run N] [TASK] [--where EXPR]", "start nothing new; dkrun resume, dkrun prio",
     "Tasks that run go on; nothing new of the run, or of the tasks that match TASK,\n"
     "starts until `dkrun resume`.\n",
     dk_cmd_pause},
    {"resume", NULL, "resume [--run N] [TASK] [--where EXPR]", "the end of a pause",
     "Without TASK and --where: of all of the run.\n", dk_cmd_resume},
    {"prio", NULL, "prio [--run N] PRIORITY [TASK] [--where EXPR]", "who comes first",
     "Tasks with a higher PRIORITY (-1000 to 1000, others have 0) are handed out\n"
     "first, over all runs of this folder; among equals the earlier run.\n",
     dk_cmd_prio},
    {"engine", NULL, "engine", "the process that `dkrun run` starts",
     "Works on the runs of this folder until none is left and nobody watches. It is\n"
     "started when it is needed; its words are in .dkrun/engine.log. SIGTERM ends it;\n"
     "tasks go on, and the next engine takes its runs up.\n",
     dk_cmd_engine},
    {"status", "look", "status [RUN] [--all] [--format text|json]", "the runs, or how one went",
     "Without RUN: the last 20 runs (all of them with --all). With RUN, a number:\n"
     "counts, results per task, failures with the end of their logs (20 of them; all\n"
     "with --all), and what was not run and why.\n",
     dk_cmd_status},
    {"logs", "look", "logs TASK [--where EXPR] [--run N] [-f] [--tail N] [--out|--err] [--raw]", "what a task wrote",
     "Prints stdout, then stderr of a task. TASK is a short id (t17), or a name and\n"
     "values of axes (train lr=0.1 seed=2). On a terminal control characters are\n"
     "escaped; to a pipe or file the bytes go as they are.\n"
     "\n"
     "  --run N                   of this run (default: the last one)\n"
     "  --where EXPR              tasks at whose points EXPR holds ('lr > 0.1')\n"
     "  -f, --follow              go on printing until the task ends\n"
     "  --tail N                  only the last N lines of each\n"
     "  --out, --err              only stdout, only stderr\n"
     "  --raw                     never escape\n",
     dk_cmd_logs},
    {"results", "look", "results [RUN] [--where EXPR] [--format text|csv|json|md]", "metrics as tables",
     "Prints the report tables of a run (default: the last one). A file without\n"
     "`report` gets a table per task with its columns and metrics. --where leaves\n"
     "rows out: EXPR is an expression of the language over columns ('lr < 0.1').\n",
     dk_cmd_results},
    {"get", "look", "get TASK[.OUTPUT] [--where EXPR] [--run N] [-o PATH] [--force]", "copy an output out of .dkrun",
     "Copies what a task made, and prints where to. TASK is a short id (t17.model),\n"
     "or a name and values of axes (train.model lr=0.1); a pick means the task that\n"
     "it chose (best.model). Without .OUTPUT: all outputs of the task. Its content is\n"
     "compared with what was recorded; it arrives whole or not at all.\n"
     "\n"
     "  -o, --output PATH         the copy, or a folder for it (default: here);\n"
     "                            of several tasks each gets a folder of its own there\n"
     "  -f, --force               replace what is there, also a folder and all in it\n"
     "  --run N                   of this run (default: the last one)\n"
     "  --where EXPR              tasks at whose points EXPR holds ('lr > 0.1')\n",
     dk_cmd_get},
    {"why", "look", "why [FILE] TASK [--run N] [-p NAME=VALUE]...", "why a task runs, or is cached",
     "Says what a run would do with TASK and why: which part of what its result\n"
     "depends on has changed, since which run, and where. With --run: why it ran, or\n"
     "was cached, in that run. TASK is a short id (t17), or a name and values of axes.\n"
     "\n"
     "  FILE                      default: the only *.dk file with tasks here\n"
     "  --run N                   in that run; FILE is not read\n"
     "  -p, --param NAME=VALUE    set a parameter of the file\n",
     dk_cmd_why},
    {"hosts", "where", "hosts [--ask] [--format text|json] | hosts clean [HOST]... [--all] [-y]",
     "how they are; what is kept on them",
     "Lists the hosts with their state, the tasks that they have, what they are, and\n"
     "what is wrong with those in trouble: as a working engine has it, else as the\n"
     "last one left it. Hosts that no file names any more are listed while they keep\n"
     "something.\n"
     "\n"
     "  --ask                     ask each host now; tells also how much room what is\n"
     "                            ours of this repository takes there\n"
     "  --format text|json        how to say it\n"
     "\n"
     "`clean` removes what is kept on the hosts (all, or HOST: a host or a provider)\n"
     "for later tasks. It refuses while something runs there, and when a result is\n"
     "kept there and nowhere else.\n"
     "\n"
     "  --all                     such results too: their tasks run again when they\n"
     "                            are asked for; and all else of this repository there\n"
     "  -y, --yes                 do not ask\n",
     dk_cmd_hosts},
    {"providers", "where", "providers [check [NAME] [--files | --boot]] [--format text|json]",
     "the hosts tasks may run on; dkrun trust",
     "Lists the hosts of your file of providers, ~/.config/dkrun/providers.dk, as the\n"
     "providers.dk of this repository chooses and limits them, with the lines that\n"
     "say so. Without both there is one: this machine.\n"
     "\n"
     "  check [NAME]              are the files right, and can the hosts be used (all,\n"
     "                            or those of NAME, a provider or host)? An agent is\n"
     "                            started on each for that, and asked. On a terminal\n"
     "                            you are asked for a password that a host wants\n"
     "  check [NAME] --files      only the files; no host is asked\n"
     "  check NAME --boot         a machine of this cloud is made, too, reached, and\n"
     "                            given back; -y, --yes: without a question\n"
     "  --format text|json        how to say it\n"
     "\n"
     "A repository's file that declares providers of its own, with `kind`, counts when\n"
     "you trust it: `dkrun help trust`.\n",
     dk_cmd_providers},
    {"instances", "where", "instances [--format text|json]", "rented machines; dkrun down, dkrun reap",
     "Lists the machines that clouds have made for this repository, and that may cost\n"
     "money: as the engine has written them down. Each is there until the cloud has\n"
     "said twice that it is not.\n"
     "\n"
     "  --format text|json        how to say it\n"
     "\n"
     "A machine goes by itself when it has had nothing to do for the `idle` of its\n"
     "provider, and when no dkrun has been there for a quarter of an hour. `dkrun\n"
     "down` gives it back before that.\n",
     dk_cmd_instances},
    {"down", NULL, "down [NAME]... [--hard]", "give back what is rented",
     "Gives back machines that are rented: all, or NAME, an instance or a provider.\n"
     "They get no more tasks, and go when what runs there has ended and its outputs\n"
     "are here. Waiting tasks may have others made: `dkrun cancel` ends those.\n"
     "\n"
     "  --hard                    at once: what runs there is lost, and runs again\n"
     "                            elsewhere when it is wanted\n",
     dk_cmd_down},
    {"reap", NULL, "reap [PROVIDER] [--store ID]... [--older-than AGE] [--yes]", "machines that nobody answers for",
     "Asks the clouds (all, or PROVIDER) which machines dkrun made there, and lists\n"
     "those that no store of this machine has on record: whose they are, how old, and\n"
     "whether they end by themselves. Asks, or takes --yes, and deletes those of this\n"
     "repository's store; of another store only with --store. What a store here has\n"
     "on record is left alone: `dkrun down` there gives it back.\n"
     "\n"
     "  --store ID                those of this store, too, as the list has it\n"
     "  --older-than AGE          default: 15m; younger ones stay: 1h, 2d, 0s\n"
     "  -y, --yes                 delete them without a question\n"
     "\n"
     "It works in any folder, and beside a working engine.\n",
     dk_cmd_reap},
    {"images", NULL, "images [prune] [PROVIDER] [--format text|json]", "images that dkrun made in clouds",
     "Asks the clouds (all, or PROVIDER) which images dkrun has made there, by the\n"
     "`image` blocks of files of providers: their state, size, age, and who made them.\n"
     "\n"
     "  prune                     delete those that no file of providers names any\n"
     "                            more, and that you made on this machine; asks\n"
     "  prune --all               also those that others made, or on other machines\n"
     "  -y, --yes                 delete them without a question\n"
     "  --format text|json        how to say it\n"
     "\n"
     "An image that was deleted is made again when a machine is to be made from it.\n",
     dk_cmd_images},
    {"trust", NULL, "trust [--yes | --not]", "let this repository declare providers",
     "Shows which hosts the providers.dk of this repository declares, and asks whether\n"
     "to trust it. A trusted file counts as if it were yours: it says whom ssh\n"
     "connects to, as whom, and with which configuration. That holds for the file as\n"
     "it is now, and what it imports and loads; changed, it has to be trusted again.\n"
     "A file that only chooses and limits your providers needs no trust.\n"
     "\n"
     "  -y, --yes                 do not ask\n"
     "  --not                     take it back\n",
     dk_cmd_trust},
    {"du", "keep", "du [--format text|json]", "what takes how much room",
     "Room on disk that the state folder `.dkrun` takes, by part, and of the kept\n"
     "contents by the task that made them. Changes nothing.\n",
     dk_cmd_du},
    {"gc", "keep", "gc [--older-than AGE] [--keep-size SIZE] [--yes]", "delete old runs, and what nothing names",
     "Says what it would delete, and with --yes deletes it: runs as asked for, the\n"
     "results that only they used, and everything that no run and no result reaches.\n"
     "The last run stays.\n"
     "\n"
     "  --older-than AGE          runs that ended longer ago: 30d, 12h, 90m\n"
     "  --keep-size SIZE          oldest runs, until .dkrun takes no more: 10GiB\n"
     "  -y, --yes                 do it\n",
     dk_cmd_gc},
    {"fsck", "keep", "fsck [--repair] [--quick]", "is everything whole that was kept?",
     "Checks the store, every kept content, code trees and sources of runs. Exit code\n"
     "0: nothing is damaged, or all of it was mended; 1: something is; 4: the check\n"
     "could not be done.\n"
     "\n"
     "  --repair                  mend it; a result of which something is lost is\n"
     "                            deleted, so that its task runs again; damaged files\n"
     "                            are moved to .dkrun/damaged\n"
     "  --quick                   do not read contents, only see that they are there\n",
     dk_cmd_fsck},
    {"doctor", "keep", "doctor [--format text|json]", "what this machine gives, what is enforced",
     "Looks at this machine, the repository and its state folder: a line each with\n"
     "ok, not enforced, or problem, and what to do. Exit code 4 when something keeps\n"
     "dkrun from running here. Writes and starts nothing that stays.\n",
     dk_cmd_doctor},
    {"help", NULL, "help [COMMAND | functions]", "this, or more about a command",
     "Without COMMAND: all commands on one screen. `functions`: the functions of the\n"
     "language, with what each does.\n",
     dk_cmd_help},
};

const struct dk_command *dk_cli_commands(size_t *ret_n) {
  *ret_n = sizeof commands / sizeof *commands;
  return commands;
}

const struct dk_command *dk_cli_command(const char *name) {
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(commands[i].name, name) == 0) {
      return &commands[i];
    }
  }
  return NULL;
}

static int unknown_command(const char *name) {
  const char *names[sizeof commands / sizeof *commands];
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    names[i] = commands[i].name;
  }
  size_t len = strlen(name);
  if (len > 3 && strcmp(name + len - 3, ".dk") == 0) {
    return dk_cli_failf(DK_EXIT_USAGE, "no command `%s`\nhelp: to run that file: dkrun run %s", name, name);
  }
  const char *near = dk_nearest(name, names, sizeof commands / sizeof *commands);
  if (near) {
    return dk_cli_failf(DK_EXIT_USAGE, "no command `%s`: did you mean `%s`?\nhelp: `dkrun help` lists the commands",
                        name, near);
  }
  return dk_cli_failf(DK_EXIT_USAGE, "no command `%s`\nhelp: `dkrun help` lists the commands", name);
}

/* Options in front of the command. -1: go on with the command at argv[optind]. */
static int global_options(struct dk_cli *cli, int argc, char **argv) {
  static const struct option options[] = {{"version", no_argument, NULL, 'V'},
                                          {"color", required_argument, NULL, DK_CLI_OPT_COLOR},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, "+:Vh", options, NULL)) != -1) {
    switch (opt) {
    case 'V': dk_cli_printf(cli, "dkrun %s\n", DK_VERSION); return DK_EXIT_OK;
    case 'h': return dk_cmd_help(cli, 1, (char *[]){(char *)(uintptr_t) "help", NULL});
    default: {
      int r = dk_cli_option(cli, opt, argc, argv, options);
      if (r >= 0) {
        return r;
      }
    }
    }
  }
  return -1;
}

static int dispatch(struct dk_cli *cli, int argc, char **argv) {
  int r = global_options(cli, argc, argv);
  if (r >= 0) {
    return r;
  }
  if (optind >= argc) {
    dk_cmd_help(cli, 1, (char *[]){(char *)(uintptr_t) "help", NULL});
    return DK_EXIT_USAGE;
  }
  const struct dk_command *command = dk_cli_command(argv[optind]);
  if (!command) {
    return unknown_command(argv[optind]);
  }
  int first = optind;
  return command->fn(cli, argc - first, argv + first);
}

/* A closed descriptor 0, 1 or 2 would be given to the next file that is opened, and messages written into it. */
static bool open_standard_fds(void) {
  for (int fd = 0; fd < 3; fd++) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd) {
      return false;
    }
  }
  return true;
}

int main(int argc, char **argv) {
  struct dk_cli cli = {.color = DK_COLOR_AUTO};
  if (!open_standard_fds()) {
    return DK_EXIT_ENGINE;
  }
  dk_alloc_init();
  dk_store_guard(DK_EXIT_ENGINE);
  signal(SIGXFSZ, SIG_IGN); /* a file over ulimit -f is EFBIG, an error like a full disk */
  signal(SIGPIPE, SIG_IGN); /* a closed pipe is EPIPE: dk_cli_write is quiet about it, the engine goes on */
  int code = dispatch(&cli, argc, argv);
  if (!cli.out_error && !cli.out_broken && close(1) < 0 && errno != EINTR) {
    cli.out_error = -errno; /* network file systems tell of a full disk only now */
  }
  dk_free(cli.root);
  dk_free(cli.state);
  if (cli.out_error) {
    dk_cli_failf(DK_EXIT_ENGINE, "writing the output: %s", strerror(-cli.out_error));
    return code == DK_EXIT_INTERRUPTED ? code : DK_EXIT_ENGINE;
  }
  return code;
}

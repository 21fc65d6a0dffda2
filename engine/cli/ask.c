/* dkrun cancel, pause, resume, prio: what is asked of a run that goes on, or of some of its tasks. */
#include "engine/cli/client.h"
#include "engine/cli/look.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <string.h>

struct options {
  const char *command;
  uint32_t run; /* 0: the only one that goes on */
  struct dk_ask ask;
  struct dk_selection selection;
};

static int parse_priority(int argc, char **argv, struct options *ret) {
  int64_t priority;

  if (optind >= argc || dk_number_parse_int(argv[optind], strlen(argv[optind]), &priority) < 0 || priority < -1000 ||
      priority > 1000)
    return dk_cli_usage("prio", "which priority? A number from -1000 to 1000; what has none has 0");
  ret->ask.priority = (int32_t)priority;
  optind++;
  return -1;
}

/* -1: go on. `order`: what getopt_long(3) calls the first character of its optstring. */
static int parse_options(struct dk_cli *cli, int argc, char **argv, const char *order, struct options *ret) {
  static const struct option options[] = {{"run", required_argument, NULL, 'R'},
                                          {"where", required_argument, NULL, 'w'},
                                          {"now", no_argument, NULL, 'n'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt;

  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, order, options, NULL)) != -1) {
    int r = -1;
    if (opt == 'R')
      r = dk_look_run_number(optarg, &ret->run)
              ? -1
              : dk_cli_usage(ret->command, "--run takes a number such as 3, not `%s`", optarg);
    else if (opt == 'w')
      ret->selection.where = optarg;
    else if (opt == 'n' && ret->ask.kind == DK_EV_CANCEL)
      ret->ask.is_hard = true;
    else if (opt == 'n')
      r = dk_cli_usage(ret->command, "--now is an option of cancel");
    else if (opt == '?' && ret->ask.kind == DK_EV_PRIORITY && optopt >= '0' && optopt <= '9') {
      const char *word = argv[optind - 1];
      if (word[0] == '-' && word[1] == optopt && !word[2]) optind--; /* of several digits getopt stays at the word */
      break;                                                         /* a negative priority */
    } else
      r = dk_cli_option(cli, opt, argc, argv, options);
    if (r >= 0) return r;
  }
  return -1;
}

/* Options may stand anywhere; of prio the priority is the first word, which may begin as an option does. */
static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  bool has_priority = ret->ask.kind == DK_EV_PRIORITY;
  int r = parse_options(cli, argc, argv, has_priority ? "+:" : ":", ret);

  if (r < 0 && has_priority) {
    r = parse_priority(argc, argv, ret);
    if (r < 0) {
      argv += optind - 1;
      argc -= optind - 1;
      r = parse_options(cli, argc, argv, ":", ret);
    }
  }
  ret->selection.words = (const char *const *)argv + optind;
  ret->selection.n_words = (uint32_t)(argc - optind);
  return r;
}

/* --- which run --- */

struct open_runs {
  uint32_t n, last; /* that go on */
  uint32_t newest;  /* of all */
};

static int see_run(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct open_runs *open = ctx;
  struct dk_run run;

  (void)key;
  (void)klen;
  if (dk_run_decode(value, vlen, &run) < 0) return 0;
  if (run.number > open->newest) open->newest = run.number;
  if (run.state == DK_RUN_RUNNING) {
    open->n++;
    open->last = run.number;
  }
  dk_run_finish(&run);
  return 0;
}

static int find_run(struct dk_cli *cli, struct options *options, struct dk_error *error) {
  struct dk_store *store = NULL;
  struct open_runs open = {0};
  int r = dk_cli_open_store(cli, &store, NULL, error);

  if (r == 0) r = dk_store_each(store, DK_TABLE_RUNS, NULL, 0, see_run, &open, error);
  if (store) dk_store_close(store);
  if (r == 0 && options->run > open.newest)
    return dk_error_set(error, -ENOENT, "no run %u: the last one is %u", options->run, open.newest);
  if (r < 0 || options->run) return r;
  if (open.n == 0) return dk_error_set(error, -ENOENT, "no run goes on here\nhelp: `dkrun status` lists the runs");
  if (open.n > 1)
    return dk_error_set(error, -EINVAL, "%u runs go on: which one?\nhelp: --run N; `dkrun status` lists them", open.n);
  options->run = open.last;
  return 0;
}

/* --- which tasks --- */

/* Selected tasks come in rising order. */
static int to_ranges(const uint32_t *tasks, uint32_t n, struct dk_ask *ask) {
  ask->ranges = dk_calloc(2 * (size_t)n + 1, sizeof *ask->ranges);
  if (!ask->ranges) return -ENOMEM;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t *end = ask->n_ranges ? &ask->ranges[2 * ask->n_ranges - 1] : NULL;
    if (end && *end == tasks[i]) {
      ++*end;
      continue;
    }
    ask->ranges[2 * ask->n_ranges] = tasks[i];
    ask->ranges[2 * ask->n_ranges++ + 1] = tasks[i] + 1;
  }
  return 0;
}

/* What has ended is past asking; returns how many are left. */
static uint32_t drop_ended(const struct dk_look *look, uint32_t *tasks, uint32_t n) {
  uint32_t left = 0;
  for (uint32_t i = 0; i < n; i++) {
    bool has_ended = look->rows.has_record[tasks[i]] && dk_task_state_is_end(look->rows.tasks[tasks[i]].state);
    if (!has_ended) tasks[left++] = tasks[i];
  }
  return left;
}

/* An exit code. Without a selection it is the run as a whole that is asked. *ret_n is how many of *ret_of are asked. */
static int select_tasks(struct dk_cli *cli, struct options *options, uint32_t *ret_n, uint32_t *ret_of) {
  struct dk_error error = {0};
  struct dk_look look;
  dk_autofree uint32_t *tasks = NULL;

  *ret_n = *ret_of = 0;
  if (options->selection.n_words == 0 && !options->selection.where) return DK_EXIT_OK;
  if (dk_look_open(cli, options->run, &look, &error) < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  int code = dk_look_select(&look, &options->selection, &tasks, ret_of);
  if (code == DK_EXIT_OK) *ret_n = drop_ended(&look, tasks, *ret_of);
  if (code == DK_EXIT_OK && to_ranges(tasks, *ret_n, &options->ask) < 0) {
    dk_error_system(&error, -ENOMEM, "choosing tasks");
    code = dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  dk_look_close(&look);
  return code;
}

/* --- asking --- */

static void say_done(struct dk_cli *cli, const struct options *options, uint32_t n_tasks, uint32_t n_of) {
  static const struct {
    const char *one, *many;
  } words[] = {
      [DK_EV_CANCEL - DK_EV_CANCEL] = {"ends", "end"},
      [DK_EV_PAUSE - DK_EV_CANCEL] = {"is paused: what runs goes on, nothing new starts",
                                      "are paused: what runs goes on, nothing new starts"},
      [DK_EV_RESUME - DK_EV_CANCEL] = {"goes on", "go on"},
      [DK_EV_PRIORITY - DK_EV_CANCEL] = {"has another priority", "have another priority"},
  };
  uint32_t kind = options->ask.kind - DK_EV_CANCEL, n_ended = n_of - n_tasks;

  if (!n_of) {
    dk_cli_printf(cli, "run %u %s\n", options->run, words[kind].one);
    return;
  }
  dk_cli_printf(cli, "run %u:", options->run);
  if (n_tasks)
    dk_cli_printf(cli, " %u task%s %s", n_tasks, dk_cli_s(n_tasks), n_tasks == 1 ? words[kind].one : words[kind].many);
  if (n_ended) dk_cli_printf(cli, "%s %u ha%s ended already", n_tasks ? ";" : "", n_ended, n_ended == 1 ? "s" : "ve");
  dk_cli_printf(cli, "\n");
}

static int ask(struct dk_cli *cli, int argc, char **argv, enum dk_event_kind kind) {
  struct options options = {.command = argv[0], .ask = {.kind = kind}};
  struct dk_error error = {0};
  struct dk_client client = DK_CLIENT_INIT;
  struct dk_talk answer = {0};
  uint32_t n_tasks = 0, n_of = 0;
  int code = parse(cli, argc, argv, &options);

  if (code >= 0) return code;
  if (find_run(cli, &options, &error) < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  code = select_tasks(cli, &options, &n_tasks, &n_of);
  if (code == DK_EXIT_OK && n_of && !n_tasks) say_done(cli, &options, 0, n_of);
  if (code != DK_EXIT_OK || (n_of && !n_tasks)) {
    dk_ask_finish(&options.ask);
    return code;
  }
  struct dk_talk talk = {.kind = DK_TALK_ASK, .run = options.run, .ask = options.ask};
  int r = dk_client_start_call(cli, &talk, &client, &answer, &error);
  if (r == 0) say_done(cli, &options, n_tasks, n_of);
  dk_talk_finish(&answer);
  dk_client_close(&client);
  dk_ask_finish(&options.ask);
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : DK_EXIT_OK;
}

int dk_cmd_cancel(struct dk_cli *cli, int argc, char **argv) {
  return ask(cli, argc, argv, DK_EV_CANCEL);
}

int dk_cmd_pause(struct dk_cli *cli, int argc, char **argv) {
  return ask(cli, argc, argv, DK_EV_PAUSE);
}

int dk_cmd_resume(struct dk_cli *cli, int argc, char **argv) {
  return ask(cli, argc, argv, DK_EV_RESUME);
}

int dk_cmd_prio(struct dk_cli *cli, int argc, char **argv) {
  return ask(cli, argc, argv, DK_EV_PRIORITY);
}

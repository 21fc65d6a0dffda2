/* dkrun run: the experiment, on this machine, until everything that was asked has ended. */
#include "engine/cli/again.h"
#include "engine/cli/live.h"
#include "engine/cli/session.h"
#include "engine/cli/term.h"
#include "engine/drive/engine.h"
#include "engine/report/summary.h"
#include "engine/report/table.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define MAX_JOBS 4096

struct options {
  const char *file;
  struct dk_cli_params params;
  uint32_t jobs; /* 0: the machine's processors */
  bool clean, quiet, plain;
};

struct watch {
  struct dk_cli *cli;
  struct dk_engine *engine;
  struct dk_loop *loop;
  struct dk_progress *progress;
  struct dk_live *live;
  int n_signals;
};

/* What the engine tells */

static void on_note(void *ctx, uint64_t now_ns, const struct dk_engine_note *note) {
  struct watch *watch = ctx;
  struct dk_progress_note out = {
      .task = note->task,
      .state = note->state,
      .started = note->started,
      .cause = note->cause,
      .code = note->code,
      .attempts = note->attempts,
      .wall_ns = note->wall_ns,
      .text = note->text,
      .metrics = note->metrics,
  };

  if (note->choice) dk_progress_choice(watch->progress, note->task, note->choice);
  dk_progress_note(watch->progress, now_ns, &out);
}

static void on_say(void *ctx, const char *text) {
  struct watch *watch = ctx;

  dk_progress_say(watch->progress, "%s", text);
}

static void on_where(void *ctx, uint32_t slots) {
  struct watch *watch = ctx;
  char text[64];

  snprintf(text, sizeof text, "this machine, %u slot%s", slots, slots == 1 ? "" : "s");
  dk_progress_set_where(watch->progress, text);
}

static uint64_t on_tick(void *ctx, uint64_t now_ns) {
  struct watch *watch = ctx;

  dk_live_tick(watch->live, now_ns);
  return dk_live_deadline(watch->live, now_ns);
}

/* What the person wants */

static void cancel(struct watch *watch) {
  bool hard = watch->n_signals++ > 0;

  dk_progress_set_stopping(watch->progress, hard ? "stopping: running tasks are killed"
                                                 : "stopping: running tasks get 5 s to end, ^C again kills them");
  dk_engine_cancel(watch->engine, hard);
}

static void on_signal(void *ctx, int signal) {
  struct watch *watch = ctx;

  (void)signal;
  cancel(watch);
}

static void on_key(void *ctx, int fd, short revents) {
  struct watch *watch = ctx;

  (void)revents;
  switch (dk_live_key(watch->live)) {
  case DK_LIVE_KEY_QUIT: on_signal(watch, SIGINT); break;
  case DK_LIVE_KEY_CLOSED: dk_loop_unwatch(watch->loop, fd); break;
  case DK_LIVE_KEY_NONE: break;
  }
}

/* The command */

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {{"param", required_argument, NULL, 'p'},
                                          {"jobs", required_argument, NULL, 'j'},
                                          {"clean", no_argument, NULL, 'c'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"plain", no_argument, NULL, 'P'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt, r;
  int64_t jobs;

  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":p:j:q", options, NULL)) != -1) {
    switch (opt) {
    case 'p':
      r = dk_cli_params_add(&ret->params, optarg);
      if (r < 0) return r == -EINVAL ? DK_EXIT_USAGE : DK_EXIT_ENGINE;
      break;
    case 'j':
      if (dk_number_parse_int(optarg, strlen(optarg), &jobs) < 0 || jobs < 1 || jobs > MAX_JOBS)
        return dk_cli_usage("run", "--jobs takes a number from 1 to %d, not `%s`", MAX_JOBS, optarg);
      ret->jobs = (uint32_t)jobs;
      break;
    case 'c': ret->clean = true; break;
    case 'q': ret->quiet = true; break;
    case 'P': ret->plain = true; break;
    default:
      r = dk_cli_option(cli, opt, argc, argv, options);
      if (r >= 0) return r;
    }
  }
  if (argc - optind > 1) return dk_cli_usage("run", "one file at a time: `%s` is one too many", argv[optind + 1]);
  ret->file = argv[optind];
  return -1;
}

/* What came out, from the store: the same as `dkrun status` and `dkrun results` say later. */
static int print_end(struct dk_cli *cli, struct dk_folder *folder, uint32_t run, const struct dk_plan *plan,
                     enum dk_run_state *ret_state, struct dk_error *error) {
  struct dk_row_source rows;
  struct dk_summary_options options = {.color = dk_cli_color(cli, 1)};
  dk_autobuf out = DK_BUF_INIT;
  uint32_t height;
  int r = dk_row_source_open(&rows, folder->store, &folder->objects, run, plan, error);

  if (r < 0) return r;
  /* Tables first: with many rows what failed would be out of sight. */
  if (plan->n_tables > 0 && rows.run.n_done + rows.run.n_cached > 0) {
    r = dk_tables_render(&rows, DK_FORMAT_TEXT, options.color, &out, error);
    dk_buf_add_char(&out, '\n');
  }
  if (isatty(STDOUT_FILENO)) dk_term_size(STDOUT_FILENO, &options.width, &height);
  if (r == 0) r = dk_summary_render(&rows, &options, &out, error);
  if (r == 0) dk_cli_print(cli, &out);
  *ret_state = rows.run.state;
  dk_row_source_finish(&rows);
  return r;
}

static int create_view(struct watch *watch, const struct dk_session *session, const struct options *options,
                       struct dk_error *error) {
  dk_autobuf commit = DK_BUF_INIT;
  enum dk_live_mode mode = options->quiet ? DK_LIVE_QUIET : options->plain ? DK_LIVE_PLAIN : DK_LIVE_AUTO;
  int r;

  dk_session_commit_text(session, &commit);
  struct dk_progress_head head = {.run = dk_engine_run_number(watch->engine), .commit = dk_buf_text(&commit)};
  r = dk_progress_create(&watch->progress, session->plan, NULL, &head, dk_now_ns(), error);
  return r < 0 ? r : dk_live_create(&watch->live, watch->progress, mode, dk_cli_color(watch->cli, 1), error);
}

static int run_and_report(struct watch *watch, struct dk_folder *folder, const struct dk_session *session,
                          struct dk_error *error, int *ret_exit) {
  uint32_t number = dk_engine_run_number(watch->engine);
  enum dk_run_state state;
  int r = dk_engine_run(watch->engine, error);

  dk_live_finish(watch->live, dk_now_ns());
  if (r < 0) return dk_error_prefix(error, "run %u had to stop", number);
  r = print_end(watch->cli, folder, number, session->plan, &state, error);
  if (r < 0) return r;
  *ret_exit = state == DK_RUN_DONE ? DK_EXIT_OK : state == DK_RUN_FAILED ? DK_EXIT_FAILED : DK_EXIT_INTERRUPTED;
  return 0;
}

static int run_session(struct dk_cli *cli, const struct options *options, struct dk_session *session) {
  struct dk_error error = {0};
  struct dk_folder folder;
  struct watch watch = {.cli = cli};
  dk_autobuf holder = DK_BUF_INIT;
  dk_autofree char *agent = dk_session_agent_program(&error);
  int exit_with = DK_EXIT_ENGINE, r;

  if (!agent) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  dk_buf_printf(&holder, "dkrun run %s", session->file);
  r = dk_folder_open(cli->root, dk_buf_text(&holder), &folder, &error);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);

  r = dk_session_pin(cli, session, false, options->clean, &error);
  if (r == 0) r = dk_loop_create(&watch.loop, &error);
  if (r == 0) r = dk_loop_signal(watch.loop, SIGINT, on_signal, &watch);
  if (r == 0) r = dk_loop_signal(watch.loop, SIGTERM, on_signal, &watch);
  if (r == 0) {
    struct dk_engine_options engine = {
        .plan = session->plan,
        .folder = &folder,
        .snapshot = &session->snapshot,
        .root = cli->root,
        .file = session->file,
        .params = session->params,
        .sources = &session->sources,
        .provider = &dk_providers[0],
        .agent_program = agent,
        .slots = options->jobs,
        .loop = watch.loop,
        .observer = {&watch, on_note, on_say, on_where, on_tick},
    };
    r = dk_engine_create(&engine, &watch.engine, &error);
  }
  if (r == 0) r = create_view(&watch, session, options, &error);
  if (r == 0 && dk_live_input_fd(watch.live) >= 0)
    r = dk_loop_watch(watch.loop, dk_live_input_fd(watch.live), POLLIN, on_key, &watch);
  if (r == 0) r = run_and_report(&watch, &folder, session, &error, &exit_with);

  dk_live_destroy(watch.live);
  dk_progress_destroy(watch.progress);
  dk_engine_destroy(watch.engine);
  dk_loop_destroy(watch.loop);
  dk_folder_close(&folder);
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : exit_with;
}

int dk_cmd_run(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {0};
  struct dk_session session;
  int r = parse(cli, argc, argv, &options);

  if (r < 0 && !options.clean && dk_again(cli, options.file, &options.params, &r)) {
    dk_cli_params_finish(&options.params);
    return r;
  }
  if (r < 0) {
    r = dk_session_open(cli, options.file, &options.params, &session);
    if (r == DK_EXIT_OK) {
      r = run_session(cli, &options, &session);
      dk_session_close(&session);
    }
  }
  dk_cli_params_finish(&options.params);
  return r;
}

/* dkrun run: the experiment, until everything that was asked has ended. */
#include "engine/cli/again.h"
#include "engine/cli/consent.h"
#include "engine/cli/remote.h"
#include "engine/cli/session.h"
#include "engine/cli/take.h"
#include "engine/cli/watch.h"
#include "engine/drive/service.h"
#include "engine/sys/proc.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_JOBS 4096
#define AGENT_NS UINT64_C(3000000000)       /* an agent is there in milliseconds */
#define GIVE_BACK_NS UINT64_C(180000000000) /* a cloud takes seconds; then people are told */

struct options {
  const char *file;
  struct dk_cli_params params;
  uint32_t jobs; /* 0: the machine's processors */
  struct dk_consent consent;
  bool clean, quiet, plain, detach, foreground, prune;
};

/* The command */

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {{"param", required_argument, NULL, 'p'},
                                          {"jobs", required_argument, NULL, 'j'},
                                          {"clean", no_argument, NULL, 'c'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"plain", no_argument, NULL, 'P'},
                                          {"detach", no_argument, NULL, 'd'},
                                          {"foreground", no_argument, NULL, 'f'},
                                          {"prune", no_argument, NULL, 'r'},
                                          {"max-cost", required_argument, NULL, 'm'},
                                          {"as-restored", no_argument, NULL, 'R'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt, r;
  int64_t jobs;

  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":p:j:qd", options, NULL)) != -1) {
    switch (opt) {
    case 'p':
      r = dk_cli_params_add(&ret->params, optarg);
      if (r < 0) return r == -EINVAL ? DK_EXIT_USAGE : DK_EXIT_ENGINE;
      break;
    case 'j':
      if (dk_number_parse_int(optarg, strlen(optarg), &jobs) < 0 || jobs < 1 || jobs > MAX_JOBS)
        return dk_cli_usage("run", "--jobs takes a number from 1 to %d, not `%s`", MAX_JOBS, optarg);
      ret->jobs = (uint32_t)jobs;
      /* An agent outlives its run: it is never made for fewer than the next one may want. */
      cli->slots = ret->jobs > dk_proc_cpus() ? ret->jobs : 0;
      break;
    case 'c': ret->clean = true; break;
    case 'q': ret->quiet = true; break;
    case 'P': ret->plain = true; break;
    case 'd': ret->detach = true; break;
    case 'f': ret->foreground = true; break;
    case 'r': ret->prune = true; break;
    case 'm':
      if (!dk_consent_parse(optarg, &ret->consent))
        return dk_cli_usage("run", "--max-cost takes an amount such as 5USD, or 0, not `%s`", optarg);
      break;
    case 'R': cli->as_restored = true; break;
    default:
      r = dk_cli_option(cli, opt, argc, argv, options);
      if (r >= 0) return r;
    }
  }
  if (ret->detach && ret->foreground) return dk_cli_usage("run", "--detach and --foreground exclude each other");
  return dk_cli_one_file("run", argc, argv, &ret->file);
}

/* In this process: engine and command are one, and a signal means this run. */

struct foreground {
  struct dk_engine *engine;
  struct dk_watch *watch; /* NULL: not yet, or gone */
  uint32_t run, slots;
  struct dk_buf where; /* as the engine has told it last */
  bool has_ended;
  uint64_t give_back_until; /* dk_now_ns; 0: not yet */
};

static void on_note(void *ctx, uint32_t run, const struct dk_engine_note *note) {
  struct foreground *f = ctx;

  if (f->watch && run == f->run) dk_watch_note(f->watch, note);
}

static void on_ended(void *ctx, uint32_t run, enum dk_run_state state) {
  struct foreground *f = ctx;

  (void)state;
  if (run == f->run) f->has_ended = true;
}

static void on_say(void *ctx, const char *text) {
  struct foreground *f = ctx;

  if (f->watch)
    dk_watch_say(f->watch, text);
  else
    fprintf(stderr, "dkrun: %s\n", text);
}

static void on_where(void *ctx, uint32_t slots, const char *text) {
  struct foreground *f = ctx;

  f->slots = slots;
  dk_buf_clear(&f->where);
  dk_buf_add_text(&f->where, text);
  if (f->watch) dk_watch_where(f->watch, slots, text);
}

static uint64_t on_tick(void *ctx, uint64_t now_ns) {
  struct foreground *f = ctx;

  if (f->give_back_until && (dk_engine_has_released(f->engine) || now_ns >= f->give_back_until))
    dk_engine_wake(f->engine);
  if (f->give_back_until) return now_ns + UINT64_C(100000000);
  return f->watch ? dk_watch_tick(f->watch, now_ns) : UINT64_MAX;
}

static void on_wish(void *ctx, enum dk_wish wish) {
  struct foreground *f = ctx;
  struct dk_ask ask = {.kind = DK_EV_CANCEL, .is_hard = wish == DK_WISH_CANCEL_HARD};
  struct dk_error error = {0};

  if (dk_engine_ask(f->engine, f->run, &ask, &error) < 0) on_say(f, error.text);
}

static int submit(struct foreground *f, const struct options *options, const struct dk_session *session,
                  struct dk_error *error) {
  struct dk_submitted submitted;
  struct dk_submission submission = {
      .file = session->file,
      .given = options->params.items,
      .n_given = options->params.n,
      .params = session->params,
      .variables = environ,
      .jobs = options->jobs,
      .foreground = true,
      .refuse_dirty = options->clean,
      .prune = options->prune,
      .consent = options->consent,
  };
  int r = dk_engine_submit(f->engine, &submission, &submitted, error);

  if (submitted.notes.len) dk_cli_note(dk_buf_text(&submitted.notes));
  dk_buf_finish(&submitted.notes);
  f->run = submitted.run;
  return r;
}

static int run_and_report(struct foreground *f, struct dk_error *error, int *ret_exit) {
  int r = 0;

  if (f->where.len) dk_watch_where(f->watch, f->slots, dk_buf_text(&f->where));
  while (r == 0 && !f->has_ended) r = dk_engine_turn(f->engine, error);
  dk_watch_leave(f->watch);
  if (r < 0) return dk_error_prefix(error, "run %u had to stop", f->run);
  r = dk_watch_print_end(f->watch, error);
  if (r < 0) return r;
  *ret_exit = r;
  return 0;
}

/* Nobody would be left who ends what was rented for this run. Other runs that go on here keep what they have. */
static int give_back(struct foreground *f, struct dk_error *error) {
  uint32_t n = dk_engine_n_rented(f->engine);

  if (n == 0 || dk_engine_n_runs(f->engine) > 0) return 0;
  fprintf(stderr, "dkrun: giving back %u machine%s\n", n, dk_cli_s(n));
  int r = dk_engine_release(f->engine, NULL, false, error);
  if (r == -EHOSTUNREACH) r = 0; /* those were told of when the providers were read */
  f->give_back_until = dk_now_ns() + GIVE_BACK_NS;
  while (r == 0 && !dk_engine_has_released(f->engine) && dk_now_ns() < f->give_back_until)
    r = dk_engine_turn(f->engine, error);
  if (r < 0) return dk_error_prefix(error, "giving back what was rented");
  if (!dk_engine_has_released(f->engine))
    fprintf(stderr,
            "dkrun: the cloud has not agreed yet to delete them; the next dkrun goes on with that, and a machine "
            "without work ends by itself\nhelp: `dkrun instances` lists them, `dkrun down` goes on now\n");
  return 0;
}

static enum dk_live_mode mode_of(const struct options *options) {
  return options->quiet ? DK_LIVE_QUIET : options->plain ? DK_LIVE_PLAIN : DK_LIVE_AUTO;
}

/* The folder is open: its lock is ours. Other commands may watch, ask, and hand over runs meanwhile; what of theirs is
 * left at our end their own processes take up. */
static int run_here(struct dk_cli *cli, const struct options *options, const struct dk_session *session,
                    struct dk_folder *folder) {
  struct dk_error error = {0};
  struct dk_loop *loop = NULL;
  struct dk_service *service = NULL;
  struct foreground f = {.engine = NULL};
  struct dk_hosts hosts = {.n = 0};
  dk_autofree char *agent = dk_session_agent_program(&error);
  int exit_with = DK_EXIT_ENGINE;
  const struct dk_engine_observer local = {&f, on_note, on_ended, on_say, on_where, on_tick};

  if (!agent) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  int r = dk_loop_create(&loop, &error);
  if (r == 0) r = dk_service_create(folder->path, loop, &local, &service, &error);
  if (r < 0) {
    dk_loop_destroy(loop);
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  struct dk_engine_options engine = {
      .folder = folder,
      .root = cli->root,
      .hosts = &hosts,
      .agent_program = agent,
      .slots = cli->slots,
      .loop = loop,
      .observer = dk_service_observer(service),
  };
  if (r == 0) r = dk_hosts_load(cli->root, &hosts, &error);
  if (r == 0) r = dk_engine_create(&engine, &f.engine, &error);
  if (r == 0) r = submit(&f, options, session, &error);
  struct dk_watch_options watch = {
      .cli = cli,
      .loop = loop,
      .store = folder->store,
      .objects = &folder->objects,
      .run = f.run,
      .jobs = options->jobs,
      .mode = options->quiet   ? DK_LIVE_QUIET
              : options->plain ? DK_LIVE_PLAIN
                               : DK_LIVE_AUTO,
      .wish = on_wish,
      .ctx = &f,
  };
  if (r == 0) r = dk_watch_create(&watch, &f.watch, &error);
  if (r == 0) dk_service_serve(service, f.engine);
  if (r == 0) r = run_and_report(&f, &error, &exit_with);

  dk_watch_destroy(f.watch);
  f.watch = NULL;
  if (r == 0) r = give_back(&f, &error);
  dk_engine_destroy(f.engine);
  dk_buf_finish(&f.where);
  dk_hosts_finish(&hosts);
  dk_service_destroy(service);
  dk_loop_destroy(loop);
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : exit_with;
}

/* In another process. */

/* A copy of what is borrowed elsewhere: the message is only encoded. */
static int hand_over(struct dk_client *client, const struct options *options, const struct dk_session *session,
                     struct dk_talk *ret, struct dk_error *error) {
  dk_autofree struct dk_pair *given = dk_calloc(options->params.n + 1, sizeof *given);
  uint32_t n_variables = 0;

  if (!given) return dk_error_system(error, -ENOMEM, "handing over the run");
  while (environ[n_variables]) n_variables++;
  for (uint32_t i = 0; i < options->params.n; i++)
    given[i] = (struct dk_pair){(char *)(uintptr_t)options->params.items[i].name,
                                (char *)(uintptr_t)options->params.items[i].text};
  struct dk_talk talk = {.kind = DK_TALK_SUBMIT,
                         .submit = {.file = session->file,
                                    .params = session->params,
                                    .given = given,
                                    .n_given = options->params.n,
                                    .variables = environ,
                                    .n_variables = n_variables,
                                    .jobs = options->jobs,
                                    .refuse_dirty = options->clean,
                                    .prune = options->prune,
                                    .consent = options->consent}};
  return dk_client_call(client, &talk, ret, error);
}

/* Who leaves at once hears here what who watches is told when the agent is there. */
static void wait_for_agent(struct dk_client *client, uint32_t jobs) {
  uint64_t now = dk_now_ns(), until = now + AGENT_NS;
  dk_autobuf text = DK_BUF_INIT;
  struct dk_talk talk;
  bool is_there = false;

  for (; !is_there && now < until && dk_client_next(client, until - now, &talk) > 0; now = dk_now_ns()) {
    is_there = talk.kind == DK_TALK_WHERE && talk.value > 0;
    if (is_there) dk_watch_jobs_text(jobs, (uint32_t)talk.value, talk.text, &text);
    dk_talk_finish(&talk);
  }
  dk_cli_note(dk_buf_text(&text));
}

/* An exit code; -ECONNRESET or -EPIPE: the engine ended before it answered. */
static int run_there(struct dk_cli *cli, const struct options *options, const struct dk_session *session,
                     struct dk_client *client) {
  struct dk_error error = {0};
  struct dk_talk answer;
  int r = hand_over(client, options, session, &answer, &error);

  if (dk_client_is_lost(r)) {
    dk_client_close(client);
    return r;
  }
  if (r < 0) {
    dk_client_close(client);
    return dk_cli_fail(r == -EINVAL ? DK_EXIT_FILE : DK_EXIT_ENGINE, &error);
  }
  uint32_t run = answer.run;
  bool was_there = answer.value; /* somebody else's: it does not end with this command */
  dk_cli_note(answer.text);
  if (was_there && !options->quiet) fprintf(stderr, "dkrun: note: run %u does the same already: watching it\n", run);
  dk_talk_finish(&answer);
  if (options->detach) {
    if (cli->slots) wait_for_agent(client, options->jobs);
    dk_client_close(client);
    dk_cli_printf(cli, "run %u goes on in the background\n", run);
    if (!options->quiet) dk_cli_printf(cli, "  watch   dkrun attach %u\n  end     dkrun cancel --run %u\n", run, run);
    return DK_EXIT_OK;
  }
  bool is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  struct dk_remote_options remote = {.mode = mode_of(options), .asks = was_there || is_terminal, .jobs = options->jobs};
  return dk_remote_watch(cli, client, run, &remote);
}

/* On a terminal, or detached, the engine is a process of its own, so that the run does not end with the window. In a
 * script or in CI it is this process, so that nothing is left behind, unless one works here already. */
static int run_session(struct dk_cli *cli, const struct options *options, const struct dk_session *session) {
  bool is_there = options->detach || (!options->foreground && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
  struct dk_client client = DK_CLIENT_INIT;
  struct dk_error error = {0};
  struct dk_folder folder;
  dk_autobuf holder = DK_BUF_INIT;

  dk_buf_printf(&holder, "dkrun run %s", session->file);
  if (options->foreground) dk_client_dismiss(cli);
  for (int tries = 0;; tries++) {
    int r = is_there              ? dk_client_start(cli, &client, &error)
            : options->foreground ? -ENOENT
                                  : dk_client_connect(cli, &client, &error);
    if (r == 0) {
      r = run_there(cli, options, session, &client);
      if (!dk_client_is_lost(r)) return r;
      if (tries < 3) continue; /* handing it over twice does no harm: it is the same run */
      dk_error_set(&error, r, "the engine ended again and again\nhelp: its words are in .dkrun/engine.log");
    }
    if (r != -ENOENT) return dk_cli_fail(DK_EXIT_ENGINE, &error);
    r = dk_cli_take_folder(cli, dk_buf_text(&holder), &folder, &error);
    if (r == -EWOULDBLOCK && !options->foreground) continue; /* another began in between */
    if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
    r = run_here(cli, options, session, &folder);
    dk_folder_close(&folder);
    return r;
  }
}

int dk_cmd_run(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {0};
  struct dk_session session;
  int r = parse(cli, argc, argv, &options);

  if (r < 0 && !options.clean && !cli->as_restored && dk_again(cli, options.file, &options.params, &r)) {
    dk_cli_params_finish(&options.params);
    return r;
  }
  if (r < 0) {
    r = dk_session_open(cli, options.file, &options.params, &session);
    if (r == DK_EXIT_OK) {
      r = dk_consent_get(cli, &options.consent);
      if (r == DK_EXIT_OK) r = run_session(cli, &options, &session);
      dk_session_close(&session);
    }
  }
  dk_cli_params_finish(&options.params);
  return r;
}

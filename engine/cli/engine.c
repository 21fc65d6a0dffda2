/* dkrun engine: the engine of a state folder as a process of its own. `dkrun run` starts it; it ends by itself. */
#include "engine/cli/session.h"
#include "engine/cli/take.h"
#include "engine/drive/service.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define IDLE_NS (3 * SECOND) /* without a run and a client */

struct daemon {
  struct dk_engine *engine;
  struct dk_service *service;
  uint64_t idle_since, look_at;
  bool must_end;
};

static void on_say(void *ctx, const char *text) {
  (void)ctx;
  fprintf(stderr, "dkrun: %s\n", text);
}

static void on_signal(void *ctx, int signal) {
  struct daemon *d = ctx;

  (void)signal;
  d->must_end = true;
  if (d->engine) dk_engine_wake(d->engine);
}

/* Looks every second whether it is still wanted, and at once whether it was asked to go. */
static uint64_t on_tick(void *ctx, uint64_t now_ns) {
  struct daemon *d = ctx;

  if (!d->engine) return d->look_at;
  if (dk_service_is_dismissed(d->service)) d->must_end = true;
  if (now_ns < d->look_at) return d->look_at;
  d->look_at = now_ns + SECOND;
  bool is_idle =
      dk_engine_n_runs(d->engine) == 0 && dk_service_n_clients(d->service) == 0 && dk_engine_n_rented(d->engine) == 0;
  if (!is_idle) d->idle_since = now_ns;
  if (now_ns - d->idle_since >= IDLE_NS || dk_service_is_gone(d->service)) d->must_end = true;
  if (d->must_end) dk_engine_wake(d->engine);
  return d->look_at;
}

static int serve(struct dk_cli *cli, struct dk_folder *folder, struct dk_loop *loop, struct dk_error *error) {
  struct daemon d = {.idle_since = dk_now_ns()};
  struct dk_hosts hosts = {.n = 0};
  const struct dk_engine_observer local = {.ctx = &d, .say = on_say, .tick = on_tick};
  dk_autofree char *agent = dk_session_agent_program(error);
  int r = agent ? dk_service_create(folder->path, loop, &local, &d.service, error) : -ENOENT;

  if (r == 0) r = dk_hosts_load(cli->root, &hosts, error);
  if (r == 0) r = dk_loop_signal(loop, SIGTERM, on_signal, &d);
  if (r == 0) r = dk_loop_signal(loop, SIGINT, on_signal, &d);
  if (r == 0) {
    struct dk_engine_options options = {
        .folder = folder,
        .root = cli->root,
        .hosts = &hosts,
        .agent_program = agent,
        .slots = cli->slots,
        .loop = loop,
        .observer = dk_service_observer(d.service),
    };
    r = dk_engine_create(&options, &d.engine, error);
  }
  if (r == 0) dk_service_serve(d.service, d.engine);
  while (r == 0 && !d.must_end) r = dk_engine_turn(d.engine, error);
  dk_engine_destroy(d.engine);
  dk_hosts_finish(&hosts);
  dk_service_destroy(d.service);
  return r;
}

int dk_cmd_engine(struct dk_cli *cli, int argc, char **argv) {
  static const struct option options[] = {{"as-restored", no_argument, NULL, 'R'},
                                          {"slots", required_argument, NULL, 's'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int64_t slots;
  struct dk_error error = {0};
  struct dk_folder folder;
  struct dk_loop *loop = NULL;
  int opt;

  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    if (opt == 'R') {
      cli->as_restored = true;
    } else if (opt == 's' && dk_number_parse_int(optarg, strlen(optarg), &slots) == 0 && slots >= 0 && slots < 65536) {
      cli->slots = (uint32_t)slots;
    } else {
      int r =
          opt == 's' ? dk_cli_usage("engine", "--slots takes a number") : dk_cli_option(cli, opt, argc, argv, options);
      if (r >= 0) return r;
    }
  }
  int r = dk_cli_find_root(cli, &error);
  if (r == 0) r = dk_cli_take_folder(cli, "dkrun engine", &folder, &error);
  if (r == -EWOULDBLOCK) return DK_EXIT_TAKEN; /* of several that are started at once: no word of it */
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  signal(SIGHUP, SIG_IGN);
  r = dk_loop_create(&loop, &error);
  if (r == 0) r = serve(cli, &folder, loop, &error);
  dk_loop_destroy(loop);
  dk_folder_close(&folder);
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : DK_EXIT_OK;
}

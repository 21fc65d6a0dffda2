/* dkrun attach: watches a run until it has ended. One whose engine was lost is taken up by a new engine; of one that
 * has ended only the end is shown. */
#include "engine/cli/look.h"
#include "engine/cli/remote.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <unistd.h>

struct options {
  uint32_t run; /* 0: the last one */
  bool quiet, plain;
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {
      {"quiet", no_argument, NULL, 'q'}, {"plain", no_argument, NULL, 'P'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt;

  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":q", options, NULL)) != -1) {
    if (opt == 'q') {
      ret->quiet = true;
    } else if (opt == 'P') {
      ret->plain = true;
    } else {
      int r = dk_cli_option(cli, opt, argc, argv, options);
      if (r >= 0) return r;
    }
  }
  int code = dk_look_run_argument("attach", argc, argv, &ret->run);
  return code == DK_EXIT_OK ? -1 : code;
}

/* The run that is meant, and whether it has ended. */
static int find_run(struct dk_cli *cli, uint32_t *run, enum dk_run_state *ret, struct dk_error *error) {
  struct dk_look look;
  int r = dk_look_open(cli, *run, &look, error);

  if (r < 0) return r;
  *run = look.rows.run.number;
  *ret = look.rows.run.state;
  dk_look_close(&look);
  return 0;
}

int dk_cmd_attach(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {0};
  struct dk_error error = {0};
  struct dk_client client = DK_CLIENT_INIT;
  struct dk_talk answer = {0};
  enum dk_run_state state = DK_RUN_RUNNING;
  int code = parse(cli, argc, argv, &options);

  if (code >= 0) return code;
  int r = find_run(cli, &options.run, &state, &error);
  if (r == 0 && state == DK_RUN_RUNNING) {
    struct dk_talk watch = {.kind = DK_TALK_WATCH, .run = options.run};
    r = dk_client_start_call(cli, &watch, &client, &answer, &error);
    if (r == -ENOENT) r = 0; /* it ended meanwhile */
  }
  dk_talk_finish(&answer);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  struct dk_remote_options remote = {.mode = options.quiet   ? DK_LIVE_QUIET
                                             : options.plain ? DK_LIVE_PLAIN
                                                             : DK_LIVE_AUTO,
                                     .asks = true};
  return dk_remote_watch(cli, &client, options.run, &remote);
}

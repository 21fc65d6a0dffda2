#include "providers/local/local.h"

#include "engine/sys/cgroup.h"
#include "engine/sys/daemon.h"
#include "engine/sys/ledger.h"
#include "lang/base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

static int reach(const struct dk_dial_options *options, int *ret_fd, struct dk_error *error) {
  dk_autobuf root = DK_BUF_INIT;
  char slots[16];
  const char *argv[] = {options->agent_program,
                        "serve",
                        "--root",
                        NULL,
                        "--ledger",
                        dk_ledger_asked(),
                        "--cgroup",
                        dk_cgroup_asked(),
                        options->slots ? "--slots" : NULL,
                        slots,
                        NULL};

  snprintf(slots, sizeof slots, "%u", options->slots);
  dk_buf_printf(&root, "%s/agent", options->state);
  if (!dk_buf_ok(&root)) return dk_error_system(error, -ENOMEM, "starting the agent");
  argv[3] = dk_buf_text(&root);
  return dk_daemon_reach(dk_buf_text(&root), argv, "the agent", ret_fd, error);
}

/* Reached within the call: nothing is left to be held. */
int dk_local_dial(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error) {
  struct dk_host_facts facts = {.arch = ""};
  int fd;

  assert(options->way == DK_DIAL_AGENT);
  int r = reach(options, &fd, error);

  *ret = NULL;
  if (r == 0) options->done(options->ctx, 0, fd, &facts, NULL);
  return r;
}

const char *dk_local_why(struct dk_dial *dial) {
  (void)dial;
  return NULL;
}

void dk_local_hang_up(struct dk_dial *dial) {
  (void)dial;
}

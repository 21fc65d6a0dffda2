/* dkagent: `serve` is the daemon (serve.c), `keeper` the parent of one slot's tasks (keeper.c). Static, so that it runs
 * on any Linux of its architecture; started by the engine, not by hand. */
#include "engine/agent/keeper.h"
#include "engine/agent/serve.h"
#include "engine/sys/cgroup.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEPER_LISTENER 3
#define KEEPER_LEDGER 4

static const char usage[] =
    "usage: dkagent serve --root DIR [--slots N] [--ledger DIR|auto|off] [--cgroup DIR|auto|off] [--machine DIR]\n"
    "                     [--idle-ms N]\n"
    "       dkagent keeper --slot N --dir DIR/slots/N [--book all|some] [--cgroup DIR|off] [--machine DIR] [--idle-ms "
    "N]\n"
    "                      (started by serve; its socket is descriptor 3, what it books over is 4)\n"
    "       dkagent --version\n";

static int fail_usage(const char *what) {
  fprintf(stderr, "dkagent: %s\n%s", what, usage);
  return 2;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno || *end || end == text || *text == '-' || value > max) return false;
  *ret = value;
  return true;
}

int main(int argc, char **argv) {
  static const struct option known[] = {
      {"root", required_argument, NULL, 'r'},    {"slots", required_argument, NULL, 's'},
      {"slot", required_argument, NULL, 'n'},    {"dir", required_argument, NULL, 'd'},
      {"ledger", required_argument, NULL, 'l'},  {"machine", required_argument, NULL, 'm'},
      {"cgroup", required_argument, NULL, 'c'},  {"book", required_argument, NULL, 'b'},
      {"idle-ms", required_argument, NULL, 'i'}, {"version", no_argument, NULL, 'V'},
      {"help", no_argument, NULL, 'h'},          {0},
  };
  const char *root = NULL, *dir = NULL, *ledger = NULL, *machine = "", *book = NULL, *cgroup = DK_CGROUP_OFF;
  uint64_t slots = 0, slot = UINT64_MAX, idle_ms = 60000;
  dk_alloc_init();
  for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    switch (c) {
    case 'r': root = optarg; break;
    case 'd': dir = optarg; break;
    case 'l': ledger = strcmp(optarg, "off") == 0 ? NULL : optarg; break;
    case 'm': machine = optarg; break;
    case 'b': book = optarg; break;
    case 'c': cgroup = optarg; break;
    case 's':
      if (!parse_number(optarg, 65535, &slots)) return fail_usage("--slots takes a number up to 65535");
      break;
    case 'n':
      if (!parse_number(optarg, 65535, &slot)) return fail_usage("--slot takes a number up to 65535");
      break;
    case 'i':
      if (!parse_number(optarg, 1u << 30, &idle_ms)) return fail_usage("--idle-ms takes milliseconds");
      break;
    case 'V': puts("dkagent " DK_VERSION); return 0;
    case 'h': fputs(usage, stdout); return 0;
    default: fputs(usage, stderr); return 2;
    }
  }
  if (argc - optind != 1) return fail_usage("say serve or keeper");
  umask(022);
  struct dk_error error = {0};
  int r;
  if (strcmp(argv[optind], "serve") == 0) {
    if (!root) return fail_usage("serve needs --root");
    r = dk_serve_run(&(struct dk_serve_options){root, (uint32_t)slots, ledger, cgroup, machine, idle_ms}, &error);
  } else if (strcmp(argv[optind], "keeper") == 0) {
    if (!dir || slot == UINT64_MAX) return fail_usage("keeper needs --slot and --dir");
    if (fcntl(KEEPER_LISTENER, F_SETFD, FD_CLOEXEC) < 0 || fcntl(KEEPER_LISTENER, F_SETFL, O_NONBLOCK) < 0)
      return fail_usage("keeper is started by serve, with its socket as descriptor 3");
    if (book && fcntl(KEEPER_LEDGER, F_SETFD, FD_CLOEXEC) < 0)
      return fail_usage("keeper is started by serve, with what it books over as descriptor 4");
    struct dk_keeper_options options = {.slot = (uint32_t)slot,
                                        .path = dir,
                                        .listener = KEEPER_LISTENER,
                                        .ledger = book ? KEEPER_LEDGER : -1,
                                        .books_cpus = book && strcmp(book, "all") == 0,
                                        .cgroups = strcmp(cgroup, DK_CGROUP_OFF) == 0 ? NULL : cgroup,
                                        .machine = machine,
                                        .idle_ms = idle_ms};
    r = dk_keeper_run(&options, &error);
  } else {
    return fail_usage("say serve or keeper");
  }
  if (r < 0) fprintf(stderr, "dkagent: %s\n", error.text);
  return r < 0 ? 1 : 0;
}

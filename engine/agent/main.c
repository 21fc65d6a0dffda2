/* dkagent: `serve` is the daemon (serve.c), `keeper` the parent of one slot's tasks (keeper.c), `bridge` what an engine
 * on another machine starts (bridge.c), `clean` and `du` are for the folder that it leaves (root.c). Static, so that it
 * runs on any Linux of its architecture; started by the engine, not by hand. */
#include "engine/agent/bridge.h"
#include "engine/agent/keeper.h"
#include "engine/agent/root.h"
#include "engine/agent/serve.h"
#include "engine/sys/cgroup.h"
#include "engine/sys/ledger.h"
#include "engine/wire/message.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"
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
    "usage: dkagent serve --root DIR [--slots N | --leave N] [--gpus N] [--nice N] [--ledger DIR|auto|off]\n"
    "                     [--cgroup DIR|auto|off] [--machine DIR] [--idle-ms N]\n"
    "       dkagent bridge --root DIR [as serve]\n"
    "                      (finds the daemon of DIR, or starts it, and carries bytes between it and stdin, stdout)\n"
    "       dkagent clean --root DIR [--all]\n"
    "                      (removes the objects that are kept there for later runs; with --all, DIR)\n"
    "       dkagent du --root DIR\n"
    "       dkagent keeper --slot N --dir DIR/slots/N [--book all|some] [--gpus N] [--cgroup DIR|off] [--machine DIR]\n"
    "                      [--idle-ms N] (started by serve; its socket is descriptor 3, what it books over is 4)\n"
    "       dkagent --version\n";

struct options {
  const char *root, *dir, *ledger, *machine, *book, *cgroup;
  uint64_t slots, slot, idle_ms, gpus, nice, leave;
  bool all;
};

static int fail_usage(const char *what) {
  fprintf(stderr, "dkagent: %s\n%s", what, usage);
  return 2;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno || *end || end == text || *text < '0' || *text > '9' || value > max) return false;
  *ret = value;
  return true;
}

/* 0, or the exit code: said already; -1: all was asked for that is done by itself. */
static int parse(int argc, char **argv, struct options *ret) {
  static const struct option known[] = {
      {"root", required_argument, NULL, 'r'},    {"slots", required_argument, NULL, 's'},
      {"slot", required_argument, NULL, 'n'},    {"dir", required_argument, NULL, 'd'},
      {"ledger", required_argument, NULL, 'l'},  {"machine", required_argument, NULL, 'm'},
      {"cgroup", required_argument, NULL, 'c'},  {"book", required_argument, NULL, 'b'},
      {"idle-ms", required_argument, NULL, 'i'}, {"gpus", required_argument, NULL, 'g'},
      {"nice", required_argument, NULL, 'N'},    {"leave", required_argument, NULL, 'L'},
      {"all", no_argument, NULL, 'a'},           {"version", no_argument, NULL, 'V'},
      {"help", no_argument, NULL, 'h'},          {0},
  };
  for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    bool is_fine = true;
    switch (c) {
    case 'r': ret->root = optarg; break;
    case 'd': ret->dir = optarg; break;
    case 'l': ret->ledger = optarg; break;
    case 'm': ret->machine = optarg; break;
    case 'b': ret->book = optarg; break;
    case 'c': ret->cgroup = optarg; break;
    case 'a': ret->all = true; break;
    case 's': is_fine = parse_number(optarg, DK_SLOTS_MAX, &ret->slots); break;
    case 'n': is_fine = parse_number(optarg, 65535, &ret->slot); break;
    case 'i': is_fine = parse_number(optarg, 1u << 30, &ret->idle_ms); break;
    case 'g': is_fine = parse_number(optarg, UINT32_MAX, &ret->gpus); break;
    case 'N': is_fine = parse_number(optarg, 19, &ret->nice); break;
    case 'L': is_fine = parse_number(optarg, 65535, &ret->leave); break;
    case 'V': puts("dkagent " DK_VERSION); return -1;
    case 'h': fputs(usage, stdout); return -1;
    default: fputs(usage, stderr); return 2;
    }
    if (!is_fine)
      return fail_usage("--slots, --slot and --leave take a number up to 65535, --nice one up to 19, --gpus and "
                        "--idle-ms a number");
  }
  return 0;
}

static struct dk_serve_options serve_options(const struct options *o) {
  bool has_ledger = o->ledger && strcmp(o->ledger, "off") != 0;
  return (struct dk_serve_options){.root = o->root,
                                   .slots = (uint32_t)o->slots,
                                   .leave = (uint32_t)o->leave,
                                   .gpus = (uint32_t)o->gpus,
                                   .nice = (int)o->nice,
                                   .ledger = has_ledger ? o->ledger : NULL,
                                   .cgroup = o->cgroup ? o->cgroup : DK_CGROUP_OFF,
                                   .machine = o->machine,
                                   .idle_ms = o->idle_ms};
}

static int serve(const struct options *o, struct dk_error *error) {
  struct dk_serve_options options = serve_options(o);
  return dk_serve_run(&options, error);
}

static int bridge(struct options *o, struct dk_error *error) {
  if (!o->ledger) o->ledger = dk_ledger_asked();
  if (!o->cgroup) o->cgroup = dk_cgroup_asked();
  struct dk_serve_options options = serve_options(o);
  return dk_bridge_run(&options, error);
}

static int clean(const struct options *o, struct dk_error *error) {
  uint64_t freed;
  int r = dk_root_clean(o->root, o->all, &freed, error);
  if (r == 0) printf("%llu bytes freed\n", (unsigned long long)freed);
  return r;
}

static int du(const struct options *o, struct dk_error *error) {
  uint64_t bytes;
  char text[DK_NUMBER_TEXT];
  int r = dk_root_size(o->root, &bytes, error);
  if (r < 0) return r;
  dk_number_size_text(bytes, text);
  printf("%llu bytes (%s)\n", (unsigned long long)bytes, text);
  return 0;
}

static int keeper(const struct options *o, struct dk_error *error) {
  const char *cgroup = o->cgroup ? o->cgroup : DK_CGROUP_OFF;
  struct dk_keeper_options options = {.slot = (uint32_t)o->slot,
                                      .path = o->dir,
                                      .listener = KEEPER_LISTENER,
                                      .ledger = o->book ? KEEPER_LEDGER : -1,
                                      .books_cpus = o->book && strcmp(o->book, "all") == 0,
                                      .gpus = (uint32_t)o->gpus,
                                      .cgroups = strcmp(cgroup, DK_CGROUP_OFF) == 0 ? NULL : cgroup,
                                      .machine = o->machine,
                                      .idle_ms = o->idle_ms};
  return dk_keeper_run(&options, error);
}

static int check_keeper(const struct options *o) {
  if (!o->dir || o->slot == UINT64_MAX) return fail_usage("keeper needs --slot and --dir");
  if (fcntl(KEEPER_LISTENER, F_SETFD, FD_CLOEXEC) < 0 || fcntl(KEEPER_LISTENER, F_SETFL, O_NONBLOCK) < 0)
    return fail_usage("keeper is started by serve, with its socket as descriptor 3");
  if (o->book && fcntl(KEEPER_LEDGER, F_SETFD, FD_CLOEXEC) < 0)
    return fail_usage("keeper is started by serve, with what it books over as descriptor 4");
  return 0;
}

/* The words in one line: who reads them over ssh gets them among others'. */
static int complain(struct dk_error *error) {
  fputs("dkagent: ", stderr);
  for (const char *at = error->text; *at; at++) fputs(*at == '\n' ? "; " : (const char[]){*at, '\0'}, stderr);
  fputs("\n", stderr);
  return 1;
}

int main(int argc, char **argv) {
  struct options options = {
      .machine = "", .slot = UINT64_MAX, .idle_ms = 60000, .gpus = UINT32_MAX}; /* what is not said: NULL and 0 */
  struct dk_error error = {0};
  dk_alloc_init();
  int r = parse(argc, argv, &options);
  if (r != 0) return r > 0 ? r : 0;
  const char *command = argc - optind == 1 ? argv[optind] : "";
  umask(022);
  if (strcmp(command, "keeper") == 0) {
    r = check_keeper(&options);
    if (r != 0) return r;
    r = keeper(&options, &error);
  } else if (strcmp(command, "serve") && strcmp(command, "bridge") && strcmp(command, "clean") &&
             strcmp(command, "du")) {
    return fail_usage("say serve, bridge, clean, du or keeper");
  } else if (!options.root || !*options.root) {
    return fail_usage("that needs --root");
  } else {
    r = *command == 's'   ? serve(&options, &error)
        : *command == 'b' ? bridge(&options, &error)
        : *command == 'c' ? clean(&options, &error)
                          : du(&options, &error);
  }
  return r < 0 ? complain(&error) : 0;
}

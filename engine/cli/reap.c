/* dkrun reap: machines in the clouds that nobody answers for any more, and deleting them. Whose they are is judged in
 * engine/drive/reap.c. */
#include "engine/cli/reap.h"

#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GONE_NS UINT64_C(30000000000) /* so long it is looked whether what was deleted is gone */

/* --- what is asked --- */

/* 32 digits, as the list has it: no beginning of one, which could be two stores'. */
static bool read_id(const char *text, uint8_t ret[16]) {
  unsigned byte;

  if (strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32) return false;
  for (size_t i = 0; i < 16 && sscanf(text + 2 * i, "%2x", &byte) == 1; i++) ret[i] = (uint8_t)byte;
  return true;
}

static int add_store(struct dk_reap *reap, const char *text) {
  uint8_t id[16];

  if (!read_id(text, id))
    return dk_cli_usage("reap", "--store takes the 32 digits of a store's id, as `dkrun reap` lists it, not `%s`",
                        text);
  if (!dk_grow(reap->given, reap->n_given, reap->cap_given)) return dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
  memcpy(reap->given[reap->n_given++], id, sizeof id);
  return -1;
}

static int parse(int argc, char **argv, struct dk_reap *ret) {
  static const struct option options[] = {{"store", required_argument, NULL, 's'},
                                          {"older-than", required_argument, NULL, 'a'},
                                          {"yes", no_argument, NULL, 'y'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt, r = -1;

  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":y", options, NULL)) != -1) {
    if (opt == 'y')
      ret->yes = true;
    else if (opt == 's')
      r = add_store(ret, optarg);
    else if (opt != 'a')
      r = dk_cli_option(ret->cli, opt, argc, argv, options);
    else if (!dk_cli_age(optarg, &ret->young_ns))
      r = dk_cli_usage("reap", "--older-than takes a time such as 1h, 2d or 0s, not `%s`", optarg);
  }
  if (r < 0 && optind < argc) ret->provider = argv[optind++];
  if (r < 0 && optind < argc) return dk_cli_usage("reap", "one provider at a time: `%s` is one too many", argv[optind]);
  return r;
}

/* --- doing it --- */

static void on_deleted(void *ctx, const struct dk_cloud_result *result) {
  (void)ctx, (void)result;
}

/* Those that the cloud did not agree to are not due any more. */
static void delete_one(struct dk_reap *reap, struct dk_reap_machine *machine) {
  const struct dk_cloud_order order = {.kind = DK_CLOUD_DELETE, .id = machine->is.id};
  struct dk_error error = {0};

  if (dk_clouds_ask(&reap->clouds[machine->cloud].line, &order, on_deleted, NULL, &error) == 0) return;
  dk_cli_fail(DK_EXIT_ENGINE, &error);
  reap->has_failed = true;
  machine->verdict = DK_REAP_LEAVING;
}

struct watch {
  struct dk_reap *reap;
  uint32_t cloud, n_left;
  bool is_complete;
};

static bool is_deleted(const struct dk_reap *reap, const struct dk_reap_machine *machine, uint32_t cloud) {
  return machine->cloud == cloud && dk_reap_is_due(machine, &reap->stores[machine->store]);
}

static bool has_row(const struct dk_cloud_result *result, const char *id) {
  for (uint32_t i = 0; i < result->n_instances; i++)
    if (strcmp(result->instances[i].id, id) == 0) return true;
  return false;
}

static void see_left(void *ctx, const struct dk_cloud_result *result) {
  struct watch *watch = ctx;

  watch->n_left = 0;
  watch->is_complete = result->is_complete;
  for (uint32_t i = 0; i < watch->reap->n_machines; i++) {
    struct dk_reap_machine *machine = &watch->reap->machines[i];
    if (!is_deleted(watch->reap, machine, watch->cloud)) continue;
    bool is_left = !result->is_complete || has_row(result, machine->is.id);
    machine->is.state = is_left ? DK_INSTANCE_LEAVING : DK_INSTANCE_UNKNOWN;
    watch->n_left += is_left;
  }
}

/* A cloud may agree and not do it. */
static void see_them_go(struct dk_reap *reap, uint32_t cloud) {
  const struct dk_cloud_order order = {.kind = DK_CLOUD_LIST};
  const struct timespec pause = {.tv_sec = 1};
  struct watch watch = {.reap = reap, .cloud = cloud, .is_complete = false};
  uint64_t until = dk_now_ns() + GONE_NS;
  struct dk_error error = {0};
  int r = 0;

  while (r == 0 && (watch.n_left || !watch.is_complete) && dk_now_ns() < until) {
    r = dk_clouds_ask(&reap->clouds[cloud].line, &order, see_left, &watch, &error);
    if (r == 0 && (watch.n_left || !watch.is_complete)) (void)nanosleep(&pause, NULL);
  }
  if (r == 0 && watch.n_left == 0 && watch.is_complete) return;
  reap->has_failed = true;
  for (uint32_t i = 0; i < reap->n_machines; i++) /* they are not said to be deleted */
    if (is_deleted(reap, &reap->machines[i], cloud) && (r < 0 || reap->machines[i].is.state == DK_INSTANCE_LEAVING))
      reap->machines[i].verdict = DK_REAP_LEAVING;
  if (r < 0)
    dk_cli_fail(DK_EXIT_ENGINE, &error);
  else
    dk_cli_failf(DK_EXIT_ENGINE,
                 "%s: it agreed, and is not known to have deleted all of it\nhelp: `dkrun reap` again "
                 "in a while says what is left",
                 reap->clouds[cloud].entry->config.provider);
}

static void delete_all(struct dk_reap *reap) {
  uint32_t n = 0, n_due = dk_reap_n_due(reap);

  for (uint32_t i = 0; i < reap->n_machines; i++)
    if (dk_reap_is_due(&reap->machines[i], &reap->stores[reap->machines[i].store]))
      delete_one(reap, &reap->machines[i]);
  for (uint32_t cloud = 0; cloud < reap->n_clouds; cloud++) {
    bool any = false;
    for (uint32_t i = 0; i < reap->n_machines; i++) any |= is_deleted(reap, &reap->machines[i], cloud);
    if (any) see_them_go(reap, cloud);
  }
  n = dk_reap_n_due(reap);
  dk_cli_printf(reap->cli, "deleted %u of %u machine%s\n", n, n_due, dk_cli_s(n_due));
}

static int reap_due(struct dk_reap *reap) {
  uint32_t n = dk_reap_n_due(reap);
  char question[80];

  if (n == 0) return DK_EXIT_OK;
  if (!reap->yes && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))) {
    dk_cli_printf(reap->cli, "nothing was deleted; `dkrun reap --yes`, with the same options, deletes %u machine%s\n",
                  n, dk_cli_s(n));
    return DK_EXIT_OK;
  }
  snprintf(question, sizeof question, "Delete %u machine%s, and what is on %s? [y/N] ", n, dk_cli_s(n),
           n == 1 ? "it" : "them");
  if (!reap->yes && !dk_cli_is_agreed(reap->cli, question)) {
    dk_cli_printf(reap->cli, "nothing was deleted\n");
    return DK_EXIT_FAILED;
  }
  delete_all(reap);
  return DK_EXIT_OK;
}

int dk_cmd_reap(struct dk_cli *cli, int argc, char **argv) {
  struct dk_reap reap = {.cli = cli, .young_ns = DK_REAP_AGE_NS};
  dk_autobuf out = DK_BUF_INIT;
  int code = parse(argc, argv, &reap);

  if (code >= 0) { /* --help, or words that were said */
    dk_free(reap.given);
    return code;
  }
  code = dk_reap_look(&reap);
  if (code == DK_EXIT_OK) {
    dk_reap_show(&reap, &out);
    dk_cli_print(cli, &out);
    code = reap_due(&reap);
  }
  if (code == DK_EXIT_OK && reap.has_failed) code = DK_EXIT_ENGINE;
  dk_reap_close(&reap);
  return code;
}

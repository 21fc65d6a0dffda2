/* dkrun gc: what could be deleted, and with --yes deleting it. What goes is decided in engine/drive/gc.c. */
#include "engine/drive/gc.h"
#include "engine/cli/client.h"
#include "engine/cli/take.h"
#include "engine/sys/loop.h"
#include "lang/base/number.h"

#include <string.h>
#include <strings.h>

/* A number and one of the units; false for anything else, and for what is over 2^63. */
struct unit {
  const char *name;
  double factor;
};

static bool parse_with_unit(const char *text, const struct unit *units, double *ret) {
  size_t digits = strspn(text, "0123456789.");
  for (; units->name; units++) {
    if (digits > 0 && strcasecmp(text + digits, units->name) == 0 && dk_number_parse(text, digits, ret) == 0) {
      *ret *= units->factor;
      return *ret < 9e18;
    }
  }
  return false;
}

static bool parse_age(const char *text, uint64_t *ret_before_ns) {
  uint64_t age, now = dk_unix_ns();
  if (!dk_cli_age(text, &age)) {
    return false;
  }
  *ret_before_ns = age < now ? now - age : 1;
  return true;
}

static bool parse_size(const char *text, uint64_t *ret) {
  static const struct unit units[] = {{"", 1},         {"B", 1},        {"kB", 1e3},   {"MB", 1e6},
                                      {"GB", 1e9},     {"TB", 1e12},    {"KiB", 1024}, {"MiB", 1048576},
                                      {"GiB", 0x1p30}, {"TiB", 0x1p40}, {NULL, 0}};
  double bytes;
  if (!parse_with_unit(text, units, &bytes)) {
    return false;
  }
  *ret = (uint64_t)bytes;
  return true;
}

static void print_part(struct dk_cli *cli, const struct dk_gc_part *part, const char *name) {
  char size[DK_NUMBER_TEXT] = "";
  if (part->n == 0) {
    return;
  }
  if (part->bytes) {
    dk_number_size_text(part->bytes, size);
  }
  size_t noun = strcspn(name, " ");
  if (!strstr(name, " of ")) noun = strlen(name);
  dk_cli_printf(cli, "  %10s  %llu %.*s%s%s\n", size, (unsigned long long)part->n, (int)noun, name, dk_cli_s(part->n),
                name + noun);
}

static void print_sum(struct dk_cli *cli, const struct dk_gc_sum *sum, bool dry_run) {
  char size[DK_NUMBER_TEXT], kept[DK_NUMBER_TEXT];
  const struct dk_gc_part copies = {sum->copies, 0};
  const struct dk_gc_part sources = {sum->sources_stay ? 0 : sum->sources, 0};
  uint64_t n =
      sum->runs.n + sum->results.n + sum->failures.n + sum->objects.n + sum->unfinished.n + sum->trees.n + sum->copies;
  dk_number_size_text(sum->bytes, size);
  dk_number_size_text(sum->kept_bytes, kept);
  if (n + sources.n == 0) {
    dk_cli_printf(cli, "nothing to delete; .dkrun takes %s\n", kept);
    return;
  }
  dk_cli_printf(cli, "%s\n", dry_run ? "would delete" : "deleted");
  if (sum->runs.n) {
    dk_cli_printf(cli, "  %10s  %llu run%s (%u to %u)\n", "", (unsigned long long)sum->runs.n, dk_cli_s(sum->runs.n),
                  sum->first_run, sum->last_run);
  }
  print_part(cli, &sum->results, "result");
  print_part(cli, &sum->failures, "report of failures");
  print_part(cli, &sum->objects, "object");
  print_part(cli, &sum->unfinished, "unfinished file");
  print_part(cli, &sum->trees, "code tree");
  print_part(cli, &copies, "record of outputs at hosts");
  print_part(cli, &sources, "source");
  dk_cli_printf(cli, "  %10s  in all; .dkrun %s %s\n", size, dry_run ? "would take" : "takes", kept);
  if (dry_run) {
    dk_cli_printf(cli, "nothing was deleted; `dkrun gc --yes`, with the same options, does it\n");
  }
}

/* -1: go on. */
static int parse_options(struct dk_cli *cli, int argc, char **argv, struct dk_gc_policy *policy) {
  static const struct option options[] = {{"older-than", required_argument, NULL, 'a'},
                                          {"keep-size", required_argument, NULL, 's'},
                                          {"yes", no_argument, NULL, 'y'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt, r = -1;
  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":y", options, NULL)) != -1) {
    if (opt == 'y') {
      policy->dry_run = false;
    } else if (opt == 'a') {
      if (!parse_age(optarg, &policy->before_unix_ns)) {
        r = dk_cli_usage("gc", "--older-than takes a time such as 30d, 12h or 90m, not `%s`", optarg);
      }
    } else if (opt == 's') {
      if (!parse_size(optarg, &policy->keep_bytes)) {
        r = dk_cli_usage("gc", "--keep-size takes a size such as 10GiB or 500MB, not `%s`", optarg);
      }
    } else {
      r = dk_cli_option(cli, opt, argc, argv, options);
    }
  }
  if (r < 0 && optind < argc) {
    return dk_cli_usage("gc", "it takes no `%s`", argv[optind]);
  }
  return r;
}

int dk_cmd_gc(struct dk_cli *cli, int argc, char **argv) {
  struct dk_gc_policy policy = {.dry_run = true, .keep_bytes = UINT64_MAX};
  struct dk_gc_sum sum;
  struct dk_folder folder;
  struct dk_error error = {0};
  int r = parse_options(cli, argc, argv, &policy);
  if (r >= 0) {
    return r;
  }
  r = dk_cli_find_root(cli, &error);
  if (r == 0) { /* first for reading: nothing is made where nothing was run */
    r = dk_folder_peek(cli->root, &folder, &error);
  }
  if (r == 0 && !folder.store) {
    dk_folder_close(&folder);
    return dk_cli_failf(DK_EXIT_ENGINE, "nothing was run in this repository yet\nhelp: dkrun run FILE");
  }
  if (r == 0 && !policy.dry_run) {
    dk_folder_close(&folder);
    dk_client_dismiss(cli);
    r = dk_cli_take_folder(cli, "dkrun gc", &folder, &error);
  }
  if (r == 0) {
    r = dk_gc(&folder, cli->root, &policy, &sum, &error);
    dk_folder_close(&folder);
  }
  if (r < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  print_sum(cli, &sum, policy.dry_run);
  return DK_EXIT_OK;
}

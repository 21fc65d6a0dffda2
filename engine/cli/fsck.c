/* dkrun fsck: is everything whole that was kept? The checks are engine/drive/fsck.c. */
#include "engine/drive/fsck.h"
#include "engine/cli/client.h"

#include <errno.h>
#include <string.h>

static void print_finding(void *ctx, const struct dk_finding *finding) {
  static const char *const words[] = {[DK_FINDING_FOUND] = "damaged",
                                      [DK_FINDING_MENDED] = "mended",
                                      [DK_FINDING_LEFT] = "damaged",
                                      [DK_FINDING_NOTE] = "note"};
  struct dk_cli *cli = ctx;
  dk_autobuf line = DK_BUF_INIT;
  dk_buf_printf(&line, "%-8s ", words[finding->state]);
  dk_buf_add_escaped(&line, finding->what, strlen(finding->what));
  dk_buf_add_char(&line, '\n');
  if (finding->help) {
    dk_buf_printf(&line, "         %s%s\n", finding->state == DK_FINDING_FOUND ? "with --repair: " : "", finding->help);
  }
  dk_cli_print(cli, &line);
}

static void print_sum(struct dk_cli *cli, const struct dk_fsck_sum *sum) {
  dk_cli_printf(cli, "%llu run%s, %llu result%s, %llu object%s, %llu code tree%s: ", (unsigned long long)sum->runs,
                dk_cli_s(sum->runs), (unsigned long long)sum->results, dk_cli_s(sum->results),
                (unsigned long long)sum->objects, dk_cli_s(sum->objects), (unsigned long long)sum->trees,
                dk_cli_s(sum->trees));
  if (sum->n_found == 0) {
    dk_cli_printf(cli, "nothing is damaged\n");
  } else if (sum->n_found == sum->n_mended) {
    dk_cli_printf(cli, "%llu mended\n", (unsigned long long)sum->n_mended);
  } else {
    dk_cli_printf(cli, "%llu damaged\n", (unsigned long long)(sum->n_found - sum->n_mended));
  }
}

int dk_cmd_fsck(struct dk_cli *cli, int argc, char **argv) {
  static const struct option options[] = {
      {"repair", no_argument, NULL, 'r'}, {"quick", no_argument, NULL, 'q'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  struct dk_fsck_options fsck = {.found = print_finding, .ctx = cli};
  struct dk_fsck_sum sum;
  struct dk_error error = {0};
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    if (opt == 'r') {
      fsck.repair = true;
    } else if (opt == 'q') {
      fsck.quick = true;
    } else {
      int r = dk_cli_option(cli, opt, argc, argv, options);
      if (r >= 0) {
        return r;
      }
    }
  }
  if (optind < argc) {
    return dk_cli_usage("fsck", "it takes no `%s`", argv[optind]);
  }
  if (dk_cli_find_root(cli, &error) < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  fsck.root = cli->root;
  if (fsck.repair) {
    dk_client_dismiss(cli);
  }
  int r = dk_fsck(&fsck, &sum, &error);
  if (r == -ENOENT) {
    return dk_cli_failf(DK_EXIT_ENGINE, "nothing was run in this repository yet\nhelp: dkrun run FILE");
  }
  if (r < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  print_sum(cli, &sum);
  return sum.n_found == sum.n_mended ? DK_EXIT_OK : DK_EXIT_FAILED;
}

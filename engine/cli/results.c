/* dkrun results: a run's report tables. */
#include "engine/cli/cli.h"
#include "engine/cli/look.h"
#include "engine/report/missing.h"
#include "engine/report/table.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <unistd.h>

/* The rows that an expression chooses; *ret is dk_freed by the caller after the tables. An exit code. */
static int choose(struct dk_look *look, const char *where, bool **ret) {
  const struct dk_selection selection = {.where = where};
  dk_autofree uint32_t *tasks = NULL;
  uint32_t n;
  int code = where ? dk_look_select(look, &selection, &tasks, &n) : DK_EXIT_OK;

  if (code != DK_EXIT_OK || !where) {
    return code;
  }
  *ret = dk_calloc((size_t)look->rows.n_tasks + 1, sizeof **ret);
  if (!*ret) {
    struct dk_error error = {0};
    dk_error_system(&error, -ENOMEM, "choosing rows");
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  for (uint32_t i = 0; i < n; i++) {
    (*ret)[tasks[i]] = true;
  }
  look->rows.chosen = *ret;
  return DK_EXIT_OK;
}

static int print(struct dk_cli *cli, struct dk_look *look, enum dk_table_format format) {
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;

  if (dk_tables_render(&look->rows, format, dk_cli_color(cli, STDOUT_FILENO), &out, &error) < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  if (!out.len) {
    dk_buf_add_text(&out, "no task of this run has metrics\n");
  }
  dk_cli_print(cli, &out);
  dk_autobuf missing = DK_BUF_INIT;
  dk_missing_metrics(&look->rows, "", &missing);
  dk_cli_note(dk_cli_text(cli, &missing));
  return DK_EXIT_OK;
}

int dk_cmd_results(struct dk_cli *cli, int argc, char **argv) {
  static const struct option options[] = {{"format", required_argument, NULL, 'F'},
                                          {"where", required_argument, NULL, 'w'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  enum dk_table_format format = DK_FORMAT_TEXT;
  const char *where = NULL;
  uint32_t run = 0;
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    int r = -1;
    if (opt == 'w') {
      where = optarg;
    } else if (opt != 'F') {
      r = dk_cli_option(cli, opt, argc, argv, options);
    } else if (!dk_table_format_find(optarg, &format)) {
      r = dk_cli_usage("results", "--format takes text, csv, json or md, not `%s`", optarg);
    }
    if (r >= 0) {
      return r;
    }
  }
  int code = dk_look_run_argument("results", argc, argv, &run);
  if (code != DK_EXIT_OK) {
    return code;
  }
  struct dk_error error = {0};
  struct dk_look look;
  if (dk_look_open(cli, run, &look, &error) < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  dk_autofree bool *chosen = NULL;
  code = choose(&look, where, &chosen);
  if (code == DK_EXIT_OK) {
    code = print(cli, &look, format);
  }
  if (code == DK_EXIT_OK && look.rows.n_damaged > 0) {
    code =
        dk_cli_failf(DK_EXIT_ENGINE,
                     "values of the store are damaged: they are shown as if they were missing\nhelp: `dkrun fsck` says "
                     "which; `dkrun fsck --repair`, then `dkrun run`, reads them again from the logs");
  }
  dk_look_close(&look);
  return code;
}

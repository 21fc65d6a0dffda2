/* dkrun results: a run's report tables. */
#include "engine/cli/cli.h"
#include "engine/cli/look.h"
#include "engine/report/table.h"

#include <unistd.h>

int dk_cmd_results(struct dk_cli *cli, int argc, char **argv) {
  static const struct option options[] = {{"format", required_argument, NULL, 'F'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  enum dk_table_format format = DK_FORMAT_TEXT;
  uint32_t run = 0;
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    int r = -1;
    if (opt != 'F') {
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
  dk_autobuf out = DK_BUF_INIT;
  int r = dk_tables_render(&look.rows, format, dk_cli_color(cli, STDOUT_FILENO), &out, &error);
  if (r == 0 && !out.len) {
    dk_buf_add_text(&out, "no task of this run has metrics\n");
  }
  if (r == 0) {
    dk_cli_print(cli, &out);
  }
  dk_look_close(&look);
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : DK_EXIT_OK;
}

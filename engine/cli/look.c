/* Runs opened for reading; see look.h. */
#include "engine/cli/look.h"
#include "lang/base/number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int dk_look_open(struct dk_cli *cli, uint32_t run, struct dk_look *ret, struct dk_error *error) {
  memset(ret, 0, sizeof *ret);
  int r = dk_cli_open_store(cli, &ret->store, &ret->objects, error);
  if (r < 0) {
    return r;
  }
  r = dk_row_source_open(&ret->rows, ret->store, &ret->objects, run, NULL, error);
  if (r < 0) {
    dk_objects_close(&ret->objects);
    dk_store_close(ret->store);
  }
  return r;
}

void dk_look_close(struct dk_look *look) {
  dk_row_source_finish(&look->rows);
  dk_objects_close(&look->objects);
  dk_store_close(look->store);
}

int dk_look_select(const struct dk_look *look, const struct dk_selection *selection, uint32_t **ret, uint32_t *ret_n) {
  struct dk_error error = {0};
  dk_autobuf diagnostics = DK_BUF_INIT;
  int r = dk_where_select(look->rows.plan, selection, ret, ret_n, &diagnostics, &error);

  if (diagnostics.len) fputs(dk_buf_text(&diagnostics), stderr);
  return r < 0 ? dk_cli_fail(r == -ENOMEM ? DK_EXIT_ENGINE : DK_EXIT_USAGE, &error) : DK_EXIT_OK;
}

bool dk_look_run_number(const char *text, uint32_t *ret) {
  int64_t n;
  text += strncmp(text, "run", 3) == 0 ? 3 : *text == '#' ? 1 : 0;
  if (*text < '0' || *text > '9' || dk_number_parse_int(text, strlen(text), &n) < 0 || n < 1 || n > UINT32_MAX) {
    return false;
  }
  *ret = (uint32_t)n;
  return true;
}

int dk_look_run_argument(const char *command, int argc, char **argv, uint32_t *ret) {
  *ret = 0;
  if (argc - optind > 1) {
    return dk_cli_usage(command, "one run at a time: `%s` is one too many", argv[optind + 1]);
  }
  if (optind < argc && !dk_look_run_number(argv[optind], ret)) {
    return dk_cli_usage(command, "RUN is a number such as 3, not `%s`", argv[optind]);
  }
  return DK_EXIT_OK;
}

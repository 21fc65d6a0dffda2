/* dkrun trust: lets the repository's providers.dk, as it is now, declare providers, after showing which. */
#include "engine/drive/trust.h"
#include "engine/cli/providers.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct options {
  bool yes, is_not;
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {
      {"yes", no_argument, NULL, 'y'}, {"not", no_argument, NULL, 'n'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt, r = -1;
  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":y", options, NULL)) != -1) {
    if (opt == 'y')
      ret->yes = true;
    else if (opt == 'n')
      ret->is_not = true;
    else
      r = dk_cli_option(cli, opt, argc, argv, options);
  }
  if (r >= 0) return r;
  if (ret->yes && ret->is_not) return dk_cli_usage("trust", "--yes and --not exclude each other");
  return optind < argc
             ? dk_cli_usage("trust", "it takes no `%s`: it is about the repository that you are in", argv[optind])
             : -1;
}

static int take_back(struct dk_cli *cli) {
  struct dk_error error = {0};
  int r = dk_trust_set(cli->root, NULL, &error);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  dk_cli_printf(cli, r ? "no longer trusted: the providers.dk of this repository\n"
                       : "nothing to take back: this repository was not trusted\n");
  return DK_EXIT_OK;
}

static void show(struct dk_cli *cli, const struct dk_hosts *hosts) {
  dk_autobuf out = DK_BUF_INIT;
  dk_buf_add_escaped(&out, hosts->root_file, strlen(hosts->root_file));
  dk_buf_add_text(&out, " declares, and a trusted file may:\n\n");
  dk_providers_table(hosts, true, &out);
  dk_buf_add_text(&out, hosts->n_read > 1 ? "\nread: " : "");
  for (uint32_t i = 0; hosts->n_read > 1 && i < hosts->n_read; i++) {
    dk_buf_add_text(&out, i ? ", " : "");
    dk_buf_add_escaped(&out, hosts->read[i], strlen(hosts->read[i]));
  }
  dk_buf_add_char(&out, '\n');
  dk_cli_print(cli, &out);
}

static int trust(struct dk_cli *cli, const struct dk_hosts *hosts, bool yes) {
  struct dk_error error = {0};
  if (!hosts->root_file) return dk_cli_failf(DK_EXIT_ENGINE, "this repository has no providers.dk at its root");
  if (!hosts->is_declared) {
    dk_cli_printf(cli, "nothing to trust: it declares no provider, and choosing and limiting yours needs no trust\n");
    return DK_EXIT_OK;
  }
  if (hosts->is_trusted) {
    dk_cli_printf(cli, "it is trusted already, as it is\n");
    return DK_EXIT_OK;
  }
  show(cli, hosts);
  if (!yes && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
    return dk_cli_usage("trust", "it is not trusted: there is no terminal to ask on, so --yes has to say it");
  if (!yes && !dk_cli_is_agreed(cli, "Trust it? [y/N] ")) {
    dk_cli_printf(cli, "not trusted\n");
    return DK_EXIT_FAILED;
  }
  /* What was shown, whatever the file is by now. */
  if (dk_trust_set(cli->root, &hosts->digest, &error) < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  dk_cli_printf(cli, "trusted as it is; `dkrun trust --not` takes it back\n");
  return DK_EXIT_OK;
}

int dk_cmd_trust(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {.yes = false};
  struct dk_hosts hosts;
  struct dk_error error = {0};
  int code = parse(cli, argc, argv, &options);
  if (code >= 0) return code;
  if (dk_cli_find_root(cli, &error) < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  if (options.is_not) return take_back(cli);
  code = dk_hosts_load_as(cli->root, DK_HOSTS_AS_IF_TRUSTED, &hosts, &error) < 0
             ? dk_providers_fail(cli, &hosts, &error)
             : trust(cli, &hosts, options.yes);
  dk_hosts_finish(&hosts);
  return code;
}

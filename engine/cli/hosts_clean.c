/* dkrun hosts clean: removes on the hosts what this store keeps there. The hosts' own agents see to it that nothing
 * that runs is touched; this end sees to it that no result is lost that was not given up. What a host says is removed
 * is forgotten after that: killed in between, what is still recorded is found missing when it is wanted. */
#include "engine/cli/hosts.h"

#include "engine/cli/client.h"
#include "engine/cli/clouds.h"
#include "engine/cli/take.h"
#include "engine/drive/copies.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct options {
  bool all, yes;
  char *const *names;
  int n_names;
};

struct cleaning {
  struct dk_cli *cli;
  const struct options *options;
  struct dk_folder folder;
  struct dk_hosts_look look;
  bool *is_meant; /* by known host */
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {
      {"all", no_argument, NULL, 'A'}, {"yes", no_argument, NULL, 'y'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt, r = -1;

  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":y", options, NULL)) != -1) {
    if (opt == 'A')
      ret->all = true;
    else if (opt == 'y')
      ret->yes = true;
    else
      r = dk_cli_option(cli, opt, argc, argv, options);
  }
  ret->names = argv + optind;
  ret->n_names = argc - optind;
  return r;
}

/* --- which hosts --- */

static int mark(struct cleaning *c, const char *name) {
  bool is_found = false;

  for (uint32_t i = 0; i < c->look.known.n; i++) {
    const struct dk_known_host *host = &c->look.known.items[i];
    if (name && !dk_known_host_is(host, name)) continue;
    is_found = true;
    if (name && !dk_known_host_is_remote(host))
      return dk_cli_failf(DK_EXIT_USAGE, "`%s` is this machine\nhelp: what is kept here is cleaned up by `dkrun gc`",
                          name);
    if (name && host->is_rented)
      return dk_cli_failf(DK_EXIT_USAGE,
                          "`%s` is rented, and what is kept there goes with it\nhelp: `dkrun down "
                          "%s` gives it back",
                          name, name);
    if (name && !host->entry)
      return dk_cli_failf(DK_EXIT_ENGINE,
                          "no file of providers names `%s` any more, so nobody knows how to reach it\nhelp: name it "
                          "again in providers.dk, and take it out when it is clean",
                          name);
    c->is_meant[i] |= host->entry && dk_known_host_is_remote(host);
  }
  for (uint32_t i = 0; !is_found && name && i < c->look.hosts.n_clouds; i++)
    if (dk_clouds_is(&c->look.hosts.clouds[i], name))
      return dk_cli_failf(DK_EXIT_USAGE,
                          "`%s` is a cloud, and none of its machines is there\nhelp: what was kept on them went with "
                          "them",
                          name);
  return is_found || !name ? DK_EXIT_OK : dk_hosts_no_such(&c->look.hosts, name);
}

static int mark_all(struct cleaning *c) {
  uint32_t n = 0;
  int code = c->options->n_names ? DK_EXIT_OK : mark(c, NULL);

  for (int i = 0; code == DK_EXIT_OK && i < c->options->n_names; i++) code = mark(c, c->options->names[i]);
  for (uint32_t i = 0; i < c->look.known.n; i++) n += c->is_meant[i];
  if (code == DK_EXIT_OK && n == 0)
    return dk_cli_failf(DK_EXIT_ENGINE, "there is no other host than this machine\nhelp: what is kept here is cleaned "
                                        "up by `dkrun gc`");
  return code;
}

static bool is_meant_number(void *ctx, uint32_t number) {
  const struct cleaning *c = ctx;

  for (uint32_t i = 0; i < c->look.known.n; i++)
    if (c->is_meant[i] && c->look.known.items[i].has_record && c->look.known.items[i].record.number == number)
      return true;
  return false;
}

/* --- may it be? --- */

static int check_idle(const struct cleaning *c) {
  for (uint32_t i = 0; i < c->look.known.n; i++) {
    const struct dk_known_host *host = &c->look.known.items[i];
    dk_autobuf name = DK_BUF_INIT;
    if (!c->is_meant[i] || !host->n_attempts) continue;
    dk_hosts_add_name(host, &name);
    return dk_cli_failf(DK_EXIT_ENGINE,
                        "%u task%s may still run at %s: nothing was removed, on no host\nhelp: `dkrun attach` goes on "
                        "with a run that has not ended; what is left of one that has is ended by the next `dkrun run` "
                        "that reaches the host. Clean up after that, or name other hosts",
                        host->n_attempts, dk_cli_s(host->n_attempts), dk_buf_text(&name));
  }
  return DK_EXIT_OK;
}

/* What nobody else has is given up only by who says so. */
static int check_copies(struct cleaning *c) {
  struct dk_copies_sum sum;
  struct dk_error error = {0};
  char size[DK_NUMBER_TEXT];

  if (dk_copies_only_at(&c->folder, is_meant_number, c, &sum, &error) < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  if (sum.n_results == 0) return DK_EXIT_OK;
  dk_number_size_text(sum.bytes, size);
  if (!c->options->all)
    return dk_cli_failf(DK_EXIT_ENGINE,
                        "outputs of %u result%s (%s) are kept there and nowhere else: nothing was removed\nhelp: with "
                        "--all they go too, and their tasks run again when they are asked for",
                        sum.n_results, dk_cli_s(sum.n_results), size);
  dk_cli_printf(c->cli, "outputs of %u result%s (%s) are kept there and nowhere else: %s will have to be made again\n",
                sum.n_results, dk_cli_s(sum.n_results), size, sum.n_results == 1 ? "it" : "they");
  if (!c->options->yes && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
    return dk_cli_failf(DK_EXIT_USAGE,
                        "nothing was removed: nobody can be asked here\nhelp: `--yes` says so beforehand");
  if (c->options->yes || dk_cli_is_agreed(c->cli, "Remove them? [y/N] ")) return DK_EXIT_OK;
  dk_cli_printf(c->cli, "nothing was removed\n");
  return DK_EXIT_FAILED;
}

/* --- doing it --- */

static void tell(struct cleaning *c, uint32_t at, bool *ret_is_clean) {
  const struct dk_survey_answer *answer = &c->look.answers[at];
  dk_autobuf out = DK_BUF_INIT;
  char size[DK_NUMBER_TEXT];

  dk_hosts_add_name(&c->look.known.items[at], &out);
  *ret_is_clean = answer->error.code == 0;
  if (*ret_is_clean) {
    dk_number_size_text(answer->facts.freed, size);
    dk_cli_printf(c->cli, "%s: %s freed\n", dk_cli_text(c->cli, &out), size);
    return;
  }
  dk_cli_failf(DK_EXIT_ENGINE, "%s: nothing was removed: %s", dk_buf_text(&out), answer->error.text);
}

static int clean(struct cleaning *c) {
  struct dk_error error = {0};
  bool is_clean, are_all = true;
  int r =
      dk_hosts_ask(c->cli, &c->look, c->options->all ? DK_DIAL_REMOVE : DK_DIAL_CLEAN, c->is_meant, NULL, NULL, &error);

  for (uint32_t i = 0; r == 0 && i < c->look.known.n; i++) {
    if (!c->is_meant[i]) continue;
    tell(c, i, &is_clean);
    c->is_meant[i] = is_clean;
    are_all &= is_clean;
  }
  if (r == 0) r = dk_copies_forget(&c->folder, is_meant_number, c, &error);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  return are_all ? DK_EXIT_OK : DK_EXIT_ENGINE;
}

static int with_folder(struct cleaning *c) {
  int code = dk_hosts_look_open(c->cli, &c->folder, &c->look);

  if (code == DK_EXIT_OK) {
    c->is_meant = dk_calloc(c->look.known.n + 1u, sizeof *c->is_meant);
    if (!c->is_meant) code = dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
  }
  if (code == DK_EXIT_OK) code = mark_all(c);
  if (code == DK_EXIT_OK) code = check_idle(c);
  if (code == DK_EXIT_OK) code = check_copies(c);
  if (code == DK_EXIT_OK) code = clean(c);
  dk_free(c->is_meant);
  dk_hosts_look_close(&c->look);
  return code;
}

int dk_hosts_clean(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {.all = false};
  struct cleaning cleaning = {.cli = cli, .options = &options};
  struct dk_error error = {0};
  int code = parse(cli, argc, argv, &options);

  if (code >= 0) return code;
  if (dk_cli_find_root(cli, &error) < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  if (access(cli->state, F_OK) < 0)
    return dk_cli_failf(DK_EXIT_ENGINE, "nothing was run in this repository yet\nhelp: dkrun run FILE");
  dk_client_dismiss(cli); /* one that has nothing to do */
  if (dk_cli_take_folder(cli, "dkrun hosts clean", &cleaning.folder, &error) < 0)
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  code = with_folder(&cleaning);
  dk_folder_close(&cleaning.folder);
  return code;
}

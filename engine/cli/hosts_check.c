/* dkrun providers check: can the hosts be used? Each is reached as a run would, and an agent of its own is started
 * there and asked, so a working engine and its agents are left alone. Hosts that ask for a password, or whose key
 * nobody has seen, get an answer from the person at the terminal. */
#include "engine/cli/hosts.h"

#include "engine/cli/clouds.h"
#include "engine/drive/judge.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct check {
  struct dk_cli *cli;
  struct dk_hosts_look look;
  bool *is_meant;   /* by known host */
  bool *needs_help; /* the same: a person has to answer first */
  bool may_ask;
  uint32_t n_told; /* of known hosts, in order: told, or not meant */
  uint32_t n_hosts, n_providers, n_clouds, n_fine, n_fine_clouds, name_width;
};

/* --- what is told of one --- */

static void add_number(struct dk_buf *out, uint32_t n, const char *what) {
  dk_buf_printf(out, "%u %s%s", n, what, dk_cli_s(n));
}

static void add_machine(const struct dk_survey_answer *answer, struct dk_buf *out) {
  char size[DK_NUMBER_TEXT];

  add_number(out, answer->slots, "slot");
  dk_buf_add_text(out, ", ");
  add_number(out, answer->cpus, "cpu");
  dk_number_size_text(answer->memory, size);
  dk_buf_printf(out, ", %s", size);
  if (answer->gpus > 0) {
    dk_buf_add_text(out, ", ");
    add_number(out, answer->gpus, "gpu");
    for (const char *at = answer->gpu ? answer->gpu : ""; *at;) {
      size_t len = strcspn(at, "\n");
      dk_buf_add_text(out, at == answer->gpu ? " " : ", ");
      dk_buf_add_escaped(out, at, len);
      at += len + (at[len] == '\n');
    }
  }
  dk_number_size_text(answer->free, size);
  dk_buf_printf(out, "; %s free", size);
}

/* A line: state, host, words; what helps below the words. */
static void add_line(const struct check *check, const struct dk_known_host *host, const char *state, const char *words,
                     struct dk_buf *out) {
  dk_autobuf name = DK_BUF_INIT, before = DK_BUF_INIT;

  dk_hosts_add_name(host, &name);
  dk_buf_printf(&before, "%-8s  %-*s  ", state, (int)check->name_width, dk_buf_text(&name));
  dk_hosts_add_words(dk_buf_text(&before), words, out);
}

static void add_hours(const struct check *check, const struct dk_known_host *host, struct dk_buf *out) {
  int64_t now = time(NULL);
  dk_autobuf words = DK_BUF_INIT;
  char in[DK_NUMBER_TEXT];

  if (dk_hours_is_open(&host->entry->hours, now)) return;
  dk_number_duration_text(dk_hours_change_in(&host->entry->hours, now) * UINT64_C(1000000000), in);
  dk_buf_printf(&words, "outside its hours, %s: it gets no tasks for %s", host->entry->hours.text, in);
  add_line(check, host, "note", dk_buf_text(&words), out);
}

/* Without the folder of this store. */
static size_t dir_len(const char *path) {
  const char *slash = strrchr(path, '/');

  return slash ? (size_t)(slash - path) : strlen(path);
}

static void tell(struct check *check, uint32_t at) {
  const struct dk_known_host *host = &check->look.known.items[at];
  const struct dk_survey_answer *answer = &check->look.answers[at];
  struct dk_error system = {0}, clock = {0};
  dk_autobuf out = DK_BUF_INIT, words = DK_BUF_INIT;
  bool is_remote = dk_known_host_is_remote(host);

  if (answer->error.code < 0) {
    add_line(check, host, "problem", answer->error.text, &out);
    dk_cli_print(check->cli, &out);
    return;
  }
  if (is_remote &&
      dk_judge_system(&answer->facts, host->entry->config.provider, host->entry->mixed, &words, &system) == 0)
    (void)dk_hosts_judge_twin(&check->look, at, &system);
  dk_buf_add_text(&words, words.len ? "; " : "");
  add_machine(answer, &words);
  if (is_remote) dk_buf_printf(&words, " in %.*s", (int)dir_len(answer->facts.root), answer->facts.root);
  add_line(check, host, system.code ? "no tasks" : "ok", system.code ? system.text : dk_cli_text(check->cli, &words),
           &out);
  if (is_remote && dk_judge_clock(answer->clock_ns, &clock) < 0) add_line(check, host, "problem", clock.text, &out);
  if (answer->facts.note[0]) add_line(check, host, "note", answer->facts.note, &out);
  add_hours(check, host, &out);
  check->n_fine += !system.code && !clock.code;
  dk_cli_print(check->cli, &out);
}

/* In the order of the files, each as soon as those before it are told. */
static void tell_some(struct check *check) {
  for (; check->n_told < check->look.known.n; check->n_told++) {
    uint32_t at = check->n_told;
    if (!check->is_meant[at]) continue;
    if (!check->look.answers[at].has_answered || check->needs_help[at]) break;
    tell(check, at);
  }
}

/* --- asking --- */

static void on_answer(void *ctx, uint32_t at) {
  struct check *check = ctx;
  const struct dk_hosts_entry *entry = check->look.known.items[at].entry;
  int code = check->look.answers[at].error.code;

  check->needs_help[at] = check->may_ask && entry->provider->login && (code == -EACCES || code == -EKEYREJECTED);
  tell_some(check);
}

/* One after the other: they share a terminal. */
static void log_in(struct check *check, uint32_t at) {
  const struct dk_known_host *host = &check->look.known.items[at];
  dk_autobuf name = DK_BUF_INIT;
  struct dk_error error = {0};

  dk_hosts_add_name(host, &name);
  fprintf(stderr, "dkrun: %s: %.*s; please answer what it asks\n", dk_buf_text(&name),
          (int)strcspn(check->look.answers[at].error.text, "\n"), check->look.answers[at].error.text);
  check->needs_help[at] = host->entry->provider->login(&host->entry->config, &error) == 0;
}

static int ask(struct check *check) {
  dk_autofree bool *again = dk_calloc(check->look.known.n + 1u, sizeof *again);
  struct dk_error error = {0};
  bool any = false;

  int r = again ? dk_hosts_ask(check->cli, &check->look, DK_DIAL_TRY, check->is_meant, on_answer, check, &error)
                : dk_error_system(&error, -ENOMEM, "asking the hosts");
  for (uint32_t i = 0; r == 0 && i < check->look.known.n; i++) {
    if (!check->needs_help[i]) continue;
    log_in(check, i);
    again[i] = check->needs_help[i];
    any |= again[i];
  }
  check->may_ask = false; /* a second refusal is one */
  if (r == 0 && any) r = dk_hosts_ask(check->cli, &check->look, DK_DIAL_TRY, again, on_answer, check, &error);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  tell_some(check);
  return DK_EXIT_OK;
}

static void mark(struct check *check, const char *name) {
  const char *provider = NULL;

  for (uint32_t i = 0; i < check->look.known.n; i++) {
    const struct dk_known_host *host = &check->look.known.items[i];
    dk_autobuf label = DK_BUF_INIT;
    if (!host->entry || (name && !dk_known_host_is(host, name))) continue;
    check->is_meant[i] = true;
    check->n_hosts++;
    check->n_providers += !provider || strcmp(provider, host->entry->config.provider) != 0; /* they are in order */
    provider = host->entry->config.provider;
    dk_hosts_add_name(host, &label);
    if (label.len > check->name_width) check->name_width = (uint32_t)label.len;
  }
  for (uint32_t i = 0; i < check->look.hosts.n_clouds; i++) {
    const struct dk_cloud_entry *cloud = &check->look.hosts.clouds[i];
    if (!dk_clouds_is(cloud, name)) continue;
    check->n_clouds++;
    check->n_providers++;
    size_t len = strlen(cloud->config.provider);
    if (len > check->name_width) check->name_width = (uint32_t)len;
  }
}

/* Help goes below, to the right. */
static void add_cloud_line(const struct check *check, const struct dk_cloud_entry *cloud, const char *state,
                           const char *words, struct dk_buf *out) {
  dk_buf_printf(out, "%-8s  %-*s  ", state, (int)check->name_width, cloud->config.provider);
  for (const char *at = words; *at;) {
    size_t len = strcspn(at, "\n");
    dk_buf_add_escaped(out, at, len);
    dk_buf_add_text(out, at[len] ? "\n  " : "");
    at += len + (at[len] == '\n');
  }
  dk_buf_add_char(out, '\n');
}

static void ask_cloud(struct check *check, const struct dk_cloud_entry *cloud) {
  dk_autobuf words = DK_BUF_INIT, out = DK_BUF_INIT;
  struct dk_error error = {0};

  if (dk_clouds_check(cloud, &words, &error) < 0) {
    add_cloud_line(check, cloud, "problem", error.text, &out);
  } else {
    check->n_fine_clouds++;
    dk_buf_add_text(&words, "; ");
    dk_clouds_add_what(cloud, &words);
    add_cloud_line(check, cloud, "ok", dk_cli_text(check->cli, &words), &out);
    add_cloud_line(check, cloud, "note", "machines are made when they are wanted; `--boot` makes one to try it", &out);
  }
  dk_cli_print(check->cli, &out);
}

static void ask_clouds(struct check *check, const char *name) {
  for (uint32_t i = 0; i < check->look.hosts.n_clouds; i++)
    if (dk_clouds_is(&check->look.hosts.clouds[i], name)) ask_cloud(check, &check->look.hosts.clouds[i]);
}

static void add_count(struct dk_buf *out, uint32_t n, const char *what) {
  if (n == 0) return;
  dk_buf_add_text(out, ", ");
  add_number(out, n, what);
}

static int check_marked(struct check *check, const char *name, bool files_only) {
  int code = files_only ? DK_EXIT_OK : ask(check);

  if (code != DK_EXIT_OK) return code;
  if (!files_only) ask_clouds(check, name);
  bool are_clouds_fine = check->n_fine_clouds == check->n_clouds;
  if (files_only || (check->n_fine == check->n_hosts && are_clouds_fine)) {
    dk_autobuf text = DK_BUF_INIT;
    add_number(&text, check->n_providers, "provider");
    add_count(&text, check->n_hosts, "host");
    add_count(&text, check->n_clouds, "cloud");
    dk_cli_printf(check->cli, "ok: %s%s\n", dk_cli_text(check->cli, &text),
                  files_only ? " (files only: no host was asked)" : "");
    return DK_EXIT_OK;
  }
  if (!are_clouds_fine && check->n_clouds == 1)
    dk_cli_printf(check->cli, "the cloud is not fine\n");
  else if (!are_clouds_fine)
    dk_cli_printf(check->cli, "%u of %u clouds %s fine\n", check->n_fine_clouds, check->n_clouds,
                  check->n_fine_clouds == 1 ? "is" : "are");
  if (check->n_fine == check->n_hosts) return DK_EXIT_ENGINE;
  if (check->n_hosts == 1)
    dk_cli_printf(check->cli, "the host is not fine\n");
  else if (check->n_fine == 0)
    dk_cli_printf(check->cli, "none of the %u hosts is fine\n", check->n_hosts);
  else
    dk_cli_printf(check->cli, "%u of %u hosts %s fine\n", check->n_fine, check->n_hosts,
                  check->n_fine == 1 ? "is" : "are");
  return DK_EXIT_ENGINE;
}

int dk_hosts_check(struct dk_cli *cli, const char *name, bool files_only) {
  struct check check = {.cli = cli, .may_ask = isatty(STDIN_FILENO) && isatty(STDERR_FILENO)};
  int code = dk_hosts_look_open(cli, NULL, &check.look);

  if (code == DK_EXIT_OK) {
    check.is_meant = dk_calloc(check.look.known.n + 1u, sizeof *check.is_meant);
    check.needs_help = dk_calloc(check.look.known.n + 1u, sizeof *check.needs_help);
    if (!check.is_meant || !check.needs_help) code = dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
  }
  if (code == DK_EXIT_OK) mark(&check, name);
  if (code == DK_EXIT_OK)
    code = check.n_hosts || check.n_clouds ? check_marked(&check, name, files_only)
                                           : dk_hosts_no_such(&check.look.hosts, name);
  dk_free(check.is_meant);
  dk_free(check.needs_help);
  dk_hosts_look_close(&check.look);
  return code;
}

/* dkrun hosts: what is known of the hosts: as the engine has it, as the last one left it, or as they say themselves. */
#include "engine/cli/hosts_row.h"

#include "engine/drive/environment.h"
#include "engine/drive/judge.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)

struct options {
  bool json, ask;
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {
      {"format", required_argument, NULL, 'F'}, {"ask", no_argument, NULL, 'a'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt, r = -1;

  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    if (opt == 'a') {
      ret->ask = true;
    } else if (opt != 'F') {
      r = dk_cli_option(cli, opt, argc, argv, options);
    } else {
      ret->json = strcmp(optarg, "json") == 0;
      if (!ret->json && strcmp(optarg, "text") != 0)
        r = dk_cli_usage("hosts", "--format takes text or json, not `%s`", optarg);
    }
  }
  if (r >= 0 || optind >= argc) return r;
  return dk_cli_usage("hosts", "no `dkrun hosts %s`: there is `dkrun hosts clean`", argv[optind]);
}

/* --- what is shown of a host --- */

static void add_closed(struct dk_hosts_row *row) {
  const struct dk_hours *hours = &row->host->entry->hours;
  int64_t now = time(NULL);
  char in[DK_NUMBER_TEXT];

  if (dk_hours_is_open(hours, now)) return;
  dk_number_duration_text(dk_hours_change_in(hours, now) * SECOND, in);
  dk_buf_printf(&row->words, "outside its hours, %s: it gets no tasks for %s", hours->text, in);
  row->state = "closed";
}

static void fill_removed(struct dk_hosts_row *row, bool is_working) {
  const struct dk_known_host *host = row->host;

  if (is_working && dk_known_host_is_remote(host) && host->record.state == DK_HOST_UP) { /* DK_FLEET_LEAVING */
    row->state = "leaving";
    dk_buf_add_text(&row->words, host->record.words);
    return;
  }
  row->state = "removed";
  dk_buf_add_text(&row->words, "no file of providers names it any more, and ");
  if (host->n_attempts)
    dk_buf_printf(&row->words, "%u task%s may still run there", host->n_attempts, dk_cli_s(host->n_attempts));
  if (host->n_copies)
    dk_buf_printf(&row->words, "%sit keeps %u output%s", host->n_attempts ? "; " : "", host->n_copies,
                  dk_cli_s(host->n_copies));
  dk_buf_add_text(&row->words, dk_known_host_is_remote(host)
                                   ? "\nhelp: name it again to use what it has, or to remove that: dkrun hosts clean"
                                   : "\nhelp: the next run collects what comes of them");
}

/* As the engine has left it in the store. */
static void fill_stored(struct dk_hosts_row *row, bool is_working) {
  const struct dk_host_record *record = &row->host->record;

  if (!row->host->has_record) return;
  row->is_counted = record->seen_unix_ns > 0;
  row->slots = record->slots;
  row->cpus = record->cpus;
  row->gpus = record->gpus;
  row->memory = record->memory;
  row->free = record->free;
  row->gpu = record->gpu;
  row->seen_ns = is_working && record->state == DK_HOST_UP ? dk_unix_ns() : record->seen_unix_ns;
  dk_buf_add_text(&row->system, record->system);
  switch (record->state) {
  case DK_HOST_NEW:
  case DK_HOST_REMOVED: break;
  case DK_HOST_UP: row->state = "up"; break;
  case DK_HOST_DOWN: row->state = "down"; break;
  case DK_HOST_BARRED: row->state = "no tasks"; break;
  }
  dk_buf_add_text(&row->words, record->words);
}

static void add_clock(struct dk_hosts_row *row, int64_t ahead_ns) {
  struct dk_error words = {0};

  if (dk_judge_clock(ahead_ns, &words) == 0) return;
  dk_buf_printf(&row->words, "%s%s", row->words.len ? "\n" : "", words.text);
}

static void fill_answered(struct dk_hosts_row *row, const struct dk_hosts_look *look, uint32_t at) {
  const struct dk_survey_answer *answer = &look->answers[at];
  const struct dk_known_host *host = row->host;
  struct dk_error words = {0};

  dk_buf_clear(&row->words);
  if (answer->error.code < 0) {
    row->state = "down";
    dk_buf_add_text(&row->words, answer->error.text);
    return;
  }
  row->is_counted = true;
  row->slots = answer->slots;
  row->cpus = answer->cpus;
  row->gpus = answer->gpus;
  row->memory = answer->memory;
  row->free = answer->free;
  row->used = answer->facts.used;
  row->gpu = answer->gpu ? answer->gpu : "";
  row->seen_ns = dk_unix_ns();
  row->state = "up";
  dk_buf_clear(&row->system);
  if (!dk_known_host_is_remote(host)) return;
  int r = dk_judge_system(&answer->facts, dk_known_host_provider(host), host->entry->mixed, &row->system, &words);
  if (r == 0) r = dk_hosts_judge_twin(look, at, &words);
  if (r < 0) {
    row->state = "no tasks";
    dk_buf_add_text(&row->words, words.text);
  }
  add_clock(row, answer->clock_ns);
}

static void fill(struct dk_hosts_row *row, const struct dk_hosts_look *look, uint32_t at) {
  const struct dk_survey_answer *answer = &look->answers[at];

  *row = (struct dk_hosts_row){.host = &look->known.items[at], .state = "not reached", .used = UINT64_MAX, .gpu = ""};
  fill_stored(row, look->is_working);
  if (row->host->is_rented) return; /* it is as its record says */
  if (!row->host->entry) {
    dk_buf_clear(&row->words);
    fill_removed(row, look->is_working);
    return;
  }
  if (answer->has_answered)
    fill_answered(row, look, at);
  else if (row->is_counted)
    add_clock(row, row->host->record.clock_ns);
  if (!dk_known_host_is_remote(row->host) && row->system.len == 0) dk_environment_text(&row->system);
  if (strcmp(row->state, "up") == 0 || strcmp(row->state, "not reached") == 0) add_closed(row);
}

static void finish_row(struct dk_hosts_row *row) {
  dk_buf_finish(&row->system);
  dk_buf_finish(&row->words);
}

/* One that is not used any more is of interest while something of ours is there. */
static bool is_shown(const struct dk_known_host *host) {
  return host->entry || host->is_rented || host->n_attempts || host->n_copies;
}

/* --- the command --- */

static int show(struct dk_cli *cli, const struct dk_hosts_look *look, const struct options *options) {
  dk_autofree struct dk_hosts_row *rows = dk_calloc(look->known.n + 1u, sizeof *rows);
  dk_autobuf out = DK_BUF_INIT;
  size_t n = 0;
  int r = rows ? 0 : -ENOMEM;

  for (uint32_t i = 0; r == 0 && i < look->known.n; i++) {
    if (!is_shown(&look->known.items[i])) continue;
    fill(&rows[n], look, i);
    dk_buf_inherit(&out, &rows[n].system);
    dk_buf_inherit(&out, &rows[n++].words);
  }
  if (r == 0 && options->json)
    dk_hosts_add_json(look, rows, n, options->ask, &out);
  else if (r == 0)
    r = dk_hosts_add_text(look, rows, n, options->ask, &out);
  for (size_t i = 0; i < n; i++) finish_row(&rows[i]);
  if (r < 0) return dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
  dk_cli_print(cli, &out);
  return DK_EXIT_OK;
}

/* This machine is looked at in any case. */
static int ask(struct dk_cli *cli, struct dk_hosts_look *look, bool is_all, struct dk_error *error) {
  dk_autofree bool *is_meant = dk_calloc(look->known.n + 1u, sizeof *is_meant);

  if (!is_meant) return dk_error_system(error, -ENOMEM, "asking the hosts");
  for (uint32_t i = 0; i < look->known.n; i++) is_meant[i] = is_all || !dk_known_host_is_remote(&look->known.items[i]);
  return dk_hosts_ask(cli, look, DK_DIAL_TRY, is_meant, NULL, NULL, error);
}

int dk_cmd_hosts(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {.json = false};
  struct dk_hosts_look look;
  struct dk_error error = {0};

  if (argc > 1 && strcmp(argv[1], "clean") == 0) return dk_hosts_clean(cli, argc - 1, argv + 1);
  int code = parse(cli, argc, argv, &options);
  if (code >= 0) return code;
  code = dk_hosts_look_open(cli, NULL, &look);
  if (code == DK_EXIT_OK && ask(cli, &look, options.ask, &error) < 0) code = dk_cli_fail(DK_EXIT_ENGINE, &error);
  if (code == DK_EXIT_OK) code = show(cli, &look, &options);
  dk_hosts_look_close(&look);
  return code;
}

/* dkrun hosts: what is known of the hosts: as the engine has it, as the last one left it, or as they say themselves. */
#include "engine/cli/hosts.h"

#include "engine/cli/columns.h"
#include "engine/drive/environment.h"
#include "engine/drive/judge.h"
#include "engine/report/json.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define NOW_NS (5 * SECOND)

struct options {
  bool json, ask;
};

/* A host as it is shown. */
struct row {
  const struct dk_known_host *host;
  const char *state;
  bool is_counted; /* the numbers are known */
  uint32_t slots, cpus, gpus;
  uint64_t memory, free;
  uint64_t used;    /* UINT64_MAX: not known */
  uint64_t seen_ns; /* since 1970; 0: never */
  const char *gpu;  /* borrowed; "" */
  struct dk_buf system, words;
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {{"format", required_argument, NULL, 'F'},
                                          {"json", no_argument, NULL, 'J'},
                                          {"ask", no_argument, NULL, 'a'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt, r = -1;

  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    if (opt == 'a') {
      ret->ask = true;
    } else if (opt == 'J') {
      ret->json = true;
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

static void add_closed(struct row *row) {
  const struct dk_hours *hours = &row->host->entry->hours;
  int64_t now = time(NULL);
  char in[DK_NUMBER_TEXT];

  if (dk_hours_is_open(hours, now)) return;
  dk_number_duration_text(dk_hours_change_in(hours, now) * SECOND, in);
  dk_buf_printf(&row->words, "outside its hours, %s: it gets no tasks for %s", hours->text, in);
  row->state = "closed";
}

static void fill_removed(struct row *row) {
  const struct dk_known_host *host = row->host;

  row->state = "removed";
  dk_buf_add_text(&row->words, "no file of providers names it any more, and ");
  if (host->n_attempts)
    dk_buf_printf(&row->words, "%u task%s may still run there", host->n_attempts, dk_cli_s(host->n_attempts));
  if (host->n_copies)
    dk_buf_printf(&row->words, "%sit keeps %u output%s", host->n_attempts ? "; " : "", host->n_copies,
                  dk_cli_s(host->n_copies));
  dk_buf_add_text(&row->words, "\nhelp: name it again to use what it has, or to remove that: dkrun hosts clean");
}

/* As the engine has left it in the store. */
static void fill_stored(struct row *row, bool is_working) {
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

static void add_clock(struct row *row, int64_t ahead_ns) {
  struct dk_error words = {0};

  if (dk_judge_clock(ahead_ns, &words) == 0) return;
  dk_buf_printf(&row->words, "%s%s", row->words.len ? "\n" : "", words.text);
}

static void fill_answered(struct row *row, const struct dk_survey_answer *answer) {
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
  if (dk_judge_system(&answer->facts, dk_known_host_provider(host), host->entry->mixed, &row->system, &words) < 0) {
    row->state = "no tasks";
    dk_buf_add_text(&row->words, words.text);
  }
  add_clock(row, answer->clock_ns);
}

static void fill(struct row *row, const struct dk_hosts_look *look, uint32_t at) {
  const struct dk_survey_answer *answer = &look->answers[at];

  *row = (struct row){.host = &look->known.items[at], .state = "not reached", .used = UINT64_MAX, .gpu = ""};
  fill_stored(row, look->is_working);
  if (!row->host->entry) {
    dk_buf_clear(&row->words);
    fill_removed(row);
    return;
  }
  if (answer->has_answered)
    fill_answered(row, answer);
  else if (row->is_counted)
    add_clock(row, row->host->record.clock_ns);
  if (!dk_known_host_is_remote(row->host) && row->system.len == 0) dk_environment_text(&row->system);
  if (strcmp(row->state, "up") == 0 || strcmp(row->state, "not reached") == 0) add_closed(row);
}

static void finish_row(struct row *row) {
  dk_buf_finish(&row->system);
  dk_buf_finish(&row->words);
}

/* One that is not used any more is of interest while something of ours is there. */
static bool is_shown(const struct dk_known_host *host) {
  return host->entry || host->n_attempts || host->n_copies;
}

/* --- as a table --- */

enum column { PROVIDER, HOST, STATE, TASKS, SLOTS, CPUS, MEMORY, GPUS, DISK, FREE, SEEN, SYSTEM, N_COLUMNS };
static const struct dk_column_head heads[N_COLUMNS] = {
    [PROVIDER] = {.title = "provider"},
    [HOST] = {.title = "host"},
    [STATE] = {.title = "state"},
    [TASKS] = {.title = "tasks", .is_number = true},
    [SLOTS] = {.title = "slots", .is_number = true},
    [CPUS] = {.title = "cpus", .is_number = true},
    [MEMORY] = {.title = "memory", .is_number = true},
    [GPUS] = {.title = "gpus", .is_optional = true},
    [DISK] = {.title = "ours", .is_number = true, .is_optional = true},
    [FREE] = {.title = "free", .is_number = true},
    [SEEN] = {.title = "seen"},
    [SYSTEM] = {.title = "system", .is_optional = true},
};

static void add_size(struct dk_buf *out, uint64_t bytes) {
  char text[DK_NUMBER_TEXT];

  dk_number_size_text(bytes, text);
  dk_buf_add_text(out, text);
}

/* "3m20s ago" */
static void add_ago(struct dk_buf *out, uint64_t unix_ns) {
  uint64_t now = dk_unix_ns(), ago = now > unix_ns ? now - unix_ns : 0;
  char text[DK_NUMBER_TEXT];

  dk_number_duration_text(ago / SECOND * SECOND, text);
  dk_buf_printf(out, "%s ago", text);
}

static void add_gpus(struct dk_buf *out, const struct row *row) {
  dk_buf_printf(out, "%u", row->gpus);
  for (const char *at = row->gpu; *at;) {
    size_t len = strcspn(at, "\n");
    dk_buf_add_text(out, at == row->gpu ? " " : ", ");
    dk_buf_add_escaped(out, at, len);
    at += len + (at[len] == '\n');
  }
}

static void add_cell(struct dk_buf *out, const struct row *row, enum column column) {
  const struct dk_known_host *host = row->host;
  const char *provider = dk_known_host_provider(host), *name = dk_known_host_name(host);
  bool is_said = true;

  switch (column) {
  case PROVIDER: dk_buf_add_escaped(out, provider, strlen(provider)); break;
  case HOST: dk_buf_add_escaped(out, name, strlen(name)); break;
  case STATE: dk_buf_add_text(out, row->state); break;
  case TASKS:
    if ((is_said = host->n_attempts > 0)) dk_buf_printf(out, "%u", host->n_attempts);
    break;
  case SLOTS:
    if ((is_said = row->is_counted)) dk_buf_printf(out, "%u", row->slots);
    break;
  case CPUS:
    if ((is_said = row->is_counted)) dk_buf_printf(out, "%u", row->cpus);
    break;
  case MEMORY:
    if ((is_said = row->is_counted)) add_size(out, row->memory);
    break;
  case GPUS:
    if ((is_said = row->gpus > 0)) add_gpus(out, row);
    break;
  case DISK:
    if ((is_said = row->used != UINT64_MAX)) add_size(out, row->used);
    break;
  case FREE:
    if ((is_said = row->is_counted && row->free > 0)) add_size(out, row->free);
    break;
  case SEEN:
    if (row->seen_ns && row->seen_ns + NOW_NS > dk_unix_ns())
      dk_buf_add_text(out, "now");
    else if ((is_said = row->seen_ns > 0))
      add_ago(out, row->seen_ns);
    break;
  case SYSTEM:
    is_said = row->system.len > 0;
    dk_buf_add_escaped(out, dk_buf_text(&row->system), row->system.len);
    break;
  case N_COLUMNS: break;
  }
  if (!is_said) dk_buf_add_char(out, '-');
}

static int add_table(const struct row *rows, size_t n, struct dk_buf *out) {
  dk_autofree struct dk_buf *texts = dk_calloc(n * N_COLUMNS + 1, sizeof *texts);
  dk_autofree const char **cells = dk_calloc(n * N_COLUMNS + 1, sizeof *cells);

  if (!texts || !cells) return -ENOMEM;
  for (size_t i = 0; i < n * N_COLUMNS; i++) {
    add_cell(&texts[i], &rows[i / N_COLUMNS], (enum column)(i % N_COLUMNS));
    cells[i] = dk_buf_text(&texts[i]);
    dk_buf_inherit(out, &texts[i]);
  }
  dk_columns_add(out, heads, N_COLUMNS, cells, n);
  for (size_t i = 0; i < n * N_COLUMNS; i++) dk_buf_finish(&texts[i]);
  return 0;
}

static void add_trouble(const struct row *row, struct dk_buf *out) {
  dk_autobuf name = DK_BUF_INIT;

  if (row->words.len == 0) return;
  dk_hosts_add_name(row->host, &name);
  dk_buf_add_text(&name, ": ");
  dk_hosts_add_words(dk_buf_text(&name), dk_buf_text(&row->words), out);
}

/* While no engine works nobody knows how the hosts are. */
static void add_age(const struct dk_hosts_look *look, bool is_asked, struct dk_buf *out) {
  uint64_t last = 0;
  bool has_remote = false;

  for (uint32_t i = 0; i < look->known.n; i++) {
    const struct dk_host_record *record = &look->known.items[i].record;
    has_remote |= look->known.items[i].entry && dk_known_host_is_remote(&look->known.items[i]);
    if (record->seen_unix_ns > last) last = record->seen_unix_ns;
    if (record->changed_unix_ns > last) last = record->changed_unix_ns;
  }
  if (look->is_working || is_asked || !has_remote) return;
  if (last) {
    dk_buf_add_text(out, "No engine works here: this is as of ");
    add_ago(out, last);
    dk_buf_add_text(out, ". `dkrun hosts --ask` asks them now.\n");
  } else {
    dk_buf_add_text(out, "No run has reached them yet. `dkrun hosts --ask` asks them now.\n");
  }
}

static int add_text(const struct dk_hosts_look *look, const struct row *rows, size_t n, bool is_asked,
                    struct dk_buf *out) {
  dk_autobuf below = DK_BUF_INIT;
  int r = add_table(rows, n, out);

  for (size_t i = 0; i < n; i++) add_trouble(&rows[i], &below);
  add_age(look, is_asked, &below);
  dk_buf_inherit(out, &below);
  if (below.len) dk_buf_printf(out, "\n%s", dk_buf_text(&below));
  return r;
}

/* --- as JSON --- */

static void add_string(struct dk_buf *out, const char *name, const char *text) {
  dk_buf_printf(out, ",\"%s\":", name);
  dk_json_add_string(out, text, strlen(text));
}

static void add_number(struct dk_buf *out, const char *name, bool is_known, uint64_t n) {
  if (is_known)
    dk_buf_printf(out, ",\"%s\":%" PRIu64, name, n);
  else
    dk_buf_printf(out, ",\"%s\":null", name);
}

static void add_seen(struct dk_buf *out, uint64_t unix_ns) {
  time_t seconds = (time_t)(unix_ns / SECOND);
  struct tm tm;
  char text[40] = "";

  if (unix_ns && gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
    dk_buf_printf(out, ",\"seen\":\"%s\"", text);
  else
    dk_buf_add_text(out, ",\"seen\":null");
}

static void add_json_row(const struct row *row, const struct dk_survey_answer *answer, struct dk_buf *out) {
  const struct dk_known_host *host = row->host;
  bool is_asked = answer->has_answered && answer->error.code == 0;
  int64_t clock = is_asked ? answer->clock_ns : host->record.clock_ns;

  dk_buf_add_text(out, "{\"provider\":");
  dk_json_add_string(out, dk_known_host_provider(host), strlen(dk_known_host_provider(host)));
  add_string(out, "host", dk_known_host_name(host));
  add_string(out, "state", row->state);
  add_string(out, "words", dk_buf_text(&row->words));
  add_number(out, "tasks", true, host->n_attempts);
  add_number(out, "outputs", true, host->n_copies);
  add_number(out, "slots", row->is_counted, row->slots);
  add_number(out, "cpus", row->is_counted, row->cpus);
  add_number(out, "memory", row->is_counted, row->memory);
  add_number(out, "gpus", row->is_counted, row->gpus);
  add_string(out, "gpu", row->gpu);
  add_string(out, "system", dk_buf_text(&row->system));
  add_number(out, "ours", row->used != UINT64_MAX, row->used);
  add_number(out, "free", row->is_counted && row->free > 0, row->free);
  dk_buf_printf(out, ",\"clock_ahead_seconds\":%.3f", row->is_counted ? (double)clock / (double)SECOND : 0.0);
  add_seen(out, row->seen_ns);
  dk_buf_add_char(out, '}');
}

static void add_json(const struct dk_hosts_look *look, const struct row *rows, size_t n, bool is_asked,
                     struct dk_buf *out) {
  dk_buf_printf(out, "{\"version\":1,\"engine\":%u,\"asked\":%s,\"hosts\":[", look->is_working ? look->pid : 0,
                is_asked ? "true" : "false");
  for (size_t i = 0; i < n; i++) {
    dk_buf_add_text(out, i ? ",\n" : "\n");
    add_json_row(&rows[i], &look->answers[rows[i].host - look->known.items], out);
  }
  dk_buf_add_text(out, "]}\n");
}

/* --- the command --- */

static int show(struct dk_cli *cli, const struct dk_hosts_look *look, const struct options *options) {
  dk_autofree struct row *rows = dk_calloc(look->known.n + 1u, sizeof *rows);
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
    add_json(look, rows, n, options->ask, &out);
  else if (r == 0)
    r = add_text(look, rows, n, options->ask, &out);
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

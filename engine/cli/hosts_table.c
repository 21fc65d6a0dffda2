/* `dkrun hosts` on the screen and as JSON: see hosts_row.h. */
#include "engine/cli/hosts_row.h"

#include "engine/cli/clouds.h"

#include "engine/cli/columns.h"
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

static void add_gpus(struct dk_buf *out, const struct dk_hosts_row *row) {
  dk_buf_printf(out, "%u", row->gpus);
  for (const char *at = row->gpu; *at;) {
    size_t len = strcspn(at, "\n");
    dk_buf_add_text(out, at == row->gpu ? " " : ", ");
    dk_buf_add_escaped(out, at, len);
    at += len + (at[len] == '\n');
  }
}

static void add_cell(struct dk_buf *out, const struct dk_hosts_row *row, enum column column) {
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

static int add_table(const struct dk_hosts_row *rows, size_t n, struct dk_buf *out) {
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

static void add_trouble(const struct dk_hosts_row *row, struct dk_buf *out) {
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

/* What may be there beside them. */
static void add_clouds(const struct dk_hosts_look *look, struct dk_buf *out) {
  for (uint32_t i = 0; i < look->hosts.n_clouds; i++) {
    dk_buf_printf(out, "%s: ", look->hosts.clouds[i].config.provider);
    dk_clouds_add_what(&look->hosts.clouds[i], out);
    dk_buf_add_char(out, '\n');
  }
}

int dk_hosts_add_text(const struct dk_hosts_look *look, const struct dk_hosts_row *rows, size_t n, bool is_asked,
                      struct dk_buf *out) {
  dk_autobuf below = DK_BUF_INIT;
  int r = n || !look->hosts.n_clouds ? add_table(rows, n, out) : 0;

  for (size_t i = 0; i < n; i++) add_trouble(&rows[i], &below);
  add_age(look, is_asked, &below);
  add_clouds(look, &below);
  dk_buf_inherit(out, &below);
  if (below.len) dk_buf_printf(out, "%s%s", out->len ? "\n" : "", dk_buf_text(&below));
  return r;
}

/* --- as JSON --- */

static void add_seen(struct dk_buf *out, uint64_t unix_ns) {
  time_t seconds = (time_t)(unix_ns / SECOND);
  struct tm tm;
  char text[40] = "";

  if (unix_ns && gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
    dk_buf_printf(out, ",\"seen\":\"%s\"", text);
  else
    dk_buf_add_text(out, ",\"seen\":null");
}

static void add_json_row(const struct dk_hosts_row *row, const struct dk_survey_answer *answer, struct dk_buf *out) {
  const struct dk_known_host *host = row->host;
  bool is_asked = answer->has_answered && answer->error.code == 0;
  int64_t clock = is_asked ? answer->clock_ns : host->record.clock_ns;

  dk_buf_add_text(out, "{\"provider\":");
  dk_json_add_string(out, dk_known_host_provider(host), strlen(dk_known_host_provider(host)));
  dk_json_add_text_field(out, "host", dk_known_host_name(host));
  dk_json_add_text_field(out, "state", row->state);
  dk_buf_printf(out, ",\"rented\":%s", host->is_rented ? "true" : "false");
  dk_json_add_text_field(out, "words", dk_buf_text(&row->words));
  dk_json_add_number_field(out, "tasks", true, host->n_attempts);
  dk_json_add_number_field(out, "outputs", true, host->n_copies);
  dk_json_add_number_field(out, "slots", row->is_counted, row->slots);
  dk_json_add_number_field(out, "cpus", row->is_counted, row->cpus);
  dk_json_add_number_field(out, "memory", row->is_counted, row->memory);
  dk_json_add_number_field(out, "gpus", row->is_counted, row->gpus);
  dk_json_add_text_field(out, "gpu", row->gpu);
  dk_json_add_text_field(out, "system", dk_buf_text(&row->system));
  dk_json_add_number_field(out, "ours", row->used != UINT64_MAX, row->used);
  dk_json_add_number_field(out, "free", row->is_counted && row->free > 0, row->free);
  dk_buf_printf(out, ",\"clock_ahead_seconds\":%.3f", row->is_counted ? (double)clock / (double)SECOND : 0.0);
  add_seen(out, row->seen_ns);
  dk_buf_add_char(out, '}');
}

void dk_hosts_add_json(const struct dk_hosts_look *look, const struct dk_hosts_row *rows, size_t n, bool is_asked,
                       struct dk_buf *out) {
  dk_buf_printf(out, "{\"version\":1,\"engine\":%u,\"asked\":%s,\"hosts\":[", look->is_working ? look->pid : 0,
                is_asked ? "true" : "false");
  for (size_t i = 0; i < n; i++) {
    dk_buf_add_text(out, i ? ",\n" : "\n");
    add_json_row(&rows[i], &look->answers[rows[i].host - look->known.items], out);
  }
  dk_buf_add_char(out, ']');
  dk_clouds_add_json(&look->hosts, out);
  dk_buf_add_text(out, "}\n");
}

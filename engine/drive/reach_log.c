/* See reach.h. Here: what running tasks write. An agent answers in the order in which it is asked. */
#include "engine/drive/reach.h"

#include "engine/drive/engine_priv.h"
#include "engine/drive/pull.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

struct dk_read {
  struct dk_read *next;
  struct dk_reading reading;
  dk_reading_fn *fn;
  void *ctx;
  uint64_t since; /* dk_now_ns: asked, or the last answer before its own */
};

static void cannot_reach(const struct dk_engine_host *host, const char *why, struct dk_error *error) {
  size_t len = strcspn(why, "\n");
  dk_error_set(error, -EHOSTUNREACH, "%s cannot be reached%s%.*s", host->record.name, len ? ": " : "", (int)len, why);
}

int dk_engine_read(struct dk_engine *engine, const struct dk_reading *reading, dk_reading_fn *fn, void *ctx,
                   struct dk_error *error) {
  const struct dk_engine_host *host = dk_fleet_find(engine, reading->host);
  struct dk_message message = {.type = DK_MSG_READ, .id = reading->attempt};
  struct dk_read **at = &engine->reaches.reads;

  if (!host || !host->link) return dk_error_set(error, -ENOENT, "the host of the task is not configured any more");
  if (!host->session) {
    cannot_reach(host, host->record.state == DK_HOST_DOWN ? host->record.words : "", error);
    return error->code;
  }
  struct dk_read *read = dk_calloc(1, sizeof *read);
  if (!read) return dk_error_system(error, -ENOMEM, "reading a log");
  *read = (struct dk_read){.reading = *reading, .fn = fn, .ctx = ctx, .since = dk_now_ns()};
  message.session = host->session;
  message.u.log.stream = reading->stream;
  message.u.log.offset = reading->offset;
  message.u.log.len = reading->len;
  int r = dk_link_send(host->link, &message);
  if (r < 0) {
    dk_free(read);
    return dk_error_system(error, r, "reading a log");
  }
  while (*at) at = &(*at)->next;
  *at = read;
  return 0;
}

static bool is_answer(const struct dk_read *read, const struct dk_message *log) {
  return dk_id_equal(read->reading.attempt, log->id) && read->reading.stream == log->u.log.stream;
}

static void answer(struct dk_read *read, int r, const struct dk_message *log, const char *words) {
  if (read->fn) read->fn(read->ctx, r, log, words);
  dk_free(read);
}

static struct dk_read *first_of(const struct dk_engine_host *host) {
  struct dk_read *read = host->engine->reaches.reads;

  while (read && read->reading.host != host->record.number) read = read->next;
  return read;
}

uint64_t dk_reads_silent_at(const struct dk_engine_host *host) {
  const struct dk_read *read = first_of(host);
  uint64_t pulls_at = dk_pull_silent_at(host->engine->pulls, host);

  if (!read) return UINT64_MAX;
  uint64_t at = read->since + DK_PULL_SILENT_NS;
  return pulls_at != UINT64_MAX && pulls_at > at ? pulls_at : at;
}

void dk_reads_answer(struct dk_engine_host *host, const struct dk_message *log) {
  for (struct dk_read **at = &host->engine->reaches.reads; *at; at = &(*at)->next) {
    struct dk_read *read = *at;
    if (read->reading.host != host->record.number) continue;
    if (!is_answer(read, log)) return; /* to nothing that was asked */
    *at = read->next;
    struct dk_read *next = first_of(host);
    if (next) next->since = dk_now_ns();
    answer(read, 0, log, "");
    return;
  }
}

void dk_reads_down(struct dk_engine_host *host, const char *why) {
  struct dk_read **at = &host->engine->reaches.reads;
  struct dk_error words = {0};

  cannot_reach(host, why, &words);
  while (*at) {
    struct dk_read *read = *at;
    if (read->reading.host != host->record.number) {
      at = &read->next;
      continue;
    }
    *at = read->next;
    answer(read, words.code, NULL, words.text);
  }
}

/* The answers that are still to come are for the others. */
void dk_reads_leave(struct dk_engine *engine, const void *ctx) {
  for (struct dk_read *read = engine->reaches.reads; read && ctx; read = read->next)
    if (read->ctx == ctx) read->fn = NULL;
  while (!ctx && engine->reaches.reads) {
    struct dk_read *read = engine->reaches.reads;
    engine->reaches.reads = read->next;
    dk_free(read);
  }
}

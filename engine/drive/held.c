/* See held.h. */
#include "engine/drive/held.h"

#include "engine/drive/engine_priv.h"
#include "engine/drive/pull.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define HELD_MAX (64u << 20) /* bytes of memory, of one host */

struct held {
  struct held *next;
  struct dk_engine_host *host;
  uint64_t session;
  struct dk_message message;
  uint32_t n_missing; /* contents, and one while they are counted */
};

static size_t weight_of(const struct dk_kept *kept, uint32_t n) {
  size_t sum = n * sizeof *kept;

  for (uint32_t i = 0; i < n; i++) sum += kept[i].bytes ? kept[i].size : 0;
  return sum;
}

static size_t weight(const struct dk_result *result) {
  return sizeof(struct held) + (result->text ? strlen(result->text) : 0) + weight_of(&result->out, 1) +
         weight_of(&result->err, 1) + weight_of(result->outputs, result->n_outputs) +
         weight_of(result->keep_files, result->n_keep_files);
}

/* One of its contents cannot be had: it is as if the task had not written it. */
static void forget_content(struct dk_kept *kept, uint32_t n, const struct dk_objects *objects) {
  for (uint32_t i = 0; i < n; i++) {
    if (dk_digest_is_zero(&kept[i].digest) || dk_objects_has(objects, &kept[i].digest, NULL)) continue;
    kept[i].digest = (struct dk_digest){{0}};
    kept[i].size = 0;
  }
}

static void take_ready(struct dk_held *all, const struct dk_engine_host *host) {
  while (all->first && all->first->n_missing == 0) {
    struct held *held = all->first;
    all->first = held->next;
    if (!all->first) all->last = NULL;
    all->bytes -= weight(&held->message.u.result);
    const struct dk_objects *objects = &held->host->engine->with.folder->objects;
    struct dk_result *result = &held->message.u.result;
    forget_content(&result->out, 1, objects);
    forget_content(&result->err, 1, objects);
    forget_content(result->keep_files, result->n_keep_files, objects);
    dk_engine_take_result(held->host, held->session, &held->message);
    dk_message_finish(&held->message);
    dk_free(held);
  }
  if (!all->first && all->is_full && host->link)
    dk_link_break(host->link, "it has more results than are taken at once; the rest of them is asked for", 0);
}

static void on_here(void *ctx, int r, const char *words) {
  struct held *held = ctx;

  /* It waits at its host until this machine has room for it again. */
  if (dk_error_is_machine(r)) {
    struct dk_error error = {0};
    dk_error_set(&error, r, "%s", words);
    dk_engine_fail(held->host->engine, r, &error);
    return;
  }
  if (r < 0) dk_engine_say(held->host->engine, words);
  held->n_missing--;
  take_ready(&held->host->held, held->host);
}

static int want(struct held *held, const struct dk_kept *kept, uint32_t n) {
  struct dk_engine *engine = held->host->engine;
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < n; i++) {
    if (dk_digest_is_zero(&kept[i].digest) ||
        dk_objects_has_content(&engine->with.folder->objects, &kept[i].digest, kept[i].is_dir, NULL) > 0)
      continue;
    struct dk_copy copy = {kept[i].digest, held->host->record.number, kept[i].size, kept[i].is_dir};
    held->n_missing++;
    r = dk_pull(engine->pulls, &copy, DK_PULL_URGENT, on_here, held);
    if (r < 0) held->n_missing--;
  }
  return r;
}

/* Of a directory only the size of its manifest is known. A rented machine goes again: all comes from there. */
static int want_outputs(struct held *held, const struct dk_result *result) {
  uint64_t sum = 0;
  int r = 0;

  if (held->host->is_rented) return want(held, result->outputs, result->n_outputs);
  for (uint32_t i = 0; r == 0 && i < result->n_outputs; i++) {
    const struct dk_kept *output = &result->outputs[i];
    if (output->is_dir || output->size > DK_HELD_SMALL - sum) continue;
    sum += output->size;
    r = want(held, output, 1);
  }
  return r;
}

/* All that it needs is asked for, of its host and of all others that have it. */
static int want_all(struct held *held) {
  const struct dk_result *result = &held->message.u.result;
  int r = want(held, &result->out, 1);

  if (r == 0) r = want(held, &result->err, 1);
  if (r == 0) r = want(held, result->keep_files, result->n_keep_files);
  return r == 0 ? want_outputs(held, result) : r;
}

/* One of an attempt that nobody knows any more is only acknowledged: nothing of it is read. */
int dk_held_add(struct dk_held *all, struct dk_engine_host *host, uint64_t session, struct dk_message *message) {
  bool is_known = dk_core_attempt_key(host->engine->core, message->id);
  int r = 0;

  all->is_full |= all->bytes > HELD_MAX;
  if (all->is_full) return 0;
  struct held *held = dk_calloc(1, sizeof *held);
  if (!held) return -ENOMEM;
  *held = (struct held){.host = host, .session = session, .message = *message, .n_missing = 1};
  memset(message, 0, sizeof *message);
  if (all->last)
    all->last->next = held;
  else
    all->first = held;
  all->last = held;
  all->bytes += weight(&held->message.u.result);
  if (is_known) r = want_all(held);
  held->n_missing--;
  take_ready(all, host);
  return r;
}

void dk_held_clear(struct dk_held *all, struct dk_engine_host *host) {
  while (all->first) {
    struct held *held = all->first;
    all->first = held->next;
    dk_pull_forget(host->engine->pulls, held);
    dk_message_finish(&held->message);
    dk_free(held);
  }
  *all = (struct dk_held){0};
}

/* See reach.h. Here: contents. */
#include "engine/drive/reach.h"

#include "engine/drive/engine_priv.h"
#include "engine/drive/pull.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define PROGRESS_NS 250000000u
#define REACHED_NS 3000000000u /* a host that is there is reached in less */

struct item {
  struct dk_reach *reach;
  struct dk_wanted wanted;
  uint64_t size; /* bytes of it, as its first host says */
  bool is_under_way;
  const struct dk_engine_host *awaited; /* it counts as lost, and may still come back; NULL: none */
};

struct dk_reach {
  struct dk_reach *next;
  struct dk_engine *engine;
  struct dk_reach_observer observer;
  struct item *items;
  uint32_t n, n_missing;
  uint64_t taken;              /* bytes of those that have come */
  uint64_t since, progress_at; /* dk_now_ns */
  int failed;
  uint32_t which;
  struct dk_error why;
};

void dk_reaches_init(struct dk_reaches *reaches) {
  *reaches = (struct dk_reaches){.tick_at = UINT64_MAX};
}

static void tick_soon(struct dk_engine *engine) {
  engine->reaches.tick_at = 0;
}

static void fail(struct item *item, int r, const struct dk_error *why) {
  struct dk_reach *reach = item->reach;

  tick_soon(reach->engine);
  if (reach->failed < 0) return;
  reach->failed = r;
  reach->which = (uint32_t)(item - reach->items);
  reach->why = *why;
}

/* --- one content --- */

/* The host that has the only copy, of those that are configured, is lost: what is known of it. */
static void tell_lost(const struct dk_engine *engine, const struct dk_copy *copy, struct dk_error *why) {
  const struct dk_engine_host *host = dk_fleet_find(engine, copy->host);
  const char *name = host && host->record.name ? host->record.name : "a host";
  const char *words = host && host->record.words ? host->record.words : "";
  size_t len = strcspn(words, "\n");

  if (!host || !host->provider) {
    dk_error_set(why, -EHOSTUNREACH,
                 "%s has the only copy, and no file of providers names it any more\n"
                 "help: name it there again, or `dkrun run` makes again what only it had",
                 name);
    return;
  }
  dk_error_set(why, -EHOSTUNREACH,
               "%s has the only copy and cannot be reached%s%.*s\n"
               "help: `dkrun hosts` says more of it; when it is taken out of the file of providers, "
               "`dkrun run` makes again what only it had",
               name, len ? ": " : "", (int)len, words);
}

static void tell_none(int r, const char *words, struct dk_error *why) {
  dk_error_set(why, r < 0 ? r : -ENOENT,
               "no host that is configured has it any more%s%s\nhelp: `dkrun run` makes it again", *words ? ": " : "",
               words);
}

static void on_here(void *ctx, int r, const char *words);

/* The only hosts that have it count as lost: each who asks waits for their lost_after, however long ago the silence
 * began. It is looked for with each tick. */
static bool can_wait(const struct item *item) {
  return dk_now_ns() < item->reach->since + item->awaited->lost_after_ns;
}

/* Asks for it at the hosts that have it. `words`: why it did not come from those that were asked before. */
static void look_for(struct item *item, int last, const char *words) {
  struct dk_engine *engine = item->reach->engine;
  const struct dk_wanted *wanted = &item->wanted;
  struct dk_pull_progress progress;
  struct dk_copy copy;
  struct dk_error why = {0};
  int r = dk_pull_copies(engine->pulls, &wanted->content, wanted->is_dir, on_here, item, &why);

  item->awaited = NULL;
  if (r == 0) {
    item->is_under_way = true;
    if (dk_pull_progress(engine->pulls, &wanted->content, wanted->is_dir, &progress)) item->size = progress.total;
    return;
  }
  if (r == -ENOENT) {
    bool is_somewhere = dk_store_find_copy(engine->with.folder->store, &wanted->content, NULL, NULL, &copy, NULL) == 0;
    const struct dk_engine_host *host = is_somewhere ? dk_fleet_find(engine, copy.host) : NULL;
    item->awaited = host && host->provider ? host : NULL;
    if (item->awaited && can_wait(item)) return;
    if (is_somewhere)
      tell_lost(engine, &copy, &why);
    else
      tell_none(last, words, &why);
    r = why.code;
  }
  fail(item, r, &why);
}

static void on_here(void *ctx, int r, const char *words) {
  struct item *item = ctx;
  struct dk_reach *reach = item->reach;
  struct dk_error why = {0};

  item->is_under_way = false;
  if (r == 0) {
    reach->taken += item->size;
    if (--reach->n_missing == 0) tick_soon(reach->engine);
  } else if (r == -ENOENT || r == -EBADMSG || r == -EHOSTUNREACH) {
    look_for(item, r, words); /* its host is no place for it any more */
  } else {
    dk_error_set(&why, r, "%s", words);
    fail(item, r, &why);
  }
}

static bool is_here(const struct dk_engine *engine, const struct dk_wanted *wanted) {
  return dk_objects_has_content(&engine->with.folder->objects, &wanted->content, wanted->is_dir, NULL) > 0;
}

/* --- what is asked for --- */

static void destroy(struct dk_reach *reach) {
  for (uint32_t i = 0; i < reach->n; i++)
    if (reach->items[i].is_under_way)
      dk_pull_give_up(reach->engine->pulls, &reach->items[i].wanted.content, reach->items[i].wanted.is_dir,
                      &reach->items[i]);
  dk_free(reach->items);
  dk_free(reach);
}

int dk_engine_reach(struct dk_engine *engine, const struct dk_wanted *wanted, uint32_t n,
                    const struct dk_reach_observer *observer) {
  struct dk_reach *reach = dk_calloc(1, sizeof *reach);
  struct item *items = dk_calloc(n + 1u, sizeof *items);

  if (!reach || !items) {
    dk_free(items);
    dk_free(reach);
    return -ENOMEM;
  }
  *reach = (struct dk_reach){.next = engine->reaches.reaches,
                             .engine = engine,
                             .observer = *observer,
                             .items = items,
                             .n = n,
                             .since = dk_now_ns()};
  reach->progress_at = reach->since + PROGRESS_NS;
  engine->reaches.reaches = reach;
  tick_soon(engine);
  for (uint32_t i = 0; i < n; i++) {
    items[i] = (struct item){.reach = reach, .wanted = wanted[i]};
    if (reach->failed < 0 || is_here(engine, &wanted[i])) continue;
    reach->n_missing++;
    look_for(&items[i], 0, "");
  }
  return 0;
}

void dk_engine_leave(struct dk_engine *engine, const void *ctx) {
  struct dk_reach **at = &engine->reaches.reaches;

  while (*at) {
    struct dk_reach *reach = *at;
    if (reach->observer.ctx != ctx) {
      at = &reach->next;
      continue;
    }
    *at = reach->next;
    destroy(reach);
  }
  dk_reads_leave(engine, ctx);
}

void dk_reaches_finish(struct dk_engine *engine) {
  while (engine->reaches.reaches) {
    struct dk_reach *reach = engine->reaches.reaches;
    engine->reaches.reaches = reach->next;
    destroy(reach);
  }
  dk_reads_leave(engine, NULL);
}

/* --- telling --- */

static void tell_progress(struct dk_reach *reach) {
  uint64_t here = reach->taken, total = reach->taken;
  const struct dk_engine_host *away = NULL;
  struct dk_error waits = {0};

  for (uint32_t i = 0; i < reach->n; i++) {
    const struct item *item = &reach->items[i];
    const struct dk_wanted *wanted = &item->wanted;
    struct dk_pull_progress of;
    if (!away) away = item->awaited;
    if (!item->is_under_way || !dk_pull_progress(reach->engine->pulls, &wanted->content, wanted->is_dir, &of)) continue;
    here += of.here;
    total += of.total;
    if (!away && !of.host->session) away = of.host;
  }
  if (away && away->record.state == DK_HOST_DOWN)
    dk_error_set(&waits, -EAGAIN, "%s cannot be reached: %.*s", away->record.name,
                 (int)strcspn(away->record.words, "\n"), away->record.words);
  else if (away && reach->progress_at >= reach->since + REACHED_NS)
    dk_error_set(&waits, -EAGAIN, "%s does not answer yet; waiting for it", away->record.name);
  reach->observer.progress(reach->observer.ctx, here, total, waits.text);
}

/* What was fetched may be recorded nowhere, and who asked may be told that it is here: it must not be lost then. */
static void end(struct dk_reach *reach) {
  struct dk_engine *engine = reach->engine;

  if (reach->failed == 0 && engine->has_unsynced) {
    int r = dk_objects_sync(&engine->with.folder->objects, &reach->why);
    engine->has_unsynced = r < 0;
    if (r < 0) reach->failed = r;
  }
  reach->observer.done(reach->observer.ctx, reach->failed, reach->which, reach->why.text);
  destroy(reach);
}

static void look_again(struct dk_reach *reach) {
  for (uint32_t i = 0; i < reach->n; i++)
    if (reach->items[i].awaited && reach->failed == 0) look_for(&reach->items[i], 0, "");
}

void dk_reaches_tick(struct dk_engine *engine, uint64_t now_ns) {
  struct dk_reach **at = &engine->reaches.reaches;

  if (now_ns < engine->reaches.tick_at) return;
  engine->reaches.tick_at = UINT64_MAX;
  while (*at) {
    struct dk_reach *reach = *at;
    if (reach->failed < 0 || reach->n_missing == 0) {
      *at = reach->next;
      end(reach);
      continue;
    }
    if (now_ns >= reach->progress_at) {
      look_again(reach);
      tell_progress(reach);
      reach->progress_at = now_ns + PROGRESS_NS;
    }
    if (reach->progress_at < engine->reaches.tick_at) engine->reaches.tick_at = reach->progress_at;
    at = &reach->next;
  }
}

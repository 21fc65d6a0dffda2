/* Which hosts there are, and the links to them: what files of providers say becomes the fleet, at the start and each
 * time that they were edited. */
#include "engine/drive/config.h"
#include "engine/drive/engine_priv.h"
#include "engine/drive/fleet.h"
#include "engine/drive/pull.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_NAME "providers.dk"
#define LOOK_NS 2000000000u /* how often the files are looked at while runs go on */

static void on_message(void *ctx, uint64_t session, struct dk_message *message) {
  dk_engine_message(ctx, session, message);
}

static void on_down(void *ctx, uint64_t session, const char *why) {
  dk_engine_down(ctx, session, why);
}

static void on_room(void *ctx) {
  struct dk_engine_host *host = ctx;
  int r = dk_supply_pump(&host->supply, host);
  if (r < 0) dk_engine_fail(host->engine, r, NULL);
}

static int connect_host(struct dk_engine_host *host, const struct dk_hosts_entry *entry, struct dk_error *error) {
  const struct dk_engine *engine = host->engine;
  struct dk_link_options link = {
      .provider = entry->provider,
      .dial = {.host = entry->config,
               .state = engine->with.folder->path,
               .agent_program = engine->with.agent_program,
               .slots = dk_fleet_is_remote(host) ? 0 : engine->with.slots,
               .loop = engine->with.loop},
      .incarnation = engine->incarnation,
      .after = host->last_session,
      .met = dk_fleet_met,
      .message = on_message,
      .down = on_down,
      .room = on_room,
      .ctx = host,
  };

  memcpy(link.dial.store, engine->store_id, sizeof link.dial.store);
  host->down_at = dk_now_ns();
  host->is_barred = false;
  host->twin = NULL;
  if (dk_fleet_is_remote(host)) dk_fleet_set_state(host, DK_HOST_NEW, ""); /* whatever it was in the store */
  return dk_link_create(&link, &host->link, error);
}

/* `is_told`: people are told why. */
static void disconnect(struct dk_engine_host *host, const char *why, bool is_told) {
  struct dk_event down = {.kind = DK_EV_AGENT_DOWN, .host = host->record.number, .session = host->session};

  host->last_session = dk_link_session(host->link);
  dk_link_destroy(host->link);
  host->link = NULL;
  dk_fleet_leave_place(host);
  if (!host->session) return;
  if (is_told)
    dk_fleet_down(host, why, false);
  else
    dk_fleet_cut(host, why);
  dk_engine_push(host->engine, &down, NULL);
}

static bool is_same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Of this machine the file may say others. */
static bool has_names(const struct dk_engine_host *host, const struct dk_hosts_entry *entry) {
  return is_same_text(host->record.provider, entry->config.provider) &&
         is_same_text(host->record.name, entry->config.name);
}

/* Reached in the same way, with the same limits that its agent is told of? */
static bool is_same(const struct dk_engine_host *host, const struct dk_hosts_entry *entry) {
  const struct dk_host_config *a = &host->config, *b = &entry->config;

  return host->link && host->provider == entry->provider && a->leave == b->leave && a->most_gpus == b->most_gpus &&
         a->nice == b->nice && a->port == b->port && is_same_text(a->root, b->root) && is_same_text(a->user, b->user) &&
         is_same_text(a->ssh_config, b->ssh_config);
}

static int take_entry(struct dk_engine *engine, const struct dk_hosts_entry *entry, struct dk_error *error) {
  struct dk_event added = {.kind = DK_EV_HOST_ADDED};
  struct dk_engine_host *host;
  int r = dk_fleet_need(engine, entry, &host, error);

  if (r < 0) return r;
  bool is_kept = is_same(host, entry);
  if (host->link && !is_kept) disconnect(host, "its settings were changed", true);
  host->provider = entry->provider;
  host->config = entry->config;
  host->mixed = entry->mixed;
  host->hours = entry->hours;
  host->was_open = dk_hours_is_open(&host->hours, (int64_t)(dk_unix_ns() / 1000000000u));
  host->lost_after_ns = entry->lost_after_ns ? entry->lost_after_ns : engine->lost_after_ns;
  host->is_named = true;
  if (dk_fleet_is_leaving(host)) dk_fleet_set_state(host, host->record.state, ""); /* it stays */
  host->is_left = false;
  if (host->record.state == DK_HOST_REMOVED) {
    dk_fleet_set_state(host, DK_HOST_NEW, "");
    dk_fleet_save(engine); /* at once: who looks for copies asks the store whether it is named */
  }
  host->has_changed = true;
  added.host = host->record.number;
  added.u.host_added.lost_after_ns = entry->lost_after_ns;
  dk_engine_push(engine, &added, NULL);
  return is_kept ? 0 : connect_host(host, entry, error);
}

/* Tasks may still run here from a time when it was named. */
static int collect_here(struct dk_engine *engine, struct dk_error *error) {
  struct dk_engine_host *here = dk_fleet_find(engine, DK_HOST_LOCAL);
  struct dk_hosts_entry entry = {.provider = &dk_providers[0]};

  if (here && here->is_named) return 0;
  if (!engine->has_left_here && !(here && here->link)) return 0;
  entry.config = (struct dk_host_config){.provider = "local", .name = "local", .most_gpus = UINT32_MAX};
  int r = take_entry(engine, &entry, error);
  here = dk_fleet_find(engine, DK_HOST_LOCAL);
  if (here) here->is_left = true;
  return r;
}

static void remove_host(struct dk_engine_host *host, const char *why, bool is_told) {
  struct dk_event removed = {.kind = DK_EV_HOST_REMOVED, .host = host->record.number};

  if (host->link) disconnect(host, why, is_told);
  host->provider = NULL;
  host->is_left = false;
  dk_fleet_set_state(host, DK_HOST_REMOVED, "");
  dk_pull_lost(host->engine->pulls, host);
  dk_engine_push(host->engine, &removed, NULL);
}

void dk_fleet_remove(struct dk_engine_host *host) {
  remove_host(host, "no file of providers names it any more", false);
}

static void add_stamp(struct dk_hasher *hasher, const char *path) {
  struct stat st = {0};

  (void)stat(path, &st); /* not there: zeros */
  const uint64_t is[] = {(uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                         (uint64_t)st.st_mtim.tv_nsec};
  dk_hasher_add_bytes(hasher, is, sizeof is);
}

/* Of both files of providers as they are now; what they import is not looked at. */
static void stamp_files(const struct dk_engine *engine, struct dk_digest *ret) {
  dk_autobuf user = DK_BUF_INIT, root = DK_BUF_INIT;
  struct dk_hasher hasher;

  dk_hasher_init(&hasher);
  if (dk_config_path(FILE_NAME, &user, NULL) == 0) add_stamp(&hasher, dk_buf_text(&user));
  dk_buf_printf(&root, "%s/" FILE_NAME, engine->with.root);
  add_stamp(&hasher, dk_buf_text(&root));
  dk_hasher_get(&hasher, ret);
}

void dk_fleet_expect(struct dk_engine *engine, uint32_t number) {
  struct dk_event added = {.kind = DK_EV_HOST_ADDED, .host = number};

  dk_engine_push(engine, &added, NULL);
}

int dk_fleet_rent(struct dk_engine *engine, const struct dk_hosts_entry *entry, struct dk_engine_host **ret,
                  struct dk_error *error) {
  int r = take_entry(engine, entry, error);

  if (r < 0) return r;
  *ret = dk_fleet_find_entry(engine, entry);
  (*ret)->is_named = false;
  (*ret)->is_rented = true;
  return 0;
}

void dk_fleet_give_back(struct dk_engine_host *host) {
  remove_host(host, "it was given back", true);
  host->is_rented = false;
  host->config = (struct dk_host_config){.name = host->record.name}; /* what it pointed to goes */
  host->hours = (struct dk_hours){0};
  dk_fleet_tell_where(host->engine);
}

static bool is_unwanted(const struct dk_engine *engine, uint32_t number) {
  const struct dk_engine_host *host = engine->hosts[number];

  return host && !host->is_named && !host->is_rented && !dk_rentals_owns(engine->rentals, number);
}

int dk_fleet_apply(struct dk_engine *engine, const struct dk_hosts *hosts, struct dk_error *error) {
  int r = dk_rentals_prepare(engine->rentals, hosts, error);

  if (r < 0) return r;
  for (uint32_t i = 0; i < engine->n_hosts; i++)
    if (engine->hosts[i]) engine->hosts[i]->is_named = false;
  for (uint32_t i = 0; r == 0 && i < hosts->n; i++) r = take_entry(engine, &hosts->items[i], error);
  if (r == 0) r = collect_here(engine, error);
  for (uint32_t i = 0; r == 0 && i < engine->n_hosts; i++)
    if (is_unwanted(engine, i)) dk_fleet_take_out(engine->hosts[i]);
  if (r == 0) dk_rentals_apply(engine->rentals, hosts);
  engine->hours_at = 0; /* they may be others */
  if (engine->files_at == 0) stamp_files(engine, &engine->files);
  return r;
}

/* Is the fleet as these hosts would make it? */
static bool is_applied(const struct dk_engine *engine, const struct dk_hosts *hosts) {
  uint32_t n_named = 0;

  for (uint32_t i = 0; i < engine->n_hosts; i++)
    n_named += engine->hosts[i] && engine->hosts[i]->is_named && !engine->hosts[i]->is_left;
  for (uint32_t i = 0; i < hosts->n; i++) {
    const struct dk_hosts_entry *entry = &hosts->items[i];
    const struct dk_engine_host *host = dk_fleet_find_entry(engine, entry);
    uint64_t lost_after_ns = entry->lost_after_ns ? entry->lost_after_ns : engine->lost_after_ns;
    if (!host || !host->is_named || !has_names(host, entry) || !is_same(host, entry) || host->mixed != entry->mixed ||
        host->lost_after_ns != lost_after_ns || !is_same_text(host->hours.text, entry->hours.text))
      return false;
  }
  return n_named == hosts->n && dk_rentals_are_applied(engine->rentals, hosts);
}

void dk_fleet_look_at_files(struct dk_engine *engine, uint64_t now_ns) {
  struct dk_digest now;
  struct dk_error error = {0}, words = {0};

  engine->files_at = now_ns + LOOK_NS;
  stamp_files(engine, &now);
  if (dk_digest_equal(&now, &engine->files)) return;
  int r = dk_fleet_reload(engine, &error);
  if (r == 0) return;
  dk_error_set(&words, r, "the hosts stay as they were: %s", error.text);
  dk_engine_say(engine, words.text);
}

int dk_fleet_reload(struct dk_engine *engine, struct dk_error *error) {
  struct dk_hosts *hosts = dk_calloc(1, sizeof *hosts);
  const struct dk_digest was = engine->files;

  if (!hosts || !dk_grow(engine->loaded, engine->n_loaded, engine->cap_loaded)) {
    dk_free(hosts);
    return dk_error_system(error, -ENOMEM, "reading the files of providers");
  }
  stamp_files(engine, &engine->files);
  if (!dk_digest_equal(&was, &engine->files)) dk_rentals_edited(engine->rentals);
  int r = dk_hosts_load(engine->with.root, hosts, error);
  if (r < 0 || is_applied(engine, hosts)) {
    dk_hosts_finish(hosts);
    dk_free(hosts);
    return r;
  }
  engine->loaded[engine->n_loaded++] = hosts; /* links borrow from it: it stays */
  r = dk_fleet_apply(engine, hosts, error);
  dk_fleet_tell_where(engine);
  return r;
}

/* The engine's hosts: see fleet.h. */
#include "engine/drive/fleet.h"

#include "engine/drive/engine_priv.h"
#include "engine/drive/fleet_place.h"
#include "engine/drive/judge.h"
#include "engine/drive/pull.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define SECOND 1000000000u
#define GAP_NS 10000000000u /* turn.c */
#define FULL_NS (UINT64_C(10) * SECOND)
#define REST_NS (UINT64_C(5) * SECOND)
#define SAVE_NS SECOND

struct dk_engine_host *dk_fleet_find(const struct dk_engine *engine, uint32_t number) {
  return number < engine->n_hosts ? engine->hosts[number] : NULL;
}

bool dk_fleet_is_remote(const struct dk_engine_host *host) {
  return host->record.number != DK_HOST_LOCAL;
}

/* --- the table --- */

static int set_text(char **text, const char *value) {
  if (*text && strcmp(*text, value) == 0) return 0;
  char *copy = dk_strdup(value);
  if (!copy) return -ENOMEM;
  dk_free(*text);
  *text = copy;
  return 0;
}

/* Without memory the old words stay: they are for people. */
void dk_fleet_set_state(struct dk_engine_host *host, enum dk_host_state state, const char *words) {
  bool is_same = host->record.state == state && host->record.words && strcmp(host->record.words, words) == 0;

  if (is_same) return;
  if (host->record.state != state) host->record.changed_unix_ns = dk_unix_ns();
  host->record.state = state;
  (void)set_text(&host->record.words, words);
  host->has_changed = true;
  if (!host->engine->save_at) host->engine->save_at = dk_now_ns() + SAVE_NS;
}

static struct dk_engine_host *add_host(struct dk_engine *engine, uint32_t number) {
  while (engine->n_hosts <= number) {
    if (!dk_grow(engine->hosts, engine->n_hosts, engine->cap_hosts)) return NULL;
    engine->hosts[engine->n_hosts++] = NULL;
  }
  if (engine->hosts[number]) return engine->hosts[number];
  struct dk_engine_host *host = dk_calloc(1, sizeof *host);
  if (!host) return NULL;
  host->engine = engine;
  host->record.number = number;
  engine->hosts[number] = host;
  return host;
}

static int name_host(struct dk_engine_host *host, const char *provider, const char *name) {
  int r = set_text(&host->record.provider, provider);
  if (r == 0) r = set_text(&host->record.name, name);
  if (r == 0 && !host->record.words) r = set_text(&host->record.words, "");
  if (r == 0 && !host->record.system) r = set_text(&host->record.system, "");
  if (r == 0 && !host->record.gpu) r = set_text(&host->record.gpu, "");
  return r;
}

static int recall_host(void *ctx, const struct dk_host_record *record) {
  struct dk_engine *engine = ctx;

  if (record->number >= DK_HOSTS_MAX) return -EBADMSG;
  struct dk_engine_host *host = add_host(engine, record->number);
  if (!host) return -ENOMEM;
  struct dk_host_record *own = &host->record;
  *own = *record;
  own->provider = own->name = own->words = own->system = own->gpu = own->place = NULL;
  int r = name_host(host, record->provider, record->name);
  if (r == 0) r = set_text(&own->words, record->words);
  if (r == 0) r = set_text(&own->system, record->system);
  if (r == 0) r = set_text(&own->gpu, record->gpu);
  if (r == 0 && record->place) r = set_text(&own->place, record->place);
  return r;
}

static bool is_host(const struct dk_engine_host *host, const struct dk_hosts_entry *entry) {
  return host && dk_fleet_is_remote(host) && strcmp(host->record.provider, entry->config.provider) == 0 &&
         strcmp(host->record.name, entry->config.name) == 0;
}

struct dk_engine_host *dk_fleet_find_entry(const struct dk_engine *engine, const struct dk_hosts_entry *entry) {
  if (!entry->provider->is_remote) return dk_fleet_find(engine, DK_HOST_LOCAL);
  for (uint32_t i = 0; i < engine->n_hosts; i++)
    if (is_host(engine->hosts[i], entry)) return engine->hosts[i];
  return NULL;
}

int dk_fleet_need(struct dk_engine *engine, const struct dk_hosts_entry *entry, struct dk_engine_host **ret,
                  struct dk_error *error) {
  uint32_t number = entry->provider->is_remote ? engine->n_hosts ? engine->n_hosts : 1 : DK_HOST_LOCAL;

  *ret = dk_fleet_find_entry(engine, entry);
  if (!*ret && number >= DK_HOSTS_MAX)
    return dk_error_set(error, -ENOSPC,
                        "reaching %s: this state folder has known %u hosts, and it cannot know more\n"
                        "help: work in a new clone of the repository",
                        entry->config.name, DK_HOSTS_MAX - 1);
  if (!*ret) *ret = add_host(engine, number);
  if (!*ret || name_host(*ret, entry->config.provider, entry->config.name) < 0)
    return dk_error_system(error, -ENOMEM, "reaching %s", entry->config.name);
  return 0;
}

int dk_fleet_recall(struct dk_engine *engine, struct dk_error *error) {
  int r = dk_store_each_host(engine->with.folder->store, recall_host, engine, error);

  return r == -ENOMEM ? dk_error_system(error, r, "reading the hosts") : r;
}

void dk_fleet_destroy(struct dk_engine *engine) {
  dk_fleet_save_last(engine);
  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    struct dk_engine_host *host = engine->hosts[i];
    if (!host) continue;
    dk_link_destroy(host->link);
    dk_held_clear(&host->held, host);
    dk_supply_finish(&host->supply);
    dk_host_record_finish(&host->record);
    dk_free(host->said);
    dk_free(host);
  }
  dk_providers_settle();
  dk_free(engine->hosts);
}

int dk_fleet_send(struct dk_engine *engine, uint32_t number, struct dk_message *message) {
  struct dk_engine_host *host = dk_fleet_find(engine, number);

  return host && host->link ? dk_link_send(host->link, message) : 0;
}

/* When it counts as lost; UINT64_MAX: it is up, or lost already. */
static uint64_t lost_at(const struct dk_engine_host *host) {
  if (host->session || host->is_lost || !dk_fleet_is_remote(host)) return UINT64_MAX;
  return host->down_at + host->lost_after_ns;
}

static uint64_t host_deadline(const struct dk_engine_host *host) {
  uint64_t at = dk_link_deadline(host->link), lost = lost_at(host);

  uint64_t silent = dk_pull_silent_at(host->engine->pulls, host), unread = dk_reads_silent_at(host);
  if (host->full_until && host->full_until < at) at = host->full_until;
  if (silent < at) at = silent;
  if (unread < at) at = unread;
  return lost < at ? lost : at;
}

void dk_fleet_is_full(struct dk_engine_host *host) {
  if (!host->full_until) dk_fleet_say(host, DK_FLEET_FULL);
  host->full_until = dk_now_ns() + FULL_NS;
}

/* A new session may help. When it does not, the host is of no use as it is: it rests until it counts as lost, so that
 * its tasks are done elsewhere. Nothing is taken without what did not come: it is still there. */
static void give_up_silent(struct dk_engine_host *host, bool is_again) {
  struct dk_error why = {0};

  dk_error_set(&why, -ETIMEDOUT, "its agent answers, but has sent nothing of what it was asked for in %u s%s",
               (unsigned)(DK_PULL_SILENT_NS / SECOND),
               is_again
                   ? ", twice\nhelp: until it does, what it has is not counted on; see what `dkagent` does there, or "
                     "take the host out of the file of providers"
                   : "");
  dk_link_break(host->link, why.text, is_again ? host->lost_after_ns + REST_NS : 0);
}

/* Begin or end its hours now? Returns when they do next. */
static uint64_t look_at_hours(struct dk_engine_host *host, int64_t unix_s) {
  bool is_open = dk_hours_is_open(&host->hours, unix_s);

  if (is_open != host->was_open) {
    host->was_open = is_open;
    dk_fleet_tell(host, is_open ? "its hours have begun: it gets tasks" : DK_FLEET_CLOSED);
    dk_engine_push(host->engine, &(struct dk_event){.kind = DK_EV_TICK}, NULL);
  }
  return dk_hours_change_in(&host->hours, unix_s);
}

/* Not later than in a minute: the wall clock may be set. */
static void look_at_all_hours(struct dk_engine *engine, uint64_t now_ns) {
  int64_t unix_s = (int64_t)(dk_unix_ns() / SECOND);
  uint64_t next = UINT64_MAX;

  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    struct dk_engine_host *host = engine->hosts[i];
    uint64_t in = host && host->link && host->hours.n ? look_at_hours(host, unix_s) : UINT64_MAX;
    if (in < next) next = in;
  }
  engine->hours_at = next == UINT64_MAX ? UINT64_MAX : now_ns + (next < 60 ? next : 60) * SECOND;
}

uint64_t dk_fleet_deadline(const struct dk_engine *engine) {
  uint64_t at = engine->hours_at;

  if (engine->save_at && engine->save_at < at) at = engine->save_at;

  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    const struct dk_engine_host *host = engine->hosts[i];
    if (host && host->link && host_deadline(host) < at) at = host_deadline(host);
  }
  if (engine->n_runs > 0 && engine->files_at < at) at = engine->files_at;
  return at;
}

void dk_fleet_tick(struct dk_engine *engine, uint64_t now_ns) {
  dk_fleet_let_go(engine);
  if (engine->save_at && now_ns >= engine->save_at) dk_fleet_save(engine);
  if (now_ns >= engine->hours_at) look_at_all_hours(engine, now_ns);
  if (engine->n_runs > 0 && now_ns >= engine->files_at) dk_fleet_look_at_files(engine, now_ns);
  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    struct dk_engine_host *host = engine->hosts[i];
    if (!host || !host->link) continue;
    if (now_ns >= dk_pull_silent_at(engine->pulls, host))
      give_up_silent(host, dk_pull_silent(engine->pulls, host));
    else if (now_ns >= dk_reads_silent_at(host))
      give_up_silent(host, false);
    if (now_ns >= dk_link_deadline(host->link)) dk_link_tick(host->link, now_ns);
    if (host->full_until && now_ns >= host->full_until) {
      host->full_until = 0;
      dk_engine_push(engine, &(struct dk_event){.kind = DK_EV_TICK}, NULL);
    }
    /* This machine slept, as far as it knows: silence begins anew, as it does for the core. */
    if (now_ns >= lost_at(host) && now_ns - lost_at(host) > GAP_NS) host->down_at = now_ns;
    if (now_ns >= lost_at(host)) {
      host->is_lost = true;
      dk_fleet_leave_place(host);
      dk_pull_lost(engine->pulls, host);
    }
  }
}

/* --- what they say --- */

static uint32_t n_slots(const struct dk_engine *engine) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < engine->n_hosts; i++)
    if (engine->hosts[i] && !engine->hosts[i]->is_left && engine->hosts[i]->record.state == DK_HOST_UP)
      n += engine->hosts[i]->record.slots;
  return n;
}

void dk_fleet_tell_where(struct dk_engine *engine) {
  dk_autobuf text = DK_BUF_INIT;

  engine->slots = n_slots(engine);
  dk_fleet_where(engine, &text);
  engine->observer_at = 0; /* it is shown */
  engine->with.observer.where(engine->with.observer.ctx, engine->slots, dk_buf_text(&text));
}

static bool are_all_barred(const struct dk_engine *engine) {
  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    const struct dk_engine_host *host = engine->hosts[i];
    if (!host || !(host->is_named || host->is_rented) || host->is_left) continue;
    if (!host->is_barred || (host->twin && !dk_fleet_is_twin(host))) return false;
  }
  return !dk_rentals_are_open(engine->rentals);
}

static void bar(struct dk_engine_host *host, struct dk_error words) {
  host->is_barred = true;
  dk_fleet_set_state(host, DK_HOST_BARRED, words.text);
  dk_fleet_say(host, words.text);
  if (host->is_rented) {
    dk_rentals_bar(host->engine->rentals, host);
    return;
  }
  if (!are_all_barred(host->engine)) return;
  dk_fleet_save(host->engine); /* an engine that has failed commits nothing */
  dk_error_prefix(&words, "no host can be given tasks: %s", host->record.name); /* waiting would not change that */
  dk_engine_fail(host->engine, words.code, &words);
}

static void judge(struct dk_engine_host *host) {
  dk_autobuf system = DK_BUF_INIT;
  struct dk_error words = {0};

  int r = dk_judge_system(dk_link_facts(host->link), host->record.provider, host->mixed, &system, &words);
  (void)set_text(&host->record.system, dk_buf_text(&system));
  host->is_barred = false;
  if (r < 0)
    bar(host, words);
  else
    dk_fleet_set_state(host, DK_HOST_UP, "");
}

static void take_clock(struct dk_engine_host *host, uint64_t unix_ns) {
  struct dk_error words = {0};

  host->record.clock_ns = (int64_t)(unix_ns - dk_unix_ns());
  if (dk_judge_clock(host->record.clock_ns, &words) < 0) dk_fleet_say(host, words.text);
}

void dk_fleet_welcome(struct dk_engine_host *host, uint64_t session, const struct dk_message *message) {
  struct dk_host_record *record = &host->record;
  struct dk_engine *engine = host->engine;

  bool is_back = host->was_up && !host->session;

  host->session = session;
  host->was_up = true;
  host->is_lost = false;
  dk_free(host->said); /* what comes after it is news */
  host->said = NULL;
  host->down_told_at = 0;
  record->slots = message->u.welcome.slots;
  record->cpus = message->u.welcome.cpus;
  record->memory = message->u.welcome.memory;
  record->gpus = message->u.welcome.gpus;
  record->free = message->u.welcome.free;
  record->seen_unix_ns = dk_unix_ns();
  (void)set_text(&record->place, host->met);
  (void)set_text(&record->gpu, message->u.welcome.gpu ? message->u.welcome.gpu : "");
  host->has_changed = true;
  if (dk_fleet_is_remote(host)) {
    judge(host);
    take_clock(host, message->u.welcome.unix_ns);
  } else {
    dk_fleet_set_state(host, DK_HOST_UP, "");
  }
  if (record->state == DK_HOST_UP && is_back && dk_fleet_is_remote(host)) dk_fleet_tell(host, "it is there again");
  dk_fleet_tell_where(engine);
}

void dk_fleet_pong(struct dk_engine_host *host, const struct dk_message *message) {
  host->record.free = message->u.pong.free;
  host->record.seen_unix_ns = dk_unix_ns();
  host->has_changed = true;
}

/* By dk_fleet_met, before it had a session. */
static void turn_away(struct dk_engine_host *host, const char *why) {
  struct dk_error words = {0};

  host->is_turned_away = false;
  dk_error_set(&words, -EXDEV, "%s", why);
  bar(host, words);
  dk_fleet_judge_runs(host->engine);
}

void dk_fleet_cut(struct dk_engine_host *host, const char *why) {
  if (host->session) host->down_at = dk_now_ns();
  host->session = 0;
  dk_supply_clear(&host->supply);
  dk_held_clear(&host->held, host);
  dk_pull_down(host->engine->pulls, host);
  dk_reads_down(host, why);
}

void dk_fleet_down(struct dk_engine_host *host, const char *why, bool is_retried) {
  dk_fleet_cut(host, why);
  if (!host->was_up || host->is_lost) dk_fleet_leave_place(host);
  if (host->is_turned_away) {
    turn_away(host, why);
  } else {
    dk_fleet_set_state(host, DK_HOST_DOWN, why);
    if (!dk_fleet_is_leaving(host)) dk_fleet_say_down(host, why, is_retried);
  }
  dk_fleet_tell_where(host->engine);
}

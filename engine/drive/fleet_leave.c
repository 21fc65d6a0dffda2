/* Hosts that are taken out of the files of providers while runs go on. What runs there goes on for as long as the
 * connection holds, and nothing new begins there: what waits there is asked back. What its tasks made is used until the
 * runs have ended, or until the machine is wanted by another name (fleet_twin.c). Without a connection nobody can know
 * how long it would take: what ran there is started elsewhere at once. */
#include "engine/drive/engine_priv.h"
#include "engine/drive/fleet.h"

#include <errno.h>

bool dk_fleet_is_leaving(const struct dk_engine_host *host) {
  return host->is_left && dk_fleet_is_remote(host);
}

static bool has_tasks(const struct dk_engine_host *host) {
  return dk_core_living(host->engine->core, host->record.number) > 0;
}

/* Words before it is removed. Of one that nothing was asked of nothing is said. */
static void tell_end(const struct dk_engine_host *host, bool was_leaving) {
  struct dk_error words = {0};
  bool takes_over = has_tasks(host) && !host->is_lost;

  if (was_leaving && host->session)
    dk_error_set(&words, -ENOTCONN, "nothing runs there any more: its connection is closed");
  else if (was_leaving)
    dk_error_set(&words, -ENOTCONN, "%s; it is not connected again, as no file of providers names it any more%s",
                 host->record.words, takes_over ? ": what ran there is started elsewhere" : "");
  else
    dk_error_set(&words, -ENOTCONN, "no file of providers names it any more%s",
                 takes_over ? ", and it is not connected: what may still run there is started elsewhere" : "");
  dk_fleet_tell(host, words.text);
}

static void leave(struct dk_engine_host *host) {
  struct dk_event leaving = {.kind = DK_EV_HOST_ADDED,
                             .host = host->record.number,
                             .u.host_added = {.lost_after_ns = host->lost_after_ns, .is_leaving = true}};

  host->is_left = true;
  host->hours = (struct dk_hours){0};
  host->full_until = 0;
  dk_fleet_set_state(host, host->record.state, DK_FLEET_LEAVING); /* for who reads the store */
  dk_fleet_tell(host, DK_FLEET_LEAVING);
  dk_engine_push(host->engine, &leaving, NULL);
}

void dk_fleet_take_out(struct dk_engine_host *host) {
  if (dk_fleet_is_leaving(host)) return;
  if (dk_fleet_is_remote(host) && host->link && host->session && has_tasks(host)) {
    leave(host);
    return;
  }
  if (dk_fleet_is_remote(host) && (host->link || (has_tasks(host) && host->record.state != DK_HOST_REMOVED)))
    tell_end(host, false);
  dk_fleet_remove(host);
}

static bool is_waited_for(const struct dk_engine_host *host) {
  const struct dk_engine *engine = host->engine;

  for (uint32_t i = 0; i < engine->n_hosts; i++)
    if (engine->hosts[i] && engine->hosts[i]->twin == host) return true;
  return false;
}

static bool may_go(const struct dk_engine_host *host) {
  if (!host || !dk_fleet_is_leaving(host)) return false;
  return !host->session || (!has_tasks(host) && (host->engine->n_runs == 0 || is_waited_for(host)));
}

void dk_fleet_let_go(struct dk_engine *engine) {
  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    struct dk_engine_host *host = engine->hosts[i];
    if (!may_go(host)) continue;
    tell_end(host, true);
    dk_fleet_remove(host);
    dk_fleet_tell_where(engine);
  }
}

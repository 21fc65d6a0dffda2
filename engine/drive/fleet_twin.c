/* One machine by two names: see fleet.h. Its agent has one session and closes the one before it; and what one name was
 * given, the other would take for nobody's. So of all names only one comes to the agent's door: who met the place first
 * holds it for as long as its tasks are waited for, also while it is away; then whoever comes next.
 *
 * After a new start it is who had it, as the store knows it: attempts and contents are recorded under that name. */
#include "engine/drive/engine_priv.h"
#include "engine/drive/fleet.h"
#include "engine/drive/judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool had_place(const struct dk_engine_host *host, const char *place) {
  return host->record.place && strcmp(host->record.place, place) == 0;
}

static bool holds(const struct dk_engine_host *other, const struct dk_engine_host *host, const char *place) {
  if (!other || other == host || !other->link) return false;
  if (strcmp(other->met, place) == 0) return true;
  if (other->is_lost) return false;
  /* It has rebooted, say, and this name is there before the other one is. */
  if (host->twin == other && !other->session) return true;
  return !*other->met && had_place(other, place) &&
         (!had_place(host, place) || other->record.number < host->record.number);
}

int dk_fleet_met(void *ctx, const struct dk_host_facts *facts, struct dk_error *error) {
  struct dk_engine_host *host = ctx;
  const struct dk_engine *engine = host->engine;

  if (strcmp(host->met, facts->place) == 0) return 0;
  host->met[0] = '\0';
  for (uint32_t i = 0; *facts->place && i < engine->n_hosts; i++) {
    const struct dk_engine_host *other = engine->hosts[i];
    if (!holds(other, host, facts->place)) continue;
    host->twin = other;
    host->is_turned_away = true;
    if (other->is_left)
      return dk_error_set(error, -EXDEV,
                          "this is the same machine as %s, which no file of providers names any more: it gets tasks "
                          "when what runs there has ended",
                          other->record.name);
    return dk_judge_twin(host->record.provider, other->record.provider, other->record.name, error);
  }
  host->twin = NULL;
  snprintf(host->met, sizeof host->met, "%s", facts->place);
  return 0;
}

bool dk_fleet_is_twin(const struct dk_engine_host *host) {
  return host->twin && !host->twin->is_left;
}

void dk_fleet_leave_place(struct dk_engine_host *host) {
  struct dk_engine *engine = host->engine;

  host->met[0] = '\0';
  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    struct dk_engine_host *other = engine->hosts[i];
    if (!other || other->twin != host) continue;
    other->twin = NULL;
    if (other->link) dk_link_hurry(other->link);
  }
}

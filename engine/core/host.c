/* The table of hosts, and what their silence means. */
#include "engine/core/internal.h"
#include "lang/base/alloc.h"

#include <assert.h>

struct dk_host *dk_host_need(struct dk_core *core, uint32_t number) {
  assert(number < DK_HOSTS_MAX);
  if (number >= core->cap_hosts) {
    uint32_t larger = core->cap_hosts ? core->cap_hosts : 1;
    while (larger <= number) larger *= 2;
    struct dk_host *hosts = dk_realloc_array(core->hosts, larger, sizeof *hosts);
    if (!hosts) {
      core->is_failed = true;
      return NULL;
    }
    core->hosts = hosts;
    uint64_t *place_ns = dk_realloc_array(core->place_ns, larger, sizeof *place_ns);
    if (!place_ns) {
      core->is_failed = true;
      return NULL;
    }
    core->place_ns = place_ns;
    core->cap_hosts = larger;
  }
  while (core->n_hosts <= number) core->hosts[core->n_hosts++] = (struct dk_host){0};
  core->hosts[number].is_known = true;
  return &core->hosts[number];
}

const struct dk_host *dk_host_at(const struct dk_core *core, uint32_t number) {
  assert(number < core->n_hosts && core->hosts[number].is_known);
  return &core->hosts[number];
}

/* Nothing is heard of it, and time runs until it counts as lost. */
static bool is_silent(const struct dk_host *host) {
  return host->is_known && !host->session && !host->is_lost;
}

static uint64_t lost_after(const struct dk_core *core, const struct dk_host *host) {
  return host->lost_after_ns ? host->lost_after_ns : core->policy.lost_after_ns;
}

void dk_host_gap(struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    if (core->hosts[i].is_timed) core->hosts[i].down_since = core->now;
  }
}

/* What it had may be run again. The attempts stay known, in case it comes back with them. */
static void lose(struct dk_core *core, uint32_t number) {
  core->hosts[number].is_lost = true;
  for (uint32_t i = 0; i < core->n_attempts; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    if (attempt->is_used && attempt->host == number && attempt->claim != DK_NONE) dk_session_lose(core, i);
  }
}

void dk_host_pass_time(struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    struct dk_host *host = &core->hosts[i];
    if (!is_silent(host)) continue;
    if (!host->is_timed) {
      host->is_timed = true;
      host->down_since = core->now;
    }
    if (core->now - host->down_since >= lost_after(core, host)) lose(core, i);
  }
}

uint64_t dk_host_deadline(const struct dk_core *core) {
  uint64_t at = UINT64_MAX;
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    const struct dk_host *host = &core->hosts[i];
    if (!is_silent(host) || !host->is_timed || !host->n_living) continue;
    if (host->down_since + lost_after(core, host) < at) at = host->down_since + lost_after(core, host);
  }
  return at;
}

bool dk_core_is_timing(const struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    if (is_silent(&core->hosts[i])) return true;
  }
  return false;
}

/* Nobody waits for it any longer, however short its silence is. */
static void host_removed(struct dk_core *core, uint32_t number) {
  struct dk_host *host = &core->hosts[number];
  host->session = 0;
  host->is_listed = false;
  host->is_removed = true;
  if (!host->is_lost) lose(core, number);
}

/* What has begun goes on. */
static void ask_back(struct dk_core *core, uint32_t number) {
  for (uint32_t i = 0; i < core->n_attempts; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    if (attempt->is_used && attempt->host == number && attempt->claim != DK_NONE) dk_session_revoke(core, i);
  }
}

void dk_host_event(struct dk_core *core, const struct dk_event *event) {
  if (event->kind == DK_EV_HOST_ADDED) {
    struct dk_host *host = dk_host_need(core, event->host);
    if (!host) return;
    host->is_removed = false;
    host->lost_after_ns = event->u.host_added.lost_after_ns;
    if (event->u.host_added.is_leaving) ask_back(core, event->host);
  } else if (event->host < core->n_hosts && core->hosts[event->host].is_known) {
    host_removed(core, event->host);
  }
}

void dk_host_finish(struct dk_core *core) {
  dk_free(core->hosts);
  dk_free(core->place_ns);
}

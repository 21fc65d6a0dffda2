/* Orders that wait at the wrong host. They are kept ahead at each host, so that a slot never waits for a round trip;
 * but one must not wait behind an hour's task while a host that suits it has a free slot that nothing ready can use. It
 * is asked back, when it would start earlier there than where it is. */
#include "engine/core/place.h"

/* Looks for slots that nothing that is ready could be given to; gives the hosts' bits. */
static uint64_t find_spare(struct dk_core *core) {
  uint64_t hosts = 0;
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    struct dk_host *host = &core->hosts[i];
    host->spare = host->capacity && host->booked < host->slots ? host->slots - host->booked : 0;
    if (host->spare) hosts |= dk_place_bit(i);
  }
  return hosts;
}

static bool has_waiting(const struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_runs; i++) {
    if (core->runs[i]->all.queued) return true;
  }
  return false;
}

/* It waits behind others, as far as is known, and may suit one of these hosts. */
static bool is_stuck(const struct dk_core *core, const struct dk_attempt *attempt, uint64_t spare) {
  if (!attempt->is_used || attempt->claim == DK_NONE || attempt->flags & (ATTEMPT_STARTED | ATTEMPT_RECALLED))
    return false;
  const struct dk_host *host = dk_host_at(core, attempt->host);
  const struct dk_claim *claim = &core->claims[attempt->claim];
  return dk_host_is_there(host) && host->booked > host->slots &&
         (claim->placed_in != core->news || claim->suits & spare);
}

/* More orders wait somewhere than have started. */
static bool has_queue(const struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    if (dk_host_is_there(&core->hosts[i]) && core->hosts[i].booked > core->hosts[i].slots) return true;
  }
  return false;
}

/* Looks at all attempts: not in each step, but when one is due, a host has come by spare slots, or there is news. */
static bool is_due(struct dk_core *core, uint64_t spare) {
  bool is_new = spare & ~core->recall_hosts || core->recall_news != core->news;
  if (!is_new && core->now < core->recall_at) return false;
  core->recall_hosts = spare;
  core->recall_news = core->news;
  core->recall_at = core->now + core->policy.recall_ns;
  return true;
}

void dk_recall(struct dk_core *core) {
  uint64_t spare = core->n_hosts > 1 && has_waiting(core) && has_queue(core) ? find_spare(core) : 0;
  if (!spare) {
    core->recall_at = UINT64_MAX;
    core->recall_hosts = 0;
    return;
  }
  if (!is_due(core, spare)) return;
  for (uint32_t i = 0; i < core->n_attempts && !dk_emit_is_full(core); i++) {
    struct dk_attempt *attempt = &core->attempts[i];
    if (!is_stuck(core, attempt, spare)) continue;
    if (attempt->recall_at <= core->now) {
      uint32_t to = dk_place_better(core, attempt);
      attempt->recall_at = core->now + core->policy.recall_ns;
      if (to != DK_NONE) {
        core->hosts[to].spare -= attempt->booked;
        attempt->flags |= ATTEMPT_RECALLED;
        dk_session_revoke(core, i);
        continue;
      }
    }
    if (attempt->recall_at < core->recall_at) core->recall_at = attempt->recall_at;
  }
}

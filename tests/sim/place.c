/* Which tasks suit which hosts, and how far they are: from the seed, by program (tasks that share a key suit the same
 * hosts). Each program has a home that suits it always; at other hosts it may never suit, or from some time on, or
 * until then. Of a mount that a host lacks the world learns when an order is refused there. A host may be removed, and
 * added again. */
#include "lang/base/map.h"
#include "tests/sim/sim.h"

struct rule {
  bool is_never, has_mount;
  uint64_t from, until; /* it suits between these times */
  uint64_t ns;
};

static struct rule rule_of(const struct sim *s, uint64_t program, uint32_t host) {
  struct rule rule = {.has_mount = true, .until = UINT64_MAX};
  struct sim_random of_program = sim_random_of(dk_hash_u64(s->c->seed, program), 9);
  struct sim_random of_host = sim_random_of(dk_hash_u64(s->c->seed, program), 10 + host);
  uint32_t home = sim_below(&of_program, s->c->n_hosts);
  if (!s->c->has_places) return rule;
  if (sim_chance(&of_host, 400)) rule.ns = sim_below(&of_host, sim_chance(&of_host, 500) ? 2000 : 100000) * SIM_MS;
  if (sim_chance(&of_program, 400)) return rule; /* anywhere */
  if (sim_chance(&of_host, 200)) rule.from = s->c->changes[sim_below(&of_host, 4)];
  if (home == host) return rule;
  rule.is_never = sim_chance(&of_host, 300);
  rule.has_mount = !s->c->has_mounts || !sim_chance(&of_host, 400);
  if (sim_chance(&of_host, 300)) rule.until = s->c->changes[sim_below(&of_host, 4)];
  return rule;
}

static bool is_removed(const struct sim *s, uint32_t host) {
  return s->now < s->hosts[host].removed_until;
}

static bool is_refused(const struct sim *s, uint64_t program, uint32_t host) {
  for (uint32_t i = 0; i < s->n_learned; i++) {
    if (s->learned[i].program == program && s->learned[i].host == host) return true;
  }
  return false;
}

uint64_t sim_place_ns(const struct sim *s, uint64_t program, uint32_t host) {
  if (!s->policy.place) return 0;
  struct rule rule = rule_of(s, program, host);
  bool may = !rule.is_never && s->now < rule.until && !is_removed(s, host) && !is_refused(s, program, host);
  return !may ? DK_PLACE_NEVER : s->now < rule.from ? DK_PLACE_NOT_NOW : rule.ns;
}

uint64_t sim_place_since(const struct sim *s, uint64_t program, uint32_t host) {
  struct rule rule = rule_of(s, program, host);
  uint64_t added = s->hosts[host].removed_until;
  if (sim_place_ns(s, program, host) >= DK_PLACE_NOT_NOW) return UINT64_MAX;
  return added > rule.from ? added : rule.from;
}

bool sim_place_is_any(const struct sim *s, uint64_t program) {
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    struct rule rule = rule_of(s, program, i);
    if (rule.is_never || !rule.has_mount || rule.from || rule.until != UINT64_MAX || is_removed(s, i)) return false;
  }
  return true;
}

bool sim_place_has_mount(const struct sim *s, uint64_t program, uint32_t host) {
  return rule_of(s, program, host).has_mount;
}

/* Before the engine hears of the refusal. */
void sim_place_learn(struct sim *s, struct dk_id refused, uint32_t host) {
  if (s->n_learned == sizeof s->learned / sizeof *s->learned) return;
  s->learned[s->n_learned].program = sim_attempt_of(s, refused)->program;
  s->learned[s->n_learned++].host = host;
}

static void place(void *ctx, uint32_t run, uint32_t task, uint32_t n_hosts, uint64_t *ret_ns) {
  struct sim *s = ctx;
  struct sim_run *of = sim_run_of(s, run);
  if (!of || task >= of->plan->graph.n_tasks || n_hosts > s->c->n_hosts) {
    sim_fail(s, "the core asks where task %u of run %u may run, of %u hosts", task, run, n_hosts);
    return;
  }
  bool is_missing = s->c->knows_inputs && sim_copies_are_missing(s, of, task);
  for (uint32_t i = 0; i < n_hosts; i++)
    ret_ns[i] = is_missing ? DK_PLACE_NOT_NOW : sim_place_ns(s, of->plan->tasks[task].program, i);
}

void sim_places_init(struct sim *s) {
  s->policy = s->c->policy;
  if (!s->c->has_places && s->c->seed % 2) return; /* the core does without */
  s->policy.place = place;
  s->policy.place_ctx = s;
  for (uint32_t i = 0; s->c->has_places && i < 4; i++) sim_at(s, s->c->changes[i], EV_PLACES);
}

void sim_places_begin(struct sim *s) {
  s->n_learned = 0;
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    struct dk_event event = {.kind = is_removed(s, i) ? DK_EV_HOST_REMOVED : DK_EV_HOST_ADDED, .host = i};
    sim_engine_push(s, &event, NULL);
  }
}

void sim_host_remove(struct sim *s, struct sim_host *host, uint64_t random) {
  if (s->c->has_mounts || !s->policy.place) return; /* what only it has could run nowhere; or nobody would say so */
  if ((random >> 40) % 4 == 0) {                    /* what waits there is asked back; it stays after all */
    struct dk_event leaving = {.kind = DK_EV_HOST_ADDED, .host = host->number, .u.host_added.is_leaving = true};
    sim_trace(s, "host %u is to leave", host->number);
    sim_engine_push(s, &leaving, NULL);
    return;
  }
  sim_trace(s, "host %u is removed", host->number);
  sim_break(s, host);
  host->removed_until = s->now + 1 + (random >> 20) % (sim_chance(&s->engine, 500) ? SIM_SECOND : 100 * SIM_SECOND);
  if (host->dark_until < host->removed_until) host->dark_until = host->removed_until;
  sim_at_host(s, host, host->removed_until, EV_HOST_ADDED);
  sim_engine_push(s, &(struct dk_event){.kind = DK_EV_HOST_REMOVED, .host = host->number}, NULL);
  if (random % 3 == 0) sim_copies_lose_host(s, host, random);
}

bool sim_is_news(const struct dk_event *event) {
  return event->kind == DK_EV_HOST_ADDED || event->kind == DK_EV_HOST_REMOVED ||
         (event->kind == DK_EV_TICK && !event->u.tick.is_idle);
}

void sim_place_event(struct sim *s, struct sim_event *event) {
  if (event->kind == EV_PLACES)
    sim_engine_push(s, &(struct dk_event){.kind = DK_EV_TICK}, NULL);
  else if (!is_removed(s, event->host))
    sim_engine_push(s, &(struct dk_event){.kind = DK_EV_HOST_ADDED, .host = event->host}, NULL);
}

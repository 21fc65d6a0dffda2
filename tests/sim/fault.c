/* The faults of a case: a list, so that a failing case can be tried with fewer. */
#include "tests/sim/sim.h"

static const char *const names[FAULT_N_KINDS] = {
    [FAULT_ENGINE_KILL] = "engine-kill",
    [FAULT_COMMIT_BEFORE] = "kill-before-commit",
    [FAULT_COMMIT_AFTER] = "kill-after-commit",
    [FAULT_COMMIT_ENOSPC] = "commit-enospc",
    [FAULT_COMMIT_EIO] = "commit-eio",
    [FAULT_COMMIT_SLOW] = "commit-slow",
    [FAULT_FLAP] = "flap",
    [FAULT_DROP] = "drop",
    [FAULT_AGENT_KILL] = "agent-kill",
    [FAULT_KEEPER_KILL] = "keeper-kill",
    [FAULT_KEEPER_LINK] = "keeper-link",
    [FAULT_REBOOT] = "reboot",
    [FAULT_GAP] = "gap",
    [FAULT_DARK] = "dark",
    [FAULT_CANCEL] = "cancel",
    [FAULT_PAUSE] = "pause",
    [FAULT_RESUME] = "resume",
    [FAULT_PRIORITY] = "priority",
    [FAULT_HOST_REMOVED] = "host-removed",
    [FAULT_COPY_LOST] = "copy-lost",
};

const char *sim_fault_name(enum sim_fault_kind kind) {
  return kind < FAULT_N_KINDS ? names[kind] : "none";
}

void sim_faults_make(struct sim *s, uint64_t seed) {
  struct sim_random random = sim_random_of(seed, 2);
  uint32_t span = 20 + sim_case_wanted(s->c) * 8;
  s->n_faults = sim_chance(&random, 100) ? 0 : 1 + sim_below(&random, sim_chance(&random, 200) ? SIM_MAX_FAULTS : 8);
  for (uint32_t i = 0; i < s->n_faults; i++) {
    enum sim_fault_kind kind = (enum sim_fault_kind)sim_below(&random, FAULT_N_KINDS);
    /* Often one soon after another: in the middle of the recovery. */
    uint32_t turn =
        i > 0 && sim_chance(&random, 500) ? s->faults[i - 1].turn + sim_below(&random, 6) : sim_below(&random, span);
    s->faults[i] = (struct sim_fault){.kind = kind, .turn = turn, .random = sim_random_next(&random)};
  }
}

/* What was asked is kept, but the engine never got to it. */
static bool is_killed_then(const struct sim_fault *fault) {
  return (fault->random >> 60) < 3;
}

static bool happen(struct sim *s, const struct sim_fault *fault) {
  sim_trace(s, "fault %s", sim_fault_name(fault->kind));
  uint32_t some = (uint32_t)(fault->random >> 40);
  struct sim_host *host = &s->hosts[(fault->random >> 8) % s->c->n_hosts];
  switch (fault->kind) {
  case FAULT_ENGINE_KILL: return true;
  case FAULT_COMMIT_BEFORE:
  case FAULT_COMMIT_AFTER:
  case FAULT_COMMIT_ENOSPC:
  case FAULT_COMMIT_EIO:
  case FAULT_COMMIT_SLOW: s->commit_fault = fault->kind; break;
  case FAULT_DROP: sim_break(s, host); break;
  case FAULT_FLAP:
    host->flaps = true;
    if (fault->random & 1) sim_break(s, host);
    break;
  case FAULT_AGENT_KILL: sim_agent_kill(s, host); break;
  case FAULT_KEEPER_KILL: sim_keeper_kill(s, host, some % host->slots); break;
  case FAULT_KEEPER_LINK: sim_keeper_unlink(s, host, some % host->slots); break;
  case FAULT_REBOOT: sim_reboot(s, host, fault->random); break;
  case FAULT_GAP: s->asleep_until = s->now + (16 + some % 200) * SIM_SECOND; break;
  case FAULT_DARK:
    sim_break(s, host);
    host->dark_until = s->now + some % 150 * SIM_SECOND;
    if (fault->random % 5 == 0) sim_ask_some(s, DK_EV_CANCEL, fault->random); /* somebody gives up on it */
    break;
  case FAULT_CANCEL: sim_ask_some(s, DK_EV_CANCEL, fault->random); return is_killed_then(fault);
  case FAULT_PAUSE: sim_ask_some(s, DK_EV_PAUSE, fault->random); return is_killed_then(fault);
  case FAULT_RESUME: sim_ask_some(s, DK_EV_RESUME, fault->random); return is_killed_then(fault);
  case FAULT_PRIORITY: sim_ask_some(s, DK_EV_PRIORITY, fault->random); return is_killed_then(fault);
  case FAULT_HOST_REMOVED: sim_host_remove(s, host, fault->random); break;
  case FAULT_COPY_LOST: sim_copies_lose_some(s, fault->random); break;
  case FAULT_N_KINDS: break;
  }
  return false;
}

bool sim_faults_do(struct sim *s) {
  bool is_killed = false;
  for (uint32_t i = 0; i < s->n_faults; i++) {
    if (s->faults[i].is_done || s->faults[i].turn > s->turns) continue;
    s->faults[i].is_done = true;
    is_killed |= happen(s, &s->faults[i]);
  }
  return is_killed;
}

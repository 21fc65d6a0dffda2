/* How a run stands: see phase.h. */
#include "engine/report/phase.h"

#include "engine/report/row.h"
#include "engine/store/asked.h"

struct pauses {
  bool is_all;     /* the last word about all of the run counts */
  int64_t n_tasks; /* paused since then, less those that were resumed */
};

static int see_ask(void *ctx, uint32_t n, const struct dk_ask *asked) {
  struct pauses *pauses = ctx;

  (void)n;
  if (asked->kind != DK_EV_PAUSE && asked->kind != DK_EV_RESUME) return 0;
  if (asked->n_ranges == 0) *pauses = (struct pauses){.is_all = asked->kind == DK_EV_PAUSE};
  for (uint32_t i = 0; i < asked->n_ranges; i++) {
    int64_t tasks = (int64_t)asked->ranges[2 * i + 1] - asked->ranges[2 * i];
    pauses->n_tasks += asked->kind == DK_EV_PAUSE ? tasks : -tasks;
  }
  return 0;
}

enum dk_run_pause dk_run_pause(struct dk_store *store, uint32_t run) {
  struct pauses pauses = {0};
  struct dk_asked_run asked;

  if (dk_store_get_asked_run(store, run, &asked, NULL) == 0) {
    pauses.is_all = asked.is_paused;
    dk_asked_run_finish(&asked);
  }
  dk_store_each_ask(store, run, see_ask, &pauses, NULL);
  return pauses.is_all ? DK_PAUSE_ALL : pauses.n_tasks > 0 ? DK_PAUSE_SOME : DK_PAUSE_NONE;
}

/* A number 0 for the lock's or the record's process: it is not known, and one engine at a time is enough to go by. */
static bool has_engine(const struct dk_run *run, bool is_alive, uint32_t engine) {
  return is_alive && (engine == 0 || run->engine_pid == 0 || run->engine_pid == engine);
}

enum dk_run_phase dk_run_phase(struct dk_store *store, const struct dk_run *run, bool is_alive, uint32_t engine) {
  struct dk_asked_run asked;

  if (run->state != DK_RUN_RUNNING) return DK_PHASE_ENDED;
  bool is_known = dk_store_get_asked_run(store, run->number, &asked, NULL) == 0;
  bool goes_on = is_known && !asked.is_foreground;
  if (is_known) dk_asked_run_finish(&asked);
  if (!has_engine(run, is_alive, engine)) return goes_on ? DK_PHASE_STOPPED : DK_PHASE_INTERRUPTED;
  return dk_run_pause(store, run->number) == DK_PAUSE_ALL ? DK_PHASE_PAUSED : DK_PHASE_RUNNING;
}

const char *dk_run_phase_word(const struct dk_run *run, enum dk_run_phase phase) {
  switch (phase) {
  case DK_PHASE_ENDED: return dk_run_state_word(run->state);
  case DK_PHASE_RUNNING: return "running";
  case DK_PHASE_PAUSED: return "paused";
  case DK_PHASE_STOPPED: return "stopped";
  case DK_PHASE_INTERRUPTED: return "interrupted";
  }
  return "unknown";
}

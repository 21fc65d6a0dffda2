/* How a run stands: see phase.h. */
#include "engine/report/phase.h"

#include "engine/report/row.h"
#include "engine/store/asked.h"

/* The last word about all of the run counts. */
static int see_ask(void *ctx, uint32_t n, const struct dk_ask *asked) {
  bool *is_paused = ctx;

  (void)n;
  if (asked->n_ranges == 0 && (asked->kind == DK_EV_PAUSE || asked->kind == DK_EV_RESUME))
    *is_paused = asked->kind == DK_EV_PAUSE;
  return 0;
}

/* A number 0 for the lock's or the record's process: it is not known, and one engine at a time is enough to go by. */
static bool has_engine(const struct dk_run *run, bool is_alive, uint32_t engine) {
  return is_alive && (engine == 0 || run->engine_pid == 0 || run->engine_pid == engine);
}

enum dk_run_phase dk_run_phase(struct dk_store *store, const struct dk_run *run, bool is_alive, uint32_t engine) {
  struct dk_asked_run asked;

  if (run->state != DK_RUN_RUNNING) return DK_PHASE_ENDED;
  bool is_known = dk_store_get_asked_run(store, run->number, &asked, NULL) == 0;
  bool is_paused = is_known && asked.is_paused, goes_on = is_known && !asked.is_foreground;
  if (is_known) dk_asked_run_finish(&asked);
  if (!has_engine(run, is_alive, engine)) return goes_on ? DK_PHASE_STOPPED : DK_PHASE_INTERRUPTED;
  dk_store_each_ask(store, run->number, see_ask, &is_paused, NULL);
  return is_paused ? DK_PHASE_PAUSED : DK_PHASE_RUNNING;
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

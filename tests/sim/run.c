/* One case: see run.h. Engines live one after another until all runs are over. */
#include "tests/sim/run.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void *sim_need(void *memory) {
  assert(memory);
  return memory;
}

void sim_fail(struct sim *s, const char *format, ...) {
  if (sim_has_failed(s)) return;
  va_list ap;
  va_start(ap, format);
  vsnprintf(s->failure, sizeof s->failure, format, ap);
  va_end(ap);
  sim_trace(s, "FAILED: %s", s->failure);
}

void sim_trace(struct sim *s, const char *format, ...) {
  if (!s->trace) return;
  va_list ap;
  va_start(ap, format);
  printf("%6u %12.3f ms  ", s->turns, (double)s->now / 1e6);
  vprintf(format, ap);
  printf("\n");
  va_end(ap);
}

static void init(struct sim *s, const struct sim_case *c, const struct sim_choice *choice) {
  memset(s, 0, sizeof *s);
  s->c = c;
  s->trace = choice->trace;
  s->now = SIM_SECOND;
  s->net = sim_random_of(c->seed, 3);
  s->tasks = sim_random_of(c->seed, 4);
  s->disk = sim_random_of(c->seed, 5);
  s->engine = sim_random_of(c->seed, 6);
  sim_runs_init(s);
  sim_faults_make(s, c->seed);
  for (uint32_t i = 0; i < s->n_faults; i++) s->faults[i].is_done = !(choice->faults >> i & 1);
  sim_hosts_init(s);
  sim_places_init(s);
}

static void finish(struct sim *s) {
  struct sim_event event;
  while (sim_pop(s, UINT64_MAX, &event)) dk_buf_finish(&event.bytes);
  sim_hosts_finish(s);
  dk_free(s->heap);
  dk_free(s->attempts);
  dk_free(s->keys);
  dk_free(s->ids);
  sim_runs_finish(s);
}

/* No engine for a while; the host goes on. */
static void pass_time(struct sim *s) {
  uint64_t until = s->now + (sim_chance(&s->engine, 800) ? sim_below(&s->engine, 500) * SIM_MS
                                                         : sim_below(&s->engine, 200) * SIM_SECOND);
  struct sim_event event;
  while (!sim_has_failed(s) && sim_pop(s, until, &event)) {
    if (event.at > s->now) s->now = event.at;
    sim_happen(s, &event);
  }
  s->now = until;
}

static void add_totals(struct sim_totals *to, const struct sim *s) {
  to->cases++;
  to->turns += s->turns;
  to->lives += s->engine_epoch;
  to->runs += s->last_run;
  for (uint32_t i = 0; i < s->n_ids; i++) to->attempts += s->ids[i].started;
  to->tasks += sim_case_wanted(s->c);
  for (uint32_t i = 0; i < s->n_faults; i++) to->faults[s->faults[i].kind]++;
}

bool sim_run_case(const struct sim_choice *choice, struct sim_totals *totals, char *ret_failure, uint32_t *ret_faults) {
  static struct sim s; /* large */
  struct sim_case c;
  sim_case_init(&c, choice->seed, &choice->limits);
  init(&s, &c, choice);
  for (;;) {
    int r = sim_engine_run(&s);
    if (sim_has_failed(&s)) break;
    if (r == 0) break;
    if (s.engine_epoch > 3 * SIM_MAX_FAULTS) sim_fail(&s, "%u engines did not come to an end", s.engine_epoch);
    pass_time(&s);
    if (sim_has_failed(&s)) break;
  }
  if (totals) add_totals(totals, &s);
  *ret_faults = s.n_faults;
  memcpy(ret_failure, s.failure, sizeof s.failure);
  finish(&s);
  sim_case_finish(&c);
  return ret_failure[0] == 0;
}

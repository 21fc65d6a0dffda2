/* A compiled experiment, a store and objects in a temporary directory, and a run written into them as the engine
 * does. */
#ifndef DK_TESTS_REPORT_FIXTURE_H
#define DK_TESTS_REPORT_FIXTURE_H

#include "engine/report/row.h"
#include "lang/lang.h"

struct fixture {
  char dir[64];
  struct dk_load *load;
  const struct dk_plan *plan;
  struct dk_store *store;
  struct dk_objects objects;
};

/* Two points by two of `train`, picked from by `best`, which `final` uses; `make` before all. Ids: make t1, train
 * t2..t5, best and final after them. */
extern const char fixture_small[];

void fixture_init(struct fixture *f, const char *text);
void fixture_finish(struct fixture *f);

/* Run `number` with the pin of the plan. */
void fixture_put_run(struct fixture *f, uint32_t number, enum dk_run_state state);
/* With n_tasks in its record: 0 until the engine ends it. */
void fixture_put_run_of(struct fixture *f, uint32_t number, enum dk_run_state state, uint32_t n_tasks);

struct fixture_task {
  uint32_t task;
  enum dk_task_state state;
  enum dk_cause cause;
  int32_t code;
  const char *
      /* DONE, CACHED: values as written, comma-separated in the template's order, "" is a missing one; NULL: none
       * kept */
      metrics;
  const char *text; /* FAILED: the agent's words */
  const char *out, *err;
};
void fixture_put_task(struct fixture *f, uint32_t run, const struct fixture_task *task);
void fixture_put_choice(struct fixture *f, uint32_t run, uint32_t pick_task, uint32_t row, double score, uint32_t n);
uint32_t fixture_task_of(const struct fixture *f, const char *template_name, uint32_t row);

#endif

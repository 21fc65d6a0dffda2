/* A file is run again, edited, while an earlier run of it goes on: what both ask for is shared by its key; what only
 * the earlier one asks for is told, and ended when that is wanted. Tasks are compared by their names. */
#include "engine/drive/engine_priv.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define SHOWN 5u

struct names {
  const struct dk_plan *plan;
  struct dk_map map; /* of task numbers, by the hash of their names */
};

static bool has_name(const void *ctx, uint32_t task, const void *key) {
  const struct names *names = ctx;
  dk_autobuf name = DK_BUF_INIT;

  dk_plan_task_name(names->plan, task, &name);
  return strcmp(dk_buf_text(&name), key) == 0;
}

static int collect(struct names *names) {
  dk_autobuf name = DK_BUF_INIT;
  int r = 0;

  dk_map_init(&names->map, NULL);
  for (uint32_t task = 0; r == 0 && task < names->plan->graph.n_tasks; task++) {
    dk_buf_clear(&name);
    dk_plan_task_name(names->plan, task, &name);
    r = dk_buf_ok(&name) ? dk_map_add(&names->map, dk_hash_bytes(dk_buf_text(&name), name.len, 0), task) : -ENOMEM;
  }
  return r;
}

static int add_range(struct dk_ask *ask, uint32_t *cap, uint32_t task) {
  if (ask->n_ranges && ask->ranges[2 * ask->n_ranges - 1] == task) {
    ask->ranges[2 * ask->n_ranges - 1]++;
    return 0;
  }
  if (ask->n_ranges == *cap) {
    uint32_t larger = *cap ? 2 * *cap : 16;
    uint32_t *ranges = dk_realloc_array(ask->ranges, 2 * (size_t)larger, sizeof *ranges);
    if (!ranges) return -ENOMEM;
    ask->ranges = ranges;
    *cap = larger;
  }
  ask->ranges[2 * ask->n_ranges] = task;
  ask->ranges[2 * ask->n_ranges++ + 1] = task + 1;
  return 0;
}

/* The unfinished tasks of a run whose names the new plan does not have. Picks go with what they choose from. */
static int find_dropped(const struct dk_engine *engine, const struct dk_engine_run *old, const struct names *names,
                        struct dk_ask *ask, uint32_t *ret_n, struct dk_buf *shown) {
  const struct dk_plan *plan = old->plan;
  dk_autobuf name = DK_BUF_INIT;
  uint32_t cap = 0;
  int r = 0;

  for (uint32_t task = 0; r == 0 && task < plan->graph.n_tasks; task++) {
    if (dk_task_state_is_end(dk_core_task_state(engine->core, old->record.number, task))) continue;
    dk_buf_clear(&name);
    dk_plan_task_name(plan, task, &name);
    if (!dk_buf_ok(&name)) return -ENOMEM;
    if (dk_map_find(&names->map, dk_hash_bytes(dk_buf_text(&name), name.len, 0), has_name, names, dk_buf_text(&name)) !=
        DK_MAP_NONE)
      continue;
    r = add_range(ask, &cap, task);
    if ((*ret_n)++ < SHOWN) {
      dk_buf_add_text(shown, "\n  ");
      dk_buf_add_escaped(shown, dk_buf_text(&name), name.len);
    }
  }
  if (*ret_n > SHOWN) dk_buf_printf(shown, "\n  and %u more", *ret_n - SHOWN);
  return r;
}

static int supersede(struct dk_engine *engine, const struct dk_engine_run *old, const struct names *names, bool prune,
                     struct dk_buf *out, struct dk_error *error) {
  struct dk_ask ask = {.kind = DK_EV_CANCEL};
  dk_autobuf shown = DK_BUF_INIT;
  uint32_t n = 0;
  int r = find_dropped(engine, old, names, &ask, &n, &shown);

  if (r == 0 && n > 0) {
    dk_buf_printf(out, "%u task%s of run %u %s no longer asked for%s:%s\n", n, n == 1 ? "" : "s", old->record.number,
                  n == 1 ? "is" : "are", prune ? ", and ended" : " but go on (--prune ends them)", dk_buf_text(&shown));
    if (prune) r = dk_engine_ask(engine, old->record.number, &ask, error);
  }
  dk_ask_finish(&ask);
  return r == -ENOMEM ? dk_error_system(error, r, "comparing with run %u", old->record.number) : r;
}

int dk_engine_supersede(struct dk_engine *engine, const struct dk_engine_run *by, bool prune, struct dk_buf *out,
                        struct dk_error *error) {
  struct names names = {.plan = by->plan};
  bool has_names = false;
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < engine->n_runs; i++) {
    const struct dk_engine_run *old = engine->runs[i];
    if (old == by || old->is_over || old->is_cancelled || strcmp(old->record.file, by->record.file) != 0) continue;
    if (!has_names) r = collect(&names);
    has_names = true;
    if (r == -ENOMEM) dk_error_system(error, r, "comparing with run %u", old->record.number);
    if (r == 0) r = supersede(engine, old, &names, prune, out, error);
  }
  if (has_names) dk_map_finish(&names.map);
  return r;
}

/* core_bench: how long the core itself takes for a task and how much memory, without any I/O: an agent with many slots
 * that ends everything at once, a store that is always durable. Prints; judges nothing but that every task ends.
 *
 *   core_bench [TASKS]     default 1,000,000: as many tasks, a fan-in of all of them, and as many behind that */
#include "engine/core/core.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct answers {
  struct dk_event *events;
  size_t n, cap;
};

static void answer(struct answers *a, const struct dk_event *event) {
  if (a->n == a->cap) {
    a->cap = a->cap ? a->cap * 2 : 4096;
    a->events = realloc(a->events, a->cap * sizeof *a->events);
    if (!a->events) abort();
  }
  a->events[a->n++] = *event;
}

/* Two hosts: the tasks of node 0 suit host 0 alone, the others host 1. */
struct halves {
  uint32_t n_first;    /* tasks of node 0 */
  struct answers late; /* what runs on host 0 ends when nothing else is left to do */
  uint64_t n_asked;
};

static void place(void *ctx, uint32_t run, uint32_t task, uint32_t n_hosts, uint64_t *ret_ns) {
  struct halves *halves = ctx;
  (void)run;
  for (uint32_t i = 0; i < n_hosts; i++) ret_ns[i] = (task < halves->n_first) == (i == 0) ? 0 : DK_PLACE_NEVER;
  halves->n_asked++;
}

/* What the world answers to each action. `is_hit`: everything is in the cache. */
static void answer_all(const struct dk_out *out, struct answers *a, bool is_hit, struct halves *halves,
                       uint64_t *agent_seq) {
  for (uint32_t i = 0; i < out->n_actions; i++) {
    const struct dk_action *action = &out->actions[i];
    struct dk_event event;
    memset(&event, 0, sizeof event);
    event.session = 1;
    event.task = action->task;
    event.id = action->id;
    event.host = action->host;
    switch (action->kind) {
    case DK_ACT_LOOKUP:
      event.kind = DK_EV_LOOKED_UP;
      event.run = 1;
      event.u.looked_up.answer = is_hit ? DK_LOOKUP_HIT : DK_LOOKUP_MISS;
      event.u.looked_up.key = (struct dk_digest){{0}};
      uint64_t mixed = (action->task + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
      memcpy(event.u.looked_up.key.bytes, &mixed, sizeof mixed);
      break;
    case DK_ACT_ASSIGN:
      event.kind = DK_EV_ENDED;
      event.u.ended.seq = ++*agent_seq;
      event.u.ended.cause = DK_CAUSE_OK;
      event.u.ended.bytes = "result";
      event.u.ended.len = 6;
      break;
    case DK_ACT_LIST: event.kind = DK_EV_HAS_END; break;
    default: continue;
    }
    answer(halves && action->kind == DK_ACT_ASSIGN && action->host == 0 ? &halves->late : a, &event);
  }
}

static void swap(struct answers *a, struct answers *b) {
  struct answers swapped = *a;
  *a = *b;
  *b = swapped;
}

static bool run(const struct dk_graph *graph, const char *name, bool is_hit, struct halves *halves) {
  struct dk_core_policy policy;
  struct dk_core *core;
  struct dk_out out = {0};
  struct answers todo = {0}, next = {0};
  uint64_t agent_seq = 0, clock = 1, seq = 1;
  uint64_t records = 0, steps = 0;
  dk_core_policy_default(&policy);
  if (halves) policy.place = place;
  policy.place_ctx = halves;
  size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  double start = now();
  if (dk_core_create(&core, &policy, 7, 7) < 0 ||
      dk_core_add_run(core, &(struct dk_core_run_options){.run = 1, .graph = graph}) < 0)
    abort();
  double built = now();
  size_t bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
  answer(&todo, &(struct dk_event){.kind = DK_EV_AGENT_UP, .session = 1, .u.agent_up.slots = 64});
  if (halves)
    answer(&todo, &(struct dk_event){.kind = DK_EV_AGENT_UP, .host = 1, .session = 1, .u.agent_up.slots = 64});
  answer(&todo, &(struct dk_event){.kind = DK_EV_START, .run = 1});
  while (todo.n > 0 || out.more || (halves && halves->late.n > 0)) {
    if (todo.n == 0 && !out.more) swap(&todo, &halves->late);
    if (todo.n == 0) answer(&todo, &(struct dk_event){.kind = DK_EV_TICK});
    for (size_t i = 0; i < todo.n; i++) {
      if (dk_core_step(core, clock++, seq, &todo.events[i], &out) < 0) abort();
      steps++;
      if (out.n_records < 256) continue;
      answer_all(&out, &next, is_hit, halves, &agent_seq);
      records += out.n_records;
      bool more = out.more;
      dk_out_clear(&out);
      out.more = more;
      seq++;
    }
    answer_all(&out, &next, is_hit, halves, &agent_seq);
    records += out.n_records;
    bool more = out.more;
    dk_out_clear(&out);
    out.more = more;
    seq++;
    swap(&todo, &next);
    next.n = 0;
  }
  double ended = now();
  struct dk_core_counts counts;
  dk_core_counts(core, 1, UINT32_MAX, &counts);
  uint32_t done = counts.by_state[DK_TASK_DONE] + counts.by_state[DK_TASK_CACHED];
  printf("%-28s %9u tasks  build %6.1f ns  run %7.1f ns a task (%llu steps, %llu records)  %5.1f bytes a task\n", name,
         graph->n_tasks, (built - start) * 1e9 / graph->n_tasks, (ended - built) * 1e9 / graph->n_tasks,
         (unsigned long long)steps, (unsigned long long)records, (double)bytes / graph->n_tasks);
  if (halves)
    printf("%-28s %9.1f times a task the world is asked where it may run\n", "",
           (double)halves->n_asked / graph->n_tasks);
  dk_core_destroy(core);
  dk_out_finish(&out);
  free(todo.events);
  free(next.events);
  return done == graph->n_tasks;
}

int main(int argc, char **argv) {
  uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
  uint32_t *off = calloc(n / 10 + 2, sizeof *off), *list = calloc(n + 10, sizeof *list),
           groups = n / 10 + (n % 10 != 0);
  if (n == 0 || !off || !list) return 2;
  for (uint32_t i = 0; i < n; i++) list[i] = i;
  for (uint32_t g = 0; g <= groups; g++) off[g] = g * 10 < n ? g * 10 : n;
  struct dk_edge all = {.kind = DK_EDGE_ALL, .producer = 0}, one = {.kind = DK_EDGE_ONE, .producer = 1};
  struct dk_edge same = {.kind = DK_EDGE_SAME, .producer = 0};
  struct dk_edge gather = {.kind = DK_EDGE_GATHER, .producer = 0, .off = off, .list = list, .n_groups = groups};
  struct dk_graph_node fan[3] = {{.rows = n, .first = 0, .cpus = 1},
                                 {.rows = 1, .first = n, .n_edges = 1, .edges = &all, .cpus = 1},
                                 {.rows = n, .first = n + 1, .n_edges = 1, .edges = &one, .cpus = 1}};
  struct dk_graph_node pairs[3] = {{.rows = n, .first = 0, .cpus = 1},
                                   {.rows = n, .first = n, .n_edges = 1, .edges = &same, .cpus = 1},
                                   {.rows = groups, .first = 2 * n, .n_edges = 1, .edges = &gather, .cpus = 1}};
  struct dk_graph first = {.n_nodes = 3, .n_tasks = 2 * n + 1, .nodes = fan};
  struct dk_graph_node alone[2] = {{.rows = n, .first = 0, .cpus = 1}, {.rows = n, .first = n, .cpus = 1}};
  struct dk_graph third = {.n_nodes = 2, .n_tasks = 2 * n, .nodes = alone};
  struct halves halves = {.n_first = n};
  struct dk_graph second = {.n_nodes = 3, .n_tasks = 2 * n + groups, .nodes = pairs};
  bool ok = run(&first, "fan-in, fan-out: all run", false, NULL) &&
            run(&first, "fan-in, fan-out: all cached", true, NULL) &&
            run(&second, "same, gather of 10: all run", false, NULL) &&
            run(&third, "half waits for a busy host", false, &halves);
  free(halves.late.events);
  free(off);
  free(list);
  return !ok;
}

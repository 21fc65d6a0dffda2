/* Random cases: see case.h. */
#include "tests/sim/case.h"
#include "lang/base/alloc.h"
#include "lang/base/map.h"

#include <assert.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static void *need(void *memory) {
  assert(memory); /* the simulator is a test: no memory, no test */
  return memory;
}

static uint32_t *numbers(uint32_t n) {
  return need(dk_calloc(n ? n : 1, sizeof(uint32_t)));
}

/* --- edges --- */

static void make_map(struct sim_random *random, struct dk_edge *edge, uint32_t rows, uint32_t range, bool may_be_none) {
  uint32_t *map = numbers(rows);
  bool rises = sim_chance(random, 400);
  for (uint32_t i = 0; i < rows; i++) {
    map[i] = rises ? (uint32_t)((uint64_t)i * range / rows) : sim_below(random, range);
    if (!rises && may_be_none && sim_chance(random, 150)) map[i] = DK_NO_ROW;
  }
  edge->map = map;
}

static void make_groups(struct sim_random *random, struct dk_edge *edge, uint32_t producer_rows) {
  bool is_partition = sim_chance(random, 600);
  uint32_t *off = numbers(edge->n_groups + 1), *list = numbers(producer_rows * edge->n_groups), n = 0;
  for (uint32_t g = 0; g < edge->n_groups; g++) {
    off[g] = n;
    for (uint32_t row = 0; row < producer_rows; row++) {
      if (is_partition ? row % edge->n_groups == g : sim_chance(random, 400)) list[n++] = row;
    }
  }
  off[edge->n_groups] = n;
  edge->off = off;
  edge->list = list;
}

static void make_edge(struct sim_random *random, struct dk_edge *edge, uint32_t rows, uint32_t producer_rows) {
  switch (sim_below(random, 5)) {
  case 0: edge->kind = producer_rows ? DK_EDGE_ONE : DK_EDGE_ALL; break;
  case 1: edge->kind = rows == producer_rows ? DK_EDGE_SAME : DK_EDGE_ALL; break;
  case 2:
    if (producer_rows == 0) {
      edge->kind = DK_EDGE_ALL;
      break;
    }
    edge->kind = DK_EDGE_MAP;
    make_map(random, edge, rows, producer_rows, true);
    break;
  case 3: edge->kind = DK_EDGE_ALL; break;
  default:
    edge->kind = DK_EDGE_GATHER;
    edge->n_groups = sim_chance(random, 500) ? rows : 1 + sim_below(random, 4);
    if (edge->n_groups != rows || sim_chance(random, 300)) make_map(random, edge, rows, edge->n_groups, true);
    make_groups(random, edge, producer_rows);
    break;
  }
  if (edge->kind == DK_EDGE_ALL || edge->kind == DK_EDGE_GATHER) edge->skip_failed = sim_chance(random, 300);
}

/* --- nodes --- */

static uint32_t random_rows(struct sim_random *random, uint32_t most) {
  uint32_t rows = sim_chance(random, 30)    ? 0
                  : sim_chance(random, 300) ? 1
                  : sim_chance(random, 80)  ? 1 + sim_below(random, 60)
                                            : 1 + sim_below(random, 8);
  return rows < most ? rows : most;
}

/* plan->order lists the nodes so that each comes after what it needs; their numbers need not rise. */
static void make_nodes(struct sim_plan *plan, struct sim_random *random, uint32_t max_rows) {
  struct dk_graph_node *nodes = need(dk_calloc(plan->graph.n_nodes, sizeof *nodes));
  const uint32_t *order = plan->order;
  plan->graph.nodes = nodes;
  uint32_t same = 1 + sim_below(random, 6);
  for (uint32_t k = 0; k < plan->graph.n_nodes; k++) {
    struct dk_graph_node *node = &nodes[order[k]];
    node->rows = sim_chance(random, 400) ? (same < max_rows ? same : max_rows) : random_rows(random, max_rows);
    node->kind = k > 0 && sim_chance(random, 120) ? DK_NODE_PICK : DK_NODE_TASK;
    node->cpus = sim_chance(random, 200) ? 1 + sim_below(random, 4) : 1;
    node->at_once = sim_chance(random, 150) ? 1 + sim_below(random, 3) : 0;
    node->retry = (struct dk_retry){.lost = 250, .oom = 2, .other = 2, .n_exit = 1, .exit = {75}};
    uint32_t n = k ? sim_below(random, 4) : 0;
    struct dk_edge *edges = need(dk_calloc(n ? n : 1, sizeof *edges));
    for (uint32_t e = 0; e < n; e++) {
      edges[e].producer = order[sim_below(random, k)];
      make_edge(random, &edges[e], node->rows, nodes[edges[e].producer].rows);
    }
    node->n_edges = n;
    node->edges = edges;
  }
  for (uint32_t i = 0; i < plan->graph.n_nodes; i++) {
    nodes[i].first = plan->graph.n_tasks;
    plan->graph.n_tasks += nodes[i].rows;
  }
}

static void make_task(struct sim_task *task, struct sim_random *random, uint32_t failing, uint64_t pace) {
  task->duration_ns = sim_chance(random, 30) ? sim_below(random, 200) * SECOND : sim_random_next(random) % pace;
  task->bad_ends = 1 + sim_below(random, 2);
  if (!sim_chance(random, failing)) return;
  static const enum sim_habit habits[] = {HABIT_EXIT,     HABIT_TRANSIENT, HABIT_TRANSIENT, HABIT_OOM,  HABIT_STUBBORN,
                                          HABIT_STUBBORN, HABIT_SIGNAL,    HABIT_TIMEOUT,   HABIT_WHEN, HABIT_BAD};
  task->habit = habits[sim_below(random, sizeof habits / sizeof *habits)];
}

/* A task that an earlier plan has too, NULL: it has none. */
static const struct sim_task *known_task(const struct sim_case *c, struct sim_random *random, uint32_t shape) {
  const struct sim_plan *plan = &c->plans[sim_below(random, shape)];
  return plan->graph.n_tasks ? &plan->tasks[sim_below(random, plan->graph.n_tasks)] : NULL;
}

static void make_tasks(struct sim_case *c, struct sim_plan *plan, struct sim_random *random, uint32_t shape) {
  uint32_t failing = sim_chance(random, 500) ? 0 : 20 + sim_below(random, 200);
  uint32_t sharing = sim_chance(random, 500) ? 0 : sim_below(random, 600);
  uint32_t knowing = shape == 0 || sim_chance(random, 300) ? 0 : sim_below(random, 900);
  static const uint64_t paces[] = {MS, 20 * MS, 300 * MS, 10 * SECOND};
  uint64_t pace = paces[sim_below(random, 4)];
  plan->tasks = need(dk_calloc(plan->graph.n_tasks ? plan->graph.n_tasks : 1, sizeof *plan->tasks));
  for (uint32_t i = 0; i < plan->graph.n_tasks; i++) {
    const struct sim_task *known = sim_chance(random, knowing) ? known_task(c, random, shape) : NULL;
    if (known) {
      plan->tasks[i] = *known;
    } else if (i > 0 && sim_chance(random, sharing)) {
      plan->tasks[i] = plan->tasks[i - 1];
    } else {
      plan->tasks[i].program = (uint64_t)shape << 32 | i;
      make_task(&plan->tasks[i], random, failing, pace);
    }
  }
  for (uint32_t i = 0; i < plan->graph.n_tasks; i++) {
    struct sim_random of_program = sim_random_of(dk_hash_u64(c->seed, plan->tasks[i].program), 13);
    plan->tasks[i].wavers = c->has_wavering && sim_chance(&of_program, 400);
    plan->tasks[i].is_wanted = true;
  }
}

static uint32_t rows_of(const struct sim_plan *plan, const struct dk_edge *edge, uint32_t row, uint32_t *ret_first,
                        const uint32_t **ret_list) {
  if (plan->graph.nodes[edge->producer].rows == 0) return 0;
  return dk_edge_rows(&plan->graph, edge, row, ret_first, ret_list);
}

/* A selection, closed over what it needs: the order backwards. */
static void select_some(struct sim_plan *plan, struct sim_random *random) {
  if (!sim_chance(random, 250)) return;
  for (uint32_t i = 0; i < plan->graph.n_tasks; i++) plan->tasks[i].is_wanted = sim_chance(random, 300);
  for (uint32_t k = plan->graph.n_nodes; k-- > 0;) {
    const struct dk_graph_node *node = &plan->graph.nodes[plan->order[k]];
    for (uint32_t row = 0; row < node->rows; row++) {
      if (!plan->tasks[node->first + row].is_wanted) continue;
      for (uint32_t e = 0; e < node->n_edges; e++) {
        uint32_t first = 0;
        const uint32_t *list = NULL;
        uint32_t n = rows_of(plan, &node->edges[e], row, &first, &list);
        for (uint32_t i = 0; i < n; i++) {
          plan->tasks[plan->graph.nodes[node->edges[e].producer].first + (list ? list[i] : first + i)].is_wanted = true;
        }
      }
    }
  }
  plan->wanted = need(dk_calloc(plan->graph.n_tasks / 8 + 1, 1));
  for (uint32_t i = 0; i < plan->graph.n_tasks; i++) {
    if (plan->tasks[i].is_wanted) plan->wanted[i / 8] = (uint8_t)(plan->wanted[i / 8] | 1u << (i % 8));
  }
}

/* --- keys, and what must come out --- */

bool sim_plan_is_pick(const struct sim_plan *plan, uint32_t task) {
  uint32_t row;
  return plan->graph.nodes[dk_graph_node_of(&plan->graph, task, &row)].kind == DK_NODE_PICK;
}

void sim_plan_needs(const struct sim_plan *plan, uint32_t task, uint8_t *ret) {
  uint32_t row;
  const struct dk_graph_node *node = &plan->graph.nodes[dk_graph_node_of(&plan->graph, task, &row)];
  for (uint32_t e = 0; e < node->n_edges; e++) {
    uint32_t first = 0;
    const uint32_t *list = NULL;
    uint32_t n = rows_of(plan, &node->edges[e], row, &first, &list);
    for (uint32_t i = 0; i < n; i++)
      ret[plan->graph.nodes[node->edges[e].producer].first + (list ? list[i] : first + i)] = 1;
  }
}

/* Calls over everything a task needs: adds facts to the hasher, finds the first good one. */
static bool gather(const struct sim_plan *plan, uint32_t task, const struct dk_digest *const *facts,
                   struct dk_hasher *hasher, const struct dk_digest **ret_first) {
  uint32_t row;
  const struct dk_graph_node *node = &plan->graph.nodes[dk_graph_node_of(&plan->graph, task, &row)];
  *ret_first = NULL;
  for (uint32_t e = 0; e < node->n_edges; e++) {
    const struct dk_edge *edge = &node->edges[e];
    uint32_t first = 0;
    const uint32_t *list = NULL;
    uint32_t n = rows_of(plan, edge, row, &first, &list);
    dk_hasher_add_u64(hasher, n);
    for (uint32_t i = 0; i < n; i++) {
      const struct dk_digest *fact = facts[plan->graph.nodes[edge->producer].first + (list ? list[i] : first + i)];
      if (!fact && !edge->skip_failed) return false;
      if (fact && !*ret_first) *ret_first = fact;
      dk_hasher_add_bytes(hasher, fact, fact ? sizeof *fact : 0);
    }
  }
  return true;
}

bool sim_plan_key(const struct sim_plan *plan, uint32_t task, const struct dk_digest *const *facts,
                  struct dk_digest *ret) {
  struct dk_hasher hasher;
  const struct dk_digest *first;
  dk_hasher_init(&hasher);
  dk_hasher_add_u64(&hasher, plan->tasks[task].program);
  if (!gather(plan, task, facts, &hasher, &first)) return false;
  dk_hasher_get(&hasher, ret);
  return true;
}

bool sim_plan_choice(const struct sim_plan *plan, uint32_t task, const struct dk_digest *const *facts,
                     struct dk_digest *ret) {
  struct dk_hasher hasher;
  const struct dk_digest *first;
  dk_hasher_init(&hasher);
  if (!gather(plan, task, facts, &hasher, &first) || !first) return false;
  dk_digest_of(first, sizeof *first, ret);
  return true;
}

void sim_result_of(const struct dk_digest *key, uint32_t version, struct dk_digest *ret) {
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, "result");
  dk_hasher_add(&hasher, key, sizeof *key);
  dk_hasher_add_u64(&hasher, version);
  dk_hasher_get(&hasher, ret);
}

enum sim_class sim_plan_class(const struct sim_plan *plan, uint32_t task, const struct dk_digest *const *facts,
                              struct dk_digest *ret_fact) {
  struct dk_digest key;
  if (!sim_plan_key(plan, task, facts, &key)) return SIM_NOT_RUN;
  if (sim_plan_is_pick(plan, task)) return sim_plan_choice(plan, task, facts, ret_fact) ? SIM_GOOD : SIM_FAILED;
  switch (plan->tasks[task].habit) {
  case HABIT_OK:
  case HABIT_TRANSIENT:
  case HABIT_OOM: sim_result_of(&key, 0, ret_fact); return SIM_GOOD;
  case HABIT_WHEN: return SIM_SKIPPED;
  default: return SIM_FAILED;
  }
}

static void expect(struct sim_plan *plan) {
  const struct dk_digest **facts = need(dk_calloc(plan->graph.n_tasks + 1, sizeof *facts));
  for (uint32_t k = 0; k < plan->graph.n_nodes; k++) {
    const struct dk_graph_node *node = &plan->graph.nodes[plan->order[k]];
    for (uint32_t task = node->first; task < node->first + node->rows; task++) {
      plan->tasks[task].has_key =
          !sim_plan_is_pick(plan, task) && sim_plan_key(plan, task, facts, &plan->tasks[task].key);
      plan->tasks[task].expect = sim_plan_class(plan, task, facts, &plan->tasks[task].fact);
      if (plan->tasks[task].expect == SIM_GOOD) facts[task] = &plan->tasks[task].fact;
    }
  }
  dk_free(facts);
}

static void make_policy(struct sim_case *c, struct sim_random *random) {
  static const uint32_t caps[] = {8, 32, 1024};
  dk_core_policy_default(&c->policy);
  c->policy.lost_after_ns = (20 + sim_below(random, 60)) * SECOND;
  c->policy.backoff_ns = (1 + sim_below(random, 1000)) * MS;
  c->policy.backoff_max_ns = 10 * SECOND;
  c->policy.queue_per_slot = 1 + sim_below(random, 3);
  c->policy.max_out = caps[sim_below(random, 3)];
  c->policy.recall_ns = (1 + sim_below(random, 3000)) * MS;
  for (uint32_t i = 0; i < SIM_MAX_HOSTS; i++) c->slots[i] = 1 + sim_below(random, 4);
}

static void make_places(struct sim_case *c) {
  struct sim_random random = sim_random_of(c->seed, 8);
  uint64_t span = sim_chance(&random, 500) ? 2 : 60;
  c->has_places = c->n_hosts > 1 && sim_chance(&random, 600);
  c->has_mounts = c->has_places && sim_chance(&random, 400);
  c->knows_inputs = sim_chance(&random, 400);
  for (uint32_t i = 0; i < 4; i++) c->changes[i] = SECOND + sim_random_next(&random) % (span * SECOND);
}

static void make_order(struct sim_plan *plan, struct sim_random *random, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) plan->order[i] = i;
  if (!sim_chance(random, 300)) return;
  for (uint32_t i = n; i-- > 1;) {
    uint32_t other = sim_below(random, i + 1), swapped = plan->order[i];
    plan->order[i] = plan->order[other];
    plan->order[other] = swapped;
  }
}

/* Plans of the same shape are the same: all of their tasks have the same keys. */
static void make_shape(struct sim_case *c, struct sim_plan *plan, uint32_t shape, const struct sim_limits *limits) {
  struct sim_random random = sim_random_of(c->seed, 100 + shape);
  uint32_t n = 1 + sim_below(&random, SIM_MAX_NODES);
  plan->graph.n_nodes = n < limits->nodes ? n : limits->nodes;
  make_order(plan, &random, plan->graph.n_nodes);
  make_nodes(plan, &random, limits->rows);
  make_tasks(c, plan, &random, shape);
}

static void make_plan(struct sim_case *c, uint32_t i, const struct sim_limits *limits) {
  struct sim_random random = sim_random_of(c->seed, 200 + i);
  struct sim_plan *plan = &c->plans[i];
  make_shape(c, plan, i > 0 && sim_chance(&random, 400) ? sim_below(&random, i) : i, limits);
  select_some(plan, &random);
  plan->first_turn = i == 0 || sim_chance(&random, 300) ? 0 : sim_below(&random, 20 + 8 * plan->graph.n_tasks);
  plan->priority = sim_chance(&random, 500) ? 0 : (int32_t)sim_below(&random, 5) - 2;
  plan->jobs = sim_chance(&random, 150) ? 1 + sim_below(&random, 3) : 0;
  plan->is_paused = sim_chance(&random, 80);
  plan->is_foreground = sim_chance(&random, 300);
  expect(plan);
}

void sim_case_init(struct sim_case *ret, uint64_t seed, const struct sim_limits *limits) {
  static const uint32_t runs[] = {1, 1, 1, 2, 2, 2, 3, 4}, hosts[] = {1, 1, 2, 3};
  struct sim_random random = sim_random_of(seed, 1);
  uint32_t n = runs[sim_below(&random, sizeof runs / sizeof *runs)];
  *ret = (struct sim_case){.seed = seed, .n_plans = n < limits->runs ? n : limits->runs};
  make_policy(ret, &random);
  n = hosts[sim_below(&random, sizeof hosts / sizeof *hosts)];
  ret->n_hosts = n < limits->hosts ? n : limits->hosts;
  ret->refuses = sim_chance(&random, 150);
  ret->is_remote = sim_chance(&random, 150);
  struct sim_random of_wavering = sim_random_of(seed, 14);
  ret->has_wavering = sim_chance(&of_wavering, 500);
  make_places(ret);
  for (uint32_t i = 0; i < ret->n_plans; i++) make_plan(ret, i, limits);
}

uint32_t sim_case_wanted(const struct sim_case *c) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->n_plans; i++) {
    for (uint32_t task = 0; task < c->plans[i].graph.n_tasks; task++) n += c->plans[i].tasks[task].is_wanted;
  }
  return n;
}

static void finish_plan(struct sim_plan *plan) {
  for (uint32_t i = 0; i < plan->graph.n_nodes; i++) {
    const struct dk_graph_node *node = &plan->graph.nodes[i];
    for (uint32_t e = 0; e < node->n_edges; e++) {
      dk_free((void *)(uintptr_t)node->edges[e].map);
      dk_free((void *)(uintptr_t)node->edges[e].off);
      dk_free((void *)(uintptr_t)node->edges[e].list);
    }
    dk_free((void *)(uintptr_t)node->edges);
  }
  dk_free((void *)(uintptr_t)plan->graph.nodes);
  dk_free(plan->tasks);
  dk_free(plan->wanted);
}

void sim_case_finish(struct sim_case *c) {
  for (uint32_t i = 0; i < c->n_plans; i++) finish_plan(&c->plans[i]);
}

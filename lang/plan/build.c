/* The door of planning: passes over all templates, in an order in which each finds what it needs. See build.h.
 *
 * 1 grids, 2 points of tasks, 3 points of picks, 4 outputs, 5 metrics, 6 the rest of the bodies with their edges, 7
 * conclusions (axes that change nothing, tasks that wait for each other), 8 the graph, 9 reports. */
#include "lang/plan/build.h"

#include "lang/plan/template.h"

#include <stdlib.h>
#include <string.h>

/* --- templates --- */

struct entry {
  const struct dk_checked_task *task;
  const struct dk_checked_pick *pick;
  const struct dk_decl *decl;
};

/* By place in the sources; the root module's come first (its text was read first). */
static int compare_entries(const void *a, const void *b) {
  uint32_t x = ((const struct entry *)a)->decl->span.start, y = ((const struct entry *)b)->decl->span.start;
  return (x > y) - (x < y);
}

static const char *directory_of(struct dk_planner *planner, const struct dk_decl *decl) {
  const struct dk_eval_files *files = planner->eval->files;
  if (files && files->resolve) {
    const struct dk_str *dir =
        files->resolve(files->ctx, decl->module->source, dk_intern_text(planner->checked->strs, "."), decl->name_span);
    if (dir) return strcmp(dir->text, ".") == 0 ? "" : dir->text;
  }
  const char *path = decl->module->source->path, *slash = strrchr(path, '/');
  return slash ? dk_arena_strndup(planner->arena, path, (size_t)(slash - path)) : "";
}

static void start_template(struct dk_planner *planner, uint32_t index, const struct entry *entry) {
  struct dk_template_build *build = &planner->builds[index];
  struct dk_template *tmpl = &planner->plan->templates[index];
  const struct dk_str *name = entry->task ? entry->task->name : entry->pick->name;
  *build = (struct dk_template_build){
      .planner = planner, .tmpl = tmpl, .index = index, .task = entry->task, .pick = entry->pick, .decl = entry->decl};
  tmpl->kind = entry->task ? DK_NODE_TASK : DK_NODE_PICK;
  tmpl->name = name->text;
  tmpl->node = index;
  tmpl->path = dk_span_path(planner, entry->decl->name_span, &tmpl->line);
  tmpl->dir = directory_of(planner, entry->decl);
}

static bool name_equal(const void *ctx, uint32_t item, const void *key) {
  const struct dk_planner *planner = ctx;
  return strcmp(planner->plan->templates[item].name, key) == 0;
}

static void check_names(struct dk_planner *planner) {
  struct dk_map names;
  dk_map_init(&names, planner->arena);
  for (uint32_t i = 0; i < planner->n_builds; i++) {
    const char *name = planner->plan->templates[i].name;
    const struct dk_decl *decl = planner->builds[i].decl;
    uint64_t hash = dk_hash_bytes(name, strlen(name), 0);
    uint32_t first = dk_map_find(&names, hash, name_equal, planner, name);
    if (first == DK_MAP_NONE) {
      (void)dk_map_add(&names, hash, i); /* an arena's map jumps instead of failing */
      continue;
    }
    if (planner->builds[first].decl->module == decl->module) continue; /* check has said so */
    struct dk_diag *diag = dk_diag_add(planner->diags, DK_E0516, decl->name_span, "there is another `%s`", name);
    dk_diag_label_at(planner->diags, diag, planner->builds[first].decl->name_span, "here");
  }
}

static void start_templates(struct dk_planner *planner) {
  const struct dk_checked *checked = planner->checked;
  struct dk_plan *plan = planner->plan;
  uint32_t n = 0;
  struct entry *entries = dk_arena_array(planner->arena, struct entry, checked->n_tasks + checked->n_picks + 1);
  for (uint32_t i = 0; i < checked->n_tasks; i++)
    entries[n++] = (struct entry){checked->tasks[i], NULL, checked->tasks[i]->decl};
  for (uint32_t i = 0; i < checked->n_picks; i++)
    if (checked->picks[i]->from && checked->picks[i]->metric)
      entries[n++] = (struct entry){NULL, checked->picks[i], checked->picks[i]->decl};
  if (n) qsort(entries, n, sizeof *entries, compare_entries);
  plan->templates = dk_arena_array(planner->arena, struct dk_template, n + 1);
  plan->graph.nodes = dk_arena_array(planner->arena, struct dk_graph_node, n + 1);
  planner->builds = dk_arena_array(planner->arena, struct dk_template_build, n + 1);
  for (uint32_t i = 0; i < n; i++) start_template(planner, i, &entries[i]);
  plan->n_templates = plan->graph.n_nodes = planner->n_builds = n;
  dk_template_list(planner);
  check_names(planner);
}

static void take_points(struct dk_template_build *build) {
  struct dk_planner *planner = build->planner;
  struct dk_template *tmpl = build->tmpl;
  struct dk_grid grid = {.points = {.rows = 1}};
  if (build->task->over && !dk_grid_of(planner, build->task->over, &grid)) {
    build->failed = true;
    return;
  }
  tmpl->points = grid.points;
  tmpl->steps = grid.steps;
  tmpl->n_steps = grid.n_steps;
  build->derived = grid.derived;
  build->used = dk_arena_array(planner->arena, uint8_t, grid.points.n_columns + 1);
  build->has_points = true;
}

static void finish_pick(struct dk_template_build *build) {
  const struct dk_template *from = &build->planner->plan->templates[build->tmpl->from];
  build->tmpl->metric = dk_template_find_metric(from, build->pick->metric->text);
  if (build->tmpl->metric == UINT32_MAX) build->failed = true;
  build->tmpl->cached = true;
}

/* --- conclusions --- */

/* Does `run` have the name in one pair of braces, as other templates are written? */
static bool has_single_braces(const struct dk_template_build *build, const char *name) {
  const struct dk_expr *run = build->task->run;
  const char *written = dk_arena_printf(build->planner->arena, "{%s}", name);
  for (uint32_t i = 0; run && run->kind == DK_EXPR_STRING && i < run->string.n_parts; i++)
    if (run->string.parts[i].literal && strstr(run->string.parts[i].literal->text, written)) return true;
  return false;
}

/* An axis that nothing depends on. A derived column that is used depends on the columns of its expression. */
static void check_used(struct dk_template_build *build) {
  const struct dk_points *points = &build->tmpl->points;
  if (build->failed || !build->task || build->decl->has_errors) return;
  for (uint32_t i = points->n_columns; i-- > 0;) {
    if (!build->used[i] || !build->derived[i]) continue;
    struct dk_expr_uses uses = {0};
    dk_expr_read(build->planner, build->derived[i], points, &uses);
    dk_template_use(build, &uses);
  }
  for (uint32_t i = 0; i < points->n_columns; i++) {
    if (build->used[i] || !points->columns[i].is_axis) continue;
    if (dk_points_find(points, points->columns[i].name) != i) continue; /* declared twice: check has said so */
    struct dk_diag *diag =
        dk_template_error(build, DK_E0507, build->task->over->span, DK_NO_ROW, "axis `%s` changes nothing in `%s`",
                          points->columns[i].name, build->tmpl->name);
    if (has_single_braces(build, points->columns[i].name))
      dk_diag_help(build->planner->diags, diag, "a hole has two pairs of braces: {{%s}}", points->columns[i].name);
    else
      dk_diag_help(build->planner->diags, diag,
                   "use it, as {{%s}} in `run` or in `env`, or take the task over a grid without it",
                   points->columns[i].name);
    dk_diag_note(build->planner->diags, diag, "without it several points would be the same task");
  }
}

/* For each template those with edges to it: ret_consumers[off[i] .. off[i + 1]], once an edge; waits counts them at the
 * other end. Counted two to the right, so that filling moves the starts into place. */
static uint32_t *count_consumers(struct dk_planner *planner, uint32_t *waits, uint32_t **ret_consumers) {
  uint32_t n = planner->n_builds, *off = dk_arena_array(planner->arena, uint32_t, (size_t)n + 2), total = 0;
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t k = 0; k < planner->builds[i].n_edges; k++) {
      uint32_t producer = planner->builds[i].edges[k].edge.producer;
      if (producer == i) continue;
      waits[i]++;
      off[producer + 2]++;
      total++;
    }
  }
  for (uint32_t i = 2; i <= n + 1; i++) off[i] += off[i - 1];
  uint32_t *consumers = dk_arena_array(planner->arena, uint32_t, (size_t)total + 1);
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t k = 0; k < planner->builds[i].n_edges; k++) {
      uint32_t producer = planner->builds[i].edges[k].edge.producer;
      if (producer != i) consumers[off[producer + 1]++] = i;
    }
  }
  *ret_consumers = consumers;
  return off;
}

/* Templates whose edges lead in a circle (a template's edges to its own earlier rows are fine): none of it is ever
 * ready. */
static void check_circles(struct dk_planner *planner) {
  uint32_t n = planner->n_builds, *waits = dk_arena_array(planner->arena, uint32_t, n + 1), done = 0, n_ready = 0;
  uint32_t *ready = dk_arena_array(planner->arena, uint32_t, n + 1); /* in the order in which they became so */
  uint32_t *consumers, *off = count_consumers(planner, waits, &consumers);
  uint8_t *is_done = dk_arena_array(planner->arena, uint8_t, n + 1);
  for (uint32_t i = 0; i < n; i++)
    if (waits[i] == 0) ready[n_ready++] = i;
  for (; done < n_ready; done++) {
    uint32_t i = ready[done];
    is_done[i] = 1;
    for (uint32_t k = off[i]; k < off[i + 1]; k++)
      if (--waits[consumers[k]] == 0) ready[n_ready++] = consumers[k];
  }
  if (done == n) return;
  uint32_t at = 0;
  while (is_done[at]) at++;
  struct dk_diag *diag =
      dk_template_error(&planner->builds[at], DK_E0505, planner->builds[at].decl->name_span, DK_NO_ROW,
                        "`%s` is in a circle of tasks that wait for each other", planner->builds[at].tmpl->name);
  dk_diag_help(planner->diags, diag,
               "only a task may refer to its own earlier points; put the steps into one task with an axis");
}

/* --- the graph --- */

struct most {
  struct dk_planner *planner;
  const struct dk_str *name;
  int64_t n;
};

static bool most_cpus(void *ctx, dk_value_id value, uint32_t row) {
  struct most *most = ctx;
  dk_value_id cpus;
  (void)row;
  if (!dk_value_field(most->planner->values, value, most->name, &cpus)) return true;
  const struct dk_value *v = dk_value_get(most->planner->values, cpus);
  if (v->type == DK_TYPE_INT && v->u.i > most->n) most->n = v->u.i;
  return true;
}

static bool fill_graph(struct dk_planner *planner) {
  struct dk_graph *graph = &planner->plan->graph;
  struct dk_graph_node *nodes = (struct dk_graph_node *)(uintptr_t)graph->nodes;
  uint64_t first = 0;
  for (uint32_t i = 0; i < planner->n_builds; i++) {
    struct dk_template_build *build = &planner->builds[i];
    struct dk_edge *edges = dk_arena_array(planner->arena, struct dk_edge, build->n_edges + 1);
    for (uint32_t k = 0; k < build->n_edges; k++) edges[k] = build->edges[k].edge;
    struct most most = {planner, dk_intern_text(planner->checked->strs, "cpus"), 1};
    (void)dk_cell_each(planner, &build->tmpl->needs, build->tmpl->points.rows, NULL, most_cpus, &most);
    nodes[i].kind = build->tmpl->kind;
    nodes[i].rows = build->tmpl->points.rows;
    nodes[i].first = (uint32_t)first;
    nodes[i].edges = edges;
    nodes[i].n_edges = build->n_edges;
    nodes[i].cpus = most.n > UINT16_MAX ? UINT16_MAX : (uint32_t)most.n;
    first += nodes[i].rows;
    if (first <= DK_PLAN_MAX_TASKS) continue;
    dk_template_error(build, DK_E0518, build->decl->name_span, DK_NO_ROW, "with `%s` the plan has more than %u tasks",
                      build->tmpl->name, DK_PLAN_MAX_TASKS);
    return false;
  }
  graph->n_tasks = (uint32_t)first;
  return true;
}

static void take_params(struct dk_planner *planner) {
  const struct dk_checked *checked = planner->checked;
  struct dk_plan *plan = planner->plan;
  plan->params = dk_arena_calloc(planner->arena, checked->n_values + 1, sizeof *plan->params);
  for (uint32_t i = 0; i < checked->n_values; i++) {
    const struct dk_checked_value *value = checked->values[i];
    if (!value->param || planner->eval->lets[i] == DK_EVAL_NO_VALUE) continue;
    plan->params[plan->n_params].name = value->decl->name->text;
    plan->params[plan->n_params++].value = planner->eval->lets[i];
  }
}

struct dk_plan *dk_plan_build(struct dk_eval *eval) {
  struct dk_checked *checked = eval->checked;
  struct dk_planner *planner = dk_arena_new(checked->arena, struct dk_planner);
  struct dk_plan *plan = dk_arena_new(checked->arena, struct dk_plan);
  *planner = (struct dk_planner){.eval = eval,
                                 .checked = checked,
                                 .arena = checked->arena,
                                 .diags = checked->diags,
                                 .values = &eval->values,
                                 .plan = plan};
  plan->values = &eval->values;
  plan->name = checked->name ? checked->name->text : "";
  plan->doc = checked->doc ? checked->doc->text : NULL;
  plan->path = checked->n_modules ? checked->modules[0]->source->path : "";
  plan->priv = planner;
  dk_plan_resources(planner);
  dk_grids_expand(planner);
  start_templates(planner);
  take_params(planner);
#define EACH(condition, ...)                                                                                           \
  for (uint32_t i = 0; i < planner->n_builds; i++) {                                                                   \
    struct dk_template_build *build = &planner->builds[i];                                                             \
    if (condition) __VA_ARGS__;                                                                                        \
  }
  EACH(build->task, take_points(build))
  EACH(build->pick, build->has_points = dk_template_pick_points(build))
  EACH(build->task, dk_template_outputs(build))
  EACH(build->task && build->has_points, dk_template_metrics(build))
  EACH(build->pick && build->has_points, finish_pick(build))
  EACH(build->task && build->has_points, {
    dk_template_inputs(build);
    dk_template_fields(build);
    dk_template_env(build);
    dk_template_program(build);
    check_used(build);
  })
#undef EACH
  if (planner->diags->n_errors) return NULL;
  check_circles(planner);
  if (planner->diags->n_errors || !fill_graph(planner)) return NULL;
  dk_template_tables(planner);
  return planner->diags->n_errors ? NULL : plan;
}

/* Picks: their points, their candidates. See template.h.
 *
 * A pick has a row for each combination of its `per` columns that occurs (in grid order), times its ranks. */
#include "lang/plan/template.h"

#include <string.h>

static bool column_indices(struct dk_template_build *build, const struct dk_points *from,
                           const struct dk_str *const *names, uint32_t n, uint32_t **ret) {
  *ret = dk_arena_array(build->planner->arena, uint32_t, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    (*ret)[i] = dk_points_find(from, names[i]->text);
    if ((*ret)[i] == UINT32_MAX) return false; /* check has said so */
  }
  return true;
}

static bool count_best(struct dk_template_build *build, uint32_t *ret) {
  struct dk_points none = {.rows = 1};
  struct dk_cell cell;
  *ret = 1;
  if (!build->pick->best) return true;
  if (!dk_cell_make(build->planner, build->pick->best, &none, NULL, NULL, &cell) || cell.kind != DK_CELL_CONST)
    return false;
  const struct dk_value *v = dk_value_get(build->planner->values, cell.value);
  if (v->type != DK_TYPE_INT || v->u.i < 1 || v->u.i > 1000000) {
    dk_template_error(build, DK_E0515, build->pick->best->span, DK_NO_ROW,
                      "`best` wants a whole number, 1 or more, not %s", dk_planner_show(build->planner, cell.value));
    return false;
  }
  *ret = (uint32_t)v->u.i;
  return true;
}

static struct dk_column per_column(struct dk_planner *planner, const struct dk_column *from,
                                   const struct dk_groups *groups, uint32_t ranks) {
  struct dk_column column = *from;
  column.is_axis = true;
  column.stride = 1;
  column.width = dk_column_width(from->card);
  void *codes = dk_codes_new(planner->arena, column.width, groups->n);
  for (uint32_t g = 0; g < groups->n; g++) dk_code_put(codes, column.width, g, dk_column_code(from, groups->first[g]));
  column.codes = codes;
  dk_column_stretch(planner->arena, &column, groups->n, ranks);
  return column;
}

static struct dk_column rank_column(struct dk_template_build *build, uint32_t ranks) {
  struct dk_planner *planner = build->planner;
  dk_value_id *values = dk_arena_array(planner->arena, dk_value_id, ranks);
  for (uint32_t i = 0; i < ranks; i++) values[i] = dk_value_int(planner->values, (int64_t)i + 1);
  return (struct dk_column){.name = dk_intern_text(planner->checked->strs, "rank")->text,
                            .is_axis = true,
                            .card = ranks,
                            .stride = 1,
                            .values = values,
                            .path = build->tmpl->path,
                            .line = build->tmpl->line};
}

/* Candidates of row r are group r / ranks. */
static void add_edge(struct dk_template_build *build, const struct dk_groups *groups, uint32_t ranks,
                     uint32_t producer) {
  struct dk_planner *planner = build->planner;
  struct dk_edge_build edge = {.edge = {.producer = producer, .skip_failed = build->pick->skip_failed}};
  if (build->pick->n_per == 0) {
    edge.edge.kind = DK_EDGE_ALL;
  } else {
    edge.edge.kind = DK_EDGE_GATHER;
    edge.edge.off = groups->off;
    edge.edge.list = groups->list;
    edge.edge.n_groups = groups->n;
    if (ranks > 1) {
      uint32_t *map = dk_arena_array(planner->arena, uint32_t, build->tmpl->points.rows);
      for (uint32_t row = 0; row < build->tmpl->points.rows; row++) map[row] = row / ranks;
      edge.edge.map = map;
    }
  }
  const char *how = "";
  for (uint32_t i = 0; i < build->pick->n_per; i++)
    how = dk_arena_printf(planner->arena, "%s%s%s", how, i ? ", " : "per ", build->pick->per[i]->text);
  edge.how = dk_arena_printf(planner->arena, "%s <- %s.%s: %s", build->tmpl->name, build->pick->from->name->text,
                             build->pick->metric->text, *how ? how : "all points");
  dk_arena_push(planner->arena, build->edges, build->n_edges, build->cap_edges) = edge;
}

bool dk_template_pick_points(struct dk_template_build *build) {
  struct dk_planner *planner = build->planner;
  const struct dk_checked_pick *pick = build->pick;
  struct dk_template *tmpl = build->tmpl;
  struct dk_template_build *from = dk_template_of(planner, pick->from->decl);
  if (!from || !from->has_points) return false;
  const struct dk_points *points = &from->tmpl->points;
  tmpl->from = from->index;
  tmpl->is_max = pick->is_max;
  tmpl->n_per = pick->n_per;
  tmpl->n_mean_over = pick->n_mean_over;
  bool ok = column_indices(build, points, pick->per, pick->n_per, &tmpl->per) &&
            column_indices(build, points, pick->mean_over, pick->n_mean_over, &tmpl->mean_over);
  if (!ok || !count_best(build, &tmpl->n_best)) return false;
  if (points->rows == 0) {
    dk_template_error(build, DK_E0515, build->decl->name_span, DK_NO_ROW,
                      "pick `%s` has nothing to choose from: `%s` has no points", tmpl->name, from->tmpl->name);
    return false;
  }
  struct dk_groups groups;
  dk_groups_make(planner, points, tmpl->per, tmpl->n_per, &groups);
  uint32_t ranks = tmpl->n_best;
  if ((uint64_t)groups.n * ranks > DK_PLAN_MAX_ROWS) {
    dk_grid_too_large(planner, build->decl->name_span, "the pick", (double)groups.n * ranks, "");
    return false;
  }
  tmpl->points.rows = groups.n * ranks;
  tmpl->points.columns = dk_arena_array(planner->arena, struct dk_column, tmpl->n_per + 1);
  for (uint32_t i = 0; i < tmpl->n_per; i++)
    tmpl->points.columns[tmpl->points.n_columns++] =
        per_column(planner, &points->columns[tmpl->per[i]], &groups, ranks);
  if (pick->best) tmpl->points.columns[tmpl->points.n_columns++] = rank_column(build, ranks);
  build->used = dk_arena_array(planner->arena, uint8_t, tmpl->points.n_columns + 1);
  add_edge(build, &groups, ranks, from->index);
  return true;
}

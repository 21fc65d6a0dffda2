/* Which candidate wins: see decide.h. */
#include "engine/drive/decide.h"

#include "engine/drive/lookup.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
  uint32_t row; /* first of its group in grid order */
  uint32_t rows, with_metric;
  double sum;
};

struct candidates {
  const struct dk_template *pick, *from;
  struct dk_map map;
  struct candidate *items;
  uint32_t n;
};

static bool is_mean_over(const struct dk_template *pick, uint32_t column) {
  for (uint32_t i = 0; i < pick->n_mean_over; i++) {
    if (pick->mean_over[i] == column) return true;
  }
  return false;
}

/* Rows of a group agree in every axis but those that are averaged. */
static bool same_group(const void *ctx, uint32_t item, const void *key) {
  const struct candidates *all = ctx;
  const uint32_t *row = key;

  for (uint32_t c = 0; c < all->from->points.n_columns; c++) {
    const struct dk_column *column = &all->from->points.columns[c];
    if (column->is_axis && !is_mean_over(all->pick, c) &&
        dk_column_value(column, *row) != dk_column_value(column, all->items[item].row))
      return false;
  }
  return true;
}

static uint64_t group_hash(const struct candidates *all, uint32_t row) {
  uint64_t hash = 0;

  for (uint32_t c = 0; c < all->from->points.n_columns; c++) {
    const struct dk_column *column = &all->from->points.columns[c];
    if (column->is_axis && !is_mean_over(all->pick, c)) hash = dk_hash_u64(dk_column_value(column, row), hash);
  }
  return hash;
}

static int add_row(struct candidates *all, uint32_t row, const struct dk_fact *fact) {
  uint32_t metric = all->pick->metric;
  uint64_t hash = group_hash(all, row);
  uint32_t item = all->pick->n_mean_over > 0 ? dk_map_find(&all->map, hash, same_group, all, &row) : DK_MAP_NONE;

  if (item == DK_MAP_NONE) {
    item = all->n++;
    all->items[item] = (struct candidate){.row = row};
    if (all->pick->n_mean_over > 0 && dk_map_add(&all->map, hash, item) < 0) return -ENOMEM;
  }
  struct candidate *candidate = &all->items[item];
  candidate->rows++;
  if (fact && metric < fact->metrics.n && fact->metrics.items[metric].state == DK_METRIC_NUMBER &&
      !isnan(fact->metrics.items[metric].number)) {
    candidate->with_metric++;
    candidate->sum += fact->metrics.items[metric].number;
  }
  return 0;
}

/* Has the metric at all of its rows, and a mean: of +inf and -inf there is none. */
static bool can_win(const struct candidate *c) {
  return c->with_metric == c->rows && !isnan(c->sum);
}

static uint32_t count_able(const struct candidates *all) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < all->n; i++) n += can_win(&all->items[i]);
  return n;
}

static bool is_better(const struct candidate *a, const struct candidate *b, bool is_max) {
  double x = a->sum / a->rows, y = b->sum / b->rows;

  if (x != y) return is_max ? x > y : x < y;
  return a->row < b->row;
}

/* Takes the rank-th best (0 is the best) by repeated selection: ranks are few, candidates many. */
static const struct candidate *select_rank(const struct candidates *all, uint32_t rank) {
  const struct candidate *last = NULL;

  for (uint32_t r = 0; r <= rank; r++) {
    const struct candidate *best = NULL;
    for (uint32_t i = 0; i < all->n; i++) {
      const struct candidate *c = &all->items[i];
      if (!can_win(c) || (last && !is_better(last, c, all->pick->is_max)) || c == last) continue;
      if (!best || is_better(c, best, all->pick->is_max)) best = c;
    }
    if (!best) return NULL;
    last = best;
  }
  return last;
}

static uint32_t rank_of(const struct dk_plan *plan, const struct dk_template *pick, uint32_t row) {
  for (uint32_t c = 0; pick->n_best > 1 && c < pick->points.n_columns; c++) {
    if (strcmp(pick->points.columns[c].name, "rank") == 0)
      return (uint32_t)dk_value_get(plan->values, dk_column_value(&pick->points.columns[c], row))->u.i - 1;
  }
  return 0;
}

int dk_decide(const struct dk_plan *plan, struct dk_fact *const *facts, uint32_t pick_task, struct dk_choice *ret,
              struct dk_error *error) {
  uint32_t row;
  const struct dk_template *pick = dk_plan_template(plan, pick_task, &row);
  struct candidates all = {.pick = pick, .from = &plan->templates[pick->from]};
  const struct dk_graph_node *node = &plan->graph.nodes[pick->node];
  uint32_t from_first = plan->graph.nodes[all.from->node].first, first = 0;
  const uint32_t *list;
  uint32_t n = dk_edge_rows(&plan->graph, &node->edges[0], row, &first, &list);
  int r = 0;

  dk_map_init(&all.map, NULL);
  all.items = dk_calloc(n + 1, sizeof *all.items);
  if (!all.items) return dk_error_system(error, -ENOMEM, "deciding `%s`", pick->name);
  for (uint32_t i = 0; r == 0 && i < n; i++) {
    uint32_t from_row = list ? list[i] : first + i;
    r = add_row(&all, from_row, facts[from_first + from_row]);
  }

  uint32_t rank = rank_of(plan, pick, row);
  const struct candidate *best = r == 0 ? select_rank(&all, rank) : NULL;
  if (best)
    *ret = (struct dk_choice){.row = best->row, .score = best->sum / best->rows, .n_candidates = all.n};
  else if (r == 0)
    r = dk_error_set(error, -ENOENT, "pick `%s`: only %u of %u candidates of `%s` have the metric `%s`%s", pick->name,
                     count_able(&all), all.n, all.from->name, all.from->metrics[pick->metric].name,
                     pick->n_mean_over > 0 ? " at all the points that are averaged" : "");
  else
    dk_error_system(error, r, "deciding `%s`", pick->name);
  dk_map_finish(&all.map);
  dk_free(all.items);
  return r;
}

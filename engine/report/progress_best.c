/* The best candidate of each pick so far, by the rules that the engine decides by (docs/language.md, picks): NaN never wins, a candidate
 * counts only with all its mean_over points, ties go to grid order. For show only: the decision itself is the engine's. */
#include "engine/report/progress_priv.h"
#include "lang/base/alloc.h"
#include "lang/base/map.h"
#include "lang/base/number.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static bool is_mean_over(const struct dk_template *pick, uint32_t column) {
  for (uint32_t i = 0; i < pick->n_mean_over; i++) {
    if (pick->mean_over[i] == column) {
      return true;
    }
  }
  return false;
}

struct group_key {
  const struct dk_template *pick, *from;
  const struct dk_progress_best *best;
};

/* Axes that are not averaged over name the candidate. */
static bool same_group(const void *ctx, uint32_t item, const void *key) {
  const struct group_key *k = ctx;
  uint32_t a = k->best->first_row[item], b = *(const uint32_t *)key;
  for (uint32_t c = 0; c < k->from->points.n_columns; c++) {
    const struct dk_column *column = &k->from->points.columns[c];
    if (column->is_axis && !is_mean_over(k->pick, c) && dk_column_value(column, a) != dk_column_value(column, b)) {
      return false;
    }
  }
  return true;
}

static uint64_t group_hash(const struct group_key *k, uint32_t row) {
  uint64_t hash = 0;
  for (uint32_t c = 0; c < k->from->points.n_columns; c++) {
    const struct dk_column *column = &k->from->points.columns[c];
    if (column->is_axis && !is_mean_over(k->pick, c)) {
      hash = dk_hash_u64(dk_column_value(column, row), hash);
    }
  }
  return hash;
}

static int make_groups(struct dk_progress_best *best, const struct dk_template *pick, const struct dk_template *from) {
  uint32_t rows = from->points.rows;
  best->group = dk_calloc(rows, sizeof *best->group);
  best->first_row = dk_calloc(rows, sizeof *best->first_row);
  best->left = dk_calloc(rows, sizeof *best->left);
  best->size = dk_calloc(rows, sizeof *best->size);
  best->sum = dk_calloc(rows, sizeof *best->sum);
  if (!best->group || !best->first_row || !best->left || !best->size || !best->sum) {
    return -ENOMEM;
  }
  struct group_key key = {pick, from, best};
  struct dk_map map;
  dk_map_init(&map, NULL);
  int r = 0;
  for (uint32_t row = 0; row < rows && r == 0; row++) {
    uint64_t hash = group_hash(&key, row);
    uint32_t group = dk_map_find(&map, hash, same_group, &key, &row);
    if (group == DK_MAP_NONE) {
      group = best->n_groups++;
      best->first_row[group] = row;
      r = dk_map_add(&map, hash, group);
    }
    best->group[row] = group;
    best->left[group]++;
    best->size[group]++;
  }
  dk_map_finish(&map);
  return r;
}

int dk_progress_bests_create(struct dk_progress *p) {
  const struct dk_plan *plan = p->plan;
  p->bests = dk_calloc(plan->n_templates, sizeof *p->bests);
  if (!p->bests) {
    return -ENOMEM;
  }
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_template *pick = &plan->templates[i];
    if (pick->kind != DK_NODE_PICK) {
      continue;
    }
    const struct dk_template *from = &plan->templates[pick->from];
    struct dk_progress_best *best = &p->bests[p->n_bests++];
    best->pick = i;
    best->counted = dk_calloc(from->points.rows, 1);
    if (!best->counted || (pick->n_mean_over && make_groups(best, pick, from) < 0)) {
      return -ENOMEM;
    }
  }
  return 0;
}

void dk_progress_bests_destroy(struct dk_progress *p) {
  for (uint32_t i = 0; i < p->n_bests; i++) {
    struct dk_progress_best *best = &p->bests[i];
    dk_free(best->group);
    dk_free(best->first_row);
    dk_free(best->left);
    dk_free(best->size);
    dk_free(best->sum);
    dk_free(best->counted);
  }
  dk_free(p->bests);
}

static void consider(struct dk_progress_best *best, bool is_max, uint32_t row, double score, const char *text) {
  if (isnan(score) || best->is_final) {
    return;
  }
  bool better =
      !best->has || (is_max ? score > best->score : score < best->score) || (score == best->score && row < best->row);
  if (better) {
    best->has = true;
    best->row = row;
    best->score = score;
    if (text && strlen(text) < sizeof best->text) {
      strcpy(best->text, text);
    } else {
      dk_number_text(score, best->text);
    }
  }
}

void dk_progress_bests_note(struct dk_progress *p, uint32_t task, const struct dk_metric_values *metrics) {
  uint32_t row, node = dk_graph_node_of(&p->plan->graph, task, &row);
  for (uint32_t i = 0; i < p->n_bests; i++) {
    struct dk_progress_best *best = &p->bests[i];
    const struct dk_template *pick = &p->plan->templates[best->pick];
    if (pick->from != node || pick->metric >= metrics->n || best->counted[row]) {
      continue;
    }
    const struct dk_metric_value *value = &metrics->items[pick->metric];
    if (value->state != DK_METRIC_NUMBER) {
      continue;
    }
    best->counted[row] = true;
    if (!best->group) {
      consider(best, pick->is_max, row, value->number, value->text);
      continue;
    }
    uint32_t group = best->group[row];
    uint32_t first = best->first_row[group];
    best->sum[group] += value->number;
    if (--best->left[group] == 0) {
      consider(best, pick->is_max, first, best->sum[group] / best->size[group], NULL);
    }
  }
}

void dk_progress_choice(struct dk_progress *p, uint32_t pick_task, const struct dk_choice *choice) {
  uint32_t row, node = dk_graph_node_of(&p->plan->graph, pick_task, &row);
  for (uint32_t i = 0; i < p->n_bests; i++) {
    struct dk_progress_best *best = &p->bests[i];
    if (best->pick != node || row != 0 || p->plan->templates[node].points.rows != 1) {
      continue; /* several choices: the table shows them, a line cannot */
    }
    if (!(best->has && best->row == choice->row)) {
      dk_number_text(choice->score, best->text);
    }
    best->has = best->is_final = true;
    best->row = choice->row;
    best->score = choice->score;
  }
}

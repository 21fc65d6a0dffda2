/* The best candidate of each pick so far, by the rules that the engine decides by (docs/language.md, picks): NaN never
 * wins, a candidate counts only with all its mean_over points, ties go to grid order. For show only: the decision
 * itself is the engine's. */
#include "engine/report/progress_priv.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static int make_groups(struct dk_progress_best *best, const struct dk_plan *plan, const struct dk_template *pick) {
  int r = dk_groups_create(&best->groups, plan, pick);
  if (r < 0) {
    return r;
  }
  best->left = dk_memdup(best->groups.size, (size_t)best->groups.n * sizeof *best->left);
  best->sum = dk_calloc(best->groups.n, sizeof *best->sum);
  return best->left && best->sum ? 0 : -ENOMEM;
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
    if (!best->counted || (pick->n_mean_over && make_groups(best, plan, pick) < 0)) {
      return -ENOMEM;
    }
  }
  return 0;
}

void dk_progress_bests_destroy(struct dk_progress *p) {
  for (uint32_t i = 0; i < p->n_bests; i++) {
    struct dk_progress_best *best = &p->bests[i];
    dk_groups_finish(&best->groups);
    dk_free(best->left);
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
      dk_mean_text(score, best->text);
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
    if (!pick->n_mean_over) {
      consider(best, pick->is_max, row, value->number, value->text);
      continue;
    }
    uint32_t group = best->groups.of_row[row];
    uint32_t first = best->groups.first_row[group];
    best->sum[group] += value->number;
    if (--best->left[group] == 0) {
      consider(best, pick->is_max, first, best->sum[group] / best->groups.size[group], NULL);
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
      if (p->plan->templates[node].n_mean_over) {
        dk_mean_text(choice->score, best->text);
      } else {
        dk_number_text(choice->score, best->text);
      }
    }
    best->has = best->is_final = true;
    best->row = choice->row;
    best->score = choice->score;
  }
}

/* Picks: the best of candidates, means over columns, missing values, ranks, ties. */
#include "engine/drive/decide.h"
#include "engine/drive/lookup.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 6

/* A task over a in 1..3 (slow) and s in 1..2 (fast), and a pick of it. */
struct fixture {
  struct dk_value items[8];
  struct dk_values values;
  dk_value_id a[3], s[2], ranks[3];
  struct dk_column columns[2], rank;
  struct dk_metric metric;
  struct dk_template templates[2];
  struct dk_edge edge;
  struct dk_graph_node nodes[2];
  struct dk_plan plan;
  struct dk_metric_value metrics[ROWS];
  struct dk_fact facts[ROWS];
  struct dk_fact *known[ROWS + 3];
  uint32_t mean_over;
};

static void set_up(struct fixture *f, const double *scores) {
  *f = (struct fixture){.a = {1, 2, 3}, .s = {1, 2}, .ranks = {1, 2, 3}, .mean_over = 1};
  for (uint32_t i = 1; i < 4; i++) f->items[i] = (struct dk_value){.type = DK_TYPE_INT, .u = {.i = i}};
  f->values = (struct dk_values){.items = f->items, .count = 4};
  f->columns[0] = (struct dk_column){.name = "a", .is_axis = true, .card = 3, .stride = 2, .values = f->a};
  f->columns[1] = (struct dk_column){.name = "s", .is_axis = true, .card = 2, .stride = 1, .values = f->s};
  f->rank = (struct dk_column){.name = "rank", .is_axis = true, .card = 3, .stride = 1, .values = f->ranks};
  f->metric = (struct dk_metric){.name = "acc"};
  f->templates[0] = (struct dk_template){.kind = DK_NODE_TASK,
                                         .name = "t",
                                         .node = 0,
                                         .points = {ROWS, 2, f->columns},
                                         .metrics = &f->metric,
                                         .n_metrics = 1};
  f->templates[1] = (struct dk_template){
      .kind = DK_NODE_PICK, .name = "best", .node = 1, .points = {1, 0, NULL}, .from = 0, .is_max = true, .n_best = 1};
  f->edge = (struct dk_edge){.kind = DK_EDGE_ALL, .producer = 0};
  f->nodes[0] = (struct dk_graph_node){.kind = DK_NODE_TASK, .rows = ROWS, .first = 0};
  f->nodes[1] = (struct dk_graph_node){.kind = DK_NODE_PICK, .rows = 1, .first = ROWS, .n_edges = 1, .edges = &f->edge};
  f->plan = (struct dk_plan){
      .values = &f->values, .graph = {2, ROWS + 1, f->nodes}, .templates = f->templates, .n_templates = 2};
  for (uint32_t i = 0; i < ROWS; i++) {
    f->metrics[i] = (struct dk_metric_value){.state = DK_METRIC_NUMBER, .number = scores[i]};
    f->facts[i].metrics = (struct dk_metric_values){&f->metrics[i], 1};
    f->known[i] = &f->facts[i];
  }
}

static struct dk_choice decide(struct fixture *f, uint32_t row) {
  struct dk_choice choice = {0};

  assert_int_equal(dk_decide(&f->plan, f->known, ROWS + row, &choice, NULL), 0);
  return choice;
}

static void test_max_min_ties(void **state) {
  struct fixture f;

  (void)state;
  set_up(&f, (const double[]){1, 5, 2, 5, 0, 3});
  assert_int_equal(decide(&f, 0).row, 1); /* of two equal ones the first in grid order */
  assert_float_equal(decide(&f, 0).score, 5, 0);
  assert_int_equal(decide(&f, 0).n_candidates, ROWS);
  f.templates[1].is_max = false;
  assert_int_equal(decide(&f, 0).row, 4);
}

static void test_nan_and_missing_never_win(void **state) {
  struct fixture f;

  (void)state;
  set_up(&f, (const double[]){1, NAN, 2, 9, 0, 3});
  f.known[3] = NULL; /* failed, and the pick goes on without it */
  assert_int_equal(decide(&f, 0).row, 5);
  f.metrics[5].state = DK_METRIC_MISSING;
  assert_int_equal(decide(&f, 0).row, 2);
}

static void test_mean_of_infinities_never_wins(void **state) {
  struct fixture f;
  struct dk_choice choice;
  struct dk_error error = {0};

  (void)state;
  for (int is_max = 0; is_max < 2; is_max++) {
    /* Before, between and behind the others in grid order: NaN compares with nothing. */
    for (uint32_t at = 0; at < 3; at++) {
      double scores[ROWS] = {1, 1, 1, 1, 1, 1};
      scores[2 * at] = INFINITY;
      scores[2 * at + 1] = -INFINITY;
      scores[2 * ((at + 1) % 3)] = is_max ? 3 : -3;
      set_up(&f, scores);
      f.templates[1].is_max = is_max;
      f.templates[1].mean_over = &f.mean_over;
      f.templates[1].n_mean_over = 1;
      f.templates[1].n_best = 3;
      f.templates[1].points = (struct dk_points){3, 1, &f.rank};
      f.nodes[1].rows = 3;
      f.plan.graph.n_tasks = ROWS + 3;
      assert_int_equal(decide(&f, 0).row, 2 * ((at + 1) % 3));
      assert_int_equal(decide(&f, 1).row, 2 * ((at + 2) % 3));
      assert_int_equal(dk_decide(&f.plan, f.known, ROWS + 2, &choice, &error), -ENOENT);
      assert_non_null(strstr(error.text, "only 2 of 3 candidates of `t` have the metric `acc`"));
    }
  }
}

static void test_mean_over(void **state) {
  struct fixture f;

  (void)state;
  set_up(&f, (const double[]){1, 3, 4, 4, 9, 0});
  f.templates[1].mean_over = &f.mean_over;
  f.templates[1].n_mean_over = 1;
  assert_int_equal(decide(&f, 0).row, 4); /* mean 4.5, though 4 and 4 is steadier */
  assert_int_equal(decide(&f, 0).n_candidates, 3);
  f.metrics[5].state = DK_METRIC_MISSING; /* one of its points is missing: it does not count */
  assert_int_equal(decide(&f, 0).row, 2);
  assert_float_equal(decide(&f, 0).score, 4, 0);
}

static void test_ranks(void **state) {
  struct fixture f;
  struct dk_choice choice;
  struct dk_error error = {0};

  (void)state;
  set_up(&f, (const double[]){1, 5, 2, 5, 0, 3});
  f.templates[1].n_best = 3;
  f.templates[1].points = (struct dk_points){3, 1, &f.rank};
  f.nodes[1].rows = 3;
  f.plan.graph.n_tasks = ROWS + 3;
  assert_int_equal(decide(&f, 0).row, 1);
  assert_int_equal(decide(&f, 1).row, 3);
  assert_int_equal(decide(&f, 2).row, 5);
  for (uint32_t i = 1; i < ROWS; i++) f.known[i] = NULL;
  assert_int_equal(dk_decide(&f.plan, f.known, ROWS + 1, &choice, &error), -ENOENT);
  assert_non_null(strstr(error.text, "only 1 of 6 candidates of `t` have the metric `acc`"));
  /* It counts those that have it, whichever rank is asked for. */
  assert_int_equal(dk_decide(&f.plan, f.known, ROWS + 2, &choice, &error), -ENOENT);
  assert_non_null(strstr(error.text, "only 1 of 6 candidates of `t` have the metric `acc`"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_max_min_ties),
      cmocka_unit_test(test_nan_and_missing_never_win),
      cmocka_unit_test(test_mean_of_infinities_never_wins),
      cmocka_unit_test(test_mean_over),
      cmocka_unit_test(test_ranks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

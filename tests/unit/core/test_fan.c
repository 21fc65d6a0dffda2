/* Countdown over each kind of edge: who hears of the end of a task, and when a group is complete. */
#include "engine/core/fan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PRODUCERS 4u
#define CONSUMERS 3u

struct heard {
  int good[CONSUMERS], broken[CONSUMERS];
};

/* Ends producer rows in the order given; `good` a bit each. Work is given out one by one, so every pause is tried. */
static struct heard play(const struct dk_edge *edge, const uint32_t *rows, uint32_t n, uint32_t good,
                         uint32_t *ret_waits) {
  struct dk_graph_node nodes[2] = {{.rows = PRODUCERS, .first = 0, .cpus = 1},
                                   {.rows = CONSUMERS, .first = PRODUCERS, .n_edges = 1, .edges = edge, .cpus = 1}};
  struct dk_graph graph = {.n_nodes = 2, .n_tasks = PRODUCERS + CONSUMERS, .nodes = nodes};
  struct dk_fan fan;
  struct heard heard;
  memset(&heard, 0, sizeof heard);
  assert_int_equal(dk_fan_init(&fan, &graph), 0);
  dk_fan_waits(&graph, 1, ret_waits);
  for (uint32_t i = 0; i < n; i++) {
    struct dk_fan_cursor cursor = {.task = DK_NO_TASK};
    dk_fan_start(&fan, &cursor, rows[i], good >> i & 1, false);
    while (cursor.task != DK_NO_TASK) {
      uint32_t work = 1, task;
      bool is_broken;
      if (!dk_fan_next(&fan, &cursor, &work, &task, &is_broken)) continue;
      assert_in_range(task, PRODUCERS, PRODUCERS + CONSUMERS - 1);
      (is_broken ? heard.broken : heard.good)[task - PRODUCERS]++;
    }
  }
  dk_fan_finish(&fan);
  return heard;
}

static void expect(struct heard heard, int a, int b, int c) {
  assert_int_equal(heard.good[0], a);
  assert_int_equal(heard.good[1], b);
  assert_int_equal(heard.good[2], c);
}

static const uint32_t in_order[] = {0, 1, 2, 3};

static void test_one(void **state) {
  (void)state;
  uint32_t waits[CONSUMERS];
  struct dk_edge edge = {.kind = DK_EDGE_ONE};
  expect(play(&edge, in_order, 1, 1, waits), 1, 1, 1);
  assert_int_equal(waits[2], 1);
  expect(play(&edge, in_order + 1, 3, 7, waits), 0, 0, 0);
}

static void test_same(void **state) {
  (void)state;
  uint32_t waits[CONSUMERS];
  struct dk_edge edge = {.kind = DK_EDGE_SAME};
  expect(play(&edge, in_order + 1, 1, 1, waits), 0, 1, 0);
}

static void test_map(void **state) {
  (void)state;
  uint32_t waits[CONSUMERS];
  static const uint32_t rising[] = {1, 1, 3}, wild[] = {2, DK_NO_ROW, 0};
  struct dk_edge edge = {.kind = DK_EDGE_MAP, .map = rising};
  expect(play(&edge, in_order, 2, 3, waits), 1, 1, 0);
  expect(play(&edge, in_order, 4, 15, waits), 1, 1, 1);
  edge.map = wild;
  expect(play(&edge, in_order, 4, 15, waits), 1, 0, 1);
  assert_int_equal(waits[0], 1);
  assert_int_equal(waits[1], 0);
}

static void test_all(void **state) {
  (void)state;
  uint32_t waits[CONSUMERS];
  struct dk_edge edge = {.kind = DK_EDGE_ALL};
  expect(play(&edge, in_order, 3, 7, waits), 0, 0, 0);
  expect(play(&edge, in_order, 4, 15, waits), 1, 1, 1);
  struct heard heard = play(&edge, in_order, 4, 15 - 6, waits); /* the second and third fail: told once */
  expect(heard, 0, 0, 0);
  assert_int_equal(heard.broken[0], 1);
  edge.skip_failed = true;
  heard = play(&edge, in_order, 4, 0, waits);
  expect(heard, 1, 1, 1);
  assert_int_equal(heard.broken[0], 0);
}

static void test_gather(void **state) {
  (void)state;
  uint32_t waits[CONSUMERS];
  static const uint32_t off[] = {0, 2, 4, 4}, list[] = {0, 1, 2, 3}, shared_list[] = {0, 1, 1, 3},
                        map[] = {1, 1, DK_NO_ROW};
  struct dk_edge edge = {.kind = DK_EDGE_GATHER, .off = off, .list = list, .n_groups = 3};
  expect(play(&edge, in_order, 2, 3, waits), 1, 0, 0);
  assert_int_equal(waits[1], 1);
  assert_int_equal(waits[2], 0); /* an empty group */
  edge.list = shared_list;       /* row 1 is in two groups */
  expect(play(&edge, in_order, 2, 3, waits), 1, 0, 0);
  expect(play(&edge, in_order, 4, 15, waits), 1, 1, 0);
  struct heard heard = play(&edge, in_order + 1, 1, 0, waits);
  assert_int_equal(heard.broken[0] + heard.broken[1], 2);
  edge.map = map; /* two consumers share group 1 */
  expect(play(&edge, in_order, 4, 15, waits), 1, 1, 0);
  assert_int_equal(waits[2], 0);
}

static void test_node_of(void **state) {
  (void)state;
  struct dk_graph_node nodes[5] = {{.rows = 0, .first = 0},
                                   {.rows = 2, .first = 0},
                                   {.rows = 0, .first = 2},
                                   {.rows = 1, .first = 2},
                                   {.rows = 0, .first = 3}};
  struct dk_graph graph = {.n_nodes = 5, .n_tasks = 3, .nodes = nodes};
  for (uint32_t hint = 0; hint < 5; hint++) {
    uint32_t h = hint;
    assert_int_equal(dk_fan_node(&graph, 0, &h), 1);
    assert_int_equal(dk_fan_node(&graph, 2, &h), 3);
    assert_int_equal(dk_fan_node(&graph, 1, &h), 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_one),    cmocka_unit_test(test_same),
                                     cmocka_unit_test(test_map),    cmocka_unit_test(test_all),
                                     cmocka_unit_test(test_gather), cmocka_unit_test(test_node_of)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

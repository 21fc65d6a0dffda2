/* Names of tasks and back; task numbers and their nodes. */
#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Reads a name as a shell would: words with quotes taken off. Only what dk_buf_add_shell_word writes. */
static uint32_t split(const char *name, char **words, uint32_t max) {
  dk_autobuf command = DK_BUF_INIT;
  dk_buf_printf(&command, "printf '%%s\\0' %s", name);
  FILE *pipe = popen(dk_buf_text(&command), "r");
  assert_non_null(pipe);
  char block[4096];
  size_t n = fread(block, 1, sizeof block, pipe);
  assert_int_equal(pclose(pipe), 0);
  uint32_t count = 0;
  for (size_t at = 0; at < n && count < max; at += strlen(block + at) + 1) words[count++] = dk_strdup(block + at);
  return count;
}

static void test_round_trip(void **state) {
  (void)state;
  struct world *world = world_good("task one { run = \"x\" }\n"
                                   "grid g { a in [1, 0.1, 1e-7, 1e300, -3] s in [\"plain\", \"a b\", \"it's\", \"\", "
                                   "\"1\", \"true\", \"a=b\", \"t1\", \"x\\ny\", \"\\\"\", \"0.1\"] }\n"
                                   "task t over g { run = [\"x\", flags(point)] }\n"
                                   "grid h { q in [1h30m, 512MiB, 2USD, true, false] l in [[1, 2], [\"a\", 0.5]] }\n"
                                   "task u over h { run = \"x {{q}} {{l}}\" }\n");
  for (uint32_t task = 0; task < world->plan->graph.n_tasks; task++) {
    dk_autobuf name = DK_BUF_INIT;
    char *words[8] = {0};
    uint32_t *found, n_found;
    struct dk_error error = {0};
    dk_plan_task_name(world->plan, task, &name);
    uint32_t n = split(dk_buf_text(&name), words, 8);
    int r = dk_plan_select(world->plan, (const char *const *)words, n, &found, &n_found, &error);
    if (r < 0 || n_found != 1 || found[0] != task)
      fail_msg("%s: %s", dk_buf_text(&name), r < 0 ? error.text : "another task");
    dk_free(found);
    for (uint32_t i = 0; i < n; i++) dk_free(words[i]);
  }
  world_destroy(world);
}

static void test_select(void **state) {
  (void)state;
  struct world *world = world_good("task prep { run = \"x\" }\n"
                                   "grid g { lr in [0.1, 1, 2.5] seed in 1..3 d = lr * 2 k in [\"x\", \"1\"] }\n"
                                   "task train over g { run = [\"x\", flags(point)] }\n");
  static const struct {
    const char *words[4];
    uint32_t n;
    const char *says;
  } cases[] = {
      {{"prep"}, 1, NULL},
      {{"t1"}, 1, NULL},
      {{"t19"}, 1, NULL},
      {{"train"}, 18, NULL},
      {{"train", "lr=0.1"}, 6, NULL},
      {{"train", "lr=0.10"}, 6, NULL},
      {{"train", "lr=1.0", "seed=2"}, 2, NULL},
      {{"train", "lr=1e0", "seed=2", "k=x"}, 1, NULL},
      {{"train", "k=1"}, 9, NULL},
      {{"train", "k=\"1\""}, 9, NULL},
      {{"train", "d=5"}, 6, NULL},
      {{"t0"}, 0, "t1 to t19"},
      {{"t20"}, 0, "t1 to t19"},
      {{"trai"}, 0, "did you mean `train`"},
      {{"xyzzy"}, 0, "there are prep, train"},
      {{"train", "lrr=1"}, 0, "did you mean `lr`"},
      {{"train", "lr=7"}, 0, "values of lr: 0.1, 1, 2.5"},
      {{"train", "lr"}, 0, "no column=value"},
      {{"train", "lr=1", "d=5"}, 0, "together"},
      {{"prep", "lr=1"}, 0, "without columns"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint32_t n_words = 0, *found, n;
    struct dk_error error = {0};
    while (n_words < 4 && cases[i].words[n_words]) n_words++;
    int r = dk_plan_select(world->plan, cases[i].words, n_words, &found, &n, &error);
    if (cases[i].says) {
      if (r != -ENOENT || !strstr(error.text, cases[i].says))
        fail_msg("%s: %s", cases[i].words[n_words - 1], error.text);
    } else if (r < 0 || n != cases[i].n) {
      fail_msg("%s: %u, wanted %u (%s)", cases[i].words[n_words - 1], n, cases[i].n, error.text);
    }
    dk_free(found);
  }
  world_destroy(world);
}

/* Nodes without rows anywhere: the task's node is the one that has it. */
static void test_node_of(void **state) {
  (void)state;
  static const uint32_t shapes[][5] = {
      {1, 1, 1, 1, 1}, {0, 3, 0, 0, 2}, {2, 0, 0, 1, 0}, {0, 0, 0, 0, 4}, {5, 0, 0, 0, 0}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    struct dk_graph_node nodes[5] = {0};
    uint32_t first = 0;
    for (uint32_t i = 0; i < 5; i++) {
      nodes[i].rows = shapes[s][i];
      nodes[i].first = first;
      first += shapes[s][i];
    }
    struct dk_graph graph = {5, first, nodes};
    uint32_t task = 0;
    for (uint32_t i = 0; i < 5; i++) {
      for (uint32_t row = 0; row < shapes[s][i]; row++) {
        uint32_t found;
        assert_int_equal(dk_graph_node_of(&graph, task++, &found), i);
        assert_int_equal(found, row);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_select),
                                     cmocka_unit_test(test_node_of)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

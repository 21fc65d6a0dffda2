/* Planning 10^4 to 10^7 points: what check, expansion, predicates, joins with a fan-in, orders and keys cost a point,
 * and how memory grows. Prints one table; asserts nothing (docs: no test asserts an absolute time).
 *
 *   bench_plan [largest power of ten, default 6] */
#include "lang/base/alloc.h"
#include "lang/eval/wide.h"
#include "lang/plan/build.h"
#include "lang/syntax/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct world {
  struct dk_arena arena;
  jmp_buf oom;
  struct dk_strs strs;
  struct dk_sources sources;
  struct dk_diags diags;
  struct dk_eval eval;
  struct dk_plan *plan;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const struct dk_source *no_module(void *ctx, const struct dk_decl *import, struct dk_span at) {
  (void)ctx, (void)import, (void)at;
  return NULL;
}

static void compile(struct world *world, const char *text) {
  dk_strs_init(&world->strs, &world->arena);
  dk_sources_init(&world->sources, &world->arena);
  dk_diags_init(&world->diags, &world->arena, &world->sources);
  const struct dk_source *source = dk_sources_add(&world->sources, "bench.dk", text, strlen(text));
  struct dk_parse_env env = {&world->arena, &world->strs, &world->diags};
  struct dk_module *root = dk_parse_file(&env, source);
  struct dk_checked *checked = dk_check(&world->arena, &world->strs, &world->diags, root, no_module, NULL, NULL, 0);
  dk_eval_init(&world->eval, checked, NULL);
  world->plan = dk_plan_build(&world->eval);
}

/* One plan of the text; false after an error, which is printed. The caller closes the world either way. */
static bool open_world(struct world *world, const char *text) {
  *world = (struct world){0};
  dk_arena_init(&world->arena, &world->oom);
  if (setjmp(world->oom)) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  compile(world, text);
  if (world->plan) return true;
  dk_autobuf out = DK_BUF_INIT;
  dk_diags_render(&world->diags, false, &out);
  fputs(dk_buf_text(&out), stderr);
  return false;
}

static void close_world(struct world *world) {
  dk_eval_finish(&world->eval);
  dk_arena_finish(&world->arena);
}

/* Seconds to plan, best of `times`; the arena's bytes. -1 after an error. */
static double plan_time(const char *text, int times, size_t *ret_bytes, uint32_t *ret_tasks) {
  double best = 1e9;
  for (int i = 0; i < times && best >= 0; i++) {
    struct world world;
    double start = now();
    bool ok = open_world(&world, text);
    double took = now() - start;
    best = !ok ? -1 : took < best ? took : best;
    *ret_bytes = world.arena.total;
    *ret_tasks = ok ? world.plan->graph.n_tasks : 0;
    close_world(&world);
  }
  return best;
}

/* Microseconds for an order and its key, over up to 200,000 tasks. */
static double order_time(const char *text, double *ret_keys) {
  struct world world;
  if (!open_world(&world, text)) exit(1);
  uint32_t n = world.plan->graph.n_tasks < 200000 ? world.plan->graph.n_tasks : 200000, done = 0;
  double orders = 0, keys = 0;
  struct dk_digest inputs[64] = {{{0}}}, code = {{1}}, environment = {{2}}, key;
  for (uint32_t task = 0; task < n; task++) {
    struct dk_order order;
    struct dk_error error = {0};
    double start = now();
    int r = dk_plan_order(world.plan, task, NULL, &order, &error);
    orders += now() - start;
    if (r < 0 || order.n_inputs > 64) {
      dk_order_finish(&order);
      continue;
    }
    start = now();
    if (dk_plan_key(world.plan, task, &order, inputs, &code, &environment, &key, &error) == 0) done++;
    keys += now() - start;
    dk_order_finish(&order);
  }
  close_world(&world);
  *ret_keys = done ? keys / done * 1e6 : 0;
  return done ? orders / done * 1e6 : 0;
}

int main(int argc, char **argv) {
  int largest = argc > 1 ? atoi(argv[1]) : 6;
  if (largest < 4 || largest > 7) {
    fprintf(stderr, "usage: bench_plan [4..7]\n");
    return 2;
  }
  static const struct {
    const char *name, *format;
  } cases[] = {
      {"product", "grid g { a in 1..%1$u b in 1..100 c in 1..100 }\ntask t over g { run = \"x {{a}} {{b}} {{c}}\" }\n"},
      {"predicate", "grid g { a in 1..%1$u b in 1..100 c in 1..100 exclude b > 90 and c > 90 }\ntask t over g { run = "
                    "\"x {{a}} {{b}} {{c}}\" }\n"},
      {"table", "grid g { a in 1..%1$u b in 1..100 c in 1..100 exclude (b * c) %% 7 == 3 }\ntask t over g { run = \"x "
                "{{a}} {{b}} {{c}}\" }\n"},
      {"derived", "grid g { a in 1..%1$u b in 1..100 c in 1..100 d = b * c exclude d %% 7 == 3 }\ntask t over g { run "
                  "= \"x {{a}} {{d}}  {{b}} {{c}}\" }\n"},
      {"chain", "grid g { a in 1..%1$u b in 1..100 c in 1..100 exclude b > 90 and c > 90 }\n"
                "task t over g { outputs { o = \"o\" } run = \"x {{a}} {{b}} {{c}}\" }\ntask u over g { inputs { i = "
                "t.o } run = \"y {{inputs.i}}\" }\n"},
      {"fan-in",
       "grid g { a in 1..%1$u b in 1..100 c in 1..100 exclude b > 90 and c > 90 } grid h { c in 1..100 b in 1..90 }\n"
       "task t over g { outputs { o = \"o\" } run = \"x {{a}} {{b}} {{c}}\" }\ntask u over h { inputs { i = "
       "gather(t.o) } run = \"y {{inputs.i}}\" }\n"
       "task v { inputs { i = gather(t.o) } run = \"y {{inputs.i}}\" }\n"},
      {"map",
       "grid g { a in 1..%1$u b in 1..100 c in 1..100 exclude b > 90 and c > 90 } grid h { b in 1..100 c in 1..100 }\n"
       "task t over h { outputs { o = \"o\" } run = \"x {{b}} {{c}}\" }\ntask u over g { inputs { i = t.o } run = \"y "
       "{{a}} {{inputs.i}}\" }\n"},
  };
  printf("%-10s %10s %10s %10s %8s %8s %8s\n", "case", "tasks", "plan ms", "ns/task", "B/task", "order us", "key us");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int power = 4; power <= largest; power++) {
      unsigned n = 1;
      for (int k = 4; k < power; k++) n *= 10;
      char text[1024];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
      snprintf(text, sizeof text, cases[i].format, n);
#pragma GCC diagnostic pop
      size_t bytes;
      uint32_t tasks;
      double took = plan_time(text, power < 7 ? 5 : 1, &bytes, &tasks), keys = 0;
      if (took < 0 || tasks == 0) return 1;
      double orders = power == 5 ? order_time(text, &keys) : 0;
      printf("%-10s %10u %10.2f %10.1f %8.1f %8.2f %8.2f\n", cases[i].name, tasks, took * 1e3, took * 1e9 / tasks,
             (double)bytes / tasks, orders, keys);
    }
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("largest resident size %.0f MiB\n", (double)usage.ru_maxrss / 1024);
  dk_wide_finish();
  return 0;
}

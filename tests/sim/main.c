/* sim: runs the engine's core through random runs with random faults, and says which seed broke what.
 *
 *   sim --seeds A..B            a range; a summary; a failing seed is shrunk and its command printed
 *   sim --seed N [--trace] [--faults 0,3,5|none] [--nodes K] [--rows R]
 *   sim_plants --plant N --seeds A..B   with a planted bug (plants.h): succeeds as soon as one seed fails */
#include "lang/base/alloc.h"
#include "tests/sim/plants.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_FAULTS UINT32_MAX

int sim_plant = 0;

struct choice { /* what to run */
  uint64_t seed;
  uint32_t faults; /* a bit each */
  uint32_t nodes, rows;
  bool trace;
};

struct totals {
  uint64_t cases, tasks, attempts, turns, lives, faults[FAULT_N_KINDS];
};

void *sim_need(void *memory) {
  assert(memory);
  return memory;
}

void sim_fail(struct sim *s, const char *format, ...) {
  if (sim_has_failed(s)) return;
  va_list ap;
  va_start(ap, format);
  vsnprintf(s->failure, sizeof s->failure, format, ap);
  va_end(ap);
  sim_trace(s, "FAILED: %s", s->failure);
}

void sim_trace(struct sim *s, const char *format, ...) {
  if (!s->trace) return;
  va_list ap;
  va_start(ap, format);
  printf("%6u %12.3f ms  ", s->turns, (double)s->now / 1e6);
  vprintf(format, ap);
  printf("\n");
  va_end(ap);
}

static void init(struct sim *s, const struct sim_case *c, const struct choice *choice) {
  uint32_t n = c->graph.n_tasks ? c->graph.n_tasks : 1;
  memset(s, 0, sizeof *s);
  s->c = c;
  s->trace = choice->trace;
  s->now = SIM_SECOND;
  s->net = sim_random_of(c->seed, 3);
  s->tasks = sim_random_of(c->seed, 4);
  s->disk = sim_random_of(c->seed, 5);
  s->engine = sim_random_of(c->seed, 6);
  s->task_state = sim_need(dk_calloc(n, 1));
  s->task_key = sim_need(dk_calloc(n, sizeof *s->task_key));
  s->facts = sim_need(dk_calloc(n, sizeof *s->facts));
  s->fact_of = sim_need(dk_calloc(n, sizeof *s->fact_of));
  s->choice = sim_need(dk_calloc(n, sizeof *s->choice));
  sim_faults_make(s, c->seed);
  for (uint32_t i = 0; i < s->n_faults; i++) s->faults[i].is_done = !(choice->faults >> i & 1);
  sim_host_init(s);
}

static void finish(struct sim *s) {
  struct sim_event event;
  while (sim_pop(s, UINT64_MAX, &event)) dk_buf_finish(&event.bytes);
  dk_agent_destroy(s->agent);
  dk_agent_out_finish(&s->agent_out);
  dk_free(s->heap);
  dk_free(s->attempts);
  dk_free(s->keys);
  dk_free(s->ids);
  dk_free(s->task_state);
  dk_free(s->task_key);
  dk_free(s->facts);
  dk_free(s->fact_of);
  dk_free(s->choice);
}

/* No engine for a while; the host goes on. */
static void pass_time(struct sim *s) {
  uint64_t until = s->now + (sim_chance(&s->engine, 800) ? sim_below(&s->engine, 500) * SIM_MS
                                                         : sim_below(&s->engine, 200) * SIM_SECOND);
  struct sim_event event;
  while (!sim_has_failed(s) && sim_pop(s, until, &event)) {
    if (event.at > s->now) s->now = event.at;
    sim_happen(s, &event);
  }
  s->now = until;
}

static void add_totals(struct totals *to, const struct sim *s) {
  to->cases++;
  to->turns += s->turns;
  to->lives += s->run;
  for (uint32_t i = 0; i < s->n_ids; i++) to->attempts += s->ids[i].started;
  for (uint32_t i = 0; i < s->c->graph.n_tasks; i++) to->tasks += s->c->tasks[i].is_wanted;
  for (uint32_t i = 0; i < s->n_faults; i++) to->faults[s->faults[i].kind]++;
}

/* True: all was well. ret_failure has 600 bytes. */
static bool run(const struct choice *choice, struct totals *totals, char *ret_failure, uint32_t *ret_faults) {
  static struct sim s; /* large */
  struct sim_case c;
  sim_case_init(&c, choice->seed, choice->nodes, choice->rows);
  init(&s, &c, choice);
  for (;;) {
    int r = sim_engine_run(&s);
    if (sim_has_failed(&s)) break;
    if (r == 0 && !s.cancelled) break;
    if (r == 0) s.cancelled = false; /* the next run does what was left */
    if (s.run > 3 * SIM_MAX_FAULTS) sim_fail(&s, "%u engines did not come to an end", s.run);
    pass_time(&s);
    if (sim_has_failed(&s)) break;
  }
  if (totals) add_totals(totals, &s);
  *ret_faults = s.n_faults;
  memcpy(ret_failure, s.failure, sizeof s.failure);
  finish(&s);
  sim_case_finish(&c);
  return ret_failure[0] == 0;
}

static bool fails(const struct choice *choice) {
  char failure[600];
  uint32_t n;
  return !run(choice, NULL, failure, &n);
}

/* Fewer faults, then fewer nodes and rows, as long as something fails. */
static void shrink(struct choice *choice, uint32_t n_faults) {
  bool is_smaller = true;
  choice->faults &= (UINT32_C(1) << n_faults) - 1;
  while (is_smaller) {
    is_smaller = false;
    for (uint32_t i = 0; i < n_faults; i++) {
      struct choice less = *choice;
      less.faults &= ~(UINT32_C(1) << i);
      if (less.faults == choice->faults || !fails(&less)) continue;
      *choice = less;
      is_smaller = true;
    }
    struct choice less = *choice;
    less.nodes--;
    if (less.nodes && fails(&less)) *choice = less, is_smaller = true;
    less = *choice;
    less.rows /= 2;
    if (less.rows && fails(&less)) *choice = less, is_smaller = true;
  }
}

static void print_command(const char *program, const struct choice *choice, uint32_t n_faults) {
  printf("replay: %s --seed %llu --nodes %u --rows %u --faults ", program, (unsigned long long)choice->seed,
         choice->nodes, choice->rows);
  const char *comma = "";
  for (uint32_t i = 0; i < n_faults; i++) {
    if (choice->faults >> i & 1) printf("%s%u", comma, i), comma = ",";
  }
  printf("%s --trace\n", *comma ? "" : "none");
}

static void report(const char *program, const struct choice *choice, const char *failure, uint32_t n_faults) {
  struct choice small = *choice;
  char smaller[600];
  printf("seed %llu: %s\n", (unsigned long long)choice->seed, failure);
  shrink(&small, n_faults);
  run(&small, NULL, smaller, &n_faults);
  printf("shrunk: %s\n", smaller);
  print_command(program, &small, n_faults);
}

static void print_totals(const struct totals *t, uint32_t failed) {
  printf("sim: %llu cases, %u failed; %llu tasks, %llu attempts, %llu engines, %llu turns; faults:",
         (unsigned long long)t->cases, failed, (unsigned long long)t->tasks, (unsigned long long)t->attempts,
         (unsigned long long)t->lives, (unsigned long long)t->turns);
  for (uint32_t i = 0; i < FAULT_N_KINDS; i++)
    printf(" %s %llu", sim_fault_name((enum sim_fault_kind)i), (unsigned long long)t->faults[i]);
  printf("\n");
}

static uint32_t parse_faults(const char *text) {
  uint32_t bits = 0;
  if (strcmp(text, "none") == 0) return 0;
  for (char *end; *text; text = *end == ',' ? end + 1 : end) {
    unsigned long i = strtoul(text, &end, 10);
    if (end == text || i >= SIM_MAX_FAULTS) return ALL_FAULTS;
    bits |= UINT32_C(1) << i;
  }
  return bits;
}

static int usage(const char *program) {
  fprintf(stderr,
          "usage: %s [--plant N] --seeds A..B | --seed N [--trace] [--faults LIST|none] [--nodes K] [--rows R]\n",
          program);
  return 2;
}

int main(int argc, char **argv) {
  struct choice choice = {.faults = ALL_FAULTS, .nodes = SIM_MAX_NODES, .rows = 64};
  unsigned long long first = 1, last = 200;
  for (int i = 1; i < argc; i++) {
    bool has_value = i + 1 < argc;
    if (strcmp(argv[i], "--trace") == 0)
      choice.trace = true;
    else if (!has_value)
      return usage(argv[0]);
    else if (strcmp(argv[i], "--seed") == 0)
      first = last = strtoull(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--plant") == 0)
      sim_plant = atoi(argv[++i]);
    else if (strcmp(argv[i], "--faults") == 0)
      choice.faults = parse_faults(argv[++i]);
    else if (strcmp(argv[i], "--nodes") == 0)
      choice.nodes = (uint32_t)strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--rows") == 0)
      choice.rows = (uint32_t)strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--seeds") != 0 || sscanf(argv[++i], "%llu..%llu", &first, &last) != 2)
      return usage(argv[0]);
  }
  if (choice.nodes == 0 || choice.rows == 0) return usage(argv[0]);
  struct totals totals = {0};
  uint32_t failed = 0, n_faults;
  char failure[600];
  for (choice.seed = first; choice.seed <= last && failed < 5; choice.seed++) {
    if (run(&choice, &totals, failure, &n_faults)) continue;
    failed++;
    if (sim_plant) {
      printf("plant %d: caught by seed %llu: %s\n", sim_plant, (unsigned long long)choice.seed, failure);
      return 0;
    }
    report(argv[0], &choice, failure, n_faults);
  }
  print_totals(&totals, failed);
  if (sim_plant) printf("plant %d was not caught\n", sim_plant);
  return failed || sim_plant;
}

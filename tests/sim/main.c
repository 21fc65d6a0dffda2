/* sim: runs the engine's core through random runs with random faults, and says which seed broke what.
 *
 *   sim --seeds A..B            a range; a summary; a failing seed is shrunk and its command printed
 *   sim --fresh N               N seeds that nobody has tried yet: from the time of day
 *   sim --seed N [--trace] [--faults 0,3,5|none] [--nodes K] [--rows R] [--runs N] [--hosts N]
 *   sim --plants                the table of planted bugs: each with the first seed that catches it
 *   plants/NAME --first --seeds A..B   one of them: the first seed that fails, as it is */
#include "tests/sim/plants.h"
#include "tests/sim/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PLANT_SEEDS 20000u

static uint64_t running; /* the seed, for on_crash */
static bool is_brief;

/* An assertion of what is tested: the seed is what one needs. Nothing can be shrunk after it. */
static void on_crash(int number) {
  char line[300];
  int n = snprintf(line, sizeof line, "seed %llu: an assertion failed, or worse (signal %d)\n%s%llu%s",
                   (unsigned long long)running, number, is_brief ? "" : "replay: sim --seed ",
                   (unsigned long long)running, is_brief ? "" : " --trace\n");
  if (write(STDOUT_FILENO, line, (size_t)n) < 0) _exit(2);
  _exit(1);
}

/* In a process of its own: it may crash. */
static bool fails(const struct sim_choice *choice) {
  char failure[SIM_FAILURE];
  uint32_t n;
  int status;
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    int null = dup2(STDERR_FILENO, STDOUT_FILENO);
    _exit(null < 0 || sim_run_case(choice, NULL, failure, &n) ? 0 : 1);
  }
  return pid > 0 && waitpid(pid, &status, 0) == pid && status != 0;
}

/* Fewer faults, then fewer runs, hosts, nodes and rows, as long as something fails. */
static void shrink(struct sim_choice *choice, uint32_t n_faults) {
  bool is_smaller = true;
  choice->faults &= (UINT32_C(1) << n_faults) - 1;
  while (is_smaller) {
    is_smaller = false;
    for (uint32_t i = 0; i < n_faults; i++) {
      struct sim_choice less = *choice;
      less.faults &= ~(UINT32_C(1) << i);
      if (less.faults == choice->faults || !fails(&less)) continue;
      *choice = less;
      is_smaller = true;
    }
    struct sim_choice less = *choice;
    less.limits.runs--;
    if (less.limits.runs && fails(&less)) *choice = less, is_smaller = true;
    less = *choice;
    less.limits.hosts--;
    if (less.limits.hosts && fails(&less)) *choice = less, is_smaller = true;
    less = *choice;
    less.limits.nodes--;
    if (less.limits.nodes && fails(&less)) *choice = less, is_smaller = true;
    less = *choice;
    less.limits.rows /= 2;
    if (less.limits.rows && fails(&less)) *choice = less, is_smaller = true;
  }
}

static void print_command(const char *program, const struct sim_choice *choice, uint32_t n_faults) {
  printf("replay: %s --seed %llu --runs %u --hosts %u --nodes %u --rows %u --faults ", program,
         (unsigned long long)choice->seed, choice->limits.runs, choice->limits.hosts, choice->limits.nodes,
         choice->limits.rows);
  const char *comma = "";
  for (uint32_t i = 0; i < n_faults; i++) {
    if (choice->faults >> i & 1) printf("%s%u", comma, i), comma = ",";
  }
  printf("%s --trace\n", *comma ? "" : "none");
}

static void report(const char *program, const struct sim_choice *choice, const char *failure, uint32_t n_faults) {
  struct sim_choice small = *choice;
  char smaller[SIM_FAILURE];
  printf("seed %llu: %s\n", (unsigned long long)choice->seed, failure);
  shrink(&small, n_faults);
  sim_run_case(&small, NULL, smaller, &n_faults);
  printf("shrunk: %s\n", smaller);
  print_command(program, &small, n_faults);
}

static void print_totals(const struct sim_totals *t, uint32_t failed) {
  printf("sim: %llu cases, %u failed; %llu runs, %llu tasks, %llu attempts, %llu engines, %llu turns; faults:",
         (unsigned long long)t->cases, failed, (unsigned long long)t->runs, (unsigned long long)t->tasks,
         (unsigned long long)t->attempts, (unsigned long long)t->lives, (unsigned long long)t->turns);
  for (uint32_t i = 0; i < FAULT_N_KINDS; i++)
    printf(" %s %llu", sim_fault_name((enum sim_fault_kind)i), (unsigned long long)t->faults[i]);
  printf("\n");
}

static uint32_t parse_faults(const char *text) {
  uint32_t bits = 0;
  if (strcmp(text, "none") == 0) return 0;
  for (char *end; *text; text = *end == ',' ? end + 1 : end) {
    unsigned long i = strtoul(text, &end, 10);
    if (end == text || i >= SIM_MAX_FAULTS) return SIM_ALL_FAULTS;
    bits |= UINT32_C(1) << i;
  }
  return bits;
}

static int usage(const char *program) {
  fprintf(stderr,
          "usage: %s --seeds A..B [--first] | --fresh N | --seed N [--trace] [--faults LIST|none] [--nodes K] [--rows "
          "R] [--runs N] "
          "[--hosts N] | "
          "--plants\n",
          program);
  return 2;
}

/* 0, or the exit status. */
static int run_range(const char *program, struct sim_choice *choice, uint64_t first, uint64_t last) {
  struct sim_totals totals = {0};
  uint32_t failed = 0, n_faults;
  if (!is_brief) printf("sim: seeds %llu to %llu\n", (unsigned long long)first, (unsigned long long)last);
  char failure[SIM_FAILURE];
  for (running = first; running <= last && failed < 5; running++) {
    choice->seed = running;
    if (sim_run_case(choice, &totals, failure, &n_faults)) continue;
    failed++;
    if (is_brief) {
      printf("seed %llu: %s\n", (unsigned long long)running, failure);
      return 1;
    }
    report(program, choice, failure, n_faults);
  }
  print_totals(&totals, failed);
  return failed > 0;
}

int main(int argc, char **argv) {
  struct sim_choice choice = {
      .faults = SIM_ALL_FAULTS,
      .limits = {.nodes = SIM_MAX_NODES, .rows = 64, .runs = SIM_MAX_RUNS, .hosts = SIM_MAX_HOSTS}};
  unsigned long long first = 1, last = 200;
  for (int i = 1; i < argc; i++) {
    bool has_value = i + 1 < argc;
    if (strcmp(argv[i], "--trace") == 0)
      choice.trace = true;
    else if (strcmp(argv[i], "--first") == 0)
      is_brief = true;
    else if (strcmp(argv[i], "--plants") == 0)
      return !sim_plants("plants", PLANT_SEEDS);
    else if (!has_value)
      return usage(argv[0]);
    else if (strcmp(argv[i], "--fresh") == 0)
      first = (unsigned long long)time(NULL) * 1000000, last = first + strtoull(argv[++i], NULL, 10) - 1;
    else if (strcmp(argv[i], "--seed") == 0)
      first = last = strtoull(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--faults") == 0)
      choice.faults = parse_faults(argv[++i]);
    else if (strcmp(argv[i], "--nodes") == 0)
      choice.limits.nodes = (uint32_t)strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--rows") == 0)
      choice.limits.rows = (uint32_t)strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--runs") == 0)
      choice.limits.runs = (uint32_t)strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--hosts") == 0)
      choice.limits.hosts = (uint32_t)strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--seeds") != 0 || sscanf(argv[++i], "%llu..%llu", &first, &last) != 2)
      return usage(argv[0]);
  }
  if (choice.limits.nodes == 0 || choice.limits.rows == 0 || choice.limits.runs == 0 || choice.limits.hosts == 0)
    return usage(argv[0]);
  signal(SIGABRT, on_crash);
  signal(SIGSEGV, on_crash);
  return run_range(argv[0], &choice, first, last);
}

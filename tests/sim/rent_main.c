/* rent_sim: runs the renting of machines through random cases with random faults, and says which seed broke what.
 *
 *   rent_sim --seeds A..B            a range; a summary; a failing seed is shrunk and its command printed
 *   rent_sim --fresh N               N seeds that nobody has tried yet: from the time of day
 *   rent_sim --seed N [--trace] [--faults 0,3,5|none]
 *   rent_sim --plants                the table of planted bugs: each with the first seed that catches it
 *   plants/NAME --first --seeds A..B one of them: the first seed that fails, as it is */
#include "tests/sim/plants.h"
#include "tests/sim/rent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PLANT_SEEDS 5000u
#define FAILURE 400u

static uint64_t running; /* the seed, for on_crash */
static bool is_brief;

/* An assertion of what is tested: the seed is what one needs. */
static void on_crash(int number) {
  char line[200];
  int n = snprintf(line, sizeof line, "seed %llu: an assertion failed, or worse (signal %d)\n",
                   (unsigned long long)running, number);
  if (write(STDOUT_FILENO, line, (size_t)n) < 0) _exit(2);
  _exit(1);
}

/* In a process of its own: it may crash. */
static bool fails(uint64_t seed, uint32_t faults) {
  char failure[FAILURE];
  int status;
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    int null = dup2(STDERR_FILENO, STDOUT_FILENO);
    _exit(null < 0 || rs_run(seed, faults, false, NULL, failure, sizeof failure, NULL) ? 0 : 1);
  }
  return pid > 0 && waitpid(pid, &status, 0) == pid && status != 0;
}

/* With as few faults as still fail. */
static void report(const char *program, uint64_t seed, uint32_t faults, uint32_t n_faults, const char *failure) {
  char smaller[FAILURE];
  printf("seed %llu: %s\n", (unsigned long long)seed, failure);
  faults &= (UINT32_C(1) << n_faults) - 1;
  for (bool is_smaller = true; is_smaller;) {
    is_smaller = false;
    for (uint32_t i = 0; i < n_faults; i++) {
      uint32_t less = faults & ~(UINT32_C(1) << i);
      if (less == faults || !fails(seed, less)) continue;
      faults = less;
      is_smaller = true;
    }
  }
  rs_run(seed, faults, false, NULL, smaller, sizeof smaller, NULL);
  printf("shrunk: %s\nreplay: %s --seed %llu --faults ", smaller, program, (unsigned long long)seed);
  const char *comma = "";
  for (uint32_t i = 0; i < n_faults; i++) {
    if (faults >> i & 1) printf("%s%u", comma, i), comma = ",";
  }
  printf("%s --trace\n", *comma ? "" : "none");
}

static void print_totals(const struct rs_totals *t, uint32_t failed) {
  printf(
      "rent_sim: %llu cases, %u failed; %llu engines, %llu turns, %llu creates, %llu machines (%llu doubled by their "
      "cloud, which in %llu pools made more than their maximum, nothing else did; %llu strangers), %llu tasks; paid "
      "%.2f times what was used; told:",
      (unsigned long long)t->cases, failed, (unsigned long long)t->lives, (unsigned long long)t->turns,
      (unsigned long long)t->creates, (unsigned long long)t->machines, (unsigned long long)t->doubled,
      (unsigned long long)t->over, (unsigned long long)t->strangers, (unsigned long long)t->tasks,
      t->used_s > 0 ? t->paid_s / t->used_s : 0);
  static const char *const tells[] = {"quota",    "capacity", "denied",  "bad",   "failing",
                                      "given-up", "stranger", "unsaved", "stuck", "blind"};
  for (uint32_t i = 0; i <= DK_RENT_TELL_BLIND; i++) printf(" %s %llu", tells[i], (unsigned long long)t->tells[i]);
  printf("\n");
}

static uint32_t parse_faults(const char *text) {
  uint32_t bits = 0;
  if (strcmp(text, "none") == 0) return 0;
  for (char *end; *text; text = *end == ',' ? end + 1 : end) {
    unsigned long i = strtoul(text, &end, 10);
    if (end == text || i >= RS_FAULTS) return UINT32_MAX;
    bits |= UINT32_C(1) << i;
  }
  return bits;
}

static int run_range(const char *program, uint64_t first, uint64_t last, uint32_t faults, bool trace) {
  struct rs_totals totals = {0};
  uint32_t failed = 0, n_faults;
  char failure[FAILURE];
  if (!is_brief) printf("rent_sim: seeds %llu to %llu\n", (unsigned long long)first, (unsigned long long)last);
  for (running = first; running <= last && failed < 5; running++) {
    if (rs_run(running, faults, trace, &totals, failure, sizeof failure, &n_faults)) continue;
    failed++;
    if (is_brief) {
      printf("seed %llu: %s\n", (unsigned long long)running, failure);
      return 1;
    }
    report(program, running, faults, n_faults, failure);
  }
  print_totals(&totals, failed);
  return failed > 0;
}

static int usage(const char *program) {
  fprintf(stderr, "usage: %s --seeds A..B [--first] | --fresh N | --seed N [--trace] [--faults LIST|none] | --plants\n",
          program);
  return 2;
}

int main(int argc, char **argv) {
  unsigned long long first = 1, last = 200;
  uint32_t faults = UINT32_MAX;
  bool trace = false;
  for (int i = 1; i < argc; i++) {
    bool has_value = i + 1 < argc;
    if (strcmp(argv[i], "--trace") == 0)
      trace = true;
    else if (strcmp(argv[i], "--first") == 0)
      is_brief = true;
    else if (strcmp(argv[i], "--plants") == 0)
      return !sim_plants("rent-plants", PLANT_SEEDS);
    else if (!has_value)
      return usage(argv[0]);
    else if (strcmp(argv[i], "--fresh") == 0)
      first = (unsigned long long)time(NULL) * 1000000, last = first + strtoull(argv[++i], NULL, 10) - 1;
    else if (strcmp(argv[i], "--seed") == 0)
      first = last = strtoull(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--faults") == 0)
      faults = parse_faults(argv[++i]);
    else if (strcmp(argv[i], "--seeds") != 0 || sscanf(argv[++i], "%llu..%llu", &first, &last) != 2)
      return usage(argv[0]);
  }
  signal(SIGABRT, on_crash);
  signal(SIGSEGV, on_crash);
  return run_range(argv[0], first, last, faults, trace);
}

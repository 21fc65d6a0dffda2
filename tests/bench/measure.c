/* bench_measure: what a command costs with all that it leaves behind (an engine, an agent, its keepers), which `time`
 * does not see. It is the subreaper of the command's tree: wall time ends with the command, CPU time is that of the
 * whole tree, whose rest it ends and waits for.
 *
 *   bench_measure [-n TIMES] [-m] [-k] COMMAND [ARGUMENT]...
 *
 * One line a time on descriptor 3:  wall s, CPU s (user and system), largest resident size of one process KiB, largest
 * sum of anonymous memory KiB (0 without -m), CPU s that others took meanwhile, CPU s that there were.
 *   -n  runs the command as often, one after the other
 *   -m  looks at the tree's memory every 20 ms, which costs CPU time: not together with a claim about that
 *   -k  leaves what the command leaves; its CPU time is then not counted
 * Exit code: that of the last run, 125 when something here failed. The command's stdout and stderr are the caller's. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RESULT_FD 3
#define LOOK_MS 20

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "bench_measure: %s: %s\n", what, strerror(errno));
  exit(125);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static double children_cpu(struct rusage *ret) {
  getrusage(RUSAGE_CHILDREN, ret);
  return seconds(ret->ru_utime) + seconds(ret->ru_stime);
}

/* Seconds of all processors since boot: busy, and all. */
static void machine(double *ret_busy, double *ret_all) {
  unsigned long long user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  FILE *file = fopen("/proc/stat", "re");
  if (!file) fail("/proc/stat");
  int n = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
                 &softirq, &steal);
  fclose(file);
  if (n < 4) fail("/proc/stat");
  double tick = (double)sysconf(_SC_CLK_TCK);
  *ret_busy = (double)(user + nice + system + irq + softirq + steal) / tick;
  *ret_all = *ret_busy + (double)(idle + iowait) / tick;
}

/* The children of a process, by what the kernel lists for its main thread: nothing here forks from another. */
static size_t children(pid_t pid, pid_t *list, size_t cap) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
  FILE *file = fopen(path, "re");
  size_t n = 0;
  long child;
  while (file && n < cap && fscanf(file, "%ld", &child) == 1) list[n++] = (pid_t)child;
  if (file) fclose(file);
  return n;
}

static unsigned long anonymous_kib(pid_t pid) {
  char path[64], line[256];
  unsigned long kib = 0;
  snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file)) {
    if (sscanf(line, "RssAnon: %lu", &kib) == 1) break;
  }
  if (file) fclose(file);
  return kib;
}

static unsigned long tree_kib(void) {
  pid_t list[256];
  size_t n = children(getpid(), list, 256);
  unsigned long sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += anonymous_kib(list[i]);
    n += children(list[i], list + n, 256 - n);
  }
  return sum;
}

/* Waits for one process, whoever else ends meanwhile; the largest memory of the tree until then. */
static int wait_for(pid_t pid, bool looks, unsigned long *ret_kib) {
  int status;
  *ret_kib = 0;
  for (;;) {
    pid_t ended = waitpid(-1, &status, looks ? WNOHANG : 0);
    if (ended == pid) return status;
    if (ended < 0 && errno != EINTR) fail("waitpid");
    if (ended != 0) continue;
    unsigned long kib = tree_kib();
    if (kib > *ret_kib) *ret_kib = kib;
    poll(NULL, 0, LOOK_MS);
  }
}

/* Ends what is left: each that dies leaves its children to us. */
static void end_rest(void) {
  pid_t list[256];
  for (;;) {
    size_t n = children(getpid(), list, 256);
    for (size_t i = 0; i < n; i++) kill(list[i], SIGKILL);
    if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) return;
  }
}

/* In a function of its own, so that no local of the caller lives in a register over it. */
static __attribute__((noinline)) pid_t start(char **argv) {
  pid_t pid = vfork();
  if (pid == 0) {
    execvp(argv[0], argv);
    _exit(127);
  }
  return pid;
}

static int measure(char **argv, bool looks, bool keeps) {
  struct rusage usage;
  double busy, all, busy_then, all_then, cpu = children_cpu(&usage);
  machine(&busy, &all);
  double began = now();
  pid_t pid = start(argv);
  if (pid < 0) fail("vfork");
  unsigned long kib;
  int status = wait_for(pid, looks, &kib);
  double wall = now() - began;
  if (!keeps) end_rest();
  machine(&busy_then, &all_then);
  cpu = children_cpu(&usage) - cpu;
  double others = busy_then - busy - cpu;
  dprintf(RESULT_FD, "%.6f %.6f %ld %lu %.3f %.3f\n", wall, cpu, usage.ru_maxrss, kib, others > 0 ? others : 0,
          all_then - all);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv) {
  long times = 1;
  bool looks = false, keeps = false;
  for (int c; (c = getopt(argc, argv, "+n:mk")) != -1;) {
    switch (c) {
    case 'n': times = strtol(optarg, NULL, 10); break;
    case 'm': looks = true; break;
    case 'k': keeps = true; break;
    default: return 125;
    }
  }
  if (optind == argc || times < 1) {
    fprintf(stderr, "usage: bench_measure [-n TIMES] [-m] [-k] COMMAND [ARGUMENT]...   (results on descriptor 3)\n");
    return 125;
  }
  if (!keeps && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) fail("cannot become a subreaper");
  int code = 0;
  for (long i = 0; i < times; i++) code = measure(argv + optind, looks, keeps);
  return code;
}

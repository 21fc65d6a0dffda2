/* bench_spawn: the limit of any engine that starts a program a task. The same program with the same redirection as a
 * no-op task of ours (stdin /dev/null, stdout and stderr appended to files of the slot), and nothing else: no log kept,
 * nothing on disk, no plan.
 *
 *   bench_spawn TASKS SLOTS DIR     runs `sh -e -c ": N"` for N in 1..TASKS, SLOTS at a time; the files are in DIR */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS_MAX 256

extern char **environ;

struct slot {
  pid_t pid;
  int out, err;
};

static _Noreturn void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_log(const char *dir, long slot, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%ld.%s", dir, slot, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) fail(path);
  return fd;
}

/* The child shares our memory until it execs: it only makes system calls. */
static void start(struct slot *slot, int null, long task) {
  char text[32];
  snprintf(text, sizeof text, ": %ld", task);
  char *argv[] = {(char *)"sh", (char *)"-e", (char *)"-c", text, NULL};
  slot->pid = vfork();
  if (slot->pid < 0) fail("vfork");
  if (slot->pid == 0) {
    if (dup2(null, 0) < 0 || dup2(slot->out, 1) < 0 || dup2(slot->err, 2) < 0) _exit(127);
    execve("/bin/sh", argv, environ);
    _exit(127);
  }
}

int main(int argc, char **argv) {
  long tasks = argc == 4 ? strtol(argv[1], NULL, 10) : 0, slots = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
  if (tasks < 1 || slots < 1 || slots > SLOTS_MAX) {
    fprintf(stderr, "usage: bench_spawn TASKS SLOTS DIR\n");
    return 2;
  }
  static struct slot all[SLOTS_MAX];
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) fail("/dev/null");
  for (long i = 0; i < slots; i++) {
    all[i].out = open_log(argv[3], i, "out");
    all[i].err = open_log(argv[3], i, "err");
  }
  long next = 1, ended = 0;
  for (long i = 0; i < slots && next <= tasks; i++) start(&all[i], null, next++);
  while (ended < tasks) {
    int status;
    pid_t pid = wait(&status);
    if (pid < 0) fail("wait");
    if (status != 0) {
      fprintf(stderr, "bench_spawn: a task ended with status %d\n", status);
      return 1;
    }
    ended++;
    for (long i = 0; i < slots; i++) {
      if (all[i].pid == pid && next <= tasks) start(&all[i], null, next++);
    }
  }
  return 0;
}

/* vfork and exec: see spawn.h. The child runs in the parent's memory until it execs, so all it needs is made before,
 * and it only makes system calls (vfork(2), "Caveats"). */
#include "engine/sys/spawn.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOUND_NS 250000000u

enum stage { STAGE_NONE, STAGE_SETUP, STAGE_DIR, STAGE_SANDBOX, STAGE_GROUP, STAGE_EXEC };

struct plan {
  const struct dk_spawn *spawn;
  char *const *env;
  char **programs; /* candidates for execve, in order; NULL-terminated */
  char *storage;
  const char *path;         /* that they are from; NULL: the name has a slash */
  size_t first;             /* the candidate to try before all; 0: as they come */
  volatile size_t executed; /* the candidate that was tried last */
  int null_fd;
  sigset_t old_mask;
  volatile enum stage stage;
  volatile int code;
};

static const char *env_find(char *const *env, const char *name) {
  size_t len = strlen(name);
  for (; env && *env; env++) {
    if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') return *env + len + 1;
  }
  return NULL;
}

/* The paths that execvp would try, made ahead: execvp allocates, and takes PATH from this process. */
static int find_programs(struct plan *plan, const char *name) {
  const char *path = strchr(name, '/') ? "" : env_find(plan->env, "PATH");
  if (!path || (*path == '\0' && !strchr(name, '/'))) path = "/usr/local/bin:/usr/bin:/bin";
  plan->path = *path ? path : NULL;
  size_t n = 1;
  for (const char *at = path; *at; at++) n += *at == ':';
  plan->programs = dk_calloc(n + 1, sizeof *plan->programs);
  plan->storage = dk_alloc(strlen(path) + n * (strlen(name) + 3) + 1);
  if (!plan->programs || !plan->storage) return -ENOMEM;
  if (strchr(name, '/')) {
    strcpy(plan->storage, name);
    plan->programs[0] = plan->storage;
    return 0;
  }
  char *out = plan->storage;
  for (size_t i = 0; i < n; i++) {
    size_t len = strcspn(path, ":");
    plan->programs[i] = out;
    memcpy(out, path, len);
    out += len;
    if (len == 0) *out++ = '.'; /* POSIX: an empty entry is the current directory */
    *out++ = '/';
    strcpy(out, name);
    out += strlen(name) + 1;
    path += len + (path[len] == ':');
  }
  return 0;
}

static _Noreturn void fail(struct plan *plan, enum stage stage) {
  plan->code = errno;
  plan->stage = stage;
  _exit(127);
}

static void reset_signals(void) {
  /* Kernel's signals, not sigaction(3)'s: the C library refuses its own two, which cannot be ignored by accident. */
  struct sigaction action = {.sa_handler = SIG_DFL};
  for (int i = 1; i < NSIG; i++) {
    if (i != SIGKILL && i != SIGSTOP) sigaction(i, &action, NULL);
  }
}

static void place_fds(struct plan *plan) {
  const struct dk_spawn *spawn = plan->spawn;
  for (int i = 0; i < 3; i++) {
    int fd = spawn->fds[i] >= 0 ? spawn->fds[i] : plan->null_fd;
    if (fd == i) {
      if (fcntl(fd, F_SETFD, 0) < 0) fail(plan, STAGE_SETUP);
    } else if (dup2(fd, i) < 0) {
      fail(plan, STAGE_SETUP);
    }
  }
  for (unsigned i = 0; i < spawn->n_more_fds; i++) {
    if (dup2(spawn->more_fds[i], 3 + (int)i) < 0) fail(plan, STAGE_SETUP);
  }
  /* ENOSYS before Linux 5.9: everything of ours is close-on-exec anyway. */
  syscall(SYS_close_range, 3u + spawn->n_more_fds, ~0u, 0u);
}

static void enter_sandbox(struct plan *plan) {
  const struct dk_spawn *spawn = plan->spawn;
  if (spawn->landlock < 0 || syscall(SYS_landlock_restrict_self, spawn->landlock, 0) == 0) return;
  /* Without privileges the kernel wants this first, so that no set-uid program runs with what it expects to read
   * missing. */
  if (errno != EPERM || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
      syscall(SYS_landlock_restrict_self, spawn->landlock, 0) < 0)
    fail(plan, STAGE_SANDBOX);
}

static _Noreturn void run_child(struct plan *plan) {
  const struct dk_spawn *spawn = plan->spawn;
  if (spawn->cgroup >= 0 && write(spawn->cgroup, "0", 1) != 1) fail(plan, STAGE_GROUP);
  enter_sandbox(plan);
  if (spawn->new_session) {
    if (setsid() < 0) fail(plan, STAGE_SETUP);
  } else if (spawn->new_group && setpgid(0, 0) < 0) {
    fail(plan, STAGE_SETUP);
  }
  if (spawn->dir_fd >= 0 ? fchdir(spawn->dir_fd) < 0 : spawn->dir && chdir(spawn->dir) < 0) fail(plan, STAGE_DIR);
  if (spawn->umask >= 0) umask((mode_t)spawn->umask);
  place_fds(plan);
  if (spawn->nofile && setrlimit(RLIMIT_NOFILE, spawn->nofile) < 0) fail(plan, STAGE_SETUP);
  if (!spawn->signals_are_default) reset_signals();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  int code = ENOENT;
  if (plan->first > 0) {
    plan->executed = plan->first;
    execve(plan->programs[plan->first], spawn->argv, plan->env); /* whatever is wrong with it now, the search tells */
  }
  for (size_t i = 0; plan->programs[i]; i++) {
    plan->executed = i;
    execve(plan->programs[i], spawn->argv, plan->env);
    if (errno == EACCES) code = EACCES; /* a later directory may have one that runs, as in execvp */
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) fail(plan, STAGE_EXEC);
  }
  errno = code;
  fail(plan, STAGE_EXEC);
}

/* The descriptors given must not be overwritten while they are placed: 0 to 2 may be given only as themselves. */
static int lift_fds(const struct dk_spawn *spawn, int lifted[3]) {
  int low = 3 + (int)spawn->n_more_fds;
  for (int i = 0; i < 3; i++) {
    lifted[i] = -1;
    if (spawn->fds[i] < 0 || spawn->fds[i] >= low || spawn->fds[i] == i) continue;
    lifted[i] = fcntl(spawn->fds[i], F_DUPFD_CLOEXEC, low);
    if (lifted[i] < 0) return -errno;
  }
  return 0;
}

/* vfork in a function of its own, so that no local of the caller lives in a register over it. */
static __attribute__((noinline)) pid_t start(struct plan *plan) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wclobbered"
  /* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): posix_spawn cannot do what run_child does */
  pid_t pid = vfork();
#pragma GCC diagnostic pop
  if (pid == 0) run_child(plan); /* NOLINT(clang-analyzer-unix.Vfork): never returns */
  return pid;
}

static int explain(const struct plan *plan, struct dk_error *error) {
  const char *name = plan->spawn->argv[0];
  int code = plan->code;
  if (plan->stage == STAGE_DIR) return dk_error_system(error, -code, "cannot enter the directory of program %s", name);
  if (plan->stage == STAGE_SANDBOX)
    return dk_error_system(error, -code, "cannot keep program %s from the repository", name);
  if (plan->stage == STAGE_GROUP) return dk_error_system(error, -code, "cannot put program %s into its cgroup", name);
  if (plan->stage == STAGE_SETUP)
    return dk_error_system(error, -code, "cannot prepare the process of program %s", name);
  switch (code) {
  case ENOENT:
    if (strchr(name, '/'))
      return dk_error_set(error, -code,
                          "cannot start %s: there is no such program, or what its #! line names is missing", name);
    return dk_error_set(error, -code, "program not found: %s\nhelp: it is in no directory of PATH=%s", name,
                        env_find(plan->env, "PATH") ? env_find(plan->env, "PATH") : "");
  case EACCES:
    if (plan->spawn->landlock >= 0 && strchr(name, '/') && access(name, X_OK) == 0)
      return dk_error_set(error, -code, "cannot start %s: the task may not read it", name);
    return dk_error_set(error, -code, "cannot start %s: it is not executable (chmod +x?)", name);
  case ENOEXEC:
    return dk_error_set(error, -code, "cannot start %s: not a program for this machine, and no #! line", name);
  case E2BIG: return dk_error_set(error, -code, "cannot start %s: its arguments and environment are too long", name);
  default: return dk_error_system(error, -code, "cannot start %s", name);
  }
}

static int spawn_with(struct plan *plan, pid_t *ret_pid, struct dk_error *error) {
  sigset_t all;
  sigfillset(&all);
  /* A handler of ours must not run in the child, in our memory. */
  sigprocmask(SIG_SETMASK, &all, &plan->old_mask);
  pid_t pid = start(plan);
  int code = errno;
  sigprocmask(SIG_SETMASK, &plan->old_mask, NULL);
  if (pid < 0) return dk_error_system(error, -code, "cannot start a process for %s", plan->spawn->argv[0]);
  if (plan->stage != STAGE_NONE) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    return explain(plan, error);
  }
  *ret_pid = pid;
  return 0;
}

/* What was found */

void dk_spawn_found_finish(struct dk_spawn_found *found) {
  dk_free(found->path);
  dk_free(found->name);
  *found = (struct dk_spawn_found){0};
}

static bool is_found(const struct dk_spawn_found *found, const struct plan *plan, const char *name) {
  return found && plan->path && found->path && dk_now_ns() < found->until_ns && strcmp(found->path, plan->path) == 0 &&
         strcmp(found->name, name) == 0;
}

/* A relative directory of PATH is another one for the next task: what stands behind it is looked for each time. */
static void keep_found(struct dk_spawn_found *found, const struct plan *plan, const char *name) {
  dk_spawn_found_finish(found);
  if (!plan->path) return;
  for (size_t i = 0; i <= plan->executed; i++)
    if (plan->programs[i][0] != '/') return;
  found->path = dk_strdup(plan->path);
  found->name = dk_strdup(name);
  found->at = plan->executed;
  found->until_ns = dk_now_ns() + FOUND_NS;
  if (!found->path || !found->name) dk_spawn_found_finish(found);
}

int dk_spawn(const struct dk_spawn *spawn, pid_t *ret_pid, struct dk_error *error) {
  struct dk_spawn own = *spawn;
  struct plan plan = {.spawn = &own, .env = spawn->env ? spawn->env : environ, .null_fd = -1};
  int lifted[3] = {-1, -1, -1};
  int r = find_programs(&plan, spawn->argv[0]);
  bool is_known = r == 0 && is_found(spawn->found, &plan, spawn->argv[0]);
  if (is_known) plan.first = spawn->found->at;
  if (r == 0) r = lift_fds(spawn, lifted);
  for (int i = 0; i < 3; i++) {
    if (lifted[i] >= 0) own.fds[i] = lifted[i];
  }
  bool needs_null = spawn->fds[0] < 0 || spawn->fds[1] < 0 || spawn->fds[2] < 0;
  if (r == 0 && needs_null) {
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), low = 3 + (int)spawn->n_more_fds;
    plan.null_fd = fd >= 0 && fd < low ? fcntl(fd, F_DUPFD_CLOEXEC, low) : fd;
    if (plan.null_fd < 0) r = -errno;
    if (fd >= 0 && fd != plan.null_fd) close(fd);
  }
  if (r < 0)
    dk_error_system(error, r, "cannot prepare to start %s", spawn->argv[0]);
  else
    r = spawn_with(&plan, ret_pid, error);
  if (r == 0 && spawn->found && !(is_known && plan.executed == plan.first))
    keep_found(spawn->found, &plan, spawn->argv[0]);
  for (int i = 0; i < 3; i++) {
    if (lifted[i] >= 0) close(lifted[i]);
  }
  if (plan.null_fd >= 0) close(plan.null_fd);
  dk_free(plan.programs);
  dk_free(plan.storage);
  return r;
}

int dk_spawn_wait(const struct dk_spawn *spawn, struct dk_error *error) {
  pid_t pid;
  int r = dk_spawn(spawn, &pid, error);
  if (r < 0) return r;
  int status;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return dk_error_system(error, -errno, "cannot wait for %s", spawn->argv[0]);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Starting processes: what the child gets, what is said when it cannot start. */
#include "engine/sys/fs.h"
#include "engine/sys/proc.h"
#include "engine/sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int run(const char *script, struct dk_spawn how, struct dk_buf *out) {
  char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
  int fds[2];
  assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
  how.argv = argv;
  how.fds[1] = fds[1];
  pid_t pid;
  struct dk_error error = {0};
  if (dk_spawn(&how, &pid, &error) < 0) fail_msg("%s", error.text);
  close(fds[1]);
  char buffer[4096];
  for (ssize_t n; (n = read(fds[0], buffer, sizeof buffer)) > 0;) dk_buf_add(out, buffer, (size_t)n);
  close(fds[0]);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void child_is_clean(void **state) {
  (void)state;
  /* Ignored and blocked here, default and unblocked there. */
  signal(SIGUSR1, SIG_IGN);
  sigset_t mask, old;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  sigprocmask(SIG_BLOCK, &mask, &old);
  int leak = open("/dev/null", O_RDONLY); /* not close-on-exec */
  dk_autobuf out = DK_BUF_INIT;
  struct dk_spawn how = DK_SPAWN_INIT;
  how.umask = 027;
  how.dir = "/";
  assert_int_equal(run("grep -E 'SigBlk|SigIgn' /proc/self/status; ls /proc/self/fd | wc -l; umask; pwd", how, &out),
                   0);
  assert_string_equal(dk_buf_text(&out), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n4\n0027\n/\n");
  close(leak);
  sigprocmask(SIG_SETMASK, &old, NULL);
  signal(SIGUSR1, SIG_DFL);
}

static void environment_and_path(void **state) {
  (void)state;
  dk_autobuf out = DK_BUF_INIT;
  char *env[] = {(char *)"PATH=/nowhere:/bin:/usr/bin", (char *)"A=b", NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.env = env;
  assert_int_equal(run("echo $A; exit 5", how, &out), 5);
  assert_string_equal(dk_buf_text(&out), "b\n");
  char *none[] = {(char *)"PATH=/nowhere", NULL}, *argv[] = {(char *)"sh", NULL};
  how.env = none;
  how.argv = argv;
  pid_t pid;
  struct dk_error error = {0};
  assert_int_equal(dk_spawn(&how, &pid, &error), -ENOENT);
  assert_non_null(strstr(error.text, "program not found: sh"));
  assert_non_null(strstr(error.text, "PATH=/nowhere"));
}

/* A program that is found is tried first for a while, and looked for anew when it is not there any more. */
static void found_before(void **state) {
  (void)state;
  char dir[] = "/tmp/dk-spawn-XXXXXX", script[400], path[400];
  assert_non_null(mkdtemp(dir));
  snprintf(script, sizeof script,
           "cd %s && mkdir a b c && for d in b c; do echo \"#!/bin/sh\necho $d\" >$d/prog && chmod +x $d/prog; done",
           dir);
  assert_int_equal(system(script), 0);
  snprintf(path, sizeof path, "PATH=%s/a:%s/b:%s/c:/bin:/usr/bin", dir, dir, dir);
  char *env[] = {path, NULL}, *relative[] = {(char *)"PATH=:/bin:/usr/bin", NULL};
  struct dk_spawn_found found = {0};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.env = env;
  how.found = &found;
  static const struct {
    const char *before, *expected;
  } cases[] = {{"true", "b"}, {"true", "b"}, {"rm b/prog", "c"}, {"mv c/prog a", "c"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *argv[] = {(char *)"prog", NULL};
    int fds[2];
    char said[8] = "";
    pid_t pid;
    snprintf(script, sizeof script, "cd %s && %s", dir, cases[i].before);
    assert_int_equal(system(script), 0);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    how.argv = argv;
    how.fds[1] = fds[1];
    assert_int_equal(dk_spawn(&how, &pid, NULL), 0);
    close(fds[1]);
    assert_int_equal(read(fds[0], said, sizeof said - 1), 2);
    close(fds[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    said[1] = '\0';
    assert_string_equal(said, cases[i].expected);
    assert_string_equal(found.name, "prog");
  }
  assert_int_equal(found.at, 0);
  /* What stands behind a relative directory is not kept: that is another one for the next task. */
  dk_autobuf out = DK_BUF_INIT;
  how.env = relative;
  assert_int_equal(run("exit 3", how, &out), 3);
  assert_null(found.path);
  snprintf(script, sizeof script, "rm -r %s", dir);
  assert_int_equal(system(script), 0);
  dk_spawn_found_finish(&found);
}

static void more_descriptors(void **state) {
  (void)state;
  int given = fcntl(0, F_DUPFD_CLOEXEC, 20);
  if (given < 0) given = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dk_autobuf out = DK_BUF_INIT;
  struct dk_spawn how = DK_SPAWN_INIT;
  how.more_fds = &given;
  how.n_more_fds = 1;
  assert_int_equal(run("ls /proc/self/fd | tr '\\n' ' '; test -e /proc/self/fd/3", how, &out), 0);
  assert_string_equal(dk_buf_text(&out), "0 1 2 3 4 ");
  close(given);
}

static void groups_and_sessions(void **state) {
  (void)state;
  struct dk_spawn how = DK_SPAWN_INIT;
  char *argv[] = {(char *)"sleep", (char *)"100", NULL};
  how.argv = argv;
  for (int i = 0; i < 2; i++) {
    how.new_group = i == 0;
    how.new_session = i == 1;
    pid_t pid;
    assert_int_equal(dk_spawn(&how, &pid, NULL), 0);
    struct dk_proc_stat stat;
    assert_int_equal(dk_proc_stat(pid, &stat), 0);
    assert_int_equal(stat.pgrp, pid);
    assert_int_equal(stat.session, i == 0 ? getsid(0) : pid);
    assert_int_equal(stat.ppid, getpid());
    assert_true(dk_proc_is_alive(pid, stat.start_ticks));
    assert_false(dk_proc_is_alive(pid, stat.start_ticks + 1));
    assert_int_equal(dk_proc_signal_descendants(getpid(), SIGKILL), 1);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_false(dk_proc_is_alive(pid, stat.start_ticks));
  }
}

static void cannot_start(void **state) {
  (void)state;
  char dir[] = "/tmp/dk-spawn-XXXXXX", path[64];
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/prog", dir);
  assert_int_equal(dk_fs_write(path, "no program", 10, 0644, false, NULL), 0);
  char *argv[] = {path, NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  pid_t pid;
  struct dk_error error = {0};
  assert_int_equal(dk_spawn(&how, &pid, &error), -EACCES);
  assert_non_null(strstr(error.text, "not executable"));
  chmod(path, 0755);
  assert_int_equal(dk_spawn(&how, &pid, &error), -ENOEXEC);
  assert_int_equal(dk_fs_write(path, "#!/no/such/shell\n", 17, 0755, false, NULL), 0);
  assert_int_equal(dk_spawn(&how, &pid, &error), -ENOENT);
  assert_non_null(strstr(error.text, "#!"));
  how.dir = "/no/such/dir";
  assert_int_equal(dk_spawn(&how, &pid, &error), -ENOENT);
  assert_non_null(strstr(error.text, "cannot enter the directory"));
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to be reaped */
  assert_int_equal(errno, ECHILD);
  dk_fs_remove_tree(dir, NULL);
}

static void wait_for_end(void **state) {
  (void)state;
  struct dk_spawn how = DK_SPAWN_INIT;
  char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)"kill -TERM $$", NULL};
  how.argv = argv;
  assert_int_equal(dk_spawn_wait(&how, NULL), 128 + SIGTERM);
}

static void environ_of_a_process(void **state) {
  (void)state;
  char *env[] = {(char *)"XNAME=value", (char *)"NAME=values", (char *)"NAME=value", NULL},
       *argv[] = {(char *)"/bin/sleep", (char *)"100", NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  how.env = env;
  pid_t pid;
  assert_int_equal(dk_spawn(&how, &pid, NULL), 0);
  /* vfork returns before the new program has its environment in place. */
  for (int i = 0; i < 2000 && !dk_proc_has_env(pid, "XNAME=value"); i++) poll(NULL, 0, 5);
  assert_true(dk_proc_has_env(pid, "NAME=value"));
  assert_true(dk_proc_has_env(pid, "NAME=values"));
  assert_true(dk_proc_has_env(pid, "XNAME=value"));
  assert_false(dk_proc_has_env(pid, "NAME=valu"));
  assert_false(dk_proc_has_env(pid, "AME=value"));
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(child_is_clean),   cmocka_unit_test(environment_and_path), cmocka_unit_test(found_before),
      cmocka_unit_test(more_descriptors), cmocka_unit_test(groups_and_sessions),  cmocka_unit_test(cannot_start),
      cmocka_unit_test(wait_for_end),     cmocka_unit_test(environ_of_a_process),
  };
  return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}

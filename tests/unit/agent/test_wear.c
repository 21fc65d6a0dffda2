/* What tasks and people do to an agent's folder while it is in use: the agent goes on. */
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "tests/unit/agent/client.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct client client;
static uint64_t next = 1;

static int set_up(void **state) {
  (void)state;
  client_init(&client, 1);
  client_start_daemon(&client);
  client_connect(&client);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  client_finish(&client);
  return 0;
}

static void sh(const char *script) {
  char command[5000];
  snprintf(command, sizeof command, "cd %s; %s", client.dir, script);
  client_sh(command);
}

static struct dk_result run(const char *script) {
  struct dk_job job = client_job(&client, script);
  struct dk_result result;
  client_run(&client, next++, &job, &result);
  return result;
}

static void check_runs(const char *script, const char *expected) {
  struct dk_result result = run(script);
  if (result.cause != DK_CAUSE_OK) fail_msg("cause %d: %s", (int)result.cause, result.text ? result.text : "");
  dk_autofree char *text = client_text(&client, &result.out);
  assert_string_equal(text, expected);
  dk_result_finish(&result);
}

static bool exists(void *ctx) {
  char path[4300];
  snprintf(path, sizeof path, "%s/%s", client.dir, (const char *)ctx);
  return access(path, F_OK) == 0;
}

static void socket_is_removed(void **state) {
  (void)state;
  sh("rm agent/sock");
  assert_true(client_wait_for(exists, (void *)"agent/sock"));
  client_connect(&client);
  check_runs("echo here", "here\n");
}

static void old_agent_leaves_the_socket_of_the_new(void **state) {
  (void)state;
  client_disconnect(&client);
  pid_t old = client.daemon;
  kill(old, SIGSTOP);
  sh("rm agent/lock agent/sock");
  client_start_daemon(&client);
  client_connect(&client);
  kill(old, SIGCONT);
  int status;
  while (waitpid(old, &status, 0) < 0) assert_int_equal(errno, EINTR);
  assert_true(WIFEXITED(status));
  assert_true(exists((void *)"agent/sock"));
  client_connect(&client);
  check_runs("echo new", "new\n");
}

static bool can_be_immutable(void) {
  char command[4400];
  snprintf(command, sizeof command,
           "cd %s && touch probe && chattr +i probe 2>/dev/null && chattr -i probe 2>/dev/null", client.dir);
  return geteuid() == 0 && system(command) == 0; /* NOLINT: a shell is what is wanted */
}

static int tear_down_immutable(void **state) {
  sh("chattr -R -i agent/slots 2>/dev/null || true");
  return tear_down(state);
}

static void a_stuck_directory_goes_aside(void **state) {
  (void)state;
  if (!can_be_immutable()) skip();
  for (int i = 0; i < 2; i++) check_runs("mkdir d; touch d/f; chattr +i d/f; echo stuck", "stuck\n");
  check_runs("ls -A; echo free", "free\n");
  sh("test -e agent/slots/0/work.stuck-1/d/f; test -e agent/slots/0/work.stuck-2/d/f");
  /* The directory itself cannot even be renamed. */
  check_runs("chattr +i .; echo worse", "worse\n");
  struct dk_result result = run("true");
  assert_int_equal(result.cause, DK_CAUSE_SPAWN);
  assert_non_null(strstr(result.text, "agent/slots/0/work can neither be emptied nor renamed"));
  assert_non_null(strstr(result.text, "Operation not permitted"));
  dk_result_finish(&result);
  sh("chattr -i agent/slots/0/work");
  check_runs("echo again", "again\n");
}

static bool is_work_empty(void *ctx) {
  (void)ctx;
  char command[4400];
  snprintf(command, sizeof command, "test -z \"$(ls -A %s/agent/slots/0/work)\"", client.dir);
  return system(command) == 0; /* NOLINT: a shell is what is wanted */
}

static void a_failed_task_leaves_no_files(void **state) {
  (void)state;
  struct dk_result result = run("mkdir d; head -c 100000 /dev/zero > d/big; exit 3");
  assert_int_equal(result.cause, DK_CAUSE_EXIT);
  dk_result_finish(&result);
  assert_true(client_wait_for(is_work_empty, NULL));
}

static void a_new_agent_empties_idle_slots(void **state) {
  (void)state;
  check_runs("echo here", "here\n");
  client_disconnect(&client);
  pid_t keeper = client_keeper(&client, 0);
  client_kill_daemon(&client, SIGKILL);
  kill(keeper, SIGKILL);
  sh("echo big > agent/slots/0/work/big; mkdir -p agent/slots/0/work.stuck-3/d");
  assert_false(is_work_empty(NULL));
  client_start_daemon(&client);
  assert_true(client_wait_for(is_work_empty, NULL));
  client_connect(&client);
  check_runs("ls -A .. | grep stuck || echo none", "none\n");
}

static void slots_are_removed(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    check_runs("echo here", "here\n");
    sh("mv agent/slots gone; rm -rf gone"); /* in one step: the keeper makes nothing in it meanwhile */
  }
  check_runs("echo last", "last\n");
  sh("test -d agent/slots/0/work");
}

/* The agent needs many descriptors; a task gets what the user's shell had. */
static void limit_of_open_files(void **state) {
  (void)state;
  struct rlimit own, few;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &own), 0);
  few = (struct rlimit){24, own.rlim_max};
  client_disconnect(&client);
  client_kill_daemon(&client, SIGTERM);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
  client_start_daemon(&client);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &own), 0);
  client_connect(&client);
  check_runs("ulimit -Sn", "24\n");
  char expected[60], script[200];
  snprintf(expected, sizeof expected, "%llu\n%llu\n", (unsigned long long)own.rlim_max,
           (unsigned long long)own.rlim_max);
  snprintf(script, sizeof script, "for p in %ld %ld; do awk '/^Max open files/ { print $4 }' /proc/$p/limits; done",
           (long)client.daemon, (long)client_keeper(&client, 0));
  check_runs(script, expected);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(socket_is_removed),
      TEST(old_agent_leaves_the_socket_of_the_new),
      TEST(limit_of_open_files),
      TEST(slots_are_removed),
      TEST(a_failed_task_leaves_no_files),
      TEST(a_new_agent_empties_idle_slots),
      cmocka_unit_test_setup_teardown(a_stuck_directory_goes_aside, set_up, tear_down_immutable),
  };
  return cmocka_run_group_tests_name("wear", tests, NULL, NULL);
}

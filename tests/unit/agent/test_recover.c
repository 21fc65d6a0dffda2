/* What is left after a process of the agent was killed: results arrive once, nothing starts twice, nothing survives
 * unseen. */
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "tests/unit/agent/client.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct client client;

static int set_up(void **state) {
  (void)state;
  client_init(&client, 2);
  client_start_daemon(&client);
  client_connect(&client);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  client_finish(&client);
  return 0;
}

static bool exists(void *ctx) {
  return access(ctx, F_OK) == 0;
}

static char *path_of(const char *name) {
  char path[4300];
  snprintf(path, sizeof path, "%s/%s", client.dir, name);
  char *copy = dk_strdup(path);
  assert_non_null(copy);
  return copy;
}

/* A task that says that it runs, counts its starts, and goes on when a file is there. */
static void assign_waiting(uint64_t n) {
  struct dk_job job = client_job(&client, "echo x >> $T/starts; echo $$ > $T/pid.new; mv $T/pid.new $T/pid; "
                                          "while [ ! -e $T/go ]; do sleep 0.02; done; echo ok");
  client_assign(&client, n, &job);
  dk_autofree char *pid = path_of("pid");
  assert_true(client_wait_for(exists, pid));
}

static pid_t read_pid(void) {
  dk_autofree char *path = path_of("pid");
  dk_autobuf buf = DK_BUF_INIT;
  assert_int_equal(dk_fs_read(path, 100, &buf, NULL), 0);
  return (pid_t)atoi(dk_buf_text(&buf));
}

static void go(void) {
  dk_autofree char *path = path_of("go");
  assert_int_equal(dk_fs_write(path, "", 0, 0600, false, NULL), 0);
}

static void check_starts(size_t n) {
  dk_autofree char *path = path_of("starts");
  dk_autobuf buf = DK_BUF_INIT;
  assert_int_equal(dk_fs_read(path, 1000, &buf, NULL), 0);
  assert_int_equal(buf.len, 2 * n);
}

/* The answer to LIST: how many attempts, and the state of `n` (0: not there). */
static int list(uint64_t n, enum dk_attempt_state *ret) {
  client_list(&client);
  *ret = 0;
  for (int count = 0;; count++) {
    struct dk_message message;
    for (;;) {
      client_next(&client, &message);
      if (message.type == DK_MSG_HAS || message.type == DK_MSG_HAS_END) break;
      dk_message_finish(&message);
    }
    if (message.type == DK_MSG_HAS_END) return count;
    if (message.id.n == n) *ret = message.u.has.state;
  }
}

static void take_result(uint64_t n, enum dk_cause cause) {
  struct dk_result result;
  uint64_t seq;
  client_result(&client, n, &result, &seq);
  if (result.cause != cause) fail_msg("cause %s: %s", dk_cause_name(result.cause), result.text);
  client_ack(&client, seq);
  dk_result_finish(&result);
}

static void daemon_killed_while_a_task_runs(void **state) {
  (void)state;
  assign_waiting(1);
  client_kill_daemon(&client, SIGKILL);
  client_start_daemon(&client);
  client_connect(&client);
  enum dk_attempt_state is;
  assert_int_equal(list(1, &is), 1);
  assert_int_equal(is, DK_ATTEMPT_RUNNING);
  go();
  take_result(1, DK_CAUSE_OK);
  check_starts(1);
  /* Acknowledged: another session does not hear of it, and it cannot be started again. */
  client_connect(&client);
  assert_int_equal(list(1, &is), 0);
  struct dk_job job = client_job(&client, "echo again");
  client_assign(&client, 1, &job);
  struct dk_message refused;
  client_expect(&client, DK_MSG_REFUSED, &refused);
  assert_int_equal(refused.u.refused.reason, DK_REFUSED_STALE);
  dk_message_finish(&refused);
}

static void task_ends_while_no_daemon_is_there(void **state) {
  (void)state;
  assign_waiting(1);
  client_kill_daemon(&client, SIGKILL);
  pid_t pid = read_pid();
  go();
  for (int i = 0; i < 1000 && client_is_alive(pid); i++) poll(NULL, 0, 10);
  assert_false(client_is_alive(pid));
  client_start_daemon(&client);
  client_connect(&client);
  enum dk_attempt_state is;
  list(1, &is);
  assert_true(is == DK_ATTEMPT_ENDED || is == DK_ATTEMPT_RUNNING); /* its end may just be written */
  take_result(1, DK_CAUSE_OK);
  check_starts(1);
}

static void unacknowledged_is_repeated(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "echo once");
  client_assign(&client, 5, &job);
  struct dk_result result;
  uint64_t seq, again;
  client_result(&client, 5, &result, &seq);
  dk_result_finish(&result);
  client_connect(&client);
  client_list(&client);
  client_result(&client, 5, &result, &again);
  assert_true(seq == again);
  dk_result_finish(&result);
  /* Daemon and keeper both gone: the journal has it. */
  pid_t keeper = client_keeper(&client, 0);
  client_kill_daemon(&client, SIGKILL);
  kill(keeper, SIGKILL);
  client_start_daemon(&client);
  client_connect(&client);
  client_list(&client);
  client_result(&client, 5, &result, &again);
  assert_string_equal(result.out.bytes, "once\n");
  client_ack(&client, again);
  dk_result_finish(&result);
}

static void forgotten_over_a_restart(void **state) {
  (void)state;
  for (uint64_t n = 1; n <= 3; n++) {
    struct dk_job job = client_job(&client, ":");
    struct dk_result result;
    client_run(&client, n, &job, &result);
    dk_result_finish(&result);
  }
  enum dk_attempt_state is;
  assert_int_equal(list(1, &is), 0); /* the acknowledgement was taken in */
  client_kill_daemon(&client, SIGKILL);
  client_start_daemon(&client);
  client_connect(&client);
  struct dk_job job = client_job(&client, "echo again");
  client_assign(&client, 2, &job);
  struct dk_message refused;
  client_expect(&client, DK_MSG_REFUSED, &refused);
  assert_int_equal(refused.u.refused.reason, DK_REFUSED_STALE);
  dk_message_finish(&refused);
}

static void check_keeper_ended(int signal) {
  struct dk_job job = client_job(
      &client, "(setsid sh -c 'trap \"\" TERM; echo $$ > $T/new; mv $T/new $T/pid; sleep 1000; :' &); sleep 1000");
  client_assign(&client, 1, &job);
  dk_autofree char *pid_path = path_of("pid");
  assert_true(client_wait_for(exists, pid_path));
  pid_t hardy = read_pid();
  assert_true(client_is_alive(hardy));
  kill(client_keeper(&client, 0), signal);
  take_result(1, DK_CAUSE_LOST);
  assert_false(client_is_alive(hardy));
  /* And the slot works again. */
  job = client_job(&client, "echo fine");
  struct dk_result result;
  client_run(&client, 2, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  dk_result_finish(&result);
}

static void keeper_killed(void **state) {
  (void)state;
  check_keeper_ended(SIGKILL);
}

/* A machine that shuts down does this. */
static void keeper_asked_to_end(void **state) {
  (void)state;
  check_keeper_ended(SIGTERM);
}

static void both_killed(void **state) {
  (void)state;
  assign_waiting(1);
  pid_t task = read_pid();
  pid_t keeper = client_keeper(&client, 0);
  client_kill_daemon(&client, SIGKILL);
  kill(keeper, SIGKILL);
  assert_true(client_is_alive(task));
  client_start_daemon(&client);
  client_connect(&client);
  client_list(&client);
  take_result(1, DK_CAUSE_LOST);
  assert_false(client_is_alive(task));
  check_starts(1);
}

static void newer_session_takes_over(void **state) {
  (void)state;
  struct dk_conn old = client.conn;
  uint64_t old_session = client.session;
  dk_conn_init(&client.conn, -1);
  client_connect(&client);
  /* The old connection hears that it is closed; its orders do nothing. */
  struct client other = client;
  other.conn = old;
  other.session = old_session;
  struct dk_message closed;
  client_expect(&other, DK_MSG_CLOSED, &closed);
  dk_message_finish(&closed);
  dk_conn_finish(&other.conn);
  struct dk_message late = {.type = DK_MSG_ASSIGN, .id = {client.inc, 9}};
  late.u.job = client_job(&client, "echo late");
  late.session = old_session;
  assert_int_equal(dk_conn_put(&client.conn, &late), 0);
  assert_int_equal(dk_conn_flush(&client.conn), 0);
  dk_message_finish(&late);
  struct dk_message refused;
  client_expect(&client, DK_MSG_REFUSED, &refused);
  assert_int_equal(refused.u.refused.reason, DK_REFUSED_STALE);
  dk_message_finish(&refused);
}

static void garbage_closes_only_its_connection(void **state) {
  (void)state;
  dk_conn_finish(&client.conn);
  client_connect(&client);
  char noise[200];
  for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)(i * 37 + 11);
  dk_buf_add(&client.conn.out.bytes, noise, sizeof noise);
  assert_int_equal(dk_conn_flush(&client.conn), 0);
  char byte;
  ssize_t n;
  struct pollfd fd = {.fd = client.conn.fd, .events = POLLIN};
  do {
    assert_int_equal(poll(&fd, 1, 120000), 1);
    n = read(client.conn.fd, &byte, 1);
  } while (n > 0);
  client_connect(&client);
  struct dk_job job = client_job(&client, "echo fine");
  struct dk_result result;
  client_run(&client, 1, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  dk_result_finish(&result);
}

static void second_daemon_leaves(void **state) {
  (void)state;
  struct client other = client;
  client_start_daemon(&other);
  int status;
  assert_int_equal(waitpid(other.daemon, &status, 0), other.daemon);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool is_dead(void *ctx) {
  return !client_is_alive(*(pid_t *)ctx);
}

static void ends_itself_when_idle(void **state) {
  (void)state;
  client_kill_daemon(&client, SIGKILL);
  client.idle_ms = 100;
  client_start_daemon(&client);
  client_connect(&client);
  struct dk_job job = client_job(&client, ":");
  struct dk_result result;
  client_run(&client, 1, &job, &result);
  dk_result_finish(&result);
  pid_t keeper = client_keeper(&client, 0);
  client_disconnect(&client);
  assert_true(client_wait_for(is_dead, &client.daemon));
  assert_true(client_wait_for(is_dead, &keeper));
  int status;
  assert_int_equal(waitpid(client.daemon, &status, 0), client.daemon);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  client.daemon = 0;
  dk_autofree char *sock = path_of("agent/sock");
  assert_int_equal(access(sock, F_OK), -1);
}

static void folder_is_removed(void **state) {
  (void)state;
  assign_waiting(1);
  pid_t task = read_pid(), keeper = client_keeper(&client, 0);
  client_disconnect(&client);
  assert_int_equal(dk_fs_remove_tree(client.dir, NULL), 0);
  assert_true(client_wait_for(is_dead, &task));
  assert_true(client_wait_for(is_dead, &keeper));
  assert_true(client_wait_for(is_dead, &client.daemon));
  assert_int_equal(access(client.dir, F_OK), -1); /* and nobody makes it again */
  int status;
  assert_int_equal(waitpid(client.daemon, &status, 0), client.daemon);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  client.daemon = 0;
}

static void long_path(void **state) {
  (void)state;
  client_kill_daemon(&client, SIGKILL);
  size_t len = strlen(client.dir);
  snprintf(client.dir + len, sizeof client.dir - len, "/%0120d/%0120d", 1, 2);
  snprintf(client.objects, sizeof client.objects, "%.1000s/objects", client.dir);
  assert_int_equal(dk_fs_mkdirs(client.objects, 0700, NULL), 0);
  client_start_daemon(&client);
  client_connect(&client);
  assign_waiting(1);
  client_kill_daemon(&client, SIGKILL);
  client_start_daemon(&client);
  client_connect(&client);
  client_list(&client);
  go();
  take_result(1, DK_CAUSE_OK);
  client_disconnect(&client);
  client_kill_daemon(&client, SIGKILL);
  client.dir[len] = '\0';
}

static void full_disk(void **state) {
  (void)state;
  client_disconnect(&client);
  client_kill_daemon(&client, SIGKILL);
  dk_autofree char *agent = path_of("agent");
  if (mount("tmpfs", agent, "tmpfs", 0, "size=512k") < 0) {
    print_message("no tmpfs can be mounted here (%s): not tested\n", strerror(errno));
    skip();
  }
  client_start_daemon(&client);
  client_connect(&client);
  struct dk_job job = client_job(&client, "echo fine");
  struct dk_result result;
  client_run(&client, 1, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  dk_result_finish(&result);
  /* The task itself fills the disk: its journal has its room already, so its end is told. */
  job = client_job(&client, "head -c 10000000 /dev/zero > big; echo $?; sync; exit 3");
  client_run(&client, 2, &job, &result);
  assert_true(result.cause == DK_CAUSE_EXIT || result.cause == DK_CAUSE_DISK);
  dk_result_finish(&result);
  /* Full from outside: a slot that has no journal yet refuses. */
  char command[9000];
  snprintf(command, sizeof command, "head -c 10000000 /dev/zero > %s/ballast || :", agent);
  client_kill_daemon(&client, SIGKILL);
  /* It holds the room of its journal until it has ended. */
  pid_t keeper = client_keeper(&client, 0);
  kill(keeper, SIGKILL);
  for (int i = 0; i < 1000 && client_is_alive(keeper); i++) poll(NULL, 0, 10);
  snprintf(command + strlen(command), sizeof command - strlen(command),
           "; rm -f %s/slots/0/journal.*; rm -rf %s/slots/0/work/big; head -c 10000000 /dev/zero >> %s/ballast || :",
           agent, agent, agent);
  client_sh(command);
  client_start_daemon(&client);
  client_connect(&client);
  job = client_job(&client, "echo not run");
  client_assign(&client, 3, &job);
  struct dk_message refused;
  client_expect(&client, DK_MSG_REFUSED, &refused);
  assert_int_equal(refused.u.refused.reason, DK_REFUSED_DISK);
  dk_message_finish(&refused);
  /* Room again: it goes on by itself. */
  snprintf(command, sizeof command, "rm -f %s/ballast", agent);
  client_sh(command);
  job = client_job(&client, "echo fine");
  client_run(&client, 4, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  dk_result_finish(&result);
}

static int tear_down_full_disk(void **state) {
  dk_autofree char *agent = path_of("agent");
  umount2(agent, MNT_DETACH);
  return tear_down(state);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(daemon_killed_while_a_task_runs),
      TEST(task_ends_while_no_daemon_is_there),
      TEST(unacknowledged_is_repeated),
      TEST(forgotten_over_a_restart),
      TEST(keeper_killed),
      TEST(keeper_asked_to_end),
      TEST(both_killed),
      TEST(newer_session_takes_over),
      TEST(garbage_closes_only_its_connection),
      TEST(second_daemon_leaves),
      TEST(ends_itself_when_idle),
      TEST(folder_is_removed),
      TEST(long_path),
      cmocka_unit_test_setup_teardown(full_disk, set_up, tear_down_full_disk),
  };
  return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}

/* Many short tasks while daemon and keepers are killed again and again: no attempt starts twice, every result is told,
 * what is told as ok has run, and what is told to be absent never runs later. */
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "tests/unit/agent/client.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TASKS = 600, DEPTH = 24, ATTEMPTS = 8000 };

enum fate { UNUSED, SENT, ENDED_OK, ENDED_LOST, ABSENT };

static struct client client;
static enum fate fates[ATTEMPTS];
static uint64_t last;
static int n_ok, n_out;

static void assign_more(void) {
  while (n_ok + n_out < TASKS && n_out < DEPTH) {
    assert_true(++last < ATTEMPTS);
    struct dk_job job = client_job(&client, "echo x >> $T/starts/$DK_ATTEMPT");
    struct dk_message message = {.type = DK_MSG_ASSIGN, .id = {client.inc, last}, .session = client.session};
    message.u.job = job;
    assert_int_equal(dk_conn_put(&client.conn, &message), 0);
    dk_job_finish(&job);
    fates[last] = SENT;
    n_out++;
  }
  (void)dk_conn_flush(&client.conn); /* a dead connection is seen when it is read */
}

/* true: news. */
static bool on_result(const struct dk_message *message) {
  uint64_t n = message->id.n;
  assert_true(n <= last && fates[n] != UNUSED);
  if (fates[n] == ABSENT) fail_msg("attempt %llu was absent, and has a result", (unsigned long long)n);
  struct dk_message ack = {.type = DK_MSG_ACK, .session = client.session, .seq = message->seq};
  dk_conn_put(&client.conn, &ack);
  if (fates[n] != SENT) return false; /* said again: the acknowledgement went down with its connection */
  n_out--;
  bool is_ok = message->u.result.cause == DK_CAUSE_OK;
  if (!is_ok && message->u.result.cause != DK_CAUSE_LOST) fail_msg("%s", message->u.result.text);
  fates[n] = is_ok ? ENDED_OK : ENDED_LOST;
  n_ok += is_ok;
  return true;
}

/* Messages until `n` new results came or the connection ended. */
static void take(int n) {
  uint64_t until = dk_now_ns() + 30000000000u;
  while (n > 0 && n_out > 0) {
    struct dk_message message;
    int r = dk_conn_next(&client.conn, &message, NULL);
    assert_true(r >= 0);
    if (r == 0) {
      assert_true(dk_now_ns() < until);
      struct pollfd fd = {.fd = client.conn.fd, .events = POLLIN};
      assign_more();
      if (poll(&fd, 1, 1000) > 0 && dk_conn_fill(&client.conn) < 0 && client.conn.in_at == client.conn.in.len) return;
      continue;
    }
    if (message.type == DK_MSG_RESULT && on_result(&message)) n--;
    if (message.type == DK_MSG_REFUSED) fail_msg("refused: %s", message.u.refused.text);
    dk_message_finish(&message);
  }
}

/* What a new session's agent does not name, it does not have. */
static void list(void) {
  static bool named[ATTEMPTS];
  memset(named, 0, sizeof named);
  client_connect(&client);
  client_list(&client);
  for (bool is_end = false; !is_end;) {
    struct dk_message message;
    client_next(&client, &message);
    if (message.type == DK_MSG_CLOSED) fail_msg("%s", message.u.closed.text);
    is_end = message.type == DK_MSG_HAS_END;
    if (message.type == DK_MSG_HAS) named[message.id.n] = true;
    assert_int_not_equal(message.type, DK_MSG_RESULT);
    dk_message_finish(&message);
  }
  for (uint64_t n = 1; n <= last; n++) {
    if (fates[n] != SENT || named[n]) continue;
    fates[n] = ABSENT;
    n_out--;
  }
}

static size_t starts_of(uint64_t n) {
  char path[1200];
  snprintf(path, sizeof path, "%s/starts/%016llx-%llu", client.dir, (unsigned long long)client.inc,
           (unsigned long long)n);
  dk_autobuf buf = DK_BUF_INIT;
  return dk_fs_read(path, 100, &buf, NULL) < 0 ? 0 : buf.len / 2;
}

/* The one that was killed a moment ago may not have a successor yet. */
static void kill_keeper(uint32_t slot) {
  pid_t pid = client_find_keeper(&client, slot);
  if (pid > 0) kill(pid, SIGKILL);
}

static void storm(void **state) {
  (void)state;
  char path[1100];
  snprintf(path, sizeof path, "%s/starts", client.dir);
  assert_int_equal(dk_fs_mkdirs(path, 0700, NULL), 0);
  client_start_daemon(&client);
  list();
  assign_more();
  int restarts = 0;
  for (unsigned round = 0; n_ok < TASKS; round++) {
    take(7 + (int)(round * 13 % 29));
    if (n_ok >= TASKS) break;
    switch (round % 5) {
    case 0:
    case 2: kill_keeper(round / 2 % 2); break;
    case 1:
    case 3:
      client_kill_daemon(&client, SIGKILL);
      if (round % 4 == 3) kill_keeper(0);
      client_start_daemon(&client);
      restarts++;
      list();
      break;
    default: list(); break; /* only the connection */
    }
    assign_more();
  }
  list();
  int lost = 0, absent = 0;
  for (uint64_t n = 1; n <= last; n++) {
    size_t starts = starts_of(n);
    if (starts > 1) fail_msg("attempt %llu started %zu times", (unsigned long long)n, starts);
    if (fates[n] == ENDED_OK && starts != 1) fail_msg("attempt %llu is ok and did not run", (unsigned long long)n);
    if (fates[n] == ABSENT && starts != 0) fail_msg("attempt %llu was absent and ran", (unsigned long long)n);
    assert_int_not_equal(fates[n], SENT);
    lost += fates[n] == ENDED_LOST;
    absent += fates[n] == ABSENT;
  }
  print_message("%d ok, %d lost, %d absent of %llu attempts; %d restarts\n", n_ok, lost, absent,
                (unsigned long long)last, restarts);
  assert_true(restarts > 3);
}

static int set_up(void **state) {
  (void)state;
  client_init(&client, 2);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  client_finish(&client);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(storm, set_up, tear_down)};
  return cmocka_run_group_tests_name("storm", tests, NULL, NULL);
}

/* Tasks through the real dkagent: how they end, what they see, what is kept of them. */
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "tests/unit/agent/client.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct client client;
static uint64_t next = 1;

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

static struct dk_result run(const char *script) {
  struct dk_job job = client_job(&client, script);
  struct dk_result result;
  client_run(&client, next++, &job, &result);
  return result;
}

static void check_out(const struct dk_result *result, const char *expected) {
  dk_autofree char *text = client_text(&client, &result->out);
  assert_string_equal(text, expected);
}

static void exit_codes(void **state) {
  (void)state;
  struct dk_result result = run("echo hello; echo oops >&2");
  assert_int_equal(result.cause, DK_CAUSE_OK);
  check_out(&result, "hello\n");
  dk_autofree char *err = client_text(&client, &result.err);
  assert_string_equal(err, "oops\n");
  assert_true(result.wall_ns > 0 && result.max_rss > 0 && result.started_unix_ns > 0);
  dk_result_finish(&result);
  result = run("exit 7");
  assert_int_equal(result.cause, DK_CAUSE_EXIT);
  assert_int_equal(result.code, 7);
  dk_result_finish(&result);
  result = run("kill -SEGV $$");
  assert_int_equal(result.cause, DK_CAUSE_SIGNAL);
  assert_int_equal(result.code, SIGSEGV);
  assert_string_equal(result.text, "SIGSEGV (Segmentation fault)");
  dk_result_finish(&result);
}

static void many_short_ones(void **state) {
  (void)state;
  enum { N = 300 };
  uint64_t first = next;
  for (uint64_t i = 0; i < N; i++) {
    struct dk_job job = client_job(&client, "echo $DK_ATTEMPT");
    client_assign(&client, next++, &job);
  }
  static bool seen[N];
  memset(seen, 0, sizeof seen);
  for (int i = 0; i < N; i++) {
    struct dk_message message;
    client_expect(&client, DK_MSG_RESULT, &message);
    uint64_t at = message.id.n - first;
    if (at >= N || seen[at])
      fail_msg("result of attempt %llu (of %llu..) again: cause %d", (unsigned long long)message.id.n,
               (unsigned long long)first, (int)message.u.result.cause);
    seen[at] = true;
    char expected[60];
    snprintf(expected, sizeof expected, "%016llx-%llu\n", (unsigned long long)client.inc,
             (unsigned long long)message.id.n);
    assert_int_equal(message.u.result.cause, DK_CAUSE_OK);
    assert_string_equal(message.u.result.out.bytes, expected);
    client_ack(&client, message.seq);
    dk_message_finish(&message);
  }
}

static void what_a_task_sees(void **state) {
  (void)state;
  struct dk_result result = run("umask; ls /proc/self/fd | wc -l; readlink /proc/self/fd/0; "
                                "test \"$(pwd -P)\" = \"$DK_DIR\" && echo dir; test -d \"$TMPDIR\" && echo tmp; "
                                "test \"$DK_METRICS\" = \"$DK_DIR/.dk-metrics\" && echo metrics; "
                                "grep -E 'SigBlk|SigIgn' /proc/self/status; env | cut -d= -f1 | sort | tr '\\n' ' '");
  assert_int_equal(result.cause, DK_CAUSE_OK);
  /* 0, 1, 2 and the directory that ls reads. */
  check_out(&result, "0022\n4\n/dev/null\ndir\ntmp\nmetrics\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                     "DK_ATTEMPT DK_DIR DK_GPUS DK_METRICS DK_SLOT PATH PWD T TMPDIR ");
  dk_result_finish(&result);
}

static void directory_is_fresh(void **state) {
  (void)state;
  for (int i = 0; i < 6; i++) {
    struct dk_result result = run(
        "ls -A | wc -l; ls -A \"$TMPDIR\" | wc -l; mkdir -p a/b; echo x > a/b/c; chmod 0 a; echo y > \"$TMPDIR/z\"; "
        "chmod 500 .");
    assert_int_equal(result.cause, DK_CAUSE_OK);
    check_out(&result, "0\n0\n");
    dk_result_finish(&result);
  }
}

static void missing_program(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "");
  dk_free(job.argv[0]);
  job.argv[0] = dk_strdup("no-such-program");
  struct dk_result result;
  client_run(&client, next++, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_SPAWN);
  assert_non_null(strstr(result.text, "program not found: no-such-program"));
  dk_result_finish(&result);
}

static void long_script(void **state) {
  (void)state;
  enum { SIZE = 300000 };
  char *script = dk_alloc(SIZE);
  assert_non_null(script);
  memset(script, ' ', SIZE);
  strcpy(script + SIZE - 20, "echo done");
  struct dk_result result = run(script);
  dk_free(script);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  check_out(&result, "done\n");
  dk_result_finish(&result);
}

/* Pids that the script writes to its standard output, one a line, are gone. */
static void check_gone(const struct dk_result *result) {
  dk_autofree char *text = client_text(&client, &result->out);
  int n = 0;
  for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n"), n++) assert_false(client_is_alive((pid_t)atoi(at)));
  assert_true(n > 0);
}

#define HARDY                                                                                                          \
  "setsid sh -c 'trap \"\" TERM HUP INT; echo $$; (trap \"\" TERM; sh -c \"echo \\$\\$; exec sleep 1000\" &) ; "       \
  "while :; do sleep 1000; done' & "

static void timeout_ends_the_tree(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "trap '' TERM; echo $$; " HARDY "while :; do sleep 1000; done");
  job.timeout_ms = 300;
  job.grace_ms = 200;
  struct dk_result result;
  client_run(&client, next++, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_TIMEOUT);
  assert_string_equal(result.text, "its timeout is 0.3 s");
  assert_true(result.wall_ns >= 500000000u);
  check_gone(&result);
  dk_result_finish(&result);
}

static void timeout_gives_grace(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done");
  job.timeout_ms = 200;
  job.grace_ms = 15000;
  struct dk_result result;
  client_run(&client, next++, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_TIMEOUT);
  assert_int_equal(result.code, 0);
  check_out(&result, "bye\n");
  dk_result_finish(&result);
}

static void leftovers_are_ended(void **state) {
  (void)state;
  struct dk_result result = run(HARDY "sleep 0.2; exit 0");
  assert_int_equal(result.cause, DK_CAUSE_OK);
  check_gone(&result);
  dk_result_finish(&result);
}

static bool has_three_lines(void *ctx) {
  char path[4300];
  snprintf(path, sizeof path, "%s/agent/slots/%u/out", client.dir, *(uint32_t *)ctx);
  dk_autobuf buf = DK_BUF_INIT;
  if (dk_fs_read(path, 1000, &buf, NULL) < 0) return false;
  int n = 0;
  for (size_t i = 0; i < buf.len; i++) n += buf.data[i] == '\n';
  return n == 3;
}

static void kill_order(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "echo $$; " HARDY "sleep 1000");
  uint64_t n = next++;
  client_assign(&client, n, &job);
  struct dk_message started;
  client_expect(&client, DK_MSG_STARTED, &started);
  assert_true(started.id.n == n);
  uint32_t slot = started.u.started.slot;
  assert_true(client_wait_for(has_three_lines, &slot));
  client_kill(&client, n, 100);
  struct dk_result result;
  uint64_t seq;
  client_result(&client, n, &result, &seq);
  client_ack(&client, seq);
  assert_int_equal(result.cause, DK_CAUSE_KILLED);
  check_gone(&result);
  dk_result_finish(&result);
}

static void memory_limit(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "x=$(head -c 100000000 /dev/zero | tr '\\0' a); sleep 1000");
  job.memory = 50u << 20;
  struct dk_result result;
  client_run(&client, next++, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OOM);
  assert_non_null(strstr(result.text, "its limit is 50 MiB"));
  dk_result_finish(&result);
}

/* None of them is over the limit, all of them are. */
static void many_small(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "for i in 1 2 3 4 5 6 7 8; do\n"
                                          "  (x=$(head -c 10000000 /dev/zero | tr '\\0' a); sleep 1000; : \"$x\") &\n"
                                          "done; wait");
  job.memory = 50u << 20;
  struct dk_result result;
  client_run(&client, next++, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OOM);
  assert_non_null(strstr(result.text, "its limit is 50 MiB"));
  dk_result_finish(&result);
}

/* Somebody's KILL is no lack of memory, also of a task that has a limit and has been looked at. */
static void killed_by_somebody(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "sleep 0.3; kill -KILL $$");
  job.memory = 500u << 20;
  struct dk_result result;
  client_run(&client, next++, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_SIGNAL);
  assert_int_equal(result.code, SIGKILL);
  dk_result_finish(&result);
}

/* 1 GB to a stream: neither fails nor fills the disk. */
static void huge_output(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "echo first; head -c 1000000000 /dev/zero | tr '\\0' x; echo; echo last; "
                                          "stat -c '%b' ../out >&2");
  job.log_cap = 8u << 20;
  struct dk_result result;
  client_run(&client, next++, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  assert_true(result.out.total == 1000000012u);
  assert_true(result.out.size <= (2u << 20) + 100);
  dk_autofree char *text = client_text(&client, &result.out);
  assert_int_equal(strncmp(text, "first\nxxx", 9), 0);
  assert_non_null(strstr(text, "xxx\n["));
  assert_non_null(strstr(text, " bytes left out]\nxxx"));
  assert_string_equal(text + result.out.size - 9, "xxx\nlast\n");
  /* How much of it was on disk at the end, in blocks of 512 bytes: the rest was punched out while it ran. */
  dk_autofree char *blocks = client_text(&client, &result.err);
  assert_true(atoll(blocks) < 900000000 / 512);
  dk_result_finish(&result);
}

/* A task may cut what it has written: what it says afterwards is its log. */
static void cut_output(void **state) {
  (void)state;
  static const char *const after[] = {"echo end", "head -c 300000 /dev/zero | tr '\\0' y; echo end"};
  for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
    dk_autobuf script = DK_BUF_INIT;
    dk_buf_printf(&script, "head -c 30000000 /dev/zero | tr '\\0' x; sleep 0.5; : >/dev/stdout; %s", after[i]);
    struct dk_job job = client_job(&client, dk_buf_text(&script));
    job.log_cap = 1u << 20;
    struct dk_result result;
    client_run(&client, next++, &job, &result);
    if (result.cause != DK_CAUSE_OK) fail_msg("%s", result.text);
    dk_autofree char *text = result.out.bytes ? dk_strdup(result.out.bytes) : client_text(&client, &result.out);
    assert_null(strchr(text, 'x'));
    assert_null(strstr(text, "left out"));
    assert_int_equal(result.out.size, i == 0 ? 4 : 300004);
    assert_string_equal(text + result.out.size - 4, "end\n");
    dk_result_finish(&result);
  }
}

static void log_object(void **state) {
  (void)state;
  struct dk_result result = run("seq 1 5000");
  assert_int_equal(result.cause, DK_CAUSE_OK);
  assert_null(result.out.bytes);
  dk_autofree char *text = client_text(&client, &result.out);
  assert_int_equal(strncmp(text, "1\n2\n", 4), 0);
  assert_int_equal(strlen(text), 23893);
  dk_result_finish(&result);
  result = run("echo short");
  check_out(&result, "short\n"); /* and the next log is a file of its own */
  dk_result_finish(&result);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exit_codes),
      cmocka_unit_test(many_short_ones),
      cmocka_unit_test(what_a_task_sees),
      cmocka_unit_test(directory_is_fresh),
      cmocka_unit_test(missing_program),
      cmocka_unit_test(long_script),
      cmocka_unit_test(timeout_ends_the_tree),
      cmocka_unit_test(timeout_gives_grace),
      cmocka_unit_test(leftovers_are_ended),
      cmocka_unit_test(kill_order),
      cmocka_unit_test(memory_limit),
      cmocka_unit_test(many_small),
      cmocka_unit_test(killed_by_somebody),
      cmocka_unit_test(huge_output),
      cmocka_unit_test(cut_output),
      cmocka_unit_test(log_object),
  };
  return cmocka_run_group_tests_name("run", tests, set_up, tear_down);
}

/* `dkagent bridge`, as ssh runs it, and `clean` and `du`: real daemons, among them one of another version. */
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"
#include "engine/sys/sock.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"
#include "tests/unit/agent/client.h"

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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS 120000000000u

static struct client client;
static pid_t bridge;

static int set_up(void **state) {
  (void)state;
  client_init(&client, 2);
  bridge = 0;
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  if (bridge > 0) {
    kill(bridge, SIGKILL);
    waitpid(bridge, NULL, 0);
  }
  client_finish(&client);
  return 0;
}

static const char *at(const char *name) {
  static char path[4][2048];
  static unsigned i;
  i = (i + 1) % 4;
  snprintf(path[i], sizeof path[i], "%s/%s", client.dir, name);
  return path[i];
}

/* Runs `dkagent WORDS --root DIR/agent` to its end; its exit code, what it wrote to stdout and stderr. */
static int run(const char *words, char ret_out[2000], char ret_err[2000]) {
  char command[5000];
  snprintf(command, sizeof command, "exec %s %s --root %s >%s 2>%s </dev/null", DK_TEST_AGENT, words, at("agent"),
           at("out"), at("err"));
  char *argv[] = {(char *)"/bin/sh", (char *)"-c", command, NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  int code = dk_spawn_wait(&how, NULL);
  dk_autobuf out = DK_BUF_INIT, err = DK_BUF_INIT;
  assert_int_equal(dk_fs_read(at("out"), 1999, &out, NULL), 0);
  assert_int_equal(dk_fs_read(at("err"), 1999, &err, NULL), 0);
  strcpy(ret_out, dk_buf_text(&out));
  strcpy(ret_err, dk_buf_text(&err));
  return code;
}

static void fails(const char *words, const char *error) {
  char out[2000], err[2000];
  assert_int_equal(run(words, out, err), 1);
  if (!strstr(err, error)) fail_msg("%s", err);
  assert_string_equal(out, "");
  assert_int_equal(strncmp(err, "dkagent: ", 9), 0);
  assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1); /* one line */
}

/* Starts one with these descriptors as its stdin and stdout, which are closed here. */
static void start(const char *options, int in, int out) {
  char command[5000];
  snprintf(command, sizeof command, "exec %s bridge --root %s --ledger off --cgroup off %s 2>>%s", DK_TEST_AGENT,
           at("agent"), options, at("log"));
  char *argv[] = {(char *)"/bin/sh", (char *)"-c", command, NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  how.fds[0] = in;
  how.fds[1] = out;
  assert_int_equal(dk_spawn(&how, &bridge, NULL), 0);
  close(in);
  if (out != in) close(out);
}

static void expect_ready(int fd) {
  char line[15] = "";
  for (size_t n = 0; n < 14;) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 120000), 1);
    ssize_t got = read(fd, line + n, 14 - n);
    assert_true(got > 0);
    n += (size_t)got;
  }
  assert_string_equal(line, "dkagent ready\n");
}

/* Connects through a bridge, as over ssh: a socketpair is its stdin and stdout. The daemon's pid. */
static uint32_t connect_with(const char *options, uint32_t slots) {
  int fds[2];
  struct dk_message welcome;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  start(options, fds[1], fds[1]);
  expect_ready(fds[0]);
  assert_true(client_greet(&client, fds[0], &welcome));
  assert_int_equal(welcome.type, DK_MSG_WELCOME);
  assert_int_equal(welcome.u.welcome.slots, slots);
  assert_true(welcome.u.welcome.free > 0 && welcome.u.welcome.unix_ns > 0);
  uint32_t pid = welcome.u.welcome.pid;
  dk_message_finish(&welcome);
  return pid;
}

static int end_bridge(void) {
  int status;
  uint64_t until = dk_now_ns() + PATIENCE_NS;
  while (waitpid(bridge, &status, WNOHANG) == 0) {
    if (dk_now_ns() > until) fail_msg("the bridge does not end");
    poll(NULL, 0, 2);
  }
  bridge = 0;
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void hang_up(void) {
  client_disconnect(&client);
  assert_int_equal(end_bridge(), 0);
}

static void echoes(uint64_t n) {
  struct dk_job job = client_remote_job(&client, "echo ok");
  struct dk_result result;
  client_run(&client, n, &job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  assert_string_equal(result.out.bytes, "ok\n");
  dk_result_finish(&result);
}

static bool exists(void *ctx) {
  return access(ctx, F_OK) == 0;
}

static void assign_waiting(uint64_t n) {
  struct dk_job job = client_remote_job(&client, "echo x >> $T/starts; : > $T/runs; while [ ! -e $T/go ]; do sleep "
                                                 "0.02; done; wc -l < $T/starts");
  client_assign(&client, n, &job);
  assert_true(client_wait_for(exists, (void *)at("runs")));
}

/* The task that waits goes on, and its result arrives. It started once. */
static void goes_on(uint64_t n) {
  struct dk_message message;
  client_list(&client);
  client_expect(&client, DK_MSG_HAS, &message);
  assert_int_equal(message.id.n, n);
  assert_int_equal(message.u.has.state, DK_ATTEMPT_RUNNING);
  client_expect(&client, DK_MSG_HAS_END, &message);
  struct dk_result result;
  uint64_t seq;
  assert_int_equal(dk_fs_write(at("go"), "", 0, 0600, false, NULL), 0);
  client_result(&client, n, &result, &seq);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  assert_string_equal(result.out.bytes, "1\n");
  client_ack(&client, seq);
  dk_result_finish(&result);
}

static void finds_or_starts(void **state) {
  (void)state;
  struct stat st;
  uint32_t first = connect_with("--slots 2", 2);
  echoes(1);
  assert_int_equal(stat(at("agent"), &st), 0);
  assert_int_equal(st.st_mode & 07777, 0700);
  assert_true(client_is_alive((pid_t)first));
  hang_up();
  assert_int_equal(connect_with("--slots 2", 2), first);
  echoes(2);
  hang_up();
  /* What it was started with counts. */
  char out[2000], err[2000];
  kill((pid_t)first, SIGKILL);
  while (client_is_alive((pid_t)first)) poll(NULL, 0, 2);
  uint32_t second = connect_with("--slots 2", 2);
  assert_int_not_equal(second, first);
  echoes(3);
  hang_up();
  assert_int_equal(run("bridge --slots x", out, err), 2);
}

/* Both find no daemon, and start one: one lives, and both reach it. The second session ends the first. */
static void two_at_once(void **state) {
  (void)state;
  int fds[2][2];
  pid_t bridges[2];
  for (int i = 0; i < 2; i++) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[i]), 0);
    start("--slots 2", fds[i][1], fds[i][1]);
    bridges[i] = bridge;
  }
  uint32_t pids[2];
  for (int i = 0; i < 2; i++) {
    struct dk_message welcome;
    expect_ready(fds[i][0]);
    assert_true(client_greet(&client, fds[i][0], &welcome)); /* closes the one before */
    pids[i] = welcome.u.welcome.pid;
    dk_message_finish(&welcome);
  }
  assert_int_equal(pids[0], pids[1]);
  echoes(1);
  bridge = bridges[0];
  assert_int_equal(end_bridge(), 0);
  bridge = bridges[1];
  hang_up();
}

static void other_options_replace_it(void **state) {
  (void)state;
  uint32_t first = connect_with("--slots 2", 2);
  assign_waiting(1);
  hang_up();
  uint32_t second = connect_with("--slots 3 --nice 5 --gpus 0", 3);
  assert_int_not_equal(first, second);
  assert_false(client_is_alive((pid_t)first));
  goes_on(1);
  struct dk_job job = client_remote_job(&client, "nice");
  struct dk_result result;
  client_run(&client, 2, &job, &result); /* in a keeper of the new one, or the old one's */
  assert_int_equal(result.cause, DK_CAUSE_OK);
  dk_result_finish(&result);
  hang_up();
  uint32_t cpus = dk_proc_cpus();
  connect_with("--leave 1", cpus > 1 ? cpus - 1 : 1);
  hang_up();
  connect_with("--leave 60000", 1);
  hang_up();
}

static void tasks_are_nice(void **state) {
  (void)state;
  connect_with("--nice 7", dk_proc_cpus());
  struct dk_job job = client_remote_job(&client, "nice");
  struct dk_result result;
  client_run(&client, 1, &job, &result);
  assert_string_equal(result.out.bytes, "7\n");
  dk_result_finish(&result);
  hang_up();
}

/* A made-up machine with three GPUs of two models: what is told of it, and that no more of it is used. */
static void some_gpus(void **state) {
  (void)state;
  char command[6000];
  snprintf(
      command, sizeof command,
      "cd %s; for i in 0 1 2; do d=machine/proc/driver/nvidia/gpus/0000:0$i:00.0; mkdir -p $d machine/dev; "
      "touch machine/dev/nvidia$i; printf 'Model: %%s\nDevice Minor: %%s\n' $([ $i = 1 ] && echo B200 || echo A100) "
      "$i > $d/information; done",
      client.dir);
  client_sh(command);
  struct dk_message welcome;
  static const char *const limits[] = {"", "--gpus 1", "--gpus 0"}, *const models[] = {"A100\nB200", "A100", ""};
  for (uint32_t i = 0; i < 3; i++) {
    int fds[2];
    char options[3000];
    snprintf(options, sizeof options, "--slots 2 --machine %s %s", at("machine"), limits[i]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    start(options, fds[1], fds[1]);
    expect_ready(fds[0]);
    assert_true(client_greet(&client, fds[0], &welcome));
    assert_int_equal(welcome.u.welcome.gpus, i == 0 ? 3 : 2 - i);
    assert_string_equal(welcome.u.welcome.gpu, models[i]);
    dk_message_finish(&welcome);
    hang_up();
  }
  /* The keeper holds to it too. */
  struct dk_message refused;
  snprintf(command, sizeof command, "--slots 2 --gpus 1 --machine %s", at("machine"));
  connect_with(command, 2);
  struct dk_job job = client_remote_job(&client, "echo $DK_GPUS");
  job.gpus = 2;
  client_assign(&client, 1, &job);
  client_expect(&client, DK_MSG_REFUSED, &refused);
  assert_string_equal(refused.u.refused.text, "it needs 2 gpus, this machine has 1");
  dk_message_finish(&refused);
  hang_up();
}

static void another_version(void **state) {
  (void)state;
  client.program = DK_TEST_OTHER;
  client.protocol = 99;
  client_start_daemon(&client);
  client_connect(&client);
  assign_waiting(1);
  pid_t other = client.daemon;
  /* It does not understand this version, and says so. */
  struct client stranger = client;
  struct dk_message message;
  stranger.protocol = 0;
  dk_conn_init(&stranger.conn, -1);
  int fd = dk_sock_connect(at("agent/sock"), NULL);
  assert_true(fd >= 0);
  assert_true(client_greet(&stranger, fd, &message));
  assert_int_equal(message.type, DK_MSG_CLOSED);
  assert_non_null(strstr(message.u.closed.text, "another protocol version"));
  dk_message_finish(&message);
  client_disconnect(&stranger);
  client_disconnect(&client);
  client.protocol = 0;
  client.daemon = 0; /* the bridge ends it, and this process reaps it */
  connect_with("", dk_proc_cpus());
  assert_int_equal(waitpid(other, NULL, 0), other);
  goes_on(1);
  for (uint64_t n = 2; n < 6; n++) echoes(n); /* its keeper gets no orders: the next one does */
  hang_up();
}

/* What is wanted of a real transfer: many bytes both ways, through pipes that are smaller. */
static void carries_all(void **state) {
  (void)state;
  size_t len = 9u << 20;
  dk_autofree char *bytes = dk_alloc(len);
  assert_non_null(bytes);
  for (size_t i = 0; i < len; i++) bytes[i] = (char)(i * 2654435761u >> 9);
  struct dk_digest digest;
  assert_int_equal(dk_content_of(bytes, len, &digest), 0);
  connect_with("--slots 2", 2);
  struct dk_job job = client_remote_job(&client, "cp in out");
  client_add_digest(&job, &digest, "in", false);
  client_add_output(&job, "out", "out", false);
  client_assign(&client, 1, &job);
  client_lacks(&client, &digest, 0);
  client_put_all(&client, bytes, len);
  struct dk_result result;
  uint64_t seq;
  client_result(&client, 1, &result, &seq);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  assert_true(dk_digest_equal(&result.outputs[0].digest, &digest));
  struct dk_message get = {.type = DK_MSG_GET, .session = client.session}, part;
  get.u.want.digest = digest;
  get.u.want.len = DK_PART_MAX;
  for (get.u.want.offset = 0; get.u.want.offset < len; get.u.want.offset += DK_PART_MAX) client_send(&client, &get);
  for (size_t offset = 0; offset < len; offset += DK_PART_MAX) {
    client_next(&client, &part);
    assert_int_equal(part.type, DK_MSG_PART);
    assert_true(part.u.part.offset == offset && part.u.part.len == DK_PART_MAX);
    assert_memory_equal(part.u.part.bytes, bytes + offset, DK_PART_MAX);
    dk_message_finish(&part);
  }
  client_ack(&client, seq);
  dk_result_finish(&result);
  hang_up();
}

/* One that only closes its way in hears the answers to all that it said; nothing is lost at the end. */
static void half_closed(void **state) {
  (void)state;
  int in[2], out[2];
  assert_int_equal(pipe2(in, O_CLOEXEC), 0);
  assert_int_equal(pipe2(out, O_CLOEXEC), 0);
  struct dk_message hello = {.type = DK_MSG_HELLO, .session = 5}, ping = {.type = DK_MSG_PING, .session = 5};
  hello.u.hello.protocol = DK_PROTOCOL;
  hello.u.hello.incarnation = client.inc;
  hello.u.hello.version = (char *)"test";
  dk_autobuf bytes = DK_BUF_INIT, got = DK_BUF_INIT;
  assert_int_equal(dk_message_encode(&hello, &bytes), 0);
  for (int i = 0; i < 500; i++) assert_int_equal(dk_message_encode(&ping, &bytes), 0);
  assert_int_equal(dk_fs_write_all(in[1], bytes.data, bytes.len), 0);
  close(in[1]);
  start("--slots 2", in[0], out[1]);
  expect_ready(out[0]);
  for (;;) {
    void *room = dk_buf_reserve(&got, 65536);
    assert_non_null(room);
    ssize_t n = read(out[0], room, 65536);
    assert_true(n >= 0);
    if (n == 0) break;
    dk_buf_commit(&got, (size_t)n);
  }
  close(out[0]);
  assert_int_equal(end_bridge(), 0);
  size_t pongs = 0;
  for (size_t used = 0; used < got.len; pongs++) {
    struct dk_message message;
    long n = dk_message_decode(got.data + used, got.len - used, &message, NULL);
    assert_true(n > 0);
    assert_int_equal(message.type, pongs ? DK_MSG_PONG : DK_MSG_WELCOME);
    dk_message_finish(&message);
    used += (size_t)n;
  }
  assert_int_equal(pongs, 501);
}

/* ssh is gone, and the daemon says nothing: it ends all the same. */
static void ends_with_its_peer(void **state) {
  (void)state;
  int in[2], out[2];
  assert_int_equal(pipe2(in, O_CLOEXEC), 0);
  assert_int_equal(pipe2(out, O_CLOEXEC), 0);
  start("--slots 2", in[0], out[1]);
  expect_ready(out[0]);
  close(out[0]); /* its way in stays open */
  assert_int_equal(end_bridge(), 0);
  close(in[1]);
  /* The daemon is stopped, and will not close its side. */
  uint32_t daemon = connect_with("--slots 2", 2);
  kill((pid_t)daemon, SIGSTOP);
  client_disconnect(&client);
  assert_int_equal(end_bridge(), 0);
  kill((pid_t)daemon, SIGCONT);
  /* The daemon is killed: whoever reads hears the end. */
  connect_with("--slots 2", 2);
  kill((pid_t)daemon, SIGKILL);
  assert_int_equal(end_bridge(), 0);
}

static void refused_folders(void **state) {
  (void)state;
  assert_int_equal(mkdir(at("agent"), 0777), 0);
  assert_int_equal(chmod(at("agent"), 0777), 0);
  fails("bridge", "others can write to");
  assert_int_equal(chmod(at("agent"), 0700), 0);
  if (geteuid() == 0) {
    assert_int_equal(chown(at("agent"), 1234, 1234), 0);
    fails("bridge", "belongs to another user");
  }
  assert_int_equal(rmdir(at("agent")), 0);
  assert_int_equal(dk_fs_write(at("agent"), "", 0, 0600, false, NULL), 0);
  fails("bridge", "agent");
  assert_int_equal(unlink(at("agent")), 0);
  if (geteuid() != 0) {
    assert_int_equal(chmod(client.dir, 0500), 0);
    fails("bridge", "Permission denied");
    assert_int_equal(chmod(client.dir, 0700), 0);
  }
}

static void cleaning(void **state) {
  (void)state;
  char out[2000], err[2000];
  /* Nothing is there. */
  assert_int_equal(run("clean", out, err), 0);
  assert_string_equal(out, "0 bytes freed\n");
  fails("du", "No such file");
  connect_with("--slots 2", 2);
  struct dk_job job = client_remote_job(&client, "head -c 1000000 /dev/zero > out");
  client_add_output(&job, "out", "out", false);
  client_assign(&client, 1, &job);
  struct dk_result result;
  uint64_t seq;
  client_result(&client, 1, &result, &seq);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  dk_result_finish(&result);
  assert_int_equal(run("du", out, err), 0);
  assert_true(strtoull(out, NULL, 10) >= 1000000);
  fails("clean", "is in use"); /* an engine is connected */
  hang_up();
  fails("clean", "has a result that no dkrun has taken yet");
  connect_with("--slots 2", 2);
  client_list(&client);
  client_result(&client, 1, &result, &seq);
  dk_result_finish(&result);
  client_ack(&client, seq);
  assign_waiting(2);
  hang_up();
  fails("clean", "is in use"); /* a task runs */
  connect_with("--slots 2", 2);
  goes_on(2);
  client_list(&client); /* the acknowledgement was heard */
  struct dk_message message;
  client_expect(&client, DK_MSG_HAS_END, &message);
  hang_up();
  assert_int_equal(run("clean", out, err), 0);
  assert_true(strtoull(out, NULL, 10) >= 1000000);
  assert_non_null(strstr(out, " bytes freed\n"));
  connect_with("--slots 2", 2); /* as if nothing had been */
  echoes(3);
  client_list(&client);
  client_expect(&client, DK_MSG_HAS_END, &message);
  hang_up();
  assert_int_equal(run("clean --all", out, err), 0);
  assert_int_equal(access(at("agent"), F_OK), -1);
  /* Not an agent's. */
  assert_int_equal(mkdir(at("agent"), 0700), 0);
  assert_int_equal(mkdir(at("agent/objects"), 0700), 0);
  fails("clean --all", "is no agent's folder");
  assert_int_equal(access(at("agent/objects"), F_OK), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      TEST(finds_or_starts), TEST(two_at_once), TEST(other_options_replace_it),
      TEST(tasks_are_nice),  TEST(some_gpus),   TEST(another_version),
      TEST(carries_all),     TEST(half_closed), TEST(ends_with_its_peer),
      TEST(refused_folders), TEST(cleaning),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* See client.h. */
#include "tests/unit/agent/client.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"
#include "engine/sys/sock.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"

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
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS 120000000000u

void client_sh(const char *command) {
  char *argv[] = {(char *)"/bin/sh", (char *)"-ec", (char *)command, NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  how.fds[2] = 2;
  assert_int_equal(dk_spawn_wait(&how, NULL), 0);
}

void client_init(struct client *client, uint32_t slots) {
  memset(client, 0, sizeof *client);
  snprintf(client->dir, sizeof client->dir, "%s/dkagent-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  assert_non_null(mkdtemp(client->dir));
  snprintf(client->objects, sizeof client->objects, "%s/objects", client->dir);
  assert_int_equal(dk_fs_mkdirs(client->objects, 0700, NULL), 0);
  client->slots = slots;
  client->idle_ms = 60000;
  /* As an engine's: a keeper ends what carries its attempt's id, also when another test on this machine started it. */
  assert_int_equal(getrandom(&client->inc, sizeof client->inc, 0), (int)sizeof client->inc);
  dk_conn_init(&client->conn, -1);
}

void client_start_daemon(struct client *client) {
  char root[4200], slots[16], idle[16];
  snprintf(root, sizeof root, "%s/agent", client->dir);
  snprintf(slots, sizeof slots, "%u", client->slots);
  snprintf(idle, sizeof idle, "%u", client->idle_ms);
  char *argv[] = {(char *)(client->program ? client->program : DK_TEST_AGENT),
                  (char *)"serve",
                  (char *)"--root",
                  root,
                  (char *)"--slots",
                  slots,
                  (char *)"--idle-ms",
                  idle,
                  (char *)"--ledger",
                  *client->ledger ? client->ledger : (char *)"off",
                  (char *)"--machine",
                  client->machine,
                  NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  /* Not this program's: ctest waits for its end, also when a failed test leaves a daemon. */
  char log[1100];
  snprintf(log, sizeof log, "%s/log", client->dir);
  int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  how.fds[2] = fd;
  how.new_session = true;
  how.env = client->env;
  struct dk_error error = {0};
  int r = dk_spawn(&how, &client->daemon, &error);
  close(fd);
  if (r < 0) fail_msg("%s", error.text);
}

void client_kill_daemon(struct client *client, int signal) {
  if (client->daemon <= 0) return;
  kill(client->daemon, signal);
  int status;
  while (waitpid(client->daemon, &status, 0) < 0 && errno == EINTR) continue;
  /* It must have lived until now. */
  assert_true(signal != SIGKILL || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  client->daemon = 0;
}

static bool is_ours(void *ctx, pid_t pid, const struct dk_proc_stat *stat) {
  char path[64], text[8192];
  snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
  dk_autobuf buf = DK_BUF_INIT;
  /* A child that has not exec'd yet has its parent's words; daemons and keepers lead their sessions. */
  if (pid == getpid() || stat->session != pid || dk_fs_read(path, sizeof text, &buf, NULL) < 0) return false;
  for (size_t i = 0; i < buf.len; i++) {
    if (buf.data[i] == '\0') buf.data[i] = ' ';
  }
  return strstr(dk_buf_text(&buf), ctx) != NULL;
}

void client_finish(struct client *client) {
  client_disconnect(client);
  client_kill_daemon(client, SIGKILL);
  for (int i = 0; i < 200; i++) {
    struct dk_pids pids = {0};
    dk_proc_find(is_ours, client->dir, &pids);
    size_t n = pids.n;
    for (size_t j = 0; j < n; j++) kill(pids.items[j], SIGKILL);
    dk_pids_finish(&pids);
    if (n == 0) break;
    poll(NULL, 0, 5);
  }
  dk_fs_remove_tree(client->dir, NULL);
}

void client_disconnect(struct client *client) {
  dk_conn_finish(&client->conn);
}

void client_send(struct client *client, struct dk_message *message) {
  message->session = client->session;
  assert_int_equal(dk_conn_put(&client->conn, message), 0);
  while (dk_conn_is_waiting(&client->conn)) {
    assert_int_equal(dk_conn_flush(&client->conn), 0);
    struct pollfd fd = {.fd = client->conn.fd, .events = POLLOUT};
    if (dk_conn_is_waiting(&client->conn)) poll(&fd, 1, 1000);
  }
}

void client_next(struct client *client, struct dk_message *ret) {
  uint64_t until = dk_now_ns() + PATIENCE_NS;
  for (;;) {
    struct dk_error error = {0};
    int r = dk_conn_next(&client->conn, ret, &error);
    if (r < 0) fail_msg("%s", error.text);
    if (r > 0) return;
    if (dk_now_ns() > until) fail_msg("no message came");
    struct pollfd fd = {.fd = client->conn.fd, .events = POLLIN};
    if (poll(&fd, 1, 1000) > 0 && dk_conn_fill(&client->conn) < 0 && client->conn.in_at == client->conn.in.len)
      fail_msg("the agent closed the connection");
  }
}

void client_expect(struct client *client, enum dk_message_type type, struct dk_message *ret) {
  for (;;) {
    client_next(client, ret);
    if (ret->type == type) return;
    dk_message_finish(ret);
  }
}

/* A daemon that was killed while it started a process is still listened for by that process, for a moment: a connection
 * then ends without a word. */
bool client_greet(struct client *client, int fd, struct dk_message *ret) {
  dk_conn_finish(&client->conn);
  dk_conn_init(&client->conn, fd);
  uint64_t now = dk_unix_ns();
  client->session = now > client->session ? now : client->session + 1;
  struct dk_message hello = {.type = DK_MSG_HELLO, .session = client->session};
  hello.u.hello.protocol = client->protocol ? client->protocol : DK_PROTOCOL;
  hello.u.hello.incarnation = client->inc;
  hello.u.hello.version = (char *)"test";
  assert_int_equal(dk_conn_put(&client->conn, &hello), 0);
  if (dk_conn_flush(&client->conn) < 0) return false;
  for (;;) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    if (poll(&poll_fd, 1, 120000) <= 0) fail_msg("the agent does not answer");
    int ended = dk_conn_fill(&client->conn);
    if (dk_conn_next(&client->conn, ret, NULL) > 0) return true;
    if (ended < 0) return false;
  }
}

static bool try_connect(struct client *client, const char *path, struct dk_message *ret) {
  int fd = dk_sock_connect(path, NULL);
  return fd >= 0 && client_greet(client, fd, ret);
}

void client_connect(struct client *client) {
  char path[1100];
  snprintf(path, sizeof path, "%s/agent/sock", client->dir);
  uint64_t until = dk_now_ns() + PATIENCE_NS;
  struct dk_message welcome;
  while (!try_connect(client, path, &welcome)) {
    if (dk_now_ns() > until) fail_msg("the agent does not listen");
    poll(NULL, 0, 2);
  }
  assert_int_equal(welcome.type, DK_MSG_WELCOME);
  assert_int_equal(welcome.u.welcome.slots, client->slots);
  dk_message_finish(&welcome);
}

void client_result(struct client *client, uint64_t n, struct dk_result *ret, uint64_t *ret_seq) {
  for (;;) {
    struct dk_message message;
    client_next(client, &message);
    if (message.type == DK_MSG_REFUSED && message.id.n == n) fail_msg("refused: %s", message.u.refused.text);
    if (message.type == DK_MSG_RESULT && message.id.n == n) {
      assert_true(message.id.inc == client->inc);
      *ret = message.u.result;
      if (ret_seq) *ret_seq = message.seq;
      return;
    }
    dk_message_finish(&message);
  }
}

void client_ack(struct client *client, uint64_t seq) {
  struct dk_message message = {.type = DK_MSG_ACK, .seq = seq};
  client_send(client, &message);
}

void client_list(struct client *client) {
  struct dk_message message = {.type = DK_MSG_LIST};
  client_send(client, &message);
}

void client_kill(struct client *client, uint64_t n, uint64_t grace_ms) {
  struct dk_message message = {.type = DK_MSG_KILL, .id = {client->inc, n}};
  message.u.kill.grace_ms = grace_ms;
  client_send(client, &message);
}

static char *copy(const char *text) {
  char *copied = dk_strdup(text);
  assert_non_null(copied);
  return copied;
}

struct dk_job client_job(const struct client *client, const char *script) {
  struct dk_job job = {.n_argv = 1, .n_env = 2, .grace_ms = 5000, .cpus = 1, .log_cap = 64u << 20};
  job.label = copy("test");
  job.argv = dk_calloc(1, sizeof *job.argv);
  job.env = dk_calloc(2, sizeof *job.env);
  assert_non_null(job.argv);
  assert_non_null(job.env);
  job.argv[0] = copy("sh");
  job.env[0] = (struct dk_pair){copy("PATH"), copy("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")};
  job.env[1] = (struct dk_pair){copy("T"), copy(client->dir)};
  job.script = copy(script);
  job.objects = copy(client->objects);
  return job;
}

struct dk_job client_remote_job(const struct client *client, const char *script) {
  struct dk_job job = client_job(client, script);
  dk_free(job.objects);
  job.objects = NULL;
  dk_free(job.env[0].name);
  dk_free(job.env[0].value);
  job.env[0] = job.env[--job.n_env];
  job.is_remote = true;
  return job;
}

void client_add_digest(struct dk_job *job, const struct dk_digest *digest, const char *place, bool is_dir) {
  job->inputs = dk_realloc_array(job->inputs, job->n_inputs + 1, sizeof *job->inputs);
  assert_non_null(job->inputs);
  job->inputs[job->n_inputs++] = (struct dk_job_input){.place = copy(place), .is_dir = is_dir, .digest = *digest};
}

void client_put(struct client *client, const struct dk_digest *digest, const char *bytes, size_t len, uint64_t offset,
                uint64_t total) {
  struct dk_message message = {.type = DK_MSG_PUT};
  message.u.part.digest = *digest;
  message.u.part.bytes = (char *)bytes + offset;
  message.u.part.len = (uint32_t)len;
  message.u.part.offset = offset;
  message.u.part.total = total;
  client_send(client, &message);
}

void client_put_all(struct client *client, const void *bytes, size_t len) {
  struct dk_digest digest;
  assert_int_equal(dk_content_of(bytes, len, &digest), 0);
  size_t at = 0;
  do {
    size_t n = len - at < DK_PART_MAX ? len - at : DK_PART_MAX;
    client_put(client, &digest, bytes, n, at, len);
    at += n;
  } while (at < len);
}

void client_lacks(struct client *client, const struct dk_digest *digest, uint64_t offset) {
  struct dk_message message;
  client_next(client, &message);
  if (message.type == DK_MSG_REFUSED) fail_msg("refused: %s", message.u.refused.text);
  assert_int_equal(message.type, DK_MSG_LACKS);
  if (digest) assert_true(dk_digest_equal(&message.u.want.digest, digest));
  assert_int_equal(message.u.want.offset, offset);
  dk_message_finish(&message);
}

void client_add_output(struct dk_job *job, const char *name, const char *path, bool is_dir) {
  job->outputs = dk_realloc_array(job->outputs, job->n_outputs + 1, sizeof *job->outputs);
  assert_non_null(job->outputs);
  job->outputs[job->n_outputs++] = (struct dk_job_output){copy(name), copy(path), is_dir};
}

void client_add_input(struct dk_job *job, const char *from, const char *place, bool is_dir) {
  job->inputs = dk_realloc_array(job->inputs, job->n_inputs + 1, sizeof *job->inputs);
  assert_non_null(job->inputs);
  job->inputs[job->n_inputs++] = (struct dk_job_input){.from = copy(from), .place = copy(place), .is_dir = is_dir};
}

void client_assign(struct client *client, uint64_t n, struct dk_job *job) {
  struct dk_message message = {.type = DK_MSG_ASSIGN, .id = {client->inc, n}};
  message.u.job = *job;
  client_send(client, &message);
  dk_job_finish(job);
}

void client_run(struct client *client, uint64_t n, struct dk_job *job, struct dk_result *ret) {
  uint64_t seq;
  client_assign(client, n, job);
  client_result(client, n, ret, &seq);
  client_ack(client, seq);
}

pid_t client_find_keeper(const struct client *client, uint32_t slot) {
  char words[4300];
  snprintf(words, sizeof words, "keeper --slot %u --dir %s/agent/slots/%u ", slot, client->dir, slot);
  struct dk_pids pids = {0};
  dk_proc_find(is_ours, words, &pids);
  pid_t pid = pids.n > 0 ? pids.items[0] : 0;
  dk_pids_finish(&pids);
  return pid;
}

pid_t client_keeper(const struct client *client, uint32_t slot) {
  pid_t pid = client_find_keeper(client, slot);
  assert_true(pid > 0);
  return pid;
}

bool client_wait_for(bool (*is_true)(void *ctx), void *ctx) {
  uint64_t until = dk_now_ns() + PATIENCE_NS;
  while (dk_now_ns() < until) {
    if (is_true(ctx)) return true;
    poll(NULL, 0, 5);
  }
  return false;
}

bool client_is_alive(pid_t pid) {
  struct dk_proc_stat stat;
  return dk_proc_stat(pid, &stat) == 0 && stat.state != 'Z' && stat.state != 'X';
}

void client_object(const struct client *client, const struct dk_digest *digest, char *ret, size_t size) {
  char hex[DK_DIGEST_HEX + 1];
  dk_digest_hex(digest, hex);
  snprintf(ret, size, "%s/%.2s/%s", client->objects, hex, hex + 2);
}

char *client_text(const struct client *client, const struct dk_kept *kept) {
  if (kept->bytes || kept->size == 0) return copy(kept->bytes ? kept->bytes : "");
  char path[4400];
  client_object(client, &kept->digest, path, sizeof path);
  dk_autobuf buf = DK_BUF_INIT;
  assert_int_equal(dk_fs_read(path, 1u << 30, &buf, NULL), 0);
  struct dk_digest digest;
  assert_int_equal(dk_content_of(buf.data, buf.len, &digest), 0);
  assert_true(dk_digest_equal(&digest, &kept->digest));
  assert_int_equal(buf.len, kept->size);
  char *text = dk_buf_steal(&buf);
  assert_non_null(text);
  return text;
}

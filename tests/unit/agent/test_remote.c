/* Jobs that know no path of this machine, through the real dkagent: what they need is asked for, comes in parts, and is
 * not believed; and what else an engine elsewhere asks of an agent. */
#include "engine/objects/object.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/sock.h"
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
#include <sys/stat.h>
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

static struct dk_digest digest_of(const void *data, size_t len) {
  struct dk_digest digest;
  assert_int_equal(dk_content_of(data, len, &digest), 0);
  return digest;
}

static struct dk_digest digest_of_text(const char *text) {
  return digest_of(text, strlen(text));
}

/* Bytes that are not all alike. */
static char *make_bytes(size_t len) {
  char *bytes = dk_alloc(len);
  assert_non_null(bytes);
  for (size_t i = 0; i < len; i++) bytes[i] = (char)(i * 2654435761u >> 11);
  return bytes;
}

static bool is_object(const struct dk_digest *digest, struct stat *ret) {
  char hex[DK_DIGEST_HEX + 1], path[2048];
  dk_digest_hex(digest, hex);
  snprintf(path, sizeof path, "%s/agent/objects/%.2s/%s", client.dir, hex, hex + 2);
  return stat(path, ret) == 0;
}

/* Nothing but this was said: an answer that is asked for now comes next. */
static void is_silent(void) {
  struct dk_message ping = {.type = DK_MSG_PING}, pong;
  client_send(&client, &ping);
  client_next(&client, &pong);
  if (pong.type == DK_MSG_REFUSED) fail_msg("refused: %s", pong.u.refused.text);
  assert_int_equal(pong.type, DK_MSG_PONG);
  dk_message_finish(&pong);
}

static void ends_well(uint64_t n, const char *out) {
  struct dk_result result;
  uint64_t seq;
  client_result(&client, n, &result, &seq);
  if (result.cause != DK_CAUSE_OK) fail_msg("%s: %s", dk_cause_name(result.cause), result.text);
  dk_autofree char *text = client_text(&client, &result.out);
  if (out) assert_string_equal(text, out);
  client_ack(&client, seq);
  dk_result_finish(&result);
}

static void is_refused(uint64_t n, enum dk_refusal reason, const char *words) {
  struct dk_message message;
  client_expect(&client, DK_MSG_REFUSED, &message);
  assert_int_equal(message.id.n, n);
  assert_int_equal(message.u.refused.reason, reason);
  if (!strstr(message.u.refused.text, words)) fail_msg("%s", message.u.refused.text);
  dk_message_finish(&message);
}

static void needs(uint64_t n, const struct dk_digest *digest, bool is_dir, const char *script) {
  struct dk_job job = client_remote_job(&client, script);
  client_add_digest(&job, digest, "in", is_dir);
  client_assign(&client, n, &job);
}

/* A manifest, of one file with these words if there are any. */
static void make_manifest(struct dk_buf *ret, const char *path, const char *content) {
  struct dk_manifest_entry entry = {.kind = 'x', .path = path, .size = content ? strlen(content) : 0};
  dk_buf_add_text(ret, DK_MANIFEST_HEAD);
  if (content) entry.digest = digest_of_text(content);
  if (content) dk_manifest_add(ret, &entry);
  assert_true(dk_buf_ok(ret));
}

static void environment_is_the_machines(void **state) {
  (void)state;
  struct dk_job job = client_remote_job(&client, "echo $HOME:$OWN; pwd; ls -a | wc -l");
  job.env = dk_realloc_array(job.env, job.n_env + 2, sizeof *job.env);
  job.env[job.n_env++] = (struct dk_pair){dk_strdup("HOME"), dk_strdup("/none")};
  job.env[job.n_env++] = (struct dk_pair){dk_strdup("OWN"), dk_strdup("1")};
  client_assign(&client, 1, &job); /* PATH is this process's: sh is found */
  char want[2048];
  snprintf(want, sizeof want, "/none:1\n%s/agent/slots/0/work\n2\n", client.dir);
  ends_well(1, want);
  job = client_remote_job(&client, "test \"$HOME:$PATH\" = \"$H:$P\"");
  job.env = dk_realloc_array(job.env, job.n_env + 2, sizeof *job.env);
  job.env[job.n_env++] = (struct dk_pair){dk_strdup("H"), dk_strdup(getenv("HOME") ? getenv("HOME") : "")};
  job.env[job.n_env++] = (struct dk_pair){dk_strdup("P"), dk_strdup(getenv("PATH"))};
  client_assign(&client, 2, &job);
  ends_well(2, "");
}

static void data_comes_in_parts(void **state) {
  (void)state;
  size_t len = 3 * DK_PART_MAX + 1000;
  dk_autofree char *bytes = make_bytes(len);
  struct dk_digest digest = digest_of(bytes, len);
  struct dk_job job = client_remote_job(&client, "wc -c < in; cp in out");
  client_add_digest(&job, &digest, "in", false);
  client_add_digest(&job, &digest, "again", false); /* asked for once */
  client_add_output(&job, "out", "out", false);
  client_assign(&client, 1, &job);
  client_lacks(&client, &digest, 0);
  is_silent();
  /* Others start meanwhile, in both slots. */
  for (uint64_t n = 2; n < 6; n++) {
    job = client_remote_job(&client, "echo x");
    client_assign(&client, n, &job);
  }
  for (int i = 0; i < 4; i++) {
    struct dk_message message;
    client_expect(&client, DK_MSG_RESULT, &message);
    assert_true(message.id.n > 1 && message.u.result.cause == DK_CAUSE_OK);
    client_ack(&client, message.seq);
    dk_message_finish(&message);
  }
  /* Not the next part, again and again: dropped. */
  client_put(&client, &digest, bytes, DK_PART_MAX, DK_PART_MAX, len);
  client_put(&client, &digest, bytes, 1000, 3 * DK_PART_MAX, len);
  client_put(&client, &digest, bytes, DK_PART_MAX, 0, len);
  client_put(&client, &digest, bytes, DK_PART_MAX, 0, len);
  client_put(&client, &digest, bytes, 0, DK_PART_MAX, len);
  client_put(&client, &digest, bytes, DK_PART_MAX, 2 * DK_PART_MAX, len);
  client_put(&client, &digest, bytes, DK_PART_MAX, DK_PART_MAX, len);
  client_put(&client, &digest, bytes, DK_PART_MAX, 2 * DK_PART_MAX, len);
  is_silent();
  client_put(&client, &digest, bytes, 1000, 3 * DK_PART_MAX, len);
  char want[32];
  snprintf(want, sizeof want, "%zu\n", len);
  ends_well(1, want);
  struct stat st;
  assert_true(is_object(&digest, &st) && dk_fs_is_sealed(&st) && st.st_size == (off_t)len);
  /* The next one finds it. */
  needs(7, &digest, false, "wc -c < in");
  ends_well(7, want);
  is_silent();
  /* What nobody waits for is dropped. */
  struct dk_digest other = digest_of_text("other");
  client_put(&client, &other, "other", 5, 0, 5);
  is_silent();
  assert_false(is_object(&other, &st));
}

static void code_is_a_directory_at_the_top(void **state) {
  (void)state;
  dk_autobuf manifest = DK_BUF_INIT, data = DK_BUF_INIT;
  make_manifest(&manifest, "bin/run", "#!/bin/sh\necho \"ran $(cat data/x) $(cat in)\"\n");
  make_manifest(&data, "x", "content");
  struct dk_digest code = digest_of(manifest.data, manifest.len), tree = digest_of(data.data, data.len);
  struct dk_digest in = digest_of_text("file"), empty = digest_of_text("");
  struct dk_job job = client_remote_job(&client, "bin/run; test -f empty");
  client_add_digest(&job, &in, "in", false);
  client_add_digest(&job, &tree, "data", true);
  client_add_digest(&job, &code, ".", true); /* placed first */
  client_add_digest(&job, &empty, "empty", false);
  client_assign(&client, 1, &job);
  client_lacks(&client, &in, 0);
  client_lacks(&client, &tree, 0);
  client_lacks(&client, &code, 0);
  client_lacks(&client, &empty, 0);
  client_put_all(&client, "", 0);
  client_put_all(&client, manifest.data, manifest.len);
  client_lacks(&client, NULL, 0);
  client_put_all(&client, data.data, data.len);
  struct dk_digest content = digest_of_text("content");
  client_lacks(&client, &content, 0);
  client_put_all(&client, "file", 4);
  client_put_all(&client, "content", 7);
  is_silent();
  const char *script = "#!/bin/sh\necho \"ran $(cat data/x) $(cat in)\"\n";
  client_put_all(&client, script, strlen(script));
  ends_well(1, "ran content file\n");
  /* It is all there now. */
  needs(2, &code, true, "test -x in/bin/run");
  ends_well(2, "");
  is_silent();
}

static void two_orders_lack_one_object(void **state) {
  (void)state;
  struct dk_digest digest = digest_of_text("shared");
  dk_autobuf manifest = DK_BUF_INIT;
  make_manifest(&manifest, "f", "shared");
  struct dk_digest tree = digest_of(manifest.data, manifest.len);
  needs(1, &digest, false, "cat in");
  client_lacks(&client, &digest, 0);
  needs(2, &digest, false, "cat in");
  needs(3, &tree, true, "cat in/f");
  client_lacks(&client, &tree, 0);
  needs(4, &tree, true, "cat in/f");
  client_put_all(&client, manifest.data, manifest.len);
  is_silent(); /* the directory's file is asked for already */
  /* One leaves: the others wait on. */
  struct dk_message revoke = {.type = DK_MSG_REVOKE, .id = {client.inc, 1}}, message;
  client_send(&client, &revoke);
  client_next(&client, &message);
  assert_int_equal(message.type, DK_MSG_REVOKED);
  dk_message_finish(&message);
  client_kill(&client, 3, 0);
  client_next(&client, &message);
  assert_int_equal(message.type, DK_MSG_RESULT);
  assert_int_equal(message.u.result.cause, DK_CAUSE_KILLED);
  client_ack(&client, message.seq);
  dk_message_finish(&message);
  client_put_all(&client, "shared", 6);
  struct dk_result result;
  for (uint64_t i = 0; i < 2; i++) { /* in either order */
    client_expect(&client, DK_MSG_RESULT, &message);
    assert_true(message.id.n == 2 || message.id.n == 4);
    result = message.u.result;
    assert_string_equal(result.out.bytes, "shared");
    client_ack(&client, message.seq);
    dk_message_finish(&message);
  }
}

static void revoked_lacks_are_forgotten(void **state) {
  (void)state;
  dk_autobuf manifest = DK_BUF_INIT;
  make_manifest(&manifest, "f", "never comes");
  struct dk_digest tree = digest_of(manifest.data, manifest.len), content = digest_of_text("never comes");
  needs(1, &tree, true, "cat in/f");
  client_lacks(&client, &tree, 0);
  client_put_all(&client, manifest.data, manifest.len);
  client_lacks(&client, &content, 0);
  client_put(&client, &content, "never comes", 5, 0, 11);
  struct dk_message revoke = {.type = DK_MSG_REVOKE, .id = {client.inc, 1}}, message;
  client_send(&client, &revoke);
  client_next(&client, &message);
  assert_int_equal(message.type, DK_MSG_REVOKED);
  dk_message_finish(&message);
  client_put(&client, &content, "never comes", 6, 5, 11); /* nobody waits for that */
  client_connect(&client);
  client_list(&client);
  client_next(&client, &message);
  assert_int_equal(message.type, DK_MSG_HAS_END);
  dk_message_finish(&message);
  /* It is asked for again when somebody does, from where it was left. */
  needs(2, &tree, true, "cat in/f");
  client_lacks(&client, &content, 5);
  client_put(&client, &content, "never comes", 6, 5, 11);
  ends_well(2, "never comes");
}

static void new_session_hears_it_again(void **state) {
  (void)state;
  struct dk_digest digest = digest_of_text("halves"), other = digest_of_text("other");
  needs(1, &digest, false, "cat in");
  needs(2, &other, false, "cat in");
  client_lacks(&client, &digest, 0);
  client_lacks(&client, &other, 0);
  client_put(&client, &digest, "halves", 3, 0, 6);
  is_silent();
  client_disconnect(&client);
  client_connect(&client);
  client_list(&client);
  struct dk_message message;
  for (int i = 0; i < 2; i++) {
    client_next(&client, &message);
    assert_int_equal(message.type, DK_MSG_HAS);
    assert_int_equal(message.u.has.state, DK_ATTEMPT_QUEUED);
    dk_message_finish(&message);
  }
  client_lacks(&client, &digest, 3);
  client_lacks(&client, &other, 0);
  client_next(&client, &message);
  assert_int_equal(message.type, DK_MSG_HAS_END);
  client_list(&client); /* once in a session */
  for (int i = 0; i < 2; i++) {
    client_next(&client, &message);
    assert_int_equal(message.type, DK_MSG_HAS);
    dk_message_finish(&message);
  }
  client_next(&client, &message);
  assert_int_equal(message.type, DK_MSG_HAS_END);
  client_put(&client, &digest, "halves", 3, 3, 6);
  ends_well(1, "halves");
  client_put_all(&client, "other", 5);
  ends_well(2, "other");
}

/* Killed in the middle of a transfer: what came is there, whatever its last part came to. */
static void resumes_after_a_kill(void **state) {
  (void)state;
  size_t len = 5 * DK_PART_MAX + 77;
  dk_autofree char *bytes = make_bytes(len);
  struct dk_digest digest = digest_of(bytes, len);
  needs(1, &digest, false, "wc -c < in");
  client_lacks(&client, &digest, 0);
  for (unsigned i = 0; i < 3; i++) client_put(&client, &digest, bytes, DK_PART_MAX, (uint64_t)i * DK_PART_MAX, len);
  is_silent();
  client_disconnect(&client);
  client_kill_daemon(&client, SIGKILL);
  client_start_daemon(&client);
  client_connect(&client);
  needs(2, &digest, false, "wc -c < in");
  client_lacks(&client, &digest, 3 * DK_PART_MAX);
  client_put(&client, &digest, bytes, DK_PART_MAX, 3 * DK_PART_MAX, len);
  is_silent();
  /* Only part of a part was written. */
  client_disconnect(&client);
  client_kill_daemon(&client, SIGKILL);
  char hex[DK_DIGEST_HEX + 1], path[2048];
  dk_digest_hex(&digest, hex);
  snprintf(path, sizeof path, "%s/agent/objects/tmp/%s", client.dir, hex);
  assert_int_equal(truncate(path, 3 * DK_PART_MAX + 5), 0);
  client_start_daemon(&client);
  client_connect(&client);
  needs(3, &digest, false, "wc -c < in");
  client_lacks(&client, &digest, 3 * DK_PART_MAX + 5);
  client_put(&client, &digest, bytes, DK_PART_MAX, 3 * DK_PART_MAX + 5, len);
  client_put(&client, &digest, bytes, DK_PART_MAX, 4 * DK_PART_MAX + 5, len);
  client_put(&client, &digest, bytes, 72, 5 * DK_PART_MAX + 5, len);
  char want[32];
  snprintf(want, sizeof want, "%zu\n", len);
  ends_well(3, want);
  assert_int_equal(access(path, F_OK), -1);
}

/* All of it came, and then the agent died: only the name is missing. */
static void finishes_what_is_whole(void **state) {
  (void)state;
  struct dk_digest digest = digest_of_text("whole"), longer = digest_of_text("long");
  char hex[DK_DIGEST_HEX + 1], command[4096];
  dk_digest_hex(&digest, hex);
  int n =
      snprintf(command, sizeof command, "mkdir -p %s/agent/objects/tmp; cd %s/agent/objects/tmp; printf whole > %s\n",
               client.dir, client.dir, hex);
  dk_digest_hex(&longer, hex);
  snprintf(command + n, sizeof command - (size_t)n, "printf 'longer than it' > %s", hex);
  client_sh(command);
  needs(1, &digest, false, "cat in");
  ends_well(1, "whole");
  /* More than it has: begun anew. */
  needs(2, &longer, false, "cat in");
  client_lacks(&client, &longer, 14);
  client_put_all(&client, "long", 4);
  ends_well(2, "long");
}

static void wrong_content(void **state) {
  (void)state;
  struct dk_digest digest = digest_of_text("right"), other = digest_of_text("other");
  needs(1, &digest, false, "cat in");
  struct dk_job job = client_remote_job(&client, "cat in in2");
  client_add_digest(&job, &other, "in", false);
  client_add_digest(&job, &digest, "in2", false);
  client_assign(&client, 2, &job);
  needs(3, &other, false, "cat in");
  client_lacks(&client, &digest, 0);
  client_lacks(&client, &other, 0);
  for (int i = 0; i < 3; i++) {
    if (i > 0) client_lacks(&client, &digest, 0);
    client_put(&client, &digest, "wrong", 5, 0, 5);
  }
  is_refused(1, DK_REFUSED_DISK, "another one than its digest says");
  is_refused(2, DK_REFUSED_DISK, "another one than its digest says");
  client_put(&client, &digest, "right", 5, 0, 5);
  struct stat st;
  is_silent();
  assert_false(is_object(&digest, &st));
  client_put_all(&client, "other", 5);
  ends_well(3, "other");
  /* A new order may try again. */
  needs(4, &digest, false, "cat in");
  client_lacks(&client, &digest, 0);
  client_put(&client, &digest, "wrong", 5, 0, 5);
  client_lacks(&client, &digest, 0);
  client_put_all(&client, "right", 5);
  ends_well(4, "right");
}

static void gone_at_the_engine(void **state) {
  (void)state;
  dk_autobuf manifest = DK_BUF_INIT;
  make_manifest(&manifest, "f", "in a tree");
  struct dk_digest tree = digest_of(manifest.data, manifest.len), content = digest_of_text("in a tree");
  needs(1, &tree, true, "cat in/f");
  client_lacks(&client, &tree, 0);
  client_put_all(&client, manifest.data, manifest.len);
  client_lacks(&client, &content, 0);
  needs(2, &content, false, "cat in");
  struct dk_message gone = {.type = DK_MSG_GONE};
  gone.u.gone.digest = digest_of_text("not lacked");
  gone.u.gone.text = (char *)"nobody asked";
  client_send(&client, &gone);
  gone.u.gone.digest = content;
  gone.u.gone.text = (char *)"the content of `f` was removed";
  client_send(&client, &gone);
  for (int i = 0; i < 2; i++) {
    struct dk_message message;
    client_next(&client, &message);
    assert_int_equal(message.type, DK_MSG_REFUSED);
    assert_true(message.id.n == 1 || message.id.n == 2);
    assert_int_equal(message.u.refused.reason, DK_REFUSED_DATA);
    assert_string_equal(message.u.refused.text, "the content of `f` was removed");
    dk_message_finish(&message);
  }
  needs(3, &tree, true, "cat in/f");
  client_lacks(&client, &content, 0);
  client_put_all(&client, "in a tree", 9);
  ends_well(3, "in a tree");
}

static void hostile_manifest(uint64_t n, const char *bytes, size_t len) {
  struct dk_digest digest = digest_of(bytes, len);
  needs(n, &digest, true, "ls -R");
  client_lacks(&client, &digest, 0);
  client_put_all(&client, bytes, len);
  is_refused(n, DK_REFUSED_BAD, "list of files");
}

static void hostile_manifests(void **state) {
  (void)state;
  char hex[DK_DIGEST_HEX + 1], bytes[400];
  struct dk_digest content = digest_of_text("x");
  dk_digest_hex(&content, hex);
  static const char *const paths[] = {"../x", "/etc/x", "a/../../x", "a//b", "./a", "a/..", ""};
  uint64_t n = 1;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    int len = snprintf(bytes, sizeof bytes, "%sf %s 1 %s", DK_MANIFEST_HEAD, hex, paths[i]);
    hostile_manifest(n++, bytes, (size_t)len + 1);
  }
  static const char *const targets[] = {"/etc", "../..", "..", "a/../..", ""};
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    int len = snprintf(bytes, sizeof bytes, "%sl %s", DK_MANIFEST_HEAD, targets[i]);
    memcpy(bytes + len + 1, "link", 5);
    hostile_manifest(n++, bytes, (size_t)len + 6);
  }
  /* A file below a link, the same file twice, out of order, no manifest at all, cut off. */
  int len = snprintf(bytes, sizeof bytes, "%sl .", DK_MANIFEST_HEAD);
  int more = snprintf(bytes + len + 1 + 5, 300, "f %s 1 link/x", hex);
  memcpy(bytes + len + 1, "link", 5);
  hostile_manifest(n++, bytes, (size_t)(len + 6 + more + 1));
  len = snprintf(bytes, sizeof bytes, "%sf %s 1 b", DK_MANIFEST_HEAD, hex);
  more = snprintf(bytes + len + 1, 200, "f %s 1 a", hex);
  hostile_manifest(n++, bytes, (size_t)(len + more + 2));
  hostile_manifest(n++, bytes, (size_t)len);
  hostile_manifest(n++,
                   "\x7f"
                   "ELF",
                   4);
  hostile_manifest(n++, "", 0);
  /* What it says of a file's size is not so; the file is here. */
  needs(n, &content, false, "cat in");
  client_lacks(&client, &content, 0);
  client_put_all(&client, "x", 1);
  ends_well(n++, "x");
  len = snprintf(bytes, sizeof bytes, "%sf %s 2 a", DK_MANIFEST_HEAD, hex);
  hostile_manifest(n++, bytes, (size_t)len + 1);
  /* Links in a ring lead nowhere, and harm nobody. */
  len = snprintf(bytes, sizeof bytes, "%sl b", DK_MANIFEST_HEAD);
  memcpy(bytes + len + 1, "a\0l a\0b", 8);
  struct dk_digest ring = digest_of(bytes, (size_t)len + 9);
  needs(n, &ring, true, "ls in | tr '\\n' ' '");
  client_lacks(&client, &ring, 0);
  client_put_all(&client, bytes, (size_t)len + 9);
  ends_well(n++, "a b ");
}

/* A directory of many files: nothing is quadratic in them. */
static void many_files(void **state) {
  (void)state;
  enum { N = 2000 };
  dk_autobuf manifest = DK_BUF_INIT;
  dk_buf_add_text(&manifest, DK_MANIFEST_HEAD);
  char content[32], path[32];
  for (unsigned i = 0; i < N; i++) {
    int len = snprintf(content, sizeof content, "content %u", i);
    snprintf(path, sizeof path, "%03u/%06u", i / 100, i);
    struct dk_manifest_entry entry = {.kind = 'f', .path = path, .size = (uint64_t)len};
    entry.digest = digest_of(content, (size_t)len);
    dk_manifest_add(&manifest, &entry);
  }
  struct dk_digest tree = digest_of(manifest.data, manifest.len);
  needs(1, &tree, true, "find in -type f | wc -l; cat in/019/001999");
  client_lacks(&client, &tree, 0);
  client_put_all(&client, manifest.data, manifest.len);
  for (unsigned i = 0; i < N; i++) client_lacks(&client, NULL, 0);
  for (unsigned i = N; i-- > 0;) {
    int len = snprintf(content, sizeof content, "content %u", i);
    client_put_all(&client, content, (size_t)len);
  }
  ends_well(1, "2000\ncontent 1999");
  needs(2, &tree, true, "find in -type f | wc -l");
  ends_well(2, "2000\n");
}

static void mounts_must_be_there(void **state) {
  (void)state;
  struct dk_job job = client_remote_job(&client, "echo never");
  job.open = dk_calloc(2, sizeof *job.open);
  job.open[job.n_open++] = dk_strdup("/");
  job.open[job.n_open++] = dk_strdup("/no/such/mount");
  client_assign(&client, 1, &job);
  is_refused(1, DK_REFUSED_BAD, "its mount /no/such/mount is not there");
  job = client_remote_job(&client, "echo ran");
  job.open = dk_calloc(1, sizeof *job.open);
  job.open[job.n_open++] = dk_strdup("/");
  client_assign(&client, 2, &job);
  ends_well(2, "ran\n");
  job = client_job(&client, "echo ran"); /* of this machine: its engine knows */
  job.open = dk_calloc(1, sizeof *job.open);
  job.open[job.n_open++] = dk_strdup("/no/such/mount");
  client_assign(&client, 3, &job);
  ends_well(3, "ran\n");
}

static void get(const struct dk_digest *digest, uint64_t offset, uint64_t len, struct dk_message *ret) {
  struct dk_message message = {.type = DK_MSG_GET};
  message.u.want.digest = *digest;
  message.u.want.offset = offset;
  message.u.want.len = len;
  client_send(&client, &message);
  client_next(&client, ret);
}

static void objects_are_fetched(void **state) {
  (void)state;
  struct dk_job job = client_remote_job(&client, "head -c 300000 /dev/zero > big; printf abc > small");
  client_add_output(&job, "big", "big", false);
  client_add_output(&job, "small", "small", false);
  client_assign(&client, 1, &job);
  struct dk_result result;
  uint64_t seq;
  client_result(&client, 1, &result, &seq);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  struct dk_message message;
  get(&result.outputs[0].digest, 0, DK_PART_MAX, &message);
  assert_int_equal(message.type, DK_MSG_PART);
  assert_true(message.u.part.len == DK_PART_MAX && message.u.part.total == 300000);
  dk_message_finish(&message);
  get(&result.outputs[0].digest, DK_PART_MAX, DK_PART_MAX, &message);
  assert_int_equal(message.u.part.len, 300000 - DK_PART_MAX);
  dk_message_finish(&message);
  get(&result.outputs[1].digest, 1, 1, &message);
  assert_true(message.u.part.len == 1 && message.u.part.bytes[0] == 'b' && message.u.part.total == 3);
  dk_message_finish(&message);
  get(&result.outputs[1].digest, 3, 1, &message);
  assert_true(message.type == DK_MSG_PART && message.u.part.len == 0);
  dk_message_finish(&message);
  get(&result.outputs[1].digest, 4, 1, &message);
  assert_int_equal(message.type, DK_MSG_GONE);
  dk_message_finish(&message);
  struct dk_digest other = digest_of_text("not here");
  get(&other, 0, 1, &message);
  assert_int_equal(message.type, DK_MSG_GONE);
  assert_true(dk_digest_equal(&message.u.gone.digest, &other));
  assert_false(message.u.gone.is_there);
  assert_non_null(strstr(message.u.gone.text, "No such file"));
  dk_message_finish(&message);
  client_ack(&client, seq);
  /* Far more at a time than it may hold: it answers all, and as it is read. */
  struct dk_message want = {.type = DK_MSG_GET};
  want.u.want.digest = result.outputs[0].digest;
  want.u.want.len = DK_PART_MAX;
  for (int i = 0; i < 2000; i++) assert_int_equal(dk_conn_put(&client.conn, &want), 0);
  for (int i = 0; i < 2000; i++) {
    assert_int_equal(dk_conn_flush(&client.conn), 0);
    client_next(&client, &message);
    assert_int_equal(message.type, DK_MSG_PART);
    assert_int_equal(message.u.part.len, DK_PART_MAX);
    dk_message_finish(&message);
  }
  dk_result_finish(&result);
}

static void read_log(uint64_t n, uint8_t stream, uint64_t offset, struct dk_message *ret) {
  struct dk_message message = {.type = DK_MSG_READ, .id = {client.inc, n}};
  message.u.log.stream = stream;
  message.u.log.offset = offset;
  message.u.log.len = 100;
  client_send(&client, &message);
  client_expect(&client, DK_MSG_LOG, ret);
  assert_true(ret->id.n == n && ret->u.log.stream == stream && ret->u.log.offset == offset);
}

static void logs_are_read(void **state) {
  (void)state;
  struct dk_job job =
      client_remote_job(&client, "echo out; echo err >&2; : > $T/said; while [ ! -e $T/go ]; do sleep 0.02; done");
  client_assign(&client, 1, &job);
  struct dk_message message;
  client_expect(&client, DK_MSG_STARTED, &message);
  dk_message_finish(&message);
  char path[1100];
  snprintf(path, sizeof path, "%s/said", client.dir);
  while (access(path, F_OK) < 0) poll(NULL, 0, 5);
  read_log(1, 1, 0, &message);
  assert_true(message.u.log.total == 4 && message.u.log.len == 4 && memcmp(message.u.log.bytes, "out\n", 4) == 0);
  dk_message_finish(&message);
  read_log(1, 2, 2, &message);
  assert_true(message.u.log.total == 4 && message.u.log.len == 2 && memcmp(message.u.log.bytes, "r\n", 2) == 0);
  dk_message_finish(&message);
  read_log(1, 2, UINT64_MAX, &message);
  assert_true(message.u.log.total == 4 && message.u.log.len == 0);
  dk_message_finish(&message);
  read_log(2, 1, 0, &message);
  assert_true(message.u.log.total == 0 && message.u.log.len == 0);
  dk_message_finish(&message);
  snprintf(path, sizeof path, "%s/go", client.dir);
  assert_int_equal(dk_fs_write(path, "", 0, 0600, false, NULL), 0);
  ends_well(1, "out\n");
  read_log(1, 1, 0, &message);
  assert_true(message.u.log.total == 0 && message.u.log.len == 0);
  dk_message_finish(&message);
}

/* What was punched out of a long one is stepped over, and not a byte of it sent. */
static void holes_of_logs(void **state) {
  (void)state;
  const uint64_t all = 24000000, cap = 8u << 20;
  struct dk_job job =
      client_remote_job(&client, "head -c 24000000 /dev/zero; : > $T/said; while [ ! -e $T/go ]; do sleep 0.02; done");
  job.log_cap = cap;
  client_assign(&client, 1, &job);
  struct dk_message message;
  client_expect(&client, DK_MSG_STARTED, &message);
  dk_message_finish(&message);
  char path[1100];
  snprintf(path, sizeof path, "%s/said", client.dir);
  while (access(path, F_OK) < 0) poll(NULL, 0, 5);
  /* In the head zeros are the task's own; in the middle there is nothing. */
  struct dk_message read = {.type = DK_MSG_READ, .id = {client.inc, 1}};
  read.u.log.stream = 1;
  read.u.log.offset = 1000;
  read.u.log.len = 100;
  client_send(&client, &read);
  client_expect(&client, DK_MSG_LOG, &message);
  assert_true(message.u.log.offset == 1000 && message.u.log.len == 100 && message.u.log.bytes[99] == 0);
  dk_message_finish(&message);
  /* The keeper looks now and then; nothing is written any more, so it comes to less than the cap, however late. */
  read.u.log.offset = 3u << 20;
  for (uint64_t until = dk_now_ns() + 60000000000u, left = all; left >= cap; poll(NULL, 0, 20)) {
    assert_true(dk_now_ns() < until);
    client_send(&client, &read);
    client_expect(&client, DK_MSG_LOG, &message);
    assert_true(message.u.log.total == all && message.u.log.offset + message.u.log.len <= all);
    left = all - message.u.log.offset;
    dk_message_finish(&message);
  }
  snprintf(path, sizeof path, "%s/go", client.dir);
  assert_int_equal(dk_fs_write(path, "", 0, 0600, false, NULL), 0);
  struct dk_result result;
  uint64_t seq;
  client_result(&client, 1, &result, &seq);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  dk_result_finish(&result);
  client_ack(&client, seq);
}

static void signs_of_life(void **state) {
  (void)state;
  struct dk_message message = {.type = DK_MSG_PING};
  client_send(&client, &message);
  client_next(&client, &message);
  assert_int_equal(message.type, DK_MSG_PONG);
  uint64_t now = dk_unix_ns(), is = message.u.pong.unix_ns;
  assert_true(is <= now && now - is < 60000000000u);
  assert_true(message.u.pong.free > 0);
  dk_message_finish(&message);
  /* Only to who gives the orders. */
  char path[1100];
  snprintf(path, sizeof path, "%s/agent/sock", client.dir);
  struct client other = client;
  dk_conn_init(&other.conn, dk_sock_connect(path, NULL));
  assert_true(other.conn.fd >= 0);
  client_send(&other, &(struct dk_message){.type = DK_MSG_PING});
  client_next(&other, &message);
  assert_int_equal(message.type, DK_MSG_CLOSED);
  dk_message_finish(&message);
  client_disconnect(&other);
  is_silent();
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      TEST(environment_is_the_machines),
      TEST(data_comes_in_parts),
      TEST(code_is_a_directory_at_the_top),
      TEST(two_orders_lack_one_object),
      TEST(revoked_lacks_are_forgotten),
      TEST(new_session_hears_it_again),
      TEST(resumes_after_a_kill),
      TEST(finishes_what_is_whole),
      TEST(wrong_content),
      TEST(gone_at_the_engine),
      TEST(hostile_manifests),
      TEST(many_files),
      TEST(mounts_must_be_there),
      TEST(objects_are_fetched),
      TEST(logs_are_read),
      TEST(holes_of_logs),
      TEST(signs_of_life),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

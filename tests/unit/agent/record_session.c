/* record_session DIR: makes a recorded session (session.h) by saying all that an engine can say to the dkagent of this
 * build. For a new protocol; a recording that is there is what agents and engines of its protocol said, and stays. */
#include "engine/objects/object.h"
#include "lang/base/alloc.h"
#include "tests/unit/agent/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define INCARNATION 0x0123456789abcdefu
#define FILE_LEN 3000u
#define PART 1000u

static struct client client;
static struct session session;
static uint64_t now; /* the session's number */
static char file[FILE_LEN];
static struct dk_digest file_digest, words_digest, tree_digest, missing_digest;
static struct dk_buf tree = DK_BUF_INIT; /* a manifest */
static const char words[] = "some words\n";

/* What the engine says in this turn. */
static void say(struct dk_message *message) {
  message->session = now;
  assert_int_equal(dk_message_encode(message, &session.turns[session.n].engine), 0);
}

/* Ends the turn: that is answered by so many messages. */
static void hear(uint32_t n) {
  struct turn *turn = &session.turns[session.n++];
  assert_true(session.n < SESSION_TURNS_MAX);
  session_play(&client, turn, n, &turn->agent);
}

static void plain(enum dk_message_type type, uint64_t n) {
  struct dk_message message = {.type = type};
  if (n) message.id = (struct dk_id){INCARNATION, n};
  say(&message);
}

static void hello(uint64_t number) {
  struct dk_message message = {.type = DK_MSG_HELLO};
  now = number;
  message.u.hello.protocol = DK_PROTOCOL;
  memcpy(message.u.hello.store, "store of a test.", 16);
  message.u.hello.incarnation = INCARNATION;
  message.u.hello.version = (char *)"1.0";
  say(&message);
}

static void assign(uint64_t n, struct dk_job *job) {
  struct dk_message message = {.type = DK_MSG_ASSIGN, .id = {INCARNATION, n}};
  message.u.job = *job;
  say(&message);
  dk_job_finish(job);
}

static void ack(uint64_t seq) {
  struct dk_message message = {.type = DK_MSG_ACK, .seq = seq};
  say(&message);
}

static void put(const struct dk_digest *digest, const char *bytes, uint64_t offset, uint32_t len, uint64_t total) {
  struct dk_message message = {.type = DK_MSG_PUT};
  message.u.part.digest = *digest;
  message.u.part.bytes = (char *)bytes + offset;
  message.u.part.len = len;
  message.u.part.offset = offset;
  message.u.part.total = total;
  say(&message);
}

static void get(const struct dk_digest *digest, uint64_t offset, uint64_t len) {
  struct dk_message message = {.type = DK_MSG_GET};
  message.u.want.digest = *digest;
  message.u.want.offset = offset;
  message.u.want.len = len;
  say(&message);
}

static void read_log(uint64_t n, uint8_t stream, uint64_t offset) {
  struct dk_message message = {.type = DK_MSG_READ, .id = {INCARNATION, n}};
  message.u.log.stream = stream;
  message.u.log.offset = offset;
  message.u.log.len = PART;
  say(&message);
}

/* Without a path of this machine. */
static struct dk_job make_job(const char *script) {
  struct dk_job job = client_remote_job(&client, script);
  assert_int_equal(job.n_env, 1);
  dk_free(job.env[0].name);
  dk_free(job.env[0].value);
  job.env[0] = (struct dk_pair){dk_strdup("MINE"), dk_strdup("mine")};
  assert_true(job.env[0].name && job.env[0].value);
  return job;
}

static struct dk_job first_job(void) {
  struct dk_job job =
      make_job("cat data/words; echo \"$MINE\" >&2; wc -c < in > out; mkdir -p made/deep; cp in made/deep\n"
               ": > here; until [ -e go ]; do sleep 0.02; done; echo done");
  client_add_digest(&job, &file_digest, "in", false);
  client_add_digest(&job, &tree_digest, "data", true);
  client_add_output(&job, "out", "out", false);
  client_add_output(&job, "made", "made", true);
  job.keep_files = dk_calloc(2, sizeof *job.keep_files);
  assert_non_null(job.keep_files);
  job.keep_files[job.n_keep_files++] = dk_strdup("here");
  job.keep_files[job.n_keep_files++] = dk_strdup("not/there");
  return job;
}

static void make_contents(void) {
  struct dk_manifest_entry entry = {.kind = 'f', .path = "words", .size = sizeof words - 1};
  for (size_t i = 0; i < sizeof file; i++) file[i] = (char)(i * 2654435761u >> 11);
  assert_int_equal(dk_content_of(file, sizeof file, &file_digest), 0);
  assert_int_equal(dk_content_of(words, sizeof words - 1, &words_digest), 0);
  assert_int_equal(dk_content_of("missing", 7, &missing_digest), 0);
  entry.digest = words_digest;
  dk_buf_add_text(&tree, DK_MANIFEST_HEAD);
  dk_manifest_add(&tree, &entry);
  assert_true(dk_buf_ok(&tree));
  assert_int_equal(dk_content_of(tree.data, tree.len, &tree_digest), 0);
}

/* Its data comes in two sessions; meanwhile others are asked for and taken back. */
static void record_data(void) {
  struct dk_job job = first_job();
  hello(1000);
  hear(1);
  plain(DK_MSG_LIST, 0);
  hear(1);
  plain(DK_MSG_PING, 0);
  hear(1);
  assign(1, &job);
  hear(2); /* LACKS */
  put(&file_digest, file, 0, PART, FILE_LEN);
  plain(DK_MSG_PING, 0);
  hear(1);
  hello(1001);
  hear(1);
  plain(DK_MSG_LIST, 0);
  hear(4); /* HAS, LACKS from where it was, HAS_END */
  put(&file_digest, file, PART, PART, FILE_LEN);
  put(&file_digest, file, 2 * PART, FILE_LEN - 2 * PART, FILE_LEN);
  put(&tree_digest, tree.data, 0, (uint32_t)tree.len, tree.len);
  hear(1); /* LACKS what the manifest names */
  put(&words_digest, words, 0, sizeof words - 1, sizeof words - 1);
  hear(1); /* STARTED */
}

static void record_run(void) {
  struct dk_job job = make_job("echo never");
  read_log(1, 1, 0);
  read_log(1, 2, 2);
  read_log(77, 1, 0);
  hear(3);
  assign(2, &job);
  plain(DK_MSG_LIST, 0);
  hear(3); /* HAS twice, HAS_END */
  plain(DK_MSG_REVOKE, 2);
  hear(1);
  hear(1); /* go: RESULT */
}

static void record_results(void) {
  /* Outputs, by what was sent or is known of them. */
  struct dk_digest out;
  assert_int_equal(dk_content_of("3000\n", 5, &out), 0);
  get(&out, 0, PART);
  get(&file_digest, 2 * PART + 500, PART);
  get(&missing_digest, 0, PART);
  hear(3); /* PART, its end, GONE */
  ack(1);
  plain(DK_MSG_LIST, 0);
  hear(1);
}

static void record_ends(void) {
  struct dk_job job = make_job("cat in");
  client_add_digest(&job, &missing_digest, "in", false);
  assign(3, &job);
  hear(1);
  struct dk_message gone = {.type = DK_MSG_GONE};
  gone.u.gone.digest = missing_digest;
  gone.u.gone.text = (char *)"it was deleted here";
  say(&gone);
  hear(1); /* REFUSED */
  job = make_job("echo said; : > here; sleep 1000");
  assign(4, &job);
  hear(1);
  read_log(4, 1, 0);
  hear(1); /* it has begun */
  struct dk_message kill = {.type = DK_MSG_KILL, .id = {INCARNATION, 4}};
  say(&kill);
  hear(1); /* RESULT */
  hello(1002);
  hear(1);
  plain(DK_MSG_LIST, 0);
  hear(3); /* HAS, HAS_END, RESULT again */
  ack(2);
  job = make_job("echo again");
  assign(1, &job);
  hear(1); /* REFUSED: it was here */
  hello(5);
  hear(1); /* CLOSED */
}

static void record(void **state) {
  client_init(&client, 1);
  client.inc = INCARNATION;
  client_start_daemon(&client);
  make_contents();
  record_data();
  record_run();
  record_results();
  record_ends();
  session_save(&session, *state);
  session_finish(&session);
  dk_buf_finish(&tree);
  client_finish(&client);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fputs("usage: record_session DIR\n", stderr);
    return 2;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(record, argv[1])};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A session that was recorded (tests/data/session3): the bytes of each of its frames are what this build makes of what
 * it reads in them, and the agent of this build answers the engine of then as the agent of then did. A change on the
 * wire that breaks what is out there fails here. */
#include "tests/unit/agent/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIR DK_TEST_DATA "/session3"

static struct session session;
static struct client client;

static int set_up(void **state) {
  (void)state;
  session_load(&session, DIR);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  session_finish(&session);
  return 0;
}

static void encode_again(void *ctx, struct dk_message *message, const char *frame, size_t len) {
  bool *are_seen = ctx;
  dk_autobuf again = DK_BUF_INIT;
  assert_int_equal(dk_message_encode(message, &again), 0);
  assert_int_equal(again.len, len);
  assert_memory_equal(again.data, frame, len);
  are_seen[message->type] = true;
}

/* And every kind of message is among them. */
static void same_bytes(void **state) {
  bool are_seen[256] = {false};
  (void)state;
  for (uint32_t i = 0; i < session.n; i++) {
    session_each(&session.turns[i].engine, encode_again, are_seen);
    session_each(&session.turns[i].agent, encode_again, are_seen);
  }
  for (int type = DK_MSG_HELLO; type <= DK_MSG_PONG; type++) {
    bool is_one = type <= DK_MSG_PING || type == DK_MSG_GONE || type >= DK_MSG_WELCOME;
    if (is_one && !are_seen[type]) fail_msg("no message of type %d was recorded", type);
  }
}

/* The messages of a turn, levelled, as frames again. */
static void add_levelled(void *ctx, struct dk_message *message, const char *frame, size_t len) {
  (void)frame;
  (void)len;
  session_level(message);
  assert_int_equal(dk_message_encode(message, ctx), 0);
}

static void add_type(void *ctx, struct dk_message *message, const char *frame, size_t len) {
  (void)frame;
  (void)len;
  dk_buf_printf(ctx, " %d", message->type);
}

static void compare(uint32_t i, const struct dk_buf *recorded, const struct dk_buf *got) {
  dk_autobuf want = DK_BUF_INIT, have = DK_BUF_INIT, want_types = DK_BUF_INIT, have_types = DK_BUF_INIT;
  session_each(recorded, add_type, &want_types);
  session_each(got, add_type, &have_types);
  if (strcmp(dk_buf_text(&want_types), dk_buf_text(&have_types)) != 0)
    fail_msg("turn %u: types%s, recorded were%s", i + 1, dk_buf_text(&have_types), dk_buf_text(&want_types));
  session_each(recorded, add_levelled, &want);
  session_each(got, add_levelled, &have);
  if (want.len != have.len || memcmp(want.data, have.data, want.len) != 0)
    fail_msg("turn %u (types%s): the answer has other fields than the recorded one", i + 1, dk_buf_text(&want_types));
}

static void same_answers(void **state) {
  (void)state;
  client_init(&client, 1);
  client_start_daemon(&client);
  for (uint32_t i = 0; i < session.n; i++) {
    const struct turn *turn = &session.turns[i];
    dk_autobuf answer = DK_BUF_INIT;
    session_play(&client, turn, session_each(&turn->agent, NULL, NULL), &answer);
    if (turn->agent.len > 0) compare(i, &turn->agent, &answer);
  }
  client_finish(&client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(same_bytes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(same_answers, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}

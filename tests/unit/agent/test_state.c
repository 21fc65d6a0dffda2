/* The agent's core by itself: events in, actions out. */
#include "engine/agent/state.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dk_agent *agent;
static struct dk_agent_out out;

static struct dk_agent *make(uint32_t slots, const struct dk_agent_mark *marks, size_t n) {
  struct dk_agent_config config = {.slots = slots, .cpus = slots, .version = "1", .queue_max = 8};
  struct dk_agent *made;
  assert_int_equal(dk_agent_create(&made, &config, marks, n), 0);
  return made;
}

static int set_up(void **state) {
  (void)state;
  agent = make(2, NULL, 0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  dk_agent_destroy(agent);
  dk_agent_out_finish(&out);
  return 0;
}

static void step(struct dk_agent_event event) {
  assert_int_equal(dk_agent_step(agent, &event, &out), 0);
  struct dk_error error = {0};
  if (dk_agent_check(agent, &error) < 0) fail_msg("%s", error.text);
}

static void say(uint32_t conn, struct dk_message message) {
  step((struct dk_agent_event){.kind = DK_AGENT_EV_MESSAGE, .conn = conn, .message = &message});
  dk_message_finish(&message);
}

static void hello(uint32_t conn, uint64_t inc, uint64_t session) {
  struct dk_message message = {.type = DK_MSG_HELLO, .session = session};
  message.u.hello.protocol = DK_PROTOCOL;
  message.u.hello.incarnation = inc;
  say(conn, message);
}

static struct dk_message order(enum dk_message_type type, uint64_t session, uint64_t n) {
  return (struct dk_message){.type = type, .session = session, .id = {7, n}};
}

static void assign(uint32_t conn, uint64_t session, uint64_t n, uint32_t cpus) {
  struct dk_message message = order(DK_MSG_ASSIGN, session, n);
  message.u.job.cpus = cpus;
  message.u.job.n_argv = 1;
  message.u.job.argv = dk_calloc(1, sizeof *message.u.job.argv);
  message.u.job.argv[0] = dk_strdup("true");
  say(conn, message);
}

static void keeper(enum dk_agent_event_kind kind, uint32_t slot, uint64_t n) {
  step((struct dk_agent_event){.kind = kind, .slot = slot, .id = {7, n}, .state = DK_ATTEMPT_RUNNING});
}

static void ended(uint32_t slot, uint64_t n, uint64_t keeper_seq, uint64_t wall_ns) {
  struct dk_result result = {.wall_ns = wall_ns};
  step((struct dk_agent_event){
      .kind = DK_AGENT_EV_KEEPER_ENDED, .slot = slot, .id = {7, n}, .keeper_seq = keeper_seq, .result = &result});
  dk_result_finish(&result);
}

/* How many actions of that kind (and message type) the last step gave; *ret is the last of them. */
static size_t count(enum dk_agent_action_kind kind, int type, struct dk_agent_action *ret) {
  size_t n = 0;
  for (size_t i = 0; i < out.n; i++) {
    if (out.actions[i].kind != kind || (kind == DK_AGENT_ACT_SEND && (int)out.actions[i].message.type != type))
      continue;
    if (ret) *ret = out.actions[i];
    n++;
  }
  return n;
}

#define SENT(type, ret) count(DK_AGENT_ACT_SEND, type, ret)
#define DONE(kind, ret) count(kind, 0, ret)

static void life_of_an_attempt(void **state) {
  (void)state;
  struct dk_agent_action action;
  hello(1, 7, 10);
  assert_int_equal(SENT(DK_MSG_WELCOME, &action), 1);
  assert_int_equal(action.message.u.welcome.slots, 2);
  assign(1, 10, 1, 1);
  assert_int_equal(DONE(DK_AGENT_ACT_START, &action), 1);
  assert_int_equal(action.slot, 0);
  keeper(DK_AGENT_EV_KEEPER_STARTED, 0, 1);
  assert_int_equal(SENT(DK_MSG_STARTED, NULL), 1);
  assign(1, 10, 1, 1); /* again: told, not started */
  assert_int_equal(SENT(DK_MSG_STARTED, NULL), 1);
  assert_int_equal(DONE(DK_AGENT_ACT_START, NULL), 0);
  ended(0, 1, 41, 1000000000);
  assert_int_equal(SENT(DK_MSG_RESULT, &action), 1);
  assert_int_equal(action.message.seq, 1);
  struct dk_message ack = {.type = DK_MSG_ACK, .session = 10, .seq = 1};
  say(1, ack);
  assert_int_equal(DONE(DK_AGENT_ACT_FORGET, &action), 1);
  assert_int_equal(action.keeper_seq, 41);
  assert_int_equal(DONE(DK_AGENT_ACT_MARK, &action), 1);
  assert_true(action.mark.inc == 7 && action.mark.n == 1 && action.next_seq == 2);
  assert_int_equal(out.actions[0].kind, DK_AGENT_ACT_MARK);
  assign(1, 10, 1, 1);
  assert_int_equal(SENT(DK_MSG_REFUSED, &action), 1);
  assert_int_equal(action.message.u.refused.reason, DK_REFUSED_STALE);
  assert_false(dk_agent_is_idle(agent));
  step((struct dk_agent_event){.kind = DK_AGENT_EV_CLOSED, .conn = 1});
  assert_true(dk_agent_is_idle(agent));
}

static void results_are_repeated(void **state) {
  (void)state;
  struct dk_agent_action action;
  hello(1, 7, 10);
  assign(1, 10, 1, 1);
  assign(1, 10, 2, 1);
  step((struct dk_agent_event){.kind = DK_AGENT_EV_CLOSED, .conn = 1});
  ended(1, 2, 1, 1);
  assert_int_equal(out.n, 0);
  ended(0, 1, 1, 1);
  hello(2, 7, 11);
  assert_int_equal(SENT(DK_MSG_RESULT, NULL), 0); /* before LIST nothing is told */
  /* An acknowledgement of what this session has not heard does nothing. */
  say(2, (struct dk_message){.type = DK_MSG_ACK, .session = 11, .seq = 2});
  assert_int_equal(DONE(DK_AGENT_ACT_FORGET, NULL), 0);
  say(2, order(DK_MSG_LIST, 11, 0));
  assert_int_equal(SENT(DK_MSG_HAS, NULL), 2);
  assert_int_equal(SENT(DK_MSG_HAS_END, NULL), 1);
  assert_int_equal(SENT(DK_MSG_RESULT, &action), 2);
  assert_true(action.message.seq == 2 && action.id.n == 0 && action.message.id.n == 1); /* in order of their numbers */
  say(2, (struct dk_message){.type = DK_MSG_ACK, .session = 11, .seq = 1});
  assert_int_equal(DONE(DK_AGENT_ACT_FORGET, &action), 1);
  assert_int_equal(action.id.n, 2);
  /* Attempt 1 is below the mark, but still held. */
  assign(2, 11, 1, 1);
  assert_int_equal(SENT(DK_MSG_RESULT, NULL), 1);
}

static void sessions(void **state) {
  (void)state;
  struct dk_agent_action action;
  hello(1, 7, 10);
  hello(2, 7, 11);
  assert_int_equal(SENT(DK_MSG_CLOSED, &action), 1);
  assert_int_equal(action.conn, 1);
  assert_int_equal(DONE(DK_AGENT_ACT_CLOSE, NULL), 1);
  assign(1, 10, 1, 1); /* came late, on the old connection */
  assert_int_equal(DONE(DK_AGENT_ACT_START, NULL), 0);
  assign(2, 10, 1, 1); /* of the old session, on the new connection */
  assert_int_equal(SENT(DK_MSG_REFUSED, NULL), 1);
  hello(3, 7, 9); /* an older one */
  assert_int_equal(SENT(DK_MSG_WELCOME, NULL), 0);
  assert_int_equal(SENT(DK_MSG_CLOSED, &action), 1);
  assert_int_equal(action.conn, 3);
  step((struct dk_agent_event){.kind = DK_AGENT_EV_CLOSED, .conn = 1});
  assert_false(dk_agent_is_idle(agent)); /* it has its engine */
  hello(4, 8, 1);                        /* another engine */
  assert_int_equal(SENT(DK_MSG_WELCOME, NULL), 1);
  struct dk_message message = {.type = DK_MSG_HELLO, .session = 99};
  message.u.hello.protocol = DK_PROTOCOL + 1;
  say(5, message);
  assert_int_equal(SENT(DK_MSG_CLOSED, &action), 1);
  assert_int_equal(action.conn, 5);
}

static void slots_and_order(void **state) {
  (void)state;
  struct dk_agent_action action;
  hello(1, 7, 10);
  assign(1, 10, 1, 1);
  assign(1, 10, 2, 9); /* more than there are: all of them */
  assert_int_equal(DONE(DK_AGENT_ACT_START, NULL), 0);
  assign(1, 10, 3, 1); /* does not overtake */
  assert_int_equal(DONE(DK_AGENT_ACT_START, NULL), 0);
  ended(0, 1, 1, 1000000000);
  assert_int_equal(DONE(DK_AGENT_ACT_START, &action), 1);
  assert_int_equal(action.id.n, 2);
  ended(0, 2, 2, 1000000000);
  assert_int_equal(DONE(DK_AGENT_ACT_START, &action), 1);
  assert_int_equal(action.id.n, 3);
  for (uint64_t n = 4; n <= 12; n++) assign(1, 10, n, 1);
  assert_int_equal(SENT(DK_MSG_REFUSED, NULL), 0); /* one runs beside 3, eight wait */
  assign(1, 10, 13, 1);
  assert_int_equal(SENT(DK_MSG_REFUSED, &action), 1);
  assert_int_equal(action.message.u.refused.reason, DK_REFUSED_BUSY);
}

static void short_tasks_are_placed_ahead(void **state) {
  (void)state;
  hello(1, 7, 10);
  assign(1, 10, 1, 1);
  ended(0, 1, 1, 1000000);
  for (uint64_t n = 2; n <= 9; n++) assign(1, 10, n, 1);
  struct dk_agent_counts counts;
  dk_agent_count(agent, &counts);
  assert_true(counts.placed == 8 && counts.queued == 0);
  keeper(DK_AGENT_EV_KEEPER_STARTED, 0, 2);
  /* Its keeper finds that it takes long: what waits behind comes back, last first, and goes elsewhere or waits. */
  keeper(DK_AGENT_EV_KEEPER_RETURNED, 0, 8);
  keeper(DK_AGENT_EV_KEEPER_RETURNED, 0, 6);
  struct dk_agent_action action;
  for (size_t i = 0; i < out.n; i++)
    assert_false(out.actions[i].kind == DK_AGENT_ACT_START && out.actions[i].slot == 0);
  assert_int_equal(DONE(DK_AGENT_ACT_START, &action), 1);
  assert_int_equal(action.slot, 1);
}

static void revoke_and_kill(void **state) {
  (void)state;
  struct dk_agent_action action;
  hello(1, 7, 10);
  for (uint64_t n = 1; n <= 5; n++) assign(1, 10, n, 1);
  say(1, order(DK_MSG_REVOKE, 10, 3)); /* waits */
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 1);
  say(1, order(DK_MSG_REVOKE, 10, 1)); /* at its keeper */
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 0);
  assert_int_equal(DONE(DK_AGENT_ACT_RETURN, NULL), 1);
  keeper(DK_AGENT_EV_KEEPER_RETURNED, 0, 1);
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 1);
  assert_int_equal(DONE(DK_AGENT_ACT_START, &action), 1);
  assert_int_equal(action.id.n, 4);
  keeper(DK_AGENT_EV_KEEPER_STARTED, 1, 2);
  say(1, order(DK_MSG_REVOKE, 10, 2)); /* runs: too late */
  assert_int_equal(SENT(DK_MSG_STARTED, NULL), 1);
  say(1, order(DK_MSG_KILL, 10, 2));
  assert_int_equal(DONE(DK_AGENT_ACT_KILL, NULL), 1);
  say(1, order(DK_MSG_KILL, 10, 5)); /* waits */
  assert_int_equal(SENT(DK_MSG_RESULT, &action), 1);
  assert_int_equal(action.message.u.result.cause, DK_CAUSE_KILLED);
  say(1, order(DK_MSG_KILL, 10, 77));
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 1);
}

static void lost_keeper(void **state) {
  (void)state;
  struct dk_agent_action action;
  hello(1, 7, 10);
  assign(1, 10, 1, 1);
  assign(1, 10, 2, 1);
  keeper(DK_AGENT_EV_KEEPER_STARTED, 0, 1);
  keeper(DK_AGENT_EV_KEEPER_LOST, 0, 0);
  keeper(DK_AGENT_EV_KEEPER_LOST, 1, 0);
  say(1, order(DK_MSG_LIST, 10, 0));
  assert_int_equal(SENT(DK_MSG_HAS_END, NULL), 0); /* not before both were found */
  assign(1, 10, 3, 1);
  assert_int_equal(DONE(DK_AGENT_ACT_START, NULL), 0);
  keeper(DK_AGENT_EV_KEEPER_HAS, 0, 1);
  keeper(DK_AGENT_EV_KEEPER_READY, 0, 0);
  assert_int_equal(SENT(DK_MSG_HAS_END, NULL), 0);
  keeper(DK_AGENT_EV_KEEPER_READY, 1, 0); /* attempt 2 never got there: first in the queue, so it starts before 3 */
  assert_int_equal(SENT(DK_MSG_HAS_END, NULL), 1);
  assert_int_equal(DONE(DK_AGENT_ACT_START, &action), 1);
  assert_int_equal(action.id.n, 2);
  /* A keeper that is started for an order says hello with nothing: no recovery, nothing starts twice. */
  keeper(DK_AGENT_EV_KEEPER_READY, 1, 0);
  assert_int_equal(DONE(DK_AGENT_ACT_START, NULL), 0);
  /* An order to end it that went down with the connection is given again. */
  keeper(DK_AGENT_EV_KEEPER_LOST, 0, 0);
  say(1, order(DK_MSG_KILL, 10, 1));
  keeper(DK_AGENT_EV_KEEPER_HAS, 0, 1);
  keeper(DK_AGENT_EV_KEEPER_READY, 0, 0);
  assert_int_equal(DONE(DK_AGENT_ACT_KILL, &action), 1);
  assert_int_equal(action.id.n, 1);
  /* Journal gone as well: what ran counts as lost. */
  keeper(DK_AGENT_EV_KEEPER_LOST, 0, 0);
  keeper(DK_AGENT_EV_KEEPER_READY, 0, 0);
  assert_int_equal(SENT(DK_MSG_RESULT, &action), 1);
  assert_int_equal(action.message.u.result.cause, DK_CAUSE_LOST);
}

/* A keeper that is not heard yet may have what the agent does not know: what is asked of that waits. */
static void ends_what_was_not_heard_of_yet(void **state) {
  (void)state;
  struct dk_agent_action action;
  for (uint32_t slot = 0; slot < 2; slot++) keeper(DK_AGENT_EV_KEEPER_LOST, slot, 0);
  hello(1, 7, 10);
  say(1, order(DK_MSG_LIST, 10, 0));
  say(1, order(DK_MSG_REVOKE, 10, 1));
  say(1, order(DK_MSG_REVOKE, 10, 77));
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 0);
  struct dk_message kill = order(DK_MSG_KILL, 10, 2);
  kill.u.kill.grace_ms = 5;
  say(1, kill);
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 0);
  keeper(DK_AGENT_EV_KEEPER_HAS, 0, 1);
  keeper(DK_AGENT_EV_KEEPER_READY, 0, 0);
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 0);
  keeper(DK_AGENT_EV_KEEPER_HAS, 1, 2);
  keeper(DK_AGENT_EV_KEEPER_READY, 1, 0);
  assert_int_equal(SENT(DK_MSG_REVOKED, &action), 1);
  assert_int_equal(action.message.id.n, 77);
  assert_int_equal(SENT(DK_MSG_STARTED, &action), 1); /* too late for 1 */
  assert_int_equal(action.message.id.n, 1);
  assert_int_equal(DONE(DK_AGENT_ACT_KILL, &action), 1);
  assert_true(action.id.n == 2 && action.slot == 1 && action.grace_ms == 5);
  assert_int_equal(SENT(DK_MSG_HAS_END, NULL), 1);
  keeper(DK_AGENT_EV_KEEPER_LOST, 0, 0); /* nothing is asked twice */
  keeper(DK_AGENT_EV_KEEPER_HAS, 0, 1);
  keeper(DK_AGENT_EV_KEEPER_READY, 0, 0);
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 0);
}

/* The next session may want what the last one did not. */
static void what_waits_ends_with_its_session(void **state) {
  (void)state;
  keeper(DK_AGENT_EV_KEEPER_LOST, 0, 0);
  hello(1, 7, 10);
  say(1, order(DK_MSG_KILL, 10, 1));
  say(1, order(DK_MSG_REVOKE, 10, 77));
  hello(2, 7, 20);
  say(2, order(DK_MSG_LIST, 20, 0));
  keeper(DK_AGENT_EV_KEEPER_HAS, 0, 1);
  keeper(DK_AGENT_EV_KEEPER_READY, 0, 0);
  assert_int_equal(DONE(DK_AGENT_ACT_KILL, NULL), 0);
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 0);
  assert_int_equal(SENT(DK_MSG_HAS, NULL), 1);
}

static void found_after_a_restart(void **state) {
  (void)state;
  struct dk_agent_action action;
  keeper(DK_AGENT_EV_KEEPER_LOST, 5, 0); /* more slots than now */
  step((struct dk_agent_event){
      .kind = DK_AGENT_EV_KEEPER_HAS, .slot = 5, .id = {7, 3}, .state = DK_ATTEMPT_RUNNING, .cpus = 2, .unix_ns = 99});
  ended(5, 2, 8, 1);
  keeper(DK_AGENT_EV_KEEPER_READY, 5, 0);
  hello(1, 7, 10);
  say(1, order(DK_MSG_LIST, 10, 0));
  assert_int_equal(SENT(DK_MSG_HAS, NULL), 2);
  assert_int_equal(SENT(DK_MSG_RESULT, &action), 1);
  assign(1, 10, 4, 1); /* both cpus are booked by attempt 3 */
  assert_int_equal(DONE(DK_AGENT_ACT_START, NULL), 0);
  ended(5, 3, 9, 1);
  assert_int_equal(DONE(DK_AGENT_ACT_START, &action), 1);
  assert_int_equal(action.slot, 0);
}

static void assign_remote(uint64_t n) {
  struct dk_message message = order(DK_MSG_ASSIGN, 10, n);
  message.u.job.is_remote = true;
  message.u.job.cpus = message.u.job.n_argv = 1;
  message.u.job.argv = dk_calloc(1, sizeof *message.u.job.argv);
  message.u.job.argv[0] = dk_strdup("true");
  say(1, message);
}

static void data(enum dk_agent_event_kind kind, uint64_t n) {
  step((struct dk_agent_event){.kind = kind, .id = {7, n}, .reason = DK_REFUSED_DISK, .text = "no room"});
}

static void waits_for_data(void **state) {
  (void)state;
  struct dk_agent_action action;
  struct dk_agent_counts counts;
  hello(1, 7, 10);
  assign_remote(1);
  assert_int_equal(DONE(DK_AGENT_ACT_FETCH, &action), 1);
  assert_true(action.id.n == 1 && action.job->n_argv == 1);
  assert_int_equal(DONE(DK_AGENT_ACT_START, NULL), 0);
  assign_remote(1); /* said again: asked for once */
  assert_int_equal(out.n, 0);
  say(1, order(DK_MSG_LIST, 10, 0));
  assert_int_equal(SENT(DK_MSG_HAS, &action), 1);
  assert_int_equal(action.message.u.has.state, DK_ATTEMPT_QUEUED);
  /* Others go first, in both slots. */
  assign(1, 10, 2, 2);
  assert_int_equal(DONE(DK_AGENT_ACT_START, NULL), 1);
  data(DK_AGENT_EV_DATA, 1);
  assert_int_equal(out.n, 0);
  data(DK_AGENT_EV_DATA, 1);
  assert_int_equal(out.n, 0);
  keeper(DK_AGENT_EV_KEEPER_STARTED, 0, 2);
  ended(0, 2, 1, 1000000000);
  assert_int_equal(DONE(DK_AGENT_ACT_START, &action), 1);
  assert_int_equal(action.id.n, 1);
  data(DK_AGENT_EV_NO_DATA, 1); /* too late */
  assert_int_equal(out.n, 0);
  /* It will not come. */
  assign_remote(3);
  data(DK_AGENT_EV_NO_DATA, 3);
  assert_int_equal(SENT(DK_MSG_REFUSED, &action), 1);
  assert_int_equal(action.message.u.refused.reason, DK_REFUSED_DISK);
  assert_string_equal(action.message.u.refused.text, "no room");
  assert_int_equal(DONE(DK_AGENT_ACT_GIVE_UP, NULL), 0);
  data(DK_AGENT_EV_DATA, 3);
  assert_int_equal(out.n, 0);
  dk_agent_count(agent, &counts);
  assert_int_equal(counts.queued, 0);
}

static void waiting_ends_before_it_starts(void **state) {
  (void)state;
  struct dk_agent_action action;
  hello(1, 7, 10);
  for (uint64_t n = 1; n <= 8; n++) assign_remote(n);
  assign_remote(9);
  assert_int_equal(SENT(DK_MSG_REFUSED, &action), 1); /* they count */
  assert_int_equal(action.message.u.refused.reason, DK_REFUSED_BUSY);
  assert_int_equal(DONE(DK_AGENT_ACT_FETCH, NULL), 0);
  say(1, order(DK_MSG_REVOKE, 10, 1));
  assert_int_equal(DONE(DK_AGENT_ACT_GIVE_UP, &action), 1);
  assert_int_equal(action.id.n, 1);
  assert_int_equal(SENT(DK_MSG_REVOKED, NULL), 1);
  say(1, order(DK_MSG_KILL, 10, 2));
  assert_int_equal(DONE(DK_AGENT_ACT_GIVE_UP, &action), 1);
  assert_int_equal(action.id.n, 2);
  assert_int_equal(SENT(DK_MSG_RESULT, &action), 1);
  assert_int_equal(action.message.u.result.cause, DK_CAUSE_KILLED);
  data(DK_AGENT_EV_DATA, 1);
  data(DK_AGENT_EV_DATA, 2);
  assert_int_equal(out.n, 0);
  /* A session that ends changes nothing for those that wait. */
  step((struct dk_agent_event){.kind = DK_AGENT_EV_CLOSED, .conn = 1});
  assert_false(dk_agent_is_idle(agent));
  data(DK_AGENT_EV_DATA, 3);
  assert_int_equal(DONE(DK_AGENT_ACT_START, &action), 1);
  assert_int_equal(action.id.n, 3);
}

static void marks_are_bounded(void **state) {
  (void)state;
  static struct dk_agent_mark marks[DK_AGENT_MARKS_MAX + 10];
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) marks[i] = (struct dk_agent_mark){i + 1000, 5};
  dk_agent_destroy(agent);
  agent = make(1, marks, sizeof marks / sizeof *marks);
  hello(1, 7, 10);
  assign(1, 10, 1, 1);
  ended(0, 1, 1, 1);
  say(1, (struct dk_message){.type = DK_MSG_ACK, .session = 10, .seq = 1});
  const struct dk_agent_mark *now;
  size_t n = dk_agent_marks(agent, &now);
  assert_int_equal(n, DK_AGENT_MARKS_MAX);
  assert_true(now[n - 1].inc == 7 && now[n - 1].n == 1);
  assert_true(now[0].inc == 1000 + 11); /* ten over at the start, one dropped now */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(life_of_an_attempt),
      TEST(results_are_repeated),
      TEST(sessions),
      TEST(slots_and_order),
      TEST(short_tasks_are_placed_ahead),
      TEST(revoke_and_kill),
      TEST(lost_keeper),
      TEST(found_after_a_restart),
      TEST(marks_are_bounded),
      TEST(waits_for_data),
      TEST(waiting_ends_before_it_starts),
      TEST(ends_what_was_not_heard_of_yet),
      TEST(what_waits_ends_with_its_session),
  };
  return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}

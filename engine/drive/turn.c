/* The loop body: see turn.h. Keeps true: an action is done only when the commit of its gate is durable, and a result is
 * recorded only when what it names is. */
#include "engine/drive/turn.h"

#include <string.h>

#define PACE_NS UINT64_C(20000000)
#define GAP_NS UINT64_C(10000000000)
#define ENOUGH 256u    /* records that are worth a commit */
#define TOO_MANY 4096u /* and when more are to come at once */

void dk_turn_init(struct dk_turn *turn, struct dk_core *core, const struct dk_world *world) {
  *turn = (struct dk_turn){.core = core, .world = world, .seq = 1, .pace_ns = PACE_NS, .commit_at = UINT64_MAX};
}

void dk_turn_finish(struct dk_turn *turn) {
  dk_out_finish(&turn->out);
}

static bool is_for_agent(enum dk_action_kind kind) {
  return kind == DK_ACT_LIST || kind == DK_ACT_ASSIGN || kind == DK_ACT_REVOKE || kind == DK_ACT_KILL ||
         kind == DK_ACT_ACK;
}

static bool is_open(const struct dk_turn *turn, const struct dk_action *action) {
  return action->session && action->session == dk_core_session(turn->core, action->host);
}

/* While an order waited for its commit, its task may have got its result another way (then its end is asked for behind
 * it), or another task with the same key may have taken it over: then it is that one's. */
static bool is_undone(const struct dk_turn *turn, struct dk_action *order) {
  return order->kind == DK_ACT_ASSIGN && !dk_core_attempt_task(turn->core, order->id, &order->run, &order->task);
}

static void act(struct dk_turn *turn, struct dk_action action) {
  if (is_for_agent(action.kind) && !is_open(turn, &action)) return;
  if (is_undone(turn, &action)) return;
  turn->world->act(turn->world->ctx, &action);
}

/* A later acknowledgement that is done now covers it. */
static bool is_covered(const struct dk_out *out, uint32_t at, uint64_t durable) {
  const struct dk_action *ack = &out->actions[at];
  for (uint32_t i = at + 1; i < out->n_actions; i++) {
    const struct dk_action *action = &out->actions[i];
    if (action->kind == DK_ACT_ACK && action->host == ack->host && action->session == ack->session)
      return action->gate <= durable;
  }
  return false;
}

/* Does the actions whose gate is at most `durable` in their order, keeps the others. */
static void act_all(struct dk_turn *turn, uint64_t durable) {
  struct dk_out *out = &turn->out;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < out->n_actions; i++) {
    struct dk_action action = out->actions[i];
    if (action.gate > durable)
      out->actions[kept++] = action;
    else if (action.kind != DK_ACT_ACK || !is_covered(out, i, durable))
      act(turn, action);
  }
  out->n_actions = kept;
}

/* Is there a record that may name what an agent has written? */
static bool has_results(const struct dk_out *out) {
  for (uint32_t i = 0; i < out->n_records; i++) {
    if (out->records[i].kind == DK_REC_RESULT || out->records[i].kind == DK_REC_FAILURE) return true;
  }
  return false;
}

/* Of 100,000 tasks that have results already each record is as good as none: the next engine finds it out again. */
static bool is_worth(const struct dk_record *record) {
  return record->kind != DK_REC_TASK || (record->state != DK_TASK_CACHED && record->state != DK_TASK_SKIPPED);
}

static void weigh(struct dk_turn *turn) {
  for (; turn->n_weighed < turn->out.n_records; turn->n_weighed++)
    turn->n_worth += is_worth(&turn->out.records[turn->n_weighed]);
}

static int commit(struct dk_turn *turn) {
  struct dk_out *out = &turn->out;
  int r = has_results(out) ? turn->world->sync(turn->world->ctx) : 0;
  if (r < 0) return r;
  r = turn->world->commit(turn->world->ctx, turn->seq, out->records, out->n_records, &out->bytes);
  if (r < 0) return r;
  turn->seq++;
  turn->n_weighed = turn->n_worth = 0;
  turn->commit_at = UINT64_MAX;
  turn->looks = true;
  act_all(turn, turn->seq - 1);
  bool more = out->more;
  dk_out_clear(out);
  out->more = more;
  return 0;
}

/* After a step. `is_idle`: no event waits. */
static int settle(struct dk_turn *turn, bool is_idle) {
  struct dk_out *out = &turn->out;
  if (out->n_records == 0) { /* nothing that an action could wait for */
    act_all(turn, turn->seq);
    out->urgent = false;
    turn->commit_at = UINT64_MAX;
    return 0;
  }
  act_all(turn, turn->seq - 1);
  if (turn->commit_at == UINT64_MAX) turn->commit_at = turn->last_now + turn->pace_ns;
  weigh(turn);
  bool is_due =
      (turn->n_worth >= ENOUGH && !out->more) || out->n_records >= TOO_MANY || turn->last_now >= turn->commit_at;
  return is_due || (out->urgent && is_idle && !out->more) ? commit(turn) : 0;
}

static int step(struct dk_turn *turn, const struct dk_event *event) {
  return dk_core_step(turn->core, turn->last_now, turn->seq, event, &turn->out);
}

/* While silence is measured, waits are short, so that a sleep in one of them is seen. */
static uint64_t deadline_of(const struct dk_turn *turn) {
  const struct dk_out *out = &turn->out;
  if (out->more || out->urgent || turn->looks) return turn->last_now;
  uint64_t at = dk_core_deadline(turn->core);
  if (dk_core_is_timing(turn->core) && at > turn->last_now + GAP_NS / 2) at = turn->last_now + GAP_NS / 2;
  return at < turn->commit_at ? at : turn->commit_at;
}

int dk_turn_once(struct dk_turn *turn) {
  struct dk_event event;
  memset(&event, 0, sizeof event);
  uint64_t deadline = deadline_of(turn), now = turn->last_now;
  int r = turn->world->next(turn->world->ctx, deadline, &event, &now);
  if (r < 0) return r;
  bool is_idle = r == 0, is_gap = turn->last_now && deadline != UINT64_MAX && now > deadline && now - deadline > GAP_NS;
  turn->looks = false;
  if (now > turn->last_now) turn->last_now = now;
  r = 0;
  if (is_gap) r = step(turn, &(struct dk_event){.kind = DK_EV_GAP});
  if (r == 0) r = step(turn, is_idle ? &(struct dk_event){.kind = DK_EV_TICK, .u.tick.is_idle = true} : &event);
  return r < 0 ? r : settle(turn, is_idle);
}

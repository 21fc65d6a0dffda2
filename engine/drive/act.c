/* Actions of the core, done for real. What cannot be done comes back as an event, or ends the run. */
#include "engine/drive/engine_priv.h"
#include "engine/drive/job.h"
#include "engine/drive/pull.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <unistd.h>

/* Made by this very run before, with another engine? */
static bool is_own(const struct dk_engine_run *run, uint32_t task) {
  return run->was_done && run->was_done[task / 8] >> (task % 8) & 1;
}

/* It was cancelled meanwhile: its result must not become a fact. The answer is counted all the same. */
static bool is_wanted(const struct dk_engine_run *run, uint32_t task) {
  return dk_core_task_state(run->engine->core, run->record.number, task) == DK_TASK_LOOKUP;
}

static void act_lookup(struct dk_engine_run *run, uint32_t task) {
  struct dk_engine *engine = run->engine;
  struct dk_event event = {.kind = DK_EV_LOOKED_UP, .run = run->record.number, .task = task};
  struct dk_error error = {0};
  int r = 0;

  event.u.looked_up.answer = DK_LOOKUP_MISS;
  if (is_wanted(run, task))
    r = dk_lookup_task(&run->lookup, task, &event.u.looked_up.answer, &event.u.looked_up.key, &error);

  if (r == -EAGAIN) {
    /* Everything that it needs has ended: what is missing will not come (a metric that was not found, say). */
    event.u.looked_up.answer = DK_LOOKUP_BAD;
    r = 0;
    if (!error.text[0]) dk_error_set(&error, -EAGAIN, "a value that it needs was not found");
  }
  if (r < 0) {
    dk_engine_fail(engine, r, &error);
    return;
  }
  if (event.u.looked_up.answer == DK_LOOKUP_HIT && is_own(run, task)) event.u.looked_up.answer = DK_LOOKUP_OWN;
  if (event.u.looked_up.answer == DK_LOOKUP_BAD) dk_engine_remember_bad(run, task, error.text);
  dk_engine_push(engine, &event, NULL);
}

static void act_decide(struct dk_engine_run *run, uint32_t task) {
  struct dk_engine *engine = run->engine;
  struct dk_event event = {.kind = DK_EV_DECIDED, .run = run->record.number, .task = task};
  struct dk_error error = {0};
  int r = is_wanted(run, task) ? dk_lookup_decide(&run->lookup, task, &error) : -ENOENT;

  if (r < 0 && r != -ENOENT) {
    dk_engine_fail(engine, r, &error);
    return;
  }
  event.u.decided.ok = r == 0;
  if (r < 0 && error.text[0]) dk_engine_remember_bad(run, task, error.text);
  if (r == 0 && dk_batch_put_choice(&run->lookup.extra, run->record.number, task, &run->lookup.facts[task]->choice) < 0)
    dk_engine_fail(engine, -ENOMEM, NULL);
  else
    dk_engine_push(engine, &event, NULL);
}

/* A task that cannot be handed out after all ends as if its attempt had: the core knows how to go on. */
static void assign_failed(struct dk_engine_run *run, const struct dk_action *action, enum dk_cause cause,
                          const char *text) {
  struct dk_result result = {.cause = cause, .text = (char *)text, .started_unix_ns = dk_unix_ns()};
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_event event = {.kind = DK_EV_ENDED, .id = action->id, .u.ended = {.cause = cause}};

  dk_engine_remember_bad(run, action->task, text);
  if (dk_result_encode(&result, &bytes) < 0) {
    dk_engine_fail(run->engine, -ENOMEM, NULL);
    return;
  }
  event.u.ended.len = (uint32_t)bytes.len;
  char *owned = dk_buf_steal(&bytes);
  event.u.ended.bytes = owned;
  dk_engine_push(run->engine, &event, owned);
}

/* --- inputs that are somewhere else --- */

static bool is_that_host(void *ctx, uint32_t host) {
  return *(const uint32_t *)ctx == host;
}

#define LOST_MOST 5u /* then something is wrong with a host, or somebody deletes what is made */

/* Nobody has the outputs any more: what makes them runs again. */
static int make_again(struct dk_engine_run *run, const struct dk_order_input *input, struct dk_error *error) {
  struct dk_event lost = {.kind = DK_EV_COPY_LOST, .run = run->record.number, .task = input->task};

  if (!run->n_lost) run->n_lost = dk_calloc(run->plan->graph.n_tasks + 1, sizeof *run->n_lost);
  if (!run->n_lost) return dk_error_system(error, -ENOMEM, "making an input again");
  if (run->n_lost[input->task] >= LOST_MOST)
    return dk_error_set(error, -EIO,
                        "its input `%s` was made and lost %u times in this run\n"
                        "help: `dkrun hosts` says how the hosts are; what they keep for dkrun must not be removed "
                        "while it runs",
                        input->name, LOST_MOST);
  run->n_lost[input->task]++;
  dk_lookup_lose_outputs(&run->lookup, input->task);
  dk_engine_push(run->engine, &lost, NULL);
  return 0;
}

/* Is there one that the host's agent can take? Else it is brought here first, and when there is none any more, it is
 * made again. */
static int reach_output(struct dk_engine_run *run, const struct dk_action *action, const struct dk_order_input *input,
                        const struct dk_digest *content, bool is_dir, bool *ret_is_here, struct dk_error *error) {
  struct dk_engine *engine = run->engine;
  struct dk_store *store = engine->with.folder->store;
  const struct dk_objects *objects = &engine->with.folder->objects;
  uint32_t host = action->host;
  struct dk_copy copy;
  int has = dk_objects_has_content(objects, content, is_dir, error);

  *ret_is_here = has > 0;
  if (has != 0) return has < 0 ? has : 0;
  has = dk_store_find_copy(store, content, is_that_host, &host, &copy, error);
  *ret_is_here = has == 0;
  if (has != -ENOENT) return has;
  has = dk_store_find_copy(store, content, dk_fleet_has_copies, engine, &copy, error);
  if (has == 0 && (has = dk_pull_take_failure(engine->pulls, content, error)) < 0) return has;
  if (has == 0) return dk_pull_copies(engine->pulls, content, is_dir, NULL, NULL, error);
  return has == -ENOENT ? make_again(run, input, error) : has;
}

static int reach_inputs(struct dk_engine_run *run, const struct dk_action *action, const struct dk_prepared *prepared,
                        bool *ret_are_here, struct dk_error *error) {
  int r = 0;

  *ret_are_here = true;
  for (uint32_t i = 0; r == 0 && i < prepared->order.n_inputs; i++) {
    const struct dk_order_input *input = &prepared->order.inputs[i];
    bool is_here;
    if (!dk_input_is_output(input->kind)) continue;
    r = reach_output(run, action, input, &prepared->inputs[i], prepared->is_dir[i], &is_here, error);
    *ret_are_here = *ret_are_here && is_here;
  }
  return r;
}

/* What its agent finds out on another host. */
static const char *missing_mount(const struct dk_order *order) {
  for (uint32_t i = 0; i < order->n_inputs; i++)
    if (order->inputs[i].kind == DK_INPUT_MOUNT && access(order->inputs[i].path, F_OK) < 0)
      return order->inputs[i].path;
  return NULL;
}

/* As if this machine's agent had refused it for good. */
static int refuse_here(struct dk_engine_run *run, const struct dk_action *action, const char *mount) {
  struct dk_event event = {.kind = DK_EV_REFUSED, .id = action->id, .host = action->host, .session = action->session};
  struct dk_error words = {0};

  dk_error_set(&words, -ENOENT, "its mount %s is not on this machine", mount);
  event.u.refused.reason = DK_REFUSED_BAD;
  dk_engine_remember_refused(run, action->task, &event, words.text);
  dk_engine_push(run->engine, &event, NULL);
  return dk_fleet_bar_task(run, action->task, action->host);
}

/* The host was thought to have inputs of the task, and lacks one: those that are not here either are taken off what it
 * has. *ret_n: how many. */
int dk_engine_lose_inputs(struct dk_engine_run *run, uint32_t task, struct dk_engine_host *host, uint32_t *ret_n,
                          struct dk_error *error) {
  const struct dk_objects *objects = &run->engine->with.folder->objects;
  struct dk_prepared prepared;
  int r = dk_lookup_prepare(&run->lookup, task, &prepared, error);

  *ret_n = 0;
  if (r < 0) return r;
  for (uint32_t i = 0; r >= 0 && i < prepared.order.n_inputs; i++) {
    const struct dk_digest *content = &prepared.inputs[i];
    if (!dk_input_is_output(prepared.order.inputs[i].kind)) continue;
    r = dk_objects_has_content(objects, content, prepared.is_dir[i], error);
    if (r != 0) continue;
    dk_fleet_lose_copy(host, content);
    ++*ret_n;
  }
  dk_prepared_finish(&prepared);
  return r < 0 ? r : 0;
}

/* Nothing is counted against the task: it is handed out again soon (NOT_YET), or looked up again (STALE_KEY). */
static void put_off(struct dk_engine *engine, const struct dk_action *action, enum dk_refusal why) {
  struct dk_event event = {.kind = DK_EV_REFUSED, .id = action->id, .host = action->host};

  event.u.refused.reason = (uint8_t)why;
  dk_engine_push(engine, &event, NULL);
}

static int send_job(struct dk_engine_run *run, const struct dk_action *action, const struct dk_prepared *prepared,
                    struct dk_error *error) {
  struct dk_engine *engine = run->engine;
  const struct dk_engine_host *host = dk_fleet_find(engine, action->host);
  const struct dk_job_options options = {
      .trees = engine->with.folder->trees,
      .memory = dk_job_memory(run->plan, action->task, action->ooms, dk_fleet_memory(engine, action->host)),
      .is_remote = host && dk_fleet_is_remote(host),
  };
  struct dk_job_build build;
  int r = dk_job_build(&run->lookup, action->task, prepared, &options, &build, error);

  if (r < 0) return r;
  struct dk_message message = {.type = DK_MSG_ASSIGN, .id = action->id, .session = action->session, .u.job = build.job};
  r = dk_fleet_send(engine, action->host, &message);
  if (r == -EMSGSIZE)
    dk_error_set(error, r, "the task is too large to be handed out (its script, values and input names pass 64 MiB)");
  dk_job_build_finish(&build);
  return r;
}

enum dk_made dk_engine_inputs_made(const struct dk_engine_run *run, const struct dk_order *order) {
  enum dk_made made = DK_MADE;

  for (uint32_t i = 0; i < order->n_inputs; i++) {
    const struct dk_order_input *input = &order->inputs[i];
    if (!dk_input_is_output(input->kind)) continue;
    const struct dk_fact *fact = run->lookup.facts[input->task];
    if (!fact || !fact->is_lost) continue;
    if (fact->is_given_up) return DK_MADE_NEVER;
    made = DK_MADE_LATER;
  }
  return made;
}

/* What makes an input ran again, and may have made something else than what the task was looked up by. */
static bool is_same_key(const struct dk_engine_run *run, const struct dk_action *action,
                        const struct dk_prepared *prepared) {
  const struct dk_digest *key = dk_core_attempt_key(run->engine->core, action->id);

  return !key || dk_digest_equal(key, &prepared->key);
}

static int hand_out(struct dk_engine_run *run, const struct dk_action *action, const struct dk_prepared *prepared,
                    struct dk_error *error) {
  struct dk_engine *engine = run->engine;
  enum dk_made made = dk_engine_inputs_made(run, &prepared->order);
  bool are_here;

  if (made == DK_MADE_NEVER) return -EAGAIN;
  if (made == DK_MADE_LATER || !is_same_key(run, action, prepared)) {
    put_off(engine, action, made == DK_MADE_LATER ? DK_REFUSED_NOT_YET : DK_REFUSED_STALE_KEY);
    return 0;
  }
  const char *mount = action->host == DK_HOST_LOCAL ? missing_mount(&prepared->order) : NULL;
  int r = reach_inputs(run, action, prepared, &are_here, error);
  if (r < 0) return r;
  if (mount) return refuse_here(run, action, mount);
  if (are_here) return send_job(run, action, prepared, error);
  put_off(engine, action, DK_REFUSED_NOT_YET);
  return 0;
}

static void act_assign(struct dk_engine_run *run, const struct dk_action *action) {
  struct dk_prepared prepared;
  struct dk_error error = {0};
  int r = dk_lookup_prepare(&run->lookup, action->task, &prepared, &error);

  if (r == 0) {
    r = hand_out(run, action, &prepared, &error);
    dk_prepared_finish(&prepared);
  }
  /* All that it needs was known when it was looked up. */
  if (r == -EAGAIN) dk_error_set(&error, r, "an input was lost with its host, and could not be made again");
  if (dk_error_is_machine(r))
    dk_engine_fail(run->engine, r, &error);
  else if (r < 0)
    assign_failed(run, action, DK_CAUSE_INPUT, error.text);
}

static void send_id(struct dk_engine *engine, enum dk_message_type type, const struct dk_action *action) {
  struct dk_message message = {.type = type, .id = action->id, .session = action->session, .seq = action->seq};

  if (type == DK_MSG_KILL) message.u.kill.grace_ms = action->hard ? 0 : DK_JOB_GRACE_MS;
  if (dk_fleet_send(engine, action->host, &message) < 0) dk_engine_fail(engine, -ENOMEM, NULL);
}

/* A run that has ended asks for nothing: its orders came back before. */
void dk_engine_act(void *ctx, const struct dk_action *action) {
  struct dk_engine *engine = ctx;
  struct dk_engine_run *run = dk_engine_find_run(engine, action->run);

  switch (action->kind) {
  case DK_ACT_LOOKUP:
    if (run) act_lookup(run, action->task);
    break;
  case DK_ACT_DECIDE:
    if (run) act_decide(run, action->task);
    break;
  case DK_ACT_ASSIGN:
    if (run) act_assign(run, action);
    break;
  case DK_ACT_LIST: send_id(engine, DK_MSG_LIST, action); break;
  case DK_ACT_REVOKE: send_id(engine, DK_MSG_REVOKE, action); break;
  case DK_ACT_KILL: send_id(engine, DK_MSG_KILL, action); break;
  case DK_ACT_ACK: send_id(engine, DK_MSG_ACK, action); break;
  case DK_ACT_FINISHED: dk_engine_finish_run(engine, action->run); break;
  }
}

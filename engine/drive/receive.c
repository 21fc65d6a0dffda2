/* What the agent says, as events of the core. A result is completed on the way: its metrics are read, and it gets the
 * name and the key's components that `plan` explains reruns with. */
#include "engine/drive/engine_priv.h"
#include "engine/drive/heard.h"
#include "engine/drive/pull.h"
#include "lang/base/alloc.h"

#include <errno.h>

/* The components of a task's key, as the store keeps them. The names point into *ret_parts. */
static int key_parts(struct dk_engine_run *run, uint32_t task, struct dk_key_part **ret_parts,
                     struct dk_key_part_record **ret, uint32_t *ret_n, struct dk_error *error) {
  struct dk_prepared prepared;
  int r = dk_lookup_prepare(&run->lookup, task, &prepared, error);

  if (r < 0) return r;
  r = dk_lookup_parts(&run->lookup, task, &prepared, ret_parts, ret_n, error);
  dk_prepared_finish(&prepared);
  if (r < 0) return r;
  *ret = dk_calloc(*ret_n + 1, sizeof **ret);
  if (!*ret) return dk_error_system(error, -ENOMEM, "recording a result");
  for (uint32_t i = 0; i < *ret_n; i++)
    (*ret)[i] = (struct dk_key_part_record){(char *)(*ret_parts)[i].name, (*ret_parts)[i].digest};
  return 0;
}

/* The run and task that an attempt is made for; NULL: of no run that goes on. */
static struct dk_engine_run *run_of(const struct dk_engine_host *host, struct dk_id id, uint32_t *ret_task) {
  const struct dk_core *core = host->engine->core;
  uint32_t run;

  /* What a host says of another one's attempt is nothing. */
  if (dk_core_attempt_host(core, id) != host->record.number) return NULL;
  return dk_core_attempt_task(core, id, &run, ret_task) ? dk_engine_find_run(host->engine, run) : NULL;
}

/* A result becomes what the store keeps: with its label and key parts when it succeeded. */
static int ended_bytes(struct dk_engine_host *host, struct dk_message *message, struct dk_buf *out,
                       struct dk_error *error) {
  struct dk_engine *engine = host->engine;
  uint32_t task;
  const struct dk_digest *key = dk_core_attempt_key(engine->core, message->id);
  struct dk_engine_run *run = run_of(host, message->id, &task);
  dk_autofree struct dk_key_part *names = NULL;
  dk_autofree struct dk_key_part_record *parts = NULL;
  dk_autobuf label = DK_BUF_INIT;
  int r = 0;

  if (message->u.result.cause != DK_CAUSE_OK || !key) return dk_result_encode(&message->u.result, out);

  struct dk_saved saved = {.attempt = message->id,
                           .run = run ? run->record.number : 0,
                           .host = dk_fleet_is_remote(host) ? host->record.name : engine->host,
                           .result = message->u.result};
  if (run) {
    dk_plan_task_name(run->plan, task, &label);
    /* Only for `why`: what the task was made of may be gone by now (a mount). */
    r = key_parts(run, task, &names, &parts, &saved.n_parts, error);
    if (r < 0 && !dk_error_is_machine(r)) {
      saved.n_parts = 0;
      r = 0;
    }
    saved.parts = parts;
  }
  saved.label = (char *)dk_buf_text(&label);
  if (r == 0) r = dk_saved_encode(&saved, out);
  if (r == 0 && run) r = dk_lookup_learn(&run->lookup, task, key, &saved, error);
  if (r == 0 && run) r = dk_batch_put_name(&run->lookup.extra, run->plan->name, saved.label, key);
  if (run) dk_duration_add(&run->durations[dk_plan_template(run->plan, task, NULL)->node], saved.result.wall_ns);
  return r;
}

static bool has_object(const struct dk_kept *kept, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (!dk_digest_is_zero(&kept[i].digest)) return true;
  return false;
}

static bool names_objects(const struct dk_result *result) {
  return has_object(&result->out, 1) || has_object(&result->err, 1) || has_object(result->outputs, result->n_outputs) ||
         has_object(result->keep_files, result->n_keep_files);
}

/* What stays where it was made is known to be there. */
static int keep_copies(struct dk_engine_host *host, const struct dk_result *result) {
  struct dk_engine *engine = host->engine;
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < result->n_outputs; i++) {
    const struct dk_kept *kept = &result->outputs[i];
    struct dk_copy copy = {kept->digest, host->record.number, kept->size, kept->is_dir};
    if (!kept->bytes && !dk_digest_is_zero(&kept->digest)) r = dk_batch_put_copy(&engine->extra, &copy);
  }
  return r;
}

/* What the machine did to a task, and not the task itself: of another machine the words say of which. */
static int name_machine(const struct dk_engine_host *host, struct dk_result *result) {
  dk_autobuf text = DK_BUF_INIT;

  switch (result->cause) {
  case DK_CAUSE_OOM:
  case DK_CAUSE_INPUT:
  case DK_CAUSE_DISK:
  case DK_CAUSE_SPAWN:
  case DK_CAUSE_LOST: break;
  default: return 0;
  }
  dk_buf_printf(&text, "on %s%s%s", host->record.name, result->text && *result->text ? ": " : "",
                result->text ? result->text : "");
  char *named = dk_buf_steal(&text);
  if (!named) return -ENOMEM;
  dk_free(result->text);
  result->text = named;
  return 0;
}

/* A good end has what the task declares: an agent that says otherwise is another version's, or lies. */
static bool has_declared(const struct dk_engine_run *run, uint32_t task, const struct dk_result *result) {
  const struct dk_template *tmpl = dk_plan_template(run->plan, task, NULL);

  if (result->n_outputs != tmpl->n_outputs) return false;
  for (uint32_t i = 0; i < result->n_outputs; i++) {
    const struct dk_kept *kept = &result->outputs[i];
    if (kept->bytes || kept->is_missing || dk_digest_is_zero(&kept->digest) || kept->is_dir != tmpl->outputs[i].is_dir)
      return false;
  }
  return true;
}

static int check_result(const struct dk_engine_run *run, uint32_t task, struct dk_result *result) {
  if (!run || result->cause != DK_CAUSE_OK || has_declared(run, task, result)) return 0;
  char *text = dk_strdup("its agent says that it ended well, and tells of other outputs than it declares");
  if (!text) return -ENOMEM;
  dk_free(result->text);
  result->text = text;
  result->cause = DK_CAUSE_OUTPUT;
  return 0;
}

void dk_engine_take_result(struct dk_engine_host *host, uint64_t session, struct dk_message *message) {
  struct dk_engine *engine = host->engine;
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_error error = {0};
  struct dk_event event;
  uint32_t task;

  struct dk_engine_run *run = run_of(host, message->id, &task);
  engine->has_unsynced |= names_objects(&message->u.result);
  if (check_result(run, task, &message->u.result) < 0 ||
      (dk_fleet_is_remote(host) && name_machine(host, &message->u.result) < 0)) {
    dk_engine_fail(engine, -ENOMEM, NULL);
    return;
  }
  if (!dk_heard_event(message, host->record.number, session, &event)) return;
  if (message->u.result.cause != DK_CAUSE_OK && run)
    dk_engine_remember_bad(run, task, message->u.result.text ? message->u.result.text : "");
  if (message->u.result.cause == DK_CAUSE_OK && host->is_rented) dk_rentals_worked(engine->rentals, host);
  if (message->u.result.cause == DK_CAUSE_DISK && dk_fleet_is_remote(host)) dk_fleet_is_full(host);
  int r = dk_fleet_is_remote(host) ? keep_copies(host, &message->u.result) : 0;
  if (r == 0) r = ended_bytes(host, message, &bytes, &error);
  if (r < 0) {
    dk_engine_fail(engine, r, &error);
    return;
  }
  /* What is never used again (cache = "none") is what was made last. */
  event.u.ended.replaces =
      message->u.result.cause == DK_CAUSE_OK && run && !dk_plan_template(run->plan, task, NULL)->cached;
  event.u.ended.len = (uint32_t)bytes.len;
  char *owned = dk_buf_steal(&bytes);
  event.u.ended.bytes = owned;
  dk_engine_push(engine, &event, owned);
}

/* On this machine only another engine can have asked for it: two must not fight for one agent. Of another machine it is
 * that host's trouble: the stream ends now, and the link says so and tries again. */
static void on_closed(struct dk_engine_host *host, const char *text) {
  struct dk_error error = {0};

  if (dk_fleet_is_remote(host)) {
    dk_fleet_say(host, text && *text ? text : "its agent closed the session");
    return;
  }

  dk_error_set(&error, -EBUSY,
               "%s\nhelp: another dkrun works in this state folder; its lock file was removed, it seems",
               text && *text ? text : "the agent closed the session");
  dk_engine_fail(host->engine, -EBUSY, &error);
}

/* Contents on their way, and signs of life: nothing that the core knows of. */
static bool take_content(struct dk_engine_host *host, const struct dk_message *message) {
  struct dk_engine *engine = host->engine;
  int r = 0;

  switch (message->type) {
  case DK_MSG_LACKS:
    dk_fleet_lose_copy(host, &message->u.want.digest);
    r = dk_supply_add(&host->supply, &message->u.want.digest, message->u.want.offset);
    if (r == 0) r = dk_supply_pump(&host->supply, host);
    if (r == -E2BIG && host->link)
      dk_link_break(host->link, "its agent asks for more contents at a time than may be", 0);
    if (r == -E2BIG) r = 0;
    break;
  case DK_MSG_PART: dk_pull_part(engine->pulls, host, message); break;
  case DK_MSG_GONE: dk_pull_gone(engine->pulls, host, message); break;
  case DK_MSG_LOG: dk_reads_answer(host, message); break;
  case DK_MSG_PONG: dk_fleet_pong(host, message); break;
  default: return false;
  }
  if (r < 0) dk_engine_fail(engine, r, NULL);
  return true;
}

/* The host was thought to have an input: that is put right, and the task is handed out again. Nothing is to be put
 * right: what was here is gone, and the task cannot run. */
static void refused_for_data(struct dk_engine_host *host, struct dk_engine_run *run, uint32_t task,
                             struct dk_event *event) {
  struct dk_error error = {0};
  uint32_t n_lost = 0;
  int r = dk_engine_lose_inputs(run, task, host, &n_lost, &error);

  event->u.refused.reason = r == 0 && n_lost > 0 ? DK_REFUSED_BUSY : DK_REFUSED_BAD;
}

/* Its words are kept for the case that the task fails by it; on other machines they say on which. */
static void on_refused(struct dk_engine_host *host, const struct dk_message *message, struct dk_event *event) {
  uint32_t task;
  struct dk_engine_run *run = run_of(host, message->id, &task);
  struct dk_error words = {0};

  if (!run) return;
  bool is_remote = dk_fleet_is_remote(host);
  dk_error_set(&words, -EIO, "%s%s%s%s", is_remote ? "on " : "", is_remote ? host->record.name : "",
               is_remote ? ": " : "", message->u.refused.text);
  if (event->u.refused.reason == DK_REFUSED_DISK && is_remote) dk_fleet_is_full(host);
  if (event->u.refused.reason == DK_REFUSED_DATA) refused_for_data(host, run, task, event);
  dk_engine_remember_refused(run, task, event, words.text);
  if (event->u.refused.reason == DK_REFUSED_BAD && is_remote && dk_fleet_bar_task(run, task, host->record.number) < 0)
    dk_engine_fail(host->engine, -ENOMEM, NULL);
}

void dk_engine_message(struct dk_engine_host *host, uint64_t session, struct dk_message *message) {
  struct dk_engine *engine = host->engine;
  struct dk_event event;

  if (message->type == DK_MSG_CLOSED) on_closed(host, message->u.closed.text);
  if (take_content(host, message)) return;
  if (message->type == DK_MSG_RESULT) {
    if (!dk_fleet_is_remote(host))
      dk_engine_take_result(host, session, message);
    else if (dk_held_add(&host->held, host, session, message) < 0)
      dk_engine_fail(engine, -ENOMEM, NULL);
    return;
  }
  if (!dk_heard_event(message, host->record.number, session, &event)) return;
  if (event.kind == DK_EV_REFUSED) on_refused(host, message, &event);
  if (event.kind == DK_EV_AGENT_UP) {
    dk_fleet_welcome(host, session, message);
    if (host->is_rented && host->record.state == DK_HOST_UP) dk_rentals_up(engine->rentals, host);
    dk_fleet_judge_runs(engine);
    dk_pull_up(engine->pulls, host);
  }
  dk_engine_push(engine, &event, NULL);
}

void dk_engine_down(struct dk_engine_host *host, uint64_t session, const char *why) {
  struct dk_engine *engine = host->engine;
  struct dk_event event = {.kind = DK_EV_AGENT_DOWN, .host = host->record.number, .session = session};
  struct dk_error text = {0};

  /* What now stands in its place has another agent, which is not this engine's to take over. */
  if (!dk_folder_is_ours(engine->with.folder)) {
    dk_error_set(
        &text, -ESTALE,
        "the state folder %s was removed, moved or replaced\nhelp: run again; an engine of the new one goes on",
        engine->with.folder->path);
    dk_engine_fail(engine, -ESTALE, &text);
    return;
  }
  dk_fleet_down(host, why, true);
  if (host->is_rented && session) dk_rentals_down(engine->rentals, host);
  if (session) dk_engine_push(engine, &event, NULL);
}

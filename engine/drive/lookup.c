/* Keys and results of tasks: see lookup.h. Nothing here starts or decides anything. */
#include "engine/drive/lookup.h"

#include "engine/drive/decide.h"
#include "engine/drive/environment.h"
#include "engine/drive/file.h"
#include "engine/drive/records.h"
#include "engine/drive/seen.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const struct dk_template *template_of(const struct dk_lookup_state *state, uint32_t task, uint32_t *ret_row) {
  return dk_plan_template(state->with.plan, task, ret_row);
}

static bool late_chosen(void *ctx, uint32_t pick_task, uint32_t *ret_row) {
  const struct dk_lookup_state *state = ctx;

  if (!state->facts[pick_task]) return false;
  *ret_row = state->facts[pick_task]->choice.row;
  return true;
}

static bool late_metric(void *ctx, uint32_t task, uint32_t metric, double *ret, const char **ret_text) {
  const struct dk_lookup_state *state = ctx;
  const struct dk_fact *fact = state->facts[task];

  if (!fact || metric >= fact->metrics.n || fact->metrics.items[metric].state == DK_METRIC_MISSING) return false;
  *ret = fact->metrics.items[metric].number;
  *ret_text = fact->metrics.items[metric].state == DK_METRIC_TEXT ? fact->metrics.items[metric].text : NULL;
  return true;
}

static void fact_destroy(struct dk_fact *fact) {
  if (!fact) return;
  dk_metric_values_finish(&fact->metrics);
  dk_free(fact->outputs);
  dk_free(fact);
}

static int init_template(struct dk_lookup_state *state, const struct dk_template *tmpl, struct dk_error *error) {
  struct dk_lookup_template *t = &state->templates[tmpl->node];
  int r;

  if (tmpl->n_metrics > 0) {
    r = dk_extractor_create(tmpl, &t->extractor, error);
    if (r < 0) return r;
    dk_plan_metrics_digest(state->with.plan, tmpl->node, &t->metrics);
  }
  if (tmpl->n_code > 0) {
    r = dk_code_digest(state->with.code, tmpl->dir, tmpl->code, tmpl->n_code, &t->code, &t->n_code_files, error);
    if (r < 0) return dk_error_prefix(error, "%s:%u: code of task `%s`", tmpl->path, tmpl->line, tmpl->name);
  }
  return 0;
}

int dk_lookup_init(struct dk_lookup_state *state, const struct dk_lookup_options *options, struct dk_error *error) {
  const struct dk_plan *plan = options->plan;

  *state = (struct dk_lookup_state){.with = *options, .late = {state, late_chosen, late_metric}};
  dk_map_init(&state->files, NULL);
  state->facts = dk_calloc(plan->graph.n_tasks + 1, sizeof *state->facts);
  state->templates = dk_calloc(plan->n_templates + 1, sizeof *state->templates);
  if (!state->facts || !state->templates) {
    dk_lookup_finish(state);
    return dk_error_system(error, -ENOMEM, "preparing %u tasks", plan->graph.n_tasks);
  }
  int r = dk_environment_id(&state->environment, error);
  if (r == 0 && !options->dry) {
    dk_autobuf text = DK_BUF_INIT;
    dk_environment_text(&text);
    (void)dk_batch_put_environment(&state->extra, &state->environment, dk_buf_text(&text)); /* only for `why` */
  }
  for (uint32_t i = 0; r == 0 && i < plan->n_templates; i++) r = init_template(state, &plan->templates[i], error);
  if (r < 0) dk_lookup_finish(state);
  return r;
}

void dk_lookup_finish(struct dk_lookup_state *state) {
  for (uint32_t i = 0; state->facts && i < state->with.plan->graph.n_tasks; i++) fact_destroy(state->facts[i]);
  for (uint32_t i = 0; state->templates && i < state->with.plan->n_templates; i++)
    dk_extractor_destroy(state->templates[i].extractor);
  dk_free(state->facts);
  dk_free(state->templates);
  dk_file_facts_finish(state);
  dk_batch_finish(&state->extra);
  *state = (struct dk_lookup_state){0};
}

/* The content of one input: its digest, and (unless dry) an object that has it. */
static int input_digest(struct dk_lookup_state *state, const struct dk_template *tmpl, uint32_t row,
                        const struct dk_order_input *input, struct dk_digest *ret, bool *ret_is_dir,
                        struct dk_error *error) {
  const struct dk_input *declared = &tmpl->inputs[input->input];
  dk_autobuf bytes = DK_BUF_INIT;
  struct stat st;
  int r;

  *ret_is_dir = false;
  switch (input->kind) {
  case DK_INPUT_FILE:
    r = dk_file_digest(state, input->path, ret, ret_is_dir, error);
    if (r < 0) dk_error_prefix(error, "%s:%u: input `%s`", tmpl->path, declared->line, input->name);
    return r;
  case DK_INPUT_OUTPUT:
  case DK_INPUT_GATHER: {
    const struct dk_fact *producer = state->facts[input->task];
    if (!producer || !producer->outputs) return dk_error_set(error, -EAGAIN, "input `%s` is not made yet", input->name);
    *ret = producer->outputs[input->output].digest;
    *ret_is_dir = producer->outputs[input->output].is_dir;
    return 0;
  }
  case DK_INPUT_MOUNT:
    if (stat(input->path, &st) < 0 && !state->with.has_hosts)
      return dk_error_set(error, -errno,
                          "%s:%u: input `%s`: cannot use %s: %s\n"
                          "help: mount(path, version = ...) names a place of this machine; correct it, or put it there",
                          tmpl->path, declared->line, input->name, input->path, strerror(errno));
    dk_digest_of(input->version ? input->version : "", input->version ? strlen(input->version) : 0, ret);
    if (!state->with.dry && input->path != state->last_place)
      dk_seen_add(&state->seen, DK_SEEN_PLACE, input->path, NULL, 0, ret);
    state->last_place = input->path; /* one text of the plan: tasks that share it are many */
    return 0;
  case DK_INPUT_RECORDS:
    r = dk_records_json(state, tmpl, row, input->input, &bytes, error);
    if (r < 0) return r;
    break;
  case DK_INPUT_WRITE: dk_buf_add(&bytes, input->bytes, input->n_bytes); break;
  case DK_INPUT_URL: return dk_error_set(error, -ENOTSUP, "input `%s`: url() is not built yet", input->name);
  }
  if (!dk_buf_ok(&bytes)) return dk_error_system(error, -ENOMEM, "input `%s`", input->name);
  if (state->with.dry) return dk_content_of(dk_buf_text(&bytes), bytes.len, ret);
  return dk_objects_put(state->with.objects, dk_buf_text(&bytes), bytes.len, ret, error);
}

int dk_lookup_prepare(struct dk_lookup_state *state, uint32_t task, struct dk_prepared *ret, struct dk_error *error) {
  uint32_t row;
  const struct dk_template *tmpl = template_of(state, task, &row);
  int r;

  *ret = (struct dk_prepared){0};
  r = dk_plan_order(state->with.plan, task, &state->late, &ret->order, error);
  if (r < 0) return r;
  if (ret->order.skip) return 0;

  ret->inputs = dk_calloc(ret->order.n_inputs + 1, sizeof *ret->inputs);
  ret->is_dir = dk_calloc(ret->order.n_inputs + 1, sizeof *ret->is_dir);
  r = ret->inputs && ret->is_dir ? 0 : dk_error_system(error, -ENOMEM, "preparing a task of %s", tmpl->name);
  for (uint32_t i = 0; r == 0 && i < ret->order.n_inputs; i++)
    r = input_digest(state, tmpl, row, &ret->order.inputs[i], &ret->inputs[i], &ret->is_dir[i], error);
  if (r == 0)
    r = dk_plan_key(state->with.plan, task, &ret->order, ret->inputs, &state->templates[tmpl->node].code,
                    &state->environment, &ret->key, error);
  if (r < 0) dk_prepared_finish(ret);
  return r;
}

int dk_lookup_parts(struct dk_lookup_state *state, uint32_t task, const struct dk_prepared *prepared,
                    struct dk_key_part **ret, uint32_t *ret_n, struct dk_error *error) {
  const struct dk_template *tmpl = template_of(state, task, NULL);

  return dk_plan_key_parts(state->with.plan, task, &prepared->order, prepared->inputs,
                           &state->templates[tmpl->node].code, &state->environment, ret, ret_n, error);
}

void dk_prepared_finish(struct dk_prepared *prepared) {
  dk_order_finish(&prepared->order);
  dk_free(prepared->inputs);
  dk_free(prepared->is_dir);
  *prepared = (struct dk_prepared){0};
}

int dk_lookup_output_state(const struct dk_lookup_options *with, const struct dk_kept *output, struct dk_error *error) {
  const struct dk_objects *objects = with->objects;
  dk_autobuf path = DK_BUF_INIT;
  struct dk_copy copy;
  struct stat st;
  uint64_t size;
  int there = output->is_dir ? dk_objects_has_dir(objects, &output->digest, error)
                             : dk_objects_has(objects, &output->digest, &size) && size == output->size;

  if (there < 0) return there;
  if (there) return DK_OUTPUT_THERE;
  there = dk_store_find_copy(with->store, &output->digest, with->may_host, with->may_host_ctx, &copy, error);
  if (there == 0) return DK_OUTPUT_ELSEWHERE;
  if (there != -ENOENT && there != -EBADMSG) return there;
  dk_objects_path(objects, &output->digest, &path);
  if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "looking for an output");
  return lstat(dk_buf_text(&path), &st) < 0 ? DK_OUTPUT_GONE : DK_OUTPUT_ALTERED;
}

/* A result counts only while every one of its outputs can be had. 1, 0, negative: it cannot be told now. */
static int outputs_are_there(const struct dk_lookup_state *state, const struct dk_saved *saved,
                             struct dk_error *error) {
  for (uint32_t i = 0; i < saved->result.n_outputs; i++) {
    int r = dk_lookup_output_state(&state->with, &saved->result.outputs[i], error);
    if (r != DK_OUTPUT_THERE && r != DK_OUTPUT_ELSEWHERE) return r < 0 ? r : 0;
  }
  return 1;
}

int dk_lookup_task(struct dk_lookup_state *state, uint32_t task, enum dk_lookup *ret, struct dk_digest *ret_key,
                   struct dk_error *why) {
  uint32_t row;
  const struct dk_template *tmpl = template_of(state, task, &row);
  struct dk_prepared prepared;
  struct dk_saved saved;
  int r;

  *ret = DK_LOOKUP_BAD;
  memset(ret_key, 0, sizeof *ret_key);
  r = dk_lookup_prepare(state, task, &prepared, why);
  if (r == -EAGAIN || dk_error_is_machine(r)) return r;
  if (r < 0) return 0;
  *ret = prepared.order.skip ? DK_LOOKUP_SKIP : DK_LOOKUP_MISS;
  *ret_key = prepared.key;
  dk_prepared_finish(&prepared);
  if (*ret == DK_LOOKUP_SKIP || !tmpl->cached || !state->with.store) return 0;

  int found = dk_store_get_saved(state->with.store, ret_key, &saved, why);
  if (found == -ENOENT) return 0;
  if (found < 0 && found != -EBADMSG) return found;
  r = found == 0 && saved.result.n_outputs == tmpl->n_outputs ? outputs_are_there(state, &saved, why) : 0;
  if (r > 0) {
    r = dk_lookup_learn(state, task, ret_key, &saved, why);
    if (r == 0) *ret = DK_LOOKUP_HIT;
  } else if (r == 0 && !state->with.dry) {
    /* Damaged, or without its outputs, it is as good as none: it gives way to the one that is made now. */
    dk_batch_del(&state->extra, DK_TABLE_RESULTS, ret_key->bytes, sizeof ret_key->bytes);
  }
  if (found == 0) dk_saved_finish(&saved);
  return r;
}

/* The metrics of a result: as they were read before with the same extractors, else anew from what was kept. */
static int read_metrics(struct dk_lookup_state *state, uint32_t task, const struct dk_digest *key,
                        const struct dk_saved *saved, struct dk_metric_values *ret, struct dk_error *error) {
  uint32_t row;
  const struct dk_template *tmpl = template_of(state, task, &row);
  const struct dk_lookup_template *t = &state->templates[tmpl->node];
  struct dk_order order;
  int r;

  if (!t->extractor) return 0;
  if (state->with.store) {
    r = dk_store_get_metrics(state->with.store, key, &t->metrics, &saved->attempt, ret, error);
    if (r != -ENOENT && r != -EBADMSG) return r; /* damaged ones too: what they were read from is kept */
  }
  r = dk_plan_order(state->with.plan, task, &state->late, &order, error);
  if (r < 0) return r;
  r = dk_extract(t->extractor, state->with.objects, &saved->result, order.keep_files, order.n_keep_files, ret, error);
  dk_order_finish(&order);
  if (r == 0 && !state->with.dry) r = dk_batch_put_metrics(&state->extra, key, &t->metrics, saved->attempt, ret);
  return r;
}

int dk_lookup_learn(struct dk_lookup_state *state, uint32_t task, const struct dk_digest *key,
                    const struct dk_saved *saved, struct dk_error *error) {
  struct dk_fact *fact = dk_calloc(1, sizeof *fact);
  uint32_t n = saved->result.n_outputs;
  int r;

  if (!fact) return dk_error_system(error, -ENOMEM, "keeping a result in memory");
  *fact = (struct dk_fact){.key = *key, .wall_ns = saved->result.wall_ns, .run = saved->run};
  fact->outputs = dk_memdup(saved->result.outputs, n * sizeof *fact->outputs);
  if (!fact->outputs) {
    fact_destroy(fact);
    return dk_error_system(error, -ENOMEM, "keeping a result in memory");
  }
  for (uint32_t i = 0; i < n; i++) fact->outputs[i].bytes = NULL;
  r = read_metrics(state, task, key, saved, &fact->metrics, error);
  if (r < 0) {
    fact_destroy(fact);
    return r;
  }
  fact_destroy(state->facts[task]);
  state->facts[task] = fact;
  return 0;
}

void dk_lookup_forget(struct dk_lookup_state *state, uint32_t task) {
  fact_destroy(state->facts[task]);
  state->facts[task] = NULL;
}

void dk_lookup_lose_outputs(struct dk_lookup_state *state, uint32_t task) {
  if (!state->facts[task]) return;
  state->facts[task]->is_lost = true;
  state->facts[task]->is_given_up = false;
}

int dk_lookup_decide(struct dk_lookup_state *state, uint32_t pick_task, struct dk_error *error) {
  struct dk_choice choice;
  int r = dk_decide(state->with.plan, state->facts, pick_task, &choice, error);

  if (r < 0) return r;
  struct dk_fact *fact = dk_calloc(1, sizeof *fact);
  if (!fact) return dk_error_system(error, -ENOMEM, "keeping a pick in memory");
  fact->choice = choice;
  fact_destroy(state->facts[pick_task]);
  state->facts[pick_task] = fact;
  return 0;
}

/* Keys: what a task's result can depend on, and nothing else (engine.md, "Identity and cache"; docs/architecture.md).
 *
 * In: the key format; the program's text with numbered holes; the holes' values with their types in canonical form; the
 * shell's words or that there is none; declared variables (not secrets); each input's name with its content digests in
 * order; the code's digest; the environment's id; outputs' names and paths; the number and model of gpus, when any are
 * asked for. Out: everything else. Names of tasks and axes, docs, metrics, timeouts, memory, cpus, retries, secrets,
 * `pass`, comments and places in the .dk file. */
#include "lang/plan/order.h"

#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PARTS_FEW 16 /* of most tasks: without the heap */

struct part {
  const char *prefix, *name; /* the part's name is one behind the other */
  struct dk_digest digest;
};

struct keying {
  const struct dk_plan *plan;
  const struct dk_template *tmpl;
  uint32_t row;
  const struct dk_order *order;
  struct part *parts, few[PARTS_FEW];
  uint32_t n;
  struct dk_buf scratch;
};

static void add_part(struct keying *k, const char *prefix, const char *name, const struct dk_digest *digest) {
  k->parts[k->n++] = (struct part){prefix, name, *digest};
}

static void end_part(struct keying *k, const char *prefix, const char *name, struct dk_hasher *hasher) {
  struct dk_digest digest;
  dk_hasher_get(hasher, &digest);
  add_part(k, prefix, name, &digest);
}

static void hash_pieces(struct dk_hasher *hasher, const struct dk_piece *pieces, uint32_t n) {
  dk_hasher_add_u64(hasher, n);
  for (uint32_t i = 0; i < n; i++) {
    dk_hasher_add_u64(hasher, pieces[i].hole == DK_NO_HOLE ? 0 : (uint64_t)pieces[i].hole + 1);
    dk_hasher_add_bytes(hasher, pieces[i].text ? pieces[i].text : "", pieces[i].len);
  }
}

static void digest_program(const struct dk_program *program, struct dk_digest *ret) {
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_u64(&hasher, program->is_shell);
  if (program->is_shell) hash_pieces(&hasher, program->text, program->n_text);
  dk_hasher_add_u64(&hasher, program->n_words);
  for (uint32_t i = 0; i < program->n_words; i++) {
    dk_hasher_add_u64(&hasher, program->words[i].is_whole);
    hash_pieces(&hasher, program->words[i].pieces, program->words[i].n_pieces);
  }
  dk_hasher_add_u64(&hasher, program->n_holes);
  for (uint32_t i = 0; i < program->n_holes; i++) dk_hasher_add_u64(&hasher, program->holes[i].is_raw);
  dk_hasher_get(&hasher, ret);
}

static void add_values(struct keying *k) {
  const struct dk_order_priv *priv = k->order->priv;
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_u64(&hasher, priv->n_holes);
  for (uint32_t i = 0; i < priv->n_holes; i++) {
    dk_buf_truncate(&k->scratch, 0); /* not cleared: a failure must be seen at the end, or the key is another one */
    dk_value_canonical(k->plan->values, priv->holes[i], &k->scratch);
    dk_hasher_add_bytes(&hasher, dk_buf_text(&k->scratch), k->scratch.len);
  }
  end_part(k, "values", "", &hasher);
}

static void digest_shell(const struct dk_program *program, struct dk_digest *ret) {
  uint32_t n = program->is_shell ? program->n_shell : 0;
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_u64(&hasher, n);
  for (uint32_t i = 0; i < n; i++) dk_hasher_add_text(&hasher, program->shell[i]);
  dk_hasher_get(&hasher, ret);
}

static void add_env(struct keying *k) {
  for (uint32_t i = 0; i < k->order->n_env; i++) {
    struct dk_hasher hasher;
    dk_hasher_init(&hasher);
    dk_hasher_add_text(&hasher, k->order->env_values[i]);
    end_part(k, "env ", k->order->env_names[i], &hasher);
  }
}

/* A list's digests are one part, in order. */
static void add_inputs(struct keying *k, const struct dk_digest *inputs) {
  const struct dk_order *order = k->order;
  for (uint32_t i = 0; i < order->n_inputs;) {
    struct dk_hasher hasher;
    const char *name = order->inputs[i].name;
    dk_hasher_init(&hasher);
    for (; i < order->n_inputs && order->inputs[i].name == name; i++)
      dk_hasher_add(&hasher, inputs[i].bytes, DK_DIGEST_SIZE);
    end_part(k, "input ", name, &hasher);
  }
}

static void digest_outputs(const struct dk_order *order, struct dk_digest *ret) {
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_u64(&hasher, order->n_outputs);
  for (uint32_t i = 0; i < order->n_outputs; i++) {
    dk_hasher_add_text(&hasher, order->outputs[i].name);
    dk_hasher_add_text(&hasher, order->outputs[i].path);
    dk_hasher_add_u64(&hasher, order->outputs[i].is_dir);
  }
  dk_hasher_get(&hasher, ret);
}

/* A million tasks of a template share these. */
static const struct dk_template_build *know_parts(struct keying *k) {
  struct dk_planner *planner = k->plan->priv;
  struct dk_template_build *build = &planner->builds[k->tmpl->node];
  if (build->parts.is_known) return build;
  build->parts.is_known = build->parts.has_outputs = true;
  digest_program(k->tmpl->program, &build->parts.program);
  digest_shell(k->tmpl->program, &build->parts.shell);
  for (uint32_t i = 0; i < k->tmpl->n_outputs; i++)
    build->parts.has_outputs = build->parts.has_outputs && k->tmpl->outputs[i].path.kind == DK_CELL_CONST;
  digest_outputs(k->order, &build->parts.outputs);
  return build;
}

static void add_outputs(struct keying *k, const struct dk_template_build *build) {
  struct dk_digest digest = build->parts.outputs;
  if (!build->parts.has_outputs) digest_outputs(k->order, &digest);
  add_part(k, "outputs", "", &digest);
}

static dk_value_id need(const struct keying *k, const char *name) {
  return dk_plan_need(k->plan, k->tmpl, k->row, name);
}

static void add_gpus(struct keying *k) {
  const struct dk_value *gpus = dk_value_get(k->plan->values, need(k, "gpus"));
  if (gpus->type != DK_TYPE_INT || gpus->u.i <= 0) return;
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_buf_truncate(&k->scratch, 0);
  dk_value_canonical(k->plan->values, need(k, "gpu"), &k->scratch);
  dk_hasher_add_u64(&hasher, (uint64_t)gpus->u.i);
  dk_hasher_add_bytes(&hasher, dk_buf_text(&k->scratch), k->scratch.len);
  end_part(k, "gpus", "", &hasher);
}

/* All parts, in order. The caller ends it, also after an error. */
static int make_parts(struct keying *k, const struct dk_plan *plan, uint32_t task, const struct dk_order *order,
                      const struct dk_digest *inputs, const struct dk_digest *code, const struct dk_digest *environment,
                      struct dk_error *error) {
  k->plan = plan;
  k->order = order;
  k->parts = k->few;
  k->n = 0;
  k->scratch = (struct dk_buf)DK_BUF_INIT;
  if (plan->is_pin || !order->priv || order->skip)
    return dk_error_set(error, -EINVAL, "a task without an order has no key");
  k->tmpl = dk_plan_template(plan, task, &k->row);
  size_t max = 7 + (size_t)order->n_env + order->n_inputs;
  if (max > PARTS_FEW) k->parts = dk_calloc(max, sizeof *k->parts);
  if (!k->parts) return dk_error_system(error, -ENOMEM, "computing the key of a task of %s", k->tmpl->name);
  const struct dk_template_build *build = know_parts(k);
  add_part(k, "program", "", &build->parts.program);
  add_values(k);
  add_part(k, "shell", "", &build->parts.shell);
  add_env(k);
  add_inputs(k, inputs);
  add_part(k, "code", "", code);
  add_part(k, "environment", "", environment);
  add_outputs(k, build);
  add_gpus(k);
  if (dk_buf_ok(&k->scratch)) return 0;
  return dk_error_system(error, -ENOMEM, "computing the key of a task of %s", k->tmpl->name);
}

static void end_parts(struct keying *k) {
  dk_buf_finish(&k->scratch);
  if (k->parts != k->few) dk_free(k->parts);
}

/* Parts as they are given away: names behind them in one block. */
static struct dk_key_part *copy_parts(const struct keying *k) {
  size_t room = 0;
  for (uint32_t i = 0; i < k->n; i++) room += strlen(k->parts[i].prefix) + strlen(k->parts[i].name) + 1;
  struct dk_key_part *parts = dk_calloc(1, k->n * sizeof *parts + room);
  if (!parts) return NULL;
  char *at = (char *)(parts + k->n);
  for (uint32_t i = 0; i < k->n; i++) {
    parts[i] = (struct dk_key_part){at, k->parts[i].digest};
    at = stpcpy(stpcpy(at, k->parts[i].prefix), k->parts[i].name) + 1;
  }
  return parts;
}

int dk_plan_key_parts(const struct dk_plan *plan, uint32_t task, const struct dk_order *order,
                      const struct dk_digest *inputs, const struct dk_digest *code, const struct dk_digest *environment,
                      struct dk_key_part **ret, uint32_t *ret_n, struct dk_error *error) {
  struct keying k;
  *ret = NULL;
  *ret_n = 0;
  int r = make_parts(&k, plan, task, order, inputs, code, environment, error);
  if (r == 0) {
    *ret = copy_parts(&k);
    *ret_n = *ret ? k.n : 0;
    if (!*ret) r = dk_error_system(error, -ENOMEM, "computing the key of a task of %s", k.tmpl->name);
  }
  end_parts(&k);
  return r;
}

int dk_plan_key(const struct dk_plan *plan, uint32_t task, const struct dk_order *order, const struct dk_digest *inputs,
                const struct dk_digest *code, const struct dk_digest *environment, struct dk_digest *ret,
                struct dk_error *error) {
  struct keying k;
  int r = make_parts(&k, plan, task, order, inputs, code, environment, error);
  if (r == 0) {
    struct dk_hasher hasher;
    dk_hasher_init(&hasher);
    dk_hasher_add_text(&hasher, "dk key");
    dk_hasher_add_u64(&hasher, DK_KEY_FORMAT);
    dk_hasher_add_u64(&hasher, k.n);
    for (uint32_t i = 0; i < k.n; i++) {
      size_t prefix = strlen(k.parts[i].prefix), name = strlen(k.parts[i].name);
      dk_hasher_add_u64(&hasher, prefix + name);
      dk_hasher_add(&hasher, k.parts[i].prefix, prefix);
      dk_hasher_add(&hasher, k.parts[i].name, name);
      dk_hasher_add(&hasher, k.parts[i].digest.bytes, DK_DIGEST_SIZE);
    }
    dk_hasher_get(&hasher, ret);
  }
  end_parts(&k);
  return r;
}

void dk_plan_metrics_digest(const struct dk_plan *plan, uint32_t template_index, struct dk_digest *ret) {
  assert(template_index < plan->n_templates);
  const struct dk_template *tmpl = &plan->templates[template_index];
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, "dk metrics 1");
  dk_hasher_add_u64(&hasher, tmpl->n_metrics);
  for (uint32_t i = 0; i < tmpl->n_metrics; i++) {
    const struct dk_metric *metric = &tmpl->metrics[i];
    dk_hasher_add_text(&hasher, metric->name);
    dk_hasher_add_u64(&hasher, metric->kind);
    dk_hasher_add_text(&hasher, metric->path);
    dk_hasher_add_text(&hasher, metric->pattern);
  }
  dk_hasher_get(&hasher, ret);
}

/* Orders: one task as it is handed out. See plan.h.
 *
 * Values that are known at plan time are looked up; late ones are evaluated by the plan's own evaluator, whose values
 * are hash-consed, so that memory grows with distinct values only. All else lives in the order's own arena. */
#include "lang/plan/order.h"

#include "lang/base/alloc.h"
#include "lang/plan/quote.h"

#include <errno.h>
#include <string.h>

#define ORDER_FIRST                                                                                                    \
  960 /* bytes: enough for most orders, little to clear, and with its head still in malloc's quick lists */

/* --- the program --- */

struct texts {
  const char **items;
  size_t *lens;
  uint32_t n;
};

static int hole_texts(struct dk_ordering *o, const struct dk_hole *hole, dk_value_id value, struct texts *ret) {
  struct dk_values *values = o->planner->values;
  bool is_list = dk_value_get(values, value)->type == DK_TYPE_LIST;
  if (is_list && !hole->is_list)
    return dk_ordering_fail(o, "`%s` is a list, and the plan took it for one text; join(xs, \" \") makes one of it",
                            hole->source);
  ret->n = is_list ? dk_value_get(values, value)->len : 1;
  ret->items = dk_arena_array(o->arena, const char *, ret->n + 1);
  ret->lens = dk_arena_array(o->arena, size_t, ret->n + 1);
  for (uint32_t i = 0; i < ret->n; i++) {
    int r = dk_ordering_text(o, is_list ? dk_value_item(values, value, i) : value, hole->source, &ret->items[i],
                             &ret->lens[i]);
    if (r < 0) return r;
  }
  return 0;
}

static int eval_holes(struct dk_ordering *o, struct dk_order_priv *priv, struct texts *texts) {
  const struct dk_program *program = o->tmpl->program;
  priv->holes = dk_arena_array(o->arena, dk_value_id, program->n_holes + 1);
  priv->n_holes = program->n_holes;
  for (uint32_t i = 0; i < program->n_holes; i++) {
    int r = dk_ordering_cell(o, &program->holes[i].cell, &priv->holes[i]);
    if (r == 0) r = hole_texts(o, &program->holes[i], priv->holes[i], &texts[i]);
    if (r < 0) return r;
  }
  return 0;
}

/* dk_1='a' or dk_1=('a' 'b'), a line each. */
static void add_prelude(struct dk_buf *out, uint32_t number, const struct texts *texts, bool is_list) {
  dk_buf_add_text(out, "dk_");
  dk_buf_add_int(out, number);
  dk_buf_add_text(out, is_list ? "=(" : "=");
  for (uint32_t i = 0; i < texts->n; i++) {
    if (i) dk_buf_add_char(out, ' ');
    dk_quote_value(out, texts->items[i], texts->lens[i]);
  }
  dk_buf_add_text(out, is_list ? ")\n" : "\n");
}

/* The heap text goes into the order's arena; when memory is short the buffer must not be lost, so it is the
 * evaluator's. */
static const char *keep(struct dk_ordering *o, struct dk_buf *text) {
  if (!dk_buf_ok(text)) longjmp(*o->arena->on_oom, 1);
  const char *copy = dk_arena_strndup(o->arena, dk_buf_text(text), text->len);
  dk_buf_finish(text);
  return copy;
}

static void make_script(struct dk_ordering *o, const struct texts *texts) {
  const struct dk_program *program = o->tmpl->program;
  struct dk_buf *out = dk_planner_text(o->planner);
  for (uint32_t i = 0; i < program->n_holes; i++)
    if (!program->holes[i].is_raw) add_prelude(out, i + 1, &texts[i], program->holes[i].is_list);
  for (uint32_t i = 0; i < program->n_script; i++) {
    const struct dk_piece *piece = &program->script[i];
    if (piece->hole == DK_NO_HOLE) dk_buf_add(out, piece->text, piece->len);
    for (uint32_t k = 0; piece->hole != DK_NO_HOLE && k < texts[piece->hole].n; k++) {
      if (k) dk_buf_add_char(out, ' ');
      dk_buf_add(out, texts[piece->hole].items[k], texts[piece->hole].lens[k]);
    }
  }
  o->order->script = keep(o, out);
  o->order->argv = program->shell;
  o->order->n_argv = program->n_shell;
}

static const char *join_pieces(struct dk_ordering *o, const struct dk_run_word *word, const struct texts *texts) {
  struct dk_buf *out = dk_planner_text(o->planner);
  for (uint32_t i = 0; i < word->n_pieces; i++) {
    const struct dk_piece *piece = &word->pieces[i];
    if (piece->hole == DK_NO_HOLE)
      dk_buf_add(out, piece->text, piece->len);
    else if (texts[piece->hole].n)
      dk_buf_add(out, texts[piece->hole].items[0], texts[piece->hole].lens[0]);
  }
  return keep(o, out);
}

static int make_argv(struct dk_ordering *o, const struct texts *texts) {
  const struct dk_program *program = o->tmpl->program;
  struct dk_order *order = o->order;
  uint32_t n = 0;
  for (uint32_t i = 0; i < program->n_words; i++)
    n += program->words[i].is_whole ? texts[program->words[i].pieces[0].hole].n : 1;
  order->argv = dk_arena_array(o->arena, const char *, n + 1);
  for (uint32_t i = 0; i < program->n_words; i++) {
    const struct dk_run_word *word = &program->words[i];
    if (!word->is_whole) order->argv[order->n_argv++] = join_pieces(o, word, texts);
    for (uint32_t k = 0; word->is_whole && k < texts[word->pieces[0].hole].n; k++)
      order->argv[order->n_argv++] = texts[word->pieces[0].hole].items[k];
  }
  if (order->n_argv == 0 || !order->argv[0][0]) return dk_ordering_fail(o, "`run` names no program");
  return 0;
}

/* --- the rest --- */

static int make_env(struct dk_ordering *o) {
  const struct dk_template *tmpl = o->tmpl;
  struct dk_order *order = o->order;
  order->env_names = dk_arena_array(o->arena, const char *, tmpl->n_env + 1);
  order->env_values = dk_arena_array(o->arena, const char *, tmpl->n_env + 1);
  order->secrets = dk_arena_array(o->arena, const char *, tmpl->n_env + 1);
  order->secrets_from = dk_arena_array(o->arena, const char *, tmpl->n_env + 1);
  for (uint32_t i = 0; i < tmpl->n_env; i++) {
    const struct dk_env_var *var = &tmpl->env[i];
    if (var->is_secret) {
      order->secrets[order->n_secrets] = var->name;
      order->secrets_from[order->n_secrets++] = var->from;
      continue;
    }
    dk_value_id value;
    size_t len;
    int r = dk_ordering_cell(o, &var->cell, &value);
    if (r == 0) r = dk_ordering_text(o, value, var->name, &order->env_values[order->n_env], &len);
    if (r < 0) return r;
    order->env_names[order->n_env++] = var->name;
  }
  order->pass = tmpl->pass;
  order->n_pass = tmpl->n_pass;
  return 0;
}

static void make_outputs(struct dk_ordering *o) {
  const struct dk_template *tmpl = o->tmpl;
  struct dk_order *order = o->order;
  order->outputs = dk_arena_array(o->arena, struct dk_order_output, tmpl->n_outputs + 1);
  order->n_outputs = tmpl->n_outputs;
  for (uint32_t i = 0; i < tmpl->n_outputs; i++) {
    const struct dk_output *output = &tmpl->outputs[i];
    order->outputs[i] = (struct dk_order_output){
        output->name, dk_value_str(o->planner->values, dk_cell_value(&output->path, o->row))->text, output->is_dir};
  }
}

static void make_keep_files(struct dk_ordering *o) {
  const struct dk_template *tmpl = o->tmpl;
  struct dk_order *order = o->order;
  order->keep_files = dk_arena_array(o->arena, const char *, tmpl->n_metrics + 1);
  for (uint32_t i = 0; i < tmpl->n_metrics; i++) {
    const char *path = tmpl->metrics[i].path;
    bool is_there = !path;
    for (uint32_t k = 0; k < order->n_keep_files && !is_there; k++) is_there = strcmp(order->keep_files[k], path) == 0;
    if (!is_there) order->keep_files[order->n_keep_files++] = path;
  }
}

/* DK_NULL: it is not said. */
static dk_value_id need_id(struct dk_ordering *o, const char *name) {
  dk_value_id needs = dk_cell_value(&o->tmpl->needs, o->row), value;
  if (needs == DK_NULL) return DK_NULL;
  const struct dk_str *str = dk_intern_text(o->planner->checked->strs, name);
  return dk_value_field(o->planner->values, needs, str, &value) ? value : DK_NULL;
}

static const struct dk_value *need_value(struct dk_ordering *o, const char *name) {
  return dk_value_get(o->planner->values, need_id(o, name));
}

static int64_t need(struct dk_ordering *o, const char *name) {
  const struct dk_value *v = need_value(o, name);
  return v && (v->type == DK_TYPE_INT || v->type == DK_TYPE_SIZE) ? v->u.i : 0;
}

static void fill_needs(struct dk_ordering *o, struct dk_plan_needs *ret) {
  int64_t cpus = need(o, "cpus"), gpus = need(o, "gpus");
  dk_value_id model = need_id(o, "gpu");
  *ret = (struct dk_plan_needs){.task = o->task, .memory = (uint64_t)need(o, "memory")};
  ret->cpus = cpus > UINT16_MAX ? UINT16_MAX : cpus > 0 ? (uint32_t)cpus : 1;
  ret->gpus = gpus > UINT16_MAX ? UINT16_MAX : gpus > 0 ? (uint32_t)gpus : 0;
  if (model != DK_NULL) ret->gpu = dk_value_str(o->planner->values, model)->text;
}

static bool is_without_sandbox(struct dk_ordering *o) {
  const struct dk_value *v = need_value(o, "sandbox");
  return v && v->type == DK_TYPE_BOOL && v->u.i == 0;
}

static int make_when(struct dk_ordering *o) {
  dk_value_id value;
  if (o->tmpl->when.kind == DK_CELL_NONE) return 0;
  int r = dk_ordering_cell(o, &o->tmpl->when, &value);
  if (r < 0) return r;
  const struct dk_value *v = dk_value_get(o->planner->values, value);
  if (v->type != DK_TYPE_BOOL)
    return dk_ordering_fail(o, "`when` wants true or false, not %s", dk_type_name((enum dk_type)v->type));
  o->order->skip = v->u.i == 0;
  return 0;
}

static int fill(struct dk_ordering *o, struct dk_order_priv *priv) {
  const struct dk_program *program = o->tmpl->program;
  struct texts *texts = dk_arena_array(o->arena, struct texts, program->n_holes + 1);
  int r = make_when(o);
  if (r < 0 || o->order->skip) return r;
  make_outputs(o);
  r = dk_ordering_inputs(o);
  if (r == 0) r = eval_holes(o, priv, texts);
  if (r == 0) r = make_env(o);
  if (r == 0 && !program->is_shell) r = make_argv(o, texts);
  if (r < 0) return r;
  if (program->is_shell) make_script(o, texts);
  make_keep_files(o);
  if (o->tmpl->timeout.kind != DK_CELL_NONE)
    o->order->timeout_ns = (uint64_t)dk_value_get(o->planner->values, dk_cell_value(&o->tmpl->timeout, o->row))->u.i;
  struct dk_plan_needs needs;
  fill_needs(o, &needs);
  o->order->cpus = needs.cpus;
  o->order->memory = needs.memory;
  o->order->gpus = needs.gpus;
  o->order->gpu = needs.gpu;
  o->order->no_sandbox = is_without_sandbox(o);
  return 0;
}

int dk_plan_order(const struct dk_plan *plan, uint32_t task, const struct dk_late *late, struct dk_order *ret,
                  struct dk_error *error) {
  *ret = (struct dk_order){0};
  if (plan->is_pin || !plan->priv)
    return dk_error_set(error, -EINVAL, "a pinned plan gives no orders; load the run's file again");
  uint32_t row;
  const struct dk_template *tmpl = dk_plan_template(plan, task, &row);
  if (tmpl->kind != DK_NODE_TASK) return dk_error_set(error, -EINVAL, "%s is a pick: it runs nothing", tmpl->name);
  struct dk_order_priv *priv = dk_calloc(1, sizeof *priv);
  if (!priv) return dk_error_system(error, -ENOMEM, "preparing a task of %s", tmpl->name);
  ret->priv = priv;
  dk_arena_init_small(&priv->arena, &priv->oom, ORDER_FIRST);
  struct dk_planner *planner = plan->priv;
  struct dk_ordering o = {.plan = plan,
                          .planner = planner,
                          .build = &planner->builds[tmpl->node],
                          .tmpl = tmpl,
                          .task = task,
                          .row = row,
                          .late = late,
                          .order = ret,
                          .arena = &priv->arena,
                          .error = error};
  jmp_buf *const was = planner->arena->on_oom;
  int r;
  planner->arena->on_oom = &priv->oom;
  planner->eval->steps = planner->values->elements = 0; /* limits are for one order, as for one compilation */
  if (setjmp(priv->oom) == 0)
    r = fill(&o, priv);
  else
    r = dk_error_system(error, -ENOMEM, "preparing a task of %s", tmpl->name);
  planner->arena->on_oom = was;
  dk_buf_finish(&planner->eval->scratch);
  if (r < 0) dk_order_finish(ret);
  return r;
}

static bool each_needs(struct dk_ordering *o, dk_plan_needs_fn *visit, void *ctx) {
  struct dk_plan_needs needs;
  dk_value_id last = DK_NULL;
  uint32_t rows = o->tmpl->needs.kind == DK_CELL_COLUMN ? o->tmpl->points.rows : o->tmpl->points.rows > 0;
  for (o->row = 0; o->row < rows; o->row++, o->task++) {
    dk_value_id value = dk_cell_value(&o->tmpl->needs, o->row);
    if (value == last) continue;
    last = value;
    fill_needs(o, &needs);
    if (!visit(ctx, &needs)) return false;
  }
  return true;
}

int dk_plan_each_needs(const struct dk_plan *plan, dk_plan_needs_fn *visit, void *ctx) {
  struct dk_planner *planner = plan->priv;
  jmp_buf *const was = planner->arena->on_oom;
  jmp_buf oom;
  planner->arena->on_oom = &oom;
  int r = setjmp(oom) == 0 ? 0 : -ENOMEM;
  bool goes_on = r == 0;
  for (uint32_t i = 0; goes_on && i < plan->n_templates; i++) {
    struct dk_ordering o = {
        .plan = plan, .planner = planner, .tmpl = &plan->templates[i], .task = plan->graph.nodes[i].first};
    if (o.tmpl->kind == DK_NODE_TASK) goes_on = each_needs(&o, visit, ctx);
  }
  planner->arena->on_oom = was;
  return r;
}

void dk_order_finish(struct dk_order *order) {
  struct dk_order_priv *priv = order->priv;
  if (priv) dk_arena_finish(&priv->arena);
  dk_free(priv);
  *order = (struct dk_order){0};
}

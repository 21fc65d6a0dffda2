/* Inputs whose content differs: which file, or whose output. See why_private.h. */
#include "engine/drive/why_private.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define LISTED 3u /* producers that are named */

static dk_value_id cell_value(const struct dk_cell *cell, uint32_t row) {
  if (cell->kind == DK_CELL_CONST) return cell->value;
  return cell->kind == DK_CELL_COLUMN ? dk_column_value(&cell->column, row) : DK_NULL;
}

/* Of the entries of one name, the one that stands at the row. */
static const struct dk_input *find_input(const struct dk_why_side *side, const char *name) {
  uint32_t row, first;
  const uint32_t *list;
  const struct dk_template *tmpl = dk_plan_template(side->plan, side->task, &row);
  const struct dk_graph_node *node = &side->plan->graph.nodes[tmpl->node];

  for (uint32_t i = 0; i < tmpl->n_inputs; i++) {
    const struct dk_input *input = &tmpl->inputs[i];
    bool has_edge = dk_input_is_output(input->kind) || input->kind == DK_INPUT_RECORDS;
    if (strcmp(input->name, name) != 0) continue;
    if (has_edge ? dk_edge_rows(&side->plan->graph, &node->edges[input->edge], row, &first, &list) > 0
                 : cell_value(&input->cell, row) != DK_NULL)
      return input;
  }
  return NULL;
}

/* --- files of the repository --- */

/* One path. What git does not know is only said to have changed. */
static int tell_file(struct dk_why_book *book, const struct dk_why_side *before, const struct dk_why_side *now,
                     const char *path, bool is_alone, struct dk_why_answer *answer) {
  struct dk_code_side was = {dk_why_side_code(book, before), "", &path, 1};
  struct dk_code_side is = {dk_why_side_code(book, now), "", &path, 1};
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT;
  bool told;
  int r = dk_why_files(&was, &is, answer, &told);

  if (r < 0 || told || !is_alone) return r;
  dk_buf_printf(&subject, "`%s`", path);
  dk_buf_printf(&text, "`%s` changed", path);
  if (!dk_buf_ok(&subject) || !dk_buf_ok(&text)) return -ENOMEM;
  return dk_why_add(answer, NULL, 0, dk_buf_text(&subject), dk_buf_text(&text));
}

static int tell_files(struct dk_why_book *book, const struct dk_why_side *before, const struct dk_why_side *now,
                      const struct dk_input *input, struct dk_why_answer *answer) {
  const struct dk_values *values = now->plan->values;
  uint32_t row, told = answer->n_reasons;
  (void)dk_plan_template(now->plan, now->task, &row);
  dk_value_id value = cell_value(&input->cell, row);
  const struct dk_value *v = dk_value_get(values, value);

  if (v->type == DK_TYPE_STRING) return tell_file(book, before, now, dk_value_str(values, value)->text, true, answer);
  for (uint32_t i = 0; v->type == DK_TYPE_LIST && i < v->len && answer->n_reasons - told < LISTED; i++) {
    dk_value_id item = dk_value_item(values, value, i);
    if (dk_value_get(values, item)->type != DK_TYPE_STRING) continue;
    int r = tell_file(book, before, now, dk_value_str(values, item)->text, false, answer);
    if (r < 0) return r;
  }
  return 0;
}

/* --- outputs of other tasks --- */

/* The rows that the edge of an input needs, and the output's task for each (picks resolved); UINT32_MAX: not known. */
struct producers {
  const struct dk_why_side *side;
  const struct dk_input *input;
  const struct dk_edge *edge;
  uint32_t n, first;
  const uint32_t *list;
};

static struct producers producers_of(const struct dk_why_side *side, const struct dk_input *input) {
  struct producers p = {.side = side, .input = input};
  uint32_t row;
  const struct dk_template *tmpl = dk_plan_template(side->plan, side->task, &row);
  p.edge = &side->plan->graph.nodes[tmpl->node].edges[input->edge];
  p.n = dk_edge_rows(&side->plan->graph, p.edge, row, &p.first, &p.list);
  return p;
}

static uint32_t producer(struct dk_why_book *book, const struct producers *p, uint32_t i) {
  const struct dk_plan *plan = p->side->plan;
  uint32_t row = p->list ? p->list[i] : p->first + i;
  uint32_t task = plan->graph.nodes[p->edge->producer].first + row;
  struct dk_choice choice;

  if (!p->input->via_pick) return task;
  if (p->side->lookup) {
    if (!p->side->lookup->facts[task]) return UINT32_MAX;
    choice = p->side->lookup->facts[task]->choice;
  } else if (dk_store_get_choice(book->with.store, p->side->run->number, task, &choice, NULL) < 0) {
    return UINT32_MAX;
  }
  const struct dk_graph_node *from = &plan->graph.nodes[plan->templates[p->edge->producer].from];
  return choice.row < from->rows ? from->first + choice.row : UINT32_MAX;
}

/* What the consumer got of the task: one output, or with RECORDS all of them and its metrics, by its key. */
static bool given(struct dk_why_book *book, const struct producers *p, uint32_t task, struct dk_digest *ret) {
  bool by_key = p->input->kind == DK_INPUT_RECORDS;
  struct dk_task_record record;
  struct dk_saved saved;

  if (task == UINT32_MAX) return false;
  if (p->side->lookup) {
    const struct dk_fact *fact = p->side->lookup->facts[task];
    if (!fact || (!by_key && !fact->outputs)) return false;
    *ret = by_key ? fact->key : fact->outputs[p->input->output].digest;
    return true;
  }
  if (dk_store_get_task(book->with.store, p->side->run->number, task, &record, NULL) < 0) return false;
  *ret = record.key;
  if (by_key) return true;
  if (dk_store_get_saved(book->with.store, &record.key, &saved, NULL) < 0) return false;
  bool has = p->input->output < saved.result.n_outputs;
  if (has) *ret = saved.result.outputs[p->input->output].digest;
  dk_saved_finish(&saved);
  return has;
}

static void add_owner(struct dk_buf *out, const struct producers *p, uint32_t task) {
  const struct dk_plan *plan = p->side->plan;
  dk_autobuf name = DK_BUF_INIT;
  dk_plan_task_name(plan, task, &name);
  if (p->input->kind == DK_INPUT_RECORDS)
    dk_buf_printf(out, "the result of `%s`", dk_buf_text(&name));
  else
    dk_buf_printf(out, "output `%s` of `%s`", plan->templates[p->input->producer].outputs[p->input->output].name,
                  dk_buf_text(&name));
  out->failed |= name.failed;
}

static int tell_producer(const struct producers *p, uint32_t task, const char *words, struct dk_why_answer *answer) {
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT;
  add_owner(&subject, p, task);
  dk_buf_printf(&text, "%s %s", dk_buf_text(&subject), words);
  if (!dk_buf_ok(&subject) || !dk_buf_ok(&text)) return -ENOMEM;
  return dk_why_add(answer, NULL, 0, dk_buf_text(&subject), dk_buf_text(&text));
}

static int tell_more(uint32_t n, struct dk_why_answer *answer) {
  dk_autobuf text = DK_BUF_INIT;
  dk_buf_printf(&text, "%u more outputs", n);
  return dk_buf_ok(&text) ? dk_why_add(answer, NULL, 0, dk_buf_text(&text), dk_buf_text(&text)) : -ENOMEM;
}

/* The task that a pick chose is another one. */
static int tell_choice(const struct producers *was, const struct producers *is, uint32_t old, uint32_t task,
                       struct dk_why_answer *answer) {
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT, before = DK_BUF_INIT, now = DK_BUF_INIT;
  const struct dk_template *pick = &is->side->plan->templates[is->edge->producer];
  dk_plan_task_name(was->side->plan, old, &before);
  dk_plan_task_name(is->side->plan, task, &now);
  dk_buf_printf(&subject, "the choice of `%s`", pick->name);
  dk_buf_printf(&text, "`%s` chose `%s`, and now `%s`", pick->name, dk_buf_text(&before), dk_buf_text(&now));
  if (!dk_buf_ok(&subject) || !dk_buf_ok(&text) || before.failed || now.failed) return -ENOMEM;
  return dk_why_add(answer, pick->path, pick->line, dk_buf_text(&subject), dk_buf_text(&text));
}

/* The producer of that name then; UINT32_MAX: there was none. A pick's rows correspond by their numbers. */
static uint32_t find_old(struct dk_why_book *book, const struct producers *was, const struct producers *is, uint32_t i,
                         uint32_t task, int *ret_r) {
  uint32_t old = dk_why_task_of(was->side->run, is->side->plan, task, ret_r);
  uint32_t base = was->side->plan->graph.nodes[was->edge->producer].first;

  if (was->input->via_pick) return i < was->n && producer(book, was, i) == old ? old : UINT32_MAX;
  if (old == UINT32_MAX || old < base) return UINT32_MAX;
  if (!was->list) return old - base >= was->first && old - base - was->first < was->n ? old : UINT32_MAX;
  uint32_t low = 0, high = was->n; /* lists are in grid order */
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (was->list[middle] < old - base)
      low = middle + 1;
    else
      high = middle;
  }
  return low < was->n && was->list[low] == old - base ? old : UINT32_MAX;
}

static int tell_outputs(struct dk_why_book *book, const struct producers *was, const struct producers *is,
                        struct dk_why_answer *answer) {
  uint32_t told = 0, found = 0;
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < is->n; i++) {
    uint32_t task = producer(book, is, i), old = UINT32_MAX;
    struct dk_digest x, y;
    const char *words = NULL;
    if (task == UINT32_MAX) continue;
    old = find_old(book, was, is, i, task, &r);
    if (r < 0) return r;
    if (old == UINT32_MAX && is->n == 1 && was->n == 1 && (old = producer(book, was, 0)) != UINT32_MAX)
      return is->input->via_pick ? tell_choice(was, is, old, task, answer)
                                 : tell_producer(is, task, "is what it comes from now", answer);
    found += old != UINT32_MAX;
    if (old == UINT32_MAX)
      words = "is new";
    else if (given(book, was, old, &x) && given(book, is, task, &y) && !dk_digest_equal(&x, &y))
      words = "differs";
    if (words && told++ < LISTED) r = tell_producer(is, task, words, answer);
  }
  if (r == 0 && told > LISTED) r = tell_more(told - LISTED, answer);
  if (r == 0 && found < was->n && is->n != 1) {
    dk_autobuf text = DK_BUF_INIT;
    dk_buf_printf(&text, "%u of the outputs that input `%s` gathered", was->n - found, is->input->name);
    size_t len = text.len;
    dk_buf_add_text(&text, " no longer count");
    dk_autofree char *subject = dk_strndup(dk_buf_text(&text), len);
    r = dk_buf_ok(&text) && subject ? dk_why_add(answer, NULL, 0, subject, dk_buf_text(&text)) : -ENOMEM;
  }
  return r;
}

int dk_why_input(struct dk_why_book *book, const struct dk_why_side *before, const struct dk_why_side *now,
                 const char *name, struct dk_why_answer *answer) {
  const struct dk_input *was = find_input(before, name), *is = find_input(now, name);

  if (!was || !is || was->kind != is->kind) return 0;
  switch (is->kind) {
  case DK_INPUT_FILE: return tell_files(book, before, now, is, answer);
  case DK_INPUT_OUTPUT:
  case DK_INPUT_GATHER:
  case DK_INPUT_RECORDS: {
    struct producers old = producers_of(before, was), new = producers_of(now, is);
    return tell_outputs(book, &old, &new, answer);
  }
  case DK_INPUT_WRITE:
  case DK_INPUT_MOUNT:
  case DK_INPUT_URL: return 0;
  }
  return 0;
}

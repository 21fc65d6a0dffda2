/* Inputs of an order: which stand at the row, what they are, where they are put. See order.h.
 *
 * Places: .dk/inputs/NAME/BASENAME; of lists .dk/inputs/NAME/INDEX/BASENAME; of gather(u) .dk/inputs/NAME/NAME.json. A
 * mount stays where it is. */
#include "lang/plan/order.h"

#include "lang/plan/write.h"

#include <string.h>

struct list {
  struct dk_ordering *o;
  uint32_t cap, input;
};

static struct dk_order_input *add(struct list *list, const struct dk_input *input) {
  struct dk_order *order = list->o->order;
  uint32_t at = order->n_inputs;
  dk_arena_push(list->o->arena, order->inputs, order->n_inputs, list->cap) =
      (struct dk_order_input){.name = input->name, .kind = input->kind, .input = list->input};
  return &order->inputs[at];
}

/* The last part of a path, whole if there is none. */
static const char *place_of(struct dk_ordering *o, const char *name, const char *path, bool is_list, uint32_t index) {
  size_t end = strlen(path);
  while (end > 1 && path[end - 1] == '/') end--;
  size_t start = end;
  while (start > 0 && path[start - 1] != '/') start--;
  int len = (int)(end - start);
  if (is_list) return dk_arena_printf(o->arena, ".dk/inputs/%s/%u/%.*s", name, index, len, path + start);
  return dk_arena_printf(o->arena, ".dk/inputs/%s/%.*s", name, len, path + start);
}

static void add_files(struct list *list, const struct dk_input *input, dk_value_id value) {
  struct dk_ordering *o = list->o;
  struct dk_values *values = o->planner->values;
  bool is_list = dk_value_get(values, value)->type == DK_TYPE_LIST;
  uint32_t n = is_list ? dk_value_get(values, value)->len : 1;
  for (uint32_t i = 0; i < n; i++) {
    const char *path = dk_value_str(values, is_list ? dk_value_item(values, value, i) : value)->text;
    struct dk_order_input *added = add(list, input);
    added->path = path;
    added->place = place_of(o, input->name, path, is_list, i);
  }
}

static int add_outputs(struct list *list, const struct dk_input *input) {
  struct dk_ordering *o = list->o;
  const struct dk_edge *edge = &o->plan->graph.nodes[o->tmpl->node].edges[input->edge];
  const struct dk_template *target = &o->plan->templates[edge->producer], *maker = &o->plan->templates[input->producer];
  const uint32_t *rows;
  uint32_t first, n = dk_edge_rows(&o->plan->graph, edge, o->row, &first, &rows);
  if (input->kind == DK_INPUT_RECORDS && n) {
    struct dk_order_input *added = add(list, input);
    added->place = dk_arena_printf(o->arena, ".dk/inputs/%s/%s.json", input->name, input->name);
    return 0;
  }
  for (uint32_t i = 0; i < n; i++) {
    uint32_t row = rows ? rows[i] : first + i;
    if (input->via_pick) {
      int r = dk_ordering_chosen(o, target, row, &row);
      if (r < 0) return r;
    }
    const char *path = dk_value_str(o->planner->values, dk_cell_value(&maker->outputs[input->output].path, row))->text;
    struct dk_order_input *added = add(list, input);
    added->task = o->plan->graph.nodes[maker->node].first + row;
    added->output = input->output;
    added->place = place_of(o, input->name, path, input->kind == DK_INPUT_GATHER, i);
  }
  return 0;
}

static int add_write(struct list *list, const struct dk_input *input, dk_value_id call) {
  struct dk_ordering *o = list->o;
  struct dk_values *values = o->planner->values;
  if (dk_value_get(values, call)->type != DK_TYPE_CALL)
    return dk_ordering_fail(o, "input `%s` is no write(...)", input->name);
  dk_value_id name = dk_value_item(values, call, 0);
  if (dk_value_get(values, name)->type != DK_TYPE_STRING || strchr(dk_value_str(values, name)->text, '/') ||
      dk_value_str(values, name)->text[0] == '.')
    return dk_ordering_fail(o, "input `%s`: write(name, value) wants a plain file name", input->name);
  const char *text = dk_value_str(values, name)->text;
  struct dk_buf *bytes = dk_planner_text(o->planner);
  const char *fault = dk_plan_write(values, text, dk_value_item(values, call, 1), bytes);
  if (fault) {
    dk_buf_finish(bytes);
    return dk_ordering_fail(o, "input `%s` cannot be written: %s", input->name, fault);
  }
  if (!dk_buf_ok(bytes)) longjmp(*o->arena->on_oom, 1);
  const char *copy = dk_arena_strndup(o->arena, dk_buf_text(bytes), bytes->len);
  size_t len = bytes->len;
  dk_buf_finish(bytes);
  struct dk_order_input *added = add(list, input);
  added->bytes = copy;
  added->n_bytes = len;
  added->place = place_of(o, input->name, text, false, 0);
  return 0;
}

static void add_mount(struct list *list, const struct dk_input *input, dk_value_id call) {
  struct dk_values *values = list->o->planner->values;
  struct dk_order_input *added = add(list, input);
  added->path = added->place = dk_value_str(values, dk_value_item(values, call, 0))->text;
  added->version = dk_value_str(values, dk_value_item(values, call, 1))->text;
}

int dk_ordering_inputs(struct dk_ordering *o) {
  struct list list = {.o = o};
  for (uint32_t i = 0; i < o->tmpl->n_inputs; i++) {
    const struct dk_input *input = &o->tmpl->inputs[i];
    dk_value_id value = DK_NULL;
    int r = dk_ordering_cell(o, &input->cell, &value);
    if (r < 0) return r;
    list.input = i;
    switch (input->kind) {
    case DK_INPUT_OUTPUT:
    case DK_INPUT_GATHER:
    case DK_INPUT_RECORDS: r = add_outputs(&list, input); break;
    case DK_INPUT_FILE:
      if (value != DK_NULL) add_files(&list, input, value);
      break;
    case DK_INPUT_WRITE:
      if (value != DK_NULL) r = add_write(&list, input, value);
      break;
    case DK_INPUT_MOUNT:
      if (value != DK_NULL) add_mount(&list, input, value);
      break;
    case DK_INPUT_URL: break;
    }
    if (r < 0) return r;
  }
  return 0;
}

static bool is_list(struct dk_ordering *o, const struct dk_order_input *input) {
  const struct dk_input *declared = &o->tmpl->inputs[input->input];
  if (declared->kind == DK_INPUT_GATHER) return true;
  return declared->kind == DK_INPUT_FILE &&
         dk_value_get(o->planner->values, dk_cell_value(&declared->cell, o->row))->type == DK_TYPE_LIST;
}

dk_value_id dk_ordering_path(struct dk_ordering *o, enum dk_binding_kind kind, const char *name) {
  struct dk_values *values = o->planner->values;
  if (kind == DK_BIND_OUTPUTS) {
    uint32_t at = dk_template_find_output(o->tmpl, name);
    return at == UINT32_MAX ? DK_NULL : dk_cell_value(&o->tmpl->outputs[at].path, o->row);
  }
  const struct dk_order *order = o->order;
  dk_value_id *items = dk_arena_array(o->arena, dk_value_id, order->n_inputs + 1);
  uint32_t n = 0;
  bool lists = false;
  for (uint32_t i = 0; i < order->n_inputs; i++) {
    if (strcmp(order->inputs[i].name, name) != 0) continue;
    lists = is_list(o, &order->inputs[i]);
    items[n++] = dk_value_text(values, order->inputs[i].place, strlen(order->inputs[i].place));
  }
  if (lists) return dk_value_list(values, items, n);
  return n ? items[0] : DK_NULL;
}

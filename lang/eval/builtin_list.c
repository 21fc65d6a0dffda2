/* Built-in functions of lists and records. */
#include "lang/eval/internal.h"

#include <inttypes.h>
#include <string.h>

static struct dk_arena *arena_of(const struct dk_call *call) {
  return call->ev->eval->checked->arena;
}

static dk_value_id item(const struct dk_call *call, uint32_t arg, uint32_t i) {
  return dk_value_item(call->ev->values, call->args[arg], i);
}

static dk_value_id *room(struct dk_call *call, uint64_t n) {
  if (!dk_ev_elements(call->ev, call->expr, n > INT64_MAX ? INT64_MAX : (int64_t)n, "this list")) return NULL;
  return dk_arena_array(arena_of(call), dk_value_id, n + 1);
}

bool dk_fn_len(struct dk_call *call) {
  const struct dk_value *value = dk_value_get(call->ev->values, call->args[0]);
  int64_t n = value->len;
  if (value->type == DK_TYPE_STRING) {
    const struct dk_str *text = dk_value_str(call->ev->values, call->args[0]);
    n = 0;
    for (uint32_t i = 0; i < text->len; n++) {
      unsigned size = dk_utf8_len(text->text + i, text->len - i);
      i += size ? size : 1;
    }
  } else if (value->type != DK_TYPE_LIST && value->type != DK_TYPE_RECORD) {
    return dk_call_wants(call, 0, "a list, record or text");
  }
  *call->ret = dk_value_int(call->ev->values, n);
  return true;
}

bool dk_fn_sum(struct dk_call *call) {
  const struct dk_value *list;
  if (!dk_call_list(call, 0, &list) || !dk_ev_step(call->ev, call->expr, list->len)) return false;
  uint32_t n = list->len;
  struct dk_num sums[2], next; /* a dk_num may not be copied, so the sum goes to and fro */
  dk_num_set(call->ev, &sums[0], n ? item(call, 0, 0) : dk_value_int(call->ev->values, 0));
  for (uint32_t i = 1; i < n; i++) {
    dk_num_set(call->ev, &next, item(call, 0, i));
    if (!dk_ev_arith(call->ev, call->expr, DK_OP_ADD, &sums[(i - 1) & 1], &next, &sums[i & 1])) return false;
  }
  return dk_num_value(call->ev, call->expr, &sums[n ? (n - 1) & 1 : 0], call->ret);
}

static bool extreme(struct dk_call *call, int sign) {
  const struct dk_value *only = dk_value_get(call->ev->values, call->args[0]);
  bool of_list = call->n == 1 && only->type == DK_TYPE_LIST;
  uint32_t n = of_list ? only->len : call->n;
  if (n == 0) {
    dk_ev_error(call->ev, DK_E0309, dk_call_span(call, 0), "an empty list has no %s",
                sign < 0 ? "smallest element" : "largest element");
    return false;
  }
  if (!dk_ev_step(call->ev, call->expr, n)) return false;
  dk_value_id best = DK_NULL;
  for (uint32_t i = 0; i < n; i++) {
    dk_value_id next = of_list ? item(call, 0, i) : call->args[i];
    int order = 0;
    if (i && !dk_value_compare(call->ev->values, next, best, &order)) {
      dk_ev_error(call->ev, DK_E0301, dk_call_span(call, of_list ? 0 : i), "cannot compare %s with %s",
                  dk_ev_type(call->ev, next), dk_ev_type(call->ev, best));
      return false;
    }
    if (!i || order * sign > 0) best = next;
  }
  *call->ret = best;
  return true;
}

bool dk_fn_min(struct dk_call *call) {
  return extreme(call, -1);
}

bool dk_fn_max(struct dk_call *call) {
  return extreme(call, 1);
}

static void merge_sort(const struct dk_values *values, dk_value_id *items, dk_value_id *tmp, uint32_t n, int sign) {
  if (n < 2) return;
  uint32_t half = n / 2, i = 0, j = half;
  merge_sort(values, items, tmp, half, sign);
  merge_sort(values, items + half, tmp, n - half, sign);
  for (uint32_t k = 0; k < n; k++) {
    int order = 0;
    if (i < half && j < n) (void)dk_value_compare(values, items[i], items[j], &order); /* comparable: checked before */
    tmp[k] = j == n || (i < half && order * sign <= 0) ? items[i++] : items[j++];
  }
  memcpy(items, tmp, n * sizeof *items);
}

bool dk_fn_sort(struct dk_call *call) {
  const struct dk_value *list;
  if (!dk_call_list(call, 0, &list)) return false;
  uint32_t n = list->len;
  const struct dk_value *down = dk_value_get(call->ev->values, call->args[1]);
  if (dk_call_given(call, 1) && down->type != DK_TYPE_BOOL) return dk_call_wants(call, 1, "true or false");
  dk_value_id *items = room(call, n);
  if (!items || !dk_ev_step(call->ev, call->expr, (uint64_t)n * 16)) return false;
  for (uint32_t i = 0; i < n; i++) {
    int order;
    items[i] = item(call, 0, i);
    if (i && !dk_value_compare(call->ev->values, items[0], items[i], &order)) {
      dk_ev_error(call->ev, DK_E0301, dk_call_span(call, 0), "cannot sort %s and %s together",
                  dk_ev_type(call->ev, items[0]), dk_ev_type(call->ev, items[i]));
      return false;
    }
  }
  bool descending = dk_call_given(call, 1) && down->u.i;
  merge_sort(call->ev->values, items, dk_arena_array(arena_of(call), dk_value_id, n + 1), n, descending ? -1 : 1);
  return dk_call_return_list(call, items, n);
}

static bool id_equal(const void *ctx, uint32_t have, const void *key) {
  const dk_value_id *ids = ctx, *want = key;
  return ids[have] == *want;
}

bool dk_fn_unique(struct dk_call *call) {
  const struct dk_value *list;
  if (!dk_call_list(call, 0, &list)) return false;
  uint32_t n = list->len, kept = 0;
  dk_value_id *items = room(call, n), *ids = dk_arena_array(arena_of(call), dk_value_id, n + 1);
  if (!items || !dk_ev_step(call->ev, call->expr, n)) return false;
  struct dk_map seen;
  dk_map_init(&seen, arena_of(call));
  for (uint32_t i = 0; i < n; i++) {
    dk_value_id id = item(call, 0, i), identity = dk_value_identity(call->ev->values, id);
    uint64_t hash = dk_hash_u64(identity, 0);
    if (dk_map_find(&seen, hash, id_equal, ids, &identity) != DK_MAP_NONE) continue;
    ids[kept] = identity;
    items[kept] = id;
    (void)dk_map_add(&seen, hash, kept++); /* an arena's map jumps instead of failing */
  }
  return dk_call_return_list(call, items, kept);
}

bool dk_fn_concat(struct dk_call *call) {
  uint64_t n = 0;
  uint32_t at = 0;
  const struct dk_value *list;
  for (uint32_t i = 0; i < call->n; i++) {
    if (!dk_call_list(call, i, &list)) return false;
    n += list->len;
  }
  dk_value_id *items = room(call, n);
  if (!items) return false;
  for (uint32_t i = 0; i < call->n; i++)
    for (uint32_t j = 0; j < dk_value_get(call->ev->values, call->args[i])->len; j++) items[at++] = item(call, i, j);
  return dk_call_return_list(call, items, at);
}

bool dk_fn_zip(struct dk_call *call) {
  const struct dk_value *list;
  uint32_t n = 0;
  for (uint32_t i = 0; i < call->n; i++) {
    if (!dk_call_list(call, i, &list)) return false;
    if (i && list->len != n) {
      dk_ev_error(call->ev, DK_E0309, dk_call_span(call, i),
                  "`zip` wants lists of one length; this one has %" PRIu32 ", the first %" PRIu32, list->len, n);
      return false;
    }
    n = list->len;
  }
  dk_value_id *items = room(call, (uint64_t)n * (call->n + 1)),
              *tuple = dk_arena_array(arena_of(call), dk_value_id, call->n);
  if (!items) return false;
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t j = 0; j < call->n; j++) tuple[j] = item(call, j, i);
    if (!dk_ev_list(call->ev, call->expr, tuple, call->n, &items[i])) return false;
  }
  return dk_call_return_list(call, items, n);
}

bool dk_fn_keys(struct dk_call *call) {
  const struct dk_value *value = dk_value_get(call->ev->values, call->args[0]);
  if (value->type != DK_TYPE_RECORD) return dk_call_wants(call, 0, "a record");
  uint32_t n = value->len;
  dk_value_id *items = room(call, n);
  if (!items) return false;
  for (uint32_t i = 0; i < n; i++)
    items[i] = dk_value_string(call->ev->values, dk_value_name(call->ev->values, call->args[0], i));
  return dk_call_return_list(call, items, n);
}

/* How many sublists of `size` elements, or of any size (size < 0), and their elements; more than 2^62 counts as
 * that. */
static void count_subsets(uint32_t n, int64_t size, uint64_t *ret_lists, uint64_t *ret_elements) {
  const uint64_t most = (uint64_t)1 << 62;
  if (size < 0) {
    *ret_lists = n < 62 ? (uint64_t)1 << n : most;
    *ret_elements = n < 56 ? *ret_lists / 2 * n : most;
    return;
  }
  unsigned __int128 count = (uint64_t)size <= n;
  uint64_t k = (uint64_t)size <= n / 2 ? (uint64_t)size : n - (uint64_t)size;
  for (uint64_t i = 0; count && i < k && count < most; i++) count = count * (n - i) / (i + 1);
  *ret_lists = count < most ? (uint64_t)count : most;
  unsigned __int128 elements = count * (uint64_t)size;
  *ret_elements = elements < most ? (uint64_t)elements : most;
}

struct subsets {
  struct dk_call *call;
  dk_value_id *lists, *chosen;
  uint32_t *at, n_lists;
};

static bool subsets_of_size(struct subsets *s, uint32_t n, uint32_t size) {
  for (uint32_t i = 0; i < size; i++) s->at[i] = i;
  for (;;) {
    for (uint32_t i = 0; i < size; i++) s->chosen[i] = item(s->call, 0, s->at[i]);
    if (!dk_ev_list(s->call->ev, s->call->expr, s->chosen, size, &s->lists[s->n_lists++])) return false;
    uint32_t i = size;
    while (i && s->at[i - 1] == n - size + i - 1) i--;
    if (!i) return true;
    s->at[i - 1]++;
    for (; i < size; i++) s->at[i] = s->at[i - 1] + 1;
  }
}

bool dk_fn_subsets(struct dk_call *call) {
  const struct dk_value *list;
  int64_t size = -1;
  uint64_t lists, elements;
  if (!dk_call_list(call, 0, &list) || (dk_call_given(call, 1) && !dk_call_int(call, 1, &size))) return false;
  uint32_t n = list->len;
  if (dk_call_given(call, 1) && size < 0) return dk_call_wants(call, 1, "a size of at least 0");
  count_subsets(n, size, &lists, &elements);
  dk_value_id *items = room(call, lists + elements);
  if (!items) return false;
  struct subsets s = {call, items, dk_arena_array(arena_of(call), dk_value_id, n + 1),
                      dk_arena_array(arena_of(call), uint32_t, n + 1), 0};
  for (uint32_t k = size < 0 ? 0 : (uint32_t)size; lists && k <= (size < 0 ? n : (uint32_t)size); k++)
    if (!subsets_of_size(&s, n, k)) return false;
  return dk_call_return_list(call, items, s.n_lists);
}

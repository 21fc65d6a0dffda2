/* The table of values: hash-consing, access, equality and order.
 *
 * Keeps true: two values of equal contents have one id; an id, and what dk_value_get gave for it, stay valid for the
 * whole compilation (the arena keeps outgrown tables). Does no arithmetic (arith.c) and writes no text
 * (value_text.c). */
#include "lang/eval/value.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define DK_WEIGHT_MAX ((uint64_t)1 << 40)

struct key {
  const struct dk_values *values;
  struct dk_value value;
  const uint32_t *parts; /* of a list, call (len) or record (2 * len) */
};

static bool has_parts(uint8_t type) {
  return type == DK_TYPE_LIST || type == DK_TYPE_RECORD || type == DK_TYPE_CALL;
}

static uint32_t n_parts(const struct dk_value *value) {
  if (!has_parts(value->type)) return 0;
  return value->type == DK_TYPE_RECORD ? 2 * value->len : value->len;
}

static bool equals_key(const void *ctx, uint32_t item, const void *key_ptr) {
  const struct dk_values *values = ctx;
  const struct key *key = key_ptr;
  const struct dk_value *have = &values->items[item];
  if (have->type != key->value.type || have->unit != key->value.unit || have->len != key->value.len) return false;
  uint32_t n = n_parts(have);
  if (!has_parts(have->type)) return have->u.i == key->value.u.i;
  return n == 0 || memcmp(values->parts + have->u.at, key->parts, n * sizeof *key->parts) == 0;
}

static uint32_t add_parts(struct dk_values *values, const uint32_t *parts, uint32_t n) {
  uint32_t at = values->n_parts;
  while (values->cap_parts - values->n_parts < n)
    values->parts = dk_arena_grow(values->arena, values->parts, &values->cap_parts, sizeof *values->parts);
  if (n) memcpy(values->parts + at, parts, n * sizeof *parts);
  values->n_parts += n;
  return at;
}

/* Weight in 16 bits: an 11-bit mantissa and a 5-bit exponent, rounded up, 2^40 and more as the largest. */
static uint16_t pack_weight(uint64_t weight) {
  unsigned exponent = 0;
  while (weight > 0x7ff) {
    weight = (weight + 1) / 2;
    exponent++;
  }
  return exponent > 31 ? UINT16_MAX : (uint16_t)(exponent << 11 | (unsigned)weight);
}

uint64_t dk_value_weight(const struct dk_values *values, dk_value_id id) {
  const struct dk_value *value = &values->items[id];
  if (value->type == DK_TYPE_LIST || value->type == DK_TYPE_RECORD)
    return (uint64_t)(value->unit & 0x7ff) << (value->unit >> 11);
  uint64_t weight = 1;
  if (value->type == DK_TYPE_CALL)
    for (uint32_t i = 0; i < value->len; i++) weight += dk_value_weight(values, values->parts[value->u.at + i]);
  return weight;
}

/* A list of lists that share their elements is small here and large when it is walked: so each knows its depth and
 * weight. */
static void weigh(const struct dk_values *values, struct dk_value *value, const uint32_t *parts) {
  uint32_t first = value->type == DK_TYPE_RECORD ? 1 : 0, n = n_parts(value);
  uint64_t weight = 1;
  uint8_t depth = 0;
  for (uint32_t i = first; i < n; i += 1 + first) {
    weight += dk_value_weight(values, parts[i]);
    if (weight > DK_WEIGHT_MAX) weight = DK_WEIGHT_MAX;
    if (values->items[parts[i]].flags > depth) depth = values->items[parts[i]].flags;
  }
  value->flags = depth == UINT8_MAX ? depth : (uint8_t)(depth + 1);
  if (value->type != DK_TYPE_CALL) value->unit = pack_weight(weight);
}

static dk_value_id cons(struct dk_values *values, struct dk_value value, const uint32_t *parts) {
  if (has_parts(value.type)) weigh(values, &value, parts);
  struct key key = {values, value, parts};
  uint32_t n = n_parts(&value);
  uint64_t hash = dk_hash_u64((uint64_t)value.type | (uint64_t)value.unit << 8 | (uint64_t)value.len << 32, 0);
  hash = has_parts(value.type) ? dk_hash_bytes(parts, n * sizeof *parts, hash) : dk_hash_u64((uint64_t)value.u.i, hash);
  uint32_t found = dk_map_find(&values->map, hash, equals_key, values, &key);
  if (found != DK_MAP_NONE) return found;
  if (has_parts(value.type)) value.u.at = add_parts(values, parts, n);
  uint32_t id = values->count;
  dk_arena_push(values->arena, values->items, values->count, values->cap) = value;
  int rc = dk_map_add(&values->map, hash, id);
  assert(rc == 0); /* an arena's map jumps instead */
  (void)rc;
  return id;
}

void dk_values_init(struct dk_values *values, struct dk_strs *strs, struct dk_arena *arena) {
  *values = (struct dk_values){.arena = arena, .strs = strs};
  dk_map_init(&values->map, arena);
  dk_value_id null = cons(values, (struct dk_value){.type = DK_TYPE_NULL}, NULL);
  assert(null == DK_NULL);
  (void)null;
}

static dk_value_id scalar(struct dk_values *values, enum dk_type type, uint16_t unit, int64_t i) {
  struct dk_value value = {.type = (uint8_t)type, .unit = unit};
  value.u.i = i;
  return cons(values, value, NULL);
}

dk_value_id dk_value_bool(struct dk_values *values, bool v) {
  return scalar(values, DK_TYPE_BOOL, 0, v);
}

dk_value_id dk_value_int(struct dk_values *values, int64_t v) {
  return scalar(values, DK_TYPE_INT, 0, v);
}

dk_value_id dk_value_float(struct dk_values *values, double v) {
  assert(isfinite(v));
  int64_t bits;
  if (v == 0) v = 0; /* -0 */
  memcpy(&bits, &v, sizeof bits);
  return scalar(values, DK_TYPE_FLOAT, 0, bits);
}

dk_value_id dk_value_string(struct dk_values *values, const struct dk_str *text) {
  struct dk_value value = {.type = DK_TYPE_STRING, .len = text->len};
  value.u.i = text->id;
  return cons(values, value, NULL);
}

dk_value_id dk_value_text(struct dk_values *values, const char *text, size_t len) {
  return dk_value_string(values, dk_intern(values->strs, text, len));
}

dk_value_id dk_value_quantity(struct dk_values *values, enum dk_type type, uint16_t unit, int64_t amount) {
  assert(type >= DK_TYPE_SIZE && type <= DK_TYPE_RATE);
  return scalar(values, type, unit, amount);
}

dk_value_id dk_value_list(struct dk_values *values, const dk_value_id *items, uint32_t n) {
  return cons(values, (struct dk_value){.type = DK_TYPE_LIST, .len = n}, items);
}

dk_value_id dk_value_call(struct dk_values *values, enum dk_inert which, const dk_value_id *args, uint32_t n) {
  return cons(values, (struct dk_value){.type = DK_TYPE_CALL, .unit = (uint16_t)which, .len = n}, args);
}

static int compare_text(const struct dk_str *a, const struct dk_str *b) {
  uint32_t n = a->len < b->len ? a->len : b->len;
  int order = memcmp(a->text, b->text, n);
  if (order) return order < 0 ? -1 : 1;
  return a->len < b->len ? -1 : a->len > b->len;
}

/* Merge sort of (name id, value id) pairs: records of a thousand fields from a data file must not be quadratic. */
static void sort_pairs(const struct dk_values *values, uint32_t *pairs, uint32_t *tmp, uint32_t n) {
  if (n < 2) return;
  uint32_t half = n / 2;
  sort_pairs(values, pairs, tmp, half);
  sort_pairs(values, pairs + (size_t)2 * half, tmp, n - half);
  uint32_t i = 0, j = half;
  for (uint32_t k = 0; k < n; k++) {
    bool left =
        j == n || (i < half && compare_text(values->strs->items[pairs[2 * i]], values->strs->items[pairs[2 * j]]) <= 0);
    uint32_t from = left ? i++ : j++;
    memcpy(tmp + (size_t)2 * k, pairs + (size_t)2 * from, 2 * sizeof *pairs);
  }
  memcpy(pairs, tmp, (size_t)2 * n * sizeof *pairs);
}

dk_value_id dk_value_record(struct dk_values *values, const struct dk_str *const *names, const dk_value_id *items,
                            uint32_t n) {
  uint32_t *pairs = dk_arena_array(values->arena, uint32_t, (size_t)4 * n + 1);
  for (uint32_t i = 0; i < n; i++) {
    pairs[2 * i] = names[i]->id;
    pairs[2 * i + 1] = items[i];
  }
  sort_pairs(values, pairs, pairs + (size_t)2 * n, n);
  return cons(values, (struct dk_value){.type = DK_TYPE_RECORD, .len = n}, pairs);
}

const struct dk_str *dk_value_str(const struct dk_values *values, dk_value_id id) {
  assert(values->items[id].type == DK_TYPE_STRING);
  return values->strs->items[values->items[id].u.at];
}

dk_value_id dk_value_item(const struct dk_values *values, dk_value_id id, uint32_t i) {
  const struct dk_value *value = &values->items[id];
  assert(has_parts(value->type) && i < value->len);
  return values->parts[value->u.at + (value->type == DK_TYPE_RECORD ? 2 * i + 1 : i)];
}

const struct dk_str *dk_value_name(const struct dk_values *values, dk_value_id id, uint32_t i) {
  const struct dk_value *value = &values->items[id];
  assert(value->type == DK_TYPE_RECORD && i < value->len);
  return values->strs->items[values->parts[value->u.at + 2 * i]];
}

bool dk_value_field(const struct dk_values *values, dk_value_id id, const struct dk_str *name, dk_value_id *ret) {
  const struct dk_value *value = &values->items[id];
  if (value->type != DK_TYPE_RECORD) return false;
  uint32_t low = 0, high = value->len;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    const struct dk_str *have = dk_value_name(values, id, middle);
    if (have == name) {
      *ret = dk_value_item(values, id, middle);
      return true;
    }
    if (compare_text(have, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return false;
}

static double float_of(const struct dk_value *value) {
  double d;
  memcpy(&d, &value->u.i, sizeof d);
  return d;
}

/* Order of two numbers, exact for every int and float. */
static int compare_numbers(const struct dk_value *a, const struct dk_value *b) {
  if (a->type == DK_TYPE_INT && b->type == DK_TYPE_INT) return a->u.i < b->u.i ? -1 : a->u.i > b->u.i;
  if (a->type == DK_TYPE_FLOAT && b->type == DK_TYPE_FLOAT) {
    double x = float_of(a), y = float_of(b);
    return x < y ? -1 : x > y;
  }
  if (a->type == DK_TYPE_FLOAT) return -compare_numbers(b, a);
  double y = float_of(b);
  if (y >= 0x1p63) return -1;
  if (y < -0x1p63) return 1;
  double whole = floor(y);
  int64_t i = (int64_t)whole;
  if (a->u.i != i) return a->u.i < i ? -1 : 1;
  return whole < y ? -1 : 0;
}

static bool is_number(const struct dk_value *value) {
  return value->type == DK_TYPE_INT || value->type == DK_TYPE_FLOAT;
}

bool dk_value_same(const struct dk_values *values, dk_value_id a, dk_value_id b) {
  if (a == b) return true;
  const struct dk_value *x = dk_value_get(values, a), *y = dk_value_get(values, b);
  if (is_number(x) && is_number(y)) return compare_numbers(x, y) == 0;
  if (x->type != y->type || x->unit != y->unit || x->len != y->len || !has_parts(x->type)) return false;
  for (uint32_t i = 0; i < x->len; i++) {
    if (x->type == DK_TYPE_RECORD && dk_value_name(values, a, i) != dk_value_name(values, b, i)) return false;
    if (!dk_value_same(values, dk_value_item(values, a, i), dk_value_item(values, b, i))) return false;
  }
  return true;
}

dk_value_id dk_value_identity(struct dk_values *values, dk_value_id id) {
  const struct dk_value *value = dk_value_get(values, id);
  if (value->type == DK_TYPE_FLOAT) {
    double d = float_of(value);
    bool is_int = d >= -0x1p63 && d < 0x1p63 && d == trunc(d);
    return is_int ? dk_value_int(values, (int64_t)d) : id;
  }
  if (!has_parts(value->type)) return id;
  uint32_t n = n_parts(value), first = value->type == DK_TYPE_RECORD ? 1 : 0, step = 1 + first;
  uint32_t *parts = NULL;
  for (uint32_t i = first; i < n; i += step) {
    dk_value_id old = values->parts[value->u.at + i], same = dk_value_identity(values, old);
    if (same == old) continue;
    if (!parts) parts = dk_arena_memdup(values->arena, values->parts + value->u.at, n * sizeof *parts);
    parts[i] = same;
  }
  if (!parts) return id;
  struct dk_value changed = {.type = value->type, .unit = value->unit, .len = value->len};
  return cons(values, changed, parts);
}

static bool compare_lists(const struct dk_values *values, dk_value_id a, dk_value_id b, int *ret) {
  uint32_t n_a = dk_value_get(values, a)->len, n_b = dk_value_get(values, b)->len;
  for (uint32_t i = 0; i < n_a && i < n_b; i++) {
    if (!dk_value_compare(values, dk_value_item(values, a, i), dk_value_item(values, b, i), ret)) return false;
    if (*ret) return true;
  }
  *ret = n_a < n_b ? -1 : n_a > n_b;
  return true;
}

bool dk_value_compare(const struct dk_values *values, dk_value_id a, dk_value_id b, int *ret) {
  const struct dk_value *x = dk_value_get(values, a), *y = dk_value_get(values, b);
  if (is_number(x) && is_number(y)) {
    *ret = compare_numbers(x, y);
    return true;
  }
  if (x->type != y->type || x->unit != y->unit) return false;
  switch ((enum dk_type)x->type) {
  case DK_TYPE_STRING: *ret = compare_text(dk_value_str(values, a), dk_value_str(values, b)); return true;
  case DK_TYPE_SIZE:
  case DK_TYPE_DURATION:
  case DK_TYPE_MONEY:
  case DK_TYPE_RATE: *ret = x->u.i < y->u.i ? -1 : x->u.i > y->u.i; return true;
  case DK_TYPE_LIST: return compare_lists(values, a, b, ret);
  default: return false;
  }
}

const char *dk_type_name(enum dk_type type) {
  static const char *const names[] = {"null",     "a bool", "an integer", "a float",
                                      "a string", "a size", "a duration", "an amount of money",
                                      "a rate",   "a list", "a record",   "a call"};
  return (size_t)type < sizeof names / sizeof *names ? names[type] : "a value";
}

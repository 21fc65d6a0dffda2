/* Values: immutable, hash-consed. Equal value, equal id, so that columns are arrays of ids and equality is `==`.
 *
 * An int and a float of the same number are different values (they print the same); dk_value_same() is the language's
 * `==`, for which 1 equals 1.0. All memory is the compilation's arena. */
#ifndef DK_EVAL_VALUE_H
#define DK_EVAL_VALUE_H

#include "lang/base/buf.h"
#include "lang/base/str.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t dk_value_id;

enum dk_type {
  DK_TYPE_NULL,
  DK_TYPE_BOOL,
  DK_TYPE_INT,
  DK_TYPE_FLOAT,
  DK_TYPE_STRING,
  DK_TYPE_SIZE,     /* i: bytes */
  DK_TYPE_DURATION, /* i: nanoseconds */
  DK_TYPE_MONEY,    /* i: millionths of `unit`, a currency */
  DK_TYPE_RATE,     /* i: millionths of `unit` an hour */
  DK_TYPE_LIST,     /* len elements */
  DK_TYPE_RECORD,   /* len fields, sorted by name's text */
  /* inert call of a built-in that only a task's body gives a meaning to: unit is enum dk_inert, elements are the
   * arguments */
  DK_TYPE_CALL,
};

/* DK_TYPE_CALL. Arguments are positional in this order, null where left out. */
enum dk_inert {
  DK_INERT_FILE,   /* file(path) */
  DK_INERT_GLOB,   /* glob(pattern) */
  DK_INERT_MOUNT,  /* mount(path, version) */
  DK_INERT_URL,    /* url(address, sha256) */
  DK_INERT_WRITE,  /* write(name, value) */
  DK_INERT_MATCH,  /* match("stdout" | "stderr" | path, regex) */
  DK_INERT_JSON,   /* json(path, member) */
  DK_INERT_CSV,    /* csv(path, column) */
  DK_INERT_SECRET, /* secret(name) */
  DK_INERT_RAW,    /* raw(text) */
};

#define DK_NULL ((dk_value_id)0)

struct dk_value {
  uint8_t type, flags; /* flags: nesting of LIST, RECORD, CALL (255: that or more), 0 else */
  uint16_t
      unit;     /* currency: three letters packed 5 bits each; CALL: enum dk_inert; LIST, RECORD: see dk_value_weight */
  uint32_t len; /* STRING bytes, LIST elements, RECORD fields, CALL arguments */
  union {
    int64_t i;
    double f;
    uint32_t at;
  } u; /* at: string id, or index in `parts` */
};

struct dk_values {
  struct dk_arena *arena;
  struct dk_strs *strs;
  struct dk_map map;
  struct dk_value *items; /* by id; item 0 is null */
  uint32_t count, cap;
  uint32_t *parts; /* elements of lists; (name string id, value id) pairs of records */
  uint32_t n_parts, cap_parts;
  uint64_t elements; /* made so far, against the limit of 10^7 */
};

void dk_values_init(struct dk_values *values, struct dk_strs *strs, struct dk_arena *arena);

dk_value_id dk_value_bool(struct dk_values *values, bool v);
dk_value_id dk_value_int(struct dk_values *values, int64_t v);
dk_value_id dk_value_float(struct dk_values *values,
                           double v); /* -0 becomes 0; NaN and infinities are the caller's error */
dk_value_id dk_value_string(struct dk_values *values, const struct dk_str *text);
dk_value_id dk_value_text(struct dk_values *values, const char *text, size_t len);
dk_value_id dk_value_quantity(struct dk_values *values, enum dk_type type, uint16_t unit, int64_t amount);
dk_value_id dk_value_list(struct dk_values *values, const dk_value_id *items, uint32_t n);
/* Names must differ. */
dk_value_id dk_value_record(struct dk_values *values, const struct dk_str *const *names, const dk_value_id *items,
                            uint32_t n);
dk_value_id dk_value_call(struct dk_values *values, enum dk_inert which, const dk_value_id *args, uint32_t n);

static inline const struct dk_value *dk_value_get(const struct dk_values *values, dk_value_id id) {
  return &values->items[id];
}
const struct dk_str *dk_value_str(const struct dk_values *values, dk_value_id id); /* of a STRING */
dk_value_id dk_value_item(const struct dk_values *values, dk_value_id id,
                          uint32_t i); /* of LIST, CALL; value of a RECORD's i-th field */
const struct dk_str *dk_value_name(const struct dk_values *values, dk_value_id id,
                                   uint32_t i); /* of a RECORD's i-th field */
bool dk_value_field(const struct dk_values *values, dk_value_id id, const struct dk_str *name, dk_value_id *ret);

/* How many values a walk over this one meets (about; it is rounded up). Lists share equal elements, so a few lines can
 * make a value whose walk never ends: the evaluator refuses what is heavier or deeper than this; other makers of values
 * must too. */
uint64_t dk_value_weight(const struct dk_values *values, dk_value_id id);
#define DK_VALUE_MAX_WEIGHT 20000000u
#define DK_VALUE_MAX_DEPTH 64

bool dk_value_same(const struct dk_values *values, dk_value_id a, dk_value_id b); /* the language's == */
/* An id that is equal for values that are `same` (floats that are integers become ints, inside lists too): identity of
 * axes. */
dk_value_id dk_value_identity(struct dk_values *values, dk_value_id id);
/* -1, 0, 1; false if the two have no order (other kinds, other currencies). */
bool dk_value_compare(const struct dk_values *values, dk_value_id a, dk_value_id b, int *ret);

/* As a program sees it in a hole: 0.1, text bare, sizes in bytes, durations in seconds, money as a number, true/false.
 * False for null, records, calls, and lists (a list is several words: the caller's business). */
bool dk_value_hole_text(const struct dk_values *values, dk_value_id id, struct dk_buf *out);
/* As source text that reads back ("0.1", "\"a b\"", "1h30m", "512MiB", "[1, 2]"), for messages, names and listings. */
void dk_value_source_text(const struct dk_values *values, dk_value_id id, struct dk_buf *out);
/* Canonical bytes with types, for keys (RFC 8785 numbers): equal for `same` values, and for nothing else. */
void dk_value_canonical(const struct dk_values *values, dk_value_id id, struct dk_buf *out);
const char *dk_type_name(enum dk_type type); /* "a size", "an integer": as messages say it */

#endif

/* write(name, value): the bytes of an input file made of a value. Private to lang/plan. */
#ifndef DK_PLAN_WRITE_H
#define DK_PLAN_WRITE_H

#include "lang/eval/value.h"

/* By the end of the name: .json, .yaml and .yml (JSON is YAML) RFC 8259, two spaces a level; .toml TOML 1.0; anything
 * else takes a text as it is, a list of texts as lines, or a number. Sizes are bytes, durations seconds, money numbers.
 * Fields are in byte order of their names, so equal values give equal bytes. NULL, or what is wrong (a constant
 * text). */
const char *dk_plan_write(const struct dk_values *values, const char *name, dk_value_id value, struct dk_buf *out);

#endif

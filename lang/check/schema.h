/* Which fields a body may have, as data: one table a kind of record. check uses them for names and literal kinds, plan
 * for the kinds of values, providers export their own to the checker. */
#ifndef DK_CHECK_SCHEMA_H
#define DK_CHECK_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

/* Kinds of values a field takes. Bit n is enum dk_type n (lang/eval/value.h; eval asserts it), so plan asks
 * `field->kinds >> value->type & 1`. The high bits are forms of syntax. */
enum dk_kinds {
  DK_KIND_NULL = 1 << 0,
  DK_KIND_BOOL = 1 << 1,
  DK_KIND_INT = 1 << 2,
  DK_KIND_FLOAT = 1 << 3,
  DK_KIND_TEXT = 1 << 4,
  DK_KIND_SIZE = 1 << 5,
  DK_KIND_DURATION = 1 << 6,
  DK_KIND_MONEY = 1 << 7,
  DK_KIND_RATE = 1 << 8,
  DK_KIND_LIST = 1 << 9,
  DK_KIND_RECORD = 1 << 10,
  DK_KIND_CALL = 1 << 11,
  DK_KIND_BLOCK = 1 << 16, /* name { ... } */
  DK_KIND_NAMES = 1 << 17, /* a bare name or a list of names that is not evaluated: from = train, per = [seed] */
  DK_KIND_REF = 1 << 18,   /* a reference to another task's output or a pick may stand here */
  DK_KIND_FILE = 1 << 19,  /* TEXT, of a file of providers: the path of a file, from its folder or `~/...` */
  DK_KIND_ANY = 0xfff,
};

struct dk_schema_field {
  const char *name;
  uint32_t kinds;
  bool is_required;
  bool is_later;     /* in the language, not built in this version */
  const char *wants; /* "a duration such as 90s or 4h": finishes "`timeout` wants ..." */
  const char *doc;
};

#define DK_SCHEMA_MAX 64 /* fields of one */

struct dk_schema {
  const char *what; /* "a task": finishes "no field `x` in ..." */
  const struct dk_schema_field *fields;
  uint32_t n_fields;
};

extern const struct dk_schema dk_schema_experiment, dk_schema_defaults, dk_schema_task, dk_schema_retry,
    dk_schema_resource, dk_schema_image, dk_schema_pick, dk_schema_table;

/* NULL if there is none of the name. */
const struct dk_schema_field *dk_schema_find(const struct dk_schema *schema, const char *name);
/* The field nearest to a misspelt name, or NULL. */
const char *dk_schema_nearest(const struct dk_schema *schema, const char *name);

#endif

/* Names and parameters of the built-in functions, as check needs them; what they do is in eval/builtin.c.
 *
 * NAME nodes that call one have binding.kind DK_BIND_BUILTIN and binding.slot an enum dk_builtin. After check the
 * arguments of a call of a built-in or a function stand in the parameters' order, one per parameter, value NULL where
 * left out (a `...` parameter takes all that follow). */
#ifndef DK_CHECK_BUILTIN_H
#define DK_CHECK_BUILTIN_H

#include <stdbool.h>
#include <stdint.h>

enum dk_builtin {
#define DK_BUILTIN(name, signature, flags, doc) DK_BUILTIN_##name,
#include "lang/check/builtins.def"
#undef DK_BUILTIN
  DK_N_BUILTINS
};

enum dk_builtin_class {
  DK_BUILTIN_PURE,      /* a value out of values */
  DK_BUILTIN_INERT,     /* a DK_TYPE_CALL value that a task's body gives a meaning to */
  DK_BUILTIN_REFERENCE, /* gather: check makes a DK_EXPR_REF of it */
  DK_BUILTIN_GRID,      /* sample: only in grid expressions, which plan reads */
  DK_BUILTIN_LATER,     /* not built in this version */
};

struct dk_builtin_info {
  const char *name, *signature, *doc;
  enum dk_builtin_class class;
};

/* All of them, by enum dk_builtin; for docs, suggestions, the reference manual. */
const struct dk_builtin_info *dk_builtins(uint32_t *ret_n);
bool dk_builtin_find(const char *name, enum dk_builtin *ret);

#define DK_BUILTIN_MAX_PARAMS 4
struct dk_builtin_params {
  struct {
    const char *name;
    uint32_t len;
    bool optional, variadic;
  } items[DK_BUILTIN_MAX_PARAMS];
  uint32_t count;
};
void dk_builtin_params(enum dk_builtin which, struct dk_builtin_params *ret);

#endif

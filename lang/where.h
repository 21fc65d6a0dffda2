/* Tasks chosen by an expression of the language over their columns: `--where 'lr < 0.1 and seed in [1, 2]'`. */
#ifndef DK_LANG_WHERE_H
#define DK_LANG_WHERE_H

#include "lang/base/buf.h"
#include "lang/base/error.h"
#include "lang/plan/plan.h"

struct dk_selection {
  const char *const *words; /* as dk_plan_select takes them */
  uint32_t n_words;         /* 0: tasks of any template that has all the columns of `where` (pick rows too) */
  const char *where;        /* NULL: all that the words name */
};

/* The tasks of a plan (a pin will do) that words and expression choose, in rising order; *ret is dk_freed by the
 * caller. Names in the expression are columns: it has no lets, params and files. A selection of nothing at all is all
 * tasks. -EINVAL: the expression is wrong (`diagnostics` has them, rendered, and the error one line), -ENOENT: it
 * chooses nothing, with words; -ENOMEM. */
int dk_where_select(const struct dk_plan *plan, const struct dk_selection *selection, uint32_t **ret, uint32_t *ret_n,
                    struct dk_buf *diagnostics, struct dk_error *error);

#endif

/* Parse, check and evaluate a text in a test; errors and values come back as text. */
#ifndef DK_TEST_COMPILE_H
#define DK_TEST_COMPILE_H

#include "lang/eval/eval.h"

#include <setjmp.h>

struct dk_test_module {
  const char *path, *text;
}; /* "./a.dk" or "std.x" as the import spells it */

struct dk_compile {
  struct dk_arena arena;
  jmp_buf oom;
  struct dk_strs strs;
  struct dk_sources sources;
  struct dk_diags diags;
  struct dk_eval eval;
  struct dk_checked *checked;
  const struct dk_test_module *modules;
  uint32_t n_modules;
  const struct dk_source **read; /* by module; NULL: not read yet */
  const struct dk_check_given *given;
  uint32_t n_given;
  const struct dk_eval_files *files;
  struct dk_buf text; /* of the last dk_compile_* that gives text */
};

/* Zero it, set modules, given, files as wanted, then compile; finish frees all. The file's name is t.dk. */
void dk_compile(struct dk_compile *c, const char *text);
void dk_compile_finish(struct dk_compile *c);

/* "E0201 1[x] nothing is named `x` here" a line per diagnostic: code, line and [what is underlined], message; each
 * followed
 * by its label ("  ^ ..."), further labels ("  - 1[y] ..."), helps ("  = help: ...") and notes ("  = note: ..."). */
const char *dk_compile_errors(struct dk_compile *c);
/* Source text of a let, param or resource; "(failed)" when it has no value. */
const char *dk_compile_value(struct dk_compile *c, const char *name);
/* The value's id. */
dk_value_id dk_compile_id(struct dk_compile *c, const char *name);

/* `let x = EXPR` compiled: x's source text, or all errors. Allocated; dk_free. */
char *dk_compile_expr(const char *expr);
/* All errors of a text; dk_free. */
char *dk_compile_text(const char *text);

#endif

/* A syntax tree as text, one line for each declaration, statement and leaf of structure: what the cases' expect.ast
 * hold. */
#ifndef DK_TESTS_LANG_DUMP_H
#define DK_TESTS_LANG_DUMP_H

#include "lang/base/buf.h"
#include "lang/syntax/ast.h"

void dk_dump_module(const struct dk_module *module, struct dk_buf *out);
void dk_dump_expr(const struct dk_expr *expr, struct dk_buf *out);

#endif

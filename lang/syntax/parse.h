/* The parser's door: text in, syntax tree and diagnostics out. Keeps no state between calls.
 *
 * `sources`, `diags` and `strs` belong to the same arena; out of memory jumps (arena.h). The text may be anything; a
 * text that is too deeply nested or has too many tokens is a diagnostic, never a crash. */
#ifndef DK_SYNTAX_PARSE_H
#define DK_SYNTAX_PARSE_H

#include "lang/diag/diag.h"
#include "lang/syntax/ast.h"

struct dk_parse_env {
  struct dk_arena *arena;
  struct dk_strs *strs;
  struct dk_diags *diags;
};

/* A whole file. Never NULL: with errors the tree holds what could be read. Checks UTF-8 and NUL bytes first (E0703). */
struct dk_module *dk_parse_file(const struct dk_parse_env *env, const struct dk_source *source);
/* One expression (for -p, --where); NULL after a diagnostic. */
struct dk_expr *dk_parse_expr(const struct dk_parse_env *env, const struct dk_source *source);

#endif

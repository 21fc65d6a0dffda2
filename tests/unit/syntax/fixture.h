/* Parsing in tests: a text in, the dumped tree and the codes of its errors out. */
#ifndef DK_TESTS_UNIT_SYNTAX_FIXTURE_H
#define DK_TESTS_UNIT_SYNTAX_FIXTURE_H

#include "lang/syntax/parse.h"
#include "tests/lang/dump.h"
#include "tests/unit/diag/fixture.h"

static inline struct dk_strs *fixture_strs(struct fixture *f) {
  struct dk_strs *strs = dk_arena_new(&f->arena, struct dk_strs);
  dk_strs_init(strs, &f->arena);
  return strs;
}

static inline struct dk_module *fixture_parse(struct fixture *f, const char *text) {
  struct dk_parse_env env = {&f->arena, fixture_strs(f), &f->diags};
  return dk_parse_file(&env, fixture_source(f, "t.dk", text));
}

static inline struct dk_expr *fixture_expr(struct fixture *f, const char *text) {
  struct dk_parse_env env = {&f->arena, fixture_strs(f), &f->diags};
  return dk_parse_expr(&env, fixture_source(f, "t.dk", text));
}

/* The tree of an expression that must be right. */
static inline void assert_expr(struct fixture *f, const char *text, const char *tree) {
  const struct dk_expr *expr = fixture_expr(f, text);
  dk_autobuf out = DK_BUF_INIT;
  if (expr)
    dk_dump_expr(expr, &out);
  else
    dk_diags_render(&f->diags, false, &out);
  assert_string_equal(dk_buf_text(&out), tree);
}

/* The errors of a file, as "E0101@2:5 E0102@3:1", sorted; forgets them. */
static inline void assert_errors(struct fixture *f, const char *text, const char *expected) {
  fixture_parse(f, text);
  dk_diags_sort(&f->diags);
  dk_autobuf out = DK_BUF_INIT;
  for (uint32_t i = 0; i < f->diags.count; i++) {
    struct dk_place place = dk_sources_place(&f->sources, f->diags.items[i]->span.start);
    dk_buf_printf(&out, "%s%s@%u:%u", i ? " " : "", dk_code_name(f->diags.items[i]->code), place.line, place.column);
  }
  if (strcmp(dk_buf_text(&out), expected) != 0) print_error("in:\n%s\n", text);
  assert_string_equal(dk_buf_text(&out), expected);
  dk_diags_init(&f->diags, &f->arena, &f->sources);
}

#endif

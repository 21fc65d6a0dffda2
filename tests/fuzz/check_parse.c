/* The parser's promises, checked on whatever comes: spans lie in the source and hold their parts, an error node has an
 * error that was reported, a tree without errors has no error node, depth is bounded, names are never NULL. */
#include "tests/fuzz/check_parse.h"

#include "lang/base/alloc.h"
#include "lang/syntax/parse.h"

#include <stdlib.h>

struct walk {
  const struct dk_source *source;
  uint32_t error_nodes;
};

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                                   \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while (0)

static void check_span(const struct walk *walk, struct dk_span span) {
  CHECK(span.start <= span.end);
  CHECK(span.start >= walk->source->base && span.end <= walk->source->base + walk->source->len);
}

static void check_expr(struct walk *walk, const struct dk_expr *expr, uint32_t above);

static void check_exprs(struct walk *walk, const struct dk_exprs *exprs, uint32_t above) {
  for (uint32_t i = 0; i < exprs->count; i++) check_expr(walk, exprs->items[i], above);
}

static void check_fields(struct walk *walk, const struct dk_fields *fields, uint32_t above) {
  for (uint32_t i = 0; i < fields->count; i++) {
    if (fields->items[i].name) check_span(walk, fields->items[i].name_span);
    check_expr(walk, fields->items[i].value, above);
  }
}

static void check_string(struct walk *walk, const struct dk_expr *expr) {
  uint32_t at = expr->span.start;
  for (uint32_t i = 0; i < expr->string.n_parts; i++) {
    const struct dk_string_part *part = &expr->string.parts[i];
    check_span(walk, part->span);
    CHECK(part->span.start >= at && part->span.end <= expr->span.end);
    CHECK((part->literal != NULL) != (part->hole != NULL));
    CHECK(!part->literal || part->literal->len > 0);
    if (part->hole) check_expr(walk, part->hole, expr->depth);
    at = part->span.end;
  }
}

static void check_comprehension(struct walk *walk, const struct dk_expr *expr) {
  CHECK(expr->comprehension.n_fors > 0);
  check_expr(walk, expr->comprehension.value, expr->depth);
  for (uint32_t i = 0; i < expr->comprehension.n_fors; i++) {
    CHECK(expr->comprehension.fors[i].n_names > 0);
    check_expr(walk, expr->comprehension.fors[i].in, expr->depth);
    check_exprs(walk, &expr->comprehension.fors[i].ifs, expr->depth);
  }
}

static void check_parts(struct walk *walk, const struct dk_expr *expr) {
  uint32_t depth = expr->depth;
  switch (expr->kind) {
  case DK_EXPR_ERROR: walk->error_nodes++; break;
  case DK_EXPR_NULL:
  case DK_EXPR_BOOL:
  case DK_EXPR_INT:
  case DK_EXPR_FLOAT: break;
  case DK_EXPR_QUANTITY: CHECK(expr->text->len > 1); break;
  case DK_EXPR_NAME: CHECK(expr->name.name->len > 0); break;
  case DK_EXPR_STRING: check_string(walk, expr); break;
  case DK_EXPR_LIST:
    CHECK(!expr->list.is_tuple || expr->list.items.count >= 2);
    check_exprs(walk, &expr->list.items, depth);
    break;
  case DK_EXPR_RECORD: check_fields(walk, &expr->record.fields, depth); break;
  case DK_EXPR_MEMBER:
    CHECK(expr->member.name);
    check_span(walk, expr->member.name_span);
    check_expr(walk, expr->member.of, depth);
    break;
  case DK_EXPR_INDEX:
    check_expr(walk, expr->index.of, depth);
    check_expr(walk, expr->index.index, depth);
    break;
  case DK_EXPR_SELECT:
    CHECK(expr->select.selectors.count > 0);
    check_expr(walk, expr->select.of, depth);
    check_fields(walk, &expr->select.selectors, depth);
    break;
  case DK_EXPR_CALL:
    check_expr(walk, expr->call.callee, depth);
    check_fields(walk, &expr->call.args, depth);
    break;
  case DK_EXPR_UNARY: check_expr(walk, expr->unary.operand, depth); break;
  case DK_EXPR_BINARY:
    check_span(walk, expr->binary.op_span);
    check_expr(walk, expr->binary.left, depth);
    check_expr(walk, expr->binary.right, depth);
    break;
  case DK_EXPR_RANGE:
    check_expr(walk, expr->range.first, depth);
    check_expr(walk, expr->range.last, depth);
    if (expr->range.step) check_expr(walk, expr->range.step, depth);
    break;
  case DK_EXPR_IF:
    check_expr(walk, expr->conditional.condition, depth);
    check_expr(walk, expr->conditional.then, depth);
    check_expr(walk, expr->conditional.otherwise, depth);
    break;
  case DK_EXPR_WITH:
    check_expr(walk, expr->with.of, depth);
    check_fields(walk, &expr->with.fields, depth);
    break;
  case DK_EXPR_FOR: check_comprehension(walk, expr); break;
  case DK_EXPR_WHERE:
    check_expr(walk, expr->where.of, depth);
    check_expr(walk, expr->where.predicate, depth);
    break;
  case DK_EXPR_REF: CHECK(expr->kind != DK_EXPR_REF); break; /* made by check only */
  }
}

static void check_expr(struct walk *walk, const struct dk_expr *expr, uint32_t above) {
  CHECK(expr && expr->depth > 0 && expr->depth < above);
  check_span(walk, expr->span);
  check_parts(walk, expr);
}

static void check_value(struct walk *walk, const struct dk_expr *expr) {
  if (expr) check_expr(walk, expr, DK_EXPR_DEPTH_MAX + 1);
}

static void check_block(struct walk *walk, const struct dk_block *block) {
  check_span(walk, block->span);
  for (uint32_t i = 0; i < block->count; i++) {
    const struct dk_stmt *stmt = &block->items[i];
    check_span(walk, stmt->span);
    check_value(walk, stmt->value);
    check_value(walk, stmt->message);
    if (stmt->name) check_span(walk, stmt->name_span);
    for (uint32_t j = 0; j < stmt->n_names; j++) CHECK(stmt->names[j] && stmt->name_spans[j].end > 0);
    switch (stmt->kind) {
    case DK_STMT_FIELD: CHECK(stmt->name && stmt->value && !stmt->block); break;
    case DK_STMT_BLOCK: CHECK(stmt->name && stmt->block); break;
    case DK_STMT_AXIS:
    case DK_STMT_DRAW_AXIS: CHECK(stmt->n_names > 0 && stmt->value); break;
    case DK_STMT_EXCLUDE:
    case DK_STMT_INCLUDE:
    case DK_STMT_REQUIRE: CHECK(stmt->value); break;
    }
    if (stmt->block) check_block(walk, stmt->block);
  }
}

static void check_decl(struct walk *walk, const struct dk_module *module, const struct dk_decl *decl) {
  check_span(walk, decl->span);
  CHECK(decl->module == module && module->decls[decl->index] == decl);
  CHECK(decl->name || decl->kind == DK_DECL_REPORT);
  check_value(walk, decl->value);
  check_value(walk, decl->over);
  if (decl->block) check_block(walk, decl->block);
  switch (decl->kind) {
  case DK_DECL_PARAM:
  case DK_DECL_LET:
  case DK_DECL_SOURCE: CHECK(decl->value && !decl->block); break;
  case DK_DECL_GRID: CHECK((decl->value != NULL) != (decl->block != NULL)); break;
  case DK_DECL_IMPORT: CHECK(decl->path); break;
  default: CHECK(decl->block); break;
  }
}

static void show(struct dk_diags *diags, const struct walk *walk) {
  CHECK(walk->error_nodes == 0 || diags->n_errors > 0);
  for (uint32_t i = 0; i < diags->count; i++) {
    check_span(walk, diags->items[i]->span);
    CHECK(diags->items[i]->message[0] != '\0');
    for (uint32_t j = 0; j < diags->items[i]->n_labels; j++) check_span(walk, diags->items[i]->labels[j].span);
  }
  dk_diags_sort(diags);
  struct dk_buf out = DK_BUF_INIT;
  dk_diags_render(diags, false, &out);
  for (size_t i = 0; i < out.len; i++) CHECK(out.data[i] == '\n' || (unsigned char)out.data[i] >= 0x20);
  CHECK(dk_utf8_is_valid(dk_buf_text(&out), out.len));
  CHECK(dk_diags_render_json(diags, &out) == 0);
  dk_buf_finish(&out);
}

static void check_both(struct dk_arena *arena, const void *data, size_t len) {
  struct dk_strs strs;
  struct dk_sources sources;
  struct dk_diags diags;
  dk_strs_init(&strs, arena);
  dk_sources_init(&sources, arena);
  dk_diags_init(&diags, arena, &sources);
  struct dk_parse_env env = {arena, &strs, &diags};
  struct walk walk = {.source = dk_sources_add(&sources, "fuzz.dk", data, len)};
  const struct dk_module *module = dk_parse_file(&env, walk.source);
  for (uint32_t i = 0; i < module->n_decls; i++) {
    check_decl(&walk, module, module->decls[i]);
    CHECK(!module->decls[i]->has_errors || diags.n_errors > 0);
  }
  show(&diags, &walk);

  dk_diags_init(&diags, arena, &sources);
  walk = (struct walk){.source = dk_sources_add(&sources, "fuzz.dk", data, len)};
  const struct dk_expr *expr = dk_parse_expr(&env, walk.source);
  CHECK((expr == NULL) == (diags.n_errors > 0));
  check_value(&walk, expr);
  CHECK(walk.error_nodes == 0);
  show(&diags, &walk);
}

void dk_check_parse(const void *data, size_t len) {
  struct dk_arena arena;
  jmp_buf on_oom;
  dk_arena_init(&arena, &on_oom);
  if (setjmp(on_oom) == 0) check_both(&arena, data, len);
  dk_arena_finish(&arena);
}

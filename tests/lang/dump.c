/* The tree as text: expressions fully bracketed on one line, `(+ 1 (* 2 3))`, blocks indented. */
#include "tests/lang/dump.h"

#include "lang/base/number.h"

#include <inttypes.h>

static const char *const ops[] = {
    [DK_OP_ADD] = "+",       [DK_OP_SUB] = "-",   [DK_OP_MUL] = "*", [DK_OP_DIV] = "/",   [DK_OP_FLOORDIV] = "//",
    [DK_OP_MOD] = "%",       [DK_OP_POW] = "**",  [DK_OP_EQ] = "==", [DK_OP_NE] = "!=",   [DK_OP_LT] = "<",
    [DK_OP_LE] = "<=",       [DK_OP_GT] = ">",    [DK_OP_GE] = ">=", [DK_OP_IN] = "in",   [DK_OP_NOT_IN] = "not in",
    [DK_OP_COALESCE] = "??", [DK_OP_AND] = "and", [DK_OP_OR] = "or", [DK_OP_NEG] = "neg", [DK_OP_NOT] = "not",
};

static const char *const decls[] = {
    [DK_DECL_EXPERIMENT] = "experiment",
    [DK_DECL_PARAM] = "param",
    [DK_DECL_LET] = "let",
    [DK_DECL_RESOURCE] = "resource",
    [DK_DECL_GRID] = "grid",
    [DK_DECL_TASK] = "task",
    [DK_DECL_PICK] = "pick",
    [DK_DECL_REPORT] = "report",
    [DK_DECL_IMPORT] = "import",
    [DK_DECL_IMAGE] = "image",
    [DK_DECL_SOURCE] = "source",
    [DK_DECL_PROVIDER] = "provider",
};

static void add_str(struct dk_buf *out, const struct dk_str *str) {
  dk_buf_add_escaped(out, str->text, str->len);
}

static void dump_fields(const struct dk_fields *fields, struct dk_buf *out) {
  for (uint32_t i = 0; i < fields->count; i++) {
    dk_buf_add_char(out, ' ');
    if (fields->items[i].name) {
      add_str(out, fields->items[i].name);
      dk_buf_add_char(out, '=');
    }
    dk_dump_expr(fields->items[i].value, out);
  }
}

static void dump_string(const struct dk_expr *expr, struct dk_buf *out) {
  static const char *const quotes[] = {[DK_QUOTE_DOUBLE] = "\"", [DK_QUOTE_RAW] = "'", [DK_QUOTE_BLOCK] = "\"\"\""};
  dk_buf_add_text(out, quotes[expr->string.quote]);
  for (uint32_t i = 0; i < expr->string.n_parts; i++) {
    const struct dk_string_part *part = &expr->string.parts[i];
    if (part->literal) {
      add_str(out, part->literal);
      continue;
    }
    dk_buf_add_text(out, "{{");
    dk_dump_expr(part->hole, out);
    dk_buf_add_text(out, "}}");
  }
  dk_buf_add_text(out, quotes[expr->string.quote]);
}

/* (word a b c); NULL parts are left out. */
static void dump_node(const char *word, const struct dk_expr *const *parts, uint32_t n, struct dk_buf *out) {
  dk_buf_printf(out, "(%s", word);
  for (uint32_t i = 0; i < n; i++) {
    if (!parts[i]) continue;
    dk_buf_add_char(out, ' ');
    dk_dump_expr(parts[i], out);
  }
  dk_buf_add_char(out, ')');
}

#define NODE(word, ...)                                                                                                \
  do {                                                                                                                 \
    const struct dk_expr *const parts_[] = {__VA_ARGS__};                                                              \
    dump_node((word), parts_, sizeof parts_ / sizeof *parts_, out);                                                    \
  } while (0)

static void dump_comprehension(const struct dk_expr *expr, struct dk_buf *out) {
  dk_buf_add_text(out, "(each ");
  dk_dump_expr(expr->comprehension.value, out);
  for (uint32_t i = 0; i < expr->comprehension.n_fors; i++) {
    const struct dk_for *item = &expr->comprehension.fors[i];
    dk_buf_add_text(out, " for");
    for (uint32_t j = 0; j < item->n_names; j++) dk_buf_printf(out, " %s", item->names[j]->text);
    dk_buf_add_text(out, " in ");
    dk_dump_expr(item->in, out);
    for (uint32_t j = 0; j < item->ifs.count; j++) {
      dk_buf_add_text(out, " if ");
      dk_dump_expr(item->ifs.items[j], out);
    }
  }
  dk_buf_add_char(out, ')');
}

static void dump_headed(const char *word, const struct dk_expr *of, const struct dk_fields *fields,
                        struct dk_buf *out) {
  dk_buf_printf(out, "(%s ", word);
  dk_dump_expr(of, out);
  dump_fields(fields, out);
  dk_buf_add_char(out, ')');
}

static void dump_leaf(const struct dk_expr *expr, struct dk_buf *out) {
  char number[DK_NUMBER_TEXT];
  switch (expr->kind) {
  case DK_EXPR_NULL: dk_buf_add_text(out, "null"); break;
  case DK_EXPR_BOOL: dk_buf_add_text(out, expr->boolean ? "true" : "false"); break;
  case DK_EXPR_INT: dk_buf_printf(out, "%" PRId64, expr->integer); break;
  case DK_EXPR_FLOAT:
    dk_number_text(expr->number, number);
    dk_buf_printf(out, "%sf", number);
    break;
  case DK_EXPR_QUANTITY: dk_buf_printf(out, "#%s", expr->text->text); break;
  case DK_EXPR_NAME: add_str(out, expr->name.name); break;
  case DK_EXPR_STRING: dump_string(expr, out); break;
  default: dk_buf_add_text(out, "ERROR"); break;
  }
}

void dk_dump_expr(const struct dk_expr *expr, struct dk_buf *out) {
  switch (expr->kind) {
  case DK_EXPR_LIST:
    dump_node(expr->list.is_tuple ? "tuple" : "list", (const struct dk_expr *const *)expr->list.items.items,
              expr->list.items.count, out);
    break;
  case DK_EXPR_RECORD:
    dk_buf_add_text(out, "(record");
    dump_fields(&expr->record.fields, out);
    dk_buf_add_char(out, ')');
    break;
  case DK_EXPR_MEMBER:
    dk_buf_add_text(out, "(. ");
    dk_dump_expr(expr->member.of, out);
    dk_buf_printf(out, " %s)", expr->member.name->text);
    break;
  case DK_EXPR_INDEX: NODE("index", expr->index.of, expr->index.index); break;
  case DK_EXPR_SELECT: dump_headed("select", expr->select.of, &expr->select.selectors, out); break;
  case DK_EXPR_CALL: dump_headed("call", expr->call.callee, &expr->call.args, out); break;
  case DK_EXPR_WITH: dump_headed("with", expr->with.of, &expr->with.fields, out); break;
  case DK_EXPR_UNARY: NODE(ops[expr->unary.op], expr->unary.operand); break;
  case DK_EXPR_BINARY: NODE(ops[expr->binary.op], expr->binary.left, expr->binary.right); break;
  case DK_EXPR_RANGE: NODE("..", expr->range.first, expr->range.last, expr->range.step); break;
  case DK_EXPR_IF: NODE("if", expr->conditional.condition, expr->conditional.then, expr->conditional.otherwise); break;
  case DK_EXPR_WHERE: NODE("where", expr->where.of, expr->where.predicate); break;
  case DK_EXPR_FOR: dump_comprehension(expr, out); break;
  default: dump_leaf(expr, out); break;
  }
}

static void dump_block(const struct dk_block *block, int depth, struct dk_buf *out);

static void dump_stmt(const struct dk_stmt *stmt, int depth, struct dk_buf *out) {
  static const char *const words[] = {
      [DK_STMT_AXIS] = "in",         [DK_STMT_DRAW_AXIS] = "~",     [DK_STMT_EXCLUDE] = "exclude",
      [DK_STMT_INCLUDE] = "include", [DK_STMT_REQUIRE] = "require", [DK_STMT_FIELD] = "=",
      [DK_STMT_BLOCK] = ""};
  dk_buf_add_repeat(out, ' ', (size_t)depth * 2);
  if (stmt->is_vary) dk_buf_add_text(out, "vary ");
  if (stmt->name) add_str(out, stmt->name);
  for (uint32_t i = 0; i < stmt->n_names; i++) dk_buf_printf(out, "%s%s", i ? ", " : "", stmt->names[i]->text);
  if (stmt->name || stmt->n_names > 0) dk_buf_add_char(out, ' ');
  dk_buf_add_text(out, words[stmt->kind]);
  if (stmt->value) {
    dk_buf_add_char(out, ' ');
    dk_dump_expr(stmt->value, out);
  }
  if (stmt->message) {
    dk_buf_add_text(out, ", ");
    dk_dump_expr(stmt->message, out);
  }
  if (stmt->block)
    dump_block(stmt->block, depth, out);
  else
    dk_buf_add_char(out, '\n');
}

static void dump_block(const struct dk_block *block, int depth, struct dk_buf *out) {
  dk_buf_add_text(out, block->has_errors ? "{ with errors\n" : "{\n");
  for (uint32_t i = 0; i < block->count; i++) dump_stmt(&block->items[i], depth + 1, out);
  dk_buf_add_repeat(out, ' ', (size_t)depth * 2);
  dk_buf_add_text(out, "}\n");
}

static void dump_decl(const struct dk_decl *decl, struct dk_buf *out) {
  dk_buf_printf(out, "%s%s", decl->has_errors ? "broken " : "", decls[decl->kind]);
  if (decl->name) dk_buf_printf(out, " %s", decl->name->text);
  if (decl->is_function) {
    for (uint32_t i = 0; i < decl->n_params; i++) dk_buf_printf(out, "%s%s", i ? ", " : "(", decl->params[i]->text);
    dk_buf_add_text(out, decl->n_params ? ")" : "()");
  }
  if (decl->path) {
    dk_buf_add_text(out, decl->path_is_std ? " std " : " file ");
    add_str(out, decl->path);
  }
  if (decl->over) {
    dk_buf_add_text(out, " over ");
    dk_dump_expr(decl->over, out);
  }
  if (decl->value) {
    dk_buf_add_text(out, " = ");
    dk_dump_expr(decl->value, out);
  }
  if (decl->block) {
    dk_buf_add_char(out, ' ');
    dump_block(decl->block, 0, out);
  } else {
    dk_buf_add_char(out, '\n');
  }
}

void dk_dump_module(const struct dk_module *module, struct dk_buf *out) {
  for (uint32_t i = 0; i < module->n_decls; i++) dump_decl(module->decls[i], out);
}

/* Bodies by their schema: which fields are there, unknown and repeated ones, kinds of literals. */
#include "lang/check/internal.h"

#include <assert.h>
#include <string.h>

void dk_not_built(struct dk_checker *checker, struct dk_span span, const char *what) {
  struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0220, span, "%s is not built yet in this version", what);
  dk_diag_note(checker->diags, diag, "the language has it, this program does not do it yet");
}

static void unknown_field(struct dk_checker *checker, const struct dk_schema *schema, const struct dk_stmt *stmt) {
  struct dk_diag *diag =
      dk_diag_add(checker->diags, DK_E0206, stmt->name_span, "no field `%s` in %s", stmt->name->text, schema->what);
  const char *near = dk_schema_nearest(schema, stmt->name->text);
  if (near) dk_diag_help(checker->diags, diag, "did you mean `%s`?", near);
  const char *names[DK_BODY_MAX];
  uint32_t n = 0;
  for (uint32_t i = 0; i < schema->n_fields; i++)
    if (!schema->fields[i].is_later) names[n++] = schema->fields[i].name;
  dk_diag_note(checker->diags, diag, "%s has %s", schema->what, dk_scope_list(checker, names, n));
}

/* A statement that is no field: a grid's clause in a task, say. */
static void not_a_field(struct dk_checker *checker, const struct dk_schema *schema, const struct dk_stmt *stmt) {
  struct dk_diag *diag =
      dk_diag_add(checker->diags, DK_E0206, stmt->span, "a grid's clause cannot stand in %s", schema->what);
  dk_diag_help(checker->diags, diag, "declare a grid, and the task `over` it");
}

static bool is_wrong_form(struct dk_checker *checker, const struct dk_schema_field *field, const struct dk_stmt *stmt) {
  if (stmt->kind == DK_STMT_BLOCK ? field->kinds & DK_KIND_BLOCK : field->kinds & ~(uint32_t)DK_KIND_BLOCK)
    return false;
  /* `inputs = { ... }` and `retry = { ... }` are taken for blocks by no one. */
  struct dk_diag *diag =
      dk_diag_add(checker->diags, DK_E0209, stmt->name_span, "`%s` wants %s", field->name, field->wants);
  if (stmt->kind == DK_STMT_BLOCK)
    dk_diag_help(checker->diags, diag, "write it with `=`: `%s = ...`", field->name);
  else
    dk_diag_help(checker->diags, diag, "write it without `=`: `%s { ... }`", field->name);
  return true;
}

bool dk_body_tried(const struct dk_schema *schema, const struct dk_block *block, const char *name) {
  for (uint32_t i = 0; block && i < block->count; i++) {
    if (!block->items[i].name) continue;
    const char *written = block->items[i].name->text;
    const char *near = dk_schema_find(schema, written) ? written : dk_schema_nearest(schema, written);
    if (near && strcmp(near, name) == 0) return true;
  }
  return false;
}

void dk_body_read(struct dk_checker *checker, const struct dk_schema *schema, const struct dk_block *block,
                  struct dk_span owner, struct dk_stmt *found[DK_BODY_MAX]) {
  assert(schema->n_fields <= DK_BODY_MAX);
  memset(found, 0, DK_BODY_MAX * sizeof *found);
  for (uint32_t i = 0; block && i < block->count; i++) {
    struct dk_stmt *stmt = &block->items[i];
    if (stmt->kind != DK_STMT_FIELD && stmt->kind != DK_STMT_BLOCK) {
      not_a_field(checker, schema, stmt);
      continue;
    }
    const struct dk_schema_field *field = dk_schema_find(schema, stmt->name->text);
    if (!field) {
      unknown_field(checker, schema, stmt);
      continue;
    }
    uint32_t index = (uint32_t)(field - schema->fields);
    if (found[index]) {
      struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0207, stmt->name_span, "`%s` is given twice", field->name);
      dk_diag_label_at(checker->diags, diag, found[index]->name_span, "given here first");
    } else if (field->is_later) {
      dk_not_built(checker, stmt->name_span, dk_arena_printf(checker->arena, "`%s`", field->name));
    } else if (!is_wrong_form(checker, field, stmt)) {
      found[index] = stmt;
    }
  }
  for (uint32_t i = 0; i < schema->n_fields; i++) {
    if (!schema->fields[i].is_required || found[i] || (block && block->has_errors)) continue;
    if (dk_body_tried(schema, block, schema->fields[i].name)) continue;
    struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0208, owner, "this %s lacks `%s`",
                                       strchr(schema->what, ' ') + 1, schema->fields[i].name);
    dk_diag_help(checker->diags, diag, "add `%s = ...`: %s", schema->fields[i].name, schema->fields[i].wants);
  }
}

struct dk_stmt *dk_body_field(const struct dk_schema *schema, struct dk_stmt *const found[DK_BODY_MAX],
                              const char *name) {
  const struct dk_schema_field *field = dk_schema_find(schema, name);
  assert(field);
  return found[field - schema->fields];
}

/* By its unit, which eval judges in full: an unknown one may be of any kind. */
static uint32_t quantity_kinds(const char *text, const char **ret_name) {
  size_t len = strlen(text), unit = len;
  while (unit > 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", text[unit - 1])) unit--;
  bool capitals = len - unit == 3 && strspn(text + unit, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3;
  static const char *const times[] = {"ns", "us", "ms", "s", "m", "h", "d"};
  if (strchr(text, '/')) {
    *ret_name = "a rate";
    return DK_KIND_RATE;
  }
  if (capitals) {
    *ret_name = "an amount of money";
    return DK_KIND_MONEY;
  }
  if (len && text[len - 1] == 'B') {
    *ret_name = "a size";
    return DK_KIND_SIZE;
  }
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    if (strcmp(text + unit, times[i]) != 0) continue;
    *ret_name = "a duration";
    return DK_KIND_DURATION;
  }
  *ret_name = "a quantity";
  return DK_KIND_SIZE | DK_KIND_DURATION | DK_KIND_MONEY | DK_KIND_RATE;
}

/* 4GIB is four of a currency: `GiB` was meant. */
static void help_size(struct dk_checker *checker, const struct dk_schema_field *field, const struct dk_expr *value,
                      struct dk_diag *diag) {
  if (value->kind != DK_EXPR_QUANTITY || !(field->kinds & DK_KIND_SIZE)) return;
  const char *text = value->text->text;
  size_t len = strlen(text);
  if (len > 3 && strcmp(text + len - 2, "IB") == 0)
    dk_diag_help(checker->diags, diag, "did you mean `%.*s%ciB`?", (int)(len - 3), text, text[len - 3]);
}

/* Kinds of a literal, 0 for what is none. */
static uint32_t literal_kinds(const struct dk_expr *expr, const char **ret_name) {
  switch (expr->kind) {
  case DK_EXPR_NULL: *ret_name = "null"; return DK_KIND_NULL;
  case DK_EXPR_BOOL: *ret_name = "a bool"; return DK_KIND_BOOL;
  case DK_EXPR_INT: *ret_name = "an integer"; return DK_KIND_INT | DK_KIND_FLOAT;
  case DK_EXPR_FLOAT: *ret_name = "a float"; return DK_KIND_FLOAT;
  case DK_EXPR_STRING: *ret_name = "a string"; return DK_KIND_TEXT;
  case DK_EXPR_LIST:
  case DK_EXPR_RANGE:
  case DK_EXPR_FOR: *ret_name = "a list"; return DK_KIND_LIST;
  case DK_EXPR_RECORD: *ret_name = "a record"; return DK_KIND_RECORD;
  case DK_EXPR_QUANTITY: return quantity_kinds(expr->text->text, ret_name);
  default: return 0;
  }
}

void dk_body_kind(struct dk_checker *checker, const struct dk_schema_field *field, struct dk_expr *value) {
  const char *name = "";
  uint32_t kinds = literal_kinds(value, &name);
  if (!kinds || kinds & field->kinds) return;
  struct dk_diag *diag =
      dk_diag_add(checker->diags, DK_E0209, value->span, "`%s` wants %s, not %s", field->name, field->wants, name);
  dk_diag_label(checker->diags, diag, "this is %s", name);
  help_size(checker, field, value, diag);
  dk_resolve_error(value);
}

uint32_t dk_body_names(struct dk_checker *checker, const struct dk_schema_field *field, const struct dk_stmt *stmt,
                       struct dk_expr ***ret) {
  struct dk_expr *value = stmt->value;
  if (!value || value->kind == DK_EXPR_ERROR) return 0;
  uint32_t n = 1;
  struct dk_expr **items = dk_arena_array(checker->arena, struct dk_expr *, 1);
  items[0] = value;
  if (value->kind == DK_EXPR_LIST) {
    n = value->list.items.count;
    items = value->list.items.items;
  }
  for (uint32_t i = 0; i < n; i++) {
    if (items[i]->kind == DK_EXPR_ERROR) return 0;
    bool member = items[i]->kind == DK_EXPR_MEMBER && items[i]->member.of->kind == DK_EXPR_NAME;
    if (items[i]->kind == DK_EXPR_NAME || member) continue;
    struct dk_diag *diag =
        dk_diag_add(checker->diags, DK_E0209, items[i]->span, "`%s` wants %s", field->name, field->wants);
    if (items[i]->kind == DK_EXPR_STRING) dk_diag_help(checker->diags, diag, "write the name without quotes");
    return 0;
  }
  *ret = items;
  return n;
}

static bool named_equal(const void *ctx, uint32_t item, const void *key) {
  const struct dk_named_exprs *exprs = ctx;
  return exprs->items[item].name == key;
}

void dk_body_named(struct dk_checker *checker, const struct dk_block *block, const char *what,
                   struct dk_named_exprs *ret) {
  struct dk_map seen;
  dk_map_init(&seen, checker->arena);
  for (uint32_t i = 0; block && i < block->count; i++) {
    const struct dk_stmt *stmt = &block->items[i];
    if (stmt->kind != DK_STMT_FIELD) {
      struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0206, stmt->span, "`%s` holds only `name = value`", what);
      if (stmt->kind == DK_STMT_BLOCK)
        dk_diag_help(checker->diags, diag, "a record is written with `=`: `%s = { ... }`", stmt->name->text);
      continue;
    }
    uint64_t hash = dk_hash_u64(stmt->name->id, 0);
    uint32_t first = dk_map_find(&seen, hash, named_equal, ret, stmt->name);
    if (first != DK_MAP_NONE) {
      struct dk_diag *diag =
          dk_diag_add(checker->diags, DK_E0207, stmt->name_span, "`%s` is given twice", stmt->name->text);
      dk_diag_label_at(checker->diags, diag, ret->items[first].name_span, "given here first");
      continue;
    }
    if (ret->count == DK_CHECK_MAX_ITEMS) {
      dk_diag_add(checker->diags, DK_E0221, stmt->name_span, "`%s` holds at most %d items", what, DK_CHECK_MAX_ITEMS);
      return;
    }
    (void)dk_map_add(&seen, hash, ret->count); /* an arena's map jumps instead of failing */
    dk_arena_push(checker->arena, ret->items, ret->count, ret->cap) =
        (struct dk_named_expr){stmt->name, stmt->name_span, stmt->value};
  }
}

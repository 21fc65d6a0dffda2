/* `run` becomes a program: holes, quoting, what may stand in them. See program.h. */
#include "lang/plan/program.h"

#include "lang/plan/quote.h"

#include <string.h>

struct making {
  struct dk_template_build *build;
  struct dk_planner *planner;
  struct dk_program *program;
  uint32_t cap_holes, cap_text, cap_script, cap_words;
};

/* --- holes --- */

static bool input_is_list(struct dk_template_build *build, const char *name) {
  for (uint32_t i = 0; i < build->tmpl->n_inputs; i++) {
    const struct dk_input *input = &build->tmpl->inputs[i];
    if (strcmp(input->name, name) != 0) continue;
    if (input->kind == DK_INPUT_GATHER) return true;
    const struct dk_cell *cell = &input->cell;
    uint32_t n = cell->kind == DK_CELL_CONST ? 1 : cell->kind == DK_CELL_COLUMN ? cell->column.card : 0;
    for (uint32_t k = 0; k < n; k++) {
      dk_value_id value = cell->kind == DK_CELL_CONST ? cell->value : cell->column.values[k];
      if (dk_value_get(build->planner->values, value)->type == DK_TYPE_LIST) return true;
    }
  }
  return false;
}

static bool late_is_list(struct dk_template_build *build, const struct dk_expr *expr) {
  switch (expr->kind) {
  case DK_EXPR_LIST:
  case DK_EXPR_FOR: return true;
  case DK_EXPR_REF: return expr->ref.is_gather;
  case DK_EXPR_MEMBER:
    return expr->member.of->kind == DK_EXPR_NAME && expr->member.of->name.binding.kind == DK_BIND_INPUTS &&
           input_is_list(build, expr->member.name->text);
  case DK_EXPR_IF:
    return late_is_list(build, expr->conditional.then) || late_is_list(build, expr->conditional.otherwise);
  default: return false;
  }
}

struct check {
  struct making *making;
  struct dk_hole *hole;
  struct dk_span span;
};

static bool text_fault(struct check *check, dk_value_id value, uint32_t row) {
  struct dk_planner *planner = check->making->planner;
  const struct dk_value *v = dk_value_get(planner->values, value);
  if (v->type == DK_TYPE_STRING) {
    const struct dk_str *text = dk_value_str(planner->values, value);
    if (!memchr(text->text, '\0', text->len)) return true;
    dk_template_error(check->making->build, DK_E0612, check->span, row, "`%s` has a NUL byte", check->hole->source);
    return false;
  }
  if (v->type != DK_TYPE_NULL && v->type != DK_TYPE_RECORD && v->type != DK_TYPE_CALL && v->type != DK_TYPE_LIST)
    return true;
  struct dk_diag *diag = dk_template_error(check->making->build, DK_E0601, check->span, row,
                                           check->hole->is_list ? "an element of `%s` is %s, which is no text"
                                                                : "`%s` is %s, which is no text",
                                           check->hole->source, dk_type_name((enum dk_type)v->type));
  if (v->type == DK_TYPE_NULL && !check->hole->is_list)
    dk_diag_help(planner->diags, diag, "`{{%s ?? \"\"}}` gives it a text where it is null", check->hole->source);
  if (v->type == DK_TYPE_NULL && check->hole->is_list)
    dk_diag_help(planner->diags, diag, "`[x for x in %s if x != null]` leaves such elements out", check->hole->source);
  if (v->type == DK_TYPE_RECORD && !check->hole->is_list)
    dk_diag_help(planner->diags, diag, "name one of its fields, as in `{{%s.name}}`", check->hole->source);
  return false;
}

static bool check_value(void *ctx, dk_value_id value, uint32_t row) {
  struct check *check = ctx;
  struct dk_planner *planner = check->making->planner;
  if (dk_value_get(planner->values, value)->type != DK_TYPE_LIST) return text_fault(check, value, row);
  check->hole->is_list = true;
  uint32_t n = dk_value_get(planner->values, value)->len;
  for (uint32_t i = 0; i < n; i++)
    if (!text_fault(check, dk_value_item(planner->values, value, i), row)) return false;
  return true;
}

static struct dk_expr *raw_argument(const struct dk_expr *expr) {
  if (expr->kind != DK_EXPR_CALL || expr->call.callee->kind != DK_EXPR_NAME) return NULL;
  if (strcmp(expr->call.callee->name.name->text, "raw") != 0 || expr->call.args.count < 1) return NULL;
  return expr->call.args.items[0].value;
}

/* The declaration that a name stands for, when a value is written there. */
static const struct dk_decl *decl_of(const struct dk_expr *expr) {
  if (expr->kind == DK_EXPR_NAME && expr->name.binding.kind == DK_BIND_DECL) return expr->name.binding.decl;
  if (expr->kind != DK_EXPR_MEMBER || expr->member.of->kind != DK_EXPR_NAME ||
      expr->member.of->name.binding.kind != DK_BIND_MODULE)
    return NULL;
  const struct dk_module *module = expr->member.of->name.binding.module;
  for (uint32_t i = 0; module && i < module->n_decls; i++)
    if (module->decls[i]->name == expr->member.name) return module->decls[i];
  return NULL;
}

static void set_origin(struct making *making, struct dk_hole *hole, struct dk_span span) {
  const struct dk_decl *decl = decl_of(hole->expr);
  bool is_value = decl && !decl->module->is_std && (decl->kind == DK_DECL_LET || decl->kind == DK_DECL_PARAM);
  hole->path = dk_span_path(making->planner, is_value ? decl->name_span : span, &hole->line);
}

static bool add_hole(struct making *making, struct dk_expr *expr, struct dk_span span, uint32_t *ret) {
  struct dk_program *program = making->program;
  struct dk_expr *raw = raw_argument(expr);
  const char *source = dk_expr_source(making->planner, raw ? raw : expr);
  for (uint32_t i = 0; i < program->n_holes; i++) {
    if (program->holes[i].is_raw != (raw != NULL) || strcmp(program->holes[i].source, source) != 0) continue;
    *ret = i;
    return true;
  }
  struct dk_hole hole = {.expr = raw ? raw : expr, .source = source, .is_raw = raw != NULL};
  if (!dk_template_cell(making->build, hole.expr, "a hole", DK_LATE_REFS, NULL, &hole.cell)) {
    making->build->failed = true;
    return false;
  }
  struct check check = {making, &hole, span};
  if (hole.cell.kind == DK_CELL_LATE)
    hole.is_list = late_is_list(making->build, hole.expr);
  else if (!dk_cell_each(making->planner, &hole.cell, making->build->tmpl->points.rows, NULL, check_value, &check))
    return false;
  set_origin(making, &hole, span);
  *ret = program->n_holes;
  dk_arena_push(making->planner->arena, program->holes, program->n_holes, making->cap_holes) = hole;
  return true;
}

/* --- text for the shell --- */

static const char *const refusals[] = {
    [DK_QUOTE_IN_COMMENT] = "a hole in a comment",
    [DK_QUOTE_IN_HEREDOC] = "a hole in a here-document whose delimiter is quoted",
    [DK_QUOTE_IN_DELIMITER] = "a hole in a here-document's delimiter",
    [DK_QUOTE_IN_BACKTICKS] = "a hole in backticks",
    [DK_QUOTE_IN_ARITHMETIC] = "a hole where bash evaluates arithmetic",
    [DK_QUOTE_IN_PARAMETER] = "a hole in the name of a parameter",
    [DK_QUOTE_AFTER_BACKSLASH] = "a hole behind a backslash",
    [DK_QUOTE_LIST_IN_WORD] = "a list that is no word of its own",
    [DK_QUOTE_TOO_DEEP] = "a hole in quoting that is nested too deep",
};
static const enum dk_code refusal_codes[] = {
    [DK_QUOTE_IN_COMMENT] = DK_E0602,      [DK_QUOTE_IN_HEREDOC] = DK_E0603,    [DK_QUOTE_IN_DELIMITER] = DK_E0608,
    [DK_QUOTE_IN_BACKTICKS] = DK_E0604,    [DK_QUOTE_IN_ARITHMETIC] = DK_E0605, [DK_QUOTE_IN_PARAMETER] = DK_E0606,
    [DK_QUOTE_AFTER_BACKSLASH] = DK_E0607, [DK_QUOTE_LIST_IN_WORD] = DK_E0609,  [DK_QUOTE_TOO_DEEP] = DK_E0613,
};
static const char *const refusal_helps[] = {
    [DK_QUOTE_IN_COMMENT] = "take it out of the comment",
    [DK_QUOTE_IN_HEREDOC] = "write the delimiter without quotes, or make the file with write(name, value) in `inputs`",
    [DK_QUOTE_IN_DELIMITER] = "use a fixed word",
    [DK_QUOTE_IN_BACKTICKS] = "write $(...) instead",
    [DK_QUOTE_IN_ARITHMETIC] =
        "give it to a variable in front (`n={{n}}`) and use `n` there, or compute it inside the hole",
    [DK_QUOTE_IN_PARAMETER] = "choose inside the hole instead",
    [DK_QUOTE_AFTER_BACKSLASH] = "take the backslash out, or double it",
    [DK_QUOTE_LIST_IN_WORD] = "put blanks around it, or make one text of it with join(xs, \",\")",
    [DK_QUOTE_TOO_DEEP] = "split the script, or put it into a file of `code`",
};

static void refuse(struct making *making, const struct dk_string_part *part, enum dk_quote_result result) {
  struct dk_diag *diag =
      dk_template_error(making->build, refusal_codes[result], part->span, DK_NO_ROW, "%s", refusals[result]);
  dk_diag_help(making->planner->diags, diag, "%s", refusal_helps[result]);
}

/* The literal text that a part is, NULL for a hole. {{"{{"}} stands for two braces: text of the author's own, wherever
 * it stands. */
static const struct dk_str *literal_of(const struct dk_string_part *part) {
  if (part->literal || !part->hole || part->hole->kind != DK_EXPR_STRING) return part->literal;
  const struct dk_expr *hole = part->hole;
  const struct dk_str *text = hole->string.n_parts == 1 ? hole->string.parts[0].literal : NULL;
  return text && strcmp(text->text, "{{") == 0 ? text : NULL;
}

/* The byte behind part i as dk_quote_hole wants it. */
static int byte_behind(const struct dk_expr *string, uint32_t i) {
  if (i + 1 == string->string.n_parts) return '\0';
  const struct dk_string_part *next = &string->string.parts[i + 1];
  const struct dk_str *literal = literal_of(next);
  if (!literal) return -1;
  return literal->len ? (unsigned char)literal->text[0] : '\0';
}

/* The line that the text of part i begins in: a block's text begins behind the line end that follows its quotes. */
static uint32_t line_of(struct making *making, const struct dk_expr *string, uint32_t i) {
  struct dk_place place = dk_sources_place(making->planner->checked->sources, string->string.parts[i].span.start);
  if (i > 0 || string->string.quote != DK_QUOTE_BLOCK || !place.source) return place.line;
  const char *at = place.source->text + place.offset;
  at += strspn(at, " \t");
  at += *at == '\r';
  return place.line + (*at == '\n');
}

static void add_piece(struct making *making, struct dk_piece **list, uint32_t *n, uint32_t *cap,
                      struct dk_piece piece) {
  if (piece.hole == DK_NO_HOLE && piece.len == 0) return;
  dk_arena_push(making->planner->arena, *list, *n, *cap) = piece;
}

/* What was quoted since the last raw hole becomes a piece of the script. */
static void flush_script(struct making *making, struct dk_buf *out) {
  struct dk_program *program = making->program;
  size_t len = out->len;
  if (!dk_buf_ok(out)) longjmp(*making->planner->arena->on_oom, 1);
  const char *text = dk_arena_strndup(making->planner->arena, dk_buf_text(out), len);
  dk_buf_clear(out);
  add_piece(making, &program->script, &program->n_script, &making->cap_script,
            (struct dk_piece){text, len, DK_NO_HOLE, 0});
}

static void warn_parsed_again(struct making *making, const struct dk_expr *string, const struct dk_quote_state *state) {
  for (uint32_t w = 0; w < state->n_warnings; w++) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < string->string.n_parts; i++) {
      if (literal_of(&string->string.parts[i]) || at++ != state->warnings[w].hole) continue;
      struct dk_diag *diag = dk_template_error(making->build, DK_W0614, string->string.parts[i].span, DK_NO_ROW,
                                               "`%s` parses this value again", state->warnings[w].command);
      dk_diag_help(making->planner->diags, diag, "pass it as an argument of its own, or by `env`");
    }
  }
}

/* Numbers the holes of a string; false when one is wrong. numbers[i] is for part i. */
static bool number_holes(struct making *making, const struct dk_expr *string, uint32_t *numbers) {
  bool ok = true;
  for (uint32_t i = 0; i < string->string.n_parts; i++) {
    const struct dk_string_part *part = &string->string.parts[i];
    numbers[i] = DK_NO_HOLE;
    if (!literal_of(part)) ok &= part->hole && add_hole(making, part->hole, part->span, &numbers[i]);
  }
  return ok;
}

static bool is_bash(const char *program) {
  const char *slash = strrchr(program, '/');
  return strcmp(slash ? slash + 1 : program, "bash") == 0;
}

static bool check_other_shell(struct making *making, const struct dk_expr *string, const uint32_t *numbers) {
  for (uint32_t i = 0; i < string->string.n_parts; i++) {
    if (numbers[i] == DK_NO_HOLE || making->program->holes[numbers[i]].is_raw) continue;
    struct dk_diag *diag =
        dk_template_error(making->build, DK_E0610, string->string.parts[i].span, DK_NO_ROW,
                          "values are quoted for bash; `%s` takes no holes", making->program->shell[0]);
    dk_diag_help(making->planner->diags, diag,
                 "pass it by `env`, make a file with write(name, value), or paste it with raw(x)");
    return false;
  }
  return true;
}

static void make_script(struct making *making, const struct dk_expr *string) {
  struct dk_program *program = making->program;
  uint32_t n = string->string.n_parts, *numbers = dk_arena_array(making->planner->arena, uint32_t, n + 1);
  bool quotes = is_bash(program->shell[0]), ok = true;
  if (!number_holes(making, string, numbers) || (!quotes && !check_other_shell(making, string, numbers))) return;
  struct dk_quote_state *state = dk_arena_new(making->planner->arena, struct dk_quote_state);
  struct dk_buf *out = dk_planner_text(making->planner);
  dk_quote_init(state, out);
  for (uint32_t i = 0; i < n; i++) {
    const struct dk_string_part *part = &string->string.parts[i];
    const struct dk_str *literal = literal_of(part);
    if (literal) {
      add_piece(making, &program->text, &program->n_text, &making->cap_text,
                (struct dk_piece){literal->text, literal->len, DK_NO_HOLE, line_of(making, string, i)});
      if (memchr(literal->text, '\0', literal->len)) {
        dk_template_error(making->build, DK_E0612, part->span, DK_NO_ROW, "`run` has a NUL byte");
        ok = false;
      }
      dk_quote_text(state, literal->text, literal->len);
      continue;
    }
    struct dk_piece piece = {NULL, 0, numbers[i], line_of(making, string, i)};
    add_piece(making, &program->text, &program->n_text, &making->cap_text, piece);
    if (program->holes[numbers[i]].is_raw) {
      flush_script(making, out);
      dk_quote_raw(state);
      add_piece(making, &program->script, &program->n_script, &making->cap_script, piece);
      continue;
    }
    enum dk_quote_result result =
        dk_quote_hole(state, numbers[i] + 1, program->holes[numbers[i]].is_list, byte_behind(string, i));
    if (result == DK_QUOTE_OK) continue;
    refuse(making, part, result);
    ok = false;
  }
  dk_quote_end(state);
  flush_script(making, out);
  dk_buf_finish(out);
  if (ok && quotes) warn_parsed_again(making, string, state);
}

/* --- a list: program and arguments --- */

static void make_word(struct making *making, struct dk_expr *expr) {
  struct dk_program *program = making->program;
  struct dk_run_word word = {0};
  uint32_t cap = 0;
  if (expr->kind == DK_EXPR_STRING) {
    uint32_t n = expr->string.n_parts, *numbers = dk_arena_array(making->planner->arena, uint32_t, n + 1);
    if (!number_holes(making, expr, numbers)) return;
    for (uint32_t i = 0; i < n; i++) {
      const struct dk_string_part *part = &expr->string.parts[i];
      struct dk_piece piece = {NULL, 0, numbers[i], line_of(making, expr, i)};
      if (part->literal) piece = (struct dk_piece){part->literal->text, part->literal->len, DK_NO_HOLE, piece.line};
      add_piece(making, &word.pieces, &word.n_pieces, &cap, piece);
      if (part->literal && memchr(part->literal->text, '\0', part->literal->len))
        dk_template_error(making->build, DK_E0612, part->span, DK_NO_ROW, "`run` has a NUL byte");
      if (!part->literal && program->holes[numbers[i]].is_list) refuse(making, part, DK_QUOTE_LIST_IN_WORD);
    }
  } else {
    uint32_t hole;
    if (expr->kind == DK_EXPR_ERROR || !add_hole(making, expr, expr->span, &hole)) {
      making->build->failed = true;
      return;
    }
    word.is_whole = true;
    struct dk_piece piece = {.hole = hole};
    dk_span_path(making->planner, expr->span, &piece.line);
    add_piece(making, &word.pieces, &word.n_pieces, &cap, piece);
  }
  dk_arena_push(making->planner->arena, program->words, program->n_words, making->cap_words) = word;
}

/* A name of a let stands for the text or list written there. */
static struct dk_expr *follow(struct dk_expr *expr) {
  const struct dk_decl *decl = decl_of(expr);
  if (!decl || decl->kind != DK_DECL_LET || decl->is_function || !decl->value) return expr;
  return decl->value->kind == DK_EXPR_STRING || decl->value->kind == DK_EXPR_LIST ? decl->value : expr;
}

static void make_list(struct making *making, struct dk_expr *run) {
  if (run->kind == DK_EXPR_LIST) {
    for (uint32_t i = 0; i < run->list.items.count; i++) make_word(making, run->list.items.items[i]);
    if (run->list.items.count == 0)
      dk_template_error(making->build, DK_E0611, run->span, DK_NO_ROW, "`run` is an empty list");
    return;
  }
  make_word(making, run);
  if (making->program->n_holes == 0 || making->program->holes[0].is_list || making->build->failed) return;
  struct dk_diag *diag = dk_template_error(making->build, DK_E0611, run->span, DK_NO_ROW,
                                           "`run` wants a text written here, or a list of words");
  dk_diag_help(making->planner->diags, diag,
               "a text that is computed would be pasted; put what differs into holes: run = \"train {{x}}\"");
}

static void set_shell(struct making *making) {
  static const char *const bash[] = {"bash", "-euo", "pipefail"};
  struct dk_program *program = making->program;
  struct dk_expr *expr = making->build->task->shell;
  if (expr && dk_template_texts(making->build, expr, "shell", &program->shell, &program->n_shell)) {
    bool has_c = program->n_shell > 1 && strcmp(program->shell[program->n_shell - 1], "-c") == 0;
    if (program->n_shell && program->shell[0][0] && !has_c) return;
    struct dk_diag *diag = dk_template_error(making->build, DK_E0511, expr->span, DK_NO_ROW,
                                             "`shell` wants an interpreter such as [\"bash\", \"-eu\"]");
    if (has_c) dk_diag_help(making->planner->diags, diag, "leave `-c` out: it and the text of `run` are put behind");
  }
  program->shell = dk_arena_memdup(making->planner->arena, bash, sizeof bash);
  program->n_shell = 3;
}

void dk_template_program(struct dk_template_build *build) {
  struct dk_planner *planner = build->planner;
  struct making making = {
      .build = build, .planner = planner, .program = dk_arena_new(planner->arena, struct dk_program)};
  build->tmpl->program = making.program;
  if (!build->task->run || build->task->run->kind == DK_EXPR_ERROR) {
    build->failed = true;
    return;
  }
  struct dk_expr *run = follow(build->task->run);
  uint32_t line;
  making.program->path = dk_span_path(planner, run->span, &line);
  making.program->is_shell = run->kind == DK_EXPR_STRING;
  making.program->is_block = making.program->is_shell && run->string.quote == DK_QUOTE_BLOCK;
  set_shell(&making);
  if (making.program->is_shell)
    make_script(&making, run);
  else
    make_list(&making, run);
}

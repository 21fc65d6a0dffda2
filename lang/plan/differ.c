/* Two tasks compared: see differ.h. */
#include "lang/plan/differ.h"

#include "lang/base/alloc.h"
#include "lang/plan/program.h"

#include <errno.h>
#include <string.h>

#define SHOWN_MAX 70 /* bytes of a value or line in a message */

struct differing {
  const struct dk_plan *before, *now;
  const struct dk_template *old, *new;
  uint32_t old_row, new_row;
  dk_difference_fn *fn;
  void *ctx;
};

static int tell(struct differing *d, const char *path, uint32_t line, struct dk_buf *subject, struct dk_buf *text) {
  if (!dk_buf_ok(subject) || !dk_buf_ok(text)) return -ENOMEM;
  struct dk_difference difference = {dk_buf_text(subject), dk_buf_text(text), line ? path : NULL, line, false};
  return d->fn(d->ctx, &difference);
}

static int suppose(struct differing *d, const char *path, uint32_t line, const char *name, bool is_one_of_several) {
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT;
  dk_buf_printf(&subject, "`%s`", name);
  dk_buf_printf(&text, is_one_of_several ? "`%s` may have another value" : "`%s` came to another value", name);
  if (!dk_buf_ok(&subject) || !dk_buf_ok(&text)) return -ENOMEM;
  struct dk_difference difference = {dk_buf_text(&subject), dk_buf_text(&text), line ? path : NULL, line, true};
  return d->fn(d->ctx, &difference);
}

static void add_cut(struct dk_buf *out, const char *text, size_t len) {
  size_t n = len > SHOWN_MAX ? SHOWN_MAX : len;
  while (n < len && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--; /* not inside a character */
  dk_buf_add(out, text, n);
  if (n < len) dk_buf_add_text(out, "...");
}

static void add_value(struct dk_buf *out, const struct dk_plan *plan, dk_value_id value) {
  dk_autobuf text = DK_BUF_INIT;
  dk_value_source_text(plan->values, value, &text);
  add_cut(out, dk_buf_text(&text), text.len);
  out->failed |= text.failed;
}

/* 1, 0 or -ENOMEM. The kinds that grids mostly have are compared as they are: an axis may have very many values. */
static int same_value(const struct dk_plan *a, dk_value_id x, const struct dk_plan *b, dk_value_id y) {
  const struct dk_value *u = dk_value_get(a->values, x), *v = dk_value_get(b->values, y);
  if (u->type == v->type && (u->type == DK_TYPE_INT || u->type == DK_TYPE_BOOL)) return u->u.i == v->u.i;
  if (u->type == DK_TYPE_STRING && v->type == DK_TYPE_STRING)
    return u->len == v->len && memcmp(dk_value_str(a->values, x)->text, dk_value_str(b->values, y)->text, u->len) == 0;
  dk_autobuf left = DK_BUF_INIT, right = DK_BUF_INIT;
  dk_value_canonical(a->values, x, &left);
  dk_value_canonical(b->values, y, &right);
  if (!dk_buf_ok(&left) || !dk_buf_ok(&right)) return -ENOMEM;
  return left.len == right.len && memcmp(dk_buf_text(&left), dk_buf_text(&right), left.len) == 0;
}

/* --- the program --- */

struct lines {
  struct dk_buf text;
  struct {
    size_t at, len;
    uint32_t line;
  } * items;
  uint32_t n, cap;
};

static int end_line(struct lines *lines, size_t from, uint32_t line) {
  if (!dk_grow(lines->items, lines->n, lines->cap)) return -ENOMEM;
  lines->items[lines->n].at = from;
  lines->items[lines->n].len = lines->text.len - from;
  lines->items[lines->n++].line = line;
  return 0;
}

static void lines_finish(struct lines *lines) {
  dk_buf_finish(&lines->text);
  dk_free(lines->items);
}

static int add_pieces(struct lines *lines, const struct dk_program *program, const struct dk_piece *pieces, uint32_t n,
                      size_t *from, uint32_t *line) {
  for (uint32_t i = 0; i < n; i++) {
    const struct dk_piece *piece = &pieces[i];
    if (lines->text.len == *from) *line = piece->line;
    if (piece->hole != DK_NO_HOLE) {
      dk_buf_printf(&lines->text, "{{%s}}", program->holes[piece->hole].source);
      continue;
    }
    uint32_t at_line = piece->line;
    for (size_t k = 0; k < piece->len; k++) {
      if (piece->text[k] != '\n') {
        dk_buf_add_char(&lines->text, piece->text[k]);
        continue;
      }
      if (end_line(lines, *from, *line) < 0) return -ENOMEM;
      *from = lines->text.len;
      at_line += program->is_block;
      *line = at_line;
    }
  }
  return 0;
}

/* The program as it is read: a line each, holes as they were written; of a list a word each. */
static int read_lines(struct lines *lines, const struct dk_program *program) {
  size_t from = 0;
  uint32_t line = 0;
  int r = add_pieces(lines, program, program->text, program->n_text, &from, &line);
  if (r == 0 && program->is_shell) r = end_line(lines, from, line);
  for (uint32_t i = 0; r == 0 && i < program->n_words; i++) {
    from = lines->text.len;
    r = add_pieces(lines, program, program->words[i].pieces, program->words[i].n_pieces, &from, &line);
    if (r == 0) r = end_line(lines, from, line);
  }
  return dk_buf_ok(&lines->text) ? r : -ENOMEM;
}

static bool same_line(const struct lines *a, uint32_t i, const struct lines *b, uint32_t k) {
  return a->items[i].len == b->items[k].len &&
         memcmp(dk_buf_text(&a->text) + a->items[i].at, dk_buf_text(&b->text) + b->items[k].at, a->items[i].len) == 0;
}

static void add_line(struct dk_buf *out, const struct lines *lines, uint32_t i) {
  const char *text = dk_buf_text(&lines->text) + lines->items[i].at;
  size_t len = lines->items[i].len, skip = strspn(text, " \t");
  if (skip > len) skip = len;
  dk_buf_add_char(out, '`');
  add_cut(out, text + skip, len - skip);
  dk_buf_add_char(out, '`');
}

static int tell_lines(struct differing *d, const struct lines *was, const struct lines *is) {
  const struct dk_program *program = d->new->program;
  uint32_t first = 0, same_end = 0;
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT;
  while (first < was->n && first < is->n && same_line(was, first, is, first)) first++;
  if (first == was->n && first == is->n && d->old->program->is_shell == program->is_shell) return 0;
  while (same_end < was->n - first && same_end < is->n - first &&
         same_line(was, was->n - 1 - same_end, is, is->n - 1 - same_end))
    same_end++;
  bool has_old = first + same_end < was->n, has_new = first + same_end < is->n;
  dk_buf_add_text(&subject, "`run`");
  dk_buf_add_text(&text, "`run` ");
  if (has_old) {
    dk_buf_add_text(&text, "was ");
    add_line(&text, was, first);
    dk_buf_add_text(&text, has_new ? ", " : ", which is gone");
  }
  if (has_new) {
    dk_buf_add_text(&text, has_old ? "is " : "has in addition ");
    add_line(&text, is, first);
  }
  if (!has_old && !has_new) dk_buf_add_text(&text, "was a text or a list, and is the other now");
  uint32_t at = first < is->n ? first : is->n - 1;
  return tell(d, program->path, is->n ? is->items[at].line : 0, &subject, &text);
}

static int differ_program(struct differing *d) {
  struct lines was = {0}, is = {0};
  int r = read_lines(&was, d->old->program);
  if (r == 0) r = read_lines(&is, d->new->program);
  if (r == 0) r = tell_lines(d, &was, &is);
  lines_finish(&was);
  lines_finish(&is);
  return r;
}

/* --- values --- */

static const struct dk_hole *hole_of(const struct dk_program *program, const struct dk_hole *like, uint32_t at) {
  for (uint32_t i = 0; i < program->n_holes; i++)
    if (strcmp(program->holes[i].source, like->source) == 0) return &program->holes[i];
  return at < program->n_holes ? &program->holes[at] : NULL;
}

/* Two cells that are known at plan time. `was_name` and `name` are how they are written. */
static int differ_cell(struct differing *d, const struct dk_cell *was, const char *was_name, const struct dk_cell *is,
                       const char *name, const char *path, uint32_t line) {
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT;
  dk_value_id x = dk_cell_value(was, d->old_row), y = dk_cell_value(is, d->new_row);
  int same = same_value(d->before, x, d->now, y);
  if (same) return same < 0 ? same : 0;
  dk_buf_printf(&subject, "`%s`", name);
  dk_buf_printf(&text, "`%s` was ", was_name);
  add_value(&text, d->before, x);
  dk_buf_printf(&text, strcmp(was_name, name) == 0 ? ", is " : ", `%s` is ", name);
  add_value(&text, d->now, y);
  return tell(d, path, line, &subject, &text);
}

/* A path of an input or output differs with its name or number, which is told of those. */
static bool is_path(const struct dk_hole *hole) {
  return strncmp(hole->source, "inputs.", 7) == 0 || strncmp(hole->source, "outputs.", 8) == 0;
}

/* No value that is known at plan time differs: then one of those may that are known while running only. */
static int suppose_values(struct differing *d) {
  const struct dk_program *program = d->new->program;
  for (uint32_t i = 0; i < program->n_holes; i++) {
    const struct dk_hole *hole = &program->holes[i];
    if (hole->cell.kind != DK_CELL_LATE || is_path(hole)) continue;
    int r = suppose(d, hole->path, hole->line, hole->source, program->n_holes > 1);
    if (r) return r;
  }
  return 0;
}

static int differ_values(struct differing *d) {
  const struct dk_program *was = d->old->program, *is = d->new->program;
  bool told = false;
  for (uint32_t i = 0; i < is->n_holes; i++) {
    const struct dk_hole *hole = &is->holes[i], *old = hole_of(was, hole, i);
    if (!old || hole->cell.kind == DK_CELL_LATE || old->cell.kind == DK_CELL_LATE) continue;
    int same =
        same_value(d->before, dk_cell_value(&old->cell, d->old_row), d->now, dk_cell_value(&hole->cell, d->new_row));
    int r =
        same < 0 ? same : differ_cell(d, &old->cell, old->source, &hole->cell, hole->source, hole->path, hole->line);
    if (r) return r;
    told |= same == 0;
  }
  return told ? 0 : suppose_values(d);
}

static int differ_env(struct differing *d, const char *name) {
  const struct dk_env_var *was = NULL, *is = NULL;
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT, shown = DK_BUF_INIT;
  for (uint32_t i = 0; i < d->old->n_env; i++)
    if (strcmp(d->old->env[i].name, name) == 0) was = &d->old->env[i];
  for (uint32_t i = 0; i < d->new->n_env; i++)
    if (strcmp(d->new->env[i].name, name) == 0) is = &d->new->env[i];
  bool had = was && !was->is_secret, has = is && !is->is_secret;
  const char *path = d->new->path;
  dk_buf_printf(&shown, "env %s", name);
  if (!dk_buf_ok(&shown)) return -ENOMEM;
  if (had && has && was->cell.kind != DK_CELL_LATE && is->cell.kind != DK_CELL_LATE)
    return differ_cell(d, &was->cell, dk_buf_text(&shown), &is->cell, dk_buf_text(&shown), path, is->line);
  if (had && has) return suppose(d, path, is->line, dk_buf_text(&shown), false);
  dk_buf_printf(&subject, "`env %s`", name);
  dk_buf_printf(&text, "`env %s` is %s", name, had ? "gone" : "new");
  return tell(d, path, is ? is->line : 0, &subject, &text);
}

/* --- the rest --- */

static void add_words(struct dk_buf *out, const struct dk_program *program) {
  if (!program->is_shell) dk_buf_add_text(out, "none");
  for (uint32_t i = 0; program->is_shell && i < program->n_shell; i++)
    dk_buf_printf(out, "%s%s", i ? " " : "", program->shell[i]);
}

static int differ_shell(struct differing *d) {
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT;
  dk_buf_add_text(&subject, "`shell`");
  dk_buf_add_text(&text, "`shell` was ");
  add_words(&text, d->old->program);
  dk_buf_add_text(&text, ", is ");
  add_words(&text, d->new->program);
  return tell(d, d->new->path, d->new->line, &subject, &text);
}

static const struct dk_output *output_of(const struct dk_template *tmpl, const char *name) {
  for (uint32_t i = 0; i < tmpl->n_outputs; i++)
    if (strcmp(tmpl->outputs[i].name, name) == 0) return &tmpl->outputs[i];
  return NULL;
}

static int differ_output(struct differing *d, const struct dk_output *was, const struct dk_output *is) {
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT, name = DK_BUF_INIT;
  dk_buf_printf(&name, "output %s", (is ? is : was)->name);
  if (!dk_buf_ok(&name)) return -ENOMEM;
  if (was && is)
    return differ_cell(d, &was->path, dk_buf_text(&name), &is->path, dk_buf_text(&name), d->new->path, is->line);
  dk_buf_printf(&subject, "`%s`", dk_buf_text(&name));
  dk_buf_printf(&text, "`%s` is %s", dk_buf_text(&name), is ? "new" : "gone");
  return tell(d, d->new->path, is ? is->line : 0, &subject, &text);
}

static int differ_outputs(struct differing *d) {
  int r = 0;
  for (uint32_t i = 0; r == 0 && i < d->new->n_outputs; i++)
    r = differ_output(d, output_of(d->old, d->new->outputs[i].name), &d->new->outputs[i]);
  for (uint32_t i = 0; r == 0 && i < d->old->n_outputs; i++)
    if (!output_of(d->new, d->old->outputs[i].name)) r = differ_output(d, &d->old->outputs[i], NULL);
  return r;
}

/* As far as it is declared: another path, text or version; another producer, output or kind. */
static int differ_input(struct differing *d, const char *name) {
  const struct dk_input *was = NULL, *is = NULL;
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT, shown = DK_BUF_INIT;
  for (uint32_t i = 0; i < d->old->n_inputs && !was; i++)
    if (strcmp(d->old->inputs[i].name, name) == 0) was = &d->old->inputs[i];
  for (uint32_t i = 0; i < d->new->n_inputs && !is; i++)
    if (strcmp(d->new->inputs[i].name, name) == 0) is = &d->new->inputs[i];
  dk_buf_printf(&shown, "input %s", name);
  if (!dk_buf_ok(&shown)) return -ENOMEM;
  dk_buf_printf(&subject, "`%s`", dk_buf_text(&shown));
  if (!was || !is) {
    dk_buf_printf(&text, "`%s` is %s", dk_buf_text(&shown), is ? "new" : "gone");
    return tell(d, d->new->path, is ? is->line : 0, &subject, &text);
  }
  bool has_cell = is->kind == DK_INPUT_FILE || is->kind == DK_INPUT_WRITE || is->kind == DK_INPUT_MOUNT;
  if (was->kind == is->kind && has_cell) {
    if (was->cell.kind == DK_CELL_LATE || is->cell.kind == DK_CELL_LATE) return 0;
    return differ_cell(d, &was->cell, dk_buf_text(&shown), &is->cell, dk_buf_text(&shown), d->new->path, is->line);
  }
  if (was->kind == is->kind &&
      strcmp(d->before->templates[was->producer].name, d->now->templates[is->producer].name) == 0)
    return 0;
  dk_buf_printf(&text, "`%s` comes from elsewhere", dk_buf_text(&shown));
  return tell(d, d->new->path, is->line, &subject, &text);
}

int dk_plan_differ(const struct dk_plan *before, uint32_t task_before, const struct dk_plan *now, uint32_t task_now,
                   const char *part, dk_difference_fn *fn, void *ctx) {
  struct differing d = {.before = before, .now = now, .fn = fn, .ctx = ctx};
  d.old = dk_plan_template(before, task_before, &d.old_row);
  d.new = dk_plan_template(now, task_now, &d.new_row);
  bool has_programs = d.old->program && d.new->program;
  if (strcmp(part, "program") == 0) return has_programs ? differ_program(&d) : 0;
  if (strcmp(part, "values") == 0) return has_programs ? differ_values(&d) : 0;
  if (strcmp(part, "shell") == 0) return has_programs ? differ_shell(&d) : 0;
  if (strcmp(part, "outputs") == 0) return differ_outputs(&d);
  if (strncmp(part, "env ", 4) == 0) return differ_env(&d, part + 4);
  if (strncmp(part, "input ", 6) == 0) return differ_input(&d, part + 6);
  if (strcmp(part, "gpus") == 0)
    return differ_cell(&d, &d.old->needs, "needs", &d.new->needs, "needs", d.new->path, d.new->line);
  return 0;
}

uint32_t dk_plan_find_template(const struct dk_plan *plan, const char *name) {
  for (uint32_t i = 0; i < plan->n_templates; i++)
    if (strcmp(plan->templates[i].name, name) == 0) return i;
  return UINT32_MAX;
}

static bool has_value(const struct dk_plan *before, const struct dk_column *column, uint32_t rows,
                      const struct dk_plan *now, dk_value_id value) {
  if (rows == 0) return false;
  for (uint32_t i = 0; i < column->card; i++)
    if (same_value(before, column->values[i], now, value) != 0) return true; /* also when memory is short */
  return false;
}

bool dk_plan_new_value(const struct dk_plan *before, const struct dk_plan *now, uint32_t task, uint32_t *ret_column,
                       bool *ret_has_task) {
  uint32_t row;
  const struct dk_template *tmpl = dk_plan_template(now, task, &row);
  uint32_t at = dk_plan_find_template(before, tmpl->name);
  *ret_has_task = at != UINT32_MAX;
  if (!*ret_has_task) return false;
  const struct dk_points *old = &before->templates[at].points;
  for (uint32_t c = 0; c < tmpl->points.n_columns; c++) {
    const struct dk_column *column = &tmpl->points.columns[c];
    if (!column->is_axis) continue;
    for (uint32_t i = 0; i < old->n_columns; i++) {
      if (strcmp(old->columns[i].name, column->name) != 0) continue;
      if (has_value(before, &old->columns[i], old->rows, now, dk_column_value(column, row))) break;
      *ret_column = c;
      return true;
    }
  }
  return false;
}

/* Names of tasks and the way back: `train lr=0.1 seed=2`, `t17`. See plan.h.
 *
 * Keeps true: select(words of name(t)) is t alone, because a name has every axis and points differ in an axis. */
#include "lang/plan/planner.h"

#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <string.h>

/* Text that no other kind of value reads as: may stand without quotes in a name. */
static bool is_bare(const struct dk_str *text) {
  static const char *const words[] = {"true", "false", "null"};
  if (text->len == 0) return false;
  char first = text->text[0];
  if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '_' || first == '/' ||
        first == '.'))
    return false;
  if (first == '.' && text->len > 1 && text->text[1] >= '0' && text->text[1] <= '9') return false;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(text->text, words[i]) == 0) return false;
  for (uint32_t i = 0; i < text->len; i++) {
    unsigned char c = (unsigned char)text->text[i];
    if (c < 0x20 || c == 0x7f || c == '"' || c == '\\' || c == '{' || c == '}') return false;
  }
  return dk_utf8_is_valid(text->text, text->len);
}

static void add_value(const struct dk_values *values, dk_value_id value, struct dk_buf *out) {
  const struct dk_value *v = dk_value_get(values, value);
  if (v->type == DK_TYPE_STRING && is_bare(dk_value_str(values, value)))
    dk_buf_add(out, dk_value_str(values, value)->text, v->len);
  else
    dk_value_source_text(values, value, out);
}

void dk_plan_task_name(const struct dk_plan *plan, uint32_t task, struct dk_buf *out) {
  uint32_t row;
  const struct dk_template *tmpl = dk_plan_template(plan, task, &row);
  dk_autobuf word = DK_BUF_INIT;
  dk_buf_add_text(out, tmpl->name);
  for (uint32_t i = 0; i < tmpl->points.n_columns; i++) {
    const struct dk_column *column = &tmpl->points.columns[i];
    if (!column->is_axis) continue;
    dk_buf_clear(&word);
    dk_buf_printf(&word, "%s=", column->name);
    add_value(plan->values, dk_column_value(column, row), &word);
    dk_buf_add_char(out, ' ');
    dk_buf_add_shell_word(out, dk_buf_text(&word), word.len);
    if (!dk_buf_ok(&word)) out->failed = true;
  }
}

const char *dk_plan_output_path(const struct dk_plan *plan, uint32_t task, uint32_t output) {
  uint32_t row;
  const struct dk_template *tmpl = dk_plan_template(plan, task, &row);
  return dk_value_str(plan->values, dk_cell_value(&tmpl->outputs[output].path, row))->text;
}

/* --- select --- */

struct filter {
  const struct dk_column *column;
  uint8_t *wanted; /* by code */
};

struct selecting {
  const struct dk_plan *plan;
  const struct dk_template *tmpl;
  struct filter *filters;
  uint32_t n_filters;
  struct dk_error *error;
};

/* A word as a person types a value: as names show it, as source, as text in a hole, or another writing of the
 * number. */
static bool value_is(const struct dk_values *values, dk_value_id value, const char *text, size_t len,
                     struct dk_buf *scratch) {
  dk_buf_clear(scratch);
  add_value(values, value, scratch);
  if (scratch->len == len && memcmp(dk_buf_text(scratch), text, len) == 0) return true;
  dk_buf_clear(scratch);
  dk_value_source_text(values, value, scratch);
  if (scratch->len == len && memcmp(dk_buf_text(scratch), text, len) == 0) return true;
  double typed, number;
  const struct dk_value *v = dk_value_get(values, value);
  if ((v->type != DK_TYPE_INT && v->type != DK_TYPE_FLOAT) || dk_number_parse(text, len, &typed) < 0) return false;
  return dk_number_parse(dk_buf_text(scratch), scratch->len, &number) == 0 && number == typed;
}

/* Weaker: the bare text of a string that reads as something else ("1"), taken only when nothing else is meant. */
static bool value_is_text(const struct dk_values *values, dk_value_id value, const char *text, size_t len) {
  if (dk_value_get(values, value)->type != DK_TYPE_STRING) return false;
  const struct dk_str *have = dk_value_str(values, value);
  return have->len == len && memcmp(have->text, text, len) == 0;
}

static int no_value(struct selecting *s, const struct dk_column *column, const char *text) {
  dk_autobuf list = DK_BUF_INIT;
  uint32_t shown = column->card < 12 ? column->card : 12;
  for (uint32_t i = 0; i < shown; i++) {
    if (i) dk_buf_add_text(&list, ", ");
    add_value(s->plan->values, column->values[i], &list);
  }
  return dk_error_set(s->error, -ENOENT, "`%s` has no point with %s=%s\nhelp: values of %s: %s%s", s->tmpl->name,
                      column->name, text, column->name, dk_buf_text(&list), shown < column->card ? ", ..." : "");
}

static int no_column(struct selecting *s, const char *name) {
  const struct dk_points *points = &s->tmpl->points;
  const char **names = dk_calloc(points->n_columns + 1, sizeof *names);
  dk_autobuf list = DK_BUF_INIT;
  if (!names) return dk_error_system(s->error, -ENOMEM, "reading a task's name");
  for (uint32_t i = 0; i < points->n_columns; i++) {
    names[i] = points->columns[i].name;
    dk_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
  }
  const char *near = dk_nearest(name, names, points->n_columns);
  dk_free(names);
  if (near)
    return dk_error_set(s->error, -ENOENT, "`%s` has no column `%s`\nhelp: did you mean `%s`?", s->tmpl->name, name,
                        near);
  if (points->n_columns == 0)
    return dk_error_set(s->error, -ENOENT, "`%s` has no column `%s`\nhelp: it is one task, without columns",
                        s->tmpl->name, name);
  return dk_error_set(s->error, -ENOENT, "`%s` has no column `%s`\nhelp: it has %s", s->tmpl->name, name,
                      dk_buf_text(&list));
}

static int add_filter(struct selecting *s, const char *word) {
  const char *equals = strchr(word, '=');
  if (!equals)
    return dk_error_set(s->error, -ENOENT,
                        "`%s` is no column=value\nhelp: write a task and columns, as in: train lr=0.1 seed=2", word);
  size_t name_len = (size_t)(equals - word), len = strlen(equals + 1);
  const struct dk_column *column = NULL;
  for (uint32_t i = 0; i < s->tmpl->points.n_columns; i++) {
    const struct dk_column *c = &s->tmpl->points.columns[i];
    if (strlen(c->name) == name_len && memcmp(c->name, word, name_len) == 0) column = c;
  }
  if (!column) {
    dk_autofree char *name = dk_strndup(word, name_len);
    return name ? no_column(s, name) : dk_error_system(s->error, -ENOMEM, "reading a task's name");
  }
  uint8_t *wanted = dk_calloc(column->card + 1, 1);
  if (!wanted) return dk_error_system(s->error, -ENOMEM, "reading a task's name");
  s->filters[s->n_filters++] = (struct filter){column, wanted};
  dk_autobuf scratch = DK_BUF_INIT;
  uint32_t n = 0;
  for (uint32_t i = 0; i < column->card; i++)
    n += wanted[i] = value_is(s->plan->values, column->values[i], equals + 1, len, &scratch);
  for (uint32_t i = 0; i < column->card && n == 0; i++)
    wanted[i] = value_is_text(s->plan->values, column->values[i], equals + 1, len);
  for (uint32_t i = 0; i < column->card; i++)
    if (wanted[i]) return 0;
  return no_value(s, column, equals + 1);
}

static bool row_fits(const struct selecting *s, uint32_t row) {
  for (uint32_t i = 0; i < s->n_filters; i++)
    if (!s->filters[i].wanted[dk_column_code(s->filters[i].column, row)]) return false;
  return true;
}

static int collect(struct selecting *s, uint32_t **ret, uint32_t *ret_n) {
  uint32_t n = 0, rows = s->tmpl->points.rows, first = s->plan->graph.nodes[s->tmpl->node].first;
  for (uint32_t row = 0; row < rows; row++) n += row_fits(s, row);
  if (n == 0)
    return dk_error_set(s->error, -ENOENT,
                        "no point of `%s` has these values together\nhelp: leave a column out to see more points",
                        s->tmpl->name);
  *ret = dk_calloc(n, sizeof **ret);
  if (!*ret) return dk_error_system(s->error, -ENOMEM, "reading a task's name");
  for (uint32_t row = 0; row < rows; row++)
    if (row_fits(s, row)) (*ret)[(*ret_n)++] = first + row;
  return 0;
}

static int by_number(const struct dk_plan *plan, const char *word, uint32_t **ret, uint32_t *ret_n,
                     struct dk_error *error) {
  int64_t number;
  if (dk_number_parse_int(word + 1, strlen(word + 1), &number) < 0 || number < 1 || number > plan->graph.n_tasks)
    return dk_error_set(error, -ENOENT, "there is no task %s\nhelp: tasks are t1 to t%u", word, plan->graph.n_tasks);
  *ret = dk_calloc(1, sizeof **ret);
  if (!*ret) return dk_error_system(error, -ENOMEM, "reading a task's name");
  **ret = (uint32_t)number - 1;
  *ret_n = 1;
  return 0;
}

static int no_template(const struct dk_plan *plan, const char *word, struct dk_error *error) {
  if (strchr(word, '='))
    return dk_error_set(error, -ENOENT, "`%s` is a value of a column\nhelp: the task comes first, as in: %s %s", word,
                        plan->n_templates ? plan->templates[0].name : "train", word);
  if (word[strspn(word, "0123456789")] == '\0')
    return dk_error_set(error, -ENOENT, "there is no task `%s`\nhelp: task %s is `t%s`; a run is named by `--run %s`",
                        word, word, word, word);
  const char **names = dk_calloc(plan->n_templates + 1, sizeof *names);
  dk_autobuf list = DK_BUF_INIT;
  if (!names) return dk_error_system(error, -ENOMEM, "reading a task's name");
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    names[i] = plan->templates[i].name;
    dk_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
  }
  const char *near = dk_nearest(word, names, plan->n_templates);
  dk_free(names);
  if (near) return dk_error_set(error, -ENOENT, "there is no task `%s`\nhelp: did you mean `%s`?", word, near);
  return dk_error_set(error, -ENOENT, "there is no task `%s`\nhelp: there are %s", word, dk_buf_text(&list));
}

int dk_plan_select(const struct dk_plan *plan, const char *const *words, uint32_t n_words, uint32_t **ret,
                   uint32_t *ret_n, struct dk_error *error) {
  struct selecting s = {.plan = plan, .error = error};
  *ret = NULL;
  *ret_n = 0;
  if (n_words == 0)
    return dk_error_set(
        error, -ENOENT,
        "no task is named\nhelp: write a task and columns, as in: train lr=0.1, or its number, as in: t17");
  for (uint32_t i = 0; i < plan->n_templates; i++)
    if (strcmp(plan->templates[i].name, words[0]) == 0) s.tmpl = &plan->templates[i];
  bool is_number = words[0][0] == 't' && words[0][1] >= '0' && words[0][1] <= '9' && n_words == 1;
  if (!s.tmpl) return is_number ? by_number(plan, words[0], ret, ret_n, error) : no_template(plan, words[0], error);
  s.filters = dk_calloc(n_words, sizeof *s.filters);
  int r = s.filters ? 0 : dk_error_system(error, -ENOMEM, "reading a task's name");
  for (uint32_t i = 1; i < n_words && r == 0; i++) r = add_filter(&s, words[i]);
  if (r == 0) r = collect(&s, ret, ret_n);
  for (uint32_t i = 0; i < s.n_filters; i++) dk_free(s.filters[i].wanted);
  dk_free(s.filters);
  return r;
}

/* Candidates of picks; see group.h. The rule is the engine's (docs/language.md, picks). */
#include "engine/report/group.h"
#include "lang/base/alloc.h"
#include "lang/base/map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_in(const uint32_t *columns, uint32_t n, uint32_t column) {
  for (uint32_t i = 0; i < n; i++) {
    if (columns[i] == column) {
      return true;
    }
  }
  return false;
}

struct key {
  const struct dk_template *pick, *from;
  const struct dk_groups *groups;
};

/* Axes that are not averaged over name the candidate. */
static bool is_naming(const struct key *key, uint32_t column) {
  return key->from->points.columns[column].is_axis && !is_in(key->pick->mean_over, key->pick->n_mean_over, column);
}

static bool same_group(const void *ctx, uint32_t group, const void *row) {
  const struct key *key = ctx;
  uint32_t a = key->groups->first_row[group], b = *(const uint32_t *)row;
  for (uint32_t c = 0; c < key->from->points.n_columns; c++) {
    const struct dk_column *column = &key->from->points.columns[c];
    if (is_naming(key, c) && dk_column_value(column, a) != dk_column_value(column, b)) {
      return false;
    }
  }
  return true;
}

static uint64_t hash_of(const struct key *key, uint32_t row) {
  uint64_t hash = 0;
  for (uint32_t c = 0; c < key->from->points.n_columns; c++) {
    if (is_naming(key, c)) {
      hash = dk_hash_u64(dk_column_value(&key->from->points.columns[c], row), hash);
    }
  }
  return hash;
}

static int add_row(struct dk_groups *groups, struct dk_map *map, const struct key *key, uint32_t row) {
  uint64_t hash = hash_of(key, row);
  uint32_t group = key->pick->n_mean_over ? dk_map_find(map, hash, same_group, key, &row) : DK_MAP_NONE;
  int r = 0;
  if (group == DK_MAP_NONE) {
    group = groups->n++;
    groups->first_row[group] = row;
    r = key->pick->n_mean_over ? dk_map_add(map, hash, group) : 0;
  }
  groups->of_row[row] = group;
  groups->size[group]++;
  return r;
}

int dk_groups_create(struct dk_groups *ret, const struct dk_plan *plan, const struct dk_template *pick) {
  const struct dk_template *from = &plan->templates[pick->from];
  uint32_t rows = from->points.rows;
  *ret = (struct dk_groups){.of_row = dk_calloc(rows + 1u, sizeof *ret->of_row),
                            .first_row = dk_calloc(rows + 1u, sizeof *ret->first_row),
                            .size = dk_calloc(rows + 1u, sizeof *ret->size)};
  int r = ret->of_row && ret->first_row && ret->size ? 0 : -ENOMEM;
  const struct key key = {pick, from, ret};
  struct dk_map map;
  dk_map_init(&map, NULL);
  for (uint32_t row = 0; row < rows && r == 0; row++) {
    r = add_row(ret, &map, &key, row);
  }
  dk_map_finish(&map);
  if (r < 0) {
    dk_groups_finish(ret);
  }
  return r;
}

void dk_groups_finish(struct dk_groups *groups) {
  dk_free(groups->of_row);
  dk_free(groups->first_row);
  dk_free(groups->size);
  memset(groups, 0, sizeof *groups);
}

/* Length of the shell word that starts here: up to a space outside of quotes. */
static size_t word_length(const char *at, const char *end) {
  bool quoted = false;
  const char *p = at;
  for (; p < end && (quoted || *p != ' '); p++) {
    if (*p == '\'') {
      quoted = !quoted;
    } else if (*p == '\\' && !quoted && p + 1 < end) {
      p++;
    }
  }
  return (size_t)(p - at);
}

void dk_candidate_point(const struct dk_plan *plan, const struct dk_template *pick, uint32_t from_row, bool with_per,
                        struct dk_buf *out) {
  const struct dk_template *from = &plan->templates[pick->from];
  dk_autobuf name = DK_BUF_INIT;
  bool any = false;
  dk_plan_task_name(plan, plan->graph.nodes[from->node].first + from_row, &name);
  dk_buf_inherit(out, &name);
  /* A name is the template's, then a word per axis, in the columns' order. */
  const char *at = dk_buf_text(&name), *end = at + name.len;
  at += strlen(from->name);
  for (uint32_t c = 0; c < from->points.n_columns && at < end; c++) {
    if (!from->points.columns[c].is_axis) {
      continue;
    }
    size_t len = word_length(++at, end);
    if (!is_in(pick->mean_over, pick->n_mean_over, c) && (with_per || !is_in(pick->per, pick->n_per, c))) {
      dk_buf_add_text(out, any ? " " : "");
      dk_buf_add_escaped(out, at, len);
      any = true;
    }
    at += len;
  }
}

void dk_mean_text(double mean, char ret[DK_NUMBER_TEXT]) {
  char text[40];
  double rounded;
  int n = snprintf(text, sizeof text, "%.10g", mean);
  dk_number_text(dk_number_parse(text, (size_t)n, &rounded) == 0 ? rounded : mean, ret);
}

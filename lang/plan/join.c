/* Hash joins on codes: see join.h.
 *
 * A key column is one of the producer's that a selector fixes or that the consumer has too. Its key is the producer's
 * code; the consumer's values are translated to the producer's codes once per value, by identity. */
#include "lang/plan/join.h"

#include <assert.h>
#include <string.h>

#define NONE UINT32_MAX

struct key {
  uint32_t column;              /* of the producer */
  const struct dk_column *from; /* the consumer's, or the selector's values; NULL: the same code at every row */
  uint32_t *codes;              /* code of `from` -> the producer's code, or NONE */
  uint32_t constant;
};

/* Rows of one grid told apart by some of its columns. */
struct grouping {
  struct dk_planner *planner;
  const struct dk_points *points;
  const uint32_t *columns;
  uint32_t *const *fold; /* by index in columns: code -> code, or NULL */
  uint32_t n;
  struct dk_groups *groups;
  uint64_t dense_size; /* of dense; 0: hashed */
  uint32_t *dense, *muls;
  struct dk_map map; /* items are groups */
};

struct work {
  struct dk_join *join;
  struct dk_planner *planner;
  struct key *keys;
  uint32_t n_keys;
  uint8_t *is_key;         /* by the producer's column */
  struct dk_groups groups; /* of the producer's rows, by the key columns */
  struct grouping grouping;
};

static const char *ref_text(struct work *work) {
  return dk_expr_source(work->planner, work->join->ref);
}

/* --- keys --- */

static uint32_t *translate(struct work *work, const struct dk_column *from, const struct dk_column *to) {
  struct dk_planner *planner = work->planner;
  struct dk_dict dict;
  uint32_t *codes = dk_arena_array(planner->arena, uint32_t, from->card + 1);
  if (from->values == to->values && to->is_axis) {
    for (uint32_t i = 0; i < from->card; i++) codes[i] = i;
    return codes;
  }
  dk_dict_init(&dict, planner->arena);
  for (uint32_t i = 0; i < to->card; i++)
    dk_dict_add(&dict, dk_value_identity(planner->values, to->values[i]), to->values[i], NULL);
  for (uint32_t i = 0; i < from->card; i++)
    codes[i] = dk_dict_find(&dict, dk_value_identity(planner->values, from->values[i]));
  return codes;
}

/* A column may hold one identity under two codes (derived 1 and 1.0): both get the first one's, so that they meet. */
static uint32_t *fold_codes(struct work *work, const struct dk_column *to) {
  struct dk_planner *planner = work->planner;
  struct dk_dict dict;
  uint32_t *codes = dk_arena_array(planner->arena, uint32_t, to->card + 1);
  dk_dict_init(&dict, planner->arena);
  for (uint32_t i = 0; i < to->card; i++)
    codes[i] = dk_dict_add(&dict, dk_value_identity(planner->values, to->values[i]), to->values[i], NULL);
  return dict.count == to->card ? NULL : codes;
}

static bool add_selector(struct work *work, const struct dk_field *field, uint32_t column) {
  struct dk_planner *planner = work->planner;
  struct dk_cell *cell = dk_arena_new(planner->arena, struct dk_cell);
  struct dk_expr_uses uses = {0};
  struct key *key = &work->keys[work->n_keys];
  const struct dk_column *to = &work->join->producer->columns[column];
  if (!dk_cell_make(planner, field->value, work->join->consumer, work->join->active, &uses, cell)) return false;
  if (cell->kind == DK_CELL_LATE) {
    struct dk_diag *diag =
        dk_diag_add(planner->diags, DK_E0503, field->value->span, "a selector must be known before anything runs");
    dk_diag_help(planner->diags, diag,
                 "late values (metrics, picks) never choose an edge; a `pick` names the point instead");
    return false;
  }
  for (uint32_t i = 0; i < uses.n_columns; i++) work->join->used[uses.columns[i]] = 1;
  *key = (struct key){.column = column};
  if (cell->kind == DK_CELL_COLUMN) {
    key->from = &cell->column;
    key->codes = translate(work, key->from, to);
  } else {
    struct dk_column one = {.card = 1, .stride = 1, .values = &cell->value};
    key->constant = translate(work, &one, to)[0];
  }
  work->is_key[column] = 2;
  work->n_keys++;
  return true;
}

static bool add_selectors(struct work *work) {
  const struct dk_fields *selectors = &work->join->ref->ref.selectors;
  for (uint32_t i = 0; i < selectors->count; i++) {
    const struct dk_field *field = &selectors->items[i];
    if (!field->name || !field->value) return false;
    uint32_t column = dk_points_find(work->join->producer, field->name->text);
    if (column == NONE) {
      dk_diag_add(work->planner->diags, DK_E0503, field->name_span, "`%s` has no column `%s`",
                  work->join->producer_name, field->name->text);
      return false;
    }
    if (!add_selector(work, field, column)) return false;
  }
  return true;
}

static bool add_shared(struct work *work) {
  const struct dk_points *consumer = work->join->consumer, *producer = work->join->producer;
  for (uint32_t i = 0; i < producer->n_columns; i++) {
    if (work->is_key[i]) continue;
    uint32_t mine = dk_points_find(consumer, producer->columns[i].name);
    if (mine == NONE || (!consumer->columns[mine].is_axis && !producer->columns[i].is_axis)) continue;
    const struct dk_column *from = &consumer->columns[mine];
    if (from->rows_of != producer->columns[i].rows_of) {
      struct dk_diag *diag = dk_diag_add(work->planner->diags, DK_E0504, work->join->ref->span,
                                         "`%s` of `%s` and of `%s` take their rows from different records", from->name,
                                         work->join->consumer_name, work->join->producer_name);
      dk_diag_help(work->planner->diags, diag, "use one `let` for both, or select with [%s = ...]", from->name);
      return false;
    }
    work->join->used[mine] = 1;
    work->keys[work->n_keys++] =
        (struct key){.column = i, .from = from, .codes = translate(work, from, &producer->columns[i])};
    work->is_key[i] = 1;
  }
  return true;
}

/* --- groups of the producer's rows --- */

static uint32_t key_code(const struct grouping *g, uint32_t i, uint32_t row) {
  uint32_t code = dk_column_code(&g->points->columns[g->columns[i]], row);
  return g->fold && g->fold[i] ? g->fold[i][code] : code;
}

static bool equals_group(const void *ctx, uint32_t item, const void *key) {
  const struct grouping *g = ctx;
  const uint32_t *codes = key;
  for (uint32_t i = 0; i < g->n; i++)
    if (key_code(g, i, g->groups->first[item]) != codes[i]) return false;
  return true;
}

static uint64_t hash_codes(const uint32_t *codes, uint32_t n) {
  uint64_t hash = 0;
  for (uint32_t i = 0; i < n; i++) hash = dk_hash_u64(codes[i], hash);
  return hash;
}

/* Product of the cards if a table of it is worth its memory, else 0. */
static uint64_t dense_size(const struct grouping *g) {
  uint64_t size = 1, limit = 4096 + 4 * (uint64_t)g->points->rows;
  for (uint32_t i = g->n; i-- > 0;) {
    g->muls[i] = (uint32_t)size;
    size *= g->points->columns[g->columns[i]].card;
    if (size > limit) return 0;
  }
  return size;
}

/* The group of a key, or NONE; *ret_at is its place in the table or its hash. */
static uint32_t find_key(const struct grouping *g, const uint32_t *codes, uint64_t *ret_at) {
  if (!g->dense) {
    *ret_at = hash_codes(codes, g->n);
    return dk_map_find(&g->map, *ret_at, equals_group, g, codes);
  }
  *ret_at = 0;
  for (uint32_t i = 0; i < g->n; i++) *ret_at += codes[i] * g->muls[i];
  return g->dense[*ret_at];
}

/* Numbers the groups in the order of their first rows. Wants planner, points, columns, fold, n and groups. */
static void number_groups(struct grouping *g) {
  struct dk_arena *arena = g->planner->arena;
  uint32_t rows = g->points->rows, cap = 0, n_first = 0, *codes = dk_arena_array(arena, uint32_t, g->n + 1);
  g->muls = dk_arena_array(arena, uint32_t, g->n + 1);
  g->dense_size = dense_size(g);
  *g->groups = (struct dk_groups){.group = dk_arena_array(arena, uint32_t, (size_t)rows + 1)};
  dk_map_init(&g->map, arena);
  if (g->dense_size) {
    g->dense = dk_arena_array(arena, uint32_t, g->dense_size);
    memset(g->dense, 0xff, g->dense_size * sizeof *g->dense);
  }
  for (uint32_t row = 0; row < rows; row++) {
    uint64_t at;
    for (uint32_t i = 0; i < g->n; i++) codes[i] = key_code(g, i, row);
    uint32_t group = find_key(g, codes, &at);
    if (group == NONE) {
      group = g->groups->n++;
      dk_arena_push(arena, g->groups->first, n_first, cap) = row;
      if (g->dense)
        g->dense[at] = group;
      else
        (void)dk_map_add(&g->map, at, group); /* an arena's map jumps instead of failing */
    }
    g->groups->group[row] = group;
  }
}

/* Counting sort: lists in grid order. Counted two to the right, so that filling moves the starts into place. */
static void list_groups(struct dk_planner *planner, uint32_t rows, struct dk_groups *groups) {
  uint32_t *off = dk_arena_array(planner->arena, uint32_t, (size_t)groups->n + 2);
  groups->list = dk_arena_array(planner->arena, uint32_t, (size_t)rows + 1);
  for (uint32_t row = 0; row < rows; row++) off[groups->group[row] + 2]++;
  for (uint32_t i = 2; i <= groups->n + 1; i++) off[i] += off[i - 1];
  for (uint32_t row = 0; row < rows; row++) groups->list[off[groups->group[row] + 1]++] = row;
  groups->off = off;
}

void dk_groups_make(struct dk_planner *planner, const struct dk_points *points, const uint32_t *columns,
                    uint32_t n_columns, struct dk_groups *ret) {
  struct grouping g = {.planner = planner, .points = points, .columns = columns, .n = n_columns, .groups = ret};
  number_groups(&g);
  list_groups(planner, points->rows, ret);
}

/* --- the join --- */

static void index_producer(struct work *work) {
  struct dk_planner *planner = work->planner;
  uint32_t n = work->n_keys, *columns = dk_arena_array(planner->arena, uint32_t, n + 1);
  uint32_t **fold = dk_arena_array(planner->arena, uint32_t *, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    columns[i] = work->keys[i].column;
    const struct dk_column *to = &work->join->producer->columns[columns[i]];
    fold[i] = to->is_axis ? NULL : fold_codes(work, to);
  }
  work->grouping = (struct grouping){.planner = planner,
                                     .points = work->join->producer,
                                     .columns = columns,
                                     .fold = fold,
                                     .n = n,
                                     .groups = &work->groups};
  number_groups(&work->grouping);
}

/* The key of a consumer's row in the producer's codes; false where the producer lacks a value. */
static bool row_key(const struct work *work, uint32_t row, uint32_t *codes) {
  for (uint32_t i = 0; i < work->n_keys; i++) {
    const struct key *key = &work->keys[i];
    codes[i] = key->from ? key->codes[dk_column_code(key->from, row)] : key->constant;
    if (codes[i] == NONE) return false;
  }
  return true;
}

static uint32_t find_group(const struct work *work, uint32_t row, uint32_t *codes) {
  uint64_t at;
  return row_key(work, row, codes) ? find_key(&work->grouping, codes, &at) : NONE;
}

static bool report_missing(struct work *work, uint32_t missing, uint32_t example) {
  struct dk_join *join = work->join;
  struct dk_diag *diag =
      dk_diag_add(work->planner->diags, DK_E0502, join->ref->span, "`%s` finds no point of `%s`%s", ref_text(work),
                  join->producer_name,
                  join->consumer->n_columns
                      ? dk_arena_printf(work->planner->arena, " at %u of %u points", missing, join->consumer->rows)
                      : "");
  dk_point_note(work->planner, diag, join->consumer, example);
  dk_diag_help(work->planner->diags, diag,
               "give `%s` these points, `exclude` them here, or choose with `if ... then ... else`",
               join->producer_name);
  return false;
}

/* group[row] of every consumer row; false after a diagnostic when an active row has none. */
static bool match_rows(struct work *work, uint32_t **ret_map) {
  const struct dk_points *consumer = work->join->consumer;
  uint32_t *map = dk_arena_array(work->planner->arena, uint32_t, (size_t)consumer->rows + 1);
  uint32_t *codes = dk_arena_array(work->planner->arena, uint32_t, work->n_keys + 1);
  uint32_t missing = 0, example = 0;
  for (uint32_t row = 0; row < consumer->rows; row++) {
    map[row] = DK_NO_ROW;
    if (work->join->active && !work->join->active[row]) continue;
    map[row] = find_group(work, row, codes);
    if (map[row] == NONE && missing++ == 0) example = row;
  }
  *ret_map = map;
  return missing == 0 || report_missing(work, missing, example);
}

static bool is_identity(const uint32_t *map, uint32_t rows) {
  for (uint32_t row = 0; row < rows; row++)
    if (map[row] != row) return false;
  return true;
}

static bool same_codes(const struct dk_column *a, const struct dk_column *b) {
  return a->values == b->values && a->width == b->width && a->card == b->card && a->stride == b->stride &&
         a->codes == b->codes;
}

/* Both stand over one grid: row r is row r, without looking at any. */
static bool is_same_grid(const struct work *work) {
  const struct dk_points *consumer = work->join->consumer, *producer = work->join->producer;
  if (consumer->rows != producer->rows || work->join->ref->ref.selectors.count || work->join->active) return false;
  for (uint32_t i = 0; i < work->n_keys; i++)
    if (!same_codes(work->keys[i].from, &producer->columns[work->keys[i].column])) return false;
  return true;
}

static bool join_plain(struct work *work, struct dk_edge *edge) {
  struct dk_join *join = work->join;
  uint32_t *map, rows = join->consumer->rows;
  if (work->n_keys && is_same_grid(work)) {
    edge->kind = DK_EDGE_SAME;
    return true;
  }
  if (work->n_keys == 0 && !join->active && join->producer->rows == 1) {
    edge->kind = DK_EDGE_ONE;
    return true;
  }
  index_producer(work);
  if (!match_rows(work, &map)) return false;
  for (uint32_t row = 0; row < rows; row++)
    if (map[row] != DK_NO_ROW) map[row] = work->groups.first[map[row]];
  edge->kind = DK_EDGE_MAP;
  edge->map = map;
  if (rows == join->producer->rows && is_identity(map, rows)) *edge = (struct dk_edge){.kind = DK_EDGE_SAME};
  return true;
}

static bool join_gather(struct work *work, struct dk_edge *edge) {
  struct dk_join *join = work->join;
  if (work->n_keys == 0 && !join->active) {
    edge->kind = DK_EDGE_ALL;
    return join->producer->rows > 0 || join->consumer->rows == 0 || report_missing(work, join->consumer->rows, 0);
  }
  uint32_t *map;
  index_producer(work);
  if (!match_rows(work, &map)) return false;
  list_groups(work->planner, join->producer->rows, &work->groups);
  edge->kind = DK_EDGE_GATHER;
  edge->off = work->groups.off;
  edge->list = work->groups.list;
  edge->n_groups = work->groups.n;
  edge->map = edge->n_groups == join->consumer->rows && is_identity(map, join->consumer->rows) ? NULL : map;
  return true;
}

/* --- words --- */

static void add_word(struct dk_buf *out, const char *verb, uint32_t n, const char *name) {
  if (n == 0)
    dk_buf_printf(out, "%s%s %s", out->len ? "; " : "", verb, name);
  else
    dk_buf_printf(out, ", %s", name);
}

static const char *describe(struct work *work) {
  const struct dk_points *consumer = work->join->consumer, *producer = work->join->producer;
  struct dk_buf *text = dk_planner_text(work->planner);
  uint32_t n = 0;
  for (uint32_t i = 0; i < producer->n_columns; i++)
    if (work->is_key[i] == 1) add_word(text, "matched", n++, producer->columns[i].name);
  n = 0;
  for (uint32_t i = 0; i < producer->n_columns; i++)
    if (work->is_key[i] == 2) add_word(text, "selected", n++, producer->columns[i].name);
  n = 0;
  for (uint32_t i = 0; i < consumer->n_columns; i++) {
    uint32_t other = dk_points_find(producer, consumer->columns[i].name);
    if (consumer->columns[i].is_axis && (other == NONE || work->is_key[other] != 1))
      add_word(text, "broadcast", n++, consumer->columns[i].name);
  }
  n = 0;
  for (uint32_t i = 0; i < producer->n_columns; i++)
    if (!work->is_key[i] && producer->columns[i].is_axis) add_word(text, "gathered", n++, producer->columns[i].name);
  if (!text->len) dk_buf_add_text(text, "its one point");
  return dk_planner_keep_text(work->planner);
}

static bool check_folded(struct work *work) {
  const struct dk_points *producer = work->join->producer;
  struct dk_buf *left = dk_planner_text(work->planner);
  uint32_t n = 0;
  const char *selectors = "";
  for (uint32_t i = 0; i < producer->n_columns; i++) {
    if (work->is_key[i] || !producer->columns[i].is_axis) continue;
    const char *name = producer->columns[i].name;
    selectors = dk_arena_printf(work->planner->arena, "%s%s%s = ...", selectors, n ? ", " : "", name);
    dk_buf_printf(left, "%s`%s`", n++ ? ", " : "", name);
  }
  const char *open = dk_planner_keep_text(work->planner);
  bool may_gather = work->join->ref->ref.kind == DK_REF_OUTPUT && work->join->ref->ref.target->kind == DK_DECL_TASK;
  if (n) {
    struct dk_diag *diag = dk_diag_add(work->planner->diags, DK_E0501, work->join->ref->span,
                                       "`%s` leaves %s of `%s` open", ref_text(work), open, work->join->producer_name);
    const char *gather =
        may_gather ? dk_arena_printf(work->planner->arena, "take all points with gather(%s), ", ref_text(work)) : "";
    dk_diag_help(work->planner->diags, diag, "%schoose one with %s[%s], or put %s into the grid here", gather,
                 work->join->producer_name, selectors, n == 1 ? "the axis" : "the axes");
  }
  return n == 0;
}

bool dk_join_edge(struct dk_join *join, struct dk_edge *ret, const char **ret_text) {
  struct work work = {.join = join, .planner = join->planner};
  work.keys =
      dk_arena_array(join->planner->arena, struct key, join->producer->n_columns + join->ref->ref.selectors.count + 1);
  work.is_key = dk_arena_array(join->planner->arena, uint8_t, join->producer->n_columns + 1);
  *ret = (struct dk_edge){0};
  *ret_text = "";
  if (!add_selectors(&work) || !add_shared(&work)) return false;
  *ret_text = describe(&work);
  bool is_gather = join->ref->ref.is_gather;
  if (!is_gather && !check_folded(&work)) return false;
  return is_gather ? join_gather(&work, ret) : join_plain(&work, ret);
}

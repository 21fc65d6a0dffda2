/* Limits and errors of an evaluation. The first limit that is passed is said once; after it every evaluation fails. */
#include "lang/eval/internal.h"

#include <inttypes.h>
#include <string.h>

#define ABSENT_SEED 0x61627365u

struct dk_diag *dk_ev_error(struct dk_ev *ev, enum dk_code code, struct dk_span span, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  struct dk_checked *checked = ev->eval->checked;
  const char *text = dk_arena_vprintf(checked->arena, format, ap);
  va_end(ap);
  ev->why = DK_EVAL_FAILED;
  return dk_diag_add(checked->diags, code, span, "%s", text);
}

struct dk_buf *dk_ev_written(const struct dk_ev *ev) {
  struct dk_buf *scratch = &ev->eval->scratch;
  /* A text cut short for lack of memory must not become a value: land where the arena's own lack of memory does. */
  if (!dk_buf_ok(scratch)) (void)dk_arena_calloc(ev->eval->checked->arena, SIZE_MAX, 2);
  return scratch;
}

const char *dk_ev_show(const struct dk_ev *ev, dk_value_id id) {
  struct dk_buf *scratch = &ev->eval->scratch;
  dk_buf_clear(scratch);
  /* A long list would be written in full only to be cut. */
  if (dk_value_weight(ev->values, id) > 1000) return dk_type_name((enum dk_type)dk_value_get(ev->values, id)->type);
  dk_value_source_text(ev->values, id, scratch);
  (void)dk_ev_written(ev);
  size_t len = scratch->len, cut = len > 60 ? 57 : len;
  while (cut < len && cut && ((unsigned char)scratch->data[cut] & 0xc0) == 0x80) cut--;
  const char *text =
      dk_arena_printf(ev->eval->checked->arena, "%.*s%s", (int)cut, dk_buf_text(scratch), cut < len ? "..." : "");
  dk_buf_finish(scratch);
  return text;
}

const char *dk_ev_type(const struct dk_ev *ev, dk_value_id id) {
  return dk_type_name((enum dk_type)dk_value_get(ev->values, id)->type);
}

static bool over(struct dk_ev *ev) {
  bool said = ev->eval->priv->over_limit;
  ev->eval->priv->over_limit = true;
  ev->why = DK_EVAL_FAILED;
  return !said;
}

bool dk_ev_step(struct dk_ev *ev, const struct dk_expr *at, uint64_t n) {
  ev->eval->steps += n;
  if (ev->eval->steps <= DK_EVAL_MAX_STEPS && !ev->eval->priv->over_limit) return true;
  if (over(ev)) {
    struct dk_diag *diag =
        dk_ev_error(ev, DK_E0305, at->span, "the file takes more than %u steps to evaluate", DK_EVAL_MAX_STEPS);
    dk_diag_help(ev->eval->checked->diags, diag,
                 "make a list once with `let` instead of at every point, or shorten it");
  }
  return false;
}

bool dk_ev_elements(struct dk_ev *ev, const struct dk_expr *at, int64_t n, const char *what) {
  uint64_t have = ev->values->elements;
  if (n >= 0 && (uint64_t)n <= DK_EVAL_MAX_ELEMENTS && have + (uint64_t)n <= DK_EVAL_MAX_ELEMENTS) {
    ev->values->elements += (uint64_t)n;
    return true;
  }
  struct dk_diags *diags = ev->eval->checked->diags;
  if (n < 0 || n > DK_EVAL_MAX_ELEMENTS) {
    struct dk_diag *diag = n < 0 || n == INT64_MAX
                               ? dk_ev_error(ev, DK_E0305, at->span, "%s would have more than 10^18 elements", what)
                               : dk_ev_error(ev, DK_E0305, at->span, "%s would have %" PRId64 " elements", what, n);
    dk_diag_note(diags, diag, "all lists of a file together may have %u", DK_EVAL_MAX_ELEMENTS);
  } else if (over(ev)) {
    struct dk_diag *diag =
        dk_ev_error(ev, DK_E0305, at->span, "the file's lists have more than %u elements", DK_EVAL_MAX_ELEMENTS);
    dk_diag_help(diags, diag, "make a list once with `let` instead of at every point, or shorten it");
  }
  return false;
}

bool dk_ev_text(struct dk_ev *ev, const struct dk_expr *at, const char *text, size_t len, dk_value_id *ret) {
  if (len > DK_EVAL_MAX_TEXT) {
    dk_ev_error(ev, DK_E0305, at->span, "this text would have %zu bytes; at most %u are allowed", len,
                DK_EVAL_MAX_TEXT);
    return false;
  }
  ev->eval->priv->text += len;
  if (ev->eval->priv->text > DK_EVAL_MAX_TEXT_TOTAL) {
    if (over(ev))
      dk_ev_error(ev, DK_E0305, at->span, "the file's texts have more than %u bytes", DK_EVAL_MAX_TEXT_TOTAL);
    return false;
  }
  *ret = dk_value_text(ev->values, text, len);
  return true;
}

bool dk_ev_weight(struct dk_ev *ev, const struct dk_expr *at, dk_value_id id) {
  if (dk_value_get(ev->values, id)->flags > DK_VALUE_MAX_DEPTH) {
    dk_ev_error(ev, DK_E0305, at->span, "lists and records are nested more than %d deep here", DK_VALUE_MAX_DEPTH);
    return false;
  }
  if (dk_value_weight(ev->values, id) > DK_VALUE_MAX_WEIGHT) {
    dk_ev_error(ev, DK_E0305, at->span, "this value would have more than %u elements, counting those of its elements",
                DK_VALUE_MAX_WEIGHT);
    return false;
  }
  return true;
}

static bool absent_equal(const void *ctx, uint32_t item, const void *key_ptr) {
  const struct dk_eval_priv *priv = ctx;
  const struct dk_absent *key = key_ptr;
  return priv->absent[item].record == key->record && priv->absent[item].name == key->name;
}

static uint64_t absent_hash(const struct dk_absent *key) {
  return dk_hash_u64((uint64_t)key->record << 32 | key->name, ABSENT_SEED);
}

bool dk_ev_is_absent(const struct dk_ev *ev, dk_value_id record, const struct dk_str *name) {
  const struct dk_eval_priv *priv = ev->eval->priv;
  struct dk_absent key = {record, name->id};
  return dk_map_find(&priv->absents, absent_hash(&key), absent_equal, priv, &key) != DK_MAP_NONE;
}

static void note_absent(struct dk_ev *ev, dk_value_id record, const struct dk_str *name) {
  struct dk_eval_priv *priv = ev->eval->priv;
  struct dk_absent key = {record, name->id};
  uint64_t hash = absent_hash(&key);
  if (dk_map_find(&priv->absents, hash, absent_equal, priv, &key) != DK_MAP_NONE) return;
  uint32_t item = priv->n_absent;
  dk_arena_push(ev->eval->checked->arena, priv->absent, priv->n_absent, priv->cap_absent) = key;
  (void)dk_map_add(&priv->absents, hash, item); /* an arena's map jumps instead of failing */
}

static bool same_names(const struct dk_values *values, dk_value_id a, dk_value_id b) {
  uint32_t n = dk_value_get(values, a)->len;
  if (dk_value_get(values, b)->len != n) return false;
  for (uint32_t i = 0; i < n; i++)
    if (dk_value_name(values, a, i) != dk_value_name(values, b, i)) return false;
  return true;
}

/* Elements of a list of records may lack fields (language.md, Values): note which lack which. */
static bool note_record_list(struct dk_ev *ev, const struct dk_expr *at, const dk_value_id *items, uint32_t n) {
  bool differ = false;
  if (!dk_ev_step(ev, at, n)) return false;
  for (uint32_t i = 0; i < n; i++) {
    if (dk_value_get(ev->values, items[i])->type != DK_TYPE_RECORD) return true;
    if (i && !differ && items[i] != items[0]) differ = !same_names(ev->values, items[0], items[i]);
  }
  if (!differ) return true;
  /* The union of the names as one record, merged pairwise would be quadratic: collect distinct ids in a map. */
  const struct dk_str **names = NULL;
  uint32_t n_names = 0, cap_names = 0;
  struct dk_eval_priv seen = {.n_absent = 0};
  dk_map_init(&seen.absents, ev->eval->checked->arena);
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t j = 0; j < dk_value_get(ev->values, items[i])->len; j++) {
      const struct dk_str *name = dk_value_name(ev->values, items[i], j);
      struct dk_absent key = {0, name->id};
      uint64_t hash = absent_hash(&key);
      if (dk_map_find(&seen.absents, hash, absent_equal, &seen, &key) != DK_MAP_NONE) continue;
      uint32_t item = seen.n_absent;
      dk_arena_push(ev->eval->checked->arena, seen.absent, seen.n_absent, seen.cap_absent) = key;
      (void)dk_map_add(&seen.absents, hash, item);
      dk_arena_push(ev->eval->checked->arena, names, n_names, cap_names) = name;
    }
  }
  if (!dk_ev_step(ev, at, (uint64_t)n * n_names)) return false;
  for (uint32_t i = 0; i < n; i++) {
    dk_value_id field;
    for (uint32_t j = 0; j < n_names; j++)
      if (!dk_value_field(ev->values, items[i], names[j], &field)) note_absent(ev, items[i], names[j]);
  }
  return true;
}

bool dk_ev_list(struct dk_ev *ev, const struct dk_expr *at, const dk_value_id *items, uint32_t n, dk_value_id *ret) {
  if (n > 1 && dk_value_get(ev->values, items[0])->type == DK_TYPE_RECORD && !note_record_list(ev, at, items, n))
    return false;
  *ret = dk_value_list(ev->values, items, n);
  return dk_ev_weight(ev, at, *ret);
}

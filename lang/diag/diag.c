/* The collector of diagnostics and the table of codes. */
#include "lang/diag/diag.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
  const char *name, *title, *text;
} codes[DK_N_CODES + 1] = {
#define DK_CODE(code, title, text) {#code, title, text},
#include "lang/diag/codes.def"
#undef DK_CODE
    {NULL, NULL, NULL},
};

const char *dk_code_name(enum dk_code code) {
  return codes[code].name;
}
const char *dk_code_title(enum dk_code code) {
  return codes[code].title;
}
const char *dk_code_explanation(enum dk_code code) {
  return codes[code].text;
}
bool dk_code_is_warning(enum dk_code code) {
  return codes[code].name[0] == 'W';
}

bool dk_code_find(const char *name, enum dk_code *ret) {
  for (unsigned i = 0; i < DK_N_CODES; i++) {
    if (strcasecmp(name, codes[i].name) != 0) continue;
    *ret = (enum dk_code)i;
    return true;
  }
  return false;
}

void dk_diags_init(struct dk_diags *diags, struct dk_arena *arena, struct dk_sources *sources) {
  *diags = (struct dk_diags){.arena = arena, .sources = sources};
}

struct dk_diag *dk_diag_add(struct dk_diags *diags, enum dk_code code, struct dk_span span, const char *format, ...) {
  if (dk_code_is_warning(code))
    diags->n_warnings++;
  else
    diags->n_errors++;
  if (diags->count == DK_DIAGS_MAX) return &diags->overflow;

  struct dk_diag *diag = dk_arena_new(diags->arena, struct dk_diag);
  diag->code = code;
  diag->span = span;
  va_list ap;
  va_start(ap, format);
  diag->message = dk_arena_vprintf(diags->arena, format, ap);
  va_end(ap);
  dk_arena_push(diags->arena, diags->items, diags->count, diags->cap) = diag;
  return diag;
}

void dk_diag_label(struct dk_diags *diags, struct dk_diag *diag, const char *format, ...) {
  if (diag == &diags->overflow) return;
  va_list ap;
  va_start(ap, format);
  diag->label = dk_arena_vprintf(diags->arena, format, ap);
  va_end(ap);
}

void dk_diag_label_at(struct dk_diags *diags, struct dk_diag *diag, struct dk_span span, const char *format, ...) {
  if (diag == &diags->overflow) return;
  va_list ap;
  va_start(ap, format);
  struct dk_label label = {span, dk_arena_vprintf(diags->arena, format, ap)};
  va_end(ap);
  dk_arena_push(diags->arena, diag->labels, diag->n_labels, diag->cap_labels) = label;
}

void dk_diag_help(struct dk_diags *diags, struct dk_diag *diag, const char *format, ...) {
  if (diag == &diags->overflow) return;
  va_list ap;
  va_start(ap, format);
  const char *text = dk_arena_vprintf(diags->arena, format, ap);
  va_end(ap);
  dk_arena_push(diags->arena, diag->helps, diag->n_helps, diag->cap_helps) = text;
}

void dk_diag_note(struct dk_diags *diags, struct dk_diag *diag, const char *format, ...) {
  if (diag == &diags->overflow) return;
  va_list ap;
  va_start(ap, format);
  const char *text = dk_arena_vprintf(diags->arena, format, ap);
  va_end(ap);
  dk_arena_push(diags->arena, diag->notes, diag->n_notes, diag->cap_notes) = text;
}

static int compare_u32(uint32_t a, uint32_t b) {
  return (a > b) - (a < b);
}

static int compare_diags(const void *left, const void *right) {
  const struct dk_diag *a = *(struct dk_diag *const *)left, *b = *(struct dk_diag *const *)right;
  int order = compare_u32(a->span.start, b->span.start);
  if (order == 0) order = compare_u32(a->span.end, b->span.end);
  if (order == 0) order = strcmp(codes[a->code].name, codes[b->code].name);
  if (order == 0) order = strcmp(a->message, b->message);
  return order;
}

void dk_diags_sort(struct dk_diags *diags) {
  if (diags->count < 2) return;
  qsort(diags->items, diags->count, sizeof *diags->items, compare_diags);
  uint32_t kept = 1;
  for (uint32_t i = 1; i < diags->count; i++) {
    if (compare_diags(&diags->items[kept - 1], &diags->items[i]) != 0) {
      diags->items[kept++] = diags->items[i];
      continue;
    }
    if (dk_code_is_warning(diags->items[i]->code))
      diags->n_warnings--;
    else
      diags->n_errors--;
  }
  diags->count = kept;
}

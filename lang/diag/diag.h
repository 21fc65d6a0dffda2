/* Diagnostics about the user's files: collected, never printed, by the passes; sorted and printed once by the CLI.
 *
 * One run reports every independent error. A pass that has reported a node marks it (DK_EXPR_ERROR, a NULL value) so
 * that later passes stay quiet about what follows from it. */
#ifndef DK_DIAG_DIAG_H
#define DK_DIAG_DIAG_H

#include "lang/base/buf.h"
#include "lang/diag/source.h"

#include <stdbool.h>
#include <stdio.h>

/* Codes are stable: a number is never used again for something else. Each is one line in codes_<pass>.def:
 *   DK_CODE(E0203, "unknown column", "Longer text for `dkrun explain E0203`: what it means, an example, the mend.")
 * Ranges: E01xx syntax (codes_syntax.def), E02xx names and declarations (codes_check.def), E03xx evaluation, kinds,
 * units, limits (codes_eval.def), E04xx grids, E05xx joins, tasks, picks, reports, E06xx programs and holes
 * (codes_plan.def), E07xx files and sources (codes_load.def); W... in the same ranges are warnings. */
enum dk_code {
#define DK_CODE(code, title, text) DK_##code,
#include "lang/diag/codes.def"
#undef DK_CODE
  DK_N_CODES
};

const char *dk_code_name(enum dk_code code); /* "E0203" */
const char *dk_code_title(enum dk_code code);
const char *dk_code_explanation(enum dk_code code);
bool dk_code_is_warning(enum dk_code code);
bool dk_code_find(const char *name, enum dk_code *ret); /* "E0203", "e0203" */

struct dk_label {
  struct dk_span span;
  const char *text;
};

struct dk_diag {
  enum dk_code code;
  struct dk_span span;         /* what is underlined with ^ */
  const char *message;         /* the first line, without the code; names in `backquotes` */
  const char *label;           /* text behind the ^^^, or NULL */
  struct dk_label *labels;     /* further places, underlined with - ; other files allowed */
  const char **helps, **notes; /* "= help: ..." (how to mend), "= note: ..." */
  uint32_t n_labels, n_helps, n_notes, cap_labels, cap_helps, cap_notes;
};

struct dk_diags {
  struct dk_arena *arena;
  struct dk_sources *sources;
  struct dk_diag **items;
  uint32_t count, cap;
  uint32_t n_errors, n_warnings; /* of all that were added, the dropped ones too */
  struct dk_diag overflow;       /* what dk_diag_add returns past DK_DIAGS_MAX; takes no text */
};

#define DK_DIAGS_MAX 100 /* further ones are counted, not kept */

void dk_diags_init(struct dk_diags *diags, struct dk_arena *arena, struct dk_sources *sources);
/* Never NULL, so that labels and helps can be added at once. */
struct dk_diag *dk_diag_add(struct dk_diags *diags, enum dk_code code, struct dk_span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void dk_diag_label(struct dk_diags *diags, struct dk_diag *diag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void dk_diag_label_at(struct dk_diags *diags, struct dk_diag *diag, struct dk_span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void dk_diag_help(struct dk_diags *diags, struct dk_diag *diag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void dk_diag_note(struct dk_diags *diags, struct dk_diag *diag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sorts by place (and drops exact repetitions). */
void dk_diags_sort(struct dk_diags *diags);

/* render.c: text as in docs/language.md, section Errors; `color` adds SGR codes. Ends with a line of counts ("2 errors,
 * 1 warning"). */
void dk_diags_render(const struct dk_diags *diags, bool color, struct dk_buf *out);
/* render_json.c:
 * {"version":1,"diagnostics":[{code,severity,message,path,line,column,end_line,end_column,label,labels,
 *  helps,notes}]} */
int dk_diags_render_json(const struct dk_diags *diags, struct dk_buf *out);

#endif

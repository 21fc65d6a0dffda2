/* The one evaluator: an expression and a point give a value. Total and bounded: 10^8 steps and 10^7 list elements in a
 * compilation, 1 MiB in one text, each a located diagnostic when it is passed.
 *
 * Expressions are the checked tree. Lets are evaluated once and remembered; functions are called by value. Numbers:
 * ints are 64 bits with overflow an error; what leaves + - * exactly is computed with MPFR at 256 bits and rounded once
 * to the nearest double (docs/language.md, "Numbers"). */
#ifndef DK_EVAL_EVAL_H
#define DK_EVAL_EVAL_H

#include "lang/base/error.h"
#include "lang/check/builtin.h"
#include "lang/check/check.h"
#include "lang/eval/value.h"

#define DK_EVAL_MAX_STEPS 100000000u
#define DK_EVAL_MAX_ELEMENTS 10000000u
#define DK_EVAL_MAX_TEXT (1u << 20) /* bytes of one text; 256 MiB of texts in all */

/* Is it a regular expression? 0, or -EINVAL with the fault in the message and its byte in *ret_offset. lang has no
 * engine for them. */
typedef int dk_check_pattern_fn(const char *pattern, size_t *ret_offset, struct dk_error *error);

/* Reads a file of the repository for load(), and lists names for glob(); set by the door. False after a diagnostic. */
struct dk_eval_files {
  void *ctx;
  bool (*read)(void *ctx, const struct dk_source *from, const struct dk_str *path, struct dk_span at,
               const char **ret_text, size_t *ret_len);
  bool (*glob)(void *ctx, const struct dk_source *from, const struct dk_str *pattern, struct dk_span at,
               const char ***ret_paths, uint32_t *ret_n);
  /* A path as written in `from` (relative to that file's folder) -> relative to the repository's root, without `.` and
   * `..`; of file(). NULL after a diagnostic (it leaves the repository). The member may be NULL: paths stay as
   * written. */
  const struct dk_str *(*resolve)(void *ctx, const struct dk_source *from, const struct dk_str *path,
                                  struct dk_span at);
  /* Is there a file or directory of this name (relative to the repository's root, as `resolve` gives it)? NULL if so,
   * or if it was asked before; else the diagnostic, with no point in it. Nothing is read. The member may be NULL:
   * nobody asks. */
  struct dk_diag *(*missing)(void *ctx, const struct dk_str *path, struct dk_span at);
  dk_check_pattern_fn *check_pattern; /* may be NULL */
};

struct dk_eval {
  struct dk_checked *checked;
  struct dk_values values;
  const struct dk_eval_files *files; /* NULL: load and glob are errors */
  uint64_t steps;
  dk_value_id *lets;     /* by dk_checked_value.number; DK_EVAL_NO_VALUE: failed, and said so */
  struct dk_buf scratch; /* heap text while a value is written; empty between calls */
  struct dk_eval_priv *priv;
};

/* What names mean at a point. Callbacks may be NULL where nothing of the kind can occur (check has made sure). */
struct dk_frame {
  void *ctx;
  dk_value_id (*column)(void *ctx, const struct dk_str *name);
  /* inputs.x, outputs.x as text: a relative path, or a list of them for gather. */
  dk_value_id (*path)(void *ctx, enum dk_binding_kind kind /* DK_BIND_INPUTS, DK_BIND_OUTPUTS, DK_BIND_KEEP */,
                      const struct dk_str *name);
  /* A reference (DK_EXPR_REF). False: its value is not known at this time; the evaluation ends without a diagnostic. */
  bool (*ref)(void *ctx, const struct dk_expr *ref, dk_value_id *ret);
};

#define DK_EVAL_NO_VALUE UINT32_MAX

enum dk_eval_result { DK_EVAL_OK, DK_EVAL_FAILED /* a diagnostic was added */, DK_EVAL_LATE /* a ref was not known */ };

/* Evaluates all lets, params and resources, in order (their errors are reported here, once). */
void dk_eval_init(struct dk_eval *eval, struct dk_checked *checked, const struct dk_eval_files *files);
/* Only needed when a jump for lack of memory may have left a call half done; frees `scratch`. */
void dk_eval_finish(struct dk_eval *eval);
enum dk_eval_result dk_eval(struct dk_eval *eval, const struct dk_expr *expr, const struct dk_frame *frame,
                            dk_value_id *ret);
/* How many elements a range (DK_EXPR_RANGE) would have, without making them; INT64_MAX: or more. `frame` as for
 * dk_eval. False when that is not to be known; nothing is reported, what is wrong is said when the range is made. */
bool dk_eval_range_count(struct dk_eval *eval, const struct dk_expr *range, const struct dk_frame *frame, int64_t *ret);

/* The built-in functions' names and signatures: lang/check/builtin.h. */

#endif

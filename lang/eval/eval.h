/* The one evaluator: an expression and a point give a value. Total and bounded: 10^8 steps, 10^7 elements, 1 MiB of text
 * in a compilation, each a located diagnostic when it is passed.
 *
 * Expressions are the checked tree. Lets are evaluated once and remembered; functions are called by value. Numbers: ints
 * are 64 bits with overflow an error; what leaves + - * exactly is computed with MPFR at 256 bits and rounded once to the
 * nearest double (docs/language.md, "Numbers"). */
#ifndef DK_EVAL_EVAL_H
#define DK_EVAL_EVAL_H

#include "lang/check/check.h"
#include "lang/eval/value.h"

#define DK_EVAL_MAX_STEPS 100000000u
#define DK_EVAL_MAX_ELEMENTS 10000000u
#define DK_EVAL_MAX_TEXT (1u << 20)

/* Reads a file of the repository for load(), and lists names for glob(); set by the door. False after a diagnostic. */
struct dk_eval_files {
  void *ctx;
  bool (*read)(void *ctx, const struct dk_source *from, const struct dk_str *path, struct dk_span at, const char **ret_text, size_t *ret_len);
  bool (*glob)(void *ctx, const struct dk_source *from, const struct dk_str *pattern, struct dk_span at, const char ***ret_paths, uint32_t *ret_n);
};

struct dk_eval {
  struct dk_checked *checked;
  struct dk_values values;
  const struct dk_eval_files *files;      /* NULL: load and glob are errors */
  uint64_t steps;
  dk_value_id *lets;                      /* by evaluator's own numbering; memo */
  void *priv;
};

/* What names mean at a point. Callbacks may be NULL where nothing of the kind can occur (check has made sure). */
struct dk_frame {
  void *ctx;
  dk_value_id (*column)(void *ctx, const struct dk_str *name);
  /* inputs.x, outputs.x as text: a relative path, or a list of them for gather. */
  dk_value_id (*path)(void *ctx, enum dk_binding_kind kind /* DK_BIND_INPUTS, DK_BIND_OUTPUTS, DK_BIND_KEEP */, const struct dk_str *name);
  /* A reference (DK_EXPR_REF). False: its value is not known at this time; the evaluation ends without a diagnostic. */
  bool (*ref)(void *ctx, const struct dk_expr *ref, dk_value_id *ret);
};

enum dk_eval_result { DK_EVAL_OK, DK_EVAL_FAILED /* a diagnostic was added */, DK_EVAL_LATE /* a ref was not known */ };

void dk_eval_init(struct dk_eval *eval, struct dk_checked *checked, const struct dk_eval_files *files);
enum dk_eval_result dk_eval(struct dk_eval *eval, const struct dk_expr *expr, const struct dk_frame *frame, dk_value_id *ret);

/* builtin.c's one table, for docs, "did you mean" and check: name and signature. */
struct dk_builtin_info { const char *name, *signature, *doc; };
const struct dk_builtin_info *dk_builtins(uint32_t *ret_n);

#endif

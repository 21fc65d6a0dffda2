/* Shared by the files of lang/eval: the state of one evaluation, errors, limits, arithmetic, the table of functions. */
#ifndef DK_EVAL_INTERNAL_H
#define DK_EVAL_INTERNAL_H

#include "lang/eval/eval.h"
#include "lang/eval/wide.h"

/* A record that came out of a list in which others have this field: reading it gives null. */
struct dk_absent {
  dk_value_id record;
  uint32_t name;
};

struct dk_eval_priv {
  dk_value_id *slots; /* locals of functions and comprehensions, by frame */
  uint32_t n_slots, cap_slots;
  struct dk_map absents;
  struct dk_absent *absent;
  uint32_t n_absent, cap_absent;
  uint64_t text;   /* bytes of text made */
  bool over_limit; /* said so once */
};

/* One evaluation. */
struct dk_ev {
  struct dk_eval *eval;
  struct dk_values *values;
  const struct dk_frame *frame; /* NULL: nothing but lets */
  uint32_t base, top;           /* of the present frame in priv->slots */
  uint32_t depth;
  enum dk_eval_result why; /* of the last failure */
};

/* A value inside an expression: rounded when it leaves it (dk_num_value). May not be copied. */
struct dk_num {
  bool is_wide;
  dk_value_id id;
  struct dk_wide wide;
};

#define DK_EVAL_MAX_DEPTH 1000
#define DK_STEPS_OF_POWER 50 /* a wide power or logarithm takes that many times an addition: some microseconds */
#define DK_EVAL_MAX_TEXT_TOTAL (256u << 20)

/* eval.c: false after a diagnostic, or when a reference is late (ev->why). */
bool dk_ev_value(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret);

/* string.c */
bool dk_ev_string(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret);

/* limit.c */
bool dk_ev_step(struct dk_ev *ev, const struct dk_expr *at, uint64_t n);
/* Room for n more list elements (n < 0: more than can be counted). `what` names them: "this range". */
bool dk_ev_elements(struct dk_ev *ev, const struct dk_expr *at, int64_t n, const char *what);
bool dk_ev_text(struct dk_ev *ev, const struct dk_expr *at, const char *text, size_t len, dk_value_id *ret);
/* The list, record or call that was just made is not too deep or heavy. */
bool dk_ev_weight(struct dk_ev *ev, const struct dk_expr *at, dk_value_id id);
bool dk_ev_list(struct dk_ev *ev, const struct dk_expr *at, const dk_value_id *items, uint32_t n, dk_value_id *ret);
bool dk_ev_is_absent(const struct dk_ev *ev, dk_value_id record, const struct dk_str *name);

/* Adds an error; returns NULL only when nothing is to be added. Sets ev->why. */
struct dk_diag *dk_ev_error(struct dk_ev *ev, enum dk_code code, struct dk_span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* eval->scratch after a text was written into it: all of it is there (else it jumps, as the arena does). */
struct dk_buf *dk_ev_written(const struct dk_ev *ev);
/* Source text of a value for a message, cut at 60 bytes; in the arena. */
const char *dk_ev_show(const struct dk_ev *ev, dk_value_id id);
const char *dk_ev_type(const struct dk_ev *ev, dk_value_id id);

/* arith.c */
void dk_num_set(struct dk_ev *ev, struct dk_num *ret, dk_value_id id);
bool dk_num_value(struct dk_ev *ev, const struct dk_expr *at, const struct dk_num *num, dk_value_id *ret);
bool dk_ev_arith(struct dk_ev *ev, const struct dk_expr *at, enum dk_op op, const struct dk_num *a,
                 const struct dk_num *b, struct dk_num *ret);
bool dk_ev_negate(struct dk_ev *ev, const struct dk_expr *at, const struct dk_num *a, struct dk_num *ret);
bool dk_ev_is_number(const struct dk_ev *ev, dk_value_id id);
double dk_ev_double(const struct dk_ev *ev, dk_value_id id);                  /* of an INT or FLOAT */
void dk_ev_wide(const struct dk_ev *ev, dk_value_id id, struct dk_wide *ret); /* the same */
bool dk_ev_range(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret);
bool dk_ev_range_count(struct dk_ev *ev, const struct dk_expr *expr, int64_t *ret); /* as dk_eval_range_count */

/* builtin.c: a call whose arguments are in the parameters' order. */
bool dk_ev_builtin(struct dk_ev *ev, const struct dk_expr *call, enum dk_builtin which, dk_value_id *ret);

struct dk_call {
  struct dk_ev *ev;
  const struct dk_expr *expr; /* the call */
  enum dk_builtin which;
  const dk_value_id *args; /* one per parameter, or per element of a `...` */
  uint32_t n;
  dk_value_id *ret;
};
typedef bool dk_builtin_fn(struct dk_call *call);

/* For builtin*.c. */
struct dk_span dk_call_span(const struct dk_call *call, uint32_t arg);
bool dk_call_given(const struct dk_call *call, uint32_t arg);
/* "`round` wants a number, not a list", at the argument; returns false. */
bool dk_call_wants(struct dk_call *call, uint32_t arg, const char *wants);
bool dk_call_text(struct dk_call *call, uint32_t arg, const struct dk_str **ret);
bool dk_call_int(struct dk_call *call, uint32_t arg, int64_t *ret);
bool dk_call_list(struct dk_call *call, uint32_t arg, const struct dk_value **ret);
bool dk_call_return_list(struct dk_call *call, const dk_value_id *items, uint32_t n);

dk_builtin_fn dk_fn_len, dk_fn_sum, dk_fn_min, dk_fn_max, dk_fn_sort, dk_fn_unique, dk_fn_concat, dk_fn_zip, dk_fn_keys,
    dk_fn_linspace, dk_fn_geomspace, dk_fn_subsets, dk_fn_abs, dk_fn_floor, dk_fn_ceil, dk_fn_round, dk_fn_int,
    dk_fn_log2, dk_fn_format, dk_fn_join, dk_fn_split, dk_fn_lower, dk_fn_hash, dk_fn_flags, dk_fn_load, dk_fn_glob,
    dk_fn_file, dk_fn_mount, dk_fn_write, dk_fn_match, dk_fn_json, dk_fn_csv, dk_fn_secret, dk_fn_raw;

/* data.c: texts of data files as values. `name` chooses by its ending. */
bool dk_ev_data(struct dk_ev *ev, const struct dk_expr *at, const char *name, const char *text, size_t len,
                dk_value_id *ret);

#endif

/* The syntax tree: what the parser builds and check resolves in place.
 *
 * All nodes live in the compilation's arena. A node that could not be parsed, or was found wrong and reported, is
 * DK_EXPR_ERROR: later passes stay quiet about it. */
#ifndef DK_SYNTAX_AST_H
#define DK_SYNTAX_AST_H

#include "lang/base/str.h"
#include "lang/diag/source.h"

#include <stdbool.h>
#include <stdint.h>

struct dk_expr;
struct dk_decl;
struct dk_module;

/* A growable list in the arena. */
struct dk_exprs {
  struct dk_expr **items;
  uint32_t count, cap;
};

enum dk_expr_kind {
  DK_EXPR_ERROR,
  DK_EXPR_NULL,
  DK_EXPR_BOOL,     /* .boolean */
  DK_EXPR_INT,      /* .integer */
  DK_EXPR_FLOAT,    /* .number */
  DK_EXPR_QUANTITY, /* .text: as written, without underscores: "1h30m", "1.50USD/h", "32GiB"; eval/quantity reads it */
  DK_EXPR_STRING,   /* .string */
  DK_EXPR_LIST,     /* .list: items, or a tuple `(a, b)` with at least two (is_tuple) */
  DK_EXPR_RECORD,   /* .record */
  DK_EXPR_NAME,     /* .name; resolved: .name.binding */
  DK_EXPR_MEMBER,   /* .member: x.y */
  DK_EXPR_INDEX,    /* .index: x[i] */
  DK_EXPR_SELECT,   /* .select: x[a = e, b = f] */
  DK_EXPR_CALL,     /* .call */
  DK_EXPR_UNARY,    /* .unary */
  DK_EXPR_BINARY,   /* .binary */
  DK_EXPR_RANGE,    /* .range: a..b by k */
  DK_EXPR_IF,       /* .conditional */
  DK_EXPR_WITH,     /* .with: x with { ... } */
  DK_EXPR_FOR,      /* .comprehension */
  DK_EXPR_WHERE,    /* .where: grid where predicate */
  DK_EXPR_REF,      /* .ref: made by check out of MEMBER / SELECT / CALL gather that name a task or a pick */
};

enum dk_op {
  DK_OP_ADD,
  DK_OP_SUB,
  DK_OP_MUL,
  DK_OP_DIV,
  DK_OP_FLOORDIV,
  DK_OP_MOD,
  DK_OP_POW,
  DK_OP_EQ,
  DK_OP_NE,
  DK_OP_LT,
  DK_OP_LE,
  DK_OP_GT,
  DK_OP_GE,
  DK_OP_IN,
  DK_OP_NOT_IN,
  DK_OP_AND,
  DK_OP_OR,
  DK_OP_COALESCE, /* ?? */
  DK_OP_NEG,
  DK_OP_NOT, /* unary */
};

/* A string is literal parts and holes in turn. A plain string has one literal part (or none when empty). */
struct dk_string_part {
  const struct dk_str *literal; /* NULL for a hole; escapes done, a block's indentation taken off */
  struct dk_expr *hole;         /* NULL for a literal */
  struct dk_span span;          /* of the part; a hole's includes its braces */
};

enum dk_quote { DK_QUOTE_DOUBLE, DK_QUOTE_RAW, DK_QUOTE_BLOCK };

struct dk_field {            /* of a record, a named argument, a selector */
  const struct dk_str *name; /* NULL for a positional argument */
  struct dk_span name_span;
  struct dk_expr *value;
};
struct dk_fields {
  struct dk_field *items;
  uint32_t count, cap;
};

struct dk_for {
  const struct dk_str **names;
  uint32_t n_names;
  struct dk_expr *in;
  struct dk_exprs ifs;
  struct dk_span span;
};

/* What a name stands for; filled in by check/scope. */
enum dk_binding_kind {
  DK_BIND_NONE,
  DK_BIND_LOCAL,
  DK_BIND_COLUMN,
  DK_BIND_DECL,
  DK_BIND_BUILTIN,
  DK_BIND_MODULE,
  DK_BIND_INPUTS,
  DK_BIND_OUTPUTS,
  DK_BIND_POINT,
  DK_BIND_STREAM /* stdout, stderr */,
  DK_BIND_KEEP,
};
struct dk_binding {
  enum dk_binding_kind kind;
  uint32_t slot;              /* LOCAL: slot in the function's or comprehension's frame; BUILTIN: index in the table */
  const struct dk_decl *decl; /* DECL */
  const struct dk_module *module; /* MODULE */
};

/* A reference to points of a task or a pick (language.md, "References join on shared columns"). */
enum dk_ref_kind { DK_REF_TASK /* gather(u) */, DK_REF_OUTPUT, DK_REF_METRIC, DK_REF_COLUMN, DK_REF_CHOSEN };
struct dk_ref {
  enum dk_ref_kind kind;
  const struct dk_decl *target; /* a task or a pick */
  const struct dk_str *field;   /* output, metric or column; NULL for DK_REF_TASK */
  struct dk_span field_span;
  struct dk_fields selectors; /* [a = e]: e is evaluated at the consumer's point */
  bool is_gather;
  bool skip_failed; /* gather(..., failed = "skip") */
};

/* A tree is never deeper than this (E0115), so passes may walk it recursively. */
#define DK_EXPR_DEPTH_MAX 1000

struct dk_expr {
  enum dk_expr_kind kind;
  uint32_t depth;      /* 1 for a leaf; kept by the parser */
  struct dk_span span; /* without brackets around it */
  union {
    bool boolean;
    int64_t integer;
    double number;
    const struct dk_str *text;
    struct {
      struct dk_string_part *parts;
      uint32_t n_parts;
      enum dk_quote quote;
    } string;
    struct {
      struct dk_exprs items;
      bool is_tuple;
    } list;
    struct {
      struct dk_fields fields;
    } record;
    struct {
      const struct dk_str *name;
      struct dk_binding binding;
    } name;
    struct {
      struct dk_expr *of;
      const struct dk_str *name;
      struct dk_span name_span;
    } member;
    struct {
      struct dk_expr *of, *index;
    } index;
    struct {
      struct dk_expr *of;
      struct dk_fields selectors;
    } select;
    struct {
      struct dk_expr *callee;
      struct dk_fields args;
    } call;
    struct {
      enum dk_op op;
      struct dk_expr *operand;
    } unary;
    struct {
      enum dk_op op;
      struct dk_expr *left, *right;
      struct dk_span op_span;
    } binary;
    struct {
      struct dk_expr *first, *last, *step; /* step NULL: 1 */
    } range;
    struct {
      struct dk_expr *condition, *then, *otherwise;
    } conditional;
    struct {
      struct dk_expr *of;
      struct dk_fields fields;
    } with;
    struct {
      struct dk_expr *value;
      struct dk_for *fors;
      uint32_t n_fors, n_slots, first_slot;
    } comprehension;
    struct {
      struct dk_expr *of, *predicate;
    } where;
    struct dk_ref ref;
  };
};

/* The body of a declaration, in the order written. */
struct dk_block;
enum dk_stmt_kind {
  DK_STMT_FIELD,     /* name = value */
  DK_STMT_BLOCK,     /* name { ... }: inputs, outputs, metrics, env, retry, defaults, table, plot, draw, base */
  DK_STMT_AXIS,      /* names in value; `vary names in value` sets is_vary */
  DK_STMT_DRAW_AXIS, /* names ~ value */
  DK_STMT_EXCLUDE,   /* value */
  DK_STMT_INCLUDE,   /* value: a record */
  DK_STMT_REQUIRE,   /* value, message (may be NULL) */
};
struct dk_stmt {
  enum dk_stmt_kind kind;
  struct dk_span span;
  const struct dk_str *name; /* FIELD, BLOCK */
  struct dk_span name_span;
  const struct dk_str **names; /* AXIS, DRAW_AXIS; linked axes have several */
  struct dk_span *name_spans;
  uint32_t n_names;
  bool is_vary;
  struct dk_expr *value, *message;
  struct dk_block *block;
};
struct dk_block {
  struct dk_stmt *items;
  uint32_t count, cap;
  struct dk_span span;
  bool has_errors; /* a part of it could not be parsed (reported): what seems missing may have been there */
};

enum dk_decl_kind {
  DK_DECL_EXPERIMENT,
  DK_DECL_PARAM,
  DK_DECL_LET,
  DK_DECL_RESOURCE,
  DK_DECL_GRID,
  DK_DECL_TASK,
  DK_DECL_PICK,
  DK_DECL_REPORT,
  DK_DECL_IMPORT,
  DK_DECL_IMAGE,
  DK_DECL_SOURCE,
  DK_DECL_PROVIDER, /* parsed; check says that they are not built yet where that is so */
};
/* Its body is a record. */
static inline bool dk_decl_is_record(enum dk_decl_kind kind) {
  return kind == DK_DECL_RESOURCE || kind == DK_DECL_IMAGE;
}

struct dk_decl {
  enum dk_decl_kind kind;
  uint32_t index; /* among its module's declarations */
  struct dk_span span, name_span;
  const struct dk_str *name;    /* NULL for report; import: the alias */
  const struct dk_str **params; /* let f(x, y) = ... */
  uint32_t n_params, n_slots;
  bool is_function;
  bool has_errors;           /* as in dk_block, for the whole declaration with all its blocks */
  struct dk_expr *value;     /* param, let; grid g = expr; source */
  struct dk_expr *over;      /* task t over EXPR, grid g over EXPR; NULL when left out */
  struct dk_block *block;    /* everything with { } */
  const struct dk_str *path; /* import: "std.hardware", or the quoted path */
  bool path_is_std;
  struct dk_span path_span;
  struct dk_module *module;   /* the one it stands in */
  struct dk_module *imported; /* import: set by check/module */
  void *checked;              /* check's own record of it (struct dk_checked_task ...), NULL before */
};

struct dk_module {
  const struct dk_source *source;
  const struct dk_str *name; /* "std.hardware", or the path */
  struct dk_decl **decls;
  uint32_t n_decls, cap_decls;
  bool is_std;
};

#endif

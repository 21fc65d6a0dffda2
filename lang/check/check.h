/* What check makes of the modules: every name resolved, every declaration's fields known, nothing evaluated yet.
 *
 * check annotates the tree in place (dk_binding, DK_EXPR_REF) and lists what the plan is built from. Errors go to the
 * diagnostics; what is wrong is left out or DK_EXPR_ERROR, so that eval and plan can go on with the rest. */
#ifndef DK_CHECK_CHECK_H
#define DK_CHECK_CHECK_H

#include "lang/check/schema.h"
#include "lang/diag/diag.h"
#include "lang/syntax/ast.h"

enum dk_column_role { DK_COLUMN_AXIS, DK_COLUMN_DERIVED };

struct dk_column_decl {
  const struct dk_str *name;
  enum dk_column_role role;
  struct dk_span span;
};
struct dk_column_decls {
  struct dk_column_decl *items;
  uint32_t count, cap;
};

struct dk_named_expr {
  const struct dk_str *name;
  struct dk_span name_span;
  struct dk_expr *value;
};
struct dk_named_exprs {
  struct dk_named_expr *items;
  uint32_t count, cap;
};

struct dk_checked_grid {
  const struct dk_decl *decl;
  struct dk_column_decls columns; /* in order; of `over` first */
  bool is_broken;                 /* something in it was wrong (reported): its points are not known */
  bool columns_unknown;           /* so wrong that there may be other columns too */
};

struct dk_checked_task {
  const struct dk_decl *decl;
  const struct dk_str *name;
  struct dk_expr *over; /* grid expression, NULL: one point without columns */
  struct dk_column_decls columns;
  struct dk_expr *doc, *needs, *code, *run, *shell, *timeout, *at_once, *when, *cache, *pass, *nodes,
      *after; /* NULL where left out (defaults applied by check) */
  struct dk_expr *retry_lost, *retry_oom, *retry_exit, *retry_grow;
  struct dk_named_exprs inputs, outputs, metrics, env;
  const struct dk_block *retry_block;
  bool from_defaults_needs; /* needs came from experiment.defaults */
};

struct dk_checked_pick {
  const struct dk_decl *decl;
  const struct dk_str *name;
  const struct dk_checked_task *from;
  const struct dk_str *metric; /* one of from's metrics */
  bool is_max;
  const struct dk_str **per, **mean_over; /* columns of from */
  uint32_t n_per, n_mean_over;
  bool skip_failed;
  struct dk_expr *best; /* k of `best = k`, or NULL */
};

struct dk_checked_table {
  const struct dk_stmt *stmt;
  const struct dk_checked_task **from; /* `from = final`, or a list of tasks: their rows one after the other */
  uint32_t n_from;
  struct dk_exprs columns; /* names of columns, metrics, `task`, or REFs to picks and other tasks */
  struct dk_expr *where, *sort,
      *title; /* NULL where left out; where is not written in this version (the word is an operator) */
  bool descending;
};

/* A let (no function), param or resource: has one value. decl->checked of each. */
struct dk_checked_value {
  const struct dk_decl *decl;
  uint32_t number;
  const struct dk_param *param;
};

struct dk_param {
  const struct dk_decl *decl;
  const char *given;          /* text of -p name=text, or NULL */
  struct dk_expr *given_expr; /* parsed (a bare word that is no expression is a string) */
};

/* A block of a file of providers. */
struct dk_checked_provider {
  const struct dk_decl *decl;
  const char *kind;               /* one of dk_provider_kinds.names; NULL: none is written, or a wrong one */
  const struct dk_schema *schema; /* NULL: the kind is wrong (reported), and its fields were not looked at */
  struct dk_expr **values;        /* by the schema's fields; NULL: left out, or wrong in itself */
  struct dk_span *name_spans;     /* likewise */
  bool is_broken;                 /* something in it was wrong (reported) */
};

struct dk_checked {
  struct dk_arena *arena;
  struct dk_strs *strs;
  struct dk_sources *sources;
  struct dk_diags *diags;
  struct dk_module **modules; /* root first */
  uint32_t n_modules, cap_modules;
  const struct dk_str *name; /* the experiment's: declared, or the file's without .dk */
  const struct dk_str *doc;  /* or NULL */
  struct dk_param *params;
  uint32_t n_params, cap_params;
  struct dk_checked_value **values;
  uint32_t n_values, cap_values; /* each after what it uses; number is the index */
  struct dk_checked_grid **grids;
  uint32_t n_grids, cap_grids; /* each after what it uses */
  struct dk_checked_task **tasks;
  uint32_t n_tasks, cap_tasks; /* in the order written */
  struct dk_checked_pick **picks;
  uint32_t n_picks, cap_picks;
  struct dk_checked_table **tables;
  uint32_t n_tables, cap_tables;
  struct dk_checked_provider **providers;
  uint32_t n_providers, cap_providers; /* only of a file of providers; in the order written */
};

struct dk_check_given {
  const char *name, *text;
}; /* -p name=text */

/* Reads a module's text for an import; the door (lang/load) supplies it. Returns NULL after a diagnostic at `at`.
 * Called once per distinct path: a module that is imported twice is one module. */
typedef const struct dk_source *dk_read_module_fn(void *ctx, const struct dk_decl *import, struct dk_span at);

/* `root` as parsed. Never NULL. `given` are the parameters of the command line (unknown ones are errors with a
 * suggestion). */
struct dk_checked *dk_check(struct dk_arena *arena, struct dk_strs *strs, struct dk_diags *diags,
                            struct dk_module *root, dk_read_module_fn *read, void *read_ctx,
                            const struct dk_check_given *given, uint32_t n_given);

/* What kinds of providers there are: the caller's knowledge. */
struct dk_provider_kinds {
  const char *const *names;
  uint32_t n_names;
  /* The fields of a block `provider name { ... }`, never NULL; of at most DK_SCHEMA_MAX. `kind`, a field itself, is one
   * of the names, or NULL where the block has none. What it returns is used until the file is loaded. */
  const struct dk_schema *(*schema)(void *ctx, const char *name, const char *kind);
  void *ctx;
};

/* The same for a file of providers: it declares those, with lets and imports, and nothing else. */
struct dk_checked *dk_check_providers(struct dk_arena *arena, struct dk_strs *strs, struct dk_diags *diags,
                                      struct dk_module *root, dk_read_module_fn *read, void *read_ctx,
                                      const struct dk_provider_kinds *kinds);

/* An expression that stands in no file (`source` is where it was given), over these columns alone. Wrong names are
 * diagnostics and DK_EXPR_ERROR. What it returns is for dk_eval_init. */
struct dk_checked *dk_check_alone(struct dk_arena *arena, struct dk_strs *strs, struct dk_diags *diags,
                                  const struct dk_source *source, struct dk_expr *expr,
                                  const struct dk_column_decls *columns);

/* What an expression depends on: columns (distinct, in order of first use) and references. */
struct dk_uses {
  const struct dk_str **columns;
  uint32_t n_columns, cap_columns;
  const struct dk_expr **refs;
  uint32_t n_refs, cap_refs; /* DK_EXPR_REF nodes */
  const struct dk_str **inputs;
  uint32_t n_inputs, cap_inputs; /* inputs.x used */
  bool whole_point, all_inputs;  /* `point`, `inputs` as a whole */
};
void dk_check_uses(struct dk_arena *arena, const struct dk_expr *expr, struct dk_uses *uses); /* adds to *uses */

#endif

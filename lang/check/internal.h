/* Shared by the files of lang/check: the state of one check, scopes, and the passes' doors. */
#ifndef DK_CHECK_INTERNAL_H
#define DK_CHECK_INTERNAL_H

#include "lang/check/builtin.h"
#include "lang/check/check.h"
#include "lang/check/schema.h"
#include "lang/check/walk.h"
#include "lang/syntax/parse.h"

struct dk_checker {
  struct dk_arena *arena;
  struct dk_strs *strs;
  struct dk_diags *diags;
  struct dk_checked *checked;
  struct dk_map *names; /* by module: name -> index of its declaration */
  uint32_t cap_names;
  dk_read_module_fn *read;
  void *read_ctx;
  const struct dk_check_given *given; /* -p */
  uint32_t n_given;
  const struct dk_provider_kinds *kinds; /* of a file of providers; NULL: it is an experiment */
  const struct dk_decl *experiment;      /* or NULL */
  struct dk_checked_task defaults;       /* only needs, shell, timeout, retry, env, pass, cache */
};

/* Columns of a grid, items of a block: more than a person writes, so that no search over them is long. */
#define DK_CHECK_MAX_ITEMS 1000

/* What an expression may use where it stands. */
enum dk_allow {
  DK_ALLOW_INPUTS = 1,
  DK_ALLOW_OUTPUTS = 2,
  DK_ALLOW_POINT = 4,
  DK_ALLOW_STREAMS = 8,
  DK_ALLOW_REFS = 16,  /* references to tasks and picks at all */
  DK_ALLOW_FILES = 32, /* references to outputs, gather */
  DK_ALLOW_LATE = 64,  /* what is known only when tasks have run */
  DK_ALLOW_ROW = 128,  /* a report's row: metrics and `task` stand among the columns */
};

struct dk_local {
  const struct dk_str *name;
};

struct dk_scope {
  struct dk_checker *checker;
  const struct dk_module *module;
  uint32_t before;                       /* only declarations with an index below this; UINT32_MAX: any */
  const struct dk_decl *self;            /* the one being checked: using it is a cycle. NULL for tasks and the like */
  const struct dk_column_decls *columns; /* NULL: none can be used here */
  bool columns_unknown;                  /* the grid is wrong (reported): stay quiet about names */
  const struct dk_decl *grid;            /* whose columns they are, if that is one grid */
  const struct dk_checked_task *task;    /* for inputs, outputs, point */
  unsigned allow;                        /* enum dk_allow */
  const char *what;                      /* "a let", "`needs`": for messages */
  struct dk_local *locals;
  uint32_t n_locals, cap_locals, max_locals;
};

/* scope.c */
void dk_scope_declare(struct dk_checker *checker, uint32_t module_index); /* fills names, reports duplicates */
const struct dk_decl *dk_scope_find(struct dk_checker *checker, const struct dk_module *module,
                                    const struct dk_str *name);
/* The declaration that a name stands for, through locals and columns; NULL if there is none or it is hidden. No
 * error. */
const struct dk_decl *dk_scope_decl(const struct dk_scope *scope, const struct dk_str *name);
/* That and `alias.name`; *ret_span is the name's. No error: NULL also for a member that is not there. */
const struct dk_decl *dk_scope_decl_of(const struct dk_scope *scope, const struct dk_expr *expr);
/* Reports what is wrong with using it here (before its declaration, itself); true if nothing. */
bool dk_scope_usable(struct dk_scope *scope, const struct dk_decl *decl, struct dk_span at);
void dk_scope_unknown(struct dk_scope *scope, const struct dk_str *name, struct dk_span span, bool is_call);
/* Path:line:column of a span, in the arena. */
const char *dk_scope_place(struct dk_checker *checker, struct dk_span span);
/* "a, b, c" of at most 20 names, in the arena. */
const char *dk_scope_list(struct dk_checker *checker, const char *const *names, uint32_t n);
void dk_scope_suggest(struct dk_checker *checker, struct dk_diag *diag, const char *name, const char *const *names,
                      uint32_t n);

/* resolve.c: binds every name in the expression; what is wrong becomes DK_EXPR_ERROR. */
void dk_resolve(struct dk_scope *scope, struct dk_expr *expr);
void dk_resolve_error(struct dk_expr *expr);
void dk_resolve_push(struct dk_scope *scope, const struct dk_str *name); /* a local; its slot is the former n_locals */
/* The member of a module that `alias.name` names: reports when there is none; NULL then. Rewrites the node to a
 * NAME. */
const struct dk_decl *dk_resolve_member(struct dk_scope *scope, struct dk_expr *expr, const struct dk_decl *import);

/* call.c */
void dk_resolve_call(struct dk_scope *scope, struct dk_expr *expr);

/* ref.c: the task or pick that `t`, `alias.t`, `t[a = e]` names; NULL if it is none. */
struct dk_target {
  const struct dk_decl *decl;
  struct dk_fields selectors;
};
bool dk_ref_target(const struct dk_scope *scope, const struct dk_expr *expr, struct dk_target *ret);
/* Makes a REF of expr, which is target.field (field NULL: the whole task, for gather). */
void dk_ref_make(struct dk_scope *scope, struct dk_expr *expr, struct dk_target *target, const struct dk_str *field,
                 struct dk_span field_span);
void dk_ref_gather(struct dk_scope *scope, struct dk_expr *call);

/* body.c: the fields of a block by schema. found[i] is the statement of schema field i, or NULL; unknown, repeated and
 * unbuilt ones are reported. `block` may be NULL (nothing found). */
#define DK_BODY_MAX DK_SCHEMA_MAX
void dk_body_read(struct dk_checker *checker, const struct dk_schema *schema, const struct dk_block *block,
                  struct dk_span owner, struct dk_stmt *found[DK_BODY_MAX]);
/* Is the field there in a wrong form or misspelt? That was said, so that it is not said to be missing. */
bool dk_body_tried(const struct dk_schema *schema, const struct dk_block *block, const char *name);
struct dk_stmt *dk_body_field(const struct dk_schema *schema, struct dk_stmt *const found[DK_BODY_MAX],
                              const char *name);
/* Reports a literal of the wrong kind (and makes it an ERROR); quiet about what is no literal. */
void dk_body_kind(struct dk_checker *checker, const struct dk_schema_field *field, struct dk_expr *value);
/* A field that names things: `train`, `[a, b]`, `"a"` are no names. Returns how many; 0 after an error. */
uint32_t dk_body_names(struct dk_checker *checker, const struct dk_schema_field *field, const struct dk_stmt *stmt,
                       struct dk_expr ***ret);
/* The items of a { } block as named expressions; reports what is no `name = value` and repetitions. */
void dk_body_named(struct dk_checker *checker, const struct dk_block *block, const char *what,
                   struct dk_named_exprs *ret);
void dk_not_built(struct dk_checker *checker, struct dk_span span, const char *what);

/* module.c: all modules, root first in checked->modules; imports before importers in *ret_order. */
void dk_module_load(struct dk_checker *checker, struct dk_module *root, struct dk_module ***ret_order, uint32_t *ret_n);

/* grid.c */
void dk_check_grid(struct dk_checker *checker, struct dk_decl *decl);
/* Resolves a grid expression and gives its columns; false (after an error) if they are not known. *ret_grid: the one
 * grid it is, or NULL. scope is the place where it stands, without columns. */
bool dk_check_grid_expr(struct dk_scope *scope, struct dk_expr *expr, struct dk_column_decls *ret,
                        const struct dk_decl **ret_grid);
const struct dk_column_decl *dk_column_find(const struct dk_column_decls *columns, const struct dk_str *name);

/* task.c: heads first (columns, names of outputs and metrics), so that bodies may refer to any task. */
void dk_check_task_head(struct dk_checker *checker, struct dk_decl *decl, const char *prefix);
void dk_check_task_body(struct dk_checker *checker, struct dk_checked_task *task);
void dk_check_defaults(struct dk_checker *checker);
/* Private part of a task's head: decl->checked is a dk_checked_task that begins one of these. */
struct dk_task_head {
  struct dk_checked_task task;
  struct dk_stmt *found[DK_BODY_MAX];
  bool columns_unknown;
  bool is_used; /* of a module: in checked->tasks */
  const struct dk_decl *grid;
};

/* pick.c, report.c */
void dk_check_pick_head(struct dk_checker *checker, struct dk_decl *decl);
void dk_check_pick_body(struct dk_checker *checker, struct dk_checked_pick *pick);
void dk_check_report(struct dk_checker *checker, struct dk_decl *decl);
struct dk_pick_head {
  struct dk_checked_pick pick;
  bool is_used;
  struct dk_stmt *found[DK_BODY_MAX];
};

/* provider.c */
void dk_check_provider(struct dk_checker *checker, const struct dk_decl *decl);

/* cycle.c: tasks and picks that wait for each other. */
void dk_check_cycles(struct dk_checker *checker);

/* value_cycle.c: scope->self uses `decl`, which stands below it, at `at`: true after an error that shows the way back,
 * when there is one. The circle's uses become ERRORs. */
bool dk_check_value_cycle(struct dk_scope *scope, const struct dk_decl *decl, struct dk_span at);

/* param.c */
void dk_check_given(struct dk_checker *checker, const struct dk_check_given *given, uint32_t n_given);

#endif

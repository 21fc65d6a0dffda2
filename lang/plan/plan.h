/* The checked, immutable plan: templates, grids as columns, edges as join rules; a task is a (template, row) pair.
 *
 * Rendering (names, orders, keys) is done when asked, never ahead. A plan comes from lang/load (everything works) or
 * from dk_plan_decode (the pin of a run: names, columns, tables; dk_plan_order is refused). */
#ifndef DK_PLAN_PLAN_H
#define DK_PLAN_PLAN_H

#include "lang/base/buf.h"
#include "lang/base/digest.h"
#include "lang/base/error.h"
#include "lang/eval/value.h"
#include "lang/plan/graph.h"

/* One column of a grid: the value of row r is values[code(r)]. */
struct dk_column {
  const char *name;
  bool is_axis;
  uint8_t width; /* bytes a code; 0: code(r) = r / stride % card, nothing stored per row */
  uint32_t card, stride;
  const dk_value_id *values; /* card of them, in grid order */
  const void *codes;
  const char *path; /* where it is declared, for `why`; NULL in a cell, and in a pin of format 1 */
  uint32_t line;
  dk_value_id
      rows_of; /* an axis over a record of records: that record; its own values are the fields' names. Else DK_NULL */
};

struct dk_points {
  uint32_t rows, n_columns;
  struct dk_column *columns;
};
dk_value_id dk_column_value(const struct dk_column *column, uint32_t row);

/* What each clause of a grid did, for `plan`. The first step makes the points, the others change their number. */
struct dk_grid_step {
  const char *text; /* "c 11 x gamma 10", "exclude" */
  int64_t change;
  const char *path;
  uint32_t line;
};

/* A value per row that is known at plan time, or one that is computed when its late parts are known. */
enum dk_cell_kind { DK_CELL_NONE, DK_CELL_CONST, DK_CELL_COLUMN, DK_CELL_LATE };
struct dk_cell {
  enum dk_cell_kind kind;
  dk_value_id value;          /* CONST */
  struct dk_column column;    /* COLUMN (name NULL) */
  const struct dk_expr *expr; /* LATE; NULL in a decoded plan */
  const char *text;           /* LATE: source text */
};

enum dk_input_kind {
  DK_INPUT_FILE,    /* file(...): paths in the repository, one or (glob) several; cell gives text or a list of text */
  DK_INPUT_OUTPUT,  /* another task's output: edge, output; or by a pick: the chosen row's output (via_pick) */
  DK_INPUT_GATHER,  /* gather(u.x): outputs of the edge's rows, in grid order */
  DK_INPUT_RECORDS, /* gather(u): one JSON file of records */
  DK_INPUT_WRITE,   /* write(name, record): bytes */
  DK_INPUT_MOUNT,   /* mount(path, version) */
  DK_INPUT_URL,
};
/* Outputs of tasks, as they were made? */
static inline bool dk_input_is_output(enum dk_input_kind kind) {
  return kind == DK_INPUT_OUTPUT || kind == DK_INPUT_GATHER;
}
/* An `if` on columns gives several entries of one name: at each row at most one stands (its cell is not null, its edge
 * has rows). */
struct dk_input {
  const char *name;
  enum dk_input_kind kind;
  struct dk_cell cell;       /* FILE: path(s) relative to the repository's root; WRITE, MOUNT: the inert call */
  uint32_t edge;             /* OUTPUT, GATHER, RECORDS: index in the node's edges */
  uint32_t producer, output; /* template and its output */
  bool via_pick;             /* the edge leads to a pick; the output is that of the row it chose */
  uint32_t line;
};

struct dk_output {
  const char *name;
  struct dk_cell path;
  bool is_dir;
  uint32_t line;
};

enum dk_metric_kind {
  DK_METRIC_MATCH_STDOUT,
  DK_METRIC_MATCH_STDERR,
  DK_METRIC_MATCH_FILE,
  DK_METRIC_JSON,
  DK_METRIC_CSV
};
struct dk_metric {
  const char *name;
  enum dk_metric_kind kind;
  const char *path;    /* MATCH_FILE, JSON, CSV: relative path in the task's directory */
  const char *pattern; /* regex; member path "a.b"; column */
  uint32_t line;
};

struct dk_env_var {
  const char *name;
  struct dk_cell cell; /* NONE for a secret */
  bool is_secret;
  const char *from; /* secret(from): the caller's variable; NULL else */
  uint32_t line;    /* 0 in a pin of format 1 */
};

struct dk_template {
  enum dk_node_kind kind;
  const char *name, *doc;
  const char *path; /* source file and line of the declaration */
  uint32_t line;
  const char *
      dir; /* directory of that file, relative to the repository's root ("" is the root): file() and code start there */
  uint32_t node; /* index in graph.nodes; templates and nodes correspond one to one, in the same order */
  struct dk_points points;
  struct dk_grid_step *steps;
  uint32_t n_steps;
  struct dk_input *inputs;
  uint32_t n_inputs;
  struct dk_output *outputs;
  uint32_t n_outputs;
  struct dk_metric *metrics;
  uint32_t n_metrics;
  struct dk_env_var *env;
  uint32_t n_env;
  const char **pass;
  uint32_t n_pass;
  const char **code;
  uint32_t n_code;        /* patterns; none: no code */
  struct dk_cell needs;   /* a record: cpus memory disk gpus gpu ... */
  struct dk_cell timeout; /* duration; NONE: no limit */
  struct dk_cell when;    /* NONE, or a bool; false: the task is skipped */
  bool cached;            /* cache = "none" makes it false */
  /* A pick. */
  uint32_t from, metric; /* template and its metric */
  bool is_max;
  uint32_t *per, *mean_over;
  uint32_t n_per, n_mean_over; /* columns of `from` */
  uint32_t n_best;             /* ranks; 1 without `best` */
  struct dk_program *program;  /* of run; private to lang/plan. NULL in a pick and in a pin of format 1 */
};

enum dk_table_column_kind {
  DK_TABLE_TASK,
  DK_TABLE_COLUMN,
  DK_TABLE_METRIC,
  DK_TABLE_PICK_COLUMN,
  DK_TABLE_PICK_METRIC
};
struct dk_table_column {
  const char *title; /* "best.c" */
  enum dk_table_column_kind kind;
  const char *name; /* column or metric; looked up in each row's template (blank where it has none) */
  uint32_t pick;    /* PICK_*: template of the pick; joined on shared columns */
};
struct dk_report_table { /* not dk_table: that tag is engine/store's enum, and both are included together */
  const char *title;
  uint32_t *from;
  uint32_t n_from; /* templates */
  struct dk_table_column *columns;
  uint32_t n_columns;
  uint32_t sort; /* index of a column to sort by, or UINT32_MAX: grid order */
  bool descending;
};

struct dk_plan {
  const char *name, *doc, *path;
  struct dk_values *values;
  struct dk_graph graph;
  struct dk_template *templates;
  uint32_t n_templates;
  struct dk_report_table *tables;
  uint32_t n_tables;
  struct {
    const char *name;
    dk_value_id value;
  } * params;
  uint32_t n_params;
  bool is_pin; /* decoded */
  void *priv;
};

static inline const struct dk_template *dk_plan_template(const struct dk_plan *plan, uint32_t task, uint32_t *ret_row) {
  return &plan->templates[dk_graph_node_of(&plan->graph, task, ret_row)];
}

/* Names: "train lr=0.1 seed=2" (values as source text, shell-safe). */
void dk_plan_task_name(const struct dk_plan *plan, uint32_t task, struct dk_buf *out);
/* Where a task makes an output, relative to its directory; a directory's has no "/" at its end. Lives as long as the
 * plan. */
const char *dk_plan_output_path(const struct dk_plan *plan, uint32_t task, uint32_t output);
/* Tasks named by words as a person types them: a template, then column=value words (any subset); or "t17", the 1-based
 * number of a task. *ret is dk_freed by the caller. -ENOENT with a message and suggestion when nothing matches. */
int dk_plan_select(const struct dk_plan *plan, const char *const *words, uint32_t n_words, uint32_t **ret,
                   uint32_t *ret_n, struct dk_error *error);
/* "evaluate.model <- train.model: matched lr, batch; broadcast split", a line per edge. */
void dk_plan_edges_text(const struct dk_plan *plan, struct dk_buf *out);

/* What is known only while running. */
struct dk_late {
  void *ctx;
  bool (*chosen)(void *ctx, uint32_t pick_task,
                 uint32_t *ret_row); /* row of the pick's `from`; DK_NO_ROW: decided, and nothing was chosen */
  bool (*metric)(void *ctx, uint32_t task, uint32_t metric, double *ret,
                 const char **ret_text); /* ret_text non-NULL: it is no number */
};

/* One task as it is handed out. All memory is the order's own (heap); finish frees it. */
struct dk_order_input {
  const char *name;
  enum dk_input_kind kind;
  const char *place;   /* where it is put, relative to the task's directory: ".dk/inputs/train/svmguide1" */
  const char *path;    /* FILE: relative to the repository; MOUNT: absolute */
  const char *version; /* MOUNT */
  const char *bytes;
  size_t n_bytes;        /* WRITE */
  uint32_t task, output; /* OUTPUT, GATHER: whose (a chosen one is resolved); RECORDS: task is unused */
  uint32_t input;        /* index in template.inputs; a gather or glob gives several order inputs with the same */
};
struct dk_order_output {
  const char *name, *path;
  bool is_dir;
};
struct dk_order {
  const char **argv;
  uint32_t n_argv;    /* of the program; for a shell its words, without the script */
  const char *script; /* text for the shell, or NULL (run is a list) */
  const char **env_names, **env_values;
  uint32_t n_env;
  const char **secrets;
  uint32_t n_secrets;        /* names of env variables taken from the caller's environment */
  const char **secrets_from; /* the caller's names for them (mostly the same) */
  const char **pass;
  uint32_t n_pass;
  struct dk_order_input *inputs;
  uint32_t n_inputs;
  struct dk_order_output *outputs;
  uint32_t n_outputs;
  const char **keep_files;
  uint32_t n_keep_files; /* that metrics read, to be kept when they exist */
  uint64_t timeout_ns;   /* 0: none */
  uint32_t cpus;
  uint64_t memory; /* bytes; 0: no limit asked */
  uint32_t gpus;
  const char *gpu; /* their model; NULL: any */
  bool skip;       /* `when` is false */
  bool no_sandbox; /* it may read what it does not declare */
  void *priv;
};
/* 0; -EAGAIN when something late is not known yet; -EINVAL with a message when a late value is of no use (say, null in
 * text). Late values are evaluated by the plan's own evaluator (hash-consed: memory grows with distinct values only),
 * so one thread at a time. */
int dk_plan_order(const struct dk_plan *plan, uint32_t task, const struct dk_late *late, struct dk_order *ret,
                  struct dk_error *error);
void dk_order_finish(struct dk_order *order);

/* What tasks need of a machine. Calls visit for each task whose `needs` are others than those of the task before it,
 * until that says false. Not for a pin. 0, or -ENOMEM. */
struct dk_plan_needs {
  uint32_t task, cpus, gpus;
  uint64_t memory;
  const char *gpu;
};
typedef bool dk_plan_needs_fn(void *ctx, const struct dk_plan_needs *needs);
int dk_plan_each_needs(const struct dk_plan *plan, dk_plan_needs_fn *visit, void *ctx);

/* The memory of a task's attempt after `ooms` of them ended for lack of it: what it needs, as `grow` has it by then.
 * Bytes, not held to any machine's; 0: no limit asked. */
uint64_t dk_plan_memory(const struct dk_plan *plan, uint32_t task, uint32_t ooms);

/* Key of a task (key.c has the exact list; docs/architecture.md says why each thing is in or out). `inputs` are content
 * digests in the order of order->inputs; `code` is the code digest (zero: none); `environment` the environment id. */
#define DK_KEY_FORMAT 1
int dk_plan_key(const struct dk_plan *plan, uint32_t task, const struct dk_order *order, const struct dk_digest *inputs,
                const struct dk_digest *code, const struct dk_digest *environment, struct dk_digest *ret,
                struct dk_error *error);
/* The key's components by themselves, so that `why` can name what changed: "program", "values", "shell", "env NAME",
 * "input NAME", "code", "environment", "outputs". *ret is one heap block (dk_free), names point into it. */
struct dk_key_part {
  const char *name;
  struct dk_digest digest;
};
int dk_plan_key_parts(const struct dk_plan *plan, uint32_t task, const struct dk_order *order,
                      const struct dk_digest *inputs, const struct dk_digest *code, const struct dk_digest *environment,
                      struct dk_key_part **ret, uint32_t *ret_n, struct dk_error *error);
/* Which extractors: changes when a metric is edited, never with the key. */
void dk_plan_metrics_digest(const struct dk_plan *plan, uint32_t template_index, struct dk_digest *ret);

/* The pin of a run. Decoded plans own one arena; destroy frees it. */
int dk_plan_encode(const struct dk_plan *plan, struct dk_buf *out);
int dk_plan_decode(const void *data, size_t len, struct dk_plan **ret, struct dk_error *error);
void dk_plan_destroy(struct dk_plan *plan);

#endif

/* A run opened for reading; see row.h. */
#include "engine/report/row.h"
#include "engine/store/hosts.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define PIN_MAX ((size_t)1 << 30)

static int read_pin(struct dk_row_source *rows, struct dk_error *error) {
  dk_autobuf bytes = DK_BUF_INIT;
  int r = dk_objects_read(rows->objects, &rows->run.plan, PIN_MAX, &bytes, error);
  if (r == 0) {
    r = dk_plan_decode(bytes.data, bytes.len, &rows->pin, error);
  }
  if (r < 0) {
    return dk_error_prefix(error, "reading the plan that run %u was made with", rows->run.number);
  }
  rows->plan = rows->pin;
  return 0;
}

static int no_such_run(struct dk_store *store, uint32_t run, struct dk_error *error) {
  struct dk_run last;
  if (dk_store_get_run(store, 0, &last, NULL) < 0) {
    return dk_error_set(error, -ENOENT, "nothing was run here yet\nhelp: dkrun run FILE");
  }
  uint32_t number = last.number;
  dk_run_finish(&last);
  return dk_error_set(error, -ENOENT, "no run %u: the last one is %u\nhelp: `dkrun status` lists the runs", run,
                      number);
}

static int allocate(struct dk_row_source *rows, struct dk_error *error) {
  const struct dk_plan *plan = rows->plan;
  rows->n_tasks = plan->graph.n_tasks;
  rows->tasks = dk_calloc(rows->n_tasks, sizeof *rows->tasks);
  rows->has_record = dk_calloc(rows->n_tasks, sizeof *rows->has_record);
  rows->extractors = dk_calloc(plan->n_templates, sizeof *rows->extractors);
  if (!rows->tasks || !rows->has_record || !rows->extractors) {
    return dk_error_system(error, -ENOMEM, "reading run %u", rows->run.number);
  }
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    if (plan->templates[i].kind == DK_NODE_TASK) {
      dk_plan_metrics_digest(plan, i, &rows->extractors[i]);
    }
  }
  return 0;
}

int dk_row_source_open(struct dk_row_source *rows, struct dk_store *store, const struct dk_objects *objects,
                       uint32_t run, const struct dk_plan *plan, struct dk_error *error) {
  memset(rows, 0, sizeof *rows);
  rows->store = store;
  rows->objects = objects;
  rows->plan = plan;
  rows->metrics_task = DK_NO_TASK;
  int r = dk_store_get_run(store, run, &rows->run, error);
  if (r < 0) {
    memset(rows, 0, sizeof *rows);
    return r == -ENOENT ? no_such_run(store, run, error) : r;
  }
  r = plan ? 0 : read_pin(rows, error);
  if (r == 0) {
    r = allocate(rows, error);
  }
  if (r == 0) {
    r = dk_row_source_refresh(rows, error);
  }
  if (r < 0) {
    dk_row_source_finish(rows);
  }
  return r;
}

static int take_record(void *ctx, uint32_t task, const struct dk_task_record *record) {
  struct dk_row_source *rows = ctx;
  if (task < rows->n_tasks) {
    rows->tasks[task] = *record;
    rows->has_record[task] = true;
  }
  return 0;
}

/* Tasks, picks left out, as the engine counts at the end. */
static void count(struct dk_row_source *rows) {
  struct dk_run run = {0};
  rows->n_running = 0;
  for (uint32_t i = 0; i < rows->plan->n_templates; i++) {
    const struct dk_graph_node *node = &rows->plan->graph.nodes[rows->plan->templates[i].node];
    if (rows->plan->templates[i].kind != DK_NODE_TASK) {
      continue;
    }
    run.n_tasks += node->rows;
    for (uint32_t t = node->first; t < node->first + node->rows; t++) {
      enum dk_task_state state = rows->tasks[t].state;
      run.n_done += state == DK_TASK_DONE;
      run.n_cached += state == DK_TASK_CACHED || state == DK_TASK_SKIPPED;
      run.n_failed += state == DK_TASK_FAILED;
      run.n_not_run += state == DK_TASK_NOT_RUN || state == DK_TASK_CANCELLED;
      rows->n_running += state == DK_TASK_RUNNING;
    }
  }
  if (!rows->run.n_tasks) {
    rows->run.n_tasks = run.n_tasks;
    rows->run.n_done = run.n_done;
    rows->run.n_cached = run.n_cached;
    rows->run.n_failed = run.n_failed;
    rows->run.n_not_run = run.n_not_run;
  }
}

int dk_row_source_refresh(struct dk_row_source *rows, struct dk_error *error) {
  struct dk_run run;
  int r = dk_store_get_run(rows->store, rows->run.number, &run, error);
  if (r < 0) {
    return r;
  }
  dk_run_finish(&rows->run);
  rows->run = run;
  r = dk_store_each_task(rows->store, rows->run.number, take_record, rows, error);
  count(rows);
  return r;
}

void dk_row_source_finish(struct dk_row_source *rows) {
  dk_metric_values_finish(&rows->metrics);
  dk_free(rows->tasks);
  dk_free(rows->has_record);
  dk_free(rows->extractors);
  if (rows->pin) {
    dk_plan_destroy(rows->pin);
  }
  dk_run_finish(&rows->run);
  memset(rows, 0, sizeof *rows);
}

void dk_row_host(struct dk_store *store, const struct dk_task_record *record, const char *prefix, struct dk_buf *out) {
  struct dk_host_record host;
  if (record->host == DK_HOST_LOCAL || dk_store_get_host(store, record->host, &host, NULL) < 0) {
    return;
  }
  dk_buf_add_text(out, prefix);
  dk_buf_add_escaped(out, host.name, strlen(host.name));
  dk_host_record_finish(&host);
}

void dk_row_name(const struct dk_plan *plan, uint32_t task, struct dk_buf *out) {
  dk_autobuf name = DK_BUF_INIT;
  dk_plan_task_name(plan, task, &name);
  dk_shown_text(dk_buf_text(&name), name.len, out);
  dk_buf_inherit(out, &name);
}

void dk_row_point(const struct dk_plan *plan, uint32_t task, struct dk_buf *out) {
  dk_autobuf name = DK_BUF_INIT;
  dk_plan_task_name(plan, task, &name);
  dk_buf_inherit(out, &name);
  const char *space = name.len ? memchr(name.data, ' ', name.len) : NULL;
  if (space) {
    dk_shown_text(space + 1, name.len - (size_t)(space + 1 - name.data), out);
  }
}

void dk_row_label(const struct dk_row_source *rows, uint32_t task, struct dk_buf *out) {
  dk_buf_printf(out, "t%u ", task + 1);
  dk_row_name(rows->plan, task, out);
}

/* Damage to one value must not hide the others. */
static void remember_failure(struct dk_row_source *rows, int r, const struct dk_error *error) {
  rows->n_damaged += r == -EBADMSG;
  if (r != -ENOENT && r != -EBADMSG && rows->failure.code == 0) {
    rows->failure = *error;
  }
}

int dk_row_failure(const struct dk_row_source *rows, struct dk_error *error) {
  return rows->failure.code ? dk_error_set(error, rows->failure.code, "%s", rows->failure.text) : 0;
}

const struct dk_metric_values *dk_row_metrics(struct dk_row_source *rows, uint32_t task) {
  uint32_t row;
  const struct dk_task_record *record = &rows->tasks[task];
  if (record->state != DK_TASK_DONE && record->state != DK_TASK_CACHED) {
    return NULL;
  }
  if (rows->metrics_task == task) {
    return &rows->metrics;
  }
  dk_metric_values_finish(&rows->metrics);
  memset(&rows->metrics, 0, sizeof rows->metrics);
  rows->metrics_task = DK_NO_TASK;
  uint32_t node = dk_graph_node_of(&rows->plan->graph, task, &row);
  if (rows->plan->templates[node].kind != DK_NODE_TASK || !rows->plan->templates[node].n_metrics) {
    return NULL;
  }
  struct dk_error error = {0};
  int r = dk_store_get_metrics(rows->store, &record->key, &rows->extractors[node], NULL, &rows->metrics, &error);
  if (r < 0) {
    remember_failure(rows, r, &error);
    return NULL;
  }
  rows->metrics_task = task;
  return &rows->metrics;
}

const struct dk_metric_value *dk_row_metric(struct dk_row_source *rows, uint32_t task, const char *name) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(rows->plan, task, &row);
  const struct dk_metric_values *values = dk_row_metrics(rows, task);
  for (uint32_t i = 0; values && i < t->n_metrics && i < values->n; i++) {
    if (strcmp(t->metrics[i].name, name) == 0) {
      return values->items[i].state == DK_METRIC_MISSING ? NULL : &values->items[i];
    }
  }
  return NULL;
}

int dk_row_result(struct dk_row_source *rows, uint32_t task, struct dk_result *ret, struct dk_error *error) {
  const struct dk_task_record *record = &rows->tasks[task];
  if (record->state == DK_TASK_DONE || record->state == DK_TASK_CACHED) {
    struct dk_saved saved;
    int r = dk_store_get_saved(rows->store, &record->key, &saved, error);
    if (r < 0) {
      return r;
    }
    *ret = saved.result;
    memset(&saved.result, 0, sizeof saved.result); /* moved out */
    dk_saved_finish(&saved);
    return 0;
  }
  if (dk_id_is_none(record->attempt)) {
    return dk_error_set(error, -ENOENT, "it has not been run");
  }
  return dk_store_get_failure(rows->store, record->attempt, ret, error);
}

int dk_row_choice(struct dk_row_source *rows, uint32_t pick_task, struct dk_choice *ret, struct dk_error *error) {
  struct dk_error why = {0};
  int r = dk_store_get_choice(rows->store, rows->run.number, pick_task, ret, &why);
  if (r < 0) {
    remember_failure(rows, r, &why);
    return dk_error_set(error, r, "%s", why.text);
  }
  return 0;
}

static const struct dk_column *column_named(const struct dk_points *points, const char *name) {
  for (uint32_t i = 0; i < points->n_columns; i++) {
    if (strcmp(points->columns[i].name, name) == 0) {
      return &points->columns[i];
    }
  }
  return NULL;
}

uint32_t dk_row_pick_row(const struct dk_plan *plan, uint32_t pick, uint32_t template_index, uint32_t row) {
  const struct dk_points *mine = &plan->templates[pick].points, *other = &plan->templates[template_index].points;
  for (uint32_t r = 0; r < mine->rows; r++) {
    bool equal = true;
    for (uint32_t c = 0; c < mine->n_columns && equal; c++) {
      const struct dk_column *theirs = column_named(other, mine->columns[c].name);
      equal =
          !theirs || dk_value_same(plan->values, dk_column_value(&mine->columns[c], r), dk_column_value(theirs, row));
    }
    if (equal) {
      return r; /* ranks come in order, so the first is rank 1 */
    }
  }
  return DK_NO_ROW;
}

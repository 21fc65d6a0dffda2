#include "tests/unit/report/fixture.h"
#include "engine/sys/fs.h"
#include "lang/base/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

const char fixture_small[] =
    "grid g { x in [1, 2]  y in [10, 20] }\n"
    "task make {\n"
    "  outputs { data = \"data.txt\" }\n"
    "  run = \"echo 100 > {{outputs.data}}\"\n"
    "}\n"
    "task train over g {\n"
    "  inputs  { data = make.data }\n"
    "  metrics { score = match(stdout, 'score=(.*)')  note = match(stdout, 'note=(.*)') }\n"
    "  run = \"cat {{inputs.data}}; echo {{x}} {{y}}\"\n"
    "}\n"
    "pick best { from = train  maximize = score }\n"
    "task final {\n"
    "  metrics { z = match(stdout, '(.*)') }\n"
    "  run = \"echo {{best.x}}\"\n"
    "}\n"
    "report {\n"
    "  table { title = \"all\"  from = train  columns = [task, x, y, score, note]  sort = score  descending = true }\n"
    "  table { from = final  columns = [best.x, best.score, z] }\n"
    "}\n";

static void path_in(const struct fixture *f, const char *name, char ret[128]) {
  snprintf(ret, 128, "%s/%s", f->dir, name);
}

void fixture_init(struct fixture *f, const char *text) {
  struct dk_error error = {0};
  char path[128];
  memset(f, 0, sizeof *f);
  strcpy(f->dir, "/tmp/dk-report-XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  path_in(f, "small.dk", path);
  assert_int_equal(dk_fs_write(path, text, strlen(text), 0644, false, &error), 0);
  const struct dk_load_options options = {.root = f->dir};
  assert_int_equal(dk_load(path, &options, &f->load, &error), 0);
  f->plan = dk_load_plan(f->load);
  if (!f->plan) {
    dk_autobuf out = DK_BUF_INIT;
    dk_diags_render(dk_load_diags(f->load), false, &out);
    print_error("%s", dk_buf_text(&out));
    fail();
  }
  path_in(f, "store", path);
  const struct dk_store_options store = {.map_size = 1 << 20};
  assert_int_equal(dk_store_open(path, &store, &f->store, &error), 0);
  path_in(f, "objects", path);
  assert_int_equal(dk_objects_open(&f->objects, path, true, &error), 0);
}

void fixture_finish(struct fixture *f) {
  dk_objects_close(&f->objects);
  dk_store_close(f->store);
  dk_load_destroy(f->load);
  dk_fs_remove_tree(f->dir, NULL);
}

uint32_t fixture_task_of(const struct fixture *f, const char *template_name, uint32_t row) {
  for (uint32_t i = 0; i < f->plan->n_templates; i++) {
    if (strcmp(f->plan->templates[i].name, template_name) == 0) {
      return f->plan->graph.nodes[f->plan->templates[i].node].first + row;
    }
  }
  fail_msg("no template %s", template_name);
  return 0;
}

static void commit(struct fixture *f, struct dk_batch *batch) {
  struct dk_error error = {0};
  assert_int_equal(dk_store_commit(f->store, batch, &error), 0);
  dk_batch_finish(batch);
}

void fixture_put_run(struct fixture *f, uint32_t number, enum dk_run_state state) {
  fixture_put_run_of(f, number, state, f->plan->graph.n_tasks);
}

void fixture_put_run_of(struct fixture *f, uint32_t number, enum dk_run_state state, uint32_t n_tasks) {
  struct dk_error error = {0};
  struct dk_batch batch = DK_BATCH_INIT;
  dk_autobuf pin = DK_BUF_INIT;
  char name[] = "small", file[] = "small.dk", commit_id[] = "a1c33f0000000000000000000000000000000000", params[] = "";
  struct dk_run run = {.number = number,
                       .state = state,
                       .name = name,
                       .file = file,
                       .commit = commit_id,
                       .snapshot = commit_id,
                       .params = params,
                       .started_unix_ns = 1700000000000000000u,
                       .ended_unix_ns = state == DK_RUN_RUNNING ? 0 : 1700000010000000000u,
                       .n_tasks = n_tasks};
  assert_int_equal(dk_plan_encode(f->plan, &pin), 0);
  assert_int_equal(dk_objects_put(&f->objects, pin.data, pin.len, &run.plan, &error), 0);
  assert_int_equal(dk_batch_put_run(&batch, &run), 0);
  commit(f, &batch);
}

static struct dk_kept inline_log(const char *text) {
  struct dk_kept kept = {0};
  if (text) {
    kept.bytes = (char *)(uintptr_t)text;
    kept.size = kept.total = strlen(text);
  }
  return kept;
}

static void put_metrics(struct fixture *f, struct dk_batch *batch, uint32_t task, const struct dk_digest *key,
                        const char *text) {
  struct dk_metric_value items[8] = {0};
  struct dk_metric_values values = {items, 0};
  struct dk_digest extractors;
  uint32_t row, node = dk_graph_node_of(&f->plan->graph, task, &row);
  char copy[256], *at = copy, *part;
  assert_true(strlen(text) < sizeof copy);
  strcpy(copy, text);
  while ((part = strsep(&at, ",")) != NULL) {
    struct dk_metric_value *value = &items[values.n++];
    value->text = part;
    value->state = !*part                                                     ? DK_METRIC_MISSING
                   : dk_number_parse(part, strlen(part), &value->number) == 0 ? DK_METRIC_NUMBER
                                                                              : DK_METRIC_TEXT;
  }
  dk_plan_metrics_digest(f->plan, node, &extractors);
  assert_int_equal(dk_batch_put_metrics(batch, key, &extractors, (struct dk_id){1, 1}, &values), 0);
}

void fixture_put_task(struct fixture *f, uint32_t run, const struct fixture_task *task) {
  struct dk_batch batch = DK_BATCH_INIT;
  dk_autobuf bytes = DK_BUF_INIT;
  char text[256] = "", label[] = "label", host[] = "host";
  bool good = task->state == DK_TASK_DONE || task->state == DK_TASK_CACHED;
  struct dk_record record = {.kind = DK_REC_TASK,
                             .id = {1, task->task + 1},
                             .run = run,
                             .task = task->task,
                             .state = (uint8_t)task->state,
                             .cause = (uint8_t)task->cause,
                             .code = task->code,
                             .attempts = task->state == DK_TASK_NOT_RUN ? 0 : 1};
  memset(&record.key, (int)(task->task + 1), sizeof record.key);
  if (task->text) {
    snprintf(text, sizeof text, "%s", task->text);
  }
  struct dk_saved saved = {.attempt = record.id, .run = run, .label = label, .host = host};
  saved.result.cause = task->cause;
  saved.result.code = task->code;
  saved.result.text = text;
  saved.result.wall_ns = 1500000000u;
  saved.result.out = inline_log(task->out);
  saved.result.err = inline_log(task->err);
  assert_int_equal(dk_batch_add_record(&batch, &record, NULL), 0);
  if (good) {
    assert_int_equal(dk_saved_encode(&saved, &bytes), 0);
    record.kind = DK_REC_RESULT;
  } else if (task->state == DK_TASK_FAILED) {
    assert_int_equal(dk_result_encode(&saved.result, &bytes), 0);
    record.kind = DK_REC_FAILURE;
  }
  if (record.kind != DK_REC_TASK) {
    record.len = (uint32_t)bytes.len;
    assert_int_equal(dk_batch_add_record(&batch, &record, &bytes), 0);
  }
  if (good && task->metrics) {
    put_metrics(f, &batch, task->task, &record.key, task->metrics);
  }
  commit(f, &batch);
}

void fixture_put_choice(struct fixture *f, uint32_t run, uint32_t pick_task, uint32_t row, double score, uint32_t n) {
  struct dk_batch batch = DK_BATCH_INIT;
  const struct dk_choice choice = {row, score, n};
  assert_int_equal(dk_batch_put_choice(&batch, run, pick_task, &choice), 0);
  commit(f, &batch);
}

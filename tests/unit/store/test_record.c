/* Records: what is put comes back, decoders take any bytes, the core's records find their tables. */
#include "tests/unit/store/fixture.h"

#include "engine/store/codec.h"
#include "engine/store/record.h"
#include "lang/base/alloc.h"

#include <errno.h>

static struct dk_digest digest_of(const char *text) {
  struct dk_digest digest;
  dk_digest_of(text, strlen(text), &digest);
  return digest;
}

static struct dk_run a_run(uint32_t number) {
  return (struct dk_run){.number = number,
                         .state = DK_RUN_RUNNING,
                         .name = (char *)(uintptr_t) "exp",
                         .file = (char *)(uintptr_t) "dir/exp.dk",
                         .commit = (char *)(uintptr_t) "aaaa",
                         .snapshot = (char *)(uintptr_t) "bbbb",
                         .n_changed = 3,
                         .params = (char *)(uintptr_t) "folds=10",
                         .plan = digest_of("plan"),
                         .started_unix_ns = 1700000000000000000,
                         .n_tasks = 1000000,
                         .n_cached = 77,
                         .engine_pid = 4711,
                         .consent = {DK_PAY_UP_TO, {"USD", 5000000}},
                         .before = {{{"USD", 7}, {"EUR", 8}}, 2},
                         .cost = {{{"USD", 9}}, 1}};
}

static void test_runs(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_error error;
  struct dk_run run;
  struct dk_batch batch = DK_BATCH_INIT;
  assert_int_equal(dk_store_get_run(store, 0, &run, &error), -ENOENT);
  assert_non_null(strstr(error.text, "no run yet"));
  for (uint32_t i = 1; i <= 300; i++) {
    run = a_run(i);
    assert_int_equal(dk_batch_put_run(&batch, &run), 0);
  }
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  assert_int_equal(dk_store_get_run(store, 0, &run, &error), 0);
  assert_int_equal(run.number, 300);
  dk_run_finish(&run);
  assert_int_equal(dk_store_get_run(store, 256, &run, &error), 0);
  struct dk_run expected = a_run(256);
  assert_int_equal(run.number, 256);
  assert_string_equal(run.file, expected.file);
  assert_string_equal(run.params, expected.params);
  assert_string_equal(run.snapshot, expected.snapshot);
  assert_int_equal(run.started_unix_ns, expected.started_unix_ns);
  assert_int_equal(run.n_tasks, expected.n_tasks);
  assert_int_equal(run.n_cached, expected.n_cached);
  assert_int_equal(run.engine_pid, expected.engine_pid);
  assert_int_equal(run.consent.pay, DK_PAY_UP_TO);
  assert_string_equal(run.consent.limit.currency, "USD");
  assert_int_equal(run.consent.limit.micro, 5000000);
  assert_int_equal(dk_purse_of(&run.before, "EUR"), 8);
  assert_int_equal(run.before.n, 2);
  assert_int_equal(dk_purse_of(&run.cost, "USD"), 9);
  assert_true(dk_digest_equal(&run.plan, &expected.plan));
  dk_run_finish(&run);
  assert_int_equal(dk_store_get_run(store, 301, &run, &error), -ENOENT);
  assert_non_null(strstr(error.text, "301"));
  dk_batch_finish(&batch);
  dk_store_close(store);
}

static struct dk_saved a_saved(struct dk_key_part_record *parts, struct dk_kept *outputs) {
  parts[0] = (struct dk_key_part_record){(char *)(uintptr_t) "program", digest_of("p")};
  parts[1] = (struct dk_key_part_record){(char *)(uintptr_t) "code", digest_of("c")};
  outputs[0] = (struct dk_kept){.digest = digest_of("o"), .size = 5, .total = 5};
  outputs[1] = (struct dk_kept){.digest = digest_of("d"), .size = 9, .total = 9, .is_dir = true};
  return (struct dk_saved){.attempt = {7, 8},
                           .run = 3,
                           .label = (char *)(uintptr_t) "train lr=0.1",
                           .host = (char *)(uintptr_t) "here",
                           .parts = parts,
                           .n_parts = 2,
                           .result = {.cause = DK_CAUSE_OK,
                                      .text = (char *)(uintptr_t) "",
                                      .wall_ns = 12345,
                                      .out = {.size = 3, .total = 3, .bytes = (char *)(uintptr_t) "abc"},
                                      .outputs = outputs,
                                      .n_outputs = 2}};
}

static void test_saved(void **state) {
  (void)state;
  struct dk_key_part_record parts[2];
  struct dk_kept outputs[2];
  struct dk_saved saved = a_saved(parts, outputs), back;
  dk_autobuf bytes = DK_BUF_INIT;
  assert_int_equal(dk_saved_encode(&saved, &bytes), 0);
  assert_int_equal(dk_saved_decode(bytes.data, bytes.len, &back), 0);
  assert_string_equal(back.label, "train lr=0.1");
  assert_string_equal(back.host, "here");
  assert_int_equal(back.run, 3);
  assert_int_equal(back.n_parts, 2);
  assert_string_equal(back.parts[1].name, "code");
  assert_true(dk_digest_equal(&back.parts[1].digest, &parts[1].digest));
  assert_int_equal(back.result.wall_ns, 12345);
  assert_memory_equal(back.result.out.bytes, "abc", 3);
  assert_int_equal(back.result.n_outputs, 2);
  assert_true(back.result.outputs[1].is_dir);
  assert_null(back.cleaned);
  dk_saved_finish(&back);
  /* Only one that was cleaned is written in a way that older programs do not know. */
  assert_int_equal(bytes.data[0], 1);
  saved.cleaned = (char *)(uintptr_t) "h3";
  dk_buf_clear(&bytes);
  assert_int_equal(dk_saved_encode(&saved, &bytes), 0);
  assert_int_equal(dk_saved_decode(bytes.data, bytes.len, &back), 0);
  assert_string_equal(back.cleaned, "h3");
  assert_string_equal(back.parts[1].name, "code");
  assert_int_equal(back.result.n_outputs, 2);
  dk_saved_finish(&back);
}

static void test_metrics(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_metric_value items[] = {{.state = DK_METRIC_MISSING},
                                    {.state = DK_METRIC_NUMBER, .number = 96.15, .text = (char *)(uintptr_t) "96.15"},
                                    {.state = DK_METRIC_TEXT, .text = (char *)(uintptr_t) "good"}};
  const struct dk_metric_values values = {items, 3};
  struct dk_metric_values back;
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_digest key = digest_of("key"), one = digest_of("1"), two = digest_of("2");
  const struct dk_id attempt = {3, 4}, another = {3, 5};
  assert_int_equal(dk_batch_put_metrics(&batch, &key, &one, attempt, &values), 0);
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  assert_int_equal(dk_store_get_metrics(store, &key, &two, NULL, &back, NULL), -ENOENT);
  assert_int_equal(dk_store_get_metrics(store, &key, &one, &another, &back, NULL), -ENOENT);
  assert_int_equal(dk_store_get_metrics(store, &key, &one, &attempt, &back, NULL), 0);
  assert_int_equal(back.n, 3);
  assert_int_equal(back.items[0].state, DK_METRIC_MISSING);
  assert_true(back.items[1].number == 96.15);
  assert_string_equal(back.items[1].text, "96.15");
  assert_string_equal(back.items[2].text, "good");
  dk_metric_values_finish(&back);
  dk_store_close(store);
}

static int note_task(void *ctx, uint32_t task, const struct dk_task_record *record) {
  uint32_t *next = ctx;
  if (task != *next || record->slot != task * 2) return -1;
  ++*next;
  return 0;
}

static void test_core_records(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_error error;
  dk_buf_add_text(&bytes, "..result");
  struct dk_record records[] = {
      {.kind = DK_REC_INCARNATION, .id = {11, 0}, .counter = 64},
      {.kind = DK_REC_INCARNATION, .id = {12, 0}, .counter = 128},
      {.kind = DK_REC_ATTEMPT, .id = {12, 2}, .key = digest_of("b"), .run = 1, .task = 5, .host = 300, .booked = 4},
      {.kind = DK_REC_ATTEMPT, .id = {12, 1}, .key = digest_of("a"), .run = 1, .task = 4, .booked = 1},
      {.kind = DK_REC_ATTEMPT, .id = {11, 300}, .key = digest_of("c"), .run = 1, .task = 4, .booked = 1},
      {.kind = DK_REC_ATTEMPT, .id = {12, 1}, .del = true},
      {.kind = DK_REC_RESULT, .key = digest_of("a"), .off = 2, .len = 6},
      {.kind = DK_REC_RESULT, .key = digest_of("a"), .off = 0, .len = 2},
      {.kind = DK_REC_TASK,
       .run = 1,
       .task = 7,
       .state = DK_TASK_FAILED,
       .cause = DK_CAUSE_EXIT,
       .attempts = 3,
       .code = -5,
       .id = {12, 9},
       .slot = 14,
       .key = digest_of("t")},
      {.kind = DK_REC_TASK,
       .run = 1,
       .task = 8,
       .state = DK_TASK_BACKOFF,
       .attempts = 6,
       .tries = {.lost = 1, .oom = 2, .other = 3, .is_over = true}},
      {.kind = DK_REC_RUN, .run = 1, .state = DK_RUN_DONE},
  };
  for (size_t i = 0; i < sizeof records / sizeof *records; i++)
    assert_int_equal(dk_batch_add_record(&batch, &records[i], &bytes), 0);
  assert_int_equal(dk_store_commit(store, &batch, &error), 0);
  struct dk_record *loaded;
  uint32_t n;
  assert_int_equal(dk_store_load_core(store, &loaded, &n, &error), 0);
  assert_int_equal(n, 3);
  assert_int_equal(loaded[0].kind, DK_REC_INCARNATION);
  assert_int_equal(loaded[0].id.inc, 12);
  assert_int_equal(loaded[0].counter, 128);
  assert_int_equal(loaded[1].id.inc, 11); /* in the order of their ids */
  assert_int_equal(loaded[1].id.n, 300);
  assert_int_equal(loaded[2].id.n, 2);
  assert_int_equal(loaded[2].task, 5);
  assert_int_equal(loaded[2].host, 300);
  assert_int_equal(loaded[2].booked, 4);
  assert_true(dk_digest_equal(&loaded[2].key, &records[2].key));
  dk_free(loaded);
  dk_autobuf value = DK_BUF_INIT;
  assert_int_equal(dk_store_get(store, DK_TABLE_RESULTS, records[6].key.bytes, 32, &value, &error), 0);
  assert_string_equal(value.data, "result"); /* the first one wins */
  struct dk_task_record task;
  assert_int_equal(dk_store_get_task(store, 1, 7, &task, &error), 0);
  assert_int_equal(task.state, DK_TASK_FAILED);
  assert_int_equal(task.cause, DK_CAUSE_EXIT);
  assert_int_equal(task.code, -5);
  assert_int_equal(task.attempts, 3);
  assert_int_equal(task.attempt.n, 9);
  assert_true(dk_tries_is_none(&task.tries));
  assert_int_equal(dk_store_get_task(store, 1, 8, &task, &error), 0);
  assert_int_equal(task.tries.lost, 1);
  assert_int_equal(task.tries.oom, 2);
  assert_int_equal(task.tries.other, 3);
  assert_true(task.tries.is_over);
  assert_int_equal(dk_store_get_task(store, 2, 7, &task, &error), -ENOENT);
  dk_batch_finish(&batch);
  dk_store_close(store);
}

static void test_tasks_in_order(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  for (uint32_t run = 255; run <= 257; run++)
    for (uint32_t task = 0; task < 1000; task++) {
      const struct dk_record record = {
          .kind = DK_REC_TASK, .run = run, .task = task, .state = DK_TASK_DONE, .slot = task * 2};
      assert_int_equal(dk_batch_add_record(&batch, &record, NULL), 0);
    }
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  uint32_t next = 0;
  assert_int_equal(dk_store_each_task(store, 256, note_task, &next, NULL), 0);
  assert_int_equal(next, 1000);
  next = 0;
  assert_int_equal(dk_store_each_task(store, 258, note_task, &next, NULL), 0);
  assert_int_equal(next, 0);
  dk_batch_finish(&batch);
  dk_store_close(store);
}

static void test_choices_and_names(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_choice choice = {5, 96.9893, 104}, back;
  struct dk_digest one = digest_of("1"), two = digest_of("2"), got;
  static char long_name[3000];
  memset(long_name, 'n', sizeof long_name - 1);
  assert_int_equal(dk_batch_put_choice(&batch, 1, 2, &choice), 0);
  assert_int_equal(dk_batch_put_name(&batch, "exp", "train lr=1", &one), 0);
  assert_int_equal(dk_batch_put_name(&batch, "exp", long_name, &two), 0);
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  assert_int_equal(dk_store_get_choice(store, 1, 2, &back, NULL), 0);
  assert_int_equal(back.row, 5);
  assert_true(back.score == 96.9893);
  assert_int_equal(back.n_candidates, 104);
  assert_int_equal(dk_store_get_choice(store, 2, 1, &back, NULL), -ENOENT);
  assert_int_equal(dk_store_get_name(store, "exp", "train lr=1", &got, NULL), 0);
  assert_true(dk_digest_equal(&got, &one));
  assert_int_equal(dk_store_get_name(store, "exp", long_name, &got, NULL), 0);
  assert_true(dk_digest_equal(&got, &two));
  assert_int_equal(dk_store_get_name(store, "ex", "ptrain lr=1", &got, NULL), -ENOENT);
  dk_store_close(store);
}

static void test_stat_shortcut(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  const uint64_t now = 1700000010000000000;
  const int64_t old = 1700000008000000000; /* just settled */
  const struct dk_stat_key good = {1, 2, 3, old, old};
  struct dk_stat_key fresh = good, changed = good, future = good;
  struct dk_digest digest = digest_of("content"), got;
  fresh.ctime_ns++;
  future.mtime_ns = INT64_MAX;
  changed.size++;
  dk_batch_put_stat(&batch, "good", &good, &digest, now);
  dk_batch_put_stat(&batch, "fresh", &fresh, &digest, now);
  dk_batch_put_stat(&batch, "future", &future, &digest, now);
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  assert_int_equal(dk_store_get_stat(store, "good", &good, &got), 0);
  assert_true(dk_digest_equal(&got, &digest));
  assert_int_equal(dk_store_get_stat(store, "good", &changed, &got), -ENOENT);
  assert_int_equal(dk_store_get_stat(store, "fresh", &fresh, &got), -ENOENT);
  assert_int_equal(dk_store_get_stat(store, "future", &future, &got), -ENOENT);
  assert_int_equal(dk_store_get_stat(store, "other", &good, &got), -ENOENT);
  dk_store_close(store);
}

/* Every byte of an encoding changed, and every length: refused, or decoded to something that can be finished. */
static void mutate(const struct dk_buf *bytes, void (*decode)(const void *, size_t)) {
  for (size_t len = 0; len <= bytes->len; len++) {
    void *copy = dk_memdup(bytes->data, len); /* exact size: reading past it is seen */
    decode(copy, len);
    dk_free(copy);
  }
  for (size_t at = 0; at < bytes->len; at++) {
    char *copy = dk_memdup(bytes->data, bytes->len);
    for (int bit = 0; bit < 256; bit += 17) {
      copy[at] = (char)(bytes->data[at] ^ (bit ? bit : 1));
      decode(copy, bytes->len);
    }
    dk_free(copy);
  }
}

static void try_run(const void *data, size_t len) {
  struct dk_run run;
  if (dk_run_decode(data, len, &run) == 0) dk_run_finish(&run);
}
static void try_saved(const void *data, size_t len) {
  struct dk_saved saved;
  if (dk_saved_decode(data, len, &saved) == 0) dk_saved_finish(&saved);
}
static void try_metrics(const void *data, size_t len) {
  struct dk_metric_values values;
  struct dk_id attempt;
  if (dk_metrics_decode(data, len, &attempt, &values) == 0) dk_metric_values_finish(&values);
}
static void try_task(const void *data, size_t len) {
  struct dk_task_record task;
  (void)dk_task_record_decode(data, len, &task);
}

static void test_mutated(void **state) {
  (void)state;
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_key_part_record parts[2];
  struct dk_kept outputs[2];
  struct dk_run run = a_run(1);
  struct dk_saved saved = a_saved(parts, outputs);
  struct dk_metric_value items[] = {{.state = DK_METRIC_NUMBER, .number = 1, .text = (char *)(uintptr_t) "1"}};
  const struct dk_metric_values values = {items, 1};
  const struct dk_task_record task = {.state = DK_TASK_DONE, .code = 3};
  assert_int_equal(dk_run_encode(&run, &bytes), 0);
  mutate(&bytes, try_run);
  dk_buf_clear(&bytes);
  assert_int_equal(dk_saved_encode(&saved, &bytes), 0);
  mutate(&bytes, try_saved);
  saved.cleaned = (char *)(uintptr_t) "h3";
  dk_buf_clear(&bytes);
  assert_int_equal(dk_saved_encode(&saved, &bytes), 0);
  mutate(&bytes, try_saved);
  dk_buf_clear(&bytes);
  assert_int_equal(dk_metric_values_encode(&values, &bytes), 0);
  mutate(&bytes, try_metrics);
  dk_buf_clear(&bytes);
  assert_int_equal(dk_task_record_encode(&task, &bytes), 0);
  mutate(&bytes, try_task);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
  const struct CMUnitTest tests[] = {
      CASE(test_runs),           cmocka_unit_test(test_saved), CASE(test_metrics),       CASE(test_core_records),
      CASE(test_tasks_in_order), CASE(test_choices_and_names), CASE(test_stat_shortcut), cmocka_unit_test(test_mutated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

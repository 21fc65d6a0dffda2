/* What tasks had used of their retries in an earlier life of their run, sorted by key: nothing is tried anew because an
 * engine was killed. */
#include "engine/core/internal.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_key(const void *a, const void *b) {
  const struct dk_core_tried *x = a, *y = b;
  int order = memcmp(x->key.bytes, y->key.bytes, DK_DIGEST_SIZE);
  return order ? order : (x->task > y->task) - (x->task < y->task);
}

int dk_tried_init(struct dk_core_run *run, const struct dk_core_tried *tried, uint32_t n) {
  if (n == 0) return 0;
  run->tried = dk_memdup(tried, n * sizeof *run->tried);
  if (!run->tried) return -ENOMEM;
  run->n_tried = run->cap_tried = n;
  qsort(run->tried, n, sizeof *run->tried, by_key);
  return 0;
}

/* The first that is not before (key, task). */
static uint32_t find_tried(const struct dk_core_run *run, const struct dk_digest *key, uint32_t task) {
  struct dk_core_tried like = {.task = task, .key = *key};
  uint32_t low = 0, high = run->n_tried;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (by_key(&run->tried[middle], &like) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const struct dk_core_tried *dk_tried_of(const struct dk_core_run *run, uint32_t task, const struct dk_digest *key) {
  uint32_t at = find_tried(run, key, task);
  bool is_there = at < run->n_tried && run->tried[at].task == task && dk_digest_equal(&run->tried[at].key, key);
  return is_there ? &run->tried[at] : NULL;
}

void dk_tried_forget(struct dk_core_run *run, uint32_t task) {
  for (uint32_t i = 0; i < run->n_tried; i++) {
    struct dk_core_tried *tried = &run->tried[i];
    if (tried->task == task) *tried = (struct dk_core_tried){.task = task, .key = tried->key};
  }
}

static uint32_t n_tries(const struct dk_core_tried *tried) {
  return tried ? (uint32_t)tried->tries.lost + tried->tries.oom + tried->tries.other : 0;
}

const struct dk_core_tried *dk_tried_find(const struct dk_core *core, const struct dk_core_run *run, uint32_t task,
                                          const struct dk_digest *key) {
  const struct dk_core_tried *most = dk_tried_of(run, task, key);
  for (uint32_t i = 0; i < core->n_runs; i++) {
    const struct dk_core_run *of = core->runs[i];
    for (uint32_t at = find_tried(of, key, 0); at < of->n_tried && dk_digest_equal(&of->tried[at].key, key); at++) {
      const struct dk_core_tried *tried = &of->tried[at];
      if (!tried->tries.is_over && dk_task_is_untouched(of, tried->task) && n_tries(tried) > n_tries(most))
        most = tried;
    }
  }
  return most;
}

static struct dk_core_tried *need_tried(struct dk_core *core, struct dk_core_run *run, uint32_t task,
                                        const struct dk_digest *key) {
  uint32_t at = find_tried(run, key, task);
  if (at < run->n_tried && run->tried[at].task == task && dk_digest_equal(&run->tried[at].key, key))
    return &run->tried[at];
  if (!dk_grow(run->tried, run->n_tried, run->cap_tried)) {
    core->is_failed = true;
    return NULL;
  }
  memmove(run->tried + at + 1, run->tried + at, (run->n_tried++ - at) * sizeof *run->tried);
  run->tried[at] = (struct dk_core_tried){.task = task, .key = *key};
  return &run->tried[at];
}

void dk_tried_note_end(struct dk_core *core, const struct dk_attempt *gone, enum dk_cause cause, int32_t code) {
  struct dk_core_run *run = dk_run_find(core, gone->run);
  uint32_t task = gone->task;
  if (!run || task >= run->graph->n_tasks || run->flags[task] & (TASK_UNWANTED | TASK_STOPPED | TASK_RESTORED)) return;
  if (!dk_task_is_untouched(run, task)) return;
  struct dk_core_tried *tried = need_tried(core, run, task, &gone->key);
  if (!tried) return;
  if (!dk_id_equal(tried->attempt, gone->id) && tried->attempts < UINT8_MAX) tried->attempts++;
  tried->attempt = gone->id;
  tried->host = gone->host;
  tried->cause = (uint8_t)cause;
  tried->code = code;
  if (!dk_retry_count(run, task, &tried->tries, cause, code)) tried->tries.is_over = true;
  struct dk_claim known = dk_claim_of_tried(tried);
  dk_emit_task(core, run, task, &known);
}

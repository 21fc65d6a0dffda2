/* Reasons: see why.h. */
#include "engine/drive/why.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

/* Of the last run's tasks so many are kept: beyond that nobody reads their reasons one by one. */
#define MAX_NAMES 100000u
#define MAX_PIN (1u << 30)

struct dk_why_name {
  char *text;
  enum dk_why why;
};

static bool same_name(const void *ctx, uint32_t item, const void *key) {
  const struct dk_why_memory *memory = ctx;
  return strcmp(memory->names[item].text, key) == 0;
}

static int add_name(struct dk_why_memory *memory, char *text, enum dk_why why) {
  if (!text) return -ENOMEM;
  if (memory->n == memory->cap) {
    uint32_t cap = memory->cap ? memory->cap * 2 : 64;
    void *grown = dk_realloc_array(memory->names, cap, sizeof *memory->names);
    if (!grown) {
      dk_free(text);
      return -ENOMEM;
    }
    memory->names = grown;
    memory->cap = cap;
  }
  memory->names[memory->n] = (struct dk_why_name){text, why};
  return dk_map_add(&memory->map, dk_hash_bytes(text, strlen(text), 0), memory->n++);
}

struct reader {
  struct dk_why_memory *memory;
  const struct dk_plan *pin;
};

static int read_task(void *ctx, uint32_t task, const struct dk_task_record *record) {
  const struct reader *reader = ctx;
  dk_autobuf name = DK_BUF_INIT;

  if (task >= reader->pin->graph.n_tasks || reader->memory->n == MAX_NAMES) return 0;
  if (record->state != DK_TASK_FAILED && record->state != DK_TASK_CANCELLED && record->state != DK_TASK_RUNNING)
    return 0;
  dk_plan_task_name(reader->pin, task, &name);
  return add_name(reader->memory, dk_buf_steal(&name),
                  record->state == DK_TASK_FAILED ? DK_WHY_FAILED : DK_WHY_STOPPED);
}

static int read_run(struct dk_why_memory *memory, struct dk_lookup_state *state, const struct dk_run *run,
                    struct dk_error *error) {
  struct reader reader = {.memory = memory};
  struct dk_plan *pin = NULL;
  dk_autobuf bytes = DK_BUF_INIT;
  int r = dk_objects_read(state->with.objects, &run->plan, MAX_PIN, &bytes, error);

  if (r == 0) r = dk_plan_decode(bytes.data, bytes.len, &pin, error);
  reader.pin = pin;
  memory->run = run->number;
  if (r == 0) r = dk_store_each_task(state->with.store, run->number, read_task, &reader, error);
  dk_plan_destroy(pin);
  return r;
}

int dk_why_init(struct dk_why_memory *memory, struct dk_lookup_state *state, struct dk_error *error) {
  struct dk_run run;
  int r;

  *memory = (struct dk_why_memory){0};
  dk_map_init(&memory->map, NULL);
  if (!state->with.store || dk_store_get_run(state->with.store, 0, &run, NULL) < 0) return 0;
  r = strcmp(run.name, state->with.plan->name) == 0 ? read_run(memory, state, &run, error) : 0;
  dk_run_finish(&run);
  if (r != -ENOMEM) return 0;
  dk_why_finish(memory);
  return dk_error_system(error, r, "reading the last run");
}

void dk_why_finish(struct dk_why_memory *memory) {
  for (uint32_t i = 0; i < memory->n; i++) dk_free(memory->names[i].text);
  dk_free(memory->names);
  dk_map_finish(&memory->map);
  *memory = (struct dk_why_memory){0};
}

static bool came_to_nothing(const struct dk_why_memory *memory, const struct dk_plan *plan, uint32_t task,
                            enum dk_why *ret) {
  dk_autobuf name = DK_BUF_INIT;
  uint32_t item;

  if (memory->n == 0) return false;
  dk_plan_task_name(plan, task, &name);
  item =
      dk_map_find(&memory->map, dk_hash_bytes(dk_buf_text(&name), name.len, 0), same_name, memory, dk_buf_text(&name));
  if (item == DK_MAP_NONE) return false;
  *ret = memory->names[item].why;
  return true;
}

/* Names of the components that differ, or that only one of the two has. */
static void compare_parts(const struct dk_key_part *now, uint32_t n_now, const struct dk_saved *before,
                          struct dk_buf *out) {
  for (uint32_t i = 0; i < n_now; i++) {
    bool same = false;
    for (uint32_t j = 0; j < before->n_parts && !same; j++)
      same =
          strcmp(now[i].name, before->parts[j].name) == 0 && dk_digest_equal(&now[i].digest, &before->parts[j].digest);
    if (!same) dk_buf_printf(out, "%s%s", out->len ? ", " : "", now[i].name);
  }
  for (uint32_t j = 0; j < before->n_parts; j++) {
    bool there = false;
    for (uint32_t i = 0; i < n_now && !there; i++) there = strcmp(now[i].name, before->parts[j].name) == 0;
    if (!there) dk_buf_printf(out, "%s%s", out->len ? ", " : "", before->parts[j].name);
  }
}

/* The result to compare with: under the task's own key when there is one that cannot be used, else the last one of a task of this name. */
static int last_result(struct dk_lookup_state *state, uint32_t task, const struct dk_digest *own, struct dk_saved *ret,
                       struct dk_error *error) {
  struct dk_digest key;
  dk_autobuf label = DK_BUF_INIT;
  int r = dk_store_get_saved(state->with.store, own, ret, error);

  if (r != -ENOENT) return r;
  dk_plan_task_name(state->with.plan, task, &label);
  r = dk_store_get_name(state->with.store, state->with.plan->name, dk_buf_text(&label), &key, error);
  return r < 0 ? r : dk_store_get_saved(state->with.store, &key, ret, error);
}

int dk_why_find(const struct dk_why_memory *memory, struct dk_lookup_state *state, uint32_t task, enum dk_why *ret,
                uint32_t *ret_run, struct dk_buf *changed, struct dk_error *error) {
  struct dk_prepared prepared;
  struct dk_saved before;
  int r;

  *ret = DK_WHY_NEVER;
  if (!state->with.store) return 0;
  if (came_to_nothing(memory, state->with.plan, task, ret)) {
    *ret_run = memory->run;
    return 0;
  }
  r = dk_lookup_prepare(state, task, &prepared, error);
  if (r < 0) return r;
  r = last_result(state, task, &prepared.key, &before, error);
  if (r == 0) {
    dk_autofree struct dk_key_part *parts = NULL;
    uint32_t n_parts = 0;
    r = dk_lookup_parts(state, task, &prepared, &parts, &n_parts, error);
    if (r == 0) compare_parts(parts, n_parts, &before, changed);
    *ret = changed->len > 0 ? DK_WHY_CHANGED : DK_WHY_GONE;
    *ret_run = before.run;
    dk_saved_finish(&before);
  }
  dk_prepared_finish(&prepared);
  return r == -ENOENT ? 0 : r;
}

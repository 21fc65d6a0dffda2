/* See refs.h. Order matters: runs, then the tasks that used results and failures, then those, then what they name. */
#include "engine/drive/refs.h"
#include "engine/store/asked.h"
#include "engine/store/record.h"
#include "lang/base/alloc.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ID_SIZE 16

struct collecting {
  struct dk_folder *folder;
  struct dk_refs *refs;
  struct dk_error *error;
};

static uint64_t hash_of(const struct dk_digest *name) {
  return dk_hash_bytes(name->bytes, DK_DIGEST_SIZE, 0);
}

static bool same_name(const void *ctx, uint32_t item, const void *key) {
  return dk_digest_equal(&((const struct dk_uses *)ctx)->items[item].name, key);
}

const struct dk_use *dk_uses_find(const struct dk_uses *uses, const struct dk_digest *name) {
  uint32_t i = dk_map_find(&uses->map, hash_of(name), same_name, uses, name);
  return i == DK_MAP_NONE ? NULL : &uses->items[i];
}

void dk_uses_init(struct dk_uses *uses) {
  *uses = (struct dk_uses){NULL, 0, 0, {0}};
  dk_map_init(&uses->map, NULL);
}

void dk_uses_finish(struct dk_uses *uses) {
  dk_map_finish(&uses->map);
  dk_free(uses->items);
}

int dk_uses_add(struct dk_uses *uses, const struct dk_digest *name, uint32_t run, uint32_t owner) {
  struct dk_use *found = (struct dk_use *)(uintptr_t)dk_uses_find(uses, name);
  if (found) {
    if (run > found->newest) found->newest = run;
    if (owner != found->owner) found->owner = DK_OWNER_SHARED;
    return 0;
  }
  if (!dk_grow(uses->items, uses->n, uses->cap)) return -ENOMEM;
  uses->items[uses->n] = (struct dk_use){.name = *name, .newest = run, .owner = owner};
  return dk_map_add(&uses->map, hash_of(name), uses->n++);
}

void dk_refs_attempt(const void *id_key, struct dk_digest *ret) {
  memset(ret, 0, sizeof *ret);
  memcpy(ret->bytes, id_key, ID_SIZE);
}

static void attempt_name(struct dk_id id, struct dk_digest *ret) {
  uint64_t words[2] = {htobe64(id.inc), htobe64(id.n)};
  dk_refs_attempt(words, ret);
}

int dk_result_each_object(const struct dk_result *result, dk_result_object_fn *fn, void *ctx) {
  const struct dk_kept *const streams[] = {&result->out, &result->err};
  int r = 0;
  for (size_t i = 0; i < 2 && r == 0; i++)
    if (!dk_digest_is_zero(&streams[i]->digest)) r = fn(ctx, &streams[i]->digest, false, streams[i]->size);
  const struct dk_kept *lists[] = {result->outputs, result->keep_files};
  const uint32_t counts[] = {result->n_outputs, result->n_keep_files};
  for (size_t list = 0; list < 2; list++)
    for (uint32_t i = 0; i < counts[list] && r == 0; i++) {
      const struct dk_kept *kept = &lists[list][i];
      if (!kept->is_missing && !dk_digest_is_zero(&kept->digest)) r = fn(ctx, &kept->digest, kept->is_dir, kept->size);
    }
  return r;
}

/* Owners: the task's name is the first word of the label. */

static int owner_of(struct dk_refs *refs, const char *label, uint32_t *ret) {
  size_t len = strcspn(label, " ");
  for (*ret = DK_OWNERS_FIRST_TASK; *ret < refs->n_owners; ++*ret)
    if (strncmp(refs->owners[*ret], label, len) == 0 && refs->owners[*ret][len] == '\0') return 0;
  char **owners = dk_realloc_array(refs->owners, refs->n_owners + 1, sizeof *owners);
  if (owners) refs->owners = owners;
  uint32_t *counts = dk_realloc_array(refs->n_results, refs->n_owners + 1, sizeof *counts);
  if (counts) refs->n_results = counts;
  if (!owners || !counts) return -ENOMEM;
  counts[refs->n_owners] = 0;
  owners[refs->n_owners] = dk_strndup(label, len);
  return owners[refs->n_owners++] ? 0 : -ENOMEM;
}

static int first_owners(struct dk_refs *refs) {
  static const char *const names[] = {"used by several", "plans of runs", "inputs", "logs of failures"};
  uint32_t owner;
  refs->owners = dk_calloc(DK_OWNERS_FIRST_TASK, sizeof *refs->owners);
  refs->n_results = dk_calloc(DK_OWNERS_FIRST_TASK, sizeof *refs->n_results);
  if (!refs->owners || !refs->n_results) return -ENOMEM;
  for (owner = 0; owner < DK_OWNERS_FIRST_TASK; owner++) {
    refs->owners[owner] = dk_strdup(names[owner]);
    if (!refs->owners[owner]) return -ENOMEM;
    refs->n_owners++;
  }
  return 0;
}

static int no_memory(const struct collecting *c) {
  return dk_error_system(c->error, -ENOMEM, "reading the store");
}

/* An object, and the files of a directory. One that cannot be read names nothing. */
static int use_object(struct collecting *c, const struct dk_digest *digest, bool is_dir, uint32_t run, uint32_t owner) {
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_manifest_entry *entries = NULL;
  uint32_t n = 0;
  int err = dk_uses_add(&c->refs->objects, digest, run, owner);
  if (err || !is_dir) return err;
  ((struct dk_use *)(uintptr_t)dk_uses_find(&c->refs->objects, digest))->is_manifest = true;
  if (dk_objects_read(&c->folder->objects, digest, DK_MANIFEST_MAX, &bytes, NULL) == 0)
    (void)dk_manifest_parse(bytes.data, bytes.len, &entries, &n, NULL);
  for (uint32_t i = 0; i < n && err == 0; i++)
    if (entries[i].kind == 'f' || entries[i].kind == 'x')
      err = dk_uses_add(&c->refs->objects, &entries[i].digest, run, owner);
  dk_free(entries);
  return err;
}

struct of_result {
  struct collecting *c;
  uint32_t run, owner;
};

static int result_object(void *ctx, const struct dk_digest *digest, bool is_dir, uint64_t size) {
  const struct of_result *of = ctx;
  (void)size;
  return use_object(of->c, digest, is_dir, of->run, of->owner);
}

static int add_run(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct collecting *c = ctx;
  struct dk_refs *refs = c->refs;
  struct dk_run run;
  (void)key;
  (void)klen;
  int err = dk_run_decode(value, vlen, &run);
  if (err) return dk_error_set(c->error, err, "a run in the store cannot be understood\nhelp: dkrun fsck");
  if (!dk_grow(refs->runs, refs->n_runs, refs->cap_runs)) err = no_memory(c);
  if (err == 0) {
    struct dk_ref_run *ref = &refs->runs[refs->n_runs++];
    *ref = (struct dk_ref_run){.number = run.number,
                               .is_running = run.state == DK_RUN_RUNNING,
                               .started_unix_ns = run.started_unix_ns,
                               .ended_unix_ns = run.ended_unix_ns,
                               .plan = run.plan};
    snprintf(ref->commit, sizeof ref->commit, "%s", run.commit ? run.commit : "");
    snprintf(ref->pinned, sizeof ref->pinned, "%s", run.snapshot ? run.snapshot : "");
    if (use_object(c, &run.plan, false, run.number, DK_OWNER_PLANS)) err = no_memory(c);
  }
  dk_run_finish(&run);
  return err;
}

static int add_task(struct collecting *c, uint32_t run, const struct dk_task_record *task) {
  struct dk_digest name;
  int err = 0;
  if (task->state == DK_TASK_DONE || task->state == DK_TASK_CACHED)
    err = dk_uses_add(&c->refs->results, &task->key, run, DK_OWNER_SHARED);
  attempt_name(task->attempt, &name);
  if (err == 0 && task->state == DK_TASK_FAILED) err = dk_uses_add(&c->refs->failures, &name, run, DK_OWNER_SHARED);
  return err ? no_memory(c) : 0;
}

static int add_task_entry(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct collecting *c = ctx;
  struct dk_task_record task;
  uint32_t run;
  if (klen != 8 || dk_task_record_decode(value, vlen, &task))
    return dk_error_set(c->error, -EBADMSG, "a task in the store cannot be understood\nhelp: dkrun fsck");
  memcpy(&run, key, sizeof run);
  return add_task(c, be32toh(run), &task);
}

/* What a key was made of names its code's tree. Its inputs it does not name: their contents are mixed. */
static int add_parts(struct collecting *c, const struct dk_saved *saved, uint32_t run) {
  int err = 0;
  for (uint32_t i = 0; i < saved->n_parts && err == 0; i++)
    if (strcmp(saved->parts[i].name, "code") == 0)
      err = dk_uses_add(&c->refs->trees, &saved->parts[i].digest, run, DK_OWNER_SHARED);
  return err;
}

static int add_result(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct collecting *c = ctx;
  struct dk_saved saved;
  struct dk_digest name;
  int err = klen == DK_DIGEST_SIZE ? dk_saved_decode(value, vlen, &saved) : -EBADMSG;
  if (err) return dk_error_set(c->error, err, "a result in the store cannot be understood\nhelp: dkrun fsck");
  memcpy(name.bytes, key, DK_DIGEST_SIZE);
  struct of_result of = {.c = c};
  err = owner_of(c->refs, saved.label ? saved.label : "", &of.owner);
  if (err == 0) err = dk_uses_add(&c->refs->results, &name, saved.run, of.owner);
  if (err == 0) {
    struct dk_use *use_of = (struct dk_use *)(uintptr_t)dk_uses_find(&c->refs->results, &name);
    use_of->owner = of.owner;
    of.run = use_of->newest;
    c->refs->n_results[of.owner]++;
    err = dk_result_each_object(&saved.result, result_object, &of);
  }
  if (err == 0) err = add_parts(c, &saved, of.run);
  dk_saved_finish(&saved);
  return err ? no_memory(c) : 0;
}

/* A failure that is not a task's last one belongs to the run in which it happened. */
static uint32_t run_at(const struct dk_refs *refs, uint64_t unix_ns) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < refs->n_runs; i++)
    if (refs->runs[i].started_unix_ns <= unix_ns) found = refs->runs[i].number;
  return found;
}

static int add_failure(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct collecting *c = ctx;
  struct dk_result result;
  struct dk_digest name;
  int err = klen == ID_SIZE ? dk_result_decode(value, vlen, &result, NULL) : -EBADMSG;
  if (err) return dk_error_set(c->error, err, "a failure in the store cannot be understood\nhelp: dkrun fsck");
  dk_refs_attempt(key, &name);
  const struct dk_use *known = dk_uses_find(&c->refs->failures, &name);
  struct of_result of = {c, known ? known->newest : run_at(c->refs, result.started_unix_ns), DK_OWNER_LOGS_OF_FAILURES};
  err = dk_uses_add(&c->refs->failures, &name, of.run, DK_OWNER_SHARED);
  if (err == 0) err = dk_result_each_object(&result, result_object, &of);
  dk_result_finish(&result);
  return err ? no_memory(c) : 0;
}

/* Inputs: what a run that goes on was started with, and what files had when they were looked at last. */

struct of_input {
  struct collecting *c;
  uint32_t run;
};

static int add_input(const struct of_input *of, const struct dk_digest *digest) {
  const struct dk_objects *objects = &of->c->folder->objects;
  if (!dk_objects_has(objects, digest, NULL)) return 0; /* no task needed it */
  bool is_dir = dk_objects_starts_with(objects, digest, DK_MANIFEST_HEAD);
  return use_object(of->c, digest, is_dir, of->run, DK_OWNER_INPUTS) ? no_memory(of->c) : 0;
}

static int add_run_file(void *ctx, const char *path, const struct dk_digest *digest, bool is_dir) {
  (void)path;
  (void)is_dir;
  return add_input(ctx, digest);
}

static int add_content(void *ctx, const struct dk_digest *digest) {
  return add_input(ctx, digest);
}

static int add_inputs(struct collecting *c) {
  struct of_input of = {c, c->refs->n_runs ? c->refs->runs[c->refs->n_runs - 1].number : 0};
  int err = dk_store_each_content(c->folder->store, add_content, &of, c->error);
  for (uint32_t i = 0; i < c->refs->n_runs && err == 0; i++) {
    of.run = c->refs->runs[i].number;
    if (c->refs->runs[i].is_running)
      err = dk_store_each_run_file(c->folder->store, of.run, add_run_file, &of, c->error);
  }
  return err;
}

static int count_attempt(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  (void)key, (void)klen, (void)value, (void)vlen;
  ((struct collecting *)ctx)->refs->n_attempts++;
  return 0;
}

int dk_refs_collect(struct dk_folder *folder, struct dk_refs *ret, struct dk_error *error) {
  static const struct {
    enum dk_table table;
    dk_store_each_fn *fn;
  } steps[] = {{DK_TABLE_RUNS, add_run},
               {DK_TABLE_TASKS, add_task_entry},
               {DK_TABLE_RESULTS, add_result},
               {DK_TABLE_FAILURES, add_failure},
               {DK_TABLE_ATTEMPTS, count_attempt}};
  struct collecting c = {folder, ret, error};
  memset(ret, 0, sizeof *ret);
  struct dk_uses *const sets[] = {&ret->objects, &ret->trees, &ret->results, &ret->failures};
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) dk_uses_init(sets[i]);
  int err = first_owners(ret) ? no_memory(&c) : 0;
  for (size_t i = 0; i < sizeof steps / sizeof *steps && err == 0; i++)
    err = dk_store_each(folder->store, steps[i].table, NULL, 0, steps[i].fn, &c, error);
  if (err == 0) err = add_inputs(&c);
  if (err) dk_refs_finish(ret);
  return err;
}

void dk_refs_finish(struct dk_refs *refs) {
  struct dk_uses *const sets[] = {&refs->objects, &refs->trees, &refs->results, &refs->failures};
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) dk_uses_finish(sets[i]);
  for (uint32_t i = 0; i < refs->n_owners; i++) dk_free(refs->owners[i]);
  dk_free(refs->owners);
  dk_free(refs->n_results);
  dk_free(refs->runs);
  memset(refs, 0, sizeof *refs);
}

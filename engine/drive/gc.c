/* See gc.h. */
#include "engine/drive/gc.h"
#include "engine/drive/refs.h"
#include "engine/drive/usage.h"
#include "engine/source/keep.h"
#include "engine/store/hosts.h"
#include "engine/store/record.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BATCH_BYTES (8u << 20)
#define UNFINISHED_S 3600 /* what is younger may still be written by an agent */

struct gc {
  struct dk_folder *folder;
  const struct dk_gc_policy *policy;
  struct dk_gc_sum *sum;
  struct dk_refs refs;
  uint32_t first_kept; /* runs below it go */
  struct dk_batch batch;
  struct dk_error *error;
};

static bool goes(const struct gc *gc, const struct dk_use *use) {
  return !use || (use->newest > 0 && use->newest < gc->first_kept);
}

static uint64_t size_of(const struct stat *st) {
  return (uint64_t)st->st_blocks * 512;
}

/* Which runs go. */

static uint32_t last_number(const struct dk_refs *refs) {
  return refs->n_runs ? refs->runs[refs->n_runs - 1].number : 0;
}

static uint32_t first_by_age(const struct gc *gc) {
  const struct dk_refs *refs = &gc->refs;
  uint32_t i = 0;
  for (; i + 1 < refs->n_runs; i++) {
    const struct dk_ref_run *run = &refs->runs[i];
    uint64_t end = run->ended_unix_ns ? run->ended_unix_ns : run->started_unix_ns;
    if (run->is_running || end >= gc->policy->before_unix_ns) break;
  }
  return refs->n_runs ? refs->runs[i].number : 0;
}

struct by_run {
  struct gc *gc;
  uint64_t *bytes; /* of objects whose newest user is runs[i] */
  uint64_t unreachable;
};

static uint32_t index_of(const struct dk_refs *refs, uint32_t number) {
  uint32_t low = 0, high = refs->n_runs;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (refs->runs[middle].number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static int weigh(void *ctx, const struct dk_object_file *file) {
  struct by_run *by = ctx;
  const struct dk_use *use = file->kind == DK_OBJECT ? dk_uses_find(&by->gc->refs.objects, &file->digest) : NULL;
  if (file->kind == DK_OBJECT && !use) by->unreachable += size_of(&file->st);
  uint32_t i = use ? index_of(&by->gc->refs, use->newest) : by->gc->refs.n_runs;
  if (i < by->gc->refs.n_runs) by->bytes[i] += size_of(&file->st);
  return 0;
}

/* Oldest first, until what is left fits. */
static int first_by_size(struct gc *gc, uint64_t used, uint32_t *ret) {
  const struct dk_refs *refs = &gc->refs;
  struct by_run by = {gc, dk_calloc(refs->n_runs + 1, sizeof(uint64_t)), 0};
  *ret = 0;
  if (!by.bytes) return dk_error_system(gc->error, -ENOMEM, "collecting garbage");
  int err = dk_objects_each(&gc->folder->objects, weigh, &by, gc->error);
  uint32_t i = 0;
  used -= by.unreachable < used ? by.unreachable : used;
  for (; err == 0 && i + 1 < refs->n_runs && used > gc->policy->keep_bytes && !refs->runs[i].is_running; i++)
    used -= by.bytes[i] < used ? by.bytes[i] : used;
  if (err == 0 && refs->n_runs) *ret = refs->runs[i].number;
  dk_free(by.bytes);
  return err;
}

static int choose(struct gc *gc, uint64_t used) {
  uint32_t by_size = 0;
  if (gc->policy->before_unix_ns) gc->first_kept = first_by_age(gc);
  int err = gc->policy->keep_bytes == UINT64_MAX ? 0 : first_by_size(gc, used, &by_size);
  if (by_size > gc->first_kept) gc->first_kept = by_size;
  return err;
}

/* Records, in steps of a size that fits into memory: first what names others, last the runs, so that one that was
 * killed begins again. */

static int step(struct gc *gc) {
  if (gc->batch.bytes.len < BATCH_BYTES) return dk_buf_ok(&gc->batch.bytes) ? 0 : -ENOMEM;
  int err = gc->policy->dry_run ? 0 : dk_store_commit(gc->folder->store, &gc->batch, gc->error);
  dk_batch_clear(&gc->batch);
  return err;
}

static int drop_of_run(struct gc *gc, enum dk_table table, const void *key, size_t klen) {
  uint32_t run;
  if (klen < sizeof run) return 0;
  memcpy(&run, key, sizeof run);
  if (be32toh(run) >= gc->first_kept) return 0;
  dk_batch_del(&gc->batch, table, key, klen);
  return step(gc);
}

static int drop_task(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  (void)value, (void)vlen;
  return drop_of_run(ctx, DK_TABLE_TASKS, key, klen);
}
static int drop_choice(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  (void)value, (void)vlen;
  return drop_of_run(ctx, DK_TABLE_CHOICES, key, klen);
}
static int drop_run(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  (void)value, (void)vlen;
  return drop_of_run(ctx, DK_TABLE_RUNS, key, klen);
}

static int drop_failure(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct gc *gc = ctx;
  struct dk_digest name;
  (void)value, (void)vlen;
  dk_refs_attempt(key, &name);
  if (!goes(gc, dk_uses_find(&gc->refs.failures, &name))) return 0;
  gc->sum->failures.n++;
  dk_batch_del(&gc->batch, DK_TABLE_FAILURES, key, klen);
  return step(gc);
}

/* What is kept under a result's key, or points to it. */
static int drop_by_key(struct gc *gc, enum dk_table table, const void *key, size_t klen, const void *result) {
  struct dk_digest name;
  memcpy(name.bytes, result, DK_DIGEST_SIZE);
  if (!goes(gc, dk_uses_find(&gc->refs.results, &name))) return 0;
  if (table == DK_TABLE_RESULTS) gc->sum->results.n++;
  dk_batch_del(&gc->batch, table, key, klen);
  return step(gc);
}

static int drop_result(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  (void)value, (void)vlen;
  return klen == DK_DIGEST_SIZE ? drop_by_key(ctx, DK_TABLE_RESULTS, key, klen, key) : 0;
}
static int drop_metrics(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  (void)value, (void)vlen;
  return klen == 2 * DK_DIGEST_SIZE ? drop_by_key(ctx, DK_TABLE_METRICS, key, klen, key) : 0;
}
static int drop_name(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  return vlen == 1 + DK_DIGEST_SIZE ? drop_by_key(ctx, DK_TABLE_NAMES, key, klen, (const char *)value + 1) : 0;
}

/* What is known to be at hosts of results that go. */
static int drop_copy(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct gc *gc = ctx;
  struct dk_digest content;
  (void)value, (void)vlen;
  if (klen != DK_COPY_KEY) return 0;
  memcpy(content.bytes, key, DK_DIGEST_SIZE);
  if (!goes(gc, dk_uses_find(&gc->refs.objects, &content))) return 0;
  gc->sum->copies++;
  dk_batch_del(&gc->batch, DK_TABLE_COPIES, key, klen);
  return step(gc);
}

static int drop_records(struct gc *gc) {
  static const struct {
    enum dk_table table;
    dk_store_each_fn *fn;
  } steps[] = {{DK_TABLE_NAMES, drop_name},     {DK_TABLE_METRICS, drop_metrics},  {DK_TABLE_RESULTS, drop_result},
               {DK_TABLE_COPIES, drop_copy},    {DK_TABLE_FAILURES, drop_failure}, {DK_TABLE_TASKS, drop_task},
               {DK_TABLE_CHOICES, drop_choice}, {DK_TABLE_RUNS, drop_run}};
  int err = 0;
  for (size_t i = 0; i < sizeof steps / sizeof *steps && err == 0; i++) {
    err = dk_store_each(gc->folder->store, steps[i].table, NULL, 0, steps[i].fn, gc, gc->error);
    if (gc->policy->dry_run) dk_batch_clear(&gc->batch);
  }
  if (err == 0 && !gc->policy->dry_run) err = dk_store_commit(gc->folder->store, &gc->batch, gc->error);
  return err;
}

/* Files. */

static int drop_object(void *ctx, const struct dk_object_file *file) {
  struct gc *gc = ctx;
  struct dk_gc_part *part = file->kind == DK_OBJECT ? &gc->sum->objects : &gc->sum->unfinished;
  if (file->kind == DK_OBJECT_STRAY) return 0; /* not ours to delete */
  if (file->kind == DK_OBJECT && !goes(gc, dk_uses_find(&gc->refs.objects, &file->digest))) return 0;
  if (file->kind == DK_OBJECT_TMP && (uint64_t)file->st.st_mtime + UNFINISHED_S > dk_unix_ns() / 1000000000u) return 0;
  part->n++;
  part->bytes += size_of(&file->st);
  if (gc->policy->dry_run || unlinkat(gc->folder->objects.fd, file->name, 0) == 0 || errno == ENOENT) return 0;
  return dk_error_system(gc->error, -errno, "removing %s/%s", gc->folder->objects.root, file->name);
}

static int drop_trees(struct gc *gc) {
  DIR *dir = opendir(gc->folder->trees);
  int err = dir || errno == ENOENT ? 0 : dk_error_system(gc->error, -errno, "reading %s", gc->folder->trees);
  while (dir && err == 0) {
    struct dirent *entry;
    struct dk_digest digest;
    dk_autobuf path = DK_BUF_INIT;
    err = dk_fs_next_entry(dir, &entry);
    if (err) dk_error_system(gc->error, err, "reading %s", gc->folder->trees);
    if (err || !entry) break;
    if (dk_digest_parse(entry->d_name, strlen(entry->d_name), &digest) == 0 &&
        !goes(gc, dk_uses_find(&gc->refs.trees, &digest)))
      continue;
    dk_buf_printf(&path, "%s/%s", gc->folder->trees, entry->d_name);
    if (!dk_buf_ok(&path)) err = dk_error_system(gc->error, -ENOMEM, "removing trees");
    gc->sum->trees.n++;
    if (err == 0) gc->sum->trees.bytes += dk_disk_used(path.data);
    if (err == 0 && !gc->policy->dry_run) err = dk_fs_remove_tree(path.data, gc->error);
  }
  if (dir) closedir(dir);
  return err;
}

/* The commits of runs that stay; *ret_n_gone: distinct ones that do not. */
static uint32_t pins_of(const struct gc *gc, struct dk_source_pin *ret, uint64_t *ret_n_gone) {
  uint32_t n = 0;
  *ret_n_gone = 0;
  for (uint32_t i = gc->refs.n_runs; i-- > 0;) {
    const struct dk_ref_run *run = &gc->refs.runs[i];
    bool is_known = false;
    for (uint32_t k = i + 1; k < gc->refs.n_runs && !is_known; k++)
      is_known = strcmp(gc->refs.runs[k].pinned, run->pinned) == 0;
    if (is_known || !*run->pinned) continue;
    if (run->number >= gc->first_kept)
      ret[n++] = (struct dk_source_pin){run->commit, run->pinned, false};
    else
      ++*ret_n_gone;
  }
  return n;
}

static int drop_sources(struct gc *gc, const char *root) {
  struct dk_source_pin *pins = dk_calloc(gc->refs.n_runs + 1, sizeof *pins);
  if (!pins) return dk_error_system(gc->error, -ENOMEM, "collecting garbage");
  uint32_t n = pins_of(gc, pins, &gc->sum->sources);
  int err = 0;
  if (gc->sum->sources && !gc->policy->dry_run) err = dk_source_keep(gc->folder->path, root, pins, n, gc->error);
  gc->sum->sources_stay = err == -ENOTSUP;
  dk_free(pins);
  return err == -ENOTSUP ? 0 : err;
}

static void count_runs(struct gc *gc) {
  for (uint32_t i = 0; i < gc->refs.n_runs && gc->refs.runs[i].number < gc->first_kept; i++) {
    gc->sum->runs.n++;
    gc->sum->last_run = gc->refs.runs[i].number;
  }
  gc->sum->first_run = gc->sum->runs.n ? gc->refs.runs[0].number : 0;
}

static int collect(struct gc *gc, const char *root) {
  uint64_t used = dk_disk_used(gc->folder->path);
  if (gc->refs.n_attempts > 0 && !gc->policy->dry_run)
    return dk_error_set(gc->error, -EBUSY,
                        "%u tasks of run %u are not known to have ended, and what they need or made must stay\n"
                        "help: `dkrun run` takes them over or hears how they ended; then try again",
                        gc->refs.n_attempts, last_number(&gc->refs));
  int err = choose(gc, used);
  if (err) return err;
  count_runs(gc);
  err = drop_records(gc);
  if (err == 0) err = dk_objects_each(&gc->folder->objects, drop_object, gc, gc->error);
  if (err == 0) err = drop_trees(gc);
  if (err == 0) err = drop_sources(gc, root);
  gc->sum->bytes = gc->sum->objects.bytes + gc->sum->unfinished.bytes + gc->sum->trees.bytes;
  gc->sum->kept_bytes = used > gc->sum->bytes ? used - gc->sum->bytes : 0;
  return err;
}

int dk_gc(struct dk_folder *folder, const char *root, const struct dk_gc_policy *policy, struct dk_gc_sum *ret,
          struct dk_error *error) {
  struct gc gc = {.folder = folder, .policy = policy, .sum = ret, .batch = DK_BATCH_INIT, .error = error};
  memset(ret, 0, sizeof *ret);
  int err = dk_refs_collect(folder, &gc.refs, error);
  if (err) return err;
  err = collect(&gc, root);
  if (err == -ENOMEM && error && !error->text[0]) dk_error_system(error, err, "collecting garbage");
  dk_batch_finish(&gc.batch);
  dk_refs_finish(&gc.refs);
  return err;
}

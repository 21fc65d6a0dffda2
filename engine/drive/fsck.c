/* See fsck.h. The order: the store's files, then its records, then what they name. */
#include "engine/drive/fsck_priv.h"
#include "engine/source/keep.h"
#include "engine/store/hosts.h"
#include "engine/store/record.h"
#include "engine/store/repair.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void dk_fsck_found(struct dk_fsck *fsck, bool can_mend, const char *help, const char *format, ...) {
  char what[600];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  struct dk_finding finding = {DK_FINDING_FOUND, what, help};
  if (!can_mend)
    finding.state = DK_FINDING_LEFT;
  else if (fsck->options->repair)
    finding.state = DK_FINDING_MENDED;
  fsck->sum->n_found++;
  fsck->sum->n_mended += finding.state == DK_FINDING_MENDED;
  fsck->sum->n_left += finding.state == DK_FINDING_LEFT;
  fsck->options->found(fsck->options->ctx, &finding);
}

static char *away_path(struct dk_fsck *fsck, const char *name) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/damaged", fsck->folder.path);
  if (!dk_buf_ok(&path) || dk_fs_mkdirs(path.data, 0700, NULL)) return NULL;
  dk_buf_printf(&path, "/%lld-%u-%s", (long long)(dk_unix_ns() / 1000000000u), fsck->n_moved++, name);
  return dk_buf_steal(&path);
}

int dk_fsck_move_away(struct dk_fsck *fsck, const char *path) {
  const char *slash = strrchr(path, '/');
  dk_autofree char *to = away_path(fsck, slash ? slash + 1 : path);
  if (!to) return dk_error_system(fsck->error, -ENOMEM, "moving %s away", path);
  if (rename(path, to) == 0 || errno == ENOENT) return 0;
  return dk_error_system(fsck->error, -errno, "moving %s away", path);
}

int dk_fsck_no_memory(struct dk_fsck *fsck) {
  return dk_error_system(fsck->error, -ENOMEM, "checking %s", fsck->folder.path);
}

int dk_fsck_drop(struct dk_fsck *fsck, enum dk_table table, const void *key, size_t klen) {
  dk_batch_del(&fsck->batch, table, key, klen);
  return dk_buf_ok(&fsck->batch.bytes) ? 0 : dk_fsck_no_memory(fsck);
}

/* The store's files. */

struct files {
  struct dk_fsck *fsck;
  bool cannot_open; /* as it is */
  bool needs_rebuild;
};

static void hex_of(const struct dk_damage *damage, char ret[65]) {
  ret[0] = '\0';
  for (size_t i = 0; i < damage->klen && i < 32; i++)
    snprintf(ret + 2 * i, 3, "%02x", ((const uint8_t *)damage->key)[i]);
}

static int on_damage(void *ctx, const struct dk_damage *damage) {
  static const char anew[] = "the store is made anew of all that can be read; the old file is kept in damaged/";
  struct files *files = ctx;
  const char *table = dk_store_table_name(damage->table);
  char hex[65];
  switch (damage->kind) {
  case DK_DAMAGE_FILE: dk_fsck_found(files->fsck, true, anew, "the file of the store: %s", damage->text); break;
  case DK_DAMAGE_TABLE:
    dk_fsck_found(files->fsck, true, anew, "the store's table `%s` cannot be read to its end: %s", table, damage->text);
    break;
  case DK_DAMAGE_ROWS:
    dk_fsck_found(files->fsck, true, anew, "the store's table `%s` has %llu rows where %llu were recorded", table,
                  (unsigned long long)damage->is, (unsigned long long)damage->should);
    break;
  case DK_DAMAGE_VALUE:
    hex_of(damage, hex);
    if (damage->table == DK_TABLE_META) files->cannot_open = true;
    files->needs_rebuild = true; /* what is written into a page with a wrong bit may make it worse */
    dk_fsck_found(files->fsck, true, damage->table == DK_TABLE_RESULTS ? DK_FSCK_RUNS_AGAIN : "it is deleted",
                  "the value of %s in the store's table `%s` is not what was written", hex, table);
    return 0;
  }
  files->cannot_open = files->needs_rebuild = true;
  return 0;
}

static void note(struct dk_fsck *fsck, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct dk_fsck *fsck, const char *format, ...) {
  char what[300];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  fsck->options->found(fsck->options->ctx, &(struct dk_finding){DK_FINDING_NOTE, what, NULL});
}

/* Of other tables nothing is lost that is not found out again. */
static void tell_lost(struct dk_fsck *fsck, const struct dk_rebuilt *made) {
  static const struct {
    enum dk_table table;
    const char *what;
  } of[] = {{DK_TABLE_RUNS, "runs are lost: they are listed no more"},
            {DK_TABLE_TASKS, "entries of what runs did are lost: `dkrun results` and `dkrun status` lack them"},
            {DK_TABLE_RESULTS, "results are lost: their tasks run again when they are needed"},
            {DK_TABLE_METRICS, "results' metrics are lost: they are read again from what tasks wrote"},
            {DK_TABLE_FAILURES, "texts of failed tasks are lost"}};
  if (!made->knows_were) note(fsck, "how much of the store was lost cannot be known");
  for (size_t i = 0; i < sizeof of / sizeof *of && made->knows_were; i++) {
    uint64_t were = made->were[of[i].table], is = made->rows[of[i].table];
    if (is < were) note(fsck, "%llu of %llu %s", (unsigned long long)(were - is), (unsigned long long)were, of[i].what);
  }
}

static int rebuild(struct dk_fsck *fsck, const char *store) {
  struct dk_rebuilt made;
  dk_autofree char *aside = away_path(fsck, "data.mdb");
  if (!aside) return dk_fsck_no_memory(fsck);
  int err = dk_store_rebuild(store, aside, &made, fsck->error);
  if (err) return err;
  note(fsck, "the store was made anew: %llu runs, %llu tasks, %llu results could be read",
       (unsigned long long)made.rows[DK_TABLE_RUNS], (unsigned long long)made.rows[DK_TABLE_TASKS],
       (unsigned long long)made.rows[DK_TABLE_RESULTS]);
  tell_lost(fsck, &made);
  return 0;
}

/* *ret_usable: the store can be opened for what follows. */
static int check_files(struct dk_fsck *fsck, bool *ret_usable) {
  struct files files = {.fsck = fsck};
  dk_autofree char *store = dk_folder_store_path(fsck->options->root, fsck->error);
  if (!store) return -ENOMEM;
  int err = dk_store_examine(store, on_damage, &files, fsck->error);
  *ret_usable = !files.cannot_open;
  if (err || !files.needs_rebuild || !fsck->options->repair) return err;
  *ret_usable = true;
  return rebuild(fsck, store);
}

/* Records. */

static int check_run(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct dk_fsck *fsck = ctx;
  struct dk_run run;
  uint64_t size = 0;
  fsck->sum->runs++;
  int err = dk_run_decode(value, vlen, &run);
  if (err == -ENOMEM) return dk_fsck_no_memory(fsck);
  bool is_whole = err == 0 && dk_objects_has(&fsck->folder.objects, &run.plan, &size) &&
                  !dk_fsck_object(fsck, &run.plan, false, size);
  if (!is_whole) {
    dk_fsck_found(fsck, true, "the run is taken from the list; results that it made stay",
                  err ? "a run cannot be understood" : "the plan of run %u is missing or altered", run.number);
    err = dk_fsck_drop(fsck, DK_TABLE_RUNS, key, klen);
  }
  dk_run_finish(&run);
  return err;
}

/* Entries of runs that are not there (any more). Runs were checked before, so those that go are known. */
struct dangling {
  struct dk_fsck *fsck;
  enum dk_table table;
  size_t klen; /* 0: any that begins with a run */
  uint32_t run, n;
  bool has_run;
};

static int check_of_run(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct dangling *dangling = ctx;
  struct dk_task_record task;
  dk_autobuf run_value = DK_BUF_INIT;
  uint32_t run = 0;
  bool has_key = dangling->klen ? klen == dangling->klen : klen > sizeof run;
  if (has_key) memcpy(&run, key, sizeof run);
  run = be32toh(run);
  if (run != dangling->run) {
    int err = has_key ? dk_store_get(dangling->fsck->folder.store, DK_TABLE_RUNS, key, 4, &run_value, NULL) : -ENOENT;
    dangling->run = run;
    dangling->has_run = err == 0;
  }
  bool is_bad = !has_key || (dangling->table == DK_TABLE_TASKS && dk_task_record_decode(value, vlen, &task));
  if (dangling->has_run && !is_bad) return 0;
  if (dangling->n++ == 0)
    dk_fsck_found(dangling->fsck, true, "such entries are deleted; results stay",
                  is_bad ? "an entry of the store's table `%s` cannot be understood"
                         : "the store's table `%s` has entries of run %u, which is not there",
                  dk_store_table_name(dangling->table), run);
  return dk_fsck_drop(dangling->fsck, dangling->table, key, klen);
}

/* A table in which an entry that cannot be understood would be the end of the next engine. */
struct strict {
  struct dk_fsck *fsck;
  enum dk_table table;
  const char *then; /* what follows from losing one */
};

static int check_strict(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  const struct strict *strict = ctx;
  if (dk_store_table_of(key, klen, value, vlen) == strict->table) return 0;
  dk_fsck_found(strict->fsck, true, strict->then, "an entry of the store's table `%s` cannot be understood",
                dk_store_table_name(strict->table));
  return dk_fsck_drop(strict->fsck, strict->table, key, klen);
}

/* Without its host a copy is nowhere. */
static int check_copy(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct dk_fsck *fsck = ctx;
  struct dk_host_record host = {.number = 0};
  struct dk_copy copy;
  int err = dk_copy_decode(key, klen, value, vlen, &copy);
  if (err == 0) err = dk_store_get_host(fsck->folder.store, copy.host, &host, NULL);
  dk_host_record_finish(&host);
  if (err == 0) return 0;
  if (err == -ENOMEM) return dk_fsck_no_memory(fsck);
  dk_fsck_found(fsck, true, "it is deleted; what is nowhere else is made again",
                err == -ENOENT ? "the store's table `copies` names a host that is not known"
                               : "an entry of the store's table `copies` cannot be understood");
  return dk_fsck_drop(fsck, DK_TABLE_COPIES, key, klen);
}

static int commit(struct dk_fsck *fsck) {
  int err = fsck->options->repair ? dk_store_commit(fsck->folder.store, &fsck->batch, fsck->error) : 0;
  dk_batch_clear(&fsck->batch);
  return err;
}

static int walk(struct dk_fsck *fsck, enum dk_table table, dk_store_each_fn *fn, void *ctx) {
  int err = dk_store_each(fsck->folder.store, table, NULL, 0, fn, ctx, fsck->error);
  /* A value with a bad checksum ends a walk; it was told of before. What lies behind it is seen when it is mended. */
  if (err == -EBADMSG && !fsck->options->repair) err = 0;
  return err ? err : commit(fsck);
}

static int note_away(struct dk_fsck *fsck) {
  for (uint32_t i = 0; i < fsck->n_away; i++) {
    struct dk_host_record host;
    uint32_t n = fsck->away[i].n;
    if (n == 0) continue;
    int err = dk_store_get_host(fsck->folder.store, fsck->away[i].host, &host, fsck->error);
    if (err) return err;
    note(fsck, "what %u task%s made is at host %s alone, which no file of providers names now: not looked at", n,
         n == 1 ? "" : "s", host.name);
    dk_host_record_finish(&host);
  }
  return 0;
}

static int check_records(struct dk_fsck *fsck) {
  static const struct {
    enum dk_table table;
    size_t klen;
  } of_runs[] = {{DK_TABLE_TASKS, 8},
                 {DK_TABLE_CHOICES, 8},
                 {DK_TABLE_ASKED_RUNS, 4},
                 {DK_TABLE_ASKED, 8},
                 {DK_TABLE_RUN_FILES, 0}};
  struct strict stricts[] = {
      {fsck, DK_TABLE_ATTEMPTS, "it is deleted"},
      {fsck, DK_TABLE_HOSTS, "it is deleted; what only that host has is made again"},
      {fsck, DK_TABLE_INSTANCES, "it is deleted; its machine is found in its cloud by this store's id, and ended"}};
  int err = walk(fsck, DK_TABLE_RUNS, check_run, fsck);
  for (size_t i = 0; i < sizeof of_runs / sizeof *of_runs && err == 0; i++) {
    struct dangling dangling = {.fsck = fsck, .table = of_runs[i].table, .klen = of_runs[i].klen};
    err = walk(fsck, dangling.table, check_of_run, &dangling);
  }
  for (size_t i = 0; i < sizeof stricts / sizeof *stricts && err == 0; i++)
    err = walk(fsck, stricts[i].table, check_strict, &stricts[i]);
  if (err == 0) err = walk(fsck, DK_TABLE_COPIES, check_copy, fsck);
  if (err == 0) err = walk(fsck, DK_TABLE_RESULTS, dk_fsck_result, fsck);
  if (err == 0 && fsck->n_cleaned)
    note(fsck, "outputs of %u result%s were removed with `dkrun hosts clean`: made again when they are asked for",
         fsck->n_cleaned, fsck->n_cleaned == 1 ? "" : "s");
  if (err == 0) err = walk(fsck, DK_TABLE_FAILURES, dk_fsck_failure, fsck);
  return err ? err : note_away(fsck);
}

/* Sources. */

struct sources {
  struct dk_fsck *fsck;
  const struct dk_refs *refs;
  bool is_damaged;
};

static int bad_source(void *ctx, uint32_t i, const char *text) {
  struct sources *sources = ctx;
  sources->is_damaged = true;
  dk_fsck_found(sources->fsck, true,
                "sources are made anew of what can be read here and in your repository; results stay",
                "the source of run %u is missing or damaged: %s", sources->refs->runs[i].number, text);
  return 0;
}

/* What cannot be had again is not asked for any more. */
static int forget_source(struct dk_fsck *fsck, uint32_t number) {
  struct dk_run run;
  int err = dk_store_get_run(fsck->folder.store, number, &run, fsck->error);
  if (err) return err;
  if (run.snapshot) run.snapshot[0] = '\0';
  err = dk_batch_put_run(&fsck->batch, &run) ? dk_fsck_no_memory(fsck) : 0;
  dk_run_finish(&run);
  note(fsck, "the source of run %u is lost: no commit that is left has it", number);
  return err;
}

static int make_anew(struct dk_fsck *fsck, const struct dk_refs *refs, struct dk_source_pin *pins, uint32_t n) {
  int err = dk_source_keep(fsck->folder.path, fsck->options->root, pins, n, fsck->error);
  for (uint32_t i = 0; i < n && err == 0; i++)
    if (pins[i].is_lost) err = forget_source(fsck, refs->runs[i].number);
  return err ? err : commit(fsck);
}

static int check_sources(struct dk_fsck *fsck) {
  struct dk_refs refs;
  int err = dk_refs_collect(&fsck->folder, &refs, fsck->error);
  if (err) return err == -EBADMSG && !fsck->options->repair ? 0 : err; /* told of before */
  struct dk_source_pin *pins = dk_calloc(refs.n_runs + 1, sizeof *pins);
  struct sources sources = {fsck, &refs, false};
  if (!pins) err = dk_fsck_no_memory(fsck);
  for (uint32_t i = 0; i < refs.n_runs && err == 0; i++)
    pins[i] = (struct dk_source_pin){refs.runs[i].commit, refs.runs[i].pinned, false};
  if (err == 0) err = dk_source_check(fsck->folder.path, pins, refs.n_runs, bad_source, &sources, fsck->error);
  fsck->sum->sources = refs.n_runs;
  if (err == 0 && sources.is_damaged && fsck->options->repair) err = make_anew(fsck, &refs, pins, refs.n_runs);
  dk_free(pins);
  dk_refs_finish(&refs);
  return err;
}

static int check_all(struct dk_fsck *fsck) {
  int err = commit(fsck); /* values that were found damaged in the files */
  if (err == 0) err = dk_fsck_objects(fsck);
  if (err == 0) err = check_records(fsck);
  if (err == 0) err = dk_fsck_move_bad(fsck);
  if (err == 0) err = dk_fsck_trees(fsck);
  if (err == 0 && !fsck->options->quick) err = check_sources(fsck);
  return err;
}

int dk_fsck(const struct dk_fsck_options *options, struct dk_fsck_sum *ret, struct dk_error *error) {
  struct dk_fsck fsck = {.options = options, .sum = ret, .batch = DK_BATCH_INIT, .error = error};
  bool is_usable = true;
  memset(ret, 0, sizeof *ret);
  dk_uses_init(&fsck.bad);
  dk_uses_init(&fsck.unmarked);
  int err = options->repair ? dk_folder_lock(options->root, "dkrun fsck --repair", &fsck.folder, error)
                            : dk_folder_paths(options->root, &fsck.folder, error);
  if (err == 0) err = check_files(&fsck, &is_usable);
  if (err == 0 && is_usable) err = dk_folder_open_parts(&fsck.folder, !options->repair, error);
  if (err == 0 && is_usable) err = check_all(&fsck);
  dk_batch_finish(&fsck.batch);
  dk_uses_finish(&fsck.bad);
  dk_uses_finish(&fsck.unmarked);
  dk_free(fsck.away);
  dk_folder_close(&fsck.folder);
  return err;
}

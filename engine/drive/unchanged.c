/* What a run stood on, kept and compared: see unchanged.h. */
#include "engine/drive/unchanged.h"

#include "engine/drive/environment.h"
#include "engine/drive/hosts.h"
#include "engine/drive/seen.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define FORMAT 2
#define FOLDERS 256
#define YOUNG_NS INT64_C(50000000) /* several clock ticks */

static void key_of(const struct dk_asked *asked, struct dk_digest *ret) {
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, asked->file);
  dk_hasher_add_text(&hasher, asked->params);
  dk_hasher_get(&hasher, ret);
}

/* The program (what it embeds counts too), the machine, and what was deleted from the store. Negative: it cannot be
 * found out now, and nothing is known to be unchanged. */
static int identity_of(struct dk_store *store, struct dk_digest *ret) {
  struct dk_hasher hasher;
  struct dk_digest environment;
  struct stat st = {0};

  if (stat("/proc/self/exe", &st) < 0) return -errno;
  int r = dk_environment_id(&environment, NULL);
  if (r < 0) return r;
  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, DK_VERSION);
  dk_hasher_add_u64(&hasher, DK_KEY_FORMAT);
  dk_hasher_add_u64(&hasher, (uint64_t)st.st_size);
  dk_hasher_add_u64(&hasher, (uint64_t)st.st_mtim.tv_sec);
  dk_hasher_add_u64(&hasher, (uint64_t)st.st_mtim.tv_nsec);
  dk_hasher_add(&hasher, environment.bytes, DK_DIGEST_SIZE);
  dk_hasher_add_u64(&hasher, dk_store_generation(store));
  dk_hasher_get(&hasher, ret);
  return 0;
}

/* --- the folders of the objects --- */

/* A young time is replaced by one that is not a multiple of a clock tick: the next change brings another one for
 * certain. */
static int stamp_folder(const struct dk_objects *objects, const char *name, struct stat *st) {
  struct timespec now;
  uint16_t random = 0;

  clock_gettime(CLOCK_REALTIME, &now);
  int64_t age = ((int64_t)now.tv_sec - st->st_mtim.tv_sec) * 1000000000 + now.tv_nsec - st->st_mtim.tv_nsec;
  if (age > YOUNG_NS) return 0;
  if (getrandom(&random, sizeof random, 0) != sizeof random) return -EIO;
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                              {now.tv_sec, now.tv_nsec / 100000 * 100000 + random % 99999 + 1}};
  if (utimensat(objects->fd, name, times, 0) < 0 || fstatat(objects->fd, name, st, 0) < 0) return -errno;
  return st->st_mtim.tv_sec == times[1].tv_sec && st->st_mtim.tv_nsec == times[1].tv_nsec ? 0 : -ENOTSUP;
}

/* Of the folders of the objects: another one when an object was added or deleted. With `stamp` the folders get times
 * that no later change can come to (a clock tick may hide one). 0 or -errno. */
static int digest_folders(const struct dk_objects *objects, bool stamp, struct dk_digest *ret) {
  struct dk_hasher hasher;

  dk_hasher_init(&hasher);
  for (unsigned i = 0; i < FOLDERS; i++) {
    char name[3];
    struct stat st;
    snprintf(name, sizeof name, "%02x", i);
    if (fstatat(objects->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno != ENOENT) return -errno;
      dk_hasher_add_u64(&hasher, 0);
      continue;
    }
    int r = stamp ? stamp_folder(objects, name, &st) : 0;
    if (r < 0) return r;
    dk_hasher_add_u64(&hasher, st.st_ino);
    dk_hasher_add_u64(&hasher, (uint64_t)st.st_mtim.tv_sec);
    dk_hasher_add_u64(&hasher, (uint64_t)st.st_mtim.tv_nsec);
  }
  dk_hasher_get(&hasher, ret);
  return 0;
}

/* --- keeping --- */

int dk_unchanged_sources(const struct dk_asked *asked, const struct dk_load *load, uint64_t since_unix_ns,
                         struct dk_buf *ret) {
  uint32_t n;
  const struct dk_load_seen *seen = dk_load_seen(load, &n);

  dk_buf_clear(ret);
  if (dk_load_diags(load)->count > 0) return 0; /* warnings are to be seen again */
  for (uint32_t i = 0; i < n; i++) {
    dk_autobuf full = DK_BUF_INIT;
    struct stat st;
    dk_buf_printf(&full, "%s/%s", asked->root, seen[i].path);
    if (!dk_buf_ok(&full)) return -ENOMEM;
    bool is_there = stat(dk_buf_text(&full), &st) == 0;
    struct dk_stat_key key = is_there ? dk_seen_key(&st) : (struct dk_stat_key){0};
    dk_seen_add(ret, seen[i].is_dir ? DK_SEEN_DIR : DK_SEEN_FILE, seen[i].path, is_there ? &key : NULL, since_unix_ns,
                &seen[i].digest);
  }
  return dk_buf_ok(ret) ? 0 : -ENOMEM;
}

/* Hosts that have what is not here. */
struct holders {
  uint32_t *numbers, n, cap;
};

static int add_holder(struct holders *holders, uint32_t number) {
  for (uint32_t i = 0; i < holders->n; i++)
    if (holders->numbers[i] == number) return 0;
  if (!dk_grow(holders->numbers, holders->n, holders->cap)) return -ENOMEM;
  holders->numbers[holders->n++] = number;
  return 0;
}

static bool is_output_there(const struct dk_lookup_options *with, const struct dk_kept *output,
                            struct holders *holders) {
  struct dk_copy copy;
  int state = dk_lookup_output_state(with, output, NULL);

  if (state != DK_OUTPUT_ELSEWHERE) return state == DK_OUTPUT_THERE;
  return dk_store_find_copy(with->store, &output->digest, with->may_host, with->may_host_ctx, &copy, NULL) == 0 &&
         add_holder(holders, copy.host) == 0;
}

/* Deleted while the run went on? What is deleted after the folders were looked at shows in them. */
static bool outputs_are_there(const struct dk_lookup_state *lookup, struct holders *holders) {
  for (uint32_t task = 0; task < lookup->with.plan->graph.n_tasks; task++) {
    const struct dk_fact *fact = lookup->facts[task];
    const struct dk_template *tmpl = dk_plan_template(lookup->with.plan, task, NULL);
    for (uint32_t i = 0; fact && fact->outputs && i < tmpl->n_outputs; i++)
      if (!is_output_there(&lookup->with, &fact->outputs[i], holders)) return false;
  }
  return true;
}

/* By name: files of providers know no numbers. */
static int write_holders(struct dk_store *store, const struct holders *holders, struct dk_buf *out) {
  dk_write_varint(out, holders->n);
  for (uint32_t i = 0; i < holders->n; i++) {
    struct dk_host_record host;
    int r = dk_store_get_host(store, holders->numbers[i], &host, NULL);
    if (r < 0) return r;
    dk_write_text(out, host.provider);
    dk_write_text(out, host.name);
    dk_host_record_finish(&host);
  }
  return 0;
}

static void write_code(const struct dk_lookup_state *lookup, struct dk_buf *out) {
  const struct dk_plan *plan = lookup->with.plan;
  uint32_t n = 0;

  for (uint32_t i = 0; i < plan->n_templates; i++) n += plan->templates[i].n_code > 0;
  dk_write_varint(out, n);
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_template *tmpl = &plan->templates[i];
    if (tmpl->n_code == 0) continue;
    dk_write_text(out, tmpl->dir);
    dk_write_varint(out, tmpl->n_code);
    for (uint32_t k = 0; k < tmpl->n_code; k++) dk_write_text(out, tmpl->code[k]);
    dk_buf_add(out, lookup->templates[i].code.bytes, DK_DIGEST_SIZE);
  }
}

static bool may_keep(const struct dk_lookup_state *lookup, const struct dk_buf *sources, const struct dk_batch *batch) {
  const struct dk_plan *plan = lookup->with.plan;

  for (uint32_t i = 0; i < plan->n_templates; i++)
    if (plan->templates[i].kind == DK_NODE_TASK && !plan->templates[i].cached) return false;
  return sources->len > 0 && !batch->forgets;
}

int dk_unchanged_keep(const struct dk_asked *asked, const struct dk_buf *sources, struct dk_lookup_state *lookup,
                      const struct dk_run *run, struct dk_batch *batch) {
  dk_autobuf out = DK_BUF_INIT;
  struct dk_digest key, identity, objects;
  struct holders holders = {.n = 0};

  if (!may_keep(lookup, sources, batch)) return 0;
  if (digest_folders(lookup->with.objects, true, &objects) < 0 || identity_of(lookup->with.store, &identity) < 0)
    return 0;
  int r = outputs_are_there(lookup, &holders) ? 0 : -ENOENT;
  key_of(asked, &key);
  dk_write_u8(&out, FORMAT);
  dk_buf_add(&out, identity.bytes, DK_DIGEST_SIZE);
  dk_buf_add(&out, objects.bytes, DK_DIGEST_SIZE);
  dk_write_u32(&out, run->number);
  dk_write_u32(&out, run->n_tasks);
  dk_write_bytes(&out, sources->data, sources->len);
  dk_write_bytes(&out, dk_buf_text(&lookup->seen), lookup->seen.len);
  write_code(lookup, &out);
  if (r == 0) r = write_holders(lookup->with.store, &holders, &out);
  dk_free(holders.numbers);
  if (r < 0) return r == -ENOMEM ? r : 0; /* nothing is kept */
  if (!dk_buf_ok(&out) || !dk_buf_ok(&lookup->seen)) return -ENOMEM;
  return dk_batch_put_unchanged(batch, &key, out.data, out.len);
}

/* --- comparing --- */

static bool read_digest(struct dk_reader *reader, struct dk_digest *ret) {
  const void *bytes = dk_read_fixed(reader, DK_DIGEST_SIZE);
  if (bytes) memcpy(ret->bytes, bytes, DK_DIGEST_SIZE);
  return bytes != NULL;
}

static bool same_code(struct dk_reader *reader, struct dk_code_repo *code) {
  dk_autofree char *dir = dk_read_text(reader);
  uint32_t n = dk_read_count(reader, 1), read = 0, files;
  struct dk_digest was, is;
  dk_autofree const char **patterns = dir ? dk_calloc((size_t)n + 1, sizeof *patterns) : NULL;
  bool same = false;

  for (; patterns && read < n; read++)
    if (!(patterns[read] = dk_read_text(reader))) break;
  if (patterns && read == n && read_digest(reader, &was))
    same = dk_code_digest(code, dir, patterns, n, &is, &files, NULL) == 0 && dk_digest_equal(&was, &is);
  for (uint32_t i = 0; i < read; i++) dk_free((char *)(uintptr_t)patterns[i]);
  return same;
}

static bool same_codes(const struct dk_asked *asked, const char *state, struct dk_reader *reader,
                       struct dk_code_repo *code) {
  uint32_t n = dk_read_count(reader, DK_DIGEST_SIZE + 2);
  struct dk_repo *repo = NULL;
  struct dk_snapshot snapshot = {0};
  bool same = !reader->failed;

  if (same && n > 0 && !code) {
    static const struct dk_snapshot_options dry = {.dry_run = true};
    same = dk_repo_open(asked->root, &repo, NULL) == 0 && strcmp(dk_repo_root(repo), asked->root) == 0 &&
           dk_snapshot_take(repo, state, &dry, &snapshot, NULL) == 0;
    code = snapshot.code;
  }
  for (uint32_t i = 0; same && i < n; i++) same = same_code(reader, code);
  dk_snapshot_finish(&snapshot);
  dk_repo_close(repo);
  return same;
}

static bool is_named(const struct dk_hosts *hosts, const char *provider, const char *name) {
  for (uint32_t i = 0; i < hosts->n; i++)
    if (strcmp(hosts->items[i].config.provider, provider) == 0 && strcmp(hosts->items[i].config.name, name) == 0)
      return true;
  return false;
}

/* Do the files of providers still name the hosts that have what is not here? */
static bool same_holders(const struct dk_asked *asked, struct dk_reader *reader) {
  uint32_t n = dk_read_count(reader, 2);
  struct dk_hosts hosts = {.n = 0};
  bool same = !reader->failed && (n == 0 || dk_hosts_load(asked->root, &hosts, NULL) == 0);

  for (uint32_t i = 0; same && i < n; i++) {
    dk_autofree char *provider = dk_read_text(reader);
    dk_autofree char *name = dk_read_text(reader);
    same = provider && name && is_named(&hosts, provider, name);
  }
  dk_hosts_finish(&hosts);
  return same;
}

static bool is_done(struct dk_store *store, uint32_t number) {
  struct dk_run run;
  if (dk_store_get_run(store, number, &run, NULL) < 0) return false;
  bool done = run.state == DK_RUN_DONE;
  dk_run_finish(&run);
  return done;
}

bool dk_unchanged_find(const struct dk_asked *asked, const char *state, struct dk_store *store,
                       const struct dk_objects *objects, struct dk_code_repo *code, struct dk_unchanged *ret) {
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_digest key, was, is;
  struct dk_reader reader;
  size_t n_sources, n_seen;

  key_of(asked, &key);
  ret->asked = key;
  if (dk_store_get_unchanged(store, &key, &bytes) < 0) return false;
  dk_reader_init(&reader, bytes.data, bytes.len);
  if (dk_read_u8(&reader) != FORMAT || !read_digest(&reader, &was)) return false;
  if (identity_of(store, &is) < 0 || !dk_digest_equal(&was, &is) || !read_digest(&reader, &was)) return false;
  if (digest_folders(objects, false, &is) < 0 || !dk_digest_equal(&was, &is)) return false;
  ret->run = dk_read_u32(&reader);
  ret->n_tasks = dk_read_u32(&reader);
  const char *sources = dk_read_bytes(&reader, &n_sources), *seen = dk_read_bytes(&reader, &n_seen);
  return sources && seen && n_sources > 0 && dk_seen_holds(asked->root, sources, n_sources) &&
         dk_seen_holds(asked->root, seen, n_seen) && same_codes(asked, state, &reader, code) &&
         same_holders(asked, &reader) && dk_reader_done(&reader) && is_done(store, ret->run);
}

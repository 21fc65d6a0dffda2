/* Files and directories of the repository as inputs: see file.h. */
#include "engine/drive/file.h"

#include "engine/drive/seen.h"
#include "engine/store/asked.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct dk_file_fact {
  char *path;
  struct dk_digest digest;
  bool is_dir;
};

static bool same_path(const void *ctx, uint32_t item, const void *key) {
  const struct dk_lookup_state *state = ctx;

  return strcmp(state->file_items[item].path, key) == 0;
}

static uint64_t path_hash(const char *path) {
  return dk_hash_bytes(path, strlen(path), 0);
}

/* As "nothing to do" will ask for it: by its path below the root. */
static void add_seen(struct dk_lookup_state *state, enum dk_seen_kind kind, const char *path,
                     const struct dk_stat_key *key, uint64_t since, const struct dk_digest *digest) {
  size_t len = strlen(state->with.root);
  bool is_below = strncmp(path, state->with.root, len) == 0 && path[len] == '/';

  if (!state->with.dry) dk_seen_add(&state->seen, kind, is_below ? path + len + 1 : path, key, since, digest);
}

/* A regular file: the stat shortcut, else its bytes. *ret_size is the size of what the digest is of. */
static int digest_file(struct dk_lookup_state *state, const char *path, const struct stat *st, enum dk_seen_kind kind,
                       struct dk_digest *ret, uint64_t *ret_size, struct dk_error *error) {
  struct dk_stat_key key = dk_seen_key(st);
  uint64_t since = dk_unix_ns();
  int r;

  uint64_t size = 0;

  *ret_size = key.size;
  if (state->with.store && dk_store_get_stat(state->with.store, path, &key, ret) == 0 &&
      /* One of another size was cut by a power loss. */
      (state->with.dry || (dk_objects_has(state->with.objects, ret, &size) && size == key.size))) {
    add_seen(state, kind, path, &key, since, ret);
    return 0;
  }
  r = state->with.dry ? dk_objects_hash_file(path, ret, ret_size, error)
                      : dk_objects_put_file(state->with.objects, path, ret, ret_size, error);
  if (r == -EAGAIN)
    return dk_error_set(error, -EBUSY, "%s changed while it was read\nhelp: run again when nothing writes to it", path);
  /* Another size: it was written between the look at it and its reading, and the key is not that of what was read. */
  if (r == 0) add_seen(state, kind, path, &key, since, ret);
  if (r == 0 && !state->with.dry && *ret_size == key.size)
    r = dk_batch_put_stat(&state->extra, path, &key, ret, dk_unix_ns());
  return r;
}

static int digest_entry(void *ctx, const char *path, const struct stat *st, struct dk_digest *ret, uint64_t *ret_size,
                        struct dk_error *error) {
  return digest_file(ctx, path, st, DK_SEEN_EXACT, ret, ret_size, error);
}

static void see_dir(void *ctx, const char *path, const struct stat *st, uint64_t since) {
  static const struct dk_digest none;
  struct dk_stat_key key = dk_seen_key(st);

  add_seen(ctx, DK_SEEN_EXACT, path, &key, since, &none);
}

static int digest_dir(struct dk_lookup_state *state, const char *path, struct dk_digest *ret, struct dk_error *error) {
  const struct dk_dir_reader reader = {.file = digest_entry, .dir = see_dir, .ctx = state};
  dk_autobuf manifest = DK_BUF_INIT;
  int r = dk_manifest_of_dir(path, &reader, &manifest, error);

  if (r < 0) return r;
  return state->with.dry ? dk_content_of(dk_buf_text(&manifest), manifest.len, ret)
                         : dk_objects_put(state->with.objects, dk_buf_text(&manifest), manifest.len, ret, error);
}

int dk_file_recall(struct dk_lookup_state *state, const char *path, const struct dk_digest *digest, bool is_dir) {
  if (!dk_grow(state->file_items, state->n_files, state->cap_files)) return -ENOMEM;
  char *copy = dk_strdup(path);
  if (!copy) return -ENOMEM;
  int r = dk_map_add(&state->files, path_hash(path), state->n_files);
  if (r < 0) {
    dk_free(copy);
    return r;
  }
  state->file_items[state->n_files++] = (struct dk_file_fact){copy, *digest, is_dir};
  return 0;
}

int dk_file_digest(struct dk_lookup_state *state, const char *path, struct dk_digest *ret, bool *ret_is_dir,
                   struct dk_error *error) {
  uint32_t known = dk_map_find(&state->files, path_hash(path), same_path, state, path);
  dk_autobuf full = DK_BUF_INIT;
  struct stat st;
  uint64_t size;
  int r;

  if (known != DK_MAP_NONE) {
    *ret = state->file_items[known].digest;
    *ret_is_dir = state->file_items[known].is_dir;
    return 0;
  }
  dk_buf_printf(&full, "%s/%s", state->with.root, path);
  if (!dk_buf_ok(&full)) return dk_error_system(error, -ENOMEM, "reading %s", path);
  if (stat(dk_buf_text(&full), &st) < 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return dk_error_set(error, -ENOENT,
                          "there is no file `%s` in the repository\nhelp: paths start at the directory of the .dk file",
                          path);
    return dk_error_system(error, -errno, "reading %s", path);
  }
  *ret_is_dir = S_ISDIR(st.st_mode);
  if (!*ret_is_dir && !S_ISREG(st.st_mode))
    return dk_error_set(error, -EINVAL, "`%s` is no file or directory, so it cannot be an input", path);
  r = *ret_is_dir ? digest_dir(state, dk_buf_text(&full), ret, error)
                  : digest_file(state, dk_buf_text(&full), &st, DK_SEEN_FILE, ret, &size, error);
  if (r == 0) r = dk_file_recall(state, path, ret, *ret_is_dir);
  if (r == 0 && state->with.run) r = dk_batch_put_run_file(&state->extra, state->with.run, path, ret, *ret_is_dir);
  return r == -ENOMEM ? dk_error_system(error, r, "reading %s", path) : r;
}

void dk_file_facts_finish(struct dk_lookup_state *state) {
  for (uint32_t i = 0; i < state->n_files; i++) dk_free(state->file_items[i].path);
  dk_free(state->file_items);
  dk_map_finish(&state->files);
  dk_buf_finish(&state->seen);
  state->file_items = NULL;
  state->n_files = state->cap_files = 0;
}

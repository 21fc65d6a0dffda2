/* Directories as manifests. */
#include "engine/objects/object.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct walk {
  const struct dk_dir_reader *reader;
  struct dk_manifest_entry *entries;
  uint32_t n, cap;
};

static int add(struct walk *walk, struct dk_manifest_entry entry, const char *path, const char *target) {
  if (!dk_grow(walk->entries, walk->n, walk->cap)) return -ENOMEM;
  entry.path = dk_strdup(path);
  entry.target = target ? dk_strdup(target) : NULL;
  walk->entries[walk->n++] = entry;
  return entry.path && (!target || entry.target) ? 0 : -ENOMEM;
}

static int walk_dir(struct walk *walk, const char *dir, const char *relative, struct dk_error *error);

static int walk_link(struct walk *walk, const char *path, const char *relative, struct dk_error *error) {
  char target[PATH_MAX];
  ssize_t n = readlink(path, target, sizeof target - 1);

  if (n < 0) return dk_error_system(error, -errno, "reading %s", path);
  target[n] = 0;
  if (!dk_fs_link_is_inside(relative, target))
    return dk_error_set(
        error, -EINVAL,
        "%s is a symbolic link to `%s`, which may lead out of the directory, so it cannot be a part of an input\n"
        "help: links in an input are relative, with `..` only at their front; or put a copy there",
        path, target);
  return add(walk, (struct dk_manifest_entry){.kind = 'l'}, relative, target);
}

static int walk_entry(struct walk *walk, const char *path, const char *relative, struct dk_error *error) {
  struct dk_manifest_entry entry = {.kind = 'f'};
  struct stat st;

  if (lstat(path, &st) < 0) return dk_error_system(error, -errno, "reading %s", path);
  if (S_ISDIR(st.st_mode)) return walk_dir(walk, path, relative, error);
  if (S_ISLNK(st.st_mode)) return walk_link(walk, path, relative, error);
  if (!S_ISREG(st.st_mode))
    return dk_error_set(error, -EINVAL, "%s is no file, directory or symbolic link, so it cannot be an input", path);
  if (st.st_mode & S_IXUSR) entry.kind = 'x';
  int r = walk->reader->file(walk->reader->ctx, path, &st, &entry.digest, &entry.size, error);
  return r < 0 ? r : add(walk, entry, relative, NULL);
}

static int walk_dir(struct walk *walk, const char *dir, const char *relative, struct dk_error *error) {
  struct stat st;
  uint64_t since = dk_unix_ns();
  bool has_stat = stat(dir, &st) == 0;
  DIR *handle = opendir(dir);
  uint32_t before = walk->n;
  int r = 0;

  if (!handle) return dk_error_system(error, -errno, "reading %s", dir);
  while (r == 0) {
    dk_autobuf path = DK_BUF_INIT, below = DK_BUF_INIT;
    struct dirent *entry;
    r = dk_fs_next_entry(handle, &entry);
    if (r < 0) dk_error_system(error, r, "reading %s", dir);
    if (r < 0 || !entry) break;
    dk_buf_printf(&path, "%s/%s", dir, entry->d_name);
    dk_buf_printf(&below, "%s%s%s", relative, *relative ? "/" : "", entry->d_name);
    r = dk_buf_ok(&path) && dk_buf_ok(&below) ? walk_entry(walk, dk_buf_text(&path), dk_buf_text(&below), error)
                                              : -ENOMEM;
  }
  closedir(handle);
  if (r == 0 && has_stat && walk->reader->dir) walk->reader->dir(walk->reader->ctx, dir, &st, since);
  if (r == 0 && walk->n == before && *relative) r = add(walk, (struct dk_manifest_entry){.kind = 'd'}, relative, NULL);
  return r;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct dk_manifest_entry *)a)->path, ((const struct dk_manifest_entry *)b)->path);
}

int dk_manifest_of_dir(const char *path, const struct dk_dir_reader *reader, struct dk_buf *out,
                       struct dk_error *error) {
  struct walk walk = {.reader = reader};
  int r = walk_dir(&walk, path, "", error);

  if (r == 0 && walk.n > 0) qsort(walk.entries, walk.n, sizeof *walk.entries, by_path);
  for (uint32_t i = 0; r == 0 && i < walk.n; i++) dk_manifest_add(out, &walk.entries[i]);
  if (r == 0 && walk.n == 0) dk_buf_add_text(out, DK_MANIFEST_HEAD);
  if (r == 0 && !dk_buf_ok(out)) r = -ENOMEM;
  for (uint32_t i = 0; i < walk.n; i++) {
    dk_free((char *)walk.entries[i].path);
    dk_free((char *)walk.entries[i].target);
  }
  dk_free(walk.entries);
  return r == -ENOMEM ? dk_error_system(error, r, "reading %s", path) : r;
}

static int put_file(void *ctx, const char *path, const struct stat *st, struct dk_digest *ret, uint64_t *ret_size,
                    struct dk_error *error) {
  (void)st;
  int r = dk_objects_put_file(ctx, path, ret, ret_size, error);
  return r == -EAGAIN ? dk_error_set(error, -EBUSY, "%s changed while it was read", path) : r;
}

int dk_objects_put_dir(struct dk_objects *objects, const char *path, struct dk_digest *ret, struct dk_error *error) {
  const struct dk_dir_reader reader = {.file = put_file, .ctx = objects};
  dk_autobuf manifest = DK_BUF_INIT;
  int r = dk_manifest_of_dir(path, &reader, &manifest, error);

  return r < 0 ? r : dk_objects_put(objects, dk_buf_text(&manifest), manifest.len, ret, error);
}

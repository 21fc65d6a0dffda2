/* See tree.h. Entries are gathered first and sorted by their whole path: "a.b" stands before "a/b", as in bytes. */
#include "engine/agent/tree.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 200
#define ENTRIES_MAX 5000000u
#define LINK_MAX 4096

struct tree {
  struct dk_blobs *blobs;
  struct dk_manifest_entry *entries; /* path and target owned */
  size_t n, cap;
  struct dk_buf path; /* of the directory that is read, with a '/' behind it */
  uint64_t total;
};

static void finish(struct tree *tree) {
  for (size_t i = 0; i < tree->n; i++) {
    dk_free((char *)tree->entries[i].path);
    dk_free((char *)tree->entries[i].target);
  }
  dk_free(tree->entries);
  dk_buf_finish(&tree->path);
}

static struct dk_manifest_entry *add(struct tree *tree, char kind, const char *name) {
  if (!dk_grow(tree->entries, tree->n, tree->cap)) return NULL;
  size_t len = tree->path.len;
  dk_buf_add_text(&tree->path, name);
  char *path = dk_buf_ok(&tree->path) ? dk_strdup(dk_buf_text(&tree->path)) : NULL;
  dk_buf_truncate(&tree->path, len);
  if (!path) return NULL;
  struct dk_manifest_entry *entry = &tree->entries[tree->n++];
  *entry = (struct dk_manifest_entry){.kind = kind, .path = path};
  return entry;
}

static int refuse(struct dk_error *error, const struct tree *tree, const char *name, const char *what) {
  return dk_error_set(error, -EINVAL, "%s%s %s", dk_buf_text(&tree->path), name, what);
}

static int read_dir(struct tree *tree, int dir, unsigned depth, struct dk_error *error);

static int no_memory(struct dk_error *error) {
  return dk_error_set(error, -ENOMEM, "no memory to keep a directory");
}

static int keep_link(struct tree *tree, int dir, const char *name, struct dk_error *error) {
  char target[LINK_MAX + 1];
  ssize_t n = readlinkat(dir, name, target, sizeof target);
  if (n < 0) return dk_error_system(error, -errno, "cannot read the link %s%s", dk_buf_text(&tree->path), name);
  if (n > LINK_MAX) return refuse(error, tree, name, "is a link with too long a target");
  target[n] = '\0';
  struct dk_manifest_entry *entry = add(tree, 'l', name);
  if (!entry || !(entry->target = dk_strdup(target))) return no_memory(error);
  if (dk_fs_link_is_inside(entry->path, target)) return 0;
  return refuse(error, tree, name,
                "is a symbolic link that leads out of the directory: make it relative, or copy the file");
}

static int keep_file(struct tree *tree, int dir, const char *name, struct dk_error *error) {
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) {
    int code = -errno;
    if (fd >= 0) close(fd);
    return dk_error_system(error, code, "cannot read %s%s", dk_buf_text(&tree->path), name);
  }
  struct dk_manifest_entry *entry = S_ISREG(st.st_mode) ? add(tree, st.st_mode & S_IXUSR ? 'x' : 'f', name) : NULL;
  int r = 0;
  if (!S_ISREG(st.st_mode)) {
    r = refuse(error, tree, name, "is no file, directory or link");
  } else if (!entry) {
    r = no_memory(error);
  } else {
    entry->size = (uint64_t)st.st_size;
    tree->total += entry->size;
    r = dk_blobs_keep(tree->blobs, dir, name, fd, &st, &entry->digest, error);
    if (r < 0) dk_error_prefix(error, "%s", entry->path);
  }
  close(fd);
  return r;
}

static int keep_dir(struct tree *tree, int dir, const char *name, unsigned depth, struct dk_error *error) {
  if (depth >= DEPTH_MAX) return refuse(error, tree, name, "is too deep");
  int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return dk_error_system(error, -errno, "cannot open %s%s", dk_buf_text(&tree->path), name);
  size_t len = tree->path.len, before = tree->n;
  dk_buf_add_text(&tree->path, name);
  dk_buf_add_char(&tree->path, '/');
  int r = dk_buf_ok(&tree->path) ? read_dir(tree, fd, depth + 1, error) : no_memory(error);
  dk_buf_truncate(&tree->path, len);
  close(fd);
  if (r == 0 && tree->n == before && !add(tree, 'd', name)) r = no_memory(error);
  return r;
}

static int read_dir(struct tree *tree, int dir, unsigned depth, struct dk_error *error) {
  int list = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = list >= 0 ? fdopendir(list) : NULL;
  if (!stream) {
    int code = -errno;
    if (list >= 0) close(list);
    return dk_error_system(error, code, "cannot read the directory %s", dk_buf_text(&tree->path));
  }
  int r = 0;
  while (r == 0) {
    struct dirent *at;
    struct stat st;
    r = dk_fs_next_entry(stream, &at);
    if (r < 0) dk_error_system(error, r, "cannot read the directory %s", dk_buf_text(&tree->path));
    if (r < 0 || !at) break;
    const char *name = at->d_name;
    if (tree->n >= ENTRIES_MAX) {
      r = refuse(error, tree, "", "holds more than 5 million files");
    } else if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
      r = dk_error_system(error, -errno, "cannot look at %s%s", dk_buf_text(&tree->path), name);
    } else if (S_ISDIR(st.st_mode)) {
      r = keep_dir(tree, dir, name, depth, error);
    } else if (S_ISLNK(st.st_mode)) {
      r = keep_link(tree, dir, name, error);
    } else if (S_ISREG(st.st_mode)) {
      r = keep_file(tree, dir, name, error);
    } else {
      r = refuse(error, tree, name, "is a device, fifo or socket, which cannot be kept");
    }
  }
  closedir(stream);
  return r;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct dk_manifest_entry *)a)->path, ((const struct dk_manifest_entry *)b)->path);
}

int dk_tree_keep(struct dk_blobs *blobs, int dir, struct dk_kept *ret, struct dk_error *error) {
  struct tree tree = {.blobs = blobs, .path = DK_BUF_INIT};
  dk_autobuf manifest = DK_BUF_INIT;
  int r = read_dir(&tree, dir, 0, error);
  if (r == 0) {
    if (tree.n > 1) qsort(tree.entries, tree.n, sizeof *tree.entries, by_path);
    dk_buf_add_text(&manifest, DK_MANIFEST_HEAD);
    for (size_t i = 0; i < tree.n; i++) dk_manifest_add(&manifest, &tree.entries[i]);
    if (!dk_buf_ok(&manifest)) r = no_memory(error);
  }
  if (r == 0) r = dk_objects_put(&blobs->objects, manifest.data, manifest.len, &ret->digest, error);
  ret->size = manifest.len;
  ret->total = tree.total;
  ret->is_dir = true;
  finish(&tree);
  return r;
}

/* Placing. */

/* Opens the directory that `path` stands in, made when missing; *ret_name is the last part. */
static int open_parent(int dir, const char *path, int *ret_fd, const char **ret_name, struct dk_error *error) {
  const char *slash = strrchr(path, '/');
  *ret_name = slash ? slash + 1 : path;
  dk_autofree char *parent = dk_strndup(path, slash ? (size_t)(slash - path) : 0);
  if (!parent) return no_memory(error);
  return dk_fs_mkdirs_beneath(dir, parent, 0755, ret_fd, error);
}

static int place_file(struct dk_blobs *blobs, const struct dk_manifest_entry *entry, int dir, struct dk_error *error) {
  const char *path = entry->path, *name;
  struct stat st;
  int in = dk_blobs_get(blobs, &entry->digest, &st);
  if (dk_error_is_limit(in)) return dk_error_system(error, in, "cannot read %s", path);
  if (in < 0 || (uint64_t)st.st_size != entry->size) {
    if (in >= 0) close(in);
    return dk_error_set(
        error, -EINVAL,
        "the content of %s is missing from %s, or was changed there\nhelp: run again: what made it runs anew", path,
        blobs->objects.root);
  }
  int parent, out = -1;
  int r = open_parent(dir, path, &parent, &name, error);
  if (r == 0) {
    out = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0) r = -errno;
    close(parent);
    if (r == 0) r = dk_fs_copy_fd(in, out, entry->size, NULL);
    if (r == 0 && fchmod(out, entry->kind == 'x' ? 0755 : 0644) < 0) r = -errno;
    if (out >= 0 && close(out) < 0 && r == 0) r = -errno;
    if (r < 0) r = dk_error_system(error, r, "cannot write %s", path);
  }
  close(in);
  return r;
}

static int place_link(const struct dk_manifest_entry *entry, int dir, struct dk_error *error) {
  int parent;
  const char *name;
  int r = open_parent(dir, entry->path, &parent, &name, error);
  if (r < 0) return r;
  if (symlinkat(entry->target, parent, name) < 0)
    r = dk_error_system(error, -errno, "cannot make the link %s", entry->path);
  close(parent);
  return r;
}

static int place_dir(const struct dk_manifest_entry *entry, int dir, struct dk_error *error) {
  int fd;
  int r = dk_fs_mkdirs_beneath(dir, entry->path, 0755, &fd, error);
  if (r == 0) close(fd);
  return r;
}

int dk_tree_place(struct dk_blobs *blobs, const void *manifest, size_t len, int dir, struct dk_error *error) {
  struct dk_manifest_entry *entries;
  uint32_t n;
  int r = dk_manifest_parse(manifest, len, &entries, &n, NULL);
  if (r == -EBADMSG) return dk_error_set(error, r, "an input directory's manifest is damaged");
  if (r < 0) return dk_error_set(error, r, "no memory to make a directory");
  for (uint32_t i = 0; i < n && r == 0; i++) {
    const struct dk_manifest_entry *entry = &entries[i];
    bool is_file = entry->kind == 'f' || entry->kind == 'x';
    if (is_file && blobs->stop && blobs->stop(blobs->ctx))
      r = dk_error_set(error, -ECANCELED, "stopped");
    else if (is_file)
      r = place_file(blobs, entry, dir, error);
    else
      r = entry->kind == 'l' ? place_link(entry, dir, error) : place_dir(entry, dir, error);
  }
  dk_free(entries);
  return r;
}

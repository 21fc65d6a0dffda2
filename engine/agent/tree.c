/* See tree.h. Entries are gathered first and sorted by their whole path: "a.b" stands before "a/b", as in bytes. */
#include "engine/agent/tree.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "dkrun directory 1\n"
#define DEPTH_MAX 200
#define ENTRIES_MAX 5000000u
#define LINK_MAX 4096

struct entry {
  char kind; /* 'f', 'x', 'l', 'd' */
  struct dk_digest digest;
  uint64_t size;
  char *path, *target;
};

struct tree {
  struct dk_blobs *blobs;
  struct entry *entries;
  size_t n, cap;
  struct dk_buf path; /* of the directory that is read, with a '/' behind it */
  uint64_t total;
};

static void finish(struct tree *tree) {
  for (size_t i = 0; i < tree->n; i++) {
    dk_free(tree->entries[i].path);
    dk_free(tree->entries[i].target);
  }
  dk_free(tree->entries);
  dk_buf_finish(&tree->path);
}

static struct entry *add(struct tree *tree, char kind, const char *name) {
  if (!dk_grow(tree->entries, tree->n, tree->cap)) return NULL;
  size_t len = tree->path.len;
  dk_buf_add_text(&tree->path, name);
  char *path = dk_buf_ok(&tree->path) ? dk_strdup(dk_buf_text(&tree->path)) : NULL;
  dk_buf_truncate(&tree->path, len);
  if (!path) return NULL;
  struct entry *entry = &tree->entries[tree->n++];
  *entry = (struct entry){.kind = kind, .path = path};
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
  struct entry *entry = add(tree, 'l', name);
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
  struct entry *entry = S_ISREG(st.st_mode) ? add(tree, st.st_mode & S_IXUSR ? 'x' : 'f', name) : NULL;
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
  return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static void put_entry(struct dk_buf *out, const struct entry *entry) {
  char hex[DK_DIGEST_HEX + 1];
  switch (entry->kind) {
  case 'l': dk_buf_printf(out, "l %s", entry->target); break;
  case 'd': dk_buf_printf(out, "d %s", entry->path); break;
  default:
    dk_digest_hex(&entry->digest, hex);
    dk_buf_printf(out, "%c %s %llu %s", entry->kind, hex, (unsigned long long)entry->size, entry->path);
    break;
  }
  dk_buf_add_char(out, '\0');
  if (entry->kind == 'l') dk_buf_add(out, entry->path, strlen(entry->path) + 1);
}

int dk_tree_keep(struct dk_blobs *blobs, int dir, struct dk_kept *ret, struct dk_error *error) {
  struct tree tree = {.blobs = blobs, .path = DK_BUF_INIT};
  dk_autobuf manifest = DK_BUF_INIT;
  int r = read_dir(&tree, dir, 0, error);
  if (r == 0) {
    if (tree.n > 1) qsort(tree.entries, tree.n, sizeof *tree.entries, by_path);
    dk_buf_add_text(&manifest, HEAD);
    for (size_t i = 0; i < tree.n; i++) put_entry(&manifest, &tree.entries[i]);
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

struct cursor {
  const char *at, *end;
};

/* The next NUL-terminated piece, or NULL. */
static const char *next_text(struct cursor *cursor) {
  const char *text = cursor->at;
  const char *nul = memchr(text, '\0', (size_t)(cursor->end - text));
  if (!nul) return NULL;
  cursor->at = nul + 1;
  return text;
}

/* Opens the directory that `path` stands in, made when missing; *ret_name is the last part. */
static int open_parent(int dir, const char *path, int *ret_fd, const char **ret_name, struct dk_error *error) {
  const char *slash = strrchr(path, '/');
  *ret_name = slash ? slash + 1 : path;
  dk_autofree char *parent = dk_strndup(path, slash ? (size_t)(slash - path) : 0);
  if (!parent) return no_memory(error);
  return dk_fs_mkdirs_beneath(dir, parent, 0755, ret_fd, error);
}

static int place_file(struct dk_blobs *blobs, char kind, const char *text, int dir, struct dk_error *error) {
  struct dk_digest digest;
  char *after;
  if (strlen(text) < DK_DIGEST_HEX + 4 || dk_digest_parse(text, DK_DIGEST_HEX, &digest) < 0 ||
      text[DK_DIGEST_HEX] != ' ')
    return -EBADMSG;
  unsigned long long size = strtoull(text + DK_DIGEST_HEX + 1, &after, 10);
  if (*after != ' ' || !dk_fs_is_plain_path(after + 1)) return -EBADMSG;
  const char *path = after + 1, *name;
  struct stat st;
  int in = dk_blobs_get(blobs, &digest, &st);
  if (in == -EMFILE || in == -ENFILE) return dk_error_system(error, in, "cannot read %s", path);
  if (in < 0 || (unsigned long long)st.st_size != size) {
    if (in >= 0) close(in);
    return dk_error_set(
        error, -EINVAL,
        "the content of %s is missing from .dkrun/objects, or was changed there\nhelp: run again: what made it "
        "runs anew",
        path);
  }
  int parent, out = -1;
  int r = open_parent(dir, path, &parent, &name, error);
  if (r == 0) {
    out = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0) r = -errno;
    close(parent);
    if (r == 0) r = dk_fs_copy_fd(in, out, size, NULL);
    if (r == 0 && fchmod(out, kind == 'x' ? 0755 : 0644) < 0) r = -errno;
    if (out >= 0 && close(out) < 0 && r == 0) r = -errno;
    if (r < 0) r = dk_error_system(error, r, "cannot write %s", path);
  }
  close(in);
  return r;
}

static int place_link(const char *target, const char *path, int dir, struct dk_error *error) {
  if (!path || !dk_fs_is_plain_path(path) || !dk_fs_link_is_inside(path, target)) return -EBADMSG;
  int parent;
  const char *name;
  int r = open_parent(dir, path, &parent, &name, error);
  if (r < 0) return r;
  if (symlinkat(target, parent, name) < 0) r = dk_error_system(error, -errno, "cannot make the link %s", path);
  close(parent);
  return r;
}

int dk_tree_place(struct dk_blobs *blobs, const void *manifest, size_t len, int dir, struct dk_error *error) {
  size_t head = strlen(HEAD);
  struct cursor cursor = {manifest, (const char *)manifest + len};
  int r = len < head || memcmp(manifest, HEAD, head) != 0 ? -EBADMSG : 0;
  cursor.at += r == 0 ? head : 0;
  while (r == 0 && cursor.at < cursor.end) {
    const char *text = next_text(&cursor);
    if (!text || strlen(text) < 3 || text[1] != ' ') { /* NOLINT(bugprone-branch-clone): before anything reads it */
      r = -EBADMSG;
    } else if (text[0] == 'f' || text[0] == 'x') {
      if (blobs->stop && blobs->stop(blobs->ctx)) return dk_error_set(error, -ECANCELED, "stopped");
      r = place_file(blobs, text[0], text + 2, dir, error);
    } else if (text[0] == 'l') {
      r = place_link(text + 2, next_text(&cursor), dir, error);
    } else if (text[0] == 'd' && dk_fs_is_plain_path(text + 2)) {
      int fd;
      r = dk_fs_mkdirs_beneath(dir, text + 2, 0755, &fd, error);
      if (r == 0) close(fd);
    } else {
      r = -EBADMSG;
    }
  }
  if (r == -EBADMSG) return dk_error_set(error, r, "an input directory's manifest is damaged");
  return r;
}

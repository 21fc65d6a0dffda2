/* Objects written out as files and trees. Made beside the place under another name and renamed, so that the place holds
 * the whole or nothing; the content is checked on the way. */
#include "engine/objects/object.h"
#include "engine/objects/private.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int write_file(const struct dk_objects *objects, const struct dk_digest *digest, int dir, const char *name,
                      mode_t mode, struct dk_error *error) {
  int from;
  uint64_t size, hashed = 0;
  struct dk_digest is;
  int err = dk_objects_open_one(objects, digest, &from, &size, error);
  if (err) return err;
  int to = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (to < 0) {
    err = -errno;
  } else {
    bool cloned = ioctl(to, FICLONE, from) == 0;
    err = dk_objects_hash_fd(from, cloned ? -1 : to, &is, &hashed);
    if (err == 0 && fchmod(to, mode) != 0) err = -errno;
    if (close(to) != 0 && err == 0) err = -errno;
  }
  close(from);
  if (err) return dk_error_system(error, err, "writing %s", name);
  return dk_digest_equal(&is, digest) ? 0 : dk_objects_wrong(objects, digest, error);
}

/* Makes the folders above `path`, which hold real directories only (the manifest's parser has seen to that). */
static int make_folders(int root, char *path) {
  for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    int err = mkdirat(root, path, 0755) == 0 || errno == EEXIST ? 0 : -errno;
    *slash = '/';
    if (err) return err;
  }
  return 0;
}

static int write_entry(const struct dk_objects *objects, const struct dk_manifest_entry *entry, int root,
                       struct dk_error *error) {
  dk_autofree char *path = dk_strdup(entry->path);
  int err = path ? make_folders(root, path) : -ENOMEM;
  if (err == 0 && entry->kind == 'd' && mkdirat(root, path, 0755) != 0) err = -errno;
  if (err == 0 && entry->kind == 'l' && symlinkat(entry->target, root, path) != 0) err = -errno;
  if (err) return dk_error_system(error, err, "writing %s", entry->path);
  if (entry->kind != 'f' && entry->kind != 'x') return 0;
  return write_file(objects, &entry->digest, root, path, entry->kind == 'x' ? 0755 : 0644, error);
}

static int write_tree(const struct dk_objects *objects, const struct dk_digest *digest, int root,
                      struct dk_error *error) {
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_manifest_entry *entries;
  uint32_t n;
  int err = dk_objects_read(objects, digest, DK_MANIFEST_MAX, &bytes, error);
  if (err) return err;
  err = dk_manifest_parse(bytes.data, bytes.len, &entries, &n, error);
  for (uint32_t i = 0; i < n && err == 0; i++) err = write_entry(objects, &entries[i], root, error);
  dk_free(entries);
  return err;
}

static int write_dir(const struct dk_objects *objects, const struct dk_digest *digest, const char *path,
                     struct dk_error *error) {
  if (mkdir(path, 0755) != 0) return dk_error_system(error, -errno, "making %s", path);
  int root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (root < 0) return dk_error_system(error, -errno, "opening %s", path);
  int err = write_tree(objects, digest, root, error);
  close(root);
  return err;
}

/* Not every file system knows RENAME_NOREPLACE and RENAME_EXCHANGE. */
static int move_new(const char *from, const char *to) {
  struct stat st;
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -errno;
  if (lstat(to, &st) == 0) return -EEXIST;
  return rename(from, to) == 0 ? 0 : -errno;
}

/* A directory that is in the way is moved to `from`, and removed by the caller. */
static int move_over(const char *from, const char *to, bool is_dir) {
  struct stat st;
  if (lstat(to, &st) != 0) return errno == ENOENT ? move_new(from, to) : -errno;
  if (S_ISDIR(st.st_mode) != is_dir) return is_dir ? -ENOTDIR : -EISDIR;
  if (!is_dir) return rename(from, to) == 0 ? 0 : -errno;
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -errno;
  int err = dk_fs_remove_tree(to, NULL);
  return err ? err : move_new(from, to);
}

int dk_objects_export(const struct dk_objects *objects, const struct dk_digest *digest, bool is_dir, const char *path,
                      bool replace, struct dk_error *error) {
  struct stat st;
  if (!replace && lstat(path, &st) == 0)
    return dk_error_set(error, -EEXIST, "%s exists already\nhelp: remove it or choose another place", path);
  dk_autobuf tmp = DK_BUF_INIT;
  const char *slash = strrchr(path, '/');
  /* Beside it, so that it can be renamed; of its own, so that the longest name has room. */
  dk_buf_printf(&tmp, "%.*s.dkrun-%d", slash ? (int)(slash + 1 - path) : 0, path, (int)getpid());
  if (!dk_buf_ok(&tmp)) return dk_error_system(error, -ENOMEM, "writing %s", path);
  int err = dk_fs_remove_tree(tmp.data, error); /* of a process with this id that was killed */
  if (err) return err;
  err = is_dir ? write_dir(objects, digest, tmp.data, error)
               : write_file(objects, digest, AT_FDCWD, tmp.data, 0644, error);
  if (err == 0) {
    err = replace ? move_over(tmp.data, path, is_dir) : move_new(tmp.data, path);
    if (err) dk_error_system(error, err, "writing %s", path);
  }
  if (err) dk_fs_remove_tree(tmp.data, NULL);
  return err || !replace ? err : dk_fs_remove_tree(tmp.data, error); /* what gave way */
}

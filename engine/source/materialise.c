/* Part of the pinned tree written out as files. Files first and links last, so that no link is ever written through;
 * then everything is sealed, the folders too, so that a look at the inodes tells whether it is still as it was
 * written. */
#include "engine/source/code.h"
#include "engine/source/code_private.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct writing {
  struct dk_code_repo *code;
  int root;
  size_t skip;
  struct dk_buf folder; /* made last, with a slash at its end */
};

/* Makes the folders above the path; files come sorted, so mostly they are those of the file before. */
static int make_folders(struct writing *writing, const char *path) {
  const char *slash = strrchr(path, '/');
  size_t len = slash ? (size_t)(slash - path) + 1 : 0;
  if (len == writing->folder.len && (len == 0 || memcmp(path, writing->folder.data, len) == 0)) return 0;
  dk_buf_clear(&writing->folder);
  dk_buf_add(&writing->folder, path, len);
  if (!dk_buf_ok(&writing->folder)) return -ENOMEM;
  for (size_t i = 0; i < len; i++) {
    if (writing->folder.data[i] != '/') continue;
    writing->folder.data[i] = '\0';
    int err = mkdirat(writing->root, writing->folder.data, 0755) == 0 || errno == EEXIST ? 0 : -errno;
    writing->folder.data[i] = '/';
    if (err) return err;
  }
  return 0;
}

static int write_file(struct writing *writing, const struct dk_code_entry *entry, const void *data, size_t len) {
  int fd =
      openat(writing->root, entry->path + writing->skip, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  int err = dk_fs_write_all(fd, data, len);
  if (err == 0) err = dk_fs_seal(fd, entry->mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0555 : 0444);
  if (close(fd) != 0 && err == 0) err = -errno;
  return err;
}

static int write_link(struct writing *writing, const struct dk_code_entry *entry, const void *data, size_t len) {
  dk_autofree char *target = dk_strndup(data, len);
  if (!target) return -ENOMEM;
  return symlinkat(target, writing->root, entry->path + writing->skip) == 0 ? 0 : -errno;
}

static int write_entry(struct writing *writing, const struct dk_code_entry *entry, bool links, struct dk_error *error) {
  git_odb_object *object;
  int err = make_folders(writing, entry->path + writing->skip);
  if (err) return dk_error_system(error, err, "making the folder of %s", entry->path);
  if (links != (entry->mode == GIT_FILEMODE_LINK)) return 0;
  int rc = git_odb_read(&object, writing->code->odb.all, &entry->id);
  if (rc) return dk_git_fail(rc, error, "reading %s of the commit", entry->path);
  const void *data = git_odb_object_data(object);
  size_t len = git_odb_object_size(object);
  err = links ? write_link(writing, entry, data, len) : write_file(writing, entry, data, len);
  git_odb_object_free(object);
  return err ? dk_error_system(error, err, "writing %s", entry->path) : 0;
}

/* Every folder below and `fd` itself: sealed, or (`look`) looked at, and the files too; -EBADMSG when one is not
 * sealed. */
static int visit_folder(int fd, bool look) {
  int list = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = list < 0 ? NULL : fdopendir(list);
  struct dirent *entry;
  struct stat st;
  int err = dir ? 0 : -errno;
  if (!dir && list >= 0) close(list);
  while (err == 0 && (err = dk_fs_next_entry(dir, &entry)) == 0 && entry) {
    if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
      err = -errno;
    } else if (S_ISDIR(st.st_mode)) {
      int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      err = child < 0 ? -errno : visit_folder(child, look);
      if (child >= 0) close(child);
    } else if (look && !S_ISLNK(st.st_mode) && !dk_fs_is_sealed(&st)) {
      err = -EBADMSG; /* a link cannot be written to, only replaced: its folder tells */
    }
  }
  if (dir) closedir(dir);
  if (err) return err;
  if (!look) return dk_fs_seal(fd, 0755);
  if (fstat(fd, &st) != 0) return -errno;
  return dk_fs_is_sealed(&st) ? 0 : -EBADMSG;
}

static int write_all(struct dk_code_repo *code, const uint8_t *matched, size_t skip, const char *path,
                     struct dk_error *error) {
  if (mkdir(path, 0755) != 0) return dk_error_system(error, -errno, "making %s", path);
  struct writing writing = {.code = code, .skip = skip, .folder = DK_BUF_INIT};
  writing.root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (writing.root < 0) return dk_error_system(error, -errno, "opening %s", path);
  int err = 0;
  for (int links = 0; links < 2; links++)
    for (uint32_t i = 0; i < code->n && err == 0; i++)
      if (matched[i]) err = write_entry(&writing, &code->entries[i], links, error);
  dk_buf_finish(&writing.folder);
  if (err == 0 && (err = visit_folder(writing.root, false)) < 0) dk_error_system(error, err, "sealing %s", path);
  close(writing.root);
  return err;
}

int dk_code_tree_look(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno == ENOTDIR || errno == ELOOP ? -EBADMSG : -errno;
  int err = visit_folder(fd, true);
  close(fd);
  return err;
}

int dk_code_materialise(struct dk_code_repo *code, const char *dir, const char *const *patterns, uint32_t n,
                        const char *path, struct dk_error *error) {
  uint8_t *matched;
  size_t skip;
  struct stat st;
  if (lstat(path, &st) == 0) return dk_error_set(error, -EEXIST, "%s exists already", path);
  dk_autobuf tmp = DK_BUF_INIT;
  dk_buf_printf(&tmp, "%s.dkrun-%d", path, (int)getpid());
  if (!dk_buf_ok(&tmp)) return dk_error_system(error, -ENOMEM, "writing %s", path);
  int err = dk_code_match(code, dir, patterns, n, &matched, &skip, error);
  if (err) return err;
  err = dk_fs_remove_tree(tmp.data, error); /* of a process with this id that was killed */
  if (err == 0) err = write_all(code, matched, skip, tmp.data, error);
  /* Another process may have been quicker: a folder with files in it is not replaced by rename(2). */
  if (err == 0 && rename(tmp.data, path) != 0) {
    err = errno == ENOTEMPTY ? -EEXIST : -errno;
    dk_error_system(error, err, "writing %s", path);
  }
  if (err) dk_fs_remove_tree(tmp.data, NULL);
  dk_free(matched);
  return err;
}

/* Objects: see object.h. Opening, finding, putting bytes, reading, making durable; files are copy.c, trees export.c.
 *
 * Keeps true: an object's file has its content from the moment it has its name (written in tmp/, then renamed). */
#include "engine/objects/object.h"
#include "engine/objects/private.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define TMP_STALE_S 86400 /* a file in tmp/ that is older was left by a process that was killed */

void dk_objects_name(const struct dk_digest *digest, char ret[DK_OBJECTS_NAME]) {
  char hex[DK_DIGEST_HEX + 1];
  dk_digest_hex(digest, hex);
  memcpy(ret, hex, 2);
  ret[2] = '/';
  memcpy(ret + 3, hex + 2, sizeof hex - 2);
}

static void drop_stale(int root) {
  int fd = openat(root, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir) {
    if (fd >= 0) close(fd);
    return;
  }
  struct dirent *entry;
  struct stat st;
  time_t now = time(NULL);
  while ((entry = readdir(dir)))
    if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        now - st.st_mtime > TMP_STALE_S)
      unlinkat(fd, entry->d_name, 0);
  closedir(dir);
}

int dk_objects_open(struct dk_objects *objects, const char *root, bool create, struct dk_error *error) {
  *objects = (struct dk_objects){NULL, -1};
  if (create && mkdir(root, 0700) != 0 && errno != EEXIST)
    return dk_error_system(error, -errno, "making the folder %s", root);
  int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return dk_error_system(error, -errno, "opening the objects in %s", root);
  if (create && mkdirat(fd, "tmp", 0700) != 0 && errno != EEXIST) {
    int code = -errno;
    close(fd);
    return dk_error_system(error, code, "making the folder %s/tmp", root);
  }
  objects->root = dk_strdup(root);
  if (!objects->root) {
    close(fd);
    return dk_error_system(error, -ENOMEM, "opening the objects in %s", root);
  }
  objects->fd = fd;
  if (create) drop_stale(fd);
  return 0;
}

void dk_objects_close(struct dk_objects *objects) {
  if (objects->root && objects->fd >= 0) close(objects->fd);
  dk_free(objects->root);
  *objects = (struct dk_objects){NULL, -1};
}

void dk_objects_path(const struct dk_objects *objects, const struct dk_digest *digest, struct dk_buf *out) {
  char name[DK_OBJECTS_NAME];
  dk_objects_name(digest, name);
  dk_buf_clear(out);
  dk_buf_printf(out, "%s/%s", objects->root, name);
}

/* One was found to be wrong: its folder gets another time, so that nobody takes it for granted that nothing has changed
 * here (drive/unchanged.h). A folder of somebody else's stays as it is. */
static void tell_folder(const struct dk_objects *objects, const struct dk_digest *digest) {
  char name[DK_OBJECTS_NAME];
  dk_objects_name(digest, name);
  const char folder[] = {name[0], name[1], '\0'};
  (void)utimensat(objects->fd, folder, NULL, 0);
}

/* Reads one without its seal. */
static bool is_whole(const struct dk_objects *objects, const struct dk_digest *digest) {
  int fd;
  uint64_t size;
  struct dk_digest is;
  if (dk_objects_open_one(objects, digest, &fd, &size, NULL)) return false;
  bool whole = dk_objects_hash_fd(fd, -1, &is, &size) == 0 && dk_digest_equal(&is, digest);
  if (whole) (void)dk_fs_seal(fd, 0444); /* of somebody else's folder: it is read again the next time */
  if (!whole) tell_folder(objects, digest);
  close(fd);
  return whole;
}

bool dk_objects_has(const struct dk_objects *objects, const struct dk_digest *digest, uint64_t *ret_size) {
  char name[DK_OBJECTS_NAME];
  struct stat st;
  dk_objects_name(digest, name);
  if (fstatat(objects->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) return false;
  if (!dk_fs_is_sealed(&st) && !is_whole(objects, digest)) return false;
  if (ret_size) *ret_size = (uint64_t)st.st_size;
  return true;
}

int dk_objects_has_dir(const struct dk_objects *objects, const struct dk_digest *manifest, struct dk_error *error) {
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_manifest_entry *entries;
  uint32_t n;
  bool whole = dk_objects_has(objects, manifest, NULL);
  if (!whole) return 0;
  int err = dk_objects_read(objects, manifest, DK_MANIFEST_MAX, &bytes, error);
  if (err == 0) err = dk_manifest_parse(bytes.data, bytes.len, &entries, &n, error);
  if (err) return err == -EBADMSG || err == -ENOENT || err == -EFBIG ? 0 : err;
  for (uint32_t i = 0; whole && i < n; i++) {
    uint64_t size;
    if (entries[i].kind != 'f' && entries[i].kind != 'x') continue;
    whole = dk_objects_has(objects, &entries[i].digest, &size) && size == entries[i].size;
  }
  dk_free(entries);
  return whole;
}

int dk_objects_has_content(const struct dk_objects *objects, const struct dk_digest *digest, bool is_dir,
                           struct dk_error *error) {
  return is_dir ? dk_objects_has_dir(objects, digest, error) : dk_objects_has(objects, digest, NULL);
}

static bool new_name(char ret[DK_OBJECTS_TMP]) {
  uint64_t random = 0;
  if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) return false;
  snprintf(ret, DK_OBJECTS_TMP, "tmp/%d-%016llx", (int)getpid(), (unsigned long long)random);
  return true;
}

int dk_objects_tmp(struct dk_objects *objects, char ret_name[DK_OBJECTS_TMP], int *ret_fd, struct dk_error *error) {
  for (int i = 0; i < 100 && new_name(ret_name); i++) {
    *ret_fd = openat(objects->fd, ret_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*ret_fd >= 0) return 0;
    if (errno == ENOENT && mkdirat(objects->fd, "tmp", 0700) == 0) continue;
    if (errno != EEXIST) break;
  }
  return dk_error_system(error, -errno, "making a file in %s/tmp", objects->root);
}

void dk_objects_drop(struct dk_objects *objects, const char *tmp, int fd) {
  close(fd);
  unlinkat(objects->fd, tmp, 0);
}

/* To its place, in a folder that the first object there makes. */
static int rename_in(const struct dk_objects *objects, const char *tmp, const char name[DK_OBJECTS_NAME]) {
  if (renameat(objects->fd, tmp, objects->fd, name) == 0) return 0;
  if (errno != ENOENT) return -errno;
  const char folder[] = {name[0], name[1], '\0'};
  if (mkdirat(objects->fd, folder, 0700) != 0 && errno != EEXIST) return -errno;
  return renameat(objects->fd, tmp, objects->fd, name) == 0 ? 0 : -errno;
}

int dk_objects_place(struct dk_objects *objects, const char *tmp, int fd, const struct dk_digest *digest,
                     struct dk_error *error) {
  char name[DK_OBJECTS_NAME];
  struct stat st;
  uint64_t size;
  dk_objects_name(digest, name);
  int err = fstat(fd, &st) == 0 ? 0 : -errno;
  /* One of another size was cut by a power loss: this one replaces it. */
  if (err == 0 && dk_objects_has(objects, digest, &size) && size == (uint64_t)st.st_size) {
    dk_objects_drop(objects, tmp, fd);
    return 0;
  }
  if (err == 0 && fchmod(fd, 0444) != 0) err = -errno;
  if (close(fd) != 0 && err == 0) err = -errno;
  if (err == 0) err = rename_in(objects, tmp, name);
  if (err) {
    unlinkat(objects->fd, tmp, 0);
    return dk_error_system(error, err, "keeping an object in %s", objects->root);
  }
  /* Not before: in tmp/ its time says how old it is. Without a seal it is read when it is looked for. */
  (void)dk_fs_seal_at(objects->fd, name);
  return 0;
}

int dk_objects_link(struct dk_objects *objects, int dir, const char *file, const struct dk_digest *digest) {
  char name[DK_OBJECTS_NAME], tmp[DK_OBJECTS_TMP];
  dk_objects_name(digest, name);
  if (linkat(dir, file, objects->fd, name, 0) == 0) return 0;
  /* The first in its folder, or one is there that is no good: replaced in one step. */
  if (errno != ENOENT && errno != EEXIST) return -errno;
  if (!new_name(tmp)) return -errno;
  (void)mkdirat(objects->fd, "tmp", 0700);
  if (linkat(dir, file, objects->fd, tmp, 0) != 0) return -errno;
  int err = rename_in(objects, tmp, name);
  if (err) unlinkat(objects->fd, tmp, 0);
  return err;
}

int dk_objects_put(struct dk_objects *objects, const void *data, size_t len, struct dk_digest *ret,
                   struct dk_error *error) {
  char tmp[DK_OBJECTS_TMP];
  int fd;
  int err = dk_content_of(data, len, ret);
  if (err) return dk_error_system(error, err, "hashing %zu bytes", len);
  uint64_t size;
  if (dk_objects_has(objects, ret, &size) && size == len) return 0;
  err = dk_objects_tmp(objects, tmp, &fd, error);
  if (err) return err;
  err = dk_fs_write_all(fd, data, len);
  if (err) {
    dk_objects_drop(objects, tmp, fd);
    return dk_error_system(error, err, "writing an object in %s", objects->root);
  }
  return dk_objects_place(objects, tmp, fd, ret, error);
}

int dk_objects_wrong(const struct dk_objects *objects, const struct dk_digest *digest, struct dk_error *error) {
  char name[DK_OBJECTS_NAME];
  dk_objects_name(digest, name);
  tell_folder(objects, digest);
  return dk_error_set(error, -EBADMSG,
                      "the object %s/%s is damaged: its content is not what its name says\nhelp: remove it; what made "
                      "it will run again",
                      objects->root, name);
}

int dk_objects_open_one(const struct dk_objects *objects, const struct dk_digest *digest, int *ret_fd,
                        uint64_t *ret_size, struct dk_error *error) {
  char name[DK_OBJECTS_NAME];
  struct stat st;
  dk_objects_name(digest, name);
  *ret_fd = openat(objects->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (*ret_fd < 0) return dk_error_system(error, -errno, "opening the object %s/%s", objects->root, name);
  int err = fstat(*ret_fd, &st) == 0 ? 0 : -errno;
  if (err == 0 && S_ISREG(st.st_mode)) {
    *ret_size = (uint64_t)st.st_size;
    return 0;
  }
  close(*ret_fd);
  *ret_fd = -1;
  return err ? dk_error_system(error, err, "opening the object %s/%s", objects->root, name)
             : dk_objects_wrong(objects, digest, error);
}

int dk_objects_read(const struct dk_objects *objects, const struct dk_digest *digest, size_t max, struct dk_buf *out,
                    struct dk_error *error) {
  int fd;
  uint64_t size;
  struct dk_digest is;
  dk_buf_clear(out);
  int err = dk_objects_open_one(objects, digest, &fd, &size, error);
  if (err) return err;
  if (size > max) {
    close(fd);
    return dk_error_set(error, -EFBIG, "an object has %llu bytes, more than the %zu that may be read here",
                        (unsigned long long)size, max);
  }
  void *at = dk_buf_reserve(out, (size_t)size);
  err = at ? dk_fs_pread_all(fd, at, (size_t)size, 0) : -ENOMEM;
  close(fd);
  if (err == 0) {
    dk_buf_commit(out, (size_t)size);
    err = dk_content_of(out->data, out->len, &is);
  }
  if (err) return dk_error_system(error, err, "reading an object in %s", objects->root);
  if (dk_digest_equal(&is, digest)) return 0;
  dk_buf_clear(out);
  return dk_objects_wrong(objects, digest, error);
}

int dk_objects_verify(const struct dk_objects *objects, const struct dk_digest *digest, struct dk_error *error) {
  int fd;
  uint64_t size, hashed;
  struct dk_digest is;
  int err = dk_objects_open_one(objects, digest, &fd, &size, error);
  if (err) return err;
  err = dk_objects_hash_fd(fd, -1, &is, &hashed);
  close(fd);
  if (err) return dk_error_system(error, err, "reading an object in %s", objects->root);
  return dk_digest_equal(&is, digest) ? 0 : dk_objects_wrong(objects, digest, error);
}

bool dk_objects_starts_with(const struct dk_objects *objects, const struct dk_digest *digest, const char *text) {
  char head[64];
  size_t len = strlen(text);
  uint64_t size;
  int fd;
  assert(len <= sizeof head);
  if (dk_objects_open_one(objects, digest, &fd, &size, NULL)) return false;
  bool is_it = size >= len && dk_fs_pread_all(fd, head, len, 0) == 0 && memcmp(head, text, len) == 0;
  close(fd);
  return is_it;
}

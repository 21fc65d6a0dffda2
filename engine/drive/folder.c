/* The state folder: see folder.h. */
#include "engine/drive/folder.h"

#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static char *below(const char *path, const char *name) {
  dk_autobuf buf = DK_BUF_INIT;

  dk_buf_printf(&buf, "%s/%s", path, name);
  return dk_buf_steal(&buf);
}

int dk_folder_paths(const char *root, struct dk_folder *folder, struct dk_error *error) {
  *folder = (struct dk_folder){.lock = DK_LOCK_INIT, .objects = {.fd = -1}};
  folder->path = below(root, ".dkrun");
  folder->trees = folder->path ? below(folder->path, "trees") : NULL;
  return folder->trees ? 0 : dk_error_system(error, -ENOMEM, "opening the state folder");
}

/* Makes what is missing. Nothing here is repaired: a folder that is there is left as it is. */
static int make(struct dk_folder *folder, struct dk_error *error) {
  static const char ignore[] = "*\n";
  dk_autofree char *ignore_path = below(folder->path, ".gitignore");
  struct stat st;
  int r;

  if (!ignore_path) return dk_error_system(error, -ENOMEM, "making %s", folder->path);
  r = dk_fs_mkdirs(folder->path, 0700, error);
  if (r == 0) r = dk_fs_mkdirs(folder->trees, 0700, error);
  if (r == 0 && stat(ignore_path, &st) < 0) r = dk_fs_write(ignore_path, ignore, sizeof ignore - 1, 0644, false, error);
  if (r < 0) dk_error_prefix(error, "the state folder cannot be made");
  return r;
}

/* A tree is whole when it gets its name, but nothing of it was synced: one that a power loss may have caught is made
 * again from the pinned commit. */
static int drop_trees(const struct dk_folder *folder, uint64_t since, struct dk_error *error) {
  DIR *dir = opendir(folder->trees);
  int err = dir || errno == ENOENT ? 0 : dk_error_system(error, -errno, "reading %s", folder->trees);
  while (dir && err == 0) {
    struct dirent *entry;
    struct stat st;
    err = dk_fs_next_entry(dir, &entry);
    if (err) dk_error_system(error, err, "reading %s", folder->trees);
    if (err || !entry) break;
    if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && dk_objects_is_unsure(&st, since))
      err = dk_fs_remove_tree_at(dirfd(dir), entry->d_name, error);
  }
  if (dir) closedir(dir);
  return err;
}

static int settle(struct dk_folder *folder, struct dk_error *error) {
  uint64_t since;
  int r = dk_objects_settle(&folder->objects, &since, error);
  if (r < 0 || since == UINT64_MAX) return r;
  r = drop_trees(folder, since, error);
  return r < 0 ? r : dk_objects_sync(&folder->objects, error);
}

int dk_folder_open_parts(struct dk_folder *folder, bool read_only, struct dk_error *error) {
  dk_autofree char *store = below(folder->path, "store");
  dk_autofree char *objects = below(folder->path, "objects");
  int r;

  if (!store || !objects) return dk_error_system(error, -ENOMEM, "opening %s", folder->path);
  r = dk_store_open(store, &(struct dk_store_options){.read_only = read_only}, &folder->store, error);
  if (r == 0) r = dk_objects_open(&folder->objects, objects, !read_only, error);
  return r < 0 || read_only ? r : settle(folder, error);
}

static int take_lock(struct dk_folder *folder, const char *holder, struct dk_error *error) {
  dk_autofree char *lock = below(folder->path, "lock");
  if (!lock) return dk_error_system(error, -ENOMEM, "opening %s", folder->path);
  int r = dk_lock_take(&folder->lock, lock, holder, error);
  if (r == -EWOULDBLOCK)
    dk_error_set(error, r,
                 "another dkrun works in %s (process %d)\nhelp: `dkrun status` shows what it does; run again when it "
                 "has ended",
                 folder->path, dk_lock_holder(lock));
  return r;
}

int dk_folder_open(const char *root, const char *holder, struct dk_folder *ret, struct dk_error *error) {
  int r = dk_folder_paths(root, ret, error);

  if (r == 0) r = make(ret, error);
  if (r == 0) r = take_lock(ret, holder, error);
  if (r == 0) r = dk_folder_open_parts(ret, false, error);
  if (r < 0) dk_folder_close(ret);
  return r;
}

int dk_folder_lock(const char *root, const char *holder, struct dk_folder *ret, struct dk_error *error) {
  struct stat st;
  int r = dk_folder_paths(root, ret, error);

  if (r == 0 && stat(ret->path, &st) < 0) r = dk_error_system(error, -errno, "opening %s", ret->path);
  return r < 0 ? r : take_lock(ret, holder, error);
}

char *dk_folder_store_path(const char *root, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;

  dk_buf_printf(&path, "%s/.dkrun/store", root);
  if (!dk_buf_ok(&path)) dk_error_system(error, -ENOMEM, "opening the store");
  return dk_buf_steal(&path);
}

int dk_folder_peek(const char *root, struct dk_folder *ret, struct dk_error *error) {
  int r = dk_folder_paths(root, ret, error);

  if (r == 0) {
    r = dk_folder_open_parts(ret, true, error);
    if (r == -ENOENT) {
      dk_store_close(ret->store);
      ret->store = NULL;
      r = 0;
    }
  }
  if (r < 0) dk_folder_close(ret);
  return r;
}

void dk_folder_close(struct dk_folder *folder) {
  dk_store_close(folder->store);
  if (folder->objects.fd >= 0) dk_objects_close(&folder->objects);
  dk_lock_release(&folder->lock);
  dk_free(folder->path);
  dk_free(folder->trees);
  *folder = (struct dk_folder){.lock = DK_LOCK_INIT, .objects = {.fd = -1}};
}

bool dk_folder_is_ours(const struct dk_folder *folder) {
  dk_autofree char *lock = below(folder->path, "lock");
  struct stat held, named;

  return lock && fstat(folder->lock.fd, &held) == 0 && lstat(lock, &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

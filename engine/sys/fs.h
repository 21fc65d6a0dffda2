/* Files and trees: what more than one room needs. Every descriptor is opened O_CLOEXEC. */
#ifndef DK_SYS_FS_H
#define DK_SYS_FS_H

#include "lang/base/buf.h"
#include "lang/base/error.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Appends the file's bytes to `out`. -EFBIG when there are more than `cap`. */
int dk_fs_read(const char *path, size_t cap, struct dk_buf *out, struct dk_error *error);
int dk_fs_read_at(int dir, const char *name, size_t cap, struct dk_buf *out, struct dk_error *error);
/* Writes beside it (path + ".tmp<pid>"), fsyncs when `durable`, renames. The old file or the new one, never a part. */
int dk_fs_write(const char *path, const void *data, size_t len, mode_t mode, bool durable, struct dk_error *error);
/* All of it, whatever the system returns in one call. 0 or negative errno. */
int dk_fs_write_all(int fd, const void *data, size_t len);
/* Exactly len bytes at offset; -EIO when the file is shorter. */
int dk_fs_pread_all(int fd, void *data, size_t len, uint64_t offset);

int dk_fs_mkdirs(const char *path, mode_t mode, struct dk_error *error); /* mkdir -p; there already: fine */
/* mkdir -p below `dir`, never through a symbolic link or "..". Opens the last one. */
int dk_fs_mkdirs_beneath(int dir, const char *path, mode_t mode, int *ret_fd, struct dk_error *error);
/* Removes path and everything below it, without following links or going into what is mounted there (-EXDEV, -EBUSY);
 * what a task made unreadable is made readable first. Not there: fine. */
int dk_fs_remove_tree(const char *path, struct dk_error *error);
int dk_fs_remove_tree_at(int dir, const char *name, struct dk_error *error);
int dk_fs_empty_dir(int dir, struct dk_error *error); /* what is in it; the directory stays */
bool dk_fs_dir_is_empty(int dir);
/* The next entry but "." and ".."; NULL behind the last one. Negative errno when it cannot be read: a list that ends
 * early is not a short directory. */
int dk_fs_next_entry(DIR *stream, struct dirent **ret);

/* openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS); the same component by component on kernels
 * without it. Returns the descriptor or negative errno (-ELOOP a link on the way, -EXDEV outside). */
int dk_fs_open_beneath(int dir, const char *path, int flags, mode_t mode);
/* Relative, not empty, no "." or ".." or empty component, no NUL or newline trouble: fit to be a place in a
 * directory. */
bool dk_fs_is_plain_path(const char *path);
/* May a symbolic link at the plain path `path` of a tree have this target, wherever the tree is put? A relative one,
 * ".." only at its front and not above the tree's root. That is enough because a link's own folder is a real one: going
 * up from it is lexical, and what follows only goes down, perhaps through other links of which the same holds. After a
 * name ".." would lead to wherever that name, if it is a link, leads. */
bool dk_fs_link_is_inside(const char *path, const char *target);

/* Content from one open file to another: reflink, else copy_file_range, else read and write. *ret_reflinked may be
 * NULL. */
int dk_fs_copy_fd(int from, int to, uint64_t size, bool *ret_reflinked);
/* What is in from_dir into to_dir: directories 0755, files 0755 or 0644 (x of the owner decides), symbolic links as
 * they are; -EINVAL for anything else. What exists is replaced when it is no directory. `sealed`: what is not
 * sealed there is not copied, -EBADMSG. `stop` (may be NULL) is asked now and then:
 * true ends it with -ECANCELED. */
typedef bool dk_fs_stop_fn(void *ctx);
int dk_fs_copy_tree(int from_dir, int to_dir, bool sealed, dk_fs_stop_fn *stop, void *ctx, struct dk_error *error);

/* The seal of what is never to change again (an object, a materialised code tree): no w in the mode of a file, and a
 * modification time that no clock gives, 1 s after the epoch (as files in a Nix store have it). Whatever writes to it,
 * through a name, a link or a mapping, or makes or removes an entry of a directory, moves that time on: a look at the
 * inode tells. A mark against accidents, no protection. 0 or negative errno. */
int dk_fs_seal(int fd, mode_t mode);
int dk_fs_seal_at(int dir, const char *name); /* one whose mode is right already */
bool dk_fs_is_sealed(const struct stat *st);

/* Which folder an open descriptor stands for: it keeps this over a reboot and a rename, and a copy of it has another
 * one. `fs` is the file system's id, which for most comes from its UUID (device numbers change), else the device's
 * number. */
struct dk_fs_identity {
  uint64_t fs, ino;
};
int dk_fs_identify(int fd, struct dk_fs_identity *ret); /* O_PATH will do. 0 or negative errno */

int dk_fs_sync_dir(const char *path, struct dk_error *error);
/* Absolute path without ".", ".." and links ("" stands for this directory); the last part need not exist. Heap, or NULL
 * with errno. */
char *dk_fs_absolute(const char *path);

/* Do both paths lead to the same file? false too when one cannot be looked at. */
bool dk_fs_is_one_file(const char *a, const char *b);

#endif

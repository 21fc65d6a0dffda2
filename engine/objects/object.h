/* Objects: contents by digest, in files `objects/ab/cdef...`, sealed (dk_fs_seal), never changed once they are there.
 *
 * Writing: to objects/tmp/, then rename; dk_objects_sync makes all that was added durable (one syncfs); after a power
 * loss dk_objects_settle takes out what was not. A directory is kept as a manifest object
 * (the canonical form below) that names the digests of its files. */
#ifndef DK_OBJECTS_OBJECT_H
#define DK_OBJECTS_OBJECT_H

#include "lang/base/buf.h"
#include "lang/base/digest.h"
#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct dk_objects {
  char *root;
  int fd;
};

int dk_objects_open(struct dk_objects *objects, const char *root, bool create, struct dk_error *error);
void dk_objects_close(struct dk_objects *objects);
/* Path of an object, there or not: root/ab/cdef... ; `out` is cleared first. */
void dk_objects_path(const struct dk_objects *objects, const struct dk_digest *digest, struct dk_buf *out);
/* There, and what its name says. A sealed one is believed without being read; another (somebody wrote to it, or copied
 * the folder without its times) is read, and sealed again when its content is right. */
bool dk_objects_has(const struct dk_objects *objects, const struct dk_digest *digest,
                    uint64_t *ret_size); /* ret_size may be NULL */
/* The same of a directory: its manifest, and every file that it names. 1, 0, or a negative errno when the manifest
 * cannot be read now. */
int dk_objects_has_dir(const struct dk_objects *objects, const struct dk_digest *manifest, struct dk_error *error);
/* The one or the other. 1, 0, or a negative errno as of a directory. */
int dk_objects_has_content(const struct dk_objects *objects, const struct dk_digest *digest, bool is_dir,
                           struct dk_error *error);
int dk_objects_put(struct dk_objects *objects, const void *data, size_t len, struct dk_digest *ret,
                   struct dk_error *error);
/* The same in pieces: a new file in tmp/, by descriptor and name ("tmp/..."); what was written to it becomes an object,
 * or is dropped when that is there already. Both close fd and leave nothing in tmp/, also on failure. */
#define DK_OBJECTS_TMP 64
int dk_objects_tmp(struct dk_objects *objects, char ret_name[DK_OBJECTS_TMP], int *ret_fd, struct dk_error *error);
int dk_objects_place(struct dk_objects *objects, const char *tmp, int fd, const struct dk_digest *digest,
                     struct dk_error *error);
void dk_objects_drop(struct dk_objects *objects, const char *tmp, int fd);
/* A file of this file system becomes the object itself, in place of what may be there; who calls it makes it read-only
 * before, and seals it then. 0, or a negative errno: as link(2). */
int dk_objects_link(struct dk_objects *objects, int dir, const char *file, const struct dk_digest *digest);
/* Copies (reflink where it can) a file in, hashing the copy. -EAGAIN when the file changed while it was read. */
int dk_objects_put_file(struct dk_objects *objects, const char *path, struct dk_digest *ret, uint64_t *ret_size,
                        struct dk_error *error);
/* The same digest, and nothing is kept. */
int dk_objects_hash_file(const char *path, struct dk_digest *ret, uint64_t *ret_size, struct dk_error *error);
/* Opens an object and says its size. -ENOENT names it. */
int dk_objects_open_one(const struct dk_objects *objects, const struct dk_digest *digest, int *ret_fd,
                        uint64_t *ret_size, struct dk_error *error);
int dk_objects_read(const struct dk_objects *objects, const struct dk_digest *digest, size_t max, struct dk_buf *out,
                    struct dk_error *error);
bool dk_objects_starts_with(const struct dk_objects *objects, const struct dk_digest *digest, const char *text);
/* Writes an object out as a file (mode 0644), or a directory manifest as a tree, whole or not at all. -EBADMSG: its
 * content is not what its name says. What is at `path` is -EEXIST, or with `replace` gives way when it is of the same
 * kind (else -EISDIR, -ENOTDIR), a directory with all that is in it. */
int dk_objects_export(const struct dk_objects *objects, const struct dk_digest *digest, bool is_dir, const char *path,
                      bool replace, struct dk_error *error);
/* All that was added until now is durable; also records when that was, for dk_objects_settle. Whoever records a digest
 * of something that was added syncs first, or it can be had again. */
int dk_objects_sync(struct dk_objects *objects, struct dk_error *error);
/* For who opens them for writing, before anybody looks for one: in a new boot, objects that came after the last sync of
 * an earlier one are read, and removed when a power loss left them with another content than their name says.
 * *ret_since_unix_ns: the time of that sync, so that the caller can see to what else was written then, and call
 * dk_objects_sync when it has; UINT64_MAX: nothing is in doubt. Times are the wall clock's: what was made after it was
 * set back is not doubted. */
int dk_objects_settle(struct dk_objects *objects, uint64_t *ret_since_unix_ns, struct dk_error *error);
bool dk_objects_is_unsure(const struct stat *st, uint64_t since_unix_ns); /* was it made or renamed after that? */
/* Reads the object and compares; -EBADMSG when its content is not what its name says. */
int dk_objects_verify(const struct dk_objects *objects, const struct dk_digest *digest, struct dk_error *error);

/* Everything in the objects' folder, in no order, until fn returns non-zero (which is then returned). fn may remove the
 * file. */
enum dk_object_kind { DK_OBJECT, DK_OBJECT_TMP, DK_OBJECT_STRAY };
struct dk_object_file {
  enum dk_object_kind kind;
  const char *name;        /* relative to the root: "ab/cdef...", "tmp/..." */
  struct dk_digest digest; /* of an OBJECT: what its name says */
  struct stat st;
};
typedef int dk_objects_each_fn(void *ctx, const struct dk_object_file *file);
int dk_objects_each(const struct dk_objects *objects, dk_objects_each_fn *fn, void *ctx, struct dk_error *error);

/* The canonical form of a directory, one object. Text: the line "dkrun directory 1\n", then an entry each, in byte
 * order of path: "f <hex digest> <size> <path>\0", "x ..." (executable), "l <target>\0<path>\0" (relative symlink that
 * stays inside), "d <path>\0" (empty directory). Paths are relative, without "." or ".." parts. An empty directory is
 * the first line alone. A link's target goes up only at its front and never above the root; no entry lies below another
 * one. */
#define DK_MANIFEST_HEAD "dkrun directory 1\n"
#define DK_MANIFEST_MAX (1u << 30) /* bytes */
struct dk_manifest_entry {
  char kind;
  struct dk_digest digest;
  uint64_t size;
  const char *path, *target; /* parsed: pointing into the manifest's bytes */
};
/* *ret is dk_freed by the caller. -EBADMSG for all that is not exactly this form. */
int dk_manifest_parse(const void *data, size_t len, struct dk_manifest_entry **ret, uint32_t *ret_n,
                      struct dk_error *error);
/* How the files of a directory get their digests. */
struct dk_dir_reader {
  int (*file)(void *ctx, const char *path, const struct stat *st, struct dk_digest *ret, uint64_t *ret_size,
              struct dk_error *error);
  /* NULL, or told of each directory after it was read; `st` is from before, at the time `since_unix_ns`. */
  void (*dir)(void *ctx, const char *path, const struct stat *st, uint64_t since_unix_ns);
  void *ctx;
};
/* The manifest of a directory, below which there are only files, directories, and links that stay inside (-EINVAL with
 * words). Appends to `out`. */
int dk_manifest_of_dir(const char *path, const struct dk_dir_reader *reader, struct dk_buf *out,
                       struct dk_error *error);
/* The same, and everything in it becomes objects; *ret is the manifest's digest. */
int dk_objects_put_dir(struct dk_objects *objects, const char *path, struct dk_digest *ret, struct dk_error *error);
/* Writes the first line before the first entry. The caller adds entries in order and sees to the rules above. */
void dk_manifest_add(struct dk_buf *out, const struct dk_manifest_entry *entry);

#endif

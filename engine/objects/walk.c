/* What lies in the objects' folder: objects, files that are being written (tmp/), and what does not belong there. */
#include "engine/objects/object.h"
#include "engine/objects/private.h"
#include "engine/sys/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct walk {
  const struct dk_objects *objects;
  dk_objects_each_fn *fn;
  void *ctx;
  struct dk_error *error;
};

static bool is_hex(const char *text, size_t len) {
  return strspn(text, "0123456789abcdef") == len && text[len] == '\0';
}

/* "ab" and 62 more digits. */
static bool parse_name(const char *folder, const char *name, struct dk_digest *ret) {
  char hex[DK_DIGEST_HEX + 1];
  if (!is_hex(folder, 2) || !is_hex(name, DK_DIGEST_HEX - 2)) return false;
  snprintf(hex, sizeof hex, "%s%s", folder, name);
  return dk_digest_parse(hex, DK_DIGEST_HEX, ret) == 0;
}

static int give(const struct walk *walk, int dir, const char *folder, const char *name) {
  struct dk_object_file file = {.kind = DK_OBJECT_STRAY};
  char path[600];
  if (*folder == '\0' && strncmp(name, DK_OBJECTS_SYNCED, strlen(DK_OBJECTS_SYNCED)) == 0) return 0;
  if (fstatat(dir, name, &file.st, AT_SYMLINK_NOFOLLOW) != 0) return 0; /* gone meanwhile */
  snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name);
  file.name = path;
  if (S_ISREG(file.st.st_mode) && parse_name(folder, name, &file.digest))
    file.kind = DK_OBJECT;
  else if (S_ISREG(file.st.st_mode) && strcmp(folder, "tmp") == 0)
    file.kind = DK_OBJECT_TMP;
  return walk->fn(walk->ctx, &file);
}

static int walk_folder(const struct walk *walk, const char *folder) {
  int fd = openat(walk->objects->fd, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  int err = dir ? 0 : -errno;
  if (err) {
    if (fd >= 0) close(fd);
    return err == -ENOENT ? 0 : dk_error_system(walk->error, err, "reading %s/%s", walk->objects->root, folder);
  }
  for (struct dirent *entry; err == 0;) {
    err = dk_fs_next_entry(dir, &entry);
    if (err) dk_error_system(walk->error, err, "reading %s/%s", walk->objects->root, folder);
    if (err || !entry) break;
    bool is_folder = *folder == '\0' && (is_hex(entry->d_name, 2) || strcmp(entry->d_name, "tmp") == 0);
    err = is_folder ? walk_folder(walk, entry->d_name) : give(walk, fd, folder, entry->d_name);
  }
  closedir(dir);
  return err;
}

int dk_objects_each(const struct dk_objects *objects, dk_objects_each_fn *fn, void *ctx, struct dk_error *error) {
  const struct walk walk = {objects, fn, ctx, error};
  return walk_folder(&walk, "");
}

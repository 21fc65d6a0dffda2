/* After a power loss: a file can have its name, its size and its seal, and not its content, when the system had not
 * written that yet. What was synced is whole; so it is enough to read what came after the last sync before this boot.
 *
 * That time is kept in the target of the symbolic link `synced` (one step to replace, and no file among the files):
 * "<boot> <unix ns> <folder>", the last one so that a copy, whose files are all younger, is not read from end to
 * end. */
#include "engine/objects/object.h"
#include "engine/objects/private.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 64

struct mark {
  uint64_t boot, unix_ns, folder;
};

static int here(const struct dk_objects *objects, struct mark *ret) {
  uint8_t boot[16];
  struct dk_fs_identity is;
  int err = dk_fs_identify(objects->fd, &is);
  if (err) return err;
  (void)dk_proc_boot_id(boot); /* not to be read: zeros, as it will be the next time */
  memcpy(&ret->boot, boot, sizeof ret->boot);
  ret->folder = is.fs ^ is.ino;
  ret->unix_ns = dk_unix_ns();
  return 0;
}

static bool read_mark(const struct dk_objects *objects, struct mark *ret) {
  char text[TEXT_MAX];
  ssize_t n = readlinkat(objects->fd, DK_OBJECTS_SYNCED, text, sizeof text - 1);
  if (n < 0) return false;
  text[n] = '\0';
  return sscanf(text, "%" SCNx64 " %" SCNu64 " %" SCNx64, &ret->boot, &ret->unix_ns, &ret->folder) == 3;
}

int dk_objects_sync(struct dk_objects *objects, struct dk_error *error) {
  struct mark mark = {0};
  char text[TEXT_MAX];
  int err = here(objects, &mark); /* the time before: what comes meanwhile may not be in it */
  if (syncfs(objects->fd) != 0)
    return dk_error_system(error, -errno, "writing the objects in %s to disk", objects->root);
  snprintf(text, sizeof text, "%016" PRIx64 " %" PRIu64 " %016" PRIx64, mark.boot, mark.unix_ns, mark.folder);
  (void)unlinkat(objects->fd, DK_OBJECTS_SYNCED ".new", 0);
  /* Not done (a full disk): an earlier mark only makes more be read. */
  if (err == 0 && symlinkat(text, objects->fd, DK_OBJECTS_SYNCED ".new") == 0)
    (void)renameat(objects->fd, DK_OBJECTS_SYNCED ".new", objects->fd, DK_OBJECTS_SYNCED);
  return 0;
}

struct settle {
  struct dk_objects *objects;
  uint64_t since;
};

static int look(void *ctx, const struct dk_object_file *file) {
  const struct settle *settle = ctx;
  if (file->kind != DK_OBJECT || !dk_objects_is_unsure(&file->st, settle->since)) return 0;
  if (dk_objects_verify(settle->objects, &file->digest, NULL) == -EBADMSG) unlinkat(settle->objects->fd, file->name, 0);
  return 0;
}

bool dk_objects_is_unsure(const struct stat *st, uint64_t since_unix_ns) {
  uint64_t changed = (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec;
  return changed + DK_OBJECTS_CLOCK_NS >= since_unix_ns;
}

int dk_objects_settle(struct dk_objects *objects, uint64_t *ret_since_unix_ns, struct dk_error *error) {
  struct mark mark, now;
  *ret_since_unix_ns = UINT64_MAX;
  int err = here(objects, &now);
  if (err) return dk_error_system(error, err, "reading %s", objects->root);
  bool is_known = read_mark(objects, &mark) && mark.folder == now.folder;
  if (!is_known || mark.boot == now.boot) return is_known ? 0 : dk_objects_sync(objects, error);
  *ret_since_unix_ns = mark.unix_ns;
  return dk_objects_each(objects, look, &(struct settle){objects, mark.unix_ns}, error);
}

/* Objects and code trees: what lies there against what its name says. */
#include "engine/drive/fsck_priv.h"
#include "engine/source/keep.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define UNFINISHED_S 3600

/* As the key of a task knows an input that is no list (lang/plan/key.c). */
static int add_unmarked(struct dk_fsck *fsck, const struct dk_digest *content) {
  struct dk_digest part;
  dk_digest_of(content->bytes, DK_DIGEST_SIZE, &part);
  return dk_uses_add(&fsck->unmarked, &part, 0, 0);
}

static bool is_unmarked(const struct dk_fsck *fsck, const struct dk_digest *content) {
  struct dk_digest part;
  dk_digest_of(content->bytes, DK_DIGEST_SIZE, &part);
  return dk_uses_find(&fsck->unmarked, &part) != NULL;
}

const char *dk_fsck_bad_input(const struct dk_fsck *fsck, const struct dk_saved *saved) {
  for (uint32_t i = 0; i < saved->n_parts; i++)
    if (strncmp(saved->parts[i].name, "input ", 6) == 0 && dk_uses_find(&fsck->unmarked, &saved->parts[i].digest))
      return saved->parts[i].name;
  return NULL;
}

static int check_one(struct dk_fsck *fsck, const struct dk_object_file *file) {
  fsck->sum->objects++;
  bool is_writable = file->st.st_mode & 0222;
  if (fsck->options->quick && dk_fs_is_sealed(&file->st)) return 0;
  int err = dk_objects_verify(&fsck->folder.objects, &file->digest, NULL);
  if (err == -ENOENT) return 0; /* removed meanwhile */
  if (err == 0 && !is_writable) return 0;
  if (err == 0) { /* content and all: only the mark is wrong */
    dk_fsck_found(fsck, true, "it is made read-only again", "object %s can be written to (mode %04o)", file->name,
                  (unsigned)(file->st.st_mode & 07777));
    if (fsck->options->repair && fchmodat(fsck->folder.objects.fd, file->name, 0444, 0) != 0)
      return dk_error_system(fsck->error, -errno, "making the object %s read-only", file->name);
    return 0;
  }
  dk_fsck_found(fsck, true, "it is moved away; what made it runs again when it is needed",
                err == -EBADMSG ? "object %s is altered: its content is not what its name says"
                                : "object %s cannot be read",
                file->name);
  err = dk_uses_add(&fsck->bad, &file->digest, 0, 0);
  return err == 0 && dk_fs_is_sealed(&file->st) ? add_unmarked(fsck, &file->digest) : err;
}

static int move_object(struct dk_fsck *fsck, const char *name) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/%s", fsck->folder.objects.root, name);
  return dk_buf_ok(&path) ? dk_fsck_move_away(fsck, path.data) : -ENOMEM;
}

static int look(void *ctx, const struct dk_object_file *file) {
  struct dk_fsck *fsck = ctx;
  if (file->kind == DK_OBJECT) return check_one(fsck, file);
  if (file->kind == DK_OBJECT_TMP && (uint64_t)file->st.st_mtime + UNFINISHED_S > dk_unix_ns() / 1000000000u)
    return 0; /* it is being written */
  dk_fsck_found(fsck, true, "it is moved away", "objects/%s %s", file->name,
                file->kind == DK_OBJECT_TMP ? "was never finished" : "does not belong there");
  return fsck->options->repair ? move_object(fsck, file->name) : 0;
}

/* A directory with such a file in it. */
static int look_inside(void *ctx, const struct dk_object_file *file) {
  struct dk_fsck *fsck = ctx;
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_manifest_entry *entries;
  uint32_t n;
  if (file->kind != DK_OBJECT || !dk_objects_starts_with(&fsck->folder.objects, &file->digest, DK_MANIFEST_HEAD) ||
      dk_objects_read(&fsck->folder.objects, &file->digest, DK_MANIFEST_MAX, &bytes, NULL) ||
      dk_manifest_parse(bytes.data, bytes.len, &entries, &n, NULL))
    return 0;
  bool is_in = false;
  for (uint32_t i = 0; i < n && !is_in; i++)
    is_in = (entries[i].kind == 'f' || entries[i].kind == 'x') && is_unmarked(fsck, &entries[i].digest);
  dk_free(entries);
  return is_in ? add_unmarked(fsck, &file->digest) : 0;
}

int dk_fsck_objects(struct dk_fsck *fsck) {
  int err = dk_objects_each(&fsck->folder.objects, look, fsck, fsck->error);
  if (err || fsck->unmarked.n == 0) return err;
  return dk_objects_each(&fsck->folder.objects, look_inside, fsck, fsck->error);
}

int dk_fsck_move_bad(struct dk_fsck *fsck) {
  int err = 0;
  for (uint32_t i = 0; i < fsck->bad.n && err == 0 && fsck->options->repair; i++) {
    dk_autobuf path = DK_BUF_INIT;
    dk_objects_path(&fsck->folder.objects, &fsck->bad.items[i].name, &path);
    err = dk_buf_ok(&path) ? dk_fsck_move_away(fsck, path.data) : -ENOMEM;
  }
  return err;
}

static const char *check_directory(struct dk_fsck *fsck, const struct dk_digest *digest) {
  static char words[200];
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_manifest_entry *entries;
  const char *wrong = NULL;
  uint32_t n;
  if (dk_objects_read(&fsck->folder.objects, digest, DK_MANIFEST_MAX, &bytes, NULL))
    return "its list of files is damaged";
  if (dk_manifest_parse(bytes.data, bytes.len, &entries, &n, NULL)) return "its list of files is not well formed";
  for (uint32_t i = 0; i < n && !wrong; i++) {
    if (entries[i].kind != 'f' && entries[i].kind != 'x') continue;
    const char *why = dk_fsck_object(fsck, &entries[i].digest, false, entries[i].size);
    if (!why) continue;
    snprintf(words, sizeof words, "%.120s in it %s", entries[i].path, why);
    wrong = words;
  }
  dk_free(entries);
  return wrong;
}

const char *dk_fsck_object(struct dk_fsck *fsck, const struct dk_digest *digest, bool is_dir, uint64_t size) {
  struct stat st;
  dk_autobuf path = DK_BUF_INIT;
  dk_objects_path(&fsck->folder.objects, digest, &path);
  if (!dk_buf_ok(&path) || lstat(path.data, &st) != 0) return "is missing";
  if (dk_uses_find(&fsck->bad, digest)) return "is altered";
  if (!is_dir && (uint64_t)st.st_size != size) return "has another size";
  return is_dir ? check_directory(fsck, digest) : NULL;
}

/* Trees. */

static int check_tree(struct dk_fsck *fsck, const char *name) {
  struct dk_digest named, is;
  struct dk_error why = {.text = ""};
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/%s", fsck->folder.trees, name);
  if (!dk_buf_ok(&path)) return -ENOMEM;
  fsck->sum->trees++;
  if (dk_digest_parse(name, strlen(name), &named)) {
    if (strstr(name, ".dkrun-"))
      return 0; /* it is being made, or was left by a process that was killed: gc removes it */
    dk_fsck_found(fsck, true, "it is moved away", "trees/%s does not belong there", name);
  } else {
    int err = dk_source_tree_digest(path.data, &is, &why);
    if (err == -ENOMEM) return err;
    if (err == 0 && dk_digest_equal(&named, &is)) return 0;
    dk_fsck_found(fsck, true, "it is moved away and made again from the pinned commit when a task needs it",
                  "code tree trees/%.12s... is altered%s%s", name, err ? ": " : "", err ? why.text : "");
  }
  return fsck->options->repair ? dk_fsck_move_away(fsck, path.data) : 0;
}

int dk_fsck_trees(struct dk_fsck *fsck) {
  DIR *dir = opendir(fsck->folder.trees);
  int err = dir || errno == ENOENT ? 0 : dk_error_system(fsck->error, -errno, "reading %s", fsck->folder.trees);
  while (dir && err == 0) {
    struct dirent *entry;
    err = dk_fs_next_entry(dir, &entry);
    if (err || !entry) break;
    err = check_tree(fsck, entry->d_name);
  }
  if (dir) closedir(dir);
  return err;
}

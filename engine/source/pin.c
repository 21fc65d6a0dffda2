/* dkrun's own repository (`.dkrun/git`, bare) and copying commits into it.
 *
 * Keeps true: an object is there only when everything that it names is (children are written and synced first), so that
 * a tree that is found need not be looked into. A few objects are written loose, many as one pack without deltas. A
 * commit's parents are not copied: the file `shallow` says so to git. */
#include "engine/source/git.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"
#include "lang/base/map.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOSE_MAX 32 /* objects; each costs two syncs, a pack three in all but one more file for ever */
#define SHALLOW_MAX (64u << 20)
#define NO_DELTAS 1 /* bytes: core.bigFileThreshold, above which libgit2 looks for no deltas */

/* Lock files that a killed dkrun left: whoever writes here holds the state folder's lock, so nobody owns them. */
static void remove_stale_locks(const char *git, const char *below) {
  dk_autobuf dir = DK_BUF_INIT;
  dk_buf_printf(&dir, "%s/%s", git, below);
  DIR *handle = dk_buf_ok(&dir) ? opendir(dir.data) : NULL;
  if (!handle) return;
  for (struct dirent *entry; (entry = readdir(handle));) {
    size_t len = strlen(entry->d_name);
    if (len > 5 && strcmp(entry->d_name + len - 5, ".lock") == 0) unlinkat(dirfd(handle), entry->d_name, 0);
  }
  closedir(handle);
}

int dk_pin_open(const char *state, git_repository **ret, struct dk_error *error) {
  git_repository_init_options options;
  git_config *config = NULL;
  dk_autobuf path = DK_BUF_INIT;
  *ret = NULL;
  if (mkdir(state, 0700) != 0 && errno != EEXIST) return dk_error_system(error, -errno, "making %s", state);
  dk_buf_printf(&path, "%s/git", state);
  if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "opening %s", state);
  remove_stale_locks(path.data, ".");
  remove_stale_locks(path.data, "refs/dkrun");
  int rc = git_repository_open_bare(ret, path.data);
  if (rc == 0) return 0;
  git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
  options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
  options.description = "What dkrun's runs were made from. Removed with the folder around it.\n";
  rc = git_repository_init_ext(ret, path.data, &options);
  if (rc == 0) rc = git_repository_config(&config, *ret);
  if (rc == 0) rc = git_config_set_int64(config, "core.bigfilethreshold", NO_DELTAS);
  if (rc == 0) rc = git_config_set_int32(config, "gc.auto", 0);
  git_config_free(config);
  if (rc == 0) return 0;
  int code = dk_git_fail(rc, error, "making %s", path.data);
  git_repository_free(*ret);
  *ret = NULL;
  return code;
}

/* Objects to copy, each after all that it names. */
struct list {
  struct dk_odb *odb;
  git_oid *ids;
  uint32_t n, cap;
  struct dk_map map;
};

static bool is_id(const void *ctx, uint32_t item, const void *key) {
  return git_oid_equal(&((const struct list *)ctx)->ids[item], key);
}

static uint64_t hash_of(const git_oid *id) {
  uint64_t hash;
  memcpy(&hash, id->id, sizeof hash);
  return hash;
}

/* Is it in dkrun's repository, or on the list already? */
static bool is_known(const struct list *list, const git_oid *id) {
  if (dk_map_find(&list->map, hash_of(id), is_id, list, id) != DK_MAP_NONE) return true;
  return git_odb_exists_ext(list->odb->own, id, GIT_ODB_LOOKUP_NO_REFRESH);
}

static int add(struct list *list, const git_oid *id) {
  if (!dk_grow(list->ids, list->n, list->cap)) return -ENOMEM;
  if (dk_map_add(&list->map, hash_of(id), list->n)) return -ENOMEM;
  git_oid_cpy(&list->ids[list->n++], id);
  return 0;
}

static int add_tree(struct list *list, const git_oid *id, struct dk_error *error) {
  git_tree *tree;
  if (is_known(list, id)) return 0;
  int rc = git_tree_lookup(&tree, list->odb->view, id);
  if (rc) return dk_git_fail(rc, error, "reading a tree");
  int err = 0;
  for (size_t i = 0; err == 0 && i < git_tree_entrycount(tree); i++) {
    const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
    const git_oid *child = git_tree_entry_id(entry);
    git_object_t type = git_tree_entry_type(entry);
    if (type == GIT_OBJECT_TREE)
      err = add_tree(list, child, error);
    else if (type == GIT_OBJECT_BLOB && !is_known(list, child)) /* a submodule's commit is not in this repository */
      err = add(list, child);
  }
  git_tree_free(tree);
  if (err == 0) err = add(list, id);
  return err == -ENOMEM ? dk_error_system(error, err, "reading a tree") : err;
}

static int add_commit(struct list *list, const git_oid *id, struct dk_error *error) {
  git_commit *commit;
  if (is_known(list, id)) return 0;
  int rc = git_commit_lookup(&commit, list->odb->view, id);
  if (rc) return dk_git_fail(rc, error, "reading a commit");
  int err = add_tree(list, git_commit_tree_id(commit), error);
  if (err == 0 && add(list, id)) err = dk_error_system(error, -ENOMEM, "reading a commit");
  git_commit_free(commit);
  return err;
}

static int write_loose(struct list *list, struct dk_error *error) {
  int rc = 0;
  for (uint32_t i = 0; i < list->n && rc == 0; i++) {
    git_odb_object *object;
    git_oid id;
    rc = git_odb_read(&object, list->odb->all, &list->ids[i]);
    if (rc) break;
    rc = git_odb_write(&id, list->odb->own, git_odb_object_data(object), git_odb_object_size(object),
                       git_odb_object_type(object));
    git_odb_object_free(object);
  }
  return rc ? dk_git_fail(rc, error, "copying objects of the git repository") : 0;
}

static int write_pack(struct list *list, git_repository *own, struct dk_error *error) {
  git_packbuilder *builder = NULL;
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/objects/pack", git_repository_path(own));
  if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "copying objects of the git repository");
  int rc = git_packbuilder_new(&builder, list->odb->view);
  if (rc == 0) git_packbuilder_set_threads(builder, 1);
  for (uint32_t i = 0; i < list->n && rc == 0; i++) rc = git_packbuilder_insert(builder, &list->ids[i], NULL);
  if (rc == 0) rc = git_packbuilder_write(builder, path.data, 0444, NULL, NULL);
  if (rc == 0) rc = git_odb_refresh(list->odb->own);
  git_packbuilder_free(builder);
  return rc ? dk_git_fail(rc, error, "copying objects of the git repository") : 0;
}

/* Says to git's own commands that the history ends here. */
static int write_shallow(git_repository *own, const git_oid *commit, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_autobuf text = DK_BUF_INIT;
  char hex[42];
  git_oid_tostr(hex, sizeof hex, commit);
  dk_buf_printf(&path, "%s/shallow", git_repository_path(own));
  if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "writing `shallow`");
  int err = dk_fs_read(path.data, SHALLOW_MAX, &text, NULL);
  if (err && err != -ENOENT) return dk_error_system(error, err, "reading %s", path.data);
  if (strstr(dk_buf_text(&text), hex)) return 0;
  dk_buf_add_text(&text, hex);
  dk_buf_add_char(&text, '\n');
  if (!dk_buf_ok(&text)) return dk_error_system(error, -ENOMEM, "writing `shallow`");
  return dk_fs_write(path.data, text.data, text.len, 0644, false, error);
}

static int write_reference(git_repository *own, const char *name, const git_oid *commit, struct dk_error *error) {
  git_reference *reference = NULL;
  int rc = git_reference_create(&reference, own, name, commit, 1, NULL);
  git_reference_free(reference);
  return rc ? dk_git_fail(rc, error, "writing %s", name) : 0;
}

int dk_pin_commits(git_repository *own, struct dk_odb *odb, const git_oid *commits, unsigned n,
                   struct dk_error *error) {
  char hex[41], name[64];
  git_oid there;
  git_oid_tostr(hex, sizeof hex, &commits[n - 1]);
  snprintf(name, sizeof name, "refs/dkrun/%s", hex);
  if (git_reference_name_to_id(&there, own, name) == 0 && git_oid_equal(&there, &commits[n - 1])) return 0;
  struct list list = {.odb = odb};
  dk_map_init(&list.map, NULL);
  int err = 0;
  for (unsigned i = 0; i < n && err == 0; i++) err = add_commit(&list, &commits[i], error);
  if (err == 0) err = list.n <= LOOSE_MAX ? write_loose(&list, error) : write_pack(&list, own, error);
  if (err == 0) err = write_shallow(own, &commits[0], error);
  if (err == 0) err = write_reference(own, name, &commits[n - 1], error);
  dk_map_finish(&list.map);
  dk_free(list.ids);
  return err;
}

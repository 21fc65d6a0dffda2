/* Files and directories of the repository as inputs, on a real file system. A directory has the digest that the agent
 * gives the same tree: what a task wrote and what is read from the repository are one content. */
#include "engine/agent/tree.h"
#include "engine/drive/file.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];
static struct dk_objects objects;

static const char *at(const char *name) {
  static char path[4][512];
  static unsigned i;
  i = (i + 1) % 4;
  snprintf(path[i], sizeof path[i], "%s/%s", root, name);
  return path[i];
}

static int set_up(void **state) {
  (void)state;
  strcpy(root, "/tmp/dk-file-XXXXXX");
  assert_non_null(mkdtemp(root));
  assert_int_equal(dk_fs_mkdirs(at("in/sub"), 0755, NULL), 0);
  assert_int_equal(dk_objects_open(&objects, at("objects"), true, NULL), 0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  dk_objects_close(&objects);
  return dk_fs_remove_tree(root, NULL);
}

static void put(const char *name, const char *text, mode_t mode) {
  assert_int_equal(dk_fs_write(at(name), text, strlen(text), mode, false, NULL), 0);
}

static int digest(const char *path, bool dry, struct dk_digest *ret, bool *ret_is_dir, struct dk_error *error) {
  struct dk_lookup_state state = {.with = {.root = root, .objects = &objects, .dry = dry}, .extra = DK_BATCH_INIT};
  dk_map_init(&state.files, NULL);
  int r = dk_file_digest(&state, path, ret, ret_is_dir, error);
  dk_file_facts_finish(&state);
  dk_batch_finish(&state.extra);
  return r;
}

static void put_tree(void) {
  assert_int_equal(dk_fs_mkdirs(at("in/none/at/all"), 0755, NULL), 0);
  put("in/b", "two", 0644);
  put("in/sub/x", "three", 0755);
  put("in/sub.y", "", 0600); /* before sub/x in bytes, behind it in a walk */
  put("in/sub/\n\xff", "odd", 0644);
  assert_int_equal(symlink("../b", at("in/sub/up")), 0);
  assert_int_equal(symlink("nothing/there", at("in/dangling")), 0);
}

static void same_as_the_agent(void **state) {
  struct dk_digest dry, kept;
  struct dk_kept theirs = {0};
  struct dk_blobs blobs = {.objects = {.fd = -1}};
  struct dk_error error = {0};
  bool is_dir = false;

  (void)state;
  put_tree();
  assert_int_equal(digest("in", true, &dry, &is_dir, &error), 0);
  assert_true(is_dir);
  assert_false(dk_objects_has(&objects, &dry, NULL));
  assert_int_equal(digest("in", false, &kept, &is_dir, &error), 0);
  assert_true(dk_objects_has(&objects, &kept, NULL));
  assert_true(dk_digest_equal(&dry, &kept));

  assert_int_equal(dk_blobs_open(&blobs, at("objects"), &error), 0);
  int dir = open(at("in"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true(dir >= 0);
  assert_int_equal(dk_tree_keep(&blobs, dir, &theirs, &error), 0);
  close(dir);
  dk_blobs_close(&blobs);
  assert_true(dk_digest_equal(&dry, &theirs.digest));
  /* And it can be made again from what was kept: sizes are those of the objects. */
  dk_autobuf manifest = DK_BUF_INIT;
  struct dk_manifest_entry *entries;
  uint32_t n, files = 0;
  assert_int_equal(dk_objects_read(&objects, &kept, 1 << 20, &manifest, &error), 0);
  assert_int_equal(dk_manifest_parse(manifest.data, manifest.len, &entries, &n, &error), 0);
  for (uint32_t i = 0; i < n; i++) {
    uint64_t size;
    if (entries[i].kind != 'f' && entries[i].kind != 'x') continue;
    assert_true(dk_objects_has(&objects, &entries[i].digest, &size));
    assert_int_equal(entries[i].size, size);
    files++;
  }
  assert_int_equal(files, 4);
  dk_free(entries);
  assert_int_equal(dk_objects_export(&objects, &kept, true, at("out"), false, &error), 0);
  assert_int_equal(access(at("out/sub/x"), X_OK), 0);
  assert_int_equal(access(at("out/none/at/all"), F_OK), 0);
}

static void empty_directory(void **state) {
  struct dk_digest got, want;
  bool is_dir = false;

  (void)state;
  assert_int_equal(rmdir(at("in/sub")), 0);
  assert_int_equal(digest("in", true, &got, &is_dir, NULL), 0);
  assert_int_equal(dk_content_of(DK_MANIFEST_HEAD, strlen(DK_MANIFEST_HEAD), &want), 0);
  assert_true(dk_digest_equal(&got, &want));
}

static void links(void **state) {
  static const char *const good[] = {".", "sub", "sub/x", "./b"};
  static const char *const bad[] = {"sub/../x", "..", "../up", "/etc/passwd", "sub/../../up"};
  struct dk_digest ret;
  bool is_dir;

  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_int_equal(symlink(good[i], at("in/l")), 0);
    assert_int_equal(digest("in", false, &ret, &is_dir, NULL), 0);
    /* What is let in must also come out. */
    char out[16];
    snprintf(out, sizeof out, "out%zu", i);
    assert_int_equal(dk_objects_export(&objects, &ret, true, at(out), false, NULL), 0);
    assert_int_equal(unlink(at("in/l")), 0);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct dk_error error = {0};
    assert_int_equal(symlink(bad[i], at("in/l")), 0);
    int r = digest("in", i % 2 == 0, &ret, &is_dir, &error);
    if (r != -EINVAL) fail_msg("l -> %s gives %d", bad[i], r);
    assert_non_null(strstr(error.text, bad[i]));
    assert_non_null(strstr(error.text, "in/l is a symbolic link"));
    assert_non_null(strstr(error.text, "help:"));
    assert_int_equal(unlink(at("in/l")), 0);
  }
}

static void refused(void **state) {
  struct dk_error error = {0};
  struct dk_digest ret;
  bool is_dir;

  (void)state;
  assert_int_equal(digest("no", true, &ret, &is_dir, &error), -ENOENT);
  assert_non_null(strstr(error.text, "there is no file `no`"));
  assert_int_equal(mkfifo(at("in/f"), 0600), 0);
  assert_int_equal(digest("in/f", true, &ret, &is_dir, &error), -EINVAL);
  assert_int_equal(digest("in", true, &ret, &is_dir, &error), -EINVAL);
  assert_non_null(strstr(error.text, "in/f is no file, directory or symbolic link"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(same_as_the_agent), TEST(empty_directory), TEST(links), TEST(refused)};
  return cmocka_run_group_tests_name("drive file", tests, NULL, NULL);
}

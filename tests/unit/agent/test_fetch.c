/* What orders wait for, by itself: with a disk that fails, and without memory. */
#include "engine/agent/fetch.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "tests/support/shim/shim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[1024];
static struct dk_fetch *fetch;
static size_t n_said;
static uint64_t last_offset;
static struct dk_digest last;

static bool say(void *ctx, const struct dk_digest *digest, uint64_t offset) {
  assert_ptr_equal(ctx, root);
  n_said++;
  last = *digest;
  last_offset = offset;
  return true;
}

static bool set_up_fetch(void) {
  char path[1100];
  snprintf(path, sizeof path, "%s/objects", root);
  if (dk_fetch_create(&fetch, say, root) < 0) return false;
  return dk_fetch_open(fetch, path, NULL) == 0;
}

static int set_up(void **state) {
  (void)state;
  snprintf(root, sizeof root, "%s/dkagent-fetch-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  assert_non_null(mkdtemp(root));
  n_said = 0;
  assert_true(set_up_fetch());
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  dk_shim_arm(NULL);
  dk_alloc_fail_at(0);
  dk_fetch_destroy(fetch);
  fetch = NULL;
  return dk_fs_remove_tree(root, NULL);
}

static struct dk_digest digest_of(const void *data, size_t len) {
  struct dk_digest digest;
  assert_int_equal(dk_content_of(data, len, &digest), 0);
  return digest;
}

static int need(uint64_t n, const struct dk_digest *digest, bool is_dir) {
  struct dk_job_input input = {.place = (char *)"in", .digest = *digest, .is_dir = is_dir};
  struct dk_job job = {.inputs = &input, .n_inputs = 1, .is_remote = true};
  return dk_fetch_order(fetch, (struct dk_id){1, n}, &job);
}

static void work(void) {
  while (dk_fetch_work(fetch, 0)) continue;
}

/* The one fate that there is. */
static struct dk_fate fate(void) {
  struct dk_fate is, other;
  assert_true(dk_fetch_next(fetch, &is));
  assert_false(dk_fetch_next(fetch, &other));
  return is;
}

static bool is_left(const struct dk_digest *digest) {
  char hex[DK_DIGEST_HEX + 1], path[1200];
  dk_digest_hex(digest, hex);
  snprintf(path, sizeof path, "%s/objects/tmp/%s", root, hex);
  return access(path, F_OK) == 0;
}

static void full_disk(void **state) {
  (void)state;
  static const char bytes[] = "some and some more";
  struct dk_digest digest = digest_of(bytes, 18), other = digest_of("other", 5);
  assert_int_equal(need(1, &digest, false), 0);
  assert_int_equal(need(2, &other, false), 0);
  dk_fetch_part(fetch, &digest, 0, 18, bytes, 4);
  assert_true(is_left(&digest));
  assert_int_equal(dk_shim_arm("write ENOSPC 1+"), 0);
  dk_fetch_part(fetch, &digest, 4, 18, bytes + 4, 14); /* half of it is written */
  struct dk_fate is = fate();
  assert_true(is.id.n == 1 && !is.is_here);
  assert_int_equal(is.reason, DK_REFUSED_DISK);
  assert_non_null(strstr(is.text, "No space left on device"));
  assert_false(is_left(&digest)); /* room for others */
  dk_shim_arm(NULL);
  /* It is not waited for any more; asked for again it comes. */
  dk_fetch_part(fetch, &digest, 0, 18, bytes, 18);
  assert_int_equal(need(3, &digest, false), 0);
  assert_true(dk_digest_equal(&last, &digest) && last_offset == 0);
  dk_fetch_part(fetch, &digest, 0, 18, bytes, 18);
  is = fate();
  assert_true(is.id.n == 3 && is.is_here);
  /* Its place in the objects cannot be had. */
  assert_int_equal(dk_shim_arm("renameat EIO 1+"), 0);
  dk_fetch_part(fetch, &other, 0, 5, "other", 5);
  is = fate();
  assert_true(is.id.n == 2 && !is.is_here);
  assert_int_equal(is.reason, DK_REFUSED_DISK);
  assert_false(is_left(&other));
}

static void read_only(void **state) {
  (void)state;
  struct dk_digest digest = digest_of("x", 1);
  assert_int_equal(need(1, &digest, false), 0);
  assert_int_equal(dk_shim_arm("open EROFS 1+"), 0);
  dk_fetch_part(fetch, &digest, 0, 1, "x", 1);
  struct dk_fate is = fate();
  assert_int_equal(is.reason, DK_REFUSED_DISK);
  assert_non_null(strstr(is.text, "Read-only file system"));
}

/* What an earlier transfer left is read a piece at a time, and asked for when it is known. */
static void reads_in_pieces(void **state) {
  (void)state;
  size_t len = 5u << 20;
  dk_autofree char *bytes = dk_calloc(len, 1);
  assert_non_null(bytes);
  struct dk_digest digest = digest_of(bytes, len);
  char hex[DK_DIGEST_HEX + 1], path[1200];
  dk_digest_hex(&digest, hex);
  snprintf(path, sizeof path, "%s/objects/tmp/%s", root, hex);
  assert_int_equal(dk_fs_write(path, bytes, len - 7, 0600, false, NULL), 0);
  assert_int_equal(need(1, &digest, false), 0);
  size_t rounds = 0;
  for (; dk_fetch_has_work(fetch); rounds++) {
    assert_int_equal(n_said, 0);
    dk_fetch_part(fetch, &digest, 0, len, bytes, 100); /* nobody asked */
    dk_fetch_work(fetch, 0);
  }
  assert_true(rounds >= 5);
  assert_true(n_said == 1 && last_offset == len - 7);
  dk_fetch_say(fetch); /* was said */
  assert_int_equal(n_said, 1);
  dk_fetch_new_session(fetch);
  dk_fetch_say(fetch);
  assert_true(n_said == 2 && last_offset == len - 7);
  /* Somebody cuts it. */
  assert_int_equal(truncate(path, 9), 0);
  dk_fetch_part(fetch, &digest, len - 7, len, bytes + len - 7, 7);
  assert_true(n_said == 3 && last_offset == 0);
  for (size_t at = 0; at < len; at += DK_PART_MAX) dk_fetch_part(fetch, &digest, at, len, bytes + at, DK_PART_MAX);
  struct dk_fate is = fate();
  assert_true(is.is_here);
}

static void make_manifest(struct dk_buf *ret, const char *content) {
  struct dk_manifest_entry entry = {.kind = 'f', .path = "a", .size = strlen(content)};
  entry.digest = digest_of(content, strlen(content));
  dk_buf_clear(ret);
  dk_buf_add_text(ret, DK_MANIFEST_HEAD);
  dk_manifest_add(ret, &entry);
  assert_true(dk_buf_ok(ret));
}

/* Sealed, and with another content than its name says. */
static void damaged_manifest(void **state) {
  (void)state;
  dk_autobuf manifest = DK_BUF_INIT;
  make_manifest(&manifest, "x");
  struct dk_digest tree = digest_of(manifest.data, manifest.len), file = digest_of("x", 1);
  assert_int_equal(need(1, &tree, true), 0);
  dk_fetch_part(fetch, &tree, 0, manifest.len, manifest.data, manifest.len);
  work();
  assert_true(dk_digest_equal(&last, &file));
  dk_fetch_forget(fetch, (struct dk_id){1, 1});
  dk_autobuf path = DK_BUF_INIT;
  dk_objects_path(dk_fetch_objects(fetch), &tree, &path);
  char command[2400];
  snprintf(command, sizeof command,
           "chmod u+w %s && printf y | dd of=%s bs=1 conv=notrunc 2>/dev/null && chmod 0444 %s && "
           "touch -d @1 %s",
           path.data, path.data, path.data, path.data);
  assert_int_equal(system(command), 0);
  assert_int_equal(need(2, &tree, true), 0);
  work();
  assert_true(dk_digest_equal(&last, &tree));
  dk_fetch_part(fetch, &tree, 0, manifest.len, manifest.data, manifest.len);
  work();
  dk_fetch_part(fetch, &file, 0, 1, "x", 1);
  struct dk_fate is = fate();
  assert_true(is.id.n == 2 && is.is_here);
}

/* Orders of files and directories come, leave and get what they want; the memory is short from the nth time on, or
 * that once. Whatever happens, each order that was taken gets one fate, and then nothing is left. */
static struct dk_digest file; /* of "x" */

static size_t try_all(uint64_t *ret_asked) {
  dk_autobuf manifest = DK_BUF_INIT;
  uint64_t taken = 0;
  size_t n_fates = 0;
  struct dk_digest both[2];
  struct dk_manifest_entry entry = {.kind = 'f', .path = "a", .size = 1, .digest = file};
  dk_buf_add_text(&manifest, DK_MANIFEST_HEAD);
  dk_manifest_add(&manifest, &entry);
  *ret_asked = UINT64_MAX;
  if (!dk_buf_ok(&manifest) || dk_content_of(manifest.data, manifest.len, &both[1]) < 0) return 0;
  both[0] = file;
  for (uint64_t n = 1; n <= 6; n++) {
    if (need(n, &both[n % 2], n % 2 != 0) == 0) taken++;
  }
  dk_fetch_forget(fetch, (struct dk_id){1, 1});
  struct dk_fate is;
  for (int round = 0; round < 3; round++) {
    dk_fetch_part(fetch, &both[1], 0, manifest.len, manifest.data, manifest.len);
    work();
    dk_fetch_part(fetch, &file, 0, 1, "x", 1);
    work();
  }
  for (; dk_fetch_next(fetch, &is); n_fates++) assert_true(is.id.n >= 1 && is.id.n <= 6);
  *ret_asked = dk_alloc_count();
  dk_alloc_fail_at(0);
  work();
  for (; dk_fetch_next(fetch, &is); n_fates++) continue;
  assert_true(n_fates <= taken && n_fates + 1 >= taken); /* the first left, if it was taken */
  return n_fates;
}

static void no_memory(void **state) {
  (void)state;
  file = digest_of("x", 1);
  for (int once = 0; once < 2; once++) {
    for (uint64_t n = 1;; n++) {
      dk_fetch_destroy(fetch);
      fetch = NULL;
      assert_int_equal(dk_fs_remove_tree(root, NULL), 0);
      assert_int_equal(mkdir(root, 0700), 0);
      assert_true(set_up_fetch());
      if (once)
        dk_alloc_fail_once(n);
      else
        dk_alloc_fail_at(n);
      uint64_t asked;
      size_t n_fates = try_all(&asked);
      dk_alloc_fail_at(0);
      if (asked >= n) continue;
      assert_int_equal(n_fates, 5); /* nothing failed */
      break;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      TEST(full_disk), TEST(read_only), TEST(reads_in_pieces), TEST(damaged_manifest), TEST(no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

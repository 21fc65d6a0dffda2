/* Objects on a real file system: putting, reading, damage, exports. */
#include "engine/objects/object.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char fx[256];
static struct dk_objects objects;

static void sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void sh(const char *format, ...) {
  char command[4096];
  va_list ap;
  int n = snprintf(command, sizeof command, "cd '%s' || exit 1; set -eu; ", fx);
  va_start(ap, format);
  vsnprintf(command + n, sizeof command - (size_t)n, format, ap);
  va_end(ap);
  if (system(command) != 0) fail_msg("script failed: %s", command);
}

static const char *path_of(const char *name) {
  static char paths[4][512];
  static unsigned next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", fx, name);
  return path;
}

static int setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(fx, sizeof fx, "%s/dk-objects-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(fx)) return -1;
  return dk_objects_open(&objects, path_of("objects"), true, NULL);
}

static int teardown(void **state) {
  (void)state;
  dk_objects_close(&objects);
  sh("chmod -R u+rwX . && find . -mindepth 1 -delete");
  return rmdir(fx);
}

static struct dk_digest put(const char *text) {
  struct dk_digest digest;
  struct dk_error error;
  if (dk_objects_put(&objects, text, strlen(text), &digest, &error)) fail_msg("%s", error.text);
  return digest;
}

static void test_put_and_read(void **state) {
  (void)state;
  struct dk_digest digest = put("content"), expected;
  dk_autobuf out = DK_BUF_INIT;
  uint64_t size;
  dk_content_of("content", 7, &expected);
  assert_true(dk_digest_equal(&digest, &expected));
  assert_true(dk_objects_has(&objects, &digest, &size));
  assert_int_equal(size, 7);
  assert_int_equal(dk_objects_read(&objects, &digest, 7, &out, NULL), 0);
  assert_string_equal(out.data, "content");
  assert_int_equal(dk_objects_read(&objects, &digest, 6, &out, NULL), -EFBIG);
  assert_int_equal(dk_objects_verify(&objects, &digest, NULL), 0);
  put("content");
  sh("test $(find objects -type f | wc -l) = 1 && test $(stat -c %%a objects/[0-9a-f][0-9a-f]/*) = 444");
  dk_objects_path(&objects, &digest, &out);
  assert_int_equal(access(out.data, R_OK), 0);
  memset(&digest, 0, sizeof digest);
  assert_false(dk_objects_has(&objects, &digest, NULL));
  assert_int_equal(dk_objects_read(&objects, &digest, 7, &out, NULL), -ENOENT);
  digest = put("");
  assert_int_equal(dk_objects_read(&objects, &digest, 0, &out, NULL), 0);
  assert_int_equal(dk_objects_sync(&objects, NULL), 0);
}

static void test_put_file(void **state) {
  (void)state;
  struct dk_digest digest, expected;
  uint64_t size;
  struct dk_error error;
  dk_autobuf out = DK_BUF_INIT;
  static char large[3 * DK_CONTENT_LEAF + 17];
  for (size_t i = 0; i < sizeof large; i++) large[i] = (char)(i * 7 + i / 4099);
  int fd = open(path_of("large"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_int_equal(write(fd, large, sizeof large), sizeof large);
  close(fd);
  dk_content_of(large, sizeof large, &expected);
  assert_int_equal(dk_objects_put_file(&objects, path_of("large"), &digest, &size, &error), 0);
  assert_true(dk_digest_equal(&digest, &expected));
  assert_int_equal(size, sizeof large);
  assert_int_equal(dk_objects_read(&objects, &digest, sizeof large, &out, NULL), 0);
  assert_memory_equal(out.data, large, sizeof large);
  sh("ln -s large link && mkfifo fifo && mkdir dir");
  assert_int_equal(dk_objects_put_file(&objects, path_of("link"), &digest, NULL, &error), 0);
  assert_int_equal(dk_objects_put_file(&objects, path_of("fifo"), &digest, NULL, &error), -EINVAL);
  assert_int_equal(dk_objects_put_file(&objects, path_of("dir"), &digest, NULL, &error), -EISDIR);
  assert_int_equal(dk_objects_put_file(&objects, path_of("none"), &digest, NULL, &error), -ENOENT);
  sh("test -z \"$(ls objects/tmp)\"");
}

static void test_hash_file(void **state) {
  (void)state;
  struct dk_digest digest, expected;
  uint64_t size = 0;
  struct dk_error error = {0};
  sh("printf 'some text' >file && mkfifo fifo && mkdir dir && : >empty");
  dk_content_of("some text", 9, &expected);
  assert_int_equal(dk_objects_hash_file(path_of("file"), &digest, &size, &error), 0);
  assert_true(dk_digest_equal(&digest, &expected));
  assert_int_equal(size, 9);
  assert_false(dk_objects_has(&objects, &digest, NULL));
  dk_content_of("", 0, &expected);
  assert_int_equal(dk_objects_hash_file(path_of("empty"), &digest, &size, &error), 0);
  assert_true(dk_digest_equal(&digest, &expected));
  assert_int_equal(size, 0);
  assert_int_equal(dk_objects_hash_file(path_of("fifo"), &digest, &size, &error), -EINVAL);
  assert_int_equal(dk_objects_hash_file(path_of("dir"), &digest, &size, &error), -EISDIR);
  assert_int_equal(dk_objects_hash_file(path_of("none"), &digest, &size, &error), -ENOENT);
  assert_non_null(strstr(error.text, "none"));
}

/* A file that another process writes to all the time: the digest is that of a copy, or it is refused; never a mixture
 * under a wrong name. */
static void test_changing_file(void **state) {
  (void)state;
  struct dk_digest digest;
  struct dk_error error;
  sh("head -c 5000000 /dev/zero >busy");
  int pid = fork();
  if (pid == 0) {
    int fd = open(path_of("busy"), O_WRONLY);
    for (;;)
      if (pwrite(fd, "x", 1, rand() % 5000000) < 0) _exit(1);
  }
  int refused[2] = {0, 0}; /* hashed only, kept */
  for (int i = 0; i < 200 && (refused[0] < 2 || refused[1] < 2); i++) {
    uint64_t size;
    int err = i % 2 ? dk_objects_put_file(&objects, path_of("busy"), &digest, &size, &error)
                    : dk_objects_hash_file(path_of("busy"), &digest, &size, &error);
    if (err == 0 && i % 2) assert_int_equal(dk_objects_verify(&objects, &digest, NULL), 0);
    if (err) assert_int_equal(err, -EAGAIN);
    refused[i % 2] += err != 0;
  }
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  assert_true(refused[0] > 0 && refused[1] > 0);
  sh("test -z \"$(ls objects/tmp)\"");
}

static void test_damage_is_found(void **state) {
  (void)state;
  struct dk_digest digest = put("content"), cut = put("another content");
  struct dk_error error;
  dk_autobuf out = DK_BUF_INIT;
  sh("f=$(grep -rl '^content' objects) && chmod u+w $f && printf X | dd of=$f bs=1 seek=2 conv=notrunc status=none && "
     "f=$(grep -rl another objects) && chmod u+w $f && truncate -s 3 $f");
  assert_int_equal(dk_objects_read(&objects, &digest, 100, &out, &error), -EBADMSG);
  assert_int_equal(out.len, 0);
  assert_int_equal(dk_objects_verify(&objects, &digest, &error), -EBADMSG);
  assert_int_equal(dk_objects_export(&objects, &digest, false, path_of("out"), false, &error), -EBADMSG);
  assert_int_not_equal(access(path_of("out"), F_OK), 0);
  assert_int_equal(dk_objects_verify(&objects, &cut, &error), -EBADMSG);
  put("another content"); /* a cut one is replaced */
  assert_int_equal(dk_objects_verify(&objects, &cut, &error), 0);
}

static void test_export_file(void **state) {
  (void)state;
  struct dk_digest digest = put("content");
  struct dk_error error;
  assert_int_equal(dk_objects_export(&objects, &digest, false, path_of("out"), false, &error), 0);
  sh("test \"$(cat out)\" = content && test $(stat -c %%a out) = 644");
  assert_int_equal(dk_objects_export(&objects, &digest, false, path_of("out"), false, &error), -EEXIST);
  assert_int_equal(dk_objects_export(&objects, &digest, false, path_of("no/out"), false, &error), -ENOENT);
  sh("ln -s nowhere dangling");
  assert_int_equal(dk_objects_export(&objects, &digest, false, path_of("dangling"), false, &error), -EEXIST);
  struct dk_digest other = put("other");
  assert_int_equal(dk_objects_export(&objects, &other, false, path_of("out"), true, &error), 0);
  assert_int_equal(dk_objects_export(&objects, &other, false, path_of("dangling"), true, &error), 0);
  sh("test \"$(cat out)\" = other && test -f dangling && ! test -L dangling && mkdir -p folder/sub");
  assert_int_equal(dk_objects_export(&objects, &other, false, path_of("folder"), true, &error), -EISDIR);
  sh("test -d folder/sub && test -z \"$(ls -d *.dkrun-* 2>/dev/null)\"");
}

static void test_export_tree(void **state) {
  (void)state;
  struct dk_error error;
  dk_autobuf manifest = DK_BUF_INIT;
  struct dk_digest tree;
  struct dk_manifest_entry entries[] = {
      {.kind = 'f', .digest = put("one"), .size = 3, .path = "a"},
      {.kind = 'f', .digest = put("dot"), .size = 3, .path = "d.x"},
      {.kind = 'd', .path = "d/empty"},
      {.kind = 'l', .path = "d/link", .target = "../a"},
      {.kind = 'x', .digest = put("run"), .size = 3, .path = "d/sub/run"},
  };
  for (size_t i = 0; i < 5; i++) dk_manifest_add(&manifest, &entries[i]);
  assert_int_equal(dk_objects_put(&objects, manifest.data, manifest.len, &tree, &error), 0);
  assert_int_equal(dk_objects_export(&objects, &tree, true, path_of("out"), false, &error), 0);
  sh("test \"$(cd out && find . -mindepth 1 -printf '%%P:%%y:%%m\\n' | LC_ALL=C sort | tr '\\n' ' ')\" = "
     "\"a:f:644 d.x:f:644 d/empty:d:755 d/link:l:777 d/sub/run:f:755 d/sub:d:755 d:d:755 \" && test \"$(cat "
     "out/d/link)\" = one");
  sh("touch out/mine");
  assert_int_equal(dk_objects_export(&objects, &tree, true, path_of("out"), true, &error), 0);
  sh("test -f out/a && test ! -e out/mine && test -z \"$(ls -d out.* 2>/dev/null)\" && touch file");
  assert_int_equal(dk_objects_export(&objects, &tree, true, path_of("file"), true, &error), -ENOTDIR);
  /* One of its files is gone: nothing is left at the place. */
  sh("rm $(grep -rl '^run' objects)");
  assert_int_equal(dk_objects_export(&objects, &tree, true, path_of("again"), false, &error), -ENOENT);
  sh("test ! -e again && test -z \"$(ls -d again* 2>/dev/null)\"");
  struct dk_digest no_manifest = put("hello");
  assert_int_equal(dk_objects_export(&objects, &no_manifest, true, path_of("again"), false, &error), -EBADMSG);
  sh("test ! -e again");
}

/* The first in its folder, and in place of one that is no good; tmp/ may be gone. */
static void test_link(void **state) {
  (void)state;
  struct dk_digest digest;
  dk_autobuf out = DK_BUF_INIT;
  dk_content_of("linked", 6, &digest);
  sh("printf linked >one; cp one two; rmdir objects/tmp");
  int dir = open(fx, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal(dk_objects_link(&objects, dir, "none", &digest), -ENOENT);
  assert_int_equal(dk_objects_link(&objects, dir, "one", &digest), 0);
  sh("echo more >>one");
  assert_int_equal(dk_objects_read(&objects, &digest, 100, &out, NULL), -EBADMSG);
  assert_int_equal(dk_objects_link(&objects, dir, "two", &digest), 0);
  close(dir);
  assert_int_equal(dk_objects_read(&objects, &digest, 100, &out, NULL), 0);
  assert_string_equal(out.data, "linked");
  sh("test -z \"$(ls objects/tmp)\" && rmdir objects/tmp");
  put("made anew"); /* and tmp/ with it */
}

static void test_two_processes(void **state) {
  (void)state;
  int pids[3];
  for (int i = 0; i < 3; i++) {
    pids[i] = fork();
    if (pids[i]) continue;
    struct dk_objects mine;
    struct dk_digest digest;
    if (dk_objects_open(&mine, path_of("objects"), true, NULL)) _exit(1);
    for (int k = 0; k < 300; k++) {
      char text[32];
      snprintf(text, sizeof text, "content %d", k);
      if (dk_objects_put(&mine, text, strlen(text), &digest, NULL) || dk_objects_verify(&mine, &digest, NULL)) _exit(2);
    }
    dk_objects_close(&mine);
    _exit(0);
  }
  for (int i = 0; i < 3; i++) {
    int status;
    waitpid(pids[i], &status, 0);
    assert_int_equal(status, 0);
  }
  sh("test $(find objects -type f | wc -l) = 300");
}

static void test_open(void **state) {
  (void)state;
  struct dk_objects other;
  struct dk_error error;
  assert_int_equal(dk_objects_open(&other, path_of("none"), false, &error), -ENOENT);
  dk_objects_close(&other);
  sh("touch -d '3 days ago' objects/tmp/old && touch objects/tmp/new");
  assert_int_equal(dk_objects_open(&other, path_of("objects"), true, &error), 0);
  dk_objects_close(&other);
  sh("test ! -e objects/tmp/old && test -e objects/tmp/new");
}

static void test_allocations_may_fail(void **state) {
  (void)state;
  struct dk_digest digest = put("content");
  dk_autobuf out = DK_BUF_INIT;
  sh("echo file >file");
  for (uint64_t n = 1;; n++) {
    struct dk_digest of_file;
    dk_alloc_fail_at(n);
    int err = dk_objects_put_file(&objects, path_of("file"), &of_file, NULL, NULL);
    if (err == 0) err = dk_objects_read(&objects, &digest, 100, &out, NULL);
    if (err == 0) err = dk_objects_export(&objects, &digest, false, path_of("out"), false, NULL);
    dk_alloc_fail_at(0);
    if (err == 0) break;
    assert_int_equal(err, -ENOMEM);
    dk_buf_finish(&out);
  }
  sh("test -z \"$(ls objects/tmp)\"");
}

/* As a power loss leaves it: name, size and seal, and zeros. */
static void spoil(const struct dk_digest *digest) {
  dk_autobuf path = DK_BUF_INIT;
  dk_objects_path(&objects, digest, &path);
  sh("f=%s; chmod u+w $f; head -c $(stat -c %%s $f) /dev/zero >$f.0; cat $f.0 >$f; rm $f.0; chmod a-w $f; touch -d @1 "
     "$f",
     path.data);
}

/* `synced` as an earlier boot left it, whose last sync was so many seconds from now. */
static void reboot(int seconds) {
  sh("set -- $(readlink objects/synced); ln -sfn \"0123456789abcdef $(($(date +%%s) + %d))000000000 $3\" "
     "objects/synced",
     seconds);
}

static void test_power_loss(void **state) {
  (void)state;
  uint64_t since;
  struct dk_error error;
  assert_int_equal(dk_objects_settle(&objects, &since, &error), 0); /* the first one: nothing is doubted */
  assert_true(since == UINT64_MAX);
  struct dk_digest lost = put("lost"), whole = put("whole");
  spoil(&lost);
  assert_int_equal(dk_objects_settle(&objects, &since, &error), 0); /* this boot */
  assert_true(since == UINT64_MAX && dk_objects_has(&objects, &lost, NULL));
  reboot(60); /* all of it was synced: believed unread */
  assert_int_equal(dk_objects_settle(&objects, &since, &error), 0);
  assert_true(since != UINT64_MAX && dk_objects_has(&objects, &lost, NULL));
  reboot(-60);
  assert_int_equal(dk_objects_settle(&objects, &since, &error), 0);
  assert_true(since != UINT64_MAX);
  assert_false(dk_objects_has(&objects, &lost, NULL));
  assert_true(dk_objects_has(&objects, &whole, NULL));
  assert_int_equal(dk_objects_sync(&objects, NULL), 0); /* settled */
  assert_int_equal(dk_objects_settle(&objects, &since, &error), 0);
  assert_true(since == UINT64_MAX);
  reboot(-60); /* a copy is younger all over, and is not read from end to end */
  sh("cp -a objects copy && rm -r objects && mv copy objects");
  dk_objects_close(&objects);
  assert_int_equal(dk_objects_open(&objects, path_of("objects"), true, NULL), 0);
  assert_int_equal(dk_objects_settle(&objects, &since, &error), 0);
  assert_true(since == UINT64_MAX);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      CASE(test_put_and_read),
      CASE(test_put_file),
      CASE(test_hash_file),
      CASE(test_changing_file),
      CASE(test_damage_is_found),
      CASE(test_export_file),
      CASE(test_export_tree),
      CASE(test_link),
      CASE(test_two_processes),
      CASE(test_open),
      CASE(test_allocations_may_fail),
      CASE(test_power_loss),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

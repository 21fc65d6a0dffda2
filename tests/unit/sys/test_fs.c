/* Files, trees, locks, sockets. */
#include "engine/sys/fs.h"
#include "engine/sys/lock.h"
#include "engine/sys/sock.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static int dir_fd;

static int set_up(void **state) {
  (void)state;
  strcpy(dir, "/tmp/dk-fs-XXXXXX");
  assert_non_null(mkdtemp(dir));
  dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return dir_fd < 0;
}

static int tear_down(void **state) {
  (void)state;
  close(dir_fd);
  dk_fs_remove_tree(dir, NULL);
  return access(dir, F_OK) == 0;
}

static const char *at(const char *name) {
  static char path[4][5000];
  static unsigned i;
  i = (i + 1) % 4;
  snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
  return path[i];
}

static void write_text(const char *name, const char *text, mode_t mode) {
  assert_int_equal(dk_fs_write(at(name), text, strlen(text), mode, false, NULL), 0);
}

static void check_text(const char *name, const char *text) {
  dk_autobuf buf = DK_BUF_INIT;
  assert_int_equal(dk_fs_read(at(name), 1 << 20, &buf, NULL), 0);
  assert_string_equal(dk_buf_text(&buf), text);
}

static void reading_and_writing(void **state) {
  (void)state;
  assert_int_equal(dk_fs_write(at("a"), "one", 3, 0640, true, NULL), 0);
  write_text("a", "two", 0600);
  check_text("a", "two");
  dk_autobuf buf = DK_BUF_INIT;
  struct dk_error error = {0};
  assert_int_equal(dk_fs_read(at("a"), 2, &buf, &error), -EFBIG);
  assert_int_equal(dk_fs_read(at("absent"), 2, &buf, &error), -ENOENT);
  assert_non_null(strstr(error.text, "absent"));
  assert_int_equal(dk_fs_write(at("no/such/dir"), "", 0, 0600, false, &error), -ENOENT);
}

static void plain_paths(void **state) {
  (void)state;
  static const char *const good[] = {"a", "a/b", "...", "a/..b", "a b/\n"}, *const bad[] = {
                                                                                "",   "/a",   "a/",   "a//b", ".",
                                                                                "..", "a/..", "../a", "./a",  "a/./b"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(dk_fs_is_plain_path(good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(dk_fs_is_plain_path(bad[i]));
}

static void links_inside(void **state) {
  (void)state;
  static const char *const good[][2] = {{"l", "a/b"},         {"l", "."},      {"l", "./a"},  {"l", "..."},
                                        {"l", "a//b/"},       {"a/l", "../b"}, {"a/l", ".."}, {"a/l", "./../b"},
                                        {"a/b/l", "../../c"}, {"a/l", "..b/c"}};
  static const char *const bad[][2] = {
      {"l", ""},          {"l", "/b"},       {"l", ".."},     {"l", "../b"},        {"l", "./../b"},
      {"a/l", "../../b"}, {"l", "sub/../x"}, {"l", "sub/.."}, {"a/l", "x/../../b"}, {"a/l", "../x/../y"}};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    if (!dk_fs_link_is_inside(good[i][0], good[i][1])) fail_msg("%s -> %s is refused", good[i][0], good[i][1]);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (dk_fs_link_is_inside(bad[i][0], bad[i][1])) fail_msg("%s -> %s is let in", bad[i][0], bad[i][1]);
}

static void directories(void **state) {
  (void)state;
  assert_int_equal(dk_fs_mkdirs(at("x/y/z"), 0755, NULL), 0);
  assert_int_equal(dk_fs_mkdirs(at("x/y/z"), 0755, NULL), 0);
  write_text("x/file", "", 0600);
  struct dk_error error = {0};
  assert_int_equal(dk_fs_mkdirs(at("x/file"), 0755, &error), -ENOTDIR);
  int fd;
  assert_int_equal(dk_fs_mkdirs_beneath(dir_fd, "p/q", 0755, &fd, NULL), 0);
  close(fd);
  assert_int_equal(symlink("/", at("p/out")), 0);
  assert_int_equal(dk_fs_mkdirs_beneath(dir_fd, "p/out/tmp", 0755, &fd, NULL), -ENOTDIR);
  assert_int_equal(dk_fs_mkdirs_beneath(dir_fd, "p/../../x", 0755, &fd, NULL), -EXDEV);
}

static void opening_beneath(void **state) {
  (void)state;
  assert_int_equal(dk_fs_mkdirs(at("d/e"), 0755, NULL), 0);
  write_text("d/e/f", "f", 0600);
  assert_int_equal(symlink("f", at("d/e/link")), 0);
  assert_int_equal(symlink("/etc", at("d/etc")), 0);
  int fd = dk_fs_open_beneath(dir_fd, "d/e/f", O_RDONLY, 0);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(dk_fs_open_beneath(dir_fd, "d/e/link", O_RDONLY, 0), -ELOOP);
  assert_int_equal(dk_fs_open_beneath(dir_fd, "d/etc/passwd", O_RDONLY, 0), -ELOOP);
  assert_int_equal(dk_fs_open_beneath(dir_fd, "../../etc/passwd", O_RDONLY, 0), -EXDEV);
  assert_int_equal(dk_fs_open_beneath(dir_fd, "/etc/passwd", O_RDONLY, 0), -EXDEV);
  assert_int_equal(dk_fs_open_beneath(dir_fd, "d/none", O_RDONLY, 0), -ENOENT);
}

static void trees(void **state) {
  (void)state;
  assert_int_equal(dk_fs_mkdirs(at("from/sub/deep"), 0755, NULL), 0);
  assert_int_equal(dk_fs_mkdirs(at("to"), 0755, NULL), 0);
  write_text("from/run", "#!", 0755);
  write_text("from/sub/data", "data", 0400);
  assert_int_equal(symlink("sub/data", at("from/link")), 0);
  write_text("to/run", "old", 0600);
  int from = open(at("from"), O_RDONLY | O_DIRECTORY), to = open(at("to"), O_RDONLY | O_DIRECTORY);
  struct dk_error error = {0};
  if (dk_fs_copy_tree(from, to, false, NULL, NULL, &error) < 0) fail_msg("%s", error.text);
  check_text("to/link", "data");
  check_text("to/run", "#!");
  struct stat st;
  assert_int_equal(stat(at("to/run"), &st), 0);
  assert_int_equal(st.st_mode & 0777, 0755);
  assert_int_equal(stat(at("to/sub/data"), &st), 0);
  assert_int_equal(st.st_mode & 0777, 0644);
  assert_int_equal(access(at("to/sub/deep"), F_OK), 0);
  assert_int_equal(mkfifo(at("from/fifo"), 0600), 0);
  assert_int_equal(dk_fs_copy_tree(from, to, false, NULL, NULL, &error), -EINVAL);
  assert_non_null(strstr(error.text, "fifo"));
  /* Removing goes through no link, and through modes. */
  assert_int_equal(symlink(at("from"), at("to/back")), 0);
  chmod(at("to/sub"), 0);
  assert_false(dk_fs_dir_is_empty(to));
  assert_int_equal(dk_fs_empty_dir(to, NULL), 0);
  assert_true(dk_fs_dir_is_empty(to));
  check_text("from/sub/data", "data");
  assert_int_equal(dk_fs_remove_tree(at("from"), NULL), 0);
  assert_int_equal(dk_fs_remove_tree(at("from"), NULL), 0);
  assert_int_equal(access(at("from"), F_OK), -1);
  close(from);
  close(to);
}

/* On a file system of its own: a tree there is removed, named by its whole path; the mount itself is somebody
 * else's. */
static void trees_on_a_mount(void **state) {
  (void)state;
  assert_int_equal(dk_fs_mkdirs(at("disk"), 0700, NULL), 0);
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount("tmpfs", at("disk"), "tmpfs", 0, "size=1m") < 0) {
    print_message("nothing can be mounted here (%s): not tested\n", strerror(errno));
    skip();
  }
  assert_int_equal(dk_fs_mkdirs(at("disk/tree/sub"), 0700, NULL), 0);
  write_text("disk/tree/sub/file", "x", 0600);
  assert_int_equal(dk_fs_remove_tree(at("disk/tree"), NULL), 0);
  assert_int_equal(access(at("disk/tree"), F_OK), -1);
  write_text("disk/file", "kept", 0600);
  assert_true(dk_fs_remove_tree(at("disk"), NULL) < 0);
  check_text("disk/file", "kept");
  assert_int_equal(umount(at("disk")), 0);
}

static int copy(int from_dir, const char *from, const char *to) {
  int in = openat(from_dir, from, O_RDONLY | O_CLOEXEC);
  int out = openat(dir_fd, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  struct stat st;
  assert_true(in >= 0 && out >= 0 && fstat(in, &st) == 0);
  int r = dk_fs_copy_fd(in, out, (uint64_t)st.st_size, NULL);
  close(in);
  close(out);
  return r;
}

static void copies(void **state) {
  (void)state;
  dk_autofree char *big = dk_alloc(3000001);
  memset(big, 'z', 3000000);
  big[3000000] = '\0';
  write_text("big", big, 0600);
  assert_int_equal(copy(dir_fd, "big", "copy"), 0);
  dk_autobuf buf = DK_BUF_INIT;
  assert_int_equal(dk_fs_read(at("copy"), 4000000, &buf, NULL), 0);
  assert_int_equal(buf.len, 3000000);
  /* A file whose size says nothing. */
  int proc = open("/proc/self", O_RDONLY | O_DIRECTORY);
  assert_int_equal(copy(proc, "status", "status"), 0);
  close(proc);
  dk_buf_clear(&buf);
  assert_int_equal(dk_fs_read(at("status"), 100000, &buf, NULL), 0);
  assert_non_null(strstr(dk_buf_text(&buf), "Pid:"));
}

static void absolute_paths(void **state) {
  (void)state;
  assert_int_equal(symlink(dir, at("self")), 0);
  dk_autofree char *path = dk_fs_absolute(at("self/new"));
  assert_string_equal(path, at("new"));
  assert_null(dk_fs_absolute(at("no/such")));
}

static void locks(void **state) {
  (void)state;
  struct dk_lock lock = DK_LOCK_INIT, other = DK_LOCK_INIT;
  struct dk_error error = {0};
  assert_int_equal(dk_lock_take(&lock, at("lock"), "first one", &error), 0);
  assert_int_equal(dk_lock_holder(at("lock")), getpid());
  assert_int_equal(dk_lock_take(&other, at("lock"), NULL, &error), -EWOULDBLOCK);
  assert_non_null(strstr(error.text, "(first one)"));
  dk_lock_release(&lock);
  assert_int_equal(dk_lock_take(&other, at("lock"), NULL, &error), 0);
  dk_lock_release(&other);
}

static void long_socket_paths(void **state) {
  (void)state;
  char name[300];
  snprintf(name, sizeof name, "%0100d/%0100d", 1, 2);
  assert_int_equal(dk_fs_mkdirs(at(name), 0700, NULL), 0);
  strcat(name, "/sock");
  struct dk_error error = {0};
  assert_int_equal(dk_sock_connect(at(name), &error), -ENOENT);
  for (int i = 0; i < 2; i++) { /* the second time over a stale one */
    int listener = dk_sock_listen(at(name), 4, &error);
    if (listener < 0) fail_msg("%s", error.text);
    assert_int_equal(dk_sock_accept(listener, NULL), -EAGAIN);
    int fd = dk_sock_connect(at(name), &error);
    assert_true(fd >= 0);
    int peer = dk_sock_accept(listener, NULL);
    assert_true(peer >= 0);
    close(peer);
    close(fd);
    close(listener);
    assert_int_equal(dk_sock_connect(at(name), &error), -ECONNREFUSED);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(reading_and_writing), TEST(plain_paths), TEST(links_inside),      TEST(directories),
      TEST(opening_beneath),     TEST(trees),       TEST(trees_on_a_mount),  TEST(copies),
      TEST(absolute_paths),      TEST(locks),       TEST(long_socket_paths),
  };
  return cmocka_run_group_tests_name("fs", tests, NULL, NULL);
}

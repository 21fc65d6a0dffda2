/* The list of trusted repositories: kept whole whoever writes, and not believed where others could have written. */
#include "engine/drive/config.h"
#include "engine/drive/trust.h"
#include "engine/sys/fs.h"
#include "lang/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static const char *at(const char *name) {
  static char path[160];
  snprintf(path, sizeof path, "%s/dkrun/%s", dir, name);
  return path;
}

static int set_up(void **state) {
  (void)state;
  strcpy(dir, "/tmp/dk-trust-XXXXXX");
  assert_non_null(mkdtemp(dir));
  return setenv("XDG_CONFIG_HOME", dir, 1);
}

static int tear_down(void **state) {
  (void)state;
  return dk_fs_remove_tree(dir, NULL);
}

static struct dk_digest digest_of(const char *text) {
  struct dk_digest ret;
  dk_digest_of(text, strlen(text), &ret);
  return ret;
}

static bool is_trusted(const char *root, const char *text) {
  struct dk_digest want = digest_of(text), have;
  struct dk_error error = {0};
  int r = dk_trust_find(root, &have, &error);
  if (r < 0) fail_msg("%s", error.text);
  return r == 1 && dk_digest_equal(&want, &have);
}

static int set(const char *root, const char *text) {
  struct dk_digest digest = digest_of(text ? text : "");
  struct dk_error error = {0};
  int r = dk_trust_set(root, text ? &digest : NULL, &error);
  if (r < 0) fail_msg("%s", error.text);
  return r;
}

static void set_find_take_back(void **state) {
  struct stat st;
  (void)state;
  assert_false(is_trusted("/a", "1"));
  assert_int_equal(set("/a", NULL), 0);
  assert_int_not_equal(access(at("trusted"), F_OK), 0); /* nothing was made for that */
  assert_int_equal(set("/a", "1"), 1);
  assert_int_equal(set("/a", "1"), 0);
  assert_int_equal(set("/a b/c", "2"), 1);
  assert_true(is_trusted("/a", "1"));
  assert_true(is_trusted("/a b/c", "2"));
  assert_false(is_trusted("/a b", "2"));
  assert_false(is_trusted("/", "1"));
  assert_int_equal(set("/a", "3"), 1);
  assert_true(is_trusted("/a", "3"));
  assert_false(is_trusted("/a", "1"));
  assert_int_equal(set("/a", NULL), 1);
  assert_int_equal(set("/a", NULL), 0);
  assert_false(is_trusted("/a", "3"));
  assert_true(is_trusted("/a b/c", "2"));
  assert_int_equal(stat(at("trusted"), &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
}

static void other_lines_stay(void **state) {
  static const char text[] = "v2 of a later version\n\nv10 short /a\n";
  dk_autobuf now = DK_BUF_INIT;
  (void)state;
  assert_int_equal(dk_fs_mkdirs(at(""), 0700, NULL), 0);
  assert_int_equal(dk_fs_write(at("trusted"), text, sizeof text - 1, 0600, false, NULL), 0);
  assert_false(is_trusted("/a", "1"));
  assert_int_equal(set("/a", "1"), 1);
  assert_true(is_trusted("/a", "1"));
  assert_int_equal(set("/a", NULL), 1);
  assert_int_equal(dk_fs_read(at("trusted"), 1000, &now, NULL), 0);
  assert_string_equal(dk_buf_text(&now), text);
}

static void several_at_once(void **state) {
  char root[32];
  int status;
  (void)state;
  for (int i = 0; i < 12; i++) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) continue;
    struct dk_digest digest = digest_of("x");
    snprintf(root, sizeof root, "/repo%d", i);
    _exit(dk_trust_set(root, &digest, NULL) == 1 ? 0 : 1);
  }
  for (int i = 0; i < 12; i++) {
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
  }
  for (int i = 0; i < 12; i++) {
    snprintf(root, sizeof root, "/repo%d", i);
    assert_true(is_trusted(root, "x"));
  }
}

static void refuses(int code, const char *part) {
  struct dk_digest digest = digest_of("x");
  struct dk_error error = {0};
  assert_int_equal(dk_trust_find("/a", &digest, &error), code);
  if (!strstr(error.text, part)) fail_msg("`%s` is not in: %s", part, error.text);
  assert_int_equal(dk_trust_set("/b", &digest, &error), code);
  if (!strstr(error.text, part)) fail_msg("`%s` is not in: %s", part, error.text);
}

static void not_believed(void **state) {
  struct dk_digest digest = digest_of("1");
  struct dk_error error = {0};
  (void)state;
  set("/a", "1");
  assert_int_equal(chmod(at("trusted"), 0620), 0);
  refuses(-EPERM, "can be written to by others");
  assert_int_equal(chmod(at("trusted"), 0602), 0);
  refuses(-EPERM, "can be written to by others");
  if (geteuid() == 0) {
    assert_int_equal(chmod(at("trusted"), 0600), 0);
    assert_int_equal(chown(at("trusted"), 12345, (gid_t)-1), 0);
    refuses(-EPERM, "belongs to somebody else");
  }
  assert_int_equal(unlink(at("trusted")), 0);
  assert_int_equal(mkfifo(at("trusted"), 0600), 0); /* and nobody waits at it */
  refuses(-EINVAL, "no regular file");
  assert_int_equal(dk_trust_set("/a\nv1 x /b", &digest, &error), -EINVAL);
  assert_non_null(strstr(error.text, "line end"));
}

/* What nobody wrote so: nothing of the file counts, and it stays as it is. */
static void damaged(void **state) {
  static const struct {
    const char *text;
    size_t len;
    const char *line;
  } cases[] = {
#define CASE(text, line) {text, sizeof text - 1, line}
      CASE("nonsense\n", "line 1"),
      CASE("v2 later\nv1 short /a\n", "line 2"),
      CASE("v1 GOOD /a\nv1 GOOD /b", "line 2"), /* cut off: it may have been /bc */
      CASE("v1 GOOD a\n", "line 1"),
      CASE("v1 GOOD/a\n", "line 1"),
      CASE("v1 BAD_ /a\n", "line 1"),
      CASE("v /a\n", "line 1"),
      CASE("\0\0\0\0\n", "line 1"),
      CASE("v2 \0\n", "line 1"),
#undef CASE
  };
  struct dk_digest digest = digest_of("x");
  char good[DK_DIGEST_HEX + 1], bad[DK_DIGEST_HEX + 1];
  (void)state;
  dk_digest_hex(&digest, good);
  memcpy(bad, good, sizeof bad);
  bad[DK_DIGEST_HEX - 1] = 'g';
  assert_int_equal(dk_fs_mkdirs(at(""), 0700, NULL), 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf text = DK_BUF_INIT, now = DK_BUF_INIT;
    for (size_t k = 0; k < cases[i].len; k++) {
      const char *rest = cases[i].text + k;
      bool is_good = strncmp(rest, "GOOD", 4) == 0, is_bad = strncmp(rest, "BAD_", 4) == 0;
      if (is_good || is_bad)
        dk_buf_add_text(&text, is_good ? good : bad);
      else
        dk_buf_add_char(&text, *rest);
      if (is_good || is_bad) k += 3;
    }
    assert_int_equal(dk_fs_write(at("trusted"), text.data, text.len, 0600, false, NULL), 0);
    refuses(-EBADMSG, cases[i].line);
    refuses(-EBADMSG, "help: remove that line");
    assert_int_equal(dk_fs_read(at("trusted"), 1000, &now, NULL), 0);
    assert_true(now.len == text.len && memcmp(now.data, text.data, text.len) == 0);
  }
}

/* A disk that takes nothing more: a limit on the size of files does the same. */
static void full_disk(void **state) {
  struct rlimit none = {0, RLIM_INFINITY}, before;
  struct dk_digest digest = digest_of("2");
  struct dk_error error = {0};
  (void)state;
  set("/a", "1");
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  none.rlim_max = before.rlim_max;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
  int r = dk_trust_set("/a", &digest, &error);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(r, -EFBIG);
  assert_non_null(strstr(error.text, "cannot write"));
  assert_true(is_trusted("/a", "1"));
}

static void where_it_is(void **state) {
  dk_autobuf path = DK_BUF_INIT;
  struct dk_error error = {0};
  struct dk_digest digest;
  const char *home = getenv("HOME");
  char *kept = home ? strdup(home) : NULL;
  (void)state;
  assert_int_equal(setenv("XDG_CONFIG_HOME", "relative", 1), 0);
  assert_int_equal(setenv("HOME", "/h", 1), 0);
  assert_int_equal(dk_config_path("x", &path, &error), 0);
  assert_string_equal(dk_buf_text(&path), "/h/.config/dkrun/x");
  assert_int_equal(unsetenv("HOME"), 0);
  assert_int_equal(dk_config_path("x", &path, &error), -ENOENT);
  assert_non_null(strstr(error.text, "help: set HOME"));
  assert_int_equal(dk_trust_find("/a", &digest, &error), 0); /* nobody trusts anything */
  assert_int_equal(dk_trust_set("/a", &digest, &error), -ENOENT);
  if (kept) setenv("HOME", kept, 1);
  free(kept);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(set_find_take_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(other_lines_stay, set_up, tear_down),
      cmocka_unit_test_setup_teardown(several_at_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(not_believed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(damaged, set_up, tear_down),
      cmocka_unit_test_setup_teardown(full_disk, set_up, tear_down),
      cmocka_unit_test_setup_teardown(where_it_is, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

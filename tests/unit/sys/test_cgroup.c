/* Where a process's groups are, from the kernel's texts, and what is refused. Groups themselves are tried by
 * tests/cli/cgroups.sh. */
#include "engine/sys/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V2 "0::/user.slice/user-7.slice\n"
#define MIXED "9:name=systemd:/\n4:cpu,memory:/job 1\n0::/\n"
#define MOUNT2 "36 25 0:31 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define MOUNTS1                                                                                                        \
  "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"                                                                              \
  "37 25 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"                                           \
  "38 25 0:33 / /sys/fs/cgroup/a\\040b rw shared:9 - cgroup cgroup rw,cpu,memory\n"

static void test_parse(void **state) {
  (void)state;
  static const struct {
    const char *groups, *mounts;
    unsigned version;
    const char *mount, *group; /* NULL: none */
  } table[] = {
      {V2, MOUNT2, 2, "/sys/fs/cgroup", "/user.slice/user-7.slice"},
      {V2, MOUNT2, 1, NULL, NULL},
      {MIXED, MOUNTS1, 1, "/sys/fs/cgroup/a b", "/job 1"},
      {MIXED, MOUNTS1, 2, NULL, NULL},
      {MIXED, MOUNTS1 MOUNT2, 2, "/sys/fs/cgroup", "/"},
      /* The mount of a container shows a part of the hierarchy; another part is out of reach. */
      {"0::/box/7/task\n", "36 25 0:31 /box/7 /cg rw - cgroup2 c rw\n", 2, "/cg", "/task"},
      {"0::/box/7\n", "36 25 0:31 /box/7 /cg rw - cgroup2 c rw\n", 2, "/cg", "/"},
      {"0::/box/77\n", "36 25 0:31 /box/7 /cg rw - cgroup2 c rw\n", 2, NULL, NULL},
      {"0::/../other\n", "36 25 0:31 / /cg rw - cgroup2 c rw\n", 2, NULL, NULL},
      /* What is cut off or empty. */
      {"0::/a", "36 25 0:31 / /cg rw - cgroup2", 2, "/cg", "/a"},
      {"0::/a", "36 25 0:31 / /cg rw - cgroup c", 1, NULL, NULL},
      {"0:", "36 25", 2, NULL, NULL},
      {"", "", 1, NULL, NULL},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    dk_autobuf mount = DK_BUF_INIT, group = DK_BUF_INIT;
    bool is_there = dk_cgroup_parse(table[i].groups, table[i].mounts, table[i].version, &mount, &group);
    if (is_there != (table[i].mount != NULL)) fail_msg("case %zu", i);
    if (!is_there) continue;
    assert_string_equal(dk_buf_text(&mount), table[i].mount);
    assert_string_equal(dk_buf_text(&group), table[i].group);
  }
}

static void test_refused(void **state) {
  (void)state;
  static const struct {
    const char *asked, *why;
  } table[] = {
      {"off", "is off"}, {"here", "no absolute path"}, {"/nowhere/at/all", "No such file"}, {"/tmp", "no cgroup"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct dk_cgroups cgroups;
    dk_cgroups_find(table[i].asked, &cgroups);
    assert_int_equal(cgroups.version, 0);
    if (!strstr(dk_buf_text(&cgroups.why), table[i].why)) fail_msg("%s: %s", table[i].asked, dk_buf_text(&cgroups.why));
    dk_cgroups_open(&cgroups, true);
    assert_int_equal(cgroups.version, 0);
    dk_cgroups_finish(&cgroups);
  }
  struct dk_cgroup group;
  assert_true(dk_cgroup_make("/tmp", "dkrun-no-group", 1 << 26, &group, NULL) < 0); /* and leaves nothing */
  assert_int_equal(group.dir, -1);
  assert_true(dk_cgroup_remove("/tmp", "dkrun-no-group"));
}

static void test_asked(void **state) {
  (void)state;
  assert_int_equal(unsetenv("DKRUN_CGROUP"), 0);
  assert_string_equal(dk_cgroup_asked(), DK_CGROUP_AUTO);
  assert_int_equal(setenv("DKRUN_CGROUP", "/x", 1), 0);
  assert_string_equal(dk_cgroup_asked(), "/x");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parse),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_asked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

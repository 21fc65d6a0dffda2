/* The hosts that come of the user's and the repository's file: what is declared, chosen and limited, what is refused,
 * what trust changes, and lack of memory at every place. The kinds of providers are this test's own. */
#include "engine/drive/trust.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "providers/ssh/schema.h"
#include "tests/unit/drive/two_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const struct dk_provider dk_providers[] = {
    {.kind = "pool", .is_remote = true}, /* without fields of its own */
    {.kind = "local"},
    {.kind = "ssh", .schema = &dk_ssh_schema, .is_remote = true},
    {.kind = NULL},
};

static void test_user(void **state) {
  (void)state;
  put("config/dkrun/conf", "");
  static const struct row rows[] = {
      {NULL, NULL, "local.local local\n"},
      {"", NULL, "local.local local\n"},
      {"# nothing\nlet a = 1", "let b = 2", "local.local local\n"},
      {"provider here { kind = \"local\" leave = 1 nice = 19 gpus = 0 }", NULL,
       "here.local local leave=1 gpus=0 nice=19 yours:1\n"},
      {"provider a { kind = \"ssh\" hosts = [\"h1\", \"a.b-c_d@e:1\"] user = \"anna\" port = 2222 root = \"/data\"\n"
       "  mixed = true hours = [\"20:00-08:00\", \"Sat-Sun\"] config = \"conf\" leave = 2 gpus = 1 nice = 10 }\n"
       "provider p { kind = \"pool\" hosts = [\"h2\"] mixed = false }",
       NULL,
       "a.h1 ssh leave=2 gpus=1 nice=10 hours=20:00-08:00, Sat-Sun mixed root=/data user=anna port=2222 "
       "config=/config/dkrun/conf yours:1\n"
       "a.a.b-c_d@e:1 ssh leave=2 gpus=1 nice=10 hours=20:00-08:00, Sat-Sun mixed root=/data user=anna port=2222 "
       "config=/config/dkrun/conf yours:1\n"
       "p.h2 pool yours:3\n"},
      {"let names(n) = [\"h{{i}}\" for i in 1..n]\nprovider a { kind = \"ssh\" hosts = names(2) user = if true then "
       "null else \"x\" }",
       NULL, "a.h1 ssh yours:2\na.h2 ssh yours:2\n"},
      {"provider a { kind = \"ssh\" hosts = [\"h\"] hours = \"00:00-24:00\" }", NULL, "a.h ssh yours:1\n"},
  };
  CHECK(rows, DK_HOSTS_AS_TRUSTED);
}

#define A "provider a { kind = \"ssh\" hosts = [\"h\"] "
#define WANTS_HOSTS "`hosts` wants a list of names such as [\"h1\", \"h2\"]: "
#define WANTS_HOURS "`hours` wants a range such as \"20:00-08:00\" or \"Mon-Fri 20:00-08:00\", or a list of them"

static void test_user_wrong(void **state) {
  (void)state;
  put("config/dkrun/open", "");
  assert_int_equal(chmod(at("config/dkrun/open"), 0622), 0);
  static const struct row rows[] = {
      {A "leave = -1 }", NULL, "E0224 yours 1:49 `leave` wants a whole number from 0 to 65535, not -1\n"},
      {A "gpus = 65536 nice = 20 }", NULL,
       "E0224 yours 1:48 `gpus` wants a whole number from 0 to 65535, not 65536\n"
       "E0224 yours 1:61 `nice` wants a whole number from 0 to 19, not 20\n"},
      {A "port = 0 }", NULL, "E0224 yours 1:48 `port` wants a whole number from 1 to 65535, not 0\n"},
      {A "user = \"-x\" root = \"data\" }", NULL,
       "E0224 yours 1:48 `user` wants a user's name on the hosts\n"
       "E0224 yours 1:60 `root` wants an absolute path on the hosts\n"},
      {A "root = \"/a\\nb\" }", NULL, "E0224 yours 1:48 `root` wants an absolute path on the hosts\n"},
      {A "hours = \"8-9\" }", NULL, "E0224 yours 1:49 " WANTS_HOURS "\n"},
      {A "hours = [\"20:00-08:00\", 5] }", NULL, "E0224 yours 1:65 " WANTS_HOURS "\n"},
      {A "hours = [] }", NULL, "E0224 yours 1:49 " WANTS_HOURS ": there is none in it\n"},
      {A "config = \"none\" }", NULL,
       "E0224 yours 1:50 `config` wants the path of a file for `ssh -F`: there is no such file\n"},
      {A "config = \".\" }", NULL,
       "E0224 yours 1:50 `config` wants the path of a file for `ssh -F`: it is no regular file\n"},
      {A "config = \"open\" }", NULL,
       "E0224 yours 1:50 `config` wants the path of a file for `ssh -F`: it can be written to by others (chmod "
       "go-w)\n"},
      {"provider a { kind = \"ssh\" hosts = [] }", NULL, "E0224 yours 1:35 " WANTS_HOSTS "there is none in it\n"},
      {"provider a { kind = \"ssh\" hosts = [1] }", NULL, "E0224 yours 1:36 " WANTS_HOSTS "this is no text\n"},
      {"provider a { kind = \"ssh\" hosts = [\"\", \"-h\", \"a b\", \"a;b\", \"\xc3\xa9\"] }", NULL,
       "E0224 yours 1:36 this is no name of a host\nE0224 yours 1:40 this is no name of a host\n"
       "E0224 yours 1:46 this is no name of a host\nE0224 yours 1:53 this is no name of a host\n"
       "E0224 yours 1:60 this is no name of a host\n"},
      {"provider a { kind = \"ssh\" hosts = [\"h\", \"h\"] }", NULL, "E0225 yours 1:41 host `h` is named twice\n"},
      {"provider a { kind = \"ssh\" hosts = [\"h{{i // 1000}}\" for i in 1..1001] }", NULL,
       "E0224 yours 1:35 " WANTS_HOSTS "at most 1000 of them\n"},
      {A "}\nprovider b { kind = \"pool\" hosts = [\"g\", \"h\"] }", NULL,
       "E0225 yours 2:42 host `h` is in provider `a` too\n"},
      {"provider a { kind = \"local\" }\nprovider b { kind = \"local\" }", NULL,
       "E0225 yours 2:10 this machine is in provider `a` too\n"},
      /* Fields that a kind does not have, and what was not written. */
      {"provider a { kind = \"local\" hosts = [\"h\"] }", NULL,
       "E0206 yours 1:29 no field `hosts` in a provider of kind `local`\n"},
      {"provider a { kind = \"pool\" hosts = [\"h\"] user = \"x\" }", NULL,
       "E0206 yours 1:42 no field `user` in a provider of kind `pool`\n"},
      {"provider a { kind = \"ssh\" }", NULL, "E0208 yours 1:10 this provider of kind `ssh` lacks `hosts`\n"},
      {"provider a { hosts = [\"h\"] user = \"x\" }", NULL, "E0208 yours 1:10 this provider lacks `kind`\n"},
      {A "mixed = 1 }", NULL, "E0209 yours 1:49 `mixed` wants true or false, not an integer\n"},
      {A "}\n" A "}", NULL,
       "E0202 yours 2:10 `a` is declared twice\nE0225 yours 2:36 host `h` is in provider `a` too\n"},
  };
  CHECK(rows, DK_HOSTS_AS_TRUSTED);
}

#define USER                                                                                                           \
  "provider a { kind = \"ssh\" hosts = [\"h1\", \"h2\", \"h3\"] leave = 2 gpus = 2 nice = 5 hours = \"20:00-08:00\" "  \
  "}\n"                                                                                                                \
  "provider b { kind = \"local\" }\n"

static void test_limits(void **state) {
  (void)state;
  static const struct row rows[] = {
      {NULL, "provider local { leave = 1 hours = \"20:00-08:00\" }",
       "local.local local leave=1 hours=20:00-08:00 repository:1\n"},
      {USER, "provider b { }", "b.local local yours:2 repository:1\n"},
      {USER,
       "provider b { nice = 3 }\nprovider a { hosts = [\"h3\", \"h1\"] leave = 2 gpus = 0 nice = 19 hours = "
       "\"22:00-23:00\" }",
       "b.local local nice=3 yours:2 repository:1\n"
       "a.h3 ssh leave=2 gpus=0 nice=19 hours=22:00-23:00 (of 20:00-08:00) yours:1 repository:2\n"
       "a.h1 ssh leave=2 gpus=0 nice=19 hours=22:00-23:00 (of 20:00-08:00) yours:1 repository:2\n"},
      {USER, "provider a { hours = \"09:00-10:00\" }",
       "E0226 repository 1:22 nothing is left of the hours of provider `a`\n"},
      {USER, "provider a { leave = 1 gpus = 3 nice = 4 hosts = [\"h1\", \"h4\"] }",
       "E0226 repository 1:22 `leave` of provider `a` may only be raised here, not set to 1\n"
       "E0226 repository 1:31 `gpus` of provider `a` may only be lowered here, not set to 3\n"
       "E0226 repository 1:40 `nice` of provider `a` may only be raised here, not set to 4\n"
       "E0226 repository 1:57 host `h4` is none of your provider `a`\n"},
      {USER, "provider a { user = \"x\" port = 1 root = \"/x\" mixed = true config = \"c\" }",
       "E0226 repository 1:14 `user` of provider `a` is not for a repository to say\n"
       "E0226 repository 1:25 `port` of provider `a` is not for a repository to say\n"
       "E0226 repository 1:34 `root` of provider `a` is not for a repository to say\n"
       "E0226 repository 1:46 `mixed` of provider `a` is not for a repository to say\n"
       "E0224 repository 1:68 `config` wants the path of a file for `ssh -F`: there is no such file\n"},
      {USER, "provider c { leave = 1 }", "E0226 repository 1:10 you have no provider `c`\n"},
      {NULL, "provider c { leave = 1 }", "E0226 repository 1:10 you have no provider `c`\n"},
      {USER, "provider c { kind = \"ssh\" hosts = [\"x\"] }",
       "E0226 repository 1:10 a repository may not declare provider `c`\n"},
      {USER, "provider a { kind = \"ssh\" hosts = [\"x\"] }",
       "E0226 repository 1:10 a repository may not declare provider `a`\n"},
      {USER, "provider a { leev = 3 }\nprovider b { hosts = [\"h1\"] }",
       "E0206 repository 1:14 no field `leev` in a provider of kind `ssh`\n"
       "E0206 repository 2:14 no field `hosts` in a provider of kind `local`\n"},
      {USER, "provider a { leave = 3 }\nprovider a { leave = 4 }", "E0202 repository 2:10 `a` is declared twice\n"},
      /* Errors of both files are told, and none that only follow from the other file's. */
      {"provider a { kind = \"shh\" hosts = [\"h\"] }", "provider a { leave = \"x\" }\nprovider c { }",
       "E0223 yours 1:21 no kind of provider is called `shh`\n"
       "E0209 repository 1:22 `leave` wants a whole number, not a string\n"},
  };
  CHECK(rows, DK_HOSTS_AS_TRUSTED);
}

static void test_trusted(void **state) {
  (void)state;
  put("repo/conf", "");
  put("conf", "");
  static const struct row rows[] = {
      {USER, "provider c { kind = \"ssh\" hosts = [\"x\"] user = \"u\" }\nprovider a { leave = 3 hosts = [\"h2\"] }",
       "c.x ssh user=u repository:1\na.h2 ssh leave=3 gpus=2 nice=5 hours=20:00-08:00 yours:1 repository:2\n"},
      /* With `kind` it takes the place of the user's. */
      {USER, "provider a { kind = \"pool\" hosts = [\"h1\"] }", "a.h1 pool repository:1\n"},
      {USER, "provider c { kind = \"ssh\" hosts = [\"h1\", \"h2\"] }\nprovider a { }",
       "E0225 repository 1:36 host `h1` is in provider `a` too\nE0225 repository 1:42 host `h2` is in provider `a` "
       "too\n"},
      {NULL, "provider local { leave = 1 }\nprovider here { kind = \"local\" }",
       "E0225 repository 2:10 this machine is in provider `local` too\n"},
      {USER, "provider c { hosts = [\"h1\"] }", "E0208 repository 1:10 this provider lacks `kind`\n"},
      {USER, "provider a { user = \"u\" }",
       "E0226 repository 1:14 `user` of provider `a` is not for a repository to say\n"},
      {USER, "provider a { leave = 1 }",
       "E0226 repository 1:22 `leave` of provider `a` may only be raised here, not set to 1\n"},
      {NULL, "provider c { kind = \"ssh\" hosts = [\"x\"] config = \"conf\" }",
       "E0224 repository 1:50 `config` wants the path of a file for `ssh -F`: it lies in the repository, where a "
       "checkout "
       "could change it after it was trusted\n"},
      {NULL, "provider c { kind = \"ssh\" hosts = [\"x\"] config = \"../conf\" }",
       "c.x ssh config=/conf repository:1\n"},
  };
  CHECK(rows, DK_HOSTS_AS_IF_TRUSTED);
}

/* Trust is of the bytes: the file's, and of what it imports. */
static void test_trust_ends(void **state) {
  struct dk_hosts hosts;
  struct dk_error error = {0};
  (void)state;
  put_both(NULL, "import \"./more.dk\" as more\nprovider c { kind = \"ssh\" hosts = more.hosts }");
  put("repo/more.dk", "let hosts = [\"x\"]");
  assert_int_equal(dk_hosts_load(at("repo"), &hosts, &error), -EINVAL);
  assert_true(hosts.is_declared);
  assert_false(hosts.is_trusted);
  assert_int_equal(hosts.n_read, 2);
  assert_string_equal(hosts.read[0], "providers.dk");
  assert_string_equal(hosts.read[1], "more.dk");
  assert_int_equal(dk_trust_set(at("repo"), &hosts.digest, &error), 1);
  dk_hosts_finish(&hosts);

  assert_int_equal(dk_hosts_load(at("repo"), &hosts, &error), 0);
  assert_true(hosts.is_trusted);
  assert_int_equal(hosts.n, 1);
  dk_hosts_finish(&hosts);

  put("repo/more.dk", "let hosts = [\"y\"]");
  assert_int_equal(dk_hosts_load(at("repo"), &hosts, &error), -EINVAL);
  assert_false(hosts.is_trusted);
  dk_hosts_finish(&hosts);
  put("repo/more.dk", "let hosts = [\"x\"]");
  assert_int_equal(dk_hosts_load(at("repo"), &hosts, &error), 0);
  dk_hosts_finish(&hosts);
}

static void says(int code, const char *part) {
  dk_autobuf got = DK_BUF_INIT;
  load_as(DK_HOSTS_AS_TRUSTED, &got);
  if (!strstr(dk_buf_text(&got), part)) fail_msg("`%s` is not in: %s", part, dk_buf_text(&got));
  struct dk_hosts hosts;
  assert_int_equal(dk_hosts_load(at("repo"), &hosts, NULL), code);
  dk_hosts_finish(&hosts);
}

static void test_odd_files(void **state) {
  (void)state;
  const char *user = at("config/dkrun/providers.dk");
  char kept[256];
  strcpy(kept, user);
  put_both(A "}", NULL);
  assert_int_equal(chmod(kept, 0660), 0);
  says(-EINVAL, "can be written to by others");
  if (geteuid() == 0) {
    assert_int_equal(chmod(kept, 0600), 0);
    assert_int_equal(chown(kept, 12345, (gid_t)-1), 0);
    says(-EINVAL, "belongs to somebody else");
  }
  assert_int_equal(unlink(kept), 0);
  assert_int_equal(symlink("nothing", kept), 0);
  says(-EINVAL, "is a link that leads nowhere");
  assert_int_equal(unlink(kept), 0);
  assert_int_equal(mkdir(kept, 0700), 0);
  says(-EINVAL, "it is a directory");
  assert_int_equal(rmdir(kept), 0);
  assert_int_equal(mkfifo(kept, 0600), 0);
  says(-EINVAL, "it is no regular file");
  assert_int_equal(unlink(kept), 0);
  put("config/dkrun/providers.dk", "\x7f"
                                   "ELF\xff\xfe");
  says(-EINVAL, "E0703 yours");
  assert_int_equal(truncate(kept, (off_t)17 << 20), 0);
  says(-EINVAL, "E0702 yours");
  assert_int_equal(unlink(kept), 0);
  /* The repository's may be its group's: it says nothing that the user does not let it. */
  put_both(A "}", "provider a { leave = 1 }");
  assert_int_equal(chmod(at("repo/providers.dk"), 0664), 0);
  says(0, "a.h ssh leave=1");
  /* A repository of configuration: one file, which is the user's. */
  struct dk_hosts hosts;
  assert_int_equal(dk_hosts_load(at("config/dkrun"), &hosts, NULL), 0);
  assert_null(hosts.root_file);
  assert_int_equal(hosts.n, 1);
  dk_hosts_finish(&hosts);
}

/* A thousand providers of a thousand hosts each, all the same: many errors, soon. */
static void test_hostile(void **state) {
  dk_autobuf text = DK_BUF_INIT;
  struct dk_hosts hosts;
  (void)state;
  dk_buf_add_text(&text, "let l = [\"h{{i}}\" for i in 1..1000]\n");
  for (int i = 0; i < 1100; i++) dk_buf_printf(&text, "provider p%d { kind = \"pool\" hosts = l }\n", i);
  put_both(NULL, dk_buf_text(&text));
  assert_int_equal(dk_hosts_load_as(at("repo"), DK_HOSTS_AS_IF_TRUSTED, &hosts, NULL), -EINVAL);
  /* Each but the first has each host again, and there is one provider too many. */
  assert_int_equal(dk_hosts_diags(&hosts, DK_HOSTS_ROOT)->n_errors, 999 * 1000 + 1);
  dk_hosts_finish(&hosts);
}

/* Whatever allocation fails, the answer is the same or -ENOMEM. */
static void test_memory(void **state) {
  (void)state;
  put_both(
      USER,
      "import std.hardware as hw\nprovider a { hosts = [\"h1\"] hours = \"21:00-22:00\" }\nprovider b { leave = 9 }");
  uint64_t n_failed = 0;
  for (uint64_t n = 1;; n++) {
    struct dk_hosts hosts;
    struct dk_error error = {0};
    dk_alloc_fail_once(n);
    int r = dk_hosts_load(at("repo"), &hosts, &error);
    bool is_over = dk_alloc_count() < n;
    dk_alloc_fail_at(0);
    if (r == 0)
      assert_int_equal(hosts.n, 2);
    else if (r != -ENOMEM)
      fail_msg("allocation %llu: %d %s", (unsigned long long)n, r, error.text);
    n_failed += r < 0;
    dk_hosts_finish(&hosts);
    if (is_over) break;
  }
  assert_true(n_failed > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_user, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_user_wrong, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_trusted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_trust_ends, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_odd_files, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What of a pinned tree a pattern means, its digest, and writing it out. */
#include "tests/unit/source/fixture.h"

#include "engine/source/code_private.h"

#include <errno.h>
#include <unistd.h>

/* libgit2 1.5 leaks a few bytes when it refuses the path of a tree's entry (git_index_read_tree). */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() (void)0
#define __lsan_enable() (void)0
#endif

static struct dk_snapshot snapshot;

static int take(void **state) {
  if (fx_setup(state)) return -1;
  fx_repo("r");
  fx_sh("cd r && mkdir -p exp/lib data && echo m >exp/main.py && echo l >exp/lib/l.py && echo d >exp/exp.dk && echo "
        "lock >dk.lock && "
        "echo p >providers.dk && echo v >data/v.csv && ln -s main.py exp/alias.py && ln -s ../data exp/out && git add "
        "-A && git commit -qm more");
  fx_take("r", &snapshot);
  return 0;
}

static int drop(void **state) {
  dk_snapshot_finish(&snapshot);
  return fx_teardown(state);
}

static void test_glob(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *path;
    bool matches;
  } cases[] = {
      {"*.py", "a.py", true},
      {"*.py", "m/a.py", false},
      {"**.py", "m/a.py", true},
      {"**/*.py", "a.py", true},
      {"**/*.py", "m/n/a.py", true},
      {"m/**", "m/a", true},
      {"m/**", "m/a/b", true},
      {"m/**", "mm/a", false},
      {"m/**/x", "m/x", true},
      {"m/**/x", "m/a/b/x", true},
      {"m/**/x", "m/a/xx", false},
      {"m/**/x", "m/axx/x", true},
      {"?.py", "a.py", true},
      {"?.py", "/.py", false},
      {"a?b", "a/b", false},
      {"*", "abc", true},
      {"*", "a/c", false},
      {"*a*b*", "xaxbx", true},
      {"*a*b*", "xbxax", false},
      {"**", "a/b/c", true},
      {"a**b", "a/x/b", true},
      {"a**/b", "ab", false},
      {"a**/b", "a/x/b", true},
      {"**/a/**/b", "x/a/y/z/b", true},
      {"**/a/**/b", "a/b", true},
      {"**/a/**/b", "xa/b", false},
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"**/*test*.py", "a/b/mytest1.py", true},
      {"*.*.*", "a.b.c", true},
      {"x*/y", "x/y", true},
      {"x*/y", "x/z/y", false},
      {"**/x*y/*.c", "q/xay/b/xby/k.c", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (dk_code_glob(cases[i].pattern, cases[i].path) != cases[i].matches)
      fail_msg("`%s` against `%s` is not %d", cases[i].pattern, cases[i].path, cases[i].matches);
}

/* How many files a pattern means, from dir. */
static uint32_t count(const char *dir, const char *pattern) {
  struct dk_digest digest;
  struct dk_error error = {.code = 0};
  uint32_t n = 0;
  if (dk_code_digest(snapshot.code, dir, &pattern, 1, &digest, &n, &error)) fail_msg("%s: %s", pattern, error.text);
  return n;
}

static void test_patterns(void **state) {
  (void)state;
  assert_int_equal(count("", "a.py"), 1);
  assert_int_equal(count("", "./a.py"), 1);
  assert_int_equal(count("", "model"), 2);
  assert_int_equal(count("", "model/"), 2);
  assert_int_equal(count("", "model//sub/./"), 1);
  assert_int_equal(count("", "*.py"), 1);
  assert_int_equal(count("", "mod*/*.py"), 1);
  assert_int_equal(count("", "mod*/**/*.py"), 2);
  assert_int_equal(count("", "mod*/"), 2);
  assert_int_equal(count("exp", "main.py"), 1);
  assert_int_equal(count("exp", "lib"), 1);
  assert_int_equal(count("exp", "*.py"), 2);
  assert_int_equal(count("data", "."), 1);
}

static void test_dk_files_never_match(void **state) {
  (void)state;
  const char *pattern = "*.dk";
  struct dk_digest digest;
  struct dk_error error;
  assert_int_equal(dk_code_digest(snapshot.code, "", &pattern, 1, &digest, NULL, &error), -ENOENT);
  assert_non_null(strstr(error.text, "experiment"));
  pattern = "dk.lock";
  assert_int_equal(dk_code_digest(snapshot.code, "", &pattern, 1, &digest, NULL, &error), -ENOENT);
  assert_int_equal(count("", "*"), 4); /* .gitignore README.md a.py run.sh */
}

static int digest_error(const char *dir, const char *pattern, struct dk_error *error) {
  struct dk_digest digest;
  return dk_code_digest(snapshot.code, dir, &pattern, 1, &digest, NULL, error);
}

static void test_nothing_matches(void **state) {
  (void)state;
  struct dk_error error;
  fx_sh("cd r && echo >ignored.log");
  assert_int_equal(digest_error("", "b.py", &error), -ENOENT);
  assert_non_null(strstr(error.text, "did you mean `a.py`"));
  assert_int_equal(digest_error("", "net.py", &error), -ENOENT);
  assert_non_null(strstr(error.text, "did you mean `model/net.py`"));
  assert_int_equal(digest_error("exp", "man.py", &error), -ENOENT);
  assert_non_null(strstr(error.text, "did you mean `main.py`"));
  assert_int_equal(digest_error("", "ignored.log", &error), -ENOENT);
  assert_non_null(strstr(error.text, "ignored"));
  assert_int_equal(digest_error("", "*.cpp", &error), -ENOENT);
  assert_int_equal(digest_error("", "a.py/", &error), -ENOENT);
  assert_int_equal(digest_error("exp", "../a.py", &error), -EINVAL);
  assert_int_equal(digest_error("", "/etc/passwd", &error), -EINVAL);
  assert_int_equal(digest_error("", "", &error), -EINVAL);
}

static void test_links(void **state) {
  (void)state;
  struct dk_error error;
  assert_int_equal(digest_error("exp", "out", &error), -EINVAL); /* leaves exp */
  assert_non_null(strstr(error.text, "exp/out"));
  assert_int_equal(count("", "exp"), 4); /* from the root it stays inside */
}

static void test_digest_follows_what_matters(void **state) {
  (void)state;
  struct dk_digest before, after;
  const char *const patterns[] = {"model", "run.sh"};
  const char *const reversed[] = {"run.sh", "model/", "model/net.py"};
  struct dk_snapshot other;
  assert_int_equal(dk_code_digest(snapshot.code, "", patterns, 2, &before, NULL, NULL), 0);
  assert_int_equal(dk_code_digest(snapshot.code, "", reversed, 3, &after, NULL, NULL), 0);
  assert_true(dk_digest_equal(&before, &after));
  static const struct {
    const char *script;
    bool changes;
  } cases[] = {
      {"echo >>README.md", false},   {"echo >>exp.dk", false},      {"echo n >model/new.py", true},
      {"rm model/new.py", false},    {"chmod -x run.sh", true},     {"chmod +x run.sh", false},
      {"echo >>model/net.py", true}, {"git checkout model", false}, {"git mv model/net.py model/nets.py", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fx_sh("cd r && %s", cases[i].script);
    fx_take("r", &other);
    assert_int_equal(dk_code_digest(other.code, "", patterns, 2, &after, NULL, NULL), 0);
    if (dk_digest_equal(&before, &after) == cases[i].changes) fail_msg("after `%s`", cases[i].script);
    dk_snapshot_finish(&other);
  }
  /* The folder that it is taken from is not part of it. */
  fx_sh(
      "cd r && git checkout -q . && git reset -q --hard && cp -r exp/lib model/ && git add -A && git commit -qm copy");
  fx_take("r", &other);
  const char *lib = "lib";
  assert_int_equal(dk_code_digest(other.code, "exp", &lib, 1, &before, NULL, NULL), 0);
  assert_int_equal(dk_code_digest(other.code, "model", &lib, 1, &after, NULL, NULL), 0);
  assert_true(dk_digest_equal(&before, &after));
  dk_snapshot_finish(&other);
}

static void test_materialise(void **state) {
  (void)state;
  const char *const patterns[] = {"main.py", "lib", "alias.py"};
  const char *all = ".";
  struct dk_error error;
  assert_int_equal(dk_code_materialise(snapshot.code, "exp", patterns, 3, fx_path("out"), &error), 0);
  fx_sh("test \"$(cd out && find . -mindepth 1 | sort | tr '\\n' ' ')\" = './alias.py ./lib ./lib/l.py ./main.py ' && "
        "test \"$(cat out/alias.py)\" = m && test \"$(readlink out/alias.py)\" = main.py");
  assert_int_equal(dk_code_materialise(snapshot.code, "exp", patterns, 3, fx_path("out"), &error), -EEXIST);
  fx_sh("umask 077; exit 0");
  assert_int_equal(dk_code_materialise(snapshot.code, "", &all, 1, fx_path("all"), &error), 0);
  fx_sh("test \"$(stat -c %%a all/run.sh all/a.py | tr '\\n' ' ')\" = '555 444 ' && test ! -e all/exp.dk && test ! -e "
        "all/dk.lock && "
        "cmp all/data/v.csv r/data/v.csv");
  /* It says of itself whether it is as it was written. */
  assert_int_equal(dk_code_tree_look(fx_path("all")), 0);
  assert_int_equal(dk_code_tree_look(fx_path("none")), -ENOENT);
  static const char *const changes[] = {"printf x >>all/data/v.csv", "rm all/data/v.csv",           ": >all/data/new",
                                        "chmod u+w all/a.py",        "ln -sf run.sh all/data/link", "rm -r all/data"};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    fx_sh("%s", changes[i]);
    assert_int_equal(dk_code_tree_look(fx_path("all")), -EBADMSG);
    fx_sh("rm -rf all");
    assert_int_equal(dk_code_materialise(snapshot.code, "", &all, 1, fx_path("all"), &error), 0);
    assert_int_equal(dk_code_tree_look(fx_path("all")), 0);
  }
  /* Nothing stays behind when it fails. */
  const char *out = "out";
  assert_int_equal(dk_code_materialise(snapshot.code, "exp", &out, 1, fx_path("bad"), &error), -EINVAL);
  assert_int_equal(dk_code_materialise(snapshot.code, "exp", &all, 1, fx_path("no/such/place"), &error), -EINVAL);
  assert_int_equal(dk_code_materialise(snapshot.code, "exp", patterns, 1, fx_path("no/such/place"), &error), -ENOENT);
  fx_sh("test -z \"$(find . -name '*.dkrun-*' -o -name bad)\"");
}

static void test_submodule_and_lfs(void **state) {
  (void)state;
  struct dk_snapshot other;
  struct dk_error error;
  struct dk_digest digest;
  const char *sub = "sub", *all = ".", *py = "a.py", *big = "big.bin";
  fx_repo("s");
  fx_repo("q");
  fx_sh("cd q && git -c protocol.file.allow=always submodule --quiet add ../s sub && "
        "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 5\\n' >big.bin && git add -A && "
        "git commit -qm sub",
        0);
  fx_take("q", &other);
  assert_int_equal(other.n_changed, 0);
  assert_int_equal(dk_code_digest(other.code, "", &sub, 1, &digest, NULL, &error), -ENOTSUP);
  assert_non_null(strstr(error.text, "submodule"));
  assert_int_equal(dk_code_digest(other.code, "", &big, 1, &digest, NULL, &error), -ENOTSUP);
  assert_non_null(strstr(error.text, "LFS"));
  assert_int_equal(dk_code_digest(other.code, "", &all, 1, &digest, NULL, &error), -ENOTSUP);
  assert_int_equal(dk_code_digest(other.code, "", &py, 1, &digest, NULL, &error), 0);
  dk_snapshot_finish(&other);
}

/* Trees that git would not make: names that lead out of the folder. */
static void test_hostile_trees(void **state) {
  (void)state;
  /* The first one is a control: a tree that is made like this is fine when its name is. */
  static const char *const names[] = {"fine.py", "..", ".", ".git", ".GIT"};
  struct dk_error error;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char repo[32];
    snprintf(repo, sizeof repo, "h%zu", i);
    fx_repo(repo);
    fx_sh("cd %s && b=$(git hash-object -w a.py) && t=$({ printf '100644 %s\\0'; echo $b | xxd -r -p; } | git "
          "hash-object -t tree -w "
          "--literally --stdin) && c=$(git commit-tree -m bad $t) && git update-ref HEAD $c",
          repo, names[i]);
    /* It is really there, as HEAD's only entry. */
    char *listed = fx_out("cd %s && git ls-tree HEAD", repo);
    char *blob = fx_out("cd %s && git hash-object a.py", repo);
    char wanted[128];
    snprintf(wanted, sizeof wanted, "100644 blob %s\t%s", blob, names[i]);
    assert_string_equal(listed, wanted);
    free(listed);
    free(blob);
    __lsan_disable();
    int err = fx_take_error(repo, NULL, &error);
    __lsan_enable();
    if (i == 0) {
      assert_int_equal(err, 0);
      continue;
    }
    assert_int_not_equal(err, 0);
    snprintf(wanted, sizeof wanted, "invalid path: '%s'", names[i]);
    if (!strstr(error.text, wanted)) fail_msg("%s: %s", names[i], error.text);
  }
}

/* The tree of HEAD as it is, without looking at the work tree (which can never be like a tree that git would not
 * make). */
static struct dk_code_repo *open_head(const char *name) {
  struct dk_repo *repo;
  struct dk_odb odb;
  struct dk_code_repo *code;
  struct dk_error error;
  if (dk_repo_open(fx_path(name), &repo, &error) || dk_odb_open(&odb, repo->git, NULL, &error) ||
      dk_code_open(&odb, &repo->head_id, repo->root, &code, &error))
    fail_msg("%s", error.text);
  dk_repo_close(repo);
  return code;
}

/* A link and a folder of one name: files must not go through the link, wherever it leads. */
static void test_link_and_folder_of_one_name(void **state) {
  (void)state;
  static const struct {
    const char *target;
    int expected;
  } cases[] = {{"../victim", -EINVAL}, {"e", -EEXIST}};
  struct dk_error error;
  const char *all = ".";
  fx_sh("mkdir victim");
  for (size_t i = 0; i < 2; i++) {
    char repo[16];
    snprintf(repo, sizeof repo, "t%zu", i);
    fx_repo(repo);
    fx_sh("cd %s && l=$(printf %s | git hash-object -w --stdin) && f=$(git hash-object -w a.py) && "
          "s=$(printf '100644 blob %%s\\tx\\n' $f | git mktree) && e=$(printf '100644 blob %%s\\ty\\n' $f | git "
          "mktree) && "
          "t=$({ printf '120000 d\\0'; echo $l | xxd -r -p; printf '40000 d\\0'; echo $s | xxd -r -p; "
          "printf '40000 e\\0'; echo $e | xxd -r -p; } | git hash-object -t tree -w --literally --stdin) && "
          "git update-ref HEAD $(git commit-tree -m bad $t)",
          repo, cases[i].target);
    struct dk_code_repo *code = open_head(repo);
    assert_true(dk_code_has(code, "d/x"));
    assert_int_equal(dk_code_materialise(code, "", &all, 1, fx_path("o"), &error), cases[i].expected);
    dk_code_close(code);
    fx_sh("test -z \"$(ls victim)\" && test ! -e o");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_glob),
      cmocka_unit_test_setup_teardown(test_patterns, take, drop),
      cmocka_unit_test_setup_teardown(test_dk_files_never_match, take, drop),
      cmocka_unit_test_setup_teardown(test_nothing_matches, take, drop),
      cmocka_unit_test_setup_teardown(test_links, take, drop),
      cmocka_unit_test_setup_teardown(test_digest_follows_what_matters, take, drop),
      cmocka_unit_test_setup_teardown(test_materialise, take, drop),
      cmocka_unit_test_setup_teardown(test_submodule_and_lfs, fx_setup, fx_teardown),
      cmocka_unit_test_setup_teardown(test_hostile_trees, fx_setup, fx_teardown),
      cmocka_unit_test_setup_teardown(test_link_and_folder_of_one_name, fx_setup, fx_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

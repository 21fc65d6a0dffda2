/* Finding the user's repository, and what is no repository to run from. */
#include "tests/unit/source/fixture.h"

#include <errno.h>

static void test_found_from_anywhere_inside(void **state) {
  (void)state;
  struct dk_repo *repo;
  struct dk_error error;
  fx_repo("r");
  char *head = fx_out("git -C r rev-parse HEAD");
  const char *const from[] = {"r", "r/model/sub", "r/exp.dk", "r/not-there.dk", "r/model/"};
  for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
    assert_int_equal(dk_repo_open(fx_path(from[i]), &repo, &error), 0);
    assert_string_equal(dk_repo_root(repo), fx_path("r"));
    assert_string_equal(dk_repo_head(repo), head);
    assert_string_equal(dk_repo_branch(repo), "main");
    dk_repo_close(repo);
  }
  free(head);
}

static void test_detached(void **state) {
  (void)state;
  struct dk_repo *repo;
  fx_repo("r");
  fx_sh("git -C r checkout -q --detach");
  assert_int_equal(dk_repo_open(fx_path("r"), &repo, NULL), 0);
  assert_null(dk_repo_branch(repo));
  dk_repo_close(repo);
}

static void test_what_cannot_be_used(void **state) {
  (void)state;
  struct dk_repo *repo;
  struct dk_error error;
  fx_sh("mkdir none empty && git -C empty init -q && git init -q --bare bare");
  assert_int_equal(dk_repo_open(fx_path("none"), &repo, &error), -ENOENT);
  assert_non_null(strstr(error.text, "help: git init"));
  assert_null(repo);
  assert_int_equal(dk_repo_open(fx_path("empty"), &repo, &error), -ENODATA);
  assert_non_null(strstr(error.text, "git commit"));
  assert_int_equal(dk_repo_open(fx_path("bare"), &repo, &error), -ENOTSUP);
  assert_non_null(strstr(error.text, "bare"));
  dk_repo_close(NULL);
}

static void test_broken_repository_is_a_message(void **state) {
  (void)state;
  struct dk_repo *repo;
  struct dk_error error;
  fx_repo("r");
  fx_sh("cd r && echo rubbish >.git/refs/heads/main");
  assert_true(dk_repo_open(fx_path("r"), &repo, &error) < 0);
  assert_true(strlen(error.text) > 10);
}

/* git itself would refuse this one (safe.directory); it is only read here, and nothing of it is run. */
static void test_other_owner(void **state) {
  (void)state;
  struct dk_repo *repo;
  struct dk_error error;
  fx_repo("r");
  if (system("test \"$(id -u)\" = 0") != 0) skip();
  fx_sh("chown -R 12345 r");
  assert_int_equal(dk_repo_open(fx_path("r"), &repo, &error), 0);
  dk_repo_close(repo);
}

static void test_worktree(void **state) {
  (void)state;
  struct dk_repo *repo;
  fx_repo("r");
  fx_sh("git -C r worktree add -q -b side ../w");
  assert_int_equal(dk_repo_open(fx_path("w/model"), &repo, NULL), 0);
  assert_string_equal(dk_repo_root(repo), fx_path("w"));
  assert_string_equal(dk_repo_branch(repo), "side");
  dk_repo_close(repo);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_found_from_anywhere_inside, fx_setup, fx_teardown),
      cmocka_unit_test_setup_teardown(test_detached, fx_setup, fx_teardown),
      cmocka_unit_test_setup_teardown(test_what_cannot_be_used, fx_setup, fx_teardown),
      cmocka_unit_test_setup_teardown(test_broken_repository_is_a_message, fx_setup, fx_teardown),
      cmocka_unit_test_setup_teardown(test_other_owner, fx_setup, fx_teardown),
      cmocka_unit_test_setup_teardown(test_worktree, fx_setup, fx_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

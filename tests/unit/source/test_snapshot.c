/* Snapshots of real repositories: what is taken, what is left out, what is refused, and that the user's repository is
 * never written. */
#include "tests/unit/source/fixture.h"

#include "engine/source/worktree.h"

#include <errno.h>
#include <unistd.h>

/* Everything of the user's .git: names, sizes, times to the nanosecond. */
#define LISTING "cd r && find .git -printf '%%p %%s %%T@ %%C@ %%m\\n' | sort | sha256sum"

static void test_clean(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  fx_repo("r");
  char *head = fx_out("git -C r rev-parse HEAD");
  char *before = fx_out(LISTING);
  for (int again = 0; again < 2; again++) {
    fx_take("r", &snapshot);
    assert_string_equal(snapshot.commit, head);
    assert_string_equal(snapshot.pinned, head);
    assert_int_equal(snapshot.n_changed, 0);
    assert_int_equal(snapshot.n_left_out, 0);
    assert_true(dk_code_has(snapshot.code, "model/sub/x.py"));
    dk_snapshot_finish(&snapshot);
  }
  char *after = fx_out(LISTING);
  assert_string_equal(before, after);
  /* dkrun's own repository is a sound one, and stands by itself. */
  fx_sh("mv r/.git gone && cd r/.dkrun/git && git fsck --strict && git cat-file -e %s:model/net.py && git log "
        "--oneline %s",
        head, head);
  free(head);
  free(before);
  free(after);
}

static void test_dirty(void **state) {
  (void)state;
  struct dk_snapshot one, two;
  dk_autobuf text = DK_BUF_INIT;
  fx_repo("r");
  fx_sh(
      "cd r && echo more >>a.py && git rm -q README.md && echo new >new.py && echo staged >staged.py && git add "
      "staged.py && "
      "rm model/net.py && chmod -x run.sh && ln -s a.py link.py && echo log >x.log && mkdir build && echo o >build/o");
  char *before = fx_out(LISTING);
  fx_take("r", &one);
  char *after = fx_out(LISTING);
  assert_string_equal(before, after);
  assert_string_not_equal(one.pinned, one.commit);
  const char *const changed[] = {"README.md", "a.py", "link.py", "model/net.py", "new.py", "run.sh", "staged.py"};
  assert_int_equal(one.n_changed, 7);
  for (size_t i = 0; i < 7; i++) assert_string_equal(one.changed[i], changed[i]);
  assert_int_equal(dk_code_read(one.code, "a.py", &text, NULL), 0);
  assert_string_equal(text.data, "print(1)\nmore\n");
  assert_false(dk_code_has(one.code, "README.md"));
  assert_false(dk_code_has(one.code, "model/net.py"));
  assert_false(dk_code_has(one.code, "x.log"));
  assert_false(dk_code_has(one.code, "build"));
  assert_true(dk_code_has(one.code, "model"));
  /* The same content gives the same id, whatever the times. */
  fx_sh("cd r && touch -d '2001-01-01' a.py new.py");
  fx_take("r", &two);
  assert_string_equal(one.pinned, two.pinned);
  /* What git makes of the same files is the same tree. */
  char *tree = fx_out("cd r && export GIT_INDEX_FILE=../index && git add -A && git write-tree");
  char *pinned = fx_out("cd r/.dkrun/git && git fsck --strict >&2 && git rev-parse %s^{tree}", one.pinned);
  assert_string_equal(strrchr(pinned, '\n') ? strrchr(pinned, '\n') + 1 : pinned, tree);
  fx_sh("cd r/.dkrun/git && git diff --stat %s^ %s", one.pinned, one.pinned);
  dk_snapshot_finish(&one);
  dk_snapshot_finish(&two);
  free(before);
  free(after);
  free(tree);
  free(pinned);
}

static void test_touched_is_clean(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  fx_repo("r");
  /* Also: staged, and then taken back in the work tree. */
  fx_sh("cd r && touch -d '2001-01-01' a.py && echo more >>model/net.py && git add -A && echo net >model/net.py");
  fx_take("r", &snapshot);
  assert_int_equal(snapshot.n_changed, 0);
  assert_string_equal(snapshot.pinned, snapshot.commit);
  dk_snapshot_finish(&snapshot);
}

static void test_untracked_after_rm_cached(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  fx_repo("r");
  fx_sh("cd r && git rm -q --cached a.py model/net.py && echo model/net.py >>.gitignore");
  fx_take("r", &snapshot);
  assert_true(dk_code_has(snapshot.code, "a.py"));          /* untracked: taken, so no change */
  assert_false(dk_code_has(snapshot.code, "model/net.py")); /* ignored now */
  assert_false(fx_in(snapshot.changed, snapshot.n_changed, "a.py"));
  assert_true(fx_in(snapshot.changed, snapshot.n_changed, "model/net.py"));
  dk_snapshot_finish(&snapshot);
}

static void test_kinds_change_places(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  dk_autobuf text = DK_BUF_INIT;
  fx_repo("r");
  fx_sh("cd r && rm a.py && mkdir a.py && echo in >a.py/in && rm -r model && echo file >model && rm run.sh && ln -s "
        "exp.dk run.sh");
  fx_take("r", &snapshot);
  assert_true(dk_code_has(snapshot.code, "a.py/in"));
  assert_int_equal(dk_code_read(snapshot.code, "a.py", &text, NULL), -ENOENT);
  assert_int_equal(dk_code_read(snapshot.code, "model", &text, NULL), 0);
  assert_string_equal(text.data, "file\n");
  assert_int_equal(dk_code_read(snapshot.code, "run.sh", &text, NULL), 0);
  assert_string_equal(text.data, "exp.dk");
  dk_snapshot_finish(&snapshot);
}

static void test_secrets_are_left_out(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  static const char *const names[] = {".env",        ".env.local",       "prod.env",    "sub/.env",
                                      "tls.pem",     "x/id_rsa",         "ID_RSA.pub",  "my.key",
                                      ".ssh/config", ".aws/credentials", "venv/.netrc", "Service-Account-1.json"};
  fx_repo("r");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    fx_sh("cd r && mkdir -p \"$(dirname '%s')\" && echo s >'%s'", names[i], names[i]);
  fx_sh("cd r && echo ok >environment.yml && echo ok >keys.py && git init -q nested && echo n >nested/n.py");
  fx_take("r", &snapshot);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!fx_in(snapshot.left_out, snapshot.n_left_out, names[i])) fail_msg("%s is not listed", names[i]);
    if (dk_code_has(snapshot.code, names[i])) fail_msg("%s was taken", names[i]);
  }
  assert_true(fx_in(snapshot.left_out, snapshot.n_left_out, "nested/"));
  assert_int_equal(snapshot.n_left_out, sizeof names / sizeof *names + 1);
  assert_int_equal(snapshot.n_changed, 2);
  assert_false(dk_code_has(snapshot.code, "nested"));
  dk_snapshot_finish(&snapshot);
}

static void test_own_folder_is_never_taken(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  fx_repo("r");
  fx_sh("cd r && printf '' >.gitignore && git commit -qam ignore && mkdir -p .dkrun/store && echo x "
        ">.dkrun/store/data.mdb");
  fx_take("r", &snapshot);
  assert_int_equal(snapshot.n_changed, 0);
  assert_int_equal(snapshot.n_left_out, 0);
  dk_snapshot_finish(&snapshot);
}

static void test_caps(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  struct dk_error error;
  fx_repo("r");
  fx_sh("cd r && head -c 1048576 /dev/zero >just.bin");
  fx_take("r", &snapshot);
  assert_int_equal(snapshot.n_changed, 1);
  dk_snapshot_finish(&snapshot);
  fx_sh("cd r && echo >>just.bin");
  assert_int_equal(fx_take_error("r", NULL, &error), -EFBIG);
  assert_non_null(strstr(error.text, "just.bin"));
  assert_non_null(strstr(error.text, ".gitignore"));
  assert_non_null(strstr(error.text, "leave it out by .gitignore (echo /just.bin >> .gitignore)"));
  /* Some: how many, and the folder that they have in common, where nothing of the repository is in it. */
  fx_sh("cd r && rm just.bin && mkdir -p out/a out/b && for i in 1 2 3; do truncate -s 2M out/a/$i out/b/$i; done");
  assert_int_equal(fx_take_error("r", NULL, &error), -EFBIG);
  assert_non_null(strstr(error.text, "6 untracked files are too large"));
  assert_non_null(strstr(error.text, "and 1 more\nhelp: leave them out by .gitignore (echo /out/ >> .gitignore), or"));
  fx_sh("cd r && touch out/code.py && git add out/code.py");
  assert_int_equal(fx_take_error("r", NULL, &error), -EFBIG);
  assert_non_null(strstr(error.text, "(echo /out/a/1 >> .gitignore, and so for 5 more)"));
  fx_sh("cd r && git rm -qf out/code.py && rm -r out && touch just.bin");
  /* Many small ones. */
  fx_sh("cd r && rm just.bin && mkdir many && for i in $(seq 21); do head -c 999999 /dev/zero >many/$i; done");
  assert_int_equal(fx_take_error("r", NULL, &error), -EFBIG);
  assert_non_null(strstr(error.text, "21 untracked files"));
  assert_non_null(strstr(error.text, "(echo /many/1 >> .gitignore)"));
  fx_sh("cd r && rm many/21");
  assert_int_equal(fx_take_error("r", NULL, &error), 0);
  /* A tracked file may be of any size. */
  fx_sh("cd r && rm -r many && head -c 3000000 /dev/zero >>a.py");
  assert_int_equal(fx_take_error("r", NULL, &error), 0);
}

/* The caps are looked at by status; a file may be longer by the time it is read. */
static void test_grown_since_status(void **state) {
  (void)state;
  struct dk_error error = {0};
  struct dk_repo *repo;
  struct dk_odb odb;
  struct dk_changes changes;
  git_commit *head;
  git_tree *tree;
  fx_repo("r");
  fx_sh("cd r && echo small >new.bin");
  assert_int_equal(dk_repo_open(fx_path("r"), &repo, &error), 0);
  assert_int_equal(dk_odb_open(&odb, repo->git, NULL, &error), 0);
  assert_int_equal(git_commit_lookup(&head, repo->git, &repo->head_id), 0);
  assert_int_equal(git_commit_tree(&tree, head), 0);
  assert_int_equal(dk_worktree_status(repo, tree, &changes, &error), 0);
  assert_int_equal(changes.n, 1);
  assert_int_equal(changes.items[0].size, 6);
  fx_sh("cd r && head -c 1000000 /dev/zero >new.bin");
  assert_int_equal(dk_worktree_read(repo, odb.all, &changes.items[0], 999999, &error), -EFBIG);
  assert_int_equal(changes.items[0].size, 1000000);
  assert_int_equal(changes.items[0].mode, 0);
  assert_non_null(strstr(error.text, "new.bin"));
  assert_int_equal(dk_worktree_read(repo, odb.all, &changes.items[0], 1000000, &error), 0);
  assert_int_equal(changes.items[0].mode, GIT_FILEMODE_BLOB);
  fx_sh("cd r && echo small again >new.bin");
  assert_int_equal(dk_worktree_read(repo, odb.all, &changes.items[0], 1000000, &error), 0);
  assert_int_equal(changes.items[0].size, 12);
  dk_changes_finish(&changes);
  git_tree_free(tree);
  git_commit_free(head);
  dk_odb_close(&odb);
  dk_repo_close(repo);
}

static void test_refuse_dirty(void **state) {
  (void)state;
  struct dk_error error;
  const struct dk_snapshot_options clean = {.refuse_dirty = true};
  fx_repo("r");
  assert_int_equal(fx_take_error("r", &clean, &error), 0);
  fx_sh("cd r && for i in 1 2 3 4 5 6 7; do echo >new$i.py; done");
  assert_int_equal(fx_take_error("r", &clean, &error), -EBUSY);
  assert_non_null(strstr(error.text, "new1.py"));
  assert_non_null(strstr(error.text, "2 more"));
  fx_sh("cd r && rm new* && echo >>a.py");
  assert_int_equal(fx_take_error("r", &clean, &error), -EBUSY);
  assert_non_null(strstr(error.text, "a.py"));
}

static void test_dry_run_writes_nothing(void **state) {
  (void)state;
  struct dk_repo *repo;
  struct dk_snapshot dry, real;
  const struct dk_snapshot_options options = {.dry_run = true};
  dk_autobuf text = DK_BUF_INIT;
  fx_repo("r");
  fx_sh("cd r && echo new >new.py && echo >>a.py");
  char *before = fx_out("find r | sort");
  assert_int_equal(dk_repo_open(fx_path("r"), &repo, NULL), 0);
  assert_int_equal(dk_snapshot_take(repo, fx_path("r/.dkrun"), &options, &dry, NULL), 0);
  dk_repo_close(repo);
  char *after = fx_out("find r | sort");
  assert_string_equal(before, after);
  assert_int_equal(dk_code_read(dry.code, "new.py", &text, NULL), 0);
  assert_string_equal(text.data, "new\n");
  fx_take("r", &real);
  assert_string_equal(dry.pinned, real.pinned);
  dk_snapshot_finish(&dry);
  dk_snapshot_finish(&real);
  free(before);
  free(after);
}

static void test_odd_names(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  static const char *const names[] = {"new\nline.py", "no\xffutf8.py", " space ",     "-dash",    "quote'\".py",
                                      "tab\t.py",     "\xc3\xa9.py",   "back\\slash", "star*.py", "[x].py"};
  fx_repo("r");
  fx_sh("mkdir r/odd");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s/r/odd/%s", fx, names[i]);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("odd\n", file);
    fclose(file);
  }
  fx_take("r", &snapshot);
  assert_int_equal(snapshot.n_changed, sizeof names / sizeof *names);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[64];
    snprintf(path, sizeof path, "odd/%s", names[i]);
    assert_true(dk_code_has(snapshot.code, path));
  }
  char *tree = fx_out("cd r && export GIT_INDEX_FILE=../index && git add -A && git write-tree");
  char *pinned = fx_out("cd r/.dkrun/git && git rev-parse %s^{tree}", snapshot.pinned);
  assert_string_equal(tree, pinned);
  dk_snapshot_finish(&snapshot);
  free(tree);
  free(pinned);
}

static void test_merge_conflict(void **state) {
  (void)state;
  struct dk_error error;
  fx_repo("r");
  fx_sh("cd r && git checkout -q -b other && echo other >a.py && git commit -qam other && git checkout -q main && echo "
        "main >a.py && "
        "git commit -qam main && { git merge -q other || true; }");
  assert_int_equal(fx_take_error("r", NULL, &error), -EBUSY);
  assert_non_null(strstr(error.text, "a.py"));
  assert_non_null(strstr(error.text, "conflict"));
}

static void test_line_endings_as_git_keeps_them(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  dk_autobuf text = DK_BUF_INIT;
  fx_repo("r");
  fx_sh("cd r && echo '*.py text eol=crlf' >.gitattributes && git add -A && git commit -qm attributes && rm a.py && "
        "git checkout -q a.py "
        "&& printf 'one\\r\\ntwo\\r\\n' >new.py");
  fx_take("r", &snapshot);
  assert_int_equal(snapshot.n_changed, 1);
  assert_int_equal(dk_code_read(snapshot.code, "new.py", &text, NULL), 0);
  assert_string_equal(text.data, "one\ntwo\n");
  dk_snapshot_finish(&snapshot);
}

static void test_without_file_modes(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  fx_repo("r");
  fx_sh("cd r && git config core.filemode false && chmod +x a.py && chmod -x run.sh && echo >>run.sh && echo >>a.py");
  fx_take("r", &snapshot);
  assert_int_equal(snapshot.n_changed, 2);
  char *modes = fx_out("cd r/.dkrun/git && git ls-tree %s a.py run.sh | cut -c1-6 | tr '\\n' ' '", snapshot.pinned);
  assert_string_equal(modes, "100644 100755 ");
  dk_snapshot_finish(&snapshot);
  free(modes);
}

/* The file in the work tree is the content; the pointer is what git has. Here without git-lfs: the filter is emulated
 * by hand. */
static void test_lfs_changed_file_stays_a_pointer(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  dk_autobuf text = DK_BUF_INIT;
  fx_repo("r");
  fx_sh("cd r && echo '*.bin filter=lfs -text' >.gitattributes && printf 'payload' >big.bin && "
        "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%%s\\nsize 7\\n' $(sha256sum <big.bin | cut "
        "-d' ' -f1) >../ptr && "
        "git add .gitattributes && git update-index --add --cacheinfo 100644,$(git hash-object -w --no-filters "
        "../ptr),big.bin && "
        "git commit -qm lfs");
  fx_take("r", &snapshot); /* the smudged file has the pointer's content: no change */
  assert_int_equal(snapshot.n_changed, 0);
  dk_snapshot_finish(&snapshot);
  fx_sh("cd r && printf 'another' >big.bin");
  fx_take("r", &snapshot);
  assert_int_equal(snapshot.n_changed, 1);
  assert_int_equal(dk_code_read(snapshot.code, "big.bin", &text, NULL), 0);
  assert_non_null(strstr(text.data, "size 7\n"));
  assert_null(strstr(text.data, "another"));
  dk_snapshot_finish(&snapshot);
}

static void test_from_worktree_and_shared_clone(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  fx_repo("r");
  fx_sh("git -C r worktree add -q ../w && git clone -q --shared r s && echo >>w/a.py && echo >>s/a.py");
  char *before = fx_out(LISTING);
  fx_take("w", &snapshot);
  assert_int_equal(snapshot.n_changed, 1);
  dk_snapshot_finish(&snapshot);
  fx_take("s", &snapshot);
  assert_int_equal(snapshot.n_changed, 1);
  dk_snapshot_finish(&snapshot);
  char *after = fx_out(LISTING);
  assert_string_equal(before, after);
  fx_sh("git -C s/.dkrun/git fsck --strict && git -C w/.dkrun/git fsck --strict");
  free(before);
  free(after);
}

static void test_read_only_repository(void **state) {
  (void)state;
  struct dk_repo *repo;
  struct dk_snapshot snapshot;
  struct dk_error error;
  fx_repo("r");
  fx_sh("echo >>r/a.py && chmod -R a-w r/.git");
  assert_int_equal(dk_repo_open(fx_path("r"), &repo, &error), 0);
  assert_int_equal(dk_snapshot_take(repo, fx_path("state"), NULL, &snapshot, &error), 0);
  assert_int_equal(snapshot.n_changed, 1);
  dk_snapshot_finish(&snapshot);
  dk_repo_close(repo);
}

static void test_pinned_survives_rewriting(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  dk_autobuf text = DK_BUF_INIT;
  fx_repo("r");
  fx_take("r", &snapshot);
  fx_sh("cd r && echo rewritten >a.py && git commit -qa --amend -m other && git reflog expire --expire=now --all && "
        "git gc -q --prune=now");
  fx_sh("cd r && ! git cat-file -e %s", snapshot.commit);
  fx_sh("cd r/.dkrun/git && git fsck --strict && test \"$(git show %s:a.py)\" = 'print(1)'", snapshot.pinned);
  dk_snapshot_finish(&snapshot);
}

static void test_many_files_go_into_one_pack(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  fx_repo("r");
  fx_sh("cd r && for d in 1 2 3; do mkdir d$d; for i in $(seq 50); do echo $d $i >d$d/$i; done; done && git add -A && "
        "git commit -qm many");
  fx_take("r", &snapshot);
  char *n = fx_out("ls r/.dkrun/git/objects/pack | grep -c 'pack$'");
  assert_string_equal(n, "1");
  free(n);
  dk_snapshot_finish(&snapshot);
  fx_sh("cd r && echo more >>d1/1 && git commit -qam more");
  fx_take("r", &snapshot); /* a few more: loose */
  n = fx_out("ls r/.dkrun/git/objects/pack | grep -c 'pack$'");
  assert_string_equal(n, "1");
  fx_sh("git -C r/.dkrun/git fsck --strict");
  free(n);
  dk_snapshot_finish(&snapshot);
}

/* Killed while it copied: what was written is no longer whole, and the next one makes it so. */
static void test_half_copied(void **state) {
  (void)state;
  struct dk_snapshot snapshot;
  fx_repo("r");
  fx_take("r", &snapshot);
  /* As if the tree and all above it were not reached. */
  fx_sh("cd r/.dkrun/git && t=$(git rev-parse %s^{tree}) && rm -rf refs/dkrun && for o in %s $t; do rm -f "
        "objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-); done",
        snapshot.commit, snapshot.commit);
  dk_snapshot_finish(&snapshot);
  fx_take("r", &snapshot);
  fx_sh("cd r/.dkrun/git && git fsck --strict && git ls-tree -r %s", snapshot.commit);
  dk_snapshot_finish(&snapshot);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
  const struct CMUnitTest tests[] = {
      CASE(test_clean),
      CASE(test_dirty),
      CASE(test_touched_is_clean),
      CASE(test_untracked_after_rm_cached),
      CASE(test_kinds_change_places),
      CASE(test_secrets_are_left_out),
      CASE(test_own_folder_is_never_taken),
      CASE(test_caps),
      CASE(test_grown_since_status),
      CASE(test_refuse_dirty),
      CASE(test_dry_run_writes_nothing),
      CASE(test_odd_names),
      CASE(test_merge_conflict),
      CASE(test_line_endings_as_git_keeps_them),
      CASE(test_without_file_modes),
      CASE(test_lfs_changed_file_stays_a_pointer),
      CASE(test_from_worktree_and_shared_clone),
      CASE(test_read_only_repository),
      CASE(test_pinned_survives_rewriting),
      CASE(test_many_files_go_into_one_pack),
      CASE(test_half_copied),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The door: files inside the repository only, sizes, imports, data, globs, short memory. Each test has a directory of
 * its own. */
#include "lang/base/alloc.h"
#include "lang/lang.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct dir {
  char root[64];
  char path[256];
};

static int setup(void **state) {
  struct dir *dir = calloc(1, sizeof *dir);
  assert_non_null(dir);
  strcpy(dir->root, "/tmp/dk-test-load-XXXXXX");
  assert_non_null(mkdtemp(dir->root));
  *state = dir;
  return 0;
}

static int teardown(void **state) {
  struct dir *dir = *state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", dir->root);
  int rc = system(command);
  free(dir);
  return rc;
}

static const char *in(struct dir *dir, const char *name) {
  snprintf(dir->path, sizeof dir->path, "%s/%s", dir->root, name);
  return dir->path;
}

static void put(struct dir *dir, const char *name, const char *text) {
  FILE *file = fopen(in(dir, name), "w");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
  assert_int_equal(fclose(file), 0);
}

static struct dk_load *load_with(struct dir *dir, const char *name, const struct dk_load_options *options) {
  struct dk_load *load = NULL;
  struct dk_error error = {0};
  assert_int_equal(dk_load(in(dir, name), options, &load, &error), 0);
  assert_non_null(load);
  return load;
}

static struct dk_load *load_in(struct dir *dir, const char *name) {
  const struct dk_load_options options = {.root = dir->root};
  return load_with(dir, name, &options);
}

/* The only error is this one, and its text has this in it. */
static void assert_error(const struct dk_load *load, enum dk_code code, const char *part) {
  const struct dk_diags *diags = dk_load_diags(load);
  assert_null(dk_load_plan(load));
  if (diags->count != 1) {
    dk_autobuf text = DK_BUF_INIT;
    dk_diags_render(diags, false, &text);
    fail_msg("not one error:\n%s", dk_buf_text(&text));
  }
  assert_string_equal(dk_code_name(diags->items[0]->code), dk_code_name(code));
  if (!strstr(diags->items[0]->message, part)) fail_msg("`%s` is not in: %s", part, diags->items[0]->message);
}

static void assert_clean(const struct dk_load *load) {
  const struct dk_diags *diags = dk_load_diags(load);
  if (diags->count) {
    dk_autobuf text = DK_BUF_INIT;
    dk_diags_render(diags, false, &text);
    fail_msg("%s", dk_buf_text(&text));
  }
  assert_non_null(dk_load_plan(load));
}

static void fails(struct dir *dir, const char *name, enum dk_code code, const char *part) {
  struct dk_load *load = load_in(dir, name);
  assert_error(load, code, part);
  dk_load_destroy(load);
}

static void test_unreadable(void **state) {
  struct dir *dir = *state;
  fails(dir, "none.dk", DK_E0701, "No such file or directory");
  assert_int_equal(mkdir(in(dir, "folder.dk"), 0700), 0);
  fails(dir, "folder.dk", DK_E0701, "it is a directory");
  assert_int_equal(mkfifo(in(dir, "pipe.dk"), 0600), 0);
  fails(dir, "pipe.dk", DK_E0701, "it is no regular file");
  put(dir, "empty.dk", "");
  fails(dir, "empty.dk", DK_E0219, "nothing to run: this file is empty");
  put(dir, "bytes.dk", "task t { run = \"\xff\" }");
  struct dk_load *load = load_in(dir, "bytes.dk");
  assert_int_equal(dk_load_diags(load)->items[0]->code, DK_E0703);
  dk_load_destroy(load);
}

static void test_too_large(void **state) {
  struct dir *dir = *state;
  put(dir, "large.dk", "task t { run = \"x\" }");
  assert_int_equal(truncate(in(dir, "large.dk"), DK_SOURCE_MAX + 1), 0);
  fails(dir, "large.dk", DK_E0702, "has 16777217 bytes; at most 16777216 are read");
  assert_int_equal(truncate(in(dir, "large.dk"), (off_t)1 << 40), 0); /* sparse: not read, so not felt */
  fails(dir, "large.dk", DK_E0702, "has 1099511627776 bytes");
}

static void test_imports(void **state) {
  struct dir *dir = *state;
  assert_int_equal(mkdir(in(dir, "lib"), 0700), 0);
  assert_int_equal(mkdir(in(dir, "exp"), 0700), 0);
  put(dir, "lib/common.dk", "import \"./deep.dk\" as deep\nlet k = deep.k + 1");
  put(dir, "lib/deep.dk", "let k = 41");
  put(dir, "exp/a.dk",
      "import \"../lib/common.dk\" as common\nimport \"../lib/../lib/common.dk\" as same\nimport std.hardware as hw\n"
      "task t { run = \"echo {{common.k}} {{same.k}}\" needs = hw.small }");
  struct dk_load *load = load_in(dir, "exp/a.dk");
  assert_clean(load);
  uint32_t n;
  const struct dk_load_seen *seen = dk_load_seen(load, &n);
  assert_int_equal(n, 3); /* each once; what is embedded is not of the project */
  assert_string_equal(seen[0].path, "exp/a.dk");
  assert_string_equal(seen[1].path, "lib/common.dk");
  assert_string_equal(seen[2].path, "lib/deep.dk");
  dk_load_destroy(load);

  put(dir, "exp/b.dk", "import \"../lib/none.dk\" as x\ntask t { run = \"x\" }");
  fails(dir, "exp/b.dk", DK_E0701, "cannot read `../lib/none.dk`");
  put(dir, "exp/c.dk", "import std.hardwar as x\ntask t { run = \"x\" }");
  fails(dir, "exp/c.dk", DK_E0705, "no module `std.hardwar` in the standard library");
}

static void test_cycle(void **state) {
  struct dir *dir = *state;
  put(dir, "a.dk", "import \"./b.dk\" as b\ntask t { run = \"x\" }");
  put(dir, "b.dk", "import \"./sub/../a.dk\" as a");
  assert_int_equal(mkdir(in(dir, "sub"), 0700), 0);
  fails(dir, "a.dk", DK_E0205, "imports go round: ");
}

static void test_outside(void **state) {
  struct dir *dir = *state;
  assert_int_equal(mkdir(in(dir, "repo"), 0700), 0);
  put(dir, "secret.dk", "let k = 1");
  put(dir, "secret.json", "[1]");
  char target[sizeof dir->path];
  snprintf(target, sizeof target, "%s/secret.dk", dir->root);
  assert_int_equal(symlink(target, in(dir, "repo/link.dk")), 0);
  char root[sizeof dir->path];
  snprintf(root, sizeof root, "%s/repo", dir->root);
  const struct dk_load_options options = {.root = root};
  static const char *const texts[] = {
      "import \"../secret.dk\" as s\ntask t { run = \"x\" }",
      "import \"/etc/hostname\" as s\ntask t { run = \"x\" }",
      "import \"./link.dk\" as s\ntask t { run = \"x\" }",
      "let x = load(\"../secret.json\") task t { run = \"x\" }",
      "let x = load(\"/etc/hostname\") task t { run = \"x\" }",
      "let x = glob(\"../*\") task t { run = \"x\" }",
      "let x = glob(\"/etc/*\") task t { run = \"x\" }",
      "let x = file(\"../x\") task t { run = \"x\" }",
      "let x = file(\"a/../../x\") task t { run = \"x\" }",
      "let x = file(\"/x\") task t { run = \"x\" }",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    put(dir, "repo/a.dk", texts[i]);
    struct dk_load *load = load_with(dir, "repo/a.dk", &options);
    assert_error(load, DK_E0704, "");
    dk_load_destroy(load);
  }
}

static void test_data(void **state) {
  struct dir *dir = *state;
  assert_int_equal(mkdir(in(dir, "data"), 0700), 0);
  assert_int_equal(mkdir(in(dir, "data/sub"), 0700), 0);
  put(dir, "data/points.csv", "lr,seed\n0.1,1\n0.2,2\n");
  put(dir, "data/b.txt", "x");
  put(dir, "data/a.txt", "x");
  put(dir, "data/.hidden.txt", "x");
  put(dir, "data/sub/c.txt", "x");
  put(dir, "a.dk",
      "let rows = load(\"data/points.csv\") let files = glob(\"data/*.txt\") let all = glob(\"**/*.txt\")\n"
      "let none = glob(\"nothing/*\")\n"
      "grid g { row in [r.lr for r in rows] f in files deep in all }\n"
      "task t over g { inputs { f = file(f) d = file(deep) } run = \"cat {{inputs.f}} {{inputs.d}} {{row}}\" }");
  struct dk_load *load = load_in(dir, "a.dk");
  assert_clean(load);
  const struct dk_points *points = &dk_load_plan(load)->templates[0].points;
  assert_int_equal(points->rows, 2 * 2 * 3);
  uint32_t n;
  const struct dk_load_seen *seen = dk_load_seen(load, &n);
  assert_string_equal(seen[0].path, "a.dk");
  assert_string_equal(seen[1].path, "data/points.csv");
  assert_false(seen[0].is_dir || seen[1].is_dir);
  struct dk_digest names, content;
  dk_names_digest((const char *const[]){".hidden.txt", "a.txt", "b.txt", "points.csv", "sub"}, 5, &names);
  assert_int_equal(dk_content_of("lr,seed\n0.1,1\n0.2,2\n", 20, &content), 0);
  assert_true(dk_digest_equal(&seen[1].digest, &content));
  bool has_data = false, lacks_nothing = false;
  for (uint32_t i = 2; i < n; i++) {
    assert_true(seen[i].is_dir);
    has_data |= strcmp(seen[i].path, "data") == 0 && dk_digest_equal(&seen[i].digest, &names);
    lacks_nothing |= strcmp(seen[i].path, "nothing") == 0 && dk_digest_is_zero(&seen[i].digest);
  }
  assert_true(has_data && lacks_nothing); /* what is added there later is told from this */
  dk_load_destroy(load);
}

/* Paths start at the file they are written in, and are known by their place in the repository. */
static void test_file_paths(void **state) {
  struct dir *dir = *state;
  assert_int_equal(mkdir(in(dir, "exp"), 0700), 0);
  assert_int_equal(mkdir(in(dir, "exp/data"), 0700), 0);
  put(dir, "exp/data/x", "1");
  put(dir, "exp/a.dk",
      "task t { inputs { a = file(\"data/x\") b = file(\"./data//../data/x\") c = file(\"../exp/data/x\") } "
      "run = \"cat {{inputs.a}} {{inputs.b}} {{inputs.c}}\" }");
  struct dk_load *load = load_in(dir, "exp/a.dk");
  assert_clean(load);
  const struct dk_plan *plan = dk_load_plan(load);
  for (uint32_t i = 0; i < 3; i++) {
    dk_autobuf text = DK_BUF_INIT;
    dk_value_source_text(plan->values, plan->templates[0].inputs[i].cell.value, &text);
    assert_non_null(strstr(dk_buf_text(&text), "\"exp/data/x\""));
  }
  dk_load_destroy(load);
}

/* The first missing file of an input, once, wherever it is named; what is there may be a directory. */
static void test_missing(void **state) {
  struct dir *dir = *state;
  assert_int_equal(mkdir(in(dir, "exp"), 0700), 0);
  assert_int_equal(mkdir(in(dir, "exp/data"), 0700), 0);
  put(dir, "exp/data/iris.csv", "1");
  put(dir, "exp/a.dk",
      "task t { inputs { a = file(\"data/irs.csv\") b = file([\"./data/irs.csv\", \"data\"]) } "
      "run = \"cat {{inputs.a}} {{inputs.b}}\" }");
  fails(dir, "exp/a.dk", DK_E0706, "no file or directory `exp/data/irs.csv`");
  put(dir, "exp/b.dk",
      "grid g { n in [\"iris\", \"wine\", \"mnist\"] }\n"
      "task t over g { inputs { a = file(\"data/{{n}}.csv\") } run = \"cat {{inputs.a}} {{n}}\" }");
  fails(dir, "exp/b.dk", DK_E0706, "no file or directory `exp/data/wine.csv`");
  put(dir, "exp/c.dk", "task t { inputs { a = file(\"data/iris.csv/x\") } run = \"cat {{inputs.a}}\" }");
  fails(dir, "exp/c.dk", DK_E0706, "no file or directory `exp/data/iris.csv/x`");
  put(dir, "exp/d.dk",
      "task t { inputs { a = if 1 > 2 then file(\"no\") else file(\"data\") } run = \"ls {{inputs.a}}\" }");
  struct dk_load *load = load_in(dir, "exp/d.dk");
  assert_clean(load);
  dk_load_destroy(load);
}

static void test_params(void **state) {
  struct dir *dir = *state;
  put(dir, "a.dk", "param n = 3 grid g { seed in 1..n } task t over g { run = \"echo {{seed}}\" }");
  const struct dk_check_given given[] = {{"n", "7"}}, wrong[] = {{"m", "7"}};
  struct dk_load_options options = {.given = given, .n_given = 1, .root = dir->root};
  struct dk_load *load = load_with(dir, "a.dk", &options);
  assert_clean(load);
  assert_int_equal(dk_load_plan(load)->templates[0].points.rows, 7);
  dk_load_destroy(load);
  options.given = wrong;
  load = load_with(dir, "a.dk", &options);
  assert_error(load, DK_E0215, "no parameter `m`");
  dk_load_destroy(load);
}

/* Errors of all passes in one run, in the order of their places. */
static void test_all_errors(void **state) {
  struct dir *dir = *state;
  put(dir, "a.dk",
      "let a = 1 / 0\n"
      "grid g { x in [1, 1] }\n"
      "task t { rum = \"x\" }\n"
      "let b = nothing\n"
      "task u { run = \"{{c}}\" timeout = 5 }\n");
  struct dk_load *load = load_in(dir, "a.dk");
  const struct dk_diags *diags = dk_load_diags(load);
  static const char *const codes[] = {"E0303", "E0401", "E0206", "E0201", "E0201", "E0209"};
  assert_null(dk_load_plan(load));
  assert_int_equal(diags->count, 6);
  for (uint32_t i = 0; i < 6; i++)
    if (i != 1) assert_string_equal(dk_code_name(diags->items[i]->code), codes[i]);
  dk_load_destroy(load);
}

/* Every allocation fails in turn: an error each time, nothing lost, until it is done. */
static void test_short_memory(void **state) {
  struct dir *dir = *state;
  put(dir, "lib.dk", "let k = [0.1, 0.2, 0.3]");
  put(dir, "data.csv", "a,b\n1,2\n");
  put(dir, "a.dk",
      "import \"./lib.dk\" as lib\nimport std.hardware as hw\n"
      "let rows = load(\"data.csv\") let files = glob(\"*.csv\") let h = hash(rows) let j = join(files)\n"
      "grid g { x in lib.k y in 2 ** (1..20) exclude x > 0.2 and y > 100 }\n"
      "task make over g { needs = hw.small outputs { o = \"o\" } metrics { m = match(stdout, 'm=(.)') } run = \"echo "
      "{{x}} {{y}} {{h}} > {{outputs.o}}\" }\n"
      "pick best { from = make maximize = m }\n"
      "task use { inputs { o = best.o all = gather(make.o) } run = \"cat {{inputs.o}} {{inputs.all}} {{best.x}}\" }\n"
      "report { table { from = use columns = [best.x, best.m] } }");
  const struct dk_load_options options = {.root = dir->root};
  in(dir, "a.dk");
  bool done = false;
  for (uint64_t n = 1; n < 5000 && !done; n++) {
    struct dk_load *load = NULL;
    struct dk_error error = {0};
    dk_alloc_fail_at(n);
    int rc = dk_load(dir->path, &options, &load, &error);
    dk_alloc_fail_at(0);
    if (rc < 0) {
      assert_int_equal(rc, -ENOMEM);
      assert_null(load);
      assert_true(error.text[0] != '\0');
    } else {
      done = dk_load_plan(load) != NULL;
      if (done) assert_clean(load);
    }
    dk_load_destroy(load);
  }
  assert_true(done);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_unreadable), TEST(test_too_large),  TEST(test_imports),      TEST(test_cycle),
      TEST(test_outside),    TEST(test_data),       TEST(test_file_paths),   TEST(test_missing),
      TEST(test_params),     TEST(test_all_errors), TEST(test_short_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

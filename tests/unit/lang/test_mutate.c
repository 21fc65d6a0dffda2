/* Changed texts through the whole door: words removed, replaced, doubled, pieces moved. Nothing crashes, and there is
 * either a plan or an error. A failing seed prints itself; DK_MUTATE_SEED=n runs that one, DK_MUTATE_COUNT=n so
 * many. */
#include "lang/lang.h"

#include <inttypes.h>
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

#define MAX_TEXT 16384
#define MAX_WORDS 2000
#define SEPARATORS " \n(){}[],=.\""

static const char *const texts[] = {
    "import std.hardware as hw\nexperiment e { doc = \"x\" defaults { needs = hw.small timeout = 1h retry { lost = 1 } "
    "} }\n"
    "param folds = 5\n"
    "grid search { c in 2 ** (-5..15 by 2) gamma in 2 ** (-15..3 by 2) exclude c > 1000 and gamma > 1 }\n"
    "task scale { inputs { train = file(\"data/a\") } outputs { train = \"t\" test = \"u\" } run = \"a "
    "{{inputs.train}} > "
    "{{outputs.train}}\" }\n"
    "task cv over search { inputs { data = scale.train } metrics { acc = match(stdout, 'A = ([0-9.]+)%') } run = \"x "
    "{{folds}} {{c}} "
    "{{gamma}} {{inputs.data}}\" }\n"
    "pick best { from = cv maximize = acc }\n"
    "task final { inputs { train = scale.train } outputs { model = \"m\" } run = \"x {{best.c}} {{best.gamma}} "
    "{{inputs.train}}\" }\n"
    "report { table { from = [cv, final] columns = [task, best.c, acc] sort = acc } }\n",

    "let base = 64 let sizes = [base * k for k in 1..4 if k != 3] let f(x, y) = x * y let big = { cpus = 8 memory = "
    "32GiB }\n"
    "grid hyper { lr in [0.1, 0.03] width, depth in [(64, 2), (128, 4)] batch in if width > 64 then [64] else [64, "
    "128]\n"
    "  warmup = 5 * batch // 64 exclude lr == 0.1 and batch == 64 require batch % 32 == 0, \"batch\"\n"
    "  include { lr = 0.3 width = 64 depth = 2 batch = 512 } }\n"
    "grid seeds { seed in 1..3 } grid all = hyper * seeds grid some = all where width == 64 and seed < 3\n"
    "grid few = sample(hyper, 2, seed = 7) grid more over hyper { split in [\"a\", \"b\"] } grid sum = few + few\n"
    "task train over some { needs = big with { cpus = f(2, 2) } run = \"x {{lr}} {{width}} {{depth}} {{batch}} "
    "{{seed}} {{flags(point)}}\" "
    "env { A = \"{{warmup}}\" } outputs { o = \"o/\" } metrics { m = json(\"m.json\", \"a.b\") } }\n"
    "task join over hyper where width == 64 { inputs { all = gather(train.o) rec = gather(train[seed = 1]) } when = lr "
    "> 0 at_once = 2 "
    "cache = \"none\"\n"
    "  run = [\"cat\", inputs.all, \"{{inputs.rec}}\", \"{{lr}}\", \"{{batch}}\", \"{{depth}}\"] }\n",

    "grid data { set in [\"a\", \"b\"] } grid g over data { e in 0..3 seed in 1..2 }\n"
    "let table = [{ a = 1 }, { a = 2 b = 3 }] let sizes = { small = { layers = 2 } large = { layers = 9 } }\n"
    "task fit over g { inputs { old = if e > 0 then fit[e = e - 1].model else file(\"x\") } outputs { model = \"m\" }\n"
    "  metrics { loss = match(stdout, 'l=(.)') } run = \"\"\"\n    fit {{set}} {{e}} {{seed}} \\\n      "
    "{{inputs.old}}\n    cat <<EOF\n"
    "    {{table[0].b ?? 5}}\n    EOF\n  \"\"\" }\n"
    "pick best { from = fit minimize = loss per = [set] mean_over = [seed] best = 2 failed = \"skip\" }\n"
    "task use over data { inputs { m = best[rank = 1].model w = write(\"c.json\", { s = set }) } run = \"x {{best[rank "
    "= 2].e}} {{set}} "
    "'{{set}}' "
    "{{inputs.m}}\" shell = [\"bash\", \"-e\"] env { K = secret(\"KEY\") } pass = [\"HOME\"] }\n",
};
#define N_TEXTS (sizeof texts / sizeof *texts)

static uint64_t seed_state;

static size_t below(size_t n) {
  seed_state ^= seed_state << 13; /* xorshift64 */
  seed_state ^= seed_state >> 7;
  seed_state ^= seed_state << 17;
  return n ? (size_t)((seed_state >> 11) % n) : 0;
}

static char words[MAX_WORDS][32];
static size_t n_words;

static void collect_words(void) {
  for (size_t i = 0; i < N_TEXTS; i++) {
    for (const char *at = texts[i]; *at && n_words < MAX_WORDS;) {
      size_t len = strcspn(at, SEPARATORS);
      if (len == 0) len = 1;
      if (*at != ' ' && *at != '\n' && len < sizeof words[0]) {
        memcpy(words[n_words], at, len);
        words[n_words++][len] = '\0';
      }
      at += len;
    }
  }
}

/* Bytes [start, end) of text become `by`. */
static void replace(char *text, size_t start, size_t end, const char *by, size_t len) {
  size_t n = strlen(text);
  if (n - (end - start) + len + 1 > MAX_TEXT) return;
  memmove(text + start + len, text + end, n - end + 1);
  memcpy(text + start, by, len);
}

static void mutate(char *text) {
  size_t n = strlen(text), at = below(n), start = at, end = at;
  if (n == 0) return;
  while (start && !strchr(SEPARATORS, text[start - 1])) start--;
  while (text[end] && !strchr(SEPARATORS, text[end])) end++;
  if (end == start) end++;
  const char *word = words[below(n_words)];
  char piece[64];
  size_t from = below(n), len = below(sizeof piece);
  if (len > n - from) len = n - from;
  memcpy(piece, text + from, len);
  switch (below(5)) {
  case 0: replace(text, start, end, "", 0); break;
  case 1:
  case 2: replace(text, start, end, word, strlen(word)); break;
  case 3: replace(text, end, end, word, strlen(word)); break;
  default: replace(text, at, at, piece, len); break;
  }
}

static void run_seed(const char *path, uint64_t seed) {
  static char text[MAX_TEXT];
  seed_state = seed * 0x9e3779b97f4a7c15u + 1;
  for (int i = 0; i < 4; i++) (void)below(2);
  strcpy(text, texts[below(N_TEXTS)]);
  for (size_t i = 1 + below(6); i > 0; i--) mutate(text);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
  assert_int_equal(fclose(file), 0);
  struct dk_load *load = NULL;
  struct dk_error error = {0};
  assert_int_equal(dk_load(path, NULL, &load, &error), 0);
  const struct dk_diags *diags = dk_load_diags(load);
  dk_autobuf shown = DK_BUF_INIT;
  dk_diags_render(diags, false, &shown);
  if ((dk_load_plan(load) != NULL) != (diags->n_errors == 0))
    fail_msg("seed %" PRIu64 ": a plan with errors, or neither:\n%s\n%s", seed, text, dk_buf_text(&shown));
  dk_load_destroy(load);
}

/* A directory with the files that the texts name, and the path of the text in it. */
static void make_dir(char *dir, char path[64]) {
  assert_non_null(mkdtemp(dir));
  snprintf(path, 64, "%s/data", dir);
  assert_int_equal(mkdir(path, 0700), 0);
  snprintf(path, 64, "%s/data/a", dir);
  assert_int_equal(fclose(fopen(path, "w")), 0);
  snprintf(path, 64, "%s/x", dir);
  assert_int_equal(fclose(fopen(path, "w")), 0);
  snprintf(path, 64, "%s/t.dk", dir);
}

static void remove_dir(const char *dir) {
  static const char *const names[] = {"t.dk", "x", "data/a", "data", ""};
  char path[64];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    assert_int_equal(remove(path), 0);
  }
}

static void test_mutations(void **state) {
  (void)state;
  char dir[] = "/tmp/dk-test-mutate-XXXXXX", path[64];
  const char *only = getenv("DK_MUTATE_SEED"), *count = getenv("DK_MUTATE_COUNT");
  uint64_t first = only ? strtoull(only, NULL, 10) : 0, n = only ? 1 : count ? strtoull(count, NULL, 10) : 4000;
  collect_words();
  make_dir(dir, path);
  for (uint64_t seed = first; seed < first + n; seed++) run_seed(path, seed);
  remove_dir(dir);
}

/* The texts themselves are right: else the mutations would hardly get past the first error. */
static void test_unchanged(void **state) {
  (void)state;
  char dir[] = "/tmp/dk-test-mutate-XXXXXX", path[64];
  make_dir(dir, path);
  for (size_t i = 0; i < N_TEXTS; i++) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(texts[i], file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct dk_load *load = NULL;
    struct dk_error error = {0};
    assert_int_equal(dk_load(path, NULL, &load, &error), 0);
    dk_autobuf shown = DK_BUF_INIT;
    dk_diags_render(dk_load_diags(load), false, &shown);
    if (!dk_load_plan(load)) fail_msg("%s", dk_buf_text(&shown));
    dk_load_destroy(load);
  }
  remove_dir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_unchanged), cmocka_unit_test(test_mutations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What binds how, and the forms of expressions. */
#include "tests/unit/syntax/fixture.h"

struct pair {
  const char *text, *tree;
};

static void check_all(struct fixture *f, const struct pair *pairs, size_t n) {
  for (size_t i = 0; i < n; i++) assert_expr(f, pairs[i].text, pairs[i].tree);
}

#define CHECK(f, pairs) check_all((f), (pairs), sizeof(pairs) / sizeof *(pairs))

static void test_precedence(void **state) {
  const struct pair pairs[] = {
      {"1 + 2 * 3", "(+ 1 (* 2 3))"},
      {"1 - 2 - 3", "(- (- 1 2) 3)"},
      {"5 * b // 64", "(// (* 5 b) 64)"},
      {"-2 ** 2", "(neg (** 2 2))"},
      {"2 ** -1", "(** 2 (neg 1))"},
      {"2 ** -1 * 3", "(* (** 2 (neg 1)) 3)"},
      {"2 ** 3 ** 4", "(** 2 (** 3 4))"},
      {"-a.b", "(neg (. a b))"},
      {"- a * b", "(* (neg a) b)"},
      {"2 ** (-5..15 by 2)", "(** 2 (.. (neg 5) 15 2))"},
      {"1 + 2..3 * 4", "(.. (+ 1 2) (* 3 4))"},
      {"a ?? 1..3", "(?? a (.. 1 3))"},
      {"a ?? b ?? c", "(?? a (?? b c))"},
      {"a ?? 1 < 2", "(< (?? a 1) 2)"},
      {"a..b by k + 1", "(.. a b (+ k 1))"},
      {"x in 1..3", "(in x (.. 1 3))"},
      {"not a == b", "(not (== a b))"},
      {"not a and b", "(and (not a) b)"},
      {"a or b and c", "(or a (and b c))"},
      {"a and b or c", "(or (and a b) c)"},
      {"x not in xs and y", "(and (not in x xs) y)"},
      {"not x in xs", "(not (in x xs))"},
      {"if a then b else c or d", "(if a b (or c d))"},
      {"if a then b else if c then d else e", "(if a b (if c d e))"},
      {"if a then if b then c else d else e", "(if a (if b c d) e)"},
      {"1 + if a then b else c * 2", "(+ 1 (if a b (* c 2)))"},
      {"g where a or b", "(where g (or a b))"},
      {"g * h where a", "(where (* g h) a)"},
      {"if p then g else h where a", "(where (if p g h) a)"},
      {"g where a where b", "(where (where g a) b)"},
      {"a with { x = 1 } + 2", "(+ (with a x=1) 2)"},
      {"-a with { x = 1 }", "(neg (with a x=1))"},
      {"a.b with { x = 1 }", "(with (. a b) x=1)"},
      {"a with { x = 1 } with { y = 2 }", "(with (with a x=1) y=2)"},
      {"f(x)[1].y(2)", "(call (. (index (call f x) 1) y) 2)"},
      {"a % b * c / d", "(/ (* (% a b) c) d)"},
      {"(a + b) * c", "(* (+ a b) c)"},
      {"a\n  + b", "(+ a b)"},
      {"a-b", "(- a b)"},
      {"a - b", "(- a b)"},
      {"a- b", "(- a b)"},
  };
  CHECK(*state, pairs);
}

static void test_forms(void **state) {
  const struct pair pairs[] = {
      {"[]", "(list)"},
      {"[1, 2,]", "(list 1 2)"},
      {"(64, 2)", "(tuple 64 2)"},
      {"(64, 2,)", "(tuple 64 2)"},
      {"[(64, 2), (128, 4)]", "(list (tuple 64 2) (tuple 128 4))"},
      {"{}", "(record)"},
      {"{ a = 1  b = 2, \"c d\" = 3 }", "(record a=1 b=2 c d=3)"},
      {"{ a = { b = { c = 1 }}}", "(record a=(record b=(record c=1)))"},
      {"f()", "(call f)"},
      {"f(1, n = 2,)", "(call f 1 n=2)"},
      {"u[a = e].x", "(. (select u a=e) x)"},
      {"u[a = e, b = 2]", "(select u a=e b=2)"},
      {"xs[i - 1]", "(index xs (- i 1))"},
      {"[f(x) for x in xs if p(x)]", "(each (call f x) for x in xs if (call p x))"},
      {"[a for a in as for b, c in zip(a, d) if b if c > 1]",
       "(each a for a in as for b c in (call zip a d) if b if (> c 1))"},
      {"[x for x in if a then b else c if d]", "(each x for x in (if a b c) if d)"},
      {"sample(hyper, 20, seed = 7)", "(call sample hyper 20 seed=7)"},
      {"true and not null == false", "(and true (not (== null false)))"},
      {"task in [\"mnli\"]", "(in task (list \"mnli\"))"},
      {"a.image + source", "(+ (. a image) source)"},
      {"over == as and exclude", "(and (== over as) exclude)"},
      {"gather(u[seed = s].model, failed = \"skip\")", "(call gather (. (select u seed=s) model) failed=\"skip\")"},
  };
  CHECK(*state, pairs);
}

static void test_numbers(void **state) {
  const struct pair pairs[] = {
      {"1_000", "1000"},
      {"1..3", "(.. 1 3)"},
      {"3.14", "3.14f"},
      {"1e-3", "0.001f"},
      {"1e3", "1000f"},
      {"1.5e+2..2", "(.. 150f 2)"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"-9_223_372_036_854_775_808 + 1", "(+ -9223372036854775808 1)"},
      {"512MB", "#512MB"},
      {"1h30m", "#1h30m"},
      {"1_000GiB", "#1000GiB"},
      {"1.50USD/h", "#1.50USD/h"},
      {"5USD", "#5USD"},
      {"1h..2h", "(.. #1h #2h)"},
      {"64GiB/n", "(/ #64GiB n)"},
      {"5USD/n", "(/ #5USD n)"},
      {"2d", "#2d"},
      {"x.e5", "(. x e5)"},
  };
  CHECK(*state, pairs);
}

/* A single expression with an error is no tree, and exactly one error. */
static void test_errors(void **state) {
  struct fixture *f = *state;
  const char *texts[] = {
      "",
      "1 +",
      "a b",
      "(1",
      "[1, 2",
      "a < b < c",
      "a == b == c",
      "1..2..3",
      "x in",
      "f(",
      "a[",
      "a.",
      "if a then b",
      "9223372036854775808",
      "1e999",
      "3 -4",
      "{ a = }",
      "(1,)",
      "f(a = 1, 2)",
      "1 = 2",
      "a where",
      "0x10",
      "[x for]",
      ")",
      "a.in",
      "a with b",
      "- 9223372036854775808 - 9223372036854775808",
      "'abc",
      "\"abc",
      "\"{{a\"",
      "\"{{}}\"",
      "\"\\q\"",
      "a !",
      "not",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    dk_diags_init(&f->diags, &f->arena, &f->sources);
    if (fixture_expr(f, texts[i]) != NULL) fail_msg("a tree for: %s", texts[i]);
    if (f->diags.n_errors != 1) fail_msg("%u errors for: %s", f->diags.n_errors, texts[i]);
  }
}

static void assert_span(struct dk_span span, struct dk_span expected) {
  assert_int_equal(span.start, expected.start);
  assert_int_equal(span.end, expected.end);
}

static void test_spans(void **state) {
  struct fixture *f = *state;
  const char *text = "aa + f( bb ) * cc.dd";
  const struct dk_expr *expr = fixture_expr(f, text);
  const struct dk_source *source = f->sources.items[0];
  assert_int_equal(expr->span.start, source->base);
  assert_int_equal(expr->span.end, source->base + strlen(text));
  assert_span(expr->binary.op_span, fixture_span(source, "+"));
  const struct dk_expr *product = expr->binary.right;
  assert_span(product->span, fixture_span(source, "f( bb ) * cc.dd"));
  assert_span(product->binary.left->span, fixture_span(source, "f( bb )"));
  assert_span(product->binary.right->member.name_span, fixture_span(source, "dd"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_precedence), TEST(test_forms), TEST(test_numbers), TEST(test_errors), TEST(test_spans),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

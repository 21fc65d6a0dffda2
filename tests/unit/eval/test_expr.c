/* Expressions that are not arithmetic: values and the exact text of errors. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

static void test_values(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"true and not false", "true"},
      {"false and 1 / 0 == 1", "false"}, /* lazy */
      {"true or 1 / 0 == 1", "true"},
      {"null ?? 4", "4"},
      {"3 ?? 1 / 0", "3"},
      {"if 1 < 2 then \"a\" else 1 / 0", "\"a\""},
      {"[1, \"a\", null, [2]]", "[1, \"a\", null, [2]]"},
      {"(64, 2)", "[64, 2]"},
      {"{ b = 1  a = 2 }", "{ a = 2 b = 1 }"},
      {"{ a = 1 b = 2 } with { b = 3 c = 4 }", "{ a = 1 b = 3 c = 4 }"},
      {"{ a = { b = 7 } }.a.b", "7"},
      {"[10, 20, 30][1]", "20"},
      {"{ a = 1 }[\"a\"]", "1"},
      {"2 in [1, 2.0]", "true"},
      {"\"b\" in \"abc\"", "true"},
      {"\"a\" in { a = 1 }", "true"},
      {"3 not in 1..2", "true"},
      {"\"1\" == 1", "false"},
      {"null == null", "true"},
      {"1 != 2", "true"},
      {"\"a\" < \"b\"", "true"},
      {"[1, 2] < [1, 3]", "true"},
      {"[x * x for x in 1..4 if x != 3]", "[1, 4, 16]"},
      {"[(a, b) for a in 1..2 for b in a..2]", "[[1, 1], [1, 2], [2, 2]]"},
      {"[a + b for a, b in [(1, 2), (3, 4)]]", "[3, 7]"},
      {"[[y for y in 1..x] for x in 1..3]", "[[1], [1, 2], [1, 2, 3]]"},
      {"[x for x in [1, 2] if x > 5]", "[]"},
      {"\"a{{1 + 1}}b{{0.5}}{{true}}{{90s}}{{1KiB}}\"", "\"a2b0.5true901024\""},
      {"\"\"", "\"\""},
      {"'a\\n{{x}}'", "\"a\\\\n{{\"{{\"}}x}}\""},
      {"-[1, 2]", "[-1, -2]"},
      {"[[1], [2, 3]] * 2", "[[2], [4, 6]]"},
      {"[{ a = 1 }, { a = 2  b = 3 }][0].b", "null"},
      {"[r.b ?? 0 for r in [{ a = 1 }, { b = 3 }]]", "[0, 3]"},
      {"file(\"x\")", "file(\"x\")"},
      {"write(\"c.json\", { a = 1 })", "write(\"c.json\", { a = 1 })"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

static void test_errors(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"if 1 then 2 else 3", "E0311 1[1] `if` wants true or false, not an integer\n  ^ this is 1\n"},
      {"1 and true", "E0311 1[1] `and` wants true or false, not an integer\n  ^ this is 1\n"},
      {"not \"x\"", "E0311 1[\"x\"] `not` wants true or false, not a string\n  ^ this is \"x\"\n"},
      {"\"a\" + \"b\"", "E0301 1[+] cannot add a string to a string\n  - 1[\"a\"] a string\n  - 1[\"b\"] a string\n"
                        "  = help: put values into text with holes: \"{{a}}{{b}}\"\n"},
      {"[1] + [2]", "E0301 1[+] cannot add a list to a list\n  - 1[[1]] a list\n  - 1[[2]] a list\n"
                    "  = help: `concat(a, b)` joins two lists; `[x + y for x in a for y in b]` adds each to each\n"},
      {"1 + null", "E0301 1[+] cannot add an integer to null\n  - 1[1] an integer\n  - 1[null] null\n"
                   "  = help: `x ?? 0` gives 0 where x is null\n"},
      {"1 + true", "E0301 1[+] cannot add an integer to a bool\n  - 1[1] an integer\n  - 1[true] a bool\n"},
      {"1 < \"a\"", "E0301 1[<] cannot compare an integer with a string\n  - 1[1] 1\n  - 1[\"a\"] \"a\"\n"},
      {"1 in 2", "E0301 1[in] `in` looks for a value in a list, a text in a text, or a name in a record; not for an "
                 "integer in an "
                 "integer\n"},
      {"-\"a\"", "E0301 1[-\"a\"] `-` wants a number, a quantity or a list of them, not a string\n"},
      {"{ layers = 1 }.layesr", "E0308 1[layesr] no field `layesr` in this record\n  = help: did you mean `layers`?\n"
                                "  = note: it has the fields layers\n"},
      {"5 .x", "E0308 1[x] an integer has no field `x`\n  - 1[5] this is 5\n"},
      {"[1, 2][2]", "E0308 1[2] no element 2 in a list of 2\n  = note: elements are counted from 0\n"},
      {"[1, 2][-1]", "E0308 1[-1] no element -1 in a list of 2\n  = note: elements are counted from 0\n"},
      {"{ a = 1 }[\"b\"]", "E0308 1[\"b\"] no field `b` in this record\n  = note: it has the fields a\n"},
      {"5[0]", "E0308 1[5] [...] wants a list or record, not an integer\n"},
      {"5 with { a = 1 }", "E0308 1[5] `with` changes fields of a record; this is an integer\n"},
      {"[x for x in 5]", "E0308 1[5] `for` goes over a list, not an integer\n"},
      {"[x for x in { a = 1 }]",
       "E0308 1[{ a = 1 }] `for` goes over a list, not a record\n  = help: `keys(x)` lists the names of its fields\n"},
      {"[a for a, b in [(1, 2), 3]]", "E0308 1[[(1, 2), 3]] 2 names want tuples of 2; one element is 3\n"},
      {"\"a{{null}}\"",
       "E0307 1[null] null cannot be put into text\n  = help: `{{x ?? \"\"}}` gives an empty text where x is null\n"},
      {"\"a{{[1]}}\"",
       "E0307 1[[1]] a list cannot be put into text\n  = help: `{{join(x, \",\")}}` puts its elements into one text\n"},
      {"\"a{{{ a = 1 }}}\"",
       "E0307 1[{ a = 1 }] a record cannot be put into text\n  = help: name one of its fields, as in `{{x.name}}`\n"},
      {"{ a = 1  a = 2 }", "E0207 1[a] `a` is given twice\n  - 1[a] given here first\n"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

/* Each let is evaluated once and says its error once, however often it is used; independent errors are all said. */
static void test_once(void **state) {
  (void)state;
  char *errors =
      dk_compile_text("let a = 1 / 0\nlet b = a + 1\nlet c = [a, a]\nlet d = 1 + \"x\"\ntask t { run = \"{{a}}\" }");
  assert_string_equal(errors,
                      "E0303 1[0] division by zero\n  ^ this is 0\n"
                      "E0301 4[+] cannot add an integer to a string\n  - 4[1] an integer\n  - 4[\"x\"] a string\n"
                      "  = help: put values into text with holes: \"{{a}}{{b}}\"\n");
  dk_free(errors);
}

static void test_functions(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(&c, "let scale(x, n) = x * n\n"
                 "let twice(x) = scale(n = 2, x = x)\n"
                 "let table(n) = [scale(i, j) for i in 1..n for j in 1..n if i <= j]\n"
                 "let nested(n) = [table(k) for k in 1..n]\n"
                 "let a = twice(21) let b = table(3) let d = nested(2) let e = [twice(x) for x in b]\n"
                 "let shadow(a) = [a for a in [a, a + 1]] let f = shadow(5)\n"
                 "resource gpu { cpus = 4 * 2 memory = 32GiB }\n"
                 "let g = gpu with { cpus = 1 } let h = gpu.memory\n"
                 "task t { run = \"x\" }");
  assert_string_equal(dk_compile_errors(&c), "");
  assert_string_equal(dk_compile_value(&c, "a"), "42");
  assert_string_equal(dk_compile_value(&c, "b"), "[1, 2, 3, 4, 6, 9]");
  assert_string_equal(dk_compile_value(&c, "d"), "[[1], [1, 2, 4]]");
  assert_string_equal(dk_compile_value(&c, "e"), "[2, 4, 6, 8, 12, 18]");
  assert_string_equal(dk_compile_value(&c, "f"), "[5, 6]");
  assert_string_equal(dk_compile_value(&c, "gpu"), "{ cpus = 8 memory = 32GiB }");
  assert_string_equal(dk_compile_value(&c, "g"), "{ cpus = 1 memory = 32GiB }");
  assert_string_equal(dk_compile_value(&c, "h"), "32GiB");
  dk_compile_finish(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_errors),
      cmocka_unit_test(test_once),
      cmocka_unit_test(test_functions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Built-in functions: exact results, exact errors, and that none is left out. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include <stdio.h>
#include <string.h>

static const struct dk_row values[] = {
    {"len([1, 2])", "2"},
    {"len({ a = 1 })", "1"},
    {"len(\"h\xc3\xa9\")", "2"},
    {"sum([1, 2, 3])", "6"},
    {"sum([])", "0"},
    {"sum([0.1, 0.2, 0.3, 0.4])", "1"},
    {"min(3, 1, 2)", "1"},
    {"min([3, 1.5])", "1.5"},
    {"max([\"a\", \"b\"])", "\"b\""},
    {"max(1h, 90m)", "1h30m"},
    {"sort([3, 1, 2])", "[1, 2, 3]"},
    {"sort([3, 1, 2], descending = true)", "[3, 2, 1]"},
    {"sort([[2, 1], [1, 9]])", "[[1, 9], [2, 1]]"},
    {"unique([1, 2, 1.0, 2, 3])", "[1, 2, 3]"},
    {"concat([1], [], [2, 3])", "[1, 2, 3]"},
    {"zip([1, 2], [\"a\", \"b\"])", "[[1, \"a\"], [2, \"b\"]]"},
    {"keys({ b = 1  a = 2 })", "[\"a\", \"b\"]"},
    {"linspace(0, 1, 5)", "[0, 0.25, 0.5, 0.75, 1]"},
    {"linspace(0, 0.3, 4)", "[0, 0.1, 0.2, 0.3]"},
    {"linspace(5, 9, 1)", "[5]"},
    {"geomspace(1e-5, 1e-1, 5)", "[0.00001, 0.0001, 0.001, 0.01, 0.1]"},
    {"geomspace(1, 1000, 4)", "[1, 10, 100, 1000]"},
    {"geomspace(1, 2, 3)", "[1, 1.4142135623730951, 2]"},
    {"geomspace(-8, -1, 4)", "[-8, -4, -2, -1]"},
    {"subsets([1, 2])", "[[], [1], [2], [1, 2]]"},
    {"subsets([1, 2, 3], size = 2)", "[[1, 2], [1, 3], [2, 3]]"},
    {"subsets([1, 2], 3)", "[]"},
    {"len(subsets(1..10))", "1024"},
    {"abs(-3)", "3"},
    {"abs(2.5)", "2.5"},
    {"abs(-1.5h)", "1h30m"},
    {"floor(-1.5)", "-2"},
    {"ceil(-1.5)", "-1"},
    {"ceil(1.1)", "2"},
    {"round(2.5)", "3"},
    {"round(-2.5)", "-3"},
    {"round(2.4999)", "2"},
    {"round(0.125, 2)", "0.13"},
    {"round(1.005, 2)", "1.01"}, /* 1.005 is what is written, not the double below it */
    {"int(3.0)", "3"},
    {"int(\"-12\")", "-12"},
    {"log2(8)", "3"},
    {"log2(0.125)", "-3"},
    {"log2(10)", "3.321928094887362"},
    {"format(7, \"03d\")", "\"007\""},
    {"format(255, \"x\")", "\"ff\""},
    {"format(0.5, \".3f\")", "\"0.500\""},
    {"format(12345.678, \".2e\")", "\"1.23e+04\""},
    {"format(\"a\", \"3s\")", "\"a  \""},
    {"join([1, 2.5, \"x\"])", "\"1 2.5 x\""},
    {"join([1, 2], \",\")", "\"1,2\""},
    {"join([])", "\"\""},
    {"split(\" a  b\\n\")", "[\"a\", \"b\"]"},
    {"split(\"a,b,,c\", \",\")", "[\"a\", \"b\", \"\", \"c\"]"},
    {"split(\"\", \",\")", "[\"\"]"},
    {"lower(\"AbC\xc3\x89\")", "\"abc\xc3\x89\""},
    {"hash(1) == hash(1.0)", "true"},
    {"hash(1) == hash(\"1\")", "false"},
    {"hash(\"\")", "\"fb912574cecad54c\""}, /* printf 's0:' | sha256sum */
    {"flags({ lr = 0.1  deep = true  off = false  none = null  xs = [1, 2] })",
     "[\"--deep\", \"--lr\", \"0.1\", \"--xs\", \"1\", \"2\"]"},
    {"file(\"a\")", "file(\"a\")"},
    {"file([\"a\", \"b\"])", "file([\"a\", \"b\"])"},
    {"mount(\"/data\", version = \"3\")", "mount(\"/data\", \"3\")"},
    {"write(\"c.toml\", { a = 1 })", "write(\"c.toml\", { a = 1 })"},
    {"match(\"log.txt\", 'x=(.)')", "match(\"log.txt\", \"x=(.)\")"},
    {"json(\"m.json\", \"a.b\")", "json(\"m.json\", \"a.b\")"},
    {"csv(\"m.csv\", \"loss\")", "csv(\"m.csv\", \"loss\")"},
    {"secret(\"KEY\")", "secret(\"KEY\")"},
    {"raw(\"a b\")", "raw(\"a b\")"},
};

static void test_values(void **state) {
  (void)state;
  DK_TABLE(values, dk_compile_expr);
}

static void test_errors(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"len(5)", "E0309 1[5] `len` wants a list, record or text, not an integer\n"
                 "  = note: len(x): How many elements a list has, fields a record, characters a string.\n"},
      {"sum(5)", "E0309 1[5] `sum` wants a list, not an integer\n"
                 "  = note: sum(list): The sum of a list's numbers or quantities; 0 for an empty list.\n"},
      {"sum([1, 2h])", "E0301 1[sum([1, 2h])] cannot add an integer to a duration\n"},
      {"max([])", "E0309 1[[]] an empty list has no largest element\n"},
      {"min(1, \"a\")", "E0301 1[\"a\"] cannot compare a string with an integer\n"},
      {"sort([1, \"a\"])", "E0301 1[[1, \"a\"]] cannot sort an integer and a string together\n"},
      {"zip([1], [1, 2])", "E0309 1[[1, 2]] `zip` wants lists of one length; this one has 2, the first 1\n"},
      {"linspace(0, 1, 0)", "E0309 1[0] `linspace` wants a count of at least 1, not an integer\n"
                            "  = note: linspace(first, last, n): n numbers with equal steps, both ends in.\n"},
      {"geomspace(0, 1, 3)",
       "E0309 1[0] `geomspace` wants a number that is not 0, not an integer\n"
       "  = note: geomspace(first, last, n): n numbers with equal ratios, both ends in; each rounded once.\n"},
      {"int(2.5)",
       "E0309 1[2.5] 2.5 has a fraction\n  = help: say how to round it: `floor(x)`, `ceil(x)` or `round(x)`\n"},
      {"int(\"2x\")", "E0309 1[\"2x\"] \"2x\" is no integer\n"},
      {"floor(1e300)", "E0302 1[1e300] an integer beyond 64 bits\n"},
      {"log2(0)", "E0304 1[0] only numbers above 0 have a logarithm; this is 0\n"},
      {"format(1, \"q\")", "E0309 1[\"q\"] \"q\" is no form for a value\n"
                           "  = help: [0][width][.digits] and one of d f e g x s, as in \"03d\" or \".3f\"\n"},
      {"format(1.5, \"d\")",
       "E0309 1[1.5] `format` wants an integer for this form, not a float\n"
       "  = note: format(x, spec): x as text: spec is [0][width][.digits] and one of d f e g x s, as in "
       "format(lr, \".3f\").\n"},
      {"split(\"a\", \"\")", "E0309 1[\"\"] `split` wants a separator of at least one character\n"},
      {"join([[1]])", "E0307 1[[[1]]] a list cannot be put into text\n"},
      {"load(\"x.csv\")", "E0310 1[load(\"x.csv\")] files cannot be read here\n"},
      {"len()", "E0211 1[len()] `len` lacks its argument `x`\n  = note: its form is `len(x)`\n"},
      {"len([], 2)", "E0211 1[2] `len` takes 1 argument, not 2\n  = note: its form is `len(x)`\n"},
      {"sort([1], descendin = true)",
       "E0211 1[descendin] `sort` has no parameter `descendin`\n  = help: did you mean `descending`?\n"
       "  = note: its form is `sort(list, descending?)`\n"},
      {"sort([1], list = [2])",
       "E0211 1[list] `list` is given twice\n  = note: its form is `sort(list, descending?)`\n"},
      {"lenn([1])", "E0201 1[lenn] no function `lenn`\n  = help: did you mean `len`?\n"},
      {"len", "E0214 1[len] `len` is a function: it must be called\n  = help: its form is `len(x)`\n"},
      {"drawn(1)",
       "E0220 1[drawn(1)] `drawn` is not built yet in this version\n  = note: the language has it, this program "
       "does not do it yet\n"},
      {"rows(1, max = 2, columns = 3)",
       "E0220 1[rows(1, max = 2, columns = 3)] `rows` is not built yet in this version\n  = note: the language has "
       "it, this program does not do it yet\n"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

/* Every function that gives a value has a row above (load and glob: test_data, test_load). */
static void test_complete(void **state) {
  (void)state;
  uint32_t n;
  const struct dk_builtin_info *all = dk_builtins(&n);
  for (uint32_t i = 0; i < n; i++) {
    char call[64];
    bool found = false;
    snprintf(call, sizeof call, "%s(", all[i].name);
    for (size_t j = 0; j < sizeof values / sizeof *values && !found; j++)
      found = strncmp(values[j].text, call, strlen(call)) == 0;
    bool elsewhere =
        all[i].class > DK_BUILTIN_INERT || strcmp(all[i].name, "load") == 0 || strcmp(all[i].name, "glob") == 0;
    if (!found && !elsewhere) fail_msg("no test of %s", all[i].name);
    assert_non_null(strchr(all[i].signature, '('));
    assert_true(strlen(all[i].doc) > 20);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_errors),
      cmocka_unit_test(test_complete),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Units: as written, as text, and what they may be combined with. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/eval/quantity.h"

#include <string.h>

static void test_text(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"512MB", "512MB"},    {"512MiB", "512MiB"},      {"1024MiB", "1GiB"},
      {"1000MB", "1GB"},     {"0.5KiB", "512B"},        {"1.5GiB", "1536MiB"},
      {"0B", "0B"},          {"1_000kB", "1MB"},        {"90s", "1m30s"},
      {"1h30m", "1h30m"},    {"1.5h", "1h30m"},         {"36h", "1d12h"},
      {"2d", "2d"},          {"1500ms", "1s500ms"},     {"0s", "0s"},
      {"1.5us", "1us500ns"}, {"5USD", "5USD"},          {"1.50USD", "1.5USD"},
      {"30CNY", "30CNY"},    {"1.50USD/h", "1.5USD/h"}, {"0.000001EUR", "0.000001EUR"},
      {"-90s", "-1m30s"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

static void test_arithmetic(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"1GiB + 512MiB", "1536MiB"},
      {"2h - 30m", "1h30m"},
      {"3 * 512MB", "1536MB"},
      {"512MB * 1.5", "768MB"},
      {"1h / 4", "15m"},
      {"1GiB / 512MiB", "2"},
      {"1h / 90m", "0.6666666666666666"},
      {"1GiB // 300MiB", "3"},
      {"1GiB % 300MiB", "124MiB"},
      {"1.50USD/h * 90m", "2.25USD"},
      {"2h * 1USD/h", "2USD"},
      {"3USD / 2h", "1.5USD/h"},
      {"3USD / 1.5USD/h", "2h"},
      {"[1, 2] * 4GiB", "[4GiB, 8GiB]"},
      {"10B / 3", "3B"}, /* the nearest byte */
      {"1h < 61m", "true"},
      {"1GiB == 1024MiB", "true"},
      {"max(1GiB, 1GB)", "1GiB"},
      {"sum([1h, 30m])", "1h30m"},
      {"abs(-5s)", "5s"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

static void test_errors(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"1GiB + 2h", "E0301 1[+] cannot add a size to a duration\n  - 1[1GiB] a size\n  - 1[2h] a duration\n"},
      {"2h - 1GiB", "E0301 1[-] cannot subtract a size from a duration\n  - 1[2h] a duration\n  - 1[1GiB] a size\n"},
      {"2h * 2h", "E0301 1[*] cannot multiply a duration by a duration\n  - 1[2h] a duration\n  - 1[2h] a duration\n"},
      {"1 / 2h", "E0301 1[/] cannot divide an integer by a duration\n  - 1[1] an integer\n  - 1[2h] a duration\n"},
      {"2h ** 2", "E0301 1[**] cannot raise a duration to an integer\n  - 1[2h] a duration\n  - 1[2] an integer\n"},
      {"1USD + 1EUR",
       "E0301 1[+] cannot add an amount of money to an amount of money\n  - 1[1USD] an amount of money\n  - "
       "1[1EUR] an amount of money\n"
       "  = help: the two are of different currencies, and nothing here knows their rate\n"},
      {"1GiB + 1", "E0301 1[+] cannot add a size to an integer\n  - 1[1GiB] a size\n  - 1[1] an integer\n"},
      {"1h < 1GiB", "E0301 1[<] cannot compare a duration with a size\n  - 1[1h] 1h\n  - 1[1GiB] 1GiB\n"},
      {"1USD < 1EUR",
       "E0301 1[<] cannot compare an amount of money with an amount of money\n  - 1[1USD] 1USD\n  - 1[1EUR] 1EUR\n"},
      {"5KB",
       "E0306 1[5KB] unknown unit `KB`\n  = help: did you mean `kB`?\n  = note: sizes: B kB MB GB TB KiB MiB GiB TiB; "
       "durations: ns us ms s m h d; money: three capitals such as USD, an hour: USD/h\n"},
      {"5sec", "E0306 1[5sec] unknown unit `sec`\n  = help: this unit is written `s`\n"},
      {"0.3B",
       "E0306 1[0.3B] `0.3B` is finer than the smallest unit (a byte, a nanosecond, a millionth of a currency)\n"},
      {"1h30GB", "E0306 1[1h30GB] only durations are written in several parts, as in 1h30m\n"},
      {"9000000TiB", "E0306 1[9000000TiB] `9000000TiB` is beyond 64 bits\n"},
      {"9000000TB * 1000000", "E0302 1[9000000TB * 1000000] a size beyond 64 bits\n"},
      {"8000000TB + 8000000TB", "E0302 1[8000000TB + 8000000TB] a size beyond 64 bits\n"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

/* Text of a quantity reads back as the same quantity. */
static void test_round_trip(void **state) {
  (void)state;
  static const int64_t amounts[] = {0,    1,       7,       999,           1000,        1023,     1024,
                                    1536, 1000000, 1048576, 3600000000000, 90000000001, INT64_MAX};
  static const struct {
    enum dk_type type;
    uint16_t unit;
  } kinds[] = {{DK_TYPE_SIZE, 0},
               {DK_TYPE_DURATION, 0},
               {DK_TYPE_MONEY, 20 << 10 | 18 << 5 | 3},
               {DK_TYPE_RATE, 2 << 10 | 13 << 5 | 24}};
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
      struct dk_buf text = DK_BUF_INIT;
      struct dk_quantity back;
      const char *unit;
      size_t len;
      dk_quantity_text(kinds[k].type, kinds[k].unit, amounts[i], &text);
      assert_int_equal(dk_quantity_parse(dk_buf_text(&text), text.len, &back, &unit, &len), DK_QUANTITY_OK);
      assert_int_equal(back.type, kinds[k].type);
      assert_int_equal(back.unit, kinds[k].unit);
      assert_int_equal(back.amount, amounts[i]);
      dk_buf_finish(&text);
    }
  }
}

static void test_currency(void **state) {
  (void)state;
  char text[4];
  dk_currency_text(dk_currency_pack("USD"), text);
  assert_string_equal(text, "USD");
  dk_currency_text(dk_currency_pack("ZZZ"), text);
  assert_string_equal(text, "ZZZ");
  assert_int_not_equal(dk_currency_pack("USD"), dk_currency_pack("USE"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text),       cmocka_unit_test(test_arithmetic), cmocka_unit_test(test_errors),
      cmocka_unit_test(test_round_trip), cmocka_unit_test(test_currency),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

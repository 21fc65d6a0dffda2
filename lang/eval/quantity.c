/* Units: reading and writing quantities exactly, in integers. Does no arithmetic on values (arith.c). */
#include "lang/eval/quantity.h"

#include <inttypes.h>
#include <string.h>

struct unit {
  const char *name;
  enum dk_type type;
  int64_t scale;
};

/* Sizes: SI and IEC 80000-13 prefixes. A minute is `m`, as in 1h30m; a day has 24 hours. */
static const struct unit units[] = {
    {"B", DK_TYPE_SIZE, 1},
    {"kB", DK_TYPE_SIZE, 1000},
    {"MB", DK_TYPE_SIZE, 1000000},
    {"GB", DK_TYPE_SIZE, 1000000000},
    {"TB", DK_TYPE_SIZE, 1000000000000},
    {"KiB", DK_TYPE_SIZE, 1LL << 10},
    {"MiB", DK_TYPE_SIZE, 1LL << 20},
    {"GiB", DK_TYPE_SIZE, 1LL << 30},
    {"TiB", DK_TYPE_SIZE, 1LL << 40},
    {"ns", DK_TYPE_DURATION, 1},
    {"us", DK_TYPE_DURATION, 1000},
    {"ms", DK_TYPE_DURATION, 1000000},
    {"s", DK_TYPE_DURATION, DK_SECOND},
    {"m", DK_TYPE_DURATION, 60 * (int64_t)DK_SECOND},
    {"h", DK_TYPE_DURATION, DK_HOUR},
    {"d", DK_TYPE_DURATION, 24 * DK_HOUR},
};
#define N_UNITS (sizeof units / sizeof *units)

const char *const *dk_quantity_units(uint32_t *ret_n) {
  static const char *const names[N_UNITS] = {"B",   "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB",
                                             "TiB", "ns", "us", "ms", "s",  "m",   "h",   "d"};
  *ret_n = N_UNITS;
  return names;
}

uint16_t dk_currency_pack(const char letters[3]) {
  return (uint16_t)((letters[0] - 'A') << 10 | (letters[1] - 'A') << 5 | (letters[2] - 'A'));
}

void dk_currency_text(uint16_t unit, char ret[4]) {
  for (int i = 0; i < 3; i++) ret[i] = (char)('A' + ((unit >> (10 - 5 * i)) & 31));
  ret[3] = '\0';
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool find_unit(const char *name, size_t len, struct unit *ret, uint16_t *ret_currency) {
  for (size_t i = 0; i < N_UNITS; i++) {
    if (strlen(units[i].name) == len && memcmp(units[i].name, name, len) == 0) {
      *ret = units[i];
      *ret_currency = 0;
      return true;
    }
  }
  bool rate = len == 5 && memcmp(name + 3, "/h", 2) == 0;
  if (len != 3 && !rate) return false;
  for (int i = 0; i < 3; i++)
    if (name[i] < 'A' || name[i] > 'Z') return false;
  *ret = (struct unit){"", rate ? DK_TYPE_RATE : DK_TYPE_MONEY, DK_MONEY_SCALE};
  *ret_currency = dk_currency_pack(name);
  return true;
}

/* The decimal digits[0..n), which may have one point, times `scale`: exactly, or an error. */
static enum dk_quantity_error scale_decimal(const char *digits, size_t n, int64_t scale, int64_t *ret) {
  __int128 whole = 0, fraction = 0, power = 1;
  size_t i = 0;
  for (; i < n && digits[i] != '.'; i++) {
    whole = whole * 10 + (digits[i] - '0');
    if (whole > INT64_MAX) return DK_QUANTITY_RANGE;
  }
  while (n > i && digits[n - 1] == '0') n--;
  for (i++; i < n; i++) {
    fraction = fraction * 10 + (digits[i] - '0');
    power *= 10;
    if (power > (__int128)1000000000000000000) return DK_QUANTITY_FINE;
  }
  if (fraction * scale % power) return DK_QUANTITY_FINE;
  __int128 amount = whole * scale + fraction * scale / power;
  if (amount > INT64_MAX) return DK_QUANTITY_RANGE;
  *ret = (int64_t)amount;
  return DK_QUANTITY_OK;
}

enum dk_quantity_error dk_quantity_parse(const char *text, size_t len, struct dk_quantity *ret, const char **ret_unit,
                                         size_t *ret_unit_len) {
  *ret = (struct dk_quantity){DK_TYPE_DURATION, 0, 0};
  for (size_t at = 0, parts = 0; at < len; parts++) {
    size_t digits = at;
    while (at < len && (is_digit(text[at]) || text[at] == '.')) at++;
    size_t name = at;
    while (at < len && !is_digit(text[at]) && text[at] != '.') at++;
    *ret_unit = text + name;
    *ret_unit_len = at - name;
    struct unit unit;
    uint16_t currency;
    if (!find_unit(text + name, at - name, &unit, &currency)) return DK_QUANTITY_UNIT;
    if (parts && (unit.type != DK_TYPE_DURATION || ret->type != DK_TYPE_DURATION)) return DK_QUANTITY_MIXED;
    int64_t amount;
    enum dk_quantity_error rc = scale_decimal(text + digits, name - digits, unit.scale, &amount);
    if (rc != DK_QUANTITY_OK) return rc;
    ret->type = unit.type;
    ret->unit = currency;
    if (__builtin_add_overflow(ret->amount, amount, &ret->amount)) return DK_QUANTITY_RANGE;
  }
  return DK_QUANTITY_OK;
}

static void size_text(uint64_t bytes, struct dk_buf *out) {
  /* The unit that gives the fewest digits; of two, the first: binary units read as what machines have. */
  static const char *const order[] = {"TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"};
  const char *best = "B";
  uint64_t least = bytes;
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    struct unit unit;
    uint16_t currency;
    find_unit(order[i], strlen(order[i]), &unit, &currency);
    uint64_t scale = (uint64_t)unit.scale;
    if (bytes && bytes % scale == 0 && bytes / scale < least) {
      least = bytes / scale;
      best = order[i];
    }
  }
  dk_buf_printf(out, "%" PRIu64 "%s", least, best);
}

static void duration_text(uint64_t left, struct dk_buf *out) {
  static const struct {
    const char *name;
    uint64_t scale;
  } parts[] = {{"d", 24 * (uint64_t)DK_HOUR},
               {"h", DK_HOUR},
               {"m", 60 * (uint64_t)DK_SECOND},
               {"s", DK_SECOND},
               {"ms", 1000000},
               {"us", 1000},
               {"ns", 1}};
  if (!left) dk_buf_add_text(out, "0s");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (left >= parts[i].scale) dk_buf_printf(out, "%" PRIu64 "%s", left / parts[i].scale, parts[i].name);
    left %= parts[i].scale;
  }
}

static void money_text(uint64_t millionths, uint16_t unit, struct dk_buf *out) {
  char currency[4];
  dk_currency_text(unit, currency);
  dk_buf_printf(out, "%" PRIu64, millionths / DK_MONEY_SCALE);
  uint64_t rest = millionths % DK_MONEY_SCALE;
  if (rest) dk_buf_add_char(out, '.');
  for (uint64_t digit = DK_MONEY_SCALE / 10; rest; digit /= 10) {
    dk_buf_add_char(out, (char)('0' + rest / digit));
    rest %= digit;
  }
  dk_buf_add_text(out, currency);
}

void dk_quantity_money_text(const char *currency, uint64_t millionths, struct dk_buf *out) {
  uint64_t fine = 100, most = UINT64_MAX / fine * fine;
  if (millionths > most) millionths = most;
  if (millionths > fine) millionths = (millionths + fine - 1) / fine * fine;
  money_text(millionths, dk_currency_pack(currency), out);
}

void dk_quantity_text(enum dk_type type, uint16_t unit, int64_t amount, struct dk_buf *out) {
  uint64_t size = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
  if (amount < 0) dk_buf_add_char(out, '-');
  if (type == DK_TYPE_SIZE)
    size_text(size, out);
  else if (type == DK_TYPE_DURATION)
    duration_text(size, out);
  else
    money_text(size, unit, out);
  if (type == DK_TYPE_RATE) dk_buf_add_text(out, "/h");
}

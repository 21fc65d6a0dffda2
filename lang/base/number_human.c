/* Sizes and durations for people, rounded: see number.h. Integer arithmetic only, so no locale and no surprise. */
#include "lang/base/number.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* value / unit with up to three significant digits and no trailing zeros. True if it fits below 1000 (`limit`). */
static bool put_scaled(uint64_t value, uint64_t unit, unsigned limit, const char *name, char ret[DK_NUMBER_TEXT]) {
  unsigned __int128 hundredths = ((unsigned __int128)value * 100 + unit / 2) / unit;
  if (hundredths >= 10000) {
    uint64_t whole = (uint64_t)(((unsigned __int128)value * 2 + unit) / ((unsigned __int128)unit * 2));
    if (whole >= limit) return false;
    snprintf(ret, DK_NUMBER_TEXT, "%llu %s", (unsigned long long)whole, name);
    return true;
  }
  if (hundredths >= 1000) hundredths = ((unsigned __int128)value * 20 + unit) / ((unsigned __int128)unit * 2) * 10;
  unsigned whole = (unsigned)(hundredths / 100), part = (unsigned)(hundredths % 100);
  if (part == 0) {
    snprintf(ret, DK_NUMBER_TEXT, "%u %s", whole, name);
  } else if (part % 10 == 0) {
    snprintf(ret, DK_NUMBER_TEXT, "%u.%u %s", whole, part / 10, name);
  } else {
    snprintf(ret, DK_NUMBER_TEXT, "%u.%02u %s", whole, part, name);
  }
  return true;
}

void dk_number_size_text(uint64_t bytes, char ret[DK_NUMBER_TEXT]) {
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) {
    snprintf(ret, DK_NUMBER_TEXT, "%u B", (unsigned)bytes);
    return;
  }
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (put_scaled(bytes, (uint64_t)1 << (10 + 10 * i), i == 5 ? 10000 : 1000, units[i], ret)) return;
  }
}

const char *dk_number_unit(const char *word) {
  static const char *const units[] = {"B",   "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB",
                                      "TiB", "ns", "us", "ms", "s",  "m",   "h",   "d"};
  static const char *const others[][2] = {
      {"sec", "s"},    {"secs", "s"},    {"second", "s"}, {"seconds", "s"},      {"min", "m"},           {"mins", "m"},
      {"minute", "m"}, {"minutes", "m"}, {"hr", "h"},     {"hrs", "h"},          {"hour", "h"},          {"hours", "h"},
      {"day", "d"},    {"days", "d"},    {"msec", "ms"},  {"millisecond", "ms"}, {"milliseconds", "ms"}, {"usec", "us"},
      {"byte", "B"},   {"bytes", "B"},   {"Ki", "KiB"},   {"Mi", "MiB"},         {"Gi", "GiB"},          {"Ti", "TiB"}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(word, units[i]) == 0) return units[i];
  if (strlen(word) == 1) return NULL; /* more likely somebody's name */
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strcasecmp(word, others[i][0]) == 0) return others[i][1];
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcasecmp(word, units[i]) == 0) return units[i];
  return NULL;
}

static void put_two(uint64_t major, const char *major_name, uint64_t minor, const char *minor_name,
                    char ret[DK_NUMBER_TEXT]) {
  if (minor == 0) {
    snprintf(ret, DK_NUMBER_TEXT, "%llu%s", (unsigned long long)major, major_name);
  } else {
    snprintf(ret, DK_NUMBER_TEXT, "%llu%s%llu%s", (unsigned long long)major, major_name, (unsigned long long)minor,
             minor_name);
  }
}

/* value / unit with two significant digits; value < 10 units. */
static void put_small(uint64_t value, uint64_t unit, const char *name, char ret[DK_NUMBER_TEXT]) {
  uint64_t hundredths = (value + unit / 200) / (unit / 100);
  if (hundredths >= 100) hundredths = (value + unit / 20) / (unit / 10) * 10;
  put_scaled(hundredths, 100, 1000, name, ret);
}

void dk_number_duration_text(uint64_t nanoseconds, char ret[DK_NUMBER_TEXT]) {
  const uint64_t ms = 1000000, second = 1000000000;
  uint64_t seconds = nanoseconds / second + (nanoseconds % second >= second / 2);
  uint64_t minutes = seconds / 60 + (seconds % 60 >= 30);
  uint64_t hours = minutes / 60 + (minutes % 60 >= 30);
  if (nanoseconds == 0) {
    snprintf(ret, DK_NUMBER_TEXT, "0 s");
  } else if (nanoseconds < ms / 100) {
    snprintf(ret, DK_NUMBER_TEXT, "<0.01 ms");
  } else if (nanoseconds < 10 * ms) {
    put_small(nanoseconds, ms, "ms", ret);
  } else if (nanoseconds < 10 * second) {
    put_small(nanoseconds, second, "s", ret);
  } else if (seconds < 120) {
    snprintf(ret, DK_NUMBER_TEXT, "%u s", (unsigned)seconds);
  } else if (seconds < 3600) {
    put_two(seconds / 60, "m", seconds % 60, "s", ret);
  } else if (minutes < 24 * 60) {
    put_two(minutes / 60, "h", minutes % 60, "m", ret);
  } else {
    put_two(hours / 24, "d", hours % 24, "h", ret);
  }
}

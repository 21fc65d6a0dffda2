/* Hours of the week: texts, local time, and the days on which clocks are changed. Time zones are POSIX texts, so that
 * no database of them is needed. */
#include "engine/drive/hours.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0" /* clocks change by half an hour */
#define HOUR 3600

static struct dk_arena arena;
static jmp_buf oom;

static int set_up(void **state) {
  (void)state;
  dk_arena_init(&arena, &oom);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  dk_arena_finish(&arena);
  return 0;
}

static void zone(const char *text) {
  assert_int_equal(setenv("TZ", text, 1), 0);
  tzset();
}

/* Of up to two texts. */
static struct dk_hours hours(const char *one, const char *two) {
  struct dk_hours_set set = {{false}};
  const char *why;
  assert_int_equal(dk_hours_add(&set, one, &why), 0);
  if (two) assert_int_equal(dk_hours_add(&set, two, &why), 0);
  return dk_hours_of(&set, one, &arena);
}

static int64_t utc(int year, int month, int day, int hour, int minute) {
  struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute};
  return timegm(&tm);
}

/* "0-480 1200-1440" of all ranges */
static const char *ranges_text(const struct dk_hours *h) {
  static char text[512];
  size_t len = 0;
  text[0] = '\0';
  for (uint32_t i = 0; i < h->n; i++)
    len += (size_t)snprintf(text + len, sizeof text - len, "%s%u-%u", i ? " " : "", h->ranges[i].from, h->ranges[i].to);
  return text;
}

static void test_texts(void **state) {
  (void)state;
  static const struct {
    const char *one, *two, *ranges;
  } good[] = {
      {"Mon 08:00-09:30", NULL, "480-570"},
      {"mon 8:00-9:30", NULL, "480-570"},
      {"  Tue   08:00 - 09:00 ", NULL, "1920-1980"},
      {"Sat-Sun", NULL, "7200-10080"},
      {"SUN", NULL, "8640-10080"},
      {"Fri-Mon 10:00-11:00", NULL, "600-660 6360-6420 7800-7860 9240-9300"},
      {"Sun 20:00-08:00", NULL, "0-480 9840-10080"},
      {"Mon 22:00-24:00", "Tue 00:00-01:00", "1320-1500"},
      {"Mon 08:00-09:00", "Mon 08:30-10:00", "480-600"},
      {"00:00-24:00", NULL, ""},
      {"Mon-Sun", NULL, ""},
      {"12:00-11:59", NULL, "0-719 720-2159 2160-3599 3600-5039 5040-6479 6480-7919 7920-9359 9360-10080"},
  };
  static const char *const bad[] = {"",           "20",          "20:00",        "20:00-",
                                    "20:00-8",    "25:00-8:00",  "20:60-8:00",   "24:01-8:00",
                                    "8:00-8:00",  "24:00-08:00", "Mo 8:00-9:00", "Monday 8:00-9:00",
                                    "Mon-",       "Mon-Tue-Wed", "Mon8:00-9:00", "8:00-9:00 Mon",
                                    "8:00-9:00,", "-1:00-9:00",  "8:0-9:00",     "008:00-9:00"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    struct dk_hours h = hours(good[i].one, good[i].two);
    if (strcmp(ranges_text(&h), good[i].ranges) != 0)
      fail_msg("%s: %s, not %s", good[i].one, ranges_text(&h), good[i].ranges);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct dk_hours_set set = {{false}};
    const char *why = NULL;
    if (dk_hours_add(&set, bad[i], &why) == 0) fail_msg("`%s` was taken", bad[i]);
    assert_non_null(why);
    for (size_t m = 0; m < DK_HOURS_WEEK; m++) assert_false(set.open[m]);
  }
}

static void test_cut(void **state) {
  (void)state;
  struct dk_hours night = hours("20:00-08:00", NULL), week = hours("Mon-Tue", NULL), noon = hours("12:00-13:00", NULL),
                  always = {NULL, 0, NULL};
  struct dk_hours_set a = {{false}}, b = {{false}};
  dk_hours_fill(&a, &night);
  dk_hours_fill(&b, &week);
  assert_true(dk_hours_cut(&a, &b));
  struct dk_hours both = dk_hours_of(&a, "x", &arena);
  assert_string_equal(ranges_text(&both), "0-480 1200-1920 2640-2880");
  dk_hours_fill(&b, &always);
  assert_true(dk_hours_cut(&a, &b));
  both = dk_hours_of(&a, "x", &arena);
  assert_string_equal(ranges_text(&both), "0-480 1200-1920 2640-2880");
  dk_hours_fill(&b, &noon);
  assert_false(dk_hours_cut(&a, &b));
}

/* 2024-03-31 01:00 UTC: 2:00 becomes 3:00. 2024-10-27 01:00 UTC: 3:00 becomes 2:00. */
static void test_clock_changes(void **state) {
  (void)state;
  zone(BERLIN);
  struct dk_hours night = hours("20:00-08:00", NULL), missing = hours("02:15-03:30", NULL),
                  twice = hours("02:00-02:30", NULL), skipped = hours("02:15-02:45", NULL);

  int64_t spring = utc(2024, 3, 30, 19, 0);
  assert_false(dk_hours_is_open(&night, spring - 1));
  assert_true(dk_hours_is_open(&night, spring));
  assert_int_equal(dk_hours_change_in(&night, spring - 1), 1);
  assert_int_equal(dk_hours_change_in(&night, spring), 11 * HOUR);

  int64_t autumn = utc(2024, 10, 26, 18, 0);
  assert_true(dk_hours_is_open(&night, autumn));
  assert_int_equal(dk_hours_change_in(&night, autumn), 13 * HOUR);
  assert_true(dk_hours_is_open(&night, autumn + 13 * HOUR - 1));
  assert_false(dk_hours_is_open(&night, autumn + 13 * HOUR));

  /* It begins in the hour that is not there: with the first minute behind it. */
  int64_t before = utc(2024, 3, 31, 0, 30);
  assert_int_equal(dk_hours_change_in(&missing, before), HOUR / 2);
  assert_int_equal(dk_hours_change_in(&missing, before + HOUR / 2), HOUR / 2);
  /* All of it is missing on that day: the next day, 23 hours later. */
  assert_false(dk_hours_is_open(&skipped, utc(2024, 3, 31, 1, 20)));
  assert_int_equal(dk_hours_change_in(&skipped, before), utc(2024, 4, 1, 0, 15) - before);

  /* The hour that is there twice. */
  int64_t first = utc(2024, 10, 27, 0, 0);
  assert_int_equal(dk_hours_change_in(&twice, first), HOUR / 2);
  assert_int_equal(dk_hours_change_in(&twice, first + HOUR / 2), HOUR / 2);
  assert_true(dk_hours_is_open(&twice, first + HOUR));
  assert_int_equal(dk_hours_change_in(&twice, first + HOUR), HOUR / 2);
}

static void test_always(void **state) {
  (void)state;
  zone("UTC");
  struct dk_hours always = {NULL, 0, NULL}, night = hours("20:00-08:00", NULL);
  assert_true(dk_hours_is_open(&always, 0));
  assert_true(dk_hours_change_in(&always, 0) == UINT64_MAX);
  /* No calendar goes so far. */
  assert_true(dk_hours_is_open(&night, INT64_MAX));
  assert_true(dk_hours_change_in(&night, INT64_MAX) == UINT64_MAX);
  /* Before 1970, and a week's end that is none. */
  assert_true(dk_hours_is_open(&night, -HOUR));
  assert_int_equal(dk_hours_change_in(&night, -HOUR), 9 * HOUR);
  int64_t sunday = utc(2024, 3, 3, 20, 0);
  assert_int_equal(dk_hours_change_in(&night, sunday), 12 * HOUR);
}

/* The answer is where a walk by minutes finds it. */
static void compare(const struct dk_hours *h, int64_t from) {
  bool was_open = dk_hours_is_open(h, from);
  uint64_t in = dk_hours_change_in(h, from), walked = 0;
  while (dk_hours_is_open(h, from + (int64_t)walked) == was_open && walked < 15 * 86400) walked += 60;
  if (in != walked)
    fail_msg("from %lld (%s): %llu s, a walk finds %llu", (long long)from, getenv("TZ"), (unsigned long long)in,
             (unsigned long long)walked);
}

static void test_walks(void **state) {
  (void)state;
  static const char *const zones[] = {BERLIN, LORD_HOWE, "UTC", "<-12>12"};
  static const char *const texts[][2] = {
      {"20:00-08:00", NULL},     {"01:30-02:30", "Sun 03:00-03:15"}, {"Mon-Fri 20:00-08:00", "Sat-Sun"},
      {"Sun 23:00-01:00", NULL}, {"Wed 02:05-02:06", NULL},          {"Sun 02:00-02:30", "Sun 01:00-01:45"}};
  const int64_t weeks[] = {utc(2024, 3, 28, 0, 0), utc(2024, 10, 24, 0, 0), utc(2024, 4, 5, 0, 0),
                           utc(2024, 10, 4, 0, 0)};
  for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
    zone(zones[z]);
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
      struct dk_hours h = hours(texts[t][0], texts[t][1]);
      for (size_t w = 0; w < sizeof weeks / sizeof *weeks; w++)
        for (int64_t at = 0; at < 5 * 86400; at += 97 * 60) compare(&h, weeks[w] + at);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_cut, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_clock_changes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_always, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_walks, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

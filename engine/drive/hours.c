/* See hours.h. Local time decides, so nothing is computed with days of 24 hours. */
#include "engine/drive/hours.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define DAY 1440u
#define DAYS 7u
#define STEP_SECONDS (6 * 3600)           /* in which clocks are not changed twice */
#define HORIZON_SECONDS (5 * 7 * 86400ll) /* a week can lack a day: where the date line was moved */

static const char *const day_names[DAYS] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* Texts. */

static bool read_day(const char **at, unsigned *ret) {
  for (unsigned i = 0; i < DAYS; i++) {
    if (strncasecmp(*at, day_names[i], 3) != 0) continue;
    *ret = i;
    *at += 3;
    return true;
  }
  return false;
}

/* H:MM or HH:MM, up to 24:00. */
static bool read_time(const char **at, unsigned *ret) {
  unsigned parts[2] = {0, 0};
  for (int i = 0; i < 2; i++) {
    size_t digits = strspn(*at, "0123456789");
    if (digits == 0 || digits > 2 || (i == 1 && digits != 2)) return false;
    for (size_t j = 0; j < digits; j++) parts[i] = parts[i] * 10 + (unsigned)((*at)[j] - '0');
    *at += digits;
    if (i == 0 && *(*at)++ != ':') return false;
  }
  *ret = parts[0] * 60 + parts[1];
  return parts[1] < 60 && *ret <= DAY;
}

static bool skip(const char **at, char c) {
  bool is_there = **at == c;
  *at += is_there;
  return is_there;
}

static void skip_blanks(const char **at) {
  *at += strspn(*at, " ");
}

static void add_range(struct dk_hours_set *set, unsigned first_day, unsigned last_day, unsigned from, unsigned to) {
  unsigned n_days = (last_day + DAYS - first_day) % DAYS + 1;
  unsigned minutes = to > from ? to - from : to + DAY - from;
  for (unsigned day = first_day; day < first_day + n_days; day++)
    for (unsigned i = 0; i < minutes; i++) set->open[(day * DAY + from + i) % DK_HOURS_WEEK] = true;
}

int dk_hours_add(struct dk_hours_set *set, const char *text, const char **ret_why) {
  unsigned first = 0, last = DAYS - 1, from = 0, to = DAY;
  *ret_why = "it is no range such as 20:00-08:00 or Mon-Fri 20:00-08:00";
  skip_blanks(&text);
  bool has_days = read_day(&text, &first);
  if (has_days) {
    last = first;
    if (skip(&text, '-') && !read_day(&text, &last)) return -EINVAL;
    if (*text && *text != ' ') return -EINVAL;
    skip_blanks(&text);
  }
  if (*text || !has_days) {
    if (!read_time(&text, &from)) return -EINVAL;
    skip_blanks(&text);
    if (!skip(&text, '-')) return -EINVAL;
    skip_blanks(&text);
    if (!read_time(&text, &to)) return -EINVAL;
    skip_blanks(&text);
    if (*text) return -EINVAL;
  }
  if (from == to || from == DAY) {
    *ret_why = "it begins where it ends; all of a day is 00:00-24:00";
    return -EINVAL;
  }
  add_range(set, first, last, from, to);
  return 0;
}

/* Sets. */

void dk_hours_fill(struct dk_hours_set *set, const struct dk_hours *hours) {
  memset(set->open, hours->n == 0, sizeof set->open);
  for (uint32_t i = 0; i < hours->n; i++)
    for (unsigned m = hours->ranges[i].from; m < hours->ranges[i].to; m++) set->open[m] = true;
}

bool dk_hours_cut(struct dk_hours_set *set, const struct dk_hours_set *other) {
  bool is_any = false;
  for (unsigned m = 0; m < DK_HOURS_WEEK; m++) {
    set->open[m] &= other->open[m];
    is_any |= set->open[m];
  }
  return is_any;
}

struct dk_hours dk_hours_of(const struct dk_hours_set *set, const char *text, struct dk_arena *arena) {
  struct dk_hours_range *ranges = NULL;
  uint32_t n = 0, cap = 0;
  for (unsigned m = 0; m < DK_HOURS_WEEK; m++) {
    if (!set->open[m]) continue;
    unsigned from = m;
    while (m < DK_HOURS_WEEK && set->open[m]) m++;
    dk_arena_push(arena, ranges, n, cap) = (struct dk_hours_range){(uint16_t)from, (uint16_t)m};
  }
  assert(n > 0);
  bool is_always = ranges[0].from == 0 && ranges[0].to == DK_HOURS_WEEK;
  return is_always ? (struct dk_hours){NULL, 0, NULL} : (struct dk_hours){ranges, n, text};
}

/* Times. */

struct local {
  bool is_known;
  unsigned second; /* of the week */
  long offset;     /* from UTC */
};

static struct local local_time(int64_t unix_seconds) {
  time_t t = (time_t)unix_seconds;
  struct tm tm;
  if (!localtime_r(&t, &tm)) return (struct local){.is_known = false};
  unsigned day = ((unsigned)tm.tm_wday + DAYS - 1) % DAYS; /* tm_wday 0 is Sunday */
  unsigned second = tm.tm_sec > 59 ? 59 : (unsigned)tm.tm_sec;
  return (struct local){true, (day * DAY + (unsigned)tm.tm_hour * 60 + (unsigned)tm.tm_min) * 60 + second,
                        tm.tm_gmtoff};
}

/* *ret_left: seconds on an unchanged clock to the end of the range, or of the gap. */
static bool is_open_at(const struct dk_hours *hours, unsigned second, unsigned *ret_left) {
  unsigned to_end = DK_HOURS_WEEK * 60 - second;
  *ret_left = to_end;
  for (uint32_t i = 0; i < hours->n; i++) {
    unsigned from = hours->ranges[i].from * 60u, to = hours->ranges[i].to * 60u;
    if (second < from) {
      *ret_left = from - second;
      return false;
    }
    if (second < to) {
      *ret_left = to - second;
      return true;
    }
  }
  return false;
}

bool dk_hours_is_open(const struct dk_hours *hours, int64_t unix_seconds) {
  unsigned left;
  struct local now = local_time(unix_seconds);
  return hours->n == 0 || !now.is_known || is_open_at(hours, now.second, &left);
}

/* The first second in (from, to] at which the clock shows another offset than at `from`; it does at `to`. */
static int64_t clock_change(int64_t from, int64_t to) {
  long offset = local_time(from).offset;
  while (to - from > 1) {
    int64_t middle = from + (to - from) / 2;
    if (local_time(middle).offset == offset)
      from = middle;
    else
      to = middle;
  }
  return to;
}

uint64_t dk_hours_change_in(const struct dk_hours *hours, int64_t unix_seconds) {
  struct local now = local_time(unix_seconds);
  unsigned left;
  if (hours->n == 0 || !now.is_known) return UINT64_MAX;
  bool was_open = is_open_at(hours, now.second, &left);
  int64_t t = unix_seconds;
  while (t - unix_seconds < HORIZON_SECONDS) {
    int64_t next = t + (left < STEP_SECONDS ? left : STEP_SECONDS);
    struct local then = local_time(next);
    if (!then.is_known) return UINT64_MAX;
    if (then.offset != now.offset) {
      next = clock_change(t, next);
      then = local_time(next);
    }
    t = next;
    now = then;
    if (is_open_at(hours, now.second, &left) != was_open) return (uint64_t)(t - unix_seconds);
  }
  return HORIZON_SECONDS; /* time to look again */
}

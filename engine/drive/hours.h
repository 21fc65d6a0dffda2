/* Hours of the week in which a host may be used, by this machine's local time. */
#ifndef DK_DRIVE_HOURS_H
#define DK_DRIVE_HOURS_H

#include "lang/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

#define DK_HOURS_WEEK 10080u /* minutes */

/* [from, to) in minutes of the week, of which 0 is Monday 0:00. */
struct dk_hours_range {
  uint16_t from, to;
};

/* When it is open. `ranges` are in order and do not touch, but for one to the end of the week and one from its start.
 * n is 0: always. */
struct dk_hours {
  const struct dk_hours_range *ranges; /* borrowed, as the text is */
  uint32_t n;
  const char *text; /* for people: as it was written; NULL: always */
};

/* Hours while they are put together: a minute each. */
struct dk_hours_set {
  bool open[DK_HOURS_WEEK];
};
/* Adds "20:00-08:00", "Mon-Fri 20:00-08:00" or "Sat-Sun" (case of the days is nothing). A range over midnight belongs
 * to the day on which it begins. 0, or -EINVAL and *ret_why, a line: what is wrong with it. */
int dk_hours_add(struct dk_hours_set *set, const char *text, const char **ret_why);
void dk_hours_fill(struct dk_hours_set *set, const struct dk_hours *hours);
/* Takes what is not in `other` out. False: nothing is left. */
bool dk_hours_cut(struct dk_hours_set *set, const struct dk_hours_set *other);
/* In the arena, but for the text. A set of no minute is no hours: the caller has refused it. */
struct dk_hours dk_hours_of(const struct dk_hours_set *set, const char *text, struct dk_arena *arena);

/* At this time (seconds since 1970)? The time zone is the process's (localtime_r(3)). */
bool dk_hours_is_open(const struct dk_hours *hours, int64_t unix_seconds);
/* Seconds until that is otherwise; UINT64_MAX: never. Over a change of the clocks too. */
uint64_t dk_hours_change_in(const struct dk_hours *hours, int64_t unix_seconds);

#endif

/* For bench_scan and bench_parse: the text, and the clock, which tells as bench_measure does. */
#ifndef DK_BENCH_TEXT_H
#define DK_BENCH_TEXT_H

#include <stdint.h>

/* What `PROGRAM MEGABYTES FILE...` asks for: the files one after the other, again and again up to that size, and two
 * NULs (flex wants them). On the heap; NULL after a message. */
char *bench_text(int argc, char **argv, uint32_t *ret_len);

void bench_clock_start(void);
/* Writes wall and CPU seconds since the start as one line of bench_measure's on descriptor 3. */
void bench_clock_stop(void);

#endif

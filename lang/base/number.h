/* Numbers as text, exactly, both ways. */
#ifndef DK_BASE_NUMBER_H
#define DK_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DK_NUMBER_TEXT 32

/* The shortest decimal that reads back as the same double, in ECMAScript's form (RFC 8785, 3.2.2.3): 1, 0.0001, 1e-7,
 * 1.5e+300; "NaN", "Infinity", "-Infinity" for what JSON lacks; -0 is "0". */
void dk_number_text(double value, char ret[DK_NUMBER_TEXT]);
/* An integer in decimal; its length. (printf takes ten times as long, and keys are made of these.) */
size_t dk_number_int_text(int64_t value, char ret[DK_NUMBER_TEXT]);
/* Reads a double: the whole of text[0..len), no spaces, no hex, no "inf" or "nan" other than the three names above,
 * independent of the locale; ".5", "5." and a leading sign are fine. What is too small becomes 0 or subnormal. 0,
 * -EINVAL (also for texts over 4095 bytes), or -ERANGE for what overflows; *ret is set only on 0. */
int dk_number_parse(const char *text, size_t len, double *ret);
/* A decimal integer with optional sign. 0, -EINVAL, -ERANGE. */
int dk_number_parse_int(const char *text, size_t len, int64_t *ret);

/* For people. Sizes: "512 B", "442 KiB", "7.62 GiB": powers of 1024 alone, rounded to three significant digits.
 * Durations: "4.2 ms", "0.13 s", "1.5 s", "90 s" (two significant digits below 10 s, whole seconds below two minutes),
 * then the language's own "2m30s", "1h30m", "2d4h" (two units). */
void dk_number_size_text(uint64_t bytes, char ret[DK_NUMBER_TEXT]);
void dk_number_duration_text(uint64_t nanoseconds, char ret[DK_NUMBER_TEXT]);
/* The unit of the language that a word means, as people write it elsewhere too ("min", "secs", "gb"): "m", "s", "GB".
 * NULL: none. */
const char *dk_number_unit(const char *word);

#endif

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
/* Reads a double: the whole of text[0..len), no spaces, no hex, no "inf" or "nan" other than the three names above,
 * independent of the locale. 0, -EINVAL, or -ERANGE for what overflows. */
int dk_number_parse(const char *text, size_t len, double *ret);
/* A decimal integer with optional sign. 0, -EINVAL, -ERANGE. */
int dk_number_parse_int(const char *text, size_t len, int64_t *ret);

/* For people: "1.5 GiB", "442 kB" (sizes up to three significant digits), "1h30m", "90 s", "0.13 s". */
void dk_number_size_text(uint64_t bytes, char ret[DK_NUMBER_TEXT]);
void dk_number_duration_text(uint64_t nanoseconds, char ret[DK_NUMBER_TEXT]);

#endif

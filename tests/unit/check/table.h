/* Table-driven tests of texts: one case a row, exact results. A failing case prints the text, what was wanted and what
 * came. */
#ifndef DK_TEST_TABLE_H
#define DK_TEST_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct dk_row {
  const char *text, *want;
};

/* make(text) gives what comes, allocated by dk_alloc. */
void dk_table_check(const struct dk_row *rows, size_t n, char *(*make)(const char *text));

#define DK_TABLE(rows, make) dk_table_check(rows, sizeof(rows) / sizeof *(rows), make)

#endif

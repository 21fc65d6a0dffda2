/* See table.h. */
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

#include <stdio.h>
#include <string.h>

void dk_table_check(const struct dk_row *rows, size_t n, char *(*make)(const char *text)) {
  unsigned failed = 0;
  for (size_t i = 0; i < n; i++) {
    char *have = make(rows[i].text);
    if (!have || strcmp(have, rows[i].want) != 0) {
      fprintf(stderr, "--- text\n%s\n--- wanted\n%s\n--- came\n%s\n", rows[i].text, rows[i].want,
              have ? have : "(nothing)");
      failed++;
    }
    dk_free(have);
  }
  assert_int_equal(failed, 0);
}

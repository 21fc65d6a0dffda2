/* What must hold after any bytes went through the parser; used by the fuzz target and by the mutation test. */
#ifndef DK_TESTS_FUZZ_CHECK_PARSE_H
#define DK_TESTS_FUZZ_CHECK_PARSE_H

#include <stddef.h>

/* Reads the text as a file and as an expression, walks all of both trees, shows the diagnostics in every form. Aborts
 * when something that must hold does not (the sanitizers do the rest). */
void dk_check_parse(const void *data, size_t len);

#endif

/* Writing JSON (RFC 8259) into a buffer: strings and numbers; structure is the caller's. */
#ifndef DK_REPORT_JSON_H
#define DK_REPORT_JSON_H

#include "lang/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* A quoted string; bytes that are no UTF-8 become U+FFFD. */
void dk_json_add_string(struct dk_buf *out, const char *text, size_t len);
/* The text as a number if it is one by JSON's grammar (so that "96.10" stays as it was written), else as a string. */
void dk_json_add_number_text(struct dk_buf *out, const char *text, size_t len);
/* A further field of an object: a comma, its name, and the value; NULL, or what is not known, is null. */
void dk_json_add_text_field(struct dk_buf *out, const char *name, const char *text);
void dk_json_add_number_field(struct dk_buf *out, const char *name, bool is_known, uint64_t n);

#endif

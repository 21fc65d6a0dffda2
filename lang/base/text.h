/* Bytes as text for people: UTF-8, escaping for a terminal, shell words. Included by buf.h. */
#ifndef DK_BASE_TEXT_H
#define DK_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct dk_buf;

/* Length of the well-formed UTF-8 sequence at text (1 to 4), 0 if there is none (RFC 3629: no surrogates, no
 * overlong). */
unsigned dk_utf8_len(const char *text, size_t len);
bool dk_utf8_is_valid(const char *text, size_t len);

/* Text for a terminal or a log line: control characters (C0, DEL, C1, and those that reorder or break lines: U+200E,
 * U+200F, U+2028 to U+202E, U+2066 to U+2069) and bytes that are no UTF-8 become \n \t \r \x1b \xff. A backslash stays
 * as it is: this is for reading, not for reading back. */
void dk_buf_add_escaped(struct dk_buf *buf, const char *text, size_t len);

/* The same as a shell word that a person can paste: bare where that is safe, else '...' (any POSIX shell), and $'...'
 * (POSIX 2024; bash, zsh, ksh, busybox) where there is something that dk_buf_add_escaped would escape. No shell can
 * take a NUL byte in a word; it is shown as \000. */
void dk_buf_add_shell_word(struct dk_buf *buf, const char *text, size_t len);

/* The step of dk_buf_add_escaped, for who has no dk_buf: escapes or copies what is at text (len > 0) to ret,
 * NUL-terminated, and returns how many bytes of text that was (1 to 4). */
#define DK_ESCAPED_MAX 17 /* four bytes as \xNN, and the NUL */
size_t dk_escape_step(const char *text, size_t len, char ret[DK_ESCAPED_MAX]);

#endif

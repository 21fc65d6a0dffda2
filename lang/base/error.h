/* Errors of the system (not of the user's file: those are diagnostics; not bugs: those are asserts).
 *
 * A function that can fail returns 0 or a negative errno and takes `struct dk_error *error` last (NULL: only the code
 * is wanted). The message says what was being done, to what, why it failed, and what to do. */
#ifndef DK_BASE_ERROR_H
#define DK_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

struct dk_error {
  int code;        /* negative errno, 0 while nothing failed */
  char text[1000]; /* one line without a full stop; may be followed by "\nhelp: ..." lines; escaped for display */
};

/* Sets code and text; returns code, so that `return dk_error_set(error, -EIO, "...")` reads well. */
int dk_error_set(struct dk_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with ": " and the system's words for the code behind it. */
int dk_error_system(struct dk_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "text: " in front of what is there already; returns error's code (or -EIO when error is NULL). */
int dk_error_prefix(struct dk_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a negative errno is about, for who must decide what it means to somebody: these say something of the machine as
 * it is now and nothing of what was asked for, which may work the next time. (Not here: EAGAIN, which each caller reads
 * as its own "not yet".) */
bool dk_error_is_full(int code);    /* there is no room on a disk: ENOSPC, EDQUOT */
bool dk_error_is_disk(int code);    /* that, or the disk is broken or went read-only: EIO, EROFS */
bool dk_error_is_limit(int code);   /* too many open files, of this process or the system: EMFILE, ENFILE */
bool dk_error_is_machine(int code); /* any of these, or no memory: ENOMEM */

/* Tells the optimiser what the contract says, code < 0: else it warns at -O2 that a caller's `ret_x` may be used unset
 * behind `if (r < 0) return r;`. */
static inline int dk_error_negative(int code) {
  if (code >= 0) __builtin_unreachable();
  return code;
}
#define dk_error_set(...) dk_error_negative(dk_error_set(__VA_ARGS__))
#define dk_error_system(...) dk_error_negative(dk_error_system(__VA_ARGS__))

#endif

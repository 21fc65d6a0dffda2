/* Between token.c and the generated scanner. */
#ifndef DK_SYNTAX_SCAN_H
#define DK_SYNTAX_SCAN_H

#include "lang/base/arena.h"

#include <stdint.h>

struct dk_tokens;

struct dk_scan {
  struct dk_tokens *tokens;
  struct dk_arena *arena;
  char *text; /* len bytes and two NULs; the same when dk_scan_text returns */
  uint32_t len;
};

void dk_scan_text(struct dk_scan *scan);

#endif

/* The texts of one compilation and the places in them.
 *
 * Every file that is read gets a range of one 32-bit position space, so a span is two numbers and needs no file. Lines
 * and columns are computed only when a span is shown. */
#ifndef DK_DIAG_SOURCE_H
#define DK_DIAG_SOURCE_H

#include "lang/base/arena.h"

#include <stdint.h>

/* Bytes [start, end) of the position space; start == end is a point between bytes. {0, 0} means "no place". */
struct dk_span {
  uint32_t start, end;
};

#define DK_NO_SPAN ((struct dk_span){0, 0})
#define DK_SOURCE_MAX (16u << 20) /* bytes in one file; larger files are refused by size, unread */

struct dk_source {
  const char *path; /* as shown to the user: relative to the directory dkrun was started in where possible */
  const char *text; /* len bytes, then two NULs (flex's yy_scan_buffer wants them) */
  uint32_t len;
  uint32_t base;         /* position of text[0]; the first source's is 1, so that 0 is no place */
  const uint32_t *lines; /* offsets of line starts; lines[0] == 0 */
  uint32_t n_lines;
};

struct dk_sources {
  struct dk_arena *arena;
  struct dk_source **items;
  uint32_t count, cap, next_base;
};

struct dk_place {
  const struct dk_source *source;
  uint32_t line;   /* 1-based */
  uint32_t column; /* 1-based, in characters (UTF-8 sequences; a bad byte counts as one) */
  uint32_t offset; /* byte offset in the source */
};

void dk_sources_init(struct dk_sources *sources, struct dk_arena *arena);
/* Adds a text that is copied into the arena; path too. Line starts are indexed at once. */
struct dk_source *dk_sources_add(struct dk_sources *sources, const char *path, const char *text, size_t len);
/* The place of a position; source is NULL for position 0. */
struct dk_place dk_sources_place(const struct dk_sources *sources, uint32_t position);

#endif

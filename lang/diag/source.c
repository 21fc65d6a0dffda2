/* The texts of one compilation: copies them, indexes their lines, finds places by bisection. */
#include "lang/diag/source.h"

#include "lang/base/buf.h"

#include <assert.h>
#include <string.h>

void dk_sources_init(struct dk_sources *sources, struct dk_arena *arena) {
  *sources = (struct dk_sources){.arena = arena, .next_base = 1};
}

static void index_lines(struct dk_arena *arena, struct dk_source *source) {
  uint32_t n = 1;
  for (uint32_t i = 0; i < source->len; i++) n += source->text[i] == '\n';
  uint32_t *lines = dk_arena_array(arena, uint32_t, n);
  source->n_lines = 1;
  for (uint32_t i = 0; i < source->len; i++)
    if (source->text[i] == '\n') lines[source->n_lines++] = i + 1;
  source->lines = lines;
}

struct dk_source *dk_sources_add(struct dk_sources *sources, const char *path, const char *text, size_t len) {
  assert(len <= DK_SOURCE_MAX);
  /* The position space is 32 bits wide: 256 of the largest files. More is the same to a user as too little memory. */
  if (len + 1 > UINT32_MAX - sources->next_base) longjmp(*sources->arena->on_oom, 1);

  struct dk_source *source = dk_arena_new(sources->arena, struct dk_source);
  char *copy = dk_arena_alloc(sources->arena, len + 2);
  if (len > 0) memcpy(copy, text, len);
  source->path = dk_arena_strndup(sources->arena, path, strlen(path));
  source->text = copy;
  source->len = (uint32_t)len;
  source->base = sources->next_base;
  index_lines(sources->arena, source);
  sources->next_base += (uint32_t)len + 1; /* the end of the text is a position too */
  dk_arena_push(sources->arena, sources->items, sources->count, sources->cap) = source;
  return source;
}

static const struct dk_source *find_source(const struct dk_sources *sources, uint32_t position) {
  if (position == 0 || sources->count == 0) return NULL;
  uint32_t low = 0, high = sources->count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (sources->items[middle]->base <= position)
      low = middle;
    else
      high = middle;
  }
  const struct dk_source *source = sources->items[low];
  return position - source->base <= source->len ? source : NULL;
}

struct dk_place dk_sources_place(const struct dk_sources *sources, uint32_t position) {
  const struct dk_source *source = find_source(sources, position);
  if (!source) return (struct dk_place){0};
  struct dk_place place = {.source = source, .offset = position - source->base, .column = 1};
  uint32_t low = 0, high = source->n_lines;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (source->lines[middle] <= place.offset)
      low = middle;
    else
      high = middle;
  }
  place.line = low + 1;
  for (uint32_t at = source->lines[low]; at < place.offset; place.column++) {
    unsigned step = dk_utf8_len(source->text + at, source->len - at);
    at += step > 0 ? step : 1;
  }
  return place;
}

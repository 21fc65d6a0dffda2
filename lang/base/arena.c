/* Arena blocks grow from 8 KiB to 1 MiB; what is large against the free part of the head block gets a block of its
 * own behind the head. Blocks come zeroed from the heap and are never reused, so nothing is cleared twice.
 *
 * Under the address sanitizer what was not handed out is poisoned, with a gap behind each object. */
#include "lang/base/arena.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DK_ARENA_POISONS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define DK_ARENA_POISONS 1
#endif
#ifdef DK_ARENA_POISONS
#include <sanitizer/asan_interface.h>
#define ARENA_GAP 16
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ARENA_GAP 0
#endif

#define ARENA_ALIGN 16
#define ARENA_FIRST ((size_t)8 << 10)
#define ARENA_LARGEST ((size_t)1 << 20)

struct dk_arena_block {
  struct dk_arena_block *next;
  size_t size; /* bytes behind this header */
  _Alignas(ARENA_ALIGN) char data[];
};

void dk_arena_init(struct dk_arena *arena, jmp_buf *on_oom) {
  assert(on_oom);
  *arena = (struct dk_arena){.on_oom = on_oom};
}

void dk_arena_init_small(struct dk_arena *arena, jmp_buf *on_oom, size_t first) {
  dk_arena_init(arena, on_oom);
  arena->first = first;
}

void dk_arena_finish(struct dk_arena *arena) {
  struct dk_arena_block *next;
  for (struct dk_arena_block *block = arena->head; block; block = next) {
    next = block->next;
    ASAN_UNPOISON_MEMORY_REGION(block->data, block->size);
    dk_free(block);
  }
  *arena = (struct dk_arena){.on_oom = arena->on_oom, .first = arena->first};
}

_Noreturn void dk_arena_out_of_memory(struct dk_arena *arena) {
  longjmp(*arena->on_oom, 1);
}

static struct dk_arena_block *new_block(struct dk_arena *arena, size_t size) {
  if (size > PTRDIFF_MAX - sizeof(struct dk_arena_block)) dk_arena_out_of_memory(arena);
  struct dk_arena_block *block = dk_calloc(1, sizeof *block + size);
  if (!block) dk_arena_out_of_memory(arena);
  block->size = size;
  arena->total += sizeof *block + size;
  ASAN_POISON_MEMORY_REGION(block->data, block->size);
  return block;
}

static void *alloc_alone(struct dk_arena *arena, size_t padded) {
  struct dk_arena_block *block = new_block(arena, padded);
  if (arena->head) {
    block->next = arena->head->next;
    arena->head->next = block;
  } else {
    arena->head = block;
    arena->at = arena->end = block->data + block->size;
  }
  return block->data;
}

static void start_block(struct dk_arena *arena, size_t padded) {
  size_t first = arena->first ? arena->first : ARENA_FIRST;
  size_t size = arena->head ? arena->head->size * 2 : first;
  if (size > ARENA_LARGEST) size = ARENA_LARGEST;
  if (size < first) size = first;
  if (size < padded) size = padded;
  struct dk_arena_block *block = new_block(arena, size);
  block->next = arena->head;
  arena->head = block;
  arena->at = block->data;
  arena->end = block->data + block->size;
}

void *dk_arena_alloc(struct dk_arena *arena, size_t size) {
  if (size > PTRDIFF_MAX - 4 * ARENA_ALIGN) dk_arena_out_of_memory(arena);
  size_t padded = ((size ? size : 1) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN + ARENA_GAP;
  void *result;
  if (padded > (size_t)(arena->end - arena->at)) {
    if (padded > ARENA_LARGEST / 4) {
      result = alloc_alone(arena, padded);
      ASAN_UNPOISON_MEMORY_REGION(result, size);
      return result;
    }
    start_block(arena, padded);
  }
  result = arena->at;
  arena->at += padded;
  ASAN_UNPOISON_MEMORY_REGION(result, size);
  return result;
}

void *dk_arena_calloc(struct dk_arena *arena, size_t n, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(n, size, &bytes)) dk_arena_out_of_memory(arena);
  return dk_arena_alloc(arena, bytes);
}

void *dk_arena_memdup(struct dk_arena *arena, const void *data, size_t size) {
  void *copy = dk_arena_alloc(arena, size);
  if (size) memcpy(copy, data, size);
  return copy;
}

char *dk_arena_strndup(struct dk_arena *arena, const char *text, size_t len) {
  if (len == SIZE_MAX) dk_arena_out_of_memory(arena);
  char *copy = dk_arena_alloc(arena, len + 1);
  if (len) memcpy(copy, text, len);
  return copy; /* arena memory is zeroed: the NUL is there */
}

char *dk_arena_vprintf(struct dk_arena *arena, const char *format, va_list ap) {
  va_list measured;
  va_copy(measured, ap);
  int len = vsnprintf(NULL, 0, format, measured);
  va_end(measured);
  if (len < 0) dk_arena_out_of_memory(arena);
  char *text = dk_arena_alloc(arena, (size_t)len + 1);
  vsnprintf(text, (size_t)len + 1, format, ap);
  return text;
}

char *dk_arena_printf(struct dk_arena *arena, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  char *text = dk_arena_vprintf(arena, format, ap); /* may jump: glibc's va_end has nothing to release */
  va_end(ap);
  return text;
}

void *dk_arena_grow(struct dk_arena *arena, const void *old, unsigned *cap, size_t size) {
  if (*cap > UINT32_MAX / 2) dk_arena_out_of_memory(arena);
  unsigned larger = *cap < 4 ? 8 : *cap * 2;
  void *grown = dk_arena_calloc(arena, larger, size);
  if (*cap) memcpy(grown, old, *cap * size);
  *cap = larger;
  return grown;
}

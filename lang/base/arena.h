/* An arena: memory of one compilation (AST, values, plan), freed all at once.
 *
 * Allocation from an arena never returns NULL. When memory is short it jumps to `*on_oom` (a jmp_buf that the arena's
 * owner has set), so that the language's passes need no error path for it; the owner destroys the arena there.
 * See docs/adr/0001. Code that runs between setjmp and the jump must own nothing outside the arena. */
#ifndef DK_BASE_ARENA_H
#define DK_BASE_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

struct dk_arena_block;

struct dk_arena {
  struct dk_arena_block *head;
  char *at, *end;  /* free part of the head block */
  size_t total;    /* bytes taken from the heap */
  size_t first;    /* size of the first block; 0: 8 KiB */
  jmp_buf *on_oom; /* where to go when memory is short; never NULL while the arena is used */
};

void dk_arena_init(struct dk_arena *arena, jmp_buf *on_oom);
_Noreturn void dk_arena_out_of_memory(struct dk_arena *arena); /* as if an allocation had failed */
/* For one that lives shortly and holds little: its first block has that many bytes, all of which are cleared. */
void dk_arena_init_small(struct dk_arena *arena, jmp_buf *on_oom, size_t first);
void dk_arena_finish(struct dk_arena *arena);              /* frees everything; may be called twice */
void *dk_arena_alloc(struct dk_arena *arena, size_t size); /* zeroed, aligned to 16 */
void *dk_arena_memdup(struct dk_arena *arena, const void *data, size_t size);
char *dk_arena_strndup(struct dk_arena *arena, const char *text, size_t len);
char *dk_arena_printf(struct dk_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *dk_arena_vprintf(struct dk_arena *arena, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

/* One zeroed object, or n of them. */
#define dk_arena_new(arena, type) ((type *)dk_arena_alloc((arena), sizeof(type)))
#define dk_arena_array(arena, type, n) ((type *)dk_arena_calloc((arena), (n), sizeof(type)))
void *dk_arena_calloc(struct dk_arena *arena, size_t n, size_t size); /* overflow counts as out of memory */

/* A growable array in an arena: `dk_arena_push(arena, list, n, cap) = item;` with `T *list; uint32_t n, cap;`.
 * The old block stays in the arena (at most as large as the final one). */
#define dk_arena_push(arena, list, n, cap)                                                                             \
  (*((n) == (cap) ? ((list) = dk_arena_grow((arena), (list), &(cap), sizeof *(list)), &(list)[(n)++]) : &(list)[(n)++]))
void *dk_arena_grow(struct dk_arena *arena, const void *old, unsigned *cap, size_t size); /* doubles, at least 8 */

#endif

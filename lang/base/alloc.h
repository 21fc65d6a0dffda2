/* The only door to malloc. Every other file allocates through here, so that a test can make the Nth allocation fail.
 *
 * Errors: the functions return NULL when memory is short (or when the test seam says so); nothing is logged.
 * Ownership: the caller frees with dk_free. */
#ifndef DK_BASE_ALLOC_H
#define DK_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *dk_alloc(size_t size);                              /* uninitialised; size 0 counts as 1 */
void *dk_calloc(size_t n, size_t size);                   /* zeroed; NULL also when n * size overflows */
void *dk_realloc_array(void *old, size_t n, size_t size); /* NULL leaves `old` as it was */
void *dk_memdup(const void *data, size_t size);
char *dk_strdup(const char *text);
char *dk_strndup(const char *text, size_t len);
void dk_free(void *ptr); /* NULL is fine */

/* Room for one more item: dk_grow(list->items, list->n, list->cap). A full array (n == cap) doubles. `items` and `cap`
 * are lvalues, NULL and 0 to begin with; `cap` is a uint32_t or a size_t. false: no memory, or `cap` cannot say so
 * many; both are as they were. */
#define dk_grow(items, n, cap)                                                                                         \
  ((n) < (cap) || _Generic(&(cap), uint32_t * : dk_grow_u32, default : dk_grow_size)(&(items), &(cap), sizeof *(items)))
bool dk_grow_u32(void *ptr_to_items, uint32_t *cap, size_t size);
bool dk_grow_size(void *ptr_to_items, size_t *cap, size_t size);

/* For a local that owns heap memory: `dk_autofree char *path = ...`. */
#define dk_autofree __attribute__((cleanup(dk_alloc_cleanup)))
void dk_alloc_cleanup(void *ptr_to_ptr);

/* Test seam. After dk_alloc_fail_at(n) the nth allocation from now (1 is the next) and all that follow fail;
 * 0 turns it off. After dk_alloc_fail_once(n) it alone fails. dk_alloc_count() is how many were asked for since the
 * last call of dk_alloc_fail_at. The environment variable DK_FAIL_ALLOC=n, read by dk_alloc_init, does the same to a
 * whole program. */
void dk_alloc_fail_at(uint64_t n);
void dk_alloc_fail_once(uint64_t n);
uint64_t dk_alloc_count(void);
void dk_alloc_init(void);

#endif

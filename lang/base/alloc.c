/* The heap, behind one door with a counter: see alloc.h. The counters are atomic, so that helper threads may allocate;
 * which thread's allocation is the Nth is then a matter of timing. */
#include "lang/base/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GROW_FIRST 16 /* items */

static _Atomic uint64_t asked;
static _Atomic uint64_t fail_at;
static _Atomic bool only_once;

static bool is_refused(void) {
  uint64_t nth = atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed) + 1;
  uint64_t first = atomic_load_explicit(&fail_at, memory_order_relaxed);
  return first != 0 && (nth == first || (nth > first && !atomic_load_explicit(&only_once, memory_order_relaxed)));
}

void *dk_alloc(size_t size) {
  return is_refused() ? NULL : malloc(size ? size : 1);
}

void *dk_calloc(size_t n, size_t size) {
  size_t bytes;
  if (is_refused() || __builtin_mul_overflow(n, size, &bytes)) return NULL;
  return calloc(1, bytes ? bytes : 1);
}

void *dk_realloc_array(void *old, size_t n, size_t size) {
  size_t bytes;
  if (is_refused() || __builtin_mul_overflow(n, size, &bytes)) return NULL;
  return realloc(old, bytes ? bytes : 1); /* realloc(p, 0) may free p */
}

void *dk_memdup(const void *data, size_t size) {
  void *copy = dk_alloc(size);
  if (copy && size) memcpy(copy, data, size);
  return copy;
}

char *dk_strdup(const char *text) {
  return dk_memdup(text, strlen(text) + 1);
}

char *dk_strndup(const char *text, size_t len) {
  if (len == SIZE_MAX) return NULL;
  char *copy = dk_alloc(len + 1);
  if (!copy) return NULL;
  if (len) memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

void dk_free(void *ptr) {
  free(ptr);
}

bool dk_grow_size(void *ptr_to_items, size_t *cap, size_t size) {
  size_t larger = *cap ? *cap : GROW_FIRST / 2;
  if (__builtin_mul_overflow(larger, 2, &larger)) return false;
  void *items;
  memcpy(&items, ptr_to_items, sizeof items); /* as in dk_alloc_cleanup */
  items = dk_realloc_array(items, larger, size);
  if (!items) return false;
  memcpy(ptr_to_items, &items, sizeof items);
  *cap = larger;
  return true;
}

bool dk_grow_u32(void *ptr_to_items, uint32_t *cap, size_t size) {
  size_t larger = *cap;
  if (*cap > UINT32_MAX / 2 || !dk_grow_size(ptr_to_items, &larger, size)) return false;
  *cap = (uint32_t)larger;
  return true;
}

void dk_alloc_cleanup(void *ptr_to_ptr) {
  void *ptr;
  memcpy(&ptr, ptr_to_ptr,
         sizeof ptr); /* the caller's is a `char **` or the like, which must not be read as `void **` */
  free(ptr);
}

void dk_alloc_fail_at(uint64_t n) {
  atomic_store(&asked, 0);
  atomic_store(&only_once, false);
  atomic_store(&fail_at, n);
}

void dk_alloc_fail_once(uint64_t n) {
  dk_alloc_fail_at(0);
  atomic_store(&only_once, true);
  atomic_store(&fail_at, n);
}

uint64_t dk_alloc_count(void) {
  return atomic_load(&asked);
}

void dk_alloc_init(void) {
  const char *text = getenv("DK_FAIL_ALLOC");
  if (text && *text) dk_alloc_fail_at(strtoull(text, NULL, 10));
}

/* Walking a batch, for commit.c (and for who wants to see what would be written). */
#ifndef DK_STORE_BATCH_H
#define DK_STORE_BATCH_H

#include "engine/store/store.h"

enum dk_batch_op { DK_BATCH_PUT = 1, DK_BATCH_PUT_NEW = 2, DK_BATCH_DEL = 3 };

struct dk_batch_item { /* pointing into the batch */
  enum dk_batch_op op;
  enum dk_table table;
  const void *key, *value;
  size_t klen, vlen;
};

/* The item at offset *at (start with 0), which is moved behind it; false at the end. */
bool dk_batch_next(const struct dk_batch *batch, size_t *at, struct dk_batch_item *ret);

#endif

/* Rented machines, as the next engine finds them: what is recorded before one is asked for, until it is known to be
 * gone (engine/rent/rent.h). */
#ifndef DK_STORE_RENTED_H
#define DK_STORE_RENTED_H

#include "engine/rent/event.h"
#include "engine/store/store.h"

#define DK_STORE_SPENT "spent."
#define DK_RENTED_KEY 12u /* bytes: u64 incarnation, u32 number, big-endian */

int dk_rented_encode(const struct dk_rented *rented, struct dk_buf *out); /* -ENOMEM, nothing appended */
int dk_rented_decode(const void *key, size_t klen, const void *value, size_t vlen,
                     struct dk_rented *ret); /* -EBADMSG */

/* A record of dk_rent_step as a write. */
int dk_batch_add_rent_record(struct dk_batch *batch, const struct dk_rent_record *record);
/* What dk_rent_load wants. *ret is dk_freed by the caller. */
int dk_store_load_rented(struct dk_store *store, struct dk_rent_record **ret, uint32_t *ret_n, struct dk_error *error);
/* Stops when fn returns non-zero, which is returned. */
typedef int dk_store_rented_fn(void *ctx, const struct dk_rented *rented);
int dk_store_each_rented(struct dk_store *store, dk_store_rented_fn *fn, void *ctx, struct dk_error *error);

/* What machines of this store have cost until then: see dk_rent_spent. */
int dk_store_spent(struct dk_store *store, uint64_t unix_ns, struct dk_purse *ret, struct dk_error *error);

#endif

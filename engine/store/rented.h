/* The machines that are rented, and the highest number that one of them had: what lasts of engine/rent. */
#ifndef DK_STORE_RENTED_H
#define DK_STORE_RENTED_H

#include "engine/rent/event.h"
#include "engine/store/store.h"

#define DK_RENTED_KEY 5u /* bytes */

/* The key of a record: of TAKEN, number 0. */
int dk_rented_encode(const struct dk_rent_record *record, struct dk_buf *ret_key, struct dk_buf *ret_value);
/* 0; -EBADMSG: it is none. */
int dk_rented_decode(const void *key, size_t klen, const void *value, size_t vlen, struct dk_rent_record *ret);

int dk_batch_add_rent(struct dk_batch *batch, const struct dk_rent_record *record); /* 0 or -ENOMEM */
/* All of them, by number; *ret is the caller's to dk_free. */
int dk_store_load_rent(struct dk_store *store, struct dk_rent_record **ret, uint32_t *ret_n, struct dk_error *error);

#endif

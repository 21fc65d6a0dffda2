/* Entries of the table `meta`: a name, and a value of a size that who asks knows. */
#include "engine/store/private.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#define VALUE_MAX 1024

int dk_meta_get(const struct dk_store *store, MDB_txn *txn, const char *name, void *ret, size_t len,
                struct dk_error *error) {
  MDB_val key = {strlen(name), (void *)(uintptr_t)name}, value;
  int rc = mdb_get(txn, store->tables[DK_TABLE_META], &key, &value);
  if (rc == MDB_NOTFOUND) return -ENOENT;
  if (rc) return dk_store_fail(store, rc, "reading the store", error);
  const uint8_t *at = value.mv_data;
  uint32_t crc = 0;
  if (value.mv_size == len + DK_STORE_CRC) {
    memcpy(&crc, at, DK_STORE_CRC);
    if (le32toh(crc) == dk_store_crc(name, strlen(name), at + DK_STORE_CRC, len)) {
      memcpy(ret, at + DK_STORE_CRC, len);
      return 0;
    }
  }
  return dk_error_set(error, -EBADMSG, "the store %s is damaged: `%s` in the table `meta` cannot be read", store->path,
                      name);
}

int dk_meta_put(const struct dk_store *store, MDB_txn *txn, const char *name, const void *data, size_t len) {
  uint8_t bytes[VALUE_MAX];
  assert(len + DK_STORE_CRC <= sizeof bytes);
  uint32_t crc = htole32(dk_store_crc(name, strlen(name), data, len));
  memcpy(bytes, &crc, DK_STORE_CRC);
  memcpy(bytes + DK_STORE_CRC, data, len);
  MDB_val key = {strlen(name), (void *)(uintptr_t)name}, value = {len + DK_STORE_CRC, bytes};
  return mdb_put(txn, store->tables[DK_TABLE_META], &key, &value, 0);
}

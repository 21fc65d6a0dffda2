/* See base64.h: nettle's. */
#include "lang/base/base64.h"

#include <nettle/base64.h>

void dk_base64_add(struct dk_buf *out, const void *data, size_t len) {
  char *room = dk_buf_reserve(out, BASE64_ENCODE_RAW_LENGTH(len));

  if (!room) return;
  base64_encode_raw(room, len, data);
  dk_buf_commit(out, BASE64_ENCODE_RAW_LENGTH(len));
}

/* Bytes of the agent protocol: as a stream, as the inside of a frame whose checksum is right, and as a result by
 * itself. What can be read must be written as the same bytes again, so that equal messages stay equal. */
#include "engine/wire/message.h"
#include "lang/base/bytes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frame(const void *data, size_t size) {
  struct dk_message message;
  struct dk_error error = {0};
  long used = dk_message_decode(data, size, &message, &error);
  if (used <= 0) return;
  dk_autobuf again = DK_BUF_INIT;
  if (dk_message_encode(&message, &again) < 0) abort();
  if (again.len != (size_t)used || memcmp(again.data, data, again.len) != 0) abort();
  dk_message_finish(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_frame(data, size);
  dk_autobuf frame = DK_BUF_INIT;
  dk_write_u32(&frame, (uint32_t)size);
  dk_write_u32(&frame, dk_crc32c(data, size, 0));
  dk_buf_add(&frame, data, size);
  check_frame(frame.data, frame.len);
  struct dk_result result;
  if (dk_result_decode(data, size, &result, NULL) < 0) return 0;
  dk_autobuf again = DK_BUF_INIT;
  if (dk_result_encode(&result, &again) < 0 || again.len != size || memcmp(again.data, data, size) != 0) abort();
  dk_result_finish(&result);
  return 0;
}

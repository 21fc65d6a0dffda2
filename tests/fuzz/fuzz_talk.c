/* Bytes that an engine hears from its commands, and they from it: as a stream, as the inside of a frame, and behind
 * each kind that a frame can have, so that every input is tried in both directions. What can be read must be written as
 * the same bytes again: nothing of a frame is passed over. */
#include "engine/drive/talk.h"
#include "lang/base/bytes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frame(const void *data, size_t size) {
  struct dk_talk talk;
  long used = dk_talk_decode(data, size, &talk);
  if (used > (long)size) abort();
  if (used <= 0) return;
  dk_autobuf again = DK_BUF_INIT;
  if (dk_talk_encode(&talk, &again) < 0) abort();
  if (again.len != (size_t)used || memcmp(again.data, data, again.len) != 0) abort();
  dk_talk_finish(&talk);
}

/* With another first byte of the body, which is the kind; 0: as it is. */
static void check_body(const uint8_t *data, size_t size, uint8_t kind) {
  dk_autobuf frame = DK_BUF_INIT;
  dk_write_u32(&frame, (uint32_t)size);
  dk_buf_add(&frame, data, size);
  if (!dk_buf_ok(&frame)) return;
  if (kind && size > 0) frame.data[4] = (char)kind;
  check_frame(frame.data, frame.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_frame(data, size);
  check_body(data, size, 0);
  for (unsigned kind = DK_TALK_HELLO; kind <= DK_TALK_RELEASE; kind++) check_body(data, size, (uint8_t)kind);
  for (unsigned kind = DK_TALK_WELCOME; kind <= DK_TALK_LOG; kind++) check_body(data, size, (uint8_t)kind);
  return 0;
}

/* What an engine makes of a host whose agent says whatever the input has, in frames that can be read: a real engine,
 * without runs, that wants a content and a log of the host (tests/unit/drive/far.h).
 *
 * The input is steps: u8 what, u16 length (little-endian), bytes.
 *   0  a message, without the head of its frame; of the session that is open
 *   1  the same with the session that it has
 *   2  bytes on the stream as they are
 * Nothing that a host says ends the engine, but that another engine has its agent (CLOSED); and what it believes to
 * have got it has. */
#include "engine/sys/loop.h"
#include "lang/base/bytes.h"
#include "tests/unit/drive/far.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so, const char *what) {
  if (is_so) return;
  fprintf(stderr, "fuzz_engine: %s\n", what);
  abort();
}

static void say_message(struct far *far, uint8_t what, const uint8_t *body, size_t len) {
  dk_autobuf frame = DK_BUF_INIT;
  struct dk_message message;
  dk_write_u32(&frame, (uint32_t)len);
  dk_write_u32(&frame, dk_crc32c(body, len, 0));
  dk_buf_add(&frame, body, len);
  if (what == 1 || dk_message_decode(frame.data, frame.len, &message, NULL) <= 0) {
    dk_buf_add(&far->out, frame.data, frame.len);
    return;
  }
  message.session = far->session;
  must(dk_message_encode(&message, &far->out) == 0, "what was read cannot be written");
  dk_message_finish(&message);
}

static void say_all(struct far *far, const uint8_t *data, size_t left) {
  struct dk_message pong = {.type = DK_MSG_PONG};
  while (left >= 3) {
    size_t len = (size_t)data[1] | (size_t)data[2] << 8;
    if (len > left - 3) len = left - 3;
    if (data[0] % 3 == 2)
      dk_buf_add(&far->out, data + 3, len);
    else
      say_message(far, data[0] % 3, data + 3, len);
    data += 3 + len;
    left -= 3 + len;
  }
  far_send(far, &pong);
}

/* false: it has ended, because another engine has the host's agent. */
static bool rest(struct far_engine *f, uint64_t ms) {
  struct dk_error error = {0};
  f->until_ns = dk_now_ns() + ms * 1000000;
  while (dk_now_ns() < f->until_ns) {
    int r = dk_engine_turn(f->engine, &error);
    if (r == -EBUSY) return false;
    must(r == 0, error.text);
  }
  return true;
}

static void on_log(void *ctx, int r, const struct dk_message *log, const char *words) {
  (void)words;
  must(!*(bool *)ctx, "a log is answered twice");
  *(bool *)ctx = true;
  must((r == 0) == (log != NULL), "a log, or why there is none");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct far_engine *f = NULL;
  struct far_reached reached;
  bool has_log = false;
  must(far_setup((void **)&f) == 0, "no folder");
  struct far *far = &f->fars[0];
  const struct far_content *wanted = far_add_bytes(f, 1, "some words\n", 11, false, true);
  far->is_mute = true; /* what comes of it the input says */
  f->fars[1].is_away = true;
  must(far_start(f, 60000, NULL) == 0, "no engine");
  for (int i = 0; i < 1000 && !far->session; i++) must(rest(f, 1), "it has ended");
  must(far_reach(f, &wanted, NULL, 1, &reached) == 0, "nothing can be asked for");
  const struct dk_reading reading = {.attempt = {0x0123456789abcdefu, 1}, .host = 1, .stream = 1, .len = 100};
  (void)dk_engine_read(f->engine, &reading, on_log, &has_log, NULL);
  for (int i = 0; i < 1000 && far->n_asked == 0; i++) must(rest(f, 1), "it has ended");
  must(far->n_asked > 0, "the content was not asked for");
  say_all(far, data, size);
  (void)rest(f, 3);
  if (reached.is_done && reached.r == 0) must(far_is_here(f, wanted), "another content was taken for it");
  far_teardown((void **)&f);
  return 0;
}

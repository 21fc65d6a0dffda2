/* See logs_remote.h. */
#include "engine/cli/logs_remote.h"

#include "engine/wire/message.h"

#include <errno.h>
#include <string.h>

void dk_logs_remote_init(struct dk_logs_remote *remote, struct dk_cli *cli, struct dk_id attempt, uint32_t host) {
  *remote = (struct dk_logs_remote){.cli = cli, .client = DK_CLIENT_INIT, .attempt = attempt, .host = host};
  for (int i = 0; i < 2; i++) {
    remote->streams[i].remote = remote;
    remote->streams[i].number = (uint8_t)(i + 1);
  }
}

void dk_logs_remote_finish(struct dk_logs_remote *remote) {
  dk_client_close(&remote->client);
}

/* The engine may be another one by now, or be just ending. */
static int call(struct dk_logs_remote *remote, const struct dk_talk *read, struct dk_talk *ret,
                struct dk_error *error) {
  int r = -ECONNRESET;

  *ret = (struct dk_talk){0};
  for (int i = 0; i < 2 && dk_client_is_lost(r); i++) {
    bool is_connected = remote->client.stream.fd >= 0;
    r = is_connected ? 0 : dk_client_connect(remote->cli, &remote->client, error);
    if (r == -ENOENT) break;
    if (r == 0) r = dk_client_call(&remote->client, read, ret, error);
    if (r < 0) dk_talk_finish(ret);
    if (dk_client_is_lost(r)) dk_client_close(&remote->client);
  }
  if (r == -ENOENT || dk_client_is_lost(r)) return dk_error_set(error, -ENOTCONN, "no engine is at work");
  return r;
}

static long read_part(void *ctx, uint64_t at, char *to, size_t max, uint64_t *ret_at, uint64_t *ret_end,
                      struct dk_error *error) {
  const struct dk_logs_stream *stream = ctx;
  struct dk_logs_remote *remote = stream->remote;
  struct dk_talk answer;
  const struct dk_talk read = {.kind = DK_TALK_READ,
                               .reading = {.attempt = remote->attempt,
                                           .host = remote->host,
                                           .stream = stream->number,
                                           .offset = at,
                                           .len = max < DK_PART_MAX ? (uint32_t)max : DK_PART_MAX}};
  int r = call(remote, &read, &answer, error);

  if (r < 0) return r;
  uint32_t n = answer.reading.len;
  bool is_sane = answer.kind == DK_TALK_LOG && n <= max;
  if (is_sane && n > 0) memcpy(to, answer.log.bytes, n);
  *ret_end = answer.log.total;
  *ret_at = answer.reading.offset > at ? answer.reading.offset : at;
  if (*ret_at > *ret_end) *ret_at = at; /* it has less than was read before: it is over */
  dk_talk_finish(&answer);
  return is_sane ? (long)n : dk_error_set(error, -EPROTO, "the engine answered something else than was asked");
}

void dk_logs_remote_open(struct dk_logs_remote *remote, int stream, struct dk_log *ret) {
  dk_log_open_source(ret, &(struct dk_log_source){&remote->streams[stream], read_part});
}

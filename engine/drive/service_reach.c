/* See service.h: contents and logs that are at hosts, for clients. Each is its own ctx for the engine: dk_engine_leave
 * when it has gone. */
#include "engine/drive/service_priv.h"

#include "engine/wire/message.h"

#include <errno.h>

static void on_progress(void *ctx, uint64_t here, uint64_t total, const char *waits) {
  dk_service_send(
      ctx, &(struct dk_talk){.kind = DK_TALK_PROGRESS, .progress = {here, total}, .text = (char *)(uintptr_t)waits});
}

static void on_done(void *ctx, int r, uint32_t which, const char *words) {
  struct dk_service_client *client = ctx;

  client->is_fetching = false;
  dk_service_send(client, &(struct dk_talk){.kind = r < 0 ? DK_TALK_REFUSED : DK_TALK_DONE,
                                            .run = which,
                                            .value = r,
                                            .text = (char *)(uintptr_t)words});
}

void dk_service_fetch(struct dk_service_client *client, struct dk_engine *engine, const struct dk_talk *talk) {
  const struct dk_reach_observer observer = {client, on_progress, on_done};

  if (client->is_fetching) {
    dk_service_refuse(client, -EBUSY, "what was asked for before has not come yet");
    return;
  }
  client->is_fetching = true;
  if (dk_engine_reach(engine, talk->wanted, talk->n_wanted, &observer) == 0) return;
  client->is_fetching = false;
  dk_service_refuse(client, -ENOMEM, "out of memory");
}

static void on_log(void *ctx, int r, const struct dk_message *log, const char *words) {
  if (r < 0) {
    dk_service_refuse(ctx, r, words);
    return;
  }
  dk_service_send(ctx, &(struct dk_talk){.kind = DK_TALK_LOG,
                                         .reading = {.attempt = log->id,
                                                     .stream = log->u.log.stream,
                                                     .offset = log->u.log.offset,
                                                     .len = log->u.log.len},
                                         .log = {log->u.log.total, log->u.log.bytes}});
}

void dk_service_read(struct dk_service_client *client, struct dk_engine *engine, const struct dk_talk *talk) {
  struct dk_error error = {0};
  int r = dk_engine_read(engine, &talk->reading, on_log, client, &error);

  if (r < 0) dk_service_refuse(client, r, error.text);
}

/* A cloud is asked, and its answer waited for: see clouds.h. */
#include "engine/cli/clouds.h"

#include "engine/sys/loop.h"

#include <errno.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* Calls end by themselves: a check within a minute, others within five. This is for a cloud that breaks that. */
static uint64_t patience_of(enum dk_cloud_kind kind) {
  return (kind == DK_CLOUD_CHECK ? 90 : 330) * SECOND_NS;
}

struct asked {
  bool has_answered;
  void (*take)(void *ctx, const struct dk_cloud_result *result);
  void *ctx;
  struct dk_error *error;
  int r;
};

static void on_answer(void *ctx, const struct dk_cloud_result *result) {
  struct asked *asked = ctx;

  asked->has_answered = true;
  if (result->failure == DK_CLOUD_FINE) {
    asked->take(asked->ctx, result);
    return;
  }
  asked->r = result->error.code < 0 ? result->error.code : -EIO;
  dk_error_set(asked->error, asked->r, "%s", result->error.text);
}

static int wait_for(const struct dk_clouds_line *line, uint64_t until, const struct asked *asked,
                    struct dk_error *error) {
  while (!asked->has_answered) {
    uint64_t now = dk_now_ns(), at = line->provider->deadline(line->cloud);
    if (now >= until) return dk_error_set(error, -ETIMEDOUT, "it does not answer");
    if (now >= at) line->provider->tick(line->cloud, now);
    if (asked->has_answered) break;
    at = line->provider->deadline(line->cloud);
    int r = dk_loop_once(line->loop, at < until ? at : until);
    if (r < 0) return dk_error_system(error, r, "asking a cloud");
  }
  return asked->r;
}

int dk_clouds_open(const struct dk_cloud_entry *entry, struct dk_clouds_line *ret, struct dk_error *error) {
  *ret = (struct dk_clouds_line){.provider = entry->provider->cloud};
  int r = dk_loop_create(&ret->loop, error);
  if (r < 0) return r;
  const struct dk_cloud_options options = {.config = entry->config, .loop = ret->loop, .seed = dk_now_ns()};
  r = ret->provider->open(&options, &ret->cloud, error);
  if (r < 0) dk_clouds_close(ret);
  return r;
}

void dk_clouds_close(struct dk_clouds_line *line) {
  if (line->cloud) line->provider->close(line->cloud);
  if (line->loop) dk_loop_destroy(line->loop);
  *line = (struct dk_clouds_line){.cloud = NULL};
}

int dk_clouds_ask(const struct dk_clouds_line *line, const struct dk_cloud_order *order,
                  void (*take)(void *ctx, const struct dk_cloud_result *result), void *ctx, struct dk_error *error) {
  struct asked asked = {.take = take, .ctx = ctx, .error = error};

  int r = line->provider->start(line->cloud, order, on_answer, &asked, error);
  return r < 0 ? r : wait_for(line, dk_now_ns() + patience_of(order->kind), &asked, error);
}

static void take_words(void *ctx, const struct dk_cloud_result *result) {
  dk_buf_add_text(ctx, result->words);
}

int dk_clouds_check(const struct dk_cloud_entry *entry, struct dk_buf *ret_words, struct dk_error *error) {
  const struct dk_cloud_order order = {
      .kind = DK_CLOUD_CHECK, .image = entry->image.from, .shapes = entry->shapes, .n_shapes = entry->n_shapes};
  struct dk_clouds_line line;

  int r = dk_clouds_open(entry, &line, error);
  if (r < 0) return r;
  r = dk_clouds_ask(&line, &order, take_words, ret_words, error);
  dk_clouds_close(&line);
  return r;
}

/* A cloud is asked who we are there, and whether it has what machines are made from: see clouds.h. */
#include "engine/cli/clouds.h"

#include "engine/sys/loop.h"

#include <errno.h>
#include <string.h>

#define PATIENCE_NS UINT64_C(90000000000) /* the call itself ends within a minute */

struct asked {
  bool has_answered;
  struct dk_buf *words;
  struct dk_error *error;
  int r;
};

static void on_answer(void *ctx, const struct dk_cloud_result *result) {
  struct asked *asked = ctx;

  asked->has_answered = true;
  if (result->failure == DK_CLOUD_FINE) {
    dk_buf_add_text(asked->words, result->words);
    return;
  }
  asked->r = result->error.code < 0 ? result->error.code : -EIO;
  dk_error_set(asked->error, asked->r, "%s", result->error.text);
}

static int wait_for(const struct dk_cloud_provider *provider, struct dk_cloud *cloud, struct dk_loop *loop,
                    const struct asked *asked, struct dk_error *error) {
  uint64_t until = dk_now_ns() + PATIENCE_NS;

  while (!asked->has_answered) {
    uint64_t now = dk_now_ns(), at = provider->deadline(cloud);
    if (now >= until) return dk_error_set(error, -ETIMEDOUT, "it does not answer");
    if (now >= at) provider->tick(cloud, now);
    if (asked->has_answered) break;
    at = provider->deadline(cloud);
    int r = dk_loop_once(loop, at < until ? at : until);
    if (r < 0) return dk_error_system(error, r, "asking a cloud");
  }
  return asked->r;
}

int dk_clouds_check(const struct dk_cloud_entry *entry, struct dk_buf *ret_words, struct dk_error *error) {
  const struct dk_cloud_provider *provider = entry->provider->cloud;
  const struct dk_cloud_order order = {
      .kind = DK_CLOUD_CHECK, .image = entry->image, .shapes = entry->shapes, .n_shapes = entry->n_shapes};
  struct asked asked = {.words = ret_words, .error = error};
  struct dk_cloud *cloud = NULL;
  struct dk_loop *loop = NULL;

  int r = dk_loop_create(&loop, error);
  if (r < 0) return r;
  const struct dk_cloud_options options = {.config = entry->config, .loop = loop, .seed = dk_now_ns()};
  r = provider->open(&options, &cloud, error);
  if (r == 0) r = provider->start(cloud, &order, on_answer, &asked, error);
  if (r == 0) r = wait_for(provider, cloud, loop, &asked, error);
  if (cloud) provider->close(cloud);
  dk_loop_destroy(loop);
  return r;
}

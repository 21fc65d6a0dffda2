/* What drivers are given: see driver.h. */
#include "providers/cloud/driver.h"

#include "lang/base/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define INSTANCES_MOST 100000u
#define IMAGES_MOST 10000u

const char *dk_cloud_keep(struct dk_cloud_texts *texts, const char *text) {
  if (!text) return "";
  if (!dk_grow(texts->items, texts->n, texts->cap)) return NULL;
  char *kept = dk_strdup(text);
  if (kept) texts->items[texts->n++] = kept;
  return kept;
}

void dk_cloud_texts_finish(struct dk_cloud_texts *texts) {
  for (uint32_t i = 0; i < texts->n; i++) {
    explicit_bzero(texts->items[i], strlen(texts->items[i]));
    dk_free(texts->items[i]);
  }
  dk_free(texts->items);
  *texts = (struct dk_cloud_texts){0};
}

const char *dk_cloud_setting(const struct dk_cloud_config *config, const char *name) {
  for (uint32_t i = 0; i < config->n_settings; i++)
    if (strcmp(config->settings[i].name, name) == 0) return config->settings[i].value;
  return NULL;
}

struct dk_cloud_ask *dk_cloud_ask(struct dk_cloud_work *work, const char *what, const char *method,
                                  enum dk_http_class class) {
  struct dk_cloud_ask *ask = &work->ask;

  dk_cloud_texts_finish(&ask->texts);
  dk_buf_finish(&ask->path);
  dk_buf_finish(&ask->body);
  *ask = (struct dk_cloud_ask){.what = what, .method = method, .class = class};
  return ask;
}

void dk_cloud_header(struct dk_cloud_ask *ask, const char *name, const char *value) {
  const char *kept = ask->n_headers < DK_CLOUD_HEADERS ? dk_cloud_keep(&ask->texts, value) : NULL;

  if (kept)
    ask->headers[ask->n_headers++] = (struct dk_http_header){name, kept};
  else
    ask->failed = true;
}

void dk_cloud_escape(struct dk_buf *out, const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    dk_buf_printf(out, isalnum(c) || strchr("-._~", c) ? "%c" : "%%%02X", c);
  }
}

enum dk_cloud_turn dk_cloud_end(struct dk_cloud_work *work, enum dk_cloud_failure failure,
                                const struct dk_error *error) {
  work->result.failure = failure;
  if (error && failure != DK_CLOUD_FINE) work->result.error = *error;
  return DK_CLOUD_OVER;
}

static enum dk_cloud_failure failure_of(const struct dk_http_answer *answer) {
  switch (answer->status) {
  case 401:
  case 403:
  case 407: return DK_CLOUD_DENIED;
  case 408:
  case 425: return DK_CLOUD_TRANSIENT;
  case 429: return DK_CLOUD_THROTTLED;
  case 503: return answer->retry_after_ns ? DK_CLOUD_THROTTLED : DK_CLOUD_TRANSIENT;
  default: return answer->status >= 300 && answer->status < 500 ? DK_CLOUD_BAD : DK_CLOUD_TRANSIENT;
  }
}

enum dk_cloud_turn dk_cloud_refuse(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  struct dk_error error = {0};

  dk_http_refuse(answer, &error);
  return dk_cloud_end(work, failure_of(answer), &error);
}

bool dk_cloud_add(struct dk_cloud_work *work, const struct dk_instance *instance) {
  struct dk_instance added = *instance;
  struct dk_error error = {0};

  added.name = dk_cloud_keep(&work->texts, instance->name);
  added.id = dk_cloud_keep(&work->texts, instance->id);
  added.address = dk_cloud_keep(&work->texts, instance->address);
  added.owner = dk_cloud_keep(&work->texts, instance->owner);
  added.words = dk_cloud_keep(&work->texts, instance->words);
  bool is_kept = added.name && added.id && added.address && added.owner && added.words;
  if (work->n_instances == INSTANCES_MOST)
    dk_error_set(&error, -EMSGSIZE, "%s: the cloud lists more than %u machines", work->site->provider, INSTANCES_MOST);
  else if (!is_kept || !dk_grow(work->instances, work->n_instances, work->cap_instances))
    dk_error_system(&error, -ENOMEM, "%s: reading the list of machines", work->site->provider);
  else
    work->instances[work->n_instances++] = added;
  if (error.code) dk_cloud_end(work, DK_CLOUD_TRANSIENT, &error);
  return error.code == 0;
}

bool dk_cloud_add_image(struct dk_cloud_work *work, const struct dk_cloud_image *image) {
  struct dk_cloud_image added = *image;
  struct dk_error error = {0};

  added.name = dk_cloud_keep(&work->texts, image->name);
  added.id = dk_cloud_keep(&work->texts, image->id);
  added.recipe = dk_cloud_keep(&work->texts, image->recipe);
  added.owner = dk_cloud_keep(&work->texts, image->owner);
  bool is_kept = added.name && added.id && added.recipe && added.owner;
  if (work->n_images == IMAGES_MOST)
    dk_error_set(&error, -EMSGSIZE, "%s: the cloud lists more than %u images", work->site->provider, IMAGES_MOST);
  else if (!is_kept || !dk_grow(work->images, work->n_images, work->cap_images))
    dk_error_system(&error, -ENOMEM, "%s: reading the list of images", work->site->provider);
  else
    work->images[work->n_images++] = added;
  if (error.code) dk_cloud_end(work, DK_CLOUD_TRANSIENT, &error);
  return error.code == 0;
}

bool dk_cloud_read_store(const char *text, uint8_t ret[16]) {
  unsigned byte;

  if (strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32) return false;
  for (size_t i = 0; i < 16 && sscanf(text + 2 * i, "%2x", &byte) == 1; i++) ret[i] = (uint8_t)byte;
  return true;
}

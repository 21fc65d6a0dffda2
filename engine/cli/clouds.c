/* See clouds.h. */
#include "engine/cli/clouds.h"

#include "engine/report/json.h"
#include "lang/base/number.h"
#include "lang/eval/quantity.h"

#include <string.h>

/* Of more shapes only the number is said. */
#define NAMED_MOST 4u

void dk_clouds_add_what(const struct dk_cloud_entry *cloud, struct dk_buf *out) {
  dk_buf_printf(out, "up to %u instance%s", cloud->max_instances, dk_cli_s(cloud->max_instances));
  if (cloud->n_shapes > NAMED_MOST) {
    dk_buf_printf(out, " of %u shapes", cloud->n_shapes);
    return;
  }
  for (uint32_t i = 0; i < cloud->n_shapes; i++)
    dk_buf_printf(out, "%s%s", i == 0 ? " of " : i + 1 < cloud->n_shapes ? ", " : " or ", cloud->shapes[i].name);
}

static void add_price(uint64_t price, const char *currency, struct dk_buf *out) {
  dk_quantity_text(DK_TYPE_RATE, dk_currency_pack(currency), (int64_t)price, out);
}

void dk_clouds_add_shapes(const struct dk_cloud_entry *cloud, struct dk_buf *out) {
  char size[DK_NUMBER_TEXT];

  for (uint32_t i = 0; i < cloud->n_shapes; i++) {
    const struct dk_shape *shape = &cloud->shapes[i];
    dk_buf_printf(out, "%s%s (%u cpu%s", i ? ", " : "", shape->name, shape->cpus, dk_cli_s(shape->cpus));
    if (shape->gpus) dk_buf_printf(out, ", %u gpu%s", shape->gpus, dk_cli_s(shape->gpus));
    dk_number_size_text(shape->memory, size);
    if (shape->memory) dk_buf_printf(out, ", %s", size);
    dk_number_size_text(shape->disk, size);
    if (shape->disk) dk_buf_printf(out, ", %s of disk", size);
    dk_buf_add_text(out, shape->price == UINT64_MAX ? "" : ", ");
    if (shape->price != UINT64_MAX) add_price(shape->price, shape->currency, out);
    dk_buf_add_char(out, ')');
  }
}

void dk_clouds_add_cost_of(const struct dk_cloud_entry *cloud, struct dk_buf *out) {
  const char *currency = "";
  uint64_t price = 0, most = INT64_MAX / cloud->max_instances;
  uint32_t n_unknown = 0;

  for (uint32_t i = 0; i < cloud->n_shapes; i++) {
    const struct dk_shape *shape = &cloud->shapes[i];
    n_unknown += shape->price == UINT64_MAX;
    if (shape->price == UINT64_MAX) continue;
    currency = shape->currency;
    if (shape->price > price) price = shape->price;
  }
  if (!*currency || n_unknown) {
    dk_buf_printf(out, "not known for %s: no `price` of %s", cloud->config.provider,
                  *currency ? "some of its shapes" : "its shapes");
    return;
  }
  dk_buf_add_text(out, "at most ");
  add_price((price < most ? price : most) * cloud->max_instances, currency, out);
  dk_buf_printf(out, " for %s", cloud->config.provider);
}

void dk_clouds_add_cost(const struct dk_hosts *hosts, struct dk_buf *out) {
  for (uint32_t i = 0; i < hosts->n_clouds; i++) {
    dk_buf_add_text(out, i ? "; " : "");
    dk_clouds_add_cost_of(&hosts->clouds[i], out);
  }
}

uint64_t dk_clouds_cpus(const struct dk_hosts *hosts) {
  uint64_t n = 0;

  for (uint32_t i = 0; i < hosts->n_clouds; i++) {
    const struct dk_cloud_entry *cloud = &hosts->clouds[i];
    uint32_t most = 0;
    for (uint32_t k = 0; k < cloud->n_shapes; k++)
      if (cloud->shapes[k].cpus > most) most = cloud->shapes[k].cpus;
    if (most > cloud->host.leave) n += (uint64_t)cloud->max_instances * (most - cloud->host.leave);
  }
  return n;
}

bool dk_clouds_is(const struct dk_cloud_entry *cloud, const char *name) {
  return !name || strcmp(cloud->config.provider, name) == 0;
}

/* --- as JSON --- */

static void add_shape(const struct dk_shape *shape, struct dk_buf *out) {
  dk_buf_add_text(out, "{\"name\":");
  dk_json_add_string(out, shape->name, strlen(shape->name));
  dk_json_add_number_field(out, "cpus", true, shape->cpus);
  dk_json_add_number_field(out, "gpus", true, shape->gpus);
  dk_json_add_number_field(out, "memory", shape->memory > 0, shape->memory);
  dk_json_add_number_field(out, "disk", shape->disk > 0, shape->disk);
  dk_json_add_number_field(out, "price_millionths", shape->price != UINT64_MAX, shape->price);
  dk_json_add_text_field(out, "currency", shape->price == UINT64_MAX ? NULL : shape->currency);
  dk_buf_add_char(out, '}');
}

static void add_cloud(const struct dk_cloud_entry *cloud, struct dk_buf *out) {
  const struct dk_host_config *host = &cloud->host;

  dk_buf_add_text(out, "{\"provider\":");
  dk_json_add_string(out, cloud->config.provider, strlen(cloud->config.provider));
  dk_json_add_text_field(out, "kind", cloud->provider->kind);
  dk_json_add_number_field(out, "user_line", cloud->user_line > 0, cloud->user_line);
  dk_json_add_number_field(out, "repository_line", cloud->root_line > 0, cloud->root_line);
  dk_json_add_text_field(out, "image", cloud->image.from);
  dk_json_add_text_field(out, "recipe", cloud->image.setup ? cloud->image.digest : NULL);
  dk_json_add_number_field(out, "max_instances", true, cloud->max_instances);
  dk_json_add_number_field(out, "idle_seconds", true, cloud->idle_ns / DK_SECOND);
  dk_json_add_number_field(out, "boot_seconds", true, cloud->boot_ns / DK_SECOND);
  dk_buf_add_text(out, ",\"shapes\":[");
  for (uint32_t i = 0; i < cloud->n_shapes; i++) {
    dk_buf_add_text(out, i ? "," : "");
    add_shape(&cloud->shapes[i], out);
  }
  dk_buf_add_char(out, ']');
  dk_json_add_number_field(out, "leave", true, host->leave);
  dk_json_add_number_field(out, "gpus", host->most_gpus != UINT32_MAX, host->most_gpus);
  dk_json_add_number_field(out, "nice", true, (uint64_t)host->nice);
  dk_json_add_text_field(out, "hours", cloud->hours.text);
  dk_buf_printf(out, ",\"mixed\":%s", cloud->mixed ? "true" : "false");
  dk_json_add_text_field(out, "root", host->root);
  dk_json_add_text_field(out, "user", host->user);
  dk_json_add_number_field(out, "port", host->port > 0, host->port);
  dk_json_add_text_field(out, "config", host->ssh_config);
  dk_buf_add_char(out, '}');
}

void dk_clouds_add_json(const struct dk_hosts *hosts, struct dk_buf *out) {
  dk_buf_add_text(out, ",\"clouds\":[");
  for (uint32_t i = 0; i < hosts->n_clouds; i++) {
    dk_buf_add_text(out, i ? "," : "");
    add_cloud(&hosts->clouds[i], out);
  }
  dk_buf_add_char(out, ']');
}

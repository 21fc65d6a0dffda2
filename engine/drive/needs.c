/* See needs.h. */
#include "engine/drive/needs.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

struct collect {
  struct dk_needs *needs;
  int result;
};

static bool take_needs(void *ctx, const struct dk_plan_needs *needs) {
  struct collect *collect = ctx;
  struct dk_needs *all = collect->needs;

  collect->result = -ENOMEM;
  if (!dk_grow(all->items, all->n, all->cap)) return false;
  char *gpu = needs->gpu ? dk_strdup(needs->gpu) : NULL;
  if (needs->gpu && !gpu) return false;
  all->items[all->n++] = (struct dk_needs_of){needs->task, needs->cpus, needs->gpus, needs->memory, gpu};
  collect->result = 0;
  return true;
}

int dk_needs_collect(const struct dk_plan *plan, struct dk_needs *ret) {
  struct collect collect = {.needs = ret};
  int r = dk_plan_each_needs(plan, take_needs, &collect);

  return r < 0 ? r : collect.result;
}

void dk_needs_finish(struct dk_needs *needs) {
  for (uint32_t i = 0; i < needs->n; i++) dk_free(needs->items[i].gpu);
  dk_free(needs->items);
  *needs = (struct dk_needs){0};
}

const struct dk_needs_of *dk_needs_find(const struct dk_needs *needs, uint32_t task) {
  uint32_t from = 0, to = needs->n;

  while (from < to) {
    uint32_t middle = from + (to - from) / 2;
    if (needs->items[middle].first <= task)
      from = middle + 1;
    else
      to = middle;
  }
  return from ? &needs->items[from - 1] : NULL;
}

/* A model that nobody knows may be the right one. */
static bool has_model(const char *models, const char *model) {
  return !model || !*models || strcasestr(models, model);
}

/* Nobody knows the models of a shape's GPUs: who wants one is not promised it. A shape is as large as it is, and
 * nothing is made for a task of more processors, whereas a host gives it all that it has. */
static bool has_shape(const struct dk_cloud_entry *cloud, uint32_t cpus, uint32_t gpus, uint64_t memory) {
  for (uint32_t i = 0; i < cloud->n_shapes; i++) {
    const struct dk_shape *shape = &cloud->shapes[i];
    uint32_t has = shape->gpus < cloud->host.most_gpus ? shape->gpus : cloud->host.most_gpus;
    if (cpus <= shape->cpus && gpus <= has && (memory <= shape->memory || shape->memory == 0)) return true;
  }
  return cloud->n_shapes == 0; /* its kind knows them */
}

static bool cloud_lacks(const struct dk_cloud_entry *cloud, const struct dk_needs_of *need, struct dk_buf *out) {
  const char *name = cloud->config.provider, *model = need->gpus ? need->gpu : NULL;

  if (!model && has_shape(cloud, need->cpus, need->gpus, need->memory)) return false;
  if (model)
    dk_buf_printf(out, "%u %s gpu%s, and which gpus the machines of %s have is not known", need->gpus, model,
                  need->gpus == 1 ? "" : "s", name);
  else if (!has_shape(cloud, 0, need->gpus, 0))
    dk_buf_printf(out, "%u gpu%s, and no shape of %s has so many", need->gpus, need->gpus == 1 ? "" : "s", name);
  else if (!has_shape(cloud, 0, 0, need->memory))
    dk_buf_printf(out, "%llu MiB of memory, and no shape of %s has so much", (unsigned long long)(need->memory >> 20),
                  name);
  else if (!has_shape(cloud, need->cpus, 0, 0))
    dk_buf_printf(out, "%u cpus, and no shape of %s has so many", need->cpus, name);
  else
    dk_buf_printf(out, "%u cpu%s, %u gpu%s and %llu MiB of memory, and no shape of %s has all of it", need->cpus,
                  need->cpus == 1 ? "" : "s", need->gpus, need->gpus == 1 ? "" : "s",
                  (unsigned long long)(need->memory >> 20), name);
  return true;
}

bool dk_needs_lacks(const struct dk_needs_host *host, const struct dk_needs_of *need, struct dk_buf *out) {
  const struct dk_host_record *record = host->record;
  const struct dk_need here = {need->cpus, need->gpus, need->memory, need->gpu};

  if (host->cloud) return cloud_lacks(host->cloud, need, out);
  if (host->machine) return dk_machine_lacks(host->machine, &here, out);
  if (!record || !record->seen_unix_ns) return false;
  if (need->memory > record->memory) {
    dk_buf_printf(out, "%llu MiB of memory, and %s has %llu", (unsigned long long)(need->memory >> 20), record->name,
                  (unsigned long long)(record->memory >> 20));
    return true;
  }
  if (need->gpus > record->gpus || (need->gpus > 0 && !has_model(record->gpu, need->gpu))) {
    dk_buf_printf(out, "%u %s%sgpu%s, and %s has %u", need->gpus, need->gpu ? need->gpu : "", need->gpu ? " " : "",
                  need->gpus == 1 ? "" : "s", record->name, record->gpus);
    return true;
  }
  return false;
}

int dk_needs_check(const struct dk_plan *plan, const struct dk_needs *needs, const struct dk_needs_host *hosts,
                   uint32_t n, struct dk_error *error) {
  for (uint32_t i = 0; i < needs->n; i++) {
    dk_autobuf text = DK_BUF_INIT, name = DK_BUF_INIT;
    bool fits = n == 0;
    for (uint32_t k = 0; !fits && k < n; k++) {
      if (text.len > 0) dk_buf_add_text(&text, "; ");
      fits = !dk_needs_lacks(&hosts[k], &needs->items[i], &text);
    }
    if (fits) continue;
    dk_plan_task_name(plan, needs->items[i].first, &name);
    if (!dk_buf_ok(&name) || !dk_buf_ok(&text)) return dk_error_system(error, -ENOMEM, "looking at what tasks need");
    return dk_error_set(
        error, -EINVAL,
        "%s needs %s\nhelp: nothing was started; change its `needs`, or run it where there is that much", name.data,
        text.data);
  }
  return 0;
}

/* See known.h. */
#include "engine/drive/known.h"

#include "engine/store/record.h"
#include "engine/store/rented.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

const char *dk_known_host_provider(const struct dk_known_host *host) {
  return host->entry ? host->entry->config.provider : host->record.provider;
}

const char *dk_known_host_name(const struct dk_known_host *host) {
  return host->entry ? host->entry->config.name : host->record.name;
}

bool dk_known_host_is_remote(const struct dk_known_host *host) {
  return host->entry ? host->entry->provider->is_remote : host->record.number != DK_HOST_LOCAL;
}

bool dk_known_host_is(const struct dk_known_host *host, const char *name) {
  return strcmp(dk_known_host_provider(host), name) == 0 || strcmp(dk_known_host_name(host), name) == 0;
}

static int copy_record(const struct dk_host_record *from, struct dk_host_record *ret) {
  *ret = *from;
  ret->provider = dk_strdup(from->provider);
  ret->name = dk_strdup(from->name);
  ret->words = dk_strdup(from->words);
  ret->system = dk_strdup(from->system);
  ret->gpu = dk_strdup(from->gpu);
  ret->place = from->place ? dk_strdup(from->place) : NULL;
  if (ret->provider && ret->name && ret->words && ret->system && ret->gpu && !ret->place == !from->place) return 0;
  dk_host_record_finish(ret);
  return -ENOMEM;
}

/* This machine is number 0, whatever its provider is called. */
static bool is_the_host(const struct dk_known_host *host, const struct dk_host_record *record) {
  if (!host->entry || host->has_record) return false;
  if (!dk_known_host_is_remote(host)) return record->number == DK_HOST_LOCAL;
  return record->number != DK_HOST_LOCAL && strcmp(host->entry->config.provider, record->provider) == 0 &&
         strcmp(host->entry->config.name, record->name) == 0;
}

static int take_record(void *ctx, const struct dk_host_record *record) {
  struct dk_known_hosts *known = ctx;
  uint32_t at = 0;

  while (at < known->n && !is_the_host(&known->items[at], record)) at++;
  if (at == known->n) {
    struct dk_known_host *grown = dk_realloc_array(known->items, known->n + 1u, sizeof *grown);
    if (!grown) return -ENOMEM;
    known->items = grown;
    known->items[at] = (struct dk_known_host){.entry = NULL};
  }
  int r = copy_record(record, &known->items[at].record);
  known->items[at].has_record = r == 0;
  if (r == 0 && at == known->n) known->n++;
  return r;
}

static struct dk_known_host *of_number(const struct dk_known_hosts *known, uint32_t number) {
  for (uint32_t i = 0; i < known->n; i++)
    if (known->items[i].has_record && known->items[i].record.number == number) return &known->items[i];
  return NULL;
}

static int take_rented(void *ctx, const struct dk_rented *rented) {
  struct dk_known_host *host = of_number(ctx, rented->host);

  if (host) host->is_rented = rented->state != DK_RENT_ENDING; /* of one that ends nothing is expected */
  return 0;
}

bool dk_known_hosts_have(void *ctx, uint32_t number) {
  const struct dk_known_host *host = of_number(ctx, number);

  return host && (host->entry || host->is_rented);
}

static int count_copy(void *ctx, const struct dk_copy *copy) {
  struct dk_known_host *host = of_number(ctx, copy->host);

  if (host) host->n_copies++;
  return 0;
}

static int count_attempts(struct dk_store *store, struct dk_known_hosts *known, struct dk_error *error) {
  struct dk_record *records = NULL;
  uint32_t n = 0;
  int r = dk_store_load_core(store, &records, &n, error);

  for (uint32_t i = 0; r == 0 && i < n; i++) {
    struct dk_known_host *host = records[i].kind == DK_REC_ATTEMPT ? of_number(known, records[i].host) : NULL;
    if (host) host->n_attempts++;
  }
  dk_free(records);
  return r;
}

int dk_known_hosts_load(const struct dk_hosts *hosts, struct dk_store *store, struct dk_known_hosts *ret,
                        struct dk_error *error) {
  *ret = (struct dk_known_hosts){.items = dk_calloc(hosts->n + 1u, sizeof *ret->items)};
  if (!ret->items) return dk_error_system(error, -ENOMEM, "reading the hosts");
  for (; ret->n < hosts->n; ret->n++) ret->items[ret->n].entry = &hosts->items[ret->n];
  if (!store) return 0;
  int r = dk_store_each_host(store, take_record, ret, error);
  if (r == 0) r = dk_store_each_rented(store, take_rented, ret, error);
  if (r < 0 && error && !error->code) dk_error_system(error, r, "reading the hosts");
  return r;
}

int dk_known_hosts_count(struct dk_known_hosts *known, struct dk_store *store, struct dk_error *error) {
  int r = dk_store_each_copy(store, NULL, count_copy, known, error);

  if (r == 0) r = count_attempts(store, known, error);
  if (r < 0 && error && !error->code) dk_error_system(error, r, "counting what hosts have");
  return r;
}

void dk_known_hosts_finish(struct dk_known_hosts *known) {
  for (uint32_t i = 0; i < known->n; i++)
    if (known->items[i].has_record) dk_host_record_finish(&known->items[i].record);
  dk_free(known->items);
  *known = (struct dk_known_hosts){.n = 0};
}

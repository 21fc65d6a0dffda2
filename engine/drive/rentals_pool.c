/* Which pools there are, as the files of providers have them: see rentals.h. */
#include "engine/drive/owner.h"
#include "engine/drive/rentals_priv.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

/* --- as engine/rent wants them --- */

static bool is_paid(const struct dk_cloud_entry *entry) {
  for (uint32_t i = 0; i < entry->n_shapes; i++)
    if (entry->shapes[i].price != UINT64_MAX && entry->shapes[i].price > 0) return true;
  return false;
}

struct dk_rent_pool dk_rentals_configured(const struct dk_rental_pool *pool) {
  const struct dk_cloud_entry *entry = pool->entry;
  bool is_hidden = pool->rentals->engine->with.probe && !dk_rentals_is_probed(pool);

  return (struct dk_rent_pool){.number = pool->number,
                               .name = pool->name,
                               .where = pool->where,
                               .order = pool->order,
                               .max_instances = is_hidden ? 0 : entry->max_instances,
                               .idle_ns = entry->idle_ns,
                               .boot_ns = entry->boot_ns,
                               .lag_ns = entry->provider->cloud->lag_ns,
                               .is_paid = is_paid(entry),
                               .image = dk_rentals_image_state(pool),
                               .shapes = pool->shapes,
                               .n_shapes = entry->n_shapes};
}

/* Makes engine/rent forget what stopped the pool, too. */
static void tell_pool(const struct dk_rental_pool *pool) {
  dk_rentals_tell(pool->rentals, &(struct dk_rent_event){.kind = DK_RENT_EV_POOL, .pool = pool->number});
}

static void stop(struct dk_rental_pool *pool) {
  pool->is_open = false;
  dk_rentals_tell(pool->rentals, &(struct dk_rent_event){.kind = DK_RENT_EV_POOL_REMOVED, .pool = pool->number});
}

/* --- which there are --- */

static struct dk_rental_pool *find_pool(const struct dk_rentals *rentals, const char *name, const char *where) {
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (strcmp(rentals->pools[i]->name, name) == 0 && strcmp(rentals->pools[i]->where, where) == 0)
      return rentals->pools[i];
  return NULL;
}

struct dk_rental_pool *dk_rentals_pool_of(const struct dk_rentals *rentals, const struct dk_rented *rented) {
  return find_pool(rentals, rented->pool, rented->where);
}

bool dk_rentals_can_ask(const struct dk_rentals *rentals, const struct dk_rented *rented) {
  const struct dk_rental_pool *pool = dk_rentals_pool_of(rentals, rented);

  return pool && pool->cloud;
}

static void drop_next(struct dk_rental_pool *pool) {
  if (pool->next.cloud) pool->next.entry->provider->cloud->close(pool->next.cloud);
  dk_free(pool->next.shapes);
  pool->next = (struct dk_rental_next){.cloud = NULL};
}

void dk_rentals_free_pool(struct dk_rental_pool *pool) {
  dk_rentals_image_drop(pool);
  drop_next(pool);
  dk_free(pool->shapes);
  dk_free(pool->name);
  dk_free(pool->where);
  dk_free(pool);
}

/* NULL: no memory. */
static struct dk_rental_pool *need_pool(struct dk_rentals *rentals, const char *name, const char *where) {
  struct dk_rental_pool *pool = find_pool(rentals, name, where);

  if (pool) return pool;
  pool = dk_calloc(1, sizeof *pool);
  if (!pool) return NULL;
  *pool = (struct dk_rental_pool){
      .rentals = rentals, .number = rentals->n_pools, .name = dk_strdup(name), .where = dk_strdup(where)};
  pool->image.log = -1;
  if (!pool->name || !pool->where || !dk_grow(rentals->pools, rentals->n_pools, rentals->cap_pools)) {
    dk_rentals_free_pool(pool);
    return NULL;
  }
  return rentals->pools[rentals->n_pools++] = pool;
}

static struct dk_rent_shape *copy_shapes(const struct dk_cloud_entry *entry) {
  struct dk_rent_shape *shapes = dk_calloc(entry->n_shapes + 1u, sizeof *shapes);

  for (uint32_t i = 0; shapes && i < entry->n_shapes; i++) {
    const struct dk_shape *of = &entry->shapes[i];
    shapes[i] = (struct dk_rent_shape){
        .cpus = of->cpus, .gpus = of->gpus, .memory = of->memory, .disk = of->disk, .price = of->price};
    memcpy(shapes[i].currency, of->currency, sizeof shapes[i].currency);
    strcpy(shapes[i].name, of->name); /* hosts_cloud.c has seen to it that it fits */
    if (entry->host.leave < of->cpus) shapes[i].cpus -= entry->host.leave;
    if (entry->host.most_gpus < shapes[i].gpus) shapes[i].gpus = entry->host.most_gpus;
  }
  return shapes;
}

/* Configured as this entry says, and at work or stopped for a reason that is still there? */
static struct dk_rental_pool *find_same(const struct dk_rentals *rentals, const struct dk_cloud_entry *entry) {
  for (uint32_t i = 0; i < rentals->n_pools; i++) {
    struct dk_rental_pool *pool = rentals->pools[i];
    if ((pool->is_open || pool->is_barred) && !pool->is_stale && dk_cloud_entry_equal(pool->entry, entry)) return pool;
  }
  return NULL;
}

bool dk_rentals_are_applied(const struct dk_rentals *rentals, const struct dk_hosts *hosts) {
  uint32_t n_named = 0;

  for (uint32_t i = 0; i < rentals->n_pools; i++) n_named += rentals->pools[i]->is_named;
  for (uint32_t i = 0; i < hosts->n_clouds; i++) {
    const struct dk_rental_pool *same = find_same(rentals, &hosts->clouds[i]);
    if (!same || !same->is_named || same->order != (int32_t)i) return false;
  }
  return n_named == hosts->n_clouds;
}

void dk_rentals_edited(struct dk_rentals *rentals) {
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    rentals->pools[i]->is_stale = rentals->pools[i]->is_barred || rentals->pools[i]->is_refused;
}

/* --- as they are to be --- */

static int prepare(struct dk_rentals *rentals, const struct dk_cloud_entry *entry, struct dk_error *error) {
  const struct dk_engine *engine = rentals->engine;
  struct dk_cloud_options options = {.config = entry->config, .loop = engine->with.loop, .seed = engine->incarnation};
  struct dk_rental_next next = {.entry = entry};
  char owner[DK_CLOUD_OWNER];

  dk_owner_write(engine->with.root, owner);
  options.owner = owner;
  memcpy(options.store, engine->store_id, sizeof options.store);
  int r = entry->provider->cloud->open(&options, &next.cloud, error);
  if (r < 0) return r;
  struct dk_rental_pool *pool = need_pool(rentals, entry->config.provider, entry->provider->cloud->where(next.cloud));
  next.shapes = pool ? copy_shapes(entry) : NULL;
  if (!next.shapes) {
    entry->provider->cloud->close(next.cloud);
    return dk_error_system(error, -ENOMEM, "reading the providers");
  }
  pool->next = next;
  return 0;
}

static void drop_prepared(struct dk_rentals *rentals) {
  for (uint32_t i = 0; i < rentals->n_pools; i++) drop_next(rentals->pools[i]);
}

int dk_rentals_prepare(struct dk_rentals *rentals, const struct dk_hosts *hosts, struct dk_error *error) {
  int r = 0;

  drop_prepared(rentals);
  for (uint32_t i = 0; r == 0 && i < hosts->n_clouds; i++)
    if (!find_same(rentals, &hosts->clouds[i])) r = prepare(rentals, &hosts->clouds[i], error);
  if (r < 0) drop_prepared(rentals);
  return r;
}

static void configure(struct dk_rental_pool *pool, int32_t order) {
  dk_rentals_close_cloud(pool);
  dk_free(pool->shapes);
  pool->cloud = pool->next.cloud;
  pool->entry = pool->next.entry;
  pool->shapes = pool->next.shapes;
  pool->next = (struct dk_rental_next){.cloud = NULL};
  pool->is_named = pool->is_open = true;
  pool->is_barred = pool->is_refused = pool->is_stale = false;
  pool->order = order;
  dk_rentals_image_begin(pool);
  tell_pool(pool);
}

/* What is under way there goes on. */
static void keep(struct dk_rental_pool *pool, int32_t order) {
  bool is_moved = pool->order != order;

  pool->is_named = true;
  pool->order = order;
  if (is_moved && pool->is_open) tell_pool(pool);
}

static struct dk_rental_pool *find_next(const struct dk_rentals *rentals, const struct dk_cloud_entry *entry) {
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (rentals->pools[i]->next.entry == entry) return rentals->pools[i];
  return NULL;
}

static void leave(struct dk_rental_pool *pool) {
  uint32_t n = dk_rent_count(pool->rentals->rent, pool->number);
  struct dk_error words = {0};

  stop(pool);
  if (n == 0) return;
  dk_error_set(&words, -EIO,
               "%s: no file of providers names it as it was: what it has at %s (%u machine%s) goes when "
               "what runs there has ended",
               pool->name, pool->where, n, n == 1 ? "" : "s");
  dk_engine_say(pool->rentals->engine, words.text);
}

void dk_rentals_apply(struct dk_rentals *rentals, const struct dk_hosts *hosts) {
  for (uint32_t i = 0; i < rentals->n_pools; i++) rentals->pools[i]->is_named = false;
  for (uint32_t i = 0; i < hosts->n_clouds; i++) {
    struct dk_rental_pool *next = find_next(rentals, &hosts->clouds[i]);
    if (next)
      configure(next, (int32_t)i);
    else
      keep(find_same(rentals, &hosts->clouds[i]), (int32_t)i);
  }
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (!rentals->pools[i]->is_named && rentals->pools[i]->is_open) leave(rentals->pools[i]);
  rentals->look_at = 0;
  rentals->is_to_say_left = true;
}

/* --- what may be made of them --- */

void dk_rentals_wanted(struct dk_rentals *rentals) {
  if (!rentals->was_released) return;
  rentals->was_released = false;
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (dk_rentals_cloud(rentals, i)) tell_pool(rentals->pools[i]);
}

uint32_t dk_rentals_n_pools(const struct dk_rentals *rentals) {
  return rentals->n_pools;
}

const struct dk_cloud_entry *dk_rentals_cloud(const struct dk_rentals *rentals, uint32_t i) {
  const struct dk_rental_pool *pool = rentals->pools[i];

  return pool->is_named && !pool->is_barred ? pool->entry : NULL;
}

bool dk_rentals_are_open(const struct dk_rentals *rentals) {
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (dk_rentals_cloud(rentals, i)) return true;
  return false;
}

const char *dk_rentals_barred(const struct dk_rentals *rentals) {
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (rentals->pools[i]->is_named && rentals->pools[i]->is_barred) return rentals->pools[i]->name;
  return NULL;
}

/* Nothing is there that could take what waits, and waiting would not change that. */
static void end_runs(struct dk_engine *engine) {
  const struct dk_ask end = {.kind = DK_EV_CANCEL};
  struct dk_error error = {0}, words = {0};

  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    const struct dk_engine_host *host = engine->hosts[i];
    if (host && host->provider && !host->is_rented && !host->is_left && !host->is_barred) return;
  }
  for (uint32_t i = 0; i < engine->n_runs; i++) {
    if (engine->runs[i]->is_over || engine->runs[i]->is_cancelled) continue;
    dk_error_set(&words, -EIO, "run %u is ended: no host can be given its tasks", engine->runs[i]->record.number);
    dk_engine_say(engine, words.text);
    if (dk_engine_ask(engine, engine->runs[i]->record.number, &end, &error) < 0)
      dk_engine_fail(engine, error.code, &error);
  }
}

void dk_rentals_bar_pool(struct dk_rental_pool *pool) {
  if (pool->is_barred) return;
  pool->is_barred = true;
  stop(pool);
  if (!dk_rentals_are_open(pool->rentals)) end_runs(pool->rentals->engine);
}

void dk_rentals_bar(struct dk_rentals *rentals, const struct dk_engine_host *host) {
  const struct dk_rental *machine = dk_rentals_machine_of(rentals, host);

  if (machine && machine->pool) dk_rentals_bar_pool(machine->pool);
}

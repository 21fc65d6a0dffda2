/* See rentals.h. Here: the steps, and which pools there are. */
#include "engine/drive/rentals_priv.h"
#include "engine/store/rented.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define GAP_NS (UINT64_C(30) * 1000000000u)      /* longer than any wait of the engine while there are machines */
#define LIST_SOON_NS (UINT64_C(4) * 1000000000u) /* a list says where a machine is: tasks wait for that */
#define LOOK_NS 250000000u                       /* how often what waits, and who works, is looked at */

/* --- steps --- */

static int commit(struct dk_rentals *rentals, struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < rentals->out.n_records; i++)
    r = dk_batch_add_rent_record(&batch, &rentals->out.records[i]);
  if (r < 0) dk_error_system(error, r, "recording what machines there are");
  if (r == 0 && batch.n) r = dk_store_commit(rentals->engine->with.folder->store, &batch, error);
  dk_batch_finish(&batch);
  return r;
}

/* What is kept of machines whose records go is of no use any more. */
static void drop_kept(struct dk_rentals *rentals, const struct dk_rent_record *record) {
  char name[DK_RENT_NAME + 12];

  if (record->kind != DK_RENT_REC_RENTED || !record->del) return;
  dk_rentals_name(record->rented.pool, record->rented.number, name, sizeof name);
  dk_rentals_remove_keys(rentals, name);
  dk_rentals_forget(rentals, record->rented.number);
}

/* One event, with all that it brings; what is done may bring more, which waits. */
static void step(struct dk_rentals *rentals, struct dk_rent_event *event) {
  struct dk_engine *engine = rentals->engine;
  struct dk_error error = {0};

  event->unix_ns = dk_unix_ns();
  do {
    dk_rent_out_clear(&rentals->out);
    int r = dk_rent_step(rentals->rent, dk_now_ns(), ++rentals->seq, event, &rentals->out);
    if (r < 0) dk_error_system(&error, r, "looking after rented machines");
    if (r == 0) r = commit(rentals, &error);
    if (r < 0) {
      dk_engine_fail(engine, r, &error);
      return;
    }
    for (uint32_t i = 0; i < rentals->out.n_records; i++) drop_kept(rentals, &rentals->out.records[i]);
    for (uint32_t i = 0; i < rentals->out.n_actions && engine->failed == 0; i++)
      dk_rentals_act(rentals, &rentals->out.actions[i]);
    *event = (struct dk_rent_event){.kind = DK_RENT_EV_TICK, .unix_ns = event->unix_ns};
  } while (rentals->out.more && engine->failed == 0);
}

static void free_event(struct dk_rental_event *item) {
  dk_free(item->needs);
}

/* A copy that lives longer than what it points to. */
static int queue(struct dk_rentals *rentals, const struct dk_rent_event *event) {
  if (!dk_grow(rentals->queue, rentals->n_queue, rentals->cap_queue)) return -ENOMEM;
  struct dk_rental_event *item = &rentals->queue[rentals->n_queue];
  *item = (struct dk_rental_event){.event = *event};
  if (event->kind == DK_RENT_EV_DEMAND && event->u.demand.n) {
    item->needs = dk_calloc(event->u.demand.n, sizeof *item->needs);
    if (!item->needs) return -ENOMEM;
    memcpy(item->needs, event->u.demand.needs, event->u.demand.n * sizeof *item->needs);
  }
  if (event->kind == DK_RENT_EV_CREATED) strcpy(item->id, event->u.created.id);
  if (event->kind == DK_RENT_EV_LISTED) {
    strcpy(item->id, event->u.listed.id);
    strcpy(item->name, event->u.listed.name);
  }
  rentals->n_queue++;
  return 0;
}

static bool is_paid(const struct dk_cloud_entry *entry) {
  for (uint32_t i = 0; i < entry->n_shapes; i++)
    if (entry->shapes[i].price != UINT64_MAX && entry->shapes[i].price > 0) return true;
  return false;
}

/* As it is configured by now. */
static struct dk_rent_pool pool_of(const struct dk_rental_pool *pool) {
  const struct dk_cloud_entry *entry = pool->entry;

  return (struct dk_rent_pool){.number = pool->number,
                               .name = pool->name,
                               .order = pool->order,
                               .max_instances = entry->max_instances,
                               .idle_ns = entry->idle_ns,
                               .boot_ns = entry->boot_ns,
                               .lag_ns = entry->provider->cloud->lag_ns,
                               .is_paid = is_paid(entry),
                               .shapes = pool->shapes,
                               .n_shapes = entry->n_shapes};
}

static struct dk_rent_event *pointed(const struct dk_rentals *rentals, struct dk_rental_event *item) {
  if (item->event.kind == DK_RENT_EV_POOL) {
    item->pool = pool_of(rentals->pools[item->event.pool]);
    item->event.u.configured = &item->pool;
  }
  if (item->event.kind == DK_RENT_EV_DEMAND) item->event.u.demand.needs = item->needs;
  if (item->event.kind == DK_RENT_EV_CREATED) item->event.u.created.id = item->id;
  if (item->event.kind == DK_RENT_EV_LISTED) {
    item->event.u.listed.id = item->id;
    item->event.u.listed.name = item->name;
  }
  return &item->event;
}

/* Not now: who tells may be in the middle of a host that a step gives back. */
void dk_rentals_tell(struct dk_rentals *rentals, const struct dk_rent_event *event) {
  if (queue(rentals, event) < 0) dk_engine_fail(rentals->engine, -ENOMEM, NULL);
}

/* What is done may bring more, which is behind it. */
static void drain(struct dk_rentals *rentals) {
  for (uint32_t i = 0; i < rentals->n_queue; i++) {
    struct dk_rental_event item = rentals->queue[i]; /* the queue may grow, and move */
    if (rentals->engine->failed == 0) step(rentals, pointed(rentals, &item));
    free_event(&item);
  }
  rentals->n_queue = 0;
}

/* --- pools --- */

static struct dk_rental_pool *need_pool(struct dk_rentals *rentals, const char *name) {
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (strcmp(rentals->pools[i]->name, name) == 0) return rentals->pools[i];
  struct dk_rental_pool *pool = dk_calloc(1, sizeof *pool);
  if (pool) *pool = (struct dk_rental_pool){.rentals = rentals, .number = rentals->n_pools, .name = dk_strdup(name)};
  if (!pool || !pool->name || !dk_grow(rentals->pools, rentals->n_pools, rentals->cap_pools)) {
    if (pool) dk_free(pool->name);
    dk_free(pool);
    return NULL;
  }
  return rentals->pools[rentals->n_pools++] = pool;
}

static int copy_shapes(struct dk_rental_pool *pool, const struct dk_cloud_entry *entry) {
  struct dk_rent_shape *shapes = dk_calloc(entry->n_shapes + 1u, sizeof *shapes);

  if (!shapes) return -ENOMEM;
  for (uint32_t i = 0; i < entry->n_shapes; i++) {
    const struct dk_shape *of = &entry->shapes[i];
    shapes[i] = (struct dk_rent_shape){
        .cpus = of->cpus, .gpus = of->gpus, .memory = of->memory, .disk = of->disk, .price = of->price};
    if (strlen(of->name) < DK_RENT_NAME) strcpy(shapes[i].name, of->name);
    if (entry->host.leave < of->cpus) shapes[i].cpus -= entry->host.leave;
    if (entry->host.most_gpus < shapes[i].gpus) shapes[i].gpus = entry->host.most_gpus;
  }
  dk_free(pool->shapes);
  pool->shapes = shapes;
  return 0;
}

/* Makes engine/rent forget what stopped the pool, too. */
static void tell_pool(const struct dk_rental_pool *pool) {
  dk_rentals_tell(pool->rentals, &(struct dk_rent_event){.kind = DK_RENT_EV_POOL, .pool = pool->number});
}

/* Configured as this entry says, and at work? */
static struct dk_rental_pool *find_same(const struct dk_rentals *rentals, const struct dk_cloud_entry *entry) {
  for (uint32_t i = 0; i < rentals->n_pools; i++) {
    struct dk_rental_pool *pool = rentals->pools[i];
    if (pool->is_open && !pool->is_barred && dk_cloud_entry_equal(pool->entry, entry)) return pool;
  }
  return NULL;
}

bool dk_rentals_are_applied(const struct dk_rentals *rentals, const struct dk_hosts *hosts) {
  uint32_t n_named = 0;

  for (uint32_t i = 0; i < rentals->n_pools; i++) n_named += rentals->pools[i]->is_named;
  for (uint32_t i = 0; i < hosts->n_clouds; i++)
    if (!find_same(rentals, &hosts->clouds[i])) return false;
  return n_named == hosts->n_clouds;
}

static int configure(struct dk_rentals *rentals, const struct dk_cloud_entry *entry, int32_t order,
                     struct dk_error *error) {
  struct dk_engine *engine = rentals->engine;
  struct dk_rental_pool *pool = need_pool(rentals, entry->config.provider);
  struct dk_cloud_options options = {.config = entry->config, .loop = engine->with.loop, .seed = engine->incarnation};
  struct dk_cloud *cloud = NULL;

  if (!pool) return dk_error_system(error, -ENOMEM, "reading the providers");
  memcpy(options.store, engine->store_id, sizeof options.store);
  int r = entry->provider->cloud->open(&options, &cloud, error);
  if (r < 0) return r;
  if (copy_shapes(pool, entry) < 0) {
    entry->provider->cloud->close(cloud);
    return dk_error_system(error, -ENOMEM, "reading the providers");
  }
  dk_rentals_close_cloud(pool);
  pool->cloud = cloud;
  pool->entry = entry;
  pool->is_named = pool->is_open = true;
  pool->is_barred = false;
  pool->order = order;
  tell_pool(pool);
  return 0;
}

void dk_rentals_wanted(struct dk_rentals *rentals) {
  if (!rentals->was_released) return;
  rentals->was_released = false;
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (dk_rentals_cloud(rentals, i)) tell_pool(rentals->pools[i]);
}

static void stop(struct dk_rentals *rentals, struct dk_rental_pool *pool) {
  pool->is_open = false;
  dk_rentals_tell(rentals, &(struct dk_rent_event){.kind = DK_RENT_EV_POOL_REMOVED, .pool = pool->number});
}

int dk_rentals_apply(struct dk_rentals *rentals, const struct dk_hosts *hosts, struct dk_error *error) {
  int r = 0;

  for (uint32_t i = 0; i < rentals->n_pools; i++) rentals->pools[i]->is_named = false;
  for (uint32_t i = 0; r == 0 && i < hosts->n_clouds; i++) {
    struct dk_rental_pool *same = find_same(rentals, &hosts->clouds[i]);
    if (same)
      same->is_named = true; /* what is under way there goes on */
    else
      r = configure(rentals, &hosts->clouds[i], (int32_t)i, error);
  }
  for (uint32_t i = 0; r == 0 && i < rentals->n_pools; i++)
    if (!rentals->pools[i]->is_named && rentals->pools[i]->is_open) stop(rentals, rentals->pools[i]);
  rentals->look_at = 0;
  return r;
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
    dk_error_set(&words, 0, "run %u is ended: no host can be given its tasks", engine->runs[i]->record.number);
    dk_engine_say(engine, words.text);
    if (dk_engine_ask(engine, engine->runs[i]->record.number, &end, &error) < 0)
      dk_engine_fail(engine, error.code, &error);
  }
}

void dk_rentals_bar(struct dk_rentals *rentals, const struct dk_engine_host *host) {
  const struct dk_rental *machine = dk_rentals_machine_of(rentals, host);

  if (!machine || !machine->pool || machine->pool->is_barred) return;
  machine->pool->is_barred = true;
  stop(rentals, machine->pool);
  if (!dk_rentals_are_open(rentals)) end_runs(rentals->engine);
}

/* --- the door --- */

static int recall(struct dk_rentals *rentals, struct dk_error *error) {
  struct dk_rent_record *records = NULL;
  uint32_t n = 0;

  int r = dk_store_load_rented(rentals->engine->with.folder->store, &records, &n, error);
  if (r < 0) return r;
  r = dk_rent_load(rentals->rent, records, n);
  dk_free(records);
  return r < 0 ? dk_error_system(error, r, "reading what machines there are") : 0;
}

static int init(struct dk_rentals *rentals, struct dk_error *error) {
  struct dk_engine *engine = rentals->engine;
  struct dk_rent_policy policy;
  dk_autobuf folder = DK_BUF_INIT;

  dk_buf_printf(&folder, "%s/rented", engine->with.folder->path);
  rentals->folder = dk_buf_steal(&folder);
  dk_rent_policy_default(&policy);
  policy.list_soon_ns = LIST_SOON_NS;
  policy.again_ns = LIST_SOON_NS; /* of a cloud whose lists are behind the pool's lag is what counts */
  int r = rentals->folder
              ? dk_rent_create(&rentals->rent, &policy, engine->store_id, engine->incarnation, engine->incarnation)
              : -ENOMEM;
  return r < 0 ? dk_error_system(error, r, "starting the engine") : recall(rentals, error);
}

int dk_rentals_create(struct dk_engine *engine, struct dk_rentals **ret, struct dk_error *error) {
  struct dk_rentals *rentals = dk_calloc(1, sizeof *rentals);

  *ret = NULL;
  if (!rentals) return dk_error_system(error, -ENOMEM, "starting the engine");
  rentals->engine = engine;
  int r = init(rentals, error);
  if (r < 0) {
    dk_rentals_destroy(rentals);
    return r;
  }
  *ret = rentals;
  return 0;
}

void dk_rentals_destroy(struct dk_rentals *rentals) {
  if (!rentals) return;
  for (uint32_t i = 0; i < rentals->n_pools; i++) {
    struct dk_rental_pool *pool = rentals->pools[i];
    dk_rentals_free_calls(pool);
    dk_free(pool->shapes);
    dk_free(pool->name);
    dk_free(pool);
  }
  dk_free(rentals->pools);
  dk_rentals_free_machines(rentals);
  for (uint32_t i = 0; i < rentals->n_queue; i++) free_event(&rentals->queue[i]);
  dk_free(rentals->queue);
  dk_rent_out_finish(&rentals->out);
  dk_rent_destroy(rentals->rent);
  dk_free(rentals->folder);
  dk_free(rentals);
}

uint64_t dk_rentals_deadline(const struct dk_rentals *rentals) {
  uint64_t at = rentals->n_queue > 0 ? 0 : dk_rent_deadline(rentals->rent);
  bool is_watched = rentals->engine->n_runs > 0 || rentals->n_machines > 0;

  if (is_watched && rentals->n_pools > 0 && rentals->look_at < at) at = rentals->look_at;
  for (uint32_t i = 0; i < rentals->n_pools; i++) {
    const struct dk_rental_pool *pool = rentals->pools[i];
    uint64_t cloud = pool->cloud ? pool->entry->provider->cloud->deadline(pool->cloud) : UINT64_MAX;
    if (cloud < at) at = cloud;
  }
  return at;
}

/* A gap is told before whatever was heard behind it. */
void dk_rentals_tick(struct dk_rentals *rentals, uint64_t now_ns) {
  struct dk_rent_event gap = {.kind = DK_RENT_EV_GAP};

  if (rentals->looked_at && now_ns - rentals->looked_at > GAP_NS) step(rentals, &gap);
  rentals->looked_at = now_ns;
  for (uint32_t i = 0; i < rentals->n_pools; i++) {
    struct dk_rental_pool *pool = rentals->pools[i];
    if (pool->cloud && now_ns >= pool->entry->provider->cloud->deadline(pool->cloud))
      pool->entry->provider->cloud->tick(pool->cloud, now_ns);
  }
  if (rentals->n_pools > 0 && now_ns >= rentals->look_at) {
    rentals->look_at = now_ns + LOOK_NS;
    dk_rentals_look_at_loads(rentals, now_ns);
    dk_rentals_look_at_demand(rentals);
  }
  if (now_ns >= dk_rent_deadline(rentals->rent))
    dk_rentals_tell(rentals, &(struct dk_rent_event){.kind = DK_RENT_EV_TICK});
  drain(rentals);
}

uint32_t dk_rentals_count(const struct dk_rentals *rentals) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (rentals->pools[i]->cloud) n += dk_rent_count(rentals->rent, i);
  return n;
}

/* A machine is asked to go as soon as that is recorded: what is not under way any more was answered. */
bool dk_rentals_are_leaving(const struct dk_rentals *rentals) {
  if (rentals->n_queue > 0) return false;
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (rentals->pools[i]->calls) return false;
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++)
    if (dk_rent_at(rentals->rent, i)->state != DK_RENT_ENDING) return false;
  return true;
}

bool dk_rentals_owns(const struct dk_rentals *rentals, uint32_t host) {
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++)
    if (dk_rent_at(rentals->rent, i)->host == host) return true;
  return false;
}

/* --- people --- */

static void release(struct dk_rentals *rentals, uint32_t number, uint32_t pool, bool is_hard) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_RELEASE, .number = number, .pool = pool};

  event.u.release.is_hard = is_hard;
  rentals->was_released = true;
  dk_rentals_tell(rentals, &event);
}

int dk_rentals_release(struct dk_rentals *rentals, const char *name, bool is_hard, struct dk_error *error) {
  if (!name) {
    release(rentals, DK_RENT_ALL, UINT32_MAX, is_hard);
    return 0;
  }
  for (uint32_t i = 0; i < rentals->n_pools; i++) {
    if (strcmp(rentals->pools[i]->name, name) != 0) continue;
    release(rentals, DK_RENT_ALL, i, is_hard);
    return 0;
  }
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++) {
    const struct dk_rented *rented = dk_rent_at(rentals->rent, i);
    char own[DK_RENT_NAME + 12];
    dk_rentals_name(rented->pool, rented->number, own, sizeof own);
    if (strcmp(own, name) != 0) continue;
    release(rentals, rented->number, UINT32_MAX, is_hard);
    return 0;
  }
  return dk_error_set(error, -ENOENT, "there is no rented machine or provider `%s`\nhelp: `dkrun instances` lists them",
                      name);
}

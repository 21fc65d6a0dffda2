/* See rentals.h. Here: the steps, and the door. */
#include "engine/drive/money.h"
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

/* The keys of a machine that the cloud has no more are of no use; they go before its record, by which alone the next
 * engine would know whose they are. */
static void drop_keys(const struct dk_rentals *rentals, const struct dk_rent_record *record) {
  char name[DK_RENT_NAME + 12];

  if (record->kind != DK_RENT_REC_RENTED || !record->del) return;
  dk_rentals_name(record->rented.pool, record->rented.number, name, sizeof name);
  dk_rentals_remove_keys(rentals, name);
}

static void forget_gone(struct dk_rentals *rentals, const struct dk_rent_record *record) {
  if (record->kind == DK_RENT_REC_RENTED && record->del) dk_rentals_forget(rentals, record->rented.number);
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
    for (uint32_t i = 0; r == 0 && i < rentals->out.n_records; i++) drop_keys(rentals, &rentals->out.records[i]);
    if (r == 0) r = commit(rentals, &error);
    if (r < 0) {
      dk_engine_fail(engine, r, &error);
      return;
    }
    for (uint32_t i = 0; i < rentals->out.n_records; i++) forget_gone(rentals, &rentals->out.records[i]);
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

static struct dk_rent_event *pointed(const struct dk_rentals *rentals, struct dk_rental_event *item) {
  if (item->event.kind == DK_RENT_EV_POOL) {
    item->pool = dk_rentals_configured(rentals->pools[item->event.pool]);
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
    dk_rentals_free_pool(pool);
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
    uint64_t image = dk_rentals_image_deadline(pool);
    if (cloud < at) at = cloud;
    if (image < at) at = image;
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
    if (now_ns >= dk_rentals_image_deadline(pool)) dk_rentals_image_tick(pool, now_ns);
  }
  if (rentals->n_pools > 0 && now_ns >= rentals->look_at) {
    rentals->look_at = now_ns + LOOK_NS;
    dk_rentals_look_at_loads(rentals, now_ns);
    dk_money_look(rentals->engine);
    dk_rentals_look_at_demand(rentals, now_ns);
  }
  if (now_ns >= dk_rent_deadline(rentals->rent))
    dk_rentals_tell(rentals, &(struct dk_rent_event){.kind = DK_RENT_EV_TICK});
  drain(rentals);
  if (rentals->is_to_say_left) dk_rentals_say_left(rentals);
  rentals->is_to_say_left = false;
}

uint32_t dk_rentals_count(const struct dk_rentals *rentals) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (rentals->pools[i]->cloud) n += dk_rent_count(rentals->rent, i);
  return n;
}

bool dk_rentals_are_leaving(const struct dk_rentals *rentals) {
  if (rentals->n_queue > 0) return false;
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (rentals->pools[i]->calls) return false;
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++) {
    const struct dk_rented *rented = dk_rent_at(rentals->rent, i);
    if (dk_rentals_can_ask(rentals, rented) && !dk_rent_is_going(rentals->rent, rented->number)) return false;
  }
  return true;
}

bool dk_rentals_owns(const struct dk_rentals *rentals, uint32_t host) {
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++)
    if (dk_rent_at(rentals->rent, i)->host == host) return true;
  return false;
}

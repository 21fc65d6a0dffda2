/* See fetch.h. Here: who waits for what, and what becomes of orders. */
#include "engine/agent/fetch_private.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NONE UINT32_MAX

int dk_fetch_create(struct dk_fetch **ret, dk_fetch_say_fn *say, void *ctx) {
  struct dk_fetch *f = dk_calloc(1, sizeof *f);
  if (!f) return -ENOMEM;
  f->say = say;
  f->ctx = ctx;
  f->objects.fd = -1;
  f->free = NONE;
  dk_map_init(&f->map, NULL);
  *ret = f;
  return 0;
}

static void finish_lacked(struct lacked *lacked) {
  if (lacked->partial) dk_partial_finish(lacked->partial);
  dk_free(lacked->partial);
  dk_free(lacked->waiters);
  *lacked = (struct lacked){.next = NONE};
}

static void finish_order(struct order *order) {
  dk_free(order->needs);
  dk_free(order->text);
  *order = (struct order){.phase = ORDER_FREE};
}

void dk_fetch_destroy(struct dk_fetch *f) {
  if (!f) return;
  for (uint32_t i = 0; i < f->n_lacked; i++) finish_lacked(&f->lacked[i]);
  for (uint32_t i = 0; i < f->n_trees; i++) dk_fetch_finish_tree(&f->trees[i]);
  for (uint32_t i = 0; i < f->n_orders; i++) finish_order(&f->orders[i]);
  dk_free(f->lacked);
  dk_free(f->trees);
  dk_free(f->orders);
  dk_free(f->looking);
  dk_free(f->reading);
  dk_map_finish(&f->map);
  dk_objects_close(&f->objects);
  dk_free(f);
}

/* What a power loss damaged goes before anybody takes it for an object. */
int dk_fetch_open(struct dk_fetch *f, const char *path, struct dk_error *error) {
  if (f->objects.root) return 0;
  uint64_t since;
  int r = dk_objects_open(&f->objects, path, true, error);
  if (r == 0) r = dk_objects_settle(&f->objects, &since, error);
  if (r == 0 && since != UINT64_MAX) r = dk_objects_sync(&f->objects, error);
  if (r < 0) dk_objects_close(&f->objects);
  return r;
}

const struct dk_objects *dk_fetch_objects(const struct dk_fetch *f) {
  return f->objects.root ? &f->objects : NULL;
}

void dk_fetch_sync(struct dk_fetch *f) {
  if (f->is_dirty && dk_objects_sync(&f->objects, NULL) == 0) f->is_dirty = false;
}

enum dk_refusal dk_fetch_refusal(int code) {
  return code == -ENOMEM || dk_error_is_limit(code) ? DK_REFUSED_BUSY : DK_REFUSED_DISK;
}

/* Objects. */

static uint64_t hash_of(const struct dk_digest *digest) {
  uint64_t hash;
  memcpy(&hash, digest->bytes, sizeof hash);
  return hash;
}

static bool is_same(const void *ctx, uint32_t item, const void *key) {
  const struct dk_fetch *f = ctx;
  return f->lacked[item].is_live && dk_digest_equal(&f->lacked[item].digest, key);
}

struct lacked *dk_fetch_find(const struct dk_fetch *f, const struct dk_digest *digest) {
  uint32_t i = dk_map_find(&f->map, hash_of(digest), is_same, f, digest);
  return i == DK_MAP_NONE ? NULL : &f->lacked[i];
}

/* The map cannot remove, so entries of freed ones stay until they are more than those of living ones. */
static int rebuild_map(struct dk_fetch *f) {
  dk_map_clear(&f->map);
  f->n_stale = 0;
  int r = 0;
  for (uint32_t i = 0; r == 0 && i < f->n_lacked; i++) {
    if (f->lacked[i].is_live) r = dk_map_add(&f->map, hash_of(&f->lacked[i].digest), i);
  }
  return r;
}

static int add_lacked(struct dk_fetch *f, const struct dk_digest *digest, uint32_t *ret) {
  int r = f->n_stale > f->n_live + 64 ? rebuild_map(f) : 0;
  if (r < 0) return r;
  uint32_t at = f->free;
  if (at == NONE) {
    if (!dk_grow(f->lacked, f->n_lacked, f->cap_lacked)) return -ENOMEM;
    at = f->n_lacked;
    f->lacked[at] = (struct lacked){.next = NONE};
  }
  r = dk_map_add(&f->map, hash_of(digest), at);
  if (r < 0) return r;
  if (at == f->free)
    f->free = f->lacked[at].next;
  else
    f->n_lacked++;
  f->lacked[at] = (struct lacked){.digest = *digest, .is_live = true, .next = NONE};
  f->n_live++;
  *ret = at;
  return 0;
}

static void drop_lacked(struct dk_fetch *f, struct lacked *lacked) {
  finish_lacked(lacked);
  lacked->next = f->free;
  f->free = (uint32_t)(lacked - f->lacked);
  f->n_live--;
  f->n_stale++;
}

static uint32_t find_waiter(const struct lacked *lacked, struct waiter waiter) {
  for (uint32_t i = 0; i < lacked->n_waiters; i++) {
    if (lacked->waiters[i].at == waiter.at && lacked->waiters[i].is_tree == waiter.is_tree) return i;
  }
  return NONE;
}

int dk_fetch_need(struct dk_fetch *f, const struct dk_digest *digest, struct waiter waiter, uint32_t *ret_at,
                  bool *ret_is_new) {
  struct lacked *lacked = dk_fetch_find(f, digest);
  bool is_first = !lacked;
  *ret_is_new = false;
  if (is_first) {
    if (dk_objects_has(&f->objects, digest, NULL)) return 1;
    int r = add_lacked(f, digest, ret_at);
    if (r < 0) return r;
    lacked = &f->lacked[*ret_at];
  }
  *ret_at = (uint32_t)(lacked - f->lacked);
  if (find_waiter(lacked, waiter) != NONE) return 0;
  int r = dk_grow(lacked->waiters, lacked->n_waiters, lacked->cap_waiters) ? 0 : -ENOMEM;
  if (r == 0) lacked->waiters[lacked->n_waiters++] = waiter;
  if (r == 0 && is_first) r = dk_fetch_begin(f, *ret_at);
  if (r < 0 && is_first) drop_lacked(f, lacked);
  *ret_is_new = r == 0;
  return r;
}

void dk_fetch_leave(struct dk_fetch *f, uint32_t at, struct waiter waiter) {
  struct lacked *lacked = &f->lacked[at];
  uint32_t i = lacked->is_live ? find_waiter(lacked, waiter) : NONE;
  if (i == NONE) return;
  lacked->waiters[i] = lacked->waiters[--lacked->n_waiters];
  if (lacked->n_waiters == 0) drop_lacked(f, lacked);
}

void dk_fetch_arrived(struct dk_fetch *f, struct lacked *lacked) {
  dk_autofree struct waiter *waiters = lacked->waiters;
  uint32_t n = lacked->n_waiters;
  lacked->waiters = NULL;
  drop_lacked(f, lacked);
  for (uint32_t i = 0; i < n; i++) {
    if (waiters[i].is_tree)
      dk_fetch_tree_has(f, waiters[i].at);
    else
      dk_fetch_order_has(f, waiters[i].at);
  }
}

void dk_fetch_fail(struct dk_fetch *f, struct lacked *lacked, enum dk_refusal reason, const char *text) {
  uint32_t at = (uint32_t)(lacked - f->lacked);
  struct dk_digest digest = lacked->digest;
  /* Each that fails leaves it; the last one takes it away. */
  while (f->lacked[at].is_live && dk_digest_equal(&f->lacked[at].digest, &digest)) {
    struct waiter waiter = f->lacked[at].waiters[0];
    if (waiter.is_tree)
      dk_fetch_fail_tree(f, waiter.at, reason, text);
    else
      dk_fetch_order_fails(f, waiter.at, reason, text);
  }
}

/* Orders. */

static struct order *add_order(struct dk_fetch *f, struct dk_id id, uint32_t n_needs) {
  uint32_t at = 0;
  while (at < f->n_orders && f->orders[at].phase != ORDER_FREE) at++;
  if (at == f->n_orders) {
    if (!dk_grow(f->orders, f->n_orders, f->cap_orders)) return NULL;
    f->orders[f->n_orders++] = (struct order){.phase = ORDER_FREE};
  }
  struct waiter *needs = dk_calloc(n_needs + 1, sizeof *needs);
  if (!needs) return NULL;
  f->orders[at] = (struct order){.id = id, .phase = ORDER_WAITING, .needs = needs};
  return &f->orders[at];
}

/* It waits for nothing any more. */
static void leave_all(struct dk_fetch *f, uint32_t at) {
  struct order *order = &f->orders[at];
  for (uint32_t i = 0; i < order->n_needs; i++) {
    if (order->needs[i].is_tree)
      dk_fetch_leave_tree(f, order->needs[i].at, at);
    else
      dk_fetch_leave(f, order->needs[i].at, (struct waiter){at, false});
  }
  order->n_needs = 0;
}

static void decide(struct dk_fetch *f, uint32_t at, enum dk_refusal reason, const char *text) {
  struct order *order = &f->orders[at];
  if (order->phase != ORDER_WAITING) return;
  order->phase = ORDER_DECIDED;
  order->is_here = text == NULL;
  order->reason = reason;
  order->text = text ? dk_strdup(text) : NULL;
  f->n_decided++;
  leave_all(f, at);
}

void dk_fetch_order_has(struct dk_fetch *f, uint32_t at) {
  assert(f->orders[at].phase != ORDER_FREE && f->orders[at].missing > 0);
  if (--f->orders[at].missing == 0) decide(f, at, DK_REFUSED_BAD, NULL);
}

void dk_fetch_order_fails(struct dk_fetch *f, uint32_t at, enum dk_refusal reason, const char *text) {
  decide(f, at, reason, text);
}

int dk_fetch_order(struct dk_fetch *f, struct dk_id id, const struct dk_job *job) {
  f->is_dirty = true;
  struct order *order = add_order(f, id, job->n_inputs);
  if (!order) return -ENOMEM;
  uint32_t at = (uint32_t)(order - f->orders);
  order->missing = 1; /* until all is looked at */
  int r = 0;
  for (uint32_t i = 0; r >= 0 && i < job->n_inputs; i++) {
    const struct dk_job_input *input = &job->inputs[i];
    struct waiter need = {0, input->is_dir};
    bool is_new;
    if (input->from) continue; /* it has a path here already */
    if (input->is_dir)
      r = dk_fetch_need_tree(f, &input->digest, at, &need.at, &is_new);
    else
      r = dk_fetch_need(f, &input->digest, (struct waiter){at, false}, &need.at, &is_new);
    if (r != 0 || !is_new) continue;
    order->needs[order->n_needs++] = need;
    order->missing++;
  }
  if (r < 0)
    dk_fetch_forget(f, id);
  else
    dk_fetch_order_has(f, at);
  return r < 0 ? r : 0;
}

void dk_fetch_forget(struct dk_fetch *f, struct dk_id id) {
  for (uint32_t i = 0; i < f->n_orders; i++) {
    if (f->orders[i].phase == ORDER_FREE || !dk_id_equal(f->orders[i].id, id)) continue;
    f->n_decided -= f->orders[i].phase == ORDER_DECIDED;
    leave_all(f, i);
    finish_order(&f->orders[i]);
    return;
  }
}

bool dk_fetch_next(struct dk_fetch *f, struct dk_fate *ret) {
  for (uint32_t i = 0; f->n_decided > 0 && i < f->n_orders; i++) {
    struct order *order = &f->orders[i];
    if (order->phase != ORDER_DECIDED) continue;
    *ret = (struct dk_fate){.id = order->id, .is_here = order->is_here, .reason = order->reason};
    snprintf(ret->text, sizeof ret->text, "%s", order->text ? order->text : "");
    finish_order(order);
    f->n_decided--;
    return true;
  }
  return false;
}

void dk_fetch_new_session(struct dk_fetch *f) {
  for (uint32_t i = 0; i < f->n_lacked; i++) f->lacked[i].is_said = false;
}

void dk_fetch_say(struct dk_fetch *f) {
  for (uint32_t i = 0; i < f->n_lacked; i++) {
    if (f->lacked[i].is_live) dk_fetch_ask(f, &f->lacked[i]);
  }
}

/* What takes long. */

bool dk_fetch_has_work(const struct dk_fetch *f) {
  return f->n_looking > 0 || f->n_reading > 0;
}

bool dk_fetch_work(struct dk_fetch *f, uint64_t until_ns) {
  while (dk_fetch_has_work(f)) {
    if (f->n_looking > 0)
      dk_fetch_look(f);
    else
      dk_fetch_read(f);
    if (dk_now_ns() >= until_ns) break;
  }
  return dk_fetch_has_work(f);
}

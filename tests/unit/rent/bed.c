/* See bed.h. */
#include "tests/unit/rent/bed.h"

#include <stdlib.h>

static const uint8_t store[16] = {0xab, 1, 2, 3, 4, 5, 6, 7, 8};

void bed_open(struct bed *bed) {
  memset(bed, 0, sizeof *bed);
  bed->now = 1000 * SECOND;
  dk_rent_policy_default(&bed->policy);
  assert_int_equal(dk_rent_create(&bed->rent, &bed->policy, store, 7, 1), 0);
}

void bed_close(struct bed *bed) {
  dk_rent_destroy(bed->rent);
  dk_rent_out_finish(&bed->out);
}

void bed_restart(struct bed *bed) {
  struct dk_digest before, after;
  dk_rent_digest(bed->rent, &before);
  dk_rent_destroy(bed->rent);
  memset(bed->listing, 0, sizeof bed->listing);
  assert_int_equal(dk_rent_create(&bed->rent, &bed->policy, store, 8, 1), 0);
  struct dk_rent_record record = {.kind = DK_RENT_REC_TAKEN, .taken = bed->taken};
  assert_int_equal(dk_rent_load(bed->rent, &record, 1), 0);
  for (uint32_t i = 0; i < bed->spent.n; i++) {
    record = (struct dk_rent_record){.kind = DK_RENT_REC_SPENT, .spent = bed->spent.items[i]};
    assert_int_equal(dk_rent_load(bed->rent, &record, 1), 0);
  }
  for (uint32_t i = bed->n_kept; i > 0; i--) {
    record = (struct dk_rent_record){.rented = bed->kept[i - 1]};
    assert_int_equal(dk_rent_load(bed->rent, &record, 1), 0);
  }
  dk_rent_digest(bed->rent, &after);
  assert_true(dk_digest_equal(&before, &after));
}

static void keep(struct bed *bed, const struct dk_rent_record *record) {
  uint32_t i = 0;
  if (record->kind == DK_RENT_REC_TAKEN) {
    bed->taken = record->taken;
    return;
  }
  if (record->kind == DK_RENT_REC_SPENT) {
    uint64_t was = dk_purse_of(&bed->spent, record->spent.currency);
    assert_true(record->spent.micro > was);
    dk_purse_add(&bed->spent, record->spent.currency, record->spent.micro - was);
    return;
  }
  while (i < bed->n_kept && bed->kept[i].number != record->rented.number) i++;
  if (record->del) {
    if (i < bed->n_kept) bed->kept[i] = bed->kept[--bed->n_kept];
    return;
  }
  if (i == bed->n_kept) bed->n_kept++;
  assert_true(i < 64);
  bed->kept[i] = record->rented;
}

void bed_give(struct bed *bed, struct dk_rent_event event) {
  struct dk_error error = {0};
  dk_rent_out_clear(&bed->out);
  bed->seq++;
  event.unix_ns = BED_UNIX + bed->now;
  uint32_t times = 0;
  do {
    assert_int_equal(dk_rent_step(bed->rent, bed->now, bed->seq, &event, &bed->out), 0);
    event = (struct dk_rent_event){.kind = DK_RENT_EV_TICK, .unix_ns = event.unix_ns};
    assert_true(++times < 1000);
  } while (bed->out.more);
  if (dk_rent_check(bed->rent, &error) < 0) fail_msg("%s", error.text);
  for (uint32_t i = 0; i < bed->out.n_records; i++) keep(bed, &bed->out.records[i]);
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    const struct dk_rent_action *action = &bed->out.actions[i];
    if (action->kind == DK_RENT_LIST) bed->listing[action->pool] = action->serial;
    if (action->kind != DK_RENT_TELL) continue;
    bed->n_told[action->tell]++;
    bed->count_told[action->tell] = action->count;
  }
}

void bed_wait(struct bed *bed, uint64_t ns) {
  uint64_t until = bed->now + ns;
  uint32_t times = 0;
  while (bed->now < until) {
    uint64_t at = dk_rent_deadline(bed->rent);
    assert_true(++times < 100000);
    bed->now = at > until ? until : at > bed->now ? at : bed->now;
    bed_give(bed, (struct dk_rent_event){.kind = DK_RENT_EV_TICK});
    if (bed_find(bed, DK_RENT_CREATE) || bed_find(bed, DK_RENT_DELETE) || bed_find(bed, DK_RENT_TELL)) return;
  }
}

const struct dk_rent_action *bed_find(const struct bed *bed, enum dk_rent_action_kind kind) {
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    if (bed->out.actions[i].kind == kind) return &bed->out.actions[i];
  }
  return NULL;
}

const struct dk_rent_action *bed_told(const struct bed *bed, enum dk_rent_tell tell) {
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    if (bed->out.actions[i].kind == DK_RENT_TELL && bed->out.actions[i].tell == tell) return &bed->out.actions[i];
  }
  return NULL;
}

uint32_t bed_count(const struct bed *bed, enum dk_rent_action_kind kind) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < bed->out.n_actions; i++) n += bed->out.actions[i].kind == kind;
  return n;
}

const struct dk_rented *bed_kept(const struct bed *bed, uint32_t number) {
  for (uint32_t i = 0; i < bed->n_kept; i++) {
    if (bed->kept[i].number == number) return &bed->kept[i];
  }
  return NULL;
}

/* --- events --- */

struct dk_rent_pool bed_pool(uint32_t number, const struct dk_rent_shape *shapes, uint32_t n_shapes) {
  static const char *const names[] = {"none", "one", "two", "three"};
  return (struct dk_rent_pool){.number = number,
                               .name = names[number],
                               .where = "there",
                               .max_instances = 4,
                               .idle_ns = 5 * MINUTE,
                               .boot_ns = 4 * MINUTE,
                               .lag_ns = MINUTE,
                               .shapes = shapes,
                               .n_shapes = n_shapes};
}

void bed_configure(struct bed *bed, const struct dk_rent_pool *pool) {
  bed_give(bed, (struct dk_rent_event){.kind = DK_RENT_EV_POOL, .u.configured = pool});
}

void bed_demand(struct bed *bed, uint32_t cpus, uint32_t n) {
  const struct dk_rent_need need = {.cpus = cpus, .n = n, .may_pay = true};
  struct dk_rent_event event = {.kind = DK_RENT_EV_DEMAND};
  event.u.demand.needs = &need;
  event.u.demand.n = 1;
  bed_give(bed, event);
}

void bed_created(struct bed *bed, uint32_t number) {
  char id[32];
  snprintf(id, sizeof id, "i-%u", number);
  bed_give(bed, (struct dk_rent_event){.kind = DK_RENT_EV_CREATED, .number = number, .u.created = {id}});
}

void bed_failed(struct bed *bed, uint32_t number, enum dk_rent_refusal reason) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_CREATE_FAILED, .number = number};
  event.u.failed.reason = reason;
  bed_give(bed, event);
}

void bed_doubt(struct bed *bed, uint32_t number) {
  bed_give(bed, (struct dk_rent_event){.kind = DK_RENT_EV_CREATE_DOUBT, .number = number});
}

void bed_up(struct bed *bed, uint32_t number) {
  bed_give(bed, (struct dk_rent_event){.kind = DK_RENT_EV_AGENT_UP, .number = number});
}

void bed_load(struct bed *bed, uint32_t number, uint32_t tasks, uint32_t unsaved) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_LOAD, .number = number};
  event.u.load.tasks = tasks;
  event.u.load.unsaved = unsaved;
  bed_give(bed, event);
}

void bed_release(struct bed *bed, uint32_t number, bool is_hard) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_RELEASE, .number = number, .pool = UINT32_MAX};
  event.u.release.is_hard = is_hard;
  bed_give(bed, event);
}

uint32_t bed_asked(struct bed *bed, uint32_t pool) {
  for (uint32_t times = 0; times < 1000 && !bed->listing[pool]; times++) {
    uint64_t at = dk_rent_deadline(bed->rent);
    assert_true(at != UINT64_MAX);
    if (at > bed->now) bed->now = at;
    bed_give(bed, (struct dk_rent_event){.kind = DK_RENT_EV_TICK});
  }
  assert_true(bed->listing[pool] != 0);
  return bed->listing[pool];
}

void bed_answer(struct bed *bed, uint32_t pool, uint32_t serial, bool is_complete, const struct bed_row *rows,
                uint32_t n) {
  if (serial == bed->listing[pool]) bed->listing[pool] = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct dk_rent_event event = {.kind = DK_RENT_EV_LISTED, .pool = pool};
    event.u.listed.serial = serial;
    event.u.listed.id = rows[i].id;
    event.u.listed.name = rows[i].name ? rows[i].name : "";
    event.u.listed.seen = rows[i].seen;
    event.u.listed.age_ns = rows[i].age_ns;
    event.u.listed.is_ours = rows[i].is_ours;
    bed_give(bed, event);
  }
  struct dk_rent_event end = {.kind = DK_RENT_EV_LIST_END, .pool = pool};
  end.u.list_end.serial = serial;
  end.u.list_end.is_complete = is_complete;
  bed_give(bed, end);
}

void bed_list(struct bed *bed, uint32_t pool, const struct bed_row *rows, uint32_t n) {
  bed_answer(bed, pool, bed_asked(bed, pool), true, rows, n);
}

/* Records and actions of a step. Out of memory marks the machine as failed; the step then ends with -ENOMEM and nothing
 * that it gave may be used. */
#include "engine/rent/internal.h"
#include "lang/base/alloc.h"

bool dk_rent_emit_is_full(const struct dk_rent *rent) {
  return rent->out->n_records + rent->out->n_actions >= rent->out_limit || rent->is_failed;
}

static struct dk_rent_record *add_record(struct dk_rent *rent, enum dk_rent_record_kind kind) {
  struct dk_rent_out *out = rent->out;
  struct dk_rent_record *record = &rent->no_record;
  if (dk_grow(out->records, out->n_records, out->cap_records)) {
    record = &out->records[out->n_records++];
  } else {
    rent->is_failed = true;
  }
  *record = (struct dk_rent_record){.kind = kind};
  return record;
}

static struct dk_rent_action *add_action(struct dk_rent *rent, enum dk_rent_action_kind kind) {
  struct dk_rent_out *out = rent->out;
  struct dk_rent_action *action = &rent->no_action;
  if (dk_grow(out->actions, out->n_actions, out->cap_actions)) {
    action = &out->actions[out->n_actions++];
  } else {
    rent->is_failed = true;
  }
  *action = (struct dk_rent_action){.kind = kind, .pool = DK_RENT_NO_POOL};
  return action;
}

void dk_rent_emit_put(struct dk_rent *rent, struct dk_rent_machine *machine) {
  machine->gate = rent->seq;
  add_record(rent, DK_RENT_REC_RENTED)->rented = machine->of;
}

void dk_rent_emit_del(struct dk_rent *rent, const struct dk_rent_machine *machine) {
  struct dk_rent_record *record = add_record(rent, DK_RENT_REC_RENTED);
  record->del = true;
  record->rented = machine->of;
}

void dk_rent_emit_taken(struct dk_rent *rent) {
  add_record(rent, DK_RENT_REC_TAKEN)->taken = rent->taken;
}

void dk_rent_emit_spent(struct dk_rent *rent, const char *currency) {
  struct dk_money *spent = &add_record(rent, DK_RENT_REC_SPENT)->spent;
  dk_rent_copy(spent->currency, sizeof spent->currency, currency);
  spent->micro = dk_purse_of(&rent->spent, currency);
}

void dk_rent_emit_act(struct dk_rent *rent, enum dk_rent_action_kind kind, const struct dk_rent_machine *machine) {
  struct dk_rent_action *action = add_action(rent, kind);
  action->gate = machine->gate;
  action->number = machine->of.number;
  action->pool = dk_rent_pool_of(rent, machine)->number;
}

void dk_rent_emit_list(struct dk_rent *rent, const struct dk_rent_pool_state *pool) {
  struct dk_rent_action *action = add_action(rent, DK_RENT_LIST);
  action->pool = pool->number;
  action->serial = pool->serial;
}

void dk_rent_emit_tell(struct dk_rent *rent, enum dk_rent_tell tell, uint32_t number, uint32_t pool, uint32_t count,
                       uint64_t wait_ns) {
  struct dk_rent_action *action = add_action(rent, DK_RENT_TELL);
  action->tell = tell;
  action->number = number;
  action->pool = pool;
  action->count = count;
  action->wait_ns = wait_ns;
}

void dk_rent_out_clear(struct dk_rent_out *out) {
  out->n_records = out->n_actions = 0;
  out->more = false;
}

void dk_rent_out_finish(struct dk_rent_out *out) {
  dk_free(out->records);
  dk_free(out->actions);
  *out = (struct dk_rent_out){0};
}

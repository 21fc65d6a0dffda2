/* See money.h. */
#include "engine/drive/money.h"

#include "engine/drive/rentals_priv.h"
#include "lang/eval/quantity.h"

#include <string.h>

#define GIVE_BACK_NS (UINT64_C(60) * 1000000000u)

struct dk_purse dk_money_spent(const struct dk_engine *engine) {
  return dk_rent_spent(engine->rentals->rent, dk_unix_ns());
}

bool dk_money_may_make(const struct dk_cloud_entry *cloud, const struct dk_consent *consent) {
  for (uint32_t i = 0; i < cloud->n_shapes; i++) {
    const struct dk_shape *shape = &cloud->shapes[i];
    bool is_free = shape->price == UINT64_MAX || shape->price == 0;
    if (is_free || consent->pay == DK_PAY_ANY) return true;
    if (consent->pay == DK_PAY_UP_TO && strcmp(consent->limit.currency, shape->currency) == 0) return true;
  }
  return cloud->n_shapes == 0; /* the cloud has them, and no prices */
}

void dk_money_of_need(const struct dk_engine_run *run, struct dk_rent_need *need) {
  const struct dk_consent *consent = &run->record.consent;

  need->may_pay = consent->pay == DK_PAY_ANY || consent->pay == DK_PAY_UP_TO;
  memset(need->currency, 0, sizeof need->currency);
  if (consent->pay == DK_PAY_UP_TO) memcpy(need->currency, consent->limit.currency, sizeof need->currency);
}

/* --- limits --- */

static bool may_pay_in(const struct dk_engine_run *run, const char *currency) {
  const struct dk_consent *consent = &run->record.consent;

  if (run->is_over || run->is_cancelled) return false;
  return consent->pay == DK_PAY_ANY || (consent->pay == DK_PAY_UP_TO && strcmp(consent->limit.currency, currency) == 0);
}

static bool does_anybody_pay(const struct dk_engine *engine, const char *currency) {
  for (uint32_t i = 0; i < engine->n_runs; i++)
    if (may_pay_in(engine->runs[i], currency)) return true;
  return false;
}

/* What the machines that are there cost until they are given back. */
static uint64_t still_to_come(const struct dk_rentals *rentals, const char *currency) {
  struct dk_purse purse = {.n = 0};

  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++) {
    const struct dk_rent_shape *shape = &dk_rent_at(rentals->rent, i)->shape;
    if (shape->price != DK_RENT_NO_PRICE)
      dk_purse_add(&purse, shape->currency, dk_money_for(shape->price, GIVE_BACK_NS));
  }
  return dk_purse_of(&purse, currency);
}

static void give_back(struct dk_rentals *rentals, const char *currency, bool is_hard) {
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++) {
    const struct dk_rented *rented = dk_rent_at(rentals->rent, i);
    if (strcmp(rented->shape.currency, currency) == 0) dk_rentals_let_go(rentals, rented->number, is_hard);
  }
}

static void say_spent(struct dk_engine_run *run, uint64_t cost) {
  const struct dk_money *limit = &run->record.consent.limit;
  dk_autobuf text = DK_BUF_INIT;

  dk_buf_printf(&text, "run %u is ended: its machines have cost ", run->record.number);
  dk_quantity_money_text(limit->currency, cost, &text);
  dk_buf_add_text(&text, ", and giving them back takes what is left of ");
  dk_quantity_money_text(limit->currency, limit->micro, &text);
  dk_buf_add_text(&text, "\nhelp: results are kept; `dkrun run` with another --max-cost goes on from there");
  dk_engine_say(run->engine, dk_buf_text(&text));
}

static void end_run(struct dk_engine_run *run, uint64_t cost) {
  const struct dk_ask ask = {.kind = DK_EV_CANCEL, .is_hard = true};
  struct dk_error error = {0};

  run->is_spent = true;
  if (!run->is_cancelled) {
    say_spent(run, cost);
    int r = dk_engine_ask(run->engine, run->record.number, &ask, &error);
    if (r < 0) dk_engine_fail(run->engine, r, &error);
  }
  if (!does_anybody_pay(run->engine, run->record.consent.limit.currency))
    give_back(run->engine->rentals, run->record.consent.limit.currency, false);
}

static void look_at(struct dk_engine_run *run, const struct dk_purse *spent) {
  const struct dk_money *limit = &run->record.consent.limit;
  const struct dk_purse cost = dk_purse_since(spent, &run->record.before);
  uint64_t so_far = dk_purse_of(&cost, limit->currency), to_come = still_to_come(run->engine->rentals, limit->currency);
  bool is_at_end = so_far >= limit->micro;

  if (!run->is_spent && (is_at_end || to_come >= limit->micro - so_far)) end_run(run, so_far);
  if (run->is_spent && is_at_end && !does_anybody_pay(run->engine, limit->currency))
    give_back(run->engine->rentals, limit->currency, true);
}

void dk_money_look(struct dk_engine *engine) {
  const struct dk_purse spent = dk_money_spent(engine);

  for (uint32_t i = 0; i < engine->n_runs && engine->failed == 0; i++) {
    struct dk_engine_run *run = engine->runs[i];
    if (!run->is_over && run->record.consent.pay == DK_PAY_UP_TO) look_at(run, &spent);
  }
}

int dk_money_consent(struct dk_engine_run *run, const struct dk_consent *consent, struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_consent was = run->record.consent;

  if (consent->pay == DK_PAY_UNSAID || (consent->pay == DK_PAY_ANY && was.pay == DK_PAY_UP_TO)) return 0;
  run->record.consent = *consent;
  int r = dk_batch_put_run(&batch, &run->record);
  if (r < 0) dk_error_system(error, r, "recording what run %u may cost", run->record.number);
  if (r == 0) r = dk_store_commit(run->engine->with.folder->store, &batch, error);
  dk_batch_finish(&batch);
  if (r < 0) run->record.consent = was;
  return r;
}

/* See fleet_place.h. */
#include "engine/drive/fleet_place.h"

#include "engine/drive/engine_priv.h"
#include "engine/drive/money.h"
#include "engine/drive/pull.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

/* What is moved is taken to come at so many bytes a second, where it was never measured: 400 Mbit/s. */
#define BYTES_PER_SECOND 50000000u
#define DIRECTORY (16u << 20) /* of one only the size of its manifest is known: bytes that it is taken to have */

/* --- may it run there? --- */

/* What is known of it, for needs.h. */
static struct dk_needs_host known(const struct dk_engine_host *host) {
  bool is_remote = dk_fleet_is_remote(host);

  return (struct dk_needs_host){.machine = is_remote ? NULL : &host->engine->machine,
                                .record = is_remote ? &host->record : NULL};
}

int dk_fleet_fits(const struct dk_engine *engine, const struct dk_plan *plan, const struct dk_needs *needs,
                  const struct dk_consent *consent, struct dk_error *error) {
  uint32_t n = 0, n_pools = dk_rentals_n_pools(engine->rentals);
  const char *unpaid = NULL;
  dk_autofree struct dk_needs_host *hosts = dk_calloc(engine->n_hosts + n_pools + 1u, sizeof *hosts);

  if (!hosts) return dk_error_system(error, -ENOMEM, "looking at what tasks need");
  for (uint32_t i = 0; i < engine->n_hosts; i++)
    if (engine->hosts[i] && engine->hosts[i]->provider && !engine->hosts[i]->is_left &&
        !dk_fleet_is_twin(engine->hosts[i]))
      hosts[n++] = known(engine->hosts[i]);
  for (uint32_t i = 0; i < n_pools; i++) {
    const struct dk_cloud_entry *cloud = dk_rentals_cloud(engine->rentals, i);
    if (cloud && !dk_money_may_make(cloud, consent)) unpaid = cloud->config.provider;
    if (cloud && dk_money_may_make(cloud, consent)) hosts[n++] = (struct dk_needs_host){.cloud = cloud};
  }
  const char *barred = dk_rentals_barred(engine->rentals);
  if (n == 0 && barred)
    return dk_error_set(error, -EINVAL,
                        "no host can be given tasks: the machines of %s cannot run them\nhelp: "
                        "`dkrun providers check %s`; it is tried again when a file of providers was edited",
                        barred, barred);
  if (n == 0 && unpaid)
    return dk_error_set(
        error, -EINVAL,
        "no host can be given tasks\nhelp: machines of %s cost money, and are made with `--max-cost AMOUNT`", unpaid);
  struct dk_error why = {0};
  int r = dk_needs_check(plan, needs, hosts, n, &why);
  if (r == 0) return 0;
  return dk_error_set(error, r,
                      unpaid ? "%s\nhelp: machines of %s cost money, and are made with `--max-cost AMOUNT`" : "%s",
                      why.text, unpaid);
}

void dk_fleet_judge_runs(struct dk_engine *engine) {
  const struct dk_ask end = {.kind = DK_EV_CANCEL};

  for (uint32_t i = 0; i < engine->n_runs; i++) {
    const struct dk_engine_run *run = engine->runs[i];
    struct dk_error why = {0}, words = {0};
    if (run->is_over || run->is_cancelled ||
        dk_fleet_fits(engine, run->plan, &run->needs, &run->record.consent, &why) != -EINVAL)
      continue;
    dk_error_set(&words, -EINVAL, "run %u is ended: %s", run->record.number, why.text);
    dk_engine_say(engine, words.text);
    if (dk_engine_ask(engine, run->record.number, &end, &why) < 0) dk_engine_fail(engine, why.code, &why);
  }
}

static bool is_barred(const struct dk_engine_run *run, uint32_t node, uint32_t host) {
  for (uint32_t i = 0; i < run->n_bars; i++)
    if (run->bars[i].node == node && run->bars[i].host == host) return true;
  return false;
}

int dk_fleet_bar_task(struct dk_engine_run *run, uint32_t task, uint32_t host) {
  uint32_t node = dk_plan_template(run->plan, task, NULL)->node;

  if (is_barred(run, node, host)) return 0;
  if (!dk_grow(run->bars, run->n_bars, run->cap_bars)) return -ENOMEM;
  run->bars[run->n_bars++] = (struct dk_engine_bar){node, host};
  return 0;
}

static bool is_fit(const struct dk_engine_run *run, uint32_t task, const struct dk_engine_host *host) {
  const struct dk_needs_of *need = dk_needs_find(&run->needs, task);
  dk_autobuf words = DK_BUF_INIT;

  if (!host || !host->provider || host->is_left || host->is_barred) return false;
  struct dk_needs_host has = known(host);
  if (host->is_rented && dk_rentals_is_leaving(host->engine->rentals, host)) return false;
  return !need || !dk_needs_lacks(&has, need, &words);
}

/* All that it could go to have refused it: the next refusal is its end, and says why. */
static bool is_barred_everywhere(const struct dk_engine_run *run, uint32_t task, uint32_t node) {
  const struct dk_engine *engine = run->engine;

  for (uint32_t i = 0; i < engine->n_hosts; i++)
    if (is_fit(run, task, engine->hosts[i]) && !is_barred(run, node, i)) return false;
  return true;
}

/* 0: it may go there; else why not. */
static uint64_t may_go(const struct dk_engine_run *run, uint32_t task, uint32_t node,
                       const struct dk_engine_host *host) {
  if (!is_fit(run, task, host)) return DK_PLACE_NEVER;
  if (is_barred(run, node, host->record.number) && !is_barred_everywhere(run, task, node)) return DK_PLACE_NEVER;
  return host->was_open && !host->full_until ? 0 : DK_PLACE_NOT_NOW;
}

/* --- what it takes --- */

static uint64_t ns_of(uint64_t bytes) {
  return bytes / BYTES_PER_SECOND * 1000000000u + bytes % BYTES_PER_SECOND * 1000000000u / BYTES_PER_SECOND;
}

struct costs {
  const struct dk_engine *engine;
  uint32_t n;
  uint64_t *ns;
};

struct holders {
  bool *has; /* by host */
  uint32_t n;
};

static int is_at(void *ctx, const struct dk_copy *copy) {
  const struct holders *holders = ctx;
  if (copy->host < holders->n) holders->has[copy->host] = true;
  return 0;
}

/* A large content costs its way to every host that does not have it: from here, or by here, and while it is on its way
 * here nobody else can have it. */
static void add_content(const struct costs *costs, const struct dk_kept *kept) {
  const struct dk_engine *engine = costs->engine;
  const struct dk_folder *folder = engine->with.folder;
  bool is_large = kept->is_dir || kept->size >= DK_HELD_SMALL; /* else it came with its result, or comes in no time */
  dk_autofree bool *has = is_large ? dk_calloc(costs->n, sizeof *has) : NULL;
  struct holders holders = {has, costs->n};

  if (!has) return; /* without memory: as if it were everywhere */
  struct dk_pull_progress progress;
  bool is_coming = dk_pull_progress(engine->pulls, &kept->digest, kept->is_dir, &progress);
  has[DK_HOST_LOCAL] = !is_coming && dk_objects_has(&folder->objects, &kept->digest, NULL);
  (void)dk_store_each_copy(folder->store, &kept->digest, is_at, &holders, NULL); /* not known: as if there were none */
  uint64_t way = ns_of(kept->is_dir ? DIRECTORY : kept->size), ways = has[DK_HOST_LOCAL] ? way : 2 * way;
  for (uint32_t i = 0; i < costs->n; i++) {
    if (has[i] || costs->ns[i] >= DK_PLACE_NOT_NOW) continue;
    costs->ns[i] = is_coming ? DK_PLACE_NOT_NOW : costs->ns[i] + (i == DK_HOST_LOCAL ? way : ways);
  }
}

static bool has_inputs(const struct dk_template *tmpl) {
  for (uint32_t i = 0; i < tmpl->n_inputs; i++)
    if (dk_input_is_output(tmpl->inputs[i].kind)) return true;
  return false;
}

/* A task whose inputs are being made again goes nowhere for now; one that waits for what will never come is handed out
 * like any other, and ends by that (act.c). */
static void add_inputs(struct dk_engine_run *run, uint32_t task, const struct costs *costs) {
  struct dk_order order;

  if (dk_plan_order(run->plan, task, &run->lookup.late, &order, NULL) < 0) return;
  enum dk_made made = dk_engine_inputs_made(run, &order);
  for (uint32_t i = 0; made == DK_MADE_LATER && i < costs->n; i++)
    if (costs->ns[i] < DK_PLACE_NOT_NOW) costs->ns[i] = DK_PLACE_NOT_NOW;
  for (uint32_t i = 0; made == DK_MADE && i < order.n_inputs; i++) {
    const struct dk_order_input *input = &order.inputs[i];
    if (!dk_input_is_output(input->kind)) continue;
    const struct dk_fact *fact = run->lookup.facts[input->task];
    if (fact && fact->outputs) add_content(costs, &fact->outputs[input->output]);
  }
  dk_order_finish(&order);
}

void dk_fleet_cost(void *ctx, uint32_t number, uint32_t task, uint32_t n_hosts, uint64_t *ret_ns) {
  struct dk_engine *engine = ctx;
  struct dk_engine_run *run = dk_engine_find_run(engine, number);
  struct costs costs = {engine, n_hosts, ret_ns};

  for (uint32_t i = 0; i < n_hosts; i++) ret_ns[i] = 0;
  if (!run) return;
  const struct dk_template *tmpl = dk_plan_template(run->plan, task, NULL);
  uint32_t n_open = 0;
  for (uint32_t i = 0; i < n_hosts; i++) {
    ret_ns[i] = may_go(run, task, tmpl->node, dk_fleet_find(engine, i));
    n_open += ret_ns[i] == 0;
  }
  if ((n_open > 1 || run->n_lost) && has_inputs(tmpl)) add_inputs(run, task, &costs);
}

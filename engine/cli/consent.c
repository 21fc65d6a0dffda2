/* See consent.h. */
#include "engine/cli/consent.h"

#include "engine/cli/clouds.h"
#include "engine/cli/providers.h"
#include "lang/eval/quantity.h"

#include <string.h>
#include <unistd.h>

bool dk_consent_parse(const char *text, struct dk_consent *ret) {
  struct dk_quantity amount;
  const char *unit;
  size_t unit_len;

  *ret = (struct dk_consent){.pay = DK_PAY_NOTHING};
  if (strcmp(text, "0") == 0) return true;
  if (*text < '0' || *text > '9') return false;
  if (dk_quantity_parse(text, strlen(text), &amount, &unit, &unit_len) != DK_QUANTITY_OK) return false;
  if (amount.type != DK_TYPE_MONEY || amount.amount < 0) return false;
  if (amount.amount == 0) return true;
  ret->pay = DK_PAY_UP_TO;
  ret->limit.micro = (uint64_t)amount.amount;
  dk_currency_text(amount.unit, ret->limit.currency);
  return true;
}

/* The currency of its prices; NULL: what it makes costs nothing, as far as the file says. */
static const char *currency_of(const struct dk_cloud_entry *cloud) {
  for (uint32_t i = 0; i < cloud->n_shapes; i++)
    if (cloud->shapes[i].price != UINT64_MAX && cloud->shapes[i].price > 0) return cloud->shapes[i].currency;
  return NULL;
}

static void add_paid(const struct dk_hosts *hosts, struct dk_buf *out) {
  bool is_any = false;

  for (uint32_t i = 0; i < hosts->n_clouds; i++) {
    if (!currency_of(&hosts->clouds[i])) continue;
    dk_buf_printf(out, "%s%s: ", is_any ? "; " : "", hosts->clouds[i].config.provider);
    dk_clouds_add_what(&hosts->clouds[i], out);
    dk_buf_add_text(out, ", ");
    dk_clouds_add_cost_of(&hosts->clouds[i], out);
    is_any = true;
  }
}

/* A limit says nothing of other currencies: nothing of theirs is made. */
static int look_at_currencies(const struct dk_hosts *hosts, const struct dk_consent *consent) {
  const struct dk_cloud_entry *other = NULL;
  bool is_any = false;

  for (uint32_t i = 0; i < hosts->n_clouds; i++) {
    const char *currency = currency_of(&hosts->clouds[i]);
    if (!currency) continue;
    if (strcmp(currency, consent->limit.currency) == 0)
      is_any = true;
    else
      other = &hosts->clouds[i];
  }
  if (!other) return DK_EXIT_OK;
  if (!is_any)
    return dk_cli_usage("run", "--max-cost is in %s, and the prices of `%s` are in %s", consent->limit.currency,
                        other->config.provider, currency_of(other));
  dk_autobuf note = DK_BUF_INIT;
  dk_buf_printf(&note, "no machine of %s is made, whose prices are in %s: --max-cost is in %s", other->config.provider,
                currency_of(other), consent->limit.currency);
  dk_cli_note(dk_buf_text(&note));
  return DK_EXIT_OK;
}

static int ask(struct dk_cli *cli, const char *paid, struct dk_consent *consent) {
  dk_autobuf question = DK_BUF_INIT;

  if (!(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
    return dk_cli_failf(
        DK_EXIT_USAGE,
        "machines may be made that cost money (%s), and nobody can be asked here\nhelp: --max-cost 5USD "
        "says how much the run may cost, --max-cost 0 that none of them are made",
        paid);
  dk_buf_printf(&question,
                "Machines may be made that cost money (%s).\nWithout a limit? --max-cost 5USD sets one. [y/N] ", paid);
  if (dk_cli_is_agreed(cli, dk_cli_text(cli, &question))) {
    consent->pay = DK_PAY_ANY;
    return DK_EXIT_OK;
  }
  dk_cli_printf(cli, "nothing was run; with --max-cost 0 no such machine is made\n");
  return DK_EXIT_FAILED;
}

int dk_consent_get(struct dk_cli *cli, struct dk_consent *consent) {
  struct dk_hosts hosts;
  struct dk_error error = {0};
  dk_autobuf paid = DK_BUF_INIT;
  int code = DK_EXIT_OK;

  if (consent->pay == DK_PAY_NOTHING) return DK_EXIT_OK;
  if (dk_hosts_load(cli->root, &hosts, &error) < 0) {
    code = dk_providers_fail(cli, &hosts, &error);
  } else {
    add_paid(&hosts, &paid);
    if (consent->pay == DK_PAY_UP_TO)
      code = look_at_currencies(&hosts, consent);
    else if (paid.len)
      code = ask(cli, dk_cli_text(cli, &paid), consent);
  }
  dk_hosts_finish(&hosts);
  return code;
}

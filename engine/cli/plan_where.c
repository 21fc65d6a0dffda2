/* See plan_where.h. */
#include "engine/cli/plan_where.h"

#include "engine/cli/clouds.h"
#include "engine/cli/providers.h"
#include "engine/drive/needs.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <string.h>

/* Of more hosts of a provider only what they have together is said. */
#define NAMED_MOST 4u

static uint32_t cpus_of(const struct dk_plan_where *where, const struct dk_known_host *host) {
  uint32_t cpus = dk_known_host_is_remote(host) ? host->record.cpus : where->machine.n_cpus;

  return cpus > host->entry->config.leave ? cpus - host->entry->config.leave : 0;
}

int dk_plan_where_find(struct dk_cli *cli, struct dk_store *store, struct dk_plan_where *ret) {
  struct dk_error error = {0};

  *ret = (struct dk_plan_where){.cpus = 0};
  if (dk_hosts_load(cli->root, &ret->hosts, &error) < 0) return dk_providers_fail(cli, &ret->hosts, &error);
  if (dk_known_hosts_load(&ret->hosts, store, &ret->known, &error) < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  dk_machine_look("", &ret->machine);
  for (uint32_t i = 0; i < ret->known.n; i++)
    if (ret->known.items[i].entry) ret->cpus += cpus_of(ret, &ret->known.items[i]);
  uint64_t cpus = ret->cpus + dk_clouds_cpus(&ret->hosts);
  ret->cpus = cpus == 0 ? 1 : cpus < UINT32_MAX ? (uint32_t)cpus : UINT32_MAX;
  return DK_EXIT_OK;
}

void dk_plan_where_finish(struct dk_plan_where *where) {
  dk_known_hosts_finish(&where->known);
  dk_hosts_finish(&where->hosts);
}

static void add_machine(struct dk_buf *out, const char *name, uint32_t cpus, uint64_t memory) {
  char text[DK_NUMBER_TEXT];

  dk_number_size_text(memory, text);
  dk_buf_add_escaped(out, name, strlen(name));
  dk_buf_printf(out, " (%u cpu%s, %s)", cpus, dk_cli_s(cpus), text);
}

static void add_host(const struct dk_plan_where *where, const struct dk_known_host *host, struct dk_buf *out) {
  if (!dk_known_host_is_remote(host)) {
    add_machine(out, "this machine", where->machine.n_cpus, where->machine.memory);
  } else if (!host->record.seen_unix_ns) {
    dk_buf_printf(out, "%s (not reached yet)", host->entry->config.name);
  } else {
    add_machine(out, host->entry->config.name, host->record.cpus, host->record.memory);
  }
}

void dk_plan_where_text(const struct dk_plan_where *where, struct dk_buf *out) {
  const struct dk_known_host *items = where->known.items;

  for (uint32_t i = 0, n; i < where->known.n && items[i].entry; i += n) {
    const char *provider = items[i].entry->config.provider;
    uint32_t cpus = 0;
    for (n = 0;
         i + n < where->known.n && items[i + n].entry && strcmp(items[i + n].entry->config.provider, provider) == 0;
         n++)
      cpus += cpus_of(where, &items[i + n]);
    dk_buf_add_text(out, i ? ", " : "");
    if (dk_known_host_is_remote(&items[i])) dk_buf_printf(out, "%s: ", provider);
    if (n > NAMED_MOST) dk_buf_printf(out, "%u hosts (%u cpus, as far as they are known)", n, cpus);
    for (uint32_t k = 0; n <= NAMED_MOST && k < n; k++) {
      dk_buf_add_text(out, k ? ", " : "");
      add_host(where, &items[i + k], out);
    }
  }
  for (uint32_t i = 0; i < where->hosts.n_clouds; i++) {
    dk_buf_printf(out, "%s%s: ", i || where->hosts.n ? ", " : "", where->hosts.clouds[i].config.provider);
    dk_clouds_add_what(&where->hosts.clouds[i], out);
  }
}

int dk_plan_where_check(const struct dk_plan_where *where, const struct dk_plan *plan, struct dk_error *error) {
  dk_autofree struct dk_needs_host *hosts = dk_calloc(where->known.n + where->hosts.n_clouds + 1u, sizeof *hosts);
  struct dk_needs needs = {.n = 0};
  uint32_t n = 0;
  int r = hosts ? dk_needs_collect(plan, &needs) : -ENOMEM;

  for (uint32_t i = 0; r == 0 && i < where->known.n; i++) {
    const struct dk_known_host *host = &where->known.items[i];
    bool is_remote = dk_known_host_is_remote(host);
    if (host->entry)
      hosts[n++] = (struct dk_needs_host){.machine = is_remote ? NULL : &where->machine,
                                          .record = is_remote ? &host->record : NULL};
  }
  for (uint32_t i = 0; r == 0 && i < where->hosts.n_clouds; i++)
    hosts[n++] = (struct dk_needs_host){.cloud = &where->hosts.clouds[i]};
  if (r < 0) dk_error_system(error, r, "looking at what tasks need");
  if (r == 0) r = dk_needs_check(plan, &needs, hosts, n, error);
  dk_needs_finish(&needs);
  return r;
}

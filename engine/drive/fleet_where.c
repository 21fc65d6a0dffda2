/* Where tasks run, in a line for people: see fleet.h. */
#include "engine/drive/fleet.h"

#include "engine/drive/engine_priv.h"

#include <string.h>

#define NAMED_MOST 4u /* hosts of one provider; of more only the number is said */

/* One that was taken out of the files, and is connected still, is shown as such, also when it is up. */
static enum dk_host_state shown(const struct dk_engine_host *host) {
  return host->is_left ? DK_HOST_REMOVED : host->record.state;
}

static bool is_of(const struct dk_engine_host *host, const char *provider, enum dk_host_state state) {
  return host && host->provider && dk_fleet_is_remote(host) && shown(host) == state &&
         (!provider || strcmp(host->record.provider, provider) == 0);
}

/* " h1 h2", or " 17 hosts". `provider` NULL: of all. */
static uint32_t add_names(const struct dk_engine *engine, const char *provider, enum dk_host_state state,
                          struct dk_buf *out) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < engine->n_hosts; i++) n += is_of(engine->hosts[i], provider, state);
  if (n > NAMED_MOST) dk_buf_printf(out, " %u hosts", n);
  for (uint32_t i = 0; n <= NAMED_MOST && i < engine->n_hosts; i++)
    if (is_of(engine->hosts[i], provider, state)) dk_buf_printf(out, " %s", engine->hosts[i]->record.name);
  return n;
}

/* The first of its provider among those that are up. */
static bool is_first(const struct dk_engine *engine, uint32_t at) {
  if (!is_of(engine->hosts[at], NULL, DK_HOST_UP)) return false;
  for (uint32_t i = 0; i < at; i++)
    if (is_of(engine->hosts[i], engine->hosts[at]->record.provider, DK_HOST_UP)) return false;
  return true;
}

static void add_away(const struct dk_engine *engine, enum dk_host_state state, const char *word, struct dk_buf *out) {
  dk_autobuf names = DK_BUF_INIT;

  if (add_names(engine, NULL, state, &names) == 0) return;
  dk_buf_printf(out, "%s%s:%s", out->len > 0 && out->data[out->len - 1] != '\n' ? "; " : "", word, dk_buf_text(&names));
  dk_buf_inherit(out, &names);
}

void dk_fleet_where(const struct dk_engine *engine, struct dk_buf *out) {
  const struct dk_engine_host *own = dk_fleet_find(engine, DK_HOST_LOCAL);
  bool any = own && own->provider && !own->is_left && own->record.state == DK_HOST_UP;

  if (any) dk_buf_add_text(out, DK_FLEET_HERE);
  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    if (!is_first(engine, i)) continue;
    dk_buf_printf(out, "%s%s:", any ? ", " : "", engine->hosts[i]->record.provider);
    (void)add_names(engine, engine->hosts[i]->record.provider, DK_HOST_UP, out);
    any = true;
  }
  dk_buf_add_char(out, '\n');
  add_away(engine, DK_HOST_DOWN, "down", out);
  add_away(engine, DK_HOST_NEW, "not reached yet", out);
  add_away(engine, DK_HOST_BARRED, "no tasks", out);
  add_away(engine, DK_HOST_REMOVED, "taken out", out);
}

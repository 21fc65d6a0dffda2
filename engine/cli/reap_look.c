/* What there is, and who answers for it: see reap.h. */
#include "engine/cli/reap.h"

#include "engine/cli/hosts.h"
#include "engine/cli/providers.h"
#include "engine/drive/owner.h"
#include "engine/store/rented.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the clouds --- */

static const char *keep(struct dk_reap *reap, const char *text) {
  char *kept = dk_grow(reap->texts, reap->n_texts, reap->cap_texts) ? dk_strdup(text ? text : "") : NULL;

  if (!kept) {
    reap->is_full = true;
    return "";
  }
  return reap->texts[reap->n_texts++] = kept;
}

struct listing {
  struct dk_reap *reap;
  uint32_t cloud;
  bool is_complete;
};

static void take_list(void *ctx, const struct dk_cloud_result *result) {
  struct listing *listing = ctx;
  struct dk_reap *reap = listing->reap;

  listing->is_complete = result->is_complete;
  for (uint32_t i = 0; i < result->n_instances; i++) {
    const struct dk_instance *at = &result->instances[i];
    if (!dk_grow(reap->machines, reap->n_machines, reap->cap_machines)) {
      reap->is_full = true;
      return;
    }
    struct dk_reap_machine *machine = &reap->machines[reap->n_machines++];
    *machine = (struct dk_reap_machine){.is = *at, .cloud = listing->cloud};
    machine->is.name = keep(reap, at->name);
    machine->is.id = keep(reap, at->id);
    machine->is.owner = keep(reap, at->owner);
    machine->is.address = machine->is.words = "";
    machine->age_ns = dk_reap_age(at, result->now_unix);
  }
}

/* Two providers may be of one place. */
static bool is_known(const struct dk_reap *reap, const struct dk_reap_cloud *cloud) {
  for (uint32_t i = 0; i < reap->n_clouds; i++) {
    const struct dk_clouds_line *line = &reap->clouds[i].line;
    if (line->provider == cloud->line.provider &&
        strcmp(line->provider->where(line->cloud), cloud->line.provider->where(cloud->line.cloud)) == 0)
      return true;
  }
  return false;
}

static void ask(struct dk_reap *reap, const struct dk_cloud_entry *entry) {
  const struct dk_cloud_order order = {.kind = DK_CLOUD_LIST};
  struct listing listing = {.reap = reap, .cloud = reap->n_clouds};
  struct dk_reap_cloud cloud = {.entry = entry};
  struct dk_error error = {0};

  int r = dk_clouds_open(entry, &cloud.line, &error);
  if (r == 0 && is_known(reap, &cloud)) {
    dk_clouds_close(&cloud.line);
    return;
  }
  if (r == 0) r = dk_clouds_ask(&cloud.line, &order, take_list, &listing, &error);
  if (r == 0 && !listing.is_complete)
    r = dk_error_set(&error, -EIO, "%s: the cloud cannot list all of its machines now: there may be more",
                     entry->config.provider);
  if (r < 0) {
    dk_cli_fail(DK_EXIT_ENGINE, &error);
    reap->has_failed = true;
  }
  if (cloud.line.cloud) reap->clouds[reap->n_clouds++] = cloud;
}

static int ask_all(struct dk_reap *reap) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < reap->hosts.n_clouds; i++) n += dk_clouds_is(&reap->hosts.clouds[i], reap->provider);
  for (uint32_t i = 0; n == 0 && reap->provider && i < reap->hosts.n; i++)
    if (strcmp(reap->hosts.items[i].config.provider, reap->provider) == 0)
      return dk_cli_failf(DK_EXIT_USAGE,
                          "`%s` makes no machines: its hosts are there\nhelp: `dkrun hosts clean` "
                          "removes what is kept on them",
                          reap->provider);
  if (n == 0 && reap->provider) return dk_hosts_no_such(&reap->hosts, reap->provider);
  if (n == 0)
    return dk_cli_failf(DK_EXIT_ENGINE, "no file of providers names a cloud, so nobody can be asked\nhelp: say in "
                                        "providers.dk where the machines are: `dkrun help providers`");
  reap->clouds = dk_calloc(n, sizeof *reap->clouds);
  if (!reap->clouds) return dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
  for (uint32_t i = 0; i < reap->hosts.n_clouds; i++)
    if (dk_clouds_is(&reap->hosts.clouds[i], reap->provider)) ask(reap, &reap->hosts.clouds[i]);
  return DK_EXIT_OK;
}

/* --- the stores --- */

/* What a store has on record, if it is the one with this id. -ENOENT: it is not. */
static int read_store(const char *path, const uint8_t id[16], struct dk_reap_store *ret, struct dk_error *error) {
  const struct dk_store_options options = {.read_only = true};
  struct dk_rent_record *records = NULL;
  struct dk_store *store = NULL;
  uint8_t found[16];
  uint32_t n = 0;

  int r = dk_store_open(path, &options, &store, error);
  if (r < 0) return r;
  dk_store_id(store, found);
  /* A copy is given an id of its own by the first command that writes. */
  if (dk_store_was_copied(store) || memcmp(found, id, sizeof found) != 0) r = -ENOENT;
  if (r == 0) r = dk_store_load_rented(store, &records, &n, error);
  dk_store_close(store);
  struct dk_rented *rented = r == 0 ? dk_calloc(n + 1u, sizeof *rented) : NULL;
  if (r == 0 && !rented) r = dk_error_system(error, -ENOMEM, "reading what machines there are");
  for (uint32_t i = 0, at = 0; r == 0 && i < n; i++)
    if (records[i].kind == DK_RENT_REC_RENTED) {
      rented[at++] = records[i].rented;
      ret->n_records = at;
    }
  if (r == 0) ret->records = rented;
  dk_free(records);
  return r;
}

/* A tag may name any folder: what is not this user's is not opened. */
static enum dk_reap_place look_there(const char *root, struct dk_reap_store *store) {
  dk_autobuf path = DK_BUF_INIT;
  struct stat st;

  dk_buf_printf(&path, "%s/.dkrun/store", root);
  if (!dk_buf_ok(&path)) return DK_REAP_HIDDEN;
  if (stat(dk_buf_text(&path), &st) < 0) return errno == ENOENT || errno == ENOTDIR ? DK_REAP_GONE : DK_REAP_HIDDEN;
  if (st.st_uid != geteuid()) return DK_REAP_HIDDEN;
  int r = read_store(dk_buf_text(&path), store->id, store, NULL);
  return r == 0 ? DK_REAP_THERE : r == -ENOENT ? DK_REAP_GONE : DK_REAP_HIDDEN;
}

/* The tags of a store's machines may differ, when its folder was moved: the one that leads to it counts. */
static void look_for(struct dk_reap_store *store, const char *owner, const char *node) {
  const char *path = dk_owner_path(owner, node);

  if (store->place >= DK_REAP_THERE) return;
  enum dk_reap_place place = path ? look_there(path, store) : DK_REAP_ELSEWHERE;
  if (place <= store->place && *store->owner) return;
  store->place = place;
  store->owner = owner;
  store->path = path;
}

static uint32_t store_of(struct dk_reap *reap, const uint8_t id[16]) {
  uint32_t i = 0;

  while (i < reap->n_stores && memcmp(reap->stores[i].id, id, sizeof reap->stores[i].id) != 0) i++;
  if (i < reap->n_stores) return i;
  if (!dk_grow(reap->stores, reap->n_stores, reap->cap_stores)) {
    reap->is_full = true;
    return UINT32_MAX;
  }
  struct dk_reap_store *store = &reap->stores[reap->n_stores++];
  *store = (struct dk_reap_store){.owner = ""};
  memcpy(store->id, id, sizeof store->id);
  for (uint32_t k = 0; k < reap->n_given; k++)
    store->is_meant |= memcmp(reap->given[k], id, sizeof reap->given[k]) == 0;
  return i;
}

/* That of the repository that we are in; there may be none. */
static int read_own(struct dk_reap *reap, struct dk_error *error) {
  struct dk_store *store = NULL;
  dk_autobuf path = DK_BUF_INIT;
  uint8_t id[16];

  if (!reap->cli->root) return 0;
  int r = dk_cli_open_store(reap->cli, &store, NULL, error);
  if (r < 0) return r == -ENOENT ? 0 : r;
  bool is_copy = dk_store_was_copied(store);
  dk_store_id(store, id);
  dk_store_close(store);
  uint32_t at = is_copy ? UINT32_MAX : store_of(reap, id);
  if (at == UINT32_MAX) return 0; /* what the original has is the original's */
  dk_buf_printf(&path, "%s/store", reap->cli->state);
  r = dk_buf_ok(&path) ? read_store(dk_buf_text(&path), id, &reap->stores[at], error) : -ENOMEM;
  reap->stores[at].place = DK_REAP_HERE;
  reap->stores[at].path = reap->cli->root;
  reap->stores[at].is_meant = true;
  return r == -ENOENT ? dk_error_set(error, -EAGAIN, "the store was replaced just now\nhelp: try again") : r;
}

/* After the lists: a record is there before what it tells of. */
static int read_stores(struct dk_reap *reap, struct dk_error *error) {
  char node[65];
  int r = read_own(reap, error);

  dk_owner_node(node);
  for (uint32_t i = 0; r == 0 && i < reap->n_machines && !reap->is_full; i++) {
    struct dk_reap_machine *machine = &reap->machines[i];
    machine->store = store_of(reap, machine->is.store);
    if (machine->store != UINT32_MAX) look_for(&reap->stores[machine->store], machine->is.owner, node);
  }
  if (r == 0 && reap->is_full) r = dk_error_system(error, -ENOMEM, "listing machines");
  return r;
}

/* --- the door --- */

int dk_reap_look(struct dk_reap *reap) {
  struct dk_error error = {0};

  dk_cli_find_root(reap->cli, NULL); /* elsewhere there is the user's file alone */
  if (dk_hosts_load(reap->cli->root, &reap->hosts, &error) < 0)
    return dk_providers_fail(reap->cli, &reap->hosts, &error);
  int code = ask_all(reap);
  if (code != DK_EXIT_OK) return code;
  if (read_stores(reap, &error) < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  for (uint32_t i = 0; i < reap->n_machines; i++)
    dk_reap_judge(&reap->machines[i], &reap->stores[reap->machines[i].store], reap->young_ns);
  return DK_EXIT_OK;
}

uint32_t dk_reap_n_due(const struct dk_reap *reap) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < reap->n_machines; i++)
    n += dk_reap_is_due(&reap->machines[i], &reap->stores[reap->machines[i].store]);
  return n;
}

void dk_reap_close(struct dk_reap *reap) {
  for (uint32_t i = 0; i < reap->n_clouds; i++) dk_clouds_close(&reap->clouds[i].line);
  for (uint32_t i = 0; i < reap->n_stores; i++) dk_free(reap->stores[i].records);
  for (uint32_t i = 0; i < reap->n_texts; i++) dk_free(reap->texts[i]);
  dk_free(reap->clouds);
  dk_free(reap->stores);
  dk_free(reap->texts);
  dk_free(reap->machines);
  dk_free(reap->given);
  dk_hosts_finish(&reap->hosts);
}

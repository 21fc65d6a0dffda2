/* The fields of a provider's block: those that all kinds have, and the kind's own (dk_provider.schema). */
#include "engine/drive/hosts_priv.h"

#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct dk_schema_field common[] = {
    {"kind", DK_KIND_TEXT, true, false, "a kind of provider such as \"ssh\"", "how its hosts are reached"},
    {"leave", DK_KIND_INT, false, false, "a whole number", "processors of each host that are left to others"},
    {"gpus", DK_KIND_INT, false, false, "a whole number", "at most so many GPUs of each host are used"},
    {"nice", DK_KIND_INT, false, false, "a whole number from 0 to 19", "how much tasks give way to other programs"},
    {"hours", DK_KIND_TEXT | DK_KIND_LIST, false, false,
     "a range such as \"20:00-08:00\" or \"Mon-Fri 20:00-08:00\", or a list of them", "when tasks are started there"},
};
/* Of what is not this machine: machines that are there, */
static const struct dk_schema_field hosts[] = {
    {"hosts", DK_KIND_LIST, true, false, "a list of names such as [\"h1\", \"h2\"]", "the machines"},
};
/* or that are made, which ssh reaches; */
static const struct dk_schema_field cloud[] = {
    {"image", DK_KIND_TEXT | DK_KIND_RECORD, true, false, "the name of an image there, or an `image` block",
     "what a machine is made from"},
    {"max_instances", DK_KIND_INT, true, false, "a whole number from 1 to 1000", "so many machines at most, at a time"},
    {"idle", DK_KIND_DURATION, false, false, "a duration such as 5m", "one without tasks is kept for so long"},
    {"boot", DK_KIND_DURATION, false, false, "a duration such as 10m",
     "one that is not up after so long is given back"},
    {"shapes", DK_KIND_LIST, true, false,
     "a list of records such as [{ name = \"small\" cpus = 2 memory = 4GiB price = 0.10USD/h }]",
     "the kinds of machines that may be made"},
    {"user", DK_KIND_TEXT, false, false, "a user's name on the machines", "who logs in; as ssh has it"},
    {"port", DK_KIND_INT, false, false, "a whole number from 1 to 65535", "of the ssh server; as ssh has it"},
    {"config", DK_KIND_TEXT, false, false, "the path of a file for `ssh -F`",
     "ssh's configuration file, as `ssh -F` has it"},
};
static const struct dk_schema_field cloud_limits[] = {
    {"shapes", DK_KIND_LIST, false, false, "a list of names such as [\"small\"]", "those that may be made"},
};
/* and of both. */
static const struct dk_schema_field remote[] = {
    {"root", DK_KIND_TEXT, false, false, "an absolute path on the hosts", "where what is dkrun's own lies there"},
    {"lost_after", DK_KIND_DURATION, false, false, "a duration such as 60s or 5m",
     "tasks of a host that is silent for so long are started elsewhere"},
    {"mixed", DK_KIND_BOOL, false, false, "true or false", "true: their system may be another than this machine's"},
};

/* Three variants of each kind's: as declared, as limits, and (one for all kinds) of what has no kind. */
struct fields {
  struct dk_schema schema;
  struct dk_schema_field items[DK_SCHEMA_MAX];
  char what[64];
};

struct dk_hosts_schemas {
  uint32_t n;
  const char **names;
  struct fields *declared, *limits; /* by dk_providers */
  struct fields any, any_of_a_kind;
};

static void add(struct fields *fields, const struct dk_schema_field *items, uint32_t n, bool is_required) {
  for (uint32_t i = 0; i < n; i++) {
    if (dk_schema_find(&fields->schema, items[i].name)) continue;
    assert(fields->schema.n_fields < DK_SCHEMA_MAX);
    fields->items[fields->schema.n_fields] = items[i];
    fields->items[fields->schema.n_fields++].is_required &= is_required;
  }
}

static void not_required(struct fields *fields, const char *name) {
  for (uint32_t i = 0; i < fields->schema.n_fields; i++)
    if (strcmp(fields->items[i].name, name) == 0) fields->items[i].is_required = false;
}

#define N(array) (sizeof(array) / sizeof *(array))

static void add_kind(struct fields *fields, const struct dk_provider *provider, bool is_required) {
  fields->schema.fields = fields->items;
  fields->schema.what = fields->what;
  add(fields, common, N(common), is_required);
  if (provider->cloud) {
    if (!is_required) add(fields, cloud_limits, N(cloud_limits), false);
    add(fields, cloud, N(cloud), is_required);
    if (provider->cloud->knows_shapes) not_required(fields, "shapes");
  } else if (strcmp(provider->kind, DK_HOSTS_LOCAL) != 0) {
    add(fields, hosts, N(hosts), is_required);
  }
  if (strcmp(provider->kind, DK_HOSTS_LOCAL) != 0) add(fields, remote, N(remote), is_required);
  if (provider->schema) add(fields, provider->schema->fields, provider->schema->n_fields, is_required);
}

int dk_hosts_schemas_create(struct dk_hosts_schemas **ret) {
  struct dk_hosts_schemas *schemas = dk_calloc(1, sizeof *schemas);
  *ret = schemas;
  if (!schemas) return -ENOMEM;
  uint32_t n = 0;
  while (dk_providers[n].kind) n++;
  schemas->names = dk_calloc(n + 1u, sizeof *schemas->names);
  schemas->declared = dk_calloc(n + 1u, sizeof *schemas->declared);
  schemas->limits = dk_calloc(n + 1u, sizeof *schemas->limits);
  if (!schemas->names || !schemas->declared || !schemas->limits) return -ENOMEM;
  for (; schemas->n < n; schemas->n++) {
    const struct dk_provider *provider = &dk_providers[schemas->n];
    struct fields *declared = &schemas->declared[schemas->n], *limits = &schemas->limits[schemas->n];
    schemas->names[schemas->n] = provider->kind;
    snprintf(declared->what, sizeof declared->what, "a provider of kind `%s`", provider->kind);
    memcpy(limits->what, declared->what, sizeof limits->what);
    add_kind(declared, provider, true);
    add_kind(limits, provider, false);
    add_kind(&schemas->any, provider, false);
    add_kind(&schemas->any_of_a_kind, provider, false);
  }
  strcpy(schemas->any.what, "a provider");
  strcpy(schemas->any_of_a_kind.what, "a provider");
  schemas->any_of_a_kind.items[0].is_required = true;
  return 0;
}

void dk_hosts_schemas_destroy(struct dk_hosts_schemas *schemas) {
  if (!schemas) return;
  dk_free(schemas->names);
  dk_free(schemas->declared);
  dk_free(schemas->limits);
  dk_free(schemas);
}

const char *const *dk_hosts_schemas_names(const struct dk_hosts_schemas *schemas, uint32_t *ret_n) {
  *ret_n = schemas->n;
  return schemas->names;
}

const struct dk_schema *dk_hosts_schemas_of(const struct dk_hosts_schemas *schemas,
                                            const struct dk_provider *provider) {
  return &schemas->declared[provider - dk_providers].schema;
}

const struct dk_schema *dk_hosts_schemas_limits(const struct dk_hosts_schemas *schemas,
                                                const struct dk_provider *provider) {
  return &schemas->limits[provider - dk_providers].schema;
}

const struct dk_schema *dk_hosts_schemas_any(const struct dk_hosts_schemas *schemas, bool needs_kind) {
  return needs_kind ? &schemas->any_of_a_kind.schema : &schemas->any.schema;
}

const struct dk_provider *dk_hosts_provider(const char *kind) {
  for (const struct dk_provider *provider = dk_providers; provider->kind; provider++)
    if (strcmp(provider->kind, kind) == 0) return provider;
  return NULL;
}

/* Shared by the files of hosts.h: one load of both files of providers. */
#ifndef DK_DRIVE_HOSTS_PRIV_H
#define DK_DRIVE_HOSTS_PRIV_H

#include "engine/drive/hosts.h"
#include "lang/provider_file.h"

#define DK_HOSTS_LOCAL "local" /* the kind and the name of this machine */

#define DK_HOSTS_PROVIDERS 1000u /* of one file, so that a hostile one is bounded */

/* A provider as it counts. All is in the arena of the file that was read last. */
struct dk_declared {
  const struct dk_provider *provider; /* NULL: its kind is wrong, or was not written (reported) */
  const char *name;
  const char **hosts;
  struct dk_span *spans; /* of the hosts, in the file that declares it */
  uint32_t n_hosts;
  struct dk_host_config config; /* but for `name` */
  bool mixed;
  uint64_t lost_after_ns;
  struct dk_hours hours;
  struct dk_cloud_entry cloud; /* of a cloud: what hosts do not have; its shapes as a limit: names only */
  struct dk_span *shape_spans; /* as `spans` */
  uint32_t user_line, root_line;
  struct dk_span name_span; /* of its block in the file that was read last */
  const char *place; /* "providers.dk:3", for messages about it in another file; NULL: it is written nowhere */
  bool is_broken;    /* something of it was reported: what seems wrong with it may not be */
};

struct dk_declareds {
  struct dk_declared *items;
  uint32_t n;
};

/* The fields that blocks may have, by kind. */
struct dk_hosts_schemas;
int dk_hosts_schemas_create(struct dk_hosts_schemas **ret); /* -ENOMEM */
void dk_hosts_schemas_destroy(struct dk_hosts_schemas *schemas);
const char *const *dk_hosts_schemas_names(const struct dk_hosts_schemas *schemas, uint32_t *ret_n);
/* Of a block that declares a provider of the kind. */
const struct dk_schema *dk_hosts_schemas_of(const struct dk_hosts_schemas *schemas, const struct dk_provider *provider);
/* Of one that limits it: nothing is required. */
const struct dk_schema *dk_hosts_schemas_limits(const struct dk_hosts_schemas *schemas,
                                                const struct dk_provider *provider);
/* Of one whose kind is not known: all fields that any kind has; needs_kind: `kind` is missing then. */
const struct dk_schema *dk_hosts_schemas_any(const struct dk_hosts_schemas *schemas, bool needs_kind);
const struct dk_provider *dk_hosts_provider(const char *kind); /* NULL: there is none */

struct dk_hosts_priv {
  enum dk_hosts_trust trust;
  struct dk_hosts_schemas *schemas;
  char *root;     /* the repository's, canonical; NULL: there is none */
  char *paths[2]; /* enum dk_hosts_file */
  bool is_known;  /* `trusted` is what the user has trusted of this repository */
  struct dk_digest trusted;
  struct dk_provider_load *loads[2];
  struct dk_declareds user, root_file; /* of the user's file (or this machine alone); what the repository's leaves */
  struct dk_declared alone;            /* this machine */
};

/* One file while it is judged. */
struct dk_hosts_reader {
  struct dk_hosts *hosts;
  const struct dk_provider_file *file;
  enum dk_hosts_file which;
};

/* hosts_image.c: a record with a base and a setup. `provider`: names it, where it has no name of its own. */
bool dk_hosts_read_recipe(struct dk_hosts_reader *reader, const struct dk_provider_field *field, const char *provider,
                          struct dk_recipe *ret);

/* hosts_read.c: the fields of a block; what is wrong is reported. */
void dk_hosts_read(struct dk_hosts_reader *reader, const struct dk_provider_block *block, struct dk_declared *ret);
/* One of them. False after a diagnostic. */
bool dk_hosts_read_field(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                         struct dk_declared *ret);
/* Shared by those. What is wrong: "`port` wants a whole number from ..." and why. */
struct dk_diag *dk_hosts_wrong(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                               struct dk_span span, const char *why);
const char *dk_hosts_text(const struct dk_hosts_reader *reader, dk_value_id id, size_t *ret_len);
/* Of one word: at most 253 of `chars`, no `-` in front. */
bool dk_hosts_is_name(const char *text, size_t len, const char *chars);
bool dk_hosts_has_control(const char *text, size_t len);
/* False after a diagnostic. */
bool dk_hosts_number(struct dk_hosts_reader *reader, const struct dk_provider_field *field, int64_t least, int64_t most,
                     int64_t *ret);
/* A file that decides where tasks go or as whom: nobody else can write to it, and it is out of reach of a checkout that
 * names it. *ret: its path, without links. False after a diagnostic. */
bool dk_hosts_path(struct dk_hosts_reader *reader, const struct dk_provider_field *field, const char **ret);
void dk_hosts_read_place(struct dk_hosts_reader *reader, struct dk_span span, struct dk_declared *ret);
/* Hosts that are in two of the providers. */
void dk_hosts_check_twice(struct dk_hosts_reader *reader, const struct dk_declareds *all);

/* hosts_cloud.c: a field that clouds alone have, their kind's own too. False after a diagnostic. */
bool dk_hosts_read_cloud(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                         struct dk_declared *ret);
/* A name that is longer than what records have room for. */
void dk_hosts_check_cloud_name(struct dk_hosts_reader *reader, const struct dk_provider_block *block,
                               struct dk_declared *ret);
/* Providers and hosts that are called like a machine that a cloud may make: people could not name either. */
void dk_hosts_check_machines(struct dk_hosts_reader *reader, const struct dk_declareds *all);
/* What is so when the file does not say it. */
#define DK_HOSTS_IDLE_NS (UINT64_C(300) * 1000000000u)
#define DK_HOSTS_BOOT_NS (UINT64_C(600) * 1000000000u)

/* hosts_limit.c: what the repository's file makes of the user's providers: priv->root_file. */
void dk_hosts_limit(struct dk_hosts_reader *reader);

#endif

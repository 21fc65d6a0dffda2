/* See hosts.h. Here: which files there are, reading them one after the other, and the list that comes of it. */
#include "engine/drive/hosts_priv.h"

#include "engine/drive/config.h"
#include "engine/drive/trust.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_NAME "providers.dk"

/* Is it there? 1, 0, or a negative errno with words. */
static int look(const char *path, struct stat *ret, struct dk_error *error) {
  if (lstat(path, ret) < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return 0;
    return dk_error_system(error, -errno, "looking for %s", path);
  }
  if (stat(path, ret) == 0) return 1;
  if (errno == ENOENT)
    return dk_error_set(error, -EINVAL, "%s is a link that leads nowhere\nhelp: make what it leads to, or remove it",
                        path);
  return dk_error_system(error, -errno, "looking at %s", path);
}

static const struct dk_schema *schema_of(void *ctx, const char *name, const char *kind) {
  struct dk_hosts_reader *reader = ctx;
  const struct dk_hosts_priv *priv = reader->hosts->priv;
  if (kind) return dk_hosts_schemas_of(priv->schemas, dk_hosts_provider(kind));
  if (reader->which == DK_HOSTS_USER) return dk_hosts_schemas_any(priv->schemas, true);
  for (uint32_t i = 0; i < priv->user.n; i++)
    if (strcmp(priv->user.items[i].name, name) == 0 && priv->user.items[i].provider)
      return dk_hosts_schemas_limits(priv->schemas, priv->user.items[i].provider);
  return dk_hosts_schemas_any(priv->schemas, false);
}

static void judge_user(struct dk_hosts_reader *reader) {
  const struct dk_provider_file *file = reader->file;
  struct dk_declareds *user = &reader->hosts->priv->user;
  reader->hosts->n_user = file->n_blocks;
  if (file->n_blocks == 0) return; /* this machine alone */
  user->items = dk_arena_array(file->arena, struct dk_declared, file->n_blocks);
  for (user->n = 0; user->n < file->n_blocks; user->n++)
    dk_hosts_read(reader, &file->blocks[user->n], &user->items[user->n]);
  dk_hosts_check_twice(reader, user);
  dk_hosts_check_machines(reader, user);
}

static void list_read(struct dk_hosts *hosts, const struct dk_provider_file *file) {
  const char **names = dk_arena_array(file->arena, const char *, file->n_seen + 1u);
  for (uint32_t i = 0; i < file->n_seen; i++)
    names[i] = file->seen[i].is_dir ? dk_arena_printf(file->arena, "%s/", file->seen[i].path) : file->seen[i].path;
  hosts->read = names;
  hosts->n_read = file->n_seen;
}

static void judge_root(struct dk_hosts_reader *reader) {
  struct dk_hosts *hosts = reader->hosts;
  const struct dk_hosts_priv *priv = hosts->priv;
  hosts->n_root = reader->file->n_blocks;
  hosts->digest = reader->file->digest;
  list_read(hosts, reader->file);
  hosts->is_trusted = priv->is_known && dk_digest_equal(&priv->trusted, &hosts->digest);
  dk_hosts_limit(reader);
}

static void judge(void *ctx, const struct dk_provider_file *file) {
  struct dk_hosts_reader reader = *(const struct dk_hosts_reader *)ctx;
  struct dk_provider_file bounded = *file;
  if (file->n_blocks > DK_HOSTS_PROVIDERS) {
    dk_diag_add(file->diags, DK_E0221, file->blocks[DK_HOSTS_PROVIDERS].name_span, "a file has at most %u providers",
                DK_HOSTS_PROVIDERS);
    bounded.n_blocks = DK_HOSTS_PROVIDERS;
  }
  reader.file = &bounded;
  if (reader.which == DK_HOSTS_USER)
    judge_user(&reader);
  else
    judge_root(&reader);
}

static int read_file(struct dk_hosts *hosts, enum dk_hosts_file which, struct dk_error *error) {
  struct dk_hosts_priv *priv = hosts->priv;
  struct dk_hosts_reader reader = {.hosts = hosts, .which = which};
  struct dk_provider_kinds kinds = {.schema = schema_of, .ctx = &reader};
  kinds.names = dk_hosts_schemas_names(priv->schemas, &kinds.n_names);
  const struct dk_provider_file_options options = {.kinds = &kinds,
                                                   .root = which == DK_HOSTS_ROOT ? priv->root : NULL,
                                                   .name = which == DK_HOSTS_ROOT ? FILE_NAME : NULL,
                                                   .is_private = which == DK_HOSTS_USER,
                                                   .judge = judge,
                                                   .judge_ctx = &reader};
  return dk_provider_file_load(priv->paths[which], &options, &priv->loads[which], error);
}

/* The user's file; *ret_st.st_ino is 0 when there is none. */
static int read_user(struct dk_hosts *hosts, struct stat *ret_st, struct dk_error *error) {
  struct dk_hosts_priv *priv = hosts->priv;
  dk_autobuf path = DK_BUF_INIT;
  int r = dk_config_path(FILE_NAME, &path, error);
  if (r == -ENOENT) return 0;
  if (r < 0) return r;
  priv->paths[DK_HOSTS_USER] = dk_buf_steal(&path);
  r = look(priv->paths[DK_HOSTS_USER], ret_st, error);
  if (r <= 0) {
    *ret_st = (struct stat){.st_ino = 0};
    return r;
  }
  hosts->user_file = priv->paths[DK_HOSTS_USER];
  return read_file(hosts, DK_HOSTS_USER, error);
}

static int read_root(struct dk_hosts *hosts, const char *root, const struct stat *user, struct dk_error *error) {
  struct dk_hosts_priv *priv = hosts->priv;
  dk_autobuf path = DK_BUF_INIT;
  struct stat st;
  char real[PATH_MAX];
  if (!realpath(root, real)) return dk_error_system(error, -errno, "looking at %s", root);
  priv->root = dk_strdup(real);
  if (!priv->root) return dk_error_system(error, -ENOMEM, "looking at %s", root);
  dk_buf_printf(&path, "%s/%s", strcmp(priv->root, "/") == 0 ? "" : priv->root, FILE_NAME);
  priv->paths[DK_HOSTS_ROOT] = dk_buf_steal(&path);
  if (!priv->paths[DK_HOSTS_ROOT]) return dk_error_system(error, -ENOMEM, "looking at %s", root);
  int r = look(priv->paths[DK_HOSTS_ROOT], &st, error);
  /* The folder of configuration may be a repository itself. */
  if (r <= 0 || (st.st_ino == user->st_ino && st.st_dev == user->st_dev)) return r < 0 ? r : 0;
  hosts->root_file = priv->paths[DK_HOSTS_ROOT];
  r = dk_trust_find(priv->root, &priv->trusted, error);
  if (r < 0) return r;
  priv->is_known = r > 0;
  return read_file(hosts, DK_HOSTS_ROOT, error);
}

const struct dk_diags *dk_hosts_diags(const struct dk_hosts *hosts, enum dk_hosts_file file) {
  return hosts->priv && hosts->priv->loads[file] ? dk_provider_load_diags(hosts->priv->loads[file]) : NULL;
}

/* The first error, and how many there are. */
static int say_errors(const struct dk_hosts *hosts, struct dk_error *error) {
  const struct dk_diag *first = NULL;
  const struct dk_diags *of = NULL;
  uint32_t n = 0;
  for (int file = 0; file < 2; file++) {
    const struct dk_diags *diags = dk_hosts_diags(hosts, (enum dk_hosts_file)file);
    if (!diags) continue;
    n += diags->n_errors;
    for (uint32_t i = 0; i < diags->count && !first; i++) {
      if (dk_code_is_warning(diags->items[i]->code)) continue;
      first = diags->items[i];
      of = diags;
    }
  }
  if (!first) return 0;
  struct dk_place place = dk_sources_place(of->sources, first->span.start);
  static const char help[] = "\nhelp: `dkrun providers check` says more";
  char more[40] = "";
  if (n > 1) snprintf(more, sizeof more, " (and %u more error%s)", n - 1, n == 2 ? "" : "s");
  if (place.source)
    return dk_error_set(error, -EINVAL, "%s:%u:%u: %s%s%s", place.source->path, place.line, place.column,
                        first->message, more, help);
  return dk_error_set(error, -EINVAL, "%s%s%s", first->message, more, help);
}

static void add_cloud(struct dk_hosts *hosts, const struct dk_declared *declared) {
  struct dk_cloud_entry *entry = &hosts->clouds[hosts->n_clouds++];
  *entry = declared->cloud;
  entry->provider = declared->provider;
  entry->config.provider = declared->name;
  entry->host = declared->config;
  entry->mixed = declared->mixed;
  entry->lost_after_ns = declared->lost_after_ns;
  entry->hours = declared->hours;
  entry->user_line = declared->user_line;
  entry->root_line = declared->root_line;
}

static int make_list(struct dk_hosts *hosts, struct dk_error *error) {
  const struct dk_hosts_priv *priv = hosts->priv;
  const struct dk_declareds *all = priv->root_file.n ? &priv->root_file : &priv->user;
  uint32_t n = 0;
  for (uint32_t i = 0; i < all->n; i++) n += all->items[i].n_hosts;
  hosts->items = dk_calloc(n + 1u, sizeof *hosts->items);
  hosts->clouds = dk_calloc(all->n + 1u, sizeof *hosts->clouds);
  if (!hosts->items || !hosts->clouds) return dk_error_system(error, -ENOMEM, "listing the hosts");
  for (uint32_t i = 0; i < all->n; i++) {
    const struct dk_declared *declared = &all->items[i];
    assert(declared->provider && !declared->is_broken);
    if (declared->provider->cloud) add_cloud(hosts, declared);
    for (uint32_t j = 0; j < declared->n_hosts; j++) {
      struct dk_hosts_entry *entry = &hosts->items[hosts->n++];
      *entry = (struct dk_hosts_entry){.provider = declared->provider,
                                       .config = declared->config,
                                       .mixed = declared->mixed,
                                       .lost_after_ns = declared->lost_after_ns,
                                       .hours = declared->hours,
                                       .user_line = declared->user_line,
                                       .root_line = declared->root_line};
      entry->config.name = declared->hosts[j];
    }
  }
  return 0;
}

static int load(const char *root, struct dk_hosts *hosts, struct dk_error *error) {
  struct dk_hosts_priv *priv = hosts->priv;
  struct stat user = {.st_ino = 0};
  int r = dk_hosts_schemas_create(&priv->schemas);
  if (r < 0) return dk_error_system(error, r, "reading the providers");
  const struct dk_provider *local = dk_hosts_provider(DK_HOSTS_LOCAL);
  assert(local);
  static const char *name[] = {DK_HOSTS_LOCAL};
  priv->alone = (struct dk_declared){.provider = local,
                                     .name = DK_HOSTS_LOCAL,
                                     .hosts = name,
                                     .n_hosts = 1,
                                     .config = {.provider = DK_HOSTS_LOCAL, .most_gpus = UINT32_MAX}};
  priv->user = (struct dk_declareds){&priv->alone, 1};
  r = read_user(hosts, &user, error);
  if (r == 0 && root) r = read_root(hosts, root, &user, error);
  if (r == 0) r = say_errors(hosts, error);
  return r < 0 ? r : make_list(hosts, error);
}

int dk_hosts_load_as(const char *root, enum dk_hosts_trust trust, struct dk_hosts *ret, struct dk_error *error) {
  *ret = (struct dk_hosts){.priv = dk_calloc(1, sizeof *ret->priv)};
  if (!ret->priv) return dk_error_system(error, -ENOMEM, "reading the providers");
  ret->priv->trust = trust;
  return load(root, ret, error);
}

int dk_hosts_load(const char *root, struct dk_hosts *ret, struct dk_error *error) {
  return dk_hosts_load_as(root, DK_HOSTS_AS_TRUSTED, ret, error);
}

bool dk_hosts_has_remote(const struct dk_hosts *hosts) {
  for (uint32_t i = 0; i < hosts->n; i++)
    if (hosts->items[i].provider->is_remote) return true;
  return hosts->n_clouds > 0;
}

void dk_hosts_finish(struct dk_hosts *hosts) {
  struct dk_hosts_priv *priv = hosts->priv;
  dk_free(hosts->items);
  dk_free(hosts->clouds);
  for (int file = 0; priv && file < 2; file++) {
    dk_provider_load_destroy(priv->loads[file]);
    dk_free(priv->paths[file]);
  }
  if (priv) {
    dk_hosts_schemas_destroy(priv->schemas);
    dk_free(priv->root);
    dk_free(priv);
  }
  *hosts = (struct dk_hosts){.n = 0};
}

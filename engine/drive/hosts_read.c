/* What the fields of a provider's block mean, and whether their values can be. */
#include "engine/drive/hosts_priv.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOST_LEAST_NS INT64_C(5000000000)
#define LOST_MOST_NS (INT64_C(7) * 86400 * 1000000000)
#define HOSTS_MOST 1000u /* of one provider */
#define RANGES_MOST 100u
#define NAME_MOST 253u /* bytes of a host's name, as in DNS */
#define COUNT_MOST 65535
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-"

struct dk_diag *dk_hosts_wrong(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                               struct dk_span span, const char *why) {
  return dk_diag_add(reader->file->diags, DK_E0224, span, "`%s` wants %s%s%s", field->schema->name,
                     field->schema->wants, *why ? ": " : "", why);
}

const char *dk_hosts_text(const struct dk_hosts_reader *reader, dk_value_id id, size_t *ret_len) {
  const struct dk_str *text = dk_value_str(reader->file->values, id);
  *ret_len = text->len;
  return text->text;
}

bool dk_hosts_is_name(const char *text, size_t len, const char *chars) {
  return len > 0 && len <= NAME_MOST && text[0] != '-' && strspn(text, chars) == len;
}

bool dk_hosts_has_control(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return true;
  return false;
}

bool dk_hosts_number(struct dk_hosts_reader *reader, const struct dk_provider_field *field, int64_t least, int64_t most,
                     int64_t *ret) {
  int64_t n = dk_value_get(reader->file->values, field->value)->u.i;
  if (n < least || n > most) {
    const char *range = dk_arena_printf(reader->file->arena, "from %lld to %lld, not %lld", (long long)least,
                                        (long long)most, (long long)n);
    dk_diag_add(reader->file->diags, DK_E0224, field->expr->span, "`%s` wants a whole number %s", field->schema->name,
                range);
    return false;
  }
  *ret = n;
  return true;
}

static bool read_leave(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  int64_t n;
  if (!dk_hosts_number(reader, field, 0, COUNT_MOST, &n)) return false;
  ret->config.leave = (uint32_t)n;
  return true;
}

static bool read_gpus(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  int64_t n;
  if (!dk_hosts_number(reader, field, 0, COUNT_MOST, &n)) return false;
  ret->config.most_gpus = (uint32_t)n;
  return true;
}

static bool read_nice(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  int64_t n;
  if (!dk_hosts_number(reader, field, 0, 19, &n)) return false;
  ret->config.nice = (int)n;
  return true;
}

static bool read_port(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  int64_t n;
  if (!dk_hosts_number(reader, field, 1, 65535, &n)) return false;
  ret->config.port = (uint16_t)n;
  return true;
}

static bool read_mixed(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  ret->mixed = dk_value_get(reader->file->values, field->value)->u.i != 0;
  return true;
}

static bool read_lost_after(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                            struct dk_declared *ret) {
  int64_t ns = dk_value_get(reader->file->values, field->value)->u.i;
  if (ns < LOST_LEAST_NS || ns > LOST_MOST_NS) {
    dk_diag_add(reader->file->diags, DK_E0224, field->expr->span, "`lost_after` wants a duration from 5s to 7d");
    return false;
  }
  ret->lost_after_ns = (uint64_t)ns;
  return true;
}

/* Names go onto the command lines of other programs. */
static bool read_host(struct dk_hosts_reader *reader, const struct dk_provider_field *field, uint32_t i,
                      const char **ret) {
  const struct dk_values *values = reader->file->values;
  struct dk_diags *diags = reader->file->diags;
  struct dk_span span = dk_provider_item_span(field, i);
  dk_value_id item = dk_value_item(values, field->value, i);
  size_t len;
  if (dk_value_get(values, item)->type != DK_TYPE_STRING) {
    dk_hosts_wrong(reader, field, span, "this is no text");
    return false;
  }
  *ret = dk_hosts_text(reader, item, &len);
  if (!dk_hosts_is_name(*ret, len, NAME_CHARS ":")) {
    struct dk_diag *diag = dk_diag_add(diags, DK_E0224, span, "this is no name of a host");
    dk_diag_note(diags, diag, "letters, digits and `_ . : @ -`, at most %u of them; no `-` in front", NAME_MOST);
    if (strchr(*ret, ' ') || strchr(*ret, ','))
      dk_diag_help(diags, diag, "of several hosts each is a text of its own: [\"h1\", \"h2\"]");
    return false;
  }
  return true;
}

static bool is_host(const void *ctx, uint32_t item, const void *key) {
  const struct dk_declared *declared = ctx;
  return strcmp(declared->hosts[item], key) == 0;
}

/* Adds a host to those that the block names. False after a diagnostic: it is there already. */
static bool add_host(struct dk_hosts_reader *reader, struct dk_map *seen, const char *name, struct dk_span span,
                     struct dk_declared *ret) {
  struct dk_diags *diags = reader->file->diags;
  uint64_t hash = dk_hash_bytes(name, strlen(name), 0);
  uint32_t first = dk_map_find(seen, hash, is_host, ret, name);
  if (first != DK_MAP_NONE) {
    struct dk_diag *diag = dk_diag_add(diags, DK_E0225, span, "host `%s` is named twice", name);
    if (ret->spans[first].start != span.start) dk_diag_label_at(diags, diag, ret->spans[first], "named here first");
    return false;
  }
  (void)dk_map_add(seen, hash, ret->n_hosts); /* an arena's map jumps instead of failing */
  ret->spans[ret->n_hosts] = span;
  ret->hosts[ret->n_hosts++] = name;
  return true;
}

static bool read_hosts(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  uint32_t n = dk_value_get(reader->file->values, field->value)->len;
  bool is_ok = true;
  if (n == 0 || n > HOSTS_MOST) {
    dk_hosts_wrong(reader, field, field->expr->span, n ? "at most 1000 of them" : "there is none in it");
    return false;
  }
  ret->hosts = dk_arena_array(reader->file->arena, const char *, n);
  ret->spans = dk_arena_array(reader->file->arena, struct dk_span, n);
  ret->n_hosts = 0;
  struct dk_map seen;
  dk_map_init(&seen, reader->file->arena);
  for (uint32_t i = 0; i < n; i++) {
    const char *name;
    is_ok &= read_host(reader, field, i, &name) && add_host(reader, &seen, name, dk_provider_item_span(field, i), ret);
  }
  return is_ok;
}

static bool read_hours(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  const struct dk_values *values = reader->file->values;
  const struct dk_value *value = dk_value_get(values, field->value);
  bool is_list = value->type == DK_TYPE_LIST, is_ok = true;
  uint32_t n = is_list ? value->len : 1;
  struct dk_hours_set set = {{false}};
  const char *all = "";
  if (n == 0 || n > RANGES_MOST) {
    dk_hosts_wrong(reader, field, field->expr->span, n ? "at most 100 of them" : "there is none in it");
    return false;
  }
  for (uint32_t i = 0; i < n; i++) {
    dk_value_id item = is_list ? dk_value_item(values, field->value, i) : field->value;
    struct dk_span span = is_list ? dk_provider_item_span(field, i) : field->expr->span;
    const char *why = "this is no text", *text = NULL;
    size_t len;
    if (dk_value_get(values, item)->type == DK_TYPE_STRING) text = dk_hosts_text(reader, item, &len);
    if (text && dk_hours_add(&set, text, &why) == 0) {
      all = dk_arena_printf(reader->file->arena, "%s%s%s", all, *all ? ", " : "", text);
      continue;
    }
    struct dk_diag *diag = dk_hosts_wrong(reader, field, span, "");
    dk_diag_label(reader->file->diags, diag, "%s", why);
    is_ok = false;
  }
  if (is_ok) ret->hours = dk_hours_of(&set, all, reader->file->arena);
  return is_ok;
}

static bool read_root(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  size_t len;
  const char *text = dk_hosts_text(reader, field->value, &len);
  if (text[0] != '/' || len >= PATH_MAX || dk_hosts_has_control(text, len)) {
    dk_hosts_wrong(reader, field, field->expr->span, "");
    return false;
  }
  ret->config.root = text;
  return true;
}

static bool read_user(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  size_t len;
  const char *text = dk_hosts_text(reader, field->value, &len);
  if (!dk_hosts_is_name(text, len, NAME_CHARS "+\\")) {
    struct dk_diag *diag = dk_hosts_wrong(reader, field, field->expr->span, "");
    dk_diag_note(reader->file->diags, diag, "letters, digits and `_ . @ + \\ -`; no `-` in front");
    return false;
  }
  ret->config.user = text;
  return true;
}

/* As it is written: `~/x`, an absolute one, or one beside the file of providers. In the arena. */
static const char *full_path(struct dk_hosts_reader *reader, const char *text) {
  const char *home = getenv("HOME"), *file = reader->hosts->priv->paths[reader->which];
  if (text[0] == '/') return text;
  if (strncmp(text, "~/", 2) == 0 && home) return dk_arena_printf(reader->file->arena, "%s/%s", home, text + 2);
  return dk_arena_printf(reader->file->arena, "%.*s%s", (int)(strrchr(file, '/') + 1 - file), file, text);
}

/* A configuration of ssh can name programs that are run here, one of a cloud whom it asks. What is trusted is the file
 * of providers as it is, so this one must be out of reach of a checkout. */
static const char *path_fault(const struct dk_hosts_reader *reader, const char *real) {
  const char *root = reader->hosts->priv->root;
  struct stat st;
  if (stat(real, &st) < 0) return "it cannot be looked at";
  if (!S_ISREG(st.st_mode)) return "it is no regular file";
  if (st.st_uid != 0 && st.st_uid != geteuid()) return "it belongs to somebody else";
  if (st.st_mode & (S_IWGRP | S_IWOTH)) return "it can be written to by others (chmod go-w)";
  if (access(real, R_OK) < 0) return "it cannot be read";
  size_t len = root ? strlen(root) : 0;
  if (reader->which == DK_HOSTS_ROOT && len && strncmp(real, root, len) == 0 && real[len] == '/')
    return "it lies in the repository, where a checkout could change it after it was trusted";
  return NULL;
}

bool dk_hosts_path(struct dk_hosts_reader *reader, const struct dk_provider_field *field, const char **ret) {
  size_t len;
  const char *text = dk_hosts_text(reader, field->value, &len), *path, *fault;
  char real[PATH_MAX];
  if (len == 0 || len >= PATH_MAX || dk_hosts_has_control(text, len)) {
    dk_hosts_wrong(reader, field, field->expr->span, "");
    return false;
  }
  path = full_path(reader, text);
  fault = realpath(path, real) ? path_fault(reader, real) : "there is no such file";
  if (fault) {
    struct dk_diag *diag = dk_hosts_wrong(reader, field, field->expr->span, fault);
    if (strcmp(path, text) != 0) dk_diag_note(reader->file->diags, diag, "looked for as %s", path);
    return false;
  }
  *ret = dk_arena_strndup(reader->file->arena, real, strlen(real));
  return true;
}

static bool read_config(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                        struct dk_declared *ret) {
  return dk_hosts_path(reader, field, &ret->config.ssh_config);
}

static const struct {
  const char *name;
  bool (*read)(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret);
} readers[] = {
    {"hosts", read_hosts}, {"leave", read_leave},   {"gpus", read_gpus},
    {"nice", read_nice},   {"hours", read_hours},   {"lost_after", read_lost_after},
    {"mixed", read_mixed}, {"root", read_root},     {"user", read_user},
    {"port", read_port},   {"config", read_config},
};

bool dk_hosts_read_field(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                         struct dk_declared *ret) {
  for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
    if (strcmp(readers[i].name, field->schema->name) == 0) return readers[i].read(reader, field, ret);
  return dk_hosts_read_cloud(reader, field, ret);
}

void dk_hosts_read_place(struct dk_hosts_reader *reader, struct dk_span span, struct dk_declared *ret) {
  struct dk_place place = dk_sources_place(reader->file->diags->sources, span.start);
  ret->name_span = span;
  ret->place = dk_arena_printf(reader->file->arena, "%s:%u", place.source->path, place.line);
  if (reader->which == DK_HOSTS_USER)
    ret->user_line = place.line;
  else
    ret->root_line = place.line;
}

void dk_hosts_read(struct dk_hosts_reader *reader, const struct dk_provider_block *block, struct dk_declared *ret) {
  *ret = (struct dk_declared){.name = block->name, .is_broken = block->is_broken || !block->kind};
  ret->config = (struct dk_host_config){.provider = block->name, .most_gpus = UINT32_MAX};
  dk_hosts_read_place(reader, block->name_span, ret);
  if (block->kind) ret->provider = dk_hosts_provider(block->kind);
  dk_hosts_check_cloud_name(reader, block, ret);
  if (ret->provider && strcmp(ret->provider->kind, DK_HOSTS_LOCAL) == 0) {
    ret->hosts = dk_arena_array(reader->file->arena, const char *, 1);
    ret->spans = dk_arena_array(reader->file->arena, struct dk_span, 1);
    ret->hosts[0] = DK_HOSTS_LOCAL;
    ret->spans[0] = block->name_span;
    ret->n_hosts = 1;
  }
  ret->cloud.idle_ns = DK_HOSTS_IDLE_NS;
  ret->cloud.boot_ns = DK_HOSTS_BOOT_NS;
  for (uint32_t i = 0; i < block->n_fields; i++) ret->is_broken |= !dk_hosts_read_field(reader, &block->fields[i], ret);
}

/* --- hosts in two providers --- */

/* Does this file declare it? Then its spans are this file's. */
static bool is_here(const struct dk_hosts_reader *reader, const struct dk_declared *declared) {
  if (!declared->spans) return false; /* this machine, which no file declares */
  return reader->which == DK_HOSTS_USER ? declared->user_line != 0 : declared->user_line == 0;
}

/* A host of one of them, in order. */
struct place {
  const struct dk_declared *declared;
  uint32_t host;
};

static bool is_same_host(const void *ctx, uint32_t item, const void *key) {
  const struct place *places = ctx;
  return strcmp(places[item].declared->hosts[places[item].host], key) == 0;
}

static void say_twice(struct dk_hosts_reader *reader, struct place first, struct place second) {
  struct dk_diags *diags = reader->file->diags;
  if (!is_here(reader, second.declared)) {
    struct place swap = first;
    first = second;
    second = swap;
  }
  if (!is_here(reader, second.declared)) return; /* both are of the other file, which has its own diagnostics */
  struct dk_span span = second.declared->spans[second.host];
  const char *name = second.declared->hosts[second.host];
  bool is_this_machine = second.declared->provider && strcmp(second.declared->provider->kind, DK_HOSTS_LOCAL) == 0;
  struct dk_diag *diag =
      is_this_machine
          ? dk_diag_add(diags, DK_E0225, span, "this machine is in provider `%s` too", first.declared->name)
          : dk_diag_add(diags, DK_E0225, span, "host `%s` is in provider `%s` too", name, first.declared->name);
  if (is_here(reader, first.declared))
    dk_diag_label_at(diags, diag, first.declared->spans[first.host], "here");
  else if (first.declared->place)
    dk_diag_note(diags, diag, "%s has it", first.declared->place);
}

void dk_hosts_check_twice(struct dk_hosts_reader *reader, const struct dk_declareds *all) {
  uint32_t n = 0, n_all = 0;
  for (uint32_t i = 0; i < all->n; i++) n_all += all->items[i].n_hosts;
  struct place *places = dk_arena_array(reader->file->arena, struct place, n_all + 1u);
  struct dk_map seen;
  dk_map_init(&seen, reader->file->arena);
  for (uint32_t i = 0; i < all->n; i++) {
    for (uint32_t j = 0; j < all->items[i].n_hosts; j++) {
      const struct place place = {&all->items[i], j};
      const char *name = all->items[i].hosts[j];
      uint64_t hash = dk_hash_bytes(name, strlen(name), 0);
      uint32_t first = dk_map_find(&seen, hash, is_same_host, places, name);
      if (first != DK_MAP_NONE) {
        say_twice(reader, places[first], place);
        continue;
      }
      (void)dk_map_add(&seen, hash, n); /* an arena's map jumps instead of failing */
      places[n++] = place;
    }
  }
}

/* What the fields of a cloud's block mean that hosts do not have, and those that its kind alone knows. */
#include "engine/drive/hosts_priv.h"

#include "engine/rent/event.h"
#include "lang/eval/quantity.h"

#include <assert.h>
#include <string.h>

#define INSTANCES_MOST 1000
#define IDLE_LEAST (INT64_C(10) * DK_SECOND)
#define BOOT_LEAST (INT64_C(30) * DK_SECOND)
#define DURATION_MOST (INT64_C(7) * 24 * DK_HOUR)
#define SHAPES_MOST 100u
#define COUNT_MOST 65535
#define TEXT_MOST 1024u /* bytes of an image's name, or of a setting */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789._-"

static bool read_text(struct dk_hosts_reader *reader, const struct dk_provider_field *field, const char **ret) {
  size_t len;
  *ret = dk_hosts_text(reader, field->value, &len);
  if (len > 0 && len <= TEXT_MOST && !dk_hosts_has_control(*ret, len)) return true;
  dk_hosts_wrong(reader, field, field->expr->span,
                 len == 0          ? "there is nothing in it"
                 : len > TEXT_MOST ? "it is longer than 1024 bytes"
                                   : "there are signs in it that are no letters");
  return false;
}

/* A name, or what an `image` block says. */
static bool read_image(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  if (dk_value_get(reader->file->values, field->value)->type == DK_TYPE_RECORD)
    return dk_hosts_read_recipe(reader, field, ret->name, &ret->cloud.image);
  return read_text(reader, field, &ret->cloud.image.from);
}

static bool read_max_instances(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                               struct dk_declared *ret) {
  int64_t n;
  if (!dk_hosts_number(reader, field, 1, INSTANCES_MOST, &n)) return false;
  ret->cloud.max_instances = (uint32_t)n;
  return true;
}

static bool read_duration(struct dk_hosts_reader *reader, const struct dk_provider_field *field, int64_t least,
                          uint64_t *ret) {
  int64_t ns = dk_value_get(reader->file->values, field->value)->u.i;
  if (ns < least || ns > DURATION_MOST) {
    dk_diag_add(reader->file->diags, DK_E0224, field->expr->span, "`%s` wants a duration from %llds to 7d",
                field->schema->name, (long long)(least / DK_SECOND));
    return false;
  }
  *ret = (uint64_t)ns;
  return true;
}

static bool read_idle(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  return read_duration(reader, field, IDLE_LEAST, &ret->cloud.idle_ns);
}

static bool read_boot(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret) {
  return read_duration(reader, field, BOOT_LEAST, &ret->cloud.boot_ns);
}

/* --- shapes --- */

enum shape_member { SHAPE_NAME, SHAPE_CPUS, SHAPE_GPUS, SHAPE_MEMORY, SHAPE_DISK, SHAPE_PRICE, SHAPE_MEMBERS };

static const struct {
  const char *name;
  enum dk_type type;
  bool is_required;
  int64_t least, most;
  const char *wants;
} members[SHAPE_MEMBERS] = {
    {"name", DK_TYPE_STRING, true, 0, 0, "a name of at most 63 letters a-z, digits and `. _ -`"},
    {"cpus", DK_TYPE_INT, true, 1, COUNT_MOST, "a whole number from 1 to 65535"},
    {"gpus", DK_TYPE_INT, false, 0, COUNT_MOST, "a whole number from 0 to 65535"},
    {"memory", DK_TYPE_SIZE, false, 1, INT64_MAX, "a size such as 4GiB"},
    {"disk", DK_TYPE_SIZE, false, 1, INT64_MAX, "a size such as 10GiB"},
    {"price", DK_TYPE_RATE, false, 0, INT64_MAX, "money an hour such as 0.10USD/h"},
};

/* One that is being read. */
struct shape {
  struct dk_hosts_reader *reader;
  const struct dk_provider_field *field;
  struct dk_span span; /* of all of it */
  dk_value_id value;
  uint32_t index;
  dk_value_id given[SHAPE_MEMBERS]; /* DK_NULL: left out */
};

/* Of the member's value, where it is written out. */
static struct dk_span span_of(const struct shape *shape, const char *name) {
  const struct dk_expr *list = shape->field->expr;
  if (list->kind != DK_EXPR_LIST || shape->index >= list->list.items.count) return shape->span;
  const struct dk_expr *record = list->list.items.items[shape->index];
  for (uint32_t i = 0; record->kind == DK_EXPR_RECORD && i < record->record.fields.count; i++)
    if (strcmp(record->record.fields.items[i].name->text, name) == 0) return record->record.fields.items[i].value->span;
  return shape->span;
}

static bool no_such_member(const struct shape *shape, const char *name) {
  struct dk_diags *diags = shape->reader->file->diags;
  const char *names[SHAPE_MEMBERS];
  for (int i = 0; i < SHAPE_MEMBERS; i++) names[i] = members[i].name;
  struct dk_diag *diag = dk_diag_add(diags, DK_E0224, span_of(shape, name), "a shape has no `%s`", name);
  const char *near = dk_nearest(name, names, SHAPE_MEMBERS);
  if (near) dk_diag_help(diags, diag, "did you mean `%s`?", near);
  dk_diag_note(diags, diag, "there are name, cpus, gpus, memory, disk, price");
  return false;
}

static bool is_fine(const struct shape *shape, int i) {
  const struct dk_value *value = dk_value_get(shape->reader->file->values, shape->given[i]);
  size_t len;
  if (value->type != members[i].type) return false;
  if (members[i].type != DK_TYPE_STRING) return value->u.i >= members[i].least && value->u.i <= members[i].most;
  const char *text = dk_hosts_text(shape->reader, shape->given[i], &len);
  return len < DK_RENT_NAME && dk_hosts_is_name(text, len, NAME_CHARS);
}

static bool collect(struct shape *shape) {
  const struct dk_values *values = shape->reader->file->values;
  struct dk_diags *diags = shape->reader->file->diags;
  bool is_ok = true;
  for (uint32_t i = 0; i < dk_value_get(values, shape->value)->len; i++) {
    const char *name = dk_value_name(values, shape->value, i)->text;
    int m = 0;
    while (m < SHAPE_MEMBERS && strcmp(members[m].name, name) != 0) m++;
    if (m == SHAPE_MEMBERS)
      is_ok = no_such_member(shape, name);
    else
      shape->given[m] = dk_value_item(values, shape->value, i);
  }
  for (int m = 0; m < SHAPE_MEMBERS; m++) {
    if (shape->given[m] == DK_NULL && members[m].is_required) {
      dk_diag_add(diags, DK_E0224, shape->span, "this shape lacks `%s`", members[m].name);
      is_ok = false;
    } else if (shape->given[m] != DK_NULL && !is_fine(shape, m)) {
      dk_diag_add(diags, DK_E0224, span_of(shape, members[m].name), "`%s` of a shape wants %s", members[m].name,
                  members[m].wants);
      is_ok = false;
    }
  }
  return is_ok;
}

static uint64_t amount(const struct shape *shape, int member, uint64_t otherwise) {
  if (shape->given[member] == DK_NULL) return otherwise;
  return (uint64_t)dk_value_get(shape->reader->file->values, shape->given[member])->u.i;
}

static bool read_shape(struct shape *shape, struct dk_shape *ret) {
  const struct dk_values *values = shape->reader->file->values;
  size_t len;
  if (dk_value_get(values, shape->value)->type != DK_TYPE_RECORD) {
    dk_hosts_wrong(shape->reader, shape->field, shape->span, "this is no record");
    return false;
  }
  if (!collect(shape)) return false;
  *ret = (struct dk_shape){.name = dk_hosts_text(shape->reader, shape->given[SHAPE_NAME], &len),
                           .cpus = (uint32_t)amount(shape, SHAPE_CPUS, 0),
                           .gpus = (uint32_t)amount(shape, SHAPE_GPUS, 0),
                           .memory = amount(shape, SHAPE_MEMORY, 0),
                           .disk = amount(shape, SHAPE_DISK, 0),
                           .price = amount(shape, SHAPE_PRICE, UINT64_MAX)};
  if (ret->price != UINT64_MAX) dk_currency_text(dk_value_get(values, shape->given[SHAPE_PRICE])->unit, ret->currency);
  return true;
}

/* A repository chooses: names of what the user's file declares. */
static bool read_choice(struct shape *shape, struct dk_shape *ret) {
  size_t len;
  if (dk_value_get(shape->reader->file->values, shape->value)->type != DK_TYPE_STRING) {
    dk_hosts_wrong(shape->reader, shape->field, shape->span, "this is no text");
    return false;
  }
  *ret = (struct dk_shape){.name = dk_hosts_text(shape->reader, shape->value, &len)};
  return true;
}

/* Does it go with those before it? */
static bool goes_along(const struct shape *shape, const struct dk_declared *declared, const struct dk_shape *next) {
  struct dk_diags *diags = shape->reader->file->diags;
  const struct dk_shape *shapes = declared->cloud.shapes;
  for (uint32_t i = 0; i < declared->cloud.n_shapes; i++) {
    struct dk_diag *diag = NULL;
    if (strcmp(shapes[i].name, next->name) == 0)
      diag = dk_diag_add(diags, DK_E0224, span_of(shape, "name"), "shape `%s` is named twice", next->name);
    else if (shapes[i].currency[0] && next->currency[0] && strcmp(shapes[i].currency, next->currency) != 0)
      diag = dk_diag_add(diags, DK_E0224, span_of(shape, "price"),
                         "prices of a provider's shapes are in one currency: `%s` has %s, `%s` %s", shapes[i].name,
                         shapes[i].currency, next->name, next->currency);
    if (!diag) continue;
    if (declared->shape_spans[i].start != shape->span.start)
      dk_diag_label_at(diags, diag, declared->shape_spans[i], "the first one");
    return false;
  }
  return true;
}

static bool read_shapes(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                        struct dk_declared *ret) {
  uint32_t n = dk_value_get(reader->file->values, field->value)->len;
  bool is_choice = reader->which == DK_HOSTS_ROOT && !ret->provider, is_ok = true;
  if (n == 0 || n > SHAPES_MOST) {
    dk_hosts_wrong(reader, field, field->expr->span, n ? "at most 100 of them" : "there is none in it");
    return false;
  }
  struct dk_shape *shapes = dk_arena_array(reader->file->arena, struct dk_shape, n);
  ret->cloud.shapes = shapes;
  ret->shape_spans = dk_arena_array(reader->file->arena, struct dk_span, n);
  for (uint32_t i = 0; i < n; i++) {
    struct dk_shape *next = &shapes[ret->cloud.n_shapes];
    struct shape shape = {.reader = reader,
                          .field = field,
                          .span = dk_provider_item_span(field, i),
                          .value = dk_value_item(reader->file->values, field->value, i),
                          .index = i};
    bool is_fine = (is_choice ? read_choice : read_shape)(&shape, next) && goes_along(&shape, ret, next);
    if (is_fine) ret->shape_spans[ret->cloud.n_shapes++] = shape.span;
    is_ok &= is_fine;
  }
  return is_ok;
}

/* --- what its kind alone knows --- */

static bool setting_text(struct dk_hosts_reader *reader, const struct dk_provider_field *field, const char **ret) {
  const struct dk_value *value = dk_value_get(reader->file->values, field->value);
  if (field->schema->kinds & DK_KIND_FILE) return dk_hosts_path(reader, field, ret);
  if (value->type == DK_TYPE_STRING) return read_text(reader, field, ret);
  assert(value->type == DK_TYPE_BOOL || value->type == DK_TYPE_INT);
  *ret = value->type == DK_TYPE_BOOL ? value->u.i ? "true" : "false"
                                     : dk_arena_printf(reader->file->arena, "%lld", (long long)value->u.i);
  return true;
}

static bool add_setting(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                        struct dk_declared *ret) {
  struct dk_cloud_config *config = &ret->cloud.config;
  struct dk_cloud_setting *grown =
      dk_arena_array(reader->file->arena, struct dk_cloud_setting, config->n_settings + 1u);
  if (config->n_settings) memcpy(grown, config->settings, config->n_settings * sizeof *grown);
  grown[config->n_settings].name = field->schema->name;
  config->settings = grown;
  return setting_text(reader, field, &grown[config->n_settings++].value);
}

static const struct {
  const char *name;
  bool (*read)(struct dk_hosts_reader *reader, const struct dk_provider_field *field, struct dk_declared *ret);
} readers[] = {{"image", read_image},
               {"max_instances", read_max_instances},
               {"idle", read_idle},
               {"boot", read_boot},
               {"shapes", read_shapes}};

bool dk_hosts_read_cloud(struct dk_hosts_reader *reader, const struct dk_provider_field *field,
                         struct dk_declared *ret) {
  for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
    if (strcmp(readers[i].name, field->schema->name) == 0) return readers[i].read(reader, field, ret);
  return add_setting(reader, field, ret);
}

/* --- names --- */

void dk_hosts_check_cloud_name(struct dk_hosts_reader *reader, const struct dk_provider_block *block,
                               struct dk_declared *ret) {
  if (!ret->provider || !ret->provider->cloud || strlen(block->name) < DK_RENT_NAME) return;
  dk_diag_add(reader->file->diags, DK_E0224, block->name_span,
              "the name of a provider that makes machines has at most %u bytes, not %zu", DK_RENT_NAME - 1,
              strlen(block->name));
  ret->is_broken = true;
}

/* Of `lab-12`, which a machine of `lab` could have: the bytes of `lab`; 0: it is no such name. */
static size_t maker_len(const char *name) {
  size_t end = strlen(name), at = end;
  while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9') at--;
  return at < 2 || at == end || name[at] == '0' || name[at - 1] != '-' ? 0 : at - 1;
}

struct text {
  const char *bytes;
  size_t len;
};

static bool is_called(const void *ctx, uint32_t item, const void *key) {
  const struct dk_declareds *all = ctx;
  const struct text *text = key;
  return strlen(all->items[item].name) == text->len && memcmp(all->items[item].name, text->bytes, text->len) == 0;
}

static void check_name(struct dk_hosts_reader *reader, const struct dk_declareds *all, const struct dk_map *clouds,
                       const struct dk_declared *of, const char *name, const char *what) {
  struct dk_diags *diags = reader->file->diags;
  const struct text maker = {name, maker_len(name)};
  if (maker.len == 0) return;
  uint32_t cloud = dk_map_find(clouds, dk_hash_bytes(name, maker.len, 0), is_called, all, &maker);
  if (cloud == DK_MAP_NONE) return;
  struct dk_diag *diag = dk_diag_add(diags, DK_E0225, of->name_span, "%s `%s` is named like a machine of `%s`", what,
                                     name, all->items[cloud].name);
  dk_diag_label_at(diags, diag, all->items[cloud].name_span, "its machines are %s-1, %s-2 ...", all->items[cloud].name,
                   all->items[cloud].name);
  dk_diag_help(diags, diag, "give this provider another name");
}

void dk_hosts_check_machines(struct dk_hosts_reader *reader, const struct dk_declareds *all) {
  struct dk_map clouds;
  dk_map_init(&clouds, reader->file->arena);
  for (uint32_t i = 0; i < all->n; i++) {
    const struct dk_declared *of = &all->items[i];
    if (of->provider && of->provider->cloud) (void)dk_map_add(&clouds, dk_hash_bytes(of->name, strlen(of->name), 0), i);
  }
  for (uint32_t i = 0; i < all->n; i++) {
    const struct dk_declared *of = &all->items[i];
    check_name(reader, all, &clouds, of, of->name, "provider");
    for (uint32_t j = 0; j < of->n_hosts; j++) check_name(reader, all, &clouds, of, of->hosts[j], "host");
  }
}

/* --- two that may be the same --- */

static bool is_same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool are_settings_equal(const struct dk_cloud_config *a, const struct dk_cloud_config *b) {
  bool is_same = is_same_text(a->provider, b->provider) && a->n_settings == b->n_settings;

  for (uint32_t i = 0; is_same && i < a->n_settings; i++)
    is_same = is_same_text(a->settings[i].name, b->settings[i].name) &&
              is_same_text(a->settings[i].value, b->settings[i].value);
  return is_same;
}

static bool are_shapes_equal(const struct dk_cloud_entry *a, const struct dk_cloud_entry *b) {
  bool is_same = a->n_shapes == b->n_shapes;

  for (uint32_t i = 0; is_same && i < a->n_shapes; i++) {
    const struct dk_shape *one = &a->shapes[i], *other = &b->shapes[i];
    is_same = is_same_text(one->name, other->name) && one->cpus == other->cpus && one->gpus == other->gpus &&
              one->memory == other->memory && one->disk == other->disk && one->price == other->price &&
              strcmp(one->currency, other->currency) == 0;
  }
  return is_same;
}

static bool are_hosts_equal(const struct dk_host_config *a, const struct dk_host_config *b) {
  return a->leave == b->leave && a->most_gpus == b->most_gpus && a->nice == b->nice && a->port == b->port &&
         is_same_text(a->root, b->root) && is_same_text(a->user, b->user) && is_same_text(a->ssh_config, b->ssh_config);
}

bool dk_cloud_entry_equal(const struct dk_cloud_entry *a, const struct dk_cloud_entry *b) {
  return a->provider == b->provider && are_settings_equal(&a->config, &b->config) &&
         are_hosts_equal(&a->host, &b->host) && a->mixed == b->mixed && a->lost_after_ns == b->lost_after_ns &&
         is_same_text(a->hours.text, b->hours.text) && is_same_text(a->image.from, b->image.from) &&
         is_same_text(a->image.setup, b->image.setup) &&
         a->max_instances == b->max_instances && a->idle_ns == b->idle_ns && a->boot_ns == b->boot_ns &&
         are_shapes_equal(a, b);
}

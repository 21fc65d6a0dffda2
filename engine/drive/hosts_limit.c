/* What a repository's file makes of the user's providers: it chooses and limits, and declares only when trusted. */
#include "engine/drive/hosts_priv.h"

#include "lang/base/number.h"

#include <string.h>

static const struct dk_declared *find(const struct dk_declareds *all, const char *name) {
  for (uint32_t i = 0; i < all->n; i++)
    if (strcmp(all->items[i].name, name) == 0) return &all->items[i];
  return NULL;
}

static const char *user_file(const struct dk_hosts_reader *reader) {
  const char *path = reader->hosts->priv->paths[DK_HOSTS_USER];
  return path ? path : "~/.config/dkrun/providers.dk";
}

static void help_trust(struct dk_hosts_reader *reader, struct dk_diag *diag) {
  dk_diag_help(reader->file->diags, diag, "put it into %s, or, if you wrote this file, `dkrun trust`",
               user_file(reader));
}

static const char *list(struct dk_hosts_reader *reader, const char *const *names, uint32_t n) {
  const char *text = "";
  for (uint32_t i = 0; i < n && i < 20; i++)
    text = dk_arena_printf(reader->file->arena, "%s%s%s", text, i ? ", " : "", names[i]);
  return n > 20 ? dk_arena_printf(reader->file->arena, "%s and %u more", text, n - 20) : text;
}

static const char **names_of(struct dk_hosts_reader *reader, const struct dk_declareds *all) {
  const char **names = dk_arena_array(reader->file->arena, const char *, all->n + 1u);
  for (uint32_t i = 0; i < all->n; i++) names[i] = all->items[i].name;
  return names;
}

static void not_declared(struct dk_hosts_reader *reader, const struct dk_provider_block *block, bool may_declare) {
  struct dk_diags *diags = reader->file->diags;
  const struct dk_declareds *user = &reader->hosts->priv->user;
  const char **names = names_of(reader, user);
  struct dk_diag *diag;
  const struct dk_diags *of_user = dk_hosts_diags(reader->hosts, DK_HOSTS_USER);
  if (block->is_broken || (of_user && of_user->n_errors)) return; /* what is there is not known */
  if (may_declare) {
    diag = dk_diag_add(diags, DK_E0208, block->name_span, "this provider lacks `kind`");
    dk_diag_note(diags, diag, "without a `kind` a block limits a provider of yours, and you have no `%s`", block->name);
  } else {
    diag = dk_diag_add(diags, DK_E0226, block->name_span, "you have no provider `%s`", block->name);
  }
  const char *near = dk_nearest(block->name, names, user->n);
  if (near) dk_diag_help(diags, diag, "did you mean `%s`?", near);
  if (may_declare)
    dk_diag_help(diags, diag, "add `kind = ...`, or put it into %s", user_file(reader));
  else
    help_trust(reader, diag);
  dk_diag_note(diags, diag, "there %s %s", user->n == 1 ? "is" : "are", list(reader, names, user->n));
}

static void not_allowed(struct dk_hosts_reader *reader, const struct dk_provider_block *block) {
  struct dk_diags *diags = reader->file->diags;
  struct dk_diag *diag =
      dk_diag_add(diags, DK_E0226, block->name_span, "a repository may not declare provider `%s`", block->name);
  if (find(&reader->hosts->priv->user, block->name))
    dk_diag_help(diags, diag, "you have one of this name: without `kind` this block would choose and limit it");
  help_trust(reader, diag);
}

/* --- limits --- */

struct limit {
  struct dk_hosts_reader *reader;
  const struct dk_provider_field *field;
  const struct dk_declared *user, *said; /* what the user's file has, and what this field says */
};

/* `how`: "raised". Where the user's file says nothing there is nothing to widen. */
static void widens_to(const struct limit *limit, const char *how, const char *user, const char *said) {
  struct dk_diags *diags = limit->reader->file->diags;
  struct dk_diag *diag =
      dk_diag_add(diags, DK_E0226, limit->field->expr->span, "`%s` of provider `%s` may only be %s here, not set to %s",
                  limit->field->schema->name, limit->user->name, how, said);
  dk_diag_note(diags, diag, "%s has %s", limit->user->place, user);
}

static void widens(const struct limit *limit, const char *how, long long user, long long said) {
  struct dk_arena *arena = limit->reader->file->arena;
  widens_to(limit, how, dk_arena_printf(arena, "%lld", user), dk_arena_printf(arena, "%lld", said));
}

static bool limit_hosts(const struct limit *limit, struct dk_declared *ret) {
  struct dk_diags *diags = limit->reader->file->diags;
  const struct dk_declared *user = limit->user, *said = limit->said;
  bool is_ok = true;
  for (uint32_t i = 0; i < said->n_hosts; i++) {
    bool has = false;
    for (uint32_t j = 0; j < user->n_hosts && !has; j++) has = strcmp(user->hosts[j], said->hosts[i]) == 0;
    if (has) continue;
    struct dk_diag *diag = dk_diag_add(diags, DK_E0226, said->spans[i], "host `%s` is none of your provider `%s`",
                                       said->hosts[i], user->name);
    const char *near = dk_nearest(said->hosts[i], user->hosts, user->n_hosts);
    if (near) dk_diag_help(diags, diag, "did you mean `%s`?", near);
    dk_diag_help(diags, diag, "put it into %s", user_file(limit->reader));
    dk_diag_note(diags, diag, "%s has %s", user->place, list(limit->reader, user->hosts, user->n_hosts));
    is_ok = false;
  }
  ret->hosts = said->hosts;
  ret->n_hosts = said->n_hosts;
  ret->spans = said->spans;
  return is_ok;
}

static bool limit_leave(const struct limit *limit, struct dk_declared *ret) {
  uint32_t user = limit->user->config.leave, said = limit->said->config.leave;
  if (said < user) widens(limit, "raised", user, said);
  ret->config.leave = said;
  return said >= user;
}

static bool limit_gpus(const struct limit *limit, struct dk_declared *ret) {
  uint32_t user = limit->user->config.most_gpus, said = limit->said->config.most_gpus;
  if (said > user) widens(limit, "lowered", user, said);
  ret->config.most_gpus = said;
  return said <= user;
}

static bool limit_nice(const struct limit *limit, struct dk_declared *ret) {
  int user = limit->user->config.nice, said = limit->said->config.nice;
  if (said < user) widens(limit, "raised", user, said);
  ret->config.nice = said;
  return said >= user;
}

/* The hours that both allow. */
static bool limit_hours(const struct limit *limit, struct dk_declared *ret) {
  struct dk_hosts_reader *reader = limit->reader;
  struct dk_hours_set user = {{false}}, said = {{false}};
  dk_hours_fill(&user, &limit->user->hours);
  dk_hours_fill(&said, &limit->said->hours);
  if (dk_hours_cut(&said, &user)) {
    const char *text = limit->said->hours.text;
    if (text && limit->user->hours.text)
      text = dk_arena_printf(reader->file->arena, "%s (of %s)", text, limit->user->hours.text);
    ret->hours = dk_hours_of(&said, text ? text : limit->user->hours.text, reader->file->arena);
    return true;
  }
  struct dk_diag *diag = dk_diag_add(reader->file->diags, DK_E0226, limit->field->expr->span,
                                     "nothing is left of the hours of provider `%s`", limit->user->name);
  dk_diag_note(reader->file->diags, diag, "%s has its hours too, and only those that both allow are left",
               limit->user->place);
  return false;
}

static bool limit_max_instances(const struct limit *limit, struct dk_declared *ret) {
  uint32_t user = limit->user->cloud.max_instances, said = limit->said->cloud.max_instances;
  if (said > user) widens(limit, "lowered", user, said);
  ret->cloud.max_instances = said;
  return said <= user;
}

static bool limit_idle(const struct limit *limit, struct dk_declared *ret) {
  uint64_t user = limit->user->cloud.idle_ns, said = limit->said->cloud.idle_ns;
  char has[DK_NUMBER_TEXT], wants[DK_NUMBER_TEXT];
  dk_number_duration_text(user, has);
  dk_number_duration_text(said, wants);
  if (said > user) widens_to(limit, "lowered", has, wants);
  ret->cloud.idle_ns = said;
  return said <= user;
}

static const struct dk_shape *find_shape(const struct dk_declared *declared, const char *name) {
  for (uint32_t i = 0; i < declared->cloud.n_shapes; i++)
    if (strcmp(declared->cloud.shapes[i].name, name) == 0) return &declared->cloud.shapes[i];
  return NULL;
}

static void no_such_shape(const struct limit *limit, uint32_t i) {
  struct dk_hosts_reader *reader = limit->reader;
  struct dk_diags *diags = reader->file->diags;
  const struct dk_declared *user = limit->user;
  const char *name = limit->said->cloud.shapes[i].name;
  const char **names = dk_arena_array(reader->file->arena, const char *, user->cloud.n_shapes + 1u);
  for (uint32_t j = 0; j < user->cloud.n_shapes; j++) names[j] = user->cloud.shapes[j].name;
  struct dk_diag *diag = dk_diag_add(diags, DK_E0226, limit->said->shape_spans[i],
                                     "shape `%s` is none of your provider `%s`", name, user->name);
  const char *near = dk_nearest(name, names, user->cloud.n_shapes);
  if (near) dk_diag_help(diags, diag, "did you mean `%s`?", near);
  dk_diag_help(diags, diag, "put it into %s", user_file(reader));
  dk_diag_note(diags, diag, "%s has %s", user->place,
               names[0] ? list(reader, names, user->cloud.n_shapes) : "no `shapes`");
}

static bool limit_shapes(const struct limit *limit, struct dk_declared *ret) {
  uint32_t n = limit->said->cloud.n_shapes, n_left = 0;
  struct dk_shape *left = dk_arena_array(limit->reader->file->arena, struct dk_shape, n + 1u);
  for (uint32_t i = 0; i < n; i++) {
    const struct dk_shape *shape = find_shape(limit->user, limit->said->cloud.shapes[i].name);
    if (shape)
      left[n_left++] = *shape;
    else
      no_such_shape(limit, i);
  }
  ret->cloud.shapes = left;
  ret->cloud.n_shapes = n_left;
  return n_left == n;
}

static const struct {
  const char *name;
  bool (*apply)(const struct limit *limit, struct dk_declared *ret);
} limits[] = {{"hosts", limit_hosts}, {"leave", limit_leave},  {"gpus", limit_gpus},
              {"nice", limit_nice},   {"hours", limit_hours},  {"max_instances", limit_max_instances},
              {"idle", limit_idle},   {"shapes", limit_shapes}};

static bool apply(const struct limit *limit, bool may_declare, struct dk_declared *ret) {
  struct dk_hosts_reader *reader = limit->reader;
  struct dk_diags *diags = reader->file->diags;
  const struct dk_provider_field *field = limit->field;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
    if (strcmp(limits[i].name, field->schema->name) == 0)
      return limit->user->is_broken ||
             limits[i].apply(limit, ret); /* what is wrong there may be what seems wrong here */
  struct dk_diag *diag =
      dk_diag_add(diags, DK_E0226, field->name_span, "`%s` of provider `%s` is not for a repository to say",
                  field->schema->name, limit->user->name);
  if (may_declare)
    dk_diag_help(diags, diag, "with a `kind` this block declares a provider of its own, which may have it");
  else
    dk_diag_help(diags, diag, "put it into %s", user_file(reader));
  return false;
}

/* The user's provider, as this block leaves it. */
static void limit_block(struct dk_hosts_reader *reader, const struct dk_provider_block *block,
                        const struct dk_declared *user, bool may_declare, struct dk_declared *ret) {
  const char *place = user->place;
  *ret = *user;
  dk_hosts_read_place(reader, block->name_span, ret);
  ret->place = place;
  ret->is_broken |= block->is_broken;
  for (uint32_t i = 0; i < block->n_fields; i++) {
    struct dk_declared said = {.name = block->name};
    const struct limit limit = {reader, &block->fields[i], user, &said};
    bool is_ok = dk_hosts_read_field(reader, &block->fields[i], &said);
    if (is_ok || said.n_hosts || said.cloud.n_shapes) is_ok &= apply(&limit, may_declare, ret);
    ret->is_broken |= !is_ok;
  }
}

void dk_hosts_limit(struct dk_hosts_reader *reader) {
  struct dk_hosts *hosts = reader->hosts;
  struct dk_hosts_priv *priv = hosts->priv;
  const struct dk_provider_file *file = reader->file;
  bool may_declare = hosts->is_trusted || priv->trust == DK_HOSTS_AS_IF_TRUSTED;
  struct dk_declareds *left = &priv->root_file;
  left->items = dk_arena_array(file->arena, struct dk_declared, file->n_blocks + 1u);
  for (uint32_t i = 0; i < file->n_blocks; i++) {
    const struct dk_provider_block *block = &file->blocks[i];
    const struct dk_declared *user = find(&priv->user, block->name);
    struct dk_declared *next = &left->items[left->n];
    if (block->kind) {
      hosts->is_declared = true;
      if (!may_declare) not_allowed(reader, block);
      dk_hosts_read(reader, block, next);
      left->n++;
    } else if (user) {
      limit_block(reader, block, user, may_declare, next);
      left->n++;
    } else {
      not_declared(reader, block, may_declare);
    }
  }
  dk_hosts_check_twice(reader, left);
  dk_hosts_check_machines(reader, left);
}

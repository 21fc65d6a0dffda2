/* What a provider's machines are made from, where that is to be made first: the value of an `image` block. */
#include "engine/drive/hosts_priv.h"

#include <string.h>

#define FROM_MOST 1024u /* bytes */

enum { FROM, SETUP, MEMBERS };
static const struct {
  const char *name;
  size_t most; /* bytes */
  bool may_have_lines;
} members[MEMBERS] = {[FROM] = {"from", FROM_MOST, false}, [SETUP] = {"setup", DK_IMAGE_SETUP_MOST, true}};

static bool has_control(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (((unsigned char)text[i] < 0x20 && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f) return true;
  return false;
}

/* NULL: it is fine. */
static const char *fault(int member, const char *text, size_t len) {
  bool is_odd = members[member].may_have_lines ? has_control(text, len) : dk_hosts_has_control(text, len);

  if (len == 0) return "there is nothing in it";
  if (len > members[member].most) return member == FROM ? "it is longer than 1024 bytes" : "it is longer than 64 KiB";
  return is_odd ? "there are signs in it that are no letters" : NULL;
}

/* As it is declared: `torch`, `common.torch`. */
static const char *name_of(const struct dk_expr *expr, const char *otherwise) {
  if (expr->kind == DK_EXPR_NAME) return expr->name.name->text;
  return expr->kind == DK_EXPR_MEMBER ? expr->member.name->text : otherwise;
}

static bool wrong(struct dk_hosts_reader *reader, const struct dk_provider_field *field, const char *member,
                  const char *why) {
  dk_diag_add(reader->file->diags, DK_E0224, field->expr->span, "`%s` of an image: %s", member, why);
  return false;
}

bool dk_hosts_read_recipe(struct dk_hosts_reader *reader, const struct dk_provider_field *field, const char *provider,
                          struct dk_recipe *ret) {
  const struct dk_values *values = reader->file->values;
  const char *texts[MEMBERS] = {NULL};

  for (uint32_t i = 0; i < dk_value_get(values, field->value)->len; i++) {
    const char *name = dk_value_name(values, field->value, i)->text;
    dk_value_id item = dk_value_item(values, field->value, i);
    int m = 0;
    while (m < MEMBERS && strcmp(members[m].name, name) != 0) m++;
    if (m == MEMBERS) return wrong(reader, field, name, "it has `from` and `setup`");
    if (dk_value_get(values, item)->type != DK_TYPE_STRING) return wrong(reader, field, name, "this is no text");
    size_t len;
    texts[m] = dk_hosts_text(reader, item, &len);
    const char *why = fault(m, texts[m], len);
    if (why) return wrong(reader, field, name, why);
  }
  for (int m = 0; m < MEMBERS; m++)
    if (!texts[m]) return wrong(reader, field, members[m].name, "it is missing");
  *ret = (struct dk_recipe){.name = name_of(field->expr, provider), .from = texts[FROM], .setup = texts[SETUP]};
  dk_recipe_seal(ret);
  return true;
}

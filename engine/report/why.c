/* What changed since the last result of that name; see why.h. */
#include "engine/report/why.h"

#include <string.h>

static const struct dk_digest *old_part(const struct dk_saved *old, const char *name) {
  for (uint32_t i = 0; i < old->n_parts; i++) {
    if (strcmp(old->parts[i].name, name) == 0) {
      return &old->parts[i].digest;
    }
  }
  return NULL;
}

static bool has_part(const struct dk_key_part *parts, uint32_t n, const char *name) {
  for (uint32_t i = 0; i < n; i++) {
    if (strcmp(parts[i].name, name) == 0) {
      return true;
    }
  }
  return false;
}

static void add_name(struct dk_buf *out, bool *any, const char *name) {
  dk_buf_add_text(out, *any ? ", " : "");
  dk_buf_add_escaped(out, name, strlen(name));
  *any = true;
}

void dk_why_text(const struct dk_key_part *parts, uint32_t n_parts, const struct dk_saved *old, struct dk_buf *out) {
  if (!old) {
    dk_buf_add_text(out, "never run");
    return;
  }
  dk_autobuf changed = DK_BUF_INIT, added = DK_BUF_INIT, gone = DK_BUF_INIT;
  bool any_changed = false, any_added = false, any_gone = false;
  for (uint32_t i = 0; i < n_parts; i++) {
    const struct dk_digest *before = old_part(old, parts[i].name);
    if (!before) {
      add_name(&added, &any_added, parts[i].name);
    } else if (!dk_digest_equal(before, &parts[i].digest)) {
      add_name(&changed, &any_changed, parts[i].name);
    }
  }
  for (uint32_t i = 0; i < old->n_parts; i++) {
    if (!has_part(parts, n_parts, old->parts[i].name)) {
      add_name(&gone, &any_gone, old->parts[i].name);
    }
  }
  if (!any_changed && !any_added && !any_gone) {
    dk_buf_printf(out, "the result of run %u is gone", old->run);
    return;
  }
  if (any_changed) {
    dk_buf_printf(out, "%s changed", dk_buf_text(&changed));
  }
  if (any_added) {
    dk_buf_printf(out, "%s%s new", any_changed ? "; " : "", dk_buf_text(&added));
  }
  if (any_gone) {
    dk_buf_printf(out, "%s%s gone", any_changed || any_added ? "; " : "", dk_buf_text(&gone));
  }
  dk_buf_printf(out, " since run %u", old->run);
}

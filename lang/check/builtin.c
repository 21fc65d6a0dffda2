/* The table of builtins.def as data, and its signatures taken apart. */
#include "lang/check/builtin.h"

#include <string.h>

static const struct dk_builtin_info table[] = {
#define DK_BUILTIN(name, signature, flags, doc) {#name, signature, doc, DK_BUILTIN_##flags},
#include "lang/check/builtins.def"
#undef DK_BUILTIN
};

const struct dk_builtin_info *dk_builtins(uint32_t *ret_n) {
  *ret_n = DK_N_BUILTINS;
  return table;
}

bool dk_builtin_find(const char *name, enum dk_builtin *ret) {
  for (uint32_t i = 0; i < DK_N_BUILTINS; i++) {
    if (strcmp(table[i].name, name) == 0) {
      *ret = (enum dk_builtin)i;
      return true;
    }
  }
  return false;
}

void dk_builtin_params(enum dk_builtin which, struct dk_builtin_params *ret) {
  *ret = (struct dk_builtin_params){.count = 0};
  const char *at = strchr(table[which].signature, '(') + 1;
  while (*at && *at != ')' && ret->count < DK_BUILTIN_MAX_PARAMS) {
    size_t len = strcspn(at, "?.,)");
    ret->items[ret->count].name = at;
    ret->items[ret->count].len = (uint32_t)len;
    ret->items[ret->count].optional = at[len] == '?';
    ret->items[ret->count].variadic = at[len] == '.';
    ret->count++;
    at += len;
    at += strspn(at, "?.");
    at += strspn(at, ", ");
  }
}

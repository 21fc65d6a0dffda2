/* The words of a plan: see shim.h. Also linked by who writes plans for other processes. */
#include "tests/support/shim/shim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int dk_shim_parse(const char *spec, struct dk_shim_plan *ret) {
  static const struct {
    const char *name;
    int error;
  } errors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS},  {"EINTR", EINTR},
                {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE}, {"EACCES", EACCES}, {"EAGAIN", EAGAIN}};
  char name[16], more = '\0';
  unsigned at;
  memset(ret, 0, sizeof *ret);
  if (!spec) return 0;
  if (sscanf(spec, "%63s %15s %u%c", ret->calls, name, &at, &more) < 3 || at == 0) return -1;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (strcmp(errors[i].name, name) == 0) ret->error = errors[i].error;
  if (ret->error == 0) return -1;
  ret->and_after = more == '+';
  ret->at = at;
  return 0;
}

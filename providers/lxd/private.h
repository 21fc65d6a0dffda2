/* Reading answers, shared by answer.c and list.c. */
#ifndef DK_PROVIDERS_LXD_PRIVATE_H
#define DK_PROVIDERS_LXD_PRIVATE_H

#include "providers/lxd/api.h"

#include "engine/net/json.h"

/* The answer's metadata in *ret, with FINE; else words. The document is finished by the caller, in any case; `ret` is a
 * place in it. */
enum dk_lxd_reason dk_lxd_open(const struct dk_lxd_answer *answer, struct dk_json *document, struct dk_json *ret,
                               struct dk_error *error);
/* What a failure to read, -EBADMSG or -ENOMEM, comes to. */
enum dk_lxd_reason dk_lxd_unread(int r);

/* A text that must be there, not be empty, and fit. 0, -EBADMSG with words. */
int dk_lxd_copy_text(const struct dk_json *in, const char *name, char *ret, size_t size, struct dk_error *error);
/* One that may be missing, and is cut. */
void dk_lxd_copy_some(const struct dk_json *in, const char *name, char *ret, size_t size);

#define COPY_TEXT(in, name, field, error) dk_lxd_copy_text(in, name, field, sizeof(field), error)
#define COPY_SOME(in, name, field) dk_lxd_copy_some(in, name, field, sizeof(field))

#endif

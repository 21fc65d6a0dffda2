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

#define COPY_TEXT(in, name, field, error) dk_json_copy_text(in, name, field, sizeof(field), error)
#define COPY_SOME(in, name, field) dk_json_copy_some(in, name, field, sizeof(field))

#endif

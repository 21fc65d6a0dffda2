/* Reading answers, shared by answer.c, token.c and list.c. */
#ifndef DK_PROVIDERS_OPENSTACK_PRIVATE_H
#define DK_PROVIDERS_OPENSTACK_PRIVATE_H

#include "engine/net/json.h"
#include "providers/openstack/api.h"

/* FINE: a document of 2xx, which the caller finishes in any case. Else words. */
enum dk_cloud_failure dk_openstack_open(const struct dk_http_answer *answer, struct dk_json *document,
                                        struct dk_error *error);
/* A list of objects has a next page (`LIST_links`, with rel "next"). */
bool dk_openstack_has_next(const struct dk_json *document, const char *links);
/* An id that can be put into a path and a header. 0, -EBADMSG with words. */
int dk_openstack_copy_id(const struct dk_json *in, const char *name, char *ret, size_t size, struct dk_error *error);

#define COPY_ID(in, name, field, error) dk_openstack_copy_id(in, name, field, sizeof(field), error)

#endif

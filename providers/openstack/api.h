/* The APIs of OpenStack: what is sent to Keystone, Nova, Glance and Neutron, and what their answers say. Pure. Sources:
 * docs.openstack.org/api-ref (identity v3, compute, image v2, network v2.0), and the services' own code where that says
 * less.
 *
 * - Nova is asked with microversion 2.69 (Stein, 2019): the first one with which a list names servers of a part of the
 *   cloud that does not answer (api-guide, "Handling Down Cells"); before it they are left out, as if they were gone.
 *   They are left out of a list with any filter, limit or order, too. So all servers of the project are listed, and
 *   ours are told by their metadata here; only pages behind the first have a marker.
 * - Nova has no idempotency token, and names are not unique: a create that is sent twice makes two.
 * - Only answers in the services' own form refuse something. A page (of a proxy, a portal, Apache before Keystone) says
 *   nothing of what was asked: TRANSIENT. */
#ifndef DK_PROVIDERS_OPENSTACK_API_H
#define DK_PROVIDERS_OPENSTACK_API_H

#include "engine/drive/cloud.h"
#include "engine/net/http.h"

#define DK_OPENSTACK_MICROVERSION "2.69"
#define DK_OPENSTACK_STORE "dkrun-store" /* metadata: the store's id in hex */
#define DK_OPENSTACK_OWNER "dkrun-owner" /* metadata: who made it, for people */
#define DK_OPENSTACK_TAG "dkrun"         /* for people: openstack server list --tags dkrun */
/* Bytes of user data in base64 (nova/api/openstack/compute/schemas/servers.py: maxLength). */
#define DK_OPENSTACK_USER_DATA_MOST 65535u

#define DK_OPENSTACK_ID 65u /* bytes, NUL included; as the other ones */
#define DK_OPENSTACK_NAME 256u
#define DK_OPENSTACK_URL 512u

enum dk_openstack_service {
  DK_OPENSTACK_IDENTITY, /* at the address that people gave */
  DK_OPENSTACK_COMPUTE,
  DK_OPENSTACK_IMAGE,
  DK_OPENSTACK_NETWORK,
  DK_OPENSTACK_N_SERVICES,
};

/* Who we are, in the words of clouds.yaml; NULL: not given. A password, or an application credential (its id, or its
 * name and the user), whose project is its own. */
struct dk_openstack_who {
  const char *auth_url, *region, *interface; /* interface: "public", "internal", "admin" */
  const char *user_name, *user_id, *user_domain_name, *user_domain_id, *password;
  const char *project_name, *project_id, *project_domain_name, *project_domain_id;
  const char *credential_id, *credential_name, *credential_secret;
};

/* What is sent. Both: 0; -EINVAL with words, -ENOMEM. */

/* POST /v3/auth/tokens */
int dk_openstack_login_body(const struct dk_openstack_who *who, struct dk_buf *ret, struct dk_error *error);

struct dk_openstack_machine {
  const char *name, *flavor, *image, *network; /* flavor, image, network: ids */
  const char *security_group;                  /* a name; NULL: the project's default one */
  const char *store, *owner, *user_data;       /* owner: NULL: not said */
  uint64_t disk; /* bytes of a volume that it boots from, and that goes with it; 0: the flavor's own disk */
};
/* POST /servers */
int dk_openstack_machine_body(const struct dk_openstack_machine *machine, struct dk_buf *ret, struct dk_error *error);

/* What is answered. All of these: FINE and *ret, else *ret is empty and `error` has words, negative code included.
 * `answer` has a status; its label begins all words. Texts of *ret are as the service sent them, bounded: whoever shows
 * them escapes them. */

/* 201 of /v3/auth/tokens. The endpoints are those of one region: `who`'s, else the only one that there is. */
struct dk_openstack_token {
  char user[DK_OPENSTACK_NAME], project[DK_OPENSTACK_NAME], region[DK_OPENSTACK_NAME];
  char url[DK_OPENSTACK_N_SERVICES][DK_OPENSTACK_URL]; /* with the API's version, without "/" behind it */
};
enum dk_cloud_failure dk_openstack_read_token(const struct dk_http_answer *answer, const struct dk_openstack_who *who,
                                              struct dk_openstack_token *ret, struct dk_error *error);

/* 202 of POST /servers */
enum dk_cloud_failure dk_openstack_read_created(const struct dk_http_answer *answer, char ret_id[DK_OPENSTACK_ID],
                                                struct dk_error *error);

/* Of DELETE /servers/ID. Nova says "Instance ID could not be found": a path that it does not know is a 404 of its own
 * form, too (nova/api/openstack/wsgi.py), and so is a proxy's. */
enum dk_cloud_failure dk_openstack_read_deleted(const struct dk_http_answer *answer, const char *id,
                                                bool *ret_is_absent, struct dk_error *error);

struct dk_openstack_server {
  char id[DK_OPENSTACK_ID], name[DK_OPENSTACK_NAME], store[DK_OPENSTACK_ID], owner[DK_OPENSTACK_NAME];
  char address[46]; /* by inet_pton: a floating one, else IPv4, else IPv6; "": none yet */
  char words[DK_OPENSTACK_NAME];
  enum dk_instance_state state;
  int64_t created; /* Unix seconds; 0: not known */
};
struct dk_openstack_servers {
  struct dk_openstack_server *items; /* owned: those with a store's id */
  uint32_t n;
  bool has_hidden;            /* of some the cloud cannot say now whose they are */
  char next[DK_OPENSTACK_ID]; /* marker of the next page; "": that was all */
};
/* GET /servers/detail */
enum dk_cloud_failure dk_openstack_read_servers(const struct dk_http_answer *answer, struct dk_openstack_servers *ret,
                                                struct dk_error *error);
void dk_openstack_servers_finish(struct dk_openstack_servers *servers);

struct dk_openstack_flavor {
  char id[DK_OPENSTACK_NAME], name[DK_OPENSTACK_NAME];
  uint32_t cpus;
  uint64_t memory, disk; /* bytes; disk 0: it boots from volumes */
};
struct dk_openstack_flavors {
  struct dk_openstack_flavor *items; /* owned */
  uint32_t n;
  char next[DK_OPENSTACK_NAME];
};
/* GET /flavors/detail */
enum dk_cloud_failure dk_openstack_read_flavors(const struct dk_http_answer *answer, struct dk_openstack_flavors *ret,
                                                struct dk_error *error);
void dk_openstack_flavors_finish(struct dk_openstack_flavors *flavors);

/* What of a list can be used: images that are active; networks that are not the way out, unless `name` is theirs. */
struct dk_openstack_found {
  uint32_t n;
  char id[DK_OPENSTACK_ID], name[DK_OPENSTACK_NAME]; /* of the first */
  char names[300];                                   /* of all, for people, cut */
};
/* GET /v2/images?name=, /v2/images/ID: a 404 of the second one is none found */
enum dk_cloud_failure dk_openstack_read_images(const struct dk_http_answer *answer, struct dk_openstack_found *ret,
                                               struct dk_error *error);
/* GET /v2.0/networks */
enum dk_cloud_failure dk_openstack_read_networks(const struct dk_http_answer *answer, const char *name,
                                                 struct dk_openstack_found *ret, struct dk_error *error);

/* GET /limits. -1: no limit. */
struct dk_openstack_limits {
  int64_t machines, machines_used, cpus, cpus_used, memory, memory_used; /* memory in MiB */
};
enum dk_cloud_failure dk_openstack_read_limits(const struct dk_http_answer *answer, struct dk_openstack_limits *ret,
                                               struct dk_error *error);

/* What a refusal in a service's own form is about. */
enum dk_cloud_failure dk_openstack_failure_of(int status, const char *words);

#endif

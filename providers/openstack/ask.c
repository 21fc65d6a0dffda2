/* What is sent: see api.h. */
#include "providers/openstack/api.h"

#include "lang/base/alloc.h"
#include "lang/base/base64.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#define GIB (UINT64_C(1) << 30)

static void *json_alloc(size_t size) {
  return dk_alloc(size);
}

/* What is not UTF-8 was refused before: a failure of jansson's is lack of memory. `body` is given away. */
static int dump(json_t *body, struct dk_buf *ret, struct dk_error *error) {
  char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

  if (text) dk_buf_add_text(ret, text);
  bool is_whole = text && dk_buf_ok(ret);
  if (text) explicit_bzero(text, strlen(text));
  dk_free(text);
  json_decref(body);
  return is_whole ? 0 : dk_error_system(error, -ENOMEM, "a request to OpenStack");
}

static int check_texts(const char *const *texts, size_t n, struct dk_error *error) {
  for (size_t i = 0; i < n; i++)
    if (texts[i] && !dk_utf8_is_valid(texts[i], strlen(texts[i])))
      return dk_error_set(error, -EINVAL, "what is sent to OpenStack has to be UTF-8"); /* it may be a password */
  return 0;
}

#define CHECK_TEXTS(texts, error) check_texts(texts, sizeof(texts) / sizeof *(texts), error)

/* {"id": ...}, or {"name": ..., "domain": {...}}: api-ref, identity v3, "Password authentication with scoped
 * authorization". Ids are unique in all domains. Keystone's first domain has the id "default"
 * (keystone/conf/identity.py, default_domain_id): who gives none means that. */
static json_t *named(const char *id, const char *name, const char *domain_id, const char *domain_name) {
  if (id) return json_pack("{ss}", "id", id);
  if (!domain_id && domain_name) return json_pack("{ss s{ss}}", "name", name, "domain", "name", domain_name);
  return json_pack("{ss s{ss}}", "name", name, "domain", "id", domain_id ? domain_id : "default");
}

static json_t *user_of(const struct dk_openstack_who *who) {
  return named(who->user_id, who->user_name, who->user_domain_id, who->user_domain_name);
}

static json_t *login_by_credential(const struct dk_openstack_who *who) {
  if (who->credential_id)
    return json_pack("{s{s{s[s] s{ss ss}}}}", "auth", "identity", "methods", "application_credential",
                     "application_credential", "id", who->credential_id, "secret", who->credential_secret);
  return json_pack("{s{s{s[s] s{ss ss so}}}}", "auth", "identity", "methods", "application_credential",
                   "application_credential", "name", who->credential_name, "secret", who->credential_secret, "user",
                   user_of(who));
}

static json_t *login_by_password(const struct dk_openstack_who *who) {
  json_t *user = user_of(who);
  json_t *project = named(who->project_id, who->project_name, who->project_domain_id, who->project_domain_name);

  if (user && json_object_set_new(user, "password", json_string(who->password)) == 0)
    return json_pack("{s{s{s[s] s{so}} s{so}}}", "auth", "identity", "methods", "password", "password", "user", user,
                     "scope", "project", project);
  json_decref(user);
  json_decref(project);
  return NULL;
}

int dk_openstack_login_body(const struct dk_openstack_who *who, struct dk_buf *ret, struct dk_error *error) {
  const char *const texts[] = {
      who->user_name,         who->user_id,       who->user_domain_name, who->user_domain_id,
      who->password,          who->project_name,  who->project_id,       who->project_domain_name,
      who->project_domain_id, who->credential_id, who->credential_name,  who->credential_secret};

  int r = CHECK_TEXTS(texts, error);
  if (r < 0) return r;
  json_set_alloc_funcs(json_alloc, dk_free);
  return dump(who->credential_secret ? login_by_credential(who) : login_by_password(who), ret, error);
}

/* The image's copy on a volume that is deleted with its server: api-ref, compute, "block_device_mapping_v2". */
static json_t *disk_of(const struct dk_openstack_machine *machine) {
  return json_pack("[{ss ss ss si sI sb}]", "source_type", "image", "destination_type", "volume", "uuid",
                   machine->image, "boot_index", 0, "volume_size", (json_int_t)((machine->disk + GIB - 1) / GIB),
                   "delete_on_termination", 1);
}

static json_t *server_of(const struct dk_openstack_machine *machine, const char *user_data) {
  json_t *server = json_pack("{ss ss s[{ss}] ss s{ss ss*} s[s] sb ss*}", "name", machine->name, "flavorRef",
                             machine->flavor, "networks", "uuid", machine->network, "user_data", user_data, "metadata",
                             DK_OPENSTACK_STORE, machine->store, DK_OPENSTACK_OWNER, machine->owner, "tags",
                             DK_OPENSTACK_TAG, "config_drive", 1, "imageRef", machine->disk ? NULL : machine->image);
  bool is_whole = server;

  if (is_whole && machine->disk)
    is_whole = json_object_set_new(server, "block_device_mapping_v2", disk_of(machine)) == 0;
  if (is_whole && machine->security_group)
    is_whole =
        json_object_set_new(server, "security_groups", json_pack("[{ss}]", "name", machine->security_group)) == 0;
  if (is_whole) return server;
  json_decref(server);
  return NULL;
}

int dk_openstack_machine_body(const struct dk_openstack_machine *machine, struct dk_buf *ret, struct dk_error *error) {
  const char *const texts[] = {machine->name,           machine->flavor, machine->image, machine->network,
                               machine->security_group, machine->store,  machine->owner};
  dk_autobuf user_data = DK_BUF_INIT;

  int r = CHECK_TEXTS(texts, error);
  if (r < 0) return r;
  dk_base64_add(&user_data, machine->user_data, strlen(machine->user_data));
  if (!dk_buf_ok(&user_data)) return dk_error_system(error, -ENOMEM, "a request to OpenStack");
  if (user_data.len > DK_OPENSTACK_USER_DATA_MOST)
    return dk_error_set(error, -EINVAL, "the boot script has %zu bytes in base64, and Nova takes %u", user_data.len,
                        DK_OPENSTACK_USER_DATA_MOST);
  json_set_alloc_funcs(json_alloc, dk_free);
  json_t *server = server_of(machine, dk_buf_text(&user_data));
  return dump(server ? json_pack("{so}", "server", server) : NULL, ret, error);
}

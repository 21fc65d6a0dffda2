/* Where the server is, and who we are there: the settings of a provider of kind `lxd`. See lxd.h. */
#include "providers/lxd/lxd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct dk_schema_field fields[] = {
    {"socket", DK_KIND_TEXT, false, false, "the path of its unix socket",
     "the server of this machine; found by itself"},
    {"url", DK_KIND_TEXT, false, false, "an address such as \"https://lab.example:8443\"", "the server elsewhere"},
    {"cert", DK_KIND_FILE, false, false, "the path of a certificate in PEM", "who we are; `url` wants it"},
    {"key", DK_KIND_FILE, false, false, "the path of its private key in PEM", "of `cert`"},
    {"server_cert", DK_KIND_FILE, false, false, "the path of a certificate in PEM",
     "the server's own: no other one is believed; without it an authority must have signed that"},
    {"project", DK_KIND_TEXT, false, false, "the name of a project there", "where machines are made; \"default\""},
    {"profile", DK_KIND_TEXT, false, false, "the name of a profile there",
     "networks, disks, and limits of machines; \"default\""},
    {"pool", DK_KIND_TEXT, false, false, "the name of a storage pool there",
     "of machines' disks, with the size of the shape; as the profile has it"},
};
const struct dk_schema dk_lxd_schema = {"a provider of kind `lxd`", fields, sizeof fields / sizeof *fields};

/* Those of snaps, of packages, and of Incus. */
static const char *find_socket(void) {
  static const char *const paths[] = {"/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket",
                                      "/var/lib/incus/unix.socket", "/run/incus/unix.socket"};

  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (access(paths[i], F_OK) == 0) return paths[i];
  return NULL;
}

static int open_url(struct dk_cloud_site *site, const struct dk_cloud_config *config, struct dk_error *error) {
  site->cert_file = dk_cloud_setting(config, "cert");
  site->key_file = dk_cloud_setting(config, "key");
  site->pin_file = dk_cloud_setting(config, "server_cert");
  if (strncmp(site->url, "https://", 8) != 0)
    return dk_error_set(error, -EINVAL, "`url` has to begin with https://, not to be `%.100s`", site->url);
  if (!site->cert_file || !site->key_file)
    return dk_error_set(
        error, -EINVAL,
        "`url` wants `cert` and `key`, by which the server knows us\nhelp: ~/.config/lxc/client.crt and "
        "client.key are those of `lxc`");
  return 0;
}

static int keep_all(struct dk_cloud_site *site, struct dk_error *error) {
  struct dk_lxd_site *own = site->own;
  const char **const texts[] = {&site->url,      &site->unix_socket, &site->cert_file, &site->key_file,
                                &site->pin_file, &own->project,      &own->profile,    &own->pool};
  dk_autobuf where = DK_BUF_INIT;

  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const char *kept = *texts[i] ? dk_cloud_keep(&site->texts, *texts[i]) : NULL;
    if (*texts[i] && !kept) return dk_error_system(error, -ENOMEM, "its settings");
    *texts[i] = kept;
  }
  const char *at = site->unix_socket ? site->unix_socket : site->url;
  dk_buf_printf(&where, "%s, project %s", at, own->project);
  site->where = dk_buf_ok(&where) ? dk_cloud_keep(&site->texts, where.data) : NULL;
  return site->where ? 0 : dk_error_system(error, -ENOMEM, "its settings");
}

int dk_lxd_open_site(struct dk_cloud_site *site, const struct dk_cloud_config *config, struct dk_error *error) {
  struct dk_lxd_site *own = site->own;
  int r = 0;

  site->url = dk_cloud_setting(config, "url");
  site->unix_socket = dk_cloud_setting(config, "socket");
  own->project = dk_cloud_setting(config, "project");
  own->profile = dk_cloud_setting(config, "profile");
  own->pool = dk_cloud_setting(config, "pool");
  if (!own->project) own->project = "default";
  if (!own->profile) own->profile = "default";
  if (site->url && site->unix_socket)
    return dk_error_set(error, -EINVAL, "`url` and `socket` are two servers: one of them has to go");
  if (site->url) {
    r = open_url(site, config, error);
  } else {
    if (!site->unix_socket) site->unix_socket = find_socket();
    if (!site->unix_socket)
      return dk_error_set(error, -ENOENT,
                          "there is no LXD and no Incus on this machine\nhelp: `socket` says where its socket is, or "
                          "`url` which server elsewhere");
    site->url = "http://lxd";
  }
  return r < 0 ? r : keep_all(site, error);
}

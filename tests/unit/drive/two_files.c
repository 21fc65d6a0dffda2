/* See two_files.h. */
#include "tests/unit/drive/two_files.h"

#include "engine/sys/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char room[64];

const char *at(const char *name) {
  static char path[4][256];
  static unsigned i;
  i = (i + 1) % 4;
  snprintf(path[i], sizeof path[i], "%s/%s", room, name);
  return path[i];
}

int set_up(void **state) {
  (void)state;
  strcpy(room, "/tmp/dk-hosts-XXXXXX");
  assert_non_null(mkdtemp(room));
  assert_int_equal(dk_fs_mkdirs(at("config/dkrun"), 0700, NULL), 0);
  assert_int_equal(dk_fs_mkdirs(at("repo"), 0700, NULL), 0);
  setenv("HOME", at("home"), 1);
  return setenv("XDG_CONFIG_HOME", at("config"), 1);
}

int tear_down(void **state) {
  (void)state;
  return dk_fs_remove_tree(room, NULL);
}

void put(const char *name, const char *text) {
  if (text)
    assert_int_equal(dk_fs_write(at(name), text, strlen(text), 0600, false, NULL), 0);
  else
    unlink(at(name));
}

void put_both(const char *user, const char *root) {
  put("config/dkrun/providers.dk", user);
  put("repo/providers.dk", root);
}

/* "lab.h1 ssh leave=2 gpus=1 nice=10 hours=... mixed root=/x user=u port=1 config=f yours:1 repository:2" */
/* What hosts and machines of a cloud have both. */
static void add_config(const struct dk_host_config *c, const struct dk_hours *hours, bool mixed, struct dk_buf *out) {
  if (c->leave) dk_buf_printf(out, " leave=%u", c->leave);
  if (c->most_gpus != UINT32_MAX) dk_buf_printf(out, " gpus=%u", c->most_gpus);
  if (c->nice) dk_buf_printf(out, " nice=%d", c->nice);
  if (hours->n) dk_buf_printf(out, " hours=%s", hours->text);
  if (mixed) dk_buf_add_text(out, " mixed");
  if (c->root) dk_buf_printf(out, " root=%s", c->root);
  if (c->user) dk_buf_printf(out, " user=%s", c->user);
  if (c->port) dk_buf_printf(out, " port=%u", c->port);
  if (c->ssh_config) dk_buf_printf(out, " config=%s", c->ssh_config + strlen(room));
}

static void add_lines(uint32_t user_line, uint32_t root_line, struct dk_buf *out) {
  if (user_line) dk_buf_printf(out, " yours:%u", user_line);
  if (root_line) dk_buf_printf(out, " repository:%u", root_line);
  dk_buf_add_char(out, '\n');
}

static void add_entry(const struct dk_hosts_entry *entry, struct dk_buf *out) {
  const struct dk_host_config *c = &entry->config;
  dk_buf_printf(out, "%s.%s %s", c->provider, c->name, entry->provider->kind);
  add_config(c, &entry->hours, entry->mixed, out);
  add_lines(entry->user_line, entry->root_line, out);
}

/* "lab cloud debian-12 4x idle=300s boot=600s image=torch/20/01234567 small:2/0/4/10/100000USD where=x ... yours:1":
 * of an image the bytes of its setup, and its digest; of a shape: cpus, gpus,
 * GiB of memory and of disk, price */
static void add_cloud(const struct dk_cloud_entry *entry, struct dk_buf *out) {
  assert_string_equal(entry->host.provider, entry->config.provider);
  assert_null(entry->host.name);
  dk_buf_printf(out, "%s %s %s %ux idle=%llus boot=%llus", entry->config.provider, entry->provider->kind,
                entry->image.from, entry->max_instances, (unsigned long long)(entry->idle_ns / 1000000000u),
                (unsigned long long)(entry->boot_ns / 1000000000u));
  if (entry->image.setup)
    dk_buf_printf(out, " image=%s/%zu/%.8s", entry->image.name, strlen(entry->image.setup), entry->image.digest);
  for (uint32_t i = 0; i < entry->n_shapes; i++) {
    const struct dk_shape *s = &entry->shapes[i];
    dk_buf_printf(out, " %s:%u/%u/%llu/%llu/", s->name, s->cpus, s->gpus, (unsigned long long)(s->memory >> 30),
                  (unsigned long long)(s->disk >> 30));
    if (s->price == UINT64_MAX)
      dk_buf_printf(out, "?%s", s->currency);
    else
      dk_buf_printf(out, "%llu%s", (unsigned long long)s->price, s->currency);
  }
  for (uint32_t i = 0; i < entry->config.n_settings; i++) {
    const struct dk_cloud_setting *setting = &entry->config.settings[i];
    bool is_in_room = strncmp(setting->value, room, strlen(room)) == 0;
    dk_buf_printf(out, " %s=%s", setting->name, setting->value + (is_in_room ? strlen(room) : 0));
  }
  add_config(&entry->host, &entry->hours, entry->mixed, out);
  if (entry->lost_after_ns) dk_buf_printf(out, " lost=%llus", (unsigned long long)(entry->lost_after_ns / 1000000000u));
  add_lines(entry->user_line, entry->root_line, out);
}

/* "E0224 yours 1:24 message" a line for each. */
static void add_diags(const struct dk_diags *diags, const char *whose, struct dk_buf *out) {
  for (uint32_t i = 0; diags && i < diags->count; i++) {
    const struct dk_diag *diag = diags->items[i];
    struct dk_place place = dk_sources_place(diags->sources, diag->span.start);
    dk_buf_printf(out, "%s %s %u:%u %s\n", dk_code_name(diag->code), whose, place.line, place.column, diag->message);
  }
}

void load_as(enum dk_hosts_trust trust, struct dk_buf *out) {
  struct dk_hosts hosts;
  struct dk_error error = {0};
  int r = dk_hosts_load_as(at("repo"), trust, &hosts, &error);
  if (r == -EINVAL && (dk_hosts_diags(&hosts, DK_HOSTS_USER) || dk_hosts_diags(&hosts, DK_HOSTS_ROOT))) {
    add_diags(dk_hosts_diags(&hosts, DK_HOSTS_USER), "yours", out);
    add_diags(dk_hosts_diags(&hosts, DK_HOSTS_ROOT), "repository", out);
    assert_non_null(strstr(error.text, "help: "));
  } else if (r < 0) {
    dk_buf_printf(out, "%d %s\n", r, error.text);
  }
  for (uint32_t i = 0; r == 0 && i < hosts.n; i++) add_entry(&hosts.items[i], out);
  for (uint32_t i = 0; r == 0 && i < hosts.n_clouds; i++) add_cloud(&hosts.clouds[i], out);
  dk_hosts_finish(&hosts);
}

void check(const struct row *rows, size_t n, enum dk_hosts_trust trust) {
  for (size_t i = 0; i < n; i++) {
    dk_autobuf got = DK_BUF_INIT;
    put_both(rows[i].user, rows[i].root);
    load_as(trust, &got);
    if (strcmp(dk_buf_text(&got), rows[i].want) != 0)
      fail_msg("row %zu\n%s\n--\n%s\n-- gives\n%s-- not\n%s", i, rows[i].user ? rows[i].user : "(none)",
               rows[i].root ? rows[i].root : "(none)", dk_buf_text(&got), rows[i].want);
  }
}

/* A task's environment and this machine's identity: see environment.h. */
#include "engine/drive/environment.h"

#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <string.h>
#include <sys/utsname.h>

static const char *const from_caller[] = {
    "PATH",     "HOME",      "USER",       "LOGNAME",     "SHELL",     "http_proxy", "https_proxy", "ftp_proxy",
    "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY",   "ALL_PROXY",
};
static const struct {
  const char *name, *value;
} fixed[] = {{"LC_ALL", "C.UTF-8"}, {"TZ", "UTC"}, {"PYTHONUNBUFFERED", "1"}};

/* A line KEY=value of os-release(5), without its end; NULL: there is none. */
static const char *release_field(const char *text, const char *name, size_t *ret_len) {
  size_t len = strlen(name);

  for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    if (strncmp(line, name, len) != 0 || line[len] != '=') continue;
    *ret_len = strcspn(line, "\n");
    return line;
  }
  return NULL;
}

static void add_release_field(struct dk_hasher *hasher, const char *text, const char *name) {
  size_t len = 0;
  const char *line = release_field(text, name, &len);

  if (line)
    dk_hasher_add_bytes(hasher, line, len);
  else
    dk_hasher_add_text(hasher, NULL);
}

static int read_release(struct dk_buf *ret, struct dk_error *error) {
  int r = dk_fs_read("/etc/os-release", 1 << 16, ret, error);
  if (r < 0) dk_buf_clear(ret);
  return r;
}

static void digest(const char *arch, const char *release, const char *libc, struct dk_digest *ret) {
  struct dk_hasher hasher;

  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, "host environment 1");
  dk_hasher_add_text(&hasher, arch);
  add_release_field(&hasher, release, "ID");
  add_release_field(&hasher, release, "VERSION_ID");
  dk_hasher_add_text(&hasher, libc);
  dk_hasher_get(&hasher, ret);
}

int dk_environment_id(struct dk_digest *ret, struct dk_error *error) {
  struct utsname system = {0};
  dk_autobuf release = DK_BUF_INIT;

  uname(&system);
  int r = read_release(&release, error);
  /* Not there: a system without a name. Anything else would give every task another key, for now. */
  if (r < 0 && r != -ENOENT) return dk_error_prefix(error, "finding out what system this is");
  digest(system.machine, dk_buf_text(&release), gnu_get_libc_version(), ret);
  return 0;
}

static void add_release_text(struct dk_buf *out, const char *text, const char *name) {
  size_t len = 0, skip = strlen(name) + 1;
  const char *line = release_field(text, name, &len);

  if (!line) return;
  line += skip;
  len -= skip;
  if (len > 1 && (line[0] == '"' || line[0] == '\'') && line[len - 1] == line[0]) {
    line++;
    len -= 2;
  }
  dk_buf_add_char(out, ' ');
  dk_buf_add(out, line, len);
}

static void add_text(struct dk_buf *out, const char *arch, const char *release, const char *libc) {
  bool is_glibc = *libc >= '0' && *libc <= '9';

  dk_buf_printf(out, "%s,", arch);
  add_release_text(out, release, "ID");
  add_release_text(out, release, "VERSION_ID");
  dk_buf_printf(out, "%s %s%s", *release ? "," : "", is_glibc ? "glibc " : "", libc);
}

void dk_environment_text(struct dk_buf *out) {
  struct utsname system = {0};
  dk_autobuf release = DK_BUF_INIT;

  uname(&system);
  (void)read_release(&release, NULL);
  add_text(out, system.machine, dk_buf_text(&release), gnu_get_libc_version());
}

void dk_environment_of_host(const struct dk_host_facts *facts, struct dk_digest *ret, struct dk_buf *ret_text) {
  digest(facts->arch, facts->release, facts->libc, ret);
  add_text(ret_text, facts->arch, facts->release, *facts->libc ? facts->libc : "unknown libc");
}

/* Later names win: an `env` of the task replaces what was set before it. */
static int set(struct dk_pair *pairs, uint32_t *n, const char *name, const char *value) {
  char *copy = dk_strdup(value);

  if (!copy) return -ENOMEM;
  for (uint32_t i = 0; i < *n; i++) {
    if (strcmp(pairs[i].name, name) == 0) {
      dk_free(pairs[i].value);
      pairs[i].value = copy;
      return 0;
    }
  }
  pairs[*n].name = dk_strdup(name);
  pairs[*n].value = copy;
  if (!pairs[(*n)++].name) return -ENOMEM;
  return 0;
}

/* NULL: not set. */
static const char *find(char *const *variables, const char *name) {
  size_t len = strlen(name);

  for (; *variables; variables++)
    if (strncmp(*variables, name, len) == 0 && (*variables)[len] == '=') return *variables + len + 1;
  return NULL;
}

static int copy(struct dk_pair *pairs, uint32_t *n, char *const *variables, const char *name) {
  const char *value = find(variables, name);

  return value ? set(pairs, n, name, value) : 0;
}

int dk_environment_of(const struct dk_order *order, char *const *variables, bool is_remote, struct dk_pair **ret,
                      uint32_t *ret_n, struct dk_error *error) {
  size_t most = sizeof from_caller / sizeof *from_caller + sizeof fixed / sizeof *fixed + order->n_pass +
                order->n_secrets + order->n_env;
  struct dk_pair *pairs = dk_calloc(most, sizeof *pairs);
  uint32_t n = 0;
  int r = pairs ? 0 : -ENOMEM;

  for (size_t i = 0; r == 0 && !is_remote && i < sizeof from_caller / sizeof *from_caller; i++)
    r = copy(pairs, &n, variables, from_caller[i]);
  for (size_t i = 0; r == 0 && i < sizeof fixed / sizeof *fixed; i++) r = set(pairs, &n, fixed[i].name, fixed[i].value);
  for (uint32_t i = 0; r == 0 && i < order->n_pass; i++) r = copy(pairs, &n, variables, order->pass[i]);
  for (uint32_t i = 0; r == 0 && i < order->n_env; i++) r = set(pairs, &n, order->env_names[i], order->env_values[i]);
  for (uint32_t i = 0; r == 0 && i < order->n_secrets; i++) {
    const char *value = find(variables, order->secrets_from[i]);
    r = value ? set(pairs, &n, order->secrets[i], value) : -ENOENT;
    if (r == -ENOENT)
      dk_error_set(error, r, "the secret `%s` is not set\nhelp: set it where dkrun is started: %s=... dkrun run",
                   order->secrets_from[i], order->secrets_from[i]);
  }
  if (r < 0) {
    if (r == -ENOMEM) dk_error_system(error, r, "composing a task's environment");
    dk_environment_finish(pairs, n);
    return r;
  }
  *ret = pairs;
  *ret_n = n;
  return 0;
}

void dk_environment_finish(struct dk_pair *pairs, uint32_t n) {
  for (uint32_t i = 0; pairs && i < n; i++) {
    dk_free(pairs[i].name);
    dk_free(pairs[i].value);
  }
  dk_free(pairs);
}

/* See program.h. */
#include "providers/ssh/program.h"

#include "lang/base/alloc.h"
#include "lang/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CHUNK (64u << 10)
#define SIZE_MAX_PROGRAM (256u << 20) /* what is larger is no agent */

static const char *const known[] = {"x86_64", "aarch64"};

/* One name a processor, whatever a system calls it; NULL: none that agents are built for. */
static const char *canonical(const char *arch) {
  if (strcmp(arch, "amd64") == 0) return known[0];
  if (strcmp(arch, "arm64") == 0) return known[1];
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(arch, known[i]) == 0) return known[i];
  return NULL;
}

static void add_path(struct dk_buf *out, const char *agent_program, const char *arch, bool is_here) {
  const char *slash = strrchr(agent_program, '/');

  dk_buf_clear(out);
  if (is_here)
    dk_buf_add_text(out, agent_program);
  else
    dk_buf_printf(out, "%.*sdkagent-%s", slash ? (int)(slash - agent_program + 1) : 0, agent_program, arch);
}

static int lacks(const char *agent_program, const char *arch, const char *here, struct dk_error *error) {
  dk_autobuf have = DK_BUF_INIT, path = DK_BUF_INIT;

  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    bool is_here = strcmp(known[i], here) == 0;
    add_path(&path, agent_program, known[i], is_here);
    if (access(dk_buf_text(&path), R_OK) == 0) dk_buf_printf(&have, "%s%s", have.len > 0 ? ", " : "", known[i]);
  }
  if (!canonical(arch))
    return dk_error_set(error, -EOPNOTSUPP, "its processor is of the kind %s; there is an agent for %s", arch,
                        have.len > 0 ? dk_buf_text(&have) : "none");
  add_path(&path, agent_program, canonical(arch), strcmp(canonical(arch), here) == 0);
  return dk_error_set(error, -EOPNOTSUPP,
                      "its processor is of the kind %s, and there is no agent for that here (for: %s)\n"
                      "help: %s is missing; docs/ssh.md says how it is built",
                      canonical(arch), have.len > 0 ? dk_buf_text(&have) : "none", dk_buf_text(&path));
}

static uint32_t cksum_add(uint32_t sum, uint8_t byte) {
  sum ^= (uint32_t)byte << 24;
  for (int bit = 0; bit < 8; bit++) sum = sum << 1 ^ (sum >> 31 ? 0x04c11db7u : 0);
  return sum;
}

/* A table of what cksum_add does to a byte: two megabytes are nothing then. */
static void cksum_table(uint32_t ret[256]) {
  for (unsigned i = 0; i < 256; i++) ret[i] = cksum_add(0, (uint8_t)i);
}

static int read_all(struct dk_ssh_program *program) {
  dk_autofree uint8_t *chunk = dk_alloc(CHUNK);
  struct dk_hasher hasher;
  uint32_t table[256], sum = 0;
  long n;

  if (!chunk) return -ENOMEM;
  cksum_table(table);
  dk_hasher_init(&hasher);
  program->size = 0;
  while ((n = dk_ssh_program_read(program, chunk, CHUNK, program->size)) > 0) {
    dk_hasher_add(&hasher, chunk, (size_t)n);
    for (long i = 0; i < n; i++) sum = sum << 8 ^ table[sum >> 24 ^ chunk[i]];
    program->size += (uint64_t)n;
    if (program->size > SIZE_MAX_PROGRAM) return -EFBIG;
  }
  if (n < 0) return (int)n;
  for (uint64_t len = program->size; len > 0; len >>= 8) sum = sum << 8 ^ table[(sum >> 24 ^ len) & 0xff];
  program->cksum = ~sum;
  dk_hasher_get(&hasher, &program->digest);
  return program->size > 0 ? 0 : -ENOEXEC;
}

int dk_ssh_program_open(const char *agent_program, const char *arch, struct dk_ssh_program *ret,
                        struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  struct utsname system = {0};
  char hex[DK_DIGEST_HEX + 1];

  ret->fd = -1;
  uname(&system);
  const char *wanted = canonical(arch), *here = canonical(system.machine);
  if (!here) here = system.machine;
  if (!wanted && strcmp(arch, here) == 0) wanted = here;
  if (!wanted) return lacks(agent_program, arch, here, error);
  add_path(&path, agent_program, wanted, strcmp(wanted, here) == 0);
  if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "reading the agent program");
  ret->fd = open(dk_buf_text(&path), O_RDONLY | O_CLOEXEC);
  if (ret->fd < 0 && errno == ENOENT) return lacks(agent_program, arch, here, error);
  int r = ret->fd < 0 ? -errno : read_all(ret);
  if (r < 0) {
    dk_ssh_program_close(ret);
    return dk_error_system(error, r, "reading %s", dk_buf_text(&path));
  }
  dk_digest_hex(&ret->digest, hex);
  snprintf(ret->name, sizeof ret->name, "dkagent-%.16s", hex);
  return 0;
}

long dk_ssh_program_read(const struct dk_ssh_program *program, void *data, size_t room, uint64_t offset) {
  ssize_t n;

  do n = pread(program->fd, data, room, (off_t)offset);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : (long)n;
}

void dk_ssh_program_close(struct dk_ssh_program *program) {
  if (program->fd >= 0) close(program->fd);
  program->fd = -1;
}

/* The agent program that is put on a host: the one for its processor among those that were installed with dkrun. */
#ifndef DK_PROVIDERS_SSH_PROGRAM_H
#define DK_PROVIDERS_SSH_PROGRAM_H

#include "lang/base/digest.h"
#include "lang/base/error.h"

#include <stdint.h>

struct dk_ssh_program {
  int fd;                  /* open for reading, close-on-exec; -1: none */
  uint64_t size;           /* bytes */
  uint32_t cksum;          /* as cksum(1) of POSIX computes it */
  struct dk_digest digest; /* SHA-256 of the file */
  char name[32];           /* on the host: "dkagent-" and the digest's first 16 hex digits */
};

/* Opens the program for machines that call themselves `arch` (uname -m), beside `agent_program`, which is for this one,
 * and reads it once. -EOPNOTSUPP, with the processors that there is one for, when there is none. */
int dk_ssh_program_open(const char *agent_program, const char *arch, struct dk_ssh_program *ret,
                        struct dk_error *error);
/* Up to `room` bytes from `offset`: how many, 0 at the end, or negative errno. */
long dk_ssh_program_read(const struct dk_ssh_program *program, void *data, size_t room, uint64_t offset);
void dk_ssh_program_close(struct dk_ssh_program *program); /* NULL-safe of its fd; sets fd to -1 */

#endif

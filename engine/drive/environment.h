/* What a task sees of this machine, and the identity of that. */
#ifndef DK_DRIVE_ENVIRONMENT_H
#define DK_DRIVE_ENVIRONMENT_H

#include "engine/drive/provider.h"
#include "engine/wire/message.h"
#include "lang/base/digest.h"
#include "lang/plan/plan.h"

/* Identity of the environment that no image describes: architecture, distribution with its version, libc. Packages that
 * are installed later do not change it; `dkrun plan` says so. */
int dk_environment_id(struct dk_digest *ret, struct dk_error *error);
/* The same for people: "x86_64, debian 12, glibc 2.36". */
void dk_environment_text(struct dk_buf *out);
/* Both of another machine. */
void dk_environment_of_host(const struct dk_host_facts *facts, struct dk_digest *ret, struct dk_buf *ret_text);

/* The whole environment of a task. `variables`: "NAME=value" of dkrun's caller, ended by NULL. PATH HOME USER LOGNAME
 * SHELL and proxies as dkrun's caller has them (not when `is_remote`: they are those of the machine that it goes to),
 * LC_ALL=C.UTF-8 TZ=UTC PYTHONUNBUFFERED=1, what `pass` names, secrets,
 * then `env`. -ENOENT: a secret is not set. *ret is freed with dk_environment_finish. */
int dk_environment_of(const struct dk_order *order, char *const *variables, bool is_remote, struct dk_pair **ret,
                      uint32_t *ret_n, struct dk_error *error);
void dk_environment_finish(struct dk_pair *pairs, uint32_t n);

#endif

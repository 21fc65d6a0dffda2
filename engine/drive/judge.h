/* Another machine, seen from this one: may it get tasks, and what should people know of it? */
#ifndef DK_DRIVE_JUDGE_H
#define DK_DRIVE_JUDGE_H

#include "engine/drive/provider.h"
#include "lang/base/buf.h"

/* Results are kept under this machine's environment (environment.h): a host with another one would make others under
 * the same keys, and gets no tasks unless its provider is `mixed`. Appends its system to *ret_system: "x86_64, debian
 * 12, glibc 2.36". 0; -EXDEV with words, or what else is wrong with them. */
int dk_judge_system(const struct dk_host_facts *facts, const char *provider, bool is_mixed, struct dk_buf *ret_system,
                    struct dk_error *error);
/* It is reached by two names: another host of that provider is the same machine. -EXDEV with words for the one that is
 * not used, whose provider is `provider`. */
int dk_judge_twin(const char *provider, const char *twin_provider, const char *twin_name, struct dk_error *error);
/* Its clock is so much ahead of this machine's. 0; -ETIME with words when that is more than clocks differ by. */
int dk_judge_clock(int64_t ahead_ns, struct dk_error *error);

#endif

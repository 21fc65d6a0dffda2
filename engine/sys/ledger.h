/* What of this machine is booked, by whom that has a hand in it: one file for all agents, with byte-range locks of open
 * file descriptions (F_OFD_SETLK). The kernel is the ledger: its file has no content, and a booking lives exactly as
 * long as somebody holds the descriptor over which it was made. So nothing can go stale, whatever is killed.
 *
 * A unit of a pool is a byte: cpu i, GPU i, i-th piece of DK_LEDGER_PIECE bytes of memory. Who books waits in the
 * pool's queue first (a ticket is a byte too, at the time when it was taken); only the first of a queue books. So they
 * come in the order in which they asked, and a wide one is not starved by narrow ones.
 *
 * Every function takes the descriptor: what two processes do over the same one is done by one party. */
#ifndef DK_SYS_LEDGER_H
#define DK_SYS_LEDGER_H

#include "lang/base/buf.h"
#include "lang/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DK_LEDGER_PIECE ((uint64_t)64 << 20)
#define DK_LEDGER_AUTO "auto"
#define DK_LEDGER_SHARED "/run/dkrun"

enum dk_pool { DK_POOL_GPU, DK_POOL_MEMORY, DK_POOL_CPU, DK_POOL_N };

/* $DKRUN_LEDGER where it is set, else DK_LEDGER_AUTO: what dkrun starts its agents with. */
const char *dk_ledger_asked(void);
/* Where it lies. `asked` is an absolute directory (made, 0700, when it is not there), or DK_LEDGER_AUTO:
 * DK_LEDGER_SHARED when the administrator has made it (all users of the machine share it then), else /tmp/dkrun-UID.
 * Not $XDG_RUNTIME_DIR, nor $TMPDIR: a login, cron and what goes on after a logout must mean the same place. A
 * directory of another user is refused (root's is fine). */
int dk_ledger_place(const char *asked, struct dk_buf *ret_dir, struct dk_error *error);
/* Opens the file in `dir`, made when it is not there; a new description each time. The descriptor, or negative errno:
 * also when the file system knows no such locks. */
int dk_ledger_open(const char *dir, struct dk_error *error);

struct dk_range {
  uint32_t first, n;
};
/* How many units of `from` nobody else has booked. */
uint32_t dk_ledger_free(int fd, enum dk_pool pool, const struct dk_range *from, size_t n_from);
/* Books `want` units of `from`. false: there are not so many, and nothing of the pool is held any more. true: booked;
 * the units' numbers are in ret_units (NULL: not wanted). */
bool dk_ledger_take(int fd, enum dk_pool pool, const struct dk_range *from, size_t n_from, uint32_t want,
                    uint32_t *ret_units);

/* Stands in the pool's queue with this ticket; 0: with a new one, which is returned. 0 when there is no memory for a
 * lock. */
uint64_t dk_ledger_queue(int fd, enum dk_pool pool, uint64_t ticket);
bool dk_ledger_is_first(int fd, enum dk_pool pool, uint64_t ticket);
void dk_ledger_leave(int fd, enum dk_pool pool);
/* Does anybody else wait? */
bool dk_ledger_is_wanted(int fd);
/* Gives all back, and leaves every queue. Wakes those who wait. */
void dk_ledger_release(int fd);
/* Readable when something was given back since; to be read empty with dk_ledger_drain. -1: not to be had, look now and
 * then. */
int dk_ledger_watch(int fd);
void dk_ledger_drain(int watch);

#endif

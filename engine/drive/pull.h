/* Contents that come from a host's agent into the objects of this machine. For the files of the engine.
 *
 * Asked for in parts, several at a time, so that a round trip does not matter; what has come stays when the connection
 * is lost, and the rest is asked for in the next session. The content digest is checked before it becomes an object. Of
 * a directory the manifest comes first, then every file that is not here. What is urgent (results wait for it) goes
 * before what is not; otherwise what was asked for first comes first.
 *
 * A host that has it no more, or something else in its place, is taken off the places of that content. */
#ifndef DK_DRIVE_PULL_H
#define DK_DRIVE_PULL_H

#include "engine/drive/fleet.h"

/* `r` 0: the object is there (not synced: whoever records its digest syncs). Negative: it did not come, and `words` say
 * why: -ENOENT, -EBADMSG: the host has it no more; -EHOSTUNREACH: the host is lost; -EREMOTEIO: the host cannot
 * read it now; another one: this machine could not keep it (-ENOSPC), or the host sends something else than it was asked
 * for. Called from the loop, never from within
 * dk_pull. */
typedef void dk_pull_fn(void *ctx, int r, const char *words);

struct dk_pulls;
int dk_pulls_create(struct dk_engine *engine, struct dk_pulls **ret); /* -ENOMEM */
void dk_pulls_destroy(struct dk_pulls *pulls);                        /* nobody is called */

enum dk_pull_order { DK_PULL_IN_TURN, DK_PULL_URGENT };
/* Starts, or joins one that is under way (whatever host that asks). `done` NULL: the engine wants it for itself, and
 * asks again when it needs it (dk_pull_take_failure). 0 or -ENOMEM. */
int dk_pull(struct dk_pulls *pulls, const struct dk_copy *copy, enum dk_pull_order order, dk_pull_fn *done, void *ctx);
/* Whoever asked with this ctx is not called any more. The content comes all the same. */
void dk_pull_forget(struct dk_pulls *pulls, const void *ctx);
/* The same, of one content; when nobody else wants it, it does not come. */
void dk_pull_give_up(struct dk_pulls *pulls, const struct dk_digest *content, const void *ctx);
/* What has come of it so far, and bytes in all as far as they are known; of a directory with its files that were not
 * here. False: it is not under way. */
bool dk_pull_progress(const struct dk_pulls *pulls, const struct dk_digest *content, uint64_t *ret_here,
                      uint64_t *ret_total);
/* Why a content that the engine wanted for itself did not come, told once: not when its host is lost, or has it no
 * more. 0: nothing is known against it. */
int dk_pull_take_failure(struct dk_pulls *pulls, const struct dk_digest *content, struct dk_error *ret);

/* The host's session is open, or its link has room: asks for as much as may be on its way. */
void dk_pull_pump(struct dk_pulls *pulls, struct dk_engine_host *host);
void dk_pull_part(struct dk_pulls *pulls, struct dk_engine_host *host, const struct dk_message *message);
void dk_pull_gone(struct dk_pulls *pulls, struct dk_engine_host *host, const struct dk_message *message);
void dk_pull_down(struct dk_pulls *pulls, struct dk_engine_host *host); /* parts that were asked for are not coming */
void dk_pull_lost(struct dk_pulls *pulls, struct dk_engine_host *host); /* it is not waited for any longer */

#endif

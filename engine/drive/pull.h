/* Contents that come from hosts' agents into the objects of this machine. For the files of the engine.
 *
 * Asked for in parts, several at a time, so that a round trip does not matter; what has come stays when the connection
 * is lost, and the rest is asked for of the next host that has it, or in the next session. The content digest is
 * checked before it becomes an object. Of a directory the manifest comes first, then every file that is not here. What
 * is urgent (results wait for it) goes before what is not; otherwise what was asked for first comes first.
 *
 * Whoever asks names hosts that have it, and all that were named for a content are its sources: one that can be reached
 * is asked, and when it has it no more, sends something else or is lost, the next one. It does not come only when none
 * is left.
 *
 * A host that sends nothing of what it is asked for holds nobody up for ever: its session is given up (fleet.c), which
 * is as if it could not be reached.
 *
 * A host that has it no more, or something else in its place, is taken off the places of that content. */
#ifndef DK_DRIVE_PULL_H
#define DK_DRIVE_PULL_H

#include "engine/drive/fleet.h"

/* An agent reads 256 KiB for an answer, and answers in its order: a way of 2 KiB a second and a disk that sleeps are
 * quicker. Much longer than the silence that ends a connection (link.c), so that one that only stalls is that. */
#define DK_PULL_SILENT_NS UINT64_C(120000000000)

/* `r` 0: the object is there (not synced: whoever records its digest syncs). Negative: it did not come from any source.
 * Then r and `words` are those of the host that was named (dk_pull), or the best that can be said of all
 * (dk_pull_copies). -ENOENT, -EBADMSG: it has it no more; -EHOSTUNREACH: it is lost; -EREMOTEIO: it cannot read it now;
 * -EPROTO: it sends something else than it was asked for, or of another size than was said; another one: this machine
 * could not keep it (-ENOSPC). Called from the loop, never from within dk_pull. */
typedef void dk_pull_fn(void *ctx, int r, const char *words);

struct dk_pulls;
int dk_pulls_create(struct dk_engine *engine, struct dk_pulls **ret); /* -ENOMEM, -EIO: no randomness */
void dk_pulls_destroy(struct dk_pulls *pulls);                        /* nobody is called */

enum dk_pull_order { DK_PULL_IN_TURN, DK_PULL_URGENT };
/* Starts, or joins one that is under way, with the copy's host as one more source. No more than copy->size is taken
 * from it. 0 or -ENOMEM. */
int dk_pull(struct dk_pulls *pulls, const struct dk_copy *copy, enum dk_pull_order order, dk_pull_fn *done, void *ctx);
/* The same, of all hosts that have it as the store knows and that are not lost. `done` NULL: the engine wants it for
 * itself, and asks again when it needs it (dk_pull_take_failure). 0; -ENOENT: there is none; -ENOMEM, or what the store
 * says, with words. */
int dk_pull_copies(struct dk_pulls *pulls, const struct dk_digest *content, bool is_dir, dk_pull_fn *done, void *ctx,
                   struct dk_error *error);
/* Whoever asked with this ctx is not called any more. The content comes all the same. */
void dk_pull_forget(struct dk_pulls *pulls, const void *ctx);
/* The same, of one content; when nobody else wants it, it does not come. */
void dk_pull_give_up(struct dk_pulls *pulls, const struct dk_digest *content, bool is_dir, const void *ctx);

struct dk_pull_progress {
  uint64_t here, total; /* bytes; of a directory with its files that were not here. `here` falls when it begins anew */
  const struct dk_engine_host *host; /* that is asked */
};
bool dk_pull_progress(const struct dk_pulls *pulls, const struct dk_digest *content, bool is_dir,
                      struct dk_pull_progress *ret); /* false: it is not under way */
/* Why a content that the engine wanted for itself did not come, told once: not when its hosts are lost, or have it no
 * more. 0: nothing is known against it. */
int dk_pull_take_failure(struct dk_pulls *pulls, const struct dk_digest *content, struct dk_error *ret);

void dk_pull_up(struct dk_pulls *pulls, struct dk_engine_host *host); /* its session is open */
void dk_pull_part(struct dk_pulls *pulls, struct dk_engine_host *host, const struct dk_message *message);
void dk_pull_gone(struct dk_pulls *pulls, struct dk_engine_host *host, const struct dk_message *message);
void dk_pull_down(struct dk_pulls *pulls, struct dk_engine_host *host); /* parts that were asked for are not coming */
void dk_pull_lost(struct dk_pulls *pulls, struct dk_engine_host *host); /* it is not waited for any longer */
/* When it counts as one that does not send what it is asked for, though its agent may say other things: the first that
 * it was asked for is not answered for DK_PULL_SILENT_NS. UINT64_MAX: it is asked for nothing. */
uint64_t dk_pull_silent_at(struct dk_pulls *pulls, const struct dk_engine_host *host);
/* It is so, and its session is given up (the caller does that). true: so was the last one, and nothing was answered
 * since. */
bool dk_pull_silent(struct dk_pulls *pulls, const struct dk_engine_host *host);

#endif

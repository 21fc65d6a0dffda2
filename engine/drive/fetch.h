/* Contents that come from a host's agent into the objects of this machine. For the files of the engine.
 *
 * Asked for in parts, several at a time, so that a round trip does not matter; what has come stays when the connection
 * is lost, and the rest is asked for in the next session. The content digest is checked before it becomes an object. Of
 * a directory the manifest comes first, then every file that is not here. */
#ifndef DK_DRIVE_FETCH_H
#define DK_DRIVE_FETCH_H

#include "engine/drive/fleet.h"

/* `r` 0: the object is there (not synced: whoever records its digest syncs). Negative: it cannot be had from that host,
 * and `words` say why. Called from the loop, never from within dk_fetch. */
typedef void dk_fetch_fn(void *ctx, int r, const char *words);

struct dk_fetches;
int dk_fetches_create(struct dk_engine *engine, struct dk_fetches **ret); /* -ENOMEM */
void dk_fetches_destroy(struct dk_fetches *fetches);                      /* nobody is called */

/* Starts, or joins one that is under way (whatever host that asks). `done` may be NULL. 0 or -ENOMEM. */
int dk_fetch(struct dk_fetches *fetches, const struct dk_copy *copy, dk_fetch_fn *done, void *ctx);
/* Whoever asked with this ctx is not called any more. The content comes all the same. */
void dk_fetch_forget(struct dk_fetches *fetches, const void *ctx);
bool dk_fetch_is_under_way(const struct dk_fetches *fetches, const struct dk_digest *content);

/* The host's session is open, or its link has room: asks for as much as may be on its way. */
void dk_fetch_pump(struct dk_fetches *fetches, struct dk_engine_host *host);
void dk_fetch_part(struct dk_fetches *fetches, struct dk_engine_host *host, const struct dk_message *message);
void dk_fetch_gone(struct dk_fetches *fetches, struct dk_engine_host *host, const struct dk_message *message);
void dk_fetch_down(struct dk_fetches *fetches,
                   struct dk_engine_host *host); /* parts that were asked for are not coming */
void dk_fetch_lost(struct dk_fetches *fetches, struct dk_engine_host *host); /* it is not waited for any longer */

#endif

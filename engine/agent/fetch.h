/* What held orders wait for: objects that their jobs name and that are not here. They are asked for (LACKS), come in
 * parts (PUT), are checked, and kept; a directory is here when its manifest is and every file that it names.
 *
 * What it keeps true:
 *  - An order gets one fate (dk_fetch_next): its data is here, or will not come and why. After it, or after
 *    dk_fetch_forget, nothing of the order is left here.
 *  - An object is asked for once in a session, by whatever number of orders it is needed; nobody needs it any more: it
 *    is not asked for again, and parts of it that come are dropped. What came of it stays for the next time.
 *  - Nothing becomes an object but what its digest says.
 *  - No call takes long: what does (reading what an earlier transfer left, looking for the files of a directory) is
 *    dk_fetch_work's.
 * Costs: memory for each object that is lacked, and no more than the part at hand of what comes. */
#ifndef DK_AGENT_FETCH_H
#define DK_AGENT_FETCH_H

#include "engine/objects/object.h"
#include "engine/wire/message.h"

struct dk_fetch;

/* Says LACKS to the engine. false: none listens; asked for again by dk_fetch_say. Calls nothing of this header. */
typedef bool dk_fetch_say_fn(void *ctx, const struct dk_digest *digest, uint64_t offset);

int dk_fetch_create(struct dk_fetch **ret, dk_fetch_say_fn *say, void *ctx); /* 0 or -ENOMEM */
void dk_fetch_destroy(struct dk_fetch *fetch);
/* The folder of the objects, made when it is missing (0700). Needed before the first order; again: does nothing. */
int dk_fetch_open(struct dk_fetch *fetch, const char *path, struct dk_error *error);
/* Where they are; NULL: not opened. Only for reading. */
const struct dk_objects *dk_fetch_objects(const struct dk_fetch *fetch);
/* Makes durable what came and what tasks made of it, as far as that can be done: else more is read after a power loss.
 * Nothing new: does nothing. */
void dk_fetch_sync(struct dk_fetch *fetch);

/* What a negative errno means to an order. */
enum dk_refusal dk_fetch_refusal(int code);
/* The order's fate follows. 0; -ENOMEM: it is not here. */
int dk_fetch_order(struct dk_fetch *fetch, struct dk_id id, const struct dk_job *job);
void dk_fetch_forget(struct dk_fetch *fetch, struct dk_id id); /* not here: fine */

void dk_fetch_new_session(struct dk_fetch *fetch); /* nothing was said in it yet */
void dk_fetch_say(struct dk_fetch *fetch);         /* what was not said in this session */
/* A PUT. What is not the next part of something that is lacked is dropped. */
void dk_fetch_part(struct dk_fetch *fetch, const struct dk_digest *digest, uint64_t offset, uint64_t total,
                   const void *bytes, size_t len);
/* A GONE. Nothing waits for it: dropped. */
void dk_fetch_gone(struct dk_fetch *fetch, const struct dk_digest *digest, const char *text);

/* Goes on with what takes long, until then (dk_now_ns). true: there is more. */
bool dk_fetch_work(struct dk_fetch *fetch, uint64_t until_ns);
bool dk_fetch_has_work(const struct dk_fetch *fetch);

struct dk_fate {
  struct dk_id id;
  bool is_here;           /* all of its data is */
  enum dk_refusal reason; /* else why not: DATA (gone at the engine), BAD (no directory), DISK, BUSY (no memory) */
  char text[1000];
};
bool dk_fetch_next(struct dk_fetch *fetch, struct dk_fate *ret); /* false: no fate is decided */

#endif

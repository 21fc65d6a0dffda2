/* The life of rented machines: a pure state machine beside the core. state + event -> state' + records + actions.
 *
 * No system call, clock, thread, global or rand() here; iteration by index only, jitter from a seed: a seed replays
 * exactly. The caller commits the records of a step in one transaction, and does a gated action only then; after a
 * crash, loading the committed records gives the state that was committed (dk_rent_digest). What a machine runs is the
 * core's business: here it is a host number, and how many tasks and unsaved results it has.
 *
 * What is spent is reckoned from the records alone (dk_rent_spent), so that an engine that died leaves no gap in it.
 *
 * **What is kept true.**
 * - Nothing is created or deleted that is not recorded. An instance is made under a name that follows from its record,
 *   so that it is found again whatever broke. One that may have been made is not replaced before it is known not to be.
 * - A pool never has more than max_instances: everything recorded counts, also what is in doubt or ends. (A cloud may
 *   have more, when it does one call twice; the second one is a stranger.) A paid pool has at most one until a task on
 *   it has ended well or lived a minute.
 * - Nothing is ended that has unsaved results, or of which it is not known, unless people say so; nothing is touched
 *   that does not carry this store's id. A record goes only when the cloud is known not to have its instance.
 * - Nothing is paid for without end and without words: what has nothing to do for idle_ns ends, what does not come up
 *   ends, a pool where that happens three times in a row pauses, and of what has to be kept people are told.
 *
 * **What a list proves.** It is of the time when it was asked for, and may be behind that by the pool's lag.
 * - A row proves that the instance was made, whatever the list lacks.
 * - The lack of a row proves nothing when the list is incomplete, or was asked for before the create call was settled
 *   (answered, broken, or left behind by an engine that died).
 * - One in doubt (no id known) is given up when two complete lists lack it that were asked for at least doubt_ns apart,
 *   both after its call was settled: a cloud that makes it later than that makes a stranger.
 * - One with an id is gone when two lists, gets or deletes lack it that were asked for at least again_ns apart, both at
 *   least lag_ns after its call was settled; and not while its agent answers.
 * - A stranger (this store's id, no record) is ended when two lists show it that were asked for at least again_ns
 * apart, and it is older than doubt_ns by the API's own date. Before it is deleted it gets a record.
 *
 * **What is made (fit).** First the instances that have nothing to do, the cheapest first, and then those that are
 * coming, in the order in which they were asked for, each take as many tasks as fit of the needs in their order. What
 * is left goes to pools in their order, each time as an instance of the shape with the lowest price for each task that
 * it takes of the first need that is left; among equals the one that takes more (without a price, a shape costs its
 * processors, 4 GiB of memory counting as one and a GPU as 16, and comes after all with one). The next pool is asked
 * when this one is full, has no such shape, is stopped or pauses, or was refused for quota; it is waited for when it is
 * throttled, has calls_max calls under way, or tries its first one.
 *
 * **Images.** A pool whose image is missing makes one machine, the builder, of its cheapest shape, when a need asks for
 * one that the pool could take; while it is at work, and while the image is sought, the pool is waited for. What is done
 * with the builder is the world's business: AGENT_UP says that it began, IMAGE what came of it, and RELEASE ends it. A
 * builder of an earlier engine is ended. */
#ifndef DK_RENT_RENT_H
#define DK_RENT_RENT_H

#include "engine/rent/event.h"
#include "lang/base/digest.h"
#include "lang/base/error.h"

struct dk_rent;

struct dk_rent_policy {
  uint64_t doubt_ns;       /* default 15 min */
  uint64_t again_ns;       /* default 1 min */
  uint64_t list_soon_ns;   /* while something is coming, in doubt or ending (default 20 s) */
  uint64_t list_ns;        /* while an agent is down, or a stranger is watched (default 1 min) */
  uint64_t list_seldom_ns; /* else, for each pool (default 10 min) */
  uint64_t down_ns;        /* an agent that is down so long does not count as one that takes tasks (default 2 min) */
  uint64_t unused_ns;  /* one that is up, would take some of the demand and is given none is ended (default 10 min) */
  uint64_t backoff_ns; /* after calls that failed: full jitter below this, doubling (default 5 s) */
  uint64_t backoff_max_ns; /* (default 5 min) */
  uint64_t quota_ns;       /* before a pool is asked for more after QUOTA, doubling up to 32 times (default 1 min) */
  uint64_t capacity_ns;    /* before a shape is asked for again after CAPACITY, likewise (default 2 min) */
  uint64_t pause_ns;  /* before a pool is tried again after fails_max failures in a row, likewise (default 10 min) */
  uint32_t fails_max; /* default 3 */
  uint32_t calls_max; /* create calls of a pool under way (default 10) */
  uint32_t max_out;   /* records + actions a step, about (default 1024) */
  bool no_canary;
};
void dk_rent_policy_default(struct dk_rent_policy *ret);

/* The name under which an instance is made: letters, digits and '-', at most 63. */
void dk_rent_name(const uint8_t store[16], uint64_t incarnation, uint32_t number, char ret[DK_RENT_NAME]);

/* `incarnation`: random, this engine's own. 0 or -ENOMEM. */
int dk_rent_create(struct dk_rent **ret, const struct dk_rent_policy *policy, const uint8_t store[16],
                   uint64_t incarnation, uint64_t jitter_seed);
void dk_rent_destroy(struct dk_rent *rent); /* NULL is fine */
/* Records of earlier engines, in any order, before anything else. Of an instance whose pool is not configured nothing
 * is done until it is. 0 or -ENOMEM. */
int dk_rent_load(struct dk_rent *rent, const struct dk_rent_record *records, uint32_t n);

/* 0; -ENOMEM: it is broken and must be thrown away (load a new one: nothing is lost); so must one whose records could
 * not be committed. `seq` is the sequence number that this step's records will be committed under. `now_ns` never
 * decreases; only differences are used. */
int dk_rent_step(struct dk_rent *rent, uint64_t now_ns, uint64_t seq, const struct dk_rent_event *event,
                 struct dk_rent_out *out);
uint64_t dk_rent_deadline(const struct dk_rent *rent); /* when the next TICK is wanted; UINT64_MAX: none */

/* What there is, by number, rising; valid until the next step. */
uint32_t dk_rent_count(const struct dk_rent *rent, uint32_t pool); /* UINT32_MAX: of all, also of unknown pools */
const struct dk_rented *dk_rent_at(const struct dk_rent *rent, uint32_t i);
const struct dk_rented *dk_rent_find(const struct dk_rent *rent, uint32_t number); /* NULL: there is none */
/* It is to be deleted, and its cloud has agreed to that; or its id is not known, so that nothing can be asked yet. */
bool dk_rent_is_going(const struct dk_rent *rent, uint32_t number);
/* Is there a shape of a configured pool that could ever take such a task, and may be made for it? */
bool dk_rent_can(const struct dk_rent *rent, const struct dk_rent_need *need);

/* What all machines of this store have cost until then, those that are gone too. A machine counts from its record until
 * it is known to be gone; one that was never made, or was found nowhere, counts for nothing once that is known. */
struct dk_purse dk_rent_spent(const struct dk_rent *rent, uint64_t unix_ns);

int dk_rent_check(const struct dk_rent *rent, struct dk_error *error);  /* invariants; -EINVAL with the first broken */
void dk_rent_digest(const struct dk_rent *rent, struct dk_digest *ret); /* of what lasts */

void dk_rent_out_clear(struct dk_rent_out *out);
void dk_rent_out_finish(struct dk_rent_out *out);

#endif

/* What the renting of machines takes and gives: events, records, actions. All plain data.
 *
 * A pool is a provider of the user's file that can make machines. An instance is one machine of a pool, from the
 * intent to make it until the cloud is known to have it no more. */
#ifndef DK_RENT_EVENT_H
#define DK_RENT_EVENT_H

#include "engine/rent/money.h"

#include <stdbool.h>
#include <stdint.h>

#define DK_RENT_ID 129u    /* bytes of a cloud's id for an instance, NUL included */
#define DK_RENT_NAME 64u   /* bytes of a name of ours, NUL included: pool, shape, instance */
#define DK_RENT_WHERE 256u /* bytes of where a pool is, NUL included */
#define DK_RENT_NO_PRICE UINT64_MAX
#define DK_RENT_NO_HOST UINT32_MAX

/* How far an instance is. On disk: only add. */
enum dk_rent_state {
  DK_RENT_ASKED = 1,  /* intent: recorded before the create call */
  DK_RENT_DOUBT = 2,  /* the call broke, or the engine died during it: it may exist */
  DK_RENT_MADE = 3,   /* the cloud knows it by an id; it boots */
  DK_RENT_UP = 4,     /* its agent was reached, once at least */
  DK_RENT_ENDING = 5, /* to be deleted: recorded before the delete call. Without an id it is in doubt as well */
};

/* Is there what a pool's machines are made from? */
enum dk_rent_image {
  DK_RENT_IMAGE_THERE,
  DK_RENT_IMAGE_SOUGHT,  /* the world finds out: nothing is made meanwhile */
  DK_RENT_IMAGE_MISSING, /* it is to be made, of a builder */
};

struct dk_rent_shape {
  char name[DK_RENT_NAME];
  uint32_t cpus, gpus;
  uint64_t memory, disk;      /* bytes */
  uint64_t price;             /* 1e-6 of `currency` an hour; DK_RENT_NO_PRICE: unknown */
  char currency[DK_CURRENCY]; /* "": unknown, or recorded by a dkrun that kept none: what it costs is not reckoned */
};

/* What lasts of an instance. */
struct dk_rented {
  uint32_t number;      /* from 1; never used again in a store */
  uint64_t incarnation; /* of the engine that made it: part of its name (dk_rent_name) */
  enum dk_rent_state state;
  char pool[DK_RENT_NAME];
  char where[DK_RENT_WHERE];  /* where that pool was; "": recorded by a dkrun that did not know */
  struct dk_rent_shape shape; /* as it was offered then; of a stranger: zero */
  char id[DK_RENT_ID];        /* the cloud's; "" until it is known */
  uint32_t host;              /* the number under which its agent is dialled; DK_RENT_NO_HOST: not yet */
  uint64_t asked_unix_ns;     /* when it was recorded first: what it costs is reckoned from then on */
  bool is_stranger;           /* found with this store's id, and no record: known by its id alone */
  bool is_leaving;            /* people released it: it gets no more tasks, and ends when it has nothing left */
  bool is_proven;             /* a task on it ended well, or lived a minute */
  bool is_builder;            /* the pool's image is made of it: it gets no tasks, and nothing is lost with it */
};

/* What it has cost until then, of its currency; 0: not known. */
uint64_t dk_rented_cost(const struct dk_rented *rented, uint64_t unix_ns);

/* A pool as it is configured. Borrowed for the call. */
struct dk_rent_pool {
  uint32_t number; /* the world's: the same for the same name and place as long as this engine lives */
  /* Its identity, also on the disk: a name, and where that is (one account and region). A provider that was moved is
   * another pool; what it made before stays in the old one, and no list of the new place says anything of it. What was
   * recorded without a place is of the first one that is configured under its name. Two pools may be of one account. */
  const char *name, *where;
  int32_t order; /* lower first; among equals the lower number */
  uint32_t max_instances;
  uint64_t idle_ns; /* one with nothing to do is kept so long; UINT64_MAX: until people release it */
  uint64_t boot_ns; /* from made to its agent's first word, at most */
  uint64_t lag_ns;  /* lists, gets and deletes may not know what was made or deleted less than this ago; 0: 5 min */
  bool is_paid;     /* one instance has to prove itself before there is a second one */
  enum dk_rent_image image; /* of this configuration, as far as it is known */
  const struct dk_rent_shape *shapes;
  uint32_t n_shapes;
};

/* Tasks of one size that wait for nothing but a machine, and that none which is up takes now. */
struct dk_rent_need {
  uint32_t cpus, gpus; /* cpus 0 counts as 1 */
  uint64_t memory;     /* bytes */
  uint32_t n;
  bool may_pay;               /* a shape with a price above 0 may be made for it */
  char currency[DK_CURRENCY]; /* only of one whose price is in this currency; "": in any */
};

enum dk_rent_event_kind {
  DK_RENT_EV_TICK,
  DK_RENT_EV_GAP,  /* the clock jumped or a turn took long: silence before it proves nothing */
  DK_RENT_EV_POOL, /* configured or changed: what stopped it, and what was said of it, is forgotten */
  /* Not configured any more: nothing new is made, and its instances leave as if people had released them when done. The
   * world goes on doing what is asked for the pool as long as it has instances (dk_rent_count). */
  DK_RENT_EV_POOL_REMOVED,
  DK_RENT_EV_IMAGE, /* what is known of a pool's image now */
  /* Replaces the last one. One that is older than an AGENT_UP, or than a LOAD by which a machine got tasks, creates
   * nothing: the world says it again after these. */
  DK_RENT_EV_DEMAND,
  /* Answers to CREATE: each is answered once, or the engine ends. */
  DK_RENT_EV_CREATED,
  DK_RENT_EV_CREATE_FAILED, /* it is certain that nothing was made */
  DK_RENT_EV_CREATE_DOUBT,
  /* Answers to LIST: a row for each instance that the cloud still has, with this store's id or not, then the end. One
   * that the cloud says is gone for good ("terminated") is no row. */
  DK_RENT_EV_LISTED,
  DK_RENT_EV_LIST_END,
  DK_RENT_EV_GONE, /* a get by id did not find it */
  DK_RENT_EV_DELETE_ANSWERED,
  DK_RENT_EV_HOST, /* the number under which it is dialled */
  DK_RENT_EV_AGENT_UP,
  DK_RENT_EV_AGENT_DOWN,
  DK_RENT_EV_LOAD, /* what its agent, or the engine, knows of its work: after each change, and for each UP after a load
                    */
  /* People: one, a pool, all. Of a pool or all: nothing new is made there until it is configured anew. */
  DK_RENT_EV_RELEASE,
};

enum dk_rent_refusal {
  DK_RENT_QUOTA,     /* the account may have no more of them */
  DK_RENT_CAPACITY,  /* the cloud has none of this shape left */
  DK_RENT_THROTTLED, /* too many calls */
  DK_RENT_DENIED,    /* credentials: nothing will help but people; from before the last POOL: as TRANSIENT */
  DK_RENT_BAD,       /* the request: likewise */
  DK_RENT_TRANSIENT, /* anything else that may pass */
};

enum dk_rent_seen {
  DK_RENT_BOOTING,
  DK_RENT_RUNNING,
  DK_RENT_STOPPED,
  DK_RENT_FAILED, /* it was never made, or it never will run */
  DK_RENT_DELETING,
  DK_RENT_UNKNOWN,
};

enum dk_rent_delete { DK_RENT_ACCEPTED, DK_RENT_NOT_FOUND, DK_RENT_DELETE_FAILED, DK_RENT_DELETE_DOUBT };

#define DK_RENT_ALL 0u /* RELEASE: with `pool` UINT32_MAX every instance, else all of the pool */

struct dk_rent_event {
  enum dk_rent_event_kind kind;
  uint64_t unix_ns; /* of the wall clock; only written into records, and what machines cost is reckoned by it */
  /* CREATED ... CREATE_DOUBT, GONE, DELETE_ANSWERED ... RELEASE. Of one that is not there: dropped. */
  uint32_t number;
  uint32_t pool; /* POOL_REMOVED, IMAGE, LISTED, LIST_END, RELEASE. Of one that is not there: dropped */
  union {
    const struct dk_rent_pool *configured; /* POOL */
    enum dk_rent_image image;              /* IMAGE */
    struct {
      const struct dk_rent_need *needs; /* the first one is served first; borrowed for the call, copied */
      uint32_t n;
    } demand;
    struct {
      const char *id; /* at most DK_RENT_ID - 1 bytes, not empty */
    } created;
    struct {
      enum dk_rent_refusal reason;
      uint64_t retry_after_ns; /* THROTTLED: as the cloud asks; 0: it does not */
    } failed;
    struct {
      uint32_t serial;       /* of the LIST: one of another is dropped */
      const char *id, *name; /* id: as for CREATED */
      enum dk_rent_seen seen;
      uint64_t age_ns; /* by the API's own date; UINT64_MAX: unknown, which counts as young */
      bool is_ours;    /* it carries this store's id */
    } listed;
    struct {
      uint32_t serial;
      bool is_complete; /* every page came, and without an error */
    } list_end;
    struct {
      uint64_t asked_ns; /* when the get was sent, on the clock of `now` */
    } gone;
    struct {
      enum dk_rent_delete answer;
    } deleted;
    struct {
      uint32_t host;
    } host;
    struct {
      uint32_t tasks;   /* on it, waiting or running */
      uint32_t unsaved; /* results that are nowhere else */
      bool is_proof;    /* a task on it ended well or has lived a minute */
    } load;
    struct {
      bool is_hard; /* with its tasks and what is unsaved; else: no new tasks, and it ends when it has nothing left */
    } release;
  } u;
};

enum dk_rent_record_kind {
  DK_RENT_REC_RENTED,
  DK_RENT_REC_TAKEN, /* one fact: numbers up to this were used */
  DK_RENT_REC_SPENT, /* one fact for each currency: what machines cost that are gone */
};
struct dk_rent_record {
  enum dk_rent_record_kind kind;
  bool del;                /* RENTED: as it was last; its number and incarnation say which */
  struct dk_rented rented; /* RENTED */
  uint32_t taken;          /* TAKEN */
  struct dk_money spent;   /* SPENT: in all, never less than before */
};

enum dk_rent_action_kind {
  DK_RENT_CREATE, /* gated: dk_rent_find says which shape of which pool; under its name, with this store's id */
  DK_RENT_LIST,   /* at once */
  DK_RENT_DELETE, /* gated: by its id; answered by DELETE_ANSWERED, once */
  DK_RENT_DIAL,   /* gated: its agent is to be reached, as long as it takes; the address is in what was listed */
  DK_RENT_FORGET, /* gated: the end of that; what its host had is lost */
  DK_RENT_TELL,   /* at once: words for people */
};
enum dk_rent_tell {
  DK_RENT_TELL_QUOTA,    /* pool, count: instances that there are; until one is made again */
  DK_RENT_TELL_CAPACITY, /* pool; likewise */
  DK_RENT_TELL_DENIED,   /* pool: stopped until it is configured anew */
  DK_RENT_TELL_BAD,      /* pool: likewise */
  DK_RENT_TELL_FAILING,  /* pool, count: came to nothing in a row; wait_ns: until the next try */
  DK_RENT_TELL_GIVEN_UP, /* number: in doubt, and found nowhere */
  DK_RENT_TELL_STRANGER, /* number: of this store and in no record; it is deleted */
  DK_RENT_TELL_UNSAVED,  /* number, count: it has stopped, or is not reached for doubt_ns, with results that
                            are nowhere else (count 0: nobody knows), and is kept */
  DK_RENT_TELL_LOST,     /* number, count: of results that were on it alone; it is gone, or has stopped, by itself */
  DK_RENT_TELL_STUCK,    /* number, count: it was asked so often to be deleted, and is still there */
  DK_RENT_TELL_BLIND,    /* pool, count: as many lists in a row were incomplete: nothing there is seen or ended */
};
struct dk_rent_action {
  enum dk_rent_action_kind kind;
  uint64_t gate;   /* do it only when the commit of this sequence number is durable; 0: at once */
  uint32_t number; /* CREATE DELETE DIAL FORGET; TELL or 0 */
  uint32_t pool;   /* its number; UINT32_MAX: none */
  uint32_t serial; /* LIST */
  enum dk_rent_tell tell;
  uint32_t count;
  uint64_t wait_ns;
};

struct dk_rent_out { /* caller-owned, reused: cleared by the caller */
  struct dk_rent_record *records;
  uint32_t n_records, cap_records;
  struct dk_rent_action *actions;
  uint32_t n_actions, cap_actions;
  bool more; /* cut at the cap: step again with TICK and the same time */
};

#endif

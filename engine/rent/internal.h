/* What the files of this room share. Included by nobody else. */
#ifndef DK_RENT_INTERNAL_H
#define DK_RENT_INTERNAL_H

#include "engine/rent/rent.h"

#define DK_RENT_NEVER UINT64_MAX
#define DK_RENT_NO_POOL UINT32_MAX

struct dk_rent_offer { /* a shape as it is configured */
  struct dk_rent_shape shape;
  uint64_t closed_until;
  uint32_t refusals; /* for capacity, in a row */
};

struct dk_rent_pool_state {
  char name[DK_RENT_NAME], where[DK_RENT_WHERE];
  uint32_t number; /* the world's; DK_RENT_NO_POOL: not configured in this engine's life */
  int32_t order;
  uint32_t max_instances, allowed; /* allowed: what there may be by what max_instances was when they were made */
  uint64_t idle_ns, boot_ns, lag_ns;
  bool is_paid, is_proven;
  enum dk_rent_image image;
  bool is_removed, is_closed /* people released it */, is_stopped /* denied */;
  bool told_quota, told_capacity;
  struct dk_rent_offer *offers;
  uint32_t n_offers;
  uint32_t version; /* how often it was configured */

  uint32_t n, n_strangers;          /* instances; of them */
  uint32_t calls;                   /* creates under way */
  uint32_t fails, quotas, refusals; /* in a row; refusals: throttled or transient */
  uint64_t paused_until, quota_until, wait_until;

  bool is_listing; /* a list is under way */
  uint32_t serial; /* of the last one */
  uint32_t list_fails;
  uint64_t list_asked, list_at; /* list_at: the earliest time of the next one after an incomplete one */
};

struct dk_rent_machine {
  struct dk_rented of;
  char name[DK_RENT_NAME];
  uint32_t pool;    /* index */
  uint32_t version; /* of the pool's configuration when it was asked for */
  uint64_t gate;    /* of its last put */
  bool is_gone;     /* swept at the end of the step */
  bool is_calling, is_deleting;
  bool is_dialled;
  bool is_answering;     /* its agent is connected */
  bool is_load_known;    /* in this engine's life */
  bool is_hard, is_soft; /* people released it, and that is not done yet */
  bool is_needed;        /* the demand would take it, or more */
  bool was_hard, was_kept_told, was_stuck_told;
  uint32_t tasks, unsaved;
  uint32_t deletes;
  bool is_listed;
  uint32_t serial; /* of the list that showed it last; is_listed: one did */
  uint64_t settled_at, boots_from, down_from, idle_from, unused_from;
  uint64_t delete_at, delete_asked;
  bool is_agreed;                      /* the cloud has said that it goes, or that it is not there */
  uint64_t missing_from, stopped_from; /* when the first list that says so was asked for; NEVER: none does */
  bool is_standing;                    /* it was seen last as one that nobody deletes */
  bool is_missing, is_stopped;         /* a second one has confirmed it */
};

struct dk_rent_suspect { /* carries our id, and is in no record */
  char id[DK_RENT_ID];
  uint32_t pool;
  uint32_t serial; /* of the list that showed it last */
  uint64_t first_asked;
};

/* What still takes tasks of the demand. */
struct dk_rent_room {
  uint32_t machine;
  uint32_t cpus, gpus;
  uint64_t memory;
  bool is_up, has_price;
  uint64_t cost;
  uint32_t number;
};

struct dk_rent {
  struct dk_rent_policy policy;
  uint8_t store[16];
  uint64_t incarnation, jitter, n_jitter;
  uint64_t now, seq;
  bool has_begun, is_failed, is_cut;
  bool has_news; /* of this step: most rows of lists say nothing new */
  struct dk_rent_out *out;
  uint32_t out_limit;
  struct dk_rent_record no_record;
  struct dk_rent_action no_action;

  uint32_t taken;
  struct dk_purse spent;            /* on machines that are gone */
  uint64_t unix_ns;                 /* of this step */
  struct dk_rent_machine *machines; /* by number */
  uint32_t n_machines, cap_machines;
  struct dk_rent_pool_state *pools; /* as they became known; what nobody has configured is one without a number */
  uint32_t n_pools, cap_pools;
  uint32_t *order; /* indices of all pools, in the order in which they are asked */
  uint32_t cap_order;
  struct dk_rent_suspect *suspects;
  uint32_t n_suspects, cap_suspects;
  struct dk_rent_need *needs, *left; /* left: of each, what nothing that is there or coming takes */
  uint32_t n_needs, cap_needs, cap_left;
  bool is_demand_fresh;
  uint64_t wish_at; /* when what cannot be made now may be tried again */
  struct dk_rent_room *rooms;
  uint32_t n_rooms, cap_rooms;
};

static inline bool dk_rent_has_id(const struct dk_rent_machine *machine) {
  return machine->of.id[0] != 0;
}
static inline bool dk_rent_is_coming(const struct dk_rent_machine *machine) {
  return machine->of.state == DK_RENT_ASKED || machine->of.state == DK_RENT_DOUBT || machine->of.state == DK_RENT_MADE;
}
static inline struct dk_rent_pool_state *dk_rent_pool_of(struct dk_rent *rent, const struct dk_rent_machine *machine) {
  return &rent->pools[machine->pool];
}
static inline bool dk_rent_is_configured(const struct dk_rent_pool_state *pool) {
  return pool->number != DK_RENT_NO_POOL;
}

/* rent.c */
struct dk_rent_machine *dk_rent_machine_find(const struct dk_rent *rent, uint32_t number); /* NULL: there is none */
/* A new one in the pool, with the next number; not recorded yet. NULL: no memory. */
struct dk_rent_machine *dk_rent_machine_add(struct dk_rent *rent, uint32_t pool, enum dk_rent_state state,
                                            uint64_t unix_ns);
void dk_rent_copy(char *to, uint32_t size, const char *text); /* asserts that it fits */

/* pool.c */
struct dk_rent_pool_state *dk_rent_pool_find(struct dk_rent *rent, uint32_t number); /* NULL: there is none */
/* index; DK_RENT_NO_POOL: no memory */
uint32_t dk_rent_pool_need(struct dk_rent *rent, const char *name, const char *where);
void dk_rent_pool_event(struct dk_rent *rent, const struct dk_rent_event *event);
/* What a create call came to. */
void dk_rent_pool_refused(struct dk_rent *rent, const struct dk_rent_machine *machine,
                          const struct dk_rent_event *event);
void dk_rent_pool_made(struct dk_rent *rent, const struct dk_rent_machine *machine);
/* It came to nothing; is_refused: the cloud says so, as it would refuse a call. */
void dk_rent_pool_failed(struct dk_rent *rent, const struct dk_rent_machine *machine, bool is_refused);
void dk_rent_pool_works(struct dk_rent *rent, const struct dk_rent_machine *machine); /* it has come up */
void dk_rent_pool_finish(struct dk_rent *rent);
/* base doubled `times` times, 32-fold at most, and a quarter of that more by chance. */
uint64_t dk_rent_later(struct dk_rent *rent, uint64_t base, uint32_t times);
/* Full jitter below backoff_ns doubled `times` times. */
uint64_t dk_rent_backoff(struct dk_rent *rent, uint32_t times);

/* life.c */
enum dk_rent_fact {
  DK_RENT_FACT_CREATED,
  DK_RENT_FACT_REFUSED,
  DK_RENT_FACT_BROKE,
  DK_RENT_FACT_SEEN,    /* in a list, not FAILED */
  DK_RENT_FACT_FAILED,  /* in a list */
  DK_RENT_FACT_STOPPED, /* in two lists, and nobody answers there */
  DK_RENT_FACT_MISSING, /* from two lists, gets or deletes */
  DK_RENT_FACT_REACHED,
  DK_RENT_FACT_LATE, /* its agent was not reached within boot_ns */
  DK_RENT_FACT_IDLE,
  DK_RENT_FACT_UNUSED, /* there is demand for it, and none of it comes */
  DK_RENT_FACT_RELEASED,
  DK_RENT_N_FACTS
};
void dk_rent_life_happen(struct dk_rent *rent, struct dk_rent_machine *machine, enum dk_rent_fact fact);
void dk_rent_life_begin(struct dk_rent *rent); /* first step after a load */
void dk_rent_life_gap(struct dk_rent *rent);
void dk_rent_life_event(struct dk_rent *rent, const struct dk_rent_event *event);
void dk_rent_life_release(struct dk_rent *rent, const struct dk_rent_event *event);
void dk_rent_life_pass(struct dk_rent *rent);  /* what follows from time and from what was noted */
void dk_rent_life_sweep(struct dk_rent *rent); /* takes out what is gone */
uint64_t dk_rent_life_deadline(const struct dk_rent *rent);

/* list.c */
void dk_rent_list_event(struct dk_rent *rent, const struct dk_rent_event *event);
void dk_rent_list_ask(struct dk_rent *rent);
/* A list, get or delete that was sent at `asked` lacks it. */
void dk_rent_list_missing(struct dk_rent *rent, struct dk_rent_machine *machine, uint64_t asked);
uint64_t dk_rent_list_deadline(const struct dk_rent *rent);

/* fit.c */
/* It costs nothing, or may be paid for. */
bool dk_rent_fit_may(const struct dk_rent_shape *shape, const struct dk_rent_need *need);
bool dk_rent_fit_takes(const struct dk_rent_shape *shape, const struct dk_rent_need *need);
/* The rooms of what there is, filled with the demand in its order: rent->left is what is left of it. False: no
 * memory. */
bool dk_rent_fit_fill(struct dk_rent *rent);
void dk_rent_fit_add(struct dk_rent *rent, uint32_t machine); /* one more, and fills it */
/* The cheapest shape that may be asked for, for a builder; likewise. */
uint32_t dk_rent_fit_least(const struct dk_rent *rent, const struct dk_rent_pool_state *pool,
                           const struct dk_rent_need *need, uint64_t *ret_at);
/* The best shape that may be asked for; DK_RENT_NO_POOL: none. *ret_at: lowered to when a closed one is open again. */
uint32_t dk_rent_fit_shape(const struct dk_rent *rent, const struct dk_rent_pool_state *pool,
                           const struct dk_rent_need *need, uint64_t *ret_at);

/* wish.c */
void dk_rent_wish_demand(struct dk_rent *rent, const struct dk_rent_event *event);
void dk_rent_wish_pass(struct dk_rent *rent, uint64_t unix_ns);

/* emit.c */
bool dk_rent_emit_is_full(const struct dk_rent *rent);
void dk_rent_emit_put(struct dk_rent *rent, struct dk_rent_machine *machine);
void dk_rent_emit_del(struct dk_rent *rent, const struct dk_rent_machine *machine);
void dk_rent_emit_taken(struct dk_rent *rent);
void dk_rent_emit_spent(struct dk_rent *rent, const char *currency);
/* About an instance: gated by its last record. */
void dk_rent_emit_act(struct dk_rent *rent, enum dk_rent_action_kind kind, const struct dk_rent_machine *machine);
void dk_rent_emit_list(struct dk_rent *rent, const struct dk_rent_pool_state *pool);
void dk_rent_emit_tell(struct dk_rent *rent, enum dk_rent_tell tell, uint32_t number, uint32_t pool, uint32_t count,
                       uint64_t wait_ns);

#endif

/* What the files of rentals.h share. */
#ifndef DK_DRIVE_RENTALS_PRIV_H
#define DK_DRIVE_RENTALS_PRIV_H

#include "engine/drive/engine_priv.h"
#include "engine/drive/rentals.h"
#include "engine/rent/rent.h"

/* What a pool is to be, between dk_rentals_prepare and dk_rentals_apply. */
struct dk_rental_next {
  const struct dk_cloud_entry *entry;
  struct dk_cloud *cloud; /* NULL: it stays as it is */
  struct dk_rent_shape *shapes;
};

/* How far the image of a pool is whose machines are made from one of dkrun's own. */
enum dk_rental_image_step {
  DK_RENTAL_IMAGE_SEEK,    /* a list is to be asked for, at look_at */
  DK_RENTAL_IMAGE_LISTING, /* it is under way */
  DK_RENTAL_IMAGE_THERE,
  DK_RENTAL_IMAGE_MISSING, /* engine/rent makes a builder when something waits */
  DK_RENTAL_IMAGE_SETUP,   /* the builder is reached, at look_at, and set up */
  DK_RENTAL_IMAGE_KEEP,    /* a snapshot of it is to be asked for, at look_at */
  DK_RENTAL_IMAGE_KEPT,    /* it is under way */
  DK_RENTAL_IMAGE_SAVING,  /* that is awaited: a list is to be asked for, at look_at */
  DK_RENTAL_IMAGE_SAVED,   /* it is under way */
};

struct dk_rental_image {
  enum dk_rental_image_step step;
  char digest[DK_DIGEST_HEX + 1]; /* of its recipe; "": machines are made from one that people have made */
  char id[DK_RENT_ID];            /* THERE; from SAVING on, "" when nobody knows it */
  char lost[DK_RENT_ID];          /* the last one of which a machine could not be made */
  uint32_t builder;               /* dk_rented; 0: none */
  struct dk_shell *shell;
  int log;                                /* -1: none */
  uint64_t look_at, begun_at, saved_from; /* dk_now_ns: see step; of the builder; of the snapshot's answer */
  uint32_t n_breaks;                      /* builders that were lost, in a row */
  bool was_list_told;                     /* that lists fail */
  char why[300];                          /* SETUP: why nobody could log in */
};

/* A provider at one place whose machines are made; there as long as the engine, also when no file names it any more. */
struct dk_rental_pool {
  struct dk_rentals *rentals;
  uint32_t number;                    /* its place in rentals->pools */
  char *name, *where;                 /* dk_cloud_provider.where */
  const struct dk_cloud_entry *entry; /* as it was configured last */
  struct dk_cloud *cloud;             /* NULL: it cannot be asked */
  struct dk_rent_shape *shapes;
  bool is_open;    /* engine/rent may make machines of it */
  bool is_named;   /* by the files that were applied last */
  bool is_barred;  /* what it makes cannot run tasks: stopped until it is configured anew */
  bool is_refused; /* engine/rent has stopped it, for what the cloud says of our calls: likewise */
  bool is_stale;   /* it was one of the two, and the files were edited: it is configured anew */
  struct dk_rental_image image;
  struct dk_rental_next next;
  int32_t order;                /* among pools, as written */
  struct dk_rental_call *calls; /* under way */
};

/* A machine that is dialled, or about to be. */
struct dk_rental {
  uint32_t number; /* dk_rented */
  struct dk_rental_pool *pool;
  struct dk_engine_host *host; /* NULL: its address is not known yet */
  struct dk_hosts_entry entry; /* strings are the five below */
  char name[DK_RENT_NAME + 12], address[256], *identity, *known_hosts;
  uint64_t proof_at; /* dk_now_ns: then a task of it has lived a minute; UINT64_MAX */
  uint32_t tasks;    /* as engine/rent was told last */
  bool is_wanted;    /* engine/rent has said to dial it */
  bool is_proven, is_told;
};

struct dk_rental_event { /* with what it points to */
  struct dk_rent_event event;
  struct dk_rent_need *needs;
  struct dk_rent_pool pool;
  char id[DK_RENT_ID], name[DK_RENT_NAME];
};

struct dk_rentals {
  struct dk_engine *engine;
  struct dk_rent *rent;
  struct dk_rent_out out;
  uint64_t seq;
  struct dk_rental_pool **pools;
  uint32_t n_pools, cap_pools;
  struct dk_rental **machines;
  uint32_t n_machines, cap_machines;
  struct dk_rental_event *queue; /* told since the last tick */
  uint32_t n_queue, cap_queue;
  bool was_released;
  uint64_t looked_at;  /* when it was ticked last; 0: never */
  uint64_t look_at;    /* when demand and loads are looked at next */
  bool has_demand;     /* some was told */
  bool is_to_say_left; /* when what was told is done */
  bool has_probe_failed;
  char *folder; /* .dkrun/rented */
};

/* Tells engine/rent with the next tick, which is due at once, and does what it says. POOL: only its number. */
void dk_rentals_tell(struct dk_rentals *rentals, const struct dk_rent_event *event);

/* rentals_pool.c */
struct dk_rent_pool dk_rentals_configured(const struct dk_rental_pool *pool); /* as it is by now */
void dk_rentals_free_pool(struct dk_rental_pool *pool);                       /* but for its calls */
/* NULL: none of that name and place is known. */
struct dk_rental_pool *dk_rentals_pool_of(const struct dk_rentals *rentals, const struct dk_rented *rented);
/* Is there a connection to where it is? */
bool dk_rentals_can_ask(const struct dk_rentals *rentals, const struct dk_rented *rented);

/* rentals_people.c: which machines are where nobody can be asked. */
void dk_rentals_say_left(struct dk_rentals *rentals);
/* This one is to go, as dk_rentals_release has it. */
void dk_rentals_let_go(struct dk_rentals *rentals, uint32_t number, bool is_hard);

/* rentals_act.c */
/* Gives up what is under way; engine/rent is told that nobody knows what came of it. */
void dk_rentals_close_cloud(struct dk_rental_pool *pool);
void dk_rentals_free_calls(struct dk_rental_pool *pool); /* the same, and nobody is told */
void dk_rentals_act(struct dk_rentals *rentals, const struct dk_rent_action *action);

/* Another call, for `done` with a struct dk_rental_call: dk_rentals_called takes it apart and frees it. False: nothing
 * was asked, and `error` may have words. */
bool dk_rentals_ask(struct dk_rental_pool *pool, const struct dk_cloud_order *order, dk_cloud_done_fn *done,
                    struct dk_error *error);
struct dk_rental_pool *dk_rentals_called(void *call);
/* What is wrong, said as of the pool. */
void dk_rentals_say(const struct dk_rental_pool *pool, const char *text);

/* rentals_image.c: what machines are made from, where that is to be made first. */
void dk_rentals_image_begin(struct dk_rental_pool *pool); /* as the pool is configured now */
void dk_rentals_image_drop(struct dk_rental_pool *pool);  /* what is under way is given up; nobody is told */
enum dk_rent_image dk_rentals_image_state(const struct dk_rental_pool *pool);
/* A machine could not be made from it. True: it may be gone, and is sought anew. */
bool dk_rentals_image_is_lost(struct dk_rental_pool *pool);
/* The builder can be reached. */
void dk_rentals_image_reach(struct dk_rental_pool *pool, struct dk_rental *machine);
void dk_rentals_image_forget(struct dk_rental_pool *pool, uint32_t number); /* it is gone, or goes */
/* A call about images that was given up: nobody knows what came of it. */
void dk_rentals_image_unanswered(struct dk_rental_pool *pool, enum dk_cloud_kind kind);
uint64_t dk_rentals_image_deadline(const struct dk_rental_pool *pool); /* UINT64_MAX: none */
void dk_rentals_image_tick(struct dk_rental_pool *pool, uint64_t now_ns);
/* Its machines cannot run tasks, for what they are made from: as dk_rentals_bar. */
void dk_rentals_bar_pool(struct dk_rental_pool *pool);

/* rentals_host.c: machines as hosts. */
struct dk_rental *dk_rentals_machine(const struct dk_rentals *rentals, uint32_t number); /* NULL: none */
struct dk_rental *dk_rentals_machine_of(const struct dk_rentals *rentals, const struct dk_engine_host *host);
void dk_rentals_dial(struct dk_rentals *rentals, uint32_t number);
void dk_rentals_forget(struct dk_rentals *rentals, uint32_t number);
/* Where it can be reached, as the cloud says now. */
void dk_rentals_address(struct dk_rentals *rentals, uint32_t number, const char *address);
void dk_rentals_look_at_loads(struct dk_rentals *rentals, uint64_t now_ns);
void dk_rentals_free_machines(struct dk_rentals *rentals);

/* rentals_need.c: what waits. */
void dk_rentals_look_at_demand(struct dk_rentals *rentals, uint64_t now_ns);

/* rentals_probe.c: a machine that is made to see whether it comes up. */
bool dk_rentals_is_probed(const struct dk_rental_pool *pool);
/* What it is to be made for; false: no more is needed. */
bool dk_rentals_probe_need(const struct dk_rentals *rentals, struct dk_rent_need *ret);

/* rentals_keys.c: what lies in .dkrun/rented. */
/* What people and ssh call an instance: POOL-NUMBER. */
void dk_rentals_name(const char *pool, uint32_t number, char *ret, size_t size);
/* Who logs in, where the file of providers names nobody: what every image has. */
#define DK_RENTALS_USER "root"
/* Makes what is missing of the keys, and the script that the machine runs when it first boots. */
int dk_rentals_user_data(const struct dk_rentals *rentals, const char *name, const char *user, struct dk_buf *ret,
                         struct dk_error *error);
/* The machine was reached. Who can read its user data, tasks there too, has the key that it was given; so when ssh has
 * learned one that it made for itself, only that is accepted from then on. */
void dk_rentals_renew_keys(const struct dk_rentals *rentals, const char *name);
void dk_rentals_remove_keys(const struct dk_rentals *rentals, const char *name);

#endif

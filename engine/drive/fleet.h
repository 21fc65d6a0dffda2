/* The engine's hosts: each with its number, what its agent said of it, the way to it, and what is on that way. For the
 * files of the engine (engine_priv.h). */
#ifndef DK_DRIVE_FLEET_H
#define DK_DRIVE_FLEET_H

#include "engine/drive/held.h"
#include "engine/drive/hosts.h"
#include "engine/drive/link.h"
#include "engine/drive/supply.h"
#include "engine/store/hosts.h"

struct dk_engine;

struct dk_engine_host {
  struct dk_engine *engine;
  const struct dk_provider *provider; /* NULL: no file of providers names it any more */
  struct dk_host_config config;
  struct dk_link *link;    /* NULL: likewise */
  struct dk_supply supply; /* what it lacks */
  struct dk_held held;     /* its results that are not taken yet */
  struct dk_host_record record;
  bool mixed;
  bool is_barred; /* as its system was when it was there last, or it is a twin; record.state says so only while it is
                     there, or a twin */
  bool is_named;  /* by the hosts that were applied last */
  bool is_rented; /* made by a cloud, there until that says otherwise (rentals.h); in no file */
  /* No file names it any more: what runs there goes on, nothing new comes. This machine: for as long as the engine
   * works. Another one: fleet_leave.c. */
  bool is_left;
  struct dk_hours hours;
  bool was_open;         /* as `hours` had it when the core was told last */
  bool has_changed;      /* the record is to be written with the next commit */
  char *said;            /* the last trouble that people were told of */
  uint64_t down_told_at; /* when they were told that it is down, dk_now_ns; 0: not since it was up */
  uint64_t session;      /* that its agent has welcomed; 0: none */
  uint64_t last_session; /* of the links before this one */
  uint64_t down_at;      /* since when it is not up, dk_now_ns */
  uint64_t full_until;   /* its disk was full: no tasks before that, dk_now_ns; 0: it was not */
  bool was_up;           /* in the life of this engine */
  char met[sizeof((struct dk_host_facts *)0)->place]; /* its place (provider.h), which it holds: fleet_twin.c; "" */
  const struct dk_engine_host *twin;                  /* that held its place when it was met last; NULL: none did */
  bool is_turned_away;                                /* for that, by the dial that is about to end */
  uint64_t lost_after_ns;
  bool is_lost; /* down for lost_after: nothing is expected of it until it comes back */
};

int dk_fleet_recall(struct dk_engine *engine, struct dk_error *error); /* the hosts that the store knows; first */
/* fleet_links.c: these hosts, and no others; links to those that were not there, or were there with other settings.
 * What is this machine fails at once; the others are tried again for as long as it takes. `hosts` is borrowed as long
 * as the engine lives. */
int dk_fleet_apply(struct dk_engine *engine, const struct dk_hosts *hosts, struct dk_error *error);
void dk_fleet_look_at_files(struct dk_engine *engine, uint64_t now_ns); /* were they edited? */
int dk_fleet_reload(struct dk_engine *engine, struct dk_error *error);  /* as the files of providers are now */
/* A machine that was made, and that goes again. `entry` is borrowed until then. */
int dk_fleet_rent(struct dk_engine *engine, const struct dk_hosts_entry *entry, struct dk_engine_host **ret,
                  struct dk_error *error);
void dk_fleet_expect(struct dk_engine *engine, uint32_t number); /* it is there, and will be dialled */
void dk_fleet_give_back(struct dk_engine_host *host);
void dk_fleet_destroy(struct dk_engine *engine);
/* The host of an entry, with its names as they are there. NULL: it has none yet. */
struct dk_engine_host *dk_fleet_find_entry(const struct dk_engine *engine, const struct dk_hosts_entry *entry);
/* The same, and when there is none it is made. 0; -ENOMEM, -ENOSPC (no number is left for one more) with words. */
int dk_fleet_need(struct dk_engine *engine, const struct dk_hosts_entry *entry, struct dk_engine_host **ret,
                  struct dk_error *error);
void dk_fleet_set_state(struct dk_engine_host *host, enum dk_host_state state, const char *words);
/* NULL: there is none of that number. */
struct dk_engine_host *dk_fleet_find(const struct dk_engine *engine, uint32_t number);
bool dk_fleet_is_remote(const struct dk_engine_host *host);
/* To the agent of the session that the message names; dropped when that is gone. 0 or -ENOMEM, -EMSGSIZE. */
int dk_fleet_send(struct dk_engine *engine, uint32_t number, struct dk_message *message);
uint64_t dk_fleet_deadline(const struct dk_engine *engine);
void dk_fleet_tick(struct dk_engine *engine, uint64_t now_ns);
/* Is a copy there to be counted on? Not when the host has been silent for lost_after. dk_store_may_host_fn */
bool dk_fleet_has_copies(void *engine, uint32_t number);
bool dk_fleet_has_remote(const struct dk_engine *engine); /* is one configured, or may one be rented? */
/* Bytes of memory that a task may have at a host; at the largest one that is there: UINT32_MAX. */
uint64_t dk_fleet_memory(const struct dk_engine *engine, uint32_t number);
/* fleet_save.c: what changed of the hosts goes with this commit; or by itself: who looks reads the store, and while no
 * task ends nothing else is committed (engine->save_at); at the engine's end with when they were seen last. */
void dk_fleet_record(struct dk_engine *engine);
void dk_fleet_save(struct dk_engine *engine);
void dk_fleet_save_last(struct dk_engine *engine);

/* fleet_where.c: two lines without a last newline: where tasks run ("this machine, lab: h1 h2"; empty while no host is
 * up), and which hosts get none ("down: h3; not reached yet: h4; no tasks: h5; taken out: h6"; empty). */
#define DK_FLEET_HERE "this machine"
void dk_fleet_where(const struct dk_engine *engine, struct dk_buf *out);
void dk_fleet_tell_where(struct dk_engine *engine); /* to who looks on */

/* fleet_say.c: to people; dk_fleet_say once until it is well again, and dk_fleet_say_down not each time that a link
 * was tried once more. */
#define DK_FLEET_FULL "its disk is full: for now it gets no tasks"
#define DK_FLEET_CLOSED "its hours are over: what runs there goes on"
#define DK_FLEET_LEAVING "no file of providers names it any more: what runs there goes on, and it gets no new tasks"
void dk_fleet_tell(const struct dk_engine_host *host, const char *words);
void dk_fleet_say(struct dk_engine_host *host, const char *words);
void dk_fleet_say_down(struct dk_engine_host *host, const char *why, bool is_retried);
/* What a host's agent says of its machine. */
void dk_fleet_welcome(struct dk_engine_host *host, uint64_t session, const struct dk_message *message);
void dk_fleet_pong(struct dk_engine_host *host, const struct dk_message *message);
/* A task there failed for lack of room: for a while others go elsewhere. */
void dk_fleet_is_full(struct dk_engine_host *host);
void dk_fleet_cut(struct dk_engine_host *host, const char *why); /* its session is over; people are told nothing */
/* is_retried: its link tries again by itself. */
void dk_fleet_down(struct dk_engine_host *host, const char *why, bool is_retried);

/* fleet_leave.c: a host that was taken out of the files while tasks run there: they go on for as long as its connection holds, and its outputs are used until the runs have ended. */
bool dk_fleet_is_leaving(const struct dk_engine_host *host);
/* Called for each host that nobody names (any more): lets it go, at once or when it has nothing left. */
void dk_fleet_take_out(struct dk_engine_host *host);
void dk_fleet_let_go(struct dk_engine *engine); /* those of which that is true by now; not in a callback of a link */
/* fleet_links.c: removes it, which is said before. */
void dk_fleet_remove(struct dk_engine_host *host);

/* fleet_twin.c: hosts that are one machine by several names have one agent, which has one session: one of the names holds
 * the place, and the others are barred, before anything is said to the agent. The `met` of a link (link.h); ctx is the
 * host. */
int dk_fleet_met(void *ctx, const struct dk_host_facts *facts, struct dk_error *error);
bool dk_fleet_is_twin(const struct dk_engine_host *host); /* of one that stays: it gets no tasks */
/* Lets go of it: those that were turned away are tried again at once. */
void dk_fleet_leave_place(struct dk_engine_host *host);

/* A content that was recorded to be at the host is not there any more. */
void dk_fleet_lose_copy(struct dk_engine_host *host, const struct dk_digest *content);

#endif

/* The insides of the agent's core, shared by state.c (what it holds) and step.c (what events do). For nobody else. */
#ifndef DK_AGENT_STATE_PRIVATE_H
#define DK_AGENT_STATE_PRIVATE_H

#include "engine/agent/state.h"
#include "lang/base/map.h"

#define NONE UINT32_MAX

enum phase {
  PHASE_FREE,    /* no attempt: an entry to be used again */
  PHASE_HELD,    /* between two phases, within a step */
  PHASE_WAITING, /* its data is not here */
  PHASE_QUEUED,  /* waits here for a slot */
  PHASE_PLACED,  /* with a keeper, not known to have started */
  PHASE_RUNNING, /* started */
  PHASE_ENDED,   /* its result waits for the acknowledgement */
};

struct attempt {
  struct dk_id id;
  enum phase phase;
  bool is_told;        /* by the slot's keeper since it was lost */
  bool is_sent;        /* ENDED: result sent in this session */
  bool is_revoking;    /* the engine wants it back */
  bool is_killed;      /* a KILL went to the keeper */
  uint64_t grace_ms;   /* of that KILL */
  uint32_t prev, next; /* in the queue; next: in the free list */
  uint32_t slot;       /* where it is or was; NONE: nowhere yet */
  uint64_t started_unix_ns;
  uint64_t seq;        /* ENDED: number of the result */
  uint64_t keeper_seq; /* ENDED: the keeper's number; 0: no keeper knows it */
  struct dk_job job;
  struct dk_result result;
};

struct slot {
  uint32_t load;  /* attempts placed and running here */
  uint32_t width; /* slots that the one running here books; 0 when load is 0 */
  bool is_slow;   /* its keeper gave orders back: nothing is put behind the one that runs */
  bool is_lost;   /* between KEEPER_LOST and KEEPER_READY */
};

/* REVOKE or KILL of an attempt that is not known, while a keeper is being found again that may have it. */
struct ask {
  struct dk_id id;
  bool is_kill;
  uint64_t grace_ms;
};

struct dk_agent {
  struct dk_agent_config config;
  struct attempt *attempts;
  uint32_t n_attempts, cap_attempts, n_live, n_stale;
  uint32_t free;       /* first entry to be used again */
  uint32_t head, tail; /* the queue */
  uint32_t n_queued, n_waiting;
  struct dk_map map; /* id -> attempt */
  struct slot *slots;
  uint32_t n_slots; /* config.slots or more */
  struct dk_agent_mark marks[DK_AGENT_MARKS_MAX];
  size_t n_marks;
  uint64_t next_seq;
  uint64_t mean_wall_ns; /* of recent tasks; 0: none ended yet */
  /* The session. */
  bool has_session, is_open; /* open: the engine has listed or ordered, so results may go out */
  bool wants_list;
  struct ask *asks; /* wait until every keeper is heard */
  uint32_t n_asks, cap_asks;
  uint32_t conn;
  uint64_t session, incarnation;
};

struct attempt *dk_agent_find(const struct dk_agent *a, struct dk_id id);
struct attempt *dk_agent_add(struct dk_agent *a, struct dk_id id); /* HELD; NULL: no memory */
void dk_agent_drop(struct dk_agent *a, struct attempt *attempt);   /* from HELD or ENDED */
void dk_agent_hold(struct dk_agent *a, struct attempt *attempt);   /* from HELD to WAITING */
void dk_agent_unhold(struct dk_agent *a, struct attempt *attempt); /* back */
void dk_agent_enqueue(struct dk_agent *a, struct attempt *attempt, bool at_front);
void dk_agent_dequeue(struct dk_agent *a, struct attempt *attempt);               /* to HELD */
uint32_t dk_agent_width(const struct dk_agent *a, const struct attempt *attempt); /* slots it books */
int dk_agent_need_slot(struct dk_agent *a, uint32_t slot);
void dk_agent_book(struct dk_agent *a, struct attempt *attempt, uint32_t slot); /* to PLACED */
void dk_agent_unbook(struct dk_agent *a, struct attempt *attempt);              /* to HELD */
bool dk_agent_is_forgotten(const struct dk_agent *a, struct dk_id id);
struct dk_agent_action *dk_agent_act(struct dk_agent_out *out, enum dk_agent_action_kind kind); /* NULL: no memory */
/* MARK, FORGET, and the entry is free. */
int dk_agent_forget(struct dk_agent *a, struct attempt *attempt, struct dk_agent_out *out);

#endif

/* The insides of fetch.h, shared by fetch.c (who waits for what), fetch_tree.c (directories) and fetch_object.c (what
 * comes). For nobody else.
 *
 * Orders wait for objects and trees, trees for objects: each knows how many it waits for, each object and tree who
 * waits for it. Entries are named by their place in an array, which is used again; what a waiting side remembers of
 * places is only where to look, and may be out of date. */
#ifndef DK_AGENT_FETCH_PRIVATE_H
#define DK_AGENT_FETCH_PRIVATE_H

#include "engine/agent/fetch.h"
#include "engine/agent/partial.h"
#include "lang/base/map.h"

struct waiter {
  uint32_t at; /* of an order, or of a tree */
  bool is_tree;
};

struct lacked {
  struct dk_digest digest;
  bool is_live;
  bool is_said;               /* in this session */
  bool is_reading;            /* what an earlier transfer left is not read yet: it is in `reading` */
  uint8_t n_wrong;            /* times that it came with another content */
  struct dk_partial *partial; /* NULL: nothing came yet */
  struct waiter *waiters;
  uint32_t n_waiters, cap_waiters;
  uint32_t next; /* in the list of free ones */
};

enum tree_phase {
  TREE_FREE,
  TREE_COMING,  /* its manifest is lacked */
  TREE_LOOKING, /* which of its files are here? It is in `looking` */
  TREE_LACKING, /* some are not */
};

struct tree {
  struct dk_digest digest;
  enum tree_phase phase;
  struct dk_buf manifest; /* LOOKING: what `entries` point into */
  struct dk_manifest_entry *entries;
  uint32_t n_entries, looked;
  uint32_t missing; /* objects that it waits for */
  uint32_t *lacks;  /* places of them */
  uint32_t n_lacks, cap_lacks;
  uint32_t *orders; /* that wait for it */
  uint32_t n_orders, cap_orders;
};

enum order_phase { ORDER_FREE, ORDER_WAITING, ORDER_DECIDED };

struct order {
  struct dk_id id;
  enum order_phase phase;
  uint32_t missing;     /* objects and trees that it waits for */
  struct waiter *needs; /* places of them */
  uint32_t n_needs;
  bool is_here;
  enum dk_refusal reason;
  char *text; /* NULL: no memory for it */
};

#define WHOLE_MAX 64u
struct whole { /* a tree that was found to be here */
  struct dk_digest digest;
  uint64_t until_ns; /* believed so long */
};

struct dk_fetch {
  dk_fetch_say_fn *say;
  void *ctx;
  struct dk_objects objects; /* root NULL: not open */
  bool is_dirty;             /* orders came since they were made durable */
  struct lacked *lacked;
  uint32_t n_lacked, cap_lacked, n_live, n_stale, free;
  struct dk_map map; /* digest -> lacked */
  struct tree *trees;
  uint32_t n_trees, cap_trees;
  struct order *orders;
  uint32_t n_orders, cap_orders, n_decided;
  uint32_t *looking, n_looking, cap_looking;
  uint32_t *reading, n_reading, cap_reading; /* may name some that are not reading any more */
  struct whole whole[WHOLE_MAX];
  uint32_t next_whole;
};

/* fetch.c */

struct lacked *dk_fetch_find(const struct dk_fetch *f, const struct dk_digest *digest); /* NULL: it is not lacked */
/* Is it here? 1; 0: no, and `waiter` waits for it from now on, once (*ret_at: where); -ENOMEM. Moves f->lacked. */
int dk_fetch_need(struct dk_fetch *f, const struct dk_digest *digest, struct waiter waiter, uint32_t *ret_at,
                  bool *ret_is_new);
void dk_fetch_leave(struct dk_fetch *f, uint32_t at, struct waiter waiter); /* does not wait for lacked[at] any more */
/* It is here: those that wait for it are told. */
void dk_fetch_arrived(struct dk_fetch *f, struct lacked *lacked);
/* It will not come: the orders that wait for it, also by a tree, are over. It is not lacked any more then. */
void dk_fetch_fail(struct dk_fetch *f, struct lacked *lacked, enum dk_refusal reason, const char *text);
void dk_fetch_order_has(struct dk_fetch *f, uint32_t order); /* one of what it waits for */
void dk_fetch_order_fails(struct dk_fetch *f, uint32_t order, enum dk_refusal reason, const char *text);

/* fetch_tree.c */

/* As dk_fetch_need, for an order and a directory; *ret_at names the tree. */
int dk_fetch_need_tree(struct dk_fetch *f, const struct dk_digest *digest, uint32_t order, uint32_t *ret_at,
                       bool *ret_is_new);
void dk_fetch_leave_tree(struct dk_fetch *f, uint32_t at, uint32_t order);
void dk_fetch_tree_has(struct dk_fetch *f, uint32_t at); /* one of what it waits for */
void dk_fetch_fail_tree(struct dk_fetch *f, uint32_t at, enum dk_refusal reason, const char *text);
void dk_fetch_look(struct dk_fetch *f); /* some more files of the last of `looking` */
void dk_fetch_finish_tree(struct tree *tree);

/* fetch_object.c */

int dk_fetch_begin(struct dk_fetch *f, uint32_t at);          /* one that is lacked from now on. 0 or -ENOMEM */
void dk_fetch_ask(struct dk_fetch *f, struct lacked *lacked); /* LACKS, when that was not said in this session */
void dk_fetch_read(struct dk_fetch *f);                       /* some more of the last of `reading` */

#endif

/* Between pull.c (what is wanted, by whom, and how it ended) and pull_take.c (asking for parts, and taking them). */
#ifndef DK_DRIVE_PULL_PRIV_H
#define DK_DRIVE_PULL_PRIV_H

#include "engine/drive/engine_priv.h"
#include "engine/drive/pull.h"
#include "lang/base/map.h"

#define DK_PULL_PARTS_MAX 16u /* asked for and not here yet, of one host: 4 MiB, so 40 MB/s at 100 ms */

struct dk_pull_waiter {
  dk_pull_fn *done; /* NULL: it has gone */
  void *ctx;
};

struct dk_pull_item {
  uint32_t index; /* in the table */
  struct dk_engine_host *host;
  struct dk_copy copy;
  struct dk_pull_item *next; /* of the same host and order, as they were asked for */
  enum dk_pull_order order;
  uint64_t taken, asked;             /* bytes */
  uint64_t total;                    /* once the first part is here */
  bool has_total, is_here;           /* is_here: its own content; a directory's files may be missing */
  bool is_own;                       /* the engine wants it for itself */
  uint32_t n_files;                  /* of a directory, not here yet */
  uint64_t files_taken, files_total; /* bytes of them */
  int fd;                            /* its file in tmp/, -1: not open */
  char tmp[DK_OBJECTS_TMP];
  struct dk_content_hasher hasher;
  struct dk_pull_waiter *waiters;
  uint32_t n_waiters, cap_waiters;
  int failed; /* of a directory: one of its files */
  struct dk_error why;
};

/* Of one host. An agent answers in the order in which it was asked: what it says is for the first of `asked`, though
 * that may have ended meanwhile. */
struct dk_pull_queue {
  struct dk_pull_list {
    struct dk_pull_item *first, *last;
  } by_order[2];
  struct dk_pull_asked {
    struct dk_digest content;
    uint64_t offset;
    bool is_void;             /* what asked for it has ended */
  } asked[DK_PULL_PARTS_MAX]; /* ring */
  uint32_t first_asked, n_asked;
};

struct dk_pull_failure {
  struct dk_digest content;
  struct dk_error why;
};
#define DK_PULL_FAILURES_MAX 64u

struct dk_pulls {
  struct dk_engine *engine;
  struct dk_map by_content;
  struct dk_pull_item **items; /* NULL: ended */
  uint32_t n, cap, n_living;
  struct dk_pull_queue *queues; /* by host */
  uint32_t n_queues;
  struct dk_pull_failure failures[DK_PULL_FAILURES_MAX]; /* the last ones; ring */
  uint32_t first_failure, n_failures;
};

/* pull.c */
struct dk_pull_item *dk_pull_find(const struct dk_pulls *pulls, const struct dk_digest *content);
struct dk_pull_queue *dk_pull_queue_of(struct dk_pulls *pulls, const struct dk_engine_host *host); /* NULL: none */
void dk_pull_unqueue(struct dk_pulls *pulls, struct dk_pull_item *item);
/* It has ended: frees it, then calls who waits. */
void dk_pull_end(struct dk_pulls *pulls, struct dk_pull_item *item, int r, const char *words);
void dk_pull_fail(struct dk_pulls *pulls, struct dk_pull_item *item, int r, const char *what);
/* Its own content is here; of a directory its files are asked for. */
void dk_pull_is_here(struct dk_pulls *pulls, struct dk_pull_item *item);
void dk_pull_count(struct dk_pull_item *item, uint64_t bytes); /* so many bytes more came of it */

#endif

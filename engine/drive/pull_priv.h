/* Between pull.c (what is wanted, by whom, and how it ended), pull_source.c (which host is asked) and pull_take.c
 * (asking for parts, and taking them). */
#ifndef DK_DRIVE_PULL_PRIV_H
#define DK_DRIVE_PULL_PRIV_H

#include "engine/drive/engine_priv.h"
#include "engine/drive/pull.h"
#include "lang/base/map.h"

#define DK_PULL_PARTS_MAX 16u /* asked for and not here yet, of one host: 4 MiB, so 40 MB/s at 100 ms */

struct dk_pull_waiter {
  dk_pull_fn *done; /* NULL: it has gone */
  void *ctx;
  const struct dk_engine_host *host; /* the one it named: what it is told is what became of that; NULL: any */
};

/* A host that is said to have it. */
struct dk_pull_source {
  struct dk_engine_host *host;
  uint64_t size; /* bytes, as was said of its copy */
  int failed;    /* negative errno: it is not asked any more; 0 */
  char *why;     /* NULL: it has not failed, or there was no memory */
};

struct dk_pull_item {
  uint32_t index; /* in the table */
  struct dk_digest content;
  bool is_dir; /* an item of its own: who wants the manifest as a file does not wait for what it names */
  struct dk_pull_source *sources;
  uint32_t n_sources, cap_sources;
  struct dk_engine_host *host; /* the source that is asked; of a directory whose manifest is here: that one's */
  struct dk_pull_item *next; /* of the same host and order, as they were asked for */
  enum dk_pull_order order;
  uint64_t taken, asked;             /* bytes */
  const struct dk_engine_host *from; /* whose bytes were taken, last; of a directory also its files' */
  bool is_mixed;                     /* and those of others: what is wrong with them is not known to be one's fault */
  bool is_here;                      /* its own content; a directory's files may be missing */
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
    bool is_dir;
    bool is_void;             /* what asked for it has ended, or asks another host now */
  } asked[DK_PULL_PARTS_MAX]; /* ring */
  uint32_t first_asked, n_asked;
  uint64_t since; /* the first of them waits, dk_now_ns */
  bool is_silent; /* a session was given up because nothing was answered, and nothing was since */
};

struct dk_pull_failure {
  struct dk_digest content;
  struct dk_error why;
};
#define DK_PULL_FAILURES_MAX 64u

struct dk_pulls {
  struct dk_engine *engine;
  struct dk_map by_content;
  uint64_t seed;               /* of its hashes: hosts choose the contents */
  struct dk_pull_item **items; /* NULL: ended */
  uint32_t n, cap, n_living;
  struct dk_pull_queue *queues; /* by host */
  uint32_t n_queues;
  struct dk_pull_failure failures[DK_PULL_FAILURES_MAX]; /* the last ones; ring */
  uint32_t first_failure, n_failures;
};

/* pull.c */
struct dk_pull_item *dk_pull_find(const struct dk_pulls *pulls, const struct dk_digest *content, bool is_dir);
/* It has ended, in the same way for all: frees it, then calls who waits. `words` NULL: no source is left, and each is
 * told what became of its own. */
void dk_pull_end(struct dk_pulls *pulls, struct dk_pull_item *item, int r, const char *words);
/* Its own content is here; of a directory its files are asked for. */
void dk_pull_is_here(struct dk_pulls *pulls, struct dk_pull_item *item);
/* To the directories that it is a file of: so many bytes more came of it, or (negative) do not count any more. */
void dk_pull_tell_directories(const struct dk_pull_item *file, int64_t bytes);

/* pull_source.c */
/* Again: what was said against it is forgotten. 0 or -ENOMEM. */
int dk_pull_add_source(struct dk_pulls *pulls, struct dk_pull_item *item, struct dk_engine_host *host, uint64_t size);
void dk_pull_remove_sources(struct dk_pull_item *item);
/* NULL: it is none. */
struct dk_pull_source *dk_pull_source_of(const struct dk_pull_item *item, const struct dk_engine_host *host);
/* Asks the best source: of a new item, or when a source came that can be reached. */
void dk_pull_choose(struct dk_pulls *pulls, struct dk_pull_item *item);
/* What is said when no source is left: of `host`, or (NULL) of all; words for people in *ret. */
int dk_pull_verdict(const struct dk_pull_item *item, const struct dk_engine_host *host, struct dk_error *ret);
/* What its host says or sends, when that says something of the host (ENOENT, EBADMSG, EREMOTEIO, EPROTO), makes the
 * next source be asked; all else, and that of the last one, is its end. */
void dk_pull_fail(struct dk_pulls *pulls, struct dk_pull_item *item, int r, const char *what);
bool dk_pull_is_not_there(int r); /* ENOENT, EBADMSG: the host has it no more */
bool dk_pull_is_of_host(int r);   /* that, EREMOTEIO or EPROTO */
struct dk_pull_queue *dk_pull_queue_of(struct dk_pulls *pulls, const struct dk_engine_host *host); /* NULL: none */
void dk_pull_enqueue(struct dk_pulls *pulls, struct dk_pull_item *item);
void dk_pull_unqueue(struct dk_pulls *pulls, struct dk_pull_item *item);
void dk_pull_leave_host(struct dk_pulls *pulls, struct dk_pull_item *item); /* and what it asked for is nobody's */

/* pull_take.c */
void dk_pull_pump(struct dk_pulls *pulls, struct dk_engine_host *host); /* asks for as much as may be on its way */
void dk_pull_close_tmp(struct dk_pulls *pulls, struct dk_pull_item *item);
void dk_pull_begin_anew(struct dk_pulls *pulls, struct dk_pull_item *item); /* what came of it is thrown away */

#endif

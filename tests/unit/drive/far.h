/* An engine without runs, and hosts whose agents are scripts of the test: behind a provider of its own, each at the
 * other end of a socket in the engine's loop. */
#ifndef DK_TEST_FAR_H
#define DK_TEST_FAR_H

#include "engine/drive/engine_priv.h"
#include "engine/drive/pull.h"
#include "engine/drive/reach.h"
#include "lang/base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum far_way {
  FAR_RIGHT,
  FAR_GONE,     /* it has it no more */
  FAR_CLOSED,   /* it is there and cannot be read */
  FAR_ALTERED,  /* a byte of it is another */
  FAR_SWAPPED,  /* the second part comes before the first */
  FAR_GROWING,  /* each part says another size */
  FAR_SHORT,    /* parts lack their last byte */
  FAR_OTHER,    /* parts are said to be of another content */
  FAR_GONE_MID, /* after three parts it is gone */
};

struct far_content {
  struct dk_digest digest;
  char *bytes;
  size_t len;
  enum far_way way;
};

#define FAR_ASKED_MAX 65536
struct far {
  const char *name;
  uint32_t number, n_attempts; /* far_attempt */
  int fd;                      /* -1: not connected */
  uint64_t session;
  struct dk_buf in, out;
  size_t sent;
  bool is_away;         /* dials fail */
  int64_t ahead_ns;     /* its clock */
  uint32_t slots;       /* that it says it has; 0: one */
  bool is_strict;       /* its provider is not mixed: its system is another */
  uint32_t close_after; /* so many parts the stream breaks, once; 0: it does not */
  uint32_t n_parts, n_dials;
  uint32_t mute_after; /* so many parts it becomes mute, once; 0: it does not */
  bool is_mute;        /* answers to GET wait, in `out_late`, until far_speak */
  struct dk_buf out_late;
  struct far_content **contents; /* each stays where it is */
  uint32_t n_contents, cap_contents;
  struct {
    struct dk_digest digest;
    uint64_t offset;
  } asked[FAR_ASKED_MAX]; /* GETs */
  uint32_t n_asked;
  uint64_t acked;                                                      /* of results */
  void (*on_list)(struct far *far);                                    /* after HAS_END */
  void (*on_other)(struct far *far, const struct dk_message *message); /* PUT, GONE, READ */
};

#define FAR_HOSTS 2
struct far_engine {
  char root[64];
  struct dk_folder folder;
  struct dk_loop *loop;
  struct dk_hosts hosts;
  struct dk_hosts_entry entries[FAR_HOSTS];
  struct dk_engine *engine;
  struct far fars[FAR_HOSTS]; /* h1, h2: numbers 1 and 2 */
  uint64_t until_ns;          /* of far_turns */
  char said[4096];            /* the last words for all */
};

/* A state folder; far_start makes the engine, with lost_after in ms. */
int far_setup(void **state);
int far_teardown(void **state);
int far_start(struct far_engine *f, uint64_t lost_after_ms, struct dk_error *error);
void far_stop(struct far_engine *f);
/* Turns until *is_done, at most 2 min (the test fails). Returns what the engine's turn does. */
int far_turns(struct far_engine *f, const bool *is_done, struct dk_error *error);
void far_rest(struct far_engine *f, uint64_t ms); /* turns for so long */

/* What the host was given by an earlier engine: attempts 1 to n of it have ended there, before far_start. */
void far_add_attempts(struct far_engine *f, int host, uint32_t n);
struct dk_id far_attempt(const struct far *far, uint64_t n);
struct dk_digest far_key(const struct far *far, uint64_t n); /* of that attempt */

/* A content of the host, pseudo-random by `seed`; also recorded as a copy when `is_recorded`. */
struct far_content *far_add(struct far_engine *f, int host, size_t len, uint32_t seed, bool is_recorded);
struct far_content *far_add_bytes(struct far_engine *f, int host, const void *bytes, size_t len, bool is_dir,
                                  bool is_recorded);
void far_clear(struct far *far); /* its contents */
bool far_has_copy(struct far_engine *f, int host, const struct dk_digest *digest);
bool far_is_here(struct far_engine *f, const struct far_content *content); /* and what it is */
uint32_t far_n_tmp(struct far_engine *f);                                  /* files in objects/tmp */
void far_send(struct far *far, struct dk_message *message);
void far_break(struct far_engine *f, struct far *far); /* the stream */
void far_speak(struct far *far);
/* As if the time had passed until it counts as one that sends nothing of what it is asked for; until it is dialled
 * again (it is connected then). */
void far_pass_silence(struct far_engine *f, struct far *far);
void far_pass_pause(struct far_engine *f, struct far *far);

/* dk_engine_reach, and what came of it. */
struct far_reached {
  struct dk_engine *engine;
  bool is_done;
  int r;
  uint32_t which, n_progress;
  uint64_t here, total;
  char words[1000], waits[1000];
};
int far_reach(struct far_engine *f, const struct far_content *const *contents, const bool *are_dirs, uint32_t n,
              struct far_reached *ret);

#endif

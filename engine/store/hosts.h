/* The machines that tasks ran on or may run on, and which contents are kept where.
 *
 * A host has a number, which attempts, tasks and copies name. It is never used for another one: 0 is this machine, the
 * others count from 1 in the order in which files of providers first named them. */
#ifndef DK_STORE_HOSTS_H
#define DK_STORE_HOSTS_H

#include "engine/store/record.h"

/* On disk: only add. */
enum dk_host_state {
  DK_HOST_NEW = 0,     /* not reached yet, by the engine that works or worked last */
  DK_HOST_UP = 1,      /* its agent answers */
  DK_HOST_DOWN = 2,    /* it cannot be reached; `words` say why */
  DK_HOST_BARRED = 3,  /* its agent answers, and it gets no tasks; `words` say why */
  DK_HOST_REMOVED = 4, /* no file of providers names it any more */
};

struct dk_host_record {
  uint32_t number;
  enum dk_host_state state; /* as the last engine left it; while none works, nobody knows */
  char *provider, *name;    /* together its identity */
  char *words;              /* "" when there are none */
  char *system;             /* "x86_64, debian 12, glibc 2.36"; "" until it was reached */
  char *place;              /* as in dk_host_facts (drive/provider.h) when it was up last; "" or NULL: not known */
  char *gpu;                /* models of its GPUs, a newline between two; "" */
  uint64_t changed_unix_ns; /* when it came into that state */
  uint64_t seen_unix_ns;    /* when its agent was heard last; 0: never */
  uint64_t memory, free;    /* bytes; free: where its agent keeps its files */
  int64_t clock_ns;         /* its clock is so much ahead of this machine's */
  uint32_t slots, cpus, gpus;
};

int dk_host_record_encode(const struct dk_host_record *host, struct dk_buf *out);
int dk_host_record_decode(const void *data, size_t len, struct dk_host_record *ret); /* but for its number, the key */
void dk_host_record_finish(struct dk_host_record *host);

int dk_batch_put_host(struct dk_batch *batch, const struct dk_host_record *host);
/* -ENOENT when there is none of the number. */
int dk_store_get_host(struct dk_store *store, uint32_t number, struct dk_host_record *ret, struct dk_error *error);
/* In the order of their numbers; fn as in dk_store_each. */
typedef int dk_store_host_fn(void *ctx, const struct dk_host_record *host);
int dk_store_each_host(struct dk_store *store, dk_store_host_fn *fn, void *ctx, struct dk_error *error);

#define DK_COPY_KEY (DK_DIGEST_SIZE + 4) /* bytes */
/* A content that is kept at a host, where a task made it. Of a directory: its manifest's, with all that it names. */
struct dk_copy {
  struct dk_digest content;
  uint32_t host;
  uint64_t size; /* bytes; of a directory: its manifest's */
  bool is_dir;
};
int dk_copy_decode(const void *key, size_t klen, const void *value, size_t vlen, struct dk_copy *ret);
int dk_batch_put_copy(struct dk_batch *batch, const struct dk_copy *copy);
int dk_batch_del_copy(struct dk_batch *batch, const struct dk_digest *content, uint32_t host);
/* -ENOENT: the host has none. `ret` may be NULL. */
int dk_store_get_copy(struct dk_store *store, const struct dk_digest *content, uint32_t host, struct dk_copy *ret,
                      struct dk_error *error);
/* Stops when fn returns non-zero, which is returned. */
typedef int dk_store_copy_fn(void *ctx, const struct dk_copy *copy);
int dk_store_each_copy(struct dk_store *store, const struct dk_digest *content, dk_store_copy_fn *fn, void *ctx,
                       struct dk_error *error); /* content NULL: of all */

/* One that can be had: at a host that `may` allows; NULL: that is not taken out, as the store knows. -ENOENT: there is
 * none. */
typedef bool dk_store_may_host_fn(void *ctx, uint32_t host);
int dk_store_find_copy(struct dk_store *store, const struct dk_digest *content, dk_store_may_host_fn *may, void *ctx,
                       struct dk_copy *ret, struct dk_error *error);

#endif

/* What the store's records refer to, and by which run it was last used: the ground that gc, du and fsck stand on. A
 * snapshot in memory, read from the store with its ordinary functions; a damaged value is an error here (fsck mends
 * those first). */
#ifndef DK_DRIVE_REFS_H
#define DK_DRIVE_REFS_H

#include "engine/drive/folder.h"
#include "engine/wire/message.h"
#include "lang/base/map.h"

struct dk_use {
  struct dk_digest name;
  uint32_t newest;  /* run that used it last; 0: none that is known */
  uint32_t owner;   /* index of dk_refs.owners; DK_OWNER_SHARED when several use it */
  bool is_manifest; /* objects: a directory's, whose files are listed too */
};

/* A set of names, each once. */
struct dk_uses {
  struct dk_use *items;
  uint32_t n, cap;
  struct dk_map map;
};
void dk_uses_init(struct dk_uses *uses);
void dk_uses_finish(struct dk_uses *uses);
int dk_uses_add(struct dk_uses *uses, const struct dk_digest *name, uint32_t run, uint32_t owner); /* 0 or -ENOMEM */
const struct dk_use *dk_uses_find(const struct dk_uses *uses, const struct dk_digest *name);       /* NULL */

struct dk_ref_run {
  uint32_t number;
  bool is_running; /* as recorded: its engine may be gone */
  uint64_t started_unix_ns, ended_unix_ns;
  struct dk_digest plan;
  char commit[41], pinned[41];
};

enum { DK_OWNER_SHARED, DK_OWNER_PLANS, DK_OWNER_INPUTS, DK_OWNER_LOGS_OF_FAILURES, DK_OWNERS_FIRST_TASK };
struct dk_refs {
  struct dk_ref_run *runs; /* by number */
  uint32_t n_runs, cap_runs;
  struct dk_uses objects, trees;
  struct dk_uses results;  /* by key */
  struct dk_uses failures; /* by attempt: 16 bytes, then zeros */
  char **owners;           /* for people; from DK_OWNERS_FIRST_TASK on tasks of the files */
  uint32_t *n_results;     /* of each owner */
  uint32_t n_owners, n_attempts;
};
/* The objects of what a result names are looked into as far as they are directories. */
int dk_refs_collect(struct dk_folder *folder, struct dk_refs *ret, struct dk_error *error);
void dk_refs_finish(struct dk_refs *refs);

/* The objects that a result names; stops when fn returns non-zero, which is returned. */
typedef int dk_result_object_fn(void *ctx, const struct dk_digest *digest, bool is_dir, uint64_t size);
int dk_result_each_object(const struct dk_result *result, dk_result_object_fn *fn, void *ctx);
/* The name of an attempt among dk_refs.failures. */
void dk_refs_attempt(const void *id_key, struct dk_digest *ret);

#endif

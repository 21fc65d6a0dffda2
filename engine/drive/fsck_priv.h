/* What the files of fsck share. Included by nobody else. */
#ifndef DK_DRIVE_FSCK_PRIV_H
#define DK_DRIVE_FSCK_PRIV_H

#include "engine/drive/folder.h"
#include "engine/drive/fsck.h"
#include "engine/drive/refs.h"
#include "engine/store/record.h"

/* A host that no file of providers names now, and that alone has what records name. */
struct dk_fsck_away {
  uint32_t host;
  uint32_t n;    /* results and failures that name such contents, and are whole but for what cannot be looked at */
  bool is_named; /* by the record that is looked at */
};

struct dk_fsck {
  const struct dk_fsck_options *options;
  struct dk_fsck_sum *sum;
  struct dk_folder folder;
  struct dk_uses bad; /* objects that are there and are not what their names say */
  struct dk_uses
      /* those of them that kept their seals, and directories with one: as the key of who has it as an input knows it */
      unmarked;
  struct dk_batch batch; /* what mending deletes from the store */
  uint32_t n_moved;
  uint32_t n_cleaned; /* results of which outputs were removed from hosts, and are nowhere */
  struct dk_fsck_away *away;
  uint32_t n_away, cap_away;
  struct dk_error *error;
};

/* Tells of a finding; what can be mended counts as mended when `repair` is set. */
void dk_fsck_found(struct dk_fsck *fsck, bool can_mend, const char *help, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Out of memory, in words. */
int dk_fsck_no_memory(struct dk_fsck *fsck);
/* With the next commit (repair only). 0 or -ENOMEM with words. */
int dk_fsck_drop(struct dk_fsck *fsck, enum dk_table table, const void *key, size_t klen);
#define DK_FSCK_RUNS_AGAIN "it is deleted; its task runs again"
/* Moves a file or folder of the state folder to damaged/ (repair only). */
int dk_fsck_move_away(struct dk_fsck *fsck, const char *path);

/* fsck_results.c: as in dk_store_each, of one entry; after the objects were looked at. ctx is the dk_fsck. */
int dk_fsck_result(void *ctx, const void *key, size_t klen, const void *value, size_t vlen);
int dk_fsck_failure(void *ctx, const void *key, size_t klen, const void *value, size_t vlen);
/* fsck_objects.c */
int dk_fsck_objects(struct dk_fsck *fsck);  /* the files themselves; fills `bad` */
int dk_fsck_move_bad(struct dk_fsck *fsck); /* after the records that named them are gone */
/* NULL, or what is wrong with an object that a record names, in words that live until the next call. */
const char *dk_fsck_object(struct dk_fsck *fsck, const struct dk_digest *digest, bool is_dir, uint64_t size);
int dk_fsck_trees(struct dk_fsck *fsck);
/* NULL, or the name of the input of a result that is one of `unmarked`. */
const char *dk_fsck_bad_input(const struct dk_fsck *fsck, const struct dk_saved *saved);

#endif

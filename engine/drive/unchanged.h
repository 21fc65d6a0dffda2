/* Nothing to do, known without a look at any task: what a run that was all done stood on is kept in the store with its
 * end; as long as all of it is the same, another run would find a result for every task.
 *
 * It stood on: the .dk files and everything else that was read to make the plan (bytes), the parameters, the files and
 * directories that are inputs, places of mounts, the code digests, the environment id, this program, the store's
 * generation (deleted results) and the folders of the objects (deleted outputs; an object altered in place is found
 * when it is used), and the hosts that have outputs which are not here: files of providers must still name them.
 * Nothing is kept of a run with a task that is never cached, or whose file has warnings. The time it takes grows with
 * the number of files, not of tasks. */
#ifndef DK_DRIVE_UNCHANGED_H
#define DK_DRIVE_UNCHANGED_H

#include "engine/drive/lookup.h"
#include "lang/lang.h"

/* What is asked for. Borrowed. */
struct dk_asked {
  const char *root;   /* of the repository's work tree */
  const char *file;   /* relative to it */
  const char *params; /* as given: "folds=10 x=1" */
};

/* What loading the file read, in bytes that may be handed to another process: for dk_unchanged_keep. `since`: before it
 * was loaded (dk_unix_ns). Empty: nothing is to be kept of such a run. 0 or -ENOMEM. */
int dk_unchanged_sources(const struct dk_asked *asked, const struct dk_load *load, uint64_t since_unix_ns,
                         struct dk_buf *ret);

/* Adds what the run stood on to the batch of its end. Only for a run whose every task has a result. `lookup` is that of
 * the run, `sources` from dk_unchanged_sources. What stands in the way (a file that changed meanwhile) only means that
 * nothing is kept. 0 or -ENOMEM. */
int dk_unchanged_keep(const struct dk_asked *asked, const struct dk_buf *sources, struct dk_lookup_state *lookup,
                      const struct dk_run *run, struct dk_batch *batch);

struct dk_unchanged {
  uint32_t run; /* that was all done, and still is */
  uint32_t n_tasks;
  struct dk_digest asked; /* of what was asked for */
};
/* Is there nothing to do? Reads only; what cannot be read is a no. `state`: the state folder. `code`: the work tree as
 * it would be pinned; NULL: it is looked at here, when it matters. */
bool dk_unchanged_find(const struct dk_asked *asked, const char *state, struct dk_store *store,
                       const struct dk_objects *objects, struct dk_code_repo *code, struct dk_unchanged *ret);

#endif

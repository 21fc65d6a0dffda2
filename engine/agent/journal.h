/* A keeper's journal: which attempt it started and how each ended, until the engine has committed that.
 *
 * What it keeps true: a START is written before the program is started, and space for its END is there then (else the
 * start is refused); an END is written before it is reported; both by write(2), so they outlive every process but not a
 * power cut (a machine that went down is recognised by the boot id). A record that was cut off by a kill is never taken
 * for one.
 *
 * Two files, slots/N/journal.0 and .1, used in turn: when one is long and all of the other's ends are forgotten,
 * writing goes on in the other. A file is a head (magic, generation, CRC) and records: u32 length, u32 CRC-32C seeded
 * with the generation, payload; so what is left of an earlier round is never read.
 *
 * The head also says in which folder it was written (a digest of its identity, engine/sys/fs.h). A journal that was
 * copied with its folder tells of processes and ends that are the original's: nothing of it is taken over. One whose
 * head says nothing (written before heads did) is taken as this folder's, and says it from then on. */
#ifndef DK_AGENT_JOURNAL_H
#define DK_AGENT_JOURNAL_H

#include "engine/wire/message.h"

#include <sys/types.h>

struct dk_journal_start {
  struct dk_id id;
  uint32_t cpus;
  pid_t keeper;                /* also the session of all that it started */
  uint64_t keeper_start_ticks; /* with boot: which process that was */
  uint8_t boot[16];
  uint64_t unix_ns;
};

#define DK_JOURNAL_FOLDER 12u
struct dk_journal {
  int fds[2];
  uint8_t folder[DK_JOURNAL_FOLDER];
  bool was_copied; /* what was found is another folder's: gone, and begun anew */
  uint64_t generation[2];
  uint64_t end[2];      /* where the next record goes */
  uint64_t reserved[2]; /* bytes of the file that are allocated */
  uint64_t last_seq[2]; /* of the ENDs in it; 0: none */
  unsigned current;
  uint64_t next_seq, forgotten;
  bool is_open_start; /* a START without END: `start` */
  struct dk_journal_start start;
};

/* Opens or makes the files in directory `dir`. -ENOSPC when there is no room for them. */
int dk_journal_open(struct dk_journal *journal, int dir, struct dk_error *error);
void dk_journal_close(struct dk_journal *journal);

/* Room for an END of up to end_max bytes, and the START. -ENOSPC (or another): nothing was written, do not start. */
int dk_journal_begin(struct dk_journal *journal, const struct dk_journal_start *start, size_t end_max,
                     struct dk_error *error);
/* The END of the open START; *ret_seq counts ends from 1. An error leaves the number valid: report it all the same. */
int dk_journal_finish(struct dk_journal *journal, const struct dk_result *result, uint64_t *ret_seq,
                      struct dk_error *error);
/* An END without a START (an order that was ended before it began). */
int dk_journal_note(struct dk_journal *journal, struct dk_id id, const struct dk_result *result, uint64_t *ret_seq,
                    struct dk_error *error);
/* Everything up to seq is committed elsewhere. */
void dk_journal_forget(struct dk_journal *journal, uint64_t seq);

/* For who only looks at the slot of directory `dir`: the START that was written last, and whether it has no END yet.
 * Writes and makes nothing. -ENOENT: nothing was started in it (what a copied journal tells was started elsewhere). */
int dk_journal_look(int dir, struct dk_journal_start *ret, bool *ret_is_open);

/* Every END that is not forgotten, in order. `result` belongs to the callback's caller; it may be moved out
 * (zeroed). */
typedef int dk_journal_end_fn(void *ctx, uint64_t seq, struct dk_id id, struct dk_result *result);
int dk_journal_each(struct dk_journal *journal, dk_journal_end_fn *fn, void *ctx, struct dk_error *error);

#endif

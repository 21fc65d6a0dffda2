/* Taking the state folder: see take.h. */
#include "engine/cli/take.h"
#include "engine/cli/slot.h"
#include "engine/store/record.h"
#include "lang/base/alloc.h"

#include <errno.h>

struct known {
  struct dk_record *records;
  uint32_t n;
  uint32_t n_unknown;
  long keeper; /* of one that is unknown */
};

static void compare(void *ctx, struct dk_id attempt, long keeper) {
  struct known *known = ctx;
  for (uint32_t i = 0; i < known->n; i++) {
    if (known->records[i].kind == DK_REC_ATTEMPT && dk_id_equal(known->records[i].id, attempt)) {
      return;
    }
  }
  known->n_unknown++;
  known->keeper = keeper;
}

/* An attempt is in the store before it is ordered, and leaves it after its end: what runs and is not there was ordered
 * later than the store knows. */
static int look_for_unknown(struct dk_cli *cli, struct dk_store *store, struct dk_error *error) {
  struct known known = {.n_unknown = 0};
  int r = dk_store_load_core(store, &known.records, &known.n, error);
  if (r < 0) {
    return r;
  }
  dk_slots_each_running(cli, compare, &known);
  dk_free(known.records);
  if (known.n_unknown == 0) {
    return 0;
  }
  bool is_one = known.n_unknown == 1;
  return dk_error_set(
      error, -ESTALE,
      "%u task%s here that %s/store never heard of (keeper: process %ld): the store is older, as when a "
      "backup was put back\nhelp: put the newer store back, or wait until %s ended; `dkrun run "
      "--as-restored` ends %s and goes on with this store",
      known.n_unknown, is_one ? " runs" : "s run", cli->state, known.keeper, is_one ? "it has" : "they have",
      is_one ? "it" : "them");
}

int dk_cli_take_folder(struct dk_cli *cli, const char *holder, struct dk_folder *ret, struct dk_error *error) {
  int r = dk_folder_open(cli->root, holder, ret, error);
  if (r < 0) {
    return r;
  }
  if (!cli->as_restored) {
    r = look_for_unknown(cli, ret->store, error);
  }
  if (r < 0) {
    dk_folder_close(ret);
    return r;
  }
  if (dk_store_was_copied(ret->store)) {
    dk_cli_note(
        "this state folder is a copy: its results are used; what was running belongs to the original, and runs here "
        "again");
  }
  return 0;
}

/* dkrun get: what is not here. It comes from the hosts that have it, or words say where it is gone. */
#include "engine/cli/bring.h"
#include "engine/cli/get_priv.h"
#include "engine/store/hosts.h"
#include "lang/base/alloc.h"

#include <errno.h>

/* --- what is at hosts --- */

struct bringing {
  struct dk_bring bring;
  struct {
    uint32_t task, output;
  } * of; /* by what is wanted */
  uint32_t cap;
};

static int add_wanted(const struct dk_get *get, struct bringing *to, uint32_t task, const struct dk_result *result,
                      struct dk_error *error) {
  const struct dk_template *t = dk_plan_template(get->look.rows.plan, task, NULL);
  int r = 0;

  for (uint32_t i = 0; i < t->n_outputs && i < result->n_outputs && r == 0; i++) {
    const struct dk_wanted wanted = {result->outputs[i].digest, result->outputs[i].is_dir};
    uint32_t n = to->bring.n;
    if (!dk_get_is_wanted(get, t, i)) continue;
    if (!dk_grow(to->of, n, to->cap)) return dk_error_system(error, -ENOMEM, "listing what is at hosts");
    to->of[n].task = task;
    to->of[n].output = i;
    r = dk_bring_add(&to->bring, get->look.store, &get->look.objects, &wanted, error);
  }
  return r;
}

static int add_task(struct dk_get *get, struct bringing *to, uint32_t task, struct dk_error *error) {
  struct dk_result result;
  int r = dk_get_has_outputs(get, task) ? dk_row_result(&get->look.rows, task, &result, error) : -ENOENT;

  if (r < 0) return r == -ENOENT ? 0 : r;
  r = add_wanted(get, to, task, &result, error);
  dk_result_finish(&result);
  return r;
}

/* All of them at once, before anything is copied. */
int dk_get_bring(struct dk_get *get, struct dk_error *error) {
  struct bringing to = {.cap = 0};
  uint32_t which = 0;
  int r = 0;

  for (uint32_t i = 0; i < get->n_tasks && r == 0; i++) r = add_task(get, &to, get->tasks[i], error);
  if (r == 0 && to.bring.n > 0) {
    r = dk_bring(get->cli, &to.bring, &which, error);
    if ((r == -EHOSTUNREACH || r == -ENOENT || r == -EBADMSG) && which < to.bring.n) {
      dk_autobuf name = DK_BUF_INIT;
      const struct dk_template *t = dk_plan_template(get->look.rows.plan, to.of[which].task, NULL);
      dk_row_label(&get->look.rows, to.of[which].task, &name);
      dk_error_prefix(error, "output `%s` of %s", t->outputs[to.of[which].output].name, dk_buf_text(&name));
    }
  }
  dk_bring_finish(&to.bring);
  dk_free(to.of);
  return r;
}

/* --- what is nowhere --- */

/* The name of a host that was known to have it; false: none is. */
struct holder {
  struct dk_store *store;
  struct dk_host_record host;
};

static int take_holder(void *ctx, const struct dk_copy *copy) {
  struct holder *holder = ctx;
  return dk_store_get_host(holder->store, copy->host, &holder->host, NULL) == 0;
}

static bool find_holder(const struct dk_get *get, const struct dk_digest *content, struct holder *ret) {
  *ret = (struct holder){.store = get->look.store};
  return dk_store_each_copy(get->look.store, content, take_holder, ret, NULL) == 1;
}

/* Was it removed from a host when it was nowhere else? */
static bool was_cleaned(const struct dk_get *get, uint32_t task, const char *name, const char *command,
                        struct dk_error *error) {
  struct dk_saved saved;

  if (dk_store_get_saved(get->look.store, &get->look.rows.tasks[task].key, &saved, NULL) < 0) return false;
  bool was = saved.cleaned && *saved.cleaned;
  if (was)
    dk_error_set(error, -ENOENT,
                 "%s was only at host %s, and was removed there with `dkrun hosts clean`\nhelp: `%s` makes it again",
                 name, saved.cleaned, command);
  dk_saved_finish(&saved);
  return was;
}

/* Which of them can be told apart by the objects alone: a run looks at what is missing or unsealed, a reading fsck at
 * the rest. */
int dk_get_lost(const struct dk_get *get, uint32_t task, const struct dk_kept *kept, const char *name, int r,
                struct dk_error *error) {
  const struct dk_objects *objects = &get->look.objects;
  bool is_believed = dk_objects_has_content(objects, &kept->digest, kept->is_dir, NULL) > 0;
  dk_autobuf command = DK_BUF_INIT;

  if (r == -ENOENT && is_believed) return r; /* it is the place that is not there */
  dk_run_command(&get->look.rows.run, &command);
  struct holder holder;
  if (r == -ENOENT && find_holder(get, &kept->digest, &holder)) {
    dk_error_set(error, r,
                 "%s is at host %s alone, which no file of providers names any more\nhelp: name it there again, or "
                 "`%s` makes it again",
                 name, holder.host.name, dk_buf_text(&command));
    dk_host_record_finish(&holder.host);
    return r;
  }
  if (r == -ENOENT && was_cleaned(get, task, name, dk_buf_text(&command), error)) return r;
  return dk_error_set(error, r, "%s %s\nhelp: %s`%s` makes it again", name,
                      r == -ENOENT ? "is gone from .dkrun/objects" : "was altered in .dkrun/objects: nothing is copied",
                      is_believed ? "`dkrun fsck --repair` drops it, then " : "", dk_buf_text(&command));
}

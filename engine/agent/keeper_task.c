/* The keeper's tasks: room for them on the machine, and each from its order to its result. */
#include "engine/agent/keeper_private.h"
#include "engine/agent/localise.h"
#include "engine/sys/loop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define GIVE_BACK_NS 20000000u /* a task that runs longer does not keep others waiting behind it */
#define WAIT_NS 20000000u      /* nor does one that waits so long for room on the machine */

/* Room on the machine. */

static struct dk_need need_of(const struct dk_job *job) {
  return (struct dk_need){.cpus = job->cpus, .gpus = job->gpus, .memory = job->memory, .gpu_model = job->gpu};
}

/* The first order's: books it, or waits for it. Those behind an order that waits go to others. */
static bool has_room(struct keeper *k) {
  const struct order *order = &k->orders[k->first];
  struct dk_need need = need_of(&order->job);
  uint64_t now = dk_now_ns();
  if (k->booking.is_waiting && !dk_id_equal(k->booked_for, order->id)) dk_booking_drop(&k->booking);
  k->booked_for = order->id;
  if (dk_booking_take(&k->booking, &need, now)) return true;
  if (k->n > k->first + 1 && now >= k->booking.since_ns + WAIT_NS) dk_keeper_give_back(k, 1);
  return false;
}

/* What no wait brings: the machine has lost something since the run was looked at. */
static bool refuse_needy(struct keeper *k) {
  dk_autobuf text = DK_BUF_INIT;
  struct dk_need need = need_of(&k->orders[k->first].job);
  dk_buf_add_text(&text, "it needs ");
  if (!dk_machine_lacks(&k->machine, &need, &text)) return false;
  dk_keeper_say_refused(k, k->orders[k->first].id, DK_REFUSED_BAD, dk_buf_text(&text));
  dk_keeper_remove_order(k, k->first);
  dk_keeper_flush(k);
  return true;
}

static void give_room_back(struct keeper *k) {
  struct dk_need next = {0};
  if (k->n > k->first) next = need_of(&k->orders[k->first].job);
  dk_booking_leave(&k->booking, k->n > k->first ? &next : NULL);
}

static uint64_t room_deadline(const struct keeper *k) {
  if (!k->booking.is_waiting) return 0;
  uint64_t at = dk_booking_deadline(&k->booking), give_back = k->booking.since_ns + WAIT_NS;
  return k->n > k->first + 1 && give_back < at ? give_back : at;
}

/* Tasks. */

static void end_task(struct keeper *k) {
  dk_task_collect(&k->task, dk_keeper_service, k);
  uint64_t seq;
  (void)dk_journal_finish(&k->journal, &k->task.result, &seq, NULL);
  k->is_running = false;
  dk_keeper_say_result(k, seq, k->task.id, &k->task.result);
  dk_task_finish(&k->task);
  give_room_back(k);
  k->idle_since = dk_now_ns();
  if (k->first < k->n) return; /* the next one cleans up, and reports may wait */
  dk_keeper_flush(k);
  /* At once: a full disk would stay full until the slot is used again. */
  (void)dk_workdir_clean(&k->slot.workdir, NULL);
}

/* It did not start. */
static void refuse_order(struct keeper *k, struct order *order, enum dk_refusal reason, const char *text) {
  dk_keeper_say_refused(k, order->id, reason, text);
  dk_keeper_flush(k);
  dk_job_finish(&order->job);
  give_room_back(k);
}

/* What a job from elsewhere names of this machine (a mount) may not be here. */
static bool refuse_homeless(struct keeper *k, struct order *order) {
  const char *path = dk_local_job_lacks(&order->job);
  if (!path) return false;
  int code = errno;
  dk_autobuf text = DK_BUF_INIT;
  dk_buf_add_text(&text, "its mount ");
  dk_buf_add_escaped(&text, path, strlen(path));
  if (code == ENOENT || code == ENOTDIR)
    dk_buf_add_text(&text, " is not there");
  else
    dk_buf_printf(&text, " cannot be used: %s", strerror(code));
  refuse_order(k, order, DK_REFUSED_BAD, dk_buf_text(&text));
  return true;
}

static void begin_task(struct keeper *k) {
  struct order order = k->orders[k->first++];
  struct dk_error error = {0};
  if (refuse_homeless(k, &order)) return;
  struct dk_journal_start start = {.id = order.id,
                                   .cpus = order.job.cpus,
                                   .keeper = getpid(),
                                   .keeper_start_ticks = k->start_ticks,
                                   .unix_ns = dk_unix_ns()};
  memcpy(start.boot, k->boot, sizeof start.boot);
  if (dk_keeper_open_journal(k, &error) < 0 ||
      dk_journal_begin(&k->journal, &start, dk_task_result_max(&order.job), &error) < 0) {
    refuse_order(k, &order, dk_error_is_limit(error.code) ? DK_REFUSED_BAD : DK_REFUSED_DISK, error.text);
    return;
  }
  k->is_running = true;
  k->slot.gpus = k->booking.gpus;
  k->slot.n_gpus = k->booking.n_gpus;
  k->slot.stuck = dk_smi_stuck(&k->booking.smi);
  k->is_told = false;
  dk_keeper_flush_soon(k);
  k->task = (struct dk_task){.id = order.id,
                             .job = {.cpus = order.job.cpus},
                             .group = DK_CGROUP_NONE}; /* what a HELLO or KILL meanwhile looks at */
  bool has_started = dk_task_start(&k->task, &k->slot, order.id, &order.job, dk_keeper_service, k);
  if (!has_started) end_task(k);
}

void dk_keeper_run_task(struct keeper *k) {
  uint64_t now = dk_now_ns();
  if (dk_task_wake(&k->task, now)) {
    end_task(k);
    return;
  }
  if (k->n > k->first && now >= k->task.started_ns + GIVE_BACK_NS) dk_keeper_give_back(k, 0);
}

void dk_keeper_begin_tasks(struct keeper *k) {
  while (!k->is_running && k->n > k->first) {
    if (refuse_needy(k)) continue;
    if (!has_room(k)) return;
    dk_keeper_look_for_folder(k); /* what is ordered for a folder that is gone is not begun there */
    if (k->n > k->first) begin_task(k);
  }
  if (!k->is_running) dk_booking_drop(&k->booking); /* the order that waited may be gone */
}

uint64_t dk_keeper_task_deadline(const struct keeper *k) {
  if (!k->is_running) return room_deadline(k);
  uint64_t at = dk_task_deadline(&k->task), soon = dk_now_ns() + DK_KEEPER_PATIENCE_NS;
  if (k->n > k->first && k->task.started_ns + GIVE_BACK_NS < at) at = k->task.started_ns + GIVE_BACK_NS;
  return at < soon ? at : soon;
}

/* See keeper.h. The order of things for a task: START in the journal, directory filled, program started, tree dead,
 * outputs kept, END in the journal, RESULT to the daemon; ACK from the daemon forgets it. */
#include "engine/agent/keeper.h"
#include "engine/agent/keeper_private.h"
#include "engine/agent/survivors.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define RULES_NS 5000000u   /* a keeper idle for so long gives its ruleset up: see sandbox.h */
#define GONE_NS 5000000000u /* how often an idle keeper looks whether its folder is still there */

static uint64_t deadline(const struct keeper *k) {
  uint64_t at = k->flush_at;
  if (k->is_running || k->n > k->first) {
    uint64_t task = dk_keeper_task_deadline(k);
    return task < at ? task : at;
  }
  uint64_t idle = k->has_daemon ? UINT64_MAX : k->idle_since + k->options.idle_ms * 1000000u;
  if (idle > dk_now_ns() + GONE_NS) idle = dk_now_ns() + GONE_NS;
  if (k->slot.sandbox.ruleset >= 0 && k->idle_since + RULES_NS < idle) idle = k->idle_since + RULES_NS;
  return idle < at ? idle : at;
}

/* The state folder was removed: nobody will ask for what happens here. Or moved: what was ordered meanwhile has paths
 * of where it is now, and is for a keeper that was started there (the daemon orders it again). */
void dk_keeper_look_for_folder(struct keeper *k) {
  struct stat own, named;
  k->folder_at = dk_now_ns() + DK_KEEPER_PATIENCE_NS;
  if (!k->is_away && fstat(k->slot.dir, &own) == 0) {
    bool is_removed = own.st_nlink == 0;
    k->is_away =
        is_removed || stat(k->options.path, &named) < 0 || own.st_dev != named.st_dev || own.st_ino != named.st_ino;
    if (is_removed && k->is_running) dk_task_kill(&k->task, dk_now_ns(), 0);
  }
  if (!k->is_away) return;
  k->must_end = true;
  dk_keeper_drop_orders(k);
}

static bool has_nothing_left(const struct keeper *k) {
  if (k->is_running || k->n > k->first) return false;
  if (k->must_end) return true;
  /* What is not acknowledged is in the journal: the next daemon starts a keeper that tells it. */
  return !k->has_daemon && dk_now_ns() >= k->idle_since + k->options.idle_ms * 1000000u;
}

/* A daemon that came just now is let in instead. */
static bool is_over(struct keeper *k) {
  if (!has_nothing_left(k)) return false;
  if (!k->must_end) dk_keeper_poll(k, 0);
  return has_nothing_left(k);
}

/* What an earlier keeper of this slot left: its task is ended and counts as lost. */
static int recover(struct keeper *k, struct dk_error *error) {
  if (!k->journal.is_open_start) return 0;
  const struct dk_journal_start *start = &k->journal.start;
  struct dk_result result = {.cause = DK_CAUSE_LOST, .started_unix_ns = start->unix_ns};
  char text[200];
  if (memcmp(start->boot, k->boot, sizeof k->boot) != 0) {
    snprintf(text, sizeof text, "the machine went down while it ran");
  } else {
    size_t left = dk_survivors_end(start, k->boot);
    snprintf(text, sizeof text, "its keeper (process %ld) was ended while it ran%s", (long)start->keeper,
             left > 0 ? "; some of its processes could not be ended" : "");
  }
  result.text = text;
  uint64_t seq;
  return dk_journal_finish(&k->journal, &result, &seq, error);
}

int dk_keeper_open_journal(struct keeper *k, struct dk_error *error) {
  if (k->has_journal) return 0;
  int r = dk_journal_open(&k->journal, k->slot.dir, error);
  if (k->journal.was_copied)
    fprintf(
        stderr,
        "dkagent: slot %u: this folder is a copy; what its journal tells of runs where it was copied from, and is not "
        "touched\n",
        k->options.slot);
  if (r == 0) r = recover(k, error);
  k->has_journal = r == 0;
  if (r < 0) dk_journal_close(&k->journal);
  return r;
}

/* What an earlier keeper of this slot left in the slot's group, which is named by the slot's folder: no two have one
 * name. */
static void end_group(struct keeper *k) {
  struct stat st;
  if (!k->slot.cgroups || fstat(k->slot.dir, &st) < 0) return;
  snprintf(k->slot.group, sizeof k->slot.group, "dkrun-%llx-%llx", (unsigned long long)st.st_dev,
           (unsigned long long)st.st_ino);
  (void)dk_cgroup_remove(k->slot.cgroups, k->slot.group);
}

static int open_keeper(struct keeper *k, const struct dk_keeper_options *options, struct dk_error *error) {
  *k = (struct keeper){.options = *options, .child_fd = -1, .flush_at = UINT64_MAX, .idle_since = dk_now_ns()};
  k->journal = (struct dk_journal){.fds = {-1, -1}};
  k->slot = (struct dk_slot){.number = options->slot, .dir = -1, .path = options->path};
  dk_machine_look(options->machine, &k->machine);
  if (k->machine.gpus.n > options->gpus) k->machine.gpus.n = options->gpus;
  k->slot.vendor = k->machine.gpus.vendor;
  k->slot.cgroups = options->cgroups;
  dk_booking_init(&k->booking, &k->machine, options->ledger, options->books_cpus);
  dk_proc_raise_nofile(&k->slot.nofile);
  dk_conn_init(&k->conn, -1);
  dk_workdir_init(&k->slot.workdir, -1);
  dk_sandbox_init(&k->slot.sandbox);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) return dk_error_system(error, -errno, "cannot become a subreaper");
  dk_proc_boot_id(k->boot);
  struct dk_proc_stat stat = {0};
  dk_proc_stat(getpid(), &stat);
  k->start_ticks = stat.start_ticks;
  k->slot.dir = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (k->slot.dir < 0) return dk_error_system(error, -errno, "cannot open the slot's directory %s", options->path);
  dk_workdir_init(&k->slot.workdir, k->slot.dir);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  k->child_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (k->child_fd < 0) return dk_error_system(error, -errno, "cannot watch for ended tasks");
  end_group(k);
  bool has_journal = dk_keeper_open_journal(k, NULL) == 0; /* ends what an earlier task left running */
  dk_workdir_sweep(&k->slot.workdir);
  if (!has_journal) (void)dk_keeper_open_journal(k, NULL); /* there may be room now; else the next order says why not */
  return 0;
}

static void close_keeper(struct keeper *k) {
  dk_keeper_drop_orders(k);
  dk_booking_finish(&k->booking);
  dk_free(k->orders);
  dk_conn_finish(&k->conn);
  dk_journal_close(&k->journal);
  dk_workdir_finish(&k->slot.workdir);
  dk_sandbox_finish(&k->slot.sandbox);
  dk_spawn_found_finish(&k->slot.found);
  if (k->slot.dir >= 0) close(k->slot.dir);
  if (k->child_fd >= 0) close(k->child_fd);
}

int dk_keeper_run(const struct dk_keeper_options *options, struct dk_error *error) {
  struct keeper k;
  int r = open_keeper(&k, options, error);
  k.idle_since = dk_now_ns(); /* what an earlier one left may have taken long to end */
  while (r == 0 && !is_over(&k)) {
    dk_keeper_poll(&k, deadline(&k));
    if (dk_now_ns() >= k.folder_at) dk_keeper_look_for_folder(&k);
    if (k.is_running) dk_keeper_run_task(&k);
    dk_keeper_begin_tasks(&k);
    if (!k.is_running && k.slot.sandbox.ruleset >= 0 && dk_now_ns() >= k.idle_since + RULES_NS)
      dk_sandbox_finish(&k.slot.sandbox);
    if (dk_now_ns() >= k.flush_at) dk_keeper_flush(&k);
  }
  close_keeper(&k);
  return r;
}

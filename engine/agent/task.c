/* See task.h. */
#include "engine/agent/task.h"
#include "engine/agent/collect.h"
#include "engine/agent/environ.h"
#include "engine/agent/postmortem.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS 1000000u
#define TEXT_MAX 1500u

static void decide(struct dk_task *task, enum dk_cause cause, const char *text) {
  task->result.cause = cause;
  task->is_decided = true;
  dk_free(task->result.text);
  task->result.text = text ? dk_strdup(text) : NULL; /* without memory: no words, the cause stands */
}

static uint64_t after(uint64_t now_ns, uint64_t ms) {
  return ms > (UINT64_MAX - now_ns) / MS ? UINT64_MAX : now_ns + ms * MS;
}

/* Starting. */

static int write_script(struct dk_task *task, struct dk_buf *path, struct dk_error *error) {
  dk_buf_printf(path, "%s/script", task->slot->path);
  if (!dk_buf_ok(path)) return dk_error_set(error, -ENOMEM, "no memory to start a task");
  if (!task->job.script || strlen(task->job.script) <= DK_SCRIPT_INLINE) return 0;
  return dk_fs_write(path->data, task->job.script, strlen(task->job.script), 0600, false, error);
}

static void drop_group(struct dk_task *task) {
  if (task->group.dir < 0) return;
  dk_cgroup_close(&task->group);
  (void)dk_cgroup_remove(task->slot->cgroups, task->slot->group);
}

/* In its group, when it has one. One that cannot be entered after all is no reason not to run: it is watched then. */
static int spawn_in_group(struct dk_task *task, struct dk_spawn *how, struct dk_error *error) {
  if (task->slot->cgroups && task->job.memory > 0)
    (void)dk_cgroup_make(task->slot->cgroups, task->slot->group, task->job.memory, &task->group, NULL);
  if (task->group.dir >= 0) how->cgroup = dk_cgroup_entrance(&task->group);
  int r = how->cgroup >= 0 ? dk_spawn(how, &task->pid, NULL) : -ENOENT;
  if (how->cgroup >= 0) close(how->cgroup);
  how->cgroup = -1;
  if (r == 0) return 0;
  drop_group(task);
  return dk_spawn(how, &task->pid, error);
}

static int spawn(struct dk_task *task, struct dk_error *error) {
  dk_autobuf script = DK_BUF_INIT;
  struct dk_environ with;
  int r = write_script(task, &script, error);
  if (r < 0) return r;
  const struct dk_slot *slot = task->slot;
  struct dk_environ_place place = {.slot = slot->number,
                                   .path = slot->path,
                                   .script = dk_buf_text(&script),
                                   .vendor = slot->vendor,
                                   .gpus = slot->gpus,
                                   .n_gpus = slot->n_gpus};
  r = dk_environ_make(&with, &task->job, task->id, &place);
  if (r < 0) return dk_error_set(error, r, "no memory to start a task");
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = with.argv;
  how.env = with.env;
  how.dir_fd = task->slot->workdir.work;
  how.fds[1] = task->out.fd;
  how.fds[2] = task->err.fd;
  how.new_group = true;
  how.umask = 022;
  how.nofile = &task->slot->nofile;
  how.found = &task->slot->found;
  how.signals_are_default = true; /* main.c sees to it */
  if (task->job.repository) {
    r = dk_postmortem_sandbox(task->slot, &task->job, error);
    if (r < 0) goto out;
    how.landlock = task->slot->sandbox.ruleset;
  }
  r = spawn_in_group(task, &how, error);
out:
  dk_environ_finish(&with);
  return r;
}

static int fill(struct dk_task *task, dk_fs_stop_fn *stop, void *ctx, struct dk_error *error) {
  const struct dk_job *job = &task->job;
  enum dk_cause cause = DK_CAUSE_INPUT;
  int r = dk_workdir_clean(&task->slot->workdir, error);
  if (r < 0) {
    decide(task, dk_error_is_disk(r) ? DK_CAUSE_DISK : DK_CAUSE_SPAWN, error->text);
    return r;
  }
  if (!job->code && job->n_inputs == 0) return 0;
  struct dk_blobs blobs = {.objects = {.fd = -1}, .stop = stop, .ctx = ctx};
  r = dk_blobs_open(&blobs, job->objects, error);
  if (r == 0) r = dk_workdir_fill(&task->slot->workdir, job, &blobs, &cause, error);
  dk_blobs_close(&blobs);
  if (r < 0 && !task->is_decided) decide(task, cause, error->text); /* decided: a KILL stopped it */
  return r;
}

/* The machine has no process to give: it has too many, or goes down (fork says ENOMEM where the first process of its
 * namespace is gone: pid_namespaces(7)). That says nothing of the task: it is tried again as often as one that was lost. */
static enum dk_cause cause_of_spawn(int code) {
  if (dk_error_is_disk(code)) return DK_CAUSE_DISK;
  return code == -ENOMEM || code == -EAGAIN ? DK_CAUSE_LOST : DK_CAUSE_SPAWN;
}

static int start(struct dk_task *task, dk_fs_stop_fn *stop, void *ctx) {
  struct dk_error error = {0};
  int r = dk_log_open(&task->out, task->slot->dir, "out", task->job.log_cap, &error);
  if (r == 0) r = dk_log_open(&task->err, task->slot->dir, "err", task->job.log_cap, &error);
  if (r < 0) decide(task, dk_error_is_limit(r) ? DK_CAUSE_SPAWN : DK_CAUSE_DISK, error.text);
  if (r == 0) r = fill(task, stop, ctx, &error);
  if (r == 0 && task->is_decided) r = -ECANCELED;
  if (r == 0) {
    task->started_ns = dk_now_ns();
    r = spawn(task, &error);
    if (r < 0) decide(task, cause_of_spawn(r), error.text);
  }
  return r;
}

bool dk_task_start(struct dk_task *task, struct dk_slot *slot, struct dk_id id, struct dk_job *job, dk_fs_stop_fn *stop,
                   void *ctx) {
  *task = (struct dk_task){
      .slot = slot, .id = id, .job = *job, .out = {.fd = -1}, .err = {.fd = -1}, .group = DK_CGROUP_NONE};
  memset(job, 0, sizeof *job);
  task->timeout_at = task->kill_at = task->oom_kills = UINT64_MAX;
  task->result.started_unix_ns = dk_unix_ns();
  task->started_ns = dk_now_ns();
  if (start(task, stop, ctx) < 0) return false;
  if (task->job.timeout_ms > 0) task->timeout_at = after(task->started_ns, task->job.timeout_ms);
  task->look_at = after(task->started_ns, 100);
  return true;
}

/* Ending. */

static void signal_tree(int signal) {
  dk_proc_signal_descendants(getpid(), signal);
}

void dk_task_kill(struct dk_task *task, uint64_t now_ns, uint64_t grace_ms) {
  if (!task->is_decided) decide(task, DK_CAUSE_KILLED, NULL);
  if (task->pid == 0 && !task->has_exited) return; /* not started: the caller asks is_decided */
  uint64_t at = after(now_ns, grace_ms);
  if (task->kill_at == UINT64_MAX && grace_ms > 0) {
    signal_tree(SIGTERM);
    signal_tree(SIGCONT); /* a stopped process would not see the TERM */
  }
  if (at < task->kill_at) task->kill_at = at;
}

static void add_usage(struct dk_result *result, const struct rusage *usage) {
  result->user_ns += (uint64_t)usage->ru_utime.tv_sec * 1000000000u + (uint64_t)usage->ru_utime.tv_usec * 1000u;
  result->sys_ns += (uint64_t)usage->ru_stime.tv_sec * 1000000000u + (uint64_t)usage->ru_stime.tv_usec * 1000u;
  uint64_t rss = (uint64_t)usage->ru_maxrss * 1024;
  if (rss > result->max_rss) result->max_rss = rss;
}

/* The kernel ended some of it at its limit, or because the machine had no more: then all of it ends, whatever the rest
 * says. `was_killed`: the leader, or what it waited for, got a KILL. */
static bool has_met_limit(struct dk_task *task, bool was_killed) {
  struct dk_cgroup_use use;
  if (task->group.dir < 0) return false;
  dk_cgroup_look(&task->group, &use);
  if (use.is_blind ? !was_killed || use.hits == 0 : use.kills == 0) return false;
  char text[160];
  unsigned long long most = task->job.memory >> 20, peak = use.peak >> 20;
  if (use.hits == 0)
    snprintf(text, sizeof text, "the machine had no more memory, and the kernel ended it; its limit is %llu MiB", most);
  else if (use.peak == 0)
    snprintf(text, sizeof text, "it wanted more memory than it may have, its limit is %llu MiB (cgroup v%u)", most,
             task->group.version);
  else
    snprintf(text, sizeof text, "it used %llu MiB of memory, its limit is %llu MiB (cgroup v%u)", peak, most,
             task->group.version);
  decide(task, DK_CAUSE_OOM, text);
  return true;
}

static void judge(struct dk_task *task, int status) {
  if (WIFEXITED(status)) {
    task->result.code = WEXITSTATUS(status);
    if (task->is_decided || has_met_limit(task, task->result.code == 128 + SIGKILL)) return;
    decide(task, task->result.code == 0 ? DK_CAUSE_OK : DK_CAUSE_EXIT, NULL);
    return;
  }
  int signal = WTERMSIG(status);
  task->result.code = signal;
  if (task->is_decided || has_met_limit(task, signal == SIGKILL)) return;
  if (signal == SIGKILL && task->oom_kills != UINT64_MAX && dk_proc_oom_kills() > task->oom_kills) {
    decide(task, DK_CAUSE_OOM, "the kernel ended it, and has ended processes for lack of memory meanwhile");
    return;
  }
  char text[80];
  const char *name = sigabbrev_np(signal), *words = sigdescr_np(signal);
  snprintf(text, sizeof text, "SIG%s (%s)", name ? name : "?", words ? words : "unknown signal");
  decide(task, DK_CAUSE_SIGNAL, text);
}

static void leader_exited(struct dk_task *task, int status, uint64_t now_ns) {
  task->pid = 0;
  task->has_exited = true;
  task->result.wall_ns = now_ns - task->started_ns;
  judge(task, status);
  /* Those that it leaves have the rest of a grace that runs, none otherwise. */
  if (task->kill_at == UINT64_MAX) task->kill_at = 0;
}

/* true: no child is left but one that would keep the slot for ever. */
static bool is_only_stuck_left(const struct dk_task *task) {
  pid_t stuck = task->slot->stuck;
  if (stuck == 0) return false;
  struct dk_pids pids = {0};
  bool is_only = dk_proc_descendants(getpid(), &pids) == 0 && pids.n == 1 && pids.items[0] == stuck;
  dk_pids_finish(&pids);
  return is_only;
}

/* true: no child is left. */
static bool reap(struct dk_task *task, uint64_t now_ns) {
  for (;;) {
    siginfo_t info = {0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0) return errno == ECHILD;
    if (info.si_pid == 0) return is_only_stuck_left(task);
    /* While the leader is a zombie, its group's number is no one else's. */
    if (info.si_pid == task->pid && task->kill_at == UINT64_MAX) kill(-task->pid, SIGKILL);
    int status;
    struct rusage usage;
    pid_t pid = wait4(info.si_pid, &status, 0, &usage);
    if (pid <= 0) continue;
    add_usage(&task->result, &usage);
    if (pid == task->pid) leader_exited(task, status, now_ns);
  }
}

static void look_at_memory(struct dk_task *task, uint64_t now_ns) {
  if (task->oom_kills == UINT64_MAX) task->oom_kills = dk_proc_oom_kills();
  uint64_t limit = task->job.memory;
  if (limit == 0 || task->is_decided) return;
  if (task->group.dir >= 0) {
    /* v2 ends all of it; v1 one process, and the rest would wait for that. */
    if (has_met_limit(task, false)) task->kill_at = now_ns;
    return;
  }
  struct dk_pids pids = {0};
  (void)dk_proc_descendants(getpid(), &pids);
  uint64_t rss = 0, pss = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < pids.n; i++) {
    struct dk_proc_stat stat;
    if (dk_proc_stat(pids.items[i], &stat) == 0) rss += stat.rss_pages * page;
  }
  /* Shared pages count once for each process in rss: the exact figure is costly, and asked only when that is too
   * much. */
  for (size_t i = 0; rss > limit && i < pids.n; i++) pss += dk_proc_pss(pids.items[i]);
  dk_pids_finish(&pids);
  if (pss <= limit) return;
  char text[160];
  snprintf(text, sizeof text, "it used %llu MiB of memory, its limit is %llu MiB", (unsigned long long)(pss >> 20),
           (unsigned long long)(limit >> 20));
  decide(task, DK_CAUSE_OOM, text);
  task->kill_at = now_ns;
}

static void look(struct dk_task *task, uint64_t now_ns) {
  uint64_t size = dk_log_trim(&task->out) + dk_log_trim(&task->err);
  bool is_fast = size - task->log_size > (8u << 20);
  task->log_size = size;
  look_at_memory(task, now_ns);
  task->look_at = after(now_ns, is_fast ? 20 : now_ns - task->started_ns < 1000000000u ? 100 : 250);
}

bool dk_task_wake(struct dk_task *task, uint64_t now_ns) {
  if (reap(task, now_ns)) return true;
  if (now_ns >= task->look_at) look(task, now_ns);
  if (now_ns >= task->timeout_at) {
    task->timeout_at = UINT64_MAX;
    if (!task->is_decided) {
      char text[80], limit[DK_NUMBER_TEXT];
      dk_number_duration_text(after(0, task->job.timeout_ms), limit);
      snprintf(text, sizeof text, "its timeout is %s", limit);
      decide(task, DK_CAUSE_TIMEOUT, text);
      dk_task_kill(task, now_ns, task->job.grace_ms);
    }
  }
  if (now_ns < task->kill_at) return false;
  /* Whoever forks while it is ended is found in the next round. */
  if (task->group.dir >= 0) (void)dk_cgroup_kill(&task->group);
  signal_tree(SIGKILL);
  task->kill_at = task->has_exited ? after(now_ns, 2) : after(now_ns, 10);
  return reap(task, now_ns);
}

uint64_t dk_task_deadline(const struct dk_task *task) {
  uint64_t at = task->look_at < task->timeout_at ? task->look_at : task->timeout_at;
  return at < task->kill_at ? at : task->kill_at;
}

/* Collecting. */

size_t dk_task_result_max(const struct dk_job *job) {
  return 512 + TEXT_MAX + 2 * (DK_LOG_INLINE + 96) + (size_t)job->n_outputs * 96 +
         (size_t)job->n_keep_files * (DK_LOG_INLINE + 96);
}

static void fail_disk(struct dk_task *task, int r, const struct dk_error *error) {
  if (r >= 0) return;
  /* A full disk is worth more than the exit code that it probably caused, but not than a timeout. */
  if (task->result.cause == DK_CAUSE_OK || task->result.cause == DK_CAUSE_EXIT)
    decide(task, DK_CAUSE_DISK, error->code ? error->text : "no memory to keep what it wrote");
}

static bool needs_objects(struct dk_task *task) {
  return task->job.n_outputs > 0 || task->job.n_keep_files > 0 || dk_log_trim(&task->out) > DK_LOG_INLINE ||
         dk_log_trim(&task->err) > DK_LOG_INLINE;
}

void dk_task_collect(struct dk_task *task, dk_fs_stop_fn *stop, void *ctx) {
  struct dk_result *result = &task->result;
  struct dk_error error = {0};
  struct dk_blobs blobs = {.objects = {.fd = -1}, .stop = stop, .ctx = ctx};
  int work = task->slot->workdir.work;
  int r = 0;
  drop_group(task);
  if (result->cause == DK_CAUSE_EXIT || result->cause == DK_CAUSE_SPAWN) dk_postmortem(task);
  if (needs_objects(task)) r = dk_blobs_open(&blobs, task->job.objects, &error);
  fail_disk(task, r, &error);
  bool is_its_own_end = result->cause == DK_CAUSE_OK || result->cause == DK_CAUSE_EXIT;
  if (task->slot->workdir.n_lent > 0 && is_its_own_end && dk_workdir_compare(&task->slot->workdir, &error) < 0)
    decide(task, DK_CAUSE_INPUT, error.text);
  if (result->cause == DK_CAUSE_OK && task->has_exited)
    fail_disk(task, dk_collect_outputs(&blobs, work, &task->job, result), &error);
  if (blobs.objects.fd >= 0 && work >= 0 && task->has_exited)
    fail_disk(task, dk_collect_keep_files(&blobs, work, &task->job, result), &error);
  blobs.stop = NULL; /* logs are kept, also when it was ended */
  r = dk_log_keep(&task->out, &blobs, &result->out, &error);
  fail_disk(task, r, &error);
  r = dk_log_keep(&task->err, &blobs, &result->err, &error);
  fail_disk(task, r, &error);
  if (result->cause != DK_CAUSE_OK) {
    dk_free(result->outputs);
    result->outputs = NULL;
    result->n_outputs = 0;
  }
  if (result->text && strlen(result->text) > TEXT_MAX) result->text[TEXT_MAX] = '\0';
  dk_blobs_close(&blobs);
}

void dk_task_finish(struct dk_task *task) {
  dk_log_close(&task->out);
  dk_log_close(&task->err);
  dk_job_finish(&task->job);
  dk_result_finish(&task->result);
}

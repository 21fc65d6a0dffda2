/* One task from its order to its result, within a keeper: prepared, started, watched, ended, collected. The keeper's
 * loop calls dk_task_wake when a child has died or a deadline has passed. */
#ifndef DK_AGENT_TASK_H
#define DK_AGENT_TASK_H

#include "engine/agent/blob.h"
#include "engine/agent/journal.h"
#include "engine/agent/log.h"
#include "engine/agent/sandbox.h"
#include "engine/agent/workdir.h"
#include "engine/sys/cgroup.h"
#include "engine/sys/gpu.h"
#include "engine/sys/spawn.h"

#include <sys/resource.h>
#include <sys/types.h>

/* Where tasks of one slot run. */
struct dk_slot {
  uint32_t number;
  int dir;              /* slots/N */
  const char *path;     /* of it, absolute */
  struct rlimit nofile; /* open files of its tasks: as whoever started the agent had it */
  struct dk_workdir workdir;
  struct dk_sandbox sandbox;
  struct dk_spawn_found found; /* its tasks' program */
  enum dk_gpu_vendor vendor;   /* of the machine's GPUs */
  const uint32_t *gpus;        /* that the task may use */
  uint32_t n_gpus;
  pid_t stuck; /* a child of the keeper that no signal ends (dk_smi_stuck), which no task waits for; 0: none */
  const char *
      cgroups; /* folder in which a task with a limit gets a group (engine/sys/cgroup.h); NULL: its memory is watched */
  char group[64]; /* name of the slot's group there */
};

struct dk_task {
  struct dk_slot *slot;
  struct dk_id id;
  struct dk_job job; /* owned */
  struct dk_log out, err;
  struct dk_result result; /* filled as things become known */
  pid_t pid;               /* 0: not started, or reaped */
  uint64_t started_ns;
  uint64_t timeout_at, kill_at; /* UINT64_MAX: not (yet) */
  uint64_t look_at;             /* at logs and memory */
  uint64_t log_size;
  struct dk_cgroup group; /* that it runs in, until it was collected */
  uint64_t oom_kills;     /* the kernel's count when it was first looked at; UINT64_MAX: not yet */
  bool is_decided;        /* result.cause says why it was ended; else the exit status will */
  bool has_exited;        /* the leader was reaped */
};

/* Takes the job over. Fills the directory and starts the program. true: it runs; false: it ended before it began, the
 * result says why (dk_task_collect comes next in either case, at once or when it has ended). */
bool dk_task_start(struct dk_task *task, struct dk_slot *slot, struct dk_id id, struct dk_job *job, dk_fs_stop_fn *stop,
                   void *ctx);
/* Reaps and ends what is to be ended. true: the whole tree is dead. */
bool dk_task_wake(struct dk_task *task, uint64_t now_ns);
uint64_t dk_task_deadline(const struct dk_task *task);
/* KILL: TERM to the whole tree, KILL after the grace; 0: KILL at once. A second one may only shorten. */
void dk_task_kill(struct dk_task *task, uint64_t now_ns, uint64_t grace_ms);
/* Outputs, files and logs into task->result. */
void dk_task_collect(struct dk_task *task, dk_fs_stop_fn *stop, void *ctx);
void dk_task_finish(struct dk_task *task);

/* Most bytes that the result of this job takes in the journal. */
size_t dk_task_result_max(const struct dk_job *job);

#endif

/* See serve.h. A turn of the loop reads what is there, steps the core for each message, does its actions, and at its
 * end writes the state file, acknowledges to the keepers, and sends everything in one go. Here: its beginning, its
 * turns, its end. */
#include "engine/agent/serve_private.h"
#include "engine/sys/fs.h"
#include "engine/sys/ledger.h"
#include "engine/sys/proc.h"
#include "engine/sys/sock.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIMEOUT_NS 5000000000u

void dk_serve_complain(const char *what, const struct dk_error *error) {
  fprintf(stderr, "dkagent: %s%s%s\n", what, error->code ? ": " : "", error->code ? error->text : "");
}

static void write_marks(struct serve *s) {
  if (!s->is_marked) return;
  const struct dk_agent_mark *marks;
  size_t n = dk_agent_marks(s->agent, &marks);
  int r = dk_memory_write(&s->memory, marks, n, s->next_seq);
  if (r < 0) {
    struct dk_error error = {0};
    dk_error_system(&error, r, "%s/state", s->root);
    dk_serve_complain("forgotten attempts cannot be noted", &error);
    return; /* nothing is forgotten before that works */
  }
  s->is_marked = false;
}

static void end_turn(struct serve *s) {
  dk_serve_hear_engines(s);
  dk_serve_retry_keepers(s);
  dk_serve_work(s);
  write_marks(s);
  dk_serve_flush_keepers(s);
  dk_serve_flush_engines(s);
  if (s->n_engines > 0 || !dk_agent_is_idle(s->agent)) s->idle_since = dk_now_ns();
}

static uint64_t deadline(const struct serve *s) {
  uint64_t at = dk_serve_retry_at(s);
  if (dk_fetch_has_work(s->fetch) || dk_serve_is_any_ready(s)) return 0;
  if (s->is_marked && dk_now_ns() + DK_SERVE_RETRY_NS < at) at = dk_now_ns() + DK_SERVE_RETRY_NS;
  uint64_t idle = s->idle_since + s->options.idle_ms * 1000000u;
  if (s->n_engines == 0 && dk_agent_is_idle(s->agent) && idle < at) at = idle;
  if (dk_now_ns() + DK_SERVE_GONE_NS < at) at = dk_now_ns() + DK_SERVE_GONE_NS;
  return at;
}

static bool is_lock_below(const struct serve *s, const char *root) {
  dk_autobuf path = DK_BUF_INIT;
  struct stat held, named;
  dk_buf_printf(&path, "%s/lock", root);
  return dk_buf_ok(&path) && fstat(s->lock.fd, &held) == 0 && lstat(path.data, &named) == 0 &&
         held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

bool dk_serve_follow_folder(struct serve *s) {
  if (is_lock_below(s, s->root)) return true;
  char link[40], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", s->lock.fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  path[n > 0 ? n : 0] = '\0';
  char *slash = strrchr(path, '/');
  if (!slash) return false;
  *slash = '\0';
  char *root = is_lock_below(s, path) ? dk_strdup(path) : NULL; /* else it was removed, or replaced */
  if (!root) return false;
  if (strcmp(dk_buf_text(&s->ledger), s->root) == 0) {
    dk_buf_clear(&s->ledger);
    dk_buf_add_text(&s->ledger, root);
  }
  dk_free(s->root);
  s->root = root;
  return true;
}

/* The state folder was removed: its keepers see it by themselves. */
static bool is_folder_gone(const struct serve *s) {
  struct stat st;
  return fstat(s->lock.fd, &st) == 0 && st.st_nlink == 0;
}

/* Beginning and end. */

static void on_signal(void *ctx, int signal) {
  struct serve *s = ctx;
  if (signal == SIGCHLD) {
    while (waitpid(-1, NULL, WNOHANG) > 0) continue; /* a keeper's end is seen on its socket */
  } else if (signal == SIGHUP) {
    s->is_hurried = true;
  } else {
    s->must_end = true;
  }
}

/* Does a living daemon hold this connection? One that was killed while it started a keeper is listened for by that
 * child until it has exec'd; the connection ends then. */
static bool is_served(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  return poll(&poll_fd, 1, 100) == 0;
}

/* Another one may be about to end: its socket is gone then, and its lock soon. 1: it serves. */
static int take_lock(struct serve *s, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT, socket = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/lock", s->root);
  dk_buf_printf(&socket, "%s/sock", s->root);
  if (!dk_buf_ok(&path) || !dk_buf_ok(&socket)) return dk_error_set(error, -ENOMEM, "no memory to start the agent");
  uint64_t until = dk_now_ns() + START_TIMEOUT_NS;
  for (;;) {
    int r = dk_lock_take(&s->lock, path.data, "dkagent serve", error);
    if (r != -EWOULDBLOCK) return r;
    int fd = dk_sock_connect(socket.data, NULL);
    bool is_other = fd >= 0 && is_served(fd);
    if (fd >= 0) close(fd);
    if (is_other) return 1;
    if (dk_now_ns() > until) return r;
    poll(NULL, 0, 5);
  }
}

/* Where nothing can be shared with other state folders, what runs in this one is booked all the same. */
static int find_ledger(struct serve *s, struct dk_error *error) {
  struct dk_error why = {0};
  int fd = -1, r = -ENOENT;
  if (s->options.ledger) r = dk_ledger_place(s->options.ledger, &s->ledger, &why);
  if (r == 0) fd = dk_ledger_open(s->ledger.data, &why);
  if (fd < 0 && s->options.ledger)
    dk_serve_complain("other state folders on this machine are not taken into account", &why);
  if (fd < 0) {
    dk_buf_clear(&s->ledger);
    dk_buf_add_text(&s->ledger, s->root);
  } else {
    close(fd);
  }
  return dk_buf_ok(&s->ledger) ? 0 : dk_error_set(error, -ENOMEM, "no memory to start the agent");
}

/* Before the first keeper: they are to be where this process is then. */
static void find_cgroups(struct serve *s) {
  dk_cgroups_find(s->options.cgroup, &s->cgroups);
  dk_cgroups_open(&s->cgroups, false);
  bool was_named = strcmp(s->options.cgroup, DK_CGROUP_AUTO) != 0 && strcmp(s->options.cgroup, DK_CGROUP_OFF) != 0;
  if (s->cgroups.version == 0 && was_named) {
    struct dk_error why = {0};
    dk_error_set(&why, -ENOTSUP, "%s", dk_buf_text(&s->cgroups.why));
    dk_serve_complain("memory limits are only watched", &why);
  }
}

static void find_gpus(struct serve *s) {
  dk_gpus_find(s->options.machine, &s->gpus);
  if (s->gpus.n > s->options.gpus) s->gpus.n = s->options.gpus;
  for (uint32_t i = 0; i < s->gpus.n; i++) {
    bool is_said = false;
    for (uint32_t j = 0; j < i; j++) is_said |= strcmp(s->gpus.items[i].model, s->gpus.items[j].model) == 0;
    if (is_said || !*s->gpus.items[i].model) continue;
    dk_buf_printf(&s->models, "%s%s", s->models.len ? "\n" : "", s->gpus.items[i].model);
  }
}

static int make_agent(struct serve *s, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/state", s->root);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory to start the agent");
  int r = dk_memory_open(&s->memory, path.data, error);
  if (r < 0) return r;
  uint32_t cpus = dk_proc_cpus();
  find_gpus(s);
  if (!dk_buf_ok(&s->models)) return dk_error_set(error, -ENOMEM, "no memory to start the agent");
  /* Who asks for more at a time than there are processors wants them shared: no task of this agent waits for one. */
  s->books_cpus = s->options.ledger && s->options.slots <= cpus;
  uint32_t left = cpus > s->options.leave ? cpus - s->options.leave : 1;
  struct dk_agent_config config = {.slots = s->options.slots ? s->options.slots : left,
                                   .cpus = cpus,
                                   .memory = dk_proc_memory(),
                                   .pid = (uint32_t)getpid(),
                                   .version = DK_VERSION,
                                   .gpus = s->gpus.n,
                                   .gpu = dk_buf_text(&s->models),
                                   .next_seq = s->memory.next_seq};
  dk_proc_boot_id(config.boot);
  r = dk_agent_create(&s->agent, &config, s->memory.marks, s->memory.n);
  if (r == 0) r = dk_fetch_create(&s->fetch, dk_serve_say_lacks, s);
  return r < 0 ? dk_error_set(error, r, "no memory to start the agent") : 0;
}

static int make_loop(struct serve *s, struct dk_error *error) {
  int r = dk_loop_create(&s->loop, error);
  if (r < 0) return r;
  static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
  for (size_t i = 0; r == 0 && i < sizeof signals / sizeof *signals; i++)
    r = dk_loop_signal(s->loop, signals[i], on_signal, s);
  return r < 0 ? dk_error_system(error, r, "cannot watch for signals") : 0;
}

static int open_serve(struct serve *s, struct dk_error *error) {
  int r = dk_fs_mkdirs(s->options.root, 0700, error);
  if (r < 0) return r;
  s->root = dk_fs_absolute(s->options.root);
  if (!s->root) return dk_error_system(error, -errno, "cannot find %s", s->options.root);
  r = take_lock(s, error);
  if (r != 0) return r;
  r = make_loop(s, error);
  if (r == 0) r = find_ledger(s, error);
  if (r == 0) find_cgroups(s);
  if (r == 0) r = make_agent(s, error);
  if (r == 0) r = dk_serve_find_slots(s, error);
  if (r < 0) return r;
  s->idle_since = dk_now_ns();
  s->look_at = s->idle_since + DK_SERVE_GONE_NS;
  return dk_serve_listen(s, error);
}

/* An engine that came just now is let in instead. */
static bool may_end(struct serve *s) {
  bool is_hurried = s->is_hurried;
  s->is_hurried = false;
  if (s->must_end || is_folder_gone(s)) return true;
  if (s->n_engines > 0 || !dk_agent_is_idle(s->agent)) return false;
  if (!is_hurried && dk_now_ns() < s->idle_since + s->options.idle_ms * 1000000u) return false;
  if (!is_hurried) dk_fetch_sync(s->fetch); /* may take long: who comes meanwhile is let in */
  dk_serve_let_in(s);
  return s->n_engines == 0;
}

static void close_serve(struct serve *s) {
  dk_serve_close_engines(s);
  dk_serve_close_keepers(s);
  dk_agent_out_finish(&s->out);
  dk_agent_destroy(s->agent);
  dk_fetch_destroy(s->fetch);
  dk_buf_finish(&s->models);
  dk_memory_close(&s->memory);
  dk_loop_destroy(s->loop);
  dk_lock_release(&s->lock);
  dk_buf_finish(&s->ledger);
  dk_cgroups_finish(&s->cgroups);
  dk_free(s->root);
}

int dk_serve_run(const struct dk_serve_options *options, struct dk_error *error) {
  struct serve s = {.options = *options,
                    .cgroups = DK_CGROUPS_INIT,
                    .lock = DK_LOCK_INIT,
                    .memory = {.fd = -1},
                    .listener = -1,
                    .next_conn = 1};
  dk_proc_raise_nofile(&s.nofile);
  if (options->nice > 0 && setpriority(PRIO_PROCESS, 0, options->nice) < 0) {
    struct dk_error why = {0};
    dk_error_system(&why, -errno, "setpriority");
    dk_serve_complain("its tasks are not made nicer", &why);
  }
  int r = open_serve(&s, error);
  bool is_other = r > 0;
  while (r == 0) {
    end_turn(&s);
    if (s.broken < 0) r = dk_error_system(error, s.broken, "the agent cannot go on; start it again: nothing is lost");
    if (r < 0 || may_end(&s)) break;
    dk_serve_look_at_socket(&s);
    r = dk_loop_once(s.loop, deadline(&s));
    if (r < 0) dk_error_system(error, r, "waiting for work");
    if (r > 0) r = 0;
  }
  if (r == 0) dk_serve_dismiss_keepers(&s);
  close_serve(&s);
  return is_other ? 0 : r;
}

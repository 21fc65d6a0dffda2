/* See room.h. */
#include "tests/fault/room.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS 120000000000u

void room_die(const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  vfprintf(stderr, format, ap);
  va_end(ap);
  fputc('\n', stderr);
  exit(2);
}

/* Each kind of thing that a run does: an input file, a directory as output, code, a pick, gathered outputs, metrics, an
 * output that is too long to travel in a message, a dirty work tree. $GATE is no part of any key. */
static const char experiment[] = //
    "grid g { x in [1, 2]  y in [10, 20] }\n"
    "task make {\n"
    "  inputs  { seed = file(\"seed.txt\") }\n"
    "  outputs { data = \"data.txt\"  more = \"more/\" }\n"
    "  metrics { last = match(stdout, '([0-9]+)')  first = json(\"m.json\", \"0.1\") }\n"
    "  run = \"cat {{inputs.seed}} > {{outputs.data}}; mkdir -p more; echo a > more/a; seq 2000; echo '[[8, 7]]' > "
    "m.json\"\n"
    "}\n"
    "task train over g {\n"
    "  code    = [\"lib/*.sh\"]\n"
    "  pass    = [\"GATE\"]\n"
    "  inputs  { data = make.data  more = make.more }\n"
    "  metrics { score = match(stdout, 'score=([0-9.]+)') }\n"
    "  outputs { o = \"o\" }\n"
    "  run = \"\"\"\n"
    "    [ -z \"$GATE\" ] || [ \"$GATE\" = {{x}}-{{y}} ] || exec sleep 1000\n"
    "    sh lib/train.sh {{inputs.data}} {{raw(x)}} {{raw(y)}}; echo {{x}} > {{outputs.o}}\n"
    "  \"\"\"\n"
    "}\n"
    "pick best { from = train  maximize = score }\n"
    "task final {\n"
    "  inputs  { all = gather(train.o)  list = gather(train) }\n"
    "  metrics { chosen = match(stdout, 'chosen=([0-9]+)') }\n"
    "  run = \"cat {{inputs.all}} {{inputs.list}} | wc -l; echo chosen={{best.x}}{{best.y}}\"\n"
    "}\n"
    "report {\n"
    "  table { from = train  columns = [x, y, score] }\n"
    "  table { from = make  columns = [last, first] }\n"
    "  table { from = final  columns = [chosen] }\n"
    "}\n";

static const char setting_up[] = //
    "git -c init.defaultBranch=main init -q; mkdir lib; echo 100 > seed.txt\n"
    "echo 'echo \"score=$(($(cat $1) + $2 * $3)).50\"; echo note >&2' > lib/train.sh\n"
    "git add -A; git -c user.name=test -c user.email=test@example.org commit -q -m test\n"
    "echo '# changed' >> lib/train.sh; echo new > new.txt\n"
    "mkdir ../bin; cp " DK_TEST_DKRUN " ../bin/dkrun; cp " DK_TEST_AGENT " ../bin/dkagent\n";

static void path_of(const struct room *room, const char *name, char *ret, size_t size) {
  if ((size_t)snprintf(ret, size, "%s/%s", room->dir, name) >= size) room_die("too long: %s", name);
}

/* In memory where there is such a place: thousands of runs would wear a disk, and what is slow there is not what is
 * looked for. */
static void make_dir(struct room *room) {
  const char *tmp = getenv("TMPDIR") ? getenv("TMPDIR") : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  snprintf(room->dir, sizeof room->dir, "%.100s/dk-fault-XXXXXX", tmp);
  if (!mkdtemp(room->dir)) room_die("%s: %s", room->dir, strerror(errno));
}

static void map_plan(struct room *room) {
  char path[300];
  path_of(room, "plan", path, sizeof path);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof *room->plan) < 0) room_die("%s: %s", path, strerror(errno));
  room->plan = mmap(NULL, sizeof *room->plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (room->plan == MAP_FAILED) room_die("%s: %s", path, strerror(errno));
}

void room_make(struct room *room) {
  char path[300];
  struct dk_error error = {0};
  make_dir(room);
  map_plan(room);
  path_of(room, "repo", path, sizeof path);
  if (dk_fs_mkdirs(path, 0700, &error) < 0) room_die("%s", error.text);
  path_of(room, "repo/e.dk", path, sizeof path);
  if (dk_fs_write(path, experiment, sizeof experiment - 1, 0600, false, &error) < 0) room_die("%s", error.text);
  room_sh(room, setting_up);
}

void room_remove(struct room *room) {
  room_stop(room);
  munmap(room->plan, sizeof *room->plan);
  dk_fs_remove_tree(room->dir, NULL);
}

/* What the programs are started with. The sanitizers' words must be found again, and their exit code be no other's. */
static void make_environment(const struct room *room, const char *gate, char store[8][400], char *env[16]) {
  int n = 0;
  snprintf(store[n++], 400, "HOME=%s", room->dir);
  snprintf(store[n++], 400, "DK_SHIM_PLAN=%s/plan", room->dir);
  snprintf(store[n++], 400, "GATE=%s", gate ? gate : "");
  snprintf(store[n++], 400, "PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
  for (int i = 0; i < n; i++) env[i] = store[i];
  env[n++] = (char *)"LD_PRELOAD=" DK_TEST_SHIM;
  env[n++] = (char *)"LC_ALL=C.UTF-8";
  env[n++] = (char *)"GIT_CONFIG_GLOBAL=/dev/null";
  env[n++] = (char *)"GIT_CONFIG_SYSTEM=/dev/null";
  env[n++] = (char *)"ASAN_OPTIONS=verify_asan_link_order=0:allocator_may_return_null=1:exitcode=99:detect_leaks=0";
  env[n++] = (char *)"UBSAN_OPTIONS=print_stacktrace=1";
  env[n] = NULL;
}

static int open_output(const struct room *room, const char *name) {
  char path[300];
  path_of(room, name, path, sizeof path);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) room_die("%s: %s", path, strerror(errno));
  return fd;
}

pid_t room_start(struct room *room, const char *const *words, const char *gate) {
  char store[8][400], *env[16], program[300], repo[300], *argv[16] = {program};
  struct dk_spawn how = DK_SPAWN_INIT;
  struct dk_error error = {0};
  pid_t pid;
  make_environment(room, gate, store, env);
  path_of(room, "bin/dkrun", program, sizeof program);
  path_of(room, "repo", repo, sizeof repo);
  for (int i = 0; words[i] && i < 14; i++) argv[i + 1] = (char *)(uintptr_t)words[i];
  how.argv = argv;
  how.env = env;
  how.dir = repo;
  how.fds[1] = open_output(room, "out");
  how.fds[2] = open_output(room, "err");
  if (dk_spawn(&how, &pid, &error) < 0) room_die("%s", error.text);
  close(how.fds[1]);
  close(how.fds[2]);
  return pid;
}

void room_read(struct room *room, const char *name, struct dk_buf *ret) {
  char path[300];
  path_of(room, name, path, sizeof path);
  dk_buf_clear(ret);
  (void)dk_fs_read(path, 64u << 20, ret, NULL);
}

void room_run(struct room *room, const char *const *words, struct outcome *ret) {
  *ret = (struct outcome){.out = DK_BUF_INIT, .err = DK_BUF_INIT};
  pid_t pid = room_start(room, words, NULL);
  uint64_t until = dk_now_ns() + PATIENCE_NS;
  struct timespec second = {1, 0};
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  while (waitpid(pid, &ret->status, WNOHANG) == 0) {
    sigtimedwait(&child, NULL, &second);
    if (dk_now_ns() < until) continue;
    ret->is_hung = true;
    kill(pid, SIGKILL);
    waitpid(pid, &ret->status, 0);
    break;
  }
  room_read(room, "out", &ret->out);
  room_read(room, "err", &ret->err);
}

void room_outcome_finish(struct outcome *outcome) {
  dk_buf_finish(&outcome->out);
  dk_buf_finish(&outcome->err);
}

/* Works below the room, or was started with its name. */
static bool is_ours(void *ctx, pid_t pid, const struct dk_proc_stat *stat) {
  const struct room *room = ctx;
  char path[64], text[4096];
  size_t len = strlen(room->dir);
  if (pid == getpid() || stat->state == 'Z' || stat->state == 'X') return false;
  snprintf(path, sizeof path, "/proc/%ld/cwd", (long)pid);
  ssize_t n = readlink(path, text, sizeof text - 1);
  if (n >= (ssize_t)len && memcmp(text, room->dir, len) == 0) return true;
  snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
  dk_autobuf line = DK_BUF_INIT;
  if (dk_fs_read(path, sizeof text, &line, NULL) < 0) return false;
  return line.len > 0 && memmem(line.data, line.len, room->dir, len) != NULL;
}

void room_stop(struct room *room) {
  for (;;) {
    struct dk_pids pids = {0};
    if (dk_proc_find(is_ours, room, &pids) < 0) room_die("/proc cannot be read");
    size_t n = pids.n;
    for (size_t i = 0; i < n; i++) kill(pids.items[i], SIGKILL);
    dk_pids_finish(&pids);
    while (waitpid(-1, NULL, WNOHANG) > 0) continue; /* orphans come here: main() is a subreaper */
    if (n == 0) return;
    poll(NULL, 0, 1);
  }
}

void room_sh(struct room *room, const char *command) {
  char repo[300];
  char *argv[] = {(char *)"/bin/sh", (char *)"-ec", (char *)(uintptr_t)command, NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  struct dk_error error = {0};
  path_of(room, "repo", repo, sizeof repo);
  how.argv = argv;
  how.dir = repo;
  how.fds[2] = 2;
  int r = dk_spawn_wait(&how, &error);
  if (r != 0) room_die("%s: %s", command, r < 0 ? error.text : "failed");
}

/* sweep: makes the Nth call of a kind fail in the real programs, for N = 1, 2, 3 ... until a command did not come that
 * far.
 *
 *   sweep CASE            every kind of fault, the first of them
 *   sweep CASE --sample   until clean, but behind the first ones only each of some
 *   sweep CASE --full     until clean, each
 *   sweep CASE KIND N     that one, said aloud; the room is kept
 *
 * What must hold for each: no crash, no sanitizer's report, no hang; a right answer and success, or a message on stderr
 * with an exit code that is meant for it. Afterwards, with nothing failing any more, the store is whole, `dkrun run`
 * finishes, and the results are those of a run that nothing disturbed. */
#include "engine/store/store.h"
#include "engine/sys/proc.h"
#include "lang/base/alloc.h"
#include "tests/fault/room.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS 4u         /* most of a run is waiting */
#define FIRST_RUN 8u    /* each of these in the usual suite, for commands that write ... */
#define FIRST_READ 200u /* ... and that only read */
#define SAMPLED 25u     /* of so many one */
#define SANITIZER_EXIT 99

enum state {
  STATE_NONE,   /* nothing was run yet */
  STATE_KILLED, /* everything was killed in the middle of a run */
  STATE_DONE,
};

static const struct a_case {
  const char *name, *who; /* whose calls fail: the first argument of the process */
  const char *words[6];
  enum state before;
  bool is_run; /* it writes: the state is made anew each time */
} cases[] = {
    {"plan", "plan", {"plan", "e.dk"}, STATE_KILLED, false},
    {"show", "show", {"show", "e.dk", "t3"}, STATE_DONE, false},
    {"results", "results", {"results", "--format", "json"}, STATE_DONE, false},
    {"status", "status", {"status", "1"}, STATE_DONE, false},
    {"logs", "logs", {"logs", "t1"}, STATE_DONE, false},
    {"run", "run", {"run", "--plain"}, STATE_NONE, true},
    {"run-serve", "serve", {"run", "--plain"}, STATE_NONE, true},
    {"run-keeper", "keeper", {"run", "--plain"}, STATE_NONE, true},
    {"resume", "run", {"run", "--plain"}, STATE_KILLED, true},
    {"resume-serve", "serve", {"run", "--plain"}, STATE_KILLED, true},
    {"resume-keeper", "keeper", {"run", "--plain"}, STATE_KILLED, true},
};

#define WRITES "write,pwrite,writev,copy_file_range"

static const struct kind {
  const char *name, *calls, *error;
  bool and_after;
} kinds[] = {
    {"alloc", "alloc", "ENOMEM", false},
    {"alloc-all", "alloc", "ENOMEM", true},
    {"write", WRITES, "ENOSPC", false},
    {"write-all", WRITES ",fallocate,mkdir,mkdirat", "ENOSPC", true},
    {"write-io", WRITES, "EIO", false},
    {"sync", "fsync,fdatasync,syncfs", "EIO", false},
    {"name", "rename,renameat,link,linkat,mkdir,mkdirat", "ENOSPC", false},
    {"room", "ftruncate,fallocate,mmap,mremap", "ENOSPC", false},
    {"open", "open,socket,accept,pipe,dup,fork", "EMFILE", false},
    {"open-all", "open,socket,accept,pipe,dup,fork", "EMFILE", true},
    {"read", "read,pread", "EIO", false},
};
#define N_KINDS (sizeof kinds / sizeof *kinds)

struct sweep {
  const struct a_case *c;
  struct room room;
  struct dk_buf expected; /* stdout of the command (when it only reads) */
  struct dk_buf results;  /* of an undisturbed run */
  unsigned first;         /* each fault up to this one ... */
  unsigned step;          /* ... and of those behind it one of so many; 0: none */
  bool is_loud;
};

/* Shared by the workers. */
struct score {
  _Atomic unsigned clean_at; /* the least N that was not reached; UINT32_MAX: none yet */
  _Atomic unsigned rounds, bad;
};

static void arm(struct sweep *s, const struct kind *kind, unsigned n) {
  char spec[128];
  struct dk_shim_plan *plan = s->room.plan, parsed;
  snprintf(spec, sizeof spec, "%s %s %u%s", kind->calls, kind->error, n, kind->and_after ? "+" : "");
  if (dk_shim_parse(spec, &parsed) < 0) room_die("%s: not a plan", spec);
  plan->at = 0;
  memcpy(plan->calls, parsed.calls, sizeof plan->calls);
  snprintf(plan->who, sizeof plan->who, "%s", s->c->who);
  plan->error = parsed.error;
  plan->and_after = parsed.and_after;
  plan->count = plan->failed = plan->crashed = 0;
  plan->at = n;
}

/* The states. */

static void run_well(struct sweep *s, const char *const *words, struct dk_buf *ret) {
  struct outcome outcome;
  room_run(&s->room, words, &outcome);
  if (outcome.is_hung || outcome.status != 0)
    room_die("%s undisturbed: status %#x\n%s%s", words[0], (unsigned)outcome.status, dk_buf_text(&outcome.out),
             dk_buf_text(&outcome.err));
  if (ret) {
    *ret = outcome.out;
    outcome.out = (struct dk_buf)DK_BUF_INIT;
  }
  room_outcome_finish(&outcome);
}

static const char *const run_words[] = {"run", "-q", NULL};
static const char *const results_words[] = {"results", "--format", "json", NULL};

/* One point of the grid is done, others run; then all of it is killed. */
static void kill_in_the_middle(struct sweep *s) {
  pid_t pid = room_start(&s->room, (const char *const[]){"run", "--plain", NULL}, "1-10");
  dk_autobuf out = DK_BUF_INIT;
  do {
    poll(NULL, 0, 10);
    room_read(&s->room, "out", &out);
    if (waitpid(pid, NULL, WNOHANG) != 0) room_die("the run ended too early: %s", dk_buf_text(&out));
  } while (!strstr(dk_buf_text(&out), "train x=1 y=10"));
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  room_stop(&s->room);
}

static void make_state(struct sweep *s) {
  room_sh(&s->room, "rm -rf .dkrun");
  if (s->c->before == STATE_KILLED) kill_in_the_middle(s);
  if (s->c->before == STATE_DONE) run_well(s, run_words, NULL);
  room_stop(&s->room);
  room_sh(&s->room, "rm -f .dkrun/store/ballast; [ ! -d .dkrun ] || mv .dkrun ../before");
}

static void restore_state(struct sweep *s) {
  room_stop(&s->room);
  room_sh(&s->room, "rm -rf .dkrun; [ ! -d ../before ] || cp -a ../before .dkrun");
}

/* A task that is cached is done too. */
static void forget_cached(struct dk_buf *json) {
  static const char cached[] = "\"cached\"", done[] = "\"done\"";
  for (char *at = json->data; at && (at = strstr(at, cached));) {
    memcpy(at, done, strlen(done));
    memmove(at + strlen(done), at + strlen(cached), strlen(at + strlen(cached)) + 1);
  }
}

static void prepare(struct sweep *s) {
  room_make(&s->room);
  run_well(s, run_words, NULL);
  run_well(s, results_words, &s->results);
  forget_cached(&s->results);
  room_stop(&s->room);
  make_state(s);
  restore_state(s);
  if (!s->c->is_run) run_well(s, s->c->words, &s->expected);
}

/* The judgement: NULL, or what is wrong. */

static bool has_report(const char *text) {
  return strstr(text, "Sanitizer") || strstr(text, "runtime error:") || strstr(text, "Assertion");
}

static bool is_fine_exit(const struct sweep *s, int code, const char *err) {
  if (code == 4 || (code == 1 && s->c->is_run)) return true;
  return code == 3 && strstr(err, "error[E07"); /* the experiment file could not be read: a diagnostic */
}

static const char *judge_outcome(struct sweep *s, const struct outcome *outcome) {
  dk_autobuf log = DK_BUF_INIT;
  const char *out = dk_buf_text(&outcome->out), *err = dk_buf_text(&outcome->err);
  if (outcome->is_hung) return "it hangs";
  if (!WIFEXITED(outcome->status)) return "it crashed";
  if (s->room.plan->crashed) return "one of its processes crashed";
  room_read(&s->room, "repo/.dkrun/agent/log", &log);
  if (WEXITSTATUS(outcome->status) == SANITIZER_EXIT || has_report(err) || has_report(dk_buf_text(&log)))
    return "a sanitizer or an assertion spoke";
  if (WEXITSTATUS(outcome->status) != 0) {
    if (!is_fine_exit(s, WEXITSTATUS(outcome->status), err)) return "an exit code that is not for that";
    return *err || s->c->is_run ? NULL : "it failed without a word";
  }
  return s->c->is_run || strcmp(out, dk_buf_text(&s->expected)) == 0 ? NULL : "success with a wrong answer";
}

/* With nothing failing any more. */
static const char *judge_after(struct sweep *s) {
  char path[300];
  struct outcome outcome;
  const char *wrong = NULL;
  struct dk_error error = {0};
  room_run(&s->room, run_words, &outcome);
  if (outcome.is_hung || outcome.status != 0) {
    fprintf(stderr, "--- afterwards:\n%s%s", dk_buf_text(&outcome.out), dk_buf_text(&outcome.err));
    wrong = "afterwards an undisturbed run does not finish";
  }
  room_outcome_finish(&outcome);
  if (wrong) return wrong;
  room_run(&s->room, results_words, &outcome);
  forget_cached(&outcome.out);
  if (outcome.status != 0 || strcmp(dk_buf_text(&outcome.out), dk_buf_text(&s->results)) != 0) {
    fprintf(stderr, "--- results:\n%s%s", dk_buf_text(&outcome.out), dk_buf_text(&outcome.err));
    wrong = "afterwards the results are others";
  }
  room_outcome_finish(&outcome);
  room_stop(&s->room); /* so that nobody writes while it is checked */
  snprintf(path, sizeof path, "%s/repo/.dkrun/store", s->room.dir);
  if (!wrong && dk_store_check(path, &error) < 0) {
    fprintf(stderr, "--- %s\n", error.text);
    wrong = "afterwards the store is damaged";
  }
  return wrong;
}

static void tell(struct sweep *s, const struct kind *kind, unsigned n, const char *wrong,
                 const struct outcome *outcome) {
  dk_autobuf log = DK_BUF_INIT;
  room_read(&s->room, "repo/.dkrun/agent/log", &log);
  fprintf(stderr, "%s %s %u: %s (status %#x, %u calls, %u failed)\n", s->c->name, kind->name, n, wrong ? wrong : "fine",
          (unsigned)outcome->status, s->room.plan->count, s->room.plan->failed);
  if (wrong || s->is_loud)
    fprintf(stderr, "--- stdout\n%.3000s--- stderr\n%.6000s--- agent's log\n%.6000s---\n", dk_buf_text(&outcome->out),
            dk_buf_text(&outcome->err), dk_buf_text(&log));
}

/* One N. False when the command did not come that far. */
static bool round_of(struct sweep *s, const struct kind *kind, unsigned n, bool *ret_is_bad) {
  struct outcome outcome;
  if (s->c->is_run) restore_state(s);
  arm(s, kind, n);
  room_run(&s->room, s->c->words, &outcome);
  s->room.plan->at = 0;
  bool is_reached = s->room.plan->failed > 0;
  const char *wrong = judge_outcome(s, &outcome);
  if (!wrong && s->c->is_run) wrong = judge_after(s);
  *ret_is_bad = wrong != NULL;
  if (wrong || s->is_loud) tell(s, kind, n, wrong, &outcome);
  room_outcome_finish(&outcome);
  return is_reached;
}

/* An engine waits as long as it takes for an agent that can never be had: then nothing comes to an end. */
static bool is_for(const struct a_case *c, const struct kind *kind) {
  bool is_agent = strcmp(c->who, "serve") == 0 || strcmp(c->who, "keeper") == 0;
  return !is_agent || !kind->and_after;
}

/* Every JOBSth N, beginning with `at`. */
static void work(struct sweep *s, const struct kind *kind, unsigned at, struct score *score) {
  for (unsigned n = at; (n <= s->first || s->step) && n < score->clean_at; n += n <= s->first ? JOBS : JOBS * s->step) {
    bool is_bad;
    bool is_reached = round_of(s, kind, n, &is_bad);
    score->rounds++;
    if (is_bad) score->bad++;
    if (!is_reached && n < score->clean_at) score->clean_at = n;
  }
}

static void work_all(const struct a_case *c, unsigned worker, unsigned step, struct score *scores) {
  struct sweep s = {.c = c, .first = c->is_run ? FIRST_RUN : FIRST_READ, .step = step};
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  prepare(&s);
  for (size_t k = 0; k < N_KINDS; k++)
    if (is_for(c, &kinds[k])) work(&s, &kinds[k], worker + 1, &scores[k]);
  room_remove(&s.room);
  dk_buf_finish(&s.expected);
  dk_buf_finish(&s.results);
}

static int sweep_all(const struct a_case *c, unsigned step) {
  size_t size = N_KINDS * sizeof(struct score);
  struct score *scores = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int bad = 0, status;
  if (scores == MAP_FAILED) room_die("mmap: %s", strerror(errno));
  for (size_t k = 0; k < N_KINDS; k++) scores[k].clean_at = UINT32_MAX;
  for (unsigned i = 0; i < JOBS; i++) {
    pid_t pid = fork();
    if (pid < 0) room_die("fork: %s", strerror(errno));
    if (pid == 0) {
      work_all(c, i, step, scores);
      exit(0);
    }
  }
  while (wait(&status) > 0) bad |= status;
  for (size_t k = 0; k < N_KINDS; k++) {
    if (!is_for(c, &kinds[k])) continue;
    printf("%-14s %-10s %5u faults, %u bad%s\n", c->name, kinds[k].name, scores[k].rounds, scores[k].bad,
           scores[k].clean_at == UINT32_MAX ? ", more to come" : "");
    bad |= scores[k].bad > 0;
  }
  return bad ? 1 : 0;
}

static int once(const struct a_case *c, const char *name, unsigned n) {
  struct sweep s = {.c = c, .is_loud = true};
  bool is_bad = true;
  size_t k = 0;
  while (k < N_KINDS && strcmp(kinds[k].name, name) != 0) k++;
  if (k == N_KINDS || n == 0) room_die("no such kind: %s", name);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  prepare(&s);
  round_of(&s, &kinds[k], n, &is_bad);
  dk_buf_finish(&s.expected);
  dk_buf_finish(&s.results);
  room_stop(&s.room);
  fprintf(stderr, "kept: %s\n", s.room.dir);
  return is_bad;
}

int main(int argc, char **argv) {
  size_t n_cases = sizeof cases / sizeof *cases, i = 0;
  while (argc > 1 && i < n_cases && strcmp(cases[i].name, argv[1]) != 0) i++;
  if (argc < 2 || i == n_cases) room_die("usage: sweep CASE [--sample | --full | KIND N]");
  if (argc == 4) return once(&cases[i], argv[2], (unsigned)strtoul(argv[3], NULL, 10));
  return sweep_all(&cases[i], argc < 3 ? 0 : strcmp(argv[2], "--sample") == 0 ? SAMPLED : 1);
}

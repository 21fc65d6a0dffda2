/* See survivors.h. */
#include "engine/agent/survivors.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_NS 5000000000u

void dk_attempt_text(struct dk_id id, char ret[DK_ATTEMPT_TEXT]) {
  snprintf(ret, DK_ATTEMPT_TEXT, "%016llx-%llu", (unsigned long long)id.inc, (unsigned long long)id.n);
}

struct search {
  pid_t session; /* 0: not to be used */
  uint64_t not_before;
  char env[DK_ATTEMPT_TEXT + 16];
};

static bool is_survivor(void *ctx, pid_t pid, const struct dk_proc_stat *stat) {
  const struct search *search = ctx;
  if (pid == getpid() || stat->state == 'Z' || stat->state == 'X') return false;
  if (stat->start_ticks < search->not_before) return false;
  return (search->session > 0 && stat->session == search->session) || dk_proc_has_env(pid, search->env);
}

static size_t kill_all(struct search *search) {
  struct dk_pids pids = {0};
  (void)dk_proc_find(is_survivor, search, &pids);
  size_t n = pids.n;
  for (size_t i = 0; i < n; i++) {
    kill(pids.items[i], SIGSTOP); /* so that nothing is forked while the rest is found */
    (void)dk_proc_descendants(pids.items[i], &pids);
  }
  for (size_t i = 0; i < pids.n; i++) {
    if (pids.items[i] != getpid()) kill(pids.items[i], SIGKILL);
  }
  n = pids.n;
  dk_pids_finish(&pids);
  return n;
}

size_t dk_survivors_end(const struct dk_journal_start *start, const uint8_t boot[16]) {
  if (memcmp(start->boot, boot, sizeof start->boot) != 0) return 0;
  struct search search = {.session = start->keeper, .not_before = start->keeper_start_ticks};
  char text[DK_ATTEMPT_TEXT];
  dk_attempt_text(start->id, text);
  snprintf(search.env, sizeof search.env, "DK_ATTEMPT=%s", text);
  /* Its leader's number in use again: then the session ended with its last member, and what has the number now is a
   * stranger's. */
  struct dk_proc_stat stat;
  if (dk_proc_stat(start->keeper, &stat) == 0 && stat.start_ticks != start->keeper_start_ticks) search.session = 0;
  uint64_t until = dk_now_ns() + PATIENCE_NS;
  for (;;) {
    size_t n = kill_all(&search);
    if (n == 0 || dk_now_ns() > until) return n;
    poll(NULL, 0, 2);
  }
}

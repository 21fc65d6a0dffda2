/* What is to be said when LMDB dies of a damaged page. LMDB keeps no checksums of its pages and follows what they say,
 * so one that was damaged after the quick check at opening, or lies deeper than that looks, is a bus error, a
 * segmentation fault or a failed assertion inside of it, at any later read or commit. Nothing can be undone then (it
 * may have written over this process's memory), so the process says what happened and what to do, and ends. Nothing
 * that was committed is lost by that, and tasks that run go on under their agent.
 *
 * Only what happens between enter and leave is taken for such damage; other faults end the process as they always
 * did. */
#include "engine/store/private.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const int signals[] = {SIGBUS, SIGSEGV, SIGABRT, SIGFPE};
#define N_SIGNALS (sizeof signals / sizeof *signals)

static struct sigaction before[N_SIGNALS];
static int exit_code;
static _Thread_local const char *volatile inside; /* path of the store that LMDB works on */

static void say(const char *text) {
  ssize_t n = write(STDERR_FILENO, text, strlen(text));
  (void)n; /* nothing can be done about it here */
}

static void handle(int sig) {
  if (inside) {
    say("error: the store ");
    say(inside);
    say(" is damaged: using it crashed\nhelp: nothing that was recorded is lost by this; `dkrun fsck` says what is "
        "damaged, "
        "`dkrun fsck --repair` keeps what can be read\n");
    _exit(exit_code);
  }
  for (size_t i = 0; i < N_SIGNALS; i++)
    if (signals[i] == sig) sigaction(sig, &before[i], NULL);
  raise(sig); /* delivered when this handler returns */
}

void dk_store_guard(int code) {
  struct sigaction action = {.sa_handler = handle};
  exit_code = code;
  for (size_t i = 0; i < N_SIGNALS; i++) sigaction(signals[i], &action, &before[i]);
}

const char *dk_guard_enter(const char *path) {
  const char *outer = inside;
  inside = path;
  return outer;
}

void dk_guard_leave(const char *outer) {
  inside = outer;
}

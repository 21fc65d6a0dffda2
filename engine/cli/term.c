/* The terminal; see term.h. */
#include "engine/cli/term.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define HIDE_CURSOR "\x1b[?25l"
#define SHOW_CURSOR "\x1b[?25h"

/* Signals that end the program (or stop it) without passing through its loop. */
static const int undo_on[] = {SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTSTP};
#define N_UNDO (sizeof undo_on / sizeof *undo_on)

static struct {
  volatile sig_atomic_t entered;
  volatile sig_atomic_t redraw;
  int in, out;
  struct termios before, keys;
  struct sigaction old[N_UNDO], old_cont, old_winch;
} term;

void dk_term_size(int fd, uint32_t *ret_width, uint32_t *ret_height) {
  struct winsize size;
  *ret_width = 80;
  *ret_height = 24;
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
    *ret_width = size.ws_col;
    *ret_height = size.ws_row;
  }
}

bool dk_term_can_draw(int fd) {
  const char *name = getenv("TERM");
  return isatty(fd) && name && *name && strcmp(name, "dumb") != 0;
}

/* Only what signal-safety(7) allows. */
static void put(const char *text, size_t len) {
  ssize_t n = write(term.out, text, len);
  (void)n; /* nobody could be told */
}

static void undo(void) {
  if (term.entered) {
    put(SHOW_CURSOR, sizeof SHOW_CURSOR - 1);
    tcsetattr(term.in, TCSADRAIN, &term.before);
  }
}

static void apply(void) {
  tcsetattr(term.in, TCSADRAIN, &term.keys);
  put(HIDE_CURSOR, sizeof HIDE_CURSOR - 1);
}

static void on_undo(int signal_number) {
  int saved = errno;
  for (size_t i = 0; i < N_UNDO; i++) {
    if (undo_on[i] == signal_number) {
      undo();
      sigaction(signal_number, &term.old[i], NULL);
      raise(signal_number); /* blocked until this handler returns; then it does what it does */
    }
  }
  errno = saved;
}

static void handle(int signal_number, void (*fn)(int), struct sigaction *old) {
  struct sigaction action = {.sa_handler = fn, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(signal_number, &action, old);
}

static void on_cont(int signal_number) {
  int saved = errno;
  (void)signal_number;
  /* Not when the shell put the program into the background: tcsetattr would stop it again (SIGTTOU). */
  if (term.entered && tcgetpgrp(term.in) == getpgrp()) {
    apply();
  }
  handle(SIGTSTP, on_undo, NULL);
  term.redraw = 1;
  errno = saved;
}

static void on_winch(int signal_number) {
  (void)signal_number;
  term.redraw = 1;
}

int dk_term_enter(int in, int out) {
  if (term.entered) {
    return -EBUSY;
  }
  if (tcgetattr(in, &term.before) < 0) {
    return -errno;
  }
  if (tcgetpgrp(in) != getpgrp()) {
    return -ENOTTY; /* in the background: the terminal is somebody else's */
  }
  term.keys = term.before;
  term.keys.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
  term.keys.c_cc[VMIN] = 0;
  term.keys.c_cc[VTIME] = 0;
  term.in = in;
  term.out = out;
  term.entered = 1;
  for (size_t i = 0; i < N_UNDO; i++) {
    handle(undo_on[i], on_undo, &term.old[i]);
  }
  handle(SIGCONT, on_cont, &term.old_cont);
  handle(SIGWINCH, on_winch, &term.old_winch);
  apply();
  return 0;
}

void dk_term_leave(void) {
  if (!term.entered) {
    return;
  }
  undo();
  term.entered = 0;
  for (size_t i = 0; i < N_UNDO; i++) {
    sigaction(undo_on[i], &term.old[i], NULL);
  }
  sigaction(SIGCONT, &term.old_cont, NULL);
  sigaction(SIGWINCH, &term.old_winch, NULL);
}

bool dk_term_take_redraw(void) {
  bool redraw = term.redraw;
  term.redraw = 0;
  return redraw;
}

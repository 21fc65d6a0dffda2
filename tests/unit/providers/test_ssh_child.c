/* An ssh that is given up holds nobody up, and is gone soon, whatever it makes of a TERM. */
#include "providers/ssh/child.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SCRIPT_DEAF "trap '' TERM; echo; while :; do sleep 1; done"
#define SCRIPT_KIND "echo; exec sleep 100"

/* A program in ssh's place, when it has said that it is there. */
static struct dk_ssh_child start(const char *script) {
  const char *const argv[] = {"sh", "-c", script, NULL};
  struct dk_ssh_child child;
  char byte;
  assert_int_equal(dk_ssh_child_start(argv, &child, NULL), 0);
  struct pollfd fd = {.fd = child.stream, .events = POLLIN};
  assert_int_equal(poll(&fd, 1, 20000), 1);
  assert_int_equal(read(child.stream, &byte, 1), 1);
  return child;
}

static bool is_there(pid_t pid) {
  return kill(pid, 0) == 0; /* also while nobody has reaped it */
}

static void in_the_loop(void **state) {
  (void)state;
  struct dk_loop *loop;
  assert_int_equal(dk_loop_create(&loop, NULL), 0);
  struct dk_ssh_child deaf = start(SCRIPT_DEAF), kind = start(SCRIPT_KIND);
  const pid_t pids[] = {deaf.pid, kind.pid};
  dk_ssh_child_end(&deaf, loop);
  dk_ssh_child_end(&kind, loop);
  assert_true(deaf.pid == 0 && deaf.stream < 0 && deaf.words < 0);
  assert_true(is_there(pids[0])); /* it was not waited for */
  for (int i = 0; i < 2000 && (is_there(pids[0]) || is_there(pids[1])); i++) dk_loop_once(loop, dk_now_ns() + 10000000);
  assert_true(!is_there(pids[0]) && !is_there(pids[1]));
  assert_int_equal(dk_loop_once(loop, 0), 0); /* nothing is watched any more */
  dk_loop_destroy(loop);
}

/* The loop ends first. */
static void settled(void **state) {
  (void)state;
  struct dk_loop *loop;
  assert_int_equal(dk_loop_create(&loop, NULL), 0);
  pid_t pids[8];
  for (int i = 0; i < 8; i++) {
    struct dk_ssh_child child = start(i % 2 ? SCRIPT_DEAF : SCRIPT_KIND);
    pids[i] = child.pid;
    dk_ssh_child_end(&child, loop);
  }
  assert_true(is_there(pids[1]));
  dk_ssh_children_settle();
  for (int i = 0; i < 8; i++) assert_false(is_there(pids[i]));
  assert_int_equal(dk_loop_once(loop, 0), 0);
  dk_ssh_children_settle();
  dk_loop_destroy(loop);
}

/* One that has ended by itself is nobody's to wait for. */
static void ended(void **state) {
  (void)state;
  struct dk_loop *loop;
  assert_int_equal(dk_loop_create(&loop, NULL), 0);
  struct dk_ssh_child child = start("echo; exit 3");
  for (int i = 0; i < 2000 && !dk_ssh_child_has_ended(&child); i++) poll(NULL, 0, 10);
  dk_ssh_child_end(&child, loop);
  assert_int_equal(dk_loop_once(loop, dk_now_ns() + 30000000), 0);
  dk_loop_destroy(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_the_loop),
      cmocka_unit_test(settled),
      cmocka_unit_test(ended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

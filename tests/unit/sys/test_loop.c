/* The loop: descriptors that come and go inside callbacks, deadlines, signals. */
#include "engine/sys/loop.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct dk_loop *loop;
static int calls, last_signal;

static void drain(void *ctx, int fd, short revents) {
  char buffer[16];
  (void)ctx;
  assert_true(revents & POLLIN);
  assert_true(read(fd, buffer, sizeof buffer) > 0);
  calls++;
}

static void drain_and_unwatch(void *ctx, int fd, short revents) {
  drain(NULL, fd, revents);
  dk_loop_unwatch(loop, *(int *)ctx);
  dk_loop_unwatch(loop, fd);
}

static void on_signal(void *ctx, int signal) {
  (void)ctx;
  last_signal = signal;
}

static void descriptors(void **state) {
  (void)state;
  int a[2], b[2];
  assert_int_equal(pipe(a), 0);
  assert_int_equal(pipe(b), 0);
  assert_int_equal(dk_loop_create(&loop, NULL), 0);
  assert_int_equal(dk_loop_watch(loop, a[0], POLLIN, drain_and_unwatch, &b[0]), 0);
  assert_int_equal(dk_loop_watch(loop, b[0], POLLIN, drain, NULL), 0);
  uint64_t begin = dk_now_ns();
  assert_int_equal(dk_loop_once(loop, begin + 2000000), 0);
  assert_true(dk_now_ns() >= begin + 2000000);
  assert_int_equal(write(b[1], "x", 1), 1);
  assert_int_equal(dk_loop_once(loop, UINT64_MAX), 1);
  assert_int_equal(calls, 1);
  /* Both are ready; the first takes the second away before it is called. */
  assert_int_equal(write(a[1], "x", 1), 1);
  assert_int_equal(write(b[1], "x", 1), 1);
  assert_int_equal(dk_loop_once(loop, UINT64_MAX), 1);
  assert_int_equal(calls, 2);
  assert_int_equal(dk_loop_once(loop, 0), 0);
  for (int i = 0; i < 50; i++) assert_int_equal(dk_loop_watch(loop, b[0], POLLIN, drain, NULL), 0); /* the same one */
  assert_int_equal(dk_loop_once(loop, UINT64_MAX), 1);
  assert_int_equal(calls, 3);
  dk_loop_destroy(loop);
  close(a[0]);
  close(a[1]);
  close(b[0]);
  close(b[1]);
}

static void signals(void **state) {
  (void)state;
  assert_int_equal(dk_loop_create(&loop, NULL), 0);
  signal(SIGUSR1, SIG_IGN);
  assert_int_equal(dk_loop_signal(loop, SIGUSR1, on_signal, NULL), 0);
  assert_int_equal(dk_loop_signal(loop, SIGUSR2, on_signal, NULL), 0);
  raise(SIGUSR1);
  assert_int_equal(dk_loop_once(loop, UINT64_MAX), 1);
  assert_int_equal(last_signal, SIGUSR1);
  raise(SIGUSR2);
  assert_int_equal(dk_loop_once(loop, UINT64_MAX), 1);
  assert_int_equal(last_signal, SIGUSR2);
  dk_loop_destroy(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(descriptors), cmocka_unit_test(signals)};
  return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}

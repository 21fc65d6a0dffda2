/* The ledger: what two parties book of one machine, what is left when one is killed, and who comes first. */
#include "engine/sys/ledger.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static const struct dk_range four = {0, 4};

static int make_dir(void **state) {
  (void)state;
  strcpy(dir, "/tmp/dk-ledger-XXXXXX");
  return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
  char path[80];
  (void)state;
  snprintf(path, sizeof path, "%s/ledger", dir);
  unlink(path);
  return rmdir(dir);
}

static int party(void) {
  struct dk_error error = {0};
  int fd = dk_ledger_open(dir, &error);
  if (fd < 0) fail_msg("%s", error.text);
  return fd;
}

static bool take(int fd, uint32_t want, uint32_t *units) {
  return dk_ledger_take(fd, DK_POOL_CPU, &four, 1, want, units);
}

static uint32_t n_free(int fd) {
  return dk_ledger_free(fd, DK_POOL_CPU, &four, 1);
}

static void two_parties(void **state) {
  uint32_t a_units[3], b_units[1];
  int a = party(), b = party();
  (void)state;
  assert_true(take(a, 3, a_units));
  assert_int_equal(n_free(b), 1);
  assert_false(take(b, 2, NULL)); /* all or none */
  assert_int_equal(n_free(a), 4); /* b keeps nothing of what it could not have; a's own are no other's */
  assert_true(take(b, 1, b_units));
  for (int i = 0; i < 3; i++) assert_int_not_equal(a_units[i], b_units[0]);
  /* Pools do not touch each other. */
  int c = party();
  assert_int_equal(n_free(c), 0);
  assert_false(take(c, 1, NULL));
  assert_true(dk_ledger_take(c, DK_POOL_MEMORY, &four, 1, 4, NULL));
  assert_true(dk_ledger_take(c, DK_POOL_GPU, &four, 1, 4, NULL));
  dk_ledger_release(a);
  assert_int_equal(n_free(c), 3);
  close(b);
  assert_int_equal(n_free(c), 4);
  close(a);
  close(c);
}

/* Ranges with a hole: units are those of the ranges only. */
static void holes(void **state) {
  static const struct dk_range from[] = {{1, 2}, {5, 2}};
  uint32_t units[3];
  int a = party(), b = party();
  (void)state;
  assert_true(dk_ledger_take(b, DK_POOL_CPU, &(struct dk_range){2, 1}, 1, 1, NULL));
  assert_int_equal(dk_ledger_free(a, DK_POOL_CPU, from, 2), 3);
  assert_true(dk_ledger_take(a, DK_POOL_CPU, from, 2, 3, units));
  assert_int_equal(units[0], 1);
  assert_int_equal(units[1], 5);
  assert_int_equal(units[2], 6);
  close(a);
  close(b);
}

/* What a killed process had booked is free, and who waits for it hears of it. */
static void killed(void **state) {
  int pipes[2], me = party();
  char byte;
  (void)state;
  assert_int_equal(pipe(pipes), 0);
  pid_t child = fork();
  if (child == 0) {
    int fd = dk_ledger_open(dir, NULL);
    if (fd < 0 || !take(fd, 4, NULL) || write(pipes[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  assert_int_equal(read(pipes[0], &byte, 1), 1);
  assert_int_equal(n_free(me), 0);
  int watch = dk_ledger_watch(me);
  assert_true(watch >= 0);
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  struct pollfd heard = {.fd = watch, .events = POLLIN};
  assert_int_equal(poll(&heard, 1, 20000), 1);
  dk_ledger_drain(watch);
  assert_int_equal(poll(&heard, 1, 0), 0);
  assert_true(take(me, 4, NULL));
  close(watch);
  close(me);
  close(pipes[0]);
  close(pipes[1]);
}

/* A wide one that came first is first, however often narrow ones come. */
static void queue(void **state) {
  int wide = party(), narrow = party(), runs = party();
  (void)state;
  assert_true(take(runs, 1, NULL));
  assert_false(dk_ledger_is_wanted(runs));
  uint64_t first = dk_ledger_queue(wide, DK_POOL_CPU, 0);
  assert_int_not_equal(first, 0);
  assert_true(dk_ledger_is_wanted(runs));
  assert_false(dk_ledger_is_wanted(wide)); /* by itself */
  uint64_t second = dk_ledger_queue(narrow, DK_POOL_CPU, 0);
  assert_true(second > first);
  assert_true(dk_ledger_is_first(wide, DK_POOL_CPU, first));
  assert_false(dk_ledger_is_first(narrow, DK_POOL_CPU, second));
  assert_false(take(wide, 4, NULL));
  dk_ledger_release(runs);
  assert_true(take(wide, 4, NULL));
  dk_ledger_leave(wide, DK_POOL_CPU);
  assert_true(dk_ledger_is_first(narrow, DK_POOL_CPU, second));
  /* Another pool's queue is another queue; a ticket taken along keeps its age. */
  assert_int_equal(dk_ledger_queue(narrow, DK_POOL_MEMORY, second), second);
  assert_true(dk_ledger_is_first(narrow, DK_POOL_MEMORY, second));
  close(wide);
  close(narrow);
  close(runs);
}

static void place(void **state) {
  struct dk_error error = {0};
  dk_autobuf got = DK_BUF_INIT;
  char path[80];
  (void)state;
  assert_int_equal(dk_ledger_place("here", &got, &error), -EINVAL);
  snprintf(path, sizeof path, "%s/new", dir);
  assert_int_equal(dk_ledger_place(path, &got, &error), 0);
  assert_string_equal(got.data, path);
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  assert_int_equal(chmod(path, 0777), 0); /* others could put another file there */
  assert_int_equal(dk_ledger_place(path, &got, &error), -EPERM);
  assert_non_null(strstr(error.text, "others may replace files"));
  assert_int_equal(rmdir(path), 0);
  assert_int_equal(setenv("DKRUN_LEDGER", path, 1), 0);
  assert_string_equal(dk_ledger_asked(), path);
  assert_int_equal(unsetenv("DKRUN_LEDGER"), 0);
  assert_string_equal(dk_ledger_asked(), DK_LEDGER_AUTO);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(two_parties), cmocka_unit_test(holes), cmocka_unit_test(killed),
                                     cmocka_unit_test(queue), cmocka_unit_test(place)};
  return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

/* What waits to go out goes in its order, through sockets that take little, and takes no more memory than it must. */
#include "engine/sys/outbox.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
  int ours, theirs;
  uint64_t put, got; /* bytes so far */
};

static struct pair open_pair(void) {
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  return (struct pair){fds[0], fds[1], 0, 0};
}

static void close_pair(struct pair *pair) {
  close(pair->ours);
  if (pair->theirs >= 0) close(pair->theirs);
}

static char byte_at(uint64_t at) {
  return (char)(at * 7 % 251);
}

static void put(struct dk_outbox *out, struct pair *pair, size_t n) {
  for (size_t i = 0; i < n; i++) dk_buf_add_char(&out->bytes, byte_at(pair->put++));
}

/* At most n bytes; false: none was there. */
static bool take(struct pair *pair, size_t n) {
  char bytes[4096];
  ssize_t got = recv(pair->theirs, bytes, n < sizeof bytes ? n : sizeof bytes, 0);
  for (ssize_t i = 0; i < got; i++) assert_int_equal(bytes[i], byte_at(pair->got++));
  return got > 0;
}

static void all_at_once(void **state) {
  (void)state;
  struct dk_outbox out = {.sent = 0};
  struct pair pair = open_pair();
  assert_int_equal(dk_outbox_send(&out, pair.ours), 0); /* nothing */
  put(&out, &pair, 1000);
  assert_int_equal(dk_outbox_waiting(&out), 1000);
  assert_int_equal(dk_outbox_send(&out, pair.ours), 0);
  assert_int_equal(dk_outbox_waiting(&out), 0);
  assert_int_equal(out.bytes.len, 0);
  while (take(&pair, 4096)) {}
  assert_int_equal(pair.got, 1000);
  dk_outbox_finish(&out);
  close_pair(&pair);
}

/* It never runs dry, for a hundred times what it holds. */
static void never_dry(void **state) {
  (void)state;
  struct dk_outbox out = {.sent = 0};
  struct pair pair = open_pair();
  size_t most = 0, most_waiting = 0;
  for (int i = 0; i < 20000; i++) {
    while (dk_outbox_waiting(&out) < (1u << 17)) put(&out, &pair, 3000);
    assert_int_equal(dk_outbox_send(&out, pair.ours), 0);
    assert_true(dk_outbox_waiting(&out) > 0 || i < 1000);
    if (out.bytes.len > most) most = out.bytes.len;
    if (dk_outbox_waiting(&out) > most_waiting) most_waiting = dk_outbox_waiting(&out);
    (void)take(&pair, (size_t)(i % 4000) + 1);
  }
  assert_true(most <= 2 * most_waiting + (1u << 17));
  while (take(&pair, 4096) || dk_outbox_waiting(&out)) assert_int_equal(dk_outbox_send(&out, pair.ours), 0);
  assert_int_equal(pair.got, pair.put);
  assert_true(pair.put > 100 * (UINT64_C(1) << 17));
  dk_outbox_finish(&out);
  close_pair(&pair);
}

/* No signal ends the process. */
static void broken(void **state) {
  (void)state;
  struct dk_outbox out = {.sent = 0};
  struct pair pair = open_pair();
  close(pair.theirs);
  pair.theirs = -1;
  put(&out, &pair, 10);
  assert_int_equal(dk_outbox_send(&out, pair.ours), -EPIPE);
  assert_int_equal(dk_outbox_waiting(&out), 10);
  dk_outbox_clear(&out);
  assert_int_equal(dk_outbox_waiting(&out), 0);
  assert_int_equal(dk_outbox_send(&out, pair.ours), 0);
  dk_outbox_finish(&out);
  close_pair(&pair);
}

/* What could not be appended does not stay in the way once it is empty. */
static void no_memory(void **state) {
  (void)state;
  struct dk_outbox out = {.sent = 0};
  struct pair pair = open_pair();
  dk_alloc_fail_at(1);
  dk_buf_add_char(&out.bytes, 'x');
  dk_alloc_fail_at(0);
  assert_false(dk_buf_ok(&out.bytes));
  assert_int_equal(dk_outbox_send(&out, pair.ours), 0);
  put(&out, &pair, 5);
  assert_int_equal(dk_outbox_waiting(&out), 5);
  dk_outbox_finish(&out);
  close_pair(&pair);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_at_once),
      cmocka_unit_test(never_dry),
      cmocka_unit_test(broken),
      cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What agents say that they lack: sent once, however often it is said, and not more of it than is taken. */
#include "far.h"

#include <errno.h>
#include <string.h>

static struct dk_digest digest_of(uint32_t i) {
  struct dk_digest digest = {{7}};
  memcpy(digest.bytes + 8, &i, sizeof i);
  return digest;
}

/* As many as may wait at a time, each of them twice; in no time, whatever their number. */
static void most(void **state) {
  struct dk_supply supply = {0};
  (void)state;
  for (uint32_t i = 0; i < DK_SUPPLY_MAX; i++) {
    const struct dk_digest digest = digest_of(i);
    assert_int_equal(dk_supply_add(&supply, &digest, 0), 0);
    assert_int_equal(dk_supply_add(&supply, &digest, i), 0);
  }
  assert_int_equal(supply.n - supply.first, DK_SUPPLY_MAX);
  assert_int_equal(supply.items[77].offset, 77);
  const struct dk_digest known = digest_of(5), more = digest_of(DK_SUPPLY_MAX);
  assert_int_equal(dk_supply_add(&supply, &known, 0), 0);
  assert_int_equal(dk_supply_add(&supply, &more, 0), -E2BIG);
  dk_supply_clear(&supply);
  assert_int_equal(dk_supply_add(&supply, &more, 0), 0);
  dk_supply_finish(&supply);
}

static uint32_t n_gone;

static void on_gone(struct far *far, const struct dk_message *message) {
  (void)far;
  n_gone += message->type == DK_MSG_GONE;
}

static void say_lacks(struct far *far, uint32_t i) {
  struct dk_message lacks = {.type = DK_MSG_LACKS};
  lacks.u.want.digest = digest_of(i);
  far_send(far, &lacks);
}

/* Not here, each of them: each is said to be gone, also when there are so many that those before are taken out. */
static void answered(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  far->on_other = on_gone;
  n_gone = 0;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  far_rest(f, 50);
  for (uint32_t i = 0; i < 5000; i++) say_lacks(far, i);
  for (int i = 0; i < 400 && n_gone < 5000; i++) far_rest(f, 10);
  far_rest(f, 20);
  assert_int_equal(n_gone, 5000);
  /* Once more, after they were answered: answered once more. */
  say_lacks(far, 3);
  for (int i = 0; i < 400 && n_gone == 5000; i++) far_rest(f, 10);
  assert_int_equal(n_gone, 5001);
  assert_true(f->engine->hosts[1]->supply.n < 5000);
}

/* Who asks for more is cut off, with words; what comes of it next is another session. */
static void too_many(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  assert_int_equal(far_start(f, 60000, NULL), 0);
  far_rest(f, 50);
  struct dk_engine_host *host = f->engine->hosts[1];
  assert_true(host->session != 0);
  for (uint32_t i = 0; i < DK_SUPPLY_MAX; i++) {
    const struct dk_digest digest = digest_of(i);
    assert_int_equal(dk_supply_add(&host->supply, &digest, 0), 0);
  }
  say_lacks(far, DK_SUPPLY_MAX);
  for (int i = 0; i < 400 && host->session; i++) far_rest(f, 10);
  assert_true(host->session == 0 && far->fd < 0);
  assert_non_null(strstr(f->said, "h1: its agent asks for more contents at a time than may be"));
  for (int i = 0; i < 1000 && !host->session; i++) far_rest(f, 10);
  assert_true(host->session != 0 && host->supply.n == 0 && far->n_dials == 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(most),
      cmocka_unit_test_setup_teardown(answered, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(too_many, far_setup, far_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Rented machines in the store: there and back, damaged, and what the next engine loads. */
#include "engine/store/rented.h"
#include "engine/store/repair.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct dk_rent_record machine(uint32_t number) {
  return (struct dk_rent_record){.rented = {.number = number,
                                            .incarnation = UINT64_MAX - 1,
                                            .state = DK_RENT_ENDING,
                                            .pool = "cloud",
                                            .where = "https://lab, project p",
                                            .shape = {.name = "large",
                                                      .cpus = 8,
                                                      .gpus = 1,
                                                      .memory = UINT64_C(64) << 30,
                                                      .disk = 100,
                                                      .price = 2500000,
                                                      .currency = "USD"},
                                            .id = "i-0123",
                                            .host = 7,
                                            .asked_unix_ns = 5,
                                            .is_leaving = true,
                                            .is_proven = true}};
}

static void check_machine(const struct dk_rented *got, uint32_t number) {
  const struct dk_rent_record want = machine(number);
  assert_true(got->number == number && got->incarnation == want.rented.incarnation);
  assert_int_equal(got->state, DK_RENT_ENDING);
  assert_string_equal(got->pool, "cloud");
  assert_string_equal(got->where, "https://lab, project p");
  assert_string_equal(got->id, "i-0123");
  assert_string_equal(got->shape.name, "large");
  assert_true(got->shape.cpus == 8 && got->shape.gpus == 1 && got->shape.memory == UINT64_C(64) << 30);
  assert_true(got->shape.disk == 100 && got->shape.price == 2500000);
  assert_string_equal(got->shape.currency, "USD");
  assert_true(got->host == 7 && got->asked_unix_ns == 5);
  assert_true(!got->is_stranger && got->is_leaving && got->is_proven);
}

struct fixture {
  char dir[64];
  struct dk_store *store;
};

static int open_store(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  snprintf(f->dir, sizeof f->dir, "/tmp/dk-rented-XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  const struct dk_store_options options = {.map_size = 1 << 20, .ballast = DK_STORE_NO_BALLAST};
  assert_int_equal(dk_store_open(f->dir, &options, &f->store, NULL), 0);
  *state = f;
  return 0;
}

static int close_store(void **state) {
  struct fixture *f = *state;
  dk_store_close(f->store);
  assert_int_equal(dk_fs_remove_tree(f->dir, NULL), 0);
  free(f);
  return 0;
}

static void commit(const struct fixture *f, const struct dk_rent_record *record) {
  struct dk_batch batch = DK_BATCH_INIT;
  assert_int_equal(dk_batch_add_rent_record(&batch, record), 0);
  assert_int_equal(dk_store_commit(f->store, &batch, NULL), 0);
  dk_batch_finish(&batch);
}

static void they_are_kept(void **state) {
  const struct fixture *f = *state;
  struct dk_rent_record *records;
  uint32_t n;
  assert_int_equal(dk_store_load_rented(f->store, &records, &n, NULL), 0);
  assert_int_equal(n, 0);
  dk_free(records);
  for (uint32_t number = 1; number <= 3; number++) {
    struct dk_rent_record record = machine(number);
    commit(f, &record);
  }
  struct dk_rent_record gone = machine(2);
  gone.del = true;
  commit(f, &gone);
  commit(f, &(struct dk_rent_record){.kind = DK_RENT_REC_TAKEN, .taken = 9});
  assert_int_equal(dk_store_load_rented(f->store, &records, &n, NULL), 0);
  assert_int_equal(n, 3);
  assert_true(records[0].kind == DK_RENT_REC_TAKEN && records[0].taken == 9);
  check_machine(&records[1].rented, 1);
  check_machine(&records[2].rented, 3);
  dk_free(records);
}

static void key_of(uint32_t number, uint8_t ret[DK_RENTED_KEY]) {
  memset(ret, 0xff, DK_RENTED_KEY);
  ret[7] = 0xfe;
  memset(ret + 8, 0, 3);
  ret[11] = (uint8_t)number;
}

/* Every prefix is refused; a changed byte too, or it is read as another machine. */
static void damaged_ones(void **state) {
  (void)state;
  const struct dk_rent_record record = machine(1);
  struct dk_rented got;
  uint8_t key[DK_RENTED_KEY];
  dk_autobuf bytes = DK_BUF_INIT;
  key_of(1, key);
  assert_int_equal(dk_rented_encode(&record.rented, &bytes), 0);
  assert_int_equal(dk_rented_decode(key, sizeof key, bytes.data, bytes.len, &got), 0);
  check_machine(&got, 1);
  assert_int_equal(dk_store_table_of(key, sizeof key, bytes.data, bytes.len), DK_TABLE_INSTANCES);
  for (size_t len = 0; len < bytes.len; len++)
    assert_int_equal(dk_rented_decode(key, sizeof key, bytes.data, len, &got), -EBADMSG);
  for (size_t at = 0; at < bytes.len; at++) {
    bytes.data[at] = (char)((uint8_t)bytes.data[at] ^ 0xff);
    if (dk_rented_decode(key, sizeof key, bytes.data, bytes.len, &got) == 0) {
      assert_true(memchr(got.id, 0, sizeof got.id) && memchr(got.pool, 0, sizeof got.pool));
      assert_non_null(memchr(got.shape.name, 0, sizeof got.shape.name));
    }
    bytes.data[at] = (char)((uint8_t)bytes.data[at] ^ 0xff);
  }
  assert_int_equal(dk_rented_decode(key, 4, bytes.data, bytes.len, &got), -EBADMSG);
  key_of(0, key);
  assert_int_equal(dk_rented_decode(key, sizeof key, bytes.data, bytes.len, &got), -EBADMSG);
}

/* As earlier versions wrote it: the second one had no currency, the first one no place, which are the last two texts. */
static void old_ones(void **state) {
  (void)state;
  struct dk_rent_record record = machine(1);
  struct dk_rented got;
  uint8_t key[DK_RENTED_KEY];
  dk_autobuf bytes = DK_BUF_INIT, place = DK_BUF_INIT;
  key_of(1, key);
  assert_int_equal(dk_rented_encode(&record.rented, &bytes), 0);
  dk_buf_truncate(&bytes, bytes.len - 4); /* "USD" with its length */
  bytes.data[0] = 2;
  assert_int_equal(dk_rented_decode(key, sizeof key, bytes.data, bytes.len, &got), 0);
  assert_string_equal(got.shape.currency, "");
  strcpy(got.shape.currency, "USD");
  check_machine(&got, 1);
  dk_write_text(&place, record.rented.where);
  dk_buf_truncate(&bytes, bytes.len - place.len);
  bytes.data[0] = 1;
  assert_int_equal(dk_rented_decode(key, sizeof key, bytes.data, bytes.len, &got), 0);
  assert_string_equal(got.where, "");
  strcpy(got.where, record.rented.where);
  strcpy(got.shape.currency, "USD");
  check_machine(&got, 1);
}

/* What was spent on machines that are gone, and on those that are there. */
static void what_is_spent(void **state) {
  const struct fixture *f = *state;
  const uint64_t hour = UINT64_C(3600) * 1000000000u;
  struct dk_purse spent;
  assert_int_equal(dk_store_spent(f->store, 5 + hour, &spent, NULL), 0);
  assert_int_equal(spent.n, 0);
  struct dk_rent_record record = machine(1);
  commit(f, &record);
  commit(f, &(struct dk_rent_record){.kind = DK_RENT_REC_SPENT, .spent = {"EUR", 7}});
  commit(f, &(struct dk_rent_record){.kind = DK_RENT_REC_SPENT, .spent = {"USD", 10}});
  commit(f, &(struct dk_rent_record){.kind = DK_RENT_REC_SPENT, .spent = {"USD", 30}}); /* in all */
  assert_int_equal(dk_store_spent(f->store, 5 + hour, &spent, NULL), 0);
  assert_int_equal(dk_purse_of(&spent, "EUR"), 7);
  assert_int_equal(dk_purse_of(&spent, "USD"), 2500030);
  assert_int_equal(dk_store_table_of("spent.USD", 9, "", 0), DK_TABLE_META);
  assert_int_equal(dk_store_table_of("spend.USD", 9, "", 0), DK_N_TABLES);
}

/* A text that is longer than there is room for. */
static void long_texts(void **state) {
  (void)state;
  struct dk_rent_record record = machine(1);
  struct dk_rented got;
  uint8_t key[DK_RENTED_KEY];
  dk_autobuf bytes = DK_BUF_INIT;
  key_of(1, key);
  memset(record.rented.id, 'x', sizeof record.rented.id - 1);
  assert_int_equal(dk_rented_encode(&record.rented, &bytes), 0);
  assert_int_equal(dk_rented_decode(key, sizeof key, bytes.data, bytes.len, &got), 0);
  assert_int_equal(strlen(got.id), DK_RENT_ID - 1);
  dk_buf_clear(&bytes);
  char id[DK_RENT_ID + 1] = {0};
  memset(id, 'x', DK_RENT_ID);
  const struct dk_rent_record other = machine(1);
  dk_autobuf whole = DK_BUF_INIT;
  assert_int_equal(dk_rented_encode(&other.rented, &whole), 0);
  size_t at = 3 + 1 + strlen("cloud"); /* where the id's length is */
  assert_int_equal(whole.data[at], strlen("i-0123"));
  dk_buf_add(&bytes, whole.data, at);
  dk_buf_add(&bytes, "\x81\x01", 2); /* 129 */
  dk_buf_add_text(&bytes, id);
  dk_buf_add(&bytes, whole.data + at + 1 + strlen("i-0123"), whole.len - at - 1 - strlen("i-0123"));
  assert_int_equal(dk_rented_decode(key, sizeof key, bytes.data, bytes.len, &got), -EBADMSG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(they_are_kept, open_store, close_store),
      cmocka_unit_test_setup_teardown(what_is_spent, open_store, close_store),
      cmocka_unit_test(damaged_ones),
      cmocka_unit_test(old_ones),
      cmocka_unit_test(long_texts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Hosts and places: there and back, damaged, older tasks. */
#include "engine/store/hosts.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct dk_host_record lab_host(uint32_t number) {
  return (struct dk_host_record){.number = number,
                                 .state = DK_HOST_BARRED,
                                 .provider = (char *)"lab",
                                 .name = (char *)"h1",
                                 .words = (char *)"another system",
                                 .system = (char *)"x86_64, debian 12, glibc 2.36",
                                 .gpu = (char *)"V100\nT4",
                                 .place = (char *)"0b31 254:1",
                                 .changed_unix_ns = 1,
                                 .seen_unix_ns = UINT64_MAX,
                                 .memory = 1u << 30,
                                 .free = 7,
                                 .clock_ns = -5000000000,
                                 .slots = 2,
                                 .cpus = 4,
                                 .gpus = 3};
}

static void check_host(const struct dk_host_record *host) {
  assert_int_equal(host->state, DK_HOST_BARRED);
  assert_string_equal(host->provider, "lab");
  assert_string_equal(host->name, "h1");
  assert_string_equal(host->words, "another system");
  assert_string_equal(host->gpu, "V100\nT4");
  assert_string_equal(host->place, "0b31 254:1");
  assert_true(host->seen_unix_ns == UINT64_MAX && host->clock_ns == -5000000000 && host->memory == 1u << 30);
  assert_true(host->slots == 2 && host->cpus == 4 && host->gpus == 3 && host->free == 7);
}

struct fixture {
  char dir[64];
  struct dk_store *store;
};

static int open_store(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  snprintf(f->dir, sizeof f->dir, "/tmp/dk-hosts-XXXXXX");
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

static int count_host(void *ctx, const struct dk_host_record *host) {
  uint32_t *last = ctx;
  assert_true(host->number > *last); /* in their order */
  check_host(host);
  *last = host->number;
  return 0;
}

static void hosts_are_kept(void **state) {
  const struct fixture *f = *state;
  struct dk_batch batch = DK_BATCH_INIT;
  for (uint32_t number = 300; number > 0; number -= 100) {
    struct dk_host_record host = lab_host(number);
    assert_int_equal(dk_batch_put_host(&batch, &host), 0);
  }
  assert_int_equal(dk_store_commit(f->store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  struct dk_host_record got;
  assert_int_equal(dk_store_get_host(f->store, 200, &got, NULL), 0);
  assert_int_equal(got.number, 200);
  check_host(&got);
  dk_host_record_finish(&got);
  assert_int_equal(dk_store_get_host(f->store, 1, &got, NULL), -ENOENT);
  uint32_t last = 0;
  assert_int_equal(dk_store_each_host(f->store, count_host, &last, NULL), 0);
  assert_int_equal(last, 300);
}

/* Every prefix and every changed byte is refused, or read as something that can be finished. */
static void damaged_hosts(void **state) {
  (void)state;
  struct dk_host_record host = lab_host(1), got;
  dk_autobuf bytes = DK_BUF_INIT;
  assert_int_equal(dk_host_record_encode(&host, &bytes), 0);
  for (size_t len = 0; len < bytes.len; len++) assert_int_equal(dk_host_record_decode(bytes.data, len, &got), -EBADMSG);
  for (size_t at = 0; at < bytes.len; at++) {
    bytes.data[at] = (char)((uint8_t)bytes.data[at] ^ 0xff);
    if (dk_host_record_decode(bytes.data, bytes.len, &got) == 0) dk_host_record_finish(&got);
    bytes.data[at] = (char)((uint8_t)bytes.data[at] ^ 0xff);
  }
}

/* As older versions wrote them. */
static void hosts_without_a_place(void **state) {
  (void)state;
  struct dk_host_record host = lab_host(1), got;
  dk_autobuf bytes = DK_BUF_INIT;
  host.place = NULL;
  assert_int_equal(dk_host_record_encode(&host, &bytes), 0);
  assert_int_equal(bytes.data[0], 1);
  assert_int_equal(dk_host_record_decode(bytes.data, bytes.len, &got), 0);
  assert_null(got.place);
  assert_int_equal(got.gpus, 3);
  dk_host_record_finish(&got);
}

struct seen {
  uint32_t hosts[8], n;
};

static int see_copy(void *ctx, const struct dk_copy *copy) {
  struct seen *seen = ctx;
  assert_int_equal(copy->size, 77);
  assert_int_equal(copy->is_dir, copy->host == 2);
  seen->hosts[seen->n++] = copy->host;
  return 0;
}

static void copies_are_kept(void **state) {
  const struct fixture *f = *state;
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_copy copy = {.content = {{1}}, .host = 5, .size = 77};
  const struct dk_digest other = {{1, 1}};
  assert_int_equal(dk_batch_put_copy(&batch, &copy), 0);
  copy.host = 2;
  copy.is_dir = true;
  assert_int_equal(dk_batch_put_copy(&batch, &copy), 0);
  copy.content = other;
  assert_int_equal(dk_batch_put_copy(&batch, &copy), 0);
  assert_int_equal(dk_store_commit(f->store, &batch, NULL), 0);
  struct seen seen = {.n = 0};
  const struct dk_digest first = {{1}};
  assert_int_equal(dk_store_each_copy(f->store, &first, see_copy, &seen, NULL), 0);
  assert_true(seen.n == 2 && seen.hosts[0] == 2 && seen.hosts[1] == 5);
  dk_batch_clear(&batch);
  assert_int_equal(dk_batch_del_copy(&batch, &first, 2), 0);
  assert_int_equal(dk_store_commit(f->store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  seen.n = 0;
  assert_int_equal(dk_store_each_copy(f->store, NULL, see_copy, &seen, NULL), 0);
  assert_int_equal(seen.n, 2);
}

/* A task of this machine is written as before there were others. */
static void task_says_where(void **state) {
  (void)state;
  struct dk_task_record task = {.state = DK_TASK_RUNNING, .slot = 3, .attempt = {1, 2}}, got;
  dk_autobuf here = DK_BUF_INIT, there = DK_BUF_INIT;
  assert_int_equal(dk_task_record_encode(&task, &here), 0);
  assert_int_equal(here.data[0], 1);
  assert_int_equal(dk_task_record_decode(here.data, here.len, &got), 0);
  assert_int_equal(got.host, DK_HOST_LOCAL);
  task.host = 60000;
  assert_int_equal(dk_task_record_encode(&task, &there), 0);
  assert_int_equal(dk_task_record_decode(there.data, there.len, &got), 0);
  assert_true(got.host == 60000 && got.slot == 3);
  for (size_t len = 0; len < there.len; len++) assert_true(dk_task_record_decode(there.data, len, &got) < 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(hosts_are_kept, open_store, close_store),
      cmocka_unit_test(damaged_hosts),
      cmocka_unit_test(hosts_without_a_place),
      cmocka_unit_test_setup_teardown(copies_are_kept, open_store, close_store),
      cmocka_unit_test(task_says_where),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

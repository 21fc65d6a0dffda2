/* Hosts of the files of providers with what the store has of them, and what of a machine tasks need. */
#include "engine/drive/known.h"
#include "engine/drive/needs.h"
#include "engine/store/rented.h"
#include "lang/base/alloc.h"
#include "tests/unit/store/fixture.h"

#include <errno.h>

static const struct dk_provider far_away = {.kind = "far", .is_remote = true};
static const struct dk_provider near = {.kind = "near"};

static void put_host(struct dk_batch *batch, uint32_t number, const char *provider, const char *name) {
  const struct dk_host_record record = {.number = number,
                                        .state = DK_HOST_UP,
                                        .provider = (char *)(uintptr_t)provider,
                                        .name = (char *)(uintptr_t)name,
                                        .words = (char *)(uintptr_t) "",
                                        .system = (char *)(uintptr_t) "",
                                        .gpu = (char *)(uintptr_t) "",
                                        .slots = number + 10};
  assert_int_equal(dk_batch_put_host(batch, &record), 0);
}

static struct dk_store *fill(void) {
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_store *store = fx_open(NULL);
  put_host(&batch, 0, "local", "local");
  put_host(&batch, 1, "lab", "h1");
  put_host(&batch, 2, "lab", "h2");
  put_host(&batch, 3, "old", "h1");
  for (uint8_t i = 0; i < 3; i++) {
    const struct dk_copy copy = {.content = {{i}}, .host = 3 - (i & 1), .size = 1};
    assert_int_equal(dk_batch_put_copy(&batch, &copy), 0);
  }
  const struct dk_record attempt = {.kind = DK_REC_ATTEMPT, .id = {7, 1}, .run = 1, .host = 2, .booked = 1};
  assert_int_equal(dk_batch_add_record(&batch, &attempt, NULL), 0);
  for (uint32_t i = 0; i < 2; i++) { /* the second one has no host */
    const struct dk_rent_record machine = {.rented = {.number = i + 1,
                                                      .state = DK_RENT_UP,
                                                      .pool = "old",
                                                      .shape = {.name = "s"},
                                                      .host = i ? DK_RENT_NO_HOST : 3}};
    assert_int_equal(dk_batch_add_rent_record(&batch, &machine), 0);
  }
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  return store;
}

static struct dk_hosts_entry entries[] = {
    {.provider = &far_away, .config = {.provider = "lab", .name = "h2"}},
    {.provider = &far_away, .config = {.provider = "lab", .name = "h4"}}, /* the store does not know it */
    {.provider = &near, .config = {.provider = "here", .name = "local"}}, /* called otherwise now */
};
static const struct dk_hosts hosts = {.items = entries, .n = 3};

static void are_joined(void **state) {
  struct dk_known_hosts known;
  struct dk_store *store = fill();
  (void)state;
  assert_int_equal(dk_known_hosts_load(&hosts, store, &known, NULL), 0);
  assert_int_equal(dk_known_hosts_count(&known, store, NULL), 0);
  assert_int_equal(known.n, 5);
  assert_true(known.items[0].entry == &entries[0] && known.items[0].record.slots == 12);
  assert_true(known.items[0].n_attempts == 1 && known.items[0].n_copies == 1);
  assert_true(known.items[1].entry == &entries[1] && !known.items[1].has_record);
  assert_true(known.items[2].entry == &entries[2] && known.items[2].record.slots == 10);
  assert_false(dk_known_host_is_remote(&known.items[2]));
  assert_string_equal(dk_known_host_provider(&known.items[2]), "here");
  assert_true(!known.items[3].entry && known.items[3].record.number == 1 && known.items[3].n_copies == 0);
  assert_true(!known.items[4].entry && known.items[4].record.number == 3 && known.items[4].n_copies == 2);
  assert_true(dk_known_host_is_remote(&known.items[4]));
  for (uint32_t i = 0; i < known.n; i++) assert_int_equal(known.items[i].is_rented, i == 4);
  assert_true(dk_known_host_is(&known.items[4], "old") && dk_known_host_is(&known.items[4], "h1"));
  assert_false(dk_known_host_is(&known.items[4], "lab"));
  dk_known_hosts_finish(&known);
  dk_store_close(store);
  assert_int_equal(dk_known_hosts_load(&hosts, NULL, &known, NULL), 0);
  assert_int_equal(known.n, 3);
  dk_known_hosts_finish(&known);
}

static void without_memory(void **state) {
  struct dk_store *store = fill();
  (void)state;
  for (uint64_t n = 1;; n++) {
    struct dk_known_hosts known;
    struct dk_error error = {0};
    assert_true(n < 1000);
    dk_alloc_fail_once(n);
    int r = dk_known_hosts_load(&hosts, store, &known, &error);
    if (r == 0) r = dk_known_hosts_count(&known, store, &error);
    bool is_over = dk_alloc_count() < n;
    dk_alloc_fail_at(0);
    assert_true(r == 0 || error.text[0]);
    dk_known_hosts_finish(&known);
    if (is_over) break;
  }
  dk_store_close(store);
}

static void lacks(void **state) {
  static const struct {
    struct dk_needs_of need;
    const char *words; /* NULL: it fits */
  } cases[] = {
      {{.cpus = 1}, NULL},
      {{.cpus = 1000}, NULL}, /* it gets all of them */
      {{.memory = UINT64_C(8) << 30}, NULL},
      {{.memory = UINT64_C(9) << 30}, "9216 MiB of memory, and h1 has 8192"},
      {{.gpus = 2}, NULL},
      {{.gpus = 3}, "3 gpus, and h1 has 2"},
      {{.gpus = 1, .gpu = (char *)(uintptr_t) "v100"}, NULL},
      {{.gpus = 1, .gpu = (char *)(uintptr_t) "A100"}, "1 A100 gpu, and h1 has 2"},
  };
  struct dk_host_record record = {.name = (char *)(uintptr_t) "h1",
                                  .gpu = (char *)(uintptr_t) "Tesla V100\nTesla P4",
                                  .memory = UINT64_C(8) << 30,
                                  .gpus = 2,
                                  .seen_unix_ns = 1};
  const struct dk_needs_host host = {.record = &record};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf words = DK_BUF_INIT;
    assert_int_equal(dk_needs_lacks(&host, &cases[i].need, &words), cases[i].words != NULL);
    assert_string_equal(dk_buf_text(&words), cases[i].words ? cases[i].words : "");
  }
  /* Of one that nobody has seen all is hoped for. */
  dk_autobuf words = DK_BUF_INIT;
  record.seen_unix_ns = 0;
  assert_false(dk_needs_lacks(&host, &cases[5].need, &words));
  assert_false(dk_needs_lacks(&(struct dk_needs_host){.record = NULL}, &cases[5].need, &words));
}

static void cloud_lacks(void **state) {
  static const struct {
    struct dk_needs_of need;
    uint32_t most_gpus;
    const char *words; /* NULL: it fits */
  } cases[] = {
      {{.cpus = 1}, 9, NULL},
      {{.cpus = 8, .memory = UINT64_C(4) << 30}, 9, NULL},
      {{.cpus = 2, .gpus = 4, .memory = UINT64_C(900) << 30}, 9, NULL}, /* how much memory that one has is not known */
      {{.cpus = 9}, 9, "9 cpus, and no shape of lab has so many"},
      {{.cpus = 3, .gpus = 1}, 9, "3 cpus, 1 gpu and 0 MiB of memory, and no shape of lab has all of it"},
      {{.gpus = 5}, 9, "5 gpus, and no shape of lab has so many"},
      {{.gpus = 2}, 1, "2 gpus, and no shape of lab has so many"},
      {{.gpus = 1, .gpu = (char *)(uintptr_t) "A100"},
       9,
       "1 A100 gpu, and which gpus the machines of lab have is not known"},
      {{.cpus = 1, .gpu = (char *)(uintptr_t) "A100"}, 9, NULL},
  };
  static const struct dk_shape shapes[] = {{.name = "a", .cpus = 8, .memory = UINT64_C(4) << 30},
                                           {.name = "b", .cpus = 2, .gpus = 4}};
  struct dk_cloud_entry cloud = {.config = {.provider = "lab"}, .shapes = shapes, .n_shapes = 2};
  const struct dk_needs_host made = {.cloud = &cloud};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf words = DK_BUF_INIT;
    cloud.host.most_gpus = cases[i].most_gpus;
    assert_int_equal(dk_needs_lacks(&made, &cases[i].need, &words), cases[i].words != NULL);
    assert_string_equal(dk_buf_text(&words), cases[i].words ? cases[i].words : "");
  }
  dk_autobuf words = DK_BUF_INIT;
  cloud.n_shapes = 1;
  const struct dk_needs_of large = {.cpus = 1, .memory = UINT64_C(5) << 30};
  assert_true(dk_needs_lacks(&made, &large, &words));
  assert_string_equal(dk_buf_text(&words), "5120 MiB of memory, and no shape of lab has so much");
  cloud.n_shapes = 0; /* its kind knows them */
  assert_false(dk_needs_lacks(&made, &large, &words));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(are_joined, fx_setup, fx_teardown),
      cmocka_unit_test_setup_teardown(without_memory, fx_setup, fx_teardown),
      cmocka_unit_test(lacks),
      cmocka_unit_test(cloud_lacks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

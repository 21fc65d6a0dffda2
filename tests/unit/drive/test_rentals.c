/* Rented machines in an engine, of clouds whose answers are the test's: what an edit of the file of providers does, what
 * lists and answers are taken for, and what people are told. */
#include "tests/unit/drive/rentals_bed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* --- what an edit does --- */

static void a_provider_moves(void **state) {
  struct dk_error error;
  (void)state;
  edit(CLOUD("lab", "here", ""));
  start_engine();
  make_one();
  stop_engine();
  edit(CLOUD("lab", "there", ""));
  start_engine();
  rest(10);
  assert_true(has_said("lab: it is elsewhere now, and 1 machine of it may still be at here"));
  struct call list = take(DK_CLOUD_LIST);
  assert_string_equal(list.cloud->where, "there");
  answer(&list, (struct dk_cloud_result){.is_complete = true});
  assert_int_equal(release("lab-1", &error), -EHOSTUNREACH);
  assert_non_null(strstr(error.text, "at here: nobody can be asked there\nhelp: "));
  assert_int_equal(release("lab", &error), -EHOSTUNREACH);
  assert_int_equal(release(NULL, &error), -EHOSTUNREACH);
  assert_int_equal(release("lub", &error), -ENOENT);
  assert_int_equal(dk_engine_n_rented(bed.engine), 0); /* that it could wait for */
  assert_true(dk_engine_has_released(bed.engine));
  assert_string_equal(rented(1)->where, "here");
  /* It is put back, and given back. */
  edit(CLOUD("lab", "here", ""));
  assert_int_equal(reload(), 0);
  assert_int_equal(dk_engine_n_rented(bed.engine), 1);
  assert_int_equal(release("lab", &error), 0);
  struct call gone = take(DK_CLOUD_DELETE);
  assert_string_equal(gone.id, "i-1");
  assert_string_equal(gone.cloud->where, "here");
}

/* While the engine lives the old place can still be asked: what is there goes as if nobody named it. */
static void it_moves_meanwhile(void **state) {
  (void)state;
  edit(CLOUD("lab", "here", ""));
  start_engine();
  make_one();
  edit(CLOUD("lab", "there", ""));
  assert_int_equal(reload(), 0);
  assert_true(has_said("lab: no file of providers names it as it was: what it has at here (1 machine) goes when"));
  assert_false(has_said("nobody can be asked"));
  struct call gone = take(DK_CLOUD_DELETE);
  assert_string_equal(gone.cloud->where, "here");
}

static void a_removed_provider(void **state) {
  struct dk_error error;
  (void)state;
  edit(CLOUD("lab", "here", ""));
  start_engine();
  make_one();
  stop_engine();
  edit(CLOUD("other", "here", ""));
  start_engine();
  rest(10);
  assert_true(has_said("lab: no file of providers names it now, and 1 machine of it may still be at here"));
  assert_int_equal(release("lab", &error), -EHOSTUNREACH);
  assert_int_equal(release("lab-1", &error), -EHOSTUNREACH);
}

/* Of two clouds the second one cannot be opened: the first is as it was, also in the answer to a run. */
static void a_failed_edit(void **state) {
  (void)state;
  edit(CLOUD("lab", "here", "") CLOUD("two", "here", ""));
  start_engine();
  make_one();
  const struct dk_cloud_entry *was = bed.engine->rentals->pools[0]->entry;
  uint32_t n_was = n_opened;
  edit(CLOUD("lab", "there", "idle = 10s") CLOUD("two", "nowhere", ""));
  assert_int_equal(reload(), -ENOENT);
  assert_int_equal(n_opened, n_was);
  assert_ptr_equal(bed.engine->rentals->pools[0]->entry, was);
  assert_true(dk_rentals_are_applied(bed.engine->rentals, &bed.hosts));
  assert_int_equal(rented(1)->state, DK_RENT_MADE);
  edit(CLOUD("lab", "here", "idle = 10s") CLOUD("two", "here", ""));
  assert_int_equal(reload(), 0);
  assert_ptr_not_equal(bed.engine->rentals->pools[0]->entry, was);
}

static void the_order_changes(void **state) {
  (void)state;
  edit(CLOUD("lab", "here", "") CLOUD("two", "here", ""));
  start_engine();
  edit(CLOUD("two", "here", "") CLOUD("lab", "here", ""));
  assert_int_equal(reload(), 0);
  want(1);
  take(DK_CLOUD_CREATE);
  assert_string_equal(rented(1)->pool, "two");
}

/* A pool that is stopped stays so while nobody edits the file, and is tried again then. */
static void a_barred_pool(void **state) {
  (void)state;
  edit(CLOUD("lab", "here", ""));
  start_engine();
  make_one();
  struct call list = take(DK_CLOUD_LIST);
  const uint8_t *store = bed.engine->store_id;
  struct dk_instance instance = {
      .name = "n", .id = "i-1", .address = "192.0.2.1", .state = DK_INSTANCE_RUNNING, .words = ""};
  memcpy(instance.store, store, sizeof instance.store);
  answer(&list, (struct dk_cloud_result){.instances = &instance, .n_instances = 1, .is_complete = true});
  rest(10);
  struct dk_rental *machine = dk_rentals_machine(bed.engine->rentals, 1);
  assert_non_null(machine);
  assert_non_null(machine->host);
  dk_rentals_bar(bed.engine->rentals, machine->host);
  rest(10);
  assert_false(dk_rentals_are_open(bed.engine->rentals));
  assert_int_equal(reload(), 0);
  assert_false(dk_rentals_are_open(bed.engine->rentals));
  assert_string_equal(dk_rentals_barred(bed.engine->rentals), "lab");
  edit(CLOUD("lab", "here", ""));
  assert_int_equal(reload(), 0);
  assert_true(dk_rentals_are_open(bed.engine->rentals));
}

static void a_refused_pool(void **state) {
  (void)state;
  edit(CLOUD("lab", "here", ""));
  start_engine();
  want(1);
  struct call call = take(DK_CLOUD_CREATE);
  answer(&call, (struct dk_cloud_result){.failure = DK_CLOUD_DENIED, .error = {-EACCES, "lab: who are you?"}});
  rest(10);
  assert_true(has_said("lab: no machines are made until its credentials are mended"));
  struct dk_cloud *cloud = bed.engine->rentals->pools[0]->cloud;
  assert_int_equal(reload(), 0);
  want(1);
  assert_ptr_equal(bed.engine->rentals->pools[0]->cloud, cloud);
  assert_int_equal(dk_rent_count(bed.engine->rentals->rent, 0), 0);
  edit(CLOUD("lab", "here", ""));
  assert_int_equal(reload(), 0);
  want(1);
  assert_int_equal(dk_rent_count(bed.engine->rentals->rent, 0), 1);
}

/* --- what is heard --- */

/* The last event that waits for engine/rent. */
static const struct dk_rent_event *last_told(void) {
  assert_true(bed.engine->rentals->n_queue > 0);
  return &bed.engine->rentals->queue[bed.engine->rentals->n_queue - 1].event;
}

static void rows_that_do_not_fit(void **state) {
  char text[200];
  (void)state;
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  struct dk_instance rows[] = {{.name = text, .id = "i-7", .address = "", .words = ""},
                               {.name = "n", .id = text, .address = "", .words = ""},
                               {.name = "n", .id = "", .address = "", .words = ""}};
  edit(CLOUD("lab", "here", ""));
  for (uint32_t i = 0; i < 3; i++) { /* a name that is too long is none of ours; without an id nothing is known */
    if (i > 0) stop_engine();
    start_engine();
    struct call list = take(DK_CLOUD_LIST);
    answer(&list, (struct dk_cloud_result){.instances = &rows[i], .n_instances = 1, .is_complete = true});
    assert_int_equal(last_told()->kind, DK_RENT_EV_LIST_END);
    assert_int_equal(last_told()->u.list_end.is_complete, i == 0);
  }
}

/* Why it failed is said, also of one whose create call broke: the list is the first to know its id. */
static void it_failed(void **state) {
  (void)state;
  edit(CLOUD("lab", "here", ""));
  start_engine();
  struct call list = take(DK_CLOUD_LIST);
  want(1);
  struct call call = take(DK_CLOUD_CREATE);
  answer(&call, (struct dk_cloud_result){.failure = DK_CLOUD_DOUBT, .error = {-EIO, "lab: it broke"}});
  rest(10);
  assert_int_equal(rented(1)->state, DK_RENT_DOUBT);
  struct dk_instance instance = {
      .name = call.name, .id = "i-1", .address = "", .state = DK_INSTANCE_FAILED, .words = "no host has 1 cpu left"};
  memcpy(instance.store, bed.engine->store_id, sizeof instance.store);
  answer(&list, (struct dk_cloud_result){.instances = &instance, .n_instances = 1, .is_complete = true});
  rest(10);
  assert_int_equal(rented(1)->state, DK_RENT_ENDING);
  assert_true(has_said("lab: no host has 1 cpu left"));
}

static void a_refused_delete(void **state) {
  struct dk_error error;
  (void)state;
  edit(CLOUD("lab", "here", ""));
  start_engine();
  struct call list = take(DK_CLOUD_LIST);
  make_one();
  answer(&list, (struct dk_cloud_result){.is_complete = false});
  assert_int_equal(release(NULL, &error), 0);
  struct call gone = take(DK_CLOUD_DELETE);
  assert_false(dk_engine_has_released(bed.engine));
  answer(&gone, (struct dk_cloud_result){.failure = DK_CLOUD_DENIED, .error = {-EACCES, "lab: it is protected"}});
  for (int i = 0; i < 5; i++) {
    rest(2);
    assert_false(dk_engine_has_released(bed.engine));
  }
  gone = take(DK_CLOUD_DELETE);
  answer(&gone, (struct dk_cloud_result){.failure = DK_CLOUD_FINE});
  for (int i = 0; i < 1000 && !dk_engine_has_released(bed.engine); i++) {
    if (is_asked(DK_CLOUD_LIST)) { /* by chance, when the refusal was long ago; its answer is waited for too */
      list = take(DK_CLOUD_LIST);
      answer(&list, (struct dk_cloud_result){.is_complete = false});
    }
    rest(10);
  }
  assert_false(is_asked(DK_CLOUD_DELETE));
  assert_true(dk_engine_has_released(bed.engine));
}

/* --- what is asked for --- */

/* What was wanted is taken back, if demand is looked at. */
static bool is_looked_at(uint64_t now_ns) {
  struct dk_rentals *rentals = bed.engine->rentals;
  rentals->has_demand = true;
  dk_rentals_look_at_demand(rentals, now_ns);
  bool is_told = !rentals->has_demand;
  rentals->has_demand = false;
  return is_told;
}

static void hosts_come_first(void **state) {
  (void)state;
  edit("provider own { kind = \"ssh\" hosts = [\"h1\"] }\n" CLOUD("lab", "here", ""));
  start_engine();
  struct dk_engine_host *host = NULL;
  for (uint32_t i = 0; i < bed.engine->n_hosts; i++)
    if (bed.engine->hosts[i]) host = bed.engine->hosts[i];
  assert_non_null(host);
  uint64_t now = dk_now_ns();
  assert_false(is_looked_at(now));
  assert_true(is_looked_at(now + UINT64_C(11) * 1000000000u));
  dk_fleet_set_state(host, DK_HOST_DOWN, "nobody is there");
  assert_true(is_looked_at(now));
  dk_fleet_set_state(host, DK_HOST_NEW, "");
  assert_false(is_looked_at(now));
  host->was_up = true;
  assert_true(is_looked_at(now));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_provider_moves, begin, end),
      cmocka_unit_test_setup_teardown(it_moves_meanwhile, begin, end),
      cmocka_unit_test_setup_teardown(a_removed_provider, begin, end),
      cmocka_unit_test_setup_teardown(a_failed_edit, begin, end),
      cmocka_unit_test_setup_teardown(the_order_changes, begin, end),
      cmocka_unit_test_setup_teardown(a_barred_pool, begin, end),
      cmocka_unit_test_setup_teardown(a_refused_pool, begin, end),
      cmocka_unit_test_setup_teardown(rows_that_do_not_fit, begin, end),
      cmocka_unit_test_setup_teardown(it_failed, begin, end),
      cmocka_unit_test_setup_teardown(a_refused_delete, begin, end),
      cmocka_unit_test_setup_teardown(hosts_come_first, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

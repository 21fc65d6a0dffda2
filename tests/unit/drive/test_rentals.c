/* Rented machines in an engine, of clouds whose answers are the test's: what an edit of the file of providers does, what
 * lists and answers are taken for, and what people are told. */
#include "engine/drive/rentals_priv.h"
#include "lang/base/alloc.h"
#include "tests/unit/drive/two_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- the cloud --- */

struct dk_cloud {
  char where[64];
};

struct call { /* under way */
  struct dk_cloud *cloud;
  enum dk_cloud_kind kind;
  char name[DK_RENT_NAME], id[DK_RENT_ID];
  dk_cloud_done_fn *done;
  void *ctx;
};
static struct call calls[32];
static uint32_t n_calls, n_opened;

static const char *setting(const struct dk_cloud_options *options, const char *name) {
  for (uint32_t i = 0; i < options->config.n_settings; i++)
    if (strcmp(options->config.settings[i].name, name) == 0) return options->config.settings[i].value;
  return "";
}

static int open_cloud(const struct dk_cloud_options *options, struct dk_cloud **ret, struct dk_error *error) {
  if (strcmp(setting(options, "at"), "nowhere") == 0) return dk_error_set(error, -ENOENT, "there is no such place");
  *ret = dk_calloc(1, sizeof **ret);
  assert_non_null(*ret);
  snprintf((*ret)->where, sizeof(*ret)->where, "%s", setting(options, "at"));
  n_opened++;
  return 0;
}

static const char *where(const struct dk_cloud *cloud) {
  return cloud->where;
}

static void close_cloud(struct dk_cloud *cloud) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < n_calls; i++)
    if (calls[i].cloud != cloud) calls[n++] = calls[i];
  n_calls = n;
  n_opened--;
  dk_free(cloud);
}

static int start(struct dk_cloud *cloud, const struct dk_cloud_order *order, dk_cloud_done_fn *done, void *ctx,
                 struct dk_error *error) {
  (void)error;
  assert_true(n_calls < sizeof calls / sizeof *calls);
  struct call *call = &calls[n_calls++];
  *call = (struct call){.cloud = cloud, .kind = order->kind, .done = done, .ctx = ctx};
  if (order->name) snprintf(call->name, sizeof call->name, "%s", order->name);
  if (order->id) snprintf(call->id, sizeof call->id, "%s", order->id);
  return 0;
}

static uint64_t deadline(const struct dk_cloud *cloud) {
  (void)cloud;
  return UINT64_MAX;
}

static void tick(struct dk_cloud *cloud, uint64_t now_ns) {
  (void)cloud, (void)now_ns;
}

static int dial(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error) {
  (void)options, (void)error; /* it does not come to an end */
  *ret = NULL;
  return 0;
}
static const char *why(struct dk_dial *dialling) {
  (void)dialling;
  return NULL;
}
static void hang_up(struct dk_dial *dialling) {
  (void)dialling;
}

static const struct dk_schema_field fields[] = {{"at", DK_KIND_TEXT, true, false, "a place", "where"}};
static const struct dk_schema schema = {"a provider of kind `far`", fields, 1};
static const struct dk_cloud_provider far_cloud = {.lag_ns = 1,
                                                   .open = open_cloud,
                                                   .where = where,
                                                   .close = close_cloud,
                                                   .start = start,
                                                   .deadline = deadline,
                                                   .tick = tick};
const struct dk_provider dk_providers[] = {
    {.kind = "local", .dial = dial, .why = why, .hang_up = hang_up},
    {.kind = "ssh", .is_remote = true, .dial = dial, .why = why, .hang_up = hang_up},
    {.kind = "far",
     .schema = &schema,
     .is_remote = true,
     .cloud = &far_cloud,
     .dial = dial,
     .why = why,
     .hang_up = hang_up},
    {.kind = NULL},
};

/* --- the engine --- */

static struct {
  struct dk_folder folder;
  struct dk_loop *loop;
  struct dk_hosts hosts;
  struct dk_engine *engine;
  uint64_t until;
  char said[8192];
} bed;

static void on_note(void *ctx, uint32_t run, const struct dk_engine_note *note) {
  (void)ctx, (void)run, (void)note;
}
static void on_ended(void *ctx, uint32_t run, enum dk_run_state state) {
  (void)ctx, (void)run, (void)state;
}
static void on_say(void *ctx, const char *text) {
  (void)ctx;
  size_t len = strlen(bed.said);
  snprintf(bed.said + len, sizeof bed.said - len, "%s\n", text);
}
static void on_where(void *ctx, uint32_t slots, const char *text) {
  (void)ctx, (void)slots, (void)text;
}
static uint64_t on_tick(void *ctx, uint64_t now_ns) {
  (void)ctx;
  if (bed.engine && now_ns >= bed.until) dk_engine_wake(bed.engine);
  return now_ns + 2000000;
}

static void start_engine(void) {
  static char root[256];
  snprintf(root, sizeof root, "%s", at("repo"));
  const struct dk_engine_options options = {.folder = &bed.folder,
                                            .root = root,
                                            .hosts = &bed.hosts,
                                            .agent_program = "/bin/true",
                                            .loop = bed.loop,
                                            .observer = {NULL, on_note, on_ended, on_say, on_where, on_tick}};
  struct dk_error error = {0};
  if (dk_hosts_load(root, &bed.hosts, &error) < 0) fail_msg("%s", error.text);
  if (dk_engine_create(&options, &bed.engine, &error) < 0) fail_msg("%s", error.text);
}

static void stop_engine(void) {
  dk_engine_destroy(bed.engine);
  bed.engine = NULL;
  dk_hosts_finish(&bed.hosts);
  assert_int_equal(n_opened, 0);
}

static void rest(uint64_t ms) {
  struct dk_error error = {0};
  bed.until = dk_now_ns() + ms * 1000000;
  while (dk_now_ns() < bed.until)
    if (dk_engine_turn(bed.engine, &error) < 0) fail_msg("%s", error.text);
}

static int begin(void **state) {
  set_up(state);
  bed.said[0] = 0;
  n_calls = n_opened = 0;
  assert_int_equal(dk_folder_open(at("repo"), "test", &bed.folder, NULL), 0);
  return dk_loop_create(&bed.loop, NULL);
}

static int end(void **state) {
  stop_engine();
  dk_loop_destroy(bed.loop);
  dk_folder_close(&bed.folder);
  return tear_down(state);
}

/* One file of providers; a cloud in it: lab, at a place. */
#define CLOUD(name, place, more)                                                                                       \
  "provider " name " { kind = \"far\" at = \"" place "\" image = \"i\" max_instances = 2 "                             \
  "shapes = [{ name = \"s\" cpus = 1 }] " more " }\n"
static void edit(const char *text) {
  static unsigned n; /* each is of another size, so that its stamp is another */
  dk_autobuf file = DK_BUF_INIT;
  dk_buf_printf(&file, "%s#%*s\n", text, (int)(++n % 100), "");
  put("config/dkrun/providers.dk", dk_buf_text(&file));
}

static const struct dk_rented *rented(uint32_t number) {
  return dk_rent_find(bed.engine->rentals->rent, number);
}

/* Takes the first call of the kind out of those that are under way, waiting for it: after a refusal by chance up to 10 s
 * (dk_rent_backoff). */
static struct call take(enum dk_cloud_kind kind) {
  for (int i = 0; i < 6000; i++) {
    for (uint32_t k = 0; k < n_calls; k++) {
      if (calls[k].kind != kind) continue;
      struct call call = calls[k];
      calls[k] = calls[--n_calls];
      return call;
    }
    rest(5);
  }
  fail_msg("no call of kind %d", kind);
  return calls[0];
}

static bool is_asked(enum dk_cloud_kind kind) {
  for (uint32_t k = 0; k < n_calls; k++)
    if (calls[k].kind == kind) return true;
  return false;
}

static void answer(const struct call *call, struct dk_cloud_result result) {
  call->done(call->ctx, &result);
}

static void want(uint32_t n) {
  const struct dk_rent_need need = {.cpus = 1, .n = n};
  struct dk_rent_event event = {.kind = DK_RENT_EV_DEMAND};
  event.u.demand.needs = &need;
  event.u.demand.n = 1;
  dk_rentals_tell(bed.engine->rentals, &event);
  rest(10);
}

/* A machine that the cloud has made, by the id "i-1". */
static void make_one(void) {
  want(1);
  struct call call = take(DK_CLOUD_CREATE);
  answer(&call, (struct dk_cloud_result){.id = "i-1"});
  rest(10);
  assert_int_equal(rented(1)->state, DK_RENT_MADE);
}

static bool has_said(const char *text) {
  return strstr(bed.said, text) != NULL;
}

static int reload(void) {
  struct dk_error error = {0};
  int r = dk_fleet_reload(bed.engine, &error);
  if (r < 0) on_say(NULL, error.text);
  rest(10);
  return r;
}

static int release(const char *name, struct dk_error *error) {
  *error = (struct dk_error){.code = 0};
  int r = dk_engine_release(bed.engine, name, false, error);
  rest(10);
  return r;
}

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

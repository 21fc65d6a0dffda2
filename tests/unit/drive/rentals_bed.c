/* See rentals_bed.h. */
#include "tests/unit/drive/rentals_bed.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- the cloud --- */

static struct call calls[32];
static uint32_t n_calls;
uint32_t n_opened;

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
  if (order->image) snprintf(call->image, sizeof call->image, "%s", order->image);
  if (order->recipe) snprintf(call->recipe, sizeof call->recipe, "%s", order->recipe);
  call->is_image_id = order->is_image_id;
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

/* --- shells --- */

struct dk_shell *shell;

static int open_shell(const struct dk_shell_options *options, struct dk_shell **ret, struct dk_error *error) {
  (void)error;
  assert_null(shell);
  *ret = shell = dk_calloc(1, sizeof *shell);
  assert_non_null(shell);
  shell->with = *options;
  snprintf(shell->script, sizeof shell->script, "%s", options->script);
  return 0;
}

static void close_shell(struct dk_shell *closed) {
  if (!closed) return;
  assert_ptr_equal(closed, shell);
  shell = NULL;
  dk_free(closed);
}

struct dk_shell *take_shell(void) {
  for (int i = 0; i < 6000 && !shell; i++) rest(5);
  if (!shell) fail_msg("no shell");
  return shell;
}

/* --- providers --- */

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
     .hang_up = hang_up,
     .shell = open_shell,
     .close_shell = close_shell},
    {.kind = NULL},
};

/* --- the engine --- */

struct bed bed;

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

void start_engine(void) {
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

void stop_engine(void) {
  dk_engine_destroy(bed.engine);
  bed.engine = NULL;
  dk_hosts_finish(&bed.hosts);
  assert_int_equal(n_opened, 0);
}

void rest(uint64_t ms) {
  struct dk_error error = {0};
  bed.until = dk_now_ns() + ms * 1000000;
  while (dk_now_ns() < bed.until)
    if (dk_engine_turn(bed.engine, &error) < 0) fail_msg("%s", error.text);
}

int begin(void **state) {
  set_up(state);
  bed.said[0] = 0;
  n_calls = n_opened = 0;
  assert_int_equal(dk_folder_open(at("repo"), "test", &bed.folder, NULL), 0);
  return dk_loop_create(&bed.loop, NULL);
}

int end(void **state) {
  stop_engine();
  dk_loop_destroy(bed.loop);
  dk_folder_close(&bed.folder);
  return tear_down(state);
}

void edit(const char *text) {
  static unsigned n; /* each is of another size, so that its stamp is another */
  dk_autobuf file = DK_BUF_INIT;
  dk_buf_printf(&file, "%s#%*s\n", text, (int)(++n % 100), "");
  put("config/dkrun/providers.dk", dk_buf_text(&file));
}

const struct dk_rented *rented(uint32_t number) {
  return dk_rent_find(bed.engine->rentals->rent, number);
}

struct call take(enum dk_cloud_kind kind) {
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

bool is_asked(enum dk_cloud_kind kind) {
  for (uint32_t k = 0; k < n_calls; k++)
    if (calls[k].kind == kind) return true;
  return false;
}

void answer(const struct call *call, struct dk_cloud_result result) {
  call->done(call->ctx, &result);
}

void want(uint32_t n) {
  const struct dk_rent_need need = {.cpus = 1, .n = n};
  struct dk_rent_event event = {.kind = DK_RENT_EV_DEMAND};
  event.u.demand.needs = &need;
  event.u.demand.n = 1;
  dk_rentals_tell(bed.engine->rentals, &event);
  rest(10);
}

void make_one(void) {
  want(1);
  struct call call = take(DK_CLOUD_CREATE);
  answer(&call, (struct dk_cloud_result){.id = "i-1"});
  rest(10);
  assert_int_equal(rented(1)->state, DK_RENT_MADE);
}

bool has_said(const char *text) {
  return strstr(bed.said, text) != NULL;
}

int reload(void) {
  struct dk_error error = {0};
  int r = dk_fleet_reload(bed.engine, &error);
  if (r < 0) on_say(NULL, error.text);
  rest(10);
  return r;
}

int release(const char *name, struct dk_error *error) {
  *error = (struct dk_error){.code = 0};
  int r = dk_engine_release(bed.engine, name, false, error);
  rest(10);
  return r;
}

/* LXD's driver without a server: which request follows from which answer, and what a call comes to. Answers are those
 * that LXD gave (tests/data/lxd), or else are written here. */
#include "providers/lxd/lxd.h"

#include "lang/base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STORE "0123456789abcdef0123456789abcdef"
#define FAILED(words) "200 {\"type\":\"sync\",\"metadata\":{\"id\":\"x\",\"status_code\":400,\"err\":\"" words "\"}}"

static struct dk_cloud_site site;
static struct dk_cloud_work work;

static void begin(enum dk_cloud_kind kind) {
  static const struct dk_cloud_setting setting = {"socket", "/nowhere"};
  const struct dk_cloud_config config = {.provider = "lab", .settings = &setting, .n_settings = 1};
  static const struct dk_shape shape = {.name = "small", .cpus = 2, .memory = 1 << 30};
  struct dk_error error = {0};

  site = (struct dk_cloud_site){.provider = "lab", .store = STORE, .owner = "anna@desk:/exp"};
  site.own = dk_calloc(1, dk_lxd_driver.site_size);
  assert_int_equal(dk_lxd_driver.open(&site, &config, &error), 0);
  work = (struct dk_cloud_work){
      .site = &site,
      .order = {
          .kind = kind, .name = "m1", .id = "m1", .image = "debian/12", .shape = &shape, .user_data = "#!/bin/sh\n"}};
  work.own = dk_calloc(1, dk_lxd_driver.work_size);
}

static void end(void) {
  dk_cloud_ask(&work, NULL, NULL, DK_HTTP_ONCE);
  dk_cloud_texts_finish(&work.texts);
  dk_free(work.instances);
  dk_free(work.images);
  dk_free(work.own);
  dk_cloud_texts_finish(&site.texts);
  dk_free(site.own);
}

/* NAME.STATUS of a recording, or "STATUS BODY". */
static struct dk_http_answer answer_of(const char *said, char *body, size_t size) {
  struct dk_http_answer answer = {
      .label = "lab: create m1", .body = body, .request_id = "", .elsewhere = "", .host = "lxd"};
  char path[400];

  if (strchr(said, ' ')) {
    answer.status = atoi(said);
    snprintf(body, size, "%s", strchr(said, ' ') + 1);
  } else {
    snprintf(path, sizeof path, "%s/lxd/%s.json", DK_TEST_DATA, said);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s", path);
    body[fread(body, 1, size - 1, file)] = '\0';
    fclose(file);
    answer.status = atoi(strchr(said, '.') + 1);
  }
  answer.body_len = strlen(body);
  return answer;
}

struct turn {
  const char *method, *path; /* of the request: its beginning */
  const char *said;
};

/* As the runner does: what acts may have, unless it was refused. */
static void go_through(const struct turn *turns) {
  static char body[1 << 16];
  enum dk_cloud_turn next = dk_lxd_driver.step(&work, NULL);

  for (; turns->method; turns++) {
    if (next != DK_CLOUD_ASKS) fail_msg("over before %s %s: %s", turns->method, turns->path, work.result.error.text);
    assert_string_equal(work.ask.method, turns->method);
    if (strncmp(dk_buf_text(&work.ask.path), turns->path, strlen(turns->path)) != 0)
      fail_msg("%s is not %s", dk_buf_text(&work.ask.path), turns->path);
    bool is_reading = strcmp(turns->method, "GET") == 0;
    assert_int_equal(work.ask.class, is_reading ? DK_HTTP_IDEMPOTENT : DK_HTTP_ONCE);
    struct dk_http_answer answer = answer_of(turns->said, body, sizeof body);
    if (!is_reading && (answer.status < 300 || answer.status >= 500)) work.has_acted = true;
    next = dk_lxd_driver.step(&work, &answer);
  }
  if (next != DK_CLOUD_OVER)
    fail_msg("not over after %s, but: %s %s", turns[-1].said, work.ask.method, dk_buf_text(&work.ask.path));
}

#define MAKE "POST", "/1.0/instances?project=default"
#define WAIT "GET", "/1.0/operations/"
#define LOOK "GET", "/1.0/instances/m1?"
#define SET "PUT", "/1.0/instances/m1/state?"
#define REMOVE "DELETE", "/1.0/instances/m1?"
#define PROJECT "GET", "/1.0/projects/default"
#define LISTS "GET", "/1.0/instances?recursion=2&project=default"

static void create(void **state) {
  static const struct {
    struct turn turns[9];
    enum dk_cloud_failure failure;
    bool has_acted; /* of those that failed */
    const char *words;
  } wanted[] = {
      {{{MAKE, "create.202"},
        {WAIT, "wait_short.200"},
        {WAIT, "create_wait.200"},
        {SET, "start.202"},
        {WAIT, "start_wait.200"}},
       DK_CLOUD_FINE,
       true,
       ""},
      /* Refused at once; by an operation. */
      {{{MAKE, "create_no_image.404"}}, DK_CLOUD_BAD, false, "Image alias not found"},
      {{{MAKE, "create_no_profile.500"}}, DK_CLOUD_BAD, false, "Requested profile"},
      {{{MAKE, "create_quota.500"}}, DK_CLOUD_QUOTA, false, "Reached maximum number of instances"},
      {{{MAKE, "instances_untrusted.403"}}, DK_CLOUD_DENIED, false, "not authorized"},
      {{{MAKE, "create.202"}, {WAIT, "create_full_wait.200"}}, DK_CLOUD_CAPACITY, false, "No space left"},
      {{{MAKE, "create.202"}, {WAIT, "create_no_pool_wait.200"}}, DK_CLOUD_BAD, false, "Storage pool not found"},
      /* Nobody knows what a gateway's words are worth, or a page. */
      {{{MAKE, "502 <html>Bad Gateway</html>"}}, DK_CLOUD_TRANSIENT, true, "status 502"},
      {{{MAKE, "500 {\"error\":\"whatever\"}"}}, DK_CLOUD_TRANSIENT, true, "whatever"},
      {{{MAKE, "200 <html>Log in</html>"}}, DK_CLOUD_TRANSIENT, true, "not JSON"},
      {{{MAKE, "503 LXD daemon is shutting down"}}, DK_CLOUD_TRANSIENT, true, "503"},
      /* It is there already: ours goes on, another's does not. */
      {{{MAKE, "create_twice.202"}, {WAIT, "create_twice_wait.200"}, {LOOK, "instance.200"}}, DK_CLOUD_FINE, true, ""},
      {{{MAKE, "create_twice.202"},
        {WAIT, "create_twice_wait.200"},
        {LOOK,
         "200 {\"type\":\"sync\",\"metadata\":{\"name\":\"m1\",\"status_code\":103,\"config\":{\"user.dkrun.store\":"
         "\"ffffffffffffffffffffffffffffffff\"}}}"}},
       DK_CLOUD_BAD,
       false,
       "not this store's"},
      {{{MAKE, "create_twice.202"}, {WAIT, "create_twice_wait.200"}, {LOOK, "instance_gone.404"}},
       DK_CLOUD_TRANSIENT,
       false,
       "already exists"},
      /* An operation that is forgotten, or that failed somehow: it is looked at. */
      {{{MAKE, "create.202"}, {WAIT, "wait_unknown.404"}, {LOOK, "instance_gone.404"}},
       DK_CLOUD_TRANSIENT,
       false,
       "Operation not found"},
      {{{MAKE, "create.202"},
        {WAIT, FAILED("whatever")},
        {LOOK,
         "200 {\"type\":\"sync\",\"metadata\":{\"name\":\"m1\",\"status_code\":102,\"config\":{\"user.dkrun.store\":"
         "\"" STORE "\"}}}"},
        {SET, "start.202"},
        {WAIT, "start_wait.200"}},
       DK_CLOUD_FINE,
       true,
       ""},
      {{{MAKE, "create.202"}, {WAIT, FAILED("whatever")}, {LOOK, "502 <html>"}}, DK_CLOUD_TRANSIENT, true, "502"},
      {{{MAKE, "create.202"},
        {WAIT, FAILED("whatever")},
        {LOOK, "200 {\"type\":\"sync\",\"metadata\":{\"name\":\"m1\",\"status_code\":112,\"config\":null}}"}},
       DK_CLOUD_DOUBT,
       true,
       "whatever"},
      /* It runs already; its start is forgotten, and it runs. */
      {{{MAKE, "create.202"}, {WAIT, "create_wait.200"}, {SET, "start_twice.202"}, {WAIT, "start_twice_wait.200"}},
       DK_CLOUD_FINE,
       true,
       ""},
      {{{MAKE, "create.202"},
        {WAIT, "create_wait.200"},
        {SET, "start.202"},
        {WAIT, "wait_unknown.404"},
        {LOOK, "instance.200"}},
       DK_CLOUD_FINE,
       true,
       ""},
      /* It cannot be started: then it goes, or is deleted, or nobody knows. */
      {{{MAKE, "create.202"},
        {WAIT, "create_wait.200"},
        {SET, "start.202"},
        {WAIT, FAILED("Cannot allocate memory")},
        {REMOVE, "instance_gone.404"}},
       DK_CLOUD_CAPACITY,
       false,
       "Cannot allocate memory"},
      {{{MAKE, "create.202"},
        {WAIT, "create_wait.200"},
        {SET, "start.202"},
        {WAIT, FAILED("no such program")},
        {REMOVE, "delete.202"},
        {WAIT, "delete_wait.200"}},
       DK_CLOUD_TRANSIENT,
       false,
       "no such program"},
      {{{MAKE, "create.202"},
        {WAIT, "create_wait.200"},
        {SET, "start.202"},
        {WAIT, FAILED("no such program")},
        {REMOVE, "500 {\"error\":\"whatever\"}"}},
       DK_CLOUD_TRANSIENT,
       true,
       "no such program"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    begin(DK_CLOUD_CREATE);
    go_through(wanted[i].turns);
    if (work.result.failure != wanted[i].failure || work.has_acted != wanted[i].has_acted)
      fail_msg("%zu: failure %d, acted %d: %s", i, work.result.failure, work.has_acted, work.result.error.text);
    if (!strstr(work.result.error.text, wanted[i].words)) fail_msg("%zu: %s", i, work.result.error.text);
    if (wanted[i].failure == DK_CLOUD_FINE) assert_string_equal(work.result.id, "m1");
    end();
  }
}

static void what_a_machine_is(void **state) {
  (void)state;
  begin(DK_CLOUD_CREATE);
  assert_int_equal(dk_lxd_driver.step(&work, NULL), DK_CLOUD_ASKS);
  const char *body = dk_buf_text(&work.ask.body);
  assert_non_null(strstr(body, "\"ephemeral\":true"));
  assert_non_null(strstr(body, "\"user.dkrun.store\":\"" STORE "\""));
  assert_non_null(strstr(body, "\"user.dkrun.owner\":\"anna@desk:/exp\""));
  assert_non_null(strstr(body, "\"limits.cpu\":\"2\",\"limits.memory\":\"1073741824B\""));
  assert_non_null(strstr(body, "\"profiles\":[\"default\"]"));
  assert_non_null(strstr(body, "#!/bin/sh"));
  end();
}

static void delete (void **state) {
  static const struct {
    struct turn turns[9];
    enum dk_cloud_failure failure;
    bool is_absent;
    uint64_t wait_ns; /* before the last request */
  } wanted[] = {
      {{{PROJECT, "keep.200"}, {SET, "stop.202"}, {WAIT, "stop_wait.200"}, {REMOVE, "instance_gone.404"}},
       DK_CLOUD_FINE,
       false,
       0},
      {{{PROJECT, "keep.200"},
        {SET, "stop_twice.202"},
        {WAIT, "stop_twice_wait.200"},
        {REMOVE, "delete.202"},
        {WAIT, "delete_wait.200"}},
       DK_CLOUD_FINE,
       false,
       0},
      {{{PROJECT, "keep.200"}, {SET, "stop_unknown.404"}}, DK_CLOUD_FINE, true, 0},
      /* What is not there is not said of the machine, or not by LXD. */
      {{{PROJECT, "create_no_project.404"}}, DK_CLOUD_BAD, false, 0},
      {{{PROJECT, "keep.200"}, {SET, "404 <html>Not Found</html>"}}, DK_CLOUD_BAD, false, 0},
      {{{PROJECT, "instances_untrusted.403"}}, DK_CLOUD_DENIED, false, 0},
      /* Forgotten, and busy: again. */
      {{{PROJECT, "keep.200"}, {SET, "stop.202"}, {WAIT, "wait_unknown.404"}, {SET, "stop_unknown.404"}},
       DK_CLOUD_FINE,
       true,
       0},
      {{{PROJECT, "keep.200"},
        {SET, "stop.202"},
        {WAIT, "stop_wait.200"},
        {REMOVE, "500 {\"error\":\"Instance is busy running a \\\"stop\\\" operation\"}"},
        {REMOVE, "instance_gone.404"}},
       DK_CLOUD_FINE,
       false,
       500000000},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    begin(DK_CLOUD_DELETE);
    go_through(wanted[i].turns);
    if (work.result.failure != wanted[i].failure) fail_msg("%zu: %s", i, work.result.error.text);
    assert_int_equal(work.result.is_absent, wanted[i].is_absent);
    assert_int_equal(work.ask.wait_ns, wanted[i].wait_ns);
    end();
  }
}

static void list(void **state) {
  static const struct turn fine[] = {{PROJECT, "keep.200"}, {LISTS, "instances.200"}, {0}};
  static const struct turn hidden[] = {{PROJECT, "keep.200"},
                                       {LISTS, "200 {\"type\":\"sync\",\"metadata\":[{\"name\":\"m7\","
                                               "\"status_code\":112,\"config\":null}]}"},
                                       {0}};
  static const struct turn page[] = {{PROJECT, "keep.200"}, {LISTS, "200 <html>Log in</html>"}, {0}};
  static const struct turn missing[] = {{PROJECT, "create_no_project.404"}, {0}};
  (void)state;

  begin(DK_CLOUD_LIST);
  go_through(fine);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  assert_true(work.result.is_complete);
  assert_int_equal(work.n_instances, 2);
  const struct dk_instance *first = &work.instances[0];
  assert_string_equal(first->name, "m1");
  assert_string_equal(first->id, "m1");
  assert_memory_equal(first->address, "10.214.100.", 11);
  assert_int_equal(first->state, DK_INSTANCE_RUNNING);
  assert_true(first->made_unix > 1700000000);
  assert_int_equal(first->store[1], 0x23);
  assert_string_equal(first->owner, "anna@desk");
  assert_int_equal(work.instances[1].state, DK_INSTANCE_STOPPED);
  assert_string_equal(work.instances[1].address, "");
  end();
  begin(DK_CLOUD_LIST);
  go_through(hidden);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  assert_false(work.result.is_complete);
  end();
  begin(DK_CLOUD_LIST);
  go_through(page);
  assert_int_equal(work.result.failure, DK_CLOUD_TRANSIENT);
  end();
  begin(DK_CLOUD_LIST);
  go_through(missing);
  assert_int_equal(work.result.failure, DK_CLOUD_BAD);
  end();
}

#define KEEP "PATCH", "/1.0/instances/m1?"
#define PUBLISH "POST", "/1.0/images?"
#define IMAGES "GET", "/1.0/images?recursion=1&project=default"
#define DROP "DELETE", "/1.0/images/m1?"
#define STOPPED                                                                                                        \
  {PROJECT, "keep.200"}, {KEEP, "keep.200"}, {SET, "stop.202"}, {                                                      \
    WAIT, "stop_wait.200"                                                                                              \
  }

static void snapshot(void **state) {
  static const struct {
    struct turn turns[9];
    enum dk_cloud_failure failure;
    bool has_acted; /* of those that failed */
    const char *words;
  } wanted[] = {
      {{STOPPED, {PUBLISH, "publish.202"}, {WAIT, "publish_wait.200"}}, DK_CLOUD_FINE, true, ""},
      {{{PROJECT, "keep.200"},
        {KEEP, "keep.200"},
        {SET, "stop_twice.202"},
        {WAIT, "stop_twice_wait.200"},
        {PUBLISH, "publish.202"},
        {WAIT, "publish_wait.200"}},
       DK_CLOUD_FINE,
       true,
       ""},
      /* Before the publishing nothing is made. */
      {{{PROJECT, "create_no_project.404"}}, DK_CLOUD_BAD, false, "no project"},
      {{{PROJECT, "keep.200"}, {KEEP, "instance_gone.404"}}, DK_CLOUD_BAD, false, "Instance not found"},
      {{{PROJECT, "keep.200"}, {KEEP, "keep.200"}, {SET, "500 {\"error\":\"whatever\"}"}},
       DK_CLOUD_TRANSIENT,
       false,
       "whatever"},
      {{STOPPED, {PUBLISH, "publish.202"}, {WAIT, FAILED("No space left on device")}},
       DK_CLOUD_CAPACITY,
       false,
       "No space left"},
      {{STOPPED, {PUBLISH, "publish.202"}, {WAIT, FAILED("Image with same fingerprint already exists")}},
       DK_CLOUD_BAD,
       true,
       "already exists"},
      {{STOPPED, {PUBLISH, "publish.202"}, {WAIT, "wait_unknown.404"}},
       DK_CLOUD_TRANSIENT,
       true,
       "Operation not found"},
      {{STOPPED, {PUBLISH, "502 <html>Bad Gateway</html>"}}, DK_CLOUD_TRANSIENT, true, "502"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    begin(DK_CLOUD_SNAPSHOT);
    work.order.recipe = "abc";
    go_through(wanted[i].turns);
    if (work.result.failure != wanted[i].failure || work.has_acted != wanted[i].has_acted)
      fail_msg("%zu: failure %d, acted %d: %s", i, work.result.failure, work.has_acted, work.result.error.text);
    if (!strstr(work.result.error.text, wanted[i].words)) fail_msg("%zu: %s", i, work.result.error.text);
    if (wanted[i].failure == DK_CLOUD_FINE) assert_int_equal(strlen(work.result.id), 64);
    end();
  }
}

static void images(void **state) {
  static const struct turn fine[] = {{PROJECT, "keep.200"}, {IMAGES, "images.200"}, {0}};
  static const struct turn gone[] = {{PROJECT, "keep.200"}, {DROP, "delete_image_unknown.404"}, {0}};
  static const struct turn deleted[] = {
      {PROJECT, "keep.200"}, {DROP, "delete_image.202"}, {WAIT, "delete_image_wait.200"}, {0}};
  static const struct turn page[] = {{PROJECT, "keep.200"}, {DROP, "404 <html>Not Found</html>"}, {0}};
  (void)state;

  begin(DK_CLOUD_LIST_IMAGES);
  go_through(fine);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  assert_true(work.result.is_complete);
  assert_int_equal(work.n_images, 1);
  assert_int_equal(strlen(work.images[0].id), 64);
  assert_string_equal(work.images[0].recipe, "abc");
  assert_int_equal(work.images[0].state, DK_IMAGE_READY);
  assert_true(work.images[0].size == 32362180 && work.images[0].made_unix > 1700000000);
  end();
  begin(DK_CLOUD_DELETE_IMAGE);
  go_through(gone);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  assert_true(work.result.is_absent);
  end();
  begin(DK_CLOUD_DELETE_IMAGE);
  go_through(deleted);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  assert_false(work.result.is_absent);
  end();
  begin(DK_CLOUD_DELETE_IMAGE);
  go_through(page);
  assert_int_equal(work.result.failure, DK_CLOUD_BAD);
  end();
}

static void check(void **state) {
  static const struct turn fine[] = {{"GET", "/1.0?project=default", "server.200"},
                                     {PROJECT, "keep.200"},
                                     {"GET", "/1.0/images/aliases/debian%2F12?", "keep.200"},
                                     {"GET", "/1.0/profiles/default?", "keep.200"},
                                     {0}};
  static const struct turn untrusted[] = {{"GET", "/1.0?project=default", "server_untrusted.200"}, {0}};
  static const struct turn no_image[] = {{"GET", "/1.0?project=default", "server.200"},
                                         {PROJECT, "keep.200"},
                                         {"GET", "/1.0/images/aliases/debian%2F12?", "instance_gone.404"},
                                         {0}};
  (void)state;
  begin(DK_CLOUD_CHECK);
  go_through(fine);
  assert_string_equal(work.result.words, "lxd 5.0.2 over its socket, image debian/12, profile default");
  end();
  begin(DK_CLOUD_CHECK);
  go_through(untrusted);
  assert_int_equal(work.result.failure, DK_CLOUD_DENIED);
  end();
  begin(DK_CLOUD_CHECK);
  go_through(no_image);
  assert_int_equal(work.result.failure, DK_CLOUD_BAD);
  assert_non_null(strstr(work.result.error.text, "there is no image `debian/12` in project `default`\nhelp: "));
  end();
}

static void settings(void **state) {
  static const struct {
    struct dk_cloud_setting items[4];
    const char *words; /* NULL: fine */
  } wanted[] = {
      {{{"socket", "/x"}}, NULL},
      {{{"url", "https://lab:8443"}, {"cert", "/c"}, {"key", "/k"}}, NULL},
      {{{"url", "https://lab:8443"}, {"cert", "/c"}}, "`url` wants `cert` and `key`"},
      {{{"url", "http://lab:8443"}, {"cert", "/c"}, {"key", "/k"}}, "`url` has to begin with https://"},
      {{{"url", "https://lab:8443"}, {"socket", "/x"}}, "`url` and `socket` are two servers"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    struct dk_cloud_config config = {.provider = "lab", .settings = wanted[i].items};
    struct dk_error error = {0};
    while (config.n_settings < 4 && wanted[i].items[config.n_settings].name) config.n_settings++;
    site = (struct dk_cloud_site){.own = dk_calloc(1, dk_lxd_driver.site_size)};
    int r = dk_lxd_driver.open(&site, &config, &error);
    assert_int_equal(r == 0, wanted[i].words == NULL);
    if (wanted[i].words) assert_non_null(strstr(error.text, wanted[i].words));
    dk_cloud_texts_finish(&site.texts);
    dk_free(site.own);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(create), cmocka_unit_test(what_a_machine_is), cmocka_unit_test(delete),
      cmocka_unit_test(list),   cmocka_unit_test(snapshot),          cmocka_unit_test(images),
      cmocka_unit_test(check),  cmocka_unit_test(settings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is sent to LXD. */
#include "lang/base/alloc.h"
#include "providers/lxd/api.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct dk_lxd_ask base = {.name = "m-1", .machine.image = "debian", .script = "true", .wait_s = 30};

static void expect(const struct dk_lxd_ask *ask, const char *method, const char *path, const char *body) {
  struct dk_lxd_request request;
  struct dk_error error = {0};

  assert_int_equal(dk_lxd_request(ask, &request, &error), 0);
  assert_string_equal(request.method, method);
  assert_string_equal(dk_buf_text(&request.path), path);
  assert_string_equal(dk_buf_text(&request.body), body);
  dk_lxd_request_finish(&request);
}

static void each_call(void **state) {
  static const struct {
    const char *method, *path, *body;
  } wanted[DK_LXD_N_CALLS] = {
      [DK_LXD_SERVER] = {"GET", "/1.0", ""},
      [DK_LXD_CREATE] = {"POST", "/1.0/instances",
                         "{\"name\":\"m-1\",\"type\":\"container\",\"ephemeral\":true,"
                         "\"source\":{\"type\":\"image\",\"alias\":\"debian\"},\"config\":{}}"},
      [DK_LXD_START] = {"PUT", "/1.0/instances/m-1/state", "{\"action\":\"start\"}"},
      [DK_LXD_STOP] = {"PUT", "/1.0/instances/m-1/state", "{\"action\":\"stop\",\"force\":true}"},
      [DK_LXD_DELETE] = {"DELETE", "/1.0/instances/m-1", ""},
      [DK_LXD_EXEC] = {"POST", "/1.0/instances/m-1/exec",
                       "{\"command\":[\"/bin/sh\",\"-c\",\"true\"],\"wait-for-websocket\":false,"
                       "\"record-output\":true}"},
      [DK_LXD_WAIT] = {"GET", "/1.0/operations/m-1/wait?timeout=30", ""},
      [DK_LXD_INSTANCES] = {"GET", "/1.0/instances?recursion=2", ""},
      [DK_LXD_INSTANCE] = {"GET", "/1.0/instances/m-1", ""},
      [DK_LXD_ADDRESSES] = {"GET", "/1.0/instances/m-1/state", ""},
      [DK_LXD_KEEP] = {"PATCH", "/1.0/instances/m-1", "{\"ephemeral\":false}"},
      [DK_LXD_PUBLISH] = {"POST", "/1.0/images",
                          "{\"source\":{\"type\":\"instance\",\"name\":\"m-1\"},"
                          "\"compression_algorithm\":\"zstd\",\"properties\":{}}"},
      [DK_LXD_IMAGES] = {"GET", "/1.0/images?recursion=1", ""},
      [DK_LXD_DELETE_IMAGE] = {"DELETE", "/1.0/images/m-1", ""},
      [DK_LXD_ALIAS] = {"GET", "/1.0/images/aliases/m-1", ""},
      [DK_LXD_IMAGE] = {"GET", "/1.0/images/m-1", ""},
      [DK_LXD_PROFILE] = {"GET", "/1.0/profiles/m-1", ""},
      [DK_LXD_PROJECT] = {"GET", "/1.0/projects/m-1", ""},
  };
  (void)state;
  for (int i = 0; i < DK_LXD_N_CALLS; i++) {
    struct dk_lxd_ask ask = base;
    ask.call = (enum dk_lxd_call)i;
    expect(&ask, wanted[i].method, wanted[i].path, wanted[i].body);
  }
}

static void a_whole_machine(void **state) {
  struct dk_lxd_ask ask = {
      .call = DK_LXD_CREATE,
      .project = "lab & co",
      .name = "m-1",
      .machine = {.image = "3e39c5dbb8ebf79b077b94f631c3653098bd16d92bd225adf6905d7b1a01c61c",
                  .profile = "gpu",
                  .pool = "fast",
                  .disk = 1099511627776,
                  .memory = 536870912,
                  .cpus = 4,
                  .is_vm = true,
                  .user_data = "#!/bin/sh\necho \"\xc3\xa9\\\"\n",
                  .tags = {.store = "ab", .run = "r1", .owner = "anna@desk"}},
  };
  (void)state;
  expect(
      &ask, "POST", "/1.0/instances?project=lab%20%26%20co",
      "{\"name\":\"m-1\",\"type\":\"virtual-machine\",\"ephemeral\":true,\"source\":{\"type\":\"image\","
      "\"fingerprint\":"
      "\"3e39c5dbb8ebf79b077b94f631c3653098bd16d92bd225adf6905d7b1a01c61c\"},\"config\":{\"user.dkrun.store\":\"ab\","
      "\"user.dkrun.run\":\"r1\",\"user.dkrun.owner\":\"anna@desk\","
      "\"cloud-init.user-data\":\"#!/bin/sh\\necho \\\"\xc3\xa9\\\\\\\"\\n\",\"limits.cpu\":\"4\","
      "\"limits.memory\":\"536870912B\"},\"profiles\":[\"gpu\"],\"devices\":{\"root\":{\"type\":\"disk\",\"path\":\"/"
      "\","
      "\"pool\":\"fast\",\"size\":\"1099511627776B\"}}}");
  /* Without a pool the profile's disk stays as it is. */
  ask.machine.pool = ask.machine.profile = ask.machine.user_data = NULL;
  ask.machine.memory = 0;
  expect(
      &ask, "POST", "/1.0/instances?project=lab%20%26%20co",
      "{\"name\":\"m-1\",\"type\":\"virtual-machine\",\"ephemeral\":true,\"source\":{\"type\":\"image\","
      "\"fingerprint\":"
      "\"3e39c5dbb8ebf79b077b94f631c3653098bd16d92bd225adf6905d7b1a01c61c\"},\"config\":{\"user.dkrun.store\":\"ab\","
      "\"user.dkrun.run\":\"r1\",\"user.dkrun.owner\":\"anna@desk\",\"limits.cpu\":\"4\"}}");
}

static void queries(void **state) {
  struct dk_lxd_ask ask = {.call = DK_LXD_INSTANCES, .project = "a/../b?c=d"};
  (void)state;
  expect(&ask, "GET", "/1.0/instances?recursion=2&project=a%2F..%2Fb%3Fc%3Dd", "");
  ask = (struct dk_lxd_ask){.call = DK_LXD_WAIT, .project = "\xc3\xa9", .name = "0f13-4c", .wait_s = 1};
  expect(&ask, "GET", "/1.0/operations/0f13-4c/wait?project=%C3%A9&timeout=1", "");
}

static void expect_refused(const struct dk_lxd_ask *ask, const char *words) {
  struct dk_lxd_request request;
  struct dk_error error = {0};

  assert_int_equal(dk_lxd_request(ask, &request, &error), -EINVAL);
  assert_non_null(strstr(error.text, words));
  dk_lxd_request_finish(&request);
}

static void what_cannot_be_sent(void **state) {
  static const char *const names[] = {
      NULL,  "",      ".",        "..",   "a/b", "a?b",
      "a b", "a%2fb", "\xc3\xa9", "a\nb", "m.1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
  struct dk_lxd_ask ask = base;
  (void)state;
  for (int i = 0; i < DK_LXD_N_CALLS; i++) {
    bool is_named = i != DK_LXD_SERVER && i != DK_LXD_INSTANCES && i != DK_LXD_IMAGES && i != DK_LXD_ALIAS &&
                    i != DK_LXD_PROFILE && i != DK_LXD_PROJECT;
    ask.call = (enum dk_lxd_call)i;
    for (size_t n = 0; is_named && n < sizeof names / sizeof *names; n++) {
      ask.name = names[n];
      expect_refused(&ask, "can be no name");
    }
  }
  ask = base;
  ask.call = DK_LXD_CREATE;
  ask.machine.image = "";
  expect_refused(&ask, "no image to make m-1 of");
  ask.machine.image = "debian";
  ask.machine.user_data = "#!/bin/sh\n\xff";
  expect_refused(&ask, "UTF-8");
}

/* People name aliases and profiles; `debian/12` is one. */
static void names_by_people(void **state) {
  static const char *const names[] = {NULL, "", ".", "..", "\xff"};
  struct dk_lxd_ask ask = base;
  (void)state;
  ask.call = DK_LXD_ALIAS;
  ask.name = "debian/12 a?";
  expect(&ask, "GET", "/1.0/images/aliases/debian%2F12%20a%3F", "");
  for (size_t n = 0; n < 3 * (sizeof names / sizeof *names); n++) {
    ask.call = n % 3 == 0 ? DK_LXD_ALIAS : n % 3 == 1 ? DK_LXD_PROFILE : DK_LXD_PROJECT;
    ask.name = names[n / 3];
    expect_refused(&ask, "can be no name");
  }
}

static void without_memory(void **state) {
  struct dk_lxd_ask ask = base;
  struct dk_lxd_request request;
  int r = -ENOMEM;

  (void)state;
  ask.call = DK_LXD_CREATE;
  ask.project = "p";
  ask.machine.pool = "fast";
  ask.machine.profile = "gpu";
  ask.machine.tags.store = "ab";
  for (uint64_t n = 1; r == -ENOMEM; n++) {
    struct dk_error error = {0};
    assert_true(n < 1000);
    dk_alloc_fail_once(n);
    r = dk_lxd_request(&ask, &request, &error);
    dk_alloc_fail_at(0);
    if (r == -ENOMEM) assert_non_null(strstr(error.text, "a request to LXD"));
    /* It failed, or it is whole. */
    if (r == 0) assert_non_null(strstr(dk_buf_text(&request.body), "\"pool\":\"fast\""));
    if (r == 0) assert_non_null(strstr(dk_buf_text(&request.body), "\"profiles\":[\"gpu\"]"));
    dk_lxd_request_finish(&request);
    if (n < 5) assert_int_equal(r, -ENOMEM);
  }
  assert_int_equal(r, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_call),           cmocka_unit_test(a_whole_machine), cmocka_unit_test(queries),
      cmocka_unit_test(what_cannot_be_sent), cmocka_unit_test(names_by_people), cmocka_unit_test(without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

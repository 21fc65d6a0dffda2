/* What LXD answers: as it was recorded of LXD 5.0.2 (tests/data/lxd), and what no server should say. */
#include "lang/base/alloc.h"
#include "lang/base/buf.h"
#include "providers/lxd/api.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STORE "0123456789abcdef0123456789abcdef"

/* The body of a recorded answer, whose status is in its file's name: NAME.STATUS.json. */
static struct dk_lxd_answer load(const char *file) {
  static char body[1 << 16];
  char path[400];

  snprintf(path, sizeof path, "%s/lxd/%s.json", DK_TEST_DATA, file);
  FILE *stream = fopen(path, "rb");
  assert_non_null(stream);
  size_t len = fread(body, 1, sizeof body, stream);
  assert_true(len > 0 && len < sizeof body);
  fclose(stream);
  return (struct dk_lxd_answer){.status = atoi(strchr(file, '.') + 1), .body = body, .len = len, .label = "lab"};
}

static struct dk_lxd_answer answer_of(int status, const char *body) {
  return (struct dk_lxd_answer){.status = status, .body = body, .len = strlen(body), .label = "lab"};
}

static void operations(void **state) {
  static const struct {
    const char *file;
    bool has_ended;
    int exit_code;
  } wanted[] = {
      {"create.202", false, -1},      {"create_wait.200", true, -1}, {"start.202", false, -1},
      {"start_wait.200", true, -1},   {"stop_wait.200", true, -1},   {"exec.202", false, -1},
      {"exec_wait.200", true, 7},     {"wait_short.200", false, -1}, {"publish.202", false, -1},
      {"publish_wait.200", true, -1}, {"delete_wait.200", true, -1}, {"keep.200", true, -1},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    struct dk_lxd_answer answer = load(wanted[i].file);
    struct dk_lxd_operation operation;
    struct dk_error error = {0};
    bool is_published = strcmp(wanted[i].file, "publish_wait.200") == 0;

    assert_int_equal(dk_lxd_read_operation(&answer, &operation, &error), DK_LXD_FINE);
    assert_int_equal(operation.has_ended, wanted[i].has_ended);
    assert_int_equal(operation.exit_code, wanted[i].exit_code);
    assert_int_equal(strlen(operation.id), strcmp(wanted[i].file, "keep.200") == 0 ? 0 : 36);
    assert_int_equal(strlen(operation.fingerprint), is_published ? 64 : 0);
  }
}

static void refusals(void **state) {
  static const struct {
    const char *file;
    enum dk_lxd_reason reason;
    int code;
    const char *words;
  } wanted[] = {
      {"create_twice_wait.200", DK_LXD_EXISTS, -EEXIST, "lab: Failed creating instance record"},
      {"start_twice_wait.200", DK_LXD_EXISTS, -EEXIST, "lab: The instance is already running"},
      {"stop_twice_wait.200", DK_LXD_EXISTS, -EEXIST, "lab: The instance is already stopped"},
      {"create_no_image.404", DK_LXD_NOT_FOUND, -ENOENT, "lab: Image alias not found"},
      {"create_no_fingerprint_wait.200", DK_LXD_NOT_FOUND, -ENOENT, "lab: Image not provided"},
      {"create_no_project.404", DK_LXD_NOT_FOUND, -ENOENT, "Project not found"},
      {"create_no_pool_wait.200", DK_LXD_NOT_FOUND, -ENOENT, "Storage pool not found"},
      {"create_quota.500", DK_LXD_QUOTA, -EDQUOT, "Reached maximum number of instances in project \"small\"\nhelp: "},
      {"create_quota_memory.500", DK_LXD_QUOTA, -EDQUOT, "\"limits.memory\" in project \"small\"\nhelp: "},
      {"create_no_limit.500", DK_LXD_BAD_REQUEST, -EINVAL, "has no \"limits.memory\" config"},
      {"create_full_wait.200", DK_LXD_CAPACITY, -ENOSPC, "No space left on device FATAL ERROR: "},
      {"delete_running.400", DK_LXD_BAD_REQUEST, -EINVAL, "lab: Instance is running"},
      {"publish_running_wait.200", DK_LXD_BAD_REQUEST, -EINVAL, "running instance"},
      {"wait_unknown.404", DK_LXD_NOT_FOUND, -ENOENT, "lab: "},
      {"stop_unknown.404", DK_LXD_NOT_FOUND, -ENOENT, "lab: Instance not found"},
      {"instances_untrusted.403", DK_LXD_DENIED, -EACCES, "lab: "},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    struct dk_lxd_answer answer = load(wanted[i].file);
    struct dk_lxd_operation operation;
    struct dk_error error = {0};

    assert_int_equal(dk_lxd_read_operation(&answer, &operation, &error), wanted[i].reason);
    assert_int_equal(error.code, wanted[i].code);
    assert_non_null(strstr(error.text, wanted[i].words));
    assert_string_equal(operation.id, "");
    assert_false(operation.has_ended);
  }
}

static void servers(void **state) {
  struct dk_lxd_server server;
  struct dk_error error = {0};
  struct dk_lxd_answer answer = load("server.200");
  (void)state;

  assert_int_equal(dk_lxd_read_server(&answer, &server, &error), DK_LXD_FINE);
  assert_string_equal(server.kind, "lxd");
  assert_string_equal(server.version, "5.0.2");
  assert_true(server.has_containers && !server.has_vms && !server.is_clustered);
  answer = load("server_untrusted.200");
  assert_int_equal(dk_lxd_read_server(&answer, &server, &error), DK_LXD_DENIED);
  assert_string_equal(error.text, "lab: the server does not trust this certificate\n"
                                  "help: add it there: lxc config trust add FILE");
  assert_string_equal(server.kind, "");
  answer = answer_of(200, "{\"type\":\"sync\",\"metadata\":{\"auth\":\"trusted\",\"api_extensions\":[\"container\",7],"
                          "\"environment\":{\"server\":\"lxd\",\"server_version\":\"4.0.9\"}}}");
  assert_int_equal(dk_lxd_read_server(&answer, &server, &error), DK_LXD_BAD_REQUEST);
  assert_string_equal(error.text, "lab: LXD 4.0.9 is too old: it has to be 4.21 or later");
}

static void instances(void **state) {
  struct dk_lxd_instances list;
  struct dk_error error = {0};
  struct dk_lxd_answer answer = load("instances.200");
  (void)state;

  assert_int_equal(dk_lxd_read_instances(&answer, &list, &error), DK_LXD_FINE);
  assert_int_equal(list.n, 2);
  assert_int_equal(list.n_others, 1);
  assert_string_equal(list.items[0].name, "m1");
  assert_int_equal(strlen(list.items[0].id), 36);
  assert_int_equal(list.items[0].state, DK_LXD_RUNNING);
  assert_true(list.items[0].created > 1700000000);
  assert_string_equal(list.items[0].store, STORE);
  assert_string_equal(list.items[0].run, "r1");
  assert_string_equal(list.items[0].owner, "anna@desk");
  assert_false(list.items[0].is_hidden);
  assert_memory_equal(list.items[0].address, "10.214.100.", 11);
  assert_string_equal(list.items[1].address, "");
  assert_string_equal(list.items[1].name, "m3");
  assert_int_equal(list.items[1].state, DK_LXD_STOPPED);
  assert_string_equal(list.items[1].owner, "eve\xe2\x80\xae\"\\");
  dk_lxd_instances_finish(&list);
  answer = load("instances_none.200");
  assert_int_equal(dk_lxd_read_instances(&answer, &list, &error), DK_LXD_FINE);
  assert_int_equal(list.n + list.n_others, 0);
  dk_lxd_instances_finish(&list);
  answer = load("instance.200");
  assert_int_equal(dk_lxd_read_instances(&answer, &list, &error), DK_LXD_FINE);
  assert_int_equal(list.n, 1);
  assert_string_equal(list.items[0].name, "m1");
  dk_lxd_instances_finish(&list);
  answer = load("instance_gone.404");
  assert_int_equal(dk_lxd_read_instances(&answer, &list, &error), DK_LXD_NOT_FOUND);
}

/* lxd/instances_get.go, resultListAppend: of one on a member that does not answer only this is said. */
static void hidden_instances(void **state) {
  struct dk_lxd_instances list;
  struct dk_lxd_answer answer =
      answer_of(200, "{\"type\":\"sync\",\"metadata\":[{\"architecture\":\"\",\"config\":null,\"devices\":null,"
                     "\"created_at\":\"0001-01-01T00:00:00Z\",\"name\":\"m7\",\"status\":\"Error\",\"status_code\":112,"
                     "\"location\":\"node2\"}]}");
  (void)state;
  assert_int_equal(dk_lxd_read_instances(&answer, &list, NULL), DK_LXD_FINE);
  assert_int_equal(list.n, 1);
  assert_true(list.items[0].is_hidden);
  assert_int_equal(list.items[0].state, DK_LXD_OTHER);
  assert_int_equal(list.items[0].created, 0);
  dk_lxd_instances_finish(&list);
}

static void states(void **state) {
  static const struct {
    int code;
    enum dk_lxd_state state;
  } wanted[] = {{101, DK_LXD_RUNNING},  {102, DK_LXD_STOPPED},  {103, DK_LXD_RUNNING}, {106, DK_LXD_STARTING},
                {107, DK_LXD_STOPPING}, {108, DK_LXD_STOPPING}, {110, DK_LXD_FROZEN},  {111, DK_LXD_RUNNING},
                {112, DK_LXD_OTHER},    {113, DK_LXD_RUNNING},  {0, DK_LXD_OTHER},     {-1, DK_LXD_OTHER}};
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    struct dk_lxd_addresses addresses;
    char body[100];
    snprintf(body, sizeof body, "{\"type\":\"sync\",\"metadata\":{\"status_code\":%d}}", wanted[i].code);
    struct dk_lxd_answer answer = answer_of(200, body);
    assert_int_equal(dk_lxd_read_addresses(&answer, &addresses, NULL), DK_LXD_FINE);
    assert_int_equal(addresses.state, wanted[i].state);
    assert_int_equal(addresses.n, 0);
  }
}

static void addresses(void **state) {
  struct dk_lxd_addresses found;
  struct dk_error error = {0};
  struct dk_lxd_answer answer = load("addresses.200");
  (void)state;

  assert_int_equal(dk_lxd_read_addresses(&answer, &found, &error), DK_LXD_FINE);
  assert_int_equal(found.state, DK_LXD_RUNNING);
  assert_int_equal(found.n, 1);
  assert_string_equal(found.items[0].card, "eth0");
  assert_memory_equal(found.items[0].text, "10.214.100.", 11);
  answer = load("addresses_stopped.200");
  assert_int_equal(dk_lxd_read_addresses(&answer, &found, &error), DK_LXD_FINE);
  assert_int_equal(found.state, DK_LXD_STOPPED);
  assert_int_equal(found.n, 0);
  /* What the server plugged in comes before what a Docker inside made; what is no address does not come at all. */
  answer = answer_of(200, "{\"type\":\"sync\",\"metadata\":{\"status_code\":103,\"network\":{"
                          "\"docker0\":{\"host_name\":\"\",\"addresses\":[{\"family\":\"inet\",\"scope\":\"global\","
                          "\"address\":\"172.17.0.1\"}]},"
                          "\"eth0\":{\"host_name\":\"veth1\",\"addresses\":["
                          "{\"family\":\"inet6\",\"scope\":\"global\",\"address\":\"fd00::7\"},"
                          "{\"family\":\"inet\",\"scope\":\"global\",\"address\":\"-oProxyCommand=x\"},"
                          "{\"family\":\"inet\",\"scope\":\"global\",\"address\":7},7,"
                          "{\"family\":\"inet\",\"scope\":\"global\",\"address\":\"fd00::8\"},"
                          "{\"family\":\"inet6\",\"scope\":\"link\",\"address\":\"fe80::1\"},"
                          "{\"family\":\"inet\",\"scope\":\"global\",\"address\":\"10.0.0.7\"}]},"
                          "\"eth1\":{\"host_name\":\"veth2\",\"addresses\":null},\"eth2\":7}}}");
  assert_int_equal(dk_lxd_read_addresses(&answer, &found, &error), DK_LXD_FINE);
  assert_int_equal(found.n, 3);
  assert_string_equal(found.items[0].text, "10.0.0.7");
  assert_string_equal(found.items[1].text, "fd00::7");
  assert_string_equal(found.items[2].text, "172.17.0.1");
  assert_string_equal(found.items[2].card, "docker0");
}

static void images(void **state) {
  struct dk_lxd_images list;
  struct dk_error error = {0};
  struct dk_lxd_answer answer = load("images.200");
  (void)state;

  assert_int_equal(dk_lxd_read_images(&answer, &list, &error), DK_LXD_FINE);
  assert_int_equal(list.n, 1);
  assert_int_equal(list.n_others, 1);
  assert_int_equal(strlen(list.items[0].fingerprint), 64);
  assert_string_equal(list.items[0].store, STORE);
  assert_string_equal(list.items[0].recipe, "abc");
  assert_true(list.items[0].size > 1000000 && list.items[0].uploaded > 1700000000);
  dk_lxd_images_finish(&list);
}

/* Words of LXD's and Incus' sources that no recording has. */
static void reasons(void **state) {
  static const struct {
    int status;
    const char *words;
    enum dk_lxd_reason reason;
  } wanted[] = {
      {500, "Failed checking if instance creation allowed: Reached maximum number of instances of type \"container\"",
       DK_LXD_QUOTA},
      {500, "Invalid value \"true\" for config \"security.privileged\": Privileged containers are forbidden",
       DK_LXD_DENIED},
      {403, "Project isn't allowed to use this cluster member", DK_LXD_DENIED},
      {403, "not authorized", DK_LXD_DENIED},
      {401, "", DK_LXD_DENIED},
      {400, "No suitable cluster member could be found", DK_LXD_CAPACITY},
      {403, "Cluster member is evacuated", DK_LXD_CAPACITY},
      {500, "Couldn't find a cluster member for the instance", DK_LXD_CAPACITY},
      {400, "Instance \"m1\" already exists", DK_LXD_EXISTS},
      {409, "Conflict", DK_LXD_EXISTS},
      {503, "LXD is shutting down", DK_LXD_TRANSIENT},
      {503, "Instance not found", DK_LXD_TRANSIENT},
      {500, "failed to begin transaction: no available dqlite leader server found", DK_LXD_TRANSIENT},
      {500, "DB is locked", DK_LXD_TRANSIENT},
      {0, "Instance is busy running a \"start\" operation", DK_LXD_TRANSIENT},
      {502, "Bad Gateway", DK_LXD_TRANSIENT},
      {429, "slow down", DK_LXD_THROTTLED},
      {400, "whatever", DK_LXD_BAD_REQUEST},
      {404, "not found", DK_LXD_NOT_FOUND},
      {500, "whatever", DK_LXD_UNKNOWN},
      {0, "whatever", DK_LXD_UNKNOWN},
      {302, "whatever", DK_LXD_UNKNOWN},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    assert_int_equal(dk_lxd_reason_of(wanted[i].status, wanted[i].words), wanted[i].reason);
}

static enum dk_lxd_reason read_any(int kind, const struct dk_lxd_answer *answer, struct dk_error *error) {
  union {
    struct dk_lxd_operation operation;
    struct dk_lxd_server server;
    struct dk_lxd_instances instances;
    struct dk_lxd_addresses addresses;
    struct dk_lxd_images images;
  } ret;
  enum dk_lxd_reason reason;

  switch (kind) {
  case 0: return dk_lxd_read_operation(answer, &ret.operation, error);
  case 1: return dk_lxd_read_server(answer, &ret.server, error);
  case 2:
    reason = dk_lxd_read_instances(answer, &ret.instances, error);
    dk_lxd_instances_finish(&ret.instances);
    break;
  case 3: return dk_lxd_read_addresses(answer, &ret.addresses, error);
  default:
    reason = dk_lxd_read_images(answer, &ret.images, error);
    dk_lxd_images_finish(&ret.images);
    break;
  }
  return reason;
}

/* Nothing of it is taken for an answer, whatever was asked. */
static void hostile_to_all(void **state) {
  static const struct {
    int status;
    const char *body;
    enum dk_lxd_reason reason;
    const char *words;
  } wanted[] = {
      {200, "", DK_LXD_UNKNOWN, "lab: the answer is empty"},
      {200, "<html><title>Log in</title>", DK_LXD_UNKNOWN, "lab: the answer is a page or XML, not JSON: <html>"},
      {200, "{\"type\":\"sync\",\"metadata\":", DK_LXD_UNKNOWN, "lab: the answer cannot be read as JSON"},
      {200, "7", DK_LXD_UNKNOWN, "is no object"},
      {200, "[]", DK_LXD_UNKNOWN, "is no object"},
      {200, "{}", DK_LXD_UNKNOWN, "type is not there"},
      {200, "{\"type\":7}", DK_LXD_UNKNOWN, "type is no text"},
      {200, "{\"type\":\"sync\"}", DK_LXD_UNKNOWN, "metadata is not there"},
      {200, "{\"type\":\"sync\",\"metadata\":null}", DK_LXD_UNKNOWN, "metadata is not there"},
      {200, "{\"type\":\"sync\",\"metadata\":7}", DK_LXD_UNKNOWN, "lab: "},
      {200, "{\"type\":\"async\",\"metadata\":{}}", DK_LXD_UNKNOWN, "lab: "},
      {200, "{\"type\":\"error\",\"error\":\"\"}", DK_LXD_UNKNOWN, "lab: refused, and the server does not say why"},
      {200, "{\"type\":\"error\",\"error\":\"a\\nhelp: run\\u001b[2J this\"}", DK_LXD_UNKNOWN,
       "lab: a help: run\\x1b[2J this"},
      {502, "<html>Bad Gateway</html>", DK_LXD_TRANSIENT, "lab: refused with status 502"},
      {403, "", DK_LXD_DENIED, "lab: refused with status 403"},
      {500, "{\"error\":7}", DK_LXD_UNKNOWN, "lab: refused with status 500"},
      {500, "[[[[[[", DK_LXD_UNKNOWN, "lab: refused with status 500"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    for (int kind = 0; kind < 5; kind++) {
      struct dk_lxd_answer answer = answer_of(wanted[i].status, wanted[i].body);
      struct dk_error error = {0};
      assert_int_equal(read_any(kind, &answer, &error), wanted[i].reason);
      assert_true(error.code < 0);
      assert_non_null(strstr(error.text, wanted[i].words));
    }
}

static void hostile_to_one(void **state) {
  static const struct {
    int kind;
    const char *metadata, *words;
  } wanted[] = {
      {0, "{\"id\":7}", "metadata.id is no text"},
      {0, "{\"id\":\"\"}", "metadata.id is empty"},
      {0, "{\"id\":\"a\"}", "metadata.status_code is not there"},
      {0, "{\"id\":\"a\",\"status_code\":\"x\"}", "metadata.status_code is no integer"},
      {0, "{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
       "metadata.id is too long"},
      {0, "{\"id\":\"a\",\"status_code\":400,\"err\":7}", "the server does not say why"},
      {1, "{\"auth\":true}", "metadata.auth is no text"},
      {1, "{\"auth\":\"trusted\"}", "metadata.environment is not there"},
      {1, "{\"auth\":\"trusted\",\"environment\":{\"server\":\"lxd\"}}", "metadata.environment.server_version is not"},
      {2, "{}", "metadata is no list"},
      {2, "[7]", "metadata[0] is no object"},
      {2, "[\"/1.0/instances/a\"]", "metadata[0] is no object"},
      {2, "[{}]", "metadata[0].name is not there"},
      {2, "[{\"name\":\"a\"}]", "metadata[0].status_code is not there"},
      {2, "[{\"name\":[],\"status_code\":102}]", "metadata[0].name is no text"},
      {2, "[{\"name\":\"a\",\"status_code\":102},{\"name\":\"a\",\"status_code\":102}]",
       "metadata[1].name is there twice"},
      {3, "{\"network\":{}}", "metadata.status_code is not there"},
      {4, "{}", "metadata is no list"},
      {4, "[{\"fingerprint\":\"a\"}]", "metadata[0].size is not there"},
      {4, "[{\"size\":1}]", "metadata[0].fingerprint is not there"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    struct dk_error error = {0};
    char body[400];
    snprintf(body, sizeof body, "{\"type\":\"sync\",\"metadata\":%s}", wanted[i].metadata);
    struct dk_lxd_answer answer = answer_of(200, body);
    assert_int_equal(read_any(wanted[i].kind, &answer, &error), DK_LXD_UNKNOWN);
    assert_non_null(strstr(error.text, wanted[i].words));
  }
}

/* Tags of any kind and length: ours or not, and no more. */
static void odd_tags(void **state) {
  struct dk_lxd_instances list;
  dk_autobuf body = DK_BUF_INIT;
  (void)state;
  dk_buf_add_text(&body, "{\"type\":\"sync\",\"metadata\":["
                         "{\"name\":\"a\",\"status_code\":102,\"config\":{\"user.dkrun.store\":7}},"
                         "{\"name\":\"b\",\"status_code\":102,\"config\":[]},"
                         "{\"name\":\"c\",\"status_code\":102,\"config\":{\"user.dkrun.store\":\"");
  dk_buf_add_repeat(&body, 'x', 100000);
  dk_buf_add_text(&body, "\"}}]}");
  struct dk_lxd_answer answer = {.status = 200, .body = dk_buf_text(&body), .len = body.len, .label = "lab"};
  assert_int_equal(dk_lxd_read_instances(&answer, &list, NULL), DK_LXD_FINE);
  assert_int_equal(list.n_others, 2);
  assert_int_equal(list.n, 1);
  assert_int_equal(strlen(list.items[0].store), DK_LXD_TAG - 1);
  dk_lxd_instances_finish(&list);
}

static void without_memory(void **state) {
  struct dk_lxd_answer answer = load("instances.200");
  enum dk_lxd_reason reason = DK_LXD_TRANSIENT;
  uint64_t n;
  (void)state;

  for (n = 1; reason == DK_LXD_TRANSIENT; n++) {
    struct dk_lxd_instances list;
    struct dk_error error = {0};
    assert_true(n < 10000);
    dk_alloc_fail_at(n);
    reason = dk_lxd_read_instances(&answer, &list, &error);
    dk_alloc_fail_at(0);
    if (reason == DK_LXD_TRANSIENT) assert_int_equal(error.code, -ENOMEM);
    assert_int_equal(list.n, reason == DK_LXD_FINE ? 2 : 0);
    dk_lxd_instances_finish(&list);
  }
  assert_int_equal(reason, DK_LXD_FINE);
  assert_true(n > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(operations),     cmocka_unit_test(refusals),         cmocka_unit_test(servers),
      cmocka_unit_test(instances),      cmocka_unit_test(hidden_instances), cmocka_unit_test(states),
      cmocka_unit_test(addresses),      cmocka_unit_test(images),           cmocka_unit_test(reasons),
      cmocka_unit_test(hostile_to_all), cmocka_unit_test(hostile_to_one),   cmocka_unit_test(odd_tags),
      cmocka_unit_test(without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which machines may be deleted by hand, and what their tags say of whose they are. */
#include "engine/drive/owner.h"
#include "engine/drive/reap.h"
#include "engine/rent/rent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE UINT64_C(60000000000)

static struct dk_rented records[2]; /* one with an id, one of which only the name is known */
static struct dk_reap_store store;
static char doubtful[DK_RENT_NAME];

static int set_up(void **state) {
  (void)state;
  store = (struct dk_reap_store){
      .id = {1, 2, 3}, .owner = "", .place = DK_REAP_HERE, .records = records, .n_records = 2, .is_meant = true};
  records[0] = (struct dk_rented){.incarnation = 7, .number = 1, .state = DK_RENT_UP, .id = "id-1"};
  records[1] = (struct dk_rented){.incarnation = 7, .number = 2, .state = DK_RENT_DOUBT};
  dk_rent_name(store.id, 7, 2, doubtful);
  return 0;
}

static enum dk_reap_verdict judge(const char *id, const char *name, enum dk_instance_state is, uint64_t age,
                                  uint64_t young) {
  struct dk_reap_machine machine = {.is = {.id = id, .name = name, .state = is}, .age_ns = age};

  dk_reap_judge(&machine, &store, young);
  assert_int_equal(dk_reap_is_due(&machine, &store), machine.verdict == DK_REAP_FREE && store.is_meant);
  return machine.verdict;
}

static void what_is_on_record_is_held(void **state) {
  char twin[DK_RENT_NAME];
  (void)state;
  assert_int_equal(judge("id-1", "any", DK_INSTANCE_RUNNING, 60 * MINUTE, 15 * MINUTE), DK_REAP_HELD);
  assert_int_equal(judge("id-9", doubtful, DK_INSTANCE_RUNNING, 60 * MINUTE, 15 * MINUTE), DK_REAP_HELD);
  /* However old, young or on its way it is. */
  assert_int_equal(judge("id-1", "any", DK_INSTANCE_LEAVING, 0, 0), DK_REAP_HELD);
  assert_int_equal(judge("id-1", "any", DK_INSTANCE_STOPPED, UINT64_MAX, 15 * MINUTE), DK_REAP_HELD);
  /* A call that was done twice: the other one has an id of its own. */
  dk_rent_name(store.id, 7, 1, twin);
  assert_int_equal(judge("id-9", twin, DK_INSTANCE_RUNNING, 60 * MINUTE, 15 * MINUTE), DK_REAP_FREE);
  /* What is not on record, and the same without any record. */
  assert_int_equal(judge("id-9", "n9", DK_INSTANCE_RUNNING, 60 * MINUTE, 15 * MINUTE), DK_REAP_FREE);
  store.n_records = 0;
  assert_int_equal(judge("id-1", doubtful, DK_INSTANCE_RUNNING, 60 * MINUTE, 15 * MINUTE), DK_REAP_FREE);
}

static void what_is_young_stays(void **state) {
  (void)state;
  assert_int_equal(judge("x", "x", DK_INSTANCE_RUNNING, 15 * MINUTE - 1, 15 * MINUTE), DK_REAP_YOUNG);
  assert_int_equal(judge("x", "x", DK_INSTANCE_RUNNING, 15 * MINUTE, 15 * MINUTE), DK_REAP_FREE);
  assert_int_equal(judge("x", "x", DK_INSTANCE_RUNNING, UINT64_MAX, 15 * MINUTE), DK_REAP_YOUNG);
  assert_int_equal(judge("x", "x", DK_INSTANCE_RUNNING, UINT64_MAX, 0), DK_REAP_FREE);
  assert_int_equal(judge("x", "x", DK_INSTANCE_LEAVING, 60 * MINUTE, 15 * MINUTE), DK_REAP_LEAVING);
}

static void another_stores_is_not_due(void **state) {
  (void)state;
  store.is_meant = false;
  assert_int_equal(judge("x", "x", DK_INSTANCE_STOPPED, 60 * MINUTE, 0), DK_REAP_FREE); /* and judge looks at is_due */
}

static void ages_are_of_the_clouds_clock(void **state) {
  struct dk_instance instance = {.made_unix = 1000};
  (void)state;
  assert_int_equal(dk_reap_age(&instance, 1060), MINUTE);
  assert_int_equal(dk_reap_age(&instance, 1000), 0);
  assert_int_equal(dk_reap_age(&instance, 999), UINT64_MAX);
  assert_int_equal(dk_reap_age(&instance, 0), UINT64_MAX);
  instance.made_unix = 0;
  assert_int_equal(dk_reap_age(&instance, 1060), UINT64_MAX);
}

static void tags_name_repositories(void **state) {
  static const struct {
    const char *owner, *node, *path;
  } wanted[] = {
      {"anna@desk:/home/anna/exp", "desk", "/home/anna/exp"},
      {"@desk:/a:b@c", "desk", "/a:b@c"},
      {"anna@desk:/x", "des", NULL},
      {"anna@desk:/x", "desk2", NULL},
      {"anna@desk", "desk", NULL},
      {"anna@desk:x", "desk", NULL}, /* not from here */
      {"anna@:/x", "", NULL},        /* no name is no machine's */
      {"", "desk", NULL},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    const char *path = dk_owner_path(wanted[i].owner, wanted[i].node);
    if (wanted[i].path)
      assert_string_equal(path, wanted[i].path);
    else
      assert_null(path);
  }
}

static void what_is_written_is_read(void **state) {
  char owner[DK_CLOUD_OWNER], node[65], root[400] = "/";
  (void)state;
  setenv("LOGNAME", "anna", 1);
  dk_owner_node(node);
  dk_owner_write("/home/anna/a b\xc3\xa4", owner);
  assert_int_equal(strncmp(owner, "anna@", 5), 0);
  assert_string_equal(dk_owner_path(owner, node), "/home/anna/a b\xc3\xa4");
  /* What a cloud would not take is left out, not cut: a part of a path is another folder. */
  dk_owner_write("/home/\xff", owner);
  assert_null(dk_owner_path(owner, node));
  assert_non_null(strstr(owner, node));
  for (size_t len = DK_CLOUD_OWNER - strlen(owner) - 2; len < DK_CLOUD_OWNER - strlen(owner) + 2; len++) {
    char tag[DK_CLOUD_OWNER];
    memset(root + 1, 'x', len - 1);
    root[len] = '\0';
    dk_owner_write(root, tag);
    const char *path = dk_owner_path(tag, node);
    assert_int_equal(path != NULL, strlen(owner) + 1 + len < DK_CLOUD_OWNER);
    if (path) assert_string_equal(path, root);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(what_is_on_record_is_held, set_up),
      cmocka_unit_test_setup(what_is_young_stays, set_up),
      cmocka_unit_test_setup(another_stores_is_not_due, set_up),
      cmocka_unit_test(ages_are_of_the_clouds_clock),
      cmocka_unit_test(tags_name_repositories),
      cmocka_unit_test(what_is_written_is_read),
  };
  return cmocka_run_group_tests_name("drive_reap", tests, NULL, NULL);
}

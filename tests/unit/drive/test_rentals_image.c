/* Images that machines are made from: sought, made by a builder, kept, found again; and what becomes of them when that
 * breaks. */
#include "tests/unit/drive/rentals_bed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TORCH(setup, more)                                                                                             \
  "image torch { from = \"base\" setup = \"" setup "\" }\n" CLOUD_OF("lab", "here", "torch", more)

static char recipe[DK_DIGEST_HEX + 1];

/* What the file says is asked for: the first list of machines is answered, so that it is out of the way. */
static struct call start_seeking(const char *text) {
  edit(text);
  start_engine();
  snprintf(recipe, sizeof recipe, "%s", bed.hosts.clouds[0].image.digest);
  struct call list = take(DK_CLOUD_LIST_IMAGES);
  want(2);
  assert_false(is_asked(DK_CLOUD_CREATE));
  return list;
}

static void tell_image(const struct call *list, const char *of, enum dk_image_state state) {
  const struct dk_cloud_image images[] = {
      {.id = "im-0", .name = "", .recipe = "0", .owner = "", .state = DK_IMAGE_READY},
      {.id = "im-1", .name = "", .recipe = of, .owner = "", .state = state},
  };
  answer(list, (struct dk_cloud_result){.images = images, .n_images = 2, .is_complete = true});
  rest(10);
}

static void tell_none(const struct call *list) {
  answer(list, (struct dk_cloud_result){.is_complete = true});
  rest(10);
}

/* Its cloud has it, and where it is. */
static void come_up(uint32_t number) {
  struct call call = take(DK_CLOUD_CREATE);
  char name[DK_RENT_NAME];
  assert_string_equal(call.image, "base");
  assert_false(call.is_image_id);
  assert_true(rented(number)->is_builder);
  answer(&call, (struct dk_cloud_result){.id = "i-1"});
  snprintf(name, sizeof name, "%s", call.name);
  struct dk_instance instance = {
      .name = name, .id = "i-1", .address = "192.0.2.1", .state = DK_INSTANCE_RUNNING, .words = ""};
  memcpy(instance.store, bed.engine->store_id, sizeof instance.store);
  struct call list = take(DK_CLOUD_LIST);
  answer(&list, (struct dk_cloud_result){.instances = &instance, .n_instances = 1, .is_complete = true});
  rest(10);
}

static void end_shell(int r, int code) {
  const struct dk_error error = {.code = r, .text = "it broke"};
  struct dk_shell *ended = take_shell();
  ended->with.done(ended->with.ctx, r, code, &error);
  rest(10);
}

/* A setup that went well, up to the snapshot's call. */
static struct call set_up_well(void) {
  struct dk_shell *begun = take_shell();
  assert_string_equal(begun->with.host.address, "192.0.2.1");
  assert_non_null(strstr(begun->script, "\napt\n"));
  assert_int_equal(write(begun->with.log, "some words\n", 11), 11);
  begun->with.begun(begun->with.ctx);
  rest(10);
  end_shell(0, 0);
  struct call snapshot = take(DK_CLOUD_SNAPSHOT);
  assert_string_equal(snapshot.id, "i-1");
  assert_string_equal(snapshot.recipe, recipe);
  assert_memory_equal(snapshot.name, "dk-image-", 9);
  return snapshot;
}

/* What waits is said again, as it is behind anything that came up. */
static void takes_what_is_made(const char *id) {
  want(2);
  struct call call = take(DK_CLOUD_CREATE);
  assert_string_equal(call.image, id);
  assert_true(call.is_image_id);
  answer(&call, (struct dk_cloud_result){.id = "i-2"});
  rest(10);
}

static void it_is_there(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  tell_image(&list, recipe, DK_IMAGE_READY);
  takes_what_is_made("im-1");
  assert_false(rented(1)->is_builder);
}

static void it_is_made(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  tell_image(&list, "1", DK_IMAGE_READY); /* another one */
  come_up(1);
  assert_false(is_asked(DK_CLOUD_CREATE));
  end_shell(-EAGAIN, 0); /* ssh is not up yet */
  struct call snapshot = set_up_well();
  assert_int_equal(rented(1)->state, DK_RENT_UP);
  answer(&snapshot, (struct dk_cloud_result){.id = "im-1"});
  list = take(DK_CLOUD_LIST_IMAGES);
  tell_image(&list, recipe, DK_IMAGE_SAVING);
  assert_false(is_asked(DK_CLOUD_DELETE));
  assert_false(is_asked(DK_CLOUD_CREATE));
  list = take(DK_CLOUD_LIST_IMAGES);
  tell_image(&list, recipe, DK_IMAGE_READY);
  struct call gone = take(DK_CLOUD_DELETE);
  assert_string_equal(gone.id, "i-1");
  takes_what_is_made("im-1");
  assert_true(has_said("image torch is made ("));
}

/* A list that failed, and an image that somebody else is saving, are waited for. */
static void it_is_awaited(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  answer(&list, (struct dk_cloud_result){.failure = DK_CLOUD_TRANSIENT, .error = {-EIO, "lab: away"}});
  list = take(DK_CLOUD_LIST_IMAGES);
  assert_true(has_said("lab: away"));
  tell_image(&list, recipe, DK_IMAGE_SAVING);
  assert_false(is_asked(DK_CLOUD_CREATE));
  list = take(DK_CLOUD_LIST_IMAGES);
  tell_image(&list, recipe, DK_IMAGE_FAILED);
  come_up(1);
}

static void nobody_may_ask(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  answer(&list, (struct dk_cloud_result){.failure = DK_CLOUD_DENIED, .error = {-EACCES, "lab: denied"}});
  rest(10);
  assert_true(has_said("lab: image torch is not made: lab: denied"));
  assert_string_equal(dk_rentals_barred(bed.engine->rentals), "lab");
}

static void the_setup_fails(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  tell_none(&list);
  come_up(1);
  struct dk_shell *begun = take_shell();
  assert_int_equal(write(begun->with.log, "some words\nand\x1bmore\n", 20), 20);
  begun->with.begun(begun->with.ctx);
  end_shell(0, 3);
  assert_true(has_said("lab: image torch is not made: its setup failed (exit code 3); the end of its log, "));
  assert_true(has_said(".log:\n  some words\n  and\\x1bmore\n"));
  (void)take(DK_CLOUD_DELETE);
  assert_null(shell);
  assert_string_equal(dk_rentals_barred(bed.engine->rentals), "lab");
  rest(300);
  assert_false(is_asked(DK_CLOUD_CREATE));
  /* An edit makes it try again. */
  edit(TORCH("apt", "idle = 1m"));
  assert_int_equal(reload(), 0);
  want(1);
  struct call again = take(DK_CLOUD_CREATE);
  assert_string_equal(again.image, "base");
}

/* A connection that breaks after the setup began leaves nobody knows what: another builder. */
static void the_connection_breaks(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  tell_none(&list);
  come_up(1);
  struct dk_shell *begun = take_shell();
  begun->with.begun(begun->with.ctx);
  rest(10);
  end_shell(-EPIPE, 0);
  assert_true(has_said("lab: it broke"));
  (void)take(DK_CLOUD_DELETE);
  want(2);
  struct call again = take(DK_CLOUD_CREATE);
  assert_string_equal(again.image, "base");
  assert_true(rented(2)->is_builder);
}

/* Whether there was a snapshot is found out by lists. */
static void the_snapshot_is_in_doubt(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  tell_none(&list);
  come_up(1);
  struct call snapshot = set_up_well();
  answer(&snapshot, (struct dk_cloud_result){.failure = DK_CLOUD_DOUBT, .error = {-EIO, "lab: who knows"}});
  list = take(DK_CLOUD_LIST_IMAGES);
  assert_true(has_said("lab: who knows"));
  tell_none(&list);
  assert_false(is_asked(DK_CLOUD_DELETE));
  list = take(DK_CLOUD_LIST_IMAGES);
  tell_image(&list, recipe, DK_IMAGE_READY);
  takes_what_is_made("im-1");
}

static void it_cannot_be_saved(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  tell_none(&list);
  come_up(1);
  struct call snapshot = set_up_well();
  answer(&snapshot, (struct dk_cloud_result){.failure = DK_CLOUD_QUOTA, .error = {-EDQUOT, "lab: no room"}});
  rest(10);
  assert_true(has_said("lab: image torch is not made: lab: no room"));
  (void)take(DK_CLOUD_DELETE);
}

/* Deleted by people: it is sought once more, made if it is nowhere; but a bad request for another reason stays one. */
static void it_is_lost(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  tell_image(&list, recipe, DK_IMAGE_READY);
  struct call call = take(DK_CLOUD_CREATE);
  answer(&call, (struct dk_cloud_result){.failure = DK_CLOUD_BAD, .error = {-ENOENT, "lab: no such image"}});
  list = take(DK_CLOUD_LIST_IMAGES);
  tell_image(&list, recipe, DK_IMAGE_READY);
  call = take(DK_CLOUD_CREATE);
  answer(&call, (struct dk_cloud_result){.failure = DK_CLOUD_BAD, .error = {-ENOENT, "lab: no such network"}});
  rest(300);
  assert_true(has_said("lab: no machines are made until its settings are mended"));
  assert_false(is_asked(DK_CLOUD_LIST_IMAGES));
}

/* An edit of something else lets the builder go on; another recipe does not. */
static void the_file_is_edited(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  tell_none(&list);
  come_up(1);
  (void)take_shell();
  edit(TORCH("apt", "idle = 1m"));
  assert_int_equal(reload(), 0);
  rest(50);
  assert_non_null(shell);
  assert_int_equal(rented(1)->state, DK_RENT_MADE);
  edit(TORCH("apt-get", "idle = 1m"));
  assert_int_equal(reload(), 0);
  rest(50);
  assert_null(shell);
  assert_int_equal(rented(1)->state, DK_RENT_ENDING);
  (void)take(DK_CLOUD_LIST_IMAGES);
}

/* The builder of an engine that died is given back, and the next one begins anew. */
static void the_engine_dies(void **state) {
  (void)state;
  struct call list = start_seeking(TORCH("apt", ""));
  tell_none(&list);
  come_up(1);
  (void)take_shell();
  stop_engine();
  assert_null(shell);
  list = start_seeking(TORCH("apt", ""));
  assert_int_equal(rented(1)->state, DK_RENT_ENDING);
  tell_none(&list);
  struct call again = take(DK_CLOUD_CREATE);
  assert_string_equal(again.image, "base");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(it_is_there, begin, end),
      cmocka_unit_test_setup_teardown(it_is_made, begin, end),
      cmocka_unit_test_setup_teardown(it_is_awaited, begin, end),
      cmocka_unit_test_setup_teardown(nobody_may_ask, begin, end),
      cmocka_unit_test_setup_teardown(the_setup_fails, begin, end),
      cmocka_unit_test_setup_teardown(the_connection_breaks, begin, end),
      cmocka_unit_test_setup_teardown(the_snapshot_is_in_doubt, begin, end),
      cmocka_unit_test_setup_teardown(it_cannot_be_saved, begin, end),
      cmocka_unit_test_setup_teardown(it_is_lost, begin, end),
      cmocka_unit_test_setup_teardown(the_file_is_edited, begin, end),
      cmocka_unit_test_setup_teardown(the_engine_dies, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

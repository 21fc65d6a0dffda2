/* What is recorded to be at hosts, for who cleans, weighs and checks the state folder. */
#include "engine/drive/copies.h"
#include "engine/drive/fsck.h"
#include "engine/drive/gc.h"
#include "engine/drive/usage.h"
#include "engine/store/hosts.h"
#include "engine/sys/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];
static struct dk_folder folder;
static const struct dk_digest used = {{1}}, unused = {{2}}, directory = {{3}};
static const struct dk_digest made = {{9}}, made_too = {{10}};

static void put_host(struct dk_batch *batch, uint32_t number, enum dk_host_state state) {
  char name[16];
  snprintf(name, sizeof name, "h%u", number);
  const struct dk_host_record host = {.number = number,
                                      .state = state,
                                      .provider = (char *)"lab",
                                      .name = name,
                                      .words = (char *)"",
                                      .system = (char *)"",
                                      .gpu = (char *)""};
  assert_int_equal(dk_batch_put_host(batch, &host), 0);
}

static void put_copies(struct dk_batch *batch) {
  const struct dk_copy copies[] = {{used, 3, 1000, false}, {unused, 3, 50, false}, {directory, 3, 7, true}};
  put_host(batch, 3, DK_HOST_NEW);
  for (size_t i = 0; i < 3; i++) assert_int_equal(dk_batch_put_copy(batch, &copies[i]), 0);
}

static void put_result(struct dk_batch *batch, const struct dk_digest *key, const struct dk_saved *saved) {
  dk_autobuf bytes = DK_BUF_INIT;
  assert_int_equal(dk_saved_encode(saved, &bytes), 0);
  const struct dk_record record = {.kind = DK_REC_RESULT, .key = *key, .len = (uint32_t)bytes.len};
  assert_int_equal(dk_batch_add_record(batch, &record, &bytes), 0);
}

/* A result with two outputs that are at h3, and a copy that nothing names. */
static int set_up(void **state) {
  (void)state;
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_kept outputs[] = {{.digest = used, .size = 1000, .total = 1000},
                              {.digest = directory, .size = 7, .total = 7, .is_dir = true}};
  struct dk_saved saved = {.run = 1, .label = (char *)"make", .host = (char *)"h3"};
  saved.result.text = (char *)"";
  saved.result.outputs = outputs;
  saved.result.n_outputs = 2;
  snprintf(root, sizeof root, "/tmp/dk-copies-XXXXXX");
  assert_non_null(mkdtemp(root));
  assert_int_equal(dk_folder_open(root, "test", &folder, NULL), 0);
  put_copies(&batch);
  put_result(&batch, &made, &saved);
  assert_int_equal(dk_store_commit(folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  dk_folder_close(&folder);
  return dk_fs_remove_tree(root, NULL);
}

static bool has(const struct dk_digest *content) {
  return dk_store_get_copy(folder.store, content, 3, NULL, NULL) == 0;
}

static void gc_forgets_them(void **state) {
  (void)state;
  struct dk_gc_policy policy = {.dry_run = true, .keep_bytes = UINT64_MAX};
  struct dk_gc_sum sum;
  uint64_t before = dk_store_generation(folder.store);
  assert_int_equal(dk_gc(&folder, root, &policy, &sum, NULL), 0);
  assert_true(sum.copies == 1 && has(&unused));
  policy.dry_run = false;
  assert_int_equal(dk_gc(&folder, root, &policy, &sum, NULL), 0);
  assert_true(sum.copies == 1 && !has(&unused) && has(&used) && has(&directory));
  assert_true(dk_store_generation(folder.store) != before); /* nothing to do is looked at again */
  assert_int_equal(dk_gc(&folder, root, &policy, &sum, NULL), 0);
  assert_int_equal(sum.copies, 0);
}

static void du_weighs_them(void **state) {
  (void)state;
  struct dk_usage usage;
  assert_int_equal(dk_usage_collect(&folder, &usage, NULL), 0);
  assert_int_equal(usage.n_hosts, 1);
  assert_string_equal(usage.hosts[0].name, "h3");
  assert_true(usage.hosts[0].bytes == 1050 && usage.hosts[0].n == 3 && usage.hosts[0].n_unweighed == 1);
  dk_usage_finish(&usage);
}

static void on_found(void *ctx, const struct dk_finding *finding) {
  char *all = ctx;
  size_t len = strlen(all);
  snprintf(all + len, 2000 - len, "%s\n", finding->what);
}

static uint64_t check(bool repair, char all[2000]) {
  struct dk_fsck_sum sum;
  const struct dk_fsck_options options = {.root = root, .repair = repair, .found = on_found, .ctx = all};
  all[0] = 0;
  dk_folder_close(&folder);
  assert_int_equal(dk_fsck(&options, &sum, NULL), 0);
  assert_int_equal(dk_folder_open(root, "test", &folder, NULL), 0);
  return sum.n_found;
}

/* What is missing here and at a host is no damage; entries that lead nowhere are. */
static void fsck_checks_them(void **state) {
  (void)state;
  char all[2000];
  struct dk_batch batch = DK_BATCH_INIT;
  if (check(false, all) != 0) fail_msg("%s", all);
  const struct dk_copy nowhere = {used, 4, 1, false};
  assert_int_equal(dk_batch_put_copy(&batch, &nowhere), 0);
  char key[DK_COPY_KEY] = {5};
  dk_batch_put(&batch, DK_TABLE_COPIES, key, sizeof key, "x", 1);
  dk_batch_put(&batch, DK_TABLE_HOSTS, "\0\0\0\7", 4, "?", 1);
  dk_batch_put(&batch, DK_TABLE_INSTANCES, "\0\0\0\7", 4, "?", 1);
  assert_int_equal(dk_store_commit(folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  assert_int_equal(check(true, all), 4);
  assert_non_null(strstr(all, "`copies` names a host that is not known"));
  assert_non_null(strstr(all, "`copies` cannot be understood"));
  assert_non_null(strstr(all, "`hosts` cannot be understood"));
  assert_non_null(strstr(all, "`instances` cannot be understood"));
  if (check(false, all) != 0) fail_msg("%s", all);
  assert_true(has(&used) && has(&directory));
  /* Without the copy the result is not whole. */
  assert_int_equal(dk_batch_del_copy(&batch, &used, 3), 0);
  assert_int_equal(dk_store_commit(folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  assert_int_equal(check(false, all), 1);
  assert_non_null(strstr(all, "the result of make (run 1) is not whole"));
}

static bool is_h3(void *ctx, uint32_t host) {
  (void)ctx;
  return host == 3;
}

static bool is_cleaned(const struct dk_digest *key) {
  struct dk_saved saved;
  assert_int_equal(dk_store_get_saved(folder.store, key, &saved, NULL), 0);
  bool is = saved.cleaned && strcmp(saved.cleaned, "h3") == 0;
  dk_saved_finish(&saved);
  return is;
}

/* A second result, whose output is here and at h3. */
static void put_one_here(struct dk_digest *ret_content) {
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_kept output = {.size = 4, .total = 4};
  struct dk_saved saved = {.run = 2, .label = (char *)"keep", .host = (char *)"h3"};
  assert_int_equal(dk_objects_put(&folder.objects, "here", 4, &output.digest, NULL), 0);
  saved.result.text = (char *)"";
  saved.result.outputs = &output;
  saved.result.n_outputs = 1;
  put_result(&batch, &made_too, &saved);
  const struct dk_copy copy = {output.digest, 3, 4, false};
  assert_int_equal(dk_batch_put_copy(&batch, &copy), 0);
  assert_int_equal(dk_store_commit(folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  *ret_content = output.digest;
}

/* What people gave up is no damage; what is lost of the rest is. */
static void fsck_knows_what_was_cleaned(void **state) {
  (void)state;
  char all[2000];
  struct dk_digest content;
  struct dk_copies_sum sum;
  dk_autobuf path = DK_BUF_INIT;
  put_one_here(&content);
  assert_int_equal(dk_copies_only_at(&folder, is_h3, NULL, &sum, NULL), 0);
  assert_true(sum.n_results == 1 && sum.bytes == 1007 && !is_cleaned(&made));
  assert_int_equal(dk_copies_forget(&folder, is_h3, NULL, NULL), 0);
  assert_true(!has(&used) && !has(&directory) && !has(&content));
  assert_true(is_cleaned(&made) && !is_cleaned(&made_too));
  if (check(false, all) != 0) fail_msg("%s", all);
  assert_non_null(strstr(all, "outputs of 1 result were removed"));
  assert_int_equal(check(true, all), 0);
  assert_true(is_cleaned(&made));
  dk_objects_path(&folder.objects, &content, &path);
  assert_int_equal(unlink(dk_buf_text(&path)), 0);
  assert_int_equal(check(false, all), 1);
  assert_non_null(strstr(all, "the result of keep (run 2) is not whole"));
}

static void commit_host(uint32_t number, enum dk_host_state state, const struct dk_digest *has_too) {
  struct dk_batch batch = DK_BATCH_INIT;
  put_host(&batch, number, state);
  if (has_too) assert_int_equal(dk_batch_put_copy(&batch, &(struct dk_copy){*has_too, number, 1000, false}), 0);
  assert_int_equal(dk_store_commit(folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
}

static void put_failure(const struct dk_digest *output) {
  struct dk_batch batch = DK_BATCH_INIT;
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_kept kept = {.digest = *output, .size = 1000, .total = 1000};
  const struct dk_result failure = {.text = (char *)"", .outputs = &kept, .n_outputs = 1};
  assert_int_equal(dk_result_encode(&failure, &bytes), 0);
  dk_batch_put(&batch, DK_TABLE_FAILURES, "0123456789abcdef", 16, bytes.data, bytes.len);
  assert_int_equal(dk_store_commit(folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
}

static uint32_t n_told(const char *all, const char *words) {
  uint32_t n = 0;
  while ((all = strstr(all, words))) n++, all++;
  return n;
}

/* What is at a host that nothing names now may be there: no damage, and no reason to drop a result. */
static void fsck_leaves_what_is_away(void **state) {
  (void)state;
  static const char at_h3[] =
      "what 1 task made is at host h3 alone, which no file of providers names now: not looked at";
  char all[2000];
  struct dk_digest content;
  struct dk_saved saved;
  struct dk_batch batch = DK_BATCH_INIT;
  put_one_here(&content); /* not only there */
  if (check(false, all) != 0 || all[0]) fail_msg("%s", all);
  commit_host(3, DK_HOST_REMOVED, NULL);
  for (int repair = 0; repair < 2; repair++) {
    if (check(repair, all) != 0) fail_msg("%s", all);
    assert_true(n_told(all, "\n") == 1 && n_told(all, at_h3) == 1);
  }
  assert_int_equal(dk_store_get_saved(folder.store, &made, &saved, NULL), 0);
  dk_saved_finish(&saved);
  /* A note of each host; one that is named says enough. */
  commit_host(4, DK_HOST_REMOVED, &made_too);
  put_failure(&made_too);
  if (check(true, all) != 0) fail_msg("%s", all);
  assert_true(n_told(all, "\n") == 2 && n_told(all, at_h3) == 1 && n_told(all, "what 1 task made is at host h4 ") == 1);
  put_failure(&used);
  if (check(true, all) != 0) fail_msg("%s", all);
  assert_true(n_told(all, "\n") == 1 && n_told(all, "what 2 tasks made is at host h3 ") == 1);
  commit_host(5, DK_HOST_DOWN, &used);
  if (check(true, all) != 0) fail_msg("%s", all);
  assert_true(n_told(all, "\n") == 1 && n_told(all, at_h3) == 1); /* the directory */
  /* Of what is lost nothing else is told. */
  assert_int_equal(dk_batch_del_copy(&batch, &used, 3), 0);
  assert_int_equal(dk_batch_del_copy(&batch, &used, 5), 0);
  assert_int_equal(dk_store_commit(folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  assert_int_equal(check(false, all), 2);
  assert_true(n_told(all, "\n") == 2 && n_told(all, "the result of make (run 1) is not whole") == 1);
  assert_int_equal(n_told(all, "what a failed task left cannot be read"), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(gc_forgets_them, set_up, tear_down),
      cmocka_unit_test_setup_teardown(du_weighs_them, set_up, tear_down),
      cmocka_unit_test_setup_teardown(fsck_checks_them, set_up, tear_down),
      cmocka_unit_test_setup_teardown(fsck_knows_what_was_cleaned, set_up, tear_down),
      cmocka_unit_test_setup_teardown(fsck_leaves_what_is_away, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

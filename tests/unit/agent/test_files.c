/* Inputs, code and outputs of tasks through the real dkagent, hostile cases among them. */
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "tests/unit/agent/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct client client;
static uint64_t next = 1;

static int set_up(void **state) {
  (void)state;
  client_init(&client, 1);
  client_start_daemon(&client);
  client_connect(&client);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  client_finish(&client);
  return 0;
}

static void run(struct dk_job *job, struct dk_result *ret) {
  client_run(&client, next++, job, ret);
}

static void sh(const char *script) {
  dk_autobuf command = DK_BUF_INIT;
  dk_buf_printf(&command, "cd %s\n%s", client.dir, script);
  client_sh(dk_buf_text(&command));
}

static const char *at(const char *name) {
  static char path[4][2048];
  static unsigned i;
  i = (i + 1) % 4;
  snprintf(path[i], sizeof path[i], "%s/%s", client.dir, name);
  return path[i];
}

/* Runs `script` with one declared output; its result must be OUTPUT with `words`. */
static void refused_output(const char *script, bool is_dir, const char *words) {
  struct dk_job job = client_job(&client, script);
  client_add_output(&job, "model", "m", is_dir);
  struct dk_result result;
  run(&job, &result);
  if (result.cause != DK_CAUSE_OUTPUT) fail_msg("%s: cause %s", script, dk_cause_name(result.cause));
  if (!strstr(result.text, words)) fail_msg("%s: %s", script, result.text);
  assert_int_equal(result.n_outputs, 0);
  dk_result_finish(&result);
}

static void hostile_outputs(void **state) {
  (void)state;
  refused_output(":", false, "output `model` was not written: m");
  refused_output("ln -s /etc/passwd m", false, "symbolic link");
  refused_output("mkfifo m", false, "device, fifo or socket");
  refused_output("mkdir m", false, "is a directory, but declared as a file");
  refused_output("echo x > m", true, "is a file, but declared as a directory");
  refused_output("ln -s / m", true, "symbolic link");
  refused_output("mkdir m; mkfifo m/f", true, "f is a device, fifo or socket");
  refused_output("mkdir m; ln -s /etc/passwd m/l", true, "leads out");
  refused_output("mkdir m; ln -s ../x m/l", true, "leads out");
  refused_output("mkdir -p m/a/b; ln -s . m/a/d; ln -s a/d/../.. m/l", true, "leads out");
  struct dk_job job = client_job(&client, "ln -s / up; :");
  client_add_output(&job, "model", "up/etc/passwd", false);
  struct dk_result result;
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OUTPUT);
  assert_non_null(strstr(result.text, "symbolic link"));
  dk_result_finish(&result);
  job = client_job(&client, ":");
  client_add_output(&job, "model", "../../../lock", false);
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OUTPUT);
  assert_non_null(strstr(result.text, "leads out"));
  dk_result_finish(&result);
}

static void file_output(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) { /* the second time the object is there already */
    struct dk_job job =
        client_job(&client, "mkdir d; printf hello > d/m; : > empty; printf '{\"a\":1}\\n' >> $DK_METRICS; "
                            "printf kept > k");
    client_add_output(&job, "model", "d/m", false);
    client_add_output(&job, "nothing", "empty", false);
    job.keep_files = dk_calloc(3, sizeof *job.keep_files);
    job.keep_files[job.n_keep_files++] = dk_strdup(DK_METRICS_FILE);
    job.keep_files[job.n_keep_files++] = dk_strdup("absent");
    job.keep_files[job.n_keep_files++] = dk_strdup("d/m");
    struct dk_result result;
    run(&job, &result);
    assert_int_equal(result.cause, DK_CAUSE_OK);
    assert_int_equal(result.n_outputs, 2);
    struct dk_digest expected;
    dk_content_of("hello", 5, &expected);
    assert_true(dk_digest_equal(&expected, &result.outputs[0].digest));
    assert_int_equal(result.outputs[0].size, 5);
    assert_false(result.outputs[0].is_dir);
    char path[2048];
    client_object(&client, &expected, path, sizeof path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    assert_int_equal(st.st_size, 5);
    dk_content_of("", 0, &expected);
    assert_true(dk_digest_equal(&expected, &result.outputs[1].digest));
    client_object(&client, &expected, path, sizeof path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(result.n_keep_files, 3);
    assert_string_equal(result.keep_files[0].bytes, "{\"a\":1}\n");
    assert_true(result.keep_files[1].is_missing);
    assert_string_equal(result.keep_files[2].bytes, "hello");
    dk_result_finish(&result);
  }
}

static void failed_task_keeps_metrics_not_outputs(void **state) {
  (void)state;
  struct dk_job job = client_job(&client, "echo x > m; echo 1 > k; exit 1");
  client_add_output(&job, "model", "m", false);
  job.keep_files = dk_calloc(1, sizeof *job.keep_files);
  job.keep_files[job.n_keep_files++] = dk_strdup("k");
  struct dk_result result;
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_EXIT);
  assert_int_equal(result.n_outputs, 0);
  dk_result_finish(&result);
}

static void directory_output_and_input(void **state) {
  (void)state;
  struct dk_job job =
      client_job(&client, "mkdir -p m/a m/empty; echo 1 > m/a/b; echo 2 > m/a.b; chmod +x m/a.b; ln -s a/b m/l; "
                          "ln -s ../a.b m/a/up; printf 3 > \"m/odd\nname\"");
  client_add_output(&job, "model", "m", true);
  struct dk_result result;
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  assert_true(result.outputs[0].is_dir);
  assert_int_equal(result.outputs[0].total, 5);
  char manifest[2048];
  client_object(&client, &result.outputs[0].digest, manifest, sizeof manifest);
  dk_autobuf text = DK_BUF_INIT;
  assert_int_equal(dk_fs_read(manifest, 1 << 20, &text, NULL), 0);
  for (size_t i = 0; i < text.len; i++) text.data[i] = text.data[i] ? text.data[i] : '|';
  char one[DK_DIGEST_HEX + 1], two[DK_DIGEST_HEX + 1], three[DK_DIGEST_HEX + 1];
  struct dk_digest digest;
  dk_content_of("1\n", 2, &digest);
  dk_digest_hex(&digest, one);
  dk_content_of("2\n", 2, &digest);
  dk_digest_hex(&digest, two);
  dk_content_of("3", 1, &digest);
  dk_digest_hex(&digest, three);
  dk_autobuf expected = DK_BUF_INIT;
  dk_buf_printf(&expected, "dkrun directory 1\nx %s 2 a.b|f %s 2 a/b|l ../a.b|a/up|d empty|l a/b|l|f %s 1 odd\nname|",
                two, one, three);
  assert_string_equal(text.data, expected.data);
  dk_result_finish(&result);
  /* The same tree again as an input, in another place. */
  job = client_job(&client,
                   "cd in/put; find . | sort; cat l a/up 'odd\nname'; test -x a.b && echo x; echo changed > a/b");
  client_add_input(&job, manifest, "in/put", true);
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  assert_string_equal(result.out.bytes, ".\n./a\n./a.b\n./a/b\n./a/up\n./empty\n./l\n./odd\nname\n1\n2\n3x\n");
  dk_result_finish(&result);
}

static void code_tree(void **state) {
  (void)state;
  sh("mkdir -p code/sub; echo 'echo from code' > code/run.sh; chmod 755 code/run.sh; echo t > code/sub/t; ln -s sub/t "
     "code/link; "
     "chmod 444 code/sub/t; chmod 555 code/run.sh; touch -d @1 code/sub/t code/run.sh code/sub code");
  struct dk_job job = client_job(&client, "./run.sh; cat link; echo mine > sub/t; stat -c %a run.sh sub/t; cat in");
  job.code = dk_strdup(at("code"));
  sh("echo input > given");
  client_add_input(&job, at("given"), "in", false);
  struct dk_result result;
  run(&job, &result);
  if (result.cause != DK_CAUSE_OK) fail_msg("%s %s", result.text, result.err.bytes);
  assert_string_equal(result.out.bytes, "from code\nt\n755\n644\ninput\n");
  dk_result_finish(&result);
  sh("test \"$(cat code/sub/t)\" = t");
  sh("echo changed > code/sub/t");
  job = client_job(&client, "true");
  job.code = dk_strdup(at("code"));
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_INPUT);
  assert_non_null(strstr(result.text, "t was changed since it was written"));
  dk_result_finish(&result);
}

static void hostile_inputs(void **state) {
  (void)state;
  sh("echo x > given; mkdir -p esc; rm -f esc/out; ln -sfn / esc/out");
  static const char *const places[] = {"../x", "/tmp/x", "a/../../x", "", "."};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    struct dk_job job = client_job(&client, "echo ran");
    client_add_input(&job, at("given"), places[i], false);
    struct dk_result result;
    run(&job, &result);
    assert_int_equal(result.cause, DK_CAUSE_INPUT);
    assert_int_equal(result.out.size, 0);
    dk_result_finish(&result);
  }
  /* A link in the code does not lead an input out. */
  struct dk_job job = client_job(&client, "echo ran");
  job.code = dk_strdup(at("esc"));
  client_add_input(&job, at("given"), "out/tmp/dkagent-test-escaped", false);
  struct dk_result result;
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_INPUT);
  assert_int_equal(access("/tmp/dkagent-test-escaped", F_OK), -1);
  dk_result_finish(&result);
  job = client_job(&client, "echo ran");
  client_add_input(&job, at("not-there"), "in", false);
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_INPUT);
  assert_non_null(strstr(result.text, "not-there"));
  dk_result_finish(&result);
}

static void large_input_is_lent(void **state) {
  (void)state;
  /* As an object: 2 MiB, read-only. */
  sh("mkdir -p objects/ab; head -c 2097152 /dev/zero > objects/ab/cd; chmod 444 objects/ab/cd; touch -d @1 "
     "objects/ab/cd");
  struct dk_job job = client_job(&client, "stat -c %s in; rm in; echo own > in");
  client_add_input(&job, at("objects/ab/cd"), "in", false);
  struct dk_result result;
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  assert_string_equal(result.out.bytes, "2097152\n");
  dk_result_finish(&result);
  sh("test $(stat -c %s objects/ab/cd) = 2097152");
  /* Written to in place. As root (or by reflink) it is a copy of the task's own and the object stays; else that is
   * noticed, and the object is refused from then on, but not taken away under others. */
  job = client_job(&client, "chmod +w in; echo own >> in");
  client_add_input(&job, at("objects/ab/cd"), "in", false);
  run(&job, &result);
  if (result.cause == DK_CAUSE_INPUT) {
    assert_int_not_equal(geteuid(), 0);
    assert_non_null(strstr(result.text, "was changed while the task used it"));
    sh("test $(stat -c %Y objects/ab/cd) != 1");
  } else {
    assert_int_equal(result.cause, DK_CAUSE_OK);
    sh("test $(stat -c %s-%a-%h objects/ab/cd) = 2097152-444-1");
  }
  dk_result_finish(&result);
  sh("chmod 644 objects/ab/cd; echo x >> objects/ab/cd; chmod 444 objects/ab/cd");
  job = client_job(&client, "true");
  client_add_input(&job, at("objects/ab/cd"), "in", false);
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_INPUT);
  assert_non_null(strstr(result.text, "was changed since it was kept"));
  dk_result_finish(&result);
  /* Somebody's own file: its mode stays, and a change is noticed. */
  sh("head -c 2097152 /dev/zero > big; chmod 640 big");
  job = client_job(&client, "stat -Lc %s in; echo more >> $T/big");
  client_add_input(&job, at("big"), "in", false);
  run(&job, &result);
  sh("test $(stat -c %a big) = 640");
  assert_int_equal(result.cause, DK_CAUSE_INPUT);
  dk_result_finish(&result);
}

static void shared_file_is_not_linked(void **state) {
  (void)state;
  /* An output with a second name elsewhere: a later write through that name must not reach the object. */
  struct dk_job job = client_job(&client, "echo good > m; ln m $T/second");
  client_add_output(&job, "model", "m", false);
  struct dk_result result;
  run(&job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  sh("echo bad > second");
  dk_autofree char *text = client_text(&client, &result.outputs[0]);
  assert_string_equal(text, "good\n");
  dk_result_finish(&result);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hostile_outputs),
      cmocka_unit_test(file_output),
      cmocka_unit_test(failed_task_keeps_metrics_not_outputs),
      cmocka_unit_test(directory_output_and_input),
      cmocka_unit_test(code_tree),
      cmocka_unit_test(hostile_inputs),
      cmocka_unit_test(large_input_is_lent),
      cmocka_unit_test(shared_file_is_not_linked),
  };
  return cmocka_run_group_tests_name("files", tests, set_up, tear_down);
}

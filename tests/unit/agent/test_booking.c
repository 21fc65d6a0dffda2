/* What the real agent books of a machine: two of them over one ledger, killed keepers, GPUs of a made-up machine. */
#include "engine/agent/smi.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "tests/unit/agent/client.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct client a, b; /* their ledger and machine are in a's directory */

static void sh(const char *script) {
  char command[3000];
  snprintf(command, sizeof command, "cd %s; %s", a.dir, script);
  client_sh(command);
}

static void start(struct client *client) {
  snprintf(client->ledger, sizeof client->ledger, "%s/ledger", a.dir);
  snprintf(client->machine, sizeof client->machine, "%s/machine", a.dir);
  client_start_daemon(client);
  client_connect(client);
}

static int set_up(void **state) {
  (void)state;
  client_init(&a, 1);
  client_init(&b, 1);
  /* `busy` names the GPUs that another program uses. */
  sh("mkdir -p bin machine/dev machine/proc/driver/nvidia/gpus/0000:3b:00.0 "
     "machine/proc/driver/nvidia/gpus/0000:af:00.0;"
     "touch machine/dev/nvidia0 machine/dev/nvidia1 busy;"
     "printf 'Model: A100\\nDevice Minor: 0\\n' > machine/proc/driver/nvidia/gpus/0000:3b:00.0/information;"
     "printf 'Model: A100\\nDevice Minor: 1\\n' > machine/proc/driver/nvidia/gpus/0000:af:00.0/information;"
     "printf '#!/bin/sh\\nexec cat %s/busy\\n' \"$PWD\" > bin/nvidia-smi; chmod +x bin/nvidia-smi");
  char path[4200];
  snprintf(path, sizeof path, "%s/bin:%s", a.dir, "/usr/local/bin:/usr/bin:/bin");
  assert_int_equal(setenv("PATH", path, 1), 0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  client_finish(&b);
  client_finish(&a);
  return 0;
}

static struct dk_job gpu_job(const struct client *client, uint32_t gpus, const char *script) {
  struct dk_job job = client_job(client, script);
  job.gpus = gpus;
  return job;
}

static void run_says(struct client *client, uint64_t n, struct dk_job *job, const char *wanted) {
  struct dk_result result;
  client_run(client, n, job, &result);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  dk_autofree char *text = client_text(client, &result.out);
  assert_string_equal(text, wanted);
  dk_result_finish(&result);
}

/* A task has its own GPUs, one without has none, and one that another program uses is not given out. */
static void gpus(void **state) {
  static const char show[] = "echo \"$DK_GPUS;$CUDA_VISIBLE_DEVICES;$NVIDIA_VISIBLE_DEVICES;$HIP_VISIBLE_DEVICES\"";
  (void)state;
  start(&a);
  struct dk_job job = gpu_job(&a, 2, show);
  run_says(&a, 1, &job, "0,1;0,1;0,1;0,1\n");
  job = gpu_job(&a, 0, show);
  run_says(&a, 2, &job, ";;;\n");
  client_kill_daemon(&a, SIGTERM);
  sh("echo '00000000:3B:00.0, 4711' > busy");
  start(&b);
  job = gpu_job(&b, 1, show);
  run_says(&b, 1, &job, "1;1;1;1\n");
}

static void beyond(void **state) {
  (void)state;
  start(&a);
  struct dk_job job = gpu_job(&a, 3, "echo never");
  struct dk_message message;
  client_assign(&a, 1, &job);
  client_expect(&a, DK_MSG_REFUSED, &message);
  assert_int_equal(message.u.refused.reason, DK_REFUSED_BAD);
  assert_string_equal(message.u.refused.text, "it needs 3 gpus, this machine has 2");
  dk_message_finish(&message);
  job = client_job(&a, "echo goes on");
  run_says(&a, 2, &job, "goes on\n");
}

/* b's task waits for a's, which holds both GPUs; a's keeper is killed, what it ran is ended, and b's starts. */
static void two_agents(void **state) {
  struct dk_message message;
  struct dk_result result;
  (void)state;
  start(&a);
  start(&b);
  struct dk_job job = gpu_job(&a, 2, "while :; do touch $T/alive; sleep 0.05; done");
  client_assign(&a, 1, &job);
  client_expect(&a, DK_MSG_STARTED, &message);
  job = gpu_job(&b, 1, "echo $DK_GPUS");
  client_assign(&b, 1, &job);
  /* Nothing but the answer to LIST comes: it is held and has not started. */
  client_list(&b);
  client_expect(&b, DK_MSG_HAS, &message);
  assert_int_equal(message.u.has.state, DK_ATTEMPT_QUEUED);
  client_expect(&b, DK_MSG_HAS_END, &message);
  assert_int_equal(kill(client_keeper(&a, 0), SIGKILL), 0);
  client_result(&a, 1, &result, NULL);
  assert_int_equal(result.cause, DK_CAUSE_LOST);
  dk_result_finish(&result);
  client_result(&b, 1, &result, NULL);
  assert_int_equal(result.cause, DK_CAUSE_OK);
  dk_autofree char *text = client_text(&b, &result.out);
  assert_string_equal(text, "0\n");
  dk_result_finish(&result);
}

/* One that waits can be taken back, and leaves nothing booked or queued. */
static void revoked(void **state) {
  struct dk_message message, revoke = {.type = DK_MSG_REVOKE};
  (void)state;
  start(&a);
  start(&b);
  struct dk_job job = gpu_job(&a, 2, "while [ ! -e $T/go ]; do sleep 0.02; done; echo ended");
  client_assign(&a, 1, &job);
  client_expect(&a, DK_MSG_STARTED, &message);
  job = gpu_job(&b, 1, "echo never");
  client_assign(&b, 1, &job);
  revoke.id = (struct dk_id){b.inc, 1};
  client_send(&b, &revoke);
  client_expect(&b, DK_MSG_REVOKED, &message);
  job = client_job(&b, "echo meanwhile");
  run_says(&b, 2, &job, "meanwhile\n");
  sh("touch go");
  struct dk_result result;
  client_result(&a, 1, &result, NULL);
  dk_result_finish(&result);
  job = gpu_job(&b, 2, "echo $DK_GPUS");
  run_says(&b, 3, &job, "0,1\n");
}

static bool is_written(void *ctx) {
  struct stat st;
  return stat(ctx, &st) == 0 && st.st_size > 0;
}

/* One that does not answer is ended, and the log (here this program's) says so. */
static void hung_smi(void **state) {
  struct dk_smi smi = DK_SMI_INIT;
  struct dk_gpus gpus = {0};
  bool busy[DK_GPU_MAX] = {false};
  char log[1100];
  (void)state;
  sh("printf '#!/bin/sh\\nexec sleep 60\\n' > bin/nvidia-smi");
  assert_true(dk_smi_start(&smi, 0));
  pid_t pid = smi.pid;
  assert_false(dk_smi_look(&smi, &gpus, UINT64_C(9999999999), busy));
  snprintf(log, sizeof log, "%s/log", a.dir);
  int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), own = dup(2);
  assert_int_equal(dup2(fd, 2), 2);
  bool is_over = dk_smi_look(&smi, &gpus, UINT64_C(10000000000), busy);
  dup2(own, 2);
  close(own);
  close(fd);
  assert_true(is_over);
  assert_int_equal(kill(pid, 0), -1);
  sh("grep -q 'nvidia-smi did not answer within 10s' log");
}

/* One that cannot be ended (it hangs in the driver) stays behind: the slot is as good as before. It is another user's
 * here, and the agent has no right to end it. For good: this is the last test. */
static void stuck_smi(void **state) {
  struct dk_message message, revoke = {.type = DK_MSG_REVOKE};
  char pid_file[1100];
  (void)state;
  if (geteuid() != 0 || prctl(PR_CAPBSET_DROP, CAP_KILL, 0, 0, 0) < 0) skip();
  start(&a);
  sh("chmod 755 .; printf '#!/usr/bin/perl\\nuse POSIX; setuid(65534); open(F, q(>), q(%s/tmp/stuck)); print F $$; "
     "close F; sleep 60;\\n' "
     "\"$PWD\" > bin/nvidia-smi; mkdir -m 777 tmp");
  struct dk_job job = gpu_job(&a, 1, "echo never");
  client_assign(&a, 1, &job);
  snprintf(pid_file, sizeof pid_file, "%s/tmp/stuck", a.dir);
  assert_true(client_wait_for(is_written, pid_file));
  revoke.id = (struct dk_id){a.inc, 1};
  client_send(&a, &revoke);
  client_expect(&a, DK_MSG_REVOKED, &message);
  for (uint64_t n = 2; n < 4; n++) {
    job = client_job(&a, "echo goes on");
    run_says(&a, n, &job, "goes on\n");
  }
  job = gpu_job(&a, 1, "echo $DK_GPUS"); /* it is not asked again as long as it is there */
  run_says(&a, 4, &job, "0\n");
  dk_autobuf pid = DK_BUF_INIT;
  assert_int_equal(dk_fs_read(pid_file, 20, &pid, NULL), 0);
  assert_int_equal(kill(atoi(dk_buf_text(&pid)), SIGKILL), 0); /* only what is exec'd has lost the right */
  sh("grep -q 'nvidia-smi (process [0-9]*) cannot be ended' log");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(gpus),    TEST(beyond),   TEST(two_agents),
                                     TEST(revoked), TEST(hung_smi), TEST(stuck_smi)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

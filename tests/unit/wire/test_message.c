/* Messages: there and back, cut off, damaged, and with every allocation failing in turn. */
#include "engine/wire/message.h"
#include "lang/base/alloc.h"
#include "lang/base/bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char *const argv[] = {(char *)"sh", (char *)"-e"};
static struct dk_pair env[] = {{(char *)"PATH", (char *)"/bin"}, {(char *)"EMPTY", (char *)""}};
static struct dk_job_input inputs[] = {{.from = (char *)"/o/ab/cd", .place = (char *)"in/x"},
                                       {.from = (char *)"/o/ef/01", .place = (char *)"tree", .is_dir = true}};
static struct dk_job_output outputs[] = {{(char *)"model", (char *)"m.bin", false},
                                         {(char *)"all", (char *)"out", true}};
static char *keep[] = {(char *)".dk-metrics"};
static char *open_paths[] = {(char *)"/data", (char *)"/r/mounted"};

static struct dk_job_input by_digest[] = {{.place = (char *)".", .is_dir = true, .digest = {{1}}},
                                          {.place = (char *)"in/b", .digest = {{0xef, 1}}}};

static struct dk_message make_assign(void) {
  struct dk_message m = {.type = DK_MSG_ASSIGN, .id = {0xfedcba9876543210u, 300}, .session = 77};
  m.u.job = (struct dk_job){.label = (char *)"train \xc3\xa9",
                            .argv = (char **)argv,
                            .n_argv = 2,
                            .script = (char *)"",
                            .env = env,
                            .n_env = 2,
                            .code = NULL,
                            .inputs = inputs,
                            .n_inputs = 2,
                            .outputs = outputs,
                            .n_outputs = 2,
                            .keep_files = keep,
                            .n_keep_files = 1,
                            .objects = (char *)"/o",
                            .timeout_ms = UINT64_MAX,
                            .grace_ms = 5000,
                            .log_cap = 64u << 20,
                            .memory = 1,
                            .cpus = 4,
                            .repository = (char *)"/r",
                            .folder = (char *)"/r/exp",
                            .open = open_paths,
                            .n_open = 2};
  return m;
}

static struct dk_kept kept[] = {
    {.digest = {{1, 2, 3}}, .size = 10, .total = 10},
    {.digest = {{9}}, .size = 0, .total = 0}, /* an empty file has a digest too */
    {.is_dir = true, .digest = {{4}}, .size = 1u << 30, .total = UINT64_MAX},
};
static struct dk_kept keep_files[] = {{.is_missing = true}, {.bytes = (char *)"a\0b", .size = 3, .total = 3}};

static struct dk_message make_result(void) {
  struct dk_message m = {.type = DK_MSG_RESULT, .id = {1, 2}, .session = 3, .seq = 4};
  m.u.result = (struct dk_result){.cause = DK_CAUSE_OUTPUT,
                                  .code = -1,
                                  .text = (char *)"words",
                                  .started_unix_ns = 5,
                                  .wall_ns = 6,
                                  .user_ns = 7,
                                  .sys_ns = 8,
                                  .max_rss = 9,
                                  .out = {.bytes = (char *)"hi\n", .size = 3, .total = 3},
                                  .err = {.digest = {{7}}, .size = 5000, .total = 900000},
                                  .outputs = kept,
                                  .n_outputs = 3,
                                  .keep_files = keep_files,
                                  .n_keep_files = 2};
  return m;
}

static size_t make_all(struct dk_message *ret) {
  size_t n = 0;
  ret[n++] = make_assign();
  ret[n++] = make_result();
  struct dk_message *m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_HELLO, .session = 5};
  memset(m->u.hello.store, 0xab, 16);
  m->u.hello.protocol = DK_PROTOCOL;
  m->u.hello.incarnation = 99;
  m->u.hello.version = (char *)"0.1";
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_WELCOME};
  m->u.welcome.protocol = DK_PROTOCOL;
  m->u.welcome.gpus = 2;
  m->u.welcome.gpu = (char *)"V100";
  m->u.welcome.free = 1u << 30;
  m->u.welcome.slots = 64;
  m->u.welcome.memory = 1u << 31;
  m->u.welcome.version = (char *)"0.1";
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_HAS, .id = {1, 1}};
  m->u.has.state = DK_ATTEMPT_ENDED;
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_STARTED, .id = {1, 1}};
  m->u.started.unix_ns = UINT64_MAX;
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_REFUSED, .id = {1, 1}};
  m->u.refused.reason = DK_REFUSED_DISK;
  m->u.refused.text = (char *)"full";
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_KILL, .id = {1, 1}};
  m->u.kill.grace_ms = 5000;
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_CLOSED};
  m->u.closed.text = (char *)"bye";
  m = &ret[n++];
  *m = make_assign();
  m->u.job.objects = NULL;
  m->u.job.inputs = by_digest;
  m->u.job.is_remote = true;
  static const enum dk_message_type wants[] = {DK_MSG_GET, DK_MSG_LACKS};
  for (size_t i = 0; i < 2; i++) {
    m = &ret[n++];
    *m = (struct dk_message){.type = wants[i], .u.want = {{{3}}, UINT64_MAX, DK_PART_MAX}};
  }
  static const enum dk_message_type parts[] = {DK_MSG_PUT, DK_MSG_PART};
  for (size_t i = 0; i < 2; i++) {
    m = &ret[n++];
    *m = (struct dk_message){.type = parts[i], .u.part = {{{3}}, 5, 8, (char *)"a\0b", 3}};
  }
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_GONE, .u.gone = {{{3}}, true, (char *)"cannot be read"}};
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_READ, .id = {1, 1}, .u.log = {.stream = 2, .offset = 7, .len = 100}};
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_LOG, .id = {1, 1}, .u.log = {2, 7, 10, (char *)"a\0b", 3}};
  m = &ret[n++];
  *m = (struct dk_message){.type = DK_MSG_PONG, .u.pong = {UINT64_MAX, 1u << 30}};
  static const enum dk_message_type plain[] = {DK_MSG_PING, DK_MSG_LIST,    DK_MSG_REVOKE,
                                               DK_MSG_ACK,  DK_MSG_HAS_END, DK_MSG_REVOKED};
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    ret[n++] = (struct dk_message){.type = plain[i], .seq = 128};
  return n;
}

static void same_text(const char *a, const char *b) {
  if (!a || !b)
    assert_ptr_equal(a, b);
  else
    assert_string_equal(a, b);
}

static void check_job(const struct dk_job *job) {
  const struct dk_message m = make_assign();
  const struct dk_job *want = &m.u.job;
  same_text(job->label, want->label);
  assert_int_equal(job->n_argv, 2);
  same_text(job->argv[1], "-e");
  same_text(job->script, "");
  assert_null(job->code);
  assert_int_equal(job->n_env, 2);
  same_text(job->env[1].name, "EMPTY");
  same_text(job->env[1].value, "");
  assert_int_equal(job->n_inputs, 2);
  same_text(job->inputs[1].from, "/o/ef/01");
  assert_true(job->inputs[1].is_dir && !job->inputs[0].is_dir);
  assert_int_equal(job->n_outputs, 2);
  same_text(job->outputs[0].path, "m.bin");
  same_text(job->keep_files[0], ".dk-metrics");
  assert_true(job->timeout_ms == UINT64_MAX && job->grace_ms == 5000 && job->memory == 1 && job->cpus == 4);
  same_text(job->repository, "/r");
  same_text(job->folder, "/r/exp");
  assert_int_equal(job->n_open, 2);
  same_text(job->open[1], "/r/mounted");
}

static void check_result(const struct dk_result *result) {
  assert_int_equal(result->cause, DK_CAUSE_OUTPUT);
  assert_int_equal(result->code, -1);
  same_text(result->text, "words");
  assert_true(result->wall_ns == 6 && result->max_rss == 9);
  same_text(result->out.bytes, "hi\n");
  assert_int_equal(result->err.digest.bytes[0], 7);
  assert_true(result->err.total == 900000 && !result->err.bytes);
  assert_int_equal(result->n_outputs, 3);
  assert_int_equal(result->outputs[1].digest.bytes[0], 9);
  assert_true(result->outputs[2].is_dir && result->outputs[2].total == UINT64_MAX);
  assert_true(result->keep_files[0].is_missing);
  assert_int_equal(result->keep_files[1].size, 3);
  assert_memory_equal(result->keep_files[1].bytes, "a\0b", 4);
}

static void there_and_back(void **state) {
  (void)state;
  struct dk_message all[32];
  size_t n = make_all(all);
  dk_autobuf stream = DK_BUF_INIT;
  for (size_t i = 0; i < n; i++) assert_int_equal(dk_message_encode(&all[i], &stream), 0);
  size_t at = 0;
  for (size_t i = 0; i < n; i++) {
    struct dk_message got;
    long used = dk_message_decode(stream.data + at, stream.len - at, &got, NULL);
    assert_true(used > 0);
    assert_int_equal(got.type, all[i].type);
    assert_true(dk_id_equal(got.id, all[i].id) && got.session == all[i].session && got.seq == all[i].seq);
    if (got.type == DK_MSG_ASSIGN && !all[i].u.job.is_remote) check_job(&got.u.job);
    if (got.type == DK_MSG_RESULT) check_result(&got.u.result);
    if (got.type == DK_MSG_HELLO) assert_memory_equal(got.u.hello.store, all[i].u.hello.store, 16);
    /* Equal messages are equal bytes. */
    dk_autobuf again = DK_BUF_INIT;
    assert_int_equal(dk_message_encode(&got, &again), 0);
    assert_int_equal(again.len, (size_t)used);
    assert_memory_equal(again.data, stream.data + at, again.len);
    at += (size_t)used;
    dk_message_finish(&got);
  }
  assert_int_equal(at, stream.len);
}

static void cut_off(void **state) {
  (void)state;
  struct dk_message m = make_result(), got;
  dk_autobuf frame = DK_BUF_INIT;
  assert_int_equal(dk_message_encode(&m, &frame), 0);
  for (size_t len = 0; len < frame.len; len++) assert_int_equal(dk_message_decode(frame.data, len, &got, NULL), 0);
}

/* Frames with a right checksum over wrong bytes: refused, or read as something that can be finished. */
static void wrong_bytes(void **state) {
  (void)state;
  struct dk_message all[32];
  size_t n = make_all(all);
  for (size_t i = 0; i < n; i++) {
    dk_autobuf frame = DK_BUF_INIT;
    assert_int_equal(dk_message_encode(&all[i], &frame), 0);
    for (size_t at = 8; at < frame.len; at++) {
      static const uint8_t flips[] = {1, 0x80, 0xff};
      for (size_t f = 0; f < sizeof flips; f++) {
        frame.data[at] = (char)((uint8_t)frame.data[at] ^ flips[f]);
        struct dk_message got;
        struct dk_error error = {0};
        assert_int_equal(dk_message_decode(frame.data, frame.len, &got, &error), -EPROTO); /* the checksum sees it */
        uint32_t crc = dk_crc32c(frame.data + 8, frame.len - 8, 0);
        char old[4];
        memcpy(old, frame.data + 4, 4);
        for (unsigned b = 0; b < 4; b++) frame.data[4 + b] = (char)(uint8_t)(crc >> (8 * b));
        if (dk_message_decode(frame.data, frame.len, &got, &error) > 0)
          dk_message_finish(&got);
        else
          assert_true(error.text[0] != '\0');
        memcpy(frame.data + 4, old, 4);
        frame.data[at] = (char)((uint8_t)frame.data[at] ^ flips[f]);
      }
    }
  }
}

/* Decodes what was encoded: refused, though every field by itself could be read. */
static void is_refused(const struct dk_message *message) {
  dk_autobuf frame = DK_BUF_INIT;
  struct dk_message got;
  assert_int_equal(dk_message_encode(message, &frame), 0);
  assert_int_equal(dk_message_decode(frame.data, frame.len, &got, NULL), -EPROTO);
}

static void against_the_rules(void **state) {
  (void)state;
  struct dk_message m = make_assign();
  m.u.job.objects = NULL; /* nowhere to put anything */
  is_refused(&m);
  m.u.job.is_remote = true; /* paths, and none for the objects */
  is_refused(&m);
  m = make_assign();
  m.u.job.inputs = by_digest; /* digests, and not remote */
  is_refused(&m);
  m.u.job.is_remote = true; /* digests, and a path for the objects */
  is_refused(&m);
  m.u.job.objects = NULL;
  m.u.job.code = (char *)"/code";
  is_refused(&m);
  m = (struct dk_message){.type = DK_MSG_PUT, .u.part = {{{3}}, 6, 8, (char *)"abc", 3}}; /* behind its end */
  is_refused(&m);
  m = (struct dk_message){.type = DK_MSG_GET, .u.want = {{{3}}, 0, DK_PART_MAX + 1}};
  is_refused(&m);
  m = (struct dk_message){.type = DK_MSG_READ, .u.log = {.stream = 3}};
  is_refused(&m);
  m = (struct dk_message){.type = DK_MSG_WELCOME};
  m.u.welcome.slots = DK_SLOTS_MAX + 1;
  is_refused(&m);
}

/* An agent of protocol 2 says less of its machine. */
static void older_welcome(void **state) {
  (void)state;
  struct dk_message m = {.type = DK_MSG_WELCOME}, got;
  m.u.welcome.protocol = 2;
  m.u.welcome.slots = DK_SLOTS_MAX;
  m.u.welcome.version = (char *)"0.0";
  dk_autobuf frame = DK_BUF_INIT;
  assert_int_equal(dk_message_encode(&m, &frame), 0);
  assert_true(dk_message_decode(frame.data, frame.len, &got, NULL) > 0);
  assert_int_equal(got.u.welcome.slots, DK_SLOTS_MAX);
  assert_null(got.u.welcome.gpu);
  dk_message_finish(&got);
}

static void bad_lengths(void **state) {
  (void)state;
  struct dk_message got;
  assert_int_equal(dk_message_decode("\0\0\0\0\0\0\0\0", 8, &got, NULL), -EPROTO);
  assert_int_equal(dk_message_decode("\xff\xff\xff\xff\0\0\0\0", 8, &got, NULL), -EPROTO);
  assert_int_equal(dk_message_decode("SSH-2.0-OpenSSH", 15, &got, NULL), -EPROTO);
}

static void results_alone(void **state) {
  (void)state;
  const struct dk_message m = make_result();
  dk_autobuf bytes = DK_BUF_INIT;
  assert_int_equal(dk_result_encode(&m.u.result, &bytes), 0);
  struct dk_result result;
  assert_int_equal(dk_result_decode(bytes.data, bytes.len, &result, NULL), 0);
  check_result(&result);
  dk_result_finish(&result);
  struct dk_error error = {0};
  assert_int_equal(dk_result_decode(bytes.data, bytes.len - 1, &result, &error), -EPROTO);
  bytes.data[0] = 2;
  assert_int_equal(dk_result_decode(bytes.data, bytes.len, &result, &error), -EPROTO);
  assert_non_null(strstr(error.text, "newer"));
}

static void no_memory(void **state) {
  (void)state;
  struct dk_message all[32];
  size_t n = make_all(all);
  for (size_t i = 0; i < n; i++) {
    dk_autobuf frame = DK_BUF_INIT;
    assert_int_equal(dk_message_encode(&all[i], &frame), 0);
    for (uint64_t at = 1;; at++) {
      struct dk_message got;
      dk_alloc_fail_at(at);
      long r = dk_message_decode(frame.data, frame.len, &got, NULL);
      dk_alloc_fail_at(0);
      if (r > 0) {
        dk_message_finish(&got);
        break;
      }
    }
    dk_autobuf out = DK_BUF_INIT;
    dk_alloc_fail_at(1);
    assert_int_equal(dk_message_encode(&all[i], &out), -ENOMEM);
    dk_alloc_fail_at(0);
    assert_int_equal(out.len, 0);
    assert_int_equal(dk_message_encode(&all[i], &out), 0);
    assert_int_equal(out.len, frame.len);
  }
}

static void names_of_causes(void **state) {
  (void)state;
  assert_string_equal(dk_cause_name(DK_CAUSE_OK), "ok");
  assert_string_equal(dk_cause_name(DK_CAUSE_LOST), "lost");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(there_and_back), cmocka_unit_test(cut_off),           cmocka_unit_test(wrong_bytes),
      cmocka_unit_test(bad_lengths),    cmocka_unit_test(against_the_rules), cmocka_unit_test(older_welcome),
      cmocka_unit_test(results_alone),  cmocka_unit_test(no_memory),         cmocka_unit_test(names_of_causes),
  };
  return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}

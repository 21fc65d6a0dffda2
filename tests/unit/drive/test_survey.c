/* Hosts asked at once: answers of every kind, never more than so many at a time, and lack of memory at every place. The
 * provider is this test's own: its hosts' names say what they do. */
#include "engine/drive/survey.h"
#include "engine/wire/message.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct dk_dial {
  struct dk_dial_options with;
  int far, timer[2]; /* the host's end; a pipe that is ready: the host answers from the loop */
};

static unsigned n_open, most_open, n_dialled;

static void put(int fd, const void *data, size_t len) {
  ssize_t n = write(fd, data, len);
  if (n != (ssize_t)len) fail_msg("the test's own stream broke");
}

static void put_message(int fd, struct dk_message *message) {
  dk_autobuf out = DK_BUF_INIT;
  if (dk_message_encode(message, &out) == 0) put(fd, out.data, out.len);
}

static void answer(struct dk_dial *dial, const char *name, int fd) {
  struct dk_message welcome = {.type = DK_MSG_WELCOME,
                               .u.welcome = {.protocol = DK_PROTOCOL,
                                             .slots = 3,
                                             .cpus = 4,
                                             .memory = 5,
                                             .gpus = 1,
                                             .gpu = (char *)(uintptr_t) "Tesla",
                                             .version = (char *)(uintptr_t) "1",
                                             .free = 6,
                                             .unix_ns = dk_unix_ns() + 9000000000u}};
  struct dk_message closed = {.type = DK_MSG_CLOSED, .u.closed.text = (char *)(uintptr_t) "go away"};
  struct dk_message other = {.type = DK_MSG_HAS_END};
  dial->far = fd;
  if (strcmp(name, "fine") == 0 || strcmp(name, "late") == 0) put_message(fd, &welcome);
  if (strcmp(name, "closed") == 0) put_message(fd, &closed);
  if (strcmp(name, "other") == 0) put_message(fd, &other);
  if (strcmp(name, "garbage") == 0) put(fd, "\xff\xff\xff\xff\xff\xff\xff\xff junk", 13);
  if (strcmp(name, "gone") != 0) return;
  shutdown(fd, SHUT_RDWR);
}

static void finish_dial(struct dk_dial *dial) {
  const char *name = dial->with.host.name;
  struct dk_host_facts facts = {.arch = "x86_64", .used = 77, .freed = 88};
  struct dk_error error = {0};
  int pair[2];
  if (strcmp(name, "refused") == 0) {
    dk_error_set(&error, -EACCES, "not let in");
    dial->with.done(dial->with.ctx, -EACCES, -1, NULL, &error);
  } else if (dial->with.way == DK_DIAL_CLEAN) {
    dial->with.done(dial->with.ctx, 0, -1, &facts, NULL);
  } else {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    answer(dial, name, pair[1]);
    dial->with.done(dial->with.ctx, 0, pair[0], &facts, NULL);
  }
}

static void on_timer(void *ctx, int fd, short revents) {
  struct dk_dial *dial = ctx;
  (void)revents;
  dk_loop_unwatch(dial->with.loop, fd);
  finish_dial(dial);
}

static int dial_it(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error) {
  *ret = NULL;
  if (strcmp(options->host.name, "impossible") == 0) return dk_error_set(error, -ENOENT, "there is no ssh");
  struct dk_dial *dial = dk_calloc(1, sizeof *dial);
  if (!dial) return dk_error_system(error, -ENOMEM, "dialling");
  *dial = (struct dk_dial){.with = *options, .far = -1, .timer = {-1, -1}};
  n_dialled++;
  if (++n_open > most_open) most_open = n_open;
  *ret = dial;
  if (strcmp(options->host.name, "late") == 0) {
    assert_int_equal(pipe(dial->timer), 0);
    put(dial->timer[1], "x", 1);
    if (dk_loop_watch(options->loop, dial->timer[0], 1 /* POLLIN */, on_timer, dial) == 0) return 0;
    close(dial->timer[0]);
    close(dial->timer[1]);
    dk_free(dial);
    *ret = NULL;
    n_open--;
    return dk_error_system(error, -ENOMEM, "dialling");
  }
  finish_dial(dial);
  return 0;
}

static const char *why_it(struct dk_dial *dial) {
  return strcmp(dial->with.host.name, "gone") == 0 ? "it tripped" : NULL;
}

static void hang_up(struct dk_dial *dial) {
  if (dial->far >= 0) close(dial->far);
  for (int i = 0; i < 2; i++) {
    if (dial->timer[i] < 0) continue;
    if (i == 0) dk_loop_unwatch(dial->with.loop, dial->timer[0]);
    close(dial->timer[i]);
  }
  n_open--;
  dk_free(dial);
}

static const struct dk_provider far_away = {
    .kind = "far", .is_remote = true, .dial = dial_it, .why = why_it, .hang_up = hang_up};
static const struct dk_provider near = {.kind = "near"};

#define MOST 64u
struct asking {
  struct dk_hosts_entry entries[MOST];
  const struct dk_hosts_entry *hosts[MOST];
  struct dk_survey_answer answers[MOST];
  uint32_t n, n_answered;
};

static void add(struct asking *asking, const struct dk_provider *provider, const char *name) {
  asking->entries[asking->n] = (struct dk_hosts_entry){.provider = provider, .config = {.provider = "p", .name = name}};
  asking->hosts[asking->n] = &asking->entries[asking->n];
  asking->n++;
}

static void on_answer(void *ctx, uint32_t index) {
  struct asking *asking = ctx;
  assert_true(index < asking->n && asking->answers[index].has_answered);
  asking->n_answered++;
}

static int ask(struct asking *asking, enum dk_dial_way way, struct dk_error *error) {
  struct dk_survey_options options = {
      .way = way, .state = "/", .agent_program = "/nowhere", .answered = on_answer, .ctx = asking};
  n_open = most_open = n_dialled = 0;
  int r = dk_survey(&options, asking->hosts, asking->n, asking->answers, error);
  assert_int_equal(n_open, 0);
  return r;
}

static void finish(struct asking *asking) {
  for (uint32_t i = 0; i < asking->n; i++) dk_survey_answer_finish(&asking->answers[i]);
}

static void all_kinds(void **state) {
  static const struct {
    const char *name;
    int code;
    const char *words;
  } cases[] = {
      {"fine", 0, NULL},
      {"late", 0, NULL},
      {"refused", -EACCES, "not let in"},
      {"impossible", -ENOENT, "there is no ssh"},
      {"gone", -ECONNRESET, "it tripped"},
      {"closed", -ECONNRESET, "go away"},
      {"other", -EPROTO, "something else than a welcome"},
      {"garbage", -EPROTO, ""},
  };
  struct asking asking = {.n = 0};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) add(&asking, &far_away, cases[i].name);
  add(&asking, &near, "local");
  assert_int_equal(ask(&asking, DK_DIAL_TRY, NULL), 0);
  assert_int_equal(asking.n_answered, asking.n);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct dk_survey_answer *answer = &asking.answers[i];
    if (answer->error.code != cases[i].code || (cases[i].words && !strstr(answer->error.text, cases[i].words)))
      fail_msg("%s: %d, %s", cases[i].name, answer->error.code, answer->error.text);
    if (cases[i].code < 0) continue;
    assert_true(answer->slots == 3 && answer->cpus == 4 && answer->memory == 5 && answer->gpus == 1 &&
                answer->free == 6 && answer->facts.used == 77);
    assert_true(answer->clock_ns > 8000000000 && answer->clock_ns < 10000000000);
    assert_string_equal(answer->gpu, "Tesla");
    assert_string_equal(answer->facts.arch, "x86_64");
  }
  assert_true(asking.answers[asking.n - 1].error.code == 0 && asking.answers[asking.n - 1].cpus > 0);
  finish(&asking);
}

static void no_stream(void **state) {
  struct asking asking = {.n = 0};
  (void)state;
  add(&asking, &far_away, "fine");
  add(&asking, &far_away, "refused");
  assert_int_equal(ask(&asking, DK_DIAL_CLEAN, NULL), 0);
  assert_true(asking.answers[0].error.code == 0 && asking.answers[0].facts.freed == 88);
  assert_int_equal(asking.answers[1].error.code, -EACCES);
  finish(&asking);
}

static void not_all_at_once(void **state) {
  struct asking asking = {.n = 0};
  (void)state;
  while (asking.n < MOST) add(&asking, &far_away, asking.n % 3 ? "late" : "fine");
  assert_int_equal(ask(&asking, DK_DIAL_TRY, NULL), 0);
  assert_int_equal(n_dialled, MOST);
  assert_true(most_open > 1 && most_open <= DK_SURVEY_AT_ONCE);
  for (uint32_t i = 0; i < MOST; i++) assert_true(asking.answers[i].error.code == 0 && asking.answers[i].slots == 3);
  finish(&asking);
  asking.n = 0;
  assert_int_equal(ask(&asking, DK_DIAL_TRY, NULL), 0); /* nobody */
}

static void no_memory(void **state) {
  (void)state;
  for (uint64_t n = 1;; n++) {
    struct asking asking = {.n = 0};
    struct dk_error error = {0};
    assert_true(n < 1000);
    add(&asking, &far_away, "late");
    add(&asking, &far_away, "fine");
    dk_alloc_fail_once(n);
    int r = ask(&asking, DK_DIAL_TRY, &error);
    bool is_over = dk_alloc_count() < n;
    dk_alloc_fail_at(0);
    if (r < 0) assert_true(error.text[0]);
    for (uint32_t i = 0; r == 0 && i < 2; i++)
      assert_true(asking.answers[i].error.code == 0 || asking.answers[i].error.text[0]);
    finish(&asking);
    if (is_over) break;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_kinds),
      cmocka_unit_test(no_stream),
      cmocka_unit_test(not_all_at_once),
      cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

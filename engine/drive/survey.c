/* See survey.h. A host is dialled; where a stream comes of it, a hello is said, and the welcome is the answer. */
#include "engine/drive/survey.h"

#include "engine/sys/machine.h"
#include "engine/sys/proc.h"
#include "engine/wire/message.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define WELCOME_NS 10000000000u
#define READ_SIZE 4096u
#define WELCOME_MOST (64u << 10) /* bytes in which it has to come */

enum phase { PHASE_WAITS, PHASE_DIALS, PHASE_GREETS, PHASE_ENDED, PHASE_CLOSED };

struct asked {
  struct survey *survey;
  const struct dk_hosts_entry *host;
  struct dk_survey_answer *answer;
  enum phase phase;
  struct dk_dial *dial; /* NULL: none */
  int fd;               /* -1: none */
  struct dk_buf in;
  uint64_t until; /* GREETS */
};

struct survey {
  const struct dk_survey_options *with;
  struct dk_loop *loop;
  struct asked *asked;
  uint32_t n, n_open, n_closed;
};

void dk_survey_answer_finish(struct dk_survey_answer *answer) {
  dk_free(answer->gpu);
  *answer = (struct dk_survey_answer){.has_answered = false};
}

static void ended(struct asked *asked, const struct dk_error *error) {
  if (error) asked->answer->error = *error;
  asked->phase = PHASE_ENDED;
}

static void ended_with(struct asked *asked, int code, const char *words) {
  struct dk_error error = {0};

  dk_error_set(&error, code, "%s", words);
  ended(asked, &error);
}

/* --- the agent --- */

static void take_welcome(struct asked *asked, const struct dk_message *message) {
  struct dk_survey_answer *answer = asked->answer;

  answer->slots = message->u.welcome.slots;
  answer->cpus = message->u.welcome.cpus;
  answer->memory = message->u.welcome.memory;
  answer->gpus = message->u.welcome.gpus;
  answer->free = message->u.welcome.free;
  answer->clock_ns = (int64_t)(message->u.welcome.unix_ns - dk_unix_ns());
  answer->gpu = message->u.welcome.gpu ? dk_strdup(message->u.welcome.gpu) : NULL;
  ended(asked, NULL);
}

static void take_message(struct asked *asked) {
  struct dk_message message;
  struct dk_error error = {0};
  long n = dk_message_decode(asked->in.data, asked->in.len, &message, &error);

  if (n < 0 || (n == 0 && asked->in.len > WELCOME_MOST)) {
    ended_with(asked, -EPROTO, n < 0 ? error.text : "its agent says too much before its welcome");
    return;
  }
  if (n == 0) return;
  if (message.type == DK_MSG_WELCOME)
    take_welcome(asked, &message);
  else if (message.type == DK_MSG_CLOSED)
    ended_with(asked, -ECONNRESET, message.u.closed.text);
  else
    ended_with(asked, -EPROTO, "its agent answers a hello with something else than a welcome");
  dk_message_finish(&message);
}

static void on_ready(void *ctx, int fd, short revents) {
  struct asked *asked = ctx;
  void *room = dk_buf_reserve(&asked->in, READ_SIZE);
  ssize_t n;

  (void)revents;
  if (!room) {
    ended_with(asked, -ENOMEM, "out of memory");
    return;
  }
  do n = read(fd, room, READ_SIZE);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    const char *why = asked->dial ? asked->host->provider->why(asked->dial) : NULL;
    ended_with(asked, -ECONNRESET, why ? why : "its agent ended at once");
    return;
  }
  dk_buf_commit(&asked->in, (size_t)n);
  take_message(asked);
}

static int say_hello(struct asked *asked) {
  struct dk_message hello = {.type = DK_MSG_HELLO, .session = dk_unix_ns()};
  dk_autobuf out = DK_BUF_INIT;

  memcpy(hello.u.hello.store, asked->survey->with->store, sizeof hello.u.hello.store);
  hello.u.hello.protocol = DK_PROTOCOL;
  hello.u.hello.incarnation = hello.session;
  hello.u.hello.version = (char *)(uintptr_t)DK_VERSION;
  int r = dk_message_encode(&hello, &out);
  if (r < 0) return r;
  /* A new stream has room for so little. */
  ssize_t n = send(asked->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return 0; /* the read that follows finds out why */
  return n == (ssize_t)out.len ? 0 : n < 0 ? -errno : -EAGAIN;
}

/* --- the way there --- */

static void on_dialled(void *ctx, int r, int fd, const struct dk_host_facts *facts, const struct dk_error *error) {
  struct asked *asked = ctx;

  if (r < 0) {
    ended(asked, error);
    return;
  }
  asked->answer->facts = *facts;
  if (fd < 0) {
    ended(asked, NULL);
    return;
  }
  asked->fd = fd;
  asked->phase = PHASE_GREETS;
  asked->until = dk_now_ns() + WELCOME_NS;
  r = dk_loop_watch(asked->survey->loop, fd, POLLIN, on_ready, asked);
  if (r == 0) r = say_hello(asked);
  if (r < 0) ended_with(asked, r, "a hello could not be said to its agent");
}

static void look_here(struct asked *asked) {
  struct dk_survey_answer *answer = asked->answer;
  struct dk_machine machine;
  struct statvfs fs;

  dk_machine_look("", &machine);
  answer->slots = answer->cpus = machine.n_cpus;
  answer->memory = machine.memory;
  answer->gpus = machine.gpus.n;
  answer->facts.used = UINT64_MAX;
  if (statvfs(asked->survey->with->state, &fs) == 0) answer->free = (uint64_t)fs.f_bavail * fs.f_frsize;
  ended(asked, NULL);
}

static void begin(struct asked *asked) {
  const struct dk_survey_options *with = asked->survey->with;
  struct dk_dial_options options = {.way = with->way,
                                    .host = asked->host->config,
                                    .state = with->state,
                                    .agent_program = with->agent_program,
                                    .loop = asked->survey->loop,
                                    .done = on_dialled,
                                    .ctx = asked};
  struct dk_error error = {0};

  asked->phase = PHASE_DIALS;
  asked->survey->n_open++;
  if (!asked->host->provider->is_remote) {
    look_here(asked);
    return;
  }
  memcpy(options.store, with->store, sizeof options.store);
  if (asked->host->provider->dial(&options, &asked->dial, &error) < 0) ended(asked, &error);
}

/* What a dial holds is given up here, never from within what it calls. */
static void close_ended(struct asked *asked) {
  struct survey *survey = asked->survey;

  if (asked->fd >= 0) {
    dk_loop_unwatch(survey->loop, asked->fd);
    close(asked->fd);
    asked->fd = -1;
  }
  if (asked->dial) asked->host->provider->hang_up(asked->dial);
  asked->dial = NULL;
  dk_buf_finish(&asked->in);
  if (asked->phase == PHASE_DIALS || asked->phase == PHASE_GREETS || asked->phase == PHASE_ENDED) survey->n_open--;
  asked->phase = PHASE_CLOSED;
}

static uint64_t look_after(struct survey *survey) {
  uint64_t now = dk_now_ns(), next = UINT64_MAX;

  for (uint32_t i = 0; i < survey->n; i++) {
    struct asked *asked = &survey->asked[i];
    if (asked->phase == PHASE_WAITS && survey->n_open < DK_SURVEY_AT_ONCE) begin(asked);
    if (asked->phase == PHASE_GREETS && now >= asked->until)
      ended_with(asked, -ETIMEDOUT, "its agent did not answer a hello within 10 s");
    if (asked->phase == PHASE_GREETS && asked->until < next) next = asked->until;
    if (asked->phase != PHASE_ENDED) continue;
    close_ended(asked);
    survey->n_closed++;
    asked->answer->has_answered = true;
    if (survey->with->answered) survey->with->answered(survey->with->ctx, i);
    next = 0; /* there may be room for one that waits */
  }
  return next;
}

int dk_survey(const struct dk_survey_options *options, const struct dk_hosts_entry *const *hosts, uint32_t n,
              struct dk_survey_answer *answers, struct dk_error *error) {
  dk_autofree struct asked *asked = dk_calloc(n + 1u, sizeof *asked);
  struct survey survey = {.with = options, .asked = asked, .n = n};

  assert(options->way != DK_DIAL_AGENT);
  if (!asked) return dk_error_system(error, -ENOMEM, "asking the hosts");
  int r = dk_loop_create(&survey.loop, error);
  if (r < 0) return r;
  for (uint32_t i = 0; i < n; i++)
    asked[i] = (struct asked){.survey = &survey, .host = hosts[i], .answer = &answers[i], .fd = -1};
  while (r >= 0 && survey.n_closed < n) {
    uint64_t next = look_after(&survey);
    if (survey.n_closed < n) r = dk_loop_once(survey.loop, next);
  }
  if (r < 0) dk_error_system(error, r, "asking the hosts");
  for (uint32_t i = 0; i < n; i++)
    if (asked[i].phase != PHASE_CLOSED) close_ended(&asked[i]);
  dk_providers_settle();
  dk_loop_destroy(survey.loop);
  return r < 0 ? r : 0;
}

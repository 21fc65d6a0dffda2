/* The engine's door for other processes: see service.h. Clients are few; each has its buffers and the one run that it
 * watches. */
#include "engine/drive/service_priv.h"

#include "engine/sys/sock.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct dk_service {
  struct dk_loop *loop;
  struct dk_engine *engine; /* NULL: not yet */
  struct dk_engine_observer local;
  char *path;
  int listener;
  struct stat bound; /* the socket's file */
  uint32_t slots;
  char *where; /* as the engine has told it last; NULL: not yet */
  bool is_dismissed;
  bool is_deaf; /* nobody can be let in now (too many open files): until the next tick the listener is not watched */
  struct dk_service_client **clients;
  uint32_t n_clients, cap_clients;
};

static void on_client(void *ctx, int fd, short revents);

/* --- sending --- */

void dk_service_send(struct dk_service_client *client, const struct dk_talk *talk) {
  if (client->is_gone) return;
  if (dk_talk_send(&client->stream, talk) < 0) {
    client->is_gone = true;
    return;
  }
  short events = (short)(POLLIN | (dk_talk_wants_out(&client->stream) ? POLLOUT : 0));
  if (dk_loop_watch(client->service->loop, client->stream.fd, events, on_client, client) < 0) client->is_gone = true;
}

void dk_service_refuse(struct dk_service_client *client, int code, const char *text) {
  dk_service_send(client, &(struct dk_talk){.kind = DK_TALK_REFUSED, .value = code, .text = (char *)text});
}

static void send_words(void *ctx, const char *text) {
  dk_service_send(ctx, &(struct dk_talk){.kind = DK_TALK_SAY, .text = (char *)(uintptr_t)text});
}

static void send_where(struct dk_service_client *client) {
  const struct dk_service *service = client->service;

  if (service->where)
    dk_service_send(client,
                    &(struct dk_talk){.kind = DK_TALK_WHERE, .value = (int32_t)service->slots, .text = service->where});
}

/* --- what clients ask --- */

/* Who came by another folder's name for our state folder (a link that was copied, a copy by hard links) means another
 * repository: its files are not ours. */
static bool is_of_root(const struct dk_service *service, const char *root) {
  dk_autofree char *own = dk_strndup(service->path, strlen(service->path) - strlen("/.dkrun/" DK_TALK_SOCKET));
  struct stat ours, theirs;

  return !*root || !own || stat(own, &ours) < 0 || stat(root, &theirs) < 0 ||
         (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino);
}

static void on_hello(struct dk_service_client *client, const struct dk_talk *talk) {
  if (talk->value == DK_TALK_PROTOCOL && !is_of_root(client->service, talk->text)) {
    struct dk_error error = {0};
    dk_error_set(
        &error, -EXDEV,
        "the state folder of this repository is also that of another one, whose engine is at work: %s\nhelp: give "
        "this one its own, by `rm -r .dkrun` here (nothing of the other one goes)",
        client->service->path);
    dk_service_refuse(client, error.code, error.text);
    return;
  }
  client->is_known = talk->value == DK_TALK_PROTOCOL;
  dk_service_send(
      client,
      &(struct dk_talk){.kind = DK_TALK_WELCOME, .value = DK_TALK_PROTOCOL, .text = (char *)(uintptr_t)DK_VERSION});
}

static void on_submit(struct dk_service_client *client, const struct dk_talk *talk) {
  struct dk_submitted submitted;
  struct dk_error error = {0};
  dk_autofree struct dk_check_given *given = dk_calloc(talk->submit.n_given + 1, sizeof *given);

  if (!given) {
    dk_service_refuse(client, -ENOMEM, "out of memory");
    return;
  }
  for (uint32_t i = 0; i < talk->submit.n_given; i++)
    given[i] = (struct dk_check_given){talk->submit.given[i].name, talk->submit.given[i].value};
  struct dk_submission submission = {
      .file = talk->submit.file,
      .given = given,
      .n_given = talk->submit.n_given,
      .params = talk->submit.params,
      .variables = talk->submit.variables,
      .jobs = talk->submit.jobs,
      .priority = talk->submit.priority,
      .paused = talk->submit.paused,
      .refuse_dirty = talk->submit.refuse_dirty,
      .prune = talk->submit.prune,
      .consent = talk->submit.consent,
  };
  int r = dk_engine_submit(client->service->engine, &submission, &submitted, &error);
  if (r < 0) {
    dk_service_refuse(client, r, error.text);
  } else {
    client->run = submitted.run;
    dk_service_send(client, &(struct dk_talk){.kind = DK_TALK_SUBMITTED,
                                              .run = submitted.run,
                                              .value = submitted.is_under_way,
                                              .text = (char *)(uintptr_t)dk_buf_text(&submitted.notes)});
    send_where(client);
    dk_engine_each_trouble(client->service->engine, send_words, client);
  }
  dk_buf_finish(&submitted.notes);
  dk_engine_wake(client->service->engine);
}

static void on_watch(struct dk_service_client *client, uint32_t run) {
  if (!dk_engine_has_run(client->service->engine, run)) {
    dk_service_refuse(client, -ENOENT, "the run has ended");
    return;
  }
  client->run = run;
  dk_service_send(client, &(struct dk_talk){.kind = DK_TALK_SUBMITTED, .run = run, .value = 1, .text = (char *)""});
  send_where(client);
  dk_engine_each_trouble(client->service->engine, send_words, client);
}

static void on_ask(struct dk_service_client *client, const struct dk_talk *talk) {
  struct dk_error error = {0};
  int r = dk_engine_ask(client->service->engine, talk->run, &talk->ask, &error);

  if (r < 0)
    dk_service_refuse(client, r, error.text);
  else
    dk_service_send(client, &(struct dk_talk){.kind = DK_TALK_DONE, .run = talk->run});
  dk_engine_wake(client->service->engine);
}

static void on_release(struct dk_service_client *client, const struct dk_talk *talk) {
  struct dk_error error = {0};
  int r = dk_engine_release(client->service->engine, *talk->text ? talk->text : NULL, talk->value == 1, &error);

  if (r < 0)
    dk_service_refuse(client, r, error.text);
  else
    dk_service_send(client, &(struct dk_talk){.kind = DK_TALK_DONE});
  dk_engine_wake(client->service->engine);
}

static void on_leave(struct dk_service_client *client) {
  struct dk_service *service = client->service;

  if (dk_engine_n_runs(service->engine) > 0 || service->n_clients > 1) {
    dk_service_refuse(client, -EBUSY, "it is at work");
    return;
  }
  service->is_dismissed = true;
  dk_service_send(client, &(struct dk_talk){.kind = DK_TALK_DONE});
  dk_engine_wake(service->engine);
}

static void hear(struct dk_service_client *client, const struct dk_talk *talk) {
  if (talk->kind != DK_TALK_HELLO && (!client->is_known || !client->service->engine)) {
    client->is_gone = true;
    return;
  }
  switch (talk->kind) {
  case DK_TALK_HELLO: on_hello(client, talk); break;
  case DK_TALK_SUBMIT: on_submit(client, talk); break;
  case DK_TALK_WATCH: on_watch(client, talk->run); break;
  case DK_TALK_ASK: on_ask(client, talk); break;
  case DK_TALK_RELEASE: on_release(client, talk); break;
  case DK_TALK_LEAVE: on_leave(client); break;
  case DK_TALK_FETCH:
    dk_service_fetch(client, client->service->engine, talk);
    dk_engine_wake(client->service->engine);
    break;
  case DK_TALK_READ: dk_service_read(client, client->service->engine, talk); break;
  case DK_TALK_WELCOME:
  case DK_TALK_SUBMITTED:
  case DK_TALK_DONE:
  case DK_TALK_REFUSED:
  case DK_TALK_NOTE:
  case DK_TALK_ENDED:
  case DK_TALK_SAY:
  case DK_TALK_WHERE:
  case DK_TALK_PROGRESS:
  case DK_TALK_LOG: client->is_gone = true; break;
  }
}

/* --- clients --- */

static void destroy(struct dk_service_client *client) {
  dk_loop_unwatch(client->service->loop, client->stream.fd);
  dk_talk_close(&client->stream);
  dk_free(client);
}

static void drop_gone(struct dk_service *service) {
  uint32_t kept = 0;

  for (uint32_t i = 0; i < service->n_clients; i++) {
    struct dk_service_client *client = service->clients[i];
    if (!client->is_gone) {
      service->clients[kept++] = client;
      continue;
    }
    if (service->engine) dk_engine_leave(service->engine, client);
    destroy(client);
  }
  if (kept < service->n_clients && service->engine) dk_engine_wake(service->engine);
  service->n_clients = kept;
}

static void on_client(void *ctx, int fd, short revents) {
  struct dk_service_client *client = ctx;
  struct dk_service *service = client->service;
  struct dk_talk talk;
  int r = 1;

  (void)fd;
  if (revents & POLLOUT && dk_talk_flush(&client->stream) < 0) client->is_gone = true;
  if (revents & (POLLIN | POLLHUP | POLLERR)) r = dk_talk_read(&client->stream);
  if (r < 0) client->is_gone = true;
  while (!client->is_gone && (r = dk_talk_next(&client->stream, &talk)) > 0) {
    hear(client, &talk);
    dk_talk_finish(&talk);
  }
  if (r < 0) client->is_gone = true;
  if (!client->is_gone && !dk_talk_wants_out(&client->stream))
    (void)dk_loop_watch(service->loop, client->stream.fd, POLLIN, on_client, client); /* it is watched already */
  drop_gone(service);
}

static int add_client(struct dk_service *service, int fd) {
  if (!dk_grow(service->clients, service->n_clients, service->cap_clients)) return -ENOMEM;
  struct dk_service_client *client = dk_calloc(1, sizeof *client);
  if (!client) return -ENOMEM;
  *client = (struct dk_service_client){.service = service, .stream = {.fd = fd}};
  if (dk_loop_watch(service->loop, fd, POLLIN, on_client, client) < 0) {
    dk_free(client);
    return -ENOMEM;
  }
  service->clients[service->n_clients++] = client;
  return 0;
}

static void on_listener(void *ctx, int fd, short revents) {
  struct dk_service *service = ctx;
  int client;

  (void)revents;
  while ((client = dk_sock_accept(fd, NULL)) >= 0) {
    /* The folder was moved, and this engine's paths lead to where it was: whoever found it starts the next one. */
    service->is_dismissed |= dk_service_is_gone(service);
    if (service->is_dismissed || add_client(service, client) < 0) close(client);
  }
  if (client != -EAGAIN) {
    service->is_deaf = true;
    dk_loop_unwatch(service->loop, fd);
  }
  if (service->is_dismissed && service->engine) dk_engine_wake(service->engine);
}

/* --- what the engine tells --- */

static void on_note(void *ctx, uint32_t run, const struct dk_engine_note *note) {
  struct dk_service *service = ctx;

  for (uint32_t i = 0; i < service->n_clients; i++) {
    if (service->clients[i]->run == run)
      dk_service_send(service->clients[i], &(struct dk_talk){.kind = DK_TALK_NOTE, .run = run, .note = *note});
  }
  if (service->local.note) service->local.note(service->local.ctx, run, note);
}

static void on_ended(void *ctx, uint32_t run, enum dk_run_state state) {
  struct dk_service *service = ctx;
  struct dk_talk talk = {.kind = DK_TALK_ENDED, .run = run, .value = (int32_t)state, .text = (char *)""};

  for (uint32_t i = 0; i < service->n_clients; i++)
    if (service->clients[i]->run == run) dk_service_send(service->clients[i], &talk);
  if (service->local.ended) service->local.ended(service->local.ctx, run, state);
}

static void on_say(void *ctx, const char *text) {
  struct dk_service *service = ctx;

  for (uint32_t i = 0; i < service->n_clients; i++)
    if (service->clients[i]->is_known) send_words(service->clients[i], text);
  if (service->local.say) service->local.say(service->local.ctx, text);
}

static void on_where(void *ctx, uint32_t slots, const char *text) {
  struct dk_service *service = ctx;
  char *where = dk_strdup(text);

  if (!where) return; /* what was said before stays */
  dk_free(service->where);
  service->where = where;
  service->slots = slots;
  for (uint32_t i = 0; i < service->n_clients; i++)
    if (service->clients[i]->is_known) send_where(service->clients[i]);
  if (service->local.where) service->local.where(service->local.ctx, slots, text);
}

static uint64_t on_tick(void *ctx, uint64_t now_ns) {
  struct dk_service *service = ctx;

  drop_gone(service);
  if (service->is_deaf) {
    service->is_deaf = false;
    (void)dk_loop_watch(service->loop, service->listener, POLLIN, on_listener, service);
  }
  return service->local.tick ? service->local.tick(service->local.ctx, now_ns) : UINT64_MAX;
}

struct dk_engine_observer dk_service_observer(struct dk_service *service) {
  return (struct dk_engine_observer){service, on_note, on_ended, on_say, on_where, on_tick};
}

/* --- the door --- */

int dk_service_create(const char *state, struct dk_loop *loop, const struct dk_engine_observer *local,
                      struct dk_service **ret, struct dk_error *error) {
  struct dk_service *service = dk_calloc(1, sizeof *service);
  dk_autobuf path = DK_BUF_INIT;

  *ret = NULL;
  dk_buf_printf(&path, "%s/" DK_TALK_SOCKET, state);
  char *owned = dk_buf_steal(&path);
  if (!service || !owned) {
    dk_free(service);
    dk_free(owned);
    return dk_error_system(error, -ENOMEM, "opening the engine's socket");
  }
  *service = (struct dk_service){.loop = loop, .local = *local, .path = owned};
  service->listener = dk_sock_listen(owned, 16, error);
  int r = service->listener < 0 ? service->listener : 0;
  if (r == 0 && stat(owned, &service->bound) < 0) r = dk_error_system(error, -errno, "opening %s", owned);
  if (r < 0) {
    dk_service_destroy(service);
    return r;
  }
  *ret = service;
  return 0;
}

void dk_service_serve(struct dk_service *service, struct dk_engine *engine) {
  service->engine = engine;
  (void)dk_loop_watch(service->loop, service->listener, POLLIN, on_listener, service);
}

uint32_t dk_service_n_clients(const struct dk_service *service) {
  return service->n_clients;
}

bool dk_service_is_dismissed(const struct dk_service *service) {
  return service->is_dismissed;
}

bool dk_service_is_gone(const struct dk_service *service) {
  struct stat st;

  return stat(service->path, &st) < 0 || st.st_ino != service->bound.st_ino || st.st_dev != service->bound.st_dev;
}

void dk_service_destroy(struct dk_service *service) {
  if (!service) return;
  for (uint32_t i = 0; i < service->n_clients; i++) destroy(service->clients[i]);
  dk_free(service->clients);
  if (service->listener >= 0) {
    dk_loop_unwatch(service->loop, service->listener);
    if (service->bound.st_ino && !dk_service_is_gone(service)) unlink(service->path);
    close(service->listener);
  }
  dk_free(service->path);
  dk_free(service->where);
  dk_free(service);
}

/* Watching a run of another process: see remote.h. */
#include "engine/cli/remote.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

struct remote {
  struct dk_cli *cli;
  struct dk_client *client;
  struct dk_loop *loop;
  struct dk_watch *watch;
  uint32_t run;
  bool has_ended, is_left, is_broken;
  int n_broken; /* in a row, without a word of the engine between */
};

static void on_ready(void *ctx, int fd, short revents);

static int listen_to(struct remote *remote) {
  short events = (short)(POLLIN | (dk_talk_wants_out(&remote->client->stream) ? POLLOUT : 0));

  return dk_loop_watch(remote->loop, remote->client->stream.fd, events, on_ready, remote);
}

static void hear(struct remote *remote, const struct dk_talk *talk) {
  remote->n_broken = 0;
  switch (talk->kind) {
  case DK_TALK_NOTE:
    if (talk->run == remote->run) dk_watch_note(remote->watch, &talk->note);
    break;
  case DK_TALK_ENDED: remote->has_ended |= talk->run == remote->run; break;
  case DK_TALK_SAY:
  case DK_TALK_REFUSED: dk_watch_say(remote->watch, talk->text); break;
  case DK_TALK_WHERE: dk_watch_where(remote->watch, (uint32_t)talk->value, talk->text); break;
  case DK_TALK_HELLO:
  case DK_TALK_SUBMIT:
  case DK_TALK_WATCH:
  case DK_TALK_ASK:
  case DK_TALK_LEAVE:
  case DK_TALK_FETCH:
  case DK_TALK_READ:
  case DK_TALK_RELEASE:
  case DK_TALK_WELCOME:
  case DK_TALK_SUBMITTED:
  case DK_TALK_PROGRESS:
  case DK_TALK_LOG:
  case DK_TALK_DONE: break;
  }
}

static void hear_all(struct remote *remote) {
  struct dk_talk talk;

  while (dk_talk_next(&remote->client->stream, &talk) > 0) {
    hear(remote, &talk);
    dk_talk_finish(&talk);
  }
}

static void on_ready(void *ctx, int fd, short revents) {
  struct remote *remote = ctx;
  int r = 0;

  (void)fd;
  if (revents & POLLOUT) r = dk_talk_flush(&remote->client->stream);
  if (r >= 0 && revents & (POLLIN | POLLHUP | POLLERR)) r = dk_talk_read(&remote->client->stream);
  hear_all(remote); /* what came before the end counts */
  if (r < 0 || listen_to(remote) < 0) remote->is_broken = true;
}

/* What the engine said behind its answer may have been read together with that. */
static int begin(struct remote *remote) {
  hear_all(remote);
  return listen_to(remote);
}

static void on_wish(void *ctx, enum dk_wish wish) {
  struct remote *remote = ctx;
  struct dk_talk talk = {
      .kind = DK_TALK_ASK, .run = remote->run, .ask = {.kind = DK_EV_CANCEL, .is_hard = wish == DK_WISH_CANCEL_HARD}};

  if (wish == DK_WISH_DETACH)
    remote->is_left = true;
  else if (dk_talk_send(&remote->client->stream, &talk) < 0 || listen_to(remote) < 0)
    remote->is_broken = true;
}

/* The engine died: the next one takes the run up. It has ended when that does not know it any more. */
static int reconnect(struct remote *remote, struct dk_error *error) {
  struct dk_talk watch = {.kind = DK_TALK_WATCH, .run = remote->run}, answer;

  if (remote->client->stream.fd >= 0) dk_loop_unwatch(remote->loop, remote->client->stream.fd);
  dk_client_close(remote->client);
  if (++remote->n_broken > 3) return dk_error_set(error, -EIO, "the engine ended again and again");
  dk_watch_say(remote->watch, "the engine has gone; starting it again");
  int r = dk_client_start_call(remote->cli, &watch, remote->client, &answer, error);
  dk_talk_finish(&answer);
  if (r == -ENOENT) {
    remote->has_ended = true;
    return 0;
  }
  remote->is_broken = false;
  return r < 0 ? r : begin(remote);
}

static int follow(struct remote *remote, struct dk_error *error) {
  int r = remote->has_ended ? 0 : begin(remote);

  while (r >= 0 && !remote->has_ended && !remote->is_left) {
    if (remote->is_broken) {
      r = reconnect(remote, error);
      continue;
    }
    r = dk_loop_once(remote->loop, dk_watch_tick(remote->watch, dk_now_ns()));
    if (r < 0) dk_error_system(error, r, "watching run %u", remote->run);
  }
  return r < 0 ? r : 0;
}

static int watch(struct remote *remote, struct dk_store *store, const struct dk_objects *objects,
                 const struct dk_remote_options *options, struct dk_error *error) {
  struct dk_watch_options with = {.cli = remote->cli,
                                  .loop = remote->loop,
                                  .store = store,
                                  .objects = objects,
                                  .run = remote->run,
                                  .mode = options->mode,
                                  .jobs = options->jobs,
                                  .catches_up = true,
                                  .asks = options->asks,
                                  .wish = on_wish,
                                  .ctx = remote};
  int r = dk_watch_create(&with, &remote->watch, error);

  if (r < 0) return r;
  r = follow(remote, error);
  dk_watch_leave(remote->watch);
  if (r == 0 && remote->is_left) {
    fprintf(stderr, "dkrun: run %u goes on; `dkrun attach %u` watches it again, `dkrun cancel --run %u` ends it\n",
            remote->run, remote->run, remote->run);
    r = DK_EXIT_OK;
  } else if (r == 0) {
    r = dk_watch_print_end(remote->watch, error);
  }
  dk_watch_destroy(remote->watch);
  return r;
}

int dk_remote_watch(struct dk_cli *cli, struct dk_client *client, uint32_t run,
                    const struct dk_remote_options *options) {
  struct remote remote = {.cli = cli, .client = client, .run = run, .has_ended = client->stream.fd < 0};
  struct dk_error error = {0};
  struct dk_store *store = NULL;
  struct dk_objects objects = {.fd = -1};
  int r = dk_cli_open_store(cli, &store, &objects, &error);

  if (r == 0) r = dk_loop_create(&remote.loop, &error);
  if (r == 0) r = watch(&remote, store, &objects, options, &error);
  dk_client_close(client);
  dk_loop_destroy(remote.loop);
  if (store) {
    dk_objects_close(&objects);
    dk_store_close(store);
  }
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : r;
}

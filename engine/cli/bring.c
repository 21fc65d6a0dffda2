/* See bring.h. */
#include "engine/cli/bring.h"

#include "engine/cli/client.h"
#include "engine/cli/term.h"
#include "engine/store/hosts.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LARGE (8u << 20) /* bytes from which on it is worth a line that moves */
#define TRIES 3          /* engines that end on the way */
#define SECOND UINT64_C(1000000000)

int dk_bring_add(struct dk_bring *bring, struct dk_store *store, const struct dk_objects *objects,
                 const struct dk_wanted *wanted, struct dk_error *error) {
  struct dk_copy copy;
  int has = dk_objects_has_content(objects, &wanted->content, wanted->is_dir, error);

  if (has != 0) return has < 0 ? has : 0;
  has = dk_store_find_copy(store, &wanted->content, NULL, NULL, &copy, error);
  if (has == -ENOENT) return 0; /* it is nowhere: told of where it is used */
  if (has < 0) return has;
  if (!dk_grow(bring->wanted, bring->n, bring->cap)) return dk_error_system(error, -ENOMEM, "listing what is wanted");
  bring->wanted[bring->n++] = *wanted;
  return 0;
}

void dk_bring_finish(struct dk_bring *bring) {
  dk_free(bring->wanted);
  *bring = (struct dk_bring){0};
}

/* --- what is shown of it --- */

struct view {
  bool is_drawn, can_draw;
  char *waits; /* said last */
  uint64_t since_ns;
};

static void clear(struct view *view) {
  if (view->is_drawn) fputs("\r\x1b[K", stderr);
  view->is_drawn = false;
}

static void say_waits(struct view *view, const char *waits) {
  if (!*waits || (view->waits && strcmp(view->waits, waits) == 0)) return;
  clear(view);
  dk_cli_failf(DK_EXIT_OK, "%s", waits);
  dk_free(view->waits);
  view->waits = dk_strdup(waits); /* without memory it is said again */
}

/* "fetching 45.2 MB of 3.0 GB, 40 MB/s" */
static void draw(struct view *view, uint64_t here, uint64_t total) {
  char got[DK_NUMBER_TEXT], all[DK_NUMBER_TEXT], rate[DK_NUMBER_TEXT];
  uint64_t past = dk_now_ns() - view->since_ns;

  if (!view->can_draw || total < LARGE) return;
  dk_number_size_text(here, got);
  dk_number_size_text(total, all);
  dk_number_size_text(past ? (uint64_t)((double)here * 1e9 / (double)past) : 0, rate);
  fprintf(stderr, "\r\x1b[Kfetching %s of %s, %s/s", got, all, rate);
  view->is_drawn = true;
}

/* --- talking --- */

/* 1: all are here; negative: refused, or the engine has gone (dk_client_is_lost). */
static int hear(struct dk_client *client, struct view *view, uint32_t *ret_which, struct dk_error *error) {
  struct dk_talk talk;
  int r = dk_client_next(client, SECOND, &talk);

  if (r <= 0) return r;
  r = 0;
  if (talk.kind == DK_TALK_PROGRESS) {
    say_waits(view, talk.text);
    draw(view, talk.progress.here, talk.progress.total);
  } else if (talk.kind == DK_TALK_REFUSED) {
    *ret_which = talk.run;
    r = dk_error_set(error, talk.value < 0 && !dk_client_is_lost(talk.value) ? talk.value : -EIO, "%s", talk.text);
  } else if (talk.kind == DK_TALK_DONE) {
    r = 1;
  }
  dk_talk_finish(&talk);
  return r;
}

static int fetch(struct dk_cli *cli, const struct dk_bring *bring, struct view *view, uint32_t *ret_which,
                 struct dk_error *error) {
  const struct dk_talk talk = {.kind = DK_TALK_FETCH, .wanted = bring->wanted, .n_wanted = bring->n};
  struct dk_client client = DK_CLIENT_INIT;
  int r = dk_client_start(cli, &client, error);

  if (r < 0) return r;
  r = dk_talk_send(&client.stream, &talk);
  if (r < 0 && !dk_client_is_lost(r)) dk_error_system(error, r, "asking the engine for what is at hosts");
  while (r == 0) r = hear(&client, view, ret_which, error);
  dk_client_close(&client);
  return r;
}

int dk_bring(struct dk_cli *cli, const struct dk_bring *bring, uint32_t *ret_which, struct dk_error *error) {
  struct view view = {.can_draw = dk_term_can_draw(STDERR_FILENO), .since_ns = dk_now_ns()};
  int r = bring->n ? -ECONNRESET : 1;

  *ret_which = 0;
  for (int i = 0; i < TRIES && dk_client_is_lost(r); i++) r = fetch(cli, bring, &view, ret_which, error);
  if (dk_client_is_lost(r))
    dk_error_set(error, r, "the engine ended again and again\nhelp: its words are in .dkrun/engine.log");
  clear(&view);
  dk_free(view.waits);
  return r < 0 ? r : 0;
}

/* Objects that come: what is there of one already, each part, and what becomes of it when it is whole. */
#include "engine/agent/fetch_private.h"
#include "lang/base/alloc.h"

#include <errno.h>

#define WRONG_MAX 3u

static void drop_partial(struct dk_fetch *f, struct lacked *lacked) {
  if (!lacked->partial) return;
  dk_partial_reset(lacked->partial, &f->objects, &lacked->digest);
  dk_free(lacked->partial);
  lacked->partial = NULL;
}

static int need_partial(struct lacked *lacked, uint64_t size) {
  if (lacked->partial) return 0;
  lacked->partial = dk_alloc(sizeof *lacked->partial);
  if (!lacked->partial) return -ENOMEM;
  dk_partial_init(lacked->partial, size);
  return 0;
}

void dk_fetch_ask(struct dk_fetch *f, struct lacked *lacked) {
  if (lacked->is_said || lacked->is_reading) return;
  lacked->is_said = f->say(f->ctx, &lacked->digest, lacked->partial ? lacked->partial->at : 0);
}

static void ask_again(struct dk_fetch *f, struct lacked *lacked) {
  drop_partial(f, lacked);
  lacked->is_said = false;
  dk_fetch_ask(f, lacked);
}

int dk_fetch_begin(struct dk_fetch *f, uint32_t at) {
  struct lacked *lacked = &f->lacked[at];
  uint64_t size = dk_partial_look(&f->objects, &lacked->digest);
  if (size > 0) {
    if (!dk_grow(f->reading, f->n_reading, f->cap_reading) || need_partial(lacked, size) < 0) return -ENOMEM;
    f->reading[f->n_reading++] = at;
    lacked->is_reading = true;
  }
  dk_fetch_ask(f, lacked);
  return 0;
}

static void fail(struct dk_fetch *f, struct lacked *lacked, int r, const struct dk_error *error) {
  drop_partial(f, lacked); /* on a full disk it would stand in the way of others */
  dk_fetch_fail(f, lacked, dk_fetch_refusal(r), error->text);
}

static void complete(struct dk_fetch *f, struct lacked *lacked) {
  struct dk_error error = {0};
  int r = dk_partial_place(lacked->partial, &f->objects, &lacked->digest, &error);
  if (r == 0) {
    dk_fetch_arrived(f, lacked);
  } else if (r != -EBADMSG) {
    fail(f, lacked, r, &error);
  } else if (++lacked->n_wrong < WRONG_MAX) {
    ask_again(f, lacked);
  } else {
    char hex[DK_DIGEST_HEX + 1];
    dk_digest_hex(&lacked->digest, hex);
    dk_error_set(
        &error, -EIO,
        "the content of an input (%.12s) was another one than its digest says, %u times in a row\nhelp: a disk "
        "or a network on its way is broken, or `.dkrun/objects` is damaged: `dkrun fsck` looks there",
        hex, WRONG_MAX);
    fail(f, lacked, -EIO, &error);
  }
}

void dk_fetch_read(struct dk_fetch *f) {
  struct lacked *lacked = &f->lacked[f->reading[f->n_reading - 1]];
  int r = lacked->is_live && lacked->is_reading ? dk_partial_read(lacked->partial, &f->objects, &lacked->digest) : 0;
  if (r == 1) return;
  f->n_reading--;
  if (!lacked->is_live || !lacked->is_reading) return;
  lacked->is_reading = false;
  if (r < 0)
    ask_again(f, lacked);
  else if (dk_partial_is_whole(lacked->partial, &lacked->digest))
    complete(f, lacked); /* only its name was missing */
  else
    dk_fetch_ask(f, lacked);
}

void dk_fetch_part(struct dk_fetch *f, const struct dk_digest *digest, uint64_t offset, uint64_t total,
                   const void *bytes, size_t len) {
  struct lacked *lacked = dk_fetch_find(f, digest);
  if (!lacked || lacked->is_reading) return;
  /* More is there than the object has: it is none of it. */
  if (offset == 0 && lacked->partial && total < lacked->partial->at) drop_partial(f, lacked);
  uint64_t at = lacked->partial ? lacked->partial->at : 0;
  if (offset != at || (len == 0 && at < total)) return;
  struct dk_error error = {0};
  int r = need_partial(lacked, 0);
  if (r < 0) dk_error_set(&error, r, "no memory to take an input");
  bool is_last = at + len == total;
  if (r == 0 && (len > 0 || at == 0))
    r = dk_partial_add(lacked->partial, &f->objects, digest, bytes, len, is_last, &error);
  if (r == -ESTALE)
    ask_again(f, lacked);
  else if (r < 0)
    fail(f, lacked, r, &error);
  else if (is_last)
    complete(f, lacked);
}

void dk_fetch_gone(struct dk_fetch *f, const struct dk_digest *digest, const char *text) {
  struct lacked *lacked = dk_fetch_find(f, digest);
  if (!lacked) return;
  dk_fetch_fail(f, lacked, DK_REFUSED_DATA, text && *text ? text : "the engine has an input of it no more");
}

/* See pull.h. Here: asking an agent for parts, and taking them. */
#include "engine/drive/pull_priv.h"

#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>

/* --- asking --- */

/* By the size that is said of the copy. An empty content is asked for too. */
static bool has_more_to_ask(const struct dk_pull_item *item) {
  return item->asked == 0 || item->asked < dk_pull_source_of(item, item->host)->size;
}

static int ask(struct dk_pull_queue *queue, struct dk_pull_item *item) {
  struct dk_message get = {.type = DK_MSG_GET, .session = item->host->session};

  get.u.want.digest = item->content;
  get.u.want.offset = item->asked;
  get.u.want.len = DK_PART_MAX;
  int r = dk_link_send(item->host->link, &get);
  if (r < 0) return r;
  if (queue->n_asked == 0) queue->since = dk_now_ns();
  queue->asked[(queue->first_asked + queue->n_asked++) % DK_PULL_PARTS_MAX] =
      (struct dk_pull_asked){.content = item->content, .is_dir = item->is_dir};
  item->asked += DK_PART_MAX;
  return 0;
}

void dk_pull_pump(struct dk_pulls *pulls, struct dk_engine_host *host) {
  struct dk_pull_queue *queue = dk_pull_queue_of(pulls, host);

  if (!queue || !host->link || !host->session) return;
  for (unsigned order = DK_PULL_URGENT + 1; order-- > 0;)
    for (struct dk_pull_item *item = queue->by_order[order].first; item && queue->n_asked < DK_PULL_PARTS_MAX;
         item = item->next)
      while (queue->n_asked < DK_PULL_PARTS_MAX && has_more_to_ask(item))
        if (ask(queue, item) < 0) return; /* no memory: at the next chance */
}

/* --- what comes --- */

static int open_file(struct dk_pulls *pulls, struct dk_pull_item *item, struct dk_error *error) {
  int r = dk_objects_tmp(&pulls->engine->with.folder->objects, item->tmp, &item->fd, error);

  if (r < 0) {
    item->fd = -1;
    return r;
  }
  dk_content_init(&item->hasher);
  return 0;
}

void dk_pull_close_tmp(struct dk_pulls *pulls, struct dk_pull_item *item) {
  if (item->fd < 0) return;
  dk_objects_drop(&pulls->engine->with.folder->objects, item->tmp, item->fd);
  dk_content_finish(&item->hasher);
  item->fd = -1;
}

void dk_pull_begin_anew(struct dk_pulls *pulls, struct dk_pull_item *item) {
  dk_pull_close_tmp(pulls, item);
  dk_pull_tell_directories(item, -(int64_t)item->taken);
  item->taken = item->asked = 0;
  item->is_mixed = false;
}

/* What this machine says of its own files is nothing that is known of the host. */
static int own(int r) {
  return dk_pull_is_of_host(r) ? -EIO : r;
}

/* It is a host's fault when all of it came from there; else it is asked for once more there, all of it. */
static void altered(struct dk_pulls *pulls, struct dk_pull_item *item) {
  bool is_mixed = item->is_mixed;

  dk_pull_begin_anew(pulls, item);
  if (!is_mixed) dk_pull_fail(pulls, item, -EBADMSG, "what it sent is not the content that was asked for");
}

/* All its bytes are in tmp/. */
static void finish(struct dk_pulls *pulls, struct dk_pull_item *item) {
  struct dk_objects *objects = &pulls->engine->with.folder->objects;
  struct dk_digest is;
  struct dk_error error = {0};
  int r = dk_content_get(&item->hasher, &is);
  int fd = item->fd;

  item->fd = -1;
  if (r < 0 || !dk_digest_equal(&is, &item->content)) {
    dk_objects_drop(objects, item->tmp, fd);
    if (r < 0)
      dk_pull_fail(pulls, item, r, "out of memory");
    else
      altered(pulls, item);
    return;
  }
  r = dk_objects_place(objects, item->tmp, fd, &is, &error);
  if (r < 0)
    dk_pull_fail(pulls, item, own(r), error.text);
  else
    dk_pull_is_here(pulls, item);
}

static void take(struct dk_pulls *pulls, struct dk_pull_item *item, const struct dk_message *message) {
  struct dk_error error = {0};
  int r = item->fd < 0 ? open_file(pulls, item, &error) : 0;

  if (r == 0) {
    r = dk_fs_write_all(item->fd, message->u.part.bytes, message->u.part.len);
    if (r < 0) dk_error_system(&error, r, "keeping what came of it");
  }
  if (r < 0) {
    dk_pull_fail(pulls, item, own(r), error.text);
    return;
  }
  dk_content_add(&item->hasher, message->u.part.bytes, message->u.part.len);
  item->is_mixed |= item->taken > 0 && item->from != item->host;
  item->from = item->host;
  item->taken += message->u.part.len;
  dk_pull_tell_directories(item, message->u.part.len);
  if (item->taken == message->u.part.total) finish(pulls, item);
}

/* The one that the agent answers; NULL: none that goes on. What it says of another content is no answer. */
static struct dk_pull_item *answered(struct dk_pulls *pulls, struct dk_engine_host *host,
                                     const struct dk_digest *content) {
  struct dk_pull_queue *queue = dk_pull_queue_of(pulls, host);

  if (!queue || queue->n_asked == 0) return NULL;
  struct dk_pull_asked asked = queue->asked[queue->first_asked];
  queue->first_asked = (queue->first_asked + 1) % DK_PULL_PARTS_MAX;
  queue->n_asked--;
  queue->since = dk_now_ns();
  queue->is_silent = false;
  struct dk_pull_item *item = asked.is_void ? NULL : dk_pull_find(pulls, &asked.content, asked.is_dir);
  if (!item || dk_digest_equal(&asked.content, content)) return item;
  dk_pull_fail(pulls, item, -EPROTO, "its agent sent another content than was asked for");
  return NULL;
}

/* Another size than was said of the copy is not taken: this machine's disk would be the host's to fill. */
static bool is_next(const struct dk_pull_item *item, const struct dk_message *message) {
  uint64_t size = dk_pull_source_of(item, item->host)->size, left = size - item->taken;

  return message->u.part.offset == item->taken && message->u.part.total == size &&
         message->u.part.len == (left < DK_PART_MAX ? left : DK_PART_MAX);
}

void dk_pull_part(struct dk_pulls *pulls, struct dk_engine_host *host, const struct dk_message *message) {
  struct dk_pull_item *item = answered(pulls, host, &message->u.part.digest);

  if (item && is_next(item, message))
    take(pulls, item, message);
  else if (item)
    dk_pull_fail(pulls, item, -EPROTO, "its agent sent another part than was asked for");
  dk_pull_pump(pulls, host);
}

void dk_pull_gone(struct dk_pulls *pulls, struct dk_engine_host *host, const struct dk_message *message) {
  struct dk_pull_item *item = answered(pulls, host, &message->u.gone.digest);

  if (item) dk_pull_fail(pulls, item, message->u.gone.is_there ? -EREMOTEIO : -ENOENT, message->u.gone.text);
  dk_pull_pump(pulls, host);
}

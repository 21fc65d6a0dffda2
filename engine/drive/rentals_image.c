/* What a pool's machines are made from, where that is an image of dkrun's own: see image.h and rentals_priv.h.
 *
 * It is sought in its cloud by the digest of its recipe; when it is not there, engine/rent makes a builder as soon as
 * something waits for a machine. The builder is reached by ssh, set up and wiped by one script, and made an image of;
 * when that is ready the builder goes, and machines are made. Nothing of this is recorded but the builder's machine, as
 * any other is: an engine that is killed leaves a builder, which the next one ends, and at most an image that is being
 * saved, which that one finds. */
#include "engine/drive/rentals_priv.h"
#include "lang/base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)
#define REACH_NS (2 * SECOND_NS) /* between tries to log in to the builder; how long in all is its pool's `boot` */
#define LIST_NS (5 * SECOND_NS)  /* between lists while something is saved, and after one that failed */
#define SAVE_MOST_NS (3600 * SECOND_NS)      /* from the snapshot's answer until the image is ready */
#define DOUBT_MOST_NS (600 * SECOND_NS)      /* the same when nobody knows whether there was a snapshot */
#define SAVED_LONG_AGO_S (2 * INT64_C(3600)) /* nobody waits for an image that has been saved for so long */
#define BREAKS_MOST 3u                       /* builders that are lost, or snapshots that come to nothing, in a row */
#define TAIL 600u                            /* bytes of a log that people are shown at once */

static const struct dk_recipe *recipe_of(const struct dk_rental_pool *pool) {
  return &pool->entry->image;
}

static void tell(const struct dk_rental_pool *pool, enum dk_rent_image image) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_IMAGE, .pool = pool->number};

  event.u.image = image;
  dk_rentals_tell(pool->rentals, &event);
}

static void enter(struct dk_rental_pool *pool, enum dk_rental_image_step step, uint64_t wait_ns) {
  pool->image.step = step;
  pool->image.look_at = dk_now_ns() + wait_ns;
}

enum dk_rent_image dk_rentals_image_state(const struct dk_rental_pool *pool) {
  switch (pool->image.step) {
  case DK_RENTAL_IMAGE_SEEK:
  case DK_RENTAL_IMAGE_LISTING: return DK_RENT_IMAGE_SOUGHT;
  case DK_RENTAL_IMAGE_THERE: return DK_RENT_IMAGE_THERE;
  default: return DK_RENT_IMAGE_MISSING;
  }
}

/* --- the builder --- */

static void close_shell(struct dk_rental_pool *pool) {
  struct dk_rental_image *image = &pool->image;

  if (image->shell) pool->entry->provider->close_shell(image->shell);
  if (image->log >= 0) close(image->log);
  image->shell = NULL;
  image->log = -1;
}

void dk_rentals_image_drop(struct dk_rental_pool *pool) {
  if (pool->entry) close_shell(pool);
}

static void let_builders_go(struct dk_rental_pool *pool) {
  const struct dk_rent *rent = pool->rentals->rent;

  for (uint32_t i = 0; i < dk_rent_count(rent, UINT32_MAX); i++) {
    const struct dk_rented *rented = dk_rent_at(rent, i);
    if (rented->is_builder && rented->state != DK_RENT_ENDING && dk_rentals_pool_of(pool->rentals, rented) == pool)
      dk_rentals_let_go(pool->rentals, rented->number, true);
  }
}

void dk_rentals_image_forget(struct dk_rental_pool *pool, uint32_t number) {
  struct dk_rental_image *image = &pool->image;

  if (image->builder != number) return;
  if (image->step == DK_RENTAL_IMAGE_SETUP && image->why[0]) dk_rentals_say(pool, image->why);
  close_shell(pool);
  image->builder = 0;
  if (dk_rentals_image_state(pool) == DK_RENT_IMAGE_MISSING) image->step = DK_RENTAL_IMAGE_MISSING;
}

/* --- how it ends --- */

static void found(struct dk_rental_pool *pool, const char *id) {
  struct dk_rental_image *image = &pool->image;
  char text[200], took[DK_NUMBER_TEXT];

  if (image->builder) {
    dk_number_duration_text((dk_now_ns() - image->begun_at) / SECOND_NS * SECOND_NS, took);
    snprintf(text, sizeof text, "image %.60s is made (%s)", recipe_of(pool)->name, took);
    dk_rentals_say(pool, text);
  }
  snprintf(image->id, sizeof image->id, "%s", id);
  image->step = DK_RENTAL_IMAGE_THERE;
  image->n_breaks = 0;
  tell(pool, DK_RENT_IMAGE_THERE);
  let_builders_go(pool);
}

/* It cannot be made: nothing is, until people mend it. */
static void fail(struct dk_rental_pool *pool, const char *why) {
  dk_autobuf text = DK_BUF_INIT;

  dk_buf_printf(&text, "%s: image %s is not made: %s", pool->name, recipe_of(pool)->name, why);
  dk_engine_say(pool->rentals->engine, dk_buf_text(&text)); /* its lines are as long as they are */
  close_shell(pool);
  pool->image.step = DK_RENTAL_IMAGE_MISSING;
  pool->image.n_breaks = 0;
  let_builders_go(pool);
  dk_rentals_bar_pool(pool);
}

/* --- setup --- */

static int log_path(const struct dk_rental_pool *pool, char *ret, size_t size) {
  int n = snprintf(ret, size, "%s/image-%.16s.log", pool->rentals->folder, recipe_of(pool)->digest);

  return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* What the log ends with: whole lines, if it has some. */
static void add_tail(const char *path, struct dk_buf *out) {
  char bytes[TAIL];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END), from = size > (off_t)TAIL ? size - (off_t)TAIL : 0;
  ssize_t n = fd < 0 ? 0 : pread(fd, bytes, sizeof bytes, from);

  if (fd >= 0) close(fd);
  if (n <= 0) return;
  const char *cut = from > 0 ? memchr(bytes, '\n', (size_t)n) : NULL;
  size_t start = cut ? (size_t)(cut + 1 - bytes) : 0;
  while (n > 0 && bytes[n - 1] == '\n') n--;
  for (size_t len; start < (size_t)n; start += len + 1) {
    const char *end = memchr(bytes + start, '\n', (size_t)n - start);
    len = end ? (size_t)(end - bytes) - start : (size_t)n - start;
    dk_buf_add_text(out, "\n  ");
    dk_buf_add_escaped(out, bytes + start, len);
  }
}

static void fail_setup(struct dk_rental_pool *pool, int code) {
  dk_autobuf text = DK_BUF_INIT;
  char path[512];

  if (code == 124)
    dk_buf_printf(&text, "its setup took longer than %d min", DK_IMAGE_SETUP_S / 60);
  else
    dk_buf_printf(&text, "its setup failed (exit code %d)", code);
  if (log_path(pool, path, sizeof path) == 0) {
    dk_buf_printf(&text, "; the end of its log, %s:", path);
    add_tail(path, &text);
  }
  fail(pool, dk_buf_text(&text));
}

static void on_begun(void *ctx) {
  struct dk_rental_pool *pool = ctx;

  dk_rentals_tell(pool->rentals, &(struct dk_rent_event){.kind = DK_RENT_EV_AGENT_UP, .number = pool->image.builder});
}

/* The builder, or what it made, is lost: another one is tried. */
static void broke(struct dk_rental_pool *pool, const char *why) {
  struct dk_rental_image *image = &pool->image;

  if (++image->n_breaks >= BREAKS_MOST) {
    fail(pool, why);
    return;
  }
  dk_rentals_say(pool, why);
  image->step = DK_RENTAL_IMAGE_MISSING;
  let_builders_go(pool);
}

static void on_setup(void *ctx, int r, int code, const struct dk_error *error) {
  struct dk_rental_pool *pool = ctx;

  close_shell(pool);
  if (r == -EAGAIN) {
    snprintf(pool->image.why, sizeof pool->image.why, "%.*s", (int)sizeof pool->image.why - 1, error->text);
    enter(pool, DK_RENTAL_IMAGE_SETUP, REACH_NS);
  } else if (r < 0) {
    broke(pool, error->text);
  } else if (code != 0) {
    fail_setup(pool, code);
  } else {
    enter(pool, DK_RENTAL_IMAGE_KEEP, 0);
  }
}

static void set_up(struct dk_rental_pool *pool) {
  const struct dk_rental *machine = dk_rentals_machine(pool->rentals, pool->image.builder);
  struct dk_rental_image *image = &pool->image;
  dk_autobuf script = DK_BUF_INIT;
  struct dk_error error = {0};
  char path[512];

  if (!machine) return;
  dk_recipe_script(recipe_of(pool), &script);
  int r = dk_buf_ok(&script) ? log_path(pool, path, sizeof path) : -ENOMEM;
  if (r == 0) image->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (r == 0 && image->log < 0) r = -errno;
  if (r < 0) dk_error_system(&error, r, "writing the log of the setup");
  const struct dk_shell_options options = {.host = machine->entry.config,
                                           .script = dk_buf_text(&script),
                                           .log = image->log,
                                           .loop = pool->rentals->engine->with.loop,
                                           .begun = on_begun,
                                           .done = on_setup,
                                           .ctx = pool};
  if (r == 0) r = pool->entry->provider->shell(&options, &image->shell, &error);
  if (r < 0) fail(pool, error.text);
}

void dk_rentals_image_reach(struct dk_rental_pool *pool, struct dk_rental *machine) {
  struct dk_rental_image *image = &pool->image;
  struct dk_error words = {0};
  char path[512];

  if (image->step != DK_RENTAL_IMAGE_MISSING || log_path(pool, path, sizeof path) < 0) return;
  image->builder = machine->number;
  image->begun_at = dk_now_ns();
  image->why[0] = '\0';
  enter(pool, DK_RENTAL_IMAGE_SETUP, 0);
  dk_error_set(&words, -EIO, "image %s is not there yet: %s makes it of %s; its log: %s", recipe_of(pool)->name,
               machine->name, recipe_of(pool)->from, path);
  dk_rentals_say(pool, words.text);
}

/* --- snapshot --- */

static void await(struct dk_rental_pool *pool, const char *id) {
  snprintf(pool->image.id, sizeof pool->image.id, "%s", id);
  pool->image.saved_from = dk_now_ns();
  enter(pool, DK_RENTAL_IMAGE_SAVING, 0);
}

static void on_kept(void *ctx, const struct dk_cloud_result *result) {
  struct dk_rental_pool *pool = dk_rentals_called(ctx);
  const char *why = result->error.text;

  if (pool->image.step != DK_RENTAL_IMAGE_KEPT) return; /* the builder has gone meanwhile */
  switch (result->failure) {
  case DK_CLOUD_FINE: await(pool, strlen(result->id) < DK_RENT_ID ? result->id : ""); break;
  case DK_CLOUD_DOUBT:
    dk_rentals_say(pool, why);
    await(pool, "");
    break;
  case DK_CLOUD_TRANSIENT:
  case DK_CLOUD_THROTTLED:
    dk_rentals_say(pool, why);
    if (++pool->image.n_breaks >= BREAKS_MOST)
      fail(pool, why);
    else
      enter(pool, DK_RENTAL_IMAGE_KEEP, result->retry_after_ns > LIST_NS ? result->retry_after_ns : LIST_NS);
    break;
  default: fail(pool, why);
  }
}

static void keep(struct dk_rental_pool *pool) {
  const struct dk_rented *rented = dk_rent_find(pool->rentals->rent, pool->image.builder);
  char name[DK_IMAGE_NAME];
  struct dk_error error = {0};

  if (!rented) return;
  dk_recipe_image_name(recipe_of(pool), pool->rentals->engine->incarnation, name);
  const struct dk_cloud_order order = {
      .kind = DK_CLOUD_SNAPSHOT, .id = rented->id, .name = name, .recipe = recipe_of(pool)->digest};
  pool->image.step = DK_RENTAL_IMAGE_KEPT;
  if (!dk_rentals_ask(pool, &order, on_kept, &error)) fail(pool, error.text);
}

/* --- lists --- */

/* The newest that is ready, or one that is being saved, or NULL. `is_failed`: the one that was awaited will not be. */
static const struct dk_cloud_image *choose(const struct dk_rental_pool *pool, const struct dk_cloud_result *result,
                                           bool *is_failed) {
  const struct dk_cloud_image *best = NULL;

  *is_failed = false;
  for (uint32_t i = 0; i < result->n_images; i++) {
    const struct dk_cloud_image *image = &result->images[i];
    bool is_old = image->made_unix && result->now_unix && result->now_unix - image->made_unix > SAVED_LONG_AGO_S;
    if (strcmp(image->recipe, recipe_of(pool)->digest) != 0 || strlen(image->id) >= DK_RENT_ID) continue;
    *is_failed |= image->state == DK_IMAGE_FAILED && strcmp(image->id, pool->image.id) == 0;
    if (image->state != DK_IMAGE_READY && (image->state != DK_IMAGE_SAVING || is_old)) continue;
    bool is_better = !best || (image->state == DK_IMAGE_READY && best->state != DK_IMAGE_READY) ||
                     (image->state == best->state && image->made_unix > best->made_unix);
    if (is_better) best = image;
  }
  return best;
}

static void still_saving(struct dk_rental_pool *pool, bool is_failed) {
  const struct dk_rental_image *image = &pool->image;
  uint64_t most = image->id[0] ? SAVE_MOST_NS : DOUBT_MOST_NS;

  if (is_failed)
    broke(pool, "the cloud could not save its image");
  else if (dk_now_ns() - image->saved_from > most)
    broke(pool, "its image did not become ready");
  else
    enter(pool, DK_RENTAL_IMAGE_SAVING, LIST_NS);
}

static void on_listed(void *ctx, const struct dk_cloud_result *result) {
  struct dk_rental_pool *pool = dk_rentals_called(ctx);
  bool is_saving = pool->image.step == DK_RENTAL_IMAGE_SAVED, is_failed;

  if (!is_saving && pool->image.step != DK_RENTAL_IMAGE_LISTING) return;
  const struct dk_cloud_image *image = choose(pool, result, &is_failed);
  if (image && image->state == DK_IMAGE_READY) {
    found(pool, image->id);
    return;
  }
  if (!is_saving && (result->failure == DK_CLOUD_DENIED || result->failure == DK_CLOUD_BAD)) {
    fail(pool, result->error.text);
    return;
  }
  bool is_known = result->failure == DK_CLOUD_FINE && result->is_complete;
  if (!is_known && !pool->image.was_list_told && result->failure != DK_CLOUD_FINE)
    dk_engine_say(pool->rentals->engine, result->error.text);
  pool->image.was_list_told = !is_known;
  if (is_saving) {
    still_saving(pool, is_failed);
  } else if (!is_known || image) { /* another engine saves it, or one that was killed did */
    enter(pool, DK_RENTAL_IMAGE_SEEK, LIST_NS);
  } else {
    pool->image.step = DK_RENTAL_IMAGE_MISSING;
    tell(pool, DK_RENT_IMAGE_MISSING);
  }
}

static void list(struct dk_rental_pool *pool, enum dk_rental_image_step step) {
  const struct dk_cloud_order order = {.kind = DK_CLOUD_LIST_IMAGES};
  enum dk_rental_image_step was = pool->image.step;
  struct dk_error error = {0};

  pool->image.step = step;
  if (!dk_rentals_ask(pool, &order, on_listed, &error)) enter(pool, was, LIST_NS);
}

void dk_rentals_image_unanswered(struct dk_rental_pool *pool, enum dk_cloud_kind kind) {
  enum dk_rental_image_step step = pool->image.step;

  if (kind == DK_CLOUD_SNAPSHOT && step == DK_RENTAL_IMAGE_KEPT) await(pool, "");
  if (kind == DK_CLOUD_LIST_IMAGES && step == DK_RENTAL_IMAGE_LISTING) enter(pool, DK_RENTAL_IMAGE_SEEK, 0);
  if (kind == DK_CLOUD_LIST_IMAGES && step == DK_RENTAL_IMAGE_SAVED) enter(pool, DK_RENTAL_IMAGE_SAVING, 0);
}

/* --- its pool --- */

/* What is under way for the same image goes on. */
void dk_rentals_image_begin(struct dk_rental_pool *pool) {
  struct dk_rental_image *image = &pool->image;
  const struct dk_recipe *recipe = recipe_of(pool);

  if (strcmp(image->digest, recipe->digest) == 0 && image->digest[0]) return;
  close_shell(pool);
  let_builders_go(pool);
  *image = (struct dk_rental_image){.step = recipe->setup ? DK_RENTAL_IMAGE_SEEK : DK_RENTAL_IMAGE_THERE, .log = -1};
  memcpy(image->digest, recipe->digest, sizeof image->digest);
}

bool dk_rentals_image_is_lost(struct dk_rental_pool *pool) {
  struct dk_rental_image *image = &pool->image;

  if (!image->digest[0] || image->step != DK_RENTAL_IMAGE_THERE || strcmp(image->lost, image->id) == 0) return false;
  memcpy(image->lost, image->id, sizeof image->lost);
  enter(pool, DK_RENTAL_IMAGE_SEEK, 0);
  tell(pool, DK_RENT_IMAGE_SOUGHT);
  return true;
}

uint64_t dk_rentals_image_deadline(const struct dk_rental_pool *pool) {
  const struct dk_rental_image *image = &pool->image;

  if (!pool->cloud || !pool->is_open) return UINT64_MAX;
  switch (image->step) {
  case DK_RENTAL_IMAGE_SEEK:
  case DK_RENTAL_IMAGE_KEEP:
  case DK_RENTAL_IMAGE_SAVING: return image->look_at;
  case DK_RENTAL_IMAGE_SETUP: return image->shell ? UINT64_MAX : image->look_at;
  default: return UINT64_MAX;
  }
}

void dk_rentals_image_tick(struct dk_rental_pool *pool, uint64_t now_ns) {
  (void)now_ns;
  switch (pool->image.step) {
  case DK_RENTAL_IMAGE_SEEK: list(pool, DK_RENTAL_IMAGE_LISTING); break;
  case DK_RENTAL_IMAGE_SETUP: set_up(pool); break;
  case DK_RENTAL_IMAGE_KEEP: keep(pool); break;
  case DK_RENTAL_IMAGE_SAVING: list(pool, DK_RENTAL_IMAGE_SAVED); break;
  default: break;
  }
}

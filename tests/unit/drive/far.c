/* See far.h. */
#include "far.h"

#include "engine/store/record.h"
#include "engine/sys/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct far_engine *current; /* whose hosts are dialled */

/* --- the provider --- */

static void on_ready(void *ctx, int fd, short revents);

static int far_dial(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error) {
  struct far *far = NULL;
  int fds[2];
  (void)error;
  *ret = NULL;
  for (int i = 0; i < FAR_HOSTS; i++)
    if (strcmp(current->fars[i].name, options->host.name) == 0) far = &current->fars[i];
  assert_non_null(far);
  far->n_dials++;
  if (far->is_away) {
    struct dk_error why = {0};
    dk_error_set(&why, -ENOTCONN, "nobody is there");
    options->done(options->ctx, why.code, -1, NULL, &why);
    return 0;
  }
  far_break(current, far); /* it has not heard of its end yet */
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  far->fd = fds[1];
  dk_buf_clear(&far->in);
  dk_buf_clear(&far->out);
  dk_buf_clear(&far->out_late);
  far->sent = 0;
  assert_int_equal(dk_loop_watch(options->loop, far->fd, POLLIN, on_ready, far), 0);
  const struct dk_host_facts facts = {.arch = "x86_64", .release = "ID=far\n", .libc = "1", .node = "far"};
  options->done(options->ctx, 0, fds[0], &facts, NULL);
  return 0;
}

static const char *far_why(struct dk_dial *dial) {
  (void)dial;
  return NULL;
}

static void far_hang_up(struct dk_dial *dial) {
  (void)dial;
}

const struct dk_provider dk_providers[] = {
    {.kind = "local", .dial = far_dial, .why = far_why, .hang_up = far_hang_up},
    {.kind = "far", .is_remote = true, .dial = far_dial, .why = far_why, .hang_up = far_hang_up},
    {.kind = NULL},
};

/* --- its end of the stream --- */

void far_break(struct far_engine *f, struct far *far) {
  if (far->fd < 0) return;
  dk_loop_unwatch(f->loop, far->fd);
  close(far->fd);
  far->fd = -1;
}

static void flush(struct far *far) {
  while (far->fd >= 0 && far->sent < far->out.len) {
    ssize_t n = send(far->fd, far->out.data + far->sent, far->out.len - far->sent, MSG_NOSIGNAL);
    if (n < 0) break;
    far->sent += (size_t)n;
  }
  if (far->sent == far->out.len) {
    dk_buf_clear(&far->out);
    far->sent = 0;
  }
  if (far->fd >= 0)
    (void)dk_loop_watch(current->loop, far->fd, (short)(POLLIN | (far->out.len ? POLLOUT : 0)), on_ready, far);
}

static void put(struct far *far, struct dk_message *message, struct dk_buf *out) {
  if (!message->session) message->session = far->session;
  (void)dk_message_encode(message, out); /* without memory: it is not said */
}

void far_send(struct far *far, struct dk_message *message) {
  put(far, message, &far->out);
  flush(far);
}

void far_speak(struct far *far) {
  far->is_mute = false;
  dk_buf_add(&far->out, dk_buf_text(&far->out_late), far->out_late.len);
  dk_buf_clear(&far->out_late);
  flush(far);
}

static void say_gone(struct far *far, const struct dk_digest *digest, bool is_there) {
  struct dk_message gone = {.type = DK_MSG_GONE};
  gone.u.gone.digest = *digest;
  gone.u.gone.is_there = is_there;
  gone.u.gone.text = (char *)(uintptr_t)(is_there ? "it cannot be read" : "it was cleaned away");
  put(far, &gone, far->is_mute ? &far->out_late : &far->out);
}

static void say_part(struct far *far, const struct far_content *content, uint64_t offset) {
  struct dk_message part = {.type = DK_MSG_PART};
  size_t left = content->len - (size_t)offset;
  part.u.part.digest = content->digest;
  part.u.part.offset = offset;
  part.u.part.total = content->len;
  part.u.part.len = (uint32_t)(left < DK_PART_MAX ? left : DK_PART_MAX);
  part.u.part.bytes = dk_memdup(content->bytes + offset, part.u.part.len);
  if (!part.u.part.bytes) return;
  if (content->way == FAR_ALTERED && part.u.part.len) part.u.part.bytes[0] = (char)(part.u.part.bytes[0] ^ 1);
  if (content->way == FAR_SHORT) part.u.part.len--;
  if (content->way == FAR_GROWING) part.u.part.total += offset;
  if (content->way == FAR_OTHER) part.u.part.digest.bytes[5] ^= 1;
  put(far, &part, far->is_mute ? &far->out_late : &far->out);
  dk_free(part.u.part.bytes);
}

static void on_get(struct far *far, const struct dk_message *message) {
  const struct far_content *content = NULL;
  assert_true(far->n_asked < FAR_ASKED_MAX);
  far->asked[far->n_asked].digest = message->u.want.digest;
  far->asked[far->n_asked++].offset = message->u.want.offset;
  for (uint32_t i = 0; i < far->n_contents; i++)
    if (dk_digest_equal(&far->contents[i]->digest, &message->u.want.digest)) content = far->contents[i];
  uint64_t offset = message->u.want.offset;
  bool is_gone = !content || content->way == FAR_GONE || content->way == FAR_CLOSED ||
                 (content->way == FAR_GONE_MID && offset >= 3 * DK_PART_MAX);
  if (is_gone) {
    say_gone(far, &message->u.want.digest, content && content->way == FAR_CLOSED);
    return;
  }
  if (content->way == FAR_SWAPPED && offset == DK_PART_MAX) offset = 2 * DK_PART_MAX;
  say_part(far, content, offset);
  if (far->mute_after && --far->mute_after == 0) far->is_mute = true;
  if (far->close_after && ++far->n_parts == far->close_after) {
    flush(far);
    far->close_after = 0;
    far_break(current, far);
  }
}

static void hear(struct far *far, const struct dk_message *message) {
  struct dk_message answer = {.type = DK_MSG_WELCOME};
  switch (message->type) {
  case DK_MSG_HELLO:
    far->session = message->session;
    answer.u.welcome.protocol = DK_PROTOCOL;
    answer.u.welcome.slots = far->slots ? far->slots : 1;
    answer.u.welcome.cpus = 1;
    answer.u.welcome.version = (char *)(uintptr_t) "far";
    answer.u.welcome.gpu = (char *)(uintptr_t) "";
    answer.u.welcome.unix_ns = dk_unix_ns() + (uint64_t)far->ahead_ns;
    put(far, &answer, &far->out);
    break;
  case DK_MSG_LIST:
    for (uint32_t i = 1; i <= far->n_attempts; i++) {
      struct dk_message has = {.type = DK_MSG_HAS, .id = far_attempt(far, i), .u.has.state = DK_ATTEMPT_ENDED};
      put(far, &has, &far->out);
    }
    answer.type = DK_MSG_HAS_END;
    put(far, &answer, &far->out);
    if (far->on_list) far->on_list(far);
    break;
  case DK_MSG_GET: on_get(far, message); break;
  case DK_MSG_ACK: far->acked = message->seq; break;
  case DK_MSG_PING:
    answer.type = DK_MSG_PONG;
    answer.u.pong.unix_ns = dk_unix_ns();
    put(far, &answer, &far->out);
    break;
  default:
    if (far->on_other) far->on_other(far, message);
  }
}

static void on_ready(void *ctx, int fd, short revents) {
  struct far *far = ctx;
  char bytes[65536];
  struct dk_message message;
  size_t used = 0;
  if (revents & POLLOUT) flush(far);
  ssize_t n = revents & (POLLIN | POLLHUP) ? read(fd, bytes, sizeof bytes) : -1;
  if (n == 0) far_break(current, far);
  if (n <= 0) return;
  dk_buf_add(&far->in, bytes, (size_t)n);
  while (far->fd >= 0) {
    long took = dk_message_decode(far->in.data + used, far->in.len - used, &message, NULL);
    if (took <= 0) break;
    used += (size_t)took;
    hear(far, &message);
    dk_message_finish(&message);
  }
  if (used > 0) memmove(far->in.data, far->in.data + used, far->in.len - used);
  dk_buf_truncate(&far->in, far->in.len - used);
  flush(far);
}

/* --- the engine --- */

static void on_note(void *ctx, uint32_t run, const struct dk_engine_note *note) {
  (void)ctx, (void)run, (void)note;
}
static void on_ended(void *ctx, uint32_t run, enum dk_run_state state) {
  (void)ctx, (void)run, (void)state;
}
static void on_say(void *ctx, const char *text) {
  struct far_engine *f = ctx;
  snprintf(f->said, sizeof f->said, "%s", text);
}
static void on_where(void *ctx, uint32_t slots, const char *text) {
  (void)ctx, (void)slots;
  (void)text;
}
static uint64_t on_tick(void *ctx, uint64_t now_ns) {
  struct far_engine *f = ctx;
  if (f->engine && now_ns >= f->until_ns) dk_engine_wake(f->engine);
  return now_ns + 5000000;
}

int far_setup(void **state) {
  struct far_engine *f = calloc(1, sizeof *f);
  static const char *const names[FAR_HOSTS] = {"h1", "h2"};
  assert_non_null(f);
  snprintf(f->root, sizeof f->root, "/tmp/dk-far-XXXXXX");
  assert_non_null(mkdtemp(f->root));
  assert_int_equal(dk_folder_open(f->root, "test", &f->folder, NULL), 0);
  assert_int_equal(dk_loop_create(&f->loop, NULL), 0);
  for (int i = 0; i < FAR_HOSTS; i++) {
    f->fars[i].name = names[i];
    f->fars[i].number = (uint32_t)i + 1;
    f->fars[i].fd = -1;
  }
  struct dk_batch batch = DK_BATCH_INIT;
  for (uint32_t i = 0; i < FAR_HOSTS; i++) {
    const struct dk_host_record host = {.number = i + 1,
                                        .provider = (char *)"lab",
                                        .name = (char *)(uintptr_t)names[i],
                                        .words = (char *)"",
                                        .system = (char *)"",
                                        .gpu = (char *)""};
    assert_int_equal(dk_batch_put_host(&batch, &host), 0);
  }
  assert_int_equal(dk_store_commit(f->folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  current = f;
  *state = f;
  return 0;
}

int far_start(struct far_engine *f, uint64_t lost_after_ms, struct dk_error *error) {
  struct dk_error own = {0};
  if (!error) error = &own;
  for (int i = 0; i < FAR_HOSTS; i++)
    f->entries[i] = (struct dk_hosts_entry){.provider = &dk_providers[1],
                                            .config = {.provider = "lab", .name = f->fars[i].name},
                                            .mixed = !f->fars[i].is_strict,
                                            .lost_after_ns = lost_after_ms * 1000000};
  f->hosts = (struct dk_hosts){.items = f->entries, .n = FAR_HOSTS};
  const struct dk_engine_options options = {
      .folder = &f->folder,
      .root = f->root,
      .hosts = &f->hosts,
      .agent_program = "/bin/true",
      .loop = f->loop,
      .observer = {f, on_note, on_ended, on_say, on_where, on_tick},
  };
  return dk_engine_create(&options, &f->engine, error);
}

void far_stop(struct far_engine *f) {
  dk_engine_destroy(f->engine);
  f->engine = NULL;
  for (int i = 0; i < FAR_HOSTS; i++) far_break(f, &f->fars[i]);
}

int far_teardown(void **state) {
  struct far_engine *f = *state;
  dk_alloc_fail_at(0);
  far_stop(f);
  for (int i = 0; i < FAR_HOSTS; i++) {
    struct far *far = &f->fars[i];
    far_clear(far);
    dk_free(far->contents);
    dk_buf_finish(&far->in);
    dk_buf_finish(&far->out);
    dk_buf_finish(&far->out_late);
  }
  dk_loop_destroy(f->loop);
  dk_folder_close(&f->folder);
  assert_int_equal(dk_fs_remove_tree(f->root, NULL), 0);
  free(f);
  current = NULL;
  return 0;
}

static int turns(struct far_engine *f, const bool *is_done, uint64_t ms, struct dk_error *error) {
  int r = 0;
  f->until_ns = dk_now_ns() + ms * 1000000;
  while (r == 0 && !(is_done && *is_done) && dk_now_ns() < f->until_ns) r = dk_engine_turn(f->engine, error);
  return r;
}

int far_turns(struct far_engine *f, const bool *is_done, struct dk_error *error) {
  int r = turns(f, is_done, 120000, error);
  assert_true(r < 0 || *is_done);
  return r;
}

void far_rest(struct far_engine *f, uint64_t ms) {
  assert_int_equal(turns(f, NULL, ms, NULL), 0);
}

/* --- attempts --- */

struct dk_id far_attempt(const struct far *far, uint64_t n) {
  return (struct dk_id){99, far->number * UINT64_C(1000) + n};
}

struct dk_digest far_key(const struct far *far, uint64_t n) {
  return (struct dk_digest){{(uint8_t)far->number, (uint8_t)n, 1}};
}

void far_add_attempts(struct far_engine *f, int host, uint32_t n) {
  struct far *far = &f->fars[host - 1];
  struct dk_batch batch = DK_BATCH_INIT;
  far->n_attempts = n;
  for (uint32_t i = 1; i <= n; i++) {
    const struct dk_record record = {.kind = DK_REC_ATTEMPT,
                                     .id = far_attempt(far, i),
                                     .key = far_key(far, i),
                                     .run = 1,
                                     .host = (uint32_t)host,
                                     .booked = 1};
    assert_int_equal(dk_batch_add_record(&batch, &record, NULL), 0);
  }
  assert_int_equal(dk_store_commit(f->folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
}

/* --- contents --- */

void far_clear(struct far *far) {
  for (uint32_t i = 0; i < far->n_contents; i++) {
    dk_free(far->contents[i]->bytes);
    dk_free(far->contents[i]);
  }
  far->n_contents = 0;
}

struct far_content *far_add_bytes(struct far_engine *f, int host, const void *bytes, size_t len, bool is_dir,
                                  bool is_recorded) {
  struct far *far = &f->fars[host - 1];
  assert_true(dk_grow(far->contents, far->n_contents, far->cap_contents));
  struct far_content *content = far->contents[far->n_contents++] = dk_alloc(sizeof *content);
  assert_non_null(content);
  *content = (struct far_content){.bytes = dk_memdup(bytes, len), .len = len};
  assert_non_null(content->bytes);
  assert_int_equal(dk_content_of(bytes, len, &content->digest), 0);
  if (!is_recorded) return content;
  struct dk_batch batch = DK_BATCH_INIT;
  const struct dk_copy copy = {content->digest, (uint32_t)host, len, is_dir};
  assert_int_equal(dk_batch_put_copy(&batch, &copy), 0);
  assert_int_equal(dk_store_commit(f->folder.store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  return content;
}

struct far_content *far_add(struct far_engine *f, int host, size_t len, uint32_t seed, bool is_recorded) {
  dk_autofree char *bytes = dk_alloc(len);
  assert_non_null(bytes);
  for (size_t i = 0; i < len; i++) {
    seed = seed * 1664525 + 1013904223;
    bytes[i] = (char)(seed >> 24);
  }
  return far_add_bytes(f, host, bytes, len, false, is_recorded);
}

bool far_has_copy(struct far_engine *f, int host, const struct dk_digest *digest) {
  return dk_store_get_copy(f->folder.store, digest, (uint32_t)host, NULL, NULL) == 0;
}

bool far_is_here(struct far_engine *f, const struct far_content *content) {
  dk_autobuf bytes = DK_BUF_INIT;
  return dk_objects_verify(&f->folder.objects, &content->digest, NULL) == 0 &&
         dk_objects_read(&f->folder.objects, &content->digest, content->len, &bytes, NULL) == 0 &&
         bytes.len == content->len && memcmp(dk_buf_text(&bytes), content->bytes, content->len) == 0;
}

uint32_t far_n_tmp(struct far_engine *f) {
  dk_autobuf path = DK_BUF_INIT;
  uint32_t n = 0;
  dk_buf_printf(&path, "%s/tmp", f->folder.objects.root);
  DIR *dir = opendir(dk_buf_text(&path));
  for (struct dirent *entry; dir && dk_fs_next_entry(dir, &entry) == 0 && entry;) n++;
  if (dir) closedir(dir);
  return n;
}

static bool is_connected(const struct far_engine *f, const struct far *far) {
  return f->engine->hosts[far->number]->session != 0;
}

void far_pass_silence(struct far_engine *f, struct far *far) {
  const struct dk_engine_host *host = f->engine->hosts[far->number];
  for (int i = 0; i < 400 && dk_pull_silent_at(f->engine->pulls, host) == UINT64_MAX; i++) far_rest(f, 10);
  uint64_t at = dk_pull_silent_at(f->engine->pulls, host);
  assert_true(at != UINT64_MAX && at > dk_now_ns() + UINT64_C(60000000000));
  assert_true(dk_fleet_deadline(f->engine) <= at);
  dk_fleet_tick(f->engine, at);
  assert_false(is_connected(f, far));
}

void far_pass_pause(struct far_engine *f, struct far *far) {
  dk_fleet_tick(f->engine, dk_link_deadline(f->engine->hosts[far->number]->link));
  for (int i = 0; i < 400 && !is_connected(f, far); i++) far_rest(f, 10);
  assert_true(is_connected(f, far));
}

static void on_progress(void *ctx, uint64_t here, uint64_t total, const char *waits) {
  struct far_reached *reached = ctx;
  assert_true(here <= total);
  reached->here = here;
  reached->total = total;
  reached->n_progress++;
  if (*waits) snprintf(reached->waits, sizeof reached->waits, "%s", waits);
}

static void on_done(void *ctx, int r, uint32_t which, const char *words) {
  struct far_reached *reached = ctx;
  assert_false(reached->is_done);
  reached->is_done = true;
  reached->r = r;
  reached->which = which;
  snprintf(reached->words, sizeof reached->words, "%s", words);
  dk_engine_wake(reached->engine);
}

int far_reach(struct far_engine *f, const struct far_content *const *contents, const bool *are_dirs, uint32_t n,
              struct far_reached *ret) {
  dk_autofree struct dk_wanted *wanted = dk_calloc(n + 1u, sizeof *wanted);
  const struct dk_reach_observer observer = {ret, on_progress, on_done};
  *ret = (struct far_reached){.engine = f->engine};
  if (!wanted) return -ENOMEM;
  for (uint32_t i = 0; i < n; i++) wanted[i] = (struct dk_wanted){contents[i]->digest, are_dirs && are_dirs[i]};
  return dk_engine_reach(f->engine, wanted, n, &observer);
}

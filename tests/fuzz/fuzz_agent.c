/* What an agent's daemon makes of streams that can be read: its real core, engines, orders and objects, in a folder of
 * its own, between engines that say whatever the input has and keepers that do as keepers do.
 *
 * The input is steps: u8 what, u16 length (little-endian), bytes.
 *   0  a message, without the head of its frame, on the newest connection
 *   1  the same on a new connection
 *   2  bytes on the stream as they are
 *   3  the keeper of a slot (second byte) does something (first byte): see keeper_does
 *   4  the newest connection ends
 * After each the core's invariants hold, and all that the daemon said can be read. */
#include "engine/agent/serve_private.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLOTS 2u
#define HANDED_MAX 64u

static char root[1024];
static struct serve *serve;
static struct fake {
  struct keeper keeper;
  struct dk_id handed[HANDED_MAX]; /* orders that it has, the oldest first */
  uint32_t n;
  bool is_running; /* the oldest */
  uint64_t seq;
} fakes[SLOTS];

static void must(bool is_so, const char *what) {
  if (is_so) return;
  fprintf(stderr, "fuzz_agent: %s\n", what);
  abort();
}

/* What the daemon asks of the rest of it: keepers that are not processes. */

void dk_serve_complain(const char *what, const struct dk_error *error) {
  (void)what;
  (void)error;
}
bool dk_serve_follow_folder(struct serve *s) {
  (void)s;
  return true;
}
struct keeper *dk_serve_need_keeper(struct serve *s, uint32_t slot) {
  (void)s;
  must(slot < SLOTS, "an order for a slot that there is not");
  return &fakes[slot].keeper;
}
int dk_serve_start_keeper(struct keeper *keeper, struct dk_error *error) {
  int fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* never written to: what is for it stays in its buffer */
  if (fd < 0) return dk_error_system(error, -EMFILE, "no keeper");
  dk_conn_init(&keeper->conn, fd);
  return 0;
}
void dk_serve_lose_keeper(struct keeper *keeper) {
  (void)keeper;
}
bool dk_serve_is_slot_gone(struct keeper *keeper) {
  (void)keeper;
  return false;
}
void dk_serve_to_keeper(struct serve *s, uint32_t slot, const struct dk_message *message) {
  (void)s;
  must(slot < SLOTS, "a word to a slot that there is not");
  (void)dk_conn_put(&fakes[slot].keeper.conn, message);
}

/* Keepers. */

static void tell(uint32_t slot, struct dk_agent_event event) {
  event.slot = slot;
  dk_serve_step(serve, &event);
}

static void take_out(struct fake *fake, uint32_t i) {
  memmove(&fake->handed[i], &fake->handed[i + 1], (--fake->n - i) * sizeof *fake->handed);
  if (i == 0) fake->is_running = false;
}

static void end_first(uint32_t slot, enum dk_cause cause) {
  struct fake *fake = &fakes[slot];
  struct dk_result result = {.cause = cause, .wall_ns = 1000, .text = dk_strdup("")};
  struct dk_agent_event event = {
      .kind = DK_AGENT_EV_KEEPER_ENDED, .id = fake->handed[0], .keeper_seq = ++fake->seq, .result = &result};
  take_out(fake, 0);
  tell(slot, event);
  dk_result_finish(&result);
}

static void give_back(uint32_t slot, uint32_t i) {
  struct dk_agent_event event = {.kind = DK_AGENT_EV_KEEPER_RETURNED, .id = fakes[slot].handed[i]};
  take_out(&fakes[slot], i);
  tell(slot, event);
}

static void start_first(uint32_t slot) {
  fakes[slot].is_running = true;
  tell(slot, (struct dk_agent_event){.kind = DK_AGENT_EV_KEEPER_STARTED, .id = fakes[slot].handed[0], .unix_ns = 1});
}

/* An agent that dies and one that comes, to the keeper: what did not start is dropped. */
static void find_again(uint32_t slot) {
  struct fake *fake = &fakes[slot];
  fake->n = fake->is_running ? 1 : 0;
  dk_conn_finish(&fake->keeper.conn);
  tell(slot, (struct dk_agent_event){.kind = DK_AGENT_EV_KEEPER_LOST});
  if (fake->is_running)
    tell(slot, (struct dk_agent_event){
                   .kind = DK_AGENT_EV_KEEPER_HAS, .id = fake->handed[0], .state = DK_ATTEMPT_RUNNING, .cpus = 1});
  tell(slot, (struct dk_agent_event){.kind = DK_AGENT_EV_KEEPER_READY});
}

static void obey(uint32_t slot, const struct dk_message *message) {
  struct fake *fake = &fakes[slot];
  uint32_t i = 0;
  while (i < fake->n && !dk_id_equal(fake->handed[i], message->id)) i++;
  if (message->type == DK_MSG_ASSIGN) {
    must(i == fake->n, "an attempt was handed out twice");
    must(fake->n < HANDED_MAX, "more was handed out than a keeper gets ahead");
    fake->handed[fake->n++] = message->id;
  } else if (message->type == DK_MSG_REVOKE && i < fake->n && !(i == 0 && fake->is_running)) {
    give_back(slot, i);
  } else if (message->type == DK_MSG_KILL && i == 0 && fake->is_running) {
    end_first(slot, DK_CAUSE_KILLED);
  }
}

/* What was said to keepers. That may make more of it. */
static void hear_as_keepers(void) {
  for (uint32_t slot = 0; slot < SLOTS; slot++) {
    struct dk_conn *conn = &fakes[slot].keeper.conn;
    while (conn->fd >= 0 && conn->out.sent < conn->out.bytes.len) {
      struct dk_message message;
      long n = dk_message_decode(conn->out.bytes.data + conn->out.sent, dk_outbox_waiting(&conn->out), &message, NULL);
      must(n > 0, "what a keeper gets cannot be read");
      conn->out.sent += (size_t)n;
      obey(slot, &message);
      dk_message_finish(&message);
    }
  }
}

static void keeper_does(uint8_t what, uint32_t slot) {
  struct fake *fake = &fakes[slot];
  switch (what % 5) {
  case 0:
    if (fake->n > 0 && !fake->is_running) start_first(slot);
    break;
  case 1:
    if (fake->n > 0) end_first(slot, DK_CAUSE_OK);
    break;
  case 2:
    if (fake->n > (fake->is_running ? 1u : 0u)) give_back(slot, fake->n - 1);
    break;
  case 3: find_again(slot); break;
  default:
    if (fake->n > 0 && !fake->is_running) {
      struct dk_id id = fake->handed[0];
      take_out(fake, 0);
      tell(slot, (struct dk_agent_event){
                     .kind = DK_AGENT_EV_KEEPER_REFUSED, .id = id, .reason = DK_REFUSED_DISK, .text = "full"});
    }
  }
}

/* Engines. */

static struct engine *newest(void) {
  return serve->n_engines > 0 ? serve->engines[serve->n_engines - 1] : NULL;
}

static struct engine *come(void) {
  if (serve->n_engines >= 8 || !dk_grow(serve->engines, serve->n_engines, serve->cap_engines)) return newest();
  struct engine *engine = dk_calloc(1, sizeof *engine);
  int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  must(engine && fd >= 0, "no memory");
  engine->serve = serve;
  engine->number = serve->next_conn++;
  dk_conn_init(&engine->conn, fd);
  serve->engines[serve->n_engines++] = engine;
  return engine;
}

/* The daemon hears them when it gets round to it. */
static void say(struct engine *engine, const void *bytes, size_t len) {
  if (!engine) engine = come();
  dk_buf_add(&engine->conn.in, bytes, len);
  engine->is_behind = true;
  dk_serve_hear_engines(serve);
}

static void say_message(struct engine *engine, const uint8_t *body, size_t len) {
  dk_autobuf frame = DK_BUF_INIT;
  dk_write_u32(&frame, (uint32_t)len);
  dk_write_u32(&frame, dk_crc32c(body, len, 0));
  dk_buf_add(&frame, body, len);
  say(engine, frame.data, frame.len);
}

/* All that an engine is told it can read; taken by it. */
static void look_at_answers(struct engine *engine) {
  struct dk_conn *conn = &engine->conn;
  while (conn->out.sent < conn->out.bytes.len) {
    struct dk_message message;
    long n = dk_message_decode(conn->out.bytes.data + conn->out.sent, dk_outbox_waiting(&conn->out), &message, NULL);
    must(n > 0, "what an engine gets cannot be read");
    must(message.type >= DK_MSG_GONE, "an engine gets what engines say");
    dk_message_finish(&message);
    conn->out.sent += (size_t)n;
  }
  dk_outbox_clear(&conn->out);
}

/* As at the end of the daemon's turn. */
static void end_engine(struct engine *engine) {
  static const char broken[8]; /* a frame of no length */
  engine->is_closing = false;
  dk_buf_clear(&engine->conn.in);
  engine->conn.in_at = 0;
  dk_buf_add(&engine->conn.in, broken, sizeof broken);
  engine->is_behind = true;
  size_t n = serve->n_engines;
  dk_serve_hear_engines(serve);
  must(serve->n_engines == n - 1, "a stream that is broken is not closed");
}

static void end_turn(void) {
  hear_as_keepers();
  dk_serve_work(serve);
  hear_as_keepers();
  for (size_t i = serve->n_engines; i-- > 0;) look_at_answers(serve->engines[i]);
  for (size_t i = serve->n_engines; i-- > 0;) {
    if (i < serve->n_engines && serve->engines[i]->is_closing) end_engine(serve->engines[i]);
  }
  struct dk_error error = {0};
  if (dk_agent_check(serve->agent, &error) < 0) must(false, error.text);
}

/* A life of the daemon. */

static void step(uint8_t what, const uint8_t *bytes, size_t len) {
  switch (what % 5) {
  case 0: say_message(newest(), bytes, len); break;
  case 1: say_message(come(), bytes, len); break;
  case 2: say(newest(), bytes, len); break;
  case 3:
    if (len >= 2) keeper_does(bytes[0], bytes[1] % SLOTS);
    break;
  default:
    if (newest()) end_engine(newest());
  }
  end_turn();
}

static void remove_root(void) {
  dk_fs_remove_tree(root, NULL);
}

static void make_root(void) {
  if (*root) return;
  snprintf(root, sizeof root, "%s/dkagent-fuzz-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  must(mkdtemp(root) != NULL, "no folder to work in");
  atexit(remove_root);
}

static void begin(struct serve *s) {
  struct dk_agent_config config = {.slots = SLOTS, .cpus = SLOTS, .version = "1", .queue_max = 16};
  serve = s;
  memset(fakes, 0, sizeof fakes);
  for (uint32_t i = 0; i < SLOTS; i++) {
    fakes[i].keeper.serve = s;
    fakes[i].keeper.slot = i;
    dk_conn_init(&fakes[i].keeper.conn, -1);
  }
  must(dk_agent_create(&s->agent, &config, NULL, 0) == 0, "no agent");
  must(dk_fetch_create(&s->fetch, dk_serve_say_lacks, s) == 0, "no objects");
  must(dk_loop_create(&s->loop, NULL) == 0, "no loop");
}

static void end(void) {
  char objects[1100];
  while (serve->n_engines > 0) end_engine(newest());
  dk_free(serve->engines);
  for (uint32_t i = 0; i < SLOTS; i++) dk_conn_finish(&fakes[i].keeper.conn);
  dk_agent_out_finish(&serve->out);
  dk_agent_destroy(serve->agent);
  dk_fetch_destroy(serve->fetch);
  dk_loop_destroy(serve->loop);
  snprintf(objects, sizeof objects, "%s/objects", root);
  dk_fs_remove_tree(objects, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct serve s = {.root = root, .listener = -1, .next_conn = 1};
  make_root();
  begin(&s);
  while (size >= 3) {
    size_t len = (size_t)data[1] | (size_t)data[2] << 8;
    if (len > size - 3) len = size - 3;
    step(data[0], data + 3, len);
    data += 3 + len;
    size -= 3 + len;
  }
  must(s.broken == 0, "the daemon cannot go on");
  end();
  return 0;
}

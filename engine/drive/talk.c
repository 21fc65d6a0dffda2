/* Frames between the engine and its commands: see talk.h. */
#include "engine/drive/talk.h"

#include "lang/base/alloc.h"
#include "lang/base/bytes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEAD 4u
#define READ_SIZE (64u << 10)

/* --- writing --- */

static void put_submit(struct dk_buf *out, const struct dk_talk *talk) {
  dk_write_text(out, talk->submit.file);
  dk_write_text(out, talk->submit.params);
  dk_write_varint(out, talk->submit.n_given);
  for (uint32_t i = 0; i < talk->submit.n_given; i++) {
    dk_write_text(out, talk->submit.given[i].name);
    dk_write_text(out, talk->submit.given[i].value);
  }
  dk_write_varint(out, talk->submit.n_variables);
  for (uint32_t i = 0; i < talk->submit.n_variables; i++) dk_write_text(out, talk->submit.variables[i]);
  dk_write_u32(out, talk->submit.jobs);
  dk_write_signed(out, talk->submit.priority);
  dk_write_u8(out, (uint8_t)(talk->submit.paused | talk->submit.refuse_dirty << 1 | talk->submit.prune << 2));
  dk_consent_write(out, &talk->submit.consent);
}

enum { NOTE_STARTED = 1, NOTE_METRICS = 2, NOTE_CHOICE = 4, NOTE_TEXT = 8, NOTE_MEMORY = 16 };

static int put_note(struct dk_buf *out, const struct dk_engine_note *note) {
  dk_autobuf metrics = DK_BUF_INIT;
  int r = note->metrics ? dk_metric_values_encode(note->metrics, &metrics) : 0;

  if (r < 0) return r;
  dk_write_u32(out, note->task);
  dk_write_u8(out, (uint8_t)note->state);
  dk_write_u8(out, (uint8_t)((note->started ? NOTE_STARTED : 0) | (note->metrics ? NOTE_METRICS : 0) |
                             (note->choice ? NOTE_CHOICE : 0) | (note->text ? NOTE_TEXT : 0) |
                             (note->memory ? NOTE_MEMORY : 0)));
  dk_write_u8(out, (uint8_t)note->cause);
  dk_write_signed(out, note->code);
  dk_write_u8(out, note->attempts);
  dk_write_varint(out, note->wall_ns);
  if (note->memory) dk_write_varint(out, note->memory);
  if (note->metrics) dk_write_bytes(out, dk_buf_text(&metrics), metrics.len);
  if (note->choice) {
    dk_write_u32(out, note->choice->row);
    dk_write_double(out, note->choice->score);
    dk_write_u32(out, note->choice->n_candidates);
  }
  if (note->text) dk_write_text(out, note->text);
  return 0;
}

static void put_wanted(struct dk_buf *out, const struct dk_talk *talk) {
  dk_write_varint(out, talk->n_wanted);
  for (uint32_t i = 0; i < talk->n_wanted; i++) {
    dk_buf_add(out, talk->wanted[i].content.bytes, DK_DIGEST_SIZE);
    dk_write_u8(out, talk->wanted[i].is_dir);
  }
}

static void put_reading(struct dk_buf *out, const struct dk_talk *talk) {
  dk_write_u64(out, talk->reading.attempt.inc);
  dk_write_varint(out, talk->reading.attempt.n);
  dk_write_u32(out, talk->reading.host);
  dk_write_u8(out, talk->reading.stream);
  dk_write_varint(out, talk->reading.offset);
  if (talk->kind == DK_TALK_READ) {
    dk_write_u32(out, talk->reading.len);
  } else {
    dk_write_varint(out, talk->log.total);
    dk_write_bytes(out, talk->log.bytes, talk->reading.len);
  }
}

static int put_body(struct dk_buf *out, const struct dk_talk *talk) {
  dk_autobuf ask = DK_BUF_INIT;
  int r = 0;

  dk_write_u8(out, (uint8_t)talk->kind);
  dk_write_u32(out, talk->run);
  switch (talk->kind) {
  case DK_TALK_SUBMIT: put_submit(out, talk); break;
  case DK_TALK_ASK:
    r = dk_ask_encode(&talk->ask, &ask);
    dk_write_bytes(out, dk_buf_text(&ask), ask.len);
    break;
  case DK_TALK_NOTE: r = put_note(out, &talk->note); break;
  case DK_TALK_FETCH: put_wanted(out, talk); break;
  case DK_TALK_READ:
  case DK_TALK_LOG: put_reading(out, talk); break;
  case DK_TALK_PROGRESS:
    dk_write_varint(out, talk->progress.here);
    dk_write_varint(out, talk->progress.total);
    dk_write_text(out, talk->text);
    break;
  case DK_TALK_WATCH:
  case DK_TALK_LEAVE:
  case DK_TALK_DONE: break;
  case DK_TALK_HELLO:
  case DK_TALK_RELEASE:
  case DK_TALK_WELCOME:
  case DK_TALK_SUBMITTED:
  case DK_TALK_REFUSED:
  case DK_TALK_ENDED:
  case DK_TALK_SAY:
  case DK_TALK_WHERE:
    dk_write_signed(out, talk->value);
    dk_write_text(out, talk->text);
    break;
  }
  return r;
}

int dk_talk_encode(const struct dk_talk *talk, struct dk_buf *out) {
  dk_autobuf body = DK_BUF_INIT;
  int r = put_body(&body, talk);

  if (r == 0 && !dk_buf_ok(&body)) r = -ENOMEM;
  if (r == 0 && body.len > DK_TALK_MAX) r = -EMSGSIZE;
  if (r < 0) return r;
  size_t before = out->len;
  dk_write_u32(out, (uint32_t)body.len);
  dk_buf_add(out, body.data, body.len);
  if (dk_buf_ok(out)) return 0;
  dk_buf_truncate(out, before);
  return -ENOMEM;
}

/* --- reading --- */

static int32_t get_i32(struct dk_reader *reader) {
  int64_t value = dk_read_signed(reader);
  if (value < INT32_MIN || value > INT32_MAX) reader->failed = true;
  return (int32_t)value;
}

/* A flag that is not known stands for something that would be passed over. */
static uint8_t get_flags(struct dk_reader *reader, unsigned known) {
  uint8_t flags = dk_read_u8(reader);
  if (flags & ~known) reader->failed = true;
  return flags;
}

static void *get_list(struct dk_reader *reader, uint32_t n, size_t size) {
  void *list = dk_calloc((size_t)n + 1, size);
  if (!list) reader->failed = reader->no_memory = true;
  return list;
}

/* What a record's own decoder says. */
static void get_inner(struct dk_reader *reader, int r) {
  if (r < 0) reader->failed = true;
  if (r == -ENOMEM) reader->no_memory = true;
}

static void get_submit(struct dk_reader *reader, struct dk_talk *ret) {
  ret->submit.file = dk_read_text(reader);
  ret->submit.params = dk_read_text(reader);
  uint32_t n = dk_read_count(reader, 2);
  ret->submit.given = get_list(reader, n, sizeof *ret->submit.given);
  for (; ret->submit.n_given < n && !reader->failed; ret->submit.n_given++) {
    ret->submit.given[ret->submit.n_given].name = dk_read_text(reader);
    ret->submit.given[ret->submit.n_given].value = dk_read_text(reader);
  }
  n = dk_read_count(reader, 1);
  ret->submit.variables = get_list(reader, n, sizeof *ret->submit.variables);
  for (; ret->submit.n_variables < n && !reader->failed; ret->submit.n_variables++)
    ret->submit.variables[ret->submit.n_variables] = dk_read_text(reader);
  ret->submit.jobs = dk_read_u32(reader);
  ret->submit.priority = get_i32(reader);
  uint8_t flags = get_flags(reader, 7);
  ret->submit.paused = flags & 1;
  ret->submit.refuse_dirty = flags & 2;
  ret->submit.prune = flags & 4;
  dk_consent_read(reader, &ret->submit.consent);
}

static void get_note(struct dk_reader *reader, struct dk_talk *ret) {
  struct dk_engine_note *note = &ret->note;
  size_t len;

  note->task = dk_read_u32(reader);
  uint8_t state = dk_read_u8(reader);
  uint8_t flags = get_flags(reader, NOTE_STARTED | NOTE_METRICS | NOTE_CHOICE | NOTE_TEXT | NOTE_MEMORY);
  uint8_t cause = dk_read_u8(reader);
  if (state >= DK_N_STATES || cause > DK_CAUSE_LOST) reader->failed = true;
  note->state = reader->failed ? DK_TASK_WAITING : (enum dk_task_state)state;
  note->started = flags & NOTE_STARTED;
  note->cause = reader->failed ? DK_CAUSE_OK : (enum dk_cause)cause;
  note->code = get_i32(reader);
  note->attempts = dk_read_u8(reader);
  note->wall_ns = dk_read_varint(reader);
  if (flags & NOTE_MEMORY) note->memory = dk_read_varint(reader);
  if ((flags & NOTE_MEMORY) && note->memory == 0) reader->failed = true;
  if (flags & NOTE_METRICS) {
    const char *bytes = dk_read_bytes(reader, &len);
    get_inner(reader, reader->failed ? -EBADMSG : dk_metric_values_decode(bytes, len, &ret->metrics));
    note->metrics = &ret->metrics;
  }
  if (flags & NOTE_CHOICE) {
    ret->choice.row = dk_read_u32(reader);
    ret->choice.score = dk_read_double(reader);
    ret->choice.n_candidates = dk_read_u32(reader);
    note->choice = &ret->choice;
  }
  if (flags & NOTE_TEXT) note->text = ret->text = dk_read_text(reader);
}

static void get_ask(struct dk_reader *reader, struct dk_talk *ret) {
  size_t len;
  const char *bytes = dk_read_bytes(reader, &len);

  get_inner(reader, reader->failed ? -EBADMSG : dk_ask_decode(bytes, len, &ret->ask));
}

static void get_wanted(struct dk_reader *reader, struct dk_talk *ret) {
  uint32_t n = dk_read_count(reader, DK_DIGEST_SIZE + 1);

  ret->wanted = get_list(reader, n, sizeof *ret->wanted);
  for (; ret->n_wanted < n && !reader->failed; ret->n_wanted++) {
    struct dk_wanted *wanted = &ret->wanted[ret->n_wanted];
    const void *bytes = dk_read_fixed(reader, DK_DIGEST_SIZE);
    if (bytes) memcpy(wanted->content.bytes, bytes, DK_DIGEST_SIZE);
    wanted->is_dir = get_flags(reader, 1);
  }
}

static void get_reading(struct dk_reader *reader, struct dk_talk *ret) {
  struct dk_reading *reading = &ret->reading;
  size_t len = 0;

  reading->attempt.inc = dk_read_u64(reader);
  reading->attempt.n = dk_read_varint(reader);
  reading->host = dk_read_u32(reader);
  reading->stream = dk_read_u8(reader);
  if (reading->stream != 1 && reading->stream != 2) reader->failed = true;
  reading->offset = dk_read_varint(reader);
  if (ret->kind == DK_TALK_READ) {
    reading->len = dk_read_u32(reader);
  } else {
    ret->log.total = dk_read_varint(reader);
    const char *bytes = dk_read_bytes(reader, &len);
    reading->len = len > DK_PART_MAX ? 0 : (uint32_t)len;
    ret->log.bytes = bytes && len <= DK_PART_MAX ? dk_memdup(bytes, len) : NULL;
    if (bytes && !ret->log.bytes && len <= DK_PART_MAX) reader->failed = reader->no_memory = true;
  }
  if (reading->len > DK_PART_MAX || len > DK_PART_MAX) reader->failed = true;
}

static void get_body(struct dk_reader *reader, struct dk_talk *ret) {
  uint8_t kind = dk_read_u8(reader);

  ret->kind = (enum dk_talk_kind)kind;
  ret->run = dk_read_u32(reader);
  if (kind == DK_TALK_SUBMIT) {
    get_submit(reader, ret);
  } else if (kind == DK_TALK_ASK) {
    get_ask(reader, ret);
  } else if (kind == DK_TALK_NOTE) {
    get_note(reader, ret);
  } else if (kind == DK_TALK_FETCH) {
    get_wanted(reader, ret);
  } else if (kind == DK_TALK_READ || kind == DK_TALK_LOG) {
    get_reading(reader, ret);
  } else if (kind == DK_TALK_PROGRESS) {
    ret->progress.here = dk_read_varint(reader);
    ret->progress.total = dk_read_varint(reader);
    ret->text = dk_read_text(reader);
  } else if (kind == DK_TALK_HELLO || kind == DK_TALK_RELEASE ||
             (kind >= DK_TALK_WELCOME && kind <= DK_TALK_WHERE && kind != DK_TALK_DONE)) {
    ret->value = get_i32(reader);
    ret->text = dk_read_text(reader);
    if (kind == DK_TALK_ENDED && (ret->value < DK_RUN_RUNNING || ret->value > DK_RUN_INTERRUPTED))
      reader->failed = true;
  } else if (kind != DK_TALK_WATCH && kind != DK_TALK_LEAVE && kind != DK_TALK_DONE) {
    reader->failed = true;
  }
}

long dk_talk_decode(const void *data, size_t len, struct dk_talk *ret) {
  struct dk_reader reader;

  *ret = (struct dk_talk){0};
  dk_reader_init(&reader, data, len);
  if (len < HEAD) return 0;
  uint32_t size = dk_read_u32(&reader);
  if (size > DK_TALK_MAX) return -EPROTO;
  if (len - HEAD < size) return 0;
  dk_reader_init(&reader, (const char *)data + HEAD, size);
  get_body(&reader, ret);
  if (dk_reader_done(&reader)) return (long)HEAD + (long)size;
  dk_talk_finish(ret);
  return reader.no_memory ? -ENOMEM : -EPROTO;
}

void dk_talk_finish(struct dk_talk *talk) {
  dk_free(talk->text);
  dk_free(talk->submit.file);
  dk_free(talk->submit.params);
  for (uint32_t i = 0; talk->submit.given && i < talk->submit.n_given; i++) {
    dk_free(talk->submit.given[i].name);
    dk_free(talk->submit.given[i].value);
  }
  dk_free(talk->submit.given);
  for (uint32_t i = 0; talk->submit.variables && i < talk->submit.n_variables; i++) dk_free(talk->submit.variables[i]);
  dk_free(talk->submit.variables);
  dk_free(talk->wanted);
  dk_free(talk->log.bytes);
  dk_ask_finish(&talk->ask);
  dk_metric_values_finish(&talk->metrics);
  *talk = (struct dk_talk){0};
}

/* --- a connection --- */

int dk_talk_read(struct dk_talk_stream *stream) {
  void *room = dk_buf_reserve(&stream->in, READ_SIZE);
  ssize_t n;

  if (!room) return -ENOMEM;
  do {
    n = read(stream->fd, room, READ_SIZE);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
  if (n == 0) return -ECONNRESET;
  dk_buf_commit(&stream->in, (size_t)n);
  return 1;
}

int dk_talk_next(struct dk_talk_stream *stream, struct dk_talk *ret) {
  long n = dk_talk_decode(stream->in.data, stream->in.len, ret);

  if (n <= 0) return (int)n;
  memmove(stream->in.data, stream->in.data + n, stream->in.len - (size_t)n);
  dk_buf_truncate(&stream->in, stream->in.len - (size_t)n);
  return 1;
}

int dk_talk_flush(struct dk_talk_stream *stream) {
  return dk_outbox_send(&stream->out, stream->fd);
}

int dk_talk_send(struct dk_talk_stream *stream, const struct dk_talk *talk) {
  int r = dk_talk_encode(talk, &stream->out.bytes);

  if (r == 0 && dk_outbox_waiting(&stream->out) > DK_TALK_MAX) r = -ENOBUFS; /* who reads nothing is given up */
  return r < 0 ? r : dk_talk_flush(stream);
}

bool dk_talk_wants_out(const struct dk_talk_stream *stream) {
  return dk_outbox_waiting(&stream->out) > 0;
}

void dk_talk_close(struct dk_talk_stream *stream) {
  if (stream->fd >= 0) close(stream->fd);
  dk_buf_finish(&stream->in);
  dk_outbox_finish(&stream->out);
  *stream = (struct dk_talk_stream){.fd = -1};
}

/* What an engine and the commands that watch or ask it say to each other, over the unix socket `.dkrun/engine.sock`.
 *
 * A frame is a u32 length (little-endian) and that many bytes: u8 kind, u32 run, then the kind's own fields as
 * lang/base/bytes.h writes them. Both sides have the same user id (the socket is 0600 in a 0700 folder and the peer is
 * checked). Frames that cannot be read close the connection, and so does anything in one that is not known: nothing is
 * passed over. The first frame of each side is HELLO and WELCOME; with another protocol number nothing else is said. So
 * the number is raised whenever a frame gets a field, a flag or a kind, though it be one that is seldom sent: an engine
 * and a command of two versions, which only meet over an upgrade, then say so instead of breaking off in the middle. 2:
 * a note may say what memory comes next. 3: FETCH and READ; WHERE says where. 4: RELEASE. 5: SUBMIT says what
 * may be paid. */
#ifndef DK_DRIVE_TALK_H
#define DK_DRIVE_TALK_H

#include "engine/drive/reach.h"
#include "engine/sys/outbox.h"

#define DK_TALK_PROTOCOL 5
#define DK_TALK_SOCKET "engine.sock" /* in the state folder */
#define DK_TALK_MAX (64u << 20)

enum dk_talk_kind {
  /* to the engine */
  DK_TALK_HELLO = 1,
  DK_TALK_SUBMIT, /* start a run; SUBMITTED or REFUSED, and then it is watched */
  DK_TALK_WATCH,  /* tell me of the run: SUBMITTED (is_under_way), or REFUSED when it does not go on here */
  DK_TALK_ASK,    /* cancel, pause, resume, priority: DONE or REFUSED */
  DK_TALK_LEAVE, /* end, since this folder is wanted by who asks: DONE; REFUSED (-EBUSY) with a run or another client */
  DK_TALK_FETCH, /* bring contents here: PROGRESS now and then, then DONE or REFUSED. One at a time */
  DK_TALK_READ,  /* what does a running task write? LOG or REFUSED */
  DK_TALK_RELEASE, /* give back what is rented: DONE (it goes), or REFUSED (there is none of the name) */
  /* from it */
  DK_TALK_WELCOME = 64,
  DK_TALK_SUBMITTED,
  DK_TALK_DONE,
  DK_TALK_REFUSED,
  DK_TALK_NOTE,     /* what became of a task of a run that is watched */
  DK_TALK_ENDED,    /* of a run that is watched */
  DK_TALK_SAY,      /* words for all */
  DK_TALK_WHERE,    /* a host came or went */
  DK_TALK_PROGRESS, /* of what is fetched */
  DK_TALK_LOG,
};

struct dk_talk {
  enum dk_talk_kind kind;
  uint32_t run;  /* WATCH ASK SUBMITTED DONE NOTE ENDED; REFUSED, of FETCH: which of the contents */
  int32_t value; /* HELLO, WELCOME: protocol; SUBMITTED: 1 when it went on already; REFUSED: negative errno; ENDED: enum
                    dk_run_state; WHERE: slots; RELEASE: 1 when what runs there ends now */
  char *text; /* owned. HELLO: the repository ("": not said); WELCOME: version; SUBMITTED: notes; REFUSED, SAY: words;
                 PROGRESS: what is waited for; WHERE: dk_fleet_where;
                 RELEASE: a machine, or a provider, "": all */
  struct {
    char *file, *params; /* owned, like all of these */
    struct dk_pair *given;
    char **variables; /* ended by NULL */
    uint32_t n_given, n_variables, jobs;
    int32_t priority;
    bool paused, refuse_dirty, prune;
    struct dk_consent consent;
  } submit;
  struct dk_wanted *wanted; /* FETCH; owned */
  uint32_t n_wanted;
  struct {
    uint64_t here, total; /* bytes */
  } progress;
  struct dk_reading reading; /* READ, and LOG: what was asked, but for the offset where its bytes begin */
  struct {
    uint64_t total; /* bytes written so far */
    char *bytes;    /* owned; reading.len of them */
  } log;
  struct dk_ask ask;
  struct dk_engine_note note; /* text and values are owned by the fields below when it was decoded */
  struct dk_metric_values metrics;
  struct dk_choice choice;
};

/* Appends a frame. 0, -ENOMEM (nothing appended), -EMSGSIZE. */
int dk_talk_encode(const struct dk_talk *talk, struct dk_buf *out);
/* Takes a frame from the front of the bytes: how many it took, 0: more is needed, -EPROTO, -ENOMEM. */
long dk_talk_decode(const void *data, size_t len, struct dk_talk *ret);
void dk_talk_finish(struct dk_talk *talk);

/* A connection's buffers; the descriptor is the caller's to watch. */
struct dk_talk_stream {
  int fd;
  struct dk_buf in;
  struct dk_outbox out;
};
/* Reads what is there. 1: something, 0: nothing now, negative: the other side has gone (-ECONNRESET) or an errno. */
int dk_talk_read(struct dk_talk_stream *stream);
/* The next whole frame that was read. 1, 0: none, negative: no frame of ours. */
int dk_talk_next(struct dk_talk_stream *stream, struct dk_talk *ret);
/* Queues a frame and sends what the socket takes. 0; negative: the connection is of no use any more. */
int dk_talk_send(struct dk_talk_stream *stream, const struct dk_talk *talk);
int dk_talk_flush(struct dk_talk_stream *stream);
bool dk_talk_wants_out(const struct dk_talk_stream *stream);
void dk_talk_close(struct dk_talk_stream *stream);

#endif

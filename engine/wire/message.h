/* What engine and agent say to each other, as structs; docs/agent-protocol.md is the text of it.
 *
 * Bytes on the stream are frames (frame.h): u32 length, u32 CRC-32C, then one message: u8 type and its fields as
 * lang/base/bytes.h writes them. Both sides decode defensively: a bad frame closes the connection, never the process.
 * All strings are bytes without NUL. Decoded structs own their memory; finish frees it. */
#ifndef DK_WIRE_MESSAGE_H
#define DK_WIRE_MESSAGE_H

#include "engine/wire/id.h"
#include "lang/base/buf.h"
#include "lang/base/digest.h"
#include "lang/base/error.h"

#ifndef DK_PROTOCOL /* tests build an agent of another one */
#define DK_PROTOCOL 3
#endif
#define DK_LOG_INLINE 4096u      /* bytes of a log that travel inside the result */
#define DK_PART_MAX (256u << 10) /* bytes of an object or a log in one message */
#define DK_SLOTS_MAX 65535u      /* of an agent: those of all hosts (DK_HOSTS_MAX) together fit in 32 bits */

enum dk_message_type {
  /* engine to agent */
  DK_MSG_HELLO = 1,
  DK_MSG_LIST,
  DK_MSG_ASSIGN,
  DK_MSG_REVOKE,
  DK_MSG_KILL,
  DK_MSG_ACK,
  DK_MSG_PUT,  /* a part of an object that the agent LACKS */
  DK_MSG_GET,  /* a part of an object is asked for: PART or GONE */
  DK_MSG_READ, /* a part of what a running task has written: LOG */
  DK_MSG_PING, /* PONG */
  /* either way */
  DK_MSG_GONE = 32, /* the object that was asked for is not there, or cannot be read */
  /* agent to engine */
  DK_MSG_WELCOME = 64,
  DK_MSG_HAS,
  DK_MSG_HAS_END,
  DK_MSG_STARTED,
  DK_MSG_REFUSED,
  DK_MSG_REVOKED,
  DK_MSG_RESULT,
  DK_MSG_CLOSED,
  DK_MSG_LACKS, /* an order waits for an object that is not here: PUT it, from an offset on, or say GONE */
  DK_MSG_PART,
  DK_MSG_LOG,
  DK_MSG_PONG,
};

struct dk_job_input {
  char *from;              /* absolute path of an object, file or directory; NULL in a remote job */
  char *place;             /* relative; "." (a directory's): the task's directory itself */
  bool is_dir;             /* it is a directory manifest */
  struct dk_digest digest; /* remote job: of the object; else zero */
};
struct dk_job_output {
  char *name;
  char *path;
  bool is_dir;
};
struct dk_pair {
  char *name, *value;
};

/* One task as the agent gets it. Paths are absolute unless said otherwise.
 *
 * A remote job knows no path of the agent's machine: its inputs (its code too) are objects by digest, which the agent
 * has in a folder of its own or LACKS; outputs go there; PATH, HOME, USER, LOGNAME, SHELL and proxies are those of the
 * agent's own environment, unless `env` has them; what `open` names must be there, or the order is refused (BAD). What
 * the agent hands to its keeper is still remote, and has all paths. */
struct dk_job {
  char *label; /* for people: "train lr=0.1" */
  char **argv;
  uint32_t n_argv;
  char *script; /* given to argv as the last arguments "-c SCRIPT", or by a file when it is over 96 KiB; NULL: none */
  struct dk_pair *env;
  uint32_t n_env; /* the whole environment but for what the keeper adds: engine/agent/environ.h */
  char *code;     /* directory whose content is cloned into the task's directory; NULL: none */
  struct dk_job_input *inputs;
  uint32_t n_inputs;
  struct dk_job_output *outputs;
  uint32_t n_outputs;
  char **keep_files;
  uint32_t n_keep_files; /* relative; kept when they exist (metrics read them) */
  char *objects;         /* object directory that outputs are moved into; NULL in a remote job: the agent's own */
  uint64_t timeout_ms;   /* 0: none */
  uint64_t grace_ms;     /* from TERM to KILL */
  uint64_t log_cap;      /* bytes a stream may hold on disk before its middle is dropped */
  uint64_t memory;       /* bytes, 0: not limited */
  uint32_t cpus;         /* slots booked, at least 1 */
  char *repository;      /* what the task may not read; NULL: it may read everything */
  char *folder;          /* directory in the repository where paths of its file start, for messages; NULL as well */
  char **open;           /* files and directories that it may read all the same */
  uint32_t n_open;
  uint32_t gpus; /* whole ones, for this task alone */
  char *gpu;     /* part of their model's name; NULL: any */
  bool is_remote;
};
void dk_job_finish(struct dk_job *job);

/* The file that $DK_METRICS names, in the task's directory: a task that wants it kept lists it in keep_files. */
#define DK_METRICS_FILE ".dk-metrics"

/* Content that was kept: as an object, or inline when small and asked for. */
struct dk_kept {
  struct dk_digest digest; /* of the kept bytes (dk_content_*); zero when inline, missing, or an empty log */
  uint64_t size;           /* bytes kept */
  uint64_t total;          /* bytes written by the task (logs: may be more than kept) */
  char *bytes;             /* inline (size of them), or NULL */
  bool is_dir;             /* a directory manifest */
  bool is_missing;         /* kept files: did not exist */
};

struct dk_result {
  enum dk_cause cause;
  int32_t code;             /* exit code, or signal number */
  char *text;               /* what to add for a person ("output `model` was not written: svm.model"), may be empty */
  uint64_t started_unix_ns; /* wall clock, for display only */
  uint64_t wall_ns, user_ns, sys_ns;
  uint64_t max_rss; /* bytes */
  struct dk_kept out, err;
  struct dk_kept *outputs;
  uint32_t n_outputs; /* in the job's order; only when cause is OK */
  struct dk_kept *keep_files;
  uint32_t n_keep_files; /* in the job's order */
};

struct dk_message {
  enum dk_message_type type;
  struct dk_id id;  /* ASSIGN REVOKE KILL HAS STARTED REFUSED REVOKED RESULT */
  uint64_t session; /* HELLO: of this connection; ASSIGN, REVOKE, KILL, ACK: must be that one */
  uint64_t seq;     /* RESULT: agent's number, from 1; ACK: all up to it are committed */
  union {
    struct {
      uint32_t protocol;
      uint8_t store[16];
      uint64_t incarnation;
      char *version;
    } hello;
    struct {
      uint32_t protocol;
      uint8_t boot[16];
      uint32_t slots, cpus;
      uint64_t memory;
      uint32_t pid;
      char *version;
      /* Since protocol 3; of an older one's agent zero and NULL. */
      uint32_t gpus;    /* that tasks may use */
      char *gpu;        /* their models, each once, separated by newlines; "" */
      uint64_t unix_ns; /* the machine's clock */
      uint64_t free;    /* bytes, where the agent's folder is */
    } welcome;
    struct dk_job job; /* ASSIGN */
    struct {
      uint64_t grace_ms;
    } kill;
    struct {
      enum dk_attempt_state state;
      uint32_t slot;
    } has; /* RUNNING: slot is where */
    struct {
      uint32_t slot;
      uint64_t unix_ns;
    } started;
    struct {
      enum dk_refusal reason;
      char *text;
    } refused;
    struct dk_result result;
    struct {
      char *text;
    } closed;
    struct {
      struct dk_digest digest;
      uint64_t offset; /* LACKS: what comes before is there already */
      uint64_t len;    /* GET: bytes wanted, at most DK_PART_MAX; LACKS: 0 */
    } want;            /* GET LACKS */
    struct {
      struct dk_digest digest;
      uint64_t offset, total; /* total: the object's size. An empty one is one message with no bytes */
      char *bytes;
      uint32_t len; /* at most DK_PART_MAX; fewer than asked for only at its end */
    } part;         /* PUT PART */
    struct {
      struct dk_digest digest;
      bool is_there; /* and cannot be read now */
      char *text;    /* why, for people */
    } gone;
    struct {
      uint8_t stream;  /* 1 stdout, 2 stderr */
      uint64_t offset; /* LOG: where its bytes begin; what lies between this and what was asked for was punched out */
      uint64_t total;  /* LOG: bytes that were written so far */
      char *bytes;     /* LOG */
      uint32_t len;    /* READ: bytes wanted; LOG: that there are. When the task does not run here, all are 0 */
    } log;             /* READ LOG; `id` names the attempt */
    struct {
      uint64_t unix_ns, free; /* as in WELCOME */
    } pong;
  } u;
};

/* Appends one frame. -EMSGSIZE over DK_FRAME_MAX, -ENOMEM (nothing appended). */
#define DK_FRAME_MAX (64u << 20)
int dk_message_encode(const struct dk_message *message, struct dk_buf *out);
/* Takes one frame from the front of data: returns bytes used, 0 when more is needed, -EPROTO (with a message) when it
 * is no frame of ours, -ENOMEM. */
long dk_message_decode(const void *data, size_t len, struct dk_message *ret, struct dk_error *error);
void dk_message_finish(struct dk_message *message);

/* A result by itself: the journal and the store keep it in the same bytes (version byte first). */
int dk_result_encode(const struct dk_result *result, struct dk_buf *out);
int dk_result_decode(const void *data, size_t len, struct dk_result *ret, struct dk_error *error);
void dk_result_finish(struct dk_result *result);

#endif

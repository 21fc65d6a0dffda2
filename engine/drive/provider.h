/* The provider contract: where tasks run. First shape: hosts, machines that exist; an agent is started on them and
 * spoken to over a stream. Second shape: clouds (cloud.h), whose machines are made; each is a host as long as it is
 * there. */
#ifndef DK_DRIVE_PROVIDER_H
#define DK_DRIVE_PROVIDER_H

#include "engine/drive/cloud.h"
#include "engine/sys/loop.h"
#include "lang/base/error.h"
#include "lang/check/schema.h"

#include <stdint.h>

/* One host, as a file of providers has it. Strings are borrowed from whoever made it. */
struct dk_host_config {
  const char *provider; /* `lab` of `provider lab { ... }` */
  const char *name;     /* as in `hosts`: [A-Za-z0-9_.:@-], no leading `-` */
  /* What it gives us of itself. */
  uint32_t leave;     /* processors that are left to others */
  uint32_t most_gpus; /* GPUs that tasks may book; UINT32_MAX: all */
  int nice;           /* 0 to 19 */
  const char *root;   /* directory on the host for all that is ours; NULL: the provider's choice */
  /* ssh */
  const char *user, *ssh_config; /* NULL: as the user's own ssh has it; ssh_config: `-F` */
  uint16_t port;                 /* 0: likewise */
  /* ssh, of a rented machine. Paths are absolute, and have no `${`, which ssh would take for a variable. */
  const char *address;  /* where it is; NULL: its name says it */
  const char *identity; /* the private key that lets us in: tried first, and none of an agent; NULL: as ssh has it */
  const char
      *known_hosts; /* the file that has its key, under its name, and no other file counts; NULL: as ssh has it */
};

/* What is found out of a host before its agent speaks. Texts as the host says them; "" what it does not say. */
struct dk_host_facts {
  char arch[32];     /* uname -m */
  char release[128]; /* the lines ID=... and VERSION_ID=... of its os-release(5), each with its newline */
  char libc[32];     /* "2.36" of glibc, "musl 1.2.3" */
  char node[65];     /* uname -n */
  char root[256];    /* the directory there for what is ours of this store, there or not */
  /* Its kernel since it booted, and the directory there for what is ours, of all stores. Hosts that say the same are one
   * machine by two names, with one agent; "": not known. */
  char place[96];
  char note[400]; /* what people should know of that place, one line in the host's words */
  uint64_t used;  /* bytes on disk of what is ours of this store; UINT64_MAX: not asked (all but TRY), or not known */
  uint64_t freed; /* CLEAN, REMOVE: bytes on disk that are free now */
};

/* What a host is dialled for. */
enum dk_dial_way {
  DK_DIAL_AGENT, /* the stream to this store's agent */
  /* Can there be an agent? The stream to one of its own, which goes when the stream ends, with all that it made there.
   * This store's agent is left alone, so that may be done while an engine works. */
  DK_DIAL_TRY,
  DK_DIAL_CLEAN,  /* no stream: what is kept there for later tasks goes. -EREMOTEIO and nothing goes: something runs */
  DK_DIAL_REMOVE, /* the same, and all else that is there of this store */
};

struct dk_dial_options {
  enum dk_dial_way way;
  struct dk_host_config host;
  const char *state;         /* absolute path of .dkrun */
  const char *agent_program; /* absolute path of dkagent for this machine; those for others are beside it:
                                dkagent-aarch64, dkagent-x86_64 */
  uint32_t slots;            /* tasks at a time; 0: the host's processors but for host.leave */
  uint8_t store[16];         /* id of the store: agents of several stores share a host */
  struct dk_loop *loop;
  /* AGENT, of a remote one: called when *facts are known and no agent was started or spoken to yet. Negative with words:
   * it is not to be, and `done` is called with that. NULL: it may be. Must not hang up. */
  int (*met)(void *ctx, const struct dk_host_facts *facts, struct dk_error *error);
  /* Called once, from the loop or from within dial: r 0: *facts, and `fd` is a non-blocking stream to the agent, the
   * callee's to close (CLEAN, REMOVE: -1). Negative: `error` says why in words. */
  void (*done)(void *ctx, int r, int fd, const struct dk_host_facts *facts, const struct dk_error *error);
  void *ctx; /* of both */
};

struct dk_shell_options {
  struct dk_host_config host;
  const char *script; /* for sh, which reads it from its stdin; copied */
  int log;            /* what it prints is appended, and what is said on the way to it; borrowed */
  struct dk_loop *loop;
  void (*begun)(void *ctx); /* called once, when the script has printed something */
  /* Called once, from the loop. r 0: it has ended, with this exit code. Negative with words: -EAGAIN: the script has not
   * begun; -EPIPE: the connection broke, and nobody knows what came of it. */
  void (*done)(void *ctx, int r, int code, const struct dk_error *error);
  void *ctx; /* of both */
};

/* A script that runs on a host, without an agent. */
struct dk_shell;

/* A way to a host's agent: from the first try until the stream is given up. */
struct dk_dial;

struct dk_provider {
  const char *kind;                      /* "local" */
  const struct dk_schema *schema;        /* fields of its block; NULL: only those that all have */
  bool is_remote;                        /* its agents share no files with the engine: they get remote jobs */
  const struct dk_cloud_provider *cloud; /* its machines are made, and then dialled like hosts; NULL: they are there */
  /* Begins to reach the host's agent, which is started if it does not run. A remote one blocks no longer than a local
   * program takes to start; this machine's until its agent listens, which takes a moment (engine/sys/daemon.h has the
   * limit). 0: `done` was or will be called. Negative with words: it will not. A provider that is not remote knows
   * AGENT only. */
  int (*dial)(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error);
  /* Why the stream of a dial that was done broke, for people; NULL: nothing is known. Valid until hang_up. What is
   * under the stream may need a moment to say it: blocks 0.1 s at most. */
  const char *(*why)(struct dk_dial *dial);
  /* Gives it up, whatever it has come to; `done` is not called any more. The stream's fd stays its holder's. Does not
   * block: what is under the dial is told to end, and its end is awaited in the loop. */
  void (*hang_up)(struct dk_dial *dial);
  /* Before the loop of dials that were hung up is destroyed: what has not ended yet, of all of them, is ended. Blocks
   * 0.2 s at most. NULL: nothing is left by a hang_up. */
  void (*settle)(void);
  /* Runs a script on a rented machine. 0: `done` will be called. Negative with words: it will not. NULL: it has no
   * such machines. */
  int (*shell)(const struct dk_shell_options *options, struct dk_shell **ret, struct dk_error *error);
  void (*close_shell)(struct dk_shell *shell); /* as hang_up; the script may go on. NULL is fine */
  /* Has a person answer what the host asks for (a password, a code, whether its key is right), with this process's
   * terminal, for the dials of the next hours. Blocks for as long as that takes; prints to stderr. 0, or negative with
   * words. NULL: it asks for nothing. */
  int (*login)(const struct dk_host_config *host, struct dk_error *error);
};

/* Ends with a NULL kind. Defined by providers/registry.c; tests link their own. */
extern const struct dk_provider dk_providers[];

/* `settle` of all of them. */
static inline void dk_providers_settle(void) {
  for (const struct dk_provider *provider = dk_providers; provider->kind; provider++)
    if (provider->settle) provider->settle();
}

#endif

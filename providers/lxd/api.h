/* The REST API of LXD, which Incus has too: what is sent, and what an answer says. Pure. LXD 5.0 and later, Incus 6;
 * doc/rest-api.md of LXD has the forms of answers.
 *
 * - Who changes something is answered with an operation, which goes on and may fail later. An operation that has ended
 *   is forgotten 5 s later, all of them when the server restarts (lxd/operations/operations.go): who hears NOT_FOUND of
 *   one looks at what it was to change.
 * - Names are unique in a project: a create that is sent twice makes one instance, and the second answer is EXISTS. The
 *   instance's tags say whose it is.
 * - Instances are ephemeral: the server deletes one when it stops, whoever stopped it, and when it cannot be started.
 *   So a delete is a STOP; one that never ran is STOPPED and wants a DELETE.
 * - There are no pages: a list is whole, or it cannot be read. The server's own filter is not used: of an instance on a
 *   member of a cluster that does not answer, only the name is listed (lxd/instances_get.go), so a filter by our tags
 *   would leave out what is there (and it is a regular expression, in any case: lxd/filter/match.go). */
#ifndef DK_PROVIDERS_LXD_API_H
#define DK_PROVIDERS_LXD_API_H

#include "lang/base/buf.h"
#include "lang/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DK_LXD_NAME 64u /* bytes, NUL included; as the other ones */
#define DK_LXD_TAG 128u
#define DK_LXD_OWNER 256u
#define DK_LXD_FINGERPRINT 65u

/* What is sent. */

enum dk_lxd_call {
  DK_LXD_SERVER,    /* who is it, and are we let in? */
  DK_LXD_CREATE,    /* `machine`; it does not run yet */
  DK_LXD_START,     /* instance `name` */
  DK_LXD_STOP,      /* instance `name`, at once, as by pulling its plug */
  DK_LXD_DELETE,    /* instance `name`, which is stopped */
  DK_LXD_EXEC,      /* `script` in instance `name`, by /bin/sh as root: for images that do nothing with user data */
  DK_LXD_WAIT,      /* until operation `name` has ended, or wait_s seconds: nothing is heard meanwhile */
  DK_LXD_INSTANCES, /* all of the project */
  DK_LXD_INSTANCE,  /* instance `name` */
  DK_LXD_ADDRESSES, /* of instance `name` */
  DK_LXD_KEEP,      /* instance `name` is not ephemeral any more: a PUBLISH wants it stopped, and there */
  /* An image of instance `name`, which is stopped, with `tags`. No alias: one that is taken would fail the call and
   * leave the image. */
  DK_LXD_PUBLISH,
  DK_LXD_IMAGES,       /* all of the project */
  DK_LXD_DELETE_IMAGE, /* image `name`, a fingerprint */
  DK_LXD_ALIAS,        /* which image has alias `name`? */
  DK_LXD_IMAGE,        /* image `name`, a fingerprint */
  DK_LXD_PROFILE,      /* profile `name` */
  DK_LXD_PROJECT,      /* project `name`: one that is not there has no instances, says LXD */
  DK_LXD_N_CALLS,
};

/* What says whose something is: config user.dkrun.* of instances, properties of images. NULL: not sent. */
struct dk_lxd_tags {
  const char *store; /* id in hex */
  const char *run;
  const char *owner;  /* who made it, for people */
  const char *recipe; /* of images: what is in it */
};

struct dk_lxd_machine {
  const char *image;     /* fingerprint (64 hex digits) or alias */
  const char *profile;   /* NULL: the project's default one */
  const char *pool;      /* of its disk; NULL: as the profile has it, and so is disk */
  uint64_t disk, memory; /* bytes; 0: no limit */
  uint32_t cpus;         /* 0: no limit */
  bool is_vm;
  const char *user_data; /* what cloud-init of the image gets; NULL: nothing */
  struct dk_lxd_tags tags;
};

struct dk_lxd_ask {
  enum dk_lxd_call call;
  const char *project; /* NULL: the default one */
  const char *name;    /* of the machine to be made, too: letters, digits, '-', at most 63 */
  const char *script;
  uint32_t wait_s;
  struct dk_lxd_machine machine;
  struct dk_lxd_tags tags;
};

/* A GET may be sent again. All else once: LXD answers 500 to what it refuses for good (a quota), and a second try would
 * only hide that; of what broke, INSTANCE says what came of it. */
struct dk_lxd_request {
  const char *method;
  struct dk_buf path; /* with query, percent-escaped */
  struct dk_buf body; /* JSON; empty: none */
};

/* 0; -EINVAL with words: a name, image or script that cannot be sent; -ENOMEM. The result is finished in any case. */
int dk_lxd_request(const struct dk_lxd_ask *ask, struct dk_lxd_request *ret, struct dk_error *error);
void dk_lxd_request_finish(struct dk_lxd_request *request);

/* What is answered. */

enum dk_lxd_reason {
  DK_LXD_FINE,
  DK_LXD_DENIED,      /* the certificate, or what the project forbids: only people can help */
  DK_LXD_BAD_REQUEST, /* only people can help */
  DK_LXD_NOT_FOUND,   /* what the call was about; of CREATE: image, profile or project */
  DK_LXD_EXISTS,      /* it is there already, or is so already: running, stopped */
  DK_LXD_QUOTA,       /* the project may have no more */
  DK_LXD_CAPACITY,    /* the server has no room, or no member that would take it */
  DK_LXD_THROTTLED,
  DK_LXD_TRANSIENT, /* the server starts, ends, or is busy with itself: try again */
  DK_LXD_UNKNOWN,   /* else. The call may have done what it should */
};

/* An HTTP answer. `label` ("lab-cloud: create machine") begins all words. */
struct dk_lxd_answer {
  int status;
  const char *body;
  size_t len;
  const char *label;
};

/* All of these: FINE and *ret, else *ret is empty and `error` has words, negative code included: the server's own where
 * it refuses (after DK_LXD_UNKNOWN: also what cannot be understood). -ENOMEM comes as TRANSIENT. Texts of *ret are as
 * the server sent them, bounded: whoever shows them escapes them. */

/* Of every call that changes something, and of WAIT. An operation that failed is a refusal. */
struct dk_lxd_operation {
  char id[DK_LXD_NAME]; /* for WAIT; "": it was done at once */
  bool has_ended;
  char fingerprint[DK_LXD_FINGERPRINT]; /* PUBLISH, ended: the image */
  int exit_code;                        /* EXEC, ended; -1: not said */
};
enum dk_lxd_reason dk_lxd_read_operation(const struct dk_lxd_answer *answer, struct dk_lxd_operation *ret,
                                         struct dk_error *error);

/* SERVER. DENIED when we are not trusted, BAD_REQUEST when it is too old. */
struct dk_lxd_server {
  char kind[16]; /* "lxd", "incus" */
  char version[32];
  char name[DK_LXD_NAME];
  bool is_clustered;
  bool has_vms, has_containers;
};
enum dk_lxd_reason dk_lxd_read_server(const struct dk_lxd_answer *answer, struct dk_lxd_server *ret,
                                      struct dk_error *error);

enum dk_lxd_state {
  DK_LXD_OTHER, /* not known, also of one on a member of a cluster that does not answer */
  DK_LXD_STARTING,
  DK_LXD_RUNNING,
  DK_LXD_FROZEN,
  DK_LXD_STOPPING,
  DK_LXD_STOPPED,
};

struct dk_lxd_instance {
  char name[DK_LXD_NAME];
  char id[DK_LXD_NAME]; /* tells it from an earlier one of its name; "": not known */
  enum dk_lxd_state state;
  int64_t created;                                              /* Unix seconds; 0: not known */
  char store[DK_LXD_TAG], run[DK_LXD_TAG], owner[DK_LXD_OWNER]; /* "": it has no such tag */
  char address[46]; /* of INSTANCES: the first one, as ADDRESSES has them; "": none yet */
  bool is_hidden;   /* the server cannot say more than its name now: it may have tags */
};
struct dk_lxd_instances {
  struct dk_lxd_instance *items; /* owned */
  uint32_t n;
  uint32_t n_others; /* without a tag `store`: left out */
};
/* INSTANCES, INSTANCE. Those with a tag `store`, and the hidden ones. */
enum dk_lxd_reason dk_lxd_read_instances(const struct dk_lxd_answer *answer, struct dk_lxd_instances *ret,
                                         struct dk_error *error);
void dk_lxd_instances_finish(struct dk_lxd_instances *instances);

/* ADDRESSES: those that others can reach, of cards that the server plugged in first, among these IPv4 first; `state` as
 * of an instance. */
#define DK_LXD_ADDRESSES_MOST 16u
struct dk_lxd_addresses {
  enum dk_lxd_state state;
  uint32_t n; /* 0: it has none yet */
  struct {
    char card[16];
    char text[46]; /* an address by inet_pton */
  } items[DK_LXD_ADDRESSES_MOST];
};
enum dk_lxd_reason dk_lxd_read_addresses(const struct dk_lxd_answer *answer, struct dk_lxd_addresses *ret,
                                         struct dk_error *error);

/* ALIAS, IMAGE, PROFILE, PROJECT: FINE when there is one, NOT_FOUND. */
enum dk_lxd_reason dk_lxd_read_there(const struct dk_lxd_answer *answer, struct dk_error *error);

struct dk_lxd_image {
  char fingerprint[DK_LXD_FINGERPRINT];
  char store[DK_LXD_TAG], owner[DK_LXD_OWNER], recipe[DK_LXD_TAG];
  uint64_t size;    /* bytes */
  int64_t uploaded; /* Unix seconds; 0: not known */
};
struct dk_lxd_images {
  struct dk_lxd_image *items; /* owned */
  uint32_t n;
  uint32_t n_others; /* without a tag `recipe`: left out */
};
/* IMAGES. Those with a tag `recipe`. */
enum dk_lxd_reason dk_lxd_read_images(const struct dk_lxd_answer *answer, struct dk_lxd_images *ret,
                                      struct dk_error *error);
void dk_lxd_images_finish(struct dk_lxd_images *images);

/* What the server's words, with the HTTP status that came with them (an operation's: 0), are about. */
enum dk_lxd_reason dk_lxd_reason_of(int status, const char *words);

#endif

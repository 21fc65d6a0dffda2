/* The contract of clouds: providers whose machines are made when they are asked for, and given back. The second shape
 * of a provider, beside hosts (provider.h).
 *
 * A cloud is asked calls, each of which ends with one result. What a call does to the world it does at most once as far
 * as anyone can know; when it broke and may have acted, its result says `DK_CLOUD_DOUBT`, and what there is then is to
 * be found by a list. Nothing here decides how many machines there are, or when one goes: that is engine/rent. */
#ifndef DK_DRIVE_CLOUD_H
#define DK_DRIVE_CLOUD_H

#include "engine/sys/loop.h"
#include "lang/base/error.h"

#include <stdint.h>

#define DK_CLOUD_WHERE 256u /* bytes, NUL included */
#define DK_CLOUD_OWNER 256u /* likewise: what any cloud takes as a tag */

struct dk_cloud; /* one that is open: its connections and what it knows of who we are */

/* A kind of machine that can be had. */
struct dk_shape {
  const char *name;
  uint32_t cpus, gpus;
  uint64_t memory, disk; /* bytes; 0: not known */
  uint64_t price;        /* for an hour, in millionths of the currency; UINT64_MAX: not known */
  char currency[4];      /* "USD"; "": not known */
};

/* A field of the provider's block that its kind alone knows (its schema), as written: text as it is, whole numbers in
 * decimal, booleans "true" and "false"; of a DK_KIND_FILE the absolute path of a regular file, without links. */
struct dk_cloud_setting {
  const char *name, *value;
};

struct dk_cloud_config {
  const char *provider; /* `lab` of `provider lab { ... }` */
  const struct dk_cloud_setting *settings;
  uint32_t n_settings;
};

/* Strings are copied. `loop` must outlive the cloud; `seed`: of the jitter between tries. */
struct dk_cloud_options {
  struct dk_cloud_config config;
  struct dk_loop *loop;
  uint64_t seed;
  uint8_t store[16]; /* id of the store: what we make carries it */
  /* Who makes it and where (owner.h): carried, too. UTF-8, less than DK_CLOUD_OWNER bytes; NULL: not said. */
  const char *owner;
};

enum dk_cloud_kind {
  DK_CLOUD_CHECK,  /* who are we there, and may we? Result: words */
  DK_CLOUD_CREATE, /* one instance of `name`, from `image`, of `shape`, that runs `user_data` when it first boots */
  DK_CLOUD_LIST,   /* all instances that carry a store's id, ours and others' */
  DK_CLOUD_DELETE, /* `id`, with its disks; one that is not there: fine */
  /* Switches instance `id` off and makes an image `name` of its disk, which carries `recipe`, the store and the owner.
   * Result: the image's id; it need not be ready yet, a list says. The instance is there still, stopped, until DELETE. */
  DK_CLOUD_SNAPSHOT,
  DK_CLOUD_LIST_IMAGES,  /* all images that carry a recipe, ours and others' */
  DK_CLOUD_DELETE_IMAGE, /* `id`; one that is not there: fine */
};

/* Lent for the start of the call. */
struct dk_cloud_order {
  enum dk_cloud_kind kind;
  const char *name;             /* CREATE, SNAPSHOT: [a-z0-9-], at most 60 bytes; the cloud knows what is made by it */
  const char *id;               /* DELETE, SNAPSHOT, DELETE_IMAGE: as another call or a list gave it */
  const char *image;            /* CREATE; CHECK: is it there? NULL: not asked */
  bool is_image_id;             /* CREATE: `image` is an id of a SNAPSHOT or a list; else as people name it */
  const char *recipe;           /* SNAPSHOT: 64 digits in hex */
  const struct dk_shape *shape; /* CREATE */
  const struct dk_shape
      *shapes; /* CHECK: are there machines of these? At most 64 are looked at; n_shapes 0: not asked */
  uint32_t n_shapes;
  const char *user_data; /* CREATE: a script, "#!/bin/sh ..." */
};

enum dk_instance_state {
  DK_INSTANCE_UNKNOWN, /* a word that the driver does not know */
  DK_INSTANCE_BOOTING, /* the cloud makes it, or starts it */
  DK_INSTANCE_RUNNING,
  DK_INSTANCE_STOPPED, /* there, and not running: it may cost money all the same */
  DK_INSTANCE_FAILED,  /* it will not run */
  DK_INSTANCE_LEAVING, /* it is being deleted */
};

struct dk_instance {
  const char *name, *id;
  const char *address; /* where it can be reached; "": not known yet */
  uint8_t store[16];   /* whose it is */
  const char *owner;   /* the same for people, as who made it said; "": not said */
  enum dk_instance_state state;
  int64_t made_unix; /* seconds, by the cloud's clock; 0: not known */
  const char *words; /* why it failed; "" */
};

enum dk_image_state {
  DK_IMAGE_UNKNOWN,
  DK_IMAGE_SAVING,
  DK_IMAGE_READY, /* machines can be made from it */
  DK_IMAGE_FAILED,
};

/* An image that a dkrun has made. */
struct dk_cloud_image {
  const char *id, *name, *recipe;
  uint8_t store[16];
  const char *owner; /* as of an instance */
  enum dk_image_state state;
  uint64_t size;     /* bytes; 0: not known */
  int64_t made_unix; /* seconds, by the cloud's clock; 0: not known */
};

/* Why a call came to nothing. But for DOUBT it is certain that nothing was made. */
enum dk_cloud_failure {
  DK_CLOUD_FINE,
  DK_CLOUD_QUOTA,     /* we have as much as we may */
  DK_CLOUD_CAPACITY,  /* they have no such machine left */
  DK_CLOUD_THROTTLED, /* too many calls; see retry_after_ns */
  DK_CLOUD_DENIED,    /* who we are, or what we may */
  DK_CLOUD_BAD,       /* the request: an image or a network that there is not */
  DK_CLOUD_TRANSIENT, /* the cloud, or the way to it */
  DK_CLOUD_DOUBT,     /* it may have acted */
};

/* Lent for the callback. */
struct dk_cloud_result {
  enum dk_cloud_failure failure;
  struct dk_error error;   /* unless FINE: provider, call, what failed, request id, what to do */
  uint64_t retry_after_ns; /* THROTTLED: what the cloud asks for; 0: nothing */
  const char *id;          /* CREATE, SNAPSHOT */
  bool is_absent;          /* DELETE, DELETE_IMAGE: it was not there any more */
  const char *words;       /* CHECK: one line for people */
  /* LIST. `now_unix`: the cloud's clock when it answered, 0: not known. */
  const struct dk_instance *instances;
  uint32_t n_instances;
  const struct dk_cloud_image *images; /* LIST_IMAGES; the two below likewise */
  uint32_t n_images;
  bool is_complete;
  int64_t now_unix;
};

struct dk_cloud_call;
typedef void dk_cloud_done_fn(void *ctx, const struct dk_cloud_result *result);

struct dk_cloud_provider {
  bool knows_shapes;    /* `shapes` may be left out of its block */
  bool deletes_stopped; /* a machine that is switched off, from inside too, is deleted */
  uint64_t lag_ns;      /* a list may be so much behind what was answered before it was asked for; 0: nobody knows */
  /* Reads credentials; asks nobody. 0, or negative with words: a setting, a file that cannot be read. */
  int (*open)(const struct dk_cloud_options *options, struct dk_cloud **ret, struct dk_error *error);
  /* Which account, region, project: a short text without secrets for people and for records, the same for the same place
   * whenever it is opened. What was made there is in no list of another one. Lent until it is closed; not empty, less
   * than DK_CLOUD_WHERE bytes. */
  const char *(*where)(const struct dk_cloud *cloud);
  void (*close)(struct dk_cloud *cloud); /* its calls are given up: no callback. NULL is fine */
  /* `done` is called once, from the loop, never from within. Negative: nothing was asked. */
  int (*start)(struct dk_cloud *cloud, const struct dk_cloud_order *order, dk_cloud_done_fn *done, void *ctx,
               struct dk_error *error);
  uint64_t (*deadline)(const struct dk_cloud *cloud); /* of its tick; UINT64_MAX: none */
  void (*tick)(struct dk_cloud *cloud, uint64_t now_ns);
};

#endif

/* Contents that go to a host's agent, which has said that it LACKS them. For the files of the engine. */
#ifndef DK_DRIVE_SUPPLY_H
#define DK_DRIVE_SUPPLY_H

#include "engine/objects/object.h"
#include "engine/wire/message.h"
#include "lang/base/map.h"

struct dk_engine_host;

/* Waiting at a time: more than any directory that is an input has files. */
#define DK_SUPPLY_MAX (1u << 22)

/* What is to be sent in this session, one after the other. Zero to begin with. */
struct dk_supply {
  struct dk_supply_item {
    struct dk_digest content;
    uint64_t offset;
  } * items;              /* from `first` on */
  uint32_t first, n, cap; /* n: with those before `first`, that were sent */
  struct dk_map waiting;  /* by content */
  uint64_t seed;          /* of its hashes: the agent chooses the contents */
  int fd;                 /* of the first one, when `is_open` */
  bool is_open;
  uint64_t total;
};
void dk_supply_clear(struct dk_supply *supply); /* the session is over */
void dk_supply_finish(struct dk_supply *supply);

/* One that waits already, and is not being sent, is sent once, from this offset on. 0, -ENOMEM, -EIO (no randomness);
 * -E2BIG: too many wait. */
int dk_supply_add(struct dk_supply *supply, const struct dk_digest *content, uint64_t offset);
/* Sends as much as the link takes. What cannot be read is said to be GONE. 0, or a negative errno that ends the
 * engine. */
int dk_supply_pump(struct dk_supply *supply, struct dk_engine_host *host);

#endif

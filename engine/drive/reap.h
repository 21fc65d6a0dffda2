/* Which machines of a cloud may be deleted by hand: those that carry a store's id, and that no store of this machine
 * has on record. Pure: the cloud was listed and the stores were read before, in that order. A store writes a machine
 * down before it asks for it, so what a list has and a store read after it has not is nobody's. */
#ifndef DK_DRIVE_REAP_H
#define DK_DRIVE_REAP_H

#include "engine/drive/cloud.h"
#include "engine/rent/event.h"

#define DK_REAP_AGE_NS (UINT64_C(15) * 60 * 1000000000u) /* as engine/rent has it for strangers */

/* What is known here of the store whose id machines carry. */
enum dk_reap_place {
  DK_REAP_ELSEWHERE, /* the tag names another machine, or nothing */
  DK_REAP_GONE,      /* the folder that the tag names here is gone, or has another store now */
  DK_REAP_HIDDEN,    /* there is something, which this user cannot read or must not trust */
  DK_REAP_THERE,     /* another repository of this machine */
  DK_REAP_HERE,      /* the repository that we are in */
};

struct dk_reap_store {
  uint8_t id[16];
  const char *owner; /* as the tag has it; "": not said */
  enum dk_reap_place place;
  const char *path;          /* the repository; NULL: not known */
  struct dk_rented *records; /* THERE, HERE */
  uint32_t n_records;
  bool is_meant; /* people named it, or it is the one here */
};

enum dk_reap_verdict {
  DK_REAP_FREE,    /* nobody answers for it */
  DK_REAP_HELD,    /* its store has it on record: `dkrun down` */
  DK_REAP_YOUNG,   /* by the cloud's own date; or that is not known */
  DK_REAP_LEAVING, /* it is being deleted */
};

struct dk_reap_machine {
  struct dk_instance is;
  uint32_t cloud, store; /* whose list it is from; its store, both as the caller numbers them */
  uint64_t age_ns;       /* by the cloud's clock; UINT64_MAX: not known */
  enum dk_reap_verdict verdict;
};

/* Sets the verdict. `young_ns`: what is younger is left alone; 0: nothing is. */
void dk_reap_judge(struct dk_reap_machine *machine, const struct dk_reap_store *store, uint64_t young_ns);
/* Is it to be deleted, when people agree? */
bool dk_reap_is_due(const struct dk_reap_machine *machine, const struct dk_reap_store *store);
/* By both clocks of the cloud's: this machine's does not matter. */
uint64_t dk_reap_age(const struct dk_instance *instance, int64_t now_unix);

#endif

/* Turns of the driver, between lxd.c (what makes and deletes) and look.c (what lists and checks). */
#ifndef DK_PROVIDERS_LXD_TURN_H
#define DK_PROVIDERS_LXD_TURN_H

#include "providers/cloud/driver.h"
#include "providers/lxd/api.h"

enum dk_lxd_step {
  DK_LXD_STEP_MAKE = 1,
  DK_LXD_STEP_LOOK,
  DK_LXD_STEP_START,
  DK_LXD_STEP_CLEAN,
  DK_LXD_STEP_STOP,
  DK_LXD_STEP_DELETE,
  DK_LXD_STEP_LIST,
  DK_LXD_STEP_SERVER,
  DK_LXD_STEP_IMAGE,
  DK_LXD_STEP_PROFILE,
  DK_LXD_STEP_PROJECT,
  DK_LXD_STEP_KEEP,
  DK_LXD_STEP_PUBLISH,
  DK_LXD_STEP_IMAGES,
  DK_LXD_STEP_DROP
};

struct dk_lxd_work {
  char operation[DK_LXD_NAME]; /* that is waited for; "": the step's own answer comes */
  struct dk_error kept;        /* why it comes to nothing, while it is cleaned up */
  enum dk_cloud_failure failure;
  char server[64]; /* CHECK: "lxd 5.0.2" */
  uint32_t n_busy;
};

enum dk_cloud_failure dk_lxd_failure_of(enum dk_lxd_reason reason);

/* lxd.c: the next request. */
enum dk_cloud_turn dk_lxd_send_call(struct dk_cloud_work *work, struct dk_lxd_ask *what); /* at work->step */
enum dk_cloud_turn dk_lxd_send_step(struct dk_cloud_work *work, enum dk_lxd_step step);
/* Is there an image, a profile, a project of this name? */
enum dk_cloud_turn dk_lxd_send_there(struct dk_cloud_work *work, enum dk_lxd_step step, enum dk_lxd_call call,
                                     const char *name);

/* look.c: what an answer comes to. */
enum dk_cloud_turn dk_lxd_after_list(struct dk_cloud_work *work, const struct dk_lxd_answer *answer);
enum dk_cloud_turn dk_lxd_after_images(struct dk_cloud_work *work, const struct dk_lxd_answer *answer);
enum dk_cloud_turn dk_lxd_after_server(struct dk_cloud_work *work, const struct dk_lxd_answer *answer);
/* Of what was asked for by dk_lxd_send_there. A project that is there: the call goes on to what it is for. */
enum dk_cloud_turn dk_lxd_after_there(struct dk_cloud_work *work, const struct dk_lxd_answer *answer);

#endif

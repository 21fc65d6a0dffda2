/* The calls that change nothing: LIST, LIST_IMAGES, CHECK. See turn.h. */
#include "providers/lxd/lxd.h"
#include "providers/lxd/turn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- LIST --- */

static enum dk_instance_state state_of(const struct dk_lxd_instance *instance) {
  switch (instance->state) {
  case DK_LXD_STARTING: return DK_INSTANCE_BOOTING;
  case DK_LXD_RUNNING: return DK_INSTANCE_RUNNING;
  case DK_LXD_FROZEN:
  case DK_LXD_STOPPED: return DK_INSTANCE_STOPPED;
  case DK_LXD_STOPPING: return DK_INSTANCE_LEAVING;
  case DK_LXD_OTHER: break;
  }
  return DK_INSTANCE_UNKNOWN;
}

enum dk_cloud_turn dk_lxd_after_list(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct dk_lxd_instances list;
  struct dk_error error = {0};
  bool is_kept = true, is_complete = true;

  enum dk_lxd_reason reason = dk_lxd_read_instances(answer, &list, &error);
  for (uint32_t i = 0; i < list.n && is_kept; i++) {
    const struct dk_lxd_instance *at = &list.items[i];
    struct dk_instance instance = {.name = at->name,
                                   .id = at->name,
                                   .address = at->address,
                                   .state = state_of(at),
                                   .made_unix = at->created,
                                   .owner = at->owner};
    is_complete = is_complete && !at->is_hidden;
    if (dk_cloud_read_store(at->store, instance.store)) is_kept = dk_cloud_add(work, &instance);
  }
  dk_lxd_instances_finish(&list);
  work->result.is_complete = is_complete;
  return is_kept ? dk_cloud_end(work, dk_lxd_failure_of(reason), &error) : DK_CLOUD_OVER;
}

enum dk_cloud_turn dk_lxd_after_images(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct dk_lxd_images list;
  struct dk_error error = {0};
  bool is_kept = true;

  enum dk_lxd_reason reason = dk_lxd_read_images(answer, &list, &error);
  for (uint32_t i = 0; i < list.n && is_kept; i++) {
    const struct dk_lxd_image *at = &list.items[i];
    struct dk_cloud_image image = {.name = "",
                                   .id = at->fingerprint,
                                   .recipe = at->recipe,
                                   .owner = at->owner,
                                   .state = DK_IMAGE_READY, /* what is being published is not listed yet */
                                   .size = at->size,
                                   .made_unix = at->uploaded};
    if (dk_cloud_read_store(at->store, image.store)) is_kept = dk_cloud_add_image(work, &image);
  }
  dk_lxd_images_finish(&list);
  work->result.is_complete = true;
  return is_kept ? dk_cloud_end(work, dk_lxd_failure_of(reason), &error) : DK_CLOUD_OVER;
}

/* --- CHECK --- */

static enum dk_cloud_turn send_image(struct dk_cloud_work *work) {
  const char *image = work->order.image;
  bool is_fingerprint = strlen(image) == 64 && strspn(image, "0123456789abcdef") == 64;

  return dk_lxd_send_there(work, DK_LXD_STEP_IMAGE, is_fingerprint ? DK_LXD_IMAGE : DK_LXD_ALIAS, image);
}

static enum dk_cloud_turn send_profile(struct dk_cloud_work *work) {
  const struct dk_lxd_site *site = work->site->own;

  return dk_lxd_send_there(work, DK_LXD_STEP_PROFILE, DK_LXD_PROFILE, site->profile);
}

static enum dk_cloud_turn end_check(struct dk_cloud_work *work) {
  const struct dk_lxd_site *site = work->site->own;
  const struct dk_lxd_work *own = work->own;
  const char *image = work->order.image;
  char line[600];

  snprintf(line, sizeof line, "%s %s%s, %s%.200s%sprofile %.100s", own->server,
           work->site->unix_socket ? "over its socket" : "at ", work->site->unix_socket ? "" : work->site->url,
           image ? "image " : "", image ? image : "", image ? ", " : "", site->profile);
  work->result.words = dk_cloud_keep(&work->texts, line);
  return dk_cloud_end(work, DK_CLOUD_FINE, NULL);
}

enum dk_cloud_turn dk_lxd_after_server(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  const struct dk_lxd_site *site = work->site->own;
  struct dk_lxd_work *own = work->own;
  struct dk_lxd_server server;
  struct dk_error error = {0};

  enum dk_lxd_reason reason = dk_lxd_read_server(answer, &server, &error);
  if (reason != DK_LXD_FINE) return dk_cloud_end(work, dk_lxd_failure_of(reason), &error);
  snprintf(own->server, sizeof own->server, "%s %s", server.kind, server.version);
  return dk_lxd_send_there(work, DK_LXD_STEP_PROJECT, DK_LXD_PROJECT, site->project);
}

/* What the settings name that is not there: LXD's own words say neither which nor where. */
static void name_missing(const struct dk_cloud_work *work, struct dk_error *error) {
  static const char *const kinds[] = {
      [DK_LXD_STEP_IMAGE] = "image", [DK_LXD_STEP_PROFILE] = "profile", [DK_LXD_STEP_PROJECT] = "project"};
  const struct dk_lxd_site *site = work->site->own;
  const char *kind = kinds[work->step];
  const char *name = work->step == DK_LXD_STEP_IMAGE     ? work->order.image
                     : work->step == DK_LXD_STEP_PROFILE ? site->profile
                                                         : site->project;
  const char *project = work->step == DK_LXD_STEP_PROJECT ? NULL : site->project;

  dk_error_set(error, -ENOENT,
               "%s: there is no %s `%.200s`%s%.80s%s\nhelp: `lxc %s list` on the server says which there are",
               work->site->provider, kind, name, project ? " in project `" : "", project ? project : "",
               project ? "`" : "", kind);
}

enum dk_cloud_turn dk_lxd_after_there(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct dk_error error = {0};

  enum dk_lxd_reason reason = dk_lxd_read_there(answer, &error);
  if (reason == DK_LXD_NOT_FOUND) name_missing(work, &error);
  if (reason != DK_LXD_FINE) return dk_cloud_end(work, dk_lxd_failure_of(reason), &error);
  if (work->step == DK_LXD_STEP_PROFILE) return end_check(work);
  if (work->step == DK_LXD_STEP_IMAGE) return send_profile(work);
  if (work->order.kind == DK_CLOUD_CHECK) return work->order.image ? send_image(work) : send_profile(work);
  switch (work->order.kind) {
  case DK_CLOUD_LIST: return dk_lxd_send_step(work, DK_LXD_STEP_LIST);
  case DK_CLOUD_LIST_IMAGES: return dk_lxd_send_step(work, DK_LXD_STEP_IMAGES);
  case DK_CLOUD_DELETE_IMAGE: return dk_lxd_send_step(work, DK_LXD_STEP_DROP);
  case DK_CLOUD_SNAPSHOT: return dk_lxd_send_step(work, DK_LXD_STEP_KEEP);
  default: return dk_lxd_send_step(work, DK_LXD_STEP_STOP);
  }
}

/* Between service.c (the door, runs) and service_reach.c (what is at hosts). */
#ifndef DK_DRIVE_SERVICE_PRIV_H
#define DK_DRIVE_SERVICE_PRIV_H

#include "engine/drive/service.h"

struct dk_service_client {
  struct dk_service *service;
  struct dk_talk_stream stream;
  uint32_t run;     /* that it watches; 0: none */
  bool is_known;    /* it said hello, and speaks our protocol */
  bool is_gone;     /* to be dropped when no callback of its runs */
  bool is_fetching; /* it is still to be answered */
};

/* service.c */
void dk_service_send(struct dk_service_client *client, const struct dk_talk *talk);
void dk_service_refuse(struct dk_service_client *client, int code, const char *text);

/* service_reach.c */
void dk_service_fetch(struct dk_service_client *client, struct dk_engine *engine, const struct dk_talk *talk);
void dk_service_read(struct dk_service_client *client, struct dk_engine *engine, const struct dk_talk *talk);

#endif

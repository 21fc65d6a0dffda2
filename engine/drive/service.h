/* The engine's door for other processes: commands connect to `.dkrun/engine.sock`, hand over runs, watch them, and ask
 * things of them (talk.h). It is an observer of the engine that passes on to each watcher what it watches, and to one
 * local observer everything. */
#ifndef DK_DRIVE_SERVICE_H
#define DK_DRIVE_SERVICE_H

#include "engine/drive/talk.h"

struct dk_service;

/* `state`: the state folder, whose lock the caller holds. `local` may have a NULL for each function. Listens at once;
 * answers when dk_service_serve was called. */
int dk_service_create(const char *state, struct dk_loop *loop, const struct dk_engine_observer *local,
                      struct dk_service **ret, struct dk_error *error);
void dk_service_destroy(struct dk_service *service);
/* To be given to dk_engine_create. */
struct dk_engine_observer dk_service_observer(struct dk_service *service);
void dk_service_serve(struct dk_service *service, struct dk_engine *engine);
uint32_t dk_service_n_clients(const struct dk_service *service);
/* A client asked this engine to end, and nothing speaks against it. */
bool dk_service_is_dismissed(const struct dk_service *service);
/* No socket stands in the folder any more: somebody removed it, and nobody new can come. */
bool dk_service_is_gone(const struct dk_service *service);

#endif

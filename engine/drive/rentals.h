/* Rented machines, for the files of the engine: what engine/rent decides is written down, asked of the clouds, and what
 * comes of it is told to engine/rent. Each machine that is there is a host of the fleet, dialled by ssh.
 *
 * Every step is committed by itself before anything of it is done. What is kept of a machine beside its record is in
 * .dkrun/rented: the key that lets us in, and the one by which it is known, made before it is asked for. */
#ifndef DK_DRIVE_RENTALS_H
#define DK_DRIVE_RENTALS_H

#include "engine/drive/needs.h"

struct dk_engine;
struct dk_engine_host;
struct dk_hosts;
struct dk_rentals;

/* With what earlier engines left. */
int dk_rentals_create(struct dk_engine *engine, struct dk_rentals **ret, struct dk_error *error);
void dk_rentals_destroy(struct dk_rentals *rentals); /* the machines stay; NULL is fine */

/* Opens those of these clouds that are new or otherwise now. Negative: one cannot be asked as it is configured, and all
 * is as it was. */
int dk_rentals_prepare(struct dk_rentals *rentals, const struct dk_hosts *hosts, struct dk_error *error);
/* These clouds, which are prepared, and no others. `hosts` is borrowed as long as the engine lives. A provider that is
 * elsewhere now is another one: what it made before goes as if it were not named any more. */
void dk_rentals_apply(struct dk_rentals *rentals, const struct dk_hosts *hosts);
/* The files of providers were edited: what stopped for something that people have to mend is tried again by the next
 * dk_rentals_apply. */
void dk_rentals_edited(struct dk_rentals *rentals);
bool dk_rentals_are_applied(const struct dk_rentals *rentals, const struct dk_hosts *hosts); /* as they are there? */
uint64_t dk_rentals_deadline(const struct dk_rentals *rentals);
void dk_rentals_tick(struct dk_rentals *rentals, uint64_t now_ns);

/* A run is asked for: what people gave back may be made again. */
void dk_rentals_wanted(struct dk_rentals *rentals);

/* Of a rented host. */
void dk_rentals_up(struct dk_rentals *rentals, const struct dk_engine_host *host);
void dk_rentals_down(struct dk_rentals *rentals, const struct dk_engine_host *host);
void dk_rentals_worked(struct dk_rentals *rentals, const struct dk_engine_host *host); /* a task there ended well */
/* Tasks cannot run there, for what it is: its pool makes no more of them. */
void dk_rentals_bar(struct dk_rentals *rentals, const struct dk_engine_host *host);

/* Machines that there are, or may be, of the clouds that can be asked. */
uint32_t dk_rentals_count(const struct dk_rentals *rentals);
/* Has every machine been asked to go, and the cloud agreed? Of the clouds that can be asked. */
bool dk_rentals_are_leaving(const struct dk_rentals *rentals);
/* Is the host of this number one that is rented? */
bool dk_rentals_owns(const struct dk_rentals *rentals, uint32_t host);
bool dk_rentals_is_leaving(const struct dk_rentals *rentals, const struct dk_engine_host *host); /* no new tasks */
/* The clouds that machines may be made of: dk_rentals_cloud for i below n_pools; NULL: not of this one, now. */
uint32_t dk_rentals_n_pools(const struct dk_rentals *rentals);
const struct dk_cloud_entry *dk_rentals_cloud(const struct dk_rentals *rentals, uint32_t i);
bool dk_rentals_are_open(const struct dk_rentals *rentals); /* is there one? */
/* One whose machines cannot run tasks, until the files are edited; NULL: there is none. */
const char *dk_rentals_barred(const struct dk_rentals *rentals);
/* People want them gone: the one of this name (dk_rentals_name), all of a provider, NULL: all. Hard: with what runs
 * there. -ENOENT: there is none. -EHOSTUNREACH: some are at a place that no file of providers names now, where nobody
 * can be asked; the others go. */
int dk_rentals_release(struct dk_rentals *rentals, const char *name, bool is_hard, struct dk_error *error);

#endif

/* What runs may pay for rented machines, and the end of those that have spent it.
 *
 * A limit is of one run, and counts what all machines of the repository cost from the start of the run, in the limit's
 * currency, since what they are shared by cannot be told apart: with several runs at a time a limit is reached earlier,
 * never later. It ends the run when what its machines would cost within the next GIVE_BACK_NS is all that is left: so
 * much is needed to end what runs, and to give back. No run that may go on paying in that currency: they are given back
 * then, and with what is on them where a run that has ended cannot be asked any more.
 *
 * While no engine works nothing is looked at: what a machine costs then is seen by the next one. */
#ifndef DK_DRIVE_MONEY_H
#define DK_DRIVE_MONEY_H

#include "engine/store/record.h"

struct dk_cloud_entry;
struct dk_engine;
struct dk_engine_run;
struct dk_rent_need;

/* What machines of the store have cost so far. */
struct dk_purse dk_money_spent(const struct dk_engine *engine);
/* Ends runs that have reached their limits. Often: with every look at what waits. */
void dk_money_look(struct dk_engine *engine);
/* A run that goes on was asked for again: another consent holds from now on, if something was said. That a person
 * agrees (ANY) does not lift a limit. */
int dk_money_consent(struct dk_engine_run *run, const struct dk_consent *consent, struct dk_error *error);
/* May a machine of this cloud be made: does a shape of it cost nothing, or may it be paid for? */
bool dk_money_may_make(const struct dk_cloud_entry *cloud, const struct dk_consent *consent);
/* What may be made for the run's tasks. */
void dk_money_of_need(const struct dk_engine_run *run, struct dk_rent_need *need);

#endif

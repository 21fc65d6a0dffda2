/* Planted bugs: the simulator must catch each (ctest sim/plant-N). In the program sim_plants the core, the turn and the simulator's
 * connection are compiled with DK_PLANT naming this variable; everywhere else DK_PLANT is the constant 0. */
#ifndef DK_SIM_PLANTS_H
#define DK_SIM_PLANTS_H

extern int sim_plant; /* --plant N */

/*  1  turn     acts before the commit is durable
 *  2  core     takes events of a stale session
 *  3  turn     a failed commit is ignored
 *  4  turn     a gap of the clock counts as silence of the agent
 *  5  core     acknowledges a result before its commit
 *  6  core     uses the numbers of an incarnation again
 *  7  core     does not adopt living attempts
 *  8  core     hands out before the agent has said what it has
 *  9  core     does not record that an attempt has ended
 * 10  core     looks up before what is needed is durable
 * 11  core     never gives up the attempts of an agent that is silent: not planted, nothing but patience is lost
 * 12  link     sends what was decided for an earlier session
 * 13  core     forgets a result while lookups that missed it are under way
 * 14  core     runs what needs a failed task
 * 15  core     keeps waiting for attempts that the agent does not have
 *
 * Not here: "drop the high-water mark". No order is ever sent twice in a session and the agent refuses those of others, so that mark
 * is a second guard; the agent's unit tests hold it. What belongs to rented machines comes with them. */

#endif

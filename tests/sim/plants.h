/* Planted bugs: see plants.c. */
#ifndef DK_SIM_PLANTS_H
#define DK_SIM_PLANTS_H

#include <stdbool.h>
#include <stdint.h>

/* Every bug of the folder beside this program, searched for up to seed `last`; prints the table. True: all are
 * caught. */
bool sim_plants(const char *folder, uint64_t last);

#endif

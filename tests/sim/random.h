/* What a simulator draws its cases and its luck from. */
#ifndef DK_SIM_RANDOM_H
#define DK_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* A seeded sequence (splitmix64, Steele, Lea and Flood 2014). Streams of different purposes do not disturb each
 * other. */
struct sim_random {
  uint64_t state;
};
struct sim_random sim_random_of(uint64_t seed, uint64_t purpose);
uint64_t sim_random_next(struct sim_random *random);
uint32_t sim_below(struct sim_random *random, uint32_t n); /* 0 .. n-1; n at least 1 */
bool sim_chance(struct sim_random *random, uint32_t in_thousand);

#endif

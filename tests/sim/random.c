/* See random.h. */
#include "tests/sim/random.h"
#include "lang/base/map.h"

struct sim_random sim_random_of(uint64_t seed, uint64_t purpose) {
  return (struct sim_random){dk_hash_u64(seed, purpose)};
}

uint64_t sim_random_next(struct sim_random *random) {
  uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint32_t sim_below(struct sim_random *random, uint32_t n) {
  return (uint32_t)((sim_random_next(random) >> 32) * n >> 32);
}

bool sim_chance(struct sim_random *random, uint32_t in_thousand) {
  return sim_below(random, 1000) < in_thousand;
}

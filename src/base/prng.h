/* SPDX-License-Identifier: Apache-2.0 */
/* prng.h - a small seeded generator (xoshiro256**): for schedules and tests, not for secrets. */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
	uint64_t state[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);
/** Uniform in [0, bound); @bound > 0. */
uint64_t prng_below(struct prng *prng, uint64_t bound);
/** True with probability @part / @whole. */
bool prng_chance(struct prng *prng, uint32_t part, uint32_t whole);
void prng_fill(struct prng *prng, void *bytes, size_t size_bytes);

#endif

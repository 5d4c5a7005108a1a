/* SPDX-License-Identifier: Apache-2.0 */
/* prng.c - xoshiro256** by Blackman and Vigna, seeded through splitmix64.
 *
 * Invariant: the state is never all zero (splitmix64 cannot give four zeroes in a row).
 */
#include "base/prng.h"

#include "base/assert.h"

#include <string.h>

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t mixed;

	*state += 0x9e3779b97f4a7c15u;
	mixed = *state;
	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	return mixed ^ mixed >> 31;
}

static uint64_t rotate_left(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

void prng_init(struct prng *prng, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		prng->state[i] = splitmix64(&seed);
	ASSERT((prng->state[0] | prng->state[1] | prng->state[2] | prng->state[3]) != 0);
}

uint64_t prng_next(struct prng *prng)
{
	uint64_t *state = prng->state;
	uint64_t result = rotate_left(state[1] * 5, 7) * 9;
	uint64_t shifted = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= shifted;
	state[3] = rotate_left(state[3], 45);
	return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
	uint64_t first_fair;

	ASSERT(bound > 0);
	/* Values below 2^64 mod bound would make small results likelier: draw again. */
	first_fair = -bound % bound;
	for (;;) {
		uint64_t value = prng_next(prng);

		if (value >= first_fair)
			return value % bound;
	}
}

bool prng_chance(struct prng *prng, uint32_t part, uint32_t whole)
{
	ASSERT(part <= whole);
	return prng_below(prng, whole) < part;
}

void prng_fill(struct prng *prng, void *bytes, size_t size_bytes)
{
	uint8_t *place = bytes;

	while (size_bytes > 0) {
		uint64_t value = prng_next(prng);
		size_t part = size_bytes < sizeof(value) ? size_bytes : sizeof(value);

		memcpy(place, &value, part);
		place += part;
		size_bytes -= part;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - random numbers apart: each part of a campaign draws from a stream with its own name.
 *
 * What one part draws does not shift what the others draw, so that leaving out a fault or a host
 * changes as little else as possible. The world itself (schedule, latencies) keeps sim_prng().
 */
#ifndef SIM_STREAM_H
#define SIM_STREAM_H

#include "base/assert.h"
#include "base/prng.h"

/* @name and @number choose the stream of @seed. */
static inline void stream_init(struct prng *ret_stream, uint64_t seed, const char *name,
			       uint64_t number)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (const char *c = name; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
	prng_init(ret_stream, (seed ^ hash) * 0x9e3779b97f4a7c15u + number);
}

static inline uint64_t stream_draw(struct prng *stream, uint64_t from, uint64_t to_inclusive)
{
	ASSERT(from <= to_inclusive);
	return from + prng_below(stream, to_inclusive - from + 1);
}

/* Draws even when @part is 0: the stream's place does not depend on chances. */
static inline bool stream_chance(struct prng *stream, uint32_t part, uint32_t whole)
{
	return prng_below(stream, whole) < part;
}

#endif

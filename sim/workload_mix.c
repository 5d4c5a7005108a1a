/* SPDX-License-Identifier: Apache-2.0 */
/* workload_mix.c - draws what a host likes to do.
 *
 * Shares are swarm-like: each kind of operation is left out, rare, or frequent, so that rare
 * mixtures get their turn. How the hosts' areas lie to each other is drawn from a stream that all
 * hosts share.
 *
 * Invariants: an area has at least one block and lies within the volume; shares add up to at most
 * 1000; some write goes on in every mix of at least one host, and some flush.
 */
#include "sim/workload_mix.h"

#include "base/assert.h"
#include "base/limits.h"
#include "sim/sim_impl.h"
#include "sim/stream.h"

#define SHARES_MAX 800 /* at least a fifth are reads */

/* Left out, rare or frequent. */
static uint32_t share_draw(struct prng *prng, uint32_t frequent)
{
	switch (prng_below(prng, 4)) {
	case 0:
		return 0;
	case 1:
		return (uint32_t)stream_draw(prng, 1, 10);
	default:
		return (uint32_t)stream_draw(prng, 1, frequent);
	}
}

enum area_relation {
	AREAS_SAME,
	AREAS_DISJOINT,
	AREAS_OVERLAPPING,
	AREA_RELATIONS,
};

static struct block_range area_draw(const struct sim *sim, uint32_t host, uint32_t host_count,
				    uint64_t block_count)
{
	struct prng prng;
	uint64_t part = block_count / host_count;
	struct block_range area = {0, block_count};

	ASSERT(host < host_count && block_count >= host_count);
	stream_init(&prng, sim->seed, "areas", 0);
	switch ((enum area_relation)prng_below(&prng, AREA_RELATIONS)) {
	case AREAS_SAME:
	case AREA_RELATIONS:
		return area;
	case AREAS_DISJOINT:
		return (struct block_range){host * part, part};
	case AREAS_OVERLAPPING:
		/* Half of the neighbour's too, which is not cut at any unit. */
		area.first = host * part;
		area.count = part + part / 2;
		if (area.count > block_count - area.first)
			area.count = block_count - area.first;
		return area;
	}
	ASSERT(!"a relation of the list");
}

static void shares_draw(struct prng *prng, struct workload_mix *mix)
{
	uint32_t sum;

	mix->writes = (uint32_t)stream_draw(prng, 50, 700);
	mix->flushes = (uint32_t)stream_draw(prng, 1, prng_chance(prng, 1, 4) ? 200 : 50);
	mix->zeroes = share_draw(prng, 100);
	mix->unmaps = share_draw(prng, 100);
	mix->compares = share_draw(prng, 150);
	mix->fua = prng_chance(prng, 1, 8) ? 1000 : share_draw(prng, 300);
	mix->readbacks = share_draw(prng, 300);
	sum = mix->writes + mix->flushes + mix->zeroes + mix->unmaps + mix->compares;
	if (sum > SHARES_MAX)
		mix->writes -= sum - SHARES_MAX < mix->writes ? sum - SHARES_MAX : mix->writes;
}

static void places_draw(struct prng *prng, uint32_t block_bytes, struct workload_mix *mix)
{
	uint64_t limit = IO_BYTES_MAX / block_bytes;

	mix->blocks_max = prng_chance(prng, 1, 2) ? limit : stream_draw(prng, 1, limit);
	mix->singles = prng_chance(prng, 1, 8) ? 1000 : (uint32_t)stream_draw(prng, 100, 800);
	mix->hot = share_draw(prng, 950);
	mix->hot_blocks = stream_draw(prng, 1, prng_chance(prng, 1, 2) ? 8 : 64);
	if (mix->hot_blocks > mix->area.count)
		mix->hot_blocks = mix->area.count;
	mix->hot_moves = prng_chance(prng, 1, 2) ? 0 : (uint32_t)stream_draw(prng, 20, 500);
	mix->sequential = share_draw(prng, 900);
}

struct workload_mix workload_mix_draw(const struct sim *sim, uint32_t host, uint32_t host_count,
				      uint64_t block_count, uint32_t block_bytes)
{
	struct workload_mix mix = {.area = area_draw(sim, host, host_count, block_count)};
	struct prng prng;

	stream_init(&prng, sim->seed, "mix", host);
	mix.slot_count = (uint32_t)stream_draw(&prng, 1, prng_chance(&prng, 1, 3) ? 32 : 12);
	shares_draw(&prng, &mix);
	places_draw(&prng, block_bytes, &mix);
	mix.reservations = share_draw(&prng, 500);
	mix.has_swaps = prng_chance(&prng, 1, 3);
	mix.pause_ns_max = prng_chance(&prng, 1, 2) ? SIM_MS : 30 * SIM_MS;
	if (prng_chance(&prng, 1, 2))
		return mix;
	mix.busy_ns = stream_draw(&prng, 50, 3000) * SIM_MS;
	mix.quiet_ns = stream_draw(&prng, 50, 3000) * SIM_MS;
	return mix;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* workload_mix.h - what a host likes to do; every seed and host has another mix. */
#ifndef SIM_WORKLOAD_MIX_H
#define SIM_WORKLOAD_MIX_H

#include "block/block_range.h"
#include "sim/sim.h"

#define WORKLOAD_SLOTS_MAX 32

struct workload_mix {
	uint32_t slot_count;	 /* operations at a time */
	struct block_range area; /* of the volume; of several hosts: disjoint, overlapping, same */
	/* of 1000 operations; the rest are reads */
	uint32_t writes;
	uint32_t zeroes;
	uint32_t unmaps;
	uint32_t flushes;
	uint32_t compares;
	bool has_swaps;	       /* compare and write as one, beside all else */
	uint32_t reservations; /* of 1000 pauses of the reserving one, 0: none */
	uint32_t fua;	       /* of 1000 writes and zeroes */
	uint32_t readbacks;    /* of 1000 answered writes: read the same at once */
	/* sizes */
	uint64_t blocks_max;
	uint32_t singles; /* of 1000: one block; the others up to blocks_max, small ones first */
	/* hot spot */
	uint32_t hot; /* of 1000 go there */
	uint64_t hot_blocks;
	uint32_t hot_moves;  /* operations until it moves; 0: never */
	uint32_t sequential; /* of 1000 go on where the slot's last one ended */
	/* pauses of a slot */
	uint64_t pause_ns_max;
	uint64_t busy_ns;  /* bursts ... */
	uint64_t quiet_ns; /* ... and how long is nothing begun in between; 0: no bursts */
};

/** The mix of @host of @host_count on a volume of @block_count blocks, by the seed alone. */
struct workload_mix workload_mix_draw(const struct sim *sim, uint32_t host, uint32_t host_count,
				      uint64_t block_count, uint32_t block_bytes);

#endif

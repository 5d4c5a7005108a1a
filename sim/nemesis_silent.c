/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis_silent.c - damage that nobody is told of.
 *
 * A mirror without checksums cannot tell which of two copies is right, so silent damage to a copy
 * that is in sync cannot be survived and is not done. It is done to a copy that nobody may believe,
 * and must never be seen: such a copy is not read, is no source, and is written anew as a whole
 * before it is believed again.
 *
 * Rules, in this order:
 *  1. The durable record does not call the copy healthy, and no request to the store is under way
 *     that might.
 *  2. Then the engine of the nexus is killed and started again: its maps of what the copy misses,
 *     its rebuild and its answers under way are gone, and the next nexus has only the record.
 *  3. A fault that lasts (wrong reads, lost or misplaced writes) also fails every flush of the
 *     disk, which a rebuild needs before it may call the copy healthy; at its end rule 2 once more,
 *     so that a rebuild which the disk lied to begins again.
 * So these faults include a kill of the nexus, and what that does to the host.
 *
 * A copy with an older content (disk-stale) is one whose machine was down long enough to miss
 * something: it comes back with the content it had before it went. If it missed nothing, for the
 * record still calls it healthy, it comes back as it is. An older content of a copy that is in
 * sync, and a flush that lies, are not done: neither can be survived.
 */
#include "sim/nemesis_impl.h"

#define CHANCE_WHOLE 10000
#define FLIPS_MAX    64

static struct sim_disk *disk_of(struct cluster *cluster, const struct active *active)
{
	return cluster_disk(cluster, active->line.one);
}

/* Rule 1. */
static bool nobody_believes(const struct cluster *cluster, uint32_t engine)
{
	return store_record(cluster->store) != NULL && store_is_idle(cluster->store) &&
	       !cluster_is_recorded_healthy(cluster, engine);
}

static uint64_t volume_bytes(const struct cluster *cluster)
{
	return cluster_block_count(&cluster->options) * cluster->options.block_bytes;
}

/* ---- while it lasts ---- */

/* a: chance per 10000 of an operation. */
static void silent_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_chance(stream, 1, 2) ? CHANCE_WHOLE : stream_draw(stream, 100, 5000);
}

static uint32_t chance_of(const struct active *active)
{
	return active->line.a < CHANCE_WHOLE ? (uint32_t)active->line.a : CHANCE_WHOLE;
}

static bool silent_begin(struct cluster *cluster, struct active *active)
{
	struct sim_disk *disk = disk_of(cluster, active);
	struct sim_disk_faults *faults = sim_disk_faults(disk);
	uint32_t chance = chance_of(active);

	if (!nobody_believes(cluster, active->line.one) || !sim_disk_has_cache(disk))
		return false;
	faults->flush_refusals++;
	faults->region_offset_bytes = NEXUS_DATA_OFFSET_BYTES;
	faults->region_size_bytes = volume_bytes(cluster);
	if (active->line.fault == FAULT_DISK_READ_WRONG)
		faults->read_wrong_chance = chance;
	else
		faults->write_lost_chance = chance;
	nexus_bounce(cluster);
	return true;
}

static void silent_end(struct cluster *cluster, struct active *active)
{
	struct sim_disk_faults *faults = sim_disk_faults(disk_of(cluster, active));

	if (active->line.fault == FAULT_DISK_READ_WRONG)
		faults->read_wrong_chance = 0;
	else
		faults->write_lost_chance = 0;
	ASSERT(faults->flush_refusals > 0);
	faults->flush_refusals--;
	nexus_bounce(cluster);
}

/* ---- once ---- */

/* a: how many bits; c: seed of their places. */
static void flip_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 1, FLIPS_MAX);
}

static bool flip_begin(struct cluster *cluster, struct active *active)
{
	uint64_t count = active->line.a < FLIPS_MAX ? active->line.a : FLIPS_MAX;

	if (!nobody_believes(cluster, active->line.one))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t place = prng_below(&active->stream, volume_bytes(cluster));
		uint32_t bit = (uint32_t)prng_below(&active->stream, 8);

		sim_disk_flip(disk_of(cluster, active), NEXUS_DATA_OFFSET_BYTES + place, bit);
	}
	nexus_bounce(cluster);
	return true;
}

/* ---- an older content ---- */

/* The copy goes away: its machine, or in the local shape its disk. */
static void copy_leave(struct cluster *cluster, struct active *active)
{
	if (cluster->options.is_local)
		sim_disk_faults(disk_of(cluster, active))->is_gone = true;
	else
		engine_crash(fault_engine(cluster, active->line.one), SIM_KILLED);
}

static bool stale_begin(struct cluster *cluster, struct active *active)
{
	struct engine *holder = fault_engine(cluster, active->line.one);
	bool has_nexus = holder->index == 0 && !cluster->options.is_local;

	if (holder->run == NULL || has_nexus ||
	    !cluster_is_recorded_healthy(cluster, active->line.one))
		return false;
	ASSERT(active->copy == NULL);
	active->copy = sim_disk_copy_create(disk_of(cluster, active));
	copy_leave(cluster, active);
	return true;
}

static void stale_end(struct cluster *cluster, struct active *active)
{
	struct engine *holder = fault_engine(cluster, active->line.one);

	ASSERT(active->copy != NULL);
	if (cluster->options.is_local)
		sim_disk_faults(disk_of(cluster, active))->is_gone = false;
	if (nobody_believes(cluster, active->line.one)) {
		if (holder->run != NULL)
			engine_crash(holder, SIM_KILLED);
		sim_disk_copy_restore(disk_of(cluster, active), active->copy);
		nexus_bounce(cluster);
	}
	if (holder->run == NULL)
		engine_restart(holder);
	sim_disk_copy_destroy(active->copy);
	active->copy = NULL;
}

const struct fault_kind nemesis_silent_kinds[] = {
	{FAULT_DISK_READ_WRONG, "disk-read-wrong", SCOPE_DISK, true, .draw = silent_draw,
	 .begin = silent_begin, .end = silent_end},
	{FAULT_DISK_WRITE_LOST, "disk-write-lost", SCOPE_DISK, true, .draw = silent_draw,
	 .begin = silent_begin, .end = silent_end},
	{FAULT_DISK_FLIP, "disk-flip", SCOPE_DISK, true, .draw = flip_draw, .begin = flip_begin},
	{FAULT_DISK_STALE, "disk-stale", SCOPE_DISK, true, .begin = stale_begin, .end = stale_end},
	{.name = NULL},
};

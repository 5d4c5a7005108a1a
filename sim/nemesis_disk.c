/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis_disk.c - faults of disks that whoever uses the disk is told of. */
#include "sim/nemesis_impl.h"

#define CHANCE_WHOLE	10000
#define SLOW_FACTOR_MIN 10
#define SLOW_FACTOR_MAX 1000
#define SIZE_STEP_BYTES 4096

static struct sim_disk *disk_of(struct cluster *cluster, const struct active *active)
{
	return cluster_disk(cluster, active->line.one);
}

static struct sim_disk_faults *faults_of(struct cluster *cluster, const struct active *active)
{
	return sim_disk_faults(disk_of(cluster, active));
}

static uint32_t chance_of(uint64_t number)
{
	return number < CHANCE_WHOLE ? (uint32_t)number : CHANCE_WHOLE;
}

/* a, b, c: chances of reads, writes, flushes. */
static void errors_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	/* Now and then all of them. */
	uint64_t max = stream_chance(stream, 1, 4) ? CHANCE_WHOLE : CHANCE_WHOLE / 5;

	(void)cluster;
	line->a = stream_draw(stream, 0, max);
	line->b = stream_draw(stream, 0, max);
	line->c = stream_draw(stream, 0, max);
}

static bool errors_begin(struct cluster *cluster, struct active *active)
{
	struct sim_disk_faults *faults = faults_of(cluster, active);

	faults->read_error_chance = chance_of(active->line.a);
	faults->write_error_chance = chance_of(active->line.b);
	faults->flush_error_chance = chance_of(active->line.c);
	return true;
}

static void errors_end(struct cluster *cluster, struct active *active)
{
	struct sim_disk_faults *faults = faults_of(cluster, active);

	faults->read_error_chance = 0;
	faults->write_error_chance = 0;
	faults->flush_error_chance = 0;
}

static bool flush_begin(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->flush_refusals++;
	return true;
}

static void flush_end(struct cluster *cluster, struct active *active)
{
	ASSERT(faults_of(cluster, active)->flush_refusals > 0);
	faults_of(cluster, active)->flush_refusals--;
}

/* a: factor. */
static void slow_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, SLOW_FACTOR_MIN,
			      stream_chance(stream, 1, 2) ? SLOW_FACTOR_MIN * 10 : SLOW_FACTOR_MAX);
}

static bool slow_begin(struct cluster *cluster, struct active *active)
{
	uint64_t factor = active->line.a < SLOW_FACTOR_MAX ? active->line.a : SLOW_FACTOR_MAX;

	faults_of(cluster, active)->slow_factor = (uint32_t)factor;
	return true;
}

static void slow_end(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->slow_factor = 0;
}

static bool stuck_begin(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->is_stuck = true;
	return true;
}

static void stuck_end(struct cluster *cluster, struct active *active)
{
	sim_disk_release(disk_of(cluster, active));
}

static bool gone_begin(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->is_gone = true;
	return true;
}

static void gone_end(struct cluster *cluster, struct active *active)
{
	struct engine *holder = &cluster->engines[active->line.one];

	faults_of(cluster, active)->is_gone = false;
	/* Whoever exported it has given it up for good: the operator starts the engine anew. */
	if (!cluster->options.is_local && active->line.one > 0 && holder->run != NULL) {
		engine_crash(holder, SIM_KILLED);
		engine_restart(holder);
	}
}

/* a: chance per 10000 that a write finds no space. */
static void full_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_chance(stream, 1, 2) ? CHANCE_WHOLE : stream_draw(stream, 100, 5000);
}

static bool full_begin(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->full_chance = chance_of(active->line.a);
	return true;
}

static void full_end(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->full_chance = 0;
}

/* a: KiB by which it differs; b: 1 when it is smaller. */
static void size_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 4, 3 * 1024);
	line->b = stream_draw(stream, 0, 1);
}

/* The holder finds it so when it is started; what lies behind the end comes back at the end. */
static void size_set(struct cluster *cluster, struct active *active, uint64_t size_bytes)
{
	struct engine *holder = fault_engine(cluster, active->line.one);
	bool is_running = holder->run != NULL;

	if (is_running)
		engine_crash(holder, SIM_KILLED);
	sim_disk_resize(disk_of(cluster, active), size_bytes);
	if (is_running)
		engine_restart(holder);
}

static bool size_begin(struct cluster *cluster, struct active *active)
{
	uint64_t size_bytes = sim_disk_size_bytes(disk_of(cluster, active));
	uint64_t kib = active->line.a < 64 * 1024 ? active->line.a : 64 * 1024;
	uint64_t step_bytes = kib * 1024 / SIZE_STEP_BYTES * SIZE_STEP_BYTES;

	if (step_bytes == 0 || (active->line.b == 1 && step_bytes >= size_bytes))
		return false;
	active->size_bytes = size_bytes;
	size_set(cluster, active,
		 active->line.b == 1 ? size_bytes - step_bytes : size_bytes + step_bytes);
	return true;
}

static void size_end(struct cluster *cluster, struct active *active)
{
	size_set(cluster, active, active->size_bytes);
}

const struct fault_kind nemesis_disk_kinds[] = {
	{FAULT_DISK_ERRORS, "disk-errors", SCOPE_DISK, true, .draw = errors_draw,
	 .begin = errors_begin, .end = errors_end},
	{FAULT_DISK_FLUSH, "disk-flush", SCOPE_DISK, true, .begin = flush_begin, .end = flush_end},
	{FAULT_DISK_SLOW, "disk-slow", SCOPE_DISK, true, .draw = slow_draw, .begin = slow_begin,
	 .end = slow_end},
	{FAULT_DISK_STUCK, "disk-stuck", SCOPE_DISK, true, .begin = stuck_begin, .end = stuck_end},
	{FAULT_DISK_GONE, "disk-gone", SCOPE_DISK, true, .begin = gone_begin, .end = gone_end},
	{FAULT_DISK_FULL, "disk-full", SCOPE_DISK, true, .draw = full_draw, .begin = full_begin,
	 .end = full_end},
	{FAULT_DISK_SIZE, "disk-size", SCOPE_DISK, true, .draw = size_draw, .begin = size_begin,
	 .end = size_end},
	{.name = NULL},
};

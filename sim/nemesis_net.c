/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis_net.c - faults between machines: connections that break, links that stop or change.
 *
 * Invariant: a fault undoes exactly what it did: every way that it blocked is in active->ways
 * until it is free again, and what it added to a link it takes off again. So faults of several
 * kinds on one link do not end each other.
 */
#include "sim/nemesis_impl.h"

#define BYTES_TO_CUT_MAX  (256 * 1024)
#define DELAY_US_MIN	  1000
#define DELAY_US_MAX	  2000000
#define BANDWIDTH_NS_MIN  10000 /* per KiB: 100 MB/s */
#define BANDWIDTH_NS_MAX  3000000
#define CORRUPT_MIN	  2000
#define CORRUPT_MAX	  60000
#define CORRUPT_WHOLE	  1000000
#define CLOG_PAUSE_NS_MAX (1500 * SIM_MS)
#define FLAP_PAUSE_NS_MIN (2 * SIM_MS)
#define FLAP_PAUSE_NS_MAX (1200 * SIM_MS)
#define PLANES_ALL	  ((1u << SIM_PLANES) - 1)

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

/* ---- ways that are blocked ---- */

static void way_set(struct cluster *cluster, struct way *way, bool is_blocked)
{
	ASSERT(way->is_blocked != is_blocked);
	way->is_blocked = is_blocked;
	sim_net_block_one_way(cluster_machine(cluster, way->from),
			      cluster_machine(cluster, way->to), way->plane, is_blocked);
}

/* @way.is_blocked: block it at once. */
static void way_add(struct cluster *cluster, struct active *active, struct way way)
{
	struct way *added = &active->ways[active->way_count];

	if (way.from == way.to || nemesis_spares_pair(active->nemesis, way.from, way.to))
		return;
	ASSERT(active->way_count < LINKS_BLOCKED_MAX);
	*added = way;
	added->is_blocked = false;
	active->way_count++;
	if (way.is_blocked)
		way_set(cluster, added, true);
}

static struct way way_of(uint32_t from, uint32_t to, uint32_t plane, bool is_blocked)
{
	ASSERT(from < MACHINES_MAX && to < MACHINES_MAX);
	ASSERT(plane < SIM_PLANES);
	return (struct way){(uint8_t)from, (uint8_t)to, (uint8_t)plane, is_blocked};
}

/* Both directions, on the planes of the mask. */
static void pair_block(struct cluster *cluster, struct active *active, uint32_t one, uint32_t other,
		       uint32_t planes)
{
	for (uint32_t plane = 0; plane < SIM_PLANES; plane++) {
		if ((planes & 1u << plane) == 0)
			continue;
		way_add(cluster, active, way_of(one, other, plane, true));
		way_add(cluster, active, way_of(other, one, plane, true));
	}
}

static void ways_end(struct cluster *cluster, struct active *active)
{
	for (uint32_t i = 0; i < active->way_count; i++) {
		if (active->ways[i].is_blocked)
			way_set(cluster, &active->ways[i], false);
	}
	active->way_count = 0;
}

static bool partition_begin(struct cluster *cluster, struct active *active)
{
	pair_block(cluster, active, active->line.one, active->line.other, PLANES_ALL);
	return active->way_count > 0;
}

/* a: bit p for plane p. */
static void one_way_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 1, PLANES_ALL);
}

static bool one_way_begin(struct cluster *cluster, struct active *active)
{
	for (uint32_t plane = 0; plane < SIM_PLANES; plane++) {
		if ((active->line.a & 1u << plane) != 0)
			way_add(cluster, active,
				way_of(active->line.one, active->line.other, plane, true));
	}
	return active->way_count > 0;
}

static bool isolate_begin(struct cluster *cluster, struct active *active)
{
	for (uint32_t i = 0; i < cluster_machine_count(cluster); i++)
		pair_block(cluster, active, active->line.one, i, PLANES_ALL);
	return active->way_count > 0;
}

/* a: bit i for machine i, which is in the one half. */
static void halves_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	line->a = stream_draw(stream, 1, (UINT64_C(1) << cluster_machine_count(cluster)) - 2);
}

static bool halves_begin(struct cluster *cluster, struct active *active)
{
	uint32_t count = cluster_machine_count(cluster);

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = i + 1; j < count; j++) {
			if ((active->line.a >> i & 1) != (active->line.a >> j & 1))
				pair_block(cluster, active, i, j, PLANES_ALL);
		}
	}
	return active->way_count > 0;
}

/* a: the plane. */
static void path_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 0, SIM_PLANES - 1);
}

static bool path_begin(struct cluster *cluster, struct active *active)
{
	pair_block(cluster, active, active->line.one, active->line.other,
		   1u << active->line.a % SIM_PLANES);
	return active->way_count > 0;
}

/* ---- clogging: ways stop one by one and are released in another order ---- */

/* a: per 16: how many of the ways. */
static void clog_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 1, 16);
}

/* Only the nexus' engine talks to others. */
static bool clog_begin(struct cluster *cluster, struct active *active)
{
	for (uint32_t i = 1; i < cluster_machine_count(cluster); i++) {
		for (uint32_t plane = 0; plane < SIM_PLANES; plane++) {
			for (uint32_t turn = 0; turn < 2; turn++) {
				if (stream_chance(&active->stream,
						  (uint32_t)at_most(active->line.a, 16), 16))
					way_add(cluster, active,
						way_of(turn == 0 ? 0 : i, turn == 0 ? i : 0, plane,
						       false));
			}
		}
	}
	for (uint32_t i = active->way_count; i > 1; i--) {
		uint32_t other = (uint32_t)prng_below(&active->stream, i);
		struct way way = active->ways[i - 1];

		active->ways[i - 1] = active->ways[other];
		active->ways[other] = way;
	}
	return active->way_count > 0;
}

/* Stops the ways in their order, then frees any of those that are stopped. */
static uint64_t clog_step(struct cluster *cluster, struct active *active)
{
	uint32_t first = active->step_count;

	if (first < active->way_count) {
		way_set(cluster, &active->ways[first], true);
	} else if (first < active->way_count * 2) {
		uint32_t pick = (uint32_t)prng_below(&active->stream, active->way_count);

		while (!active->ways[pick].is_blocked)
			pick = (pick + 1) % active->way_count;
		way_set(cluster, &active->ways[pick], false);
	} else {
		return 0;
	}
	return stream_draw(&active->stream, 1, CLOG_PAUSE_NS_MAX);
}

/* ---- a link that comes and goes ---- */

static bool flap_begin(struct cluster *cluster, struct active *active)
{
	for (uint32_t plane = 0; plane < SIM_PLANES; plane++) {
		way_add(cluster, active,
			way_of(active->line.one, active->line.other, plane, false));
		way_add(cluster, active,
			way_of(active->line.other, active->line.one, plane, false));
	}
	return active->way_count > 0;
}

static uint64_t flap_step(struct cluster *cluster, struct active *active)
{
	for (uint32_t i = 0; i < active->way_count; i++)
		way_set(cluster, &active->ways[i], active->step_count % 2 == 0);
	return stream_draw(&active->stream, FLAP_PAUSE_NS_MIN, FLAP_PAUSE_NS_MAX);
}

/* ---- one connection ---- */

/* a: which of those between the two; b: bytes, or 1 for silence. */
static void connection_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 0, 15);
	line->b = stream_chance(stream, 1, 2) ? stream_draw(stream, 0, 300)
					      : stream_draw(stream, 0, BYTES_TO_CUT_MAX);
}

static bool reset_begin(struct cluster *cluster, struct active *active)
{
	return sim_net_reset_one(cluster_machine(cluster, active->line.one),
				 cluster_machine(cluster, active->line.other), active->line.a);
}

static bool cut_begin(struct cluster *cluster, struct active *active)
{
	return sim_net_cut_one(cluster_machine(cluster, active->line.one),
			       cluster_machine(cluster, active->line.other), active->line.a,
			       (uint32_t)at_most(active->line.b, BYTES_TO_CUT_MAX));
}

static bool half_open_begin(struct cluster *cluster, struct active *active)
{
	return sim_net_half_open_one(cluster_machine(cluster, active->line.one),
				     cluster_machine(cluster, active->line.other), active->line.a,
				     active->line.b % 2 == 1);
}

static void connection_end(struct cluster *cluster, struct active *active)
{
	sim_net_mend_between(cluster_machine(cluster, active->line.one),
			     cluster_machine(cluster, active->line.other));
}

/* ---- links that change ---- */

static struct sim_link *link_of(struct cluster *cluster, const struct active *active,
				uint32_t plane)
{
	return sim_net_link(cluster_machine(cluster, active->line.one),
			    cluster_machine(cluster, active->line.other), plane);
}

/* a: us that the way is longer; b: bit p for plane p. */
static void delay_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, DELAY_US_MIN, DELAY_US_MAX);
	line->b = stream_draw(stream, 1, PLANES_ALL);
}

static void delay_set(struct cluster *cluster, struct active *active, bool is_on)
{
	uint64_t ns = at_most(active->line.a, DELAY_US_MAX) * SIM_US;

	for (uint32_t plane = 0; plane < SIM_PLANES; plane++) {
		struct sim_link *link = link_of(cluster, active, plane);

		if ((active->line.b & 1u << plane) == 0)
			continue;
		ASSERT(is_on || link->extra_ns >= ns);
		link->extra_ns += is_on ? ns : 0 - ns;
	}
}

static bool delay_begin(struct cluster *cluster, struct active *active)
{
	delay_set(cluster, active, true);
	return true;
}

static void delay_end(struct cluster *cluster, struct active *active)
{
	delay_set(cluster, active, false);
}

/* a: ns that a KiB of a connection takes more. */
static void bandwidth_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, BANDWIDTH_NS_MIN, BANDWIDTH_NS_MAX);
}

static void bandwidth_set(struct cluster *cluster, struct active *active, bool is_on)
{
	uint64_t ns = at_most(active->line.a, BANDWIDTH_NS_MAX);

	for (uint32_t plane = 0; plane < SIM_PLANES; plane++) {
		struct sim_link *link = link_of(cluster, active, plane);

		ASSERT(is_on || link->extra_ns_per_kib >= ns);
		link->extra_ns_per_kib += is_on ? ns : 0 - ns;
	}
}

static bool bandwidth_begin(struct cluster *cluster, struct active *active)
{
	bandwidth_set(cluster, active, true);
	return true;
}

static void bandwidth_end(struct cluster *cluster, struct active *active)
{
	bandwidth_set(cluster, active, false);
}

/* a: chance of a segment, per 1000000. */
static void corrupt_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, CORRUPT_MIN, CORRUPT_MAX);
}

static void corrupt_set(struct cluster *cluster, struct active *active, uint64_t chance)
{
	for (uint32_t plane = 0; plane < SIM_PLANES; plane++)
		link_of(cluster, active, plane)->corrupt_chance = (uint32_t)chance;
}

static bool corrupt_begin(struct cluster *cluster, struct active *active)
{
	if (!cluster->options.has_digests)
		return false;
	corrupt_set(cluster, active, at_most(active->line.a, CORRUPT_WHOLE));
	return true;
}

static void corrupt_end(struct cluster *cluster, struct active *active)
{
	corrupt_set(cluster, active, 0);
}

const struct fault_kind nemesis_net_kinds[] = {
	{FAULT_RESET, "reset", SCOPE_PAIR, false, .draw = connection_draw, .begin = reset_begin},
	{FAULT_CUT, "cut", SCOPE_PAIR, false, .draw = connection_draw, .begin = cut_begin,
	 .end = connection_end},
	{FAULT_HALF_OPEN, "half-open", SCOPE_PAIR, false, .draw = connection_draw,
	 .begin = half_open_begin, .end = connection_end},
	{FAULT_PARTITION, "partition", SCOPE_PAIR, false, .begin = partition_begin,
	 .end = ways_end},
	{FAULT_ONE_WAY, "one-way", SCOPE_PAIR, false, .draw = one_way_draw, .begin = one_way_begin,
	 .end = ways_end},
	{FAULT_ISOLATE, "isolate", SCOPE_MACHINE, false, .begin = isolate_begin, .end = ways_end},
	{FAULT_HALVES, "halves", SCOPE_ALL, false, .draw = halves_draw, .begin = halves_begin,
	 .end = ways_end},
	{FAULT_PATH, "path", SCOPE_PAIR, false, .draw = path_draw, .begin = path_begin,
	 .end = ways_end},
	{FAULT_DELAY, "delay", SCOPE_PAIR, false, .draw = delay_draw, .begin = delay_begin,
	 .end = delay_end},
	{FAULT_BANDWIDTH, "bandwidth", SCOPE_PAIR, false, .draw = bandwidth_draw,
	 .begin = bandwidth_begin, .end = bandwidth_end},
	{FAULT_CLOG, "clog", SCOPE_ALL, false, .draw = clog_draw, .begin = clog_begin,
	 .step = clog_step, .end = ways_end},
	{FAULT_FLAP, "flap", SCOPE_PAIR, false, .begin = flap_begin, .step = flap_step,
	 .end = ways_end},
	{FAULT_CORRUPT, "corrupt", SCOPE_PAIR, false, .draw = corrupt_draw, .begin = corrupt_begin,
	 .end = corrupt_end},
	{.name = NULL},
};

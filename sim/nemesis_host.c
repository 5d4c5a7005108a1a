/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis_host.c - faults of hosts: resets, crashes, silence, and commands that return late. */
#include "sim/nemesis_impl.h"

#define PATHS_ALL	     ((1u << HOST_PATHS) - 1)
#define STORM_PAUSE_NS_MIN   (5 * SIM_MS)
#define STORM_PAUSE_NS_MAX   (800 * SIM_MS)
#define GHOST_MS_MIN	     10000
#define GHOST_MS_MAX	     40000
#define HOST_PAUSE_NS_MAX    (20 * SIM_S)
#define KEEP_ALIVE_OVER_PART 2 /* a pause is longer than the time-out by this part of it */

static struct host *host_of(struct cluster *cluster, const struct active *active)
{
	uint32_t index = active->line.one - cluster->options.engine_count;

	ASSERT(active->line.one >= cluster->options.engine_count);
	ASSERT(index < cluster->options.host_count);
	return &cluster->hosts[index];
}

/* a: bit p for path p. */
static void reset_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 1, PATHS_ALL);
}

static bool reset_begin(struct cluster *cluster, struct active *active)
{
	return host_reset(host_of(cluster, active), (uint32_t)active->line.a & PATHS_ALL);
}

static bool storm_begin(struct cluster *cluster, struct active *active)
{
	return host_of(cluster, active)->run != NULL;
}

static uint64_t storm_step(struct cluster *cluster, struct active *active)
{
	uint32_t paths = (uint32_t)stream_draw(&active->stream, 1, PATHS_ALL);

	host_reset(host_of(cluster, active), paths); /* whether it could does not matter */
	return stream_draw(&active->stream, STORM_PAUSE_NS_MIN, STORM_PAUSE_NS_MAX);
}

/* a: 1 when its machine loses power and nobody is told. */
static void crash_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 0, 1);
}

static bool crash_begin(struct cluster *cluster, struct active *active)
{
	struct host *host = host_of(cluster, active);

	if (host->run == NULL)
		return false;
	host_crash(host, active->line.a == 1 ? SIM_POWER_CUT : SIM_KILLED);
	return true;
}

static void crash_end(struct cluster *cluster, struct active *active)
{
	struct host *host = host_of(cluster, active);

	if (host->run == NULL)
		host_restart(host);
}

/* a: ms, longer than the keep-alive time-out. */
static void pause_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	uint64_t kato_ms = cluster->options.kato_ms;

	line->a = stream_draw(stream, kato_ms + kato_ms / KEEP_ALIVE_OVER_PART,
			      kato_ms * 2 + HOST_PAUSE_NS_MAX / SIM_MS);
	line->for_us = line->a * 1000;
}

static bool pause_begin(struct cluster *cluster, struct active *active)
{
	struct host *host = host_of(cluster, active);

	if (host->run == NULL)
		return false;
	sim_process_pause(host->process, active->line.for_us * SIM_US);
	return true;
}

static void pause_end(struct cluster *cluster, struct active *active)
{
	sim_process_resume(host_of(cluster, active)->process);
}

/* a: ms by which the way to the nexus is longer; b: plane. */
static void ghost_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, GHOST_MS_MIN, GHOST_MS_MAX);
	line->b = stream_draw(stream, 0, SIM_PLANES - 1);
}

static struct sim_link *ghost_link(struct cluster *cluster, const struct active *active)
{
	return sim_net_link(host_of(cluster, active)->process, cluster->engines[0].process,
			    (uint32_t)(active->line.b % SIM_PLANES));
}

static uint64_t ghost_ns(const struct active *active)
{
	return (active->line.a < GHOST_MS_MAX ? active->line.a : GHOST_MS_MAX) * SIM_MS;
}

static bool ghost_begin(struct cluster *cluster, struct active *active)
{
	ghost_link(cluster, active)->extra_ns += ghost_ns(active);
	return true;
}

static void ghost_end(struct cluster *cluster, struct active *active)
{
	struct sim_link *link = ghost_link(cluster, active);

	ASSERT(link->extra_ns >= ghost_ns(active));
	link->extra_ns -= ghost_ns(active);
}

const struct fault_kind nemesis_host_kinds[] = {
	{FAULT_HOST_RESET, "host-reset", SCOPE_HOST, false, .draw = reset_draw,
	 .begin = reset_begin},
	{FAULT_HOST_STORM, "host-storm", SCOPE_HOST, false, 10 * SIM_S, .begin = storm_begin,
	 .step = storm_step},
	{FAULT_HOST_CRASH, "host-crash", SCOPE_HOST, false, .draw = crash_draw,
	 .begin = crash_begin, .end = crash_end},
	{FAULT_HOST_PAUSE, "host-pause", SCOPE_HOST, false, .draw = pause_draw,
	 .begin = pause_begin, .end = pause_end},
	{FAULT_HOST_GHOST, "host-ghost", SCOPE_HOST, false, .draw = ghost_draw,
	 .begin = ghost_begin, .end = ghost_end},
	{.name = NULL},
};

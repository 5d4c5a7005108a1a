/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis_process.c - faults of engines, of their machines, and of the store of records.
 *
 * A fault that finds its engine down, for another one has taken it, does not happen; at its end
 * an engine that is down is started again, whoever has taken it. So a machine may be back earlier
 * than its fault's time says.
 */
#include "sim/nemesis_impl.h"

#define STORM_PAUSE_NS_MAX (2 * SIM_S)
#define ALLOCATIONS_MAX	   400
#define JUMP_MS_MAX	   (UINT64_C(48) * 3600 * 1000)
#define CHANCE_WHOLE	   10000
#define STORE_SLOW_MS_MAX  3000

struct engine *fault_engine(struct cluster *cluster, uint32_t index)
{
	ASSERT(index < cluster->options.engine_count);
	return &cluster->engines[cluster->options.is_local ? 0 : index];
}

static void engine_start(struct engine *engine)
{
	if (engine->run == NULL)
		engine_restart(engine);
}

void nexus_bounce(struct cluster *cluster)
{
	struct engine *engine = fault_engine(cluster, 0);

	if (engine->run == NULL)
		return;
	engine_crash(engine, SIM_KILLED);
	engine_restart(engine);
}

/* ---- the store ---- */

static bool store_away_begin(struct cluster *cluster, struct active *active)
{
	(void)active;
	store_set_away(cluster->store, true);
	return true;
}

static void store_away_end(struct cluster *cluster, struct active *active)
{
	(void)active;
	store_set_away(cluster->store, false);
}

/* a: chance per 10000. */
static void store_lost_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 1000, 8000);
}

static bool store_lost_begin(struct cluster *cluster, struct active *active)
{
	uint64_t chance = active->line.a < CHANCE_WHOLE ? active->line.a : CHANCE_WHOLE;

	store_set_lost_answers(cluster->store, (uint32_t)chance);
	return true;
}

static void store_lost_end(struct cluster *cluster, struct active *active)
{
	(void)active;
	store_set_lost_answers(cluster->store, 0);
}

/* a: ms that an answer takes more. */
static void store_slow_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 50, STORE_SLOW_MS_MAX);
}

static bool store_slow_begin(struct cluster *cluster, struct active *active)
{
	uint64_t ms = active->line.a < STORE_SLOW_MS_MAX ? active->line.a : STORE_SLOW_MS_MAX;

	store_set_slow(cluster->store, ms * SIM_MS);
	return true;
}

static void store_slow_end(struct cluster *cluster, struct active *active)
{
	(void)active;
	store_set_slow(cluster->store, 0);
}

/* ---- standing still ---- */

static bool pause_begin(struct cluster *cluster, struct active *active)
{
	struct engine *engine = fault_engine(cluster, active->line.one);

	if (engine->run == NULL)
		return false;
	sim_process_pause(engine->process, active->line.for_us * SIM_US);
	return true;
}

static void pause_end(struct cluster *cluster, struct active *active)
{
	sim_process_resume(fault_engine(cluster, active->line.one)->process);
}

/* ---- kill -9 ---- */

static bool kill_begin(struct cluster *cluster, struct active *active)
{
	struct engine *engine = fault_engine(cluster, active->line.one);

	if (engine->run == NULL)
		return false;
	engine_crash(engine, SIM_KILLED);
	return true;
}

static void engine_end(struct cluster *cluster, struct active *active)
{
	engine_start(fault_engine(cluster, active->line.one));
}

static bool kill_two_begin(struct cluster *cluster, struct active *active)
{
	struct engine *one = fault_engine(cluster, active->line.one);
	struct engine *other = fault_engine(cluster, active->line.other);

	if (one == other || one->run == NULL || other->run == NULL)
		return false;
	engine_crash(one, SIM_KILLED);
	engine_crash(other, SIM_KILLED);
	return true;
}

static void kill_two_end(struct cluster *cluster, struct active *active)
{
	engine_start(fault_engine(cluster, active->line.one));
	engine_start(fault_engine(cluster, active->line.other));
}

static bool storm_begin(struct cluster *cluster, struct active *active)
{
	return fault_engine(cluster, active->line.one)->run != NULL;
}

static uint64_t storm_step(struct cluster *cluster, struct active *active)
{
	struct engine *engine = fault_engine(cluster, active->line.one);

	if (engine->run != NULL)
		engine_crash(engine, SIM_KILLED);
	engine_restart(engine);
	return stream_draw(&active->stream, SIM_MS, STORM_PAUSE_NS_MAX);
}

/* ---- power ---- */

/* Has it all that was answered, and would the nexus believe it? */
static bool copy_is_good(struct cluster *cluster, uint32_t index)
{
	const struct engine *holder = &cluster->engines[index];

	return holder->run != NULL && !sim_disk_faults(holder->disk)->is_gone &&
	       cluster_has_kept_power(cluster, index);
}

static bool power_all_begin(struct cluster *cluster, struct active *active)
{
	(void)active;
	for (uint32_t i = 0; i < cluster->options.engine_count; i++) {
		struct engine *engine = &cluster->engines[i];

		/* In the local shape engine 0's machine has all disks. */
		if (engine->process != NULL && engine->run != NULL)
			engine_crash(engine, SIM_POWER_CUT);
		else
			sim_disk_power_cut(engine->disk);
	}
	cluster_power_was_cut(cluster);
	return true;
}

static void power_all_end(struct cluster *cluster, struct active *active)
{
	(void)active;
	for (uint32_t i = 0; i < cluster->options.engine_count; i++)
		engine_start(fault_engine(cluster, i));
}

static bool power_begin(struct cluster *cluster, struct active *active)
{
	struct engine *engine = fault_engine(cluster, active->line.one);

	if (cluster->options.is_local)
		return power_all_begin(cluster, active);
	if (engine->run == NULL)
		return false;
	for (uint32_t i = 0; i < cluster->options.engine_count; i++) {
		if (i == engine->index || !copy_is_good(cluster, i))
			continue;
		engine_crash(engine, SIM_POWER_CUT);
		return true;
	}
	return false;
}

/* ---- shortages and the clock ---- */

/* a: which allocation from now on fails. */
static void memory_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 1, ALLOCATIONS_MAX);
}

/* Only while all that a boot takes is there: the boot itself is this program's. */
static bool memory_begin(struct cluster *cluster, struct active *active)
{
	struct engine *engine = fault_engine(cluster, active->line.one);

	if (engine->run == NULL || !engine->is_up || active->line.a == 0)
		return false;
	sim_process_fail_allocation(engine->process, active->line.a);
	return true;
}

static void memory_end(struct cluster *cluster, struct active *active)
{
	sim_process_fail_allocation(fault_engine(cluster, active->line.one)->process, 0);
}

static bool sockets_begin(struct cluster *cluster, struct active *active)
{
	struct sim_process *process = cluster_machine(cluster, active->line.one);

	if (!sim_process_is_running(process))
		return false;
	sim_process_refuse_sockets(process, true);
	return true;
}

static void sockets_end(struct cluster *cluster, struct active *active)
{
	sim_process_refuse_sockets(cluster_machine(cluster, active->line.one), false);
}

/* a: ms; b: 1 for back. */
static void clock_draw(struct cluster *cluster, struct prng *stream, struct fault_line *line)
{
	(void)cluster;
	line->a = stream_draw(stream, 1, JUMP_MS_MAX);
	line->b = stream_draw(stream, 0, 1);
}

static int64_t jump_ns(const struct active *active)
{
	uint64_t ms = active->line.a < JUMP_MS_MAX ? active->line.a : JUMP_MS_MAX;

	return (active->line.b == 0 ? 1 : -1) * (int64_t)(ms * SIM_MS);
}

static bool clock_begin(struct cluster *cluster, struct active *active)
{
	sim_process_clock_jump(cluster_machine(cluster, active->line.one), jump_ns(active));
	return true;
}

static void clock_end(struct cluster *cluster, struct active *active)
{
	sim_process_clock_jump(cluster_machine(cluster, active->line.one), -jump_ns(active));
}

const struct fault_kind nemesis_process_kinds[] = {
	{FAULT_STORE_AWAY, "store-away", SCOPE_STORE, true, .begin = store_away_begin,
	 .end = store_away_end},
	{FAULT_STORE_LOST, "store-lost", SCOPE_STORE, true, .draw = store_lost_draw,
	 .begin = store_lost_begin, .end = store_lost_end},
	{FAULT_STORE_SLOW, "store-slow", SCOPE_STORE, true, .draw = store_slow_draw,
	 .begin = store_slow_begin, .end = store_slow_end},
	{FAULT_PAUSE, "pause", SCOPE_ENGINE, true, NEMESIS_PAUSE_NS_MAX, .begin = pause_begin,
	 .end = pause_end},
	{FAULT_KILL, "kill", SCOPE_ENGINE, true, .begin = kill_begin, .end = engine_end},
	{FAULT_KILL_TWO, "kill-two", SCOPE_ENGINE, false, .begin = kill_two_begin,
	 .end = kill_two_end},
	{FAULT_KILL_STORM, "kill-storm", SCOPE_ENGINE, true, 12 * SIM_S, .begin = storm_begin,
	 .step = storm_step, .end = engine_end},
	{FAULT_POWER, "power", SCOPE_ENGINE, true, .begin = power_begin, .end = engine_end},
	{FAULT_POWER_ALL, "power-all", SCOPE_ENGINE, true, .begin = power_all_begin,
	 .end = power_all_end},
	{FAULT_MEMORY, "memory", SCOPE_ENGINE, true, .draw = memory_draw, .begin = memory_begin,
	 .end = memory_end},
	{FAULT_SOCKETS, "sockets", SCOPE_MACHINE, false, .begin = sockets_begin,
	 .end = sockets_end},
	{FAULT_CLOCK, "clock", SCOPE_MACHINE, false, .draw = clock_draw, .begin = clock_begin,
	 .end = clock_end},
	{.name = NULL},
};

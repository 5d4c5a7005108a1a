/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis.c - a table of faults: how each begins and how it ends.
 *
 * Invariants:
 *  1. At most one fault of a kind is active at a time.
 *  2. A power cut of one machine happens only while another machine that runs has a copy which the
 *     durable record calls healthy and which has kept its power since: losing more than
 *     (copies - 1) is not promised to be survived.
 *  3. After nemesis_stop() every machine runs and nothing is broken any more.
 */
#include "sim/nemesis.h"

#include "sim/sim_impl.h"

#include <stdlib.h>
#include <string.h>

#define ACTIVE_NS_MAX (4 * SIM_S)

struct active {
	struct nemesis *nemesis;
	enum fault fault;
	bool is_active;
	uint32_t one; /* whom it hits */
	uint32_t other;
	uint32_t count;
	struct sim_event end;
};

struct nemesis {
	struct cluster *cluster;
	struct nemesis_options options;
	uint32_t chosen;
	bool is_stopped;
	struct sim_event next;
	struct active active[FAULT_COUNT];
};

struct fault_kind {
	const char *name;
	bool is_of_network;
	/* Return: false if it cannot be done now. */
	bool (*begin)(struct cluster *cluster, struct active *active);
	void (*end)(struct cluster *cluster, struct active *active);
};

/* ---- disks ---- */

static struct sim_disk_faults *faults_of(struct cluster *cluster, const struct active *active)
{
	return sim_disk_faults(cluster_disk(cluster, active->one));
}

static bool disk_errors_begin(struct cluster *cluster, struct active *active)
{
	struct sim_disk_faults *faults = faults_of(cluster, active);

	faults->read_error_chance = (uint32_t)sim_draw(cluster->sim, 0, 2000);
	faults->write_error_chance = (uint32_t)sim_draw(cluster->sim, 0, 2000);
	faults->flush_error_chance = (uint32_t)sim_draw(cluster->sim, 0, 2000);
	return true;
}

static void disk_errors_end(struct cluster *cluster, struct active *active)
{
	struct sim_disk_faults *faults = faults_of(cluster, active);

	faults->read_error_chance = 0;
	faults->write_error_chance = 0;
	faults->flush_error_chance = 0;
}

static bool disk_slow_begin(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->slow_factor = (uint32_t)sim_draw(cluster->sim, 10, 1000);
	return true;
}

static void disk_slow_end(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->slow_factor = 0;
}

static bool disk_stuck_begin(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->is_stuck = true;
	return true;
}

static void disk_stuck_end(struct cluster *cluster, struct active *active)
{
	sim_disk_release(cluster_disk(cluster, active->one));
}

static bool disk_gone_begin(struct cluster *cluster, struct active *active)
{
	faults_of(cluster, active)->is_gone = true;
	return true;
}

static void disk_gone_end(struct cluster *cluster, struct active *active)
{
	struct engine *holder = &cluster->engines[active->one];

	faults_of(cluster, active)->is_gone = false;
	/* Whoever exported it has given it up for good: the operator starts the engine anew. */
	if (!cluster->options.is_local && active->one > 0 && holder->run != NULL) {
		engine_crash(holder, SIM_KILLED);
		engine_restart(holder);
	}
}

/* ---- store ---- */

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

static bool store_lost_begin(struct cluster *cluster, struct active *active)
{
	(void)active;
	store_set_lost_answers(cluster->store, 5000);
	return true;
}

static void store_lost_end(struct cluster *cluster, struct active *active)
{
	(void)active;
	store_set_lost_answers(cluster->store, 0);
}

/* ---- processes ---- */

static struct engine *engine_of(struct cluster *cluster, const struct active *active)
{
	return &cluster->engines[cluster->options.is_local ? 0 : active->one];
}

static bool pause_begin(struct cluster *cluster, struct active *active)
{
	struct engine *engine = engine_of(cluster, active);

	if (engine->run == NULL)
		return false;
	sim_process_pause(engine->process, sim_draw(cluster->sim, SIM_MS, ACTIVE_NS_MAX));
	return true;
}

static void nothing_end(struct cluster *cluster, struct active *active)
{
	(void)cluster;
	(void)active;
}

static bool kill_begin(struct cluster *cluster, struct active *active)
{
	struct engine *engine = engine_of(cluster, active);

	if (engine->run == NULL)
		return false;
	engine_crash(engine, SIM_KILLED);
	return true;
}

static void engine_end(struct cluster *cluster, struct active *active)
{
	struct engine *engine = engine_of(cluster, active);

	if (engine->run == NULL)
		engine_restart(engine);
}

static void power_all_end(struct cluster *cluster, struct active *active)
{
	(void)active;
	for (uint32_t i = 0; i < (cluster->options.is_local ? 1 : ENGINES); i++) {
		if (cluster->engines[i].run == NULL)
			engine_restart(&cluster->engines[i]);
	}
}

static bool power_all_begin(struct cluster *cluster, struct active *active)
{
	(void)active;
	for (uint32_t i = 0; i < (cluster->options.is_local ? 1 : ENGINES); i++) {
		if (cluster->engines[i].run != NULL)
			engine_crash(&cluster->engines[i], SIM_POWER_CUT);
		else
			sim_disk_power_cut(cluster->engines[i].disk);
	}
	history_power_cut(workload_history(cluster->workload), sim_now_ns(cluster->sim));
	return true;
}

static bool power_begin(struct cluster *cluster, struct active *active)
{
	struct engine *engine = engine_of(cluster, active);

	if (cluster->options.is_local)
		return power_all_begin(cluster, active);
	if (engine->run == NULL)
		return false;
	for (uint32_t i = 0; i < ENGINES; i++) {
		const struct engine *holder = &cluster->engines[i];

		if (i == active->one || holder->run == NULL ||
		    sim_disk_faults(holder->disk)->is_gone || !cluster_has_kept_power(cluster, i))
			continue;
		engine_crash(engine, SIM_POWER_CUT);
		return true;
	}
	return false;
}

/* ---- network ---- */

static struct sim_process *process_at(struct cluster *cluster, uint32_t index)
{
	return index == ENGINES ? cluster->host.process : cluster->engines[index].process;
}

static bool reset_begin(struct cluster *cluster, struct active *active)
{
	(void)active;
	return sim_net_reset_one(cluster->sim);
}

static bool partition_begin(struct cluster *cluster, struct active *active)
{
	sim_net_block(process_at(cluster, active->one), process_at(cluster, active->other), true);
	return true;
}

static void partition_end(struct cluster *cluster, struct active *active)
{
	sim_net_block(process_at(cluster, active->one), process_at(cluster, active->other), false);
}

static bool one_way_begin(struct cluster *cluster, struct active *active)
{
	sim_net_link(process_at(cluster, active->one), process_at(cluster, active->other))
		->is_blocked = true;
	return true;
}

static bool delay_begin(struct cluster *cluster, struct active *active)
{
	sim_net_link(process_at(cluster, active->one), process_at(cluster, active->other))
		->latency_ns_max = sim_draw(cluster->sim, SIM_MS, SIM_S);
	return true;
}

static void delay_end(struct cluster *cluster, struct active *active)
{
	struct sim_link *link =
		sim_net_link(process_at(cluster, active->one), process_at(cluster, active->other));

	link->latency_ns_max = link->latency_ns_min * 10;
}

static bool corrupt_begin(struct cluster *cluster, struct active *active)
{
	if (!cluster->options.has_digests)
		return false;
	sim_net_link(process_at(cluster, active->one), process_at(cluster, active->other))
		->corrupt_chance = 20000;
	return true;
}

static void corrupt_end(struct cluster *cluster, struct active *active)
{
	sim_net_link(process_at(cluster, active->one), process_at(cluster, active->other))
		->corrupt_chance = 0;
}

static const struct fault_kind kinds[FAULT_COUNT] = {
	[FAULT_DISK_ERRORS] = {"disk-errors", false, disk_errors_begin, disk_errors_end},
	[FAULT_DISK_SLOW] = {"disk-slow", false, disk_slow_begin, disk_slow_end},
	[FAULT_DISK_STUCK] = {"disk-stuck", false, disk_stuck_begin, disk_stuck_end},
	[FAULT_DISK_GONE] = {"disk-gone", false, disk_gone_begin, disk_gone_end},
	[FAULT_STORE_AWAY] = {"store-away", false, store_away_begin, store_away_end},
	[FAULT_STORE_LOST] = {"store-lost", false, store_lost_begin, store_lost_end},
	[FAULT_PAUSE] = {"pause", false, pause_begin, nothing_end},
	[FAULT_KILL] = {"kill", false, kill_begin, engine_end},
	[FAULT_POWER] = {"power", false, power_begin, engine_end},
	[FAULT_POWER_ALL] = {"power-all", false, power_all_begin, power_all_end},
	[FAULT_RESET] = {"reset", true, reset_begin, nothing_end},
	[FAULT_PARTITION] = {"partition", true, partition_begin, partition_end},
	[FAULT_ONE_WAY] = {"one-way", true, one_way_begin, partition_end},
	[FAULT_DELAY] = {"delay", true, delay_begin, delay_end},
	[FAULT_CORRUPT] = {"corrupt", true, corrupt_begin, corrupt_end},
};

const char *fault_name(enum fault fault)
{
	return kinds[fault].name;
}

enum fault fault_find(const char *name)
{
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return (enum fault)i;
	}
	return FAULT_COUNT;
}

/* ---- when ---- */

static void active_end(struct active *active)
{
	struct cluster *cluster = active->nemesis->cluster;

	if (!active->is_active)
		return;
	sim_event_cancel(cluster->sim, &active->end);
	active->is_active = false;
	sim_trace(cluster->sim, "fault ends", active->fault, active->one, active->other);
	kinds[active->fault].end(cluster, active);
}

static void end_fire(struct sim_event *event)
{
	active_end(container_of(event, struct active, end));
}

static void fault_begin(struct nemesis *nemesis, enum fault fault)
{
	struct cluster *cluster = nemesis->cluster;
	struct active *active = &nemesis->active[fault];
	uint32_t machines = kinds[fault].is_of_network ? ENGINES + 1 : ENGINES;

	if (active->is_active)
		return;
	active->one = (uint32_t)sim_draw(cluster->sim, 0, machines - 1);
	active->other =
		(active->one + (uint32_t)sim_draw(cluster->sim, 1, machines - 1)) % machines;
	sim_trace(cluster->sim, kinds[fault].name, fault, active->one, active->other);
	if (!kinds[fault].begin(cluster, active))
		return;
	active->is_active = true;
	active->count++;
	sim_event_schedule(cluster->sim, &active->end,
			   sim_draw(cluster->sim, 10 * SIM_MS, ACTIVE_NS_MAX));
}

static void next_fire(struct sim_event *event)
{
	struct nemesis *nemesis = container_of(event, struct nemesis, next);
	struct sim *sim = nemesis->cluster->sim;
	uint64_t pick;

	if (nemesis->is_stopped)
		return;
	pick = prng_below(&sim->prng, (uint64_t)__builtin_popcount(nemesis->chosen));
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		if ((nemesis->chosen & 1u << i) == 0)
			continue;
		if (pick-- == 0) {
			fault_begin(nemesis, (enum fault)i);
			break;
		}
	}
	sim_event_schedule(sim, event, sim_draw(sim, 0, nemesis->options.pause_ns_max));
}

/* A swarm: each seed uses some kinds only, so that rare mixtures get their turn. */
static uint32_t faults_draw(struct cluster *cluster, uint32_t allowed)
{
	uint32_t chosen = 0;

	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		bool is_possible = !kinds[i].is_of_network || !cluster->options.is_local;

		if ((allowed & 1u << i) != 0 && is_possible && sim_chance(cluster->sim, 1, 3))
			chosen |= 1u << i;
	}
	return chosen;
}

struct nemesis *nemesis_create(struct cluster *cluster, const struct nemesis_options *options)
{
	struct nemesis *nemesis = sim_allocate(sizeof(*nemesis));

	nemesis->cluster = cluster;
	nemesis->options = *options;
	nemesis->chosen = faults_draw(cluster, options->allowed);
	nemesis->next.fire = next_fire;
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		nemesis->active[i].nemesis = nemesis;
		nemesis->active[i].fault = (enum fault)i;
		nemesis->active[i].end.fire = end_fire;
	}
	return nemesis;
}

void nemesis_destroy(struct nemesis *nemesis)
{
	free(nemesis);
}

void nemesis_start(struct nemesis *nemesis)
{
	if (nemesis->chosen != 0)
		sim_event_schedule(nemesis->cluster->sim, &nemesis->next, 0);
}

void nemesis_stop(struct nemesis *nemesis)
{
	nemesis->is_stopped = true;
	sim_event_cancel(nemesis->cluster->sim, &nemesis->next);
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		active_end(&nemesis->active[i]);
	power_all_end(nemesis->cluster, NULL);
	if (!nemesis->cluster->options.is_local)
		sim_net_heal(nemesis->cluster->sim);
}

uint32_t nemesis_chosen(const struct nemesis *nemesis)
{
	return nemesis->chosen;
}

uint32_t nemesis_count(const struct nemesis *nemesis, enum fault fault)
{
	return nemesis->active[fault].count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cluster.c - makes the machines, and knows how all of them are. */
#include "sim/cluster.h"

#include "base/memory.h"
#include "reactor/reactor.h"
#include "sim/reservation_check.h"
#include "sim/reservation_keeper.h"
#include "sim/sim_impl.h"
#include "sim/stream.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define DISK_TAIL_BYTES (1 << 20)
#define LOOK_PAUSE_NS	(2 * SIM_S)

/* ---- what happens to it ---- */

void cluster_fail(struct cluster *cluster, const char *format, ...)
{
	va_list arguments;

	if (cluster->error[0] != '\0')
		return;
	va_start(arguments, format);
	(void)vsnprintf(cluster->error, sizeof(cluster->error), format, arguments);
	va_end(arguments);
}

void cluster_log(struct cluster *cluster, const struct sim_process *process, const char *line)
{
	struct sim *sim = cluster->sim;
	uint64_t hash = 0;

	for (const char *c = line; *c != '\0'; c++)
		hash = hash * 31 + (uint8_t)*c;
	sim_trace(sim, "log", process->index, hash, 0);
	if (cluster->options.log_file != NULL)
		fprintf(cluster->options.log_file, "%6" PRIu64 ".%09" PRIu64 " %s: %s\n",
			sim->now_ns / SIM_S, sim->now_ns % SIM_S, process->name, line);
}

void cluster_reservations_gone(struct cluster *cluster)
{
	if (cluster->reservations != NULL)
		reservation_target_gone(cluster->reservations, sim_now_ns(cluster->sim));
}

void cluster_nexus_crashed(struct cluster *cluster)
{
	cluster->seen_ns = 0;
	if (cluster->options.is_local) {
		cluster->hosts[0].is_up = false;
		workload_crashed(cluster->hosts[0].workload);
	}
	cluster_reservations_gone(cluster);
	if (!cluster->options.is_strict)
		history_owner_crashed(cluster->history, sim_now_ns(cluster->sim));
}

void cluster_nexus_ended(struct cluster *cluster)
{
	const struct nexus_record *record = store_record(cluster->store);

	if (cluster->options.is_strict || record == NULL || record->is_clean_shutdown)
		return;
	sim_trace(cluster->sim, "unclean end", 0, 0, 0);
	history_owner_crashed(cluster->history, sim_now_ns(cluster->sim));
}

void cluster_power_was_cut(struct cluster *cluster)
{
	history_power_cut(cluster->history, sim_now_ns(cluster->sim));
}

/* ---- how it is ---- */

uint64_t cluster_block_count(const struct cluster_options *options)
{
	return options->volume_bytes / options->block_bytes - 1;
}

uint64_t cluster_disk_bytes(const struct cluster_options *options)
{
	return NEXUS_DATA_OFFSET_BYTES + options->volume_bytes + DISK_TAIL_BYTES;
}

uint32_t cluster_machine_count(const struct cluster *cluster)
{
	return cluster->options.is_local
		       ? 1
		       : cluster->options.engine_count + cluster->options.host_count;
}

struct sim_process *cluster_machine(struct cluster *cluster, uint32_t machine)
{
	ASSERT(machine < cluster_machine_count(cluster));
	if (machine < cluster->options.engine_count)
		return cluster->engines[machine].process;
	return cluster->hosts[machine - cluster->options.engine_count].process;
}

struct sim_disk *cluster_disk(struct cluster *cluster, uint32_t engine)
{
	ASSERT(engine < cluster->options.engine_count);
	return cluster->engines[engine].disk;
}

static bool all_are_up(const struct cluster *cluster)
{
	for (uint32_t i = 0; i < (cluster->options.is_local ? 1 : cluster->options.engine_count);
	     i++) {
		if (!cluster->engines[i].is_up)
			return false;
	}
	for (uint32_t i = 0; i < cluster->options.host_count; i++) {
		if (!cluster->hosts[i].is_up)
			return false;
	}
	return true;
}

bool cluster_is_healthy(const struct cluster *cluster, uint64_t since_ns)
{
	return cluster->seen_ns > since_ns && cluster->state == NEXUS_ONLINE &&
	       cluster->children_online == cluster->placed &&
	       cluster->children_known == cluster->placed && cluster->leaving == 0 &&
	       cluster->rebuild_count == 0 && all_are_up(cluster);
}

const char *cluster_data_error(const struct cluster *cluster)
{
	for (uint32_t i = 0; i < cluster->options.host_count; i++) {
		const char *error = workload_error(cluster->hosts[i].workload);

		if (error != NULL)
			return error;
	}
	return NULL;
}

void cluster_stats(const struct cluster *cluster, struct workload_stats *ret_stats)
{
	*ret_stats = (struct workload_stats){0};
	for (uint32_t i = 0; i < cluster->options.host_count; i++) {
		const struct workload_stats *stats = workload_stats(cluster->hosts[i].workload);

		ret_stats->done += stats->done;
		ret_stats->failed += stats->failed;
		ret_stats->conflicts += stats->conflicts;
		ret_stats->miscompares += stats->miscompares;
		ret_stats->reservations += stats->reservations;
		ret_stats->probes += stats->probes;
		for (uint32_t type = 0; type < IO_TYPE_COUNT; type++)
			ret_stats->of[type] += stats->of[type];
		if (stats->last_done_ns > ret_stats->last_done_ns)
			ret_stats->last_done_ns = stats->last_done_ns;
	}
}

/*
 * Every copy that counts may have lost its power since it was recorded: then what no flush covered
 * is gone with all of them. An activation over them records their new power cycles.
 */
static void record_stored(void *argument)
{
	struct cluster *cluster = argument;

	for (uint32_t i = 0; i < cluster->options.engine_count; i++) {
		if (cluster_has_kept_power(cluster, i))
			return;
	}
	sim_trace(cluster->sim, "no copy has its power", 0, 0, 0);
	cluster_power_was_cut(cluster);
}

/* ---- making ---- */

static void disk_make(struct engine *engine, struct sim_process *process)
{
	const struct cluster_options *options = &engine->cluster->options;
	const struct sim_disk_options disk = {
		.size_bytes = cluster_disk_bytes(options),
		.block_bytes = options->block_bytes,
	};
	char path[32];

	snprintf(path, sizeof(path), "/dev/disk%u", engine->index);
	engine->disk = sim_disk_create(process, path, &disk);
}

static struct sim_process *machine_make(struct cluster *cluster, const char *kind, uint32_t index,
					uint32_t number)
{
	char name[24];
	char ip[24];

	snprintf(name, sizeof(name), "%s-%u", kind, index);
	snprintf(ip, sizeof(ip), "10.0.0.%u", number + 1);
	return sim_process_create(cluster->sim, name, ip);
}

static void engines_make(struct cluster *cluster)
{
	const struct cluster_options *options = &cluster->options;

	for (uint32_t i = 0; i < options->engine_count; i++) {
		struct engine *engine = &cluster->engines[i];

		engine_init(engine, cluster, i);
		if (i == 0 || !options->is_local)
			engine->process = machine_make(cluster, "engine", i, i);
		disk_make(engine,
			  options->is_local ? cluster->engines[0].process : engine->process);
	}
}

static void workload_make(struct cluster *cluster, uint32_t index)
{
	const struct cluster_options *options = &cluster->options;
	struct workload_options workload = {
		.sim = cluster->sim,
		.host = index,
		.history = cluster->history,
		.reservations = cluster->reservations,
		.block_count = cluster_block_count(options),
		.block_bytes = options->block_bytes,
		.is_repeating = !options->is_local && options->is_host_retrying,
	};

	workload.mix = workload_mix_draw(cluster->sim, index, options->host_count,
					 workload.block_count, workload.block_bytes);
	if (options->slot_count != 0 && workload.mix.slot_count > options->slot_count)
		workload.mix.slot_count = options->slot_count;
	cluster->hosts[index].workload = workload_create(&workload);
}

static void hosts_make(struct cluster *cluster)
{
	for (uint32_t i = 0; i < cluster->options.host_count; i++) {
		struct host *host = &cluster->hosts[i];

		host->cluster = cluster;
		host->index = i;
		workload_make(cluster, i);
		if (!cluster->options.is_local)
			host->process =
				machine_make(cluster, "host", i, cluster->options.engine_count + i);
	}
}

static void volume_make(struct cluster *cluster)
{
	const struct cluster_options *options = &cluster->options;
	const struct history_options history = {
		.volume = 1,
		.block_count = cluster_block_count(options),
		.block_bytes = options->block_bytes,
		.is_strict = options->is_strict,
		.ghost_ns = options->ghost_ns,
	};

	cluster->store = store_create(cluster->sim);
	store_watch(cluster->store, record_stored, cluster);
	cluster->history = history_create(&history);
	if (options->has_reservations) {
		const struct reservation_check_options check = {
			.history = cluster->history,
			.host_id_first = (uint8_t)options->engine_count,
			.is_kept = options->are_reservations_kept,
		};

		cluster->reservations = reservation_check_create(&check);
		if (options->are_reservations_kept)
			cluster->reservation_keeper = reservation_keeper_create(cluster->sim);
	}
}

/* Which engines have the copies in the beginning. */
static uint32_t placement_draw(struct cluster *cluster)
{
	uint32_t placed = 0;

	while ((uint32_t)__builtin_popcount(placed) < cluster->options.copy_count)
		placed |= 1u << prng_below(&cluster->control, cluster->options.engine_count);
	return placed;
}

void cluster_init(struct cluster *cluster, struct sim *sim, const struct cluster_options *options)
{
	ASSERT(options->engine_count >= options->copy_count && options->copy_count <= COPIES_MAX);
	ASSERT(options->engine_count <= ENGINES_MAX && options->host_count <= HOSTS_MAX);
	*cluster = (struct cluster){
		.sim = sim, .options = *options, .look_pause_ns_max = LOOK_PAUSE_NS};
	stream_init(&cluster->control, sim->seed, "control", 0);
	cluster->placed = placement_draw(cluster);
	volume_make(cluster);
	engines_make(cluster);
	hosts_make(cluster);
	for (uint32_t i = 0; i < (options->is_local ? 1 : options->engine_count); i++)
		engine_boot(&cluster->engines[i]);
	for (uint32_t i = 0; i < options->host_count && !options->is_local; i++)
		host_boot(&cluster->hosts[i]);
}

void cluster_deinit(struct cluster *cluster)
{
	for (uint32_t i = 0; i < cluster->options.host_count; i++)
		workload_destroy(cluster->hosts[i].workload);
	reservation_keeper_destroy(cluster->reservation_keeper);
	reservation_check_destroy(cluster->reservations);
	history_destroy(cluster->history);
	store_destroy(cluster->store);
}

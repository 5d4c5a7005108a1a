/* SPDX-License-Identifier: Apache-2.0 */
/* campaign.c - a seed's life: boot, bursts of faults with quiet hours between them, an orderly end.
 *
 * After each burst all faults end, the volume heals, its hosts fall silent, the copies are compared
 * and all blocks are read. A seed fails when
 *  1. a read returns what the history does not allow (history.h), or an answer does not fit the
 *     reservations (reservation_check.h);
 *  2. after all faults have ended the volume does not become healthy, or a host's operation does
 *     not end, within a bound of virtual time;
 *  3. the copies differ in any byte of the volume once it is healthy and quiet;
 *  4. a host sees an error of an I/O although one complete copy was spared all the time;
 *  5. a process that has ended in order still holds memory, or its reactors go on;
 *  6. an assertion fails, memory is touched after a crash, or turns go on without an end;
 *  7. late in the quiet hours somebody connects again, or a connection is left whose maker is gone;
 *  8. with --twice: a second run of the seed has another trace.
 */
#include "sim/campaign.h"

#include "sim/sim_impl.h"
#include "sim/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BOOT_LIMIT_NS	 (60 * SIM_S)
#define HEAL_LIMIT_NS	 (300 * SIM_S)
#define NOTICE_LIMIT_NS	 (60 * SIM_S)
#define SILENCE_LIMIT_NS (120 * SIM_S) /* beyond the time after which hosts give up */
#define END_LIMIT_NS	 (120 * SIM_S)
#define LOOK_NS_BUSY	 (2 * SIM_S)
#define LOOK_NS_QUIET	 (300 * SIM_S)
#define PACE_NS_QUIET	 (180 * SIM_S)
#define PACE_NS_SATED	 (2 * SIM_S)
#define MEAL_NS		 (400 * SIM_MS)
#define CANARY_AFTER	 100
#define GHOST_NS	 (60 * SIM_S) /* more than FAULT_HOST_GHOST holds back */
#define EVENTS_SHOWN	 60
#define PIECE_BYTES	 4096
#define QUIET_NS_JUDGED	 (900 * SIM_S) /* shorter ones of a script prove nothing */

struct campaign {
	const struct campaign_options *options;
	uint64_t seed;
	struct campaign_shape shape;
	struct sim *sim;
	struct cluster cluster;
	struct nemesis *nemesis;
	struct operator* operator;
	uint32_t spared_engine;
	uint64_t phase_ns; /* when it began */
	/* in a burst: the hosts work at full speed until they have done this part of it */
	struct prng meals;
	struct sim_event meal;
	uint64_t burst_ns; /* when it began */
	uint64_t operations_before;
	uint64_t operations_due;
	bool is_sated;
	uint64_t connections_made; /* when the quiet hours were half over */
	char error[ERROR_TEXT_BYTES * 2];
};

/* For the last words after an assertion: set by the one campaign that runs. */
static struct campaign *running;

static void fail(struct campaign *campaign, const char *what, const char *detail)
{
	if (campaign->error[0] == '\0')
		snprintf(campaign->error, sizeof(campaign->error), "%s%s%s", what,
			 detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
}

static uint64_t path_failures(const struct campaign *campaign)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < campaign->cluster.options.host_count; i++)
		count += campaign->cluster.hosts[i].paths.failures;
	return count;
}

static bool has_failed(struct campaign *campaign)
{
	const char *error = cluster_data_error(&campaign->cluster);

	if (error != NULL)
		fail(campaign, "wrong data", error);
	if (campaign->cluster.error[0] != '\0')
		fail(campaign, campaign->cluster.error, NULL);
	if (campaign->spared_engine != NEMESIS_NOBODY && path_failures(campaign) > 0)
		fail(campaign, "a host saw an error although a complete copy was spared", NULL);
	return campaign->error[0] != '\0';
}

/* ---- phases ---- */

static bool is_healthy(void *argument)
{
	struct campaign *campaign = argument;

	if (has_failed(campaign))
		return true;
	if (!cluster_is_healthy(&campaign->cluster, campaign->phase_ns))
		return false;
	/*
	 * Who has not noticed yet that its peer is gone calls healthy what is not. Keep-alives
	 * tell, but for one connection of several whose other end alone is gone: the next I/O there
	 * does.
	 */
	return sim_now_ns(campaign->sim) - campaign->phase_ns > NOTICE_LIMIT_NS ||
	       sim_net_orphan_count(campaign->sim, false) == 0;
}

static uint64_t operations(const struct campaign *campaign)
{
	struct workload_stats stats;

	cluster_stats(&campaign->cluster, &stats);
	return stats.done + stats.failed;
}

static bool is_idle(void *argument)
{
	struct campaign *campaign = argument;

	if (has_failed(campaign))
		return true;
	for (uint32_t i = 0; i < campaign->cluster.options.host_count; i++) {
		if (!workload_is_idle(campaign->cluster.hosts[i].workload))
			return false;
	}
	return true;
}

static bool is_over(void *argument)
{
	struct campaign *campaign = argument;
	uint64_t half_ns = campaign->shape.quiet_seconds * SIM_S / 2;

	if (sim_now_ns(campaign->sim) - campaign->phase_ns < half_ns)
		campaign->connections_made = sim_net_connections_made(campaign->sim);
	return has_failed(campaign);
}

/* Without faults a connection lives for ever, and with its maker it dies. */
static void quiet_judge(struct campaign *campaign)
{
	if (campaign->shape.quiet_seconds * SIM_S < QUIET_NS_JUDGED || has_failed(campaign))
		return;
	if (sim_net_connections_made(campaign->sim) != campaign->connections_made)
		fail(campaign, "somebody connected again in quiet hours", NULL);
	if (sim_net_orphan_count(campaign->sim, true) > 0)
		fail(campaign, "a connection outlives who has made it", NULL);
}

static bool hosts_are_down(void *argument)
{
	struct campaign *campaign = argument;

	for (uint32_t i = 0; i < campaign->cluster.options.host_count; i++) {
		if (campaign->cluster.hosts[i].run != NULL)
			return has_failed(campaign);
	}
	return true;
}

static bool engines_are_down(void *argument)
{
	struct campaign *campaign = argument;

	for (uint32_t i = 0; i < campaign->cluster.options.engine_count; i++) {
		if (campaign->cluster.engines[i].run != NULL)
			return has_failed(campaign);
	}
	return true;
}

static bool nexus_is_down(void *argument)
{
	struct campaign *campaign = argument;

	return has_failed(campaign) || campaign->cluster.engines[0].run == NULL;
}

/* @is_due: running into the limit is a failure. */
static void phase(struct campaign *campaign, const char *name, bool (*is_reached)(void *argument),
		  uint64_t limit_ns, bool is_due)
{
	enum sim_end_reason reason;

	if (has_failed(campaign))
		return;
	sim_trace(campaign->sim, name, 0, 0, 0);
	campaign->phase_ns = sim_now_ns(campaign->sim);
	cluster_look(&campaign->cluster);
	reason = sim_run(campaign->sim, is_reached, campaign, limit_ns);
	if (reason == SIM_LIVELOCK)
		fail(campaign, "turns without end", name);
	else if (reason != SIM_REACHED && is_due)
		fail(campaign, name, campaign->cluster.reason);
}

/* Byte by byte, each copy against the first. */
static void copies_compare(struct campaign *campaign)
{
	struct cluster *cluster = &campaign->cluster;
	uint64_t size = cluster_block_count(&cluster->options) * cluster->options.block_bytes;
	uint32_t first = (uint32_t)__builtin_ctz(cluster->placed);
	uint8_t pieces[2][PIECE_BYTES];
	char detail[64];

	for (uint64_t at = 0; at < size; at += PIECE_BYTES) {
		size_t part = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;

		sim_disk_peek(cluster_disk(cluster, first), NEXUS_DATA_OFFSET_BYTES + at, pieces[0],
			      part);
		for (uint32_t i = first + 1; i < cluster->options.engine_count; i++) {
			if ((cluster->placed & 1u << i) == 0)
				continue;
			sim_disk_peek(cluster_disk(cluster, i), NEXUS_DATA_OFFSET_BYTES + at,
				      pieces[1], part);
			if (memcmp(pieces[0], pieces[1], part) == 0)
				continue;
			snprintf(detail, sizeof(detail), "%u and %u near block %" PRIu64, first, i,
				 at / cluster->options.block_bytes);
			fail(campaign, "copies differ", detail);
			return;
		}
	}
}

static void each_workload(struct campaign *campaign, void (*call)(struct workload *workload))
{
	for (uint32_t i = 0; i < campaign->cluster.options.host_count; i++)
		call(campaign->cluster.hosts[i].workload);
}

static void pace_set(struct campaign *campaign, uint64_t pause_ns)
{
	for (uint32_t i = 0; i < campaign->cluster.options.host_count; i++)
		workload_set_pace(campaign->cluster.hosts[i].workload, pause_ns);
}

/*
 * The operations of a burst come in heaps: at full speed, so that they overlap, and few in between,
 * so that they last as long as the faults do.
 */
static void meal_fire(struct sim_event *event)
{
	struct campaign *campaign = container_of(event, struct campaign, meal);
	uint64_t pause_ns = 1 + prng_below(&campaign->meals, 2 * MEAL_NS);
	uint64_t elapsed_ns = sim_now_ns(campaign->sim) - campaign->burst_ns + pause_ns;

	campaign->operations_due =
		campaign->operations_before + campaign->shape.operations * (elapsed_ns / SIM_MS) /
						      (campaign->shape.burst_seconds * 1000 + 1);
	if (campaign->is_sated && operations(campaign) < campaign->operations_due) {
		campaign->is_sated = false;
		pace_set(campaign, 0);
	}
	sim_event_schedule(campaign->sim, event, pause_ns);
}

static bool is_sated(void *argument)
{
	struct campaign *campaign = argument;

	if (!campaign->is_sated && operations(campaign) >= campaign->operations_due) {
		campaign->is_sated = true;
		pace_set(campaign, PACE_NS_SATED);
	}
	return has_failed(campaign);
}

/* Silence, equal copies, and every block as the history has it. */
static void check_all(struct campaign *campaign, uint32_t reader)
{
	struct cluster *cluster = &campaign->cluster;
	uint64_t silence_ns = cluster->options.path_give_up_ns + SILENCE_LIMIT_NS;

	phase(campaign, "heal", is_healthy, HEAL_LIMIT_NS, true);
	each_workload(campaign, workload_stop);
	phase(campaign, "silence", is_idle, silence_ns, true);
	/* A late answer may have cost a child. */
	phase(campaign, "heal again", is_healthy, HEAL_LIMIT_NS, true);
	if (has_failed(campaign))
		return;
	copies_compare(campaign);
	workload_verify(cluster->hosts[reader % cluster->options.host_count].workload);
	phase(campaign, "verify", is_idle, silence_ns, true);
}

static void burst(struct campaign *campaign, uint32_t number)
{
	campaign->burst_ns = sim_now_ns(campaign->sim);
	campaign->operations_before = operations(campaign);
	sim_event_schedule(campaign->sim, &campaign->meal, 0);
	nemesis_start(campaign->nemesis);
	operator_start(campaign->operator);
	phase(campaign, "faults", is_sated, campaign->shape.burst_seconds * SIM_S, false);
	nemesis_stop(campaign->nemesis);
	operator_stop(campaign->operator);
	sim_event_cancel(campaign->sim, &campaign->meal);
	pace_set(campaign, PACE_NS_SATED);
	check_all(campaign, number);
	if (has_failed(campaign))
		return;
	campaign->cluster.look_pause_ns_max = LOOK_NS_QUIET;
	pace_set(campaign, PACE_NS_QUIET);
	each_workload(campaign, workload_resume);
	phase(campaign, "quiet hours", is_over, campaign->shape.quiet_seconds * SIM_S, false);
	quiet_judge(campaign);
	campaign->is_sated = true;
	campaign->cluster.look_pause_ns_max = LOOK_NS_BUSY;
}

/* Everybody leaves in order: what is left over is a leak. */
static void orderly_end(struct campaign *campaign)
{
	struct cluster *cluster = &campaign->cluster;
	bool is_local = cluster->options.is_local;

	if (has_failed(campaign))
		return;
	for (uint32_t i = 0; i < cluster->options.host_count && !is_local; i++)
		host_shutdown(&cluster->hosts[i]);
	phase(campaign, "hosts end", hosts_are_down, END_LIMIT_NS, true);
	if (has_failed(campaign))
		return;
	engine_shutdown(&cluster->engines[0], false);
	phase(campaign, "nexus ends", nexus_is_down, END_LIMIT_NS, true);
	for (uint32_t i = 1; i < cluster->options.engine_count && !is_local; i++)
		engine_shutdown(&cluster->engines[i], false);
	phase(campaign, "engines end", engines_are_down, END_LIMIT_NS, true);
	if (!has_failed(campaign))
		copies_compare(campaign);
}

static void live(struct campaign *campaign)
{
	phase(campaign, "boot", is_healthy, BOOT_LIMIT_NS, true);
	if (campaign->options->is_canary)
		workload_canary(campaign->cluster.hosts[0].workload, CANARY_AFTER);
	for (uint32_t i = 0; i < campaign->shape.bursts && !has_failed(campaign); i++)
		burst(campaign, i);
	check_all(campaign, campaign->cluster.options.host_count - 1);
	orderly_end(campaign);
}

/* ---- a seed ---- */

static void summary_print(const struct campaign *campaign)
{
	const struct cluster_options *options = &campaign->cluster.options;
	struct workload_stats stats;

	cluster_stats(&campaign->cluster, &stats);
	printf("seed %" PRIu64 ": %s%u engines, %u copies, %u hosts, %" PRIu64 " done, %" PRIu64
	       " failed, %.1f s, trace %016" PRIx64,
	       campaign->seed, options->is_local ? "local, " : "", options->engine_count,
	       options->copy_count, options->host_count, stats.done, stats.failed,
	       (double)sim_now_ns(campaign->sim) / 1e9, sim_trace_hash(campaign->sim));
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		uint32_t count = nemesis_count(campaign->nemesis, (enum fault)i);

		if (count > 0)
			printf(" %s:%u", fault_name((enum fault)i), count);
	}
	for (uint32_t i = 0; i < OPERATOR_COUNT; i++) {
		uint32_t count = operator_count(campaign->operator,(enum operator_action) i);

		if (count > 0)
			printf(" %s:%u", operator_action_name((enum operator_action)i), count);
	}
	printf("\n");
}

static void failure_print(const struct campaign *campaign)
{
	printf("last events:\n");
	sim_trace_last(campaign->sim, stdout, EVENTS_SHOWN);
	summary_print(campaign);
	printf("FAILED seed %" PRIu64 ": %s\nreplay: %s --seed %" PRIu64 " --trace\n",
	       campaign->seed, campaign->error, campaign->options->replay, campaign->seed);
	fflush(stdout);
}

static void script_write(const struct campaign *campaign)
{
	FILE *file = fopen(campaign->options->script_written, "w");

	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", campaign->options->script_written, strerror(errno));
		return;
	}
	fprintf(file, "seed %" PRIu64 "\n", campaign->seed);
	campaign_shape_write(&campaign->shape, file);
	operator_script_write(campaign->operator, file);
	nemesis_script_write(campaign->nemesis, file);
	fclose(file);
}

void campaign_last_words(void)
{
	struct campaign *campaign = running;

	running = NULL;
	if (campaign == NULL)
		return;
	fail(campaign, "the process ended by a signal", NULL);
	failure_print(campaign);
	if (campaign->options->script_written != NULL)
		script_write(campaign);
}

static void cluster_make(struct campaign *campaign)
{
	const struct campaign_shape *shape = &campaign->shape;
	const struct cluster_options options = {
		.volume_bytes = shape->segments * SHAPE_SEGMENT_BYTES,
		.block_bytes = (uint32_t)shape->block_bytes,
		.engine_count = (uint32_t)shape->engines,
		.copy_count = (uint32_t)shape->copies,
		.host_count = (uint32_t)shape->hosts,
		.reactor_count = (uint32_t)shape->reactors,
		.slot_count = (uint32_t)shape->slots,
		.kato_ms = (uint32_t)shape->kato_ms,
		.is_local = shape->local != 0,
		.is_host_retrying = shape->host_retrying != 0,
		.has_digests = shape->digests != 0,
		.ghost_ns = shape->ghosts ? GHOST_NS : 0,
		.rebuild_bytes_per_second = shape->rebuild_kib * 1024,
		.has_reservations = shape->reservations != 0,
		.are_reservations_kept = shape->reservations > 1,
		.path_give_up_ns = shape->give_up_ms * SIM_MS,
		.is_strict = campaign->options->is_strict,
		.log_file = campaign->options->is_traced ? stdout : NULL,
	};

	cluster_init(&campaign->cluster, campaign->sim, &options);
}

/* One of the copies, when the seed is of the kind. */
static uint32_t spared_draw(struct campaign *campaign)
{
	uint32_t placed = campaign->cluster.placed;
	uint64_t skip;
	struct prng prng;

	if (campaign->shape.sparing == 0)
		return NEMESIS_NOBODY;
	stream_init(&prng, campaign->seed, "spared", 0);
	skip = prng_below(&prng, (uint64_t)__builtin_popcount(placed));
	while (skip-- > 0)
		placed &= placed - 1;
	return (uint32_t)__builtin_ctz(placed);
}

/* Without ghosts the history takes what a host gave up for settled by the host's next write. */
static uint64_t faults_allowed(const struct campaign *campaign)
{
	uint64_t ghosts = campaign->shape.ghosts ? 0 : FAULT_BIT(FAULT_HOST_GHOST);

	return campaign->options->faults & ~ghosts;
}

static void trouble_make(struct campaign *campaign)
{
	const struct campaign_script *script = campaign->options->script;
	struct operator_options operator= {.spared_engine = campaign->spared_engine,
					   .script = script == NULL ? NULL : &script->operator, };
	struct nemesis_options nemesis = {
		.allowed = faults_allowed(campaign),
		.pause_ns_max = campaign->shape.fault_pause_ms * SIM_MS,
		.spared_engine = campaign->spared_engine,
		.script = script == NULL ? NULL : script->faults,
	};

	campaign->operator= operator_create(&campaign->cluster, &operator);
	campaign->nemesis = nemesis_create(&campaign->cluster, &nemesis);
}

static void result_fill(struct campaign *campaign, struct campaign_result *ret_result)
{
	struct workload_stats stats;

	cluster_stats(&campaign->cluster, &stats);
	*ret_result = (struct campaign_result){
		.seed = campaign->seed,
		.is_good = !has_failed(campaign),
		.hash = sim_trace_hash(campaign->sim),
		.virtual_ns = sim_now_ns(campaign->sim),
		.operations = stats.done + stats.failed,
		.failed = stats.failed,
	};
	for (uint32_t i = 0; i < campaign->cluster.options.host_count; i++)
		ret_result->repeats += campaign->cluster.hosts[i].paths.repeats;
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		ret_result->faults[i] = nemesis_count(campaign->nemesis, (enum fault)i);
	for (uint32_t i = 0; i < OPERATOR_COUNT; i++)
		ret_result->actions[i] =
			operator_count(campaign->operator,(enum operator_action) i);
}

/* A canary that was noticed is what was wanted. */
static void canary_judge(struct campaign *campaign, struct campaign_result *result)
{
	bool is_sung = workload_canary_is_sung(campaign->cluster.hosts[0].workload);

	if (!result->is_good) {
		result->is_good = is_sung && cluster_data_error(&campaign->cluster) != NULL;
		return;
	}
	result->is_good = !is_sung;
	if (is_sung)
		fail(campaign, "a wrong answer was not noticed", NULL);
}

static void run_once(const struct campaign_options *options, uint64_t seed,
		     struct campaign_result *ret_result)
{
	struct campaign campaign = {.options = options, .seed = seed};

	campaign.sim = sim_create(seed);
	campaign.meal.fire = meal_fire;
	stream_init(&campaign.meals, seed, "meals", 0);
	if (options->is_traced)
		sim_trace_print(campaign.sim, stdout);
	campaign_shape_draw(campaign.sim, options->script, options->is_local, &campaign.shape);
	cluster_make(&campaign);
	campaign.spared_engine = spared_draw(&campaign);
	trouble_make(&campaign);
	running = &campaign;
	live(&campaign);
	running = NULL;
	result_fill(&campaign, ret_result);
	if (options->is_canary)
		canary_judge(&campaign, ret_result);
	if (!ret_result->is_good)
		failure_print(&campaign);
	else if (options->is_verbose)
		summary_print(&campaign);
	if (options->script_written != NULL)
		script_write(&campaign);
	nemesis_destroy(campaign.nemesis);
	operator_destroy(campaign.operator);
	sim_destroy(campaign.sim);
	cluster_deinit(&campaign.cluster);
}

void campaign_seed_run(const struct campaign_options *options, uint64_t seed,
		       struct campaign_result *ret_result)
{
	struct campaign_result again;

	run_once(options, seed, ret_result);
	reached_report_add(options->report);
	if (!ret_result->is_good || !options->is_twice)
		return;
	run_once(options, seed, &again);
	ret_result->is_good = again.is_good && ret_result->hash == again.hash;
	if (again.is_good && ret_result->hash != again.hash)
		printf("FAILED seed %" PRIu64 ": two runs differ: %016" PRIx64 " and %016" PRIx64
		       "\n",
		       seed, ret_result->hash, again.hash);
}

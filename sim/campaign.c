/* SPDX-License-Identifier: Apache-2.0 */
/* campaign.c - many seeds, each a cluster's life: boot, work under faults, heal, compare.
 *
 * A seed fails when
 *  1. a read returns what the history does not allow (history.h);
 *  2. after all faults have ended the volume does not become healthy, or the host's operations do
 *     not end, within a bound of virtual time;
 *  3. the copies differ in any byte of the volume once it is healthy and quiet;
 *  4. an assertion fails, memory is touched after a crash, or turns go on without an end;
 *  5. with --twice: a second run of the seed has another trace.
 */
#include "sim/engine.h"
#include "sim/nemesis.h"
#include "sim/plants.h"
#include "sim/reached_report.h"
#include "sim/sim_impl.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_LIMIT_NS	(60 * SIM_S)
#define FAULTS_LIMIT_NS (120 * SIM_S)
#define HEAL_LIMIT_NS	(300 * SIM_S)
#define QUIET_LIMIT_NS	(120 * SIM_S)
#define OPERATIONS	1500
#define EVENTS_SHOWN	60
#define PIECE_BYTES	4096

struct arguments {
	uint64_t first;
	uint64_t count;
	uint32_t faults;
	bool is_local;
	bool is_twice;
	bool is_strict;
	char faults_option[256]; /* as given, for the line that replays a failure */
	bool is_traced;
	bool is_verbose;
	bool is_reached_told; /* a mark that was never reached is a failure */
	struct reached_report *report;
	const char *program;
};

struct campaign {
	const struct arguments *arguments;
	uint64_t seed;
	struct sim *sim;
	struct cluster cluster;
	struct nemesis *nemesis;
	char error[ERROR_TEXT_BYTES * 2];
};

/* For the last words after an assertion: set by the one campaign that runs. */
static struct campaign *running;

static void cluster_options_draw(struct campaign *campaign, struct cluster_options *ret_options)
{
	struct sim *sim = campaign->sim;

	*ret_options = (struct cluster_options){
		.volume_bytes = sim_draw(sim, 2, 24) * 128 * 1024,
		.block_bytes = sim_chance(sim, 1, 2) ? 512 : 4096,
		.reactor_count = (uint32_t)sim_draw(sim, 1, 2),
		.slot_count = (uint32_t)sim_draw(sim, 1, 24),
		.pause_ns_max = sim_chance(sim, 1, 2) ? SIM_MS : 30 * SIM_MS,
		.is_local = campaign->arguments->is_local,
		.is_host_retrying = sim_chance(sim, 1, 2),
		.has_digests = sim_chance(sim, 1, 2),
		.is_strict = campaign->arguments->is_strict,
		.log_file = campaign->arguments->is_traced ? stdout : NULL,
	};
}

static void fail(struct campaign *campaign, const char *what, const char *detail)
{
	if (campaign->error[0] == '\0')
		snprintf(campaign->error, sizeof(campaign->error), "%s%s%s", what,
			 detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
}

static bool has_failed(struct campaign *campaign)
{
	const char *error = workload_error(campaign->cluster.workload);

	if (error != NULL)
		fail(campaign, "wrong data", error);
	return campaign->error[0] != '\0';
}

/* ---- phases ---- */

static bool is_healthy(void *argument)
{
	struct campaign *campaign = argument;

	return has_failed(campaign) || cluster_is_healthy(&campaign->cluster);
}

static bool is_worked_off(void *argument)
{
	struct campaign *campaign = argument;
	const struct workload_stats *stats = workload_stats(campaign->cluster.workload);

	return has_failed(campaign) || stats->done + stats->failed >= OPERATIONS;
}

static bool is_idle(void *argument)
{
	struct campaign *campaign = argument;

	return has_failed(campaign) || workload_is_idle(campaign->cluster.workload);
}

static void phase(struct campaign *campaign, const char *name, bool (*is_over)(void *argument),
		  uint64_t limit_ns)
{
	enum sim_end_reason reason;

	if (has_failed(campaign))
		return;
	sim_trace(campaign->sim, name, 0, 0, 0);
	campaign->cluster.seen_ns = 0; /* what was reported before does not count */
	reason = sim_run(campaign->sim, is_over, campaign, limit_ns);
	if (reason == SIM_LIVELOCK)
		fail(campaign, "turns without end", name);
	else if (reason != SIM_REACHED && is_over != is_worked_off)
		fail(campaign, name, campaign->cluster.reason);
}

/* Byte by byte, each copy against the first. */
static void copies_compare(struct campaign *campaign)
{
	struct cluster *cluster = &campaign->cluster;
	uint64_t size = cluster_block_count(&cluster->options) * cluster->options.block_bytes;
	uint8_t pieces[2][PIECE_BYTES];
	char detail[64];

	for (uint64_t at = 0; at < size; at += PIECE_BYTES) {
		size_t part = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;

		sim_disk_peek(cluster_disk(cluster, 0), NEXUS_DATA_OFFSET_BYTES + at, pieces[0],
			      part);
		for (uint32_t i = 1; i < ENGINES; i++) {
			sim_disk_peek(cluster_disk(cluster, i), NEXUS_DATA_OFFSET_BYTES + at,
				      pieces[1], part);
			if (memcmp(pieces[0], pieces[1], part) == 0)
				continue;
			snprintf(detail, sizeof(detail), "0 and %u near block %" PRIu64, i,
				 at / cluster->options.block_bytes);
			fail(campaign, "copies differ", detail);
			return;
		}
	}
}

static void campaign_live(struct campaign *campaign)
{
	struct workload *workload = campaign->cluster.workload;

	phase(campaign, "boot", is_healthy, BOOT_LIMIT_NS);
	nemesis_start(campaign->nemesis);
	phase(campaign, "faults", is_worked_off, FAULTS_LIMIT_NS);
	nemesis_stop(campaign->nemesis);
	phase(campaign, "heal", is_healthy, HEAL_LIMIT_NS);
	workload_stop(workload);
	phase(campaign, "quiet", is_idle, QUIET_LIMIT_NS);
	/* A late answer may have cost a child. */
	phase(campaign, "heal again", is_healthy, HEAL_LIMIT_NS);
	if (!has_failed(campaign)) {
		copies_compare(campaign);
		workload_verify(workload);
	}
	phase(campaign, "verify", is_idle, QUIET_LIMIT_NS);
}

/* ---- a seed ---- */

static void summary_print(const struct campaign *campaign, FILE *file)
{
	const struct workload_stats *stats = workload_stats(campaign->cluster.workload);

	fprintf(file,
		"seed %" PRIu64 ": %" PRIu64 " done, %" PRIu64 " failed, %.1f s, trace %016" PRIx64,
		campaign->seed, stats->done, stats->failed, (double)sim_now_ns(campaign->sim) / 1e9,
		sim_trace_hash(campaign->sim));
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		uint32_t count = nemesis_count(campaign->nemesis, (enum fault)i);

		if (count > 0)
			fprintf(file, " %s:%u", fault_name((enum fault)i), count);
	}
	fprintf(file, "\n");
}

static void failure_print(const struct campaign *campaign)
{
	printf("last events:\n");
	sim_trace_last(campaign->sim, stdout, EVENTS_SHOWN);
	summary_print(campaign, stdout);
	printf("FAILED seed %" PRIu64 ": %s\nreplay: %s%s%s%s --seed %" PRIu64 " --trace\n",
	       campaign->seed, campaign->error, campaign->arguments->program,
	       campaign->arguments->is_local ? " --local" : "",
	       campaign->arguments->is_strict ? " --strict" : "",
	       campaign->arguments->faults_option, campaign->seed);
	fflush(stdout);
}

static void last_words(int signal_number)
{
	(void)signal_number;
	if (running != NULL) {
		fail(running, "the process ended by a signal", NULL);
		failure_print(running);
	}
	_exit(1);
}

/* Return: false if it failed. */
static bool seed_run(const struct arguments *arguments, uint64_t seed, uint64_t *ret_hash)
{
	struct campaign campaign = {.arguments = arguments, .seed = seed};
	struct nemesis_options nemesis = {.allowed = arguments->faults};
	struct cluster_options options;
	bool is_good;

	campaign.sim = sim_create(seed);
	if (arguments->is_traced)
		sim_trace_print(campaign.sim, stdout);
	cluster_options_draw(&campaign, &options);
	cluster_init(&campaign.cluster, campaign.sim, &options);
	nemesis.pause_ns_max = sim_draw(campaign.sim, 1, 20) * 100 * SIM_MS;
	campaign.nemesis = nemesis_create(&campaign.cluster, &nemesis);
	running = &campaign;
	campaign_live(&campaign);
	running = NULL;
	is_good = !has_failed(&campaign);
	*ret_hash = sim_trace_hash(campaign.sim);
	if (!is_good)
		failure_print(&campaign);
	else if (arguments->is_verbose)
		summary_print(&campaign, stdout);
	nemesis_stop(campaign.nemesis);
	nemesis_destroy(campaign.nemesis);
	sim_destroy(campaign.sim);
	cluster_deinit(&campaign.cluster);
	reached_report_add(arguments->report);
	return is_good;
}

static bool seed_check(const struct arguments *arguments, uint64_t seed)
{
	uint64_t hashes[2];

	if (!seed_run(arguments, seed, &hashes[0]))
		return false;
	if (!arguments->is_twice)
		return true;
	if (!seed_run(arguments, seed, &hashes[1]))
		return false;
	if (hashes[0] == hashes[1])
		return true;
	printf("FAILED seed %" PRIu64 ": two runs differ: %016" PRIx64 " and %016" PRIx64 "\n",
	       seed, hashes[0], hashes[1]);
	return false;
}

/* ---- command line ---- */

static int usage(const char *program)
{
	fprintf(stderr,
		"usage: %s [--seeds N] [--first S] [--seed S] [--local] [--trace] [--verbose]\n"
		"          [--twice] [--strict] [--reached] [--plant NAME] [--plants]\n"
		"          [--faults a,b,...] [--without a,b,...]\n"
		"faults:",
		program);
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		fprintf(stderr, " %s", fault_name((enum fault)i));
	fprintf(stderr, "\n");
	return 2;
}

/* Return: false if a name is unknown. */
static bool faults_parse(char *names, uint32_t *ret_mask)
{
	char *rest = NULL;
	uint32_t mask = 0;

	for (char *name = strtok_r(names, ",", &rest); name != NULL;
	     name = strtok_r(NULL, ",", &rest)) {
		enum fault fault = fault_find(name);

		if (fault == FAULT_COUNT)
			return false;
		mask |= 1u << fault;
	}
	*ret_mask = mask;
	return true;
}

static const struct option long_options[] = {
	{"seeds", required_argument, NULL, 'n'},   {"first", required_argument, NULL, 'f'},
	{"seed", required_argument, NULL, 's'},	   {"local", no_argument, NULL, 'l'},
	{"trace", no_argument, NULL, 't'},	   {"verbose", no_argument, NULL, 'v'},
	{"twice", no_argument, NULL, '2'},	   {"faults", required_argument, NULL, 'F'},
	{"without", required_argument, NULL, 'w'}, {"strict", no_argument, NULL, 'S'},
	{"reached", no_argument, NULL, 'r'},	   {"plants", no_argument, NULL, 'P'},
	{"plant", required_argument, NULL, 'p'},   {NULL, 0, NULL, 0},
};

static bool argument_take(struct arguments *arguments, int letter)
{
	uint32_t mask;

	switch (letter) {
	case 'n':
		arguments->count = strtoull(optarg, NULL, 0);
		return true;
	case 's':
		arguments->count = 1;
		arguments->first = strtoull(optarg, NULL, 0);
		return true;
	case 'f':
		arguments->first = strtoull(optarg, NULL, 0);
		return true;
	case 'l':
		arguments->is_local = true;
		return true;
	case 't':
		arguments->is_traced = true;
		return true;
	case 'v':
		arguments->is_verbose = true;
		return true;
	case 'S':
		arguments->is_strict = true;
		return true;
	case '2':
		arguments->is_twice = true;
		return true;
	case 'r':
		arguments->is_reached_told = true;
		return true;
	case 'p':
		return plant_take(optarg);
	case 'P':
		plants_print();
		exit(0);
	case 'F':
		snprintf(arguments->faults_option, sizeof(arguments->faults_option),
			 " --faults %.200s", optarg);
		return faults_parse(optarg, &arguments->faults);
	case 'w':
		if (!faults_parse(optarg, &mask))
			return false;
		arguments->faults &= ~mask;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct arguments arguments = {
		.first = 1,
		.count = 20,
		.faults = (1u << FAULT_COUNT) - 1,
		.program = argv[0],
		.report = reached_report_create(),
	};
	bool is_good = true;
	int letter;

	while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (!argument_take(&arguments, letter))
			return usage(argv[0]);
	}
	signal(SIGABRT, last_words);
	signal(SIGSEGV, last_words);
	signal(SIGBUS, last_words);
	signal(SIGXCPU, last_words); /* a seed without an end, under a limit */
	for (uint64_t i = 0; i < arguments.count; i++) {
		if (!seed_check(&arguments, arguments.first + i))
			return 1;
	}
	if (arguments.is_reached_told)
		is_good = reached_report_print(arguments.report, stdout);
	reached_report_destroy(arguments.report);
	printf("%" PRIu64 " seeds from %" PRIu64 " passed\n", arguments.count, arguments.first);
	return is_good ? 0 : 1;
}

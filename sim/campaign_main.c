/* SPDX-License-Identifier: Apache-2.0 */
/* campaign_main.c - the command line of sim_campaign. */
#include "sim/campaign.h"

#include "sim/plants.h"
#include "sim/sim_impl.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPLAY_BYTES 1024
#define JOBS_MAX     64

struct arguments {
	uint64_t first;
	uint64_t count;
	uint32_t job_count;
	bool has_script;
	bool is_reached_told; /* a mark that was never reached is a failure */
	struct campaign_script script;
	struct campaign_options options;
	char replay[REPLAY_BYTES];
};

static int usage(const char *program)
{
	fprintf(stderr,
		"usage: %s [--seeds N] [--first S] [--seed S] [--jobs N] [--local] [--trace]\n"
		"          [--verbose] [--twice] [--strict] [--canary]\n"
		"          [--reached] [--plant NAME] [--plants]\n"
		"          [--script FILE] [--write-script FILE]\n"
		"          [--faults a,b,...] [--without a,b,...]\n"
		"faults:",
		program);
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		fprintf(stderr, " %s", fault_name((enum fault)i));
	fprintf(stderr, "\n");
	return 2;
}

/* Return: false if a name is unknown. */
static bool faults_parse(const char *text, uint64_t *ret_mask)
{
	char names[REPLAY_BYTES];
	char *rest = NULL;
	uint64_t mask = 0;

	snprintf(names, sizeof(names), "%s", text);
	for (char *name = strtok_r(names, ",", &rest); name != NULL;
	     name = strtok_r(NULL, ",", &rest)) {
		enum fault fault = fault_find(name);

		if (fault == FAULT_COUNT)
			return false;
		mask |= FAULT_BIT(fault);
	}
	*ret_mask = mask;
	return true;
}

static bool script_take(struct arguments *arguments, const char *path)
{
	char error[ERROR_TEXT_BYTES] = "";

	if (!campaign_script_read(&arguments->script, path, error)) {
		fprintf(stderr, "%s\n", error);
		return false;
	}
	arguments->has_script = true;
	arguments->options.script = &arguments->script;
	if (arguments->script.has_seed) {
		arguments->first = arguments->script.seed;
		arguments->count = 1;
	}
	return true;
}

static const struct option long_options[] = {
	{"seeds", required_argument, NULL, 'n'},
	{"first", required_argument, NULL, 'f'},
	{"seed", required_argument, NULL, 's'},
	{"jobs", required_argument, NULL, 'j'},
	{"local", no_argument, NULL, 'l'},
	{"trace", no_argument, NULL, 't'},
	{"verbose", no_argument, NULL, 'v'},
	{"twice", no_argument, NULL, '2'},
	{"canary", no_argument, NULL, 'c'},
	{"script", required_argument, NULL, 'r'},
	{"write-script", required_argument, NULL, 'W'},
	{"faults", required_argument, NULL, 'F'},
	{"without", required_argument, NULL, 'w'},
	{"strict", no_argument, NULL, 'S'},
	{"reached", no_argument, NULL, 'R'},
	{"plant", required_argument, NULL, 'p'},
	{"plants", no_argument, NULL, 'P'},
	{NULL, 0, NULL, 0},
};

/* Options that change what a seed does are part of the line that replays it. */
static void replay_add(struct arguments *arguments, const char *option, const char *value)
{
	size_t used = strlen(arguments->replay);

	snprintf(arguments->replay + used, sizeof(arguments->replay) - used, " %s%s%s", option,
		 value == NULL ? "" : " ", value == NULL ? "" : value);
}

/* Return: false if it is none of these. */
static bool flag_take(struct arguments *arguments, int letter)
{
	struct campaign_options *options = &arguments->options;

	switch (letter) {
	case 'l':
		options->is_local = true;
		replay_add(arguments, "--local", NULL);
		return true;
	case 't':
		options->is_traced = true;
		return true;
	case 'v':
		options->is_verbose = true;
		return true;
	case 'S':
		options->is_strict = true;
		replay_add(arguments, "--strict", NULL);
		return true;
	case 'c':
		options->is_canary = true;
		replay_add(arguments, "--canary", NULL);
		return true;
	case '2':
		options->is_twice = true;
		return true;
	default:
		return false;
	}
}

static bool argument_take(struct arguments *arguments, int letter)
{
	struct campaign_options *options = &arguments->options;
	uint64_t mask;

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
	case 'j':
		arguments->job_count = (uint32_t)strtoul(optarg, NULL, 0);
		return arguments->job_count > 0 && arguments->job_count <= JOBS_MAX;
	case 'r':
		replay_add(arguments, "--script", optarg);
		return script_take(arguments, optarg);
	case 'R':
		arguments->is_reached_told = true;
		return true;
	case 'p':
		replay_add(arguments, "--plant", optarg);
		return plant_take(optarg);
	case 'P':
		plants_print();
		exit(0);
	case 'W':
		options->script_written = optarg;
		return true;
	case 'F':
		replay_add(arguments, "--faults", optarg);
		return faults_parse(optarg, &options->faults);
	case 'w':
		replay_add(arguments, "--without", optarg);
		if (!faults_parse(optarg, &mask))
			return false;
		options->faults &= ~mask;
		return true;
	default:
		return flag_take(arguments, letter);
	}
}

static void last_words(int signal_number)
{
	(void)signal_number;
	campaign_last_words();
	_exit(1);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool seeds_run(const struct arguments *arguments)
{
	double begun = seconds_now();
	struct campaign_sum sum = {0};
	bool is_good = true;

	if (arguments->job_count > 1) {
		is_good = campaign_jobs_run(&arguments->options, arguments->first, arguments->count,
					    arguments->job_count, &sum);
	} else {
		for (uint64_t i = 0; i < arguments->count && is_good; i++) {
			struct campaign_result result;

			campaign_seed_run(&arguments->options, arguments->first + i, &result);
			campaign_sum_add(&sum, &result);
			is_good = result.is_good;
		}
	}
	campaign_sum_print(&sum, seconds_now() - begun);
	if (is_good)
		printf("%" PRIu64 " seeds from %" PRIu64 " passed\n", arguments->count,
		       arguments->first);
	return is_good;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {
		.first = 1, .count = 20, .job_count = 1, .options = {.faults = FAULTS_ALL}};
	bool is_good;
	int letter;

	snprintf(arguments.replay, sizeof(arguments.replay), "%s", argv[0]);
	arguments.options.replay = arguments.replay;
	arguments.options.report = reached_report_create();
	while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (!argument_take(&arguments, letter))
			return usage(argv[0]);
	}
	signal(SIGABRT, last_words);
	signal(SIGSEGV, last_words);
	signal(SIGBUS, last_words);
	signal(SIGXCPU, last_words); /* a seed without an end, under a limit */
	is_good = seeds_run(&arguments);
	if (is_good && arguments.is_reached_told)
		is_good = reached_report_print(arguments.options.report, stdout);
	reached_report_destroy(arguments.options.report);
	if (arguments.has_script)
		campaign_script_deinit(&arguments.script);
	return is_good ? 0 : 1;
}

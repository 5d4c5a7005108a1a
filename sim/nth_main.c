/* SPDX-License-Identifier: Apache-2.0 */
/* nth_main.c - the program: for n = 1, 2, 3 ... until nothing failed, in every mode.
 *
 * Runs play in a child process, so that one that crashes or hangs is a finding and not the end.
 */
#include "sim/nth.h"
#include "sim/sim_impl.h"

#include <execinfo.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACE_SHOWN_MAX 14
#define RUN_SECONDS_MAX 20

static const struct nth_scenario *const scenarios[] = {
	&nth_start_scenario, &nth_devices_scenario, &nth_pair_scenario,
	&nth_nexus_scenario, &nth_engine_scenario,
};
#define TASKS_MAX (sizeof(scenarios) / sizeof(scenarios[0]) * NTH_MODE_COUNT)

struct options {
	const char *scenario; /* NULL: all */
	int mode;	      /* -1: all */
	uint64_t point;	      /* 0: all */
	uint64_t stride;      /* every so many ... */
	uint64_t first;	      /* ... from this one */
	uint32_t jobs;	      /* processes at a time */
	bool is_verbose;
	uint64_t shown_max; /* findings in full, of one scenario and mode */
};

/* What child and parent share. */
struct campaign {
	_Atomic uint64_t n; /* under work */
	_Atomic uint32_t step;
	_Atomic bool is_exhausted;
	_Atomic uint64_t point_count;
	_Atomic uint64_t bad_count;
	uint64_t shown_max;
	_Atomic uint64_t kinds[NTH_KIND_COUNT]; /* points by the call that failed */
	struct nth_faults faults;		/* of the run under work */
};

static void bad_show(const struct nth_scenario *scenario, struct campaign *campaign,
		     const char *bad)
{
	const struct nth_faults *faults = &campaign->faults;

	campaign->bad_count++;
	if (campaign->bad_count > campaign->shown_max)
		return;
	printf("BAD %s, %s, point %llu (%s of process %u), step %u '%s':\n  %s\n", scenario->name,
	       nth_mode_text(faults->mode), (unsigned long long)campaign->n,
	       nth_kind_text(faults->first_kind), faults->first_process, campaign->step,
	       scenario->steps[campaign->step].name, bad);
	fflush(stdout);
	backtrace_symbols_fd(faults->first_trace,
			     faults->first_trace_count < TRACE_SHOWN_MAX ? faults->first_trace_count
									 : TRACE_SHOWN_MAX,
			     STDOUT_FILENO);
}

static void run_one(const struct nth_scenario *scenario, struct campaign *campaign,
		    enum nth_mode mode, struct nth_reference *reference, FILE *log_file)
{
	struct nth_play play = {.scenario = scenario,
				.faults = &campaign->faults,
				.reference = reference,
				.log_file = log_file,
				.step = &campaign->step};

	campaign->faults = (struct nth_faults){.mode = mode, .fail_at = campaign->n};
	alarm(RUN_SECONDS_MAX);
	if (!nth_play(&play))
		bad_show(scenario, campaign, play.bad);
	alarm(0);
	campaign->is_exhausted = campaign->faults.failed_count == 0;
	if (!campaign->is_exhausted) {
		campaign->point_count++;
		campaign->kinds[campaign->faults.first_kind]++;
	}
}

static void reference_free(struct nth_reference *reference)
{
	for (uint32_t i = 0; i <= NTH_STEPS_MAX; i++)
		free(reference->states[i]);
	free(reference);
}

static void child_main(const struct nth_scenario *scenario, struct campaign *campaign,
		       enum nth_mode mode, const struct options *options,
		       struct nth_reference *reference)
{
	FILE *log_file = options->is_verbose ? stdout : NULL;

	while (!campaign->is_exhausted) {
		run_one(scenario, campaign, mode, reference, log_file);
		if (options->point != 0)
			break;
		campaign->n += options->stride;
	}
	reference_free(reference);
	fflush(stdout);
	exit(0); /* the leak checker looks */
}

/* Return: how many runs were bad. */
static uint64_t mode_run(const struct nth_scenario *scenario, enum nth_mode mode,
			 const struct options *options, struct nth_reference *reference,
			 uint64_t *ret_point_count)
{
	struct campaign *campaign = mmap(NULL, sizeof(*campaign), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t bad_count;
	bool is_over = false;

	ASSERT(campaign != MAP_FAILED);
	campaign->n = options->point != 0 ? options->point : 1 + options->first;
	campaign->shown_max = options->shown_max;
	while (!is_over) {
		int status;
		pid_t child;

		fflush(stdout);
		child = fork();
		ASSERT(child >= 0);
		if (child == 0) {
			(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
			child_main(scenario, campaign, mode, options, reference);
		}
		while (waitpid(child, &status, 0) != child)
			;
		is_over = options->point != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
		if (status == 0)
			continue;
		bad_show(scenario, campaign,
			 WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hangs"
									    : "crashes or leaks");
		is_over = is_over || campaign->is_exhausted;
		campaign->point_count++;
		campaign->n += options->stride;
	}
	*ret_point_count += campaign->point_count;
	bad_count = campaign->bad_count;
	printf("nth: %-8s %-6s %5llu points failed, %llu bad\n", scenario->name,
	       nth_mode_text(mode), (unsigned long long)campaign->point_count,
	       (unsigned long long)bad_count);
	for (uint32_t i = 0; options->is_verbose && i < NTH_KIND_COUNT; i++)
		printf("  %s %llu\n", nth_kind_text(i), (unsigned long long)campaign->kinds[i]);
	munmap(campaign, sizeof(*campaign));
	return bad_count;
}

/* Return: how many runs were bad; a scenario that is too short counts as one. */
static uint64_t task_run(const struct nth_scenario *scenario, enum nth_mode mode,
			 const struct options *options, uint64_t *ret_point_count)
{
	struct nth_reference *reference = sim_allocate(sizeof(*reference));
	struct nth_faults none = {.mode = NTH_ONCE};
	_Atomic uint32_t step = 0;
	struct nth_play play = {.scenario = scenario,
				.faults = &none,
				.reference = reference,
				.log_file = options->is_verbose ? stdout : NULL,
				.step = &step};
	uint64_t bad_count = 1;
	uint64_t point_count = 0;

	if (!nth_play(&play)) {
		printf("BAD %s without any fault, step '%s':\n  %s\n", scenario->name,
		       scenario->steps[step].name, play.bad);
	} else {
		bad_count = mode_run(scenario, mode, options, reference, &point_count);
		if (options->point == 0 && point_count * options->stride < scenario->points_min) {
			printf("BAD %s: only %llu points, at least %llu are expected\n",
			       scenario->name, (unsigned long long)point_count,
			       (unsigned long long)scenario->points_min);
			bad_count++;
		}
	}
	reference_free(reference);
	*ret_point_count = point_count;
	return bad_count;
}

/* One scenario in one mode, in a process of its own; shared with it. */
struct task {
	const struct nth_scenario *scenario;
	enum nth_mode mode;
	pid_t child; /* 0: not begun */
	bool is_over;
	uint64_t point_count;
	uint64_t bad_count;
};

static void task_begin(struct task *task, const struct options *options)
{
	fflush(stdout);
	task->child = fork();
	ASSERT(task->child >= 0);
	if (task->child != 0)
		return;
	task->bad_count = 1; /* if it does not come back */
	task->bad_count = task_run(task->scenario, task->mode, options, &task->point_count);
	fflush(stdout);
	_exit(0);
}

static void task_await(struct task *tasks, uint32_t count)
{
	int status;
	pid_t child = waitpid(-1, &status, 0);

	for (uint32_t i = 0; i < count; i++) {
		if (tasks[i].child != child)
			continue;
		tasks[i].is_over = true;
		if (status != 0 && tasks[i].bad_count == 0)
			tasks[i].bad_count = 1;
	}
}

static void tasks_run(struct task *tasks, uint32_t count, const struct options *options)
{
	uint32_t begun_count = 0;
	uint32_t over_count = 0;

	while (over_count < count) {
		if (begun_count < count && begun_count - over_count < options->jobs) {
			task_begin(&tasks[begun_count++], options);
			continue;
		}
		task_await(tasks, begun_count);
		over_count++;
	}
}

static int usage(void)
{
	fputs("usage: sim_nth [--scenario NAME] [--mode once|kind|sticky] [--point N]\n"
	      "               [--stride N] [--skip N] [--show N] [--jobs N] [--verbose]\n",
	      stderr);
	return 2;
}

static bool options_parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{"scenario", required_argument, NULL, 's'},
		{"mode", required_argument, NULL, 'm'},
		{"point", required_argument, NULL, 'p'},
		{"stride", required_argument, NULL, 't'},
		{"show", required_argument, NULL, 'w'},
		{"jobs", required_argument, NULL, 'j'},
		{"skip", required_argument, NULL, 'f'},
		{"verbose", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (letter) {
		case 's':
			options->scenario = optarg;
			break;
		case 'm':
			for (int i = 0; i < NTH_MODE_COUNT; i++) {
				if (strcmp(optarg, nth_mode_text((enum nth_mode)i)) == 0)
					options->mode = i;
			}
			break;
		case 'p':
			options->point = strtoull(optarg, NULL, 10);
			break;
		case 't':
			options->stride = strtoull(optarg, NULL, 10);
			break;
		case 'j':
			options->jobs = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'f':
			options->first = strtoull(optarg, NULL, 10);
			break;
		case 'w':
			options->shown_max = strtoull(optarg, NULL, 10);
			break;
		case 'v':
			options->is_verbose = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc && options->stride > 0 && options->jobs > 0;
}

int main(int argc, char **argv)
{
	struct options options = {.mode = -1, .stride = 1, .shown_max = 10, .jobs = 1};
	uint64_t point_count = 0;
	uint64_t bad_count = 0;
	uint32_t task_count = 0;
	struct task *tasks = mmap(NULL, TASKS_MAX * sizeof(*tasks), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT(tasks != MAP_FAILED);
	if (!options_parse(argc, argv, &options))
		return usage();
	for (uint32_t i = 0; i < TASKS_MAX; i++) {
		const struct nth_scenario *scenario = scenarios[i / NTH_MODE_COUNT];
		enum nth_mode mode = i % NTH_MODE_COUNT;

		if ((options.scenario == NULL || strcmp(options.scenario, scenario->name) == 0) &&
		    (options.mode < 0 || options.mode == (int)mode))
			tasks[task_count++] = (struct task){.scenario = scenario, .mode = mode};
	}
	if (task_count == 0)
		return usage();
	tasks_run(tasks, task_count, &options);
	for (uint32_t i = 0; i < task_count; i++) {
		point_count += tasks[i].point_count;
		bad_count += tasks[i].bad_count;
	}
	printf("nth: %llu points failed, %llu bad\n", (unsigned long long)point_count,
	       (unsigned long long)bad_count);
	return bad_count == 0 ? 0 : 1;
}

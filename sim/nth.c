/* SPDX-License-Identifier: Apache-2.0 */
/* nth.c - plays one run of a scenario and judges every step of it.
 *
 * Invariants:
 *  1. The script, its waits and its judgement are the same in all runs up to the call that fails.
 *  2. Faults are possible only while a step plays, never while the state is looked at or mended.
 */
#include "sim/nth.h"

#include "sim/sim_impl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_PAUSE_NS (250 * SIM_MS)
#define NOTICE_NS	(500 * SIM_MS)
#define PAUSE_NS	(50 * SIM_MS)
#define CALM_NS		(4 * SIM_S)

void nth_bad(struct nth_run *run, const char *format, ...)
{
	va_list arguments;

	if (run->bad[0] != '\0')
		return; /* what comes first is the cause */
	va_start(arguments, format);
	vsnprintf(run->bad, sizeof(run->bad), format, arguments);
	va_end(arguments);
}

__attribute__((format(printf, 2, 3))) static void nth_bad_add(struct nth_run *run,
							      const char *format, ...)
{
	size_t size = strlen(run->bad);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(run->bad + size, sizeof(run->bad) - size, format, arguments);
	va_end(arguments);
}

bool nth_error(struct nth_run *run, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(run->error, sizeof(run->error), format, arguments);
	va_end(arguments);
	return false;
}

static void describe(struct nth_run *run, char ret_text[NTH_STATE_BYTES])
{
	FILE *out = fmemopen(ret_text, NTH_STATE_BYTES, "w");

	ASSERT(out != NULL);
	for (uint32_t i = 0; i < run->box_count; i++)
		nth_box_describe(run->boxes[i], out);
	if (run->scenario->describe != NULL)
		run->scenario->describe(run, out);
	fprintf(out, "connections %u\n", sim_net_connection_count(run->sim));
	ASSERT(ftell(out) < NTH_STATE_BYTES - 1);
	fclose(out);
}

/* The first line in which the two differ, for the report. */
static void difference_find(const char *seen, const char *wanted, char ret_text[512])
{
	while (*seen != '\0' && *wanted != '\0') {
		size_t seen_bytes = strcspn(seen, "\n");
		size_t wanted_bytes = strcspn(wanted, "\n");

		if (seen_bytes != wanted_bytes || memcmp(seen, wanted, seen_bytes) != 0) {
			snprintf(ret_text, 512, "'%.*s' instead of '%.*s'", (int)seen_bytes, seen,
				 (int)wanted_bytes, wanted);
			return;
		}
		seen += seen_bytes + (seen[seen_bytes] != '\0');
		wanted += wanted_bytes + (wanted[wanted_bytes] != '\0');
	}
	snprintf(ret_text, 512, "'%.200s' instead of '%.200s'", seen, wanted);
}

/* Mends and waits until the state is @after, or @before (which may be NULL). */
static void state_await(struct nth_run *run, const char *before, const char *after,
			const char *when)
{
	uint64_t until_ns = sim_now_ns(run->sim) + NTH_SETTLE_NS_MAX;
	char text[NTH_STATE_BYTES];
	char difference[512];

	do {
		if (run->scenario->settle != NULL && !run->scenario->settle(run)) {
			nth_bad(run, "%s: not well again: %s", when, run->error);
			return;
		}
		describe(run, text);
		if (strcmp(text, after) == 0 || (before != NULL && strcmp(text, before) == 0))
			return;
		if (sim_run_for(run->sim, SETTLE_PAUSE_NS) == SIM_LIVELOCK)
			break;
	} while (sim_now_ns(run->sim) < until_ns);
	difference_find(text, after, difference);
	nth_bad(run, "%s: %s", when, difference);
	if (before == NULL)
		return;
	difference_find(text, before, difference);
	nth_bad_add(run, "; nor as before: %s", difference);
}

static void failure_judge(struct nth_run *run, const struct nth_step *step, uint64_t failed_before)
{
	if (run->faults->failed_count == failed_before)
		nth_bad(run, "step '%s' fails without a fault: %s", step->name, run->error);
	if (run->error[0] == '\0')
		nth_bad(run, "step '%s' does not say why it failed", step->name);
	else if (strstr(run->error, run->object) == NULL &&
		 (run->part == NULL || strstr(run->error, run->part) == NULL))
		nth_bad(run, "step '%s': the error does not name '%s': %s", step->name, run->object,
			run->error);
}

static bool step_play(struct nth_run *run, const struct nth_step *step, bool is_counting)
{
	bool is_ok;

	run->error[0] = '\0';
	run->object[0] = '\0';
	run->part = NULL;
	run->argument = step->argument;
	run->faults->is_counting = is_counting;
	is_ok = step->play(run);
	run->faults->is_counting = false;
	run->faults->is_healed = run->faults->failed_count > 0;
	if (run->log_file != NULL)
		fprintf(run->log_file, "%10.6f step %s: %s\n", (double)sim_now_ns(run->sim) / 1e9,
			step->name, is_ok ? "ok" : run->error);
	return is_ok;
}

static void step_judge(struct nth_run *run, const struct nth_step *step,
		       struct nth_reference *reference, bool is_ok)
{
	const char *before = reference->states[run->step];
	const char *after = reference->states[run->step + 1];

	/* What the fault has done may not have been noticed yet. */
	sim_run_for(run->sim, NOTICE_NS);
	if (is_ok) {
		state_await(run, NULL, after, "after it succeeded in spite of the fault");
		return;
	}
	state_await(run, before, after, "after it failed");
	if (run->bad[0] != '\0')
		return;
	if (!step_play(run, step, false))
		nth_bad(run, "repeated without the fault it fails: %s", run->error);
	if (run->bad[0] == '\0')
		state_await(run, NULL, after, "after it was repeated");
}

static void reference_take(struct nth_run *run, char **ret_state)
{
	sim_run_for(run->sim, CALM_NS);
	if (run->scenario->settle != NULL && !run->scenario->settle(run))
		nth_bad(run, "without a fault: not well: %s", run->error);
	*ret_state = sim_allocate(NTH_STATE_BYTES);
	describe(run, *ret_state);
	if (run->log_file != NULL)
		fputs(*ret_state, run->log_file);
}

static void steps_play(struct nth_run *run, const struct nth_play *play)
{
	const struct nth_scenario *scenario = run->scenario;
	struct nth_reference *reference = play->reference;

	for (run->step = 0; run->step < scenario->step_count && run->bad[0] == '\0'; run->step++) {
		const struct nth_step *step = &scenario->steps[run->step];
		uint64_t failed_before = run->faults->failed_count;
		bool is_ok;

		*play->step = run->step;
		is_ok = step_play(run, step, true);
		if (run->bad[0] != '\0')
			break;
		if (!is_ok)
			failure_judge(run, step, failed_before);
		if (run->bad[0] != '\0')
			break;
		if (run->faults->fail_at == 0)
			reference_take(run, &reference->states[run->step + 1]);
		else if (run->faults->failed_count != failed_before)
			step_judge(run, step, reference, is_ok);
		else
			sim_run_for(run->sim, PAUSE_NS);
	}
}

static void end_judge(struct nth_run *run)
{
	for (uint32_t i = 0; i < run->box_count; i++) {
		size_t left = sim_process_memory_bytes(run->boxes[i]->process);

		if (left != 0)
			nth_bad(run, "at the end %s holds %zu bytes",
				sim_process_name(run->boxes[i]->process), left);
	}
	if (sim_net_connection_count(run->sim) != 0)
		nth_bad(run, "at the end %u connections are left",
			sim_net_connection_count(run->sim));
}

bool nth_play(struct nth_play *play)
{
	struct nth_run *run = sim_allocate(sizeof(*run));

	ASSERT(play->scenario->step_count <= NTH_STEPS_MAX);
	ASSERT(play->faults->call_count == 0);
	run->scenario = play->scenario;
	run->log_file = play->log_file;
	run->faults = play->faults;
	run->sim = sim_create(1);
	run->state = sim_allocate(play->scenario->state_bytes + 1);
	sim_set_nth_faults(run->sim, play->faults);
	play->scenario->begin(run);
	if (play->faults->fail_at == 0)
		reference_take(run, &play->reference->states[0]);
	steps_play(run, play);
	if (run->bad[0] == '\0')
		end_judge(run);
	snprintf(play->bad, sizeof(play->bad), "%s", run->bad);
	sim_destroy(run->sim);
	for (uint32_t i = 0; i < run->box_count; i++)
		free(run->boxes[i]);
	free(run->state);
	free(run);
	return play->bad[0] == '\0';
}

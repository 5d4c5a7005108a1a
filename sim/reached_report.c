/* SPDX-License-Identifier: Apache-2.0 */
/* reached_report.c - sums of marks, over processes that share nothing but one open file.
 *
 * The processes of a campaign run one program, so a mark has the same place in all of them: after
 * each seed its counts are appended as one array of numbers, and begin anew.
 *
 * Invariant: an array is written by one write(2) to a file opened for appending, so two never mix.
 */
#include "sim/reached_report.h"

#include "base/assert.h"
#include "sim/sim_impl.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reached_report {
	uint32_t mark_count;
	FILE *counts;
};

struct reached_report *reached_report_create(void)
{
	struct reached_report *report = sim_allocate(sizeof(*report));
	const struct mark *twice = marks_find_double();

	if (twice != NULL) {
		fprintf(stderr, "%s:%d: another mark is named %s, too\n", twice->file, twice->line,
			twice->name);
		exit(2);
	}
	for (struct mark *mark = mark_next(NULL); mark != NULL; mark = mark_next(mark))
		report->mark_count++;
	report->counts = tmpfile();
	if (report->counts == NULL || fcntl(fileno(report->counts), F_SETFL, O_APPEND) < 0) {
		perror("a file for the counts of marks");
		exit(2);
	}
	return report;
}

void reached_report_destroy(struct reached_report *report)
{
	if (report == NULL)
		return;
	fclose(report->counts);
	free(report);
}

void reached_report_add(struct reached_report *report)
{
	size_t size_bytes = report->mark_count * sizeof(uint64_t);
	uint64_t *counts = sim_allocate(size_bytes + sizeof(uint64_t));
	uint32_t index = 0;

	for (struct mark *mark = mark_next(NULL); mark != NULL; mark = mark_next(mark))
		counts[index++] = atomic_exchange(&mark->count, 0);
	ASSERT(index == report->mark_count);
	ASSERT(write(fileno(report->counts), counts, size_bytes) == (ssize_t)size_bytes);
	free(counts);
}

static void counts_sum(struct reached_report *report, uint64_t *sums)
{
	uint64_t count;
	uint64_t index = 0;

	rewind(report->counts);
	while (fread(&count, sizeof(count), 1, report->counts) == 1)
		sums[index++ % report->mark_count] += count;
	ASSERT(index % report->mark_count == 0);
}

bool reached_report_print(struct reached_report *report, FILE *file)
{
	uint64_t *sums = sim_allocate((report->mark_count + 1) * sizeof(*sums));
	uint32_t index = 0;
	uint32_t required_count = 0;
	uint32_t missed_count = 0;

	if (report->mark_count > 0)
		counts_sum(report, sums);
	for (struct mark *mark = mark_next(NULL); mark != NULL; mark = mark_next(mark)) {
		fprintf(file, "reached %12" PRIu64 "  %s%s\n", sums[index], mark->name,
			mark->is_required ? "" : " (need not be)");
		required_count += mark->is_required != 0;
		index++;
	}
	index = 0;
	for (struct mark *mark = mark_next(NULL); mark != NULL; mark = mark_next(mark)) {
		if (sums[index++] > 0 || !mark->is_required)
			continue;
		missed_count++;
		fprintf(file, "NEVER REACHED %s (%s:%d)\n", mark->name, mark->file, mark->line);
	}
	fprintf(file, "%" PRIu32 " of %" PRIu32 " rare paths reached\n",
		required_count - missed_count, required_count);
	free(sums);
	return missed_count == 0 && required_count > 0;
}

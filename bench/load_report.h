/* SPDX-License-Identifier: Apache-2.0 */
/* load_report.h - the result of a run, for people and for machines. */
#ifndef BENCH_LOAD_REPORT_H
#define BENCH_LOAD_REPORT_H

#include "bench/load_stream.h"

struct load_report {
	const struct load_options *options;
	const struct load_result *result;
	uint64_t wall_ns; /* first submission to last answer */
	uint64_t cpu_ns;  /* of this process meanwhile, kernel included */
	uint64_t doubtful_units;
	uint64_t enters;       /* system calls of the ring meanwhile */
	uint64_t yields;       /* system calls that left the core to others while it waited */
	uint64_t behind_count; /* with --rate: were due and never began */
	enum load_exit exit;
};

/** As options->is_json asks. */
void load_report_print(const struct load_report *report, FILE *out);

/** Draws the latencies to options->plot_path. Return: 0, or -1 and errno. */
int load_report_plot(const struct load_report *report);

/** The first mismatch in detail, several lines. Only if there is one. */
void load_report_mismatch(const struct load_mismatch *mismatch, FILE *out);

#endif

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
	enum load_exit exit;
};

/** As options->is_json asks. */
void load_report_print(const struct load_report *report, FILE *out);

/** The first mismatch in detail, several lines. Only if there is one. */
void load_report_mismatch(const struct load_mismatch *mismatch, FILE *out);

#endif

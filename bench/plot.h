/* SPDX-License-Identifier: Apache-2.0 */
/* plot.h - latencies by percentile as a picture: one SVG file that needs nothing else.
 *
 * Across: percentiles, each step ten times rarer; up: latency, logarithmic. Its colours follow the
 * reader's light or dark mode. Pure but for the stream that is written to.
 */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include "bench/histogram.h"

#include <stdio.h>

#define PLOT_CURVES_MAX 4

struct plot_curve {
	const char *name;
	const struct histogram *latency_ns;
};

struct plot {
	const char *title; /* any text; it is escaped */
	const char *note;  /* a second line, smaller */
	struct plot_curve curves[PLOT_CURVES_MAX];
	uint32_t curve_count;
};

void plot_write(const struct plot *plot, FILE *out);

#endif

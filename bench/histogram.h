/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h - latencies in log-linear classes: any 64-bit value within 1.6 %, fixed memory.
 *
 * Values below HISTOGRAM_LINEAR have a class each; above, every power of two is cut into
 * HISTOGRAM_LINEAR / 2 equal classes, so that a class is at most 1/64 of its values wide.
 * Single thread; nothing allocates.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_LINEAR_BITS 7
#define HISTOGRAM_LINEAR      (1u << HISTOGRAM_LINEAR_BITS)
#define HISTOGRAM_OCTAVES     (64 - HISTOGRAM_LINEAR_BITS)
#define HISTOGRAM_CLASSES     (HISTOGRAM_LINEAR + HISTOGRAM_OCTAVES * HISTOGRAM_LINEAR / 2)

/* Zeroed is empty. */
struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t classes[HISTOGRAM_CLASSES];
};

void histogram_record(struct histogram *histogram, uint64_t value);

/** Adds all values of @from. */
void histogram_add(struct histogram *to, const struct histogram *from);

/**
 * histogram_percentile - the value that @per_million of all values do not exceed
 * Return: middle of the class where it lies, at most the largest value; 0 when it is empty.
 */
uint64_t histogram_percentile(const struct histogram *histogram, uint32_t per_million);

/* A range of values, and how many lie in it. */
struct histogram_range {
	uint64_t from;
	uint64_t to; /* not in it any more */
	uint64_t count;
};

/**
 * histogram_ranges - the histogram in ranges of a @parts-th of a power of two each
 * From the first range that has values to the last one. @parts: 1, 2, 4 ... 64; below @parts
 * itself the ranges are single values.
 * Return: how many there are; at most @capacity of them are filled in.
 */
uint32_t histogram_ranges(const struct histogram *histogram, uint32_t parts,
			  struct histogram_range *ret_ranges, uint32_t capacity);

/** 0 when it is empty. */
uint64_t histogram_mean(const struct histogram *histogram);

#endif

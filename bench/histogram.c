/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c - classes of a log-linear histogram.
 *
 * Invariants:
 *  1. Classes are in the order of their values and leave no gap.
 *  2. count is the sum of all classes.
 */
#include "bench/histogram.h"

#include "base/assert.h"

#define HALF (HISTOGRAM_LINEAR / 2)

/* Position of the highest bit beyond those that the linear part covers. */
static uint32_t octave_of(uint64_t value)
{
	ASSERT(value >= HISTOGRAM_LINEAR);
	return 64 - HISTOGRAM_LINEAR_BITS - (uint32_t)__builtin_clzll(value);
}

static uint32_t class_of(uint64_t value)
{
	uint32_t octave;

	if (value < HISTOGRAM_LINEAR)
		return (uint32_t)value;
	octave = octave_of(value);
	/* value >> octave keeps the upper LINEAR_BITS bits: HALF .. LINEAR - 1. */
	return HISTOGRAM_LINEAR + (octave - 1) * HALF + (uint32_t)(value >> octave) - HALF;
}

static uint64_t class_middle(uint32_t index)
{
	uint32_t octave;
	uint64_t first;

	ASSERT(index < HISTOGRAM_CLASSES);
	if (index < HISTOGRAM_LINEAR)
		return index;
	octave = (index - HISTOGRAM_LINEAR) / HALF + 1;
	first = (uint64_t)((index - HISTOGRAM_LINEAR) % HALF + HALF) << octave;
	return first + ((uint64_t)1 << octave) / 2;
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
	uint32_t index = class_of(value);

	ASSERT(index < HISTOGRAM_CLASSES);
	histogram->classes[index]++;
	histogram->count++;
	histogram->sum += value;
	if (value > histogram->max)
		histogram->max = value;
}

void histogram_add(struct histogram *to, const struct histogram *from)
{
	for (uint32_t i = 0; i < HISTOGRAM_CLASSES; i++)
		to->classes[i] += from->classes[i];
	to->count += from->count;
	to->sum += from->sum;
	if (from->max > to->max)
		to->max = from->max;
}

uint64_t histogram_percentile(const struct histogram *histogram, uint32_t per_million)
{
	/* count * per_million / 1000000, rounded up, in parts that do not overflow. */
	uint64_t rest = histogram->count % 1000000 * per_million + 999999;
	uint64_t rank = histogram->count / 1000000 * per_million + rest / 1000000;
	uint64_t seen = 0;

	ASSERT(per_million <= 1000000);
	if (histogram->count == 0)
		return 0;
	if (rank == 0)
		rank = 1;
	for (uint32_t i = 0; i < HISTOGRAM_CLASSES; i++) {
		uint64_t middle;

		seen += histogram->classes[i];
		if (seen < rank)
			continue;
		middle = class_middle(i);
		return middle < histogram->max ? middle : histogram->max;
	}
	return histogram->max;
}

static uint64_t class_first(uint32_t index)
{
	uint32_t octave;

	ASSERT(index < HISTOGRAM_CLASSES);
	if (index < HISTOGRAM_LINEAR)
		return index;
	octave = (index - HISTOGRAM_LINEAR) / HALF + 1;
	return (uint64_t)((index - HISTOGRAM_LINEAR) % HALF + HALF) << octave;
}

/* The range of a @parts-th of a power of two that holds @value. */
static struct histogram_range range_of(uint64_t value, uint32_t parts)
{
	uint64_t width = 1;

	if (value >= parts)
		width = ((uint64_t)1 << (63 - (uint32_t)__builtin_clzll(value))) / parts;
	return (struct histogram_range){.from = value / width * width,
					.to = value / width * width + width};
}

uint32_t histogram_ranges(const struct histogram *histogram, uint32_t parts,
			  struct histogram_range *ret_ranges, uint32_t capacity)
{
	struct histogram_range range = {0};
	uint64_t left = histogram->count;
	uint32_t count = 0;

	ASSERT(parts > 0 && parts <= HALF && (parts & (parts - 1)) == 0);
	for (uint32_t i = 0; i < HISTOGRAM_CLASSES && left > 0; i++) {
		uint64_t first = class_first(i);

		/* A new range begins; empty ones before the first value are left out. */
		if (first >= range.to || i == 0) {
			if (count > 0 || range.count > 0) {
				if (count < capacity)
					ret_ranges[count] = range;
				count++;
			}
			range = range_of(first, parts);
		}
		range.count += histogram->classes[i];
		left -= histogram->classes[i];
	}
	if (histogram->count == 0)
		return 0;
	if (count < capacity)
		ret_ranges[count] = range;
	return count + 1;
}

uint64_t histogram_mean(const struct histogram *histogram)
{
	return histogram->count == 0 ? 0 : histogram->sum / histogram->count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* plot_test.c - what is drawn lies in the frame, says what was measured, and is well-formed. */
#include "bench/plot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *drawn(const struct plot *plot)
{
	size_t size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	plot_write(plot, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void histogram_fill(struct histogram *histogram, uint64_t count)
{
	memset(histogram, 0, sizeof(*histogram));
	for (uint64_t value = 1; value <= count; value++)
		histogram_record(histogram, 10000 + value * 13);
}

static uint32_t occurrences(const char *text, const char *word)
{
	uint32_t count = 0;

	for (text = strstr(text, word); text != NULL; text = strstr(text + 1, word))
		count++;
	return count;
}

static void curve_rises_to_the_right_inside_the_frame(void **state)
{
	struct histogram histogram;
	struct plot plot = {"t", "n", {{"read", &histogram}}, 1};
	double x_before = 0, y_before = 1000, x, y;
	char *text, *at;
	int points = 0;

	(void)state;
	histogram_fill(&histogram, 50000);
	text = drawn(&plot);
	at = strstr(text, "<path class=\"c0\" d=\"");
	assert_non_null(at);
	at += strlen("<path class=\"c0\" d=\"");
	for (; *at == 'M' || *at == 'L'; points++) {
		x = strtod(at + 1, &at);
		y = strtod(at, &at);
		assert_true(x >= 76 && x <= 860 - 24 && y >= 64 && y <= 480 - 56);
		assert_true(x > x_before && y <= y_before);
		x_before = x;
		y_before = y;
	}
	assert_true(points > 40);
	free(text);
}

static void texts_are_escaped_and_elements_closed(void **state)
{
	struct histogram histogram;
	struct plot plot = {"a<b>&\x01\"c", "", {{"<x>", &histogram}}, 1};
	char *text;

	(void)state;
	histogram_fill(&histogram, 100);
	text = drawn(&plot);
	assert_non_null(strstr(text, ">a&lt;b>&amp;\"c</text>"));
	assert_non_null(strstr(text, "&lt;x>: p50"));
	assert_int_equal(occurrences(text, "<text"), occurrences(text, "</text>"));
	assert_int_equal(occurrences(text, "<path"), occurrences(text, "\"/>"));
	assert_int_equal(occurrences(text, "<svg"), 1);
	free(text);
}

static void legend_tells_the_percentiles_of_each_curve(void **state)
{
	struct histogram slow = {0}, fast = {0};
	struct plot plot = {"t", "n", {{"read", &slow}, {"write", &fast}}, 2};
	char *text;

	(void)state;
	histogram_record(&slow, 131072);
	histogram_record(&fast, 64);
	text = drawn(&plot);
	assert_non_null(strstr(text, "read: p50 131.1, p99 131.1, p99.9 131.1 us"));
	assert_non_null(strstr(text, "write: p50 0.1, p99 0.1, p99.9 0.1 us"));
	free(text);
}

static void nothing_measured_is_drawn_as_axes_alone(void **state)
{
	struct plot plot = {"t", "n", {{NULL, NULL}}, 0};
	char *text;

	(void)state;
	text = drawn(&plot);
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "inf"));
	assert_non_null(strstr(text, "</svg>"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(curve_rises_to_the_right_inside_the_frame),
		cmocka_unit_test(texts_are_escaped_and_elements_closed),
		cmocka_unit_test(legend_tells_the_percentiles_of_each_curve),
		cmocka_unit_test(nothing_measured_is_drawn_as_axes_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

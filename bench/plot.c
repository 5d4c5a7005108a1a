/* SPDX-License-Identifier: Apache-2.0 */
/* plot.c - the percentile plot: axes, grid, a curve and a line of the legend for each histogram.
 *
 * A curve ends where its histogram cannot tell more: one I/O of 100,000 says nothing about
 * p99.9999.
 */
#include "bench/plot.h"

#include "base/assert.h"

#include <inttypes.h>
#include <math.h>

#define WIDTH	    860.0
#define HEIGHT	    480.0
#define LEFT	    76.0
#define RIGHT	    24.0
#define TOP	    64.0
#define BOTTOM	    56.0
#define STEPS	    40 /* of a curve for each power of ten */
#define NINES_MAX   6
#define NS_PER_US   1000.0
#define PER_MILLION 1e6

/* What the axes cover. */
struct frame {
	double nines; /* across: 0 (p0) to p90, p99, ... */
	int low;      /* up: powers of ten of a microsecond */
	int high;
};

static double across(const struct frame *frame, double nines)
{
	return LEFT + nines / frame->nines * (WIDTH - LEFT - RIGHT);
}

static double upwards(const struct frame *frame, double latency_us)
{
	double share = (log10(latency_us) - frame->low) / (frame->high - frame->low);

	return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
}

/* How far right a curve goes: to the percentile that ten I/Os exceed. */
static double nines_of(const struct histogram *histogram)
{
	double nines = log10((double)histogram->count / 10.0);

	if (nines < 1)
		return 1;
	return nines > NINES_MAX ? NINES_MAX : nines;
}

static double latency_us(const struct histogram *histogram, double nines)
{
	double share = 1.0 - pow(10.0, -nines);
	uint64_t ns = histogram_percentile(histogram, (uint32_t)(share * PER_MILLION + 0.5));

	return ns == 0 ? 1 / NS_PER_US : (double)ns / NS_PER_US;
}

static struct frame frame_of(const struct plot *plot)
{
	struct frame frame = {.nines = 1};
	double least = 0, most = 0;

	for (uint32_t i = 0; i < plot->curve_count; i++) {
		const struct histogram *histogram = plot->curves[i].latency_ns;
		double last = nines_of(histogram);
		double low = latency_us(histogram, 0), high = latency_us(histogram, last);

		if (last > frame.nines)
			frame.nines = last;
		if (i == 0 || low < least)
			least = low;
		if (i == 0 || high > most)
			most = high;
	}
	frame.low = least > 0 ? (int)floor(log10(least)) : 0;
	frame.high = most > 0 ? (int)ceil(log10(most)) : 1;
	if (frame.high <= frame.low)
		frame.high = frame.low + 1;
	return frame;
}

static void text_write(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if ((unsigned char)*text >= 0x20)
			fputc(*text, out);
	}
}

static void label(double x, double y, const char *class, FILE *out)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
}

static void head_write(const struct plot *plot, FILE *out)
{
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
		"font-family=\"sans-serif\" font-size=\"13\">\n"
		"<style>\n"
		"svg{background:#ffffff;--ink:#1f2933;--grid:#d5dbe1;--c0:#1f6fb4;--c1:#c2410c;"
		"--c2:#15803d;--c3:#6d28d9}\n"
		"@media (prefers-color-scheme:dark){svg{background:#14181d;--ink:#e4e9ee;"
		"--grid:#39424c;--c0:#6cb6ff;--c1:#ffa657;--c2:#7ee787;--c3:#d2a8ff}}\n"
		"text{fill:var(--ink)}\n"
		".grid{stroke:var(--grid);stroke-width:1;fill:none}\n"
		".fine{stroke:var(--grid);stroke-width:.4;fill:none}\n"
		".title{font-size:16px;font-weight:bold}.note{font-size:12px}\n"
		".mid{text-anchor:middle}.end{text-anchor:end}\n",
		WIDTH, HEIGHT);
	for (int i = 0; i < PLOT_CURVES_MAX; i++)
		fprintf(out, ".c%d{stroke:var(--c%d);stroke-width:2.2;fill:none}\n", i, i);
	fputs("</style>\n", out);
	label(LEFT, 24, "title", out);
	text_write(plot->title, out);
	fputs("</text>\n", out);
	label(LEFT, 44, "note", out);
	text_write(plot->note, out);
	fputs("</text>\n", out);
}

static void line(double x1, double y1, double x2, double y2, FILE *out)
{
	fprintf(out, "M%.1f %.1fL%.1f %.1f", x1, y1, x2, y2);
}

static void grid_write(const struct frame *frame, FILE *out)
{
	static const char *const names[] = {"p0",     "p90",	 "p99",	    "p99.9",
					    "p99.99", "p99.999", "p99.9999"};

	fputs("<path class=\"fine\" d=\"", out);
	for (int power = frame->low; power < frame->high; power++) {
		for (int digit = 2; digit < 10; digit++) {
			double y = upwards(frame, digit * pow(10, power));

			line(LEFT, y, WIDTH - RIGHT, y, out);
		}
	}
	fputs("\"/>\n<path class=\"grid\" d=\"", out);
	for (int power = frame->low; power <= frame->high; power++) {
		double y = upwards(frame, pow(10, power));

		line(LEFT, y, WIDTH - RIGHT, y, out);
	}
	for (int nine = 0; nine <= frame->nines; nine++) {
		double x = across(frame, nine);

		line(x, TOP, x, HEIGHT - BOTTOM, out);
	}
	/* The median, where one looks first. */
	line(across(frame, log10(2)), TOP, across(frame, log10(2)), HEIGHT - BOTTOM, out);
	fputs("\"/>\n", out);
	for (int nine = 0; nine <= frame->nines; nine++) {
		label(across(frame, nine), HEIGHT - BOTTOM + 18, "mid", out);
		fprintf(out, "%s</text>\n", names[nine]);
	}
	label(across(frame, log10(2)), HEIGHT - BOTTOM + 18, "mid", out);
	fputs("p50</text>\n", out);
	for (int power = frame->low; power <= frame->high; power++) {
		label(LEFT - 8, upwards(frame, pow(10, power)) + 4, "end", out);
		fprintf(out, "%g</text>\n", pow(10, power));
	}
}

static void titles_write(FILE *out)
{
	label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "mid", out);
	fputs("percentile of the I/Os</text>\n", out);
	fprintf(out,
		"<text class=\"mid\" transform=\"translate(20 %.1f) rotate(-90)\">latency, "
		"microseconds (logarithmic)</text>\n",
		(TOP + HEIGHT - BOTTOM) / 2);
}

static void curve_write(const struct frame *frame, const struct plot_curve *curve, uint32_t index,
			FILE *out)
{
	double last = nines_of(curve->latency_ns);
	int steps = (int)(last * STEPS);

	fprintf(out, "<path class=\"c%" PRIu32 "\" d=\"", index);
	for (int i = 0; i <= steps; i++) {
		double nines = last * i / steps;

		fprintf(out, "%s%.1f %.1f", i == 0 ? "M" : "L", across(frame, nines),
			upwards(frame, latency_us(curve->latency_ns, nines)));
	}
	fputs("\"/>\n", out);
}

static void legend_write(const struct plot_curve *curve, uint32_t index, FILE *out)
{
	double y = TOP + 20 + 20 * index;

	fprintf(out, "<path class=\"c%" PRIu32 "\" d=\"", index);
	line(LEFT + 14, y - 4, LEFT + 40, y - 4, out);
	fputs("\"/>\n", out);
	label(LEFT + 48, y, "note", out);
	text_write(curve->name, out);
	fprintf(out, ": p50 %.1f, p99 %.1f, p99.9 %.1f us</text>\n",
		(double)histogram_percentile(curve->latency_ns, 500000) / NS_PER_US,
		(double)histogram_percentile(curve->latency_ns, 990000) / NS_PER_US,
		(double)histogram_percentile(curve->latency_ns, 999000) / NS_PER_US);
}

void plot_write(const struct plot *plot, FILE *out)
{
	struct frame frame = frame_of(plot);

	ASSERT(plot->curve_count <= PLOT_CURVES_MAX);
	head_write(plot, out);
	grid_write(&frame, out);
	titles_write(out);
	for (uint32_t i = 0; i < plot->curve_count; i++) {
		curve_write(&frame, &plot->curves[i], i, out);
		legend_write(&plot->curves[i], i, out);
	}
	fputs("</svg>\n", out);
}

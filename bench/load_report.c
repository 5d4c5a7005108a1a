/* SPDX-License-Identifier: Apache-2.0 */
/* load_report.c - text and JSON of a result.
 *
 * JSON: seconds, seed, rate and behind, cpu_us_per_io, calls_per_io, yields_per_io, exit, "read",
 * "write", "flush", "total" with operations, iops, mib_s, *_us and histogram_ns (from, to, count),
 * "errors" by name, with --verify "verify", and "mismatch" or null.
 */
#include "bench/load_report.h"

#include "base/size.h"
#include "bench/plot.h"

#include <inttypes.h>
#include <string.h>

#define BARS_MAX	 24 /* lines of the histogram */
#define BAR_COLUMNS	 50
#define RANGES_MAX	 512 /* of the histogram in JSON: all there can be */
#define RANGE_PARTS	 8   /* of a power of two, in JSON */
#define RANGE_PARTS_TEXT 8   /* at most, as text */

static const char *const type_names[LOAD_TYPE_COUNT + 1] = {"read", "write", "flush", "total"};

struct line {
	const char *name;
	const struct histogram *latency_ns;
	double iops;
	double mib_s;
};

static double microseconds(uint64_t ns)
{
	return (double)ns / 1000.0;
}

static double percentile_us(const struct line *line, uint32_t per_million)
{
	return microseconds(histogram_percentile(line->latency_ns, per_million));
}

static struct line line_of(const struct load_report *report, const struct histogram *latency_ns,
			   int index, uint64_t bytes)
{
	double seconds = (double)(report->wall_ns == 0 ? 1 : report->wall_ns) / 1e9;

	return (struct line){
		.name = type_names[index],
		.latency_ns = latency_ns,
		.iops = (double)latency_ns->count / seconds,
		.mib_s = (double)bytes / seconds / (1024.0 * 1024.0),
	};
}

static void lines_make(const struct load_report *report, struct histogram *total,
		       struct line ret_lines[LOAD_TYPE_COUNT + 1])
{
	const struct load_result *result = report->result;
	uint64_t bytes = 0;

	for (int i = 0; i < LOAD_TYPE_COUNT; i++) {
		ret_lines[i] = line_of(report, &result->latency_ns[i], i, result->bytes[i]);
		histogram_add(total, &result->latency_ns[i]);
		bytes += result->bytes[i];
	}
	ret_lines[LOAD_TYPE_COUNT] = line_of(report, total, LOAD_TYPE_COUNT, bytes);
}

static double per_io(uint64_t number, uint64_t count)
{
	return count == 0 ? 0 : (double)number / (double)count;
}

static double cpu_us_per_io(const struct load_report *report, uint64_t count)
{
	return count == 0 ? 0 : microseconds(report->cpu_ns) / (double)count;
}

static void text_head(const struct load_report *report, FILE *out)
{
	const struct load_options *options = report->options;
	char size[SIZE_TEXT_BYTES];

	size_format(options->size_bytes, size);
	for (uint32_t i = 0; i < options->uri_count; i++)
		fprintf(out, "%s\n", options->uris[i]);
	fprintf(out,
		"%s %s, %" PRIu32 " %% reads, depth %" PRIu32 ", %" PRIu32
		" connection%s each, %.2f s, seed %" PRIu64 "\n\n",
		options->is_sequential ? "sequential" : "random", size, options->read_percent,
		options->depth, options->connections, options->connections == 1 ? "" : "s",
		(double)report->wall_ns / 1e9, options->seed);
}

static void text_line(const struct line *line, FILE *out)
{
	fprintf(out, "%-6s %10.0f %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f\n", line->name,
		line->iops, line->mib_s, microseconds(histogram_mean(line->latency_ns)),
		percentile_us(line, 500000), percentile_us(line, 900000),
		percentile_us(line, 990000), percentile_us(line, 999000),
		microseconds(line->latency_ns->max));
}

/* As fine as BARS_MAX lines permit. Return: how many there are. */
static uint32_t bars_make(const struct histogram *histogram,
			  struct histogram_range ret_bars[BARS_MAX])
{
	uint32_t parts = RANGE_PARTS_TEXT, count;

	do {
		count = histogram_ranges(histogram, parts, ret_bars, BARS_MAX);
		parts /= 2;
	} while (count > BARS_MAX && parts > 0);
	return count < BARS_MAX ? count : BARS_MAX;
}

static void text_histogram(const struct line *total, FILE *out)
{
	struct histogram_range bars[BARS_MAX];
	uint32_t count = bars_make(total->latency_ns, bars);
	uint64_t most = 1, seen = 0;

	for (uint32_t i = 0; i < count; i++)
		most = bars[i].count > most ? bars[i].count : most;
	fputs("\n   from us      to us  share %  up to %\n", out);
	for (uint32_t i = 0; i < count; i++) {
		int width = (int)((bars[i].count * BAR_COLUMNS + most - 1) / most);

		seen += bars[i].count;
		fprintf(out, "%10.1f %10.1f %8.3f %8.3f  %.*s\n", microseconds(bars[i].from),
			microseconds(bars[i].to),
			100 * per_io(bars[i].count, total->latency_ns->count),
			100 * per_io(seen, total->latency_ns->count), width,
			"##################################################");
	}
}

static void text_errors(const struct load_result *result, FILE *out)
{
	fprintf(out, "errors %" PRIu64 "\n", result->error_count);
	for (int status = 0; status < LOAD_STATUS_COUNT; status++) {
		if (result->errors[status] > 0)
			fprintf(out, "  %s: %" PRIu64 "\n", io_status_text((enum io_status)status),
				result->errors[status]);
	}
}

static void text_cost(const struct load_report *report, uint64_t count, FILE *out)
{
	fprintf(out,
		"\nCPU of this program %.2f us an I/O (%.0f %% of a core), system calls %.3f an "
		"I/O\n",
		cpu_us_per_io(report, count),
		100.0 * (double)report->cpu_ns / (double)(report->wall_ns + 1),
		per_io(report->enters, count));
	if (report->options->rate != 0)
		fprintf(out,
			"rate %" PRIu32 " I/Os a second; %" PRIu64 " that were due never began\n",
			report->options->rate, report->behind_count);
}

static void text_print(const struct load_report *report, const struct line *lines, FILE *out)
{
	const struct load_result *result = report->result;

	text_head(report, out);
	fprintf(out, "%-6s %10s %9s %9s %9s %9s %9s %9s %9s\n", "", "IOPS", "MiB/s", "mean us",
		"p50", "p90", "p99", "p99.9", "max");
	for (int i = 0; i <= LOAD_TYPE_COUNT; i++) {
		if (lines[i].latency_ns->count > 0)
			text_line(&lines[i], out);
	}
	text_histogram(&lines[LOAD_TYPE_COUNT], out);
	text_cost(report, lines[LOAD_TYPE_COUNT].latency_ns->count, out);
	text_errors(result, out);
	if (!report->options->is_verifying)
		return;
	fprintf(out,
		"verified %" PRIu64 " blocks; at the end read back %" PRIu64 " I/Os, %" PRIu64
		" could not be read, %" PRIu64 " in doubt after errors\n",
		result->checked_blocks, result->swept_units, result->unread_units,
		report->doubtful_units);
	if (result->mismatch.uri != NULL)
		load_report_mismatch(&result->mismatch, out);
}

static void json_text(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char character = (unsigned char)*text;

		if (character < 0x20)
			fprintf(out, "\\u%04x", character);
		else if (character == '"' || character == '\\')
			fprintf(out, "\\%c", character);
		else
			fputc(character, out);
	}
	fputc('"', out);
}

static void json_histogram(const struct histogram *histogram, FILE *out)
{
	struct histogram_range ranges[RANGES_MAX];
	uint32_t count = histogram_ranges(histogram, RANGE_PARTS, ranges, RANGES_MAX);
	const char *separator = "";

	fputs(",\"histogram_ns\":[", out);
	for (uint32_t i = 0; i < count && i < RANGES_MAX; i++) {
		if (ranges[i].count == 0)
			continue;
		fprintf(out, "%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", separator, ranges[i].from,
			ranges[i].to, ranges[i].count);
		separator = ",";
	}
	fputs("]}", out);
}

static void json_line(const struct line *line, FILE *out)
{
	fprintf(out,
		",\"%s\":{\"operations\":%" PRIu64 ",\"iops\":%.1f,\"mib_s\":%.2f,\"mean_us\":%.3f,"
		"\"p50_us\":%.3f,\"p90_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"max_us\":%.3f",
		line->name, line->latency_ns->count, line->iops, line->mib_s,
		microseconds(histogram_mean(line->latency_ns)), percentile_us(line, 500000),
		percentile_us(line, 900000), percentile_us(line, 990000),
		percentile_us(line, 999000), microseconds(line->latency_ns->max));
	json_histogram(line->latency_ns, out);
}

static void json_errors(const struct load_result *result, FILE *out)
{
	const char *separator = "";

	fprintf(out, ",\"error_count\":%" PRIu64 ",\"errors\":{", result->error_count);
	for (int status = 0; status < LOAD_STATUS_COUNT; status++) {
		if (result->errors[status] == 0)
			continue;
		fprintf(out, "%s\"%s\":%" PRIu64, separator, io_status_text((enum io_status)status),
			result->errors[status]);
		separator = ",";
	}
	fputc('}', out);
}

static void json_mismatch(const struct load_mismatch *mismatch, FILE *out)
{
	fputs(",\"mismatch\":", out);
	if (mismatch->uri == NULL) {
		fputs("null", out);
		return;
	}
	fputs("{\"uri\":", out);
	json_text(mismatch->uri, out);
	fprintf(out,
		",\"block\":%" PRIu64 ",\"oldest\":%" PRIu32 ",\"newest\":%" PRIu32
		",\"found_block\":%" PRIu64 ",\"found_generation\":%" PRIu32 ",\"what\":",
		mismatch->wanted.block, mismatch->expectation.oldest, mismatch->expectation.newest,
		mismatch->found.block, mismatch->found.generation);
	json_text(stamp_verdict_text(mismatch->verdict), out);
	fputc('}', out);
}

static void json_print(const struct load_report *report, const struct line *lines, FILE *out)
{
	const struct load_options *options = report->options;
	const struct load_result *result = report->result;
	uint64_t count = lines[LOAD_TYPE_COUNT].latency_ns->count;

	fputs("{\"uris\":[", out);
	for (uint32_t i = 0; i < options->uri_count; i++) {
		fputs(i == 0 ? "" : ",", out);
		json_text(options->uris[i], out);
	}
	fprintf(out,
		"],\"size_bytes\":%" PRIu32 ",\"depth\":%" PRIu32 ",\"connections\":%" PRIu32
		",\"read_percent\":%" PRIu32 ",\"seed\":%" PRIu64 ",\"seconds\":%.6f,"
		"\"rate\":%" PRIu32 ",\"behind\":%" PRIu64 ",\"cpu_us_per_io\":%.4f,"
		"\"calls_per_io\":%.4f,\"yields_per_io\":%.4f,\"exit\":%d",
		options->size_bytes, options->depth, options->connections, options->read_percent,
		options->seed, (double)report->wall_ns / 1e9, options->rate, report->behind_count,
		cpu_us_per_io(report, count), per_io(report->enters, count),
		per_io(report->yields, count), report->exit);
	for (int i = 0; i <= LOAD_TYPE_COUNT; i++)
		json_line(&lines[i], out);
	json_errors(result, out);
	if (options->is_verifying)
		fprintf(out,
			",\"verify\":{\"checked_blocks\":%" PRIu64 ",\"swept\":%" PRIu64
			",\"unread\":%" PRIu64 ",\"doubtful\":%" PRIu64 "}",
			result->checked_blocks, result->swept_units, result->unread_units,
			report->doubtful_units);
	json_mismatch(&result->mismatch, out);
	fputs("}\n", out);
}

void load_report_mismatch(const struct load_mismatch *mismatch, FILE *out)
{
	fprintf(out,
		"MISMATCH %s\n"
		"  block %" PRIu64 " (byte %" PRIu64 "), read %s\n"
		"  %s\n"
		"  expected generation %" PRIu32 " to %" PRIu32 ", seed %" PRIu64 "\n"
		"  found block %" PRIu64 ", generation %" PRIu32 ", seed %" PRIu64 "\n"
		"  begins with",
		mismatch->uri, mismatch->wanted.block,
		mismatch->wanted.block * mismatch->block_bytes,
		mismatch->is_in_sweep ? "back at the end" : "under load",
		stamp_verdict_text(mismatch->verdict), mismatch->expectation.oldest,
		mismatch->expectation.newest, mismatch->wanted.seed, mismatch->found.block,
		mismatch->found.generation, mismatch->found.seed);
	for (int i = 0; i < LOAD_BYTES_SHOWN; i++)
		fprintf(out, "%s%02x", i % 8 == 0 ? " " : "", mismatch->bytes[i]);
	fputc('\n', out);
}

void load_report_print(const struct load_report *report, FILE *out)
{
	struct histogram total = {0};
	struct line lines[LOAD_TYPE_COUNT + 1];

	lines_make(report, &total, lines);
	if (report->options->is_json)
		json_print(report, lines, out);
	else
		text_print(report, lines, out);
}

int load_report_plot(const struct load_report *report)
{
	const struct load_options *options = report->options;
	struct plot plot = {.title = options->uris[0]};
	char note[192], size[SIZE_TEXT_BYTES];
	FILE *out = fopen(options->plot_path, "w");

	if (out == NULL)
		return -1;
	size_format(options->size_bytes, size);
	snprintf(note, sizeof(note),
		 "%s %s, %" PRIu32 " %% reads, depth %" PRIu32 ", connections %" PRIu32
		 ", rate %" PRIu32 " (0: closed loop), %.1f s",
		 options->is_sequential ? "sequential" : "random", size, options->read_percent,
		 options->depth, options->connections, options->rate,
		 (double)report->wall_ns / 1e9);
	plot.note = note;
	for (int i = 0; i < LOAD_TYPE_COUNT; i++) {
		const struct histogram *latency_ns = &report->result->latency_ns[i];

		if (latency_ns->count > 0)
			plot.curves[plot.curve_count++] =
				(struct plot_curve){type_names[i], latency_ns};
	}
	plot_write(&plot, out);
	return fclose(out) == 0 ? 0 : -1;
}

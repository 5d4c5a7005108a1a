/* SPDX-License-Identifier: Apache-2.0 */
/* load_report.c - text and JSON of a result.
 *
 * JSON: seconds, seed, cpu_us_per_io, exit, "read", "write", "flush", "total" with operations,
 * iops, mib_s and *_us, "errors" by name, with --verify "verify", and "mismatch" or null.
 */
#include "bench/load_report.h"

#include "base/size.h"

#include <inttypes.h>
#include <string.h>

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

static void text_errors(const struct load_result *result, FILE *out)
{
	fprintf(out, "errors %" PRIu64 "\n", result->error_count);
	for (int status = 0; status < LOAD_STATUS_COUNT; status++) {
		if (result->errors[status] > 0)
			fprintf(out, "  %s: %" PRIu64 "\n", io_status_text((enum io_status)status),
				result->errors[status]);
	}
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
	fprintf(out, "\nCPU of this program %.2f us an I/O (%.0f %% of a core)\n",
		cpu_us_per_io(report, lines[LOAD_TYPE_COUNT].latency_ns->count),
		100.0 * (double)report->cpu_ns / (double)(report->wall_ns + 1));
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

static void json_line(const struct line *line, FILE *out)
{
	fprintf(out,
		",\"%s\":{\"operations\":%" PRIu64 ",\"iops\":%.1f,\"mib_s\":%.2f,\"mean_us\":%.3f,"
		"\"p50_us\":%.3f,\"p90_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"max_us\":%.3f}",
		line->name, line->latency_ns->count, line->iops, line->mib_s,
		microseconds(histogram_mean(line->latency_ns)), percentile_us(line, 500000),
		percentile_us(line, 900000), percentile_us(line, 990000),
		percentile_us(line, 999000), microseconds(line->latency_ns->max));
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

	fputs("{\"uris\":[", out);
	for (uint32_t i = 0; i < options->uri_count; i++) {
		fputs(i == 0 ? "" : ",", out);
		json_text(options->uris[i], out);
	}
	fprintf(out,
		"],\"size_bytes\":%" PRIu32 ",\"depth\":%" PRIu32 ",\"connections\":%" PRIu32
		",\"read_percent\":%" PRIu32 ",\"seed\":%" PRIu64 ",\"seconds\":%.6f,"
		"\"cpu_us_per_io\":%.4f,\"exit\":%d",
		options->size_bytes, options->depth, options->connections, options->read_percent,
		options->seed, (double)report->wall_ns / 1e9,
		cpu_us_per_io(report, lines[LOAD_TYPE_COUNT].latency_ns->count), report->exit);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* load_options.c - reads the command line of mayastor-load.
 *
 * What is wrong ends in one sentence that names the option, the rule and the way out.
 */
#include "bench/load_options.h"

#include "base/size.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_NS_DEFAULT 5000000000ull

enum option_id {
	ID_READ = 256,
	ID_SIZE,
	ID_DEPTH,
	ID_SECONDS,
	ID_COUNT,
	ID_IDLE,
	ID_SPAN,
	ID_SEQUENTIAL,
	ID_FLUSH_EVERY,
	ID_FUA,
	ID_VERIFY,
	ID_RETRY,
	ID_DIGESTS,
	ID_CONNECTIONS,
	ID_SEED,
	ID_CORE,
	ID_RATE,
	ID_PLOT,
	ID_OUTPUT = 'o',
	ID_HELP = 'h',
};

static const struct option option_table[] = {
	{"read", required_argument, NULL, ID_READ},
	{"size", required_argument, NULL, ID_SIZE},
	{"depth", required_argument, NULL, ID_DEPTH},
	{"seconds", required_argument, NULL, ID_SECONDS},
	{"count", required_argument, NULL, ID_COUNT},
	{"idle", required_argument, NULL, ID_IDLE},
	{"span", required_argument, NULL, ID_SPAN},
	{"sequential", no_argument, NULL, ID_SEQUENTIAL},
	{"flush-every", required_argument, NULL, ID_FLUSH_EVERY},
	{"fua", no_argument, NULL, ID_FUA},
	{"verify", no_argument, NULL, ID_VERIFY},
	{"retry", no_argument, NULL, ID_RETRY},
	{"digests", no_argument, NULL, ID_DIGESTS},
	{"connections", required_argument, NULL, ID_CONNECTIONS},
	{"seed", required_argument, NULL, ID_SEED},
	{"core", required_argument, NULL, ID_CORE},
	{"rate", required_argument, NULL, ID_RATE},
	{"plot", required_argument, NULL, ID_PLOT},
	{"output", required_argument, NULL, ID_OUTPUT},
	{"help", no_argument, NULL, ID_HELP},
	{NULL, 0, NULL, 0},
};

static const char help_text[] =
	"Usage: mayastor-load [OPTION...] URI [URI...]\n"
	"Loads block devices and tells IOPS, throughput, latencies, CPU and system calls.\n"
	"URI is what the engine takes: malloc:///m?size_mb=64, null:///n?size_mb=1024,\n"
	"aio:///path or a bare path, nvmf://host:port/nqn. Without --read it only reads.\n"
	"\n"
	"What is done\n"
	"      --read PERCENT      share of reads (default 100; with --verify 50)\n"
	"      --size SIZE         of one I/O, 512 B to 128 KiB (default 4KiB)\n"
	"      --span SIZE         use only the first SIZE of each device\n"
	"      --sequential        ascending instead of random places\n"
	"      --flush-every N     a flush after every N writes of a connection\n"
	"      --fua               writes are durable when answered\n"
	"      --verify            write stamped blocks and check them: on reads, and all that\n"
	"                          was written once more at the end. Destroys the content. Places\n"
	"                          are divided among the connections of a URI. A write that was\n"
	"                          answered with an error may or may not have happened\n"
	"      --seed N            of places and stamps (default: random, and printed)\n"
	"\n"
	"How much\n"
	"      --depth N           I/O in flight of each connection, to 1023 (default 32)\n"
	"      --connections N     of each URI (default 1); malloc and null: devices of their own\n"
	"      --rate N            begin N I/Os a second in all, at their times, however late the\n"
	"                          answers are; latency counts from the time when an I/O was due.\n"
	"                          Default: each answer begins the next I/O (closed loop)\n"
	"      --seconds T         how long: 5, 500ms, 2m (default 5; with --count no limit)\n"
	"      --count N           end after N I/Os in all\n"
	"      --idle T            afterwards stay connected for so long, without I/O\n"
	"      --core N            stay on this core\n"
	"\n"
	"Remote devices\n"
	"      --retry             wait for a lost connection and repeat, as a host does;\n"
	"                          else what was in flight is answered with an error\n"
	"      --digests           header and data digests (nvmf)\n"
	"\n"
	"  -o, --output text|json  form of the result (default text)\n"
	"      --plot FILE.svg     draw the latencies by percentile too\n"
	"  -h, --help              this text\n"
	"\n"
	"SIGINT and SIGTERM end the load early, with its result; a second one ends the program.\n"
	"Exit: 0 fine; 1 --verify found a mismatch; 2 wrong options; 3 a device could not be\n"
	"opened or read; 4 I/O was answered with errors.\n";

static int refuse(FILE *err, const char *name, const char *value, const char *rule)
{
	fprintf(err, "mayastor-load: --%s %s: %s; see --help\n", name, value, rule);
	return -EINVAL;
}

/* A number in [@least, @most]. */
static int number_parse(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number)
{
	unsigned long long number;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno != 0 || *end != '\0' || number < least || number > most)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int bounded_parse(const char *text, uint32_t least, uint32_t most, uint32_t *ret_number)
{
	uint64_t number;
	int rc = number_parse(text, least, most, &number);

	if (rc == 0)
		*ret_number = (uint32_t)number;
	return rc;
}

static int size_take(const char *text, uint32_t *ret_bytes)
{
	uint64_t bytes;
	int rc = size_parse(text, &bytes);

	if (rc < 0)
		return rc;
	if (bytes < BLOCK_BYTES_MIN || bytes > IO_BYTES_MAX || bytes % BLOCK_BYTES_MIN != 0)
		return -EINVAL;
	*ret_bytes = (uint32_t)bytes;
	return 0;
}

static int output_take(const char *text, bool *ret_is_json)
{
	if (strcmp(text, "json") != 0 && strcmp(text, "text") != 0)
		return -EINVAL;
	*ret_is_json = strcmp(text, "json") == 0;
	return 0;
}

static const char *option_name(int id)
{
	for (const struct option *option = option_table; option->name != NULL; option++) {
		if (option->val == id)
			return option->name;
	}
	return "";
}

/* Return: 0, or -EINVAL and *ret_rule tells what would be right. */
static int value_apply(struct load_options *options, int id, const char *value,
		       const char **ret_rule)
{
	uint32_t core;
	int rc;

	switch (id) {
	case ID_READ:
		*ret_rule = "a percentage from 0 to 100 is needed";
		return bounded_parse(value, 0, 100, &options->read_percent);
	case ID_SIZE:
		*ret_rule = "a multiple of 512 B from 512 B to 128 KiB is needed";
		return size_take(value, &options->size_bytes);
	case ID_DEPTH:
		*ret_rule = "a number from 1 to 1023 is needed";
		return bounded_parse(value, 1, LOAD_DEPTH_MAX, &options->depth);
	case ID_SECONDS:
		*ret_rule = "a duration such as 5, 500ms or 2m is needed";
		rc = duration_parse(value, &options->duration_ns);
		return rc == 0 && options->duration_ns == 0 ? -EINVAL : rc;
	case ID_COUNT:
		*ret_rule = "a number from 1 on is needed";
		return number_parse(value, 1, UINT64_MAX, &options->count);
	case ID_IDLE:
		*ret_rule = "a duration such as 5, 500ms or 2m is needed";
		return duration_parse(value, &options->idle_ns);
	case ID_RATE:
		*ret_rule = "a number of I/Os a second from 1 to 100000000 is needed";
		return bounded_parse(value, 1, LOAD_RATE_MAX, &options->rate);
	case ID_PLOT:
		*ret_rule = "a path is needed";
		options->plot_path = value;
		return *value == '\0' ? -EINVAL : 0;
	case ID_SPAN:
		*ret_rule = "a size such as 64MiB is needed";
		rc = size_parse(value, &options->span_bytes);
		return rc == 0 && options->span_bytes == 0 ? -EINVAL : rc;
	case ID_FLUSH_EVERY:
		*ret_rule = "a number from 1 on is needed";
		return bounded_parse(value, 1, UINT32_MAX, &options->flush_every);
	case ID_CONNECTIONS:
		*ret_rule = "a number from 1 to 256 is needed";
		return bounded_parse(value, 1, LOAD_CONNECTIONS_MAX, &options->connections);
	case ID_SEED:
		*ret_rule = "a number is needed";
		options->is_seeded = true;
		return number_parse(value, 0, UINT64_MAX, &options->seed);
	case ID_CORE:
		*ret_rule = "the number of a core is needed";
		rc = bounded_parse(value, 0, 1023, &core);
		options->core = rc == 0 ? (int)core : -1;
		return rc;
	case ID_OUTPUT:
		*ret_rule = "text or json is needed";
		return output_take(value, &options->is_json);
	}
	return -EINVAL;
}

/* Return: false when @id takes a value. */
static bool flag_apply(struct load_options *options, int id)
{
	switch (id) {
	case ID_SEQUENTIAL:
		options->is_sequential = true;
		return true;
	case ID_FUA:
		options->is_fua = true;
		return true;
	case ID_VERIFY:
		options->is_verifying = true;
		return true;
	case ID_RETRY:
		options->is_retrying = true;
		return true;
	case ID_DIGESTS:
		options->has_digests = true;
		return true;
	}
	return false;
}

static int uris_take(struct load_options *options, int count, char **uris, FILE *err)
{
	if (count < 1 || count > LOAD_URIS_MAX) {
		fprintf(err, "mayastor-load: 1 to %d URIs are needed; see --help\n", LOAD_URIS_MAX);
		return -EINVAL;
	}
	for (int i = 0; i < count; i++) {
		if (strlen(uris[i]) >= URI_TEXT_BYTES_SHOWN) {
			fprintf(err, "mayastor-load: a URI has at most %d characters\n",
				URI_TEXT_BYTES_SHOWN - 1);
			return -EINVAL;
		}
		options->uris[i] = uris[i];
	}
	options->uri_count = (uint32_t)count;
	if (options->uri_count * options->connections > LOAD_CONNECTIONS_MAX ||
	    options->uri_count * options->connections * options->depth > LOAD_INFLIGHT_MAX) {
		fprintf(err,
			"mayastor-load: at most %d connections and %d I/O in flight in all: lower "
			"--connections or --depth\n",
			LOAD_CONNECTIONS_MAX, LOAD_INFLIGHT_MAX);
		return -EINVAL;
	}
	return 0;
}

enum load_options_outcome load_options_parse(int argc, char **argv,
					     struct load_options *ret_options, FILE *err)
{
	const uint32_t unset = UINT32_MAX;
	struct load_options options = {
		.connections = 1,
		.read_percent = unset,
		.size_bytes = 4096,
		.depth = 32,
		.core = -1,
	};
	int id;

	while ((id = getopt_long(argc, argv, "o:h", option_table, NULL)) != -1) {
		const char *rule = NULL;

		if (id == ID_HELP) {
			fputs(help_text, stdout);
			return LOAD_OPTIONS_DONE;
		}
		if (id == '?')
			return LOAD_OPTIONS_WRONG;
		if (flag_apply(&options, id))
			continue;
		if (value_apply(&options, id, optarg, &rule) < 0) {
			refuse(err, option_name(id), optarg, rule);
			return LOAD_OPTIONS_WRONG;
		}
	}
	if (uris_take(&options, argc - optind, argv + optind, err) < 0)
		return LOAD_OPTIONS_WRONG;
	if (options.read_percent == unset)
		options.read_percent = options.is_verifying ? 50 : 100;
	if (options.is_verifying && options.read_percent == 100) {
		refuse(err, "read", "100", "--verify checks what it wrote itself: allow writes");
		return LOAD_OPTIONS_WRONG;
	}
	if (options.duration_ns == 0 && options.count == 0)
		options.duration_ns = DURATION_NS_DEFAULT;
	*ret_options = options;
	return LOAD_OPTIONS_RUN;
}

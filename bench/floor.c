/* SPDX-License-Identifier: Apache-2.0 */
/* floor.c - mayastor-floor: what the kernel's TCP costs, and nothing else.
 *
 * Two threads exchange messages over loopback as an NVMe/TCP host and controller would, by size
 * and by number, and look at none of their bytes:
 *
 *	read	72 out, 24 + size back		(command capsule; C2HData with success)
 *	write	72 + size out, 24 back		(capsule with data; response)
 *
 * floor_side.h is one of the threads; the client begins with `depth` owed on each connection.
 */
#include "base/memory.h"
#include "base/size.h"
#include "bench/floor_side.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_BYTES 72 /* NVMe TCP transport 1.0, section 3.6.2.1: header and SQE */
#define ANSWER_BYTES  24 /* sections 3.6.2.2, 3.6.2.5: response, or C2HData header */

/* Both ends of one run. */
struct floor {
	struct floor_options options;
	struct floor_side client;
	struct floor_side server;
	_Atomic bool is_over;
};

static int side_create(struct floor_side *side, struct floor *floor, bool is_client)
{
	const struct floor_options *options = &floor->options;
	uint32_t data_out = options->is_write == is_client ? options->size_bytes : 0;
	uint32_t data_in = options->size_bytes - data_out;

	side->options = options;
	side->is_client = is_client;
	side->is_over = &floor->is_over;
	side->out_bytes = (is_client ? COMMAND_BYTES : ANSWER_BYTES) + data_out;
	side->in_bytes = (is_client ? ANSWER_BYTES : COMMAND_BYTES) + data_in;
	side->message = memory_alloc(side->out_bytes);
	side->peers = memory_alloc_array(options->connections, sizeof(side->peers[0]));
	return side->message == NULL || side->peers == NULL ? -ENOMEM : 0;
}

static void side_destroy(struct floor_side *side)
{
	for (uint32_t i = 0; i < side->peer_count; i++)
		close(side->peers[i].fd);
	memory_free(side->peers);
	memory_free(side->message);
}

static void peer_add(struct floor_side *side, int fd)
{
	const int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	side->peers[side->peer_count++].fd = fd;
}

static int listener_open(struct sockaddr_in *ret_address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*ret_address);

	*ret_address = (struct sockaddr_in){.sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd >= 0 && bind(fd, (struct sockaddr *)ret_address, size) == 0 && listen(fd, 1) == 0 &&
	    getsockname(fd, (struct sockaddr *)ret_address, &size) == 0)
		return fd;
	return -1;
}

static int connect_all(struct floor *floor)
{
	struct sockaddr_in address;
	int listener = listener_open(&address);
	int rc = listener < 0 ? -errno : 0;

	for (uint32_t i = 0; rc == 0 && i < floor->options.connections; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			rc = -errno;
		else
			peer_add(&floor->client, fd);
		if (rc == 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			rc = -errno;
		fd = rc == 0 ? accept(listener, NULL, NULL) : -1;
		if (fd >= 0)
			peer_add(&floor->server, fd);
		else if (rc == 0)
			rc = -errno;
	}
	if (listener >= 0)
		close(listener);
	return rc;
}

static void core_bind(int core)
{
	cpu_set_t set;

	if (core < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void *side_main(void *argument)
{
	struct floor_side *side = argument;

	core_bind(side->is_client ? side->options->client_core : side->options->server_core);
	side->error = floor_side_open(side);
	if (side->error == 0) {
		floor_side_run(side);
		floor_side_close(side);
	}
	if (side->is_client)
		atomic_store(side->is_over, true);
	return NULL;
}

static double us(uint64_t ns, uint64_t count)
{
	return count == 0 ? 0 : (double)ns / 1000.0 / (double)count;
}

static double percentile_us(const struct floor_side *client, uint32_t per_million)
{
	return (double)histogram_percentile(&client->latency_ns, per_million) / 1000.0;
}

static void report(const struct floor_side *client, const struct floor_side *server)
{
	const struct floor_options *options = client->options;
	uint64_t count = client->latency_ns.count;
	double seconds = (double)client->wall_ns / 1e9;
	const char *format =
		options->is_json
			? "{\"kind\":\"%s\",\"size_bytes\":%" PRIu32 ",\"depth\":%" PRIu32
			  ",\"connections\":%" PRIu32 ",\"seconds\":%.6f,\"operations\":%" PRIu64
			  ",\"iops\":%.1f,\"p50_us\":%.3f,\"p90_us\":%.3f,\"p99_us\":%.3f,"
			  "\"p999_us\":%.3f,\"max_us\":%.3f,\"server_cpu_us_per_io\":%.4f,"
			  "\"client_cpu_us_per_io\":%.4f,\"server_calls_per_io\":%.4f,"
			  "\"client_calls_per_io\":%.4f}\n"
			: "%s of %" PRIu32 " bytes, depth %" PRIu32 ", %" PRIu32
			  " connections, %.2f s, %" PRIu64 " exchanges\n%.0f IOPS; us: p50 %.1f, "
			  "p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f; CPU us an I/O: server %.2f, "
			  "client %.2f; system calls an I/O: server %.3f, client %.3f\n";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* one of two literals */
	printf(format, options->is_write ? "write" : "read", options->size_bytes, options->depth,
	       options->connections, seconds, count, (double)count / seconds,
	       percentile_us(client, 500000), percentile_us(client, 900000),
	       percentile_us(client, 990000), percentile_us(client, 999000),
	       (double)client->latency_ns.max / 1000.0, us(server->cpu_ns, count),
	       us(client->cpu_ns, count), (double)server->enter_count / (double)count,
	       (double)client->enter_count / (double)count);
#pragma GCC diagnostic pop
}

static int floor_run(struct floor *floor)
{
	pthread_t threads[2];
	int rc = side_create(&floor->server, floor, false);

	if (rc == 0)
		rc = side_create(&floor->client, floor, true);
	if (rc == 0)
		rc = connect_all(floor);
	if (rc == 0)
		rc = -pthread_create(&threads[0], NULL, side_main, &floor->server);
	if (rc == 0) {
		rc = -pthread_create(&threads[1], NULL, side_main, &floor->client);
		if (rc == 0)
			pthread_join(threads[1], NULL);
		atomic_store(&floor->is_over, true);
		pthread_join(threads[0], NULL);
	}
	if (rc == 0)
		rc = floor->client.error != 0 ? floor->client.error : floor->server.error;
	if (rc == 0)
		report(&floor->client, &floor->server);
	else
		fprintf(stderr, "mayastor-floor: %s\n", strerror(-rc));
	side_destroy(&floor->server);
	side_destroy(&floor->client);
	return rc < 0 ? 1 : 0;
}

static const char help_text[] =
	"Usage: mayastor-floor [OPTION...]\n"
	"Exchanges messages of the sizes of NVMe/TCP over loopback, without the protocol: the\n"
	"most that a target on this machine and kernel could reach.\n"
	"\n"
	"      --write             72 + SIZE bytes out, 24 back (default: 72 out, 24 + SIZE back)\n"
	"      --size SIZE         up to 128 KiB (default 4KiB)\n"
	"      --depth N           exchanges in flight of each connection, to 1024 (default 32)\n"
	"      --connections N     to 256 (default 1)\n"
	"      --seconds T         how long: 5, 500ms (default 5)\n"
	"      --spin T            looks for so long before it sleeps: 0, 50us (default 1s)\n"
	"      --server-core N     (default 0, or any where there is one core)\n"
	"      --client-core N     (default 1, or any where there is one core)\n"
	"  -o, --output text|json\n"
	"  -h, --help\n"
	"\n"
	"Exit: 0 fine; 1 it failed; 2 wrong options.\n";

static const struct option option_table[] = {
	{"write", no_argument, NULL, 'w'},
	{"size", required_argument, NULL, 's'},
	{"depth", required_argument, NULL, 'd'},
	{"connections", required_argument, NULL, 'c'},
	{"seconds", required_argument, NULL, 't'},
	{"spin", required_argument, NULL, 'p'},
	{"server-core", required_argument, NULL, 'S'},
	{"client-core", required_argument, NULL, 'C'},
	{"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* Return: false when @text is no number in [@least, @most]. */
static bool number_take(const char *text, uint32_t least, uint32_t most, uint32_t *ret_number)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || number < least || number > most)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static bool core_take(const char *text, int *ret_core)
{
	uint32_t core;

	if (!number_take(text, 0, 1023, &core))
		return false;
	*ret_core = (int)core;
	return true;
}

static bool option_take(struct floor_options *options, int letter, const char *value)
{
	uint64_t size_bytes;

	switch (letter) {
	case 'w':
		options->is_write = true;
		return true;
	case 's':
		if (size_parse(value, &size_bytes) < 0 || size_bytes == 0 ||
		    size_bytes > FLOOR_SIZE_BYTES_MAX)
			return false;
		options->size_bytes = (uint32_t)size_bytes;
		return true;
	case 'd':
		return number_take(value, 1, FLOOR_DEPTH_MAX, &options->depth);
	case 'c':
		return number_take(value, 1, FLOOR_CONNECTIONS_MAX, &options->connections);
	case 't':
		return duration_parse(value, &options->duration_ns) == 0;
	case 'p':
		return duration_parse(value, &options->spin_ns) == 0;
	case 'S':
		return core_take(value, &options->server_core);
	case 'C':
		return core_take(value, &options->client_core);
	case 'o':
		options->is_json = strcmp(value, "json") == 0;
		return options->is_json || strcmp(value, "text") == 0;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct floor *floor = memory_alloc(sizeof(*floor));
	bool has_two_cores = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	int letter, status;

	if (floor == NULL)
		return 1;
	floor->options = (struct floor_options){.size_bytes = 4096,
						.depth = 32,
						.connections = 1,
						.duration_ns = 5000000000ull,
						.spin_ns = 1000000000ull,
						.server_core = has_two_cores ? 0 : -1,
						.client_core = has_two_cores ? 1 : -1};
	while ((letter = getopt_long(argc, argv, "o:h", option_table, NULL)) != -1) {
		if (letter == 'h') {
			fputs(help_text, stdout);
			memory_free(floor);
			return 0;
		}
		if (letter != '?' && option_take(&floor->options, letter, optarg))
			continue;
		fputs("mayastor-floor: wrong option or value; see --help\n", stderr);
		memory_free(floor);
		return 2;
	}
	status = floor_run(floor);
	memory_free(floor);
	return status;
}

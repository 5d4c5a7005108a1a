/* SPDX-License-Identifier: Apache-2.0 */
/* floor.c - mayastor-floor: what the kernel's TCP and our seam cost without a protocol.
 *
 * Two threads, each with a reactor, exchange messages over loopback as an NVMe/TCP host and
 * controller would, by size and by number, and look at none of their bytes:
 *
 *	read	72 out, 24 + size back		(command capsule; C2HData with success)
 *	write	72 + size out, 24 back		(capsule with data; response)
 *
 * Both sides are one struct: a peer counts complete messages that came in and owes one message
 * for each. The client begins with `depth` owed on each connection.
 *
 * Invariants:
 *  1. Messages received times their size, plus the part of the next one, is all that came in.
 *  2. A peer has one send under way, of at most SEND_MESSAGES messages; what becomes owed
 *     meanwhile goes into the next, so batches form as they do in the engine.
 */
#include "base/memory.h"
#include "base/size.h"
#include "bench/histogram.h"
#include "os/os_socket.h"
#include "reactor/reactor.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMAND_BYTES	72 /* NVMe TCP transport 1.0, section 3.6.2.1: header and SQE */
#define ANSWER_BYTES	24 /* sections 3.6.2.2, 3.6.2.5: response, or C2HData header */
#define SEND_MESSAGES	64
#define SIZE_BYTES_MAX	(128 * 1024)
#define DEPTH_MAX	1024
#define CONNECTIONS_MAX 256
#define TICK_NS		10000000

struct floor_options {
	bool is_write;
	bool is_json;
	uint32_t size_bytes;
	uint32_t depth;
	uint32_t connections;
	uint64_t duration_ns;
	int server_core;
	int client_core;
};

/* One end of a connection. */
struct peer {
	struct side *side;
	struct os_socket *socket;
	struct os_connect connect; /* client only */
	struct op receive;
	struct op send_op;
	struct os_send send;
	struct iovec iov[SEND_MESSAGES];
	uint32_t partial_bytes;
	uint32_t owed;
	uint32_t started_first; /* ring of begin times, client only */
	uint32_t started_count;
	uint64_t started_ns[DEPTH_MAX];
};

/* One thread: a reactor and its ends. */
struct side {
	const struct floor_options *options;
	struct os *os;
	struct reactor *reactor;
	struct os_thread *thread;
	bool is_client;
	uint32_t in_bytes;
	uint32_t out_bytes;
	uint8_t *message; /* what every message out is */
	struct peer *peers;
	uint32_t peer_count; /* connected so far */
	struct op op;	     /* set-up and end */
	struct os_listener *listener;
	struct op acceptor;
	struct os_address address; /* of the server */
	struct reactor_timer tick;
	uint64_t message_count; /* received */
	uint64_t last_ns;	/* when the last of them came */
	uint64_t end_ns;
	bool is_ending;
	int error;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t cpu_begun_ns;
	struct histogram latency_ns;
};

static uint64_t thread_cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void message_came(struct peer *peer, uint64_t now_ns)
{
	struct side *side = peer->side;

	side->message_count++;
	side->last_ns = now_ns;
	if (side->is_client) {
		ASSERT(peer->started_count > 0);
		histogram_record(&side->latency_ns, now_ns - peer->started_ns[peer->started_first]);
		peer->started_first = (peer->started_first + 1) % DEPTH_MAX;
		peer->started_count--;
		if (side->is_ending)
			return;
	}
	peer->owed++;
}

static void receive_run(struct op *op)
{
	struct peer *peer = container_of(op, struct peer, receive);
	struct side *side = peer->side;
	uint64_t now_ns = os_clock_now_ns(side->os);
	const uint8_t *bytes;
	ssize_t size;

	while (peer->socket != NULL && (size = os_socket_peek(peer->socket, &bytes)) != 0) {
		if (size < 0) {
			/* The server ends when it is told to: its client leaves first. */
			if (side->is_client) {
				side->error = (int)size;
				reactor_stop(side->reactor);
			}
			return;
		}
		os_socket_consume(peer->socket, (size_t)size);
		size += peer->partial_bytes;
		for (; size >= side->in_bytes; size -= side->in_bytes)
			message_came(peer, now_ns);
		peer->partial_bytes = (uint32_t)size;
	}
	if (peer->owed > 0)
		op_wake(&peer->send_op);
}

/* In the late queue: all that a turn made owed leaves together. */
static void send_run(struct op *op)
{
	struct peer *peer = container_of(op, struct peer, send_op);
	struct side *side = peer->side;
	uint64_t now_ns;
	uint32_t count = 0;

	if (op->pending > 0 || peer->owed == 0 || peer->socket == NULL)
		return;
	now_ns = os_clock_now_ns(side->os);
	for (; count < SEND_MESSAGES && peer->owed > 0; count++, peer->owed--) {
		peer->iov[count] = (struct iovec){side->message, side->out_bytes};
		if (!side->is_client)
			continue;
		ASSERT(peer->started_count < DEPTH_MAX);
		peer->started_ns[(peer->started_first + peer->started_count) % DEPTH_MAX] = now_ns;
		peer->started_count++;
	}
	peer->send = (struct os_send){.parent = op, .iov = peer->iov, .iov_count = count};
	op_wait(op);
	os_socket_send(peer->socket, &peer->send);
	/* Entered again when it is gone, for what became owed meanwhile. */
	if (op_join(op) == OP_NEXT && peer->owed > 0)
		op_wake(op);
}

static void peer_start(struct side *side, struct os_socket *socket)
{
	struct peer *peer = &side->peers[side->peer_count];

	ASSERT(side->peer_count < side->options->connections);
	side->peer_count++;
	peer->side = side;
	peer->socket = socket;
	op_init(&peer->receive, reactor_ready(side->reactor), receive_run);
	op_init(&peer->send_op, reactor_late(side->reactor), send_run);
	os_socket_start(socket, &peer->receive);
}

static void acceptor_run(struct op *op)
{
	struct side *side = container_of(op, struct side, acceptor);
	struct os_socket *socket;

	while ((socket = os_listener_accept(side->listener)) != NULL) {
		if (side->peer_count == 0)
			side->cpu_begun_ns = thread_cpu_ns();
		if (side->peer_count < side->options->connections)
			peer_start(side, socket);
		else
			os_socket_close(socket, NULL);
	}
}

static void client_tick(struct reactor_timer *timer)
{
	struct side *side = container_of(timer, struct side, tick);
	bool is_idle = true;

	side->is_ending = os_clock_now_ns(side->os) >= side->end_ns;
	for (uint32_t i = 0; i < side->peer_count; i++)
		is_idle = is_idle && side->peers[i].started_count == 0;
	if (side->is_ending && is_idle)
		reactor_stop(side->reactor);
	else
		reactor_timer_start(timer, TICK_NS);
}

/* All connected: begin. */
static void client_run(struct op *op)
{
	struct side *side = container_of(op, struct side, op);

	for (uint32_t i = 0; i < side->options->connections; i++) {
		struct os_connect *connect = &side->peers[i].connect;

		if (connect->result < 0)
			side->error = connect->result;
		else
			peer_start(side, connect->socket);
	}
	if (side->error < 0) {
		reactor_stop(side->reactor);
		return;
	}
	side->wall_ns = os_clock_now_ns(side->os);
	side->cpu_begun_ns = thread_cpu_ns();
	side->end_ns = side->wall_ns + side->options->duration_ns;
	reactor_timer_init(&side->tick, side->reactor, client_tick);
	reactor_timer_start(&side->tick, TICK_NS);
	for (uint32_t i = 0; i < side->peer_count; i++) {
		side->peers[i].owed = side->options->depth;
		op_wake(&side->peers[i].send_op);
	}
}

static void client_main(void *argument)
{
	struct side *side = argument;
	enum op_flow flow;

	op_init(&side->op, reactor_ready(side->reactor), client_run);
	for (uint32_t i = 0; i < side->options->connections; i++) {
		side->peers[i].connect.parent = &side->op;
		side->peers[i].connect.address = side->address;
		op_wait(&side->op);
		os_connect_submit(reactor_ring(side->reactor), &side->peers[i].connect);
	}
	flow = op_join(&side->op);
	if (flow == OP_NEXT)
		op_wake(&side->op);
	reactor_run(side->reactor);
	side->wall_ns = side->last_ns - side->wall_ns;
	side->cpu_ns = thread_cpu_ns() - side->cpu_begun_ns;
}

static void server_main(void *argument)
{
	struct side *side = argument;

	reactor_run(side->reactor);
	side->cpu_ns = thread_cpu_ns() - side->cpu_begun_ns;
}

static void close_run(struct op *op)
{
	reactor_stop(container_of(op, struct side, op)->reactor);
}

/* On the thread that made the side, when its own thread has ended. */
static void side_close(struct side *side)
{
	op_init(&side->op, reactor_ready(side->reactor), close_run);
	for (uint32_t i = 0; i < side->peer_count; i++) {
		op_wait(&side->op);
		os_socket_close(side->peers[i].socket, &side->op);
		side->peers[i].socket = NULL;
	}
	if (side->listener != NULL) {
		op_wait(&side->op);
		os_listener_close(side->listener, &side->op);
	}
	if (op_join(&side->op) == OP_WAIT)
		reactor_run(side->reactor);
	while (reactor_turn(side->reactor, false))
		;
}

static void closing_main(void *argument)
{
	struct side *side = argument;

	if (side->is_client)
		client_main(side);
	else
		server_main(side);
	/* A ring is used by one thread. */
	side_close(side);
}

static int side_create(struct side *side, struct os *os, const struct floor_options *options)
{
	struct reactor_options reactor_options;
	uint32_t data_out = options->is_write == side->is_client ? options->size_bytes : 0;
	uint32_t data_in = options->size_bytes - data_out;

	side->os = os;
	side->options = options;
	side->out_bytes = (side->is_client ? COMMAND_BYTES : ANSWER_BYTES) + data_out;
	side->in_bytes = (side->is_client ? ANSWER_BYTES : COMMAND_BYTES) + data_in;
	side->message = memory_alloc(side->out_bytes);
	side->peers = memory_alloc_array(options->connections, sizeof(side->peers[0]));
	if (side->message == NULL || side->peers == NULL)
		return -ENOMEM;
	reactor_options_default(&reactor_options);
	reactor_options.small_buffer_count = 1;
	reactor_options.large_buffer_count = 1;
	return reactor_create(os, &reactor_options, &side->reactor);
}

static void side_destroy(struct side *side)
{
	reactor_destroy(side->reactor);
	memory_free(side->peers);
	memory_free(side->message);
}

static int server_listen(struct side *server, struct os_address *ret_address)
{
	struct os_address address;
	int rc = os_address_parse("127.0.0.1", 0, &address);

	op_init(&server->acceptor, reactor_ready(server->reactor), acceptor_run);
	if (rc == 0)
		rc = os_listener_open(reactor_ring(server->reactor), &address, &server->acceptor,
				      &server->listener);
	if (rc == 0)
		os_listener_address(server->listener, ret_address);
	return rc;
}

static double us(uint64_t ns, uint64_t count)
{
	return count == 0 ? 0 : (double)ns / 1000.0 / (double)count;
}

static double percentile_us(const struct side *client, uint32_t per_million)
{
	return (double)histogram_percentile(&client->latency_ns, per_million) / 1000.0;
}

static void report(const struct side *client, const struct side *server)
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
			  "\"client_cpu_us_per_io\":%.4f}\n"
			: "%s of %" PRIu32 " bytes, depth %" PRIu32 ", %" PRIu32
			  " connections, %.2f s, %" PRIu64 " exchanges\n%.0f IOPS; us: p50 %.1f, "
			  "p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f; CPU us an I/O: server %.2f, "
			  "client %.2f\n";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* one of two literals */
	printf(format, options->is_write ? "write" : "read", options->size_bytes, options->depth,
	       options->connections, seconds, count, (double)count / seconds,
	       percentile_us(client, 500000), percentile_us(client, 900000),
	       percentile_us(client, 990000), percentile_us(client, 999000),
	       (double)client->latency_ns.max / 1000.0, us(server->cpu_ns, count),
	       us(client->cpu_ns, count));
#pragma GCC diagnostic pop
}

static int floor_run(struct os *os, const struct floor_options *options)
{
	struct side *server = memory_alloc(sizeof(*server));
	struct side *client = memory_alloc(sizeof(*client));
	int rc = -ENOMEM;

	if (server == NULL || client == NULL)
		goto end;
	client->is_client = true;
	rc = side_create(server, os, options);
	if (rc == 0)
		rc = side_create(client, os, options);
	if (rc == 0)
		rc = server_listen(server, &client->address);
	if (rc < 0)
		goto end;
	rc = os_thread_start(os, options->server_core, closing_main, server, &server->thread);
	if (rc < 0)
		goto end;
	rc = os_thread_start(os, options->client_core, closing_main, client, &client->thread);
	if (rc == 0)
		os_thread_join(client->thread);
	reactor_stop(server->reactor);
	os_thread_join(server->thread);
	if (rc == 0)
		rc = client->error;
	if (rc == 0)
		report(client, server);
end:
	if (rc < 0)
		fprintf(stderr, "mayastor-floor: %s\n", strerror(-rc));
	if (server != NULL)
		side_destroy(server);
	if (client != NULL)
		side_destroy(client);
	memory_free(server);
	memory_free(client);
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
		    size_bytes > SIZE_BYTES_MAX)
			return false;
		options->size_bytes = (uint32_t)size_bytes;
		return true;
	case 'd':
		return number_take(value, 1, DEPTH_MAX, &options->depth);
	case 'c':
		return number_take(value, 1, CONNECTIONS_MAX, &options->connections);
	case 't':
		return duration_parse(value, &options->duration_ns) == 0;
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
	struct floor_options options = {
		.size_bytes = 4096, .depth = 32, .connections = 1, .duration_ns = 5000000000ull};
	struct os *os;
	int letter, status;

	if (os_open(&os) < 0)
		return 1;
	options.server_core = os_core_count(os) > 1 ? 0 : -1;
	options.client_core = os_core_count(os) > 1 ? 1 : -1;
	while ((letter = getopt_long(argc, argv, "o:h", option_table, NULL)) != -1) {
		if (letter == 'h') {
			fputs(help_text, stdout);
			os_close(os);
			return 0;
		}
		if (letter != '?' && option_take(&options, letter, optarg))
			continue;
		fputs("mayastor-floor: wrong option or value; see --help\n", stderr);
		os_close(os);
		return 2;
	}
	status = floor_run(os, &options);
	os_close(os);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* socket_test.c - streams over the loop-back interface, both ends on one ring unless said.
 *
 * Every stream carries bytes that depend on their position alone, so loss, repetition and
 * reordering are seen wherever bytes are taken. A few tests look into struct os_socket: they prove
 * bounds, which have no place in the public header.
 */
#include "os/linux/test_loop.h"

#include "base/prng.h"
#include "os/linux/socket_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BUFFER_COUNT 8
#define LARGE_BYTES  (4u << 20)

/* One end of a connection. */
struct end {
	struct os_socket *socket;
	struct test_op reader;
	struct test_op sender;
	struct os_send send;
	struct iovec iov;
	uint64_t received_bytes;
};

struct fixture {
	struct test_loop loop;
	struct os_listener *listener;
	struct os_address address;
	struct test_op acceptor;
	uint8_t *pattern; /* LARGE_BYTES */
};

static uint8_t pattern_byte(uint64_t position)
{
	return (uint8_t)(position * 31 + (position >> 8) * 7 + (position >> 16));
}

static int fixture_setup(void **state)
{
	const enum ring_kind *kind = *state;
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct os *os;

	if (fixture == NULL || os_open(&os) != 0)
		return -1;
	fixture->pattern = malloc(LARGE_BYTES);
	if (fixture->pattern == NULL)
		return -1;
	for (uint64_t i = 0; i < LARGE_BYTES; i++)
		fixture->pattern[i] = pattern_byte(i);
	test_loop_open(&fixture->loop, os, *kind, BUFFER_COUNT);
	test_op_init(&fixture->acceptor, &fixture->loop);
	*state = fixture;
	return 0;
}

static void listen_on(struct fixture *fixture, const char *host)
{
	struct os_address address;

	assert_int_equal(os_address_parse(host, 0, &address), 0);
	assert_int_equal(os_listener_open(fixture->loop.ring, &address, &fixture->acceptor.op,
					  &fixture->listener),
			 0);
	os_listener_address(fixture->listener, &address);
	assert_int_not_equal(os_address_port(&address), 0);
	fixture->address = address;
}

static void listen_end(struct fixture *fixture)
{
	struct test_op closer;

	test_op_init(&closer, &fixture->loop);
	op_wait(&closer.op);
	os_listener_close(fixture->listener, &closer.op);
	test_loop_until(&fixture->loop, closer.op.pending == 0);
	fixture->listener = NULL;
}

static int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	struct os *os = fixture->loop.os;

	if (fixture->listener != NULL)
		listen_end(fixture);
	op_unwake(&fixture->acceptor.op);
	test_loop_close(&fixture->loop);
	os_close(os);
	free(fixture->pattern);
	free(fixture);
	return 0;
}

static void end_start(struct end *end, struct test_loop *loop, struct os_socket *socket)
{
	memset(end, 0, sizeof(*end));
	end->socket = socket;
	test_op_init(&end->reader, loop);
	test_op_init(&end->sender, loop);
	os_socket_start(socket, &end->reader.op);
}

static int connect_run(struct fixture *fixture, const struct os_address *address,
		       struct os_socket **ret_socket)
{
	struct os_connect connect = {.address = *address, .result = 1};
	struct test_op waiter;

	test_op_init(&waiter, &fixture->loop);
	connect.parent = &waiter.op;
	op_wait(&waiter.op);
	os_connect_submit(fixture->loop.ring, &connect);
	test_loop_until(&fixture->loop, waiter.op.pending == 0);
	assert_true((connect.result == 0) == (connect.socket != NULL));
	*ret_socket = connect.socket;
	return connect.result;
}

static struct os_socket *accept_run(struct fixture *fixture)
{
	struct os_socket *socket = NULL;

	test_loop_until(&fixture->loop, (socket = os_listener_accept(fixture->listener)) != NULL);
	return socket;
}

static void pair_make(struct fixture *fixture, struct end *client, struct end *server)
{
	struct os_socket *socket;

	assert_int_equal(connect_run(fixture, &fixture->address, &socket), 0);
	end_start(client, &fixture->loop, socket);
	end_start(server, &fixture->loop, accept_run(fixture));
}

static void end_close(struct fixture *fixture, struct end *end)
{
	struct test_op closer;

	test_op_init(&closer, &fixture->loop);
	op_wait(&closer.op);
	os_socket_close(end->socket, &closer.op);
	test_loop_until(&fixture->loop, closer.op.pending == 0);
	op_unwake(&end->reader.op);
	end->socket = NULL;
}

static void send_begin(struct end *end, const void *bytes, size_t size_bytes)
{
	end->iov = (struct iovec){(void *)(uintptr_t)bytes, size_bytes};
	end->send = (struct os_send){
		.parent = &end->sender.op, .iov = &end->iov, .iov_count = 1, .result = 1};
	op_wait(&end->sender.op);
	os_socket_send(end->socket, &end->send);
}

static bool send_is_done(const struct end *end)
{
	return end->sender.op.pending == 0;
}

/* Takes at most @limit_bytes, checks them. Return: what peek said last. */
static ssize_t receive_some(struct end *end, uint64_t limit_bytes)
{
	const uint8_t *bytes;
	ssize_t size;

	while (limit_bytes > 0 && (size = os_socket_peek(end->socket, &bytes)) > 0) {
		size_t taken = (uint64_t)size < limit_bytes ? (size_t)size : (size_t)limit_bytes;

		for (size_t i = 0; i < taken; i++) {
			if (bytes[i] != pattern_byte(end->received_bytes + i))
				fail_msg("wrong byte at %lu",
					 (unsigned long)end->received_bytes + i);
		}
		os_socket_consume(end->socket, taken);
		end->received_bytes += taken;
		limit_bytes -= taken;
	}
	return os_socket_peek(end->socket, &bytes);
}

static void receive_until(struct fixture *fixture, struct end *end, uint64_t total_bytes)
{
	test_loop_until(&fixture->loop, (receive_some(end, total_bytes - end->received_bytes),
					 end->received_bytes == total_bytes));
}

static void echo(struct fixture *fixture, struct end *client, struct end *server)
{
	uint64_t client_bytes = client->received_bytes, server_bytes = server->received_bytes;

	send_begin(client, fixture->pattern + server_bytes, 3000);
	receive_until(fixture, server, server_bytes + 3000);
	test_loop_until(&fixture->loop, send_is_done(client));
	assert_int_equal(client->send.result, 0);
	send_begin(server, fixture->pattern + client_bytes, 3000);
	receive_until(fixture, client, client_bytes + 3000);
	test_loop_until(&fixture->loop, send_is_done(server));
	assert_int_equal(server->send.result, 0);
	assert_true(server->reader.runs > 0 && client->reader.runs > 0);
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool works = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	if (fd >= 0)
		close(fd);
	return works;
}

static void echo_over(struct fixture *fixture, const char *listen_host, const char *connect_host)
{
	char peer_text[OS_ADDRESS_TEXT_BYTES], local_text[OS_ADDRESS_TEXT_BYTES];
	struct os_address peer, local;
	struct end client, server;

	listen_on(fixture, listen_host);
	assert_int_equal(os_address_parse(connect_host, os_address_port(&fixture->address),
					  &fixture->address),
			 0);
	pair_make(fixture, &client, &server);
	os_socket_peer(server.socket, &peer);
	os_socket_local(client.socket, &local);
	os_address_format(&peer, peer_text);
	os_address_format(&local, local_text);
	assert_string_equal(peer_text, local_text);
	os_address_host(&peer, peer_text);
	assert_string_equal(peer_text, connect_host);
	for (int i = 0; i < 50; i++)
		echo(fixture, &client, &server);
	end_close(fixture, &client);
	end_close(fixture, &server);
}

static void ipv4_carries_bytes_both_ways(void **state)
{
	echo_over(*state, "127.0.0.1", "127.0.0.1");
}

static void ipv6_carries_bytes_both_ways(void **state)
{
	if (!has_ipv6())
		skip();
	echo_over(*state, "::1", "::1");
}

static void any_address_serves_ipv4_and_ipv6(void **state)
{
	struct fixture *fixture = *state;

	echo_over(fixture, "", "127.0.0.1");
	listen_end(fixture);
	if (has_ipv6())
		echo_over(fixture, "", "::1");
}

static void large_stream_arrives_whole_and_in_order(void **state)
{
	struct fixture *fixture = *state;
	struct end client, server;
	struct prng prng;

	prng_init(&prng, 7);
	listen_on(fixture, "127.0.0.1");
	pair_make(fixture, &client, &server);
	send_begin(&client, fixture->pattern, LARGE_BYTES);
	while (server.received_bytes < LARGE_BYTES) {
		test_loop_turn(&fixture->loop, 1000000);
		/* Often less than there is, at times nothing. */
		receive_some(&server, prng_below(&prng, 60000));
	}
	test_loop_until(&fixture->loop, send_is_done(&client));
	assert_int_equal(client.send.result, 0);
	end_close(fixture, &client);
	end_close(fixture, &server);
	assert_int_equal(fixture->loop.ring->receive.held_count, 0);
}

static void many_iovecs_are_sent_whole(void **state)
{
	enum { COUNT = 3000, PIECE = 50 };
	struct fixture *fixture = *state;
	struct iovec *iovs = calloc(COUNT, sizeof(*iovs));
	struct end client, server;
	uint64_t total = 0;

	listen_on(fixture, "127.0.0.1");
	pair_make(fixture, &client, &server);
	for (int i = 0; i < COUNT; i++) {
		iovs[i] = (struct iovec){fixture->pattern + total, i % 7 == 0 ? 0 : PIECE};
		total += iovs[i].iov_len;
	}
	client.send = (struct os_send){
		.parent = &client.sender.op, .iov = iovs, .iov_count = COUNT, .result = 1};
	op_wait(&client.sender.op);
	os_socket_send(client.socket, &client.send);
	receive_until(fixture, &server, total);
	test_loop_until(&fixture->loop, send_is_done(&client));
	assert_int_equal(client.send.result, 0);
	/* Nothing to send is sent at once. */
	send_begin(&client, fixture->pattern, 0);
	assert_true(send_is_done(&client));
	assert_int_equal(client.send.result, 0);
	end_close(fixture, &client);
	end_close(fixture, &server);
	free(iovs);
}

static void orderly_end_is_told_after_the_last_byte(void **state)
{
	struct fixture *fixture = *state;
	struct end client, server;
	const uint8_t *bytes;

	listen_on(fixture, "127.0.0.1");
	pair_make(fixture, &client, &server);
	send_begin(&client, fixture->pattern, 5000);
	test_loop_until(&fixture->loop, send_is_done(&client));
	end_close(fixture, &client);
	test_loop_until(&fixture->loop, server.socket->end != 0);
	assert_true(os_socket_peek(server.socket, &bytes) > 0);
	receive_until(fixture, &server, 5000);
	assert_int_equal(os_socket_peek(server.socket, &bytes), -ENOTCONN);
	assert_true(server.reader.runs > 0);
	end_close(fixture, &server);
}

/* A peer of the test's own, to break rules with. */
static int plain_connect(struct fixture *fixture)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(
		connect(fd, (struct sockaddr *)&fixture->address.storage, fixture->address.size),
		0);
	return fd;
}

static void reset_is_told_as_an_error(void **state)
{
	struct fixture *fixture = *state;
	const struct linger linger = {.l_onoff = 1};
	const uint8_t *bytes;
	struct end server;
	int fd;

	listen_on(fixture, "127.0.0.1");
	fd = plain_connect(fixture);
	end_start(&server, &fixture->loop, accept_run(fixture));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
	test_loop_until(&fixture->loop, os_socket_peek(server.socket, &bytes) != 0);
	assert_int_equal(os_socket_peek(server.socket, &bytes), -ECONNRESET);
	test_loop_until(&fixture->loop, server.reader.runs > 0);
	send_begin(&server, fixture->pattern, 10);
	test_loop_until(&fixture->loop, send_is_done(&server));
	assert_true(server.send.result == -EPIPE || server.send.result == -ECONNRESET);
	end_close(fixture, &server);
}

/* Which of two woken ops runs first. */
static bool is_before(const struct test_loop *loop, const struct op *one, const struct op *other)
{
	const struct list_node *node = loop->ready.ops.next;

	while (node != &one->link && node != &other->link && node != &loop->ready.ops)
		node = node->next;
	return node == &one->link;
}

static void close_ends_a_send_in_flight_first(void **state)
{
	struct fixture *fixture = *state;
	struct end client, server;
	struct test_op closer;

	listen_on(fixture, "127.0.0.1");
	for (int submitted = 0; submitted < 2; submitted++) {
		pair_make(fixture, &client, &server);
		send_begin(&client, fixture->pattern, LARGE_BYTES);
		for (int i = 0; i < submitted * 20; i++)
			test_loop_turn(&fixture->loop, 1000000);
		assert_false(send_is_done(&client));
		test_op_init(&closer, &fixture->loop);
		op_wait(&closer.op);
		os_socket_close(client.socket, &closer.op);
		assert_int_equal(op_join(&client.sender.op), OP_WAIT);
		assert_int_equal(op_join(&closer.op), OP_WAIT);
		while (closer.op.pending > 0)
			os_ring_turn(fixture->loop.ring, OS_WAIT_FOREVER);
		assert_true(send_is_done(&client));
		assert_true(client.send.result < 0);
		assert_true(is_before(&fixture->loop, &client.sender.op, &closer.op));
		test_loop_turn(&fixture->loop, 0);
		op_unwake(&client.reader.op);
		end_close(fixture, &server);
	}
	assert_int_equal(fixture->loop.ring->receive.held_count, 0);
}

/* What a close leaves to the peer: all that was sent, and an orderly end. An abort must not. */
static void abort_is_told_as_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct end client, server;
	struct test_op closer;

	listen_on(fixture, "127.0.0.1");
	pair_make(fixture, &client, &server);
	send_begin(&client, fixture->pattern, 1000);
	test_loop_until(&fixture->loop, send_is_done(&client));
	test_op_init(&closer, &fixture->loop);
	op_wait(&closer.op);
	os_socket_abort(client.socket, &closer.op);
	test_loop_until(&fixture->loop, closer.op.pending == 0);
	op_unwake(&client.reader.op);
	test_loop_until(&fixture->loop, receive_some(&server, LARGE_BYTES) != 0);
	assert_int_equal(receive_some(&server, LARGE_BYTES), -ECONNRESET);
	end_close(fixture, &server);
}

static void reader_is_not_woken_after_close(void **state)
{
	struct fixture *fixture = *state;
	struct end client, server;
	uint32_t runs;

	listen_on(fixture, "127.0.0.1");
	pair_make(fixture, &client, &server);
	test_loop_turn(&fixture->loop, 1000000);
	send_begin(&client, fixture->pattern, 1000);
	runs = server.reader.runs;
	end_close(fixture, &server);
	assert_int_equal(server.reader.runs, runs);
	test_loop_until(&fixture->loop, send_is_done(&client));
	end_close(fixture, &client);
}

static void connect_tells_why_not(void **state)
{
	struct fixture *fixture = *state;
	struct os_socket *socket;
	struct os_address address;

	listen_on(fixture, "127.0.0.1");
	listen_end(fixture);
	assert_int_equal(connect_run(fixture, &fixture->address, &socket), -ECONNREFUSED);
	/* A stream cannot lead to a group of hosts. */
	assert_int_equal(os_address_parse("224.0.0.1", 9, &address), 0);
	assert_int_equal(connect_run(fixture, &address, &socket), -ENETUNREACH);
}

static void connect_can_be_cancelled(void **state)
{
	enum { FILLERS = 8 };
	struct fixture *fixture = *state;
	struct os_connect connects[FILLERS];
	struct test_op waiters[FILLERS];
	struct sockaddr_in name = {.sin_family = AF_INET};
	struct os_address address = {.size = sizeof(name)};
	socklen_t size = sizeof(name);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint32_t cancelled = 0;

	/* A listener that never accepts and has no line: most must wait for an answer. */
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
	memcpy(&address.storage, &name, sizeof(name));
	for (int i = 0; i < FILLERS; i++) {
		test_op_init(&waiters[i], &fixture->loop);
		connects[i] = (struct os_connect){
			.parent = &waiters[i].op, .address = address, .result = 1};
		op_wait(&waiters[i].op);
		os_connect_submit(fixture->loop.ring, &connects[i]);
	}
	test_loop_turn(&fixture->loop, 10000000);
	for (int i = 0; i < FILLERS; i++) {
		os_connect_cancel(fixture->loop.ring, &connects[i]);
		os_connect_cancel(fixture->loop.ring, &connects[i]);
	}
	for (int i = 0; i < FILLERS; i++) {
		test_loop_until(&fixture->loop, waiters[i].op.pending == 0);
		assert_true(connects[i].result == 0 || connects[i].result == -ECANCELED);
		cancelled += connects[i].result == -ECANCELED;
		if (connects[i].result == 0)
			os_socket_close(connects[i].socket, NULL);
	}
	assert_true(cancelled > 0);
	close(listener);
}

/* As much as the kernel takes, from outside the ring. */
static uint64_t plain_send_all(struct fixture *fixture, int fd, uint64_t position)
{
	uint64_t sent = 0;

	while (position + sent < LARGE_BYTES) {
		ssize_t rc = send(fd, fixture->pattern + position + sent,
				  LARGE_BYTES - position - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (rc <= 0)
			break;
		sent += (uint64_t)rc;
	}
	return sent;
}

/* Small pieces with a turn for each: the bound does not depend on how many bytes a piece has. */
static void slow_reader_holds_few_buffers(void **state)
{
	struct fixture *fixture = *state;
	struct end server;
	uint64_t sent = 0;
	int fd;

	listen_on(fixture, "127.0.0.1");
	fd = plain_connect(fixture);
	end_start(&server, &fixture->loop, accept_run(fixture));
	for (int i = 0; i < 50; i++) {
		assert_int_equal(send(fd, fixture->pattern + sent, 100, 0), 100);
		sent += 100;
		for (int j = 0; j < 3; j++)
			test_loop_turn(&fixture->loop, 0);
		assert_true(server.socket->held_count <= SOCKET_HELD_MAX);
	}
	assert_int_equal(server.socket->held_count, SOCKET_HELD_MAX);
	assert_int_equal(server.socket->receive_state, RECEIVE_IDLE);
	close(fd);
	receive_until(fixture, &server, sent);
	test_loop_until(&fixture->loop, receive_some(&server, 1) == -ENOTCONN);
	end_close(fixture, &server);
}

static void slow_readers_do_not_stop_others(void **state)
{
	enum { SLOW = 6 };
	struct fixture *fixture = *state;
	struct end slow[SLOW], client, server;
	uint64_t sent[SLOW] = {0};
	int fds[SLOW];

	listen_on(fixture, "127.0.0.1");
	for (int i = 0; i < SLOW; i++) {
		fds[i] = plain_connect(fixture);
		end_start(&slow[i], &fixture->loop, accept_run(fixture));
	}
	pair_make(fixture, &client, &server);
	/* They take all buffers of the ring, and their peers are stopped. */
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < SLOW; i++)
			sent[i] += plain_send_all(fixture, fds[i], sent[i]);
		test_loop_turn(&fixture->loop, 1000000);
	}
	assert_int_equal(fixture->loop.ring->receive.held_count, BUFFER_COUNT);
	for (int i = 0; i < SLOW; i++)
		assert_true(sent[i] < LARGE_BYTES || slow[i].received_bytes == 0);
	for (int i = 0; i < 20; i++)
		echo(fixture, &client, &server);

	/* Once they read again everything is there, and buffers are shared as before. */
	for (int i = 0; i < SLOW; i++) {
		while (slow[i].received_bytes < LARGE_BYTES) {
			sent[i] += plain_send_all(fixture, fds[i], sent[i]);
			test_loop_turn(&fixture->loop, 1000000);
			receive_some(&slow[i], LARGE_BYTES);
		}
	}
	assert_int_equal(fixture->loop.ring->receive.held_count, 0);
	echo(fixture, &client, &server);
	echo(fixture, &client, &server);
	assert_int_equal(server.socket->receive_state, RECEIVE_SHARED);
	for (int i = 0; i < SLOW; i++) {
		close(fds[i]);
		end_close(fixture, &slow[i]);
	}
	end_close(fixture, &client);
	end_close(fixture, &server);
}

static void moved_socket_keeps_bytes_in_order(void **state)
{
	struct fixture *fixture = *state;
	struct test_loop other;
	struct test_op mover;
	struct end client, server;
	struct prng prng;
	int on_other = 0;

	prng_init(&prng, 11);
	listen_on(fixture, "127.0.0.1");
	test_loop_open(&other, fixture->loop.os, fixture->loop.kind, BUFFER_COUNT);
	pair_make(fixture, &client, &server);
	send_begin(&client, fixture->pattern, LARGE_BYTES);
	while (server.received_bytes < LARGE_BYTES) {
		struct test_loop *from = on_other ? &other : &fixture->loop;
		struct test_loop *to = on_other ? &fixture->loop : &other;
		struct os_socket *socket = server.socket;
		uint64_t received_bytes;

		for (int i = 0; i < 3; i++) {
			test_loop_turn(&fixture->loop, 0);
			test_loop_turn(&other, 0);
			receive_some(&server, prng_below(&prng, 30000));
		}
		test_op_init(&mover, from);
		op_wait(&mover.op);
		os_socket_detach(socket, &mover.op);
		test_loop_until(from, mover.op.pending == 0);
		op_unwake(&server.reader.op);
		os_socket_attach(to->ring, socket);
		received_bytes = server.received_bytes;
		end_start(&server, to, socket);
		server.received_bytes = received_bytes;
		on_other = !on_other;
	}
	test_loop_until(&fixture->loop, send_is_done(&client));
	assert_int_equal(client.send.result, 0);
	end_close(fixture, &client);
	test_op_init(&mover, on_other ? &other : &fixture->loop);
	op_wait(&mover.op);
	os_socket_close(server.socket, &mover.op);
	test_loop_until(on_other ? &other : &fixture->loop, mover.op.pending == 0);
	op_unwake(&server.reader.op);
	test_loop_close(&other);
	assert_int_equal(fixture->loop.ring->receive.held_count, 0);
}

static void detached_socket_can_be_closed(void **state)
{
	struct fixture *fixture = *state;
	struct end client, server;
	struct test_op mover;

	listen_on(fixture, "127.0.0.1");
	pair_make(fixture, &client, &server);
	send_begin(&client, fixture->pattern, 1000);
	test_loop_until(&fixture->loop, server.socket->held_count > 0);
	test_op_init(&mover, &fixture->loop);
	op_wait(&mover.op);
	os_socket_detach(server.socket, &mover.op);
	test_loop_until(&fixture->loop, mover.op.pending == 0);
	op_wait(&mover.op);
	os_socket_close(server.socket, &mover.op);
	assert_int_equal(mover.op.pending, 0);
	end_close(fixture, &client);
}

static void thousand_idle_sockets_do_not_hinder_a_few(void **state)
{
	enum { COUNT = 1000, BUSY = 4 };
	struct fixture *fixture = *state;
	struct end *clients = calloc(COUNT, sizeof(*clients));
	struct end *servers = calloc(COUNT, sizeof(*servers));

	listen_on(fixture, "127.0.0.1");
	for (int i = 0; i < COUNT; i++)
		pair_make(fixture, &clients[i], &servers[i]);
	for (int i = 0; i < 50 * BUSY; i++)
		echo(fixture, &clients[i % BUSY], &servers[i % BUSY]);
	for (int i = 0; i < COUNT; i++) {
		end_close(fixture, &servers[i]);
		end_close(fixture, &clients[i]);
	}
	free(clients);
	free(servers);
	assert_int_equal(fixture->loop.ring->receive.held_count, 0);
}

static void listener_survives_a_lack_of_descriptors(void **state)
{
	enum { COUNT = 4 };
	struct fixture *fixture = *state;
	struct rlimit old, low;
	struct os_socket *sockets[COUNT];
	uint32_t turns = 0;
	uint64_t begin_ns;
	int fds[COUNT], fillers[64];
	int filler_count = 0;

	for (int i = 0; i < COUNT; i++)
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* The kernel notes the limit when it takes up the accept: with the first turn. */
	listen_on(fixture, "127.0.0.1");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = (struct rlimit){.rlim_cur = 64, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (filler_count < 64 && (fillers[filler_count] = dup(fds[0])) >= 0)
		filler_count++;
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(connect(fds[i], (struct sockaddr *)&fixture->address.storage,
					 fixture->address.size),
				 0);
	begin_ns = os_clock_now_ns(fixture->loop.os);
	while (os_clock_now_ns(fixture->loop.os) < begin_ns + 500000000) {
		test_loop_turn(&fixture->loop, 500000000);
		turns++;
	}
	assert_true(turns < 50);
	assert_null(os_listener_accept(fixture->listener));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	while (filler_count > 0)
		close(fillers[--filler_count]);
	for (int i = 0; i < COUNT; i++) {
		sockets[i] = accept_run(fixture);
		os_socket_close(sockets[i], NULL);
		close(fds[i]);
	}
}

static void listener_takes_only_so_many_in_advance(void **state)
{
	enum { COUNT = 400 };
	struct fixture *fixture = *state;
	struct os_socket *socket;
	uint32_t taken = 0;
	int fds[COUNT];

	listen_on(fixture, "127.0.0.1");
	for (int i = 0; i < COUNT; i++) {
		fds[i] = plain_connect(fixture);
		test_loop_turn(&fixture->loop, 0);
	}
	/* Those that it took, without a turn in between; the others still wait in the kernel. */
	while ((socket = os_listener_accept(fixture->listener)) != NULL) {
		os_socket_close(socket, NULL);
		taken++;
	}
	assert_true(taken >= 256 && taken < 300);
	for (int i = 0; i < 10; i++)
		os_socket_close(accept_run(fixture), NULL);
	/* The rest are closed with the listener. */
	listen_end(fixture);
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
}

static void listener_tells_why_not(void **state)
{
	struct fixture *fixture = *state;
	struct os_listener *other = NULL;
	struct os_address address;

	listen_on(fixture, "127.0.0.1");
	assert_int_equal(os_listener_open(fixture->loop.ring, &fixture->address,
					  &fixture->acceptor.op, &other),
			 -EADDRINUSE);
	assert_int_equal(os_address_parse("192.0.2.77", 0, &address), 0);
	assert_int_equal(
		os_listener_open(fixture->loop.ring, &address, &fixture->acceptor.op, &other),
		-EADDRNOTAVAIL);
	assert_null(other);
}

static void old_kernels_are_served_too(void **state)
{
	struct fixture *fixture = *state;
	struct end client, server;

	/* As found out by the refusal of an older kernel. */
	fixture->loop.ring->has_multishot_accept = false;
	fixture->loop.ring->has_multishot_receive = false;
	listen_on(fixture, "127.0.0.1");
	pair_make(fixture, &client, &server);
	send_begin(&client, fixture->pattern, LARGE_BYTES);
	receive_until(fixture, &server, LARGE_BYTES);
	test_loop_until(&fixture->loop, send_is_done(&client));
	end_close(fixture, &client);
	end_close(fixture, &server);
	pair_make(fixture, &client, &server);
	echo(fixture, &client, &server);
	end_close(fixture, &client);
	end_close(fixture, &server);
}

static void names_are_resolved(void **state)
{
	struct fixture *fixture = *state;
	struct os_address address;
	char text[OS_ADDRESS_TEXT_BYTES];

	assert_int_equal(os_address_resolve(fixture->loop.os, "192.0.2.1", 8420, &address), 0);
	os_address_format(&address, text);
	assert_string_equal(text, "192.0.2.1:8420");
	assert_int_equal(os_address_resolve(fixture->loop.os, "localhost", 8420, &address), 0);
	assert_int_equal(os_address_port(&address), 8420);
	assert_true(os_address_resolve(fixture->loop.os, "no such host", 1, &address) < 0);
}

#define T(test)                                                                       \
	{                                                                             \
#test, test, fixture_setup, fixture_teardown, (void *)(uintptr_t)kind \
	}

static int kind_run(const enum ring_kind *kind)
{
	const struct CMUnitTest tests[] = {
		T(ipv4_carries_bytes_both_ways),
		T(ipv6_carries_bytes_both_ways),
		T(any_address_serves_ipv4_and_ipv6),
		T(large_stream_arrives_whole_and_in_order),
		T(many_iovecs_are_sent_whole),
		T(orderly_end_is_told_after_the_last_byte),
		T(reset_is_told_as_an_error),
		T(close_ends_a_send_in_flight_first),
		T(abort_is_told_as_an_error),
		T(reader_is_not_woken_after_close),
		T(connect_tells_why_not),
		T(connect_can_be_cancelled),
		T(slow_reader_holds_few_buffers),
		T(slow_readers_do_not_stop_others),
		T(moved_socket_keeps_bytes_in_order),
		T(detached_socket_can_be_closed),
		T(thousand_idle_sockets_do_not_hinder_a_few),
		T(listener_survives_a_lack_of_descriptors),
		T(listener_takes_only_so_many_in_advance),
		T(listener_tells_why_not),
		T(old_kernels_are_served_too),
		T(names_are_resolved),
	};

	print_message("kind of ring: %d\n", *kind);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	int failures = 0;

	for (size_t i = 0; i < sizeof(test_ring_kinds) / sizeof(test_ring_kinds[0]); i++)
		failures += kind_run(&test_ring_kinds[i]);
	return failures;
}

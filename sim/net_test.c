/* SPDX-License-Identifier: Apache-2.0 */
/* net_test.c - a client floods numbered bytes at a server through faults of the network.
 *
 * The sink checks every byte's number, so a lost, doubled or swapped byte is seen at once.
 */
#include "os/os_socket.h"
#include "sim/sim_impl.h"
#include "sim/test_box.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PORT	    8420
#define CHUNK_BYTES 50000

struct world {
	struct sim *sim;
	struct box client;
	struct box server;
	/* server */
	struct op acceptor;
	struct op reader;
	struct os_listener *listener;
	struct os_socket *accepted;
	uint64_t received;
	int server_end;
	bool is_lazy;	  /* does not consume */
	bool is_counting; /* takes bytes for bytes, whatever their numbers */
	/* client */
	struct os_connect connect;
	struct os_socket *socket; /* of the first connect that worked */
	struct box_wait connected;
	struct op source;
	struct op client_reader;
	int client_end;
	struct os_send send;
	struct iovec iov;
	uint64_t sent;
	uint64_t to_send;
	uint8_t chunk[CHUNK_BYTES];
	bool is_sending;
};

static void sink_run(struct op *op)
{
	struct world *world = list_entry(op, struct world, reader);
	const uint8_t *bytes;
	ssize_t size;

	if (world->is_lazy)
		return;
	while ((size = os_socket_peek(world->accepted, &bytes)) > 0) {
		for (ssize_t i = 0; i < size && !world->is_counting; i++)
			assert_int_equal(bytes[i],
					 (uint8_t)((world->received + (uint64_t)i) % 251));
		world->received += (uint64_t)size;
		os_socket_consume(world->accepted, (size_t)size);
	}
	world->server_end = (int)size;
}

static void acceptor_run(struct op *op)
{
	struct world *world = list_entry(op, struct world, acceptor);
	struct os_socket *socket = os_listener_accept(world->listener);

	if (socket == NULL)
		return;
	assert_null(world->accepted);
	world->accepted = socket;
	os_socket_start(socket, &world->reader);
}

static void client_reader_run(struct op *op)
{
	struct world *world = list_entry(op, struct world, client_reader);
	const uint8_t *bytes;

	world->client_end = (int)os_socket_peek(world->socket, &bytes);
}

static void source_run(struct op *op)
{
	struct world *world = list_entry(op, struct world, source);

	if (world->is_sending) {
		world->is_sending = false;
		if (world->send.result < 0)
			return;
		world->sent += CHUNK_BYTES;
	}
	if (world->sent >= world->to_send)
		return;
	for (uint64_t i = 0; i < CHUNK_BYTES; i++)
		world->chunk[i] = (uint8_t)((world->sent + i) % 251);
	world->iov = (struct iovec){world->chunk, CHUNK_BYTES};
	world->send = (struct os_send){.parent = op, .iov = &world->iov, .iov_count = 1};
	world->is_sending = true;
	op_wait(op);
	os_socket_send(world->socket, &world->send);
	if (op_join(op) == OP_NEXT)
		op_wake(op);
}

static void server_listen(struct world *world)
{
	struct sim_process *previous = sim_enter(world->server.process);
	struct os_address address;

	op_init(&world->acceptor, reactor_ready(world->server.reactor), acceptor_run);
	op_init(&world->reader, reactor_ready(world->server.reactor), sink_run);
	assert_int_equal(os_address_parse("10.0.0.2", PORT, &address), 0);
	assert_int_equal(os_listener_open(reactor_ring(world->server.reactor), &address,
					  &world->acceptor, &world->listener),
			 0);
	sim_leave(previous);
}

/* Return: the result of the connect. */
static int client_connect_to(struct world *world, const char *host, uint16_t port,
			     uint64_t limit_ns)
{
	struct sim_process *previous = sim_enter(world->client.process);

	box_wait_init(&world->connected, &world->client);
	world->connect = (struct os_connect){.parent = &world->connected.op};
	assert_int_equal(os_address_parse(host, port, &world->connect.address), 0);
	op_wait(&world->connected.op);
	os_connect_submit(reactor_ring(world->client.reactor), &world->connect);
	sim_leave(previous);
	assert_true(box_join(&world->client, &world->connected, limit_ns));
	return world->connect.result;
}

static int client_connect(struct world *world, const char *host, uint64_t limit_ns)
{
	return client_connect_to(world, host, PORT, limit_ns);
}

static struct world *world_open(uint64_t seed)
{
	static struct world world;

	memset(&world, 0, sizeof(world));
	world.sim = sim_create(seed);
	box_init(&world.client, world.sim, "client", "10.0.0.1");
	box_init(&world.server, world.sim, "server", "10.0.0.2");
	server_listen(&world);
	return &world;
}

static void flood_start(struct world *world, uint64_t to_send)
{
	struct sim_process *previous;

	assert_int_equal(client_connect(world, "10.0.0.2", SIM_S), 0);
	previous = sim_enter(world->client.process);
	op_init(&world->source, reactor_ready(world->client.reactor), source_run);
	op_init(&world->client_reader, reactor_ready(world->client.reactor), client_reader_run);
	world->socket = world->connect.socket;
	os_socket_start(world->socket, &world->client_reader);
	world->to_send = to_send;
	op_wake(&world->source);
	sim_leave(previous);
}

static bool all_is_received(void *argument)
{
	struct world *world = argument;

	return world->received == world->to_send;
}

static bool server_sees_the_end(void *argument)
{
	return ((struct world *)argument)->server_end < 0;
}

static bool client_sees_the_end(void *argument)
{
	struct world *world = argument;

	return world->client_end < 0 || world->send.result < 0;
}

static void bytes_arrive_in_order_and_then_the_end(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct world *world = world_open(seed);
		struct sim_process *previous;

		flood_start(world, 20 * CHUNK_BYTES);
		assert_int_equal(sim_run(world->sim, all_is_received, world, 10 * SIM_S),
				 SIM_REACHED);
		previous = sim_enter(world->client.process);
		os_socket_close(world->socket, NULL);
		sim_leave(previous);
		assert_int_equal(sim_run(world->sim, server_sees_the_end, world, SIM_S),
				 SIM_REACHED);
		assert_int_equal(world->server_end, -ENOTCONN);
		sim_destroy(world->sim);
	}
}

static void a_reader_that_does_not_consume_stops_the_sender(void **state)
{
	struct world *world = world_open(1);

	(void)state;
	world->is_lazy = true;
	flood_start(world, 100 * CHUNK_BYTES);
	assert_int_equal(sim_run_for(world->sim, 10 * SIM_S), SIM_DEADLINE);
	assert_true(world->sent < 20 * CHUNK_BYTES);
	world->is_lazy = false;
	op_wake(&world->reader);
	assert_int_equal(sim_run(world->sim, all_is_received, world, 10 * SIM_S), SIM_REACHED);
	sim_destroy(world->sim);
}

static void a_partition_holds_bytes_and_heals(void **state)
{
	struct world *world = world_open(2);
	uint64_t received;

	(void)state;
	flood_start(world, 100 * CHUNK_BYTES);
	sim_run_for(world->sim, 2 * SIM_MS);
	assert_true(world->received < world->to_send);
	sim_net_block(world->client.process, world->server.process, true);
	received = world->received;
	assert_int_equal(sim_run_for(world->sim, 20 * SIM_S), SIM_DEADLINE);
	assert_int_equal(world->received, received);
	assert_int_equal(world->client_end, 0);
	sim_net_heal(world->sim);
	assert_int_equal(sim_run(world->sim, all_is_received, world, 20 * SIM_S), SIM_REACHED);
	sim_destroy(world->sim);
}

static void a_partition_without_end_ends_the_connection(void **state)
{
	struct world *world = world_open(3);

	(void)state;
	flood_start(world, 100 * CHUNK_BYTES);
	sim_run_for(world->sim, 2 * SIM_MS);
	sim_net_block_one_way(world->client.process, world->server.process, 0, true);
	assert_int_equal(sim_run(world->sim, client_sees_the_end, world, 2 * NET_GIVE_UP_NS),
			 SIM_REACHED);
	assert_int_equal(world->send.result, -ETIMEDOUT);
	sim_destroy(world->sim);
}

static void a_reset_ends_both_sides_in_mid_stream(void **state)
{
	struct world *world = world_open(4);

	(void)state;
	flood_start(world, 1000 * CHUNK_BYTES);
	sim_run_for(world->sim, 5 * SIM_MS);
	assert_true(sim_net_reset_one(world->client.process, world->server.process, 0));
	assert_int_equal(sim_run(world->sim, server_sees_the_end, world, SIM_S), SIM_REACHED);
	assert_int_equal(world->server_end, -ECONNRESET);
	assert_int_equal(sim_run(world->sim, client_sees_the_end, world, SIM_S), SIM_REACHED);
	sim_destroy(world->sim);
}

static void a_cut_connection_ends_after_so_many_bytes(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes < 100000; bytes = bytes * 3 + 1) {
		struct world *world = world_open(bytes);

		flood_start(world, 1000 * CHUNK_BYTES);
		assert_true(
			sim_net_cut_one(world->client.process, world->server.process, 0, bytes));
		assert_int_equal(sim_run(world->sim, server_sees_the_end, world, SIM_S),
				 SIM_REACHED);
		assert_int_equal(world->server_end, -ECONNRESET);
		assert_int_equal(world->received, bytes);
		assert_int_equal(sim_run(world->sim, client_sees_the_end, world, SIM_S),
				 SIM_REACHED);
		sim_destroy(world->sim);
	}
}

static void the_end_of_half_a_connection_is_noticed_when_the_other_half_sends(void **state)
{
	struct world *world = world_open(9);

	(void)state;
	flood_start(world, CHUNK_BYTES);
	assert_int_equal(sim_run(world->sim, all_is_received, world, SIM_S), SIM_REACHED);
	assert_true(sim_net_half_open_one(world->server.process, world->client.process, 0, false));
	assert_int_equal(sim_run(world->sim, server_sees_the_end, world, SIM_S), SIM_REACHED);
	assert_int_equal(sim_run(world->sim, client_sees_the_end, world, 100 * SIM_S),
			 SIM_DEADLINE);
	world->to_send += CHUNK_BYTES;
	op_wake(&world->source);
	assert_int_equal(sim_run(world->sim, client_sees_the_end, world, SIM_S), SIM_REACHED);
	sim_destroy(world->sim);
}

static void a_silent_half_swallows_bytes_until_the_sender_gives_up(void **state)
{
	struct world *world = world_open(10);

	(void)state;
	flood_start(world, 100 * CHUNK_BYTES);
	sim_run_for(world->sim, 2 * SIM_MS);
	assert_true(sim_net_half_open_one(world->server.process, world->client.process, 0, true));
	assert_int_equal(sim_run(world->sim, client_sees_the_end, world, NET_GIVE_UP_NS / 2),
			 SIM_DEADLINE);
	assert_int_equal(sim_run(world->sim, client_sees_the_end, world, NET_GIVE_UP_NS),
			 SIM_REACHED);
	assert_int_equal(world->send.result, -ETIMEDOUT);
	sim_destroy(world->sim);
}

static void a_blocked_plane_leaves_the_other_one_alone(void **state)
{
	struct world *world = world_open(11);

	(void)state;
	for (uint16_t plane = 0; plane < SIM_PLANES; plane++) {
		uint16_t port = (uint16_t)(PORT + plane);

		assert_int_equal(SIM_PLANE_OF_PORT(port), plane);
		sim_net_block_one_way(world->client.process, world->server.process, plane, true);
		assert_int_equal(client_connect_to(world, "10.0.0.2", port, 200 * SIM_S),
				 -ETIMEDOUT);
		/* The other one answers, with a listener or without one. */
		assert_int_equal(client_connect_to(world, "10.0.0.2", (uint16_t)(port ^ 1), SIM_S),
				 plane == 1 ? 0 : -ECONNREFUSED);
		sim_net_block_one_way(world->client.process, world->server.process, plane, false);
	}
	sim_destroy(world->sim);
}

static void a_link_that_two_faults_block_is_free_when_both_have_ended(void **state)
{
	struct world *world = world_open(12);

	(void)state;
	sim_net_block(world->client.process, world->server.process, true);
	sim_net_block_one_way(world->client.process, world->server.process, 0, true);
	sim_net_block(world->client.process, world->server.process, false);
	assert_int_equal(client_connect(world, "10.0.0.2", 200 * SIM_S), -ETIMEDOUT);
	sim_net_block_one_way(world->client.process, world->server.process, 0, false);
	assert_int_equal(client_connect(world, "10.0.0.2", SIM_S), 0);
	sim_destroy(world->sim);
}

static void a_longer_or_narrower_way_takes_its_time(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *world = world_open(13);
		struct sim_link *link = sim_net_link(world->client.process, world->server.process,
						     SIM_PLANE_OF_PORT(PORT));
		uint64_t begun_ns;

		flood_start(world, 20 * CHUNK_BYTES);
		begun_ns = sim_now_ns(world->sim);
		if (i == 0)
			link->extra_ns = 4 * SIM_S;
		else
			link->extra_ns_per_kib = 5 * SIM_MS;
		assert_int_equal(sim_run(world->sim, all_is_received, world, 500 * SIM_S),
				 SIM_REACHED);
		assert_true(sim_now_ns(world->sim) - begun_ns > 2 * SIM_S);
		sim_destroy(world->sim);
	}
}

static void bytes_on_their_way_may_arrive_after_a_hard_close(void **state)
{
	uint32_t arrived = 0;
	uint32_t lost = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct world *world = world_open(seed);
		struct sim_process *previous;

		flood_start(world, 1000 * CHUNK_BYTES);
		sim_net_link(world->client.process, world->server.process, 0)->extra_ns = SIM_S;
		sim_run_for(world->sim, 20 * SIM_MS);
		world->received = 0;
		world->is_counting = true;
		previous = sim_enter(world->client.process);
		os_socket_abort(world->socket, NULL);
		sim_leave(previous);
		assert_int_equal(sim_run(world->sim, server_sees_the_end, world, 10 * SIM_S),
				 SIM_REACHED);
		assert_int_equal(world->server_end, -ECONNRESET);
		arrived += world->received > 0;
		lost += world->received == 0;
		sim_destroy(world->sim);
	}
	assert_true(arrived > 5 && lost > 5);
}

static void what_a_blocked_link_turned_away_is_not_repeated_after_a_hard_close(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct world *world = world_open(seed);
		struct sim_process *previous;

		flood_start(world, 1000 * CHUNK_BYTES);
		sim_run_for(world->sim, 5 * SIM_MS);
		sim_net_block(world->client.process, world->server.process, true);
		sim_run_for(world->sim, 2 * SIM_S);
		world->received = 0;
		world->is_counting = true;
		previous = sim_enter(world->client.process);
		os_socket_abort(world->socket, NULL);
		sim_leave(previous);
		sim_net_block(world->client.process, world->server.process, false);
		(void)sim_run(world->sim, server_sees_the_end, world, 20 * SIM_S);
		assert_int_equal(world->received, 0);
		sim_destroy(world->sim);
	}
}

static void without_sockets_connects_fail_and_accepts_wait(void **state)
{
	struct world *world = world_open(14);

	(void)state;
	sim_process_refuse_sockets(world->client.process, true);
	assert_int_equal(client_connect(world, "10.0.0.2", SIM_S), -EMFILE);
	sim_process_refuse_sockets(world->client.process, false);
	sim_process_refuse_sockets(world->server.process, true);
	assert_int_equal(client_connect(world, "10.0.0.2", SIM_S), 0);
	sim_run_for(world->sim, 10 * SIM_S);
	assert_null(world->accepted);
	sim_process_refuse_sockets(world->server.process, false);
	sim_run_for(world->sim, SIM_S);
	assert_non_null(world->accepted);
	sim_destroy(world->sim);
}

static void a_killed_peer_is_noticed_at_once(void **state)
{
	struct world *world = world_open(5);

	(void)state;
	flood_start(world, 1000 * CHUNK_BYTES);
	sim_run_for(world->sim, 5 * SIM_MS);
	sim_process_crash(world->server.process, SIM_KILLED);
	assert_int_equal(sim_run(world->sim, client_sees_the_end, world, SIM_S), SIM_REACHED);
	assert_int_equal(client_connect(world, "10.0.0.2", SIM_S), -ECONNREFUSED);
	sim_destroy(world->sim);
}

static void a_peer_without_power_is_noticed_when_it_is_back(void **state)
{
	struct world *world = world_open(6);

	(void)state;
	flood_start(world, 1000 * CHUNK_BYTES);
	sim_run_for(world->sim, 5 * SIM_MS);
	sim_process_crash(world->server.process, SIM_POWER_CUT);
	assert_int_equal(sim_run(world->sim, client_sees_the_end, world, 10 * SIM_S), SIM_DEADLINE);
	sim_process_restart(world->server.process);
	assert_int_equal(sim_run(world->sim, client_sees_the_end, world, 10 * SIM_S), SIM_REACHED);
	sim_destroy(world->sim);
}

static void connecting_to_nobody_or_nowhere_fails(void **state)
{
	struct world *world = world_open(7);

	(void)state;
	assert_int_equal(client_connect(world, "10.0.0.9", 10 * SIM_S), -EHOSTUNREACH);
	sim_net_refuse(world->server.process, true);
	assert_int_equal(client_connect(world, "10.0.0.2", SIM_S), -ECONNREFUSED);
	sim_net_refuse(world->server.process, false);
	sim_net_block(world->client.process, world->server.process, true);
	assert_int_equal(client_connect(world, "10.0.0.2", 200 * SIM_S), -ETIMEDOUT);
	sim_destroy(world->sim);
}

static void everything_is_given_back_at_an_orderly_end(void **state)
{
	struct world *world = world_open(8);
	struct sim_process *previous;

	(void)state;
	flood_start(world, 2 * CHUNK_BYTES);
	assert_int_equal(sim_run(world->sim, all_is_received, world, 10 * SIM_S), SIM_REACHED);
	previous = sim_enter(world->client.process);
	os_socket_close(world->socket, NULL);
	sim_leave(previous);
	previous = sim_enter(world->server.process);
	os_socket_close(world->accepted, NULL);
	os_listener_close(world->listener, NULL);
	sim_leave(previous);
	sim_run_for(world->sim, SIM_S);
	for (int i = 0; i < 2; i++) {
		struct box *box = i == 0 ? &world->client : &world->server;

		previous = sim_enter(box->process);
		sim_reactor_remove(box->process, box->reactor);
		reactor_destroy(box->reactor);
		sim_leave(previous);
		assert_int_equal(sim_process_memory_bytes(box->process), 0);
	}
	assert_int_equal(sim_net_connection_count(world->sim), 0);
	sim_destroy(world->sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_arrive_in_order_and_then_the_end),
		cmocka_unit_test(a_reader_that_does_not_consume_stops_the_sender),
		cmocka_unit_test(a_partition_holds_bytes_and_heals),
		cmocka_unit_test(a_partition_without_end_ends_the_connection),
		cmocka_unit_test(a_reset_ends_both_sides_in_mid_stream),
		cmocka_unit_test(a_cut_connection_ends_after_so_many_bytes),
		cmocka_unit_test(the_end_of_half_a_connection_is_noticed_when_the_other_half_sends),
		cmocka_unit_test(a_silent_half_swallows_bytes_until_the_sender_gives_up),
		cmocka_unit_test(a_blocked_plane_leaves_the_other_one_alone),
		cmocka_unit_test(a_link_that_two_faults_block_is_free_when_both_have_ended),
		cmocka_unit_test(a_longer_or_narrower_way_takes_its_time),
		cmocka_unit_test(bytes_on_their_way_may_arrive_after_a_hard_close),
		cmocka_unit_test(
			what_a_blocked_link_turned_away_is_not_repeated_after_a_hard_close),
		cmocka_unit_test(without_sockets_connects_fail_and_accepts_wait),
		cmocka_unit_test(a_killed_peer_is_noticed_at_once),
		cmocka_unit_test(a_peer_without_power_is_noticed_when_it_is_back),
		cmocka_unit_test(connecting_to_nobody_or_nowhere_fails),
		cmocka_unit_test(everything_is_given_back_at_an_orderly_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

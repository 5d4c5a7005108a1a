/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - ordered byte streams between machines, and what can go wrong with them.
 *
 * Invariants:
 *  1. Bytes arrive in order, once, or the connection ends; nothing is skipped.
 *  2. in_flight_bytes of an end + received_bytes of its peer <= window.
 *  3. A connection exists while at least one end is open.
 */
#include "sim/net_impl.h"
#include "sim/nth_faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES_MIN (16 * 1024)
#define WINDOW_BYTES_MAX (512 * 1024)
#define PAUSE_NS_FIRST	 (200 * SIM_MS)
#define PAUSE_NS_MAX	 (3 * SIM_S)
#define RESET_SPREAD_NS	 SIM_MS
#define CORRUPT_WHOLE	 1000000
#define SMALL_BYTES_MAX	 100
#define MIDDLE_BYTES_MAX 4096

struct sim_link *sim_net_link(struct sim_process *from, struct sim_process *to, uint32_t plane)
{
	ASSERT(from->sim == to->sim);
	ASSERT(plane < SIM_PLANES);
	return &from->sim->links[plane][from->index][to->index];
}

uint64_t net_latency_ns(struct sim_process *from, struct sim_process *to, uint32_t plane)
{
	const struct sim_link *link = sim_net_link(from, to, plane);
	uint64_t latency_ns = sim_draw(from->sim, link->latency_ns_min, link->latency_ns_max);

	if (link->extra_ns > 0)
		latency_ns += sim_draw(from->sim, link->extra_ns / 2, link->extra_ns);
	return latency_ns;
}

bool net_is_blocked(struct sim_process *from, struct sim_process *to, uint32_t plane)
{
	return sim_net_link(from, to, plane)->block_count > 0 || !to->has_power || !from->has_power;
}

/* The way from @end to its peer. */
static struct sim_link *end_link(struct end *end)
{
	return sim_net_link(end->process, end_peer(end)->process, end->connection->plane);
}

static bool end_is_blocked(struct end *end)
{
	return net_is_blocked(end->process, end_peer(end)->process, end->connection->plane);
}

static uint64_t end_latency_ns(struct end *end)
{
	return net_latency_ns(end->process, end_peer(end)->process, end->connection->plane);
}

static void segments_free(struct list_node *segments)
{
	list_for_each (node, segments) {
		list_remove(node);
		free(list_entry(node, struct segment, link));
	}
}

static void connection_free(struct connection *connection)
{
	for (int i = 0; i < 2; i++) {
		struct end *end = &connection->ends[i];

		ASSERT(!end->is_open);
		segments_free(&end->received);
		segments_free(&end->in_flight);
		sim_event_cancel(connection->sim, &end->delivery);
		sim_event_cancel(connection->sim, &end->window);
		sim_event_cancel(connection->sim, &end->reset);
	}
	list_remove(&connection->link);
	free(connection);
}

static void connection_free_if_over(struct connection *connection)
{
	if (!connection->ends[0].is_open && !connection->ends[1].is_open)
		connection_free(connection);
}

static void in_flight_drop(struct end *end)
{
	segments_free(&end->in_flight);
	end->in_flight_bytes = 0;
	sim_event_cancel(end->connection->sim, &end->delivery);
}

/* Nothing more comes or goes at this end; bytes received before stay readable. */
static void end_fail(struct end *end, int error)
{
	if (!end->is_open || end->error != 0)
		return;
	sim_trace(end->connection->sim, "end failed", end->connection->id, end->index,
		  (uint64_t)(int64_t)error);
	end->error = error;
	in_flight_drop(end);
	if (end->socket != NULL) {
		socket_send_finish(end->socket, error);
		socket_notify(end->socket);
	}
}

static void reset_fire(struct sim_event *event)
{
	struct end *end = container_of(event, struct end, reset);

	/* A reset that is lost is not repeated: the end learns when it sends. */
	if (!end_is_blocked(end_peer(end)))
		end_fail(end, -ECONNRESET);
}

static void reset_send(struct end *to)
{
	struct sim *sim = to->connection->sim;

	sim_event_schedule(sim, &to->reset, end_latency_ns(end_peer(to)));
}

/* Tries again later, or gives up after a long time. */
static void delivery_retry(struct end *sender)
{
	struct sim *sim = sender->connection->sim;

	if (sender->blocked_since_ns == 0) {
		sender->blocked_since_ns = sim->now_ns;
		sender->pause_ns = PAUSE_NS_FIRST;
	}
	if (sim->now_ns - sender->blocked_since_ns > NET_GIVE_UP_NS) {
		end_fail(sender, -ETIMEDOUT);
		return;
	}
	sim_event_schedule(sim, &sender->delivery,
			   sim_draw(sim, sender->pause_ns / 2, sender->pause_ns));
	sender->pause_ns *= 2;
	if (sender->pause_ns > PAUSE_NS_MAX)
		sender->pause_ns = PAUSE_NS_MAX;
}

static void segment_corrupt(struct end *receiver, struct segment *segment)
{
	struct sim *sim = receiver->connection->sim;
	uint64_t place = prng_below(&sim->prng, segment->size);

	segment->bytes[place] ^= (uint8_t)sim_draw(sim, 1, 255);
	sim_trace(sim, "corrupted", receiver->connection->id, place, 0);
}

/* The rest of a connection that is being cut: what is beyond the cut never arrives. */
static void segment_cut(struct end *receiver, struct segment *segment)
{
	struct connection *connection = receiver->connection;

	if (segment->size < connection->cut_left_bytes) {
		connection->cut_left_bytes -= segment->size;
		return;
	}
	segment->size = connection->cut_left_bytes;
	connection->is_cutting = false;
	sim_trace(connection->sim, "cut", connection->id, receiver->index, segment->size);
	in_flight_drop(end_peer(receiver));
	reset_send(end_peer(receiver));
	end_fail(receiver, -ECONNRESET);
}

static void segment_arrive(struct end *receiver, struct segment *segment)
{
	struct connection *connection = receiver->connection;

	if (segment->is_fin || segment->is_reset) {
		if (segment->is_fin)
			receiver->is_fin_received = true;
		else
			end_fail(receiver, -ECONNRESET);
		free(segment);
		return;
	}
	if (sim_chance(connection->sim, end_link(end_peer(receiver))->corrupt_chance,
		       CORRUPT_WHOLE))
		segment_corrupt(receiver, segment);
	if (connection->is_cutting)
		segment_cut(receiver, segment);
	if (segment->size == 0) {
		free(segment);
		return;
	}
	list_push_back(&receiver->received, &segment->link);
	receiver->received_bytes += segment->size;
}

/* Return: false if nothing can arrive now. */
static bool delivery_finds_its_way(struct end *sender)
{
	struct end *receiver = end_peer(sender);

	if (receiver->is_black_hole || (end_is_blocked(sender) && sender->process->has_power)) {
		struct list_node *last = sender->in_flight.previous;

		/* Who has closed hard repeats nothing. */
		if (last != &sender->in_flight && list_entry(last, struct segment, link)->is_reset)
			in_flight_drop(sender);
		else
			delivery_retry(sender);
		return false;
	}
	sender->blocked_since_ns = 0;
	if (receiver->is_open && receiver->error == 0)
		return true;
	in_flight_drop(sender);
	reset_send(sender);
	return false;
}

static void delivery_fire(struct sim_event *event)
{
	struct end *sender = container_of(event, struct end, delivery);
	struct end *receiver = end_peer(sender);
	struct sim *sim = sender->connection->sim;
	uint32_t bytes = 0;

	if (!delivery_finds_its_way(sender))
		return;
	for (;;) {
		struct list_node *node = list_first(&sender->in_flight);
		struct segment *segment;

		if (node == NULL)
			break;
		segment = list_entry(node, struct segment, link);
		if (segment->deliver_ns > sim->now_ns) {
			sim_event_schedule(sim, &sender->delivery,
					   segment->deliver_ns - sim->now_ns);
			break;
		}
		list_remove(node);
		sender->in_flight_bytes -= segment->size;
		bytes += segment->size;
		segment_arrive(receiver, segment);
	}
	sim_trace(sim, "deliver", sender->connection->id, sender->index, bytes);
	if (receiver->socket != NULL && nth_fails(receiver->process, NTH_RECEIVE)) {
		end_fail(receiver, -ECONNRESET);
		reset_send(sender);
		return;
	}
	if (receiver->socket != NULL)
		socket_notify(receiver->socket);
}

static void segment_send(struct end *end, struct segment *segment)
{
	struct sim *sim = end->connection->sim;
	const struct sim_link *link = end_link(end);
	uint64_t at = sim->now_ns + end_latency_ns(end);

	if (at < end->last_deliver_ns)
		at = end->last_deliver_ns;
	at += segment->size * (link->ns_per_kib + link->extra_ns_per_kib) / 1024;
	end->last_deliver_ns = at;
	segment->deliver_ns = at;
	list_init(&segment->link);
	list_push_back(&end->in_flight, &segment->link);
	end->in_flight_bytes += segment->size;
	if (!sim_event_is_scheduled(&end->delivery))
		sim_event_schedule(sim, &end->delivery, at - sim->now_ns);
}

static uint32_t segment_size_draw(struct sim *sim)
{
	uint64_t kind = sim_draw(sim, 0, 15);

	if (kind == 0)
		return (uint32_t)sim_draw(sim, 1, SMALL_BYTES_MAX);
	if (kind < 4)
		return (uint32_t)sim_draw(sim, SMALL_BYTES_MAX, MIDDLE_BYTES_MAX);
	return (uint32_t)sim_draw(sim, MIDDLE_BYTES_MAX, NET_SEGMENT_BYTES_MAX);
}

void net_end_pump(struct end *end)
{
	struct sim *sim = end->connection->sim;
	struct end *peer = end_peer(end);

	while (end->socket != NULL && end->socket->send != NULL) {
		uint32_t used = end->in_flight_bytes + peer->received_bytes;
		uint32_t size = segment_size_draw(sim);
		struct segment *segment;

		if (end->error != 0) {
			socket_send_finish(end->socket, end->error);
			return;
		}
		if (used >= end->connection->window_bytes)
			return;
		if (size > end->connection->window_bytes - used)
			size = end->connection->window_bytes - used;
		segment = malloc(sizeof(*segment) + size); /* the bytes come at once */
		ASSERT(segment != NULL);
		memset(segment, 0, sizeof(*segment));
		segment->size = socket_send_take(end->socket, segment->bytes, size);
		if (segment->size == 0) {
			free(segment);
			socket_send_finish(end->socket, 0);
			return;
		}
		segment_send(end, segment);
	}
}

static void window_fire(struct sim_event *event)
{
	struct end *end = container_of(event, struct end, window);

	if (end_is_blocked(end_peer(end)))
		sim_event_schedule(end->connection->sim, event, PAUSE_NS_FIRST);
	else
		net_end_pump(end);
}

void net_end_consumed(struct end *end)
{
	struct end *sender = end_peer(end);

	if (sender->is_open && !sim_event_is_scheduled(&sender->window))
		sim_event_schedule(end->connection->sim, &sender->window, end_latency_ns(end));
}

struct connection *net_connection_create(struct sim_process *client, struct sim_process *server,
					 uint32_t plane)
{
	struct connection *connection = sim_allocate(sizeof(*connection));
	struct sim *sim = client->sim;

	connection->sim = sim;
	connection->id = sim->connection_id_next++;
	connection->plane = plane;
	connection->window_bytes = (uint32_t)sim_draw(sim, WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
	list_init(&connection->link);
	list_push_back(&sim->connections, &connection->link);
	for (uint32_t i = 0; i < 2; i++) {
		struct end *end = &connection->ends[i];

		end->connection = connection;
		end->index = i;
		end->process = i == 0 ? client : server;
		end->is_open = true;
		list_init(&end->backlog_link);
		list_init(&end->received);
		list_init(&end->in_flight);
		end->delivery.fire = delivery_fire;
		end->window.fire = window_fire;
		end->reset.fire = reset_fire;
	}
	sim_trace(sim, "connect", connection->id, client->index, server->index);
	return connection;
}

/*
 * Some of what is on its way may still arrive: the peer can do with it what it likes. But what a
 * blocked link has turned away once would have to be repeated, and nobody does that any more.
 */
static void reset_send_behind(struct end *end)
{
	struct sim *sim = end->connection->sim;
	uint32_t count = 0;
	uint64_t kept;
	struct segment *reset;

	list_for_each (node, &end->in_flight)
		count++;
	kept = end->error == 0 && end->blocked_since_ns == 0 && sim_chance(sim, 1, 2)
		       ? prng_below(&sim->prng, count + 1)
		       : 0;
	if (kept == 0) {
		in_flight_drop(end);
		if (end->error == 0)
			reset_send(end_peer(end));
		return;
	}
	list_for_each (node, &end->in_flight) {
		struct segment *segment = list_entry(node, struct segment, link);

		if (kept > 0) {
			kept--;
			continue;
		}
		list_remove(node);
		end->in_flight_bytes -= segment->size;
		free(segment);
	}
	reset = sim_allocate(sizeof(*reset));
	reset->is_reset = true;
	segment_send(end, reset);
}

void net_end_close(struct end *end, bool is_hard)
{
	struct connection *connection = end->connection;

	ASSERT(end->is_open);
	sim_trace(connection->sim, "close", connection->id, end->index, is_hard);
	end->is_open = false;
	end->socket = NULL;
	if (end->listener != NULL) {
		end->listener->backlog_count--;
		list_remove(&end->backlog_link);
		end->listener = NULL;
	}
	/* After an orderly close the kernel sends on what a partition holds back. */
	if (is_hard || !list_is_empty(&end->received) || end->error != 0) {
		reset_send_behind(end);
	} else {
		struct segment *fin = sim_allocate(sizeof(*fin));

		fin->is_fin = true;
		segment_send(end, fin);
	}
	segments_free(&end->received);
	end->received_bytes = 0;
	connection_free_if_over(connection);
}

/* The machine fell silent: what is in the air may still arrive. */
static void end_vanish(struct end *end)
{
	struct connection *connection = end->connection;

	end->is_open = false;
	end->socket = NULL;
	end->listener = NULL;
	list_init(&end->backlog_link);
	if (sim_chance(connection->sim, 1, 2)) {
		segments_free(&end->in_flight);
		end->in_flight_bytes = 0;
		sim_event_cancel(connection->sim, &end->delivery);
	}
	segments_free(&end->received);
	end->received_bytes = 0;
	connection_free_if_over(connection);
}

void sim_net_process_crashed(struct sim_process *process, enum sim_crash crash)
{
	connects_abandon(process);
	list_for_each (node, &process->sim->connections) {
		struct connection *connection = list_entry(node, struct connection, link);
		struct end *mine[2] = {NULL, NULL};

		for (int i = 0; i < 2; i++) {
			struct end *end = &connection->ends[i];

			if (end->process == process && end->is_open)
				mine[i] = end;
		}
		/* The connection is freed with its last open end. */
		for (int i = 0; i < 2; i++) {
			if (mine[i] == NULL)
				continue;
			if (crash == SIM_POWER_CUT)
				end_vanish(mine[i]);
			else
				net_end_close(mine[i], false);
		}
	}
	/* Their memory goes with the process. */
	list_init(&process->sockets);
	list_init(&process->listeners);
}

void sim_net_free_all(struct sim *sim)
{
	ASSERT(list_is_empty(&sim->connections));
}

/* ---- faults ---- */

void sim_net_block_one_way(struct sim_process *from, struct sim_process *to, uint32_t plane,
			   bool is_blocked)
{
	struct sim_link *link = sim_net_link(from, to, plane);

	sim_trace(from->sim, is_blocked ? "block" : "unblock", from->index, to->index, plane);
	ASSERT(is_blocked || link->block_count > 0);
	link->block_count += is_blocked ? 1 : UINT32_MAX;
}

void sim_net_block(struct sim_process *one, struct sim_process *other, bool is_blocked)
{
	for (uint32_t plane = 0; plane < SIM_PLANES; plane++) {
		sim_net_block_one_way(one, other, plane, is_blocked);
		sim_net_block_one_way(other, one, plane, is_blocked);
	}
}

void sim_net_heal(struct sim *sim)
{
	struct sim_link *links = &sim->links[0][0][0];

	sim_trace(sim, "heal", 0, 0, 0);
	for (size_t i = 0; i < sizeof(sim->links) / sizeof(*links); i++) {
		links[i].block_count = 0;
		links[i].corrupt_chance = 0;
		links[i].extra_ns = 0;
		links[i].extra_ns_per_kib = 0;
	}
	for (uint32_t i = 0; i < sim->process_count; i++)
		sim->processes[i]->is_refusing = false;
}

static void connection_reset(struct connection *connection)
{
	struct sim *sim = connection->sim;

	sim_trace(sim, "reset", connection->id, 0, 0);
	for (int i = 0; i < 2; i++)
		sim_event_schedule(sim, &connection->ends[i].reset,
				   sim_draw(sim, 0, RESET_SPREAD_NS));
}

uint32_t sim_net_connection_count(const struct sim *sim)
{
	uint32_t count = 0;

	list_for_each (node, &sim->connections)
		count++;
	return count;
}

uint32_t sim_net_orphan_count(const struct sim *sim, bool is_client_gone)
{
	uint32_t gone = is_client_gone ? 0 : 1;
	uint32_t count = 0;

	list_for_each (node, &sim->connections) {
		const struct connection *connection = list_entry(node, struct connection, link);

		count += !connection->ends[gone].is_open && connection->ends[1 - gone].is_open;
	}
	return count;
}

uint64_t sim_net_connections_made(const struct sim *sim)
{
	return sim->connection_id_next;
}

static bool connection_is_between(const struct connection *connection,
				  const struct sim_process *one, const struct sim_process *other)
{
	const struct sim_process *client = connection->ends[0].process;
	const struct sim_process *server = connection->ends[1].process;

	return (client == one && server == other) || (client == other && server == one);
}

static struct connection *connection_pick(struct sim_process *one, struct sim_process *other,
					  uint64_t pick)
{
	uint32_t count = 0;

	list_for_each (node, &one->sim->connections)
		count += connection_is_between(list_entry(node, struct connection, link), one,
					       other);
	if (count == 0)
		return NULL;
	pick %= count;
	list_for_each (node, &one->sim->connections) {
		struct connection *connection = list_entry(node, struct connection, link);

		if (connection_is_between(connection, one, other) && pick-- == 0)
			return connection;
	}
	ASSERT(!"one of those that were counted");
}

bool sim_net_reset_one(struct sim_process *one, struct sim_process *other, uint64_t pick)
{
	struct connection *connection = connection_pick(one, other, pick);

	if (connection != NULL)
		connection_reset(connection);
	return connection != NULL;
}

bool sim_net_cut_one(struct sim_process *one, struct sim_process *other, uint64_t pick,
		     uint32_t byte_count)
{
	struct connection *connection = connection_pick(one, other, pick);

	if (connection == NULL)
		return false;
	sim_trace(one->sim, "cut begins", connection->id, byte_count, 0);
	connection->is_cutting = true;
	connection->cut_left_bytes = byte_count;
	return true;
}

bool sim_net_half_open_one(struct sim_process *one, struct sim_process *other, uint64_t pick,
			   bool is_silent)
{
	struct connection *connection = connection_pick(one, other, pick);
	struct end *end;

	if (connection == NULL)
		return false;
	end = &connection->ends[connection->ends[0].process == one ? 0 : 1];
	sim_trace(one->sim, "half open", connection->id, end->index, is_silent);
	end->is_black_hole = is_silent;
	end_fail(end, -ETIMEDOUT);
	return true;
}

void sim_net_mend_between(struct sim_process *one, struct sim_process *other)
{
	list_for_each (node, &one->sim->connections) {
		struct connection *connection = list_entry(node, struct connection, link);

		if (!connection_is_between(connection, one, other))
			continue;
		connection->is_cutting = false;
		connection->ends[0].is_black_hole = false;
		connection->ends[1].is_black_hole = false;
	}
}

uint32_t sim_net_reset_between(struct sim_process *one, struct sim_process *other)
{
	uint32_t count = 0;

	list_for_each (node, &one->sim->connections) {
		struct connection *connection = list_entry(node, struct connection, link);

		if (connection_is_between(connection, one, other)) {
			connection_reset(connection);
			count++;
		}
	}
	return count;
}

void sim_net_refuse(struct sim_process *process, bool is_refusing)
{
	process->is_refusing = is_refusing;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c - one TCP connection, that is one queue pair, from accept to its last byte.
 *
 *	accept -> ICREQ -> CONNECT -> MOVING -> CONNECT -> LIVE
 *	                      |  (discovery stays on main)   ^
 *	                      +------------------------------+
 *	any but MOVING --connection_fatal--> LINGER --> CLOSING
 *	any but MOVING --connection_close--> CLOSING: START -> SOCKET -> COMMANDS -> FREE
 *
 * Strangers are cheap: until Connect a connection has one command slot and 1 KiB for its data, all
 * inside its struct, no pool buffers, and a deadline. Slots for the negotiated queue depth come
 * with the answered Connect.
 *
 * Invariants:
 *  1. A connection is touched by one reactor at a time; the move is the only hand-over.
 *  2. It is freed when its socket is gone and every command slot is idle, and not earlier.
 *  3. Nothing begins on a connection that is ending; what is out at a bdev is awaited.
 */
#include "target/target_parts_impl.h"

#include "base/memory.h"
#include "base/planted.h"

#include <errno.h>
#include <stdatomic.h>

#define WATCHDOG_PARTS 4  /* looks this often within a time-out */
#define STRANGER_PARTS 10 /* of the handshake's time-out, one is a fair time */

/* ---- time ---- */

static void deadline_expired(struct reactor_timer *timer)
{
	struct connection *connection = container_of(timer, struct connection, deadline);

	COUNT_IF(connection->state < CONNECTION_LINGER, "target_handshake_timeout");
	connection_close(connection, connection->state == CONNECTION_LINGER
					     ? "fatal transport error"
					     : "handshake took too long");
}

static uint64_t watchdog_interval_ns(const struct connection *connection)
{
	ASSERT(connection->target != NULL);
	ASSERT(connection->target->options.stall_timeout_ms >= WATCHDOG_PARTS);
	return connection->target->options.stall_timeout_ms * 1000000ULL / WATCHDOG_PARTS;
}

/* Counts the looks at which nothing had changed since the one before. Return: true when these were
 * enough. What began since then has its whole time before it. */
static bool watched_is_stuck(struct watched *watched, bool is_busy, uint64_t progress)
{
	ASSERT(watched->stuck_count < WATCHDOG_PARTS);
	ASSERT(progress >= watched->progress);
	if (!is_busy || !watched->is_busy || progress != watched->progress)
		watched->stuck_count = 0;
	else
		watched->stuck_count++;
	watched->is_busy = is_busy;
	watched->progress = progress;
	return watched->stuck_count == WATCHDOG_PARTS;
}

/* A host that does not read, or does not deliver what it announced, holds memory: not for ever.
 * Of a PDU that has begun the end must come, a byte now and then is not enough. */
static void watchdog_expired(struct reactor_timer *timer)
{
	struct connection *connection = container_of(timer, struct connection, watchdog);
	bool is_sending = connection->send.is_sending;
	bool is_awaiting = connection->awaited_data_count > 0;
	bool is_inside_pdu = receive_is_inside_pdu(connection);
	const char *reason = NULL;

	ASSERT(connection->state != CONNECTION_CLOSING);
	ASSERT(connection->state != CONNECTION_MOVING);
	if (!is_sending && !is_awaiting && !is_inside_pdu)
		return; /* armed again by connection_watch() */
	if (watched_is_stuck(&connection->watched_pdus, is_inside_pdu, connection->received_pdus))
		reason = "the host does not end its PDU";
	if (watched_is_stuck(&connection->watched_data, is_awaiting, connection->received_progress))
		reason = "the host does not send its data";
	if (watched_is_stuck(&connection->watched_sends, is_sending, connection->send.sent_count))
		reason = "the host does not read";
	if (reason != NULL) {
		REACHED("target_stalled_host_closed");
		connection_close(connection, reason);
		return;
	}
	reactor_timer_start(timer, watchdog_interval_ns(connection));
}

void connection_watch(struct connection *connection)
{
	ASSERT(connection->target != NULL);
	ASSERT(connection->state != CONNECTION_CLOSING);
	ASSERT(connection->state != CONNECTION_MOVING);
	if (reactor_timer_is_armed(&connection->watchdog))
		return;
	connection->watched_sends = (struct watched){.is_busy = connection->send.is_sending,
						     .progress = connection->send.sent_count};
	connection->watched_data = (struct watched){.is_busy = connection->awaited_data_count > 0,
						    .progress = connection->received_progress};
	connection->watched_pdus = (struct watched){.is_busy = receive_is_inside_pdu(connection),
						    .progress = connection->received_pdus};
	reactor_timer_start(&connection->watchdog, watchdog_interval_ns(connection));
}

/* ---- the end ---- */

/* Whatever can leave its line does; what is at a bdev or waits for a lock comes back by itself. */
static void close_begin(struct connection *connection)
{
	ASSERT(connection->target != NULL);
	ASSERT(connection->state == CONNECTION_CLOSING);
	REACHED_IF(connection->busy_count > 0, "target_connection_ends_with_commands");
	if (connection->controller != NULL)
		controller_lose_queue(connection);
	op_unwake(&connection->receive.op);
	connection->receive.command = NULL;
	for (struct command *command = connection_busy_next(connection, NULL); command != NULL;
	     command = connection_busy_next(connection, command))
		command_cancel(command);
}

static enum op_flow close_socket(struct connection *connection)
{
	struct os_socket *socket = connection->socket;

	ASSERT(connection->target != NULL);
	ASSERT(socket != NULL);
	connection->socket = NULL;
	op_wait(&connection->close_op);
	os_socket_close(socket, &connection->close_op);
	return op_join(&connection->close_op);
}

static void connection_free(struct connection *connection)
{
	struct target *target = connection->target;
	struct target_subsystem *subsystem = connection->subsystem;

	ASSERT(connection->busy_count == 0 && connection->awaited_data_count == 0);
	ASSERT(connection->state == CONNECTION_CLOSING);
	ASSERT(connection->socket == NULL);
	ASSERT(connection->unanswered_count == 0);
	ASSERT(!connection->send.is_sending);
	ASSERT(!reactor_timer_is_armed(&connection->deadline));
	list_remove(&connection->link);
	if (connection->is_unauthenticated)
		target->unauthenticated_count--;
	if (connection->controller != NULL)
		controller_drop_queue(connection);
	atomic_fetch_sub_explicit(&target->connection_count, 1, memory_order_relaxed);
	if (!PLANTED(SLOTS_LEAK))
		memory_free_pages(connection->slots,
				  connection->slot_count * sizeof(*connection->slots));
	if (connection->by_cid != &connection->first_bucket)
		memory_free(connection->by_cid);
	memory_free(connection);
	if (subsystem != NULL)
		subsystem_connection_gone(subsystem);
	else
		target_connection_gone(target);
}

static void close_run(struct op *op)
{
	struct connection *connection = container_of(op, struct connection, close_op);

	for (;;) {
		switch (connection->close_step) {
		case CLOSE_BEGIN:
			connection->close_step = CLOSE_SOCKET;
			close_begin(connection);
			break;
		case CLOSE_SOCKET:
			connection->close_step = CLOSE_COMMANDS;
			if (close_socket(connection) == OP_WAIT)
				return;
			break;
		case CLOSE_COMMANDS:
			if (connection->send.is_sending)
				return; /* send_done_run() is queued and wakes this */
			send_drop(connection);
			if (connection->busy_count > 0)
				return; /* connection_command_freed() wakes this */
			connection->close_step = CLOSE_FREE;
			break;
		case CLOSE_FREE:
			op_unwake(op);
			connection_free(connection);
			return;
		}
	}
}

void connection_command_freed(struct connection *connection)
{
	ASSERT(connection->target != NULL);
	ASSERT(connection->busy_count <= connection->slot_count + 1);
	if (connection->state == CONNECTION_CLOSING) {
		if (connection->close_step == CLOSE_COMMANDS && connection->socket == NULL &&
		    !connection->close_op.is_joined)
			op_wake(&connection->close_op);
		return;
	}
	receive_wake(connection);
}

void connection_close(struct connection *connection, const char *reason)
{
	char peer[OS_ADDRESS_TEXT_BYTES];

	ASSERT(connection->target != NULL);
	ASSERT(reason != NULL);
	if (connection->state == CONNECTION_CLOSING)
		return;
	ASSERT(connection->state != CONNECTION_MOVING);
	os_address_format(&connection->peer, peer);
	log_debug(connection->target->log, "target: connection from %s, queue %u ends: %s", peer,
		  connection->qid, reason);
	connection->state = CONNECTION_CLOSING;
	connection->close_step = CLOSE_BEGIN;
	reactor_timer_stop(&connection->deadline);
	if (!PLANTED(TIMER_OF_THE_DEAD))
		reactor_timer_stop(&connection->watchdog);
	op_wake(&connection->close_op);
}

void connection_fatal(struct connection *connection, const struct nvme_tcp_fault *fault,
		      const uint8_t *header)
{
	char peer[OS_ADDRESS_TEXT_BYTES];
	uint32_t size;

	ASSERT(connection->target != NULL);
	ASSERT(fault != NULL && header != NULL);
	if (connection->state >= CONNECTION_LINGER)
		return;
	ASSERT(connection->state != CONNECTION_MOVING);
	os_address_format(&connection->peer, peer);
	log_warn(connection->target->log,
		 "target: fatal error of the connection from %s: status %u, field %u", peer,
		 (unsigned)fault->fes, fault->field_offset);
	REACHED("target_sends_a_termination");
	/* The handshake's answer has left this memory: receive_header() waits for that. */
	ASSERT(list_is_empty(&connection->control_item.link));
	size = nvme_tcp_term_encode(connection->control, NVME_TCP_C2H_TERM, fault, header,
				    connection->receive.stub_bytes);
	send_control(connection, size);
	connection->state = CONNECTION_LINGER;
	reactor_timer_start(&connection->deadline,
			    connection->target->options.linger_timeout_ms * 1000000ULL);
}

/* ---- the move to the subsystem's home ---- */

/* Everything that names the owner's reactor, at accept and again at home. */
static void connection_bind(struct connection *connection, struct reactor *reactor)
{
	ASSERT(reactor != NULL);
	ASSERT(connection->busy_count <= 1);
	connection->reactor = reactor;
	receive_init(connection);
	send_init(connection);
	op_init(&connection->close_op, reactor_ready(reactor), close_run);
	reactor_timer_init(&connection->deadline, reactor, deadline_expired);
	reactor_timer_init(&connection->watchdog, reactor, watchdog_expired);
}

static void connection_arrived(struct reactor_message *message)
{
	struct connection *connection = container_of(message, struct connection, move_message);
	struct target_subsystem *subsystem = connection->subsystem;

	ASSERT(connection->state == CONNECTION_MOVING);
	ASSERT(connection->first.is_parked);
	ASSERT(connection->slots == NULL && connection->controller == NULL);
	connection_bind(connection, subsystem->home);
	connection->first.op.queue = reactor_ready(subsystem->home);
	connection->state = CONNECTION_CONNECT;
	list_push_back(&subsystem->connections, &connection->link);
	subsystem->connection_count++;
	os_socket_attach(reactor_ring(subsystem->home), connection->socket);
	os_socket_start(connection->socket, &connection->receive.op);
	reactor_timer_start(&connection->deadline,
			    connection->target->options.handshake_timeout_ms * 1000000ULL);
	command_unpark(&connection->first);
}

static void connection_leave_main(struct connection *connection)
{
	ASSERT(connection->target != NULL);
	ASSERT(connection->target->unauthenticated_count > 0);
	ASSERT(connection->is_unauthenticated);
	list_remove(&connection->link);
	connection->is_unauthenticated = false;
	connection->target->unauthenticated_count--;
}

void connection_adopt(struct connection *connection)
{
	struct target_subsystem *subsystem = connection->subsystem;

	ASSERT(connection->target != NULL);
	ASSERT(connection->state == CONNECTION_CONNECT);
	ASSERT(subsystem->home == connection->reactor);
	connection_leave_main(connection);
	list_push_back(&subsystem->connections, &connection->link);
	subsystem->connection_count++;
}

void connection_move(struct connection *connection)
{
	ASSERT(connection->state == CONNECTION_MOVING);
	ASSERT(send_is_idle(connection));
	ASSERT(connection->first.is_parked);
	connection_leave_main(connection);
	op_unwake(&connection->receive.op);
	op_unwake(&connection->send.op);
	connection->move_message.run = connection_arrived;
	reactor_send(connection->subsystem->home, &connection->move_message);
}

/* ---- the beginning ---- */

int connection_size(struct connection *connection, uint32_t depth)
{
	uint32_t count = depth + COMMAND_SLOTS_SPARE;
	uint32_t bucket_count = 16;

	ASSERT(connection->slots == NULL);
	ASSERT(depth >= 2 && depth <= TARGET_QUEUE_DEPTH_MAX);
	while (bucket_count < count)
		bucket_count *= 2;
	/* Pages, so that what thousands of connections had goes back to the system with them. */
	connection->slots = memory_alloc_pages(count * sizeof(*connection->slots));
	if (connection->slots == NULL)
		return -ENOMEM;
	command_forget_cid(&connection->first);
	connection->by_cid = memory_alloc_array(bucket_count, sizeof(*connection->by_cid));
	if (connection->by_cid == NULL) {
		connection->by_cid = &connection->first_bucket;
		memory_free_pages(connection->slots, count * sizeof(*connection->slots));
		connection->slots = NULL;
		return -ENOMEM;
	}
	connection->bucket_mask = bucket_count - 1;
	connection->slot_count = count;
	for (uint32_t i = count; i > 0; i--) {
		struct command *command = &connection->slots[i - 1];

		command_slot_init(command, connection, (uint16_t)i);
		list_push_front(&connection->free, &command->link);
	}
	return 0;
}

static struct connection *connection_create(struct target *target, struct os_socket *socket)
{
	struct connection *connection = memory_alloc(sizeof(*connection));

	ASSERT(target->main != NULL);
	ASSERT(socket != NULL);
	if (connection == NULL)
		return NULL;
	connection->target = target;
	connection->socket = socket;
	connection->state = CONNECTION_ICREQ;
	connection->rules =
		(struct nvme_tcp_rules){.side = NVME_TCP_HOST_TO_CONTROLLER,
					.alignment = 4,
					.capsule_data_bytes_max = NVME_TCP_ADMIN_CAPSULE_BYTES,
					.data_bytes_max = IO_BYTES_MAX};
	list_init(&connection->link);
	list_init(&connection->free);
	list_init(&connection->control_item.link);
	connection->by_cid = &connection->first_bucket;
	connection_bind(connection, target->main);
	command_slot_init(&connection->first, connection, 0);
	list_push_back(&connection->free, &connection->first.link);
	os_socket_peer(socket, &connection->peer);
	return connection;
}

/* When there are too many strangers, the one that has been there longest goes if it had a fair
 * time: else a few idle sockets would keep all hosts out. A storm of good hosts is not harmed,
 * since the young ones stay. Return: true when one goes. */
static bool strangers_yield(struct target *target)
{
	uint64_t fair_ns = target->options.handshake_timeout_ms * 1000000ULL / STRANGER_PARTS;
	uint64_t now_ns = reactor_now_ns(target->main);

	ASSERT(target->unauthenticated_count > 0);
	ASSERT(target->options.unauthenticated_count_max > 0);
	list_for_each (node, &target->connections) {
		struct connection *connection = list_entry(node, struct connection, link);

		if (connection->state == CONNECTION_MOVING ||
		    connection->state >= CONNECTION_LINGER)
			continue;
		if (now_ns - connection->accepted_ns < fair_ns)
			return false; /* the others are younger */
		COUNT_IF(true, "target_stranger_yields");
		connection_close(connection, "others want its place");
		return true;
	}
	return false;
}

void connection_accept(struct target *target, struct os_socket *socket)
{
	struct connection *connection;
	bool is_crowded =
		target->unauthenticated_count >= target->options.unauthenticated_count_max;

	ASSERT(target->main != NULL);
	ASSERT(socket != NULL);
	if (target_connection_count(target) >= target->options.connection_count_max ||
	    (is_crowded && !strangers_yield(target))) {
		COUNT_IF(true, "target_connection_refused");
		os_socket_close(socket, NULL);
		return;
	}
	connection = connection_create(target, socket);
	if (connection == NULL) {
		os_socket_close(socket, NULL);
		return;
	}
	connection->is_unauthenticated = true;
	connection->accepted_ns = reactor_now_ns(target->main);
	target->unauthenticated_count++;
	atomic_fetch_add_explicit(&target->connection_count, 1, memory_order_relaxed);
	list_push_back(&target->connections, &connection->link);
	reactor_timer_start(&connection->deadline,
			    target->options.handshake_timeout_ms * 1000000ULL);
	os_socket_start(socket, &connection->receive.op);
}

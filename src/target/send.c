/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - what a connection has to say, batched: one os_send at a time, many PDUs each.
 *
 * Answers are queued while the turn goes on; in its late phase send_run() puts as many as fit into
 * one list of iovecs, headers and payload side by side, and hands it to the system. While that is
 * out, further answers gather and make the next batch, so batches grow by themselves under load.
 *
 *	queue --send_collect--> sending --(system)--> send_done_run: command_sent
 *
 * Invariants:
 *  1. PDUs leave in the order of send_enqueue().
 *  2. An item and the memory that it names stay untouched from send_enqueue() until it left both
 *     lists; what an R2T that is still out at the end is in, until the connection is freed.
 *  3. At most one os_send of a connection is out.
 */
#include "target/target_parts_impl.h"

#include "base/planted.h"

#include <errno.h>
#include <string.h>

/* Between header and data when the host asked for alignment: up to (31 + 1) * 4 bytes. */
static const uint8_t send_padding[128];

#define ITEM_IOVS_MAX 4

static uint32_t send_add(struct send *send, uint32_t count, const void *bytes, uint32_t size_bytes)
{
	ASSERT(count < SEND_IOV_MAX);
	ASSERT(size_bytes == 0 || bytes != NULL);

	if (size_bytes == 0)
		return count;
	send->iov[count] =
		(struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size_bytes};
	return count + 1;
}

static uint32_t send_add_item(struct send *send, uint32_t count, const struct send_item *item)
{
	ASSERT(item->head_bytes <= sizeof(item->head));
	ASSERT(item->tail_bytes <= sizeof(item->tail));
	ASSERT(item->pad_bytes <= sizeof(send_padding));

	count = send_add(send, count, item->head, item->head_bytes);
	if (PLANTED(ANSWERED_TWICE) && item->answer != NULL && item->answer->is_write)
		count = send_add(send, count, item->head, item->head_bytes);
	count = send_add(send, count, send_padding, item->pad_bytes);
	count = send_add(send, count, item->data, item->data_bytes);
	return send_add(send, count, item->tail, item->tail_bytes);
}

/* Moves what fits from the queue into the batch. Return: how many iovecs it has. */
static uint32_t send_collect(struct send *send)
{
	uint32_t count = 0, bytes = 0, bytes_max = SEND_BYTES_MAX;

	ASSERT(!send->is_sending);
	ASSERT(list_is_empty(&send->sending));
	/* See SEND_BYTES_MAX. */
	while (count + ITEM_IOVS_MAX <= SEND_IOV_MAX && bytes < bytes_max) {
		struct list_node *node = list_pop_front(&send->queue);
		struct send_item *item;

		if (node == NULL)
			break;
		item = list_entry(node, struct send_item, link);
		list_push_back(&send->sending, node);
		item->is_handed_over = true;
		bytes += item->head_bytes + item->data_bytes;
		if (item->data_bytes >= SEND_LARGE_BYTES)
			bytes_max = SEND_LARGE_BYTES_MAX;
		count = send_add_item(send, count, item);
	}
	return count;
}

/* Late in the turn: everything that the turn has produced goes out at once. */
static void send_run(struct op *op)
{
	struct connection *connection = container_of(op, struct connection, send.op);
	struct send *send = &connection->send;
	uint32_t iov_count;

	if (send->is_sending || connection->state == CONNECTION_CLOSING)
		return;
	iov_count = send_collect(send);
	if (iov_count == 0)
		return;
	send->is_sending = true;
	send->os = (struct os_send){
		.parent = &send->done_op, .iov = send->iov, .iov_count = iov_count};
	op_wait(&send->done_op);
	os_socket_send(connection->socket, &send->os);
	connection_watch(connection);
	if (op_join(&send->done_op) == OP_NEXT)
		op_wake(&send->done_op);
}

/* The system has taken the batch, or the connection has failed. */
static void send_done_run(struct op *op)
{
	struct connection *connection = container_of(op, struct connection, send.done_op);
	struct send *send = &connection->send;
	struct list_node *node;

	ASSERT(send->is_sending);
	ASSERT(send->done_op.pending == 0);
	send->is_sending = false;
	send->sent_count++;
	while ((node = list_pop_front(&send->sending)) != NULL) {
		struct send_item *item = list_entry(node, struct send_item, link);

		if (item->answer != NULL)
			command_sent(item->answer);
	}
	if (send->os.result != 0)
		connection_close(connection, "send failed");
	else if (!list_is_empty(&send->queue))
		op_wake(&send->op);
	if (connection->state == CONNECTION_CLOSING)
		connection_command_freed(connection); /* the end may have waited for this */
	else
		receive_wake(connection);
}

void send_init(struct connection *connection)
{
	struct send *send = &connection->send;

	ASSERT(connection->reactor != NULL);
	ASSERT(!send->is_sending);
	op_init(&send->op, reactor_late(connection->reactor), send_run);
	op_init(&send->done_op, reactor_ready(connection->reactor), send_done_run);
	list_init(&send->queue);
	list_init(&send->sending);
}

void send_enqueue(struct connection *connection, struct send_item *item)
{
	struct send *send = &connection->send;

	ASSERT(connection->state != CONNECTION_CLOSING);
	ASSERT(connection->state != CONNECTION_MOVING);
	item->is_handed_over = false;
	list_push_back(&send->queue, &item->link);
	if (!send->is_sending)
		op_wake(&send->op);
}

void send_drop(struct connection *connection)
{
	struct list_node *node;

	ASSERT(connection->socket == NULL);
	ASSERT(list_is_empty(&connection->send.sending));
	op_unwake(&connection->send.op);
	while ((node = list_pop_front(&connection->send.queue)) != NULL) {
		struct send_item *item = list_entry(node, struct send_item, link);

		if (item->answer != NULL)
			command_sent(item->answer);
	}
}

bool send_is_idle(const struct connection *connection)
{
	ASSERT(connection->target != NULL);
	ASSERT(connection->state <= CONNECTION_CLOSING);
	return !connection->send.is_sending && list_is_empty(&connection->send.queue);
}

void send_control(struct connection *connection, uint32_t size_bytes)
{
	struct send_item *item = &connection->control_item;

	ASSERT(size_bytes > 0 && size_bytes <= sizeof(connection->control));
	ASSERT(list_is_empty(&item->link));
	*item = (struct send_item){.data = connection->control, .data_bytes = size_bytes};
	list_init(&item->link);
	send_enqueue(connection, item);
}

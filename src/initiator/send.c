/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - collects the PDUs of a turn into one send.
 *
 *	COLLECT -- something is ready --> WAIT -- all of it is with the kernel --> COLLECT
 *
 * A PDU that does not fit into the batch (iovecs, bytes) goes on in the next one; until it is
 * complete it is `current`, and no other PDU begins.
 *
 * Invariants:
 *  1. A slot has at most one PDU in a batch, so one head and one digest per slot are enough.
 *  2. A slot is in `ready` or in `in_batch` or in neither, by one link.
 *  3. The digest of data is computed when its PDU begins; the data does not change before it is
 *     answered (bdev.h).
 */
#include "initiator/queue_impl.h"

#include "base/crc32c.h"

/* What holds between two steps. */
static void send_check(const struct queue_send *send)
{
	ASSERT(send->iov_count <= SEND_IOV_COUNT);
	ASSERT(send->raw_bytes <= sizeof(send->raw));
	ASSERT(send->current != NULL || send->current_left_bytes == 0);
	ASSERT(send->current == NULL || send->current->is_in_batch);
	switch (send->step) {
	case SEND_COLLECT:
		ASSERT(send->op.pending == 0 && !send->op.is_joined);
		/* A batch is over, so only the slot that goes on in the next one refers to it. */
		ASSERT((send->current != NULL) == !list_is_empty(&send->in_batch));
		break;
	case SEND_WAIT:
		ASSERT(send->op.pending <= 1);
		ASSERT(send->iov_count > 0 && send->batch_bytes > 0);
		break;
	}
}

/* Return: whether all members of a list of slots are in the batch, or none. */
static bool slots_are_in_batch(const struct list_node *slots, bool is_in_batch)
{
	list_for_each (node, slots) {
		const struct queue_slot *slot = list_entry(node, struct queue_slot, link);

		ASSERT(slot->state != SLOT_FREE);
		if (slot->is_in_batch != is_in_batch)
			return false;
	}
	return true;
}

static void batch_add(struct queue_send *send, void *bytes, size_t size_bytes)
{
	ASSERT(send->iov_count < SEND_IOV_COUNT);
	ASSERT(size_bytes > 0);
	ASSERT(size_bytes <= UINT32_MAX - send->batch_bytes);
	ASSERT(send->step == SEND_COLLECT); /* the system reads iov otherwise */
	send->iov[send->iov_count++] = (struct iovec){bytes, size_bytes};
	send->batch_bytes += (uint32_t)size_bytes;
}

static bool batch_has_room(const struct queue_send *send)
{
	/* Small PDUs never bring it so far. */
	uint32_t bytes_max =
		send->batch_bytes >= SEND_LARGE_BYTES ? SEND_LARGE_BYTES_MAX : SEND_BYTES_MAX;

	/* Head, one piece of data, digest. */
	return send->iov_count + 3 <= SEND_IOV_COUNT && send->batch_bytes < bytes_max;
}

/* The next H2CData of the slot's oldest R2T. Return: its data bytes. */
static uint32_t pdu_begin_data(struct queue_send *send, struct queue_slot *slot)
{
	struct r2t *r2t = &slot->r2ts[0];
	struct nvme_tcp_transfer transfer = {
		.cid = slot->cid,
		.tag = r2t->tag,
		.offset = r2t->offset,
		.length = r2t->left_bytes,
	};

	ASSERT(slot->r2t_count > 0 && r2t->left_bytes > 0);
	ASSERT(slot->direction == NVME_DATA_TO_CONTROLLER && !slot->is_in_capsule);
	ASSERT(r2t->offset + r2t->left_bytes <= slot->requested_bytes);
	ASSERT(send->data_bytes_max > 0);
	if (transfer.length > send->data_bytes_max)
		transfer.length = send->data_bytes_max;
	r2t->offset += transfer.length;
	r2t->left_bytes -= transfer.length;
	nvme_tcp_h2c_encode((struct nvme_tcp_data *)slot->head, &send->frame, &transfer,
			    r2t->left_bytes == 0);
	if (r2t->left_bytes == 0) {
		slot->r2t_count--;
		memmove(&slot->r2ts[0], &slot->r2ts[1], slot->r2t_count * sizeof(*r2t));
	}
	ASSERT(transfer.length > 0);
	ASSERT(transfer.offset + transfer.length <= slot->data_bytes);
	return transfer.length;
}

static struct le32 data_digest(struct iov_cursor cursor, uint32_t size_bytes)
{
	uint32_t crc = CRC32C_INIT;

	ASSERT(size_bytes > 0);
	while (size_bytes > 0) {
		struct iovec run = cursor_run(&cursor, size_bytes);

		crc = crc32c_update(crc, run.iov_base, run.iov_len);
		size_bytes -= (uint32_t)run.iov_len;
	}
	return le32_store(crc32c_finish(crc));
}

/* Makes the head of the slot's next PDU, which becomes the current one. */
static void pdu_begin(struct queue_send *send, struct queue_slot *slot)
{
	uint32_t header_bytes = sizeof(struct nvme_tcp_capsule_command);
	uint32_t data_bytes = slot->is_in_capsule ? slot->data_bytes : 0;
	uint32_t head_bytes, used_bytes;

	ASSERT(send->current == NULL && !slot->is_in_batch);
	ASSERT(slot->state == SLOT_ACTIVE && slot->command != NULL);
	ASSERT(list_is_empty(&slot->link));
	if (slot->is_capsule_begun) {
		header_bytes = sizeof(struct nvme_tcp_data);
		data_bytes = pdu_begin_data(send, slot);
	}
	slot->is_capsule_begun = true;
	used_bytes = header_bytes;
	if (send->frame.has_header_digest) {
		struct le32 digest = nvme_tcp_header_digest(slot->head, header_bytes);

		memcpy(slot->head + header_bytes, &digest, sizeof(digest));
		used_bytes += NVME_TCP_DIGEST_BYTES;
	}
	head_bytes = data_bytes > 0 ? nvme_tcp_data_offset(&send->frame, header_bytes) : used_bytes;
	ASSERT(head_bytes >= used_bytes && head_bytes <= PDU_HEAD_BYTES);
	ASSERT(data_bytes <= slot->data_bytes);
	memset(slot->head + used_bytes, 0, head_bytes - used_bytes);
	send->current = slot;
	send->current_left_bytes = data_bytes;
	send->has_data_digest = data_bytes > 0 && send->frame.has_data_digest;
	if (send->has_data_digest)
		slot->data_digest = data_digest(slot->cursor, data_bytes);
	slot->is_in_batch = true;
	list_push_back(&send->in_batch, &slot->link);
	batch_add(send, slot->head, head_bytes);
}

/* Adds data and digest of the current PDU as far as they fit; complete: no PDU is current. */
static void pdu_continue(struct queue_send *send)
{
	struct queue_slot *slot = send->current;

	ASSERT(slot->is_in_batch);
	ASSERT(slot->state != SLOT_FREE); /* answered is possible: what has begun must end */
	ASSERT(send->current_left_bytes <= slot->data_bytes);
	while (send->current_left_bytes > 0 && send->iov_count < SEND_IOV_COUNT) {
		struct iovec run = cursor_run(&slot->cursor, send->current_left_bytes);

		batch_add(send, run.iov_base, run.iov_len);
		send->current_left_bytes -= (uint32_t)run.iov_len;
	}
	if (send->current_left_bytes > 0)
		return;
	if (send->has_data_digest) {
		if (send->iov_count == SEND_IOV_COUNT)
			return;
		batch_add(send, &slot->data_digest, sizeof(slot->data_digest));
	}
	send->current = NULL;
}

/* Fills the batch. A failing queue sends nothing more but its terminate request. */
static void send_collect(struct initiator_queue *queue)
{
	struct queue_send *send = &queue->send;

	ASSERT(send->op.pending == 0);
	ASSERT_SLOW(slots_are_in_batch(&send->ready, false));
	send->iov_count = 0;
	send->batch_bytes = 0;
	if (queue->socket == NULL)
		return;
	if (send->raw_bytes > 0 && send->current == NULL) {
		batch_add(send, send->raw, send->raw_bytes);
		send->raw_bytes = 0;
	}
	if (queue->error != 0)
		return;
	if (send->current != NULL)
		pdu_continue(send);
	while (send->current == NULL && batch_has_room(send)) {
		struct list_node *node = list_pop_front(&send->ready);

		if (node == NULL)
			return;
		pdu_begin(send, list_entry(node, struct queue_slot, link));
		pdu_continue(send);
	}
}

static enum op_flow send_submit(struct initiator_queue *queue)
{
	struct queue_send *send = &queue->send;

	ASSERT(send->iov_count > 0);
	ASSERT(queue->socket != NULL);
	ASSERT(send->op.pending == 0);
	ASSERT_SLOW(slots_are_in_batch(&send->in_batch, true));
	send->batch = (struct os_send){
		.parent = &send->op, .iov = send->iov, .iov_count = send->iov_count};
	op_wait(&send->op);
	os_socket_send(queue->socket, &send->batch);
	return op_join(&send->op);
}

/* The system no longer refers to the batch. */
static void send_settle(struct initiator_queue *queue)
{
	struct queue_send *send = &queue->send;
	struct list_node slots;
	struct list_node *node;

	ASSERT(send->op.pending == 0); /* invariant: no answer before this point */
	ASSERT(send->batch.result <= 0);
	list_init(&slots);
	list_splice_back(&slots, &send->in_batch);
	while ((node = list_pop_front(&slots)) != NULL) {
		struct queue_slot *slot = list_entry(node, struct queue_slot, link);

		ASSERT(slot->is_in_batch);
		ASSERT(slot->state != SLOT_FREE);
		if (slot == send->current) {
			list_push_back(&send->in_batch, node);
			continue;
		}
		slot->is_in_batch = false;
		queue_slot_sent(queue, slot);
	}
	if (send->batch.result < 0)
		queue_fail(queue, send->batch.result);
	if (queue->error != 0)
		queue_wake(queue);
	queue_kick(queue);
}

static void send_run(struct op *op)
{
	struct initiator_queue *queue = container_of(op, struct initiator_queue, send.op);
	struct queue_send *send = &queue->send;

	op_unwake(op);
	for (;;) {
		send_check(send);
		switch (send->step) {
		case SEND_COLLECT:
			send_collect(queue);
			if (send->iov_count == 0)
				return;
			send->step = SEND_WAIT;
			if (send_submit(queue) == OP_WAIT)
				return;
			break;
		case SEND_WAIT:
			send->step = SEND_COLLECT;
			send_settle(queue);
			op_unwake(op); /* goes on at once */
			break;
		}
	}
}

static void send_wake(struct initiator_queue *queue)
{
	ASSERT(queue->socket != NULL || queue->error != 0 || queue->is_stopping);
	if (queue->send.step == SEND_COLLECT)
		op_wake(&queue->send.op);
}

void send_slot(struct initiator_queue *queue, struct queue_slot *slot)
{
	ASSERT(!slot->is_in_batch && queue->send.current != slot);
	ASSERT(!slot->is_capsule_begun || slot->r2t_count > 0);
	ASSERT(slot->state == SLOT_ACTIVE);
	if (list_is_empty(&slot->link))
		list_push_back(&queue->send.ready, &slot->link);
	send_wake(queue);
}

void send_raw(struct initiator_queue *queue)
{
	ASSERT(queue->send.raw_bytes > 0);
	ASSERT(queue->send.raw_bytes <= sizeof(queue->send.raw));
	ASSERT(queue->send.current == NULL); /* never within a PDU */
	send_wake(queue);
}

void queue_send_init(struct initiator_queue *queue)
{
	struct queue_send *send = &queue->send;

	op_init(&send->op, reactor_late(queue->reactor), send_run);
	send->step = SEND_COLLECT;
	list_init(&send->ready);
	list_init(&send->in_batch);
	send_check(send);
}

void send_start(struct initiator_queue *queue)
{
	struct queue_send *send = &queue->send;

	ASSERT(send->step == SEND_COLLECT && op_is_idle(&send->op));
	ASSERT(list_is_empty(&send->ready) && list_is_empty(&send->in_batch));
	ASSERT(queue->socket != NULL && queue->free_count == queue->slot_count);
	send->current = NULL;
	send->raw_bytes = 0;
	send->frame = (struct nvme_tcp_frame){.alignment = 4};
	send->data_bytes_max = NVME_TCP_MAX_H2C_BYTES_MIN;
}

/* The answer of a batch in flight came before that of the close, so nothing is pending. */
void queue_send_drop(struct initiator_queue *queue)
{
	struct queue_send *send = &queue->send;
	struct list_node *node;

	ASSERT(queue->socket == NULL);
	ASSERT(send->op.pending == 0 && !send->op.is_joined);
	op_unwake(&send->op);
	send->step = SEND_COLLECT;
	send->current = NULL;
	while ((node = list_pop_front(&send->in_batch)) != NULL)
		list_entry(node, struct queue_slot, link)->is_in_batch = false;
	while (list_pop_front(&send->ready) != NULL)
		;
	send->current_left_bytes = 0;
	ASSERT(list_is_empty(&send->in_batch) && list_is_empty(&send->ready));
	ASSERT(op_is_idle(&send->op));
	send_check(send);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* receive.c - the byte stream from the controller.
 *
 *	COMMON -> HEADER -> [PADDING] -> [DATA] -> [DIGEST] -> COMMON
 *
 * Headers are small and are copied together; data goes from the ring's buffers straight to the
 * memory of the I/O.
 *
 * Invariants:
 *  1. Data is placed only for an active slot that asked for data to the host, in order, within its
 *     length: what the controller says is checked before the first byte is copied.
 *  2. A PDU that does not fit the state of its slot ends the connection; nothing is guessed. So a
 *     slot in use outlives the data PDU that is being received for it.
 *  3. Success is believed only when all data has moved: a read that got less, or a write whose
 *     data was not asked for, would be silent corruption.
 */
#include "initiator/queue_impl.h"

#include "base/crc32c.h"
#include "base/planted.h"

#include <errno.h>

#define RECEIVE_BUDGET_BYTES (256 * 1024) /* of one queue in one run */

static void fail_protocol(struct initiator_queue *queue, enum nvme_tcp_fes fes, size_t offset)
{
	struct nvme_tcp_fault fault = {.fes = fes, .field_offset = (uint32_t)offset};

	queue_fail_protocol(queue, &fault);
}

/* What holds between two pieces of the stream. */
static void receive_check(const struct queue_receive *receive)
{
	ASSERT(receive->head_bytes <= sizeof(receive->head));
	switch (receive->step) {
	case RECEIVE_COMMON:
		ASSERT(receive->head_bytes < sizeof(struct nvme_tcp_common));
		ASSERT(receive->slot == NULL);
		return;
	case RECEIVE_HEADER:
		ASSERT(receive->head_bytes >= sizeof(struct nvme_tcp_common));
		ASSERT(receive->slot == NULL);
		return;
	case RECEIVE_PADDING:
		ASSERT(receive->left_bytes > 0);
		break;
	case RECEIVE_DATA:
		ASSERT(receive->left_bytes <= receive->header.data_bytes);
		break;
	case RECEIVE_DIGEST:
		ASSERT(receive->header.has_data_digest);
		ASSERT(receive->head_bytes < NVME_TCP_DIGEST_BYTES);
		ASSERT(receive->left_bytes == 0);
		break;
	}
	ASSERT(receive->slot != NULL && receive->slot->state == SLOT_ACTIVE);
	ASSERT(receive->slot->direction == NVME_DATA_TO_HOST);
	ASSERT(receive->header.data_bytes <= receive->slot->received_bytes);
}

#define CQE_CID_OFFSET \
	(offsetof(struct nvme_tcp_capsule_response, cqe) + offsetof(struct nvme_cqe, cid))

/* Has all data moved that a good response speaks of? */
static bool slot_is_complete(const struct initiator_queue *queue, const struct queue_slot *slot)
{
	ASSERT(slot->state == SLOT_ACTIVE);
	ASSERT(slot->received_bytes <= slot->data_bytes);
	ASSERT(slot->requested_bytes <= slot->data_bytes);
	switch (slot->direction) {
	case NVME_DATA_TO_HOST:
		return slot->received_bytes == slot->data_bytes;
	case NVME_DATA_TO_CONTROLLER:
		if (queue->send.current == slot)
			return false;
		return slot->is_in_capsule ||
		       (slot->requested_bytes == slot->data_bytes && slot->r2t_count == 0);
	case NVME_DATA_NONE:
	case NVME_DATA_BOTH:
		break;
	}
	return true;
}

/* What the controller said is in slot->cqe. */
static void slot_respond(struct initiator_queue *queue, struct queue_slot *slot)
{
	ASSERT(queue->error == 0);
	ASSERT(slot->is_capsule_begun && queue->receive.slot == NULL);
	if (nvme_status_decode(slot->cqe.status).status == NVME_STATUS_SUCCESS &&
	    !slot_is_complete(queue, slot)) {
		fail_protocol(queue, NVME_TCP_FES_SEQUENCE, 0);
		return;
	}
	queue_slot_answer(queue, slot);
}

static void response_handle(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;
	struct nvme_cqe cqe = nvme_tcp_response_decode(receive->head, &receive->header);
	struct queue_slot *slot = queue_slot_find(queue, le16_load(cqe.cid));

	ASSERT(queue->is_initialized && receive->slot == NULL);
	if (slot == NULL || !slot->is_capsule_begun) {
		fail_protocol(queue, NVME_TCP_FES_INVALID_HEADER, CQE_CID_OFFSET);
		return;
	}
	slot->cqe = cqe;
	slot_respond(queue, slot);
}

static void r2t_handle(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;
	struct nvme_tcp_transfer transfer;
	struct nvme_tcp_fault fault;
	struct queue_slot *slot;

	if (nvme_tcp_r2t_decode(receive->head, &receive->header, &transfer, &fault) < 0) {
		queue_fail_protocol(queue, &fault);
		return;
	}
	slot = queue_slot_find(queue, transfer.cid);
	if (slot == NULL || !slot->is_capsule_begun || slot->is_in_capsule ||
	    slot->direction != NVME_DATA_TO_CONTROLLER) {
		fail_protocol(queue, NVME_TCP_FES_INVALID_HEADER,
			      offsetof(struct nvme_tcp_r2t, cccid));
		return;
	}
	if (slot->r2t_count == R2T_COUNT_MAX) {
		fail_protocol(queue, NVME_TCP_FES_LIMIT_EXCEEDED, 0);
		return;
	}
	if (transfer.offset != slot->requested_bytes ||
	    transfer.length > slot->data_bytes - slot->requested_bytes) {
		fail_protocol(queue, NVME_TCP_FES_OUT_OF_RANGE, 0);
		return;
	}
	ASSERT(transfer.length > 0); /* the decoder saw to it */
	slot->requested_bytes += transfer.length;
	ASSERT(slot->requested_bytes <= slot->data_bytes && slot->received_bytes == 0);
	slot->r2ts[slot->r2t_count++] =
		(struct r2t){transfer.tag, transfer.offset, transfer.length};
	if (!slot->is_in_batch && queue->send.current != slot)
		send_slot(queue, slot); /* else queue_slot_sent() does */
}

/* Finds and checks where the data of a C2HData PDU goes. */
static void data_begin(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;
	struct nvme_tcp_transfer transfer;
	struct nvme_tcp_fault fault;
	struct queue_slot *slot;

	ASSERT(receive->slot == NULL);
	if (nvme_tcp_c2h_decode(receive->head, &receive->header, &transfer, &fault) < 0) {
		queue_fail_protocol(queue, &fault);
		return;
	}
	slot = queue_slot_find(queue, transfer.cid);
	if (slot == NULL || !slot->is_capsule_begun || slot->direction != NVME_DATA_TO_HOST) {
		fail_protocol(queue, NVME_TCP_FES_INVALID_HEADER,
			      offsetof(struct nvme_tcp_data, cccid));
		return;
	}
	if (transfer.offset != slot->received_bytes ||
	    transfer.length > slot->data_bytes - slot->received_bytes) {
		fail_protocol(queue, NVME_TCP_FES_OUT_OF_RANGE, 0);
		return;
	}
	if (receive->header.is_last != (transfer.offset + transfer.length == slot->data_bytes)) {
		fail_protocol(queue, NVME_TCP_FES_INVALID_HEADER,
			      offsetof(struct nvme_tcp_common, flags));
		return;
	}
	ASSERT(transfer.length == receive->header.data_bytes); /* the decoder saw to it */
	slot->received_bytes += transfer.length;
	ASSERT(slot->received_bytes <= slot->data_bytes && slot->requested_bytes == 0);
	receive->slot = slot;
	receive->crc = CRC32C_INIT;
}

/* All of a data PDU is here and, if it has a digest, verified or marked. */
static void data_end(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;
	struct queue_slot *slot = receive->slot;

	receive->slot = NULL;
	ASSERT(slot != NULL && slot->state == SLOT_ACTIVE);
	ASSERT(receive->left_bytes == 0);
	ASSERT(queue_slot_find(queue, slot->cid) == slot);
	if (receive->header.is_success) {
		slot->cqe = (struct nvme_cqe){.cid = le16_store(slot->cid)};
		slot_respond(queue, slot);
	}
}

/* NVMe TCP transport 1.0, section 3.6.2.3. */
static void icresp_handle(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;
	struct nvme_tcp_fault fault;
	struct nvme_tcp_ic ic;

	ASSERT(!queue->is_initialized && !queue->is_associated);
	ASSERT(queue->free_count == queue->slot_count);
	if (nvme_tcp_icresp_decode(receive->head, &receive->header, &ic, &fault) < 0) {
		queue_fail_protocol(queue, &fault);
		return;
	}
	/*
	 * The controller may turn digests down. Who asked for them does not want to go on without,
	 * and this very answer has none: a flipped bit in it would switch them off in silence.
	 */
	if (ic.has_header_digest != queue->shared->has_header_digest ||
	    ic.has_data_digest != queue->shared->has_data_digest) {
		fail_protocol(queue, NVME_TCP_FES_INVALID_HEADER,
			      offsetof(struct nvme_tcp_icresp, dgst));
		return;
	}
	receive->memo.is_known = false;
	receive->rules.is_initialized = true;
	receive->rules.has_header_digest = ic.has_header_digest;
	receive->rules.has_data_digest = ic.has_data_digest;
	queue->send.frame = (struct nvme_tcp_frame){
		.has_header_digest = ic.has_header_digest,
		.has_data_digest = ic.has_data_digest,
		.alignment = ic.alignment,
	};
	ASSERT(ic.alignment >= 4 && ic.alignment <= NVME_TCP_ALIGNMENT_MAX);
	ASSERT(ic.data_bytes_max >= NVME_TCP_MAX_H2C_BYTES_MIN);
	queue->send.data_bytes_max = ic.data_bytes_max;
	queue->is_initialized = true;
	queue_wake(queue);
}

static void term_handle(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;
	struct nvme_tcp_fault fault;

	ASSERT(receive->slot == NULL);
	REACHED("initiator_gets_a_termination");
	nvme_tcp_term_decode(receive->head, &receive->header, &fault);
	log_warn(queue->shared->options->log,
		 "initiator %s: queue %u: controller ends the connection: error %d at offset %u",
		 queue->shared->name, queue->parameters.qid, (int)fault.fes, fault.field_offset);
	queue_fail(queue, -ECONNABORTED);
}

/* A whole header: acts on it. Return: what comes next. */
static enum receive_step header_handle(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;
	const struct nvme_tcp_header *header = &receive->header;

	ASSERT(receive->slot == NULL && queue->error == 0);
	ASSERT(header->data_offset >= receive->head_bytes); /* the decoder saw to it */
	if (header->has_header_digest) {
		struct le32 digest = nvme_tcp_header_digest(receive->head, header->header_bytes);

		if (memcmp(&digest, receive->head + header->header_bytes, sizeof(digest)) != 0) {
			REACHED("initiator_header_digest_is_wrong");
			fail_protocol(queue, NVME_TCP_FES_HEADER_DIGEST, le32_load(digest));
			return RECEIVE_COMMON;
		}
	}
	receive->left_bytes = header->data_offset - receive->head_bytes;
	switch (header->type) {
	case NVME_TCP_ICRESP:
		icresp_handle(queue);
		return RECEIVE_COMMON;
	case NVME_TCP_C2H_TERM:
		term_handle(queue); /* the copy of our header that follows is not looked at */
		return RECEIVE_COMMON;
	case NVME_TCP_CAPSULE_RESPONSE:
		response_handle(queue);
		return RECEIVE_COMMON;
	case NVME_TCP_C2H_DATA:
		data_begin(queue);
		break;
	case NVME_TCP_R2T:
		r2t_handle(queue);
		return RECEIVE_COMMON;
	case NVME_TCP_ICREQ:
	case NVME_TCP_H2C_TERM:
	case NVME_TCP_CAPSULE_COMMAND:
	case NVME_TCP_H2C_DATA:
		ASSERT(false); /* the header decoder knows our side */
		break;
	}
	if (receive->left_bytes == 0)
		receive->left_bytes = header->data_bytes;
	else
		return RECEIVE_PADDING;
	return RECEIVE_DATA;
}

/* Return: bytes taken. @ret_is_whole: the wanted count is collected. */
static size_t head_collect(struct queue_receive *receive, struct iovec bytes, uint32_t wanted_bytes,
			   bool *ret_is_whole)
{
	size_t missing_bytes = wanted_bytes - receive->head_bytes;
	size_t taken_bytes = bytes.iov_len < missing_bytes ? bytes.iov_len : missing_bytes;

	ASSERT(wanted_bytes <= sizeof(receive->head) && wanted_bytes >= receive->head_bytes);
	ASSERT(bytes.iov_len > 0);
	if (taken_bytes == 16) /* the rest of most headers: a length that the compiler knows */
		memcpy(receive->head + receive->head_bytes, bytes.iov_base, 16);
	else if (taken_bytes == sizeof(struct nvme_tcp_common))
		memcpy(receive->head + receive->head_bytes, bytes.iov_base,
		       sizeof(struct nvme_tcp_common));
	else
		memcpy(receive->head + receive->head_bytes, bytes.iov_base, taken_bytes);
	receive->head_bytes += (uint32_t)taken_bytes;
	ASSERT(receive->head_bytes <= wanted_bytes);
	*ret_is_whole = receive->head_bytes == wanted_bytes;
	return taken_bytes;
}

static bool common_handle(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;
	struct nvme_tcp_fault fault;
	int rc;

	ASSERT(receive->head_bytes == sizeof(struct nvme_tcp_common));
	rc = nvme_tcp_header_recall(&receive->memo, receive->head, &receive->rules,
				    &receive->header, &fault);
	ASSERT(rc < 0 || receive->header.header_bytes > receive->head_bytes);
	if (rc < 0)
		queue_fail_protocol(queue, &fault);
	return rc == 0;
}

static size_t data_take(struct queue_receive *receive, struct iovec bytes)
{
	size_t taken_bytes =
		bytes.iov_len < receive->left_bytes ? bytes.iov_len : receive->left_bytes;

	ASSERT(receive->slot != NULL);
	ASSERT(receive->slot->state == SLOT_ACTIVE && taken_bytes > 0);
	ASSERT(receive->slot->direction == NVME_DATA_TO_HOST);
	receive->left_bytes -= (uint32_t)taken_bytes;
	if (receive->header.has_data_digest)
		receive->crc = crc32c_update(receive->crc, bytes.iov_base, taken_bytes);
	cursor_copy_in(&receive->slot->cursor, bytes.iov_base, taken_bytes);
	return taken_bytes;
}

/*
 * A wrong data digest is no reason to end the connection (NVMe TCP transport 1.0, section 3.3.2.1):
 * the command fails.
 */
static void digest_judge(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;
	struct le32 digest = le32_store(crc32c_finish(receive->crc));

	ASSERT(receive->slot != NULL);
	ASSERT(receive->header.has_data_digest && receive->left_bytes == 0);
	if (memcmp(&digest, receive->head, sizeof(digest)) == 0 || PLANTED(READ_DIGEST_NOT_CHECKED))
		return;
	REACHED("initiator_data_digest_is_wrong");
	receive->slot->is_digest_wrong = true;
	log_warn(queue->shared->options->log, "initiator %s: queue %u: wrong data digest",
		 queue->shared->name, queue->parameters.qid);
}

static enum receive_step data_next(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;

	ASSERT(receive->left_bytes == 0 && receive->slot != NULL);
	receive->head_bytes = 0;
	if (receive->header.has_data_digest)
		return RECEIVE_DIGEST;
	data_end(queue);
	return RECEIVE_COMMON;
}

/* Moves on by one piece of a PDU; assigns the step. Return: bytes used. */
static size_t receive_piece(struct initiator_queue *queue, struct iovec bytes)
{
	struct queue_receive *receive = &queue->receive;
	size_t used_bytes = 0;
	bool is_whole;

	receive_check(receive);
	switch (receive->step) {
	case RECEIVE_COMMON:
		used_bytes =
			head_collect(receive, bytes, sizeof(struct nvme_tcp_common), &is_whole);
		if (is_whole && common_handle(queue))
			receive->step = RECEIVE_HEADER;
		break;
	case RECEIVE_HEADER:
		used_bytes = head_collect(
			receive, bytes,
			receive->header.header_bytes +
				(receive->header.has_header_digest ? NVME_TCP_DIGEST_BYTES : 0),
			&is_whole);
		if (!is_whole)
			break;
		receive->step = header_handle(queue);
		if (receive->step == RECEIVE_COMMON)
			receive->head_bytes = 0;
		break;
	case RECEIVE_PADDING:
		used_bytes =
			bytes.iov_len < receive->left_bytes ? bytes.iov_len : receive->left_bytes;
		receive->left_bytes -= (uint32_t)used_bytes;
		if (receive->left_bytes > 0)
			break;
		receive->left_bytes = receive->header.data_bytes;
		receive->step = RECEIVE_DATA;
		break;
	case RECEIVE_DATA:
		used_bytes = data_take(receive, bytes);
		if (receive->left_bytes == 0)
			receive->step = data_next(queue);
		break;
	case RECEIVE_DIGEST:
		used_bytes = head_collect(receive, bytes, NVME_TCP_DIGEST_BYTES, &is_whole);
		if (!is_whole)
			break;
		digest_judge(queue);
		data_end(queue);
		receive->head_bytes = 0;
		receive->step = RECEIVE_COMMON;
		break;
	}
	ASSERT(used_bytes <= bytes.iov_len);
	return used_bytes;
}

/* All pieces that lie in one buffer. Return: bytes used; fewer when the queue fails. */
static size_t receive_pieces(struct initiator_queue *queue, const uint8_t *bytes, size_t size_bytes)
{
	size_t used_bytes = 0;

	while (used_bytes < size_bytes && queue->error == 0 && queue->socket != NULL) {
		struct iovec rest = {(void *)(uintptr_t)(bytes + used_bytes),
				     size_bytes - used_bytes};
		size_t piece_bytes = receive_piece(queue, rest);

		ASSERT(piece_bytes > 0); /* else the loop had no end */
		used_bytes += piece_bytes;
	}
	ASSERT(used_bytes <= size_bytes);
	return used_bytes;
}

static void receive_run(struct op *op)
{
	struct initiator_queue *queue = container_of(op, struct initiator_queue, receive.op);
	size_t budget_bytes = RECEIVE_BUDGET_BYTES;

	while (budget_bytes > 0 && queue->error == 0 && queue->socket != NULL) {
		const uint8_t *bytes;
		ssize_t size_bytes = os_socket_peek(queue->socket, &bytes);
		size_t used_bytes;

		if (size_bytes == 0)
			break;
		if (size_bytes < 0) {
			queue_fail(queue, size_bytes == -ENOTCONN ? -ECONNRESET : (int)size_bytes);
			break;
		}
		if ((size_t)size_bytes > budget_bytes)
			size_bytes = (ssize_t)budget_bytes;
		used_bytes = receive_pieces(queue, bytes, (size_t)size_bytes);
		ASSERT(used_bytes <= budget_bytes);
		budget_bytes -= used_bytes;
		if (queue->socket != NULL)
			os_socket_consume(queue->socket, used_bytes);
	}
	if (budget_bytes == 0)
		op_wake(op);
	queue_kick(queue);
}

void queue_receive_init(struct initiator_queue *queue)
{
	op_init(&queue->receive.op, reactor_ready(queue->reactor), receive_run);
}

void receive_start(struct initiator_queue *queue)
{
	struct queue_receive *receive = &queue->receive;

	ASSERT(op_is_idle(&receive->op));
	ASSERT(queue->socket != NULL && receive->slot == NULL);
	receive->step = RECEIVE_COMMON;
	receive->head_bytes = 0;
	receive->left_bytes = 0;
	receive->slot = NULL;
	receive->memo.is_known = false;
	receive->rules = (struct nvme_tcp_rules){
		.side = NVME_TCP_CONTROLLER_TO_HOST,
		.alignment = 4, /* our HPDA */
		.data_bytes_max = IO_BYTES_MAX,
	};
	os_socket_start(queue->socket, &receive->op);
}

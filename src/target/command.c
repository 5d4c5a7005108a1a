/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - the life of one command slot, from the received header to the sent answer.
 *
 *	CHARGE -> BUFFER -> COLLECT -> EXECUTE -> ANSWER ~~sent~~> FREE
 *
 * A command waits in one of two ways. For submissions it joins its op (buffers, bdev, locks). For
 * the host or for management it is parked, with its link in the line of whatever it waits for;
 * command_unpark() lets it go on. EXECUTE belongs to other files, which keep their own steps.
 *
 * Invariants:
 *  1. Every started command ends in exactly one answer, or in none when its connection ends.
 *  2. A slot is free only when neither bdev, receiver nor sender uses its memory.
 *  3. No two unanswered commands of a queue have one command id; no more commands are unanswered
 *     than the queue has entries.
 *  4. Transfer tags carry the slot's generation: late data of an earlier command finds nobody.
 */
#include "target/target_parts_impl.h"

#include "base/crc32c.h"
#include "base/planted.h"

#include <string.h>

#define TAG_INDEX_BITS 11
#define TAG_INDEX_MASK ((1u << TAG_INDEX_BITS) - 1)

STATIC_ASSERT(TARGET_QUEUE_DEPTH_MAX + COMMAND_SLOTS_SPARE + 1 <= TAG_INDEX_MASK);
STATIC_ASSERT(LARGE_BUFFER_BYTES >= IO_BYTES_MAX + BLOCK_BYTES_MAX);

void command_fail(struct command *command, uint16_t status)
{
	ASSERT(command->connection != NULL);
	ASSERT(status != NVME_STATUS_SUCCESS);
	command->status = status_field(status);
}

void command_park(struct command *command, struct list_node *line)
{
	ASSERT(!command->is_parked);
	ASSERT(!command->is_answered);
	ASSERT(list_is_empty(&command->link));
	command->is_parked = true;
	if (line != NULL)
		list_push_back(line, &command->link);
}

void command_unpark(struct command *command)
{
	ASSERT(command->connection != NULL);
	ASSERT(command->step <= COMMAND_EXECUTE);
	ASSERT(command->is_parked);
	command->is_parked = false;
	command->is_abortable = false;
	list_remove(&command->link);
	op_wake(&command->op);
}

/* ---- command ids ---- */

static struct command **cid_bucket(struct connection *connection, uint16_t cid)
{
	return &connection->by_cid[cid & connection->bucket_mask];
}

struct command *command_find(struct connection *connection, uint16_t cid)
{
	struct command *command = *cid_bucket(connection, cid);

	ASSERT(connection->bucket_mask <= TAG_INDEX_MASK);
	while (command != NULL && command->cid != cid)
		command = command->hash_next;
	return command;
}

static void cid_insert(struct command *command)
{
	struct command **bucket = cid_bucket(command->connection, command->cid);

	ASSERT(command->connection->by_cid != NULL);
	ASSERT(command_find(command->connection, command->cid) == NULL);
	ASSERT(!command->is_hashed);
	command->hash_next = *bucket;
	*bucket = command;
	command->is_hashed = true;
}

void command_forget_cid(struct command *command)
{
	struct command **place = cid_bucket(command->connection, command->cid);

	ASSERT(command->connection->by_cid != NULL);
	if (!command->is_hashed)
		return;
	while (*place != command) {
		ASSERT(*place != NULL);
		place = &(*place)->hash_next;
	}
	*place = command->hash_next;
	command->is_hashed = false;
}

struct command *command_by_tag(struct connection *connection, uint16_t transfer_tag)
{
	uint32_t index = transfer_tag & TAG_INDEX_MASK;
	struct command *command;

	ASSERT(connection->slot_count < TAG_INDEX_MASK);
	ASSERT(connection->slot_count == 0 || connection->slots != NULL);
	if (index == 0)
		command = &connection->first;
	else if (index <= connection->slot_count)
		command = &connection->slots[index - 1];
	else
		return NULL;
	/* Tags can be guessed: what was not asked for yet is not awaited. */
	if (!command->is_awaiting_data || !command->request.is_handed_over ||
	    command->transfer_tag != transfer_tag)
		return NULL;
	return command;
}

/* ---- steps ---- */

static uint32_t buffer_bytes(const struct command *command)
{
	return command->data_bytes + command->scratch_bytes;
}

/* Those of a mirror wait for other engines while they hold a buffer. */
static bool command_is_front(const struct command *command)
{
	const struct target_subsystem *subsystem = command->connection->subsystem;

	return command->connection->qid != 0 && subsystem != NULL && subsystem->bdev != NULL &&
	       subsystem->bdev->waits_for_engines;
}

/* How many buffers of this size one controller may hold: as many as are free for all, so that the
 * more one has, the more it leaves; and of the large ones a fixed number at most. */
static uint32_t share_limit(const struct command *command)
{
	const struct connection *connection = command->connection;
	uint32_t size = buffer_bytes(command);
	uint32_t most = connection->target->options.controller_buffers_max;
	uint32_t free_count;

	ASSERT(size > 0);
	ASSERT(most > 0);
	free_count = buffer_pool_free_count(reactor_buffers(connection->reactor), size,
					    command_is_front(command));
	return size > SMALL_BUFFER_BYTES && free_count > most ? most : free_count;
}

static struct buffer_share *share_of(const struct command *command)
{
	return &command->connection->controller->shares[buffer_bytes(command) > SMALL_BUFFER_BYTES];
}

/* The first one may always stand in the pool's own line. So may who has its data in the capsule:
 * the data of others, that hold the share, may be behind it in the stream. A second half may too
 * when its first half has its place: that one holds a buffer, and waits for this one to give it
 * back. */
static bool share_has_room(const struct command *command)
{
	const struct buffer_share *share = share_of(command);
	bool is_awaited = (command->sqe.flags & NVME_SQE_FUSE_MASK) == 2 &&
			  command->fused != NULL && command->fused->share != NULL;

	ASSERT(command->share == NULL);
	return share->count == 0 || share->count < share_limit(command) || is_awaited ||
	       command->is_receiving;
}

static void share_take(struct command *command)
{
	ASSERT(command->share == NULL);
	command->share = share_of(command);
	command->share->count++;
}

/*
 * Hosts that neither read nor deliver hold buffers as long as they are let. A controller has its
 * share of each size, and waits for it in a line of its own: its silence is its own harm.
 */
static enum op_flow command_charge(struct command *command)
{
	ASSERT(!command->is_answered);
	ASSERT(command->share == NULL);
	if (buffer_bytes(command) == 0 || command->connection->controller == NULL)
		return OP_NEXT;
	if (!share_has_room(command)) {
		REACHED("target_waits_for_its_share_of_buffers");
		command->is_abortable = !command->is_receiving;
		command_park(command, &share_of(command)->line);
		return OP_WAIT;
	}
	share_take(command);
	return OP_NEXT;
}

/* Who waits in the line goes on as far as there is room; one always can when nobody holds any. */
static void command_uncharge(struct command *command)
{
	struct buffer_share *share = command->share;
	struct list_node *node;

	ASSERT(command->buffer == NULL);
	if (share == NULL || (list_is_empty(&share->line) && PLANTED(CHARGE_NOT_GIVEN_BACK)))
		return;
	ASSERT(share->count > 0);
	command->share = NULL;
	share->count--;
	while ((node = list_first(&share->line)) != NULL) {
		struct command *next = list_entry(node, struct command, link);
		struct command *second = next->fused;

		if (!share_has_room(next))
			return;
		share_take(next);
		command_unpark(next);
		if (second == NULL || !second->is_parked || second->step != COMMAND_BUFFER)
			continue;
		COUNT_IF(true, "target_halves_get_their_shares_together");
		share_take(second);
		command_unpark(second);
	}
}

static enum op_flow command_take_buffer(struct command *command)
{
	struct buffer_pool *pool = reactor_buffers(command->connection->reactor);
	uint32_t size = buffer_bytes(command);

	ASSERT(command->data_bytes <= IO_BYTES_MAX && command->scratch_bytes <= IO_BYTES_MAX);
	ASSERT(command->buffer == NULL);
	ASSERT(!command->is_waiting_buffer);
	/* Connect's data has a place of its own (set by command_plan()). */
	if (size == 0 || command->data != NULL)
		return OP_NEXT;
	ASSERT(size <= LARGE_BUFFER_BYTES);
	command->buffer = command_is_front(command) ? buffer_acquire_front(pool, size)
						    : buffer_acquire(pool, size);
	if (command->buffer != NULL)
		return OP_NEXT;
	command->waiter = (struct buffer_waiter){
		.parent = &command->op, .size_bytes = size, .is_front = command_is_front(command)};
	command->is_waiting_buffer = true;
	list_init(&command->waiter.link);
	op_wait(&command->op);
	buffer_wait(pool, &command->waiter);
	return op_join(&command->op);
}

static void command_ask(struct command *command)
{
	struct connection *connection = command->connection;
	struct send_item *item = &command->request;
	struct nvme_tcp_r2t *r2t = (struct nvme_tcp_r2t *)item->head;
	struct nvme_tcp_transfer transfer = {
		.cid = command->cid, .tag = command->transfer_tag, .length = command->data_bytes};

	ASSERT(!command->is_answered);
	ASSERT(command->data_bytes > 0 && command->received_bytes == 0);
	ASSERT(!command->is_parked);
	item->answer = NULL;
	item->data = NULL;
	item->data_bytes = 0;
	item->pad_bytes = 0;
	item->tail_bytes = 0;
	nvme_tcp_r2t_encode(r2t, &connection->frame, &transfer);
	item->head_bytes = sizeof(*r2t);
	if (connection->frame.has_header_digest) {
		struct le32 digest = nvme_tcp_header_digest(r2t, sizeof(*r2t));

		memcpy(item->head + sizeof(*r2t), digest.bytes, sizeof(digest.bytes));
		item->head_bytes += NVME_TCP_DIGEST_BYTES;
	}
	command->is_awaiting_data = true;
	connection->awaited_data_count++;
	connection_watch(connection);
	send_enqueue(connection, item);
}

static enum op_flow command_collect(struct command *command)
{
	ASSERT(!command->is_answered);
	if (command->is_waiting_buffer) {
		command->buffer = command->waiter.buffer;
		command->is_waiting_buffer = false;
	}
	if (command->buffer != NULL)
		command->data = command->buffer->bytes;
	if (connection_is_ending(command->connection) || command->is_aborted)
		return OP_NEXT;
	ASSERT(command->data_kind == COMMAND_DATA_NONE || command->data != NULL);
	switch (command->data_kind) {
	case COMMAND_DATA_NONE:
	case COMMAND_DATA_TO_HOST:
		return OP_NEXT;
	case COMMAND_DATA_IN_CAPSULE:
		receive_wake(command->connection);
		break;
	case COMMAND_DATA_BY_R2T:
		command_ask(command);
		break;
	}
	command_park(command, NULL);
	return OP_WAIT;
}

static enum op_flow command_execute(struct command *command)
{
	bool is_reservation;

	ASSERT(!command->is_answered);
	ASSERT(command->step == COMMAND_EXECUTE);
	if (command->is_damaged && command->execute_step == 0) {
		REACHED("target_refuses_damaged_data");
		command_fail(command, NVME_STATUS_TRANSIENT_TRANSPORT_ERROR);
		if ((command->sqe.flags & NVME_SQE_FUSE_MASK) == 0)
			return OP_NEXT; /* halves must tell each other */
	}
	if (command->sqe.opcode == NVMF_OPCODE)
		return fabrics_execute(command);
	ASSERT(command->connection->controller != NULL);
	is_reservation = nvme_reservation_data_bytes(command->sqe.opcode) > 0 ||
			 command->sqe.opcode == NVME_RESERVATION_REPORT;
	if (command->connection->qid != 0 && !is_reservation)
		return io_execute(command);
	/* Cancelled while it waited for a buffer: there is nothing to work with. */
	if (command->data_kind != COMMAND_DATA_NONE && command->data == NULL) {
		ASSERT(command_is_cancelled(command) && command->execute_step == 0);
		return OP_NEXT;
	}
	return command->connection->qid == 0 ? admin_execute(command)
					     : reservation_execute(command);
}

/* ---- the answer ---- */

static uint8_t header_close(const struct connection *connection, uint8_t *header, uint8_t size)
{
	struct le32 digest;

	ASSERT(size >= sizeof(struct nvme_tcp_common));
	if (!connection->frame.has_header_digest)
		return size;
	digest = nvme_tcp_header_digest(header, size);
	memcpy(header + size, digest.bytes, sizeof(digest.bytes));
	return (uint8_t)(size + NVME_TCP_DIGEST_BYTES);
}

/* Return: bytes written at @ret_bytes. */
static uint8_t answer_response(const struct command *command, uint8_t *ret_bytes)
{
	const struct connection *connection = command->connection;
	struct nvme_tcp_capsule_response *pdu = (struct nvme_tcp_capsule_response *)ret_bytes;
	bool is_connect = command == &connection->first && connection->slots != NULL;
	struct nvme_cqe *cqe = &pdu->cqe;

	*cqe = (struct nvme_cqe){
		.cdw0 = le32_store((uint32_t)command->result),
		.cdw1 = le32_store((uint32_t)(command->result >> 32)),
		.cid = le16_store(command->cid),
		.status = nvme_status_encode(command->status),
	};

	if (PLANTED(ANSWER_OF_ANOTHER) && command->is_write && command->generation % 8 == 7)
		cqe->cid = le16_store(command->cid ^ 1);

	ASSERT(command->connection->state < CONNECTION_LINGER);
	ASSERT(!command->is_parked);
	if (connection->is_flow_controlled)
		cqe->sqhd = le16_store(connection->sq_head);
	else if (is_connect)
		cqe->sqhd = le16_store(NVMF_SQHD_NO_FLOW_CONTROL);
	nvme_tcp_response_encode(pdu, &connection->frame, cqe);
	return header_close(connection, ret_bytes, sizeof(*pdu));
}

static void answer_with_data(struct command *command)
{
	struct connection *connection = command->connection;
	struct send_item *item = &command->answer;
	struct nvme_tcp_data *pdu = (struct nvme_tcp_data *)item->head;
	struct nvme_tcp_transfer transfer = {.cid = command->cid, .length = command->data_bytes};
	/* Without a response capsule SQHD is not told, so only where nobody counts on it
	 * (NVMe TCP transport 1.0, section 3.3.2.2). */
	bool is_success = !connection->is_flow_controlled && command->result == 0;

	ASSERT(command->connection->state < CONNECTION_LINGER);
	ASSERT(command->data != NULL);
	ASSERT(command->data_bytes > 0 && command->data_bytes <= IO_BYTES_MAX);
	nvme_tcp_c2h_encode(pdu, &connection->frame, &transfer,
			    NVME_TCP_FLAG_LAST | (is_success ? NVME_TCP_FLAG_SUCCESS : 0));
	item->head_bytes = header_close(connection, item->head, sizeof(*pdu));
	item->pad_bytes = (uint8_t)(nvme_tcp_data_offset(&connection->frame, sizeof(*pdu)) -
				    item->head_bytes);
	item->data = command->data;
	item->data_bytes = command->data_bytes;
	item->tail_bytes = 0;
	if (connection->frame.has_data_digest) {
		struct le32 digest = le32_store(crc32c(item->data, item->data_bytes));

		memcpy(item->tail, digest.bytes, sizeof(digest.bytes));
		item->tail_bytes = sizeof(digest.bytes);
	}
	if (!is_success)
		item->tail_bytes =
			(uint8_t)(item->tail_bytes +
				  answer_response(command, item->tail + item->tail_bytes));
}

static void command_answer(struct command *command)
{
	struct connection *connection = command->connection;
	struct send_item *item = &command->answer;
	bool has_data = command->data_kind == COMMAND_DATA_TO_HOST &&
			command->status.status == NVME_STATUS_SUCCESS && command->data_bytes > 0;

	ASSERT(!command->is_answered);
	ASSERT(connection->unanswered_count > 0);
	/* One by one: both at a time would be loaded together, behind two stores of a byte each,
	 * and wait until all stores before them (the data!) have left the core. */
	ASSERT(!command->is_inflight);
	ASSERT(!command->is_locked);
	ASSERT(!command->is_awaiting_data);
	if (command->status.status != NVME_STATUS_SUCCESS && connection->controller != NULL) {
		if (connection->qid != 0)
			command->status.retry_delay = status_retry_delay(
				command->status.status, connection->subsystem->error_class);
		controller_record_error(command);
	}
	item->answer = command;
	if (has_data) {
		answer_with_data(command);
	} else {
		item->head_bytes = answer_response(command, item->head);
		item->pad_bytes = 0;
		item->data = NULL;
		item->data_bytes = 0;
		item->tail_bytes = 0;
	}
	command->is_answered = true;
	command_forget_cid(command);
	connection->unanswered_count--;
	send_enqueue(connection, item);
	if (PLANTED(BUFFER_FREED_BEFORE_SENT) && command->buffer != NULL) {
		buffer_release(reactor_buffers(connection->reactor), command->buffer);
		command->buffer = NULL;
	}
}

static void command_free(struct command *command)
{
	struct connection *connection = command->connection;

	ASSERT(!command->is_parked && !command->is_inflight && !command->is_locked);
	ASSERT(connection->busy_count > 0);
	ASSERT(command->step == COMMAND_FREE);
	ASSERT(op_is_idle(&command->op));
	if (command->is_awaiting_data) {
		command->is_awaiting_data = false;
		connection->awaited_data_count--;
	}
	if (!command->is_answered) {
		command_forget_cid(command);
		connection->unanswered_count--;
	}
	list_remove(&command->request.link);
	if (command->buffer != NULL)
		buffer_release(reactor_buffers(connection->reactor), command->buffer);
	command->buffer = NULL;
	command->data = NULL;
	command_uncharge(command);
	command->is_busy = false;
	connection->busy_count--;
	/* The slot of Connect served its purpose once there are others. */
	if (command != &connection->first || connection->slots == NULL)
		list_push_front(&connection->free, &command->link);
	if (command->is_last)
		connection_close(connection, "disconnected by the host");
	connection_command_freed(connection);
}

/* The whole life of a command: entered to start, then once per wake-up. */
static void command_run(struct op *op)
{
	struct command *command = container_of(op, struct command, op);

	for (;;) {
		if (command->step < COMMAND_COLLECT && command_is_cancelled(command))
			command->step = COMMAND_ANSWER;
		switch (command->step) {
		case COMMAND_CHARGE:
			command->step = COMMAND_BUFFER;
			if (command_charge(command) == OP_WAIT)
				return;
			break;
		case COMMAND_BUFFER:
			command->step = COMMAND_COLLECT;
			if (command_take_buffer(command) == OP_WAIT)
				return;
			break;
		case COMMAND_COLLECT:
			command->step = COMMAND_EXECUTE;
			if (command_collect(command) == OP_WAIT)
				return;
			break;
		case COMMAND_EXECUTE:
			if (command_execute(command) == OP_WAIT)
				return;
			command->step = COMMAND_ANSWER;
			break;
		case COMMAND_ANSWER:
			command->step = COMMAND_FREE;
			io_part(command);
			if (command->is_aborted && command->status.status == NVME_STATUS_SUCCESS)
				command_fail(command, NVME_STATUS_ABORT_REQUESTED);
			if (connection_is_ending(command->connection))
				break;
			command_answer(command);
			return; /* command_sent() enters it again */
		case COMMAND_FREE:
			command_free(command);
			return;
		}
	}
}

void command_sent(struct command *command)
{
	ASSERT(command->step == COMMAND_FREE);
	ASSERT(!command->is_parked);
	ASSERT(command->is_answered);
	op_start(&command->op);
}

void command_data_done(struct command *command, bool is_intact)
{
	ASSERT(command->connection != NULL);
	ASSERT(command->received_bytes <= command->data_bytes);
	ASSERT(command->is_receiving);
	command->is_receiving = false;
	if (!is_intact)
		command->is_damaged = true;
	if (command->received_bytes < command->data_bytes)
		return;
	if (command->is_awaiting_data) {
		command->is_awaiting_data = false;
		command->connection->awaited_data_count--;
	}
	command_unpark(command);
}

void command_cancel(struct command *command)
{
	struct buffer_pool *pool = reactor_buffers(command->connection->reactor);

	ASSERT(command->connection != NULL);
	ASSERT(command->connection->state == CONNECTION_CLOSING);
	if (command->is_parked) {
		command_unpark(command);
	} else if (command->is_waiting_buffer && command->waiter.buffer == NULL) {
		REACHED("target_stops_waiting_for_a_buffer");
		(void)buffer_wait_cancel(pool, &command->waiter);
	}
}

bool command_abort(struct command *command)
{
	ASSERT(command->connection != NULL);
	ASSERT(!command->is_aborted || !command->is_parked);
	if (!command->is_parked || !command->is_abortable)
		return false;
	REACHED("target_command_aborted");
	command->is_aborted = true;
	command_unpark(command);
	return true;
}

/* ---- arrival ---- */

static bool command_is_connect(const struct command *command)
{
	ASSERT(command->connection != NULL);
	return command->sqe.opcode == NVMF_OPCODE &&
	       ((const struct nvmf_command *)&command->sqe)->type == NVMF_CONNECT;
}

/* Which way its data goes and how much, checked against what the opcode wants. */
static uint16_t command_plan(struct command *command, uint32_t capsule_bytes)
{
	struct connection *connection = command->connection;
	enum nvme_data_direction direction = nvme_data_direction(&command->sqe);
	struct nvme_data data;
	uint16_t status;

	ASSERT(!command->is_answered);
	ASSERT(command->data_kind == COMMAND_DATA_NONE);
	if (connection->controller == NULL && !command_is_connect(command))
		return NVME_STATUS_COMMAND_SEQUENCE_ERROR;
	if ((command->sqe.flags & NVME_SQE_PSDT_MASK) != NVME_SQE_PSDT_SGL)
		return NVME_STATUS_INVALID_FIELD;
	status = nvme_sgl_decode(&command->sqe, capsule_bytes, &data);
	if (status != NVME_STATUS_SUCCESS)
		return status;
	if (data.length > IO_BYTES_MAX)
		return NVME_STATUS_INVALID_FIELD; /* MDTS */
	if (command->sqe.opcode != NVMF_OPCODE) {
		status = connection->qid == 0 ? NVME_STATUS_SUCCESS : io_plan(command, data.length);
		if (status != NVME_STATUS_SUCCESS)
			return status;
	}
	if (data.place == NVME_DATA_PLACE_NONE || data.length == 0)
		return NVME_STATUS_SUCCESS;
	if (direction == NVME_DATA_TO_HOST) {
		if (data.place == NVME_DATA_PLACE_CAPSULE)
			return NVME_STATUS_SGL_TYPE_INVALID;
		command->data_kind = COMMAND_DATA_TO_HOST;
	} else if (direction == NVME_DATA_TO_CONTROLLER) {
		command->data_kind = data.place == NVME_DATA_PLACE_CAPSULE ? COMMAND_DATA_IN_CAPSULE
									   : COMMAND_DATA_BY_R2T;
	} else {
		return NVME_STATUS_SUCCESS; /* no data, whatever the SGL says */
	}
	command->data_bytes = data.length;
	command->capsule_offset = data.offset;
	if (connection->controller == NULL) {
		/* Connect: peers that are not known yet get no buffer of the pool. */
		if (data.length != CONNECT_DATA_BYTES)
			return NVME_STATUS_SGL_DATA_LENGTH_INVALID;
		command->data = connection->connect_data;
	}
	return NVME_STATUS_SUCCESS;
}

static void command_reset(struct command *command)
{
	ASSERT(!command->is_answered || command->step == COMMAND_FREE);
	ASSERT(!command->is_parked && !command->is_locked);
	command->execute_step = 0;
	command->data_kind = COMMAND_DATA_NONE;
	command->is_aborted = false;
	command->is_abortable = false;
	command->is_waiting_buffer = false;
	command->is_damaged = false;
	command->is_receiving = false;
	command->is_awaiting_data = false;
	command->is_write = false;
	command->is_answered = false;
	command->share = NULL;
	command->is_missing_fused = false;
	command->is_last = false;
	command->is_fused_done = false;
	command->is_fused_running = false;
	command->status = (struct nvme_status_field){0};
	command->result = 0;
	command->data = NULL;
	command->data_bytes = 0;
	command->received_bytes = 0;
	command->capsule_offset = 0;
	command->range = (struct block_range){0};
	command->done_blocks = 0;
	command->range_index = 0;
	command->scratch_bytes = 0;
	command->fused = NULL;
	command->fence = NULL;
}

void command_start(struct command *command, uint32_t capsule_bytes)
{
	struct connection *connection = command->connection;
	uint16_t status;

	ASSERT(!command->is_parked && !command->is_hashed && !command->is_inflight);
	ASSERT(!command->is_busy);
	ASSERT(command->buffer == NULL);
	command_reset(command);
	command->cid = le16_load(command->sqe.cid);
	command->generation++;
	command->transfer_tag = (uint16_t)(command->index | command->generation << TAG_INDEX_BITS);
	command->is_busy = true;
	connection->busy_count++;
	connection->unanswered_count++;
	if (connection->sq_size > 0)
		connection->sq_head = connection->sq_head + 1u == connection->sq_size
					      ? 0
					      : connection->sq_head + 1u;
	if (command_find(connection, command->cid) != NULL) {
		COUNT_IF(true, "target_command_id_in_use");
		status = NVME_STATUS_COMMAND_ID_CONFLICT;
	} else {
		cid_insert(command);
		status = command_plan(command, capsule_bytes);
	}
	status = io_fuse(command, status);
	command->step = COMMAND_CHARGE;
	if (status != NVME_STATUS_SUCCESS) {
		command->step = COMMAND_ANSWER;
		command->data_kind = COMMAND_DATA_NONE;
		command_fail(command, status);
	}
	command->is_receiving = command->data_kind == COMMAND_DATA_IN_CAPSULE;
	op_start(&command->op);
}

struct command *command_acquire(struct connection *connection)
{
	struct list_node *node = list_pop_front(&connection->free);

	ASSERT(connection->busy_count <= connection->slot_count + 1);
	return node == NULL ? NULL : list_entry(node, struct command, link);
}

void command_slot_init(struct command *command, struct connection *connection, uint16_t index)
{
	ASSERT(connection->reactor != NULL);
	ASSERT(index <= TAG_INDEX_MASK);
	command->connection = connection;
	command->index = index;
	op_init(&command->op, reactor_ready(connection->reactor), command_run);
	list_init(&command->link);
	list_init(&command->request.link);
	list_init(&command->answer.link);
}

struct command *connection_busy_next(struct connection *connection, const struct command *previous)
{
	uint32_t index = previous == NULL ? 0 : previous->index + 1u;

	ASSERT(previous == NULL || previous->connection == connection);
	if (connection->busy_count == 0)
		return NULL;
	if (index == 0 && connection->first.is_busy)
		return &connection->first;
	for (index = index == 0 ? 1 : index; index <= connection->slot_count; index++) {
		ASSERT(connection->slots[index - 1].index == index);
		if (connection->slots[index - 1].is_busy)
			return &connection->slots[index - 1];
	}
	return NULL;
}

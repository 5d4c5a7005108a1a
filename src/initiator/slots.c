/* SPDX-License-Identifier: Apache-2.0 */
/* slots.c - commands in the slots of a queue pair, and the line of those that wait for one.
 *
 *	FREE -- slot_start --> ACTIVE -- queue_slot_answer --> ANSWERED -- slot_finish --> FREE
 *	ACTIVE, ANSWERED -- queue_slots_drain --> FREE            (socket is closed)
 *
 * Invariants:
 *  1. free_count + slots that are not FREE = slot_count.
 *  2. A command is in the line, or in slots, or answered; an I/O whose blocks are not all in
 *     slots yet is at the head of the line.
 *  3. slot_finish() runs only when the sender does not refer to the slot.
 */
#include "initiator/queue_impl.h"

#include "base/planted.h"

#define NS_PER_MS 1000000ull

static struct io_request *request_of(struct initiator_command *command)
{
	ASSERT(command->io != NULL);
	return container_of(command, struct io_request, command);
}

/* What holds. */

static uint16_t slot_index(const struct initiator_queue *queue, const struct queue_slot *slot)
{
	ASSERT(slot >= queue->slots);
	ASSERT(slot < queue->slots + queue->slot_capacity);
	return (uint16_t)(slot - queue->slots);
}

void slot_check(const struct initiator_queue *queue, const struct queue_slot *slot)
{
	bool is_current = queue->send.current == slot;

	ASSERT((slot->cid & ((1u << SLOT_BITS) - 1)) == slot_index(queue, slot));
	switch (slot->state) {
	case SLOT_FREE:
		ASSERT(slot->command == NULL);
		ASSERT(list_is_empty(&slot->link) && !slot->is_in_batch);
		ASSERT(!is_current && queue->receive.slot != slot);
		return;
	case SLOT_ACTIVE:
		ASSERT(slot->r2t_count <= R2T_COUNT_MAX);
		ASSERT(slot->is_capsule_begun || slot->r2t_count == 0);
		break;
	case SLOT_ANSWERED:
		ASSERT(slot->is_capsule_begun);
		ASSERT(slot->r2t_count == 0);
		ASSERT(queue->receive.slot != slot);
		break;
	}
	ASSERT(slot->command != NULL);
	ASSERT(slot_index(queue, slot) < queue->slot_count);
	ASSERT(slot->received_bytes <= slot->data_bytes);
	ASSERT(slot->requested_bytes <= slot->data_bytes);
	ASSERT(slot->received_bytes == 0 || slot->requested_bytes == 0);
	ASSERT((slot->direction == NVME_DATA_NONE) == (slot->data_bytes == 0));
	ASSERT(!slot->is_in_capsule || slot->direction == NVME_DATA_TO_CONTROLLER);
	ASSERT(!slot->is_in_batch || !list_is_empty(&slot->link));
	ASSERT(!is_current || slot->is_in_batch || queue->socket == NULL);
}

/* A stack of distinct free slots: its depth alone does not show a slot that was pushed twice. */
static uint32_t slots_count_free(const struct initiator_queue *queue)
{
	uint32_t count = 0;

	ASSERT(queue->free_count <= queue->slot_count);
	for (uint32_t i = 0; i < queue->free_count; i++) {
		ASSERT(queue->free_slots[i] < queue->slot_count);
		ASSERT(queue->slots[queue->free_slots[i]].state == SLOT_FREE);
	}
	for (uint32_t i = 0; i < queue->slot_count; i++)
		count += queue->slots[i].state == SLOT_FREE;
	return count;
}

bool queue_counts_are_right(const struct initiator_queue *queue)
{
	uint32_t waiting_count = 0;
	uint32_t timed_count = 0;

	list_for_each (node, &queue->waiting)
		waiting_count++;
	for (uint32_t i = 0; i < queue->slot_count; i++) {
		const struct queue_slot *slot = &queue->slots[i];

		slot_check(queue, slot);
		timed_count += slot->state != SLOT_FREE && slot->deadline_ns != UINT64_MAX;
	}
	return waiting_count == queue->waiting_count && timed_count == queue->timed_count &&
	       slots_count_free(queue) == queue->free_count;
}

/* Cursors. */

void cursor_skip(struct iov_cursor *cursor, size_t size_bytes)
{
	ASSERT(cursor->iov != NULL);
	while (size_bytes > 0) {
		size_t run_bytes = cursor->iov->iov_len - cursor->offset_bytes;

		ASSERT(cursor->offset_bytes <= cursor->iov->iov_len);
		if (run_bytes > size_bytes) {
			cursor->offset_bytes += size_bytes;
			return;
		}
		size_bytes -= run_bytes;
		cursor->iov++;
		cursor->offset_bytes = 0;
	}
}

struct iovec cursor_run(struct iov_cursor *cursor, size_t size_bytes)
{
	struct iovec run;

	ASSERT(size_bytes > 0);
	ASSERT(cursor->iov != NULL);
	ASSERT(cursor->offset_bytes <= cursor->iov->iov_len);
	while (cursor->offset_bytes == cursor->iov->iov_len) { /* empty iovecs are legal */
		cursor->iov++;
		cursor->offset_bytes = 0;
	}
	run.iov_base = (uint8_t *)cursor->iov->iov_base + cursor->offset_bytes;
	run.iov_len = cursor->iov->iov_len - cursor->offset_bytes;
	if (run.iov_len > size_bytes)
		run.iov_len = size_bytes;
	cursor->offset_bytes += run.iov_len;
	ASSERT(run.iov_len > 0 && run.iov_len <= size_bytes);
	ASSERT(cursor->offset_bytes <= cursor->iov->iov_len);
	return run;
}

void cursor_copy_in(struct iov_cursor *cursor, const uint8_t *bytes, size_t size_bytes)
{
	while (size_bytes > 0) {
		struct iovec run = cursor_run(cursor, size_bytes);

		memcpy(run.iov_base, bytes, run.iov_len);
		bytes += run.iov_len;
		size_bytes -= run.iov_len;
	}
}

/* Answers. */

static void command_done(struct initiator_command *command, enum io_status status)
{
	ASSERT(command->io == NULL); /* those answer by bdev_io_done() */
	ASSERT(list_is_empty(&command->link));
	ASSERT(command->parent != NULL);
	command->status = status;
	op_done(command->parent);
}

/* Puts a command that waits in its place again: ahead of those that came later. */
static void waiting_push_front(struct initiator_queue *queue, struct initiator_command *command)
{
	ASSERT(command->io != NULL);
	ASSERT(request_of(command)->commands_out == 0);
	list_push_front(&queue->waiting, &command->link);
	queue->waiting_count++;
	ASSERT(queue->waiting_count <= INITIATOR_WAITING_COUNT_MAX + queue->slot_capacity);
}

static void waiting_remove(struct initiator_queue *queue, struct initiator_command *command)
{
	ASSERT(queue->waiting_count > 0);
	ASSERT(!list_is_empty(&command->link));
	list_remove(&command->link);
	queue->waiting_count--;
	ASSERT((queue->waiting_count == 0) == list_is_empty(&queue->waiting));
}

/* An I/O is answered when no command of it is out and none is to follow. */
static void io_settle(struct initiator_queue *queue, struct io_request *request)
{
	struct bdev_io *io = request->command.io;
	bool is_waiting = !list_is_empty(&request->command.link);

	ASSERT(io->channel->driver == queue);
	ASSERT(io->channel->reactor == queue->reactor);
	if (request->commands_out > 0)
		return;
	if (request->is_restarting) {
		ASSERT(queue->socket == NULL); /* no ghost of it is under way */
		if (is_waiting)
			waiting_remove(queue, &request->command);
		io_begin(io);
		waiting_push_front(queue, &request->command);
		return;
	}
	if (request->first_failure == IO_OK && !io_is_all_sent(io))
		return;
	if (is_waiting)
		waiting_remove(queue, &request->command);
	ASSERT(request->first_failure != IO_OK || request->left_blocks == 0);
	ASSERT(list_is_empty(&request->command.link));
	bdev_io_done(io, request->first_failure);
}

static void io_command_done(struct initiator_queue *queue, struct io_request *request,
			    enum io_status status)
{
	ASSERT(request->commands_out > 0);
	ASSERT(request->command.io != NULL);
	ASSERT(request->left_blocks > 0 || list_is_empty(&request->command.link) ||
	       request->is_restarting);
	request->commands_out--;
	if (request->first_failure == IO_OK && !PLANTED(FAILURE_SWALLOWED))
		request->first_failure = status;
	if (status != IO_OK && !list_is_empty(&request->command.link)) {
		request->left_blocks = 0; /* the rest is not worth sending */
		waiting_remove(queue, &request->command);
	}
	io_settle(queue, request);
}

static void slot_release(struct initiator_queue *queue, struct queue_slot *slot)
{
	uint16_t index = slot_index(queue, slot);
	uint16_t old_cid = slot->cid;

	ASSERT(slot->state != SLOT_FREE);
	ASSERT(slot->command != NULL);
	ASSERT(queue->send.current != slot);
	ASSERT(queue->receive.slot != slot);
	ASSERT(queue->free_count < queue->slot_count);
	ASSERT(list_is_empty(&slot->link) && !slot->is_in_batch);
	if (slot->deadline_ns != UINT64_MAX) {
		ASSERT(queue->timed_count > 0);
		queue->timed_count--;
	}
	slot->state = SLOT_FREE;
	slot->command = NULL;
	slot->cid = (uint16_t)(slot->cid + (1u << SLOT_BITS)); /* next generation */
	queue->free_slots[queue->free_count++] = index;
	ASSERT(slot->cid != old_cid);
	ASSERT((slot->cid & ((1u << SLOT_BITS) - 1)) == index);
	ASSERT(queue->timed_count <= queue->slot_count - queue->free_count);
}

/* What the controller's answer, and what we saw of the data, mean together. */
static enum io_status slot_judge(const struct queue_slot *slot)
{
	uint16_t status = nvme_status_decode(slot->cqe.status).status;

	ASSERT(slot->state == SLOT_ANSWERED);
	ASSERT(!slot->is_digest_wrong || slot->direction == NVME_DATA_TO_HOST);
	if (status != NVME_STATUS_SUCCESS) {
		if (slot->is_timed_out && status == NVME_STATUS_ABORT_REQUESTED)
			return IO_TIMED_OUT;
		return status_to_io(status);
	}
	if (slot->is_digest_wrong)
		return IO_INTEGRITY_ERROR;
	return IO_OK;
}

static void slot_finish(struct initiator_queue *queue, struct queue_slot *slot)
{
	struct initiator_command *command = slot->command;
	enum io_status status = slot_judge(slot);

	ASSERT(slot->state == SLOT_ANSWERED);
	ASSERT(queue->send.current != slot);
	ASSERT(!slot->is_in_batch);
	ASSERT(command != NULL);
	if (command->io == NULL) {
		ASSERT(command->nvme_status == INITIATOR_NVME_STATUS_NONE);
		command->nvme_status = nvme_status_decode(slot->cqe.status).status;
		command->result = le32_load(slot->cqe.cdw0);
		command->result_high = le32_load(slot->cqe.cdw1);
	}
	slot_release(queue, slot);
	if (command->io != NULL)
		io_command_done(queue, request_of(command), status);
	else
		command_done(command, status);
}

struct queue_slot *queue_slot_find(struct initiator_queue *queue, uint16_t cid)
{
	uint32_t index = cid & ((1u << SLOT_BITS) - 1);
	struct queue_slot *slot;

	if (index >= queue->slot_count)
		return NULL;
	slot = &queue->slots[index];
	if (slot->state != SLOT_ACTIVE || slot->cid != cid)
		return NULL;
	ASSERT(slot->command != NULL);
	ASSERT_SLOW((slot_check(queue, slot), true));
	return slot;
}

void queue_slot_answer(struct initiator_queue *queue, struct queue_slot *slot)
{
	ASSERT(slot->state == SLOT_ACTIVE);
	ASSERT(slot->is_capsule_begun);
	ASSERT(queue->error == 0 && queue->socket != NULL);
	ASSERT(queue->receive.slot != slot);
	slot->state = SLOT_ANSWERED;
	slot->r2t_count = 0; /* the controller wants no more of it */
	REACHED_IF(slot->is_in_batch, "initiator_answered_while_it_sends");
	if (slot->is_in_batch || queue->send.current == slot)
		return; /* queue_slot_sent() finishes it */
	list_remove(&slot->link);
	slot_finish(queue, slot);
}

void queue_slot_sent(struct initiator_queue *queue, struct queue_slot *slot)
{
	ASSERT(!slot->is_in_batch && queue->send.current != slot);
	ASSERT(slot->state != SLOT_FREE);
	ASSERT(list_is_empty(&slot->link));
	if (slot->state == SLOT_ANSWERED)
		slot_finish(queue, slot);
	else if (slot->r2t_count > 0)
		send_slot(queue, slot);
}

/* Starts. */

void queue_slots_reset(struct initiator_queue *queue)
{
	ASSERT(queue->parameters.depth > 0 && queue->parameters.depth <= queue->slot_capacity);
	ASSERT(queue->free_count == queue->slot_count); /* of the last connection */
	ASSERT(queue->timed_count == 0);
	queue->slot_count = queue->parameters.depth;
	queue->free_count = 0;
	for (uint32_t i = queue->slot_count; i > 0; i--) {
		slot_check(queue, &queue->slots[i - 1]);
		ASSERT(queue->slots[i - 1].state == SLOT_FREE);
		queue->free_slots[queue->free_count++] = (uint16_t)(i - 1);
	}
	ASSERT(queue->free_count == queue->slot_count);
}

/* Describes the data of a command that is not an I/O. */
static void slot_set_data(struct queue_slot *slot, const struct initiator_command *command)
{
	ASSERT(command->io == NULL);
	ASSERT(command->data_bytes == 0 || command->data != NULL);
	ASSERT(command->data_bytes <= IO_BYTES_MAX);
	slot->data_bytes = command->data_bytes;
	slot->direction =
		command->data_bytes == 0 ? NVME_DATA_NONE : nvme_data_direction(&command->sqe);
	slot->small_iov = (struct iovec){command->data, command->data_bytes};
	slot->cursor = (struct iov_cursor){&slot->small_iov, 0};
}

static void slot_set_sgl(struct initiator_queue *queue, struct queue_slot *slot,
			 struct nvme_sqe *sqe)
{
	struct nvme_data data = {.place = NVME_DATA_PLACE_NONE};
	bool is_out = slot->direction == NVME_DATA_TO_CONTROLLER;
	/* Fabrics commands carry their data on every queue (NVMe TCP transport 1.0, 3.3.1). */
	uint32_t capsule_bytes_max = sqe->opcode == NVMF_OPCODE
					     ? NVME_TCP_ADMIN_CAPSULE_BYTES
					     : queue->parameters.capsule_data_bytes_max;

	ASSERT(slot->data_bytes == 0 || slot->direction != NVME_DATA_NONE);
	slot->is_in_capsule =
		is_out && slot->data_bytes > 0 && slot->data_bytes <= capsule_bytes_max;
	if (slot->data_bytes > 0) {
		data.place =
			slot->is_in_capsule ? NVME_DATA_PLACE_CAPSULE : NVME_DATA_PLACE_TRANSPORT;
		data.length = slot->data_bytes;
	}
	ASSERT(!slot->is_in_capsule || slot->data_bytes <= capsule_bytes_max);
	ASSERT(slot->data_bytes <= IO_BYTES_MAX);
	nvme_sgl_encode(sqe, &data);
	sqe->cid = le16_store(slot->cid);
}

static uint64_t deadline_ns(const struct initiator_queue *queue,
			    const struct initiator_command *command)
{
	const struct initiator_options *options = queue->shared->options;
	uint64_t timeout_ms = queue->is_admin ? options->admin_timeout_ms : options->io_timeout_ms;

	if (command->timeout_ms == TIMEOUT_NEVER_MS)
		return UINT64_MAX;
	if (command->timeout_ms > 0)
		timeout_ms = command->timeout_ms;
	ASSERT(timeout_ms > 0);
	return reactor_now_ns(queue->reactor) + timeout_ms * NS_PER_MS;
}

static void slot_start(struct initiator_queue *queue, struct initiator_command *command)
{
	struct nvme_tcp_capsule_command *pdu;
	struct queue_slot *slot;
	uint16_t index;

	ASSERT(queue->free_count > 0);
	ASSERT(queue->step == QUEUE_LIVE || queue->step == QUEUE_ASSOCIATE);
	ASSERT(queue->socket != NULL && queue->error == 0);
	index = queue->free_slots[--queue->free_count];
	slot = &queue->slots[index];
	ASSERT(slot->state == SLOT_FREE && list_is_empty(&slot->link));
	ASSERT_SLOW((slot_check(queue, slot), true));
	pdu = (struct nvme_tcp_capsule_command *)slot->head; /* made in place */
	slot->state = SLOT_ACTIVE;
	slot->command = command;
	slot->received_bytes = 0;
	slot->requested_bytes = 0;
	slot->is_capsule_begun = false;
	slot->r2t_count = 0;
	slot->is_digest_wrong = false;
	slot->is_timed_out = false;
	slot->deadline_ns = deadline_ns(queue, command);
	queue->timed_count += slot->deadline_ns != UINT64_MAX;
	if (command->io != NULL) {
		io_prepare(queue, slot, command->io, &pdu->sqe);
	} else {
		pdu->sqe = command->sqe;
		slot_set_data(slot, command);
	}
	slot_set_sgl(queue, slot, &pdu->sqe);
	nvme_tcp_command_encode(pdu, &queue->send.frame, &pdu->sqe,
				slot->is_in_capsule ? slot->data_bytes : 0);
	ASSERT_SLOW((slot_check(queue, slot), true));
	ASSERT(queue->timed_count <= queue->slot_count - queue->free_count);
	send_slot(queue, slot);
	ASSERT(!list_is_empty(&slot->link));
}

/* ANA: a path that cannot serve now keeps I/O back, whoever waits decides how long. */
static bool path_is_usable(const struct initiator_queue *queue)
{
	if (queue->is_admin)
		return true; /* admin commands are not subject to it */
	switch ((enum nvme_ana_state)atomic_load_explicit(&queue->shared->ana_state,
							  memory_order_relaxed)) {
	case NVME_ANA_OPTIMIZED:
	case NVME_ANA_NON_OPTIMIZED:
		return true;
	case NVME_ANA_INACCESSIBLE:
	case NVME_ANA_PERSISTENT_LOSS:
	case NVME_ANA_CHANGE:
		return false;
	}
	return false;
}

void queue_kick(struct initiator_queue *queue)
{
	if (queue->step != QUEUE_LIVE || queue->error != 0 || queue->is_stopping)
		return;
	while (queue->free_count > 0 && !list_is_empty(&queue->waiting)) {
		struct initiator_command *command =
			list_entry(list_first(&queue->waiting), struct initiator_command, link);

		if (command->io != NULL && !path_is_usable(queue))
			break;
		ASSERT(command->io == NULL || !request_of(command)->is_restarting);
		slot_start(queue, command);
		if (command->io == NULL || io_is_all_sent(command->io))
			waiting_remove(queue, command);
	}
	timeouts_arm(queue);
}

/* How long a command may wait for its slot. */
static uint64_t waiting_deadline_ns(const struct initiator_queue *queue)
{
	const struct initiator_options *options = queue->shared->options;
	uint64_t wait_ms = options->fail_fast_ms;

	if (queue->is_admin)
		return reactor_now_ns(queue->reactor);
	if (options->is_retrying)
		return UINT64_MAX;
	/* A channel that was just opened on a good controller: its queue pair is on its way. */
	if (!queue->was_live && wait_ms < options->connect_timeout_ms)
		wait_ms = options->connect_timeout_ms;
	return reactor_now_ns(queue->reactor) + wait_ms * NS_PER_MS;
}

static void waiting_fail(struct initiator_queue *queue, struct initiator_command *command,
			 enum io_status status)
{
	ASSERT(status != IO_OK);
	ASSERT(!list_is_empty(&command->link));
	if (command->io == NULL) {
		waiting_remove(queue, command);
		command_done(command, status);
		return;
	}
	/* Parts of it may be in slots: those answer it. */
	waiting_remove(queue, command);
	request_of(command)->left_blocks = 0;
	request_of(command)->is_restarting = false;
	if (request_of(command)->first_failure == IO_OK)
		request_of(command)->first_failure = status;
	io_settle(queue, request_of(command));
}

/* A queue that is merely full keeps its line; one that is not live, or not usable, does not. */
void queue_waiting_expire(struct initiator_queue *queue, uint64_t now_ns)
{
	bool is_gone = atomic_load_explicit(&queue->shared->is_gone, memory_order_acquire);
	bool is_live = queue->step == QUEUE_LIVE && queue->error == 0;
	enum io_status status = is_live ? IO_NOT_READY : IO_DEVICE_GONE;

	ASSERT(queue->waiting_count > 0 || list_is_empty(&queue->waiting));
	if (is_live && path_is_usable(queue) && !is_gone)
		return;
	ASSERT(!queue->is_admin || !is_live || is_gone); /* a full admin queue keeps its line */
	list_for_each (node, &queue->waiting) {
		struct initiator_command *command =
			list_entry(node, struct initiator_command, link);

		REACHED_IF(!is_gone && command->deadline_ns <= now_ns, "initiator_wait_expired");
		if (is_gone || command->deadline_ns <= now_ns)
			waiting_fail(queue, command, is_gone ? IO_DEVICE_GONE : status);
	}
}

void queue_submit(struct initiator_queue *queue, struct initiator_command *command)
{
	ASSERT(!queue->is_admin || command->io == NULL);
	ASSERT(command->io != NULL || command->parent != NULL);
	command->nvme_status = INITIATOR_NVME_STATUS_NONE;
	list_init(&command->link);
	if (command->io != NULL)
		io_begin(command->io);
	if (PLANTED(FLUSH_NOT_SENT) && command->io != NULL && command->io->type == IO_FLUSH) {
		bdev_io_done(command->io, IO_OK);
		return;
	}
	REACHED_IF(command->io != NULL && queue->step != QUEUE_LIVE,
		   "initiator_io_waits_for_connection");
	if (queue->waiting_count >= INITIATOR_WAITING_COUNT_MAX) {
		if (command->io != NULL)
			bdev_io_done(command->io, IO_NOT_READY);
		else
			command_done(command, IO_NOT_READY);
		return;
	}
	command->deadline_ns = waiting_deadline_ns(queue);
	list_push_back(&queue->waiting, &command->link);
	queue->waiting_count++;
	queue_kick(queue);
	if (queue->waiting_count > 0) {
		queue_waiting_expire(queue, reactor_now_ns(queue->reactor));
		timeouts_arm(queue);
	}
}

void queue_submit_now(struct initiator_queue *queue, struct initiator_command *command)
{
	ASSERT(command->io == NULL);
	ASSERT(queue->step == QUEUE_ASSOCIATE);
	ASSERT(queue->free_count == queue->slot_count); /* nothing goes before Connect */
	ASSERT(command->parent == &queue->connect_op);
	command->nvme_status = INITIATOR_NVME_STATUS_NONE;
	list_init(&command->link);
	slot_start(queue, command);
}

bool queue_slot_forget(struct initiator_queue *queue, struct queue_slot *slot)
{
	struct initiator_command *command = slot->command;

	if (slot->state != SLOT_ACTIVE || slot->is_in_batch || queue->send.current == slot ||
	    queue->receive.slot == slot || command->io == NULL)
		return false;
	list_remove(&slot->link);
	slot_release(queue, slot);
	io_command_done(queue, request_of(command), IO_TIMED_OUT);
	return true;
}

/* A command whose connection is gone. */
static void slot_lose(struct initiator_queue *queue, struct queue_slot *slot)
{
	struct initiator_command *command = slot->command;
	enum io_status status = slot->is_timed_out ? IO_TIMED_OUT : IO_DEVICE_GONE;
	bool is_answered = slot->state == SLOT_ANSWERED;
	struct io_request *request;

	ASSERT(queue->socket == NULL);
	ASSERT(slot->state != SLOT_FREE && !slot->is_in_batch);
	list_remove(&slot->link);
	if (is_answered) { /* only the sender kept it */
		slot_finish(queue, slot);
		return;
	}
	slot_release(queue, slot);
	if (command->io == NULL) {
		command_done(command, status);
		return;
	}
	request = request_of(command);
	ASSERT(request->commands_out > 0);
	if (queue->shared->options->is_retrying && request->first_failure == IO_OK &&
	    !atomic_load_explicit(&queue->shared->is_gone, memory_order_acquire)) {
		REACHED("initiator_repeats_an_io");
		request->is_restarting = true;
		status = IO_OK;
	}
	io_command_done(queue, request, status);
}

void queue_slots_drain(struct initiator_queue *queue)
{
	ASSERT(queue->socket == NULL);
	ASSERT(queue->send.current == NULL);
	ASSERT(queue->send.step == SEND_COLLECT);
	ASSERT_SLOW(queue_counts_are_right(queue));
	for (uint32_t i = 0; i < queue->slot_count; i++) {
		if (queue->slots[i].state != SLOT_FREE)
			slot_lose(queue, &queue->slots[i]);
	}
	ASSERT(queue->free_count == queue->slot_count && queue->timed_count == 0);
	ASSERT_SLOW(queue_counts_are_right(queue));
}

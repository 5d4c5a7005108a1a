/* SPDX-License-Identifier: Apache-2.0 */
/* queue_pair.c - the life of one queue pair, from TCP connect to the last answer.
 *
 *	IDLE -- queue_start --> CONNECT .. ASSOCIATE_WAIT --> LIVE
 *	any but IDLE -- queue_fail, queue_stop --> TERM --> CLOSE --> DRAIN --> IDLE
 *
 * Invariants:
 *  1. op is joined only while the system owes an answer that surely comes (connect, close); in all
 *     other steps it is woken, and looks first whether the queue is to end.
 *  2. In DRAIN no byte can arrive or leave any more, so memory of commands may be given back.
 *  3. Each start ends in exactly one of: start_parent's answer, failed(), or a stop's answer.
 */
#include "initiator/queue_impl.h"

#include "base/memory.h"
#include "base/planted.h"

#include <errno.h>

#define NS_PER_MS	 1000000ull
#define TERM_PATIENCE_MS 100

static bool queue_is_ending(const struct initiator_queue *queue)
{
	return queue->error != 0 || queue->is_stopping;
}

static void queue_check_counts(const struct initiator_queue *queue)
{
	uint32_t used_count = queue->slot_count - queue->free_count;

	ASSERT(queue->slot_count <= queue->slot_capacity);
	ASSERT(queue->free_count <= queue->slot_count);
	ASSERT(queue->timed_count <= used_count);
	ASSERT((queue->waiting_count == 0) == list_is_empty(&queue->waiting));
	ASSERT(queue->error <= 0);
	ASSERT(!queue->has_fault || queue->error == -EPROTO);
	ASSERT(queue->stop_parent == NULL || queue->is_stopping);
	ASSERT(!queue->is_associated || queue->is_initialized);
	ASSERT(used_count == 0 || queue->is_initialized);
	ASSERT(queue->step != QUEUE_LIVE || queue->is_associated);
}

/* Between TCP and the life of the queue: what has been reached so far. */
static void queue_check_set_up(const struct initiator_queue *queue)
{
	bool is_unused = queue->free_count == queue->slot_count;

	ASSERT(!queue->has_fault || queue->socket != NULL);
	if (queue->step <= QUEUE_HANDSHAKE) {
		ASSERT(queue->socket == NULL);
		ASSERT(!queue->is_initialized);
	} else {
		ASSERT(queue->connect.socket == NULL); /* handed over */
		ASSERT(queue->socket != NULL);
	}
	if (queue->step <= QUEUE_ASSOCIATE)
		ASSERT(is_unused && !queue->is_associated);
	else
		ASSERT(queue->is_initialized);
	if (queue->is_admin)
		ASSERT(queue->start_parent != NULL); /* its controller waits */
	else
		ASSERT(queue->start_parent == NULL);
}

void queue_check(const struct initiator_queue *queue)
{
	queue_check_counts(queue);
	switch (queue->step) {
	case QUEUE_IDLE:
		ASSERT(queue->socket == NULL && !queue->is_stopping);
		ASSERT(queue->free_count == queue->slot_count);
		ASSERT(queue->start_parent == NULL && queue->stop_parent == NULL);
		ASSERT(queue->send.current == NULL && queue->receive.slot == NULL);
		return;
	case QUEUE_CONNECT:
	case QUEUE_HANDSHAKE:
	case QUEUE_HANDSHAKE_WAIT:
	case QUEUE_ASSOCIATE:
	case QUEUE_ASSOCIATE_WAIT:
		queue_check_set_up(queue);
		return;
	case QUEUE_LIVE:
		ASSERT(queue->socket != NULL && queue->error == 0);
		ASSERT(queue->was_live && queue->start_parent == NULL);
		return;
	case QUEUE_TERM:
	case QUEUE_TERM_WAIT:
	case QUEUE_CLOSE:
		break;
	case QUEUE_DRAIN:
		ASSERT(queue->socket == NULL);
		ASSERT(queue->send.op.pending == 0); /* the system has let go */
		ASSERT(queue->receive.slot == NULL);
		break;
	}
	ASSERT(queue_is_ending(queue));
	ASSERT(!queue->op.is_joined);
}

void queue_wake(struct initiator_queue *queue)
{
	if (!queue->op.is_joined && queue->step != QUEUE_IDLE)
		op_wake(&queue->op);
}

/* The only wait that we can shorten is that for a connection. */
static void queue_hurry(struct initiator_queue *queue)
{
	if (queue->op.is_joined && queue->step == QUEUE_HANDSHAKE)
		os_connect_cancel(reactor_ring(queue->reactor), &queue->connect);
	else
		queue_wake(queue);
}

void queue_fail(struct initiator_queue *queue, int error)
{
	ASSERT(error < 0);
	ASSERT(queue->error <= 0);
	if (queue->step == QUEUE_IDLE || queue->error != 0)
		return;
	queue->error = error;
	queue_hurry(queue);
}

void queue_fail_protocol(struct initiator_queue *queue, const struct nvme_tcp_fault *fault)
{
	if (queue->step == QUEUE_IDLE || queue->error != 0)
		return;
	ASSERT(queue->socket != NULL); /* it came over one */
	ASSERT(!queue->has_fault);
	log_error(queue->shared->options->log,
		  "initiator %s: queue %u: the controller broke the protocol (error %d, field %u); "
		  "the connection ends",
		  queue->shared->name, queue->parameters.qid, (int)fault->fes, fault->field_offset);
	atomic_fetch_add(&queue->shared->protocol_error_count, 1);
	REACHED("initiator_found_a_breach");
	queue->fault = *fault;
	queue->has_fault = true;
	queue_fail(queue, -EPROTO);
}

bool queue_is_live(const struct initiator_queue *queue)
{
	return queue->step == QUEUE_LIVE && queue->error == 0;
}

static enum op_flow queue_connect(struct initiator_queue *queue)
{
	ASSERT(queue->socket == NULL && queue->connect.socket == NULL);
	ASSERT(queue->parameters.address.size > 0);
	ASSERT(queue->op.pending == 0);
	queue->connect =
		(struct os_connect){.parent = &queue->op, .address = queue->parameters.address};
	op_wait(&queue->op);
	os_connect_submit(reactor_ring(queue->reactor), &queue->connect);
	return op_join(&queue->op);
}

/* NVMe TCP transport 1.0, section 3.6.2.2. */
static void queue_handshake(struct initiator_queue *queue)
{
	struct nvme_tcp_ic ic = {
		.alignment = 4,
		.has_header_digest = queue->shared->has_header_digest,
		.has_data_digest = queue->shared->has_data_digest,
		.r2t_count_max = R2T_COUNT_MAX,
	};

	ASSERT(queue->socket == NULL);
	ASSERT(queue->op.pending == 0);
	queue->socket = queue->connect.socket;
	queue->connect.socket = NULL;
	if (queue->connect.result < 0) {
		ASSERT(queue->socket == NULL);
		if (queue->error == 0)
			queue->error = queue->connect.result;
		return;
	}
	ASSERT(queue->socket != NULL);
	if (queue_is_ending(queue))
		return;
	receive_start(queue);
	send_start(queue);
	ASSERT(queue->send.raw_bytes == 0); /* ICReq is the first to go */
	nvme_tcp_icreq_encode((struct nvme_tcp_icreq *)queue->send.raw, &ic);
	queue->send.raw_bytes = sizeof(struct nvme_tcp_icreq);
	send_raw(queue);
}
STATIC_ASSERT(sizeof(struct nvme_tcp_icreq) <= NVME_TCP_TERM_BYTES_MAX);

static void connect_answered(struct op *op)
{
	struct initiator_queue *queue = container_of(op, struct initiator_queue, connect_op);

	ASSERT(queue->is_initialized && !queue->is_associated);
	ASSERT(list_is_empty(&queue->connect_command.link));
	queue->is_associated = true;
	queue_wake(queue);
}

/* NVMe base 2.0, section 6.3. */
static void queue_associate(struct initiator_queue *queue)
{
	const struct queue_shared *shared = queue->shared;
	struct initiator_command *command = &queue->connect_command;
	struct nvmf_connect connect = {
		.qid = queue->parameters.qid,
		.queue_entries = PLANTED(QUEUE_DEPTH_EXCEEDED) && !queue->is_admin
					 ? 3
					 : queue->parameters.depth + 1,
		/* Nobody here looks at SQHD; without it a read needs no response capsule. */
		.is_without_flow_control = true,
		.is_sole = queue->is_admin && shared->options->is_sole,
		.kato_ms = queue->is_admin ? shared->options->kato_ms : 0,
		.cntlid = queue->parameters.cntlid,
	};

	ASSERT(queue->step == QUEUE_ASSOCIATE && op_is_idle(&queue->connect_op));
	ASSERT(queue->is_admin == (queue->parameters.qid == 0));
	ASSERT(queue->is_admin == (queue->parameters.cntlid == NVMF_CNTLID_ANY));
	ASSERT(strlen(shared->subnqn) < sizeof(connect.subnqn));
	ASSERT(strlen(shared->hostnqn) < sizeof(connect.hostnqn));
	memcpy(connect.host_id, shared->options->host_id, sizeof(connect.host_id));
	memcpy(connect.subnqn, shared->subnqn, strlen(shared->subnqn));
	memcpy(connect.hostnqn, shared->hostnqn, strlen(shared->hostnqn));
	*command = (struct initiator_command){
		.parent = &queue->connect_op,
		.data = &queue->connect_data,
		.data_bytes = sizeof(queue->connect_data),
		.timeout_ms = shared->options->connect_timeout_ms,
	};
	nvmf_connect_encode(&command->sqe, &connect, &queue->connect_data);
	op_wait(&queue->connect_op);
	queue_submit_now(queue, command);
	if (op_join(&queue->connect_op) == OP_NEXT)
		op_wake(&queue->connect_op);
}

/* Return: 0 when the controller has taken us. */
static int queue_judge_associate(struct initiator_queue *queue)
{
	const struct initiator_command *command = &queue->connect_command;
	const char *text;

	ASSERT(queue->is_associated && queue->connect_op.pending == 0);
	ASSERT(queue->error == 0);
	if (command->nvme_status == NVME_STATUS_SUCCESS) {
		if ((command->result & NVMF_CONNECT_AUTHENTICATION_MASK) != 0)
			return -EKEYREJECTED;
		/* Reserved ids: one of them means "any" in the next Connect. */
		if ((command->result & 0xffff) > NVMF_CNTLID_MAX)
			return -EPROTO;
		queue->cntlid = (uint16_t)command->result;
		return 0;
	}
	text = nvme_status_text(command->nvme_status);
	log_warn(queue->shared->options->log,
		 "initiator %s: queue %u: connect is refused: status 0x%x (%s), detail 0x%x",
		 queue->shared->name, queue->parameters.qid, command->nvme_status,
		 text == NULL ? "unknown" : text, command->result);
	switch (command->nvme_status) {
	case NVMF_STATUS_CONNECT_INVALID_HOST:
		return -EACCES;
	case NVMF_STATUS_CONTROLLER_BUSY:
		return -EBUSY;
	case NVMF_STATUS_AUTHENTICATION_REQUIRED:
		return -EKEYREJECTED;
	case NVMF_STATUS_CONNECT_INVALID_PARAMETERS:
		return -ENODEV; /* no such subsystem there, or our name is refused */
	default:
		return -EIO;
	}
}

static void queue_enter_live(struct initiator_queue *queue)
{
	struct op *parent = queue->start_parent;

	ASSERT(queue->step == QUEUE_LIVE && queue->error == 0);
	ASSERT(queue->is_admin == (parent != NULL));
	ASSERT(queue->free_count == queue->slot_count); /* Connect went alone */
	queue->start_parent = NULL;
	queue->was_live = true;
	atomic_store(&queue->is_abort_busy, false);
	op_done(parent);
}

/* A terminate request goes out only between PDUs, and only if there is a connection to speak of. */
static bool queue_term(struct initiator_queue *queue)
{
	struct queue_send *send = &queue->send;

	if (!queue->has_fault || queue->socket == NULL || send->step != SEND_COLLECT ||
	    send->current != NULL || send->raw_bytes > 0)
		return false;
	send->raw_bytes = nvme_tcp_term_encode(send->raw, NVME_TCP_H2C_TERM, &queue->fault,
					       queue->receive.head, queue->receive.head_bytes);
	ASSERT(send->raw_bytes > 0 && send->raw_bytes <= sizeof(send->raw));
	REACHED("initiator_sends_a_termination");
	queue->setup_deadline_ns = reactor_now_ns(queue->reactor) + TERM_PATIENCE_MS * NS_PER_MS;
	send_raw(queue);
	return true;
}

static bool queue_term_is_sent(const struct initiator_queue *queue)
{
	return queue->send.step == SEND_COLLECT && queue->send.raw_bytes == 0;
}

static enum op_flow queue_close(struct initiator_queue *queue)
{
	struct os_socket *socket = queue->socket;

	ASSERT(queue_is_ending(queue));
	ASSERT(queue->op.pending == 0);
	op_unwake(&queue->receive.op);
	op_unwake(&queue->op);
	ASSERT(op_is_idle(&queue->receive.op)); /* no byte is placed from here on */
	queue->receive.slot = NULL;
	queue->socket = NULL;
	if (socket == NULL)
		return OP_NEXT;
	op_wait(&queue->op);
	/* What was sent may be sent again over a new connection: no ghost of it must follow. */
	if (PLANTED(CLOSED_NOT_ABORTED))
		os_socket_close(socket, &queue->op);
	else
		os_socket_abort(socket, &queue->op);
	return op_join(&queue->op);
}

/* Hands out all results; the queue may be started, or freed by main, afterwards. */
static void queue_drain(struct initiator_queue *queue)
{
	struct op *start_parent = queue->start_parent;
	struct op *stop_parent = queue->stop_parent;
	bool is_failed = !queue->is_stopping && start_parent == NULL;

	ASSERT(queue_is_ending(queue));
	ASSERT(queue->op.pending == 0 && queue->socket == NULL);
	queue_send_drop(queue);
	queue_slots_drain(queue);
	op_unwake(&queue->connect_op);
	op_unwake(&queue->op);
	ASSERT(op_is_idle(&queue->connect_op));
	queue->is_stopping = false;
	queue->start_parent = NULL;
	queue->stop_parent = NULL;
	if (queue->error == 0)
		queue->error = -ECANCELED;
	queue_waiting_expire(queue, queue->is_admin ? UINT64_MAX : reactor_now_ns(queue->reactor));
	timeouts_arm(queue);
	ASSERT(!queue->is_admin || queue->waiting_count == 0);
	ASSERT((start_parent != NULL) + (stop_parent != NULL) + is_failed > 0);
	queue_check(queue);
	if (is_failed)
		queue->failed(queue);
	op_done(start_parent);
	op_done(stop_parent);
}

static void queue_run(struct op *op)
{
	struct initiator_queue *queue = container_of(op, struct initiator_queue, op);

	op_unwake(op);
	for (;;) {
		if (queue_is_ending(queue) && queue->step > QUEUE_HANDSHAKE &&
		    queue->step < QUEUE_TERM)
			queue->step = QUEUE_TERM;
		queue_check(queue);
		switch (queue->step) {
		case QUEUE_IDLE:
			return;
		case QUEUE_CONNECT:
			queue->step = QUEUE_HANDSHAKE;
			if (queue_connect(queue) == OP_WAIT)
				return;
			break;
		case QUEUE_HANDSHAKE:
			queue->step = QUEUE_HANDSHAKE_WAIT;
			queue_handshake(queue);
			break;
		case QUEUE_HANDSHAKE_WAIT:
			if (!queue->is_initialized)
				return;
			queue->step = QUEUE_ASSOCIATE;
			break;
		case QUEUE_ASSOCIATE:
			queue_associate(queue);
			queue->step = QUEUE_ASSOCIATE_WAIT;
			break;
		case QUEUE_ASSOCIATE_WAIT:
			if (!queue->is_associated)
				return;
			queue->error = queue_judge_associate(queue);
			if (queue->error != 0)
				break;
			queue->step = QUEUE_LIVE;
			queue_enter_live(queue);
			queue_kick(queue);
			return;
		case QUEUE_LIVE:
			return;
		case QUEUE_TERM:
			queue->step = QUEUE_CLOSE;
			if (!queue_term(queue))
				break;
			queue->step = QUEUE_TERM_WAIT;
			return;
		case QUEUE_TERM_WAIT:
			if (!queue_term_is_sent(queue) &&
			    reactor_now_ns(queue->reactor) < queue->setup_deadline_ns)
				return;
			queue->step = QUEUE_CLOSE;
			break;
		case QUEUE_CLOSE:
			queue->step = QUEUE_DRAIN;
			if (queue_close(queue) == OP_WAIT)
				return;
			break;
		case QUEUE_DRAIN:
			queue->step = QUEUE_IDLE;
			queue_drain(queue);
			return;
		}
	}
}

void queue_start(struct initiator_queue *queue, const struct queue_parameters *parameters,
		 struct op *parent)
{
	ASSERT(queue->step == QUEUE_IDLE && op_is_idle(&queue->op));
	ASSERT(op_is_idle(&queue->connect_op));
	ASSERT(op_is_idle(&queue->receive.op));
	ASSERT(queue->is_admin == (parent != NULL));
	ASSERT(queue->is_admin || parameters->block_bytes >= BLOCK_BYTES_MIN);
	ASSERT(queue->is_admin || parameters->transfer_bytes_max >= parameters->block_bytes);
	queue_check(queue);
	queue->parameters = *parameters;
	queue->start_parent = parent;
	queue->error = 0;
	queue->has_fault = false;
	queue->is_initialized = false;
	queue->is_associated = false;
	queue->setup_deadline_ns = reactor_now_ns(queue->reactor) +
				   queue->shared->options->connect_timeout_ms * NS_PER_MS;
	queue_slots_reset(queue);
	queue->step = QUEUE_CONNECT;
	timeouts_arm(queue);
	op_start(&queue->op);
}

void queue_stop(struct initiator_queue *queue, struct op *parent)
{
	ASSERT(queue->stop_parent == NULL);
	ASSERT(parent != NULL && !queue->is_stopping);
	if (queue->step == QUEUE_IDLE) {
		timeouts_arm(queue);
		op_done(parent);
		return;
	}
	queue->is_stopping = true;
	queue->stop_parent = parent;
	queue_hurry(queue);
}

int queue_create(struct queue_shared *shared, struct reactor *reactor, bool is_admin,
		 uint32_t slot_capacity, struct initiator_queue **ret_queue)
{
	struct initiator_queue *queue = memory_alloc(sizeof(*queue));

	ASSERT(slot_capacity > 0 && slot_capacity <= INITIATOR_QUEUE_DEPTH_MAX);
	ASSERT(reactor != NULL && shared->options != NULL);
	if (queue == NULL)
		return -ENOMEM;
	queue->shared = shared;
	queue->reactor = reactor;
	queue->is_admin = is_admin;
	queue->slot_capacity = slot_capacity;
	queue->slots = memory_alloc_array(slot_capacity, sizeof(*queue->slots));
	queue->free_slots = memory_alloc_array(slot_capacity, sizeof(*queue->free_slots));
	if (queue->slots == NULL || queue->free_slots == NULL) {
		memory_free(queue->slots);
		memory_free(queue->free_slots);
		memory_free(queue);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < slot_capacity; i++) {
		queue->slots[i].cid = (uint16_t)i;
		list_init(&queue->slots[i].link);
	}
	list_init(&queue->waiting);
	op_init(&queue->op, reactor_ready(reactor), queue_run);
	op_init(&queue->connect_op, reactor_ready(reactor), connect_answered);
	queue_receive_init(queue);
	queue_send_init(queue);
	timeouts_init(queue);
	queue_check(queue);
	*ret_queue = queue;
	return 0;
}

void queue_destroy(struct initiator_queue *queue)
{
	if (queue == NULL)
		return;
	ASSERT(queue->step == QUEUE_IDLE && op_is_idle(&queue->op));
	ASSERT(queue->waiting_count == 0 && queue->socket == NULL);
	ASSERT(!reactor_timer_is_armed(&queue->tick));
	ASSERT(op_is_idle(&queue->receive.op) && op_is_idle(&queue->send.op));
	ASSERT(op_is_idle(&queue->connect_op));
	ASSERT_SLOW(queue_counts_are_right(queue));
	queue_check(queue);
	memory_free(queue->slots);
	memory_free(queue->free_slots);
	memory_free(queue);
}

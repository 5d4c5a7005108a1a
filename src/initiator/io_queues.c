/* SPDX-License-Identifier: Apache-2.0 */
/* io_queues.c - I/O queue pairs on other reactors, and how they and the main reactor speak.
 *
 *	register_message  queue -> main   a channel was opened on a reactor that had no queue yet
 *	start_message     main -> queue   connect
 *	stop_call         main -> queue   close; its answer means that the queue is idle
 *	failed_message    queue -> main   it ended by itself
 *	abort_message     queue -> main   a command takes too long
 *
 * Invariants:
 *  1. start, stop, start ... alternate; a stop is awaited. Messages between two reactors keep their
 *     order, so when a stop is answered nothing older of that queue is under way.
 *  2. A queue lives until its bdev is destroyed. Its entry in controller->queues is written by its
 *     reactor with a channel open, and read by main when none is.
 */
#include "initiator/initiator_impl.h"

#include <errno.h>

static void start_run(struct reactor_message *message)
{
	struct initiator_queue *queue =
		container_of(message, struct initiator_queue, start_message);

	ASSERT(!queue->is_admin && queue->step == QUEUE_IDLE);
	ASSERT(op_is_idle(&queue->stop_op)); /* the stop before was answered */
	queue_start(queue, &queue->next_parameters, NULL);
}

static void failed_run(struct reactor_message *message)
{
	struct initiator_queue *queue =
		container_of(message, struct initiator_queue, failed_message);

	ASSERT(queue->is_registered && queue->failed_error < 0);
	controller_fail(queue->controller, queue->failed_error);
}

static void io_queue_failed(struct initiator_queue *queue)
{
	ASSERT(queue->error < 0);
	ASSERT(!queue->is_admin && queue->step == QUEUE_IDLE);
	queue->failed_error = queue->error;
	reactor_send(queue->controller->main, &queue->failed_message);
}

static void io_queue_abort(struct initiator_queue *queue, uint16_t cid)
{
	ASSERT(!queue->is_admin && queue->step == QUEUE_LIVE);
	/* One at a time: those left out are ended by the reset that follows a second time-out. */
	if (atomic_exchange_explicit(&queue->is_abort_busy, true, memory_order_acquire))
		return;
	queue->abort_cid = cid;
	reactor_send(queue->controller->main, &queue->abort_message);
}

static void stop_finished(struct op *op)
{
	struct initiator_queue *queue = container_of(op, struct initiator_queue, stop_op);

	ASSERT(queue->step == QUEUE_IDLE);
	ASSERT(queue->socket == NULL && queue->free_count == queue->slot_count);
	reactor_call_finish(&queue->stop_call); /* main may free the queue from here on */
}

static void stop_arrived(struct reactor_call *call)
{
	struct initiator_queue *queue = container_of(call, struct initiator_queue, stop_call);

	ASSERT(!queue->is_admin && !queue->is_stopping);
	ASSERT(op_is_idle(&queue->stop_op));
	op_wait(&queue->stop_op);
	queue_stop(queue, &queue->stop_op);
	if (op_join(&queue->stop_op) == OP_NEXT)
		op_wake(&queue->stop_op);
}

static uint32_t smaller(uint32_t one, uint32_t other)
{
	return one < other ? one : other;
}

/* How many commands the controller takes at once: its queue has one entry more. */
static uint32_t io_queue_depth(const struct initiator_controller *controller)
{
	const struct controller_identity *identity = &controller->identity;
	uint32_t depth = smaller(controller->options.queue_depth,
				 (uint32_t)(identity->cap & NVMF_CAP_MQES_MASK));

	if (identity->command_count_max > 0)
		depth = smaller(depth, identity->command_count_max);
	ASSERT(depth > 0);
	ASSERT(depth <= controller->options.queue_depth);
	return depth;
}

static void io_queue_start(struct initiator_controller *controller, struct initiator_queue *queue,
			   uint32_t qid)
{
	const struct controller_identity *identity = &controller->identity;

	ASSERT(queue->is_registered && !queue->is_admin);
	ASSERT(qid > 0 && qid <= REACTORS_MAX);
	ASSERT(controller->is_announced);
	if (queue->is_started)
		return;
	if (qid > identity->queue_count_max) {
		log_warn(controller->options.log,
			 "initiator %s: the controller grants %u I/O queues; reactor %u gets none",
			 controller->bdev.name, identity->queue_count_max,
			 reactor_index(queue->reactor));
		return;
	}
	queue->next_parameters = (struct queue_parameters){
		.address = controller->addresses[controller->address_index],
		.qid = (uint16_t)qid,
		.depth = io_queue_depth(controller),
		.cntlid = controller->admin->cntlid,
		.capsule_data_bytes_max = identity->capsule_data_bytes_max,
		.nsid = NAMESPACE_ID,
		.block_bytes = controller->serving.block_bytes,
		.transfer_bytes_max = identity->transfer_bytes_max,
	};
	queue->is_started = true;
	reactor_send(queue->reactor, &queue->start_message);
}

static void register_run(struct reactor_message *message)
{
	struct initiator_queue *queue =
		container_of(message, struct initiator_queue, register_message);
	struct initiator_controller *controller = queue->controller;

	ASSERT(!queue->is_registered);
	ASSERT(controller->queue_count < REACTORS_MAX);
	ASSERT(!queue->is_started && queue->step == QUEUE_IDLE);
	queue->is_registered = true;
	controller->registered[controller->queue_count++] = queue;
	if (controller->step == CONTROLLER_LIVE && !controller->is_failing)
		io_queue_start(controller, queue, controller->queue_count);
	controller_wake(controller);
}

/* Those that have not started yet: all after a connect, later ones that came during a refresh. */
void io_queues_start(struct initiator_controller *controller)
{
	ASSERT(queue_is_live(controller->admin) || controller->is_failing ||
	       controller->admin->error != 0);
	ASSERT(controller->serving.block_bytes == controller->bdev.block_bytes);
	for (uint32_t i = 0; i < controller->queue_count; i++)
		io_queue_start(controller, controller->registered[i], i + 1);
}

void io_queues_stop(struct initiator_controller *controller)
{
	for (uint32_t i = 0; i < controller->queue_count; i++) {
		struct initiator_queue *queue = controller->registered[i];

		ASSERT(queue->is_registered && queue->controller == controller);
		ASSERT(queue->stop_call.origin == controller->main);
		queue->is_started = false;
		queue->stop_call.parent = &controller->op;
		op_wait(&controller->op);
		reactor_call_submit(&queue->stop_call);
	}
}

bool io_queues_are_registering(const struct initiator_controller *controller)
{
	uint32_t count = 0;

	ASSERT(!controller->is_announced || bdev_channel_count(&controller->bdev) == 0);
	for (uint32_t i = 0; i < REACTORS_MAX; i++)
		count += controller->queues[i] != NULL;
	ASSERT(count >= controller->queue_count);
	return count > controller->queue_count;
}

static int io_queue_create(struct initiator_controller *controller, struct reactor *reactor,
			   struct initiator_queue **ret_queue)
{
	struct initiator_queue *queue;
	int rc;

	ASSERT(controller->is_announced);
	rc = queue_create(&controller->shared, reactor, false, controller->options.queue_depth,
			  &queue);
	if (rc < 0)
		return rc;
	queue->controller = controller;
	queue->failed = io_queue_failed;
	queue->abort = io_queue_abort;
	queue->register_message.run = register_run;
	queue->start_message.run = start_run;
	queue->failed_message.run = failed_run;
	queue->abort_message.run = abort_message_run;
	queue->stop_call = (struct reactor_call){
		.origin = controller->main, .target = reactor, .function = stop_arrived};
	op_init(&queue->stop_op, reactor_ready(reactor), stop_finished);
	*ret_queue = queue;
	return 0;
}

int io_channel_open(struct bdev_channel *channel)
{
	struct initiator_controller *controller = controller_of(channel->bdev);
	uint32_t index = reactor_index(channel->reactor);
	int rc;

	ASSERT(index < REACTORS_MAX);
	if (controller->queues[index] == NULL) {
		rc = io_queue_create(controller, channel->reactor, &controller->queues[index]);
		if (rc < 0)
			return rc;
		reactor_send(controller->main, &controller->queues[index]->register_message);
	}
	ASSERT(controller->queues[index]->reactor == channel->reactor);
	ASSERT(controller->queues[index]->controller == controller);
	ASSERT(!controller->queues[index]->is_admin);
	channel->driver = controller->queues[index];
	return 0;
}

void io_channel_close(struct bdev_channel *channel)
{
	ASSERT(channel->inflight == 0);
	ASSERT(channel->driver != NULL);
	channel->driver = NULL;
}

void io_channel_submit(struct bdev_channel *channel, struct bdev_io *io)
{
	struct io_request *request = (struct io_request *)(void *)io->driver;

	ASSERT(io->channel == channel);
	ASSERT(((struct initiator_queue *)channel->driver)->reactor == channel->reactor);
	/* What an earlier driver left in @io must not become a time-out. */
	request->command.timeout_ms = 0;
	request->command.io = io;
	queue_submit(channel->driver, &request->command);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - what runs beside I/O on the admin queue pair: keep-alive, async events, aborts.
 *
 * Invariants:
 *  1. At most one keep-alive, one event request and one abort are out.
 *  2. When the admin queue pair has stopped all three are answered; the controller waits for their
 *     ops (events_are_busy) before it goes on.
 */
#include "initiator/initiator_impl.h"

#include "base/planted.h"

#include <errno.h>

#define NS_PER_MS 1000000ull

/* Submits @command, whose @op is entered once when it is answered. */
static void command_start(struct initiator_controller *controller, struct op *op,
			  struct initiator_command *command)
{
	ASSERT(op_is_idle(op));
	ASSERT(command->io == NULL && command->data == NULL);
	command->parent = op;
	op_wait(op);
	queue_submit(controller->admin, command);
	if (op_join(op) == OP_NEXT)
		op_wake(op);
}

/* Keep-alive: NVMe base 2.0, section 5.18; half of the time-out leaves room for one delay. */

static void keep_alive_arm(struct initiator_controller *controller)
{
	uint64_t half_ms = controller->options.kato_ms / 2;

	ASSERT(!reactor_timer_is_armed(&controller->keep_alive.timer));
	if (half_ms > 0)
		reactor_timer_start(&controller->keep_alive.timer, half_ms * NS_PER_MS);
}

static void keep_alive_answered(struct op *op)
{
	struct initiator_controller *controller =
		container_of(op, struct initiator_controller, keep_alive.op);
	struct keep_alive *keep_alive = &controller->keep_alive;

	ASSERT(keep_alive->is_out && op->pending == 0);
	keep_alive->is_out = false;
	if (keep_alive->command.status != IO_OK)
		controller_fail(controller, -ECONNABORTED);
	controller_wake(controller);
}

static void keep_alive_due(struct reactor_timer *timer)
{
	struct initiator_controller *controller =
		container_of(timer, struct initiator_controller, keep_alive.timer);
	struct keep_alive *keep_alive = &controller->keep_alive;

	ASSERT(controller->step != CONTROLLER_SETTLE && controller->step != CONTROLLER_PAUSE);
	ASSERT(controller->step != CONTROLLER_GONE && controller->step != CONTROLLER_FREE);
	if (PLANTED(KEEP_ALIVE_NOT_SENT)) {
		keep_alive_arm(controller);
		return;
	}
	if (keep_alive->is_out) {
		REACHED("initiator_keep_alive_not_answered");
		log_error(controller->options.log,
			  "initiator %s: the controller does not answer keep-alives",
			  controller->bdev.name);
		controller_fail(controller, -ETIMEDOUT);
		return;
	}
	keep_alive->is_out = true;
	keep_alive->command = (struct initiator_command){.sqe = {.opcode = NVME_ADMIN_KEEP_ALIVE}};
	command_start(controller, &keep_alive->op, &keep_alive->command);
	keep_alive_arm(controller);
}

/* Async events: NVMe base 2.0, section 5.2. */

static void event_request(struct initiator_controller *controller)
{
	struct event_request *event = &controller->event;

	ASSERT(!event->is_out);
	ASSERT(controller->admin != NULL && !controller->shared.is_gone);
	event->is_out = true;
	event->command = (struct initiator_command){
		.sqe = {.opcode = NVME_ADMIN_ASYNC_EVENT},
		.timeout_ms = TIMEOUT_NEVER_MS,
	};
	command_start(controller, &event->op, &event->command);
}

static void event_judge(struct initiator_controller *controller, uint32_t result)
{
	uint32_t type = result & 7;
	uint32_t information = result >> 8 & 0xff;

	REACHED("initiator_gets_an_event");
	log_info(controller->options.log, "initiator %s: event type %u, information 0x%x",
		 controller->bdev.name, type, information);
	if (type == NVME_ASYNC_EVENT_TYPE_NOTICE &&
	    (information == NVME_ASYNC_EVENT_NOTICE_NAMESPACE ||
	     information == NVME_ASYNC_EVENT_NOTICE_ANA))
		controller->is_refresh_wanted = true;
}

static void event_answered(struct op *op)
{
	struct initiator_controller *controller =
		container_of(op, struct initiator_controller, event.op);
	struct event_request *event = &controller->event;

	ASSERT(event->is_out && op->pending == 0);
	event->is_out = false;
	/* A refusal means no events, a lost connection that somebody else asks again. */
	if (event->command.status == IO_OK) {
		event_judge(controller, event->command.result);
		event_request(controller);
	}
	controller_wake(controller);
}

/* Aborts: NVMe base 2.0, section 5.1. */

static void abort_answered(struct op *op)
{
	struct initiator_controller *controller =
		container_of(op, struct initiator_controller, abort.op);
	struct abort_request *abort = &controller->abort;

	ASSERT(abort->queue != NULL && op->pending == 0);
	ASSERT(abort->queue->controller == controller);
	atomic_store_explicit(&abort->queue->is_abort_busy, false, memory_order_release);
	abort->queue = NULL;
	controller_wake(controller);
}

void abort_message_run(struct reactor_message *message)
{
	struct initiator_queue *queue =
		container_of(message, struct initiator_queue, abort_message);
	struct initiator_controller *controller = queue->controller;
	struct abort_request *abort = &controller->abort;
	uint32_t target = queue->parameters.qid | (uint32_t)queue->abort_cid << 16;

	ASSERT(queue->is_registered && !queue->is_admin);
	ASSERT(atomic_load_explicit(&queue->is_abort_busy, memory_order_relaxed));
	if (abort->queue != NULL || controller->step != CONTROLLER_LIVE || controller->is_failing) {
		atomic_store_explicit(&queue->is_abort_busy, false, memory_order_release);
		return;
	}
	log_warn(controller->options.log, "initiator %s: queue %u: aborts a command after %u ms",
		 controller->bdev.name, queue->parameters.qid, controller->options.io_timeout_ms);
	ASSERT(queue->parameters.qid > 0);
	abort->queue = queue;
	abort->command = (struct initiator_command){
		.sqe = {.opcode = NVME_ADMIN_ABORT, .cdw10 = le32_store(target)}};
	command_start(controller, &abort->op, &abort->command);
}

void events_init(struct initiator_controller *controller)
{
	struct op_queue *ready = reactor_ready(controller->main);

	op_init(&controller->keep_alive.op, ready, keep_alive_answered);
	op_init(&controller->event.op, ready, event_answered);
	op_init(&controller->abort.op, ready, abort_answered);
	reactor_timer_init(&controller->keep_alive.timer, controller->main, keep_alive_due);
}

void events_start(struct initiator_controller *controller)
{
	ASSERT(!events_are_busy(controller));
	ASSERT(!reactor_timer_is_armed(&controller->keep_alive.timer));
	keep_alive_arm(controller);
	event_request(controller);
}

void events_stop(struct initiator_controller *controller)
{
	reactor_timer_stop(&controller->keep_alive.timer);
	ASSERT(!reactor_timer_is_armed(&controller->keep_alive.timer));
}

bool events_are_busy(const struct initiator_controller *controller)
{
	ASSERT(controller->abort.queue == NULL || controller->abort.queue->is_registered);
	return controller->keep_alive.is_out || controller->event.is_out ||
	       controller->abort.queue != NULL;
}

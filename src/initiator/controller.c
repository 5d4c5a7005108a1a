/* SPDX-License-Identifier: Apache-2.0 */
/* controller.c - the life of one controller, from its first connect to its end.
 *
 *	CONNECT -> CONNECTED -> STAGE <-> STAGE_DONE (<-> STAGE_PAUSE) -> ANNOUNCE -> LIVE
 *	LIVE -- event --> STAGE (refresh)
 *	any -- failure --> RESET -> SETTLE -> PAUSE -> CONNECT
 *	SETTLE, PAUSE -- too long without a connection, or namespace gone --> GONE
 *	SETTLE, PAUSE, GONE -- destroy --> FREE
 *	SETTLE -- while being created --> FREE, with an error to the creator
 *
 * Invariants:
 *  1. op is joined only on what surely ends: connect of the admin queue pair (it has a deadline),
 *     an admin command (likewise), stopping of queue pairs. Everything else wakes it.
 *  2. CONNECT is entered only when all queue pairs of the last association are closed and all its
 *     commands answered, so nothing of ours can arrive behind its back.
 *  3. The bdev is announced once, removed once, and freed only by destroy, or before announcement.
 */
#include "initiator/initiator_impl.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

#define NS_PER_MS      1000000ull
#define READY_PAUSE_MS 20
#define JITTER_PERCENT 25

static bool queues_are_stopped(const struct initiator_controller *controller)
{
	for (uint32_t i = 0; i < controller->queue_count; i++) {
		if (controller->registered[i]->is_started)
			return false;
	}
	return true;
}

/* No association, and nothing that could begin one. */
static void controller_check_closed(const struct initiator_controller *controller)
{
	ASSERT(controller->admin->step == QUEUE_IDLE);
	ASSERT(!reactor_timer_is_armed(&controller->keep_alive.timer));
	ASSERT_SLOW(queues_are_stopped(controller));
}

/* What holds in its step, and what must not. */
static void controller_check(const struct initiator_controller *controller)
{
	ASSERT(controller->address_index < controller->address_count);
	ASSERT(controller->queue_count <= REACTORS_MAX);
	ASSERT(controller->is_announced || controller->queue_count == 0);
	ASSERT(controller->is_announced || controller->create != NULL);
	ASSERT(controller->error <= 0);
	ASSERT(!controller->is_failing || controller->error < 0);
	ASSERT(!controller->op.is_joined && controller->op.pending == 0);
	ASSERT(controller->is_destroying == (controller->destroy_parent != NULL));
	switch (controller->step) {
	case CONTROLLER_CONNECT:
		controller_check_closed(controller);
		ASSERT(!controller->is_failing && !events_are_busy(controller));
		ASSERT(!reactor_timer_is_armed(&controller->pause_timer));
		ASSERT(!controller->is_ended);
		break;
	case CONTROLLER_CONNECTED:
		ASSERT(controller->tried_count > 0);
		ASSERT(!events_are_busy(controller));
		break;
	case CONTROLLER_STAGE:
	case CONTROLLER_STAGE_DONE:
	case CONTROLLER_STAGE_PAUSE:
	case CONTROLLER_ANNOUNCE:
		ASSERT(controller->stages != NULL);
		ASSERT(controller->stages == setup_stages || controller->is_announced);
		ASSERT(!controller->is_failing && !controller->is_destroying);
		break;
	case CONTROLLER_LIVE:
		ASSERT(controller->is_announced && controller->create == NULL);
		ASSERT(controller->lost_since_ns == 0);
		ASSERT(!reactor_timer_is_armed(&controller->pause_timer));
		break;
	case CONTROLLER_RESET:
		ASSERT(controller->is_failing || controller->is_destroying);
		break;
	case CONTROLLER_SETTLE:
		controller_check_closed(controller);
		ASSERT(!reactor_timer_is_armed(&controller->pause_timer));
		ASSERT(controller->reset_count > 0);
		break;
	case CONTROLLER_PAUSE:
	case CONTROLLER_GONE:
		controller_check_closed(controller);
		ASSERT(controller->is_announced && controller->create == NULL);
		ASSERT(!events_are_busy(controller));
		break;
	case CONTROLLER_FREE:
		controller_check_closed(controller);
		ASSERT(!events_are_busy(controller));
		ASSERT(controller->is_destroying || !controller->is_announced);
		break;
	}
}

void controller_wake(struct initiator_controller *controller)
{
	if (!controller->op.is_joined)
		op_wake(&controller->op);
}

void controller_fail(struct initiator_controller *controller, int error)
{
	ASSERT(error < 0);
	if (controller->is_failing)
		return;
	controller->is_failing = true;
	controller->error = error;
	controller_wake(controller);
}

struct initiator_controller *controller_of(const struct bdev *bdev)
{
	ASSERT(bdev->ops == &initiator_bdev_ops);
	return container_of(bdev, struct initiator_controller, bdev);
}

/* A wake-up that came before is looked at now, and must not be left behind in the queue. */
static enum op_flow controller_join(struct initiator_controller *controller)
{
	op_unwake(&controller->op);
	return op_join(&controller->op);
}

static enum op_flow controller_connect(struct initiator_controller *controller)
{
	struct queue_parameters parameters = {
		.address = controller->addresses[controller->address_index],
		.qid = 0,
		.depth = ADMIN_DEPTH,
		.cntlid = NVMF_CNTLID_ANY,
		.capsule_data_bytes_max = NVME_TCP_ADMIN_CAPSULE_BYTES,
	};

	ASSERT(!controller->is_failing && !events_are_busy(controller));
	ASSERT(controller->tried_count < controller->address_count);
	controller->tried_count++;
	memset(&controller->identity, 0, sizeof(controller->identity));
	memset(&controller->found, 0, sizeof(controller->found));
	op_wait(&controller->op);
	queue_start(controller->admin, &parameters, &controller->op);
	return controller_join(controller);
}

static enum controller_step controller_judge_connect(struct initiator_controller *controller)
{
	int error = controller->admin->error;

	ASSERT(controller->admin->start_parent == NULL); /* it was answered */
	ASSERT(error <= 0);
	if (error == 0 && queue_is_live(controller->admin)) {
		controller->stages = setup_stages;
		controller->stage = 0;
		return CONTROLLER_STAGE;
	}
	if (error == 0)
		error = -ECONNRESET;
	controller_explain(controller, error, NULL);
	controller_fail(controller, error);
	return CONTROLLER_RESET;
}

/* The next stage that is needed. Return: NULL at the end. */
static const struct setup_stage *stage_find(struct initiator_controller *controller)
{
	const struct setup_stage *stage = &controller->stages[controller->stage];

	ASSERT(!controller->is_failing && !controller->is_destroying);
	while (stage->name != NULL && !stage->is_needed(controller)) {
		controller->stage++;
		stage++;
	}
	return stage->name == NULL ? NULL : stage;
}

static enum op_flow stage_submit(struct initiator_controller *controller)
{
	const struct setup_stage *stage = &controller->stages[controller->stage];
	struct initiator_command *command = &controller->stage_command;

	ASSERT(stage->name != NULL && stage->is_needed(controller));
	ASSERT(!reactor_timer_is_armed(&controller->pause_timer));
	memset(controller->stage_data, 0, STAGE_DATA_BYTES);
	*command = (struct initiator_command){
		.parent = &controller->op,
		.data = controller->stage_data,
	};
	stage->build(controller);
	ASSERT(command->data_bytes <= STAGE_DATA_BYTES);
	ASSERT(command->data == controller->stage_data && command->parent == &controller->op);
	op_wait(&controller->op);
	queue_submit(controller->admin, command);
	return controller_join(controller);
}

static enum controller_step stage_judge(struct initiator_controller *controller)
{
	const struct setup_stage *stage = &controller->stages[controller->stage];
	const struct initiator_command *command = &controller->stage_command;
	int rc = 0;

	ASSERT(stage->name != NULL && command->parent == &controller->op);
	ASSERT(command->nvme_status != INITIATOR_NVME_STATUS_NONE || command->status != IO_OK);
	if (command->nvme_status == NVME_STATUS_SUCCESS && command->status == IO_OK) {
		rc = stage->parse(controller);
	} else if (command->nvme_status == INITIATOR_NVME_STATUS_NONE) {
		rc = controller->admin->error != 0 ? controller->admin->error : -ECONNRESET;
		controller_explain(controller, rc, NULL);
	} else if (command->nvme_status == NVME_STATUS_SUCCESS) {
		/* It was answered, but what came is damaged: no refusal to go on with. */
		rc = -EIO;
		controller_explain(controller, rc, "%s: %s", stage->name,
				   io_status_text(command->status));
	} else if (!stage->is_refusable) {
		rc = -EIO;
		controller_explain(controller, rc, "it refuses to %s: status 0x%x", stage->name,
				   command->nvme_status);
	}
	if (rc == -EAGAIN) {
		reactor_timer_start(&controller->pause_timer, READY_PAUSE_MS * NS_PER_MS);
		return CONTROLLER_STAGE_PAUSE;
	}
	if (rc == 0) {
		controller->stage++;
		return CONTROLLER_STAGE;
	}
	/* Said by the controller that served it until now, this is final. */
	if (rc == -ENODEV && controller->stages == refresh_stages)
		controller->is_ended = true;
	controller_fail(controller, rc);
	return CONTROLLER_RESET;
}

static void create_reply(struct initiator_controller *controller, int result)
{
	struct bdev_create *create = controller->create;

	ASSERT(create != NULL);
	ASSERT(result <= 0);
	ASSERT((result == 0) == controller->is_announced);
	controller->create = NULL;
	create->result = result;
	create->bdev = result == 0 ? &controller->bdev : NULL;
	if (result < 0)
		memcpy(create->error, controller->error_text, sizeof(create->error));
	op_done(create->parent);
}

static enum controller_step announce(struct initiator_controller *controller)
{
	bool is_refresh = controller->stages == refresh_stages;
	char address[OS_ADDRESS_TEXT_BYTES];
	int rc;

	ASSERT(controller->stages[controller->stage].name == NULL); /* all were asked */
	rc = controller_announce(controller);
	if (rc < 0) {
		controller->is_ended = rc == -ESTALE && is_refresh;
		controller_fail(controller, rc);
		return CONTROLLER_RESET;
	}
	if (!is_refresh) {
		os_address_format(&controller->addresses[controller->address_index], address);
		log_info(controller->options.log,
			 "initiator %s: connected to %s as controller %u, %llu blocks of %u bytes",
			 controller->bdev.name, address, controller->admin->cntlid,
			 (unsigned long long)controller->found.block_count,
			 controller->found.block_bytes);
		controller->connect_count++;
		controller->tried_count = 0;
		controller->lost_since_ns = 0;
		controller->live_since_ns = reactor_now_ns(controller->main);
		controller->error_text[0] = '\0';
		events_start(controller);
	}
	io_queues_start(controller);
	if (controller->create != NULL)
		create_reply(controller, 0);
	return CONTROLLER_LIVE;
}

static enum controller_step live(struct initiator_controller *controller)
{
	ASSERT(controller->connect_count > 0);
	if (!controller->is_refresh_wanted)
		return CONTROLLER_LIVE;
	controller->is_refresh_wanted = false;
	controller->stages = refresh_stages;
	controller->stage = 0;
	return CONTROLLER_STAGE;
}

static enum op_flow reset(struct initiator_controller *controller)
{
	uint64_t now_ns = reactor_now_ns(controller->main);

	ASSERT(controller->is_failing || controller->is_destroying);
	ASSERT(controller->op.pending == 0);
	if (controller->is_failing)
		controller_explain(controller, controller->error, NULL);
	if (!controller->is_destroying && controller->create == NULL) {
		log_warn(controller->options.log, "initiator %s: reset: %s", controller->bdev.name,
			 controller->error_text);
		controller->error_text[0] = '\0';
	}
	controller->reset_count++;
	if (controller->lost_since_ns == 0) {
		controller->lost_since_ns = now_ns;
		/* Before the queues are stopped: whoever passes this on to them comes first. */
		controller->bdev.cache_id = (struct uuid){{0}}; /* until it is seen again */
		if (controller->is_announced && !controller->is_destroying)
			bdev_notify(&controller->bdev, BDEV_INTERRUPTED);
	}
	reactor_timer_stop(&controller->pause_timer);
	events_stop(controller);
	io_queues_stop(controller);
	op_wait(&controller->op);
	queue_stop(controller->admin, &controller->op);
	return controller_join(controller);
}

static bool is_lost_too_long(const struct initiator_controller *controller)
{
	uint64_t lost_ns = reactor_now_ns(controller->main) - controller->lost_since_ns;

	return lost_ns >= controller->options.ctrl_loss_timeout_ms * NS_PER_MS;
}

/* Errors that another address cannot cure. */
static bool is_final(int error)
{
	return error == -EINVAL || error == -ENOTSUP;
}

static bool has_untried_address(const struct initiator_controller *controller)
{
	return controller->tried_count > 0 && controller->tried_count < controller->address_count;
}

static void address_advance(struct initiator_controller *controller)
{
	ASSERT(controller->admin->step == QUEUE_IDLE);
	ASSERT(controller->address_count > 0);
	controller->address_index = (controller->address_index + 1) % controller->address_count;
}

/* Exponential, from the start again after it has worked for a while; jitter parts the crowd that
 * a restarted target would get. */
static void pause_start(struct initiator_controller *controller)
{
	const struct initiator_options *options = &controller->options;
	uint64_t now_ns = reactor_now_ns(controller->main);
	uint64_t jitter_ms;

	ASSERT(!reactor_timer_is_armed(&controller->pause_timer));
	ASSERT(!controller->is_destroying && controller->create == NULL);
	if (controller->live_since_ns != 0 &&
	    now_ns - controller->live_since_ns > options->reconnect_max_ms * NS_PER_MS)
		controller->pause_ms = 0;
	controller->live_since_ns = 0;
	controller->pause_ms =
		controller->pause_ms == 0 ? options->reconnect_min_ms : controller->pause_ms * 2;
	if (controller->pause_ms > options->reconnect_max_ms)
		controller->pause_ms = options->reconnect_max_ms;
	jitter_ms = prng_below(&controller->prng, controller->pause_ms * JITTER_PERCENT / 100 + 1);
	ASSERT(controller->pause_ms >= options->reconnect_min_ms);
	ASSERT(controller->pause_ms <= options->reconnect_max_ms);
	controller->tried_count = 0;
	reactor_timer_start(&controller->pause_timer,
			    (controller->pause_ms + jitter_ms) * NS_PER_MS);
}

/* Return: false when somebody still uses the last association. */
static bool is_settled(const struct initiator_controller *controller)
{
	if (events_are_busy(controller))
		return false;
	return !controller->is_destroying || !io_queues_are_registering(controller);
}

static enum controller_step settle(struct initiator_controller *controller)
{
	int error = controller->error;

	ASSERT(!events_are_busy(controller));
	ASSERT(controller->admin->step == QUEUE_IDLE && controller->admin->waiting_count == 0);
	controller->is_failing = false;
	controller->is_refresh_wanted = false;
	if (controller->is_destroying)
		return CONTROLLER_FREE;
	if (controller->tried_count > 0)
		address_advance(controller);
	if (has_untried_address(controller) && !is_final(error) && !controller->is_ended)
		return CONTROLLER_CONNECT;
	if (controller->create != NULL)
		return CONTROLLER_FREE;
	if (controller->is_ended || is_lost_too_long(controller))
		return CONTROLLER_GONE;
	pause_start(controller);
	return CONTROLLER_PAUSE;
}

static enum controller_step pause_judge(struct initiator_controller *controller)
{
	if (controller->is_destroying) {
		reactor_timer_stop(&controller->pause_timer);
		return CONTROLLER_RESET;
	}
	if (is_lost_too_long(controller)) {
		reactor_timer_stop(&controller->pause_timer);
		return CONTROLLER_GONE;
	}
	if (reactor_timer_is_armed(&controller->pause_timer))
		return CONTROLLER_PAUSE;
	controller->is_failing = false; /* a reset asked for meanwhile is under way */
	return CONTROLLER_CONNECT;
}

static void give_up(struct initiator_controller *controller)
{
	ASSERT(controller->is_announced && !controller->is_destroying);
	ASSERT(!reactor_timer_is_armed(&controller->pause_timer));
	if (atomic_exchange(&controller->shared.is_gone, true))
		return;
	REACHED("initiator_gives_up_for_good");
	ASSERT(!bdev_is_removed(&controller->bdev));
	log_error(controller->options.log, "initiator %s: given up: %s", controller->bdev.name,
		  controller->is_ended ? "its namespace is gone"
				       : "no connection for too long; create it anew when its "
					 "target is back");
	bdev_notify(&controller->bdev, BDEV_REMOVED);
}

static void controller_end(struct initiator_controller *controller)
{
	struct op *parent = controller->destroy_parent;

	ASSERT((parent != NULL) != (controller->create != NULL)); /* one of them waits */
	ASSERT(!controller->is_announced || bdev_channel_count(&controller->bdev) == 0);
	if (controller->create != NULL)
		create_reply(controller, controller->error);
	controller_free(controller);
	op_done(parent);
}

/* Whatever goes on, an end asked for goes first. Not while op is joined: then it cannot run. */
static bool must_reset(const struct initiator_controller *controller)
{
	switch (controller->step) {
	case CONTROLLER_CONNECTED:
	case CONTROLLER_STAGE:
	case CONTROLLER_STAGE_DONE:
	case CONTROLLER_STAGE_PAUSE:
	case CONTROLLER_ANNOUNCE:
	case CONTROLLER_LIVE:
		return controller->is_failing || controller->is_destroying;
	case CONTROLLER_GONE:
		return controller->is_destroying;
	case CONTROLLER_CONNECT:
	case CONTROLLER_RESET:
	case CONTROLLER_SETTLE:
	case CONTROLLER_PAUSE:
	case CONTROLLER_FREE:
		break;
	}
	return false;
}

static void controller_run(struct op *op)
{
	struct initiator_controller *controller = container_of(op, struct initiator_controller, op);

	op_unwake(op);
	for (;;) {
		if (must_reset(controller))
			controller->step = CONTROLLER_RESET;
		controller_check(controller);
		switch (controller->step) {
		case CONTROLLER_CONNECT:
			controller->step = CONTROLLER_CONNECTED;
			if (controller_connect(controller) == OP_WAIT)
				return;
			break;
		case CONTROLLER_CONNECTED:
			controller->step = controller_judge_connect(controller);
			break;
		case CONTROLLER_STAGE:
			controller->step = CONTROLLER_ANNOUNCE;
			if (stage_find(controller) == NULL)
				break;
			controller->step = CONTROLLER_STAGE_DONE;
			if (stage_submit(controller) == OP_WAIT)
				return;
			break;
		case CONTROLLER_STAGE_DONE:
			controller->step = stage_judge(controller);
			break;
		case CONTROLLER_STAGE_PAUSE:
			if (reactor_timer_is_armed(&controller->pause_timer))
				return;
			controller->step = CONTROLLER_STAGE;
			break;
		case CONTROLLER_ANNOUNCE:
			controller->step = announce(controller);
			break;
		case CONTROLLER_LIVE:
			controller->step = live(controller);
			if (controller->step == CONTROLLER_LIVE)
				return;
			break;
		case CONTROLLER_RESET:
			controller->step = CONTROLLER_SETTLE;
			if (reset(controller) == OP_WAIT)
				return;
			break;
		case CONTROLLER_SETTLE:
			if (!is_settled(controller))
				return;
			controller->step = settle(controller);
			break;
		case CONTROLLER_PAUSE:
			controller->step = pause_judge(controller);
			if (controller->step == CONTROLLER_PAUSE)
				return;
			break;
		case CONTROLLER_GONE:
			give_up(controller);
			return;
		case CONTROLLER_FREE:
			controller_end(controller);
			return;
		}
	}
}

static void pause_over(struct reactor_timer *timer)
{
	controller_wake(container_of(timer, struct initiator_controller, pause_timer));
}

static void admin_failed(struct initiator_queue *queue)
{
	ASSERT(queue == queue->controller->admin);
	ASSERT(queue->step == QUEUE_IDLE && queue->error < 0);
	controller_fail(queue->controller, queue->error);
}

void controller_start(struct initiator_controller *controller)
{
	ASSERT(controller->create != NULL && controller->address_count > 0);
	ASSERT(!controller->is_announced && controller->destroy_parent == NULL);
	ASSERT(controller->admin->is_admin && controller->admin->reactor == controller->main);
	ASSERT(controller->main == bdev_registry_main(controller->create->registry));
	controller->admin->controller = controller;
	controller->admin->failed = admin_failed;
	op_init(&controller->op, reactor_ready(controller->main), controller_run);
	reactor_timer_init(&controller->pause_timer, controller->main, pause_over);
	events_init(controller);
	controller->step = CONTROLLER_CONNECT;
	op_start(&controller->op);
}

static void initiator_destroy(struct bdev *bdev, struct op *parent)
{
	struct initiator_controller *controller = controller_of(bdev);

	ASSERT(bdev_channel_count(bdev) == 0);
	ASSERT(!controller->is_destroying);
	ASSERT(parent != NULL && controller->create == NULL);
	controller->is_destroying = true;
	controller->destroy_parent = parent;
	queue_fail(controller->admin, -ECANCELED); /* what is awaited ends at once */
	controller_wake(controller);
}

const struct bdev_ops initiator_bdev_ops = {
	.product_name = "NVMe/TCP namespace",
	.channel_open = io_channel_open,
	.channel_close = io_channel_close,
	.submit = io_channel_submit,
	.destroy = initiator_destroy,
};

void controller_free(struct initiator_controller *controller)
{
	if (controller == NULL)
		return;
	if (controller->main != NULL && controller->op.run != NULL) {
		op_unwake(&controller->op);
		ASSERT(!reactor_timer_is_armed(&controller->pause_timer));
		ASSERT(!reactor_timer_is_armed(&controller->keep_alive.timer));
		ASSERT(!events_are_busy(controller));
		ASSERT(op_is_idle(&controller->op));
	}
	for (uint32_t i = 0; i < controller->queue_count; i++)
		queue_destroy(controller->registered[i]);
	queue_destroy(controller->admin);
	memory_free(controller->stage_data);
	memory_free(controller);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - what management asks of a controller: its description, a reset, single commands. */
#include "initiator/initiator_impl.h"

#include <errno.h>

const char *initiator_state_text(enum initiator_state state)
{
	switch (state) {
	case INITIATOR_NEW:
		return "new";
	case INITIATOR_INITIALIZING:
		return "initializing";
	case INITIATOR_RUNNING:
		return "running";
	case INITIATOR_RESETTING:
		return "resetting";
	case INITIATOR_FAULTED:
		return "faulted";
	case INITIATOR_UNCONFIGURING:
		return "unconfiguring";
	}
	return "unknown";
}

bool initiator_is_initiator(const struct bdev *bdev)
{
	return bdev->ops == &initiator_bdev_ops;
}

static enum initiator_state controller_state(const struct initiator_controller *controller)
{
	if (controller->is_destroying)
		return INITIATOR_UNCONFIGURING;
	switch (controller->step) {
	case CONTROLLER_CONNECT:
	case CONTROLLER_CONNECTED:
		return controller->is_announced ? INITIATOR_RESETTING : INITIATOR_NEW;
	case CONTROLLER_STAGE:
	case CONTROLLER_STAGE_DONE:
	case CONTROLLER_STAGE_PAUSE:
	case CONTROLLER_ANNOUNCE:
		return controller->stages == refresh_stages ? INITIATOR_RUNNING
							    : INITIATOR_INITIALIZING;
	case CONTROLLER_LIVE:
		return controller->is_failing ? INITIATOR_RESETTING : INITIATOR_RUNNING;
	case CONTROLLER_RESET:
	case CONTROLLER_SETTLE:
	case CONTROLLER_PAUSE:
		return INITIATOR_RESETTING;
	case CONTROLLER_GONE:
		return INITIATOR_FAULTED;
	case CONTROLLER_FREE:
		return INITIATOR_UNCONFIGURING;
	}
	return INITIATOR_FAULTED;
}

bool initiator_describe(struct bdev *bdev, struct initiator_info *ret_info)
{
	struct initiator_controller *controller;

	if (!initiator_is_initiator(bdev))
		return false;
	controller = controller_of(bdev);
	ASSERT(controller->is_announced);
	ASSERT(controller->address_index < controller->address_count);
	*ret_info = (struct initiator_info){
		.state = controller_state(controller),
		.address = controller->addresses[controller->address_index],
		.cntlid = controller->admin->cntlid,
		.size_bytes = bdev_size_bytes(bdev),
		.block_bytes = bdev->block_bytes,
		.ana_state = (enum nvme_ana_state)atomic_load(&controller->shared.ana_state),
		.reservation_capabilities =
			(controller->identity.oncs & NVME_ONCS_RESERVATIONS) != 0
				? controller->serving.rescap
				: 0,
		.queue_count = controller->queue_count,
		.connect_count = controller->connect_count,
		.reset_count = controller->reset_count,
		.timeout_count = atomic_load(&controller->shared.timeout_count),
		.protocol_error_count = atomic_load(&controller->shared.protocol_error_count),
		.last_error = controller->error,
	};
	memcpy(ret_info->subnqn, controller->subnqn, sizeof(ret_info->subnqn));
	memcpy(ret_info->hostnqn, controller->hostnqn, sizeof(ret_info->hostnqn));
	memcpy(ret_info->serial, controller->identity.serial, sizeof(ret_info->serial));
	memcpy(ret_info->model, controller->identity.model, sizeof(ret_info->model));
	memcpy(ret_info->firmware, controller->identity.firmware, sizeof(ret_info->firmware));
	return true;
}

int initiator_reset(struct bdev *bdev)
{
	struct initiator_controller *controller;

	if (!initiator_is_initiator(bdev))
		return -EINVAL;
	controller = controller_of(bdev);
	if (controller->step == CONTROLLER_GONE || controller->is_destroying)
		return -ENODEV;
	ASSERT(controller->is_announced);
	log_info(controller->options.log, "initiator %s: reset by request", bdev->name);
	controller_fail(controller, -ECONNABORTED);
	return 0;
}

static void command_check(const struct initiator_command *command)
{
	ASSERT(command->data_bytes % 4 == 0 && command->data_bytes <= IO_BYTES_MAX);
	ASSERT(command->data_bytes == 0 || command->data != NULL);
	ASSERT(command->io == NULL);
	ASSERT(command->parent != NULL && command->parent->pending > 0); /* op_wait() before */
}

void initiator_admin_submit(struct bdev *bdev, struct initiator_command *command)
{
	struct initiator_controller *controller = controller_of(bdev);

	ASSERT(command->sqe.opcode != NVME_ADMIN_FABRICS);
	ASSERT(command->sqe.opcode != NVME_ADMIN_ASYNC_EVENT);
	ASSERT(controller->admin->is_admin && controller->is_announced);
	command->io = NULL;
	command_check(command);
	queue_submit(controller->admin, command);
}

void initiator_io_submit(struct bdev_channel *channel, struct initiator_command *command)
{
	ASSERT(initiator_is_initiator(channel->bdev));
	ASSERT(((struct initiator_queue *)channel->driver)->reactor == channel->reactor);
	command->io = NULL;
	command_check(command);
	queue_submit(channel->driver, command);
}

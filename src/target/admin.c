/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - commands of the admin queue, handed to the file that knows each (NVMe base 2.0, 5).
 *
 * All of them are answered at once, except Asynchronous Event Requests and the one feature that
 * must be made durable. What goes to the host was built in a zeroed buffer, so no reply shows
 * memory of somebody else, however long the host said that it wants it.
 */
#include "target/target_parts_impl.h"

#include <string.h>

/* Ends a command of the same controller, if it can still be ended (section 5.1). */
static uint16_t admin_abort(struct command *command)
{
	struct controller *controller = command->connection->controller;
	uint32_t cdw10 = le32_load(command->sqe.cdw10);
	uint16_t qid = (uint16_t)cdw10;
	struct command *victim = NULL;

	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	command->result = NVME_ABORT_NOT_DONE;
	if (qid <= TARGET_IO_QUEUES_MAX && controller->queues[qid] != NULL)
		victim = command_find(controller->queues[qid], (uint16_t)(cdw10 >> 16));
	if (victim != NULL && victim != command && command_abort(victim))
		command->result = 0;
	return NVME_STATUS_SUCCESS;
}

static uint16_t admin_keep_alive(struct command *command)
{
	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	controller_keep_alive(command->connection->controller);
	return NVME_STATUS_SUCCESS;
}

static bool feature_is_durable(const struct command *command)
{
	ASSERT(command->connection->controller != NULL);
	return command->sqe.opcode == NVME_ADMIN_SET_FEATURES &&
	       (le32_load(command->sqe.cdw10) & 0xff) == NVME_FEATURE_RESERVATION_PERSISTENCE &&
	       !command->connection->subsystem->is_discovery;
}

static uint16_t admin_run(struct command *command)
{
	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	switch (command->sqe.opcode) {
	case NVME_ADMIN_IDENTIFY:
		return identify_fill(command);
	case NVME_ADMIN_GET_LOG_PAGE:
		return log_page_fill(command);
	case NVME_ADMIN_GET_FEATURES:
		return feature_get(command);
	case NVME_ADMIN_SET_FEATURES:
		return feature_set(command);
	case NVME_ADMIN_ABORT:
		return admin_abort(command);
	case NVME_ADMIN_KEEP_ALIVE:
		return admin_keep_alive(command);
	default:
		/* Queue creation is Connect's; NVME_ADMIN_CREATE_SNAPSHOT comes with pools. */
		return NVME_STATUS_INVALID_OPCODE;
	}
}

enum op_flow admin_execute(struct command *command)
{
	struct controller *controller = command->connection->controller;
	uint16_t status;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->connection->qid == 0);
	/* What has begun goes on to its end, whatever has become of the controller meanwhile. */
	if (command->execute_step == 0 && !controller_is_enabled(controller)) {
		command_fail(command, NVME_STATUS_COMMAND_SEQUENCE_ERROR);
		return OP_NEXT;
	}
	if (command->sqe.opcode == NVME_ADMIN_ASYNC_EVENT)
		return async_event_execute(command);
	if (feature_is_durable(command))
		return reservation_execute(command);
	if (command->data_kind == COMMAND_DATA_TO_HOST)
		memset(command->data, 0, command->buffer->size_bytes);
	if (controller->subsystem->is_discovery)
		controller_keep_alive(controller);
	status = admin_run(command);
	if (status != NVME_STATUS_SUCCESS)
		command_fail(command, status);
	return OP_NEXT;
}

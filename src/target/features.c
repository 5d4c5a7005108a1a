/* SPDX-License-Identifier: Apache-2.0 */
/* features.c - Get and Set Features (NVMe base 2.0, sections 5.15 and 5.27).
 *
 * Nothing is saveable. What a fabric has no meaning for (interrupts, for example) is an invalid
 * field. Reservation persistence is set in reservation.c, because it has to be made durable.
 */
#include "target/target_parts_impl.h"

#include <string.h>

#define CAPABILITY_CHANGEABLE (1u << 2)
#define QUEUE_COUNT_INVALID   0xffff
#define HOST_ID_EXTENDED      1u
#define RESERVATION_MASK_BITS 0x0eu /* 3:1, one a kind of notice */

static uint32_t queue_count_value(const struct controller *controller)
{
	uint32_t count = controller->subsystem->target->options.io_queue_count_max - 1;

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->subsystem->target->options.io_queue_count_max >= 1);
	return count | count << 16;
}

static uint32_t async_supported(const struct target_subsystem *subsystem)
{
	ASSERT(subsystem != NULL);
	if (subsystem->is_discovery)
		return NVME_ASYNC_EVENT_DISCOVERY_CHANGE;
	return NVME_ASYNC_EVENT_SMART_MASK | NVME_ASYNC_EVENT_NAMESPACE_ATTRIBUTE |
	       (subsystem->is_ana_reporting ? NVME_ASYNC_EVENT_ANA_CHANGE : 0);
}

/* Features that are kept and have no effect here. Return: NULL for any other. */
static uint32_t *feature_kept(struct controller *controller, uint8_t feature)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->queue_count <= TARGET_IO_QUEUES_MAX + 1);
	switch (feature) {
	case NVME_FEATURE_ARBITRATION:
		return &controller->arbitration;
	case NVME_FEATURE_TEMPERATURE_THRESHOLD:
		return &controller->temperature;
	case NVME_FEATURE_ERROR_RECOVERY:
		return &controller->error_recovery;
	case NVME_FEATURE_WRITE_ATOMICITY:
		return &controller->write_atomicity;
	default:
		return NULL;
	}
}

static bool feature_is_for_discovery(uint8_t feature)
{
	return feature == NVME_FEATURE_KEEP_ALIVE || feature == NVME_FEATURE_ASYNC_EVENT ||
	       feature == NVME_FEATURE_HOST_ID;
}

static bool feature_names_namespace(uint8_t feature)
{
	return feature == NVME_FEATURE_RESERVATION_MASK ||
	       feature == NVME_FEATURE_RESERVATION_PERSISTENCE;
}

static uint16_t feature_get_host_id(struct command *command)
{
	const struct controller *controller = command->connection->controller;
	const uint32_t size = sizeof(controller->host_id.bytes);

	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	if ((le32_load(command->sqe.cdw11) & HOST_ID_EXTENDED) == 0)
		return NVME_STATUS_INVALID_FIELD; /* only 128 bits in Fabrics */
	if (command->data_kind != COMMAND_DATA_TO_HOST || command->data_bytes < size)
		return NVME_STATUS_SGL_DATA_LENGTH_INVALID;
	memcpy(command->data, controller->host_id.bytes, size);
	command->data_bytes = size;
	return NVME_STATUS_SUCCESS;
}

static uint16_t feature_get_current(struct command *command, uint8_t feature)
{
	struct controller *controller = command->connection->controller;
	const uint32_t *kept = feature_kept(controller, feature);

	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	if (kept != NULL) {
		command->result = *kept;
		return NVME_STATUS_SUCCESS;
	}
	switch (feature) {
	case NVME_FEATURE_POWER_MANAGEMENT:
		command->result = 0;
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_WRITE_CACHE:
		command->result = !controller->is_write_through;
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_QUEUE_COUNT:
		command->result = queue_count_value(controller);
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_ASYNC_EVENT:
		command->result = controller->async_config;
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_KEEP_ALIVE:
		command->result = controller->keep_alive_ms;
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_HOST_ID:
		return feature_get_host_id(command);
	case NVME_FEATURE_RESERVATION_MASK:
		command->result = controller->reservation_mask;
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_RESERVATION_PERSISTENCE:
		command->result = controller->subsystem->reservations.is_persistent;
		return NVME_STATUS_SUCCESS;
	default:
		return NVME_STATUS_INVALID_FIELD;
	}
}

uint16_t feature_get(struct command *command)
{
	const struct controller *controller = command->connection->controller;
	uint32_t cdw10 = le32_load(command->sqe.cdw10);
	uint8_t feature = (uint8_t)cdw10;
	uint16_t status;

	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	if (controller->subsystem->is_discovery && !feature_is_for_discovery(feature))
		return NVME_STATUS_INVALID_FIELD;
	if (feature_names_namespace(feature) && le32_load(command->sqe.nsid) != NAMESPACE_ID)
		return NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT;
	status = feature_get_current(command, feature);
	if (feature != NVME_FEATURE_HOST_ID)
		command->data_bytes = 0; /* its value is in the completion */
	if (status != NVME_STATUS_SUCCESS)
		return status;
	switch (cdw10 >> NVME_FEATURE_SELECT_SHIFT & NVME_FEATURE_SELECT_MASK) {
	case NVME_FEATURE_SELECT_CURRENT:
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_SELECT_CAPABILITIES:
		command->data_bytes = 0;
		command->result = feature == NVME_FEATURE_HOST_ID ? 0 : CAPABILITY_CHANGEABLE;
		return NVME_STATUS_SUCCESS;
	default:
		return NVME_STATUS_INVALID_FIELD; /* nothing is saved, no defaults are told */
	}
}

static uint16_t feature_set_queue_count(struct command *command, uint32_t value)
{
	struct controller *controller = command->connection->controller;

	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	if ((value & 0xffff) == QUEUE_COUNT_INVALID || value >> 16 == QUEUE_COUNT_INVALID)
		return NVME_STATUS_INVALID_FIELD;
	if (controller->queue_count > 1)
		return NVME_STATUS_COMMAND_SEQUENCE_ERROR; /* section 5.27.1.5 */
	command->result = queue_count_value(controller);
	return NVME_STATUS_SUCCESS;
}

uint16_t feature_set(struct command *command)
{
	struct controller *controller = command->connection->controller;
	uint32_t cdw10 = le32_load(command->sqe.cdw10);
	uint32_t value = le32_load(command->sqe.cdw11);
	uint8_t feature = (uint8_t)cdw10;
	uint32_t *kept = feature_kept(controller, feature);

	ASSERT(command->connection->qid == 0);
	ASSERT(command->step == COMMAND_EXECUTE);
	if (controller->subsystem->is_discovery && !feature_is_for_discovery(feature))
		return NVME_STATUS_INVALID_FIELD;
	if ((cdw10 & NVME_FEATURE_SAVE) != 0)
		return NVME_STATUS_FEATURE_NOT_SAVEABLE;
	if (kept != NULL) {
		*kept = value;
		return NVME_STATUS_SUCCESS;
	}
	switch (feature) {
	case NVME_FEATURE_POWER_MANAGEMENT:
		return (value & 0x1f) == 0 ? NVME_STATUS_SUCCESS : NVME_STATUS_INVALID_FIELD;
	case NVME_FEATURE_WRITE_CACHE:
		controller->is_write_through = (value & 1) == 0;
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_QUEUE_COUNT:
		return feature_set_queue_count(command, value);
	case NVME_FEATURE_ASYNC_EVENT:
		controller->async_config = value & async_supported(controller->subsystem);
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_KEEP_ALIVE:
		controller_set_keep_alive(controller, value);
		return NVME_STATUS_SUCCESS;
	case NVME_FEATURE_HOST_ID:
		return NVME_STATUS_COMMAND_SEQUENCE_ERROR; /* Connect has set it */
	case NVME_FEATURE_RESERVATION_MASK:
		if (le32_load(command->sqe.nsid) != NAMESPACE_ID &&
		    le32_load(command->sqe.nsid) != NVME_NSID_ALL)
			return NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT;
		controller->reservation_mask = value & RESERVATION_MASK_BITS;
		return NVME_STATUS_SUCCESS;
	default:
		return NVME_STATUS_INVALID_FIELD;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* async_event.c - Asynchronous Event Requests (NVMe base 2.0, section 5.2).
 *
 *	raise: pending --take (a request waits, not masked)--> told, masked --log read: clear-->
 *quiet
 *
 * Invariants:
 *  1. An event that happens while no request waits is kept until one does.
 *  2. The same event is told once until the host has read its log page without RAE.
 *  3. At most ASYNC_EVENTS_MAX requests wait.
 */
#include "target/target_parts_impl.h"

struct event_kind {
	uint32_t config_bit; /* of the feature; 0: always on */
	enum nvme_async_event_type type;
	uint8_t information;
	uint8_t log_page;
};

static const struct event_kind event_kinds[ASYNC_EVENT_COUNT] = {
	[ASYNC_EVENT_NAMESPACE] = {NVME_ASYNC_EVENT_NAMESPACE_ATTRIBUTE,
				   NVME_ASYNC_EVENT_TYPE_NOTICE, NVME_ASYNC_EVENT_NOTICE_NAMESPACE,
				   NVME_LOG_CHANGED_NAMESPACES},
	[ASYNC_EVENT_ANA] = {NVME_ASYNC_EVENT_ANA_CHANGE, NVME_ASYNC_EVENT_TYPE_NOTICE,
			     NVME_ASYNC_EVENT_NOTICE_ANA, NVME_LOG_ANA},
	[ASYNC_EVENT_DISCOVERY] = {NVME_ASYNC_EVENT_DISCOVERY_CHANGE, NVME_ASYNC_EVENT_TYPE_NOTICE,
				   NVME_ASYNC_EVENT_NOTICE_DISCOVERY, NVME_LOG_DISCOVERY},
	[ASYNC_EVENT_RESERVATION] = {0, NVME_ASYNC_EVENT_TYPE_COMMAND_SET,
				     NVME_ASYNC_EVENT_COMMAND_SET_RESERVATION,
				     NVME_LOG_RESERVATION},
};

/* Takes the next event to tell. Return: false when there is none. */
static bool event_take(struct controller *controller, uint64_t *ret_result)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->async_count <= ASYNC_EVENTS_MAX);
	for (uint32_t i = 0; i < ASYNC_EVENT_COUNT; i++) {
		const struct event_kind *kind = &event_kinds[i];
		uint32_t bit = 1u << i;

		if ((controller->events_pending & ~controller->events_masked & bit) == 0)
			continue;
		controller->events_pending &= ~bit;
		controller->events_masked |= bit;
		REACHED("target_tells_an_event");
		*ret_result =
			nvme_async_event_result(kind->type, kind->information, kind->log_page);
		return true;
	}
	return false;
}

static void event_offer(struct controller *controller)
{
	struct list_node *node = list_first(&controller->async_commands);

	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->async_count <= ASYNC_EVENTS_MAX);
	if (node != NULL && (controller->events_pending & ~controller->events_masked) != 0)
		command_unpark(list_entry(node, struct command, link));
}

enum op_flow async_event_execute(struct command *command)
{
	struct controller *controller = command->connection->controller;

	ASSERT(command->connection->qid == 0);
	if (command->execute_step == 0) {
		if (controller->async_count >= ASYNC_EVENTS_MAX) {
			command_fail(command, NVME_STATUS_EVENT_LIMIT_EXCEEDED);
			return OP_NEXT;
		}
		command->execute_step = 1;
		controller->async_count++;
	}
	if (!command_is_cancelled(command) && !event_take(controller, &command->result)) {
		command->is_abortable = true;
		command_park(command, &controller->async_commands);
		return OP_WAIT;
	}
	ASSERT(controller->async_count > 0);
	controller->async_count--;
	event_offer(controller);
	return OP_NEXT;
}

void async_event_raise(struct controller *controller, enum async_event event)
{
	uint32_t config_bit = event_kinds[event].config_bit;

	ASSERT(controller->subsystem != NULL);
	ASSERT(event < ASYNC_EVENT_COUNT);
	if (event == ASYNC_EVENT_NAMESPACE)
		controller->is_namespace_changed = true;
	if (controller->is_dying ||
	    (config_bit != 0 && (controller->async_config & config_bit) == 0))
		return;
	controller->events_pending |= 1u << event;
	event_offer(controller);
}

void async_event_clear(struct controller *controller, enum async_event event)
{
	ASSERT(controller->subsystem != NULL);
	ASSERT(controller->async_count <= ASYNC_EVENTS_MAX);
	controller->events_masked &= ~(1u << event);
	event_offer(controller);
}

void async_event_raise_all(struct target_subsystem *subsystem, enum async_event event)
{
	list_for_each (node, &subsystem->controllers)
		async_event_raise(list_entry(node, struct controller, link), event);
}

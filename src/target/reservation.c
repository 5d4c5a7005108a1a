/* SPDX-License-Identifier: Apache-2.0 */
/* reservation.c - reservation commands: one change at a time, durable before it is answered.
 *
 *	BEGIN -> TURN -> PLAN -> STORE -> APPLY -> FENCE -> DONE
 *
 * The rules are in reservation_rules.c; here is the order of things. A change is planned on a copy,
 * stored when it has to persist through power loss, and then takes effect. It is answered after
 * every I/O that it forbids, but that was already at the bdev, has come back: so once a host is
 *told that another one is fenced, no write of that other one lands any more.
 *
 * Invariants:
 *  1. subsystem->reservations changes only in APPLY, by subsystem->reservation_command.
 *  2. A change that cannot be made durable changes nothing.
 */
#include "base/planted.h"
#include "target/reservation_rules.h"
#include "target/target_parts_impl.h"

#include <string.h>

enum reservation_step {
	RESERVATION_BEGIN,
	RESERVATION_TURN, /* wait for the change before */
	RESERVATION_PLAN,
	RESERVATION_STORE,
	RESERVATION_APPLY,
	RESERVATION_FENCE, /* I/O that is forbidden now comes back */
	RESERVATION_DONE,
	RESERVATION_END,
};

uint16_t reservation_check(const struct command *command)
{
	const struct target_subsystem *subsystem = command->connection->subsystem;
	/* Flush is in the group of writes (figure 528). */
	bool is_write = command->is_write || command->io_type == IO_FLUSH;

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(command->connection->controller != NULL);
	if (PLANTED(RESERVATION_NOT_CHECKED))
		return NVME_STATUS_SUCCESS;
	if (reservation_conflicts(&subsystem->reservations,
				  &command->connection->controller->host_id, is_write))
		return NVME_STATUS_RESERVATION_CONFLICT;
	return NVME_STATUS_SUCCESS;
}

/* ---- report (section 7.5) ---- */

/* Return: bytes of the whole report; what does not fit is not written. */
static uint32_t report_fill(const struct target_reservation_state *state, uint8_t *bytes,
			    uint32_t size)
{
	struct nvme_reservation_report_extended header = {
		.report = {.generation = le32_store(state->generation),
			   .type = state->type,
			   .registered_count = le16_store((uint16_t)state->registrant_count),
			   .persist = state->is_persistent}};
	uint32_t offset = sizeof(header);

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(bytes != NULL);
	memcpy(bytes, &header, size < sizeof(header) ? size : sizeof(header));
	for (uint32_t i = 0; i < state->registrant_count; i++) {
		struct nvme_reservation_registrant_extended entry = {
			.cntlid = le16_store(NVMF_CNTLID_ANY),
			.status = reservation_is_holder(state, i),
			.key = le64_store(state->registrants[i].key)};

		memcpy(entry.host_id, state->registrants[i].host_id.bytes, sizeof(entry.host_id));
		if (offset < size)
			memcpy(bytes + offset, &entry,
			       size - offset < sizeof(entry) ? size - offset : sizeof(entry));
		offset += sizeof(entry);
	}
	return offset;
}

static uint16_t report_run(struct command *command, const struct nvme_reservation *report)
{
	const struct target_subsystem *subsystem = command->connection->subsystem;

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(command->connection->controller != NULL);
	/* Host identifiers have 128 bits here, which only the extended form can show. */
	if (!report->is_extended)
		return NVME_STATUS_HOST_ID_INCONSISTENT;
	if (command->data_kind != COMMAND_DATA_TO_HOST ||
	    command->data_bytes < report->report_bytes)
		return NVME_STATUS_SGL_DATA_LENGTH_INVALID;
	command->data_bytes = report->report_bytes;
	memset(command->data, 0, command->data_bytes);
	(void)report_fill(&subsystem->reservations, command->data, command->data_bytes);
	return NVME_STATUS_SUCCESS;
}

/* ---- changes ---- */

static bool command_is_feature(const struct command *command)
{
	ASSERT(command->connection->subsystem != NULL);
	ASSERT(command->connection->controller != NULL);
	return command->connection->qid == 0;
}

/* Return: the next step; END when it is answered at once. */
static enum reservation_step reservation_begin(struct command *command)
{
	const struct target_subsystem *subsystem = command->connection->subsystem;
	struct nvme_reservation change;
	uint16_t status = status_from_ana(subsystem->ana_state);

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(command->connection->controller != NULL);
	if (status == NVME_STATUS_SUCCESS && !command_is_feature(command)) {
		status = nvme_reservation_decode(&command->sqe, command->data, &change);
		if (status == NVME_STATUS_SUCCESS &&
		    command->sqe.opcode == NVME_RESERVATION_REPORT) {
			status = report_run(command, &change);
			if (status == NVME_STATUS_SUCCESS)
				return RESERVATION_END;
		}
	}
	if (status == NVME_STATUS_SUCCESS && command_is_feature(command) &&
	    (le32_load(command->sqe.cdw10) & NVME_FEATURE_SAVE) != 0)
		status = NVME_STATUS_FEATURE_NOT_SAVEABLE;
	if (status != NVME_STATUS_SUCCESS) {
		command_fail(command, status);
		return RESERVATION_END;
	}
	return RESERVATION_TURN;
}

static enum op_flow reservation_turn(struct command *command)
{
	struct target_subsystem *subsystem = command->connection->subsystem;

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(command->connection->controller != NULL);
	if (command_is_cancelled(command))
		return OP_NEXT;
	if (subsystem->reservation_command != NULL) {
		REACHED("target_reservation_waits_its_turn");
		command_park(command, &subsystem->reservation_line);
		return OP_WAIT;
	}
	subsystem->reservation_command = command;
	return OP_NEXT;
}

static uint16_t plan_feature(const struct command *command, bool can_persist,
			     struct target_reservation_state *state)
{
	uint32_t nsid = le32_load(command->sqe.nsid);
	bool is_persistent = (le32_load(command->sqe.cdw11) & 1) != 0;

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(command->connection->controller != NULL);
	if (nsid != NAMESPACE_ID && nsid != NVME_NSID_ALL)
		return NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT;
	if (is_persistent && !can_persist)
		return NVME_STATUS_FEATURE_NOT_CHANGEABLE;
	state->is_persistent = is_persistent;
	return NVME_STATUS_SUCCESS;
}

/* The next state is worked out in the request that may be stored. */
static enum reservation_step reservation_plan(struct command *command)
{
	struct target_subsystem *subsystem = command->connection->subsystem;
	struct target_reservation_state *planned = &subsystem->reservation_request.state;
	bool can_persist = subsystem->reservation_store != NULL;
	struct nvme_reservation change;
	uint16_t status;

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(command->connection->controller != NULL);
	if (subsystem->reservation_command != command)
		return RESERVATION_END; /* cancelled while it waited */
	*planned = subsystem->reservations;
	subsystem->reservation_notices->count = 0;
	if (command_is_feature(command)) {
		status = plan_feature(command, can_persist, planned);
	} else {
		status = nvme_reservation_decode(&command->sqe, command->data, &change);
		if (status == NVME_STATUS_SUCCESS)
			status = reservation_change(
				planned, &command->connection->controller->host_id, &change,
				can_persist, subsystem->reservation_notices);
	}
	if (status == NVME_STATUS_SUCCESS)
		return RESERVATION_STORE;
	command_fail(command, status);
	return RESERVATION_DONE;
}

static enum op_flow reservation_store(struct command *command)
{
	struct target_subsystem *subsystem = command->connection->subsystem;
	struct target_reservation_request *request = &subsystem->reservation_request;

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(subsystem->reservation_command == command);
	request->result = 0;
	if (!request->state.is_persistent && !subsystem->reservations.is_persistent)
		return OP_NEXT;
	ASSERT(subsystem->reservation_store != NULL);
	request->parent = &command->op;
	op_wait(&command->op);
	subsystem->reservation_store->store(subsystem->reservation_store, request);
	return op_join(&command->op);
}

static void notice_send(struct target_subsystem *subsystem, const struct uuid *host_id,
			enum nvme_reservation_notice type)
{
	ASSERT(subsystem->home != NULL);
	ASSERT(host_id != NULL);
	list_for_each (node, &subsystem->controllers) {
		struct controller *controller = list_entry(node, struct controller, link);

		if (!uuid_is_equal(&controller->host_id, host_id) ||
		    (controller->reservation_mask & 1u << type) != 0)
			continue;
		controller->notice_counter++;
		if (controller->notice_count == RESERVATION_NOTICES_MAX)
			continue; /* the counter's gap shows it to the host */
		controller->notices[controller->notice_count++] = (struct reservation_notice){
			.count = controller->notice_counter, .type = (uint8_t)type};
		async_event_raise(controller, ASYNC_EVENT_RESERVATION);
	}
}

static enum reservation_step reservation_apply(struct command *command)
{
	struct target_subsystem *subsystem = command->connection->subsystem;
	const struct reservation_notices *notices = subsystem->reservation_notices;

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(subsystem->reservation_command == command);
	if (subsystem->reservation_request.result != 0) {
		log_error(subsystem->target->log,
			  "target: %s: a reservation could not be stored: error %d; it is refused",
			  subsystem->nqn, subsystem->reservation_request.result);
		command_fail(command, NVME_STATUS_INTERNAL_ERROR);
		return RESERVATION_DONE;
	}
	subsystem->reservations = subsystem->reservation_request.state;
	for (uint32_t i = 0; i < notices->count; i++)
		notice_send(subsystem, &notices->of[i].host_id, notices->of[i].type);
	return RESERVATION_FENCE;
}

/* Waits for what the new reservation denies and the bdev has already. */
static void fence_connection(struct command *command, struct connection *connection)
{
	struct command *other = connection_busy_next(connection, NULL);

	ASSERT(connection->subsystem == command->connection->subsystem);
	for (; other != NULL; other = connection_busy_next(connection, other)) {
		if (!other->is_inflight)
			continue;
		ASSERT(other->fence == NULL);
		if (reservation_check(other) == NVME_STATUS_SUCCESS)
			continue;
		REACHED("target_reservation_fence_waits");
		other->fence = &command->op;
		op_wait(&command->op);
	}
}

static enum op_flow reservation_fence(struct command *command)
{
	struct target_subsystem *subsystem = command->connection->subsystem;

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(subsystem->reservation_command == command);
	list_for_each (node, &subsystem->connections)
		fence_connection(command, list_entry(node, struct connection, link));
	return op_join(&command->op);
}

static void reservation_done(struct command *command)
{
	struct target_subsystem *subsystem = command->connection->subsystem;
	struct list_node *next = list_first(&subsystem->reservation_line);

	ASSERT(command->connection->subsystem != NULL);
	ASSERT(subsystem->reservation_command == command);
	subsystem->reservation_command = NULL;
	if (next != NULL)
		command_unpark(list_entry(next, struct command, link));
}

enum op_flow reservation_execute(struct command *command)
{
	ASSERT(command->connection->subsystem != NULL);
	ASSERT(command->connection->controller != NULL);
	for (;;) {
		switch ((enum reservation_step)command->execute_step) {
		case RESERVATION_BEGIN:
			command->execute_step = reservation_begin(command);
			break;
		case RESERVATION_TURN:
			if (reservation_turn(command) == OP_WAIT)
				return OP_WAIT;
			command->execute_step = RESERVATION_PLAN;
			break;
		case RESERVATION_PLAN:
			command->execute_step = reservation_plan(command);
			break;
		case RESERVATION_STORE:
			command->execute_step = RESERVATION_APPLY;
			if (reservation_store(command) == OP_WAIT)
				return OP_WAIT;
			break;
		case RESERVATION_APPLY:
			command->execute_step = reservation_apply(command);
			break;
		case RESERVATION_FENCE:
			command->execute_step = RESERVATION_DONE;
			if (reservation_fence(command) == OP_WAIT)
				return OP_WAIT;
			break;
		case RESERVATION_DONE:
			reservation_done(command);
			command->execute_step = RESERVATION_END;
			break;
		case RESERVATION_END:
			return OP_NEXT;
		}
	}
}

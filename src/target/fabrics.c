/* SPDX-License-Identifier: Apache-2.0 */
/* fabrics.c - Connect, Property Get and Set, Disconnect (NVMe base 2.0, sections 3.3 and 6).
 *
 * Connect is the only command that changes its thread:
 *
 *	main:  BEGIN (which subsystem?) -> DETACH -> MOVE ~~message~~> home: ADMIT
 *	home:  ADMIT (host allowed? ghosts gone? controller, slots) -> answered
 *
 * Invariants:
 *  1. A controller's queues all belong to one host: NQN and identifier of every I/O queue's Connect
 *     equal those of the admin queue.
 *  2. A new association is admitted only when no write of the same host's dead associations is out
 *     any more; so a late command never undoes what the host wrote after it reconnected.
 */
#include "target/target_parts_impl.h"

#include <string.h>

enum fabrics_step {
	FABRICS_BEGIN,
	CONNECT_DETACH,
	CONNECT_MOVE,
	CONNECT_ADMIT,
	FABRICS_END,
};

/* IPO values: where in the SQE or in the data the wrong field is (section 6.3). */
#define IPO_QID	    offsetof(struct nvmf_connect_command, qid)
#define IPO_SQSIZE  offsetof(struct nvmf_connect_command, sqsize)
#define IPO_HOSTID  (NVMF_CONNECT_INVALID_IN_DATA | offsetof(struct nvmf_connect_data, host_id))
#define IPO_CNTLID  (NVMF_CONNECT_INVALID_IN_DATA | offsetof(struct nvmf_connect_data, cntlid))
#define IPO_SUBNQN  (NVMF_CONNECT_INVALID_IN_DATA | offsetof(struct nvmf_connect_data, subnqn))
#define IPO_HOSTNQN (NVMF_CONNECT_INVALID_IN_DATA | offsetof(struct nvmf_connect_data, hostnqn))

static void connect_refuse(struct command *command, uint32_t parameter)
{
	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT((parameter & ~NVMF_CONNECT_INVALID_IN_DATA) < CONNECT_DATA_BYTES);
	command_fail(command, NVMF_STATUS_CONNECT_INVALID_PARAMETERS);
	command->result = parameter;
}

static struct target_subsystem *connect_subsystem(struct target *target, const char *nqn)
{
	struct target_subsystem *subsystem;

	ASSERT(target->main != NULL);
	ASSERT(nqn != NULL);
	if (strcmp(nqn, NVMF_DISCOVERY_NQN) == 0)
		return target->options.has_discovery ? &target->discovery : NULL;
	subsystem = target_find_subsystem(target, nqn);
	return subsystem == NULL || subsystem->is_leaving ? NULL : subsystem;
}

/* Return: false when the command has failed. */
static bool connect_decode(struct command *command, struct nvmf_connect *ret_connect)
{
	uint32_t parameter = 0;
	uint16_t status;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(ret_connect != NULL);
	if (command->data == NULL || command->received_bytes != CONNECT_DATA_BYTES) {
		command_fail(command, NVME_STATUS_SGL_DATA_LENGTH_INVALID);
		return false;
	}
	status = nvmf_connect_decode(&command->sqe, command->data, ret_connect, &parameter);
	if (status == NVME_STATUS_SUCCESS)
		return true;
	command_fail(command, status);
	command->result = parameter;
	return false;
}

/* Which subsystem, and on which reactor does it live? Context: main, or home at a second try. */
static enum fabrics_step connect_begin(struct command *command)
{
	struct connection *connection = command->connection;
	struct target *target = connection->target;
	struct nvmf_connect connect;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command == &command->connection->first || command->connection->controller != NULL);
	/* Its deadline may have passed since the data came: then it ends here, and moves nowhere.
	 */
	if (connection_is_ending(connection))
		return FABRICS_END;
	if (connection->controller != NULL) {
		command_fail(command, NVME_STATUS_COMMAND_SEQUENCE_ERROR);
		return FABRICS_END;
	}
	if (!connect_decode(command, &connect))
		return FABRICS_END;
	if (connection->subsystem != NULL) {
		/* It was refused before and has moved already: only to here again. */
		if (strcmp(connection->subsystem->nqn, connect.subnqn) == 0)
			return CONNECT_ADMIT;
		connect_refuse(command, IPO_SUBNQN);
		return FABRICS_END;
	}
	connection->subsystem = connect_subsystem(target, connect.subnqn);
	if (connection->subsystem == NULL) {
		connect_refuse(command, IPO_SUBNQN);
		return FABRICS_END;
	}
	if (connection->subsystem->home == target->main) {
		connection_adopt(connection);
		return CONNECT_ADMIT;
	}
	return CONNECT_DETACH;
}

static enum op_flow connect_detach(struct command *command)
{
	struct connection *connection = command->connection;

	ASSERT(connection->reactor == connection->target->main);
	ASSERT(command == &connection->first);
	ASSERT(connection->subsystem != NULL);
	ASSERT(send_is_idle(connection));
	connection->subsystem->transit_count++;
	connection->state = CONNECTION_MOVING;
	reactor_timer_stop(&connection->deadline);
	reactor_timer_stop(&connection->watchdog);
	op_wait(&command->op);
	os_socket_detach(connection->socket, &command->op);
	return op_join(&command->op);
}

/* From here on this thread does not know the connection any more. */
static void connect_move(struct command *command)
{
	struct connection *connection = command->connection;
	struct target_subsystem *subsystem = connection->subsystem;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(subsystem->transit_count > 0);
	ASSERT(command == &command->connection->first || command->connection->controller != NULL);
	command_park(command, NULL);
	connection_move(connection);
	subsystem->transit_count--;
	if (subsystem->transit_count == 0 && subsystem->transit_waiter != NULL)
		op_wake(subsystem->transit_waiter);
}

static bool connect_admin(struct command *command, const struct nvmf_connect *connect)
{
	struct connection *connection = command->connection;
	struct controller *controller;
	uint16_t status;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->connection->subsystem != NULL);
	status = controller_create(connection->subsystem, connect, &controller);
	if (status != NVME_STATUS_SUCCESS) {
		command_fail(command, status);
		return false;
	}
	connection->controller = controller;
	connection->receive.memo.is_known = false;
	connection->rules.capsule_data_bytes_max = NVME_TCP_ADMIN_CAPSULE_BYTES;
	return true;
}

/* Only as a further queue of the same host's controller. */
static bool connect_io(struct command *command, const struct nvmf_connect *connect)
{
	struct connection *connection = command->connection;
	const struct target_options *options = &connection->target->options;
	struct controller *controller = controller_find(connection->subsystem, connect->cntlid);

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->connection->subsystem != NULL);
	if (controller == NULL || controller->is_dying) {
		connect_refuse(command, IPO_CNTLID);
	} else if (strcmp(controller->host_nqn, connect->hostnqn) != 0) {
		connect_refuse(command, IPO_HOSTNQN);
	} else if (memcmp(controller->host_id.bytes, connect->host_id, 16) != 0) {
		connect_refuse(command, IPO_HOSTID);
	} else if (connection->subsystem->is_discovery) {
		command_fail(command, NVMF_STATUS_INVALID_QUEUE_TYPE);
	} else if (connect->qid > options->io_queue_count_max ||
		   controller->queues[connect->qid] != NULL) {
		connect_refuse(command, (uint32_t)IPO_QID);
	} else if (!controller_is_enabled(controller)) {
		command_fail(command, NVME_STATUS_COMMAND_SEQUENCE_ERROR);
	} else {
		connection->controller = controller;
		connection->receive.memo.is_known = false;
		connection->rules.capsule_data_bytes_max = options->in_capsule_bytes;
		return true;
	}
	return false;
}

static uint32_t queue_entries_max(const struct connection *connection, uint16_t qid)
{
	uint32_t depth = connection->target->options.queue_depth;

	ASSERT(connection->target != NULL);
	ASSERT(depth >= 2);
	return qid == 0 && depth < ADMIN_QUEUE_DEPTH ? ADMIN_QUEUE_DEPTH : depth;
}

static void connect_join(struct command *command, const struct nvmf_connect *connect)
{
	struct connection *connection = command->connection;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(connection->controller != NULL);
	ASSERT(connect->qid <= TARGET_IO_QUEUES_MAX);
	ASSERT(connection->slots != NULL);
	connection->qid = connect->qid;
	connection->sq_size = (uint16_t)connect->queue_entries;
	connection->sq_head = 1; /* Connect took the first entry */
	connection->is_flow_controlled = !connect->is_without_flow_control;
	connection->state = CONNECTION_LIVE;
	reactor_timer_stop(&connection->deadline);
	controller_add_queue(connection->controller, connection);
	if (connect->qid == 0)
		controller_set_keep_alive(connection->controller, connect->kato_ms);
	command->result = connection->controller->cntlid;
	log_debug(connection->target->log, "target: %s: host %s, controller %u, queue %u",
		  connection->subsystem->nqn, connect->hostnqn, connection->controller->cntlid,
		  connect->qid);
}

/* The checks that belong to the subsystem, then the place of the queue. Context: home. */
static enum op_flow connect_admit(struct command *command)
{
	struct connection *connection = command->connection;
	struct target_subsystem *subsystem = connection->subsystem;
	struct nvmf_connect connect;
	struct controller *fresh;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(connection->reactor == subsystem->home);
	ASSERT(command->connection->subsystem != NULL);
	if (connection_is_ending(connection) || !connect_decode(command, &connect))
		return OP_NEXT;
	if (!allowed_hosts_contain(subsystem->hosts, connect.hostnqn)) {
		log_warn(connection->target->log, "target: %s: host %s is not allowed",
			 subsystem->nqn, connect.hostnqn);
		command_fail(command, NVMF_STATUS_CONNECT_INVALID_HOST);
		return OP_NEXT;
	}
	if (connect.queue_entries > queue_entries_max(connection, connect.qid)) {
		connect_refuse(command, (uint32_t)IPO_SQSIZE);
		return OP_NEXT;
	}
	if (connect.qid == 0 && connect.cntlid != NVMF_CNTLID_ANY) {
		connect_refuse(command, IPO_CNTLID);
		return OP_NEXT;
	}
	/* Behind all that can refuse it for its fields: else it would harm without being one. */
	if (connect.qid == 0 && connect.is_sole)
		host_end_earlier(subsystem, connect.hostnqn, connect.host_id);
	if (connect.qid == 0 && host_has_ghosts(subsystem, connect.hostnqn, connect.host_id)) {
		REACHED("target_connect_waits_for_ghosts");
		command_park(command, &subsystem->ghost_line);
		return OP_WAIT;
	}
	if (connect.qid == 0 ? !connect_admin(command, &connect) : !connect_io(command, &connect))
		return OP_NEXT;
	if (connection_size(connection, connect.queue_entries) < 0) {
		fresh = connect.qid == 0 ? connection->controller : NULL;
		connection->controller = NULL;
		if (fresh != NULL)
			controller_discard(fresh);
		command_fail(command, NVMF_STATUS_CONTROLLER_BUSY);
		return OP_NEXT;
	}
	connect_join(command, &connect);
	return OP_NEXT;
}

/* Property Get and Set, on the admin queue alone (sections 6.5 and 6.6). */
static void property_run(struct command *command, bool is_set)
{
	struct connection *connection = command->connection;
	struct nvmf_property_access access;
	uint16_t status;

	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->sqe.opcode == NVMF_OPCODE);
	if (connection->controller == NULL || connection->qid != 0) {
		command_fail(command, NVME_STATUS_COMMAND_SEQUENCE_ERROR);
		return;
	}
	status = nvmf_property_decode(&command->sqe, &access);
	if (status == NVME_STATUS_SUCCESS)
		status = is_set ? controller_property_set(connection->controller, &access)
				: controller_property_get(connection->controller, &access,
							  &command->result);
	if (status != NVME_STATUS_SUCCESS)
		command_fail(command, status);
}

/* Deletes an I/O queue; its connection ends behind the answer (section 6.4). */
static void disconnect_run(struct command *command)
{
	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->sqe.opcode == NVMF_OPCODE);
	if (command->connection->controller == NULL || command->connection->qid == 0)
		command_fail(command, NVMF_STATUS_INVALID_QUEUE_TYPE);
	else
		command->is_last = true;
}

static enum fabrics_step fabrics_begin(struct command *command)
{
	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->sqe.opcode == NVMF_OPCODE);
	switch (((const struct nvmf_command *)&command->sqe)->type) {
	case NVMF_CONNECT:
		return connect_begin(command);
	case NVMF_PROPERTY_SET:
		property_run(command, true);
		break;
	case NVMF_PROPERTY_GET:
		property_run(command, false);
		break;
	case NVMF_DISCONNECT:
		disconnect_run(command);
		break;
	default:
		command_fail(command, NVME_STATUS_INVALID_OPCODE);
		break;
	}
	return FABRICS_END;
}

enum op_flow fabrics_execute(struct command *command)
{
	ASSERT(command->step == COMMAND_EXECUTE);
	ASSERT(command->sqe.opcode == NVMF_OPCODE);
	for (;;) {
		switch ((enum fabrics_step)command->execute_step) {
		case FABRICS_BEGIN:
			command->execute_step = fabrics_begin(command);
			break;
		case CONNECT_DETACH:
			command->execute_step = CONNECT_MOVE;
			if (connect_detach(command) == OP_WAIT)
				return OP_WAIT;
			break;
		case CONNECT_MOVE:
			command->execute_step = CONNECT_ADMIT;
			connect_move(command);
			return OP_WAIT;
		case CONNECT_ADMIT:
			if (connect_admit(command) == OP_WAIT)
				return OP_WAIT;
			command->execute_step = FABRICS_END;
			break;
		case FABRICS_END:
			return OP_NEXT;
		}
	}
}

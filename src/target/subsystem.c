/* SPDX-License-Identifier: Apache-2.0 */
/* subsystem.c - what happens to a subsystem on its home reactor.
 *
 * Books are kept of the commands that may touch the bdev (inflight). Whoever needs quiet - a pause,
 * a change of the ANA state, a fence - waits until they have come back; new ones wait in paused.
 *
 *	opening:  SUBSYSTEM_OPEN -> SUBSYSTEM_OPENED -> SUBSYSTEM_ANSWER
 *	ending:   SUBSYSTEM_KICK -> SUBSYSTEM_DRAIN  -> SUBSYSTEM_ANSWER
 *
 * Invariants:
 *  1. Everything here runs on subsystem->home.
 *  2. The channel is closed only when no connection is left, so no command is either.
 *  3. A command counts in inflight_count, and a write in its controller's outstanding_writes, from
 *     subsystem_io_begin() to subsystem_io_end(), exactly once.
 */
#include "base/planted.h"
#include "target/subsystem_impl.h"
#include "target/target_parts_impl.h"

#include <errno.h>
#include <string.h>

bool allowed_hosts_contain(const struct allowed_hosts *hosts, const char *host_nqn)
{
	if (hosts == NULL || hosts->count == 0)
		return true;
	ASSERT(hosts->count <= TARGET_ALLOWED_HOSTS_MAX);
	ASSERT(host_nqn != NULL);
	for (uint32_t i = 0; i < hosts->count; i++) {
		if (strcmp(hosts->nqn[i], host_nqn) == 0)
			return true;
	}
	return false;
}

void subsystem_ghosts_changed(struct target_subsystem *subsystem)
{
	ASSERT(subsystem->home != NULL);
	ASSERT(subsystem->ghost_writes <= subsystem->inflight_count);
	list_for_each (node, &subsystem->ghost_line)
		command_unpark(list_entry(node, struct command, link));
}

/* ---- the books ---- */

void subsystem_io_begin(struct target_subsystem *subsystem, struct command *command)
{
	ASSERT(!command->is_inflight && command->fence == NULL);
	ASSERT(!command_is_cancelled(command));
	ASSERT(command->connection->subsystem == subsystem);
	ASSERT(subsystem->pause_count == 0);
	command->is_inflight = true;
	subsystem->inflight_count++;
	if (command->is_write)
		command->connection->controller->outstanding_writes++;
}

/* All I/O has come back: whoever waited for that goes on. */
static void subsystem_quiet(struct target_subsystem *subsystem)
{
	struct list_node *node;

	ASSERT(subsystem->home != NULL);
	ASSERT(subsystem->ghost_writes == 0);
	ASSERT(subsystem->inflight_count == 0);
	while ((node = list_pop_front(&subsystem->changes)) != NULL) {
		struct target_subsystem_change *change =
			list_entry(node, struct target_subsystem_change, link);

		reactor_call_finish(&change->call);
	}
}

void subsystem_io_end(struct target_subsystem *subsystem, struct command *command)
{
	struct controller *controller = command->connection->controller;
	struct op *fence = command->fence;

	ASSERT(command->is_inflight && subsystem->inflight_count > 0);
	ASSERT(subsystem->ghost_writes <= subsystem->inflight_count);
	ASSERT(command->connection->subsystem == subsystem);
	command->is_inflight = false;
	command->fence = NULL;
	subsystem->inflight_count--;
	if (fence != NULL)
		op_done(fence);
	if (command->is_write) {
		ASSERT(controller->outstanding_writes > 0);
		controller->outstanding_writes--;
		if (controller->is_dying) {
			ASSERT(subsystem->ghost_writes > 0);
			subsystem->ghost_writes--;
			if (controller->outstanding_writes == 0)
				subsystem_ghosts_changed(subsystem);
		}
	}
	if (subsystem->inflight_count == 0)
		subsystem_quiet(subsystem);
}

/* Finishes the call now or when the last I/O has come back. */
static void change_await_quiet(struct target_subsystem *subsystem,
			       struct target_subsystem_change *change)
{
	ASSERT(subsystem->home != NULL);
	ASSERT(change->subsystem != NULL);
	list_init(&change->link);
	if (subsystem->inflight_count == 0)
		reactor_call_finish(&change->call);
	else
		list_push_back(&subsystem->changes, &change->link);
}

static struct target_subsystem_change *change_of(struct reactor_call *call)
{
	ASSERT(call->target != NULL);
	return container_of(call, struct target_subsystem_change, call);
}

void subsystem_home_pause(struct reactor_call *call)
{
	struct target_subsystem_change *change = change_of(call);

	ASSERT(call->target != NULL);
	change->subsystem->pause_count++;
	change_await_quiet(change->subsystem, change);
}

void subsystem_home_resume(struct reactor_call *call)
{
	struct target_subsystem *subsystem = change_of(call)->subsystem;

	ASSERT(call->target != NULL);
	ASSERT(subsystem->pause_count > 0);
	subsystem->pause_count--;
	if (subsystem->pause_count == 0) {
		list_for_each (node, &subsystem->paused)
			command_unpark(list_entry(node, struct command, link));
	}
	reactor_call_finish(call);
}

void subsystem_home_set_ana_state(struct reactor_call *call)
{
	struct target_subsystem_change *change = change_of(call);
	struct target_subsystem *subsystem = change->subsystem;

	ASSERT(call->target != NULL);
	ASSERT(change->ana_state >= TARGET_ANA_OPTIMIZED);
	ASSERT(change->ana_state <= TARGET_ANA_INACCESSIBLE);
	if (subsystem->ana_state != change->ana_state) {
		subsystem->ana_state = change->ana_state;
		subsystem->ana_change_count++;
		async_event_raise_all(subsystem, ASYNC_EVENT_ANA);
	}
	if (change->ana_state == TARGET_ANA_INACCESSIBLE)
		change_await_quiet(subsystem, change);
	else
		reactor_call_finish(call);
}

void subsystem_home_set_allowed_hosts(struct reactor_call *call)
{
	struct target_subsystem_change *change = change_of(call);
	struct target_subsystem *subsystem = change->subsystem;

	ASSERT(call->target != NULL);
	ASSERT(change->allowed_host_count <= TARGET_ALLOWED_HOSTS_MAX);
	allowed_hosts_fill(subsystem->hosts, change->allowed_hosts, change->allowed_host_count);
	list_for_each (node, &subsystem->controllers) {
		struct controller *controller = list_entry(node, struct controller, link);

		if (!allowed_hosts_contain(subsystem->hosts, controller->host_nqn))
			controller_kill(controller, "the host is not allowed any more");
	}
	reactor_call_finish(call);
}

void subsystem_home_inspect(struct reactor_call *call)
{
	struct target_subsystem_inspect *inspect =
		container_of(call, struct target_subsystem_inspect, call);
	struct target_subsystem *subsystem = inspect->subsystem;

	ASSERT(call->target != NULL);
	ASSERT(subsystem->controller_count <= TARGET_CONTROLLERS_MAX);
	inspect->controller_count = subsystem->controller_count;
	inspect->host_count = 0;
	inspect->reservations = subsystem->reservations;
	list_for_each (node, &subsystem->controllers) {
		const struct controller *controller = list_entry(node, struct controller, link);
		struct target_host_info *info = &inspect->hosts[inspect->host_count];

		if (inspect->host_count == TARGET_INSPECT_HOSTS_MAX || controller->is_dying)
			continue;
		memcpy(info->nqn, controller->host_nqn, sizeof(info->nqn));
		info->id = controller->host_id;
		info->cntlid = controller->cntlid;
		info->io_queue_count = controller->queue_count - 1;
		os_address_format(&controller->queues[0]->peer, info->address);
		inspect->host_count++;
	}
	reactor_call_finish(call);
}

/* ---- the size of the bdev, or the bdev itself, has changed ---- */

void subsystem_home_changed(struct target_subsystem *subsystem)
{
	ASSERT(subsystem->home != NULL);
	async_event_raise_all(subsystem, ASYNC_EVENT_NAMESPACE);
}

/* ---- opening and ending ---- */

static enum op_flow home_open(struct target_subsystem *subsystem)
{
	struct target_reservation_request *request = &subsystem->reservation_request;

	ASSERT(subsystem->home != NULL);
	ASSERT(subsystem->channel == NULL);
	subsystem->home_result =
		bdev_channel_open(subsystem->bdev, subsystem->home, &subsystem->channel);
	request->result = -ENOENT;
	if (subsystem->home_result < 0 || subsystem->reservation_store == NULL)
		return OP_NEXT;
	request->parent = &subsystem->home_op;
	op_wait(&subsystem->home_op);
	subsystem->reservation_store->load(subsystem->reservation_store, request);
	return op_join(&subsystem->home_op);
}

/* They come from a disk. */
static bool reservations_are_sane(const struct target_reservation_state *state)
{
	ASSERT(state != NULL);
	if (state->registrant_count > TARGET_REGISTRANTS_MAX ||
	    state->type > NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL)
		return false;
	return state->type == NVME_RESERVATION_NONE ||
	       (state->registrant_count > 0 && state->holder_index < state->registrant_count);
}

/* Reservations that cannot be read must not be taken for none: a fenced host could write. */
static void home_opened(struct target_subsystem *subsystem)
{
	struct target_reservation_request *request = &subsystem->reservation_request;

	ASSERT(subsystem->home != NULL);
	ASSERT(subsystem->home_call != NULL);
	if (subsystem->home_result < 0)
		return;
	if (request->result == 0 && !reservations_are_sane(&request->state))
		request->result = -EBADMSG;
	if (request->result == 0 && request->state.is_persistent)
		subsystem->reservations = request->state;
	else if (request->result != 0 && request->result != -ENOENT)
		subsystem->home_result = request->result;
	if (subsystem->home_result < 0) {
		bdev_channel_close(subsystem->channel);
		subsystem->channel = NULL;
	}
}

static void home_kick(struct target_subsystem *subsystem)
{
	ASSERT(subsystem->home != NULL);
	ASSERT(subsystem->home_step == SUBSYSTEM_DRAIN);
	if (PLANTED(UNSHARED_BUT_SERVED))
		return;
	list_for_each (node, &subsystem->controllers)
		controller_kill(list_entry(node, struct controller, link),
				"the subsystem is removed");
	list_for_each (node, &subsystem->connections)
		connection_close(list_entry(node, struct connection, link),
				 "the subsystem is removed");
}

static bool home_is_drained(struct target_subsystem *subsystem)
{
	if (subsystem->connection_count > 0) {
		REACHED("target_removal_waits_for_hosts");
		return false; /* subsystem_connection_gone() enters home_op again */
	}
	ASSERT(list_is_empty(&subsystem->controllers));
	ASSERT(subsystem->inflight_count == 0 && list_is_empty(&subsystem->paused));
	ASSERT(subsystem->reservation_command == NULL);
	ASSERT(range_locks_is_empty(&subsystem->locks));
	bdev_channel_close(subsystem->channel);
	subsystem->channel = NULL;
	return true;
}

static void home_run(struct op *op)
{
	struct target_subsystem *subsystem = container_of(op, struct target_subsystem, home_op);

	for (;;) {
		switch (subsystem->home_step) {
		case SUBSYSTEM_OPEN:
			subsystem->home_step = SUBSYSTEM_OPENED;
			if (home_open(subsystem) == OP_WAIT)
				return;
			break;
		case SUBSYSTEM_OPENED:
			subsystem->home_step = SUBSYSTEM_ANSWER;
			home_opened(subsystem);
			break;
		case SUBSYSTEM_KICK:
			subsystem->home_step = SUBSYSTEM_DRAIN;
			home_kick(subsystem);
			break;
		case SUBSYSTEM_DRAIN:
			if (!home_is_drained(subsystem))
				return;
			subsystem->home_step = SUBSYSTEM_ANSWER;
			break;
		case SUBSYSTEM_ANSWER:
			op_unwake(op);
			reactor_call_finish(subsystem->home_call);
			return;
		}
	}
}

void subsystem_connection_gone(struct target_subsystem *subsystem)
{
	ASSERT(subsystem->home != NULL);
	ASSERT(subsystem->connection_count > 0);
	subsystem->connection_count--;
	subsystem_ghosts_changed(subsystem);
	if (subsystem->connection_count > 0)
		return;
	if (subsystem->is_discovery)
		target_connection_gone(subsystem->target);
	else if (subsystem->home_step == SUBSYSTEM_DRAIN)
		op_wake(&subsystem->home_op);
}

void subsystem_home_open(struct reactor_call *call)
{
	struct target_subsystem *subsystem =
		container_of(call, struct target_subsystem_create, call)->subsystem;

	ASSERT(call->target != NULL);
	ASSERT(subsystem->home_step == SUBSYSTEM_ANSWER);
	subsystem->home_step = SUBSYSTEM_OPEN;
	subsystem->home_call = call;
	op_start(&subsystem->home_op);
}

void subsystem_home_end(struct reactor_call *call)
{
	struct target_subsystem *subsystem = change_of(call)->subsystem;

	ASSERT(call->target != NULL);
	ASSERT(subsystem->home_step == SUBSYSTEM_ANSWER);
	/* What was paused is cancelled with its connections. */
	subsystem->home_step = SUBSYSTEM_KICK;
	subsystem->home_call = call;
	op_start(&subsystem->home_op);
}

void subsystem_init(struct target_subsystem *subsystem, struct target *target, struct reactor *home)
{
	ASSERT(target != NULL && home != NULL);
	ASSERT(subsystem->connection_count == 0);
	subsystem->target = target;
	subsystem->home = home;
	subsystem->ana_state = TARGET_ANA_OPTIMIZED;
	subsystem->ana_state_on_main = TARGET_ANA_OPTIMIZED;
	list_init(&subsystem->link);
	list_init(&subsystem->controllers);
	list_init(&subsystem->connections);
	list_init(&subsystem->ghost_line);
	list_init(&subsystem->paused);
	list_init(&subsystem->changes);
	list_init(&subsystem->reservation_line);
	list_init(&subsystem->bdev_listener.link);
	range_locks_init(&subsystem->locks);
	op_init(&subsystem->home_op, reactor_ready(home), home_run);
	subsystem->home_step = SUBSYSTEM_ANSWER;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* target.c - the target as a whole: its listeners, its start and its end. Main reactor.
 *
 * The end: stop listening, close what is left (strangers and discovery controllers; subsystems are
 * gone by then), free when the last connection is.
 *
 * Invariant: acceptors take a bounded number of sockets a turn, so a flood of connections does not
 * keep the reactor from its work.
 */
#include "target/target_parts_impl.h"

#include "base/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define ACCEPTS_PER_TURN 64

enum destroy_step { DESTROY_LISTENERS, DESTROY_CONNECTIONS, DESTROY_FREE };

void target_options_default(struct target_options *ret_options)
{
	ASSERT(ret_options != NULL);
	*ret_options = (struct target_options){
		.queue_depth = 32,
		.io_queue_count_max = TARGET_IO_QUEUES_MAX,
		.in_capsule_bytes = 4096,
		.keep_alive_ms_min = 10 * 1000,
		.handshake_timeout_ms = 10 * 1000,
		.association_timeout_ms = 120 * 1000,
		.stall_timeout_ms = 60 * 1000,
		.linger_timeout_ms = 500,
		.connection_count_max = 16 * 1024,
		.unauthenticated_count_max = 1024,
		.controller_buffers_max = 64,
		.has_discovery = true,
		.firmware = "24.0.0",
	};
}

static void acceptor_run(struct op *op)
{
	struct listener *listener = container_of(op, struct listener, acceptor);

	for (uint32_t i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct os_socket *socket;

		if (listener->os == NULL)
			return;
		socket = os_listener_accept(listener->os);
		if (socket == NULL)
			return;
		connection_accept(listener->target, socket);
	}
	op_wake(op);
}

static bool options_are_valid(const struct target_options *options)
{
	ASSERT(options != NULL);
	return options->listen_count >= 1 && options->listen_count <= TARGET_LISTENERS_MAX &&
	       options->queue_depth >= 2 && options->queue_depth <= TARGET_QUEUE_DEPTH_MAX &&
	       options->io_queue_count_max >= 1 &&
	       options->io_queue_count_max <= TARGET_IO_QUEUES_MAX &&
	       (options->in_capsule_bytes == 4096 || options->in_capsule_bytes == 8192) &&
	       options->keep_alive_ms_min >= KEEP_ALIVE_UNIT_MS &&
	       options->handshake_timeout_ms > 0 && options->stall_timeout_ms >= 4 &&
	       options->linger_timeout_ms > 0 && options->controller_buffers_max > 0;
}

static int target_listen(struct target *target, struct target_create *create)
{
	ASSERT(target->main != NULL);
	ASSERT(create->main != NULL);
	for (uint32_t i = 0; i < target->options.listen_count; i++) {
		struct listener *listener = &target->listeners[i];
		char text[OS_ADDRESS_TEXT_BYTES];
		int rc;

		listener->target = target;
		op_init(&listener->acceptor, reactor_ready(target->main), acceptor_run);
		rc = os_listener_open(reactor_ring(target->main), &target->options.listen[i],
				      &listener->acceptor, &listener->os);
		if (rc < 0) {
			os_address_format(&target->options.listen[i], text);
			(void)snprintf(create->error, sizeof(create->error),
				       "target: cannot listen on %s: %s; choose another address "
				       "or end the program that has it",
				       text, strerror(-rc));
			return rc;
		}
		target->listener_count++;
		os_listener_address(listener->os, &listener->address);
	}
	return 0;
}

static void target_unlisten(struct target *target, struct op *parent)
{
	ASSERT(target->main != NULL);
	ASSERT(target->listener_count <= TARGET_LISTENERS_MAX);
	for (uint32_t i = 0; i < target->listener_count; i++) {
		struct listener *listener = &target->listeners[i];

		op_unwake(&listener->acceptor);
		if (parent != NULL)
			op_wait(parent);
		os_listener_close(listener->os, parent);
		listener->os = NULL;
	}
}

static void discovery_init(struct target *target)
{
	struct target_subsystem *discovery = &target->discovery;

	ASSERT(target->main != NULL);
	ASSERT(discovery->target == NULL);
	subsystem_init(discovery, target, target->main);
	discovery->is_discovery = true;
	memcpy(discovery->nqn, NVMF_DISCOVERY_NQN, sizeof(NVMF_DISCOVERY_NQN));
	memcpy(discovery->model, TARGET_MODEL_DEFAULT, sizeof(TARGET_MODEL_DEFAULT));
	memcpy(discovery->serial, "00000000000000000000", TARGET_SERIAL_BYTES);
	discovery->cntlid_min = TARGET_CNTLID_MIN;
	discovery->cntlid_max = TARGET_CNTLID_MAX;
}

static void create_result(struct target_create *create)
{
	struct target *target;

	ASSERT(create->main != NULL);
	ASSERT(create->options != NULL);
	create->target = NULL;
	if (!options_are_valid(create->options)) {
		create->result = -EINVAL;
		(void)snprintf(create->error, sizeof(create->error),
			       "target: an option is out of its range (target.h)");
		return;
	}
	target = memory_alloc(sizeof(*target));
	if (target == NULL) {
		create->result = -ENOMEM;
		(void)snprintf(create->error, sizeof(create->error), "target: no memory");
		return;
	}
	target->main = create->main;
	target->options = *create->options;
	target->log = create->log;
	list_init(&target->subsystems);
	list_init(&target->connections);
	discovery_init(target);
	create->result = target_listen(target, create);
	if (create->result < 0) {
		target_unlisten(target, NULL);
		memory_free(target);
		return;
	}
	create->target = target;
}

void target_create_submit(struct target_create *create)
{
	ASSERT(create->main != NULL);
	ASSERT(create->main != NULL && create->log != NULL && create->options != NULL);
	create_result(create);
	op_done(create->parent);
}

/* ---- the end ---- */

static enum op_flow destroy_listeners(struct target *target)
{
	ASSERT(target->main != NULL);
	ASSERT(list_is_empty(&target->subsystems));
	target_unlisten(target, &target->destroy_op);
	list_for_each (node, &target->connections)
		connection_close(list_entry(node, struct connection, link), "shutdown");
	list_for_each (node, &target->discovery.controllers)
		controller_kill(list_entry(node, struct controller, link), "shutdown");
	list_for_each (node, &target->discovery.connections)
		connection_close(list_entry(node, struct connection, link), "shutdown");
	return op_join(&target->destroy_op);
}

static void destroy_run(struct op *op)
{
	struct target *target = container_of(op, struct target, destroy_op);
	struct op *parent = target->destroy_parent;

	for (;;) {
		switch ((enum destroy_step)target->destroy_step) {
		case DESTROY_LISTENERS:
			target->destroy_step = DESTROY_CONNECTIONS;
			if (destroy_listeners(target) == OP_WAIT)
				return;
			break;
		case DESTROY_CONNECTIONS:
			if (!list_is_empty(&target->connections) ||
			    target->discovery.connection_count > 0)
				return; /* target_connection_gone() wakes it */
			target->destroy_step = DESTROY_FREE;
			break;
		case DESTROY_FREE:
			ASSERT(target_connection_count(target) == 0);
			op_unwake(op);
			memory_free(target);
			op_done(parent);
			return;
		}
	}
}

void target_connection_gone(struct target *target)
{
	ASSERT(target->main != NULL);
	if (target->destroy_parent != NULL && !target->destroy_op.is_joined)
		op_wake(&target->destroy_op);
}

void target_destroy_submit(struct target *target, struct op *parent)
{
	ASSERT(parent != NULL && target->destroy_parent == NULL);
	ASSERT(list_is_empty(&target->subsystems));
	target->destroy_parent = parent;
	target->destroy_step = DESTROY_LISTENERS;
	op_init(&target->destroy_op, reactor_ready(target->main), destroy_run);
	op_start(&target->destroy_op);
}

void target_listener_address(const struct target *target, uint32_t index,
			     struct os_address *ret_address)
{
	ASSERT(target->main != NULL);
	ASSERT(index < target->listener_count);
	*ret_address = target->listeners[index].address;
}

uint32_t target_connection_count(const struct target *target)
{
	ASSERT(target->main != NULL);
	return atomic_load_explicit(&target->connection_count, memory_order_relaxed);
}

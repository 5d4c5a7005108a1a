/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_session.c - one gRPC call at a time, waited for.
 *
 * Every call has a connection of its own: an engine may have been restarted since the last one,
 * and on one machine a connection costs nothing.
 */
#include "cli/rpc_session.h"

#include "base/uuid.h"
#include "os/os_socket.h"
#include "rpc/rpc_client.h"

#include <stdio.h>
#include <string.h>

#define SESSION_ADDRESS "127.0.0.1"

/* What is waited for; its run function is entered when the answer is in. */
struct session_wait {
	struct op op;
	bool is_done;
};

static void wait_run(struct op *op)
{
	struct session_wait *wait = container_of(op, struct session_wait, op);

	wait->is_done = true;
}

static void wait_init(struct session_wait *wait, struct rpc_session *session)
{
	wait->is_done = false;
	op_init(&wait->op, reactor_ready(session->reactor), wait_run);
	op_wait(&wait->op);
}

static void wait_finish(struct session_wait *wait, struct rpc_session *session)
{
	if (op_join(&wait->op) == OP_NEXT)
		return;
	while (!wait->is_done)
		reactor_turn(session->reactor, true);
}

enum cli_exit rpc_session_open(struct rpc_session *session, struct cli_error *error)
{
	struct reactor_options options;
	int rc;

	memset(session, 0, sizeof(*session));
	rc = os_open(&session->os);
	if (rc != 0)
		return cli_fail(error, CLI_FAILED, "the system cannot be used: %s", strerror(-rc));
	reactor_options_default(&options);
	options.core = -1;
	options.spin_ns_max = 0;
	options.small_buffer_count = 4;
	options.large_buffer_count = 1;
	rc = reactor_create(session->os, &options, &session->reactor);
	if (rc == 0)
		return CLI_OK;
	rpc_session_close(session);
	return cli_fail(error, CLI_FAILED,
			"no io_uring: %s; allow io_uring in this container or on this machine "
			"(sysctl kernel.io_uring_disabled=0)",
			strerror(-rc));
}

void rpc_session_close(struct rpc_session *session)
{
	reactor_destroy(session->reactor);
	session->reactor = NULL;
	if (session->os != NULL)
		os_close(session->os);
	session->os = NULL;
}

/* The last part of "/mayastor.v1.NexusRpc/CreateNexus". */
static const char *method_name(const char *method)
{
	const char *slash = strrchr(method, '/');

	return slash != NULL ? slash + 1 : method;
}

enum cli_exit rpc_session_call(struct rpc_session *session, struct session_call *call,
			       struct cli_error *error)
{
	struct rpc_client_call wire = {
		.method = call->method,
		.request = call->request,
		.response_type = call->response_type,
		.timeout_ns = (uint64_t)call->timeout_ms * 1000000,
	};
	struct rpc_client_options options;
	struct rpc_client *client;
	struct os_address address;
	struct session_wait wait;

	call->response = NULL;
	call->status = RPC_INTERNAL;
	rpc_client_options_default(&options);
	if (os_address_parse(SESSION_ADDRESS, call->port, &address) != 0 ||
	    rpc_client_create(session->reactor, &address, &options, &client) != 0)
		return cli_fail(error, CLI_FAILED, "%s: no memory for a call", call->node);

	wait_init(&wait, session);
	wire.parent = &wait.op;
	rpc_client_call_submit(client, &wire);
	wait_finish(&wait, session);

	call->status = wire.status;
	call->response = wire.response;
	wire.response = NULL;
	rpc_client_call_release(&wire);
	wait_init(&wait, session);
	rpc_client_close(client, &wait.op);
	wait_finish(&wait, session);
	if (call->status == RPC_OK)
		return CLI_OK;
	return cli_fail(error, CLI_FAILED, "%s: %s: %s (%s)", call->node, method_name(call->method),
			wire.text, rpc_status_name(call->status));
}

void session_call_release(struct session_call *call)
{
	struct rpc_client_call wire = {.response = call->response};

	rpc_client_call_release(&wire);
	call->response = NULL;
}

void rpc_session_uuid(struct rpc_session *session, char *ret_text)
{
	uint8_t random[16];
	struct uuid uuid;

	os_entropy_fill(session->os, random, sizeof(random));
	uuid = uuid_from_random(random);
	uuid_format(&uuid, ret_text);
}

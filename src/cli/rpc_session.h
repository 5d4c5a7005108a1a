/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_session.h - gRPC calls for a program that does one thing after another.
 *
 * A reactor of its own is turned until the answer is there. One call at a time.
 */
#ifndef CLI_RPC_SESSION_H
#define CLI_RPC_SESSION_H

#include "cli/cli_error.h"
#include "os/os.h"
#include "reactor/reactor.h"
#include "rpc/rpc_status.h"

#include <protobuf-c/protobuf-c.h>

struct rpc_session {
	struct os *os;
	struct reactor *reactor;
};

enum cli_exit rpc_session_open(struct rpc_session *session, struct cli_error *error)
	__attribute__((warn_unused_result));
/** Safe on a zeroed session. */
void rpc_session_close(struct rpc_session *session);

struct session_call {
	const char *node; /* for messages */
	uint16_t port;	  /* on 127.0.0.1 */
	const char *method;
	const ProtobufCMessage *request;
	const ProtobufCMessageDescriptor *response_type;
	uint32_t timeout_ms;
	enum rpc_status status;	    /* when done */
	ProtobufCMessage *response; /* when CLI_OK; session_call_release() frees it */
};

/** Return: CLI_OK, or CLI_FAILED with node, method, the engine's own words and the status. */
enum cli_exit rpc_session_call(struct rpc_session *session, struct session_call *call,
			       struct cli_error *error) __attribute__((warn_unused_result));
/** NULL responses are fine. */
void session_call_release(struct session_call *call);

/** A random UUID as text. */
void rpc_session_uuid(struct rpc_session *session, char *ret_text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* client_session.h - calls on one HTTP/2 connection of a client; private to rpc/. */
#ifndef RPC_CLIENT_SESSION_H
#define RPC_CLIENT_SESSION_H

#include "base/list.h"
#include "rpc/rpc_client.h"
#include "rpc/rpc_codec.h"

#define RPC_CLIENT_STREAMS_MAX 1024 /* of one connection, given-up ones too */
#define RPC_CLIENT_REPEATS_MAX 3    /* of a call that the server never looked at */

struct client_session {
	nghttp2_session *http;
	struct list_node streams; /* of rpc_client_stream.link */
	struct list_node repeats; /* of rpc_client_call.link: to be sent again */
	uint32_t stream_count;
	uint64_t answer_count; /* calls that the server gave a status */
	const char *authority;
	bool is_server_heard; /* its SETTINGS came */
	bool is_leaving;      /* it takes no new calls */
};

/* What a call needs on the wire; made when it is submitted. */
struct rpc_client_stream {
	struct rpc_client_call *call;	/* NULL: given up, but nghttp2 still knows the stream */
	struct client_session *session; /* NULL: waits for a connection */
	struct list_node link;
	int32_t id;
	uint32_t repeats;
	uint32_t *call_count; /* of the client: unfinished calls */

	struct rpc_bytes request; /* framed; @request_sent of it is out */
	size_t request_sent;
	struct rpc_budget request_budget;
	struct rpc_metadata metadata[RPC_CLIENT_METADATA_MAX];
	uint32_t metadata_count;
	char *metadata_text;

	struct rpc_assembler response;
	struct rpc_budget response_budget;
	enum rpc_assembly assembly;
	uint32_t http_status;
	size_t text_used; /* of the call's received_text */
	bool is_sent;	  /* the server may have seen it */
	bool is_grpc;
	bool has_status;
};

/** Packs the request and copies the metadata. Return: 0; -EMSGSIZE; -ENOMEM. */
int client_stream_create(struct rpc_client_call *call, uint32_t message_bytes_max)
	__attribute__((warn_unused_result));

/** A stream that has neither call nor session. */
void client_stream_free(struct rpc_client_stream *stream);

/** Writes the outcome, lets go of the stream (resets it when it is open), gives the op_done(). */
void client_call_end(struct rpc_client_call *call, enum rpc_status status, const char *text);

/** Return: 0 or -ENOMEM. */
int client_session_open(struct client_session *session, const char *authority)
	__attribute__((warn_unused_result));
/** Ends every call so. Calls in @repeats are the caller's to move away before. */
void client_session_close(struct client_session *session, enum rpc_status status, const char *text);
/** Sends the call's request. Return: 0; -EAGAIN: this connection takes no more. */
int client_session_send(struct client_session *session, struct rpc_client_call *call,
			uint64_t timeout_ns) __attribute__((warn_unused_result));
/** Somebody still waits for an answer on this connection. */
bool client_session_has_calls(const struct client_session *session);

#endif

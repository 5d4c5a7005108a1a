/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_client.h - a gRPC client (HTTP/2 without TLS) of one address, on one reactor.
 *
 * Connects at the first call, keeps the connection, shares it among all calls, and connects again
 * with growing pauses when it is lost. When the attempt to connect fails, a call ends UNAVAILABLE
 * with the reason; with wait_for_ready it waits until there is one or its time is up. A call
 * that was sent when the connection broke ends UNAVAILABLE and is not repeated: whether it was
 * carried out is not known. One that the server says it never looked at is sent again.
 *
 * Thread: everything here is called on the reactor's thread. Nothing calls back.
 *
 *	x->call = (struct rpc_client_call){
 *		.parent = &x->op,
 *		.method = "/mayastor.v1.Registration/Register",
 *		.request = &request.base,
 *		.response_type = &google__protobuf__empty__descriptor,
 *		.timeout_ns = 5 * 1000000000ull,
 *	};
 *	op_wait(&x->op);
 *	rpc_client_call_submit(client, &x->call);
 */
#ifndef RPC_RPC_CLIENT_H
#define RPC_RPC_CLIENT_H

#include "base/limits.h"
#include "base/log.h"
#include "base/op.h"
#include "os/os_socket.h"
#include "reactor/reactor.h"
#include "rpc/rpc_status.h"

#include <protobuf-c/protobuf-c.h>

#define RPC_CLIENT_METADATA_MAX	     8
#define RPC_CLIENT_METADATA_TEXT_MAX 512 /* names and values of one answer together */

struct rpc_client;

struct rpc_client_options {
	const char *authority; /* ":authority"; copied; NULL: the address */
	uint32_t calls_max;    /* unfinished calls; more end RESOURCE_EXHAUSTED */
	uint32_t message_bytes_max;
	uint64_t connect_ns;	 /* one attempt to connect */
	uint64_t backoff_ns_min; /* pause after the first failed attempt; doubles */
	uint64_t backoff_ns_max;
	uint64_t keepalive_ns; /* silence before a ping; twice it before giving up; 0: off */
	struct log *log;       /* NULL: silent */
};

/** Address as authority, 256 calls, 4 MiB, 5 s, 100 ms, 5 s, 10 s, silent. */
void rpc_client_options_default(struct rpc_client_options *ret_options);

struct rpc_metadata {
	const char *name;  /* lower case */
	const char *value; /* printable ASCII */
};

/* One unary call; embed. Zero what is not used. */
struct rpc_client_call {
	struct op *parent;		 /* gets one op_done() */
	const char *method;		 /* "/package.Service/Method"; constant text */
	const ProtobufCMessage *request; /* packed before the submit returns */
	const ProtobufCMessageDescriptor *response_type;
	uint64_t timeout_ns;		     /* sent as grpc-timeout; 0: 15 s */
	const struct rpc_metadata *metadata; /* to send along; read before the submit returns */
	uint32_t metadata_count;	     /* <= RPC_CLIENT_METADATA_MAX */
	bool wait_for_ready; /* no connection: wait for one instead of UNAVAILABLE */

	/* the outcome */
	enum rpc_status status;
	char text[ERROR_TEXT_BYTES]; /* grpc-message decoded, or what went wrong here */
	ProtobufCMessage *response;  /* when status is RPC_OK; free by rpc_client_call_release() */
	struct rpc_metadata received[RPC_CLIENT_METADATA_MAX]; /* headers and trailers */
	uint32_t received_count;
	char received_text[RPC_CLIENT_METADATA_TEXT_MAX]; /* private */

	/* private */
	struct rpc_client *client;
	struct list_node link;
	struct rpc_client_stream *stream;
	uint64_t deadline_ns;
};

/** Does not connect yet. Return: 0 or -ENOMEM. */
int rpc_client_create(struct reactor *reactor, const struct os_address *address,
		      const struct rpc_client_options *options, struct rpc_client **ret_client)
	__attribute__((warn_unused_result));

/** Where the next connection goes (the name was resolved again); a live one is kept. */
void rpc_client_set_address(struct rpc_client *client, const struct os_address *address);

/**
 * rpc_client_close - end all calls with CANCELLED, disconnect, free
 * Every unfinished call gets its op_done(), then @parent gets its own; @client is gone then.
 */
void rpc_client_close(struct rpc_client *client, struct op *parent);

/** Starts a call. Does not fail and does not call back: the outcome is in @call. */
void rpc_client_call_submit(struct rpc_client *client, struct rpc_client_call *call);

/** Gives up: op_done() comes, with CANCELLED unless it was complete. Only while submitted. */
void rpc_client_call_cancel(struct rpc_client_call *call);

/** Frees the response. Safe on any finished call, repeatedly. */
void rpc_client_call_release(struct rpc_client_call *call);

/** The value of metadata @name of a finished call, NULL when it did not come. */
const char *rpc_client_call_metadata(const struct rpc_client_call *call, const char *name);

/** True while a connection is up. */
bool rpc_client_is_connected(const struct rpc_client *client);

#endif

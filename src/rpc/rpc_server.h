/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_server.h - a gRPC server (HTTP/2 without TLS) on one reactor.
 *
 * Services are tables of handlers over the descriptors that protobuf-c generates. A handler gets
 * a call and ends it exactly once, at once or later, by rpc_call_reply(), rpc_call_finish() or
 * rpc_call_fail(). It need not care whether the client is still there: work that was started is
 * never cancelled, and the answer to a client that left is dropped.
 *
 * Thread: everything here, handlers too, is called on the reactor's thread. Handlers are entered
 * from the reactor's loop and may call anything below, rpc_server_close() too.
 *
 *	static void list_pools(struct rpc_call *call)
 *	{
 *		const Mayastor__V1__ListPoolOptions *request = (const void *)call->request;
 *		Mayastor__V1__ListPoolsResponse response = MAYASTOR__V1__LIST_POOLS_RESPONSE__INIT;
 *		...
 *		rpc_call_reply(call, &response.base);
 *	}
 *	static const struct rpc_method pool_methods[] = {{"ListPools", list_pools}, ...};
 *	static const struct rpc_service pool_service = {
 *		&mayastor__v1__pool_rpc__descriptor, pool_methods, ARRAY_COUNT};
 *	rpc_server_add_service(server, &pool_service, engine);
 */
#ifndef RPC_RPC_SERVER_H
#define RPC_RPC_SERVER_H

#include "base/log.h"
#include "base/op.h"
#include "os/os_socket.h"
#include "reactor/reactor.h"
#include "rpc/rpc_status.h"

#include <protobuf-c/protobuf-c.h>

#define RPC_LISTENERS_MAX      8
#define RPC_SERVICES_MAX       32
#define RPC_METHOD_BYTES_MAX   128	   /* "/mayastor.v1.PoolRpc/CreatePool", NUL included */
#define RPC_CALL_METADATA_MAX  8	   /* extra trailing metadata of one call */
#define RPC_METADATA_BYTES_MAX 256	   /* one name or value, NUL included */
#define RPC_MESSAGE_BYTES_MAX  (4u << 20)  /* the gRPC libraries' default */
#define RPC_UNPACKED_BYTES_MAX (64u << 20) /* memory that one message may become */

struct rpc_server;

struct rpc_server_options {
	uint32_t connections_max;    /* more: an idle one makes room, else the new one is shut */
	uint32_t streams_max;	     /* concurrent calls of one connection */
	uint32_t calls_max;	     /* unfinished calls of all, abandoned ones too */
	uint32_t message_bytes_max;  /* one request or response */
	uint64_t buffered_bytes_max; /* requests and responses of all calls together */
	uint64_t deadline_ns;	     /* of a call without grpc-timeout */
	uint64_t keepalive_ns;	     /* silence before a ping; twice it before giving up; 0: off */
	uint64_t drain_ns;	     /* how long rpc_server_close() lets calls finish */
	struct log *log;	     /* NULL: silent */
};

/** 64 connections, 128 streams, 1024 calls, 4 MiB, 64 MiB, 15 s, 30 s, 5 s, silent. */
void rpc_server_options_default(struct rpc_server_options *ret_options);

/* One call. The handler's until it ends it; then the memory is gone. */
struct rpc_call {
	const ProtobufCMessage *request; /* of the method's request type; the call's memory */
	void *user;			 /* as given to rpc_server_add_service() */
	struct rpc_server *server;
	const char *method;   /* "/mayastor.v1.PoolRpc/CreatePool" */
	uint64_t deadline_ns; /* reactor_now_ns() time after which the client has its answer */
	void *handler_state;  /* free for the handler */
};

struct rpc_method {
	const char *name; /* "CreatePool": one of the service descriptor's methods */
	void (*handle)(struct rpc_call *call);
};

/* Methods of the descriptor that are not listed answer UNIMPLEMENTED. */
struct rpc_service {
	const ProtobufCServiceDescriptor *descriptor;
	const struct rpc_method *methods;
	uint32_t method_count;
};

/** Return: 0 or -ENOMEM. */
int rpc_server_create(struct reactor *reactor, const struct rpc_server_options *options,
		      struct rpc_server **ret_server) __attribute__((warn_unused_result));

/**
 * rpc_server_add_service - serve @service from now on
 * @service: must live as long as the server; every listed method must be in its descriptor.
 * Context: before or after rpc_server_listen().
 */
void rpc_server_add_service(struct rpc_server *server, const struct rpc_service *service,
			    void *user);

/**
 * rpc_server_listen - accept connections at @address too; up to RPC_LISTENERS_MAX
 * @ret_address: NULL, or receives the address with the port that was chosen when 0 was asked for.
 * Return: 0; -EADDRINUSE, -EACCES ...; -ENOSPC when there are too many.
 */
int rpc_server_listen(struct rpc_server *server, const struct os_address *address,
		      struct os_address *ret_address) __attribute__((warn_unused_result));

/**
 * rpc_server_close - stop accepting, let calls finish for a while, close, free
 * op_done(@parent) comes when every call was ended by its handler and every socket is gone;
 * @server must not be used after this call except through calls that are still to be ended.
 */
void rpc_server_close(struct rpc_server *server, struct op *parent);

/** Ends the call with RPC_OK and one message, which is packed before this returns. */
void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *response);

/**
 * rpc_call_fail - end the call with an error
 * @status: not RPC_OK.
 * @format: one sentence that names object, reason and way out; UTF-8.
 */
void rpc_call_fail(struct rpc_call *call, enum rpc_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * rpc_call_metadata_add - trailing metadata that goes out when the call ends
 * @name: lower case, not beginning with "grpc-"; @value: printable ASCII. Both are copied.
 * Beyond RPC_CALL_METADATA_MAX or RPC_METADATA_BYTES_MAX is a programmer's error.
 */
void rpc_call_metadata_add(struct rpc_call *call, const char *name, const char *value);

/**
 * rpc_call_send - one message of a response stream
 * @parent: gets one op_done() when the message has left for the socket or never will; call
 *	op_wait() before. NULL: nobody waits. One waiter a call at a time.
 * Return: 0; -EPIPE: the client is gone or the deadline is over, end the call; -ENOBUFS: too much
 * is queued (wait before the next), or the message is too large. op_done() comes in any case.
 */
int rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message, struct op *parent)
	__attribute__((warn_unused_result));

/** Ends a response stream with RPC_OK, after what was sent. */
void rpc_call_finish(struct rpc_call *call);

/** True when nobody waits for the answer any more. The call must still be ended. */
bool rpc_call_is_abandoned(const struct rpc_call *call);

struct rpc_server_stats {
	uint64_t connections_accepted;
	uint64_t connections_refused;
	uint64_t connections_failed; /* ended by a protocol error or dead peer */
	uint64_t calls_started;	     /* handlers entered */
	uint64_t calls_refused;	     /* answered without a handler */
	uint64_t deadlines_exceeded;
	uint64_t answers_dropped; /* the client was gone */
	uint64_t buffered_bytes;
	uint32_t connections;
	uint32_t calls;
};
void rpc_server_stats(const struct rpc_server *server, struct rpc_server_stats *ret_stats);

#endif

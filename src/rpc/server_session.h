/* SPDX-License-Identifier: Apache-2.0 */
/* server_session.h - one HTTP/2 connection as gRPC sees it; private to rpc/.
 *
 * Without sockets and timers: bytes are fed into @http and drawn from it by whoever owns the
 * session, who also tells the time. So a fuzzer can drive it.
 */
#ifndef RPC_SERVER_SESSION_H
#define RPC_SERVER_SESSION_H

#include "base/limits.h"
#include "base/list.h"
#include "rpc/rpc_codec.h"
#include "rpc/rpc_server.h"

#define RPC_METADATA_NAME_BYTES_MAX 64
#define RPC_HEADER_BYTES_MAX	    (16 * 1024) /* headers of one request */
#define RPC_RESETS_MAX		    1000	/* streams a client may cancel in RPC_RESETS_NS */
#define RPC_RESETS_NS		    10000000000ull
#define RPC_LINGER_NS		    60000000000ull /* for fetching an answer */

#define STREAM_DEADLINE_UNSET 0

/* What all sessions of a server share. */
struct server_core {
	struct rpc_server *server;
	struct rpc_server_options options;
	struct {
		const struct rpc_service *service;
		void *user;
	} services[RPC_SERVICES_MAX];
	uint32_t service_count;
	struct rpc_budget budget;
	struct op *idle_waiter;	       /* gets one op_done() when the last call has ended */
	struct op *gone_waiter;	       /* gets one op_done() when the last connection is gone */
	struct op *acceptor;	       /* woken when a connection is gone; NULL: accepts no more */
	struct rpc_server_stats stats; /* .calls counts the unfinished ones */
};

struct server_session {
	struct server_core *core;
	nghttp2_session *http;
	struct op *output;	  /* woken when an answer came outside of receiving */
	struct list_node streams; /* of server_stream.link */
	struct list_node ready;	  /* of server_stream.ready_link: whole requests, in order */
	uint32_t stream_count;
	uint32_t resets;
	uint64_t resets_since_ns;
	uint64_t now_ns;      /* set before bytes are fed and deadlines looked at */
	bool is_client_heard; /* its SETTINGS came: it does speak HTTP/2 */
	/* An answer is lost, and there is no memory to say even that: the connection must end. */
	bool is_broken;
};

enum server_stream_state {
	STREAM_HEADERS, /* the request's headers come in */
	STREAM_BODY,	/* its message comes in */
	STREAM_READY,	/* whole, waits for its handler */
	STREAM_HANDLED, /* with the handler */
	STREAM_ENDED,	/* the answer is complete and goes out */
};

struct server_metadata {
	char name[RPC_METADATA_NAME_BYTES_MAX];
	char value[RPC_METADATA_BYTES_MAX];
};

struct server_stream {
	struct server_session *session;
	struct list_node link;
	struct list_node ready_link;
	int32_t id;
	enum server_stream_state state;
	struct server_call *call; /* STREAM_HANDLED only */
	uint64_t deadline_ns;

	/* the request */
	char path[RPC_METHOD_BYTES_MAX];
	uint32_t header_bytes;
	bool is_post;
	bool is_grpc;
	bool is_path_cut;
	bool is_timeout_bad;
	bool has_encoding;   /* grpc-encoding other than identity */
	uint64_t timeout_ns; /* 0: none was sent */
	const struct rpc_method *method;
	const ProtobufCMethodDescriptor *types;
	void *user;
	struct rpc_assembler assembler;

	/* the answer */
	struct rpc_bytes out;
	bool is_answering; /* response headers were submitted */
	bool is_deferred;  /* nghttp2 waits for nghttp2_session_resume_data() */
	enum rpc_status status;
	char text[ERROR_TEXT_BYTES];
	struct server_metadata metadata[RPC_CALL_METADATA_MAX];
	uint32_t metadata_count;
};

struct server_call {
	struct rpc_call call;
	struct server_core *core;
	struct server_stream *stream; /* NULL: abandoned */
	struct op *send_parent;
	char method[RPC_METHOD_BYTES_MAX];
};

void server_core_init(struct server_core *core, struct rpc_server *server,
		      const struct rpc_server_options *options);

/** Return: 0 or -ENOMEM. */
int server_session_open(struct server_session *session, struct server_core *core, struct op *output)
	__attribute__((warn_unused_result));
/** Abandons its calls and frees its streams. */
void server_session_close(struct server_session *session);
/** Enters the handlers of whole requests. Never call from inside nghttp2. */
void server_session_dispatch(struct server_session *session);
/** Answers what is past its deadline at session->now_ns. */
void server_session_expire(struct server_session *session);
/** The earliest deadline, UINT64_MAX when there is none. */
uint64_t server_session_deadline(const struct server_session *session);

/** Ends the stream's answer, with or without messages before it. */
void server_stream_end(struct server_stream *stream, enum rpc_status status, const char *text);
/** Sends response headers and what is in @stream->out, as far as there is anything. */
void server_stream_answer(struct server_stream *stream);
/** Ends with a bare HTTP status. */
void server_stream_refuse(struct server_stream *stream, const char *http_status);
/** Something that was waiting to leave has left, or never will. */
void server_call_sent(struct server_call *call);
/** The client will not see an answer any more. */
void server_call_abandon(struct server_call *call);
/** STREAM_READY to STREAM_HANDLED: unpacks the request and enters the handler. */
void server_call_start(struct server_stream *stream);

#endif

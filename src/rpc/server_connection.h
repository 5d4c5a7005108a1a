/* SPDX-License-Identifier: Apache-2.0 */
/* server_connection.h - a client's socket with its session; private to rpc/. */
#ifndef RPC_SERVER_CONNECTION_H
#define RPC_SERVER_CONNECTION_H

#include "rpc/server_session.h"
#include "rpc/transport.h"

enum connection_step { CONNECTION_SERVE, CONNECTION_CLOSE, CONNECTION_FREE };

struct server_connection {
	struct op op;
	enum connection_step step;
	struct list_node link; /* in the server's connections */
	struct server_session session;
	struct transport transport;
	struct reactor *reactor;
	struct reactor_timer timer;
	uint64_t active_ns; /* when the last bytes came */
	uint64_t seen_bytes;
	uint64_t idle_ns; /* since when no stream is open */
	uint64_t end_ns;  /* leave by then; UINT64_MAX: stay */
	bool is_pinged;
	bool is_draining;
};

/**
 * server_connection_open - serve @socket and join @list
 * Return: 0, or -ENOMEM, then the socket is still the caller's.
 */
int server_connection_open(struct server_core *core, struct reactor *reactor,
			   struct os_socket *socket, struct list_node *list)
	__attribute__((warn_unused_result));

/** Takes no more calls, and leaves when those it has are answered or at @end_ns. */
void server_connection_drain(struct server_connection *connection, uint64_t end_ns);

#endif

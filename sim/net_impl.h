/* SPDX-License-Identifier: Apache-2.0 */
/* net_impl.h - connections of the simulated network, between net.c and os_socket.c.
 *
 * A connection belongs to the world and outlives the processes at its ends; a socket belongs to a
 * process and points to its end. Bytes wait in two places: in flight (at the sending end) and
 * received (at the receiving end); together they are bounded by the connection's window.
 */
#ifndef SIM_NET_IMPL_H
#define SIM_NET_IMPL_H

#include "sim/sim_impl.h"

#define NET_SEGMENT_BYTES_MAX 16384
#define NET_BACKLOG_MAX	      128

struct segment {
	struct list_node link;
	uint64_t deliver_ns;
	uint32_t size;
	uint32_t consumed;
	bool is_fin;
	bool is_reset; /* nothing but: the connection ends where it arrives */
	uint8_t bytes[];
};

struct connection;

struct end {
	struct connection *connection;
	uint32_t index;
	struct sim_process *process; /* the machine */
	struct os_address address;
	bool is_open;		      /* somebody holds it: a socket, a backlog, a connect */
	struct os_socket *socket;     /* NULL in a backlog and while connecting */
	struct os_listener *listener; /* in whose backlog it waits */
	struct list_node backlog_link;
	/* receiving */
	struct list_node received;
	uint32_t received_bytes;
	bool is_fin_received;
	bool is_black_hole; /* what is sent to it vanishes, and nobody is told */
	int error;	    /* 0 or -errno: nothing more comes or goes */
	/* sending */
	struct list_node in_flight;
	uint32_t in_flight_bytes;
	uint64_t last_deliver_ns;
	uint64_t blocked_since_ns; /* 0: not blocked */
	uint64_t pause_ns;	   /* before the next try */
	struct sim_event delivery;
	struct sim_event window; /* room to send has reached this end */
	struct sim_event reset;	 /* a reset is on its way to this end */
};

struct connection {
	struct list_node link; /* of the world */
	struct sim *sim;
	uint64_t id;
	uint32_t window_bytes;
	uint32_t plane;
	bool is_cutting;
	uint32_t cut_left_bytes; /* that may still arrive when it is */
	struct end ends[2];	 /* 0 has connected */
};

struct os_socket {
	struct list_node link; /* of the process */
	struct sim_process *process;
	struct os_ring *ring; /* NULL while detached */
	struct end *end;
	struct op *reader;
	bool is_started;
	bool is_ending; /* close or detach is under way */
	bool is_closed;
	struct os_send *send;
	uint32_t send_index; /* iovec to go on with */
	struct op *end_parent;
	struct sim_completion readable;
	struct sim_completion sent;
	struct sim_completion ended;
};

struct os_listener {
	struct list_node link; /* of the process */
	struct sim_process *process;
	struct os_ring *ring;
	struct os_address address;
	struct op *acceptor;
	struct list_node backlog;
	uint32_t backlog_count;
	struct op *end_parent;
	struct sim_completion acceptable;
	struct sim_completion ended;
};

static inline struct end *end_peer(struct end *end)
{
	return &end->connection->ends[1 - end->index];
}

/* net.c */
uint64_t net_latency_ns(struct sim_process *from, struct sim_process *to, uint32_t plane);
bool net_is_blocked(struct sim_process *from, struct sim_process *to, uint32_t plane);
struct connection *net_connection_create(struct sim_process *client, struct sim_process *server,
					 uint32_t plane);
/** Gives an end up. Hard, or with bytes unread: the peer gets a reset; else an orderly end. */
void net_end_close(struct end *end, bool is_hard);
/** Sends as much of the socket's os_send as the window permits. */
void net_end_pump(struct end *end);
/** The owner has consumed bytes: room for the peer. */
void net_end_consumed(struct end *end);

/* os_socket.c */
struct os_socket *socket_make(struct os_ring *ring, struct end *end);
void socket_notify(struct os_socket *socket);
/** Takes up to @size_bytes of the send under way into @bytes. Return: how many. */
uint32_t socket_send_take(struct os_socket *socket, uint8_t *bytes, uint32_t size_bytes);
void socket_send_finish(struct os_socket *socket, int result);
void listener_offer(struct os_listener *listener, struct end *end);
struct os_listener *listener_find(struct sim_process *process, uint16_t port);

/* os_connect.c */
void connects_abandon(struct sim_process *process);

#endif

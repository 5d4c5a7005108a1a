/* SPDX-License-Identifier: Apache-2.0 */
/* os_connect.c - os_connect of os/os_socket.h: a request travels, an answer travels back.
 *
 * A request that finds the way blocked, the machine without power, or the backlog full is repeated
 * with growing pauses; a machine without a listener refuses; an address of nobody is unreachable.
 */
#include "sim/net_impl.h"
#include "sim/nth_faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_NS_FIRST SIM_S
#define UNREACHABLE_NS (3 * SIM_S)

enum connect_state {
	CONNECT_REQUEST, /* on its way there */
	CONNECT_ANSWER,	 /* on its way back */
	CONNECT_DONE,	 /* waits for its owner's turn */
};

struct connecting { /* of the world; listed at the process */
	struct list_node link;
	struct os_connect *connect;
	struct os_ring *ring;
	struct sim_process *server; /* NULL: nobody has the address */
	uint32_t plane;
	enum connect_state state;
	uint64_t begun_ns;
	uint64_t pause_ns;
	int answer;
	struct end *end; /* the own end, once there is a connection */
	struct sim_event event;
	struct sim_completion completion;
};

static struct sim_process *process_find(struct sim_process *client,
					const struct os_address *address)
{
	struct sim *sim = client->sim;
	char host[OS_ADDRESS_TEXT_BYTES];

	os_address_host(address, host);
	if (strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0)
		return client;
	for (uint32_t i = 0; i < sim->process_count; i++) {
		if (strcmp(sim->processes[i]->ip, host) == 0)
			return sim->processes[i];
	}
	return NULL;
}

static void connecting_complete(struct sim_completion *completion)
{
	struct connecting *connecting = container_of(completion, struct connecting, completion);
	struct os_connect *connect = connecting->connect;

	list_remove(&connecting->link);
	if (connect->result == 0)
		connect->socket = socket_make(connecting->ring, connecting->end);
	else if (connecting->end != NULL)
		net_end_close(connecting->end, true);
	free(connecting);
	op_done(connect->parent);
}

static void connecting_finish(struct connecting *connecting, int result)
{
	struct sim *sim = connecting->ring->process->sim;

	sim_trace(sim, "connect done", connecting->ring->process->index, 0,
		  (uint64_t)(int64_t)result);
	sim_event_cancel(sim, &connecting->event);
	connecting->state = CONNECT_DONE;
	connecting->connect->result = result;
	sim_completion_push(connecting->ring, &connecting->completion);
}

static void connecting_retry(struct connecting *connecting)
{
	struct sim *sim = connecting->ring->process->sim;

	if (sim->now_ns - connecting->begun_ns > NET_CONNECT_GIVE_UP_NS) {
		connecting_finish(connecting, -ETIMEDOUT);
		return;
	}
	sim_event_schedule(sim, &connecting->event, connecting->pause_ns);
	connecting->pause_ns *= 2;
}

static void connecting_answer(struct connecting *connecting, int answer)
{
	struct sim_process *client = connecting->ring->process;

	connecting->state = CONNECT_ANSWER;
	connecting->answer = answer;
	sim_event_schedule(client->sim, &connecting->event,
			   net_latency_ns(connecting->server, client, connecting->plane));
}

static void connection_begin(struct connecting *connecting, struct os_listener *listener)
{
	struct sim_process *client = connecting->ring->process;
	struct sim_process *server = connecting->server;
	struct connection *connection = net_connection_create(client, server, connecting->plane);
	int rc = os_address_parse(client->ip, client->port_next++, &connection->ends[0].address);

	ASSERT(rc == 0);
	rc = os_address_parse(server->ip, os_address_port(&listener->address),
			      &connection->ends[1].address);
	ASSERT(rc == 0);
	connecting->end = &connection->ends[0];
	listener_offer(listener, &connection->ends[1]);
	connecting_answer(connecting, 0);
}

static void request_arrive(struct connecting *connecting)
{
	struct sim_process *server = connecting->server;
	struct os_listener *listener;

	if (server == NULL) {
		connecting_finish(connecting, -EHOSTUNREACH);
		return;
	}
	if (net_is_blocked(connecting->ring->process, server, connecting->plane)) {
		connecting_retry(connecting);
		return;
	}
	listener = listener_find(server, os_address_port(&connecting->connect->address));
	if (listener == NULL || server->is_refusing)
		connecting_answer(connecting, -ECONNREFUSED);
	else if (listener->backlog_count >= NET_BACKLOG_MAX)
		connecting_retry(connecting);
	else
		connection_begin(connecting, listener);
}

static void connecting_fire(struct sim_event *event)
{
	struct connecting *connecting = container_of(event, struct connecting, event);

	if (connecting->state == CONNECT_REQUEST)
		request_arrive(connecting);
	else if (net_is_blocked(connecting->server, connecting->ring->process, connecting->plane))
		connecting_retry(connecting);
	else
		connecting_finish(connecting, connecting->answer);
}

void os_connect_submit(struct os_ring *ring, struct os_connect *connect)
{
	struct connecting *connecting = sim_allocate(sizeof(*connecting));
	struct sim_process *client = ring->process;
	uint64_t delay_ns = UNREACHABLE_NS;

	ASSERT(sim_current() == client);
	connect->socket = NULL;
	connect->private_words[0] = (uintptr_t)connecting;
	connecting->connect = connect;
	connecting->ring = ring;
	connecting->server = process_find(client, &connect->address);
	connecting->plane = SIM_PLANE_OF_PORT(os_address_port(&connect->address));
	connecting->begun_ns = client->sim->now_ns;
	connecting->pause_ns = PAUSE_NS_FIRST;
	connecting->event.fire = connecting_fire;
	sim_completion_init(&connecting->completion, connecting_complete);
	list_init(&connecting->link);
	list_push_back(&client->connects, &connecting->link);
	if (connecting->server != NULL)
		delay_ns = net_latency_ns(client, connecting->server, connecting->plane);
	if (client->is_out_of_sockets || nth_fails(client, NTH_CONNECT))
		connecting_finish(connecting, -EMFILE);
	else
		sim_event_schedule(client->sim, &connecting->event, delay_ns);
}

void os_connect_cancel(struct os_ring *ring, struct os_connect *connect)
{
	struct connecting *connecting = (struct connecting *)(uintptr_t)connect->private_words[0];

	ASSERT(sim_current() == ring->process);
	if (connecting->state != CONNECT_DONE)
		connecting_finish(connecting, -ECANCELED);
}

/* The ends of their connections leave with the crash itself. */
void connects_abandon(struct sim_process *process)
{
	list_for_each (node, &process->connects) {
		struct connecting *connecting = list_entry(node, struct connecting, link);

		sim_event_cancel(process->sim, &connecting->event);
		list_remove(&connecting->link);
		free(connecting);
	}
}

int os_address_resolve(struct os *os, const char *host, uint16_t port,
		       struct os_address *ret_address)
{
	struct sim *sim = os->process->sim;

	if (os_address_parse(host, port, ret_address) == 0)
		return 0;
	if (nth_fails(os->process, NTH_RESOLVE))
		return -EHOSTUNREACH;
	if (strcmp(host, "localhost") == 0)
		return os_address_parse("127.0.0.1", port, ret_address);
	for (uint32_t i = 0; i < sim->process_count; i++) {
		if (strcmp(sim->processes[i]->name, host) == 0)
			return os_address_parse(sim->processes[i]->ip, port, ret_address);
	}
	return -EHOSTUNREACH;
}

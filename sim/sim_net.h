/* SPDX-License-Identifier: Apache-2.0 */
/* sim_net.h - the network between simulated machines: what a test can do to it.
 *
 * Connections are ordered byte streams. A blocked direction holds bytes and retries with growing
 * pauses, as TCP does; a sender gives up after NET_GIVE_UP_NS. A machine that lost its power says
 * nothing; once it is back it answers bytes of connections it does not know with a reset. Of a
 * connection that is closed hard, bytes that are on their way may still arrive, then the reset.
 */
#ifndef SIM_SIM_NET_H
#define SIM_SIM_NET_H

#include "sim/sim.h"

#define NET_GIVE_UP_NS	       (90 * SIM_S)
#define NET_CONNECT_GIVE_UP_NS (30 * SIM_S)

/* Networks beside each other; a connection runs in the one that its server port names. */
#define SIM_PLANES	     2
#define SIM_PLANE_OF_PORT(p) ((uint32_t)(p) % SIM_PLANES)

struct sim_link {
	uint64_t latency_ns_min;
	uint64_t latency_ns_max;
	uint64_t ns_per_kib; /* bandwidth */
	/* added by faults, each of which takes back what it added */
	uint64_t extra_ns; /* of latency: between half of it and all */
	uint64_t extra_ns_per_kib;
	uint32_t corrupt_chance; /* per 1000000 segments: one byte is changed */
	uint32_t block_count;	 /* how many faults block it now */
};

/** The direction @from -> @to of a plane. */
struct sim_link *sim_net_link(struct sim_process *from, struct sim_process *to, uint32_t plane);
/** One direction of a plane; every block must be undone once. */
void sim_net_block_one_way(struct sim_process *from, struct sim_process *to, uint32_t plane,
			   bool is_blocked);
/** Both directions of all planes. */
void sim_net_block(struct sim_process *one, struct sim_process *other, bool is_blocked);
/** Unblocks everything and ends extra delay and corruption. */
void sim_net_heal(struct sim *sim);
/*
 * Of the connections between the two machines the one with number @pick, counted in the order of
 * their beginning and modulo their number. Return: false if there is none.
 */

/** A reset in mid-stream for both ends. */
bool sim_net_reset_one(struct sim_process *one, struct sim_process *other, uint64_t pick);
/** As soon as @byte_count bytes more have arrived at either end, nothing follows but a reset. */
bool sim_net_cut_one(struct sim_process *one, struct sim_process *other, uint64_t pick,
		     uint32_t byte_count);
/**
 * sim_net_half_open_one - the end at @one fails, and the end at @other is not told
 * @is_silent: it will never hear anything: its bytes vanish until it gives up; else it gets a
 * reset when it sends.
 */
bool sim_net_half_open_one(struct sim_process *one, struct sim_process *other, uint64_t pick,
			   bool is_silent);
/** Cuts that have not come and ends that are silent: no more between the two. */
void sim_net_mend_between(struct sim_process *one, struct sim_process *other);
/** Resets all connections between the two. Return: how many. */
uint32_t sim_net_reset_between(struct sim_process *one, struct sim_process *other);
uint32_t sim_net_connection_count(const struct sim *sim);
/** Of these, those whose one end is gone and the other is not: who has connected, or the other. */
uint32_t sim_net_orphan_count(const struct sim *sim, bool is_client_gone);
/** How many were ever made. */
uint64_t sim_net_connections_made(const struct sim *sim);
/** Connections to port @port of @process are refused. */
void sim_net_refuse(struct sim_process *process, bool is_refusing);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* sim_net.h - the network between simulated machines: what a test can do to it.
 *
 * Connections are ordered byte streams. A blocked direction holds bytes and retries with growing
 * pauses, as TCP does; a sender gives up after NET_GIVE_UP_NS. A machine that lost its power says
 * nothing; once it is back it answers bytes of connections it does not know with a reset.
 */
#ifndef SIM_SIM_NET_H
#define SIM_SIM_NET_H

#include "sim/sim.h"

#define NET_GIVE_UP_NS	       (90 * SIM_S)
#define NET_CONNECT_GIVE_UP_NS (30 * SIM_S)

struct sim_link {
	uint64_t latency_ns_min;
	uint64_t latency_ns_max;
	uint64_t ns_per_kib;	 /* bandwidth */
	uint32_t corrupt_chance; /* per 1000000 segments: one byte is changed */
	bool is_blocked;
};

/** The direction @from -> @to. */
struct sim_link *sim_net_link(struct sim_process *from, struct sim_process *to);
/** Both directions. */
void sim_net_block(struct sim_process *one, struct sim_process *other, bool is_blocked);
/** Unblocks everything and ends extra delay and corruption. */
void sim_net_heal(struct sim *sim);
/** Resets one random established connection, in mid-stream. Return: false if there is none. */
bool sim_net_reset_one(struct sim *sim);
/** Resets all connections between the two. Return: how many. */
uint32_t sim_net_reset_between(struct sim_process *one, struct sim_process *other);
uint32_t sim_net_connection_count(const struct sim *sim);
/** Connections to port @port of @process are refused. */
void sim_net_refuse(struct sim_process *process, bool is_refusing);

#endif

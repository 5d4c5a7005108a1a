/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - the durable store of a simulated cluster: records of nexuses and their epochs.
 *
 * It stands for the cluster store: it belongs to no process, survives everything, takes time,
 * can be away, and can lose an answer after it has stored. A request of a process that crashed
 * may still take effect.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "nexus/nexus_recorder.h"
#include "sim/sim.h"

struct store;
struct os_ring;

/** One volume is kept; that is what campaigns need. */
struct store *store_create(struct sim *sim);
void store_destroy(struct store *store);

/** While away, requests answer NEXUS_RECORD_FAILED after a pause. */
void store_set_away(struct store *store, bool is_away);
/** Per 10000: stored, but the answer says that it failed. */
void store_set_lost_answers(struct store *store, uint32_t chance);
/** Every answer takes so much longer; 0: as usual. */
void store_set_slow(struct store *store, uint64_t extra_ns);
/** Is no request under way that may still take effect? */
bool store_is_idle(const struct store *store);

/** A new epoch, higher than all before; records of older ones are refused from now on. */
uint64_t store_take_epoch(struct store *store);
/** The durable record, NULL when there is none. */
const struct nexus_record *store_record(const struct store *store);

/** @stored(@argument) between turns, after every record that is durable from then on. */
void store_watch(struct store *store, void (*stored)(void *argument), void *argument);

/* A process' way to the store; memory of the process. */
struct store_client {
	struct nexus_recorder recorder;
	struct store *store;
	struct sim_process *process;
	struct os_ring *ring;
};
void store_client_init(struct store_client *client, struct store *store,
		       struct sim_process *process, struct os_ring *ring);

#endif

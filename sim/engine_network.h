/* SPDX-License-Identifier: Apache-2.0 */
/* engine_network.h - the NVMe/TCP side of a simulated engine: target and initiator.
 *
 * Every submit ends in one op_done() on @parent; engine_network_judge() then tells whether the
 * last one worked, and logs why not.
 */
#ifndef SIM_ENGINE_NETWORK_H
#define SIM_ENGINE_NETWORK_H

#include "sim/cluster.h"

struct initiator_options;
struct engine_network;

/** Registers the initiator where it is needed. Context: the engine's process. */
struct engine_network *engine_network_create(struct engine *engine, struct reactor *const *reactors,
					     uint32_t reactor_count, struct bdev_registry *registry,
					     struct log *log);
/** Everything was given back before. NULL is allowed. */
void engine_network_destroy(struct engine_network *network);

void engine_network_target_submit(struct engine_network *network, struct op *parent);
/** Opens the own disk and exports it. */
void engine_network_replica_submit(struct engine_network *network, struct op *parent);
/** Exports the nexus. */
void engine_network_volume_submit(struct engine_network *network, struct bdev *nexus,
				  struct op *parent);
bool engine_network_judge(struct engine_network *network);

/* The way back. Fine when there is nothing to undo: answered at once. */
void engine_network_unshare_submit(struct engine_network *network, struct op *parent);
void engine_network_unexport_submit(struct engine_network *network, struct op *parent);
/** The own disk. */
void engine_network_close_submit(struct engine_network *network, struct op *parent);
void engine_network_target_end_submit(struct engine_network *network, struct op *parent);

/** How the nexus names the replica that @holder exports. */
void engine_network_child_uri(const struct engine *holder, const char *uuid_text,
			      char ret_uri[URI_TEXT_BYTES_SHOWN]);
/** How hosts name the volume that the engine of @server exports. */
void engine_network_volume_uri(const struct sim_process *server, uint16_t port,
			       char ret_uri[URI_TEXT_BYTES_SHOWN]);
/** What initiators of the nexus and of hosts have in common. */
void engine_network_initiator_options(const struct cluster_options *options,
				      const struct sim_process *process, struct log *log,
				      struct initiator_options *ret_options);

#endif

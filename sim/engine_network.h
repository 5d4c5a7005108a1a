/* SPDX-License-Identifier: Apache-2.0 */
/* engine_network.h - the NVMe/TCP side of a simulated engine or host: target and initiator.
 *
 * Every submit ends in one op_done() on @parent; engine_network_judge() then tells whether the
 * last one worked, and logs why not.
 */
#ifndef SIM_ENGINE_NETWORK_H
#define SIM_ENGINE_NETWORK_H

#include "sim/engine.h"

struct engine_network;

/** Registers the initiator where it is needed. Context: the engine's process. */
struct engine_network *engine_network_create(struct engine *engine, struct reactor *const *reactors,
					     uint32_t reactor_count, struct bdev_registry *registry,
					     struct log *log);

void engine_network_target_submit(struct engine_network *network, struct op *parent);
/** Opens the own disk and exports it. */
void engine_network_replica_submit(struct engine_network *network, struct op *parent);
/** Exports the nexus. */
void engine_network_volume_submit(struct engine_network *network, struct bdev *nexus,
				  struct op *parent);
/** Connects the host to the volume. */
void engine_network_host_submit(struct engine_network *network, struct op *parent);
bool engine_network_judge(struct engine_network *network);

/** The host's bdev. */
struct bdev *engine_network_volume(struct engine_network *network);
/** How the nexus names the replica that @holder exports. */
void engine_network_child_uri(const struct engine *holder, const char *uuid_text,
			      char ret_uri[URI_TEXT_BYTES_SHOWN]);

#endif

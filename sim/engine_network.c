/* SPDX-License-Identifier: Apache-2.0 */
/* engine_network.c - what an engine exports and what it connects to. */
#include "sim/engine_network.h"

#include "base/memory.h"
#include "initiator/initiator.h"
#include "sim/reservation_keeper.h"
#include "sim/sim_impl.h"
#include "target/target.h"

#include <string.h>

#define VOLUME_NQN TARGET_NQN_PREFIX ":volume"

enum network_step {
	NETWORK_TARGET,
	NETWORK_OPEN, /* the own disk */
	NETWORK_EXPORT,
};

struct engine_network {
	struct engine *engine;
	struct reactor *const *reactors;
	uint32_t reactor_count;
	struct bdev_registry *registry;
	struct log *log;
	enum network_step step;
	struct target_options target_options;
	struct target_create target_create;
	struct target *target;
	struct target_subsystem_create export;
	struct target_subsystem *exported; /* of the replica, or of the volume */
	struct target_subsystem_change change;
	struct bdev_create open;
	struct bdev_destroy close;
	struct bdev *replica;
	struct reservation_keeper_client keeper;
	/* opening and exporting are two submissions for one question */
	struct op op;
	struct op *asker;
};

static const char *failure(const struct engine_network *network)
{
	switch (network->step) {
	case NETWORK_TARGET:
		return network->target_create.result < 0 ? network->target_create.error : NULL;
	case NETWORK_OPEN:
		return network->open.result < 0 ? network->open.error : NULL;
	case NETWORK_EXPORT:
		return network->export.result < 0 ? network->export.error : NULL;
	}
	ASSERT(!"a step of the list");
}

bool engine_network_judge(struct engine_network *network)
{
	const char *error = failure(network);

	if (error != NULL) {
		log_warn(network->log, "boot: %s", error);
		return false;
	}
	if (network->step == NETWORK_TARGET)
		network->target = network->target_create.target;
	if (network->step == NETWORK_EXPORT)
		network->exported = network->export.subsystem;
	return true;
}

void engine_network_target_submit(struct engine_network *network, struct op *parent)
{
	struct target_options *options = &network->target_options;
	int rc;

	target_options_default(options);
	options->listen_count = HOST_PATHS;
	/* Shorter than hosts are silent, and less than they ask for, so that both happen. */
	options->stall_timeout_ms = 4000;
	options->controller_buffers_max = 4;
	for (uint32_t i = 0; i < HOST_PATHS; i++) {
		rc = os_address_parse(sim_process_ip(network->engine->process), HOST_PATH_PORT(i),
				      &options->listen[i]);
		ASSERT(rc == 0);
	}
	network->step = NETWORK_TARGET;
	network->target_create = (struct target_create){
		.parent = parent,
		.main = network->reactors[0],
		.reactors = network->reactors,
		.reactor_count = network->reactor_count,
		.options = options,
		.log = network->log,
	};
	target_create_submit(&network->target_create);
}

static void export_submit(struct engine_network *network, struct bdev *bdev, const char *nqn,
			  struct target_reservation_store *reservations, struct op *parent)
{
	struct target_subsystem_create *create = &network->export;

	network->step = NETWORK_EXPORT;
	*create = (struct target_subsystem_create){
		.parent = parent,
		.target = network->target,
		.bdev = bdev,
		.home = network->reactors[network->reactor_count - 1],
		.uuid = bdev->uuid,
		.reservation_store = reservations,
	};
	if (bdev->home != NULL)
		create->home = NULL;
	snprintf(create->nqn, sizeof(create->nqn), "%s", nqn);
	target_serial_from_uuid(&bdev->uuid, create->serial);
	target_subsystem_create_submit(create);
}

static void replica_nqn(const struct engine *engine, char ret_nqn[NQN_BYTES_MAX])
{
	snprintf(ret_nqn, NQN_BYTES_MAX, TARGET_NQN_PREFIX ":replica-%u", engine->index);
}

static void replica_run(struct op *op)
{
	struct engine_network *network = container_of(op, struct engine_network, op);
	char nqn[NQN_BYTES_MAX];

	if (network->step == NETWORK_OPEN && network->open.result == 0) {
		network->replica = network->open.bdev;
		replica_nqn(network->engine, nqn);
		op_wait(op);
		export_submit(network, network->replica, nqn, NULL, op);
		if (op_join(op) == OP_WAIT)
			return;
	}
	op_done(network->asker);
}

void engine_network_replica_submit(struct engine_network *network, struct op *parent)
{
	const struct engine *engine = network->engine;

	network->asker = parent;
	op_init(&network->op, reactor_ready(network->reactors[0]), replica_run);
	network->step = NETWORK_OPEN;
	if (network->replica != NULL) { /* the last try ended after that */
		op_wake(&network->op);
		return;
	}
	network->open = (struct bdev_create){.parent = &network->op, .registry = network->registry};
	snprintf(network->open.uri_text, sizeof(network->open.uri_text),
		 "aio:///dev/disk%u?blk_size=%u&uuid=c1000000-0000-4000-8000-%012x", engine->index,
		 engine->cluster->options.block_bytes, engine->index);
	op_wait(&network->op);
	bdev_create_submit(&network->open);
	if (op_join(&network->op) == OP_NEXT)
		op_wake(&network->op);
}

void engine_network_volume_submit(struct engine_network *network, struct bdev *nexus,
				  struct op *parent)
{
	struct cluster *cluster = network->engine->cluster;
	struct reactor *home =
		nexus->home != NULL ? nexus->home : network->reactors[network->reactor_count - 1];

	if (cluster->reservation_keeper == NULL) {
		export_submit(network, nexus, VOLUME_NQN, NULL, parent);
		return;
	}
	reservation_keeper_client_init(&network->keeper, cluster->reservation_keeper,
				       network->engine->process, reactor_ring(home));
	export_submit(network, nexus, VOLUME_NQN, &network->keeper.store, parent);
}

/* ---- the way back ---- */

static void unexport(struct engine_network *network, struct op *parent)
{
	if (network->exported == NULL) {
		op_done(parent);
		return;
	}
	network->change =
		(struct target_subsystem_change){.parent = parent, .subsystem = network->exported};
	network->exported = NULL;
	target_subsystem_destroy_submit(&network->change);
}

void engine_network_unshare_submit(struct engine_network *network, struct op *parent)
{
	if (network->engine->index == 0)
		unexport(network, parent);
	else
		op_done(parent);
}

void engine_network_unexport_submit(struct engine_network *network, struct op *parent)
{
	if (network->engine->index != 0)
		unexport(network, parent);
	else
		op_done(parent);
}

void engine_network_close_submit(struct engine_network *network, struct op *parent)
{
	if (network->replica == NULL) {
		op_done(parent);
		return;
	}
	network->close = (struct bdev_destroy){.parent = parent, .bdev = network->replica};
	network->replica = NULL;
	bdev_destroy_submit(network->registry, &network->close);
}

void engine_network_target_end_submit(struct engine_network *network, struct op *parent)
{
	struct target *target = network->target;

	network->target = NULL;
	if (target == NULL)
		op_done(parent);
	else
		target_destroy_submit(target, parent);
}

void engine_network_destroy(struct engine_network *network)
{
	memory_free(network);
}

/* ---- names and options ---- */

void engine_network_volume_uri(const struct sim_process *server, uint16_t port,
			       char ret_uri[URI_TEXT_BYTES_SHOWN])
{
	snprintf(ret_uri, URI_TEXT_BYTES_SHOWN, "nvmf://%s:%u/" VOLUME_NQN, sim_process_ip(server),
		 port);
}

void engine_network_child_uri(const struct engine *holder, const char *uuid_text,
			      char ret_uri[URI_TEXT_BYTES_SHOWN])
{
	char nqn[NQN_BYTES_MAX];

	replica_nqn(holder, nqn);
	snprintf(ret_uri, URI_TEXT_BYTES_SHOWN, "nvmf://%s:%u/%s?uuid=%s", holder->process->ip,
		 HOST_PATH_PORT(holder->index % HOST_PATHS), nqn, uuid_text);
}

void engine_network_initiator_options(const struct cluster_options *options,
				      const struct sim_process *process, struct log *log,
				      struct initiator_options *ret_options)
{
	initiator_options_default(ret_options);
	snprintf(ret_options->host_nqn, sizeof(ret_options->host_nqn),
		 "nqn.2014-08.org.nvmexpress:sim:%s", sim_process_name(process));
	ret_options->host_id[0] = 1;
	ret_options->host_id[15] = (uint8_t)sim_process_index(process);
	ret_options->has_header_digest = options->has_digests;
	ret_options->has_data_digest = options->has_digests;
	ret_options->log = log;
	ret_options->kato_ms = options->kato_ms;
	ret_options->io_timeout_ms = 5000;
	ret_options->admin_timeout_ms = 5000;
	ret_options->connect_timeout_ms = 3000;
	ret_options->reconnect_min_ms = 50;
	ret_options->reconnect_max_ms = 1000;
	ret_options->ctrl_loss_timeout_ms = 10000;
	ret_options->fail_fast_ms = 0;
}

struct engine_network *engine_network_create(struct engine *engine, struct reactor *const *reactors,
					     uint32_t reactor_count, struct bdev_registry *registry,
					     struct log *log)
{
	struct engine_network *network = memory_alloc(sizeof(*network));
	struct initiator_options options;
	int rc;

	ASSERT(network != NULL);
	network->engine = engine;
	network->reactors = reactors;
	network->reactor_count = reactor_count;
	network->registry = registry;
	network->log = log;
	if (engine->index != 0)
		return network;
	engine_network_initiator_options(&engine->cluster->options, engine->process, log, &options);
	rc = initiator_register(registry, &options);
	ASSERT(rc == 0);
	return network;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* engine_network.c - what an engine exports and what it connects to. */
#include "sim/engine_network.h"

#include "base/memory.h"
#include "initiator/initiator.h"
#include "sim/sim_impl.h"
#include "target/target.h"

#include <string.h>

#define VOLUME_NQN TARGET_NQN_PREFIX ":volume"

enum network_step {
	NETWORK_TARGET,
	NETWORK_OPEN, /* the own disk */
	NETWORK_EXPORT,
	NETWORK_HOST,
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
	struct bdev_create open;
	struct bdev *replica;
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
	case NETWORK_HOST:
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
	return true;
}

void engine_network_target_submit(struct engine_network *network, struct op *parent)
{
	struct target_options *options = &network->target_options;
	int rc;

	target_options_default(options);
	options->listen_count = 1;
	rc = os_address_parse(network->engine->process->ip, TARGET_DEFAULT_PORT,
			      &options->listen[0]);
	ASSERT(rc == 0);
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
			  struct op *parent)
{
	struct target_subsystem_create *create = &network->export;

	network->step = NETWORK_EXPORT;
	*create = (struct target_subsystem_create){
		.parent = parent,
		.target = network->target,
		.bdev = bdev,
		.home = network->reactors[network->reactor_count - 1],
		.uuid = bdev->uuid,
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
		export_submit(network, network->replica, nqn, op);
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
	export_submit(network, nexus, VOLUME_NQN, parent);
}

void engine_network_host_submit(struct engine_network *network, struct op *parent)
{
	const struct engine *server = &network->engine->cluster->engines[0];

	network->step = NETWORK_HOST;
	network->open = (struct bdev_create){.parent = parent, .registry = network->registry};
	snprintf(network->open.uri_text, sizeof(network->open.uri_text), "nvmf://%s:%u/" VOLUME_NQN,
		 server->process->ip, TARGET_DEFAULT_PORT);
	bdev_create_submit(&network->open);
}

struct bdev *engine_network_volume(struct engine_network *network)
{
	return network == NULL ? NULL : network->open.bdev;
}

void engine_network_child_uri(const struct engine *holder, const char *uuid_text,
			      char ret_uri[URI_TEXT_BYTES_SHOWN])
{
	char nqn[NQN_BYTES_MAX];

	replica_nqn(holder, nqn);
	snprintf(ret_uri, URI_TEXT_BYTES_SHOWN, "nvmf://%s:%u/%s?uuid=%s", holder->process->ip,
		 TARGET_DEFAULT_PORT, nqn, uuid_text);
}

static void initiator_options_draw(struct engine_network *network,
				   struct initiator_options *ret_options)
{
	const struct cluster_options *options = &network->engine->cluster->options;
	bool is_host = network->engine->index == ENGINES;

	initiator_options_default(ret_options);
	snprintf(ret_options->host_nqn, sizeof(ret_options->host_nqn),
		 "nqn.2014-08.org.nvmexpress:sim:%s", network->engine->process->name);
	ret_options->host_id[0] = 1;
	ret_options->host_id[15] = (uint8_t)network->engine->index;
	ret_options->has_header_digest = options->has_digests;
	ret_options->has_data_digest = options->has_digests;
	ret_options->log = network->log;
	ret_options->kato_ms = 2000;
	ret_options->io_timeout_ms = is_host ? 30000 : 5000;
	ret_options->admin_timeout_ms = 5000;
	ret_options->connect_timeout_ms = 3000;
	ret_options->reconnect_min_ms = 50;
	ret_options->reconnect_max_ms = 1000;
	ret_options->ctrl_loss_timeout_ms = is_host ? 3600 * 1000 : 10000;
	ret_options->fail_fast_ms = is_host ? 3600 * 1000 : 0;
	ret_options->is_retrying = is_host && options->is_host_retrying;
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
	if (engine->index != 0 && engine->index != ENGINES)
		return network;
	initiator_options_draw(network, &options);
	rc = initiator_register(registry, &options);
	ASSERT(rc == 0);
	return network;
}

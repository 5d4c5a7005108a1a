/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - wires the layers together and takes them apart, as a table of steps.
 *
 * Invariants:
 *  1. What a step started is stopped by the same row, in reverse order, also after a failed start.
 *  2. Management calls in work are awaited before anything that they use is stopped.
 *  3. A nexus is shut down cleanly (and recorded so) while its children's devices still work.
 */
#include "engine/engine_impl.h"

#include "base/memory.h"
#include "base/sha256.h"
#include "block/filter.h"
#include "initiator/initiator.h"
#include "os/os.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ADDRESS_TRIES	 30
#define ADDRESS_PAUSE_MS 100

__attribute__((format(printf, 3, 4))) static void step_fail(struct engine *engine, int result,
							    const char *format, ...)
{
	va_list arguments;

	ASSERT(result < 0);
	engine->result = result;
	va_start(arguments, format);
	vsnprintf(engine->error, sizeof(engine->error), format, arguments);
	va_end(arguments);
}

/* --- reactors ------------------------------------------------------------------------------ */

static void reactor_thread(void *argument)
{
	reactor_run(argument);
}

static void reactors_start(struct engine *engine)
{
	engine->reactors[0] = engine->main;
	engine->reactor_count = 1;
	for (uint32_t i = 1; i < engine->options->core_count; i++) {
		struct reactor_options options;
		int rc;

		reactor_options_default(&options);
		options.index = i;
		options.core = engine->options->cores[i];
		rc = reactor_create(reactor_os(engine->main), &options, &engine->reactors[i]);
		if (rc == 0) {
			engine->reactor_count = i + 1;
			rc = os_thread_start(reactor_os(engine->main), options.core, reactor_thread,
					     engine->reactors[i], &engine->threads[i]);
		}
		if (rc != 0) {
			step_fail(engine, rc, "the reactor of core %d cannot start: %s",
				  options.core, strerror(-rc));
			return;
		}
	}
}

static bool reactors_stop(struct engine *engine)
{
	for (uint32_t i = 1; i < engine->reactor_count; i++) {
		if (engine->threads[i] != NULL) {
			reactor_stop(engine->reactors[i]);
			os_thread_join(engine->threads[i]);
			engine->threads[i] = NULL;
		}
		reactor_destroy(engine->reactors[i]);
		engine->reactors[i] = NULL;
	}
	engine->reactor_count = 0;
	return true;
}

/* --- devices ------------------------------------------------------------------------------- */

static int host_id_choose(struct engine *engine, struct uuid *ret_id)
{
	const char *text = engine->options->host_id;
	const char *name = engine->options->node_name;
	uint8_t digest[SHA256_BYTES];

	if (text[0] != '\0')
		return uuid_parse(text, ret_id) ? 0 : -EINVAL;
	/* The same node is the same host after a restart, or reservations would lock it out. */
	sha256(name, strlen(name), digest);
	*ret_id = uuid_from_random(digest);
	return 0;
}

static int initiator_start(struct engine *engine)
{
	const struct engine_options *options = engine->options;
	struct initiator_options initiator;
	struct uuid host_id;
	int rc;

	initiator_options_default(&initiator);
	snprintf(initiator.host_nqn, sizeof(initiator.host_nqn), "%s", options->host_nqn);
	rc = host_id_choose(engine, &host_id);
	if (rc != 0)
		return rc;
	memcpy(initiator.host_id, host_id.bytes, sizeof(initiator.host_id));
	initiator.io_timeout_ms = options->initiator_io_timeout_ms;
	initiator.admin_timeout_ms = options->initiator_admin_timeout_ms;
	initiator.kato_ms = options->initiator_keep_alive_ms;
	initiator.connect_timeout_ms = options->initiator_connect_timeout_ms;
	/* A copy that stays away as long as its keep-alive allows has left its mirror. */
	initiator.ctrl_loss_timeout_ms = options->initiator_keep_alive_ms;
	initiator.log = engine->log;
	return initiator_register(engine->registry, &initiator);
}

static void devices_start(struct engine *engine)
{
	int rc = bdev_registry_create(engine->main, &engine->registry);

	if (rc == 0)
		rc = bdev_memory_register(engine->registry);
	if (rc == 0)
		rc = bdev_null_register(engine->registry);
	if (rc == 0)
		rc = bdev_uring_register(engine->registry);
	if (rc == 0)
		rc = bdev_loopback_register(engine->registry);
	if (rc == 0)
		rc = bdev_pcie_register(engine->registry);
	if (rc == 0)
		rc = bdev_filter_register(engine->registry);
	if (rc == 0)
		rc = initiator_start(engine);
	if (rc != 0)
		step_fail(engine, rc, "the device drivers cannot start: %s",
			  rc == -EINVAL ? "MAYASTOR_NVMF_HOSTID is no uuid" : strerror(-rc));
}

/* A device that others use (a filter's lower one) goes after its users. NULL: none is left. */
static struct bdev *device_next_unused(struct engine *engine)
{
	struct bdev *bdev = bdev_next(engine->registry, NULL);

	while (bdev != NULL && (bdev->claimed_by[0] != '\0' || bdev_channel_count(bdev) > 0))
		bdev = bdev_next(engine->registry, bdev);
	return bdev;
}

/* One device a turn. */
static bool devices_stop(struct engine *engine)
{
	struct bdev *bdev = NULL;

	if (engine->registry != NULL && engine->bdev_destroy.result == 0)
		bdev = device_next_unused(engine);
	if (bdev != NULL) {
		engine->bdev_destroy = (struct bdev_destroy){.parent = &engine->op, .bdev = bdev};
		op_wait(&engine->op);
		bdev_destroy_submit(engine->registry, &engine->bdev_destroy);
		return false;
	}
	if (engine->bdev_destroy.result != 0)
		log_error(engine->log, "stop: %s", engine->bdev_destroy.error);
	bdev_registry_destroy(engine->registry);
	engine->registry = NULL;
	return true;
}

/* --- mirrors ------------------------------------------------------------------------------- */

static void mirrors_start(struct engine *engine)
{
	struct nexus_set_options options = {.registry = engine->registry, .log = engine->log};
	char path[OPTIONS_PATH_BYTES + 16];
	int rc;

	snprintf(path, sizeof(path), "%s/records", engine->options->state_directory);
	rc = record_store_create(engine->main, path, engine->log, &engine->records);
	if (rc != 0) {
		step_fail(engine, rc,
			  "%s cannot be made: %s; choose another place by --state-dir or "
			  "MAYASTOR_STATE_DIR",
			  path, strerror(-rc));
		return;
	}
	options.recorder = record_store_recorder(engine->records);
	options.rebuild_bytes_per_second = (uint64_t)engine->options->rebuild_mib_per_second << 20;
	rc = nexus_set_create(&options, &engine->nexuses);
	if (rc != 0)
		step_fail(engine, rc, "the mirrors cannot start: %s", strerror(-rc));
}

/* One mirror a turn. */
static bool mirrors_stop(struct engine *engine)
{
	struct nexus *nexus = engine->nexuses != NULL ? nexus_next(engine->nexuses, NULL) : NULL;

	if (engine->nexus_request.result != NEXUS_DONE) {
		log_error(engine->log, "stop: %s", engine->nexus_request.error);
		return true;
	}
	if (nexus != NULL) {
		engine->nexus_request = (struct nexus_request){.parent = &engine->op};
		op_wait(&engine->op);
		nexus_destroy_submit(nexus, &engine->nexus_request);
		return false;
	}
	nexus_set_destroy(engine->nexuses);
	record_store_destroy(engine->records);
	engine->nexuses = NULL;
	engine->records = NULL;
	return true;
}

/* --- target -------------------------------------------------------------------------------- */

/* Hosts of any family reach the wildcard; a chosen address is listened on alone. */
static int listen_add(struct target_options *target, const char *host, uint16_t port)
{
	ASSERT(target->listen_count < TARGET_LISTENERS_MAX);
	return os_address_parse(host, port, &target->listen[target->listen_count++]);
}

static void target_options_fill(struct engine *engine, struct target_options *target)
{
	const struct engine_options *options = engine->options;
	int rc;

	target_options_default(target);
	rc = listen_add(target, options->target_ip, options->target_port);
	if (rc == 0 && options->target_second_port != 0)
		rc = listen_add(target, options->target_ip, options->target_second_port);
	if (rc != 0) {
		step_fail(
			engine, rc,
			"target address '%s' is no numeric address: write for example ip:192.0.2.1",
			options->target_ip);
		return;
	}
	snprintf(target->advertised_host, sizeof(target->advertised_host), "%s",
		 options->target_ip);
	target->queue_depth = options->target_queue_depth;
	target->io_queue_count_max = options->target_queue_pairs_max - 1;
	memcpy(target->crdt, options->target_crdt, sizeof(target->crdt));
	snprintf(target->firmware, sizeof(target->firmware), "%s", MAYASTOR_VERSION);
}

static void target_start(struct engine *engine)
{
	target_options_fill(engine, &engine->target_options);
	if (engine->result != 0)
		return;
	engine->target_create = (struct target_create){
		.parent = &engine->op,
		.main = engine->main,
		.reactors = engine->reactors,
		.reactor_count = engine->reactor_count,
		.options = &engine->target_options,
		.log = engine->log,
	};
	op_wait(&engine->op);
	target_create_submit(&engine->target_create);
}

static void target_started(struct engine *engine)
{
	if (engine->target_create.result != 0)
		step_fail(engine, engine->target_create.result, "%s", engine->target_create.error);
	else
		engine->target = engine->target_create.target;
}

/* Exports first, one a turn, then the target itself. */
static bool target_stop(struct engine *engine)
{
	struct target *target = engine->target;

	if (target == NULL)
		return true;
	engine->target = NULL;
	op_wait(&engine->op);
	target_destroy_submit(target, &engine->op);
	return false;
}

static bool exports_stop(struct engine *engine)
{
	struct list_node *node = list_first(&engine->exports);

	if (node == NULL)
		return true;
	engine->export_destroy = (struct export_destroy){
		.parent = &engine->op,
		.export = list_entry(node, struct export, link),
	};
	op_wait(&engine->op);
	export_destroy_submit(&engine->export_destroy);
	return false;
}

static void nothing_start(struct engine *engine)
{
	ASSERT(engine->result == 0);
}

/* --- management ---------------------------------------------------------------------------- */

static void management_start(struct engine *engine)
{
	const struct engine_options *options = engine->options;
	struct rpc_server_options rpc;
	struct os_address address;
	int rc = os_address_parse(options->grpc_ip, options->grpc_port, &address);

	if (rc != 0) {
		step_fail(engine, rc, "gRPC address '%s' is no numeric address", options->grpc_ip);
		return;
	}
	if (engine->rpc == NULL) { /* else only its address was in use */
		rpc_server_options_default(&rpc);
		rpc.log = engine->log;
		rc = rpc_server_create(engine->main, &rpc, &engine->rpc);
		if (rc != 0) {
			step_fail(engine, rc, "the gRPC server cannot start: %s", strerror(-rc));
			return;
		}
		rpc_bdev_register(engine);
		rpc_nexus_register(engine);
		rpc_host_register(engine);
		rpc_diagnostics_register(engine);
	}
	rc = rpc_server_listen(engine->rpc, &address, NULL);
	if (rc != 0)
		step_fail(engine, rc,
			  "gRPC port %u of %s cannot be opened: %s; another engine may have it, "
			  "choose one by --grpc-port",
			  options->grpc_port, options->grpc_ip, strerror(-rc));
}

static bool management_stop(struct engine *engine)
{
	struct rpc_server *rpc = engine->rpc;

	if (rpc == NULL) {
		ASSERT(engine->jobs == 0);
		return true;
	}
	engine->rpc = NULL;
	op_wait(&engine->op);
	rpc_server_close(rpc, &engine->op);
	return false;
}

/* --- the table ----------------------------------------------------------------------------- */

struct engine_step {
	const char *name;
	void (*start)(struct engine *engine);	/* may op_wait(&engine->op) */
	void (*started)(struct engine *engine); /* NULL, or looks at what came back */
	bool (*stop)(struct engine *engine);	/* true: done; else entered again after the wait */
};

static const struct engine_step steps[] = {
	{"reactors", reactors_start, NULL, reactors_stop},
	{"devices", devices_start, NULL, devices_stop},
	{"mirrors", mirrors_start, NULL, mirrors_stop},
	{"target", target_start, target_started, target_stop},
	{"exports", nothing_start, NULL, exports_stop},
	{"management", management_start, NULL, management_stop},
};
#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))

/*
 * The kernel closes what a killed process had in its rings a moment after the process is gone, so
 * an engine that is started anew at once may find its addresses in use.
 * Return: false when that was waited for long enough, or something else failed.
 */
static bool address_await(struct engine *engine)
{
	if (engine->result != -EADDRINUSE || engine->address_tries == ADDRESS_TRIES)
		return false;
	if (engine->address_tries++ == 0)
		log_info(engine->log, "%s: waiting up to %u s for the address to become free",
			 engine->error, ADDRESS_TRIES * ADDRESS_PAUSE_MS / 1000);
	engine->is_address_awaited = true;
	reactor_timer_start(&engine->address_timer, ADDRESS_PAUSE_MS * 1000000ull);
	return true;
}

static void address_timer_fired(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct engine, address_timer)->op);
}

/*
 * The pause is over, or the engine is to stop: then the step counts as begun and is undone, and
 * nothing has failed.
 */
static void address_awaited(struct engine *engine)
{
	ASSERT(engine->step < STEP_COUNT);
	reactor_timer_stop(&engine->address_timer);
	engine->is_address_awaited = false;
	engine->error[0] = '\0';
	if (engine->is_stopping)
		engine->step++;
}

/* Return: OP_WAIT when it will be entered again. */
static enum op_flow start_advance(struct engine *engine)
{
	const struct engine_step *step = &steps[engine->step];

	if (!engine->is_step_open) {
		engine->result = 0;
		engine->is_step_open = true;
		step->start(engine);
		if (op_join(&engine->op) == OP_WAIT)
			return OP_WAIT;
	}
	if (engine->result == 0 && step->started != NULL)
		step->started(engine);
	engine->is_step_open = false;
	if (address_await(engine))
		return OP_WAIT;
	engine->address_tries = 0;
	engine->step++;
	if (engine->result != 0) {
		log_error(engine->log, "start failed at %s: %s", step->name, engine->error);
		engine->is_stopping = true;
	}
	return OP_NEXT;
}

static enum op_flow stop_advance(struct engine *engine)
{
	if (!steps[engine->step - 1].stop(engine))
		return op_join(&engine->op);
	engine->step--;
	return OP_NEXT;
}

static void engine_run(struct op *op)
{
	struct engine *engine = container_of(op, struct engine, op);

	if (engine->is_address_awaited)
		address_awaited(engine);
	while (!engine->is_stopping && engine->step < STEP_COUNT) {
		if (start_advance(engine) == OP_WAIT)
			return;
	}
	if (!engine->is_stopping) {
		log_info(engine->log, "serving: node %s, gRPC %s port %u, NVMe/TCP %s port %u",
			 engine->options->node_name, engine->options->grpc_ip,
			 engine->options->grpc_port, engine->options->target_ip,
			 engine->options->target_port);
		return;
	}
	while (engine->step > 0) {
		if (stop_advance(engine) == OP_WAIT)
			return;
	}
	engine->is_stopped = true;
	reactor_stop(engine->main);
}

struct reactor *engine_home_choose(struct engine *engine)
{
	ASSERT(engine->reactor_count > 0);
	/* With several cores the main one is kept for management and discovery where possible. */
	engine->home_next = (engine->home_next + 1) % engine->reactor_count;
	return engine->reactors[engine->home_next];
}

int engine_create(struct reactor *main, const struct engine_options *options, struct log *log,
		  struct engine **ret_engine)
{
	struct engine *engine = memory_alloc(sizeof(*engine));
	uint8_t random[16];

	ASSERT(main != NULL && options != NULL && log != NULL);
	if (engine == NULL)
		return -ENOMEM;
	engine->main = main;
	engine->options = options;
	engine->log = log;
	os_entropy_fill(reactor_os(main), random, sizeof(random));
	engine->instance_uuid = uuid_from_random(random);
	list_init(&engine->exports);
	name_locks_init(&engine->locks);
	op_init(&engine->op, reactor_ready(main), engine_run);
	reactor_timer_init(&engine->address_timer, main, address_timer_fired);
	*ret_engine = engine;
	return 0;
}

void engine_start(struct engine *engine)
{
	ASSERT(engine->step == 0 && !engine->is_stopping);
	op_wake(&engine->op);
}

void engine_stop(struct engine *engine)
{
	if (engine->is_stopping)
		return;
	engine->is_stopping = true;
	/* While the start still waits for something it will notice by itself. */
	if (op_is_idle(&engine->op))
		op_wake(&engine->op);
}

bool engine_is_stopped(const struct engine *engine)
{
	return engine->is_stopped;
}

const char *engine_error(const struct engine *engine)
{
	return engine->error[0] != '\0' ? engine->error : NULL;
}

void engine_destroy(struct engine *engine)
{
	ASSERT(engine == NULL || engine->is_stopped);
	memory_free(engine);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - boots the parts of an engine or a host, and mends the nexus' children.
 *
 * Booting is a list of steps; one that fails is tried again after a pause, for the others it
 * needs may be down. Mending is what a control plane would do: look at the nexus, take out a
 * child that has failed, and put it in again.
 */
#include "sim/engine.h"

#include "base/memory.h"
#include "reactor/reactor.h"
#include "sim/engine_network.h"
#include "sim/sim_impl.h"

#include <inttypes.h>
#include <string.h>

#define REACTORS_OF_ENGINE 2
#define BOOT_PAUSE_NS	   (300 * SIM_MS)
#define MEND_PAUSE_NS	   (200 * SIM_MS)
#define DISK_TAIL_BYTES	   (1 << 20)
#define DISK_PATH	   "/dev/disk"
#define RECORD_WAIT_NS	   (5 * SIM_S)

enum boot_step {
	BOOT_TARGET,  /* listen */
	BOOT_REPLICA, /* open the own disk and export it */
	BOOT_NEXUS,   /* over all disks */
	BOOT_VOLUME,  /* export the nexus */
	BOOT_HOST,    /* connect to the volume */
	BOOT_WORK,    /* begin the workload and the mending */
	BOOT_OVER,
};

enum mend_step {
	MEND_LOOK,
	MEND_JUDGE,
	MEND_REMOVE,
	MEND_ADD,
	MEND_REBUILD,
	MEND_REST,
};

struct engine_run {
	struct engine *engine;
	struct reactor *reactors[REACTORS_OF_ENGINE];
	uint32_t reactor_count;
	struct bdev_registry *registry;
	struct log log;
	/* booting */
	struct op boot;
	enum boot_step boot_step;
	bool is_asking;
	struct reactor_timer boot_timer;
	struct engine_network *network;
	/* nexus */
	struct store_client store;
	struct nexus_set *set;
	struct nexus_create create;
	struct nexus_record record;
	struct nexus *nexus;
	char uris[ENGINES][URI_TEXT_BYTES_SHOWN];
	/* mending */
	struct op mend;
	enum mend_step mend_step;
	struct reactor_timer mend_timer;
	struct nexus_request request;
	struct nexus_info info;
	char mend_uri[URI_TEXT_BYTES_SHOWN];
	bool is_brought_online;
};

/* ---- log ---- */

static void log_write(struct log *log, const char *line)
{
	struct engine *engine = log->user;
	struct sim *sim = engine->cluster->sim;
	uint64_t hash = 0;

	for (const char *c = line; *c != '\0'; c++)
		hash = hash * 31 + (uint8_t)*c;
	sim_trace(sim, "log", engine->index, hash, 0);
	if (engine->cluster->options.log_file != NULL)
		fprintf(engine->cluster->options.log_file, "%6" PRIu64 ".%09" PRIu64 " %s: %s\n",
			sim->now_ns / SIM_S, sim->now_ns % SIM_S, engine->process->name, line);
}

/* ---- what is booted ---- */

static bool step_applies(const struct engine *engine, enum boot_step step)
{
	bool is_local = engine->cluster->options.is_local;
	bool is_host = engine->index == ENGINES;

	switch (step) {
	case BOOT_TARGET:
		return !is_local && !is_host;
	case BOOT_REPLICA:
		return !is_local && !is_host && engine->index > 0;
	case BOOT_NEXUS:
		return engine->index == 0;
	case BOOT_VOLUME:
		return !is_local && engine->index == 0;
	case BOOT_HOST:
		return is_host;
	case BOOT_WORK:
	case BOOT_OVER:
		return true;
	}
	ASSERT(!"a step of the list");
}

static void child_uuid(uint32_t child, struct uuid *ret_uuid)
{
	*ret_uuid = (struct uuid){{0}};
	ret_uuid->bytes[0] = 0xc1;
	ret_uuid->bytes[6] = 0x40;
	ret_uuid->bytes[8] = 0x80;
	ret_uuid->bytes[15] = (uint8_t)child;
}

static void child_uri(struct engine_run *run, uint32_t child, char ret_uri[URI_TEXT_BYTES_SHOWN])
{
	const struct cluster *cluster = run->engine->cluster;
	char uuid_text[UUID_TEXT_BYTES];
	struct uuid uuid;

	child_uuid(child, &uuid);
	uuid_format(&uuid, uuid_text);
	if (cluster->options.is_local || child == 0)
		snprintf(ret_uri, URI_TEXT_BYTES_SHOWN, "aio://" DISK_PATH "%u?blk_size=%u&uuid=%s",
			 child, cluster->options.block_bytes, uuid_text);
	else
		engine_network_child_uri(&cluster->engines[child], uuid_text, ret_uri);
}

static void nexus_submit(struct engine_run *run)
{
	struct cluster *cluster = run->engine->cluster;
	const struct nexus_record *record = store_record(cluster->store);
	struct nexus_create *create = &run->create;

	*create = (struct nexus_create){
		.parent = &run->boot,
		.options = {.name = "volume",
			    .size_bytes = cluster->options.volume_bytes,
			    .controller_id_min = 1,
			    .controller_id_max = NEXUS_CONTROLLER_ID_MAX,
			    .child_count = ENGINES,
			    .home = run->reactors[run->reactor_count - 1],
			    .epoch = store_take_epoch(cluster->store)},
	};
	create->options.uuid.bytes[15] = 0xff;
	create->options.uuid.bytes[6] = 0x40;
	create->options.uuid.bytes[8] = 0x80;
	if (record != NULL) {
		run->record = *record;
		create->options.stored_record = &run->record;
	}
	for (uint32_t i = 0; i < ENGINES; i++) {
		child_uri(run, i, run->uris[i]);
		create->options.child_uris[i] = run->uris[i];
	}
	nexus_create_submit(run->set, create);
}

static bool nexus_judge(struct engine_run *run)
{
	if (run->create.result != NEXUS_DONE) {
		log_warn(&run->log, "nexus not created: %s", run->create.error);
		return false;
	}
	run->nexus = run->create.nexus;
	return true;
}

static bool work_begin(struct engine_run *run)
{
	struct cluster *cluster = run->engine->cluster;
	struct bdev_channel *channel;
	struct bdev *bdev = NULL;

	if (run->engine->index == 0 && cluster->options.is_local)
		bdev = nexus_bdev(run->nexus);
	else if (run->engine->index == ENGINES)
		bdev = engine_network_volume(run->network);
	if (bdev == NULL)
		return true;
	if (bdev_channel_open(bdev, bdev->home != NULL ? bdev->home : run->reactors[0], &channel) <
	    0)
		return false;
	ASSERT(bdev->block_count == cluster_block_count(&cluster->options));
	workload_start(cluster->workload, channel);
	return true;
}

/* ---- boot ---- */

static void step_submit(struct engine_run *run)
{
	op_wait(&run->boot);
	switch (run->boot_step) {
	case BOOT_TARGET:
		engine_network_target_submit(run->network, &run->boot);
		return;
	case BOOT_REPLICA:
		engine_network_replica_submit(run->network, &run->boot);
		return;
	case BOOT_NEXUS:
		nexus_submit(run);
		return;
	case BOOT_VOLUME:
		engine_network_volume_submit(run->network, nexus_bdev(run->nexus), &run->boot);
		return;
	case BOOT_HOST:
		engine_network_host_submit(run->network, &run->boot);
		return;
	case BOOT_WORK:
	case BOOT_OVER:
		op_done(&run->boot);
		return;
	}
}

static bool step_judge(struct engine_run *run)
{
	switch (run->boot_step) {
	case BOOT_TARGET:
	case BOOT_REPLICA:
	case BOOT_VOLUME:
	case BOOT_HOST:
		return engine_network_judge(run->network);
	case BOOT_NEXUS:
		return nexus_judge(run);
	case BOOT_WORK:
		return work_begin(run);
	case BOOT_OVER:
		return true;
	}
	ASSERT(!"a step of the list");
}

static void boot_run(struct op *op)
{
	struct engine_run *run = container_of(op, struct engine_run, boot);

	for (;;) {
		if (run->is_asking) {
			run->is_asking = false;
			if (!step_judge(run)) {
				reactor_timer_start(&run->boot_timer, BOOT_PAUSE_NS);
				return;
			}
			run->boot_step++;
		}
		while (!step_applies(run->engine, run->boot_step))
			run->boot_step++;
		if (run->boot_step == BOOT_OVER) {
			run->engine->is_up = true;
			if (run->nexus != NULL)
				op_wake(&run->mend);
			return;
		}
		run->is_asking = true;
		step_submit(run);
		if (op_join(op) == OP_WAIT)
			return;
	}
}

static void boot_rested(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct engine_run, boot_timer)->boot);
}

/* ---- mending ---- */

static void report(struct engine_run *run)
{
	struct cluster *cluster = run->engine->cluster;
	const struct nexus_info *info = &run->info;

	cluster->state = info->state;
	cluster->rebuild_count = info->rebuild_count;
	cluster->children_online = 0;
	cluster->seen_ns = cluster->sim->now_ns;
	if (info->is_fenced && !sim_event_is_scheduled(&run->engine->replace))
		sim_event_schedule(cluster->sim, &run->engine->replace, SIM_MS);
	memcpy(cluster->reason, info->reason, sizeof(cluster->reason));
	for (uint32_t i = 0; i < info->child_count; i++)
		cluster->children_online += info->children[i].state == NEXUS_CHILD_ONLINE;
}

/* Which of our children are in the nexus. */
static uint32_t children_present(struct engine_run *run)
{
	const struct nexus_info *info = &run->info;
	char uri[URI_TEXT_BYTES_SHOWN];
	uint32_t present = 0;

	for (uint32_t e = 0; e < ENGINES; e++) {
		child_uri(run, e, uri);
		for (uint32_t i = 0; i < info->child_count; i++)
			present |= (uint32_t)(strcmp(uri, info->children[i].uri) == 0) << e;
	}
	return present;
}

/* One that has failed, drawn; NULL when there is none. */
static const struct nexus_child_info *faulted_draw(struct engine_run *run)
{
	const struct nexus_child_info *drawn = NULL;
	const struct nexus_info *info = &run->info;
	uint32_t count = 0;

	for (uint32_t i = 0; i < info->child_count; i++) {
		if (info->children[i].state != NEXUS_CHILD_FAULTED)
			continue;
		count++;
		if (sim_chance(run->engine->cluster->sim, 1, count))
			drawn = &info->children[i];
	}
	return drawn;
}

/* A child that waits for a rebuild which nobody runs; NULL when there is none. */
static const struct nexus_child_info *forgotten_find(struct engine_run *run)
{
	const struct nexus_info *info = &run->info;

	for (uint32_t i = 0; i < info->child_count; i++) {
		if (info->children[i].state == NEXUS_CHILD_DEGRADED &&
		    info->children[i].rebuild_progress < 0)
			return &info->children[i];
	}
	return NULL;
}

/* Return: what to do next, MEND_REST for nothing. */
static enum mend_step mend_choose(struct engine_run *run)
{
	const struct nexus_child_info *faulted = faulted_draw(run);
	uint32_t present = children_present(run);

	run->is_brought_online = false;
	for (uint32_t e = 0; e < ENGINES; e++) {
		if ((present & 1u << e) != 0)
			continue;
		child_uri(run, e, run->mend_uri);
		return MEND_ADD;
	}
	if (faulted == NULL) {
		faulted = forgotten_find(run);
		if (faulted == NULL)
			return MEND_REST;
		memcpy(run->mend_uri, faulted->uri, sizeof(run->mend_uri));
		run->is_brought_online = sim_chance(run->engine->cluster->sim, 1, 2);
		return run->is_brought_online ? MEND_REMOVE : MEND_REBUILD;
	}
	memcpy(run->mend_uri, faulted->uri, sizeof(run->mend_uri));
	/* A copy that counts is never given up: its device may come back. */
	run->is_brought_online =
		faulted->is_recorded_healthy || sim_chance(run->engine->cluster->sim, 1, 2);
	return MEND_REMOVE;
}

static enum op_flow mend_submit(struct engine_run *run)
{
	struct nexus_request *request = &run->request;

	*request = (struct nexus_request){
		.parent = &run->mend, .uri = run->mend_uri, .info = &run->info};
	sim_trace(run->engine->cluster->sim, "mend", run->mend_step, run->is_brought_online,
		  run->info.child_count);
	op_wait(&run->mend);
	if (run->mend_step == MEND_LOOK) {
		nexus_info_submit(run->nexus, request);
	} else if (run->mend_step == MEND_ADD) {
		nexus_child_add_submit(run->nexus, request);
	} else if (run->mend_step == MEND_REBUILD) {
		nexus_rebuild_start_submit(run->nexus, request);
	} else if (run->is_brought_online) {
		request->action = NEXUS_ACTION_ONLINE;
		nexus_child_action_submit(run->nexus, request);
	} else {
		nexus_child_remove_submit(run->nexus, request);
	}
	return op_join(&run->mend);
}

static void mend_run(struct op *op)
{
	struct engine_run *run = container_of(op, struct engine_run, mend);

	for (;;) {
		switch (run->mend_step) {
		case MEND_LOOK:
			if (mend_submit(run) == OP_WAIT) {
				run->mend_step = MEND_JUDGE;
				return;
			}
			run->mend_step = MEND_JUDGE;
			break;
		case MEND_JUDGE:
			report(run);
			run->mend_step = mend_choose(run);
			if (!run->engine->cluster->is_mending)
				run->mend_step = MEND_REST;
			break;
		case MEND_REMOVE:
		case MEND_ADD:
		case MEND_REBUILD:
			if (mend_submit(run) == OP_WAIT) {
				run->mend_step = MEND_REST;
				return;
			}
			run->mend_step = MEND_REST;
			break;
		case MEND_REST:
			run->mend_step = MEND_LOOK;
			if (run->request.result != NEXUS_DONE)
				log_warn(&run->log, "mending: %s", run->request.error);
			reactor_timer_start(&run->mend_timer, MEND_PAUSE_NS);
			return;
		}
	}
}

static void mend_rested(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct engine_run, mend_timer)->mend);
}

/* ---- a process ---- */

static int drivers_register(struct engine_run *run)
{
	int rc = bdev_uring_register(run->registry);

	return rc < 0 ? rc : bdev_loopback_register(run->registry);
}

static void reactors_create(struct engine_run *run)
{
	struct engine *engine = run->engine;
	struct reactor_options options;

	reactor_options_default(&options);
	options.small_buffer_count = 64;
	options.large_buffer_count = 64;
	run->reactor_count = engine->cluster->options.reactor_count;
	for (uint32_t i = 0; i < run->reactor_count; i++) {
		int rc;

		options.index = i;
		rc = reactor_create(sim_process_os(engine->process), &options, &run->reactors[i]);
		ASSERT(rc == 0);
		sim_reactor_add(engine->process, run->reactors[i]);
	}
}

static void nexus_set_prepare(struct engine_run *run)
{
	struct nexus_set_options options = {
		.registry = run->registry,
		.recorder = &run->store.recorder,
		.log = &run->log,
		.record_wait_ns = RECORD_WAIT_NS,
	};
	int rc;

	store_client_init(&run->store, run->engine->cluster->store, run->engine->process,
			  reactor_ring(run->reactors[0]));
	rc = nexus_set_create(&options, &run->set);
	ASSERT(rc == 0);
}

void engine_boot(struct engine *engine)
{
	struct sim_process *previous = sim_enter(engine->process);
	struct engine_run *run = memory_alloc(sizeof(*run));
	struct reactor *main;
	int rc;

	ASSERT(run != NULL);
	engine->run = run;
	run->engine = engine;
	run->log = (struct log){.level = LOG_DEBUG, .write = log_write, .user = engine};
	reactors_create(run);
	main = run->reactors[0];
	rc = bdev_registry_create(main, &run->registry);
	ASSERT(rc == 0);
	rc = drivers_register(run);
	ASSERT(rc == 0);
	if (!engine->cluster->options.is_local)
		run->network = engine_network_create(engine, run->reactors, run->reactor_count,
						     run->registry, &run->log);
	if (engine->index == 0)
		nexus_set_prepare(run);
	op_init(&run->boot, reactor_ready(main), boot_run);
	op_init(&run->mend, reactor_ready(main), mend_run);
	reactor_timer_init(&run->boot_timer, main, boot_rested);
	reactor_timer_init(&run->mend_timer, main, mend_rested);
	op_wake(&run->boot);
	sim_leave(previous);
}

void engine_crash(struct engine *engine, enum sim_crash crash)
{
	struct cluster *cluster = engine->cluster;

	sim_process_crash(engine->process, crash);
	engine->run = NULL;
	engine->is_up = false;
	if (engine->index == 0)
		cluster->seen_ns = 0;
	if (engine->index == ENGINES || cluster->options.is_local)
		workload_crashed(cluster->workload);
	if (engine->index == 0 && !cluster->options.is_strict)
		history_owner_crashed(workload_history(cluster->workload),
				      sim_now_ns(cluster->sim));
}

void engine_restart(struct engine *engine)
{
	sim_process_restart(engine->process);
	engine_boot(engine);
}

/* A nexus that has stopped itself: the operator makes it anew. */
static void replace_fire(struct sim_event *event)
{
	struct engine *engine = container_of(event, struct engine, replace);

	if (engine->run == NULL)
		return;
	engine_crash(engine, SIM_KILLED);
	engine_restart(engine);
}

/* ---- the cluster ---- */

/*
 * The last copy that counts may have lost its power before it was the last: what was written in
 * between was answered on its word alone.
 */
static void record_stored(void *argument)
{
	struct cluster *cluster = argument;

	for (uint32_t i = 0; i < ENGINES; i++) {
		if (cluster_has_kept_power(cluster, i))
			return;
	}
	sim_trace(cluster->sim, "no copy has its power", 0, 0, 0);
	history_power_cut(workload_history(cluster->workload), sim_now_ns(cluster->sim));
}

uint64_t cluster_block_count(const struct cluster_options *options)
{
	return options->volume_bytes / options->block_bytes - 1;
}

static void disk_make(struct engine *engine, uint32_t number, struct sim_process *process)
{
	const struct cluster_options *options = &engine->cluster->options;
	const struct sim_disk_options disk = {
		.size_bytes = NEXUS_DATA_OFFSET_BYTES + options->volume_bytes + DISK_TAIL_BYTES,
		.block_bytes = options->block_bytes,
	};
	char path[32];

	snprintf(path, sizeof(path), DISK_PATH "%u", number);
	engine->disk = sim_disk_create(process, path, &disk);
}

static void engine_init(struct engine *engine, struct cluster *cluster, uint32_t index)
{
	char name[16];
	char ip[16];

	engine->cluster = cluster;
	engine->index = index;
	engine->replace.fire = replace_fire;
	snprintf(name, sizeof(name), index == ENGINES ? "host" : "engine-%u", index);
	snprintf(ip, sizeof(ip), "10.0.0.%u", index + 1);
	engine->process = sim_process_create(cluster->sim, name, ip);
}

void cluster_init(struct cluster *cluster, struct sim *sim, const struct cluster_options *options)
{
	const struct workload_options workload = {
		.sim = sim,
		.block_count = cluster_block_count(options),
		.block_bytes = options->block_bytes,
		.slot_count = options->slot_count,
		.pause_ns_max = options->pause_ns_max,
		.has_unmap = true,
		.is_strict = options->is_strict,
		.is_repeating = !options->is_local && options->is_host_retrying,
	};

	*cluster = (struct cluster){.sim = sim, .options = *options, .is_mending = true};
	cluster->store = store_create(sim);
	store_watch(cluster->store, record_stored, cluster);
	cluster->workload = workload_create(&workload);
	for (uint32_t i = 0; i < ENGINES; i++) {
		struct engine *engine = &cluster->engines[i];

		if (options->is_local && i > 0) {
			engine->cluster = cluster;
			engine->index = i;
		} else {
			engine_init(engine, cluster, i);
		}
		disk_make(engine, i,
			  options->is_local ? cluster->engines[0].process : engine->process);
	}
	for (uint32_t i = 0; i < (options->is_local ? 1 : ENGINES); i++)
		engine_boot(&cluster->engines[i]);
	if (!options->is_local) {
		engine_init(&cluster->host, cluster, ENGINES);
		engine_boot(&cluster->host);
	}
}

void cluster_deinit(struct cluster *cluster)
{
	workload_destroy(cluster->workload);
	store_destroy(cluster->store);
}

bool cluster_is_healthy(const struct cluster *cluster)
{
	return cluster->state == NEXUS_ONLINE && cluster->children_online == ENGINES &&
	       cluster->rebuild_count == 0 && cluster->engines[0].is_up && cluster->seen_ns != 0 &&
	       cluster->sim->now_ns - cluster->seen_ns < SIM_S;
}

struct sim_disk *cluster_disk(struct cluster *cluster, uint32_t child)
{
	ASSERT(child < ENGINES);
	return cluster->engines[child].disk;
}

bool cluster_is_recorded_healthy(const struct cluster *cluster, uint32_t child)
{
	const struct nexus_record *record = store_record(cluster->store);
	struct uuid uuid;

	child_uuid(child, &uuid);
	return record != NULL && nexus_record_is_healthy(record, &uuid);
}

bool cluster_has_kept_power(const struct cluster *cluster, uint32_t child)
{
	const struct nexus_record *record = store_record(cluster->store);
	const struct nexus_record_child *recorded;
	struct uuid uuid;

	child_uuid(child, &uuid);
	recorded = record == NULL ? NULL : nexus_record_find(record, &uuid);
	if (recorded == NULL || !recorded->is_healthy)
		return false;
	sim_boot_id(cluster->engines[cluster->options.is_local ? 0 : child].process, &uuid);
	return uuid_is_equal(&recorded->cache_id, &uuid);
}

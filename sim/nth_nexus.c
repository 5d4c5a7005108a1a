/* SPDX-License-Identifier: Apache-2.0 */
/* nth_nexus.c - the life of a volume with copies on three machines and a host: create, publish,
 * I/O, add, rebuild, pause, offline, online, fault, remove, unpublish, shut down, destroy, and
 * once more from its record.
 *
 * One call that fails costs the volume one copy at most, so the host must not see it unless its
 * own path is hit; what it has lost the settling brings back, as a control plane would.
 */
#include "engine/record_store.h"
#include "initiator/initiator.h"
#include "nexus/nexus.h"
#include "sim/nth.h"
#include "sim/sim_impl.h"

#include <stdlib.h>
#include <string.h>

#define CHILD_COUNT  3
#define VOLUME_BYTES (2ull << 20)
#define DISK_BYTES   (NEXUS_DATA_OFFSET_BYTES + VOLUME_BYTES + (1 << 20))
#define NAME	     "volume"
#define RECORD_KEY   "e0000000-0000-4000-8000-0000000000ff"
#define RANGE	     ((struct block_range){100, 96})
#define SMALL	     ((struct block_range){8, 4})
#define POLL_NS	     (100 * SIM_MS)

/* What the script wants a child to be. */
enum wanted {
	WANTED_ABSENT,
	WANTED_ONLINE,
	WANTED_OFFLINE,
	WANTED_ANY,	/* it is being brought online or offline */
	WANTED_NO_HALF, /* it is being removed: there and online, or not there */
};

struct volume_state {
	struct nth_box *engine; /* boxes 0..2 hold a copy each; the engine is box 0 */
	struct nth_box *host;
	struct bdev *disks[CHILD_COUNT];
	struct record_store *records;
	struct nexus_set *set;
	struct nexus_create create;
	struct nexus *nexus;
	struct nexus_request request;
	struct nexus_info info;
	struct rebuild_stats stats;
	enum wanted wanted[CHILD_COUNT];
	char uris[CHILD_COUNT][URI_TEXT_BYTES_SHOWN];
	bool is_exported[CHILD_COUNT];
	struct nexus_record_io record_io;
	uint64_t epoch;
	struct bdev *remote;
	struct bdev_channel *channel;
	uint32_t generation;
};

static void begin(struct nth_run *run)
{
	static const char *const names[] = {"engine", "node-1", "node-2", "host"};
	struct volume_state *state = run->state;

	for (uint32_t i = 0; i <= CHILD_COUNT; i++) {
		char ip[16];

		snprintf(ip, sizeof(ip), "10.0.0.%u", i + 1);
		nth_box_add(run, names[i], ip);
		if (i < CHILD_COUNT)
			nth_disk_add(run->boxes[i], DISK_BYTES);
		if (i == 0)
			snprintf(state->uris[i], sizeof(state->uris[i]),
				 "aio://" NTH_DISK_PATH "?blk_size=512&uuid="
				 "c1000000-0000-4000-8000-000000000000");
		else if (i < CHILD_COUNT)
			snprintf(state->uris[i], sizeof(state->uris[i]),
				 "nvmf://%s:8420/" TARGET_NQN_PREFIX
				 ":copy?uuid=c1000000-0000-4000-8000-00000000000%u",
				 ip, i);
	}
	state->engine = run->boxes[0];
	state->host = run->boxes[CHILD_COUNT];
}

/* ---- processes, copies ---- */

static bool box_start(struct nth_run *run)
{
	struct nth_box *box = run->boxes[run->argument];

	if (!nth_box_start(box, run->argument == 0 ? 2 : 1))
		return false;
	if ((box != run->boxes[0] && box != run->boxes[CHILD_COUNT]) || nth_initiator_register(box))
		return true;
	nth_box_stop(box);
	return false;
}

static bool box_stop(struct nth_run *run)
{
	return nth_box_stop(run->boxes[run->argument]);
}

static bool target_start(struct nth_run *run)
{
	return nth_target_start(run->boxes[run->argument], 1);
}

static bool target_stop(struct nth_run *run)
{
	return nth_target_stop(run->boxes[run->argument]);
}

static bool copy_open(struct nth_run *run)
{
	struct volume_state *state = run->state;
	char uri[URI_TEXT_BYTES_SHOWN];

	snprintf(uri, sizeof(uri),
		 "aio://" NTH_DISK_PATH "?blk_size=512&uuid=c1000000-0000-4000-8000-00000000000%u",
		 run->argument);
	return nth_device_create(run->boxes[run->argument], uri, &state->disks[run->argument]);
}

static bool copy_close(struct nth_run *run)
{
	struct volume_state *state = run->state;

	if (!nth_device_destroy(run->boxes[run->argument], state->disks[run->argument], false))
		return false;
	state->disks[run->argument] = NULL;
	return true;
}

static bool copy_export(struct nth_run *run)
{
	struct volume_state *state = run->state;

	if (!nth_export(run->boxes[run->argument], state->disks[run->argument], "copy", NULL))
		return false;
	state->is_exported[run->argument] = true;
	return true;
}

static bool copy_unexport(struct nth_run *run)
{
	struct volume_state *state = run->state;

	if (!nth_unexport(run->boxes[run->argument], "copy"))
		return false;
	state->is_exported[run->argument] = false;
	return true;
}

/* A disk that does not tell its size is taken for lost; who has it closes it and opens it anew. */
static bool copy_mend(struct nth_run *run, uint32_t child)
{
	struct volume_state *state = run->state;
	bool is_exported = state->is_exported[child];

	if (state->disks[child] == NULL || !bdev_is_removed(state->disks[child]))
		return true;
	run->argument = child;
	return (!is_exported || copy_unexport(run)) && copy_close(run) && copy_open(run) &&
	       (!is_exported || copy_export(run));
}

static bool set_create(struct nth_run *run)
{
	struct volume_state *state = run->state;
	struct nth_box *engine = state->engine;
	struct nexus_set_options options = {.registry = engine->registry, .log = &engine->log};
	int rc;

	nth_enter(engine);
	rc = record_store_create(engine->reactors[0], "/records", &engine->log, &state->records);
	if (rc == 0) {
		options.recorder = record_store_recorder(state->records);
		rc = nexus_set_create(&options, &state->set);
		if (rc != 0)
			record_store_destroy(state->records);
	}
	sim_leave(NULL);
	return rc == 0 || nth_error(run, "records: %s", strerror(-rc));
}

static bool set_destroy(struct nth_run *run)
{
	struct volume_state *state = run->state;

	nth_enter(state->engine);
	nexus_set_destroy(state->set);
	record_store_destroy(state->records);
	sim_leave(NULL);
	state->set = NULL;
	state->records = NULL;
	return true;
}

/* ---- the volume ---- */

/* The record as the store tells it now; NULL when there is none. */
static const struct nexus_record *record_load(struct nth_run *run)
{
	struct volume_state *state = run->state;
	struct nexus_recorder *recorder = record_store_recorder(state->records);
	struct nexus_record_io *io = &state->record_io;

	nth_begin(state->engine, state->engine->reactors[0]);
	*io = (struct nexus_record_io){.parent = &state->engine->op, .key = RECORD_KEY};
	recorder->ops->load(recorder, io);
	if (!nth_end(state->engine))
		return NULL;
	if (io->result != NEXUS_RECORD_OK && io->result != NEXUS_RECORD_NONE)
		nth_error(run, "the record of %s cannot be loaded: %d", NAME, io->result);
	return io->result == NEXUS_RECORD_OK ? &io->record : NULL;
}

/* Argument: how many children. */
static bool volume_create(struct nth_run *run)
{
	struct volume_state *state = run->state;
	struct nexus_create *create = &state->create;
	const struct nexus_record *record = record_load(run);

	if (run->error[0] != '\0')
		return false;
	snprintf(run->object, sizeof(run->object), "%s", NAME);
	run->part = "device '"; /* a child that cannot be opened is the object */
	*create = (struct nexus_create){
		.parent = &state->engine->op,
		.options = {.name = NAME,
			    .size_bytes = VOLUME_BYTES,
			    .controller_id_min = 1,
			    .controller_id_max = NEXUS_CONTROLLER_ID_MAX,
			    .child_count = run->argument,
			    .info_key = RECORD_KEY,
			    .home = state->engine->reactors[1],
			    .stored_record = record,
			    .epoch = ++state->epoch},
	};
	create->options.uuid.bytes[15] = 0xff;
	create->options.uuid.bytes[6] = 0x40;
	create->options.uuid.bytes[8] = 0x80;
	for (uint32_t i = 0; i < run->argument; i++)
		create->options.child_uris[i] = state->uris[i];
	nth_begin(state->engine, state->engine->reactors[0]);
	nexus_create_submit(state->set, create);
	if (!nth_end(state->engine))
		return false;
	if (create->result != NEXUS_DONE)
		return nth_error(run, "%s", create->error);
	state->nexus = create->nexus;
	for (uint32_t i = 0; i < run->argument; i++)
		state->wanted[i] = WANTED_ONLINE;
	return true;
}

static bool request(struct nth_run *run, uint32_t child,
		    void (*submit)(struct nexus *nexus, struct nexus_request *request))
{
	struct volume_state *state = run->state;
	struct nexus_request *request = &state->request;

	nth_begin(state->engine, state->engine->reactors[0]);
	request->parent = &state->engine->op;
	request->uri = state->uris[child];
	request->info = &state->info;
	request->stats = &state->stats;
	submit(state->nexus, request);
	if (!nth_end(state->engine))
		return false;
	return request->result == NEXUS_DONE || nth_error(run, "%s", request->error);
}

static bool action(struct nth_run *run, uint32_t child, enum nexus_action action)
{
	struct volume_state *state = run->state;

	state->request.action = action;
	return request(run, child, nexus_child_action_submit);
}

static const struct nexus_child_info *child_find(const struct volume_state *state, uint32_t child)
{
	for (uint32_t i = 0; i < state->info.child_count; i++) {
		if (strcmp(state->info.children[i].uri, state->uris[child]) == 0)
			return &state->info.children[i];
	}
	return NULL;
}

/* One child nearer to what is wanted. Return: true when it is there already. */
static bool child_mend(struct nth_run *run, uint32_t child)
{
	struct volume_state *state = run->state;
	const struct nexus_child_info *info = child_find(state, child);
	enum wanted wanted = state->wanted[child];

	if (wanted == WANTED_ANY)
		wanted = info == NULL				  ? WANTED_ABSENT
			 : info->reason == NEXUS_REASON_BY_CLIENT ? WANTED_OFFLINE
								  : WANTED_ONLINE;
	if (wanted == WANTED_NO_HALF)
		wanted = info == NULL ? WANTED_ABSENT : WANTED_ONLINE;
	if (wanted != WANTED_ONLINE || (info != NULL && info->state == NEXUS_CHILD_ONLINE))
		return true;
	/* Each request fills in the state anew: @info is another child's after it. */
	if (info == NULL) {
		state->request.is_norebuild = false;
		(void)request(run, child, nexus_child_add_submit);
	} else if (info->state == NEXUS_CHILD_FAULTED || info->reason == NEXUS_REASON_BY_CLIENT ||
		   info->reason == NEXUS_REASON_NO_SPACE) {
		bool is_recorded_healthy = info->is_recorded_healthy;

		if (!action(run, child, NEXUS_ACTION_ONLINE) && !is_recorded_healthy)
			(void)request(run, child, nexus_child_remove_submit);
	} else if (info->state == NEXUS_CHILD_DEGRADED && info->rebuild_progress < 0) {
		(void)request(run, child, nexus_rebuild_start_submit);
	}
	return false;
}

static bool volume_mend(struct nth_run *run)
{
	struct volume_state *state = run->state;
	uint64_t until_ns = sim_now_ns(run->sim) + NTH_SETTLE_NS_MAX;

	while (sim_now_ns(run->sim) < until_ns && run->bad[0] == '\0') {
		bool is_well = request(run, 0, nexus_info_submit);

		if (!is_well)
			return false;
		is_well = state->info.rebuild_count == 0;
		for (uint32_t i = 0; i < CHILD_COUNT; i++) {
			if (!child_mend(run, i))
				is_well = false;
		}
		if (is_well)
			return true;
		sim_run_for(run->sim, POLL_NS);
	}
	return nth_error(run, "%s is not in order: %s %s", NAME, state->info.reason, run->error);
}

static bool settle(struct nth_run *run)
{
	struct volume_state *state = run->state;
	uint64_t until_ns = sim_now_ns(run->sim) + NTH_SETTLE_NS_MAX;

	for (uint32_t i = 0; i < CHILD_COUNT; i++) {
		if (!copy_mend(run, i))
			return false;
	}
	if (state->nexus != NULL && state->info.state != NEXUS_SHUTDOWN && !volume_mend(run))
		return false;
	while (state->remote != NULL && !nth_initiators_are_running(state->host)) {
		if (sim_now_ns(run->sim) > until_ns)
			return nth_error(run, "the host is not connected again");
		sim_run_for(run->sim, POLL_NS);
	}
	return true;
}

/* Argument: the child. */
static bool child_add(struct nth_run *run)
{
	struct volume_state *state = run->state;

	state->wanted[run->argument] = WANTED_ANY;
	state->request.is_norebuild = false;
	if (!request(run, run->argument, nexus_child_add_submit))
		return false;
	state->wanted[run->argument] = WANTED_ONLINE;
	return true;
}

static bool child_remove(struct nth_run *run)
{
	struct volume_state *state = run->state;

	state->wanted[run->argument] = WANTED_NO_HALF;
	if (!request(run, run->argument, nexus_child_remove_submit))
		return false;
	state->wanted[run->argument] = WANTED_ABSENT;
	return true;
}

static bool child_offline(struct nth_run *run)
{
	struct volume_state *state = run->state;

	state->wanted[run->argument] = WANTED_ANY;
	if (!action(run, run->argument, NEXUS_ACTION_OFFLINE))
		return false;
	state->wanted[run->argument] = WANTED_OFFLINE;
	return true;
}

static bool child_online(struct nth_run *run)
{
	struct volume_state *state = run->state;

	state->wanted[run->argument] = WANTED_ANY;
	if (!action(run, run->argument, NEXUS_ACTION_ONLINE))
		return false;
	state->wanted[run->argument] = WANTED_ONLINE;
	return true;
}

static bool child_fault(struct nth_run *run)
{
	return request(run, run->argument, nexus_child_fault_submit);
}

/* Adds a child that waits, starts its rebuild, holds it, lets it go on. */
static bool rebuild_control(struct nth_run *run)
{
	struct volume_state *state = run->state;
	uint32_t child = run->argument;

	state->wanted[child] = WANTED_ANY;
	state->request.is_norebuild = true;
	if (!request(run, child, nexus_info_submit))
		return false;
	if (child_find(state, child) == NULL && !request(run, child, nexus_child_add_submit))
		return false;
	if (!request(run, child, nexus_info_submit))
		return false;
	if (child_find(state, child)->state == NEXUS_CHILD_ONLINE)
		return true; /* by the first try and what mended it */
	if (!request(run, child, nexus_rebuild_start_submit) ||
	    !request(run, child, nexus_rebuild_pause_submit) ||
	    !request(run, child, nexus_rebuild_stats_submit) ||
	    !request(run, child, nexus_rebuild_resume_submit))
		return false;
	state->wanted[child] = WANTED_ONLINE;
	return true;
}

static bool pause_and_resume(struct nth_run *run)
{
	if (!request(run, 0, nexus_pause_submit))
		return false;
	if (!request(run, 0, nexus_resume_submit))
		nth_bad(run, "a pause cannot be ended: %s", run->error);
	return true;
}

static bool volume_shutdown(struct nth_run *run)
{
	return request(run, 0, nexus_shutdown_submit);
}

static bool volume_destroy(struct nth_run *run)
{
	struct volume_state *state = run->state;

	if (!request(run, 0, nexus_destroy_submit))
		return false;
	state->nexus = NULL;
	memset(&state->info, 0, sizeof(state->info));
	memset(state->wanted, 0, sizeof(state->wanted));
	return true;
}

/* ---- the host ---- */

static bool publish(struct nth_run *run)
{
	struct volume_state *state = run->state;

	return nth_export(state->engine, nexus_bdev(state->nexus), NAME, NULL);
}

static bool unpublish(struct nth_run *run)
{
	return nth_unexport(((struct volume_state *)run->state)->engine, NAME);
}

static bool host_connect(struct nth_run *run)
{
	struct volume_state *state = run->state;

	return nth_device_create(state->host, "nvmf://10.0.0.1:8420/" TARGET_NQN_PREFIX ":" NAME,
				 &state->remote);
}

static bool host_disconnect(struct nth_run *run)
{
	struct volume_state *state = run->state;

	if (!nth_device_destroy(state->host, state->remote, false))
		return false;
	state->remote = NULL;
	return true;
}

static bool channel_open(struct nth_run *run)
{
	struct volume_state *state = run->state;

	return nth_channel_open(state->host, state->remote, state->host->reactors[0],
				&state->channel);
}

static bool channel_close(struct nth_run *run)
{
	struct volume_state *state = run->state;

	nth_channel_close(state->host, &state->channel);
	return true;
}

/* One call that failed once at a disk, or in a machine that only has a copy, costs that copy. */
static void host_io_judge(struct nth_run *run)
{
	const struct nth_faults *faults = run->faults;
	bool is_of_a_disk =
		faults->first_kind == NTH_DISK_READ || faults->first_kind == NTH_DISK_WRITE ||
		faults->first_kind == NTH_DISK_FLUSH || faults->first_kind == NTH_DISK_INFO;
	bool is_of_a_copy = faults->first_process > 0 && faults->first_process < CHILD_COUNT;

	if (faults->mode == NTH_ONCE && faults->failed_count > 0 && (is_of_a_disk || is_of_a_copy))
		nth_bad(run, "the host sees what only one copy has lost: %s", run->error);
}

static bool io(struct nth_run *run)
{
	struct volume_state *state = run->state;
	struct nth_box *host = state->host;

	state->generation = run->step;
	if (nth_io(host, state->channel, IO_WRITE, RANGE, run->step) &&
	    nth_io(host, state->channel, IO_READ, RANGE, run->step) &&
	    nth_io(host, state->channel, IO_FLUSH, RANGE, 0) &&
	    nth_io(host, state->channel, IO_WRITE, SMALL, run->step) &&
	    nth_io(host, state->channel, IO_WRITE_ZEROES, SMALL, 0) &&
	    nth_io(host, state->channel, IO_READ, SMALL, 0))
		return true;
	host_io_judge(run);
	return false;
}

static bool read_back(struct nth_run *run)
{
	struct volume_state *state = run->state;

	if (nth_io(state->host, state->channel, IO_READ, RANGE, state->generation) &&
	    nth_io(state->host, state->channel, IO_READ, SMALL, 0))
		return true;
	host_io_judge(run);
	return false;
}

/* All copies that are in order hold the same bytes. */
static bool copies_compare(struct nth_run *run)
{
	const struct volume_state *state = run->state;
	uint8_t *copies[CHILD_COUNT] = {NULL};

	for (uint32_t i = 0; i < CHILD_COUNT; i++) {
		copies[i] = sim_allocate(VOLUME_BYTES);
		sim_disk_peek(sim_disk_find(run->boxes[i]->process, NTH_DISK_PATH),
			      NEXUS_DATA_OFFSET_BYTES, copies[i], VOLUME_BYTES - 512);
		if (state->wanted[i] == WANTED_ONLINE &&
		    memcmp(copies[0], copies[i], VOLUME_BYTES - 512) != 0)
			nth_bad(run, "copy %u differs", i);
	}
	for (uint32_t i = 0; i < CHILD_COUNT; i++)
		free(copies[i]);
	return true;
}

/*
 * What is lost while the volume ends stays lost until it is made again, and a volume that was not
 * made may have left its record: then any record serves that names a copy to begin from.
 */
static void record_describe(struct nth_run *run, const struct nexus_record *record, FILE *out)
{
	const struct volume_state *state = run->state;
	uint32_t healthy_count = 0;

	for (uint32_t i = 0; i < record->child_count; i++)
		healthy_count += record->children[i].is_healthy;
	if (healthy_count == 0)
		nth_bad(run, "the record of %s names no copy to begin from", NAME);
	if (state->nexus == NULL || state->info.state == NEXUS_SHUTDOWN)
		return;
	for (uint32_t i = 0; i < record->child_count; i++)
		fprintf(out, "record: child %x healthy %d\n", record->children[i].uuid.bytes[15],
			record->children[i].is_healthy);
	fprintf(out, "record: clean %d\n", record->is_clean_shutdown);
}

static void describe(struct nth_run *run, FILE *out)
{
	struct volume_state *state = run->state;
	const struct nexus_record *record;

	if (state->set != NULL) {
		for (struct nexus *nexus = nexus_next(state->set, NULL); nexus != NULL;
		     nexus = nexus_next(state->set, nexus))
			fprintf(out, "volume %s\n", nexus_name(nexus));
	}
	if (state->records != NULL && (record = record_load(run)) != NULL)
		record_describe(run, record, out);
	if (state->nexus == NULL || !request(run, 0, nexus_info_submit))
		return;
	fprintf(out, "state %d rebuilds %u active %llu waiting %llu fenced %d\n", state->info.state,
		state->info.rebuild_count, (unsigned long long)state->info.io_active,
		(unsigned long long)state->info.io_waiting, state->info.is_fenced);
	for (uint32_t i = 0; i < CHILD_COUNT; i++) {
		const struct nexus_child_info *child = child_find(state, i);

		if (child != NULL && state->info.state != NEXUS_SHUTDOWN)
			fprintf(out, "child %u state %d reason %d healthy %d progress %d\n", i,
				child->state, child->reason, child->is_recorded_healthy,
				child->rebuild_progress);
	}
}

static const struct nth_step steps[] = {
	{"start the engine", box_start, 0},
	{"start node 1", box_start, 1},
	{"start node 2", box_start, 2},
	{"start the host", box_start, CHILD_COUNT},
	{"open copy 1", copy_open, 1},
	{"open copy 2", copy_open, 2},
	{"start target 1", target_start, 1},
	{"start target 2", target_start, 2},
	{"export copy 1", copy_export, 1},
	{"export copy 2", copy_export, 2},
	{"start the engine's target", target_start, 0},
	{"open the records", set_create, 0},
	{"create", volume_create, 2},
	{"publish", publish, 0},
	{"connect", host_connect, 0},
	{"open a channel", channel_open, 0},
	{"I/O", io, 0},
	{"add a child", child_add, 2},
	{"I/O to three", io, 0},
	{"compare", copies_compare, 0},
	{"pause and resume", pause_and_resume, 0},
	{"offline", child_offline, 1},
	{"I/O while one is away", io, 0},
	{"online", child_online, 1},
	{"read back", read_back, 0},
	{"compare again", copies_compare, 0},
	{"remove a child", child_remove, 2},
	{"I/O to two", io, 0},
	{"rebuild under control", rebuild_control, 2},
	{"fault the local child", child_fault, 0},
	{"take it out", child_remove, 0},
	{"I/O without it", io, 0},
	{"add it", child_add, 0},
	{"read all back", read_back, 0},
	{"compare all", copies_compare, 0},
	{"close the channel", channel_close, 0},
	{"disconnect", host_disconnect, 0},
	{"unpublish", unpublish, 0},
	{"shut down", volume_shutdown, 0},
	{"destroy", volume_destroy, 0},
	{"create from the record", volume_create, 3},
	{"publish again", publish, 0},
	{"connect again", host_connect, 0},
	{"open a channel again", channel_open, 0},
	{"read back after all", read_back, 0},
	{"close it again", channel_close, 0},
	{"disconnect again", host_disconnect, 0},
	{"unpublish again", unpublish, 0},
	{"destroy at once", volume_destroy, 0},
	{"close the records", set_destroy, 0},
	{"stop the engine's target", target_stop, 0},
	{"remove export 1", copy_unexport, 1},
	{"remove export 2", copy_unexport, 2},
	{"stop target 1", target_stop, 1},
	{"stop target 2", target_stop, 2},
	{"close copy 1", copy_close, 1},
	{"close copy 2", copy_close, 2},
	{"stop the host", box_stop, CHILD_COUNT},
	{"stop node 2", box_stop, 2},
	{"stop node 1", box_stop, 1},
	{"stop the engine", box_stop, 0},
};

const struct nth_scenario nth_nexus_scenario = {
	.name = "nexus",
	.state_bytes = sizeof(struct volume_state),
	.begin = begin,
	.steps = steps,
	.step_count = sizeof(steps) / sizeof(steps[0]),
	.settle = settle,
	.describe = describe,
	.points_min = 800,
};

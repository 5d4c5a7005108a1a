/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - an engine's process: what it boots, step by step, and its crash.
 *
 * A step that fails is tried again after a pause, for the others it needs may be down.
 */
#include "sim/engine_run.h"

#include "base/memory.h"
#include "sim/sim_impl.h"
#include "sim/stream.h"

#include <stdio.h>

#define BOOT_PAUSE_NS  (300 * SIM_MS)
#define RECORD_WAIT_NS (5 * SIM_S)

/* ---- what is booted ---- */

static bool step_applies(const struct engine *engine, enum boot_step step)
{
	bool is_local = engine->cluster->options.is_local;

	switch (step) {
	case BOOT_TARGET:
		return !is_local;
	case BOOT_REPLICA:
		return !is_local && engine->index > 0;
	case BOOT_NEXUS:
		return engine->index == 0;
	case BOOT_VOLUME:
		return !is_local && engine->index == 0;
	case BOOT_WORK:
		return is_local;
	case BOOT_OVER:
		return true;
	}
	ASSERT(!"a step of the list");
}

/* Local shape: the only host is here. */
static bool work_begin(struct engine_run *run)
{
	struct cluster *cluster = run->engine->cluster;
	struct bdev *bdev = nexus_bdev(run->nexus);

	if (bdev_channel_open(bdev, bdev->home, &run->channel) < 0)
		return false;
	ASSERT(bdev->block_count == cluster_block_count(&cluster->options));
	workload_start(cluster->hosts[0].workload, run->channel);
	cluster->hosts[0].is_up = true;
	return true;
}

/* Return: false if it failed at once. */
static bool step_submit(struct engine_run *run)
{
	op_wait(&run->boot);
	switch (run->boot_step) {
	case BOOT_TARGET:
		engine_network_target_submit(run->network, &run->boot);
		return true;
	case BOOT_REPLICA:
		engine_network_replica_submit(run->network, &run->boot);
		return true;
	case BOOT_NEXUS:
		if (engine_nexus_submit(run))
			return true;
		op_done(&run->boot);
		return false;
	case BOOT_VOLUME:
		engine_network_volume_submit(run->network, nexus_bdev(run->nexus), &run->boot);
		return true;
	case BOOT_WORK:
	case BOOT_OVER:
		op_done(&run->boot);
		return true;
	}
	ASSERT(!"a step of the list");
}

static bool step_judge(struct engine_run *run)
{
	switch (run->boot_step) {
	case BOOT_TARGET:
	case BOOT_REPLICA:
	case BOOT_VOLUME:
		return engine_network_judge(run->network);
	case BOOT_NEXUS:
		return engine_nexus_judge(run);
	case BOOT_WORK:
		return work_begin(run);
	case BOOT_OVER:
		return true;
	}
	ASSERT(!"a step of the list");
}

static void boot_rest(struct engine_run *run, uint64_t pause_ns)
{
	run->is_booting = false;
	if (run->is_ending)
		engine_end_go_on(run);
	else
		reactor_timer_start(&run->boot_timer, pause_ns);
}

static void boot_over(struct engine_run *run)
{
	run->is_booting = false;
	run->engine->is_up = true;
	sim_trace(run->engine->cluster->sim, "booted", run->engine->index, 0, 0);
	if (run->is_ending)
		engine_end_go_on(run);
	else if (run->nexus != NULL)
		engine_mend_begin(run);
}

static void boot_run(struct op *op)
{
	struct engine_run *run = container_of(op, struct engine_run, boot);

	run->is_booting = true;
	for (;;) {
		if (run->is_asking) {
			run->is_asking = false;
			if (!step_judge(run)) {
				boot_rest(run, BOOT_PAUSE_NS);
				return;
			}
			run->boot_step++;
		}
		while (!step_applies(run->engine, run->boot_step))
			run->boot_step++;
		if (run->boot_step == BOOT_OVER) {
			boot_over(run);
			return;
		}
		if (!step_submit(run)) {
			boot_rest(run, BOOT_PAUSE_NS);
			return;
		}
		run->is_asking = true;
		if (op_join(op) == OP_WAIT)
			return;
	}
}

static void boot_rested(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct engine_run, boot_timer)->boot);
}

void engine_boot_again(struct engine_run *run, enum boot_step step, uint64_t pause_ns)
{
	ASSERT(!run->is_booting && !run->is_asking);
	run->engine->is_up = false;
	run->boot_step = step;
	boot_rest(run, pause_ns);
}

/* ---- a process ---- */

static void log_write(struct log *log, const char *line)
{
	struct engine *engine = log->user;

	cluster_log(engine->cluster, engine->process, line);
}

static int drivers_register(struct engine_run *run)
{
	int rc = bdev_uring_register(run->registry);

	return rc < 0 ? rc : bdev_loopback_register(run->registry);
}

/* Half of the seeds have so little memory for data that waiting for it is an everyday thing. */
static void reactor_memory_draw(const struct sim *sim, struct reactor_options *options)
{
	struct prng stream;

	stream_init(&stream, sim->seed, "memory", 0);
	if (stream_chance(&stream, 1, 2)) {
		options->small_buffer_count = 64;
		options->large_buffer_count = 64;
		return;
	}
	options->small_buffer_count = (uint32_t)stream_draw(&stream, 4, 32);
	options->large_buffer_count = (uint32_t)stream_draw(&stream, 2, 12);
}

void cluster_reactors_create(struct sim_process *process, struct reactor **reactors, uint32_t count)
{
	struct reactor_options options;

	reactor_options_default(&options);
	reactor_memory_draw(process->sim, &options);
	for (uint32_t i = 0; i < count; i++) {
		int rc;

		options.index = i;
		rc = reactor_create(sim_process_os(process), &options, &reactors[i]);
		ASSERT(rc == 0);
		sim_reactor_add(process, reactors[i]);
	}
}

static void nexus_set_prepare(struct engine_run *run)
{
	struct nexus_set_options options = {
		.registry = run->registry,
		.recorder = &run->store.recorder,
		.log = &run->log,
		.record_wait_ns = RECORD_WAIT_NS,
		.rebuild_bytes_per_second = run->engine->cluster->options.rebuild_bytes_per_second,
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

	ASSERT(run != NULL && engine->run == NULL);
	engine->run = run;
	run->engine = engine;
	run->log = (struct log){.level = LOG_DEBUG, .write = log_write, .user = engine};
	run->reactor_count = engine->cluster->options.reactor_count;
	cluster_reactors_create(engine->process, run->reactors, run->reactor_count);
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
	reactor_timer_init(&run->boot_timer, main, boot_rested);
	engine_mend_init(run);
	engine_end_init(run);
	op_wake(&run->boot);
	run->is_booting = true;
	sim_leave(previous);
}

void engine_crash(struct engine *engine, enum sim_crash crash)
{
	struct cluster *cluster = engine->cluster;

	sim_event_cancel(cluster->sim, &engine->end);
	sim_event_cancel(cluster->sim, &engine->replace);
	sim_process_crash(engine->process, crash);
	engine->run = NULL;
	engine->is_up = false;
	if (engine->index == 0)
		cluster_nexus_crashed(cluster);
}

void engine_restart(struct engine *engine)
{
	sim_process_restart(engine->process);
	engine_boot(engine);
}

/* The operator makes it anew. */
static void replace_fire(struct sim_event *event)
{
	struct engine *engine = container_of(event, struct engine, replace);

	engine_crash(engine, SIM_KILLED);
	engine_restart(engine);
}

void engine_init(struct engine *engine, struct cluster *cluster, uint32_t index)
{
	engine->cluster = cluster;
	engine->index = index;
	engine->replace.fire = replace_fire;
}

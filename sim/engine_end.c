/* SPDX-License-Identifier: Apache-2.0 */
/* engine_end.c - the orderly end of an engine: everything is given back, and what is not is a leak.
 *
 * It waits until booting and mending rest. The last step belongs to the world: when the reactors
 * have nothing left to do they are destroyed, and then the process must hold no memory.
 */
#include "sim/engine_run.h"

#include "base/memory.h"
#include "sim/sim_impl.h"

#include <stdio.h>

#define LOOK_PAUSE_NS (10 * SIM_MS)
#define LOOKS_MAX     6000

static enum op_flow end_resume(struct engine_run *run)
{
	if (run->nexus == NULL || !run->is_paused)
		return OP_NEXT;
	run->request = (struct nexus_request){.parent = &run->end};
	op_wait(&run->end);
	nexus_resume_submit(run->nexus, &run->request);
	return op_join(&run->end);
}

static enum op_flow end_unshare(struct engine_run *run)
{
	if (run->network == NULL) {
		/* Local shape: the workload is idle. */
		workload_end(run->engine->cluster->hosts[0].workload);
		bdev_channel_close(run->channel);
		run->channel = NULL;
		return OP_NEXT;
	}
	op_wait(&run->end);
	engine_network_unshare_submit(run->network, &run->end);
	return op_join(&run->end);
}

static enum op_flow end_nexus(struct engine_run *run)
{
	if (run->nexus == NULL)
		return OP_NEXT;
	run->request = (struct nexus_request){.parent = &run->end};
	op_wait(&run->end);
	nexus_destroy_submit(run->nexus, &run->request);
	return op_join(&run->end);
}

static enum op_flow end_network(struct engine_run *run,
				void (*submit)(struct engine_network *network, struct op *parent))
{
	if (run->network == NULL)
		return OP_NEXT;
	op_wait(&run->end);
	submit(run->network, &run->end);
	return op_join(&run->end);
}

static void end_free(struct engine_run *run)
{
	struct engine *engine = run->engine;

	nexus_set_destroy(run->set);
	bdev_registry_destroy(run->registry);
	engine_network_destroy(run->network);
	engine->end_looks = 0;
	sim_event_schedule(engine->cluster->sim, &engine->end, 0);
}

static void end_run(struct op *op)
{
	struct engine_run *run = container_of(op, struct engine_run, end);
	enum op_flow flow = OP_NEXT;

	while (flow == OP_NEXT) {
		switch (run->end_step) {
		case END_RESUME:
			run->end_step = END_UNSHARE;
			flow = end_resume(run);
			break;
		case END_UNSHARE:
			run->end_step = END_NEXUS;
			flow = end_unshare(run);
			break;
		case END_NEXUS:
			if (run->nexus != NULL)
				cluster_reservations_gone(run->engine->cluster);
			run->end_step = END_REPLICA;
			flow = end_nexus(run);
			break;
		case END_REPLICA:
			if (run->nexus != NULL && run->request.result != NEXUS_DONE)
				cluster_fail(run->engine->cluster,
					     "a nexus cannot be destroyed: %s", run->request.error);
			if (run->nexus != NULL)
				cluster_nexus_ended(run->engine->cluster);
			run->end_step = END_DISK;
			flow = end_network(run, engine_network_unexport_submit);
			break;
		case END_DISK:
			run->end_step = END_TARGET;
			flow = end_network(run, engine_network_close_submit);
			break;
		case END_TARGET:
			run->end_step = END_FREE;
			flow = end_network(run, engine_network_target_end_submit);
			break;
		case END_FREE:
			end_free(run);
			return;
		}
	}
}

void engine_end_init(struct engine_run *run)
{
	op_init(&run->end, reactor_ready(run->reactors[0]), end_run);
}

void engine_end_go_on(struct engine_run *run)
{
	ASSERT(run->is_ending);
	if (!run->is_booting && !run->is_mending)
		op_wake(&run->end);
}

/* ---- by the world ---- */

bool cluster_reactors_rest(struct reactor *const *reactors, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (reactor_due_ns(reactors[i]) != UINT64_MAX ||
		    os_ring_has_completions(reactor_ring(reactors[i])))
			return false;
	}
	return true;
}

void cluster_process_end(struct cluster *cluster, struct sim_process *process,
			 struct reactor *const *reactors, uint32_t count, void *run)
{
	struct sim_process *previous = sim_enter(process);

	for (uint32_t i = 0; i < count; i++) {
		struct reactor *reactor = reactors[i];

		sim_reactor_remove(process, reactor);
		reactor_destroy(reactor);
	}
	memory_free(run);
	sim_leave(previous);
	if (sim_process_memory_bytes(process) != 0)
		cluster_fail(cluster, "%s ended in order and holds %zu bytes still",
			     sim_process_name(process), sim_process_memory_bytes(process));
	sim_process_crash(process, SIM_KILLED);
}

static void end_fire(struct sim_event *event)
{
	struct engine *engine = container_of(event, struct engine, end);
	struct cluster *cluster = engine->cluster;
	struct engine_run *run = engine->run;
	bool is_restarting = run->is_restarting;

	if (!cluster_reactors_rest(run->reactors, run->reactor_count)) {
		if (engine->end_looks++ == LOOKS_MAX)
			cluster_fail(cluster, "%s ended in order and its reactors go on",
				     sim_process_name(engine->process));
		sim_event_schedule(cluster->sim, event, LOOK_PAUSE_NS);
		return;
	}
	sim_trace(cluster->sim, "ended", engine->index, 0, 0);
	cluster_process_end(cluster, engine->process, run->reactors, run->reactor_count, run);
	engine->run = NULL;
	if (is_restarting)
		engine_restart(engine);
}

bool engine_shutdown(struct engine *engine, bool is_restarting)
{
	struct engine_run *run = engine->run;
	struct sim_process *previous;

	if (run == NULL || run->is_ending)
		return false;
	sim_trace(engine->cluster->sim, "shutdown", engine->index, is_restarting, 0);
	run->is_ending = true;
	run->is_restarting = is_restarting;
	engine->is_up = false;
	engine->end.fire = end_fire;
	previous = sim_enter(engine->process);
	reactor_timer_stop(&run->boot_timer);
	reactor_timer_stop(&run->mend_timer);
	/* What has rested may have been woken already; then it rests again soon. */
	if (!op_is_idle(&run->boot))
		run->is_booting = true;
	if (!op_is_idle(&run->mend))
		run->is_mending = true;
	engine_end_go_on(run);
	sim_leave(previous);
	return true;
}

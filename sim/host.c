/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - a host's process: connects one path after the other, then begins to work.
 *
 * Two controllers of one subsystem have one uuid, which a registry lists once only: each path has a
 * registry of its own.
 */
#include "sim/host.h"

#include "base/memory.h"
#include "initiator/initiator.h"
#include "reactor/reactor.h"
#include "sim/cluster.h"
#include "sim/engine_network.h"
#include "sim/sim_impl.h"

#include <stdio.h>

#define REACTORS_OF_HOST 2
#define BOOT_PAUSE_NS	 (300 * SIM_MS)
#define LOOK_PAUSE_NS	 (10 * SIM_MS)
#define LOOKS_MAX	 6000
#define HOUR_MS		 (3600u * 1000)

enum host_step {
	HOST_CONNECT,
	HOST_CONNECTED,
	HOST_WORK,
	HOST_UP,
};

struct host_run {
	struct host *host;
	struct reactor *reactors[REACTORS_OF_HOST];
	uint32_t reactor_count;
	struct log log;
	struct bdev_registry *registries[HOST_PATHS];
	struct op boot;
	enum host_step step;
	uint32_t path; /* that is being connected */
	struct reactor_timer boot_timer;
	struct bdev_create creates[HOST_PATHS];
	struct bdev *bdevs[HOST_PATHS];
	struct paths *paths;
	struct bdev_channel *channel;
	/* the orderly end */
	struct op end;
	bool is_ending;
	bool is_closed;
	struct bdev_destroy destroys[HOST_PATHS];
	uint32_t looks;
};

/* ---- connecting ---- */

static void connect_submit(struct host_run *run)
{
	const struct cluster *cluster = run->host->cluster;
	struct bdev_create *create = &run->creates[run->path];

	*create =
		(struct bdev_create){.parent = &run->boot, .registry = run->registries[run->path]};
	engine_network_volume_uri(cluster->engines[0].process, HOST_PATH_PORT(run->path),
				  create->uri_text);
	op_wait(&run->boot);
	bdev_create_submit(create);
}

static bool work_begin(struct host_run *run)
{
	struct host *host = run->host;
	const struct cluster_options *options = &host->cluster->options;
	struct paths_options paths = {
		.give_up_ns = options->path_give_up_ns,
		.pause_ns = (50 + host->index * 130) * SIM_MS,
		.is_round_robin = host->index % 2 == 1,
		.stats = &host->paths,
	};

	for (uint32_t i = 0; i < HOST_PATHS; i++)
		paths.bdevs[i] = run->bdevs[i];
	if (run->paths == NULL)
		run->paths = paths_create(&paths);
	if (run->paths == NULL ||
	    bdev_channel_open(paths_bdev(run->paths), run->reactors[run->reactor_count - 1],
			      &run->channel) < 0)
		return false;
	ASSERT(paths_bdev(run->paths)->block_count == cluster_block_count(options));
	for (uint32_t i = 0; i < HOST_PATHS; i++)
		workload_set_path(host->workload, i, paths_channel(run->channel, i));
	workload_start(host->workload, run->channel);
	return true;
}

static void boot_rest(struct host_run *run)
{
	reactor_timer_start(&run->boot_timer, BOOT_PAUSE_NS);
}

static void boot_run(struct op *op)
{
	struct host_run *run = container_of(op, struct host_run, boot);

	for (;;) {
		switch (run->step) {
		case HOST_CONNECT:
			if (run->path == HOST_PATHS) {
				run->step = HOST_WORK;
				break;
			}
			run->step = HOST_CONNECTED;
			connect_submit(run);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case HOST_CONNECTED:
			run->step = HOST_CONNECT;
			if (run->creates[run->path].result < 0) {
				log_warn(&run->log, "boot: %s", run->creates[run->path].error);
				boot_rest(run);
				return;
			}
			run->bdevs[run->path] = run->creates[run->path].bdev;
			run->path++;
			break;
		case HOST_WORK:
			if (!work_begin(run)) {
				boot_rest(run);
				return;
			}
			run->step = HOST_UP;
			break;
		case HOST_UP:
			run->host->is_up = true;
			return;
		}
	}
}

static void boot_rested(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct host_run, boot_timer)->boot);
}

/* ---- the orderly end ---- */

static void end_run(struct op *op)
{
	struct host_run *run = container_of(op, struct host_run, end);
	struct host *host = run->host;

	if (!run->is_closed) {
		run->is_closed = true;
		for (uint32_t i = 0; i < HOST_PATHS; i++)
			workload_set_path(host->workload, i, NULL);
		workload_end(host->workload);
		bdev_channel_close(run->channel);
		paths_destroy(run->paths);
		for (uint32_t i = 0; i < HOST_PATHS; i++) {
			run->destroys[i] =
				(struct bdev_destroy){.parent = op, .bdev = run->bdevs[i]};
			op_wait(op);
			bdev_destroy_submit(run->registries[i], &run->destroys[i]);
		}
		if (op_join(op) == OP_WAIT)
			return;
	}
	for (uint32_t i = 0; i < HOST_PATHS; i++) {
		if (run->destroys[i].result < 0)
			cluster_fail(host->cluster, "a path of %s cannot be destroyed: %s",
				     sim_process_name(host->process), run->destroys[i].error);
		bdev_registry_destroy(run->registries[i]);
	}
	sim_event_schedule(host->cluster->sim, &host->end, 0);
}

static void end_fire(struct sim_event *event)
{
	struct host *host = container_of(event, struct host, end);
	struct cluster *cluster = host->cluster;
	struct host_run *run = host->run;

	if (!cluster_reactors_rest(run->reactors, run->reactor_count)) {
		if (run->looks++ == LOOKS_MAX)
			cluster_fail(cluster, "%s ended in order and its reactors go on",
				     sim_process_name(host->process));
		sim_event_schedule(cluster->sim, event, LOOK_PAUSE_NS);
		return;
	}
	cluster_process_end(cluster, host->process, run->reactors, run->reactor_count, run);
	host->run = NULL;
}

void host_shutdown(struct host *host)
{
	struct host_run *run = host->run;
	struct sim_process *previous;

	ASSERT(host->is_up && !run->is_ending && workload_is_idle(host->workload));
	sim_trace(host->cluster->sim, "shutdown", sim_process_index(host->process), 0, 0);
	run->is_ending = true;
	host->is_up = false;
	host->end.fire = end_fire;
	previous = sim_enter(host->process);
	op_wake(&run->end);
	sim_leave(previous);
}

/* ---- a process ---- */

static void log_write(struct log *log, const char *line)
{
	struct host *host = log->user;

	cluster_log(host->cluster, host->process, line);
}

static void registries_create(struct host_run *run)
{
	struct initiator_options options;
	int rc;

	host_initiator_options(run->host, &run->log, &options);
	for (uint32_t i = 0; i < HOST_PATHS; i++) {
		rc = bdev_registry_create(run->reactors[0], &run->registries[i]);
		ASSERT(rc == 0);
		rc = initiator_register(run->registries[i], &options);
		ASSERT(rc == 0);
	}
}

void host_initiator_options(const struct host *host, struct log *log,
			    struct initiator_options *ret_options)
{
	engine_network_initiator_options(&host->cluster->options, host->process, log, ret_options);
	ret_options->io_timeout_ms = 10000;
	ret_options->ctrl_loss_timeout_ms = 24 * HOUR_MS;
	ret_options->is_sole = false; /* there are two paths */
	ret_options->is_retrying = host->cluster->options.is_host_retrying;
	ret_options->fail_fast_ms = ret_options->is_retrying ? HOUR_MS : 0;
}

void host_boot(struct host *host)
{
	struct sim_process *previous = sim_enter(host->process);
	struct host_run *run = memory_alloc(sizeof(*run));

	ASSERT(run != NULL && host->run == NULL);
	host->run = run;
	run->host = host;
	run->log = (struct log){.level = LOG_DEBUG, .write = log_write, .user = host};
	run->reactor_count = host->cluster->options.reactor_count;
	cluster_reactors_create(host->process, run->reactors, run->reactor_count);
	registries_create(run);
	op_init(&run->boot, reactor_ready(run->reactors[0]), boot_run);
	op_init(&run->end, reactor_ready(run->reactors[0]), end_run);
	reactor_timer_init(&run->boot_timer, run->reactors[0], boot_rested);
	op_wake(&run->boot);
	sim_leave(previous);
}

void host_crash(struct host *host, enum sim_crash crash)
{
	sim_event_cancel(host->cluster->sim, &host->end);
	workload_crashed(host->workload);
	sim_process_crash(host->process, crash);
	host->run = NULL;
	host->is_up = false;
}

void host_restart(struct host *host)
{
	sim_process_restart(host->process);
	host_boot(host);
}

bool host_reset(struct host *host, uint32_t paths)
{
	struct host_run *run = host->run;
	struct sim_process *previous;
	bool is_reset = false;

	if (run == NULL || run->is_ending)
		return false;
	previous = sim_enter(host->process);
	for (uint32_t i = 0; i < HOST_PATHS; i++) {
		if ((paths & 1u << i) != 0 && run->bdevs[i] != NULL)
			is_reset |= initiator_reset(run->bdevs[i]) == 0;
	}
	sim_leave(previous);
	if (is_reset)
		sim_trace(host->cluster->sim, "host reset", host->index, paths, 0);
	return is_reset;
}

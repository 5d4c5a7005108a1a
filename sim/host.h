/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - a host: a machine whose process reaches the volume over two paths and works on it.
 *
 * A path is a controller of its own (admin and I/O connections) of the initiator; path p goes
 * to port HOST_PATH_PORT(p) of the nexus' engine, which is plane p of the network. Over both lies a
 * multipath device (paths.h), and on that runs the host's workload, which belongs to the world and
 * outlives crashes.
 *
 * In the local shape the only host is the engine itself: it has no process of its own, and its
 * workload runs on the nexus' bdev.
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "sim/paths.h"
#include "sim/sim.h"
#include "sim/workload.h"

#define HOSTS_MAX 4

struct cluster;
struct host_run;
struct initiator_options;
struct log;

struct host {
	struct cluster *cluster;
	uint32_t index;
	struct sim_process *process; /* NULL in the local shape */
	struct workload *workload;
	struct paths_stats paths;
	struct host_run *run; /* of the incarnation; NULL while down */
	struct sim_event end; /* private: of an orderly end */
	bool is_up;	      /* both paths are connected and the workload runs */
};

/* All of these: between turns, never from inside one (sim.h). */

/** Begins the boot of a process that runs and has nothing yet. */
void host_boot(struct host *host);
void host_crash(struct host *host, enum sim_crash crash);
/** Begins the orderly end: the workload is idle. What is left over then is a leak. */
void host_shutdown(struct host *host);
/** Restarts the process and boots. */
void host_restart(struct host *host);
/**
 * host_reset - disconnect and connect again, as `nvme reset` does
 * @paths: bit p for path p. What is in flight there is answered with an error and repeated over
 * the other path, or waits. Return: false when nothing could be reset (down, or not connected).
 */
bool host_reset(struct host *host, uint32_t paths);

/** How its initiators behave. */
void host_initiator_options(const struct host *host, struct log *log,
			    struct initiator_options *ret_options);

#endif

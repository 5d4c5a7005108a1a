/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - the processes of a campaign: engines with a disk each, and a host.
 *
 * Engine 0 runs the nexus over all disks. Engines 1.. export theirs over NVMe/TCP. The host
 * reaches the nexus over NVMe/TCP too; in the local shape there is one engine with all disks,
 * and the workload runs on the nexus' bdev itself.
 *
 * Everything an engine has lives in the memory of its process and vanishes with it; struct engine
 * is what the machine's owner knows.
 */
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include "nexus/nexus.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"
#include "sim/store.h"
#include "sim/workload.h"

#define ENGINES 3

struct cluster;
struct engine_run;

struct engine {
	struct cluster *cluster;
	uint32_t index; /* ENGINES: the host */
	struct sim_process *process;
	struct sim_disk *disk;
	struct engine_run *run;	  /* of the incarnation; NULL while down */
	struct sim_event replace; /* of a nexus that has stopped itself */
	bool is_up;		  /* everything that it should serve is there */
};

struct cluster_options {
	uint64_t volume_bytes; /* asked for */
	uint32_t block_bytes;
	uint32_t reactor_count; /* of each engine: 1 or 2 */
	uint32_t slot_count;
	uint64_t pause_ns_max;
	bool is_local;
	bool is_host_retrying;
	bool has_digests;
	/* Reads that returned a write without an answer bind the volume across its crash. */
	bool is_strict;
	FILE *log_file; /* NULL: silent */
};

struct cluster {
	struct sim *sim;
	struct cluster_options options;
	struct engine engines[ENGINES];
	struct engine host; /* unused in the local shape */
	struct store *store;
	struct workload *workload;
	/* as the nexus tells, at most half a second old */
	enum nexus_state state;
	uint32_t children_online;
	uint32_t rebuild_count;
	uint64_t seen_ns;
	char reason[ERROR_TEXT_BYTES];
	/* whether the nexus' children are mended; off while a fault wants them as they are */
	bool is_mending;
};

/** Makes the machines and boots them. */
void cluster_init(struct cluster *cluster, struct sim *sim, const struct cluster_options *options);
/** After the world's end. */
void cluster_deinit(struct cluster *cluster);

/** Begins the boot of a process that runs and has nothing yet. */
void engine_boot(struct engine *engine);
void engine_crash(struct engine *engine, enum sim_crash crash);
/** Restarts the process and boots. */
void engine_restart(struct engine *engine);

/** All copies are in the nexus, in sync, and the report is fresh. */
bool cluster_is_healthy(const struct cluster *cluster);
/** The engine that holds @child's disk. */
struct sim_disk *cluster_disk(struct cluster *cluster, uint32_t child);
/** Does the durable record call the child healthy? */
bool cluster_is_recorded_healthy(const struct cluster *cluster, uint32_t child);
/** Is it recorded healthy, and has its machine not lost its power since? */
bool cluster_has_kept_power(const struct cluster *cluster, uint32_t child);
/** Usable blocks of the volume. */
uint64_t cluster_block_count(const struct cluster_options *options);

#endif

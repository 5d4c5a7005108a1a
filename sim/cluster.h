/* SPDX-License-Identifier: Apache-2.0 */
/* cluster.h - all machines of a campaign: engines with a disk each, hosts, and the store.
 *
 * Engine 0 runs the nexus. Every engine has one disk that can hold a copy of the volume; which of
 * them do is planned in @placed and changes when a copy moves. The copy on engine e's disk is
 * child e of the nexus. Engine 0 uses its own disk directly, the others export theirs over
 * NVMe/TCP. In the local shape one process (engine 0) has all disks.
 *
 * Machines are numbered for faults: 0 .. engine_count - 1 the engines, then the hosts.
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "sim/engine.h"
#include "sim/history.h"
#include "sim/host.h"
#include "sim/sim_disk.h"
#include "sim/store.h"

#define COPIES_MAX   4
#define MACHINES_MAX (ENGINES_MAX + HOSTS_MAX)

struct cluster_options {
	uint64_t volume_bytes; /* asked for */
	uint32_t block_bytes;
	uint32_t engine_count;	/* 2 .. ENGINES_MAX; local: disks of the one engine */
	uint32_t copy_count;	/* 2 .. COPIES_MAX */
	uint32_t host_count;	/* 1 .. HOSTS_MAX; local: 1 */
	uint32_t reactor_count; /* of each engine: 1 or 2 */
	uint32_t slot_count;	/* at most, of each host's workload; 0: as its mix says */
	uint32_t kato_ms;
	bool is_local;
	bool is_host_retrying; /* the initiator itself repeats after a reconnect, too */
	bool has_digests;
	uint64_t ghost_ns;		   /* history.h */
	uint64_t path_give_up_ns;	   /* paths.h */
	uint64_t rebuild_bytes_per_second; /* 0: no limit */
	bool has_reservations;
	bool are_reservations_kept; /* through crashes of their target, where hosts ask for it */
	/* Reads that returned a write without an answer bind the volume across its crash. */
	bool is_strict;
	FILE *log_file; /* NULL: silent */
};

struct cluster {
	struct sim *sim;
	struct cluster_options options;
	struct engine engines[ENGINES_MAX];
	struct host hosts[HOSTS_MAX];
	struct store *store;
	struct history *history;		       /* of the volume, shared by all hosts */
	struct reservation_check *reservations;	       /* NULL: none */
	struct reservation_keeper *reservation_keeper; /* NULL: nobody keeps them */
	struct prng control;			       /* the control plane's own numbers */
	uint32_t placed;  /* bit e: the plan wants a copy on engine e */
	uint32_t leaving; /* of these, the ones that leave it once all are in sync */
	/* what the operator wants done; nothing is mended until the hold is over */
	enum engine_wish wish;
	uint32_t wish_child;
	uint64_t wish_hold_ns;
	uint64_t hold_until_ns;
	/* as the nexus told last */
	enum nexus_state state;
	uint32_t children_online; /* bit e */
	uint32_t children_known;  /* bit e */
	uint32_t rebuild_count;
	uint64_t seen_ns;
	char reason[ERROR_TEXT_BYTES];
	uint64_t look_pause_ns_max;   /* while all is well */
	char error[ERROR_TEXT_BYTES]; /* what the cluster itself found wrong, e.g. a leak */
};

/** Makes the machines and boots them. */
void cluster_init(struct cluster *cluster, struct sim *sim, const struct cluster_options *options);
/** After the world's end. */
void cluster_deinit(struct cluster *cluster);

/** Engines, then hosts; in the local shape one. */
uint32_t cluster_machine_count(const struct cluster *cluster);
struct sim_process *cluster_machine(struct cluster *cluster, uint32_t machine);

/** All copies of the plan are in the nexus, in sync, nothing else is; told since @since_ns. */
bool cluster_is_healthy(const struct cluster *cluster, uint64_t since_ns);
/** Lets the nexus tell soon. Between turns only. */
void cluster_look(struct cluster *cluster);
/** The disk of engine @engine (local: of that number). */
struct sim_disk *cluster_disk(struct cluster *cluster, uint32_t engine);
/** Does the durable record call the copy on @engine's disk healthy? */
bool cluster_is_recorded_healthy(const struct cluster *cluster, uint32_t engine);
/** Is it recorded healthy, and has its machine not lost its power since? */
bool cluster_has_kept_power(const struct cluster *cluster, uint32_t engine);
/** Of every disk in the beginning. */
uint64_t cluster_disk_bytes(const struct cluster_options *options);
/** Usable blocks of the volume. */
uint64_t cluster_block_count(const struct cluster_options *options);
/** Tells the history that all copies have lost their power. */
void cluster_power_was_cut(struct cluster *cluster);
/** What the workloads' checkers found; NULL while all is well. */
const char *cluster_data_error(const struct cluster *cluster);
/** Sums over all hosts. */
void cluster_stats(const struct cluster *cluster, struct workload_stats *ret_stats);

/* ---- for the files of engines and hosts ---- */

/** The first reason stays. */
void cluster_fail(struct cluster *cluster, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void cluster_log(struct cluster *cluster, const struct sim_process *process, const char *line);
/** Who put the copies in order, or answered for reservations, is gone. */
void cluster_nexus_crashed(struct cluster *cluster);
/** It has ended in order. If that could not be recorded the next one knows no more than after a
 * crash: also a copy whose loss is not in the record may be believed. */
void cluster_nexus_ended(struct cluster *cluster);
void cluster_reservations_gone(struct cluster *cluster);
/** Context: the process. */
void cluster_reactors_create(struct sim_process *process, struct reactor **reactors,
			     uint32_t count);
/** Have they nothing to do, now and later? */
bool cluster_reactors_rest(struct reactor *const *reactors, uint32_t count);
/** Destroys the reactors and frees @run; what is held then is a leak. */
void cluster_process_end(struct cluster *cluster, struct sim_process *process,
			 struct reactor *const *reactors, uint32_t count, void *run);

#endif

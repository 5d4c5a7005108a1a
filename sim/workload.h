/* SPDX-License-Identifier: Apache-2.0 */
/* workload.h - a host's random I/O on a volume, every answer checked against the history.
 *
 * The workload belongs to the world and survives crashes of the process that runs it; what was
 * in flight at a crash counts as unknown. Its operations run on the reactor of the channel.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "block/bdev.h"
#include "sim/history.h"
#include "sim/sim.h"

#define WORKLOAD_SLOTS_MAX 32

struct workload;

struct workload_options {
	struct sim *sim;
	uint64_t block_count; /* of the volume */
	uint32_t block_bytes;
	uint32_t slot_count;   /* operations at a time */
	uint64_t pause_ns_max; /* between two operations of a slot */
	bool has_unmap;
	bool is_strict;	   /* history.h */
	bool is_repeating; /* the host repeats writes after a reconnect */
};

struct workload *workload_create(const struct workload_options *options);
void workload_destroy(struct workload *workload);
struct history *workload_history(struct workload *workload);

/** Begins, or begins again after a crash. Context: the process of @channel. */
void workload_start(struct workload *workload, struct bdev_channel *channel);
/** The process is gone: forget what was in flight. */
void workload_crashed(struct workload *workload);
/** Lets what is in flight end and begins nothing new. */
void workload_stop(struct workload *workload);
bool workload_is_idle(const struct workload *workload);
/** Goes on after a stop. */
void workload_resume(struct workload *workload);

/** Reads the whole volume once, then stops. Idle when done. */
void workload_verify(struct workload *workload);

struct workload_stats {
	uint64_t done;	 /* operations answered OK */
	uint64_t failed; /* and otherwise */
	uint64_t last_done_ns;
};
const struct workload_stats *workload_stats(const struct workload *workload);
/** What the checker found, NULL while all is well. */
const char *workload_error(const struct workload *workload);

#endif

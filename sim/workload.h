/* SPDX-License-Identifier: Apache-2.0 */
/* workload.h - one host's random I/O on a volume, every answer checked against the history.
 *
 * The workload belongs to the world and survives crashes of the process that runs it; what was
 * in flight at a crash counts as unknown. Its operations run on the reactor of the channel.
 * Several workloads, one a host, share the volume, its history and its reservation check.
 * It draws from a stream of its own, split from the seed by the host's number.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "block/bdev.h"
#include "sim/history.h"
#include "sim/sim.h"
#include "sim/workload_mix.h"

#define WORKLOAD_PATHS_MAX 2

struct reservation_check;
struct workload;

struct workload_options {
	struct sim *sim;
	uint32_t host;		 /* 0 .. HISTORY_HOSTS_MAX - 1 */
	struct history *history; /* of the volume; outlives the workload */
	/* NULL: no reservations, and a conflict is a failure like any other */
	struct reservation_check *reservations;
	uint64_t block_count; /* of the volume */
	uint32_t block_bytes;
	bool is_repeating; /* the host repeats writes after a reconnect */
	struct workload_mix mix;
};

struct workload *workload_create(const struct workload_options *options);
void workload_destroy(struct workload *workload);

/** Begins, or begins again after a crash. Context: the process of @channel. */
void workload_start(struct workload *workload, struct bdev_channel *channel);
/**
 * workload_set_path - a channel of an initiator's bdev, on the reactor of the workload's channel
 * Reservation commands go over these; NULL: not there (any more). Nothing is in flight then, or the
 * process is gone. A workload whose own channel is an initiator's needs none.
 */
void workload_set_path(struct workload *workload, uint32_t path, struct bdev_channel *channel);
/** An orderly end of the process: idle after a stop; its memory is given back, channels forgotten.
 */
void workload_end(struct workload *workload);
/** The process is gone: forget what was in flight, and all channels. */
void workload_crashed(struct workload *workload);
/** For a multipath device: @io, which came from a workload, is sent again while its first copy may
 * be alive. */
void workload_io_repeated(struct bdev_io *io);

/** Lets what is in flight end and begins nothing new. */
void workload_stop(struct workload *workload);
bool workload_is_idle(const struct workload *workload);
/** Goes on after a stop. */
void workload_resume(struct workload *workload);
/** Pauses of a slot are up to @pause_ns_max from now on; 0: as the mix says. */
void workload_set_pace(struct workload *workload, uint64_t pause_ns_max);

/** Reads the whole volume once, then stops. Idle when done. */
void workload_verify(struct workload *workload);

/**
 * workload_canary - spoils the answer of one read, the next fitting one after @operations
 * A flipped bit, two blocks exchanged, or a content that was overwritten, drawn. A campaign in
 * which that is not noticed has no checker.
 */
void workload_canary(struct workload *workload, uint64_t operations);
/** Has it been done? */
bool workload_canary_is_sung(const struct workload *workload);

struct workload_stats {
	uint64_t done;		    /* operations answered OK */
	uint64_t failed;	    /* and otherwise */
	uint64_t conflicts;	    /* of the failed: refused because of a reservation */
	uint64_t of[IO_TYPE_COUNT]; /* answered OK, by type */
	uint64_t miscompares;	    /* counted in of[IO_COMPARE] */
	uint64_t reservations;	    /* reservation commands answered */
	uint64_t swaps;		    /* compare and write as one, done */
	uint64_t probes;	    /* reads right after an error, of the same blocks */
	uint64_t last_done_ns;
};
const struct workload_stats *workload_stats(const struct workload *workload);
/** When the oldest operation in flight began; HISTORY_NEVER_NS: none. */
uint64_t workload_oldest_ns(const struct workload *workload);
/** What the checker found, NULL while all is well. */
const char *workload_error(const struct workload *workload);

#endif

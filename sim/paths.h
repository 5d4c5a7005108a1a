/* SPDX-License-Identifier: Apache-2.0 */
/* paths.h - a small multipath device: one bdev over several paths to the same namespace.
 *
 * An I/O that comes back with an error of its path (device gone, timed out, not ready, aborted,
 * failed) is repeated at once over the next path, while the first command may still be alive
 * somewhere in the network or at the controller, as Linux does. When all paths have failed it
 * waits a little and goes round again, until its time is up; then the last error is its answer.
 * What another path would not change (miscompare, reservation conflict, no space, medium errors,
 * invalid commands) is answered as it is.
 */
#ifndef SIM_PATHS_H
#define SIM_PATHS_H

#include "block/bdev.h"

#define HOST_PATHS	  2
#define HOST_PATH_PORT(p) ((uint16_t)(8420 + (p))) /* a plane of the network each (sim_net.h) */

struct paths;

struct paths_options {
	struct bdev *bdevs[HOST_PATHS]; /* they outlive it */
	uint64_t give_up_ns;		/* from submission to the error */
	uint64_t pause_ns;		/* after the first round; doubles up to about 1 s */
	bool is_round_robin;		/* every I/O begins on another path */
	struct paths_stats *stats;	/* outlives it */
};

/** Context: main reactor of the bdevs. NULL when there is no memory. */
struct paths *paths_create(const struct paths_options *options);
/** No channel is open. NULL is allowed. */
void paths_destroy(struct paths *paths);
struct bdev *paths_bdev(struct paths *paths);

/** The path's own channel below @channel, which is one of paths_bdev(): for reservations. */
struct bdev_channel *paths_channel(struct bdev_channel *channel, uint32_t path);

/* Of the world; counts go on over crashes of the process. */
struct paths_stats {
	uint64_t repeats;  /* an I/O was sent again, over the same or the other path */
	uint64_t failures; /* answered with an error that another path might not have had */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* campaign_shape.h - what a seed is like, and scripts, which say so as text.
 *
 * A script has one statement a line; blank lines and lines that begin with # are skipped. Every
 * line can be left out on its own. What a script does not name is drawn from the seed as ever, but
 *  - `seed N`           stands for --seed N;
 *  - `NAME NUMBER`      replaces what the seed would have drawn (names: campaign_shape_names());
 *  - `operator ...`     actions of the control plane: exactly these (cluster_operator.h);
 *  - `fault ...`        faults: exactly these (nemesis.h).
 * So a script without any operator or fault line has none of them.
 */
#ifndef SIM_CAMPAIGN_SHAPE_H
#define SIM_CAMPAIGN_SHAPE_H

#include "sim/cluster_operator.h"
#include "sim/nemesis.h"

#define SHAPE_SEGMENT_BYTES (128 * 1024)

/* All numbers of a shape are drawn in this order from a stream of their own. */
struct campaign_shape {
	uint64_t local; /* 1: one engine has all disks, and no network */
	uint64_t engines;
	uint64_t copies;
	uint64_t hosts;
	uint64_t segments; /* size of the volume */
	uint64_t block_bytes;
	uint64_t reactors;
	uint64_t slots; /* at most, of a host; 0: as its mix says */
	uint64_t digests;
	uint64_t kato_ms;
	uint64_t host_retrying; /* initiators of hosts repeat by themselves, too */
	uint64_t give_up_ms;	/* of the hosts' multipath devices */
	uint64_t reservations;	/* 0: none, 1: gone with their target, 2: kept */
	uint64_t rebuild_kib;	/* a second, of each rebuild; 0: no limit */
	/* 1: the network may hold back commands of hosts for long; later writes do not settle them
	 */
	uint64_t ghosts;
	uint64_t bursts;
	uint64_t burst_seconds;
	uint64_t operations;	 /* of all hosts in a burst, about */
	uint64_t quiet_seconds;	 /* after each burst */
	uint64_t fault_pause_ms; /* at most, between the beginnings of two faults */
	uint64_t sparing;	 /* 1: one copy is spared, and no host may see an error */
};

struct campaign_script {
	bool has_seed;
	uint64_t seed;
	uint32_t given; /* bit by the place of a number in the shape */
	struct campaign_shape shape;
	struct operator_script operator;
	struct nemesis_script *faults;
};

/** Return: false and one sentence. */
bool campaign_script_read(struct campaign_script *script, const char *path,
			  char ret_error[ERROR_TEXT_BYTES]);
void campaign_script_deinit(struct campaign_script *script);

/** What @sim's seed draws. @script: NULL or what it says instead. */
void campaign_shape_draw(const struct sim *sim, const struct campaign_script *script, bool is_local,
			 struct campaign_shape *ret_shape);
void campaign_shape_write(const struct campaign_shape *shape, FILE *file);

#endif

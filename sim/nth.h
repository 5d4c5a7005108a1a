/* SPDX-License-Identifier: Apache-2.0 */
/* nth.h - fail the n-th: a scripted life of some processes, again and again, each time with
 * another call through the os and memory seams failing.
 *
 * A scenario is a list of steps. A run plays them in order in a new world. While a step runs, calls
 * are counted, and the n-th of the whole run fails: alone, with all later ones of its kind, or
 * with all later ones until the step has ended. Then the fault is over, and it must hold:
 *
 *  1. The step succeeded, or said why not: a text that names its object.
 *  2. Everything that can be seen from outside (devices, claims, channels, exports, connections,
 *     volumes, records, files, bytes of memory) is soon as it was before the step, or as it is
 *     after the step in a run without faults; after a step that succeeded only the latter.
 *  3. A step that failed succeeds when it is repeated, and everything is then as after it.
 *  4. What was written is read.
 *  5. At the end no process holds memory, and no connection is left.
 *
 * Every step waits for a bounded time of the simulation.
 */
#ifndef SIM_NTH_H
#define SIM_NTH_H

#include "base/limits.h"
#include "base/log.h"
#include "block/bdev_registry.h"
#include "reactor/reactor.h"
#include "sim/nth_faults.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"
#include "sim/sim_net.h"
#include "target/target.h"

#include <stdio.h>

#define NTH_BOXES_MAX	  4
#define NTH_REACTORS_MAX  2
#define NTH_IO_BYTES_MAX  65536
#define NTH_STATE_BYTES	  16384 /* of a description */
#define NTH_STEPS_MAX	  64
#define NTH_BAD_BYTES	  2048
#define NTH_BLOCK_BYTES	  512
#define NTH_DISK_PATH	  "/dev/disk"
#define NTH_STEP_NS_MAX	  (200 * SIM_S)
#define NTH_SETTLE_NS_MAX (300 * SIM_S)

struct nth_run;

/* A process and what it usually has. */
struct nth_box {
	struct nth_run *run;
	struct sim_process *process;
	struct reactor *reactors[NTH_REACTORS_MAX];
	uint32_t reactor_count;
	struct bdev_registry *registry;
	struct target *target;
	struct log log;
	/* the operation that the script waits for */
	struct op op;
	bool is_over;
	struct bdev_create create;
	struct bdev_destroy destroy;
	struct bdev_io io;
	struct iovec iov;
	_Alignas(4096) uint8_t bytes[NTH_IO_BYTES_MAX];
};

struct nth_step {
	const char *name;
	/** Return: true when it succeeded; else run->error says why. */
	bool (*play)(struct nth_run *run);
	uint32_t argument; /* run->argument while it plays */
};

struct nth_scenario {
	const char *name;
	size_t state_bytes; /* run->state, zeroed */
	/** Makes boxes and disks; no faults yet. */
	void (*begin)(struct nth_run *run);
	const struct nth_step *steps;
	uint32_t step_count;
	/** What a control plane would do after a fault, until all is well. NULL: nothing. Return:
	 * false when it is not; run->error says why. */
	bool (*settle)(struct nth_run *run);
	/** Adds to the description of the boxes. NULL: nothing to add. */
	void (*describe)(struct nth_run *run, FILE *out);
	uint64_t points_min; /* a script that suddenly does less is broken */
};

struct nth_run {
	const struct nth_scenario *scenario;
	struct sim *sim;
	struct nth_faults *faults;
	struct nth_box *boxes[NTH_BOXES_MAX];
	uint32_t box_count;
	void *state;
	FILE *log_file;			  /* NULL: silent */
	char error[2 * ERROR_TEXT_BYTES]; /* of the step */
	char object[NAME_BYTES_MAX];	  /* what that must name; "": anything */
	const char *part;		  /* or this one, of which the object consists; NULL */
	char bad[NTH_BAD_BYTES];	  /* "" while all is well */
	uint32_t argument;		  /* of the step that plays */
	uint32_t step;
};

/* What the run without faults showed after each step; entry 0: before the first. */
struct nth_reference {
	char *states[NTH_STEPS_MAX + 1];
};

struct nth_play {
	const struct nth_scenario *scenario;
	struct nth_faults *faults;	 /* which call fails; none: the reference is taken */
	struct nth_reference *reference; /* to compare with, or to be filled */
	FILE *log_file;			 /* NULL: silent */
	_Atomic uint32_t *step;		 /* told which one plays, for who looks after a crash */
	char bad[NTH_BAD_BYTES];	 /* what is wrong, "" for nothing */
};

/** Return: false when play->bad says what is wrong. */
bool nth_play(struct nth_play *play);

__attribute__((format(printf, 2, 3))) void nth_bad(struct nth_run *run, const char *format, ...);
/** For a step that failed. Return: false. */
__attribute__((format(printf, 2, 3))) bool nth_error(struct nth_run *run, const char *format, ...);

/* ---- nth_box.c: what the scripts are made of ---- */

struct nth_box *nth_box_add(struct nth_run *run, const char *name, const char *ip);
/** Its machine has a disk at NTH_DISK_PATH. */
void nth_disk_add(struct nth_box *box, uint64_t size_bytes);
/** Steps: reactors with a registry and the drivers of block/; and their end. */
bool nth_box_start(struct nth_box *box, uint32_t reactor_count);
bool nth_box_stop(struct nth_box *box);
void nth_box_describe(struct nth_box *box, FILE *out);

/** The box becomes the current process, its reactors are awake; until sim_leave(NULL). */
void nth_enter(struct nth_box *box);
/** The same, and its op waits for one answer on @reactor. */
void nth_begin(struct nth_box *box, struct reactor *reactor);
/** Lets time pass until the answer came. Return: false when it did not (nth_bad). */
bool nth_end(struct nth_box *box);

/** Return: false with run->error. */
bool nth_device_create(struct nth_box *box, const char *uri, struct bdev **ret_bdev);
bool nth_device_destroy(struct nth_box *box, struct bdev *bdev, bool is_reference);
bool nth_channel_open(struct nth_box *box, struct bdev *bdev, struct reactor *reactor,
		      struct bdev_channel **ret_channel);
void nth_channel_close(struct nth_box *box, struct bdev_channel **channel);

/** READ and COMPARE see, WRITE writes, the content of @generation; 0 is zeroes. */
bool nth_io(struct nth_box *box, struct bdev_channel *channel, enum io_type type,
	    struct block_range range, uint32_t generation);

bool nth_target_start(struct nth_box *box, uint32_t listen_count);
bool nth_target_stop(struct nth_box *box);
bool nth_export(struct nth_box *box, struct bdev *bdev, const char *name,
		struct target_reservation_store *reservations);
/** An export that was created, by the name given. */
struct target_subsystem *nth_export_find(struct nth_box *box, const char *name);
bool nth_unexport(struct nth_box *box, const char *name);
bool nth_initiator_register(struct nth_box *box);
/** All remote devices of the box are connected. */
bool nth_initiators_are_running(struct nth_box *box);

/* ---- the scenarios ---- */

extern const struct nth_scenario nth_start_scenario;
extern const struct nth_scenario nth_devices_scenario;
extern const struct nth_scenario nth_pair_scenario;
extern const struct nth_scenario nth_nexus_scenario;
extern const struct nth_scenario nth_engine_scenario;

#endif

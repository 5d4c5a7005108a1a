/* SPDX-License-Identifier: Apache-2.0 */
/* sim_disk.h - disks and files of a simulated machine: what a flush promised survives, no more.
 *
 * A disk keeps the content that reads see, the content that is durable, and the writes between
 * the two. When the power is cut every unflushed write is independently kept, lost, or torn at
 * its logical blocks; a write in flight at the crash of its process counts as unflushed.
 *
 * Silent damage - wrong reads, lost or misplaced writes, flips, an older content - cannot be told
 * from good data by who has no checksums: whoever causes it sees to it that the disk is written
 * anew as a whole before anybody may believe it.
 * A flush that lies (answers OK and the writes are gone after a power cut) is not modelled: nobody
 * who relies on the device's flush can survive it.
 */
#ifndef SIM_SIM_DISK_H
#define SIM_SIM_DISK_H

#include "sim/sim.h"

struct sim_disk_options {
	uint64_t size_bytes;
	uint32_t block_bytes;  /* 512 or 4096; 0: 512 */
	bool is_file;	       /* grows when written behind its end */
	bool is_write_through; /* has no volatile cache */
};

/** Puts a disk at @path of @process' machine. */
struct sim_disk *sim_disk_create(struct sim_process *process, const char *path,
				 const struct sim_disk_options *options);
/** The disk or file at @path, NULL when there is none. */
struct sim_disk *sim_disk_find(struct sim_process *process, const char *path);

/* Changed at any time; chances are per 10000 operations. */
struct sim_disk_faults {
	uint32_t read_error_chance;
	uint32_t write_error_chance;
	uint32_t flush_error_chance;
	uint32_t flush_refusals; /* while there is one, every flush fails */
	uint32_t full_chance;	 /* writes answer -ENOSPC */
	uint32_t slow_factor;	 /* latency is multiplied; 0: 1 */
	bool is_stuck;		 /* new operations never complete until this ends and released */
	bool is_gone;		 /* every operation answers -ENODEV */
	/* silent, and only of operations that lie within the region */
	uint32_t read_wrong_chance; /* from another place of it, or with a bit flipped */
	uint32_t write_lost_chance; /* answered OK: nowhere, or at another place of it */
	uint64_t region_offset_bytes;
	uint64_t region_size_bytes;
};
struct sim_disk_faults *sim_disk_faults(struct sim_disk *disk);
/** Lets the operations go on that are stuck. */
void sim_disk_release(struct sim_disk *disk);

/** What reads would see now, without latency or faults: for checkers. */
void sim_disk_peek(const struct sim_disk *disk, uint64_t offset_bytes, void *bytes,
		   size_t size_bytes);
/** Changes the content behind everybody's back: bit rot. */
void sim_disk_poke(struct sim_disk *disk, uint64_t offset_bytes, const void *bytes,
		   size_t size_bytes);
/** Turns one bit behind everybody's back. */
void sim_disk_flip(struct sim_disk *disk, uint64_t offset_bytes, uint32_t bit);
uint64_t sim_disk_size_bytes(const struct sim_disk *disk);
/** What lies behind the end stays, and is there again when the disk has grown back. */
void sim_disk_resize(struct sim_disk *disk, uint64_t size_bytes);
/** Does it have a volatile cache, so that a flush has something to do? */
bool sim_disk_has_cache(const struct sim_disk *disk);

/** The content of now, to be put back later: a rolled back snapshot. */
struct sim_disk_copy *sim_disk_copy_create(const struct sim_disk *disk);
void sim_disk_copy_destroy(struct sim_disk_copy *copy);
/** The disk's owner is down: nothing is in flight. What is cached is forgotten. */
void sim_disk_copy_restore(struct sim_disk *disk, const struct sim_disk_copy *copy);
uint32_t sim_disk_unflushed_count(const struct sim_disk *disk);

#endif

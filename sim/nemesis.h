/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis.h - faults at random times, of kinds chosen by the seed; every one of them ends. */
#ifndef SIM_NEMESIS_H
#define SIM_NEMESIS_H

#include "sim/engine.h"

enum fault {
	FAULT_DISK_ERRORS, /* some operations of a disk fail */
	FAULT_DISK_SLOW,
	FAULT_DISK_STUCK,
	FAULT_DISK_GONE,
	FAULT_STORE_AWAY,
	FAULT_STORE_LOST, /* answers of the store are lost */
	FAULT_PAUSE,	  /* a process stands still */
	FAULT_KILL,	  /* kill -9 of an engine, and its restart */
	FAULT_POWER,	  /* an engine's machine loses its power while other copies are good */
	FAULT_POWER_ALL,  /* all machines with copies do, at once */
	FAULT_RESET,	  /* of one connection */
	FAULT_PARTITION,
	FAULT_ONE_WAY,
	FAULT_DELAY,
	FAULT_CORRUPT, /* bytes change on the way; needs digests */
	FAULT_COUNT,
};

const char *fault_name(enum fault fault);
/** FAULT_COUNT when there is none of that name. */
enum fault fault_find(const char *name);

struct nemesis;

struct nemesis_options {
	uint32_t allowed;      /* 1 << enum fault; the seed draws from them */
	uint64_t pause_ns_max; /* between the beginnings of two faults */
};

struct nemesis *nemesis_create(struct cluster *cluster, const struct nemesis_options *options);
void nemesis_destroy(struct nemesis *nemesis);
void nemesis_start(struct nemesis *nemesis);
/** Ends every fault at once and begins no more. */
void nemesis_stop(struct nemesis *nemesis);
uint32_t nemesis_chosen(const struct nemesis *nemesis);
uint32_t nemesis_count(const struct nemesis *nemesis, enum fault fault);

#endif

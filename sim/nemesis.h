/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis.h - faults at random times, of kinds chosen by the seed; every one of them ends.
 *
 * A burst is the time between nemesis_start() and nemesis_stop(); the first one has number 1. What
 * happened is a script, and a script can be run instead of drawing. One line a fault, in any order:
 *
 *     fault partition burst=1 at_us=12345678 for_us=3500000 one=0 other=4 a=0 b=0 c=0
 *
 *   burst, at_us   begins in this burst, so long after the burst's beginning (virtual time);
 *                   a line whose time comes after the burst's end does not happen
 *   for_us         ends so long after its beginning, or with the burst
 *   one, other     whom it hits: machines by number (engines first, then hosts); the kinds of
 *                   disks and stores use only one of them; numbers too large are taken modulo
 *   a, b, c        what the kind needs (a chance, a factor, a latency, a seed of its own)
 *
 * All numbers are decimal and at most 2^63 - 1. A number that is left out is 0. Lines that do not
 * begin with "fault " are not the nemesis'. A fault's numbers are drawn at its beginning from a
 * stream of the nemesis' own, so that a line's removal changes no number of the others; and a seed
 * run with the script that it wrote has the trace that it had.
 */
#ifndef SIM_NEMESIS_H
#define SIM_NEMESIS_H

#include "sim/cluster.h"

enum fault {
	/* disks */
	FAULT_DISK_ERRORS, /* some operations fail */
	FAULT_DISK_FLUSH,  /* every flush fails */
	FAULT_DISK_SLOW,
	FAULT_DISK_STUCK,
	FAULT_DISK_GONE,
	FAULT_DISK_FULL,       /* no space for a while */
	FAULT_DISK_SIZE,       /* smaller or larger after a restart, for a while */
	FAULT_DISK_READ_WRONG, /* silent: reads return another place or flipped bits */
	FAULT_DISK_WRITE_LOST, /* silent: acknowledged writes are not there, or elsewhere */
	FAULT_DISK_FLIP,       /* silent: bits change on the medium */
	FAULT_DISK_STALE,      /* silent: the content of an earlier time after a restart */
	/* the store of records */
	FAULT_STORE_AWAY,
	FAULT_STORE_LOST, /* answers are lost */
	FAULT_STORE_SLOW,
	/* engines */
	FAULT_PAUSE,	  /* a process stands still */
	FAULT_KILL,	  /* kill -9, and its restart */
	FAULT_KILL_TWO,	  /* two at once */
	FAULT_KILL_STORM, /* again and again while it boots */
	FAULT_POWER,	  /* a machine loses its power while other copies are good */
	FAULT_POWER_ALL,  /* all machines with copies do, at once */
	FAULT_MEMORY,	  /* an allocation of a running process fails */
	FAULT_SOCKETS,	  /* no file descriptor for a new connection */
	FAULT_CLOCK,	  /* the wall clock jumps; the monotonic one never does */
	/* hosts */
	FAULT_HOST_RESET, /* disconnects one path or both, and connects again */
	FAULT_HOST_STORM, /* does so again and again */
	FAULT_HOST_CRASH,
	FAULT_HOST_PAUSE, /* longer than its keep-alive time-out */
	FAULT_HOST_GHOST, /* one path is slow by many seconds: commands return from the dead */
	/* network */
	FAULT_RESET,	 /* of one connection */
	FAULT_CUT,	 /* of one connection after a number of bytes more: within a PDU */
	FAULT_HALF_OPEN, /* one end of a connection is gone and nobody is told */
	FAULT_PARTITION, /* between two machines */
	FAULT_ONE_WAY,
	FAULT_ISOLATE, /* one machine from all others */
	FAULT_HALVES,  /* the machines fall into two halves */
	FAULT_PATH,    /* one of the two planes (paths) between two machines */
	FAULT_DELAY,
	FAULT_BANDWIDTH,
	FAULT_CLOG,    /* links stop one by one and are released in another order */
	FAULT_FLAP,    /* a link is up and down in turns */
	FAULT_CORRUPT, /* bytes change on the way; needs digests */
	FAULT_COUNT,
};
STATIC_ASSERT(FAULT_COUNT <= 64);

/** All kinds. */
#define FAULTS_ALL	 ((UINT64_C(1) << FAULT_COUNT) - 1)
#define FAULT_BIT(fault) (UINT64_C(1) << (fault))

/* Most faults are short; about one of eight lasts up to the longer bound. */
#define NEMESIS_SHORT_NS_MAX (4 * SIM_S)
#define NEMESIS_LONG_NS_MAX  (40 * SIM_S)
/* A process that stands still, and the bound that health has after that: both end with a burst. */
#define NEMESIS_PAUSE_NS_MAX (60 * SIM_S)

const char *fault_name(enum fault fault);
/** FAULT_COUNT when there is none of that name. */
enum fault fault_find(const char *name);

/* ---- scripts ---- */

struct nemesis_script;

struct nemesis_script *nemesis_script_create(void);
void nemesis_script_destroy(struct nemesis_script *script);
/** Does the line belong to the nemesis? */
bool nemesis_script_is_line(const char *line);
/** Return: false with a reason when it is none that can be understood. */
bool nemesis_script_add(struct nemesis_script *script, const char *line, char *ret_error,
			size_t error_bytes);
/** All lines of @file that are the nemesis'. Return: as nemesis_script_add(). */
bool nemesis_script_read(struct nemesis_script *script, FILE *file, char *ret_error,
			 size_t error_bytes);

/* ---- the nemesis ---- */

struct nemesis;

#define NEMESIS_NOBODY UINT32_MAX

struct nemesis_options {
	uint64_t allowed;      /* FAULT_BIT()s; the seed draws from them */
	uint64_t pause_ns_max; /* between the beginnings of two faults */
	/*
	 * NEMESIS_NOBODY, or the engine that holds a complete copy which stays reachable: nothing
	 * hits it, the engine of the nexus, the links between them, hosts and their links, or the
	 * store. An error that a host sees then is a failure.
	 */
	uint32_t spared_engine;
	const struct nemesis_script *script; /* runs exactly these; NULL: draws. Outlives it */
};

struct nemesis *nemesis_create(struct cluster *cluster, const struct nemesis_options *options);
void nemesis_destroy(struct nemesis *nemesis);
/** Begins a burst. */
void nemesis_start(struct nemesis *nemesis);
/** Ends every fault at once and begins no more until the next start. */
void nemesis_stop(struct nemesis *nemesis);
uint64_t nemesis_chosen(const struct nemesis *nemesis);
/** How often it began and could do its harm, in all bursts. */
uint32_t nemesis_count(const struct nemesis *nemesis, enum fault fault);
/** What happened up to now, one line a fault. */
void nemesis_script_write(const struct nemesis *nemesis, FILE *file);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - a world of processes in one real process: virtual time, disks and network from a seed.
 *
 * The production code of every layer runs unchanged over src/os/ and base/memory.h, which are
 * implemented here. Nothing is random but the seed: the same seed and the same build give the same
 * events in the same order, which the trace hash proves.
 *
 * Rules of the world:
 *  1. Only the scheduler turns reactors, one at a time; time passes between turns.
 *  2. Process code runs with its process as the current one (sim_enter), so that all memory it
 *     takes is its own and vanishes with it.
 *  3. Faults, crashes and workload decisions are made between turns: from sim_event or from the
 *     code that drives the scheduler, never from inside a turn.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/list.h"
#include "base/prng.h"
#include "os/os.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct reactor;
struct sim;
struct sim_disk;
struct sim_process;

#define SIM_PROCESSES_MAX 16
#define SIM_REACTORS_MAX  8 /* of one process */

#define SIM_US UINT64_C(1000)
#define SIM_MS UINT64_C(1000000)
#define SIM_S  UINT64_C(1000000000)

struct sim *sim_create(uint64_t seed);
/** Processes still alive are crashed. */
void sim_destroy(struct sim *sim);
struct prng *sim_prng(struct sim *sim);
uint64_t sim_now_ns(const struct sim *sim);

/* Something that happens at a time; embed. Fires between turns, with no current process. */
struct sim_event {
	void (*fire)(struct sim_event *event);
	uint64_t at_ns;	     /* private */
	uint64_t sequence;   /* private */
	uint32_t heap_place; /* private: 0 while not scheduled */
};

/** Schedules or re-schedules. */
void sim_event_schedule(struct sim *sim, struct sim_event *event, uint64_t delay_ns);
/** Safe when it is not scheduled. */
void sim_event_cancel(struct sim *sim, struct sim_event *event);
static inline bool sim_event_is_scheduled(const struct sim_event *event)
{
	return event->heap_place != 0;
}

/* ---- trace ---- */

/** Adds an event to the hash and to the last events shown. @what must be a literal. */
void sim_trace(struct sim *sim, const char *what, uint64_t one, uint64_t two, uint64_t three);
uint64_t sim_trace_hash(const struct sim *sim);
/** Also print every event as it happens. */
void sim_trace_print(struct sim *sim, FILE *file);
/** The last @count events. */
void sim_trace_last(const struct sim *sim, FILE *file, uint32_t count);

/* ---- scheduler ---- */

enum sim_end_reason {
	SIM_REACHED,  /* the predicate holds */
	SIM_DEADLINE, /* virtual time is up */
	SIM_IDLE,     /* nothing will ever happen again */
	SIM_LIVELOCK, /* turns without end and nothing happens */
};

/** Turns and waits until @is_reached(@argument) or @limit_ns of virtual time has passed. */
enum sim_end_reason sim_run(struct sim *sim, bool (*is_reached)(void *argument), void *argument,
			    uint64_t limit_ns);
/** Lets @duration_ns pass. */
enum sim_end_reason sim_run_for(struct sim *sim, uint64_t duration_ns);

/* ---- processes ---- */

/**
 * sim_process_create - a machine with an address and one process running on it
 * Its disks and its place in the network outlive crashes. Never freed before the world.
 */
struct sim_process *sim_process_create(struct sim *sim, const char *name, const char *ip);
struct os *sim_process_os(struct sim_process *process);
const char *sim_process_name(const struct sim_process *process);
const char *sim_process_ip(const struct sim_process *process);
uint32_t sim_process_index(const struct sim_process *process);
bool sim_process_is_running(const struct sim_process *process);
/** Goes up with every restart. */
uint32_t sim_process_incarnation(const struct sim_process *process);

/** Makes @process the current one; give back what it returned to sim_leave(). */
struct sim_process *sim_enter(struct sim_process *process);
void sim_leave(struct sim_process *previous);

/** Lets the scheduler turn @reactor, which was created within @process. */
void sim_reactor_add(struct sim_process *process, struct reactor *reactor);
/** Before the reactor is destroyed. */
void sim_reactor_remove(struct sim_process *process, struct reactor *reactor);

enum sim_crash {
	SIM_KILLED,    /* kill -9: the kernel closes sockets, caches survive */
	SIM_POWER_CUT, /* silence; unflushed writes of its disks are kept, lost or torn */
};
/** All its memory, rings, sockets and reactors vanish at once. */
void sim_process_crash(struct sim_process *process, enum sim_crash crash);
/** A new incarnation with empty memory; the owner creates its reactors anew. */
void sim_process_restart(struct sim_process *process);
/** No reactor of it is turned for @duration_ns: a stall of the whole process. */
void sim_process_pause(struct sim_process *process, uint64_t duration_ns);
/** Ends a pause at once. */
void sim_process_resume(struct sim_process *process);
/** The wall clock jumps; the monotonic clock never does, as the kernel's does not. */
void sim_process_clock_jump(struct sim_process *process, int64_t jump_ns);
/** While set no socket can be made: connects fail with -EMFILE, accepts wait in the backlog. */
void sim_process_refuse_sockets(struct sim_process *process, bool is_refusing);

/** Bytes that the process has not given back: 0 after an orderly end. */
size_t sim_process_memory_bytes(const struct sim_process *process);
/** The @count-th allocation from now on fails, once; 0 switches it off. */
void sim_process_fail_allocation(struct sim_process *process, uint64_t count);
/** Environment of the process; texts must outlive it. Up to 16. */
void sim_process_set_environment(struct sim_process *process, const char *name, const char *value);

#endif

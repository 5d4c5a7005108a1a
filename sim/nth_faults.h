/* SPDX-License-Identifier: Apache-2.0 */
/* nth_faults.h - counts the calls that reach the os and memory seams, and lets the n-th fail.
 *
 * Every function of the simulator that stands for something which may fail asks nth_fails() once.
 * Without faults in the world (sim_set_nth_faults) that costs a test of a pointer.
 */
#ifndef SIM_NTH_FAULTS_H
#define SIM_NTH_FAULTS_H

#include "sim/sim.h"

enum nth_kind {
	NTH_MEMORY,
	NTH_DISK_OPEN,
	NTH_DISK_INFO,
	NTH_DISK_GROW,
	NTH_DISK_READ,
	NTH_DISK_WRITE, /* zeroing and discarding too */
	NTH_DISK_FLUSH,
	NTH_DIRECTORY,
	NTH_FILE_REMOVE,
	NTH_LISTEN,
	NTH_ACCEPT,
	NTH_CONNECT,
	NTH_SEND,
	NTH_RECEIVE,
	NTH_RESOLVE,
	NTH_INTERFACES,
	NTH_RING,
	NTH_REGISTER,
	NTH_DEVICES,
};
#define NTH_KIND_COUNT 19

enum nth_mode {
	NTH_ONCE,	 /* the n-th call alone */
	NTH_STICKY_KIND, /* and all later ones of its kind: no memory, no descriptors, a dead disk
			  */
	NTH_STICKY,	 /* and all later ones */
};
#define NTH_MODE_COUNT 3

#define NTH_TRACE_MAX 32

struct nth_faults {
	enum nth_mode mode;
	uint64_t fail_at; /* 1: the first call that is counted; 0: none fails */
	bool is_counting; /* calls while it is off neither count nor fail */
	bool is_healed;	  /* none fails any more */
	/* what happened */
	uint64_t calls[NTH_KIND_COUNT];
	uint64_t call_count;
	uint64_t failed_count;
	enum nth_kind first_kind; /* of the call that failed first ... */
	uint32_t first_process;
	void *first_trace[NTH_TRACE_MAX]; /* ... and where it came from */
	int first_trace_count;
};

const char *nth_kind_text(enum nth_kind kind);
const char *nth_mode_text(enum nth_mode mode);

/** @faults must outlive the world; NULL switches them off. */
void sim_set_nth_faults(struct sim *sim, struct nth_faults *faults);

/** Whether the call of @process that is being made must fail; NULL is nobody's. */
bool nth_fails(struct sim_process *process, enum nth_kind kind);

#endif

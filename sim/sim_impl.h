/* SPDX-License-Identifier: Apache-2.0 */
/* sim_impl.h - what the files of the simulator share. */
#ifndef SIM_SIM_IMPL_H
#define SIM_SIM_IMPL_H

#include "base/op.h"
#include "os/os_disk.h"
#include "os/os_ring.h"
#include "os/os_socket.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"
#include "sim/sim_net.h"

#define SIM_TRACE_LAST	    4096
#define SIM_ENVIRONMENT_MAX 16
#define SIM_NAME_BYTES	    64

struct sim_trace_entry {
	uint64_t at_ns;
	const char *what;
	uint64_t values[3];
};

struct sim {
	uint64_t seed;
	uint64_t now_ns;
	struct prng prng;
	/* binary heap of events; place 0 is unused */
	struct sim_event **heap;
	uint32_t heap_count;
	uint32_t heap_capacity;
	uint64_t event_sequence;
	uint64_t events_fired;
	struct sim_process *processes[SIM_PROCESSES_MAX];
	uint32_t process_count;
	struct sim_link links[SIM_PLANES][SIM_PROCESSES_MAX][SIM_PROCESSES_MAX];
	struct list_node connections;
	uint64_t connection_id_next;
	/* trace */
	uint64_t hash;
	uint64_t trace_count;
	struct sim_trace_entry trace[SIM_TRACE_LAST];
	FILE *trace_file;
	struct nth_faults *nth; /* NULL: none */
};

struct os { /* of one incarnation */
	struct sim_process *process;
};

struct sim_process {
	struct sim *sim;
	uint32_t index;
	char name[SIM_NAME_BYTES];
	char ip[SIM_NAME_BYTES];
	bool is_running;
	bool has_power; /* its kernel answers the network */
	bool is_refusing;
	bool is_out_of_sockets;
	uint32_t incarnation;
	uint32_t power_cuts; /* of the machine, whether a process ran or not */
	uint64_t paused_until_ns;
	int64_t wall_jump_ns;
	struct os *os;
	struct reactor *reactors[SIM_REACTORS_MAX];
	uint32_t reactor_count;
	struct list_node memory; /* of memory.c: all that the incarnation holds */
	size_t memory_bytes;
	uint64_t fail_allocation;
	const char *environment[SIM_ENVIRONMENT_MAX][2];
	uint32_t environment_count;
	uint16_t port_next;
	struct list_node disks;		/* of the machine */
	struct list_node disk_requests; /* of the incarnation, in flight or stuck */
	struct list_node sockets;
	struct list_node listeners;
	struct list_node connects;
};

/* Something that waits on a ring for its owner's next turn. */
struct sim_completion {
	struct list_node link;
	void (*complete)(struct sim_completion *completion);
};

struct os_ring {
	struct sim_process *process;
	struct list_node completions;
	bool is_woken;
};

static inline void sim_completion_init(struct sim_completion *completion,
				       void (*complete)(struct sim_completion *completion))
{
	list_init(&completion->link);
	completion->complete = complete;
}

/* Once is enough; a completion that waits already stays where it is. */
static inline void sim_completion_push(struct os_ring *ring, struct sim_completion *completion)
{
	if (list_is_empty(&completion->link))
		list_push_back(&ring->completions, &completion->link);
}

/* world.c */
uint64_t sim_draw(struct sim *sim, uint64_t from, uint64_t to_inclusive);
bool sim_chance(struct sim *sim, uint32_t part, uint32_t whole);
void *sim_allocate(size_t size_bytes); /* of the world itself; aborts when there is none */

/* memory.c */
struct sim_process *sim_current(void);
void *sim_process_allocate(struct sim_process *process, size_t size_bytes);
void sim_memory_free_all(struct sim_process *process);

/* os_machine.c */
/** As os_boot_id(), of a machine whose process may be down. */
void sim_boot_id(const struct sim_process *process, struct uuid *ret_id);

/* disk.c */
void sim_disk_power_cut(struct sim_disk *disk);
void sim_disk_free_all(struct sim_process *process);
void sim_disk_process_crashed(struct sim_process *process, enum sim_crash crash);

/* net.c */
void sim_net_process_crashed(struct sim_process *process, enum sim_crash crash);
void sim_net_free_all(struct sim *sim);

/* os_socket.c */
void sim_listeners_look(struct sim_process *process);

#endif

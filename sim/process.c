/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - machines and the processes on them; the os functions that are about neither disk
 * nor network.
 *
 * Order of a crash: requests in flight at disks are decided while their buffers still exist,
 * sockets and listeners leave the network, then all memory goes.
 */
#include "base/memory.h"
#include "os/os_interface.h"
#include "reactor/reactor.h"
#include "sim/nth_faults.h"
#include "sim/sim_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_NS       UINT64_C(1770000000000000000) /* wall clock when a world begins */
#define PORT_FIRST     40000
#define CORES_OF_A_BOX 4

static void incarnation_begin(struct sim_process *process)
{
	process->is_running = true;
	process->has_power = true;
	process->paused_until_ns = 0;
	process->reactor_count = 0;
	process->fail_allocation = 0;
	process->is_out_of_sockets = false;
	process->incarnation++;
	process->os = sim_process_allocate(process, sizeof(*process->os));
	process->os->process = process;
}

struct sim_process *sim_process_create(struct sim *sim, const char *name, const char *ip)
{
	struct sim_process *process = sim_allocate(sizeof(*process));

	ASSERT(sim->process_count < SIM_PROCESSES_MAX);
	ASSERT(strlen(name) < SIM_NAME_BYTES && strlen(ip) < SIM_NAME_BYTES);
	process->sim = sim;
	process->index = sim->process_count;
	process->port_next = PORT_FIRST;
	memcpy(process->name, name, strlen(name) + 1);
	memcpy(process->ip, ip, strlen(ip) + 1);
	list_init(&process->memory);
	list_init(&process->disks);
	list_init(&process->disk_requests);
	list_init(&process->sockets);
	list_init(&process->listeners);
	list_init(&process->connects);
	sim->processes[sim->process_count++] = process;
	for (uint32_t i = 0; i < sim->process_count; i++) {
		struct sim_link link = {
			.latency_ns_min = 20 * SIM_US,
			.latency_ns_max = 200 * SIM_US,
			.ns_per_kib = 1000,
		};

		if (i == process->index) {
			link.latency_ns_min = 5 * SIM_US;
			link.latency_ns_max = 20 * SIM_US;
		}
		for (uint32_t plane = 0; plane < SIM_PLANES; plane++) {
			sim->links[plane][i][process->index] = link;
			sim->links[plane][process->index][i] = link;
		}
	}
	incarnation_begin(process);
	return process;
}

struct os *sim_process_os(struct sim_process *process)
{
	ASSERT(process->is_running);
	return process->os;
}

const char *sim_process_name(const struct sim_process *process)
{
	return process->name;
}

const char *sim_process_ip(const struct sim_process *process)
{
	return process->ip;
}

uint32_t sim_process_index(const struct sim_process *process)
{
	return process->index;
}

bool sim_process_is_running(const struct sim_process *process)
{
	return process->is_running;
}

uint32_t sim_process_incarnation(const struct sim_process *process)
{
	return process->incarnation;
}

void sim_reactor_add(struct sim_process *process, struct reactor *reactor)
{
	ASSERT(process->is_running);
	ASSERT(process->reactor_count < SIM_REACTORS_MAX);
	ASSERT(reactor_os(reactor) == process->os);
	process->reactors[process->reactor_count++] = reactor;
}

void sim_reactor_remove(struct sim_process *process, struct reactor *reactor)
{
	for (uint32_t i = 0; i < process->reactor_count; i++) {
		if (process->reactors[i] != reactor)
			continue;
		process->reactors[i] = process->reactors[--process->reactor_count];
		return;
	}
	ASSERT(!"the reactor was added before");
}

void sim_process_crash(struct sim_process *process, enum sim_crash crash)
{
	ASSERT(process->is_running);
	ASSERT(sim_current() == NULL);
	sim_trace(process->sim, crash == SIM_KILLED ? "kill" : "power cut", process->index,
		  process->incarnation, 0);
	process->is_running = false;
	process->has_power = crash == SIM_KILLED;
	process->power_cuts += crash == SIM_POWER_CUT;
	process->reactor_count = 0;
	sim_disk_process_crashed(process, crash);
	sim_net_process_crashed(process, crash);
	sim_memory_free_all(process);
	process->os = NULL;
}

void sim_process_restart(struct sim_process *process)
{
	ASSERT(!process->is_running);
	incarnation_begin(process);
	sim_trace(process->sim, "restart", process->index, process->incarnation, 0);
}

void sim_process_pause(struct sim_process *process, uint64_t duration_ns)
{
	sim_trace(process->sim, "pause", process->index, duration_ns, 0);
	process->paused_until_ns = process->sim->now_ns + duration_ns;
}

void sim_process_resume(struct sim_process *process)
{
	if (process->paused_until_ns <= process->sim->now_ns)
		return;
	sim_trace(process->sim, "resume", process->index, 0, 0);
	process->paused_until_ns = 0;
}

void sim_process_clock_jump(struct sim_process *process, int64_t jump_ns)
{
	sim_trace(process->sim, "clock jump", process->index, (uint64_t)jump_ns, 0);
	process->wall_jump_ns += jump_ns;
}

void sim_process_refuse_sockets(struct sim_process *process, bool is_refusing)
{
	sim_trace(process->sim, "sockets refused", process->index, is_refusing, 0);
	process->is_out_of_sockets = is_refusing;
	if (!is_refusing && process->is_running)
		sim_listeners_look(process);
}

size_t sim_process_memory_bytes(const struct sim_process *process)
{
	return process->memory_bytes - (process->os != NULL ? sizeof(struct os) : 0);
}

void sim_process_fail_allocation(struct sim_process *process, uint64_t count)
{
	process->fail_allocation = count;
}

void sim_process_set_environment(struct sim_process *process, const char *name, const char *value)
{
	ASSERT(process->environment_count < SIM_ENVIRONMENT_MAX);
	process->environment[process->environment_count][0] = name;
	process->environment[process->environment_count][1] = value;
	process->environment_count++;
}

/* ---- os.h ---- */

int os_open(struct os **ret_os)
{
	(void)ret_os;
	return -ENOTSUP; /* worlds are made by sim_create() */
}

void os_close(struct os *os)
{
	(void)os;
}

uint64_t os_clock_now_ns(struct os *os)
{
	return os->process->sim->now_ns;
}

uint64_t os_clock_wall_ns(struct os *os)
{
	return EPOCH_NS + os->process->sim->now_ns + (uint64_t)os->process->wall_jump_ns;
}

void os_entropy_fill(struct os *os, void *bytes, size_t size_bytes)
{
	prng_fill(&os->process->sim->prng, bytes, size_bytes);
}

const char *os_environment(struct os *os, const char *name)
{
	struct sim_process *process = os->process;

	for (uint32_t i = 0; i < process->environment_count; i++) {
		if (strcmp(process->environment[i][0], name) == 0)
			return process->environment[i][1];
	}
	return NULL;
}

void os_thread_yield(struct os *os)
{
	(void)os; /* one at a time has the word here, until it returns */
}

uint32_t os_core_count(struct os *os)
{
	(void)os;
	return CORES_OF_A_BOX;
}

int os_thread_start(struct os *os, int core, void (*main)(void *argument), void *argument,
		    struct os_thread **ret_thread)
{
	(void)os;
	(void)core;
	(void)main;
	(void)argument;
	(void)ret_thread;
	return -ENOTSUP;
}

void os_thread_join(struct os_thread *thread)
{
	(void)thread;
	ASSERT(!"there are no threads in a world");
}

int os_interface_list(struct os *os, struct os_interface *ret_interfaces, uint32_t capacity)
{
	struct os_interface interface = {.name = "eth0", .is_up = true};

	if (nth_fails(os->process, NTH_INTERFACES))
		return -ENOMEM;
	if (capacity == 0)
		return 0;
	if (os_address_parse(os->process->ip, 0, &interface.address) < 0)
		return -EINVAL;
	ret_interfaces[0] = interface;
	return 1;
}

/* ---- os_ring.h ---- */

int os_ring_create(struct os *os, const struct os_ring_options *options, struct os_ring **ret_ring)
{
	struct os_ring *ring;

	ASSERT(options->entries > 0);
	if (nth_fails(os->process, NTH_RING))
		return -ENOMEM;
	ring = sim_process_allocate(os->process, sizeof(*ring));
	ring->process = os->process;
	list_init(&ring->completions);
	*ret_ring = ring;
	return 0;
}

void os_ring_destroy(struct os_ring *ring)
{
	if (ring == NULL)
		return;
	ASSERT(list_is_empty(&ring->completions));
	memory_free(ring);
}

uint32_t os_ring_turn(struct os_ring *ring, uint64_t wait_until_ns)
{
	struct list_node batch;
	uint32_t count = 0;

	/* Sleeping is the scheduler's part: an early return is always allowed. */
	(void)wait_until_ns;
	ring->is_woken = false;
	list_init(&batch);
	list_splice_back(&batch, &ring->completions);
	for (;;) {
		struct list_node *node = list_pop_front(&batch);
		struct sim_completion *completion;

		if (node == NULL)
			return count;
		completion = list_entry(node, struct sim_completion, link);
		count++;
		completion->complete(completion);
	}
}

bool os_ring_has_completions(const struct os_ring *ring)
{
	return ring->is_woken || !list_is_empty(&ring->completions);
}

void os_ring_wake(struct os_ring *ring)
{
	ring->is_woken = true;
}

void os_ring_stats(const struct os_ring *ring, struct os_ring_stats *ret_stats)
{
	/* Virtual time: there is neither a kernel nor a CPU. */
	ASSERT(ring != NULL);
	*ret_stats = (struct os_ring_stats){0};
}

bool os_ring_buffers_register(struct os_ring *ring, void *memory, size_t size_bytes)
{
	if (nth_fails(ring->process, NTH_REGISTER))
		return false;
	return memory != NULL && size_bytes > 0;
}

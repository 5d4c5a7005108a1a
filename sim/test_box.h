/* SPDX-License-Identifier: Apache-2.0 */
/* test_box.h - a process with one reactor, for the simulator's own tests. */
#ifndef SIM_TEST_BOX_H
#define SIM_TEST_BOX_H

#include "reactor/reactor.h"
#include "sim/sim.h"

struct box {
	struct sim *sim;
	struct sim_process *process;
	struct reactor *reactor;
};

static inline void box_boot(struct box *box)
{
	struct sim_process *previous = sim_enter(box->process);
	struct reactor_options options;
	int rc;

	reactor_options_default(&options);
	options.small_buffer_count = 4;
	options.large_buffer_count = 4;
	rc = reactor_create(sim_process_os(box->process), &options, &box->reactor);
	ASSERT(rc == 0);
	sim_reactor_add(box->process, box->reactor);
	sim_leave(previous);
}

static inline void box_init(struct box *box, struct sim *sim, const char *name, const char *ip)
{
	box->sim = sim;
	box->process = sim_process_create(sim, name, ip);
	box_boot(box);
}

/* Waits for the answers that were announced with op_wait(). */
struct box_wait {
	struct op op;
	bool is_over;
};

static inline void box_wait_run(struct op *op)
{
	list_entry(op, struct box_wait, op)->is_over = true;
}

static inline void box_wait_init(struct box_wait *wait, struct box *box)
{
	wait->is_over = false;
	op_init(&wait->op, reactor_ready(box->reactor), box_wait_run);
}

static inline bool box_wait_is_over(void *argument)
{
	return ((struct box_wait *)argument)->is_over;
}

/* Return: false if the answers did not come within @limit_ns. */
static inline bool box_join(struct box *box, struct box_wait *wait, uint64_t limit_ns)
{
	if (op_join(&wait->op) == OP_NEXT)
		return true;
	return sim_run(box->sim, box_wait_is_over, wait, limit_ns) == SIM_REACHED;
}

#endif

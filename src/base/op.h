/* SPDX-License-Identifier: Apache-2.0 */
/* op.h - an asynchronous operation: one struct, one run function, one way to be woken.
 *
 * The owner embeds `struct op` in its operation, and its run function is entered once to start
 * and once per wake-up. What it waits for is only counted: op_done() never calls anybody, so
 * whatever is submitted may be answered before the submit function returns.
 *
 *	op_wait(&x->op);  submit(...);  op_wait(&x->op);  submit(...);
 *	if (op_join(&x->op) == OP_WAIT)
 *		return;                 run is entered again when the last answer is in
 *
 * Invariants:
 *  1. An op is in at most one queue, at most once.
 *  2. The run function is entered only by op_start() and by the queue's owner.
 *  3. After the run function has handed out its result, the op may be reused or freed; the queue
 *     does not touch an op once its run function was entered.
 *
 * Context: everything here is called on the thread that owns the queue.
 */
#ifndef BASE_OP_H
#define BASE_OP_H

#include "base/list.h"

#include <stdint.h>

/* What a step says to its run function. */
enum op_flow {
	OP_NEXT, /* go on with the next step */
	OP_WAIT, /* return; the op will be woken */
};

/* Ready operations in arrival order. */
struct op_queue {
	struct list_node ops;
};

struct op {
	void (*run)(struct op *op);
	struct op_queue *queue; /* where it waits for its turn once it is ready */
	struct list_node link;
	uint32_t pending; /* answers that are still out */
	bool is_joined;	  /* waits in op_join() for the last of them */
};

static inline void op_queue_init(struct op_queue *queue)
{
	list_init(&queue->ops);
}

static inline bool op_queue_is_empty(const struct op_queue *queue)
{
	return list_is_empty(&queue->ops);
}

/**
 * op_queue_run - enter up to @budget ready operations
 * Operations that become ready meanwhile run too, as long as the budget lasts.
 * Return: how many were entered.
 */
uint32_t op_queue_run(struct op_queue *queue, uint32_t budget);

static inline void op_init(struct op *op, struct op_queue *queue, void (*run)(struct op *op))
{
	op->run = run;
	op->queue = queue;
	op->pending = 0;
	op->is_joined = false;
	list_init(&op->link);
}

/* Enters the run function at once, on the caller's stack. */
static inline void op_start(struct op *op)
{
	ASSERT(op->pending == 0 && !op->is_joined);
	op->run(op);
}

/* Puts the op in its queue; once is enough, repeated calls before it runs change nothing. */
static inline void op_wake(struct op *op)
{
	if (list_is_empty(&op->link))
		list_push_back(&op->queue->ops, &op->link);
}

/* Takes a woken op out of its queue again: it will not run for that wake-up. */
static inline void op_unwake(struct op *op)
{
	list_remove(&op->link);
}

/* Announces one answer to wait for. Call before the submission it belongs to. */
static inline void op_wait(struct op *op)
{
	ASSERT(!op->is_joined);
	op->pending++;
}

/* Gives one answer. NULL is allowed: nobody waits. */
static inline void op_done(struct op *op)
{
	if (op == NULL)
		return;
	ASSERT(op->pending > 0);
	op->pending--;
	if (op->pending == 0 && op->is_joined) {
		op->is_joined = false;
		op_wake(op);
	}
}

/* OP_NEXT if every answer is in, else OP_WAIT and run is entered after the last one. */
static inline enum op_flow op_join(struct op *op)
{
	ASSERT(!op->is_joined);
	if (op->pending == 0)
		return OP_NEXT;
	op->is_joined = true;
	return OP_WAIT;
}

/* Nothing is awaited and it is in no queue: its memory may be reused. */
static inline bool op_is_idle(const struct op *op)
{
	return op->pending == 0 && !op->is_joined && list_is_empty(&op->link);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* test_loop.h - turns a ring until a condition holds; a test that waits too long fails. */
#ifndef OS_LINUX_TEST_LOOP_H
#define OS_LINUX_TEST_LOOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/op.h"
#include "os/linux/ring_impl.h"

#define TEST_PATIENCE_NS 20000000000ull

struct test_loop {
	struct os *os;
	struct os_ring *ring;
	struct op_queue ready;
	enum ring_kind kind;
};

/* For T() of a test file: each kind of ring that a kernel may force on us. */
static const enum ring_kind test_ring_kinds[] = {RING_DEFERRED, RING_COOPERATIVE, RING_PLAIN};

static inline void test_loop_open(struct test_loop *loop, struct os *os, enum ring_kind kind,
				  uint32_t buffer_count)
{
	const struct os_ring_options options = {
		.entries = 64,
		.receive_buffer_count = buffer_count,
		.receive_buffer_bytes = 16384,
	};

	loop->os = os;
	loop->kind = kind;
	op_queue_init(&loop->ready);
	assert_int_equal(ring_create(os, &options, kind, &loop->ring), 0);
}

static inline void test_loop_close(struct test_loop *loop)
{
	assert_true(op_queue_is_empty(&loop->ready));
	os_ring_destroy(loop->ring);
}

static inline void test_loop_turn(struct test_loop *loop, uint64_t sleep_ns)
{
	uint64_t until_ns = sleep_ns == 0 ? OS_WAIT_NOT : os_clock_now_ns(loop->os) + sleep_ns;

	os_ring_turn(loop->ring, op_queue_is_empty(&loop->ready) ? until_ns : OS_WAIT_NOT);
	op_queue_run(&loop->ready, 1024);
}

/* Turns until @condition, which is evaluated anew after each turn. */
#define test_loop_until(loop, condition)                                                \
	do {                                                                            \
		uint64_t until_end_ns = os_clock_now_ns((loop)->os) + TEST_PATIENCE_NS; \
		while (!(condition)) {                                                  \
			test_loop_turn(loop, 50000000);                                 \
			assert_true(os_clock_now_ns((loop)->os) < until_end_ns);        \
		}                                                                       \
	} while (0)

/* An op that only counts how often it ran. */
struct test_op {
	struct op op;
	uint32_t runs;
};

static inline void test_op_run(struct op *op)
{
	struct test_op *self = container_of(op, struct test_op, op);

	self->runs++;
}

static inline void test_op_init(struct test_op *self, struct test_loop *loop)
{
	op_init(&self->op, &loop->ready, test_op_run);
	self->runs = 0;
}

#endif

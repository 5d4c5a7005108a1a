/* SPDX-License-Identifier: Apache-2.0 */
/* buffer_pool_test.c - bounds, classes, the order of the line, leaving the line. */
#include "reactor/buffer_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct taker {
	struct op op;
	struct buffer_waiter waiter;
	int entered;
};

static void taker_run(struct op *op)
{
	list_entry(op, struct taker, op)->entered++;
}

static void taker_wait(struct taker *taker, struct op_queue *queue, struct buffer_pool *pool)
{
	op_init(&taker->op, queue, taker_run);
	taker->entered = 0;
	taker->waiter = (struct buffer_waiter){
		.parent = &taker->op, .size_bytes = 100, .is_front = taker->waiter.is_front};
	op_wait(&taker->op);
	buffer_wait(pool, &taker->waiter);
	if (op_join(&taker->op) == OP_NEXT)
		taker_run(&taker->op);
}

static void the_smallest_class_that_fits_is_used(void **state)
{
	struct buffer_pool *pool;
	struct buffer *small;
	struct buffer *large;

	(void)state;
	assert_int_equal(buffer_pool_create(2, 1, &pool), 0);
	small = buffer_acquire(pool, SMALL_BUFFER_BYTES);
	large = buffer_acquire(pool, SMALL_BUFFER_BYTES + 1);
	assert_non_null(small);
	assert_non_null(large);
	assert_int_equal(small->size_bytes, SMALL_BUFFER_BYTES);
	assert_int_equal(large->size_bytes, LARGE_BUFFER_BYTES);
	assert_int_equal((uintptr_t)small->bytes % 4096, 0);
	assert_int_equal((uintptr_t)large->bytes % 4096, 0);
	assert_null(buffer_acquire(pool, LARGE_BUFFER_BYTES));
	assert_int_equal(buffer_pool_free_count(pool, 1, false), 1);
	buffer_release(pool, small);
	buffer_release(pool, large);
	assert_int_equal(buffer_pool_free_count(pool, 1, false), 2);
	buffer_pool_destroy(pool);
}

static void buffers_do_not_overlap(void **state)
{
	struct buffer_pool *pool;
	struct buffer *buffers[5];
	void *memory;
	size_t size_bytes;

	(void)state;
	assert_int_equal(buffer_pool_create(3, 2, &pool), 0);
	buffer_pool_memory(pool, &memory, &size_bytes);
	assert_int_equal(size_bytes, 3 * SMALL_BUFFER_BYTES + 2 * LARGE_BUFFER_BYTES);
	for (int i = 0; i < 5; i++) {
		buffers[i] = buffer_acquire(pool, i < 3 ? 1 : LARGE_BUFFER_BYTES);
		assert_non_null(buffers[i]);
		assert_true(buffers[i]->bytes >= (uint8_t *)memory);
		assert_true(buffers[i]->bytes + buffers[i]->size_bytes <=
			    (uint8_t *)memory + size_bytes);
		for (int j = 0; j < i; j++)
			assert_true(
				buffers[j]->bytes + buffers[j]->size_bytes <= buffers[i]->bytes ||
				buffers[i]->bytes + buffers[i]->size_bytes <= buffers[j]->bytes);
	}
	for (int i = 0; i < 5; i++)
		buffer_release(pool, buffers[i]);
	buffer_pool_destroy(pool);
}

static void waiters_are_served_in_the_order_of_arrival(void **state)
{
	struct buffer_pool *pool;
	struct op_queue queue;
	struct taker takers[3] = {0};

	(void)state;
	op_queue_init(&queue);
	assert_int_equal(buffer_pool_create(1, 0, &pool), 0);
	for (int i = 0; i < 3; i++)
		taker_wait(&takers[i], &queue, pool);
	assert_int_equal(takers[0].entered, 1); /* there was one free */
	for (int i = 0; i < 3; i++) {
		assert_null(buffer_acquire(pool, 1)); /* nobody overtakes */
		buffer_release(pool, takers[i].waiter.buffer);
		assert_int_equal(op_queue_run(&queue, 10), i < 2 ? 1 : 0);
		if (i < 2)
			assert_int_equal(takers[i + 1].entered, 1);
	}
	assert_int_equal(buffer_pool_free_count(pool, 1, false), 1);
	buffer_pool_destroy(pool);
}

static void who_leaves_the_line_is_answered_and_skipped(void **state)
{
	struct buffer_pool *pool;
	struct op_queue queue;
	struct taker takers[3] = {0};

	(void)state;
	op_queue_init(&queue);
	assert_int_equal(buffer_pool_create(1, 0, &pool), 0);
	for (int i = 0; i < 3; i++)
		taker_wait(&takers[i], &queue, pool);
	assert_true(buffer_wait_cancel(pool, &takers[1].waiter));
	assert_null(takers[1].waiter.buffer);
	assert_int_equal(op_queue_run(&queue, 10), 1);
	assert_int_equal(takers[1].entered, 1);
	buffer_release(pool, takers[0].waiter.buffer);
	assert_non_null(takers[2].waiter.buffer);
	/* It was handed over already: leaving is too late, the buffer is the caller's. */
	assert_false(buffer_wait_cancel(pool, &takers[2].waiter));
	assert_int_equal(op_queue_run(&queue, 10), 1);
	buffer_release(pool, takers[2].waiter.buffer);
	buffer_pool_destroy(pool);
}

/* Else two engines that hold copies for each other could wait for each other's for ever. */
static void a_quarter_is_kept_from_front_users(void **state)
{
	struct buffer_pool *pool;
	struct buffer *buffers[8];

	(void)state;
	assert_int_equal(buffer_pool_create(8, 0, &pool), 0);
	assert_int_equal(buffer_pool_free_count(pool, 1, true), 6);
	for (int i = 0; i < 6; i++) {
		buffers[i] = buffer_acquire_front(pool, 1);
		assert_non_null(buffers[i]);
	}
	assert_null(buffer_acquire_front(pool, 1));
	assert_int_equal(buffer_pool_free_count(pool, 1, true), 0);
	assert_int_equal(buffer_pool_free_count(pool, 1, false), 2);
	for (int i = 6; i < 8; i++) {
		buffers[i] = buffer_acquire(pool, 1);
		assert_non_null(buffers[i]);
	}
	for (int i = 0; i < 8; i++)
		buffer_release(pool, buffers[i]);
	buffer_pool_destroy(pool);
}

static void a_front_user_waits_until_more_than_the_kept_are_free(void **state)
{
	struct buffer_pool *pool;
	struct op_queue queue;
	struct taker front = {.waiter.is_front = true}, plain = {.entered = 0};
	struct buffer *buffers[4];

	(void)state;
	op_queue_init(&queue);
	assert_int_equal(buffer_pool_create(4, 0, &pool), 0);
	for (int i = 0; i < 4; i++)
		buffers[i] = buffer_acquire(pool, 1);
	taker_wait(&front, &queue, pool);
	taker_wait(&plain, &queue, pool);
	buffer_release(pool, buffers[0]);
	assert_null(front.waiter.buffer); /* the other may be what it waits for */
	assert_non_null(plain.waiter.buffer);
	buffer_release(pool, buffers[1]);
	assert_null(front.waiter.buffer);
	assert_int_equal(buffer_pool_free_count(pool, 1, false), 1);
	buffer_release(pool, buffers[2]);
	assert_non_null(front.waiter.buffer);
	assert_int_equal(op_queue_run(&queue, 10), 2);
	buffer_release(pool, front.waiter.buffer);
	buffer_release(pool, plain.waiter.buffer);
	buffer_release(pool, buffers[3]);
	buffer_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_smallest_class_that_fits_is_used),
		cmocka_unit_test(buffers_do_not_overlap),
		cmocka_unit_test(waiters_are_served_in_the_order_of_arrival),
		cmocka_unit_test(who_leaves_the_line_is_answered_and_skipped),
		cmocka_unit_test(a_quarter_is_kept_from_front_users),
		cmocka_unit_test(a_front_user_waits_until_more_than_the_kept_are_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

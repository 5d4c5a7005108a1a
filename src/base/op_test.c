/* SPDX-License-Identifier: Apache-2.0 */
/* op_test.c - waiting, joining and waking of one operation. */
#include "base/op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct work {
	struct op op;
	int entered;
	int wake_again;
};

static void work_run(struct op *op)
{
	struct work *work = list_entry(op, struct work, op);

	work->entered++;
	if (work->wake_again > 0) {
		work->wake_again--;
		op_wake(op);
	}
}

static void answers_before_the_join_make_it_go_on(void **state)
{
	struct op_queue queue;
	struct work work = {0};

	(void)state;
	op_queue_init(&queue);
	op_init(&work.op, &queue, work_run);
	op_wait(&work.op);
	op_done(&work.op);
	assert_int_equal(op_join(&work.op), OP_NEXT);
	assert_true(op_queue_is_empty(&queue));
	assert_true(op_is_idle(&work.op));
}

static void the_last_answer_wakes_once(void **state)
{
	struct op_queue queue;
	struct work work = {0};

	(void)state;
	op_queue_init(&queue);
	op_init(&work.op, &queue, work_run);
	op_wait(&work.op);
	op_wait(&work.op);
	op_done(&work.op);
	assert_int_equal(op_join(&work.op), OP_WAIT);
	assert_true(op_queue_is_empty(&queue));
	op_done(&work.op);
	assert_int_equal(work.entered, 0);
	assert_int_equal(op_queue_run(&queue, 10), 1);
	assert_int_equal(work.entered, 1);
	op_done(NULL);
}

static void repeated_wakes_enter_once_and_can_be_taken_back(void **state)
{
	struct op_queue queue;
	struct work work = {0};

	(void)state;
	op_queue_init(&queue);
	op_init(&work.op, &queue, work_run);
	op_wake(&work.op);
	op_wake(&work.op);
	assert_int_equal(op_queue_run(&queue, 10), 1);
	op_wake(&work.op);
	op_unwake(&work.op);
	assert_int_equal(op_queue_run(&queue, 10), 0);
}

static void the_budget_bounds_an_op_that_wakes_itself(void **state)
{
	struct op_queue queue;
	struct work work = {.wake_again = 1000};

	(void)state;
	op_queue_init(&queue);
	op_init(&work.op, &queue, work_run);
	op_wake(&work.op);
	assert_int_equal(op_queue_run(&queue, 7), 7);
	assert_int_equal(work.entered, 7);
	assert_false(op_queue_is_empty(&queue));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_before_the_join_make_it_go_on),
		cmocka_unit_test(the_last_answer_wakes_once),
		cmocka_unit_test(repeated_wakes_enter_once_and_can_be_taken_back),
		cmocka_unit_test(the_budget_bounds_an_op_that_wakes_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

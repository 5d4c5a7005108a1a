/* SPDX-License-Identifier: Apache-2.0 */
/* range_lock_test.c - rules of the lock one by one, then random schedules against a naive model
 * that knows only the arrival order and says for each lock whether it must be granted.
 */
#include "block/range_lock.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MODEL_LOCKS 24
#define MODEL_STEPS 200000

struct holder {
	struct op op;
	struct range_lock lock;
	bool is_used;
	uint64_t arrival;
	bool is_expected; /* the model says: granted */
};

static void holder_run(struct op *op)
{
	(void)op;
}

static void holder_lock(struct range_locks *locks, struct op_queue *queue, struct holder *holder,
			struct block_range range, bool is_exclusive)
{
	op_init(&holder->op, queue, holder_run);
	holder->lock.parent = &holder->op;
	holder->lock.range = range;
	holder->lock.is_exclusive = is_exclusive;
	holder->is_used = true;
	range_lock(locks, &holder->lock);
}

static bool holder_has_it(const struct holder *holder)
{
	return holder->op.pending == 0;
}

static void shared_locks_do_not_exclude_each_other(void **state)
{
	struct range_locks locks;
	struct op_queue queue;
	struct holder one, two;

	(void)state;
	op_queue_init(&queue);
	range_locks_init(&locks);
	holder_lock(&locks, &queue, &one, (struct block_range){0, 8}, false);
	holder_lock(&locks, &queue, &two, (struct block_range){4, 8}, false);
	assert_true(holder_has_it(&one));
	assert_true(holder_has_it(&two));
	range_unlock(&locks, &one.lock);
	range_unlock(&locks, &two.lock);
	assert_true(range_locks_is_empty(&locks));
}

static void exclusive_waits_for_shared_and_is_not_overtaken(void **state)
{
	struct range_locks locks;
	struct op_queue queue;
	struct holder shared, exclusive, late, elsewhere;

	(void)state;
	op_queue_init(&queue);
	range_locks_init(&locks);
	holder_lock(&locks, &queue, &shared, (struct block_range){0, 8}, false);
	holder_lock(&locks, &queue, &exclusive, (struct block_range){4, 100}, true);
	holder_lock(&locks, &queue, &late, (struct block_range){50, 1}, false);
	holder_lock(&locks, &queue, &elsewhere, (struct block_range){104, 1}, false);
	assert_false(holder_has_it(&exclusive));
	assert_false(holder_has_it(&late));
	assert_true(holder_has_it(&elsewhere));
	range_unlock(&locks, &shared.lock);
	assert_true(holder_has_it(&exclusive));
	assert_false(holder_has_it(&late));
	range_unlock(&locks, &exclusive.lock);
	assert_true(holder_has_it(&late));
	range_unlock(&locks, &late.lock);
	range_unlock(&locks, &elsewhere.lock);
	assert_true(range_locks_is_empty(&locks));
}

static void one_unlock_grants_all_that_can_go(void **state)
{
	struct range_locks locks;
	struct op_queue queue;
	struct holder exclusive, one, two;

	(void)state;
	op_queue_init(&queue);
	range_locks_init(&locks);
	holder_lock(&locks, &queue, &exclusive, (struct block_range){0, 100}, true);
	holder_lock(&locks, &queue, &one, (struct block_range){0, 10}, false);
	holder_lock(&locks, &queue, &two, (struct block_range){5, 10}, false);
	range_unlock(&locks, &exclusive.lock);
	assert_true(holder_has_it(&one));
	assert_true(holder_has_it(&two));
	range_unlock(&locks, &two.lock);
	range_unlock(&locks, &one.lock);
	assert_true(range_locks_is_empty(&locks));
}

static void the_last_blocks_of_the_number_range_can_be_locked(void **state)
{
	struct range_locks locks;
	struct op_queue queue;
	struct holder one, two;

	(void)state;
	op_queue_init(&queue);
	range_locks_init(&locks);
	holder_lock(&locks, &queue, &one, (struct block_range){UINT64_MAX - 2, 2}, true);
	holder_lock(&locks, &queue, &two, (struct block_range){UINT64_MAX - 1, 1}, false);
	assert_true(holder_has_it(&one));
	assert_false(holder_has_it(&two));
	range_unlock(&locks, &one.lock);
	assert_true(holder_has_it(&two));
	range_unlock(&locks, &two.lock);
}

/*
 * The model: in arrival order, a lock is granted if it conflicts with no earlier one that is still
 * there, granted or waiting. Blocks are compared one by one.
 */
static bool model_conflicts(const struct holder *one, const struct holder *other)
{
	if (!one->lock.is_exclusive && !other->lock.is_exclusive)
		return false;
	for (uint64_t i = 0; i < one->lock.range.count; i++) {
		uint64_t block = one->lock.range.first + i;

		if (block >= other->lock.range.first &&
		    block - other->lock.range.first < other->lock.range.count)
			return true;
	}
	return false;
}

static void model_check(struct holder *holders)
{
	for (int i = 0; i < MODEL_LOCKS; i++) {
		bool is_expected = true;

		for (int j = 0; j < MODEL_LOCKS && holders[i].is_used; j++) {
			if (holders[j].is_used && holders[j].arrival < holders[i].arrival &&
			    model_conflicts(&holders[i], &holders[j]))
				is_expected = false;
		}
		if (holders[i].is_used)
			assert_int_equal(holder_has_it(&holders[i]), is_expected);
	}
}

static void walk_passes_those_that_are_granted_and_no_other(void **state)
{
	struct holder holders[4] = {0};
	const struct range_lock *lock;
	struct range_locks locks;
	struct op_queue queue;

	(void)state;
	op_queue_init(&queue);
	range_locks_init(&locks);
	assert_null(range_locks_next(&locks, NULL));
	holder_lock(&locks, &queue, &holders[0], (struct block_range){0, 8}, false);
	lock = range_locks_next(&locks, NULL);
	assert_ptr_equal(lock, &holders[0].lock);
	assert_null(range_locks_next(&locks, lock));
	holder_lock(&locks, &queue, &holders[1], (struct block_range){4, 8}, false);
	holder_lock(&locks, &queue, &holders[2], (struct block_range){20, 8}, true);
	holder_lock(&locks, &queue, &holders[3], (struct block_range){0, 1}, true);
	assert_false(holder_has_it(&holders[3]));
	for (lock = range_locks_next(&locks, NULL); lock != NULL;
	     lock = range_locks_next(&locks, lock)) {
		for (int i = 0; i < 4; i++)
			holders[i].arrival += lock == &holders[i].lock;
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(holders[i].arrival, i < 3);
	range_unlock(&locks, &holders[0].lock);
	for (int i = 1; i < 4; i++)
		range_unlock(&locks, &holders[i].lock);
	assert_true(range_locks_is_empty(&locks));
}

static void random_schedules_agree_with_the_model(void **state)
{
	static const uint64_t seeds[] = {1, 2, 3, 20241};
	struct holder holders[MODEL_LOCKS];
	struct range_locks locks;
	struct op_queue queue;
	uint64_t waits = 0;

	(void)state;
	for (size_t s = 0; s < sizeof(seeds) / sizeof(seeds[0]); s++) {
		struct prng prng;
		uint64_t arrival = 0;

		memset(holders, 0, sizeof(holders));
		prng_init(&prng, seeds[s]);
		op_queue_init(&queue);
		range_locks_init(&locks);
		for (int step = 0; step < MODEL_STEPS / 4; step++) {
			struct holder *holder = &holders[prng_below(&prng, MODEL_LOCKS)];

			if (!holder->is_used) {
				struct block_range range = {prng_below(&prng, 40),
							    1 + prng_below(&prng, 8)};

				holder->arrival = arrival++;
				holder_lock(&locks, &queue, holder, range,
					    prng_chance(&prng, 1, 3));
				waits += !holder_has_it(holder);
			} else if (holder_has_it(holder)) {
				range_unlock(&locks, &holder->lock);
				holder->is_used = false;
			} else {
				continue;
			}
			model_check(holders);
		}
		for (bool is_changed = true; is_changed;) {
			is_changed = false;
			for (int i = 0; i < MODEL_LOCKS; i++) {
				if (!holders[i].is_used || !holder_has_it(&holders[i]))
					continue;
				range_unlock(&locks, &holders[i].lock);
				holders[i].is_used = false;
				is_changed = true;
			}
		}
		assert_true(range_locks_is_empty(&locks));
	}
	assert_true(waits > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_locks_do_not_exclude_each_other),
		cmocka_unit_test(exclusive_waits_for_shared_and_is_not_overtaken),
		cmocka_unit_test(one_unlock_grants_all_that_can_go),
		cmocka_unit_test(the_last_blocks_of_the_number_range_can_be_locked),
		cmocka_unit_test(walk_passes_those_that_are_granted_and_no_other),
		cmocka_unit_test(random_schedules_agree_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

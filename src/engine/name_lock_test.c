/* SPDX-License-Identifier: Apache-2.0 */
/* name_lock_test.c - goal: one holder a name, in order of arrival; method: ops in one queue. */
#include "engine/name_lock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct user {
	struct op op;
	struct name_lock lock;
	uint32_t runs;
};

static void user_run(struct op *op)
{
	container_of(op, struct user, op)->runs++;
}

static void user_lock(struct user *user, struct name_locks *locks, struct op_queue *queue,
		      const char *name)
{
	*user = (struct user){0};
	op_init(&user->op, queue, user_run);
	user->lock.parent = &user->op;
	snprintf(user->lock.name, sizeof(user->lock.name), "%s", name);
	name_lock(locks, &user->lock);
	(void)op_join(&user->op);
}

static void second_user_of_a_name_waits_for_the_first(void **state)
{
	struct name_locks locks;
	struct op_queue queue;
	struct user users[3];

	(void)state;
	name_locks_init(&locks);
	op_queue_init(&queue);
	for (int i = 0; i < 3; i++)
		user_lock(&users[i], &locks, &queue, "one");
	assert_int_equal(op_queue_run(&queue, 10), 0);
	name_unlock(&locks, &users[0].lock);
	op_queue_run(&queue, 10);
	assert_int_equal(users[1].runs, 1);
	assert_int_equal(users[2].runs, 0);
	name_unlock(&locks, &users[1].lock);
	op_queue_run(&queue, 10);
	assert_int_equal(users[2].runs, 1);
	name_unlock(&locks, &users[2].lock);
	assert_true(list_is_empty(&locks.all));
}

static void users_of_other_names_do_not_wait(void **state)
{
	struct name_locks locks;
	struct op_queue queue;
	struct user one;
	struct user other;

	(void)state;
	name_locks_init(&locks);
	op_queue_init(&queue);
	user_lock(&one, &locks, &queue, "one");
	user_lock(&other, &locks, &queue, "other");
	assert_int_equal(other.op.pending, 0);
	name_unlock(&locks, &one.lock);
	name_unlock(&locks, &other.lock);
	assert_int_equal(op_queue_run(&queue, 10), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_user_of_a_name_waits_for_the_first),
		cmocka_unit_test(users_of_other_names_do_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

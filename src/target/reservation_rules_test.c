/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_rules_test.c - the tables of NVMe base 2.0, section 8.19, row by row, and random
 * histories that must never break the state's invariants.
 */
#include "target/reservation_rules.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static struct uuid host(uint8_t id)
{
	struct uuid uuid;

	memset(uuid.bytes, id, sizeof(uuid.bytes));
	return uuid;
}

static uint16_t change(struct target_reservation_state *state, uint8_t id,
		       struct nvme_reservation reservation, struct reservation_notices *notices)
{
	struct uuid uuid = host(id);
	struct reservation_notices unused;

	return reservation_change(state, &uuid, &reservation, true,
				  notices == NULL ? &unused : notices);
}

static uint16_t enrol(struct target_reservation_state *state, uint8_t id, uint64_t key)
{
	return change(
		state, id,
		(struct nvme_reservation){.opcode = NVME_RESERVATION_REGISTER, .other_key = key},
		NULL);
}

static uint16_t acquire(struct target_reservation_state *state, uint8_t id, uint64_t key,
			enum nvme_reservation_type type)
{
	return change(state, id,
		      (struct nvme_reservation){
			      .opcode = NVME_RESERVATION_ACQUIRE, .type = type, .current_key = key},
		      NULL);
}

static uint16_t preempt(struct target_reservation_state *state, uint8_t id, uint64_t key,
			uint64_t victim, struct reservation_notices *notices)
{
	return change(state, id,
		      (struct nvme_reservation){.opcode = NVME_RESERVATION_ACQUIRE,
						.action = NVME_RESERVATION_PREEMPT,
						.type = NVME_RESERVATION_EXCLUSIVE_ACCESS,
						.current_key = key,
						.other_key = victim},
		      notices);
}

/* Host 1 holds, host 2 is registered, host 3 is not. */
static struct target_reservation_state three_hosts(enum nvme_reservation_type type)
{
	struct target_reservation_state state = {0};

	assert_int_equal(enrol(&state, 1, 11), 0);
	assert_int_equal(enrol(&state, 2, 22), 0);
	assert_int_equal(acquire(&state, 1, 11, type), 0);
	return state;
}

static void each_type_lets_in_whom_the_table_says(void **state)
{
	/* By type: may host 1, 2, 3 read; may host 1, 2, 3 write. */
	static const bool may[7][6] = {
		[1] = {1, 1, 1, 1, 0, 0}, /* write exclusive */
		[2] = {1, 0, 0, 1, 0, 0}, /* exclusive access */
		[3] = {1, 1, 1, 1, 1, 0}, /* write exclusive, registrants only */
		[4] = {1, 1, 0, 1, 1, 0}, /* exclusive access, registrants only */
		[5] = {1, 1, 1, 1, 1, 0}, /* write exclusive, all registrants */
		[6] = {1, 1, 0, 1, 1, 0}, /* exclusive access, all registrants */
	};

	(void)state;
	for (int type = 1; type <= 6; type++) {
		struct target_reservation_state s = three_hosts((enum nvme_reservation_type)type);

		for (uint8_t id = 1; id <= 3; id++) {
			struct uuid uuid = host(id);

			assert_int_equal(!reservation_conflicts(&s, &uuid, false),
					 may[type][id - 1]);
			assert_int_equal(!reservation_conflicts(&s, &uuid, true),
					 may[type][id + 2]);
		}
	}
}

static void only_registrants_with_their_key_change_anything(void **state)
{
	struct target_reservation_state s = three_hosts(NVME_RESERVATION_WRITE_EXCLUSIVE);
	struct target_reservation_state before = s;

	(void)state;
	assert_int_equal(acquire(&s, 3, 0, NVME_RESERVATION_WRITE_EXCLUSIVE), 0x083);
	assert_int_equal(acquire(&s, 2, 99, NVME_RESERVATION_WRITE_EXCLUSIVE), 0x083);
	assert_int_equal(acquire(&s, 2, 22, NVME_RESERVATION_WRITE_EXCLUSIVE), 0x083);
	assert_int_equal(acquire(&s, 1, 11, NVME_RESERVATION_EXCLUSIVE_ACCESS), 0x083);
	assert_int_equal(preempt(&s, 2, 99, 11, NULL), 0x083);
	assert_int_equal(preempt(&s, 2, 22, 77, NULL), 0x083);
	assert_int_equal(preempt(&s, 2, 22, 0, NULL), 0x002);
	assert_int_equal(enrol(&s, 1, 12), 0x083);
	assert_int_equal(enrol(&s, 3, 0), 0x002);
	assert_int_equal(
		change(&s, 3, (struct nvme_reservation){.opcode = NVME_RESERVATION_RELEASE}, NULL),
		0x083);
	assert_memory_equal(&s, &before, sizeof(s));
}

static void preempting_the_holder_takes_its_place(void **state)
{
	struct target_reservation_state s = three_hosts(NVME_RESERVATION_WRITE_EXCLUSIVE);
	struct reservation_notices notices;
	struct uuid one = host(1), two = host(2);
	uint32_t generation = s.generation;

	(void)state;
	assert_int_equal(preempt(&s, 2, 22, 11, &notices), 0);
	assert_int_equal(s.registrant_count, 1);
	assert_int_equal(s.type, NVME_RESERVATION_EXCLUSIVE_ACCESS);
	assert_true(reservation_is_holder(&s, reservation_find(&s, &two)));
	assert_true(reservation_conflicts(&s, &one, false));
	assert_int_equal(s.generation, generation + 1);
	assert_int_equal(notices.count, 1);
	assert_int_equal(notices.of[0].type, NVME_RESERVATION_NOTICE_PREEMPTED);
	assert_true(uuid_is_equal(&notices.of[0].host_id, &one));
}

static void preempting_a_registrant_leaves_the_holder(void **state)
{
	struct target_reservation_state s = three_hosts(NVME_RESERVATION_WRITE_EXCLUSIVE);
	struct reservation_notices notices;

	(void)state;
	assert_int_equal(enrol(&s, 3, 22), 0);
	assert_int_equal(preempt(&s, 1, 11, 22, &notices), 0);
	assert_int_equal(s.registrant_count, 1);
	assert_int_equal(s.type, NVME_RESERVATION_WRITE_EXCLUSIVE);
	assert_int_equal(notices.count, 2);
	assert_int_equal(notices.of[0].type, NVME_RESERVATION_NOTICE_REGISTRATION_PREEMPTED);
}

static void preempting_all_registrants_with_key_zero_clears_them(void **state)
{
	struct target_reservation_state s = three_hosts(NVME_RESERVATION_WRITE_EXCLUSIVE_ALL);

	(void)state;
	assert_int_equal(preempt(&s, 2, 22, 0, NULL), 0);
	assert_int_equal(s.registrant_count, 1);
	assert_int_equal(s.type, NVME_RESERVATION_EXCLUSIVE_ACCESS);
	assert_int_equal(s.registrants[s.holder_index].key, 22);
}

static void a_holder_that_unregisters_releases(void **state)
{
	struct nvme_reservation leave = {.opcode = NVME_RESERVATION_REGISTER,
					 .action = NVME_RESERVATION_UNREGISTER_KEY,
					 .current_key = 11};
	struct reservation_notices notices;
	struct target_reservation_state s =
		three_hosts(NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS);

	(void)state;
	assert_int_equal(change(&s, 1, leave, &notices), 0);
	assert_int_equal(s.type, NVME_RESERVATION_NONE);
	assert_int_equal(notices.count, 1);
	assert_int_equal(notices.of[0].type, NVME_RESERVATION_NOTICE_RELEASED);
	/* Where all registrants hold it, the last one does. */
	s = three_hosts(NVME_RESERVATION_WRITE_EXCLUSIVE_ALL);
	assert_int_equal(change(&s, 1, leave, NULL), 0);
	assert_int_equal(s.type, NVME_RESERVATION_WRITE_EXCLUSIVE_ALL);
	leave.current_key = 22;
	assert_int_equal(change(&s, 2, leave, NULL), 0);
	assert_int_equal(s.type, NVME_RESERVATION_NONE);
}

static void replacing_with_the_key_ignored_registers(void **state)
{
	struct nvme_reservation replace = {.opcode = NVME_RESERVATION_REGISTER,
					   .action = NVME_RESERVATION_REPLACE_KEY,
					   .is_ignoring_key = true,
					   .other_key = 5,
					   .persist = NVME_RESERVATION_PERSIST_SET};
	struct target_reservation_state s = {0};

	(void)state;
	assert_int_equal(change(&s, 1, replace, NULL), 0);
	assert_int_equal(s.registrants[0].key, 5);
	assert_true(s.is_persistent);
	replace.other_key = 6;
	assert_int_equal(change(&s, 1, replace, NULL), 0);
	assert_int_equal(s.registrant_count, 1);
	assert_int_equal(s.registrants[0].key, 6);
}

static void one_registrant_too_many_is_refused(void **state)
{
	struct target_reservation_state s = {0};

	(void)state;
	for (uint32_t i = 0; i < TARGET_REGISTRANTS_MAX; i++)
		assert_int_equal(enrol(&s, (uint8_t)(i + 1), i + 1), 0);
	assert_int_not_equal(enrol(&s, 200, 1), 0);
	assert_int_equal(s.registrant_count, TARGET_REGISTRANTS_MAX);
	/* All of them may have to be told. */
	assert_int_equal(acquire(&s, 1, 1, NVME_RESERVATION_WRITE_EXCLUSIVE_ALL), 0);
	assert_int_equal(preempt(&s, 1, 1, 0, NULL), 0);
	assert_int_equal(s.registrant_count, 1);
}

static void random_histories_keep_the_state_sane(void **state)
{
	struct target_reservation_state s = {0};
	struct prng prng;

	(void)state;
	prng_init(&prng, 20261120);
	for (int i = 0; i < 200000; i++) {
		static const enum nvme_opcode opcodes[] = {NVME_RESERVATION_REGISTER,
							   NVME_RESERVATION_ACQUIRE,
							   NVME_RESERVATION_RELEASE};
		uint8_t id = (uint8_t)(1 + prng_below(&prng, 80));
		struct nvme_reservation r = {
			.opcode = opcodes[prng_below(&prng, 3)],
			.action = (uint8_t)prng_below(&prng, 3),
			.is_ignoring_key = prng_chance(&prng, 1, 4),
			.type = (enum nvme_reservation_type)prng_below(&prng, 7),
			.current_key = prng_chance(&prng, 9, 10) ? id % 7 : prng_below(&prng, 7),
			.other_key = prng_chance(&prng, 9, 10) ? id % 7 : prng_below(&prng, 7)};

		if (r.opcode == NVME_RESERVATION_RELEASE && r.action == NVME_RESERVATION_CLEAR &&
		    prng_chance(&prng, 9, 10))
			r.action = NVME_RESERVATION_RELEASE_HELD;
		(void)change(&s, id, r, NULL);
		assert_true(s.registrant_count <= TARGET_REGISTRANTS_MAX);
		assert_true(s.type == 0 || s.registrant_count > 0);
		assert_true(s.type == 0 || s.holder_index < s.registrant_count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_lets_in_whom_the_table_says),
		cmocka_unit_test(only_registrants_with_their_key_change_anything),
		cmocka_unit_test(preempting_the_holder_takes_its_place),
		cmocka_unit_test(preempting_a_registrant_leaves_the_holder),
		cmocka_unit_test(preempting_all_registrants_with_key_zero_clears_them),
		cmocka_unit_test(a_holder_that_unregisters_releases),
		cmocka_unit_test(replacing_with_the_key_ignored_registers),
		cmocka_unit_test(one_registrant_too_many_is_refused),
		cmocka_unit_test(random_histories_keep_the_state_sane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

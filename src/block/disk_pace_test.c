/* SPDX-License-Identifier: Apache-2.0 */
/* disk_pace_test.c - which disks get a part of a deep queue only, how much, and how soon it ends.
 */
#include "block/disk_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LATENCY_NS 240000

struct disk {
	struct disk_pace pace;
	uint64_t now_ns;
};

/* As much as there may be is handed over. Return: what is in flight then. */
static uint32_t fill(struct disk *disk, uint32_t depth)
{
	struct disk_pace *pace = &disk->pace;

	while (pace->waiting > 0 && disk_pace_may_start(pace))
		disk_pace_release(pace);
	while (pace->in_flight + pace->waiting < depth) {
		if (disk_pace_may_start(pace))
			disk_pace_start(pace);
		else
			disk_pace_hold(pace);
	}
	return pace->in_flight;
}

/* All that is out is answered at once. */
static void round_together(struct disk *disk, uint32_t depth, uint64_t latency_ns)
{
	uint32_t out = fill(disk, depth);

	disk->now_ns += latency_ns;
	for (uint32_t i = 0; i < out; i++)
		disk_pace_answer(&disk->pace, disk->now_ns, latency_ns);
}

/* One answer after the other, each followed by a new one. */
static void round_evenly(struct disk *disk, uint32_t depth, uint64_t latency_ns)
{
	for (uint32_t i = 0; i < depth; i++) {
		fill(disk, depth);
		disk->now_ns += latency_ns / depth;
		disk_pace_answer(&disk->pace, disk->now_ns, latency_ns);
	}
}

static void rounds_together(struct disk *disk, uint32_t depth)
{
	for (int i = 0; i < 200; i++)
		round_together(disk, depth, LATENCY_NS);
}

static void a_disk_in_lockstep_gets_five_eighths(void **state)
{
	static const uint32_t depths[] = {16, 32, 100, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		struct disk disk = {0};

		rounds_together(&disk, depths[i]);
		assert_int_equal(fill(&disk, depths[i]), depths[i] - depths[i] * 3 / 8);
	}
}

static void a_disk_that_answers_one_by_one_gets_everything(void **state)
{
	struct disk disk = {0};

	(void)state;
	for (int i = 0; i < 200; i++) {
		round_evenly(&disk, 32, LATENCY_NS);
		assert_int_equal(fill(&disk, 32), 32);
	}
}

static void a_shallow_queue_is_never_split(void **state)
{
	struct disk disk = {0};

	(void)state;
	for (int i = 0; i < 200; i++) {
		round_together(&disk, PACE_DEPTH_MIN - 1, LATENCY_NS);
		assert_int_equal(disk.pace.waiting, 0);
	}
}

static void a_fast_disk_is_left_alone(void **state)
{
	struct disk disk = {0};

	(void)state;
	for (int i = 0; i < 200; i++) {
		round_together(&disk, 32, PACE_LATENCY_NS_MIN / 2);
		assert_int_equal(disk.pace.waiting, 0);
	}
}

static void nothing_is_held_without_evidence(void **state)
{
	struct disk disk = {0};

	(void)state;
	for (uint32_t i = 0; i < PACE_EVIDENCE_MIN / 32; i++) {
		round_together(&disk, 32, LATENCY_NS);
		assert_int_equal(disk.pace.waiting, 0);
	}
}

static void a_disk_that_leaves_the_lockstep_gets_everything_again(void **state)
{
	struct disk disk = {0};

	(void)state;
	rounds_together(&disk, 32);
	assert_int_equal(fill(&disk, 32), 20);
	for (uint32_t i = 0; i < 2 * PACE_EVIDENCE_MAX / 32; i++)
		round_evenly(&disk, 32, LATENCY_NS);
	assert_int_equal(fill(&disk, 32), 32);
}

static void the_depth_is_that_of_late(void **state)
{
	struct disk disk = {0};

	(void)state;
	rounds_together(&disk, 128);
	assert_int_equal(fill(&disk, 128), 80);
	rounds_together(&disk, 24);
	assert_int_equal(fill(&disk, 24), 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_in_lockstep_gets_five_eighths),
		cmocka_unit_test(a_disk_that_answers_one_by_one_gets_everything),
		cmocka_unit_test(a_shallow_queue_is_never_split),
		cmocka_unit_test(a_fast_disk_is_left_alone),
		cmocka_unit_test(nothing_is_held_without_evidence),
		cmocka_unit_test(a_disk_that_leaves_the_lockstep_gets_everything_again),
		cmocka_unit_test(the_depth_is_that_of_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

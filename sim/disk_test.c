/* SPDX-License-Identifier: Apache-2.0 */
/* disk_test.c - what the simulated disk promises and what it may do at a crash. */
#include "os/os_disk.h"
#include "sim/sim_impl.h"
#include "sim/test_box.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DISK_BYTES (1 << 20)

struct world {
	struct sim *sim;
	struct box box;
	struct sim_disk *sim_disk;
	struct os_disk *disk;
};

static void world_open(struct world *world, uint64_t seed)
{
	const struct sim_disk_options options = {.size_bytes = DISK_BYTES};
	struct sim_process *previous;

	world->sim = sim_create(seed);
	box_init(&world->box, world->sim, "one", "10.0.0.1");
	world->sim_disk = sim_disk_create(world->box.process, "/dev/a", &options);
	previous = sim_enter(world->box.process);
	assert_int_equal(os_disk_open(sim_process_os(world->box.process), "/dev/a",
				      OS_DISK_EXCLUSIVE, &world->disk),
			 0);
	sim_leave(previous);
}

/* Return: the result, 1 when it is not over within a second. */
static int operate(struct world *world, struct os_disk_io *io, void *bytes)
{
	struct sim_process *previous = sim_enter(world->box.process);
	struct iovec iov = {bytes, io->size_bytes};
	struct box_wait wait;

	box_wait_init(&wait, &world->box);
	io->parent = &wait.op;
	io->disk = world->disk;
	io->iov = &iov;
	io->iov_count = 1;
	op_wait(&wait.op);
	os_disk_submit(reactor_ring(world->box.reactor), io);
	sim_leave(previous);
	return box_join(&world->box, &wait, SIM_S) ? io->result : 1;
}

static int write_at(struct world *world, uint64_t offset, int value, bool is_durable)
{
	struct os_disk_io io = {.operation = OS_DISK_WRITE,
				.offset_bytes = offset,
				.size_bytes = 4096,
				.is_durable = is_durable};
	uint8_t bytes[4096];

	memset(bytes, value, sizeof(bytes));
	return operate(world, &io, bytes);
}

static int flush(struct world *world)
{
	struct os_disk_io io = {.operation = OS_DISK_FLUSH};

	return operate(world, &io, NULL);
}

static void reads_see_the_latest_write(void **state)
{
	struct world world;
	struct os_disk_io io = {
		.operation = OS_DISK_READ, .offset_bytes = 4096, .size_bytes = 4096};
	uint8_t bytes[4096];

	(void)state;
	world_open(&world, 1);
	assert_int_equal(write_at(&world, 4096, 7, false), 0);
	assert_int_equal(write_at(&world, 4096, 8, false), 0);
	assert_int_equal(operate(&world, &io, bytes), 0);
	assert_int_equal(bytes[0], 8);
	assert_int_equal(bytes[4095], 8);
	io.offset_bytes = DISK_BYTES;
	assert_int_equal(operate(&world, &io, bytes), -EIO);
	sim_destroy(world.sim);
}

static void flushed_and_forced_writes_survive_every_power_cut(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct world world;
		uint8_t bytes[2][4096];

		world_open(&world, seed);
		assert_int_equal(write_at(&world, 0, 1, false), 0);
		assert_int_equal(flush(&world), 0);
		assert_int_equal(write_at(&world, 4096, 3, false), 0);
		assert_int_equal(write_at(&world, 4096, 2, true), 0);
		sim_process_crash(world.box.process, SIM_POWER_CUT);
		sim_disk_peek(world.sim_disk, 0, bytes, sizeof(bytes));
		for (int i = 0; i < 4096; i++) {
			assert_int_equal(bytes[0][i], 1);
			assert_int_equal(bytes[1][i], 2);
		}
		sim_destroy(world.sim);
	}
}

static void unflushed_writes_are_kept_lost_or_torn_but_not_invented(void **state)
{
	uint32_t kept = 0;
	uint32_t lost = 0;
	uint32_t torn = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct world world;
		uint8_t bytes[4096];
		uint32_t new_sectors = 0;

		world_open(&world, seed);
		assert_int_equal(write_at(&world, 0, 1, false), 0);
		assert_int_equal(flush(&world), 0);
		assert_int_equal(write_at(&world, 0, 2, false), 0);
		assert_int_equal(sim_disk_unflushed_count(world.sim_disk), 1);
		sim_process_crash(world.box.process, SIM_POWER_CUT);
		sim_disk_peek(world.sim_disk, 0, bytes, sizeof(bytes));
		for (int sector = 0; sector < 8; sector++) {
			uint8_t value = bytes[sector * 512];

			assert_in_range(value, 1, 2);
			new_sectors += value == 2;
			for (int i = 0; i < 512; i++)
				assert_int_equal(bytes[sector * 512 + i], value);
		}
		kept += new_sectors == 8;
		lost += new_sectors == 0;
		torn += new_sectors > 0 && new_sectors < 8;
		sim_destroy(world.sim);
	}
	assert_true(kept > 5 && lost > 5 && torn > 5);
}

static void a_killed_process_loses_no_completed_write(void **state)
{
	struct world world;
	uint8_t bytes[4096];

	(void)state;
	world_open(&world, 3);
	assert_int_equal(write_at(&world, 0, 5, false), 0);
	sim_process_crash(world.box.process, SIM_KILLED);
	sim_disk_peek(world.sim_disk, 0, bytes, sizeof(bytes));
	assert_int_equal(bytes[0], 5);
	sim_process_restart(world.box.process);
	box_boot(&world.box);
	sim_destroy(world.sim);
}

static void faults_are_answered_as_told(void **state)
{
	struct world world;
	struct sim_disk_faults *faults;

	(void)state;
	world_open(&world, 4);
	faults = sim_disk_faults(world.sim_disk);
	faults->write_error_chance = 10000;
	assert_int_equal(write_at(&world, 0, 1, false), -EIO);
	assert_int_equal(flush(&world), 0);
	faults->write_error_chance = 0;
	faults->flush_error_chance = 10000;
	assert_int_equal(write_at(&world, 0, 1, false), 0);
	assert_int_equal(flush(&world), -EIO);
	assert_int_equal(sim_disk_unflushed_count(world.sim_disk), 1);
	faults->is_gone = true;
	assert_int_equal(write_at(&world, 0, 1, false), -ENODEV);
	sim_destroy(world.sim);
}

static int read_at(struct world *world, uint64_t offset, uint8_t bytes[4096])
{
	struct os_disk_io io = {
		.operation = OS_DISK_READ, .offset_bytes = offset, .size_bytes = 4096};

	return operate(world, &io, bytes);
}

static void a_full_disk_refuses_writes_and_nothing_else(void **state)
{
	struct world world;
	uint8_t bytes[4096];

	(void)state;
	world_open(&world, 7);
	assert_int_equal(write_at(&world, 0, 1, false), 0);
	sim_disk_faults(world.sim_disk)->full_chance = 10000;
	assert_int_equal(write_at(&world, 0, 2, false), -ENOSPC);
	assert_int_equal(flush(&world), 0);
	assert_int_equal(read_at(&world, 0, bytes), 0);
	assert_int_equal(bytes[0], 1);
	sim_disk_faults(world.sim_disk)->full_chance = 0;
	assert_int_equal(write_at(&world, 0, 2, false), 0);
	sim_destroy(world.sim);
}

static void a_refused_flush_makes_nothing_durable(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, 8);
	assert_int_equal(write_at(&world, 0, 1, false), 0);
	sim_disk_faults(world.sim_disk)->flush_refusals++;
	assert_int_equal(flush(&world), -EIO);
	assert_int_equal(sim_disk_unflushed_count(world.sim_disk), 1);
	sim_disk_faults(world.sim_disk)->flush_refusals--;
	assert_int_equal(flush(&world), 0);
	assert_int_equal(sim_disk_unflushed_count(world.sim_disk), 0);
	sim_destroy(world.sim);
}

/* Half of the disk, from its middle on. */
static struct sim_disk_faults *region_set(struct world *world)
{
	struct sim_disk_faults *faults = sim_disk_faults(world->sim_disk);

	faults->region_offset_bytes = DISK_BYTES / 2;
	faults->region_size_bytes = DISK_BYTES / 2;
	return faults;
}

/* Return: how many bytes of the disk have the value. */
static size_t value_count(const struct world *world, uint8_t value)
{
	static uint8_t bytes[DISK_BYTES];
	size_t count = 0;

	sim_disk_peek(world->sim_disk, 0, bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		count += bytes[i] == value;
	return count;
}

static void a_lost_write_is_answered_and_is_nowhere_or_elsewhere(void **state)
{
	uint32_t nowhere = 0;
	uint32_t elsewhere = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct world world;
		uint8_t bytes[4096];

		world_open(&world, seed);
		region_set(&world)->write_lost_chance = 10000;
		assert_int_equal(write_at(&world, DISK_BYTES / 2, 9, true), 0);
		sim_disk_peek(world.sim_disk, 0, bytes, sizeof(bytes));
		assert_int_equal(bytes[0], 0);
		nowhere += value_count(&world, 9) == 0;
		elsewhere += value_count(&world, 9) == 4096;
		/* Outside of the region everything is as it should be. */
		assert_int_equal(write_at(&world, 8192, 7, false), 0);
		assert_int_equal(value_count(&world, 7), 4096);
		sim_disk_peek(world.sim_disk, 8192, bytes, sizeof(bytes));
		assert_int_equal(bytes[0], 7);
		sim_destroy(world.sim);
	}
	assert_int_equal(nowhere + elsewhere, 40);
	assert_true(nowhere > 8 && elsewhere > 8);
}

static void a_wrong_read_leaves_the_medium_as_it_is(void **state)
{
	uint32_t flipped = 0;
	uint32_t misplaced = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct world world;
		uint8_t bytes[4096];

		world_open(&world, seed);
		assert_int_equal(write_at(&world, DISK_BYTES / 2, 8, false), 0);
		region_set(&world)->read_wrong_chance = 10000;
		assert_int_equal(read_at(&world, DISK_BYTES / 2, bytes), 0);
		flipped += bytes[0] == 9 && bytes[1] == 8;
		misplaced += bytes[4095] == 0;
		assert_int_equal(value_count(&world, 8), 4096);
		sim_disk_faults(world.sim_disk)->read_wrong_chance = 0;
		assert_int_equal(read_at(&world, DISK_BYTES / 2, bytes), 0);
		assert_int_equal(bytes[0], 8);
		sim_destroy(world.sim);
	}
	assert_true(flipped > 8 && misplaced > 8);
}

static void a_flipped_bit_survives_a_power_cut(void **state)
{
	struct world world;
	uint8_t byte;

	(void)state;
	world_open(&world, 9);
	assert_int_equal(write_at(&world, 0, 1, true), 0);
	sim_disk_flip(world.sim_disk, 5, 3);
	sim_process_crash(world.box.process, SIM_POWER_CUT);
	sim_disk_peek(world.sim_disk, 5, &byte, 1);
	assert_int_equal(byte, 1 | 1 << 3);
	sim_disk_peek(world.sim_disk, 4, &byte, 1);
	assert_int_equal(byte, 1);
	sim_destroy(world.sim);
}

static void a_disk_that_shrank_has_its_tail_again_when_it_has_grown(void **state)
{
	struct world world;
	uint8_t bytes[4096];

	(void)state;
	world_open(&world, 10);
	assert_int_equal(write_at(&world, DISK_BYTES - 4096, 3, false), 0);
	sim_disk_resize(world.sim_disk, DISK_BYTES - 4096);
	assert_int_equal(write_at(&world, DISK_BYTES - 4096, 4, false), -ENOSPC);
	assert_int_equal(read_at(&world, DISK_BYTES - 4096, bytes), -EIO);
	assert_int_equal(flush(&world), 0);
	sim_process_crash(world.box.process, SIM_POWER_CUT);
	sim_disk_resize(world.sim_disk, DISK_BYTES + 4096);
	sim_disk_peek(world.sim_disk, DISK_BYTES - 4096, bytes, sizeof(bytes));
	assert_int_equal(bytes[0], 3);
	sim_destroy(world.sim);
}

static void a_rolled_back_disk_has_the_content_of_its_copy(void **state)
{
	struct world world;
	struct sim_disk_copy *copy;
	uint8_t bytes[4096];

	(void)state;
	world_open(&world, 11);
	assert_int_equal(write_at(&world, 0, 1, false), 0);
	copy = sim_disk_copy_create(world.sim_disk);
	assert_int_equal(write_at(&world, 0, 2, true), 0);
	assert_int_equal(write_at(&world, 4096, 2, false), 0);
	sim_process_crash(world.box.process, SIM_KILLED);
	sim_disk_copy_restore(world.sim_disk, copy);
	sim_disk_copy_destroy(copy);
	assert_int_equal(sim_disk_unflushed_count(world.sim_disk), 0);
	assert_int_equal(value_count(&world, 1), 4096);
	assert_int_equal(value_count(&world, 2), 0);
	sim_disk_power_cut(world.sim_disk);
	sim_disk_peek(world.sim_disk, 0, bytes, sizeof(bytes));
	assert_int_equal(bytes[0], 1);
	sim_destroy(world.sim);
}

static void a_stuck_operation_goes_on_when_released(void **state)
{
	struct world world;
	struct sim_process *previous;
	static uint8_t bytes[4096];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct box_wait wait;
	struct os_disk_io io = {
		.operation = OS_DISK_READ, .size_bytes = 4096, .iov = &iov, .iov_count = 1};

	(void)state;
	world_open(&world, 5);
	sim_disk_faults(world.sim_disk)->is_stuck = true;
	previous = sim_enter(world.box.process);
	box_wait_init(&wait, &world.box);
	io.parent = &wait.op;
	io.disk = world.disk;
	op_wait(&wait.op);
	os_disk_submit(reactor_ring(world.box.reactor), &io);
	sim_leave(previous);
	assert_int_equal(op_join(&wait.op), OP_WAIT);
	assert_int_equal(sim_run(world.sim, box_wait_is_over, &wait, 100 * SIM_S), SIM_DEADLINE);
	sim_disk_release(world.sim_disk);
	assert_int_equal(sim_run(world.sim, box_wait_is_over, &wait, SIM_S), SIM_REACHED);
	assert_int_equal(io.result, 0);
	sim_destroy(world.sim);
}

static void an_exclusive_disk_is_free_again_after_the_holders_crash(void **state)
{
	struct world world;
	struct sim_process *previous;
	struct os_disk *again;

	(void)state;
	world_open(&world, 6);
	previous = sim_enter(world.box.process);
	assert_int_equal(os_disk_open(sim_process_os(world.box.process), "/dev/a",
				      OS_DISK_EXCLUSIVE, &again),
			 -EBUSY);
	assert_int_equal(os_disk_open(sim_process_os(world.box.process), "/dev/b", 0, &again),
			 -ENOENT);
	sim_leave(previous);
	sim_process_crash(world.box.process, SIM_POWER_CUT);
	sim_process_restart(world.box.process);
	previous = sim_enter(world.box.process);
	assert_int_equal(os_disk_open(sim_process_os(world.box.process), "/dev/a",
				      OS_DISK_EXCLUSIVE, &again),
			 0);
	os_disk_close(again);
	sim_leave(previous);
	sim_destroy(world.sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_see_the_latest_write),
		cmocka_unit_test(flushed_and_forced_writes_survive_every_power_cut),
		cmocka_unit_test(unflushed_writes_are_kept_lost_or_torn_but_not_invented),
		cmocka_unit_test(a_killed_process_loses_no_completed_write),
		cmocka_unit_test(faults_are_answered_as_told),
		cmocka_unit_test(a_full_disk_refuses_writes_and_nothing_else),
		cmocka_unit_test(a_refused_flush_makes_nothing_durable),
		cmocka_unit_test(a_lost_write_is_answered_and_is_nowhere_or_elsewhere),
		cmocka_unit_test(a_wrong_read_leaves_the_medium_as_it_is),
		cmocka_unit_test(a_flipped_bit_survives_a_power_cut),
		cmocka_unit_test(a_disk_that_shrank_has_its_tail_again_when_it_has_grown),
		cmocka_unit_test(a_rolled_back_disk_has_the_content_of_its_copy),
		cmocka_unit_test(a_stuck_operation_goes_on_when_released),
		cmocka_unit_test(an_exclusive_disk_is_free_again_after_the_holders_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* slot_file_test.c - goal: old text or new text after any damage to the slot that was written;
 * method: a real file, damaged by hand between store and load. */
#include "engine/slot_file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct os *os;
	struct reactor *reactor;
	struct op op;
	bool is_over;
	char folder[64];
	char path[128];
	struct slot_file_io io;
};

static void waiter_run(struct op *op)
{
	container_of(op, struct fixture, op)->is_over = true;
}

static int fixture_set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct reactor_options options;

	reactor_options_default(&options);
	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/slot_file_test.XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->path, sizeof(fixture->path), "%s/file", fixture->folder);
	assert_int_equal(os_open(&fixture->os), 0);
	assert_int_equal(reactor_create(fixture->os, &options, &fixture->reactor), 0);
	*state = fixture;
	return 0;
}

static int fixture_tear_down(void **state)
{
	struct fixture *fixture = *state;

	unlink(fixture->path);
	rmdir(fixture->folder);
	reactor_destroy(fixture->reactor);
	os_close(fixture->os);
	free(fixture);
	return 0;
}

static void io_prepare(struct fixture *fixture)
{
	memset(&fixture->io, 0, sizeof(fixture->io));
	op_init(&fixture->op, reactor_ready(fixture->reactor), waiter_run);
	fixture->io.parent = &fixture->op;
	fixture->io.reactor = fixture->reactor;
	snprintf(fixture->io.path, sizeof(fixture->io.path), "%s", fixture->path);
	fixture->is_over = false;
	op_wait(&fixture->op);
}

static int io_finish(struct fixture *fixture)
{
	if (op_join(&fixture->op) == OP_NEXT)
		return fixture->io.result;
	while (!fixture->is_over)
		reactor_turn(fixture->reactor, true);
	return fixture->io.result;
}

static int store(struct fixture *fixture, const char *text)
{
	io_prepare(fixture);
	fixture->io.content_bytes = strlen(text);
	memcpy(fixture->io.content, text, strlen(text));
	slot_file_store_submit(&fixture->io);
	return io_finish(fixture);
}

static int load(struct fixture *fixture)
{
	io_prepare(fixture);
	slot_file_load_submit(&fixture->io);
	return io_finish(fixture);
}

static void damage(struct fixture *fixture, off_t offset, char value)
{
	int fd = open(fixture->path, O_WRONLY);

	assert_int_equal(pwrite(fd, &value, 1, offset), 1);
	close(fd);
}

static void last_text_stored_is_loaded(void **state)
{
	struct fixture *fixture = *state;
	char text[32];

	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "text number %d", i);
		assert_int_equal(store(fixture, text), 0);
		assert_int_equal(load(fixture), 0);
		assert_string_equal(fixture->io.content, text);
	}
}

static void missing_file_is_no_text(void **state)
{
	assert_int_equal(load(*state), -ENOENT);
}

static void empty_file_is_no_text(void **state)
{
	struct fixture *fixture = *state;

	close(open(fixture->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(load(fixture), -ENOENT);
	assert_int_equal(store(fixture, "first"), 0);
	assert_int_equal(load(fixture), 0);
	assert_string_equal(fixture->io.content, "first");
}

static void copy_slot(struct fixture *fixture, uint8_t *ret_slot, int index)
{
	int fd = open(fixture->path, O_RDONLY);

	assert_int_equal(pread(fd, ret_slot, SLOT_BYTES, (off_t)index * SLOT_BYTES), SLOT_BYTES);
	close(fd);
}

static void put_slot(struct fixture *fixture, const uint8_t *slot, int index)
{
	int fd = open(fixture->path, O_WRONLY);

	assert_int_equal(pwrite(fd, slot, SLOT_BYTES, (off_t)index * SLOT_BYTES), SLOT_BYTES);
	close(fd);
}

static void torn_store_leaves_the_older_text(void **state)
{
	static uint8_t older[SLOT_BYTES];
	struct fixture *fixture = *state;

	/* As a crash leaves it: one slot half written, the other not touched yet. */
	assert_int_equal(store(fixture, "older"), 0);
	copy_slot(fixture, older, 1);
	assert_int_equal(store(fixture, "newer"), 0);
	put_slot(fixture, older, 1);
	damage(fixture, SLOT_HEADER_BYTES + 2, '#');
	assert_int_equal(load(fixture), 0);
	assert_string_equal(fixture->io.content, "older");
	/* And the next store takes the damaged slot first, not the good one. */
	assert_int_equal(store(fixture, "newest"), 0);
	assert_int_equal(load(fixture), 0);
	assert_string_equal(fixture->io.content, "newest");
}

static void crash_between_the_slots_leaves_the_newer_text(void **state)
{
	static uint8_t older[SLOT_BYTES];
	struct fixture *fixture = *state;

	assert_int_equal(store(fixture, "older"), 0);
	copy_slot(fixture, older, 1);
	assert_int_equal(store(fixture, "newer"), 0);
	put_slot(fixture, older, 1);
	assert_int_equal(load(fixture), 0);
	assert_string_equal(fixture->io.content, "newer");
}

static void damage_of_one_slot_brings_no_older_text_back(void **state)
{
	struct fixture *fixture = *state;

	for (int slot = 0; slot < 2; slot++) {
		assert_int_equal(store(fixture, "older"), 0);
		assert_int_equal(store(fixture, "newer"), 0);
		damage(fixture, slot * SLOT_BYTES + SLOT_HEADER_BYTES + 2, '#');
		assert_int_equal(load(fixture), 0);
		assert_string_equal(fixture->io.content, "newer");
	}
}

static void shortened_file_is_an_error_not_an_absence(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(store(fixture, "text"), 0);
	assert_int_equal(truncate(fixture->path, SLOT_BYTES), 0);
	assert_int_equal(load(fixture), -EBADMSG);
	assert_int_equal(store(fixture, "more"), -EBADMSG);
}

static void damage_of_both_slots_is_an_error_not_an_absence(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(store(fixture, "text"), 0);
	damage(fixture, SLOT_HEADER_BYTES + 2, '#');
	damage(fixture, SLOT_BYTES + SLOT_HEADER_BYTES + 2, '#');
	assert_int_equal(load(fixture), -EBADMSG);
	assert_int_equal(store(fixture, "more"), -EBADMSG);
}

static void torn_first_store_is_no_text(void **state)
{
	struct fixture *fixture = *state;
	static const char zeroes[SLOT_BYTES];
	int fd;

	assert_int_equal(store(fixture, "text"), 0);
	damage(fixture, SLOT_HEADER_BYTES + 2, '#');
	fd = open(fixture->path, O_WRONLY);
	assert_int_equal(pwrite(fd, zeroes, SLOT_BYTES, SLOT_BYTES), SLOT_BYTES);
	close(fd);
	assert_int_equal(load(fixture), -ENOENT);
	assert_int_equal(store(fixture, "again"), 0);
	assert_int_equal(load(fixture), 0);
	assert_string_equal(fixture->io.content, "again");
}

static void every_damaged_header_byte_is_noticed(void **state)
{
	static uint8_t slot[SLOT_BYTES];
	struct fixture *fixture = *state;
	struct slot_view view;
	int fd;

	assert_int_equal(store(fixture, "text"), 0);
	fd = open(fixture->path, O_RDONLY);
	assert_int_equal(pread(fd, slot, sizeof(slot), 0), sizeof(slot));
	close(fd);
	assert_true(slot_decode(slot, &view));
	for (int i = 0; i < SLOT_HEADER_BYTES + 4; i++) {
		slot[i] ^= 0x40;
		assert_false(slot_decode(slot, &view));
		slot[i] ^= 0x40;
	}
}

static void unwritable_place_is_an_error(void **state)
{
	struct fixture *fixture = *state;

	io_prepare(fixture);
	snprintf(fixture->io.path, sizeof(fixture->io.path), "%s/none/file", fixture->folder);
	slot_file_store_submit(&fixture->io);
	assert_int_equal(io_finish(fixture), -ENOENT);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(last_text_stored_is_loaded),
		WITH_FIXTURE(missing_file_is_no_text),
		WITH_FIXTURE(empty_file_is_no_text),
		WITH_FIXTURE(torn_store_leaves_the_older_text),
		WITH_FIXTURE(crash_between_the_slots_leaves_the_newer_text),
		WITH_FIXTURE(damage_of_one_slot_brings_no_older_text_back),
		WITH_FIXTURE(shortened_file_is_an_error_not_an_absence),
		WITH_FIXTURE(damage_of_both_slots_is_an_error_not_an_absence),
		WITH_FIXTURE(torn_first_store_is_no_text),
		WITH_FIXTURE(every_damaged_header_byte_is_noticed),
		WITH_FIXTURE(unwritable_place_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

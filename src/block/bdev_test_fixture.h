/* SPDX-License-Identifier: Apache-2.0 */
/* bdev_test_fixture.h - for tests of this folder: two reactors, all drivers, and waiting calls.
 *
 * Both reactors are turned by the test's thread, so schedules are the test's own.
 */
#ifndef BLOCK_BDEV_TEST_FIXTURE_H
#define BLOCK_BDEV_TEST_FIXTURE_H

#include "base/memory.h"
#include "block/bdev_registry.h"
#include "block/filter.h"
#include "reactor/buffer_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define FIXTURE_SECONDS_MAX 30 /* a test that hangs fails */

struct fixture {
	struct os *os;
	struct reactor *main;
	struct reactor *other;
	struct bdev_registry *registry;
	struct bdev_create create;
	struct bdev_destroy destroy;
};

/* Somebody who waits for answers. */
struct waiter {
	struct op op;
	uint32_t entered;
};

static inline void waiter_run(struct op *op)
{
	container_of(op, struct waiter, op)->entered++;
}

static inline void waiter_init(struct waiter *waiter, struct reactor *reactor)
{
	op_init(&waiter->op, reactor_ready(reactor), waiter_run);
	waiter->entered = 0;
}

static inline void fixture_turn(struct fixture *fixture)
{
	reactor_turn(fixture->main, false);
	reactor_turn(fixture->other, false);
}

static inline void fixture_wait(struct fixture *fixture, struct waiter *waiter)
{
	time_t end = time(NULL) + FIXTURE_SECONDS_MAX;

	while (waiter->op.pending > 0 && time(NULL) < end)
		fixture_turn(fixture);
	assert_int_equal(waiter->op.pending, 0);
}

static inline int fixture_setup(void **state)
{
	struct fixture *fixture = memory_alloc(sizeof(*fixture));
	struct reactor_options options;

	assert_non_null(fixture);
	reactor_options_default(&options);
	options.small_buffer_count = 4;
	options.large_buffer_count = 4;
	options.receive_buffer_count = 8;
	assert_int_equal(os_open(&fixture->os), 0);
	assert_int_equal(reactor_create(fixture->os, &options, &fixture->main), 0);
	options.index = 1;
	assert_int_equal(reactor_create(fixture->os, &options, &fixture->other), 0);
	assert_int_equal(bdev_registry_create(fixture->main, &fixture->registry), 0);
	assert_int_equal(bdev_memory_register(fixture->registry), 0);
	assert_int_equal(bdev_null_register(fixture->registry), 0);
	assert_int_equal(bdev_uring_register(fixture->registry), 0);
	assert_int_equal(bdev_loopback_register(fixture->registry), 0);
	assert_int_equal(bdev_pcie_register(fixture->registry), 0);
	assert_int_equal(bdev_filter_register(fixture->registry), 0);
	*state = fixture;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 100; i++)
		fixture_turn(fixture);
	if (bdev_next(fixture->registry, NULL) != NULL)
		return -1; /* the test failed midway: leave it all, so that its message is printed
			    */
	bdev_registry_destroy(fixture->registry);
	reactor_destroy(fixture->other);
	reactor_destroy(fixture->main);
	os_close(fixture->os);
	memory_free(fixture);
	return 0;
}

/* Creates by URI and waits. Return: the result; the rest is in fixture->create. */
static inline int fixture_try(struct fixture *fixture, const char *uri)
{
	struct waiter waiter;

	waiter_init(&waiter, fixture->main);
	memset(&fixture->create, 0xa5, sizeof(fixture->create));
	fixture->create.parent = &waiter.op;
	fixture->create.registry = fixture->registry;
	snprintf(fixture->create.uri_text, sizeof(fixture->create.uri_text), "%s", uri);
	op_wait(&waiter.op);
	bdev_create_submit(&fixture->create);
	fixture_wait(fixture, &waiter);
	if (fixture->create.result < 0)
		assert_true(fixture->create.error[0] != '\0');
	return fixture->create.result;
}

static inline struct bdev *fixture_create(struct fixture *fixture, const char *uri)
{
	if (fixture_try(fixture, uri) < 0)
		fail_msg("%s: %s", uri, fixture->create.error);
	assert_non_null(fixture->create.bdev);
	return fixture->create.bdev;
}

static inline int fixture_try_destroy(struct fixture *fixture, struct bdev *bdev, bool is_reference)
{
	struct waiter waiter;

	waiter_init(&waiter, fixture->main);
	fixture->destroy = (struct bdev_destroy){
		.parent = &waiter.op, .bdev = bdev, .is_reference = is_reference};
	op_wait(&waiter.op);
	bdev_destroy_submit(fixture->registry, &fixture->destroy);
	fixture_wait(fixture, &waiter);
	return fixture->destroy.result;
}

static inline void fixture_destroy(struct fixture *fixture, struct bdev *bdev)
{
	if (fixture_try_destroy(fixture, bdev, false) < 0)
		fail_msg("%s", fixture->destroy.error);
}

static inline struct bdev_channel *fixture_open(struct bdev *bdev, struct reactor *reactor)
{
	struct bdev_channel *channel = NULL;

	assert_int_equal(bdev_channel_open(bdev, reactor, &channel), 0);
	assert_non_null(channel);
	return channel;
}

/* One I/O with one iovec, waited for. Types without memory take bytes NULL. */
static inline enum io_status fixture_io(struct fixture *fixture, struct bdev_channel *channel,
					enum io_type type, struct block_range range, void *bytes)
{
	struct iovec iov = {bytes, range.count * channel->bdev->block_bytes};
	struct waiter waiter;
	struct bdev_io io;

	waiter_init(&waiter, channel->reactor);
	memset(&io, 0xa5, sizeof(io));
	io.parent = &waiter.op;
	io.type = type;
	io.is_fua = false;
	io.range = range;
	io.iov = bytes == NULL ? NULL : &iov;
	io.iov_count = bytes == NULL ? 0 : 1;
	op_wait(&waiter.op);
	bdev_submit(channel, &io);
	fixture_wait(fixture, &waiter);
	return io.status;
}

/* Hears what becomes of a bdev. */
struct fixture_listener {
	struct bdev_listener listener;
	int removed_count;
	int resized_count;
};

static inline void fixture_event(struct bdev_listener *listener, struct bdev *bdev,
				 enum bdev_event event)
{
	struct fixture_listener *heard = container_of(listener, struct fixture_listener, listener);

	(void)bdev;
	if (event == BDEV_REMOVED)
		heard->removed_count++;
	else
		heard->resized_count++;
}

static inline void fixture_listen(struct fixture_listener *heard, struct bdev *bdev)
{
	*heard = (struct fixture_listener){.listener.event = fixture_event};
	bdev_listen(bdev, &heard->listener);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* test_bench.h - one reactor, a registry with the initiator in it, and a fake controller. */
#ifndef INITIATOR_TEST_BENCH_H
#define INITIATOR_TEST_BENCH_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "initiator/initiator_impl.h"
#include "initiator/test_controller.h"

#define BENCH_PATIENCE_NS (20ull * 1000 * 1000 * 1000)

struct bench {
	struct os *os;
	struct reactor *reactor;
	struct log log;
	struct initiator_options options;
	struct bdev_registry *registry;
	struct fake_controller *fake;
	struct bdev *bdev;
	struct bdev_channel *channel;
	struct op op;
	char error[ERROR_TEXT_BYTES];
};

static inline void bench_log_write(struct log *log, const char *line)
{
	if (log->user != NULL)
		fprintf(stderr, "%s\n", line);
}

static inline void bench_op_run(struct op *op)
{
	(void)op;
}

#define bench_until(bench, condition)                                                     \
	do {                                                                              \
		uint64_t bench_end_ns = os_clock_now_ns((bench)->os) + BENCH_PATIENCE_NS; \
		while (!(condition)) {                                                    \
			reactor_turn((bench)->reactor, true);                             \
			assert_true(os_clock_now_ns((bench)->os) < bench_end_ns);         \
		}                                                                         \
	} while (0)

static inline void bench_turn(struct bench *bench, int count)
{
	for (int i = 0; i < count; i++)
		reactor_turn(bench->reactor, false);
}

static inline int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct reactor_options options;

	reactor_options_default(&options);
	options.small_buffer_count = 16;
	options.large_buffer_count = 16;
	options.receive_buffer_count = 64;
	options.spin_ns_max = 0;
	assert_int_equal(os_open(&bench->os), 0);
	assert_int_equal(reactor_create(bench->os, &options, &bench->reactor), 0);
	assert_int_equal(bdev_registry_create(bench->reactor, &bench->registry), 0);
	bench->fake = calloc(1, sizeof(*bench->fake));
	fake_open(bench->fake, bench->reactor);
	bench->log = (struct log){
		.level = LOG_TRACE, .write = bench_log_write, .user = getenv("BENCH_LOG")};
	initiator_options_default(&bench->options);
	memcpy(bench->options.host_nqn, "nqn.2019-05.io.openebs:node-name:test", 38);
	bench->options.host_id[0] = 7;
	bench->options.log = &bench->log;
	bench->options.reconnect_min_ms = 1;
	bench->options.reconnect_max_ms = 4;
	op_init(&bench->op, reactor_ready(bench->reactor), bench_op_run);
	*state = bench;
	return 0;
}

static inline int bench_create(struct bench *bench, const char *parameters)
{
	struct bdev_create create = {.parent = &bench->op, .registry = bench->registry};
	char address[OS_ADDRESS_TEXT_BYTES];

	os_address_format(&bench->fake->address, address);
	(void)snprintf(create.uri_text, sizeof(create.uri_text),
		       "nvmf+tcp://%s/nqn.2019-05.test:x%s", address, parameters);
	op_wait(&bench->op);
	bdev_create_submit(&create);
	bench_until(bench, bench->op.pending == 0);
	memcpy(bench->error, create.error, sizeof(bench->error));
	bench->bdev = create.result == 0 ? create.bdev : NULL;
	return create.result;
}

static inline void bench_open(struct bench *bench, const char *parameters)
{
	assert_int_equal(initiator_register(bench->registry, &bench->options), 0);
	assert_int_equal(bench_create(bench, parameters), 0);
	assert_int_equal(bdev_channel_open(bench->bdev, bench->reactor, &bench->channel), 0);
}

static inline int bench_teardown(void **state)
{
	struct bench *bench = *state;

	bdev_channel_close(bench->channel);
	if (bench->bdev != NULL) {
		struct bdev_destroy destroy = {.parent = &bench->op, .bdev = bench->bdev};

		op_wait(&bench->op);
		bdev_destroy_submit(bench->registry, &destroy);
		bench_until(bench, bench->op.pending == 0);
		assert_int_equal(destroy.result, 0);
	}
	fake_close(bench->fake);
	while (reactor_turn(bench->reactor, false))
		;
	bdev_registry_destroy(bench->registry);
	reactor_destroy(bench->reactor);
	os_close(bench->os);
	free(bench->fake);
	free(bench);
	return 0;
}

/* One I/O; the op is only counted. */
struct bench_io {
	struct bdev_io io;
	struct op op;
	struct iovec iov[IO_IOV_COUNT_MAX];
};

static inline void bench_submit(struct bench *bench, struct bench_io *io, enum io_type type,
				struct block_range range, struct iovec data)
{
	memset(&io->io, 0, sizeof(io->io));
	/* Its last driver left something there. */
	memset(io->io.driver, 0xff, sizeof(io->io.driver));
	op_init(&io->op, reactor_ready(bench->reactor), bench_op_run);
	io->iov[0] = data;
	io->io.parent = &io->op;
	io->io.type = type;
	io->io.range = range;
	io->io.iov = io->iov;
	io->io.iov_count = data.iov_len > 0 ? 1 : 0;
	op_wait(&io->op);
	bdev_submit(bench->channel, &io->io);
}

static inline enum io_status bench_wait(struct bench *bench, struct bench_io *io)
{
	bench_until(bench, io->op.pending == 0);
	return io->io.status;
}

static inline enum io_status bench_do(struct bench *bench, enum io_type type,
				      struct block_range range, void *data)
{
	bool has_data = type == IO_READ || type == IO_WRITE || type == IO_COMPARE;
	struct bench_io io;

	bench_submit(bench, &io, type, range,
		     (struct iovec){data, has_data ? range.count * FAKE_BLOCK_BYTES : 0});
	return bench_wait(bench, &io);
}

static inline struct initiator_info bench_info(struct bench *bench)
{
	struct initiator_info info;

	assert_true(initiator_describe(bench->bdev, &info));
	return info;
}

static inline bool bench_is_running(struct bench *bench)
{
	return bench_info(bench).state == INITIATOR_RUNNING;
}

#endif

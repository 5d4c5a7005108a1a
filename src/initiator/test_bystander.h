/* SPDX-License-Identifier: Apache-2.0 */
/* test_bystander.h - two devices in one process: a victim whose controller lies, and a bystander
 * that does verified I/O all the while.
 *
 * Each has a reactor, a registry and a fake controller of its own (test_bench.h); whoever waits for
 * the victim turns both.
 */
#ifndef INITIATOR_TEST_BYSTANDER_H
#define INITIATOR_TEST_BYSTANDER_H

#include "initiator/test_bench.h"

#include <dirent.h>

#define BYSTANDER_BLOCKS 8u
#define BYSTANDER_BYTES	 (BYSTANDER_BLOCKS * FAKE_BLOCK_BYTES)

struct bystander {
	struct bench *bench;
	struct bench_io io;
	uint8_t written[BYSTANDER_BYTES];
	uint8_t read[BYSTANDER_BYTES];
	bool is_reading;
	uint64_t round;
	uint64_t verified_count;
	uint32_t fd_count; /* with the bystander alone */
};

/* Of the test program that includes this. */
static struct bystander bystander;
static bool (*victim_hook)(struct fake_connection *connection, const struct nvme_sqe *sqe,
			   const uint8_t *data, uint32_t data_bytes);

static inline void bystander_submit(void)
{
	struct block_range range = {bystander.round * BYSTANDER_BLOCKS % FAKE_BLOCKS,
				    BYSTANDER_BLOCKS};

	if (!bystander.is_reading)
		memset(bystander.written, (int)(bystander.round * 7 + 1), BYSTANDER_BYTES);
	bench_submit(bystander.bench, &bystander.io, bystander.is_reading ? IO_READ : IO_WRITE,
		     range,
		     (struct iovec){bystander.is_reading ? bystander.read : bystander.written,
				    BYSTANDER_BYTES});
}

/* One turn, and the next step of its write, read, compare. */
static inline void bystander_turn(void)
{
	reactor_turn(bystander.bench->reactor, false);
	if (bystander.io.op.pending > 0)
		return;
	assert_int_equal(bystander.io.io.status, IO_OK);
	if (bystander.is_reading) {
		assert_memory_equal(bystander.read, bystander.written, BYSTANDER_BYTES);
		bystander.verified_count++;
		bystander.round++;
	}
	bystander.is_reading = !bystander.is_reading;
	bystander_submit();
}

#define both_until(bench, condition)                                                     \
	do {                                                                             \
		uint64_t both_end_ns = os_clock_now_ns((bench)->os) + BENCH_PATIENCE_NS; \
		while (!(condition)) {                                                   \
			bystander_turn();                                                \
			reactor_turn((bench)->reactor, false);                           \
			assert_true(os_clock_now_ns((bench)->os) < both_end_ns);         \
		}                                                                        \
	} while (0)

static inline uint64_t bystander_verified(void)
{
	return bystander.verified_count;
}

static inline void bystander_await(uint64_t verified_count)
{
	uint64_t end_ns = os_clock_now_ns(bystander.bench->os) + BENCH_PATIENCE_NS;

	while (bystander.verified_count < verified_count) {
		bystander_turn();
		assert_true(os_clock_now_ns(bystander.bench->os) < end_ns);
	}
}

static inline uint32_t fds_count(void)
{
	DIR *directory = opendir("/proc/self/fd");
	uint32_t count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	(void)closedir(directory);
	return count;
}

/* Before all tests of a program. */
static inline int bystander_start(void **state)
{
	void *bench;

	(void)state;
	assert_int_equal(bench_setup(&bench), 0);
	bystander.bench = bench;
	bench_open(bystander.bench, "");
	bystander_submit();
	bystander_await(1);
	bystander.fd_count = fds_count();
	return 0;
}

/* Behind all of them. */
static inline int bystander_end(void **state)
{
	void *bench = bystander.bench;

	(void)state;
	assert_int_equal(fds_count(), bystander.fd_count);
	while (bystander.io.op.pending > 0)
		reactor_turn(bystander.bench->reactor, true);
	return bench_teardown(&bench);
}

/* A fresh victim; @digests: 1 header, 2 data. I/O waits for a reconnect. */
static inline void victim_open(struct bench **ret_victim, uint8_t digests)
{
	static const char *const parameters[] = {"", "?hdgst=1", "?ddgst=1", "?hdgst=1&ddgst=1"};
	struct bench *victim;
	void *state;

	assert_int_equal(bench_setup(&state), 0);
	victim = state;
	victim->options.fail_fast_ms = 10000;
	victim->fake->has_header_digest = (digests & 1) != 0;
	victim->fake->has_data_digest = (digests & 2) != 0;
	victim->fake->hook = victim_hook;
	bench_open(victim, parameters[digests & 3]);
	*ret_victim = victim;
}

static inline void victim_close(struct bench **victim)
{
	void *state = *victim;

	assert_int_equal(bench_teardown(&state), 0);
	*victim = NULL;
	uint32_t left_count = fds_count();
	uint32_t base_count = bystander.fd_count;

	bystander.fd_count = left_count; /* so that one leak is one failure */
	assert_int_equal(left_count, base_count);
}

#endif

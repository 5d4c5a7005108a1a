/* SPDX-License-Identifier: Apache-2.0 */
/* target_test.c - what a host can rely on, over real sockets (test_host.h).
 *
 * Faults of the device are made with the filter over the exported memory disk: I/O that is held,
 * failed or counted. Times that would take long are made short by options.
 */
#include "target/test_host.h"

#include "base/crc32c.h"
#include "target/target_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct pdu pdu;
static uint8_t pattern[128 * 1024];
static uint8_t got[128 * 1024];

static void pattern_fill(uint8_t seed)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + (i >> 9) + seed);
}

static struct target_options quick_options(void)
{
	struct target_options options;

	target_options_default(&options);
	options.keep_alive_ms_min = 100;
	options.handshake_timeout_ms = 200;
	options.stall_timeout_ms = 400;
	return options;
}

/* ---- moving data ---- */

static void data_comes_back_with(struct stage *stage, struct host shape)
{
	struct host admin = shape;
	struct host io = shape;

	host_admin(stage, &admin);
	host_io(stage, &io, &admin);
	pattern_fill((uint8_t)shape.alignment);
	(void)host_capsule_write(&io, 0, pattern, 4096);
	assert_int_equal(host_response(&io, NULL, NULL).status, 0);
	assert_int_equal(host_write(&io, 8, pattern + 4096, sizeof(pattern) - 4096), 0);
	memset(got, 0, sizeof(got));
	assert_int_equal(host_read(&io, 0, got, sizeof(got)), 0);
	assert_memory_equal(got, pattern, sizeof(pattern));
	assert_int_equal(host_read(&io, 3, got, 512), 0);
	assert_memory_equal(got, pattern + 3 * 512, 512);
	host_close(&io);
	host_close(&admin);
}

static void data_comes_back_with_any_digests_and_alignment(void **state)
{
	static const uint32_t alignments[] = {4, 8, 64, 128};
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	for (uint32_t i = 0; i < 32; i++) {
		struct host shape = {.has_header_digest = (i & 1) != 0,
				     .has_data_digest = (i & 2) != 0,
				     .is_without_flow_control = (i & 4) != 0,
				     .alignment = alignments[i / 8]};

		data_comes_back_with(&stage, shape);
	}
	stage_close(&stage);
}

static void success_flag_needs_flow_control_off(void **state)
{
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	for (int is_without = 0; is_without < 2; is_without++) {
		struct host admin = {.is_without_flow_control = is_without};
		struct host io = admin;
		struct nvme_sqe sqe = host_rw(NVME_READ, 0, 1);
		bool is_success;

		host_admin(&stage, &admin);
		host_io(&stage, &io, &admin);
		host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, 512);
		(void)host_command(&io, &sqe, NULL, 0);
		host_receive_pdu(&io, &pdu);
		assert_int_equal(pdu.header[0], NVME_TCP_C2H_DATA);
		is_success = (pdu.header[1] & NVME_TCP_FLAG_SUCCESS) != 0;
		assert_int_equal(is_success, is_without);
		if (!is_success)
			assert_int_equal(host_response(&io, NULL, NULL).status, 0);
		host_close(&io);
		host_close(&admin);
	}
	stage_close(&stage);
}

static void the_network_may_cut_the_stream_anywhere(void **state)
{
	struct host admin = {.has_header_digest = true, .has_data_digest = true};
	struct host io = admin;
	struct nvme_tcp_frame frame = {true, true, 4};
	struct nvme_sqe sqe = host_rw(NVME_WRITE, 5, 1);
	struct nvme_tcp_capsule_command command;
	uint8_t bytes[76 + 516];
	struct le32 digest;
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	pattern_fill(3);
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, 512);
	sqe.cid = le16_store(500);
	nvme_tcp_command_encode(&command, &frame, &sqe, 512);
	memcpy(bytes, &command, 72);
	digest = nvme_tcp_header_digest(&command, 72);
	memcpy(bytes + 72, &digest, 4);
	memcpy(bytes + 76, pattern, 512);
	digest = le32_store(0);
	for (uint32_t cut = 1; cut < sizeof(bytes); cut++) {
		/* The data digest is wrong on purpose in every second round. */
		uint32_t crc = cut % 2 == 0 ? crc32c(pattern, 512) : 1;

		digest = le32_store(crc);
		memcpy(bytes + 588, &digest, 4);
		host_send(&io, bytes, cut);
		stage_turn(&stage);
		host_send(&io, bytes + cut, sizeof(bytes) - cut);
		assert_int_equal(host_response(&io, NULL, NULL).status, cut % 2 == 0 ? 0 : 0x022);
	}
	for (size_t i = 0; i < sizeof(bytes); i++) {
		host_send(&io, bytes + i, 1);
		stage_turn(&stage);
	}
	(void)host_response(&io, NULL, NULL);
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void data_with_a_wrong_digest_is_not_written(void **state)
{
	struct host admin = {.has_data_digest = true};
	struct host io = admin;
	struct nvme_sqe sqe = host_rw(NVME_WRITE, 9, 1);
	struct nvme_tcp_frame frame = {false, true, 4};
	struct nvme_tcp_capsule_command command;
	struct stage stage;
	uint32_t wrong = 0x12345678;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, 512);
	nvme_tcp_command_encode(&command, &frame, &sqe, 512);
	memset(pattern, 0xee, 512);
	host_send(&io, &command, sizeof(command));
	host_send(&io, pattern, 512);
	host_send(&io, &wrong, 4);
	assert_int_equal(host_response(&io, NULL, NULL).status, 0x022);
	assert_int_equal(host_read(&io, 9, got, 512), 0);
	assert_int_equal(got[0], 0);
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void flush_zeroes_trim_and_compare_reach_the_device(void **state)
{
	struct filter_rule count = {.action = FILTER_FAIL,
				    .type_mask = 1 << IO_FLUSH,
				    .skip_hits = 1000,
				    .status = IO_MEDIUM_ERROR};
	struct nvme_dsm_range ranges[3];
	struct host admin = {0}, io = {0};
	struct nvme_sqe sqe;
	struct stage stage;
	int rule;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	pattern_fill(1);
	assert_int_equal(host_write(&io, 0, pattern, 65536), 0);
	rule = filter_rule_add(stage.bdev, &count);
	nvme_flush_encode(&sqe, 1);
	assert_int_equal(host_run(&io, &sqe, NULL, 0, NULL), 0);
	nvme_flush_encode(&sqe, NVME_NSID_ALL);
	assert_int_equal(host_run(&io, &sqe, NULL, 0, NULL), 0);
	assert_int_equal(filter_rule_hits(stage.bdev, rule), 2);

	sqe = host_rw(NVME_COMPARE, 0, 128);
	assert_int_equal(host_run(&io, &sqe, pattern, 65536, NULL), 0);
	pattern[65535] ^= 1;
	assert_int_equal(host_run(&io, &sqe, pattern, 65536, NULL), 0x285);

	sqe = host_rw(NVME_WRITE_ZEROES, 4, 2);
	assert_int_equal(host_run(&io, &sqe, NULL, 0, NULL), 0);
	memset(ranges, 0, sizeof(ranges));
	ranges[0].first_block = le64_store(10);
	ranges[0].block_count = le32_store(1);
	ranges[2].first_block = le64_store(20);
	ranges[2].block_count = le32_store(2);
	nvme_dsm_encode(&sqe, 1, &(struct nvme_dsm){.range_count = 3, .is_deallocate = true});
	assert_int_equal(host_run(&io, &sqe, ranges, sizeof(ranges), NULL), 0);
	assert_int_equal(host_read(&io, 0, got, 16384), 0);
	memset(pattern + 4 * 512, 0, 1024);
	memset(pattern + 10 * 512, 0, 512);
	memset(pattern + 20 * 512, 0, 1024);
	assert_memory_equal(got, pattern, 16384);

	/* One range behind the end: nothing of the list is done. */
	ranges[0].first_block = le64_store(30);
	ranges[1].first_block = le64_store(STAGE_BLOCKS);
	ranges[1].block_count = le32_store(1);
	assert_int_equal(host_run(&io, &sqe, ranges, sizeof(ranges), NULL), 0x080);
	assert_int_equal(host_read(&io, 30, got, 512), 0);
	assert_memory_equal(got, pattern + 30 * 512, 512);
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void compare_and_write_is_one(void **state)
{
	struct host admin = {0}, io = {0};
	struct nvme_sqe first, second;
	struct nvme_status_field status;
	uint16_t cid;
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	for (uint8_t round = 0; round < 3; round++) {
		memset(pattern, round == 2 ? 0x55 : round, 512); /* the last one is wrong */
		memset(got, round + 1, 512);
		first = host_rw(NVME_COMPARE, 40, 1);
		host_sgl(&first, NVME_DATA_PLACE_CAPSULE, 512);
		first.flags |= 1;
		second = host_rw(NVME_WRITE, 40, 1);
		host_sgl(&second, NVME_DATA_PLACE_CAPSULE, 512);
		second.flags |= 2;
		(void)host_command(&io, &first, pattern, 512);
		(void)host_command(&io, &second, got, 512);
		status = host_response(&io, NULL, &cid);
		assert_int_equal(cid, io.cid - 1);
		assert_int_equal(status.status, round == 2 ? 0x285 : 0);
		status = host_response(&io, NULL, &cid);
		assert_int_equal(cid, io.cid);
		assert_int_equal(status.status, round == 2 ? 0x009 : 0);
	}
	assert_int_equal(host_read(&io, 40, got, 512), 0);
	assert_int_equal(got[0], 2);
	/* A first half that is not followed by its second. */
	(void)host_command(&io, &first, pattern, 512);
	(void)host_capsule_write(&io, 41, pattern, 512);
	for (int i = 0; i < 2; i++) {
		status = host_response(&io, NULL, &cid);
		assert_int_equal(status.status, cid == io.cid ? 0 : 0x00a);
	}
	/* A first half whose connection ends. */
	(void)host_command(&io, &first, pattern, 512);
	host_close(&io);
	host_close(&admin);
	assert_true(stage_await_connections(&stage, 0));
	stage_close(&stage);
}

/* ---- hosts that misbehave in time ---- */

static void a_host_without_keep_alive_is_let_go(void **state)
{
	struct target_options options = quick_options();
	struct nvme_sqe sqe = {.opcode = NVME_ADMIN_SET_FEATURES};
	struct host admin = {0}, io = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, &options, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	sqe.cdw10 = le32_store(NVME_FEATURE_KEEP_ALIVE);
	sqe.cdw11 = le32_store(150);
	assert_int_equal(host_run(&admin, &sqe, NULL, 0, NULL), 0);
	for (int i = 0; i < 5; i++) {
		struct nvme_sqe alive = {.opcode = NVME_ADMIN_KEEP_ALIVE};

		stage_run_ms(&stage, 100);
		assert_int_equal(host_run(&admin, &alive, NULL, 0, NULL), 0);
	}
	assert_false(host_is_closed_within(&io, 150)); /* 150 ms are granted as 200 */
	assert_true(host_is_closed_within(&io, 200));
	assert_true(host_is_closed_within(&admin, 50));
	host_close(&io);
	host_close(&admin);
	assert_true(stage_await_connections(&stage, 0));
	stage_close(&stage);
}

static void strangers_have_a_deadline_and_a_limit(void **state)
{
	struct target_options options = quick_options();
	struct host strangers[4];
	struct host good = {0};
	struct stage stage;

	(void)state;
	options.unauthenticated_count_max = 3;
	options.handshake_timeout_ms = 500; /* all of them are young for a tenth of it */
	stage_open(&stage, &options, NULL);
	memset(strangers, 0, sizeof(strangers));
	for (int i = 0; i < 4; i++) {
		host_open(&stage, &strangers[i]);
		stage_run_ms(&stage, 1);
	}
	assert_true(host_is_closed_within(&strangers[3], 50));
	host_icreq(&strangers[1]);
	for (int i = 0; i < 30; i++) { /* slowly, for ever */
		host_send(&strangers[2], "\0", 1);
		stage_run_ms(&stage, 10);
	}
	for (int i = 0; i < 3; i++)
		assert_true(host_is_closed_within(&strangers[i], 1000));
	assert_true(stage_await_connections(&stage, 0));
	host_admin(&stage, &good);
	host_close(&good);
	for (int i = 0; i < 4; i++)
		host_close(&strangers[i]);
	stage_close(&stage);
}

/* Has the first I/O queue @count commands that it cannot get rid of? */
static bool first_io_is_full(struct stage *stage, uint32_t count)
{
	const struct connection *io = NULL;

	list_for_each (node, &stage->subsystem->connections) {
		const struct connection *connection = list_entry(node, struct connection, link);

		if (io == NULL && connection->qid != 0)
			io = connection;
	}
	assert_non_null(io);
	for (int i = 0; i < 20 && io->busy_count == count; i++)
		stage_run_ms(stage, 1);
	return io->busy_count == count;
}

static void a_host_that_does_not_read_harms_only_itself(void **state)
{
	struct target_options options = quick_options();
	struct host admin = {.is_without_flow_control = true}, io = admin;
	struct host good_admin = {.id = 5}, good = {0};
	struct nvme_sqe sqe = host_rw(NVME_READ, 0, 256);
	struct stage stage;
	int small = 4096;

	(void)state;
	options.controller_buffers_max = 8;
	stage_open(&stage, &options, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	host_admin(&stage, &good_admin);
	host_io(&stage, &good, &good_admin);
	assert_int_equal(setsockopt(io.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, 131072);
	/* How much the system takes before it is stuck is its own affair. */
	for (int i = 0; i < 1000 && !first_io_is_full(&stage, 31); i++) {
		(void)host_command(&io, &sqe, NULL, 0);
		stage_turn(&stage);
	}
	for (int i = 0; i < 20; i++) {
		stage_run_ms(&stage, 5);
		assert_int_equal(host_read(&good, 0, got, sizeof(got)), 0);
	}
	stage_run_ms(&stage, 900);
	assert_int_equal(host_read(&good, 0, got, 512), 0);
	assert_true(stage_await_connections(&stage, 3)); /* io alone is gone */
	host_close(&io);
	host_close(&good);
	host_close(&admin);
	host_close(&good_admin);
	stage_close(&stage);
}

static void data_that_never_comes_is_not_awaited_for_ever(void **state)
{
	struct target_options options = quick_options();
	struct nvme_sqe sqe = host_rw(NVME_WRITE, 0, 64);
	struct host admin = {0}, io = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, &options, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, 32768);
	(void)host_command(&io, &sqe, NULL, 0);
	host_receive_pdu(&io, &pdu);
	assert_int_equal(pdu.header[0], NVME_TCP_R2T);
	assert_true(host_is_closed_within(&io, 1000));
	assert_int_equal(host_is_closed_within(&admin, 20), false);
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

/* ---- associations ---- */

static void a_new_association_waits_for_the_ghosts_of_the_old(void **state)
{
	struct host admin = {0}, io = {0}, again = {0}, other = {.id = 7};
	struct nvmf_connect connect;
	struct nvme_sqe sqe = {0};
	struct nvmf_connect_data data;
	struct stage stage;
	uint64_t result;
	int rule;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	rule = stage_hold(&stage, 1 << IO_WRITE);
	(void)host_capsule_write(&io, 0, pattern, 512);
	stage_run_ms(&stage, 20);
	host_close(&io);
	host_close(&admin);
	stage_run_ms(&stage, 20);

	host_open(&stage, &again);
	host_icreq(&again);
	connect = host_connect_default(&again, 0);
	nvmf_connect_encode(&sqe, &connect, &data);
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, sizeof(data));
	(void)host_command(&again, &sqe, &data, sizeof(data));
	stage_run_ms(&stage, 100);
	assert_int_equal(recv(again.fd, got, 1, MSG_PEEK), -1); /* not answered yet */
	assert_int_equal(errno, EAGAIN);
	host_admin(&stage, &other); /* another host is not kept waiting */
	host_close(&other);
	stage_let_go(&stage, rule);
	assert_int_equal(host_response(&again, &result, NULL).status, 0);
	host_close(&again);
	stage_close(&stage);
}

static void admin_connect(struct stage *stage, struct host *host, bool is_sole)
{
	struct nvmf_connect connect;
	uint32_t result;

	host_open(stage, host);
	host_icreq(host);
	connect = host_connect_default(host, 0);
	connect.is_sole = is_sole;
	assert_int_equal(host_connect_with(host, &connect, &result), 0);
	host->cntlid = (uint16_t)result;
	host_enable(host);
}

/* What the network still holds of the old connection must not act when it arrives. */
static void a_host_that_begins_anew_ends_its_earlier_associations(void **state)
{
	struct host old_admin = {0}, old = {0}, other_admin = {.id = 3}, other = {0};
	struct host fresh_admin = {0}, fresh = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &old_admin);
	host_io(&stage, &old, &old_admin);
	host_admin(&stage, &other_admin);
	host_io(&stage, &other, &other_admin);

	admin_connect(&stage, &fresh_admin, true);
	host_io(&stage, &fresh, &fresh_admin);
	assert_true(stage_await_connections(&stage, 4)); /* the old two are gone */
	assert_true(host_is_closed_within(&old, 1000));
	assert_true(host_is_closed_within(&old_admin, 1000));
	assert_int_equal(host_write(&fresh, 0, pattern, 512), 0);
	assert_int_equal(host_read(&other, 0, got, 512), 0); /* another host goes on */
	assert_memory_equal(got, pattern, 512);
	host_close(&fresh);
	host_close(&fresh_admin);
	host_close(&other);
	host_close(&other_admin);
	host_close(&old);
	host_close(&old_admin);
	stage_close(&stage);
}

static void a_refused_connect_ends_no_earlier_association(void **state)
{
	struct host admin = {0}, io = {0}, fresh = {0};
	struct nvmf_connect connect;
	struct stage stage;
	uint32_t result;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	host_open(&stage, &fresh);
	host_icreq(&fresh);
	connect = host_connect_default(&fresh, 0);
	connect.is_sole = true;
	connect.cntlid = 5;
	assert_int_equal(host_connect_with(&fresh, &connect, &result),
			 NVMF_STATUS_CONNECT_INVALID_PARAMETERS);
	assert_int_equal(host_write(&io, 0, pattern, 512), 0);
	host_close(&fresh);
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void a_host_with_two_paths_keeps_both(void **state)
{
	struct host admin = {0}, io = {0}, second_admin = {0}, second = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	admin_connect(&stage, &second_admin, false);
	host_io(&stage, &second, &second_admin);
	assert_int_equal(host_write(&io, 0, pattern, 512), 0);
	assert_int_equal(host_read(&second, 0, got, 512), 0);
	assert_memory_equal(got, pattern, 512);
	host_close(&second);
	host_close(&second_admin);
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void a_retry_over_another_path_waits_for_its_ghost(void **state)
{
	struct host admin = {0}, io = {0}, second_admin = {0}, second = {0};
	struct stage stage;
	int rule;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	host_admin(&stage, &second_admin);
	host_io(&stage, &second, &second_admin);
	rule = stage_hold(&stage, 1 << IO_WRITE);
	(void)host_capsule_write(&io, 0, pattern, 512);
	stage_run_ms(&stage, 20);
	assert_int_equal(filter_rule_remove(stage.bdev, rule), 0);
	host_close(&io);
	host_close(&admin);
	stage_run_ms(&stage, 20);
	(void)host_capsule_write(&second, 0, pattern + 512, 512);
	stage_run_ms(&stage, 50);
	assert_int_equal(recv(second.fd, got, 1, MSG_PEEK), -1);
	filter_release(stage.bdev);
	assert_int_equal(host_response(&second, NULL, NULL).status, 0);
	assert_int_equal(host_read(&second, 0, got, 512), 0);
	assert_memory_equal(got, pattern + 512, 512);
	host_close(&second);
	host_close(&second_admin);
	stage_close(&stage);
}

static void a_dead_write_that_waits_for_a_lock_is_not_submitted(void **state)
{
	struct host admin = {0}, io = {0}, other_admin = {.id = 3}, other = {0};
	struct nvme_sqe compare = host_rw(NVME_COMPARE, 0, 1);
	struct stage stage;
	int rule;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	host_admin(&stage, &other_admin);
	host_io(&stage, &other, &other_admin);
	rule = stage_hold(&stage, 1 << IO_COMPARE | 1 << IO_READ);
	memset(pattern, 0, 512);
	host_sgl(&compare, NVME_DATA_PLACE_CAPSULE, 512);
	(void)host_command(&other, &compare, pattern, 512); /* has the blocks to itself */
	stage_run_ms(&stage, 10);
	memset(pattern, 0x66, 512);
	(void)host_capsule_write(&io, 0, pattern, 512);
	stage_run_ms(&stage, 10);
	host_close(&admin);
	stage_run_ms(&stage, 10);
	stage_let_go(&stage, rule);
	assert_int_equal(host_response(&other, NULL, NULL).status, 0);
	assert_true(stage_await_connections(&stage, 2));
	assert_int_equal(host_read(&other, 0, got, 512), 0);
	assert_int_equal(got[0], 0);
	host_close(&io);
	host_close(&other);
	host_close(&other_admin);
	stage_close(&stage);
}

static void a_command_that_was_not_submitted_never_is(void **state)
{
	struct host admin = {0}, io = {0}, reader_admin = {.id = 3}, reader = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	stage_pause(&stage);
	memset(pattern, 0x77, 512);
	(void)host_capsule_write(&io, 0, pattern, 512);
	stage_run_ms(&stage, 20);
	host_close(&admin);
	stage_run_ms(&stage, 20);
	stage_resume(&stage);
	host_admin(&stage, &reader_admin);
	host_io(&stage, &reader, &reader_admin);
	assert_int_equal(host_read(&reader, 0, got, 512), 0);
	assert_int_equal(got[0], 0);
	host_close(&io);
	host_close(&reader);
	host_close(&reader_admin);
	stage_close(&stage);
}

static void reset_ends_the_io_queues_and_waits_for_their_io(void **state)
{
	struct nvmf_property_access access = {.offset = NVMF_PROPERTY_CC};
	struct host admin = {0}, io = {0};
	struct nvme_sqe event = {.opcode = NVME_ADMIN_ASYNC_EVENT};
	struct nvme_sqe get = {0}, set = {0};
	struct stage stage;
	uint64_t csts;
	int rule;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	rule = stage_hold(&stage, 1 << IO_WRITE);
	(void)host_capsule_write(&io, 0, pattern, 512);
	host_sgl(&event, NVME_DATA_PLACE_NONE, 0);
	(void)host_command(&admin, &event, NULL, 0); /* waits across the reset and to the end */
	stage_run_ms(&stage, 10);
	nvmf_property_set_encode(&set, &access);
	assert_int_equal(host_run(&admin, &set, NULL, 0, NULL), 0);
	assert_true(host_is_closed_within(&io, 100));
	access.offset = NVMF_PROPERTY_CSTS;
	nvmf_property_get_encode(&get, &access);
	assert_int_equal(host_run(&admin, &get, NULL, 0, &csts), 0);
	assert_int_equal(csts & NVMF_CSTS_READY, 1);
	stage_let_go(&stage, rule);
	assert_true(stage_await_connections(&stage, 1));
	assert_int_equal(host_run(&admin, &get, NULL, 0, &csts), 0);
	assert_int_equal(csts & NVMF_CSTS_READY, 0);
	host_close(&io);
	host_enable(&admin);
	host_io(&stage, &io, &admin);
	assert_int_equal(host_read(&io, 0, got, 512), 0);
	assert_int_equal(host_run(&admin, &set, NULL, 0, NULL), 0);
	host_close(&io);
	host_close(&admin);
	assert_true(stage_await_connections(&stage, 0));
	stage_close(&stage);
}

static void disconnect_is_answered_then_the_queue_ends(void **state)
{
	struct nvmf_disconnect_command disconnect = {.opcode = NVMF_OPCODE,
						     .type = NVMF_DISCONNECT};
	struct host admin = {0}, io = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	assert_int_equal(host_run(&io, (struct nvme_sqe *)&disconnect, NULL, 0, NULL), 0);
	assert_true(host_is_closed_within(&io, 200));
	assert_false(host_is_closed_within(&admin, 20));
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void a_subsystem_can_be_removed_while_io_is_held(void **state)
{
	struct host admin = {0}, io = {0};
	struct target_subsystem_change change;
	struct stage stage;
	int rule;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	rule = stage_hold(&stage, 1 << IO_WRITE | 1 << IO_READ);
	for (int i = 0; i < 8; i++)
		(void)host_capsule_write(&io, 0, pattern, 512);
	stage_run_ms(&stage, 10);
	memset(&change, 0, sizeof(change));
	change.parent = &stage.waiter;
	change.subsystem = stage.subsystem;
	op_wait(&stage.waiter);
	target_subsystem_destroy_submit(&change);
	stage_run_ms(&stage, 50);
	assert_int_equal(stage.waiter.pending, 1); /* the device still has the writes */
	stage_let_go(&stage, rule);
	stage_await(&stage);
	assert_int_equal(bdev_channel_count(stage.bdev), 0);
	host_close(&io);
	host_close(&admin);
	stage_reopen_subsystem(&stage);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_comes_back_with_any_digests_and_alignment),
		cmocka_unit_test(success_flag_needs_flow_control_off),
		cmocka_unit_test(the_network_may_cut_the_stream_anywhere),
		cmocka_unit_test(data_with_a_wrong_digest_is_not_written),
		cmocka_unit_test(flush_zeroes_trim_and_compare_reach_the_device),
		cmocka_unit_test(compare_and_write_is_one),
		cmocka_unit_test(a_host_without_keep_alive_is_let_go),
		cmocka_unit_test(strangers_have_a_deadline_and_a_limit),
		cmocka_unit_test(a_host_that_does_not_read_harms_only_itself),
		cmocka_unit_test(data_that_never_comes_is_not_awaited_for_ever),
		cmocka_unit_test(a_new_association_waits_for_the_ghosts_of_the_old),
		cmocka_unit_test(a_host_that_begins_anew_ends_its_earlier_associations),
		cmocka_unit_test(a_refused_connect_ends_no_earlier_association),
		cmocka_unit_test(a_host_with_two_paths_keeps_both),
		cmocka_unit_test(a_retry_over_another_path_waits_for_its_ghost),
		cmocka_unit_test(a_dead_write_that_waits_for_a_lock_is_not_submitted),
		cmocka_unit_test(a_command_that_was_not_submitted_never_is),
		cmocka_unit_test(reset_ends_the_io_queues_and_waits_for_their_io),
		cmocka_unit_test(disconnect_is_answered_then_the_queue_ends),
		cmocka_unit_test(a_subsystem_can_be_removed_while_io_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

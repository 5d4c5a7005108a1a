/* SPDX-License-Identifier: Apache-2.0 */
/* management_test.c - what happens beside the data: events, aborts, errors, allowed hosts,
 * discovery and reservations, over real sockets (test_host.h).
 */
#include "reactor/buffer_pool.h"
#include "target/test_host.h"

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

/* ---- events ---- */

static void ana_change_is_told_and_obeyed(void **state)
{
	struct target_subsystem_change change;
	struct nvme_sqe event = {.opcode = NVME_ADMIN_ASYNC_EVENT};
	struct nvme_get_log log = {.page = NVME_LOG_ANA, .length_bytes = 52};
	struct nvme_sqe get;
	struct host admin = {0}, io = {0};
	struct nvme_status_field status;
	struct stage stage;
	uint64_t result;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	host_sgl(&event, NVME_DATA_PLACE_NONE, 0);
	for (int i = 0; i < 4; i++)
		(void)host_command(&admin, &event, NULL, 0);
	(void)host_command(&admin, &event, NULL, 0);
	assert_int_equal(host_response(&admin, NULL, NULL).status, 0x105);
	memset(&change, 0, sizeof(change));
	change.parent = &stage.waiter;
	change.subsystem = stage.subsystem;
	change.ana_state = TARGET_ANA_INACCESSIBLE;
	op_wait(&stage.waiter);
	target_subsystem_set_ana_state_submit(&change);
	stage_await(&stage);
	assert_int_equal(host_response(&admin, &result, NULL).status, 0);
	assert_int_equal(result, 0x0c0302);
	(void)host_capsule_write(&io, 0, pattern, 512);
	status = host_response(&io, NULL, NULL);
	assert_int_equal(status.status, 0x302);
	assert_false(status.is_do_not_retry);
	/* Not told again before the log was read. */
	change.ana_state = TARGET_ANA_NON_OPTIMIZED;
	op_wait(&stage.waiter);
	target_subsystem_set_ana_state_submit(&change);
	stage_await(&stage);
	assert_false(host_is_closed_within(&admin, 20));
	memset(&get, 0, sizeof(get));
	nvme_get_log_encode(&get, NVME_NSID_ALL, &log);
	host_sgl(&get, NVME_DATA_PLACE_TRANSPORT, 52);
	(void)host_command(&admin, &get, NULL, 0);
	host_receive_pdu(&admin, &pdu);
	assert_int_equal(pdu.header[0], NVME_TCP_C2H_DATA);
	assert_int_equal(pdu.data[16 + 16], 2);
	assert_int_equal(pdu.data[48], 1); /* namespace id */
	for (int i = 0; i < 2; i++) {
		(void)host_response(&admin, &result, NULL);
		assert_true(result == 0 || result == 0x0c0302);
	}
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void abort_ends_what_waits(void **state)
{
	struct nvme_sqe event = {.opcode = NVME_ADMIN_ASYNC_EVENT};
	struct nvme_sqe abort = {.opcode = NVME_ADMIN_ABORT};
	struct host admin = {0}, io = {0};
	struct stage stage;
	uint64_t result;
	uint16_t cid;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	host_sgl(&event, NVME_DATA_PLACE_NONE, 0);
	host_sgl(&abort, NVME_DATA_PLACE_NONE, 0);
	cid = host_command(&admin, &event, NULL, 0);
	abort.cdw10 = le32_store((uint32_t)cid << 16);
	(void)host_command(&admin, &abort, NULL, 0);
	for (int i = 0; i < 2; i++) {
		uint16_t answered;
		struct nvme_status_field status = host_response(&admin, &result, &answered);

		assert_int_equal(status.status, answered == cid ? 0x007 : 0);
		assert_int_equal(result, 0);
	}
	stage_pause(&stage);
	cid = host_capsule_write(&io, 0, pattern, 512);
	stage_run_ms(&stage, 10);
	abort.cdw10 = le32_store((uint32_t)cid << 16 | 1);
	assert_int_equal(host_run(&admin, &abort, NULL, 0, &result), 0);
	assert_int_equal(result, 0);
	assert_int_equal(host_response(&io, NULL, NULL).status, 0x007);
	assert_int_equal(host_run(&admin, &abort, NULL, 0, &result), 0);
	assert_int_equal(result, 1); /* there is no such command any more */
	stage_resume(&stage);
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void errors_name_their_retry_delay(void **state)
{
	static const struct {
		enum io_status status;
		uint16_t code;
		uint8_t delay;
		bool is_final;
	} expected[] = {
		{IO_MEDIUM_ERROR, 0x280, 1, false},
		{IO_NO_SPACE, 0x081, 2, false},
		{IO_RESERVATION_CONFLICT, 0x083, 2, false},
		{IO_DEVICE_GONE, 0x006, 1, false},
		{IO_READ_ONLY, 0x020, 0, true},
		{IO_NOT_READY, 0x082, 1, false},
	};
	struct host admin = {0}, io = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct filter_rule rule = {.action = FILTER_FAIL,
					   .type_mask = 1 << IO_WRITE,
					   .status = expected[i].status};
		int id = filter_rule_add(stage.bdev, &rule);
		struct nvme_status_field status;

		(void)host_capsule_write(&io, 0, pattern, 512);
		status = host_response(&io, NULL, NULL);
		assert_int_equal(status.status, expected[i].code);
		assert_int_equal(status.retry_delay, expected[i].delay);
		assert_int_equal(status.is_do_not_retry, expected[i].is_final);
		assert_int_equal(filter_rule_remove(stage.bdev, id), 0);
	}
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void hosts_that_are_not_allowed_go_and_stay_out(void **state)
{
	static const char *const names[] = {"nqn.2014-08.org.example:h2"};
	struct target_subsystem_change change;
	struct host one = {.id = 1}, two = {.id = 2}, late = {.id = 1};
	struct nvmf_connect connect;
	struct stage stage;
	uint32_t result;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_admin(&stage, &one);
	host_admin(&stage, &two);
	memset(&change, 0, sizeof(change));
	change.parent = &stage.waiter;
	change.subsystem = stage.subsystem;
	change.allowed_hosts = names;
	change.allowed_host_count = 1;
	op_wait(&stage.waiter);
	target_subsystem_set_allowed_hosts_submit(&change);
	stage_await(&stage);
	assert_true(host_is_closed_within(&one, 100));
	assert_false(host_is_closed_within(&two, 20));
	host_open(&stage, &late);
	host_icreq(&late);
	connect = host_connect_default(&late, 0);
	assert_int_equal(host_connect_with(&late, &connect, &result), 0x184);
	host_close(&late);
	host_close(&one);
	host_close(&two);
	stage_close(&stage);
}

static void the_discovery_log_reads_the_same_in_pieces(void **state)
{
	struct nvme_get_log log = {.page = NVME_LOG_DISCOVERY, .length_bytes = 2048};
	struct host host = {0};
	struct nvmf_connect connect;
	const struct nvmf_discovery_entry *entry = (void *)(pattern + 1024);
	struct nvme_sqe sqe = {0};
	struct stage stage;
	uint32_t result;

	(void)state;
	stage_open(&stage, NULL, NULL);
	host_open(&stage, &host);
	host_icreq(&host);
	connect = host_connect_default(&host, 0);
	(void)snprintf(connect.subnqn, sizeof(connect.subnqn), "%s", NVMF_DISCOVERY_NQN);
	assert_int_equal(host_connect_with(&host, &connect, &result), 0);
	host_enable(&host);
	nvme_get_log_encode(&sqe, 0, &log);
	assert_int_equal(host_run(&host, &sqe, pattern, 2048, NULL), 0);
	assert_int_equal(pattern[8], 1); /* records */
	assert_string_equal((const char *)entry->subnqn, STAGE_NQN);
	assert_memory_equal(entry->address, "127.0.0.1 ", 10);
	assert_int_equal(entry->transport_type, NVMF_TRANSPORT_TCP);
	log.length_bytes = 64;
	for (log.offset_bytes = 0; log.offset_bytes < 2048; log.offset_bytes += 52) {
		uint32_t size =
			2048 - log.offset_bytes < 64 ? (uint32_t)(2048 - log.offset_bytes) : 64;

		memset(&sqe, 0, sizeof(sqe));
		nvme_get_log_encode(&sqe, 0, &log);
		assert_int_equal(host_run(&host, &sqe, got, 64, NULL), 0);
		assert_memory_equal(got, pattern + log.offset_bytes, size);
	}
	host_close(&host);
	stage_close(&stage);
}

/* ---- reservations ---- */

struct kept {
	struct target_reservation_store store;
	struct target_reservation_state state;
	int result;
	uint32_t count;
};

static void kept_load(struct target_reservation_store *store,
		      struct target_reservation_request *request)
{
	struct kept *kept = container_of(store, struct kept, store);

	request->state = kept->state;
	request->result = kept->count > 0 ? 0 : -ENOENT;
	op_done(request->parent);
}

static void kept_store(struct target_reservation_store *store,
		       struct target_reservation_request *request)
{
	struct kept *kept = container_of(store, struct kept, store);

	request->result = kept->result;
	if (kept->result == 0) {
		kept->state = request->state;
		kept->count++;
	}
	op_done(request->parent);
}

static uint16_t reserve(struct host *host, struct nvme_reservation reservation)
{
	struct nvme_sqe sqe = {0};
	uint8_t data[16] = {0};

	nvme_reservation_encode(&sqe, 1, &reservation, data);
	return host_run(host, &sqe, data, nvme_reservation_data_bytes(sqe.opcode), NULL);
}

static const struct nvme_reservation register_11 = {.opcode = NVME_RESERVATION_REGISTER,
						    .other_key = 0x11,
						    .persist = NVME_RESERVATION_PERSIST_SET};
static const struct nvme_reservation register_22 = {.opcode = NVME_RESERVATION_REGISTER,
						    .other_key = 0x22};
static const struct nvme_reservation acquire_11 = {.opcode = NVME_RESERVATION_ACQUIRE,
						   .type = NVME_RESERVATION_WRITE_EXCLUSIVE,
						   .current_key = 0x11};
static const struct nvme_reservation preempt_11 = {.opcode = NVME_RESERVATION_ACQUIRE,
						   .action = NVME_RESERVATION_PREEMPT,
						   .type = NVME_RESERVATION_WRITE_EXCLUSIVE,
						   .current_key = 0x22,
						   .other_key = 0x11};

static void a_preempted_host_has_no_write_in_flight(void **state)
{
	struct kept kept = {.store = {.load = kept_load, .store = kept_store}};
	struct host admin = {.id = 1}, io = {0}, other_admin = {.id = 2}, other = {0};
	struct nvme_sqe sqe = {0};
	uint8_t data[16];
	struct stage stage;
	int rule;

	(void)state;
	stage_open(&stage, NULL, &kept.store);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	host_admin(&stage, &other_admin);
	host_io(&stage, &other, &other_admin);
	assert_int_equal(reserve(&io, register_11), 0);
	assert_int_equal(reserve(&io, acquire_11), 0);
	assert_int_equal(kept.count, 2);
	assert_int_equal(host_write(&other, 0, pattern, 512), 0x083);
	assert_int_equal(host_read(&other, 0, got, 512), 0);
	assert_int_equal(reserve(&other, register_22), 0);
	rule = stage_hold(&stage, 1 << IO_WRITE);
	(void)host_capsule_write(&io, 0, pattern, 512);
	stage_run_ms(&stage, 10);
	nvme_reservation_encode(&sqe, 1, &preempt_11, data);
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, 16);
	(void)host_command(&other, &sqe, data, 16);
	stage_run_ms(&stage, 50);
	assert_int_equal(recv(other.fd, got, 1, MSG_PEEK), -1);
	stage_let_go(&stage, rule);
	assert_int_equal(host_response(&other, NULL, NULL).status, 0);
	assert_int_equal(host_response(&io, NULL, NULL).status, 0);
	assert_int_equal(host_write(&io, 0, pattern, 512), 0x083);
	assert_int_equal(host_write(&other, 0, pattern, 512), 0);
	assert_int_equal(kept.state.registrant_count, 1);
	assert_int_equal(kept.state.registrants[0].key, 0x22);
	host_close(&io);
	host_close(&admin);
	host_close(&other);
	host_close(&other_admin);
	stage_close(&stage);
	/* After a restart it is the same. */
	stage_open(&stage, NULL, &kept.store);
	admin.fd = -1;
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	assert_int_equal(host_write(&io, 0, pattern, 512), 0x083);
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void a_reservation_that_cannot_be_kept_is_refused(void **state)
{
	struct kept kept = {.store = {.load = kept_load, .store = kept_store}, .result = -EIO};
	struct host admin = {.id = 1}, io = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, &kept.store);
	host_admin(&stage, &admin);
	host_io(&stage, &io, &admin);
	assert_int_equal(reserve(&io, register_11), 0x006);
	assert_int_equal(reserve(&io, acquire_11), 0x083); /* not registered */
	kept.result = 0;
	assert_int_equal(reserve(&io, register_11), 0);
	assert_int_equal(reserve(&io, acquire_11), 0);
	host_close(&io);
	host_close(&admin);
	stage_close(&stage);
}

static void many_connections_come_and_go(void **state)
{
	static struct host hosts[200];
	struct stage stage;

	(void)state;
	stage_open(&stage, NULL, NULL);
	memset(hosts, 0, sizeof(hosts));
	for (int i = 0; i < 200; i++) {
		hosts[i].id = (uint8_t)(i + 1);
		host_admin(&stage, &hosts[i]);
	}
	assert_true(stage_await_connections(&stage, 200));
	for (int i = 0; i < 200; i++)
		host_close(&hosts[i]);
	assert_true(stage_await_connections(&stage, 0));
	stage_close(&stage);
}

/* ---- no buffer free ---- */

#define HOARD_MAX 4096

/* Takes all that the home reactor has. Return: how many. */
static uint32_t buffers_hoard(struct stage *stage, struct buffer *hoard[HOARD_MAX])
{
	struct buffer_pool *pool = reactor_buffers(stage->home);
	uint32_t count = 0;

	while ((hoard[count] = buffer_acquire(pool, 1)) != NULL) {
		count++;
		assert_true(count < HOARD_MAX);
	}
	return count;
}

static void wish_prepare(uint32_t number, struct nvme_sqe *sqe, uint8_t data[16])
{
	const struct nvme_reservation wish = {.opcode = NVME_RESERVATION_REGISTER,
					      .other_key = 0x11};

	memset(data, 0, 16);
	*sqe = (struct nvme_sqe){.opcode = NVME_ADMIN_IDENTIFY, .cdw10 = le32_store(1)};
	if (number == 1)
		nvme_reservation_encode(sqe, 1, &wish, data);
	if (number == 2)
		nvme_dsm_encode(sqe, 1,
				&(struct nvme_dsm){.range_count = 1, .is_deallocate = true});
	if (number == 0)
		host_sgl(sqe, NVME_DATA_PLACE_TRANSPORT, 4096);
	else
		host_sgl(sqe, NVME_DATA_PLACE_CAPSULE, 16);
}

static void a_host_that_leaves_while_its_command_waits_for_a_buffer_does_no_harm(void **state)
{
	static struct buffer *hoard[HOARD_MAX];
	struct stage stage;

	(void)state;
	for (uint32_t number = 0; number < 3; number++) {
		struct host admin = {.id = 1}, io = {0};
		struct nvme_sqe sqe;
		uint8_t data[16];
		uint32_t count;

		stage_open(&stage, NULL, NULL);
		host_admin(&stage, &admin);
		host_io(&stage, &io, &admin);
		count = buffers_hoard(&stage, hoard);
		wish_prepare(number, &sqe, data);
		(void)host_command(number == 0 ? &admin : &io, &sqe, data, number == 0 ? 0 : 16);
		stage_run_ms(&stage, 20);
		host_close(&admin);
		host_close(&io);
		assert_true(stage_await_connections(&stage, 0));
		while (count > 0)
			buffer_release(reactor_buffers(stage.home), hoard[--count]);
		stage_close(&stage);
	}
}

/* The news of the device is under way to the home reactor while the end waits for it. */
static void a_device_that_changes_while_its_subsystem_ends_does_no_harm(void **state)
{
	struct stage stage;

	(void)state;
	for (int change = BDEV_REMOVED; change <= BDEV_RESIZED; change++) {
		struct host admin = {.id = 1};

		stage_open(&stage, NULL, NULL);
		host_admin(&stage, &admin); /* its end takes some turns */
		bdev_notify(stage.bdev, (enum bdev_event)change);
		stage_close(&stage);
		assert_true(host_is_closed_within(&admin, 1000));
		host_close(&admin);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ana_change_is_told_and_obeyed),
		cmocka_unit_test(abort_ends_what_waits),
		cmocka_unit_test(errors_name_their_retry_delay),
		cmocka_unit_test(hosts_that_are_not_allowed_go_and_stay_out),
		cmocka_unit_test(the_discovery_log_reads_the_same_in_pieces),
		cmocka_unit_test(a_preempted_host_has_no_write_in_flight),
		cmocka_unit_test(a_reservation_that_cannot_be_kept_is_refused),
		cmocka_unit_test(many_connections_come_and_go),
		cmocka_unit_test(
			a_host_that_leaves_while_its_command_waits_for_a_buffer_does_no_harm),
		cmocka_unit_test(a_device_that_changes_while_its_subsystem_ends_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

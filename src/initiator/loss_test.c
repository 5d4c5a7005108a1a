/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whatever a controller, the network or time does, each I/O is answered exactly once with
 * the right status, no buffer is touched afterwards, and the device comes back or is given up.
 * Method: a fake controller that keeps silent, lies, damages PDUs or dies at chosen commands;
 * the address sanitizer watches buffers that are freed as soon as their I/O is answered.
 */
#include "initiator/test_bench.h"

/* What the hook does with an I/O command. */
struct lie {
	const char *name;
	enum io_type type;
	void (*tell)(struct fake_connection *connection, const struct nvme_sqe *sqe);
	enum nvme_tcp_fes fes;
};

static const struct lie *active_lie;
static bool is_hooked_once;
static uint16_t kept_cid;
static uint32_t kept_count;

static bool lie_hook(struct fake_connection *connection, const struct nvme_sqe *sqe,
		     const uint8_t *data, uint32_t data_bytes)
{
	(void)data;
	(void)data_bytes;
	if (connection->qid == 0 || sqe->opcode == NVMF_OPCODE || is_hooked_once)
		return false;
	is_hooked_once = true;
	active_lie->tell(connection, sqe);
	return true;
}

static bool keep_hook(struct fake_connection *connection, const struct nvme_sqe *sqe,
		      const uint8_t *data, uint32_t data_bytes)
{
	(void)data;
	(void)data_bytes;
	if (connection->qid == 0 || sqe->opcode == NVMF_OPCODE)
		return false;
	kept_cid = le16_load(sqe->cid);
	kept_count++;
	return true;
}

static uint16_t cid_of(const struct nvme_sqe *sqe)
{
	return le16_load(sqe->cid);
}

static uint8_t junk[IO_BYTES_MAX];

static void tell_foreign_response(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_respond(connection, (uint16_t)(cid_of(sqe) + 1), 0, 0);
}

static void tell_other_generation(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_respond(connection, (uint16_t)(cid_of(sqe) ^ 1u << SLOT_BITS), 0, 0);
}

static void tell_response_twice(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	connection->is_holding = true;
	fake_respond(connection, cid_of(sqe), NVME_STATUS_INTERNAL_ERROR, 0);
	fake_respond(connection, cid_of(sqe), NVME_STATUS_INTERNAL_ERROR, 0);
	fake_release(connection);
}

static void tell_success_without_data(struct fake_connection *connection,
				      const struct nvme_sqe *sqe)
{
	fake_respond(connection, cid_of(sqe), 0, 0);
}

static void tell_success_with_less_data(struct fake_connection *connection,
					const struct nvme_sqe *sqe)
{
	fake_send_data(connection, cid_of(sqe), 0, (struct iovec){junk, 4096}, 0);
	fake_respond(connection, cid_of(sqe), 0, 0);
}

static void tell_last_too_early(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_data(connection, cid_of(sqe), 0, (struct iovec){junk, 4096}, NVME_TCP_FLAG_LAST);
}

static void tell_too_much_data(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_data(connection, cid_of(sqe), 0, (struct iovec){junk, 8192 + 512},
		       NVME_TCP_FLAG_LAST);
}

static void tell_data_behind_the_end(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_data(connection, cid_of(sqe), 8192, (struct iovec){junk, 512},
		       NVME_TCP_FLAG_LAST);
}

static void tell_data_with_a_gap(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_data(connection, cid_of(sqe), 512, (struct iovec){junk, 512}, 0);
}

static void tell_data_twice(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_data(connection, cid_of(sqe), 0, (struct iovec){junk, 4096}, 0);
	fake_send_data(connection, cid_of(sqe), 0, (struct iovec){junk, 4096}, 0);
}

static void tell_data_for_nobody(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_data(connection, (uint16_t)(cid_of(sqe) + 7), 0, (struct iovec){junk, 4096}, 0);
}

static void tell_data_for_a_write(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_data(connection, cid_of(sqe), 0, (struct iovec){junk, 8192}, NVME_TCP_FLAG_LAST);
}

static void tell_r2t_for_a_read(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_r2t(connection, cid_of(sqe), 0, 4096);
}

static void tell_r2t_beyond_the_end(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_r2t(connection, cid_of(sqe), 0, 8192 + 4);
}

static void tell_r2t_with_a_gap(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_r2t(connection, cid_of(sqe), 4096, 4096);
}

static void tell_r2t_for_nobody(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	fake_send_r2t(connection, (uint16_t)(cid_of(sqe) + 3), 0, 4096);
}

static void tell_too_many_r2ts(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	connection->is_holding = true;
	for (uint32_t i = 0; i <= R2T_COUNT_MAX; i++)
		fake_send_r2t(connection, cid_of(sqe), i * 512, 512);
	fake_release(connection);
}

static void tell_success_of_half_a_write(struct fake_connection *connection,
					 const struct nvme_sqe *sqe)
{
	connection->is_holding = true;
	fake_send_r2t(connection, cid_of(sqe), 0, 4096);
	fake_respond(connection, cid_of(sqe), 0, 0);
	fake_release(connection);
}

static void tell_unknown_pdu(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	static const uint8_t bytes[24] = {0x08, 0, 24, 0, 24};

	(void)sqe;
	fake_send(connection, bytes, sizeof(bytes));
}

static void tell_command_capsule(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	static const uint8_t bytes[72] = {0x04, 0, 72, 0, 72};

	(void)sqe;
	fake_send(connection, bytes, sizeof(bytes));
}

static void tell_long_header(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	static const uint8_t bytes[255] = {0x05, 0, 255, 0, 255};

	(void)sqe;
	fake_send(connection, bytes, sizeof(bytes));
}

static void tell_huge_pdu(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	static const uint8_t bytes[24] = {0x07, 0, 24, 24, 0xff, 0xff, 0xff, 0xff};

	(void)sqe;
	fake_send(connection, bytes, sizeof(bytes));
}

static void tell_second_icresp(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	struct nvme_tcp_ic ic = {.alignment = 4, .data_bytes_max = 4096};
	struct nvme_tcp_icresp pdu;

	(void)sqe;
	nvme_tcp_icresp_encode(&pdu, &ic);
	fake_send(connection, &pdu, sizeof(pdu));
}

static const struct lie lies[] = {
	{"foreign response", IO_READ, tell_foreign_response, NVME_TCP_FES_INVALID_HEADER},
	{"other generation", IO_READ, tell_other_generation, NVME_TCP_FES_INVALID_HEADER},
	{"success without data", IO_READ, tell_success_without_data, NVME_TCP_FES_SEQUENCE},
	{"success with less data", IO_READ, tell_success_with_less_data, NVME_TCP_FES_SEQUENCE},
	{"last too early", IO_READ, tell_last_too_early, NVME_TCP_FES_INVALID_HEADER},
	{"too much data", IO_READ, tell_too_much_data, NVME_TCP_FES_OUT_OF_RANGE},
	{"data behind the end", IO_READ, tell_data_behind_the_end, NVME_TCP_FES_OUT_OF_RANGE},
	{"data with a gap", IO_READ, tell_data_with_a_gap, NVME_TCP_FES_OUT_OF_RANGE},
	{"data twice", IO_READ, tell_data_twice, NVME_TCP_FES_OUT_OF_RANGE},
	{"data for nobody", IO_READ, tell_data_for_nobody, NVME_TCP_FES_INVALID_HEADER},
	{"data for a write", IO_WRITE, tell_data_for_a_write, NVME_TCP_FES_INVALID_HEADER},
	{"data for a flush", IO_FLUSH, tell_data_for_a_write, NVME_TCP_FES_INVALID_HEADER},
	{"R2T for a read", IO_READ, tell_r2t_for_a_read, NVME_TCP_FES_INVALID_HEADER},
	{"R2T for a flush", IO_FLUSH, tell_r2t_for_a_read, NVME_TCP_FES_INVALID_HEADER},
	{"R2T for in-capsule data", IO_UNMAP, tell_r2t_for_a_read, NVME_TCP_FES_INVALID_HEADER},
	{"R2T beyond the end", IO_WRITE, tell_r2t_beyond_the_end, NVME_TCP_FES_OUT_OF_RANGE},
	{"R2T with a gap", IO_WRITE, tell_r2t_with_a_gap, NVME_TCP_FES_OUT_OF_RANGE},
	{"R2T for nobody", IO_WRITE, tell_r2t_for_nobody, NVME_TCP_FES_INVALID_HEADER},
	{"too many R2Ts", IO_WRITE, tell_too_many_r2ts, NVME_TCP_FES_LIMIT_EXCEEDED},
	{"write success without data", IO_WRITE, tell_success_without_data, NVME_TCP_FES_SEQUENCE},
	{"success of half a write", IO_WRITE, tell_success_of_half_a_write, NVME_TCP_FES_SEQUENCE},
	{"unknown PDU", IO_READ, tell_unknown_pdu, NVME_TCP_FES_INVALID_HEADER},
	{"command capsule", IO_READ, tell_command_capsule, NVME_TCP_FES_INVALID_HEADER},
	{"long header", IO_READ, tell_long_header, NVME_TCP_FES_INVALID_HEADER},
	{"huge PDU", IO_READ, tell_huge_pdu, NVME_TCP_FES_INVALID_HEADER},
	{"second ICResp", IO_READ, tell_second_icresp, NVME_TCP_FES_SEQUENCE},
};

static void read_works(struct bench *bench)
{
	uint8_t bytes[512];

	bench_until(bench, bench_is_running(bench));
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){9, 1}, bytes), IO_OK);
	assert_memory_equal(bytes, bench->fake->disk + 9 * 512, 512);
}

/* With fail_fast_ms the read waits for the new queue pair. */
static void options_patient(struct bench *bench)
{
	bench->options.fail_fast_ms = 10000;
}

static void controller_that_lies_is_reset_and_serves_again(void **state)
{
	struct bench *bench = *state;

	options_patient(bench);
	bench_open(bench, "");
	is_hooked_once = true;
	bench->fake->hook = lie_hook;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint64_t errors = bench_info(bench).protocol_error_count;
		uint32_t terms = bench->fake->term_count;
		bool has_data = lies[i].type == IO_READ || lies[i].type == IO_WRITE;
		uint8_t *memory = malloc(8192);
		enum io_status status;
		struct bench_io io;

		read_works(bench);
		active_lie = &lies[i];
		is_hooked_once = false;
		bench_submit(bench, &io, lies[i].type, (struct block_range){0, 16},
			     (struct iovec){memory, has_data ? 8192 : 0});
		status = bench_wait(bench, &io);
		free(memory);
		if (status != IO_DEVICE_GONE)
			fail_msg("%s: status %d", lies[i].name, (int)status);
		is_hooked_once = true;
		bench_until(bench, bench->fake->term_count > terms);
		if (bench->fake->last_term.fes != lies[i].fes)
			fail_msg("%s: fes %d", lies[i].name, (int)bench->fake->last_term.fes);
		bench_until(bench, bench_info(bench).protocol_error_count == errors + 1);
		read_works(bench);
	}
}

static void second_response_ends_the_connection_not_the_answer(void **state)
{
	static const struct lie lie = {"twice", IO_READ, tell_response_twice, 0};
	struct bench *bench = *state;
	uint8_t bytes[512];

	options_patient(bench);
	bench_open(bench, "");
	read_works(bench);
	active_lie = &lie;
	is_hooked_once = false;
	bench->fake->hook = lie_hook;
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes),
			 IO_INTERNAL_ERROR);
	bench_until(bench, bench_info(bench).protocol_error_count == 1);
	read_works(bench);
}

static void late_response_of_a_lost_connection_reaches_nobody(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[512];
	struct bench_io io;
	uint16_t old_cid;

	options_patient(bench);
	bench_open(bench, "");
	read_works(bench);
	bench->fake->hook = keep_hook;
	kept_count = 0;
	bench_submit(bench, &io, IO_READ, (struct block_range){0, 1}, (struct iovec){bytes, 512});
	bench_until(bench, kept_count == 1);
	old_cid = kept_cid;
	fake_drop(bench->fake);
	assert_int_equal(bench_wait(bench, &io), IO_DEVICE_GONE);
	bench->fake->hook = NULL;
	read_works(bench);
	bench->fake->hook = keep_hook;
	bench_submit(bench, &io, IO_READ, (struct block_range){0, 1}, (struct iovec){bytes, 512});
	bench_until(bench, kept_count == 2);
	assert_int_not_equal(kept_cid, old_cid);
	fake_respond(fake_io_connection(bench->fake), old_cid, 0, 0);
	assert_int_equal(bench_wait(bench, &io), IO_DEVICE_GONE);
	bench->fake->hook = NULL;
	read_works(bench);
}

static bool damage_data(struct fake_connection *connection, const struct nvme_sqe *sqe,
			const uint8_t *data, uint32_t data_bytes)
{
	size_t out_bytes;

	(void)data;
	(void)data_bytes;
	if (connection->qid == 0 || sqe->opcode != NVME_READ || is_hooked_once)
		return false;
	is_hooked_once = true;
	out_bytes = connection->out_bytes;
	connection->is_holding = true;
	fake_send_data(connection, cid_of(sqe), 0, (struct iovec){junk, 512},
		       NVME_TCP_FLAG_LAST | NVME_TCP_FLAG_SUCCESS);
	/* kept_cid says which byte of the PDU is damaged. */
	connection->out[out_bytes + kept_cid] ^= 0x10;
	fake_release(connection);
	return true;
}

static void wrong_data_digest_fails_the_read_only(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[512];

	bench->fake->has_data_digest = true;
	bench_open(bench, "?ddgst=1");
	read_works(bench);
	bench->fake->hook = damage_data;
	is_hooked_once = false;
	kept_cid = 100;
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes),
			 IO_INTEGRITY_ERROR);
	read_works(bench);
	assert_int_equal(bench_info(bench).reset_count, 0);
}

static void wrong_header_digest_ends_the_connection(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[512];

	options_patient(bench);
	bench->fake->has_header_digest = true;
	bench_open(bench, "?hdgst=1");
	read_works(bench);
	bench->fake->hook = damage_data;
	is_hooked_once = false;
	kept_cid = 21; /* a reserved byte of the header */
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes),
			 IO_DEVICE_GONE);
	bench_until(bench, bench->fake->term_count == 1);
	assert_int_equal(bench->fake->last_term.fes, NVME_TCP_FES_HEADER_DIGEST);
	read_works(bench);
}

static void io_fails_at_once_when_the_connection_is_lost(void **state)
{
	struct bench *bench = *state;
	uint8_t *memory = malloc(64 * 8192);
	struct bench_io *ios = calloc(64, sizeof(*ios));
	uint8_t bytes[512];

	bench_open(bench, "");
	read_works(bench);
	bench->fake->hook = keep_hook;
	kept_count = 0;
	for (uint32_t i = 0; i < 64; i++)
		bench_submit(bench, &ios[i], i % 2 == 0 ? IO_READ : IO_WRITE,
			     (struct block_range){i * 16, 16},
			     (struct iovec){memory + i * 8192, 8192});
	bench_until(bench, kept_count > 30);
	fake_unlisten(bench->fake);
	fake_drop(bench->fake);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(bench_wait(bench, &ios[i]), IO_DEVICE_GONE);
	free(memory);
	free(ios);
	/* fail_fast_ms is 0: nobody waits for it to come back. */
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes),
			 IO_DEVICE_GONE);
	bench->fake->hook = NULL;
	fake_listen(bench->fake);
	bench_until(bench, bench_is_running(bench));
	bench_until(bench, fake_io_connection(bench->fake) != NULL);
	bench_until(bench, bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes) == IO_OK);
	assert_true(bench_info(bench).connect_count == 2);
}

static void lost_io_is_sent_again_when_asked_to_retry(void **state)
{
	struct bench *bench = *state;
	uint8_t *memory = malloc(64 * 8192);
	struct bench_io *ios = calloc(64, sizeof(*ios));

	bench->options.is_retrying = true;
	bench->fake->mdts = 0;
	bench->options.queue_depth = 20;
	bench_open(bench, "");
	read_works(bench);
	memset(memory, 0x77, 64 * 8192);
	bench->fake->hook = keep_hook;
	kept_count = 0;
	for (uint32_t i = 0; i < 64; i++)
		bench_submit(bench, &ios[i], IO_WRITE, (struct block_range){i * 16, 16},
			     (struct iovec){memory + i * 8192, 8192});
	bench_until(bench, kept_count == 20);
	fake_drop(bench->fake);
	bench->fake->hook = NULL;
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(bench_wait(bench, &ios[i]), IO_OK);
	assert_memory_equal(bench->fake->disk, memory, 64 * 8192);
	assert_int_equal(bench_info(bench).reset_count, 1);
	free(memory);
	free(ios);
}

static void split_io_is_sent_again_as_a_whole(void **state)
{
	struct bench *bench = *state;
	uint8_t *memory = malloc(131072);
	struct bench_io io;

	bench->options.is_retrying = true;
	bench->options.queue_depth = 5;
	bench->fake->mdts = 1;
	bench_open(bench, "");
	read_works(bench);
	memset(memory, 0x55, 131072);
	bench->fake->hook = keep_hook;
	kept_count = 0;
	bench_submit(bench, &io, IO_WRITE, (struct block_range){0, 256},
		     (struct iovec){memory, 131072});
	bench_until(bench, kept_count == 5);
	fake_drop(bench->fake);
	bench->fake->hook = NULL;
	assert_int_equal(bench_wait(bench, &io), IO_OK);
	assert_memory_equal(bench->fake->disk, memory, 131072);
	free(memory);
}

static void command_without_an_answer_is_aborted_then_the_controller_reset(void **state)
{
	struct bench *bench = *state;
	uint8_t *memory = malloc(512);
	struct bench_io io;

	bench->options.io_timeout_ms = 40;
	options_patient(bench);
	bench_open(bench, "");
	read_works(bench);
	bench->fake->hook = keep_hook;
	kept_count = 0;
	bench_submit(bench, &io, IO_READ, (struct block_range){0, 1}, (struct iovec){memory, 512});
	assert_int_equal(bench_wait(bench, &io), IO_TIMED_OUT);
	free(memory);
	assert_int_equal(bench->fake->abort_count, 1);
	assert_int_equal(bench->fake->abort_cid, kept_cid);
	bench->fake->hook = NULL;
	read_works(bench);
	assert_int_equal(bench_info(bench).timeout_count, 1);
	assert_true(bench_info(bench).reset_count == 1);
}

static bool abort_hook(struct fake_connection *connection, const struct nvme_sqe *sqe,
		       const uint8_t *data, uint32_t data_bytes)
{
	if (connection->qid != 0)
		return keep_hook(connection, sqe, data, data_bytes);
	if (sqe->opcode == NVME_ADMIN_ABORT)
		fake_respond(fake_io_connection(connection->fake),
			     (uint16_t)(le32_load(sqe->cdw10) >> 16), NVME_STATUS_ABORT_REQUESTED,
			     0);
	return false;
}

static void aborted_command_is_answered_without_a_reset(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[512];

	bench->options.io_timeout_ms = 40;
	bench_open(bench, "");
	read_works(bench);
	bench->fake->hook = abort_hook;
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes), IO_TIMED_OUT);
	bench->fake->hook = NULL;
	read_works(bench);
	assert_int_equal(bench_info(bench).reset_count, 0);
}

struct bench_events {
	struct bdev_listener listener;
	uint32_t removed_count;
	uint32_t resized_count;
};

static void events_count(struct bdev_listener *listener, struct bdev *bdev, enum bdev_event event)
{
	struct bench_events *events = container_of(listener, struct bench_events, listener);

	(void)bdev;
	if (event == BDEV_REMOVED)
		events->removed_count++;
	else
		events->resized_count++;
}

static void controller_lost_for_too_long_is_removed_once(void **state)
{
	struct bench *bench = *state;
	struct bench_events events = {.listener.event = events_count};
	uint8_t bytes[512];
	struct bench_io io;

	bench->options.ctrl_loss_timeout_ms = 30;
	bench->options.is_retrying = true;
	bench_open(bench, "");
	read_works(bench);
	bdev_listen(bench->bdev, &events.listener);
	bench->fake->hook = keep_hook;
	kept_count = 0;
	bench_submit(bench, &io, IO_READ, (struct block_range){0, 1}, (struct iovec){bytes, 512});
	bench_until(bench, kept_count == 1);
	fake_unlisten(bench->fake);
	fake_drop(bench->fake);
	assert_int_equal(bench_wait(bench, &io), IO_DEVICE_GONE);
	bench_until(bench, events.removed_count == 1);
	assert_int_equal(bench_info(bench).state, INITIATOR_FAULTED);
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes),
			 IO_DEVICE_GONE);
	bench_turn(bench, 20);
	assert_int_equal(events.removed_count, 1);
	bdev_unlisten(&events.listener);
}

static void reset_by_request_fails_io_and_serves_again(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[512];
	struct bench_io io;

	options_patient(bench);
	bench_open(bench, "");
	read_works(bench);
	bench->fake->hook = keep_hook;
	kept_count = 0;
	bench_submit(bench, &io, IO_READ, (struct block_range){0, 1}, (struct iovec){bytes, 512});
	bench_until(bench, kept_count == 1);
	assert_int_equal(initiator_reset(bench->bdev), 0);
	assert_int_equal(bench_wait(bench, &io), IO_DEVICE_GONE);
	bench->fake->hook = NULL;
	bench_until(bench, bench_info(bench).connect_count == 2);
	read_works(bench);
}

static void namespace_change_is_passed_on(void **state)
{
	struct bench *bench = *state;
	struct bench_events events = {.listener.event = events_count};

	bench->fake->block_count = FAKE_BLOCKS / 2;
	bench_open(bench, "");
	read_works(bench);
	bdev_listen(bench->bdev, &events.listener);
	bench->fake->block_count = FAKE_BLOCKS;
	fake_event(bench->fake, nvme_async_event_result(NVME_ASYNC_EVENT_TYPE_NOTICE,
							NVME_ASYNC_EVENT_NOTICE_NAMESPACE,
							NVME_LOG_CHANGED_NAMESPACES));
	bench_until(bench, events.resized_count == 1);
	assert_int_equal(bench->bdev->block_count, FAKE_BLOCKS);
	read_works(bench);
	bench->fake->is_namespace_gone = true;
	fake_event(bench->fake, nvme_async_event_result(NVME_ASYNC_EVENT_TYPE_NOTICE,
							NVME_ASYNC_EVENT_NOTICE_NAMESPACE,
							NVME_LOG_CHANGED_NAMESPACES));
	bench_until(bench, events.removed_count == 1);
	assert_int_equal(bench_info(bench).state, INITIATOR_FAULTED);
	bdev_unlisten(&events.listener);
}

static void another_namespace_at_the_same_address_is_refused(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[512];

	bench->options.ctrl_loss_timeout_ms = 50;
	bench_open(bench, "");
	read_works(bench);
	bench->fake->uuid[3] = 1;
	fake_drop(bench->fake);
	bench_until(bench, bench_info(bench).state == INITIATOR_FAULTED);
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes),
			 IO_DEVICE_GONE);
	assert_int_equal(bench_info(bench).connect_count, 1);
}

static void inaccessible_path_answers_not_ready_until_it_changes(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[512];
	uint32_t event = nvme_async_event_result(NVME_ASYNC_EVENT_TYPE_NOTICE,
						 NVME_ASYNC_EVENT_NOTICE_ANA, NVME_LOG_ANA);

	bench->fake->ana_state = NVME_ANA_INACCESSIBLE;
	bench_open(bench, "");
	bench_until(bench, fake_io_connection(bench->fake) != NULL);
	bench_until(bench, queue_is_live(bench->channel->driver));
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes), IO_NOT_READY);
	bench->fake->ana_state = NVME_ANA_NON_OPTIMIZED;
	fake_event(bench->fake, event);
	bench_until(bench, bench_info(bench).ana_state == NVME_ANA_NON_OPTIMIZED);
	read_works(bench);
}

static void waiting_io_goes_on_when_the_path_becomes_usable(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[512];
	struct bench_io io;

	bench->options.is_retrying = true;
	bench->options.connect_timeout_ms = 100;
	bench->fake->ana_state = NVME_ANA_CHANGE;
	bench_open(bench, "");
	bench_submit(bench, &io, IO_READ, (struct block_range){0, 1}, (struct iovec){bytes, 512});
	bench_until(bench, queue_is_live(bench->channel->driver));
	bench_turn(bench, 10);
	assert_int_equal(io.op.pending, 1);
	bench->fake->ana_state = NVME_ANA_OPTIMIZED;
	fake_event(bench->fake, nvme_async_event_result(NVME_ASYNC_EVENT_TYPE_NOTICE,
							NVME_ASYNC_EVENT_NOTICE_ANA, NVME_LOG_ANA));
	assert_int_equal(bench_wait(bench, &io), IO_OK);
}

#define MANY_COUNT (ADMIN_DEPTH + 8)

/* What a path is good for is a matter of I/O; management has to reach the controller anyway. */
static void full_admin_queue_keeps_its_line_on_an_inaccessible_path(void **state)
{
	struct bench *bench = *state;
	struct initiator_command commands[MANY_COUNT];
	struct op op;

	bench->fake->ana_state = NVME_ANA_INACCESSIBLE;
	bench_open(bench, "");
	assert_int_equal(bench_info(bench).ana_state, NVME_ANA_INACCESSIBLE);
	op_init(&op, reactor_ready(bench->reactor), bench_op_run);
	for (int i = 0; i < MANY_COUNT; i++) {
		commands[i] = (struct initiator_command){
			.parent = &op, .sqe = {.opcode = NVME_ADMIN_SET_FEATURES}};
		op_wait(&op);
		initiator_admin_submit(bench->bdev, &commands[i]);
	}
	bench_until(bench, op.pending == 0);
	for (int i = 0; i < MANY_COUNT; i++)
		assert_int_equal(commands[i].status, IO_OK);
	assert_int_equal(bench_info(bench).reset_count, 0);
}

static void silent_controller_is_noticed_by_keep_alive(void **state)
{
	struct bench *bench = *state;

	bench->options.kato_ms = 20;
	bench->options.admin_timeout_ms = 40;
	options_patient(bench);
	bench_open(bench, "");
	bench_until(bench, bench->fake->keep_alive_count > 2);
	assert_int_equal(bench_info(bench).reset_count, 0);
	bench->fake->is_silent = true;
	bench_until(bench, bench_info(bench).reset_count > 0);
	bench->fake->is_silent = false;
	read_works(bench);
}

static void lost_connection_in_any_set_up_step_is_survived(void **state)
{
	struct bench *bench = *state;

	options_patient(bench);
	bench_open(bench, "");
	read_works(bench);
	/* Cuts the stream at a later turn each time. */
	for (int turns = 0; turns < 60; turns++) {
		fake_drop(bench->fake);
		bench_until(bench, bench_info(bench).state != INITIATOR_RUNNING ||
					   fake_io_connection(bench->fake) == NULL);
		bench_turn(bench, turns);
	}
	read_works(bench);
}

static void bdev_is_destroyed_in_any_state(void **state)
{
	struct bench *bench = *state;

	options_patient(bench);
	assert_int_equal(initiator_register(bench->registry, &bench->options), 0);
	for (int turns = 0; turns < 60; turns++) {
		struct bdev_destroy destroy = {.parent = &bench->op};

		assert_int_equal(bench_create(bench, ""), 0);
		assert_int_equal(bdev_channel_open(bench->bdev, bench->reactor, &bench->channel),
				 0);
		if (turns % 3 == 1)
			fake_drop(bench->fake);
		if (turns % 3 == 2)
			assert_int_equal(initiator_reset(bench->bdev), 0);
		bench_turn(bench, turns);
		bdev_channel_close(bench->channel);
		bench->channel = NULL;
		destroy.bdev = bench->bdev;
		op_wait(&bench->op);
		bdev_destroy_submit(bench->registry, &destroy);
		bench_until(bench, bench->op.pending == 0);
		bench->bdev = NULL;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(controller_that_lies_is_reset_and_serves_again),
		TEST(second_response_ends_the_connection_not_the_answer),
		TEST(late_response_of_a_lost_connection_reaches_nobody),
		TEST(wrong_data_digest_fails_the_read_only),
		TEST(wrong_header_digest_ends_the_connection),
		TEST(io_fails_at_once_when_the_connection_is_lost),
		TEST(lost_io_is_sent_again_when_asked_to_retry),
		TEST(split_io_is_sent_again_as_a_whole),
		TEST(command_without_an_answer_is_aborted_then_the_controller_reset),
		TEST(aborted_command_is_answered_without_a_reset),
		TEST(controller_lost_for_too_long_is_removed_once),
		TEST(reset_by_request_fails_io_and_serves_again),
		TEST(namespace_change_is_passed_on),
		TEST(another_namespace_at_the_same_address_is_refused),
		TEST(inaccessible_path_answers_not_ready_until_it_changes),
		TEST(waiting_io_goes_on_when_the_path_becomes_usable),
		TEST(full_admin_queue_keeps_its_line_on_an_inaccessible_path),
		TEST(silent_controller_is_noticed_by_keep_alive),
		TEST(lost_connection_in_any_set_up_step_is_survived),
		TEST(bdev_is_destroyed_in_any_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

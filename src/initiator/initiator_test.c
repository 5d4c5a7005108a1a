/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a remote namespace is found, named, checked and served as a bdev, whatever its controller
 * allows: digests, alignment, small transfers, split data.
 * Method: a fake controller over real sockets with a memory disk; contents are compared.
 */
#include "initiator/test_bench.h"

static uint8_t *pattern(uint32_t seed)
{
	static uint8_t bytes[IO_BYTES_MAX];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(seed * 31 + i / 512 + i * 13);
	return bytes;
}

static void namespace_is_described_and_named(void **state)
{
	struct bench *bench = *state;
	struct initiator_info info;
	char name[NAME_BYTES_MAX];

	bench_open(bench, "");
	info = bench_info(bench);
	(void)snprintf(name, sizeof(name), "127.0.0.1:%u/nqn.2019-05.test:xn1",
		       os_address_port(&bench->fake->address));
	assert_string_equal(bench->bdev->name, name);
	assert_int_equal(info.state, INITIATOR_RUNNING);
	assert_string_equal(info.serial, "FAKE0001");
	assert_string_equal(info.model, "Fake controller");
	assert_int_equal(info.cntlid, 1);
	assert_int_equal(info.block_bytes, 512);
	assert_int_equal(info.size_bytes, FAKE_BLOCKS * 512);
	assert_int_equal(bench->bdev->uuid.bytes[0], 0xab);
	assert_true(bench->bdev->can_unmap && bench->bdev->can_compare);
	assert_true(bench->bdev->has_volatile_cache);
	assert_true(uuid_is_nil(&bench->bdev->cache_id)); /* of another maker */
}

static void data_round_trip(struct bench *bench)
{
	static const uint64_t counts[] = {1, 8, 9, 33, 64, 255, 256};
	uint8_t *read = malloc(IO_BYTES_MAX);

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct block_range range = {i * 256 + 3, counts[i]};
		uint8_t *bytes = pattern((uint32_t)i);

		assert_int_equal(bench_do(bench, IO_WRITE, range, bytes), IO_OK);
		assert_memory_equal(bench->fake->disk + range.first * 512, bytes,
				    range.count * 512);
		memset(read, 0, IO_BYTES_MAX);
		assert_int_equal(bench_do(bench, IO_READ, range, read), IO_OK);
		assert_memory_equal(read, bytes, range.count * 512);
		assert_int_equal(bench_do(bench, IO_COMPARE, range, bytes), IO_OK);
		bytes[range.count * 512 - 1] ^= 1;
		assert_int_equal(bench_do(bench, IO_COMPARE, range, bytes), IO_COMPARE_FAILED);
	}
	free(read);
	assert_int_equal(bench_info(bench).protocol_error_count, 0);
	assert_int_equal(bench_info(bench).reset_count, 0);
}

static void data_survives_in_any_framing(void **state)
{
	struct bench *bench = *state;

	bench_open(bench, "");
	data_round_trip(bench);
}

static void data_survives_both_digests(void **state)
{
	struct bench *bench = *state;

	bench->fake->has_header_digest = true;
	bench->fake->has_data_digest = true;
	bench_open(bench, "?hdgst=1&ddgst=1");
	data_round_trip(bench);
}

static void controller_without_the_digests_asked_for_is_refused(void **state)
{
	struct bench *bench = *state;

	bench->fake->has_data_digest = true;
	bench->options.has_header_digest = true;
	bench->options.has_data_digest = true;
	assert_int_equal(bench_create(bench, ""), -EINVAL);
}

static void data_survives_padding_and_small_h2c_data(void **state)
{
	struct bench *bench = *state;

	bench->fake->alignment = 128;
	bench->fake->h2c_bytes_max = 4096;
	bench->fake->r2t_bytes = 12 * 1024;
	bench->fake->c2h_bytes = 1024;
	bench->fake->has_data_digest = true;
	bench_open(bench, "?ddgst=1");
	data_round_trip(bench);
}

static void data_survives_without_in_capsule_data_and_success_flag(void **state)
{
	struct bench *bench = *state;

	bench->fake->ioccsz = 4;
	bench->fake->is_without_success = true;
	bench_open(bench, "");
	data_round_trip(bench);
}

static void io_larger_than_mdts_is_split(void **state)
{
	struct bench *bench = *state;

	bench->fake->mdts = 1; /* 8 KiB */
	bench->options.queue_depth = 3;
	bench_open(bench, "");
	data_round_trip(bench);
	assert_true(bench->fake->write_count > 16);
}

static void stream_in_single_bytes_is_understood(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[512];

	bench->fake->is_dribbling = true;
	bench->fake->has_header_digest = true;
	bench->fake->has_data_digest = true;
	bench_open(bench, "?hdgst=1&ddgst=1");
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){5, 1}, bytes), IO_OK);
	assert_memory_equal(bytes, bench->fake->disk + 5 * 512, 512);
}

static void pieces_of_memory_of_any_size_are_joined(void **state)
{
	struct bench *bench = *state;
	static const size_t sizes[] = {1, 511, 3, 0, 4096, 5, 4084, 8192, 1, 3583};
	uint8_t *bytes = pattern(3);
	uint8_t read[40 * 512];
	struct bench_io io = {0};
	size_t at = 0;

	bench_open(bench, "");
	for (int pass = 0; pass < 2; pass++) {
		op_init(&io.op, reactor_ready(bench->reactor), bench_op_run);
		at = 0;
		for (size_t i = 0; i < 10; i++) {
			io.iov[i] = (struct iovec){(pass == 0 ? bytes : read) + at, sizes[i]};
			at += sizes[i];
		}
		io.iov[10] = (struct iovec){(pass == 0 ? bytes : read) + at, 20480 - at};
		io.io = (struct bdev_io){.parent = &io.op,
					 .type = pass == 0 ? IO_WRITE : IO_READ,
					 .range = {100, 40},
					 .iov = io.iov,
					 .iov_count = 11};
		op_wait(&io.op);
		bdev_submit(bench->channel, &io.io);
		assert_int_equal(bench_wait(bench, &io), IO_OK);
	}
	assert_memory_equal(read, bytes, sizeof(read));
}

static void many_at_once_share_the_queue_in_order_of_arrival(void **state)
{
	struct bench *bench = *state;
	struct bench_io *ios = calloc(500, sizeof(*ios));
	uint8_t *memory = malloc(500 * 512);

	bench->options.queue_depth = 16;
	bench_open(bench, "");
	for (uint32_t i = 0; i < 500; i++)
		bench_submit(bench, &ios[i], IO_READ, (struct block_range){i, 1},
			     (struct iovec){memory + i * 512, 512});
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(bench_wait(bench, &ios[i]), IO_OK);
	assert_memory_equal(memory, bench->fake->disk, 500 * 512);
	free(memory);
	free(ios);
}

static void flush_unmap_and_zeroes_do_what_they_say(void **state)
{
	struct bench *bench = *state;
	static const uint8_t zeroes[16 * 512];

	bench_open(bench, "");
	assert_int_equal(bench_do(bench, IO_FLUSH, (struct block_range){0, 0}, NULL), IO_OK);
	assert_int_equal(bench_do(bench, IO_UNMAP, (struct block_range){16, 16}, NULL), IO_OK);
	assert_memory_equal(bench->fake->disk + 16 * 512, zeroes, sizeof(zeroes));
	assert_int_equal(bench_do(bench, IO_WRITE_ZEROES, (struct block_range){64, 16}, NULL),
			 IO_OK);
	assert_memory_equal(bench->fake->disk + 64 * 512, zeroes, sizeof(zeroes));
	assert_int_not_equal(memcmp(bench->fake->disk + 80 * 512, zeroes, 512), 0);
	assert_int_equal(bench->fake->dsm_count, 1);
	assert_int_equal(bench->fake->zeroes_count, 1);
}

static void wrong_uuid_is_refused(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(initiator_register(bench->registry, &bench->options), 0);
	assert_int_equal(bench_create(bench, "?uuid=00000000-0000-4000-8000-000000000001"),
			 -EINVAL);
	assert_non_null(strstr(bench->error, "uuid"));
	assert_int_equal(bench_create(bench, "?uuid=abababab-abab-abab-abab-abababababab"), 0);
}

static void refused_connection_is_an_error_that_says_so(void **state)
{
	struct bench *bench = *state;

	fake_unlisten(bench->fake);
	assert_int_equal(initiator_register(bench->registry, &bench->options), 0);
	assert_int_equal(bench_create(bench, ""), -ECONNREFUSED);
	assert_non_null(strstr(bench->error, "connection refused"));
}

static void refused_host_is_an_error_that_says_so(void **state)
{
	struct bench *bench = *state;

	bench->fake->connect_status = NVMF_STATUS_CONNECT_INVALID_HOST;
	assert_int_equal(initiator_register(bench->registry, &bench->options), 0);
	assert_int_equal(bench_create(bench, ""), -EACCES);
	assert_non_null(strstr(bench->error, "host NQN"));
}

static void silent_controller_ends_the_creation(void **state)
{
	struct bench *bench = *state;

	bench->fake->is_silent = true;
	bench->options.admin_timeout_ms = 40;
	assert_int_equal(initiator_register(bench->registry, &bench->options), 0);
	assert_int_equal(bench_create(bench, ""), -ETIMEDOUT);
}

static void bad_parameters_are_refused(void **state)
{
	static const char *const bads[] = {
		"?uuid=x",     "?hostnqn=x", "?address=1.2.3.4:0", "?address=1.2.3.4:65536",
		"?address=:1", "?address="};
	struct bench *bench = *state;

	assert_int_equal(initiator_register(bench->registry, &bench->options), 0);
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		assert_int_equal(bench_create(bench, bads[i]), -EINVAL);
		assert_int_not_equal(bench->error[0], '\0');
	}
	/* Unknown ones are not ours to judge. */
	assert_int_equal(bench_create(bench, "?reftag=1&guard=2&zebra=3"), 0);
	assert_int_equal(bench->fake->connect_count, 1);
}

static void controller_that_needs_time_is_waited_for(void **state)
{
	struct bench *bench = *state;

	bench->fake->not_ready_count = 3;
	bench_open(bench, "");
	assert_int_equal(bench->fake->not_ready_count, 0);
}

static void second_address_is_used_when_the_first_is_dead(void **state)
{
	struct bench *bench = *state;
	struct initiator_info info;
	char parameters[128];
	uint16_t port = os_address_port(&bench->fake->address);
	struct bdev_create create = {.parent = &bench->op, .registry = bench->registry};

	(void)snprintf(parameters, sizeof(parameters), "127.0.0.1:%u", port);
	(void)snprintf(create.uri_text, sizeof(create.uri_text),
		       "nvmf://127.0.0.1:1/nqn.2019-05.test:x?address=%s", parameters);
	assert_int_equal(initiator_register(bench->registry, &bench->options), 0);
	op_wait(&bench->op);
	bdev_create_submit(&create);
	bench_until(bench, bench->op.pending == 0);
	assert_int_equal(create.result, 0);
	bench->bdev = create.bdev;
	info = bench_info(bench);
	assert_int_equal(os_address_port(&info.address), port);
}

static void admin_command_passes_through(void **state)
{
	struct bench *bench = *state;
	struct nvme_identify identify = {.cns = NVME_CNS_CONTROLLER};
	uint8_t page[4096] = {0};
	struct initiator_command command = {
		.parent = &bench->op, .data = page, .data_bytes = sizeof(page)};

	bench_open(bench, "");
	nvme_identify_encode(&command.sqe, &identify);
	op_wait(&bench->op);
	initiator_admin_submit(bench->bdev, &command);
	bench_until(bench, bench->op.pending == 0);
	assert_int_equal(command.status, IO_OK);
	assert_memory_equal(page + 4, "FAKE0001", 8);
	command = (struct initiator_command){.parent = &bench->op,
					     .sqe = {.opcode = NVME_ADMIN_CREATE_SNAPSHOT},
					     .data = page,
					     .data_bytes = 512};
	op_wait(&bench->op);
	initiator_admin_submit(bench->bdev, &command);
	bench_until(bench, bench->op.pending == 0);
	assert_int_equal(command.status, IO_UNSUPPORTED);
	assert_int_equal(command.nvme_status, NVME_STATUS_INVALID_OPCODE);
}

static struct nvme_reservation seen_request;

static bool reservation_hook(struct fake_connection *connection, const struct nvme_sqe *sqe,
			     const uint8_t *data, uint32_t data_bytes)
{
	struct nvme_reservation_report_extended report = {
		.report = {
			.generation = le32_store(9), .type = 3, .registered_count = le16_store(2)}};
	struct nvme_reservation_registrant_extended entry = {
		.cntlid = le16_store(1), .status = 1, .key = le64_store(77), .host_id = {7}};
	uint8_t bytes[64 + 64 * INITIATOR_REGISTRANTS_MAX] = {0};

	if (connection->qid == 0 || sqe->opcode == NVMF_OPCODE)
		return false;
	assert_int_equal(nvme_reservation_decode(sqe, data, &seen_request), 0);
	if (sqe->opcode != NVME_RESERVATION_REPORT) {
		assert_int_equal(data_bytes, nvme_reservation_data_bytes(sqe->opcode));
		fake_respond(connection, le16_load(sqe->cid),
			     sqe->opcode == NVME_RESERVATION_ACQUIRE
				     ? NVME_STATUS_RESERVATION_CONFLICT
				     : NVME_STATUS_SUCCESS,
			     0);
		return true;
	}
	memcpy(bytes, &report, sizeof(report));
	memcpy(bytes + 128, &entry, sizeof(entry));
	fake_send_data(connection, le16_load(sqe->cid), 0, (struct iovec){bytes, sizeof(bytes)},
		       NVME_TCP_FLAG_LAST | NVME_TCP_FLAG_SUCCESS);
	return true;
}

static enum io_status reservation_do(struct bench *bench, struct initiator_reservation *reservation)
{
	reservation->parent = &bench->op;
	op_wait(&bench->op);
	initiator_reservation_submit(bench->channel, reservation);
	bench_until(bench, bench->op.pending == 0);
	return reservation->status;
}

static void reservations_reach_the_controller(void **state)
{
	struct bench *bench = *state;
	struct initiator_reservation *reservation = calloc(1, sizeof(*reservation));

	bench_open(bench, "");
	bench->fake->hook = reservation_hook;
	reservation->request = (struct nvme_reservation){
		.opcode = NVME_RESERVATION_REGISTER, .is_ignoring_key = true, .other_key = 77};
	assert_int_equal(reservation_do(bench, reservation), IO_OK);
	assert_int_equal(seen_request.other_key, 77);
	assert_true(seen_request.is_ignoring_key);
	reservation->request =
		(struct nvme_reservation){.opcode = NVME_RESERVATION_ACQUIRE,
					  .type = NVME_RESERVATION_WRITE_EXCLUSIVE_ALL,
					  .action = NVME_RESERVATION_PREEMPT,
					  .current_key = 77,
					  .other_key = 66};
	assert_int_equal(reservation_do(bench, reservation), IO_RESERVATION_CONFLICT);
	assert_int_equal(seen_request.type, NVME_RESERVATION_WRITE_EXCLUSIVE_ALL);
	assert_int_equal(seen_request.other_key, 66);
	reservation->request = (struct nvme_reservation){.opcode = NVME_RESERVATION_REPORT};
	assert_int_equal(reservation_do(bench, reservation), IO_OK);
	assert_int_equal(reservation->generation, 9);
	assert_int_equal(reservation->type, 3);
	assert_int_equal(reservation->registrant_count, 2);
	assert_true(reservation->registrants[1].is_holder);
	assert_int_equal(reservation->registrants[1].key, 77);
	assert_int_equal(reservation->registrants[1].host_id[0], 7);
	bench->fake->hook = NULL;
	free(reservation);
}

static void channels_come_and_go(void **state)
{
	struct bench *bench = *state;
	struct bdev_channel *second;
	uint8_t bytes[512];

	bench_open(bench, "");
	assert_int_equal(bdev_channel_open(bench->bdev, bench->reactor, &second), 0);
	bdev_channel_close(bench->channel);
	bench->channel = second;
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes), IO_OK);
	bdev_channel_close(second);
	assert_int_equal(bdev_channel_open(bench->bdev, bench->reactor, &bench->channel), 0);
	assert_int_equal(bench_do(bench, IO_READ, (struct block_range){0, 1}, bytes), IO_OK);
	assert_int_equal(bench->fake->io_connect_count, 1);
}

static void bdev_goes_away_while_its_queue_connects(void **state)
{
	struct bench *bench = *state;

	bench_open(bench, "");
	bdev_channel_close(bench->channel);
	bench->channel = NULL; /* teardown destroys at once */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(namespace_is_described_and_named),
		TEST(data_survives_in_any_framing),
		TEST(data_survives_both_digests),
		TEST(controller_without_the_digests_asked_for_is_refused),
		TEST(data_survives_padding_and_small_h2c_data),
		TEST(data_survives_without_in_capsule_data_and_success_flag),
		TEST(io_larger_than_mdts_is_split),
		TEST(stream_in_single_bytes_is_understood),
		TEST(pieces_of_memory_of_any_size_are_joined),
		TEST(many_at_once_share_the_queue_in_order_of_arrival),
		TEST(flush_unmap_and_zeroes_do_what_they_say),
		TEST(wrong_uuid_is_refused),
		TEST(refused_connection_is_an_error_that_says_so),
		TEST(refused_host_is_an_error_that_says_so),
		TEST(silent_controller_ends_the_creation),
		TEST(bad_parameters_are_refused),
		TEST(controller_that_needs_time_is_waited_for),
		TEST(second_address_is_used_when_the_first_is_dead),
		TEST(admin_command_passes_through),
		TEST(reservations_reach_the_controller),
		TEST(channels_come_and_go),
		TEST(bdev_goes_away_while_its_queue_connects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

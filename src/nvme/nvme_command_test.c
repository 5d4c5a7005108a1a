/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: block ranges, data lengths and reservation fields that a host sends are checked at their
 * limits, and each command survives encoding and decoding.
 * Method: boundary tables and round trips.
 */
#include "nvme/nvme_command.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void block_range_is_checked_at_its_limits(void **state)
{
	static const struct {
		uint64_t first;
		uint32_t count;
		uint64_t namespace_blocks;
		enum nvme_status status;
	} cases[] = {
		{0, 1, 1, NVME_STATUS_SUCCESS},
		{0, 2, 1, NVME_STATUS_LBA_OUT_OF_RANGE},
		{1, 1, 1, NVME_STATUS_LBA_OUT_OF_RANGE},
		{0, 65536, 65536, NVME_STATUS_SUCCESS},
		{0, 65536, 65535, NVME_STATUS_LBA_OUT_OF_RANGE},
		{99, 1, 100, NVME_STATUS_SUCCESS},
		{100, 1, 100, NVME_STATUS_LBA_OUT_OF_RANGE},
		{UINT64_MAX, 1, 100, NVME_STATUS_LBA_OUT_OF_RANGE},
		{UINT64_MAX, 65536, UINT64_MAX, NVME_STATUS_LBA_OUT_OF_RANGE},
		{0, 1, 0, NVME_STATUS_LBA_OUT_OF_RANGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvme_rw rw = {.first_block = cases[i].first, .block_count = cases[i].count};
		struct nvme_rw decoded;
		struct nvme_sqe sqe;

		nvme_rw_encode(&sqe, NVME_READ, 1, &rw);
		assert_int_equal(nvme_rw_decode(&sqe, cases[i].namespace_blocks, &decoded),
				 cases[i].status);
	}
}

static void block_command_survives_a_round_trip(void **state)
{
	struct nvme_rw read = {.first_block = 0x123456789a,
			       .block_count = 65536,
			       .is_unwritten_fail = true,
			       .is_unwritten_self_fail = true};
	struct nvme_rw zeroes = {.block_count = 8, .is_fua = true, .is_deallocate = true};
	struct nvme_rw decoded;
	struct nvme_sqe sqe;

	(void)state;
	nvme_rw_encode(&sqe, NVME_READ, 1, &read);
	assert_int_equal(nvme_rw_decode(&sqe, UINT64_MAX, &decoded), NVME_STATUS_SUCCESS);
	assert_memory_equal(&decoded, &read, sizeof(read));
	nvme_rw_encode(&sqe, NVME_WRITE_ZEROES, 1, &zeroes);
	assert_int_equal(nvme_rw_decode(&sqe, UINT64_MAX, &decoded), NVME_STATUS_SUCCESS);
	assert_memory_equal(&decoded, &zeroes, sizeof(zeroes));
	/* Bits of one command mean nothing in another. */
	sqe.opcode = NVME_WRITE;
	assert_int_equal(nvme_rw_decode(&sqe, UINT64_MAX, &decoded), NVME_STATUS_SUCCESS);
	assert_false(decoded.is_deallocate);
	sqe.cdw12 = le32_store(1u << 29);
	assert_int_equal(nvme_rw_decode(&sqe, 10, &decoded), NVME_STATUS_PROTECTION_INVALID);
}

static void in_capsule_length_must_be_what_arrived(void **state)
{
	static const struct {
		uint8_t type;
		uint64_t address;
		uint32_t length;
		uint32_t capsule_bytes;
		enum nvme_status status;
	} cases[] = {
		{0x01, 0, 4096, 4096, NVME_STATUS_SUCCESS},
		{0x01, 0, 4096, 4095, NVME_STATUS_SGL_DATA_LENGTH_INVALID},
		{0x01, 0, 4096, 0, NVME_STATUS_SGL_DATA_LENGTH_INVALID},
		{0x01, 0, 512, 4096, NVME_STATUS_SGL_DATA_LENGTH_INVALID},
		{0x01, 0, UINT32_MAX, 4096, NVME_STATUS_SGL_DATA_LENGTH_INVALID},
		{0x01, 512, 512, 1024, NVME_STATUS_SUCCESS},
		{0x01, 1025, 0, 1024, NVME_STATUS_SGL_OFFSET_INVALID},
		{0x01, UINT64_MAX, 1, 1024, NVME_STATUS_SGL_OFFSET_INVALID},
		{0x01, 0, 0, 0, NVME_STATUS_SUCCESS},
		{0x5a, 0, 4096, 0, NVME_STATUS_SUCCESS},
		{0x5a, 0, 4096, 4096, NVME_STATUS_SGL_DATA_LENGTH_INVALID},
		{0x5a, 0, 0, 0, NVME_STATUS_SUCCESS},
		{0x40, 0, 4096, 0, NVME_STATUS_SGL_TYPE_INVALID},
		{0x00, 0, 4096, 0, NVME_STATUS_SGL_TYPE_INVALID},
		{0x20, 0, 4096, 0, NVME_STATUS_SGL_TYPE_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvme_data data = {.offset = 1};
		struct nvme_sqe sqe = {.flags = NVME_SQE_PSDT_SGL};

		sqe.sgl.type = cases[i].type;
		sqe.sgl.address = le64_store(cases[i].address);
		sqe.sgl.length = le32_store(cases[i].length);
		assert_int_equal(nvme_sgl_decode(&sqe, cases[i].capsule_bytes, &data),
				 cases[i].status);
		sqe.flags = 0;
		assert_int_equal(nvme_sgl_decode(&sqe, cases[i].capsule_bytes, &data),
				 NVME_STATUS_INVALID_FIELD);
	}
}

static void sgl_survives_a_round_trip(void **state)
{
	static const struct nvme_data datas[] = {
		{NVME_DATA_PLACE_NONE, 0, 0},
		{NVME_DATA_PLACE_CAPSULE, 512, 0},
		{NVME_DATA_PLACE_TRANSPORT, 131072, 0},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint32_t arrived = datas[i].place == NVME_DATA_PLACE_CAPSULE ? datas[i].length : 0;
		struct nvme_sqe sqe = {0};
		struct nvme_data decoded;

		nvme_sgl_encode(&sqe, &datas[i]);
		assert_int_equal(nvme_sgl_decode(&sqe, arrived, &decoded), NVME_STATUS_SUCCESS);
		assert_memory_equal(&decoded, &datas[i], sizeof(decoded));
	}
}

static void dataset_range_is_checked_at_its_limits(void **state)
{
	struct nvme_dsm dsm = {.range_count = 256, .is_deallocate = true};
	struct nvme_dsm_range range = {.block_count = le32_store(UINT32_MAX)};
	struct nvme_dsm decoded;
	struct nvme_rw rw;
	struct nvme_sqe sqe;

	(void)state;
	nvme_dsm_encode(&sqe, 1, &dsm);
	decoded = nvme_dsm_decode(&sqe);
	assert_int_equal(decoded.range_count, 256);
	assert_true(decoded.is_deallocate);
	assert_int_equal(nvme_dsm_range_decode(&range, UINT32_MAX, &rw), NVME_STATUS_SUCCESS);
	assert_int_equal(rw.block_count, UINT32_MAX);
	range.first_block = le64_store(1);
	assert_int_equal(nvme_dsm_range_decode(&range, UINT32_MAX, &rw),
			 NVME_STATUS_LBA_OUT_OF_RANGE);
	range.block_count = le32_store(0);
	range.first_block = le64_store(UINT64_MAX);
	assert_int_equal(nvme_dsm_range_decode(&range, 100, &rw), NVME_STATUS_LBA_OUT_OF_RANGE);
}

static void reservation_survives_a_round_trip(void **state)
{
	static const struct nvme_reservation reservations[] = {
		{.opcode = NVME_RESERVATION_REGISTER,
		 .action = NVME_RESERVATION_REPLACE_KEY,
		 .is_ignoring_key = true,
		 .persist = NVME_RESERVATION_PERSIST_SET,
		 .current_key = 1,
		 .other_key = UINT64_MAX},
		{.opcode = NVME_RESERVATION_ACQUIRE,
		 .action = NVME_RESERVATION_PREEMPT_AND_ABORT,
		 .type = NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL,
		 .current_key = 2,
		 .other_key = 3},
		{.opcode = NVME_RESERVATION_RELEASE,
		 .type = NVME_RESERVATION_WRITE_EXCLUSIVE,
		 .current_key = 5},
		{.opcode = NVME_RESERVATION_REPORT, .is_extended = true, .report_bytes = 4096},
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct nvme_reservation decoded;
		struct nvme_sqe sqe;
		uint8_t data[16];

		nvme_reservation_encode(&sqe, 1, &reservations[i], data);
		assert_int_equal(nvme_reservation_decode(&sqe, data, &decoded),
				 NVME_STATUS_SUCCESS);
		assert_int_equal(decoded.opcode, reservations[i].opcode);
		assert_int_equal(decoded.action, reservations[i].action);
		assert_int_equal(decoded.is_ignoring_key, reservations[i].is_ignoring_key);
		assert_int_equal(decoded.type, reservations[i].type);
		assert_int_equal(decoded.persist, reservations[i].persist);
		assert_int_equal(decoded.current_key, reservations[i].current_key);
		assert_int_equal(decoded.other_key, reservations[i].other_key);
		assert_int_equal(decoded.report_bytes, reservations[i].report_bytes);
	}
}

static void undefined_reservation_fields_are_refused(void **state)
{
	static const struct {
		uint8_t opcode;
		uint32_t cdw10;
		enum nvme_status status;
	} cases[] = {
		{NVME_RESERVATION_REGISTER, 2, NVME_STATUS_SUCCESS},
		{NVME_RESERVATION_REGISTER, 3, NVME_STATUS_INVALID_FIELD},
		{NVME_RESERVATION_REGISTER, 7, NVME_STATUS_INVALID_FIELD},
		{NVME_RESERVATION_REGISTER, 1u << 30, NVME_STATUS_INVALID_FIELD},
		{NVME_RESERVATION_ACQUIRE, 0x100, NVME_STATUS_SUCCESS},
		{NVME_RESERVATION_ACQUIRE, 0x600, NVME_STATUS_SUCCESS},
		{NVME_RESERVATION_ACQUIRE, 0x000, NVME_STATUS_INVALID_FIELD},
		{NVME_RESERVATION_ACQUIRE, 0x700, NVME_STATUS_INVALID_FIELD},
		{NVME_RESERVATION_ACQUIRE, 0x103, NVME_STATUS_INVALID_FIELD},
		{NVME_RESERVATION_RELEASE, 0x001, NVME_STATUS_SUCCESS},
		{NVME_RESERVATION_RELEASE, 0x000, NVME_STATUS_INVALID_FIELD},
		{NVME_RESERVATION_RELEASE, 0x102, NVME_STATUS_INVALID_FIELD},
		{NVME_RESERVATION_REPORT, 0, NVME_STATUS_SUCCESS},
		{NVME_RESERVATION_REPORT, UINT32_MAX, NVME_STATUS_INVALID_FIELD},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvme_sqe sqe = {.opcode = cases[i].opcode,
				       .cdw10 = le32_store(cases[i].cdw10)};
		struct nvme_reservation reservation;
		uint8_t data[16] = {0};

		assert_int_equal(nvme_reservation_decode(&sqe, data, &reservation),
				 cases[i].status);
	}
}

static void log_request_survives_a_round_trip(void **state)
{
	struct nvme_get_log log = {.page = 0x70,
				   .specific = 0x7f,
				   .is_retaining = true,
				   .offset_bytes = 0x1234567890,
				   .length_bytes = 1ull << 34};
	struct nvme_get_log decoded = {0};
	struct nvme_sqe sqe;

	(void)state;
	nvme_get_log_encode(&sqe, NVME_NSID_ALL, &log);
	assert_int_equal(nvme_get_log_decode(&sqe, &decoded), NVME_STATUS_SUCCESS);
	assert_int_equal(decoded.page, log.page);
	assert_int_equal(decoded.specific, log.specific);
	assert_true(decoded.is_retaining);
	assert_int_equal(decoded.offset_bytes, log.offset_bytes);
	assert_int_equal(decoded.length_bytes, log.length_bytes);
	sqe.cdw12 = le32_store(2);
	assert_int_equal(nvme_get_log_decode(&sqe, &decoded), NVME_STATUS_INVALID_FIELD);
	sqe.cdw12 = le32_store(0);
	sqe.cdw14 = le32_store(1u << 23);
	assert_int_equal(nvme_get_log_decode(&sqe, &decoded), NVME_STATUS_INVALID_FIELD);
}

static void identify_survives_a_round_trip(void **state)
{
	struct nvme_identify identify = {NVME_CNS_CONTROLLERS, 0xfedc, 1, 2}, decoded;
	struct nvme_sqe sqe;

	(void)state;
	nvme_identify_encode(&sqe, &identify);
	decoded = nvme_identify_decode(&sqe);
	assert_int_equal(decoded.cns, identify.cns);
	assert_int_equal(decoded.cntlid, 0xfedc);
	assert_int_equal(decoded.nsid, 1);
	assert_int_equal(decoded.command_set, 2);
}

static void status_field_survives_a_round_trip(void **state)
{
	(void)state;
	for (uint32_t raw = 0; raw < 0x10000; raw += 2) {
		struct nvme_status_field field = nvme_status_decode(le16_store((uint16_t)raw));

		assert_int_equal(le16_load(nvme_status_encode(field)), raw);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_range_is_checked_at_its_limits),
		cmocka_unit_test(block_command_survives_a_round_trip),
		cmocka_unit_test(in_capsule_length_must_be_what_arrived),
		cmocka_unit_test(sgl_survives_a_round_trip),
		cmocka_unit_test(dataset_range_is_checked_at_its_limits),
		cmocka_unit_test(reservation_survives_a_round_trip),
		cmocka_unit_test(undefined_reservation_fields_are_refused),
		cmocka_unit_test(log_request_survives_a_round_trip),
		cmocka_unit_test(identify_survives_a_round_trip),
		cmocka_unit_test(status_field_survives_a_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

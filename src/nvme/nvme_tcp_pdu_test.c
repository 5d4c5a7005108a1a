/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: no header that breaks the specification passes nvme_tcp_header_decode(), every header that
 * our encoders make does, and what a decoder returns can be trusted.
 * Method: tables of one good header each, damaged in one field; and round trips.
 */
#include "nvme/nvme_tcp_pdu.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct nvme_tcp_rules h2c_rules = {
	.side = NVME_TCP_HOST_TO_CONTROLLER,
	.is_initialized = true,
	.alignment = 4,
	.capsule_data_bytes_max = 8192,
	.data_bytes_max = 131072,
};

static const struct nvme_tcp_rules c2h_rules = {
	.side = NVME_TCP_CONTROLLER_TO_HOST,
	.is_initialized = true,
	.alignment = 4,
	.data_bytes_max = 131072,
};

static const struct nvme_tcp_frame plain = {.alignment = 4};

struct bad_header {
	const char *name;
	struct nvme_tcp_common common;
	enum nvme_tcp_fes fes;
	uint32_t field_offset;
};

#define PLEN(value)                                                                \
	{                                                                          \
		{                                                                  \
			(value) & 0xff, (value) >> 8 & 0xff, (value) >> 16 & 0xff, \
				(value) >> 24 & 0xff                               \
		}                                                                  \
	}

static void check_bad_header(const struct bad_header *bad, const struct nvme_tcp_rules *rules)
{
	struct nvme_tcp_header header;
	struct nvme_tcp_fault fault = {0};
	int rc = nvme_tcp_header_decode((const uint8_t *)&bad->common, sizeof(bad->common), rules,
					&header, &fault);

	if (rc != -EPROTO || fault.fes != bad->fes || fault.field_offset != bad->field_offset)
		fail_msg("%s: rc %d fes %d offset %u", bad->name, rc, (int)fault.fes,
			 fault.field_offset);
}

static void header_of_host_that_breaks_a_rule_is_refused(void **state)
{
	static const struct bad_header bads[] = {
		{"type 8 is not defined", {0x08, 0, 24, 24, PLEN(28)}, 1, 0},
		{"type 10 is not defined", {0x0a, 0, 24, 24, PLEN(28)}, 1, 0},
		{"type 255", {0xff, 0, 24, 24, PLEN(28)}, 1, 0},
		{"response to controller", {0x05, 0, 24, 0, PLEN(24)}, 1, 0},
		{"C2HData to controller", {0x07, 0, 24, 24, PLEN(28)}, 1, 0},
		{"R2T to controller", {0x09, 0, 24, 0, PLEN(24)}, 1, 0},
		{"second ICReq", {0x00, 0, 128, 0, PLEN(128)}, 2, 0},
		{"hlen 0", {0x04, 0, 0, 0, PLEN(72)}, 1, 2},
		{"hlen 71", {0x04, 0, 71, 0, PLEN(72)}, 1, 2},
		{"hlen 255", {0x04, 0, 255, 0, PLEN(255)}, 1, 2},
		{"undefined flag", {0x04, 0x10, 72, 0, PLEN(72)}, 1, 1},
		{"last flag on a command", {0x04, 0x04, 72, 0, PLEN(72)}, 1, 1},
		{"success flag from host", {0x06, 0x08, 24, 24, PLEN(28)}, 1, 1},
		{"digest that was not negotiated", {0x04, 0x01, 72, 0, PLEN(76)}, 1, 1},
		{"data digest not negotiated", {0x06, 0x02, 24, 24, PLEN(32)}, 1, 1},
		{"plen 0", {0x04, 0, 72, 0, PLEN(0)}, 1, 4},
		{"plen below header", {0x04, 0, 72, 0, PLEN(71)}, 1, 4},
		{"plen 4 GiB", {0x06, 0, 24, 24, PLEN(0xffffffff)}, 5, 0},
		{"capsule data too long", {0x04, 0, 72, 72, PLEN(72 + 8193)}, 1, 4},
		{"pdo inside header", {0x04, 0, 72, 68, PLEN(100)}, 1, 3},
		{"pdo zero with data", {0x04, 0, 72, 0, PLEN(100)}, 1, 3},
		{"pdo not aligned", {0x04, 0, 72, 74, PLEN(100)}, 1, 3},
		{"pdo at the end", {0x04, 0, 72, 100, PLEN(100)}, 1, 4},
		{"pdo behind the end", {0x04, 0, 72, 128, PLEN(100)}, 1, 4},
		{"H2CData without data", {0x06, 0, 24, 24, PLEN(24)}, 1, 4},
		{"H2CData longer than MAXH2CDATA", {0x06, 0, 24, 24, PLEN(24 + 131073)}, 5, 0},
		{"term with 129 bytes", {0x02, 0, 24, 0, PLEN(24 + 129)}, 1, 4},
		{"term shorter than its header", {0x02, 0, 24, 0, PLEN(23)}, 1, 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++)
		check_bad_header(&bads[i], &h2c_rules);
}

static void header_of_controller_that_breaks_a_rule_is_refused(void **state)
{
	static const struct bad_header bads[] = {
		{"command to host", {0x04, 0, 72, 0, PLEN(72)}, 1, 0},
		{"H2CData to host", {0x06, 0, 24, 24, PLEN(28)}, 1, 0},
		{"second ICResp", {0x01, 0, 128, 0, PLEN(128)}, 2, 0},
		{"response with data", {0x05, 0, 24, 24, PLEN(28)}, 1, 4},
		{"R2T with data", {0x09, 0, 24, 24, PLEN(28)}, 1, 4},
		{"R2T with data digest", {0x09, 2, 24, 0, PLEN(24)}, 1, 1},
		{"C2HData without data", {0x07, 0, 24, 24, PLEN(24)}, 1, 4},
		{"C2HData longer than any transfer", {0x07, 0, 24, 24, PLEN(24 + 131073)}, 1, 4},
		{"hlen 23", {0x05, 0, 23, 0, PLEN(24)}, 1, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++)
		check_bad_header(&bads[i], &c2h_rules);
}

static void negotiated_digests_are_required(void **state)
{
	static const struct bad_header bads[] = {
		{"no header digest", {0x04, 0, 72, 0, PLEN(72)}, 1, 1},
		{"room for no digest", {0x04, 1, 72, 0, PLEN(72)}, 1, 4},
		{"data without digest", {0x06, 1, 24, 28, PLEN(32)}, 1, 1},
		{"digest without data", {0x04, 3, 72, 0, PLEN(76)}, 1, 1},
		{"nothing but a digest", {0x06, 3, 24, 28, PLEN(32)}, 1, 4},
		{"pdo on top of header digest", {0x06, 3, 24, 24, PLEN(64)}, 1, 3},
	};
	struct nvme_tcp_rules rules = h2c_rules;

	(void)state;
	rules.has_header_digest = true;
	rules.has_data_digest = true;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++)
		check_bad_header(&bads[i], &rules);
}

static void nothing_but_a_handshake_or_term_comes_first(void **state)
{
	struct nvme_tcp_rules rules = c2h_rules;
	struct bad_header bad = {"response first", {0x05, 0, 24, 0, PLEN(24)}, 2, 0};
	struct nvme_tcp_common term = {0x03, 0, 24, 0, PLEN(24)};
	struct nvme_tcp_header header;
	struct nvme_tcp_fault fault;

	(void)state;
	rules.is_initialized = false;
	check_bad_header(&bad, &rules);
	assert_int_equal(
		nvme_tcp_header_decode((uint8_t *)&term, sizeof(term), &rules, &header, &fault), 0);
	assert_int_equal(header.data_bytes, 0);
}

static void fewer_than_eight_bytes_are_not_judged(void **state)
{
	uint8_t bytes[8];
	struct nvme_tcp_header header;
	struct nvme_tcp_fault fault;

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	for (size_t size = 0; size < 8; size++)
		assert_int_equal(nvme_tcp_header_decode(bytes, size, &h2c_rules, &header, &fault),
				 -EAGAIN);
	assert_int_equal(nvme_tcp_header_decode(bytes, 8, &h2c_rules, &header, &fault), -EPROTO);
}

/* Decodes what an encoder made and returns the checked header. */
static struct nvme_tcp_header header_of(const void *pdu, const struct nvme_tcp_rules *rules)
{
	struct nvme_tcp_header header;
	struct nvme_tcp_fault fault = {0};

	assert_int_equal(nvme_tcp_header_decode(pdu, 8, rules, &header, &fault), 0);
	return header;
}

static void every_framing_survives_a_round_trip(void **state)
{
	struct nvme_tcp_transfer transfer = {.cid = 7, .tag = 9, .offset = 4096, .length = 512};

	(void)state;
	for (uint32_t i = 0; i < 4 * 32; i++) {
		struct nvme_tcp_frame frame = {i & 1, i & 2, (i / 4 + 1) * 4};
		struct nvme_tcp_rules rules = h2c_rules;
		struct nvme_tcp_transfer decoded;
		struct nvme_tcp_fault fault;
		struct nvme_tcp_header header;
		struct nvme_tcp_data pdu;

		rules.has_header_digest = frame.has_header_digest;
		rules.has_data_digest = frame.has_data_digest;
		rules.alignment = frame.alignment;
		nvme_tcp_h2c_encode(&pdu, &frame, &transfer, true);
		header = header_of(&pdu, &rules);
		assert_int_equal(header.data_offset, nvme_tcp_data_offset(&frame, 24));
		assert_int_equal(header.data_offset % frame.alignment, 0);
		assert_int_equal(header.data_bytes, 512);
		assert_true(header.is_last);
		assert_int_equal(nvme_tcp_h2c_decode((uint8_t *)&pdu, &header, &decoded, &fault),
				 0);
		assert_memory_equal(&decoded, &transfer, sizeof(transfer));
	}
}

static void command_capsule_survives_a_round_trip(void **state)
{
	struct nvme_sqe sqe = {.opcode = 1, .cid = le16_store(0x1234)}, decoded;
	struct nvme_tcp_capsule_command pdu;
	struct nvme_tcp_header header;

	(void)state;
	nvme_tcp_command_encode(&pdu, &plain, &sqe, 0);
	header = header_of(&pdu, &h2c_rules);
	assert_int_equal(header.pdu_bytes, 72);
	assert_int_equal(header.data_bytes, 0);
	nvme_tcp_command_encode(&pdu, &plain, &sqe, 8192);
	header = header_of(&pdu, &h2c_rules);
	assert_int_equal(header.pdu_bytes, 72 + 8192);
	assert_int_equal(header.data_bytes, 8192);
	decoded = nvme_tcp_command_decode((uint8_t *)&pdu, &header);
	assert_memory_equal(&decoded, &sqe, sizeof(sqe));
}

static void response_capsule_survives_a_round_trip(void **state)
{
	struct nvme_cqe cqe = {.cid = le16_store(3), .status = le16_store(0x4004)}, decoded;
	struct nvme_tcp_capsule_response pdu;
	struct nvme_tcp_header header;

	(void)state;
	nvme_tcp_response_encode(&pdu, &plain, &cqe);
	header = header_of(&pdu, &c2h_rules);
	decoded = nvme_tcp_response_decode((uint8_t *)&pdu, &header);
	assert_memory_equal(&decoded, &cqe, sizeof(cqe));
}

static void handshake_survives_a_round_trip(void **state)
{
	struct nvme_tcp_ic ic = {.alignment = 128,
				 .has_data_digest = true,
				 .r2t_count_max = 16,
				 .data_bytes_max = 65536};
	struct nvme_tcp_rules rules = h2c_rules;
	struct nvme_tcp_header header;
	struct nvme_tcp_fault fault;
	struct nvme_tcp_ic decoded;
	struct nvme_tcp_icresp response;
	struct nvme_tcp_icreq request;

	(void)state;
	rules.is_initialized = false;
	nvme_tcp_icreq_encode(&request, &ic);
	header = header_of(&request, &rules);
	assert_int_equal(nvme_tcp_icreq_decode((uint8_t *)&request, &header, &decoded, &fault), 0);
	assert_int_equal(decoded.alignment, 128);
	assert_false(decoded.has_header_digest);
	assert_true(decoded.has_data_digest);
	assert_int_equal(decoded.r2t_count_max, 16);
	rules.side = NVME_TCP_CONTROLLER_TO_HOST;
	nvme_tcp_icresp_encode(&response, &ic);
	header = header_of(&response, &rules);
	assert_int_equal(nvme_tcp_icresp_decode((uint8_t *)&response, &header, &decoded, &fault),
			 0);
	assert_int_equal(decoded.data_bytes_max, 65536);
}

static void handshake_with_a_bad_field_is_refused(void **state)
{
	static const struct {
		uint32_t byte;
		uint8_t value;
		enum nvme_tcp_fes fes;
	} damages[] = {
		{8, 1, NVME_TCP_FES_UNSUPPORTED},      {9, 1, NVME_TCP_FES_UNSUPPORTED},
		{10, 32, NVME_TCP_FES_INVALID_HEADER}, {10, 255, NVME_TCP_FES_INVALID_HEADER},
		{11, 4, NVME_TCP_FES_INVALID_HEADER},  {12, 2, NVME_TCP_FES_INVALID_HEADER},
		{13, 0, NVME_TCP_FES_INVALID_HEADER},
	};
	struct nvme_tcp_ic ic = {.alignment = 4, .r2t_count_max = 1, .data_bytes_max = 4096};
	struct nvme_tcp_rules rules = c2h_rules;

	(void)state;
	rules.is_initialized = false;
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct nvme_tcp_fault fault = {0};
		struct nvme_tcp_header header;
		struct nvme_tcp_ic decoded;
		uint8_t bytes[128];

		nvme_tcp_icresp_encode((struct nvme_tcp_icresp *)bytes, &ic);
		bytes[damages[i].byte] = damages[i].value;
		header = header_of(bytes, &rules);
		assert_int_equal(nvme_tcp_icresp_decode(bytes, &header, &decoded, &fault), -EPROTO);
		assert_int_equal(fault.fes, damages[i].fes);
	}
}

static void r2t_count_of_all_ones_does_not_wrap(void **state)
{
	struct nvme_tcp_ic ic = {.alignment = 4, .r2t_count_max = 1, .data_bytes_max = 4096};
	struct nvme_tcp_rules rules = h2c_rules;
	struct nvme_tcp_header header;
	struct nvme_tcp_fault fault;
	struct nvme_tcp_icreq pdu;

	(void)state;
	rules.is_initialized = false;
	nvme_tcp_icreq_encode(&pdu, &ic);
	pdu.maxr2t = le32_store(UINT32_MAX);
	header = header_of(&pdu, &rules);
	assert_int_equal(nvme_tcp_icreq_decode((uint8_t *)&pdu, &header, &ic, &fault), 0);
	assert_int_equal(ic.r2t_count_max, UINT32_MAX);
}

static void transfer_that_overflows_or_disagrees_is_refused(void **state)
{
	struct nvme_tcp_transfer transfer = {.cid = 1, .offset = 0, .length = 512}, decoded;
	struct nvme_tcp_fault fault = {0};
	struct nvme_tcp_header header;
	struct nvme_tcp_data data;
	struct nvme_tcp_r2t r2t;

	(void)state;
	nvme_tcp_c2h_encode(&data, &plain, &transfer, NVME_TCP_FLAG_LAST);
	header = header_of(&data, &c2h_rules);
	data.datal = le32_store(516);
	assert_int_equal(nvme_tcp_c2h_decode((uint8_t *)&data, &header, &decoded, &fault), -EPROTO);
	assert_int_equal(fault.field_offset, 16);
	data.datal = le32_store(512);
	data.datao = le32_store(UINT32_MAX - 3);
	assert_int_equal(nvme_tcp_c2h_decode((uint8_t *)&data, &header, &decoded, &fault), -EPROTO);
	assert_int_equal(fault.fes, NVME_TCP_FES_OUT_OF_RANGE);
	data.datao = le32_store(2);
	assert_int_equal(nvme_tcp_c2h_decode((uint8_t *)&data, &header, &decoded, &fault), -EPROTO);
	assert_int_equal(fault.field_offset, 12);
	nvme_tcp_r2t_encode(&r2t, &plain, &transfer);
	header = header_of(&r2t, &c2h_rules);
	r2t.r2tl = le32_store(0);
	assert_int_equal(nvme_tcp_r2t_decode((uint8_t *)&r2t, &header, &decoded, &fault), -EPROTO);
	assert_int_equal(fault.field_offset, 16);
	r2t.r2tl = le32_store(UINT32_MAX);
	r2t.r2to = le32_store(4);
	assert_int_equal(nvme_tcp_r2t_decode((uint8_t *)&r2t, &header, &decoded, &fault), -EPROTO);
	assert_int_equal(fault.fes, NVME_TCP_FES_OUT_OF_RANGE);
}

static void success_without_last_is_refused(void **state)
{
	struct nvme_tcp_transfer transfer = {.length = 512}, decoded;
	struct nvme_tcp_fault fault = {0};
	struct nvme_tcp_header header;
	struct nvme_tcp_data data;

	(void)state;
	nvme_tcp_c2h_encode(&data, &plain, &transfer, NVME_TCP_FLAG_LAST | NVME_TCP_FLAG_SUCCESS);
	header = header_of(&data, &c2h_rules);
	assert_int_equal(nvme_tcp_c2h_decode((uint8_t *)&data, &header, &decoded, &fault), 0);
	header.is_last = false;
	assert_int_equal(nvme_tcp_c2h_decode((uint8_t *)&data, &header, &decoded, &fault), -EPROTO);
	assert_int_equal(fault.field_offset, 1);
}

static void term_carries_at_most_128_bytes_of_the_fault(void **state)
{
	struct nvme_tcp_fault fault = {NVME_TCP_FES_INVALID_HEADER, 3}, decoded;
	uint8_t bytes[NVME_TCP_TERM_BYTES_MAX], faulty[200] = {0x06};
	struct nvme_tcp_header header;

	(void)state;
	assert_int_equal(nvme_tcp_term_encode(bytes, NVME_TCP_H2C_TERM, &fault, faulty, 8), 32);
	assert_int_equal(nvme_tcp_term_encode(bytes, NVME_TCP_H2C_TERM, &fault, faulty, 200), 152);
	header = header_of(bytes, &h2c_rules);
	assert_int_equal(header.data_offset, 24);
	assert_int_equal(header.data_bytes, 128);
	nvme_tcp_term_decode(bytes, &header, &decoded);
	assert_int_equal(decoded.fes, fault.fes);
	assert_int_equal(decoded.field_offset, 3);
}

static void header_that_is_recalled_is_the_last_that_was_good(void **state)
{
	struct nvme_tcp_common command = {NVME_TCP_CAPSULE_COMMAND, 0, 72, 0, le32_store(72)};
	struct nvme_tcp_common data = {NVME_TCP_CAPSULE_COMMAND, 0, 72, 72, le32_store(72 + 512)};
	struct nvme_tcp_common bad = {NVME_TCP_CAPSULE_COMMAND, 0, 71, 0, le32_store(72)};
	const struct nvme_tcp_common *const order[] = {&command, &command, &data, &data,
						       &command, &bad,	   &bad,  &command};
	struct nvme_tcp_memo memo = {.is_known = false};
	struct nvme_tcp_header header = {.data_bytes = 1};
	struct nvme_tcp_fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		int rc = nvme_tcp_header_recall(&memo, (const uint8_t *)order[i], &h2c_rules,
						&header, &fault);

		assert_int_equal(rc, order[i] == &bad ? -EPROTO : 0);
		if (rc == 0)
			assert_int_equal(header.data_bytes, order[i] == &data ? 512 : 0);
		assert_int_equal(memo.is_known, rc == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_of_host_that_breaks_a_rule_is_refused),
		cmocka_unit_test(header_of_controller_that_breaks_a_rule_is_refused),
		cmocka_unit_test(negotiated_digests_are_required),
		cmocka_unit_test(nothing_but_a_handshake_or_term_comes_first),
		cmocka_unit_test(fewer_than_eight_bytes_are_not_judged),
		cmocka_unit_test(every_framing_survives_a_round_trip),
		cmocka_unit_test(command_capsule_survives_a_round_trip),
		cmocka_unit_test(response_capsule_survives_a_round_trip),
		cmocka_unit_test(handshake_survives_a_round_trip),
		cmocka_unit_test(handshake_with_a_bad_field_is_refused),
		cmocka_unit_test(r2t_count_of_all_ones_does_not_wrap),
		cmocka_unit_test(transfer_that_overflows_or_disagrees_is_refused),
		cmocka_unit_test(success_without_last_is_refused),
		cmocka_unit_test(term_carries_at_most_128_bytes_of_the_fault),
		cmocka_unit_test(header_that_is_recalled_is_the_last_that_was_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

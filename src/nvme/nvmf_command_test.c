/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a Connect with an unterminated or malformed name never passes; names are NQNs.
 * Method: tables and single-field damage.
 */
#include "nvme/nvme_command.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct nvmf_connect good = {
	.qid = 1,
	.queue_entries = 32,
	.kato_ms = 10000,
	.cntlid = NVMF_CNTLID_ANY,
	.subnqn = "nqn.2019-05.io.openebs:v",
	.hostnqn = "nqn.2014-08.org.nvmexpress:uuid:0",
	.is_sole = true,
};

static void nqn_is_judged_by_length_prefix_and_utf8(void **state)
{
	static const struct {
		const char *text;
		bool is_valid;
	} cases[] = {
		{"nqn.a", true},
		{"nqn.2014-08.org.nvmexpress.discovery", true},
		{"nqn.\xc3\xa9", true},
		{"nqn.\xf0\x9f\x98\x80", true},
		{"nqn.", false},
		{"nq", false},
		{"", false},
		{"NQN.a", false},
		{"eui.0123456789abcdef", false},
		{"nqn.\xc3", false},	     /* cut */
		{"nqn.\x80", false},	     /* no first byte */
		{"nqn.\xc0\x80", false},     /* overlong NUL */
		{"nqn.\xe0\x80\x80", false}, /* overlong */
		{"nqn.\xed\xa0\x80", false}, /* surrogate */
		{"nqn.\xf4\x90\x80\x80", false},
		{"nqn.\xff", false},
		{"nqn.a\nb", false},
		{"nqn.a\x7f", false},
	};
	char text[NVMF_NQN_FIELD_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (nvme_nqn_is_valid(cases[i].text, strlen(cases[i].text) + 1) !=
		    cases[i].is_valid)
			fail_msg("%s", cases[i].text);
		assert_false(nvme_nqn_is_valid(cases[i].text, strlen(cases[i].text)));
	}
	memset(text, 'a', sizeof(text));
	memcpy(text, "nqn.", 4);
	assert_false(nvme_nqn_is_valid(text, sizeof(text)));
	text[224] = '\0';
	assert_false(nvme_nqn_is_valid(text, sizeof(text)));
	text[223] = '\0';
	assert_true(nvme_nqn_is_valid(text, sizeof(text)));
	assert_false(nvme_nqn_is_valid(text, 0));
}

static void connect_survives_a_round_trip(void **state)
{
	struct nvmf_connect_data data;
	struct nvmf_connect decoded;
	struct nvme_sqe sqe;
	uint32_t result;

	(void)state;
	nvmf_connect_encode(&sqe, &good, &data);
	assert_int_equal(nvmf_connect_decode(&sqe, (uint8_t *)&data, &decoded, &result), 0);
	assert_memory_equal(&decoded, &good, sizeof(good));
	assert_int_equal(nvme_data_direction(&sqe), NVME_DATA_TO_CONTROLLER);
}

static void connect_with_a_bad_field_names_it(void **state)
{
	struct nvmf_connect_data data;
	struct nvmf_connect decoded;
	struct nvmf_connect_command *command;
	struct nvme_sqe sqe;
	uint32_t result = 0;

	(void)state;
	nvmf_connect_encode(&sqe, &good, &data);
	command = (struct nvmf_connect_command *)&sqe;
	memset(data.subnqn, 'a', sizeof(data.subnqn)); /* no NUL anywhere */
	assert_int_equal(nvmf_connect_decode(&sqe, (uint8_t *)&data, &decoded, &result), 0x182);
	assert_int_equal(result, 0x10000 | 256);
	nvmf_connect_encode(&sqe, &good, &data);
	memset(data.hostnqn, 0, sizeof(data.hostnqn));
	assert_int_equal(nvmf_connect_decode(&sqe, (uint8_t *)&data, &decoded, &result), 0x182);
	assert_int_equal(result, 0x10000 | 512);
	nvmf_connect_encode(&sqe, &good, &data);
	command->sqsize = le16_store(0);
	assert_int_equal(nvmf_connect_decode(&sqe, (uint8_t *)&data, &decoded, &result), 0x182);
	assert_int_equal(result, 44);
	command->record_format = le16_store(1);
	assert_int_equal(nvmf_connect_decode(&sqe, (uint8_t *)&data, &decoded, &result), 0x180);
}

static void property_access_survives_a_round_trip(void **state)
{
	struct nvmf_property_access set = {false, NVMF_PROPERTY_CC, 0x460001}, decoded;
	struct nvmf_property_access get = {true, NVMF_PROPERTY_CAP, 0};
	struct nvmf_property_command *command;
	struct nvme_sqe sqe;

	(void)state;
	nvmf_property_set_encode(&sqe, &set);
	assert_int_equal(nvmf_property_decode(&sqe, &decoded), NVME_STATUS_SUCCESS);
	assert_false(decoded.is_eight_bytes);
	assert_int_equal(decoded.offset, NVMF_PROPERTY_CC);
	assert_int_equal(decoded.value, 0x460001);
	nvmf_property_get_encode(&sqe, &get);
	assert_int_equal(nvmf_property_decode(&sqe, &decoded), NVME_STATUS_SUCCESS);
	assert_true(decoded.is_eight_bytes);
	assert_int_equal(nvme_data_direction(&sqe), NVME_DATA_NONE);
	command = (struct nvmf_property_command *)&sqe;
	command->attributes = 2;
	assert_int_equal(nvmf_property_decode(&sqe, &decoded), NVME_STATUS_INVALID_FIELD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nqn_is_judged_by_length_prefix_and_utf8),
		cmocka_unit_test(connect_survives_a_round_trip),
		cmocka_unit_test(connect_with_a_bad_field_names_it),
		cmocka_unit_test(property_access_survives_a_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* pure_test.c - the target's pure parts: names, status mapping, identify content. */
#include "target/target_parts_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void names_are_those_of_the_reference(void **state)
{
	char nqn[NQN_BYTES_MAX];
	char serial[TARGET_SERIAL_BYTES];
	char name[300];
	struct uuid uuid;

	(void)state;
	assert_int_equal(target_nqn_format("vol-1", nqn), 0);
	assert_string_equal(nqn, "nqn.2019-05.io.openebs:vol-1");
	memset(name, 'x', sizeof(name));
	name[299] = '\0';
	assert_true(target_nqn_format(name, nqn) < 0);
	assert_true(target_nqn_format("", nqn) < 0);
	/* echo -n 00112233445566778899aabbccddeeff | xxd -r -p | sha256sum */
	assert_true(uuid_parse("00112233-4455-6677-8899-aabbccddeeff", &uuid));
	target_serial_from_uuid(&uuid, serial);
	assert_string_equal(serial, "DCSA8FAED6ABBF35C12A");
	/* echo -n name | sha256sum */
	target_serial_from_name("name", serial);
	assert_string_equal(serial, "DCS82A3537FF0DBCE7EE");
	assert_true(target_nqn_is_valid("nqn.2014-08.org.nvmexpress:uuid:x"));
	assert_false(target_nqn_is_valid(""));
	assert_false(target_nqn_is_valid("a b"));
	assert_false(target_nqn_is_valid(name));
}

static void no_error_is_told_as_success(void **state)
{
	(void)state;
	assert_int_equal(status_from_io(IO_OK, true), 0);
	for (int status = IO_OK + 1; status <= IO_INTERNAL_ERROR; status++) {
		assert_int_not_equal(status_from_io((enum io_status)status, true), 0);
		assert_int_not_equal(status_from_io((enum io_status)status, false), 0);
	}
	assert_int_equal(status_from_io(IO_MEDIUM_ERROR, true), 0x280);
	assert_int_equal(status_from_io(IO_MEDIUM_ERROR, false), 0x281);
	assert_int_equal(status_from_io(IO_COMPARE_FAILED, false), 0x285);
	assert_int_equal(status_from_io(IO_NO_SPACE, true), 0x081);
}

static void only_what_cannot_succeed_later_is_final(void **state)
{
	static const uint16_t final[] = {0x001, 0x002, 0x00b, 0x00f, 0x080, 0x285, 0x109, 0x182};
	static const uint16_t passing[] = {0x006, 0x007, 0x022, 0x081, 0x082, 0x083,
					   0x280, 0x281, 0x300, 0x302, 0x303};

	(void)state;
	assert_false(status_field(0).is_do_not_retry);
	for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++) {
		assert_true(status_field(final[i]).is_do_not_retry);
		assert_int_equal(status_retry_delay(final[i], TARGET_ERRORS_OF_NEXUS), 0);
	}
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		assert_false(status_field(passing[i]).is_do_not_retry);
		assert_int_equal(status_retry_delay(passing[i], TARGET_ERRORS_OF_REPLICA), 3);
	}
	assert_int_equal(status_retry_delay(0x006, TARGET_ERRORS_OF_NEXUS), 1);
	assert_int_equal(status_retry_delay(0x081, TARGET_ERRORS_OF_NEXUS), 2);
	assert_int_equal(status_retry_delay(0x083, TARGET_ERRORS_OF_NEXUS), 2);
}

static void ana_states_are_told(void **state)
{
	(void)state;
	assert_int_equal(status_from_ana(TARGET_ANA_OPTIMIZED), 0);
	assert_int_equal(status_from_ana(TARGET_ANA_NON_OPTIMIZED), 0);
	assert_int_equal(status_from_ana(TARGET_ANA_INACCESSIBLE), 0x302);
}

static void a_host_sees_the_device_that_it_knows(void **state)
{
	static struct target target;
	static struct target_subsystem subsystem;
	static struct controller controller;
	static struct bdev bdev;
	struct nvme_identify_controller id;
	struct nvme_identify_namespace ns;

	(void)state;
	target_options_default(&target.options);
	target.options.crdt[1] = 300;
	subsystem.target = &target;
	subsystem.bdev = &bdev;
	subsystem.is_ana_reporting = true;
	memcpy(subsystem.nqn, "nqn.2019-05.io.openebs:v", 25);
	memcpy(subsystem.serial, "DCS0123456789ABCDEFG", 20);
	memcpy(subsystem.model, TARGET_MODEL_DEFAULT, sizeof(TARGET_MODEL_DEFAULT));
	memset(subsystem.uuid.bytes, 0xab, 16);
	controller.subsystem = &subsystem;
	controller.cntlid = 7;
	bdev.block_bytes = 512;
	bdev.physical_block_bytes = 4096;
	bdev.block_count = 1000;
	identify_controller(&controller, &id);
	assert_int_equal(le32_load(id.ver), 0x10300);
	assert_int_equal(le16_load(id.vid), 0x8086);
	assert_int_equal(id.ieee[0], 0xe4);
	assert_memory_equal(id.sn, "DCS0123456789ABCDEFG", 20);
	assert_memory_equal(id.mn, "Mayastor NVMe controller                ", 40);
	assert_int_equal(id.mdts, 5);
	assert_int_equal(id.cmic, 0x0b);
	assert_int_equal(le32_load(id.oaes), 0x900);
	assert_int_equal(le16_load(id.oncs), 0x29); /* no dataset management here */
	assert_int_equal(le16_load(id.kas), 100);
	assert_int_equal(id.anacap, 0x47);
	assert_int_equal(le32_load(id.ioccsz), 260);
	assert_int_equal(le32_load(id.iorcsz), 1);
	assert_int_equal(le16_load(id.crdt[1]), 300);
	assert_int_equal(le16_load(id.cntlid), 7);
	assert_int_equal(id.cntrltype, 1);
	assert_int_equal(id.aerl, 3);
	bdev.can_unmap = true;
	identify_controller(&controller, &id);
	assert_int_equal(le16_load(id.oncs), 0x2d);

	identify_namespace(&subsystem, &ns);
	assert_int_equal(le64_load(ns.nsze), 1000);
	assert_int_equal(ns.nmic, 1);
	assert_int_equal(ns.rescap, 0xfe); /* no store: does not persist */
	assert_int_equal(le16_load(ns.npwg), 7);
	assert_int_equal(le16_load(ns.nawupf), 7);
	assert_int_equal(le32_load(ns.anagrpid), 1);
	assert_int_equal(ns.lbaf[0].data_bytes_log2, 9);
	assert_memory_equal(ns.nguid, subsystem.uuid.bytes, 16);
	assert_int_equal(ns.eui64[0], 0);

	/* The life of its cache, of local devices that know it. */
	assert_int_equal(ns.vendor[0], 0);
	bdev.cache_id.bytes[15] = 9;
	identify_namespace(&subsystem, &ns);
	assert_int_equal(ns.vendor[0], 0);
	bdev.is_local = true;
	identify_namespace(&subsystem, &ns);
	assert_memory_equal((const uint8_t *)&ns + 384, "MAYCACHE", 8);
	assert_memory_equal((const uint8_t *)&ns + 392, bdev.cache_id.bytes, 16);
}

static void discovery_controllers_offer_no_io(void **state)
{
	static struct target target;
	static struct controller controller;
	struct nvme_identify_controller id;

	(void)state;
	target_options_default(&target.options);
	target.discovery.target = &target;
	target.discovery.is_discovery = true;
	controller.subsystem = &target.discovery;
	identify_controller(&controller, &id);
	assert_int_equal(id.cntrltype, 2);
	assert_int_equal(le32_load(id.nn), 0);
	assert_int_equal(le32_load(id.oaes), 1u << 31);
}

static void an_idle_connection_is_small(void **state)
{
	size_t slots = (32 + COMMAND_SLOTS_SPARE) * sizeof(struct command);

	(void)state;
	print_message("connection %zu, command %zu, controller %zu bytes\n",
		      sizeof(struct connection), sizeof(struct command), sizeof(struct controller));
	assert_true(sizeof(struct connection) + slots + 64 * sizeof(void *) < 64 * 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_the_reference),
		cmocka_unit_test(no_error_is_told_as_success),
		cmocka_unit_test(only_what_cannot_succeed_later_is_final),
		cmocka_unit_test(ana_states_are_told),
		cmocka_unit_test(a_host_sees_the_device_that_it_knows),
		cmocka_unit_test(discovery_controllers_offer_no_io),
		cmocka_unit_test(an_idle_connection_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

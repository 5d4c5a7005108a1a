/* SPDX-License-Identifier: Apache-2.0 */
/* malformed_admin_test.c - admin commands that are wrong: opcodes, Identify, log pages, features,
 * Abort, too many event requests, keep-alive against the end of a controller.
 *
 * Goal: each gets the status of NVMe base 2.0, section 5, and no reply has more bytes than the host
 * made room for, or bytes of somebody else.
 * Method: a row is a submission entry (test_fixture.h); what is longer than the structure it asks
 * for must read as zeroes.
 */
#include "nvme/test_catalogue.h"
#include "target/test_fixture.h"

#define SGL	    0x40
#define T	    NVME_SGL_TRANSPORT
#define C	    NVME_SGL_DATA_BLOCK_OFFSET
#define OPCODE	    0x001
#define FIELD	    0x002
#define NSID	    0x00b
#define SEQUENCE    0x00c
#define LENGTH	    0x00f
#define TYPE	    0x011
#define OFFSET	    0x016
#define LOG	    0x109
#define NOT_SAVED   0x10d
#define NOT_CHANGED 0x10e
#define IDENTIFY    0x06
#define GET_LOG	    0x02
#define SET	    0x09
#define GET	    0x0a
#define ABORT	    0x08
#define EVENT_LIMIT NVME_STATUS_EVENT_LIMIT_EXCEEDED

struct bad_admin {
	const char *name;
	uint8_t opcode, flags;
	uint32_t nsid;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14;
	uint8_t sgl_type;
	uint32_t sgl_bytes;
	uint32_t capsule_bytes;
	uint16_t status;
};

static const struct bad_admin rows[] = {
	{"identify without room", IDENTIFY, SGL, 0, 1, 0, 0, 0, 0, T, 0, 0, LENGTH},
	{"identify with 128 KiB and 4", IDENTIFY, SGL, 0, 1, 0, 0, 0, 0, T, 131076, 0, FIELD},
	{"identify with 2^32-1", IDENTIFY, SGL, 0, 1, 0, 0, 0, 0, T, ~0u, 0, FIELD},
	{"identify with PRPs", IDENTIFY, 0, 0, 1, 0, 0, 0, 0, T, 4096, 0, FIELD},
	{"identify with PSDT 3", IDENTIFY, 0xc0, 0, 1, 0, 0, 0, 0, T, 4096, 0, FIELD},
	{"identify keyed", IDENTIFY, SGL, 0, 1, 0, 0, 0, 0, 0x40, 4096, 0, TYPE},
	{"identify into the capsule", IDENTIFY, SGL, 0, 1, 0, 0, 0, 0, C, 4096, 4096, TYPE},
	{"identify fused first", IDENTIFY, SGL | 1, 0, 1, 0, 0, 0, 0, T, 4096, 0, FIELD},
	{"identify fused second", IDENTIFY, SGL | 2, 0, 1, 0, 0, 0, 0, T, 4096, 0, FIELD},
	{"identify namespace 0", IDENTIFY, SGL, 0, 0, 0, 0, 0, 0, T, 4096, 0, NSID},
	{"identify namespace 2", IDENTIFY, SGL, 2, 0, 0, 0, 0, 0, T, 4096, 0, NSID},
	{"identify all namespaces", IDENTIFY, SGL, ~0u, 0, 0, 0, 0, 0, T, 4096, 0, NSID},
	{"descriptors of namespace 0", IDENTIFY, SGL, 0, 3, 0, 0, 0, 0, T, 4096, 0, NSID},
	{"descriptors of namespace 2^31", IDENTIFY, SGL, 0x80000000, 3, 0, 0, 0, 0, T, 4096, 0,
	 NSID},
	{"list behind fffffffeh", IDENTIFY, SGL, 0xfffffffe, 2, 0, 0, 0, 0, T, 4096, 0, NSID},
	{"list behind ffffffffh", IDENTIFY, SGL, ~0u, 2, 0, 0, 0, 0, T, 4096, 0, NSID},
	/* log pages */
	{"log without room", GET_LOG, SGL, 0, 0x007f0002, 0, 0, 0, 0, T, 0, 0, LENGTH},
	{"reply longer than its buffer: log", GET_LOG, SGL, 0, 0x00ff0002, 0, 0, 0, 0, T, 512, 0,
	 LENGTH},
	{"log of 4 bytes into 3", GET_LOG, SGL, 0, 0x00000002, 0, 0, 0, 0, T, 3, 0, LENGTH},
	{"log of 2^18 bytes into 512", GET_LOG, SGL, 0, 0xffff0002, 0, 0, 0, 0, T, 512, 0, LENGTH},
	{"log of 2^34 bytes into 512", GET_LOG, SGL, 0, 0xffff0002, 0xffff, 0, 0, 0, T, 512, 0,
	 LENGTH},
	{"log at an odd offset", GET_LOG, SGL, 0, 0x007f0002, 0, 3, 0, 0, T, 512, 0, FIELD},
	{"log behind its end", GET_LOG, SGL, 0, 0x007f0002, 0, 4096, 0, 0, T, 512, 0, FIELD},
	{"log at 2^32", GET_LOG, SGL, 0, 0x007f0002, 0, 0, 1, 0, T, 512, 0, FIELD},
	{"log at 2^63", GET_LOG, SGL, 0, 0x007f0002, 0, 0, 0x80000000, 0, T, 512, 0, FIELD},
	{"log at 2^64-4", GET_LOG, SGL, 0, 0x007f0002, 0, 0xfffffffc, ~0u, 0, T, 512, 0, FIELD},
	{"log by index", GET_LOG, SGL, 0, 0x007f0002, 0, 0, 0, 1u << 23, T, 512, 0, FIELD},
	{"log page 00h", GET_LOG, SGL, 0, 0x007f0000, 0, 0, 0, 0, T, 512, 0, LOG},
	{"log page 06h", GET_LOG, SGL, 0, 0x007f0006, 0, 0, 0, 0, T, 512, 0, LOG},
	{"log page 0dh", GET_LOG, SGL, 0, 0x007f000d, 0, 0, 0, 0, T, 512, 0, LOG},
	{"discovery log of an I/O controller", GET_LOG, SGL, 0, 0x007f0070, 0, 0, 0, 0, T, 512, 0,
	 LOG},
	{"log page 7fh", GET_LOG, SGL, 0, 0x007f007f, 0, 0, 0, 0, T, 512, 0, LOG},
	{"log page eeh", GET_LOG, SGL, 0, 0x007f00ee, 0, 0, 0, 0, T, 512, 0, LOG},
	{"log page ffh", GET_LOG, SGL, 0, 0x007f00ff, 0, 0, 0, 0, T, 512, 0, LOG},
	/* features */
	{"set interrupt coalescing", SET, SGL, 0, 0x08, 0, 0, 0, 0, T, 0, 0, FIELD},
	{"set feature 00h", SET, SGL, 0, 0x00, 0, 0, 0, 0, T, 0, 0, FIELD},
	{"set feature 0ch", SET, SGL, 0, 0x0c, 0, 0, 0, 0, T, 0, 0, FIELD},
	{"set host memory", SET, SGL, 0, 0x0d, 1, 0, 0, 0, T, 0, 0, FIELD},
	{"set feature 77h", SET, SGL, 0, 0x77, 1, 0, 0, 0, T, 0, 0, FIELD},
	{"set feature ffh", SET, SGL, 0, 0xff, 1, 0, 0, 0, T, 0, 0, FIELD},
	{"set and save the write cache", SET, SGL, 0, 0x80000006, 1, 0, 0, 0, T, 0, 0, NOT_SAVED},
	{"set power state 31", SET, SGL, 0, 0x02, 31, 0, 0, 0, T, 0, 0, FIELD},
	{"65536 submission queues", SET, SGL, 0, 0x07, 0x0000ffff, 0, 0, 0, T, 0, 0, FIELD},
	{"65536 completion queues", SET, SGL, 0, 0x07, 0xffff0000, 0, 0, 0, T, 0, 0, FIELD},
	{"65536 queues", SET, SGL, 0, 0x07, ~0u, 0, 0, 0, T, 0, 0, FIELD},
	{"65535 queues are as many as there are", SET, SGL, 0, 0x07, 0xfffefffe, 0, 0, 0, T, 0, 0,
	 0},
	{"set the host id", SET, SGL, 0, 0x81, 1, 0, 0, 0, T, 0, 0, SEQUENCE},
	{"set the host id, in capsule", SET, SGL, 0, 0x81, 1, 0, 0, 0, C, 16, 16, SEQUENCE},
	{"mask of namespace 2", SET, SGL, 2, 0x82, 1, 0, 0, 0, T, 0, 0, NSID},
	{"persistence of namespace 2", SET, SGL, 2, 0x83, 0, 0, 0, 0, T, 0, 0, NSID},
	{"persistence without a store", SET, SGL, 1, 0x83, 1, 0, 0, 0, T, 0, 0, NOT_CHANGED},
	{"persistence, saved", SET, SGL, 1, 0x80000083, 0, 0, 0, 0, T, 0, 0, NOT_SAVED},
	{"keep-alive of 2^32-1 ms", SET, SGL, 0, 0x0f, ~0u, 0, 0, 0, T, 0, 0, 0},
	{"get feature 00h", GET, SGL, 0, 0x00, 0, 0, 0, 0, T, 0, 0, FIELD},
	{"get feature 0ch", GET, SGL, 0, 0x0c, 0, 0, 0, 0, T, 0, 0, FIELD},
	{"get feature ffh", GET, SGL, 0, 0xff, 0, 0, 0, 0, T, 0, 0, FIELD},
	{"get defaults", GET, SGL, 0, 0x106, 0, 0, 0, 0, T, 0, 0, FIELD},
	{"get saved values", GET, SGL, 0, 0x206, 0, 0, 0, 0, T, 0, 0, FIELD},
	{"get reserved selection 7", GET, SGL, 0, 0x706, 0, 0, 0, 0, T, 0, 0, FIELD},
	{"get the host id of 64 bits", GET, SGL, 0, 0x81, 0, 0, 0, 0, T, 16, 0, FIELD},
	{"get the host id into 8 bytes", GET, SGL, 0, 0x81, 1, 0, 0, 0, T, 8, 0, LENGTH},
	{"get the host id without room", GET, SGL, 0, 0x81, 1, 0, 0, 0, T, 0, 0, LENGTH},
	{"get the mask of namespace 0", GET, SGL, 0, 0x82, 0, 0, 0, 0, T, 0, 0, NSID},
	/* data where none belongs */
	{"keep-alive with capsule data", 0x18, SGL, 0, 0, 0, 0, 0, 0, C, 512, 512, 0},
	{"keep-alive with 8 KiB in the capsule", 0x18, SGL, 0, 0, 0, 0, 0, 0, C, 8192, 8192, 0},
	{"keep-alive with another length", 0x18, SGL, 0, 0, 0, 0, 0, 0, C, 8, 512, LENGTH},
	{"abort with a transport SGL of 2^31", ABORT, SGL, 0, 0, 0, 0, 0, 0, T, 1u << 31, 0, FIELD},
};

static void admin_send(const struct bad_admin *bad)
{
	static uint8_t capsule[8192];
	struct nvme_sqe sqe = {.opcode = bad->opcode, .flags = bad->flags};

	sqe.nsid = le32_store(bad->nsid);
	sqe.cdw10 = le32_store(bad->cdw10);
	sqe.cdw11 = le32_store(bad->cdw11);
	sqe.cdw12 = le32_store(bad->cdw12);
	sqe.cdw13 = le32_store(bad->cdw13);
	sqe.cdw14 = le32_store(bad->cdw14);
	sqe.sgl.length = le32_store(bad->sgl_bytes);
	sqe.sgl.type = bad->sgl_type;
	(void)host_command(&fixture.host, &sqe, capsule, bad->capsule_bytes);
}

static void a_wrong_admin_command_gets_its_status(void **state)
{
	const struct bad_admin *bad = *state;

	for (int digests = 0; digests < 2; digests++) {
		fixture_enter(STATE_ADMIN, digests != 0);
		admin_send(bad);
		expect_status(fixture.host.cid, bad->status);
		expect_in_step(STATE_ADMIN);
		fixture_leave();
	}
}

/* ---- generated ---- */

static struct bad_admin generated[128];
static size_t generated_count;

static void generate(struct catalogue *catalogue, struct bad_admin row)
{
	struct bad_admin *kept = &generated[generated_count++];

	if (generated_count == sizeof(generated) / sizeof(generated[0])) {
		(void)fprintf(stderr, "there are too many generated rows\n");
		exit(2);
	}
	row.flags |= SGL;
	*kept = row;
	catalogue_add(catalogue, kept->name, a_wrong_admin_command_gets_its_status, kept);
}

static void generate_opcodes(struct catalogue *catalogue)
{
	static const uint8_t unknown[] = {0x00, 0x01, 0x03, 0x04, 0x05, 0x07, 0x0b, 0x0d,
					  0x0e, 0x0f, 0x10, 0x11, 0x14, 0x15, 0x19, 0x1a,
					  0x1c, 0x1d, 0x1e, 0x20, 0x24, 0x40, 0x7c, 0x7e,
					  0x80, 0x81, 0x82, 0x84, 0x86, 0xc0, 0xc1, 0xff};

	for (size_t i = 0; i < sizeof(unknown); i++) {
		uint32_t capsule = (unknown[i] & 3) == NVME_DATA_TO_CONTROLLER ? 64 : 0;

		generate(catalogue,
			 (struct bad_admin){.name = name_format("admin opcode %02xh", unknown[i]),
					    .opcode = unknown[i],
					    .nsid = 1,
					    .sgl_type = capsule > 0 ? C : T,
					    .sgl_bytes = capsule,
					    .capsule_bytes = capsule,
					    .status = OPCODE});
	}
}

static void generate_identify(struct catalogue *catalogue)
{
	static const uint8_t unknown[] = {0x04, 0x05, 0x06, 0x07, 0x08, 0x10, 0x11,
					  0x12, 0x13, 0x14, 0x17, 0x1c, 0x7f, 0xff};

	for (size_t i = 0; i < sizeof(unknown); i++)
		generate(catalogue,
			 (struct bad_admin){.name = name_format("identify what: %02xh", unknown[i]),
					    .opcode = IDENTIFY,
					    .nsid = 1,
					    .cdw10 = unknown[i],
					    .sgl_type = T,
					    .sgl_bytes = 4096,
					    .status = FIELD});
}

/* ---- replies and their room ---- */

struct room {
	const char *name;
	uint8_t opcode;
	uint32_t cdw10;
	uint32_t nsid;
	uint32_t room_bytes; /* what the SGL says */
	uint32_t reply_bytes;
};

static const struct room rooms[] = {
	{"reply longer than its buffer: controller into 1", IDENTIFY, 1, 0, 1, 1},
	{"reply longer than its buffer: controller into 64", IDENTIFY, 1, 0, 64, 64},
	{"reply longer than its buffer: controller into 4095", IDENTIFY, 1, 0, 4095, 4095},
	{"reply longer than its buffer: controller into 8192", IDENTIFY, 1, 0, 8192, 4096},
	{"reply longer than its buffer: controller into 128 KiB", IDENTIFY, 1, 0, 131072, 4096},
	{"reply longer than its buffer: namespace into 3", IDENTIFY, 0, 1, 3, 3},
	{"reply longer than its buffer: namespace into 128 KiB", IDENTIFY, 0, 1, 131072, 4096},
	{"reply longer than its buffer: descriptors into 7", IDENTIFY, 3, 1, 7, 7},
	{"reply longer than its buffer: list into 2", IDENTIFY, 2, 0, 2, 2},
	{"reply longer than its buffer: SMART of 4 into 512", GET_LOG, 0x00000002, 0, 512, 4},
	{"reply longer than its buffer: ANA of 64 KiB", GET_LOG, 0x3fff000c, 0, 65536, 65536},
	{"reply longer than its buffer: errors of 128 KiB", GET_LOG, 0x7fff0001, 0, 131072, 131072},
	{"reply longer than its buffer: effects of 128 KiB", GET_LOG, 0x7fff0005, 0, 131072,
	 131072},
	{"reply longer than its buffer: host id of 64 KiB", GET, 0x81, 0, 65536, 16},
};

/* What the structures themselves have; behind it there is nothing of anybody. */
#define STRUCTURE_BYTES_MAX 8192

static void a_reply_has_what_was_asked_for_and_no_more(void **state)
{
	static struct pdu pdu;
	static uint8_t dirt[131072];
	const struct room *room = *state;
	struct nvme_sqe sqe = {.opcode = room->opcode};

	fixture_enter(STATE_IO, false);
	/* The target's buffers are full of something. */
	memset(dirt, 0xd1, sizeof(dirt));
	assert_int_equal(host_write(&fixture.host, 0, dirt, sizeof(dirt)), 0);
	fixture_leave();
	fixture_enter(STATE_ADMIN, false);
	sqe.nsid = le32_store(room->nsid);
	sqe.cdw10 = le32_store(room->cdw10);
	sqe.cdw11 = le32_store(room->opcode == GET);
	host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, room->room_bytes);
	(void)host_command(&fixture.host, &sqe, NULL, 0);
	host_receive_pdu(&fixture.host, &pdu);
	assert_int_equal(pdu.header[0], NVME_TCP_C2H_DATA);
	assert_int_equal(pdu.data_bytes, room->reply_bytes);
	for (uint32_t i = STRUCTURE_BYTES_MAX; i < pdu.data_bytes; i++)
		assert_int_equal(pdu.data[i], 0);
	for (uint32_t i = 4; i < pdu.data_bytes; i++)
		assert_false(memcmp(pdu.data + i - 4, dirt, 4) == 0);
	expect_status(fixture.host.cid, 0);
	expect_in_step(STATE_ADMIN);
	fixture_leave();
}

/* ---- abort ---- */

struct bad_abort {
	const char *name;
	uint16_t qid;
	uint16_t cid;
};

static const struct bad_abort aborts[] = {
	{"abort of nothing", 0, 0x7777},
	{"abort on a queue that there is not", 1, 0},
	{"abort on queue 31", 31, 0},
	{"abort on queue 32", 32, 0},
	{"abort on queue 32768", 0x8000, 0x8000},
	{"abort on queue 65535", 65535, 65535},
	{"abort of itself", 0, 0},
};

static void an_abort_of_nothing_aborts_nothing(void **state)
{
	const struct bad_abort *bad = *state;
	struct nvme_sqe sqe = {.opcode = ABORT};
	uint16_t cid;
	uint64_t result;

	fixture_enter(STATE_ADMIN, false);
	cid = bad->qid == 0 && bad->cid == 0 ? (uint16_t)(fixture.host.cid + 1) : bad->cid;
	sqe.cdw10 = le32_store((uint32_t)cid << 16 | bad->qid);
	assert_int_equal(host_run(&fixture.host, &sqe, NULL, 0, &result), 0);
	assert_int_equal(result & 1, 1);
	fixture_leave();
}

/* ---- asynchronous events ---- */

static uint16_t event_request(void)
{
	struct nvme_sqe sqe = {.opcode = NVME_ADMIN_ASYNC_EVENT};

	host_sgl(&sqe, NVME_DATA_PLACE_NONE, 0);
	return host_command(&fixture.host, &sqe, NULL, 0);
}

static void event_requests_beyond_the_limit_are_refused(void **state)
{
	(void)state;
	fixture_enter(STATE_ADMIN, false);
	for (int i = 0; i < 4; i++)
		(void)event_request();
	for (int i = 0; i < 100; i++)
		expect_status(event_request(), EVENT_LIMIT);
	expect_in_step(STATE_ADMIN);
	fixture_leave();
}

static void an_aborted_event_request_makes_room_for_one(void **state)
{
	struct nvme_sqe sqe = {.opcode = ABORT};
	uint16_t cid = 0;

	(void)state;
	fixture_enter(STATE_ADMIN, false);
	for (int i = 0; i < 4; i++)
		cid = event_request();
	sqe.cdw10 = le32_store((uint32_t)cid << 16);
	host_sgl(&sqe, NVME_DATA_PLACE_NONE, 0);
	(void)host_command(&fixture.host, &sqe, NULL, 0);
	expect_two(cid, NVME_STATUS_ABORT_REQUESTED, 0);
	(void)event_request();
	expect_status(event_request(), EVENT_LIMIT);
	fixture_leave();
}

/* The second finds a command that was aborted and has not run since. */
static void an_event_request_is_aborted_once(void **state)
{
	const struct nvme_tcp_frame frame = {.alignment = 4};
	struct nvme_tcp_capsule_command pdus[2];
	struct nvme_sqe sqe = {.opcode = ABORT};
	uint16_t cid, answered;
	uint64_t result;

	(void)state;
	fixture_enter(STATE_ADMIN, false);
	cid = event_request();
	sqe.cdw10 = le32_store((uint32_t)cid << 16);
	host_sgl(&sqe, NVME_DATA_PLACE_NONE, 0);
	for (uint16_t i = 0; i < 2; i++) {
		sqe.cid = le16_store(0x5000 + i);
		nvme_tcp_command_encode(&pdus[i], &frame, &sqe, 0);
	}
	host_send(&fixture.host, pdus, sizeof(pdus));
	for (uint16_t i = 0; i < 2; i++) {
		assert_int_equal(host_response(&fixture.host, &result, &answered).status, 0);
		assert_int_equal(answered, 0x5000 + i);
		assert_int_equal(result, i == 0 ? 0 : NVME_ABORT_NOT_DONE);
	}
	expect_status(cid, NVME_STATUS_ABORT_REQUESTED);
	expect_in_step(STATE_ADMIN);
	fixture_leave();
}

static void event_requests_of_a_host_that_goes_leave_nothing(void **state)
{
	(void)state;
	fixture_enter(STATE_ADMIN, false);
	for (int i = 0; i < 4; i++)
		(void)event_request();
	expect_in_step(STATE_ADMIN);
	fixture_leave();
}

/* ---- keep-alive against the end of a controller ---- */

static void keep_alive_set(uint32_t ms)
{
	struct nvme_sqe sqe = {.opcode = SET};

	sqe.cdw10 = le32_store(NVME_FEATURE_KEEP_ALIVE);
	sqe.cdw11 = le32_store(ms);
	assert_int_equal(host_run(&fixture.host, &sqe, NULL, 0, NULL), 0);
}

/* The time-outs granted here are at least KEEP_ALIVE_MS (see main). */
#define KEEP_ALIVE_MS 100

static void keep_alive_against_delete_the_host_goes_first(void **state)
{
	(void)state;
	for (uint32_t ms = 0; ms < 10; ms++) {
		fixture_enter(STATE_ADMIN, false);
		keep_alive_set(1);
		stage_run_ms(&fixture.stage, KEEP_ALIVE_MS - 5 + ms); /* around the deadline */
		fixture_leave();
	}
}

static void keep_alive_against_delete_with_commands_out(void **state)
{
	struct nvme_sqe sqe = host_rw(NVME_WRITE, 0, 1);
	uint8_t data[512] = {0};
	int rule;

	(void)state;
	fixture_enter(STATE_ADMIN, false);
	for (int i = 0; i < 4; i++)
		(void)event_request();
	memset(&fixture.admin, 0, sizeof(fixture.admin));
	host_io(&fixture.stage, &fixture.admin, &fixture.host); /* its I/O queue */
	witness_rest();
	rule = stage_hold(&fixture.stage, 1u << IO_WRITE);
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, sizeof(data));
	(void)host_command(&fixture.admin, &sqe, data, sizeof(data));
	keep_alive_set(1);
	assert_true(host_is_closed_within(&fixture.host, 1000));
	assert_true(host_is_closed_within(&fixture.admin, 1000));
	stage_let_go(&fixture.stage, rule);
	witness_go_on();
	fixture_leave();
}

static void keep_alive_against_a_shutdown(void **state)
{
	(void)state;
	fixture_enter(STATE_SHUTDOWN, false);
	keep_alive_set(1);
	assert_true(host_is_closed_within(&fixture.host, 1000));
	fixture_leave();
}

static int start(void **state)
{
	struct target_options options;

	(void)state;
	target_options_default(&options);
	options.linger_timeout_ms = 5;
	options.keep_alive_ms_min = KEEP_ALIVE_MS;
	fixture_start_with(&options, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	static struct catalogue catalogue;

	CATALOGUE_ADD_ROWS(&catalogue, rows, a_wrong_admin_command_gets_its_status);
	generate_opcodes(&catalogue);
	generate_identify(&catalogue);
	CATALOGUE_ADD_ROWS(&catalogue, rooms, a_reply_has_what_was_asked_for_and_no_more);
	CATALOGUE_ADD_ROWS(&catalogue, aborts, an_abort_of_nothing_aborts_nothing);
	CATALOGUE_ADD(&catalogue, event_requests_beyond_the_limit_are_refused);
	CATALOGUE_ADD(&catalogue, an_aborted_event_request_makes_room_for_one);
	CATALOGUE_ADD(&catalogue, an_event_request_is_aborted_once);
	CATALOGUE_ADD(&catalogue, event_requests_of_a_host_that_goes_leave_nothing);
	CATALOGUE_ADD(&catalogue, keep_alive_against_delete_the_host_goes_first);
	CATALOGUE_ADD(&catalogue, keep_alive_against_delete_with_commands_out);
	CATALOGUE_ADD(&catalogue, keep_alive_against_a_shutdown);
	return catalogue_main(&catalogue, argc, argv, start, fixture_end);
}

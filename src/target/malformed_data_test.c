/* SPDX-License-Identifier: Apache-2.0 */
/* malformed_data_test.c - H2CData PDUs that do not fit the R2T that asked for them, and data that
 * comes when nobody waits for it.
 *
 * Goal: no byte reaches a buffer but those that were asked for, in order (NVMe TCP transport 1.0,
 * sections 3.3.2.1 and 3.6.2.8); data whose digest is wrong is never executed.
 * Method: a write of 16 KiB waits for its data (test_fixture.h, STATE_WAITING and on); a row is a
 * data PDU that differs from the right one in one field. Each runs without and with digests.
 */
#include "nvme/test_catalogue.h"
#include "target/test_fixture.h"

#define ASKED 16384
#define LAST  NVME_TCP_FLAG_LAST
#define HDR   NVME_TCP_FES_INVALID_HEADER
#define RANGE NVME_TCP_FES_OUT_OF_RANGE
#define LIMIT NVME_TCP_FES_LIMIT_EXCEEDED
#define SAME  0xffffffff /* DATAL: as many as the PDU has */
#define WAIT  STATE_WAITING
#define HALF  STATE_TRANSFER
#define DONE  STATE_DONE

struct bad_data {
	const char *name;
	enum fixture_state state;
	uint8_t flags;
	uint16_t tag_xor, cid_xor;
	uint32_t offset;
	uint32_t bytes;	     /* of data in the PDU */
	uint32_t told_bytes; /* DATAL */
	int pdo_more;	     /* than the right one */
	uint16_t fes;
	uint32_t fei;
};

static const struct bad_data data_rows[] = {
	{"data: tag of no slot", WAIT, LAST, 0x07ff, 0, 0, ASKED, SAME, 0, HDR, 10},
	{"data: tag of the slot beside", WAIT, LAST, 1, 0, 0, ASKED, SAME, 0, HDR, 10},
	{"data: tag of the slot's command before", WAIT, LAST, 0x0800, 0, 0, ASKED, SAME, 0, HDR,
	 10},
	{"data: tag upside down", WAIT, LAST, 0xffff, 0, 0, ASKED, SAME, 0, HDR, 10},
	{"data: tag's top bit", WAIT, LAST, 0x8000, 0, 0, ASKED, SAME, 0, HDR, 10},
	{"data: command id beside", WAIT, LAST, 0, 1, 0, ASKED, SAME, 0, HDR, 8},
	{"data: command id upside down", WAIT, LAST, 0, 0xffff, 0, ASKED, SAME, 0, HDR, 8},
	{"data: not at the beginning", WAIT, 0, 0, 0, 512, 512, SAME, 0, HDR, 12},
	{"data: 4 bytes too far", WAIT, 0, 0, 0, 4, 512, SAME, 0, HDR, 12},
	{"data: only the end", WAIT, LAST, 0, 0, ASKED - 512, 512, SAME, 0, HDR, 12},
	{"data: offset 1", WAIT, 0, 0, 0, 1, 512, SAME, 0, HDR, 12},
	{"data: offset 2^32-1", WAIT, LAST, 0, 0, 0xffffffff, 4, SAME, 0, HDR, 12},
	{"data outside the command: at its end", WAIT, LAST, 0, 0, ASKED, 512, SAME, 0, RANGE, 0},
	{"data outside the command: over its end", WAIT, LAST, 0, 0, ASKED - 4, 8, SAME, 0, RANGE,
	 0},
	{"data outside the command: 4 bytes too long", WAIT, LAST, 0, 0, 0, ASKED + 4, SAME, 0,
	 RANGE, 0},
	{"data outside the command: 128 KiB", WAIT, LAST, 0, 0, 0, 131072, SAME, 0, RANGE, 0},
	{"data outside the command: offset 2^31", WAIT, LAST, 0, 0, 0x80000000, 512, SAME, 0, RANGE,
	 0},
	{"data outside the command: the sum is 2^32", WAIT, LAST, 0, 0, 0xfffffe00, 512, SAME, 0,
	 RANGE, 0},
	{"data outside the command: the sum wraps", WAIT, LAST, 0, 0, 0xfffffffc, 512, SAME, 0,
	 RANGE, 0},
	{"data: more than MAXH2CDATA", WAIT, LAST, 0, 0, 0, 131076, SAME, 0, LIMIT, 0},
	{"data: far more than MAXH2CDATA", WAIT, LAST, 0, 0, 0, 0x40000000, SAME, 0, LIMIT, 0},
	{"data: DATAL 0", WAIT, LAST, 0, 0, 0, 512, 0, 0, HDR, 16},
	{"data: DATAL 4 too few", WAIT, LAST, 0, 0, 0, 512, 508, 0, HDR, 16},
	{"data: DATAL 4 too many", WAIT, LAST, 0, 0, 0, 512, 516, 0, HDR, 16},
	{"data: DATAL of the whole command", WAIT, LAST, 0, 0, 0, 512, ASKED, 0, HDR, 16},
	{"data: DATAL 2^31", WAIT, LAST, 0, 0, 0, 512, 0x80000000, 0, HDR, 16},
	{"data: DATAL 2^32-4", WAIT, LAST, 0, 0, 0, 512, 0xfffffffc, 0, HDR, 16},
	{"data: last too early", WAIT, LAST, 0, 0, 0, 512, SAME, 0, HDR, 1},
	{"data: last missing", WAIT, 0, 0, 0, 0, ASKED, SAME, 0, HDR, 1},
	{"data: success flag", WAIT, LAST | 8, 0, 0, 0, ASKED, SAME, 0, HDR, 1},
	{"data: reserved flag 10h", WAIT, LAST | 0x10, 0, 0, 0, ASKED, SAME, 0, HDR, 1},
	{"data: reserved flag 80h", WAIT, LAST | 0x80, 0, 0, 0, ASKED, SAME, 0, HDR, 1},
	{"data: PDO 4 too small", WAIT, LAST, 0, 0, 0, ASKED, SAME, -4, HDR, 3},
	{"data: PDO 1 too large", WAIT, LAST, 0, 0, 0, ASKED, SAME, 1, HDR, 3},
	{"data: PDO 0", WAIT, LAST, 0, 0, 0, ASKED, SAME, -24, HDR, 3},
	{"data: PDO leaves 8 bytes less", WAIT, LAST, 0, 0, 0, ASKED, SAME, 8, HDR, 16},
	{"data: PDO behind the end", WAIT, LAST, 0, 0, 0, 100, SAME, 212, HDR, 4},
	{"second data: from the beginning again", HALF, 0, 0, 0, 0, 8192, SAME, 0, HDR, 12},
	{"second data: overlaps the first", HALF, 0, 0, 0, 4096, 4096, SAME, 0, HDR, 12},
	{"second data: a gap", HALF, LAST, 0, 0, 12288, 4096, SAME, 0, HDR, 12},
	{"second data: last too early", HALF, LAST, 0, 0, 8192, 4096, SAME, 0, HDR, 1},
	{"second data: last missing", HALF, 0, 0, 0, 8192, 8192, SAME, 0, HDR, 1},
	{"several H2CData: the second beyond the end", HALF, LAST, 0, 0, 8192, 8196, SAME, 0, RANGE,
	 0},
	{"several H2CData: the second of 128 KiB", HALF, LAST, 0, 0, 8192, 131072, SAME, 0, RANGE,
	 0},
	{"second data: wrong tag", HALF, LAST, 1, 0, 8192, 8192, SAME, 0, HDR, 10},
	{"second data: wrong command id", HALF, LAST, 0, 1, 8192, 8192, SAME, 0, HDR, 8},
	{"data for a completed command", DONE, LAST, 0, 0, 0, ASKED, SAME, 0, HDR, 10},
	{"data for a completed command: 4 bytes", DONE, LAST, 0, 0, 0, 4, SAME, 0, HDR, 10},
	{"data for a completed command: behind its end", DONE, LAST, 0, 0, ASKED, 4, SAME, 0, HDR,
	 10},
};

/* The right header for @length bytes, its digest behind. Return: bytes of both. */
static size_t data_header(uint8_t *ret_bytes, const struct nvme_tcp_transfer *transfer,
			  uint8_t more_flags)
{
	struct nvme_tcp_frame frame = {.has_header_digest = fixture.host.has_header_digest,
				       .has_data_digest = fixture.host.has_data_digest,
				       .alignment = 4};
	struct nvme_tcp_data *pdu = (struct nvme_tcp_data *)ret_bytes;

	nvme_tcp_h2c_encode(pdu, &frame, transfer, false);
	pdu->common.flags |= more_flags;
	return frame.has_header_digest ? sizeof(*pdu) + 4 : sizeof(*pdu);
}

static void header_seal(uint8_t *bytes)
{
	struct le32 digest = nvme_tcp_header_digest(bytes, sizeof(struct nvme_tcp_data));

	if (fixture.host.has_header_digest)
		memcpy(bytes + sizeof(struct nvme_tcp_data), &digest, sizeof(digest));
}

static void bad_data_send(const struct bad_data *bad)
{
	static uint8_t bytes[256 * 1024];
	struct nvme_tcp_data *pdu = (struct nvme_tcp_data *)bytes;
	struct nvme_tcp_transfer transfer = {.cid = fixture.cid ^ bad->cid_xor,
					     .tag = fixture.tag ^ bad->tag_xor,
					     .length = bad->bytes};
	size_t size;

	memset(bytes, 0xbd, sizeof(bytes));
	size = data_header(bytes, &transfer, bad->flags);
	pdu->datao = le32_store(bad->offset);
	if (bad->told_bytes != SAME)
		pdu->datal = le32_store(bad->told_bytes);
	pdu->common.pdo = (uint8_t)(pdu->common.pdo + bad->pdo_more);
	header_seal(bytes);
	/* What is wrong is in the header; a little data behind it must not matter. */
	fixture_send(bytes, size + (bad->bytes < 2048 ? bad->bytes : 2048));
}

static void wrong_data_ends_its_connection(void **state)
{
	const struct variant *variant = *state;
	const struct bad_data *bad = variant->row;

	fixture_enter(bad->state, variant->has_digests);
	bad_data_send(bad);
	expect_term(bad->fes, bad->fei);
	fixture_leave();
}

/* ---- padding, digests, splits: what is right although it looks odd ---- */

static void data_behind_padding_is_taken(void **state)
{
	static uint8_t bytes[24 + 8 + ASKED];
	struct nvme_tcp_data *pdu = (struct nvme_tcp_data *)bytes;
	struct nvme_tcp_transfer transfer = {.length = ASKED};

	(void)state;
	fixture_enter(STATE_WAITING, false);
	transfer.cid = fixture.cid;
	transfer.tag = fixture.tag;
	(void)data_header(bytes, &transfer, LAST);
	pdu->common.pdo = 32;
	pdu->common.plen = le32_store(sizeof(bytes));
	host_send(&fixture.host, bytes, sizeof(bytes));
	expect_status(fixture.cid, 0);
	expect_in_step(STATE_IO);
	fixture_leave();
}

static void data_in_pieces_of_four_bytes_is_taken(void **state)
{
	static const uint8_t data[ASKED];
	struct nvme_tcp_transfer transfer = {.length = 4};

	(void)state;
	fixture_enter(STATE_TRANSFER, false);
	transfer.cid = fixture.cid;
	transfer.tag = fixture.tag;
	for (uint32_t offset = ASKED / 2; offset < ASKED; offset += 4) {
		transfer.offset = offset;
		host_data(&fixture.host, &transfer, data, offset + 4 == ASKED);
	}
	expect_status(fixture.cid, 0);
	fixture_leave();
}

/* Return: true when the block at @block has @byte everywhere. */
static bool block_is(uint64_t block, uint8_t byte)
{
	uint8_t bytes[512];

	assert_int_equal(host_read(&fixture.host, block, bytes, sizeof(bytes)), 0);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		if (bytes[i] != byte)
			return false;
	}
	return true;
}

static void block_fill(uint64_t block, uint8_t byte)
{
	uint8_t bytes[512];

	memset(bytes, byte, sizeof(bytes));
	assert_int_equal(host_write(&fixture.host, block, bytes, sizeof(bytes)), 0);
}

struct bad_digest {
	const char *name;
	uint32_t xor_mask;
	uint32_t data_flip; /* byte of the data that is flipped behind its digest */
};

static const struct bad_digest digest_rows[] = {
	{"data digest: one bit wrong", 1, 0},	      {"data digest: top bit wrong", 0x80000000, 0},
	{"data digest: all bits wrong", ~0u, 0},      {"data digest: first byte flipped", 0, 1},
	{"data digest: last byte flipped", 0, ASKED},
};

/* The command fails and may be sent again; the connection goes on; nothing was written. */
static void damaged_data_is_never_written(void **state)
{
	static uint8_t data[ASKED + 4];
	const struct bad_digest *bad = *state;
	struct nvme_tcp_transfer transfer = {.length = ASKED};
	struct le32 digest;
	uint8_t header[28];
	size_t size;

	fixture_enter(STATE_IO, true);
	block_fill(0, 0x11);
	block_fill(31, 0x22);
	fixture_leave();
	fixture_enter(STATE_WAITING, true);
	memset(data, 0x77, ASKED);
	digest = le32_store(le32_load(host_digest(data, ASKED)) ^ bad->xor_mask);
	if (bad->data_flip > 0)
		data[bad->data_flip - 1] ^= 1;
	memcpy(data + ASKED, &digest, sizeof(digest));
	transfer.cid = fixture.cid;
	transfer.tag = fixture.tag;
	size = data_header(header, &transfer, LAST);
	header_seal(header);
	host_send(&fixture.host, header, size);
	host_send(&fixture.host, data, sizeof(data));
	expect_status(fixture.cid, NVME_STATUS_TRANSIENT_TRANSPORT_ERROR);
	assert_true(block_is(0, 0x11));
	assert_true(block_is(31, 0x22));
	expect_in_step(STATE_IO);
	fixture_leave();
}

static void damaged_capsule_data_is_never_written(void **state)
{
	uint8_t data[512];
	struct nvme_sqe sqe = host_rw(NVME_WRITE, 5, 1);
	struct le32 wrong = le32_store(0x12345678);

	(void)state;
	fixture_enter(STATE_IO, true);
	block_fill(5, 0x33);
	memset(data, 0x44, sizeof(data));
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, sizeof(data));
	(void)host_command_header(&fixture.host, &sqe, sizeof(data));
	host_send(&fixture.host, data, sizeof(data));
	host_send(&fixture.host, &wrong, sizeof(wrong));
	expect_status(fixture.host.cid, NVME_STATUS_TRANSIENT_TRANSPORT_ERROR);
	assert_true(block_is(5, 0x33));
	fixture_leave();
}

/* ---- data when nobody waits for it ---- */

/* Slots are taken in the order 1, 2 ...; tags are the slot and its generation above 11 bits. */
static uint16_t tag_guess(uint32_t slot, uint32_t generation)
{
	return (uint16_t)(slot | generation << 11);
}

static void guesses_send(uint16_t cid)
{
	struct nvme_tcp_transfer transfer = {.cid = cid, .length = 512};
	uint8_t bytes[28 + 512] = {0};

	transfer.tag = tag_guess(1, 1);
	(void)data_header(bytes, &transfer, LAST);
	fixture_send(bytes, 24 + 512);
}

/* Its buffer is there and its tag is right, but it was not asked. */
static void data_for_a_command_not_expecting_it(enum io_type type, enum nvme_opcode opcode)
{
	struct nvme_sqe sqe = host_rw(opcode, 0, 1);
	uint8_t data[512] = {0};
	int rule;

	fixture_enter(STATE_IO, false);
	rule = stage_hold(&fixture.stage, 1u << type);
	host_sgl(&sqe, opcode == NVME_READ ? NVME_DATA_PLACE_TRANSPORT : NVME_DATA_PLACE_CAPSULE,
		 512);
	guesses_send(host_command(&fixture.host, &sqe, data, opcode == NVME_READ ? 0 : 512));
	expect_term(HDR, 10);
	stage_let_go(&fixture.stage, rule);
	fixture_leave();
}

static void data_for_a_command_not_expecting_it_a_read(void **state)
{
	(void)state;
	data_for_a_command_not_expecting_it(IO_READ, NVME_READ);
}

static void data_for_a_command_not_expecting_it_a_write_in_capsule(void **state)
{
	(void)state;
	data_for_a_command_not_expecting_it(IO_WRITE, NVME_WRITE);
}

static void data_for_a_flush(void **state)
{
	struct nvme_sqe sqe;
	int rule;

	(void)state;
	fixture_enter(STATE_IO, false);
	rule = stage_hold(&fixture.stage, 1u << IO_FLUSH);
	nvme_flush_encode(&sqe, 1);
	host_sgl(&sqe, NVME_DATA_PLACE_NONE, 0);
	guesses_send(host_command(&fixture.host, &sqe, NULL, 0));
	expect_term(HDR, 10);
	stage_let_go(&fixture.stage, rule);
	fixture_leave();
}

/* In one segment with its command, under the tag that the R2T is going to have. */
static void data_before_its_r2t_was_sent_is_refused(void **state)
{
	struct nvme_sqe sqe = host_rw(NVME_WRITE, 0, 1);
	struct nvme_tcp_frame frame = {.alignment = 4};
	struct nvme_tcp_transfer transfer = {.cid = 0, .tag = tag_guess(1, 1), .length = 512};
	uint8_t bytes[72 + 24 + 512] = {0};

	(void)state;
	fixture_enter(STATE_IO, false);
	host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, 512);
	nvme_tcp_command_encode((struct nvme_tcp_capsule_command *)bytes, &frame, &sqe, 0);
	(void)data_header(bytes + 72, &transfer, LAST);
	host_send(&fixture.host, bytes, sizeof(bytes));
	expect_r2t(); /* on its way already */
	memcpy(fixture.sent, bytes + 72, 24);
	fixture.sent_bytes = 24;
	expect_term(HDR, 10);
	fixture_leave();
}

/* The write waits for its data; Abort does not end it, and late data is still in order. */
static void an_abort_while_data_arrives_changes_nothing(void **state)
{
	static const uint8_t data[ASKED];
	struct nvme_tcp_transfer transfer = {.offset = ASKED / 2, .length = ASKED / 2};
	struct nvme_sqe sqe = {.opcode = NVME_ADMIN_ABORT};
	uint64_t result;

	(void)state;
	fixture_enter(STATE_TRANSFER, false);
	sqe.cdw10 = le32_store((uint32_t)fixture.cid << 16 | 1);
	assert_int_equal(host_run(&fixture.admin, &sqe, NULL, 0, &result), 0);
	assert_int_equal(result & 1, NVME_ABORT_NOT_DONE);
	transfer.cid = fixture.cid;
	transfer.tag = fixture.tag;
	host_data(&fixture.host, &transfer, data, true);
	expect_status(fixture.cid, 0);
	expect_in_step(STATE_IO);
	fixture_leave();
}

static void a_host_that_goes_in_the_middle_of_data_writes_nothing(void **state)
{
	static uint8_t bytes[28 + ASKED / 2];
	struct nvme_tcp_transfer transfer = {.offset = ASKED / 2, .length = ASKED / 2};

	(void)state;
	fixture_enter(STATE_IO, false);
	block_fill(0, 0x11);
	fixture_leave();
	fixture_enter(STATE_TRANSFER, false);
	transfer.cid = fixture.cid;
	transfer.tag = fixture.tag;
	(void)data_header(bytes, &transfer, LAST);
	host_send(&fixture.host, bytes, 24 + 100);
	stage_run_ms(&fixture.stage, 1);
	fixture_leave();
	fixture_enter(STATE_IO, false);
	assert_true(block_is(0, 0x11));
	fixture_leave();
}

int main(int argc, char **argv)
{
	static struct catalogue catalogue;

	VARIANTS_ADD(&catalogue, data_rows, wrong_data_ends_its_connection);
	CATALOGUE_ADD_ROWS(&catalogue, digest_rows, damaged_data_is_never_written);
	CATALOGUE_ADD(&catalogue, damaged_capsule_data_is_never_written);
	CATALOGUE_ADD(&catalogue, data_behind_padding_is_taken);
	CATALOGUE_ADD(&catalogue, data_in_pieces_of_four_bytes_is_taken);
	CATALOGUE_ADD(&catalogue, data_for_a_command_not_expecting_it_a_read);
	CATALOGUE_ADD(&catalogue, data_for_a_command_not_expecting_it_a_write_in_capsule);
	CATALOGUE_ADD(&catalogue, data_for_a_flush);
	CATALOGUE_ADD(&catalogue, data_before_its_r2t_was_sent_is_refused);
	CATALOGUE_ADD(&catalogue, an_abort_while_data_arrives_changes_nothing);
	CATALOGUE_ADD(&catalogue, a_host_that_goes_in_the_middle_of_data_writes_nothing);
	return catalogue_main(&catalogue, argc, argv, fixture_start, fixture_end);
}

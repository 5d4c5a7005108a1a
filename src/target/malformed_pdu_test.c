/* SPDX-License-Identifier: Apache-2.0 */
/* malformed_pdu_test.c - PDUs whose header is wrong, or whose type is wrong for the moment.
 *
 * Goal: each ends in the terminate request that names its first wrong field (NVMe TCP transport
 * 1.0, sections 3.5 and 3.6) and in a closed connection within a second, or in nothing at all when
 * it is well.
 * Method: raw bytes over real sockets (test_fixture.h); a row is a PDU in a state. The matrix sends
 * one well-formed PDU of every type in every state.
 */
#include "nvme/test_catalogue.h"
#include "target/test_fixture.h"

#include <sys/socket.h>

#define NO_FES 0      /* closed without a terminate request */
#define FINE   0xffff /* nothing is wrong: the connection goes on */

struct bad_pdu {
	const char *name;
	enum fixture_state state;
	uint8_t type, flags, hlen, pdo;
	uint32_t plen;
	uint32_t send_bytes; /* of the whole PDU; 0: PLEN */
	uint8_t body[12];    /* from byte 8 on; the rest is zero */
	uint16_t fes;
	uint32_t fei;
	bool has_digests;
};

#define ICREQ NVME_TCP_ICREQ
#define CMD   NVME_TCP_CAPSULE_COMMAND
#define H2C   NVME_TCP_H2C_DATA
#define TERM  NVME_TCP_H2C_TERM
#define HDR   NVME_TCP_FES_INVALID_HEADER
#define SEQ   NVME_TCP_FES_SEQUENCE
#define HDGST NVME_TCP_FES_HEADER_DIGEST
#define FRESH STATE_FRESH
#define READY STATE_READY
#define ADMIN STATE_ADMIN
#define IO    STATE_IO

static const struct bad_pdu handshake_rows[] = {
	{"ICReq: HLEN 127", FRESH, ICREQ, 0, 127, 0, 128, 0, {0}, HDR, 2},
	{"ICReq: HLEN 129", FRESH, ICREQ, 0, 129, 0, 129, 0, {0}, HDR, 2},
	{"ICReq: HLEN 255", FRESH, ICREQ, 0, 255, 0, 128, 0, {0}, HDR, 2},
	{"ICReq: HLEN 8", FRESH, ICREQ, 0, 8, 0, 8, 0, {0}, HDR, 2},
	{"ICReq: HLEN 0", FRESH, ICREQ, 0, 0, 0, 128, 0, {0}, HDR, 2},
	{"ICReq: PLEN 0", FRESH, ICREQ, 0, 128, 0, 0, 128, {0}, HDR, 4},
	{"ICReq: PLEN 127", FRESH, ICREQ, 0, 128, 0, 127, 128, {0}, HDR, 4},
	{"ICReq: PLEN 129", FRESH, ICREQ, 0, 128, 0, 129, 0, {0}, HDR, 4},
	{"ICReq: PLEN 132 as with a digest", FRESH, ICREQ, 0, 128, 0, 132, 0, {0}, HDR, 4},
	{"ICReq: PLEN 2^31", FRESH, ICREQ, 0, 128, 0, 0x80000000, 128, {0}, HDR, 4},
	{"ICReq: PLEN 2^32-1", FRESH, ICREQ, 0, 128, 0, 0xffffffff, 128, {0}, HDR, 4},
	{"ICReq: header digest flag", FRESH, ICREQ, 1, 128, 0, 128, 0, {0}, HDR, 1},
	{"ICReq: data digest flag", FRESH, ICREQ, 2, 128, 0, 128, 0, {0}, HDR, 1},
	{"ICReq: last flag", FRESH, ICREQ, 4, 128, 0, 128, 0, {0}, HDR, 1},
	{"ICReq: all flags", FRESH, ICREQ, 0xff, 128, 0, 128, 0, {0}, HDR, 1},
	{"ICReq: PDO is not looked at", FRESH, ICREQ, 0, 128, 255, 128, 0, {0}, FINE, 0},
	{"ICReq: PFV 1", FRESH, ICREQ, 0, 128, 0, 128, 0, {1}, 6, 8},
	{"ICReq: PFV 256", FRESH, ICREQ, 0, 128, 0, 128, 0, {0, 1}, 6, 8},
	{"ICReq: PFV 65535", FRESH, ICREQ, 0, 128, 0, 128, 0, {0xff, 0xff}, 6, 8},
	{"ICReq: HPDA 31, the largest", FRESH, ICREQ, 0, 128, 0, 128, 0, {0, 0, 31}, FINE, 0},
	{"ICReq: HPDA 32", FRESH, ICREQ, 0, 128, 0, 128, 0, {0, 0, 32}, HDR, 10},
	{"ICReq: HPDA 255", FRESH, ICREQ, 0, 128, 0, 128, 0, {0, 0, 255}, HDR, 10},
	{"ICReq: DGST bit 2", FRESH, ICREQ, 0, 128, 0, 128, 0, {0, 0, 0, 4}, HDR, 11},
	{"ICReq: DGST bit 7", FRESH, ICREQ, 0, 128, 0, 128, 0, {0, 0, 0, 0x83}, HDR, 11},
	{"ICReq: DGST 255", FRESH, ICREQ, 0, 128, 0, 128, 0, {0, 0, 0, 0xff}, HDR, 11},
	{"ICReq: MAXR2T 2^32-1",
	 FRESH,
	 ICREQ,
	 0,
	 128,
	 0,
	 128,
	 0,
	 {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
	 FINE,
	 0},
	{"ICReq: MAXR2T 2^31",
	 FRESH,
	 ICREQ,
	 0,
	 128,
	 0,
	 128,
	 0,
	 {0, 0, 0, 0, 0, 0, 0, 0x80},
	 FINE,
	 0},
	{"ICReq: reserved bytes set",
	 FRESH,
	 ICREQ,
	 0,
	 128,
	 0,
	 128,
	 0,
	 {0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4},
	 FINE,
	 0},
	{"all ones at first", FRESH, 0xff, 0xff, 0xff, 0xff, 0xffffffff, 128, {0}, HDR, 0},
	{"an HTTP request", FRESH, 'G', 'E', 'T', ' ', 0x5448202f, 128, {0}, HDR, 0},
	{"a TLS hello", FRESH, 0x16, 3, 1, 2, 0x0100fc01, 128, {0}, HDR, 0},
	{"all zeroes behind ICReq", READY, 0, 0, 0, 0, 0, 128, {0}, SEQ, 0},
};

static const struct bad_pdu command_rows[] = {
	{"command: HLEN 71", IO, CMD, 0, 71, 0, 72, 0, {0}, HDR, 2},
	{"command: HLEN 73", IO, CMD, 0, 73, 0, 73, 0, {0}, HDR, 2},
	{"command: HLEN 24", IO, CMD, 0, 24, 0, 24, 0, {0}, HDR, 2},
	{"command: HLEN 128", IO, CMD, 0, 128, 0, 128, 0, {0}, HDR, 2},
	{"command: HLEN 0", IO, CMD, 0, 0, 0, 72, 0, {0}, HDR, 2},
	{"command: HLEN 255", IO, CMD, 0, 255, 0, 255, 0, {0}, HDR, 2},
	{"header length trusted: HLEN 255 with a digest",
	 IO,
	 CMD,
	 1,
	 255,
	 0,
	 259,
	 0,
	 {0},
	 HDR,
	 2,
	 true},
	{"header length trusted: HLEN 136 with a digest",
	 IO,
	 CMD,
	 1,
	 136,
	 0,
	 140,
	 0,
	 {0},
	 HDR,
	 2,
	 true},
	{"header length trusted: HLEN 253 with a digest",
	 IO,
	 CMD,
	 1,
	 253,
	 0,
	 257,
	 0,
	 {0},
	 HDR,
	 2,
	 true},
	{"command: PLEN 0", IO, CMD, 0, 72, 0, 0, 72, {0}, HDR, 4},
	{"command: PLEN 8", IO, CMD, 0, 72, 0, 8, 72, {0}, HDR, 4},
	{"command: PLEN 71", IO, CMD, 0, 72, 0, 71, 72, {0}, HDR, 4},
	{"command: PLEN 73 without PDO", IO, CMD, 0, 72, 0, 73, 0, {0}, HDR, 3},
	{"command: PLEN 72 with a digest", IO, CMD, 1, 72, 0, 72, 0, {0}, HDR, 4, true},
	{"command: PLEN 75 with a digest", IO, CMD, 1, 72, 0, 75, 0, {0}, HDR, 4, true},
	{"command: one byte beyond the capsule", IO, CMD, 0, 72, 72, 72 + 4097, 80, {0}, HDR, 4},
	{"command: PLEN 2^31", IO, CMD, 0, 72, 72, 0x80000000, 80, {0}, HDR, 4},
	{"command: PLEN 2^32-1", IO, CMD, 0, 72, 72, 0xffffffff, 80, {0}, HDR, 4},
	{"command: PLEN 2^32-4", IO, CMD, 0, 72, 72, 0xfffffffc, 80, {0}, HDR, 4},
	{"command: PLEN 2^32-1 with digests",
	 IO,
	 CMD,
	 3,
	 72,
	 76,
	 0xffffffff,
	 80,
	 {0},
	 HDR,
	 4,
	 true},
	{"admin: one byte beyond the capsule", ADMIN, CMD, 0, 72, 72, 72 + 8193, 80, {0}, HDR, 4},
	{"before Connect: beyond its capsule", READY, CMD, 0, 72, 72, 72 + 8193, 80, {0}, HDR, 4},
	{"command: PDO 71", IO, CMD, 0, 72, 71, 72 + 512, 80, {0}, HDR, 3},
	{"command: PDO 0 with data", IO, CMD, 0, 72, 0, 72 + 512, 80, {0}, HDR, 3},
	{"command: PDO 8", IO, CMD, 0, 72, 8, 72 + 512, 80, {0}, HDR, 3},
	{"command: PDO 73, not aligned", IO, CMD, 0, 72, 73, 72 + 512, 80, {0}, HDR, 3},
	{"command: PDO 255", IO, CMD, 0, 72, 255, 300, 80, {0}, HDR, 3},
	{"command: PDO at the end", IO, CMD, 0, 72, 100, 100, 80, {0}, HDR, 4},
	{"command: PDO behind the end", IO, CMD, 0, 72, 200, 100, 80, {0}, HDR, 4},
	{"command: PDO inside the digest", IO, CMD, 3, 72, 72, 72 + 520, 80, {0}, HDR, 3, true},
	{"command: no room for the data digest", IO, CMD, 3, 72, 76, 80, 80, {0}, HDR, 4, true},
	{"command: header digest not agreed", IO, CMD, 1, 72, 0, 76, 0, {0}, HDR, 1},
	{"command: data digest not agreed", IO, CMD, 2, 72, 72, 72 + 516, 80, {0}, HDR, 1},
	{"command: data digest without data", IO, CMD, 3, 72, 0, 76, 0, {0}, HDR, 1, true},
	{"command: header digest missing", IO, CMD, 0, 72, 0, 72, 0, {0}, HDR, 1, true},
	{"command: data digest missing", IO, CMD, 1, 72, 76, 76 + 512, 80, {0}, HDR, 1, true},
	{"command: header digest 0", IO, CMD, 1, 72, 0, 76, 0, {0}, HDGST, 0, true},
	{"command: last flag", IO, CMD, 4, 72, 0, 72, 0, {0}, HDR, 1},
	{"command: success flag", IO, CMD, 8, 72, 0, 72, 0, {0}, HDR, 1},
	{"command: reserved flags", IO, CMD, 0xf0, 72, 0, 72, 0, {0}, HDR, 1},
	{"command: PDO without data is not looked at", IO, CMD, 0, 72, 71, 72, 0, {0x7e}, FINE, 0},
};

static const struct bad_pdu other_rows[] = {
	{"H2CData: HLEN 23", IO, H2C, 4, 23, 24, 28, 0, {0}, HDR, 2},
	{"H2CData: HLEN 25", IO, H2C, 4, 25, 28, 32, 0, {0}, HDR, 2},
	{"H2CData: HLEN 0", IO, H2C, 4, 0, 24, 28, 0, {0}, HDR, 2},
	{"H2CData: HLEN 255", IO, H2C, 4, 255, 255, 300, 0, {0}, HDR, 2},
	{"H2CData: HLEN 255 with a digest", IO, H2C, 5, 255, 255, 300, 0, {0}, HDR, 2, true},
	{"H2CData: PLEN 0", IO, H2C, 4, 24, 24, 0, 24, {0}, HDR, 4},
	{"H2CData: PLEN 23", IO, H2C, 4, 24, 24, 23, 24, {0}, HDR, 4},
	{"H2CData: PLEN 24, no data", IO, H2C, 4, 24, 24, 24, 0, {0}, HDR, 4},
	{"H2CData: PLEN 28, only a header digest", IO, H2C, 5, 24, 28, 28, 0, {0}, HDR, 4, true},
	{"H2CData: PLEN 32, only digests", IO, H2C, 7, 24, 28, 32, 0, {0}, HDR, 4, true},
	{"H2CData: header digest missing", IO, H2C, 4, 24, 24, 28, 0, {0}, HDR, 1, true},
	{"H2CData: data digest missing", IO, H2C, 5, 24, 28, 32, 0, {0}, HDR, 1, true},
	{"H2CData: header digest not agreed", IO, H2C, 5, 24, 28, 32, 0, {0}, HDR, 1},
	{"H2CData: data digest not agreed", IO, H2C, 6, 24, 24, 32, 0, {0}, HDR, 1},
	{"H2CData: wrong header digest", IO, H2C, 7, 24, 28, 36, 0, {0}, HDGST, 0, true},
	{"H2CTermReq: no data", IO, TERM, 0, 24, 0, 24, 0, {0}, NO_FES, 0},
	{"H2CTermReq: as many bytes as may be", IO, TERM, 0, 24, 0, 24 + 128, 0, {0}, NO_FES, 0},
	{"H2CTermReq: one byte more", IO, TERM, 0, 24, 0, 24 + 129, 0, {0}, HDR, 4},
	{"H2CTermReq: PLEN 2^32-1", IO, TERM, 0, 24, 0, 0xffffffff, 24, {0}, HDR, 4},
	{"H2CTermReq: PLEN 8", IO, TERM, 0, 24, 0, 8, 24, {0}, HDR, 4},
	{"H2CTermReq: HLEN 8", IO, TERM, 0, 8, 0, 8, 0, {0}, HDR, 2},
	{"H2CTermReq: HLEN 255", IO, TERM, 0, 255, 0, 255, 0, {0}, HDR, 2},
	{"H2CTermReq: flags", IO, TERM, 1, 24, 0, 24, 0, {0}, HDR, 1},
	{"H2CTermReq: flags, digests on", IO, TERM, 1, 24, 0, 24, 0, {0}, HDR, 1, true},
	{"terminate status index: FES 0", IO, TERM, 0, 24, 0, 24, 0, {0, 0}, NO_FES, 0},
	{"terminate status index: FES 7", IO, TERM, 0, 24, 0, 24, 0, {7, 0}, NO_FES, 0},
	{"terminate status index: FES 65535", IO, TERM, 0, 24, 0, 24, 0, {0xff, 0xff}, NO_FES, 0},
	{"terminate status index: FEI 2^32-1",
	 IO,
	 TERM,
	 0,
	 24,
	 0,
	 24,
	 0,
	 {1, 0, 0xff, 0xff, 0xff, 0xff},
	 NO_FES,
	 0},
};

static void bad_pdu_send(const struct bad_pdu *bad)
{
	static uint8_t bytes[256 * 1024];
	struct nvme_tcp_common *common = (struct nvme_tcp_common *)bytes;

	memset(bytes, 0, sizeof(bytes));
	common->type = bad->type;
	common->flags = bad->flags;
	common->hlen = bad->hlen;
	common->pdo = bad->pdo;
	common->plen = le32_store(bad->plen);
	memcpy(bytes + 8, bad->body, sizeof(bad->body));
	fixture_send(bytes, bad->send_bytes == 0 ? bad->plen : bad->send_bytes);
}

/* What is fine is answered: the handshake by ICResp, a command by its response. */
static void expect_fine(const struct bad_pdu *bad)
{
	static struct pdu pdu;

	host_receive_pdu(&fixture.host, &pdu);
	assert_false(pdu.is_closed || pdu.is_timeout);
	assert_int_equal(pdu.header[0],
			 bad->type == ICREQ ? NVME_TCP_ICRESP : NVME_TCP_CAPSULE_RESPONSE);
	fixture.host.alignment = 128;
	if (bad->type == CMD)
		expect_in_step(bad->state);
}

static void a_wrong_pdu_ends_its_connection(void **state)
{
	const struct bad_pdu *bad = *state;

	fixture_enter(bad->state, bad->has_digests);
	bad_pdu_send(bad);
	if (bad->fes == FINE)
		expect_fine(bad);
	else if (bad->fes == NO_FES)
		expect_closed();
	else
		expect_term(bad->fes, bad->fei);
	fixture_leave();
}

/* ---- a well-formed PDU of every type in every state ---- */

struct matrix_cell {
	const char *name;
	enum fixture_state state;
	uint8_t type;
	bool has_digests;
};

static const struct matrix_type {
	const char *name;
	uint8_t type;
	uint8_t hlen;
	uint8_t data_bytes;
	uint8_t can_digest; /* flags */
	bool is_from_host;
} matrix_types[] = {
	{"ICReq", NVME_TCP_ICREQ, 128, 0, 0, true},
	{"ICResp", NVME_TCP_ICRESP, 128, 0, 0, false},
	{"H2CTermReq", NVME_TCP_H2C_TERM, 24, 0, 0, true},
	{"C2HTermReq", NVME_TCP_C2H_TERM, 24, 0, 0, false},
	{"command", NVME_TCP_CAPSULE_COMMAND, 72, 0, 1, true},
	{"response", NVME_TCP_CAPSULE_RESPONSE, 24, 0, 1, false},
	{"H2CData", NVME_TCP_H2C_DATA, 24, 8, 3, true},
	{"C2HData", NVME_TCP_C2H_DATA, 24, 8, 3, false},
	{"type 08h", 0x08, 24, 0, 1, false},
	{"R2T", NVME_TCP_R2T, 24, 0, 1, false},
	{"type 0ah", 0x0a, 72, 0, 1, false},
	{"type 7fh", 0x7f, 72, 0, 1, false},
	{"type 80h", 0x80, 128, 0, 1, false},
	{"type ffh", 0xff, 72, 0, 1, false},
};

static const struct matrix_type *matrix_type(uint8_t type)
{
	for (size_t i = 0; i < sizeof(matrix_types) / sizeof(matrix_types[0]); i++) {
		if (matrix_types[i].type == type)
			return &matrix_types[i];
	}
	fail_msg("type %u is not in the matrix", type);
	return NULL;
}

static void matrix_send(const struct matrix_cell *cell)
{
	const struct matrix_type *type = matrix_type(cell->type);
	uint8_t flags = cell->has_digests ? type->can_digest : 0;
	uint8_t bytes[256] = {type->type, flags, type->hlen};
	uint32_t size = type->hlen;

	if (type->type == NVME_TCP_CAPSULE_COMMAND) {
		bytes[8] = 0x7e; /* an opcode of no command set */
		bytes[9] = NVME_SQE_PSDT_SGL;
		bytes[8 + 39] = NVME_SGL_TRANSPORT;
	}
	if (type->type == NVME_TCP_H2C_DATA) {
		bytes[10] = 0xff; /* a tag of nobody */
		bytes[11] = 0x7f;
		bytes[16] = type->data_bytes;
	}
	if ((flags & NVME_TCP_FLAG_HEADER_DIGEST) != 0)
		size += 4;
	if (type->data_bytes > 0) {
		bytes[3] = (uint8_t)size;
		size += type->data_bytes + ((flags & NVME_TCP_FLAG_DATA_DIGEST) != 0 ? 4 : 0);
	}
	bytes[4] = (uint8_t)size;
	if ((flags & NVME_TCP_FLAG_HEADER_DIGEST) != 0) {
		struct le32 digest = nvme_tcp_header_digest(bytes, type->hlen);

		memcpy(bytes + type->hlen, &digest, sizeof(digest));
	}
	fixture_send(bytes, size);
}

/* By the specification, not by the code: sections 3.3 to 3.6. */
static void matrix_expect(const struct matrix_cell *cell)
{
	const struct matrix_type *type = matrix_type(cell->type);

	if (cell->state == STATE_TERMINATING || cell->type == NVME_TCP_H2C_TERM) {
		expect_closed();
	} else if (!type->is_from_host) {
		expect_term(NVME_TCP_FES_INVALID_HEADER, 0);
	} else if ((cell->state == STATE_FRESH) != (cell->type == NVME_TCP_ICREQ)) {
		expect_term(NVME_TCP_FES_SEQUENCE, 0);
	} else if (cell->type == NVME_TCP_H2C_DATA) {
		expect_term(NVME_TCP_FES_INVALID_HEADER, 10);
	} else if (cell->type == NVME_TCP_CAPSULE_COMMAND) {
		bool is_early = cell->state == STATE_READY || cell->state == STATE_DISABLED;

		expect_status(0, is_early ? NVME_STATUS_COMMAND_SEQUENCE_ERROR
					  : NVME_STATUS_INVALID_OPCODE);
	} else {
		fail_msg("not judged");
	}
}

static void a_pdu_of_a_type_in_a_state(void **state)
{
	const struct matrix_cell *cell = *state;

	fixture_enter(cell->state, cell->has_digests);
	matrix_send(cell);
	matrix_expect(cell);
	fixture_leave();
}

static void matrix_add(struct catalogue *catalogue)
{
	static struct matrix_cell cells[STATE_COUNT * 16 * 2];
	size_t count = 0;

	for (enum fixture_state state = STATE_FRESH; state < STATE_COUNT; state++) {
		for (size_t i = 0; i < sizeof(matrix_types) / sizeof(matrix_types[0]); i++) {
			const struct matrix_type *type = &matrix_types[i];
			/* Digests matter once they are agreed, and on types that can have them. */
			bool has_variants = state == STATE_IO && type->can_digest != 0;

			if (state == STATE_FRESH && type->type == NVME_TCP_ICREQ)
				continue; /* the one that is right */
			for (int digests = 0; digests <= has_variants; digests++) {
				struct matrix_cell *cell = &cells[count++];

				*cell = (struct matrix_cell){.state = state,
							     .type = type->type,
							     .has_digests = digests != 0};
				cell->name = name_format("%s %s%s", type->name,
							 fixture_state_names[state],
							 digests != 0 ? ", digests on" : "");
				catalogue_add(catalogue, cell->name, a_pdu_of_a_type_in_a_state,
					      cell);
			}
		}
	}
}

/* ---- cut and joined streams ---- */

/* Return: bytes of an ICReq. */
static size_t icreq_bytes(uint8_t *ret_bytes)
{
	struct nvme_tcp_ic ic = {.alignment = 4, .r2t_count_max = 1};

	nvme_tcp_icreq_encode((struct nvme_tcp_icreq *)ret_bytes, &ic);
	return sizeof(struct nvme_tcp_icreq);
}

static void icreq_byte_by_byte_is_answered(void **state)
{
	static struct pdu pdu;
	uint8_t bytes[128];
	size_t size = icreq_bytes(bytes);

	(void)state;
	fixture_enter(STATE_FRESH, false);
	for (size_t i = 0; i < size; i++)
		host_send(&fixture.host, bytes + i, 1);
	host_receive_pdu(&fixture.host, &pdu);
	assert_int_equal(pdu.header[0], NVME_TCP_ICRESP);
	fixture_leave();
}

struct half {
	const char *name;
	size_t sent_bytes;
};

static const struct half halves[] = {
	{"nothing, and the host hangs up", 0},
	{"1 byte of ICReq, and the host hangs up", 1},
	{"7 bytes of ICReq, and the host hangs up", 7},
	{"8 bytes of ICReq, and the host hangs up", 8},
	{"64 bytes of ICReq, and the host hangs up", 64},
	{"127 bytes of ICReq, and the host hangs up", 127},
};

static void a_half_handshake_leaves_nothing(void **state)
{
	const struct half *half = *state;
	uint8_t bytes[128];

	fixture_enter(STATE_FRESH, false);
	(void)icreq_bytes(bytes);
	host_send(&fixture.host, bytes, half->sent_bytes);
	stage_run_ms(&fixture.stage, 1);
	fixture_leave();
}

static const struct half wrong_halves[] = {
	{"half ICReq, then a command", 64},
	{"8 bytes of ICReq, then a command", 8},
};

/* The rest of the header comes from another PDU: what is decoded is neither, and is judged so. */
static void a_half_icreq_and_a_command_make_an_icreq(void **state)
{
	static struct pdu pdu;
	const struct half *half = *state;
	uint8_t bytes[128 + 72] = {0};

	fixture_enter(STATE_FRESH, false);
	(void)icreq_bytes(bytes);
	memset(bytes + half->sent_bytes, 0, sizeof(bytes) - half->sent_bytes);
	bytes[half->sent_bytes] = half->sent_bytes == 8 ? NVME_TCP_CAPSULE_COMMAND : 0;
	fixture_send(bytes, half->sent_bytes);
	host_send(&fixture.host, bytes + half->sent_bytes, 128 - half->sent_bytes);
	if (half->sent_bytes == 8) {
		memcpy(fixture.sent, bytes, sizeof(fixture.sent));
		fixture.sent_bytes = sizeof(fixture.sent);
		expect_term(NVME_TCP_FES_UNSUPPORTED, 8);
	} else {
		host_receive_pdu(&fixture.host, &pdu);
		assert_int_equal(pdu.header[0], NVME_TCP_ICRESP);
	}
	fixture_leave();
}

/* Both in one segment: the answer to the first must not swallow the reason for the second. */
static void garbage_at_once_behind_icreq_is_told(void **state)
{
	static struct pdu pdu;
	uint8_t bytes[128 + 24] = {0};
	size_t size = icreq_bytes(bytes);

	(void)state;
	fixture_enter(STATE_FRESH, false);
	bytes[size] = 0x0b;
	bytes[size + 2] = 24;
	bytes[size + 4] = 24;
	host_send(&fixture.host, bytes, sizeof(bytes));
	memcpy(fixture.sent, bytes + size, 24);
	fixture.sent_bytes = 24;
	host_receive_pdu(&fixture.host, &pdu);
	assert_int_equal(pdu.header[0], NVME_TCP_ICRESP);
	expect_term(NVME_TCP_FES_INVALID_HEADER, 0);
	fixture_leave();
}

static void a_second_icreq_at_once_is_out_of_sequence(void **state)
{
	static struct pdu pdu;
	uint8_t bytes[256] = {0};
	size_t size = icreq_bytes(bytes);

	(void)state;
	fixture_enter(STATE_FRESH, false);
	(void)icreq_bytes(bytes + size);
	host_send(&fixture.host, bytes, 2 * size);
	memcpy(fixture.sent, bytes, size);
	fixture.sent_bytes = (uint32_t)size;
	host_receive_pdu(&fixture.host, &pdu);
	assert_int_equal(pdu.header[0], NVME_TCP_ICRESP);
	expect_term(NVME_TCP_FES_SEQUENCE, 0);
	fixture_leave();
}

/* It is not read for its contents any more, but it must not hold the connection open either. */
static void a_flood_behind_a_terminate_request_is_drained(void **state)
{
	static const uint8_t garbage[256 * 1024];

	(void)state;
	fixture_enter(STATE_TERMINATING, false);
	for (int i = 0; i < 4; i++)
		(void)send(fixture.host.fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
	assert_true(host_is_closed_within(&fixture.host, 1000));
	fixture_leave();
}

int main(int argc, char **argv)
{
	static struct catalogue catalogue;

	CATALOGUE_ADD_ROWS(&catalogue, handshake_rows, a_wrong_pdu_ends_its_connection);
	CATALOGUE_ADD_ROWS(&catalogue, command_rows, a_wrong_pdu_ends_its_connection);
	CATALOGUE_ADD_ROWS(&catalogue, other_rows, a_wrong_pdu_ends_its_connection);
	matrix_add(&catalogue);
	CATALOGUE_ADD_ROWS(&catalogue, halves, a_half_handshake_leaves_nothing);
	CATALOGUE_ADD_ROWS(&catalogue, wrong_halves, a_half_icreq_and_a_command_make_an_icreq);
	CATALOGUE_ADD(&catalogue, icreq_byte_by_byte_is_answered);
	CATALOGUE_ADD(&catalogue, garbage_at_once_behind_icreq_is_told);
	CATALOGUE_ADD(&catalogue, a_second_icreq_at_once_is_out_of_sequence);
	CATALOGUE_ADD(&catalogue, a_flood_behind_a_terminate_request_is_drained);
	return catalogue_main(&catalogue, argc, argv, fixture_start, fixture_end);
}

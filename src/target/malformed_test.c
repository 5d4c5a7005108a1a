/* SPDX-License-Identifier: Apache-2.0 */
/* malformed_test.c - a named catalogue of wrong input, each in a given state of a connection.
 *
 * Goal: every wrong PDU ends in the right terminate request and a closed connection within a
 * second, every wrong command in the right status; and after each case another host still works.
 * Method: real sockets (test_host.h), PDUs made by hand.
 */
#include "target/test_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_FES 0 /* closed without a terminate request */

enum state { FRESH, READY, ADMIN, IO, WAITING, STATE_COUNT };

struct fixture {
	struct stage stage;
	struct host admin;
	struct host host; /* in the wanted state */
	struct host witness_admin;
	struct host witness;
	uint16_t tag; /* WAITING: of the R2T for a write of 16 KiB */
	uint16_t cid;
};

static struct fixture fixture;
static int wrong_count; /* of the catalogue at work: all of them are shown */

#define WRONG(...)                        \
	do {                              \
		print_error(__VA_ARGS__); \
		print_error("\n");        \
		wrong_count++;            \
	} while (0)

static void state_waiting(struct fixture *f)
{
	struct nvme_rw rw = {.block_count = 32};
	struct nvme_sqe sqe = {0};
	static struct pdu pdu;

	nvme_rw_encode(&sqe, NVME_WRITE, 1, &rw);
	nvme_sgl_encode(&sqe,
			&(struct nvme_data){.place = NVME_DATA_PLACE_TRANSPORT, .length = 16384});
	f->cid = host_command(&f->host, &sqe, NULL, 0);
	host_receive_pdu(&f->host, &pdu);
	assert_int_equal(pdu.header[0], NVME_TCP_R2T);
	f->tag = le16_load(((struct nvme_tcp_r2t *)pdu.header)->ttag);
}

static void fixture_enter(struct fixture *f, enum state state, bool has_digests)
{
	memset(&f->host, 0, sizeof(f->host));
	memset(&f->admin, 0, sizeof(f->admin));
	f->admin.fd = -1;
	f->host.has_header_digest = has_digests;
	f->host.has_data_digest = has_digests;
	if (state == FRESH || state == READY) {
		host_open(&f->stage, &f->host);
		if (state == READY)
			host_icreq(&f->host);
	} else if (state == ADMIN) {
		host_admin(&f->stage, &f->host);
	} else {
		host_admin(&f->stage, &f->admin);
		host_io(&f->stage, &f->host, &f->admin);
		if (state == WAITING)
			state_waiting(f);
	}
}

static void fixture_leave(struct fixture *f)
{
	uint8_t bytes[512] = {0};

	host_close(&f->host);
	host_close(&f->admin);
	assert_int_equal(host_read(&f->witness, 7, bytes, sizeof(bytes)), 0);
	assert_true(stage_await_connections(&f->stage, 2));
}

/* ---- wrong PDUs ---- */

struct bad_pdu {
	const char *name;
	enum state state;
	uint8_t type, flags, hlen, pdo;
	uint32_t plen;
	uint32_t send_bytes; /* of the whole PDU; 0: PLEN */
	uint8_t body[24];    /* from byte 8 on; the rest is zero */
	uint16_t fes;
	uint32_t fei;
	bool has_digests;
	bool fits_tag; /* cccid and ttag are put in */
};

#define ICREQ NVME_TCP_ICREQ
#define CMD   NVME_TCP_CAPSULE_COMMAND
#define H2C   NVME_TCP_H2C_DATA
#define HDR   NVME_TCP_FES_INVALID_HEADER
#define SEQ   NVME_TCP_FES_SEQUENCE
/* body of H2CData: cccid, ttag, datao, datal */
#define DATA_BODY(offset, length)                                                       \
	{                                                                               \
		0, 0, 0, 0, (offset)&0xff, (offset) >> 8 & 0xff, (offset) >> 16 & 0xff, \
			(uint32_t)(offset) >> 24, (length)&0xff, (length) >> 8 & 0xff,  \
			(length) >> 16 & 0xff, (uint32_t)(length) >> 24                 \
	}

static const struct bad_pdu bad_pdus[] = {
	/* the handshake */
	{"command before ICReq", FRESH, CMD, 0, 72, 0, 72, 0, {0}, SEQ, 0},
	{"H2CData before ICReq", FRESH, H2C, 0, 24, 24, 28, 0, {0}, SEQ, 0},
	{"ICReq: HLEN too small", FRESH, ICREQ, 0, 127, 0, 128, 0, {0}, HDR, 2},
	{"ICReq: HLEN too large", FRESH, ICREQ, 0, 255, 0, 128, 0, {0}, HDR, 2},
	{"ICReq: HLEN zero", FRESH, ICREQ, 0, 0, 0, 128, 0, {0}, HDR, 2},
	{"ICReq: PLEN too small", FRESH, ICREQ, 0, 128, 0, 127, 128, {0}, HDR, 4},
	{"ICReq: PLEN too large", FRESH, ICREQ, 0, 128, 0, 129, 0, {0}, HDR, 4},
	{"ICReq: PLEN huge", FRESH, ICREQ, 0, 128, 0, 0xffffffff, 128, {0}, HDR, 4},
	{"ICReq: flags set", FRESH, ICREQ, 1, 128, 0, 128, 0, {0}, HDR, 1},
	{"ICReq: unknown format version", FRESH, ICREQ, 0, 128, 0, 128, 0, {1}, 6, 8},
	{"ICReq: HPDA 32", FRESH, ICREQ, 0, 128, 0, 128, 0, {0, 0, 32}, HDR, 10},
	{"ICReq: undefined digest bits", FRESH, ICREQ, 0, 128, 0, 128, 0, {0, 0, 0, 4}, HDR, 11},
	{"second ICReq", READY, ICREQ, 0, 128, 0, 128, 0, {0}, SEQ, 0},
	{"ICReq after Connect", ADMIN, ICREQ, 0, 128, 0, 128, 0, {0}, SEQ, 0},
	/* types */
	{"type ICResp", READY, NVME_TCP_ICRESP, 0, 128, 0, 128, 0, {0}, HDR, 0},
	{"type C2HTermReq", IO, NVME_TCP_C2H_TERM, 0, 24, 0, 24, 0, {0}, HDR, 0},
	{"type CapsuleResp", IO, NVME_TCP_CAPSULE_RESPONSE, 0, 24, 0, 24, 0, {0}, HDR, 0},
	{"type C2HData", IO, NVME_TCP_C2H_DATA, 0, 24, 24, 28, 0, {0}, HDR, 0},
	{"type R2T", IO, NVME_TCP_R2T, 0, 24, 0, 24, 0, {0}, HDR, 0},
	{"type 08h", IO, 8, 0, 24, 0, 24, 0, {0}, HDR, 0},
	{"type ffh", IO, 0xff, 0, 72, 0, 72, 0, {0}, HDR, 0},
	{"type ffh at first", FRESH, 0xff, 0xff, 0xff, 0xff, 0xffffffff, 128, {0}, HDR, 0},
	/* commands */
	{"command: HLEN too small", IO, CMD, 0, 71, 0, 72, 0, {0}, HDR, 2},
	{"command: HLEN too large", IO, CMD, 0, 73, 0, 73, 0, {0}, HDR, 2},
	{"command: HLEN 255 with digest", IO, CMD, 1, 255, 0, 259, 0, {0}, HDR, 2, true},
	{"command: HLEN zero", IO, CMD, 0, 0, 0, 72, 0, {0}, HDR, 2},
	{"command: PLEN below HLEN", IO, CMD, 0, 72, 0, 71, 72, {0}, HDR, 4},
	{"command: PLEN zero", IO, CMD, 0, 72, 0, 0, 72, {0}, HDR, 4},
	{"command: data beyond the capsule", IO, CMD, 0, 72, 72, 72 + 4100, 80, {0}, HDR, 4},
	{"command: 4 GiB of data", IO, CMD, 0, 72, 72, 0xfffffffc, 80, {0}, HDR, 4},
	{"admin: data beyond the capsule", ADMIN, CMD, 0, 72, 72, 72 + 8196, 80, {0}, HDR, 4},
	{"command: PDO inside the header", IO, CMD, 0, 72, 71, 72 + 512, 80, {0}, HDR, 3},
	{"command: PDO behind the end", IO, CMD, 0, 72, 200, 100, 0, {0}, HDR, 4},
	{"command: header digest not agreed", IO, CMD, 1, 72, 0, 76, 0, {0}, HDR, 1},
	{"command: data digest not agreed", IO, CMD, 2, 72, 72, 72 + 516, 80, {0}, HDR, 1},
	{"command: header digest missing", IO, CMD, 0, 72, 0, 72, 0, {0}, HDR, 1, true},
	{"command: wrong header digest", IO, CMD, 1, 72, 0, 76, 0, {0}, 3, 0, true},
	{"command: reserved flags", IO, CMD, 0xf0, 72, 0, 72, 0, {0}, HDR, 1},
	/* data */
	{"data nobody asked for", IO, H2C, 4, 24, 24, 24 + 512, 0, DATA_BODY(0, 512), HDR, 10},
	{"data on the admin queue", ADMIN, H2C, 4, 24, 24, 28, 0, DATA_BODY(0, 4), HDR, 10},
	{"data before Connect", READY, H2C, 4, 24, 24, 28, 0, DATA_BODY(0, 4), HDR, 10},
	{"data: wrong tag", WAITING, H2C, 4, 24, 24, 24 + 512, 0, DATA_BODY(0, 512), HDR, 10},
	{"data: HLEN 23", WAITING, H2C, 4, 23, 24, 24 + 512, 0, DATA_BODY(0, 512), HDR, 2},
	{"data: HLEN 255", WAITING, H2C, 4, 255, 255, 255 + 512, 0, DATA_BODY(0, 512), HDR, 2},
	{"data: no data", WAITING, H2C, 4, 24, 24, 24, 0, DATA_BODY(0, 0), HDR, 4},
	{"data: not in order", WAITING, H2C, 0, 24, 24, 24 + 512, 0, DATA_BODY(512, 512), HDR, 12,
	 false, true},
	{"data: beyond the R2T", WAITING, H2C, 4, 24, 24, 24 + 16896, 0, DATA_BODY(0, 16896), 4, 0,
	 false, true},
	{"data: offset beyond the R2T", WAITING, H2C, 4, 24, 24, 24 + 512, 0, DATA_BODY(16384, 512),
	 4, 0, false, true},
	{"data: offset at the end of numbers", WAITING, H2C, 4, 24, 24, 24 + 512, 0,
	 DATA_BODY(0xfffffe00, 512), 4, 0, false, true},
	{"data: DATAL is not the PDU's", WAITING, H2C, 4, 24, 24, 24 + 512, 0, DATA_BODY(0, 1024),
	 HDR, 16, false, true},
	{"data: not a multiple of 4", WAITING, H2C, 4, 24, 24, 24 + 510, 0, DATA_BODY(2, 510), HDR,
	 12, false, true},
	{"data: last too early", WAITING, H2C, 4, 24, 24, 24 + 512, 0, DATA_BODY(0, 512), HDR, 1,
	 false, true},
	{"data: last missing", WAITING, H2C, 0, 24, 24, 24 + 16384, 0, DATA_BODY(0, 16384), HDR, 1,
	 false, true},
	{"data: PDO inside the header", WAITING, H2C, 4, 24, 20, 24 + 512, 0, DATA_BODY(0, 512),
	 HDR, 3, false, true},
	{"data: larger than MAXH2CDATA", WAITING, H2C, 4, 24, 24, 24 + 131076, 100,
	 DATA_BODY(0, 131076), 5, 0, false, true},
	/* the end */
	{"the host terminates", IO, NVME_TCP_H2C_TERM, 0, 24, 0, 24, 0, {0}, NO_FES, 0},
	{"terminate before ICReq", FRESH, NVME_TCP_H2C_TERM, 0, 24, 0, 24, 0, {0}, NO_FES, 0},
	{"terminate: too much data", IO, NVME_TCP_H2C_TERM, 0, 24, 0, 24 + 129, 0, {0}, HDR, 4},
};

static void bad_pdu_send(struct fixture *f, const struct bad_pdu *bad)
{
	static uint8_t bytes[256 * 1024];
	struct nvme_tcp_common *common = (struct nvme_tcp_common *)bytes;
	struct nvme_tcp_data *data = (struct nvme_tcp_data *)bytes;

	memset(bytes, 0, sizeof(bytes));
	common->type = bad->type;
	common->flags = bad->flags;
	common->hlen = bad->hlen;
	common->pdo = bad->pdo;
	common->plen = le32_store(bad->plen);
	memcpy(bytes + 8, bad->body, sizeof(bad->body));
	if (bad->fits_tag) {
		data->cccid = le16_store(f->cid);
		data->ttag = le16_store(f->tag);
	} else if (bad->type == H2C) {
		data->ttag = le16_store(0x7fff);
	}
	host_send(&f->host, bytes, bad->send_bytes == 0 ? bad->plen : bad->send_bytes);
}

static void bad_pdu_check(struct fixture *f, const struct bad_pdu *bad)
{
	static struct pdu pdu;
	const struct nvme_tcp_term *term = (void *)pdu.header;

	fixture_enter(f, bad->state, bad->has_digests);
	bad_pdu_send(f, bad);
	host_receive_pdu(&f->host, &pdu);
	if (bad->fes == NO_FES) {
		if (!pdu.is_closed)
			WRONG("%s: not closed", bad->name);
	} else if (pdu.is_closed || pdu.is_timeout || term->common.type != NVME_TCP_C2H_TERM) {
		WRONG("%s: no terminate request (type %u)", bad->name,
		      pdu.is_closed ? 0xff : term->common.type);
	} else if (le16_load(term->fes) != bad->fes ||
		   (bad->fes != 3 && le32_load(term->fei) != bad->fei)) {
		WRONG("%s: FES %u FEI %u instead of %u %u", bad->name, le16_load(term->fes),
		      le32_load(term->fei), bad->fes, bad->fei);
	}
	if (!pdu.is_closed && !host_is_closed_within(&f->host, 1000))
		WRONG("%s: not closed within a second", bad->name);
	fixture_leave(f);
}

static void every_wrong_pdu_ends_its_connection_and_no_other(void **state)
{
	(void)state;
	wrong_count = 0;
	for (size_t i = 0; i < sizeof(bad_pdus) / sizeof(bad_pdus[0]); i++)
		bad_pdu_check(&fixture, &bad_pdus[i]);
	assert_int_equal(wrong_count, 0);
}

/* ---- wrong commands ---- */

struct bad_command {
	const char *name;
	enum state state; /* ADMIN or IO */
	uint8_t opcode, flags;
	uint32_t nsid;
	uint32_t cdw10, cdw11, cdw12;
	uint8_t sgl_type;
	uint32_t sgl_offset, sgl_bytes;
	uint32_t capsule_bytes;
	uint16_t status;
};

#define SGL 0x40
#define T   NVME_SGL_TRANSPORT
#define C   NVME_SGL_DATA_BLOCK_OFFSET

static const struct bad_command bad_commands[] = {
	{"unknown I/O opcode", IO, 0x7e, SGL, 1, 0, 0, 0, T, 0, 0, 0, 0x001},
	{"vendor I/O opcode with capsule data", IO, 0x81, SGL, 1, 0, 0, 0, C, 0, 512, 512, 0x001},
	{"copy", IO, NVME_COPY, SGL, 1, 0, 0, 0, T, 0, 0, 0, 0x001},
	{"write uncorrectable", IO, 0x04, SGL, 1, 0, 0, 0, T, 0, 0, 0, 0x001},
	{"namespace 0", IO, NVME_READ, SGL, 0, 0, 0, 0, T, 0, 512, 0, 0x00b},
	{"namespace 2", IO, NVME_READ, SGL, 2, 0, 0, 0, T, 0, 512, 0, 0x00b},
	{"write to all namespaces", IO, NVME_WRITE, SGL, ~0u, 0, 0, 0, T, 0, 512, 0, 0x00b},
	{"read behind the end", IO, NVME_READ, SGL, 1, STAGE_BLOCKS, 0, 0, T, 0, 512, 0, 0x080},
	{"read over the end", IO, NVME_READ, SGL, 1, STAGE_BLOCKS - 1, 0, 1, T, 0, 1024, 0, 0x080},
	{"read at the end of numbers", IO, NVME_READ, SGL, 1, ~0u, ~0u, 1, T, 0, 1024, 0, 0x080},
	{"write behind the end, in capsule", IO, NVME_WRITE, SGL, 1, STAGE_BLOCKS, 0, 0, C, 0, 512,
	 512, 0x080},
	{"write zeroes over the end", IO, NVME_WRITE_ZEROES, SGL, 1, 1, 0, 0xffff, T, 0, 0, 0,
	 0x080},
	{"more than MDTS", IO, NVME_READ, SGL, 1, 0, 0, 256, T, 0, 131584, 0, 0x002},
	{"SGL shorter than the blocks", IO, NVME_READ, SGL, 1, 0, 0, 7, T, 0, 512, 0, 0x00f},
	{"SGL longer than the blocks", IO, NVME_READ, SGL, 1, 0, 0, 0, T, 0, 4096, 0, 0x00f},
	{"no SGL length", IO, NVME_WRITE, SGL, 1, 0, 0, 0, T, 0, 0, 0, 0x00f},
	{"SGL length huge", IO, NVME_WRITE, SGL, 1, 0, 0, 0, T, 0, ~0u, 0, 0x002},
	{"PRPs", IO, NVME_READ, 0, 1, 0, 0, 0, T, 0, 512, 0, 0x002},
	{"SGL type keyed", IO, NVME_READ, SGL, 1, 0, 0, 0, 0x40, 0, 512, 0, 0x011},
	{"SGL type segment", IO, NVME_READ, SGL, 1, 0, 0, 0, 0x21, 0, 512, 0, 0x011},
	{"capsule SGL at an offset", IO, NVME_WRITE, SGL, 1, 0, 0, 0, C, 4, 512, 512, 0x00f},
	{"capsule SGL longer than the capsule", IO, NVME_WRITE, SGL, 1, 0, 0, 1, C, 0, 1024, 512,
	 0x00f},
	{"capsule SGL shorter than the capsule", IO, NVME_WRITE, SGL, 1, 0, 0, 0, C, 0, 512, 1024,
	 0x00f},
	{"capsule data with a transport SGL", IO, NVME_WRITE, SGL, 1, 0, 0, 0, T, 0, 512, 512,
	 0x00f},
	{"capsule SGL without data", IO, NVME_WRITE, SGL, 1, 0, 0, 0, C, 0, 512, 0, 0x00f},
	{"capsule SGL for a read", IO, NVME_READ, SGL, 1, 0, 0, 0, C, 0, 512, 512, 0x011},
	{"protection information", IO, NVME_READ, SGL, 1, 0, 0, 1u << 29, T, 0, 512, 0, 0x181},
	{"read with engine flag 22", IO, NVME_READ, SGL, 1, 0, 0, 1u << 22, T, 0, 512, 0, 0x002},
	{"read with engine flag 21", IO, NVME_READ, SGL, 1, 0, 0, 1u << 21, T, 0, 512, 0, 0x002},
	{"fuse bits 3", IO, NVME_WRITE, SGL | 3, 1, 0, 0, 0, T, 0, 512, 0, 0x002},
	{"second half alone", IO, NVME_WRITE, SGL | 2, 1, 0, 0, 0, T, 0, 512, 0, 0x00a},
	{"first half that is a write", IO, NVME_WRITE, SGL | 1, 1, 0, 0, 0, T, 0, 512, 0, 0x002},
	{"ranges longer than the data", IO, NVME_DATASET_MANAGEMENT, SGL, 1, 255, 4, 0, C, 0, 16,
	 16, 0x00f},
	{"register with 8 bytes", IO, NVME_RESERVATION_REGISTER, SGL, 1, 0, 0, 0, C, 0, 8, 8,
	 0x00f},
	{"report of short host ids", IO, NVME_RESERVATION_REPORT, SGL, 1, 15, 0, 0, T, 0, 64, 0,
	 0x018},
	{"report shorter than announced", IO, NVME_RESERVATION_REPORT, SGL, 1, 1023, 1, 0, T, 0, 64,
	 0, 0x00f},
	{"Connect on a connected queue", IO, 0x7f, SGL, 1, 0, 0, 0, T, 0, 0, 0, 0x00c},
	{"property on an I/O queue", IO, 0x7f, SGL, 4, 0, 0, 0, T, 0, 0, 0, 0x00c},
	{"unknown fabrics command", IO, 0x7f, SGL, 0x7c, 0, 0, 0, T, 0, 0, 0, 0x001},
	{"unknown admin opcode", ADMIN, 0x7c, SGL, 0, 0, 0, 0, T, 0, 0, 0, 0x001},
	{"create SQ", ADMIN, 0x01, SGL, 0, 0, 0, 0, T, 0, 0, 0, 0x001},
	{"create snapshot", ADMIN, 0xc1, SGL, 1, 0, 0, 0, C, 0, 64, 64, 0x001},
	{"format", ADMIN, 0x80, SGL, 1, 0, 0, 0, T, 0, 0, 0, 0x001},
	{"identify without room", ADMIN, 0x06, SGL, 0, 1, 0, 0, T, 0, 0, 0, 0x00f},
	{"identify of something unknown", ADMIN, 0x06, SGL, 0, 0x7f, 0, 0, T, 0, 4096, 0, 0x002},
	{"identify of namespace 2", ADMIN, 0x06, SGL, 2, 0, 0, 0, T, 0, 4096, 0, 0x00b},
	{"list behind the last id", ADMIN, 0x06, SGL, ~0u, 2, 0, 0, T, 0, 4096, 0, 0x00b},
	{"unknown log page", ADMIN, 0x02, SGL, 0, 0x007f00ee, 0, 0, T, 0, 512, 0, 0x109},
	{"discovery log of an I/O controller", ADMIN, 0x02, SGL, 0, 0x007f0070, 0, 0, T, 0, 512, 0,
	 0x109},
	{"log behind its end", ADMIN, 0x02, SGL, 0, 0x007f0002, 0, 4096, T, 0, 512, 0, 0x002},
	{"log at an odd offset", ADMIN, 0x02, SGL, 0, 0x007f0002, 0, 3, T, 0, 512, 0, 0x002},
	{"log longer than its SGL", ADMIN, 0x02, SGL, 0, 0x00ff0002, 0, 0, T, 0, 512, 0, 0x00f},
	{"interrupt feature", ADMIN, 0x0a, SGL, 0, 0x08, 0, 0, T, 0, 0, 0, 0x002},
	{"saved feature", ADMIN, 0x09, SGL, 0, 0x80000006, 1, 0, T, 0, 0, 0, 0x10d},
	{"unknown feature", ADMIN, 0x09, SGL, 0, 0x77, 1, 0, T, 0, 0, 0, 0x002},
	{"65536 queues", ADMIN, 0x09, SGL, 0, 0x07, ~0u, 0, T, 0, 0, 0, 0x002},
	{"set host id", ADMIN, 0x09, SGL, 0, 0x81, 1, 0, T, 0, 0, 0, 0x00c},
	{"persistence without a store", ADMIN, 0x09, SGL, 1, 0x83, 1, 0, T, 0, 0, 0, 0x10e},
	{"fused admin command", ADMIN, 0x06, SGL | 1, 0, 1, 0, 0, T, 0, 4096, 0, 0x002},
	{"disconnect of the admin queue", ADMIN, 0x7f, SGL, 8, 0, 0, 0, T, 0, 0, 0, 0x185},
};

static void bad_command_check(struct fixture *f, const struct bad_command *bad, bool has_digests)
{
	static uint8_t capsule[8192];
	struct nvme_sqe sqe = {.opcode = bad->opcode, .flags = bad->flags};
	struct nvme_status_field status;
	uint16_t cid, answered;

	fixture_enter(f, bad->state, has_digests);
	sqe.nsid = le32_store(bad->nsid);
	sqe.cdw10 = le32_store(bad->cdw10);
	sqe.cdw11 = le32_store(bad->cdw11);
	sqe.cdw12 = le32_store(bad->cdw12);
	sqe.sgl.address = le64_store(bad->sgl_offset);
	sqe.sgl.length = le32_store(bad->sgl_bytes);
	sqe.sgl.type = bad->sgl_type;
	cid = host_command(&f->host, &sqe, capsule, bad->capsule_bytes);
	status = host_response(&f->host, NULL, &answered);
	if (status.status != bad->status || answered != cid)
		WRONG("%s: status %03x instead of %03x", bad->name, status.status, bad->status);
	/* The connection must have stayed in step with the stream. */
	memset(&sqe, 0, sizeof(sqe));
	if (bad->state == IO) {
		assert_int_equal(host_write(&f->host, 1, capsule, 512), 0);
	} else {
		sqe.opcode = NVME_ADMIN_KEEP_ALIVE;
		assert_int_equal(host_run(&f->host, &sqe, NULL, 0, NULL), 0);
	}
	fixture_leave(f);
}

static void every_wrong_command_gets_its_status(void **state)
{
	(void)state;
	wrong_count = 0;
	for (size_t i = 0; i < sizeof(bad_commands) / sizeof(bad_commands[0]); i++) {
		bad_command_check(&fixture, &bad_commands[i], false);
		bad_command_check(&fixture, &bad_commands[i], true);
	}
	assert_int_equal(wrong_count, 0);
}

/* ---- wrong Connects ---- */

enum field { F_CNTLID, F_QID, F_ENTRIES, F_SUBNQN, F_HOSTNQN, F_HOSTID, F_FORMAT, F_LENGTH };

struct bad_connect {
	const char *name;
	uint16_t qid; /* 1: with a good admin queue before */
	enum field field;
	uint32_t value;
	const char *text;
	uint16_t status;
	uint32_t result;
};

#define IN_DATA 0x10000u

static const struct bad_connect bad_connects[] = {
	{"admin with a controller id", 0, F_CNTLID, 5, NULL, 0x182, IN_DATA | 16},
	{"I/O with an unknown controller", 1, F_CNTLID, 77, NULL, 0x182, IN_DATA | 16},
	{"I/O with any controller", 1, F_CNTLID, 0xffff, NULL, 0x182, IN_DATA | 16},
	{"queue id too large", 1, F_QID, 32, NULL, 0x182, 42},
	{"queue id 65535", 1, F_QID, 65535, NULL, 0x182, 42},
	{"queue too long", 1, F_ENTRIES, 33, NULL, 0x182, 44},
	{"queue of 65536", 0, F_ENTRIES, 65536, NULL, 0x182, 44},
	{"queue of one entry", 1, F_ENTRIES, 1, NULL, 0x182, 44},
	{"unknown subsystem", 0, F_SUBNQN, 0, "nqn.2019-05.io.openebs:nobody", 0x182,
	 IN_DATA | 256},
	{"empty subsystem", 0, F_SUBNQN, 0, "", 0x182, IN_DATA | 256},
	{"empty host", 0, F_HOSTNQN, 0, "", 0x182, IN_DATA | 512},
	{"another host's controller", 1, F_HOSTNQN, 0, "nqn.2014-08.org.example:other", 0x182,
	 IN_DATA | 512},
	{"another host id's controller", 1, F_HOSTID, 9, NULL, 0x182, IN_DATA},
	{"unterminated subsystem", 0, F_SUBNQN, 255, NULL, 0x182, IN_DATA | 256},
	{"unterminated host", 0, F_HOSTNQN, 255, NULL, 0x182, IN_DATA | 512},
	{"record format 1", 0, F_FORMAT, 1, NULL, 0x180, 0},
	{"no data", 0, F_LENGTH, 0, NULL, 0x00f, 0},
	{"half of the data", 0, F_LENGTH, 512, NULL, 0x00f, 0},
	{"twice the data", 0, F_LENGTH, 2048, NULL, 0x00f, 0},
};

static void connect_spoil(const struct bad_connect *bad, struct nvmf_connect_command *command,
			  struct nvmf_connect_data *data)
{
	uint8_t *text = bad->field == F_SUBNQN ? data->subnqn : data->hostnqn;

	switch (bad->field) {
	case F_CNTLID:
		data->cntlid = le16_store((uint16_t)bad->value);
		break;
	case F_QID:
		command->qid = le16_store((uint16_t)bad->value);
		break;
	case F_ENTRIES:
		command->sqsize = le16_store((uint16_t)(bad->value - 1));
		break;
	case F_SUBNQN:
	case F_HOSTNQN:
		memset(text, bad->text == NULL ? 'n' : 0, NVMF_NQN_FIELD_BYTES);
		if (bad->text != NULL)
			memcpy(text, bad->text, strlen(bad->text));
		break;
	case F_HOSTID:
		memset(data->host_id, (int)bad->value, sizeof(data->host_id));
		break;
	case F_FORMAT:
		command->record_format = le16_store((uint16_t)bad->value);
		break;
	case F_LENGTH:
		command->sgl.length = le32_store(bad->value);
		break;
	}
}

static void bad_connect_check(struct fixture *f, const struct bad_connect *bad)
{
	uint8_t data[2048] = {0};
	struct nvme_sqe sqe = {0};
	struct nvmf_connect connect;
	struct nvme_status_field status;
	uint64_t result;
	uint32_t bytes =
		bad->field == F_LENGTH ? bad->value : (uint32_t)sizeof(struct nvmf_connect_data);

	fixture_enter(f, READY, false);
	if (bad->qid != 0) {
		host_admin(&f->stage, &f->admin);
		f->host.cntlid = f->admin.cntlid;
	}
	connect = host_connect_default(&f->host, bad->qid);
	nvmf_connect_encode(&sqe, &connect, (struct nvmf_connect_data *)data);
	nvme_sgl_encode(&sqe,
			&(struct nvme_data){.place = NVME_DATA_PLACE_CAPSULE,
					    .length = (uint32_t)sizeof(struct nvmf_connect_data)});
	connect_spoil(bad, (struct nvmf_connect_command *)&sqe, (struct nvmf_connect_data *)data);
	(void)host_command(&f->host, &sqe, data, bytes);
	status = host_response(&f->host, &result, NULL);
	if (status.status != bad->status || (uint32_t)result != bad->result)
		WRONG("%s: status %03x result %x instead of %03x %x", bad->name, status.status,
		      (unsigned)result, bad->status, bad->result);
	fixture_leave(f);
}

static void every_wrong_connect_says_what_is_wrong(void **state)
{
	(void)state;
	wrong_count = 0;
	for (size_t i = 0; i < sizeof(bad_connects) / sizeof(bad_connects[0]); i++)
		bad_connect_check(&fixture, &bad_connects[i]);
	assert_int_equal(wrong_count, 0);
}

/* ---- order ---- */

static void commands_before_connect_or_enable_are_out_of_sequence(void **state)
{
	struct nvme_sqe sqe = {.opcode = NVME_ADMIN_IDENTIFY};
	struct nvmf_connect connect;
	struct host io = {0};
	uint8_t data[4096];
	uint32_t result;

	(void)state;
	fixture_enter(&fixture, READY, false);
	assert_int_equal(host_run(&fixture.host, &sqe, data, 4096, NULL), 0x00c);
	connect = host_connect_default(&fixture.host, 0);
	assert_int_equal(host_connect_with(&fixture.host, &connect, &result), 0);
	fixture.host.cntlid = (uint16_t)result;
	sqe.cdw10 = le32_store(NVME_CNS_CONTROLLER);
	assert_int_equal(host_run(&fixture.host, &sqe, data, 4096, NULL), 0x00c);
	io.cntlid = fixture.host.cntlid;
	host_open(&fixture.stage, &io);
	host_icreq(&io);
	connect = host_connect_default(&io, 1);
	assert_int_equal(host_connect_with(&io, &connect, &result), 0x00c);
	host_enable(&fixture.host);
	assert_int_equal(host_run(&fixture.host, &sqe, data, 4096, NULL), 0);
	assert_int_equal(host_connect_with(&io, &connect, &result), 0);
	host_close(&io);
	fixture_leave(&fixture);
}

static void a_queue_id_cannot_be_used_twice(void **state)
{
	struct nvmf_connect connect;
	struct host second = {0};
	uint32_t result;

	(void)state;
	fixture_enter(&fixture, IO, false);
	second.cntlid = fixture.admin.cntlid;
	host_open(&fixture.stage, &second);
	host_icreq(&second);
	connect = host_connect_default(&second, 1);
	assert_int_equal(host_connect_with(&second, &connect, &result), 0x182);
	assert_int_equal(result, 42);
	host_close(&second);
	fixture_leave(&fixture);
}

static void a_command_id_in_use_is_a_conflict(void **state)
{
	struct nvme_sqe sqe = {.opcode = NVME_READ};

	(void)state;
	fixture_enter(&fixture, WAITING, false);
	sqe.nsid = le32_store(1);
	nvme_sgl_encode(&sqe,
			&(struct nvme_data){.place = NVME_DATA_PLACE_TRANSPORT, .length = 512});
	fixture.host.cid--; /* the one of the write that waits for its data */
	(void)host_command(&fixture.host, &sqe, NULL, 0);
	assert_int_equal(host_response(&fixture.host, NULL, NULL).status, 0x003);
	fixture_leave(&fixture);
}

static void more_commands_than_entries_end_the_connection(void **state)
{
	struct nvme_rw rw = {.block_count = 16};
	struct nvme_sqe sqe = {0};

	(void)state;
	fixture_enter(&fixture, IO, false);
	nvme_rw_encode(&sqe, NVME_WRITE, 1, &rw);
	nvme_sgl_encode(&sqe,
			&(struct nvme_data){.place = NVME_DATA_PLACE_TRANSPORT, .length = 8192});
	for (int i = 0; i < 33; i++)
		(void)host_command(&fixture.host, &sqe, NULL, 0);
	assert_true(host_is_closed_within(&fixture.host, 2000));
	fixture_leave(&fixture);
}

static int group_start(void **state)
{
	(void)state;
	stage_open(&fixture.stage, NULL, NULL);
	fixture.witness_admin.id = 99;
	host_admin(&fixture.stage, &fixture.witness_admin);
	host_io(&fixture.stage, &fixture.witness, &fixture.witness_admin);
	return 0;
}

static int group_end(void **state)
{
	(void)state;
	host_close(&fixture.witness);
	host_close(&fixture.witness_admin);
	stage_close(&fixture.stage);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wrong_pdu_ends_its_connection_and_no_other),
		cmocka_unit_test(every_wrong_command_gets_its_status),
		cmocka_unit_test(every_wrong_connect_says_what_is_wrong),
		cmocka_unit_test(commands_before_connect_or_enable_are_out_of_sequence),
		cmocka_unit_test(a_queue_id_cannot_be_used_twice),
		cmocka_unit_test(a_command_id_in_use_is_a_conflict),
		cmocka_unit_test(more_commands_than_entries_end_the_connection),
	};

	return cmocka_run_group_tests(tests, group_start, group_end);
}

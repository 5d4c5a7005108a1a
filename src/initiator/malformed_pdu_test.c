/* SPDX-License-Identifier: Apache-2.0 */
/* malformed_pdu_test.c - PDUs of a controller that are wrong in one field, in every state of a
 * queue pair.
 *
 * Goal: whatever comes, the host names what is wrong in its terminate request (NVMe TCP transport
 * 1.0, section 3.6.2.5), every I/O in flight is answered once, no buffer is touched afterwards, the
 * device comes back, and the device of another controller goes on with verified I/O meanwhile.
 * Method: shapes x phases. A phase brings an I/O queue pair into a state; a shape is one PDU
 * that its fake controller sends then.
 */
#include "initiator/test_bystander.h"
#include "nvme/test_catalogue.h"

#define IO_BLOCKS  16u
#define IO_SIZE	   (IO_BLOCKS * FAKE_BLOCK_BYTES)
#define HALF	   (IO_SIZE / 2)
#define CASES_MAX  1024
#define NAME_BYTES 96
#define AUTO	   UINT32_MAX
#define PATTERN	   0x5a
#define CLOSES	   0 /* fes: no terminate request, the connection just ends */
#define HDR	   NVME_TCP_FES_INVALID_HEADER
#define SEQ	   NVME_TCP_FES_SEQUENCE
#define RANGE	   NVME_TCP_FES_OUT_OF_RANGE
#define LAST	   NVME_TCP_FLAG_LAST
#define SUCCESS	   NVME_TCP_FLAG_SUCCESS
#define RESPONSE   NVME_TCP_CAPSULE_RESPONSE
#define DATA	   NVME_TCP_C2H_DATA
#define R2T	   NVME_TCP_R2T
#define TERM	   NVME_TCP_C2H_TERM
#define OTHER_LIFE (1u << SLOT_BITS) /* flips the slot's generation in a command id */

enum phase {
	IDLE,	   /* nothing in flight; the command id is that of the last command */
	READ,	   /* a read that got nothing yet */
	HALF_READ, /* and one that got its first half */
	WRITE,	   /* a write that waits for its R2T */
	ASKED,	   /* and one whose first half was asked for and sent */
	FLUSH,
	UNMAP, /* with its data in the capsule */
	PHASE_COUNT,
};

static const char *const phase_texts[PHASE_COUNT] = {
	"idle", "read", "half a read", "write", "half a write", "flush", "unmap"};

#define ON(phase) (1u << (phase))
#define ANYWHERE  (ON(IDLE) | ON(READ) | ON(HALF_READ) | ON(WRITE) | ON(ASKED))

struct shape {
	const char *name;
	uint32_t phases;
	uint8_t type, flags, hlen, pdo;
	uint32_t plen; /* AUTO: of header, data and digests */
	uint16_t cid_xor;
	uint16_t tag_or_status;
	uint32_t offset, length; /* AUTO length: data_bytes */
	uint32_t data_bytes;
	uint16_t fes;
	uint32_t fei;
	uint8_t digests; /* negotiated: 1 header, 2 data */
};

/* Header fields, in any state. */
#define TYPE(text, value, len)                                                  \
	{                                                                       \
		text, ANYWHERE, value, 0, len, 0, len, 0, 0, 0, 0, 0, HDR, 0, 0 \
	}
#define HLEN(text, type, value)                                                  \
	{                                                                        \
		text, ANYWHERE, type, 0, value, 24, 24, 0, 0, 0, 0, 0, HDR, 2, 0 \
	}
#define FLAGS(text, type, value, bytes)                                                    \
	{                                                                                  \
		text, ANYWHERE, type, value, 24, 24, AUTO, 0, 0, 0, AUTO, bytes, HDR, 1, 0 \
	}
#define PLEN(text, type, value)                                                  \
	{                                                                        \
		text, ANYWHERE, type, 0, 24, 24, value, 0, 0, 0, 0, 0, HDR, 4, 0 \
	}
#define PDO(text, value, fei)                                                                \
	{                                                                                    \
		text, ANYWHERE, DATA, 0, 24, value, 24 + 512, 0, 0, 0, 512, 512, HDR, fei, 0 \
	}

static const struct shape header_shapes[] = {
	TYPE("ICReq", 0x00, 128),
	TYPE("H2CTermReq", 0x02, 24),
	TYPE("CapsuleCmd", 0x04, 72),
	TYPE("H2CData", 0x06, 24),
	TYPE("type 08h", 0x08, 24),
	TYPE("type 0ah", 0x0a, 24),
	TYPE("type 0bh", 0x0b, 24),
	TYPE("type 80h", 0x80, 24),
	TYPE("type ffh", 0xff, 24),
	{"a second ICResp", ANYWHERE, 0x01, 0, 128, 0, 128, 0, 0, 0, 0, 0, SEQ, 0, 0},
	{"ICResp with HLEN 24", ANYWHERE, 0x01, 0, 24, 0, 24, 0, 0, 0, 0, 0, SEQ, 0, 0},
	HLEN("response: HLEN 0", RESPONSE, 0),
	HLEN("response: HLEN 8", RESPONSE, 8),
	HLEN("response: HLEN 23", RESPONSE, 23),
	HLEN("response: HLEN 25", RESPONSE, 25),
	HLEN("response: HLEN 255", RESPONSE, 255),
	HLEN("data: HLEN 0", DATA, 0),
	HLEN("data: HLEN 23", DATA, 23),
	HLEN("data: HLEN 72", DATA, 72),
	HLEN("data: HLEN 255", DATA, 255),
	HLEN("R2T: HLEN 0", R2T, 0),
	HLEN("R2T: HLEN 23", R2T, 23),
	HLEN("R2T: HLEN 28", R2T, 28),
	HLEN("R2T: HLEN 255", R2T, 255),
	HLEN("terminate: HLEN 8", TERM, 8),
	HLEN("terminate: HLEN 255", TERM, 255),
	FLAGS("response: header digest not agreed", RESPONSE, 1, 0),
	FLAGS("response: data digest", RESPONSE, 2, 0),
	FLAGS("response: last", RESPONSE, LAST, 0),
	FLAGS("response: success", RESPONSE, SUCCESS, 0),
	FLAGS("response: reserved flags", RESPONSE, 0xf0, 0),
	FLAGS("data: header digest not agreed", DATA, 1, 512),
	FLAGS("data: reserved flag 10h", DATA, 0x10, 512),
	FLAGS("data: reserved flag 80h", DATA, 0x80, 512),
	FLAGS("R2T: header digest not agreed", R2T, 1, 0),
	FLAGS("R2T: data digest", R2T, 2, 0),
	FLAGS("R2T: last", R2T, LAST, 0),
	FLAGS("R2T: reserved flags", R2T, 0xf0, 0),
	FLAGS("terminate: flags", TERM, 1, 0),
	PLEN("response: PLEN 0", RESPONSE, 0),
	PLEN("response: PLEN 8", RESPONSE, 8),
	PLEN("response: PLEN 23", RESPONSE, 23),
	PLEN("response: PLEN 25", RESPONSE, 25),
	PLEN("response: PLEN 28 without digest", RESPONSE, 28),
	PLEN("response: PLEN 2^31", RESPONSE, 0x80000000),
	PLEN("response: PLEN 2^32-2", RESPONSE, UINT32_MAX - 1),
	PLEN("R2T: PLEN 0", R2T, 0),
	PLEN("R2T: PLEN 23", R2T, 23),
	PLEN("R2T: PLEN 25", R2T, 25),
	PLEN("R2T: PLEN 2^32-2", R2T, UINT32_MAX - 1),
	PLEN("data: PLEN 0", DATA, 0),
	PLEN("data: PLEN 23", DATA, 23),
	PLEN("data: PLEN of the header alone", DATA, 24),
	PLEN("data: PLEN of more than an I/O", DATA, 24 + IO_BYTES_MAX + 4),
	PLEN("data: PLEN 2^31", DATA, 0x80000000),
	PLEN("data: PLEN 2^32-2", DATA, UINT32_MAX - 1),
	PLEN("terminate: PLEN 0", TERM, 0),
	PLEN("terminate: PLEN 23", TERM, 23),
	PLEN("terminate: PLEN of too long a copy", TERM, 24 + NVME_TCP_TERM_DATA_BYTES_MAX + 1),
	PLEN("terminate: PLEN 2^32-2", TERM, UINT32_MAX - 1),
	PDO("data: PDO 0", 0, 3),
	PDO("data: PDO 20", 20, 3),
	PDO("data: PDO 23", 23, 3),
	PDO("data: PDO 25", 25, 3),
	PDO("data: PDO 26", 26, 3),
	{"data: PDO behind the end", ANYWHERE, DATA, 0, 24, 252, 128, 0, 0, 0, 104, 104, HDR, 4, 0},
};

/* What the PDU says about a command. */
#define SAYS(text, phases, type, flags, xor, tag, offset, length, data, fes, fei)                  \
	{                                                                                          \
		text, phases, type, flags, 24, 24, AUTO, xor, tag, offset, length, data, fes, fei, \
			0                                                                          \
	}

#define READS  (ON(READ) | ON(HALF_READ))
#define WRITES (ON(WRITE) | ON(ASKED))
#define OTHERS (ON(IDLE) | ON(FLUSH) | ON(UNMAP))
#define FAILED 0x0006 /* Internal Error in a CQE's status, without the phase tag */

static const struct shape body_shapes[] = {
	SAYS("response to the command beside", READS | WRITES | OTHERS, RESPONSE, 0, 1, FAILED, 0,
	     0, 0, HDR, 20),
	SAYS("response to an earlier command of the slot", READS | WRITES | OTHERS, RESPONSE, 0,
	     OTHER_LIFE, FAILED, 0, 0, 0, HDR, 20),
	SAYS("response to no slot", READS | WRITES | OTHERS, RESPONSE, 0, 0xffff, FAILED, 0, 0, 0,
	     HDR, 20),
	SAYS("response to a completed command", ON(IDLE), RESPONSE, 0, 0, FAILED, 0, 0, 0, HDR, 20),
	SAYS("success without the data", READS, RESPONSE, 0, 0, 0, 0, 0, 0, SEQ, 0),
	SAYS("success before the data was asked for", WRITES, RESPONSE, 0, 0, 0, 0, 0, 0, SEQ, 0),
	SAYS("data for a completed command", ON(IDLE), DATA, LAST, 0, 0, 0, AUTO, 512, HDR, 8),
	SAYS("data for a write", WRITES, DATA, 0, 0, 0, 0, AUTO, 512, HDR, 8),
	SAYS("data for a flush", ON(FLUSH), DATA, 0, 0, 0, 0, AUTO, 512, HDR, 8),
	SAYS("data for an unmap", ON(UNMAP), DATA, 0, 0, 0, 0, AUTO, 16, HDR, 8),
	SAYS("data for the command beside", READS, DATA, 0, 1, 0, 0, AUTO, 512, HDR, 8),
	SAYS("data for an earlier command of the slot", READS, DATA, 0, OTHER_LIFE, 0, 0, AUTO, 512,
	     HDR, 8),
	SAYS("data for no slot", READS, DATA, 0, 0xffff, 0, 0, AUTO, 512, HDR, 8),
	SAYS("data: offset 1", READS, DATA, 0, 0, 0, 1, AUTO, 512, HDR, 12),
	SAYS("data: offset 2^32-1", READS, DATA, 0, 0, 0, UINT32_MAX, AUTO, 512, HDR, 12),
	SAYS("data: 4 bytes too far", ON(READ), DATA, 0, 0, 0, 4, AUTO, 512, RANGE, 0),
	SAYS("data: a gap", ON(READ), DATA, 0, 0, 0, HALF, AUTO, 512, RANGE, 0),
	SAYS("data: at the end", READS, DATA, LAST, 0, 0, IO_SIZE, AUTO, 512, RANGE, 0),
	SAYS("data: over the end", ON(READ), DATA, LAST, 0, 0, 0, AUTO, IO_SIZE + 4, RANGE, 0),
	SAYS("data: offset 2^31", READS, DATA, 0, 0, 0, 0x80000000, AUTO, 512, RANGE, 0),
	SAYS("data: the sum wraps", READS, DATA, 0, 0, 0, 0xfffffffc, AUTO, 512, RANGE, 0),
	SAYS("data: from the beginning again", ON(HALF_READ), DATA, 0, 0, 0, 0, AUTO, 512, RANGE,
	     0),
	SAYS("data: overlaps what came", ON(HALF_READ), DATA, 0, 0, 0, HALF - 512, AUTO, 1024,
	     RANGE, 0),
	SAYS("data: second part too long", ON(HALF_READ), DATA, LAST, 0, 0, HALF, AUTO, HALF + 4,
	     RANGE, 0),
	SAYS("data: second part leaves a gap", ON(HALF_READ), DATA, LAST, 0, 0, HALF + 512, AUTO,
	     HALF - 512, RANGE, 0),
	SAYS("data: DATAL 0", READS, DATA, 0, 0, 0, 0, 0, 512, HDR, 16),
	SAYS("data: DATAL 4 too few", READS, DATA, 0, 0, 0, 0, 508, 512, HDR, 16),
	SAYS("data: DATAL 4 too many", READS, DATA, 0, 0, 0, 0, 516, 512, HDR, 16),
	SAYS("data: DATAL 2^31", READS, DATA, 0, 0, 0, 0, 0x80000000, 512, HDR, 16),
	SAYS("data: last too early", ON(READ), DATA, LAST, 0, 0, 0, AUTO, 512, HDR, 1),
	SAYS("data: last and success too early", ON(READ), DATA, LAST | SUCCESS, 0, 0, 0, AUTO, 512,
	     HDR, 1),
	SAYS("data: last missing", ON(READ), DATA, 0, 0, 0, 0, AUTO, IO_SIZE, HDR, 1),
	SAYS("data: second part without last", ON(HALF_READ), DATA, 0, 0, 0, HALF, AUTO, HALF, HDR,
	     1),
	SAYS("data: success without last", READS, DATA, SUCCESS, 0, 0, 0, AUTO, 512, HDR, 1),
	SAYS("R2T for a completed command", ON(IDLE), R2T, 0, 0, 7, 0, 512, 0, HDR, 8),
	SAYS("R2T for a read", READS, R2T, 0, 0, 7, 0, 512, 0, HDR, 8),
	SAYS("R2T for a flush", ON(FLUSH), R2T, 0, 0, 7, 0, 512, 0, HDR, 8),
	SAYS("R2T for data in the capsule", ON(UNMAP), R2T, 0, 0, 7, 0, 16, 0, HDR, 8),
	SAYS("R2T for the command beside", WRITES, R2T, 0, 1, 7, 0, 512, 0, HDR, 8),
	SAYS("R2T for an earlier command of the slot", WRITES, R2T, 0, OTHER_LIFE, 7, 0, 512, 0,
	     HDR, 8),
	SAYS("R2T for no slot", WRITES, R2T, 0, 0xffff, 7, 0, 512, 0, HDR, 8),
	SAYS("R2T: offset 1", WRITES, R2T, 0, 0, 7, 1, 512, 0, HDR, 12),
	SAYS("R2T: offset 2^32-1", WRITES, R2T, 0, 0, 7, UINT32_MAX, 4, 0, HDR, 12),
	SAYS("R2T: length 0", WRITES, R2T, 0, 0, 7, 0, 0, 0, HDR, 16),
	SAYS("R2T: 4 bytes too far", WRITES, R2T, 0, 0, 7, 4, 512, 0, RANGE, 0),
	SAYS("R2T: at the end", WRITES, R2T, 0, 0, 7, IO_SIZE, 512, 0, RANGE, 0),
	SAYS("R2T: 4 bytes too long", ON(WRITE), R2T, 0, 0, 7, 0, IO_SIZE + 4, 0, RANGE, 0),
	SAYS("R2T: length 2^31", WRITES, R2T, 0, 0, 7, 0, 0x80000000, 0, RANGE, 0),
	SAYS("R2T: length 2^32-2", WRITES, R2T, 0, 0, 7, 0, UINT32_MAX - 1, 0, RANGE, 0),
	SAYS("R2T: the sum wraps", WRITES, R2T, 0, 0, 7, 0xfffffffc, 512, 0, RANGE, 0),
	SAYS("R2T: the same again", ON(ASKED), R2T, 0, 0, 7, 0, HALF, 0, RANGE, 0),
	SAYS("R2T: overlaps what was asked for", ON(ASKED), R2T, 0, 0, 7, HALF - 512, 1024, 0,
	     RANGE, 0),
	SAYS("R2T: second part too long", ON(ASKED), R2T, 0, 0, 7, HALF, HALF + 4, 0, RANGE, 0),
	SAYS("terminate request", ANYWHERE | OTHERS, TERM, 0, 0, 1, 0, 0, 0, CLOSES, 0),
	SAYS("terminate request with a copy", ANYWHERE | OTHERS, TERM, 0, 0, 3, 0, 0, 72, CLOSES,
	     0),
	SAYS("terminate request of an unknown error", ANYWHERE | OTHERS, TERM, 0, 0, 0xffff, 0, 0,
	     0, CLOSES, 0),
};

/* With digests agreed: the flags have to say so. */
#define AGREED(text, phases, type, flags, digests)                           \
	{                                                                    \
		text, phases, type, flags, 24, 28, AUTO, 0, FAILED, 0, AUTO, \
			(type) == DATA ? 512 : 0, HDR, 1, digests            \
	}

static const struct shape digest_shapes[] = {
	AGREED("response without the agreed digest", ANYWHERE, RESPONSE, 0, 1),
	AGREED("R2T without the agreed digest", ANYWHERE, R2T, 0, 1),
	AGREED("data without the agreed digest", ANYWHERE, DATA, 0, 1),
	AGREED("data without either digest", ANYWHERE, DATA, 0, 3),
	AGREED("data without the agreed data digest", ANYWHERE, DATA, 1, 3),
	AGREED("data with a data digest not agreed", ANYWHERE, DATA, 3, 1),
};

struct bad_case {
	char name[NAME_BYTES];
	enum phase phase;
	const struct shape *shape;
};

static struct bad_case cases[CASES_MAX];
static size_t case_count;

static struct bench *victim;

/* What the hook saw, and what is in flight. */
static struct {
	enum phase phase;
	bool is_armed;
	bool is_there; /* the controller has the command */
	uint16_t cid;
	struct bench_io io;
	uint8_t *memory;
} play;

static bool play_hook(struct fake_connection *connection, const struct nvme_sqe *sqe,
		      const uint8_t *data, uint32_t data_bytes)
{
	(void)data;
	(void)data_bytes;
	if (connection->qid == 0 || sqe->opcode == NVMF_OPCODE || !play.is_armed)
		return false;
	play.is_armed = false;
	play.is_there = true;
	play.cid = le16_load(sqe->cid);
	if (play.phase == HALF_READ)
		fake_send_data(connection, play.cid, 0, (struct iovec){play.memory, HALF}, 0);
	if (play.phase == ASKED)
		fake_send_r2t(connection, play.cid, 0, HALF);
	return play.phase != IDLE;
}

static enum io_type type_of(enum phase phase)
{
	switch (phase) {
	case IDLE:
	case READ:
	case HALF_READ:
		return IO_READ;
	case WRITE:
	case ASKED:
		return IO_WRITE;
	case FLUSH:
		return IO_FLUSH;
	case UNMAP:
	case PHASE_COUNT:
		break;
	}
	return IO_UNMAP;
}

/* Brings the queue pair into the phase. */
static void phase_enter(enum phase phase)
{
	enum io_type type = type_of(phase);
	bool has_data = type == IO_READ || type == IO_WRITE;
	uint32_t h2c_count = victim->fake->h2c_count;

	play.phase = phase;
	play.is_armed = true;
	play.is_there = false;
	play.memory = malloc(IO_SIZE);
	assert_non_null(play.memory);
	memset(play.memory, PATTERN, IO_SIZE);
	bench_submit(victim, &play.io, type,
		     (struct block_range){0, type == IO_FLUSH ? 0 : IO_BLOCKS},
		     (struct iovec){play.memory, has_data ? IO_SIZE : 0});
	both_until(victim, play.is_there);
	if (phase == IDLE)
		both_until(victim, play.io.op.pending == 0);
	if (phase == ASKED)
		both_until(victim, victim->fake->h2c_count > h2c_count);
}

static void body_fill(uint8_t *bytes, const struct shape *shape)
{
	uint16_t cid = play.cid ^ shape->cid_xor;
	uint32_t length = shape->length == AUTO ? shape->data_bytes : shape->length;
	struct nvme_tcp_data *data = (struct nvme_tcp_data *)bytes;
	struct nvme_tcp_capsule_response *response = (struct nvme_tcp_capsule_response *)bytes;

	if (shape->type == RESPONSE) {
		response->cqe.cid = le16_store(cid);
		response->cqe.status = le16_store((uint16_t)(shape->tag_or_status << 1));
		return;
	}
	if (shape->type == TERM) {
		bytes[8] = (uint8_t)shape->tag_or_status;
		bytes[9] = (uint8_t)(shape->tag_or_status >> 8);
		return;
	}
	/* An R2T has its fields at the same places. */
	data->cccid = le16_store(cid);
	data->ttag = le16_store(shape->type == R2T ? shape->tag_or_status : 0);
	data->datao = le32_store(shape->offset);
	data->datal = le32_store(length);
}

static void shape_send(const struct shape *shape)
{
	static uint8_t bytes[256 + IO_SIZE + 64];
	struct nvme_tcp_common *common = (struct nvme_tcp_common *)bytes;
	uint32_t plen = shape->plen;
	size_t size;

	memset(bytes, 0, sizeof(bytes));
	if (plen == AUTO)
		plen = shape->hlen + shape->data_bytes + ((shape->flags & 1) != 0 ? 4 : 0) +
		       ((shape->flags & 2) != 0 ? 4 : 0);
	*common = (struct nvme_tcp_common){
		.type = shape->type,
		.flags = shape->flags,
		.hlen = shape->hlen,
		.pdo = shape->pdo,
		.plen = le32_store(plen),
	};
	body_fill(bytes, shape);
	size = plen < 24 ? 24 : plen;
	fake_send(fake_io_connection(victim->fake), bytes,
		  size < sizeof(bytes) ? size : sizeof(bytes));
}

static void device_serves(void)
{
	uint8_t bytes[FAKE_BLOCK_BYTES];
	struct bench_io io;

	bench_submit(victim, &io, IO_READ, (struct block_range){9, 1},
		     (struct iovec){bytes, sizeof(bytes)});
	both_until(victim, io.op.pending == 0);
	assert_int_equal(io.io.status, IO_OK);
	assert_memory_equal(bytes, victim->fake->disk + 9 * FAKE_BLOCK_BYTES, sizeof(bytes));
}

/* What the host says, or that it says nothing. */
static void end_judge(const struct shape *shape, uint32_t term_count, uint64_t errors)
{
	struct fake_controller *fake = victim->fake;

	if (shape->fes == CLOSES) {
		assert_int_equal(fake->term_count, term_count);
		assert_int_equal(bench_info(victim).protocol_error_count, errors);
		return;
	}
	both_until(victim, fake->term_count > term_count);
	assert_int_equal(fake->term_count, term_count + 1);
	assert_int_equal(fake->last_term.fes, shape->fes);
	assert_int_equal(fake->last_term.field_offset, shape->fei);
	assert_int_equal(bench_info(victim).protocol_error_count, errors + 1);
}

static void wrong_pdu_ends_its_connection_and_nothing_else(void **state)
{
	const struct bad_case *bad = *state;
	uint64_t errors, connects, verified = bystander_verified();
	uint32_t term_count;

	victim_open(&victim, bad->shape->digests);
	term_count = victim->fake->term_count;
	device_serves();
	errors = bench_info(victim).protocol_error_count;
	connects = bench_info(victim).connect_count;
	phase_enter(bad->phase);
	shape_send(bad->shape);
	both_until(victim, bench_info(victim).reset_count > 0);
	both_until(victim, play.io.op.pending == 0);
	assert_int_equal(play.io.io.status, bad->phase == IDLE ? IO_OK : IO_DEVICE_GONE);
	memset(play.memory, PATTERN ^ 0xff, IO_SIZE);
	end_judge(bad->shape, term_count, errors);
	both_until(victim, bench_info(victim).connect_count > connects);
	device_serves();
	/* Whatever came late did not reach memory that was given back. */
	for (size_t i = 0; i < IO_SIZE; i++)
		assert_int_equal(play.memory[i], PATTERN ^ 0xff);
	free(play.memory);
	victim_close(&victim);
	bystander_await(verified + 1);
}

static void cases_add(const struct shape *shapes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (enum phase phase = IDLE; phase < PHASE_COUNT; phase++) {
			struct bad_case *bad = &cases[case_count];

			if ((shapes[i].phases & ON(phase)) == 0)
				continue;
			assert_true(case_count < CASES_MAX);
			case_count++;
			bad->phase = phase;
			bad->shape = &shapes[i];
			(void)snprintf(bad->name, sizeof(bad->name), "%s, %s", shapes[i].name,
				       phase_texts[phase]);
		}
	}
}

#define COUNT_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

int main(int argc, char **argv)
{
	static struct catalogue catalogue;

	victim_hook = play_hook;
	cases_add(header_shapes, COUNT_OF(header_shapes));
	cases_add(body_shapes, COUNT_OF(body_shapes));
	cases_add(digest_shapes, COUNT_OF(digest_shapes));
	for (size_t i = 0; i < case_count; i++)
		catalogue_add(&catalogue, cases[i].name,
			      wrong_pdu_ends_its_connection_and_nothing_else, &cases[i]);
	return catalogue_main(&catalogue, argc, argv, bystander_start, bystander_end);
}

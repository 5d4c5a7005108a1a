/* SPDX-License-Identifier: Apache-2.0 */
/* malformed_command_test.c - I/O commands that are wrong: opcodes, namespaces, SGLs, ranges,
 * in-capsule data, fused halves, reservations, command ids, too many at once.
 *
 * Goal: each gets the status of NVMe base 2.0 and the NVM command set 1.0, changes no block, and
 * leaves the connection in step with its stream.
 * Method: a row is a submission entry and the bytes of its capsule (test_fixture.h), sent without
 * and with digests. Tables for single fields, generators for opcodes by field.
 */
#include "nvme/test_catalogue.h"
#include "target/test_fixture.h"

#define SGL	 0x40
#define T	 NVME_SGL_TRANSPORT
#define C	 NVME_SGL_DATA_BLOCK_OFFSET
#define FIELD	 0x002
#define OPCODE	 0x001
#define NSID	 0x00b
#define LENGTH	 0x00f
#define TYPE	 0x011
#define OFFSET	 0x016
#define RANGE	 0x080
#define END	 STAGE_BLOCKS
#define READ	 NVME_READ
#define WRITE	 NVME_WRITE
#define COMPARE	 NVME_COMPARE
#define ZEROES	 NVME_WRITE_ZEROES
#define DSM	 NVME_DATASET_MANAGEMENT
#define REGISTER NVME_RESERVATION_REGISTER
#define ACQUIRE	 NVME_RESERVATION_ACQUIRE
#define RELEASE	 NVME_RESERVATION_RELEASE
#define REPORT	 NVME_RESERVATION_REPORT

struct bad_command {
	const char *name;
	uint8_t opcode, flags;
	uint32_t nsid;
	uint32_t cdw10, cdw11, cdw12;
	uint8_t sgl_type;
	uint64_t sgl_offset;
	uint32_t sgl_bytes;
	uint32_t capsule_bytes;
	uint16_t status;
};

static const struct bad_command length_rows[] = {
	{"reply longer than its buffer: read of 1 byte", READ, SGL, 1, 0, 0, 0, T, 0, 1, 0, LENGTH},
	{"reply longer than its buffer: read of 511 bytes", READ, SGL, 1, 0, 0, 0, T, 0, 511, 0,
	 LENGTH},
	{"read of a block: no room", READ, SGL, 1, 0, 0, 0, T, 0, 0, 0, LENGTH},
	{"read of a block: 513 bytes", READ, SGL, 1, 0, 0, 0, T, 0, 513, 0, LENGTH},
	{"read of a block: 4096 bytes", READ, SGL, 1, 0, 0, 0, T, 0, 4096, 0, LENGTH},
	{"read of a block: 128 KiB", READ, SGL, 1, 0, 0, 0, T, 0, 131072, 0, LENGTH},
	{"read of a block: 128 KiB and 4", READ, SGL, 1, 0, 0, 0, T, 0, 131076, 0, FIELD},
	{"read of a block: 2^31 bytes", READ, SGL, 1, 0, 0, 0, T, 0, 0x80000000, 0, FIELD},
	{"read of a block: 2^32-1 bytes", READ, SGL, 1, 0, 0, 0, T, 0, ~0u, 0, FIELD},
	{"read of 8 blocks: 512 bytes", READ, SGL, 1, 0, 0, 7, T, 0, 512, 0, LENGTH},
	{"write of a block: no data", WRITE, SGL, 1, 0, 0, 0, T, 0, 0, 0, LENGTH},
	{"write of a block: 1 byte", WRITE, SGL, 1, 0, 0, 0, T, 0, 1, 0, LENGTH},
	{"write of a block: 508 bytes", WRITE, SGL, 1, 0, 0, 0, T, 0, 508, 0, LENGTH},
	{"write of a block: 516 bytes", WRITE, SGL, 1, 0, 0, 0, T, 0, 516, 0, LENGTH},
	{"write of a block: 2^31 bytes", WRITE, SGL, 1, 0, 0, 0, T, 0, 0x80000000, 0, FIELD},
	{"write of a block: 2^32-1 bytes", WRITE, SGL, 1, 0, 0, 0, T, 0, ~0u, 0, FIELD},
	{"write of 257 blocks, above MDTS", WRITE, SGL, 1, 0, 0, 256, T, 0, 131584, 0, FIELD},
	{"read of 257 blocks, above MDTS", READ, SGL, 1, 0, 0, 256, T, 0, 131584, 0, FIELD},
	{"read of 65536 blocks and 0 bytes", READ, SGL, 1, 0, 0, 0xffff, T, 0, 0, 0, RANGE},
	{"compare of a block: 512 bytes too many", COMPARE, SGL, 1, 0, 0, 0, T, 0, 1024, 0, LENGTH},
	{"compare of a block: no data", COMPARE, SGL, 1, 0, 0, 0, T, 0, 0, 0, LENGTH},
	/* the capsule */
	{"in-capsule size is not the SGL's: 512 and 1024", WRITE, SGL, 1, 0, 0, 1, C, 0, 1024, 512,
	 LENGTH},
	{"in-capsule size is not the SGL's: 1024 and 512", WRITE, SGL, 1, 0, 0, 0, C, 0, 512, 1024,
	 LENGTH},
	{"in-capsule size is not the SGL's: 0 and 512", WRITE, SGL, 1, 0, 0, 0, C, 0, 512, 0,
	 LENGTH},
	{"in-capsule size is not the SGL's: 512 and 0", WRITE, SGL, 1, 0, 0, 0, C, 0, 0, 512,
	 LENGTH},
	{"in-capsule size is not the SGL's: 512 and 2^32-1", WRITE, SGL, 1, 0, 0, 0, C, 0, ~0u, 512,
	 LENGTH},
	{"in-capsule size is not the SGL's: 4096 and 2^31", WRITE, SGL, 1, 0, 0, 7, C, 0,
	 0x80000000, 4096, LENGTH},
	{"in-capsule data of a write with a transport SGL", WRITE, SGL, 1, 0, 0, 0, T, 0, 512, 512,
	 LENGTH},
	{"in-capsule data of a read", READ, SGL, 1, 0, 0, 0, C, 0, 512, 512, TYPE},
	{"in-capsule data behind an offset: 4 of 512", WRITE, SGL, 1, 0, 0, 0, C, 4, 512, 512,
	 LENGTH},
	{"in-capsule data behind an offset: 512 of 512", WRITE, SGL, 1, 0, 0, 0, C, 512, 512, 512,
	 LENGTH},
	{"in-capsule data behind an offset: 513 of 512", WRITE, SGL, 1, 0, 0, 0, C, 513, 0, 512,
	 OFFSET},
	{"in-capsule data behind an offset: 2^32", WRITE, SGL, 1, 0, 0, 0, C, 1ull << 32, 512, 512,
	 OFFSET},
	{"in-capsule data behind an offset: 2^63", WRITE, SGL, 1, 0, 0, 0, C, 1ull << 63, 512, 512,
	 OFFSET},
	{"in-capsule data behind an offset: 2^64-4", WRITE, SGL, 1, 0, 0, 0, C, ~0ull - 3, 516, 512,
	 OFFSET},
	{"in-capsule data of a flush is thrown away", NVME_FLUSH, SGL, 1, 0, 0, 0, C, 0, 512, 512,
	 0},
	{"in-capsule data of a flush, with another length", NVME_FLUSH, SGL, 1, 0, 0, 0, C, 0, 16,
	 512, LENGTH},
	{"flush with a transport SGL of 2^32-1", NVME_FLUSH, SGL, 1, 0, 0, 0, T, 0, ~0u, 0, FIELD},
};

static const struct bad_command field_rows[] = {
	{"PRPs", READ, 0, 1, 0, 0, 0, T, 0, 512, 0, FIELD},
	{"PSDT 2", READ, 0x80, 1, 0, 0, 0, T, 0, 512, 0, FIELD},
	{"PSDT 3", WRITE, 0xc0, 1, 0, 0, 0, T, 0, 512, 0, FIELD},
	{"PRPs with capsule data", WRITE, 0, 1, 0, 0, 0, C, 0, 512, 512, FIELD},
	{"reserved flags are not looked at", READ, SGL | 0x3c, 1, 0, 0, 0, T, 0, 0, 0, LENGTH},
	{"protection action", READ, SGL, 1, 0, 0, 1u << 29, T, 0, 512, 0, 0x181},
	{"protection checks", WRITE, SGL, 1, 0, 0, 7u << 26, T, 0, 512, 0, 0x181},
	{"read with engine flag 22", READ, SGL, 1, 0, 0, 1u << 22, T, 0, 512, 0, FIELD},
	{"read with engine flag 21", READ, SGL, 1, 0, 0, 1u << 21, T, 0, 512, 0, FIELD},
	{"fuse 3", WRITE, SGL | 3, 1, 0, 0, 0, T, 0, 512, 0, FIELD},
	{"fuse 3 of a compare", COMPARE, SGL | 3, 1, 0, 0, 0, C, 0, 512, 512, FIELD},
	{"second half alone", WRITE, SGL | 2, 1, 0, 0, 0, T, 0, 512, 0, 0x00a},
	{"second half alone, in capsule", WRITE, SGL | 2, 1, 0, 0, 0, C, 0, 512, 512, 0x00a},
	{"first half that is a write", WRITE, SGL | 1, 1, 0, 0, 0, T, 0, 512, 0, FIELD},
	{"first half that is a read", READ, SGL | 1, 1, 0, 0, 0, T, 0, 512, 0, FIELD},
	{"first half that is a reservation", REPORT, SGL | 1, 1, 15, 1, 0, T, 0, 64, 0, FIELD},
	{"first half that is Fabrics", 0x7f, SGL | 1, 4, 0, 0, 0, T, 0, 0, 0, FIELD},
	/* dataset management */
	{"ranges: 256 in 16 bytes", DSM, SGL, 1, 255, 4, 0, C, 0, 16, 16, LENGTH},
	{"ranges: 2 in 16 bytes", DSM, SGL, 1, 1, 4, 0, C, 0, 16, 16, LENGTH},
	{"ranges: 1 in 15 bytes", DSM, SGL, 1, 0, 4, 0, C, 0, 15, 15, LENGTH},
	{"ranges: no data", DSM, SGL, 1, 0, 4, 0, T, 0, 0, 0, LENGTH},
	{"ranges: more data than 256 need", DSM, SGL, 1, 0, 4, 0, T, 0, 4112, 0, LENGTH},
	{"ranges: reserved count bits are not looked at", DSM, SGL, 1, 0xffffff00, 4, 0, C, 0, 16,
	 16, 0},
	{"ranges: nothing to deallocate", DSM, SGL, 1, 0, 3, 0, C, 0, 16, 16, 0},
	/* reservations */
	{"register: 8 bytes", REGISTER, SGL, 1, 0, 0, 0, C, 0, 8, 8, LENGTH},
	{"register: 24 bytes", REGISTER, SGL, 1, 0, 0, 0, C, 0, 24, 24, LENGTH},
	{"register: no data", REGISTER, SGL, 1, 0, 0, 0, T, 0, 0, 0, LENGTH},
	{"register: action 3", REGISTER, SGL, 1, 3, 0, 0, C, 0, 16, 16, FIELD},
	{"register: action 7", REGISTER, SGL, 1, 7, 0, 0, C, 0, 16, 16, FIELD},
	{"register: reserved persistence", REGISTER, SGL, 1, 1u << 30, 0, 0, C, 0, 16, 16, FIELD},
	{"register: persistence without a store", REGISTER, SGL, 1, 3u << 30 | 8, 0, 0, C, 0, 16,
	 16, FIELD},
	{"register: key 0", REGISTER, SGL, 1, 0, 0, 0, C, 0, 16, 16, FIELD},
	{"replace a key by key 0", REGISTER, SGL, 1, 2, 0, 0, C, 0, 16, 16, FIELD},
	{"unregister who is not registered", REGISTER, SGL, 1, 1, 0, 0, C, 0, 16, 16, 0x083},
	{"acquire: 8 bytes", ACQUIRE, SGL, 1, 0x100, 0, 0, C, 0, 8, 8, LENGTH},
	{"acquire: type 0", ACQUIRE, SGL, 1, 0, 0, 0, C, 0, 16, 16, FIELD},
	{"acquire: type 7", ACQUIRE, SGL, 1, 0x700, 0, 0, C, 0, 16, 16, FIELD},
	{"acquire: type 255", ACQUIRE, SGL, 1, 0xff00, 0, 0, C, 0, 16, 16, FIELD},
	{"acquire: action 3", ACQUIRE, SGL, 1, 0x103, 0, 0, C, 0, 16, 16, FIELD},
	{"acquire without registration", ACQUIRE, SGL, 1, 0x100, 0, 0, C, 0, 16, 16, 0x083},
	{"preempt without registration", ACQUIRE, SGL, 1, 0x101, 0, 0, C, 0, 16, 16, 0x083},
	{"release: 16 bytes", RELEASE, SGL, 1, 0x100, 0, 0, C, 0, 16, 16, LENGTH},
	{"release: type 0", RELEASE, SGL, 1, 0, 0, 0, C, 0, 8, 8, FIELD},
	{"release: action 2", RELEASE, SGL, 1, 0x102, 0, 0, C, 0, 8, 8, FIELD},
	{"release without registration", RELEASE, SGL, 1, 0x100, 0, 0, C, 0, 8, 8, 0x083},
	{"clear without registration", RELEASE, SGL, 1, 0x001, 0, 0, C, 0, 8, 8, 0x083},
	{"report: short host ids", REPORT, SGL, 1, 15, 0, 0, T, 0, 64, 0, 0x018},
	{"report: less room than announced", REPORT, SGL, 1, 1023, 1, 0, T, 0, 64, 0, LENGTH},
	{"report: no room", REPORT, SGL, 1, 15, 1, 0, T, 0, 0, 0, LENGTH},
	{"report: 2^32 dwords", REPORT, SGL, 1, ~0u, 1, 0, T, 0, 64, 0, FIELD},
	{"report: 2^31 dwords", REPORT, SGL, 1, 0x7fffffff, 1, 0, T, 0, 64, 0, FIELD},
};

static void bad_command_send(const struct bad_command *bad)
{
	static uint8_t capsule[8192];
	struct nvme_sqe sqe = {.opcode = bad->opcode, .flags = bad->flags};

	sqe.nsid = le32_store(bad->nsid);
	sqe.cdw10 = le32_store(bad->cdw10);
	sqe.cdw11 = le32_store(bad->cdw11);
	sqe.cdw12 = le32_store(bad->cdw12);
	sqe.sgl.address = le64_store(bad->sgl_offset);
	sqe.sgl.length = le32_store(bad->sgl_bytes);
	sqe.sgl.type = bad->sgl_type;
	(void)host_command(&fixture.host, &sqe, capsule, bad->capsule_bytes);
}

static void a_wrong_command_gets_its_status(void **state)
{
	const struct bad_command *bad = *state;

	for (int digests = 0; digests < 2; digests++) {
		fixture_enter(STATE_IO, digests != 0);
		bad_command_send(bad);
		expect_status(fixture.host.cid, bad->status);
		expect_in_step(STATE_IO);
		fixture_leave();
	}
}

/* ---- generated: an opcode by the values of one field ---- */

static struct bad_command generated[400];
static size_t generated_count;

static void generate(struct catalogue *catalogue, struct bad_command row)
{
	struct bad_command *kept = &generated[generated_count++];

	if (generated_count == sizeof(generated) / sizeof(generated[0])) {
		(void)fprintf(stderr, "there are too many generated rows\n");
		exit(2);
	}
	row.flags |= SGL;
	*kept = row;
	catalogue_add(catalogue, kept->name, a_wrong_command_gets_its_status, kept);
}

static const struct known_opcode {
	const char *name;
	uint8_t opcode;
	bool takes_data;
} known_opcodes[] = {
	{"flush", NVME_FLUSH, false},	 {"write", WRITE, true},
	{"read", READ, false},		 {"compare", COMPARE, true},
	{"write zeroes", ZEROES, false}, {"dataset management", DSM, true},
	{"register", REGISTER, true},	 {"report", REPORT, false},
	{"acquire", ACQUIRE, true},	 {"release", RELEASE, true},
};

#define KNOWN_COUNT (sizeof(known_opcodes) / sizeof(known_opcodes[0]))

static void generate_namespaces(struct catalogue *catalogue)
{
	static const uint32_t nsids[] = {0, 2, 0x80000001, 0xfffffffe, 0xffffffff};

	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		for (size_t n = 0; n < sizeof(nsids) / sizeof(nsids[0]); n++) {
			const struct known_opcode *known = &known_opcodes[i];
			bool is_all = known->opcode == NVME_FLUSH && nsids[n] == NVME_NSID_ALL;

			generate(catalogue,
				 (struct bad_command){.name = name_format("%s of namespace %xh",
									  known->name, nsids[n]),
						      .opcode = known->opcode,
						      .nsid = nsids[n],
						      .sgl_type = T,
						      .status = is_all ? 0 : NSID});
		}
	}
}

static void generate_sgls(struct catalogue *catalogue)
{
	static const uint8_t types[] = {0x00, 0x02, 0x0f, 0x10, 0x20, 0x21, 0x30, 0x31,
					0x40, 0x4f, 0x50, 0x51, 0x5b, 0xf0, 0xff};

	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		for (size_t t = 0; t < sizeof(types); t++) {
			const struct known_opcode *known = &known_opcodes[i];
			uint32_t capsule = known->takes_data ? 512 : 0;

			if (i % 3 != t % 3 && known->opcode != READ && known->opcode != WRITE)
				continue; /* each type with some opcodes, with these two all */
			generate(catalogue,
				 (struct bad_command){.name = name_format("%s with SGL type %02xh",
									  known->name, types[t]),
						      .opcode = known->opcode,
						      .nsid = 1,
						      .sgl_type = types[t],
						      .sgl_bytes = 512,
						      .capsule_bytes = capsule,
						      .status = TYPE});
		}
	}
}

static void generate_ranges(struct catalogue *catalogue)
{
	static const uint8_t opcodes[] = {READ, WRITE, COMPARE, ZEROES};
	static const char *const names[] = {"read", "write", "compare", "write zeroes"};
	static const struct {
		const char *name;
		uint64_t first;
		uint32_t count;
	} ranges[] = {
		{"at the end", END, 1},
		{"over the end", END - 1, 2},
		{"256 blocks, 255 of them behind the end", END - 1, 256},
		{"at 2^32", 1ull << 32, 1},
		{"at 2^63", 1ull << 63, 1},
		{"at 2^64-1", ~0ull, 1},
		{"whose sum is 2^64", ~0ull - 7, 8},
		{"whose sum wraps", ~0ull - 3, 8},
	};

	for (size_t o = 0; o < sizeof(opcodes); o++) {
		for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
			generate(catalogue,
				 (struct bad_command){
					 .name = name_format("%s %s", names[o], ranges[r].name),
					 .opcode = opcodes[o],
					 .nsid = 1,
					 .cdw10 = (uint32_t)ranges[r].first,
					 .cdw11 = (uint32_t)(ranges[r].first >> 32),
					 .cdw12 = ranges[r].count - 1,
					 .sgl_type = T,
					 .sgl_bytes =
						 opcodes[o] == ZEROES ? 0 : ranges[r].count * 512,
					 .status = RANGE});
		}
	}
}

static void generate_opcodes(struct catalogue *catalogue)
{
	static const uint8_t unknown[] = {0x03, 0x04, 0x06, 0x07, 0x0a, 0x0b, 0x0c, 0x0f,
					  0x10, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x19,
					  0x1a, 0x1d, 0x40, 0x79, 0x7d, 0x7e, 0x80, 0x81,
					  0x82, 0x83, 0xc1, 0xfe, 0xff};

	for (size_t i = 0; i < sizeof(unknown); i++) {
		/* With data in the capsule where the opcode says that there is some. */
		uint32_t capsule = (unknown[i] & 3) == NVME_DATA_TO_CONTROLLER ? 512 : 0;

		generate(catalogue,
			 (struct bad_command){.name = name_format("I/O opcode %02xh", unknown[i]),
					      .opcode = unknown[i],
					      .nsid = 1,
					      .sgl_type = capsule > 0 ? C : T,
					      .sgl_bytes = capsule,
					      .capsule_bytes = capsule,
					      .status = OPCODE});
	}
}

/* ---- what takes more than one command ---- */

static void data_behind_an_offset_in_the_capsule_is_the_data(void **state)
{
	struct nvme_sqe sqe = host_rw(WRITE, 3, 1);
	uint8_t capsule[4 + 512], read[512];

	(void)state;
	for (int digests = 0; digests < 2; digests++) {
		fixture_enter(STATE_IO, digests != 0);
		memset(capsule, 0xee, 4);
		memset(capsule + 4, 0x31 + digests, 512);
		host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, 512);
		sqe.sgl.address = le64_store(4);
		expect_status(host_command(&fixture.host, &sqe, capsule, sizeof(capsule)), 0);
		assert_int_equal(host_read(&fixture.host, 3, read, sizeof(read)), 0);
		assert_memory_equal(read, capsule + 4, sizeof(read));
		fixture_leave();
	}
}

struct bad_range {
	const char *name;
	uint64_t first;
	uint32_t count;
	uint16_t status;
};

static const struct bad_range range_rows[] = {
	{"deallocate at the end", END, 1, RANGE},
	{"deallocate over the end", END - 1, 2, RANGE},
	{"deallocate 2^32-1 blocks", 0, ~0u, RANGE},
	{"deallocate at 2^64-1", ~0ull, 1, RANGE},
	{"deallocate whose sum wraps", ~0ull - 3, 8, RANGE},
	{"deallocate 0 blocks", 0, 0, 0},
	{"deallocate 0 blocks behind the end", END + 1, 0, RANGE},
};

/* All ranges are looked at before the first is touched. */
static void a_wrong_range_deallocates_nothing(void **state)
{
	const struct bad_range *bad = *state;
	struct nvme_dsm_range ranges[2] = {
		{.first_block = le64_store(7), .block_count = le32_store(1)}};
	struct nvme_dsm dsm = {.range_count = 2, .is_deallocate = true};
	struct nvme_sqe sqe;
	uint8_t bytes[512];

	fixture_enter(STATE_IO, false);
	memset(bytes, 0x66, sizeof(bytes));
	assert_int_equal(host_write(&fixture.host, 7, bytes, sizeof(bytes)), 0);
	ranges[1].first_block = le64_store(bad->first);
	ranges[1].block_count = le32_store(bad->count);
	nvme_dsm_encode(&sqe, 1, &dsm);
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, sizeof(ranges));
	expect_status(host_command(&fixture.host, &sqe, ranges, sizeof(ranges)), bad->status);
	assert_int_equal(host_read(&fixture.host, 7, bytes, sizeof(bytes)), 0);
	assert_int_equal(bytes[0], bad->status == 0 ? 0 : 0x66);
	fixture_leave();
}

static void a_command_id_in_use_is_a_conflict(void **state)
{
	struct nvme_sqe sqe = host_rw(READ, 0, 1);

	(void)state;
	fixture_enter(STATE_WAITING, false);
	host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, 512);
	fixture.host.cid--; /* the one of the write that waits for its data */
	expect_status(host_command(&fixture.host, &sqe, NULL, 0), NVME_STATUS_COMMAND_ID_CONFLICT);
	fixture_leave();
}

/* The write with the id first comes to its end all the same. */
static void a_command_id_in_use_does_not_harm_its_owner(void **state)
{
	static const uint8_t data[16384];
	struct nvme_sqe sqe = host_rw(WRITE, 9, 1);
	struct nvme_tcp_transfer transfer = {.length = sizeof(data)};
	uint8_t capsule[512] = {0};

	(void)state;
	fixture_enter(STATE_WAITING, false);
	for (int i = 0; i < 10; i++) {
		fixture.host.cid = (uint16_t)(fixture.cid - 1);
		host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, sizeof(capsule));
		expect_status(host_command(&fixture.host, &sqe, capsule, sizeof(capsule)),
			      NVME_STATUS_COMMAND_ID_CONFLICT);
	}
	transfer.cid = fixture.cid;
	transfer.tag = fixture.tag;
	host_data(&fixture.host, &transfer, data, true);
	expect_status(fixture.cid, 0);
	expect_in_step(STATE_IO);
	fixture_leave();
}

static void more_commands_than_entries(uint32_t count, bool is_too_many)
{
	struct nvme_sqe sqe = host_rw(WRITE, 0, 16);

	fixture_enter(STATE_IO, false);
	for (uint32_t i = 0; i < count; i++) {
		host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, 8192);
		(void)host_command(&fixture.host, &sqe, NULL, 0);
	}
	for (uint32_t i = 0; i < 32; i++)
		(void)expect_r2t();
	if (is_too_many) {
		static struct pdu pdu;
		const struct nvme_tcp_term *term = (const void *)pdu.header;

		host_receive_pdu(&fixture.host, &pdu);
		assert_int_equal(term->common.type, NVME_TCP_C2H_TERM);
		assert_int_equal(le16_load(term->fes), NVME_TCP_FES_SEQUENCE);
		assert_true(host_is_closed_within(&fixture.host, 1000));
	}
	fixture_leave();
}

static void as_many_commands_as_entries_are_fine(void **state)
{
	(void)state;
	more_commands_than_entries(32, false);
}

static void one_command_more_than_entries_ends_the_connection(void **state)
{
	(void)state;
	more_commands_than_entries(33, true);
}

static void twice_as_many_commands_as_entries_end_the_connection(void **state)
{
	(void)state;
	more_commands_than_entries(64, true);
}

/* The first half waits; whatever comes instead of the second one, both are told. */
static void a_first_half_without_its_second_is_told(void **state)
{
	struct nvme_sqe first = host_rw(COMPARE, 0, 1);
	struct nvme_sqe other = host_rw(READ, 0, 1);
	uint8_t data[512] = {0};
	uint16_t cid;

	(void)state;
	fixture_enter(STATE_IO, false);
	first.flags |= 1;
	host_sgl(&first, NVME_DATA_PLACE_CAPSULE, sizeof(data));
	cid = host_command(&fixture.host, &first, data, sizeof(data));
	host_sgl(&other, NVME_DATA_PLACE_NONE, 0);
	other.opcode = 0x7e;
	(void)host_command(&fixture.host, &other, NULL, 0);
	expect_two(cid, NVME_STATUS_ABORTED_MISSING_FUSED, NVME_STATUS_INVALID_OPCODE);
	expect_in_step(STATE_IO);
	fixture_leave();
}

static void halves_over_other_blocks_are_refused_both(void **state)
{
	struct nvme_sqe first = host_rw(COMPARE, 0, 1);
	struct nvme_sqe second = host_rw(WRITE, 1, 1);
	uint8_t data[512] = {0};
	uint16_t cid;

	(void)state;
	fixture_enter(STATE_IO, false);
	first.flags |= 1;
	second.flags |= 2;
	host_sgl(&first, NVME_DATA_PLACE_CAPSULE, sizeof(data));
	host_sgl(&second, NVME_DATA_PLACE_CAPSULE, sizeof(data));
	cid = host_command(&fixture.host, &first, data, sizeof(data));
	(void)host_command(&fixture.host, &second, data, sizeof(data));
	expect_two(cid, NVME_STATUS_ABORTED_MISSING_FUSED, NVME_STATUS_INVALID_FIELD);
	expect_in_step(STATE_IO);
	fixture_leave();
}

static void a_host_that_goes_between_two_halves_leaves_nothing(void **state)
{
	struct nvme_sqe first = host_rw(COMPARE, 0, 1);
	uint8_t data[512] = {0};

	(void)state;
	fixture_enter(STATE_IO, false);
	first.flags |= 1;
	host_sgl(&first, NVME_DATA_PLACE_CAPSULE, sizeof(data));
	(void)host_command(&fixture.host, &first, data, sizeof(data));
	stage_run_ms(&fixture.stage, 1);
	fixture_leave();
}

/* ---- reservations ---- */

#define REGISTRANTS 64

static uint16_t reserve(struct host *host, const struct nvme_reservation *reservation)
{
	struct nvme_sqe sqe;
	uint8_t data[16];

	nvme_reservation_encode(&sqe, 1, reservation, data);
	return host_run(host, &sqe, data, nvme_reservation_data_bytes((uint8_t)reservation->opcode),
			NULL);
}

/* Host @id, for as long as its I/O queue is open. */
static void registrant_open(struct host *admin, struct host *host, uint8_t id)
{
	memset(admin, 0, sizeof(*admin));
	memset(host, 0, sizeof(*host));
	admin->id = id;
	host_admin(&fixture.stage, admin);
	host_io(&fixture.stage, host, admin);
}

/* As many hosts as there is room for, and one more; then the first one throws all others out. */
static void registrants_beyond_the_array_are_refused(void **state)
{
	struct nvme_reservation reservation = {.opcode = NVME_RESERVATION_REGISTER, .other_key = 1};
	struct host admin, host;

	(void)state;
	fixture_enter(STATE_IO, false); /* host 1 */
	for (uint8_t id = 2; id <= REGISTRANTS + 1; id++) {
		registrant_open(&admin, &host, id);
		reservation.other_key = id;
		assert_int_equal(reserve(&host, &reservation), 0);
		host_close(&host);
		host_close(&admin);
	}
	reservation.other_key = 1;
	assert_int_equal(reserve(&fixture.host, &reservation), NVME_STATUS_INTERNAL_ERROR);
	witness_rest(); /* it is no registrant */
	registrant_open(&admin, &host, 2);
	reservation = (struct nvme_reservation){.opcode = NVME_RESERVATION_ACQUIRE,
						.current_key = 2,
						.type = NVME_RESERVATION_WRITE_EXCLUSIVE_ALL};
	assert_int_equal(reserve(&host, &reservation), 0);
	reservation.action = NVME_RESERVATION_PREEMPT;
	assert_int_equal(reserve(&host, &reservation), 0);
	reservation = (struct nvme_reservation){.opcode = NVME_RESERVATION_RELEASE,
						.action = NVME_RESERVATION_CLEAR,
						.current_key = 2};
	assert_int_equal(reserve(&host, &reservation), 0);
	witness_go_on();
	host_close(&host);
	host_close(&admin);
	expect_in_step(STATE_IO);
	fixture_leave();
}

static void a_host_fenced_by_a_reservation_writes_nothing(void **state)
{
	struct nvme_reservation reservation = {.opcode = NVME_RESERVATION_REGISTER, .other_key = 7};
	struct host admin, host;
	uint8_t bytes[512] = {0};

	(void)state;
	fixture_enter(STATE_IO, false);
	registrant_open(&admin, &host, 3);
	assert_int_equal(reserve(&host, &reservation), 0);
	reservation = (struct nvme_reservation){.opcode = NVME_RESERVATION_ACQUIRE,
						.current_key = 7,
						.type = NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL};
	witness_rest();
	assert_int_equal(reserve(&host, &reservation), 0);
	assert_int_equal(host_write(&fixture.host, 0, bytes, 512),
			 NVME_STATUS_RESERVATION_CONFLICT);
	assert_int_equal(host_read(&fixture.host, 0, bytes, 512), NVME_STATUS_RESERVATION_CONFLICT);
	reservation = (struct nvme_reservation){.opcode = NVME_RESERVATION_RELEASE,
						.action = NVME_RESERVATION_CLEAR,
						.current_key = 7};
	assert_int_equal(reserve(&host, &reservation), 0);
	witness_go_on();
	host_close(&host);
	host_close(&admin);
	expect_in_step(STATE_IO);
	fixture_leave();
}

int main(int argc, char **argv)
{
	static struct catalogue catalogue;

	CATALOGUE_ADD_ROWS(&catalogue, length_rows, a_wrong_command_gets_its_status);
	CATALOGUE_ADD_ROWS(&catalogue, field_rows, a_wrong_command_gets_its_status);
	generate_opcodes(&catalogue);
	generate_namespaces(&catalogue);
	generate_sgls(&catalogue);
	generate_ranges(&catalogue);
	CATALOGUE_ADD_ROWS(&catalogue, range_rows, a_wrong_range_deallocates_nothing);
	CATALOGUE_ADD(&catalogue, data_behind_an_offset_in_the_capsule_is_the_data);
	CATALOGUE_ADD(&catalogue, a_command_id_in_use_is_a_conflict);
	CATALOGUE_ADD(&catalogue, a_command_id_in_use_does_not_harm_its_owner);
	CATALOGUE_ADD(&catalogue, as_many_commands_as_entries_are_fine);
	CATALOGUE_ADD(&catalogue, one_command_more_than_entries_ends_the_connection);
	CATALOGUE_ADD(&catalogue, twice_as_many_commands_as_entries_end_the_connection);
	CATALOGUE_ADD(&catalogue, a_first_half_without_its_second_is_told);
	CATALOGUE_ADD(&catalogue, halves_over_other_blocks_are_refused_both);
	CATALOGUE_ADD(&catalogue, a_host_that_goes_between_two_halves_leaves_nothing);
	CATALOGUE_ADD(&catalogue, registrants_beyond_the_array_are_refused);
	CATALOGUE_ADD(&catalogue, a_host_fenced_by_a_reservation_writes_nothing);
	return catalogue_main(&catalogue, argc, argv, fixture_start, fixture_end);
}

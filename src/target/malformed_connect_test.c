/* SPDX-License-Identifier: Apache-2.0 */
/* malformed_connect_test.c - Fabrics commands that are wrong: Connect field by field, properties,
 * Disconnect, authentication, and commands that come before their time.
 *
 * Goal: each gets the status of NVMe base 2.0, sections 3.3 and 6, with the place of the wrong
 * field where Connect has to name it; a refused Connect may be tried again on the same connection.
 * Method: a row is one field of an otherwise right command (test_fixture.h).
 */
#include "nvme/test_catalogue.h"
#include "target/test_fixture.h"

#define IN_DATA	   0x10000u
#define PARAMETERS NVMF_STATUS_CONNECT_INVALID_PARAMETERS
#define LENGTH	   NVME_STATUS_SGL_DATA_LENGTH_INVALID
#define OFFSET	   NVME_STATUS_SGL_OFFSET_INVALID
#define TYPE	   NVME_STATUS_SGL_TYPE_INVALID
#define FIELD	   NVME_STATUS_INVALID_FIELD
#define SEQUENCE   NVME_STATUS_COMMAND_SEQUENCE_ERROR
#define OPCODE	   NVME_STATUS_INVALID_OPCODE
#define QUEUE_TYPE NVMF_STATUS_INVALID_QUEUE_TYPE

/* ---- Connect ---- */

enum field {
	F_CNTLID,
	F_QID,
	F_SQSIZE,
	F_SUBNQN,
	F_HOSTNQN,
	F_HOSTID,
	F_FORMAT,
	F_ATTRIBUTES,
	F_KATO,
	F_RESERVED,
	F_FLAGS,
	F_SGL_TYPE,
	F_SGL_LENGTH, /* the capsule has 1024 bytes all the same */
	F_SGL_ADDRESS,
	F_CAPSULE, /* this many bytes, and the SGL says so */
	F_TAIL,	   /* bytes in front of the data, that the SGL's offset skips */
};

struct bad_connect {
	const char *name;
	uint16_t qid; /* 1: with a good admin queue before */
	enum field field;
	uint32_t value;
	const char *text; /* of a name; NULL: @value bytes 'n' without an end */
	uint16_t status;
	uint32_t result;
};

#define NQN "nqn.2014-08.org.example:"

static const struct bad_connect connect_rows[] = {
	{"Connect: admin with controller 0", 0, F_CNTLID, 0, NULL, PARAMETERS, IN_DATA | 16},
	{"Connect: admin with controller 5", 0, F_CNTLID, 5, NULL, PARAMETERS, IN_DATA | 16},
	{"Connect: admin with controller fff0h", 0, F_CNTLID, 0xfff0, NULL, PARAMETERS,
	 IN_DATA | 16},
	{"Connect: admin with the static controller", 0, F_CNTLID, 0xfffe, NULL, PARAMETERS,
	 IN_DATA | 16},
	{"Connect: I/O with controller 0", 1, F_CNTLID, 0, NULL, PARAMETERS, IN_DATA | 16},
	{"Connect: I/O with an unknown controller", 1, F_CNTLID, 0x7777, NULL, PARAMETERS,
	 IN_DATA | 16},
	{"Connect: I/O with any controller", 1, F_CNTLID, 0xffff, NULL, PARAMETERS, IN_DATA | 16},
	{"Connect: I/O with the static controller", 1, F_CNTLID, 0xfffe, NULL, PARAMETERS,
	 IN_DATA | 16},
	{"Connect: queue 31, the last", 1, F_QID, 31, NULL, 0, 0},
	{"Connect: queue 32", 1, F_QID, 32, NULL, PARAMETERS, 42},
	{"Connect: queue 256", 1, F_QID, 256, NULL, PARAMETERS, 42},
	{"Connect: queue 32768", 1, F_QID, 0x8000, NULL, PARAMETERS, 42},
	{"Connect: queue 65535", 1, F_QID, 65535, NULL, PARAMETERS, 42},
	{"Connect: an I/O queue of 1 entry", 1, F_SQSIZE, 0, NULL, PARAMETERS, 44},
	{"Connect: an I/O queue of 2 entries", 1, F_SQSIZE, 1, NULL, 0, 0},
	{"Connect: an I/O queue of 32 entries", 1, F_SQSIZE, 31, NULL, 0, 0},
	{"Connect: an I/O queue of 33 entries", 1, F_SQSIZE, 32, NULL, PARAMETERS, 44},
	{"Connect: an I/O queue of 65536 entries", 1, F_SQSIZE, 65535, NULL, PARAMETERS, 44},
	{"Connect: an admin queue of 1 entry", 0, F_SQSIZE, 0, NULL, PARAMETERS, 44},
	{"Connect: an admin queue of 33 entries", 0, F_SQSIZE, 32, NULL, PARAMETERS, 44},
	{"Connect: an admin queue of 32769 entries", 0, F_SQSIZE, 0x8000, NULL, PARAMETERS, 44},
	{"Connect: an admin queue of 65536 entries", 0, F_SQSIZE, 65535, NULL, PARAMETERS, 44},
	{"Connect: unknown subsystem", 0, F_SUBNQN, 0, "nqn.2019-05.io.openebs:nobody", PARAMETERS,
	 IN_DATA | 256},
	{"Connect: the subsystem in capitals", 0, F_SUBNQN, 0, "nqn.2019-05.io.openebs:STAGE",
	 PARAMETERS, IN_DATA | 256},
	{"Connect: the subsystem and a blank", 0, F_SUBNQN, 0, "nqn.2019-05.io.openebs:stage ",
	 PARAMETERS, IN_DATA | 256},
	{"Connect: empty subsystem", 0, F_SUBNQN, 0, "", PARAMETERS, IN_DATA | 256},
	{"Connect: subsystem 'nqn.'", 0, F_SUBNQN, 0, "nqn.", PARAMETERS, IN_DATA | 256},
	{"Connect: subsystem with a line feed", 0, F_SUBNQN, 0, NQN "a\nb", PARAMETERS,
	 IN_DATA | 256},
	{"unterminated names: subsystem of 224", 0, F_SUBNQN, 224, NULL, PARAMETERS, IN_DATA | 256},
	{"unterminated names: subsystem of 255", 0, F_SUBNQN, 255, NULL, PARAMETERS, IN_DATA | 256},
	{"unterminated names: subsystem of 256", 0, F_SUBNQN, 256, NULL, PARAMETERS, IN_DATA | 256},
	{"Connect: empty host", 0, F_HOSTNQN, 0, "", PARAMETERS, IN_DATA | 512},
	{"Connect: host without 'nqn.'", 0, F_HOSTNQN, 0, "iqn.2014-08.org:h1", PARAMETERS,
	 IN_DATA | 512},
	{"Connect: host with a control character", 0, F_HOSTNQN, 0, NQN "\x1b[2J", PARAMETERS,
	 IN_DATA | 512},
	{"Connect: host with DEL", 0, F_HOSTNQN, 0, NQN "\x7f", PARAMETERS, IN_DATA | 512},
	{"Connect: host with half a character", 0, F_HOSTNQN, 0, NQN "\xc3", PARAMETERS,
	 IN_DATA | 512},
	{"Connect: host with an overlong form", 0, F_HOSTNQN, 0, NQN "\xc0\xaf", PARAMETERS,
	 IN_DATA | 512},
	{"Connect: host with a surrogate", 0, F_HOSTNQN, 0, NQN "\xed\xa0\x80", PARAMETERS,
	 IN_DATA | 512},
	{"Connect: host with a percent sign", 0, F_HOSTNQN, 0, NQN "%s%n%x", 0, 0},
	{"unterminated names: host of 224", 0, F_HOSTNQN, 224, NULL, PARAMETERS, IN_DATA | 512},
	{"unterminated names: host of 255", 0, F_HOSTNQN, 255, NULL, PARAMETERS, IN_DATA | 512},
	{"unterminated names: host of 256", 0, F_HOSTNQN, 256, NULL, PARAMETERS, IN_DATA | 512},
	{"Connect: another host's controller", 1, F_HOSTNQN, 0, NQN "other", PARAMETERS,
	 IN_DATA | 512},
	{"Connect: a longer name's controller", 1, F_HOSTNQN, 0, NQN "h1x", PARAMETERS,
	 IN_DATA | 512},
	{"Connect: another host id's controller", 1, F_HOSTID, 9, NULL, PARAMETERS, IN_DATA},
	{"Connect: record format 1", 0, F_FORMAT, 1, NULL, 0x180, 0},
	{"Connect: record format 65535", 0, F_FORMAT, 65535, NULL, 0x180, 0},
	{"Connect: reserved attributes", 0, F_ATTRIBUTES, 0xf8, NULL, 0, 0},
	{"Connect: reserved bytes", 0, F_RESERVED, 0xff, NULL, 0, 0},
	{"Connect: keep-alive 2^32-1 ms", 0, F_KATO, 0xffffffff, NULL, 0, 0},
	{"Connect: keep-alive 1 ms", 0, F_KATO, 1, NULL, 0, 0},
	{"Connect: PRPs", 0, F_FLAGS, 0, NULL, FIELD, 0},
	{"Connect: PSDT 2", 0, F_FLAGS, 0x80, NULL, FIELD, 0},
	{"Connect: PSDT 3", 0, F_FLAGS, 0xc0, NULL, FIELD, 0},
	{"Connect: first half of two", 0, F_FLAGS, 0x41, NULL, FIELD, 0},
	{"Connect: second half of two", 0, F_FLAGS, 0x42, NULL, FIELD, 0},
	{"Connect: SGL type 0", 0, F_SGL_TYPE, 0, NULL, TYPE, 0},
	{"Connect: SGL keyed", 0, F_SGL_TYPE, 0x40, NULL, TYPE, 0},
	{"Connect: SGL segment", 0, F_SGL_TYPE, 0x21, NULL, TYPE, 0},
	{"Connect: SGL bit bucket", 0, F_SGL_TYPE, 0x10, NULL, TYPE, 0},
	{"Connect: SGL vendor", 0, F_SGL_TYPE, 0xff, NULL, TYPE, 0},
	{"Connect: SGL transport with capsule data", 0, F_SGL_TYPE, 0x5a, NULL, LENGTH, 0},
	{"in-capsule size is not the SGL's: 0", 0, F_SGL_LENGTH, 0, NULL, LENGTH, 0},
	{"in-capsule size is not the SGL's: 1023", 0, F_SGL_LENGTH, 1023, NULL, LENGTH, 0},
	{"in-capsule size is not the SGL's: 1025", 0, F_SGL_LENGTH, 1025, NULL, LENGTH, 0},
	{"in-capsule size is not the SGL's: 8192", 0, F_SGL_LENGTH, 8192, NULL, LENGTH, 0},
	{"in-capsule size is not the SGL's: 2^31", 0, F_SGL_LENGTH, 0x80000000, NULL, LENGTH, 0},
	{"in-capsule size is not the SGL's: 2^32-1", 0, F_SGL_LENGTH, ~0u, NULL, LENGTH, 0},
	{"Connect: SGL offset 4", 0, F_SGL_ADDRESS, 4, NULL, LENGTH, 0},
	{"Connect: SGL offset 1024", 0, F_SGL_ADDRESS, 1024, NULL, LENGTH, 0},
	{"Connect: SGL offset 1025", 0, F_SGL_ADDRESS, 1025, NULL, OFFSET, 0},
	{"Connect: SGL offset 2^32-1", 0, F_SGL_ADDRESS, ~0u, NULL, OFFSET, 0},
	{"Connect: 0 bytes", 0, F_CAPSULE, 0, NULL, LENGTH, 0},
	{"Connect: 4 bytes", 0, F_CAPSULE, 4, NULL, LENGTH, 0},
	{"Connect: 1020 bytes", 0, F_CAPSULE, 1020, NULL, LENGTH, 0},
	{"Connect: 1028 bytes", 0, F_CAPSULE, 1028, NULL, LENGTH, 0},
	{"Connect: 8192 bytes", 0, F_CAPSULE, 8192, NULL, LENGTH, 0},
	{"in-capsule data behind an offset: Connect's, 4", 0, F_TAIL, 4, NULL, 0, 0},
	{"in-capsule data behind an offset: Connect's, 1", 0, F_TAIL, 1, NULL, 0, 0},
	{"in-capsule data behind an offset: Connect's, 7168", 0, F_TAIL, 7168, NULL, 0, 0},
};

static void name_spoil(const struct bad_connect *bad, uint8_t *field)
{
	memset(field, 0, NVMF_NQN_FIELD_BYTES);
	if (bad->text != NULL) {
		memcpy(field, bad->text, strlen(bad->text));
		return;
	}
	memset(field, 'n', bad->value);
	memcpy(field, "nqn.", 4);
}

static void connect_spoil_data(const struct bad_connect *bad, struct nvmf_connect_data *data)
{
	switch ((int)bad->field) {
	case F_CNTLID:
		data->cntlid = le16_store((uint16_t)bad->value);
		break;
	case F_SUBNQN:
		name_spoil(bad, data->subnqn);
		break;
	case F_HOSTNQN:
		name_spoil(bad, data->hostnqn);
		break;
	case F_HOSTID:
		memset(data->host_id, (int)bad->value, sizeof(data->host_id));
		break;
	case F_RESERVED:
		memset(data->reserved18, (int)bad->value, sizeof(data->reserved18));
		memset(data->reserved776, (int)bad->value, sizeof(data->reserved776));
		break;
	default:
		break;
	}
}

static void connect_spoil_command(const struct bad_connect *bad,
				  struct nvmf_connect_command *command)
{
	uint16_t half = (uint16_t)bad->value;

	switch ((int)bad->field) {
	case F_QID:
		command->qid = le16_store(half);
		break;
	case F_SQSIZE:
		command->sqsize = le16_store(half);
		break;
	case F_FORMAT:
		command->record_format = le16_store(half);
		break;
	case F_ATTRIBUTES:
		command->attributes = (uint8_t)bad->value;
		break;
	case F_KATO:
		command->kato_ms = le32_store(bad->value);
		break;
	case F_RESERVED:
		memset(command->reserved5, (int)bad->value, sizeof(command->reserved5));
		command->reserved47 = (uint8_t)bad->value;
		memset(command->reserved52, (int)bad->value, sizeof(command->reserved52));
		break;
	case F_FLAGS:
		command->flags = (uint8_t)bad->value;
		break;
	case F_SGL_TYPE:
		command->sgl.type = (uint8_t)bad->value;
		break;
	case F_SGL_LENGTH:
	case F_CAPSULE:
		command->sgl.length = le32_store(bad->value);
		break;
	case F_SGL_ADDRESS:
	case F_TAIL:
		command->sgl.address = le64_store(bad->value);
		break;
	default:
		break;
	}
}

/* Return: its cid. */
static uint16_t bad_connect_send(const struct bad_connect *bad)
{
	static uint8_t capsule[8192];
	struct nvmf_connect connect = host_connect_default(&fixture.host, bad->qid);
	struct nvmf_connect_data data;
	struct nvme_sqe sqe;
	uint32_t bytes = sizeof(data), front = 0;

	nvmf_connect_encode(&sqe, &connect, &data);
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, sizeof(data));
	connect_spoil_data(bad, &data);
	connect_spoil_command(bad, (struct nvmf_connect_command *)&sqe);
	if (bad->field == F_CAPSULE)
		bytes = bad->value;
	if (bad->field == F_TAIL)
		front = bad->value;
	memset(capsule, 0xee, sizeof(capsule));
	memcpy(capsule + front, &data, sizeof(data));
	return host_command(&fixture.host, &sqe, capsule, front + bytes);
}

/* Behind a refusal the right Connect is taken, on the same connection. */
static void connect_again(uint16_t qid)
{
	struct nvmf_connect connect = host_connect_default(&fixture.host, qid);
	uint32_t result;

	assert_int_equal(host_connect_with(&fixture.host, &connect, &result), 0);
}

static void a_wrong_connect_says_what_is_wrong(void **state)
{
	const struct variant *variant = *state;
	const struct bad_connect *bad = variant->row;
	struct nvme_status_field status;
	uint16_t cid, answered;
	uint64_t result;

	fixture_enter(STATE_READY, variant->has_digests);
	if (bad->qid != 0) {
		host_admin(&fixture.stage, &fixture.admin);
		fixture.host.cntlid = fixture.admin.cntlid;
	}
	cid = bad_connect_send(bad);
	status = host_response(&fixture.host, &result, &answered);
	if (status.status != bad->status || (bad->status != 0 && (uint32_t)result != bad->result))
		fail_msg("status %03x result %x instead of %03x %x", status.status,
			 (unsigned)result, bad->status, bad->result);
	assert_int_equal(answered, cid);
	if (bad->status != 0)
		connect_again(bad->qid);
	fixture_leave();
}

/* ---- what is not Connect, too early or on the wrong queue ---- */

struct bad_fabrics {
	const char *name;
	enum fixture_state state;
	uint8_t type;
	uint8_t capsule_bytes; /* of data */
	uint16_t status;
};

static const struct bad_fabrics fabrics_rows[] = {
	{"Property Get before Connect", STATE_READY, NVMF_PROPERTY_GET, 0, SEQUENCE},
	{"Property Set before Connect", STATE_READY, NVMF_PROPERTY_SET, 0, SEQUENCE},
	{"Disconnect before Connect", STATE_READY, NVMF_DISCONNECT, 0, SEQUENCE},
	{"auth payload: send before Connect", STATE_READY, NVMF_AUTHENTICATION_SEND, 0, SEQUENCE},
	{"auth payload: 64 bytes before Connect", STATE_READY, NVMF_AUTHENTICATION_SEND, 64,
	 SEQUENCE},
	{"auth payload: receive before Connect", STATE_READY, NVMF_AUTHENTICATION_RECEIVE, 0,
	 SEQUENCE},
	{"unknown Fabrics type before Connect", STATE_READY, 0x7c, 0, SEQUENCE},
	{"Connect on a connected admin queue", STATE_ADMIN, NVMF_CONNECT, 0, SEQUENCE},
	{"Connect on a connected I/O queue", STATE_IO, NVMF_CONNECT, 0, SEQUENCE},
	{"Property Get on an I/O queue", STATE_IO, NVMF_PROPERTY_GET, 0, SEQUENCE},
	{"Property Set on an I/O queue", STATE_IO, NVMF_PROPERTY_SET, 0, SEQUENCE},
	{"Disconnect of the admin queue", STATE_ADMIN, NVMF_DISCONNECT, 0, QUEUE_TYPE},
	{"Disconnect of a disabled admin queue", STATE_DISABLED, NVMF_DISCONNECT, 0, QUEUE_TYPE},
	{"auth payload: send", STATE_ADMIN, NVMF_AUTHENTICATION_SEND, 0, OPCODE},
	{"auth payload: 65 bytes", STATE_ADMIN, NVMF_AUTHENTICATION_SEND, 65, OPCODE},
	{"auth payload: receive", STATE_ADMIN, NVMF_AUTHENTICATION_RECEIVE, 0, OPCODE},
	{"auth payload: on an I/O queue", STATE_IO, NVMF_AUTHENTICATION_SEND, 0, OPCODE},
	{"Fabrics type 02h", STATE_ADMIN, 2, 0, OPCODE},
	{"Fabrics type 7ch", STATE_IO, 0x7c, 0, OPCODE},
	{"Fabrics type c0h", STATE_ADMIN, 0xc0, 0, OPCODE},
	{"Fabrics type ffh", STATE_ADMIN, 0xff, 0, OPCODE},
};

static void a_fabrics_command_out_of_place_is_refused(void **state)
{
	static uint8_t data[256];
	const struct bad_fabrics *bad = *state;
	struct nvme_sqe sqe = {.opcode = NVMF_OPCODE};

	fixture_enter(bad->state, false);
	sqe.nsid = le32_store(bad->type); /* its lowest byte is the type's place */
	host_sgl(&sqe, bad->capsule_bytes > 0 ? NVME_DATA_PLACE_CAPSULE : NVME_DATA_PLACE_NONE,
		 bad->capsule_bytes);
	expect_status(host_command(&fixture.host, &sqe, data, bad->capsule_bytes), bad->status);
	expect_in_step(bad->state);
	fixture_leave();
}

/* ---- properties ---- */

struct bad_property {
	const char *name;
	bool is_set;
	uint8_t attributes;
	uint32_t offset;
	uint64_t value;
	uint16_t status;
};

static const struct bad_property property_rows[] = {
	{"property: CAP of 4 bytes", false, 0, 0x00, 0, FIELD},
	{"property: VS of 8 bytes", false, 1, 0x08, 0, FIELD},
	{"property: CC of 8 bytes", false, 1, 0x14, 0, FIELD},
	{"property: CSTS of 8 bytes", false, 1, 0x1c, 0, FIELD},
	{"property: size 2", false, 2, 0x14, 0, FIELD},
	{"property: size 7", false, 7, 0x14, 0, FIELD},
	{"property: reserved attributes", false, 0xf8, 0x14, 0, 0},
	{"property: upper half of CAP", false, 0, 0x04, 0, FIELD},
	{"property: INTMS", false, 0, 0x0c, 0, FIELD},
	{"property: between CC and CSTS", false, 0, 0x18, 0, FIELD},
	{"property: NSSR", false, 0, 0x20, 0, FIELD},
	{"property: ASQ", false, 1, 0x28, 0, FIELD},
	{"property: offset 1", false, 0, 1, 0, FIELD},
	{"property: offset 15h", false, 0, 0x15, 0, FIELD},
	{"property: offset 1000h", false, 0, 0x1000, 0, FIELD},
	{"property: offset 2^31", false, 0, 0x80000000, 0, FIELD},
	{"property: offset 2^32-4", false, 0, 0xfffffffc, 0, FIELD},
	{"property: offset 2^32-1", false, 1, 0xffffffff, 0, FIELD},
	{"property: set CAP", true, 1, 0x00, ~0ull, FIELD},
	{"property: set VS", true, 0, 0x08, 0, FIELD},
	{"property: set CSTS", true, 0, 0x1c, 0, FIELD},
	{"property: set NSSR", true, 0, 0x20, 0x4e564d65, FIELD},
	{"property: set CC with 8 bytes", true, 1, 0x14, 0x460001, FIELD},
	{"property: set with size 3", true, 3, 0x14, 0x460001, FIELD},
	{"property: set at 2^32-1", true, 0, 0xffffffff, 0, FIELD},
};

static uint16_t property_send(const struct bad_property *bad)
{
	struct nvmf_property_command command = {.opcode = NVMF_OPCODE,
						.type = bad->is_set ? NVMF_PROPERTY_SET
								    : NVMF_PROPERTY_GET,
						.attributes = bad->attributes,
						.offset = le32_store(bad->offset),
						.value = le64_store(bad->value)};
	struct nvme_sqe sqe;

	memcpy(&sqe, &command, sizeof(sqe));
	host_sgl(&sqe, NVME_DATA_PLACE_NONE, 0);
	return host_command(&fixture.host, &sqe, NULL, 0);
}

static void a_wrong_property_is_an_invalid_field(void **state)
{
	const struct bad_property *bad = *state;

	fixture_enter(STATE_ADMIN, false);
	expect_status(property_send(bad), bad->status);
	expect_in_step(STATE_ADMIN);
	fixture_leave();
}

struct bad_cc {
	const char *name;
	uint32_t cc;
};

static const struct bad_cc cc_rows[] = {
	{"enable with pages of 8 KiB", NVMF_CC_ENABLE | 1u << NVMF_CC_MPS_SHIFT},
	{"enable with pages of 128 MiB", NVMF_CC_ENABLE | 15u << NVMF_CC_MPS_SHIFT},
	{"enable with all command sets", NVMF_CC_ENABLE | 6u << NVMF_CC_CSS_SHIFT},
	{"enable with the admin commands alone", NVMF_CC_ENABLE | 7u << NVMF_CC_CSS_SHIFT},
	{"enable with weighted arbitration", NVMF_CC_ENABLE | 1u << NVMF_CC_AMS_SHIFT},
	{"enable with the vendor's arbitration", NVMF_CC_ENABLE | 7u << NVMF_CC_AMS_SHIFT},
	{"enable with all bits set", 0xffff3fff},
};

static uint64_t csts_read(void)
{
	struct nvmf_property_access access = {.offset = NVMF_PROPERTY_CSTS};
	struct nvme_sqe sqe;
	uint64_t csts;

	nvmf_property_get_encode(&sqe, &access);
	assert_int_equal(host_run(&fixture.host, &sqe, NULL, 0, &csts), 0);
	return csts;
}

/* Fatal status until the host has reset it; then it can be enabled well. */
static void an_impossible_enable_is_fatal_until_reset(void **state)
{
	const struct bad_cc *bad = *state;
	struct bad_property set = {.is_set = true, .offset = NVMF_PROPERTY_CC, .value = bad->cc};

	fixture_enter(STATE_DISABLED, false);
	expect_status(property_send(&set), 0);
	assert_int_equal(csts_read() & 3, NVMF_CSTS_FATAL);
	expect_in_step(STATE_DISABLED);
	set.value = 0;
	expect_status(property_send(&set), 0);
	assert_int_equal(csts_read() & 3, 0);
	host_enable(&fixture.host);
	assert_int_equal(csts_read() & 3, NVMF_CSTS_READY);
	expect_in_step(STATE_ADMIN);
	fixture_leave();
}

/* ---- order ---- */

static void an_io_queue_before_enable_is_out_of_sequence(void **state)
{
	struct nvmf_connect connect;
	uint32_t result;

	(void)state;
	fixture_enter(STATE_DISABLED, false);
	fixture.admin.cntlid = fixture.host.cntlid;
	host_open(&fixture.stage, &fixture.admin);
	host_icreq(&fixture.admin);
	connect = host_connect_default(&fixture.admin, 1);
	assert_int_equal(host_connect_with(&fixture.admin, &connect, &result), SEQUENCE);
	host_enable(&fixture.host);
	assert_int_equal(host_connect_with(&fixture.admin, &connect, &result), 0);
	fixture_leave();
}

static void a_queue_id_cannot_be_used_twice(void **state)
{
	struct nvmf_connect connect;
	struct host second = {0};
	uint32_t result;

	(void)state;
	fixture_enter(STATE_IO, false);
	second.cntlid = fixture.admin.cntlid;
	host_open(&fixture.stage, &second);
	host_icreq(&second);
	connect = host_connect_default(&second, 1);
	assert_int_equal(host_connect_with(&second, &connect, &result), PARAMETERS);
	assert_int_equal(result, 42);
	host_close(&second);
	fixture_leave();
}

static void a_discovery_controller_has_no_io_queues(void **state)
{
	struct nvmf_connect connect;
	uint32_t result;

	(void)state;
	fixture_enter(STATE_READY, false);
	connect = host_connect_default(&fixture.host, 0);
	(void)snprintf(connect.subnqn, sizeof(connect.subnqn), "%s", NVMF_DISCOVERY_NQN);
	assert_int_equal(host_connect_with(&fixture.host, &connect, &result), 0);
	host_open(&fixture.stage, &fixture.admin);
	host_icreq(&fixture.admin);
	connect.qid = 1;
	connect.cntlid = (uint16_t)result;
	assert_int_equal(host_connect_with(&fixture.admin, &connect, &result), QUEUE_TYPE);
	fixture_leave();
}

/* Moved to its subsystem's home once, a connection does not go anywhere else. */
static void a_refused_connect_cannot_name_another_subsystem(void **state)
{
	struct nvmf_connect connect;
	uint32_t result;

	(void)state;
	fixture_enter(STATE_READY, false);
	connect = host_connect_default(&fixture.host, 0);
	connect.cntlid = 3;
	assert_int_equal(host_connect_with(&fixture.host, &connect, &result), PARAMETERS);
	connect.cntlid = NVMF_CNTLID_ANY;
	(void)snprintf(connect.subnqn, sizeof(connect.subnqn), "%s", NVMF_DISCOVERY_NQN);
	assert_int_equal(host_connect_with(&fixture.host, &connect, &result), PARAMETERS);
	assert_int_equal(result, IN_DATA | 256);
	connect_again(0);
	fixture_leave();
}

/* Two Connects in one segment: the second finds the queue connected. */
static void a_second_connect_at_once_is_out_of_sequence(void **state)
{
	static uint8_t bytes[2 * (72 + 1024)];
	struct nvmf_connect connect;
	struct nvmf_connect_data data;
	struct nvme_tcp_frame frame = {.alignment = 4};
	struct nvme_sqe sqe;

	(void)state;
	fixture_enter(STATE_READY, false);
	connect = host_connect_default(&fixture.host, 0);
	nvmf_connect_encode(&sqe, &connect, &data);
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, sizeof(data));
	for (uint16_t i = 0; i < 2; i++) {
		uint8_t *at = bytes + i * (72 + 1024);

		sqe.cid = le16_store(i);
		nvme_tcp_command_encode((struct nvme_tcp_capsule_command *)at, &frame, &sqe,
					sizeof(data));
		memcpy(at + 72, &data, sizeof(data));
	}
	host_send(&fixture.host, bytes, sizeof(bytes));
	expect_status(0, 0);
	expect_status(1, SEQUENCE);
	fixture_leave();
}

/* ---- Connect whose data is asked for ---- */

/* A capsule with a transport SGL, and its data PDU under the tag that the R2T is going to have. */
static size_t connect_by_r2t(uint8_t *ret_bytes)
{
	struct nvmf_connect connect = host_connect_default(&fixture.host, 0);
	struct nvme_tcp_transfer transfer = {.tag = 1 << 11, .length = 1024};
	struct nvme_tcp_frame frame = {.alignment = 4};
	struct nvmf_connect_data data;
	struct nvme_sqe sqe;

	nvmf_connect_encode(&sqe, &connect, &data);
	host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, sizeof(data));
	nvme_tcp_command_encode((struct nvme_tcp_capsule_command *)ret_bytes, &frame, &sqe, 0);
	nvme_tcp_h2c_encode((struct nvme_tcp_data *)(ret_bytes + 72), &frame, &transfer, true);
	memcpy(ret_bytes + 72 + 24, &data, sizeof(data));
	return 72 + 24 + sizeof(data);
}

static void connect_data_before_its_r2t_is_refused(void **state)
{
	static uint8_t bytes[72 + 24 + 1024];

	(void)state;
	fixture_enter(STATE_READY, false);
	(void)connect_by_r2t(bytes);
	host_send(&fixture.host, bytes, sizeof(bytes));
	expect_r2t(); /* on its way already */
	memcpy(fixture.sent, bytes + 72, 24);
	fixture.sent_bytes = 24;
	expect_term(NVME_TCP_FES_INVALID_HEADER, 10);
	fixture_leave();
}

static void connect_data_may_be_asked_for(void **state)
{
	static uint8_t bytes[72 + 24 + 1024];

	(void)state;
	fixture_enter(STATE_READY, false);
	(void)connect_by_r2t(bytes);
	host_send(&fixture.host, bytes, 72);
	((struct nvme_tcp_data *)(bytes + 72))->ttag = le16_store(expect_r2t());
	host_send(&fixture.host, bytes + 72, sizeof(bytes) - 72);
	expect_status(0, 0);
	fixture_leave();
}

/* Freed once, whichever way it ends: twice would end the process. */
static void teardown_in_the_middle_of_connect(void **state)
{
	static uint8_t bytes[72 + 24 + 1024];

	(void)state;
	for (size_t cut = 72; cut <= sizeof(bytes); cut += 128) {
		fixture_enter(STATE_READY, false);
		(void)connect_by_r2t(bytes);
		host_send(&fixture.host, bytes, 72);
		host_send(&fixture.host, bytes + 72, cut - 72);
		fixture_leave();
	}
}

int main(int argc, char **argv)
{
	static struct catalogue catalogue;

	VARIANTS_ADD(&catalogue, connect_rows, a_wrong_connect_says_what_is_wrong);
	CATALOGUE_ADD_ROWS(&catalogue, fabrics_rows, a_fabrics_command_out_of_place_is_refused);
	CATALOGUE_ADD_ROWS(&catalogue, property_rows, a_wrong_property_is_an_invalid_field);
	CATALOGUE_ADD_ROWS(&catalogue, cc_rows, an_impossible_enable_is_fatal_until_reset);
	CATALOGUE_ADD(&catalogue, an_io_queue_before_enable_is_out_of_sequence);
	CATALOGUE_ADD(&catalogue, a_queue_id_cannot_be_used_twice);
	CATALOGUE_ADD(&catalogue, a_discovery_controller_has_no_io_queues);
	CATALOGUE_ADD(&catalogue, a_refused_connect_cannot_name_another_subsystem);
	CATALOGUE_ADD(&catalogue, a_second_connect_at_once_is_out_of_sequence);
	CATALOGUE_ADD(&catalogue, connect_data_before_its_r2t_is_refused);
	CATALOGUE_ADD(&catalogue, connect_data_may_be_asked_for);
	CATALOGUE_ADD(&catalogue, teardown_in_the_middle_of_connect);
	return catalogue_main(&catalogue, argc, argv, fixture_start, fixture_end);
}

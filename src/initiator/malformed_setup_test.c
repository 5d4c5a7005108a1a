/* SPDX-License-Identifier: Apache-2.0 */
/* malformed_setup_test.c - what a controller says about itself while it is connected to: handshake,
 * Connect, properties, Identify, features and logs, each field at its boundaries.
 *
 * Goal: what is impossible is refused with a sentence that says why and leaves nothing behind;
 * what is odd but legal is used within its limits, and the device does verified I/O.
 * Method: a fake controller answers rightly; a row changes one field of one answer, answers with a
 * status, nothing at all, or hangs up. A bystander does verified I/O meanwhile.
 */
#include "initiator/test_bystander.h"
#include "nvme/test_catalogue.h"

#define AT_CDW0	  8
#define AT_CDW1	  12
#define AT_CID	  20
#define AT_STATUS 22
#define PIECE_MAX 4096
#define TRIES_MS  400

enum place { /* which answer */
	     ICRESP,
	     CONNECT,
	     CAP,
	     VS,
	     CSTS,
	     ENABLE,
	     IDENTIFY_CONTROLLER,
	     QUEUES,
	     EVENTS,
	     LIST,
	     IDENTIFY_NAMESPACE,
	     DESCRIPTORS,
	     ANA,
	     PLACE_COUNT,
};

enum act {
	SET,	/* width bytes at an offset */
	SILENT, /* the answer never comes */
	HANG_UP,
};

enum outcome {
	WORKS,
	REFUSED, /* creating fails, with a sentence that has the text */
};

struct bad_setup {
	const char *name;
	enum place place;
	enum act act;
	uint32_t offset, width;
	uint64_t value;
	enum outcome outcome;
	const char *text;
};

#define FIELD(name, place, offset, width, value, text)                \
	{                                                             \
		name, place, SET, offset, width, value, REFUSED, text \
	}
#define FINE(name, place, offset, width, value)                   \
	{                                                         \
		name, place, SET, offset, width, value, WORKS, "" \
	}
/* Status code type and code in a CQE, without the phase tag. */
#define STATUS(name, place, status, text)                                              \
	{                                                                              \
		name, place, SET, AT_STATUS, 2, (uint64_t)(status) << 1, REFUSED, text \
	}
#define NEVER(name, place)                                \
	{                                                 \
		name, place, SILENT, 0, 0, 0, REFUSED, "" \
	}
#define HANGS_UP(name, place)                              \
	{                                                  \
		name, place, HANG_UP, 0, 0, 0, REFUSED, "" \
	}

static const struct bad_setup rows[] = {
	FIELD("ICResp: type 00h", ICRESP, 0, 1, 0x00, ""),
	FIELD("ICResp: type 05h", ICRESP, 0, 1, 0x05, ""),
	FIELD("ICResp: type 07h", ICRESP, 0, 1, 0x07, ""),
	FIELD("ICResp: type 09h", ICRESP, 0, 1, 0x09, ""),
	FIELD("ICResp: a terminate request instead", ICRESP, 0, 1, 0x03, ""),
	FIELD("ICResp: type ffh", ICRESP, 0, 1, 0xff, ""),
	FIELD("ICResp: flags", ICRESP, 1, 1, 0x01, ""),
	FIELD("ICResp: all flags", ICRESP, 1, 1, 0xff, ""),
	FIELD("ICResp: HLEN 0", ICRESP, 2, 1, 0, ""),
	FIELD("ICResp: HLEN 127", ICRESP, 2, 1, 127, ""),
	FIELD("ICResp: HLEN 129", ICRESP, 2, 1, 129, ""),
	FIELD("ICResp: HLEN 255", ICRESP, 2, 1, 255, ""),
	FINE("ICResp: PDO is reserved", ICRESP, 3, 1, 0xff),
	FIELD("ICResp: PLEN 0", ICRESP, 4, 4, 0, ""),
	FIELD("ICResp: PLEN 127", ICRESP, 4, 4, 127, ""),
	FIELD("ICResp: PLEN 129", ICRESP, 4, 4, 129, ""),
	FIELD("ICResp: PLEN 2^31", ICRESP, 4, 4, 0x80000000, ""),
	FIELD("ICResp: PLEN 2^32-1", ICRESP, 4, 4, UINT32_MAX, ""),
	FIELD("ICResp: PFV 1", ICRESP, 8, 2, 1, ""),
	FIELD("ICResp: PFV ffffh", ICRESP, 8, 2, 0xffff, ""),
	FINE("ICResp: CPDA 0", ICRESP, 10, 1, 0),
	FIELD("ICResp: CPDA 32", ICRESP, 10, 1, 32, ""),
	FIELD("ICResp: CPDA 255", ICRESP, 10, 1, 255, ""),
	FIELD("ICResp: header digest nobody asked for", ICRESP, 11, 1, 1, ""),
	FIELD("ICResp: data digest nobody asked for", ICRESP, 11, 1, 2, ""),
	FIELD("ICResp: both digests nobody asked for", ICRESP, 11, 1, 3, ""),
	FIELD("ICResp: reserved digest", ICRESP, 11, 1, 4, ""),
	FIELD("ICResp: MAXH2CDATA 0", ICRESP, 12, 4, 0, ""),
	FIELD("ICResp: MAXH2CDATA 4095", ICRESP, 12, 4, 4095, ""),
	FIELD("ICResp: MAXH2CDATA 4092", ICRESP, 12, 4, 4092, ""),
	FINE("ICResp: MAXH2CDATA 4096", ICRESP, 12, 4, 4096),
	FIELD("ICResp: MAXH2CDATA 4097", ICRESP, 12, 4, 4097, ""),
	FINE("ICResp: MAXH2CDATA 4100", ICRESP, 12, 4, 4100),
	FIELD("ICResp: MAXH2CDATA 2^32-1", ICRESP, 12, 4, UINT32_MAX, ""),
	FINE("ICResp: reserved bytes", ICRESP, 16, 8, UINT64_MAX),
	NEVER("ICResp: never", ICRESP),
	HANGS_UP("ICResp: hangs up instead", ICRESP),
	STATUS("Connect: invalid host", CONNECT, NVMF_STATUS_CONNECT_INVALID_HOST, ""),
	STATUS("Connect: controller busy", CONNECT, 0x181, ""),
	STATUS("Connect: invalid parameters", CONNECT, 0x182, ""),
	STATUS("Connect: incompatible format", CONNECT, 0x180, ""),
	STATUS("Connect: discovery must restart", CONNECT, 0x183, ""),
	STATUS("Connect: internal error", CONNECT, 0x006, ""),
	STATUS("Connect: vendor status", CONNECT, 0x7ff, ""),
	FIELD("Connect: authentication required", CONNECT, AT_CDW0, 4, 0x10001, ""),
	FIELD("Connect: secure channel required", CONNECT, AT_CDW0, 4, 0x20001, ""),
	FIELD("Connect: controller id ffffh", CONNECT, AT_CDW0, 4, 0xffff, ""),
	FIELD("Connect: controller id fff0h", CONNECT, AT_CDW0, 4, 0xfff0, ""),
	FINE("Connect: controller id 0", CONNECT, AT_CDW0, 4, 0),
	FINE("Connect: controller id ffefh", CONNECT, AT_CDW0, 4, 0xffef),
	FIELD("Connect: answer to another command", CONNECT, AT_CID, 2, 0x5555, ""),
	FINE("Connect: queue head beyond the queue", CONNECT, 16, 2, 0xfffe),
	FINE("Connect: foreign queue id in the answer", CONNECT, 18, 2, 0xffff),
	NEVER("Connect: never answered", CONNECT),
	HANGS_UP("Connect: hangs up instead", CONNECT),
	FIELD("CAP: all zeroes", CAP, AT_CDW0, 8, 0, ""),
	FIELD("CAP: no NVM command set", CAP, AT_CDW0, 8, 63 | 1 << 16 | 30 << 24, "command set"),
	FIELD("CAP: MQES 0", CAP, AT_CDW0, 2, 0, "one entry"),
	FINE("CAP: MQES 1", CAP, AT_CDW0, 2, 1),
	FINE("CAP: MQES ffffh", CAP, AT_CDW0, 2, 0xffff),
	FINE("CAP: TO 0", CAP, 8 + 3, 1, 0),
	FINE("CAP: TO 255", CAP, 8 + 3, 1, 255),
	FINE("CAP: all ones", CAP, AT_CDW0, 8, UINT64_MAX),
	STATUS("CAP: refused", CAP, 0x002, "read capabilities"),
	NEVER("CAP: never answered", CAP),
	HANGS_UP("CAP: hangs up instead", CAP),
	FINE("VS: 0", VS, AT_CDW0, 4, 0),
	FINE("VS: 1.0", VS, AT_CDW0, 4, 0x10000),
	FINE("VS: all ones", VS, AT_CDW0, 4, UINT32_MAX),
	STATUS("VS: refused", VS, 0x002, "read version"),
	NEVER("VS: never answered", VS),
	STATUS("CC: refused", ENABLE, 0x002, "enable"),
	NEVER("CC: never answered", ENABLE),
	HANGS_UP("CC: hangs up instead", ENABLE),
	FIELD("CSTS: fatal", CSTS, AT_CDW0, 4, 2, "fatal"),
	FIELD("CSTS: ready and fatal", CSTS, AT_CDW0, 4, 3, "fatal"),
	FIELD("CSTS: all ones", CSTS, AT_CDW0, 4, UINT32_MAX, "fatal"),
	STATUS("CSTS: refused", CSTS, 0x006, "wait until ready"),
	NEVER("CSTS: never answered", CSTS),
	FINE("Identify Controller: MDTS 0", IDENTIFY_CONTROLLER, 77, 1, 0),
	FINE("Identify Controller: MDTS 1", IDENTIFY_CONTROLLER, 77, 1, 1),
	FINE("Identify Controller: MDTS 19", IDENTIFY_CONTROLLER, 77, 1, 19),
	FINE("Identify Controller: MDTS 255", IDENTIFY_CONTROLLER, 77, 1, 255),
	FINE("Identify Controller: another controller id", IDENTIFY_CONTROLLER, 78, 2, 0x1234),
	FINE("Identify Controller: all events", IDENTIFY_CONTROLLER, 92, 4, UINT32_MAX),
	FINE("Identify Controller: no events", IDENTIFY_CONTROLLER, 92, 4, 0),
	FINE("Identify Controller: KAS ffffh", IDENTIFY_CONTROLLER, 320, 2, 0xffff),
	FINE("Identify Controller: SQES and CQES 0", IDENTIFY_CONTROLLER, 512, 2, 0),
	FINE("Identify Controller: SQES and CQES ffh", IDENTIFY_CONTROLLER, 512, 2, 0xffff),
	FINE("Identify Controller: MAXCMD 0", IDENTIFY_CONTROLLER, 514, 2, 0),
	FINE("Identify Controller: MAXCMD 1", IDENTIFY_CONTROLLER, 514, 2, 1),
	FINE("Identify Controller: MAXCMD ffffh", IDENTIFY_CONTROLLER, 514, 2, 0xffff),
	FINE("Identify Controller: NN 0", IDENTIFY_CONTROLLER, 516, 4, 0),
	FINE("Identify Controller: NN 2^32-1", IDENTIFY_CONTROLLER, 516, 4, UINT32_MAX),
	FINE("Identify Controller: ONCS 0", IDENTIFY_CONTROLLER, 520, 2, 0),
	FINE("Identify Controller: ONCS ffffh", IDENTIFY_CONTROLLER, 520, 2, 0xffff),
	FINE("Identify Controller: VWC 0", IDENTIFY_CONTROLLER, 525, 1, 0),
	FINE("Identify Controller: VWC ffh", IDENTIFY_CONTROLLER, 525, 1, 0xff),
	FINE("Identify Controller: IOCCSZ 0", IDENTIFY_CONTROLLER, 1792, 4, 0),
	FINE("Identify Controller: IOCCSZ 3", IDENTIFY_CONTROLLER, 1792, 4, 3),
	FINE("Identify Controller: IOCCSZ 4", IDENTIFY_CONTROLLER, 1792, 4, 4),
	FINE("Identify Controller: IOCCSZ 5", IDENTIFY_CONTROLLER, 1792, 4, 5),
	FINE("Identify Controller: IORCSZ 0", IDENTIFY_CONTROLLER, 1796, 4, 0),
	FINE("Identify Controller: ICDOFF 1", IDENTIFY_CONTROLLER, 1800, 2, 1),
	FINE("Identify Controller: ICDOFF ffffh", IDENTIFY_CONTROLLER, 1800, 2, 0xffff),
	FINE("Identify Controller: serial of control bytes", IDENTIFY_CONTROLLER, 4, 8,
	     0x0a1b0d0001ff7f80),
	FINE("Identify Controller: model of format characters", IDENTIFY_CONTROLLER, 24, 8,
	     0x256e25732573256eull),
	FINE("Identify Controller: NANAGRPID 2^32-1", IDENTIFY_CONTROLLER, 348, 4, UINT32_MAX),
	NEVER("Identify Controller: never answered", IDENTIFY_CONTROLLER),
	HANGS_UP("Identify Controller: hangs up instead", IDENTIFY_CONTROLLER),
	FINE("Queues: 1", QUEUES, AT_CDW0, 4, 0),
	FINE("Queues: one more of completion", QUEUES, AT_CDW0, 4, 1 << 16),
	FINE("Queues: 65536", QUEUES, AT_CDW0, 4, UINT32_MAX),
	STATUS("Queues: refused", QUEUES, 0x002, "ask for queues"),
	NEVER("Queues: never answered", QUEUES),
	{"Events: refused", EVENTS, SET, AT_STATUS, 2, 0x002 << 1, WORKS, ""},
	NEVER("Events: never answered", EVENTS),
	FIELD("List: empty", LIST, 0, 4, 0, "no namespace"),
	FIELD("List: begins with 2", LIST, 0, 4, 2, "no namespace"),
	FIELD("List: begins with ffffffffh", LIST, 0, 4, UINT32_MAX, "no namespace"),
	FINE("List: not ascending", LIST, 4, 4, 1),
	NEVER("List: never answered", LIST),
	FIELD("Identify Namespace: size 0", IDENTIFY_NAMESPACE, 0, 8, 0, "size"),
	FIELD("Identify Namespace: size 2^64-1", IDENTIFY_NAMESPACE, 0, 8, UINT64_MAX, "size"),
	FIELD("Identify Namespace: size 2^55", IDENTIFY_NAMESPACE, 0, 8, 1ull << 55, "size"),
	FINE("Identify Namespace: size 2^54", IDENTIFY_NAMESPACE, 0, 8, 1ull << 54),
	FINE("Identify Namespace: capacity 0", IDENTIFY_NAMESPACE, 8, 8, 0),
	FINE("Identify Namespace: all features", IDENTIFY_NAMESPACE, 24, 1, 0xff),
	FINE("Identify Namespace: 256 formats", IDENTIFY_NAMESPACE, 25, 1, 0xff),
	FIELD("Identify Namespace: format 1 is empty", IDENTIFY_NAMESPACE, 26, 1, 1, "blocks"),
	FIELD("Identify Namespace: format 15 is empty", IDENTIFY_NAMESPACE, 26, 1, 0x0f, "blocks"),
	FIELD("Identify Namespace: format 63 is empty", IDENTIFY_NAMESPACE, 26, 1, 0xff, "blocks"),
	FIELD("Identify Namespace: blocks of 1 byte", IDENTIFY_NAMESPACE, 130, 1, 0, "blocks"),
	FIELD("Identify Namespace: blocks of 256 bytes", IDENTIFY_NAMESPACE, 130, 1, 8, "blocks"),
	FIELD("Identify Namespace: blocks of 8 KiB", IDENTIFY_NAMESPACE, 130, 1, 13, "blocks"),
	FIELD("Identify Namespace: blocks of 2^31", IDENTIFY_NAMESPACE, 130, 1, 31, "blocks"),
	FIELD("Identify Namespace: blocks of 2^32", IDENTIFY_NAMESPACE, 130, 1, 32, "blocks"),
	FIELD("Identify Namespace: blocks of 2^64", IDENTIFY_NAMESPACE, 130, 1, 64, "blocks"),
	FIELD("Identify Namespace: blocks of 2^255", IDENTIFY_NAMESPACE, 130, 1, 255, "blocks"),
	FIELD("Identify Namespace: metadata of 8 bytes", IDENTIFY_NAMESPACE, 128, 2, 8, "metadata"),
	FIELD("Identify Namespace: metadata of 64 KiB", IDENTIFY_NAMESPACE, 128, 2, 0xffff,
	      "metadata"),
	FINE("Identify Namespace: unknown ANA group", IDENTIFY_NAMESPACE, 92, 4, 77),
	NEVER("Identify Namespace: never answered", IDENTIFY_NAMESPACE),
	HANGS_UP("Identify Namespace: hangs up instead", IDENTIFY_NAMESPACE),
	FINE("Descriptors: type 0 ends them", DESCRIPTORS, 0, 1, 0),
	FINE("Descriptors: unknown type", DESCRIPTORS, 0, 1, 0xee),
	FINE("Descriptors: length 0", DESCRIPTORS, 1, 1, 0),
	FINE("Descriptors: length 15", DESCRIPTORS, 1, 1, 15),
	FINE("Descriptors: length 255", DESCRIPTORS, 1, 1, 255),
	FINE("Descriptors: a uuid of zeroes", DESCRIPTORS, 4, 8, 0),
	NEVER("Descriptors: never answered", DESCRIPTORS),
	FINE("ANA: no group", ANA, 8, 2, 0),
	FINE("ANA: 65535 groups", ANA, 8, 2, 0xffff),
	FINE("ANA: another group", ANA, 16, 4, 99),
	FINE("ANA: 2^32-1 namespaces", ANA, 20, 4, UINT32_MAX),
	FINE("ANA: 2^30 namespaces", ANA, 20, 4, 1 << 30),
	NEVER("ANA: never answered", ANA),
	HANGS_UP("ANA: hangs up instead", ANA),
};

static struct bench *victim;
static const struct bad_setup *row;
static enum place asked; /* by the last command, PLACE_COUNT: something else */
static bool is_done;	 /* the row took effect at least once */
static bool is_inside;

static enum place place_of_fabrics(const struct nvme_sqe *sqe)
{
	const struct nvmf_command *command = (const struct nvmf_command *)sqe;
	struct nvmf_property_access access;

	if (command->type == NVMF_CONNECT)
		return CONNECT;
	if (nvmf_property_decode(sqe, &access) != NVME_STATUS_SUCCESS)
		return PLACE_COUNT;
	switch (access.offset) {
	case NVMF_PROPERTY_CAP:
		return CAP;
	case NVMF_PROPERTY_VS:
		return VS;
	case NVMF_PROPERTY_CSTS:
		return CSTS;
	default:
		return ENABLE;
	}
}

static enum place place_of_admin(const struct nvme_sqe *sqe)
{
	switch (sqe->opcode) {
	case NVME_ADMIN_IDENTIFY:
		switch ((uint32_t)nvme_identify_decode(sqe).cns) {
		case NVME_CNS_CONTROLLER:
			return IDENTIFY_CONTROLLER;
		case NVME_CNS_ACTIVE_NAMESPACES:
			return LIST;
		case NVME_CNS_NAMESPACE:
			return IDENTIFY_NAMESPACE;
		default:
			return DESCRIPTORS;
		}
	case NVME_ADMIN_SET_FEATURES:
		return (le32_load(sqe->cdw10) & 0xff) == NVME_FEATURE_QUEUE_COUNT ? QUEUES : EVENTS;
	case NVME_ADMIN_GET_LOG_PAGE:
		return ANA;
	default:
		return PLACE_COUNT;
	}
}

static bool note_hook(struct fake_connection *connection, const struct nvme_sqe *sqe,
		      const uint8_t *data, uint32_t data_bytes)
{
	(void)data;
	(void)data_bytes;
	if (sqe->opcode == NVMF_OPCODE)
		asked = place_of_fabrics(sqe);
	else
		asked = connection->qid == 0 ? place_of_admin(sqe) : PLACE_COUNT;
	return false;
}

/* The piece of the answer that the row is about. */
static bool is_meant(const struct fake_connection *connection, const uint8_t *bytes, size_t size)
{
	bool is_response = size == 24 && bytes[0] == NVME_TCP_CAPSULE_RESPONSE;

	if (row->place == ICRESP)
		return !connection->is_initialized && size == 128;
	if (!connection->is_initialized || asked != row->place || connection->qid != 0)
		return false;
	if (row->act != SET)
		return true; /* header and data */
	if (row->place >= IDENTIFY_CONTROLLER && row->place != QUEUES && row->place != EVENTS)
		return size != 24;
	return is_response;
}

static bool spoil(struct fake_connection *connection, const void *bytes, size_t size)
{
	struct le64 value = le64_store(row->value);
	uint8_t copy[PIECE_MAX];

	if (is_inside || !is_meant(connection, bytes, size))
		return false;
	is_done = true;
	if (row->act == SILENT)
		return true;
	if (row->act == HANG_UP) {
		fake_drop(connection->fake);
		return true;
	}
	assert_true(size <= sizeof(copy) && row->offset + row->width <= size);
	memcpy(copy, bytes, size);
	memcpy(copy + row->offset, &value, row->width);
	is_inside = true;
	fake_send(connection, copy, size);
	is_inside = false;
	return true;
}

/* The device writes and reads back; for odd sizes the first blocks are enough. */
static void device_serves(void)
{
	uint8_t written[4096], read[4096];
	struct bench_io io;

	assert_int_equal(bdev_channel_open(victim->bdev, victim->reactor, &victim->channel), 0);
	memset(written, 0x77, sizeof(written));
	memset(read, 0, sizeof(read));
	bench_submit(victim, &io, IO_WRITE, (struct block_range){8, 8},
		     (struct iovec){written, sizeof(written)});
	both_until(victim, io.op.pending == 0);
	assert_int_equal(io.io.status, IO_OK);
	bench_submit(victim, &io, IO_READ, (struct block_range){8, 8},
		     (struct iovec){read, sizeof(read)});
	both_until(victim, io.op.pending == 0);
	assert_int_equal(io.io.status, IO_OK);
	assert_memory_equal(read, written, sizeof(read));
}

static int device_create(void)
{
	static struct bdev_create create;
	char address[OS_ADDRESS_TEXT_BYTES];

	create = (struct bdev_create){.parent = &victim->op, .registry = victim->registry};
	os_address_format(&victim->fake->address, address);
	(void)snprintf(create.uri_text, sizeof(create.uri_text), "nvmf+tcp://%s/nqn.2019-05.test:x",
		       address);
	op_wait(&victim->op);
	bdev_create_submit(&create);
	both_until(victim, victim->op.pending == 0);
	memcpy(victim->error, create.error, sizeof(victim->error));
	victim->bdev = create.result == 0 ? create.bdev : NULL;
	return create.result;
}

static void field_is_refused_or_bounded(void **state)
{
	uint64_t verified = bystander_verified();
	void *bench;
	int result;

	row = *state;
	is_done = false;
	assert_int_equal(bench_setup(&bench), 0);
	victim = bench;
	victim->options.connect_timeout_ms = TRIES_MS;
	victim->options.admin_timeout_ms = TRIES_MS;
	victim->options.fail_fast_ms = 10000;
	victim->fake->hook = note_hook;
	victim->fake->tamper = spoil;
	victim->fake->is_lenient = true;
	victim->fake->ana_state = NVME_ANA_OPTIMIZED;
	assert_int_equal(initiator_register(victim->registry, &victim->options), 0);
	result = device_create();
	assert_true(is_done);
	if (row->outcome == WORKS) {
		if (result != 0)
			fail_msg("refused: %s", victim->error);
		device_serves();
	} else {
		assert_true(result < 0);
		assert_true(strlen(victim->error) > 10);
		if (strstr(victim->error, row->text) == NULL)
			fail_msg("'%s' is not in: %s", row->text, victim->error);
		assert_null(bdev_next(victim->registry, NULL));
	}
	victim_close(&victim);
	bystander_await(verified + 1);
}

int main(int argc, char **argv)
{
	static struct catalogue catalogue;

	CATALOGUE_ADD_ROWS(&catalogue, rows, field_is_refused_or_bounded);
	return catalogue_main(&catalogue, argc, argv, bystander_start, bystander_end);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* controller_fuzz.c - a controller whose every answer the input may spoil, from the handshake on.
 *
 * A device is created over real sockets, used and destroyed, while the fake controller's bytes are
 * changed on the way: the first byte of the input chooses digests and habits, then five bytes a
 * record: how many pieces pass untouched, what happens to the next one, where, and a value.
 * However it lies, creating ends, every I/O is answered once within the time-outs, buffers stay
 * untouched afterwards, and destroying ends. Time is virtual: it jumps while nothing happens.
 */
#include "initiator/test_bench.h"

#include "base/le.h"

#define RECORD_BYTES 5
#define RECORDS_MAX  32
#define IDLE_STEP_NS 1000000ull
#define PATIENCE_NS  (600 * 1000000000ull)
#define DATA_BLOCKS  16u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
int __lsan_is_turned_off(void);
uint64_t __wrap_os_clock_now_ns(struct os *os);

enum spoil {
	SPOIL_XOR,
	SPOIL_SET_8,
	SPOIL_SET_16,
	SPOIL_SET_32,
	SPOIL_SET_64,
	SPOIL_DROP,
	SPOIL_TWICE,
	SPOIL_CUT,    /* the rest of the piece never comes */
	SPOIL_INSERT, /* junk before it */
	SPOIL_HANG_UP,
	SPOIL_RESPONSE, /* one more, to any command */
	SPOIL_R2T,
	SPOIL_DATA,
	SPOIL_EVENT,
	SPOIL_COUNT,
};

static struct bench *bench;
static uint64_t now_ns = 1000000000ull;
static struct {
	const uint8_t *bytes;
	size_t count;
	uint32_t passed; /* pieces since the last record */
	bool is_spoiling;
} records;

/* The bench lives as long as the process. */
int __lsan_is_turned_off(void)
{
	return 1;
}

uint64_t __wrap_os_clock_now_ns(struct os *os)
{
	(void)os;
	return now_ns;
}

static uint64_t value_of(uint8_t choice)
{
	static const uint64_t values[] = {0,	      1,	  2,	     3,		 4,
					  24,	      128,	  511,	     512,	 513,
					  4095,	      4096,	  8192,	     65535,	 65536,
					  131072,     131073,	  1 << 24,   0x7fffffff, 0x80000000,
					  UINT32_MAX, 1ull << 33, INT64_MAX, UINT64_MAX};

	if (choice < 128)
		return values[choice % (sizeof(values) / sizeof(values[0]))];
	return choice;
}

static void bytes_spoil(struct fake_connection *connection, const uint8_t *record,
			const void *bytes, size_t size_bytes)
{
	static const uint8_t widths[] = {1, 1, 2, 4, 8};
	uint8_t copy[NVME_IDENTIFY_BYTES];
	uint64_t value = value_of(record[4]);
	struct le64 field = le64_store(value);
	size_t at = (size_t)(record[2] | record[3] << 8);
	size_t width = widths[record[1] % SPOIL_COUNT];

	if (size_bytes > sizeof(copy) || size_bytes < width) {
		fake_send(connection, bytes, size_bytes);
		return;
	}
	memcpy(copy, bytes, size_bytes);
	at %= size_bytes - width + 1;
	if (record[1] % SPOIL_COUNT == SPOIL_XOR)
		copy[at] ^= record[4];
	else
		memcpy(copy + at, &field, width);
	fake_send(connection, copy, size_bytes);
}

static void piece_spoil(struct fake_connection *connection, const uint8_t *record,
			const void *bytes, size_t size_bytes)
{
	static uint8_t junk[DATA_BLOCKS * FAKE_BLOCK_BYTES];
	uint16_t cid = (uint16_t)(record[2] | record[3] << 8);
	uint32_t length = 4 + ((uint32_t)value_of(record[4]) & 0x0ffc);

	switch ((enum spoil)(record[1] % SPOIL_COUNT)) {
	case SPOIL_XOR:
	case SPOIL_SET_8:
	case SPOIL_SET_16:
	case SPOIL_SET_32:
	case SPOIL_SET_64:
		bytes_spoil(connection, record, bytes, size_bytes);
		return;
	case SPOIL_DROP:
		return;
	case SPOIL_TWICE:
		fake_send(connection, bytes, size_bytes);
		break;
	case SPOIL_CUT:
		size_bytes = cid % size_bytes;
		break;
	case SPOIL_INSERT:
		fake_send(connection, junk, record[4] + 1u);
		break;
	case SPOIL_HANG_UP:
		fake_drop(connection->fake);
		return;
	case SPOIL_RESPONSE:
		fake_respond(connection, cid, record[4], cid);
		break;
	case SPOIL_R2T:
		fake_send_r2t(connection, cid, (uint32_t)value_of(record[4] & 0x1f) & 0x7ffffffc,
			      length);
		break;
	case SPOIL_DATA:
		fake_send_data(connection, cid, 0, (struct iovec){junk, length},
			       (record[4] & 1) == 0   ? 0
			       : (record[4] & 2) == 0 ? NVME_TCP_FLAG_LAST
						      : NVME_TCP_FLAG_LAST | NVME_TCP_FLAG_SUCCESS);
		break;
	case SPOIL_EVENT:
		if (connection->has_event)
			fake_respond(connection, connection->event_cid, 0, record[2]);
		break;
	case SPOIL_COUNT:
		ASSERT(!"not chosen");
	}
	if (size_bytes > 0)
		fake_send(connection, bytes, size_bytes);
}

static bool tamper(struct fake_connection *connection, const void *bytes, size_t size_bytes)
{
	const uint8_t *record = records.bytes;

	if (records.is_spoiling || records.count == 0 || connection->is_closing)
		return false;
	if (records.passed++ < record[0])
		return false;
	records.passed = 0;
	records.bytes += RECORD_BYTES;
	records.count--;
	records.is_spoiling = true;
	piece_spoil(connection, record, bytes, size_bytes);
	records.is_spoiling = false;
	return true;
}

/* Turns until @op is done; time jumps in growing steps while nothing happens. */
static void await(const struct op *op)
{
	uint64_t end_ns = now_ns + PATIENCE_NS;
	uint64_t idle_count = 0;

	while (op->pending > 0) {
		if (reactor_turn(bench->reactor, false))
			idle_count = 0;
		else if (++idle_count > 8)
			now_ns += IDLE_STEP_NS * (1 + idle_count / 64);
		ASSERT(now_ns < end_ns);
	}
}

static void log_nothing(struct log *log, const char *line)
{
	(void)log;
	(void)line;
}

static void setup(void)
{
	void *state;

	ASSERT(bench_setup(&state) == 0);
	bench = state;
	bench->log = (struct log){.level = LOG_ERROR, .write = log_nothing};
	bench->options.connect_timeout_ms = 400;
	bench->options.admin_timeout_ms = 200;
	bench->options.io_timeout_ms = 200;
	bench->options.ctrl_loss_timeout_ms = 1000;
	bench->options.fail_fast_ms = 300;
	bench->options.kato_ms = 1000;
	ASSERT(initiator_register(bench->registry, &bench->options) == 0);
	bench->fake->is_lenient = true;
	bench->fake->tamper = tamper;
}

/* Each in memory of its own that is gone once it is answered. */
static void io_run(enum io_type type, uint32_t block_bytes, uint32_t round)
{
	bool has_data = type == IO_READ || type == IO_WRITE || type == IO_COMPARE;
	uint32_t blocks = round % 2 == 0 ? 1 : DATA_BLOCKS;
	struct block_range range = {round, type == IO_FLUSH ? 0 : blocks};
	struct bench_io io;
	void *data = calloc(blocks, block_bytes);

	ASSERT(data != NULL);
	bench_submit(bench, &io, type, range,
		     (struct iovec){data, has_data ? (size_t)blocks * block_bytes : 0});
	await(&io.op);
	free(data);
}

static void device_use(struct bdev *bdev)
{
	static const enum io_type types[] = {IO_READ,	 IO_WRITE, IO_WRITE,	   IO_READ,
					     IO_COMPARE, IO_FLUSH, IO_WRITE_ZEROES};

	if (bdev->block_count < 2 * DATA_BLOCKS ||
	    bdev_channel_open(bdev, bench->reactor, &bench->channel) != 0)
		return;
	for (uint32_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if ((types[i] != IO_COMPARE || bdev->can_compare) &&
		    (types[i] != IO_WRITE_ZEROES || bdev->can_write_zeroes))
			io_run(types[i], bdev->block_bytes, i);
	}
	bdev_channel_close(bench->channel);
	bench->channel = NULL;
}

static void device_live(const char *parameters)
{
	struct bdev_create create = {.parent = &bench->op, .registry = bench->registry};
	struct bdev_destroy destroy = {.parent = &bench->op};
	char address[OS_ADDRESS_TEXT_BYTES];

	os_address_format(&bench->fake->address, address);
	(void)snprintf(create.uri_text, sizeof(create.uri_text),
		       "nvmf+tcp://%s/nqn.2019-05.test:x%s", address, parameters);
	op_wait(&bench->op);
	bdev_create_submit(&create);
	await(&bench->op);
	if (create.result != 0) {
		ASSERT(create.error[0] != '\0');
		return;
	}
	device_use(create.bdev);
	destroy.bdev = create.bdev;
	op_wait(&bench->op);
	bdev_destroy_submit(bench->registry, &destroy);
	await(&bench->op);
	ASSERT(destroy.result == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static const char *const parameters[] = {"", "?hdgst=1", "?ddgst=1", "?hdgst=1&ddgst=1"};

	if (size_bytes < 1)
		return 0;
	if (bench == NULL)
		setup();
	records.bytes = bytes + 1;
	records.count = (size_bytes - 1) / RECORD_BYTES;
	if (records.count > RECORDS_MAX)
		records.count = RECORDS_MAX;
	records.passed = 0;
	bench->fake->has_header_digest = (bytes[0] & 1) != 0;
	bench->fake->has_data_digest = (bytes[0] & 2) != 0;
	bench->fake->is_without_success = (bytes[0] & 4) != 0;
	bench->fake->ana_state = (bytes[0] & 8) != 0 ? NVME_ANA_OPTIMIZED : 0;
	bench->fake->c2h_bytes = (bytes[0] & 16) != 0 ? 1024 : 131072;
	bench->fake->r2t_bytes = (bytes[0] & 16) != 0 ? 2048 : 131072;
	device_live(parameters[bytes[0] & 3]);
	records.count = 0;
	fake_drop(bench->fake);
	for (int i = 0; i < 16; i++)
		reactor_turn(bench->reactor, false);
	return 0;
}

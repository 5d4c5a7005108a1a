/* SPDX-License-Identifier: Apache-2.0 */
/* test_fixture.c - states, witness, base level and verdicts of test_fixture.h. */
#include "target/test_fixture.h"

#include "base/crc32c.h"
#include "nvme/test_catalogue.h"
#include "target/target_impl.h"

#include <malloc.h>
#include <sys/socket.h>

#define MS		   1000000ull
#define LINGER_MS	   5 /* so that a thousand cases take seconds */
#define ASKED_BYTES	   16384
#define HEAP_SLACK_BYTES   4096
#define RESPONSE_BYTES	   (24 + 4)
#define WITNESS_READ_BYTES (24 + 4 + WITNESS_BYTES + 4 + RESPONSE_BYTES)

struct fixture fixture;

const char *const fixture_state_names[STATE_COUNT] = {
	[STATE_FRESH] = "before ICReq",		[STATE_READY] = "before Connect",
	[STATE_DISABLED] = "before enable",	[STATE_ADMIN] = "on an admin queue",
	[STATE_IO] = "on an I/O queue",		[STATE_WAITING] = "with an R2T out",
	[STATE_TRANSFER] = "within a transfer", [STATE_DONE] = "behind a transfer",
	[STATE_SHUTDOWN] = "behind a shutdown", [STATE_TERMINATING] = "behind a terminate request",
};

/* ---- the witness ---- */

static void witness_break(struct witness *witness, const char *what)
{
	witness->is_broken = true;
	witness->what = what;
}

static void witness_pattern(uint32_t stamp, uint8_t *ret_bytes)
{
	for (uint32_t i = 0; i < WITNESS_BYTES / 4; i++) {
		struct le32 word = le32_store(stamp * 2654435761u ^ i * 40503u);

		memcpy(ret_bytes + 4 * i, &word, sizeof(word));
	}
}

/* A capsule with its digests; @data may be NULL. */
static void witness_send(struct witness *witness, struct nvme_sqe *sqe, const uint8_t *data)
{
	static uint8_t bytes[72 + 4 + WITNESS_BYTES + 4];
	struct nvme_tcp_frame frame = {
		.has_header_digest = true, .has_data_digest = true, .alignment = 4};
	struct nvme_tcp_capsule_command *pdu = (struct nvme_tcp_capsule_command *)bytes;
	uint32_t data_bytes = data == NULL ? 0 : WITNESS_BYTES;
	size_t size = 76;
	struct le32 digest;

	sqe->cid = le16_store(++witness->host.cid);
	nvme_tcp_command_encode(pdu, &frame, sqe, data_bytes);
	digest = nvme_tcp_header_digest(pdu, sizeof(*pdu));
	memcpy(bytes + 72, &digest, sizeof(digest));
	if (data_bytes > 0) {
		memcpy(bytes + 76, data, data_bytes);
		digest = le32_store(crc32c(data, data_bytes));
		memcpy(bytes + 76 + data_bytes, &digest, sizeof(digest));
		size += data_bytes + sizeof(digest);
	}
	witness->got_bytes = 0;
	if (send(witness->host.fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
		witness_break(witness, "its command could not be sent");
}

static void witness_write(struct witness *witness)
{
	static uint8_t pattern[WITNESS_BYTES];
	struct nvme_sqe sqe;

	witness->step = WITNESS_WRITE;
	witness->stamp++;
	witness->slot = witness->stamp % WITNESS_SLOTS;
	sqe = host_rw(NVME_WRITE, WITNESS_FIRST_BLOCK + witness->slot * WITNESS_SLOT_BLOCKS,
		      WITNESS_SLOT_BLOCKS);
	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, WITNESS_BYTES);
	witness_pattern(witness->stamp, pattern);
	witness_send(witness, &sqe, pattern);
}

/* The pattern just written, or in every other round one of those before. */
static void witness_read(struct witness *witness)
{
	uint32_t older = (witness->stamp * 7919u) % WITNESS_SLOTS;
	struct nvme_sqe sqe;

	witness->step = WITNESS_READ;
	if (witness->stamp % 2 == 0 && witness->slot_stamps[older] != 0)
		witness->slot = older;
	sqe = host_rw(NVME_READ, WITNESS_FIRST_BLOCK + witness->slot * WITNESS_SLOT_BLOCKS,
		      WITNESS_SLOT_BLOCKS);
	host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, WITNESS_BYTES);
	witness_send(witness, &sqe, NULL);
}

static bool witness_is_answered(struct witness *witness, uint32_t offset)
{
	const struct nvme_tcp_capsule_response *response =
		(const struct nvme_tcp_capsule_response *)(witness->got + offset);

	return response->common.type == NVME_TCP_CAPSULE_RESPONSE &&
	       le16_load(response->cqe.cid) == witness->host.cid &&
	       nvme_status_decode(response->cqe.status).status == NVME_STATUS_SUCCESS;
}

static void witness_judge(struct witness *witness)
{
	static uint8_t pattern[WITNESS_BYTES];

	if (witness->step == WITNESS_WRITE) {
		if (!witness_is_answered(witness, 0))
			witness_break(witness, "its write failed");
		witness->slot_stamps[witness->slot] = witness->stamp;
		witness_read(witness);
		return;
	}
	witness_pattern(witness->slot_stamps[witness->slot], pattern);
	if (!witness_is_answered(witness, WITNESS_READ_BYTES - RESPONSE_BYTES))
		witness_break(witness, "its read failed");
	else if (memcmp(witness->got + 28, pattern, WITNESS_BYTES) != 0)
		witness_break(witness, "it read other data than it had written");
	witness->round_count++;
	witness->step = WITNESS_IDLE;
}

/* Called after each turn of the reactors; never waits. */
static void witness_turn(void *context)
{
	struct witness *witness = context;
	uint32_t wanted = witness->step == WITNESS_WRITE ? RESPONSE_BYTES : WITNESS_READ_BYTES;
	ssize_t got;

	if (witness->is_broken)
		return;
	if (witness->step == WITNESS_IDLE) {
		if (!witness->is_resting)
			witness_write(witness);
		return;
	}
	got = recv(witness->host.fd, witness->got + witness->got_bytes, wanted - witness->got_bytes,
		   MSG_DONTWAIT);
	if (got == 0)
		witness_break(witness, "its connection was closed");
	if (got <= 0)
		return;
	witness->got_bytes += (uint32_t)got;
	if (witness->got_bytes == wanted)
		witness_judge(witness);
}

static void witness_start(struct stage *stage, struct witness *witness)
{
	memset(witness, 0, sizeof(*witness));
	witness->admin.id = 99;
	host_admin(stage, &witness->admin);
	witness->host.has_header_digest = true;
	witness->host.has_data_digest = true;
	host_io(stage, &witness->host, &witness->admin);
	stage->on_turn = witness_turn;
	stage->on_turn_context = witness;
}

void witness_rest(void)
{
	struct witness *witness = &fixture.witness;
	uint64_t end = os_clock_now_ns(fixture.stage.os) + 2000 * MS;

	witness->is_resting = true;
	while (witness->step != WITNESS_IDLE && !witness->is_broken) {
		assert_true(os_clock_now_ns(fixture.stage.os) < end);
		stage_turn(&fixture.stage);
	}
}

void witness_go_on(void)
{
	fixture.witness.is_resting = false;
}

/* ---- the base level ---- */

extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_bytes(void)
{
	if (__sanitizer_get_current_allocated_bytes != NULL)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks;
}

/* What malloc keeps for itself counts as used, except under the sanitizer, which is exact. */
static bool heap_is_at(size_t base, size_t now)
{
	size_t slack = __sanitizer_get_current_allocated_bytes != NULL ? 0 : HEAP_SLACK_BYTES;

	return now <= base + slack && base <= now + slack;
}

static struct fixture_level level_now(const struct stage *stage)
{
	const struct target *target = stage->target;
	const struct target_subsystem *subsystem = stage->subsystem;
	struct reactor *const reactors[2] = {stage->main, stage->home};
	struct fixture_level level;

	memset(&level, 0, sizeof(level));
	level.connection_count = target_connection_count(target);
	level.unauthenticated_count = target->unauthenticated_count;
	level.controller_count = subsystem->controller_count;
	level.subsystem_connection_count = subsystem->connection_count;
	level.discovery_controller_count = target->discovery.controller_count;
	level.inflight_count = subsystem->inflight_count;
	level.ghost_writes = subsystem->ghost_writes;
	for (int i = 0; i < 2; i++) {
		struct buffer_pool *pool = reactor_buffers(reactors[i]);

		level.free_small[i] = buffer_pool_free_count(pool, SMALL_BUFFER_BYTES, false);
		level.free_large[i] = buffer_pool_free_count(pool, LARGE_BUFFER_BYTES, false);
	}
	level.heap_bytes = heap_bytes();
	return level;
}

static bool level_is(const struct fixture_level *level, const struct fixture_level *base)
{
	return memcmp(level, base, offsetof(struct fixture_level, heap_bytes)) == 0 &&
	       heap_is_at(base->heap_bytes, level->heap_bytes);
}

/* The witness comes to rest and the target to its base level, if it does. */
static struct fixture_level level_settle(struct fixture *f)
{
	uint64_t end = os_clock_now_ns(f->stage.os) + 2000 * MS;
	struct fixture_level level;

	f->witness.is_resting = true;
	do {
		stage_turn(&f->stage);
		level = level_now(&f->stage);
	} while ((f->witness.step != WITNESS_IDLE || !level_is(&level, &f->base)) &&
		 !f->witness.is_broken && os_clock_now_ns(f->stage.os) < end);
	f->witness.is_resting = false;
	return level;
}

static void level_check(struct fixture *f)
{
	struct fixture_level level = level_settle(f);

	assert_int_equal(level.connection_count, f->base.connection_count);
	assert_int_equal(level.unauthenticated_count, f->base.unauthenticated_count);
	assert_int_equal(level.controller_count, f->base.controller_count);
	assert_int_equal(level.subsystem_connection_count, f->base.subsystem_connection_count);
	assert_int_equal(level.discovery_controller_count, f->base.discovery_controller_count);
	assert_int_equal(level.inflight_count, f->base.inflight_count);
	assert_int_equal(level.ghost_writes, f->base.ghost_writes);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(level.free_small[i], f->base.free_small[i]);
		assert_int_equal(level.free_large[i], f->base.free_large[i]);
	}
	if (!heap_is_at(f->base.heap_bytes, level.heap_bytes))
		fail_msg("%zu bytes of memory instead of %zu", level.heap_bytes,
			 f->base.heap_bytes);
}

/* ---- states ---- */

uint16_t expect_r2t(void)
{
	static struct pdu pdu;

	host_receive_pdu(&fixture.host, &pdu);
	if (pdu.is_closed || pdu.is_timeout)
		fail_msg("no R2T: %s", pdu.is_closed ? "closed" : "nothing");
	assert_int_equal(pdu.header[0], NVME_TCP_R2T);
	return le16_load(((struct nvme_tcp_r2t *)pdu.header)->ttag);
}

static void state_waiting(struct fixture *f)
{
	struct nvme_sqe sqe = host_rw(NVME_WRITE, 0, ASKED_BYTES / 512);

	host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, ASKED_BYTES);
	f->cid = host_command(&f->host, &sqe, NULL, 0);
	f->tag = expect_r2t();
}

static void state_transfer(struct fixture *f, uint32_t bytes)
{
	static const uint8_t data[ASKED_BYTES];
	struct nvme_tcp_transfer transfer = {.cid = f->cid, .tag = f->tag, .length = bytes};

	host_data(&f->host, &transfer, data, bytes == ASKED_BYTES);
}

static void state_shutdown(struct fixture *f)
{
	struct nvmf_property_access access = {.offset = NVMF_PROPERTY_CC,
					      .value = NVMF_CC_ENABLE | 1u << NVMF_CC_SHN_SHIFT |
						       6u << NVMF_CC_IOSQES_SHIFT |
						       4u << NVMF_CC_IOCQES_SHIFT};
	struct nvme_sqe sqe;

	nvmf_property_set_encode(&sqe, &access);
	assert_int_equal(host_run(&f->host, &sqe, NULL, 0, NULL), 0);
}

static void state_terminating(struct fixture *f)
{
	static struct pdu pdu;
	static const uint8_t unknown[24] = {0x0b, 0, 24, 0, 24};

	host_send(&f->host, unknown, sizeof(unknown));
	host_receive_pdu(&f->host, &pdu);
	assert_int_equal(pdu.header[0], NVME_TCP_C2H_TERM);
}

static void enter_io(struct fixture *f, enum fixture_state state)
{
	host_admin(&f->stage, &f->admin);
	host_io(&f->stage, &f->host, &f->admin);
	if (state == STATE_WAITING || state == STATE_TRANSFER || state == STATE_DONE)
		state_waiting(f);
	if (state == STATE_TRANSFER)
		state_transfer(f, ASKED_BYTES / 2);
	if (state == STATE_DONE) {
		state_transfer(f, ASKED_BYTES);
		assert_int_equal(host_response(&f->host, NULL, NULL).status, 0);
	}
	if (state == STATE_TERMINATING)
		state_terminating(f);
}

void fixture_enter(enum fixture_state state, bool has_digests)
{
	struct fixture *f = &fixture;
	struct nvmf_connect connect;
	uint32_t result;

	host_close(&f->host);
	host_close(&f->admin);
	if (f->is_inside) { /* a failed case: its own memory is not the target's */
		struct fixture_level level = level_settle(f);

		f->base.heap_bytes = level.heap_bytes;
	}
	f->is_inside = true;
	memset(&f->host, 0, sizeof(f->host));
	memset(&f->admin, 0, sizeof(f->admin));
	f->admin.fd = -1;
	f->host.has_header_digest = has_digests;
	f->host.has_data_digest = has_digests;
	f->rounds_at_enter = f->witness.round_count;
	if (state == STATE_IO || state == STATE_WAITING || state == STATE_TRANSFER ||
	    state == STATE_DONE || state == STATE_TERMINATING) {
		enter_io(f, state);
		return;
	}
	host_open(&f->stage, &f->host);
	if (state != STATE_FRESH)
		host_icreq(&f->host);
	if (state == STATE_FRESH || state == STATE_READY)
		return;
	connect = host_connect_default(&f->host, 0);
	assert_int_equal(host_connect_with(&f->host, &connect, &result), 0);
	f->host.cntlid = (uint16_t)result;
	if (state != STATE_DISABLED)
		host_enable(&f->host);
	if (state == STATE_SHUTDOWN)
		state_shutdown(f);
}

void fixture_leave(void)
{
	struct fixture *f = &fixture;
	uint64_t end = os_clock_now_ns(f->stage.os) + 2000 * MS;

	while (f->witness.round_count <= f->rounds_at_enter && !f->witness.is_broken &&
	       os_clock_now_ns(f->stage.os) < end)
		stage_turn(&f->stage);
	host_close(&f->host);
	host_close(&f->admin);
	level_check(f);
	if (f->witness.is_broken)
		fail_msg("the witness: %s", f->witness.what);
	assert_true(f->witness.round_count > f->rounds_at_enter);
	f->is_inside = false;
}

/* ---- before and behind ---- */

void fixture_start_with(const struct target_options *options,
			struct target_reservation_store *store)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	f->host.fd = -1;
	f->admin.fd = -1;
	stage_open(&f->stage, options, store);
	witness_start(&f->stage, &f->witness);
	/* Each state once, so that what is taken once and kept counts as the base. */
	for (int digests = 0; digests < 2; digests++) {
		for (enum fixture_state state = STATE_FRESH; state < STATE_COUNT; state++) {
			fixture_enter(state, digests != 0);
			f->is_inside = false;
		}
	}
	host_close(&f->host);
	host_close(&f->admin);
	assert_true(stage_await_connections(&f->stage, 2));
	witness_rest();
	stage_run_ms(&f->stage, 20);
	f->base = level_now(&f->stage);
	witness_go_on();
	assert_int_equal(f->base.connection_count, 2);
	assert_int_equal(f->base.controller_count, 1);
}

int fixture_start(void **state)
{
	struct target_options options;

	(void)state;
	target_options_default(&options);
	options.linger_timeout_ms = LINGER_MS;
	fixture_start_with(&options, NULL);
	return 0;
}

int fixture_end(void **state)
{
	(void)state;
	fixture.stage.on_turn = NULL;
	host_close(&fixture.host);
	host_close(&fixture.admin);
	host_close(&fixture.witness.host);
	host_close(&fixture.witness.admin);
	stage_close(&fixture.stage);
	return 0;
}

/* ---- verdicts ---- */

void fixture_send(const void *bytes, size_t size)
{
	struct fixture *f = &fixture;

	f->sent_bytes = size < sizeof(f->sent) ? (uint32_t)size : (uint32_t)sizeof(f->sent);
	memcpy(f->sent, bytes, f->sent_bytes);
	host_send(&f->host, bytes, size);
}

void expect_closed(void)
{
	static struct pdu pdu;
	struct fixture *f = &fixture;
	uint64_t start = os_clock_now_ns(f->stage.os);

	host_receive_pdu(&f->host, &pdu);
	if (!pdu.is_closed)
		fail_msg("not closed: got %s %u", pdu.is_timeout ? "nothing" : "a PDU of type",
			 pdu.header[0]);
	assert_true(os_clock_now_ns(f->stage.os) - start < 1000 * MS);
}

void expect_term(uint16_t fes, uint32_t fei)
{
	static struct pdu pdu;
	const struct nvme_tcp_term *term = (const void *)pdu.header;
	struct fixture *f = &fixture;
	uint64_t start = os_clock_now_ns(f->stage.os);

	host_receive_pdu(&f->host, &pdu);
	if (pdu.is_closed || pdu.is_timeout || term->common.type != NVME_TCP_C2H_TERM)
		fail_msg("no terminate request: %s %u",
			 pdu.is_closed ? "closed" : (pdu.is_timeout ? "nothing" : "type"),
			 term->common.type);
	assert_int_equal(term->common.flags, 0);
	assert_int_equal(term->common.hlen, sizeof(*term));
	if (le16_load(term->fes) != fes ||
	    (fes != NVME_TCP_FES_HEADER_DIGEST && le32_load(term->fei) != fei))
		fail_msg("FES %u FEI %u instead of %u %u", le16_load(term->fes),
			 le32_load(term->fei), fes, fei);
	/* It shows what was wrong: at least the common header. */
	assert_true(pdu.data_bytes >= 8 && pdu.data_bytes <= 128);
	assert_true(pdu.data_bytes <= f->sent_bytes);
	assert_memory_equal(pdu.data, f->sent, pdu.data_bytes);
	assert_true(host_is_closed_within(&f->host, 1000));
	assert_true(os_clock_now_ns(f->stage.os) - start < 1000 * MS);
}

void expect_status(uint16_t cid, uint16_t status)
{
	struct nvme_status_field field;
	uint16_t answered;

	field = host_response(&fixture.host, NULL, &answered);
	if (field.status != status)
		fail_msg("status %03x instead of %03x", field.status, status);
	assert_int_equal(answered, cid);
}

void expect_two(uint16_t cid, uint16_t status, uint16_t other_status)
{
	uint32_t own_count = 0;

	for (int i = 0; i < 2; i++) {
		uint16_t answered;
		uint16_t got = host_response(&fixture.host, NULL, &answered).status;

		own_count += answered == cid;
		assert_int_equal(got, answered == cid ? status : other_status);
	}
	assert_int_equal(own_count, 1);
}

void expect_in_step(enum fixture_state state)
{
	struct nvme_sqe sqe;

	if (state == STATE_IO || state == STATE_WAITING || state == STATE_DONE ||
	    state == STATE_TRANSFER) {
		uint8_t bytes[512] = {0x5a};

		assert_int_equal(host_write(&fixture.host, 1, bytes, sizeof(bytes)), 0);
		return;
	}
	memset(&sqe, 0, sizeof(sqe));
	sqe.opcode = NVME_ADMIN_KEEP_ALIVE;
	assert_int_equal(host_run(&fixture.host, &sqe, NULL, 0, NULL),
			 state == STATE_ADMIN || state == STATE_SHUTDOWN
				 ? 0
				 : NVME_STATUS_COMMAND_SEQUENCE_ERROR);
}

/* ---- names and variants ---- */

const char *name_format(const char *format, ...)
{
	static char names[2 * CATALOGUE_TESTS_MAX][96];
	static size_t count;
	va_list list;

	if (count == sizeof(names) / sizeof(names[0])) {
		(void)fprintf(stderr, "there are too many names\n");
		exit(2);
	}
	va_start(list, format);
	(void)vsnprintf(names[count], sizeof(names[count]), format, list);
	va_end(list);
	return names[count++];
}

void variants_add(struct catalogue *catalogue, const void *rows, size_t count, size_t row_bytes,
		  void (*function)(void **state))
{
	static struct variant variants[VARIANTS_MAX];
	static size_t variant_count;

	for (size_t i = 0; i < 2 * count; i++) {
		const struct catalogue_row *row =
			(const void *)((const uint8_t *)rows + i / 2 * row_bytes);
		struct variant *variant = &variants[variant_count++];

		if (variant_count >= VARIANTS_MAX) {
			(void)fprintf(stderr, "there are too many variants\n");
			exit(2);
		}
		*variant = (struct variant){.row = row, .has_digests = i % 2 == 1};
		variant->name = i % 2 == 0 ? row->name : name_format("%s, digests on", row->name);
		catalogue_add(catalogue, variant->name, function, variant);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* malformed_slow_test.c - hosts that are slow, stop in the middle, do not read, or only sit there.
 *
 * Goal: whatever a host began and does not end is ended for it within the documented time-out
 * (target.h), however many bytes it sends now and then; nobody else waits for it; and strangers
 * that sit there do not keep hosts out.
 * Method: a target with short time-outs. A row is what a host has sent before it stops or trickles.
 */
#include "nvme/test_catalogue.h"
#include "reactor/buffer_pool.h"
#include "reactor/reactor.h"
#include "target/target_impl.h"
#include "target/test_fixture.h"

#include <sys/socket.h>

#define MS	      1000000ull
#define STALL_MS      400
#define HANDSHAKE_MS  400
#define STRANGERS_MAX 8
#define FAIR_MS	      (HANDSHAKE_MS / 10)
/* A look more than the time-out has, and what a busy machine adds. */
#define PATIENCE_MS   4000

struct stall {
	const char *name;
	enum fixture_state state;
	uint32_t sent_bytes; /* of the stream of stream_build(), at once */
	bool is_trickling;   /* then a byte every TRICKLE_MS */
	bool has_digests;
};

#define TRICKLE_MS 20

static const struct stall stalls[] = {
	{"slow: nothing is sent", STATE_FRESH, 0, false, false},
	{"slow: ICReq stops at 1", STATE_FRESH, 1, false, false},
	{"slow: ICReq stops at 127", STATE_FRESH, 127, false, false},
	{"slow: ICReq trickles", STATE_FRESH, 0, true, false},
	{"slow: nothing behind ICReq", STATE_READY, 0, false, false},
	{"slow: Connect stops in its header", STATE_READY, 40, false, false},
	{"slow: Connect stops in its data", STATE_READY, 72 + 500, false, false},
	{"slow: Connect trickles", STATE_READY, 0, true, false},
	{"slow: Connect's data trickles, digests on", STATE_READY, 80, true, true},
	{"slow: a command stops at 1", STATE_IO, 1, false, false},
	{"slow: a command stops at 8", STATE_IO, 8, false, false},
	{"slow: a command stops at 71", STATE_IO, 71, false, false},
	{"slow: a command stops before its digest", STATE_IO, 72, false, true},
	{"slow: a command stops before its data", STATE_IO, 72, false, false},
	{"slow: a command stops within its data", STATE_IO, 72 + 100, false, false},
	{"slow: a command stops before its data's digest", STATE_IO, 76 + 512, false, true},
	{"slow: a command trickles", STATE_IO, 0, true, false},
	{"slow: a command's data trickles", STATE_IO, 72, true, false},
	{"slow: an admin command stops at 20", STATE_ADMIN, 20, false, false},
	{"slow: an admin command trickles", STATE_ADMIN, 8, true, false},
	{"slow: data that was asked for does not come", STATE_WAITING, 0, false, false},
	{"slow: half of the data does not come", STATE_TRANSFER, 0, false, false},
	{"slow: H2CData stops at 23", STATE_WAITING, 23, false, false},
	{"slow: H2CData stops within its data", STATE_WAITING, 24 + 5000, false, false},
	{"slow: H2CData stops before its digest", STATE_WAITING, 28 + 16384, false, true},
	{"slow: H2CData trickles", STATE_WAITING, 0, true, false},
	{"slow: the second H2CData's data trickles", STATE_TRANSFER, 24, true, false},
};

static uint8_t stream[32768];

static size_t stream_add(size_t at, const void *bytes, size_t size, bool has_digest)
{
	struct le32 digest = host_digest(bytes, size);

	memmove(stream + at, bytes, size);
	if (!has_digest)
		return at + size;
	memcpy(stream + at + size, &digest, sizeof(digest));
	return at + size + sizeof(digest);
}

static size_t stream_command(const struct stall *stall, struct nvme_sqe *sqe, const void *data,
			     uint32_t data_bytes)
{
	struct nvme_tcp_frame frame = {.has_header_digest = stall->has_digests,
				       .has_data_digest = stall->has_digests,
				       .alignment = 4};
	struct nvme_tcp_capsule_command pdu;
	size_t size;

	host_sgl(sqe, data_bytes > 0 ? NVME_DATA_PLACE_CAPSULE : NVME_DATA_PLACE_NONE, data_bytes);
	sqe->cid = le16_store(0x4000);
	nvme_tcp_command_encode(&pdu, &frame, sqe, data_bytes);
	size = stream_add(0, &pdu, sizeof(pdu), stall->has_digests);
	return data_bytes == 0 ? size : stream_add(size, data, data_bytes, stall->has_digests);
}

static size_t stream_data(const struct stall *stall)
{
	static const uint8_t data[16384];
	struct nvme_tcp_frame frame = {.has_header_digest = stall->has_digests,
				       .has_data_digest = stall->has_digests,
				       .alignment = 4};
	struct nvme_tcp_transfer transfer = {.cid = fixture.cid,
					     .tag = fixture.tag,
					     .offset = stall->state == STATE_TRANSFER ? 8192 : 0};
	struct nvme_tcp_data pdu;
	size_t size;

	transfer.length = 16384 - transfer.offset;
	nvme_tcp_h2c_encode(&pdu, &frame, &transfer, true);
	size = stream_add(0, &pdu, sizeof(pdu), stall->has_digests);
	return stream_add(size, data, transfer.length, stall->has_digests);
}

/* What a good host would send next. Return: its bytes, in stream. */
static size_t stream_build(const struct stall *stall)
{
	static const uint8_t data[512];
	struct nvme_tcp_ic ic = {.alignment = 4, .r2t_count_max = 1};
	struct nvmf_connect connect;
	struct nvmf_connect_data connect_data;
	struct nvme_sqe sqe = {.opcode = NVME_ADMIN_KEEP_ALIVE};

	switch ((int)stall->state) {
	case STATE_FRESH:
		nvme_tcp_icreq_encode((struct nvme_tcp_icreq *)stream, &ic);
		return sizeof(struct nvme_tcp_icreq);
	case STATE_READY:
		connect = host_connect_default(&fixture.host, 0);
		nvmf_connect_encode(&sqe, &connect, &connect_data);
		return stream_command(stall, &sqe, &connect_data, sizeof(connect_data));
	case STATE_IO:
		sqe = host_rw(NVME_WRITE, 0, 1);
		return stream_command(stall, &sqe, data, sizeof(data));
	case STATE_ADMIN:
		return stream_command(stall, &sqe, NULL, 0);
	default:
		return stream_data(stall);
	}
}

/* Return: milliseconds until the target ended the connection. */
static uint64_t stall_run(const struct stall *stall)
{
	size_t size = stream_build(stall), at = stall->sent_bytes;
	struct os *os = fixture.stage.os;
	uint64_t start = os_clock_now_ns(os), next = start;

	assert_true(at < size);
	host_send(&fixture.host, stream, at);
	while (os_clock_now_ns(os) < start + PATIENCE_MS * MS) {
		if (host_is_closed_within(&fixture.host, 1))
			break;
		if (stall->is_trickling && os_clock_now_ns(os) >= next) {
			assert_true(at + 1 < size); /* else it was not slow */
			host_send(&fixture.host, stream + at++, 1);
			next = os_clock_now_ns(os) + TRICKLE_MS * MS;
		}
	}
	return (os_clock_now_ns(os) - start) / MS;
}

static void what_a_host_does_not_end_is_ended_for_it(void **state)
{
	const struct stall *stall = *state;
	uint64_t took_ms;

	fixture_enter(stall->state, stall->has_digests);
	took_ms = stall_run(stall);
	if (took_ms >= PATIENCE_MS)
		fail_msg("not closed within %u ms", PATIENCE_MS);
	/* Not at once either: a host may pause. */
	if (took_ms < HANDSHAKE_MS / 2)
		fail_msg("closed after %u ms already", (unsigned)took_ms);
	fixture_leave();
}

/* Not even when a look at the connection, for another reason, comes just behind its beginning. */
static void a_pdu_has_all_its_time_whenever_it_begins(void **state)
{
	struct stall stall = {.state = STATE_WAITING};

	(void)state;
	fixture_enter(STATE_WAITING, false);
	stage_run_ms(&fixture.stage, STALL_MS / 2 - 10);
	(void)stream_build(&stall);
	host_send(&fixture.host, stream, 24 + 1000);
	assert_false(host_is_closed_within(&fixture.host, STALL_MS - 20));
	assert_true(host_is_closed_within(&fixture.host, PATIENCE_MS));
	fixture_leave();
}

/* As slow, but each PDU ends in time: nobody is cut off for being slow alone. */
static void a_slow_host_that_ends_its_pdus_goes_on(void **state)
{
	struct stall stall = {.state = STATE_IO};
	uint64_t end;
	size_t size;

	(void)state;
	fixture_enter(STATE_IO, false);
	size = stream_build(&stall);
	end = os_clock_now_ns(fixture.stage.os) + 3 * STALL_MS * MS;
	while (os_clock_now_ns(fixture.stage.os) < end) {
		host_send(&fixture.host, stream, 30);
		stage_run_ms(&fixture.stage, STALL_MS / 4);
		host_send(&fixture.host, stream + 30, size - 30);
		expect_status(0x4000, 0);
	}
	fixture_leave();
}

static void a_host_that_does_not_read_is_closed(void **state)
{
	struct nvme_sqe sqe = host_rw(NVME_READ, 0, 256);
	uint64_t start;
	int small = 4096;

	(void)state;
	fixture_enter(STATE_IO, false);
	(void)setsockopt(fixture.host.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	start = os_clock_now_ns(fixture.stage.os);
	for (int i = 0; i < 32; i++) {
		host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, 131072);
		(void)host_command(&fixture.host, &sqe, NULL, 0);
	}
	assert_true(stage_await_connections(&fixture.stage, 3)); /* its admin queue stays */
	assert_true(os_clock_now_ns(fixture.stage.os) - start < PATIENCE_MS * MS);
	fixture_leave();
}

/* ---- buffers ---- */

/* A target with the time-outs that engines have: nobody is thrown out while a test runs. */
static bool is_default;

static void start_with_defaults(void)
{
	if (is_default)
		return;
	is_default = true;
	assert_int_equal(fixture_end(NULL), 0);
	fixture_start_with(NULL, NULL);
}

/* And with as many entries of a queue as can be configured. */
static void start_with_deep_queues(void)
{
	struct target_options options;

	is_default = false;
	assert_int_equal(fixture_end(NULL), 0);
	target_options_default(&options);
	options.queue_depth = TARGET_QUEUE_DEPTH_MAX;
	fixture_start_with(&options, NULL);
}

struct hoard {
	const char *name;
	uint32_t bytes; /* of each write that is never delivered */
};

static const struct hoard hoards[] = {
	{"hosts that hold all small buffers they get", 8192},
	{"hosts that hold all large buffers they get", 131072},
};

#define HOARDERS       4
#define HOARDER_QUEUES 10 /* of 32 entries: four times over more than there are buffers */

/* Return: how many connections. */
static uint32_t hoarders_open(struct host *hosts, uint32_t bytes)
{
	struct nvme_sqe sqe = host_rw(NVME_WRITE, 0, bytes / 512);
	uint32_t count = 0;

	for (uint8_t id = 10; id < 10 + HOARDERS; id++) {
		struct host *admin = &hosts[count++];

		*admin = (struct host){.id = id};
		host_admin(&fixture.stage, admin);
		for (uint16_t qid = 1; qid <= HOARDER_QUEUES; qid++) {
			struct host *host = &hosts[count++];

			*host = (struct host){.id = id, .cntlid = admin->cntlid};
			host_queue(&fixture.stage, host, qid);
			for (int i = 0; i < 32; i++) {
				host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, bytes);
				(void)host_command(host, &sqe, NULL, 0);
			}
		}
	}
	return count;
}

/* Another host's I/O of the same size does not wait until they are thrown out. */
static void hosts_that_hoard_buffers_harm_themselves(void **state)
{
	static uint8_t bytes[131072];
	static struct host hosts[HOARDERS * (HOARDER_QUEUES + 1)];
	const struct hoard *hoard = *state;
	uint32_t count;

	start_with_defaults();
	fixture_enter(STATE_IO, false);
	count = hoarders_open(hosts, hoard->bytes);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(host_write(&fixture.host, 0, bytes, hoard->bytes), 0);
		assert_int_equal(host_read(&fixture.host, 0, bytes, hoard->bytes), 0);
	}
	/* The hoarders are still there. */
	assert_true(stage_await_connections(&fixture.stage, 4 + count));
	for (uint32_t i = 0; i < count; i++)
		host_close(&hosts[i]);
	fixture_leave();
}

static struct buffer *taken[2048];
static uint32_t taken_count;

/* All small ones but @left. */
static void buffers_take(struct buffer_pool *pool, uint32_t left)
{
	while (buffer_pool_free_count(pool, SMALL_BUFFER_BYTES, false) > left)
		taken[taken_count++] = buffer_acquire(pool, SMALL_BUFFER_BYTES);
}

static void buffers_give_back(struct buffer_pool *pool)
{
	while (taken_count > 0)
		buffer_release(pool, taken[--taken_count]);
}

/* A good host: the data of its writes is behind a capsule that needs a buffer as well. */
static void data_behind_a_capsule_that_waits_is_read(void **state)
{
	static uint8_t bytes[8192];
	struct nvme_sqe large = host_rw(NVME_WRITE, 0, 16), small = host_rw(NVME_WRITE, 16, 8);
	struct nvme_tcp_transfer transfer = {.length = sizeof(bytes)};
	struct buffer_pool *pool;
	uint16_t cids[8], tags[8];

	(void)state;
	start_with_defaults();
	fixture_enter(STATE_IO, false);
	pool = reactor_buffers(fixture.stage.home);
	for (int i = 0; i < 8; i++) {
		host_sgl(&large, NVME_DATA_PLACE_TRANSPORT, sizeof(bytes));
		cids[i] = host_command(&fixture.host, &large, NULL, 0);
		tags[i] = expect_r2t();
	}
	/* Nearly all others are taken: this host has its share. */
	witness_rest();
	buffers_take(pool, 4);
	host_sgl(&small, NVME_DATA_PLACE_CAPSULE, 4096);
	(void)host_command(&fixture.host, &small, bytes, 4096);
	for (int i = 0; i < 8; i++) {
		transfer.cid = cids[i];
		transfer.tag = tags[i];
		host_data(&fixture.host, &transfer, bytes, true);
	}
	for (int i = 0; i < 9; i++)
		assert_int_equal(host_response(&fixture.host, NULL, NULL).status, 0);
	buffers_give_back(pool);
	witness_go_on();
	fixture_leave();
}

#define MANY_HOARDERS 14

static uint16_t fused_half_send(enum nvme_opcode opcode, uint8_t flag, uint32_t bytes)
{
	struct nvme_sqe sqe = host_rw(opcode, 0, bytes / 512);

	sqe.flags |= flag;
	host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, bytes);
	return host_command(&fixture.host, &sqe, NULL, 0);
}

/* Two R2Ts, then two answers, with the data of zeroes in between. */
static void fused_pair_serve(uint16_t second, uint32_t bytes)
{
	static const uint8_t zeroes[131072];
	static struct pdu pdu;
	const struct nvme_tcp_r2t *r2t = (const void *)pdu.header;
	struct nvme_tcp_transfer transfer = {.length = bytes};

	for (int i = 0; i < 2; i++) {
		host_receive_pdu(&fixture.host, &pdu);
		assert_false(pdu.is_closed || pdu.is_timeout);
		assert_int_equal(pdu.header[0], NVME_TCP_R2T);
		transfer.cid = le16_load(r2t->cccid);
		transfer.tag = le16_load(r2t->ttag);
		host_data(&fixture.host, &transfer, zeroes, true);
	}
	expect_status((uint16_t)(second - 1), 0);
	expect_status(second, 0);
}

/* The halves of a compare and write wait for buffers, and for each other: not for ever. */
static void fused_halves_get_buffers_when_hoarders_go(void **state)
{
	static const uint8_t zeroes[16384];
	static struct host hosts[2 * MANY_HOARDERS];
	struct nvme_sqe sqe = host_rw(NVME_WRITE, 0, 256);
	uint16_t second;

	(void)state;
	start_with_defaults();
	fixture_enter(STATE_IO, false);
	assert_int_equal(host_write(&fixture.host, 0, zeroes, sizeof(zeroes)), 0);
	for (uint32_t i = 0; i < MANY_HOARDERS; i++) {
		hosts[2 * i] = (struct host){.id = (uint8_t)(20 + i)};
		hosts[2 * i + 1] = (struct host){.queue_entries = 32};
		host_admin(&fixture.stage, &hosts[2 * i]);
		host_io(&fixture.stage, &hosts[2 * i + 1], &hosts[2 * i]);
		for (int n = 0; n < 32; n++) {
			host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, 131072);
			(void)host_command(&hosts[2 * i + 1], &sqe, NULL, 0);
		}
	}
	(void)fused_half_send(NVME_COMPARE, 1, sizeof(zeroes));
	second = fused_half_send(NVME_WRITE, 2, sizeof(zeroes));
	stage_run_ms(&fixture.stage, 5);
	assert_int_equal(buffer_pool_free_count(reactor_buffers(fixture.stage.home), 131072, false),
			 0);
	for (uint32_t i = 0; i < 2 * MANY_HOARDERS; i++)
		host_close(&hosts[i]);
	fused_pair_serve(second, sizeof(zeroes));
	fixture_leave();
}

/* ---- sends ---- */

/* Turns as long as the target sends. Return: true when it is stuck: the host does not read. */
static bool sends_are_stuck(void)
{
	const struct target_subsystem *subsystem = fixture.stage.subsystem;
	const struct connection *connection =
		list_entry(subsystem->connections.previous, struct connection, link);

	for (int i = 0; i < 20 && connection->send.is_sending; i++)
		stage_run_ms(&fixture.stage, 1);
	return connection->send.is_sending;
}

static uint32_t commands_until_stuck(enum nvme_opcode opcode, uint32_t bytes, uint32_t count_max)
{
	struct nvme_sqe sqe = host_rw(opcode, 0, bytes / 512);
	uint32_t count = 0;

	while (count < count_max && !sends_are_stuck()) {
		host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, bytes);
		(void)host_command(&fixture.host, &sqe, NULL, 0);
		stage_turn(&fixture.stage);
		count++;
	}
	return count;
}

static void deep_host_enter(void)
{
	int small = 4096;

	fixture_enter(STATE_ADMIN, false);
	fixture.admin = fixture.host;
	fixture.host = (struct host){.queue_entries = TARGET_QUEUE_DEPTH_MAX};
	host_io(&fixture.stage, &fixture.host, &fixture.admin);
	(void)setsockopt(fixture.host.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
}

/* The queue ends with its controller while the system has nothing of it but R2Ts. */
static void r2ts_that_nobody_reads_end_with_their_controller(void **state)
{
	uint32_t count;

	(void)state;
	start_with_deep_queues();
	deep_host_enter();
	count = commands_until_stuck(NVME_READ, 4096, 10000);
	fixture_leave();
	deep_host_enter();
	/* Not quite as many: the rest of the room is for R2Ts. */
	(void)commands_until_stuck(NVME_READ, 4096, count - 3);
	(void)commands_until_stuck(NVME_WRITE, 512, 700);
	assert_true(sends_are_stuck());
	host_close(&fixture.admin);
	assert_true(stage_await_connections(&fixture.stage, 2));
	fixture_leave();
}

/* ---- strangers ---- */

static void strangers_open(struct host *strangers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		strangers[i] = (struct host){0};
		host_open(&fixture.stage, &strangers[i]);
	}
	assert_true(stage_await_connections(&fixture.stage, 2 + count));
}

static void strangers_close(struct host *strangers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		host_close(&strangers[i]);
}

static void a_stranger_that_sits_there_yields_to_a_host(void **state)
{
	struct host strangers[STRANGERS_MAX];

	(void)state;
	fixture.rounds_at_enter = fixture.witness.round_count;
	strangers_open(strangers, STRANGERS_MAX);
	stage_run_ms(&fixture.stage, FAIR_MS + 20);
	fixture_enter(STATE_IO, false); /* two connections, one after the other: one place */
	assert_true(host_is_closed_within(&strangers[0], 100));
	assert_false(host_is_closed_within(&strangers[1], 5));
	expect_in_step(STATE_IO);
	strangers_close(strangers, STRANGERS_MAX);
	fixture_leave();
}

/* A storm of hosts is served in its order: those who came first are not thrown out by the rest. */
static void young_strangers_are_not_thrown_out(void **state)
{
	struct host strangers[STRANGERS_MAX];
	uint64_t start;

	(void)state;
	fixture.rounds_at_enter = fixture.witness.round_count;
	start = os_clock_now_ns(fixture.stage.os);
	strangers_open(strangers, STRANGERS_MAX);
	/* On a busy machine they may be old already: others, then. */
	for (int i = 0; i < 100 && os_clock_now_ns(fixture.stage.os) - start > FAIR_MS / 2 * MS;
	     i++) {
		strangers_close(strangers, STRANGERS_MAX);
		assert_true(stage_await_connections(&fixture.stage, 2));
		start = os_clock_now_ns(fixture.stage.os);
		strangers_open(strangers, STRANGERS_MAX);
	}
	memset(&fixture.host, 0, sizeof(fixture.host));
	host_open(&fixture.stage, &fixture.host);
	assert_true(host_is_closed_within(&fixture.host, 1000));
	for (uint32_t i = 0; i < STRANGERS_MAX; i++)
		host_icreq(&strangers[i]);
	strangers_close(strangers, STRANGERS_MAX);
	fixture_leave();
}

static int start(void **state)
{
	struct target_options options;

	(void)state;
	is_default = false;
	target_options_default(&options);
	options.linger_timeout_ms = 5;
	options.stall_timeout_ms = STALL_MS;
	options.handshake_timeout_ms = HANDSHAKE_MS;
	options.unauthenticated_count_max = STRANGERS_MAX;
	fixture_start_with(&options, NULL);
	return 0;
}

/* With the time that is given to peers by default. */
static void the_default_time_to_read_a_reason_is_below_a_second(void **state)
{
	static const uint8_t unknown[24] = {0x0b, 0, 24, 0, 24};

	(void)state;
	start_with_defaults();
	fixture_enter(STATE_IO, false);
	fixture_send(unknown, sizeof(unknown));
	expect_term(NVME_TCP_FES_INVALID_HEADER, 0);
	fixture_leave();
}

/* Limits hold at their end: as many entries as can be configured, all of them in use. */
static void the_deepest_queue_can_be_filled(void **state)
{
	struct nvme_sqe sqe = host_rw(NVME_READ, 0, 1);
	struct host admin = {0}, host = {.queue_entries = TARGET_QUEUE_DEPTH_MAX};
	static struct pdu pdu;

	(void)state;
	start_with_deep_queues();
	fixture.rounds_at_enter = fixture.witness.round_count;
	host_admin(&fixture.stage, &admin);
	host_io(&fixture.stage, &host, &admin);
	for (uint32_t i = 0; i < TARGET_QUEUE_DEPTH_MAX; i++) {
		host_sgl(&sqe, NVME_DATA_PLACE_TRANSPORT, 512);
		(void)host_command(&host, &sqe, NULL, 0);
	}
	for (uint32_t i = 0; i < 2 * TARGET_QUEUE_DEPTH_MAX; i++) {
		host_receive_pdu(&host, &pdu); /* data, and its response */
		assert_false(pdu.is_closed || pdu.is_timeout);
	}
	host_close(&host);
	host_close(&admin);
	fixture_leave();
}

int main(int argc, char **argv)
{
	static struct catalogue catalogue;

	CATALOGUE_ADD_ROWS(&catalogue, stalls, what_a_host_does_not_end_is_ended_for_it);
	CATALOGUE_ADD(&catalogue, a_pdu_has_all_its_time_whenever_it_begins);
	CATALOGUE_ADD(&catalogue, a_slow_host_that_ends_its_pdus_goes_on);
	CATALOGUE_ADD(&catalogue, a_host_that_does_not_read_is_closed);
	CATALOGUE_ADD(&catalogue, a_stranger_that_sits_there_yields_to_a_host);
	CATALOGUE_ADD(&catalogue, young_strangers_are_not_thrown_out);
	/* From here on with the default time-outs. */
	CATALOGUE_ADD_ROWS(&catalogue, hoards, hosts_that_hoard_buffers_harm_themselves);
	CATALOGUE_ADD(&catalogue, data_behind_a_capsule_that_waits_is_read);
	CATALOGUE_ADD(&catalogue, fused_halves_get_buffers_when_hoarders_go);
	CATALOGUE_ADD(&catalogue, the_default_time_to_read_a_reason_is_below_a_second);
	CATALOGUE_ADD(&catalogue, the_deepest_queue_can_be_filled);
	CATALOGUE_ADD(&catalogue, r2ts_that_nobody_reads_end_with_their_controller);
	return catalogue_main(&catalogue, argc, argv, start, fixture_end);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* test_host.c - the stage and the raw hosts of test_host.h. */
#include "target/test_host.h"

#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_NS (5 * 1000 * 1000 * 1000ull)

static void stage_log(struct log *log, const char *line)
{
	(void)log;
	if (getenv("TEST_LOG") != NULL)
		(void)fprintf(stderr, "%s\n", line);
}

static void waiter_run(struct op *op)
{
	container_of(op, struct stage, waiter)->is_woken = true;
}

void stage_turn(struct stage *stage)
{
	(void)reactor_turn(stage->main, false);
	(void)reactor_turn(stage->home, false);
	if (stage->on_turn != NULL)
		stage->on_turn(stage->on_turn_context);
}

void stage_run_ms(struct stage *stage, uint32_t ms)
{
	uint64_t end = os_clock_now_ns(stage->os) + ms * 1000000ull;

	while (os_clock_now_ns(stage->os) < end)
		stage_turn(stage);
}

void stage_await(struct stage *stage)
{
	uint64_t end = os_clock_now_ns(stage->os) + PATIENCE_NS;

	stage->is_woken = op_join(&stage->waiter) == OP_NEXT;
	while (!stage->is_woken) {
		assert_true(os_clock_now_ns(stage->os) < end);
		stage_turn(stage);
	}
}

bool stage_await_connections(struct stage *stage, uint32_t count)
{
	uint64_t end = os_clock_now_ns(stage->os) + PATIENCE_NS;

	while (target_connection_count(stage->target) != count) {
		if (os_clock_now_ns(stage->os) > end)
			return false;
		stage_turn(stage);
	}
	return true;
}

static struct bdev *stage_bdev(struct stage *stage, const char *uri)
{
	static struct bdev_create create;

	memset(&create, 0, sizeof(create));
	create.parent = &stage->waiter;
	create.registry = stage->registry;
	(void)snprintf(create.uri_text, sizeof(create.uri_text), "%s", uri);
	op_wait(&stage->waiter);
	bdev_create_submit(&create);
	stage_await(stage);
	if (create.result != 0)
		fail_msg("%s", create.error);
	return create.bdev;
}

static void stage_target(struct stage *stage, const struct target_options *options)
{
	struct target_options chosen;
	struct target_create create = {.parent = &stage->waiter, .main = stage->main};
	struct reactor *reactors[2] = {stage->main, stage->home};
	struct os_address address;

	if (options != NULL)
		chosen = *options;
	else
		target_options_default(&chosen);
	chosen.listen_count = 1;
	assert_int_equal(os_address_parse("127.0.0.1", 0, &chosen.listen[0]), 0);
	create.options = &chosen;
	create.reactors = reactors;
	create.reactor_count = 2;
	create.log = &stage->log;
	op_wait(&stage->waiter);
	target_create_submit(&create);
	stage_await(stage);
	assert_int_equal(create.result, 0);
	stage->target = create.target;
	target_listener_address(stage->target, 0, &address);
	stage->port = os_address_port(&address);
}

static void stage_subsystem(struct stage *stage, struct target_reservation_store *store)
{
	static struct target_subsystem_create create;

	memset(&create, 0, sizeof(create));
	create.parent = &stage->waiter;
	create.target = stage->target;
	(void)snprintf(create.nqn, sizeof(create.nqn), "%s", STAGE_NQN);
	create.bdev = stage->bdev;
	create.home = stage->home;
	create.uuid = stage->bdev->uuid;
	create.is_ana_reporting = true;
	create.reservation_store = store;
	target_serial_from_uuid(&create.uuid, create.serial);
	op_wait(&stage->waiter);
	target_subsystem_create_submit(&create);
	stage_await(stage);
	assert_int_equal(create.result, 0);
	stage->subsystem = create.subsystem;
}

void stage_open(struct stage *stage, const struct target_options *options,
		struct target_reservation_store *store)
{
	struct reactor_options reactor_options;

	memset(stage, 0, sizeof(*stage));
	stage->log = (struct log){.level = LOG_DEBUG, .write = stage_log};
	assert_int_equal(os_open(&stage->os), 0);
	reactor_options_default(&reactor_options);
	reactor_options.spin_ns_max = 0;
	assert_int_equal(reactor_create(stage->os, &reactor_options, &stage->main), 0);
	reactor_options.index = 1;
	assert_int_equal(reactor_create(stage->os, &reactor_options, &stage->home), 0);
	op_init(&stage->waiter, reactor_ready(stage->main), waiter_run);
	assert_int_equal(bdev_registry_create(stage->main, &stage->registry), 0);
	assert_int_equal(bdev_memory_register(stage->registry), 0);
	assert_int_equal(bdev_filter_register(stage->registry), 0);
	(void)stage_bdev(stage, "malloc:///lower?size_mb=16&blk_size=512");
	stage->bdev = stage_bdev(stage, "filter:///stage?lower=lower");
	stage_target(stage, options);
	stage_subsystem(stage, store);
}

void stage_reopen_subsystem(struct stage *stage)
{
	stage_subsystem(stage, NULL);
}

static void stage_destroy_bdev(struct stage *stage, struct bdev *bdev)
{
	struct bdev_destroy destroy = {.parent = &stage->waiter, .bdev = bdev};

	op_wait(&stage->waiter);
	bdev_destroy_submit(stage->registry, &destroy);
	stage_await(stage);
	assert_int_equal(destroy.result, 0);
}

void stage_close(struct stage *stage)
{
	struct target_subsystem_change change = {.parent = &stage->waiter,
						 .subsystem = stage->subsystem};

	op_wait(&stage->waiter);
	target_subsystem_destroy_submit(&change);
	stage_await(stage);
	op_wait(&stage->waiter);
	target_destroy_submit(stage->target, &stage->waiter);
	stage_await(stage);
	stage_destroy_bdev(stage, bdev_find(stage->registry, "stage"));
	stage_destroy_bdev(stage, bdev_find(stage->registry, "lower"));
	stage_run_ms(stage, 5);
	bdev_registry_destroy(stage->registry);
	reactor_destroy(stage->home);
	reactor_destroy(stage->main);
	os_close(stage->os);
}

static void stage_change(struct stage *stage,
			 void (*submit)(struct target_subsystem_change *change))
{
	struct target_subsystem_change change = {.parent = &stage->waiter,
						 .subsystem = stage->subsystem};

	op_wait(&stage->waiter);
	submit(&change);
	stage_await(stage);
	assert_int_equal(change.result, 0);
}

void stage_pause(struct stage *stage)
{
	stage_change(stage, target_subsystem_pause_submit);
}

void stage_resume(struct stage *stage)
{
	stage_change(stage, target_subsystem_resume_submit);
}

/* ---- bytes ---- */

void host_open(struct stage *stage, struct host *host)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(stage->port)};
	int one = 1;

	host->stage = stage;
	if (host->alignment == 0)
		host->alignment = 4;
	if (host->id == 0)
		host->id = 1;
	if (host->queue_entries == 0)
		host->queue_entries = 32;
	host->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(host->fd >= 0);
	(void)inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	assert_int_equal(connect(host->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)setsockopt(host->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	assert_int_equal(fcntl(host->fd, F_SETFL, O_NONBLOCK), 0);
}

void host_close(struct host *host)
{
	if (host->fd >= 0)
		(void)close(host->fd);
	host->fd = -1;
}

void host_send(struct host *host, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	uint64_t end = os_clock_now_ns(host->stage->os) + PATIENCE_NS;

	while (size > 0 && os_clock_now_ns(host->stage->os) < end) {
		ssize_t sent = send(host->fd, from, size, MSG_NOSIGNAL);

		stage_turn(host->stage);
		if (sent < 0 && errno != EAGAIN)
			return; /* the target has hung up: what follows will see it */
		if (sent > 0) {
			from += sent;
			size -= (size_t)sent;
		}
	}
}

bool host_receive(struct host *host, void *bytes, size_t size, bool *ret_is_closed)
{
	uint8_t *to = bytes;
	uint64_t end = os_clock_now_ns(host->stage->os) + PATIENCE_NS;

	*ret_is_closed = false;
	while (size > 0 && os_clock_now_ns(host->stage->os) < end) {
		ssize_t got = recv(host->fd, to, size, 0);

		if (got == 0 || (got < 0 && errno != EAGAIN)) {
			*ret_is_closed = true;
			return false;
		}
		if (got > 0) {
			to += got;
			size -= (size_t)got;
			continue;
		}
		stage_turn(host->stage);
	}
	return size == 0;
}

bool host_is_closed_within(struct host *host, uint32_t ms)
{
	uint64_t end = os_clock_now_ns(host->stage->os) + ms * 1000000ull;
	uint8_t bytes[4096];

	while (os_clock_now_ns(host->stage->os) < end) {
		ssize_t got = recv(host->fd, bytes, sizeof(bytes), 0);

		if (got == 0 || (got < 0 && errno != EAGAIN))
			return true;
		stage_turn(host->stage);
	}
	return false;
}

/* ---- PDUs ---- */

static bool pdu_data(struct host *host, struct pdu *pdu, bool has_digest)
{
	bool is_closed;

	if (!host_receive(host, pdu->data, pdu->data_bytes, &is_closed))
		return false;
	if (has_digest) {
		struct le32 digest;

		if (!host_receive(host, &digest, sizeof(digest), &is_closed))
			return false;
		assert_int_equal(le32_load(digest), crc32c(pdu->data, pdu->data_bytes));
	}
	return true;
}

void host_receive_pdu(struct host *host, struct pdu *pdu)
{
	struct nvme_tcp_common *common = (struct nvme_tcp_common *)pdu->header;
	uint8_t rest[256];
	uint32_t offset, digest, plen;

	pdu->is_closed = false;
	pdu->is_timeout = false;
	pdu->data_bytes = 0;
	if (!host_receive(host, common, sizeof(*common), &pdu->is_closed)) {
		pdu->is_timeout = !pdu->is_closed;
		return;
	}
	assert_true(common->hlen >= 8 && common->hlen <= 128);
	pdu->header_bytes = common->hlen;
	assert_true(host_receive(host, pdu->header + 8, common->hlen - 8u, &pdu->is_closed));
	digest = (common->flags & NVME_TCP_FLAG_HEADER_DIGEST) != 0 ? 4 : 0;
	if (digest > 0) {
		struct le32 expected = nvme_tcp_header_digest(pdu->header, common->hlen);

		assert_true(host_receive(host, rest, 4, &pdu->is_closed));
		assert_memory_equal(rest, &expected, 4);
	}
	plen = le32_load(common->plen);
	offset = common->hlen + digest;
	if (common->pdo > offset) {
		assert_int_equal(common->pdo % host->alignment, 0);
		assert_true(host_receive(host, rest, common->pdo - offset, &pdu->is_closed));
		offset = common->pdo;
	}
	if (plen <= offset)
		return;
	pdu->data_bytes = plen - offset;
	if ((common->flags & NVME_TCP_FLAG_DATA_DIGEST) != 0)
		pdu->data_bytes -= 4;
	assert_true(pdu->data_bytes <= sizeof(pdu->data));
	assert_true(pdu_data(host, pdu, (common->flags & NVME_TCP_FLAG_DATA_DIGEST) != 0));
}

void host_icreq(struct host *host)
{
	struct nvme_tcp_icreq icreq;
	struct nvme_tcp_icresp icresp;
	struct nvme_tcp_ic ic = {.alignment = host->alignment,
				 .has_header_digest = host->has_header_digest,
				 .has_data_digest = host->has_data_digest,
				 .r2t_count_max = 1};
	bool is_closed;

	nvme_tcp_icreq_encode(&icreq, &ic);
	host_send(host, &icreq, sizeof(icreq));
	assert_true(host_receive(host, &icresp, sizeof(icresp), &is_closed));
	assert_int_equal(icresp.common.type, NVME_TCP_ICRESP);
	assert_int_equal(icresp.dgst, (host->has_header_digest ? NVME_TCP_DIGEST_HEADER : 0) |
					      (host->has_data_digest ? NVME_TCP_DIGEST_DATA : 0));
	assert_true(le32_load(icresp.maxh2cdata) >= 4096);
}

static struct nvme_tcp_frame host_frame(const struct host *host)
{
	return (struct nvme_tcp_frame){.has_header_digest = host->has_header_digest,
				       .has_data_digest = host->has_data_digest,
				       .alignment = 4};
}

static void send_header(struct host *host, const void *header, uint32_t size)
{
	host_send(host, header, size);
	if (host->has_header_digest) {
		struct le32 digest = nvme_tcp_header_digest(header, size);

		host_send(host, &digest, sizeof(digest));
	}
}

static void send_data(struct host *host, const void *bytes, uint32_t size)
{
	if (size == 0)
		return;
	host_send(host, bytes, size);
	if (host->has_data_digest) {
		struct le32 digest = le32_store(crc32c(bytes, size));

		host_send(host, &digest, sizeof(digest));
	}
}

struct le32 host_digest(const void *bytes, size_t size)
{
	return le32_store(crc32c(bytes, size));
}

uint16_t host_command_header(struct host *host, struct nvme_sqe *sqe, uint32_t capsule_bytes)
{
	struct nvme_tcp_frame frame = host_frame(host);
	struct nvme_tcp_capsule_command pdu;

	host->cid++;
	sqe->cid = le16_store(host->cid);
	nvme_tcp_command_encode(&pdu, &frame, sqe, capsule_bytes);
	send_header(host, &pdu, sizeof(pdu));
	return host->cid;
}

uint16_t host_command(struct host *host, struct nvme_sqe *sqe, const void *capsule,
		      uint32_t capsule_bytes)
{
	(void)host_command_header(host, sqe, capsule_bytes);
	send_data(host, capsule, capsule_bytes);
	return host->cid;
}

struct nvme_status_field host_response(struct host *host, uint64_t *ret_result, uint16_t *ret_cid)
{
	static struct pdu pdu;
	const struct nvme_tcp_capsule_response *response = (void *)pdu.header;

	host_receive_pdu(host, &pdu);
	assert_false(pdu.is_closed);
	assert_false(pdu.is_timeout);
	assert_int_equal(response->common.type, NVME_TCP_CAPSULE_RESPONSE);
	if (ret_result != NULL)
		*ret_result = le32_load(response->cqe.cdw0) |
			      (uint64_t)le32_load(response->cqe.cdw1) << 32;
	if (ret_cid != NULL)
		*ret_cid = le16_load(response->cqe.cid);
	return nvme_status_decode(response->cqe.status);
}

/* ---- queues ---- */

struct nvmf_connect host_connect_default(const struct host *host, uint16_t qid)
{
	struct nvmf_connect connect = {.qid = qid,
				       .queue_entries = host->queue_entries,
				       .is_without_flow_control = host->is_without_flow_control,
				       .cntlid = qid == 0 ? NVMF_CNTLID_ANY : host->cntlid};

	memset(connect.host_id, host->id, sizeof(connect.host_id));
	(void)snprintf(connect.subnqn, sizeof(connect.subnqn), "%s", STAGE_NQN);
	(void)snprintf(connect.hostnqn, sizeof(connect.hostnqn), "nqn.2014-08.org.example:h%u",
		       host->id);
	return connect;
}

uint16_t host_connect_with(struct host *host, const struct nvmf_connect *connect,
			   uint32_t *ret_result)
{
	struct nvmf_connect_data data;
	struct nvme_sqe sqe;
	struct nvme_status_field status;
	uint64_t result;

	memset(&sqe, 0, sizeof(sqe));
	nvmf_connect_encode(&sqe, connect, &data);
	nvme_sgl_encode(&sqe, &(struct nvme_data){.place = NVME_DATA_PLACE_CAPSULE,
						  .length = sizeof(data)});
	(void)host_command(host, &sqe, &data, sizeof(data));
	status = host_response(host, &result, NULL);
	*ret_result = (uint32_t)result;
	return status.status;
}

void host_queue(struct stage *stage, struct host *host, uint16_t qid)
{
	struct nvmf_connect connect;
	uint32_t result;

	host_open(stage, host);
	host_icreq(host);
	connect = host_connect_default(host, qid);
	assert_int_equal(host_connect_with(host, &connect, &result), 0);
	host->cntlid = (uint16_t)result;
}

void host_enable(struct host *host)
{
	struct nvmf_property_access access = {.offset = NVMF_PROPERTY_CC,
					      .value = NVMF_CC_ENABLE | 6u << NVMF_CC_IOSQES_SHIFT |
						       4u << NVMF_CC_IOCQES_SHIFT};
	struct nvme_sqe sqe;

	memset(&sqe, 0, sizeof(sqe));
	nvmf_property_set_encode(&sqe, &access);
	assert_int_equal(host_run(host, &sqe, NULL, 0, NULL), 0);
}

void host_admin(struct stage *stage, struct host *host)
{
	host_queue(stage, host, 0);
	host_enable(host);
}

void host_io(struct stage *stage, struct host *host, const struct host *admin)
{
	host->cntlid = admin->cntlid;
	host->id = admin->id;
	host_queue(stage, host, 1);
}

void host_data(struct host *host, const struct nvme_tcp_transfer *transfer, const uint8_t *bytes,
	       bool is_last)
{
	struct nvme_tcp_frame frame = host_frame(host);
	struct nvme_tcp_data pdu;

	nvme_tcp_h2c_encode(&pdu, &frame, transfer, is_last);
	send_header(host, &pdu, sizeof(pdu));
	send_data(host, bytes, transfer->length);
}

static void host_serve_r2t(struct host *host, const struct nvme_tcp_r2t *r2t, const uint8_t *bytes)
{
	struct nvme_tcp_transfer transfer = {.cid = le16_load(r2t->cccid),
					     .tag = le16_load(r2t->ttag)};
	uint32_t offset = le32_load(r2t->r2to);
	uint32_t end = offset + le32_load(r2t->r2tl);

	while (offset < end) {
		transfer.offset = offset;
		transfer.length = end - offset < 16384 ? end - offset : 16384;
		host_data(host, &transfer, bytes + offset, offset + transfer.length == end);
		offset += transfer.length;
	}
}

uint16_t host_run(struct host *host, struct nvme_sqe *sqe, void *bytes, uint32_t size,
		  uint64_t *ret_result)
{
	static struct pdu pdu;
	const struct nvme_tcp_capsule_response *response = (void *)pdu.header;
	uint16_t cid;

	nvme_sgl_encode(sqe, &(struct nvme_data){.place = size == 0 ? NVME_DATA_PLACE_NONE
								    : NVME_DATA_PLACE_TRANSPORT,
						 .length = size});
	cid = host_command(host, sqe, NULL, 0);
	for (;;) {
		host_receive_pdu(host, &pdu);
		assert_false(pdu.is_closed);
		assert_false(pdu.is_timeout);
		switch (pdu.header[0]) {
		case NVME_TCP_R2T:
			host_serve_r2t(host, (void *)pdu.header, bytes);
			break;
		case NVME_TCP_C2H_DATA:
			assert_true(pdu.data_bytes <= size);
			memcpy(bytes, pdu.data, pdu.data_bytes);
			if ((pdu.header[1] & NVME_TCP_FLAG_SUCCESS) == 0)
				break;
			assert_true(host->is_without_flow_control);
			return 0;
		default:
			assert_int_equal(pdu.header[0], NVME_TCP_CAPSULE_RESPONSE);
			assert_int_equal(le16_load(response->cqe.cid), cid);
			if (ret_result != NULL)
				*ret_result = le32_load(response->cqe.cdw0) |
					      (uint64_t)le32_load(response->cqe.cdw1) << 32;
			return nvme_status_decode(response->cqe.status).status;
		}
	}
}

static uint16_t host_move(struct host *host, enum nvme_opcode opcode, uint64_t block, void *bytes,
			  uint32_t size)
{
	struct nvme_rw rw = {.first_block = block, .block_count = size / 512};
	struct nvme_sqe sqe;

	memset(&sqe, 0, sizeof(sqe));
	nvme_rw_encode(&sqe, opcode, 1, &rw);
	return host_run(host, &sqe, bytes, size, NULL);
}

uint16_t host_write(struct host *host, uint64_t block, const void *bytes, uint32_t size)
{
	return host_move(host, NVME_WRITE, block, (void *)(uintptr_t)bytes, size);
}

uint16_t host_read(struct host *host, uint64_t block, void *bytes, uint32_t size)
{
	return host_move(host, NVME_READ, block, bytes, size);
}

/* ---- short forms ---- */

struct nvme_sqe host_rw(enum nvme_opcode opcode, uint64_t block, uint32_t count)
{
	struct nvme_rw rw = {.first_block = block, .block_count = count};
	struct nvme_sqe sqe;

	memset(&sqe, 0, sizeof(sqe));
	nvme_rw_encode(&sqe, opcode, 1, &rw);
	return sqe;
}

void host_sgl(struct nvme_sqe *sqe, enum nvme_data_place place, uint32_t length)
{
	nvme_sgl_encode(sqe, &(struct nvme_data){.place = place, .length = length});
}

int stage_hold(struct stage *stage, uint32_t type_mask)
{
	struct filter_rule rule = {.action = FILTER_HOLD, .type_mask = type_mask};
	int id = filter_rule_add(stage->bdev, &rule);

	assert_true(id >= 0);
	return id;
}

void stage_let_go(struct stage *stage, int rule)
{
	assert_int_equal(filter_rule_remove(stage->bdev, rule), 0);
	filter_release(stage->bdev);
}

uint16_t host_capsule_write(struct host *host, uint64_t block, const void *bytes, uint32_t size)
{
	struct nvme_sqe sqe = host_rw(NVME_WRITE, block, size / 512);

	host_sgl(&sqe, NVME_DATA_PLACE_CAPSULE, size);
	return host_command(host, &sqe, bytes, size);
}

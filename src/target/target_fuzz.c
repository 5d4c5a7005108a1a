/* SPDX-License-Identifier: Apache-2.0 */
/* target_fuzz.c - hosts that say anything, in any state of a connection.
 *
 * The first byte chooses how far the connection gets in an orderly way, and its digests. The rest
 * is a row of records: raw bytes, command capsules, or data PDUs, the latter two framed well so
 * that what they carry is reached. After each row everything must drain: leaks of commands, buffers
 * or locks trip the target's own assertions when its subsystem is removed from time to time.
 */
#include "target/test_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define ROUNDS_PER_STAGE 500

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct stage stage;
static uint32_t round_count;

static void record_command(struct host *host, const uint8_t *bytes, size_t size)
{
	struct nvme_sqe sqe = {.flags = NVME_SQE_PSDT_SGL};
	uint32_t capsule;

	memcpy(&sqe, bytes, size < sizeof(sqe) ? size : sizeof(sqe));
	capsule = size > sizeof(sqe) ? (uint32_t)(size - sizeof(sqe)) & ~3u : 0;
	sqe.flags = (uint8_t)(NVME_SQE_PSDT_SGL | (sqe.flags & NVME_SQE_FUSE_MASK));
	if (capsule > 0) {
		sqe.sgl.type = NVME_SGL_DATA_BLOCK_OFFSET;
		sqe.sgl.length = le32_store(capsule);
		sqe.sgl.address = le64_store(0);
	} else {
		sqe.sgl.type = NVME_SGL_TRANSPORT;
	}
	(void)host_command(host, &sqe, bytes + sizeof(sqe), capsule);
}

static void record_data(struct host *host, const uint8_t *bytes, size_t size)
{
	struct nvme_tcp_frame frame = {host->has_header_digest, host->has_data_digest, 4};
	struct nvme_tcp_transfer transfer = {.cid = host->cid, .tag = 0x0801};
	struct nvme_tcp_data pdu;

	if (size < 8)
		return;
	transfer.tag = (uint16_t)(bytes[0] | bytes[1] << 8);
	transfer.offset = bytes[2] * 512u;
	transfer.length = (uint32_t)(size - 4) & ~3u;
	nvme_tcp_h2c_encode(&pdu, &frame, &transfer, (bytes[3] & 1) != 0);
	host_send(host, &pdu, sizeof(pdu));
	host_send(host, bytes + 4, transfer.length);
}

static void records(struct host *host, const uint8_t *bytes, size_t size)
{
	while (size >= 3) {
		size_t length = (size_t)(bytes[1] | (bytes[2] & 0x1f) << 8);

		if (length > size - 3)
			length = size - 3;
		switch (bytes[0] % 3) {
		case 0:
			host_send(host, bytes + 3, length);
			break;
		case 1:
			record_command(host, bytes + 3, length);
			break;
		default:
			record_data(host, bytes + 3, length);
			break;
		}
		bytes += 3 + length;
		size -= 3 + length;
	}
}

static void stage_end(void)
{
	stage_close(&stage);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct host admin = {.fd = -1}, host = {.fd = -1};

	if (size < 1)
		return 0;
	if (round_count++ % ROUNDS_PER_STAGE == 0) {
		if (round_count > 1)
			stage_close(&stage);
		else
			(void)atexit(stage_end);
		stage_open(&stage, NULL, NULL);
	}
	host.has_header_digest = (bytes[0] & 4) != 0;
	host.has_data_digest = (bytes[0] & 8) != 0;
	host.is_without_flow_control = (bytes[0] & 16) != 0;
	switch (bytes[0] & 3) {
	case 0:
		host_open(&stage, &host);
		break;
	case 1:
		host_open(&stage, &host);
		host_icreq(&host);
		break;
	case 2:
		host_admin(&stage, &host);
		break;
	default:
		host_admin(&stage, &admin);
		host_io(&stage, &host, &admin);
		break;
	}
	records(&host, bytes + 1, size - 1);
	for (int i = 0; i < 8; i++)
		stage_turn(&stage);
	host_close(&host);
	host_close(&admin);
	if (!stage_await_connections(&stage, 0))
		abort();
	return 0;
}

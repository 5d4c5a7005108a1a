/* SPDX-License-Identifier: Apache-2.0 */
/* test_controller.c - see test_controller.h. Test code: what cannot be is asserted. */
#include "initiator/test_controller.h"

#include "base/crc32c.h"
#include "base/memory.h"
#include "reactor/reactor.h"

#include <errno.h>

/* What a host must not do. With is_lenient, because the test lied to it before, it is cut off. */
#define EXPECT(connection, condition)                           \
	do {                                                    \
		if (!(condition)) {                             \
			ASSERT((connection)->fake->is_lenient); \
			connection_close(connection);           \
			return;                                 \
		}                                               \
	} while (0)

static void sender_run(struct op *op);
static void connection_close(struct fake_connection *connection);

static void flush(struct fake_connection *connection)
{
	if (connection->is_sending || connection->is_closing || connection->is_holding ||
	    connection->out_bytes == 0)
		return;
	connection->sent_bytes = connection->is_dribbling ? 1 : connection->out_bytes;
	connection->iov = (struct iovec){connection->out, connection->sent_bytes};
	connection->send = (struct os_send){
		.parent = &connection->sender, .iov = &connection->iov, .iov_count = 1};
	connection->is_sending = true;
	op_wait(&connection->sender);
	os_socket_send(connection->socket, &connection->send);
	if (op_join(&connection->sender) == OP_NEXT)
		op_wake(&connection->sender);
}

static void sender_run(struct op *op)
{
	struct fake_connection *connection = container_of(op, struct fake_connection, sender);

	connection->is_sending = false;
	connection->out_bytes -= connection->sent_bytes;
	memmove(connection->out, connection->out + connection->sent_bytes, connection->out_bytes);
	if (connection->send.result < 0)
		connection->out_bytes = 0;
	flush(connection);
}

void fake_send(struct fake_connection *connection, const void *bytes, size_t size_bytes)
{
	if (connection->fake->tamper != NULL &&
	    connection->fake->tamper(connection, bytes, size_bytes))
		return;
	if (connection->is_closing)
		return;
	ASSERT(connection->out_bytes + size_bytes <= FAKE_BUFFER_BYTES);
	memcpy(connection->out + connection->out_bytes, bytes, size_bytes);
	connection->out_bytes += size_bytes;
	flush(connection);
}

void fake_release(struct fake_connection *connection)
{
	connection->is_holding = false;
	flush(connection);
}

static void send_header(struct fake_connection *connection, const void *header, uint32_t bytes)
{
	struct le32 digest = nvme_tcp_header_digest(header, bytes);

	fake_send(connection, header, bytes);
	if (connection->frame.has_header_digest)
		fake_send(connection, &digest, sizeof(digest));
}

void fake_respond(struct fake_connection *connection, uint16_t cid, uint16_t status,
		  uint32_t result)
{
	struct nvme_cqe cqe = {
		.cdw0 = le32_store(result),
		.cid = le16_store(cid),
		.status = nvme_status_encode((struct nvme_status_field){.status = status}),
	};
	struct nvme_tcp_capsule_response pdu;

	nvme_tcp_response_encode(&pdu, &connection->frame, &cqe);
	send_header(connection, &pdu, sizeof(pdu));
}

void fake_send_data(struct fake_connection *connection, uint16_t cid, uint32_t offset,
		    struct iovec data, uint8_t flags)
{
	struct nvme_tcp_frame frame = connection->frame;
	struct nvme_tcp_transfer transfer = {
		.cid = cid, .offset = offset, .length = (uint32_t)data.iov_len};
	struct le32 digest = le32_store(crc32c(data.iov_base, data.iov_len));
	struct nvme_tcp_data pdu;

	frame.alignment = 4; /* the initiator's HPDA is 0 */
	nvme_tcp_c2h_encode(&pdu, &frame, &transfer, flags);
	send_header(connection, &pdu, sizeof(pdu));
	fake_send(connection, data.iov_base, data.iov_len);
	if (frame.has_data_digest)
		fake_send(connection, &digest, sizeof(digest));
}

void fake_send_r2t(struct fake_connection *connection, uint16_t cid, uint32_t offset,
		   uint32_t length)
{
	struct nvme_tcp_transfer transfer = {
		.cid = cid, .tag = (uint16_t)(cid + 1), .offset = offset, .length = length};
	struct nvme_tcp_r2t pdu;

	nvme_tcp_r2t_encode(&pdu, &connection->frame, &transfer);
	send_header(connection, &pdu, sizeof(pdu));
}

static void send_read(struct fake_connection *connection, uint16_t cid, const uint8_t *bytes,
		      uint32_t size_bytes)
{
	struct fake_controller *fake = connection->fake;

	for (uint32_t at = 0; at < size_bytes;) {
		uint32_t count =
			size_bytes - at < fake->c2h_bytes ? size_bytes - at : fake->c2h_bytes;
		uint8_t flags = 0;

		if (at + count == size_bytes)
			flags = fake->is_without_success
					? NVME_TCP_FLAG_LAST
					: NVME_TCP_FLAG_LAST | NVME_TCP_FLAG_SUCCESS;
		fake_send_data(connection, cid, at,
			       (struct iovec){(void *)(uintptr_t)(bytes + at), count}, flags);
		at += count;
	}
	if (fake->is_without_success)
		fake_respond(connection, cid, 0, 0);
}

/* Set-up. */

static void connect_handle(struct fake_connection *connection, const struct nvme_sqe *sqe,
			   const uint8_t *data)
{
	struct fake_controller *fake = connection->fake;
	struct nvmf_connect connect;
	uint32_t result = 0;

	EXPECT(connection, nvmf_connect_decode(sqe, data, &connect, &result) == 0);
	connection->qid = connect.qid;
	connection->is_associated = true;
	if (connect.qid == 0)
		fake->connect_count++;
	else
		fake->io_connect_count++;
	fake_respond(connection, le16_load(sqe->cid), fake->connect_status, 1);
}

static uint64_t property_of(struct fake_controller *fake, uint32_t offset)
{
	switch (offset) {
	case NVMF_PROPERTY_CAP:
		return 63 | 1ull << 16 | 30ull << 24 | NVMF_CAP_CSS_NVM;
	case NVMF_PROPERTY_VS:
		return NVMF_VS(1, 3, 0);
	case NVMF_PROPERTY_CSTS:
		if (fake->not_ready_count == 0)
			return NVMF_CSTS_READY;
		fake->not_ready_count--;
		return 0;
	default:
		return 0;
	}
}

static void fabrics_handle(struct fake_connection *connection, const struct nvme_sqe *sqe,
			   const uint8_t *data)
{
	const struct nvmf_command *command = (const struct nvmf_command *)sqe;
	struct nvmf_property_access access;

	if (command->type == NVMF_CONNECT) {
		connect_handle(connection, sqe, data);
		return;
	}
	EXPECT(connection, nvmf_property_decode(sqe, &access) == NVME_STATUS_SUCCESS);
	if (command->type == NVMF_PROPERTY_GET) {
		uint64_t value = property_of(connection->fake, access.offset);
		struct nvme_cqe cqe = {.cdw0 = le32_store((uint32_t)value),
				       .cdw1 = le32_store((uint32_t)(value >> 32)),
				       .cid = sqe->cid};
		struct nvme_tcp_capsule_response pdu;

		nvme_tcp_response_encode(&pdu, &connection->frame, &cqe);
		send_header(connection, &pdu, sizeof(pdu));
		return;
	}
	fake_respond(connection, le16_load(sqe->cid), 0, 0);
}

static void identify_fill(struct fake_controller *fake, const struct nvme_sqe *sqe, uint8_t *page)
{
	struct nvme_identify identify = nvme_identify_decode(sqe);
	struct nvme_identify_controller *controller = (void *)page;
	struct nvme_identify_namespace *namespace = (void *)page;
	struct nvme_namespace_list *list = (void *)page;

	memset(page, 0, NVME_IDENTIFY_BYTES);
	switch ((uint32_t)identify.cns) {
	case NVME_CNS_CONTROLLER:
		memcpy(controller->sn, "FAKE0001            ", 20);
		memcpy(controller->mn, "Fake controller                         ", 40);
		memcpy(controller->fr, "1.0     ", 8);
		controller->mdts = fake->mdts;
		controller->oaes = le32_store(NVME_ASYNC_EVENT_NAMESPACE_ATTRIBUTE |
					      NVME_ASYNC_EVENT_ANA_CHANGE);
		controller->oncs = le16_store(NVME_ONCS_COMPARE | NVME_ONCS_DATASET_MANAGEMENT |
					      NVME_ONCS_WRITE_ZEROES | NVME_ONCS_RESERVATIONS);
		controller->cmic = fake->ana_state != 0 ? NVME_CMIC_ANA : 0;
		controller->nanagrpid = le32_store(1);
		controller->nn = le32_store(1);
		controller->vwc = 1;
		controller->ioccsz = le32_store(fake->ioccsz);
		break;
	case NVME_CNS_ACTIVE_NAMESPACES:
		list->nsid[0] = le32_store(fake->is_namespace_gone ? 0 : 1);
		break;
	case NVME_CNS_NAMESPACE:
		namespace
		->nsze = le64_store(fake->block_count);
		namespace->lbaf[0].data_bytes_log2 = 9;
		namespace->anagrpid = le32_store(1);
		namespace->rescap = 0xff;
		memcpy(namespace->nguid, fake->uuid, 16);
		break;
	case NVME_CNS_NAMESPACE_DESCRIPTORS:
		page[0] = NVME_NAMESPACE_DESCRIPTOR_UUID;
		page[1] = 16;
		memcpy(page + 4, fake->uuid, 16);
		break;
	default:
		break;
	}
}

static void log_fill(struct fake_controller *fake, const struct nvme_get_log *log, uint8_t *page)
{
	struct nvme_ana_log *ana = (void *)page;
	struct nvme_ana_group *group = (void *)(page + sizeof(*ana));

	memset(page, 0, 4096);
	if (log->page != NVME_LOG_ANA)
		return;
	ana->group_count = le16_store(1);
	group->group_id = le32_store(1);
	group->nsid_count = le32_store(1);
	group->state = fake->ana_state;
}

static void admin_handle(struct fake_connection *connection, const struct nvme_sqe *sqe)
{
	struct fake_controller *fake = connection->fake;
	uint16_t cid = le16_load(sqe->cid);
	struct nvme_get_log log;
	uint8_t page[4096];

	switch (sqe->opcode) {
	case NVME_ADMIN_IDENTIFY:
		identify_fill(fake, sqe, page);
		send_read(connection, cid, page, sizeof(page));
		break;
	case NVME_ADMIN_GET_LOG_PAGE:
		EXPECT(connection, nvme_get_log_decode(sqe, &log) == NVME_STATUS_SUCCESS);
		EXPECT(connection, log.length_bytes <= sizeof(page));
		log_fill(fake, &log, page);
		send_read(connection, cid, page, (uint32_t)log.length_bytes);
		break;
	case NVME_ADMIN_SET_FEATURES:
		fake_respond(connection, cid, 0, 0x00030003);
		break;
	case NVME_ADMIN_KEEP_ALIVE:
		fake->keep_alive_count++;
		fake_respond(connection, cid, 0, 0);
		break;
	case NVME_ADMIN_ASYNC_EVENT:
		connection->has_event = true;
		connection->event_cid = cid;
		break;
	case NVME_ADMIN_ABORT:
		fake->abort_count++;
		fake->abort_cid = (uint16_t)(le32_load(sqe->cdw10) >> 16);
		fake_respond(connection, cid, 0, 0);
		break;
	default:
		fake_respond(connection, cid, NVME_STATUS_INVALID_OPCODE, 0);
		break;
	}
}

/* I/O. */

static void write_finish(struct fake_connection *connection, const struct nvme_sqe *sqe,
			 const uint8_t *data, uint32_t size_bytes)
{
	struct fake_controller *fake = connection->fake;
	uint16_t cid = le16_load(sqe->cid);
	struct nvme_dsm_range range;
	struct nvme_rw rw;

	if (sqe->opcode == NVME_DATASET_MANAGEMENT) {
		memcpy(&range, data, sizeof(range));
		EXPECT(connection,
		       nvme_dsm_range_decode(&range, FAKE_BLOCKS, &rw) == NVME_STATUS_SUCCESS);
		memset(fake->disk + rw.first_block * FAKE_BLOCK_BYTES, 0,
		       (size_t)rw.block_count * FAKE_BLOCK_BYTES);
		fake->dsm_count++;
		fake_respond(connection, cid, 0, 0);
		return;
	}
	EXPECT(connection, nvme_rw_decode(sqe, FAKE_BLOCKS, &rw) == NVME_STATUS_SUCCESS);
	EXPECT(connection, size_bytes == rw.block_count * FAKE_BLOCK_BYTES);
	if (sqe->opcode == NVME_COMPARE) {
		bool is_equal = memcmp(fake->disk + rw.first_block * FAKE_BLOCK_BYTES, data,
				       size_bytes) == 0;

		fake_respond(connection, cid, is_equal ? 0 : NVME_STATUS_COMPARE_FAILURE, 0);
		return;
	}
	ASSERT(sqe->opcode == NVME_WRITE);
	memcpy(fake->disk + rw.first_block * FAKE_BLOCK_BYTES, data, size_bytes);
	fake->write_count++;
	fake_respond(connection, cid, 0, 0);
}

static void write_request(struct fake_connection *connection, struct fake_write *write)
{
	uint32_t length = write->length - write->requested;

	if (length > connection->fake->r2t_bytes)
		length = connection->fake->r2t_bytes;
	fake_send_r2t(connection, write->cid, write->requested, length);
	write->requested += length;
}

static void write_start(struct fake_connection *connection, const struct nvme_sqe *sqe,
			const uint8_t *data, uint32_t data_bytes)
{
	struct nvme_data place;
	struct fake_write *write = connection->writes;

	EXPECT(connection, nvme_sgl_decode(sqe, data_bytes, &place) == NVME_STATUS_SUCCESS);
	/* No more in the capsule than IOCCSZ permits. */
	EXPECT(connection, data_bytes <= connection->fake->ioccsz * 16 - NVME_SQE_BYTES);
	if (place.place == NVME_DATA_PLACE_CAPSULE) {
		write_finish(connection, sqe, data, data_bytes);
		return;
	}
	while (write->is_used)
		write++;
	EXPECT(connection, write < connection->writes + FAKE_WRITES_MAX);
	write->is_used = true;
	write->cid = le16_load(sqe->cid);
	write->sqe = *sqe;
	write->length = place.length;
	write->requested = 0;
	write->received = 0;
	/* Two at a time where it takes several, so that the initiator has to queue one. */
	write_request(connection, write);
	if (write->requested < write->length)
		write_request(connection, write);
}

static void io_handle(struct fake_connection *connection, const struct nvme_sqe *sqe,
		      const uint8_t *data, uint32_t data_bytes)
{
	struct fake_controller *fake = connection->fake;
	uint16_t cid = le16_load(sqe->cid);
	struct nvme_rw rw;

	switch (sqe->opcode) {
	case NVME_READ:
		EXPECT(connection, nvme_rw_decode(sqe, FAKE_BLOCKS, &rw) == NVME_STATUS_SUCCESS);
		send_read(connection, cid, fake->disk + rw.first_block * FAKE_BLOCK_BYTES,
			  rw.block_count * FAKE_BLOCK_BYTES);
		break;
	case NVME_WRITE:
	case NVME_COMPARE:
	case NVME_DATASET_MANAGEMENT:
		write_start(connection, sqe, data, data_bytes);
		break;
	case NVME_WRITE_ZEROES:
		EXPECT(connection, nvme_rw_decode(sqe, FAKE_BLOCKS, &rw) == NVME_STATUS_SUCCESS);
		memset(fake->disk + rw.first_block * FAKE_BLOCK_BYTES, 0,
		       (size_t)rw.block_count * FAKE_BLOCK_BYTES);
		fake->zeroes_count++;
		fake_respond(connection, cid, 0, 0);
		break;
	case NVME_FLUSH:
		fake_respond(connection, cid, 0, 0);
		break;
	default:
		fake_respond(connection, cid, NVME_STATUS_INVALID_OPCODE, 0);
		break;
	}
}

/* PDUs. */

static void icreq_handle(struct fake_connection *connection, const uint8_t *bytes,
			 const struct nvme_tcp_header *header)
{
	struct fake_controller *fake = connection->fake;
	struct nvme_tcp_icresp response;
	struct nvme_tcp_fault fault;
	struct nvme_tcp_ic ic;

	EXPECT(connection, nvme_tcp_icreq_decode(bytes, header, &ic, &fault) == 0);
	ic.alignment = fake->alignment;
	ic.has_header_digest = ic.has_header_digest && fake->has_header_digest;
	ic.has_data_digest = ic.has_data_digest && fake->has_data_digest;
	ic.data_bytes_max = fake->h2c_bytes_max;
	nvme_tcp_icresp_encode(&response, &ic);
	fake_send(connection, &response, sizeof(response));
	connection->is_initialized = true;
	connection->frame =
		(struct nvme_tcp_frame){ic.has_header_digest, ic.has_data_digest, fake->alignment};
}

static void h2c_handle(struct fake_connection *connection, const uint8_t *bytes,
		       const struct nvme_tcp_header *header)
{
	struct fake_write *write = connection->writes;
	struct nvme_tcp_transfer transfer;
	struct nvme_tcp_fault fault;

	connection->fake->h2c_count++;
	EXPECT(connection, nvme_tcp_h2c_decode(bytes, header, &transfer, &fault) == 0);
	while (!write->is_used || write->cid != transfer.cid) {
		write++;
		if (write == connection->writes + FAKE_WRITES_MAX)
			return; /* a test's hook asked for it */
	}
	EXPECT(connection, transfer.tag == (uint16_t)(transfer.cid + 1));
	EXPECT(connection, transfer.offset == write->received);
	EXPECT(connection, transfer.offset + transfer.length <= write->requested);
	memcpy(write->data + transfer.offset, bytes + header->data_offset, transfer.length);
	write->received += transfer.length;
	if (write->received == write->length) {
		write->is_used = false;
		write_finish(connection, &write->sqe, write->data, write->length);
	} else if (header->is_last && write->requested < write->length) {
		write_request(connection, write);
	}
}

static void command_handle(struct fake_connection *connection, const uint8_t *bytes,
			   const struct nvme_tcp_header *header)
{
	struct fake_controller *fake = connection->fake;
	struct nvme_sqe sqe = nvme_tcp_command_decode(bytes, header);
	const uint8_t *data = bytes + header->data_offset;

	if (fake->is_silent && connection->is_associated)
		return;
	if (fake->hook != NULL && fake->hook(connection, &sqe, data, header->data_bytes))
		return;
	if (sqe.opcode == NVMF_OPCODE)
		fabrics_handle(connection, &sqe, data);
	else if (connection->qid == 0)
		admin_handle(connection, &sqe);
	else
		io_handle(connection, &sqe, data, header->data_bytes);
}

static void digests_check(struct fake_connection *connection, const uint8_t *bytes,
			  const struct nvme_tcp_header *header)
{
	struct le32 digest;

	if (header->has_header_digest) {
		digest = nvme_tcp_header_digest(bytes, header->header_bytes);
		EXPECT(connection, memcmp(&digest, bytes + header->header_bytes, 4) == 0);
	}
	if (header->has_data_digest) {
		digest = le32_store(crc32c(bytes + header->data_offset, header->data_bytes));
		EXPECT(connection,
		       memcmp(&digest, bytes + header->data_offset + header->data_bytes, 4) == 0);
	}
}

static void pdu_handle(struct fake_connection *connection, const uint8_t *bytes,
		       const struct nvme_tcp_header *header)
{
	digests_check(connection, bytes, header);
	if (connection->is_closing)
		return;
	switch (header->type) {
	case NVME_TCP_ICREQ:
		icreq_handle(connection, bytes, header);
		break;
	case NVME_TCP_H2C_TERM:
		connection->fake->term_count++;
		nvme_tcp_term_decode(bytes, header, &connection->fake->last_term);
		break;
	case NVME_TCP_CAPSULE_COMMAND:
		command_handle(connection, bytes, header);
		break;
	case NVME_TCP_H2C_DATA:
		h2c_handle(connection, bytes, header);
		break;
	case NVME_TCP_ICRESP:
	case NVME_TCP_C2H_TERM:
	case NVME_TCP_CAPSULE_RESPONSE:
	case NVME_TCP_C2H_DATA:
	case NVME_TCP_R2T:
		EXPECT(connection, false);
		break;
	}
}

/* Takes one whole PDU off the buffer. Return: false when there is none. */
static bool pdu_take(struct fake_connection *connection)
{
	struct fake_controller *fake = connection->fake;
	struct nvme_tcp_rules rules = {
		.side = NVME_TCP_HOST_TO_CONTROLLER,
		.is_initialized = connection->is_initialized,
		.has_header_digest = connection->frame.has_header_digest,
		.has_data_digest = connection->frame.has_data_digest,
		.alignment = connection->is_initialized ? fake->alignment : 4,
		.capsule_data_bytes_max = 8192,
		.data_bytes_max = fake->h2c_bytes_max,
	};
	struct nvme_tcp_header header;
	struct nvme_tcp_fault fault;
	int rc = nvme_tcp_header_decode(connection->in, connection->in_bytes, &rules, &header,
					&fault);

	if (rc == -EAGAIN)
		return false;
	if (rc != 0) {
		ASSERT(fake->is_lenient);
		connection_close(connection);
		return false;
	}
	if (connection->in_bytes < header.pdu_bytes)
		return false;
	pdu_handle(connection, connection->in, &header);
	connection->in_bytes -= header.pdu_bytes;
	memmove(connection->in, connection->in + header.pdu_bytes, connection->in_bytes);
	return true;
}

static void connection_close(struct fake_connection *connection)
{
	if (connection->is_closing)
		return;
	connection->is_closing = true;
	op_unwake(&connection->reader);
	op_wait(&connection->closer);
	os_socket_close(connection->socket, &connection->closer);
	if (op_join(&connection->closer) == OP_NEXT)
		op_wake(&connection->closer);
}

static void closer_run(struct op *op)
{
	struct fake_connection *connection = container_of(op, struct fake_connection, closer);

	op_unwake(&connection->sender);
	memory_free(connection->in);
	memory_free(connection->out);
	memory_free(connection->writes);
	memset(connection, 0, sizeof(*connection));
}

static void reader_run(struct op *op)
{
	struct fake_connection *connection = container_of(op, struct fake_connection, reader);
	const uint8_t *bytes;
	ssize_t size_bytes;

	while (!connection->is_closing) {
		size_bytes = os_socket_peek(connection->socket, &bytes);
		if (size_bytes == 0)
			return;
		if (size_bytes < 0) {
			connection_close(connection);
			return;
		}
		ASSERT(connection->in_bytes + (size_t)size_bytes <= FAKE_BUFFER_BYTES);
		memcpy(connection->in + connection->in_bytes, bytes, (size_t)size_bytes);
		connection->in_bytes += (size_t)size_bytes;
		os_socket_consume(connection->socket, (size_t)size_bytes);
		while (!connection->is_closing && pdu_take(connection))
			;
	}
}

static void acceptor_run(struct op *op)
{
	struct fake_controller *fake = container_of(op, struct fake_controller, acceptor);
	struct os_socket *socket;

	while (fake->listener != NULL && (socket = os_listener_accept(fake->listener)) != NULL) {
		struct fake_connection *connection = fake->connections;

		while (connection->fake != NULL)
			connection++;
		ASSERT(connection < fake->connections + FAKE_CONNECTIONS_MAX);
		fake->accept_count++;
		connection->fake = fake;
		connection->socket = socket;
		connection->is_dribbling = fake->is_dribbling;
		connection->frame.alignment = 4;
		connection->in = memory_alloc(FAKE_BUFFER_BYTES);
		connection->out = memory_alloc(FAKE_BUFFER_BYTES);
		connection->writes =
			memory_alloc_array(FAKE_WRITES_MAX, sizeof(*connection->writes));
		ASSERT(connection->in != NULL && connection->out != NULL);
		ASSERT(connection->writes != NULL);
		op_init(&connection->reader, reactor_ready(fake->reactor), reader_run);
		op_init(&connection->sender, reactor_ready(fake->reactor), sender_run);
		op_init(&connection->closer, reactor_ready(fake->reactor), closer_run);
		os_socket_start(socket, &connection->reader);
	}
}

static void closed_run(struct op *op)
{
	(void)op;
}

void fake_listen(struct fake_controller *fake)
{
	ASSERT(fake->listener == NULL);
	op_init(&fake->acceptor, reactor_ready(fake->reactor), acceptor_run);
	ASSERT(os_listener_open(reactor_ring(fake->reactor), &fake->address, &fake->acceptor,
				&fake->listener) == 0);
	os_listener_address(fake->listener, &fake->address);
}

void fake_unlisten(struct fake_controller *fake)
{
	struct os_listener *listener = fake->listener;

	fake->listener = NULL;
	op_unwake(&fake->acceptor);
	op_init(&fake->close_op, reactor_ready(fake->reactor), closed_run);
	op_wait(&fake->close_op);
	os_listener_close(listener, &fake->close_op);
	while (fake->close_op.pending > 0)
		reactor_turn(fake->reactor, true);
}

void fake_open(struct fake_controller *fake, struct reactor *reactor)
{
	memset(fake, 0, sizeof(*fake));
	fake->reactor = reactor;
	fake->alignment = 4;
	fake->h2c_bytes_max = 131072;
	fake->r2t_bytes = 131072;
	fake->c2h_bytes = 131072;
	fake->ioccsz = 4 + 4096 / 16;
	fake->block_count = FAKE_BLOCKS;
	memset(fake->uuid, 0xab, sizeof(fake->uuid));
	for (size_t i = 0; i < sizeof(fake->disk); i++)
		fake->disk[i] = (uint8_t)(i / FAKE_BLOCK_BYTES + i * 7);
	ASSERT(os_address_parse("127.0.0.1", 0, &fake->address) == 0);
	fake_listen(fake);
}

void fake_drop(struct fake_controller *fake)
{
	for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
		if (fake->connections[i].fake != NULL)
			connection_close(&fake->connections[i]);
	}
}

static bool has_connections(const struct fake_controller *fake)
{
	for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
		if (fake->connections[i].fake != NULL)
			return true;
	}
	return false;
}

void fake_close(struct fake_controller *fake)
{
	fake_drop(fake);
	if (fake->listener != NULL)
		fake_unlisten(fake);
	fake_drop(fake);
	while (has_connections(fake))
		reactor_turn(fake->reactor, true);
}

void fake_event(struct fake_controller *fake, uint32_t result)
{
	for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
		struct fake_connection *connection = &fake->connections[i];

		if (connection->fake == NULL || !connection->has_event)
			continue;
		connection->has_event = false;
		fake_respond(connection, connection->event_cid, 0, result);
		return;
	}
	ASSERT(false);
}

struct fake_connection *fake_io_connection(struct fake_controller *fake)
{
	for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
		if (fake->connections[i].fake != NULL && fake->connections[i].qid > 0)
			return &fake->connections[i];
	}
	return NULL;
}

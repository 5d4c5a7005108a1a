/* SPDX-License-Identifier: Apache-2.0 */
/* receive.c - turns the byte stream of one connection into commands and their data.
 *
 *	RECEIVE_HEADER --whole, digest good--> RECEIVE_DISPATCH --> RECEIVE_PADDING
 *	       ^                                                          |
 *	       +------- RECEIVE_DIGEST <------ RECEIVE_DATA <-------------+
 *	any --fatal error--> RECEIVE_DRAIN
 *
 * Headers are gathered in a stub, so it does not matter where the network cut the stream. Payload
 * is copied once, straight into the command's buffer, and digested in the same pass. The receiver
 * waits, and the network's back-pressure with it, for a free command slot or a data buffer; it is
 * woken by receive_wake(). A turn takes a bounded number of PDUs and bytes, then others have
 *theirs.
 *
 * Invariants:
 *  1. No length, offset or tag is used before its decoder or this file has checked it.
 *  2. Data is written only to a command that awaits exactly these bytes, in order, within the size
 *     that its buffer was taken for.
 *  3. A PDU with a wrong header digest has no effect; data with a wrong digest is never executed.
 */
#include "target/target_parts_impl.h"

#include "base/crc32c.h"
#include "base/planted.h"

#include <string.h>

/* FEI values: offsets of fields in the PDU header (NVMe TCP transport 1.0, section 3.6.2.5). */
#define FEI_FLAGS 1
#define FEI_CCCID 8
#define FEI_TTAG  10
#define FEI_DATAO 12

STATIC_ASSERT(RECEIVE_STUB_BYTES >= NVME_TCP_HEADER_BYTES_MAX + NVME_TCP_DIGEST_BYTES);

static void receive_fault(struct connection *connection, const struct nvme_tcp_fault *fault)
{
	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(fault != NULL);
	connection->receive.step = RECEIVE_DRAIN;
	connection->receive.command = NULL;
	connection_fatal(connection, fault, connection->receive.stub);
}

static void receive_refuse(struct connection *connection, enum nvme_tcp_fes fes, uint32_t fei)
{
	struct nvme_tcp_fault fault = {.fes = fes, .field_offset = fei};

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(connection->state < CONNECTION_CLOSING);
	receive_fault(connection, &fault);
}

/* The rest of a command behind the common header: most headers come whole. */
#define COMMAND_REST_BYTES \
	(sizeof(struct nvme_tcp_capsule_command) - sizeof(struct nvme_tcp_common))

/* Fills the stub up to @needed bytes. Return: bytes used of @bytes. */
static size_t stub_fill(struct receive *receive, uint32_t needed, const uint8_t *bytes, size_t size)
{
	size_t part;

	ASSERT(needed <= RECEIVE_STUB_BYTES);
	ASSERT(receive->stub_bytes <= needed);
	part = needed - receive->stub_bytes;
	if (part > size)
		part = size;
	if (part == COMMAND_REST_BYTES) /* lengths that the compiler knows need no call */
		memcpy(receive->stub + receive->stub_bytes, bytes, COMMAND_REST_BYTES);
	else if (part == sizeof(struct nvme_tcp_common))
		memcpy(receive->stub + receive->stub_bytes, bytes, sizeof(struct nvme_tcp_common));
	else
		memcpy(receive->stub + receive->stub_bytes, bytes, part);
	receive->stub_bytes += (uint32_t)part;
	return part;
}

static uint32_t header_total(const struct nvme_tcp_header *header)
{
	return header->header_bytes + (header->has_header_digest ? NVME_TCP_DIGEST_BYTES : 0);
}

static bool header_digest_is_good(const struct receive *receive)
{
	struct le32 digest = nvme_tcp_header_digest(receive->stub, receive->header.header_bytes);

	ASSERT(receive->stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(receive->stub_bytes == header_total(&receive->header));
	return memcmp(receive->stub + receive->header.header_bytes, digest.bytes,
		      sizeof(digest.bytes)) == 0;
}

/* Gathers and checks the header. Return: bytes used. */
static size_t receive_header(struct connection *connection, const uint8_t *bytes, size_t size)
{
	struct receive *receive = &connection->receive;
	const uint32_t common = sizeof(struct nvme_tcp_common);
	struct nvme_tcp_fault fault;
	size_t used = 0;

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(connection->state != CONNECTION_MOVING);
	if (!list_is_empty(&connection->control_item.link)) {
		/* A terminate request would need the memory that the handshake's answer is in. */
		receive->is_waiting = true;
		return 0;
	}
	if (receive->stub_bytes < common) {
		used = stub_fill(receive, common, bytes, size);
		if (receive->stub_bytes < common)
			return used;
		if (nvme_tcp_header_recall(&receive->memo, receive->stub, &connection->rules,
					   &receive->header, &fault) < 0) {
			receive_fault(connection, &fault);
			return used;
		}
	}
	used += stub_fill(receive, header_total(&receive->header), bytes + used, size - used);
	if (receive->stub_bytes < header_total(&receive->header))
		return used;
	if (receive->header.has_header_digest && !header_digest_is_good(receive) &&
	    !PLANTED(COMMAND_HEADER_NOT_CHECKED)) {
		REACHED("target_header_digest_wrong");
		memcpy(&fault.field_offset, receive->stub + receive->header.header_bytes,
		       sizeof(fault.field_offset));
		receive_refuse(connection, NVME_TCP_FES_HEADER_DIGEST, fault.field_offset);
		return used;
	}
	receive->step = RECEIVE_DISPATCH;
	return used;
}

/* The handshake (section 3.6.2.2): from here on digests and alignment are as agreed. */
static void dispatch_icreq(struct connection *connection)
{
	struct nvme_tcp_icresp *response = (struct nvme_tcp_icresp *)connection->control;
	struct nvme_tcp_fault fault;
	struct nvme_tcp_ic ic;

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(connection->state == CONNECTION_ICREQ);
	if (nvme_tcp_icreq_decode(connection->receive.stub, &connection->receive.header, &ic,
				  &fault) < 0) {
		receive_fault(connection, &fault);
		return;
	}
	connection->state = CONNECTION_CONNECT;
	connection->receive.memo.is_known = false;
	connection->rules.is_initialized = true;
	connection->rules.has_header_digest = ic.has_header_digest;
	connection->rules.has_data_digest = ic.has_data_digest;
	connection->frame = (struct nvme_tcp_frame){.has_header_digest = ic.has_header_digest,
						    .has_data_digest = ic.has_data_digest,
						    .alignment = ic.alignment};
	ic.alignment = 4; /* CPDA 0: the host need not pad for us */
	ic.data_bytes_max = IO_BYTES_MAX;
	nvme_tcp_icresp_encode(response, &ic);
	send_control(connection, sizeof(*response));
}

/* Takes a slot for the command. Return: false when it has to wait for one. */
static bool dispatch_command(struct connection *connection)
{
	struct receive *receive = &connection->receive;
	struct command *command;

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(connection->state != CONNECTION_MOVING);
	if (connection->state == CONNECTION_CONNECT && !send_is_idle(connection)) {
		receive->is_waiting = true; /* a socket moves only when it is quiet */
		return false;
	}
	if (connection->unanswered_count >= connection->sq_size && connection->slots != NULL) {
		/* More commands than the queue has entries: the host has lost count. */
		receive_refuse(connection, NVME_TCP_FES_SEQUENCE, 0);
		return true;
	}
	command = command_acquire(connection);
	if (command == NULL) {
		COUNT_IF(true, "target_waits_for_a_slot");
		receive->is_waiting = true;
		return false;
	}
	command->sqe = nvme_tcp_command_decode(receive->stub, &receive->header);
	command_start(command, receive->header.data_bytes);
	if (receive->header.data_bytes > 0 && command->is_receiving)
		receive->command = command;
	return true;
}

/* Data that the host was asked for: everything about it must fit (sections 3.3.2 and 3.6.2.8).
 * Return: false when it has to wait. */
static bool dispatch_data(struct connection *connection)
{
	struct receive *receive = &connection->receive;
	struct nvme_tcp_transfer transfer;
	struct nvme_tcp_fault fault;
	struct command *command;

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(connection->state != CONNECTION_MOVING);
	if (nvme_tcp_h2c_decode(receive->stub, &receive->header, &transfer, &fault) < 0) {
		receive_fault(connection, &fault);
		return true;
	}
	command = command_by_tag(connection, transfer.tag);
	if (command == NULL) {
		receive_refuse(connection, NVME_TCP_FES_INVALID_HEADER, FEI_TTAG);
	} else if (command->cid != transfer.cid) {
		receive_refuse(connection, NVME_TCP_FES_INVALID_HEADER, FEI_CCCID);
	} else if (transfer.offset > command->data_bytes ||
		   transfer.length > command->data_bytes - transfer.offset) {
		receive_refuse(connection, NVME_TCP_FES_OUT_OF_RANGE, 0);
	} else if (transfer.offset != command->received_bytes) {
		receive_refuse(connection, NVME_TCP_FES_INVALID_HEADER, FEI_DATAO);
	} else if (receive->header.is_last !=
		   (transfer.offset + transfer.length == command->data_bytes)) {
		receive_refuse(connection, NVME_TCP_FES_INVALID_HEADER, FEI_FLAGS);
	} else if (connection->state == CONNECTION_CONNECT && !send_is_idle(connection)) {
		receive->is_waiting = true; /* Connect's: the kernel has not told yet that its R2T
					     * is out, and a socket moves only when it is quiet */
		return false;
	} else {
		command->is_receiving = true;
		receive->command = command;
	}
	return true;
}

static void dispatch_term(struct connection *connection)
{
	struct nvme_tcp_fault fault;

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(connection->state != CONNECTION_MOVING);
	COUNT_IF(true, "target_gets_a_termination");
	nvme_tcp_term_decode(connection->receive.stub, &connection->receive.header, &fault);
	log_warn(connection->target->log,
		 "target: a host ended its connection: fatal error status %u, field %u",
		 (unsigned)fault.fes, fault.field_offset);
	connection->receive.step = RECEIVE_DRAIN;
	connection_close(connection, "terminated by the host");
}

/* Return: false when it has to wait. */
static bool dispatch_by_type(struct connection *connection)
{
	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(connection->state != CONNECTION_MOVING);
	switch (connection->receive.header.type) {
	case NVME_TCP_ICREQ:
		dispatch_icreq(connection);
		return true;
	case NVME_TCP_CAPSULE_COMMAND:
		return dispatch_command(connection);
	case NVME_TCP_H2C_DATA:
		return dispatch_data(connection);
	case NVME_TCP_H2C_TERM:
		dispatch_term(connection);
		return true;
	case NVME_TCP_ICRESP:
	case NVME_TCP_C2H_TERM:
	case NVME_TCP_CAPSULE_RESPONSE:
	case NVME_TCP_C2H_DATA:
	case NVME_TCP_R2T:
		break; /* refused by nvme_tcp_header_decode(); kept for the switch's sake */
	}
	receive_refuse(connection, NVME_TCP_FES_INVALID_HEADER, 0);
	return true;
}

/* This PDU is complete: its data is judged, and the next header may come. */
static void receive_finish(struct connection *connection, bool is_intact)
{
	struct receive *receive = &connection->receive;
	struct command *command = receive->command;

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	/* One by one, see command_answer(). */
	ASSERT(receive->data_bytes == 0);
	ASSERT(receive->padding_bytes == 0);
	receive->command = NULL;
	receive->step = RECEIVE_HEADER;
	connection->received_pdus++;
	if (command != NULL)
		command_data_done(command, is_intact);
}

static void receive_begin_data(struct connection *connection)
{
	struct receive *receive = &connection->receive;

	ASSERT(receive->padding_bytes == 0);
	if (receive->data_bytes > 0)
		receive->step = RECEIVE_DATA;
	else
		receive_finish(connection, true);
}

static void receive_dispatch(struct connection *connection)
{
	struct receive *receive = &connection->receive;
	const struct nvme_tcp_header *header = &receive->header;

	ASSERT(receive->command == NULL);
	ASSERT(receive->stub_bytes == header_total(header));
	ASSERT(header->data_offset >= header_total(header));
	if (!dispatch_by_type(connection) || receive->step == RECEIVE_DRAIN)
		return;
	receive->stub_bytes = 0;
	receive->digest_bytes = 0;
	receive->crc = CRC32C_INIT;
	receive->padding_bytes = header->data_offset - header_total(header);
	receive->data_bytes = header->data_bytes;
	receive->skip_bytes = receive->command != NULL ? receive->command->capsule_offset : 0;
	if (receive->padding_bytes > 0)
		receive->step = RECEIVE_PADDING;
	else
		receive_begin_data(connection);
}

static size_t receive_padding(struct connection *connection, size_t size)
{
	struct receive *receive = &connection->receive;
	size_t used = size < receive->padding_bytes ? size : receive->padding_bytes;

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(receive->header.data_offset >= receive->padding_bytes);
	ASSERT(connection->state != CONNECTION_MOVING);
	receive->padding_bytes -= (uint32_t)used;
	if (receive->padding_bytes > 0)
		return used;
	receive_begin_data(connection);
	return used;
}

static size_t receive_data(struct connection *connection, const uint8_t *bytes, size_t size)
{
	struct receive *receive = &connection->receive;
	struct command *command = receive->command;
	size_t used = size < receive->data_bytes ? size : receive->data_bytes;

	ASSERT(receive->skip_bytes <= receive->data_bytes);
	if (receive->skip_bytes > 0) {
		/* In front of what the SGL's offset names: digested, and nobody's. */
		used = used < receive->skip_bytes ? used : receive->skip_bytes;
		receive->skip_bytes -= (uint32_t)used;
	} else if (command != NULL) {
		if (command->data == NULL) {
			REACHED("target_data_waits_for_its_buffer");
			receive->is_waiting = true; /* for its buffer */
			return 0;
		}
		ASSERT(command->is_receiving);
		ASSERT(used <= command->data_bytes - command->received_bytes);
		memcpy(command->data + command->received_bytes, bytes, used);
		command->received_bytes += (uint32_t)used;
		connection->received_progress += used;
	}
	if (receive->header.has_data_digest)
		receive->crc = crc32c_update(receive->crc, bytes, used);
	receive->data_bytes -= (uint32_t)used;
	if (receive->data_bytes > 0)
		return used;
	if (receive->header.has_data_digest)
		receive->step = RECEIVE_DIGEST;
	else
		receive_finish(connection, true);
	return used;
}

static size_t receive_digest(struct connection *connection, const uint8_t *bytes, size_t size)
{
	struct receive *receive = &connection->receive;
	size_t used = sizeof(receive->digest) - receive->digest_bytes;
	struct le32 expected;
	bool is_intact;

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(receive->digest_bytes < sizeof(receive->digest));
	ASSERT(connection->state != CONNECTION_MOVING);
	if (used > size)
		used = size;
	memcpy(receive->digest + receive->digest_bytes, bytes, used);
	receive->digest_bytes += (uint32_t)used;
	if (receive->digest_bytes < sizeof(receive->digest))
		return used;
	expected = le32_store(crc32c_finish(receive->crc));
	is_intact = memcmp(expected.bytes, receive->digest, sizeof(receive->digest)) == 0;
	REACHED_IF(!is_intact, "target_data_digest_wrong");
	is_intact |= PLANTED(WRITE_DIGEST_NOT_CHECKED);
	receive_finish(connection, is_intact);
	return used;
}

size_t receive_bytes(struct connection *connection, const uint8_t *bytes, size_t size_bytes)
{
	struct receive *receive = &connection->receive;
	uint32_t pdu_count = 0;
	size_t used = 0;

	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(connection->state != CONNECTION_MOVING);
	receive->is_waiting = false;
	while (!receive->is_waiting && pdu_count < RECEIVE_PDUS_PER_TURN) {
		if (connection->state == CONNECTION_CLOSING ||
		    connection->state == CONNECTION_MOVING)
			break;
		if (used == size_bytes && receive->step != RECEIVE_DISPATCH)
			break;
		switch (receive->step) {
		case RECEIVE_HEADER:
			used += receive_header(connection, bytes + used, size_bytes - used);
			break;
		case RECEIVE_DISPATCH:
			receive_dispatch(connection);
			pdu_count++;
			break;
		case RECEIVE_PADDING:
			used += receive_padding(connection, size_bytes - used);
			break;
		case RECEIVE_DATA:
			used += receive_data(connection, bytes + used, size_bytes - used);
			break;
		case RECEIVE_DIGEST:
			used += receive_digest(connection, bytes + used, size_bytes - used);
			break;
		case RECEIVE_DRAIN:
			used = size_bytes;
			break;
		}
	}
	return used;
}

bool receive_is_inside_pdu(const struct connection *connection)
{
	const struct receive *receive = &connection->receive;

	ASSERT(receive->stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(receive->step <= RECEIVE_DRAIN);
	if (receive->is_waiting || connection->state != CONNECTION_LIVE)
		return false; /* for this side; before Connect there is another deadline */
	return receive->step == RECEIVE_HEADER ? receive->stub_bytes > 0
					       : receive->step != RECEIVE_DRAIN;
}

/* Woken when bytes came, when something that it waited for is there, or its turn was over. */
static void receive_run(struct op *op)
{
	struct connection *connection = container_of(op, struct connection, receive.op);
	size_t turn_bytes = 0;

	while (turn_bytes < RECEIVE_BYTES_PER_TURN) {
		const uint8_t *bytes = connection->receive.stub;
		ssize_t size;
		size_t used;

		if (connection->state == CONNECTION_CLOSING ||
		    connection->state == CONNECTION_MOVING)
			return;
		size = os_socket_peek(connection->socket, &bytes);
		if (size < 0)
			connection_close(connection, "the host closed it");
		if (size < 0)
			return;
		/* A whole header may still wait for its slot, without further bytes behind it. */
		if (size == 0 && connection->receive.step != RECEIVE_DISPATCH) {
			if (receive_is_inside_pdu(connection))
				connection_watch(connection);
			return;
		}
		used = receive_bytes(connection, bytes, (size_t)size);
		if (used > 0)
			os_socket_consume(connection->socket, used);
		turn_bytes += used;
		if (connection->receive.is_waiting)
			return;
		if (used < (size_t)size || connection->receive.step == RECEIVE_DISPATCH)
			break; /* the budget of PDUs is used up */
	}
	if (connection->state != CONNECTION_CLOSING && connection->state != CONNECTION_MOVING)
		op_wake(op);
}

void receive_init(struct connection *connection)
{
	ASSERT(connection->reactor != NULL);
	ASSERT(connection->receive.command == NULL);
	op_init(&connection->receive.op, reactor_ready(connection->reactor), receive_run);
}

void receive_wake(struct connection *connection)
{
	ASSERT(connection->receive.stub_bytes <= RECEIVE_STUB_BYTES);
	ASSERT(connection->reactor != NULL);
	if (connection->state == CONNECTION_CLOSING || connection->state == CONNECTION_MOVING)
		return;
	if (connection->receive.is_waiting)
		op_wake(&connection->receive.op);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds any bytes to the PDU decoders under any negotiated rules. */
#include "nvme/nvme_tcp_pdu.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

/* The decoders by type, on a copy of exactly header_bytes, so that a read beyond them is seen. */
static void type_decode(const uint8_t *bytes, const struct nvme_tcp_header *header)
{
	struct nvme_tcp_transfer transfer;
	struct nvme_tcp_fault fault;
	struct nvme_tcp_ic ic;

	switch (header->type) {
	case NVME_TCP_ICREQ:
		(void)!nvme_tcp_icreq_decode(bytes, header, &ic, &fault);
		break;
	case NVME_TCP_ICRESP:
		(void)!nvme_tcp_icresp_decode(bytes, header, &ic, &fault);
		break;
	case NVME_TCP_H2C_TERM:
	case NVME_TCP_C2H_TERM:
		nvme_tcp_term_decode(bytes, header, &fault);
		break;
	case NVME_TCP_CAPSULE_COMMAND:
		(void)nvme_tcp_command_decode(bytes, header);
		break;
	case NVME_TCP_CAPSULE_RESPONSE:
		(void)nvme_tcp_response_decode(bytes, header);
		break;
	case NVME_TCP_H2C_DATA:
		if (nvme_tcp_h2c_decode(bytes, header, &transfer, &fault) == 0)
			ASSERT(transfer.offset + transfer.length > transfer.offset);
		break;
	case NVME_TCP_C2H_DATA:
		if (nvme_tcp_c2h_decode(bytes, header, &transfer, &fault) == 0)
			ASSERT(transfer.length == header->data_bytes);
		break;
	case NVME_TCP_R2T:
		if (nvme_tcp_r2t_decode(bytes, header, &transfer, &fault) == 0)
			ASSERT(transfer.length > 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct nvme_tcp_header header;
	struct nvme_tcp_fault fault;
	struct nvme_tcp_rules rules;
	uint8_t *copy;

	if (size_bytes < 2)
		return 0;
	rules = (struct nvme_tcp_rules){
		.side = bytes[0] & 1 ? NVME_TCP_CONTROLLER_TO_HOST : NVME_TCP_HOST_TO_CONTROLLER,
		.is_initialized = (bytes[0] & 2) != 0,
		.has_header_digest = (bytes[0] & 4) != 0,
		.has_data_digest = (bytes[0] & 8) != 0,
		.alignment = ((bytes[1] & 31) + 1u) * 4,
		.capsule_data_bytes_max = 8192,
		.data_bytes_max = 131072,
	};
	bytes += 2;
	size_bytes -= 2;
	if (nvme_tcp_header_decode(bytes, size_bytes, &rules, &header, &fault) != 0)
		return 0;
	ASSERT(header.data_offset >= header.header_bytes);
	ASSERT(header.data_offset <= header.pdu_bytes);
	ASSERT(header.data_bytes <= 131072);
	if (size_bytes < header.header_bytes)
		return 0;
	copy = malloc(header.header_bytes);
	ASSERT(copy != NULL);
	memcpy(copy, bytes, header.header_bytes);
	type_decode(copy, &header);
	free(copy);
	return 0;
}

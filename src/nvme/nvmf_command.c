/* SPDX-License-Identifier: Apache-2.0 */
/* nvmf_command.c - Fabrics commands between submission entries and host-order structs, and names.
 *
 * Invariant: a name that leaves this file is terminated and a valid NQN.
 */
#include "base/limits.h"
#include "nvme/nvme_command.h"

STATIC_ASSERT(NQN_BYTES_MAX == 224);
STATIC_ASSERT(NVMF_NQN_FIELD_BYTES > NQN_BYTES_MAX);

/* Bytes of the UTF-8 sequence (RFC 3629, section 4) at @text, 0 when it is none. */
static size_t utf8_sequence_bytes(const uint8_t *text, size_t size_bytes)
{
	uint8_t low = 0x80, high = 0xbf; /* of the second byte */
	size_t count;

	ASSERT(size_bytes > 0);
	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf) {
		count = 2;
	} else if (text[0] >= 0xe0 && text[0] <= 0xef) {
		count = 3;
		low = text[0] == 0xe0 ? 0xa0 : low;   /* no overlong form */
		high = text[0] == 0xed ? 0x9f : high; /* no surrogate */
	} else if (text[0] >= 0xf0 && text[0] <= 0xf4) {
		count = 4;
		low = text[0] == 0xf0 ? 0x90 : low;
		high = text[0] == 0xf4 ? 0x8f : high;
	} else {
		return 0;
	}
	if (count > size_bytes || text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < count; i++) {
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	}
	return count;
}

/* Control characters are refused too: names go into logs and paths. */
bool nvme_nqn_is_valid(const char *text, size_t size_bytes)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t length = strnlen(text, size_bytes);

	if (length == size_bytes || length >= NQN_BYTES_MAX || length <= 4)
		return false;
	if (memcmp(text, "nqn.", 4) != 0)
		return false;
	for (size_t i = 0; i < length;) {
		size_t count = utf8_sequence_bytes(bytes + i, length - i);

		if (count == 0 || bytes[i] < 0x20 || bytes[i] == 0x7f)
			return false;
		i += count;
	}
	return true;
}

static uint16_t connect_invalid(uint32_t *ret_result, size_t offset, bool is_in_data)
{
	*ret_result = (uint32_t)offset | (is_in_data ? NVMF_CONNECT_INVALID_IN_DATA : 0);
	return NVMF_STATUS_CONNECT_INVALID_PARAMETERS;
}

static void nqn_load(char ret_nqn[NVMF_NQN_FIELD_BYTES], const uint8_t *field)
{
	size_t length = strnlen((const char *)field, NVMF_NQN_FIELD_BYTES - 1);

	memset(ret_nqn, 0, NVMF_NQN_FIELD_BYTES);
	memcpy(ret_nqn, field, length);
}

uint16_t nvmf_connect_decode(const struct nvme_sqe *sqe, const uint8_t data[1024],
			     struct nvmf_connect *ret_connect, uint32_t *ret_result)
{
	struct nvmf_connect_command command;
	struct nvmf_connect_data fields;

	STATIC_ASSERT(sizeof(command) == sizeof(*sqe));
	memcpy(&command, sqe, sizeof(command));
	memcpy(&fields, data, sizeof(fields));
	if (le16_load(command.record_format) != 0)
		return NVMF_STATUS_INCOMPATIBLE_FORMAT;
	if (le16_load(command.sqsize) == 0) /* 0's based: a queue has at least two entries */
		return connect_invalid(ret_result, offsetof(struct nvmf_connect_command, sqsize),
				       false);
	if (!nvme_nqn_is_valid((const char *)fields.subnqn, sizeof(fields.subnqn)))
		return connect_invalid(ret_result, offsetof(struct nvmf_connect_data, subnqn),
				       true);
	if (!nvme_nqn_is_valid((const char *)fields.hostnqn, sizeof(fields.hostnqn)))
		return connect_invalid(ret_result, offsetof(struct nvmf_connect_data, hostnqn),
				       true);
	*ret_connect = (struct nvmf_connect){
		.qid = le16_load(command.qid),
		.queue_entries = le16_load(command.sqsize) + 1u,
		.is_without_flow_control = (command.attributes & NVMF_CONNECT_NO_FLOW_CONTROL) != 0,
		.is_sole = memcmp(fields.sole, NVMF_CONNECT_SOLE_WORD, sizeof(fields.sole)) == 0,
		.kato_ms = le32_load(command.kato_ms),
		.cntlid = le16_load(fields.cntlid),
	};
	memcpy(ret_connect->host_id, fields.host_id, sizeof(ret_connect->host_id));
	nqn_load(ret_connect->subnqn, fields.subnqn);
	nqn_load(ret_connect->hostnqn, fields.hostnqn);
	return NVME_STATUS_SUCCESS;
}

void nvmf_connect_encode(struct nvme_sqe *ret_sqe, const struct nvmf_connect *connect,
			 struct nvmf_connect_data *ret_data)
{
	struct nvmf_connect_command command = {
		.opcode = NVMF_OPCODE,
		.type = NVMF_CONNECT,
		.qid = le16_store(connect->qid),
		.sqsize = le16_store((uint16_t)(connect->queue_entries - 1)),
		.attributes = connect->is_without_flow_control ? NVMF_CONNECT_NO_FLOW_CONTROL : 0,
		.kato_ms = le32_store(connect->kato_ms),
	};

	ASSERT(connect->queue_entries >= 2 && connect->queue_entries <= 65536);
	ASSERT(nvme_nqn_is_valid(connect->subnqn, sizeof(connect->subnqn)));
	ASSERT(nvme_nqn_is_valid(connect->hostnqn, sizeof(connect->hostnqn)));
	memcpy(ret_sqe, &command, sizeof(command));
	*ret_data = (struct nvmf_connect_data){.cntlid = le16_store(connect->cntlid)};
	STATIC_ASSERT(sizeof(ret_data->sole) + 1 == sizeof(NVMF_CONNECT_SOLE_WORD));
	if (connect->is_sole)
		memcpy(ret_data->sole, NVMF_CONNECT_SOLE_WORD, sizeof(ret_data->sole));
	memcpy(ret_data->host_id, connect->host_id, sizeof(ret_data->host_id));
	memcpy(ret_data->subnqn, connect->subnqn, strlen(connect->subnqn));
	memcpy(ret_data->hostnqn, connect->hostnqn, strlen(connect->hostnqn));
}

enum nvme_status nvmf_property_decode(const struct nvme_sqe *sqe,
				      struct nvmf_property_access *ret_access)
{
	struct nvmf_property_command command;

	STATIC_ASSERT(sizeof(command) == sizeof(*sqe));
	memcpy(&command, sqe, sizeof(command));
	if ((command.attributes & 7) > NVMF_PROPERTY_BYTES_8)
		return NVME_STATUS_INVALID_FIELD;
	*ret_access = (struct nvmf_property_access){
		.is_eight_bytes = (command.attributes & 7) == NVMF_PROPERTY_BYTES_8,
		.offset = le32_load(command.offset),
		.value = le64_load(command.value),
	};
	if (!ret_access->is_eight_bytes)
		ret_access->value &= UINT32_MAX;
	return NVME_STATUS_SUCCESS;
}

static void property_encode(struct nvme_sqe *ret_sqe, enum nvmf_command_type type,
			    const struct nvmf_property_access *access, uint64_t value)
{
	struct nvmf_property_command command = {
		.opcode = NVMF_OPCODE,
		.type = (uint8_t)type,
		.attributes =
			access->is_eight_bytes ? NVMF_PROPERTY_BYTES_8 : NVMF_PROPERTY_BYTES_4,
		.offset = le32_store(access->offset),
		.value = le64_store(value),
	};

	ASSERT(access->is_eight_bytes || value <= UINT32_MAX);
	memcpy(ret_sqe, &command, sizeof(command));
}

void nvmf_property_get_encode(struct nvme_sqe *ret_sqe, const struct nvmf_property_access *access)
{
	property_encode(ret_sqe, NVMF_PROPERTY_GET, access, 0);
}

void nvmf_property_set_encode(struct nvme_sqe *ret_sqe, const struct nvmf_property_access *access)
{
	property_encode(ret_sqe, NVMF_PROPERTY_SET, access, access->value);
}

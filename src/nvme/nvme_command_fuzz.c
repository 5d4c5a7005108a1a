/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds any submission entry and data to the command decoders. */
#include "nvme/nvme_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void admin_decode(const struct nvme_sqe *sqe, const uint8_t *data, size_t data_bytes)
{
	struct nvmf_property_access access;
	struct nvmf_connect connect;
	struct nvme_get_log log;
	uint32_t result;

	(void)nvme_identify_decode(sqe);
	if (nvme_get_log_decode(sqe, &log) == NVME_STATUS_SUCCESS)
		ASSERT(log.length_bytes >= 4 && log.length_bytes % 4 == 0);
	(void)!nvmf_property_decode(sqe, &access);
	if (data_bytes >= sizeof(struct nvmf_connect_data) &&
	    nvmf_connect_decode(sqe, data, &connect, &result) == 0) {
		ASSERT(nvme_nqn_is_valid(connect.subnqn, sizeof(connect.subnqn)));
		ASSERT(nvme_nqn_is_valid(connect.hostnqn, sizeof(connect.hostnqn)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct nvme_reservation reservation;
	struct nvme_sqe sqe;
	struct nvme_data data;
	struct nvme_rw rw;
	uint64_t blocks;

	if (size_bytes < sizeof(sqe) + sizeof(blocks))
		return 0;
	memcpy(&sqe, bytes, sizeof(sqe));
	memcpy(&blocks, bytes + sizeof(sqe), sizeof(blocks));
	bytes += sizeof(sqe);
	size_bytes -= sizeof(sqe);
	if (nvme_sgl_decode(&sqe, (uint32_t)size_bytes, &data) == NVME_STATUS_SUCCESS &&
	    data.place == NVME_DATA_PLACE_CAPSULE)
		ASSERT(data.offset + (uint64_t)data.length == size_bytes);
	if (nvme_rw_decode(&sqe, blocks, &rw) == NVME_STATUS_SUCCESS)
		ASSERT(rw.first_block + rw.block_count <= blocks);
	if (size_bytes >= sizeof(struct nvme_dsm_range) &&
	    nvme_dsm_range_decode((const struct nvme_dsm_range *)bytes, blocks, &rw) ==
		    NVME_STATUS_SUCCESS)
		ASSERT(rw.first_block + rw.block_count <= blocks);
	if ((nvme_reservation_data_bytes(sqe.opcode) > 0 && size_bytes >= 16) ||
	    sqe.opcode == NVME_RESERVATION_REPORT)
		(void)!nvme_reservation_decode(&sqe, bytes, &reservation);
	admin_decode(&sqe, bytes, size_bytes);
	return 0;
}

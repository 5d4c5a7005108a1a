/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_command.c - NVMe commands between submission entries and host-order structs.
 *
 * Invariants:
 *  1. A decoder that returns SUCCESS has checked every field it returns: counts are not zero
 *     where that is meaningless, ranges lie within the namespace, no sum overflows.
 *  2. Encoders leave no byte of the entry undefined; cid and SGL are the sender's to fill in.
 */
#include "nvme/nvme_command.h"

static uint64_t dwords_join(struct le32 low, struct le32 high)
{
	return le32_load(low) | (uint64_t)le32_load(high) << 32;
}

static void sqe_begin(struct nvme_sqe *sqe, uint8_t opcode, uint32_t nsid)
{
	*sqe = (struct nvme_sqe){.opcode = opcode, .nsid = le32_store(nsid)};
}

/* NVMe base 2.0, section 4.1.2; NVMe TCP transport 1.0, section 3.4: only these two descriptors
 * exist in TCP. */
enum nvme_status nvme_sgl_decode(const struct nvme_sqe *sqe, uint32_t capsule_bytes,
				 struct nvme_data *ret_data)
{
	struct nvme_data data = {.length = le32_load(sqe->sgl.length)};
	uint64_t address = le64_load(sqe->sgl.address);

	if ((sqe->flags & NVME_SQE_PSDT_MASK) != NVME_SQE_PSDT_SGL)
		return NVME_STATUS_INVALID_FIELD;
	switch (sqe->sgl.type) {
	case NVME_SGL_DATA_BLOCK_OFFSET:
		/* What arrived governs, not what the entry claims: both must agree. */
		if (address > capsule_bytes)
			return NVME_STATUS_SGL_OFFSET_INVALID;
		if (data.length != capsule_bytes - (uint32_t)address)
			return NVME_STATUS_SGL_DATA_LENGTH_INVALID;
		data.place = data.length == 0 ? NVME_DATA_PLACE_NONE : NVME_DATA_PLACE_CAPSULE;
		data.offset = (uint32_t)address;
		break;
	case NVME_SGL_TRANSPORT:
		if (capsule_bytes != 0)
			return NVME_STATUS_SGL_DATA_LENGTH_INVALID;
		data.place = data.length == 0 ? NVME_DATA_PLACE_NONE : NVME_DATA_PLACE_TRANSPORT;
		break;
	default:
		return NVME_STATUS_SGL_TYPE_INVALID;
	}
	*ret_data = data;
	return NVME_STATUS_SUCCESS;
}

void nvme_sgl_encode(struct nvme_sqe *sqe, const struct nvme_data *data)
{
	bool is_capsule = data->place == NVME_DATA_PLACE_CAPSULE;

	ASSERT(data->place != NVME_DATA_PLACE_NONE || data->length == 0);
	ASSERT(is_capsule || data->offset == 0);
	sqe->flags = (uint8_t)((sqe->flags & ~NVME_SQE_PSDT_MASK) | NVME_SQE_PSDT_SGL);
	sqe->sgl = (struct nvme_sgl){
		.address = le64_store(data->offset),
		.length = le32_store(data->length),
		.type = is_capsule ? NVME_SGL_DATA_BLOCK_OFFSET : NVME_SGL_TRANSPORT,
	};
}

enum nvme_status nvme_rw_decode(const struct nvme_sqe *sqe, uint64_t namespace_block_count,
				struct nvme_rw *ret_rw)
{
	uint32_t bits = le32_load(sqe->cdw12);
	struct nvme_rw rw = {
		.first_block = dwords_join(sqe->cdw10, sqe->cdw11),
		.block_count = (bits & NVME_RW_BLOCK_COUNT_MASK) + 1,
		.is_fua = (bits & NVME_RW_FUA) != 0,
	};

	if ((bits & NVME_RW_PRINFO_MASK) != 0)
		return NVME_STATUS_PROTECTION_INVALID;
	if (rw.block_count > namespace_block_count ||
	    rw.first_block > namespace_block_count - rw.block_count)
		return NVME_STATUS_LBA_OUT_OF_RANGE;
	/* These bits mean something in these commands only. */
	rw.is_deallocate = sqe->opcode == NVME_WRITE_ZEROES && (bits & NVME_RW_DEALLOCATE) != 0;
	rw.is_unwritten_fail = sqe->opcode == NVME_READ && (bits & NVME_RW_UNWRITTEN_FAIL) != 0;
	rw.is_unwritten_self_fail =
		sqe->opcode == NVME_READ && (bits & NVME_RW_UNWRITTEN_SELF_FAIL) != 0;
	*ret_rw = rw;
	return NVME_STATUS_SUCCESS;
}

void nvme_rw_encode(struct nvme_sqe *ret_sqe, enum nvme_opcode opcode, uint32_t nsid,
		    const struct nvme_rw *rw)
{
	uint32_t bits = rw->block_count - 1;

	ASSERT(rw->block_count >= 1 && rw->block_count <= NVME_RW_BLOCK_COUNT_MASK + 1);
	ASSERT(!rw->is_deallocate || opcode == NVME_WRITE_ZEROES);
	ASSERT(!rw->is_unwritten_fail || opcode == NVME_READ);
	ASSERT(!rw->is_unwritten_self_fail || opcode == NVME_READ);
	sqe_begin(ret_sqe, (uint8_t)opcode, nsid);
	bits |= rw->is_fua ? NVME_RW_FUA : 0;
	bits |= rw->is_deallocate ? NVME_RW_DEALLOCATE : 0;
	bits |= rw->is_unwritten_fail ? NVME_RW_UNWRITTEN_FAIL : 0;
	bits |= rw->is_unwritten_self_fail ? NVME_RW_UNWRITTEN_SELF_FAIL : 0;
	ret_sqe->cdw10 = le32_store((uint32_t)rw->first_block);
	ret_sqe->cdw11 = le32_store((uint32_t)(rw->first_block >> 32));
	ret_sqe->cdw12 = le32_store(bits);
}

void nvme_flush_encode(struct nvme_sqe *ret_sqe, uint32_t nsid)
{
	sqe_begin(ret_sqe, NVME_FLUSH, nsid);
}

/* NVM command set 1.0, section 3.2.3. */
struct nvme_dsm nvme_dsm_decode(const struct nvme_sqe *sqe)
{
	uint32_t attributes = le32_load(sqe->cdw11);

	return (struct nvme_dsm){
		.range_count = (le32_load(sqe->cdw10) & NVME_DSM_RANGE_COUNT_MASK) + 1,
		.is_deallocate = (attributes & NVME_DSM_ATTRIBUTE_DEALLOCATE) != 0,
	};
}

void nvme_dsm_encode(struct nvme_sqe *ret_sqe, uint32_t nsid, const struct nvme_dsm *dsm)
{
	ASSERT(dsm->range_count >= 1 && dsm->range_count <= NVME_DSM_RANGES_MAX);
	sqe_begin(ret_sqe, NVME_DATASET_MANAGEMENT, nsid);
	ret_sqe->cdw10 = le32_store(dsm->range_count - 1);
	ret_sqe->cdw11 = le32_store(dsm->is_deallocate ? NVME_DSM_ATTRIBUTE_DEALLOCATE : 0);
}

enum nvme_status nvme_dsm_range_decode(const struct nvme_dsm_range *range,
				       uint64_t namespace_block_count, struct nvme_rw *ret_rw)
{
	uint64_t first_block = le64_load(range->first_block);
	uint32_t block_count = le32_load(range->block_count);

	if (block_count > namespace_block_count ||
	    first_block > namespace_block_count - block_count)
		return NVME_STATUS_LBA_OUT_OF_RANGE;
	*ret_rw = (struct nvme_rw){.first_block = first_block, .block_count = block_count};
	return NVME_STATUS_SUCCESS;
}

uint32_t nvme_reservation_data_bytes(uint8_t opcode)
{
	switch (opcode) {
	case NVME_RESERVATION_REGISTER:
		return sizeof(struct nvme_reservation_register_data);
	case NVME_RESERVATION_ACQUIRE:
		return sizeof(struct nvme_reservation_acquire_data);
	case NVME_RESERVATION_RELEASE:
		return sizeof(struct nvme_reservation_release_data);
	default:
		return 0;
	}
}

/* The two keys; @other_key stays 0 where the data has only one. */
static void reservation_keys_decode(const uint8_t *data, struct nvme_reservation *reservation)
{
	struct nvme_reservation_register_data keys = {0};
	uint32_t data_bytes = nvme_reservation_data_bytes((uint8_t)reservation->opcode);

	ASSERT(data_bytes <= sizeof(keys));
	if (data_bytes > 0)
		memcpy(&keys, data, data_bytes);
	reservation->current_key = le64_load(keys.current_key);
	reservation->other_key = le64_load(keys.new_key);
}
STATIC_ASSERT(sizeof(struct nvme_reservation_register_data) ==
	      sizeof(struct nvme_reservation_acquire_data));

static bool reservation_type_is_defined(uint32_t type)
{
	return type >= NVME_RESERVATION_WRITE_EXCLUSIVE &&
	       type <= NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL;
}

/* NVMe base 2.0, sections 7.2 (acquire), 7.3 (register), 7.4 (release). */
static enum nvme_status reservation_check(const struct nvme_reservation *reservation, uint32_t type)
{
	switch ((uint8_t)reservation->opcode) {
	case NVME_RESERVATION_REGISTER:
		if (reservation->action > NVME_RESERVATION_REPLACE_KEY)
			return NVME_STATUS_INVALID_FIELD;
		if ((uint32_t)reservation->persist == 1)
			return NVME_STATUS_INVALID_FIELD;
		return NVME_STATUS_SUCCESS;
	case NVME_RESERVATION_ACQUIRE:
		if (reservation->action > NVME_RESERVATION_PREEMPT_AND_ABORT)
			return NVME_STATUS_INVALID_FIELD;
		break;
	case NVME_RESERVATION_RELEASE:
		if (reservation->action > NVME_RESERVATION_CLEAR)
			return NVME_STATUS_INVALID_FIELD;
		if (reservation->action == NVME_RESERVATION_CLEAR)
			return NVME_STATUS_SUCCESS; /* the type is not looked at */
		break;
	default:
		return NVME_STATUS_SUCCESS;
	}
	return reservation_type_is_defined(type) ? NVME_STATUS_SUCCESS : NVME_STATUS_INVALID_FIELD;
}

enum nvme_status nvme_reservation_decode(const struct nvme_sqe *sqe, const uint8_t *data,
					 struct nvme_reservation *ret_reservation)
{
	uint32_t cdw10 = le32_load(sqe->cdw10);
	uint32_t type = cdw10 >> NVME_RESERVATION_TYPE_SHIFT & 0xff;
	struct nvme_reservation reservation = {.opcode = (enum nvme_opcode)sqe->opcode};
	enum nvme_status status;

	if (sqe->opcode == NVME_RESERVATION_REPORT) {
		uint64_t dwords = (uint64_t)cdw10 + 1; /* NUMD, 0's based */

		if (dwords > UINT32_MAX / 4)
			return NVME_STATUS_INVALID_FIELD;
		reservation.report_bytes = (uint32_t)dwords * 4;
		reservation.is_extended = (le32_load(sqe->cdw11) & NVME_RESERVATION_EXTENDED) != 0;
		*ret_reservation = reservation;
		return NVME_STATUS_SUCCESS;
	}
	ASSERT(nvme_reservation_data_bytes(sqe->opcode) > 0);
	reservation.action = cdw10 & NVME_RESERVATION_ACTION_MASK;
	reservation.is_ignoring_key = (cdw10 & NVME_RESERVATION_IGNORE_EXISTING_KEY) != 0;
	if (sqe->opcode == NVME_RESERVATION_REGISTER)
		reservation.persist =
			(enum nvme_reservation_persist)(cdw10 >> NVME_RESERVATION_PERSIST_SHIFT);
	status = reservation_check(&reservation, type);
	if (status != NVME_STATUS_SUCCESS)
		return status;
	if (sqe->opcode != NVME_RESERVATION_REGISTER && reservation_type_is_defined(type))
		reservation.type = (enum nvme_reservation_type)type;
	reservation_keys_decode(data, &reservation);
	*ret_reservation = reservation;
	return NVME_STATUS_SUCCESS;
}

void nvme_reservation_encode(struct nvme_sqe *ret_sqe, uint32_t nsid,
			     const struct nvme_reservation *reservation, uint8_t ret_data[16])
{
	struct nvme_reservation_register_data keys = {
		.current_key = le64_store(reservation->current_key),
		.new_key = le64_store(reservation->other_key),
	};
	uint32_t cdw10;

	sqe_begin(ret_sqe, (uint8_t)reservation->opcode, nsid);
	memset(ret_data, 0, 16);
	if (reservation->opcode == NVME_RESERVATION_REPORT) {
		ASSERT(reservation->report_bytes >= 4 && reservation->report_bytes % 4 == 0);
		ret_sqe->cdw10 = le32_store(reservation->report_bytes / 4 - 1);
		ret_sqe->cdw11 =
			le32_store(reservation->is_extended ? NVME_RESERVATION_EXTENDED : 0);
		return;
	}
	ASSERT(nvme_reservation_data_bytes((uint8_t)reservation->opcode) > 0);
	ASSERT(reservation->action <= NVME_RESERVATION_ACTION_MASK);
	cdw10 = reservation->action;
	cdw10 |= reservation->is_ignoring_key ? NVME_RESERVATION_IGNORE_EXISTING_KEY : 0;
	if (reservation->opcode == NVME_RESERVATION_REGISTER)
		cdw10 |= (uint32_t)reservation->persist << NVME_RESERVATION_PERSIST_SHIFT;
	else
		cdw10 |= (uint32_t)reservation->type << NVME_RESERVATION_TYPE_SHIFT;
	ret_sqe->cdw10 = le32_store(cdw10);
	memcpy(ret_data, &keys, nvme_reservation_data_bytes((uint8_t)reservation->opcode));
}

/* CDW10: 7:0 page, 14:8 LSP, 15 RAE, 31:16 NUMDL. CDW11: 15:0 NUMDU. CDW12/13 offset.
 * CDW14: bit 23 index offset. */
enum nvme_status nvme_get_log_decode(const struct nvme_sqe *sqe, struct nvme_get_log *ret_log)
{
	uint32_t cdw10 = le32_load(sqe->cdw10);
	uint64_t dwords = (cdw10 >> 16 | (uint64_t)(le32_load(sqe->cdw11) & 0xffff) << 16) + 1;
	struct nvme_get_log log = {
		.page = (uint8_t)cdw10,
		.specific = cdw10 >> 8 & 0x7f,
		.is_retaining = (cdw10 & NVME_LOG_RETAIN_EVENT) != 0,
		.offset_bytes = dwords_join(sqe->cdw12, sqe->cdw13),
		.length_bytes = dwords * 4,
	};

	if ((le32_load(sqe->cdw14) & 1u << 23) != 0)
		return NVME_STATUS_INVALID_FIELD;
	if (log.offset_bytes % 4 != 0)
		return NVME_STATUS_INVALID_FIELD;
	*ret_log = log;
	return NVME_STATUS_SUCCESS;
}

void nvme_get_log_encode(struct nvme_sqe *ret_sqe, uint32_t nsid, const struct nvme_get_log *log)
{
	uint64_t dwords = log->length_bytes / 4;

	ASSERT(log->length_bytes % 4 == 0 && dwords >= 1 && dwords <= 1ull << 32);
	ASSERT(log->offset_bytes % 4 == 0 && log->specific <= 0x7f);
	sqe_begin(ret_sqe, NVME_ADMIN_GET_LOG_PAGE, nsid);
	dwords--;
	ret_sqe->cdw10 = le32_store(log->page | (uint32_t)log->specific << 8 |
				    (log->is_retaining ? NVME_LOG_RETAIN_EVENT : 0) |
				    (uint32_t)(dwords & 0xffff) << 16);
	ret_sqe->cdw11 = le32_store((uint32_t)(dwords >> 16));
	ret_sqe->cdw12 = le32_store((uint32_t)log->offset_bytes);
	ret_sqe->cdw13 = le32_store((uint32_t)(log->offset_bytes >> 32));
}

/* NVMe base 2.0, section 5.17: CDW10 7:0 CNS, 31:16 CNTID; CDW11 31:24 command set. */
struct nvme_identify nvme_identify_decode(const struct nvme_sqe *sqe)
{
	uint32_t cdw10 = le32_load(sqe->cdw10);

	return (struct nvme_identify){
		.cns = (enum nvme_cns)(cdw10 & 0xff),
		.cntlid = (uint16_t)(cdw10 >> 16),
		.nsid = le32_load(sqe->nsid),
		.command_set = (uint8_t)(le32_load(sqe->cdw11) >> 24),
	};
}

void nvme_identify_encode(struct nvme_sqe *ret_sqe, const struct nvme_identify *identify)
{
	sqe_begin(ret_sqe, NVME_ADMIN_IDENTIFY, identify->nsid);
	ret_sqe->cdw10 = le32_store((uint32_t)identify->cns | (uint32_t)identify->cntlid << 16);
	ret_sqe->cdw11 = le32_store((uint32_t)identify->command_set << 24);
}

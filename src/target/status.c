/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - how the inside's outcomes are told to a host (NVMe base 2.0, section 3.3.3.2.1).
 *
 * Three questions are answered here and nowhere else: which status an I/O's end is, whether the
 * host may retry, and which command retry delay it is asked to keep.
 *
 * Do-not-retry is set when the very same command would fail again on any path: malformed, beyond
 * the end, not supported, comparison failed. It is not set for what time or another path can mend:
 * a lost device, no space, a reservation, a digest.
 */
#include "target/target_parts_impl.h"

uint16_t status_from_io(enum io_status status, bool is_write)
{
	switch (status) {
	case IO_OK:
		return NVME_STATUS_SUCCESS;
	case IO_MEDIUM_ERROR:
	case IO_INTEGRITY_ERROR:
		return is_write ? NVME_STATUS_WRITE_FAULT : NVME_STATUS_UNRECOVERED_READ_ERROR;
	case IO_NO_SPACE:
		return NVME_STATUS_CAPACITY_EXCEEDED;
	case IO_ABORTED:
		return NVME_STATUS_ABORT_REQUESTED;
	case IO_COMPARE_FAILED:
		return NVME_STATUS_COMPARE_FAILURE;
	case IO_RESERVATION_CONFLICT:
		return NVME_STATUS_RESERVATION_CONFLICT;
	case IO_READ_ONLY:
		return NVME_STATUS_NAMESPACE_WRITE_PROTECTED;
	case IO_UNSUPPORTED:
		return NVME_STATUS_INVALID_OPCODE;
	case IO_INVALID:
		return NVME_STATUS_INVALID_FIELD;
	case IO_NOT_READY:
		return NVME_STATUS_NAMESPACE_NOT_READY;
	case IO_DEVICE_GONE:
	case IO_TIMED_OUT:
	case IO_NOT_RECORDED:
	case IO_INTERNAL_ERROR:
		/* Retryable, so that the retry delay bridges the re-creation of a volume's nexus;
		 * not a path error, because hosts resubmit those at once on a single path. */
		return NVME_STATUS_INTERNAL_ERROR;
	}
	return NVME_STATUS_INTERNAL_ERROR;
}

static bool status_is_transient(uint16_t status)
{
	static const uint16_t transient[] = {
		NVME_STATUS_DATA_TRANSFER_ERROR,
		NVME_STATUS_INTERNAL_ERROR,
		NVME_STATUS_ABORT_REQUESTED,
		NVME_STATUS_ABORTED_SQ_DELETION,
		NVME_STATUS_ABORTED_FAILED_FUSED,
		NVME_STATUS_ABORTED_MISSING_FUSED,
		NVME_STATUS_ABORTED_PREEMPT,
		NVME_STATUS_COMMAND_INTERRUPTED,
		NVME_STATUS_TRANSIENT_TRANSPORT_ERROR,
		NVME_STATUS_CAPACITY_EXCEEDED,
		NVME_STATUS_NAMESPACE_NOT_READY,
		NVME_STATUS_RESERVATION_CONFLICT,
		NVME_STATUS_WRITE_FAULT,
		NVME_STATUS_UNRECOVERED_READ_ERROR,
		NVMF_STATUS_CONTROLLER_BUSY,
	};

	ASSERT(status <= 0x7ff);
	for (uint32_t i = 0; i < sizeof(transient) / sizeof(transient[0]); i++) {
		if (transient[i] == status)
			return true;
	}
	return nvme_status_type(status) == NVME_STATUS_TYPE_PATH;
}

struct nvme_status_field status_field(uint16_t status)
{
	ASSERT(status <= 0x7ff);
	return (struct nvme_status_field){.status = status,
					  .is_do_not_retry = status != NVME_STATUS_SUCCESS &&
							     !status_is_transient(status)};
}

uint8_t status_retry_delay(uint16_t status, enum target_error_class error_class)
{
	ASSERT(status <= 0x7ff);
	if (status == NVME_STATUS_SUCCESS || !status_is_transient(status))
		return 0;
	switch (error_class) {
	case TARGET_ERRORS_OF_REPLICA:
		return 3;
	case TARGET_ERRORS_OF_NEXUS:
		return status == NVME_STATUS_RESERVATION_CONFLICT ||
				       status == NVME_STATUS_CAPACITY_EXCEEDED
			       ? 2
			       : 1;
	}
	return 0;
}

uint16_t status_from_ana(enum target_ana_state state)
{
	switch (state) {
	case TARGET_ANA_OPTIMIZED:
	case TARGET_ANA_NON_OPTIMIZED:
		return NVME_STATUS_SUCCESS;
	case TARGET_ANA_INACCESSIBLE:
		return NVME_STATUS_ANA_INACCESSIBLE;
	}
	return NVME_STATUS_ANA_INACCESSIBLE;
}

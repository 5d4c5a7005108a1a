/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_status.c - status codes in words, for logs. */
#include "nvme/nvme_command.h"

struct status_name {
	uint16_t status;
	const char *text;
};

/* The ones an operator meets; rarer ones are shown as numbers. */
static const struct status_name status_names[] = {
	{NVME_STATUS_SUCCESS, "success"},
	{NVME_STATUS_INVALID_OPCODE, "invalid opcode"},
	{NVME_STATUS_INVALID_FIELD, "invalid field"},
	{NVME_STATUS_DATA_TRANSFER_ERROR, "data transfer error"},
	{NVME_STATUS_INTERNAL_ERROR, "internal error"},
	{NVME_STATUS_ABORT_REQUESTED, "abort requested"},
	{NVME_STATUS_ABORTED_SQ_DELETION, "aborted, queue deleted"},
	{NVME_STATUS_INVALID_NAMESPACE_OR_FORMAT, "invalid namespace or format"},
	{NVME_STATUS_COMMAND_SEQUENCE_ERROR, "command sequence error"},
	{NVME_STATUS_SGL_DATA_LENGTH_INVALID, "data length invalid"},
	{NVME_STATUS_HOST_ID_INCONSISTENT, "host identifier inconsistent"},
	{NVME_STATUS_KEEP_ALIVE_EXPIRED, "keep alive timer expired"},
	{NVME_STATUS_ABORTED_PREEMPT, "aborted by preempt and abort"},
	{NVME_STATUS_NAMESPACE_WRITE_PROTECTED, "namespace is write protected"},
	{NVME_STATUS_COMMAND_INTERRUPTED, "command interrupted"},
	{NVME_STATUS_TRANSIENT_TRANSPORT_ERROR, "transient transport error"},
	{NVME_STATUS_LBA_OUT_OF_RANGE, "block address out of range"},
	{NVME_STATUS_CAPACITY_EXCEEDED, "capacity exceeded"},
	{NVME_STATUS_NAMESPACE_NOT_READY, "namespace not ready"},
	{NVME_STATUS_RESERVATION_CONFLICT, "reservation conflict"},
	{NVME_STATUS_QUEUE_ID_INVALID, "invalid queue identifier"},
	{NVME_STATUS_QUEUE_SIZE_INVALID, "invalid queue size"},
	{NVME_STATUS_LOG_PAGE_INVALID, "invalid log page"},
	{NVME_STATUS_WRITE_FAULT, "write fault"},
	{NVME_STATUS_UNRECOVERED_READ_ERROR, "unrecovered read error"},
	{NVME_STATUS_COMPARE_FAILURE, "compare failure"},
	{NVME_STATUS_ACCESS_DENIED, "access denied"},
	{NVME_STATUS_DEALLOCATED_OR_UNWRITTEN, "deallocated or unwritten block"},
	{NVME_STATUS_PATH_INTERNAL_ERROR, "internal path error"},
	{NVME_STATUS_ANA_PERSISTENT_LOSS, "asymmetric access persistent loss"},
	{NVME_STATUS_ANA_INACCESSIBLE, "asymmetric access inaccessible"},
	{NVME_STATUS_ANA_TRANSITION, "asymmetric access transition"},
	{NVME_STATUS_ABORTED_BY_HOST, "aborted by host"},
	{NVMF_STATUS_INCOMPATIBLE_FORMAT, "connect: incompatible format"},
	{NVMF_STATUS_CONTROLLER_BUSY, "connect: controller busy"},
	{NVMF_STATUS_CONNECT_INVALID_PARAMETERS, "connect: invalid parameters"},
	{NVMF_STATUS_CONNECT_INVALID_HOST, "connect: host not allowed"},
	{NVMF_STATUS_AUTHENTICATION_REQUIRED, "connect: authentication required"},
};

const char *nvme_status_text(uint16_t status)
{
	size_t count = sizeof(status_names) / sizeof(status_names[0]);

	for (size_t i = 0; i < count; i++) {
		if (status_names[i].status == status)
			return status_names[i].text;
	}
	return NULL;
}

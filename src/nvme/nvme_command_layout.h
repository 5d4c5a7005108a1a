/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_command_layout.h - submission and completion entries, SGL descriptors, opcodes, command
 * dword bits (NVMe base 2.0, sections 3.3.3, 4.1 and 5; NVM command set 1.0, section 3).
 */
#ifndef NVME_NVME_COMMAND_LAYOUT_H
#define NVME_NVME_COMMAND_LAYOUT_H

#include "base/assert.h"
#include "base/le.h"

#include <stddef.h>

#define NVME_SQE_BYTES 64
#define NVME_CQE_BYTES 16

/*
 * SGL descriptor (NVMe base 2.0, section 4.1.2): 0-7 address or offset, 8-11 length, 12-14
 * reserved (zero), 15 type (7:4) and sub type (3:0).
 */
struct nvme_sgl {
	struct le64 address;
	struct le32 length;
	uint8_t reserved[3];
	uint8_t type;
};
STATIC_ASSERT(sizeof(struct nvme_sgl) == 16);
STATIC_ASSERT(offsetof(struct nvme_sgl, length) == 8);
STATIC_ASSERT(offsetof(struct nvme_sgl, type) == 15);

enum nvme_sgl_type {
	NVME_SGL_DATA_BLOCK_OFFSET = 0x01, /* data in the capsule, address is the offset */
	NVME_SGL_TRANSPORT = 0x5a,	   /* data moves by the transport's own PDUs */
};

/* Submission queue entry (NVMe base 2.0, figure 87). */
struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags; /* enum nvme_sqe_flag */
	struct le16 cid;
	struct le32 nsid;
	struct le32 cdw2;
	struct le32 cdw3;
	struct le64 metadata;
	struct nvme_sgl sgl;
	struct le32 cdw10;
	struct le32 cdw11;
	struct le32 cdw12;
	struct le32 cdw13;
	struct le32 cdw14;
	struct le32 cdw15;
};
STATIC_ASSERT(sizeof(struct nvme_sqe) == NVME_SQE_BYTES);
STATIC_ASSERT(offsetof(struct nvme_sqe, cid) == 2);
STATIC_ASSERT(offsetof(struct nvme_sqe, nsid) == 4);
STATIC_ASSERT(offsetof(struct nvme_sqe, metadata) == 16);
STATIC_ASSERT(offsetof(struct nvme_sqe, sgl) == 24);
STATIC_ASSERT(offsetof(struct nvme_sqe, cdw10) == 40);
STATIC_ASSERT(offsetof(struct nvme_sqe, cdw15) == 60);

enum nvme_sqe_flag {
	NVME_SQE_FUSE_MASK = 0x03, /* 0: normal, 1: first, 2: second of two fused */
	NVME_SQE_PSDT_MASK = 0xc0,
	NVME_SQE_PSDT_SGL = 0x40, /* the only value that Fabrics permit */
};

#define NVME_NSID_ALL 0xffffffffu

/* Completion queue entry (NVMe base 2.0, figure 90; Fabrics: figure 91). */
struct nvme_cqe {
	struct le32 cdw0; /* command specific result; with cdw1 a 64-bit one of Property Get */
	struct le32 cdw1;
	struct le16 sqhd;
	struct le16 sqid; /* reserved in Fabrics */
	struct le16 cid;
	struct le16 status; /* nvme_status_encode() */
};
STATIC_ASSERT(sizeof(struct nvme_cqe) == NVME_CQE_BYTES);
STATIC_ASSERT(offsetof(struct nvme_cqe, sqhd) == 8);
STATIC_ASSERT(offsetof(struct nvme_cqe, cid) == 12);
STATIC_ASSERT(offsetof(struct nvme_cqe, status) == 14);

/* NVMe base 2.0, figure 138. */
enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG_PAGE = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_GET_FEATURES = 0x0a,
	NVME_ADMIN_ASYNC_EVENT = 0x0c,
	NVME_ADMIN_NAMESPACE_MANAGEMENT = 0x0d,
	NVME_ADMIN_FIRMWARE_COMMIT = 0x10,
	NVME_ADMIN_FIRMWARE_DOWNLOAD = 0x11,
	NVME_ADMIN_SELF_TEST = 0x14,
	NVME_ADMIN_NAMESPACE_ATTACHMENT = 0x15,
	NVME_ADMIN_KEEP_ALIVE = 0x18,
	NVME_ADMIN_DIRECTIVE_SEND = 0x19,
	NVME_ADMIN_DIRECTIVE_RECEIVE = 0x1a,
	NVME_ADMIN_FABRICS = 0x7f, /* NVMF_OPCODE, on any queue */
	NVME_ADMIN_FORMAT_NVM = 0x80,
	NVME_ADMIN_SECURITY_SEND = 0x81,
	NVME_ADMIN_SECURITY_RECEIVE = 0x82,
	NVME_ADMIN_SANITIZE = 0x84,
	NVME_ADMIN_CREATE_SNAPSHOT = 0xc1, /* vendor: Mayastor engines among themselves */
};

/* NVMe base 2.0, figure 390; NVM command set 1.0, figure 20. */
enum nvme_opcode {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
	NVME_WRITE_UNCORRECTABLE = 0x04,
	NVME_COMPARE = 0x05,
	NVME_WRITE_ZEROES = 0x08,
	NVME_DATASET_MANAGEMENT = 0x09,
	NVME_VERIFY = 0x0c,
	NVME_RESERVATION_REGISTER = 0x0d,
	NVME_RESERVATION_REPORT = 0x0e,
	NVME_RESERVATION_ACQUIRE = 0x11,
	NVME_RESERVATION_RELEASE = 0x15,
	NVME_COPY = 0x19,
};

/* Bits 1:0 of any opcode: which way its data goes (NVMe base 2.0, figure 87). */
enum nvme_data_direction {
	NVME_DATA_NONE = 0,
	NVME_DATA_TO_CONTROLLER = 1,
	NVME_DATA_TO_HOST = 2,
	NVME_DATA_BOTH = 3,
};

/* CDW12 of read, write, compare, write zeroes (NVM command set 1.0, section 3.2). */
enum nvme_rw_bit {
	NVME_RW_DEALLOCATE = 1u << 25, /* write zeroes only */
	NVME_RW_FUA = 1u << 30,
	/* Reserved by the specification, used between Mayastor engines in reads: fail with
	 * DEALLOCATED_OR_UNWRITTEN when blocks were never written in the volume and its ancestors,
	 * or in the volume itself. */
	NVME_RW_UNWRITTEN_FAIL = 1u << 22,
	NVME_RW_UNWRITTEN_SELF_FAIL = 1u << 21,
	NVME_RW_PRINFO_MASK = 0xf << 26,
	NVME_RW_BLOCK_COUNT_MASK = 0xffff, /* 0's based */
};

/* Dataset management (NVM command set 1.0, section 3.2.3). */
#define NVME_DSM_RANGES_MAX	      256
#define NVME_DSM_RANGE_COUNT_MASK     0xff	/* CDW10, 0's based */
#define NVME_DSM_ATTRIBUTE_DEALLOCATE (1u << 2) /* CDW11 */

struct nvme_dsm_range {
	struct le32 attributes; /* hints, ignored */
	struct le32 block_count;
	struct le64 first_block;
};
STATIC_ASSERT(sizeof(struct nvme_dsm_range) == 16);
STATIC_ASSERT(offsetof(struct nvme_dsm_range, first_block) == 8);

/* CDW10 bits 7:0 of set and get features (NVMe base 2.0, figure 317). */
enum nvme_feature {
	NVME_FEATURE_ARBITRATION = 0x01,
	NVME_FEATURE_POWER_MANAGEMENT = 0x02,
	NVME_FEATURE_TEMPERATURE_THRESHOLD = 0x04,
	NVME_FEATURE_ERROR_RECOVERY = 0x05,
	NVME_FEATURE_WRITE_CACHE = 0x06,
	NVME_FEATURE_QUEUE_COUNT = 0x07, /* 15:0 SQs, 31:16 CQs, both 0's based */
	NVME_FEATURE_INTERRUPT_COALESCING = 0x08,
	NVME_FEATURE_INTERRUPT_VECTOR = 0x09,
	NVME_FEATURE_WRITE_ATOMICITY = 0x0a,
	NVME_FEATURE_ASYNC_EVENT = 0x0b, /* enum nvme_async_event_bit */
	NVME_FEATURE_TIMESTAMP = 0x0e,
	NVME_FEATURE_KEEP_ALIVE = 0x0f, /* ms */
	NVME_FEATURE_HOST_BEHAVIOR = 0x16,
	NVME_FEATURE_HOST_ID = 0x81, /* CDW11 bit 0: 128 bits */
	NVME_FEATURE_RESERVATION_MASK = 0x82,
	NVME_FEATURE_RESERVATION_PERSISTENCE = 0x83,
	NVME_FEATURE_WRITE_PROTECT = 0x84,
};
#define NVME_FEATURE_SAVE	  (1u << 31) /* CDW10 of set features */
#define NVME_FEATURE_SELECT_SHIFT 8	     /* CDW10 of get features, 3 bits */
#define NVME_FEATURE_SELECT_MASK  7u
enum nvme_feature_select {
	NVME_FEATURE_SELECT_CURRENT = 0,
	NVME_FEATURE_SELECT_DEFAULT = 1,
	NVME_FEATURE_SELECT_SAVED = 2,
	NVME_FEATURE_SELECT_CAPABILITIES = 3, /* 0 saveable, 1 namespace specific, 2 changeable */
};

/* Value of NVME_FEATURE_ASYNC_EVENT (NVMe base 2.0, figure 327); the same bits are in OAES. */
enum nvme_async_event_bit {
	NVME_ASYNC_EVENT_SMART_MASK = 0xff,
	NVME_ASYNC_EVENT_NAMESPACE_ATTRIBUTE = 1u << 8,
	NVME_ASYNC_EVENT_FIRMWARE_ACTIVATION = 1u << 9,
	NVME_ASYNC_EVENT_ANA_CHANGE = 1u << 11,
};
#define NVME_ASYNC_EVENT_DISCOVERY_CHANGE (1u << 31) /* too large for an enumerator */

/* CDW0 of a completed async event request (NVMe base 2.0, figure 145):
 * 2:0 type, 15:8 information, 23:16 log page that clears it. */
enum nvme_async_event_type {
	NVME_ASYNC_EVENT_TYPE_ERROR = 0,
	NVME_ASYNC_EVENT_TYPE_SMART = 1,
	NVME_ASYNC_EVENT_TYPE_NOTICE = 2,
	NVME_ASYNC_EVENT_TYPE_COMMAND_SET = 6,
	NVME_ASYNC_EVENT_TYPE_VENDOR = 7,
};
enum nvme_async_event_notice { /* information of NVME_ASYNC_EVENT_TYPE_NOTICE */
			       NVME_ASYNC_EVENT_NOTICE_NAMESPACE = 0x00,
			       NVME_ASYNC_EVENT_NOTICE_FIRMWARE = 0x01,
			       NVME_ASYNC_EVENT_NOTICE_ANA = 0x03,
			       NVME_ASYNC_EVENT_NOTICE_DISCOVERY = 0xf0,
};
#define NVME_ASYNC_EVENT_COMMAND_SET_RESERVATION 0x00 /* information of TYPE_COMMAND_SET */

static inline uint32_t nvme_async_event_result(enum nvme_async_event_type type, uint8_t information,
					       uint8_t log_page)
{
	return (uint32_t)type | (uint32_t)information << 8 | (uint32_t)log_page << 16;
}

/* CDW10 of abort: 15:0 SQID, 31:16 CID. CDW0 bit 0 of its completion: 1 when NOT aborted. */
#define NVME_ABORT_NOT_DONE 1u

#endif

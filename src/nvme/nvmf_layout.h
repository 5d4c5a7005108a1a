/* SPDX-License-Identifier: Apache-2.0 */
/* nvmf_layout.h - NVMe over Fabrics: its commands, properties and discovery log (NVMe base 2.0,
 * sections 3.1.3, 5.16.1.23 and 6). Reserved bytes are zero.
 */
#ifndef NVME_NVMF_LAYOUT_H
#define NVME_NVMF_LAYOUT_H

#include "nvme/nvme_command_layout.h"

#define NVMF_OPCODE	     0x7f
#define NVMF_NQN_FIELD_BYTES 256 /* NQN_BYTES_MAX of them used, the rest NUL */
#define NVMF_DISCOVERY_NQN   "nqn.2014-08.org.nvmexpress.discovery"

enum nvmf_command_type {
	NVMF_PROPERTY_SET = 0x00,
	NVMF_CONNECT = 0x01,
	NVMF_PROPERTY_GET = 0x04,
	NVMF_AUTHENTICATION_SEND = 0x05,
	NVMF_AUTHENTICATION_RECEIVE = 0x06,
	NVMF_DISCONNECT = 0x08,
};

/* What all Fabrics commands share; the rest depends on @type. */
struct nvmf_command {
	uint8_t opcode; /* NVMF_OPCODE */
	uint8_t flags;
	struct le16 cid;
	uint8_t type; /* enum nvmf_command_type */
	uint8_t reserved5[59];
};
STATIC_ASSERT(sizeof(struct nvmf_command) == NVME_SQE_BYTES);
STATIC_ASSERT(offsetof(struct nvmf_command, type) == 4);

struct nvmf_connect_command { /* NVMe base 2.0, section 6.3 */
	uint8_t opcode;
	uint8_t flags;
	struct le16 cid;
	uint8_t type;
	uint8_t reserved5[19];
	struct nvme_sgl sgl;	   /* 1024 bytes of struct nvmf_connect_data */
	struct le16 record_format; /* 0 */
	struct le16 qid;	   /* 0: admin */
	struct le16 sqsize;	   /* 0's based */
	uint8_t attributes;	   /* bit 2: no SQ flow control; 1:0 priority class */
	uint8_t reserved47;
	struct le32 kato_ms; /* admin queue only */
	uint8_t reserved52[12];
};
STATIC_ASSERT(sizeof(struct nvmf_connect_command) == NVME_SQE_BYTES);
STATIC_ASSERT(offsetof(struct nvmf_connect_command, sgl) == 24);
STATIC_ASSERT(offsetof(struct nvmf_connect_command, qid) == 42);
STATIC_ASSERT(offsetof(struct nvmf_connect_command, kato_ms) == 48);
#define NVMF_CONNECT_NO_FLOW_CONTROL (1 << 2)
#define NVMF_SQHD_NO_FLOW_CONTROL    0xffff /* in the Connect response */

struct nvmf_connect_data { /* NVMe base 2.0, figure 381 */
	uint8_t host_id[16];
	struct le16 cntlid; /* ffffh: any (dynamic controller model) */
	uint8_t reserved18[238];
	uint8_t subnqn[NVMF_NQN_FIELD_BYTES];
	uint8_t hostnqn[NVMF_NQN_FIELD_BYTES];
	uint8_t sole[8]; /* ours: NVMF_CONNECT_SOLE_WORD; reserved, thus not looked at by others */
	uint8_t reserved776[248];
};
STATIC_ASSERT(sizeof(struct nvmf_connect_data) == 1024);
STATIC_ASSERT(offsetof(struct nvmf_connect_data, sole) == 768);
STATIC_ASSERT(offsetof(struct nvmf_connect_data, cntlid) == 16);
STATIC_ASSERT(offsetof(struct nvmf_connect_data, subnqn) == 256);
STATIC_ASSERT(offsetof(struct nvmf_connect_data, hostnqn) == 512);
/* On an admin queue: the host has no other association with this subsystem any more; those that
 * the controller still knows of are dead, and what they have under way must not take effect. */
#define NVMF_CONNECT_SOLE_WORD "MAYSOLE1"
#define NVMF_CNTLID_ANY	       0xffff
#define NVMF_CNTLID_STATIC     0xfffe
#define NVMF_CNTLID_MAX	       0xffef

/* CDW0 of a good Connect: 15:0 controller id, 17:16 and 18 authentication required.
 * CDW0 of CONNECT_INVALID_PARAMETERS: 15:0 offset, bit 16 set: in the data, else in the SQE. */
#define NVMF_CONNECT_AUTHENTICATION_MASK 0x00070000u
#define NVMF_CONNECT_INVALID_IN_DATA	 0x00010000u

/* Command specific status of Fabrics commands (NVMe base 2.0, figure 97). */
enum nvmf_status {
	NVMF_STATUS_INCOMPATIBLE_FORMAT = 0x180,
	NVMF_STATUS_CONTROLLER_BUSY = 0x181,
	NVMF_STATUS_CONNECT_INVALID_PARAMETERS = 0x182,
	NVMF_STATUS_CONNECT_RESTART_DISCOVERY = 0x183,
	NVMF_STATUS_CONNECT_INVALID_HOST = 0x184,
	NVMF_STATUS_INVALID_QUEUE_TYPE = 0x185,
	NVMF_STATUS_DISCOVER_RESTART = 0x190,
	NVMF_STATUS_AUTHENTICATION_REQUIRED = 0x191,
};

struct nvmf_property_command { /* Property Get and Set: NVMe base 2.0, sections 6.5 and 6.6 */
	uint8_t opcode;
	uint8_t flags;
	struct le16 cid;
	uint8_t type;
	uint8_t reserved5[35];
	uint8_t attributes; /* 2:0: 0 four bytes, 1 eight bytes */
	uint8_t reserved41[3];
	struct le32 offset; /* enum nvmf_property */
	struct le64 value;  /* Set only */
	uint8_t reserved56[8];
};
STATIC_ASSERT(sizeof(struct nvmf_property_command) == NVME_SQE_BYTES);
STATIC_ASSERT(offsetof(struct nvmf_property_command, attributes) == 40);
STATIC_ASSERT(offsetof(struct nvmf_property_command, offset) == 44);
STATIC_ASSERT(offsetof(struct nvmf_property_command, value) == 48);
#define NVMF_PROPERTY_BYTES_4 0
#define NVMF_PROPERTY_BYTES_8 1

struct nvmf_disconnect_command { /* NVMe base 2.0, section 6.4; on an I/O queue */
	uint8_t opcode;
	uint8_t flags;
	struct le16 cid;
	uint8_t type;
	uint8_t reserved5[35];
	struct le16 record_format;
	uint8_t reserved42[22];
};
STATIC_ASSERT(sizeof(struct nvmf_disconnect_command) == NVME_SQE_BYTES);
STATIC_ASSERT(offsetof(struct nvmf_disconnect_command, record_format) == 40);

enum nvmf_property {
	NVMF_PROPERTY_CAP = 0x00, /* 8 bytes */
	NVMF_PROPERTY_VS = 0x08,
	NVMF_PROPERTY_CC = 0x14,
	NVMF_PROPERTY_CSTS = 0x1c,
	NVMF_PROPERTY_NSSR = 0x20,
};

/* CAP (NVMe base 2.0, section 3.1.3.1): shifts and widths. */
#define NVMF_CAP_MQES_MASK    0xffffull /* 0's based */
#define NVMF_CAP_CQR	      (1ull << 16)
#define NVMF_CAP_TO_SHIFT     24 /* 8 bits, units of 500 ms */
#define NVMF_CAP_NSSRS	      (1ull << 36)
#define NVMF_CAP_CSS_NVM      (1ull << 37)
#define NVMF_CAP_CSS_SEVERAL  (1ull << 43)
#define NVMF_CAP_CSS_NONE     (1ull << 44)
#define NVMF_CAP_MPSMIN_SHIFT 48 /* 4 bits, 4 KiB << n */
#define NVMF_CAP_MPSMAX_SHIFT 52

#define NVMF_VS(major, minor, tertiary) ((uint32_t)(major) << 16 | (minor) << 8 | (tertiary))

/* CC (section 3.1.3.5). */
#define NVMF_CC_ENABLE	     (1u << 0)
#define NVMF_CC_CSS_SHIFT    4	/* 3 bits; 0 NVM, 6 all, 7 admin only */
#define NVMF_CC_MPS_SHIFT    7	/* 4 bits */
#define NVMF_CC_AMS_SHIFT    11 /* 3 bits */
#define NVMF_CC_SHN_SHIFT    14 /* 2 bits; 1 normal, 2 abrupt shutdown */
#define NVMF_CC_SHN_MASK     3u
#define NVMF_CC_IOSQES_SHIFT 16 /* 4 bits; 6: 64 bytes */
#define NVMF_CC_IOCQES_SHIFT 20 /* 4 bits; 4: 16 bytes */

/* CSTS (section 3.1.3.6). */
#define NVMF_CSTS_READY	     (1u << 0)
#define NVMF_CSTS_FATAL	     (1u << 1)
#define NVMF_CSTS_SHST_SHIFT 2 /* 2 bits: 0 normal, 1 shutting down, 2 complete */
#define NVMF_CSTS_SHST_MASK  3u
#define NVMF_CSTS_SHST_NONE  0u
#define NVMF_CSTS_SHST_BUSY  1u
#define NVMF_CSTS_SHST_DONE  2u

/* Discovery log (NVMe base 2.0, figure 264): the header, then @record_count entries. */
struct nvmf_discovery_log {
	struct le64 generation;
	struct le64 record_count;
	struct le16 record_format; /* 0 */
	uint8_t reserved18[1006];
};
STATIC_ASSERT(sizeof(struct nvmf_discovery_log) == 1024);
STATIC_ASSERT(offsetof(struct nvmf_discovery_log, record_format) == 16);

struct nvmf_discovery_entry {	/* figure 265 */
	uint8_t transport_type; /* enum nvmf_transport_type */
	uint8_t address_family; /* enum nvmf_address_family */
	uint8_t subsystem_type; /* enum nvmf_subsystem_type */
	uint8_t requirements;	/* 1:0 secure channel; bit 2: can do without SQ flow control */
	struct le16 port_id;
	struct le16 cntlid;
	struct le16 admin_queue_entries; /* ASQSZ, at least 32 */
	struct le16 flags;		 /* EFLAGS */
	uint8_t reserved12[20];
	uint8_t service[32]; /* TRSVCID: decimal port, ASCII, padded with spaces */
	uint8_t reserved64[192];
	uint8_t subnqn[NVMF_NQN_FIELD_BYTES];
	uint8_t address[256];		 /* TRADDR: ASCII, padded with spaces */
	uint8_t transport_specific[256]; /* TCP: byte 0 security, 0 none */
};
STATIC_ASSERT(sizeof(struct nvmf_discovery_entry) == 1024);
STATIC_ASSERT(offsetof(struct nvmf_discovery_entry, port_id) == 4);
STATIC_ASSERT(offsetof(struct nvmf_discovery_entry, admin_queue_entries) == 8);
STATIC_ASSERT(offsetof(struct nvmf_discovery_entry, service) == 32);
STATIC_ASSERT(offsetof(struct nvmf_discovery_entry, subnqn) == 256);
STATIC_ASSERT(offsetof(struct nvmf_discovery_entry, address) == 512);
STATIC_ASSERT(offsetof(struct nvmf_discovery_entry, transport_specific) == 768);

enum nvmf_transport_type {
	NVMF_TRANSPORT_PCIE = 0,
	NVMF_TRANSPORT_RDMA = 1,
	NVMF_TRANSPORT_FC = 2,
	NVMF_TRANSPORT_TCP = 3,
};
enum nvmf_address_family {
	NVMF_ADDRESS_IPV4 = 1,
	NVMF_ADDRESS_IPV6 = 2,
};
enum nvmf_subsystem_type {
	NVMF_SUBSYSTEM_REFERRAL = 1,
	NVMF_SUBSYSTEM_NVM = 2,
	NVMF_SUBSYSTEM_CURRENT_DISCOVERY = 3,
};
enum nvmf_secure_channel {
	NVMF_SECURE_CHANNEL_UNSPECIFIED = 0,
	NVMF_SECURE_CHANNEL_REQUIRED = 1,
	NVMF_SECURE_CHANNEL_NOT_REQUIRED = 2,
};
#define NVMF_REQUIREMENT_NO_FLOW_CONTROL (1 << 2)

#endif

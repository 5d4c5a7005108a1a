/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_identify_layout.h - data structures of Identify (NVMe base 2.0, section 5.17; NVM command
 * set 1.0, section 4.1.5). All are 4096 bytes; reserved bytes are zero.
 */
#ifndef NVME_NVME_IDENTIFY_LAYOUT_H
#define NVME_NVME_IDENTIFY_LAYOUT_H

#include "base/assert.h"
#include "base/le.h"

#include <stddef.h>

#define NVME_IDENTIFY_BYTES 4096

/* CDW10 7:0 (NVMe base 2.0, figure 273); CDW10 31:16 is a controller id where one is meant. */
enum nvme_cns {
	NVME_CNS_NAMESPACE = 0x00,
	NVME_CNS_CONTROLLER = 0x01,
	NVME_CNS_ACTIVE_NAMESPACES = 0x02,
	NVME_CNS_NAMESPACE_DESCRIPTORS = 0x03,
	NVME_CNS_COMMAND_SET_NAMESPACE = 0x05,
	NVME_CNS_COMMAND_SET_CONTROLLER = 0x06,
	NVME_CNS_COMMAND_SET_ACTIVE_NAMESPACES = 0x07,
	NVME_CNS_INDEPENDENT_NAMESPACE = 0x08,
	NVME_CNS_ALLOCATED_NAMESPACES = 0x10,
	NVME_CNS_ALLOCATED_NAMESPACE = 0x11,
	NVME_CNS_NAMESPACE_CONTROLLERS = 0x12,
	NVME_CNS_CONTROLLERS = 0x13,
	NVME_CNS_COMMAND_SETS = 0x1c,
};

/* NVMe base 2.0, figure 275. Texts are ASCII, padded with spaces; NQNs end with NUL. */
struct nvme_identify_controller {
	struct le16 vid;
	struct le16 ssvid;
	uint8_t sn[20];
	uint8_t mn[40];
	uint8_t fr[8];
	uint8_t rab;
	uint8_t ieee[3];
	uint8_t cmic; /* enum nvme_cmic */
	uint8_t mdts; /* power of two in units of 4 KiB; 0: no limit */
	struct le16 cntlid;
	struct le32 ver; /* major << 16 | minor << 8 | tertiary */
	struct le32 rtd3r;
	struct le32 rtd3e;
	struct le32 oaes; /* enum nvme_async_event_bit */
	struct le32 ctratt;
	struct le16 rrls;
	uint8_t reserved102[9];
	uint8_t cntrltype; /* enum nvme_controller_type; 0 before version 1.4 */
	uint8_t fguid[16];
	struct le16 crdt[3]; /* units of 100 ms */
	uint8_t reserved134[119];
	uint8_t nvmsr;
	uint8_t vwci;
	uint8_t mec;
	struct le16 oacs;
	uint8_t acl;  /* 0's based */
	uint8_t aerl; /* 0's based */
	uint8_t frmw;
	uint8_t lpa;  /* enum nvme_lpa */
	uint8_t elpe; /* 0's based */
	uint8_t npss;
	uint8_t avscc;
	uint8_t apsta;
	struct le16 wctemp;
	struct le16 cctemp;
	struct le16 mtfa;
	struct le32 hmpre;
	struct le32 hmmin;
	uint8_t tnvmcap[16];
	uint8_t unvmcap[16];
	struct le32 rpmbs;
	struct le16 edstt;
	uint8_t dsto;
	uint8_t fwug;
	struct le16 kas; /* granularity in 100 ms */
	struct le16 hctma;
	struct le16 mntmt;
	struct le16 mxtmt;
	struct le32 sanicap;
	struct le32 hmminds;
	struct le16 hmmaxd;
	struct le16 nsetidmax;
	struct le16 endgidmax;
	uint8_t anatt;	/* s */
	uint8_t anacap; /* enum nvme_anacap */
	struct le32 anagrpmax;
	struct le32 nanagrpid;
	struct le32 pels;
	struct le16 did;
	uint8_t reserved358[154];
	uint8_t sqes;
	uint8_t cqes;
	struct le16 maxcmd;
	struct le32 nn;
	struct le16 oncs;  /* enum nvme_oncs */
	struct le16 fuses; /* bit 0: compare and write */
	uint8_t fna;
	uint8_t vwc; /* enum nvme_vwc */
	struct le16 awun;
	struct le16 awupf;
	uint8_t icsvscc;
	uint8_t nwpc;
	struct le16 acwu;
	struct le16 ocfs;
	struct le32 sgls; /* enum nvme_sgls */
	struct le32 mnan;
	uint8_t maxdna[16];
	struct le32 maxcna;
	uint8_t reserved564[204];
	uint8_t subnqn[256];
	uint8_t reserved1024[768];
	struct le32 ioccsz; /* command capsule of I/O queues in 16 bytes, SQE included */
	struct le32 iorcsz; /* response capsule in 16 bytes */
	struct le16 icdoff; /* in-capsule data offset in 16 bytes after the SQE; 0 in TCP */
	uint8_t fcatt;	    /* bit 0: static controller model */
	uint8_t msdbd;
	struct le16 ofcs; /* bit 0: disconnect command */
	uint8_t reserved1806[242];
	uint8_t psd[32][32];
	uint8_t vendor[1024];
};
STATIC_ASSERT(sizeof(struct nvme_identify_controller) == NVME_IDENTIFY_BYTES);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, sn) == 4);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, mdts) == 77);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, cntlid) == 78);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, oaes) == 92);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, cntrltype) == 111);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, crdt) == 128);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, oacs) == 256);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, elpe) == 262);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, kas) == 320);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, anatt) == 342);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, nanagrpid) == 348);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, sqes) == 512);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, oncs) == 520);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, vwc) == 525);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, sgls) == 536);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, mnan) == 540);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, subnqn) == 768);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, ioccsz) == 1792);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, msdbd) == 1803);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, psd) == 2048);
STATIC_ASSERT(offsetof(struct nvme_identify_controller, vendor) == 3072);

enum nvme_cmic {
	NVME_CMIC_MULTI_PORT = 1 << 0,
	NVME_CMIC_MULTI_CONTROLLER = 1 << 1,
	NVME_CMIC_ANA = 1 << 3,
};
enum nvme_ctratt {
	NVME_CTRATT_HOST_ID_128 = 1 << 0,
	NVME_CTRATT_TRAFFIC_KEEP_ALIVE = 1 << 6,
};
enum nvme_controller_type {
	NVME_CONTROLLER_TYPE_NONE = 0,
	NVME_CONTROLLER_TYPE_IO = 1,
	NVME_CONTROLLER_TYPE_DISCOVERY = 2,
	NVME_CONTROLLER_TYPE_ADMIN = 3,
};
enum nvme_lpa {
	NVME_LPA_SMART_NAMESPACE = 1 << 0,
	NVME_LPA_COMMAND_EFFECTS = 1 << 1,
	NVME_LPA_EXTENDED_DATA = 1 << 2, /* NUMDU, LPOL and LPOU of get log page */
};
enum nvme_anacap {
	NVME_ANACAP_OPTIMIZED = 1 << 0,
	NVME_ANACAP_NON_OPTIMIZED = 1 << 1,
	NVME_ANACAP_INACCESSIBLE = 1 << 2,
	NVME_ANACAP_PERSISTENT_LOSS = 1 << 3,
	NVME_ANACAP_CHANGE = 1 << 4,
	NVME_ANACAP_GROUP_STATIC = 1 << 6,
	NVME_ANACAP_GROUP_NONZERO = 1 << 7,
};
enum nvme_oncs {
	NVME_ONCS_COMPARE = 1 << 0,
	NVME_ONCS_WRITE_UNCORRECTABLE = 1 << 1,
	NVME_ONCS_DATASET_MANAGEMENT = 1 << 2,
	NVME_ONCS_WRITE_ZEROES = 1 << 3,
	NVME_ONCS_FEATURE_SAVE = 1 << 4,
	NVME_ONCS_RESERVATIONS = 1 << 5,
	NVME_ONCS_TIMESTAMP = 1 << 6,
	NVME_ONCS_VERIFY = 1 << 7,
	NVME_ONCS_COPY = 1 << 8,
};
enum nvme_vwc {
	NVME_VWC_PRESENT = 1 << 0,
	NVME_VWC_FLUSH_ALL_UNSUPPORTED = 2 << 1, /* bits 2:1, flush with nsid ffffffffh */
	NVME_VWC_FLUSH_ALL_SUPPORTED = 3 << 1,
};
enum nvme_sgls {
	NVME_SGLS_SUPPORTED = 1 << 0,
	NVME_SGLS_KEYED = 1 << 2,
	NVME_SGLS_ICD_OFFSET = 1 << 20,
	NVME_SGLS_TRANSPORT = 1 << 21,
};

#endif

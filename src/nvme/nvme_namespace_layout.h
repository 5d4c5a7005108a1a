/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_namespace_layout.h - Identify data about namespaces (NVMe base 2.0, section 5.17; NVM
 * command set 1.0, section 4.1.5). All are 4096 bytes; reserved bytes are zero.
 */
#ifndef NVME_NVME_NAMESPACE_LAYOUT_H
#define NVME_NVME_NAMESPACE_LAYOUT_H

#include "nvme/nvme_identify_layout.h"

struct nvme_lba_format {
	struct le16 metadata_bytes;
	uint8_t data_bytes_log2; /* 9: 512, 12: 4096 */
	uint8_t relative_performance;
};
STATIC_ASSERT(sizeof(struct nvme_lba_format) == 4);

/* NVM command set 1.0, figure 97. */
struct nvme_identify_namespace {
	struct le64 nsze;
	struct le64 ncap;
	struct le64 nuse;
	uint8_t nsfeat; /* enum nvme_nsfeat */
	uint8_t nlbaf;	/* 0's based */
	uint8_t flbas;	/* 3:0 and 6:5 index into lbaf, 4 metadata at the end of data */
	uint8_t mc;
	uint8_t dpc;
	uint8_t dps;
	uint8_t nmic;	/* bit 0: shared */
	uint8_t rescap; /* enum nvme_rescap */
	uint8_t fpi;
	uint8_t dlfeat; /* 2:0: 1 reads zeroes after deallocate; 3: write zeroes deallocates */
	struct le16 nawun;
	struct le16 nawupf;
	struct le16 nacwu;
	struct le16 nabsn;
	struct le16 nabo;
	struct le16 nabspf;
	struct le16 noiob;
	uint8_t nvmcap[16];
	struct le16 npwg; /* 0's based blocks, like the next three */
	struct le16 npwa;
	struct le16 npdg;
	struct le16 npda;
	struct le16 nows;
	struct le16 mssrl;
	struct le32 mcl;
	uint8_t msrc;
	uint8_t reserved81[11];
	struct le32 anagrpid;
	uint8_t reserved96[3];
	uint8_t nsattr; /* bit 0: write protected */
	struct le16 nvmsetid;
	struct le16 endgid;
	uint8_t nguid[16]; /* big endian as a UUID's bytes */
	uint8_t eui64[8];
	struct nvme_lba_format lbaf[64];
	uint8_t vendor[3712];
};
STATIC_ASSERT(sizeof(struct nvme_identify_namespace) == NVME_IDENTIFY_BYTES);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, nsfeat) == 24);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, rescap) == 31);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, dlfeat) == 33);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, noiob) == 46);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, npwg) == 64);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, nows) == 72);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, anagrpid) == 92);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, nguid) == 104);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, eui64) == 120);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, lbaf) == 128);
STATIC_ASSERT(offsetof(struct nvme_identify_namespace, vendor) == 384);

enum nvme_nsfeat {
	NVME_NSFEAT_THIN = 1 << 0,
	NVME_NSFEAT_ATOMIC = 1 << 1, /* NAWUN, NAWUPF, NACWU are valid */
	NVME_NSFEAT_DEALLOCATED_ERROR = 1 << 2,
	NVME_NSFEAT_OPTIMAL = 1 << 4, /* NPWG, NPWA, NPDG, NPDA, NOWS are valid */
};
#define NVME_DLFEAT_READS_ZERO_MASK   0x07
#define NVME_DLFEAT_READS_ZERO	      0x01
#define NVME_DLFEAT_WRITE_ZEROES_DEAC (1 << 3)

enum nvme_rescap {
	NVME_RESCAP_PERSIST = 1 << 0, /* through power loss */
	NVME_RESCAP_WRITE_EXCLUSIVE = 1 << 1,
	NVME_RESCAP_EXCLUSIVE_ACCESS = 1 << 2,
	NVME_RESCAP_WRITE_EXCLUSIVE_REGISTRANTS = 1 << 3,
	NVME_RESCAP_EXCLUSIVE_ACCESS_REGISTRANTS = 1 << 4,
	NVME_RESCAP_WRITE_EXCLUSIVE_ALL = 1 << 5,
	NVME_RESCAP_EXCLUSIVE_ACCESS_ALL = 1 << 6,
	NVME_RESCAP_IGNORE_EXISTING_KEY = 1 << 7, /* as of version 1.3 */
};

/* Header of one namespace identification descriptor (NVMe base 2.0, figure 277); @length bytes
 * of identifier follow; a type of 0 ends the list. */
struct nvme_namespace_descriptor {
	uint8_t type; /* enum nvme_namespace_descriptor_type */
	uint8_t length;
	uint8_t reserved[2];
};
STATIC_ASSERT(sizeof(struct nvme_namespace_descriptor) == 4);

enum nvme_namespace_descriptor_type {
	NVME_NAMESPACE_DESCRIPTOR_END = 0,
	NVME_NAMESPACE_DESCRIPTOR_EUI64 = 1,	   /* 8 bytes */
	NVME_NAMESPACE_DESCRIPTOR_NGUID = 2,	   /* 16 */
	NVME_NAMESPACE_DESCRIPTOR_UUID = 3,	   /* 16 */
	NVME_NAMESPACE_DESCRIPTOR_COMMAND_SET = 4, /* 1; 0: NVM */
};

/* Active or allocated namespace ids, ascending, zero-terminated unless full. */
struct nvme_namespace_list {
	struct le32 nsid[1024];
};
STATIC_ASSERT(sizeof(struct nvme_namespace_list) == NVME_IDENTIFY_BYTES);

/* Controller list (NVMe base 2.0, section 4.4.1). */
struct nvme_controller_list {
	struct le16 count;
	struct le16 cntlid[2047];
};
STATIC_ASSERT(sizeof(struct nvme_controller_list) == NVME_IDENTIFY_BYTES);

#endif

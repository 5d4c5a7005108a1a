/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_tcp_layout.h - PDUs of NVMe/TCP (NVMe TCP transport 1.0, section 3.6).
 *
 * A PDU: header (HLEN bytes), header digest (4, when negotiated), padding up to PDO, data, data
 * digest (4, when negotiated and there is data). Reserved bytes are zero.
 */
#ifndef NVME_NVME_TCP_LAYOUT_H
#define NVME_NVME_TCP_LAYOUT_H

#include "nvme/nvme_command_layout.h"

#define NVME_TCP_PORT		     4420
#define NVME_TCP_DISCOVERY_PORT	     8009
#define NVME_TCP_DIGEST_BYTES	     4
#define NVME_TCP_ALIGNMENT_MAX	     128  /* HPDA and CPDA of 31 */
#define NVME_TCP_HEADER_BYTES_MAX    128  /* ICReq and ICResp */
#define NVME_TCP_TERM_DATA_BYTES_MAX 128  /* section 3.6.2.4: PLEN at most 152 */
#define NVME_TCP_MAX_H2C_BYTES_MIN   4096 /* smallest MAXH2CDATA, section 3.6.2.3 */
#define NVME_TCP_ADMIN_CAPSULE_BYTES 8192 /* in-capsule data of the admin queue, section 3.3.1 */

enum nvme_tcp_type {
	NVME_TCP_ICREQ = 0x00,
	NVME_TCP_ICRESP = 0x01,
	NVME_TCP_H2C_TERM = 0x02,
	NVME_TCP_C2H_TERM = 0x03,
	NVME_TCP_CAPSULE_COMMAND = 0x04,
	NVME_TCP_CAPSULE_RESPONSE = 0x05,
	NVME_TCP_H2C_DATA = 0x06,
	NVME_TCP_C2H_DATA = 0x07,
	NVME_TCP_R2T = 0x09,
};

enum nvme_tcp_flag {
	NVME_TCP_FLAG_HEADER_DIGEST = 1 << 0,
	NVME_TCP_FLAG_DATA_DIGEST = 1 << 1,
	NVME_TCP_FLAG_LAST = 1 << 2,	/* H2CData, C2HData: ends an R2T, a command's data */
	NVME_TCP_FLAG_SUCCESS = 1 << 3, /* C2HData: stands for a good response */
};

struct nvme_tcp_common {
	uint8_t type;
	uint8_t flags;
	uint8_t hlen;
	uint8_t pdo;
	struct le32 plen;
};
STATIC_ASSERT(sizeof(struct nvme_tcp_common) == 8);
STATIC_ASSERT(offsetof(struct nvme_tcp_common, plen) == 4);

struct nvme_tcp_icreq {
	struct nvme_tcp_common common;
	struct le16 pfv;    /* 0 */
	uint8_t hpda;	    /* 0's based dwords, 0..31: alignment of data that the host receives */
	uint8_t dgst;	    /* enum nvme_tcp_digest */
	struct le32 maxr2t; /* 0's based, per command */
	uint8_t reserved16[112];
};
STATIC_ASSERT(sizeof(struct nvme_tcp_icreq) == 128);
STATIC_ASSERT(offsetof(struct nvme_tcp_icreq, dgst) == 11);
STATIC_ASSERT(offsetof(struct nvme_tcp_icreq, maxr2t) == 12);

struct nvme_tcp_icresp {
	struct nvme_tcp_common common;
	struct le16 pfv;
	uint8_t cpda; /* alignment of data that the controller receives */
	uint8_t dgst;
	struct le32 maxh2cdata; /* bytes of one H2CData PDU; dwords; at least 4096 */
	uint8_t reserved16[112];
};
STATIC_ASSERT(sizeof(struct nvme_tcp_icresp) == 128);
STATIC_ASSERT(offsetof(struct nvme_tcp_icresp, maxh2cdata) == 12);

enum nvme_tcp_digest {
	NVME_TCP_DIGEST_HEADER = 1 << 0,
	NVME_TCP_DIGEST_DATA = 1 << 1,
};

struct nvme_tcp_term { /* H2CTermReq and C2HTermReq; the faulty PDU's header follows as data */
	struct nvme_tcp_common common;
	struct le16 fes; /* enum nvme_tcp_fes */
	struct le32 fei; /* field offset for INVALID_HEADER and UNSUPPORTED; digest for DIGEST */
	uint8_t reserved14[10];
};
STATIC_ASSERT(sizeof(struct nvme_tcp_term) == 24);
STATIC_ASSERT(offsetof(struct nvme_tcp_term, fei) == 10);

enum nvme_tcp_fes { /* sections 3.6.2.4 and 3.6.2.5 */
		    NVME_TCP_FES_INVALID_HEADER = 0x01,
		    NVME_TCP_FES_SEQUENCE = 0x02,
		    NVME_TCP_FES_HEADER_DIGEST = 0x03,
		    NVME_TCP_FES_OUT_OF_RANGE = 0x04,
		    NVME_TCP_FES_LIMIT_EXCEEDED =
			    0x05, /* R2T limit (host says), H2C size (controller says) */
		    NVME_TCP_FES_UNSUPPORTED = 0x06,
};

struct nvme_tcp_capsule_command {
	struct nvme_tcp_common common;
	struct nvme_sqe sqe;
};
STATIC_ASSERT(sizeof(struct nvme_tcp_capsule_command) == 72);

struct nvme_tcp_capsule_response {
	struct nvme_tcp_common common;
	struct nvme_cqe cqe;
};
STATIC_ASSERT(sizeof(struct nvme_tcp_capsule_response) == 24);

struct nvme_tcp_data { /* H2CData and C2HData */
	struct nvme_tcp_common common;
	struct le16 cccid;
	struct le16 ttag; /* reserved in C2HData */
	struct le32 datao;
	struct le32 datal;
	uint8_t reserved20[4];
};
STATIC_ASSERT(sizeof(struct nvme_tcp_data) == 24);
STATIC_ASSERT(offsetof(struct nvme_tcp_data, datao) == 12);
STATIC_ASSERT(offsetof(struct nvme_tcp_data, datal) == 16);

struct nvme_tcp_r2t {
	struct nvme_tcp_common common;
	struct le16 cccid;
	struct le16 ttag;
	struct le32 r2to;
	struct le32 r2tl;
	uint8_t reserved20[4];
};
STATIC_ASSERT(sizeof(struct nvme_tcp_r2t) == 24);
STATIC_ASSERT(offsetof(struct nvme_tcp_r2t, r2to) == 12);
STATIC_ASSERT(offsetof(struct nvme_tcp_r2t, r2tl) == 16);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_tcp_pdu.h - decodes and encodes NVMe/TCP PDU headers; pure, sees no socket.
 *
 * A receiver takes 8 bytes, calls nvme_tcp_header_decode() and knows then how many header bytes
 * to collect, where the data lies and how long it is; all of it is checked, so that nothing else
 * reads lengths from the wire. With the whole header (and its digest verified) it calls the
 * decoder of the PDU's type. A decoder fails with -EPROTO and says in struct nvme_tcp_fault what
 * a terminate request must carry.
 */
#ifndef NVME_NVME_TCP_PDU_H
#define NVME_NVME_TCP_PDU_H

#include "nvme/nvme_tcp_layout.h"

#include <stdbool.h>

enum nvme_tcp_side { /* where the bytes come from and go to */
		     NVME_TCP_HOST_TO_CONTROLLER,
		     NVME_TCP_CONTROLLER_TO_HOST,
};

/* What holds for one direction of one connection. */
struct nvme_tcp_rules {
	enum nvme_tcp_side side;
	bool is_initialized;		 /* ICReq and ICResp were exchanged */
	bool has_header_digest;		 /* negotiated */
	bool has_data_digest;		 /* negotiated */
	uint32_t alignment;		 /* (CPDA or HPDA + 1) * 4: 4..128 */
	uint32_t capsule_data_bytes_max; /* CapsuleCmd: in-capsule data */
	uint32_t data_bytes_max;	 /* H2CData: our MAXH2CDATA; C2HData: largest transfer */
};

/* Fields of a terminate request. */
struct nvme_tcp_fault {
	enum nvme_tcp_fes fes;
	uint32_t field_offset; /* FEI; 0 where the FES defines none */
};

/* A checked common header. */
struct nvme_tcp_header {
	enum nvme_tcp_type type;
	bool has_header_digest; /* of this PDU */
	bool has_data_digest;
	bool is_last;
	bool is_success;
	uint32_t header_bytes; /* HLEN, 24, 72 or 128 */
	uint32_t data_offset;  /* from the PDU's first byte; after header, digest and padding */
	uint32_t data_bytes;   /* without its digest; 0: none, and data_offset ends the PDU */
	uint32_t pdu_bytes;    /* PLEN */
};

/**
 * nvme_tcp_header_decode - the first 8 bytes of a PDU
 * Return: 0; -EAGAIN when @size_bytes < 8; -EPROTO with @ret_fault.
 */
int nvme_tcp_header_decode(const uint8_t *bytes, size_t size_bytes,
			   const struct nvme_tcp_rules *rules, struct nvme_tcp_header *ret_header,
			   struct nvme_tcp_fault *ret_fault) __attribute__((warn_unused_result));

/* The 8 bytes that were decoded last: most PDUs of a connection begin as the one before. To be
 * forgotten (is_known = false) whenever the rules change. */
struct nvme_tcp_memo {
	uint8_t bytes[8];
	bool is_known;
};

/** The same for 8 bytes of which @header may be the outcome already; @memo tells. */
int nvme_tcp_header_recall(struct nvme_tcp_memo *memo, const uint8_t bytes[8],
			   const struct nvme_tcp_rules *rules, struct nvme_tcp_header *header,
			   struct nvme_tcp_fault *ret_fault) __attribute__((warn_unused_result));

/*
 * Decoders by type. @bytes holds @header->header_bytes bytes (common header included).
 * Return: 0, or -EPROTO with @ret_fault.
 */
struct nvme_tcp_ic {	    /* ICReq or ICResp */
	uint32_t alignment; /* bytes, 4..128 */
	bool has_header_digest;
	bool has_data_digest;
	uint32_t r2t_count_max;	 /* ICReq: per command, 1's based; saturates */
	uint32_t data_bytes_max; /* ICResp: MAXH2CDATA */
};
int nvme_tcp_icreq_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			  struct nvme_tcp_ic *ret_ic, struct nvme_tcp_fault *ret_fault)
	__attribute__((warn_unused_result));
int nvme_tcp_icresp_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			   struct nvme_tcp_ic *ret_ic, struct nvme_tcp_fault *ret_fault)
	__attribute__((warn_unused_result));

struct nvme_tcp_transfer { /* H2CData, C2HData, R2T */
	uint16_t cid;
	uint16_t tag;	 /* TTAG; 0 for C2HData */
	uint32_t offset; /* in the command's data; multiple of 4 */
	uint32_t length; /* > 0; offset + length does not overflow; = header->data_bytes */
};
int nvme_tcp_h2c_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			struct nvme_tcp_transfer *ret_transfer, struct nvme_tcp_fault *ret_fault)
	__attribute__((warn_unused_result));
int nvme_tcp_c2h_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			struct nvme_tcp_transfer *ret_transfer, struct nvme_tcp_fault *ret_fault)
	__attribute__((warn_unused_result));
int nvme_tcp_r2t_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			struct nvme_tcp_transfer *ret_transfer, struct nvme_tcp_fault *ret_fault)
	__attribute__((warn_unused_result));

/* Capsules cannot be wrong here: any 64 or 16 bytes are an entry; nvme_command.h judges them. */
struct nvme_sqe nvme_tcp_command_decode(const uint8_t *bytes, const struct nvme_tcp_header *header);
struct nvme_cqe nvme_tcp_response_decode(const uint8_t *bytes,
					 const struct nvme_tcp_header *header);

/* What the peer complains about, for the log; never fails, @ret_fault->fes may be any value. */
void nvme_tcp_term_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			  struct nvme_tcp_fault *ret_fault);

/*
 * Encoders. They fill the whole struct, reserved bytes included. Digests: the flag and lengths
 * are set by @frame; the sender computes the header digest over the header bytes
 * (nvme_tcp_header_digest()) and puts it right behind them, then padding up to data_offset.
 */
struct nvme_tcp_frame { /* how the sender's direction frames a PDU */
	bool has_header_digest;
	bool has_data_digest;
	uint32_t alignment; /* of data, 4..128 */
};

/** Bytes from the PDU's start to its data: header, digest, padding. */
uint32_t nvme_tcp_data_offset(const struct nvme_tcp_frame *frame, uint32_t header_bytes);

void nvme_tcp_icreq_encode(struct nvme_tcp_icreq *ret_pdu, const struct nvme_tcp_ic *ic);
void nvme_tcp_icresp_encode(struct nvme_tcp_icresp *ret_pdu, const struct nvme_tcp_ic *ic);
/** @sqe: may be that of @ret_pdu itself. @data_bytes: in-capsule data that follows. */
void nvme_tcp_command_encode(struct nvme_tcp_capsule_command *ret_pdu,
			     const struct nvme_tcp_frame *frame, const struct nvme_sqe *sqe,
			     uint32_t data_bytes);
void nvme_tcp_response_encode(struct nvme_tcp_capsule_response *ret_pdu,
			      const struct nvme_tcp_frame *frame, const struct nvme_cqe *cqe);
void nvme_tcp_h2c_encode(struct nvme_tcp_data *ret_pdu, const struct nvme_tcp_frame *frame,
			 const struct nvme_tcp_transfer *transfer, bool is_last);
/** @flags: NVME_TCP_FLAG_LAST, NVME_TCP_FLAG_SUCCESS (only together with LAST), or 0. */
void nvme_tcp_c2h_encode(struct nvme_tcp_data *ret_pdu, const struct nvme_tcp_frame *frame,
			 const struct nvme_tcp_transfer *transfer, uint8_t flags);
void nvme_tcp_r2t_encode(struct nvme_tcp_r2t *ret_pdu, const struct nvme_tcp_frame *frame,
			 const struct nvme_tcp_transfer *transfer);

/**
 * nvme_tcp_term_encode - a terminate request with the header it is about
 * @type: NVME_TCP_H2C_TERM or NVME_TCP_C2H_TERM.
 * @faulty, @faulty_bytes: the PDU header; cut at NVME_TCP_TERM_DATA_BYTES_MAX.
 * Return: bytes written to @ret_bytes (24..152).
 */
#define NVME_TCP_TERM_BYTES_MAX (24 + NVME_TCP_TERM_DATA_BYTES_MAX)
uint32_t nvme_tcp_term_encode(uint8_t ret_bytes[NVME_TCP_TERM_BYTES_MAX], enum nvme_tcp_type type,
			      const struct nvme_tcp_fault *fault, const uint8_t *faulty,
			      uint32_t faulty_bytes);

/** Digest of a header as it lies in memory, ready to be stored behind it. */
struct le32 nvme_tcp_header_digest(const void *header, uint32_t header_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_tcp_pdu.c - NVMe/TCP PDU headers between bytes and structs (NVMe TCP transport 1.0, 3.6).
 *
 * Invariants:
 *  1. After a good nvme_tcp_header_decode(): header_bytes is the one size of the type,
 *     header_bytes <= data_offset <= pdu_bytes, and data_offset + data_bytes + digest = pdu_bytes.
 *  2. Nothing is read beyond the bytes that the caller says are there.
 *  3. Encoders write every byte of their struct.
 *
 * The format of a PDU, by type:
 *	type             side  hlen  digests  data
 *	ICReq, ICResp    h, c  128   none     none
 *	TermReq          h, c   24   none     0..128 bytes of the faulty header
 *	CapsuleCmd       h      72   h, d     0..capsule_data_bytes_max
 *	CapsuleResp      c      24   h        none
 *	H2CData, C2HData h, c   24   h, d     1..data_bytes_max
 *	R2T              c      24   h        none
 */
#include "nvme/nvme_tcp_pdu.h"

#include "base/crc32c.h"

#include <errno.h>

/* How a type must look. */
struct pdu_kind {
	bool is_known;
	enum nvme_tcp_side side;
	uint8_t header_bytes;
	uint8_t flags; /* that may be set */
	bool can_have_data;
	bool must_have_data;
	bool is_handshake; /* ICReq, ICResp: only before the connection is initialized */
	bool is_term;	   /* at any time */
};

#define FLAG_HD	 NVME_TCP_FLAG_HEADER_DIGEST
#define FLAG_HDD (NVME_TCP_FLAG_HEADER_DIGEST | NVME_TCP_FLAG_DATA_DIGEST)
#define H2C	 NVME_TCP_HOST_TO_CONTROLLER
#define C2H	 NVME_TCP_CONTROLLER_TO_HOST

#define PDU_KIND_COUNT 10

static const struct pdu_kind pdu_kinds[PDU_KIND_COUNT] = {
	[NVME_TCP_ICREQ] = {true, H2C, 128, 0, false, false, true, false},
	[NVME_TCP_ICRESP] = {true, C2H, 128, 0, false, false, true, false},
	[NVME_TCP_H2C_TERM] = {true, H2C, 24, 0, true, false, false, true},
	[NVME_TCP_C2H_TERM] = {true, C2H, 24, 0, true, false, false, true},
	[NVME_TCP_CAPSULE_COMMAND] = {true, H2C, 72, FLAG_HDD, true, false, false, false},
	[NVME_TCP_CAPSULE_RESPONSE] = {true, C2H, 24, FLAG_HD, false, false, false, false},
	[NVME_TCP_H2C_DATA] = {true, H2C, 24, FLAG_HDD | NVME_TCP_FLAG_LAST, true, true, false,
			       false},
	[NVME_TCP_C2H_DATA] = {true, C2H, 24, FLAG_HDD | NVME_TCP_FLAG_LAST | NVME_TCP_FLAG_SUCCESS,
			       true, true, false, false},
	[NVME_TCP_R2T] = {true, C2H, 24, FLAG_HD, false, false, false, false},
};

/* Says what is wrong and hands on the error, so that a check is one line. */
static int fault_set(struct nvme_tcp_fault *ret_fault, enum nvme_tcp_fes fes, size_t field_offset)
{
	*ret_fault = (struct nvme_tcp_fault){.fes = fes, .field_offset = (uint32_t)field_offset};
	return -EPROTO;
}

static int fault_field(struct nvme_tcp_fault *ret_fault, size_t field_offset)
{
	return fault_set(ret_fault, NVME_TCP_FES_INVALID_HEADER, field_offset);
}

/* May this type come now, on this side, with these flags and this HLEN? */
static int header_check_kind(const struct nvme_tcp_common *common,
			     const struct nvme_tcp_rules *rules, struct nvme_tcp_fault *ret_fault)
{
	const struct pdu_kind *kind;

	if (common->type >= PDU_KIND_COUNT || !pdu_kinds[common->type].is_known)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, type));
	kind = &pdu_kinds[common->type];
	if (kind->side != rules->side)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, type));
	if (!kind->is_term && kind->is_handshake == rules->is_initialized)
		return fault_set(ret_fault, NVME_TCP_FES_SEQUENCE, 0);
	if (common->hlen != kind->header_bytes)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, hlen));
	if ((common->flags & ~kind->flags) != 0)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, flags));
	/* A negotiated header digest is on every PDU that can have one, and on no other. */
	if (((common->flags & FLAG_HD) != 0) !=
	    (rules->has_header_digest && (kind->flags & FLAG_HD) != 0))
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, flags));
	return 0;
}

static uint32_t data_bytes_max(const struct nvme_tcp_common *common,
			       const struct nvme_tcp_rules *rules)
{
	if (common->type == NVME_TCP_H2C_TERM || common->type == NVME_TCP_C2H_TERM)
		return NVME_TCP_TERM_DATA_BYTES_MAX;
	if (common->type == NVME_TCP_CAPSULE_COMMAND)
		return rules->capsule_data_bytes_max;
	return rules->data_bytes_max;
}

/* A PDU that ends with its header: PDO is reserved and not looked at. */
static int header_decode_bare(const struct nvme_tcp_common *common, struct nvme_tcp_header *header,
			      struct nvme_tcp_fault *ret_fault)
{
	if (pdu_kinds[common->type].must_have_data)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, plen));
	if (header->has_data_digest)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, flags));
	header->data_offset = header->pdu_bytes;
	header->data_bytes = 0;
	return 0;
}

/* Finds the data and checks its place, digest and size. @head_bytes: header and its digest. */
static int header_decode_data(const struct nvme_tcp_common *common,
			      const struct nvme_tcp_rules *rules, struct nvme_tcp_header *header,
			      struct nvme_tcp_fault *ret_fault)
{
	const struct pdu_kind *kind = &pdu_kinds[common->type];
	uint32_t head_bytes =
		header->header_bytes + (header->has_header_digest ? NVME_TCP_DIGEST_BYTES : 0);
	uint32_t tail_bytes = header->has_data_digest ? NVME_TCP_DIGEST_BYTES : 0;

	if (!kind->can_have_data || header->pdu_bytes < head_bytes)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, plen));
	/* The data of a terminate request follows at once, it has neither PDO nor digest. */
	header->data_offset = kind->is_term ? head_bytes : common->pdo;
	if (!kind->is_term) {
		if (header->data_offset < head_bytes || header->data_offset % rules->alignment != 0)
			return fault_field(ret_fault, offsetof(struct nvme_tcp_common, pdo));
		if (header->has_data_digest != rules->has_data_digest)
			return fault_field(ret_fault, offsetof(struct nvme_tcp_common, flags));
	}
	if (header->pdu_bytes <= header->data_offset ||
	    header->pdu_bytes - header->data_offset <= tail_bytes)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, plen));
	header->data_bytes = header->pdu_bytes - header->data_offset - tail_bytes;
	if (header->data_bytes > data_bytes_max(common, rules)) {
		if (common->type == NVME_TCP_H2C_DATA)
			return fault_set(ret_fault, NVME_TCP_FES_LIMIT_EXCEEDED, 0);
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, plen));
	}
	ASSERT(header->data_offset + header->data_bytes + tail_bytes == header->pdu_bytes);
	return 0;
}

int nvme_tcp_header_decode(const uint8_t *bytes, size_t size_bytes,
			   const struct nvme_tcp_rules *rules, struct nvme_tcp_header *ret_header,
			   struct nvme_tcp_fault *ret_fault)
{
	struct nvme_tcp_common common;
	struct nvme_tcp_header header;
	uint32_t head_bytes;
	int rc;

	ASSERT(rules->alignment >= 4 && rules->alignment <= NVME_TCP_ALIGNMENT_MAX);
	ASSERT(rules->alignment % 4 == 0);
	if (size_bytes < sizeof(common))
		return -EAGAIN;
	memcpy(&common, bytes, sizeof(common));
	rc = header_check_kind(&common, rules, ret_fault);
	if (rc < 0)
		return rc;
	header = (struct nvme_tcp_header){
		.type = (enum nvme_tcp_type)common.type,
		.has_header_digest = (common.flags & NVME_TCP_FLAG_HEADER_DIGEST) != 0,
		.has_data_digest = (common.flags & NVME_TCP_FLAG_DATA_DIGEST) != 0,
		.is_last = (common.flags & NVME_TCP_FLAG_LAST) != 0,
		.is_success = (common.flags & NVME_TCP_FLAG_SUCCESS) != 0,
		.header_bytes = common.hlen,
		.pdu_bytes = le32_load(common.plen),
	};
	head_bytes = header.header_bytes + (header.has_header_digest ? NVME_TCP_DIGEST_BYTES : 0);
	if (header.pdu_bytes == head_bytes)
		rc = header_decode_bare(&common, &header, ret_fault);
	else
		rc = header_decode_data(&common, rules, &header, ret_fault);
	if (rc < 0)
		return rc;
	*ret_header = header;
	return 0;
}

#ifdef MAYASTOR_SLOW_ASSERTS
static bool header_is_recalled(const uint8_t *bytes, const struct nvme_tcp_rules *rules,
			       const struct nvme_tcp_header *header)
{
	struct nvme_tcp_header fresh;
	struct nvme_tcp_fault fault;

	return nvme_tcp_header_decode(bytes, sizeof(struct nvme_tcp_common), rules, &fresh,
				      &fault) == 0 &&
	       fresh.type == header->type && fresh.has_header_digest == header->has_header_digest &&
	       fresh.has_data_digest == header->has_data_digest &&
	       fresh.is_last == header->is_last && fresh.is_success == header->is_success &&
	       fresh.header_bytes == header->header_bytes &&
	       fresh.data_offset == header->data_offset && fresh.data_bytes == header->data_bytes &&
	       fresh.pdu_bytes == header->pdu_bytes;
}
#endif

int nvme_tcp_header_recall(struct nvme_tcp_memo *memo, const uint8_t bytes[8],
			   const struct nvme_tcp_rules *rules, struct nvme_tcp_header *header,
			   struct nvme_tcp_fault *ret_fault)
{
	uint64_t word, known;
	int rc;

	memcpy(&word, bytes, sizeof(word));
	memcpy(&known, memo->bytes, sizeof(known));
	if (memo->is_known && word == known) {
		ASSERT_SLOW(header_is_recalled(bytes, rules, header));
		return 0;
	}
	rc = nvme_tcp_header_decode(bytes, sizeof(word), rules, header, ret_fault);
	ASSERT(rc != -EAGAIN);
	memcpy(memo->bytes, &word, sizeof(word));
	memo->is_known = rc == 0;
	return rc;
}

/* PFV, alignment and digests, which ICReq and ICResp have at the same places. */
static int ic_decode(const struct nvme_tcp_icreq *pdu, struct nvme_tcp_ic *ret_ic,
		     struct nvme_tcp_fault *ret_fault)
{
	if (le16_load(pdu->pfv) != 0)
		return fault_set(ret_fault, NVME_TCP_FES_UNSUPPORTED,
				 offsetof(struct nvme_tcp_icreq, pfv));
	if (pdu->hpda > 31)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_icreq, hpda));
	if ((pdu->dgst & ~(NVME_TCP_DIGEST_HEADER | NVME_TCP_DIGEST_DATA)) != 0)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_icreq, dgst));
	*ret_ic = (struct nvme_tcp_ic){
		.alignment = (pdu->hpda + 1u) * 4,
		.has_header_digest = (pdu->dgst & NVME_TCP_DIGEST_HEADER) != 0,
		.has_data_digest = (pdu->dgst & NVME_TCP_DIGEST_DATA) != 0,
	};
	return 0;
}

STATIC_ASSERT(offsetof(struct nvme_tcp_icreq, pfv) == offsetof(struct nvme_tcp_icresp, pfv));
STATIC_ASSERT(offsetof(struct nvme_tcp_icreq, hpda) == offsetof(struct nvme_tcp_icresp, cpda));
STATIC_ASSERT(offsetof(struct nvme_tcp_icreq, dgst) == offsetof(struct nvme_tcp_icresp, dgst));

int nvme_tcp_icreq_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			  struct nvme_tcp_ic *ret_ic, struct nvme_tcp_fault *ret_fault)
{
	struct nvme_tcp_icreq pdu;
	uint32_t r2t_zeroes_based;
	int rc;

	ASSERT(header->type == NVME_TCP_ICREQ);
	ASSERT(header->header_bytes == sizeof(pdu));
	memcpy(&pdu, bytes, sizeof(pdu));
	rc = ic_decode(&pdu, ret_ic, ret_fault);
	if (rc < 0)
		return rc;
	r2t_zeroes_based = le32_load(pdu.maxr2t);
	ret_ic->r2t_count_max = r2t_zeroes_based == UINT32_MAX ? UINT32_MAX : r2t_zeroes_based + 1;
	return 0;
}

int nvme_tcp_icresp_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			   struct nvme_tcp_ic *ret_ic, struct nvme_tcp_fault *ret_fault)
{
	struct nvme_tcp_icreq pdu; /* same shape, see above */
	struct nvme_tcp_icresp response;
	uint32_t data_bytes;
	int rc;

	ASSERT(header->type == NVME_TCP_ICRESP);
	ASSERT(header->header_bytes == sizeof(response));
	memcpy(&pdu, bytes, sizeof(pdu));
	memcpy(&response, bytes, sizeof(response));
	data_bytes = le32_load(response.maxh2cdata);
	rc = ic_decode(&pdu, ret_ic, ret_fault);
	if (rc < 0)
		return rc;
	if (data_bytes < NVME_TCP_MAX_H2C_BYTES_MIN || data_bytes % 4 != 0)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_icresp, maxh2cdata));
	ret_ic->data_bytes_max = data_bytes;
	return 0;
}

static int data_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
		       struct nvme_tcp_transfer *ret_transfer, struct nvme_tcp_fault *ret_fault)
{
	struct nvme_tcp_data pdu;
	struct nvme_tcp_transfer transfer;

	ASSERT(header->header_bytes == sizeof(pdu));
	memcpy(&pdu, bytes, sizeof(pdu));
	transfer = (struct nvme_tcp_transfer){
		.cid = le16_load(pdu.cccid),
		.tag = le16_load(pdu.ttag),
		.offset = le32_load(pdu.datao),
		.length = le32_load(pdu.datal),
	};
	if (transfer.offset % 4 != 0)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_data, datao));
	if (transfer.length != header->data_bytes)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_data, datal));
	if (transfer.length > UINT32_MAX - transfer.offset)
		return fault_set(ret_fault, NVME_TCP_FES_OUT_OF_RANGE, 0);
	*ret_transfer = transfer;
	return 0;
}

int nvme_tcp_h2c_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			struct nvme_tcp_transfer *ret_transfer, struct nvme_tcp_fault *ret_fault)
{
	ASSERT(header->type == NVME_TCP_H2C_DATA);
	return data_decode(bytes, header, ret_transfer, ret_fault);
}

int nvme_tcp_c2h_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			struct nvme_tcp_transfer *ret_transfer, struct nvme_tcp_fault *ret_fault)
{
	int rc;

	ASSERT(header->type == NVME_TCP_C2H_DATA);
	/* Section 3.6.2.10: success without last data would leave the command half done. */
	if (header->is_success && !header->is_last)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_common, flags));
	rc = data_decode(bytes, header, ret_transfer, ret_fault);
	if (rc < 0)
		return rc;
	ret_transfer->tag = 0; /* reserved in C2HData */
	return 0;
}

int nvme_tcp_r2t_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			struct nvme_tcp_transfer *ret_transfer, struct nvme_tcp_fault *ret_fault)
{
	struct nvme_tcp_r2t pdu;
	struct nvme_tcp_transfer transfer;

	ASSERT(header->type == NVME_TCP_R2T);
	ASSERT(header->header_bytes == sizeof(pdu));
	memcpy(&pdu, bytes, sizeof(pdu));
	transfer = (struct nvme_tcp_transfer){
		.cid = le16_load(pdu.cccid),
		.tag = le16_load(pdu.ttag),
		.offset = le32_load(pdu.r2to),
		.length = le32_load(pdu.r2tl),
	};
	if (transfer.offset % 4 != 0)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_r2t, r2to));
	if (transfer.length == 0)
		return fault_field(ret_fault, offsetof(struct nvme_tcp_r2t, r2tl));
	if (transfer.length > UINT32_MAX - transfer.offset)
		return fault_set(ret_fault, NVME_TCP_FES_OUT_OF_RANGE, 0);
	*ret_transfer = transfer;
	return 0;
}

struct nvme_sqe nvme_tcp_command_decode(const uint8_t *bytes, const struct nvme_tcp_header *header)
{
	struct nvme_sqe sqe;

	ASSERT(header->type == NVME_TCP_CAPSULE_COMMAND);
	ASSERT(header->header_bytes == sizeof(struct nvme_tcp_capsule_command));
	/* From where a receiver's copy began too: loads across two young stores would stall. */
	memcpy(&sqe, bytes + offsetof(struct nvme_tcp_capsule_command, sqe), sizeof(sqe));
	return sqe;
}

struct nvme_cqe nvme_tcp_response_decode(const uint8_t *bytes, const struct nvme_tcp_header *header)
{
	struct nvme_cqe cqe;

	ASSERT(header->type == NVME_TCP_CAPSULE_RESPONSE);
	ASSERT(header->header_bytes == sizeof(struct nvme_tcp_capsule_response));
	memcpy(&cqe, bytes + offsetof(struct nvme_tcp_capsule_response, cqe), sizeof(cqe));
	return cqe;
}

void nvme_tcp_term_decode(const uint8_t *bytes, const struct nvme_tcp_header *header,
			  struct nvme_tcp_fault *ret_fault)
{
	struct nvme_tcp_term pdu;

	ASSERT(header->type == NVME_TCP_H2C_TERM || header->type == NVME_TCP_C2H_TERM);
	ASSERT(header->header_bytes == sizeof(pdu));
	memcpy(&pdu, bytes, sizeof(pdu));
	ret_fault->fes = (enum nvme_tcp_fes)le16_load(pdu.fes);
	ret_fault->field_offset = le32_load(pdu.fei);
}

static uint32_t digest_bytes(bool has_digest)
{
	return has_digest ? NVME_TCP_DIGEST_BYTES : 0;
}

uint32_t nvme_tcp_data_offset(const struct nvme_tcp_frame *frame, uint32_t header_bytes)
{
	uint32_t head_bytes = header_bytes + digest_bytes(frame->has_header_digest);

	ASSERT(frame->alignment >= 4 && frame->alignment <= NVME_TCP_ALIGNMENT_MAX);
	ASSERT(frame->alignment % 4 == 0);
	if (frame->alignment == 4) /* nearly always; saves a division */
		return (head_bytes + 3) & ~3u;
	return (head_bytes + frame->alignment - 1) / frame->alignment * frame->alignment;
}

/* The common header of a PDU with @data_bytes of data, 0 for none. PDO is zero without data. */
static struct nvme_tcp_common common_encode(enum nvme_tcp_type type,
					    const struct nvme_tcp_frame *frame, uint32_t data_bytes)
{
	uint8_t hlen = pdu_kinds[type].header_bytes;
	uint32_t pdo = nvme_tcp_data_offset(frame, hlen);
	uint32_t plen = hlen + digest_bytes(frame->has_header_digest);
	uint8_t flags = frame->has_header_digest ? NVME_TCP_FLAG_HEADER_DIGEST : 0;

	ASSERT(pdu_kinds[type].is_known);
	ASSERT(data_bytes <= UINT32_MAX / 2);
	if (data_bytes == 0)
		return (struct nvme_tcp_common){type, flags, hlen, 0, le32_store(plen)};
	plen = pdo + data_bytes + digest_bytes(frame->has_data_digest);
	if (frame->has_data_digest)
		flags |= NVME_TCP_FLAG_DATA_DIGEST;
	return (struct nvme_tcp_common){type, flags, hlen, (uint8_t)pdo, le32_store(plen)};
}

static uint8_t ic_digests(const struct nvme_tcp_ic *ic)
{
	return (uint8_t)((ic->has_header_digest ? NVME_TCP_DIGEST_HEADER : 0) |
			 (ic->has_data_digest ? NVME_TCP_DIGEST_DATA : 0));
}

void nvme_tcp_icreq_encode(struct nvme_tcp_icreq *ret_pdu, const struct nvme_tcp_ic *ic)
{
	ASSERT(ic->alignment >= 4 && ic->alignment <= NVME_TCP_ALIGNMENT_MAX);
	ASSERT(ic->r2t_count_max > 0);
	*ret_pdu = (struct nvme_tcp_icreq){
		.common = {NVME_TCP_ICREQ, 0, sizeof(*ret_pdu), 0, le32_store(sizeof(*ret_pdu))},
		.hpda = (uint8_t)(ic->alignment / 4 - 1),
		.dgst = ic_digests(ic),
		.maxr2t = le32_store(ic->r2t_count_max - 1),
	};
}

void nvme_tcp_icresp_encode(struct nvme_tcp_icresp *ret_pdu, const struct nvme_tcp_ic *ic)
{
	ASSERT(ic->alignment >= 4 && ic->alignment <= NVME_TCP_ALIGNMENT_MAX);
	ASSERT(ic->data_bytes_max >= NVME_TCP_MAX_H2C_BYTES_MIN && ic->data_bytes_max % 4 == 0);
	*ret_pdu = (struct nvme_tcp_icresp){
		.common = {NVME_TCP_ICRESP, 0, sizeof(*ret_pdu), 0, le32_store(sizeof(*ret_pdu))},
		.cpda = (uint8_t)(ic->alignment / 4 - 1),
		.dgst = ic_digests(ic),
		.maxh2cdata = le32_store(ic->data_bytes_max),
	};
}

void nvme_tcp_command_encode(struct nvme_tcp_capsule_command *ret_pdu,
			     const struct nvme_tcp_frame *frame, const struct nvme_sqe *sqe,
			     uint32_t data_bytes)
{
	ret_pdu->common = common_encode(NVME_TCP_CAPSULE_COMMAND, frame, data_bytes);
	if (sqe != &ret_pdu->sqe)
		ret_pdu->sqe = *sqe;
}

void nvme_tcp_response_encode(struct nvme_tcp_capsule_response *ret_pdu,
			      const struct nvme_tcp_frame *frame, const struct nvme_cqe *cqe)
{
	ret_pdu->common = common_encode(NVME_TCP_CAPSULE_RESPONSE, frame, 0);
	if (cqe != &ret_pdu->cqe)
		ret_pdu->cqe = *cqe;
}

static void data_encode(struct nvme_tcp_data *ret_pdu, struct nvme_tcp_common common,
			const struct nvme_tcp_transfer *transfer)
{
	ASSERT(transfer->length > 0 && transfer->offset % 4 == 0);
	ASSERT(transfer->length <= UINT32_MAX - transfer->offset);
	*ret_pdu = (struct nvme_tcp_data){
		.common = common,
		.cccid = le16_store(transfer->cid),
		.ttag = le16_store(transfer->tag),
		.datao = le32_store(transfer->offset),
		.datal = le32_store(transfer->length),
	};
}

void nvme_tcp_h2c_encode(struct nvme_tcp_data *ret_pdu, const struct nvme_tcp_frame *frame,
			 const struct nvme_tcp_transfer *transfer, bool is_last)
{
	data_encode(ret_pdu, common_encode(NVME_TCP_H2C_DATA, frame, transfer->length), transfer);
	if (is_last)
		ret_pdu->common.flags |= NVME_TCP_FLAG_LAST;
}

void nvme_tcp_c2h_encode(struct nvme_tcp_data *ret_pdu, const struct nvme_tcp_frame *frame,
			 const struct nvme_tcp_transfer *transfer, uint8_t flags)
{
	ASSERT((flags & ~(NVME_TCP_FLAG_LAST | NVME_TCP_FLAG_SUCCESS)) == 0);
	ASSERT(flags != NVME_TCP_FLAG_SUCCESS);
	ASSERT(transfer->tag == 0);
	data_encode(ret_pdu, common_encode(NVME_TCP_C2H_DATA, frame, transfer->length), transfer);
	ret_pdu->common.flags |= flags;
}

void nvme_tcp_r2t_encode(struct nvme_tcp_r2t *ret_pdu, const struct nvme_tcp_frame *frame,
			 const struct nvme_tcp_transfer *transfer)
{
	ASSERT(transfer->length > 0 && transfer->offset % 4 == 0);
	*ret_pdu = (struct nvme_tcp_r2t){
		.common = common_encode(NVME_TCP_R2T, frame, 0),
		.cccid = le16_store(transfer->cid),
		.ttag = le16_store(transfer->tag),
		.r2to = le32_store(transfer->offset),
		.r2tl = le32_store(transfer->length),
	};
}

uint32_t nvme_tcp_term_encode(uint8_t ret_bytes[NVME_TCP_TERM_BYTES_MAX], enum nvme_tcp_type type,
			      const struct nvme_tcp_fault *fault, const uint8_t *faulty,
			      uint32_t faulty_bytes)
{
	struct nvme_tcp_term pdu;
	uint32_t data_bytes = faulty_bytes < NVME_TCP_TERM_DATA_BYTES_MAX
				      ? faulty_bytes
				      : NVME_TCP_TERM_DATA_BYTES_MAX;
	uint32_t pdu_bytes = (uint32_t)sizeof(pdu) + data_bytes;

	ASSERT(type == NVME_TCP_H2C_TERM || type == NVME_TCP_C2H_TERM);
	ASSERT(pdu_bytes <= NVME_TCP_TERM_BYTES_MAX);
	pdu = (struct nvme_tcp_term){
		.common = {type, 0, sizeof(pdu), 0, le32_store(pdu_bytes)},
		.fes = le16_store((uint16_t)fault->fes),
		.fei = le32_store(fault->field_offset),
	};
	memcpy(ret_bytes, &pdu, sizeof(pdu));
	if (data_bytes > 0)
		memcpy(ret_bytes + sizeof(pdu), faulty, data_bytes);
	return pdu_bytes;
}

struct le32 nvme_tcp_header_digest(const void *header, uint32_t header_bytes)
{
	ASSERT(header_bytes >= sizeof(struct nvme_tcp_common));
	ASSERT(header_bytes <= NVME_TCP_HEADER_BYTES_MAX);
	return le32_store(crc32c(header, header_bytes));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_command.h - submission entries to host-order structs and back; pure.
 *
 * Decoders return an enum nvme_status: NVME_STATUS_SUCCESS, or what the completion must say.
 * Encoders fill a whole nvme_sqe except for its cid and SGL (nvme_sgl_encode()).
 */
#ifndef NVME_NVME_COMMAND_H
#define NVME_NVME_COMMAND_H

#include "nvme/nvme_layout.h"
#include "nvme/nvmf_layout.h"

#include <stdbool.h>

/* Where a command's data is. */
enum nvme_data_place {
	NVME_DATA_PLACE_NONE,
	NVME_DATA_PLACE_CAPSULE,   /* @offset bytes behind the SQE */
	NVME_DATA_PLACE_TRANSPORT, /* R2T and H2CData, or C2HData */
};

struct nvme_data {
	enum nvme_data_place place;
	uint32_t length;
	uint32_t offset;
};

/**
 * nvme_sgl_decode - which data the SQE speaks of
 * @capsule_bytes: in-capsule data that arrived with it; must equal a capsule SGL's length, and
 *	be 0 for any other. An SQE with length 0 has no data.
 * Return: SUCCESS; INVALID_FIELD (not an SGL), SGL_TYPE_INVALID, SGL_OFFSET_INVALID,
 * SGL_DATA_LENGTH_INVALID.
 */
enum nvme_status nvme_sgl_decode(const struct nvme_sqe *sqe, uint32_t capsule_bytes,
				 struct nvme_data *ret_data) __attribute__((warn_unused_result));
/** Fills @sqe->sgl and the PSDT bits. NONE: zero-length transport SGL. */
void nvme_sgl_encode(struct nvme_sqe *sqe, const struct nvme_data *data);

/* Which way @opcode moves data; @is_admin only matters to Fabrics' caller: use the opcode bits,
 * and for Fabrics commands those of the command type. */
static inline enum nvme_data_direction nvme_data_direction(const struct nvme_sqe *sqe)
{
	const struct nvmf_command *fabrics = (const struct nvmf_command *)sqe;

	return (enum nvme_data_direction)(
		(sqe->opcode == NVMF_OPCODE ? fabrics->type : sqe->opcode) & 3);
}

/* Read, write, compare, write zeroes, verify. */
struct nvme_rw {
	uint64_t first_block;
	uint32_t block_count; /* 1..65536 */
	bool is_fua;
	bool is_deallocate;	     /* write zeroes: blocks may be deallocated */
	bool is_unwritten_fail;	     /* read, between engines */
	bool is_unwritten_self_fail; /* read, between engines */
};
/**
 * nvme_rw_decode - fields of a block command, against the namespace size
 * Return: SUCCESS, LBA_OUT_OF_RANGE, PROTECTION_INVALID (PRINFO is not supported).
 */
enum nvme_status nvme_rw_decode(const struct nvme_sqe *sqe, uint64_t namespace_block_count,
				struct nvme_rw *ret_rw) __attribute__((warn_unused_result));
void nvme_rw_encode(struct nvme_sqe *ret_sqe, enum nvme_opcode opcode, uint32_t nsid,
		    const struct nvme_rw *rw);
void nvme_flush_encode(struct nvme_sqe *ret_sqe, uint32_t nsid);

struct nvme_dsm {
	uint32_t range_count; /* 1..256 */
	bool is_deallocate;
};
struct nvme_dsm nvme_dsm_decode(const struct nvme_sqe *sqe);
void nvme_dsm_encode(struct nvme_sqe *ret_sqe, uint32_t nsid, const struct nvme_dsm *dsm);
/**
 * nvme_dsm_range_decode - one entry of its data
 * @ret_rw: first_block and block_count, which may be 0 here and is up to 2^32 - 1.
 * Return: SUCCESS or LBA_OUT_OF_RANGE.
 */
enum nvme_status nvme_dsm_range_decode(const struct nvme_dsm_range *range,
				       uint64_t namespace_block_count, struct nvme_rw *ret_rw)
	__attribute__((warn_unused_result));

/* Reservation register, acquire, release (their data included) and report. */
struct nvme_reservation {
	enum nvme_opcode opcode;	 /* NVME_RESERVATION_... */
	uint8_t action;			 /* enum nvme_reservation_register, _acquire or _release */
	bool is_ignoring_key;		 /* IEKEY */
	enum nvme_reservation_type type; /* acquire, release */
	enum nvme_reservation_persist persist; /* register */
	uint64_t current_key;
	uint64_t other_key;    /* register: the new key; acquire: the key to preempt */
	bool is_extended;      /* report */
	uint32_t report_bytes; /* report: how much the host wants */
};
/**
 * nvme_reservation_decode - command and data
 * @data: as many bytes as nvme_reservation_data_bytes() says; may be NULL for report.
 * Return: SUCCESS; INVALID_FIELD for an undefined action, type or persist value.
 */
enum nvme_status nvme_reservation_decode(const struct nvme_sqe *sqe, const uint8_t *data,
					 struct nvme_reservation *ret_reservation)
	__attribute__((warn_unused_result));
/** 16 for register and acquire, 8 for release, 0 for others. */
uint32_t nvme_reservation_data_bytes(uint8_t opcode);
/** Fills SQE and @ret_data (16 bytes). */
void nvme_reservation_encode(struct nvme_sqe *ret_sqe, uint32_t nsid,
			     const struct nvme_reservation *reservation, uint8_t ret_data[16]);

/* Get log page (NVMe base 2.0, section 5.16). */
struct nvme_get_log {
	uint8_t page;	       /* enum nvme_log_page */
	uint8_t specific;      /* LSP: 7 bits */
	bool is_retaining;     /* RAE */
	uint64_t offset_bytes; /* LPOL, LPOU; multiple of 4 */
	uint64_t length_bytes; /* (NUMD + 1) * 4 */
};
/** Return: SUCCESS; INVALID_FIELD for an index offset or one that is no multiple of 4. */
enum nvme_status nvme_get_log_decode(const struct nvme_sqe *sqe, struct nvme_get_log *ret_log)
	__attribute__((warn_unused_result));
void nvme_get_log_encode(struct nvme_sqe *ret_sqe, uint32_t nsid, const struct nvme_get_log *log);

struct nvme_identify {
	enum nvme_cns cns; /* may be a value without a name */
	uint16_t cntlid;
	uint32_t nsid;
	uint8_t command_set;
};
struct nvme_identify nvme_identify_decode(const struct nvme_sqe *sqe);
void nvme_identify_encode(struct nvme_sqe *ret_sqe, const struct nvme_identify *identify);

/* Connect, checked (NVMe base 2.0, section 6.3). */
struct nvmf_connect {
	uint16_t qid;
	uint32_t queue_entries; /* SQSIZE + 1: 2..65536 */
	bool is_without_flow_control;
	bool is_sole; /* it ends what other associations the host has with the subsystem */
	uint32_t kato_ms;
	uint16_t cntlid;
	uint8_t host_id[16];
	char subnqn[NVMF_NQN_FIELD_BYTES]; /* NUL-terminated, valid NQN */
	char hostnqn[NVMF_NQN_FIELD_BYTES];
};
/**
 * nvmf_connect_decode - command and its 1024 bytes of data
 * @ret_result: CDW0 for the completion when the status is CONNECT_INVALID_PARAMETERS.
 * Return: 0 (SUCCESS) or an enum nvmf_status.
 */
uint16_t nvmf_connect_decode(const struct nvme_sqe *sqe, const uint8_t data[1024],
			     struct nvmf_connect *ret_connect, uint32_t *ret_result)
	__attribute__((warn_unused_result));
void nvmf_connect_encode(struct nvme_sqe *ret_sqe, const struct nvmf_connect *connect,
			 struct nvmf_connect_data *ret_data);

struct nvmf_property_access {
	bool is_eight_bytes;
	uint32_t offset; /* enum nvmf_property or another */
	uint64_t value;	 /* Set only */
};
/** Return: SUCCESS; INVALID_FIELD for a size that is not defined. */
enum nvme_status nvmf_property_decode(const struct nvme_sqe *sqe,
				      struct nvmf_property_access *ret_access)
	__attribute__((warn_unused_result));
void nvmf_property_get_encode(struct nvme_sqe *ret_sqe, const struct nvmf_property_access *access);
void nvmf_property_set_encode(struct nvme_sqe *ret_sqe, const struct nvmf_property_access *access);

/**
 * nvme_nqn_is_valid - 1..223 bytes of UTF-8 that begin with "nqn." (NVMe base 2.0, section 4.5)
 * @size_bytes: how many bytes @text may have; a NUL must be among them.
 */
bool nvme_nqn_is_valid(const char *text, size_t size_bytes);

/** "invalid field" and the like, Connect meanings where codes overlap; NULL: no name here. */
const char *nvme_status_text(uint16_t status);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* slot_impl.h - a command in flight, and an I/O as a series of them. Private to initiator/.
 *
 * Slots are made with their queue pair and used again and again; nothing is allocated for an I/O.
 */
#ifndef INITIATOR_SLOT_IMPL_H
#define INITIATOR_SLOT_IMPL_H

#include "initiator/initiator.h"
#include "nvme/nvme_tcp_pdu.h"

#define R2T_COUNT_MAX	 4	/* per command: our MAXR2T */
#define PDU_HEAD_BYTES	 128	/* header, digest, padding: at most */
#define SMALL_DATA_BYTES 16	/* data that a slot carries itself: one DSM range */
#define NVME_BLOCKS_MAX	 65536u /* of one block command: NLB has 16 bits */
#define SLOT_BITS	 10	/* of a cid; the rest is the generation */

STATIC_ASSERT(INITIATOR_QUEUE_DEPTH_MAX < 1 << SLOT_BITS);
STATIC_ASSERT(PDU_HEAD_BYTES >= sizeof(struct nvme_tcp_capsule_command) + NVME_TCP_DIGEST_BYTES);
STATIC_ASSERT(PDU_HEAD_BYTES >= NVME_TCP_ALIGNMENT_MAX);

/* A place in a list of iovecs. */
struct iov_cursor {
	const struct iovec *iov;
	size_t offset_bytes; /* within *iov */
};

/* In bdev_io.driver: an I/O, cut into commands that the controller takes. */
struct io_request {
	struct initiator_command command; /* its place in the line of waiting ones; io is set */
	uint64_t next_block;
	uint64_t left_blocks;
	struct iov_cursor cursor; /* of next_block */
	uint32_t commands_out;
	enum io_status first_failure;
	bool is_restarting; /* lost with its connection: begins anew when commands_out is 0 */
};
STATIC_ASSERT(sizeof(struct io_request) <= BDEV_IO_DRIVER_BYTES);

enum slot_state {
	SLOT_FREE,
	SLOT_ACTIVE,   /* waits for its response */
	SLOT_ANSWERED, /* responded, but still being sent from */
};

struct r2t {
	uint16_t tag;
	uint32_t offset;
	uint32_t left_bytes;
};

struct queue_slot {
	enum slot_state state;
	uint16_t cid;
	struct initiator_command *command; /* whose; of an I/O: io_request.command */
	/* data */
	enum nvme_data_direction direction;
	bool is_in_capsule;
	uint32_t data_bytes;
	uint32_t received_bytes;  /* C2HData so far */
	uint32_t requested_bytes; /* R2Ts so far */
	struct iov_cursor cursor; /* next byte to receive or send */
	struct iovec small_iov;
	uint8_t small_data[SMALL_DATA_BYTES];
	/* sending */
	struct list_node link; /* send.ready or send.in_batch */
	bool is_in_batch;
	bool is_capsule_begun;
	struct r2t r2ts[R2T_COUNT_MAX]; /* first r2t_count, oldest first */
	uint32_t r2t_count;
	uint8_t head[PDU_HEAD_BYTES];
	struct le32 data_digest;
	/* outcome */
	bool is_digest_wrong;
	struct nvme_cqe cqe;
	/* time */
	uint64_t deadline_ns;
	bool is_timed_out; /* once: an abort was asked for */
};

/* slots.c */

/** Copies into what the cursor points at; moves on. */
void cursor_copy_in(struct iov_cursor *cursor, const uint8_t *bytes, size_t size_bytes);
/** The next contiguous run, at most @size_bytes; moves on. */
struct iovec cursor_run(struct iov_cursor *cursor, size_t size_bytes);
void cursor_skip(struct iov_cursor *cursor, size_t size_bytes);

#endif

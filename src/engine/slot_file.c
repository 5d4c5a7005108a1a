/* SPDX-License-Identifier: Apache-2.0 */
/* slot_file.c - two slots, each with sequence, length and checksum; the higher valid one counts.
 *
 * A slot, little-endian:
 *
 *	offset	bytes
 *	0	8	magic "MAYSLOT1"
 *	8	8	sequence, from 1
 *	16	4	length of the content
 *	20	4	CRC-32C over bytes 8..19 and the content
 *	24	..	content, then zeroes to SLOT_BYTES
 *
 * Valid when: 1. the magic is right, 2. sequence > 0, 3. length <= SLOT_CONTENT_BYTES_MAX, 4. the
 * checksum matches. Slot i begins at i * SLOT_BYTES. A crash during a store leaves the slot being
 * written invalid or complete; the other one is not touched.
 *
 * A store writes the older slot, flushes it, and then writes the same text to the other one, before
 * it is answered. So one slot that is damaged later never brings an older text back. A file with an
 * untouched (zero) slot and no valid one was never answered for: nothing was stored. The same holds
 * for an empty file. Any other file without a valid slot, or a shorter one, is damaged: that is an
 * error, never "nothing".
 *
 * Invariants:
 *  1. The slot with the highest valid sequence is never the one that is written, until the other
 *     one is valid, newer and durable.
 *  2. A store is answered with 0 only after both slots were flushed.
 */
#include "engine/slot_file.h"

#include "base/crc32c.h"
#include "base/le.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

static const char slot_magic[8] = {'M', 'A', 'Y', 'S', 'L', 'O', 'T', '1'};

enum slot_file_step {
	SLOT_FILE_OPEN,
	SLOT_FILE_READ,	 /* both slots */
	SLOT_FILE_JUDGE, /* which one counts? */
	SLOT_FILE_WRITE, /* store: the other one */
	SLOT_FILE_FLUSH,
	SLOT_FILE_TWIN, /* the same text to the other slot */
	SLOT_FILE_CLOSE,
};

static uint32_t slot_checksum(const uint8_t *slot, uint32_t content_bytes)
{
	uint32_t crc = crc32c_update(CRC32C_INIT, slot + 8, 12);

	return crc32c_finish(crc32c_update(crc, slot + SLOT_HEADER_BYTES, content_bytes));
}

bool slot_decode(const uint8_t *slot, struct slot_view *ret_view)
{
	struct le64 sequence;
	struct le32 length;
	struct le32 crc;

	ASSERT(slot != NULL && ret_view != NULL);
	memcpy(&sequence, slot + 8, sizeof(sequence));
	memcpy(&length, slot + 16, sizeof(length));
	memcpy(&crc, slot + 20, sizeof(crc));
	if (memcmp(slot, slot_magic, sizeof(slot_magic)) != 0 || le64_load(sequence) == 0)
		return false;
	if (le32_load(length) > SLOT_CONTENT_BYTES_MAX)
		return false;
	if (slot_checksum(slot, le32_load(length)) != le32_load(crc))
		return false;
	ret_view->sequence = le64_load(sequence);
	ret_view->content = slot + SLOT_HEADER_BYTES;
	ret_view->content_bytes = le32_load(length);
	return true;
}

static void slot_encode(uint8_t *slot, uint64_t sequence, const void *content, uint32_t size)
{
	struct le64 sequence_field = le64_store(sequence);
	struct le32 length = le32_store(size);
	struct le32 crc;

	ASSERT(size <= SLOT_CONTENT_BYTES_MAX && sequence > 0);
	memset(slot, 0, SLOT_BYTES);
	memcpy(slot, slot_magic, sizeof(slot_magic));
	memcpy(slot + 8, &sequence_field, sizeof(sequence_field));
	memcpy(slot + 16, &length, sizeof(length));
	memcpy(slot + SLOT_HEADER_BYTES, content, size);
	crc = le32_store(slot_checksum(slot, size));
	memcpy(slot + 20, &crc, sizeof(crc));
}

static int slot_file_open(struct slot_file_io *io)
{
	uint32_t flags = OS_DISK_BUFFERED | (io->is_store ? OS_DISK_CREATE : OS_DISK_READ_ONLY);
	struct os_disk_info info;
	int rc;

	io->slots = memory_alloc_pages(2 * SLOT_BYTES);
	if (io->slots == NULL)
		return -ENOMEM;
	rc = os_disk_open(reactor_os(io->reactor), io->path, flags, &io->disk);
	if (rc == 0)
		rc = os_disk_info(io->disk, &info);
	if (rc != 0)
		return rc;
	if (info.size_bytes == 0)
		return io->is_store ? os_disk_grow(io->disk, 2 * SLOT_BYTES) : -ENOENT;
	/* It was made with its full size, before anything was written. */
	return info.size_bytes < 2 * SLOT_BYTES ? -EBADMSG : 0;
}

static void disk_submit(struct slot_file_io *io, enum os_disk_op operation, int slot, size_t size)
{
	io->iov = (struct iovec){io->slots + slot * SLOT_BYTES, size};
	io->disk_io = (struct os_disk_io){
		.parent = &io->op,
		.disk = io->disk,
		.operation = operation,
		.is_durable = operation == OS_DISK_WRITE,
		.offset_bytes = (uint64_t)slot * SLOT_BYTES,
		.size_bytes = size,
		.iov = &io->iov,
		.iov_count = 1,
	};
	op_wait(&io->op);
	os_disk_submit(reactor_ring(io->reactor), &io->disk_io);
}

static bool slot_is_untouched(const uint8_t *slot)
{
	return slot[0] == 0 && memcmp(slot, slot + 1, SLOT_BYTES - 1) == 0;
}

/* Finds the newest valid slot; a load takes its content, a store prepares the other slot. */
static void slot_file_judge(struct slot_file_io *io)
{
	bool is_fresh = slot_is_untouched(io->slots) || slot_is_untouched(io->slots + SLOT_BYTES);
	struct slot_view view;
	struct slot_view newest = {0};
	int newest_index = 1;

	for (int i = 0; i < 2; i++) {
		if (!slot_decode(io->slots + i * SLOT_BYTES, &view))
			continue;
		if (view.sequence > newest.sequence) {
			newest = view;
			newest_index = i;
		}
	}
	if (newest.sequence == 0 && !is_fresh) {
		io->result = -EBADMSG;
		return;
	}
	io->slot_index = 1 - newest_index;
	io->sequence = newest.sequence + 1;
	io->has_twin = false;
	if (io->is_store) {
		slot_encode(io->slots + io->slot_index * SLOT_BYTES, io->sequence, io->content,
			    (uint32_t)io->content_bytes);
		return;
	}
	if (newest.sequence == 0) {
		io->result = -ENOENT;
		return;
	}
	memcpy(io->content, newest.content, newest.content_bytes);
	io->content_bytes = newest.content_bytes;
	io->content[newest.content_bytes] = '\0';
}

/* The slot is durable: the same text goes to the other slot, once. */
static enum slot_file_step slot_file_twin(struct slot_file_io *io)
{
	if (io->has_twin)
		return SLOT_FILE_CLOSE;
	io->has_twin = true;
	io->slot_index = 1 - io->slot_index;
	slot_encode(io->slots + io->slot_index * SLOT_BYTES, io->sequence + 1, io->content,
		    (uint32_t)io->content_bytes);
	return SLOT_FILE_WRITE;
}

static void slot_file_close(struct slot_file_io *io)
{
	os_disk_close(io->disk);
	memory_free_pages(io->slots, 2 * SLOT_BYTES);
	io->disk = NULL;
	io->slots = NULL;
	op_done(io->parent);
}

static void slot_file_run(struct op *op)
{
	struct slot_file_io *io = container_of(op, struct slot_file_io, op);

	for (;;) {
		switch ((enum slot_file_step)io->step) {
		case SLOT_FILE_OPEN:
			io->result = slot_file_open(io);
			io->step = io->result == 0 ? SLOT_FILE_READ : SLOT_FILE_CLOSE;
			break;
		case SLOT_FILE_READ:
			io->step = SLOT_FILE_JUDGE;
			disk_submit(io, OS_DISK_READ, 0, (size_t)2 * SLOT_BYTES);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case SLOT_FILE_JUDGE:
			io->result = io->disk_io.result;
			if (io->result == 0)
				slot_file_judge(io);
			io->step =
				io->result == 0 && io->is_store ? SLOT_FILE_WRITE : SLOT_FILE_CLOSE;
			break;
		case SLOT_FILE_WRITE:
			io->step = SLOT_FILE_FLUSH;
			disk_submit(io, OS_DISK_WRITE, io->slot_index, SLOT_BYTES);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case SLOT_FILE_FLUSH:
			io->result = io->disk_io.result;
			io->step = io->result == 0 ? SLOT_FILE_TWIN : SLOT_FILE_CLOSE;
			if (io->result != 0)
				break;
			disk_submit(io, OS_DISK_FLUSH, 0, 0);
			if (op_join(op) == OP_WAIT)
				return;
			break;
		case SLOT_FILE_TWIN:
			io->result = io->disk_io.result;
			io->step = io->result == 0 ? slot_file_twin(io) : SLOT_FILE_CLOSE;
			break;
		case SLOT_FILE_CLOSE:
			slot_file_close(io);
			return;
		}
	}
}

static void slot_file_start(struct slot_file_io *io, bool is_store)
{
	ASSERT(io->reactor != NULL && io->parent != NULL);
	ASSERT(!is_store || io->content_bytes <= SLOT_CONTENT_BYTES_MAX);
	io->is_store = is_store;
	io->step = SLOT_FILE_OPEN;
	io->disk = NULL;
	io->slots = NULL;
	op_init(&io->op, reactor_ready(io->reactor), slot_file_run);
	op_start(&io->op);
}

void slot_file_load_submit(struct slot_file_io *io)
{
	slot_file_start(io, false);
}

void slot_file_store_submit(struct slot_file_io *io)
{
	slot_file_start(io, true);
}

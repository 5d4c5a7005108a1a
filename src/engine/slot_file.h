/* SPDX-License-Identifier: Apache-2.0 */
/* slot_file.h - a small text that is replaced atomically and durably, in a file of two slots.
 *
 * A store writes the slot that holds the older text and makes it durable before it touches the
 * other one, so a crash at any point leaves the old text or the new one.
 *
 * One operation a path at a time. Context: the thread of @reactor.
 */
#ifndef ENGINE_SLOT_FILE_H
#define ENGINE_SLOT_FILE_H

#include "os/os_disk.h"
#include "reactor/reactor.h"

#define SLOT_BYTES	       8192
#define SLOT_HEADER_BYTES      24
#define SLOT_CONTENT_BYTES_MAX (SLOT_BYTES - SLOT_HEADER_BYTES)

struct slot_file_io {
	struct op *parent; /* gets one op_done() */
	struct reactor *reactor;
	char path[512];
	char content[SLOT_CONTENT_BYTES_MAX + 1]; /* load: ends with NUL */
	size_t content_bytes;
	int result; /* 0 (store: durable); load: -ENOENT when nothing valid was ever stored; -errno
		     */
	/* private */
	struct op op;
	int step;
	bool is_store;
	struct os_disk *disk;
	struct os_disk_io disk_io;
	struct iovec iov;
	uint8_t *slots; /* both, page-aligned */
	uint64_t sequence;
	int slot_index;
	bool has_twin; /* the second slot is being written */
};

/** op_wait(io->parent) before both. */
void slot_file_load_submit(struct slot_file_io *io);
void slot_file_store_submit(struct slot_file_io *io);

struct slot_view {
	uint64_t sequence;
	const uint8_t *content;
	uint32_t content_bytes;
};

/** slot_decode - checks one slot of SLOT_BYTES; anything may be in it. Return: false if invalid. */
bool slot_decode(const uint8_t *slot, struct slot_view *ret_view);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* os_disk.h - files and block devices: asynchronous, direct where the file system permits.
 *
 * A disk is opened once and may be used from any ring of its process. Offsets, sizes and memory
 * are multiples of the logical block size that os_disk_info() tells.
 */
#ifndef OS_OS_DISK_H
#define OS_OS_DISK_H

#include "base/op.h"
#include "os/os_ring.h"

#include <sys/uio.h>

struct os_disk;

enum os_disk_flag {
	OS_DISK_CREATE = 1 << 0, /* make the file when it is missing; needs no size */
	OS_DISK_READ_ONLY = 1 << 1,
	OS_DISK_EXCLUSIVE = 1 << 2, /* refuse (-EBUSY) when somebody else holds it so */
	OS_DISK_BUFFERED = 1 << 3,  /* through the page cache: small record files */
};

struct os_disk_info {
	uint64_t size_bytes;
	uint32_t logical_block_bytes; /* 512 or 4096 */
	uint32_t physical_block_bytes;
	bool is_block_device;
	bool is_direct;		 /* bypasses the page cache */
	bool has_volatile_cache; /* a flush is needed for durability; true when unknown */
	bool can_discard;
	bool can_write_zeroes;
};

enum os_disk_op {
	OS_DISK_READ,
	OS_DISK_WRITE,
	OS_DISK_FLUSH, /* all completed writes are durable afterwards */
	/* The next two: -EOPNOTSUPP where os_disk_info() says that it cannot. */
	OS_DISK_DISCARD,      /* content is unspecified or zero afterwards */
	OS_DISK_WRITE_ZEROES, /* content is zero afterwards; a file grows when needed */
};

struct os_disk_io {
	struct op *parent; /* gets one op_done() */
	struct os_disk *disk;
	enum os_disk_op operation;
	bool is_durable; /* WRITE: durable when done (FUA) */
	uint64_t offset_bytes;
	uint64_t size_bytes;	 /* READ, WRITE: sum of the iovecs */
	const struct iovec *iov; /* READ, WRITE: must stay valid until done */
	uint32_t iov_count;
	int result; /* 0 or -errno; a short transfer is continued, at end of file it is -EIO */
	/* private to the implementation */
	struct list_node link;
	uint64_t private_words[10];
};

/**
 * os_disk_open - open @path
 * @flags: of enum os_disk_flag.
 * Return: 0; -ENOENT, -EACCES, -EBUSY ..., -ENOTBLK when it is neither a file nor a block device,
 * -EMEDIUMTYPE when its logical blocks are neither 512 nor 4096 bytes.
 */
int os_disk_open(struct os *os, const char *path, uint32_t flags, struct os_disk **ret_disk)
	__attribute__((warn_unused_result));

/** Nothing may be in flight. NULL is allowed. */
void os_disk_close(struct os_disk *disk);

/** Asks the system anew for the size. Does not block for long. */
int os_disk_info(struct os_disk *disk, struct os_disk_info *ret_info)
	__attribute__((warn_unused_result));

/**
 * os_disk_grow - make a regular file at least @size_bytes long (sparse)
 * Blocks: management only. Return: 0; -ENOTSUP when a block device is smaller; -ENOSPC ...
 */
int os_disk_grow(struct os_disk *disk, uint64_t size_bytes) __attribute__((warn_unused_result));

/**
 * os_disk_submit - start @io
 * Never fails and never calls back: the outcome is in @io->result when @io->parent gets its
 * op_done(). Context: the ring's thread.
 */
void os_disk_submit(struct os_ring *ring, struct os_disk_io *io);

#endif

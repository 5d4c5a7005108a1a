/* SPDX-License-Identifier: Apache-2.0 */
/* bdev.h - the waist: whatever has blocks provides a bdev, whatever needs blocks consumes one.
 *
 * A bdev is made and destroyed on the main reactor (through bdev_registry.h or by its provider).
 * I/O goes through a channel, one per user and reactor; a channel is used by its reactor alone.
 * Every submission passes one gate (bdev_submit), which asserts what callers must guarantee,
 * counts, and hands it to the driver, so drivers check none of it again.
 *
 * Invariants:
 *  1. bdev_submit() neither fails nor calls back; the io's parent gets exactly one op_done(),
 *     perhaps already before bdev_submit() returns.
 *  2. An io's memory and its buffers belong to the driver from submit to op_done(), not longer.
 *  3. A bdev is destroyed only when it is unused: no channel is open, nobody has claimed it, and
 *     no reference to it (bdev_registry.h) is held.
 *  4. Once it was announced as removed, no channel can be opened and every submission is answered
 *     IO_DEVICE_GONE without reaching the driver.
 *
 * Latencies are measured with the reactor's clock, which is read once a turn.
 */
#ifndef BLOCK_BDEV_H
#define BLOCK_BDEV_H

#include "base/limits.h"
#include "base/op.h"
#include "base/uuid.h"
#include "block/block_range.h"
#include "block/io_status.h"
#include "reactor/reactor.h"

#include <sys/uio.h>

struct bdev;
struct bdev_channel;

enum io_type {
	IO_READ,
	IO_WRITE,
	IO_FLUSH, /* all writes answered before are durable afterwards; range is ignored */
	IO_UNMAP, /* blocks read as zeroes afterwards where bdev->reads_zero_after_unmap */
	IO_WRITE_ZEROES,
	IO_COMPARE, /* IO_COMPARE_FAILED when the blocks differ from the iovecs */
};
#define IO_TYPE_COUNT 6

#define BDEV_IO_DRIVER_BYTES 320

struct bdev_io {
	struct op *parent; /* gets one op_done() */
	enum io_type type;
	bool is_fua; /* IO_WRITE, IO_WRITE_ZEROES: durable when done */
	struct block_range range;
	const struct iovec *iov; /* READ, WRITE, COMPARE: total = range.count blocks */
	uint32_t iov_count;
	enum io_status status; /* when done */
	/* private to the gate and the driver */
	struct bdev_channel *channel;
	uint64_t submitted_ns;
	struct list_node link;
	_Alignas(16) uint8_t driver[BDEV_IO_DRIVER_BYTES];
};

struct bdev_ops {
	const char *product_name; /* shown in listings */
	/** Prepares @channel->driver. Context: channel's reactor. Return: 0 or -errno. */
	int (*channel_open)(struct bdev_channel *channel);
	/** Nothing is in flight on it. Context: channel's reactor. */
	void (*channel_close)(struct bdev_channel *channel);
	/** Ends in exactly one bdev_io_done(). Context: channel's reactor. */
	void (*submit)(struct bdev_channel *channel, struct bdev_io *io);
	/**
	 * Frees the bdev; op_done(@parent) when it is gone. No channel is open.
	 * Context: main reactor.
	 */
	void (*destroy)(struct bdev *bdev, struct op *parent);
};

enum bdev_event {
	BDEV_REMOVED, /* the device behind it is gone for good: close your channels */
	BDEV_RESIZED, /* block_count has changed */
	/*
	 * The connection to it was lost. If it has a volatile cache, what it answered and did not
	 * flush since may be lost, too. Comes before any I/O over a new connection, on any reactor
	 * that main has sent a message to from the listener.
	 */
	BDEV_INTERRUPTED,
};

/* Embed to hear about a bdev. Context of event(): main reactor. */
struct bdev_listener {
	void (*event)(struct bdev_listener *listener, struct bdev *bdev, enum bdev_event event);
	struct list_node link; /* private */
};

struct bdev_io_stats {
	uint64_t operations;
	uint64_t bytes;
	uint64_t failures;
	uint64_t latency_ns_total;
	uint64_t latency_ns_min; /* 0 while operations is 0 */
	uint64_t latency_ns_max;
};

struct bdev_stats {
	struct bdev_io_stats of[IO_TYPE_COUNT];
};

/* Embedded in the driver's struct; filled by the driver, then bdev_init(). */
struct bdev {
	char name[NAME_BYTES_MAX];
	struct uuid uuid;
	/*
	 * Which life of its cache it is: as long as this stays the same, everything the device has
	 * answered is in its cache or on its medium. Nil: unknown. Of a device that is not local it
	 * changes with a new connection, on main, which alone may read it then.
	 */
	struct uuid cache_id;
	const struct bdev_ops *ops;
	struct reactor *main; /* management of this bdev happens here */
	struct reactor *home; /* the only reactor that may open channels; NULL: any */
	uint32_t block_bytes; /* 512 or 4096 */
	uint32_t physical_block_bytes;
	_Atomic uint64_t block_count; /* grows on main while home reactors read it */
	uint32_t memory_alignment;    /* iovec bases and lengths need it, a power of two; 1: none */
	bool can_unmap;
	bool can_write_zeroes; /* natively; else the gate's callers write zeroes */
	bool can_compare;      /* natively and atomically */
	bool reads_zero_after_unmap;
	bool has_volatile_cache; /* flush is needed for durability */
	bool is_local;		 /* on this node: preferred for reads */
	bool waits_for_engines;	 /* its I/O may wait for buffers of other engines: a front user of
				  * buffers, see buffer_pool.h */
	char uri[URI_TEXT_BYTES_SHOWN]; /* as created; "" when not by URI */
	/* private to block/ */
	char claimed_by[NAME_BYTES_MAX]; /* "" when unclaimed */
	_Atomic uint32_t channel_count;	 /* and a flag: read it with bdev_channel_count() */
	_Atomic bool is_removed;
	uint32_t reference_count;
	struct op *unused_waiter;
	bool is_unused_message_due;
	struct reactor_message unused_message;
	struct list_node listeners;
	struct list_node channels; /* guarded by the lock below: management and statistics only */
	struct list_node registry_link;
	struct bdev_stats closed_stats; /* of channels closed since */
	_Atomic uint32_t lock;
	uint64_t lock_count; /* how often it was taken */
};

struct bdev_channel {
	struct bdev *bdev;
	struct reactor *reactor;
	void *driver; /* the driver's own state of this channel */
	uint32_t inflight;
	struct bdev_stats stats; /* written by the owner, read with tearing by statistics */
	struct list_node link;	 /* private */
};

/** Completes the set-up of an embedded bdev (private fields). */
void bdev_init(struct bdev *bdev);

/**
 * bdev_channel_open - a way to do I/O on @bdev from @reactor
 * Context: @reactor's thread. Return: 0; -EXDEV when bdev->home is another reactor, -ENODEV when
 * it was removed, -ENOMEM, or the driver's error.
 */
int bdev_channel_open(struct bdev *bdev, struct reactor *reactor, struct bdev_channel **ret_channel)
	__attribute__((warn_unused_result));

/** Nothing may be in flight. Context: channel's reactor. NULL is allowed. */
void bdev_channel_close(struct bdev_channel *channel);

/**
 * bdev_submit - the gate
 * The caller guarantees: range within the bdev (FLUSH: any), iovecs that add up and are aligned,
 * a type that the bdev can do. Context: channel's reactor.
 */
void bdev_submit(struct bdev_channel *channel, struct bdev_io *io);

/** For drivers: sets the status, counts, op_done(io->parent). Context: channel's reactor. */
void bdev_io_done(struct bdev_io *io, enum io_status status);

/** Channels open now, on all reactors. Context: any thread. */
uint32_t bdev_channel_count(const struct bdev *bdev);

/** True once BDEV_REMOVED was announced. Context: any thread. */
bool bdev_is_removed(const struct bdev *bdev);

/**
 * bdev_claim - make @owner the only one that may use @bdev
 * Claiming again by the same owner changes nothing. Opening a channel needs no claim: that owners
 * respect each other's is up to them.
 * Return: 0, or -EBUSY when somebody else has it. Context: main reactor.
 */
int bdev_claim(struct bdev *bdev, const char *owner) __attribute__((warn_unused_result));
void bdev_unclaim(struct bdev *bdev);

/**
 * bdev_ref - hold @bdev as a bdev:/// URI does (bdev_registry.h)
 * Until bdev_unref() it is not destroyed; its device may still go away (BDEV_REMOVED).
 * Context: main reactor.
 */
void bdev_ref(struct bdev *bdev);
void bdev_unref(struct bdev *bdev);

/**
 * bdev_wait_unused - wait until nothing uses @bdev any more
 * For providers: after bdev_registry_remove() and bdev_notify(BDEV_REMOVED) its users close their
 * channels, drop claims and references; then op_done(@parent) comes and the memory is the
 * provider's alone. One waiter at a time. Call op_wait(@parent) before. Context: main reactor.
 */
void bdev_wait_unused(struct bdev *bdev, struct op *parent);

/** Context: main reactor. */
void bdev_listen(struct bdev *bdev, struct bdev_listener *listener);
void bdev_unlisten(struct bdev_listener *listener); /* fine when it listens no more */

/** For drivers: tells the listeners; removal is announced once. Context: main reactor. */
void bdev_notify(struct bdev *bdev, enum bdev_event event);

/** For drivers: the device has grown. Sets the size, tells the listeners. Context: main reactor. */
void bdev_grow(struct bdev *bdev, uint64_t block_count);

/** Sum over open and closed channels. Context: any thread. */
void bdev_stats(struct bdev *bdev, struct bdev_stats *ret_stats);
/** How often its lock was taken, by management and statistics: I/O adds nothing. Any thread. */
uint64_t bdev_lock_count(const struct bdev *bdev);

static inline uint64_t bdev_size_bytes(const struct bdev *bdev)
{
	return bdev->block_count * bdev->block_bytes;
}

#endif

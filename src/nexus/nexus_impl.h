/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_impl.h - what the files of this folder share.
 *
 * Two owners. Fields marked (main) belong to the main reactor, (home) to the home reactor; those
 * marked (both) are changed by the one while a request has the other's attention, so that the
 * request's messages order the accesses. Nothing is locked.
 *
 * The phases of a child and what moves it:
 *
 *	EMPTY    -> STALE     nexus_child_open(): added, or brought online again
 *	EMPTY    -> IN_SYNC   nexus_child_open(): at creation, recorded healthy
 *	STALE    -> SYNCING   nexus_rebuild_begin(): no write is in flight at that moment
 *	SYNCING  -> IN_SYNC   membership_settle(): rebuilt, flushed and recorded healthy
 *	SYNCING  -> STALE     the rebuild was stopped
 *	SYNCING  -> FAULTED   nexus_child_fault(): a write missed it, or the rebuild failed
 *	IN_SYNC  -> LOSING    nexus_child_fault(): a write missed it; its loss is being recorded
 *	LOSING   -> FAULTED   membership_settle(): the loss is durable
 *	any      -> EMPTY     removed
 */
#ifndef NEXUS_NEXUS_IMPL_H
#define NEXUS_NEXUS_IMPL_H

#include "base/bitmap.h"
#include "base/slab.h"
#include "block/range_lock.h"
#include "nexus/nexus.h"

enum child_phase {
	CHILD_EMPTY,
	CHILD_STALE,   /* open; neither read nor written; its map says what it misses */
	CHILD_SYNCING, /* open; written, and being copied to */
	CHILD_IN_SYNC, /* open; written and read */
	CHILD_LOSING,  /* missed something; nothing is answered without it until that is recorded */
	CHILD_FAULTED, /* closed or closing */
};
#define CHILD_PHASE_COUNT 6

#define NO_CHILD UINT32_MAX

/* Segments written since the last flush, where a child has a volatile cache. (home) */
#define RECENT_LOG_MAX 512
struct recent {
	struct bitmap *map;
	uint32_t log_count;
	bool is_log_full;
	uint32_t log[RECENT_LOG_MAX]; /* the bits set, to clear them without a walk */
};

enum record_wait_result { RECORD_WAIT_OK, RECORD_WAIT_EXPIRED, RECORD_WAIT_FENCED };

struct record_waiter {
	struct op *parent; /* gets one op_done() */
	uint64_t change;   /* waits until this change is durable */
	enum record_wait_result result;
	uint64_t deadline_ns;
	struct list_node link;
};

enum record_step {
	RECORD_IDLE,
	RECORD_FLUSH, /* what the record will call healthy, after a loss */
	RECORD_STORE,
	RECORD_JUDGE,
	RECORD_BACKOFF,
};

/* What main says of a record that is to give somebody up. */
enum record_verdict {
	RECORD_GOOD,
	RECORD_EARLY, /* whether those who stay have kept their caches is not known by now */
	RECORD_VOID,  /* they have not; who leaves may be the better one */
};

/* The one writer of the record. (home, but for main_op and io while a store is out) */
struct membership {
	struct op op;
	enum record_step step;
	uint64_t change_last;	  /* changes of what should be recorded */
	uint64_t change_composed; /* in the record that is out */
	uint64_t change_durable;
	uint64_t change_lost; /* the last one that gives a child up; 0: none yet */
	uint64_t sequence;
	bool is_clean_wanted;
	bool is_stopped; /* no more stores are begun */
	struct op *stop_waiter;
	uint64_t backoff_ns;
	uint64_t waits_since_wall_ns;
	struct list_node waiters;   /* arrival order, which is that of deadlines */
	uint64_t flush_deadline_ns; /* 0: nothing is missing */
	struct reactor_timer flush_timer;
	struct reactor_timer backoff_timer;
	struct reactor_timer deadline_timer;
	struct reactor_call call;
	struct op main_op;
	struct nexus_record_io io;
	/* of the record that is out */
	bool is_loss;	  /* gives somebody up */
	uint32_t joining; /* slots that it calls healthy for the first time */
	enum record_verdict verdict;
};

/* Of one child, before a loss of another one is recorded. (home) */
struct child_flush {
	struct op op;
	struct bdev_io io;
	bool is_out;
	uint64_t change;	 /* losses that it covers when it has succeeded */
	uint64_t change_flushed; /* losses that are covered */
	struct op *waiter;	 /* gets one op_done() when none is out */
};

struct nexus_child {
	/* (both) */
	bool is_used; /* the slot has a child */
	char uri[URI_TEXT_BYTES_SHOWN];
	struct uuid uuid;  /* under which it is recorded */
	struct bdev *bdev; /* NULL while closed */
	bool is_claimed;
	bool is_reference;
	struct bdev_listener listener;
	struct nexus *nexus;
	uint32_t slot;
	/* (home) */
	enum child_phase phase;
	enum nexus_child_reason reason;
	bool is_permanent; /* may not come online again */
	bool is_gone;	   /* the last healthy one, but its device is gone */
	bool is_leaving;   /* is not in the next record at all */
	bool is_wanted_healthy;
	bool is_maybe_healthy;	/* a record that says so is, or may be, stored */
	uint64_t lost_change;	/* the change that calls it unhealthy */
	uint64_t joined_change; /* the change that calls it healthy; 0: none */
	uint64_t fault_wall_ns;
	struct bdev_channel *channel;
	uint64_t latency_ns; /* moving average of reads; 0: not yet known */
	struct child_flush flush;
	struct bitmap *stale;
	struct uuid device_uuid; /* that the map is about */
	struct rebuild_job *job;
	struct op job_op; /* woken when the job is over */
	uint32_t job_source;
	bool is_job_restarted;	/* with another source, when the present one has ended */
	bool is_job_paused;	/* ... and then rests again */
	bool is_job_redone;	/* its source may have lost what was copied */
	uint32_t sources_tried; /* that failed without progress since */
	bool is_job_stop_asked; /* it ends for good, whatever its end is */
	struct op *job_stop_waiter;
	_Atomic bool is_removed_sent; /* by main; home has not seen it yet */
	struct reactor_message removed_message;
	struct reactor_message interrupted_message;
	_Atomic bool is_interruption_sent;
	bool was_interrupted; /* since it was opened (main until then, home after) */
	/* home asks main to close it */
	_Atomic bool is_close_sent;
	struct reactor_message close_message;
	/* (main) */
	struct uuid cache_id; /* as recorded last */
	struct nexus_request close_request;
	bool is_close_queued;
	bool is_close_again;
};

/* The two-segment area of a nexus; taken in turns. */
struct area_waiter {
	struct op *parent; /* gets one op_done() */
	struct list_node link;
};

/* Copies a range from one in-sync child to others where they differ. One at a time. */
struct settle {
	struct op op;
	int step;
	struct nexus *nexus;
	struct op *parent;
	struct block_range range;
	uint32_t source_mask; /* candidates, tried in order; the first that can be read is it */
	uint32_t target_mask;
	uint32_t source;	 /* when done */
	uint32_t failed_mask;	 /* when done: could not be made equal to the source */
	struct range_lock *lock; /* @own_lock, or the caller's, granted */
	struct range_lock own_lock;
	uint64_t done_blocks;
	uint32_t target_left; /* of this piece */
	uint32_t target;
	struct area_waiter area;
	struct iovec iov;
	struct bdev_io io;
};

/* One I/O of a host in work. (home) */
struct nexus_io {
	struct op op;
	int step;
	struct nexus *nexus;
	struct bdev_io *io;
	struct range_lock lock;
	bool is_locked;
	uint32_t generation; /* for drains */
	uint32_t asked;
	uint32_t failed;
	uint32_t tried;	  /* reads */
	uint32_t damaged; /* reads: answered with a medium or integrity error */
	uint32_t slot;
	enum io_status status;
	struct record_waiter waiter;
	struct settle settle;
	struct iovec iov;
	struct bdev_io child_io[NEXUS_CHILDREN_MAX];
};

/* Which blocks have writes in work, roughly: tells when two cannot overlap. (home) */
#define OVERLAP_UNIT_BYTES 16384
#define OVERLAP_BUCKETS	   1024
struct overlap {
	uint32_t large_count;
	uint16_t buckets[OVERLAP_BUCKETS];
};

struct drain {
	struct op *parent;   /* gets one op_done() */
	uint32_t generation; /* DRAIN_ALL: every I/O */
	struct list_node link;
};
#define DRAIN_ALL 2

/* What the running request needs, one at a time. */
struct turn {
	uint32_t pauses; /* (home) pauses it holds */
	struct drain drain;
	struct record_waiter waiter;
	bool was_rebuilding[NEXUS_CHILDREN_MAX];
	/* (main) */
	uint32_t opening_count;
	struct opening *openings;
	uint32_t opening_slots[NEXUS_CHILDREN_MAX];
	struct bdev_destroy destroys[NEXUS_CHILDREN_MAX];
	struct nexus_create *create;
	struct block_range data; /* (both) of the volume on its children, as it will be */
	uint32_t in_sync;	 /* (both) slots that begin in sync */
	bool is_skipped;	 /* (both) there is nothing to do */
};

struct opening {
	bool is_existing; /* the device was there before */
	struct bdev_create create;
	struct nexus_fence_io fence;
};

struct history {
	uint32_t count;
	uint32_t next;
	struct nexus_history_entry *entries; /* NEXUS_HISTORY_MAX */
};

struct nexus {
	struct bdev bdev;
	struct nexus_set *set;
	struct list_node link; /* in the set (main) */
	struct reactor *main;
	struct reactor *home;
	struct log *log;
	/* fixed */
	char name[NAME_BYTES_MAX];
	struct uuid uuid;
	char info_key[NAME_BYTES_MAX];
	uint32_t controller_id_min;
	uint32_t controller_id_max;
	struct nexus_fence_options fence;
	uint64_t epoch;
	/* (main) */
	uint64_t size_bytes;
	struct list_node requests; /* the first is running */
	bool is_running;
	bool is_listed;
	bool is_shutdown_out; /* one is in line or running */
	bool is_shut_down;
	struct nexus_request own_request; /* of creation and of bdev_ops.destroy */
	struct op *destroyed;		  /* of bdev_ops.destroy */
	struct turn turn;		  /* (both) */
	/* (both) */
	struct nexus_child children[NEXUS_CHILDREN_MAX];
	uint64_t data_offset_blocks;
	uint64_t block_count;
	uint64_t recorded_block_count; /* more than block_count while a resize is recorded */
	uint32_t block_bytes;
	/* (home) */
	bool is_stopping;		  /* shutting down: I/O is answered IO_NOT_READY */
	bool is_stopped;		  /* shut down */
	bool is_fenced;			  /* it has stopped itself */
	bool is_orphaned;		  /* ... since the copies left have lost their power */
	const char *stopped_why;	  /* ... in words */
	uint32_t mask[CHILD_PHASE_COUNT]; /* slots by phase */
	struct slab *io_slab;
	struct list_node io_waiting;
	struct op admit_op;
	uint32_t pause_count;
	uint32_t generation;
	uint32_t active[2]; /* I/O in work by generation */
	uint64_t io_count;  /* I/O that were begun */
	struct list_node drains;
	struct range_locks locks;
	struct overlap overlap;
	struct membership membership;
	bool has_cache;
	struct recent recent[2];
	uint32_t recent_now;	      /* index of the one that collects */
	struct nexus_io *flush_owner; /* the flush that makes the other one durable */
	uint64_t segment_count;
	uint8_t *area; /* two segments */
	bool is_area_busy;
	struct list_node area_waiters;
	uint32_t read_turn;
	struct history history;
	struct bdev_io flush_io[NEXUS_CHILDREN_MAX]; /* of a shutdown */
};

struct nexus_set {
	struct nexus_set_options options;
	struct reactor *main;
	struct list_node nexuses; /* listed ones */
	struct list_node opening;
};

#define CHILD_BIT(slot) (1u << (slot))

/* The first slot of @mask at or after @from; NEXUS_CHILDREN_MAX if there is none. */
static inline uint32_t mask_next(uint32_t mask, uint32_t from)
{
	return (uint32_t)__builtin_ctz((mask | CHILD_BIT(NEXUS_CHILDREN_MAX)) &
				       ~(CHILD_BIT(from) - 1));
}

/* Slots of a mask, ascending. The mask is looked at again before each: a slot that has left it
 * meanwhile is left out. */
#define for_each_child(nexus, mask, slot)                                     \
	for (uint32_t slot = mask_next((mask), 0); slot < NEXUS_CHILDREN_MAX; \
	     slot = mask_next((mask), slot + 1))

static inline struct nexus_child *nexus_child_at(struct nexus *nexus, uint32_t slot)
{
	ASSERT(slot < NEXUS_CHILDREN_MAX);
	return &nexus->children[slot];
}

/* Of the segment, or another unit of a power of two in bytes, that @block is in; no division. */
static inline uint64_t nexus_unit_of(const struct nexus *nexus, uint64_t block, uint32_t unit_bytes)
{
	ASSERT(nexus->block_bytes <= unit_bytes);
	return block >> (__builtin_ctz(unit_bytes) - __builtin_ctz(nexus->block_bytes));
}

static inline uint32_t mask_count(uint32_t mask)
{
	return (uint32_t)__builtin_popcount(mask);
}

static inline uint32_t mask_first(uint32_t mask)
{
	ASSERT(mask != 0);
	return (uint32_t)__builtin_ctz(mask);
}

/* Slots that have a map of what they miss and get no writes; an empty slot has no map. */
static inline uint32_t nexus_mask_unserved(const struct nexus *nexus)
{
	return nexus->mask[CHILD_STALE] | nexus->mask[CHILD_LOSING] | nexus->mask[CHILD_FAULTED];
}

/* Every slot is in the mask of its phase and in no other. */
static inline bool nexus_masks_are_consistent(const struct nexus *nexus)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < NEXUS_CHILDREN_MAX; slot++) {
		if ((nexus->mask[nexus->children[slot].phase] & CHILD_BIT(slot)) == 0)
			return false;
	}
	for (uint32_t phase = 0; phase < CHILD_PHASE_COUNT; phase++)
		count += mask_count(nexus->mask[phase]);
	return count == NEXUS_CHILDREN_MAX;
}

/* nexus_layout.c */
/**
 * nexus_layout - the volume's place on its children
 * @device_blocks_min: of the smallest child. Return: 0; -ENOSPC when a child is smaller than the
 * size, -EINVAL when there is no room for the reserved areas.
 */
int nexus_layout(uint64_t device_blocks_min, uint32_t block_bytes, uint64_t size_bytes,
		 struct block_range *ret_data) __attribute__((warn_unused_result));

/** What a device must have beside the blocks of the volume. */
uint64_t nexus_layout_reserved_blocks(uint32_t block_bytes);

/* nexus_recent.c (home) */
void nexus_recent_mark(struct nexus *nexus, struct block_range range);
/** A flush begins. Return: true if its success lets nexus_recent_flushed() be called. */
bool nexus_recent_begin_flush(struct nexus *nexus);
void nexus_recent_flushed(struct nexus *nexus);
/** Sets the segments of @range in @map. */
void nexus_map_mark(const struct nexus *nexus, struct bitmap *map, struct block_range range);
/** No segment has an answered write that no flush has covered. I/O in work is not looked at. */
bool nexus_recent_is_empty(const struct nexus *nexus);
/** Sets in @map what a power loss could have taken from a volatile cache. */
void nexus_recent_add_to(const struct nexus *nexus, struct bitmap *map);
/** A longer copy of @map; the bits that it has more are set if @is_new_set. */
int nexus_map_grow(const struct bitmap *map, uint64_t bit_count, bool is_new_set,
		   struct bitmap **ret_map) __attribute__((warn_unused_result));

/* nexus_membership.c (home) */
void membership_init(struct nexus *nexus, uint64_t sequence);
/** Something that the record says has changed. Return: the change to wait for. */
uint64_t membership_change(struct nexus *nexus);
/** The same when a child is given up: the others are flushed before that is recorded. */
uint64_t membership_change_lost(struct nexus *nexus);
/**
 * The change that gave up those whom a record that is, or may be, stored still calls healthy; 0:
 * there are none, which costs nothing to tell while all changes are durable.
 */
uint64_t membership_loss_to_await(struct nexus *nexus);
/** op_done(@waiter->parent) once @waiter->change is durable, late, or void. op_wait() before. */
void membership_wait(struct nexus *nexus, struct record_waiter *waiter);
/** The nexus stops itself: nothing more is recorded or answered as done. */
void nexus_fence_self(struct nexus *nexus, const char *why);
/**
 * The same when which copy is the best is open: the record tells which of them count and which life
 * of its cache each is to have, so the next activation chooses rightly.
 */
void nexus_stop_self(struct nexus *nexus, const char *why);
/** No store is begun any more; op_done(@parent) when none is out. op_wait() before. */
void membership_stop(struct nexus *nexus, struct op *parent);

/* nexus_flush.c (home) */
void nexus_flush_init(struct nexus *nexus);
/**
 * Whether a record may be composed: those it will call healthy are durable. Else flushes what is
 * missing and wakes the membership's op when it is worth asking again.
 */
bool nexus_flush_is_over(struct nexus *nexus);
/** No more is begun. */
void nexus_flush_stop(struct nexus *nexus);
/** op_done(@parent) when no flush of @child is out. op_wait() before. */
void nexus_flush_wait(struct nexus_child *child, struct op *parent);

/* nexus_child.c (home) */
void nexus_child_set_phase(struct nexus_child *child, enum child_phase phase);
/** Opens its channel and takes its map; phase STALE or IN_SYNC. Return: 0 or -errno. */
int nexus_child_open(struct nexus_child *child, bool is_in_sync)
	__attribute__((warn_unused_result));
/** Nothing may be in flight on it. */
void nexus_child_close(struct nexus_child *child);
enum nexus_child_reason nexus_child_reason_of(enum io_status status);
/** True when no other child holds all the data. */
bool nexus_child_is_last(const struct nexus_child *child);
/** Takes it out of service; it is not the last healthy one. */
void nexus_child_fault(struct nexus_child *child, enum nexus_child_reason reason);
/** Its device was announced as removed. */
void nexus_child_removed(struct nexus_child *child);
/** Its connection was lost: it leaves service unless it is the last. (home) */
void nexus_child_interrupted(struct nexus_child *child);
/** Has main close it, once in line. */
void nexus_child_close_later(struct nexus_child *child);

/* nexus_rebuild.c (home) */
void nexus_rebuild_init(struct nexus_child *child);
/** STALE -> SYNCING; no write may be in flight. Return: 0, -ENODEV without source, -ENOMEM. */
int nexus_rebuild_begin(struct nexus_child *child) __attribute__((warn_unused_result));
/** Ends its job if it has one; op_done(@parent) when it is over. op_wait() before. */
void nexus_rebuild_stop(struct nexus_child *child, struct op *parent);
/** Jobs that read from @source go on with another one. */
void nexus_rebuild_leave_source(struct nexus_child *source);
/** The last child in sync may have lost what it did not flush: its copies are brought level anew.
 */
void nexus_rebuild_source_interrupted(struct nexus_child *source);

/* nexus_settle.c (home) */
/**
 * Fill range, source_mask, target_mask, parent, and lock: the caller's exclusive hold of the range
 * that it keeps until the answer, or NULL. op_wait(parent) before.
 */
void nexus_settle_submit(struct nexus *nexus, struct settle *settle);
/** op_done(@waiter->parent) when the area is the caller's. op_wait() before. */
void nexus_area_acquire(struct nexus *nexus, struct area_waiter *waiter);
void nexus_area_release(struct nexus *nexus);

/* nexus_io.c (home) */
extern const struct bdev_ops nexus_bdev_ops;
void nexus_io_init(struct nexus *nexus);
/** Answers the host, gives the slot back. */
void nexus_io_finish(struct nexus_io *nio);
void nexus_io_pause(struct nexus *nexus);
void nexus_io_resume(struct nexus *nexus);
/** Waits until no I/O is in work, under a pause, or else none of those that are now. One at a
 * time. op_wait(@parent) before. */
void nexus_io_drain(struct nexus *nexus, struct drain *drain, struct op *parent);
void nexus_io_answer_waiting(struct nexus *nexus);

/* nexus_write.c, nexus_read.c (home) */
void nexus_write_run(struct op *op);
void nexus_read_run(struct op *op);
void nexus_compare_run(struct op *op);

/* nexus_end.c (home) */
/** A step of destroy and shutdown: flushes whom the record calls healthy. */
enum op_flow nexus_end_flush(struct nexus_request *request);
/** Gives up who was not flushed, and composes the clean end. Return: there is a change to wait for.
 */
bool nexus_end_judge(struct nexus *nexus);

/* nexus_home.c: the part of a request on the home reactor. */
void nexus_home_call(struct reactor_call *call);

/* nexus_trust.c (main) */
/** Slots that begin in sync; 0: @record, NULL if there is none, calls no named child healthy. */
uint32_t nexus_trust(struct nexus *nexus, const struct nexus_record *record);

/* nexus_main.c (main) */
enum request_kind {
	REQUEST_CREATE,
	REQUEST_CREATE_UNDO, /* of home: what a creation that failed leaves */
	REQUEST_DESTROY,
	REQUEST_SHUTDOWN,
	REQUEST_ADD,
	REQUEST_REMOVE,
	REQUEST_OFFLINE, /* and every other fault by request */
	REQUEST_ONLINE,
	REQUEST_ONLINE_CHECK, /* of home: may it, and closes what is left of it */
	REQUEST_CLOSE,	      /* by the nexus itself */
	REQUEST_RESIZE,
	REQUEST_REBUILD_START,
	REQUEST_REBUILD_STOP,
	REQUEST_REBUILD_PAUSE,
	REQUEST_REBUILD_RESUME,
	REQUEST_IO_PAUSE,
	REQUEST_IO_RESUME,
	/* These do not wait in line. */
	REQUEST_REBUILD_STATS,
	REQUEST_INFO,
	REQUEST_HISTORY,
};
#define REQUEST_KIND_COUNT 20

void nexus_request_fail(struct nexus_request *request, enum nexus_error error, const char *format,
			...) __attribute__((format(printf, 3, 4)));
/** Puts it in line. */
void nexus_request_submit(struct nexus *nexus, struct nexus_request *request,
			  enum request_kind kind);
/** Arrives on main when home wants a child closed; and the listener of the children. */
void nexus_child_close_arrived(struct reactor_message *message);
void nexus_child_event(struct bdev_listener *listener, struct bdev *bdev, enum bdev_event event);

/* nexus_open.c (main): the steps of requests that open and close children. */
enum op_flow nexus_open_start(struct nexus_request *request);
enum op_flow nexus_open_check(struct nexus_request *request);
enum op_flow nexus_open_fence(struct nexus_request *request);
enum op_flow nexus_open_fenced(struct nexus_request *request);
enum op_flow nexus_close_start(struct nexus_request *request);
enum op_flow nexus_close_finish(struct nexus_request *request);
enum op_flow nexus_create_publish(struct nexus_request *request);

/* nexus.c (main) */
void nexus_free(struct nexus *nexus);
/* nexus_info.c (home) */
void nexus_info_fill(struct nexus *nexus, struct nexus_info *info);
/* nexus_overlap.c; home. */
/** Counts a write in. Return: true if another write in work may overlap it. */
bool nexus_overlap_enter(struct nexus *nexus, struct block_range range);
void nexus_overlap_leave(struct nexus *nexus, struct block_range range);
/** False only if surely no write in work overlaps @range. */
bool nexus_overlap_is_possible(const struct nexus *nexus, struct block_range range);

#endif

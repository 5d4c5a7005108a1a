/* SPDX-License-Identifier: Apache-2.0 */
/* nexus.h - a volume: a mirror over 1..NEXUS_CHILDREN_MAX bdevs, itself a bdev.
 *
 * Management is called on the main reactor; all state of a nexus lives on its home reactor,
 * where its bdev (bdev->home) takes I/O. Requests of one nexus run one at a time in order.
 *
 * Promises:
 *  1. A write, zeroing, unmap or flush is answered as done only when every child has it that the
 *     durable record calls healthy; a child that missed it is recorded unhealthy before.
 *  2. A read is served only by a child that the durable record calls healthy.
 *  3. The last healthy child is never recorded as lost, whatever fails.
 *  4. Writes that overlap reach all children in one order.
 *  5. Before the record gives a child up, those it goes on with hold durably what was answered.
 */
#ifndef NEXUS_NEXUS_H
#define NEXUS_NEXUS_H

#include "base/log.h"
#include "block/bdev_registry.h"
#include "nexus/nexus_recorder.h"
#include "reactor/reactor_call.h"
#include "rebuild/rebuild.h"

struct nexus;
struct nexus_set;

#define NEXUS_IO_MAX		512 /* in work at a time per nexus; more wait in line */
#define NEXUS_HISTORY_MAX	32  /* rebuilds remembered per nexus */
#define NEXUS_DATA_OFFSET_BYTES (5ull << 20)
#define NEXUS_CONTROLLER_ID_MAX 0xffef

/* Values as in the gRPC interface's NexusState; UNKNOWN: still being created. */
enum nexus_state {
	NEXUS_UNKNOWN,
	NEXUS_ONLINE,
	NEXUS_DEGRADED,
	NEXUS_FAULTED,
	NEXUS_SHUTTING_DOWN,
	NEXUS_SHUTDOWN,
};

/* Values as in the gRPC interface's ChildState and ChildStateReason. */
enum nexus_child_state {
	NEXUS_CHILD_UNKNOWN, /* a fault is still being processed */
	NEXUS_CHILD_ONLINE,
	NEXUS_CHILD_DEGRADED,
	NEXUS_CHILD_FAULTED,
};

enum nexus_child_reason {
	NEXUS_REASON_NONE,
	NEXUS_REASON_INIT,
	NEXUS_REASON_CLOSED,
	NEXUS_REASON_CANNOT_OPEN,
	NEXUS_REASON_CONFIG_INVALID,
	NEXUS_REASON_REBUILD_FAILED,
	NEXUS_REASON_IO_FAILURE,
	NEXUS_REASON_BY_CLIENT,
	NEXUS_REASON_OUT_OF_SYNC,
	NEXUS_REASON_NO_SPACE,
	NEXUS_REASON_TIMED_OUT,
	NEXUS_REASON_ADMIN_FAILED,
};

/* How a request ended; the RPC layer maps it to a status of the same name. */
enum nexus_error {
	NEXUS_DONE,
	NEXUS_ERROR_ALREADY_EXISTS,
	NEXUS_ERROR_INVALID,	  /* INVALID_ARGUMENT */
	NEXUS_ERROR_NOT_FOUND,	  /* also: no rebuild job */
	NEXUS_ERROR_PRECONDITION, /* FAILED_PRECONDITION: last child, shut down, ... */
	NEXUS_ERROR_INTERNAL,
};

/* NVMe reservations on remote children, taken by whoever knows NVMe. */
struct nexus_fence_options {
	uint64_t key; /* 0 with preempt_key 0 and policy 0: no reservations */
	uint64_t preempt_key;
	uint32_t type;	 /* NvmeReservation of the gRPC interface, 0..6 */
	uint32_t policy; /* NexusNvmePreemption of the gRPC interface, 0..1 */
};

struct nexus_fence_io {
	struct op *parent; /* gets one op_done() on the main reactor */
	struct bdev *bdev; /* the child that is being opened */
	struct nexus_fence_options options;
	int result; /* 0 or -errno */
	char error[ERROR_TEXT_BYTES];
	uint64_t private_words[8];
};

struct nexus_fence {
	/** Takes the reservation on a child before it is used. Context: main reactor. */
	void (*acquire)(struct nexus_fence *fence, struct nexus_fence_io *io);
};

/* What all nexuses of one engine share. Everything outlives the set. */
struct nexus_set_options {
	struct bdev_registry *registry;
	struct nexus_recorder *recorder;
	struct nexus_fence *fence; /* NULL: no reservations */
	struct log *log;
	/* How long a write waits for the record of a loss before it is answered
	 * IO_NOT_RECORDED; 0: NEXUS_RECORD_WAIT_NS. The record is tried on regardless. */
	uint64_t record_wait_ns;
	uint64_t record_retry_ns; /* first pause before a record is tried again; 0: 100 ms */
	uint64_t rebuild_bytes_per_second; /* of each job; 0: no limit */
};
#define NEXUS_RECORD_WAIT_NS 20000000000ull

int nexus_set_create(const struct nexus_set_options *options, struct nexus_set **ret_set)
	__attribute__((warn_unused_result));
/** All nexuses are destroyed. NULL is allowed. */
void nexus_set_destroy(struct nexus_set *set);

/** NULL when there is none. All on the main reactor; nexuses being created are not found. */
struct nexus *nexus_find(struct nexus_set *set, const char *name);
struct nexus *nexus_find_by_uuid(struct nexus_set *set, const struct uuid *uuid);
/** @previous NULL to begin; NULL at the end. */
struct nexus *nexus_next(struct nexus_set *set, struct nexus *previous);

/* Fixed for its life; any thread. */
const char *nexus_name(const struct nexus *nexus);
const struct uuid *nexus_uuid(const struct nexus *nexus);
struct bdev *nexus_bdev(struct nexus *nexus);
struct reactor *nexus_home(const struct nexus *nexus);
uint32_t nexus_controller_id_min(const struct nexus *nexus);
uint32_t nexus_controller_id_max(const struct nexus *nexus);
/** As requested, not as usable. Context: main reactor. */
uint64_t nexus_size_bytes(const struct nexus *nexus);

struct nexus_options {
	const char *name; /* texts may go away once the request is done */
	struct uuid uuid;
	uint64_t size_bytes;	    /* requested; the usable size is smaller by the layout */
	uint32_t controller_id_min; /* 1..NEXUS_CONTROLLER_ID_MAX */
	uint32_t controller_id_max;
	struct nexus_fence_options fence;
	const char *child_uris[NEXUS_CHILDREN_MAX];
	uint32_t child_count;
	const char *info_key; /* of the record; "" or NULL: the uuid's text */
	struct reactor *home;
	uint64_t epoch; /* of this activation; written into every record */
	/*
	 * The record found under the key, NULL when there is none. Children that it calls
	 * unhealthy, or does not know, start out of sync and are rebuilt. If it was not a clean
	 * shutdown and several children are healthy, they may differ: the first of them in the
	 * order of child_uris that has kept its cache is the source, else the first; the others
	 * are rebuilt. Without a record all children are trusted.
	 */
	const struct nexus_record *stored_record;
};

struct nexus_create {
	struct op *parent; /* gets one op_done() on the main reactor */
	struct nexus_options options;
	enum nexus_error result;
	char error[ERROR_TEXT_BYTES]; /* one sentence: object, reason, way out */
	struct nexus *nexus;	      /* when NEXUS_DONE */
};

/**
 * nexus_create_submit - open the children, record them, list the bdev
 * All or nothing. op_wait(create->parent) before. Context: main reactor.
 */
void nexus_create_submit(struct nexus_set *set, struct nexus_create *create);

struct nexus_child_info {
	char uri[URI_TEXT_BYTES_SHOWN];
	char device_name[NAME_BYTES_MAX]; /* "" while it is not open */
	struct uuid uuid;
	enum nexus_child_state state;
	enum nexus_child_reason reason;
	bool is_recorded_healthy;
	int32_t rebuild_progress; /* percent; -1: no job */
	uint64_t fault_wall_ns;	  /* 0: not faulted */
	bool has_map;		  /* what it missed is known: a rebuild would be partial */
};

struct nexus_info {
	enum nexus_state state;
	uint64_t size_bytes; /* requested */
	uint64_t block_count;
	uint32_t block_bytes;
	uint32_t rebuild_count; /* live jobs */
	bool is_fenced;		/* it stopped itself, @reason says why */
	/* Wall time since when a change of membership waits for the store; 0: none does. */
	uint64_t record_waits_since_ns;
	char reason[ERROR_TEXT_BYTES]; /* why it is not ONLINE and what would help; "" if it is */
	uint64_t io_active;
	uint64_t io_waiting; /* held by a pause or a full slab */
	uint32_t child_count;
	struct nexus_child_info children[NEXUS_CHILDREN_MAX];
};

struct nexus_history_entry {
	char child_uri[URI_TEXT_BYTES_SHOWN];
	char source_uri[URI_TEXT_BYTES_SHOWN];
	struct rebuild_stats stats;
};

enum nexus_action { /* values as in the gRPC interface's ChildAction */
		    NEXUS_ACTION_OFFLINE,
		    NEXUS_ACTION_ONLINE,
		    NEXUS_ACTION_FAULT_IO_ERROR,
		    NEXUS_ACTION_OFFLINE_PERMANENT,
};

/* private */
struct nexus_work {
	struct nexus *nexus;
	uint32_t kind;
	uint32_t home_kind;
	uint32_t step;	    /* on the main reactor */
	uint32_t home_step; /* on the home reactor */
	uint32_t slot;	    /* of the child */
	bool is_undoing;
	bool is_told;
	struct op op;
	struct op home_op;
	struct reactor_call call;
	struct list_node link; /* in the nexus' line of requests */
};

/* A management call; embed or put where it lives until its op_done(). */
struct nexus_request {
	struct op *parent; /* gets one op_done() on the main reactor */
	const char *uri;   /* of the child, where one is meant */
	enum nexus_action action;
	bool is_norebuild;   /* child_add: leave it out of sync */
	uint64_t size_bytes; /* resize */
	enum nexus_error result;
	char error[ERROR_TEXT_BYTES];	     /* one sentence: object, reason, way out */
	struct nexus_info *info;	     /* info: filled; other requests: too, if not NULL */
	struct rebuild_stats *stats;	     /* rebuild_stats: filled */
	struct nexus_history_entry *history; /* history: filled, newest first */
	uint32_t history_capacity;
	uint32_t history_count;
	struct nexus_work work;
};

/*
 * All of these: fill the fields named, op_wait(request->parent), call on the main reactor. A nexus
 * that is shutting down or shut down refuses everything but info, history, shutdown and destroy.
 */

/** Frees it; the pointer is dead when done. Refused while its bdev has open channels. */
void nexus_destroy_submit(struct nexus *nexus, struct nexus_request *request);
/** Stops I/O (answered IO_NOT_READY), rebuilds and children; records a clean end. Repeats are OK;
 * one that is still running: NEXUS_ERROR_PRECONDITION. */
void nexus_shutdown_submit(struct nexus *nexus, struct nexus_request *request);
/** @uri, @is_norebuild. */
void nexus_child_add_submit(struct nexus *nexus, struct nexus_request *request);
/** @uri. Not a child: done, nothing changed. */
void nexus_child_remove_submit(struct nexus *nexus, struct nexus_request *request);
/** @uri, @action. */
void nexus_child_action_submit(struct nexus *nexus, struct nexus_request *request);
/** @uri: for good, as FaultNexusChild does. */
void nexus_child_fault_submit(struct nexus *nexus, struct nexus_request *request);
/** @size_bytes. Grows only; every child must be big enough already. */
void nexus_resize_submit(struct nexus *nexus, struct nexus_request *request);
/** @uri. */
void nexus_rebuild_start_submit(struct nexus *nexus, struct nexus_request *request);
void nexus_rebuild_stop_submit(struct nexus *nexus, struct nexus_request *request);
void nexus_rebuild_pause_submit(struct nexus *nexus, struct nexus_request *request);
void nexus_rebuild_resume_submit(struct nexus *nexus, struct nexus_request *request);
/** @uri, @stats. NEXUS_ERROR_NOT_FOUND without a job. Does not wait in line. */
void nexus_rebuild_stats_submit(struct nexus *nexus, struct nexus_request *request);
/** @info. Does not wait in line. */
void nexus_info_submit(struct nexus *nexus, struct nexus_request *request);
/** @history, @history_capacity. Does not wait in line. */
void nexus_history_submit(struct nexus *nexus, struct nexus_request *request);
/** Holds new I/O and waits for what is in work; nests. */
void nexus_pause_submit(struct nexus *nexus, struct nexus_request *request);
/** Ends one pause. */
void nexus_resume_submit(struct nexus *nexus, struct nexus_request *request);

#endif

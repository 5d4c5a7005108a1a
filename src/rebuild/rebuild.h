/* SPDX-License-Identifier: Apache-2.0 */
/* rebuild.h - brings a stale device level with a good one, while both are in use.
 *
 * A job copies the segments whose bits are set in a map, in ascending order, several at a time.
 * Each copy holds an exclusive range lock, so writers that take the same locks and also write to
 * the target never see an older block overwrite theirs. After every REBUILD_CHECKPOINT_SEGMENTS
 * and at the end the target is flushed; only then are the bits cleared, so a set bit always
 * means "may differ after a power loss" and a job that ended early continues where it was.
 *
 * A job knows no nexus: who may read, and when the target counts as good, is its owner's affair.
 * Everything runs on one reactor, the channels'.
 */
#ifndef REBUILD_REBUILD_H
#define REBUILD_REBUILD_H

#include "base/bitmap.h"
#include "block/bdev.h"
#include "block/range_lock.h"

#define REBUILD_SEGMENT_BYTES	    IO_BYTES_MAX
#define REBUILD_TASKS_MAX	    16
#define REBUILD_TASKS_BESIDE_HOSTS  2	    /* that copy at once while hosts are at work */
#define REBUILD_HOSTS_QUIET_NS	    1000000 /* after their last I/O began */
#define REBUILD_CHECKPOINT_SEGMENTS 1024

struct rebuild_job;

/* Values as in the gRPC interface's RebuildJobState. */
enum rebuild_state {
	REBUILD_INIT,
	REBUILD_RUNNING,
	REBUILD_STOPPED,
	REBUILD_PAUSED,
	REBUILD_FAILED,
	REBUILD_COMPLETED,
};

/** "init", "running", "stopped", "paused", "failed", "completed". */
const char *rebuild_state_text(enum rebuild_state state);

enum rebuild_culprit {
	REBUILD_NOBODY,
	REBUILD_SOURCE, /* could not be read: take another source and start a new job */
	REBUILD_TARGET, /* could not be written or flushed */
};

struct rebuild_options {
	struct reactor *reactor;
	struct bdev_channel *source;
	struct bdev_channel *target;
	uint64_t source_offset_blocks; /* of the volume's block 0 on each device */
	uint64_t target_offset_blocks;
	uint64_t block_count;	   /* of the volume; locks and map use volume blocks */
	struct range_locks *locks; /* shared with the writers of the volume */
	/*
	 * One bit per segment of REBUILD_SEGMENT_BYTES. While the job runs the owner sets none,
	 * except after rebuild_job_abandon().
	 */
	struct bitmap *stale;
	/*
	 * I/O that hosts have begun, ever. While it grows fewer segments are copied at once. NULL:
	 * hosts are not looked at.
	 */
	const uint64_t *host_io_count;
	uint32_t task_count;	   /* 1..REBUILD_TASKS_MAX; 0: REBUILD_TASKS_MAX */
	uint64_t bytes_per_second; /* 0: no limit */
	bool is_partial;	   /* shown in the statistics */
};

struct rebuild_stats {
	enum rebuild_state state;
	enum rebuild_culprit culprit; /* when REBUILD_FAILED */
	enum io_status status;	      /* of the I/O that failed */
	uint64_t blocks_total;	      /* of the volume */
	uint64_t blocks_recovered;    /* known equal: total minus remaining */
	uint64_t blocks_transferred;  /* copied by this job */
	uint64_t blocks_remaining;
	uint64_t progress; /* percent of what this job has to do */
	uint64_t blocks_per_task;
	uint64_t block_bytes;
	uint64_t tasks_total;
	uint64_t tasks_active;
	bool is_partial;
	uint64_t start_wall_ns;
	uint64_t end_wall_ns; /* 0 while it is not over */
};

/** Segments of a volume of @block_count blocks. */
uint64_t rebuild_segment_count(uint64_t block_count, uint32_t block_bytes);

/**
 * rebuild_job_create - takes the memory; nothing runs yet
 * Context: reactor's thread. Return: 0 or -ENOMEM.
 */
int rebuild_job_create(const struct rebuild_options *options, struct rebuild_job **ret_job)
	__attribute__((warn_unused_result));
/** It has not started or is over. NULL is allowed. */
void rebuild_job_destroy(struct rebuild_job *job);

/**
 * rebuild_job_start - begin; op_done(@parent) when it is over (completed, failed or stopped)
 * Call op_wait(@parent) before. Nothing is in flight any more when the answer comes.
 */
void rebuild_job_start(struct rebuild_job *job, struct op *parent);

/** Asks for the end; a paused job ends too. What was copied is flushed first. */
void rebuild_job_stop(struct rebuild_job *job);
/**
 * rebuild_job_abandon - fail at once, the target being the culprit
 * Without a last flush, and no bit is cleared any more. The answer comes as for a stop.
 */
void rebuild_job_abandon(struct rebuild_job *job, enum io_status status);
/** Lets active tasks finish, then rests. Return: 0, -EINVAL when not running. */
int rebuild_job_pause(struct rebuild_job *job) __attribute__((warn_unused_result));
/** Return: 0, -EINVAL when neither paused nor about to. */
int rebuild_job_resume(struct rebuild_job *job) __attribute__((warn_unused_result));

enum rebuild_state rebuild_job_state(const struct rebuild_job *job);
struct bdev_channel *rebuild_job_source(const struct rebuild_job *job);
void rebuild_job_stats(const struct rebuild_job *job, struct rebuild_stats *ret_stats);

#endif

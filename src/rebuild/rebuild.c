/* SPDX-License-Identifier: Apache-2.0 */
/* rebuild.c - the copying of stale segments under range locks.
 *
 * A job goes in rounds: its tasks copy up to REBUILD_CHECKPOINT_SEGMENTS segments, each task one
 * at a time; when all of them rest, the target is flushed and the bits of what the round copied
 * are cleared.
 *
 *	INIT -> RUNNING <-> PAUSED          rebuild_job_start, _pause, _resume
 *	RUNNING, PAUSED -> STOPPED          rebuild_job_stop
 *	RUNNING -> COMPLETED | FAILED       job_decide
 *
 * Invariants:
 *  1. A bit is cleared only after its segment was copied and a flush of the target that began
 *     after that copy has succeeded.
 *  2. A segment is read and written under one exclusive lock: no write of the volume lies between.
 *  3. A task has its buffer before it asks for its lock, so a lock is never held for want of
 *memory.
 *  4. When the owner gets its answer no task holds a lock or has I/O out.
 *  5. Whoever rests in the line is woken by one that copies, and there is such a one.
 *  6. Once the job is to end, no copy begins: who stops it because the source has missed a write
 *     does so before that write lets its range go, and a copy may have waited for that.
 */
#include "rebuild/rebuild.h"

#include "base/memory.h"
#include "base/planted.h"

#include <errno.h>
#include <string.h>

STATIC_ASSERT(REBUILD_SEGMENT_BYTES <= IO_BYTES_MAX);
STATIC_ASSERT(REBUILD_SEGMENT_BYTES % BLOCK_BYTES_MAX == 0);

enum task_step {
	TASK_TAKE,  /* the next stale segment, if the job still wants one */
	TASK_LOCK,  /* its turn has come: keep the writers off it */
	TASK_READ,  /* the source */
	TASK_WRITE, /* what was read, to the target */
	TASK_JUDGE, /* unlock; count or fail */
};

struct rebuild_task {
	struct op op;
	enum task_step step;
	struct rebuild_job *job;
	struct list_node link; /* in the line */
	uint64_t segment;
	bool is_dropped; /* the job was to end before the segment was read */
	struct range_lock lock;
	struct reactor_timer pace;
	struct iovec iov;
	struct bdev_io io;
};

enum job_step {
	JOB_COPY,   /* set the tasks going */
	JOB_FLUSH,  /* all tasks rest: make their copies durable */
	JOB_CLEAR,  /* forget what is copied for good */
	JOB_DECIDE, /* another round, a rest, or the end */
	JOB_END,
};

struct rebuild_job {
	struct op op;
	enum job_step step;
	struct op *parent;
	struct rebuild_options options;
	enum rebuild_state state;
	enum rebuild_culprit culprit;
	enum io_status status;
	bool is_stop_asked;
	bool is_pause_asked;
	bool is_abandoned;
	bool is_resting; /* run is entered by a wake-up only */
	uint32_t segment_blocks;
	uint64_t cursor; /* the segments before it have had their turn */
	uint32_t round_taken;
	uint64_t round_from;
	struct bitmap *copied; /* in this round */
	uint64_t segments_todo;
	uint64_t segments_done;
	uint64_t blocks_transferred;
	uint64_t pace_next_ns;
	uint32_t tasks_active;
	uint32_t tasks_copying; /* have a segment */
	struct list_node line;	/* tasks that rest while hosts are at work */
	uint64_t host_io_seen;
	uint64_t hosts_quiet_ns; /* when they are, if they begin nothing more until then */
	uint64_t start_wall_ns;
	uint64_t end_wall_ns;
	struct bdev_io flush;
	uint8_t *memory;
	struct rebuild_task tasks[REBUILD_TASKS_MAX];
};

const char *rebuild_state_text(enum rebuild_state state)
{
	ASSERT((unsigned)state <= REBUILD_COMPLETED);
	switch (state) {
	case REBUILD_INIT:
		return "init";
	case REBUILD_RUNNING:
		return "running";
	case REBUILD_STOPPED:
		return "stopped";
	case REBUILD_PAUSED:
		return "paused";
	case REBUILD_FAILED:
		return "failed";
	case REBUILD_COMPLETED:
		return "completed";
	}
	return "unknown";
}

uint64_t rebuild_segment_count(uint64_t block_count, uint32_t block_bytes)
{
	uint64_t segment_blocks = REBUILD_SEGMENT_BYTES / block_bytes;

	ASSERT(REBUILD_SEGMENT_BYTES % block_bytes == 0);
	ASSERT(block_bytes >= BLOCK_BYTES_MIN);
	ASSERT(block_bytes <= BLOCK_BYTES_MAX);
	return block_count / segment_blocks + (block_count % segment_blocks != 0);
}

static void job_fail(struct rebuild_job *job, enum rebuild_culprit culprit, enum io_status status)
{
	ASSERT((job->culprit == REBUILD_NOBODY) == (job->status == IO_OK));
	ASSERT(job->end_wall_ns == 0);
	ASSERT(culprit != REBUILD_NOBODY);
	ASSERT(status != IO_OK);
	if (job->culprit != REBUILD_NOBODY)
		return;
	job->culprit = culprit;
	job->status = status;
}

static bool job_is_ending(const struct rebuild_job *job)
{
	ASSERT((job->culprit == REBUILD_NOBODY) == (job->status == IO_OK));
	ASSERT(!job->is_abandoned || job->culprit != REBUILD_NOBODY);
	return job->is_stop_asked || job->culprit != REBUILD_NOBODY;
}

/* A task. */

static struct block_range task_range(const struct rebuild_task *task)
{
	const struct rebuild_job *job = task->job;
	struct block_range range = {task->segment * job->segment_blocks, job->segment_blocks};

	ASSERT(task->segment < bitmap_bit_count(job->options.stale));
	ASSERT(range.first < job->options.block_count);
	if (range.count > job->options.block_count - range.first)
		range.count = job->options.block_count - range.first;
	ASSERT(range.count > 0);
	ASSERT(range.count <= job->segment_blocks);
	return range;
}

/* Its share of the bandwidth comes at a time of its own; OP_WAIT until then. */
static enum op_flow task_pace(struct rebuild_task *task)
{
	struct rebuild_job *job = task->job;
	uint64_t rate = job->options.bytes_per_second;
	uint64_t now_ns = reactor_now_ns(job->options.reactor);
	uint64_t start_ns;

	ASSERT(task->step == TASK_LOCK);
	ASSERT(!reactor_timer_is_armed(&task->pace));
	if (rate == 0)
		return OP_NEXT;
	start_ns = job->pace_next_ns > now_ns ? job->pace_next_ns : now_ns;
	job->pace_next_ns = start_ns + REBUILD_SEGMENT_BYTES * 1000000000ull / rate;
	if (start_ns == now_ns)
		return OP_NEXT;
	ASSERT(start_ns > now_ns);
	reactor_timer_start(&task->pace, start_ns - now_ns);
	return OP_WAIT;
}

static void task_pace_expired(struct reactor_timer *timer)
{
	struct rebuild_task *task = container_of(timer, struct rebuild_task, pace);

	ASSERT(task->step == TASK_LOCK);
	ASSERT(op_is_idle(&task->op));
	op_wake(&task->op);
}

/* They have begun something lately. Between one of their I/O and the next nothing may be in work.
 */
static bool job_is_beside_hosts(struct rebuild_job *job)
{
	uint64_t now_ns = reactor_now_ns(job->options.reactor);

	if (job->options.host_io_count == NULL)
		return false;
	if (job->host_io_seen != *job->options.host_io_count) {
		job->host_io_seen = *job->options.host_io_count;
		job->hosts_quiet_ns = now_ns + REBUILD_HOSTS_QUIET_NS;
	}
	return now_ns < job->hosts_quiet_ns;
}

/* Copies of whole segments hold reactor, disks and links; a host's I/O waits behind each of them.
 */
static bool task_must_rest(const struct rebuild_task *task)
{
	struct rebuild_job *job = task->job;

	ASSERT(task->step == TASK_TAKE);
	ASSERT(job->tasks_copying < job->options.task_count);
	return job_is_beside_hosts(job) && job->tasks_copying >= REBUILD_TASKS_BESIDE_HOSTS;
}

static void line_wake(struct rebuild_job *job)
{
	struct list_node *node = list_pop_front(&job->line);

	ASSERT(job->tasks_copying <= job->tasks_active);
	if (node != NULL)
		op_wake(&list_entry(node, struct rebuild_task, link)->op);
}

static bool task_take(struct rebuild_task *task)
{
	struct rebuild_job *job = task->job;
	uint64_t segment;

	ASSERT(task->step == TASK_TAKE);
	ASSERT(!task->lock.is_granted);
	ASSERT(job->tasks_active > 0);
	ASSERT(job->round_taken <= REBUILD_CHECKPOINT_SEGMENTS);
	if (job_is_ending(job) || job->is_pause_asked)
		return false;
	if (job->round_taken == REBUILD_CHECKPOINT_SEGMENTS)
		return false;
	segment = bitmap_find_set(job->options.stale, job->cursor);
	if (segment == BITMAP_NONE)
		return false;
	ASSERT(segment >= job->cursor);
	ASSERT(!bitmap_is_set(job->copied, segment));
	job->cursor = segment + 1;
	job->round_taken++;
	job->tasks_copying++;
	task->segment = segment;
	return true;
}

static enum op_flow task_lock(struct rebuild_task *task)
{
	ASSERT(!task->lock.is_granted);
	ASSERT(!reactor_timer_is_armed(&task->pace));
	ASSERT(bitmap_is_set(task->job->options.stale, task->segment));
	ASSERT(task->segment < task->job->cursor);
	task->lock = (struct range_lock){
		.parent = &task->op, .range = task_range(task), .is_exclusive = true};
	range_lock(task->job->options.locks, &task->lock);
	REACHED_IF(!task->lock.is_granted, "rebuild_waits_for_a_range");
	return op_join(&task->op);
}

static enum op_flow task_read(struct rebuild_task *task)
{
	struct rebuild_job *job = task->job;
	struct block_range range = task->lock.range;

	ASSERT(task->lock.is_exclusive);
	ASSERT(op_is_idle(&task->op));
	ASSERT(task->lock.is_granted);
	task->is_dropped = job_is_ending(job);
	if (task->is_dropped)
		return OP_NEXT;
	task->iov.iov_len = range.count * job->options.source->bdev->block_bytes;
	ASSERT(task->iov.iov_len <= REBUILD_SEGMENT_BYTES);
	range.first += job->options.source_offset_blocks;
	task->io = (struct bdev_io){.parent = &task->op,
				    .type = IO_READ,
				    .range = range,
				    .iov = &task->iov,
				    .iov_count = 1};
	op_wait(&task->op);
	bdev_submit(job->options.source, &task->io);
	return op_join(&task->op);
}

static bool memory_is_zero(const struct iovec *iov)
{
	const uint8_t *bytes = iov->iov_base;

	ASSERT(iov->iov_len > 0);
	ASSERT(iov->iov_len <= REBUILD_SEGMENT_BYTES);
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, iov->iov_len - 1) == 0;
}

/* Zeroes are unmapped where that is the same, so that a thin copy stays thin. */
static enum op_flow task_write(struct rebuild_task *task)
{
	struct rebuild_job *job = task->job;
	struct bdev *target = job->options.target->bdev;
	struct block_range range = task->lock.range;
	bool is_unmap;

	ASSERT(task->lock.is_granted);
	ASSERT(op_is_idle(&task->op));
	if (task->is_dropped)
		return OP_NEXT;
	ASSERT(task->io.type == IO_READ);
	if (task->io.status != IO_OK) {
		REACHED("rebuild_source_failed");
		job_fail(job, REBUILD_SOURCE, task->io.status);
		return OP_NEXT;
	}
	REACHED_IF(job->is_abandoned, "rebuild_abandoned_between_read_and_write");
	if (job->is_abandoned)
		return OP_NEXT;
	if (PLANTED(REBUILD_SKIPS_LAST_SEGMENT) &&
	    task->segment + 1 == bitmap_bit_count(job->options.stale)) {
		task->io = (struct bdev_io){.type = IO_WRITE, .status = IO_OK};
		return OP_NEXT;
	}
	is_unmap =
		target->can_unmap && target->reads_zero_after_unmap && memory_is_zero(&task->iov);
	range.first += job->options.target_offset_blocks;
	task->io = (struct bdev_io){.parent = &task->op,
				    .type = is_unmap ? IO_UNMAP : IO_WRITE,
				    .range = range,
				    .iov = &task->iov,
				    .iov_count = 1};
	op_wait(&task->op);
	bdev_submit(job->options.target, &task->io);
	return op_join(&task->op);
}

static void task_judge(struct rebuild_task *task)
{
	struct rebuild_job *job = task->job;

	ASSERT(op_is_idle(&task->op));
	ASSERT(job->tasks_copying > 0);
	ASSERT(!bitmap_is_set(job->copied, task->segment));
	job->tasks_copying--;
	range_unlock(job->options.locks, &task->lock);
	ASSERT(!task->lock.is_granted);
	if (task->is_dropped || task->io.type == IO_READ)
		return; /* nothing was written: the read failed, or the job is abandoned */
	if (task->io.status != IO_OK && !PLANTED(REBUILD_ERROR_IGNORED)) {
		REACHED("rebuild_target_failed");
		job_fail(job, REBUILD_TARGET, task->io.status);
		return;
	}
	bitmap_set(job->copied, task->segment);
	job->blocks_transferred += task->lock.range.count;
}

static void task_run(struct op *op)
{
	struct rebuild_task *task = container_of(op, struct rebuild_task, op);

	for (;;) {
		switch (task->step) {
		case TASK_TAKE:
			if (task_must_rest(task)) {
				REACHED("rebuild_rests_beside_hosts");
				list_push_back(&task->job->line, &task->link);
				return;
			}
			line_wake(task->job); /* one wakes the next one as long as there is room */
			if (!task_take(task)) {
				ASSERT(!task->lock.is_granted);
				task->job->tasks_active--;
				op_done(&task->job->op);
				return;
			}
			task->step = TASK_LOCK;
			if (task_pace(task) == OP_WAIT)
				return;
			break;
		case TASK_LOCK:
			task->step = TASK_READ;
			if (task_lock(task) == OP_WAIT)
				return;
			break;
		case TASK_READ:
			task->step = TASK_WRITE;
			if (task_read(task) == OP_WAIT)
				return;
			break;
		case TASK_WRITE:
			task->step = TASK_JUDGE;
			if (task_write(task) == OP_WAIT)
				return;
			break;
		case TASK_JUDGE:
			task->step = TASK_TAKE;
			task_judge(task);
			break;
		}
	}
}

/* The job. */

static enum op_flow job_copy(struct rebuild_job *job)
{
	ASSERT(job->step == JOB_FLUSH);
	ASSERT(!job_is_ending(job));
	ASSERT(!job->is_pause_asked);
	ASSERT_SLOW(bitmap_find_set(job->options.stale, 0) >= job->cursor);
	ASSERT(job->tasks_active == 0);
	ASSERT(bitmap_set_count(job->copied) == 0);

	job->state = REBUILD_RUNNING;
	job->round_taken = 0;
	job->round_from = job->cursor;
	for (uint32_t i = 0; i < job->options.task_count; i++) {
		struct rebuild_task *task = &job->tasks[i];

		task->step = TASK_TAKE;
		job->tasks_active++;
		op_wait(&job->op);
		/* Not entered here: a device that answers at once would hold the reactor. */
		op_wake(&task->op);
	}
	ASSERT(job->tasks_active == job->options.task_count);
	return op_join(&job->op);
}

static enum op_flow job_flush(struct rebuild_job *job)
{
	ASSERT(op_is_idle(&job->op));
	ASSERT(bitmap_set_count(job->copied) <= job->round_taken);
	ASSERT(job->tasks_active == 0);

	job->flush = (struct bdev_io){.parent = &job->op, .type = IO_FLUSH, .status = IO_OK};
	if (job->is_abandoned || bitmap_set_count(job->copied) == 0 || PLANTED(REBUILD_NOT_FLUSHED))
		return OP_NEXT;
	op_wait(&job->op);
	bdev_submit(job->options.target, &job->flush);
	return op_join(&job->op);
}

static void job_clear(struct rebuild_job *job)
{
	uint64_t segment = job->round_from;

	ASSERT(job->tasks_active == 0);
	ASSERT(op_is_idle(&job->op));
	REACHED_IF(job->flush.status != IO_OK, "rebuild_flush_failed");
	if (job->flush.status != IO_OK)
		job_fail(job, REBUILD_TARGET, job->flush.status);
	for (;;) {
		segment = bitmap_find_set(job->copied, segment);
		if (segment == BITMAP_NONE)
			break;
		ASSERT(segment < job->cursor);
		bitmap_clear(job->copied, segment);
		if (job->flush.status == IO_OK && !job->is_abandoned) {
			ASSERT(bitmap_is_set(job->options.stale, segment));
			bitmap_clear(job->options.stale, segment);
			job->segments_done++;
		}
	}
	ASSERT(bitmap_set_count(job->copied) == 0);
	ASSERT(job->segments_done <= job->segments_todo);
}

/* OP_WAIT: it rests until it is resumed, stopped or abandoned. */
static enum op_flow job_decide(struct rebuild_job *job, enum job_step *ret_step)
{
	ASSERT(job->tasks_active == 0);
	ASSERT(job->end_wall_ns == 0);
	ASSERT(bitmap_set_count(job->copied) == 0);
	ASSERT(job->is_abandoned ||
	       job->segments_done + bitmap_set_count(job->options.stale) == job->segments_todo);
	*ret_step = JOB_END;
	job->is_resting = false;
	if (job_is_ending(job) || bitmap_set_count(job->options.stale) == 0)
		return OP_NEXT;
	if (job->is_pause_asked) {
		job->state = REBUILD_PAUSED;
		job->is_resting = true;
		*ret_step = JOB_DECIDE;
		return OP_WAIT;
	}
	*ret_step = JOB_COPY;
	return OP_NEXT;
}

static void job_end(struct rebuild_job *job)
{
	ASSERT(job->state == REBUILD_RUNNING || job->state == REBUILD_PAUSED);
	ASSERT(!job->is_resting);
	ASSERT(bitmap_set_count(job->copied) == 0);
	ASSERT(job->tasks_active == 0);
	ASSERT(job->end_wall_ns == 0);

	if (job->culprit != REBUILD_NOBODY)
		job->state = REBUILD_FAILED;
	else if (bitmap_set_count(job->options.stale) == 0)
		job->state = REBUILD_COMPLETED;
	else
		job->state = REBUILD_STOPPED;
	job->end_wall_ns = os_clock_wall_ns(reactor_os(job->options.reactor));
	op_done(job->parent);
}

static void job_run(struct op *op)
{
	struct rebuild_job *job = container_of(op, struct rebuild_job, op);
	enum job_step next;

	for (;;) {
		switch (job->step) {
		case JOB_COPY:
			job->step = JOB_FLUSH;
			if (job_copy(job) == OP_WAIT)
				return;
			break;
		case JOB_FLUSH:
			job->step = JOB_CLEAR;
			if (job_flush(job) == OP_WAIT)
				return;
			break;
		case JOB_CLEAR:
			job->step = JOB_DECIDE;
			job_clear(job);
			break;
		case JOB_DECIDE:
			if (job_decide(job, &next) == OP_WAIT)
				return;
			job->step = next;
			break;
		case JOB_END:
			job_end(job); /* @job may be gone from here on */
			return;
		}
	}
}

int rebuild_job_create(const struct rebuild_options *options, struct rebuild_job **ret_job)
{
	struct rebuild_job *job = memory_alloc(sizeof(*job));
	uint32_t block_bytes = options->source->bdev->block_bytes;

	ASSERT(options->source != options->target);
	ASSERT(options->source->reactor == options->reactor);
	ASSERT(options->target->reactor == options->reactor);
	ASSERT(block_range_is_within(
		(struct block_range){options->source_offset_blocks, options->block_count},
		options->source->bdev->block_count));
	ASSERT(block_range_is_within(
		(struct block_range){options->target_offset_blocks, options->block_count},
		options->target->bdev->block_count));
	ASSERT(options->task_count <= REBUILD_TASKS_MAX);
	ASSERT(options->block_count > 0);
	ASSERT(options->target->bdev->block_bytes == block_bytes);
	ASSERT(bitmap_bit_count(options->stale) >=
	       rebuild_segment_count(options->block_count, block_bytes));
	if (job == NULL)
		return -ENOMEM;
	job->options = *options;
	if (options->task_count == 0)
		job->options.task_count = REBUILD_TASKS_MAX;
	if (bitmap_create(bitmap_bit_count(options->stale), &job->copied) < 0)
		goto fail_job;
	job->memory = memory_alloc_pages((size_t)job->options.task_count * REBUILD_SEGMENT_BYTES);
	if (job->memory == NULL)
		goto fail_bitmap;
	job->segment_blocks = REBUILD_SEGMENT_BYTES / block_bytes;
	job->segments_todo = bitmap_set_count(options->stale);
	job->host_io_seen = options->host_io_count != NULL ? *options->host_io_count : 0;
	op_init(&job->op, reactor_ready(options->reactor), job_run);
	list_init(&job->line);
	for (uint32_t i = 0; i < job->options.task_count; i++) {
		struct rebuild_task *task = &job->tasks[i];

		task->job = job;
		list_init(&task->link);
		task->iov.iov_base = job->memory + (size_t)i * REBUILD_SEGMENT_BYTES;
		op_init(&task->op, reactor_ready(options->reactor), task_run);
		reactor_timer_init(&task->pace, options->reactor, task_pace_expired);
	}
	*ret_job = job;
	return 0;

fail_bitmap:
	bitmap_destroy(job->copied);
fail_job:
	memory_free(job);
	return -ENOMEM;
}

void rebuild_job_destroy(struct rebuild_job *job)
{
	if (job == NULL)
		return;
	ASSERT(job->tasks_active == 0);
	ASSERT(job->state == REBUILD_INIT || job->end_wall_ns != 0);
	ASSERT(op_is_idle(&job->op));
	ASSERT(list_is_empty(&job->line));
	ASSERT(bitmap_set_count(job->copied) == 0);
	memory_free_pages(job->memory, (size_t)job->options.task_count * REBUILD_SEGMENT_BYTES);
	bitmap_destroy(job->copied);
	memory_free(job);
}

void rebuild_job_start(struct rebuild_job *job, struct op *parent)
{
	ASSERT(parent == NULL || parent->pending > 0);
	ASSERT(op_is_idle(&job->op));
	ASSERT(job->tasks_active == 0);
	ASSERT(job->state == REBUILD_INIT);
	ASSERT(job->parent == NULL);

	job->parent = parent;
	job->state = REBUILD_RUNNING;
	job->start_wall_ns = os_clock_wall_ns(reactor_os(job->options.reactor));
	job->step = JOB_DECIDE;
	op_wake(&job->op);
}

/* Whoever waits for a time or for a wake-up looks at what was asked for. */
static void job_nudge(struct rebuild_job *job)
{
	ASSERT(!job->is_resting || job->step == JOB_DECIDE);
	ASSERT(!job->is_resting || job->tasks_active == 0);
	for (uint32_t i = 0; i < job->options.task_count; i++) {
		struct rebuild_task *task = &job->tasks[i];

		if (!reactor_timer_is_armed(&task->pace))
			continue;
		ASSERT(task->step == TASK_LOCK);
		reactor_timer_stop(&task->pace);
		op_wake(&task->op);
	}
	if (job->is_resting)
		op_wake(&job->op);
}

void rebuild_job_stop(struct rebuild_job *job)
{
	ASSERT(job->state != REBUILD_INIT);
	job->is_stop_asked = true;
	job_nudge(job);
}

void rebuild_job_abandon(struct rebuild_job *job, enum io_status status)
{
	ASSERT(job->state != REBUILD_INIT);
	ASSERT(status != IO_OK);
	if (job->end_wall_ns != 0)
		return; /* over already; its owner has not looked yet */
	job->is_abandoned = true;
	job_fail(job, REBUILD_TARGET, status);
	job_nudge(job);
}

int rebuild_job_pause(struct rebuild_job *job)
{
	if (job->state != REBUILD_RUNNING || job_is_ending(job) || job->is_pause_asked)
		return -EINVAL;
	ASSERT(!job->is_resting);
	job->is_pause_asked = true;
	return 0;
}

int rebuild_job_resume(struct rebuild_job *job)
{
	if (!job->is_pause_asked || job_is_ending(job))
		return -EINVAL;
	ASSERT(job->end_wall_ns == 0);
	job->is_pause_asked = false;
	job_nudge(job);
	return 0;
}

enum rebuild_state rebuild_job_state(const struct rebuild_job *job)
{
	ASSERT(job->tasks_active == 0 || job->state == REBUILD_RUNNING);
	return job->state;
}

struct bdev_channel *rebuild_job_source(const struct rebuild_job *job)
{
	ASSERT(job->options.source->reactor == job->options.reactor);
	return job->options.source;
}

void rebuild_job_stats(const struct rebuild_job *job, struct rebuild_stats *ret_stats)
{
	uint64_t done = job->segments_done + bitmap_set_count(job->copied);
	uint64_t left = job->segments_todo - done;
	uint64_t left_blocks = left * job->segment_blocks;
	uint64_t total = job->options.block_count;

	ASSERT(job->tasks_active <= job->options.task_count);
	ASSERT(done <= job->segments_todo);
	if (left_blocks > total)
		left_blocks = total; /* the last segment may be short */
	*ret_stats = (struct rebuild_stats){
		.state = job->state,
		.culprit = job->culprit,
		.status = job->status,
		.blocks_total = total,
		.blocks_recovered = total - left_blocks,
		.blocks_transferred = job->blocks_transferred,
		.blocks_remaining = left_blocks,
		.progress = job->segments_todo == 0 ? 100 : done * 100 / job->segments_todo,
		.blocks_per_task = job->segment_blocks,
		.block_bytes = job->options.source->bdev->block_bytes,
		.tasks_total = job->options.task_count,
		.tasks_active = job->tasks_active,
		.is_partial = job->options.is_partial,
		.start_wall_ns = job->start_wall_ns,
		.end_wall_ns = job->end_wall_ns,
	};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* workload.c - slots that each do one operation after another.
 *
 * Half of the operations go to a small hot area, so that overlapping and racing ones are common.
 * Invariant: every operation registered at the history is closed there exactly once: done,
 * unknown, or forgotten with its process.
 */
#include "sim/workload.h"

#include "base/memory.h"
#include "sim/sim_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HOT_BLOCKS 32
#define ERROR_TEXT 512

struct slot {
	struct workload *workload;
	uint32_t index;
	struct op op;
	struct reactor_timer timer;
	struct bdev_io io;
	struct iovec iov;
	struct history_io history;
	uint8_t *buffer; /* of the process */
	bool is_busy;
};

struct workload {
	struct workload_options options;
	struct history *history;
	struct bdev_channel *channel; /* NULL: no process runs it */
	bool is_stopped;
	uint64_t verify_next; /* next block of the sweep, UINT64_MAX: no sweep */
	struct slot slots[WORKLOAD_SLOTS_MAX];
	struct workload_stats stats;
	char error[ERROR_TEXT];
};

static uint64_t now_ns(const struct workload *workload)
{
	return sim_now_ns(workload->options.sim);
}

/* ---- choice ---- */

static enum io_type type_draw(struct workload *workload)
{
	const struct bdev *bdev = workload->channel->bdev;
	uint64_t draw = sim_draw(workload->options.sim, 0, 99);

	if (draw < 5)
		return IO_FLUSH;
	if (draw < 9 && bdev->can_write_zeroes)
		return IO_WRITE_ZEROES;
	if (draw < 12 && workload->options.has_unmap && bdev->can_unmap &&
	    bdev->reads_zero_after_unmap)
		return IO_UNMAP;
	return draw < 58 ? IO_WRITE : IO_READ;
}

static struct block_range range_draw(struct workload *workload)
{
	struct sim *sim = workload->options.sim;
	uint64_t blocks = workload->options.block_count;
	uint64_t limit = IO_BYTES_MAX / workload->options.block_bytes;
	struct block_range range;

	if (sim_chance(sim, 1, 2) && blocks > HOT_BLOCKS)
		blocks = HOT_BLOCKS;
	range.count =
		sim_chance(sim, 1, 2) ? 1 : sim_draw(sim, 1, sim_chance(sim, 1, 8) ? limit : 8);
	if (range.count > blocks)
		range.count = blocks;
	range.first = sim_draw(sim, 0, blocks - range.count);
	return range;
}

/* ---- one operation ---- */

static void io_prepare(struct slot *slot, enum io_type type, struct block_range range)
{
	struct workload *workload = slot->workload;
	size_t bytes = range.count * workload->options.block_bytes;

	slot->iov = (struct iovec){slot->buffer, bytes};
	slot->io = (struct bdev_io){
		.parent = &slot->op,
		.type = type,
		.range = range,
		.iov = &slot->iov,
		.iov_count = type == IO_READ || type == IO_WRITE ? 1 : 0,
		.is_fua = type == IO_WRITE && sim_chance(workload->options.sim, 1, 8),
	};
	slot->history = (struct history_io){
		.first_block = range.first,
		.block_count = range.count,
		.is_zeroes = type != IO_WRITE,
	};
}

static void history_begin(struct slot *slot)
{
	struct workload *workload = slot->workload;

	switch (slot->io.type) {
	case IO_READ:
	case IO_COMPARE:
		memset(slot->buffer, 0xee, slot->iov.iov_len);
		history_read_begin(workload->history, &slot->history, now_ns(workload));
		return;
	case IO_WRITE:
		history_write_begin(workload->history, &slot->history, now_ns(workload));
		history_stamp(workload->history, &slot->history, slot->buffer);
		return;
	case IO_UNMAP:
	case IO_WRITE_ZEROES:
		history_write_begin(workload->history, &slot->history, now_ns(workload));
		return;
	case IO_FLUSH:
		history_flush_begin(workload->history, &slot->history, now_ns(workload));
		return;
	}
}

static void read_judge(struct slot *slot)
{
	struct workload *workload = slot->workload;
	char error[HISTORY_ERROR_BYTES];

	if (slot->io.status != IO_OK) {
		history_read_failed(workload->history, &slot->history);
		return;
	}
	if (history_read_done(workload->history, &slot->history, now_ns(workload), slot->buffer,
			      error))
		return;
	if (workload->error[0] == '\0')
		snprintf(workload->error, sizeof(workload->error),
			 "read of blocks %" PRIu64 "+%" PRIu64 " begun at %" PRIu64 ": %s",
			 slot->io.range.first, slot->io.range.count, slot->history.begun_ns, error);
}

static void history_end(struct slot *slot)
{
	struct workload *workload = slot->workload;

	switch (slot->io.type) {
	case IO_READ:
	case IO_COMPARE:
		read_judge(slot);
		return;
	case IO_WRITE:
	case IO_UNMAP:
	case IO_WRITE_ZEROES:
		if (slot->io.status == IO_OK)
			history_write_done(workload->history, &slot->history, now_ns(workload),
					   slot->io.is_fua);
		else
			history_write_unknown(workload->history, &slot->history, now_ns(workload));
		return;
	case IO_FLUSH:
		if (slot->io.status == IO_OK)
			history_flush_done(workload->history, &slot->history);
		return;
	}
}

/* First block and, in the last three digits, how many. */
static uint64_t trace_range(struct block_range range)
{
	return range.first * 1000 + range.count;
}

static void slot_end(struct slot *slot)
{
	struct workload *workload = slot->workload;

	sim_trace(workload->options.sim, "host done", slot->io.type * 100u + slot->io.status,
		  trace_range(slot->io.range), slot->history.sequence);
	slot->is_busy = false;
	if (slot->io.status == IO_OK) {
		workload->stats.done++;
		workload->stats.last_done_ns = now_ns(workload);
	} else {
		workload->stats.failed++;
	}
	history_end(slot);
}

static void slot_submit(struct slot *slot)
{
	slot->is_busy = true;
	history_begin(slot);
	sim_trace(slot->workload->options.sim, "host", slot->io.type, trace_range(slot->io.range),
		  slot->history.sequence);
	op_wait(&slot->op);
	bdev_submit(slot->workload->channel, &slot->io);
}

/* Return: false if there is nothing to do. */
static bool slot_choose(struct slot *slot)
{
	struct workload *workload = slot->workload;

	if (workload->verify_next != UINT64_MAX) {
		struct block_range range = {workload->verify_next,
					    IO_BYTES_MAX / workload->options.block_bytes};

		if (range.first >= workload->options.block_count)
			return false;
		if (range.count > workload->options.block_count - range.first)
			range.count = workload->options.block_count - range.first;
		workload->verify_next += range.count;
		io_prepare(slot, IO_READ, range);
		return true;
	}
	if (workload->is_stopped)
		return false;
	io_prepare(slot, type_draw(workload), range_draw(workload));
	if (slot->io.type == IO_FLUSH)
		slot->io.range = (struct block_range){0, 0};
	return true;
}

static void slot_run(struct op *op)
{
	struct slot *slot = list_entry(op, struct slot, op);
	struct workload *workload = slot->workload;

	if (slot->is_busy) {
		bool is_again = slot->io.status != IO_OK && workload->verify_next != UINT64_MAX;

		slot_end(slot);
		/* A sweep has read everything in the end. */
		if (is_again) {
			slot_submit(slot);
			if (op_join(op) == OP_NEXT)
				op_wake(op);
			return;
		}
		reactor_timer_start(&slot->timer, sim_draw(workload->options.sim, 0,
							   workload->options.pause_ns_max));
		return;
	}
	if (!slot_choose(slot))
		return;
	slot_submit(slot);
	if (op_join(op) == OP_NEXT)
		op_wake(op);
}

static void slot_rested(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct slot, timer)->op);
}

/* ---- the workload ---- */

struct workload *workload_create(const struct workload_options *options)
{
	struct workload *workload = sim_allocate(sizeof(*workload));
	const struct history_options history = {
		.volume = 1,
		.block_count = options->block_count,
		.block_bytes = options->block_bytes,
		.is_repeating = options->is_repeating,
		.is_strict = options->is_strict,
	};

	ASSERT(options->slot_count <= WORKLOAD_SLOTS_MAX);
	workload->options = *options;
	workload->history = history_create(&history);
	workload->verify_next = UINT64_MAX;
	return workload;
}

void workload_destroy(struct workload *workload)
{
	history_destroy(workload->history);
	free(workload);
}

struct history *workload_history(struct workload *workload)
{
	return workload->history;
}

static void slots_wake(struct workload *workload)
{
	for (uint32_t i = 0; i < workload->options.slot_count; i++) {
		struct slot *slot = &workload->slots[i];

		if (!slot->is_busy && !reactor_timer_is_armed(&slot->timer))
			op_wake(&slot->op);
	}
}

void workload_start(struct workload *workload, struct bdev_channel *channel)
{
	ASSERT(workload->channel == NULL);
	workload->channel = channel;
	for (uint32_t i = 0; i < workload->options.slot_count; i++) {
		struct slot *slot = &workload->slots[i];

		slot->workload = workload;
		slot->index = i;
		slot->is_busy = false;
		slot->buffer = memory_alloc_pages(IO_BYTES_MAX);
		ASSERT(slot->buffer != NULL);
		op_init(&slot->op, reactor_ready(channel->reactor), slot_run);
		reactor_timer_init(&slot->timer, channel->reactor, slot_rested);
	}
	slots_wake(workload);
}

void workload_crashed(struct workload *workload)
{
	if (workload->channel == NULL)
		return;
	workload->channel = NULL;
	for (uint32_t i = 0; i < workload->options.slot_count; i++) {
		struct slot *slot = &workload->slots[i];

		if (!slot->is_busy)
			continue;
		slot->io.status = IO_DEVICE_GONE;
		slot->is_busy = false;
		history_end(slot);
	}
}

void workload_stop(struct workload *workload)
{
	workload->is_stopped = true;
}

bool workload_is_idle(const struct workload *workload)
{
	if (workload->channel == NULL)
		return false;
	for (uint32_t i = 0; i < workload->options.slot_count; i++) {
		if (workload->slots[i].is_busy)
			return false;
	}
	return workload->is_stopped && (workload->verify_next == UINT64_MAX ||
					workload->verify_next >= workload->options.block_count);
}

void workload_resume(struct workload *workload)
{
	workload->is_stopped = false;
	workload->verify_next = UINT64_MAX;
	if (workload->channel != NULL)
		slots_wake(workload);
}

void workload_verify(struct workload *workload)
{
	ASSERT(workload->is_stopped && workload->channel != NULL);
	workload->verify_next = 0;
	slots_wake(workload);
}

const struct workload_stats *workload_stats(const struct workload *workload)
{
	return &workload->stats;
}

const char *workload_error(const struct workload *workload)
{
	return workload->error[0] == '\0' ? NULL : workload->error;
}

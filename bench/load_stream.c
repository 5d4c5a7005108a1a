/* SPDX-License-Identifier: Apache-2.0 */
/* load_stream.c - slots that choose, submit and judge, each in its own small circle.
 *
 *	CHOOSE -> SUBMIT -> JUDGE -> CHOOSE ...	 until the run is ending -> LEAVE
 *	  |		      \-> PAUSE -> CHOOSE	after an error
 *	  \-> AWAIT -> LOOK -> CHOOSE		with --rate, when none is due
 *
 * Invariants:
 *  1. A slot has at most one I/O out. Its buffer is its own.
 *  2. With a ledger, a unit is acquired from CHOOSE to JUDGE, so no two I/Os meet in a unit.
 *  3. Latency is from submission to the judgement of the answer; of an I/O that follows another
 *     without stamping, submission counts from that judgement, so none of the loop's time is lost.
 *     With --rate it is from the time when the schedule had it due, whenever it was submitted.
 */
#include "bench/load_stream.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAUSE_NS 1000000 /* after an error: a dead device is not asked in a hot loop */

enum slot_step {
	SLOT_CHOOSE,
	SLOT_AWAIT,
	SLOT_LOOK,
	SLOT_SUBMIT,
	SLOT_JUDGE,
	SLOT_PAUSE,
	SLOT_LEAVE,
};

struct load_slot {
	struct op op;
	enum slot_step step;
	struct load_stream *stream;
	struct buffer *buffer;
	struct iovec iov;
	uint64_t unit;
	uint32_t generation; /* of the write under way */
	uint64_t now_ns;     /* when the answer before was judged */
	uint64_t submitted_ns;
	uint64_t due_ns; /* with --rate */
	struct load_pace_waiter waiter;
	struct reactor_timer pause;
	struct bdev_io io;
};

/* Of the turn: asked for once for all that came with it, as the floor does. */
static uint64_t clock_now(const struct load_stream *stream)
{
	return reactor_now_ns(stream->shared->reactor);
}

static bool unit_acquire(struct load_stream *stream, uint64_t unit)
{
	return stream->ledger == NULL || ledger_acquire(stream->ledger, unit);
}

/* There are more units than slots, so that one is free. */
static uint64_t unit_choose(struct load_stream *stream)
{
	uint64_t unit;

	if (stream->shared->options->is_sequential)
		unit = stream->unit_next++ % stream->unit_count;
	else
		unit = prng_below(&stream->prng, stream->unit_count);
	while (!unit_acquire(stream, unit))
		unit = (unit + 1) % stream->unit_count;
	return unit;
}

/* Units that nobody knows of cannot be checked: written instead of read. */
static enum io_type type_choose(struct load_stream *stream, uint64_t unit)
{
	if (!prng_chance(&stream->prng, stream->shared->options->read_percent, 100))
		return IO_WRITE;
	if (stream->ledger != NULL && ledger_is_unknown(stream->ledger, unit))
		return IO_WRITE;
	return IO_READ;
}

static enum slot_step sweep_choose(struct load_slot *slot)
{
	struct load_stream *stream = slot->stream;

	while (stream->unit_next < stream->unit_count &&
	       ledger_is_unknown(stream->ledger, stream->unit_next))
		stream->unit_next++;
	if (stream->unit_next == stream->unit_count)
		return SLOT_LEAVE;
	slot->unit = stream->unit_next++;
	slot->io.type = IO_READ;
	if (!unit_acquire(stream, slot->unit))
		ASSERT(!"a unit is swept twice");
	return SLOT_SUBMIT;
}

static enum slot_step slot_choose(struct load_slot *slot)
{
	struct load_stream *stream = slot->stream;
	struct load_shared *shared = stream->shared;
	const struct load_options *options = shared->options;

	ASSERT(op_is_idle(&slot->op));
	if (shared->is_ending)
		return SLOT_LEAVE;
	if (stream->is_sweeping)
		return sweep_choose(slot);
	if (options->count != 0 && shared->begun_count == options->count)
		return SLOT_LEAVE;
	if (options->rate != 0 && !load_pace_take(&shared->pace, slot->now_ns, &slot->due_ns))
		return SLOT_AWAIT;
	shared->begun_count++;
	if (options->flush_every != 0 && stream->writes_until_flush == 0) {
		stream->writes_until_flush = options->flush_every;
		slot->io.type = IO_FLUSH;
		return SLOT_SUBMIT;
	}
	slot->unit = unit_choose(stream);
	slot->io.type = type_choose(stream, slot->unit);
	if (slot->io.type == IO_WRITE && stream->writes_until_flush > 0)
		stream->writes_until_flush--;
	return SLOT_SUBMIT;
}

static uint8_t *slot_block(const struct load_slot *slot, uint32_t index)
{
	return slot->buffer->bytes + (size_t)index * slot->stream->channel->bdev->block_bytes;
}

/* The stamp that block @index of the slot's unit has to carry. */
static struct stamp slot_stamp(const struct load_slot *slot, uint32_t index)
{
	return (struct stamp){
		.block = slot->io.range.first + index,
		.seed = slot->stream->stamp_seed,
		.generation = slot->generation,
	};
}

static void slot_stamp_all(struct load_slot *slot)
{
	struct load_stream *stream = slot->stream;

	slot->generation = ledger_write_begin(stream->ledger, slot->unit);
	for (uint32_t i = 0; i < stream->unit_blocks; i++) {
		struct stamp stamp = slot_stamp(slot, i);

		stamp_write(slot_block(slot, i), stream->channel->bdev->block_bytes, &stamp);
	}
}

static enum op_flow slot_submit(struct load_slot *slot)
{
	struct load_stream *stream = slot->stream;
	struct bdev_io *io = &slot->io;
	bool has_data = io->type != IO_FLUSH;

	io->parent = &slot->op;
	io->is_fua = io->type == IO_WRITE && stream->shared->options->is_fua;
	io->range = (struct block_range){0};
	if (has_data) {
		io->range.first = (stream->unit_first + slot->unit) * stream->unit_blocks;
		io->range.count = stream->unit_blocks;
	}
	io->iov = has_data ? &slot->iov : NULL;
	io->iov_count = has_data ? 1 : 0;
	slot->submitted_ns = slot->now_ns;
	if (stream->ledger != NULL) {
		if (io->type == IO_WRITE)
			slot_stamp_all(slot);
		slot->submitted_ns = clock_now(stream);
	}
	if (stream->shared->options->rate != 0 && !stream->is_sweeping)
		slot->submitted_ns = slot->due_ns;
	op_wait(&slot->op);
	bdev_submit(stream->channel, io);
	return op_join(&slot->op);
}

static void slot_mismatch(struct load_slot *slot, uint32_t index, enum stamp_verdict verdict,
			  const struct stamp *found)
{
	struct load_stream *stream = slot->stream;
	struct load_mismatch *mismatch = &stream->shared->result.mismatch;

	stream->shared->is_ending = true;
	if (mismatch->uri != NULL)
		return;
	*mismatch = (struct load_mismatch){
		.uri = stream->uri,
		.verdict = verdict,
		.wanted = slot_stamp(slot, index),
		.found = *found,
		.expectation = ledger_expectation(stream->ledger, slot->unit),
		.block_bytes = stream->channel->bdev->block_bytes,
		.is_in_sweep = stream->is_sweeping,
	};
	mismatch->wanted.generation = mismatch->expectation.newest;
	memcpy(mismatch->bytes, slot_block(slot, index), LOAD_BYTES_SHOWN);
}

static void slot_check_all(struct load_slot *slot)
{
	struct load_stream *stream = slot->stream;
	struct ledger_expectation expectation = ledger_expectation(stream->ledger, slot->unit);

	if (expectation.oldest == 0)
		return;
	for (uint32_t i = 0; i < stream->unit_blocks; i++) {
		struct stamp wanted = slot_stamp(slot, i);
		struct stamp found;
		enum stamp_verdict verdict =
			stamp_check(slot_block(slot, i), stream->channel->bdev->block_bytes,
				    &wanted, &expectation, &found);

		if (verdict != STAMP_OK) {
			slot_mismatch(slot, i, verdict, &found);
			return;
		}
		stream->shared->result.checked_blocks++;
	}
}

static void slot_judge_ledger(struct load_slot *slot)
{
	struct ledger *ledger = slot->stream->ledger;
	bool is_ok = slot->io.status == IO_OK;

	if (slot->io.type == IO_FLUSH)
		return;
	if (slot->io.type == IO_WRITE)
		ledger_write_end(ledger, slot->unit, is_ok);
	else if (is_ok)
		slot_check_all(slot);
	ledger_release(ledger, slot->unit);
}

static enum slot_step slot_judge(struct load_slot *slot)
{
	struct load_stream *stream = slot->stream;
	struct load_result *result = &stream->shared->result;
	enum io_type type = slot->io.type;

	ASSERT(type < LOAD_TYPE_COUNT && slot->io.status < LOAD_STATUS_COUNT);
	slot->now_ns = clock_now(stream);
	if (stream->ledger != NULL)
		slot_judge_ledger(slot);
	if (slot->io.status != IO_OK) {
		result->errors[slot->io.status]++;
		result->error_count++;
		result->unread_units += stream->is_sweeping;
		return bdev_is_removed(stream->channel->bdev) ? SLOT_LEAVE : SLOT_PAUSE;
	}
	if (stream->is_sweeping) {
		result->swept_units++;
		return SLOT_CHOOSE;
	}
	histogram_record(&result->latency_ns[type], slot->now_ns - slot->submitted_ns);
	if (type != IO_FLUSH)
		result->bytes[type] += slot->iov.iov_len;
	return SLOT_CHOOSE;
}

static void pause_expired(struct reactor_timer *timer)
{
	struct load_slot *slot = container_of(timer, struct load_slot, pause);

	slot->now_ns = clock_now(slot->stream);
	op_wake(&slot->op);
}

static void slot_run(struct op *op)
{
	struct load_slot *slot = container_of(op, struct load_slot, op);

	for (;;) {
		switch (slot->step) {
		case SLOT_CHOOSE:
			slot->step = slot_choose(slot);
			break;
		case SLOT_AWAIT:
			slot->step = SLOT_LOOK;
			load_pace_await(&slot->stream->shared->pace, &slot->waiter);
			return;
		case SLOT_LOOK:
			slot->step = SLOT_CHOOSE;
			slot->now_ns = clock_now(slot->stream);
			break;
		case SLOT_SUBMIT:
			slot->step = SLOT_JUDGE;
			/* Answered at once: the others and the ring have their turn all the same.
			 */
			if (slot_submit(slot) == OP_NEXT)
				op_wake(op);
			return;
		case SLOT_JUDGE:
			slot->step = slot_judge(slot);
			break;
		case SLOT_PAUSE:
			slot->step = SLOT_CHOOSE;
			reactor_timer_start(&slot->pause, PAUSE_NS);
			return;
		case SLOT_LEAVE:
			op_done(slot->stream->shared->parent);
			return;
		}
	}
}

static int stream_error(char ret_error[ERROR_TEXT_BYTES], const struct load_stream *stream,
			const char *reason)
{
	snprintf(ret_error, ERROR_TEXT_BYTES, "%.300s: %s", stream->uri, reason);
	return -EINVAL;
}

/* Which units are the stream's. */
static int units_init(struct load_stream *stream, char ret_error[ERROR_TEXT_BYTES])
{
	const struct load_options *options = stream->shared->options;
	const struct bdev *bdev = stream->channel->bdev;
	uint64_t size_bytes = bdev_size_bytes(bdev);
	uint64_t units;

	if (options->size_bytes % bdev->block_bytes != 0)
		return stream_error(ret_error, stream,
				    "--size is no multiple of the device's blocks of 4096 bytes");
	if (options->span_bytes != 0 && options->span_bytes < size_bytes)
		size_bytes = options->span_bytes;
	units = size_bytes / options->size_bytes;
	stream->unit_blocks = options->size_bytes / bdev->block_bytes;
	stream->unit_first = 0;
	if (options->is_verifying) {
		units /= stream->slice_count;
		if (units > LEDGER_UNITS_MAX)
			units = LEDGER_UNITS_MAX;
		stream->unit_first = units * stream->slice_index;
	}
	stream->unit_count = units;
	if (units < 2 * (uint64_t)options->depth)
		return stream_error(ret_error, stream,
				    "the device (or --span) is too small: it must hold twice "
				    "--depth I/Os of --size for each connection");
	return 0;
}

static int slots_init(struct load_stream *stream)
{
	struct load_shared *shared = stream->shared;

	stream->slots = memory_alloc_array(shared->options->depth, sizeof(stream->slots[0]));
	if (stream->slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < shared->options->depth; i++) {
		struct load_slot *slot = &stream->slots[i];

		slot->stream = stream;
		slot->buffer = buffer_acquire(reactor_buffers(shared->reactor),
					      shared->options->size_bytes);
		ASSERT(slot->buffer != NULL); /* the pool was made large enough */
		prng_fill(&stream->prng, slot->buffer->bytes, shared->options->size_bytes);
		op_init(&slot->op, reactor_ready(shared->reactor), slot_run);
		load_pace_waiter_init(&slot->waiter, &slot->op);
		reactor_timer_init(&slot->pause, shared->reactor, pause_expired);
	}
	return 0;
}

int load_stream_init(struct load_stream *stream, char ret_error[ERROR_TEXT_BYTES])
{
	const struct load_options *options = stream->shared->options;
	int rc;

	ASSERT(stream->channel != NULL && stream->slots == NULL);
	rc = units_init(stream, ret_error);
	if (rc < 0)
		return rc;
	snprintf(ret_error, ERROR_TEXT_BYTES, "no memory: lower --depth or --connections");
	prng_init(&stream->prng, stream->stamp_seed);
	stream->writes_until_flush = options->flush_every;
	rc = slots_init(stream);
	if (rc < 0 || !options->is_verifying)
		return rc;
	return ledger_create(stream->unit_count, &stream->ledger);
}

void load_stream_deinit(struct load_stream *stream)
{
	for (uint32_t i = 0; stream->slots != NULL && i < stream->shared->options->depth; i++) {
		ASSERT(op_is_idle(&stream->slots[i].op));
		buffer_release(reactor_buffers(stream->shared->reactor), stream->slots[i].buffer);
	}
	memory_free(stream->slots);
	stream->slots = NULL;
	ledger_destroy(stream->ledger);
	stream->ledger = NULL;
}

void load_stream_probe(struct load_stream *stream)
{
	struct load_slot *slot = &stream->slots[0];

	slot->iov.iov_base = slot->buffer->bytes;
	slot->iov.iov_len = stream->shared->options->size_bytes;
	slot->io = (struct bdev_io){
		.parent = stream->shared->parent,
		.type = IO_READ,
		.range = {.first = stream->unit_first * stream->unit_blocks,
			  .count = stream->unit_blocks},
		.iov = &slot->iov,
		.iov_count = 1,
	};
	op_wait(stream->shared->parent);
	bdev_submit(stream->channel, &slot->io);
}

enum io_status load_stream_probe_status(const struct load_stream *stream)
{
	return stream->slots[0].io.status;
}

static void slots_start(struct load_stream *stream)
{
	for (uint32_t i = 0; i < stream->shared->options->depth; i++) {
		struct load_slot *slot = &stream->slots[i];

		slot->step = SLOT_CHOOSE;
		slot->iov.iov_base = slot->buffer->bytes;
		slot->iov.iov_len = stream->shared->options->size_bytes;
		slot->now_ns = clock_now(stream);
		op_wait(stream->shared->parent);
		op_start(&slot->op);
	}
}

void load_stream_start(struct load_stream *stream)
{
	stream->is_sweeping = false;
	stream->unit_next = 0;
	slots_start(stream);
}

void load_stream_sweep(struct load_stream *stream)
{
	ASSERT(stream->ledger != NULL);
	stream->is_sweeping = true;
	stream->unit_next = 0;
	slots_start(stream);
}

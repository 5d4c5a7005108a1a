/* SPDX-License-Identifier: Apache-2.0 */
/* load_stream.h - the loop over one opened device; private to mayastor-load.
 *
 * A stream keeps `depth` I/Os in flight; each answer is judged and the next is begun, at once or,
 * with --rate, when the schedule of all streams has one due. All streams live on one reactor and
 * add to one result.
 */
#ifndef BENCH_LOAD_STREAM_H
#define BENCH_LOAD_STREAM_H

#include "base/prng.h"
#include "bench/histogram.h"
#include "bench/load_options.h"
#include "bench/load_pace.h"
#include "bench/stamp.h"
#include "block/bdev_registry.h"
#include "reactor/buffer_pool.h"

#define LOAD_STATUS_COUNT (IO_INTERNAL_ERROR + 1)
#define LOAD_TYPE_COUNT	  (IO_FLUSH + 1) /* IO_READ, IO_WRITE, IO_FLUSH */
#define LOAD_BYTES_SHOWN  48

/* The first block that was not what it had to be. */
struct load_mismatch {
	const char *uri; /* NULL: there was none */
	enum stamp_verdict verdict;
	struct stamp wanted; /* its generation is expectation.newest */
	struct stamp found;
	struct ledger_expectation expectation;
	uint32_t block_bytes;
	bool is_in_sweep;
	uint8_t bytes[LOAD_BYTES_SHOWN]; /* how the block began */
};

struct load_result {
	struct histogram latency_ns[LOAD_TYPE_COUNT];
	uint64_t bytes[LOAD_TYPE_COUNT];
	uint64_t errors[LOAD_STATUS_COUNT];
	uint64_t error_count;
	uint64_t checked_blocks;
	uint64_t swept_units;
	uint64_t unread_units; /* could not be read in the sweep */
	struct load_mismatch mismatch;
};

/* What all streams of a run share. */
struct load_shared {
	const struct load_options *options;
	struct reactor *reactor;
	struct op *parent; /* one op_done() for each slot that has ended */
	bool is_ending;	   /* no more I/O shall begin */
	uint64_t begun_count;
	struct load_pace pace; /* with --rate */
	struct load_result result;
};

struct load_slot;

struct load_stream {
	struct load_shared *shared;
	const char *uri;
	struct bdev_registry *registry;
	struct bdev_create create;
	struct bdev_destroy destroy;
	struct bdev_channel *channel;
	uint32_t slice_index; /* of slice_count: with --verify the units are divided */
	uint32_t slice_count;
	uint64_t stamp_seed;
	/* private to the stream */
	uint32_t unit_blocks;
	uint64_t unit_first;
	uint64_t unit_count;
	uint64_t unit_next; /* sequential, or the sweep */
	uint32_t writes_until_flush;
	bool is_sweeping;
	struct ledger *ledger;
	struct prng prng;
	struct load_slot *slots;
};

/**
 * load_stream_init - get ready for stream->channel's device
 * Return: 0; -EINVAL with @ret_error when the device does not fit the options; -ENOMEM.
 */
int load_stream_init(struct load_stream *stream, char ret_error[ERROR_TEXT_BYTES])
	__attribute__((warn_unused_result));
/** All slots have ended. A stream that was never initialised is fine. */
void load_stream_deinit(struct load_stream *stream);

/** One read, not measured: op_done(shared->parent) when answered. See load_stream_probe_status. */
void load_stream_probe(struct load_stream *stream);
enum io_status load_stream_probe_status(const struct load_stream *stream);

/** Begins the loop; `depth` answers to shared->parent tell that it has ended. */
void load_stream_start(struct load_stream *stream);
/** The same for reading back all that was written, once. */
void load_stream_sweep(struct load_stream *stream);

#endif

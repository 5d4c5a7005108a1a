/* SPDX-License-Identifier: Apache-2.0 */
/* history.h - what a volume may answer: a register per block, checked at every read.
 *
 * Every block that is written carries a stamp: which volume, which block, which write. A read
 * must return, for each block, the whole stamp of one write to that very block which
 *  1. was not overwritten for certain before the read began: a later write began after this one
 *     had taken effect, and was answered before the read began;
 *  2. was submitted before the read ended.
 * A write takes effect between its submission and its answer. A write without an answer, or with
 * an error, is unknown: it takes effect at any time or never, but a read that returned it fixes
 * that it has; everything older is gone from then on. So does the first write that was submitted
 * after the error and answered: a command that its host gave up must not act behind the back of the
 * host's later ones.
 *
 * Losing the power of all copies at once may take back what no flush has covered; everything that
 * was answered before an answered flush began stays.
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct history;

#define HISTORY_ERROR_BYTES 256

struct history_options {
	uint64_t volume; /* in every stamp */
	uint64_t block_count;
	uint32_t block_bytes;
	/* The host sends unanswered writes again: one that was seen may take effect once more. */
	bool is_repeating;
	/*
	 * A read that returned a write still under way binds later reads. Otherwise it may be seen,
	 * unseen and seen again until it is answered.
	 */
	bool is_strict;
};

struct history *history_create(const struct history_options *options);
void history_destroy(struct history *history);

/* A host's operation; embed. Times are virtual. */
struct history_io {
	uint64_t first_block;
	uint64_t block_count;
	uint64_t begun_ns;
	uint64_t sequence; /* of a write */
	bool is_zeroes;
	uint32_t slot; /* private */
};

/* Reads under way at a time. */
#define HISTORY_READS_MAX 256

/** Registers a write, or zeroing, and gives it a sequence. */
void history_write_begin(struct history *history, struct history_io *io, uint64_t now_ns);
/** Stamps for the write's blocks into @bytes. */
void history_stamp(const struct history *history, const struct history_io *io, void *bytes);
/** Answered: OK (@is_durable: with FUA), or unknown from now on. */
void history_write_done(struct history *history, const struct history_io *io, uint64_t now_ns,
			bool is_durable);
void history_write_unknown(struct history *history, const struct history_io *io, uint64_t now_ns);

void history_read_begin(struct history *history, struct history_io *io, uint64_t now_ns);
/** Return: false and one sentence when the content is impossible. */
bool history_read_done(struct history *history, const struct history_io *io, uint64_t now_ns,
		       const void *bytes, char ret_error[HISTORY_ERROR_BYTES]);

/** A read that failed says nothing. */
void history_read_failed(struct history *history, const struct history_io *io);

void history_flush_begin(struct history *history, struct history_io *io, uint64_t now_ns);
void history_flush_done(struct history *history, const struct history_io *io);

/**
 * All copies lost their power: what no flush covered may be back at an older state. That includes
 * writes whose answer was on its way then, so of those begun before only FUA counts as answered.
 */
void history_power_cut(struct history *history, uint64_t now_ns);

/**
 * Who put the copies in order has crashed: which copies have a write without an answer is open
 * again, although reads may have returned it. A volume that promises more does not call this.
 */
void history_owner_crashed(struct history *history, uint64_t now_ns);

/** Is there exactly one content that @block can have now? */
bool history_is_certain(const struct history *history, uint64_t block);

#endif

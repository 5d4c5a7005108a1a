/* SPDX-License-Identifier: Apache-2.0 */
/* history.h - what a volume may answer: a register per block, checked at every read.
 *
 * One history a volume, shared by all hosts that use it. Every block that is written carries a
 * stamp: which volume, which block, which write. A read must return, for each block, the whole
 * stamp of one write to that very block which
 *  1. was not overwritten for certain before the read began: a later write began after this one
 *     had taken effect, and was answered before the read began;
 *  2. was submitted before the read ended.
 *
 * A write takes effect between its submission and its answer. A write without an answer, or with
 * an error, is unknown: it takes effect at any time or never, but a read that returned it fixes
 * that it has; everything older is gone from then on. So does the first write of the same host that
 * was submitted after the error and answered: a command that its host gave up must not act behind
 * the back of that host's later ones, whichever path these took. In the blocks of that later write
 * the given up one is gone. Another host's writes settle nothing.
 *
 * A write that was repeated while its first copy was alive may take effect twice, the second time
 * even after its answer, but under the same bound: the same host's later answered write.
 *
 * A write that was refused has no effect. While a host is denied for certain (a reservation of
 * another one was answered, reservation_check.h), nothing of it takes effect.
 *
 * Losing the power of all copies at once may take back what no flush has covered; everything that
 * was answered before an answered flush began stays, whoever wrote it and whoever flushed.
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct history;

#define HISTORY_ERROR_BYTES 256
#define HISTORY_HOSTS_MAX   4
#define HISTORY_NEVER_NS    UINT64_MAX

struct history_options {
	uint64_t volume; /* in every stamp */
	uint64_t block_count;
	uint32_t block_bytes;
	/*
	 * A read that returned a write still under way binds later reads. Otherwise it may be seen,
	 * unseen and seen again until it is answered.
	 */
	bool is_strict;
	/*
	 * How long a command that was given up, or the first copy of a repeated one, may be under
	 * way in the network without anybody knowing of it; only after that the same host's later
	 * writes settle it. 0: commands end with the connection that carried them.
	 */
	uint64_t ghost_ns;
};

struct history *history_create(const struct history_options *options);
void history_destroy(struct history *history);

/* A host's operation; embed. Times are virtual. */
struct history_io {
	uint64_t first_block;
	uint64_t block_count;
	uint64_t begun_ns;
	uint64_t sequence; /* of a write; at a swap's comparison, of the write that follows it */
	uint32_t host;	   /* below HISTORY_HOSTS_MAX */
	bool is_zeroes;
	/* Sent again when its connection is lost: until it is answered it may act several times. */
	bool is_repeating;
	/* It was sent again while a copy may be alive; may be set until it is done. */
	bool is_repeated;
	uint32_t slot; /* private */
};

/* Reads and comparisons under way at a time. */
#define HISTORY_READS_MAX 256

/** Registers a write, or zeroing, and gives it a sequence. */
void history_write_begin(struct history *history, struct history_io *io, uint64_t now_ns);
/** Stamps for the write's blocks into @bytes. */
void history_stamp(const struct history *history, const struct history_io *io, void *bytes);
/** Answered: OK (@is_durable: with FUA), or unknown from now on. */
void history_write_done(struct history *history, const struct history_io *io, uint64_t now_ns,
			bool is_durable);
void history_write_unknown(struct history *history, const struct history_io *io, uint64_t now_ns);
/** It has no effect. Return: false if a read had returned it. */
bool history_write_refused(struct history *history, const struct history_io *io, uint64_t now_ns);

void history_read_begin(struct history *history, struct history_io *io, uint64_t now_ns);
/** Return: false and one sentence when the content is impossible. */
bool history_read_done(struct history *history, const struct history_io *io, uint64_t now_ns,
		       const void *bytes, char ret_error[HISTORY_ERROR_BYTES]);

/** A read or comparison that failed says nothing. */
void history_read_failed(struct history *history, const struct history_io *io);

/**
 * history_expect - something that the range may contain now, to compare with
 * @draw chooses among what each block may contain; 0: the youngest that is surely there or was.
 */
void history_expect(const struct history *history, const struct history_io *io, uint64_t draw,
		    void *bytes);
/**
 * history_compare_differed - the range was compared with @bytes, and something else was there
 * It began with history_read_begin(). One that found them equal ends with history_read_done(): it
 * is as if a read had returned them. Return: false and one sentence when no block can have
 * differed.
 */
bool history_compare_differed(struct history *history, const struct history_io *io,
			      const void *bytes, char ret_error[HISTORY_ERROR_BYTES]);

/**
 * history_swap_check - @write took the place of @expected in one step (compare and write)
 * Besides, its comparison and its write end like any others.
 * Return: false and one sentence when another write has taken the same content's place.
 */
bool history_swap_check(struct history *history, const struct history_io *write,
			const void *expected, char ret_error[HISTORY_ERROR_BYTES]);

void history_flush_begin(struct history *history, struct history_io *io, uint64_t now_ns);
void history_flush_done(struct history *history, const struct history_io *io);

/** No write of @host takes effect, from @since_ns until this is called again;
 * HISTORY_NEVER_NS: it may write. */
void history_host_denied(struct history *history, uint32_t host, uint64_t since_ns);

/**
 * All copies lost their power: what no flush covered may be back at an older state. That includes
 * writes whose answer was on its way then, so of those begun before only FUA counts as answered.
 */
void history_power_cut(struct history *history, uint64_t now_ns);
/** When that was last; 0: never. */
uint64_t history_power_cut_ns(const struct history *history);

/**
 * Who put the copies in order has crashed: which copies have a write without an answer is open
 * again, although reads may have returned it. A volume that promises more does not call this.
 */
void history_owner_crashed(struct history *history, uint64_t now_ns);

#endif

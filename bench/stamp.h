/* SPDX-License-Identifier: Apache-2.0 */
/* stamp.h - blocks that say what they are, and a ledger of what may be read back.
 *
 * A stamped block carries its own place, the generation of its content, the seed of the run and
 * a checksum; its other bytes follow from these. So lost, torn, misdirected and mixed-up writes
 * are all seen.
 *
 * The ledger keeps, for each unit (the blocks that one I/O covers), which generations are
 * acceptable: the last acknowledged one, and every later one that was answered with an error, for
 * such a write may or may not have happened, block by block. An acknowledged write ends the doubt.
 * At most one I/O at a time touches a unit. Single thread.
 */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_UNITS_MAX (16u * 1024 * 1024) /* 8 bytes and a bit each */

struct stamp {
	uint64_t block;
	uint64_t seed;
	uint32_t generation; /* from 1 */
};

/** Makes one block of @block_bytes (512 or 4096). */
void stamp_write(uint8_t *bytes, uint32_t block_bytes, const struct stamp *stamp);

enum stamp_verdict {
	STAMP_OK,
	STAMP_NOT_STAMPED, /* something else: zeroes, foreign data */
	STAMP_DAMAGED,	   /* is one of ours, but its checksum does not hold */
	STAMP_OTHER_BLOCK,
	STAMP_OTHER_RUN,
	STAMP_TOO_OLD, /* an acknowledged write was lost */
	STAMP_TOO_NEW, /* a generation that was never written */
};

struct ledger;

struct ledger_expectation {
	uint32_t oldest; /* 0: anything */
	uint32_t newest;
};

/**
 * stamp_check - is this block what it has to be?
 * @wanted: block and seed; the generation is not looked at.
 * @expectation: which generations are fine, not with oldest 0.
 * @ret_found: what the block says, as far as it says anything.
 */
enum stamp_verdict stamp_check(const uint8_t *bytes, uint32_t block_bytes,
			       const struct stamp *wanted,
			       const struct ledger_expectation *expectation,
			       struct stamp *ret_found);

/** One sentence without an end: "generation is too old: the acknowledged write ... was lost". */
const char *stamp_verdict_text(enum stamp_verdict verdict);

/** Return: 0, -ENOMEM; -EINVAL when @unit_count is 0 or over LEDGER_UNITS_MAX. */
int ledger_create(uint64_t unit_count, struct ledger **ret_ledger)
	__attribute__((warn_unused_result));
void ledger_destroy(struct ledger *ledger);

/** Marks @unit as touched by an I/O. Return: false when it is already. */
bool ledger_acquire(struct ledger *ledger, uint64_t unit);
void ledger_release(struct ledger *ledger, uint64_t unit);

/** Nothing is known of it, so a read of it proves nothing. */
bool ledger_is_unknown(const struct ledger *ledger, uint64_t unit);

/** A write begins. Return: its generation. Acquired units only. */
uint32_t ledger_write_begin(struct ledger *ledger, uint64_t unit);
/** It was answered, well or not. */
void ledger_write_end(struct ledger *ledger, uint64_t unit, bool is_acknowledged);

struct ledger_expectation ledger_expectation(const struct ledger *ledger, uint64_t unit);

/** Units whose last write was answered with an error. */
uint64_t ledger_doubtful_count(const struct ledger *ledger);

#endif

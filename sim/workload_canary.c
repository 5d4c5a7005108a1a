/* SPDX-License-Identifier: Apache-2.0 */
/* workload_canary.c - one wrong answer, to see whether anybody complains.
 *
 * Invariant: what it makes of an answer is wrong for certain, whatever else goes on: a bit that no
 * stamp has, another block's stamp, or a content that the same host overwrote, with an answer,
 * before the read began.
 */
#include "sim/workload_impl.h"

#include <string.h>

enum canary_kind {
	CANARY_FLIP,
	CANARY_SWAP,
	CANARY_OLD,
	CANARY_KINDS,
};

/* Operations after which a kind that found no occasion becomes the one that needs none. */
#define PATIENCE 300

void workload_canary(struct workload *workload, uint64_t operations)
{
	struct prng prng;

	prng_init(&prng, workload->seed ^ operations);
	workload->canary = (struct canary){
		.state = CANARY_WAITS,
		.operations = operations,
		.kind = (uint32_t)prng_below(&prng, CANARY_KINDS),
	};
}

bool workload_canary_is_sung(const struct workload *workload)
{
	return workload->canary.state == CANARY_SUNG;
}

/* Looks for a write that is overwritten by another one: both answered, one after the other. */
void canary_note_write(struct slot *slot)
{
	struct workload *workload = slot->workload;
	struct canary *canary = &workload->canary;
	const struct history_io *io = &slot->history;

	if (canary->state != CANARY_WAITS || canary->kind != CANARY_OLD || io->is_zeroes ||
	    io->is_repeating || io->is_repeated || canary->overwritten_ns != 0)
		return;
	if (canary->sequence != 0 && canary->block >= io->first_block &&
	    canary->block < io->first_block + io->block_count &&
	    io->begun_ns > canary->answered_ns) {
		canary->overwritten_ns = workload_now_ns(workload);
		return;
	}
	if (canary->sequence != 0)
		return;
	canary->block = io->first_block;
	canary->sequence = io->sequence;
	canary->answered_ns = workload_now_ns(workload);
}

static bool swap_try(struct slot *slot)
{
	uint32_t bytes = slot->workload->options.block_bytes;
	uint8_t kept[BLOCK_BYTES_MAX];

	ASSERT(bytes <= sizeof(kept));
	if (slot->io.range.count < 2 || memcmp(slot->buffer, slot->buffer + bytes, bytes) == 0)
		return false;
	memcpy(kept, slot->buffer, bytes);
	memcpy(slot->buffer, slot->buffer + bytes, bytes);
	memcpy(slot->buffer + bytes, kept, bytes);
	return true;
}

static bool old_try(struct slot *slot)
{
	const struct workload *workload = slot->workload;
	const struct canary *canary = &workload->canary;
	struct block_range range = slot->io.range;
	struct history_io old = {
		.first_block = canary->block, .block_count = 1, .sequence = canary->sequence};

	if (canary->overwritten_ns == 0 || slot->history.begun_ns <= canary->overwritten_ns ||
	    history_power_cut_ns(workload->options.history) >= canary->answered_ns ||
	    canary->block < range.first || canary->block >= range.first + range.count)
		return false;
	history_stamp(workload->options.history, &old,
		      slot->buffer + (canary->block - range.first) * workload->options.block_bytes);
	return true;
}

/* A read that was answered OK. */
void canary_spoil(struct slot *slot)
{
	struct workload *workload = slot->workload;
	struct canary *canary = &workload->canary;
	bool is_done = false;

	ASSERT(slot->io.type == IO_READ && slot->io.status == IO_OK);
	if (canary->state != CANARY_WAITS || workload->stats.done < canary->operations)
		return;
	if (workload->stats.done >= canary->operations + PATIENCE)
		canary->kind = CANARY_FLIP;
	switch ((enum canary_kind)canary->kind) {
	case CANARY_FLIP:
		slot->buffer[workload->options.block_bytes / 2] ^= 0x10;
		is_done = true;
		break;
	case CANARY_SWAP:
		is_done = swap_try(slot);
		break;
	case CANARY_OLD:
		is_done = old_try(slot);
		break;
	case CANARY_KINDS:
		ASSERT(!"a kind of the list");
	}
	if (!is_done)
		return;
	canary->state = CANARY_SUNG;
	sim_trace(workload->options.sim, "canary", canary->kind, slot->io.range.first,
		  slot->io.range.count);
}

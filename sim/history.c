/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - the candidates of each block: how they come, take effect and die.
 *
 * A candidate is a write that the block's content may come from. It dies when another one must
 * have overwritten it: at dead_ns for what hosts may read, and durably when the killer itself
 * survives every loss of power. Durably dead ones are forgotten. What reads say is in
 * history_read.c.
 *
 * Invariants:
 *  1. Every block has a candidate that is not durably dead.
 *  2. A candidate that has ended and may still take effect is in an open write of its host; those
 *     are few, so that settling them costs little.
 *  3. A block is in history->crowded if and only if it has several candidates.
 */
#include "sim/history_impl.h"
#include "sim/history_stamp.h"

#include <stdlib.h>
#include <string.h>

/* ---- candidates ---- */

static void candidate_add(struct history *history, struct block *block,
			  const struct candidate *candidate)
{
	if (block->count == block->capacity) {
		block->capacity = block->capacity == 0 ? 1 : block->capacity * 4;
		block->candidates =
			realloc(block->candidates, block->capacity * sizeof(block->candidates[0]));
		ASSERT(block->candidates != NULL);
	}
	block->candidates[block->count++] = *candidate;
	if (block->count < 2 || block->crowd_place != 0)
		return;
	history->crowded[history->crowded_count++] = (uint32_t)(block - history->blocks);
	block->crowd_place = history->crowded_count;
}

/* The last crowded one takes its place, so walks of the list go from the end. */
static void block_leave_crowd(struct history *history, struct block *block)
{
	uint32_t last = history->crowded[history->crowded_count - 1];

	ASSERT(block->count == 1 && block->crowd_place > 0);
	history->crowded[block->crowd_place - 1] = last;
	history->blocks[last].crowd_place = block->crowd_place;
	history->crowded_count--;
	block->crowd_place = 0;
}

struct history *history_create(const struct history_options *options)
{
	const struct candidate initial = {
		.dead_ns = NEVER,
		.is_zeroes = true,
		.is_answered = true,
		.is_durable = true,
	};
	struct history *history =
		calloc(1, sizeof(*history) + options->block_count * sizeof(struct block));

	ASSERT(history != NULL);
	ASSERT(options->block_bytes % HISTORY_STAMP_BYTES == 0);
	ASSERT(options->block_count < UINT32_MAX);
	history->options = *options;
	history->sequence_next = 1;
	history->crowded = calloc(options->block_count, sizeof(history->crowded[0]));
	ASSERT(history->crowded != NULL);
	for (uint32_t i = 0; i < HISTORY_READS_MAX; i++)
		history->reads_begun_ns[i] = NEVER;
	for (uint32_t i = 0; i < HISTORY_HOSTS_MAX; i++)
		history->denied_since_ns[i] = NEVER;
	for (uint64_t i = 0; i < options->block_count; i++)
		candidate_add(history, &history->blocks[i], &initial);
	return history;
}

void history_destroy(struct history *history)
{
	for (uint64_t i = 0; i < history->options.block_count; i++)
		free(history->blocks[i].candidates);
	free(history->crowded);
	free(history->open);
	free(history);
}

/* The young ones are asked for most. */
struct candidate *candidate_find(struct block *block, uint64_t sequence)
{
	for (uint32_t i = block->count; i > 0; i--) {
		if (block->candidates[i - 1].sequence == sequence)
			return &block->candidates[i - 1];
	}
	return NULL;
}

/* Had @candidate ended, with all its copies, before its own host began @killer? */
static bool is_before_in_host(const struct history *history, const struct candidate *candidate,
			      const struct candidate *killer)
{
	if (candidate->host != killer->host || candidate->ended_ns >= killer->begun_ns ||
	    candidate->sequence == 0)
		return false;
	return candidate->effect_ns != NEVER &&
	       killer->begun_ns - candidate->ended_ns > history->options.ghost_ns;
}

/* Who took effect before @killer began is overwritten at the latest at @now_ns; so is who belongs
 * to the same host and had ended by then. */
void candidates_kill(const struct history *history, struct block *block,
		     const struct candidate *killer, uint64_t now_ns)
{
	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *candidate = &block->candidates[i];

		if (candidate == killer)
			continue;
		if (candidate->effect_ns >= killer->begun_ns &&
		    !(killer->is_answered && is_before_in_host(history, candidate, killer)))
			continue;
		if (candidate->dead_ns > now_ns)
			candidate->dead_ns = now_ns;
		if (killer->is_durable)
			candidate->is_dead_durably = true;
	}
}

/* Reads that began before @oldest_read_ns are not over: they may still return it. */
static void candidates_forget(struct history *history, struct block *block, uint64_t oldest_read_ns)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < block->count; i++) {
		const struct candidate *candidate = &block->candidates[i];

		if (!candidate->is_dead_durably || candidate->ended_ns == NEVER ||
		    candidate->dead_ns >= oldest_read_ns)
			block->candidates[kept++] = block->candidates[i];
	}
	ASSERT(kept > 0);
	block->count = kept;
	if (kept == 1)
		block_leave_crowd(history, block);
}

/* ---- open writes ---- */

static void open_add(struct history *history, const struct open_write *open)
{
	if (history->open_count == history->open_capacity) {
		history->open_capacity =
			history->open_capacity == 0 ? 16 : history->open_capacity * 2;
		history->open =
			realloc(history->open, history->open_capacity * sizeof(history->open[0]));
		ASSERT(history->open != NULL);
	}
	history->open[history->open_count++] = *open;
}

/* It has taken effect by now, or never will. */
static void open_close(struct history *history, const struct open_write *open, uint64_t now_ns)
{
	for (uint64_t i = 0; i < open->block_count; i++) {
		struct candidate *candidate =
			candidate_find(&history->blocks[open->first_block + i], open->sequence);

		if (candidate == NULL)
			continue;
		ASSERT(candidate->ended_ns != NEVER);
		if (candidate->is_repeated)
			candidate->swapped_by = 0; /* it may have been back since */
		candidate->is_repeated = false;
		if (candidate->effect_ns > now_ns)
			candidate->effect_ns = now_ns;
	}
}

/* What @host had given up before it began an answered write is settled. */
static void host_settle(struct history *history, uint32_t host, uint64_t begun_ns, uint64_t now_ns)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < history->open_count; i++) {
		const struct open_write *open = &history->open[i];

		if (open->host == host && open->ended_ns < begun_ns &&
		    begun_ns - open->ended_ns > history->options.ghost_ns)
			open_close(history, open, now_ns);
		else
			history->open[kept++] = *open;
	}
	history->open_count = kept;
}

static void write_stay_open(struct history *history, const struct history_io *io, uint64_t now_ns)
{
	const struct open_write open = {
		.sequence = io->sequence,
		.ended_ns = now_ns,
		.first_block = io->first_block,
		.block_count = io->block_count,
		.host = io->host,
	};

	open_add(history, &open);
}

/* ---- writes ---- */

void history_write_begin(struct history *history, struct history_io *io, uint64_t now_ns)
{
	const struct candidate candidate = {
		.sequence = history->sequence_next,
		.begun_ns = now_ns,
		.effect_ns = NEVER,
		.ended_ns = NEVER,
		.dead_ns = NEVER,
		.host = (uint8_t)io->host,
		.is_zeroes = io->is_zeroes,
		.is_repeating = io->is_repeating,
	};

	ASSERT(io->host < HISTORY_HOSTS_MAX);
	ASSERT(io->first_block + io->block_count <= history->options.block_count);
	history->sequence_next++;
	io->sequence = candidate.sequence;
	io->begun_ns = now_ns;
	for (uint64_t i = 0; i < io->block_count; i++)
		candidate_add(history, &history->blocks[io->first_block + i], &candidate);
}

void history_stamp(const struct history *history, const struct history_io *io, void *bytes)
{
	uint32_t block_bytes = history->options.block_bytes;

	ASSERT(!io->is_zeroes && io->sequence != 0);
	for (uint64_t i = 0; i < io->block_count; i++)
		stamp_write((uint8_t *)bytes + i * block_bytes, block_bytes,
			    history->options.volume, io->first_block + i, io->sequence);
}

/* Return: the candidate of a write that ends now. */
static struct candidate *candidate_end(struct history *history, const struct history_io *io,
				       uint64_t at, uint64_t now_ns)
{
	struct candidate *candidate =
		candidate_find(&history->blocks[io->first_block + at], io->sequence);

	ASSERT(candidate != NULL);
	ASSERT(candidate->ended_ns == NEVER);
	candidate->ended_ns = now_ns;
	return candidate;
}

void history_write_done(struct history *history, const struct history_io *io, uint64_t now_ns,
			bool is_durable)
{
	host_settle(history, io->host, io->begun_ns, now_ns);
	for (uint64_t i = 0; i < io->block_count; i++) {
		struct candidate *candidate = candidate_end(history, io, i, now_ns);

		if (io->is_repeated) {
			candidate->is_repeated = true;
			candidate->swapped_by = 0; /* it may have come back after it was swapped */
		} else if (candidate->effect_ns > now_ns) {
			candidate->effect_ns = now_ns;
		}
		if (io->begun_ns <= history->cut_ns && !is_durable)
			continue;
		candidate->is_answered = true;
		candidate->is_durable |= is_durable;
		candidates_kill(history, &history->blocks[io->first_block + i], candidate, now_ns);
	}
	if (io->is_repeated)
		write_stay_open(history, io, now_ns);
}

void history_write_unknown(struct history *history, const struct history_io *io, uint64_t now_ns)
{
	for (uint64_t i = 0; i < io->block_count; i++) {
		struct candidate *candidate = candidate_end(history, io, i, now_ns);

		candidate->is_repeated = io->is_repeated;
	}
	write_stay_open(history, io, now_ns);
}

bool history_write_refused(struct history *history, const struct history_io *io, uint64_t now_ns)
{
	bool was_seen = false;

	/* An earlier copy of it may have been let in. */
	if (io->is_repeating || io->is_repeated) {
		history_write_unknown(history, io, now_ns);
		return true;
	}
	for (uint64_t i = 0; i < io->block_count; i++) {
		struct candidate *candidate = candidate_end(history, io, i, now_ns);

		was_seen |= candidate->is_seen;
		candidate->dead_ns = 0;
		candidate->is_dead_durably = true;
	}
	return !was_seen;
}

void history_host_denied(struct history *history, uint32_t host, uint64_t since_ns)
{
	ASSERT(host < HISTORY_HOSTS_MAX);
	history->denied_since_ns[host] = since_ns;
}

/* ---- durability ---- */

void history_flush_begin(struct history *history, struct history_io *io, uint64_t now_ns)
{
	(void)history;
	io->begun_ns = now_ns;
}

static uint64_t oldest_read_ns(const struct history *history)
{
	uint64_t oldest = NEVER;

	for (uint32_t i = 0; i < HISTORY_READS_MAX; i++) {
		if (history->reads_begun_ns[i] < oldest)
			oldest = history->reads_begun_ns[i];
	}
	return oldest;
}

/* By when an answered write had taken effect at least once. */
static uint64_t first_effect_ns(const struct candidate *candidate)
{
	return candidate->effect_ns < candidate->ended_ns ? candidate->effect_ns
							  : candidate->ended_ns;
}

static void block_flushed(struct history *history, struct block *block, uint64_t begun_ns,
			  uint64_t oldest_ns)
{
	bool has_news = false;

	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *candidate = &block->candidates[i];

		if (!candidate->is_answered || candidate->is_durable ||
		    candidate->ended_ns >= begun_ns)
			continue;
		candidate->is_durable = true;
		has_news = true;
	}
	for (uint32_t i = 0; has_news && i < block->count; i++) {
		const struct candidate *candidate = &block->candidates[i];

		if (candidate->is_durable)
			candidates_kill(history, block, candidate, first_effect_ns(candidate));
	}
	candidates_forget(history, block, oldest_ns);
}

void history_flush_done(struct history *history, const struct history_io *io)
{
	uint64_t oldest_ns = oldest_read_ns(history);

	for (uint32_t i = history->crowded_count; i > 0; i--)
		block_flushed(history, &history->blocks[history->crowded[i - 1]], io->begun_ns,
			      oldest_ns);
}

/* Kept or lost: no later flush makes durable what may be lost by now; a swap may be lost, too. */
static void block_cut(struct block *block)
{
	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *candidate = &block->candidates[i];

		candidate->swapped_by = 0;
		if (!candidate->is_durable)
			candidate->is_answered = false;
		if (!candidate->is_dead_durably)
			candidate->dead_ns = NEVER;
	}
}

void history_power_cut(struct history *history, uint64_t now_ns)
{
	history->cut_ns = now_ns;
	history->crash_ns = now_ns;
	for (uint32_t i = 0; i < history->crowded_count; i++)
		block_cut(&history->blocks[history->crowded[i]]);
}

uint64_t history_power_cut_ns(const struct history *history)
{
	return history->cut_ns;
}

/* What reads have told is open again; what answers have told is not. */
static void block_reopen(struct history *history, uint64_t number)
{
	struct block *block = &history->blocks[number];

	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *candidate = &block->candidates[i];
		const struct open_write open = {
			.sequence = candidate->sequence,
			.ended_ns = candidate->ended_ns,
			.first_block = number,
			.block_count = 1,
			.host = candidate->host,
		};

		if (!candidate->is_dead_durably)
			candidate->dead_ns = NEVER;
		if (candidate->is_answered || candidate->effect_ns == NEVER ||
		    candidate->is_dead_durably)
			continue;
		candidate->effect_ns = NEVER;
		if (candidate->ended_ns != NEVER)
			open_add(history, &open);
	}
	for (uint32_t i = 0; i < block->count; i++) {
		const struct candidate *candidate = &block->candidates[i];

		if (candidate->is_answered)
			candidates_kill(history, block, candidate, first_effect_ns(candidate));
	}
}

void history_owner_crashed(struct history *history, uint64_t now_ns)
{
	history->crash_ns = now_ns;
	for (uint32_t i = 0; i < history->crowded_count; i++)
		block_reopen(history, history->crowded[i]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - the candidates of each block, and which of them are dead.
 *
 * A candidate is a write that the block's content may come from. It dies when another one must
 * have overwritten it: at dead_ns for what hosts may read, and durably when the killer itself
 * survives every loss of power. Durably dead ones are forgotten.
 */
#include "sim/history.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER	    UINT64_MAX
#define STAMP_MAGIC 0x6d61796173746f72u

struct stamp {
	uint64_t magic;
	uint64_t volume;
	uint64_t block;
	uint64_t sequence; /* never 0 */
};

struct candidate {
	uint64_t sequence;
	uint64_t begun_ns;
	uint64_t effect_ns; /* has taken effect by then, if ever; NEVER: may still do so */
	uint64_t failed_ns; /* NEVER: not given up */
	uint64_t dead_ns;   /* overwritten for certain from then on */
	bool is_zeroes;
	bool is_answered; /* certainly took effect */
	bool is_durable;
	bool is_dead_durably;
};

struct block {
	struct candidate *candidates; /* [0] may be the initial zeroes */
	uint32_t count;
	uint32_t capacity;
};

struct history {
	struct history_options options;
	uint64_t sequence_next;
	uint64_t cut_ns;			    /* last loss of power */
	uint64_t crash_ns;			    /* last crash of the owner, or loss of power */
	uint32_t unknown_count;			    /* candidates given up and not settled yet */
	uint64_t reads_begun_ns[HISTORY_READS_MAX]; /* NEVER: free */
	struct block blocks[];
};

static void candidate_add(struct block *block, const struct candidate *candidate)
{
	if (block->count == block->capacity) {
		block->capacity = block->capacity == 0 ? 4 : block->capacity * 2;
		block->candidates =
			realloc(block->candidates, block->capacity * sizeof(block->candidates[0]));
		ASSERT(block->candidates != NULL);
	}
	block->candidates[block->count++] = *candidate;
}

struct history *history_create(const struct history_options *options)
{
	const struct candidate initial = {
		.failed_ns = NEVER,
		.dead_ns = NEVER,
		.is_zeroes = true,
		.is_answered = true,
		.is_durable = true,
	};
	struct history *history =
		calloc(1, sizeof(*history) + options->block_count * sizeof(struct block));

	ASSERT(history != NULL);
	ASSERT(options->block_bytes % sizeof(struct stamp) == 0);
	history->options = *options;
	history->sequence_next = 1;
	for (uint32_t i = 0; i < HISTORY_READS_MAX; i++)
		history->reads_begun_ns[i] = NEVER;
	for (uint64_t i = 0; i < options->block_count; i++)
		candidate_add(&history->blocks[i], &initial);
	return history;
}

void history_destroy(struct history *history)
{
	for (uint64_t i = 0; i < history->options.block_count; i++)
		free(history->blocks[i].candidates);
	free(history);
}

static struct candidate *candidate_find(struct block *block, uint64_t sequence)
{
	for (uint32_t i = 0; i < block->count; i++) {
		if (block->candidates[i].sequence == sequence)
			return &block->candidates[i];
	}
	return NULL;
}

/* Whoever took effect before @killer began is overwritten at the latest at @now_ns. */
static void candidates_kill(struct block *block, const struct candidate *killer, uint64_t now_ns)
{
	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *candidate = &block->candidates[i];

		if (candidate->effect_ns >= killer->begun_ns || candidate == killer)
			continue;
		if (candidate->dead_ns > now_ns)
			candidate->dead_ns = now_ns;
		if (killer->is_durable)
			candidate->is_dead_durably = true;
	}
}

/* Reads that began before @oldest_read_ns are not over: they may still return it. */
static void candidates_forget(struct block *block, uint64_t oldest_read_ns)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < block->count; i++) {
		const struct candidate *candidate = &block->candidates[i];

		if (!candidate->is_dead_durably || candidate->dead_ns >= oldest_read_ns)
			block->candidates[kept++] = block->candidates[i];
	}
	ASSERT(kept > 0);
	block->count = kept;
}

/* ---- writes ---- */

void history_write_begin(struct history *history, struct history_io *io, uint64_t now_ns)
{
	struct candidate candidate = {
		.sequence = history->sequence_next++,
		.begun_ns = now_ns,
		.effect_ns = NEVER,
		.failed_ns = NEVER,
		.dead_ns = NEVER,
		.is_zeroes = io->is_zeroes,
	};

	io->sequence = candidate.sequence;
	io->begun_ns = now_ns;
	for (uint64_t i = 0; i < io->block_count; i++)
		candidate_add(&history->blocks[io->first_block + i], &candidate);
}

void history_stamp(const struct history *history, const struct history_io *io, void *bytes)
{
	uint32_t per_block = history->options.block_bytes / (uint32_t)sizeof(struct stamp);
	uint8_t *place = bytes;

	ASSERT(!io->is_zeroes && io->sequence != 0);
	for (uint64_t i = 0; i < io->block_count * per_block; i++) {
		const struct stamp stamp = {STAMP_MAGIC, history->options.volume,
					    io->first_block + i / per_block, io->sequence};

		memcpy(place, &stamp, sizeof(stamp));
		place += sizeof(stamp);
	}
}

/* What was given up before an answered write began has taken effect by now, or never will. */
static void unknown_settle(struct history *history, uint64_t begun_ns, uint64_t now_ns)
{
	if (history->unknown_count == 0)
		return;
	for (uint64_t b = 0; b < history->options.block_count; b++) {
		struct block *block = &history->blocks[b];

		for (uint32_t i = 0; i < block->count; i++) {
			struct candidate *candidate = &block->candidates[i];

			if (candidate->failed_ns >= begun_ns || candidate->effect_ns != NEVER)
				continue;
			candidate->effect_ns = now_ns;
			history->unknown_count--;
		}
	}
}

void history_write_done(struct history *history, const struct history_io *io, uint64_t now_ns,
			bool is_durable)
{
	unknown_settle(history, io->begun_ns, now_ns);
	for (uint64_t i = 0; i < io->block_count; i++) {
		struct block *block = &history->blocks[io->first_block + i];
		struct candidate *candidate = candidate_find(block, io->sequence);

		ASSERT(candidate != NULL);
		if (candidate->effect_ns > now_ns)
			candidate->effect_ns = now_ns;
		if (io->begun_ns <= history->cut_ns && !is_durable)
			continue;
		candidate->is_answered = true;
		candidate->is_durable |= is_durable;
		candidates_kill(block, candidate, now_ns);
	}
}

void history_write_unknown(struct history *history, const struct history_io *io, uint64_t now_ns)
{
	for (uint64_t i = 0; i < io->block_count; i++) {
		struct candidate *candidate =
			candidate_find(&history->blocks[io->first_block + i], io->sequence);

		ASSERT(candidate != NULL);
		candidate->failed_ns = now_ns;
		if (candidate->effect_ns == NEVER)
			history->unknown_count++;
	}
}

/* ---- reads ---- */

void history_read_begin(struct history *history, struct history_io *io, uint64_t now_ns)
{
	io->begun_ns = now_ns;
	for (io->slot = 0; io->slot < HISTORY_READS_MAX; io->slot++) {
		if (history->reads_begun_ns[io->slot] != NEVER)
			continue;
		history->reads_begun_ns[io->slot] = now_ns;
		return;
	}
	ASSERT(!"fewer reads at a time");
}

void history_read_failed(struct history *history, const struct history_io *io)
{
	ASSERT(history->reads_begun_ns[io->slot] == io->begun_ns);
	history->reads_begun_ns[io->slot] = NEVER;
}

static bool is_all_zeroes(const uint8_t *bytes, size_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static bool is_possible(const struct candidate *candidate, const struct history_io *read)
{
	return candidate->dead_ns >= read->begun_ns;
}

/*
 * The block's content at some moment of the read was @candidate's. So it has taken effect, and
 * everything else that took effect before the read began was overwritten by then.
 */
static void candidate_observe(struct history *history, struct block *block,
			      struct candidate *candidate, const struct history_io *read,
			      uint64_t now_ns)
{
	bool is_under_way = !candidate->is_answered && candidate->failed_ns == NEVER;
	bool may_repeat = history->options.is_repeating && is_under_way;

	if (is_under_way && !history->options.is_strict)
		return;
	/* Its answer was on its way when everything was open again. */
	if (read->begun_ns <= history->crash_ns)
		return;
	if (candidate->effect_ns == NEVER && candidate->failed_ns != NEVER)
		history->unknown_count--;
	if (candidate->effect_ns > now_ns && !may_repeat)
		candidate->effect_ns = now_ns;
	candidates_kill(block, candidate, now_ns);
	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *other = &block->candidates[i];

		if (other != candidate && other->effect_ns < read->begun_ns &&
		    other->dead_ns > now_ns)
			other->dead_ns = now_ns;
	}
}

static void describe(const struct block *block, char *text, size_t text_bytes)
{
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < block->count && used + 64 < text_bytes; i++) {
		const struct candidate *candidate = &block->candidates[i];

		used += (size_t)snprintf(text + used, text_bytes - used, " %" PRIu64 "%s%s%s",
					 candidate->sequence, candidate->is_zeroes ? "z" : "",
					 candidate->is_answered ? "" : "?",
					 candidate->dead_ns != NEVER ? "dead" : "");
	}
}

static bool zeroes_check(struct history *history, struct block *block, const struct history_io *io,
			 uint64_t now_ns)
{
	struct candidate *only = NULL;
	uint32_t possible = 0;

	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *candidate = &block->candidates[i];

		if (!candidate->is_zeroes || !is_possible(candidate, io))
			continue;
		possible++;
		only = candidate;
	}
	/* Which zeroing it was is known only if there is one. */
	if (possible == 1)
		candidate_observe(history, block, only, io, now_ns);
	return possible > 0;
}

static const char *stamp_check(struct history *history, uint64_t number,
			       const struct history_io *io, uint64_t now_ns, const uint8_t *bytes)
{
	struct block *block = &history->blocks[number];
	struct candidate *candidate;
	struct stamp stamp;

	memcpy(&stamp, bytes, sizeof(stamp));
	if (is_all_zeroes(bytes, history->options.block_bytes))
		return zeroes_check(history, block, io, now_ns) ? NULL : "zeroes";
	if (stamp.magic != STAMP_MAGIC)
		return "garbage";
	if (stamp.volume != history->options.volume || stamp.block != number)
		return "another block's content";
	for (size_t at = sizeof(stamp); at < history->options.block_bytes; at += sizeof(stamp)) {
		if (memcmp(bytes, bytes + at, sizeof(stamp)) != 0)
			return "a mix of two writes";
	}
	candidate = candidate_find(block, stamp.sequence);
	if (candidate == NULL)
		return "a write that was overwritten durably";
	if (!is_possible(candidate, io))
		return "a write that was overwritten";
	candidate_observe(history, block, candidate, io, now_ns);
	return NULL;
}

bool history_read_done(struct history *history, const struct history_io *io, uint64_t now_ns,
		       const void *bytes, char ret_error[HISTORY_ERROR_BYTES])
{
	history_read_failed(history, io); /* it is over */
	for (uint64_t i = 0; i < io->block_count; i++) {
		const uint8_t *block_bytes =
			(const uint8_t *)bytes + i * history->options.block_bytes;
		uint64_t number = io->first_block + i;
		const char *wrong = stamp_check(history, number, io, now_ns, block_bytes);
		char candidates[128];
		uint64_t sequence;

		if (wrong == NULL)
			continue;
		describe(&history->blocks[number], candidates, sizeof(candidates));
		memcpy(&sequence, block_bytes + offsetof(struct stamp, sequence), sizeof(sequence));
		snprintf(ret_error, HISTORY_ERROR_BYTES,
			 "block %" PRIu64 " returned %s (write %" PRIu64 "); allowed:%s", number,
			 wrong, sequence, candidates);
		return false;
	}
	return true;
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

void history_flush_done(struct history *history, const struct history_io *io)
{
	uint64_t oldest_ns = oldest_read_ns(history);

	if (io->begun_ns <= history->cut_ns)
		return;
	for (uint64_t b = 0; b < history->options.block_count; b++) {
		struct block *block = &history->blocks[b];
		bool has_news = false;

		if (block->count == 1)
			continue;
		for (uint32_t i = 0; i < block->count; i++) {
			struct candidate *candidate = &block->candidates[i];

			if (!candidate->is_answered || candidate->is_durable ||
			    candidate->effect_ns >= io->begun_ns)
				continue;
			candidate->is_durable = true;
			has_news = true;
		}
		if (!has_news)
			continue;
		for (uint32_t i = 0; i < block->count; i++) {
			if (block->candidates[i].is_durable)
				candidates_kill(block, &block->candidates[i],
						block->candidates[i].effect_ns);
		}
		candidates_forget(block, oldest_ns);
	}
}

void history_power_cut(struct history *history, uint64_t now_ns)
{
	history->cut_ns = now_ns;
	history->crash_ns = now_ns;
	for (uint64_t b = 0; b < history->options.block_count; b++) {
		struct block *block = &history->blocks[b];

		for (uint32_t i = 0; i < block->count; i++) {
			struct candidate *candidate = &block->candidates[i];

			/* Kept or lost: no later flush makes durable what may be lost by now. */
			if (!candidate->is_durable)
				candidate->is_answered = false;
			if (!candidate->is_dead_durably)
				candidate->dead_ns = NEVER;
		}
	}
}

static void block_reopen(struct history *history, struct block *block)
{
	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *candidate = &block->candidates[i];

		if (!candidate->is_dead_durably)
			candidate->dead_ns = NEVER;
		if (candidate->is_answered || candidate->effect_ns == NEVER)
			continue;
		candidate->effect_ns = NEVER;
		if (candidate->failed_ns != NEVER)
			history->unknown_count++;
	}
	for (uint32_t i = 0; i < block->count; i++) {
		if (block->candidates[i].is_answered)
			candidates_kill(block, &block->candidates[i],
					block->candidates[i].effect_ns);
	}
}

void history_owner_crashed(struct history *history, uint64_t now_ns)
{
	history->crash_ns = now_ns;
	for (uint64_t b = 0; b < history->options.block_count; b++) {
		if (history->blocks[b].count > 1)
			block_reopen(history, &history->blocks[b]);
	}
}

bool history_is_certain(const struct history *history, uint64_t block)
{
	uint32_t alive = 0;

	for (uint32_t i = 0; i < history->blocks[block].count; i++)
		alive += history->blocks[block].candidates[i].dead_ns == NEVER;
	return alive == 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* history_read.c - what a read or a comparison returned, against what the blocks may contain.
 *
 * Invariants:
 *  1. Whether a content is possible is decided by what was answered, refused or seen, never by the
 *     order of submissions.
 *  2. What a read tells is noted only when its content is possible.
 */
#include "sim/history_impl.h"
#include "sim/history_stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
	ASSERT(io->slot < HISTORY_READS_MAX);
	ASSERT(history->reads_begun_ns[io->slot] == io->begun_ns);
	history->reads_begun_ns[io->slot] = NEVER;
}

/*
 * Its host has been denied since some moment until now: it took effect by that moment, or did not
 * yet. So it is not there if it was submitted later, or if something that began later was answered
 * before the read began.
 */
static bool is_shut_out(const struct history *history, const struct block *block,
			const struct candidate *candidate, const struct history_io *read)
{
	uint64_t since_ns = history->denied_since_ns[candidate->host];

	if (since_ns == NEVER || candidate->sequence == 0)
		return false;
	if (candidate->begun_ns > since_ns)
		return true;
	for (uint32_t i = 0; i < block->count; i++) {
		const struct candidate *other = &block->candidates[i];

		if (other != candidate && other->is_answered && other->begun_ns > since_ns &&
		    other->ended_ns < read->begun_ns)
			return true;
	}
	return false;
}

static bool is_possible(const struct history *history, const struct block *block,
			const struct candidate *candidate, const struct history_io *read)
{
	return candidate->dead_ns >= read->begun_ns &&
	       !is_shut_out(history, block, candidate, read);
}

/* Is it fixed that @candidate has taken effect, now that @read may have returned it? */
static bool is_binding(const struct history *history, const struct candidate *candidate,
		       const struct history_io *read)
{
	if (candidate->ended_ns == NEVER && !history->options.is_strict)
		return false;
	/* Its answer was on its way when everything was open again. */
	return read->begun_ns > history->crash_ns;
}

/*
 * The content was @candidate's (NULL: zeroes, of one of several zeroings) at some moment of the
 * read: whatever else took effect before the read began was overwritten by then.
 */
static void others_bury(struct block *block, const struct candidate *candidate,
			const struct history_io *read, uint64_t now_ns)
{
	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *other = &block->candidates[i];
		bool is_it = candidate == NULL ? other->is_zeroes : other == candidate;

		if (!is_it && other->effect_ns < read->begun_ns && other->dead_ns > now_ns)
			other->dead_ns = now_ns;
	}
}

/* The block's content at some moment of the read was @candidate's, so it has taken effect. */
static void candidate_observe(struct history *history, struct block *block,
			      struct candidate *candidate, const struct history_io *read,
			      uint64_t now_ns)
{
	bool may_act_again =
		(candidate->is_repeating && candidate->ended_ns == NEVER) || candidate->is_repeated;

	candidate->is_seen = true;
	if (!is_binding(history, candidate, read))
		return;
	if (candidate->effect_ns > now_ns && !may_act_again)
		candidate->effect_ns = now_ns;
	candidates_kill(history, block, candidate, now_ns);
	others_bury(block, candidate, read, now_ns);
}

static bool zeroes_check(struct history *history, struct block *block, const struct history_io *io,
			 uint64_t now_ns)
{
	struct candidate *only = NULL;
	uint32_t possible = 0;
	bool are_binding = true;

	for (uint32_t i = 0; i < block->count; i++) {
		struct candidate *candidate = &block->candidates[i];

		if (!candidate->is_zeroes || !is_possible(history, block, candidate, io))
			continue;
		possible++;
		only = candidate;
		are_binding &= is_binding(history, candidate, io);
	}
	/* Which zeroing it was is known only if there is one. */
	if (possible == 1 && block->count > 1)
		candidate_observe(history, block, only, io, now_ns);
	else if (possible > 1 && are_binding)
		others_bury(block, NULL, io, now_ns);
	return possible > 0;
}

/* Return: NULL, or what is wrong. */
static const char *write_check(struct history *history, struct block *block, uint64_t sequence,
			       const struct history_io *io, uint64_t now_ns)
{
	struct candidate *candidate = candidate_find(block, sequence);

	if (candidate == NULL)
		return "a write that was overwritten durably";
	if (candidate->is_zeroes)
		return "the stamp of a zeroing";
	if (is_shut_out(history, block, candidate, io))
		return "a write of a host that was denied";
	if (candidate->dead_ns == 0)
		return "a write that was refused";
	if (candidate->dead_ns < io->begun_ns)
		return "a write that was overwritten";
	if (block->count > 1)
		candidate_observe(history, block, candidate, io, now_ns);
	return NULL;
}

static const char *content_check(struct history *history, uint64_t number,
				 const struct history_io *io, uint64_t now_ns, const void *bytes)
{
	struct block *block = &history->blocks[number];
	uint64_t sequence;
	enum stamp_kind kind = stamp_read(bytes, history->options.block_bytes,
					  history->options.volume, number, &sequence);

	if (kind == STAMP_ZEROES)
		return zeroes_check(history, block, io, now_ns) ? NULL : "zeroes";
	if (kind != STAMP_WHOLE)
		return stamp_kind_text(kind);
	return write_check(history, block, sequence, io, now_ns);
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

static void complain(const struct history *history, uint64_t number, const char *wrong,
		     const void *bytes, char ret_error[HISTORY_ERROR_BYTES])
{
	char candidates[128];
	uint64_t sequence;

	(void)stamp_read(bytes, history->options.block_bytes, history->options.volume, number,
			 &sequence);
	describe(&history->blocks[number], candidates, sizeof(candidates));
	snprintf(ret_error, HISTORY_ERROR_BYTES,
		 "block %" PRIu64 " returned %s (write %" PRIu64 "); allowed:%s", number, wrong,
		 sequence, candidates);
}

static const void *block_at(const struct history *history, const void *bytes, uint64_t at)
{
	return (const uint8_t *)bytes + at * history->options.block_bytes;
}

bool history_read_done(struct history *history, const struct history_io *io, uint64_t now_ns,
		       const void *bytes, char ret_error[HISTORY_ERROR_BYTES])
{
	history_read_failed(history, io); /* it is over */
	for (uint64_t i = 0; i < io->block_count; i++) {
		uint64_t number = io->first_block + i;
		const void *content = block_at(history, bytes, i);
		const char *wrong = content_check(history, number, io, now_ns, content);

		if (wrong == NULL)
			continue;
		complain(history, number, wrong, content, ret_error);
		return false;
	}
	return true;
}

/* ---- comparisons ---- */

void history_expect(const struct history *history, const struct history_io *io, uint64_t draw,
		    void *bytes)
{
	uint32_t block_bytes = history->options.block_bytes;
	bool is_settled = draw == 0;

	for (uint64_t i = 0; i < io->block_count; i++) {
		const struct block *block = &history->blocks[io->first_block + i];
		const struct candidate *chosen = &block->candidates[block->count - 1];
		uint8_t *place = (uint8_t *)bytes + i * block_bytes;

		for (uint32_t c = block->count; c > 0; c--) {
			if (block->candidates[c - 1].dead_ns != NEVER ||
			    (is_settled && block->candidates[c - 1].effect_ns == NEVER))
				continue;
			chosen = &block->candidates[c - 1];
			if (draw == 0)
				break;
			draw--;
		}
		if (chosen->is_zeroes)
			memset(place, 0, block_bytes);
		else
			stamp_write(place, block_bytes, history->options.volume,
				    io->first_block + i, chosen->sequence);
	}
}

/* May the block have had another content than @bytes at some moment of the comparison? */
static bool may_differ(const struct history *history, uint64_t number, const struct history_io *io,
		       const void *bytes)
{
	const struct block *block = &history->blocks[number];
	uint64_t sequence;
	enum stamp_kind kind = stamp_read(bytes, history->options.block_bytes,
					  history->options.volume, number, &sequence);

	if (kind != STAMP_ZEROES && kind != STAMP_WHOLE)
		return true;
	for (uint32_t i = 0; i < block->count; i++) {
		const struct candidate *candidate = &block->candidates[i];
		bool is_same = kind == STAMP_ZEROES ? candidate->is_zeroes
						    : candidate->sequence == sequence;

		/* What is written only after the comparison was not there for it. */
		if (io->sequence != 0 && candidate->sequence == io->sequence)
			continue;
		if (!is_same && is_possible(history, block, candidate, io))
			return true;
	}
	return false;
}

bool history_compare_differed(struct history *history, const struct history_io *io,
			      const void *bytes, char ret_error[HISTORY_ERROR_BYTES])
{
	history_read_failed(history, io); /* it is over */
	for (uint64_t i = 0; i < io->block_count; i++) {
		if (may_differ(history, io->first_block + i, io, block_at(history, bytes, i)))
			return true;
	}
	complain(history, io->first_block, "a miscompare of what it contains", bytes, ret_error);
	return false;
}

/* Zeroes do not tell which ones they are; what may act once more may be there once more. */
static bool swap_note(struct history *history, const struct history_io *write, uint64_t number,
		      const void *bytes)
{
	uint64_t sequence;
	enum stamp_kind kind = stamp_read(bytes, history->options.block_bytes,
					  history->options.volume, number, &sequence);
	struct candidate *expected;

	if (kind != STAMP_WHOLE)
		return true;
	expected = candidate_find(&history->blocks[number], sequence);
	if (expected == NULL || expected->is_repeated || expected->effect_ns >= write->begun_ns)
		return true;
	if (expected->swapped_by != 0)
		return false;
	expected->swapped_by = write->sequence;
	return true;
}

bool history_swap_check(struct history *history, const struct history_io *write,
			const void *expected, char ret_error[HISTORY_ERROR_BYTES])
{
	ASSERT(write->sequence != 0);
	for (uint64_t i = 0; i < write->block_count; i++) {
		const void *content = block_at(history, expected, i);

		if (swap_note(history, write, write->first_block + i, content))
			continue;
		complain(history, write->first_block + i, "to two swaps the same content", content,
			 ret_error);
		return false;
	}
	return true;
}

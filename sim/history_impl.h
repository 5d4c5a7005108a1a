/* SPDX-License-Identifier: Apache-2.0 */
/* history_impl.h - the candidates of the blocks, shared by the files of the history. */
#ifndef SIM_HISTORY_IMPL_H
#define SIM_HISTORY_IMPL_H

#include "base/assert.h"
#include "sim/history.h"

#define NEVER HISTORY_NEVER_NS

/* A write that a block's content may come from. */
struct candidate {
	uint64_t sequence;
	uint64_t begun_ns;
	uint64_t effect_ns;  /* has taken effect by then, if ever; NEVER: may still do so */
	uint64_t ended_ns;   /* answered or given up; NEVER: under way */
	uint64_t dead_ns;    /* overwritten for certain from then on */
	uint64_t swapped_by; /* the write that took its place by comparing with it; 0: none */
	uint8_t host;
	bool is_zeroes;
	bool is_repeating; /* may act several times until it has ended */
	bool is_repeated;  /* and once more after that */
	bool is_answered;  /* certainly took effect */
	bool is_durable;
	bool is_dead_durably;
	bool is_seen;
};

struct block {
	struct candidate *candidates; /* [0] may be the initial zeroes */
	uint32_t count;
	uint32_t capacity;
	uint32_t crowd_place; /* in history->crowded, from 1; 0: there is one candidate only */
};

/* A write, or a part of one, that has ended and may still take effect. */
struct open_write {
	uint64_t sequence;
	uint64_t ended_ns;
	uint64_t first_block;
	uint64_t block_count;
	uint32_t host;
};

struct history {
	struct history_options options;
	uint64_t sequence_next;
	uint64_t cut_ns;			    /* last loss of power */
	uint64_t crash_ns;			    /* last crash of the owner, or loss of power */
	uint64_t reads_begun_ns[HISTORY_READS_MAX]; /* NEVER: free */
	uint64_t denied_since_ns[HISTORY_HOSTS_MAX];
	struct open_write *open;
	uint32_t open_count;
	uint32_t open_capacity;
	uint32_t *crowded; /* blocks with several candidates */
	uint32_t crowded_count;
	struct block blocks[];
};

/** NULL: forgotten. */
struct candidate *candidate_find(struct block *block, uint64_t sequence);
/** @killer has taken effect at the latest at @now_ns: who is overwritten for certain? */
void candidates_kill(const struct history *history, struct block *block,
		     const struct candidate *killer, uint64_t now_ns);

#endif

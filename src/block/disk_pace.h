/* SPDX-License-Identifier: Apache-2.0 */
/* disk_pace.h - how much of a deep queue a disk gets at once; pure, private to block/.
 *
 * Some disks answer in lock-step: they work off all that they have and only then tell, as virtual
 * ones do whose host signals when their queue is empty. Hosts send the next I/O when they have an
 * answer, so such a disk would be idle while answers travel out and commands travel in, once a
 * round. Therefore of a deep queue a part waits here and is handed over the moment the answers
 * come: the disk works while they travel. A disk that answers one by one gets everything at once.
 *
 * Evidence: answers come in groups; a group is what comes within a quarter of the usual latency. It
 * speaks for lock-step when it has half of what was out as it began. A disk that works evenly
 * gives a quarter. Disks faster than PACE_LATENCY_NS_MIN are left alone: what they have out is
 * answered within one turn of a busy reactor, whatever they do.
 *
 * Invariant: while I/O waits, some is in flight (the limit is above 0), so an answer will come.
 */
#ifndef BLOCK_DISK_PACE_H
#define BLOCK_DISK_PACE_H

#include "base/assert.h"

#include <stdbool.h>
#include <stdint.h>

#define PACE_DEPTH_MIN	    16 /* queues less deep are never split */
#define PACE_LATENCY_NS_MIN 80000
#define PACE_EVIDENCE_MIN   128 /* answers, before anything is believed */
#define PACE_EVIDENCE_MAX   512 /* then the older half is forgotten */
#define PACE_WINDOW_GROUPS  64	/* the depth is the highest of the last one or two of these */

struct disk_pace {
	uint32_t in_flight;
	uint32_t waiting;
	uint32_t group_answers;
	uint32_t group_out; /* in flight as it began */
	uint64_t group_begin_ns;
	uint64_t latency_ns_mean;  /* moving */
	uint32_t answers;	   /* the evidence: of so many */
	uint32_t answers_together; /* so many came in lock-step */
	uint32_t depth;		   /* most that was here in this window */
	uint32_t depth_before;	   /* and in the one before */
	uint32_t window_groups;
};

static inline bool disk_pace_is_lockstep(const struct disk_pace *pace)
{
	ASSERT(pace->answers_together <= pace->answers);
	return pace->answers >= PACE_EVIDENCE_MIN && pace->answers_together * 2 > pace->answers &&
	       pace->latency_ns_mean >= PACE_LATENCY_NS_MIN;
}

/* May one more be handed over now? */
static inline bool disk_pace_may_start(const struct disk_pace *pace)
{
	uint32_t depth = pace->depth > pace->depth_before ? pace->depth : pace->depth_before;

	ASSERT(pace->in_flight + pace->waiting <= depth || depth == 0);
	if (depth < PACE_DEPTH_MIN || !disk_pace_is_lockstep(pace))
		return true;
	return pace->in_flight < depth - depth * 3 / 8;
}

static inline void disk_pace_depth(struct disk_pace *pace)
{
	uint32_t depth = pace->in_flight + pace->waiting;

	if (depth > pace->depth)
		pace->depth = depth;
}

/* One is handed over. */
static inline void disk_pace_start(struct disk_pace *pace)
{
	ASSERT(pace->in_flight < UINT32_MAX);
	pace->in_flight++;
	disk_pace_depth(pace);
}

/* One waits. */
static inline void disk_pace_hold(struct disk_pace *pace)
{
	ASSERT(pace->in_flight > 0);
	pace->waiting++;
	disk_pace_depth(pace);
}

/* One that waited is handed over. */
static inline void disk_pace_release(struct disk_pace *pace)
{
	ASSERT(pace->waiting > 0);
	pace->waiting--;
	pace->in_flight++;
}

static inline void disk_pace_group_end(struct disk_pace *pace)
{
	ASSERT(pace->group_answers <= PACE_EVIDENCE_MAX || pace->group_out > 0);
	if (pace->group_out >= PACE_DEPTH_MIN / 2) {
		pace->answers += pace->group_answers;
		if (pace->group_answers >= pace->group_out / 2)
			pace->answers_together += pace->group_answers;
	}
	if (pace->answers > PACE_EVIDENCE_MAX) {
		pace->answers /= 2;
		pace->answers_together /= 2;
	}
	pace->window_groups++;
	if (pace->window_groups == PACE_WINDOW_GROUPS) {
		pace->window_groups = 0;
		pace->depth_before = pace->depth;
		pace->depth = pace->in_flight + pace->waiting;
	}
}

/* One was answered at @now_ns, @latency_ns after it was handed over. */
static inline void disk_pace_answer(struct disk_pace *pace, uint64_t now_ns, uint64_t latency_ns)
{
	ASSERT(pace->in_flight > 0);
	ASSERT(now_ns >= pace->group_begin_ns);
	if (now_ns - pace->group_begin_ns > pace->latency_ns_mean / 4) {
		disk_pace_group_end(pace);
		pace->group_begin_ns = now_ns;
		pace->group_out = pace->in_flight;
		pace->group_answers = 0;
	}
	pace->group_answers++;
	pace->in_flight--;
	pace->latency_ns_mean = (pace->latency_ns_mean * 31 + latency_ns) / 32;
}

#endif

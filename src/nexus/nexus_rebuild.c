/* SPDX-License-Identifier: Apache-2.0 */
/* nexus_rebuild.c - who is rebuilt from whom, and what follows from the end of a job.
 *
 * Invariants:
 *  1. A source is in sync. When it leaves service its jobs end and go on with another one; the
 *     map keeps what is done.
 *  2. While a job runs, writes of hosts go to its target too (phase SYNCING), and they began to
 *     when no write was in flight.
 *  3. A target is not readable before its map is empty, it was flushed, and that is recorded.
 *  4. What the last child in sync may have lost with its power is copied again: the copy may hold
 *     what the source holds no more. One without anything unflushed has lost nothing.
 */
#include "nexus/nexus_impl.h"

#include <errno.h>
#include <string.h>

/* Local before remote, else the first. */
static uint32_t source_choose(struct nexus *nexus, uint32_t excluded)
{
	uint32_t chosen = NO_CHILD;

	for_each_child (nexus, nexus->mask[CHILD_IN_SYNC] & ~excluded, slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->channel == NULL || child->is_gone)
			continue;
		if (chosen == NO_CHILD || (child->channel->bdev->is_local &&
					   !nexus->children[chosen].channel->bdev->is_local))
			chosen = slot;
	}
	ASSERT(chosen == NO_CHILD || (excluded & CHILD_BIT(chosen)) == 0);
	ASSERT(chosen == NO_CHILD || nexus->children[chosen].phase == CHILD_IN_SYNC);
	return chosen;
}

/* The phase is SYNCING. Return: 0, -ENODEV, -ENOMEM. */
static int job_begin(struct nexus_child *child)
{
	struct nexus *nexus = child->nexus;
	uint32_t source = source_choose(nexus, child->sources_tried);
	struct rebuild_options options;
	int rc;

	ASSERT(!nexus->is_stopping);
	ASSERT(child->channel != NULL);
	ASSERT(op_is_idle(&child->job_op));
	ASSERT(bitmap_bit_count(child->stale) == nexus->segment_count);
	ASSERT(child->job == NULL);
	ASSERT(child->phase == CHILD_SYNCING);
	if (source == NO_CHILD || nexus->is_fenced) {
		REACHED("rebuild_has_no_source");
		return -ENODEV;
	}
	ASSERT(source != child->slot);
	options = (struct rebuild_options){
		.reactor = nexus->home,
		.source = nexus->children[source].channel,
		.target = child->channel,
		.source_offset_blocks = nexus->data_offset_blocks,
		.target_offset_blocks = nexus->data_offset_blocks,
		.block_count = nexus->block_count,
		.locks = &nexus->locks,
		.stale = child->stale,
		.host_io_count = &nexus->io_count,
		.bytes_per_second = nexus->set->options.rebuild_bytes_per_second,
		.is_partial = bitmap_set_count(child->stale) < nexus->segment_count,
	};
	rc = rebuild_job_create(&options, &child->job);
	if (rc < 0)
		return rc;
	child->job_source = source;
	log_info(nexus->log, "nexus %s: rebuild of %s from %s begins", nexus->name, child->uri,
		 nexus->children[source].uri);
	op_wait(&child->job_op);
	rebuild_job_start(child->job, &child->job_op);
	if (op_join(&child->job_op) == OP_NEXT)
		op_wake(&child->job_op);
	return 0;
}

static void history_add(struct nexus_child *child, const struct rebuild_stats *stats)
{
	struct history *history = &child->nexus->history;
	struct nexus_history_entry *entry = &history->entries[history->next];

	ASSERT(history->count <= NEXUS_HISTORY_MAX);
	ASSERT(child->job_source != child->slot);
	ASSERT(history->next < NEXUS_HISTORY_MAX);
	ASSERT(child->job_source < NEXUS_CHILDREN_MAX);
	memcpy(entry->child_uri, child->uri, sizeof(entry->child_uri));
	memcpy(entry->source_uri, child->nexus->children[child->job_source].uri,
	       sizeof(entry->source_uri));
	entry->stats = *stats;
	history->next = (history->next + 1) % NEXUS_HISTORY_MAX;
	if (history->count < NEXUS_HISTORY_MAX)
		history->count++;
}

/* The target goes on with another source; without one the rebuild has failed. */
static void job_continue(struct nexus_child *child)
{
	bool is_paused = child->is_job_paused;

	ASSERT(child->job == NULL);
	ASSERT(child->phase == CHILD_SYNCING);
	ASSERT(!child->is_job_stop_asked);
	child->is_job_restarted = false;
	child->is_job_paused = false;
	child->is_job_redone = false;
	REACHED("nexus_rebuild_changes_source");
	if (job_begin(child) < 0) {
		nexus_child_fault(child, NEXUS_REASON_REBUILD_FAILED);
		return;
	}
	REACHED_IF(is_paused, "rebuild_rests_with_a_new_source");
	if (is_paused && rebuild_job_pause(child->job) < 0)
		log_warn(child->nexus->log, "nexus %s: rebuild of %s could not rest again",
			 child->nexus->name, child->uri);
}

static void job_source_failed(struct nexus_child *child, const struct rebuild_stats *stats)
{
	ASSERT(stats->culprit == REBUILD_SOURCE);
	ASSERT(stats->state == REBUILD_FAILED);
	/* Whoever failed may be tried again once somebody has brought the copy further. */
	if (stats->blocks_transferred > 0)
		child->sources_tried = 0;
	ASSERT(child->job_source != child->slot);
	child->sources_tried |= CHILD_BIT(child->job_source);
	job_continue(child);
}

static void job_completed(struct nexus_child *child)
{
	ASSERT(child->job == NULL);
	ASSERT(child->joined_change == 0);
	ASSERT(!child->is_wanted_healthy);
	ASSERT(bitmap_set_count(child->stale) == 0);

	if (child->nexus->is_fenced || child->nexus->is_stopping) {
		nexus_child_set_phase(child, CHILD_STALE);
		return;
	}
	child->is_wanted_healthy = true;
	child->joined_change = membership_change(child->nexus);
}

/* Whoever waits for the end of the job relies on that none begins in its place. */
static bool job_may_continue(const struct nexus_child *child)
{
	const struct nexus *nexus = child->nexus;

	ASSERT(child->phase == CHILD_SYNCING);
	return !child->is_job_stop_asked && !nexus->is_stopping && !nexus->is_fenced;
}

static void job_stopped(struct nexus_child *child)
{
	ASSERT(child->job == NULL);
	ASSERT(child->joined_change == 0);
	REACHED("rebuild_stopped_before_its_end");
	nexus_recent_add_to(child->nexus, child->stale);
	nexus_child_set_phase(child, CHILD_STALE);
}

static void job_judge(struct nexus_child *child, const struct rebuild_stats *stats)
{
	ASSERT(child->job == NULL);
	ASSERT(stats->tasks_active == 0);
	if (child->phase != CHILD_SYNCING) {
		REACHED("rebuild_failed_by_a_write");
		return; /* a write that missed it has failed the job already */
	}
	if (child->is_job_redone) {
		if (job_may_continue(child))
			job_continue(child);
		else
			job_stopped(child);
		return;
	}
	switch (stats->state) {
	case REBUILD_COMPLETED:
		job_completed(child);
		break;
	case REBUILD_FAILED:
		if (stats->culprit == REBUILD_TARGET)
			nexus_child_fault(child, NEXUS_REASON_REBUILD_FAILED);
		else if (job_may_continue(child))
			job_source_failed(child, stats);
		else
			job_stopped(child); /* the target itself is as good as before */
		break;
	case REBUILD_STOPPED:
		if (child->is_job_restarted && job_may_continue(child))
			job_continue(child);
		else
			job_stopped(child);
		break;
	case REBUILD_INIT:
	case REBUILD_RUNNING:
	case REBUILD_PAUSED:
		ASSERT(false);
		break;
	}
}

static void job_over_run(struct op *op)
{
	struct nexus_child *child = container_of(op, struct nexus_child, job_op);
	struct op *waiter = child->job_stop_waiter;
	struct rebuild_stats stats;

	ASSERT(op_is_idle(op));
	ASSERT(child->job != NULL);
	rebuild_job_stats(child->job, &stats);
	history_add(child, &stats);
	log_info(child->nexus->log, "nexus %s: rebuild of %s %s", child->nexus->name, child->uri,
		 rebuild_state_text(stats.state));
	rebuild_job_destroy(child->job);
	child->job = NULL;
	job_judge(child, &stats);
	child->is_job_stop_asked = false;
	child->job_stop_waiter = NULL;
	op_done(waiter);
}

void nexus_rebuild_init(struct nexus_child *child)
{
	ASSERT(child->job == NULL);
	ASSERT(child->nexus->home != NULL);
	op_init(&child->job_op, reactor_ready(child->nexus->home), job_over_run);
}

int nexus_rebuild_begin(struct nexus_child *child)
{
	int rc;

	ASSERT(child->job == NULL);
	ASSERT(child->joined_change == 0);
	ASSERT(child->nexus->pause_count > 0);
	ASSERT(child->phase == CHILD_STALE);
	ASSERT(child->nexus->active[0] + child->nexus->active[1] == 0);
	nexus_child_set_phase(child, CHILD_SYNCING);
	child->sources_tried = 0;
	child->is_job_restarted = false;
	child->is_job_paused = false;
	child->is_job_redone = false;
	rc = job_begin(child);
	if (rc < 0)
		nexus_child_set_phase(child, CHILD_STALE);
	return rc;
}

void nexus_rebuild_stop(struct nexus_child *child, struct op *parent)
{
	ASSERT(parent->pending > 0);
	ASSERT(child->nexus->is_running);
	ASSERT(child->job_stop_waiter == NULL);
	if (child->job == NULL) {
		op_done(parent);
		return;
	}
	child->is_job_restarted = false;
	child->is_job_stop_asked = true;
	child->job_stop_waiter = parent;
	rebuild_job_stop(child->job);
}

void nexus_rebuild_leave_source(struct nexus_child *source)
{
	struct nexus *nexus = source->nexus;

	for_each_child (nexus, nexus->mask[CHILD_SYNCING], slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		if (child->job == NULL || child->job_source != source->slot ||
		    child->job_stop_waiter != NULL)
			continue;
		child->is_job_restarted = true;
		child->is_job_paused = rebuild_job_state(child->job) == REBUILD_PAUSED;
		rebuild_job_stop(child->job);
	}
}

/* Has it answered anything that a loss of power could have taken? */
static bool source_had_unflushed(const struct nexus_child *source)
{
	const struct nexus *nexus = source->nexus;

	ASSERT(source->phase == CHILD_IN_SYNC);
	if (source->channel == NULL || !source->channel->bdev->has_volatile_cache)
		return source->channel == NULL;
	return nexus->active[0] + nexus->active[1] > 0 || !nexus_recent_is_empty(nexus);
}

/*
 * Of a write that its copies have not answered yet the source may have had its part, and lost it.
 * What else holds a range is marked in vain.
 */
static void source_mark_in_work(const struct nexus *nexus, struct bitmap *map)
{
	const struct range_lock *lock = range_locks_next(&nexus->locks, NULL);

	ASSERT(bitmap_bit_count(map) == nexus->segment_count);
	for (; lock != NULL; lock = range_locks_next(&nexus->locks, lock))
		nexus_map_mark(nexus, map, lock->range);
}

void nexus_rebuild_source_interrupted(struct nexus_child *source)
{
	struct nexus *nexus = source->nexus;

	ASSERT(nexus_child_is_last(source));
	if (!source_had_unflushed(source))
		return;
	for_each_child (nexus, nexus->mask[CHILD_SYNCING], slot) {
		struct nexus_child *child = nexus_child_at(nexus, slot);

		REACHED("nexus_rebuild_source_interrupted");
		if (child->job == NULL) {
			/* Complete, and perhaps recorded already: then it is the better one. */
			nexus_stop_self(nexus, "the copy that is read has lost its connection, and "
					       "perhaps its power, while the return of another one "
					       "was being recorded");
			return;
		}
		child->is_job_redone = true;
		child->is_job_paused |= rebuild_job_state(child->job) == REBUILD_PAUSED;
		/* No bit is cleared from here on. */
		rebuild_job_abandon(child->job, IO_ABORTED);
		nexus_recent_add_to(nexus, child->stale);
		source_mark_in_work(nexus, child->stale);
	}
}

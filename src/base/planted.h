/* SPDX-License-Identifier: Apache-2.0 */
/* planted.h - bugs put in on purpose, to see that the campaign finds them.
 *
 *	if (PLANTED(FLUSH_SKIPS_A_CHILD) && ...)
 *
 * With the Meson option planted_bugs each of these is a switch, and planted_choose() turns on at
 * most one of them for the whole program (sim_campaign --plant NAME). In all other builds, thus in
 * every one that holds data, PLANTED() is the constant false and the compiler leaves nothing of it.
 *
 * Invariants:
 *  1. A bug breaks one rule, named here; without it the code around its switch is right.
 *  2. Every bug of the list has a switch, and every switch stands in the list (else: no build).
 */
#ifndef BASE_PLANTED_H
#define BASE_PLANTED_H

#include <stdbool.h>

/*
 * name, the rule that it breaks (docs/internals/planted-bugs.md), what it does, and what the
 * campaign that looks for it is told besides its seeds ("": nothing; "open": none finds it yet).
 */
/* clang-format off */
#define PLANTED_BUGS(bug) \
	/* mirror: writes and reads */ \
	bug(ANSWER_BEFORE_LAST_CHILD, "B8", "a write does not wait for its last child", "") \
	bug(CHILD_ERROR_IGNORED, "B8", "a child that failed a write stays in service", "") \
	bug(ZEROES_SKIP_A_CHILD, "A5", "zeroes are not written to the last child", "") \
	bug(UNMAP_SKIPS_A_CHILD, "A5", "blocks stay mapped on the last child", "") \
	bug(FLUSH_SKIPS_A_CHILD, "A4", "the last child is not flushed", "") \
	bug(FUA_DROPPED, "A3", "children get a write through the cache as a plain one", "") \
	bug(OVERLAP_NOT_ORDERED, "B15", "writes that overlap share the lock of their blocks", "") \
	bug(READ_NOT_ORDERED, "A2", "a read does not wait for a write of its blocks", "open") \
	bug(LOSS_NOT_AWAITED, "B8", "a write is answered before a loss is recorded", "") \
	bug(SETTLE_SKIPPED, "B15", "copies stay as a write that failed on all left them", "") \
	bug(COMPARE_ALWAYS_EQUAL, "A6", "a comparison never finds a difference", "") \
	/* mirror: membership and records */ \
	bug(LAST_CHILD_DROPPED, "B13", "the last healthy child can leave service", "") \
	bug(LOSING_CHILD_READ, "B11", "a child that is leaving service is still read", "") \
	bug(SYNCING_CHILD_READ, "B11", "a child that is being rebuilt is read", "") \
	bug(INTERRUPTION_IGNORED, "A3", "a child whose link broke stays in service", "") \
	bug(STALE_CHILD_TRUSTED, "B11", "at creation the record is ignored", "") \
	bug(UNCLEAN_END_TRUSTED, "D26", "every record says that the volume ended cleanly", "") \
	bug(LOST_CHILD_RECORDED_HEALTHY, "B8", "a record calls a lost child healthy", "") \
	bug(RECORD_SEQUENCE_STANDS, "B10", "the numbers of records do not grow", "") \
	bug(RECORD_FAILURE_IGNORED, "B12", "a record that could not be stored counts", "") \
	bug(RECORD_NOT_RETRIED, "D45", "a record that could not be stored is forgotten", "") \
	bug(LOST_ANSWER_IS_FAILURE, "B12", "a store without an answer counts as not done", "open") \
	bug(ACTIVATION_NOT_FLUSHED, "B13", "copies are given up before the source is durable", "") \
	/* rebuild */ \
	bug(REBUILD_NOT_LOCKED, "D24", "shared and exclusive locks do not exclude each other", "") \
	bug(SYNCING_CHILD_NOT_WRITTEN, "D24", "a child being rebuilt gets no writes", "") \
	bug(REBUILD_SKIPS_LAST_SEGMENT, "D29", "a rebuild leaves out its last segment", "") \
	bug(REBUILD_NOT_FLUSHED, "D23", "a rebuilt copy counts before it was flushed", "") \
	bug(REBUILD_ERROR_IGNORED, "D23", "a segment that could not be written counts", "") \
	bug(MISSED_WRITE_NOT_MARKED, "D22", "the map of a child lacks what it missed", "") \
	bug(UNFLUSHED_NOT_REMEMBERED, "D22", "a child's map lacks what its cache may lose", "") \
	bug(MAP_CLEARED_EARLY, "D23", "a failed flush clears the map of what is cached", "open") \
	/* initiator */ \
	bug(CLOSED_NOT_ABORTED, "C16", "a lost connection still delivers what was sent", "") \
	bug(TIMEOUT_WITHOUT_ABORT, "C16", "a write times out and its connection lives on", "open") \
	bug(FAILURE_SWALLOWED, "B8", "an I/O whose commands failed is answered as done", "") \
	bug(FLUSH_NOT_SENT, "A4", "the initiator answers flushes itself", "") \
	bug(READ_DIGEST_NOT_CHECKED, "G42", "data of a read is believed without its digest", "") \
	bug(RESPONSE_HEADER_NOT_CHECKED, "G42", "headers from the target are believed", "open") \
	bug(QUEUE_DEPTH_EXCEEDED, "G40", "more commands are out than the queue has entries", "") \
	bug(KEEP_ALIVE_NOT_SENT, "D45", "the initiator sends no keep-alive", "open") \
	/* target */ \
	bug(GHOSTS_NOT_AWAITED, "C17", "a host's new connection overtakes its old writes", "open") \
	bug(WRITE_ERROR_ANSWERED_OK, "B8", "a write that the disk failed counts as done", "") \
	bug(TARGET_FUA_DROPPED, "A3", "the target forgets the flag of write through", "") \
	bug(WRITE_DIGEST_NOT_CHECKED, "G42", "data of a write is believed without its digest", "") \
	bug(COMMAND_HEADER_NOT_CHECKED, "G42", "host headers are believed", "--faults corrupt") \
	bug(ANSWERED_TWICE, "G40", "answers of writes are sent twice", "") \
	bug(ANSWER_OF_ANOTHER, "G40", "now and then an answer has another command's id", "") \
	bug(BUFFER_FREED_BEFORE_SENT, "G41", "a buffer is used again before it was sent", "") \
	bug(CHARGE_NOT_GIVEN_BACK, "D45", "a controller's share of buffers only shrinks", "") \
	bug(KEEP_ALIVE_IGNORED, "G43", "a silent host's controller lives for ever", "open") \
	bug(SLOTS_LEAK, "G43", "a closed connection does not give back its memory", "") \
	bug(TIMER_OF_THE_DEAD, "G43", "the timer of a closed connection still fires", "") \
	bug(UNSHARED_BUT_SERVED, "C18", "a removed subsystem keeps its hosts", "") \
	bug(RESERVATION_NOT_CHECKED, "C19", "writes ignore reservations", "open") \
	bug(PREEMPTED_MAY_WRITE, "C19", "who is preempted stays registered", "open") \
	bug(FENCE_NOT_AWAITED, "C19", "a preempt does not wait for writes that are out", "open") \
	/* block and reactor */ \
	bug(LOCK_WAITER_FORGOTTEN, "D45", "a freed range wakes one waiter alone", "") \
	bug(SHORT_ZEROES, "A5", "the last block of zeroes is not written", "") \
	bug(MESSAGES_REVERSED, "G41", "messages between reactors arrive in reverse", "open")
/* clang-format on */

enum planted_bug {
	PLANTED_NONE,
#define PLANTED_ENUMERATOR(name, rule, what, hint) PLANTED_##name,
	PLANTED_BUGS(PLANTED_ENUMERATOR)
#undef PLANTED_ENUMERATOR
		PLANTED_COUNT,
};

struct planted_info {
	const char *name;
	const char *rule;
	const char *what;
	const char *hint;
};

#ifdef MAYASTOR_PLANTED_BUGS

/* Of the program: chosen once, before anything runs. */
extern enum planted_bug planted_chosen;

#define PLANTED(name) __builtin_expect(planted_chosen == PLANTED_##name, 0)

#else

#define PLANTED(name) ((void)PLANTED_##name, false)

#endif

/** planted_info - Return: the bug of that index (from 0), NULL behind the last or in other builds.
 */
const struct planted_info *planted_info(unsigned index);

/**
 * planted_choose - turn on one bug, by its name as in the list ("": none)
 * Return: 0, -ENOENT for an unknown name, -ENOTSUP in builds without planted bugs.
 */
int planted_choose(const char *name);

#endif

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
 * campaign that looks for it is told besides its seeds ("": nothing), and how many seeds it took
 * when that was last measured.
 */
/* clang-format off */
#define PLANTED_BUGS(bug) \
	/* mirror: writes and reads */ \
	bug(ANSWER_BEFORE_LAST_CHILD, "B8", "a write does not wait for its last child", "", 1) \
	bug(CHILD_ERROR_IGNORED, "B8", "a child that failed a write stays in service", "", 3) \
	bug(ZEROES_SKIP_A_CHILD, "A5", "zeroes are not written to the last child", "", 1) \
	bug(UNMAP_SKIPS_A_CHILD, "A5", "blocks stay mapped on the last child", "", 1) \
	bug(FLUSH_SKIPS_A_CHILD, "A4", "the last child is not flushed", "", 35) \
	bug(FUA_DROPPED, "A3", "children get a write through the cache as a plain one", "", 8) \
	bug(OVERLAP_NOT_ORDERED, "B15", "writes that overlap share the lock of their blocks", \
	    "", 16) \
	bug(READ_NOT_ORDERED, "A2", "a read does not wait for a write of its blocks", \
	    "--local --strict --faults disk-slow,clock", 42) \
	bug(LOSS_NOT_AWAITED, "B8", "a write is answered before a loss is recorded", "", 21) \
	bug(SETTLE_SKIPPED, "B15", "copies stay as a write that failed on all left them", \
	    "--faults disk-errors,disk-full", 1) \
	bug(COMPARE_ALWAYS_EQUAL, "A6", "a comparison never finds a difference", "", 5) \
	/* mirror: membership and records */ \
	bug(LAST_CHILD_DROPPED, "B13", "the last healthy child can leave service", "", 3) \
	bug(LOSING_CHILD_READ, "B11", "a child that is leaving service is still read", "", 1) \
	bug(SYNCING_CHILD_READ, "B11", "a child that is being rebuilt is read", "", 1) \
	bug(INTERRUPTION_IGNORED, "A3", "a child whose link broke stays in service", \
	    "--faults power,flap,reset", 11) \
	bug(STALE_CHILD_TRUSTED, "B11", "at creation the record is ignored", "", 1) \
	bug(CACHE_ID_IGNORED, "B13", "who has kept its power is not preferred", \
	    "--faults power,kill,power-all", 19) \
	bug(SURVIVORS_NOT_FLUSHED, "A3", "a loss is recorded before those who stay flushed", \
	    "--faults power,store-slow,reset", 20) \
	bug(VOID_LOSS_RECORDED, "B13", "a loss is recorded by a last copy that lost power", \
	    "--faults power,store-slow,reset", 40) \
	bug(UNCLEAN_END_TRUSTED, "D26", "every record says that the volume ended cleanly", "", 5) \
	bug(LOST_CHILD_RECORDED_HEALTHY, "B8", "a record calls a lost child healthy", "", 6) \
	bug(RECORD_SEQUENCE_STANDS, "B10", "the numbers of records do not grow", "", 1) \
	bug(RECORD_FAILURE_IGNORED, "B12", "a record that could not be stored counts", "", 13) \
	bug(RECORD_NOT_RETRIED, "D45", "a record that could not be stored is forgotten", "", 7) \
	bug(LOST_ANSWER_IS_FAILURE, "B12", "a store without an answer counts as not done", \
	    "--faults store-lost,kill,reset", 0) \
	bug(ACTIVATION_NOT_FLUSHED, "B13", "copies are given up before the source is durable", \
	    "--faults power-all,kill,power", 0) \
	/* rebuild */ \
	bug(REBUILD_NOT_LOCKED, "D24", "shared and exclusive locks do not exclude each other", \
	    "", 8) \
	bug(SYNCING_CHILD_NOT_WRITTEN, "D24", "a child being rebuilt gets no writes", "", 1) \
	bug(REBUILD_SKIPS_LAST_SEGMENT, "D29", "a rebuild leaves out its last segment", "", 1) \
	bug(REBUILD_NOT_FLUSHED, "D23", "a rebuilt copy counts before it was flushed", "", 10) \
	bug(REBUILD_ERROR_IGNORED, "D23", "a segment that could not be written counts", \
	    "--faults disk-errors", 1) \
	bug(MISSED_WRITE_NOT_MARKED, "D22", "the map of a child lacks what it missed", "", 4) \
	bug(UNFLUSHED_NOT_REMEMBERED, "D22", "a child's map lacks what its cache may lose", \
	    "--faults power", 5) \
	bug(MAP_CLEARED_EARLY, "D23", "a failed flush clears the map of what is cached", \
	    "--faults disk-flush,disk-errors,power", 0) \
	/* initiator */ \
	bug(CLOSED_NOT_ABORTED, "C16", "a lost connection still delivers what was sent", \
	    "--faults delay,bandwidth,host-reset", 19) \
	bug(TIMEOUT_WITHOUT_ABORT, "C16", "a write times out and its connection lives on", \
	    "--faults disk-stuck,disk-slow", 0) \
	bug(FAILURE_SWALLOWED, "B8", "an I/O whose commands failed is answered as done", "", 1) \
	bug(FLUSH_NOT_SENT, "A4", "the initiator answers flushes itself", "", 1) \
	bug(READ_DIGEST_NOT_CHECKED, "G42", "data of a read is believed without its digest", \
	    "--faults corrupt", 1) \
	bug(QUEUE_DEPTH_EXCEEDED, "G40", "more commands are out than the queue has entries", \
	    "", 1) \
	bug(KEEP_ALIVE_NOT_SENT, "D45", "the initiator sends no keep-alive", "", 1) \
	/* target */ \
	bug(GHOSTS_NOT_AWAITED, "C17", "a host's new connection overtakes its old writes", \
	    "--faults disk-stuck,disk-slow,reset", 12) \
	bug(EARLIER_HOST_KEPT, "C16", "a dead association goes on after its host began anew", \
	    "--faults half-open,host-crash,host-reset", 0) \
	bug(WRITE_ERROR_ANSWERED_OK, "B8", "a write that the disk failed counts as done", \
	    "--faults disk-errors", 1) \
	bug(TARGET_FUA_DROPPED, "A3", "the target forgets the flag of write through", "", 16) \
	bug(WRITE_DIGEST_NOT_CHECKED, "G42", "data of a write is believed without its digest", \
	    "--faults corrupt", 1) \
	bug(COMMAND_HEADER_NOT_CHECKED, "G42", "host headers are believed", "--faults corrupt", 1) \
	bug(ANSWERED_TWICE, "G40", "answers of writes are sent twice", "", 1) \
	bug(ANSWER_OF_ANOTHER, "G40", "now and then an answer has another command's id", "", 1) \
	bug(BUFFER_FREED_BEFORE_SENT, "G41", "a buffer is used again before it was sent", "", 2) \
	bug(CHARGE_NOT_GIVEN_BACK, "D45", "a controller's share of buffers only shrinks", "", 1) \
	bug(KEEP_ALIVE_IGNORED, "G43", "a silent host's controller lives for ever", \
	    "--faults half-open,host-crash", 1) \
	bug(SLOTS_LEAK, "G43", "a closed connection does not give back its memory", "", 1) \
	bug(TIMER_OF_THE_DEAD, "G43", "the timer of a closed connection still fires", "", 1) \
	bug(UNSHARED_BUT_SERVED, "C18", "a removed subsystem keeps its hosts", "", 1) \
	bug(RESERVATION_NOT_CHECKED, "C19", "writes ignore reservations", "", 14) \
	bug(PREEMPTED_MAY_WRITE, "C19", "who is preempted stays registered", "", 14) \
	/* block and reactor */ \
	bug(LOCK_WAITER_FORGOTTEN, "D45", "a freed range wakes one waiter alone", "", 1) \
	bug(SHORT_ZEROES, "A5", "the last block of zeroes is not written", "", 1)
/* clang-format on */

enum planted_bug {
	PLANTED_NONE,
#define PLANTED_ENUMERATOR(name, rule, what, hint, seeds) PLANTED_##name,
	PLANTED_BUGS(PLANTED_ENUMERATOR)
#undef PLANTED_ENUMERATOR
		PLANTED_COUNT,
};

struct planted_info {
	const char *name;
	const char *rule;
	const char *what;
	const char *hint;
	unsigned seeds;
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

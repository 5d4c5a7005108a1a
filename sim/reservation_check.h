/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_check.h - what reservations allow: every answer against all states that may be.
 *
 * A reservation command acts at one moment between its submission and its answer; one without an
 * answer at any later moment or never, but not behind a later command of the same host over the
 * same path. The check keeps every state that the answers so far leave possible. It fails when
 *  1. an answer of a command, or a report, fits none of them;
 *  2. an I/O was answered OK although its host was denied, for certain, from its submission to its
 *     answer; or was refused although its host was allowed, for certain, all that time.
 * It tells the history since when a host is denied for certain, which then sees to it that nothing
 * of that host takes effect.
 *
 * The rules of reservations are written down here once more, on purpose (NVMe base 2.0, section
 * 8.19): the target's are not used.
 */
#ifndef SIM_RESERVATION_CHECK_H
#define SIM_RESERVATION_CHECK_H

#include "base/list.h"
#include "nvme/nvme_command.h"
#include "sim/history.h"

/* That may still act: for each host the one at work, and one without an answer on each path. */
#define RESERVATION_COMMANDS_MAX (3 * HISTORY_HOSTS_MAX)

struct reservation_check;

struct reservation_check_options {
	struct history *history;
	/* Registrations and reservations of which that was asked outlive their target. */
	bool is_kept;
	/* Last byte of host 0's host identifier; those of the others follow. */
	uint8_t host_id_first;
};

struct reservation_check *reservation_check_create(const struct reservation_check_options *options);
void reservation_check_destroy(struct reservation_check *check);

/**
 * The target is gone, and with it what is not kept. For an orderly end: after the subsystem's
 * destruction was answered, before the next one is made.
 */
void reservation_target_gone(struct reservation_check *check, uint64_t now_ns);

/* ---- commands ---- */

struct reservation_ask {
	uint32_t host;
	uint32_t path;
	struct nvme_reservation request; /* keys 1 .. 255 */
	uint32_t slot;			 /* private */
};

/** HISTORY_HOSTS_MAX: none of ours. */
uint32_t reservation_host_of(const struct reservation_check *check, const uint8_t host_id[16]);

/* What a host was told; keys by host. */
struct reservation_seen {
	uint32_t generation;
	uint8_t type;
	bool has_strangers; /* a registrant that is none of our hosts */
	bool is_holder[HISTORY_HOSTS_MAX];
	uint64_t keys[HISTORY_HOSTS_MAX]; /* 0: not registered */
};

enum reservation_answer {
	RESERVATION_GRANTED,
	RESERVATION_CONFLICT, /* reservation conflict */
	RESERVATION_INVALID,  /* invalid field */
	RESERVATION_UNKNOWN,  /* no answer, or another error */
};

/** Is there a command without an answer? The next one there should be a report, which settles it.
 */
bool reservation_has_open(const struct reservation_check *check, uint32_t host, uint32_t path);
void reservation_ask_begin(struct reservation_check *check, struct reservation_ask *ask,
			   uint64_t now_ns);
/** @seen: of a report that was answered, else NULL. */
void reservation_ask_done(struct reservation_check *check, const struct reservation_ask *ask,
			  enum reservation_answer answer, const struct reservation_seen *seen,
			  uint64_t now_ns);

/* ---- I/O ---- */

struct reservation_io {
	uint32_t host;
	bool is_write; /* zeroes, unmaps and flushes too */
	/* private */
	struct list_node link;
	uint64_t begun_ns;
	bool was_allowed; /* perhaps, at some moment */
	bool was_denied;
};

enum reservation_verdict {
	RESERVATION_IO_DONE,
	RESERVATION_IO_REFUSED,
	RESERVATION_IO_UNKNOWN,
};

void reservation_io_begin(struct reservation_check *check, struct reservation_io *io,
			  uint64_t now_ns);
void reservation_io_done(struct reservation_check *check, struct reservation_io *io,
			 enum reservation_verdict verdict, uint64_t now_ns);

/** What was found, NULL while all is well. */
const char *reservation_check_error(const struct reservation_check *check);
/** In how many states may the reservation be? 1: it is known; 0: they were too many to follow, and
 * nothing is checked until a report that no other command was beside. */
uint32_t reservation_state_count(const struct reservation_check *check);

#endif

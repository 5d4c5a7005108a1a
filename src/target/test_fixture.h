/* SPDX-License-Identifier: Apache-2.0 */
/* test_fixture.h - the surroundings of one wrong input: a host in a chosen state, and a witness.
 *
 * The witness is another host that does I/O all the time, whenever the reactors turn: it writes a
 * pattern in the capsule, reads one of its earlier patterns back, with digests, and compares.
 *
 * Invariants, checked by fixture_leave():
 *  1. The witness went on: it has verified at least one more pattern, and none was wrong.
 *  2. The target is back at its base level: connections, strangers, controllers, commands at the
 *     bdev, buffers of both reactors, and allocated memory.
 */
#ifndef TARGET_TEST_FIXTURE_H
#define TARGET_TEST_FIXTURE_H

#include "target/test_host.h"

#define WITNESS_SLOTS	    64u
#define WITNESS_BYTES	    4096u
#define WITNESS_SLOT_BLOCKS (WITNESS_BYTES / 512)
/* The last blocks are the witness's; others keep to those before. */
#define WITNESS_FIRST_BLOCK (STAGE_BLOCKS - WITNESS_SLOTS * WITNESS_SLOT_BLOCKS)

enum fixture_state {
	STATE_FRESH,	   /* accepted; nothing was sent */
	STATE_READY,	   /* ICReq and ICResp were exchanged */
	STATE_DISABLED,	   /* admin queue connected, CC.EN 0 */
	STATE_ADMIN,	   /* admin queue of an enabled controller */
	STATE_IO,	   /* an I/O queue */
	STATE_WAITING,	   /* I/O queue; an R2T over 16 KiB is out */
	STATE_TRANSFER,	   /* the first half of them has come */
	STATE_DONE,	   /* all of them have, and the write was answered */
	STATE_SHUTDOWN,	   /* admin queue; CC.SHN was set */
	STATE_TERMINATING, /* I/O queue; the target has sent its terminate request */
	STATE_COUNT,
};

enum witness_step {
	WITNESS_IDLE,
	WITNESS_WRITE,
	WITNESS_READ,
};

struct witness {
	struct host admin;
	struct host host;
	enum witness_step step;
	bool is_resting; /* it begins nothing new */
	bool is_broken;	 /* something was wrong: see @what */
	const char *what;
	uint32_t slot;
	uint32_t slot_stamps[WITNESS_SLOTS]; /* 0: not written yet */
	uint32_t stamp;
	uint64_t round_count; /* verified */
	uint32_t got_bytes;
	uint8_t got[WITNESS_BYTES + 128];
};

/* What must be the same before and after each case. */
struct fixture_level {
	uint32_t connection_count;
	uint32_t unauthenticated_count;
	uint32_t controller_count;
	uint32_t subsystem_connection_count;
	uint32_t discovery_controller_count;
	uint32_t inflight_count;
	uint32_t ghost_writes;
	uint32_t free_small[2];
	uint32_t free_large[2];
	size_t heap_bytes;
};

struct fixture {
	struct stage stage;
	struct witness witness;
	struct host admin;
	struct host host; /* the wrongdoer */
	uint16_t tag;	  /* of the R2T */
	uint16_t cid;	  /* of the write that it belongs to */
	struct fixture_level base;
	uint64_t rounds_at_enter;
	bool is_inside;	   /* entered and not left: so too behind a case that failed */
	uint8_t sent[128]; /* header of the PDU that is wrong, for what the target says of it */
	uint32_t sent_bytes;
};

extern struct fixture fixture;

extern const char *const fixture_state_names[STATE_COUNT];

/* Before and behind all cases; @options of the target may be NULL. */
int fixture_start(void **state);
int fixture_end(void **state);
void fixture_start_with(const struct target_options *options,
			struct target_reservation_store *store);

/** Brings fixture.host to @state. */
void fixture_enter(enum fixture_state state, bool has_digests);
/** Ends what is left of it, and checks the invariants above. */
void fixture_leave(void);

/** The witness ends what it is at and begins nothing, while its I/O cannot work; and goes on. */
void witness_rest(void);
void witness_go_on(void);

/** Sends a PDU that is wrong, and remembers its header. */
void fixture_send(const void *bytes, size_t size);
/** The next PDU is a terminate request with @fes and @fei that shows the header of what was
 * sent, and the connection ends within a second; FEI of digest errors is the digest's. */
void expect_term(uint16_t fes, uint32_t fei);
/** The next PDU is an R2T. Return: its tag. */
uint16_t expect_r2t(void);
/** The connection ends within a second, without a terminate request. */
void expect_closed(void);
/** The next PDU answers @cid with @status; the do-not-retry bit is as status.c has it. */
void expect_status(uint16_t cid, uint16_t status);
/** The next two PDUs answer, in either order, @cid with @status and another command with
 * @other_status: each once. */
void expect_two(uint16_t cid, uint16_t status, uint16_t other_status);
/** The connection is in step with its stream: one more good command works. */
void expect_in_step(enum fixture_state state);

/* Tests with one row twice: without and with digests. */
struct variant {
	const char *name;
	const void *row;
	bool has_digests;
};
#define VARIANTS_MAX 512

struct catalogue;

/** Adds @count rows of @row_bytes each, which begin with their name, in both variants. */
void variants_add(struct catalogue *catalogue, const void *rows, size_t count, size_t row_bytes,
		  void (*function)(void **state));
#define VARIANTS_ADD(catalogue, rows, function) \
	variants_add(catalogue, rows, sizeof(rows) / sizeof((rows)[0]), sizeof((rows)[0]), function)

/** A name that stays; printf-like. */
const char *name_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_check.c - all states that the answers so far leave possible.
 *
 * A possibility is a state, together with the commands that have acted on the way to it and what
 * they will answer. The list is closed: whoever may act has acted in some of them. An answer
 * strikes out the possibilities in which it would have been another one.
 *
 * Invariants:
 *  1. The list is never empty; when an answer strikes out all, that is the error. Then, and when
 *     the list grows too long, anything is possible until a report that was alone tells the state.
 *  2. What an I/O was allowed is gathered from every list that was true during its life.
 */
#include "sim/reservation_check.h"

#include "base/assert.h"
#include "sim/reservation_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POSSIBILITIES_MAX 4096
#define ERROR_TEXT	  256

enum slot_state {
	SLOT_FREE,
	SLOT_ASKED,
	SLOT_OPEN, /* without an answer: may still act */
};

struct possibility {
	struct reservation_state state;
	struct reservation_state seen[RESERVATION_COMMANDS_MAX]; /* of reports that have acted */
	uint8_t answers[RESERVATION_COMMANDS_MAX];
	uint32_t acted; /* bit a slot */
};

struct slot {
	enum slot_state state;
	uint32_t host;
	uint32_t path;
	bool is_alone; /* no other command, nor the target's end, may have acted since it was asked
			*/
	uint64_t begun_ns;
	uint64_t ended_ns;
	struct nvme_reservation request;
};

struct rights {
	bool may_be_allowed[2]; /* reads, writes */
	bool may_be_denied[2];
};

struct reservation_check {
	struct reservation_check_options options;
	struct slot slots[RESERVATION_COMMANDS_MAX];
	struct rights rights[HISTORY_HOSTS_MAX];
	uint64_t denied_since_ns[HISTORY_HOSTS_MAX];
	struct list_node ios;
	bool is_lost; /* nothing is known */
	char error[ERROR_TEXT];
	uint32_t count;
	struct possibility possibilities[POSSIBILITIES_MAX];
};

/* ---- the list ---- */

static void possibility_add(struct reservation_check *check, const struct possibility *possibility)
{
	for (uint32_t i = 0; i < check->count; i++) {
		if (memcmp(&check->possibilities[i], possibility, sizeof(*possibility)) == 0)
			return;
	}
	if (check->count == POSSIBILITIES_MAX) {
		check->is_lost = true;
		return;
	}
	check->possibilities[check->count++] = *possibility;
}

static void slot_act(struct reservation_check *check, const struct possibility *before,
		     uint32_t number)
{
	const struct slot *slot = &check->slots[number];
	struct possibility after = *before;

	after.acted |= 1u << number;
	if (slot->request.opcode == NVME_RESERVATION_REPORT)
		after.seen[number] = after.state;
	else
		after.answers[number] = (uint8_t)reservation_model_apply(
			&after.state, slot->host, &slot->request, check->options.is_kept);
	possibility_add(check, &after);
}

/* @later is of the same host and path and was begun after @slot had been given up. */
static bool is_behind(const struct slot *later, const struct slot *slot)
{
	return slot->state == SLOT_OPEN && later->state != SLOT_FREE && later->host == slot->host &&
	       later->path == slot->path && later->begun_ns > slot->ended_ns;
}

/* Once, and not behind what its host sent later. */
static bool slot_may_act(const struct reservation_check *check,
			 const struct possibility *possibility, uint32_t number)
{
	if (check->slots[number].state == SLOT_FREE || (possibility->acted & 1u << number) != 0)
		return false;
	for (uint32_t s = 0; s < RESERVATION_COMMANDS_MAX; s++) {
		if ((possibility->acted & 1u << s) != 0 &&
		    is_behind(&check->slots[s], &check->slots[number]))
			return false;
	}
	return true;
}

/* The list grows while it is walked. */
static void list_close(struct reservation_check *check)
{
	for (uint32_t i = 0; i < check->count && !check->is_lost; i++) {
		for (uint32_t s = 0; s < RESERVATION_COMMANDS_MAX; s++) {
			const struct possibility before = check->possibilities[i];

			if (slot_may_act(check, &before, s))
				slot_act(check, &before, s);
		}
	}
}

/* Rebuilds the list without what is equal after @number is forgotten. */
static void slot_forget(struct reservation_check *check, uint32_t number)
{
	uint32_t count = check->count;

	ASSERT(check->slots[number].state != SLOT_FREE);
	check->slots[number].state = SLOT_FREE;
	check->count = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct possibility possibility = check->possibilities[i];

		possibility.acted &= ~(1u << number);
		possibility.answers[number] = 0;
		memset(&possibility.seen[number], 0, sizeof(possibility.seen[number]));
		possibility_add(check, &possibility);
	}
}

/* ---- rights ---- */

static void rights_gather(struct reservation_check *check)
{
	for (uint32_t h = 0; h < HISTORY_HOSTS_MAX; h++) {
		struct rights *rights = &check->rights[h];

		*rights = (struct rights){.may_be_allowed = {check->is_lost, check->is_lost},
					  .may_be_denied = {check->is_lost, check->is_lost}};
		for (uint32_t i = 0; i < check->count && !check->is_lost; i++) {
			const struct reservation_state *state = &check->possibilities[i].state;

			for (uint32_t w = 0; w < 2; w++) {
				bool is_allowed = reservation_model_allows(state, h, w == 1);

				rights->may_be_allowed[w] |= is_allowed;
				rights->may_be_denied[w] |= !is_allowed;
			}
		}
	}
}

static void io_gather(const struct reservation_check *check, struct reservation_io *io)
{
	const struct rights *rights = &check->rights[io->host];

	io->was_allowed |= rights->may_be_allowed[io->is_write];
	io->was_denied |= rights->may_be_denied[io->is_write];
}

/* After every change of the list. */
static void list_changed(struct reservation_check *check, uint64_t now_ns)
{
	list_close(check);
	rights_gather(check);
	list_for_each (node, &check->ios)
		io_gather(check, list_entry(node, struct reservation_io, link));
	for (uint32_t h = 0; h < HISTORY_HOSTS_MAX; h++) {
		bool is_denied = !check->rights[h].may_be_allowed[1];

		if (is_denied == (check->denied_since_ns[h] != HISTORY_NEVER_NS))
			continue;
		check->denied_since_ns[h] = is_denied ? now_ns : HISTORY_NEVER_NS;
		history_host_denied(check->options.history, h, check->denied_since_ns[h]);
	}
}

/* ---- life ---- */

struct reservation_check *reservation_check_create(const struct reservation_check_options *options)
{
	struct reservation_check *check = calloc(1, sizeof(*check));

	ASSERT(check != NULL);
	ASSERT(options->history != NULL);
	check->options = *options;
	list_init(&check->ios);
	for (uint32_t h = 0; h < HISTORY_HOSTS_MAX; h++)
		check->denied_since_ns[h] = HISTORY_NEVER_NS;
	check->count = 1; /* all zeroes: nobody is registered */
	rights_gather(check);
	return check;
}

void reservation_check_destroy(struct reservation_check *check)
{
	free(check);
}

static void complain(struct reservation_check *check, const char *what, uint32_t host,
		     uint64_t begun_ns)
{
	if (check->error[0] == '\0')
		snprintf(check->error, sizeof(check->error),
			 "host %u, begun at %" PRIu64 ": %s, %u states were possible", host,
			 begun_ns, what, check->count);
}

static bool is_anybody_asking(const struct reservation_check *check)
{
	for (uint32_t s = 0; s < RESERVATION_COMMANDS_MAX; s++) {
		if (check->slots[s].state == SLOT_ASKED)
			return true;
	}
	return false;
}

/* Something else may act while they are under way. Return: was there any? */
static bool slots_disturb(struct reservation_check *check)
{
	bool is_any = false;

	for (uint32_t s = 0; s < RESERVATION_COMMANDS_MAX; s++) {
		check->slots[s].is_alone = false;
		is_any |= check->slots[s].state != SLOT_FREE;
	}
	return is_any;
}

/* What had no answer went with its connection; what waits at a host may still come. */
void reservation_target_gone(struct reservation_check *check, uint64_t now_ns)
{
	uint32_t count;

	(void)slots_disturb(check);
	for (uint32_t s = 0; s < RESERVATION_COMMANDS_MAX; s++) {
		if (check->slots[s].state == SLOT_OPEN)
			slot_forget(check, s);
	}
	count = check->count;
	check->count = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct possibility possibility = check->possibilities[i];

		if (!possibility.state.is_persistent)
			possibility.state = (struct reservation_state){0};
		possibility_add(check, &possibility);
	}
	/* Whatever it was, it is known again. */
	if (check->is_lost && !check->options.is_kept && !is_anybody_asking(check)) {
		check->is_lost = false;
		check->count = 1;
		check->possibilities[0] = (struct possibility){.acted = 0};
	}
	list_changed(check, now_ns);
}

/* ---- commands ---- */

uint32_t reservation_host_of(const struct reservation_check *check, const uint8_t host_id[16])
{
	uint32_t host = (uint32_t)host_id[15] - check->options.host_id_first;

	ASSERT(check->count > 0 || check->is_lost);
	return host < HISTORY_HOSTS_MAX ? host : HISTORY_HOSTS_MAX;
}

bool reservation_has_open(const struct reservation_check *check, uint32_t host, uint32_t path)
{
	ASSERT(host < HISTORY_HOSTS_MAX);
	for (uint32_t s = 0; s < RESERVATION_COMMANDS_MAX; s++) {
		const struct slot *slot = &check->slots[s];

		if (slot->state == SLOT_OPEN && slot->host == host && slot->path == path)
			return true;
	}
	return false;
}

void reservation_ask_begin(struct reservation_check *check, struct reservation_ask *ask,
			   uint64_t now_ns)
{
	bool is_alone = !slots_disturb(check);
	uint32_t number = 0;

	ASSERT(ask->host < HISTORY_HOSTS_MAX);
	while (check->slots[number].state != SLOT_FREE) {
		number++;
		ASSERT(number < RESERVATION_COMMANDS_MAX);
	}
	ask->slot = number;
	check->slots[number] = (struct slot){
		.state = SLOT_ASKED,
		.host = ask->host,
		.path = ask->path,
		.is_alone = is_alone,
		.begun_ns = now_ns,
		.request = ask->request,
	};
	list_changed(check, now_ns);
}

static bool seen_matches(const struct reservation_state *state, const struct reservation_seen *seen)
{
	if (seen->has_strangers || state->generation != seen->generation ||
	    state->type != seen->type)
		return false;
	for (uint32_t h = 0; h < HISTORY_HOSTS_MAX; h++) {
		if (state->keys[h] != seen->keys[h] ||
		    reservation_model_is_holder(state, h) != seen->is_holder[h])
			return false;
	}
	return true;
}

/* Return: false if a report like that fits no state. */
static bool state_of_report(const struct reservation_seen *seen,
			    struct reservation_state *ret_state)
{
	struct reservation_state state = {.generation = seen->generation, .type = seen->type};
	bool has_holder = false;

	for (uint32_t h = HISTORY_HOSTS_MAX; h > 0; h--) {
		state.keys[h - 1] = (uint8_t)seen->keys[h - 1];
		if (!seen->is_holder[h - 1])
			continue;
		has_holder = true;
		state.holder = (uint8_t)(h - 1);
	}
	if (state.type == NVME_RESERVATION_WRITE_EXCLUSIVE_ALL ||
	    state.type == NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL)
		state.holder = 0;
	if (has_holder != (state.type != NVME_RESERVATION_NONE) || !seen_matches(&state, seen))
		return false;
	*ret_state = state;
	return true;
}

/* Nothing was known; now all but what outlives the target. Return: false if that cannot be. */
static bool list_restart(struct reservation_check *check, const struct reservation_seen *seen)
{
	struct possibility possibility = {.acted = 0};

	if (!state_of_report(seen, &possibility.state))
		return false;
	check->is_lost = false;
	check->count = 0;
	possibility_add(check, &possibility);
	possibility.state.is_persistent = check->options.is_kept;
	possibility_add(check, &possibility);
	return true;
}

/* Strikes out in what @number would have been answered otherwise. Return: false if nothing stays.
 */
static bool list_strike(struct reservation_check *check, uint32_t number,
			enum reservation_answer answer, const struct reservation_seen *seen)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < check->count; i++) {
		const struct possibility *possibility = &check->possibilities[i];

		if ((possibility->acted & 1u << number) == 0)
			continue;
		if (seen != NULL ? seen_matches(&possibility->seen[number], seen)
				 : possibility->answers[number] == answer)
			check->possibilities[kept++] = *possibility;
	}
	if (kept == 0)
		return false;
	check->count = kept;
	return true;
}

/* What the host had no answer to, over the same path, cannot act any more. */
static void opens_settle(struct reservation_check *check, const struct slot *answered)
{
	for (uint32_t s = 0; s < RESERVATION_COMMANDS_MAX; s++) {
		if (is_behind(answered, &check->slots[s]))
			slot_forget(check, s);
	}
}

void reservation_ask_done(struct reservation_check *check, const struct reservation_ask *ask,
			  enum reservation_answer answer, const struct reservation_seen *seen,
			  uint64_t now_ns)
{
	struct slot *slot = &check->slots[ask->slot];
	struct slot answered = *slot;
	bool is_possible;

	ASSERT(slot->state == SLOT_ASKED && slot->host == ask->host);
	ASSERT((seen != NULL) ==
	       (answer == RESERVATION_GRANTED && ask->request.opcode == NVME_RESERVATION_REPORT));
	if (answer == RESERVATION_UNKNOWN) {
		slot->state = SLOT_OPEN;
		slot->ended_ns = now_ns;
		/* Nobody asks what a report that got lost has said. */
		if (ask->request.opcode == NVME_RESERVATION_REPORT)
			slot_forget(check, ask->slot);
		list_changed(check, now_ns);
		return;
	}
	if (check->is_lost)
		is_possible = seen == NULL || !answered.is_alone || list_restart(check, seen);
	else
		is_possible = list_strike(check, ask->slot, answer, seen);
	if (!is_possible) {
		complain(check,
			 seen != NULL ? "a reservation report that cannot be"
				      : "an answer to a reservation command that cannot be",
			 ask->host, answered.begun_ns);
		check->is_lost = true;
	}
	slot_forget(check, ask->slot);
	opens_settle(check, &answered);
	list_changed(check, now_ns);
}

/* ---- I/O ---- */

void reservation_io_begin(struct reservation_check *check, struct reservation_io *io,
			  uint64_t now_ns)
{
	ASSERT(io->host < HISTORY_HOSTS_MAX);
	io->begun_ns = now_ns;
	io->was_allowed = false;
	io->was_denied = false;
	list_init(&io->link);
	list_push_back(&check->ios, &io->link);
	io_gather(check, io);
}

void reservation_io_done(struct reservation_check *check, struct reservation_io *io,
			 enum reservation_verdict verdict, uint64_t now_ns)
{
	ASSERT(now_ns >= io->begun_ns);
	ASSERT(io->was_allowed || io->was_denied);
	list_remove(&io->link);
	if (verdict == RESERVATION_IO_DONE && !io->was_allowed)
		complain(check, "an operation was done for a host that was denied", io->host,
			 io->begun_ns);
	if (verdict == RESERVATION_IO_REFUSED && !io->was_denied)
		complain(check, "an operation was refused to a host that was allowed", io->host,
			 io->begun_ns);
}

const char *reservation_check_error(const struct reservation_check *check)
{
	return check->error[0] == '\0' ? NULL : check->error;
}

uint32_t reservation_state_count(const struct reservation_check *check)
{
	return check->is_lost ? 0 : check->count;
}

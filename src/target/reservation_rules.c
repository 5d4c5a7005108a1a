/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_rules.c - the rules of reservations (NVMe base 2.0, section 8.19), without any I/O.
 *
 *	register: adds, removes or replaces the key of a host
 *	acquire:  takes a free reservation, or preempts registrants by their key
 *	release:  gives it back, or clears everything
 *
 * Invariants:
 *  1. A reservation is held by a registrant; with types 5 and 6 by all of them; without
 *     registrants there is none.
 *  2. registrant_count never exceeds TARGET_REGISTRANTS_MAX: one more is refused.
 *  3. generation counts register, clear and preempt.
 */
#include "target/reservation_rules.h"

#include "base/planted.h"

#include <string.h>

static bool type_is_for_all(uint8_t type)
{
	ASSERT(type <= NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL);
	return type == NVME_RESERVATION_WRITE_EXCLUSIVE_ALL ||
	       type == NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL;
}

static bool type_is_for_registrants(uint8_t type)
{
	ASSERT(type <= NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL);
	return type >= NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS;
}

static bool type_excludes_reads(uint8_t type)
{
	ASSERT(type <= NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL);
	return type == NVME_RESERVATION_EXCLUSIVE_ACCESS ||
	       type == NVME_RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS ||
	       type == NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL;
}

uint32_t reservation_find(const struct target_reservation_state *state, const struct uuid *host_id)
{
	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(host_id != NULL);
	for (uint32_t i = 0; i < state->registrant_count; i++) {
		if (uuid_is_equal(&state->registrants[i].host_id, host_id))
			return i;
	}
	return TARGET_REGISTRANTS_MAX;
}

bool reservation_is_holder(const struct target_reservation_state *state, uint32_t index)
{
	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(state->type <= NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL);
	if (state->type == NVME_RESERVATION_NONE || index >= state->registrant_count)
		return false;
	return type_is_for_all(state->type) || state->holder_index == index;
}

bool reservation_conflicts(const struct target_reservation_state *state, const struct uuid *host_id,
			   bool is_write)
{
	uint32_t index;

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(host_id != NULL);
	if (state->type == NVME_RESERVATION_NONE)
		return false;
	if (!is_write && !type_excludes_reads(state->type))
		return false;
	index = reservation_find(state, host_id);
	if (type_is_for_registrants(state->type))
		return index == TARGET_REGISTRANTS_MAX;
	return !reservation_is_holder(state, index);
}

static void notice_add(struct reservation_notices *notices, const struct uuid *host_id,
		       enum nvme_reservation_notice type)
{
	ASSERT(notices->count <= TARGET_REGISTRANTS_MAX);
	ASSERT(notices->count < TARGET_REGISTRANTS_MAX + 1);
	notices->of[notices->count].host_id = *host_id;
	notices->of[notices->count].type = type;
	notices->count++;
}

/* Tells every registrant but @self. */
static void notice_others(const struct target_reservation_state *state,
			  struct reservation_notices *notices, const struct uuid *self,
			  enum nvme_reservation_notice type)
{
	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(notices->count <= TARGET_REGISTRANTS_MAX);
	for (uint32_t i = 0; i < state->registrant_count; i++) {
		if (!uuid_is_equal(&state->registrants[i].host_id, self))
			notice_add(notices, &state->registrants[i].host_id, type);
	}
}

/* Takes a registrant out; a reservation that nobody holds any more is gone. */
static void registrant_remove(struct target_reservation_state *state, uint32_t index)
{
	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(index < state->registrant_count);
	if (state->type != NVME_RESERVATION_NONE && !type_is_for_all(state->type)) {
		if (state->holder_index == index)
			state->type = NVME_RESERVATION_NONE;
		else if (state->holder_index > index)
			state->holder_index--;
	}
	state->registrant_count--;
	memmove(&state->registrants[index], &state->registrants[index + 1],
		(state->registrant_count - index) * sizeof(state->registrants[0]));
	state->registrants[state->registrant_count] = (struct target_registrant){0};
	if (state->registrant_count == 0)
		state->type = NVME_RESERVATION_NONE;
	if (state->type == NVME_RESERVATION_NONE)
		state->holder_index = 0;
}

/* ---- register (section 7.3) ---- */

static uint16_t register_new(struct target_reservation_state *state, const struct uuid *host_id,
			     uint64_t key)
{
	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(reservation_find(state, host_id) == TARGET_REGISTRANTS_MAX);
	if (state->registrant_count == TARGET_REGISTRANTS_MAX)
		return NVME_STATUS_INTERNAL_ERROR;
	state->registrants[state->registrant_count++] =
		(struct target_registrant){.host_id = *host_id, .key = key};
	return NVME_STATUS_SUCCESS;
}

static uint16_t register_key(struct target_reservation_state *state, const struct uuid *host_id,
			     const struct nvme_reservation *change)
{
	uint32_t index = reservation_find(state, host_id);

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(change->action == NVME_RESERVATION_REGISTER_KEY);
	if (change->other_key == 0)
		return NVME_STATUS_INVALID_FIELD;
	if (index == TARGET_REGISTRANTS_MAX)
		return register_new(state, host_id, change->other_key);
	return state->registrants[index].key == change->other_key
		       ? NVME_STATUS_SUCCESS
		       : NVME_STATUS_RESERVATION_CONFLICT;
}

static uint16_t register_remove(struct target_reservation_state *state, const struct uuid *host_id,
				const struct nvme_reservation *change,
				struct reservation_notices *notices)
{
	uint32_t index = reservation_find(state, host_id);
	uint8_t type = state->type;

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(notices->count <= TARGET_REGISTRANTS_MAX);
	if (index == TARGET_REGISTRANTS_MAX ||
	    (!change->is_ignoring_key && state->registrants[index].key != change->current_key))
		return NVME_STATUS_RESERVATION_CONFLICT;
	registrant_remove(state, index);
	if (type != NVME_RESERVATION_NONE && state->type == NVME_RESERVATION_NONE &&
	    type_is_for_registrants(type))
		notice_others(state, notices, host_id, NVME_RESERVATION_NOTICE_RELEASED);
	return NVME_STATUS_SUCCESS;
}

static uint16_t register_replace(struct target_reservation_state *state, const struct uuid *host_id,
				 const struct nvme_reservation *change)
{
	uint32_t index = reservation_find(state, host_id);

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(change->action == NVME_RESERVATION_REPLACE_KEY);
	if (change->other_key == 0)
		return NVME_STATUS_INVALID_FIELD;
	if (index == TARGET_REGISTRANTS_MAX)
		return change->is_ignoring_key ? register_new(state, host_id, change->other_key)
					       : NVME_STATUS_RESERVATION_CONFLICT;
	if (!change->is_ignoring_key && state->registrants[index].key != change->current_key)
		return NVME_STATUS_RESERVATION_CONFLICT;
	state->registrants[index].key = change->other_key;
	return NVME_STATUS_SUCCESS;
}

static uint16_t change_register(struct target_reservation_state *state, const struct uuid *host_id,
				const struct nvme_reservation *change, bool can_persist,
				struct reservation_notices *notices)
{
	uint16_t status = NVME_STATUS_INVALID_FIELD;

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(notices->count <= TARGET_REGISTRANTS_MAX);
	if (change->persist == NVME_RESERVATION_PERSIST_SET && !can_persist)
		return NVME_STATUS_INVALID_FIELD;
	if (change->action == NVME_RESERVATION_REGISTER_KEY)
		status = register_key(state, host_id, change);
	else if (change->action == NVME_RESERVATION_UNREGISTER_KEY)
		status = register_remove(state, host_id, change, notices);
	else if (change->action == NVME_RESERVATION_REPLACE_KEY)
		status = register_replace(state, host_id, change);
	if (status != NVME_STATUS_SUCCESS)
		return status;
	state->generation++;
	if (change->persist == NVME_RESERVATION_PERSIST_SET)
		state->is_persistent = true;
	else if (change->persist == NVME_RESERVATION_PERSIST_CLEAR)
		state->is_persistent = false;
	return NVME_STATUS_SUCCESS;
}

/* ---- acquire (section 7.2) ---- */

static void reservation_take(struct target_reservation_state *state, const struct uuid *host_id,
			     uint8_t type)
{
	uint32_t index = reservation_find(state, host_id);

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(index < state->registrant_count);
	state->type = type;
	state->holder_index = type_is_for_all(type) ? 0 : index;
}

/* Unregisters all but @self whose key is @key; 0: all. Return: how many. */
static uint32_t registrants_preempt(struct target_reservation_state *state, const struct uuid *self,
				    uint64_t key, struct reservation_notices *notices)
{
	uint32_t count = 0;
	uint32_t i = 0;

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(notices->count <= TARGET_REGISTRANTS_MAX);
	while (i < state->registrant_count) {
		const struct target_registrant *registrant = &state->registrants[i];

		if ((key != 0 && registrant->key != key) ||
		    uuid_is_equal(&registrant->host_id, self)) {
			i++;
			continue;
		}
		notice_add(notices, &registrant->host_id,
			   reservation_is_holder(state, i)
				   ? NVME_RESERVATION_NOTICE_PREEMPTED
				   : NVME_RESERVATION_NOTICE_REGISTRATION_PREEMPTED);
		count++;
		if (PLANTED(PREEMPTED_MAY_WRITE))
			i++;
		else
			registrant_remove(state, i);
	}
	return count;
}

/* The reservation itself changes hands. */
static void preempt_holder(struct target_reservation_state *state, const struct uuid *host_id,
			   const struct nvme_reservation *change,
			   struct reservation_notices *notices)
{
	uint8_t old = state->type;

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(notices->count <= TARGET_REGISTRANTS_MAX);
	(void)registrants_preempt(state, host_id, change->other_key, notices);
	if (type_is_for_registrants(old) && old != (uint8_t)change->type)
		notice_others(state, notices, host_id, NVME_RESERVATION_NOTICE_RELEASED);
	reservation_take(state, host_id, (uint8_t)change->type);
}

static uint16_t acquire_preempt(struct target_reservation_state *state, const struct uuid *host_id,
				const struct nvme_reservation *change,
				struct reservation_notices *notices)
{
	bool is_held = state->type != NVME_RESERVATION_NONE;
	bool is_all = is_held && type_is_for_all(state->type);
	uint64_t holder_key = is_held && !is_all ? state->registrants[state->holder_index].key : 0;

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(notices->count <= TARGET_REGISTRANTS_MAX);
	if (change->other_key == 0 && !is_all)
		return NVME_STATUS_INVALID_FIELD;
	if ((is_all && change->other_key == 0) ||
	    (is_held && !is_all && change->other_key == holder_key))
		preempt_holder(state, host_id, change, notices);
	else if (registrants_preempt(state, host_id, change->other_key, notices) == 0)
		return NVME_STATUS_RESERVATION_CONFLICT;
	state->generation++;
	return NVME_STATUS_SUCCESS;
}

static uint16_t change_acquire(struct target_reservation_state *state, const struct uuid *host_id,
			       const struct nvme_reservation *change,
			       struct reservation_notices *notices)
{
	uint32_t index = reservation_find(state, host_id);

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(notices->count <= TARGET_REGISTRANTS_MAX);
	if (change->is_ignoring_key || change->type == NVME_RESERVATION_NONE)
		return NVME_STATUS_INVALID_FIELD;
	if (index == TARGET_REGISTRANTS_MAX || state->registrants[index].key != change->current_key)
		return NVME_STATUS_RESERVATION_CONFLICT;
	if (change->action == NVME_RESERVATION_PREEMPT ||
	    change->action == NVME_RESERVATION_PREEMPT_AND_ABORT)
		return acquire_preempt(state, host_id, change, notices);
	if (state->type == NVME_RESERVATION_NONE) {
		reservation_take(state, host_id, (uint8_t)change->type);
		return NVME_STATUS_SUCCESS;
	}
	return reservation_is_holder(state, index) && state->type == (uint8_t)change->type
		       ? NVME_STATUS_SUCCESS
		       : NVME_STATUS_RESERVATION_CONFLICT;
}

/* ---- release (section 7.4) ---- */

static uint16_t change_release(struct target_reservation_state *state, const struct uuid *host_id,
			       const struct nvme_reservation *change,
			       struct reservation_notices *notices)
{
	uint32_t index = reservation_find(state, host_id);
	uint8_t old = state->type;

	ASSERT(state->registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(notices->count <= TARGET_REGISTRANTS_MAX);
	if (change->is_ignoring_key)
		return NVME_STATUS_INVALID_FIELD;
	if (index == TARGET_REGISTRANTS_MAX || state->registrants[index].key != change->current_key)
		return NVME_STATUS_RESERVATION_CONFLICT;
	if (change->action == NVME_RESERVATION_CLEAR) {
		notice_others(state, notices, host_id, NVME_RESERVATION_NOTICE_PREEMPTED);
		while (state->registrant_count > 0)
			registrant_remove(state, state->registrant_count - 1);
		state->generation++;
		return NVME_STATUS_SUCCESS;
	}
	if (!reservation_is_holder(state, index))
		return NVME_STATUS_SUCCESS; /* nothing of its own to release */
	if (old != (uint8_t)change->type)
		return NVME_STATUS_INVALID_FIELD;
	state->type = NVME_RESERVATION_NONE;
	state->holder_index = 0;
	if (type_is_for_registrants(old))
		notice_others(state, notices, host_id, NVME_RESERVATION_NOTICE_RELEASED);
	return NVME_STATUS_SUCCESS;
}

uint16_t reservation_change(struct target_reservation_state *state, const struct uuid *host_id,
			    const struct nvme_reservation *change, bool can_persist,
			    struct reservation_notices *ret_notices)
{
	struct target_reservation_state changed = *state;
	uint16_t status = NVME_STATUS_INVALID_OPCODE;

	ret_notices->count = 0;
	if (change->opcode == NVME_RESERVATION_REGISTER)
		status = change_register(&changed, host_id, change, can_persist, ret_notices);
	else if (change->opcode == NVME_RESERVATION_ACQUIRE)
		status = change_acquire(&changed, host_id, change, ret_notices);
	else if (change->opcode == NVME_RESERVATION_RELEASE)
		status = change_release(&changed, host_id, change, ret_notices);
	if (status != NVME_STATUS_SUCCESS) {
		ret_notices->count = 0;
		return status;
	}
	ASSERT(changed.registrant_count <= TARGET_REGISTRANTS_MAX);
	ASSERT(changed.type == NVME_RESERVATION_NONE || changed.registrant_count > 0);
	*state = changed;
	return NVME_STATUS_SUCCESS;
}

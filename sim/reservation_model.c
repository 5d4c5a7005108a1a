/* SPDX-License-Identifier: Apache-2.0 */
/* reservation_model.c - one state, one command, one answer.
 *
 * Invariant: without registrants there is no reservation; a holder is a registrant.
 */
#include "sim/reservation_model.h"

#include "base/assert.h"

static bool is_shared(uint8_t type)
{
	return type == NVME_RESERVATION_WRITE_EXCLUSIVE_ALL ||
	       type == NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL;
}

static bool is_for_registrants(uint8_t type)
{
	return type >= NVME_RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS;
}

static bool is_against_reads(uint8_t type)
{
	return type != NVME_RESERVATION_NONE && type % 2 == 0;
}
STATIC_ASSERT(NVME_RESERVATION_EXCLUSIVE_ACCESS % 2 == 0 &&
	      NVME_RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS % 2 == 0 &&
	      NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL % 2 == 0);

bool reservation_model_is_holder(const struct reservation_state *state, uint32_t host)
{
	ASSERT(host < HISTORY_HOSTS_MAX);
	if (state->type == NVME_RESERVATION_NONE || state->keys[host] == 0)
		return false;
	return is_shared(state->type) || state->holder == host;
}

bool reservation_model_allows(const struct reservation_state *state, uint32_t host, bool is_write)
{
	ASSERT(host < HISTORY_HOSTS_MAX);
	if (state->type == NVME_RESERVATION_NONE)
		return true;
	if (!is_write && !is_against_reads(state->type))
		return true;
	if (is_for_registrants(state->type))
		return state->keys[host] != 0;
	return reservation_model_is_holder(state, host);
}

static void free_reservation(struct reservation_state *state)
{
	state->type = NVME_RESERVATION_NONE;
	state->holder = 0;
}

static void host_remove(struct reservation_state *state, uint32_t host)
{
	bool was_alone = reservation_model_is_holder(state, host) && !is_shared(state->type);
	bool has_registrants = false;

	ASSERT(state->keys[host] != 0);
	state->keys[host] = 0;
	for (uint32_t i = 0; i < HISTORY_HOSTS_MAX; i++)
		has_registrants |= state->keys[i] != 0;
	if (was_alone || !has_registrants)
		free_reservation(state);
}

/* Who may be meant by @key; 0: everybody. Return: how many others were removed. */
static uint32_t others_remove(struct reservation_state *state, uint32_t host, uint64_t key)
{
	uint32_t count = 0;

	ASSERT(host < HISTORY_HOSTS_MAX);
	for (uint32_t i = 0; i < HISTORY_HOSTS_MAX; i++) {
		if (i == host || state->keys[i] == 0 || (key != 0 && state->keys[i] != key))
			continue;
		host_remove(state, i);
		count++;
	}
	return count;
}

static enum reservation_answer host_register(struct reservation_state *state, uint32_t host,
					     const struct nvme_reservation *request,
					     bool can_persist)
{
	uint8_t *key = &state->keys[host];

	if (request->persist == NVME_RESERVATION_PERSIST_SET && !can_persist)
		return RESERVATION_INVALID;
	if (request->action == NVME_RESERVATION_UNREGISTER_KEY) {
		if (*key == 0 || (!request->is_ignoring_key && *key != request->current_key))
			return RESERVATION_CONFLICT;
		host_remove(state, host);
	} else if (request->action == NVME_RESERVATION_REPLACE_KEY) {
		if (!request->is_ignoring_key && (*key == 0 || *key != request->current_key))
			return RESERVATION_CONFLICT;
		*key = (uint8_t)request->other_key;
	} else {
		if (*key != 0 && *key != request->other_key)
			return RESERVATION_CONFLICT;
		*key = (uint8_t)request->other_key;
	}
	if (request->persist != NVME_RESERVATION_PERSIST_NO_CHANGE)
		state->is_persistent = request->persist == NVME_RESERVATION_PERSIST_SET;
	state->generation++;
	return RESERVATION_GRANTED;
}

static void host_take(struct reservation_state *state, uint32_t host, uint8_t type)
{
	ASSERT(state->keys[host] != 0);
	ASSERT(type != NVME_RESERVATION_NONE);
	state->type = type;
	state->holder = is_shared(type) ? 0 : (uint8_t)host;
}

static enum reservation_answer host_preempt(struct reservation_state *state, uint32_t host,
					    const struct nvme_reservation *request)
{
	uint8_t type = state->type;
	bool is_everybody = is_shared(type) && request->other_key == 0;
	bool is_holder_meant = type != NVME_RESERVATION_NONE && !is_shared(type) &&
			       state->keys[state->holder] == request->other_key;

	if (request->other_key == 0 && !is_shared(type))
		return RESERVATION_INVALID;
	if (others_remove(state, host, request->other_key) == 0 && !is_everybody &&
	    !is_holder_meant)
		return RESERVATION_CONFLICT;
	if (is_everybody || is_holder_meant)
		host_take(state, host, (uint8_t)request->type);
	state->generation++;
	return RESERVATION_GRANTED;
}

static enum reservation_answer host_acquire(struct reservation_state *state, uint32_t host,
					    const struct nvme_reservation *request)
{
	if (state->keys[host] == 0 || state->keys[host] != request->current_key)
		return RESERVATION_CONFLICT;
	if (request->action != NVME_RESERVATION_ACQUIRE_NEW)
		return host_preempt(state, host, request);
	if (state->type == NVME_RESERVATION_NONE) {
		host_take(state, host, (uint8_t)request->type);
		return RESERVATION_GRANTED;
	}
	return reservation_model_is_holder(state, host) && state->type == request->type
		       ? RESERVATION_GRANTED
		       : RESERVATION_CONFLICT;
}

static enum reservation_answer host_release(struct reservation_state *state, uint32_t host,
					    const struct nvme_reservation *request)
{
	if (state->keys[host] == 0 || state->keys[host] != request->current_key)
		return RESERVATION_CONFLICT;
	if (request->action == NVME_RESERVATION_CLEAR) {
		(void)others_remove(state, host, 0);
		host_remove(state, host);
		state->generation++;
		return RESERVATION_GRANTED;
	}
	if (!reservation_model_is_holder(state, host))
		return RESERVATION_GRANTED;
	if (state->type != request->type)
		return RESERVATION_INVALID;
	free_reservation(state);
	return RESERVATION_GRANTED;
}

enum reservation_answer reservation_model_apply(struct reservation_state *state, uint32_t host,
						const struct nvme_reservation *request,
						bool can_persist)
{
	ASSERT(host < HISTORY_HOSTS_MAX);
	ASSERT(request->opcode != NVME_RESERVATION_REPORT);
	if (request->opcode == NVME_RESERVATION_REGISTER)
		return host_register(state, host, request, can_persist);
	if (request->opcode == NVME_RESERVATION_ACQUIRE)
		return host_acquire(state, host, request);
	ASSERT(request->opcode == NVME_RESERVATION_RELEASE);
	return host_release(state, host, request);
}

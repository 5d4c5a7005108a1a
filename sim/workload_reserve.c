/* SPDX-License-Identifier: Apache-2.0 */
/* workload_reserve.c - registers, acquires, preempts, releases and reports, one at a time.
 *
 * What it sends is drawn by what it believes; it believes what answers and reports told it, which
 * may be outdated, and sometimes it lies. After a stop it gives everything back: it registers
 * whatever its key was and clears, until that is answered, so that nobody stays locked out.
 *
 * Invariants:
 *  1. Every command begun at the check ends there once.
 *  2. Keys of different hosts differ, so that a key names its host.
 */
#include "sim/sim_impl.h"
#include "sim/stream.h"
#include "sim/workload_impl.h"

#include <string.h>

#define KEYS_OF_HOST 3
#define REST_NS_MAX  (1500 * SIM_MS)
#define AGAIN_NS     (200 * SIM_MS)

static uint8_t key_draw(struct reserver *reserver, uint32_t host)
{
	return (uint8_t)(1 + host * KEYS_OF_HOST + prng_below(&reserver->prng, KEYS_OF_HOST));
}

/* ---- what to send ---- */

static struct nvme_reservation register_draw(struct reserver *reserver)
{
	struct prng *prng = &reserver->prng;
	uint32_t host = reserver->workload->options.host;
	struct nvme_reservation request = {
		.opcode = NVME_RESERVATION_REGISTER,
		.action = NVME_RESERVATION_REGISTER_KEY,
		.is_ignoring_key = prng_chance(prng, 1, 3),
		.current_key = reserver->key,
		.other_key = key_draw(reserver, host),
	};

	if (reserver->key != 0)
		request.action = prng_chance(prng, 1, 2) ? NVME_RESERVATION_REPLACE_KEY
							 : NVME_RESERVATION_UNREGISTER_KEY;
	else if (request.is_ignoring_key)
		request.action = NVME_RESERVATION_REPLACE_KEY;
	if (prng_chance(prng, 1, 4))
		request.persist = prng_chance(prng, 1, 2) ? NVME_RESERVATION_PERSIST_SET
							  : NVME_RESERVATION_PERSIST_CLEAR;
	return request;
}

/* A host that was reported as registered, or any other one. */
static uint8_t victim_draw(struct reserver *reserver)
{
	uint32_t self = reserver->workload->options.host;
	uint32_t start = (uint32_t)prng_below(&reserver->prng, HISTORY_HOSTS_MAX);

	for (uint32_t i = 0; i < HISTORY_HOSTS_MAX; i++) {
		uint32_t host = (start + i) % HISTORY_HOSTS_MAX;

		if (host != self && reserver->others[host] != 0)
			return reserver->others[host];
	}
	return key_draw(reserver, (self + 1) % HISTORY_HOSTS_MAX);
}

static struct nvme_reservation acquire_draw(struct reserver *reserver)
{
	struct prng *prng = &reserver->prng;
	struct nvme_reservation request = {
		.opcode = NVME_RESERVATION_ACQUIRE,
		.action = NVME_RESERVATION_ACQUIRE_NEW,
		.type = (enum nvme_reservation_type)stream_draw(
			prng, NVME_RESERVATION_WRITE_EXCLUSIVE,
			NVME_RESERVATION_EXCLUSIVE_ACCESS_ALL),
		.current_key = reserver->key,
	};

	if (prng_chance(prng, 1, 2))
		return request;
	request.action = prng_chance(prng, 1, 2) ? NVME_RESERVATION_PREEMPT
						 : NVME_RESERVATION_PREEMPT_AND_ABORT;
	request.other_key = prng_chance(prng, 1, 8) ? 0 : victim_draw(reserver);
	return request;
}

static struct nvme_reservation release_draw(struct reserver *reserver)
{
	struct nvme_reservation request = {
		.opcode = NVME_RESERVATION_RELEASE,
		.action = NVME_RESERVATION_RELEASE_HELD,
		.type = (enum nvme_reservation_type)reserver->type,
		.current_key = reserver->key,
	};

	if (prng_chance(&reserver->prng, 1, 4))
		request.action = NVME_RESERVATION_CLEAR;
	if (request.type == NVME_RESERVATION_NONE)
		request.type = NVME_RESERVATION_WRITE_EXCLUSIVE;
	return request;
}

static struct nvme_reservation request_draw(struct reserver *reserver)
{
	uint64_t draw = prng_below(&reserver->prng, 10);
	struct nvme_reservation request;

	if (draw < 3)
		return (struct nvme_reservation){.opcode = NVME_RESERVATION_REPORT};
	if (reserver->key == 0 || draw < 4)
		request = register_draw(reserver);
	else if (reserver->type == NVME_RESERVATION_NONE || draw < 6)
		request = acquire_draw(reserver);
	else
		request = release_draw(reserver);
	/* A key that it does not have. */
	if (prng_chance(&reserver->prng, 1, 10))
		request.current_key = 200;
	return request;
}

/* Two commands: be registered whatever was before, then clear. */
static struct nvme_reservation request_clean(const struct reserver *reserver)
{
	uint32_t host = reserver->workload->options.host;
	uint64_t key = 1 + host * KEYS_OF_HOST;

	if (reserver->key != key)
		return (struct nvme_reservation){
			.opcode = NVME_RESERVATION_REGISTER,
			.action = NVME_RESERVATION_REPLACE_KEY,
			.is_ignoring_key = true,
			.other_key = key,
		};
	return (struct nvme_reservation){
		.opcode = NVME_RESERVATION_RELEASE,
		.action = NVME_RESERVATION_CLEAR,
		.current_key = key,
	};
}

/* ---- what was answered ---- */

static void believe_registered(struct reserver *reserver, const struct nvme_reservation *request)
{
	reserver->key = request->action == NVME_RESERVATION_UNREGISTER_KEY
				? 0
				: (uint8_t)request->other_key;
	if (reserver->key == 0)
		reserver->type = NVME_RESERVATION_NONE;
}

static void believe_granted(struct reserver *reserver)
{
	const struct nvme_reservation *request = &reserver->ask.request;

	if (request->opcode == NVME_RESERVATION_REGISTER)
		believe_registered(reserver, request);
	else if (request->opcode == NVME_RESERVATION_ACQUIRE)
		reserver->type = (uint8_t)request->type;
	else if (request->opcode == NVME_RESERVATION_RELEASE)
		reserver->type = NVME_RESERVATION_NONE;
	if (request->opcode != NVME_RESERVATION_RELEASE ||
	    request->action != NVME_RESERVATION_CLEAR)
		return;
	reserver->key = 0;
	reserver->is_clean = reserver->workload->is_stopped;
}

static void believe_refused(struct reserver *reserver)
{
	bool was_clearing = reserver->ask.request.opcode == NVME_RESERVATION_RELEASE &&
			    reserver->ask.request.action == NVME_RESERVATION_CLEAR;

	/* Somebody took it away: nothing is left to be cleared. */
	if (was_clearing && reserver->ask.request.current_key == reserver->key)
		reserver->is_clean = reserver->workload->is_stopped;
	reserver->key = 0;
	reserver->type = NVME_RESERVATION_NONE;
}

static void report_take(struct reserver *reserver, struct reservation_seen *ret_seen)
{
	const struct initiator_reservation *command = &reserver->command;
	uint32_t self = reserver->workload->options.host;

	*ret_seen = (struct reservation_seen){
		.generation = command->generation,
		.type = (uint8_t)command->type,
		.has_strangers = command->registrant_count > INITIATOR_REGISTRANTS_MAX,
	};
	for (uint32_t i = 0; i < command->registrant_count && i < INITIATOR_REGISTRANTS_MAX; i++) {
		const struct initiator_registrant *registrant = &command->registrants[i];
		uint32_t host = reservation_host_of(reserver->workload->options.reservations,
						    registrant->host_id);

		if (host == HISTORY_HOSTS_MAX || ret_seen->keys[host] != 0) {
			ret_seen->has_strangers = true;
			continue;
		}
		ret_seen->keys[host] = registrant->key;
		ret_seen->is_holder[host] = registrant->is_holder;
	}
	for (uint32_t h = 0; h < HISTORY_HOSTS_MAX; h++)
		reserver->others[h] = (uint8_t)ret_seen->keys[h];
	reserver->key = (uint8_t)ret_seen->keys[self];
	reserver->type = ret_seen->is_holder[self] ? ret_seen->type : NVME_RESERVATION_NONE;
}

static enum reservation_answer answer_of(const struct initiator_reservation *command)
{
	if (command->status == IO_OK)
		return RESERVATION_GRANTED;
	if (command->nvme_status == NVME_STATUS_RESERVATION_CONFLICT)
		return RESERVATION_CONFLICT;
	if (command->nvme_status == NVME_STATUS_INVALID_FIELD)
		return RESERVATION_INVALID;
	return RESERVATION_UNKNOWN;
}

static void reserver_end(struct reserver *reserver, enum reservation_answer answer)
{
	struct workload *workload = reserver->workload;
	struct reservation_seen seen;
	bool is_report = reserver->ask.request.opcode == NVME_RESERVATION_REPORT &&
			 answer == RESERVATION_GRANTED;

	ASSERT(reserver->is_busy);
	reserver->is_busy = false;
	sim_trace(workload->options.sim, "host reserved", workload->options.host, answer,
		  reserver->ask.request.opcode);
	if (is_report)
		report_take(reserver, &seen);
	else if (answer == RESERVATION_GRANTED)
		believe_granted(reserver);
	else if (answer == RESERVATION_CONFLICT)
		believe_refused(reserver);
	if (answer != RESERVATION_UNKNOWN)
		workload->stats.reservations++;
	reservation_ask_done(workload->options.reservations, &reserver->ask, answer,
			     is_report ? &seen : NULL, workload_now_ns(workload));
}

/* ---- running ---- */

static uint32_t path_draw(struct reserver *reserver)
{
	uint32_t path = (uint32_t)prng_below(&reserver->prng, WORKLOAD_PATHS_MAX);

	if (reserver->workload->paths[path] == NULL)
		path = 1 - path;
	ASSERT(reserver->workload->paths[path] != NULL);
	return path;
}

static void reserver_submit(struct reserver *reserver, uint32_t path,
			    const struct nvme_reservation *request)
{
	struct workload *workload = reserver->workload;

	reserver->is_busy = true;
	reserver->ask = (struct reservation_ask){
		.host = workload->options.host, .path = path, .request = *request};
	sim_trace(workload->options.sim, "host reserves",
		  workload->options.host * 1000u + path * 100u + request->action,
		  (uint64_t)request->opcode << 8 | (uint64_t)request->type,
		  request->current_key << 8 | request->other_key);
	reservation_ask_begin(workload->options.reservations, &reserver->ask,
			      workload_now_ns(workload));
	reserver->command =
		(struct initiator_reservation){.parent = &reserver->op, .request = *request};
	op_wait(&reserver->op);
	initiator_reservation_submit(workload->paths[path], &reserver->command);
}

static uint64_t rest_ns(struct reserver *reserver)
{
	const struct workload *workload = reserver->workload;
	uint64_t rest_max_ns = workload->pace_ns > REST_NS_MAX ? workload->pace_ns : REST_NS_MAX;

	/* The mix says how eager it is. */
	rest_max_ns = rest_max_ns * 1000 / (workload->options.mix.reservations + 100);
	return stream_draw(&reserver->prng, 0, rest_max_ns);
}

static void reserver_run(struct op *op)
{
	struct reserver *reserver = container_of(op, struct reserver, op);
	struct workload *workload = reserver->workload;
	struct nvme_reservation request;
	uint32_t path;

	if (reserver->is_busy) {
		reserver_end(reserver, answer_of(&reserver->command));
		reactor_timer_start(&reserver->timer,
				    workload->is_stopped ? AGAIN_NS : rest_ns(reserver));
		return;
	}
	if (reserver->is_clean || workload->verify_next != UINT64_MAX)
		return;
	path = path_draw(reserver);
	request = workload->is_stopped ? request_clean(reserver) : request_draw(reserver);
	/* First of all an answer, so that what had none is over. */
	if (reservation_has_open(workload->options.reservations, workload->options.host, path))
		request = (struct nvme_reservation){.opcode = NVME_RESERVATION_REPORT};
	reserver_submit(reserver, path, &request);
	if (op_join(op) == OP_NEXT)
		op_wake(op);
}

static void reserver_rested(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct reserver, timer)->op);
}

void reserver_start(struct workload *workload)
{
	struct reserver *reserver = &workload->reserver;

	ASSERT(workload->channel != NULL && !reserver->is_started);
	if (workload->options.reservations == NULL || workload->options.mix.reservations == 0 ||
	    (workload->paths[0] == NULL && workload->paths[1] == NULL))
		return;
	reserver->is_started = true;
	op_init(&reserver->op, reactor_ready(workload->channel->reactor), reserver_run);
	reactor_timer_init(&reserver->timer, workload->channel->reactor, reserver_rested);
	op_wake(&reserver->op);
}

void reserver_end_all(struct workload *workload)
{
	struct reserver *reserver = &workload->reserver;

	ASSERT(!reserver->is_busy);
	if (reserver->is_started) {
		reactor_timer_stop(&reserver->timer);
		op_unwake(&reserver->op);
	}
	reserver_crashed(workload);
}

void reserver_crashed(struct workload *workload)
{
	struct reserver *reserver = &workload->reserver;

	if (reserver->is_busy)
		reserver_end(reserver, RESERVATION_UNKNOWN);
	reserver->is_started = false;
}

void reserver_wake(struct workload *workload)
{
	struct reserver *reserver = &workload->reserver;

	reserver->is_clean = false;
	if (!reserver->is_started || reserver->is_busy)
		return;
	reactor_timer_stop(&reserver->timer);
	op_wake(&reserver->op);
}

bool reserver_is_idle(const struct workload *workload)
{
	const struct reserver *reserver = &workload->reserver;

	if (workload->options.reservations == NULL || workload->options.mix.reservations == 0)
		return true;
	return !reserver->is_busy && (!reserver->is_started || reserver->is_clean);
}

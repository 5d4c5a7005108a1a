/* SPDX-License-Identifier: Apache-2.0 */
/* workload.c - slots that each do one operation after another.
 *
 * A slot chooses (workload_choice.c), submits, hands the answer to the history and to the
 * reservation check, and rests. After a write that failed it reads the same blocks at once.
 *
 * Invariants:
 *  1. Every operation registered at the history is closed there exactly once: done, refused,
 *     unknown, or forgotten with its process. So it is at the reservation check.
 *  2. A slot's draws depend on its own operations only.
 */
#include "sim/workload_impl.h"

#include "base/memory.h"
#include "sim/sim_impl.h"
#include "sim/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

uint64_t workload_now_ns(const struct workload *workload)
{
	return sim_now_ns(workload->options.sim);
}

void workload_complain(struct workload *workload, const char *what, struct block_range range,
		       uint64_t begun_ns, const char *detail)
{
	if (workload->error[0] == '\0')
		snprintf(workload->error, sizeof(workload->error),
			 "host %u: %s of blocks %" PRIu64 "+%" PRIu64 " begun at %" PRIu64 ": %s",
			 workload->options.host, what, range.first, range.count, begun_ns, detail);
}

/* ---- one operation ---- */

static bool is_write_like(enum io_type type)
{
	return type == IO_WRITE || type == IO_WRITE_ZEROES || type == IO_UNMAP;
}

static bool has_data(enum io_type type)
{
	return type == IO_READ || type == IO_WRITE || type == IO_COMPARE;
}

static void io_prepare(struct slot *slot, enum io_type type, struct block_range range)
{
	const struct workload *workload = slot->workload;
	bool can_be_fua = type == IO_WRITE || type == IO_WRITE_ZEROES;

	if (type == IO_FLUSH)
		range = (struct block_range){0, 0};
	slot->io = (struct bdev_io){
		.parent = &slot->op,
		.type = type,
		.range = range,
		.iov = slot->iov,
		.is_fua = can_be_fua && prng_chance(&slot->prng, workload->options.mix.fua, 1000),
	};
	if (has_data(type))
		slot->io.iov_count = choice_iovs(slot, range.count * workload->options.block_bytes);
	slot->history = (struct history_io){
		.first_block = range.first,
		.block_count = range.count,
		.host = workload->options.host,
		.is_zeroes = is_write_like(type) && type != IO_WRITE,
		.is_repeating = workload->options.is_repeating,
	};
}

static void history_begin(struct slot *slot)
{
	struct history *history = slot->workload->options.history;
	uint64_t now_ns = workload_now_ns(slot->workload);

	switch (slot->io.type) {
	case IO_READ:
		memset(slot->buffer, 0xee,
		       slot->io.range.count * slot->workload->options.block_bytes);
		history_read_begin(history, &slot->history, now_ns);
		return;
	case IO_COMPARE:
		history_read_begin(history, &slot->history, now_ns);
		history_expect(history, &slot->history,
			       prng_chance(&slot->prng, 3, 4) ? 0 : prng_below(&slot->prng, 4),
			       slot->buffer);
		return;
	case IO_WRITE:
		history_write_begin(history, &slot->history, now_ns);
		history_stamp(history, &slot->history, slot->buffer);
		return;
	case IO_UNMAP:
	case IO_WRITE_ZEROES:
		history_write_begin(history, &slot->history, now_ns);
		return;
	case IO_FLUSH:
		history_flush_begin(history, &slot->history, now_ns);
		return;
	}
}

static void read_judge(struct slot *slot)
{
	struct history *history = slot->workload->options.history;
	uint64_t now_ns = workload_now_ns(slot->workload);
	bool is_compare = slot->io.type == IO_COMPARE;
	bool is_right;
	char error[HISTORY_ERROR_BYTES];

	if (slot->io.status != IO_OK && !(is_compare && slot->io.status == IO_COMPARE_FAILED)) {
		history_read_failed(history, &slot->history);
		return;
	}
	if (slot->io.status == IO_COMPARE_FAILED)
		is_right = history_compare_differed(history, &slot->history, slot->buffer, error);
	else
		is_right = history_read_done(history, &slot->history, now_ns, slot->buffer, error);
	if (!is_right)
		workload_complain(slot->workload, is_compare ? "comparison" : "read",
				  slot->io.range, slot->history.begun_ns, error);
}

static void write_judge(struct slot *slot)
{
	struct history *history = slot->workload->options.history;
	uint64_t now_ns = workload_now_ns(slot->workload);

	if (slot->io.status == IO_OK) {
		history_write_done(history, &slot->history, now_ns, slot->io.is_fua);
		canary_note_write(slot);
	} else if (slot->io.status == IO_RESERVATION_CONFLICT) {
		if (!history_write_refused(history, &slot->history, now_ns))
			workload_complain(slot->workload, "write", slot->io.range,
					  slot->history.begun_ns,
					  "refused, and yet a read had returned it");
	} else {
		history_write_unknown(history, &slot->history, now_ns);
	}
}

static void history_end(struct slot *slot)
{
	switch (slot->io.type) {
	case IO_READ:
	case IO_COMPARE:
		read_judge(slot);
		return;
	case IO_WRITE:
	case IO_UNMAP:
	case IO_WRITE_ZEROES:
		write_judge(slot);
		return;
	case IO_FLUSH:
		if (slot->io.status == IO_OK)
			history_flush_done(slot->workload->options.history, &slot->history);
		return;
	}
}

static void reservation_end(struct slot *slot)
{
	struct reservation_check *check = slot->workload->options.reservations;
	enum reservation_verdict verdict = RESERVATION_IO_UNKNOWN;

	if (check == NULL)
		return;
	if (slot->io.status == IO_OK || slot->io.status == IO_COMPARE_FAILED)
		verdict = RESERVATION_IO_DONE;
	else if (slot->io.status == IO_RESERVATION_CONFLICT)
		verdict = RESERVATION_IO_REFUSED;
	reservation_io_done(check, &slot->reservation, verdict, workload_now_ns(slot->workload));
}

/* First block and, in the last three digits, how many. */
static uint64_t trace_range(struct block_range range)
{
	return range.first * 1000 + range.count;
}

static void slot_count(struct slot *slot)
{
	struct workload_stats *stats = &slot->workload->stats;

	if (slot->io.status == IO_OK || slot->io.status == IO_COMPARE_FAILED) {
		stats->done++;
		stats->of[slot->io.type]++;
		stats->miscompares += slot->io.status == IO_COMPARE_FAILED;
		stats->last_done_ns = workload_now_ns(slot->workload);
		return;
	}
	stats->failed++;
	stats->conflicts += slot->io.status == IO_RESERVATION_CONFLICT;
}

static void slot_end(struct slot *slot)
{
	const struct workload *workload = slot->workload;

	sim_trace(workload->options.sim, "host done",
		  workload->options.host * 10000u + slot->io.type * 100u + slot->io.status,
		  trace_range(slot->io.range), slot->history.sequence);
	slot->is_busy = false;
	slot_count(slot);
	if (slot->io.type == IO_READ && slot->io.status == IO_OK)
		canary_spoil(slot);
	reservation_end(slot);
	history_end(slot);
}

static void slot_submit(struct slot *slot)
{
	struct workload *workload = slot->workload;

	slot->is_busy = true;
	history_begin(slot);
	if (workload->options.reservations != NULL) {
		slot->reservation = (struct reservation_io){
			.host = workload->options.host,
			.is_write = is_write_like(slot->io.type) || slot->io.type == IO_FLUSH,
		};
		reservation_io_begin(workload->options.reservations, &slot->reservation,
				     workload_now_ns(workload));
	}
	sim_trace(workload->options.sim, "host", workload->options.host * 10000u + slot->io.type,
		  trace_range(slot->io.range), slot->history.sequence);
	op_wait(&slot->op);
	bdev_submit(workload->channel, &slot->io);
}

/* ---- a slot ---- */

/* Return: false when the sweep has come to its end. */
static bool sweep_choose(struct slot *slot)
{
	struct workload *workload = slot->workload;
	struct block_range range = {workload->verify_next,
				    IO_BYTES_MAX / workload->options.block_bytes};

	if (range.first >= workload->options.block_count)
		return false;
	if (range.count > workload->options.block_count - range.first)
		range.count = workload->options.block_count - range.first;
	workload->verify_next += range.count;
	io_prepare(slot, IO_READ, range);
	return true;
}

/* Return: false if there is nothing to do. */
static bool slot_choose(struct slot *slot)
{
	struct workload *workload = slot->workload;

	if (workload->verify_next != UINT64_MAX)
		return sweep_choose(slot);
	if (workload->is_stopped)
		return false;
	if (slot->probes_left > 0) {
		slot->probes_left--;
		workload->stats.probes++;
		io_prepare(slot, IO_READ, slot->io.range);
		return true;
	}
	io_prepare(slot, choice_type(slot), choice_range(slot));
	return true;
}

static void slot_go(struct slot *slot)
{
	slot_submit(slot);
	if (op_join(&slot->op) == OP_NEXT)
		op_wake(&slot->op);
}

/* Reads of what was just written, or perhaps was. */
static void probes_draw(struct slot *slot)
{
	if (slot->probes_left > 0 || !is_write_like(slot->io.type))
		return;
	if (slot->io.status != IO_OK)
		slot->probes_left = (uint32_t)stream_draw(&slot->prng, 1, 3);
	else if (prng_chance(&slot->prng, slot->workload->options.mix.readbacks, 1000))
		slot->probes_left = 1;
}

static void slot_run(struct op *op)
{
	struct slot *slot = list_entry(op, struct slot, op);
	struct workload *workload = slot->workload;

	if (slot->is_busy) {
		bool is_sweeping = workload->verify_next != UINT64_MAX;

		slot_end(slot);
		/* A sweep has read everything in the end. */
		if (is_sweeping && slot->io.status != IO_OK) {
			slot_go(slot);
			return;
		}
		probes_draw(slot);
		if (slot->probes_left == 0) {
			reactor_timer_start(&slot->timer, is_sweeping ? 0 : choice_pause_ns(slot));
			return;
		}
	}
	if (slot_choose(slot))
		slot_go(slot);
}

static void slot_rested(struct reactor_timer *timer)
{
	op_wake(&container_of(timer, struct slot, timer)->op);
}

static void slots_wake(struct workload *workload)
{
	for (uint32_t i = 0; i < workload->options.mix.slot_count; i++) {
		struct slot *slot = &workload->slots[i];

		if (slot->is_busy)
			continue;
		reactor_timer_stop(&slot->timer);
		op_wake(&slot->op);
	}
}

/* ---- the workload ---- */

static void streams_split(struct workload *workload)
{
	struct prng prng;

	stream_init(&prng, workload->options.sim->seed, "workload", workload->options.host);
	workload->seed = prng_next(&prng);
	prng_init(&workload->reserver.prng, prng_next(&prng));
	prng_init(&workload->swapper.prng, prng_next(&prng));
	for (uint32_t i = 0; i < WORKLOAD_SLOTS_MAX; i++)
		prng_init(&workload->slots[i].prng, prng_next(&prng));
}

struct workload *workload_create(const struct workload_options *options)
{
	struct workload *workload = sim_allocate(sizeof(*workload));

	ASSERT(options->mix.slot_count > 0 && options->mix.slot_count <= WORKLOAD_SLOTS_MAX);
	ASSERT(options->history != NULL && options->host < HISTORY_HOSTS_MAX);
	ASSERT(block_range_is_within(options->mix.area, options->block_count));
	workload->options = *options;
	workload->verify_next = UINT64_MAX;
	workload->reserver.workload = workload;
	workload->swapper.workload = workload;
	streams_split(workload);
	return workload;
}

void workload_destroy(struct workload *workload)
{
	free(workload);
}

void workload_set_path(struct workload *workload, uint32_t path, struct bdev_channel *channel)
{
	ASSERT(path < WORKLOAD_PATHS_MAX);
	ASSERT(!workload->reserver.is_busy && !workload->swapper.is_busy);
	workload->paths[path] = channel;
}

void workload_start(struct workload *workload, struct bdev_channel *channel)
{
	ASSERT(workload->channel == NULL);
	workload->channel = channel;
	for (uint32_t i = 0; i < workload->options.mix.slot_count; i++) {
		struct slot *slot = &workload->slots[i];

		slot->workload = workload;
		slot->index = i;
		slot->is_busy = false;
		slot->probes_left = 0;
		slot->buffer = memory_alloc_pages(IO_BYTES_MAX);
		ASSERT(slot->buffer != NULL);
		op_init(&slot->op, reactor_ready(channel->reactor), slot_run);
		reactor_timer_init(&slot->timer, channel->reactor, slot_rested);
	}
	if (workload->paths[0] == NULL && initiator_is_initiator(channel->bdev))
		workload->paths[0] = channel;
	reserver_start(workload);
	swapper_start(workload);
	slots_wake(workload);
}

static void paths_forget(struct workload *workload)
{
	workload->channel = NULL;
	memset(workload->paths, 0, sizeof(workload->paths));
}

void workload_end(struct workload *workload)
{
	ASSERT(workload_is_idle(workload));
	for (uint32_t i = 0; i < workload->options.mix.slot_count; i++) {
		struct slot *slot = &workload->slots[i];

		reactor_timer_stop(&slot->timer);
		op_unwake(&slot->op);
		memory_free_pages(slot->buffer, IO_BYTES_MAX);
	}
	reserver_end_all(workload);
	swapper_end(workload);
	paths_forget(workload);
}

void workload_crashed(struct workload *workload)
{
	if (workload->channel == NULL)
		return;
	reserver_crashed(workload);
	swapper_crashed(workload);
	paths_forget(workload);
	for (uint32_t i = 0; i < workload->options.mix.slot_count; i++) {
		struct slot *slot = &workload->slots[i];

		if (!slot->is_busy)
			continue;
		slot->io.status = IO_DEVICE_GONE;
		slot->is_busy = false;
		reservation_end(slot);
		history_end(slot);
	}
}

void workload_io_repeated(struct bdev_io *io)
{
	struct slot *slot = container_of(io, struct slot, io);

	ASSERT(slot->is_busy && slot->workload != NULL);
	slot->history.is_repeated = true;
}

void workload_stop(struct workload *workload)
{
	workload->is_stopped = true;
	if (workload->channel != NULL)
		reserver_wake(workload);
}

bool workload_is_idle(const struct workload *workload)
{
	if (workload->channel == NULL || !workload->is_stopped || !reserver_is_idle(workload) ||
	    workload->swapper.is_busy)
		return false;
	for (uint32_t i = 0; i < workload->options.mix.slot_count; i++) {
		if (workload->slots[i].is_busy)
			return false;
	}
	return workload->verify_next == UINT64_MAX ||
	       workload->verify_next >= workload->options.block_count;
}

void workload_resume(struct workload *workload)
{
	workload->is_stopped = false;
	workload->verify_next = UINT64_MAX;
	if (workload->channel == NULL)
		return;
	slots_wake(workload);
	reserver_wake(workload);
	swapper_wake(workload);
}

void workload_set_pace(struct workload *workload, uint64_t pause_ns_max)
{
	bool is_faster =
		workload->pace_ns != 0 && (pause_ns_max == 0 || pause_ns_max < workload->pace_ns);

	workload->pace_ns = pause_ns_max;
	/* Who has gone to a long rest is not waited for. */
	if (is_faster && workload->channel != NULL && !workload->is_stopped)
		slots_wake(workload);
}

void workload_verify(struct workload *workload)
{
	ASSERT(workload->is_stopped && workload->channel != NULL);
	workload->verify_next = 0;
	slots_wake(workload);
}

const struct workload_stats *workload_stats(const struct workload *workload)
{
	return &workload->stats;
}

uint64_t workload_oldest_ns(const struct workload *workload)
{
	uint64_t oldest_ns = HISTORY_NEVER_NS;

	for (uint32_t i = 0; i < workload->options.mix.slot_count; i++) {
		const struct slot *slot = &workload->slots[i];

		if (slot->is_busy && slot->history.begun_ns < oldest_ns)
			oldest_ns = slot->history.begun_ns;
	}
	return oldest_ns;
}

const char *workload_error(const struct workload *workload)
{
	if (workload->error[0] != '\0')
		return workload->error;
	if (workload->options.reservations == NULL)
		return NULL;
	return reservation_check_error(workload->options.reservations);
}
